import { assert, assertEquals, assertThrows } from "@std/assert";
import { TICKS } from "../../throttler/bucket.ts";
import { isPast, Limits } from "../../throttler/limits.ts";
import { fakeClock } from "../fake_clock.ts";

/** Spends tokens as a call does that starts and finishes now. */
function spend(limits: Limits, cost: number): void {
  limits.hold(cost);
  if (limits.stampStart(cost)) limits.stampFinish(cost);
}

Deno.test("isPast() reads no clock for 0, and says of a tick whether it has come", () => {
  using time = fakeClock();
  performance.now = () => {
    throw new Error("read");
  };
  assert(isPast(0));
  performance.now = () => time.now;
  time.now = 5;
  assertEquals([isPast(5 * TICKS), isPast(5 * TICKS + 1)], [true, false]);
});

Deno.test("Limits tells the slowest rate and the longest period", () => {
  const limits = new Limits([{ limit: 10, period: 1_000 }, { limit: 200, period: 60_000 }]);
  assertEquals([limits.rate, limits.period], [200 / 60_000, 60_000]);
});

Deno.test("Limits.allowedAt() says when all limits allow a cost", () => {
  using time = fakeClock();
  const limits = new Limits([{ limit: 2, period: 10 }, { limit: 3, period: 100 }]);
  spend(limits, 2);
  assertEquals([limits.allowedAt(0), limits.allowedAt(1), limits.allowedAt(2)], [
    0,
    10 * TICKS,
    100 * TICKS,
  ]);
  time.now = 10;
  assertEquals(limits.allowedAt(1), 0);
  limits.cap(0, 40);
  assertEquals([limits.allowedAt(0), limits.allowedAt(1)], [0, 50 * TICKS]);
});

Deno.test("Limits.allowedAt() gives Infinity, or an estimate, while a call still runs", () => {
  using time = fakeClock();
  const limits = new Limits({ limit: 1, period: 10, refill: "after-finish" });
  limits.hold(1);
  assert(limits.stampStart(1));
  time.now = 30;
  assertEquals([limits.allowedAt(1), limits.allowedAt(1, true)], [Infinity, 40 * TICKS]);
  limits.stampFinish(1);
  assertEquals(limits.allowedAt(1), 40 * TICKS);
});

Deno.test("Limits.available is the least over limits and caps, and counts calls that are held", () => {
  using time = fakeClock();
  const limits = new Limits([
    { limit: 5, period: 10 },
    { limit: 8, period: 100, refill: "after-finish" },
  ]);
  assertEquals(limits.available, 5);
  limits.hold(2);
  assertEquals(limits.available, 3);
  limits.stampStart(2);
  time.now = 10;
  assertEquals(limits.available, 5);
  limits.hold(4);
  limits.stampStart(4);
  time.now = 20;
  assertEquals(limits.available, 2); // six calls still run
  limits.cap(1, 50);
  assertEquals(limits.available, 1);
  limits.cap(-Infinity, 30);
  assertEquals(limits.available, 0);
  time.now = 50;
  assertEquals(limits.available, 1);
  time.now = 70;
  assertEquals(limits.available, 2);
});

Deno.test("Limits.available is 0 where an update leaves fewer tokens than were spent", () => {
  using _time = fakeClock();
  const limits = new Limits({ limit: 5, period: 10 });
  spend(limits, 5);
  limits.update({ limit: 2, period: 10 });
  assertEquals(limits.available, 0);
});

Deno.test("Limits.refusalOf() gives the reason for a cost above the limit or the burst", () => {
  const limits = new Limits([{ limit: 5, period: 10 }, { limit: 3, period: 1_000 }]);
  assertEquals(limits.refusalOf(3), undefined);
  const { reason } = limits.refusalOf(4)!;
  assertEquals(
    (reason as Error).message,
    "Cannot start a call: cost is 4, wanted an integer from 0 to 3, the limit per 1000 ms",
  );
  limits.update({ limit: 9, period: 10, refill: "steady", burst: 2 });
  assertThrows(() => limits.checkCost(3), RangeError, "from 0 to 2, the burst");
});
