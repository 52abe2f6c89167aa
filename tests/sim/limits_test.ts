import { assertEquals, assertMatch } from "@std/assert";
import { excessOf } from "./limits.ts";

const at = (...times: number[]) => times.map((at) => ({ at, cost: 1 }));

Deno.test("excessOf() finds the window that holds one token too many, wherever it begins", () => {
  const limit = { limit: 2, period: 100 };
  assertEquals(excessOf(at(0, 50, 100, 150), limit), undefined);
  assertMatch(excessOf(at(0, 50, 99), limit)!, /3 tokens in 100 ms up to 99/);
  assertMatch(excessOf([{ at: 0, cost: 1 }, { at: 99, cost: 2 }], limit)!, /3 tokens/);
});

Deno.test("excessOf() counts a steady limit as a bucket", () => {
  const limit = { limit: 10, period: 100, refill: "steady", burst: 2 } as const;
  assertEquals(excessOf(at(0, 0, 10, 20), limit), undefined);
  assertMatch(excessOf(at(0, 0, 9), limit)!, /too many at 9/);
});
