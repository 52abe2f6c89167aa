import { assertEquals } from "@std/assert";
import { MAX_TIMER } from "../../platform/max_timer.ts";
import { Alarm } from "../../throttler/alarm.ts";
import { TICKS } from "../../throttler/bucket.ts";
import { fakeClock } from "../fake_clock.ts";

/** Notes the delay of each timer that is set while the clock is fake. */
function watchDelays(): number[] {
  const delays: number[] = [];
  const { setTimeout } = globalThis;
  globalThis.setTimeout = ((callback: () => void, delay: number) => {
    delays.push(delay);
    return setTimeout(callback, delay);
  }) as typeof globalThis.setTimeout;
  return delays;
}

Deno.test("Alarm.set() calls back once the tick has come, and once only", async () => {
  using time = fakeClock();
  const rings: number[] = [];
  const alarm = new Alarm(() => rings.push(performance.now()));
  alarm.set(10 * TICKS);
  alarm.set(10 * TICKS);
  await time.tickAsync(9);
  assertEquals(rings, []);
  await time.tickAsync(100);
  assertEquals(rings, [10]);
  alarm.set(10 * TICKS); // the same tick, after it has rung
  await time.tickAsync(1);
  assertEquals(rings.length, 2);
});

Deno.test("Alarm.set() takes the place of an earlier tick, and Infinity sets none", async () => {
  using time = fakeClock();
  const rings: number[] = [];
  const alarm = new Alarm(() => rings.push(performance.now()));
  alarm.set(10 * TICKS);
  alarm.set(20 * TICKS);
  alarm.set(5 * TICKS);
  await time.tickAsync(50);
  assertEquals(rings, [5]);
  alarm.set(60 * TICKS);
  alarm.set(Infinity);
  await time.tickAsync(50);
  assertEquals(rings, [5]);
});

Deno.test("Alarm.set() sets no timer below 0, for a tick that has come meanwhile", async () => {
  using time = fakeClock();
  const delays = watchDelays();
  let count = 0;
  const alarm = new Alarm(() => count++);
  performance.now = () => 50;
  alarm.set(10 * TICKS);
  alarm.set(50 * TICKS);
  alarm.set(50.5 * TICKS);
  assertEquals(delays, [0, 0, 1]);
  await time.tickAsync(1);
  assertEquals(count, 1);
});

Deno.test("Alarm.set() sets no timer above 2^31 - 1 ms, which would fire at once", () => {
  using _time = fakeClock();
  const delays = watchDelays();
  const alarm = new Alarm(() => {});
  alarm.set(2 ** 40 * TICKS);
  assertEquals(delays, [MAX_TIMER]);
  alarm.set(Infinity);
});
