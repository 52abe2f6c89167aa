import { assertEquals, assertGreaterOrEqual } from "@std/assert";
import { FakeTime } from "@std/testing/time";
import { retryAfter } from "../../common/retry_after.ts";

const NOW = Date.UTC(2026, 0, 1);
const DAY = 86_400_000;

Deno.test("retryAfter() reads seconds, with fractions to the millisecond, rounded up", () => {
  using _time = new FakeTime(NOW);
  for (
    const [value, wait] of [
      ["0", 0],
      ["1", 1_000],
      ["120", 120_000],
      ["1.5", 1_500],
      ["0.001", 1],
      ["1.001", 1_001],
      ["0.0001", 1],
      ["2.0010000", 2_001],
      ["2.0010001", 2_002],
      ["59.9999", 60_000],
      ["3.", 3_000],
      ["  7 ", 7_000],
      ["31622399", 31_622_399_000],
    ] as const
  ) assertEquals(retryAfter(value), wait, value);
});

Deno.test("retryAfter() takes the longest of several headers", () => {
  using _time = new FakeTime(NOW);
  for (
    const [value, wait] of [
      ["1, 1", 1_000],
      ["1,2.5, 2", 2_500],
      ["3, Thu, 01 Jan 2026 00:00:10 GMT", 10_000],
      ["Thu, 01 Jan 2026 00:00:10 GMT, Thu, 01 Jan 2026 00:00:20 GMT", 20_000],
      ["soon, 4", 4_000],
      ["4, soon", 4_000],
    ] as const
  ) assertEquals(retryAfter(value), wait, value);
});

Deno.test("retryAfter() takes a plausible epoch, in seconds or milliseconds, for an instant", () => {
  using _time = new FakeTime(NOW);
  for (
    const [value, wait] of [
      [`${NOW / 1_000 + 90}`, 90_000],
      [`${NOW + 90_500}`, 90_500],
      [`${NOW / 1_000 + 0.25}`, 250],
      [`${NOW / 1_000 - 5}`, 0],
      [`${NOW - 5}`, 0],
      [`${(NOW + 400 * DAY) / 1_000}`, undefined],
      [`${NOW + 400 * DAY}`, undefined],
      [`${NOW * 1_000}`, undefined],
      ["40000000", undefined],
    ] as const
  ) assertEquals(retryAfter(value), wait, value);
});

Deno.test("retryAfter() reads dates in the three formats of HTTP", () => {
  using _time = new FakeTime(NOW);
  for (
    const value of [
      "Thu, 01 Jan 2026 00:00:10 GMT",
      "Thursday, 01-Jan-26 00:00:10 GMT",
      "Thu Jan  1 00:00:10 2026",
    ]
  ) assertEquals(retryAfter(value), 10_000, value);
  assertEquals(retryAfter("Wed, 31 Dec 2025 23:59:59 GMT"), 0, "it is past");
  assertEquals(retryAfter("Friday, 01-Jan-27 00:00:00 GMT"), 365 * DAY);
  assertEquals(retryAfter("Sunday, 01-Jan-77 00:00:00 GMT"), 0, "1977");
  assertGreaterOrEqual(retryAfter("Wednesday, 01-Jan-76 00:00:00 GMT")!, 49 * 365 * DAY);
});

Deno.test("retryAfter() ignores anything else", () => {
  for (
    const value of [
      null,
      "",
      "soon",
      "-1",
      "1e3",
      "+5",
      "0x10",
      "1.5.2",
      "10s",
      "Infinity",
      ",",
      "Thu, 01 Foo 2026 00:00:10 GMT",
      "2026-01-01T00:00:10Z",
    ]
  ) assertEquals(retryAfter(value), undefined, `${value}`);
});
