/**
 * How often one subscription may be asked for. Internal.
 *
 * A venue whose books are always wrong, or which refuses for now again and again, must not be asked
 * as fast as it answers. So what is asked again soon after another time waits, longer each time.
 * Every wait is a timer of its own: no clocks are compared, so a suspended process repairs late, and
 * never in a burst.
 *
 * @module
 */

import { MAX_TIMER } from "../platform/max_timer.ts";

/** When to repair. */
export interface RepairOptions {
  /** Longest wait, in milliseconds. */
  maxWait: number;
  /** How long a subscription must have been left alone for the waits to start again. */
  resetRetryAfter: number;
}

/** One subscription that was asked for anew. */
interface Repair {
  /** Repairs in a row. */
  count: number;
  /** Whether the next one waits. */
  isWaiting: boolean;
  /** Whether the venue refused the subscription for now, so that nothing may ask for it meanwhile. */
  isHeld: boolean;
  timer?: ReturnType<typeof setTimeout>;
}

/** Wait before the second repair; it doubles with each one. */
const BASE_WAIT = 1_000;
/** Repairs in a row after which one waits for {@linkcode LONG_WAIT}. */
const MOST_REPAIRS = 11;
const LONG_WAIT = 600_000;

/** The repairs of a feed, by the key of the subscription. */
export class Repairs {
  readonly #options: RepairOptions;
  readonly #repairs = new Map<unknown, Repair>();

  /**
   * Makes the list.
   *
   * @param options When to repair.
   */
  constructor(options: RepairOptions) {
    this.#options = options;
  }

  /** Whether a subscription is held back, as the venue refused it for now. */
  isHeld(key: unknown): boolean {
    return this.#repairs.get(key)?.isHeld === true;
  }

  /** Whether any subscription is held back of which this says that it counts. */
  holdsAny(counts: (key: unknown) => boolean): boolean {
    for (const [key, { isHeld }] of this.#repairs) if (isHeld && counts(key)) return true;
    return false;
  }

  /**
   * Repairs now, or once it may be: a call for a subscription that waits already joins that wait.
   *
   * @param key The subscription.
   * @param repair Asks for it.
   * @param hold Keeps everything else from asking for it until then, at least for so many milliseconds.
   * @returns The wait, in milliseconds.
   */
  plan(key: unknown, repair: () => void, hold?: number): number {
    const planned = this.#repairs.get(key) ?? { count: 0, isWaiting: false, isHeld: false };
    this.#repairs.set(key, planned);
    if (planned.isWaiting && hold === undefined) return 0;
    const wait = Math.min(Math.max(this.#backoff(planned.count), hold ?? 0), MAX_TIMER);
    if (!planned.isWaiting) planned.count++;
    clearTimeout(planned.timer);
    planned.isHeld = hold !== undefined;
    planned.isWaiting = planned.isHeld || wait > 0;
    if (planned.isWaiting) planned.timer = setTimeout(() => this.#run(key, repair), wait);
    else this.#run(key, repair);
    return wait;
  }

  /** Drops the repairs that wait, as a new connection asks for everything: but not what is held. */
  settle(): void {
    for (const [key, { isWaiting, isHeld, timer }] of this.#repairs) {
      if (!isWaiting || isHeld) continue;
      clearTimeout(timer);
      this.#run(key, () => {});
    }
  }

  /** Forgets everything. */
  clear(): void {
    for (const { timer } of this.#repairs.values()) clearTimeout(timer);
    this.#repairs.clear();
  }

  #backoff(count: number): number {
    if (count === 0) return 0;
    if (count >= MOST_REPAIRS) return LONG_WAIT;
    return Math.min(BASE_WAIT * 2 ** (count - 1), this.#options.maxWait);
  }

  #run(key: unknown, repair: () => void): void {
    const { resetRetryAfter } = this.#options;
    const planned = this.#repairs.get(key)!;
    planned.isWaiting = planned.isHeld = false;
    planned.timer = resetRetryAfter === Infinity ? undefined : setTimeout(
      () => this.#repairs.delete(key),
      Math.min(resetRetryAfter, MAX_TIMER),
    );
    repair();
  }
}
