import { assertEquals, assertStrictEquals, assertThrows } from "@std/assert";
import { createBucket, inherit, type Limit, TICKS } from "../../throttler/bucket.ts";
import { fakeClock } from "../fake_clock.ts";

for (
  const [limit, type, words] of [
    [
      { limit: "10", period: 1 },
      TypeError,
      'limit is "10", a string; wanted an integer >= 1',
    ],
    [{ limit: 10n, period: 1 }, TypeError, "limit is 10, a bigint; wanted an integer"],
    [{ limit: null, period: 1 }, TypeError, "limit is null; wanted an integer"],
    [{ period: 1 }, TypeError, "limit is undefined; wanted an integer"],
    [{ limit: 2 ** 60, period: 1 }, RangeError, `limit is ${2 ** 60}, wanted an integer`],
    [
      { limit: 1, period: "1s" },
      TypeError,
      'period is "1s", a string; wanted milliseconds > 0',
    ],
    [{ limit: 1 }, TypeError, "period is undefined; wanted milliseconds > 0"],
    [{ limit: 1, period: -5 }, RangeError, "period is -5, wanted milliseconds > 0"],
    [{ limit: 1, period: 1, refill: 5 }, TypeError, 'refill is 5, a number; wanted "after-start"'],
    [{ limit: 1, period: 1, refill: "steady", burst: "5" }, TypeError, 'burst is "5", a string'],
    [undefined, TypeError, "it is undefined; wanted an object"],
    [10, TypeError, "it is 10, a number; wanted an object"],
  ] as [Limit, ErrorConstructor, string][]
) {
  Deno.test(`createBucket() refuses ${Deno.inspect(limit)}, and says what it is`, () => {
    assertThrows(() => createBucket(limit), type, `Cannot set the limit: ${words}`);
  });
}

Deno.test("Bucket.history() lists the tokens that have not returned, in order", () => {
  using time = fakeClock();
  const bucket = createBucket({ limit: 5, period: 10 });
  bucket.spend(1, 2 * TICKS);
  bucket.spend(2, 4 * TICKS);
  time.now = 5;
  assertEquals(bucket.history(5 * TICKS), [[2 * TICKS, 1], [4 * TICKS, 2]]);
  assertEquals([bucket.available(5 * TICKS), bucket.available(12 * TICKS)], [2, 3]);
  assertEquals(bucket.history(12 * TICKS), [[4 * TICKS, 2]]);
});

Deno.test("inherit() goes on with the old bucket where the new one is just like it", () => {
  using _time = fakeClock();
  const old = createBucket({ limit: 5, period: 10 });
  old.spend(2, 0);
  assertStrictEquals(inherit(createBucket({ limit: 5, period: 10 }), [old], 0), old);
  const more = inherit(createBucket({ limit: 7, period: 10 }), [old], 0);
  assertEquals(more.available(0), 5);
});
