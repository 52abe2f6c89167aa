/**
 * All limits of a throttler together: what may be spent, and when. Nothing here waits.
 *
 * @module
 */

import {
  type Bucket,
  clock,
  createBucket,
  floorTick,
  inherit,
  type Limit,
  TICKS,
} from "./bucket.ts";

/** What a venue says of its own count, for `Throttler.sync`. */
export interface VenueCount {
  /** Tokens left. Either this or `used` is wanted. */
  remaining?: number | undefined;
  /** Tokens used. */
  used?: number | undefined;
  /** How long until the venue counts from 0 again, in milliseconds. */
  resetIn?: number | undefined;
  /**
   * The period of the limit that the venue speaks of, in milliseconds. Name it where a count goes to
   * several throttlers, so that those without such a limit refuse it.
   *
   * @default the longest
   */
  period?: number | undefined;
}

/** A pause, or what a venue leaves to be spent until a tick. */
interface Cap {
  /** Tokens; `-Infinity` in a pause. */
  left: number;
  readonly until: number;
}

/** Whether a tick has come. The clock is not read for 0, which says that nothing was to wait for. */
export function isPast(tick: number): boolean {
  return tick === 0 || tick <= floorTick();
}

/** The limits, which allow a call together or not at all. */
export class Limits {
  /** The highest cost that all of them can ever allow. */
  capacity = 0;
  #buckets: Bucket[] = [];
  #caps: Cap[] = [];
  /** Tokens of the calls whose start, and of those whose finish, is still to be stamped. */
  #starting = 0;
  #running = 0;

  /**
   * Makes full limits.
   *
   * @param limits One or several.
   */
  constructor(limits: Limit | readonly Limit[]) {
    this.update(limits);
  }

  /** Tokens per millisecond that come back in the slowest of them. */
  get rate(): number {
    return Math.min(...this.#buckets.map(({ limit, period }) => limit / period));
  }

  /** The longest of their periods. */
  get period(): number {
    return Math.max(...this.#buckets.map(({ period }) => period));
  }

  /** Tokens that may be spent now. */
  get available(): number {
    const now = floorTick();
    let available = Infinity;
    for (const bucket of this.#buckets) {
      available = Math.min(available, bucket.available(now) - this.#held(bucket));
    }
    for (const cap of this.#caps) {
      if (cap.until > now) available = Math.min(available, cap.left - this.#starting);
    }
    return Math.max(0, available);
  }

  /**
   * Replaces the limits by others, which count what these remember.
   *
   * @param limits The new ones.
   */
  update(limits: Limit | readonly Limit[]): void {
    const buckets = [limits].flat().map((limit) => createBucket(limit as Limit));
    if (buckets.length === 0) {
      throw new RangeError("Cannot set the limits: there is none, wanted at least one");
    }
    const running = this.#running - this.#starting;
    const heirs = buckets.map((bucket) => inherit(bucket, this.#buckets, running));
    this.#buckets = [...new Set(heirs)]; // of two that are alike, one is enough
    this.capacity = Math.min(...buckets.map((bucket) => bucket.capacity));
  }

  /**
   * Says when all limits allow a cost.
   *
   * @param cost The tokens; above the capacity, the answer is an estimate.
   * @param isEstimate Whether an estimate will do while the answer depends on a call that runs.
   * @returns The tick, which may be past. `Infinity` if it depends on a call that is still to finish.
   */
  allowedAt(cost: number, isEstimate = false): number {
    let at = 0;
    for (const bucket of this.#buckets) {
      const need = cost + this.#held(bucket);
      if (need > bucket.capacity && !isEstimate) return Infinity;
      at = Math.max(at, bucket.allowedAt(need));
    }
    for (const cap of this.#caps) {
      if (cost + this.#starting > cap.left) at = Math.max(at, cap.until);
    }
    return at;
  }

  /**
   * Holds the tokens of a call that is about to start.
   *
   * @param cost How many.
   */
  hold(cost: number): void {
    this.#starting += cost;
    this.#running += cost;
  }

  /**
   * Charges the limits that count starts.
   *
   * @param cost What was held.
   * @returns Whether other limits wait for the finish.
   */
  stampStart(cost: number): boolean {
    const now = clock();
    let hasFinish = false;
    for (const bucket of this.#buckets) {
      if (bucket.isFinish) hasFinish = true;
      else bucket.spend(cost, now);
    }
    for (const cap of this.#caps) cap.left -= cost;
    this.#starting -= cost;
    if (!hasFinish) this.#running -= cost;
    return hasFinish;
  }

  /**
   * Charges the limits that count finishes.
   *
   * @param cost What was held.
   */
  stampFinish(cost: number): void {
    this.#running -= cost;
    const now = clock();
    for (const bucket of this.#buckets) if (bucket.isFinish) bucket.spend(cost, now);
  }

  /**
   * Lets no more than `left` tokens be spent for a while.
   *
   * @param left How many; `-Infinity` stops calls of cost 0 too.
   * @param duration Milliseconds.
   */
  cap(left: number, duration: number): void {
    const now = floorTick();
    const until = Math.ceil(clock() + duration * TICKS);
    if (this.#caps.some((cap) => cap.left <= left && cap.until >= until)) return;
    const matters = (cap: Cap) => cap.until > now && (cap.left < left || cap.until > until);
    this.#caps = [...this.#caps.filter(matters), { left, until }];
  }

  /**
   * Tightens the limits to what the venue counts.
   *
   * @param count The venue's count.
   * @returns Tokens by which the venue counts more.
   */
  sync(count: VenueCount): number {
    const { period = this.period, resetIn } = count;
    const bucket = this.#buckets.find((bucket) => bucket.period === period);
    if (!bucket) throw new RangeError(`Cannot sync: no limit has a period of ${period}`);
    if (!((count.remaining ?? count.used ?? NaN) >= 0 && (resetIn ?? 0) >= 0)) {
      throw new RangeError("Cannot sync: a count is missing or below 0, at least 0 is wanted");
    }
    const left = Math.floor(Math.max(0, count.remaining ?? bucket.limit - count.used!));
    const excess = Math.max(0, bucket.available(floorTick()) - this.#held(bucket) - left);
    if (resetIn !== undefined) this.cap(left, resetIn);
    else if (excess > 0) bucket.spend(excess, clock());
    return excess;
  }

  #held(bucket: Bucket): number {
    return bucket.isFinish ? this.#running : this.#starting;
  }
}
