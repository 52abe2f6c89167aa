import { assertEquals, assertRejects, assertStrictEquals } from "@std/assert";
import type { FakeTime } from "@std/testing/time";
import { runAll, Throttler, ThrottlerError } from "../../throttler.ts";
import { fakeClock } from "../fake_clock.ts";
import { RemoteLimiter } from "./remote_limiter.ts";

/** Ticks in steps, since `runAll` takes its turns between two of them. */
async function tickSlowly(time: FakeTime, duration: number, step = 10): Promise<void> {
  for (let i = 0; i < duration; i += step) {
    await time.tickAsync(step);
    await time.runMicrotasks();
  }
}

Deno.test("runAll() asks a remote limiter once the local ones are open", async () => {
  using time = fakeClock();
  const remote = new RemoteLimiter();
  const local = new Throttler({ limit: 1, period: 1_000 });
  local.tryAcquire();
  const started: number[] = [];
  runAll([remote, local], () => started.push(performance.now()));
  await tickSlowly(time, 1_500);
  assertEquals(remote.log, ["1000 asks", "1010 grants", "1010 starts"]);
  assertEquals([started, remote.unused, local.size], [[1_010], 0, 0]);
});

Deno.test("runAll() asks a remote limiter again where its grant has expired meanwhile", async () => {
  using time = fakeClock();
  const remote = new RemoteLimiter();
  const local = new Throttler({ limit: 1, period: 50 });
  const started: number[] = [];
  const call = runAll([remote, local], () => started.push(performance.now()));
  local.tryAcquire();
  local.pause(1_500); // while the question is on its way
  await tickSlowly(time, 2_000);
  await call;
  assertEquals(remote.log, [
    "0 asks",
    "10 grants",
    "10 gives back",
    "1500 asks",
    "1510 grants",
    "1510 starts",
  ]);
  assertEquals([started, remote.unused], [[1_510], 0]);
});

Deno.test("runAll() holds back nobody while a remote limiter makes it wait", async () => {
  using time = fakeClock();
  const remote = new RemoteLimiter();
  remote.freeAt = 1_000;
  const local = new Throttler({ limit: 1, period: 100 });
  const started: number[] = [];
  runAll([local, remote], () => started.push(performance.now()));
  await tickSlowly(time, 20); // by now it knows how long that will take
  const others: number[] = [];
  for (let i = 0; i < 5; i++) local.run(() => others.push(performance.now()));
  await tickSlowly(time, 1_500);
  assertEquals(started, [1_010]);
  assertEquals(others[0], 20);
  assertEquals([others.length, remote.unused, remote.size, local.size], [5, 0, 0, 0]);
});

Deno.test("runAll() gives a grant back that it cannot use, and asks again in the end", async () => {
  using time = fakeClock();
  const remote = new RemoteLimiter();
  const local = new Throttler({ limit: 1, period: 10 });
  const started: number[] = [];
  const call = runAll([local, remote], () => started.push(performance.now()));
  local.pause(2_000);
  await tickSlowly(time, 20);
  assertEquals([remote.unused, remote.log.at(-1)], [0, "10 gives back"]);
  await tickSlowly(time, 2_500);
  await call;
  assertEquals([started, remote.unused], [[2_010], 0]);
});

Deno.test("runAll() rejects where a remote limiter refuses, and charges none", async () => {
  using time = fakeClock();
  const remote = new RemoteLimiter();
  remote.refusal = new Error("no connection");
  const local = new Throttler({ limit: 1, period: 100 });
  let called = false;
  const call = runAll([local, remote], () => called = true);
  const refused = assertRejects(() => call);
  await tickSlowly(time, 30);
  assertStrictEquals(await refused, remote.refusal);
  assertEquals([called, local.available, local.size, remote.unused, remote.size], [
    false,
    1,
    0,
    0,
    0,
  ]);
});

Deno.test("runAll() gives the grant back where it is aborted, or another limiter is closed", async () => {
  using time = fakeClock();
  for (const isAbort of [true, false]) {
    const remote = new RemoteLimiter();
    remote.latency = () => 0;
    const local = new Throttler({ limit: 1, period: 1_000 });
    const controller = new AbortController();
    const call = runAll([remote, local], () => {}, { signal: controller.signal });
    local.tryAcquire();
    const reason = new Error("over");
    const refused = assertRejects(() => call);
    await tickSlowly(time, 10);
    if (isAbort) controller.abort(reason);
    else local.close(reason);
    assertStrictEquals(await refused, reason);
    assertEquals([local.size, remote.size, remote.unused], [0, 0, 0]);
  }
});

Deno.test("runAll() waits for two remote limiters whose grants expire", async () => {
  using time = fakeClock();
  const [a, b] = [new RemoteLimiter(), new RemoteLimiter()];
  b.freeAt = 2_000;
  const started: number[] = [];
  runAll([a, b], () => started.push(performance.now()));
  await tickSlowly(time, 2_500);
  assertEquals(started, [2_020]);
  assertEquals([a.unused, b.unused, a.size, b.size], [0, 0, 0, 0]);
});

Deno.test("runAll() charges each limiter its own cost where one is given", async () => {
  using time = fakeClock();
  const [a, b, c] = [1, 2, 3].map(() => new Throttler({ limit: 10, period: 1_000 }));
  await runAll([a, { throttler: b, cost: 4 }, { throttler: c, cost: 0 }], () => {}, { cost: 2 });
  assertEquals([a.available, b.available, c.available], [8, 6, 10]);
  const started: number[] = [];
  const dear = [{ throttler: a, cost: 1 }, { throttler: b, cost: 7 }];
  runAll(dear, () => started.push(performance.now()));
  await tickSlowly(time, 1_000);
  assertEquals([started, a.available, b.available], [[1_000], 9, 3]);
});

Deno.test("runAll() charges a limiter that is named more than once the highest of its costs", async () => {
  const throttler = new Throttler({ limit: 10, period: 60_000 });
  const charge = (cost: number) => ({ throttler, cost });
  await runAll([charge(2), throttler, charge(5), charge(3)], () => {});
  assertEquals(throttler.available, 5);
});

Deno.test("runAll() refuses a cost of one limiter, and charges none", async () => {
  const [a, b] = [1, 2].map(() => new Throttler({ limit: 10, period: 1_000 }));
  for (
    const [cost, type, words] of [
      [11, RangeError, "cost is 11, wanted an integer from 0 to 10, the limit per 1000 ms"],
      [-1, RangeError, "cost is -1"],
      [NaN, RangeError, "cost is NaN"],
      ["3", TypeError, 'cost is "3", a string; wanted'],
    ] as const
  ) {
    const charges = [a, { throttler: b, cost: cost as number }];
    await assertRejects(() => runAll(charges, () => {}), type, words);
    await assertRejects(() => runAll([b, ...charges], () => {}), type, words);
  }
  assertEquals([a.available, b.available, a.size, b.size], [10, 10, 0, 0]);
});

Deno.test("runAll() refuses an entry that is no limiter, and says which", async () => {
  const throttler = new Throttler({ limit: 10, period: 1_000 });
  for (
    const [throttlers, words] of [
      [throttler, "throttlers is an object; wanted an array"],
      [[throttler, { limit: 5, period: 1 }], "throttlers[1] is an object; wanted a Throttler"],
      [[undefined], "throttlers[0] is undefined; wanted a Throttler, or { throttler, cost }"],
      [[{ cost: 5 }], "throttlers[0] is an object; wanted a Throttler"],
    ] as [never, string][]
  ) await assertRejects(() => runAll(throttlers, () => {}), TypeError, words);
  assertEquals(throttler.available, 10);
});

Deno.test("runAll() lets an urgent call go first in every line", async () => {
  using time = fakeClock();
  const [a, b] = [10, 20].map((period) => new Throttler({ limit: 1, period }));
  const order: string[] = [];
  for (let i = 0; i < 3; i++) runAll([a, b], () => order.push(`joint ${i}`));
  for (let i = 0; i < 3; i++) b.run(() => order.push(`b ${i}`));
  runAll([b, a], () => order.push("urgent"), { urgent: true });
  b.run(() => order.push("urgent b"), { urgent: true });
  await tickSlowly(time, 300);
  assertEquals(order.slice(0, 3), ["joint 0", "urgent", "urgent b"]);
  assertEquals(order.slice(3).toSorted(), ["b 0", "b 1", "b 2", "joint 1", "joint 2"]);
});

Deno.test("runAll() takes its turn again where an urgent call has taken the token that it kept", async () => {
  using time = fakeClock();
  const [a, b] = [
    new Throttler({ limit: 1, period: 100 }),
    new Throttler({ limit: 1, period: 90 }),
  ];
  a.tryAcquire();
  const joint: number[] = [];
  runAll([a, b], () => joint.push(performance.now()));
  await time.tickAsync(50);
  b.tryAcquire();
  await tickSlowly(time, 60); // at 110 it keeps its turn in `a`, and waits in `b` until 140
  const urgent: number[] = [];
  a.run(() => urgent.push(performance.now()), { urgent: true });
  await tickSlowly(time, 300);
  assertEquals([urgent, joint], [[110], [210]]);
});

Deno.test("runAll() refuses at once where one limiter has no room, though the call waits for another", async () => {
  using _time = fakeClock();
  const full = new Throttler({ limit: 1, period: 10, maxQueue: 0 });
  const slow = new Throttler({ limit: 1, period: 5_000 });
  slow.tryAcquire();
  const error = await assertRejects(() => runAll([full, slow], () => {}), ThrottlerError);
  assertEquals([error.kind, full.available, slow.size], ["full", 1, 0]);
});
