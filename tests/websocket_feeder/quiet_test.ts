import { assertEquals } from "@std/assert";
import { FakeTime } from "@std/testing/time";
import { QuietWatch } from "../../websocket_feeder/quiet.ts";

function watching() {
  const found: [unknown, number, number][] = [];
  const watch = new QuietWatch((key, duration) => {
    found.push([key, duration, Date.now()]);
  });
  return { watch, found };
}

Deno.test("QuietWatch finds one mute of 500 within 1.25 times quietAfter, and no other", () => {
  using time = new FakeTime(0);
  const { watch, found } = watching();
  for (let i = 0; i < 500; i++) watch.watch(i, 8_000);
  watch.start();
  for (let now = 0; now < 10_000; now += 100) {
    time.tick(100);
    for (let i = 0; i < 500; i++) if (i !== 321) watch.hear(i);
  }
  watch.stop();
  assertEquals(found.map(([key, duration]) => [key, duration]), [[321, 8_000]]);
  assertEquals(found[0][2] > 8_000 && found[0][2] <= 10_000, true);
});

Deno.test("QuietWatch gives no false alarm in a market that is quiet for an hour, with quietAfter per subscription", () => {
  using time = new FakeTime(0);
  const { watch, found } = watching();
  watch.watch("a", 1_000);
  watch.watch("b", 2 * 3_600_000);
  watch.start();
  for (let now = 0; now < 3_600_000; now += 500) {
    time.tick(500);
    watch.hear("a");
  }
  watch.stop();
  assertEquals(found, []);
});

Deno.test("QuietWatch tells a subscription that stays quiet again after 2, 4, … times quietAfter", () => {
  using time = new FakeTime(0);
  const { watch, found } = watching();
  watch.watch("a", 800);
  watch.start();
  time.tick(900 + 1_700 + 3_300);
  assertEquals(found, [["a", 800, 900], ["a", 1_600, 2_600], ["a", 3_200, 5_900]]);
  watch.hear("a");
  time.tick(900);
  assertEquals(found.length, 4, "an item makes it start anew");
  assertEquals(found[3].slice(0, 2), ["a", 800]);
  watch.stop();
});

Deno.test("QuietWatch counts only while it runs, and starts anew", () => {
  using time = new FakeTime(0);
  const { watch, found } = watching();
  watch.watch("a", 800);
  time.tick(5_000);
  watch.start();
  time.tick(700);
  watch.stop();
  time.tick(5_000);
  watch.start();
  time.tick(800);
  assertEquals(found, []);
  time.tick(100);
  assertEquals(found.length, 1);
  watch.stop();
});

Deno.test("QuietWatch leaves no timer once nothing is watched", () => {
  using time = new FakeTime(0);
  const { watch, found } = watching();
  watch.start();
  for (const off of [0, Infinity, NaN]) watch.watch(off, off);
  watch.watch("a", 800);
  watch.watch("a", 1_600); // anew, with another value
  watch.forget("a");
  watch.forget("b");
  assertEquals(time.next(), false, "no timer");
  assertEquals(found, []);
});

Deno.test("QuietWatch tells a subscription that stays quiet after 64 times quietAfter at most", () => {
  using time = new FakeTime(0);
  const { watch, found } = watching();
  watch.watch("a", 800);
  watch.start();
  time.tick(300 * 800);
  watch.stop();
  assertEquals(found.map(([, duration]) => duration / 800), [1, 2, 4, 8, 16, 32, 64, 64, 64]);
});

Deno.test("QuietWatch a subscription that is asked for again has been quiet as often as before", () => {
  using time = new FakeTime(0);
  const { watch, found } = watching();
  watch.watch("a", 800);
  watch.start();
  time.tick(900);
  watch.watch("a", 800);
  time.tick(1_600);
  assertEquals(found.length, 1);
  time.tick(100);
  assertEquals(found.map(([, duration]) => duration), [800, 1_600]);
  watch.stop();
});
