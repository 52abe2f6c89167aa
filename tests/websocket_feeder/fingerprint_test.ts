import { assert, assertEquals, assertNotEquals } from "@std/assert";
import fc from "fast-check";
import { fingerprint, isSame } from "../../websocket_feeder/fingerprint.ts";

Deno.test("fingerprint() does not depend on the order of properties, at any depth", () => {
  assertEquals(
    fingerprint({ channel: "book", params: { symbol: "BTC/USD", depth: 10 } }),
    fingerprint({ params: { depth: 10, symbol: "BTC/USD" }, channel: "book" }),
  );
  assertEquals(fingerprint([{ a: 1, b: 2 }]), fingerprint([{ b: 2, a: 1 }]));
});

Deno.test("fingerprint() depends on names, values, types and the order of a list", () => {
  const values = [
    {},
    { a: 1 },
    { a: "1" },
    { a: 1n },
    { a: "1n " },
    { a: null },
    { a: [1, 2] },
    { a: [2, 1] },
    { a: { 0: 1, 1: 2 } },
    { b: 1 },
    { a: 1, b: undefined, c: 1 },
  ];
  const prints = new Set(values.map(fingerprint));
  assertEquals(prints.size, values.length);
});

Deno.test("property: fingerprint() is that of the same value written anew", () => {
  fc.assert(fc.property(fc.jsonValue(), (value) => {
    const reversed = (part: unknown): unknown => {
      if (Array.isArray(part)) return part.map(reversed);
      if (typeof part !== "object" || part === null) return part;
      return Object.fromEntries(
        Object.entries(part).reverse().map(([key, inner]) => [key, reversed(inner)]),
      );
    };
    assertEquals(fingerprint(reversed(value)), fingerprint(value));
    assertEquals(JSON.parse(fingerprint(value)), JSON.parse(JSON.stringify(value)));
  }));
});

Deno.test("isSame() compares primitives as they are, and objects by their content", () => {
  assert(isSame("a", "a"));
  assert(isSame({ a: 1, b: 2 }, { b: 2, a: 1 }));
  for (const [a, b] of [["a", "b"], [1, "1"], [{ a: 1 }, { a: 2 }], ["1", { a: 1 }]]) {
    assert(!isSame(a, b));
    assertNotEquals(fingerprint(a), fingerprint(b));
  }
});
