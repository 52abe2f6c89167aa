/**
 * The one timer of a throttler.
 *
 * @module
 */

import { MAX_TIMER } from "../platform/max_timer.ts";
import { TICKS } from "./bucket.ts";

/**
 * Calls back about when a tick comes, a little early or late. The callback asks the clock again.
 */
export class Alarm {
  readonly #ring: () => void;
  #at = Infinity;
  #timer: ReturnType<typeof setTimeout> | undefined;

  /**
   * Makes an alarm that is not set.
   *
   * @param ring The callback.
   */
  constructor(ring: () => void) {
    this.#ring = ring;
  }

  /**
   * Sets the alarm, in place of any earlier tick.
   *
   * @param at The tick. `Infinity` sets no timer.
   */
  set(at: number): void {
    if (at === this.#at) return;
    this.#at = at;
    clearTimeout(this.#timer);
    if (at === Infinity) return;
    // The tick may have come since the caller looked, and Node warns of timers below 0.
    const wait = Math.max(0, Math.ceil(at / TICKS - performance.now()));
    this.#timer = setTimeout(() => {
      this.#at = Infinity;
      this.#ring();
    }, Math.min(wait, MAX_TIMER));
  }
}
