/** throttler.ts on the real clocks and timers: those of no two runtimes are equally early or late. */

import assert from "node:assert/strict";
import { runAll, Throttler, ThrottlerError } from "../../throttler.ts";
import { check, run } from "./harness.ts";

/** The most that any window of so many milliseconds holds. */
function fullest(starts: number[], period: number): number {
  return Math.max(
    ...starts.map((start) =>
      starts.filter((other) => other >= start && other - start < period).length
    ),
  );
}

/** Keeps the thread busy. */
function work(duration: number): void {
  for (const end = performance.now() + duration; performance.now() < end;);
}

check("Throttler.run() keeps every window, with work before the call is sent", async () => {
  const throttler = new Throttler({ limit: 5, period: 100 });
  const starts: number[] = [];
  const call = (i: number) =>
    throttler.run(() => {
      work(i % 4 * 2);
      starts.push(performance.now());
    });
  await call(0);
  await new Promise((resolve) => setTimeout(resolve, 80));
  await Promise.all(Array.from({ length: 30 }, (_, i) => call(i)));
  assert.equal(starts.length, 31);
  assert.equal(fullest(starts, 100), 5);
});

check('Throttler.run() never exceeds the burst and the rate where refill is "steady"', async () => {
  const throttler = new Throttler({ limit: 100, period: 1_000, refill: "steady", burst: 3 });
  const starts: number[] = [];
  await Promise.all(
    Array.from({ length: 30 }, () => throttler.run(() => starts.push(performance.now()))),
  );
  for (const [i, start] of starts.entries()) {
    for (const [j, other] of starts.slice(i).entries()) {
      assert.ok(j + 1 <= 3 + (other - start) / 10 + 1e-6);
    }
  }
});

check('Throttler.run() counts from the finish where refill is "after-finish"', async () => {
  const throttler = new Throttler({ limit: 2, period: 50, refill: "after-finish" });
  const spans: [sent: number, answered: number][] = [];
  await Promise.all(Array.from({ length: 8 }, (_, i) =>
    throttler.run(async () => {
      const sent = performance.now();
      await new Promise((resolve) => setTimeout(resolve, 10 + i % 3 * 15));
      spans.push([sent, performance.now()]);
    })));
  spans.sort(([a], [b]) => a - b);
  for (let i = 2; i < spans.length; i++) {
    const held = spans.slice(0, i).filter(([, answered]) => answered + 50 > spans[i][0]);
    assert.ok(held.length < 2, `${held.length} tokens were out`);
  }
});

check("Throttler.run() starts one of five calls where the limit is 1 per 30 days", async () => {
  const throttler = new Throttler({ limit: 1, period: 30 * 86_400_000 });
  let started = 0;
  const calls = Array.from({ length: 5 }, () => throttler.run(() => started++));
  await new Promise((resolve) => setTimeout(resolve, 50));
  assert.equal(started, 1);
  throttler.close(); // or the process would live on for 30 days
  const ends = await Promise.allSettled(calls);
  assert.equal(ends.filter(({ status }) => status === "rejected").length, 4);
});

check("Throttler.run() serves those who stay when others abort, in order", async () => {
  const throttler = new Throttler({ limit: 1, period: 20 });
  const order: number[] = [];
  const calls = Array.from({ length: 9 }, (_, i) => {
    const controller = new AbortController();
    const call = throttler.run(() => order.push(i), { signal: controller.signal });
    if (i % 3 === 2) controller.abort("no");
    return call;
  });
  const ends = await Promise.allSettled(calls);
  assert.deepEqual(order, [0, 1, 3, 4, 6, 7]);
  assert.deepEqual(ends[2], { status: "rejected", reason: "no" });
});

check("Throttler.acquire() gives a permit that can be disposed of", async () => {
  const throttler = new Throttler({ limit: 1, period: 20, refill: "after-finish" });
  const permit = await throttler.acquire();
  assert.equal(throttler.tryAcquire(), undefined);
  permit[Symbol.dispose]();
  const began = performance.now();
  await throttler.acquire();
  assert.ok(performance.now() - began >= 19);
});

check("Throttler sets no timer below 0 in a busy run, and starts urgent calls first", async () => {
  const { setTimeout } = globalThis;
  const delays: number[] = [];
  globalThis.setTimeout = ((callback: () => void, delay: number) => {
    delays.push(delay);
    return setTimeout(callback, delay);
  }) as typeof globalThis.setTimeout;
  const order: string[] = [];
  try {
    const throttler = new Throttler({ limit: 1, period: 1 });
    const calls = Array.from({ length: 100 }, () => throttler.run(() => order.push("order")));
    await Promise.all([...calls, throttler.run(() => order.push("cancel"), { urgent: true })]);
  } finally {
    globalThis.setTimeout = setTimeout;
  }
  assert.equal(order.indexOf("cancel"), 1);
  assert(delays.length > 10, `${delays.length} timers`);
  assert.deepEqual(delays.filter((delay) => !(delay >= 0)), []);
});

check("Throttler.pause() and maxQueue hold", async () => {
  const throttler = new Throttler({ limit: 9, period: 10, maxQueue: 1 });
  throttler.pause(60);
  const began = performance.now();
  const waiting = throttler.run(() => performance.now() - began);
  await assert.rejects(throttler.run(() => {}), ThrottlerError);
  assert.ok(await waiting >= 60);
});

check("runAll() keeps the windows of all its throttlers and ends", async () => {
  const limits = [{ limit: 2, period: 40 }, { limit: 3, period: 70 }, { limit: 4, period: 50 }];
  const throttlers = limits.map((limit) => new Throttler(limit));
  const starts: number[][] = limits.map(() => []);
  await Promise.all(Array.from({ length: 24 }, (_, i) => {
    const chosen = [0, 1, 2].filter((which) => which !== i % 4);
    if (i % 2) chosen.reverse();
    return runAll(chosen.map((which) => throttlers[which]), () => {
      for (const which of chosen) starts[which].push(performance.now());
    });
  }));
  assert.equal(starts.flat().length, 54);
  for (const [i, { limit, period }] of limits.entries()) {
    assert.ok(fullest(starts[i], period) <= limit);
  }
});

await run();
