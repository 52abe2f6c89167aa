/**
 * The limits of a throttler and the buckets behind them: how many tokens may be spent, and when
 * they come back. Nothing here waits.
 *
 * @module
 */

import { checkChoice, checkNumber, checkObject, refuse } from "../common/check.ts";

/**
 * One limit: so many tokens per period, and when a spent token returns.
 *
 * @example Two limits at once
 * ```ts
 * import { type Limit, Throttler } from "@aio-trader/core/throttler";
 * import { assertEquals } from "@std/assert";
 *
 * const limits: Limit[] = [
 *   { limit: 10, period: 1_000 }, // in any second
 *   { limit: 200, period: 60_000 }, // in any minute
 * ];
 * assertEquals(new Throttler(limits).available, 10);
 * ```
 */
export interface Limit {
  /** Tokens per period: an integer of at least 1. */
  limit: number;
  /** Length of the period, in milliseconds: above 0, fractions allowed. A second is `1_000`. */
  period: number;
  /**
   * When a spent token returns: one period after the start of the call that spent the token, one
   * period after the finish of that call, or evenly, `limit` tokens per period. `Throttler` says
   * what each one guarantees.
   *
   * @default {"after-start"}
   */
  refill?: "after-start" | "after-finish" | "steady" | undefined;
  /**
   * Most tokens that a `"steady"` limit saves up: an integer of at least 1. Other limits refuse
   * this.
   *
   * @default the `limit`
   */
  burst?: number | undefined;
}

/** A limit at work. Its times are ticks, see {@linkcode clock}. */
export interface Bucket {
  /** As in {@linkcode Limit}. */
  readonly limit: number;
  /** As in {@linkcode Limit}. */
  readonly period: number;
  /** The highest cost that the bucket can ever allow. */
  readonly capacity: number;
  /** As in {@linkcode Limit}. */
  readonly refill: Limit["refill"];
  /** Whether to charge the bucket when a call has finished, not when the call has started. */
  readonly isFinish: boolean;
  /**
   * Says when the bucket has so many tokens.
   *
   * @param cost The tokens; above `capacity` the answer is an estimate.
   * @returns The tick, which may be past. `0`, without a look at the clock, if the bucket has them.
   */
  allowedAt(cost: number): number;
  /**
   * Counts the tokens in the bucket.
   *
   * @param now The last tick that has begun.
   * @returns Tokens; below 0 after the limit was lowered.
   */
  available(now: number): number;
  /**
   * Takes tokens, even where the bucket has too few.
   *
   * @param cost How many.
   * @param at When the call spent them, by {@linkcode clock}: never before an earlier `at`.
   */
  spend(cost: number, at: number): void;
  /**
   * Lists the tokens that were spent and still matter.
   *
   * @param now The time, by {@linkcode clock}.
   * @returns Ticks and costs, in order.
   */
  history(now: number): [at: number, cost: number][];
}

/** Ticks per millisecond. Scaling by a power of two is exact, so all rounding is our own. */
export const TICKS = 1_024;

/**
 * Reads the monotonic clock, which no change of the wall clock moves.
 *
 * @returns The time in ticks and fractions of one.
 */
export function clock(): number {
  return performance.now() * TICKS;
}

/**
 * Reads the clock, rounding down: a token that returns at a tick is back once that tick has begun.
 * Stamps are rounded up, so two roundings never add up to a token that is early.
 *
 * @returns The last tick that has begun.
 */
export function floorTick(): number {
  return Math.floor(clock());
}

const TASK = "Cannot set the limit";

/** The numbers that `limit` and `burst` allow. */
const COUNT = { min: 1, max: Number.MAX_SAFE_INTEGER, integer: true };

/**
 * Checks a limit and makes a full bucket of it.
 *
 * @param options The limit.
 * @returns The bucket.
 * @throws {RangeError} If a number is out of its range.
 * @throws {TypeError} If an option has the wrong type, or `burst` does not go with `refill`.
 */
export function createBucket(options: Limit): Bucket {
  if (options === undefined) refuse(TASK, "it", options, "an object");
  checkObject(TASK, "it", options);
  const { limit, period, refill = "after-start", burst } = options;
  checkNumber(TASK, "limit", limit, COUNT);
  checkNumber(TASK, "period", period, { above: true, max: Number.MAX_VALUE, unit: "milliseconds" });
  checkChoice(TASK, "refill", refill, ["after-start", "after-finish", "steady"]);
  if (refill === "steady") return new SteadyBucket(limit, period, burst);
  if (burst !== undefined) {
    throw new TypeError(`${TASK}: refill is "${refill}", wanted "steady" beside a burst`);
  }
  return new WindowBucket(limit, period, refill);
}

/**
 * Lets a new bucket go on where others end.
 *
 * - If an old bucket is just like the new one, the old one goes on.
 * - Else the new one is charged with the memory of the old ones of its own kind.
 * - If there are none of its kind, it is charged with the most that any old one remembers.
 *
 * @param bucket The new bucket, full.
 * @param old The buckets that it replaces.
 * @param running Tokens of calls whose finish still has to be stamped.
 * @returns The bucket to go on with.
 */
export function inherit(bucket: Bucket, old: readonly Bucket[], running: number): Bucket {
  const { limit, period, capacity, refill, isFinish } = bucket;
  const kin = old.filter((other) => other.refill === refill && other.period === period);
  const twin = kin.find((other) => other.limit === limit && other.capacity === capacity);
  if (twin) return twin;
  const now = clock();
  const events = (kin.length > 0 ? kin : old).flatMap((other) => {
    const history = other.history(now);
    // A running call has no finish in the history yet.
    if (other.isFinish && !isFinish) history.push([now, running]);
    return history.map(([at, cost]) => ({ other, at, cost }));
  });
  // All histories tell of the same calls. The one that counts most since a moment is right for it.
  const sums = new Map<Bucket, number>();
  const spent: [at: number, cost: number][] = [];
  let most = 0;
  for (const { other, at, cost } of events.sort((a, b) => b.at - a.at)) {
    const sum = cost + (sums.get(other) ?? 0);
    sums.set(other, sum);
    if (sum <= most) continue;
    spent.push([at, sum - most]);
    most = sum;
  }
  for (const [at, cost] of spent.reverse()) bucket.spend(cost, at);
  return bucket;
}

/** Remembers each spent token until one period after its stamp, so no window is ever too full. */
class WindowBucket implements Bucket {
  readonly limit: number;
  readonly period: number;
  readonly capacity: number;
  readonly refill: Limit["refill"];
  readonly isFinish: boolean;
  readonly #ticks: number;
  #free: number;
  /** Pairs of return tick and cost, in order. The pairs before `#head` have returned. */
  #spent: number[] = [];
  #head = 0;

  constructor(limit: number, period: number, refill: Limit["refill"]) {
    this.limit = this.capacity = this.#free = limit;
    this.period = period;
    this.refill = refill;
    this.isFinish = refill === "after-finish";
    this.#ticks = Math.ceil(period * TICKS);
  }

  allowedAt(cost: number): number {
    if (cost <= this.#free) return 0;
    const now = floorTick();
    if (cost <= this.available(now)) return 0;
    const rounds = Math.ceil(cost / this.limit) - 1;
    if (rounds > 0) {
      return Math.max(now, this.allowedAt(cost - rounds * this.limit)) + rounds * this.#ticks;
    }
    let i = this.#head;
    for (let sum = this.#free; sum < cost; i += 2) sum += this.#spent[i + 1];
    return this.#spent[i - 2];
  }

  available(now: number): number {
    while (this.#spent[this.#head] <= now) {
      this.#free += this.#spent[this.#head + 1];
      this.#head += 2;
    }
    if (this.#head > 1_000 && this.#head > this.#spent.length / 2) {
      this.#spent = this.#spent.slice(this.#head); // most pairs have returned
      this.#head = 0;
    }
    return this.#free;
  }

  spend(cost: number, at: number): void {
    this.available(Math.floor(at)); // drops pairs that have returned
    if (cost === 0) return;
    this.#free -= cost;
    const back = Math.ceil(at) + this.#ticks;
    const last = this.#spent.length - 2;
    if (last >= this.#head && this.#spent[last] === back) this.#spent[last + 1] += cost;
    else this.#spent.push(back, cost);
  }

  history(now: number): [number, number][] {
    this.available(Math.floor(now));
    const pairs: [number, number][] = [];
    for (let i = this.#head; i < this.#spent.length; i += 2) {
      pairs.push([this.#spent[i] - this.#ticks, this.#spent[i + 1]]);
    }
    return pairs;
  }
}

/** Gives tokens back one by one, the n-th at `#base + n * period / limit`. No rounding adds up. */
class SteadyBucket implements Bucket {
  readonly limit: number;
  readonly period: number;
  readonly capacity: number;
  readonly refill = "steady";
  readonly isFinish = false;
  readonly #ticks: number;
  /** When the bucket was full last, by tick. */
  #base = 0;
  /** Tokens spent since then. */
  #spent = 0;
  /** Tokens known to be back since then. */
  #returned = 0;

  constructor(limit: number, period: number, burst = limit) {
    checkNumber(TASK, "burst", burst, COUNT);
    this.limit = limit;
    this.period = period;
    this.capacity = burst;
    this.#ticks = period * TICKS;
  }

  allowedAt(cost: number): number {
    if (this.#spent + cost - this.capacity <= this.#returned) return 0;
    this.available(floorTick());
    const wanted = this.#spent + cost - this.capacity;
    return wanted <= this.#returned ? 0 : this.#returnOf(wanted);
  }

  available(now: number): number {
    this.#returned = Math.floor((now - this.#base) * this.limit / this.#ticks);
    if (this.#returned >= this.#spent) this.#fill(now);
    return this.capacity + this.#returned - this.#spent;
  }

  spend(cost: number, at: number): void {
    const isFull = this.available(Math.floor(at)) === this.capacity;
    if (cost === 0) return;
    const up = Math.ceil(at);
    if (this.#returnOf(this.#spent) <= up) {
      this.#fill(up);
      if (!isFull) this.#returned = -1; // the last token returns with the tick, not before
    }
    this.#spent += cost;
  }

  #returnOf(n: number): number {
    return this.#base + Math.ceil(n * this.#ticks / this.limit);
  }

  /** Counts anew from a tick: a full bucket saves up nothing. */
  #fill(at: number): void {
    this.#base = at;
    this.#spent = this.#returned = 0;
  }

  history(now: number): [number, number][] {
    const missing = this.capacity - this.available(Math.floor(now));
    return [[now, Math.min(missing, this.#spent)]]; // in the tick of a start, one token too many is missing
  }
}
