import { assertEquals, assertRejects, assertStrictEquals, assertThrows } from "@std/assert";
import { BrokerError } from "../../common/broker_error.ts";
import { abortable, Stop } from "../../session/stop.ts";
import { Timeouts } from "../../session/timeouts.ts";
import { fakeClock } from "../fake_clock.ts";

function error(message: string): BrokerError {
  return new BrokerError(message, { kind: "aborted", outcome: "not-sent" });
}

Deno.test("Stop.end() aborts the step and the whole call, and the first error counts", () => {
  const stop = new Stop(new Timeouts(Infinity));
  const { signal } = stop;
  const step = stop.begin();
  const first = error("first");
  stop.end(first);
  stop.end(error("second"));
  assertEquals([stop.isStopped, signal.aborted, step.aborted], [true, true, true]);
  assertStrictEquals(signal.reason, first);
  assertStrictEquals(step.reason, first);
  assertStrictEquals(assertThrows(() => stop.begin()), first);
});

Deno.test("Stop.signal is aborted from the beginning if the call was ended before", () => {
  const stop = new Stop(new Timeouts(Infinity));
  const first = error("first");
  stop.end(first);
  assertStrictEquals(stop.signal.reason, first);
});

Deno.test("Stop.cancel() and a step that is late end the step, not the call", () => {
  using time = fakeClock();
  const stop = new Stop(new Timeouts(100));
  const cancelled = stop.begin();
  stop.cancel("enough");
  assertEquals([cancelled.reason, stop.isStopped], ["enough", false]);
  stop.finish();
  const late = stop.begin();
  stop.limit((timeout) => error(`not within ${timeout} ms`));
  time.tick(99);
  assertEquals(late.aborted, false);
  time.tick(1);
  assertEquals([late.reason.message, stop.isStopped], ["not within 100 ms", false]);
});

Deno.test("Stop.relax() and finish() take the limit away and leave no timer", () => {
  using time = fakeClock();
  for (const end of ["relax", "finish"] as const) {
    const stop = new Stop(new Timeouts(100));
    const step = stop.begin();
    stop.limit(() => error("late"));
    stop.limit(() => error("later")); // in place of the first
    stop[end]();
    assertEquals(time.next(), false);
    time.tick(1_000);
    assertEquals(step.aborted, false);
  }
});

Deno.test("abortable() ends with the promise or with the signal, whichever is first", async () => {
  const { signal } = new AbortController();
  assertEquals(await abortable(Promise.resolve(1), signal), 1);
  assertEquals(await assertRejects(() => abortable(Promise.reject("no"), signal)), "no");
  const controller = new AbortController();
  const waiting = abortable(new Promise(() => {}), controller.signal);
  controller.abort("enough");
  assertEquals(await assertRejects(() => waiting), "enough");
  const failing = Promise.reject("heard by nobody else");
  assertEquals(await assertRejects(() => abortable(failing, controller.signal)), "enough");
});
