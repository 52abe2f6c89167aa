/**
 * Ends what takes too long. Internal to {@linkcode Session}.
 *
 * @module
 */

import { MAX_TIMER } from "../platform/max_timer.ts";

/** How far apart what starts together may be, in milliseconds. */
const TOGETHER = 1;

/**
 * Gives everything the same time, with one timer for all: one for each call would cost as much as a
 * tenth of a fetch. Nothing ends early by more than a millisecond, and no timer is left once
 * nothing is under way.
 */
export class Timeouts {
  /** How long everything has, in milliseconds. */
  readonly delay: number;
  /** What is under way, by how to end it, with when it began: the oldest first. */
  readonly #pending = new Map<() => void, number>();
  #timer: ReturnType<typeof setTimeout> | undefined;

  /**
   * Creates timeouts.
   *
   * @param delay Milliseconds; `Infinity` ends nothing.
   */
  constructor(delay: number) {
    this.delay = delay;
  }

  /** Calls `end` after the delay, unless it is removed before. */
  add(end: () => void): void {
    if (this.delay === Infinity) return;
    this.#pending.set(end, performance.now());
    if (this.#timer === undefined) this.#arm(this.delay);
  }

  /** Lets something go on, or end by itself. */
  remove(end: () => void): void {
    if (!this.#pending.delete(end) || this.#pending.size > 0) return;
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  #arm(delay: number): void {
    const [oldest] = this.#pending;
    const ring = () => {
      this.#timer = undefined;
      // The timer was set for the oldest, so its word counts; the clock's for those that came after
      // it.
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
