/**
 * The look-ups that settle the fate of an order: for `reconcile`, and for the session's option of
 * this name. When a look-up counts, and why, stands in the comment of `reconcile`. Internal.
 *
 * @module
 */

import { delay } from "@std/async/delay";
import { MAX_TIMER } from "../platform/max_timer.ts";
import { isNetworkError } from "../platform/network_error.ts";
import { BrokerError } from "./broker_error.ts";
import { checkNumber, refuse } from "./check.ts";
import { markLookUp } from "./look_up.ts";

/**
 * The argument of {@linkcode ReconcileOptions.find}.
 *
 * @example A look-up that says why it asks
 * ```ts
 * import { reconcile, type ReconcileContext } from "@aio-trader/core/reconcile";
 * import { BrokerError } from "@aio-trader/core/session";
 * import { assertEquals } from "@std/assert";
 *
 * const asked: string[] = [];
 * const find = ({ error }: ReconcileContext) => {
 *   asked.push(error.message);
 *   return { id: "my-1" }; // what the venue has under the id
 * };
 * const place = () =>
 *   Promise.reject(new BrokerError("No answer", { kind: "timeout", outcome: "unknown" }));
 *
 * assertEquals(await reconcile(place, { find }), { id: "my-1" });
 * assertEquals(asked, ["No answer"]);
 * ```
 */
export interface ReconcileContext {
  /** Why the order's fate is unknown. */
  error: BrokerError;
  /**
   * Ends this look-up. Give the signal to the calls of the look-up: a session lets a call that
   * carries it go first, and go on while the session closes. Give this very signal: no session
   * knows one that `AbortSignal.any` has made of it. `timeout` ends a call earlier.
   */
  signal: AbortSignal;
}

/**
 * How a reconciliation is done. Durations are in milliseconds.
 *
 * @example An order that the venue never got
 * ```ts
 * import { reconcile, type ReconcileOptions } from "@aio-trader/core/reconcile";
 * import { BrokerError } from "@aio-trader/core/session";
 * import { assertRejects } from "@std/assert";
 *
 * const options: ReconcileOptions<never> = {
 *   find: () => undefined, // looked everywhere, it is not there
 *   horizon: 0, // this venue takes an order up at once, or never
 * };
 * const place = () =>
 *   Promise.reject(new BrokerError("No answer", { kind: "timeout", outcome: "unknown" }));
 *
 * await assertRejects(() => reconcile(place, options), BrokerError, "has no such order");
 * ```
 */
export interface ReconcileOptions<T> {
  /**
   * Asks the venue for the order, under an id that the order was sent with.
   *
   * - Returns the order if the venue has it, in any state: open, filled, cancelled, rejected. Any
   *   value but `undefined` is the order, `null` too.
   * - Returns `undefined` only after it looked everywhere: open and closed orders, every page.
   * - Throws where it cannot say: the venue failed, or it saw one page of several.
   */
  find: (context: ReconcileContext) => Promise<T | undefined> | T | undefined;
  /**
   * How long after the end of the request the order may still turn up at the venue, in
   * milliseconds. An `undefined` of a look-up that began earlier says nothing. `0` believes the
   * first look-up.
   *
   * @default {10_000}
   */
  horizon?: number | undefined;
  /**
   * Longest time of the whole reconciliation, in milliseconds, at least `horizon`. A look-up needs
   * time after `horizon`, so leave it some. `Infinity` never gives up.
   *
   * @default {60_000}
   */
  timeout?: number | undefined;
}

/** Wait before the second look-up, in milliseconds. */
const FIRST_WAIT = 500;

/** Longest wait between two look-ups, in milliseconds. */
const MAX_WAIT = 5_000;

/** Longest time of one look-up, in milliseconds, so that one that hangs leaves time for others. */
const PATIENCE = 20_000;

/**
 * Checks the options of a reconciliation, before the order is sent.
 *
 * @param options The options.
 * @throws {RangeError} If `horizon` is negative or `timeout` is below it.
 * @throws {TypeError} If one is of the wrong type.
 */
export function checkReconcile<T>(options: ReconcileOptions<T>): void {
  const task = "Cannot reconcile";
  if (Object(options) !== options) refuse(task, "options", options, "an object with find");
  const { find, horizon = 10_000, timeout = 60_000 } = options;
  if (typeof find !== "function") refuse(task, "find", find, "a function");
  checkNumber(task, "horizon", horizon, { unit: "milliseconds" });
  const unit = "the horizon or longer: milliseconds";
  checkNumber(task, "timeout", timeout, { min: horizon, unit });
}

/**
 * Finds out the fate of an order whose request has ended.
 *
 * @param error Why the fate is unknown.
 * @param options How to look the order up; `ended` is the `performance.now()` at which the request
 * had ended.
 * @returns The order.
 * @throws {BrokerError} With outcome `"absent"`, or after `timeout` the error itself.
 * @throws The reason of `signal`, once it is aborted.
 */
export async function settle<T>(
  error: BrokerError,
  options: ReconcileOptions<T> & { ended: number; signal?: AbortSignal | undefined },
): Promise<T> {
  const { timeout = 60_000, signal } = options;
  signal?.throwIfAborted();
  const inquiry = new Inquiry(error, options);
  const abort = () => inquiry.end(signal!.reason);
  signal?.addEventListener("abort", abort);
  const late = () => inquiry.giveUp();
  const timer = timeout < Infinity ? setTimeout(late, Math.min(timeout, MAX_TIMER)) : undefined;
  try {
    return await inquiry.verdict;
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener("abort", abort);
  }
}

/** The look-ups of one order. */
class Inquiry<T> {
  readonly #error: BrokerError;
  readonly #options: ReconcileOptions<T> & { ended: number };
  readonly #verdict = Promise.withResolvers<T>();
  /** Aborted once the verdict is known: ends the wait or the look-up that goes on. */
  readonly #over = new AbortController();
  /** Why the fate cannot be told so far. */
  #doubt: unknown = new Error("No look-up has ended");

  /** Begins to look up. */
  constructor(error: BrokerError, options: ReconcileOptions<T> & { ended: number }) {
    this.#error = error;
    this.#options = options;
    this.#lookUpOften();
  }

  /** The order, or why there is none. */
  get verdict(): Promise<T> {
    return this.#verdict.promise;
  }

  /** Ends the look-ups with an error, unless the verdict is known. */
  end(reason: unknown): void {
    this.#verdict.reject(reason);
    this.#over.abort(reason);
  }

  /** Ends the look-ups with the order's own error, and the reason for the doubt as its cause. */
  giveUp(): void {
    const value = shown(this.#doubt);
    Object.defineProperty(this.#error, "cause", { value, configurable: true, writable: true });
    this.end(this.#error);
  }

  async #lookUpOften(): Promise<void> {
    const { signal } = this.#over;
    for (let backoff = FIRST_WAIT; !signal.aborted; backoff = Math.min(2 * backoff, MAX_WAIT)) {
      await this.#lookUp();
      await delay(this.#wait(backoff), { signal }).catch(() => {}); // an abort ends the loop
    }
  }

  /** One look-up, no longer than patience lasts. */
  async #lookUp(): Promise<void> {
    const { timeout = 60_000 } = this.#options;
    const { signal: over } = this.#over;
    const look = new AbortController();
    markLookUp(look.signal);
    const { promise: ended, resolve } = Promise.withResolvers<void>();
    const stop = () => look.abort(over.reason);
    const late = () => {
      this.#doubt = new DOMException("The look-up took too long", "TimeoutError");
      look.abort(this.#doubt);
    };
    const timer = setTimeout(late, Math.min(timeout / 3, PATIENCE));
    const end = () => {
      clearTimeout(timer);
      over.removeEventListener("abort", stop);
      resolve();
    };
    over.addEventListener("abort", stop);
    look.signal.addEventListener("abort", end);
    this.#ask(look.signal, end);
    await ended;
  }

  /**
   * Asks, and judges the answer. One that comes after patience has ended is as true as any other.
   */
  async #ask(signal: AbortSignal, end: () => void): Promise<void> {
    const { find, horizon = 10_000, ended } = this.#options;
    const began = performance.now();
    try {
      const found = await find({ error: this.#error, signal });
      end();
      if (found !== undefined) {
        this.#verdict.resolve(found);
        this.#over.abort();
      } else if (began - ended >= horizon) this.end(absent(this.#error));
      else this.#doubt = new Error(`No look-up has ended that began ${horizon} ms after the order`);
    } catch (failure) {
      if (!signal.aborted) this.#doubt = failure;
      end();
    }
  }

  /** Milliseconds until the next look-up. One begins when `horizon` ends. */
  #wait(backoff: number): number {
    const { horizon = 10_000, ended } = this.#options;
    const { retryAfter } = Object(this.#doubt);
    const asked = typeof retryAfter === "number" && retryAfter > 0 ? retryAfter : 0;
    const left = Math.ceil(ended + horizon - performance.now());
    const wait = backoff * (1 - Math.random() / 2);
    return Math.min(Math.max(left > 0 ? Math.min(wait, left) : wait, asked), MAX_TIMER);
  }
}

/** The order's error, once the venue is known not to have the order. */
function absent(error: BrokerError): BrokerError {
  const words = error.message.replace("; it may have been executed", "");
  return new BrokerError(`${words}; the venue was asked and has no such order`, {
    ...error,
    outcome: "absent",
    retriable: false,
    cause: error,
  });
}

/**
 * A failure of a look-up as an error may show it: a runtime's text about the network may hold a
 * key.
 */
function shown(failure: unknown): unknown {
  if (failure instanceof BrokerError || !isNetworkError(failure)) return failure;
  const { name } = failure as Error;
  return name === "TimeoutError" ? failure : new Error("The look-up failed: network error");
}
