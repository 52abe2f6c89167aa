import { assertEquals, assertFalse } from "@std/assert";
import { FakeTime } from "@std/testing/time";
import { Repairs } from "../../websocket_feeder/repairs.ts";

const options = { maxWait: 30_000, resetRetryAfter: 30_000 };

Deno.test("Repairs.plan() eleven repairs in a row take their waits, then one takes ten minutes", () => {
  using time = new FakeTime();
  const repairs = new Repairs(options);
  const times: number[] = [];
  const start = time.now;
  const repair = () => void times.push((time.now - start) / 1_000);
  const waits = Array.from({ length: 13 }, () => {
    const wait = repairs.plan("a", repair);
    time.tick(wait);
    return wait / 1_000;
  });
  assertEquals(waits, [0, 1, 2, 4, 8, 16, 30, 30, 30, 30, 30, 600, 600]);
  assertEquals(times.filter((at) => at < 600).length, 11);
  repairs.clear();
  assertFalse(time.next());
});

Deno.test("Repairs.plan() joins a wait, and counts each key by itself", () => {
  using time = new FakeTime();
  const repairs = new Repairs(options);
  const done: string[] = [];
  const plan = (key: string) => repairs.plan(key, () => done.push(key));
  assertEquals([plan("a"), plan("a"), plan("a"), plan("b")], [0, 1_000, 0, 0]);
  time.tick(1_000);
  assertEquals(done, ["a", "b", "a"]);
  assertEquals(plan("a"), 2_000);
  repairs.clear();
});

Deno.test("Repairs.plan() counts anew once a key was left alone for resetRetryAfter, from its repair on", () => {
  using time = new FakeTime();
  const repairs = new Repairs({ maxWait: 60_000, resetRetryAfter: 5_000 });
  const plan = () => repairs.plan("a", () => {});
  assertEquals(plan(), 0);
  time.tick(4_999);
  assertEquals(plan(), 1_000);
  time.tick(1_000 + 4_999); // the wait itself does not count
  assertEquals(plan(), 2_000);
  time.tick(2_000 + 5_000);
  assertEquals(plan(), 0);
  repairs.clear();
});

Deno.test("Repairs.plan() never counts anew where resetRetryAfter is Infinity", () => {
  using time = new FakeTime();
  const repairs = new Repairs({ maxWait: 60_000, resetRetryAfter: Infinity });
  const plan = () => repairs.plan("a", () => {});
  plan();
  assertFalse(time.next());
  time.tick(10_000_000);
  assertEquals(plan(), 1_000);
  repairs.clear();
});

Deno.test("Repairs.isHeld() is true from a hold to its end; a repair joins it", () => {
  using time = new FakeTime();
  const repairs = new Repairs(options);
  const done: string[] = [];
  assertEquals(repairs.plan("a", () => done.push("held"), 5_000), 5_000);
  assertEquals(repairs.plan("a", () => done.push("repair")), 0);
  assertEquals([repairs.isHeld("a"), repairs.isHeld("b")], [true, false]);
  assertEquals(repairs.holdsAny((key) => key === "a"), true);
  assertEquals(repairs.holdsAny((key) => key === "b"), false);
  repairs.settle(); // drops repairs, not holds
  time.tick(5_000);
  assertEquals([done, repairs.isHeld("a")], [["held"], false]);
  repairs.clear();
});

Deno.test("Repairs.plan() a hold takes the place of a repair that waits, and is not counted twice", () => {
  using time = new FakeTime();
  const repairs = new Repairs(options);
  const done: string[] = [];
  const hold = () => repairs.plan("a", () => done.push("held"), 100);
  repairs.plan("a", () => {});
  repairs.plan("a", () => done.push("repair"));
  assertEquals([hold(), hold()], [2_000, 2_000]);
  time.tick(2_000);
  assertEquals(done, ["held"]);
  repairs.clear();
});
