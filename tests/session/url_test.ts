import { assert, assertEquals, assertInstanceOf, assertThrows } from "@std/assert";
import fc from "fast-check";
import { RequestError } from "../../session/request_error.ts";
import { parseBase, resolve } from "../../session/url.ts";

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
