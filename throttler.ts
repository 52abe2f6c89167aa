/**
 * Keeps calls within a venue's rate limits, exactly: a token bucket whose promise holds in every
 * window of time, wherever it begins.
 *
 * ```ts
 * import { Throttler } from "@aio-trader/core/throttler";
 * import { assert } from "@std/assert";
 *
 * const throttler = new Throttler({ limit: 2, period: 50 });
 * const starts: number[] = [];
 * await Promise.all([1, 2, 3].map(() => throttler.run(() => starts.push(performance.now()))));
 *
 * assert(starts[2] - starts[0] >= 50); // never three within 50 ms
 * ```
 *
 * @module
 */

import { nextAge } from "./common/arrival.ts";
import type { Limit } from "./throttler/bucket.ts";
import { Gate, LocalPlace, ThrottlerError } from "./throttler/gate.ts";
import { Limits, type VenueCount } from "./throttler/limits.ts";
import { listen, orderOf, Waiter } from "./throttler/line.ts";
import type {
  CallOptions,
  Permit,
  Place,
  PlaceOptions,
  RateLimiter,
} from "./throttler/rate_limiter.ts";

export type { Limit } from "./throttler/bucket.ts";
export { ThrottlerError } from "./throttler/gate.ts";
export type { VenueCount } from "./throttler/limits.ts";
export type {
  CallOptions,
  Permit,
  Place,
  PlaceOptions,
  RateLimiter,
} from "./throttler/rate_limiter.ts";
export { type Charge, runAll } from "./throttler/run_all.ts";

/** Options of {@linkcode Throttler}. */
export interface ThrottlerOptions {
  /**
   * Most calls that may wait at once; one more is rejected with a {@linkcode ThrottlerError}. `0`
   * lets none wait, `Infinity` any number.
   *
   * @default {Infinity}
   */
  maxQueue?: number | undefined;
}

/**
 * Makes calls wait until all of its limits have tokens for them.
 *
 * `refill` says when a spent token returns:
 *
 * - `"after-start"` (the default): one period after the call that spent it started. No window of
 *   that length, wherever it begins, ever holds more than `limit` starts.
 * - `"after-finish"`: one period after that call finished. Then no window holds more than `limit`
 *   calls on the *venue's* clock either, whatever the latency. Proof: say that the venue processed
 *   `limit + 1` calls between T and T + period, and that `j` was sent last of them, so before
 *   T + period. Every other one was processed, and so answered, at T or later: when `j` was sent it
 *   was unanswered, or answered less than a period before. So each still held its token, `limit`
 *   tokens were out, and `j` could not have been sent. (So a call that waits for another one through
 *   the same throttler may wait for ever.)
 * - `"steady"`: the classic bucket. `limit` tokens per period return evenly, and no more than `burst`
 *   are ever saved up. No window of length w holds more than `burst + limit * w / period` starts.
 *
 * Where calls cost more than one token, read "tokens" for "calls" and "starts".
 *
 * Calls start in the order in which they came: nobody passes one that waits, however cheap. Time is
 * that of the monotonic clock, so that setting the time changes nothing, and it is asked again
 * after every wake-up, so that an early timer starts nothing early. One timer serves all who wait.
 *
 * @example Two limits, taken together or not at all
 * ```ts
 * import { Throttler } from "@aio-trader/core/throttler";
 * import { assertEquals } from "@std/assert";
 *
 * const orders = new Throttler([{ limit: 10, period: 1_000 }, { limit: 200, period: 60_000 }]);
 *
 * assertEquals(await orders.run(() => "sent"), "sent");
 * assertEquals(orders.size, 0);
 * ```
 */
export class Throttler implements RateLimiter {
  readonly #limits: Limits;
  readonly #gate: Gate;

  /**
   * Makes a throttler with all tokens there.
   *
   * @param limits One limit, or several that are taken together or not at all.
   * @param options How many calls may wait. A single limit may carry this itself.
   * @throws {RangeError} If a number is out of its range, or no limit is given.
   * @throws {TypeError} If `refill` is none of its three values, or does not go with `burst`.
   */
  constructor(
    limits: (Limit & ThrottlerOptions) | readonly Limit[],
    options: ThrottlerOptions = {},
  ) {
    const { maxQueue = Infinity }: ThrottlerOptions = { ...limits, ...options };
    if (!(maxQueue >= 0)) {
      throw new RangeError(`Cannot set maxQueue: it is ${maxQueue}, at least 0 is wanted`);
    }
    this.#limits = new Limits(limits);
    this.#gate = new Gate(this.#limits, maxQueue);
  }

  /** How many calls wait, those of {@linkcode runAll} included, wherever these wait. */
  get size(): number {
    return this.#gate.size;
  }

  /**
   * Tokens that a call could spend now without waiting: the least over all limits and over what
   * `sync` left. `0` while calls wait, during a pause, and once the throttler is closed.
   */
  get available(): number {
    return this.#gate.available;
  }

  /**
   * Calls `fn` as soon as every limit allows it. The start is stamped after `fn` has returned, so
   * that what it does before it sends anything cannot bring two starts closer together.
   *
   * @param fn The call; it is charged even if it fails.
   * @param options Cost and signal.
   * @returns What `fn` returns.
   * @throws {RangeError} If the cost is not an integer of at least 0, or is above a limit.
   * @throws {ThrottlerError} If too many calls wait already, or the throttler is closed.
   *
   * @example
   * ```ts
   * import { Throttler } from "@aio-trader/core/throttler";
   * import { assertEquals } from "@std/assert";
   *
   * await using weights = new Throttler({ limit: 6_000, period: 60_000 });
   * const depth = await weights.run(() => Promise.resolve("book"), { cost: 250 });
   *
   * assertEquals(depth, "book");
   * ```
   */
  run<T>(fn: () => T | PromiseLike<T>, options: CallOptions = {}): Promise<T> {
    const { cost = 1, signal, urgent = false } = options;
    const gate = this.#gate;
    try {
      signal?.throwIfAborted();
      this.#admit(cost);
      if (gate.isOpen(cost, orderOf(Infinity, urgent))) return gate.start(fn, cost);
      gate.checkRoom();
    } catch (error) {
      return Promise.reject(error);
    }
    return new Promise((resolve, reject) => {
      const call = new Waiter(cost, orderOf(nextAge(), urgent));
      call.fn = fn;
      call.resolve = resolve as (value: unknown) => void;
      call.reject = reject;
      call.unlisten = listen(signal, (reason) => {
        gate.leave(call);
        reject(reason);
      });
      gate.join(call);
    });
  }

  /**
   * Waits for leave to start one call. The start is stamped as the permit is given. The code that
   * awaits it goes on a little later, after that of permits given before, and two starts can come
   * closer together by as much as that takes; so start at once, or take {@linkcode Throttler.run},
   * which is exact however long the call takes to start.
   *
   * @param options Cost and signal.
   * @returns A permit, to be disposed of when the call has finished: an `"after-finish"` token that is
   * not never returns.
   * @throws {RangeError} If the cost is not an integer of at least 0, or is above a limit.
   * @throws {ThrottlerError} If too many calls wait already, or the throttler is closed.
   *
   * @example
   * ```ts
   * import { Throttler } from "@aio-trader/core/throttler";
   * import { assertEquals } from "@std/assert";
   *
   * await using throttler = new Throttler({ limit: 1, period: 1_000, refill: "after-finish" });
   * {
   *   using _permit = await throttler.acquire();
   *   assertEquals(throttler.tryAcquire(), undefined);
   * }
   * ```
   */
  acquire(options: CallOptions = {}): Promise<Permit> {
    return new Promise((resolve, reject) => {
      const hold = () => new Promise<void>((done) => resolve({ [Symbol.dispose]: done }));
      this.run(hold, options).catch(reject);
    });
  }

  /**
   * Takes leave to start one call, unless that means waiting. The start is stamped here.
   *
   * @param options The cost.
   * @returns A permit, or `undefined` if the call would have to wait.
   * @throws {RangeError} If the cost is not an integer of at least 0, or is above a limit.
   * @throws {ThrottlerError} If the throttler is closed.
   */
  tryAcquire(options: Omit<CallOptions, "signal"> = {}): Permit | undefined {
    const { cost = 1, urgent = false } = options;
    this.#admit(cost);
    if (!this.#gate.isOpen(cost, orderOf(Infinity, urgent))) return undefined;
    let dispose = () => {};
    this.#gate.start(() => new Promise<void>((done) => dispose = done), cost);
    return { [Symbol.dispose]: () => dispose() };
  }

  /**
   * Says how long a call that came now would wait, behind all who wait already: exactly, if each of
   * them costs 1 and none depends on a call that is still to finish, else at least so long.
   *
   * @param cost Tokens that the call would spend.
   * @returns Milliseconds; `0` if the tokens for all of them are there.
   * @throws {RangeError} If the cost is not an integer of at least 0, or is above a limit.
   */
  waitTime(cost = 1): number {
    this.#checkCost(cost);
    return this.#gate.waitOf(cost, Infinity);
  }

  /**
   * Starts nothing for a while, as a venue's `Retry-After` asks. Of several pauses, the one that
   * ends last wins.
   *
   * @param duration Milliseconds. `0` does nothing, `Infinity` stops for good.
   * @throws {RangeError} If the duration is below 0.
   */
  pause(duration: number): void {
    if (!(duration >= 0)) {
      throw new RangeError(`Cannot pause: the duration is ${duration}, at least 0 is wanted`);
    }
    this.#limits.cap(-Infinity, duration); // not 0, which a call of cost 0 would meet
  }

  /**
   * Tightens the limits to what the venue counts, which may include others with the same key or
   * address. It never loosens: where the venue counts less than we do, nothing changes.
   *
   * With `resetIn`, no more than what is left is spent until then, beside calls that have started
   * already: take off yourself what the venue cannot have counted yet. Without, the tokens that the
   * venue misses are spent now, and return as if our own call had spent them.
   *
   * Do not call this where the header is missing: `Number(null)` is 0, which as `remaining` stops
   * everything until the reset.
   *
   * @param count What is left or used, of which limit, until when.
   * @throws {RangeError} If a number is below 0 or missing, or no limit has that `period`.
   */
  sync(count: VenueCount): number {
    return this.#limits.sync(count);
  }

  /**
   * Changes the limits, even while calls wait. What the old limits remember counts against the new
   * ones:
   *
   * - A limit with the `refill` and the `period` of an old one counts all that this one remembers. If
   *   its other numbers are the same too, nothing changes for it.
   * - Any other counts the most that one of the old limits remembers: what was spent within that
   *   one's period, at its start or finish, or what a `"steady"` limit has not got back, as if it
   *   were spent now. So it counts a call that runs whose finish an old limit waits for.
   * - A new `"after-finish"` limit goes on to wait for such a call. If no old limit waits for
   *   finishes, it knows the starts only, of calls that still run too.
   *
   * A waiting call whose cost is above the new limits is rejected.
   *
   * @param limits The new limits.
   * @throws {RangeError} If a number is out of its range, or no limit is given.
   * @throws {TypeError} If `refill` is none of its three values, or does not go with `burst`.
   */
  update(limits: Limit | readonly Limit[]): void {
    this.#limits.update(limits);
    this.#gate.refuse((cost) => cost > this.#limits.capacity ? [this.#costError(cost)] : undefined);
    this.#gate.pump();
  }

  /**
   * Rejects the calls that wait and all that come later. Those that have started go on. Repeats
   * change nothing.
   *
   * @param reason What they are rejected with.
   * @default {ThrottlerError} of kind `"closed"`
   */
  close(
    reason: unknown = new ThrottlerError("closed", "Cannot start a call: the throttler is closed"),
  ): void {
    const closed = this.#gate.closed ??= { reason };
    this.#gate.refuse(() => [closed.reason]);
  }

  /**
   * Makes a place for one call of {@linkcode runAll}.
   *
   * @param options What the call costs, and whom it goes before.
   * @returns The place. Nothing is charged yet, and the call does not stand in line.
   * @throws {RangeError} If the cost is not an integer of at least 0, or is above a limit.
   * @throws {ThrottlerError} If the throttler is closed.
   */
  place(options: PlaceOptions): Place {
    this.#admit(options.cost);
    return new LocalPlace(this.#gate, options);
  }

  /** Closes the throttler. */
  [Symbol.asyncDispose](): Promise<void> {
    this.close();
    return Promise.resolve();
  }

  #admit(cost: number): void {
    if (this.#gate.closed) throw this.#gate.closed.reason;
    this.#checkCost(cost);
  }

  #checkCost(cost: number): void {
    if (!(Number.isInteger(cost) && cost >= 0 && cost <= this.#limits.capacity)) {
      throw this.#costError(cost);
    }
  }

  #costError(cost: number): RangeError {
    const wanted = `an integer from 0 to ${this.#limits.capacity} is wanted`;
    return new RangeError(`Cannot start a call: its cost is ${cost}, ${wanted}`);
  }
}
