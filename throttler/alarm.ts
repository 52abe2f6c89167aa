/**
 * The one timer of a throttler.
 *
 * @module
 */

import { MAX_TIMER } from "../platform/max_timer.ts";
import { TICKS } from "./bucket.ts";

/** Calls back once a tick has come, or a little earlier or later: the callback asks the clock again. */
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
   * Sets the alarm, in place of what it was set to before.
   *
   * @param at The tick. `Infinity` sets no timer.
   */
  set(at: number): void {
    if (at === this.#at) return;
    this.#at = at;
    clearTimeout(this.#timer);
    if (at === Infinity) return;
    // The tick may have come since it was asked for: a timer below 0 is warned of in Node.
    const wait = Math.max(0, Math.ceil(at / TICKS - performance.now()));
    this.#timer = setTimeout(() => {
      this.#at = Infinity;
      this.#ring();
    }, Math.min(wait, MAX_TIMER));
  }
}
