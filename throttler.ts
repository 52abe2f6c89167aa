/**
 * Keeps calls within a venue's rate limits, exactly: a token bucket whose promise holds in every
 * window of time, wherever the window begins.
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
import { checkBoolean, checkNumber, checkObject, checkSignal, refuse } from "./common/check.ts";
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

/**
 * Options of {@linkcode Throttler}.
 *
 * @example Refusing a call rather than letting it wait
 * ```ts
 * import { Throttler, type ThrottlerOptions } from "@aio-trader/core/throttler";
 * import { assertRejects } from "@std/assert";
 *
 * const options: ThrottlerOptions = { maxQueue: 0 };
 * const throttler = new Throttler({ limit: 1, period: 1_000 }, options);
 *
 * await throttler.run(() => "sent");
 * await assertRejects(() => throttler.run(() => "sent"), Error, "maxQueue is 0");
 * ```
 */
export interface ThrottlerOptions {
  /**
   * Most calls that may wait at once: an integer, or `Infinity` for any number. The throttler
   * rejects one more with a {@linkcode ThrottlerError}. `0` lets no call wait.
   *
   * @default {Infinity}
   */
  maxQueue?: number | undefined;
}

/**
 * Makes calls wait until all limits have tokens for them.
 *
 * `refill` says when a spent token returns:
 *
 * - `"after-start"` (the default): one period after the start of the call that spent the token. No
 *   window of that length, wherever it begins, ever holds more than `limit` starts.
 * - `"after-finish"`: one period after the finish of that call. No window of that length holds more
 *   than `limit` calls on the *venue's* clock either, whatever the latency.
 * - `"steady"`: the classic bucket. `limit` tokens per period return evenly, and the bucket saves
 *   up `burst` at most. No window of length w holds more than `burst + limit * w / period` starts.
 *
 * Where calls cost more than one token, read "tokens" for "calls" and "starts".
 *
 * Proof for `"after-finish"`: say that the venue processed `limit + 1` calls between T and T +
 * period, and that call `j` was sent last, so before T + period. The venue processed every other
 * call at T or later, and answered at T or later. So when `j` was sent, every other call was
 * unanswered, or answered less than a period before, and still held its token. `limit` tokens were
 * out, and the throttler could not have started `j`. The price: a call that waits for another call
 * through the same throttler may wait for ever.
 *
 * All throttlers guarantee:
 *
 * - **Order**: no call passes an older one that waits, however cheap. Only urgent calls go first.
 * - **Clock**: time is monotonic, so a change of the wall clock changes nothing. After every timer
 *   the throttler asks the clock again, so an early timer starts nothing early.
 * - **Cost**: one timer serves all calls that wait.
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
   * Makes a throttler that has all its tokens.
   *
   * @param limits One limit, or several that a call takes together or not at all.
   * @param options How many calls may wait. A single limit may carry this itself.
   * @throws {RangeError} If a number is out of its range, or no limit is given.
   * @throws {TypeError} If an option has the wrong type, or `burst` does not go with `refill`.
   */
  constructor(
    limits: (Limit & ThrottlerOptions) | readonly Limit[],
    options: ThrottlerOptions = {},
  ) {
    checkObject("Cannot make a throttler", "options", options);
    const { maxQueue = Infinity }: ThrottlerOptions = { ...limits, ...options };
    checkNumber("Cannot make a throttler", "maxQueue", maxQueue, { integer: true });
    this.#limits = new Limits(limits);
    this.#gate = new Gate(this.#limits, maxQueue);
  }

  /** Number of calls that wait, with those of {@linkcode runAll} that wait in another throttler. */
  get size(): number {
    return this.#gate.size;
  }

  /**
   * Tokens that a call could spend now without waiting: the least over all limits and over the
   * venue's counts. `0` while calls wait, during a pause, and once the throttler is closed.
   *
   * @example Usage
   * ```ts
   * import { Throttler } from "@aio-trader/core/throttler";
   * import { assertEquals } from "@std/assert";
   *
   * const throttler = new Throttler([{ limit: 10, period: 1_000 }, { limit: 3, period: 100 }]);
   * await throttler.run(() => "sent");
   *
   * assertEquals(throttler.available, 2);
   * throttler.pause(50);
   * assertEquals(throttler.available, 0);
   * ```
   */
  get available(): number {
    return this.#gate.available;
  }

  /**
   * Calls `fn` as soon as every limit allows the call.
   *
   * The start counts from the moment at which `fn` has returned. So work that `fn` does before it
   * sends anything cannot bring two starts closer together.
   *
   * @param fn The call. The throttler charges it even if it fails.
   * @param options Cost, signal and urgency.
   * @returns The result of `fn`. Rejects with the error of `fn`, or the signal's reason.
   * @throws {RangeError} If the cost is not an integer of at least 0, or is above a limit.
   * @throws {TypeError} If an argument has the wrong type.
   * @throws {ThrottlerError} If too many calls wait already, or the throttler is closed.
   *
   * @example A weight
   * ```ts
   * import { Throttler } from "@aio-trader/core/throttler";
   * import { assertEquals } from "@std/assert";
   *
   * await using weights = new Throttler({ limit: 6_000, period: 60_000 });
   * const depth = await weights.run(() => Promise.resolve("book"), { cost: 250 });
   *
   * assertEquals(depth, "book");
   * assertEquals(weights.available, 5_750);
   * ```
   *
   * @example A cancel before the orders that wait
   * ```ts
   * import { Throttler } from "@aio-trader/core/throttler";
   * import { assertEquals } from "@std/assert";
   *
   * const throttler = new Throttler({ limit: 1, period: 20 });
   * const sent: string[] = [];
   * const orders = ["first", "second", "third"].map((id) => throttler.run(() => sent.push(id)));
   * const cancel = throttler.run(() => sent.push("cancel"), { urgent: true });
   * await Promise.all([...orders, cancel]);
   *
   * assertEquals(sent, ["first", "cancel", "second", "third"]);
   * ```
   */
  run<T>(fn: () => T | PromiseLike<T>, options: CallOptions = {}): Promise<T> {
    const { cost = 1, signal, urgent = false } = options;
    const gate = this.#gate;
    try {
      if (typeof fn !== "function") refuse(TASK, "fn", fn, "a function");
      checkObject(TASK, "options", options);
      if (signal !== undefined) checkSignal(TASK, "signal", signal);
      signal?.throwIfAborted();
      this.#admit(cost, urgent);
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
   * Waits for leave to start one call.
   *
   * The start counts from the moment at which the permit is given. The code that awaits the permit
   * runs a little later, after the code of earlier permits, so two starts can come closer together
   * by that much. Start at once, or take {@linkcode Throttler.run}: `run` is exact however long the
   * start of the call takes.
   *
   * @param options Cost, signal and urgency.
   * @returns A permit. Dispose of it when the call has finished: an `"after-finish"` limit never
   * gets the token back otherwise. Rejects with the signal's reason.
   * @throws {RangeError} If the cost is not an integer of at least 0, or is above a limit.
   * @throws {TypeError} If an option has the wrong type.
   * @throws {ThrottlerError} If too many calls wait already, or the throttler is closed.
   *
   * @example A permit that ends with its block
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
   * Takes leave to start one call, unless the call would have to wait. The start counts from
   * here.
   *
   * @param options Cost and urgency.
   * @returns A permit, or `undefined` if the call would have to wait.
   * @throws {RangeError} If the cost is not an integer of at least 0, or is above a limit.
   * @throws {TypeError} If an option has the wrong type.
   * @throws {ThrottlerError} If the throttler is closed.
   *
   * @example Usage
   * ```ts
   * import { Throttler } from "@aio-trader/core/throttler";
   * import { assert, assertEquals } from "@std/assert";
   *
   * const throttler = new Throttler({ limit: 1, period: 60_000 });
   *
   * assert(throttler.tryAcquire() !== undefined);
   * assertEquals(throttler.tryAcquire(), undefined);
   * ```
   */
  tryAcquire(options: Omit<CallOptions, "signal"> = {}): Permit | undefined {
    const { cost = 1, urgent = false } = options;
    checkObject(TASK, "options", options);
    this.#admit(cost, urgent);
    if (!this.#gate.isOpen(cost, orderOf(Infinity, urgent))) return undefined;
    let dispose = () => {};
    this.#gate.start(() => new Promise<void>((done) => dispose = done), cost);
    return { [Symbol.dispose]: () => dispose() };
  }

  /**
   * Says how long a call that is not urgent would wait if it came now, behind all that wait
   * already.
   *
   * The number is exact if each of those calls costs 1, no urgent call comes later, and none
   * depends on a call that still runs. Else the call waits at least as long.
   *
   * @param cost Tokens that the call would spend.
   * @returns Milliseconds, never below 0. `0` if the tokens for all of them are there.
   * @throws {RangeError} If the cost is not an integer of at least 0, or is above a limit.
   * @throws {TypeError} If the cost is not a number.
   *
   * @example Usage
   * ```ts
   * import { Throttler } from "@aio-trader/core/throttler";
   * import { assert, assertEquals } from "@std/assert";
   *
   * const throttler = new Throttler({ limit: 2, period: 60_000 });
   * assertEquals(throttler.waitTime(), 0);
   * await throttler.run(() => "sent", { cost: 2 });
   *
   * assert(throttler.waitTime() > 59_000);
   * ```
   */
  waitTime(cost = 1): number {
    this.#limits.checkCost(cost);
    return this.#gate.waitOf(cost, Infinity);
  }

  /**
   * Starts nothing for a while, as a venue's `Retry-After` asks. Of several pauses, the one that
   * ends last wins.
   *
   * @param duration Milliseconds. `0` does nothing, `Infinity` stops for good.
   * @throws {RangeError} If the duration is below 0 or NaN.
   * @throws {TypeError} If the duration is not a number.
   *
   * @example Usage
   * ```ts
   * import { Throttler } from "@aio-trader/core/throttler";
   * import { assert } from "@std/assert";
   *
   * const throttler = new Throttler({ limit: 10, period: 1_000 });
   * throttler.pause(50);
   * const began = performance.now();
   * const started = await throttler.run(() => performance.now());
   *
   * assert(started - began >= 49);
   * ```
   */
  pause(duration: number): void {
    checkNumber("Cannot pause", "duration", duration, { unit: "milliseconds" });
    this.#limits.cap(-Infinity, duration);
  }

  /**
   * Tightens the limits to the venue's count, which may include other programs with the same key or
   * address. It never loosens: where the venue counts less than we do, nothing changes.
   *
   * - With `resetIn`, the throttler spends no more than the tokens that are left until the reset,
   *   beside calls that have started already. Take off yourself those that the venue cannot have
   *   counted yet.
   * - Without `resetIn`, the throttler spends the missing tokens now. They return as if one of our
   *   own calls had spent them.
   *
   * Do not call `sync` where the header is missing: `Number(null)` is 0, and a `remaining` of 0
   * stops everything until the reset.
   *
   * @param count The venue's count, of one limit.
   * @returns Tokens by which the venue counts more than we do, up to the limit: another program
   * spends too. `0` where it does not count more.
   * @throws {RangeError} If a number is below 0 or NaN, both counts are missing, or no limit has
   * that `period`.
   * @throws {TypeError} If a count is not a number.
   *
   * @example Another program uses the same key
   * ```ts
   * import { Throttler } from "@aio-trader/core/throttler";
   * import { assertEquals } from "@std/assert";
   *
   * const throttler = new Throttler({ limit: 10, period: 60_000 });
   * await throttler.run(() => "sent");
   *
   * assertEquals(throttler.sync({ used: 4 }), 3);
   * assertEquals(throttler.available, 6);
   * ```
   */
  sync(count: VenueCount): number {
    return this.#limits.sync(count);
  }

  /**
   * Changes the limits, even while calls wait. The new limits count calls of the past:
   *
   * - A new limit with the `refill` and the `period` of an old one counts all that the old one
   *   remembers. If the other numbers are the same too, nothing changes for it.
   * - Any other new limit counts as much as the old limit that remembers most. That is: tokens
   *   spent within the old limit's period, or tokens that a `"steady"` limit has not got back, as
   *   if spent now. A running call counts too if an old limit waits for its finish.
   * - A new `"after-finish"` limit waits for the finish of a running call if an old limit did. If
   *   no old limit did, the new one knows only the starts.
   *
   * A waiting call rejects with a `RangeError` if its cost is above the new limits.
   *
   * @param limits The new limits.
   * @throws {RangeError} If a number is out of its range, or no limit is given.
   * @throws {TypeError} If an option has the wrong type, or `burst` does not go with `refill`.
   *
   * @example A venue that tells its limits
   * ```ts
   * import { Throttler } from "@aio-trader/core/throttler";
   * import { assertEquals } from "@std/assert";
   *
   * const throttler = new Throttler({ limit: 2, period: 60_000 });
   * await throttler.run(() => "sent", { cost: 2 });
   * throttler.update({ limit: 5, period: 60_000 });
   *
   * assertEquals(throttler.available, 3);
   * ```
   */
  update(limits: Limit | readonly Limit[]): void {
    this.#limits.update(limits);
    this.#gate.refuse((cost) => this.#limits.refusalOf(cost));
    this.#gate.pump();
  }

  /**
   * Rejects the calls that wait and all that come later. Calls that have started go on. Repeats
   * change nothing.
   *
   * @param reason The reason of the rejections.
   * @default {ThrottlerError} of kind `"closed"`
   *
   * @example Usage
   * ```ts
   * import { Throttler, ThrottlerError } from "@aio-trader/core/throttler";
   * import { assertRejects } from "@std/assert";
   *
   * const throttler = new Throttler({ limit: 1, period: 60_000 });
   * throttler.close();
   *
   * await assertRejects(() => throttler.run(() => "sent"), ThrottlerError, "closed");
   * ```
   */
  close(
    reason: unknown = new ThrottlerError("closed", "Cannot start a call: the throttler is closed"),
  ): void {
    const closed = this.#gate.closed ??= { reason };
    this.#gate.refuse(() => closed);
  }

  /**
   * Makes a place for one call of {@linkcode runAll}, which is all that calls this.
   *
   * @param options Cost, urgency and age of the call.
   * @returns The place. The throttler has charged nothing yet, and the call does not stand in line.
   * @throws {RangeError} If the cost is not an integer of at least 0, or is above a limit.
   * @throws {TypeError} If the cost is not a number.
   * @throws {ThrottlerError} If the throttler is closed.
   */
  place(options: PlaceOptions): Place {
    this.#admit(options.cost, options.urgent);
    return new LocalPlace(this.#gate, options);
  }

  /** Closes the throttler. */
  [Symbol.asyncDispose](): Promise<void> {
    this.close();
    return Promise.resolve();
  }

  #admit(cost: number, urgent: boolean): void {
    if (this.#gate.closed) throw this.#gate.closed.reason;
    this.#limits.checkCost(cost);
    checkBoolean(TASK, "urgent", urgent);
  }
}

const TASK = "Cannot start a call";
