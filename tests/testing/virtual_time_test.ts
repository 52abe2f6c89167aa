import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { VirtualTime } from "../../testing.ts";

Deno.test("VirtualTime fires timers in the order of their times, and lets promises settle in between", async () => {
  using time = new VirtualTime({ start: 5_000 });
  const told: string[] = [];
  const tell = (text: string) => told.push(`${text} at ${Date.now()}`);
  setTimeout(() => tell("b"), 20);
  setTimeout(async () => {
    tell("a");
    await null;
    setTimeout(() => tell("c"), 10);
  }, 10);
  setTimeout(tell, 20, "d"); // the same time, set later
  clearTimeout(setTimeout(() => tell("never"), 5));
  await time.pass(20);
  assertEquals(told, ["a at 5010", "b at 5020", "d at 5020", "c at 5020"]);
  assertEquals([performance.now(), time.now, time.timers], [20, 5_020, 0]);
});

Deno.test("VirtualTime: intervals, Date and AbortSignal.timeout() obey", async () => {
  using time = new VirtualTime({ start: 0 });
  let rings = 0;
  const id = setInterval(() => rings++, 100);
  const signal = AbortSignal.timeout(250);
  await time.pass(249);
  assertEquals([rings, signal.aborted], [2, false]);
  await time.pass(1);
  assert(signal.aborted);
  assertEquals(signal.reason.name, "TimeoutError");
  clearInterval(id);
  await time.pass(1_000);
  assertEquals([rings, time.timers], [2, 0]);
  assertEquals(new Date().getTime(), 1_250);
  assertEquals([new Date(7).getTime(), Date.UTC(1970, 0, 1)], [7, 0]);
  assert(new Date() instanceof Date);
  assertEquals(typeof Date(), "string");
});

Deno.test("VirtualTime.suspend() and shift(): a process that sleeps, a wall clock that steps", async () => {
  using time = new VirtualTime({ start: 0 });
  const fired: number[] = [];
  for (const delay of [10, 2_000]) setTimeout(() => fired.push(performance.now()), delay);
  time.suspend(1_000);
  assertEquals(fired, []);
  await time.pass(0);
  assertEquals(fired, [1_000], "late, and once");
  time.shift(-500);
  assertEquals([Date.now(), performance.now()], [500, 1_000]);
  await time.pass(1_000);
  assertEquals(fired, [1_000, 2_000]);
});

Deno.test("VirtualTime: timers may be early and late, as told", async () => {
  const errors = [-0.5, 3];
  using time = new VirtualTime({ timerError: () => errors.shift() ?? 0 });
  const fired: number[] = [];
  for (let i = 0; i < 3; i++) setTimeout(() => fired.push(performance.now()), 10);
  await time.pass(20);
  assertEquals(fired, [9.5, 10, 13]);
});

Deno.test("VirtualTime: a timer of less than 1 ms takes 1 ms, as everywhere", async () => {
  using time = new VirtualTime();
  const fired: number[] = [];
  for (const delay of [0, -5, NaN, undefined, 2 ** 31, 1.9]) {
    setTimeout(() => fired.push(performance.now()), delay);
  }
  await time.pass(1);
  assertEquals(fired, [1, 1, 1, 1, 1, 1]);
});

Deno.test("VirtualTime.restore() puts everything back, and a second clock is refused", () => {
  const before = [setTimeout, clearTimeout, setInterval, clearInterval, Date, performance.now];
  const time = new VirtualTime();
  assertThrows(() => new VirtualTime(), Error, "another fake has it");
  time.restore();
  const after = [setTimeout, clearTimeout, setInterval, clearInterval, Date, performance.now];
  assert(after.every((value, i) => value === before[i]));
});

Deno.test("VirtualTime.pass() gives up on timers that never end", async () => {
  using time = new VirtualTime();
  const again = () => {
    time.suspend(-1); // stands still
    setTimeout(again, 1);
  };
  setTimeout(again, 1);
  await assertRejects(() => time.pass(5, 1_000), Error, "never come to an end");
});

Deno.test("VirtualTime.until() lets time pass until something holds, and rejects after its longest wait", async () => {
  using time = new VirtualTime({ start: 0 });
  let isOver = false;
  setTimeout(() => isOver = true, 40_002);
  await time.until(() => isOver);
  assertEquals(time.now, 40_005);
  await assertRejects(
    () => time.until(() => false, 100),
    Error,
    "not so within 100 ms: ",
  );
  assertEquals(time.now, 40_105);
});

Deno.test("VirtualTime.run() lets time pass until a promise settles, and tells one that never does", async () => {
  using time = new VirtualTime();
  const begin = time.now;
  const later = <T>(ms: number, value: T) =>
    new Promise<T>((resolve) => setTimeout(() => resolve(value), ms));
  assertEquals(await time.run(later(90_000, 1).then(() => later(10_000, 2))), 2);
  assertEquals(time.now - begin, 100_000);
  const failing = later(5, 0).then(() => Promise.reject(new RangeError("late")));
  await assertRejects(() => time.run(failing), RangeError, "late");
  await assertRejects(() => time.run(new Promise(() => {})), Error, "not settled");
  await assertRejects(() => time.run(later(2_000, 0), 1_000), Error, "within 1000 ms");
});
