import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertNotStrictEquals,
  assertRejects,
  assertStrictEquals,
  assertThrows,
} from "@std/assert";
import type { FakeTime } from "@std/testing/time";
import { type Limit, runAll, Throttler, ThrottlerError } from "../throttler.ts";
import { fakeClock } from "./fake_clock.ts";
import { settle, VirtualClock } from "./virtual_clock.ts";

const DAY = 86_400_000;

/** Runs `count` calls and gives the list that their start times go to. */
function start(throttler: Throttler, count: number, cost?: number): number[] {
  const starts: number[] = [];
  for (let i = 0; i < count; i++) {
    throttler.run(() => starts.push(performance.now()), { cost }).catch(() => {});
  }
  return starts;
}

/** Watches the timers that are set until time goes on, when FakeTime puts its own functions back. */
function watchTimers(): { delays: number[]; live: Set<unknown> } {
  const delays: number[] = [];
  const live = new Set<unknown>();
  const { setTimeout, clearTimeout } = globalThis;
  globalThis.setTimeout = ((callback: () => void, delay: number) => {
    delays.push(delay);
    const id = setTimeout(() => {
      live.delete(id);
      callback();
    }, delay);
    live.add(id);
    return id;
  }) as typeof setTimeout;
  globalThis.clearTimeout = ((id: number) => {
    live.delete(id);
    clearTimeout(id);
  }) as typeof clearTimeout;
  return { delays, live };
}

/** Counts the listeners that are on a signal. */
function watchListeners(signal: AbortSignal): () => number {
  let count = 0;
  const { addEventListener, removeEventListener } = signal;
  signal.addEventListener = (...args: unknown[]) => {
    count++;
    addEventListener.apply(signal, args as never);
  };
  signal.removeEventListener = (...args: unknown[]) => {
    count--;
    removeEventListener.apply(signal, args as never);
  };
  return () => count;
}

// Construction

for (
  const [limit, type, words] of [
    [{ limit: 0, period: 1 }, RangeError, "limit is 0"],
    [{ limit: -1, period: 1 }, RangeError, "limit is -1"],
    [{ limit: 1.5, period: 1 }, RangeError, "limit is 1.5"],
    [{ limit: NaN, period: 1 }, RangeError, "limit is NaN"],
    [{ limit: Infinity, period: 1 }, RangeError, "limit is Infinity"],
    [{ limit: 1, period: 0 }, RangeError, "period is 0"],
    [{ limit: 1, period: NaN }, RangeError, "period is NaN"],
    [{ limit: 1, period: Infinity }, RangeError, "period is Infinity"],
    [{ limit: 1, period: 1, refill: "steady", burst: 0 }, RangeError, "burst is 0"],
    [{ limit: 1, period: 1, refill: "steady", burst: 1.5 }, RangeError, "burst is 1.5"],
    [{ limit: 1, period: 1, burst: 5 }, TypeError, 'refill is "after-start", wanted "steady"'],
    [{ limit: 1, period: 1, refill: "leaky" as "steady" }, TypeError, 'refill is "leaky"'],
    [[], RangeError, "wanted at least one"],
    [[{ limit: 1, period: 1 }, { limit: 0, period: 1 }], RangeError, "limit is 0"],
  ] as [Limit | Limit[], ErrorConstructor, string][]
) {
  Deno.test(`new Throttler() refuses ${Deno.inspect(limit)}`, () => {
    assertThrows(() => new Throttler(limit), type, words);
  });
}

Deno.test("new Throttler() refuses a maxQueue below 0 or not a number", () => {
  const limit = { limit: 1, period: 1 };
  assertThrows(() => new Throttler(limit, { maxQueue: -1 }), RangeError, "maxQueue is -1");
  assertThrows(() => new Throttler({ ...limit, maxQueue: NaN }), RangeError, "maxQueue is NaN");
});

// run

Deno.test("Throttler.run() starts a call at once, before it returns, while there are tokens", () => {
  using _time = fakeClock();
  assertEquals(start(new Throttler({ limit: 2, period: 1_000 }), 3), [0, 0]);
});

Deno.test("Throttler.run() waits one period once the limit is spent", async () => {
  using time = fakeClock();
  const starts = start(new Throttler({ limit: 2, period: 1_000 }), 5);
  await time.tickAsync(999);
  assertEquals(starts, [0, 0]);
  await time.tickAsync(1);
  assertEquals(starts, [0, 0, 1_000, 1_000]);
  await time.tickAsync(1_000);
  assertEquals(starts, [0, 0, 1_000, 1_000, 2_000]);
});

Deno.test("Throttler.run() holds in every window, also after a call and a pause", async () => {
  using time = fakeClock();
  const throttler = new Throttler({ limit: 10, period: 1_000 });
  const starts = start(throttler, 1);
  await time.tickAsync(900);
  const later = start(throttler, 30);
  await time.tickAsync(5_000);
  starts.push(...later);
  assertEquals(starts.slice(0, 12), [0, ...Array(9).fill(900), 1_000, 1_900]);
  for (let i = 10; i < starts.length; i++) assert(starts[i] - starts[i - 10] >= 1_000);
});

Deno.test("Throttler.run() gives back what fn returns", async () => {
  using _time = fakeClock();
  const throttler = new Throttler({ limit: 9, period: 1 });
  assertEquals(await throttler.run(() => 1), 1);
  assertEquals(await throttler.run(() => Promise.resolve(2)), 2);
  const thenable = { then: (done: (value: number) => void) => done(3) } as PromiseLike<number>;
  assertEquals(
    await throttler.run(() => thenable),
    3,
  );
});

Deno.test("Throttler.run() gives back what fn returns after a wait too", async () => {
  using time = fakeClock();
  const throttler = new Throttler({ limit: 1, period: 10 });
  const results = [1, 2].map((n) => throttler.run(() => Promise.resolve(n)));
  await time.tickAsync(10);
  assertEquals(await Promise.all(results), [1, 2]);
});

Deno.test("Throttler.run() rejects with what fn throws or rejects with, and charges it", async () => {
  using time = fakeClock();
  const throttler = new Throttler({ limit: 2, period: 10 });
  const error = new Error("refused");
  const thrown = throttler.run(() => {
    throw error;
  });
  const rejected = throttler.run(() => Promise.reject(error));
  assertStrictEquals(await assertRejects(() => thrown), error);
  assertStrictEquals(await assertRejects(() => rejected), error);
  assertEquals(throttler.waitTime(), 10);
  const after = [0, 1].map(() =>
    assertRejects(() =>
      throttler.run(() => {
        throw error;
      })
    )
  );
  const last = start(throttler, 1);
  await time.tickAsync(20);
  await Promise.all(after);
  assertEquals(last, [20]);
});

Deno.test("Throttler.run() stamps the start after fn has run", async () => {
  using time = fakeClock();
  const throttler = new Throttler({ limit: 1, period: 1_000 });
  throttler.run(() => {
    time.now = 300; // work before the call is sent
  });
  const starts = start(throttler, 1);
  await time.tickAsync(999);
  assertEquals(starts, []);
  await time.tickAsync(1);
  assertEquals(starts, [1_300]);
});

Deno.test("Throttler.run() starts first come, first served", async () => {
  using time = fakeClock();
  const throttler = new Throttler({ limit: 2, period: 10 });
  const order: number[] = [];
  for (let i = 0; i < 9; i++) throttler.run(() => order.push(i));
  await time.tickAsync(15); // in the middle of a period
  throttler.run(() => order.push(9));
  await time.tickAsync(100);
  assertEquals(order, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
});

Deno.test("Throttler.run() lets no cheap call pass a dear one", async () => {
  using time = fakeClock();
  const throttler = new Throttler({ limit: 3, period: 10 });
  const first = start(throttler, 1, 2);
  const dear = start(throttler, 1, 3);
  const cheap = start(throttler, 1, 1);
  await time.tickAsync(100);
  assertEquals([first, dear, cheap], [[0], [10], [20]]);
});

Deno.test("Throttler.run() spends the cost", async () => {
  using time = fakeClock();
  const throttler = new Throttler({ limit: 6, period: 10 });
  const starts = start(throttler, 5, 2);
  await time.tickAsync(10);
  assertEquals(starts, [0, 0, 0, 10, 10]);
});

Deno.test("Throttler.run() lets a call of cost 0 spend nothing but wait its turn", async () => {
  using time = fakeClock();
  const throttler = new Throttler({ limit: 1, period: 10 });
  assertEquals(start(throttler, 3, 0), [0, 0, 0]);
  start(throttler, 1);
  assertEquals(start(throttler, 1, 0), [0]); // nobody waits before it
  const waiting = start(throttler, 1);
  const free = start(throttler, 1, 0);
  await time.tickAsync(9);
  assertEquals(free, []);
  await time.tickAsync(1);
  assertEquals([waiting, free], [[10], [10]]);
  assertEquals(throttler.waitTime(), 10);
});

for (const cost of [0.5, -1, NaN, Infinity, 4]) {
  Deno.test(`Throttler.run() refuses a cost of ${cost} where 3 is the capacity, at once`, async () => {
    const throttler = new Throttler([{ limit: 5, period: 1 }, { limit: 3, period: 9 }]);
    const words = `cost is ${cost}, wanted an integer from 0 to 3, the limit per 9 ms`;
    await assertRejects(() => throttler.run(() => {}, { cost }), RangeError, words);
    await assertRejects(() => throttler.acquire({ cost }), RangeError, words);
    await assertRejects(() => runAll([throttler], () => {}, { cost }), RangeError, words);
    assertThrows(() => throttler.tryAcquire({ cost }), RangeError, words);
    assertThrows(() => throttler.waitTime(cost), RangeError, words);
    assertEquals(throttler.waitTime(3), 0);
  });
}

Deno.test("Throttler.run() allows a cost of the whole burst where that is above the limit", async () => {
  using _time = fakeClock();
  const throttler = new Throttler({ limit: 1, period: 10, refill: "steady", burst: 5 });
  assertEquals(start(throttler, 1, 5), [0]);
  await assertRejects(() => throttler.run(() => {}, { cost: 6 }), RangeError);
});

Deno.test("Throttler.run() takes several limits together or not at all", async () => {
  using time = fakeClock();
  const throttler = new Throttler([{ limit: 2, period: 10 }, { limit: 3, period: 100 }]);
  const starts = start(throttler, 7);
  await time.tickAsync(1_000);
  assertEquals(starts, [0, 0, 10, 100, 100, 110, 200]);
});

Deno.test("Throttler.run() may be called from within fn", async () => {
  using time = fakeClock();
  const throttler = new Throttler({ limit: 1, period: 10 });
  const starts: number[] = [];
  const again = (left: number) => {
    starts.push(performance.now());
    if (left > 0) throttler.run(() => again(left - 1));
  };
  throttler.run(() => again(3));
  await time.tickAsync(100);
  assertEquals(starts, [0, 10, 20, 30]);
});

Deno.test("Throttler.run() counts a call that is being started against those it makes", () => {
  using _time = fakeClock();
  const throttler = new Throttler({ limit: 2, period: 10 });
  let within: unknown[] = [];
  throttler.run(() => {
    within = [throttler.tryAcquire({ cost: 2 }), throttler.tryAcquire(), throttler.tryAcquire()];
  });
  assertEquals(within.map((permit) => permit !== undefined), [false, true, false]);
});

// Urgent calls

Deno.test("Throttler.run() starts urgent calls before all others that wait, in their own order", async () => {
  using time = fakeClock();
  const throttler = new Throttler({ limit: 1, period: 10 });
  const order: string[] = [];
  for (const name of ["a", "b", "c", "D", "e", "F"]) {
    throttler.run(() => order.push(name), { urgent: name < "a" });
  }
  await time.tickAsync(25);
  throttler.run(() => order.push("G"), { urgent: true });
  await time.tickAsync(100);
  assertEquals(order, ["a", "D", "F", "G", "b", "c", "e"]);
});

Deno.test("Throttler.run() lets a cancel go next where 40 orders wait", async () => {
  using time = fakeClock();
  const throttler = new Throttler({ limit: 10, period: 1_000 });
  start(throttler, 50);
  let cancelled = NaN;
  throttler.run(() => cancelled = performance.now(), { urgent: true });
  await time.tickAsync(10_000);
  assertEquals(cancelled, 1_000);
});

Deno.test("Throttler.run() never lets an urgent call pass the limit, a pause, or a close", async () => {
  using time = fakeClock();
  const throttler = new Throttler({ limit: 2, period: 10 });
  const starts: number[] = [];
  const run = () =>
    throttler.run(() => starts.push(performance.now()), { urgent: true }).catch(() => {});
  for (let i = 0; i < 5; i++) run();
  await time.tickAsync(15);
  throttler.pause(50);
  await time.tickAsync(100);
  assertEquals(starts, [0, 0, 10, 10, 65]);
  throttler.close();
  run();
  assertEquals(starts.length, 5);
});

Deno.test("Throttler.run() starts an urgent newcomer at once where others wait for more tokens", () => {
  using _time = fakeClock();
  const throttler = new Throttler({ limit: 3, period: 10 });
  start(throttler, 1);
  const dear = start(throttler, 1, 3);
  const urgent: number[] = [];
  throttler.run(() => urgent.push(performance.now()), { urgent: true });
  assert(throttler.tryAcquire({ urgent: true }));
  assertEquals([dear, urgent, throttler.tryAcquire({ urgent: true })], [[], [0], undefined]);
});

Deno.test("Throttler.run() lets no urgent newcomer pass an urgent call that waits", async () => {
  using time = fakeClock();
  const throttler = new Throttler({ limit: 3, period: 10 });
  start(throttler, 1);
  const order: string[] = [];
  throttler.run(() => order.push("dear"), { cost: 3, urgent: true });
  throttler.run(() => order.push("cheap"), { urgent: true });
  assertEquals(throttler.tryAcquire({ urgent: true }), undefined);
  await time.tickAsync(100);
  assertEquals(order, ["dear", "cheap"]);
});

Deno.test("Throttler.acquire() takes urgent calls first too", async () => {
  using time = fakeClock();
  const throttler = new Throttler({ limit: 1, period: 10 });
  const order: number[] = [];
  for (let i = 0; i < 4; i++) {
    throttler.acquire({ urgent: i === 3 }).then(() => order.push(i));
  }
  for (let i = 0; i < 10; i++) await time.tickAsync(10);
  assertEquals(order, [0, 3, 1, 2]);
});

Deno.test("Throttler.run() leaves no trace of an urgent call that is aborted while it waits", async () => {
  using time = fakeClock();
  const throttler = new Throttler({ limit: 1, period: 10 });
  start(throttler, 1);
  const starts = start(throttler, 1);
  const controller = new AbortController();
  const call = throttler.run(() => {}, { urgent: true, signal: controller.signal });
  assertEquals([throttler.size, throttler.waitTime()], [2, 30]);
  controller.abort("no");
  assertEquals(await call.catch((reason) => reason), "no");
  assertEquals([throttler.size, throttler.waitTime()], [1, 20]);
  await time.tickAsync(10);
  assertEquals(starts, [10]);
});

Deno.test("Throttler.waitTime() counts urgent calls that wait, before a call that is not", async () => {
  using time = fakeClock();
  const throttler = new Throttler({ limit: 1, period: 10 });
  start(throttler, 2);
  for (let i = 0; i < 3; i++) throttler.run(() => {}, { urgent: true });
  const told = throttler.waitTime();
  const starts = start(throttler, 1);
  await time.tickAsync(200);
  assertEquals([told, starts], [50, [50]]);
});

// Wrong types

for (
  const [name, use, words] of [
    [
      "maxQueue",
      () => new Throttler({ limit: 1, period: 1 }, { maxQueue: "5" as never }),
      'maxQueue is "5", a string; wanted an integer >= 0 or Infinity',
    ],
    [
      "limit",
      () => new Throttler({ limit: "10" as never, period: 1 }),
      'Cannot set the limit: limit is "10", a string; wanted an integer >= 1',
    ],
    [
      "duration",
      (t) => t.pause("5" as never),
      'Cannot pause: duration is "5", a string; wanted milliseconds >= 0',
    ],
    [
      "remaining",
      (t) => t.sync({ remaining: null as never }),
      "Cannot sync: remaining is null; wanted a number >= 0",
    ],
    [
      "used",
      (t) => t.sync({ used: "3" as never }),
      'Cannot sync: used is "3", a string; wanted a number >= 0',
    ],
    [
      "resetIn",
      (t) => t.sync({ used: 3, resetIn: "3" as never }),
      'Cannot sync: resetIn is "3", a string; wanted milliseconds >= 0',
    ],
    [
      "cost of waitTime()",
      (t) => t.waitTime("2" as never),
      'Cannot start a call: cost is "2", a string; wanted an integer from 0 to 5, the limit per 9 ms',
    ],
    [
      "cost of tryAcquire()",
      (t) => t.tryAcquire({ cost: true as never }),
      "cost is true, a boolean; wanted",
    ],
    [
      "urgent of tryAcquire()",
      (t) => t.tryAcquire({ urgent: 1 as never }),
      "urgent is 1, a number; wanted true or false",
    ],
    [
      "update",
      (t) => t.update({ limit: 1, period: "1s" as never }),
      'period is "1s", a string; wanted milliseconds > 0',
    ],
  ] as [string, (throttler: Throttler) => unknown, string][]
) {
  Deno.test(`Throttler refuses a wrong type as such, and changes nothing: ${name}`, () => {
    const throttler = new Throttler({ limit: 5, period: 9 });
    assertThrows(() => use(throttler), TypeError, words);
    assertEquals([throttler.available, throttler.size], [5, 0]);
  });
}

for (
  const [options, words] of [
    [{ cost: "1" }, 'cost is "1", a string; wanted an integer'],
    [{ cost: null }, "cost is null; wanted an integer"],
    [{ cost: 1n }, "cost is 1, a bigint; wanted an integer"],
    [{ urgent: "no" }, 'urgent is "no", a string; wanted true or false'],
    [{ urgent: null }, "urgent is null; wanted true or false"],
    [{ signal: "stop" }, 'signal is "stop", a string; wanted an AbortSignal'],
    [{ signal: new AbortController() }, "signal is an object; wanted an AbortSignal"],
  ] as [object, string][]
) {
  Deno.test(`Throttler.run(), acquire() and runAll() refuse ${Deno.inspect(options)}`, async () => {
    const throttler = new Throttler({ limit: 5, period: 9 });
    const other = new Throttler({ limit: 9, period: 9 });
    let called = false;
    const fn = () => called = true;
    for (
      const use of [
        () => throttler.run(fn, options as never),
        () => throttler.acquire(options as never),
        () => runAll([throttler, other], fn, options as never),
      ]
    ) await assertRejects(use, TypeError, `Cannot start a call: ${words}`);
    assertEquals([called, throttler.available, other.available], [false, 5, 9]);
  });
}

Deno.test("Throttler.run(), tryAcquire() and runAll() refuse options that are no object", async () => {
  const throttler = new Throttler({ limit: 5, period: 9 });
  const words = "Cannot start a call: options is 3, a number; wanted an object";
  await assertRejects(() => throttler.run(() => {}, 3 as never), TypeError, words);
  await assertRejects(() => throttler.acquire(3 as never), TypeError, words);
  await assertRejects(() => runAll([throttler], () => {}, 3 as never), TypeError, words);
  assertThrows(() => throttler.tryAcquire(3 as never), TypeError, words);
  assertThrows(() => new Throttler({ limit: 5, period: 9 }, 3 as never), TypeError, "options is 3");
  assertEquals(throttler.available, 5);
});

Deno.test("Throttler.run() and runAll() refuse what is no function, and charge nothing", async () => {
  const throttler = new Throttler({ limit: 5, period: 9 });
  for (const fn of [undefined, Promise.resolve(), "fn"] as never[]) {
    await assertRejects(() => throttler.run(fn), TypeError, "wanted a function");
    await assertRejects(() => runAll([throttler], fn), TypeError, "wanted a function");
    await assertRejects(() => runAll([], fn), TypeError, "wanted a function");
  }
  assertEquals(throttler.available, 5);
});

// available

Deno.test("Throttler.available is what a newcomer could spend now: tryAcquire() takes that much, and no more", async () => {
  using time = fakeClock();
  const throttler = new Throttler([{ limit: 5, period: 10 }, { limit: 8, period: 100 }]);
  assertEquals(throttler.available, 5);
  start(throttler, 1, 4);
  assertEquals([throttler.available, throttler.tryAcquire({ cost: 2 })], [1, undefined]);
  await time.tickAsync(10);
  assertEquals([throttler.available, throttler.tryAcquire({ cost: 5 })], [4, undefined]);
  assert(throttler.tryAcquire({ cost: 4 }));
  assertEquals(throttler.available, 0);
});

Deno.test("Throttler.available is 0 while paused, while calls wait, and once closed", async () => {
  using time = fakeClock();
  const throttler = new Throttler({ limit: 5, period: 10 });
  throttler.pause(10);
  assertEquals(throttler.available, 0);
  await time.tickAsync(10);
  start(throttler, 1, 3);
  assertEquals(throttler.available, 2);
  start(throttler, 1, 3);
  assertEquals(throttler.available, 0);
  await time.tickAsync(20);
  assertEquals(throttler.available, 5);
  throttler.close();
  assertEquals(throttler.available, 0);
});

Deno.test("Throttler.available counts what the venue leaves, and the calls that run", async () => {
  using time = fakeClock();
  const throttler = new Throttler({ limit: 5, period: 10, refill: "after-finish" });
  const permit = throttler.tryAcquire({ cost: 2 });
  await time.tickAsync(50);
  assertEquals(throttler.available, 3);
  throttler.sync({ remaining: 1, resetIn: 30 });
  assertEquals(throttler.available, 1);
  await time.tickAsync(30);
  assertEquals(throttler.available, 3);
  permit![Symbol.dispose]();
  await time.tickAsync(10);
  assertEquals(throttler.available, 5);
});

Deno.test('Throttler.available grows by one token after another where refill is "steady"', async () => {
  using time = fakeClock();
  const throttler = new Throttler({ limit: 10, period: 100, refill: "steady", burst: 3 });
  start(throttler, 3);
  const seen: number[] = [];
  for (let i = 0; i < 5; i++) {
    seen.push(throttler.available);
    await time.tickAsync(10);
  }
  assertEquals(seen, [0, 1, 2, 3, 3]);
});

// Timers

Deno.test("Throttler sets no timer below 0 in a busy run, however the clock moves", async () => {
  const delays: number[] = [];
  using clock = new VirtualClock(0.3, () => -0.9);
  const { setTimeout } = globalThis;
  globalThis.setTimeout = ((callback: () => void, delay: number) => {
    delays.push(delay);
    return setTimeout(callback, delay);
  }) as typeof globalThis.setTimeout;
  // As a real one does, the clock goes on between two looks.
  performance.now = () => clock.now += 0.013;
  const throttlers = [1, 0.5, 2].map((period) => new Throttler({ limit: 1, period }));
  let done = 0;
  for (let i = 0; i < 100; i++) {
    throttlers[i % 3].run(() => done++, { urgent: i % 7 === 0 });
    runAll(throttlers, () => done++);
    if (i % 10 === 0) throttlers[i % 3].pause(0.01);
    for (const throttler of throttlers) assert(throttler.waitTime() >= 0);
  }
  await settle();
  await clock.runTo();
  assertEquals(done, 200);
  assert(delays.length >= 100, `${delays.length}`);
  assertEquals(delays.filter((delay) => !(delay >= 0)), []);
});

// Aborts

Deno.test("Throttler.run() rejects with the reason of a signal that is aborted already", async () => {
  const throttler = new Throttler({ limit: 1, period: 10 });
  const reason = { why: "late" };
  let called = false;
  const call = throttler.run(() => called = true, { signal: AbortSignal.abort(reason) });
  assertStrictEquals(await call.catch((error) => error), reason);
  assertEquals([called, throttler.waitTime()], [false, 0]);
});

Deno.test("Throttler.run() leaves no trace of a call that is aborted while it waits", async () => {
  using time = fakeClock();
  const { live } = watchTimers();
  const throttler = new Throttler({ limit: 1, period: 1_000 });
  start(throttler, 1);
  time.tick(500);
  const controller = new AbortController();
  const listeners = watchListeners(controller.signal);
  let called = false;
  const call = throttler.run(() => called = true, { signal: controller.signal });
  assertEquals([throttler.size, live.size, listeners()], [1, 1, 1]);
  const reason = new Error("changed my mind");
  controller.abort(reason);
  assertEquals([throttler.size, live.size, listeners()], [0, 0, 0]);
  assertStrictEquals(await assertRejects(() => call), reason);
  await time.tickAsync(500);
  assertEquals(start(throttler, 1), [1_000]); // it was not charged
  assertEquals(called, false);
});

Deno.test("Throttler.run() lets the next call go when a dear one before it is aborted", async () => {
  using time = fakeClock();
  const throttler = new Throttler({ limit: 2, period: 10 });
  start(throttler, 1);
  const controller = new AbortController();
  throttler.run(() => {}, { cost: 2, signal: controller.signal }).catch(() => {});
  await time.tickAsync(5);
  const cheap = start(throttler, 1);
  assertEquals(cheap, []);
  controller.abort();
  assertEquals(cheap, [5]);
});

Deno.test("Throttler.run() wakes earlier when that is enough for the next call", async () => {
  using time = fakeClock();
  const throttler = new Throttler({ limit: 2, period: 10 });
  start(throttler, 1);
  await time.tickAsync(5);
  start(throttler, 1);
  const controller = new AbortController();
  throttler.run(() => {}, { cost: 2, signal: controller.signal }).catch(() => {}); // not before 15
  const cheap = start(throttler, 1);
  controller.abort();
  await time.tickAsync(5);
  assertEquals(cheap, [10]);
});

Deno.test("Throttler.run() keeps the order when calls in the middle are aborted", async () => {
  using time = fakeClock();
  const throttler = new Throttler({ limit: 1, period: 10 });
  const controllers = Array.from({ length: 9 }, () => new AbortController());
  const order: number[] = [];
  for (const [i, { signal }] of controllers.entries()) {
    throttler.run(() => order.push(i), { signal }).catch(() => {});
  }
  for (const i of [4, 8, 5]) controllers[i].abort();
  await time.tickAsync(100);
  assertEquals(order, [0, 1, 2, 3, 6, 7]);
});

Deno.test("Throttler.run() takes its listener off the signal once the call starts", async () => {
  using time = fakeClock();
  const throttler = new Throttler({ limit: 1, period: 10 });
  const controller = new AbortController();
  const listeners = watchListeners(controller.signal);
  const calls = [0, 1, 2].map((n) => throttler.run(() => n, { signal: controller.signal }));
  assertEquals(listeners(), 1);
  await time.tickAsync(10);
  assertEquals([throttler.size, listeners()], [1, 1]);
  await time.tickAsync(10);
  assertEquals(listeners(), 0);
  controller.abort(); // too late for any of them
  assertEquals(await Promise.all(calls), [0, 1, 2]);
});

Deno.test("Throttler.run() puts one listener on a signal, however many calls share it", async () => {
  using time = fakeClock();
  const all = [10, 20].map((period) => new Throttler({ limit: 1, period }));
  const { signal } = new AbortController();
  let added = 0;
  const { addEventListener } = signal;
  signal.addEventListener = (...args: unknown[]) => {
    added++;
    addEventListener.apply(signal, args as never);
  };
  const listeners = watchListeners(signal);
  for (let i = 0; i < 50; i++) {
    all[i % 2].run(() => {}, { signal });
    runAll(all, () => {}, { signal });
  }
  assertEquals([added, listeners()], [1, 1]);
  for (let i = 0; i < 1_000 && all.some(({ size }) => size > 0); i++) await time.tickAsync(10);
  assertEquals([added, listeners(), ...all.map(({ size }) => size)], [1, 0, 0, 0]);
  start(all[0], 1);
  all[0].run(() => {}, { signal }).catch(() => {}); // the next call that waits is heard again
  assertEquals([added, listeners()], [2, 1]);
  all[0].close();
});

Deno.test("Throttler.run() rejects all calls that share a signal before any other can start", async () => {
  using _time = fakeClock();
  const throttler = new Throttler({ limit: 2, period: 10 });
  throttler.tryAcquire();
  const controller = new AbortController();
  const { signal } = controller;
  let started = 0;
  const calls = [2, 1, 1].map((cost) => throttler.run(() => started++, { cost, signal }));
  const other = start(throttler, 1); // it may go as soon as the dear one before it has left
  controller.abort("shutdown");
  const outcomes = await Promise.allSettled(calls);
  assertEquals(outcomes.map((outcome) => (outcome as PromiseRejectedResult).reason), [
    "shutdown",
    "shutdown",
    "shutdown",
  ]);
  assertEquals([started, other, throttler.size], [0, [0], 0]);
});

// maxQueue and size

for (
  const throttler of [
    () => new Throttler({ limit: 1, period: 10, maxQueue: 2 }),
    () => new Throttler({ limit: 1, period: 10 }, { maxQueue: 2 }),
    () => new Throttler([{ limit: 1, period: 10 }], { maxQueue: 2 }),
  ].map((make) => make())
) {
  Deno.test("Throttler.run() rejects the call that finds maxQueue others waiting", async () => {
    using time = fakeClock();
    const starts = start(throttler, 3);
    assertEquals(throttler.size, 2);
    const error = await assertRejects(() => throttler.run(() => {}), ThrottlerError);
    assertEquals(error.kind, "full");
    assertEquals(error.message, "Cannot queue a call: 2 wait, wanted fewer: maxQueue is 2");
    await assertRejects(() => throttler.acquire(), ThrottlerError);
    await time.tickAsync(10);
    assertEquals([throttler.size, ...starts], [1, 0, 10]);
    const more = start(throttler, 1);
    await time.tickAsync(20);
    assertEquals(more, [30]); // the refused ones were not charged
  });
}

Deno.test("Throttler.run() never waits where maxQueue is 0", async () => {
  using time = fakeClock();
  const throttler = new Throttler({ limit: 1, period: 10, maxQueue: 0 });
  assertEquals(start(throttler, 2), [0]);
  await assertRejects(() => throttler.run(() => {}), ThrottlerError);
  await time.tickAsync(10);
  assertEquals(start(throttler, 1), [10]);
});

// Clocks and timers

Deno.test("Throttler.run() keeps one timer however many calls wait, and none when none waits", () => {
  using time = fakeClock();
  const { live } = watchTimers();
  const throttler = new Throttler([{ limit: 3, period: 10 }, { limit: 5, period: 50 }]);
  start(throttler, 3);
  assertEquals(live.size, 0);
  start(throttler, 1_000);
  assertEquals(live.size, 1);
  throttler.pause(5);
  throttler.sync({ remaining: 0, resetIn: 20 });
  throttler.update({ limit: 1_003, period: 50 });
  assertEquals([throttler.size, live.size], [1_000, 1]);
  time.tick(20);
  assertEquals([throttler.size, live.size], [0, 0]);
});

Deno.test("Throttler.run() sets no timer while the next call depends on one that runs", () => {
  using _time = fakeClock();
  const { live } = watchTimers();
  const throttler = new Throttler({ limit: 1, period: 10, refill: "after-finish" });
  throttler.tryAcquire();
  start(throttler, 1);
  assertEquals([throttler.size, live.size], [1, 0]);
});

Deno.test("Throttler.run() asks the clock again when a timer fires early", async () => {
  using time = fakeClock();
  let early = 0.9;
  performance.now = () => Math.max(0, time.now - early);
  const starts = start(new Throttler({ limit: 1, period: 100 }), 2);
  await time.tickAsync(100); // the clock shows 99.1
  assertEquals(starts, [0]);
  early = 0;
  await time.tickAsync(1);
  assertEquals(starts, [0, 101]);
});

Deno.test("Throttler.run() counts from the real start when a timer fires late", async () => {
  using time = fakeClock();
  let late = 0;
  performance.now = () => time.now + late;
  const starts = start(new Throttler({ limit: 1, period: 100 }), 3);
  late = 2_000;
  await time.tickAsync(100);
  assertEquals(starts, [0, 2_100]);
  await time.tickAsync(99);
  assertEquals(starts.length, 2);
  await time.tickAsync(1);
  assertEquals(starts, [0, 2_100, 2_200]);
});

for (const hour of [-3_600_000, 3_600_000]) {
  Deno.test(`Throttler.run() does not care when the wall clock moves by ${hour} ms`, async () => {
    using clock = new VirtualClock(0, () => 0);
    const starts = start(new Throttler({ limit: 1, period: 100 }), 3);
    await clock.runTo(50);
    const { now } = Date;
    Date.now = () => now() + hour;
    try {
      await clock.runTo(99);
      assertEquals(starts, [0]);
      await clock.runTo(200);
      assertEquals(starts, [0, 100, 200]);
    } finally {
      Date.now = now;
    }
  });
}

Deno.test("Throttler.run() starts one of five calls where the limit is 1 per 30 days", async () => {
  using time = fakeClock();
  const { delays } = watchTimers();
  const starts = start(new Throttler({ limit: 1, period: 30 * DAY }), 5);
  assertEquals(delays, [2 ** 31 - 1]); // a longer one would fire at once
  time.tick(30 * DAY - 1);
  assertEquals(starts, [0]);
  time.tick(1);
  assertEquals(starts, [0, 30 * DAY]);
  await time.tickAsync(90 * DAY);
  assertEquals(starts, [0, 30 * DAY, 60 * DAY, 90 * DAY, 120 * DAY]);
});

Deno.test("Throttler.run() is exact for a period of a day", async () => {
  using time = fakeClock();
  const starts = start(new Throttler({ limit: 2, period: DAY }), 5);
  await time.tickAsync(2 * DAY);
  assertEquals(starts, [0, 0, DAY, DAY, 2 * DAY]);
});

Deno.test("Throttler.run() is exact for a period of half a millisecond", () => {
  using _time = fakeClock();
  let now = 0.123;
  performance.now = () => now;
  const throttler = new Throttler({ limit: 1, period: 0.5 });
  const tries: boolean[] = [];
  for (; now < 2; now += 0.1) tries.push(throttler.tryAcquire() !== undefined);
  // 0.123, then 0.623 would do but for the tick that rounds up, so 0.723, 1.323, 1.923
  assertEquals(tries.flatMap((went, i) => went ? [i] : []), [0, 6, 12, 18]);
});

Deno.test("Throttler.run() is exact where the clock is far along and shows fractions", () => {
  using _time = fakeClock();
  // Chosen so that s + 0.1 rounds down: comparing plain sums lets a call go too early.
  let now = 0;
  performance.now = () => now;
  for (let n = 1; n < 2_000; n++) {
    const first = n * 1.1;
    const throttler = new Throttler({ limit: 1, period: 0.1 });
    now = first;
    throttler.tryAcquire();
    for (; now - first < 0.11; now += 0.001) {
      if (throttler.tryAcquire()) break;
    }
    assert(now - first >= 0.1);
    assert(now - first < 0.1035);
  }
});

Deno.test("Throttler.run() takes no token before its moment, not even by a fraction of a tick", () => {
  using _time = fakeClock();
  let now = 0;
  performance.now = () => now;
  const throttler = new Throttler({ limit: 2, period: 10 });
  throttler.tryAcquire();
  now = 10 - 1e-4; // its token is back at 10: the same tick, rounding up
  assert(throttler.tryAcquire());
  assertEquals(throttler.tryAcquire(), undefined);
  now = 10;
  assert(throttler.tryAcquire());
});

Deno.test("Throttler.run() remembers thousands of starts, each at its own time", () => {
  using _time = fakeClock();
  let now = 0;
  performance.now = () => now;
  const limit = 1_500;
  const throttler = new Throttler({ limit, period: 1_000 });
  const starts: number[] = [];
  for (; starts.length < 10_000; now += 0.1 + (starts.length % 7) / 10) {
    if (throttler.tryAcquire()) starts.push(now);
  }
  for (let i = limit; i < starts.length; i++) {
    const gap = starts[i] - starts[i - limit];
    assert(gap >= 1_000 && gap < 1_002, `${gap}`);
  }
});

Deno.test("Throttler.run() takes a million waiting calls", async () => {
  using time = fakeClock();
  const throttler = new Throttler({ limit: 250_000, period: 1_000 });
  const count = 1_000_000;
  let started = 0;
  const inOrder: boolean[] = [];
  for (let i = 0; i < count; i++) {
    throttler.run(() => {
      if (i % 50_000 === 0) inOrder.push(i === started);
      started++;
    });
  }
  assertEquals([started, throttler.size], [250_000, 750_000]);
  assertEquals(throttler.waitTime(), 4_000);
  for (const expected of [500_000, 750_000, 1_000_000]) {
    await time.tickAsync(1_000);
    assertEquals([started, throttler.size], [expected, count - expected]);
  }
  assertEquals(inOrder, Array(20).fill(true));
});

// after-finish

Deno.test('Throttler.run() returns a token one period after the finish where refill is "after-finish"', async () => {
  using time = fakeClock();
  const throttler = new Throttler({ limit: 1, period: 100, refill: "after-finish" });
  const call = Promise.withResolvers<void>();
  throttler.run(() => call.promise);
  const starts = start(throttler, 1);
  await time.tickAsync(5_000);
  assertEquals(starts, []);
  call.resolve();
  await time.tickAsync(99);
  assertEquals(starts, []);
  await time.tickAsync(1);
  assertEquals(starts, [5_100]);
});

Deno.test('Throttler.run() counts a failure as the finish where refill is "after-finish"', async () => {
  using time = fakeClock();
  const throttler = new Throttler({ limit: 2, period: 100, refill: "after-finish" });
  const call = Promise.withResolvers<void>();
  const failed = assertRejects(() => throttler.run(() => call.promise), Error, "late");
  await assertRejects(() => throttler.run(() => Promise.reject(new Error("at once"))));
  const starts = start(throttler, 2);
  await time.tickAsync(100);
  assertEquals(starts, [100]);
  call.reject(new Error("late"));
  await failed;
  await time.runMicrotasks();
  await time.tickAsync(100);
  assertEquals(starts, [100, 200]);
});

Deno.test('Throttler.run() leaves a failure to its caller where refill is "after-finish"', async () => {
  // Attaching our own handler must not make the rejection of a forgotten call silent.
  const throttler = new Throttler({ limit: 1, period: 1, refill: "after-finish" });
  const { promise, resolve } = Promise.withResolvers<PromiseRejectionEvent>();
  const onRejection = (event: PromiseRejectionEvent) => {
    event.preventDefault();
    resolve(event);
  };
  globalThis.addEventListener("unhandledrejection", onRejection);
  const error = new Error("forgotten");
  throttler.run(() => Promise.reject(error));
  assertStrictEquals((await promise).reason, error);
  globalThis.removeEventListener("unhandledrejection", onRejection);
});

Deno.test("Throttler.run() mixes limits that count starts and limits that count finishes", async () => {
  using time = fakeClock();
  const throttler = new Throttler([
    { limit: 2, period: 10 },
    { limit: 3, period: 100, refill: "after-finish" },
  ]);
  const ends: (() => void)[] = [];
  const starts: number[] = [];
  for (let i = 0; i < 5; i++) {
    throttler.run(() => {
      starts.push(performance.now());
      return new Promise<void>((resolve) => ends.push(resolve));
    });
  }
  await time.tickAsync(500);
  assertEquals(starts, [0, 0, 10]);
  ends[2]();
  await time.tickAsync(50);
  ends[0]();
  await time.tickAsync(500);
  assertEquals(starts, [0, 0, 10, 600, 650]);
});

// steady

Deno.test('Throttler.run() lets a burst go and then paces where refill is "steady"', async () => {
  using time = fakeClock();
  const throttler = new Throttler({ limit: 10, period: 1_000, refill: "steady", burst: 3 });
  const starts = start(throttler, 6);
  await time.tickAsync(1_000);
  assertEquals(starts, [0, 0, 0, 100, 200, 300]);
});

Deno.test('Throttler.run() saves up no more than burst where refill is "steady"', async () => {
  using time = fakeClock();
  const throttler = new Throttler({ limit: 10, period: 1_000, refill: "steady", burst: 3 });
  start(throttler, 3);
  await time.tickAsync(250);
  assertEquals(start(throttler, 2), [250, 250]); // two tokens, and half of the next
  await time.tickAsync(50);
  assertEquals(start(throttler, 1), [300]);
  await time.tickAsync(DAY);
  assertEquals(start(throttler, 4).length, 3);
});

Deno.test('Throttler.run() takes burst to be the limit where refill is "steady"', () => {
  using _time = fakeClock();
  const throttler = new Throttler({ limit: 4, period: 1_000, refill: "steady" });
  assertEquals(start(throttler, 9).length, 4);
});

Deno.test('Throttler.run() does not drift where refill is "steady"', async () => {
  using time = fakeClock();
  const throttler = new Throttler({ limit: 7, period: 1_000, refill: "steady", burst: 2 });
  const starts = start(throttler, 70_002);
  await time.tickAsync(10_000_000);
  // A seventh of a second is no whole number of ticks or of milliseconds, yet the last one is on time.
  assertEquals(starts.slice(0, 9), [0, 0, 143, 286, 429, 572, 715, 858, 1_000]);
  for (let n = 0; n <= 10_000; n++) assertEquals(starts[7 * n + 1], n * 1_000);
});

Deno.test('Throttler.run() does not drift where refill is "steady" and the period has a fraction', async () => {
  using time = fakeClock();
  const throttler = new Throttler({ limit: 1, period: 3.3, refill: "steady", burst: 3 });
  const starts = start(throttler, 10_003);
  await time.tickAsync(100_000);
  assertEquals(starts.slice(0, 6), [0, 0, 0, 4, 7, 10]);
  assertEquals(starts[10_002], 33_000);
});

Deno.test('Throttler.run() paces from the real start where refill is "steady"', async () => {
  using time = fakeClock();
  const throttler = new Throttler({ limit: 1, period: 100, refill: "steady" });
  throttler.run(() => {
    time.now = 50; // work before the call is sent
  });
  const starts = start(throttler, 1);
  await time.tickAsync(99);
  assertEquals(starts, []);
  await time.tickAsync(1);
  assertEquals(starts, [150]);
});

Deno.test('Throttler.run() takes no token before its moment where refill is "steady"', () => {
  using _time = fakeClock();
  let now = 0;
  performance.now = () => now;
  const throttler = new Throttler({ limit: 1, period: 0.5, refill: "steady", burst: 2 });
  assert(throttler.tryAcquire());
  now = 0.4997; // rounding up, the bucket is full again
  assert(throttler.tryAcquire());
  assertEquals(throttler.tryAcquire(), undefined);
  now = 0.5;
  assert(throttler.tryAcquire());
  assertEquals(throttler.tryAcquire(), undefined);
});

Deno.test('Throttler.run() counts from the end of the tick of a start where refill is "steady"', () => {
  using _time = fakeClock();
  let now = 1 + 3e-4;
  performance.now = () => now;
  const throttler = new Throttler({ limit: 1, period: 0.5, refill: "steady" });
  assert(throttler.tryAcquire());
  now = 1.5; // half a millisecond after the beginning of the tick
  assertEquals(throttler.tryAcquire(), undefined);
  now = 1.501;
  assert(throttler.tryAcquire());
});

Deno.test('Throttler.run() rounds the moment of a token up where refill is "steady"', () => {
  using _time = fakeClock();
  let now = 0;
  performance.now = () => now;
  const throttler = new Throttler({ limit: 7, period: 1_000, refill: "steady", burst: 1 });
  assert(throttler.tryAcquire());
  now = 142.857; // a seventh of a second is a little more
  assertEquals(throttler.tryAcquire(), undefined);
  now = 142.858;
  assert(throttler.tryAcquire());
});

// acquire and tryAcquire

Deno.test("Throttler.acquire() waits like run()", async () => {
  using time = fakeClock();
  const throttler = new Throttler({ limit: 1, period: 10 });
  const order: string[] = [];
  for (let i = 0; i < 3; i++) {
    throttler.acquire().then(() => order.push(`acquire ${performance.now()}`));
    throttler.run(() => order.push(`run ${performance.now()}`));
  }
  for (let i = 0; i < 6; i++) await time.tickAsync(10);
  await time.runMicrotasks();
  assertEquals(order, ["acquire 0", "run 10", "acquire 20", "run 30", "acquire 40", "run 50"]);
});

Deno.test('Throttler.acquire() gives a permit whose disposal is the finish where refill is "after-finish"', async () => {
  using time = fakeClock();
  const throttler = new Throttler({ limit: 1, period: 10, refill: "after-finish" });
  const permit = await throttler.acquire();
  const starts = start(throttler, 2);
  await time.tickAsync(50);
  permit[Symbol.dispose]();
  permit[Symbol.dispose]();
  await time.tickAsync(5);
  permit[Symbol.dispose]();
  await time.tickAsync(5);
  assertEquals(starts, [60]);
  await time.tickAsync(10);
  assertEquals(starts, [60, 70]);
});

Deno.test("Throttler.acquire() stamps the start as the permit is given, run() after fn has run", async () => {
  using clock = new VirtualClock(0, () => 0);
  for (const [isPermit, wait] of [[true, 60], [false, 100]] as const) {
    const throttler = new Throttler({ limit: 1, period: 100 });
    if (isPermit) await throttler.acquire();
    else await throttler.run(() => clock.now += 40);
    if (isPermit) clock.now += 40; // what is done between the permit and the start
    assertEquals(throttler.waitTime(), wait);
  }
});

Deno.test("Throttler.acquire() rejects with the signal's reason", async () => {
  using _time = fakeClock();
  const throttler = new Throttler({ limit: 1, period: 10 });
  throttler.tryAcquire();
  const controller = new AbortController();
  const permit = throttler.acquire({ signal: controller.signal });
  controller.abort("no");
  assertEquals(await permit.catch((reason) => reason), "no");
  assertEquals(throttler.size, 0);
});

Deno.test("Throttler.tryAcquire() never passes a call that waits", async () => {
  using time = fakeClock();
  const throttler = new Throttler({ limit: 2, period: 10 });
  assert(throttler.tryAcquire());
  const starts = start(throttler, 1, 2);
  assertEquals(throttler.tryAcquire(), undefined); // though a token is there
  assertEquals(throttler.tryAcquire({ cost: 0 }), undefined);
  await time.tickAsync(10);
  assertEquals([starts, throttler.tryAcquire()], [[10], undefined]);
  await time.tickAsync(10);
  assert(throttler.tryAcquire({ cost: 2 }));
  assertEquals(throttler.tryAcquire(), undefined);
});

Deno.test('Throttler.tryAcquire() gives a permit whose disposal is the finish where refill is "after-finish"', async () => {
  using time = fakeClock();
  const throttler = new Throttler({ limit: 1, period: 10, refill: "after-finish" });
  const permit = throttler.tryAcquire();
  assertEquals(throttler.tryAcquire(), undefined);
  await time.tickAsync(100);
  assertEquals(throttler.tryAcquire(), undefined);
  permit![Symbol.dispose]();
  await time.tickAsync(10);
  assert(throttler.tryAcquire());
});

// waitTime

Deno.test("Throttler.waitTime() says how long a call that came now would wait", async () => {
  using time = fakeClock();
  const throttler = new Throttler({ limit: 2, period: 100 });
  assertEquals(throttler.waitTime(), 0);
  throttler.tryAcquire();
  assertEquals([throttler.waitTime(1), throttler.waitTime(2)], [0, 100]);
  await time.tickAsync(30);
  throttler.tryAcquire();
  assertEquals([throttler.waitTime(0), throttler.waitTime(1), throttler.waitTime(2)], [0, 70, 100]);
  await time.tickAsync(100);
  assertEquals(throttler.waitTime(2), 0);
});

for (
  const limit of [
    { limit: 3, period: 100 },
    { limit: 3, period: 100, refill: "after-finish" },
    { limit: 3, period: 100, refill: "steady", burst: 2 },
    { limit: 3, period: 100, refill: "steady", burst: 7 },
  ] as Limit[]
) {
  Deno.test(`Throttler.waitTime() counts those who wait already: ${Deno.inspect(limit)}`, async () => {
    using time = fakeClock();
    const throttler = new Throttler(limit);
    const told: number[] = [];
    const starts: number[] = [];
    for (let i = 0; i < 20; i++) {
      told.push(Math.ceil(time.now + throttler.waitTime()));
      throttler.run(() => starts.push(performance.now()));
      if (i % 4 === 0) await time.tickAsync(17);
    }
    // Stepwise, since the finish of a call is only seen between two steps.
    for (let i = 0; i < 100; i++) await time.tickAsync(10);
    if (limit.refill !== "after-finish") assertEquals(told, starts);
    for (const [i, at] of starts.entries()) assert(at >= told[i] - 10, `${at} for ${told[i]}`);
  });
}

Deno.test("Throttler.waitTime() is at least a period while it depends on calls that run", async () => {
  using time = fakeClock();
  const throttler = new Throttler({ limit: 1, period: 100, refill: "after-finish" });
  throttler.tryAcquire();
  await time.tickAsync(1_000);
  assertEquals(throttler.waitTime(), 100);
});

// pause

Deno.test("Throttler.pause() starts nothing for that long", async () => {
  using time = fakeClock();
  const throttler = new Throttler({ limit: 2, period: 10 });
  throttler.pause(100);
  assertEquals([throttler.tryAcquire({ cost: 0 }), throttler.waitTime(0)], [undefined, 100]);
  const starts = [start(throttler, 1, 0), start(throttler, 1), start(throttler, 2)];
  await time.tickAsync(99);
  assertEquals(starts, [[], [], []]);
  await time.tickAsync(1);
  assertEquals(starts, [[100], [100], [100]]);
});

Deno.test("Throttler.pause() stops those who wait already", async () => {
  using time = fakeClock();
  const throttler = new Throttler({ limit: 1, period: 10 });
  const starts = start(throttler, 3);
  await time.tickAsync(5);
  throttler.pause(45);
  await time.tickAsync(100);
  assertEquals(starts, [0, 50, 60]);
});

Deno.test("Throttler.pause() lets the pause that ends last win", async () => {
  using time = fakeClock();
  const throttler = new Throttler({ limit: 9, period: 10 });
  throttler.pause(50);
  throttler.pause(100);
  throttler.pause(20);
  throttler.pause(0);
  const starts = start(throttler, 1);
  await time.tickAsync(60);
  throttler.pause(30);
  await time.tickAsync(39);
  assertEquals(starts, []);
  await time.tickAsync(1);
  assertEquals(starts, [100]);
});

Deno.test("Throttler.pause() holds for calls that a call starts after pausing", async () => {
  using time = fakeClock();
  const throttler = new Throttler({ limit: 9, period: 10 });
  throttler.pause(5);
  const starts: number[] = [];
  for (let i = 0; i < 3; i++) {
    throttler.run(() => {
      starts.push(performance.now());
      throttler.pause(100);
    });
  }
  await time.tickAsync(1_000);
  assertEquals(starts, [5, 105, 205]);
});

Deno.test("Throttler.pause() stops for good where it is Infinity, without a timer", async () => {
  using time = fakeClock();
  const { live } = watchTimers();
  const throttler = new Throttler({ limit: 9, period: 10 });
  throttler.pause(Infinity);
  const starts = start(throttler, 1);
  assertEquals(live.size, 0);
  await time.tickAsync(DAY);
  assertEquals([starts, throttler.waitTime()], [[], Infinity]);
});

Deno.test("Throttler.pause() refuses a duration below 0 or not a number", () => {
  const throttler = new Throttler({ limit: 9, period: 10 });
  assertThrows(() => throttler.pause(-1), RangeError, "duration is -1");
  assertThrows(() => throttler.pause(NaN), RangeError, "duration is NaN");
  assertEquals(throttler.waitTime(), 0);
});

// sync

Deno.test("Throttler.sync() spends no more than remaining until the reset", async () => {
  using time = fakeClock();
  const throttler = new Throttler({ limit: 10, period: 1_000 });
  throttler.sync({ remaining: 3, resetIn: 5_000 });
  const starts = start(throttler, 20);
  await time.tickAsync(4_999);
  assertEquals(starts, [0, 0, 0]);
  await time.tickAsync(1);
  assertEquals(starts, [0, 0, 0, ...Array(10).fill(5_000)]);
});

Deno.test('Throttler.sync() spends no more than remaining until the reset where refill is "steady"', async () => {
  using time = fakeClock();
  const throttler = new Throttler({ limit: 10, period: 1_000, refill: "steady" });
  throttler.sync({ remaining: 2, resetIn: 500 });
  const starts = start(throttler, 4, 1);
  await time.tickAsync(499);
  assertEquals(starts, [0, 0]);
  await time.tickAsync(1);
  assertEquals(starts, [0, 0, 500, 500]);
});

Deno.test("Throttler.sync() never loosens", async () => {
  using time = fakeClock();
  const throttler = new Throttler({ limit: 5, period: 1_000 });
  start(throttler, 5);
  throttler.sync({ remaining: 5, resetIn: 100 });
  throttler.sync({ remaining: 5 });
  throttler.sync({ used: 0 });
  assertEquals(throttler.waitTime(), 1_000);
  throttler.sync({ remaining: 0, resetIn: 3_000 });
  throttler.sync({ remaining: 4, resetIn: 3_000 });
  throttler.sync({ remaining: 0, resetIn: 0 });
  await time.tickAsync(2_999);
  assertEquals(start(throttler, 1), []);
});

Deno.test("Throttler.sync() spends what is left beside calls that have started already", async () => {
  using time = fakeClock();
  const throttler = new Throttler({ limit: 100, period: 10, refill: "after-finish" });
  throttler.tryAcquire();
  throttler.sync({ remaining: 2, resetIn: 1_000 });
  const starts = start(throttler, 3);
  await time.tickAsync(1_000);
  assertEquals(starts, [0, 0, 1_000]);
});

Deno.test("Throttler.sync() stops everything until the reset where a missing header is made 0", async () => {
  using time = fakeClock();
  const throttler = new Throttler({ limit: 100, period: 10 });
  const header = new Headers().get("remaining");
  throttler.sync({ remaining: Number(header), resetIn: 500 });
  const starts = start(throttler, 1);
  await time.tickAsync(500);
  assertEquals(starts, [500]);
});

Deno.test("Throttler.sync() keeps a count for each reset, and the tightest holds", async () => {
  using time = fakeClock();
  const throttler = new Throttler({ limit: 100, period: 10 });
  throttler.sync({ remaining: 1, resetIn: 100 });
  throttler.sync({ remaining: 4, resetIn: 200 });
  const starts = start(throttler, 6);
  await time.tickAsync(199);
  assertEquals(starts, [0, 100, 100, 100]);
  await time.tickAsync(1);
  assertEquals(starts, [0, 100, 100, 100, 200, 200]);
});

Deno.test("Throttler.sync() makes up for what others used", async () => {
  using time = fakeClock();
  const throttler = new Throttler({ limit: 10, period: 1_000 });
  start(throttler, 2);
  await time.tickAsync(400);
  throttler.sync({ used: 8 }); // 6 of them are not ours
  const starts = start(throttler, 11);
  await time.tickAsync(2_000);
  assertEquals(starts.slice(0, 4), [400, 400, 1_000, 1_000]);
  assertEquals(starts.slice(4, 10), Array(6).fill(1_400));
});

Deno.test("Throttler.sync() takes a count above the limit as nothing left", () => {
  using _time = fakeClock();
  const throttler = new Throttler({ limit: 10, period: 1_000 });
  throttler.sync({ used: 25 });
  assertEquals(throttler.waitTime(), 1_000);
});

Deno.test("Throttler.sync() charges nothing twice when the same count comes again", () => {
  using _time = fakeClock();
  const throttler = new Throttler({ limit: 10, period: 1_000 });
  for (let i = 0; i < 5; i++) throttler.sync({ used: 8 });
  for (let i = 0; i < 5; i++) throttler.sync({ remaining: 2, resetIn: 1_000 });
  assertEquals(start(throttler, 3).length, 2);
});

Deno.test('Throttler.sync() counts the calls that run where refill is "after-finish"', async () => {
  using time = fakeClock();
  const throttler = new Throttler({ limit: 10, period: 1_000, refill: "after-finish" });
  for (let i = 0; i < 4; i++) throttler.tryAcquire();
  throttler.sync({ used: 7 });
  assertEquals(start(throttler, 9).length, 3);
  await time.tickAsync(10_000); // lets those three finish on this clock
});

Deno.test("Throttler.sync() speaks of the longest limit unless a period is given", () => {
  using _time = fakeClock();
  const limits = [{ limit: 50, period: 60_000 }, { limit: 10, period: 1_000 }];
  const longest = new Throttler(limits);
  longest.sync({ used: 45 });
  assertEquals(start(longest, 9).length, 5);
  const shortest = new Throttler(limits);
  shortest.sync({ used: 4, period: 1_000 });
  assertEquals(start(shortest, 9).length, 6);
});

Deno.test("Throttler.sync() returns by how much the venue counts more than we do", () => {
  using _time = fakeClock();
  const throttler = new Throttler({ limit: 10, period: 1_000 });
  start(throttler, 2);
  assertEquals(throttler.sync({ used: 2 }), 0);
  assertEquals(throttler.sync({ used: 1 }), 0); // it has not counted one of them yet
  assertEquals(throttler.sync({ remaining: 8, resetIn: 500 }), 0);
  assertEquals(throttler.sync({ used: 5 }), 3);
  assertEquals(throttler.sync({ used: 5 }), 0);
  assertEquals(throttler.available, 5);
});

Deno.test("Throttler.sync() returns an excess once, also where the venue tells its reset", async () => {
  using time = fakeClock();
  const throttler = new Throttler({ limit: 10, period: 1_000 });
  throttler.pause(100); // which counts no tokens
  assertEquals(throttler.sync({ remaining: 3, resetIn: 500 }), 7);
  assertEquals(throttler.sync({ remaining: 3, resetIn: 500 }), 0);
  await time.tickAsync(100);
  start(throttler, 1);
  assertEquals(throttler.sync({ remaining: 2, resetIn: 400 }), 0);
  assertEquals(throttler.sync({ remaining: 0, resetIn: 400 }), 2);
  await time.tickAsync(400);
  assertEquals(throttler.sync({ remaining: 7, resetIn: 1_000 }), 2); // one of the three was ours
});

Deno.test("Throttler.sync() without a reset charges all that is missing, though a count caps it already", async () => {
  using time = fakeClock();
  const throttler = new Throttler({ limit: 10, period: 1_000 });
  throttler.sync({ remaining: 3, resetIn: 100 });
  assertEquals(throttler.sync({ used: 8 }), 1);
  await time.tickAsync(100);
  assertEquals(throttler.available, 2);
});

Deno.test("Throttler.sync() refuses counts that are missing, negative, or of an unknown limit", () => {
  const throttler = new Throttler({ limit: 10, period: 1_000 });
  for (
    const [count, words] of [
      [{}, "remaining and used are missing, wanted one of them"],
      [{ remaining: -1 }, "remaining is -1, wanted a number >= 0"],
      [{ used: NaN }, "used is NaN, wanted a number >= 0"],
      [{ used: 1, resetIn: -1 }, "resetIn is -1, wanted milliseconds >= 0"],
      [{ used: 1, period: 7 }, "period is 7, wanted that of a limit: 1000"],
    ] as const
  ) assertThrows(() => throttler.sync(count), RangeError, words);
  assertEquals(throttler.waitTime(10), 0);
});

// update

Deno.test("Throttler.update() lets those who wait go where it raises the limit", async () => {
  using time = fakeClock();
  const throttler = new Throttler({ limit: 2, period: 1_000 });
  const starts = start(throttler, 9);
  await time.tickAsync(100);
  throttler.update({ limit: 5, period: 1_000 });
  assertEquals(starts, [0, 0, 100, 100, 100]);
  await time.tickAsync(1_000);
  assertEquals(starts, [0, 0, 100, 100, 100, 1_000, 1_000, 1_100, 1_100]);
});

Deno.test("Throttler.update() counts what was spent already where it lowers the limit", async () => {
  using time = fakeClock();
  const throttler = new Throttler({ limit: 5, period: 1_000 });
  start(throttler, 3);
  await time.tickAsync(500);
  start(throttler, 2);
  throttler.update({ limit: 2, period: 1_000 });
  const starts = start(throttler, 3);
  await time.tickAsync(2_000);
  assertEquals(starts, [1_500, 1_500, 2_500]);
});

Deno.test("Throttler.update() counts by the new period from the old starts", async () => {
  using time = fakeClock();
  const throttler = new Throttler([{ limit: 2, period: 100 }, { limit: 9, period: 1_000 }]);
  start(throttler, 2);
  await time.tickAsync(100);
  start(throttler, 2);
  throttler.update({ limit: 4, period: 500 });
  const starts = start(throttler, 3);
  await time.tickAsync(1_000);
  assertEquals(starts, [500, 500, 600]);
});

Deno.test("Throttler.update() remembers each start where any of the old limits does", async () => {
  using time = fakeClock();
  const throttler = new Throttler([
    { limit: 2, period: 1_000 },
    { limit: 6_000, period: 60_000, refill: "steady" }, // has forgotten them 20 ms later
  ]);
  start(throttler, 2);
  await time.tickAsync(100);
  throttler.update({ limit: 2, period: 1_000 });
  assertEquals(throttler.waitTime(), 900);
});

Deno.test("Throttler.update() remembers across a change of refill", async () => {
  using time = fakeClock();
  const throttler = new Throttler({ limit: 2, period: 100, refill: "steady" });
  start(throttler, 2);
  throttler.update({ limit: 2, period: 100 });
  assertEquals(throttler.waitTime(), 100);
  throttler.update({ limit: 2, period: 100, refill: "steady" });
  assertEquals(throttler.waitTime(), 50);
  await time.tickAsync(50);
  assert(throttler.tryAcquire());
  assertEquals(throttler.tryAcquire(), undefined);
});

Deno.test("Throttler.update() remembers the calls that run", async () => {
  using time = fakeClock();
  const throttler = new Throttler({ limit: 2, period: 100, refill: "after-finish" });
  const permits = [throttler.tryAcquire(), throttler.tryAcquire()];
  throttler.update({ limit: 2, period: 100, refill: "after-finish" });
  assertEquals(throttler.tryAcquire(), undefined);
  await time.tickAsync(1_000);
  throttler.update({ limit: 2, period: 100 });
  assertEquals(throttler.waitTime(), 100); // as if they had started now
  for (const permit of permits) permit![Symbol.dispose]();
  await time.tickAsync(100);
  assertEquals([throttler.tryAcquire(), throttler.tryAcquire()].includes(undefined), false);
  assertEquals(throttler.tryAcquire(), undefined);
});

Deno.test("Throttler.update() remembers finishes beside a longer limit that counts starts", async () => {
  using time = fakeClock();
  const limits: Limit[] = [
    { limit: 1, period: 300, refill: "after-finish" },
    { limit: 100, period: 5_000 },
  ];
  const throttler = new Throttler(limits);
  const permit = throttler.tryAcquire();
  await time.tickAsync(600);
  permit![Symbol.dispose]();
  await time.tickAsync(20);
  throttler.update(limits);
  assertEquals(throttler.waitTime(), 280);
  throttler.update([{ limit: 1, period: 400, refill: "after-finish" }, limits[1]]);
  assertEquals(throttler.waitTime(), 380);
  throttler.update({ limit: 1, period: 500 });
  assertEquals(throttler.waitTime(), 480);
});

Deno.test('Throttler.update() remembers what a "steady" limit has not got back beside a window', async () => {
  using time = fakeClock();
  const steady: Limit = { limit: 1, period: 1_000, refill: "steady", burst: 5 };
  const window: Limit = { limit: 100, period: 1_500 };
  const throttler = new Throttler([steady, window]);
  assertEquals(start(throttler, 5).length, 5);
  await time.tickAsync(1_700);
  throttler.update([steady, window]);
  assertEquals([throttler.waitTime(1), throttler.waitTime(2)], [0, 300]);
  throttler.update([window, { ...steady, burst: 6 }]); // 4 are missing still
  assertEquals([throttler.waitTime(2), throttler.waitTime(3)], [0, 1_000]);
  throttler.update({ limit: 5, period: 500 });
  assertEquals([throttler.waitTime(1), throttler.waitTime(2)], [0, 500]);
});

Deno.test("Throttler.update() counts what two limits remember once", async () => {
  using time = fakeClock();
  const throttler = new Throttler([
    { limit: 9, period: 1_000 },
    { limit: 1, period: 100, refill: "steady", burst: 9 },
  ]);
  start(throttler, 3);
  await time.tickAsync(100); // a steady token is back
  throttler.update({ limit: 9, period: 500 });
  assertEquals(start(throttler, 9).length, 6);
});

Deno.test("Throttler.update() goes on with the memory of the limit of the same refill and period", async () => {
  using time = fakeClock();
  const limits: Limit[] = [
    { limit: 9, period: 1_000 },
    { limit: 9, period: 1_000, refill: "after-finish" },
  ];
  const throttler = new Throttler(limits);
  const permit = throttler.tryAcquire();
  await time.tickAsync(600);
  permit![Symbol.dispose]();
  await time.tickAsync(20);
  throttler.update(limits.map((limit) => ({ ...limit, limit: 2 })));
  assertEquals([throttler.waitTime(1), throttler.waitTime(2)], [0, 980]);
  throttler.update([{ limit: 1, period: 1_000 }, limits[1]]);
  assertEquals(throttler.waitTime(), 380);
});

Deno.test("Throttler.update() changes nothing where a limit stays as it is", async () => {
  using time = fakeClock();
  const limits: Limit[] = [
    { limit: 1, period: 100, refill: "steady", burst: 2 },
    { limit: 9, period: 100, refill: "after-finish" },
    { limit: 9, period: 100 },
  ];
  const throttler = new Throttler(limits);
  const starts = start(throttler, 4);
  for (let i = 0; i < 10; i++) {
    await time.tickAsync(30);
    throttler.update([...limits, limits[0]]); // one that is named twice charges once
  }
  assertEquals(starts, [0, 0, 100, 200]);
});

Deno.test("Throttler.update() charges a call that is being started once", () => {
  using _time = fakeClock();
  const throttler = new Throttler({ limit: 2, period: 100, refill: "after-finish" });
  throttler.run(() => throttler.update({ limit: 2, period: 100 }));
  assertEquals([throttler.waitTime(1), throttler.waitTime(2)], [0, 100]);
});

Deno.test("Throttler.update() charges a start of the same tick only what it cost", () => {
  using clock = new VirtualClock(0.5 / 1_024, () => 0);
  const throttler = new Throttler({ limit: 1, period: 100, refill: "steady" });
  throttler.tryAcquire();
  throttler.update({ limit: 2, period: 100, refill: "steady", burst: 1 }); // in the tick of the start
  clock.now = 51;
  assert(throttler.tryAcquire());
});

Deno.test("Throttler.update() rejects a call whose cost is now above the capacity", async () => {
  using time = fakeClock();
  const throttler = new Throttler({ limit: 5, period: 100 });
  start(throttler, 1, 5);
  const dear = throttler.run(() => {}, { cost: 4 });
  const cheap = start(throttler, 2, 1);
  throttler.update({ limit: 3, period: 100 });
  await assertRejects(
    () => dear,
    RangeError,
    "cost is 4, wanted an integer from 0 to 3, the limit per 100 ms",
  );
  assertEquals(throttler.size, 2);
  await time.tickAsync(100);
  assertEquals(cheap, [100, 100]);
});

Deno.test("Throttler.update() changes nothing where the new limits are refused", () => {
  using _time = fakeClock();
  const throttler = new Throttler({ limit: 5, period: 100 });
  assertThrows(() => throttler.update([]), RangeError);
  assertThrows(
    () => throttler.update([{ limit: 1, period: 1 }, { limit: 0, period: 1 }]),
    RangeError,
  );
  assertEquals(start(throttler, 9).length, 5);
});

Deno.test("Throttler.update() may be called by the call that is being started", async () => {
  using time = fakeClock();
  const throttler = new Throttler({ limit: 1, period: 100 });
  throttler.run(() => throttler.update({ limit: 1, period: 50, refill: "after-finish" }));
  const starts = start(throttler, 1);
  for (let i = 0; i < 10; i++) await time.tickAsync(10);
  assertEquals(starts, [50]);
});

// close

Deno.test("Throttler.close() rejects those who wait, and those who come", async () => {
  using _time = fakeClock();
  const { live } = watchTimers();
  const throttler = new Throttler({ limit: 1, period: 10 });
  const running = throttler.run(() => "goes on");
  const controller = new AbortController();
  const listeners = watchListeners(controller.signal);
  const waiting = throttler.run(() => "never", { signal: controller.signal });
  throttler.close();
  assertEquals([throttler.size, live.size, listeners()], [0, 0, 0]);
  for (
    const call of [
      () => waiting,
      () => throttler.run(() => "never"),
      () => throttler.acquire(),
      () => runAll([throttler], () => "never"),
      () => Promise.try(() => throttler.tryAcquire()),
    ]
  ) {
    const error = await assertRejects(call as () => Promise<unknown>, ThrottlerError);
    assertEquals([error.name, error.kind], ["ThrottlerError", "closed"]);
    assertEquals(error.message, "Cannot start a call: the throttler is closed");
  }
  assertEquals(await running, "goes on");
});

Deno.test("Throttler.close() rejects with the first reason given", async () => {
  using _time = fakeClock();
  const throttler = new Throttler({ limit: 1, period: 10 });
  throttler.tryAcquire();
  const waiting = throttler.run(() => {});
  const reason = new Error("venue is gone");
  throttler.close(reason);
  throttler.close(new Error("another"));
  assertStrictEquals(await assertRejects(() => waiting), reason);
  assertStrictEquals(await assertRejects(() => throttler.run(() => {})), reason);
});

Deno.test("Throttler.close() starts nobody, even where a dear call kept cheap ones waiting", () => {
  using _time = fakeClock();
  const throttler = new Throttler({ limit: 2, period: 10 });
  start(throttler, 1);
  start(throttler, 1, 2);
  const cheap = start(throttler, 3);
  throttler.close();
  assertEquals(cheap, []);
});

Deno.test("Throttler.close() may be called by a call that is being started", async () => {
  using time = fakeClock();
  const throttler = new Throttler({ limit: 9, period: 10 });
  throttler.pause(10);
  throttler.run(() => throttler.close());
  const starts = start(throttler, 3);
  await time.tickAsync(100);
  assertEquals(starts, []);
});

Deno.test("Throttler[Symbol.asyncDispose]() closes", async () => {
  const throttler = new Throttler({ limit: 1, period: 10 });
  {
    await using _scope = throttler;
  }
  await assertRejects(() => throttler.run(() => {}), ThrottlerError, "closed");
});

// runAll

/** Like `start`, over several throttlers. */
function startAll(throttlers: Throttler[], count: number): number[] {
  const starts: number[] = [];
  for (let i = 0; i < count; i++) {
    runAll(throttlers, () => starts.push(performance.now())).catch(() => {});
  }
  return starts;
}

/** Ticks in steps, since `runAll` takes its turns between two of them. */
async function tickSlowly(time: FakeTime, duration: number, step = 10): Promise<void> {
  for (let i = 0; i < duration; i += step) {
    await time.tickAsync(step);
    await time.runMicrotasks();
  }
}

Deno.test("runAll() calls fn at once where there is no throttler", async () => {
  let called = false;
  const call = runAll([], () => {
    called = true;
    return "sent";
  });
  assert(called);
  assertEquals(await call, "sent");
});

Deno.test("runAll() starts the call at once, before it returns, where every throttler allows it", () => {
  using _time = fakeClock();
  const [a, b] = [new Throttler({ limit: 2, period: 10 }), new Throttler({ limit: 1, period: 20 })];
  assertEquals(startAll([a, b], 2), [0]);
  assertEquals([a.waitTime(), b.waitTime()], [0, 40]);
});

Deno.test("runAll() waits for all of its throttlers and charges all of them", async () => {
  using time = fakeClock();
  const [a, b] = [new Throttler({ limit: 1, period: 10 }), new Throttler({ limit: 2, period: 50 })];
  const starts = startAll([a, b], 5);
  await tickSlowly(time, 200);
  assertEquals(starts, [0, 10, 50, 60, 100]);
});

Deno.test("runAll() charges a throttler that is given twice once", () => {
  using _time = fakeClock();
  const throttler = new Throttler({ limit: 2, period: 10 });
  assertEquals(startAll([throttler, throttler], 3), [0, 0]);
});

Deno.test("runAll() stamps the start in all of them after fn has run", async () => {
  using time = fakeClock();
  const all = [10, 100].map((period) => new Throttler({ limit: 1, period }));
  runAll(all, () => {
    time.now = 40;
  });
  assertEquals(all.map((throttler) => throttler.waitTime()), [10, 100]);
  await time.tickAsync(0);
});

Deno.test('runAll() stamps the finish in those whose refill is "after-finish"', async () => {
  using time = fakeClock();
  const all = [
    new Throttler({ limit: 1, period: 10 }),
    new Throttler({ limit: 1, period: 10, refill: "after-finish" }),
  ];
  const call = Promise.withResolvers<void>();
  runAll(all, () => call.promise);
  await time.tickAsync(100);
  assertEquals(all.map((throttler) => throttler.waitTime()), [0, 10]);
  assertEquals(all[1].tryAcquire(), undefined);
  call.resolve();
  await time.tickAsync(10);
  assert(all[1].tryAcquire());
});

Deno.test("runAll() rejects with what fn throws, and charges it", async () => {
  using _time = fakeClock();
  const all = [10, 20].map((period) => new Throttler({ limit: 1, period }));
  const error = new Error("refused");
  const call = runAll(all, () => {
    throw error;
  });
  assertStrictEquals(await assertRejects(() => call), error);
  assertEquals(all.map((throttler) => throttler.waitTime()), [10, 20]);
});

Deno.test("runAll() does not hold back others where it waits elsewhere", async () => {
  using time = fakeClock();
  const orders = new Throttler({ limit: 1, period: 10_000 });
  const everything = new Throttler({ limit: 1, period: 10 });
  const sent = startAll([everything, orders], 3);
  await tickSlowly(time, 10);
  const data = startAll([everything], 5);
  await tickSlowly(time, 100);
  assertEquals([sent, data], [[0], [10, 20, 30, 40, 50]]);
});

Deno.test("runAll() keeps its turn: others cannot pass for ever", async () => {
  using time = fakeClock();
  // The tokens of the two are never there at the same moment unless one is kept for the call.
  const [a, b] = [
    new Throttler({ limit: 1, period: 100 }),
    new Throttler({ limit: 1, period: 100 }),
  ];
  start(a, 1);
  await time.tickAsync(50);
  start(b, 1);
  const joint = startAll([a, b], 1);
  const alone = [start(a, 30), start(b, 30)];
  await tickSlowly(time, 1_000);
  assertEquals(joint.length, 1);
  assert(joint[0] <= 250, `${joint[0]}`);
  assert(alone[0].length >= 8 && alone[1].length >= 8, "the others still go on");
});

Deno.test("runAll() cannot block when calls take the same throttlers in different orders", async () => {
  using time = fakeClock();
  const [a, b, c] = [30, 40, 50].map((period) => new Throttler({ limit: 1, period }));
  const lists = [[a, b, c], [c, b, a], [b, a], [a, c], [c, a, b], [b, c]];
  const starts = lists.flatMap((list) => [startAll(list, 5)]);
  await tickSlowly(time, 30 * 60);
  assertEquals(starts.map(({ length }) => length), Array(6).fill(5));
});

Deno.test("runAll() charges nobody where one of the throttlers refuses the cost", async () => {
  const [a, b] = [new Throttler({ limit: 5, period: 10 }), new Throttler({ limit: 2, period: 10 })];
  await assertRejects(() => runAll([a, b], () => {}, { cost: 3 }), RangeError, "from 0 to 2");
  assertEquals([a.waitTime(5), b.waitTime(2), a.size, b.size], [0, 0, 0, 0]);
});

Deno.test("runAll() charges nobody where one of the throttlers has no room", async () => {
  using _time = fakeClock();
  const a = new Throttler({ limit: 5, period: 10 });
  const b = new Throttler({ limit: 1, period: 10, maxQueue: 0 });
  b.tryAcquire();
  await assertRejects(() => runAll([a, b], () => {}), ThrottlerError, "maxQueue is 0");
  assertEquals([a.waitTime(5), a.size, b.size], [0, 0, 0]);
});

Deno.test("runAll() charges nobody where one of the throttlers is closed", async () => {
  const [a, b] = [new Throttler({ limit: 5, period: 10 }), new Throttler({ limit: 1, period: 10 })];
  b.close();
  await assertRejects(() => runAll([a, b], () => {}), ThrottlerError, "closed");
  assertEquals([a.waitTime(5), a.size], [0, 0]);
});

Deno.test("runAll() charges nobody where the wait is aborted, and leaves no trace", async () => {
  using time = fakeClock();
  const { live } = watchTimers();
  const [a, b] = [new Throttler({ limit: 5, period: 10 }), new Throttler({ limit: 1, period: 90 })];
  b.tryAcquire();
  const controller = new AbortController();
  const listeners = watchListeners(controller.signal);
  const call = runAll([a, b], () => {}, { signal: controller.signal });
  assertEquals([a.size, b.size, live.size, listeners()], [1, 1, 1, 1]);
  assertEquals(a.waitTime(5), 0); // where it does not wait, it holds nothing
  const reason = new Error("no");
  controller.abort(reason);
  assertStrictEquals(await assertRejects(() => call), reason);
  assertEquals([a.size, b.size, live.size, listeners()], [0, 0, 0, 0]);
  await time.tickAsync(90);
  assertEquals([a.waitTime(5), b.waitTime()], [0, 0]);
  const late = runAll([a, b], () => {}, { signal: controller.signal });
  assertStrictEquals(await assertRejects(() => late), reason);
});

Deno.test("runAll() takes its listener off the signal once the call starts", async () => {
  using time = fakeClock();
  const all = [10, 20].map((period) => new Throttler({ limit: 1, period }));
  const controller = new AbortController();
  const listeners = watchListeners(controller.signal);
  const calls = [1, 2, 3].map((n) => runAll(all, () => n, { signal: controller.signal }));
  assertEquals(listeners(), 1);
  await tickSlowly(time, 50);
  assertEquals([listeners(), ...all.map(({ size }) => size)], [0, 0, 0]);
  assertEquals(await Promise.all(calls), [1, 2, 3]);
});

Deno.test("runAll() lets go of a turn that it has when it is aborted", async () => {
  using time = fakeClock();
  const [a, b] = [
    new Throttler({ limit: 1, period: 100 }),
    new Throttler({ limit: 1, period: 90 }),
  ];
  a.tryAcquire();
  const controller = new AbortController();
  const call = runAll([a, b], () => {}, { signal: controller.signal });
  await time.tickAsync(50);
  b.tryAcquire();
  await time.tickAsync(50); // its turn in `a` has come, in `b` it waits until 140
  const next = start(a, 1);
  await time.tickAsync(20);
  assertEquals(next, []);
  controller.abort();
  await assertRejects(() => call);
  assertEquals(next, [120]);
});

Deno.test("runAll() does not start a call that is aborted when its turn has just come", async () => {
  using time = fakeClock();
  const all = [10, 20].map((period) => new Throttler({ limit: 1, period }));
  for (const throttler of all) throttler.tryAcquire();
  const controller = new AbortController();
  const call = runAll(all, () => {}, { signal: controller.signal });
  time.tick(20); // the turn comes here; the call is told between two tasks
  controller.abort("no");
  assertEquals(await call.catch((reason) => reason), "no");
  assertEquals(all.map((throttler) => throttler.waitTime()), [0, 0]);
});

for (const which of [0, 1]) {
  Deno.test(`runAll() is rejected when throttler ${which} of those it waits for is closed`, async () => {
    using _time = fakeClock();
    const all = [new Throttler({ limit: 5, period: 10 }), new Throttler({ limit: 1, period: DAY })];
    all[1].tryAcquire();
    const call = runAll(all, () => {});
    const reason = new Error("over");
    all[which].close(reason);
    assertStrictEquals(await assertRejects(() => call), reason);
    assertEquals(all.map(({ size }) => size), [0, 0]);
  });
}

for (const which of [0, 1]) {
  Deno.test(`runAll() is rejected when an update of throttler ${which} leaves no room for its cost`, async () => {
    using time = fakeClock();
    const all = [new Throttler({ limit: 5, period: 10 }), new Throttler({ limit: 5, period: 100 })];
    all[1].tryAcquire();
    const call = assertRejects(() => runAll(all, () => {}, { cost: 5 }), RangeError, "cost is 5");
    all[which].update({ limit: 4, period: 10 });
    await tickSlowly(time, 200);
    await call;
    assertEquals(all.map(({ size }) => size), [0, 0]);
  });
}

Deno.test("runAll() waits for a pause of any of them", async () => {
  using time = fakeClock();
  const all = [10, 20].map((period) => new Throttler({ limit: 5, period }));
  all[0].pause(50);
  const starts = startAll(all, 1);
  await time.tickAsync(40);
  all[1].pause(60);
  await tickSlowly(time, 100);
  assertEquals(starts, [100]);
});

Deno.test("ThrottlerError is an Error with a name and a kind", () => {
  const error = new ThrottlerError("full", "Cannot");
  assertInstanceOf(error, Error);
  assertNotStrictEquals(error.name, Error.name);
  assertEquals([error.name, error.kind, error.message], ["ThrottlerError", "full", "Cannot"]);
});
