import { assertEquals, assertThrows } from "@std/assert";
import { SharedLimits } from "../../redis/shared_limits.ts";

Deno.test("SharedLimits gives the script kinds, and periods in microseconds, rounded up", () => {
  const limits = new SharedLimits([
    { limit: 10, period: 1_000.0001 },
    { limit: 5, period: 200, refill: "after-finish" },
    { limit: 100, period: 60_000, refill: "steady", burst: 250 },
  ]);
  assertEquals(JSON.parse(limits.text), [
    { kind: "start", limit: 10, period: 1_000_001 },
    { kind: "finish", limit: 5, period: 200_000 },
    { kind: "start", limit: 100, period: 60_000_000, burst: 250 },
  ]);
  assertEquals([...limits.kinds], ["start", "finish"]);
  assertEquals([limits.count, limits.capacity, limits.telling], [3, 5, 10]);
  assertEquals(limits.longest, 150_000); // a full bucket of 250 takes so long to come back
});

Deno.test("SharedLimits.share() divides every limit and burst by the number of processes, rounded down", () => {
  const limits = new SharedLimits([
    { limit: 10, period: 1_000 },
    { limit: 100, period: 1_000, refill: "steady", burst: 7 },
  ]);
  assertEquals(limits.share(4).available, 1);
  assertEquals(limits.share(2).available, 3);
  assertThrows(
    () => limits.share(8),
    RangeError,
    "Cannot share the limit: processes is 8, wanted at most 7, one token each",
  );
});

Deno.test("SharedLimits refuses what Throttler refuses, in the same words", () => {
  assertThrows(() => new SharedLimits({ limit: 0, period: 1 }), RangeError, "limit");
  assertThrows(() => new SharedLimits([]), RangeError, "limits");
});
