import { assert, assertEquals, assertInstanceOf } from "@std/assert";
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
