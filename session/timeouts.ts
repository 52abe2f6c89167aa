/**
 * Ends requests that take too long. Internal to {@linkcode Session}.
 *
 * @module
 */

import { MAX_TIMER } from "../platform/max_timer.ts";

/** How far apart two starts may be that count as one, in milliseconds. */
const TOGETHER = 1;

/**
 * Gives every request the same time, with one timer for all: a timer for each request would cost as
 * much as a tenth of a fetch.
 *
 * - No request is ended early by more than a millisecond.
 * - No timer is left once no request is under way.
 */
export class Timeouts {
  /** Longest time of each request, in milliseconds. */
  readonly delay: number;
  /** How to end each request, with the time of its start: the oldest first. */
  readonly #pending = new Map<() => void, number>();
  #timer: ReturnType<typeof setTimeout> | undefined;

  /**
   * Creates timeouts.
   *
   * @param delay Longest time, in milliseconds; `Infinity` ends no request.
   */
  constructor(delay: number) {
    this.delay = delay;
  }

  /** Calls `end` after the delay, unless `end` is removed before. */
  add(end: () => void): void {
    if (this.delay === Infinity) return;
    this.#pending.set(end, performance.now());
    if (this.#timer === undefined) this.#arm(this.delay);
  }

  /** Takes the limit of a request away. */
  remove(end: () => void): void {
    if (!this.#pending.delete(end) || this.#pending.size > 0) return;
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  #arm(delay: number): void {
    const [oldest] = this.#pending;
    const ring = () => {
      this.#timer = undefined;
      // The timer was set for the oldest, so for the oldest its word counts; for later ones the
      // clock's.
      const due = this.#pending.has(oldest[0]) ? oldest[1] + TOGETHER : -Infinity;
      const now = performance.now();
      for (const [end, since] of this.#pending) {
        const wait = since + this.delay - now;
        if (since >= due && wait > 0) return this.#arm(wait);
        this.#pending.delete(end);
        end();
      }
    };
    this.#timer = setTimeout(ring, Math.min(delay, MAX_TIMER));
  }
}
