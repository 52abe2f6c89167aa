import { assert } from "@std/assert";
import { setImmediate } from "node:timers";

/** A clock for property tests: timers that are not punctual, and no waiting for real ones. */
export class VirtualClock {
  /** What `performance.now` shows; a test may move it forward to pass for work. */
  now: number;
  readonly #timers = new Map<number, { at: number; callback: () => void }>();
  #ids = 0;
  readonly #error: () => number;
  readonly #real = { setTimeout: globalThis.setTimeout, clearTimeout: globalThis.clearTimeout };

  /**
   * Takes the place of `performance.now` and of the timers until it is disposed of.
   *
   * @param start What `performance.now` shows at first.
   * @param error How much later than asked the next timer fires, negative for earlier.
   */
  constructor(start: number, error: () => number) {
    this.now = start;
    this.#error = error;
    performance.now = () => this.now;
    Object.assign(globalThis, {
      setTimeout: this.#set,
      clearTimeout: (id: number) => this.#timers.delete(id),
    });
  }

  /** Puts the real clock and timers back. */
  [Symbol.dispose](): void {
    delete (performance as Partial<Performance>).now; // the prototype's shows again
    Object.assign(globalThis, this.#real);
  }

  /** Timers that are still to fire. */
  get live(): number {
    return this.#timers.size;
  }

  #set = (callback: () => void, delay: number): number => {
    assert(delay >= 0, `no timer is ever set below 0: ${delay}`);
    // As every runtime does it: whole milliseconds, at least 1, and at once where 32 bits overflow.
    const wait = delay >= 1 && delay < 2 ** 31 ? Math.trunc(delay) : 1;
    this.#timers.set(++this.#ids, { at: this.now + wait + this.#error(), callback });
    return this.#ids;
  };

  /**
   * Fires the timers that fire up to a time, and lets promises run on after each.
   *
   * @param until The time, or the last timer if none is given.
   */
  async runTo(until: number = Infinity): Promise<void> {
    for (let steps = 0; steps < 100_000; steps++) {
      const [next] = [...this.#timers].sort(([a, { at }], [b, other]) => at - other.at || a - b);
      if (next === undefined || next[1].at > until) {
        if (until < Infinity) this.now = Math.max(this.now, until);
        return;
      }
      this.#timers.delete(next[0]);
      this.now = Math.max(this.now, next[1].at); // late where work has kept the thread
      next[1].callback();
      await settle();
    }
    throw new Error("The timers never come to an end");
  }
}

/** Lets promises run on until none can any more. */
export function settle(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
