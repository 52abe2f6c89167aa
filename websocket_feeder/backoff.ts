/**
 * How long to wait before the next attempt. Internal.
 *
 * @module
 */

import { MAX_TIMER } from "../platform/max_timer.ts";

/** The numbers of a backoff; all waits are in milliseconds. */
export interface BackoffOptions {
  /** Repeats before giving up. */
  maxRetries: number;
  /** First wait. */
  baseWait: number;
  /** Longest wait. */
  maxWait: number;
  /** How long a connection must have been live for the count to start again. */
  resetRetryAfter: number;
  /** How much of each wait is left to chance, from 0 to 1. */
  jitter: number;
}

/** Enough to reach any `maxWait`, and far from an overflow, which would make NaN of a wait of 0. */
const MAX_DOUBLINGS = 64;

/** Waits that double from `baseWait` to `maxWait`, counted anew after a stable connection. */
export class Backoff {
  readonly #options: BackoffOptions;
  #repeats = 0;

  /**
   * Makes a backoff.
   *
   * @param options The numbers.
   */
  constructor(options: BackoffOptions) {
    this.#options = options;
  }

  /** Counts anew. */
  reset(): void {
    this.#repeats = 0;
  }

  /**
   * Says when the next attempt follows.
   *
   * @param uptime How long the connection had been live, in milliseconds.
   * @param retryAfter How long the venue asks to wait: it makes the wait longer, above `maxWait`
   *   too.
   * @returns The number of the repeat, from 1, and the wait; nothing after `maxRetries`.
   */
  next(uptime: number, retryAfter = 0): { attempt: number; delay: number } | undefined {
    const { maxRetries, baseWait, maxWait, resetRetryAfter, jitter } = this.#options;
    if (uptime > 0 && uptime >= resetRetryAfter) this.reset();
    if (this.#repeats >= maxRetries) return undefined;
    const wait = Math.min(baseWait * 2 ** Math.min(this.#repeats, MAX_DOUBLINGS), maxWait);
    const delay = Math.max(wait * (1 - jitter * Math.random()), retryAfter);
    return { attempt: ++this.#repeats, delay: Math.min(delay, MAX_TIMER) };
  }
}
