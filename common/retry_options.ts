/**
 * The options of repeats, and the check of them that every room with repeats makes. Internal:
 * `retry.ts` exports the types.
 *
 * @module
 */

import { checkBoolean, checkFunction, checkNumber, checkObject, checkSignal } from "./check.ts";

/**
 * Options of {@linkcode retry}. Every duration is in milliseconds.
 *
 * @example Few repeats, short waits, and each of them logged
 * ```ts
 * import { retry, type RetryEvent, type RetryOptions } from "@aio-trader/core/retry";
 * import { assertEquals } from "@std/assert";
 *
 * const log: string[] = [];
 * const patience: RetryOptions = {
 *   maxRetries: 2,
 *   baseWait: 1,
 *   onRetry: ({ attempt, delay }: RetryEvent) => void log.push(`repeat ${attempt} in ${delay} ms`),
 * };
 *
 * const dial = retry(() => {
 *   throw new DOMException("No answer", "TimeoutError");
 * }, patience);
 * await dial().catch(() => {});
 *
 * assertEquals(log, ["repeat 1 in 1 ms", "repeat 2 in 2 ms"]);
 * ```
 */
export interface RetryOptions {
  /**
   * Repeats after the first call. `0` never repeats, `Infinity` never gives up.
   *
   * @default {5}
   */
  maxRetries?: number | undefined;
  /**
   * Wait before the first repeat, in milliseconds; the wait doubles with each repeat. `0` repeats
   * at once.
   *
   * @default {2_000}
   */
  baseWait?: number | undefined;
  /**
   * Longest wait between two attempts, in milliseconds. `Infinity` sets no limit.
   *
   * @default {60_000}
   */
  maxWait?: number | undefined;
  /**
   * Shortest life of a stable connection, in milliseconds. The loss of a stable connection starts
   * the count and the waits again. Read from the error's `uptime`. `Infinity` never starts again.
   *
   * @default {30_000}
   */
  resetRetryAfter?: number | undefined;
  /**
   * Share of each wait that is left to chance, from `0` (none) to `1` (all), so that many clients
   * do not come back at the same moment: the wait is multiplied by `1 - jitter * random`.
   *
   * @default {0}
   */
  jitter?: number | undefined;
  /**
   * Ends the repeats: no further call starts, and a wait rejects at once with the signal's reason.
   */
  signal?: AbortSignal | undefined;
  /**
   * Whether this error is worth another attempt.
   *
   * @default the error's own `retriable` where that is a boolean, else {@linkcode isNetworkError}
   */
  shouldRetry?: ((error: unknown) => boolean) | undefined;
  /**
   * Called before each wait. An error thrown here ends the repeats and replaces the call's error.
   */
  onRetry?: ((event: RetryEvent) => void) | undefined;
  /**
   * Whether `this` is closed before giving up: by its `close()`, or else by its
   * `[Symbol.asyncDispose]()`. `false` leaves `this` open: for a function that is the method of
   * something else, such as a listener.
   *
   * @default {true}
   */
  close?: boolean | undefined;
}

/**
 * Told to {@linkcode RetryOptions.onRetry} before each wait.
 *
 * @example A line in the log for each repeat
 * ```ts
 * import { retry, type RetryEvent } from "@aio-trader/core/retry";
 * import { assertEquals } from "@std/assert";
 *
 * const log: string[] = [];
 * const onRetry = ({ attempt, delay }: RetryEvent) => log.push(`${attempt}: in ${delay} ms`);
 * let calls = 0;
 * const flaky = () => ++calls < 3 ? Promise.reject(new Error("no answer")) : "ok";
 *
 * await retry(flaky, { baseWait: 1, jitter: 0, shouldRetry: () => true, onRetry })();
 * assertEquals(log, ["1: in 1 ms", "2: in 2 ms"]);
 * ```
 */
export interface RetryEvent {
  /** Number of this repeat, from 1; a stable connection starts the count again. */
  attempt: number;
  /** The wait before the repeat, in milliseconds. */
  delay: number;
  /** The error of the last attempt. */
  error: unknown;
}

/**
 * Checks the options of repeats.
 *
 * @param task The beginning of the message: `"Cannot retry"`.
 * @param options The options; `undefined` passes.
 * @param name The name of the whole in the messages. Without a name, messages say `maxRetries`;
 *   with the name `"retry"` messages say `retry.maxRetries`.
 * @throws {TypeError} If an option is of the wrong type.
 * @throws {RangeError} If a number is out of its range.
 */
export function checkRetryOptions(task: string, options: unknown, name?: string): void {
  checkObject(task, name ?? "options", options);
  const given = (options ?? {}) as { [Name in keyof RetryOptions]: unknown };
  const path = (option: string) => name === undefined ? option : `${name}.${option}`;
  const { maxRetries = 0, jitter = 0 } = given;
  checkNumber(task, path("maxRetries"), maxRetries, { integer: true });
  checkNumber(task, path("jitter"), jitter, { max: 1 });
  for (const option of ["baseWait", "maxWait", "resetRetryAfter"] as const) {
    const { [option]: duration = 0 } = given;
    checkNumber(task, path(option), duration, { unit: "milliseconds" });
  }
  checkFunction(task, path("shouldRetry"), given.shouldRetry);
  checkFunction(task, path("onRetry"), given.onRetry);
  checkSignal(task, path("signal"), given.signal);
  checkBoolean(task, path("close"), given.close);
}
