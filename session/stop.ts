/**
 * How a call is stopped: by its caller, its deadline, its timeout, or the end of the session.
 * Internal to {@linkcode Session}.
 *
 * @module
 */

import type { BrokerError } from "../common/broker_error.ts";
import type { Link } from "./chain.ts";
import type { Pending, Timeouts } from "./timeouts.ts";

/**
 * The brake of one call. A call goes on in steps: a wait for a login, a wait in line, a request.
 * Each step has a signal of its own, so that a request which took too long does not end the call.
 */
export class Stop {
  readonly #timeouts: Timeouts;
  /** The error that has ended the call. */
  #reason: BrokerError | undefined;
  /** Aborts the waits between attempts. Few calls need it. */
  #call: AbortController | undefined;
  /** Aborts the step that is under way. */
  #step: AbortController | undefined;
  /** The place of the step among all that have a limit. */
  #limit: Link<Pending> | undefined;

  /**
   * Creates the brake of a call.
   *
   * @param timeouts The timer of the steps.
   */
  constructor(timeouts: Timeouts) {
    this.#timeouts = timeouts;
  }

  /** Aborted once the call is ended. */
  get signal(): AbortSignal {
    if (!this.#call) {
      this.#call = new AbortController();
      if (this.#reason) this.#call.abort(this.#reason);
    }
    return this.#call.signal;
  }

  /** Whether the call has been ended. */
  get isStopped(): boolean {
    return this.#reason !== undefined;
  }

  /**
   * Ends the call: its step and its waits. The first error counts.
   *
   * @param error The error that the call rejects with.
   */
  end(error: BrokerError): void {
    this.#reason ??= error;
    this.#call?.abort(this.#reason);
    this.#step?.abort(this.#reason);
  }

  /**
   * Begins a step.
   *
   * @returns The signal of the step.
   * @throws {BrokerError} If the call has been ended.
   */
  begin(): AbortSignal {
    if (this.#reason) throw this.#reason;
    this.#step = new AbortController();
    return this.#step.signal;
  }

  /**
   * Gives the step the time of an attempt, from now on, in place of any earlier limit.
   *
   * @param late Makes the error of a step that took longer.
   */
  limit(late: (timeout: number) => BrokerError): void {
    this.relax();
    this.#limit = this.#timeouts.add(() => this.#step?.abort(late(this.#timeouts.delay)));
  }

  /** Aborts the step, and leaves no connection behind that waits for the rest of an answer. */
  cancel(reason: unknown): void {
    this.#step?.abort(reason);
  }

  /** Takes the limit of the step away. */
  relax(): void {
    this.#timeouts.remove(this.#limit);
    this.#limit = undefined;
  }

  /** Ends the step. */
  finish(): void {
    this.relax();
    this.#step = undefined;
  }
}

/**
 * Waits for a promise, at most until a signal is aborted.
 *
 * @param promise The promise.
 * @param signal The signal, whose reason the wait then rejects with.
 * @returns The value of the promise.
 */
export function abortable<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const abort = () => reject(signal.reason);
    if (signal.aborted) abort();
    // The signal belongs to one step, so the listener goes with the step.
    else signal.addEventListener("abort", abort);
    promise.then(resolve, reject);
  });
}
