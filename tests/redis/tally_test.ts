import { assertEquals } from "@std/assert";
import { Tally } from "../../redis/tally.ts";
import { fakeClock } from "../fake_clock.ts";

Deno.test("Tally.word() gives what is held, and the age of what was spent, rounded down", () => {
  using time = fakeClock();
  const tally = new Tally({ kinds: new Set(["start", "finish"]), telling: 50 });
  tally.begin(2);
  time.tick(10);
  tally.stamp("start", 2);
  time.tick(5);
  const told = tally.take(true);
  assertEquals(tally.word("start", told, 3, time.now + 0.0009), { held: 3, told: [[2, 5_000]] });
  assertEquals(tally.word("finish", told, 3, time.now), { held: 5, told: [] });
  assertEquals(tally.isRunning, true);
});

Deno.test("Tally.restore() puts events back before those that came since", () => {
  using time = fakeClock();
  const tally = new Tally({ kinds: new Set(["start"]), telling: 50 });
  for (let i = 0; i < 2; i++) tally.begin(1);
  tally.stamp("start", 1);
  const told = tally.take(true);
  assertEquals(tally.since, Infinity);
  time.tick(7);
  tally.stamp("start", 1);
  tally.restore(told);
  assertEquals(tally.since, 0);
  assertEquals(tally.word("start", tally.take(true), 0, time.now).told, [[1, 7_000], [1, 0]]);
});

Deno.test("Tally.stamp() leaves out the events that no limit counts, and calls that cost nothing", () => {
  const tally = new Tally({ kinds: new Set(["start"]), telling: 50 });
  tally.begin(0);
  tally.stamp("start", 0);
  tally.begin(1);
  tally.stamp("finish", 1);
  assertEquals(tally.isRunning, false);
  assertEquals(tally.take(true), { start: [], finish: [] });
});

Deno.test("Tally.take() keeps events back while tokens are left, until `telling` has passed: they are held", () => {
  using time = fakeClock();
  const tally = new Tally({ kinds: new Set(["start"]), telling: 50 });
  tally.begin(3);
  tally.stamp("start", 3);
  time.tick(49);
  const none = tally.take(false);
  assertEquals(tally.word("start", none, 0, time.now), { held: 3, told: [] });
  assertEquals(tally.since, 0);
  time.tick(1);
  const told = tally.take(false);
  assertEquals(tally.word("start", told, 0, time.now), { held: 0, told: [[3, 50_000]] });
});

Deno.test("Tally.take() gives at once what somebody may wait for", () => {
  using time = fakeClock();
  const tally = new Tally({ kinds: new Set(["start"]), telling: 50 });
  tally.begin(1);
  tally.stamp("start", 1);
  time.tick(1);
  assertEquals(tally.take(true).start, [[1, 0]]);
});

Deno.test("Tally.stamp() makes one event of all within a fiftieth of `telling`, at the time of the latest", () => {
  using time = fakeClock();
  const tally = new Tally({ kinds: new Set(["start"]), telling: 50 });
  tally.begin(6);
  tally.stamp("start", 1);
  time.tick(0.9);
  tally.stamp("start", 2);
  time.tick(0.2);
  tally.stamp("start", 3);
  const [[early, at], [late, then], ...rest] = tally.take(true).start;
  assertEquals([early, late, rest.length], [3, 3, 0]);
  assertEquals([at.toFixed(1), then.toFixed(1)], ["0.9", "1.1"]);
});
