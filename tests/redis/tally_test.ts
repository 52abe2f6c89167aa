import { assertEquals } from "@std/assert";
import { Tally } from "../../redis/tally.ts";
import { fakeClock } from "../fake_clock.ts";

Deno.test("Tally.word() gives what is held, and the age of what was spent, rounded down", () => {
  using time = fakeClock();
  const tally = new Tally(new Set(["start", "finish"] as const));
  tally.begin(2);
  time.tick(10);
  tally.stamp("start", 2);
  time.tick(5);
  const told = tally.take();
  assertEquals(tally.word("start", told, 3, time.now + 0.0009), { held: 3, told: [[2, 5_000]] });
  assertEquals(tally.word("finish", told, 3, time.now), { held: 5, told: [] });
  assertEquals(tally.isRunning, true);
});

Deno.test("Tally.restore() puts events back before those that came since", () => {
  using time = fakeClock();
  const tally = new Tally(new Set(["start"] as const));
  for (let i = 0; i < 2; i++) tally.begin(1);
  tally.stamp("start", 1);
  const told = tally.take();
  assertEquals(tally.since, Infinity);
  time.tick(7);
  tally.stamp("start", 1);
  tally.restore(told);
  assertEquals(tally.since, 0);
  assertEquals(tally.word("start", tally.take(), 0, time.now).told, [[1, 7_000], [1, 0]]);
});

Deno.test("Tally.stamp() leaves out the events that no limit counts, and calls that cost nothing", () => {
  const tally = new Tally(new Set(["start"] as const));
  tally.begin(0);
  tally.stamp("start", 0);
  tally.begin(1);
  tally.stamp("finish", 1);
  assertEquals(tally.isRunning, false);
  assertEquals(tally.take(), { start: [], finish: [] });
});
