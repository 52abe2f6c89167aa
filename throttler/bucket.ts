/**
 * The limits of a throttler and the buckets behind them: who may spend how much, and when it comes
 * back. Nothing here waits.
 *
 * @module
 */

/** One limit: so many tokens per period, and when a spent token returns. */
export interface Limit {
  /** Tokens per period: an integer of at least 1. */
  limit: number;
  /** Length of the period, in milliseconds: above 0, fractions allowed. */
  period: number;
  /**
   * When a spent token returns: one period after the start of the call that spent it, one period
   * after its finish, or evenly, `limit` of them per period. `Throttler` says what each guarantees.
   *
   * @default {"after-start"}
   */
  refill?: "after-start" | "after-finish" | "steady" | undefined;
  /**
   * Most tokens that a `"steady"` limit saves up: an integer of at least 1. The others have none.
   *
   * @default the `limit`
   */
  burst?: number | undefined;
}

/** A limit at work. It counts time in ticks, see {@linkcode clock}. */
export interface Bucket {
  /** As in {@linkcode Limit}. */
  readonly limit: number;
  /** As in {@linkcode Limit}. */
  readonly period: number;
  /** The highest cost that it can ever allow. */
  readonly capacity: number;
  /** As in {@linkcode Limit}. */
  readonly refill: Limit["refill"];
  /** Whether it is charged when a call has finished, not when it has started. */
  readonly isFinish: boolean;
  /**
   * Says when tokens are there.
   *
   * @param cost How many; above `capacity` the answer is an estimate.
   * @returns The tick, which may be past; `0` without a look at the clock where they are there now.
   */
  allowedAt(cost: number): number;
  /**
   * Counts the tokens that are there.
   *
   * @param now The last tick that has begun.
   * @returns Tokens; fewer than none after the limit was lowered.
   */
  available(now: number): number;
  /**
   * Takes tokens.
   *
   * @param cost How many, without asking whether they are there.
   * @param at When they were spent, by {@linkcode clock}. Never before those that were spent before.
   */
  spend(cost: number, at: number): void;
  /**
   * Lists what still matters of what was spent.
   *
   * @param now The time, by {@linkcode clock}.
   * @returns Ticks and costs, in order.
   */
  history(now: number): [at: number, cost: number][];
}

/** Ticks per millisecond: scaling by a power of two is exact, so that all rounding is ours. */
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
 * Reads the clock, rounding down: what returns at a tick is back once that tick has begun. What is
 * spent is rounded up, so that no two roundings add up to a token that is early.
 *
 * @returns The last tick that has begun.
 */
export function floorTick(): number {
  return Math.floor(clock());
}

/**
 * Checks a limit and makes a full bucket of it.
 *
 * @param options The limit.
 * @returns The bucket.
 * @throws {RangeError} If a number is out of its range.
 * @throws {TypeError} If `refill` is none of its three values, or does not go with `burst`.
 */
export function createBucket(options: Limit): Bucket {
  const { limit, period, refill = "after-start", burst } = options;
  if (!(Number.isSafeInteger(limit) && limit >= 1)) {
    throw new RangeError(
      `Cannot set the limit: it is ${limit}, an integer of at least 1 is wanted`,
    );
  }
  if (!(period > 0 && period < Infinity)) {
    throw new RangeError(`Cannot set the period: it is ${period}, a number above 0 is wanted`);
  }
  if (refill === "steady") return new SteadyBucket(limit, period, burst);
  if (refill !== "after-start" && refill !== "after-finish") {
    throw new TypeError(
      `Cannot set the refill: it is "${refill}", "after-start", "after-finish" or "steady" is wanted`,
    );
  }
  if (burst !== undefined) {
    throw new TypeError(`Cannot set the burst: the refill is "${refill}", "steady" is wanted`);
  }
  return new WindowBucket(limit, period, refill);
}

/**
 * Lets a new bucket go on where others end. If one is just like it, that one goes on; else it is
 * charged with what those of its own kind remember, or the most that any of the others does.
 *
 * @param bucket The new bucket, full.
 * @param old Those whose place it takes.
 * @param running Tokens of calls whose finish is still to be stamped.
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
    // What runs has no finish yet to be remembered by.
    if (other.isFinish && !isFinish) history.push([now, running]);
    return history.map(([at, cost]) => ({ other, at, cost }));
  });
  // They tell of the same calls: since each moment, as much was spent as the one says who says most.
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

/** Remembers each spent token until one period after its stamp, so that no window is ever too full. */
class WindowBucket implements Bucket {
  readonly limit: number;
  readonly period: number;
  readonly capacity: number;
  readonly refill: Limit["refill"];
  readonly isFinish: boolean;
  readonly #ticks: number;
  #free: number;
  /** Pairs of return time and cost, in order; those before `#head` have returned. */
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
      this.#spent = this.#spent.slice(this.#head); // most of it is past
      this.#head = 0;
    }
    return this.#free;
  }

  spend(cost: number, at: number): void {
    this.available(Math.floor(at)); // keeps the memory short
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

/** Gives tokens back one by one, the n-th at `#base + n * period / limit`: no rounding adds up. */
class SteadyBucket implements Bucket {
  readonly limit: number;
  readonly period: number;
  readonly capacity: number;
  readonly refill = "steady";
  readonly isFinish = false;
  readonly #ticks: number;
  /** When the bucket was full last, and what has been spent, and is known to be back, since then. */
  #base = 0;
  #spent = 0;
  #returned = 0;

  constructor(limit: number, period: number, burst = limit) {
    if (!(Number.isSafeInteger(burst) && burst >= 1)) {
      throw new RangeError(
        `Cannot set the burst: it is ${burst}, an integer of at least 1 is wanted`,
      );
    }
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
      if (!isFull) this.#returned = -1; // the last token is back with the tick, not before
    }
    this.#spent += cost;
  }

  #returnOf(n: number): number {
    return this.#base + Math.ceil(n * this.#ticks / this.limit);
  }

  /** A full bucket saves up nothing: it counts from here. */
  #fill(at: number): void {
    this.#base = at;
    this.#spent = this.#returned = 0;
  }

  history(now: number): [number, number][] {
    const missing = this.capacity - this.available(Math.floor(now));
    return [[now, Math.min(missing, this.#spent)]]; // in the tick of a start one more seems to be missing
  }
}
