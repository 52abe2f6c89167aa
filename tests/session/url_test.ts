import { assert, assertEquals, assertInstanceOf, assertThrows } from "@std/assert";
import fc from "fast-check";
import { RequestError } from "../../session/request_error.ts";
import { checkBelow, parseBase, resolve } from "../../session/url.ts";

Deno.test("property: a path is refused or stays below the base URL", () => {
  const parts = [
    "/",
    "//",
    "\\",
    "..",
    ".",
    "%2e",
    "%2F",
    "%5c",
    "?",
    "#",
    ":",
    "@",
    "http:",
    "\t",
    "a",
    "é",
    "%",
    " ",
  ];
  const path = fc.oneof(
    fc.string(),
    fc.string({ unit: "grapheme" }),
    fc.array(fc.constantFrom(...parts)).map((p) => p.join("")),
  );
  for (const baseUrl of ["https://venue.example", "https://venue.example/api/v1/"]) {
    const base = parseBase(baseUrl);
    fc.assert(
      fc.property(path, (path) => {
        let url: URL;
        try {
          const href = resolve(base, path, undefined);
          url = new URL(href);
          assertEquals(url.href, href, "it is sent as it was checked");
        } catch (error) {
          assertInstanceOf(error, RequestError);
          return;
        }
        assertEquals(url.origin, "https://venue.example");
        assert(`${url.pathname}/`.startsWith(new URL(base).pathname), `${path} became ${url}`);
        assert(!decodeURIComponent(url.pathname).split(/[/\\]/).includes(".."));
      }),
      { numRuns: 5_000 },
    );
  }
});

Deno.test("resolve() takes a path that is only a query", () => {
  for (
    const [base, path, url] of [
      ["https://venue.example/v1/", "?symbol=X", "https://venue.example/v1?symbol=X"],
      ["https://venue.example/", "?symbol=X", "https://venue.example/?symbol=X"],
      ["https://venue.example/v1/", "?a=1&b=2", "https://venue.example/v1?a=1&b=2"],
      ["https://venue.example/v1/", "", "https://venue.example/v1"],
    ]
  ) assertEquals(resolve(base, path, undefined), url);
  assertEquals(
    resolve("https://venue.example/v1/", "?a=1", { b: 1e-7 }),
    "https://venue.example/v1?a=1&b=0.0000001",
  );
});

Deno.test("resolve() writes numbers in a query without an exponent, and refuses what is none", () => {
  const base = "https://venue.example/v1/";
  assertEquals(
    resolve(base, "x", { p: 1e-7, q: [1e21] }),
    `${base}x?p=0.0000001&q=1000000000000000000000`,
  );
  for (const p of [NaN, Infinity, new Date(0), {}]) {
    assertThrows(() => resolve(base, "x", { p }), RequestError, "query.p is");
  }
});

const refused: [path: unknown, words: string][] = [
  ["//evil.example/x", "it names a host"],
  ["https://evil.example/x", "it names a host"],
  ["HTTPS://evil.example", "it names a host"],
  ["a\\b", "without control characters, backslashes and #"],
  ["a#b", "without control characters, backslashes and #"],
  ["a\tb", "without control characters, backslashes and #"],
  [7, "wanted a string"],
  ["..", "a dot segment"],
  ["a/./b", "a dot segment"],
  ["orders/.. ", "a dot segment"],
  ["orders/%2e%2E/x", "a dot segment"],
  ["orders%5c..", "a dot segment"],
  ["100%", "a % that encodes nothing, wanted %25"],
];
for (const [path, words] of refused) {
  Deno.test(`resolve() refuses the path ${JSON.stringify(path)}: ${words}`, () => {
    const base = "https://venue.example/v1/";
    assertThrows(() => resolve(base, path as string, undefined), RequestError, words);
  });
}

Deno.test("checkBelow() refuses what is beside the base, above it or elsewhere", () => {
  const base = "https://venue.example/v1/";
  for (const path of ["", "?a=1", "#part?a=1", "/", "/orders", "/orders?a=../../v2"]) {
    checkBelow(base, new URL(`https://venue.example/v1${path}`));
  }
  for (
    const url of [
      "https://venue.example/v12/orders",
      "https://venue.example/",
      "https://venue.example/v1/../v2/",
      "https://evil.example/v1/",
      "http://venue.example/v1/",
      "https://venue.example:444/v1/",
      "https://user@venue.example/v1/",
    ]
  ) assertThrows(() => checkBelow(base, new URL(url)), RequestError, "it is not below baseUrl");
});
