/**
 * Limits how often one subscription is asked for. Internal.
 *
 * Some venues deliver wrong books again and again, or refuse for now each time. The feed must not
 * ask them as fast as they answer. So a repair soon after another one waits, longer each time.
 * Every wait is a timer and no clocks are compared: a suspended process repairs late, never in a
 * burst.
 *
 * @module
 */

import { MAX_TIMER } from "../platform/max_timer.ts";

/** Limits of repairs. */
export interface RepairOptions {
  /** Longest wait, in milliseconds. */
  maxWait: number;
  /** Time without a repair after which the waits start again, in milliseconds. */
  resetRetryAfter: number;
}

/** Repairs of one subscription. */
interface Repair {
  /** Repairs in a row. */
  count: number;
  /** Whether the next repair waits. */
  isWaiting: boolean;
  /** Whether the venue refused for now, so that no connection may ask meanwhile. */
  isHeld: boolean;
  timer?: ReturnType<typeof setTimeout>;
}

/** Wait before the second repair, in milliseconds. It doubles with each one. */
const BASE_WAIT = 1_000;
/** Repairs in a row before each one waits for {@linkcode LONG_WAIT}. */
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

  /** Whether a subscription is held back. */
  isHeld(key: unknown): boolean {
    return this.#repairs.get(key)?.isHeld === true;
  }

  /** Whether any subscription is held back that counts. */
  holdsAny(counts: (key: unknown) => boolean): boolean {
    for (const [key, { isHeld }] of this.#repairs) if (isHeld && counts(key)) return true;
    return false;
  }

  /**
   * Repairs now, or later if the last repair is too fresh. A repair that waits already is joined.
   *
   * @param key Key of the subscription.
   * @param repair Asks the venue.
   * @param hold Keeps all else from asking until then: for at least so many milliseconds.
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

  /** Drops repairs that wait, since a new connection asks for everything. Keeps holds. */
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
