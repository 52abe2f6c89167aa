import { assertEquals } from "@std/assert";
import { Union } from "../../sharded_feeder/union.ts";

Deno.test("Union reads several maps as one", () => {
  const union = new Union([new Map([["a", 1], ["b", 2]]), new Map(), new Map([["c", 3]])]);
  assertEquals(union.size, 3);
  assertEquals([...union], [["a", 1], ["b", 2], ["c", 3]]);
  assertEquals([...union.keys()], ["a", "b", "c"]);
  assertEquals([...union.values()], [1, 2, 3]);
  assertEquals([union.get("c"), union.get("d"), union.has("b"), union.has("d")], [
    3,
    undefined,
    true,
    false,
  ]);
  const seen: unknown[] = [];
  union.forEach(function (this: unknown, value, key, map) {
    seen.push([value, key, map === union, this]);
  }, "self");
  assertEquals(seen[2], [3, "c", true, "self"]);
});
