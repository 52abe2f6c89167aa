/**
 * Ways to break the repeats.
 *
 * @module
 */

import { breaking, type Room } from "./mutant.ts";

const retry = breaking("retry.ts");
const options = breaking("common/retry_options.ts");
const check = breaking("common/check.ts");

/** The mutants of `retry.ts` and of the checks of options. */
export const room: Room = {
  tests: ["tests/retry_test.ts", "tests/common/"],
  mutants: [
    // Whether to repeat
    retry("one repeat too many", ["retries >= maxRetries", "retries > maxRetries"]),
    retry("shouldRetry is asked and ignored", [
      "|| !shouldRetry(error)",
      "|| (shouldRetry(error), false)",
    ]),
    retry("an error's own retriable is not asked", [
      'typeof retriable === "boolean" ? retriable : isNetworkError(error)',
      "isNetworkError(error)",
    ]),
    retry("an error's own retriable must be true", [
      'typeof retriable === "boolean" ? retriable : isNetworkError(error)',
      "retriable || isNetworkError(error)",
    ]),
    retry("a retryAfter above maxWait is waited for", ["retryAfter > maxWait || ", ""]),
    retry("a retryAfter of exactly maxWait gives up", [
      "retryAfter > maxWait",
      "retryAfter >= maxWait",
    ]),

    // The count
    retry("a stable connection does not start the count again", [
      "if (uptime > 0 && uptime >= resetRetryAfter) retries = 0;",
      "",
    ]),
    retry("an uptime just below resetRetryAfter starts the count again", [
      "uptime >= resetRetryAfter",
      "uptime >= resetRetryAfter - 1",
    ]),
    retry("an uptime of exactly resetRetryAfter does not start the count again", [
      "uptime >= resetRetryAfter",
      "uptime > resetRetryAfter",
    ]),
    retry("a connection that was never up starts the count again", ["uptime > 0 && ", ""]),
    retry("the count outlives a call", [
      "  async function repeat(owner: This, args: Args, error: unknown): Promise<Result> {\n    let retries = 0;",
      "  let retries = 0;\n  async function repeat(owner: This, args: Args, error: unknown): Promise<Result> {",
    ]),
    retry("onRetry is told the attempt before", [
      "    retries++;\n      onRetry?.(",
      "  onRetry?.(",
    ], [
      "      await delay(wait, { signal });",
      "      retries++;\n      await delay(wait, { signal });",
    ]),

    // The waits
    retry("the waits do not double", [
      "baseWait * 2 ** Math.min(retries, MAX_DOUBLINGS)",
      "baseWait",
    ]),
    retry("the doubling overflows", ["2 ** Math.min(retries, MAX_DOUBLINGS)", "2 ** retries"]),
    retry("maxWait does not bound the waits", [
      "Math.min(baseWait * 2 ** Math.min(retries, MAX_DOUBLINGS), maxWait)",
      "baseWait * 2 ** Math.min(retries, MAX_DOUBLINGS)",
    ]),
    retry("jitter adds to the wait", [
      "(1 - jitter * Math.random())",
      "(1 + jitter * Math.random())",
    ]),
    retry("jitter shortens a retryAfter", [
      "Math.min(Math.max(jittered, retryAfter), MAX_TIMER)",
      "Math.min(Math.max(backoff, retryAfter) * (1 - jitter * Math.random()), MAX_TIMER)",
    ]),
    retry("a retryAfter is ignored", ["Math.max(jittered, retryAfter)", "jittered"]),
    retry("a retryAfter below the backoff shortens the wait", [
      "Math.max(jittered, retryAfter)",
      "retryAfter || jittered",
    ]),
    retry("a wait of more than 2^31 ms is not clamped", [
      "Math.min(Math.max(jittered, retryAfter), MAX_TIMER)",
      "Math.max(jittered, retryAfter)",
    ]),
    retry("a retryAfter that is a string counts", [
      'typeof value === "number" && value > 0',
      "value > 0",
    ]),

    // The signal
    retry("a call starts though the signal is aborted", [
      "  async function retrying(this: This, ...args: Args): Promise<Result> {\n    signal?.throwIfAborted();",
      "  async function retrying(this: This, ...args: Args): Promise<Result> {",
    ]),
    retry("a call starts after an abort at the end of its wait", [
      "      await delay(wait, { signal });\n      signal?.throwIfAborted();",
      "      await delay(wait, { signal });",
    ]),
    retry("an abort does not end a wait", ["await delay(wait, { signal })", "await delay(wait)"]),
    retry("an abort during a call is repeated", ["      if (signal?.aborted) throw error;\n", ""]),
    retry("an abort closes this", [
      "if (signal?.aborted) throw error;",
      "if (signal?.aborted) {\n        await closeQuietly(owner, retrying);\n        throw error;\n      }",
    ]),

    // Closing
    retry("this is not closed", ["if (close) await closeQuietly(owner, retrying);", ""]),
    retry("close: false closes", ["if (close) await closeQuietly", "await closeQuietly"]),
    retry("the closing is not awaited", [
      "if (close) await closeQuietly",
      "if (close) closeQuietly",
    ]),
    retry("an error while closing hides the call's", ["  } catch {\n", "  } finally {\n"]),
    retry("close() that is retried calls itself", [" && end !== wrapper", ""]),
    retry("what has no close() is not disposed of", ["close ?? dispose", "close"]),

    // The wrapper
    retry("this is lost in the first call", [
      "fn.apply(this, args)",
      "fn.apply(undefined as This, args)",
    ]),
    retry("this is lost in a repeat", [
      "fn.apply(owner, args)",
      "fn.apply(undefined as This, args)",
    ]),
    retry("the name is lost", ["name: { value: name, configurable: true },", ""]),
    retry("the length is lost", ["length: { value: length, configurable: true },", ""]),
    retry("the decorator forgets its options", [
      "(fn) => wrap(fn, fnOrOptions)",
      "(fn) => wrap(fn, {})",
    ]),

    // The checks
    retry("the decorator's options are not checked", [
      '  checkRetryOptions("Cannot retry", fnOrOptions);\n',
      "",
    ]),
    retry("the function's options are not checked", [
      '    checkRetryOptions("Cannot retry", options);\n',
      "",
    ]),
    options("signal is not checked", ['  checkSignal(task, path("signal"), given.signal);\n', ""]),
    options("onRetry is not checked", [
      '  checkFunction(task, path("onRetry"), given.onRetry);\n',
      "",
    ]),
    options("shouldRetry is not checked", [
      '  checkFunction(task, path("shouldRetry"), given.shouldRetry);\n',
      "",
    ]),
    options("close is not checked", ['  checkBoolean(task, path("close"), given.close);\n', ""]),
    options("resetRetryAfter is not checked", [
      '["baseWait", "maxWait", "resetRetryAfter"]',
      '["baseWait", "maxWait"]',
    ]),
    options("a fraction of a repeat is let in", ["maxRetries, { integer: true }", "maxRetries"]),
    options("a jitter above 1 is let in", ["jitter, { max: 1 }", "jitter"]),
    options("the message forgets whose option it is", ["`${name}.${option}`", "option"]),
    check("NaN is let in", [
      "above ? value > min : value >= min",
      "above ? !(value <= min) : !(value < min)",
    ], ["value <= max", "!(value > max)"]),
    check("the least value is refused", ["above ? value > min : value >= min", "value > min"]),
    check("a value that must be above the least may be the least", [
      "above ? value > min : value >= min",
      "value >= min",
    ]),
    check("the greatest value is refused", ["value <= max", "value < max"]),
    check(
      "-Infinity counts as Infinity",
      ["value === Infinity)", "Math.abs(value) === Infinity)"],
      [
        "above ? value > min : value >= min",
        "above ? value > min : value >= min || value === -Infinity",
      ],
    ),
    check("a string that is a number is let in", [
      'if (typeof value !== "number") refuse',
      'if (typeof value !== "number" && typeof value !== "string") refuse',
    ]),
    check("null is taken for an object", ["value !== null && ", ""]),
    check("an array is taken for an object", [" && !Array.isArray(value)", ""]),
    check("an event target is taken for a signal", [
      'typeof throwIfAborted === "function" && ',
      "",
    ]),
    check("an object with throwIfAborted is taken for a signal", [
      ' && typeof addEventListener === "function"',
      "",
    ]),
    check("a long string is quoted whole", [
      "const isLong = value.length > MAX_SHOWN;",
      "const isLong = false;",
    ]),
  ],
};
