/**
 * The part of `@std` that this repository relies on. These tests pass with the real packages and with
 * the stand-ins of `tools/std/`, so a test that passes with one passes with the other.
 */

import * as std from "@std/assert";
import { delay } from "@std/async/delay";
import { FakeTime } from "@std/testing/time";
import assert from "node:assert/strict";
import { setImmediate } from "node:timers";

/** The message of an assertion that must fail; with `msg` that is part of it. */
function failure(name: string, args: unknown[]): string {
  try {
    call(name, args);
  } catch (error) {
    assert.ok(error instanceof std.AssertionError, `${name} failed with ${error}`);
    assert.equal(error.name, "AssertionError");
    return error.message;
  }
  assert.fail(`${name}(${args.map(String).join(", ")}) passed`);
}

function call(name: string, args: unknown[]): unknown {
  return (std as unknown as Record<string, (...args: unknown[]) => unknown>)[name](...args);
}

class Point {
  #x: number;
  constructor(x: number) {
    this.#x = x;
  }
  get x(): number {
    return this.#x;
  }
}

function circle(value: number): object {
  const object: Record<string, unknown> = { value };
  object.self = object;
  return object;
}

const equal: [unknown, unknown][] = [
  [1, 1],
  [0, -0],
  [NaN, NaN],
  ["a", "a"],
  [12345678901234567890n, 12345678901234567890n],
  [undefined, undefined],
  [{ a: [1, { b: 2 }] }, { a: [1, { b: 2 }] }],
  [{ a: 1, b: 2 }, { b: 2, a: 1 }],
  [Object.assign(Object.create(null), { a: 1 }), { a: 1 }],
  [new Date(5), new Date(5)],
  [/a/g, /a/g],
  [/a/g, Object.assign(/a/g, { lastIndex: 1 })],
  [new URL("http://a/"), new URL("http://a/")],
  [new URLSearchParams("a=1"), new URLSearchParams("a=1")],
  [new Uint8Array([1, 2]), new Uint8Array([1, 2])],
  [new Uint8Array([1, 2]).buffer, new Uint8Array([1, 2]).buffer],
  [new Map([["a", { b: 1 }]]), new Map([["a", { b: 1 }]])],
  [new Map([["a", 1], ["b", 2]]), new Map([["b", 2], ["a", 1]])],
  [new Set([1, 2]), new Set([2, 1])],
  [new Set([{ a: 1 }]), new Set([{ a: 1 }])],
  [new Point(1), new Point(1)],
  [circle(1), circle(1)],
];

const unequal: [unknown, unknown][] = [
  [1, 2],
  [1, "1"],
  [1, 1n],
  [null, undefined],
  [{}, null],
  [{ a: 1 }, { a: 2 }],
  [{ a: undefined }, {}],
  [{}, { a: undefined }],
  [{ a: undefined }, { b: undefined }],
  [{ [Symbol.for("a")]: 1 }, { [Symbol.for("a")]: 2 }],
  [[1, 2], [2, 1]],
  [[1], [1, 2]],
  [[], {}],
  [new Date(5), new Date(6)],
  [/a/g, /a/i],
  [new URL("http://a/"), new URL("http://b/")],
  [new URLSearchParams("a=1"), new URLSearchParams("a=2")],
  [new Uint8Array([1, 2]), new Uint8Array([1, 3])],
  [new Uint8Array([1]), new Int8Array([1])],
  [new Uint8Array([1, 2]).buffer, new Uint8Array([1, 3]).buffer],
  [new Map([["a", { b: 1 }]]), new Map([["a", { b: 2 }]])],
  [new Map([["a", 1]]), new Map([["a", 1], ["b", 2]])],
  [new Set([1, 2]), new Set([1, 3])],
  [new Point(1), new Point(2)],
  [new Point(1), { x: 1 }],
  [new TypeError("a"), new RangeError("a")],
  [new Error("a"), new Error("b")],
  [circle(1), circle(2)],
  [() => 1, () => 1],
];

/** By assertion: arguments that pass, and arguments that fail. */
const contract: Record<string, { passes: unknown[][]; fails: unknown[][] }> = {
  assert: { passes: [[true], [1], ["a"], [{}]], fails: [[false], [0], [""], [null], [undefined]] },
  assertFalse: { passes: [[false], [0], [""], [null]], fails: [[true], [1], [{}]] },
  assertEquals: { passes: equal, fails: unequal },
  assertNotEquals: { passes: unequal, fails: equal },
  assertStrictEquals: {
    passes: [[1, 1], [NaN, NaN], ["a", "a"], [Point, Point]],
    fails: [[1, 2], [0, -0], [{}, {}], [1, "1"]],
  },
  assertNotStrictEquals: {
    passes: [[1, 2], [0, -0], [{}, {}]],
    fails: [[1, 1], [NaN, NaN], [Point, Point]],
  },
  assertGreaterOrEqual: { passes: [[2, 1], [1, 1]], fails: [[1, 2], [NaN, 1]] },
  assertLess: { passes: [[1, 2], ["a", "b"]], fails: [[1, 1], [2, 1], [NaN, 1]] },
  assertLessOrEqual: { passes: [[1, 2], [1, 1]], fails: [[2, 1], [NaN, 1]] },
  assertInstanceOf: {
    passes: [[new TypeError(), Error], [new Point(1), Point], [[], Array]],
    fails: [[new Error(), TypeError], [null, Object], [1, Number], [undefined, Point]],
  },
  assertMatch: { passes: [["abc", /b/]], fails: [["abc", /d/]] },
  assertStringIncludes: { passes: [["abc", "bc"], ["abc", ""]], fails: [["abc", "cb"]] },
};

/** The position of the message among the arguments, where it is not 2. */
const messageAt: Record<string, number> = { assert: 1, assertFalse: 1 };

for (const [name, { passes, fails }] of Object.entries(contract)) {
  Deno.test(`@std/assert ${name}() passes and fails as it should`, () => {
    for (const args of passes) call(name, args);
    for (const args of fails) failure(name, args);
  });

  Deno.test(`@std/assert ${name}() says the message that it was given`, () => {
    const args = [...fails[0]];
    args[messageAt[name] ?? 2] = "seen on Tuesday";
    assert.match(failure(name, args), /seen on Tuesday/);
  });
}

Deno.test("@std/assert assertThrows() returns the error", () => {
  const error = new TypeError("no such order");
  const thrower = () => {
    throw error;
  };
  assert.equal(std.assertThrows(thrower), error);
  assert.equal(std.assertThrows(thrower, "a message"), error);
  assert.equal(std.assertThrows(thrower, TypeError), error);
  assert.equal(std.assertThrows(thrower, Error, "such order"), error);
  assert.equal(std.assertThrows(() => JSON.parse("{") as unknown, SyntaxError).name, "SyntaxError");
});

Deno.test("@std/assert assertThrows() fails without a throw, on another class and on another message", () => {
  const thrower = () => {
    throw new TypeError("no such order");
  };
  failure("assertThrows", [() => {}]);
  failure("assertThrows", [() => {}, Error]);
  assert.match(failure("assertThrows", [() => {}, "seen on Tuesday"]), /seen on Tuesday/);
  failure("assertThrows", [thrower, RangeError]);
  failure("assertThrows", [thrower, TypeError, "such a thing"]);
  failure("assertThrows", [() => {
    throw "a string";
  }, Error]);
});

Deno.test("@std/assert assertRejects() resolves to the error", async () => {
  const error = new TypeError("no such order");
  const rejecter = () => Promise.reject(error);
  assert.equal(await std.assertRejects(rejecter), error);
  assert.equal(await std.assertRejects(rejecter, "a message"), error);
  assert.equal(await std.assertRejects(rejecter, TypeError), error);
  assert.equal(await std.assertRejects(rejecter, Error, "such order"), error);
  assert.equal(await std.assertRejects(() => Promise.reject("a string")), "a string");
});

Deno.test("@std/assert assertRejects() fails on a resolve, a throw, another class and another message", async () => {
  const rejecter = () => Promise.reject(new TypeError("no such order"));
  const refused: unknown[][] = [
    [() => Promise.resolve()],
    [() => Promise.resolve(), Error],
    [() => {
      throw new TypeError("no such order");
    }, TypeError],
    [rejecter, RangeError],
    [rejecter, TypeError, "such a thing"],
    [() => Promise.reject("a string"), Error],
    [() => 5],
  ];
  for (const args of refused) {
    await assert.rejects(call("assertRejects", args) as Promise<unknown>, std.AssertionError);
  }
});

Deno.test("@std/async delay() resolves after the time", async () => {
  using time = new FakeTime(0);
  const done: number[] = [];
  const waits = [0, 5.9, -3, NaN, 100].map((ms) => delay(ms).then(() => done.push(ms)));
  await time.tickAsync(5);
  await time.runMicrotasks();
  assert.deepEqual(done, [0, -3, NaN, 5.9]);
  await time.tickAsync(94);
  await time.runMicrotasks();
  assert.equal(done.length, 4);
  await time.tickAsync(1);
  await Promise.all(waits);
});

Deno.test("@std/async delay() holds longer than a timer of the platform can", async () => {
  using time = new FakeTime(0);
  const set = globalThis.setTimeout;
  const armed: number[] = [];
  globalThis.setTimeout =
    ((fn: () => void, ms: number) => (armed.push(ms), set(fn, ms))) as typeof set;
  let done = false;
  const wait = delay(2 ** 31 + 500).then(() => done = true);
  time.tick(2 ** 31 - 1);
  assert.deepEqual(armed, [2 ** 31 - 1, 501]);
  await time.tickAsync(500);
  await time.runMicrotasks();
  assert.equal(done, false);
  await time.tickAsync(1);
  await wait;
});

Deno.test("@std/async delay() rejects with the signal's reason and leaves no timer and no listener", async () => {
  using time = new FakeTime(0);
  const controller = new AbortController();
  const { signal } = controller;
  let listeners = 0;
  const { addEventListener, removeEventListener } = signal;
  signal.addEventListener = (...args: unknown[]) => {
    listeners++;
    Reflect.apply(addEventListener, signal, args);
  };
  signal.removeEventListener = (...args: unknown[]) => {
    listeners--;
    Reflect.apply(removeEventListener, signal, args);
  };
  const first = delay(10, { signal });
  await time.tickAsync(10);
  await first;
  assert.equal(listeners, 0);

  const reason = new Error("enough");
  const second = delay(10, { signal });
  controller.abort(reason);
  assert.equal(await second.catch((error) => error), reason);
  assert.equal(time.next(), false);
  assert.equal(await delay(10, { signal }).catch((error) => error), reason);
  assert.equal(time.next(), false);
});

Deno.test("@std/async delay() clears the timer of the platform, too", async () => {
  const controller = new AbortController();
  const wait = delay(60_000, { signal: controller.signal });
  controller.abort();
  await assert.rejects(wait, { name: "AbortError" });
  await delay(1); // the sanitizers see to the rest
});

Deno.test("FakeTime fakes the Date", () => {
  using time = new FakeTime(Date.UTC(1999, 0, 2, 3, 4, 5, 678));
  const start = Date.UTC(1999, 0, 2, 3, 4, 5, 678);
  time.tick(1);
  assert.equal(time.start, start);
  assert.equal(time.now, start + 1);
  assert.equal(Date.now(), start + 1);
  assert.equal(new Date().valueOf(), start + 1);
  assert.ok(new Date() instanceof Date);
  assert.equal(new Date(5).valueOf(), 5);
  assert.equal(new Date(2005, 0).getFullYear(), 2005);
  assert.equal(Date.parse("1970-01-01T00:00:01Z"), 1_000);
  assert.match(Date(), /1999/);
});

Deno.test("FakeTime fires timers in the order of their times, and together in the order they were set", () => {
  using time = new FakeTime(0);
  const fired: string[] = [];
  const note = (name: string) => fired.push(`${name}@${time.now}`);
  setTimeout(note, 20, "c");
  setTimeout(note, 10, "a");
  setTimeout(note, 10.9, "b");
  setTimeout(note, -5, "now");
  setTimeout(note, undefined, "now too");
  const interval = setInterval(note, 8, "i");
  time.tick(20);
  assert.deepEqual(fired, ["now@0", "now too@0", "i@8", "a@10", "b@10", "i@16", "c@20"]);
  clearInterval(interval);
  time.tick(100);
  assert.equal(fired.length, 7);
});

Deno.test("FakeTime sets an interval again when it fires, and never below one millisecond", () => {
  using time = new FakeTime(0);
  const fired: string[] = [];
  setInterval(() => fired.push(`i@${time.now}`), 10);
  setTimeout(() => fired.push(`t@${time.now}`), 20);
  time.tick(20);
  assert.deepEqual(fired, ["i@10", "t@20", "i@20"]);
  let often = 0;
  setInterval(() => often++, 0);
  time.tick(3);
  assert.equal(often, 3);
});

Deno.test("FakeTime fires a timer set by a callback in the same tick if it is due", () => {
  using time = new FakeTime(0);
  const fired: number[] = [];
  setTimeout(() => {
    setTimeout(() => fired.push(time.now), 0);
    setTimeout(() => fired.push(time.now), 5);
    setTimeout(() => fired.push(time.now), 6);
  }, 5);
  time.tick(10);
  assert.deepEqual(fired, [5, 10]);
});

Deno.test("FakeTime holds a timer longer than the platform can", () => {
  using time = new FakeTime(0);
  let fired = 0;
  setTimeout(() => fired++, 2 ** 31);
  time.tick(2 ** 31 - 1);
  assert.equal(fired, 0);
  time.tick(1);
  assert.equal(fired, 1);
});

Deno.test("FakeTime gives timers numbers, and clears by them", () => {
  using time = new FakeTime(0);
  let fired = 0;
  const timer: unknown = setTimeout(() => fired++, 1);
  const interval: unknown = setInterval(() => fired++, 1);
  const own = setInterval(() => {
    fired++;
    clearInterval(own);
  }, 1);
  assert.equal(typeof timer, "number");
  assert.equal(typeof interval, "number");
  clearTimeout(timer as number);
  clearTimeout(timer as number);
  clearInterval(interval as number);
  clearTimeout(undefined);
  clearTimeout(12_345);
  time.tick(10);
  assert.equal(fired, 1);
});

Deno.test("FakeTime stops at a callback that throws", () => {
  using time = new FakeTime(0);
  const fired: number[] = [];
  setTimeout(() => {
    throw new Error("from the callback");
  }, 5);
  setTimeout(() => fired.push(time.now), 6);
  assert.throws(() => time.tick(10), /from the callback/);
  assert.equal(time.now, 5);
  assert.deepEqual(fired, []);
  time.tick(1);
  assert.deepEqual(fired, [6]);
});

Deno.test("FakeTime takes functions only, and moves forward only", () => {
  using time = new FakeTime(10);
  assert.throws(() => setTimeout("code" as unknown as () => void, 1));
  assert.throws(() => setInterval("code" as unknown as () => void, 1));
  assert.throws(() => time.now = 9, RangeError);
  time.now = 12;
  assert.equal(time.now, 12);
});

Deno.test("FakeTime fakes AbortSignal.timeout()", () => {
  using time = new FakeTime(0);
  const signal = AbortSignal.timeout(100);
  time.tick(99);
  assert.equal(signal.aborted, false);
  time.tick(1);
  assert.equal(signal.aborted, true);
  assert.equal(signal.reason.name, "TimeoutError");
  assert.ok(signal.reason instanceof DOMException);
});

Deno.test("FakeTime does not fake performance.now(), queueMicrotask() or node:timers", async () => {
  const { performance, queueMicrotask } = globalThis;
  const { now } = performance;
  using _time = new FakeTime(0);
  assert.equal(performance.now, now);
  assert.equal(globalThis.queueMicrotask, queueMicrotask);
  await new Promise<void>((resolve) => queueMicrotask(resolve));
  await new Promise<void>((resolve) => setImmediate(resolve));
});

Deno.test("FakeTime.tickAsync() and runMicrotasks() let promises settle first", async () => {
  using time = new FakeTime(0);
  let steps = 0;
  const chain = (async () => {
    for (let i = 0; i < 50; i++) await Promise.resolve(steps++);
    setTimeout(() => steps++, 5);
  })();
  await time.tickAsync(5);
  assert.equal(steps, 51);
  assert.equal(time.now, 5);
  let later = false;
  void chain.then(() => later = true);
  await time.runMicrotasks();
  assert.ok(later);
  assert.equal(time.now, 5);
});

Deno.test("FakeTime.runMicrotasks() takes away what was laid over the fakes", async () => {
  using time = new FakeTime(0);
  const fake = setTimeout;
  globalThis.setTimeout = ((fn: () => void) => fake(fn, 1)) as typeof setTimeout;
  await time.runMicrotasks();
  let fired = false;
  setTimeout(() => fired = true, 5);
  time.tick(4);
  assert.equal(fired, false);
});

Deno.test("FakeTime.next() and nextAsync() fire what is due next, all of it", async () => {
  using time = new FakeTime(0);
  const fired: string[] = [];
  setTimeout(() => fired.push("a"), 5);
  setTimeout(() => fired.push("b"), 5);
  setTimeout(() => fired.push("c"), 9);
  clearTimeout(setTimeout(() => fired.push("cleared"), 7));
  assert.equal(time.next(), true);
  assert.deepEqual([time.now, ...fired], [5, "a", "b"]);
  assert.equal(await time.nextAsync(), true);
  assert.deepEqual([time.now, ...fired], [9, "a", "b", "c"]);
  assert.equal(time.next(), false);
  assert.equal(await time.nextAsync(), false);
  assert.equal(time.now, 9);
  void Promise.resolve().then(() => setTimeout(() => fired.push("d"), 1));
  assert.equal(await time.nextAsync(), true);
  assert.deepEqual([time.now, ...fired], [10, "a", "b", "c", "d"]);
});

Deno.test("FakeTime restores every global, by dispose and by restore()", () => {
  const globals =
    () => [Date, setTimeout, clearTimeout, setInterval, clearInterval, AbortSignal.timeout];
  const real = globals();
  const restores: ((time: FakeTime) => void)[] = [
    (time) => time[Symbol.dispose](),
    (time) => time.restore(),
  ];
  for (const restore of restores) {
    const time = new FakeTime(0);
    globals().forEach((value, index) => assert.notEqual(value, real[index]));
    assert.throws(() => new FakeTime());
    restore(time);
    globals().forEach((value, index) => assert.equal(value, real[index]));
    assert.throws(() => time.restore());
  }
});
