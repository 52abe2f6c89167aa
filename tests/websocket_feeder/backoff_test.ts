import { assert, assertEquals } from "@std/assert";
import { Backoff } from "../../websocket_feeder/backoff.ts";

const options = {
  maxRetries: Infinity,
  baseWait: 500,
  maxWait: 4_000,
  resetRetryAfter: 30_000,
  jitter: 0,
};

Deno.test("Backoff.next() doubles up to maxWait, and counts anew after an uptime of resetRetryAfter", () => {
  const backoff = new Backoff(options);
  const waits = Array.from({ length: 6 }, () => backoff.next(29_999)!.delay);
  assertEquals(waits, [500, 1_000, 2_000, 4_000, 4_000, 4_000]);
  assertEquals(backoff.next(30_000), { attempt: 1, delay: 500 });
  assertEquals(backoff.next(0), { attempt: 2, delay: 1_000 });
  backoff.reset();
  assertEquals(backoff.next(0), { attempt: 1, delay: 500 });
});

Deno.test("Backoff.next() gives up after maxRetries", () => {
  const backoff = new Backoff({ ...options, maxRetries: 2 });
  assertEquals([0, 0, 0].map(() => backoff.next(0)?.attempt), [1, 2, undefined]);
  assertEquals(new Backoff({ ...options, maxRetries: 0 }).next(0), undefined);
});

Deno.test("Backoff.next() waits for retryAfter where that is longer, above maxWait too", () => {
  const backoff = new Backoff(options);
  assertEquals(backoff.next(0, 100)!.delay, 500);
  assertEquals(backoff.next(0, 3_600_000)!.delay, 3_600_000);
  assertEquals(backoff.next(0)!.delay, 2_000);
  // What no timer can hold is not turned into one that fires at once.
  assertEquals(backoff.next(0, 2 ** 40)!.delay, 2 ** 31 - 1);
});

Deno.test("Backoff.next() leaves to chance what jitter says, never of retryAfter", () => {
  const delays = (jitter: number, retryAfter = 0) =>
    Array.from({ length: 200 }, () => {
      return new Backoff({ ...options, jitter }).next(0, retryAfter)!.delay;
    });
  const half = delays(0.5);
  assert(half.every((delay) => delay >= 250 && delay <= 500));
  assert(Math.max(...half) - Math.min(...half) > 100);
  assert(Math.min(...delays(1)) < 100);
  assert(delays(1, 400).every((delay) => delay >= 400));
});

Deno.test("Backoff.next() survives thousands of repeats without a wait, and without a limit", () => {
  const backoff = new Backoff({ ...options, baseWait: 0, maxWait: Infinity });
  for (let i = 0; i < 3_000; i++) assertEquals(backoff.next(0)!.delay, 0);
});

Deno.test("Backoff.next() counts on after a connection that was never live, whatever resetRetryAfter is", () => {
  const backoff = new Backoff({ ...options, resetRetryAfter: 0 });
  assertEquals([0, 0, 1, 0].map((uptime) => backoff.next(uptime)!.attempt), [1, 2, 1, 2]);
});
