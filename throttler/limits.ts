/**
 * All limits of a throttler together: how much may be spent, and when. Nothing here waits.
 *
 * @module
 */

import { checkNumber, refuse } from "../common/check.ts";
import {
  type Bucket,
  clock,
  createBucket,
  floorTick,
  inherit,
  type Limit,
  TICKS,
} from "./bucket.ts";

/**
 * A venue's own count, for {@linkcode Throttler.sync}.
 *
 * @example A venue that has counted more than we have
 * ```ts
 * import { Throttler, type VenueCount } from "@aio-trader/core/throttler";
 * import { assertEquals } from "@std/assert";
 *
 * const throttler = new Throttler({ limit: 10, period: 60_000 });
 * const count: VenueCount = { used: 4, resetIn: 30_000 }; // from a header of the venue
 *
 * assertEquals(throttler.sync(count), 4); // another program uses the same key
 * assertEquals(throttler.available, 6);
 * ```
 */
export interface VenueCount {
  /** Tokens left. Give either this or `used`. */
  remaining?: number | undefined;
  /** Tokens used. */
  used?: number | undefined;
  /** Time until the venue counts from 0 again, in milliseconds. */
  resetIn?: number | undefined;
  /**
   * Period of the limit that the venue counts for, in milliseconds. Give this where one count goes
   * to several throttlers: those without such a limit refuse the count.
   *
   * @default the longest
   */
  period?: number | undefined;
}

/** A pause, or the tokens that a venue leaves to be spent until a tick. */
interface Cap {
  /** Tokens; `-Infinity` for a pause, which stops calls of cost 0 too. */
  left: number;
  readonly until: number;
}

/**
 * Says whether a tick has come.
 *
 * @param tick The tick. `0` means that there was nothing to wait for: the clock is not read.
 * @returns `true` once it has.
 */
export function isPast(tick: number): boolean {
  return tick === 0 || tick <= floorTick();
}

/** Limits that allow a call together or not at all. */
export class Limits {
  #buckets: Bucket[] = [];
  #caps: Cap[] = [];
  /** The highest cost that all limits can ever allow. Derived, but read at every call. */
  #capacity = 0;
  /** Tokens of calls whose start still has to be stamped. */
  #starting = 0;
  /** The same, and tokens of calls whose finish still has to be stamped. */
  #running = 0;

  /**
   * Makes limits that have all their tokens.
   *
   * @param limits One or several.
   */
  constructor(limits: Limit | readonly Limit[]) {
    this.update(limits);
  }

  /** Tokens per millisecond that come back in the slowest limit. */
  get rate(): number {
    return Math.min(...this.#buckets.map(({ limit, period }) => limit / period));
  }

  /** The longest period. */
  get period(): number {
    return Math.max(...this.#buckets.map(({ period }) => period));
  }

  /** Tokens that may be spent now. */
  get available(): number {
    const now = floorTick();
    const inBuckets = this.#buckets.map((bucket) => bucket.available(now) - this.#held(bucket));
    const inCaps = this.#caps.map((cap) => cap.until > now ? cap.left - this.#starting : Infinity);
    return Math.max(0, Math.min(...inBuckets, ...inCaps));
  }

  /**
   * Replaces the limits by others, which count the calls that these remember.
   *
   * @param limits The new ones.
   * @throws {RangeError} If a number is out of its range, or no limit is given.
   * @throws {TypeError} If an option has the wrong type, or `burst` does not go with `refill`.
   */
  update(limits: Limit | readonly Limit[]): void {
    const buckets = [limits].flat().map((limit) => createBucket(limit as Limit));
    if (buckets.length === 0) {
      throw new RangeError("Cannot set the limits: none is given, wanted at least one");
    }
    const running = this.#running - this.#starting;
    const heirs = buckets.map((bucket) => inherit(bucket, this.#buckets, running));
    this.#buckets = [...new Set(heirs)]; // of two that are alike, one is enough
    this.#capacity = Math.min(...buckets.map((bucket) => bucket.capacity));
  }

  /**
   * Checks the cost of a call.
   *
   * @param cost Its tokens.
   * @throws {RangeError} If the cost is not an integer of at least 0, or is above a limit.
   * @throws {TypeError} If the cost is not a number.
   */
  checkCost(cost: number): void {
    if (Number.isInteger(cost) && cost >= 0 && cost <= this.#capacity) return;
    const wanted = this.#wantedCost();
    if (typeof cost !== "number") refuse("Cannot start a call", "cost", cost, wanted);
    throw new RangeError(`Cannot start a call: cost is ${cost}, wanted ${wanted}`);
  }

  /**
   * Says why a call that waits can never start.
   *
   * @param cost Its tokens.
   * @returns The reason, or `undefined` if the limits can allow the cost.
   */
  refusalOf(cost: number): { reason: unknown } | undefined {
    try {
      this.checkCost(cost);
      return undefined;
    } catch (reason) {
      return { reason };
    }
  }

  #wantedCost(): string {
    const capacity = this.#capacity;
    const { refill, period } = this.#buckets.find((bucket) => bucket.capacity === capacity)!;
    const name = refill === "steady" ? "the burst" : `the limit per ${period} ms`;
    return `an integer from 0 to ${capacity}, ${name}`;
  }

  /**
   * Says when all limits allow a cost.
   *
   * @param cost Tokens; above the capacity, the answer is an estimate.
   * @param isEstimate Whether to estimate, too, an answer that depends on a call that still runs.
   * @returns The tick, which may be past. `Infinity` if it depends on a call that still runs.
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
   * @param cost Its tokens.
   */
  hold(cost: number): void {
    this.#starting += cost;
    this.#running += cost;
  }

  /**
   * Charges the limits that count starts.
   *
   * @param cost The tokens that were held.
   * @returns Whether another limit waits for the finish.
   */
  stampStart(cost: number): boolean {
    this.#starting -= cost;
    const now = clock();
    let hasFinish = false;
    for (const bucket of this.#buckets) {
      if (bucket.isFinish) hasFinish = true;
      else bucket.spend(cost, now);
    }
    for (const cap of this.#caps) cap.left -= cost;
    if (!hasFinish) this.#running -= cost;
    return hasFinish;
  }

  /**
   * Charges the limits that count finishes.
   *
   * @param cost The tokens that were held.
   */
  stampFinish(cost: number): void {
    this.#running -= cost;
    const now = clock();
    for (const bucket of this.#buckets) if (bucket.isFinish) bucket.spend(cost, now);
  }

  /**
   * Lets no more than so many tokens be spent for a while.
   *
   * @param left Tokens; `-Infinity` for a pause.
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
   * Tightens the limits to the venue's count.
   *
   * @param count The count.
   * @returns Tokens by which the venue counts more than we do.
   * @throws {RangeError} If a number is out of range, both counts are missing, or the period is
   *   unknown.
   * @throws {TypeError} If a count is not a number.
   */
  sync(count: VenueCount): number {
    const { period = this.period, resetIn } = count;
    const bucket = this.#buckets.find((bucket) => bucket.period === period);
    if (!bucket) {
      const known = this.#buckets.map(({ period }) => period).join(" or ");
      throw new RangeError(`Cannot sync: period is ${period}, wanted that of a limit: ${known}`);
    }
    const left = tokensLeft(count, bucket.limit);
    const now = floorTick();
    const missing = bucket.available(now) - this.#held(bucket) - left;
    // A cap from an earlier count has taken off some of these already. A pause counts no tokens.
    const caps = this.#caps.filter((cap) => cap.until > now && cap.left > -Infinity);
    const excess = Math.min(missing, ...caps.map((cap) => cap.left - this.#starting - left));
    if (resetIn !== undefined) this.cap(left, resetIn);
    else if (missing > 0) bucket.spend(missing, clock());
    return Math.max(0, excess);
  }

  #held(bucket: Bucket): number {
    return bucket.isFinish ? this.#running : this.#starting;
  }
}

const MILLISECONDS = { unit: "milliseconds" };

/** Checks a venue's count and gives the whole tokens that are left. */
function tokensLeft({ remaining, used, resetIn }: VenueCount, limit: number): number {
  if (remaining !== undefined) checkNumber("Cannot sync", "remaining", remaining);
  if (used !== undefined) checkNumber("Cannot sync", "used", used);
  if (resetIn !== undefined) checkNumber("Cannot sync", "resetIn", resetIn, MILLISECONDS);
  const left = remaining ?? limit - (used ?? NaN);
  if (!Number.isNaN(left)) return Math.floor(Math.max(0, left));
  throw new RangeError("Cannot sync: remaining and used are missing, wanted one of them");
}
