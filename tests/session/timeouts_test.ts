import { assert, assertEquals, assertGreaterOrEqual, assertLessOrEqual } from "@std/assert";
import { FakeTime } from "@std/testing/time";
import fc from "fast-check";
import { Timeouts } from "../../session/timeouts.ts";
import { fakeClock } from "../fake_clock.ts";

Deno.test("Timeouts ends what takes too long, and nothing that was removed", () => {
  using time = fakeClock();
  const timeouts = new Timeouts(100);
  const ended: string[] = [];
  const [a, b, c, d] = ["a", "b", "c", "d"].map((name) => () =>
    void ended.push(`${name} at ${time.now}`)
  );
  const first = timeouts.add(a);
  timeouts.add(b);
  time.tick(50);
  const third = timeouts.add(c);
  const fourth = timeouts.add(d);
  timeouts.remove(first);
  timeouts.remove(third);
  time.tick(49);
  assertEquals(ended, []);
  time.tick(1);
  assertEquals(ended, ["b at 100"]);
  time.tick(1_000);
  assertEquals(ended, ["b at 100", "d at 150"]);
  timeouts.remove(fourth); // it has ended: nothing happens
});

Deno.test("Timeouts arms one timer for all, and leaves none behind", () => {
  using time = fakeClock();
  const { setTimeout } = globalThis;
  let timers = 0;
  globalThis.setTimeout = ((...args: Parameters<typeof setTimeout>) => {
    timers++;
    return setTimeout(...args);
  }) as typeof setTimeout;
  try {
    const timeouts = new Timeouts(1_000);
    const running = Array.from({ length: 100 }, () => timeouts.add(() => {}));
    time.tick(10);
    // Each that ends makes room for another: what is under way never runs out.
    for (let i = 0; i < 10_000; i++) {
      timeouts.remove(running.shift());
      running.push(timeouts.add(() => {}));
    }
    assertEquals(timers, 1);
    for (const place of running) timeouts.remove(place);
    assert(!time.next(), "a timer is left");
  } finally {
    globalThis.setTimeout = setTimeout;
  }
});

/** Counts the timers that are armed and not cleared. */
function countTimers(): { armed: number; open: number } & Disposable {
  const { setTimeout, clearTimeout } = globalThis;
  const open = new Set<unknown>();
  const count = {
    armed: 0,
    get open() {
      return open.size;
    },
    [Symbol.dispose]: () => void Object.assign(globalThis, { setTimeout, clearTimeout }),
  };
  globalThis.setTimeout = ((...args: Parameters<typeof setTimeout>) => {
    const timer = setTimeout(...args);
    open.add(timer);
    count.armed++;
    return timer;
  }) as typeof setTimeout;
  globalThis.clearTimeout = (timer) => {
    open.delete(timer);
    clearTimeout(timer);
  };
  return count;
}

async function turns(count: number): Promise<void> {
  for (let i = 0; i < count; i++) await null;
}

Deno.test("Timeouts keeps its timer for a few microtasks, and the next request takes it over", async () => {
  using _time = fakeClock();
  using timers = countTimers();
  const timeouts = new Timeouts(1_000, 4);
  for (let i = 0; i < 100; i++) {
    const place = timeouts.add(() => {});
    await null;
    timeouts.remove(place);
    await turns(2);
  }
  assertEquals([timers.armed, timers.open], [1, 1]);
  await turns(3);
  assertEquals(timers.open, 0);
});

Deno.test("Timeouts lets a request of another millisecond take no timer over", async () => {
  using time = fakeClock();
  using timers = countTimers();
  let now = 0;
  performance.now = () => now;
  const timeouts = new Timeouts(1_000, 4);
  let ended = 0;
  timeouts.remove(timeouts.add(() => {}));
  now = 1;
  timeouts.add(() => ended++);
  await turns(8);
  assertEquals([timers.armed, timers.open], [2, 1]);
  performance.now = () => now + time.now;
  time.tick(999);
  assertEquals(ended, 0);
  time.tick(1);
  assertEquals(ended, 1); // by its own timer, though the clock says a moment less
});

Deno.test("Timeouts ends a request that took a timer over when the timer rings, where the clock stands still", () => {
  using time = fakeClock();
  performance.now = () => 0;
  const timeouts = new Timeouts(1_000, 4);
  let ended = 0;
  timeouts.remove(timeouts.add(() => {}));
  timeouts.add(() => ended++);
  time.tick(1_000);
  assertEquals(ended, 1);
});

Deno.test("Timeouts without patience, or after stop(), leaves no timer for a microtask", () => {
  using _time = fakeClock();
  using timers = countTimers();
  const impatient = new Timeouts(1_000);
  impatient.remove(impatient.add(() => {}));
  assertEquals([timers.armed, timers.open], [1, 0]);
  const patient = new Timeouts(1_000, 16);
  patient.remove(patient.add(() => {}));
  assertEquals(timers.open, 1);
  patient.stop();
  assertEquals(timers.open, 0);
});

Deno.test("Timeouts with Infinity ends nothing and arms nothing", () => {
  using time = new FakeTime();
  const timeouts = new Timeouts(Infinity);
  const end = () => {
    throw new Error("ended");
  };
  const place = timeouts.add(end);
  assert(!time.next());
  timeouts.remove(place);
});

Deno.test("Timeouts believes its timer where the clock stands still: the oldest ends, with those of its millisecond", () => {
  using time = fakeClock();
  performance.now = () => 0;
  const timeouts = new Timeouts(10_000);
  let ended = 0;
  timeouts.add(() => ended++);
  timeouts.add(() => ended++);
  time.tick(10_000);
  assertEquals(ended, 2);
});

Deno.test("property: everything ends on time, whatever else goes on", () => {
  const step = fc.record({
    wait: fc.integer({ min: 0, max: 60 }),
    lasts: fc.oneof(fc.integer({ min: 0, max: 99 }), fc.constant(Infinity)),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      using time = fakeClock();
      const timeouts = new Timeouts(100);
      for (const { wait, lasts } of steps) {
        time.tick(wait);
        const since = time.now;
        let isOver = false;
        const end = () => {
          assertEquals([lasts, isOver], [Infinity, false]);
          assertGreaterOrEqual(time.now - since, 99);
          assertLessOrEqual(time.now - since, 100);
          isOver = true;
        };
        const place = timeouts.add(end);
        if (lasts !== Infinity) {
          setTimeout(() => {
            timeouts.remove(place);
            isOver = true;
          }, lasts);
        }
      }
      time.tick(200);
      assert(!time.next(), "a timer is left");
    }),
    { numRuns: 500 },
  );
});
