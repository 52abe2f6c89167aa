import { assertEquals } from "@std/assert";
import { MAX_TIMER } from "../../platform/max_timer.ts";
import { Backoff, type BackoffOptions } from "../../websocket_feeder/backoff.ts";

const OPTIONS: BackoffOptions = {
  maxRetries: Infinity,
  baseWait: 100,
  maxWait: 1_000,
  resetRetryAfter: 5_000,
  jitter: 0,
};

/** The waits that follow from these uptimes, one after the other. */
function waits(backoff: Backoff, ...uptimes: number[]): (number | undefined)[] {
  return uptimes.map((uptime) => backoff.next(uptime)?.delay);
}

Deno.test("Backoff doubles its waits from baseWait to maxWait", () => {
  assertEquals(waits(new Backoff(OPTIONS), 0, 0, 0, 0, 0, 0), [100, 200, 400, 800, 1_000, 1_000]);
});

Deno.test("Backoff counts its repeats from 1, and gives up after maxRetries", () => {
  const backoff = new Backoff({ ...OPTIONS, maxRetries: 2 });
  assertEquals(backoff.next(0), { attempt: 1, delay: 100 });
  assertEquals(backoff.next(0), { attempt: 2, delay: 200 });
  assertEquals(backoff.next(0), undefined);
  assertEquals(new Backoff({ ...OPTIONS, maxRetries: 0 }).next(0), undefined);
});

Deno.test("Backoff counts anew after an uptime of resetRetryAfter, and after reset()", () => {
  const backoff = new Backoff({ ...OPTIONS, maxRetries: 2 });
  assertEquals(waits(backoff, 0, 4_999, 5_000, 0), [100, 200, 100, 200]);
  assertEquals(backoff.next(0), undefined);
  backoff.reset();
  assertEquals(backoff.next(0), { attempt: 1, delay: 100 });
});

Deno.test("Backoff with resetRetryAfter 0 does not count anew for a connection that was never live", () => {
  const backoff = new Backoff({ ...OPTIONS, resetRetryAfter: 0 });
  assertEquals(waits(backoff, 0, 0, 1), [100, 200, 100]);
});

Deno.test("Backoff waits as long as the venue asks, above maxWait too, and no timer's length more", () => {
  const backoff = new Backoff({ ...OPTIONS, maxWait: Infinity });
  assertEquals(backoff.next(0, 50)!.delay, 100);
  assertEquals(backoff.next(0, 60_000)!.delay, 60_000);
  assertEquals(backoff.next(0, 1e12)!.delay, MAX_TIMER);
  assertEquals(new Backoff(OPTIONS).next(0, 60_000)!.delay, 60_000);
});

Deno.test("Backoff leaves its jitter to chance, but not the wait that the venue asks for", () => {
  const { random } = Math;
  try {
    Math.random = () => 0.5;
    assertEquals(new Backoff({ ...OPTIONS, jitter: 1 }).next(0)!.delay, 50);
    assertEquals(new Backoff({ ...OPTIONS, jitter: 0.5 }).next(0)!.delay, 75);
    assertEquals(new Backoff({ ...OPTIONS, jitter: 1 }).next(0, 90)!.delay, 90);
  } finally {
    Math.random = random;
  }
});

Deno.test("Backoff never overflows: a baseWait of 0 stays 0, however often it is doubled", () => {
  const backoff = new Backoff({ ...OPTIONS, baseWait: 0 });
  for (let i = 0; i < 2_000; i++) assertEquals(backoff.next(0)!.delay, 0);
});
