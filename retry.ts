/**
 * Repeats a call that failed because of the network, with doubling waits.
 *
 * ```ts
 * import { retry } from "@aio-trader/core/retry";
 * import { assertEquals } from "@std/assert";
 *
 * let calls = 0;
 * const dial = retry((host: string) => {
 *   if (++calls < 3) throw new DOMException("No answer", "TimeoutError");
 *   return Promise.resolve(`connected to ${host}`);
 * }, { baseWait: 1 });
 *
 * assertEquals(await dial("venue"), "connected to venue");
 * assertEquals(calls, 3);
 * ```
 *
 * @module
 */

import { delay } from "@std/async/delay";
import { refuse } from "./common/check.ts";
import { checkRetryOptions, type RetryEvent, type RetryOptions } from "./common/retry_options.ts";
import { MAX_TIMER } from "./platform/max_timer.ts";
import { isNetworkError } from "./platform/network_error.ts";

export { isNetworkError, type RetryEvent, type RetryOptions };

/**
 * The decorator of `retry(options)`: wraps a function or a method.
 *
 * @example One decorator for several functions
 * ```ts
 * import { retry, type RetryDecorator } from "@aio-trader/core/retry";
 * import { assertEquals } from "@std/assert";
 *
 * const patient: RetryDecorator = retry({ maxRetries: 5, baseWait: 1, shouldRetry: () => true });
 * let calls = 0;
 * const quote = patient((symbol: string) => {
 *   if (++calls < 3) throw new Error("no answer");
 *   return `${symbol} 100`;
 * });
 * assertEquals(await quote("INFY"), "INFY 100");
 * ```
 */
export type RetryDecorator = <This, Args extends unknown[], Result>(
  fn: (this: This, ...args: Args) => Result | PromiseLike<Result>,
  context?: ClassMethodDecoratorContext<This, (this: This, ...args: Args) => Promise<Result>>,
) => (this: This, ...args: Args) => Promise<Result>;

/** Enough to reach any `maxWait`; an overflow to Infinity would turn a `baseWait` of 0 into NaN. */
const MAX_DOUBLINGS = 64;

/**
 * Wraps a function: a call that fails because of the network is repeated, with doubling waits.
 *
 * - `maxRetries` counts the repeats after the first call; then the last error is thrown, at once.
 * - An error that is not worth repeating is thrown at once.
 * - The waits double from `baseWait` up to `maxWait`. An error's `retryAfter` (milliseconds) makes
 *   the next wait longer. A `retryAfter` above `maxWait` means giving up now.
 * - An error whose `uptime` (milliseconds) is at least `resetRetryAfter` starts the count again. A
 *   call that merely took long does not.
 * - Before giving up, the wrapper closes `this`, once, and awaits the closing. An error while
 *   closing never hides the error of the call.
 * - An abort ends a wait at once and leaves no timer and no listener. An abort closes nothing: the
 *   caller who aborts is still in charge.
 * - An abort in a wait rejects with the signal's reason, an abort in a call with that call's error.
 * - A call that is already running is never ended: an abort, or a signal of the function's own, is
 *   for the function to hear.
 *
 * The wrapper has the parameters, the `this`, the `name` and the `length` of the function.
 *
 * @param fn The function to repeat.
 * @param options When to repeat, how often and how long to wait.
 * @returns A function with the same parameters.
 * @throws {RangeError} If a number in `options` is out of its range.
 * @throws {TypeError} If `fn` or an option is of the wrong type.
 *
 * @example As a function
 * ```ts
 * import { retry } from "@aio-trader/core/retry";
 * import { assertEquals } from "@std/assert";
 *
 * const price = retry(async (symbol: string) => (await fetch(`data:,${symbol}`)).text(), { maxRetries: 3 });
 * assertEquals(await price("INFY"), "INFY");
 * ```
 */
export function retry<This, Args extends unknown[], Result>(
  fn: (this: This, ...args: Args) => Result | PromiseLike<Result>,
  options?: RetryOptions,
): (this: This, ...args: Args) => Promise<Result>;
/**
 * Makes a decorator of the same options, for methods: `@retry()` or `@retry({ maxRetries: 3 })`.
 *
 * @param options When to repeat, how often and how long to wait.
 * @returns The decorator; `retry(options)(fn)` is the same as `retry(fn, options)`.
 * @throws {RangeError} If a number in `options` is out of its range.
 * @throws {TypeError} If another option is of the wrong type.
 *
 * @example As a method decorator
 * ```ts
 * import { retry } from "@aio-trader/core/retry";
 * import { assertEquals } from "@std/assert";
 *
 * class Feed {
 *   dials = 0;
 *   closed = false;
 *
 *   @retry({ maxRetries: 2, baseWait: 1 })
 *   connect(): Promise<void> {
 *     this.dials++;
 *     return Promise.reject(new DOMException("No answer", "TimeoutError"));
 *   }
 *
 *   close(): void {
 *     this.closed = true;
 *   }
 * }
 *
 * const feed = new Feed();
 * await feed.connect().catch(() => {});
 * assertEquals(feed.dials, 3);
 * assertEquals(feed.closed, true); // closed before giving up
 * ```
 */
export function retry(options?: RetryOptions): RetryDecorator;
export function retry<This, Args extends unknown[], Result>(
  fnOrOptions?: ((this: This, ...args: Args) => Result | PromiseLike<Result>) | RetryOptions,
  options?: RetryOptions,
): RetryDecorator | ((this: This, ...args: Args) => Promise<Result>) {
  if (typeof fnOrOptions === "function") {
    checkRetryOptions("Cannot retry", options);
    return wrap(fnOrOptions, options);
  }
  checkRetryOptions("Cannot retry", fnOrOptions);
  const decorate: RetryDecorator = (fn) => wrap(fn, fnOrOptions);
  return decorate;
}

function wrap<This, Args extends unknown[], Result>(
  fn: (this: This, ...args: Args) => Result | PromiseLike<Result>,
  options: RetryOptions = {},
): (this: This, ...args: Args) => Promise<Result> {
  if (typeof fn !== "function") refuse("Cannot retry", "fn", fn, "a function or a method");
  const settings = withDefaults(options);
  const { signal, onRetry, resetRetryAfter, close } = settings;

  // A success pays for this much, and no loop.
  async function retrying(this: This, ...args: Args): Promise<Result> {
    signal?.throwIfAborted();
    try {
      return await fn.apply(this, args);
    } catch (error) {
      return await repeat(this, args, error);
    }
  }

  async function repeat(owner: This, args: Args, error: unknown): Promise<Result> {
    let retries = 0;
    while (true) {
      if (signal?.aborted) throw error;
      const uptime = milliseconds(error, "uptime");
      if (uptime > 0 && uptime >= resetRetryAfter) retries = 0;
      const wait = waitAfter(error, retries, settings);
      if (wait === undefined) {
        if (close) await closeQuietly(owner, retrying);
        throw error;
      }
      retries++;
      onRetry?.({ attempt: retries, delay: wait, error });
      await delay(wait, { signal });
      signal?.throwIfAborted();
      try {
        return await fn.apply(owner, args);
      } catch (next) {
        error = next;
      }
    }
  }

  return likened(retrying, fn);
}

/** Gives a wrapper the name and the length of its function. */
function likened<Wrapper>(wrapper: Wrapper, { name, length }: { name: string; length: number }) {
  return Object.defineProperties(wrapper, {
    name: { value: name, configurable: true },
    length: { value: length, configurable: true },
  });
}

type Optional = "signal" | "onRetry";
type Settings = Required<Omit<RetryOptions, Optional>> & Pick<RetryOptions, Optional>;

function withDefaults(options: RetryOptions): Settings {
  const { maxRetries = 5, baseWait = 2_000, maxWait = 60_000, resetRetryAfter = 30_000 } = options;
  const { jitter = 0, signal, shouldRetry = isRetriable, onRetry, close = true } = options;
  return {
    maxRetries,
    baseWait,
    maxWait,
    resetRetryAfter,
    jitter,
    signal,
    shouldRetry,
    onRetry,
    close,
  };
}

/** The wait before the next repeat, in milliseconds, or `undefined` to give up. */
function waitAfter(error: unknown, retries: number, settings: Settings): number | undefined {
  const { maxRetries, baseWait, maxWait, jitter, shouldRetry } = settings;
  const retryAfter = milliseconds(error, "retryAfter");
  if (retries >= maxRetries || retryAfter > maxWait || !shouldRetry(error)) return undefined;
  const backoff = Math.min(baseWait * 2 ** Math.min(retries, MAX_DOUBLINGS), maxWait);
  const jittered = backoff * (1 - jitter * Math.random());
  return Math.min(Math.max(jittered, retryAfter), MAX_TIMER);
}

/** The milliseconds that an error carries under this name, or 0. */
function milliseconds(error: unknown, name: "retryAfter" | "uptime"): number {
  const { [name]: value } = Object(error);
  return typeof value === "number" && value > 0 ? value : 0;
}

async function closeQuietly(owner: unknown, wrapper: unknown): Promise<void> {
  try {
    const { close, [Symbol.asyncDispose]: dispose } = Object(owner);
    const end = close ?? dispose;
    // A close() that is itself retried must not call itself for ever.
    if (typeof end === "function" && end !== wrapper) await end.call(owner);
  } catch {
    // The caller needs the error that ended the repeats, not this one.
  }
}

function isRetriable(error: unknown): boolean {
  const { retriable } = Object(error);
  return typeof retriable === "boolean" ? retriable : isNetworkError(error);
}
