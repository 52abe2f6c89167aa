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
import { isNetworkError } from "./platform/network_error.ts";
import { MAX_TIMER } from "./platform/max_timer.ts";

export { isNetworkError };

/** Options of {@linkcode retry}. Every duration is in milliseconds. */
export interface RetryOptions {
  /**
   * Repeats after the first call. `0` never repeats, `Infinity` never gives up.
   *
   * @default {5}
   */
  maxRetries?: number;
  /**
   * Wait before the first repeat, in milliseconds; it doubles with each one. `0` repeats at once.
   *
   * @default {2_000}
   */
  baseWait?: number;
  /**
   * Longest wait between two attempts, in milliseconds. `Infinity` sets no limit.
   *
   * @default {60_000}
   */
  maxWait?: number;
  /**
   * How long a connection must have been up, in milliseconds, for its loss to start the count
   * and the waits again. Read from the error's `uptime`. `Infinity` never starts again.
   *
   * @default {30_000}
   */
  resetRetryAfter?: number;
  /**
   * How much of each wait is left to chance, from `0` (none) to `1` (all of it), so that many
   * clients do not come back at the same moment: the wait is multiplied by `1 - jitter * random`.
   *
   * @default {0}
   */
  jitter?: number;
  /** Ends the repeats: no further call starts, and a wait rejects at once with the signal's reason. */
  signal?: AbortSignal;
  /**
   * Whether this error is worth another attempt.
   *
   * @default the error's own `retriable` where that is a boolean, else {@linkcode isNetworkError}
   */
  shouldRetry?: (error: unknown) => boolean;
  /** Called before each wait. What it throws ends the repeats, in place of the error. */
  onRetry?: (event: RetryEvent) => void;
  /**
   * Whether `this` is closed before giving up: its `close()`, or else its `[Symbol.asyncDispose]()`.
   * `false` leaves it open: for a function that something else calls as its own method, such as a
   * listener.
   *
   * @default {true}
   */
  close?: boolean;
}

/** What {@linkcode RetryOptions.onRetry} is told before each wait. */
export interface RetryEvent {
  /** Which repeat this will be, from 1; it starts again after a connection that had been stable. */
  attempt: number;
  /** The wait before it, in milliseconds. */
  delay: number;
  /** Why the last attempt failed. */
  error: unknown;
}

/** What `retry(options)` returns: wraps a function, and is a method decorator. */
export type RetryDecorator = <This, Args extends unknown[], Result>(
  fn: (this: This, ...args: Args) => Result | PromiseLike<Result>,
  context?: ClassMethodDecoratorContext<This, (this: This, ...args: Args) => Promise<Result>>,
) => (this: This, ...args: Args) => Promise<Result>;

/** Enough to reach any `maxWait`, and far from overflow, which would turn a `baseWait` of 0 into NaN. */
const MAX_DOUBLINGS = 64;

/**
 * Wraps a function so that its network errors are survived.
 *
 * - `maxRetries` counts the repeats after the first call; then the last error is thrown, at once.
 * - An error that is not worth repeating is thrown at once.
 * - The waits double from `baseWait` up to `maxWait`. An error's `retryAfter` (milliseconds) makes
 *   its wait longer; one above `maxWait` means giving up now.
 * - An error whose `uptime` (milliseconds) is at least `resetRetryAfter` starts the count again. A
 *   call that merely took long does not.
 * - Before giving up, `this` is closed, once, and that is awaited. An error while closing never
 *   hides the real one.
 * - An abort ends a wait at once and leaves no timer and no listener. It closes nothing: whoever
 *   aborts is still in charge.
 *
 * The wrapper has the parameters, the `this`, the `name` and the `length` of the function.
 *
 * @param fn The function to repeat.
 * @param options When to repeat, how often and how long to wait.
 * @returns A function with the same parameters.
 * @throws {RangeError} If a number in `options` is out of its range.
 * @throws {TypeError} If `fn` or another option is of the wrong type.
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
  fnOrOptions?:
    | ((this: This, ...args: Args) => Result | PromiseLike<Result>)
    | RetryOptions,
  options?: RetryOptions,
): RetryDecorator | ((this: This, ...args: Args) => Promise<Result>) {
  if (typeof fnOrOptions === "function") {
    return wrap(fnOrOptions, validate(options));
  }
  const valid = validate(fnOrOptions);
  const decorate: RetryDecorator = (fn) => wrap(fn, valid);
  return decorate;
}

function wrap<This, Args extends unknown[], Result>(
  fn: (this: This, ...args: Args) => Result | PromiseLike<Result>,
  options: RetryOptions,
): (this: This, ...args: Args) => Promise<Result> {
  if (typeof fn !== "function") {
    throw new TypeError(
      `Cannot retry a ${typeof fn}: wanted a function or a method`,
    );
  }
  const {
    maxRetries = 5,
    baseWait = 2_000,
    maxWait = 60_000,
    resetRetryAfter = 30_000,
    jitter = 0,
    signal,
    shouldRetry = isRetriable,
    onRetry,
    close = true,
  } = options;

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
      const retryAfter = milliseconds(error, "retryAfter");
      if (retries >= maxRetries || retryAfter > maxWait || !shouldRetry(error)) {
        if (close) await closeQuietly(owner, retrying);
        throw error;
      }
      const backoff = Math.min(baseWait * 2 ** Math.min(retries, MAX_DOUBLINGS), maxWait);
      const jittered = backoff * (1 - jitter * Math.random());
      const wait = Math.min(Math.max(jittered, retryAfter), MAX_TIMER);
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

  return Object.defineProperties(retrying, {
    name: { value: fn.name, configurable: true },
    length: { value: fn.length, configurable: true },
  });
}

function validate(options: RetryOptions = {}): RetryOptions {
  if (typeof options !== "object" || options === null) {
    throw new TypeError(
      `Cannot retry: options is a ${typeof options}, wanted a function or options`,
    );
  }
  const { maxRetries = 0, jitter = 0, close = true, signal } = options;
  if (
    maxRetries !== Infinity &&
    !(Number.isInteger(maxRetries) && maxRetries >= 0)
  ) {
    throw new RangeError(
      `Cannot retry: maxRetries is ${maxRetries}, wanted an integer >= 0 or Infinity`,
    );
  }
  for (const name of ["baseWait", "maxWait", "resetRetryAfter"] as const) {
    const { [name]: value = 0 } = options;
    if (typeof value !== "number" || !(value >= 0)) {
      throw new RangeError(
        `Cannot retry: ${name} is ${value}, wanted milliseconds >= 0`,
      );
    }
  }
  if (typeof jitter !== "number" || !(jitter >= 0 && jitter <= 1)) {
    throw new RangeError(
      `Cannot retry: jitter is ${jitter}, wanted a number from 0 to 1`,
    );
  }
  for (const name of ["shouldRetry", "onRetry"] as const) {
    const { [name]: value = validate } = options;
    if (typeof value !== "function") {
      throw new TypeError(
        `Cannot retry: ${name} is a ${typeof value}, wanted a function`,
      );
    }
  }
  if (typeof close !== "boolean") {
    throw new TypeError(`Cannot retry: close is a ${typeof close}, wanted true or false`);
  }
  if (signal !== undefined && typeof signal?.throwIfAborted !== "function") {
    throw new TypeError(
      `Cannot retry: signal is a ${typeof signal}, wanted an AbortSignal`,
    );
  }
  return options;
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
    // The error that ended the retries is the one to hear about.
  }
}

function isRetriable(error: unknown): boolean {
  const { retriable } = Object(error);
  return typeof retriable === "boolean" ? retriable : isNetworkError(error);
}
