import { assertEquals, assertFalse } from "@std/assert";
import { FakeTime } from "@std/testing/time";
import { Repairs } from "../../websocket_feeder/repairs.ts";

/** Repairs whose times are taken down, by key. */
function noted(options = { maxWait: 8_000, resetRetryAfter: 30_000 }) {
  const start = Date.now();
  const at: Record<string, number[]> = {};
  const repairs = new Repairs(options);
  return {
    repairs,
    at,
    plan: (key: string, hold?: number) =>
      repairs.plan(key, () => (at[key] ??= []).push(Date.now() - start), hold),
  };
}

Deno.test("Repairs: the first is made at once, each that follows waits from 1 s to maxWait", () => {
  using time = new FakeTime();
  const { repairs, at, plan } = noted();
  for (const wait of [0, 1_000, 2_000, 4_000, 8_000, 8_000]) {
    assertEquals(plan("a"), wait);
    time.tick(wait);
  }
  assertEquals(at.a, [0, 1_000, 3_000, 7_000, 15_000, 23_000]);
  repairs.clear();
  assertFalse(time.next(), "a timer is left");
});

Deno.test("Repairs: one that is called for while it waits joins that wait", () => {
  using time = new FakeTime();
  const { repairs, at, plan } = noted();
  plan("a");
  plan("a");
  time.tick(500);
  plan("a");
  plan("a");
  time.tick(10_000);
  assertEquals(at.a, [0, 1_000]);
  assertEquals(plan("a"), 2_000); // and counts once
  repairs.clear();
});

Deno.test("Repairs: keys do not wait for each other", () => {
  using _time = new FakeTime();
  const { repairs, at, plan } = noted();
  plan("a");
  plan("a");
  assertEquals(plan("b"), 0);
  assertEquals(at.b, [0]);
  repairs.clear();
});

Deno.test("Repairs: one that was left alone for resetRetryAfter counts anew", () => {
  using time = new FakeTime();
  const { repairs, plan } = noted();
  plan("a");
  time.tick(29_999);
  assertEquals(plan("a"), 1_000);
  time.tick(1_000 + 30_000);
  assertEquals(plan("a"), 0);
  repairs.clear();
});

Deno.test("Repairs: resetRetryAfter Infinity never counts anew, and leaves no timer", () => {
  using time = new FakeTime();
  const { plan } = noted({ maxWait: 8_000, resetRetryAfter: Infinity });
  plan("a");
  assertFalse(time.next(), "a timer is left");
  assertEquals(plan("a"), 1_000);
  time.tick(1_000);
});

Deno.test("Repairs: after twelve in a row the next waits ten minutes", () => {
  using time = new FakeTime();
  const { repairs, plan } = noted({ maxWait: 1_000, resetRetryAfter: 30_000 });
  for (let i = 0; i < 12; i++) time.tick(plan("a"));
  assertEquals(plan("a"), 600_000);
  repairs.clear();
});

Deno.test("Repairs: what is held waits as long as the venue asks, and says so until then", () => {
  using time = new FakeTime();
  const { repairs, at, plan } = noted();
  assertEquals(plan("a", 5_000), 5_000);
  assertEquals([repairs.isHeld("a"), repairs.isHeld("b")], [true, false]);
  assertEquals(repairs.holdsAny((key) => key === "a"), true);
  assertEquals(repairs.holdsAny((key) => key === "b"), false);
  time.tick(4_999);
  assertEquals(at.a, undefined);
  time.tick(1);
  assertEquals(at.a, [5_000]);
  assertEquals(repairs.isHeld("a"), false);
  assertEquals(repairs.holdsAny(() => true), false);
  repairs.clear();
});

Deno.test("Repairs.settle() drops what waits, as a new connection asks for it, but not what is held", () => {
  using time = new FakeTime();
  const { repairs, at, plan } = noted();
  plan("a");
  plan("a"); // waits 1 s
  plan("b", 5_000); // held
  repairs.settle();
  time.tick(5_000);
  assertEquals(at, { a: [0], b: [5_000] });
  assertEquals(plan("a"), 2_000); // the wait that was dropped counts
  repairs.clear();
});

Deno.test("Repairs.clear() drops all, and leaves no timer", () => {
  using time = new FakeTime();
  const { repairs, at, plan } = noted();
  plan("a");
  plan("a");
  plan("b", 5_000);
  repairs.clear();
  assertFalse(time.next(), "a timer is left");
  assertEquals(at, { a: [0] });
});
