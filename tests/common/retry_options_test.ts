import { assertEquals, assertThrows } from "@std/assert";
import { checkRetryOptions } from "../../common/retry_options.ts";

const accepted = [
  undefined,
  {},
  { maxRetries: undefined, signal: undefined, close: undefined },
  { maxRetries: 0, baseWait: 0, maxWait: 0, resetRetryAfter: 0, jitter: 0 },
  { maxRetries: Infinity, baseWait: 0.5, maxWait: Infinity, resetRetryAfter: Infinity, jitter: 1 },
  { shouldRetry: () => false, onRetry: () => {}, close: false, signal: AbortSignal.abort() },
];
Deno.test("checkRetryOptions() allows every option left out, and each end of its range", () => {
  for (const options of accepted) checkRetryOptions("Cannot retry", options);
});

const refused: [options: unknown, error: string][] = [
  [{ maxRetries: -1 }, "RangeError: maxRetries is -1, wanted an integer >= 0 or Infinity"],
  [{ maxRetries: 1.5 }, "RangeError: maxRetries is 1.5, wanted an integer >= 0 or Infinity"],
  [{ maxRetries: NaN }, "RangeError: maxRetries is NaN, wanted an integer >= 0 or Infinity"],
  [
    { maxRetries: "3" },
    `TypeError: maxRetries is "3", a string; wanted an integer >= 0 or Infinity`,
  ],
  [{ baseWait: -1 }, "RangeError: baseWait is -1, wanted milliseconds >= 0"],
  [{ baseWait: NaN }, "RangeError: baseWait is NaN, wanted milliseconds >= 0"],
  [{ maxWait: -1 }, "RangeError: maxWait is -1, wanted milliseconds >= 0"],
  [{ maxWait: "60000" }, `TypeError: maxWait is "60000", a string; wanted milliseconds >= 0`],
  [{ resetRetryAfter: -1 }, "RangeError: resetRetryAfter is -1, wanted milliseconds >= 0"],
  [{ resetRetryAfter: null }, "TypeError: resetRetryAfter is null; wanted milliseconds >= 0"],
  [{ jitter: -0.1 }, "RangeError: jitter is -0.1, wanted a number from 0 to 1"],
  [{ jitter: 1.1 }, "RangeError: jitter is 1.1, wanted a number from 0 to 1"],
  [{ jitter: NaN }, "RangeError: jitter is NaN, wanted a number from 0 to 1"],
  [{ shouldRetry: true }, "TypeError: shouldRetry is true, a boolean; wanted a function"],
  [{ onRetry: 1 }, "TypeError: onRetry is 1, a number; wanted a function"],
  [{ signal: {} }, "TypeError: signal is an object; wanted an AbortSignal"],
  [{ signal: null }, "TypeError: signal is null; wanted an AbortSignal"],
  [{ close: "no" }, `TypeError: close is "no", a string; wanted true or false`],
];
for (const [options, error] of refused) {
  Deno.test(`checkRetryOptions() refuses ${error}`, () => {
    const unnamed = assertThrows(() => checkRetryOptions("Cannot retry", options)) as Error;
    assertEquals(`${unnamed.name}: ${unnamed.message}`, error.replace(": ", ": Cannot retry: "));
    const named = assertThrows(() => checkRetryOptions("Cannot open", options, "retry")) as Error;
    const expected = error.replace(": ", ": Cannot open: retry.");
    assertEquals(`${named.name}: ${named.message}`, expected);
  });
}

Deno.test("checkRetryOptions() refuses options that are no object, by their name", () => {
  for (const options of [null, 5, "fetch", [], () => {}]) {
    assertThrows(
      () => checkRetryOptions("Cannot retry", options),
      TypeError,
      "Cannot retry: options is ",
    );
    assertThrows(
      () => checkRetryOptions("Cannot open", options, "retry"),
      TypeError,
      "Cannot open: retry is ",
    );
  }
});
