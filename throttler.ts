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

import { MAX_TIMER } from "./platform/max_timer.ts";
import {
  type Bucket,
  clock,
  createBucket,
  floorTick,
  inherit,
  type Limit,
  TICKS,
} from "./throttler/bucket.ts";

export type { Limit } from "./throttler/bucket.ts";

/** Why a {@linkcode Throttler} refused a call that it could have run at another time. */
export class ThrottlerError extends Error {
  /** The class's own name, for logs. */
  override readonly name: string = "ThrottlerError";
  /** `"full"`: `maxQueue` calls wait already. `"closed"`: the throttler was closed. */
  readonly kind: "full" | "closed";

  /**
   * Makes the error.
   *
   * @param kind What stood in the way.
   * @param message The same in words.
   */
  constructor(kind: "full" | "closed", message: string) {
    super(message);
    this.kind = kind;
  }
}

/** Options of {@linkcode Throttler}. */
export interface ThrottlerOptions {
  /**
   * Most calls that may wait at once; one more is rejected with a {@linkcode ThrottlerError}. `0`
   * lets none wait, `Infinity` any number.
   *
   * @default {Infinity}
   */
  maxQueue?: number;
}

/** Options of one call. */
export interface CallOptions {
  /**
   * Tokens that the call spends: an integer. `0` spends none, but waits its turn and for a pause.
   *
   * @default {1}
   */
  cost?: number;
  /**
   * Ends the wait: the call is rejected with the signal's reason, and is not charged. Any number of
   * calls may share one: it gets a single listener.
   */
  signal?: AbortSignal;
}

/** Leave to start one call now, from {@linkcode Throttler.acquire}. */
export interface Permit {
  /** Says that the call has finished, which an `"after-finish"` limit waits for. Repeats change nothing. */
  [Symbol.dispose](): void;
}

/** What a venue says of its own count, for {@linkcode Throttler.sync}. */
export interface VenueCount {
  /** Tokens left. Either this or `used` is wanted. */
  remaining?: number;
  /** Tokens used. */
  used?: number;
  /** How long until the venue counts from 0 again, in milliseconds. */
  resetIn?: number;
  /**
   * The period of the limit that the venue speaks of, in milliseconds. Name it where a count goes to
   * several throttlers, so that those without such a limit refuse it.
   *
   * @default the longest
   */
  period?: number;
}

/** Lets `runAll` reach the private parts of the class. */
const friends = {} as { runAll: typeof runAll };

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
export class Throttler {
  /** Counts the calls that ever waited, so that each knows its age. */
  static #arrivals = 0;

  static {
    friends.runAll = (throttlers, fn, options) => Throttler.#runAll(throttlers, fn, options);
  }

  #buckets: Bucket[] = [];
  #caps: Cap[] = [];
  #capacity = 0;
  #longest = 0;
  #rate = 0;
  #hasFinish = false;
  /** Tokens of the calls whose start, and of those whose finish, is still to be stamped. */
  #starting = 0;
  #running = 0;
  /** The ring of those who wait, oldest first; this end of it is older than all. */
  readonly #line = new Waiter(0, 0);
  #size = 0;
  #queued = 0;
  readonly #maxQueue: number;
  /** What rejects the calls of `runAll` that wait, here or elsewhere, and what they cost. */
  readonly #shared = new Map<(reason: unknown) => void, number>();
  #timer: ReturnType<typeof setTimeout> | undefined;
  #wakeAt = Infinity;
  #isPumping = false;
  #closed: { reason: unknown } | undefined;

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
    this.#maxQueue = maxQueue;
    this.#setLimits(limits);
  }

  /** How many calls wait, those of {@linkcode runAll} included, wherever these wait. */
  get size(): number {
    return this.#size + this.#shared.size;
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
    const { cost = 1, signal } = options;
    try {
      signal?.throwIfAborted();
      this.#admit(cost);
      if (this.#isOpen(cost)) return this.#start(fn, cost);
      this.#checkRoom();
    } catch (error) {
      return Promise.reject(error);
    }
    return new Promise((resolve, reject) => {
      const call = new Waiter(cost, ++Throttler.#arrivals);
      call.fn = fn;
      call.resolve = resolve as (value: unknown) => void;
      call.reject = reject;
      call.unlisten = listen(signal, (reason) => {
        this.#leave(call);
        reject(reason);
      });
      this.#join(call);
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
    const { cost = 1 } = options;
    this.#admit(cost);
    if (!this.#isOpen(cost)) return undefined;
    let dispose = () => {};
    this.#start(() => new Promise<void>((done) => dispose = done), cost);
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
    return this.#waitOf(cost, Infinity);
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
    this.#cap(-1, duration); // not 0, which a call of cost 0 would meet
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
  sync(count: VenueCount): void {
    const { period = this.#longest, resetIn } = count;
    const bucket = this.#buckets.find((bucket) => bucket.period === period);
    if (!bucket) throw new RangeError(`Cannot sync: no limit has a period of ${period}`);
    if (!((count.remaining ?? count.used ?? NaN) >= 0 && (resetIn ?? 0) >= 0)) {
      throw new RangeError("Cannot sync: a count is missing or below 0, at least 0 is wanted");
    }
    const left = Math.floor(Math.max(0, count.remaining ?? bucket.limit - count.used!));
    if (resetIn !== undefined) return this.#cap(left, resetIn);
    const excess = bucket.available(floorTick()) - this.#held(bucket) - left;
    if (excess > 0) bucket.spend(excess, clock());
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
    this.#setLimits(limits);
    for (const call of this.#waiting()) {
      if (call.cost <= this.#capacity) continue;
      this.#leave(call);
      call.reject(this.#costError(call.cost));
    }
    for (const [reject, cost] of this.#shared) {
      if (cost > this.#capacity) reject(this.#costError(cost));
    }
    this.#pump();
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
    this.#closed ??= { reason };
    for (const reject of this.#shared.keys()) reject(this.#closed.reason);
    for (const call of this.#waiting()) {
      this.#leave(call);
      call.reject(this.#closed.reason);
    }
  }

  /** Closes the throttler. */
  [Symbol.asyncDispose](): Promise<void> {
    this.close();
    return Promise.resolve();
  }

  #setLimits(limits: Limit | readonly Limit[]): void {
    const buckets = [limits].flat().map((limit) => createBucket(limit as Limit));
    if (buckets.length === 0) {
      throw new RangeError("Cannot set the limits: there is none, at least one is wanted");
    }
    const running = this.#running - this.#starting;
    const heirs = buckets.map((bucket) => inherit(bucket, this.#buckets, running));
    this.#buckets = [...new Set(heirs)]; // of two that are alike, one is enough
    this.#capacity = Math.min(...buckets.map((bucket) => bucket.capacity));
    this.#longest = Math.max(...buckets.map((bucket) => bucket.period));
    this.#rate = Math.min(...buckets.map((bucket) => bucket.limit / bucket.period));
    this.#hasFinish = buckets.some((bucket) => bucket.isFinish);
  }

  #admit(cost: number): void {
    if (this.#closed) throw this.#closed.reason;
    this.#checkCost(cost);
  }

  #checkCost(cost: number): void {
    if (!(Number.isInteger(cost) && cost >= 0 && cost <= this.#capacity)) {
      throw this.#costError(cost);
    }
  }

  #costError(cost: number): RangeError {
    const wanted = `an integer from 0 to ${this.#capacity} is wanted`;
    return new RangeError(`Cannot start a call: its cost is ${cost}, ${wanted}`);
  }

  #checkRoom(): void {
    if (this.size < this.#maxQueue) return;
    const message = `Cannot queue a call: ${this.size} wait, maxQueue is ${this.#maxQueue}`;
    throw new ThrottlerError("full", message);
  }

  #held(bucket: Bucket): number {
    return bucket.isFinish ? this.#running : this.#starting;
  }

  /**
   * The tick from which every limit allows the cost. `Infinity` while that depends on a call that is
   * still to finish, unless an estimate will do.
   */
  #allowedAt(cost: number, isEstimate = false): number {
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

  /** How long a call of that age would wait at least, behind those who are older. */
  #waitOf(cost: number, age: number): number {
    let need = this.#queued + cost;
    for (let call = this.#line.prev; call.age >= age; call = call.prev) need -= call.cost;
    return Math.max(0, this.#allowedAt(need, true) / TICKS - performance.now());
  }

  /** Whether a call of that age, a newcomer if none is given, may start now. */
  #isOpen(cost: number, age = Infinity): boolean {
    const oldest = this.#line.next;
    if (this.#closed || (oldest !== this.#line && oldest.age < age)) return false;
    return isPast(this.#allowedAt(cost));
  }

  #waiting(): Waiter[] {
    const calls: Waiter[] = [];
    for (let call = this.#line.next; call !== this.#line; call = call.next) calls.push(call);
    return calls;
  }

  #join(call: Waiter): void {
    let before = this.#line.prev;
    while (before.age > call.age) before = before.prev;
    call.prev = before;
    call.next = before.next;
    call.prev.next = call.next.prev = call;
    this.#queued += call.cost;
    if (call.fn) this.#size++;
    if (before === this.#line) this.#pump();
  }

  #leave(call: Waiter): void {
    if (call.next === call) return; // it has left before
    const wasFirst = call.prev === this.#line;
    call.prev.next = call.next;
    call.next.prev = call.prev;
    call.prev = call.next = call;
    this.#queued -= call.cost;
    if (call.fn) this.#size--;
    call.unlisten();
    if (wasFirst) this.#pump();
  }

  /** Starts those who may start, oldest first, and sets the timer for the next. */
  #pump(): void {
    if (this.#isPumping) return; // a call that was started here has come back
    this.#isPumping = true;
    let at = Infinity;
    for (let call; (call = this.#line.next) !== this.#line && !this.#closed; at = Infinity) {
      at = this.#allowedAt(call.cost);
      if (!isPast(at)) break;
      if (call.fn) {
        this.#leave(call);
        call.resolve(this.#start(call.fn, call.cost));
      } else {
        call.resolve(undefined); // a call of runAll, which goes when it can go everywhere
        at = Infinity;
        break;
      }
    }
    this.#isPumping = false;
    this.#wake(at);
  }

  #wake(at: number): void {
    if (at === this.#wakeAt) return;
    this.#wakeAt = at;
    clearTimeout(this.#timer);
    if (at === Infinity) return;
    const wait = Math.ceil(at / TICKS - performance.now());
    // Timers fire early as well as late: whoever wakes asks the clock again.
    this.#timer = setTimeout(() => {
      this.#wakeAt = Infinity;
      this.#pump();
    }, Math.min(wait, MAX_TIMER));
  }

  /** Starts a call. Its tokens are held from here on, and charged once it has started or finished. */
  #start<T>(fn: () => T | PromiseLike<T>, cost: number): Promise<T> {
    this.#hold(cost);
    const result = attempt(fn);
    const hasFinish = this.#stampStart(cost);
    this.#pump();
    return hasFinish ? result.finally(() => this.#stampFinish(cost)) : result;
  }

  #hold(cost: number): void {
    this.#starting += cost;
    this.#running += cost;
  }

  /** Charges the limits that count starts, and says whether others wait for the finish. */
  #stampStart(cost: number): boolean {
    this.#starting -= cost;
    if (!this.#hasFinish) this.#running -= cost;
    const now = clock();
    for (const bucket of this.#buckets) if (!bucket.isFinish) bucket.spend(cost, now);
    for (const cap of this.#caps) cap.left -= cost;
    return this.#hasFinish;
  }

  #stampFinish(cost: number): void {
    this.#running -= cost;
    const now = clock();
    for (const bucket of this.#buckets) if (bucket.isFinish) bucket.spend(cost, now);
    this.#pump();
  }

  /** Lets no more than `left` tokens be spent for `duration` milliseconds. */
  #cap(left: number, duration: number): void {
    const now = floorTick();
    const until = Math.ceil(clock() + duration * TICKS);
    if (this.#caps.some((cap) => cap.left <= left && cap.until >= until)) return;
    const matters = (cap: Cap) => cap.until > now && (cap.left < left || cap.until > until);
    this.#caps = [...this.#caps.filter(matters), { left, until }];
  }

  static #startAll<T>(
    all: readonly Throttler[],
    fn: () => T | PromiseLike<T>,
    cost: number,
  ): Promise<T> {
    for (const throttler of all) throttler.#hold(cost);
    const result = attempt(fn);
    const unfinished = all.filter((throttler) => throttler.#stampStart(cost));
    for (const throttler of all) throttler.#pump();
    if (unfinished.length === 0) return result;
    return result.finally(() => {
      for (const throttler of unfinished) throttler.#stampFinish(cost);
    });
  }

  static async #runAll<T>(
    throttlers: readonly Throttler[],
    fn: () => T | PromiseLike<T>,
    options: CallOptions = {},
  ): Promise<T> {
    const { cost = 1, signal } = options;
    signal?.throwIfAborted();
    const all = [...new Set(throttlers)];
    for (const throttler of all) throttler.#admit(cost);
    const age = Throttler.#arrivals + 1;
    const isLate = (throttler: Throttler) => !throttler.#isOpen(cost, age);
    if (!all.some(isLate)) return Throttler.#startAll(all, fn, cost);

    for (const throttler of all) throttler.#checkRoom();
    Throttler.#arrivals = age;
    const places = new Map<Throttler, Waiter>();
    const yielded = new Set<Throttler>();
    const { promise: stopped, reject: stop } = Promise.withResolvers<never>();
    const unlisten = listen(signal, stop);
    for (const throttler of all) throttler.#shared.set(stop, cost);
    try {
      for (let late; (late = all.filter(isLate)).length > 0;) {
        const next = late.reduce((a, b) => b.#waitOf(cost, age) > a.#waitOf(cost, age) ? b : a);
        // The turns that it has elsewhere it keeps, except where others had better go meanwhile: in
        // a faster throttler, or where even tokens that are spent now would be back before. It lets
        // go of each only once, so that in the end it has them all.
        for (const [throttler, place] of places) {
          const isBusy = throttler.#rate > next.#rate ||
            next.#waitOf(cost, age) > 2 * throttler.#longest;
          if (throttler === next || yielded.has(throttler) || !isBusy) continue;
          throttler.#leave(place);
          places.delete(throttler);
          yielded.add(throttler);
        }
        const place = places.get(next) ?? new Waiter(cost, age);
        const turn = new Promise<unknown>((resolve) => place.resolve = resolve);
        place.reject = stop;
        if (places.has(next)) next.#pump();
        else next.#join(place);
        places.set(next, place);
        await Promise.race([turn, stopped]);
      }
      signal?.throwIfAborted();
      return Throttler.#startAll(all, fn, cost);
    } finally {
      unlisten();
      for (const throttler of all) throttler.#shared.delete(stop);
      for (const [throttler, place] of places) throttler.#leave(place);
    }
  }
}

/**
 * Calls `fn` as soon as every one of the throttlers allows it. It is charged to all of them at its
 * start, and to none if the wait is aborted or one of them refuses.
 *
 * While it waits for one throttler it holds back nobody in the others. It keeps its age in every
 * line, and in the end its turn in each until the last has come, so that two calls never block each
 * other and none waits for ever. Calls for the same throttlers start in the order in which they came.
 *
 * @param throttlers The throttlers; without any, `fn` is called at once.
 * @param fn The call; it is charged even if it fails.
 * @param options The cost, which each throttler is charged, and the signal.
 * @returns What `fn` returns.
 * @throws {RangeError} If the cost is not an integer of at least 0, or is above a limit.
 * @throws {ThrottlerError} If too many calls wait already for one of them, or one is closed.
 *
 * @example
 * ```ts
 * import { runAll, Throttler } from "@aio-trader/core/throttler";
 * import { assertEquals } from "@std/assert";
 *
 * const orders = new Throttler({ limit: 200, period: 60_000 });
 * const everything = new Throttler({ limit: 10, period: 1_000 });
 *
 * assertEquals(await runAll([orders, everything], () => "sent"), "sent");
 * ```
 */
export function runAll<T>(
  throttlers: readonly Throttler[],
  fn: () => T | PromiseLike<T>,
  options?: CallOptions,
): Promise<T> {
  return friends.runAll(throttlers, fn, options);
}

/** A call in line between its neighbours. */
class Waiter {
  readonly cost: number;
  readonly age: number;
  prev: Waiter = this;
  next: Waiter = this;
  /** What to start; a place of `runAll` has none. */
  fn: (() => unknown) | undefined = undefined;
  resolve: (value: unknown) => void = ignore;
  reject: (reason: unknown) => void = ignore;
  unlisten: () => void = ignore;

  constructor(cost: number, age: number) {
    this.cost = cost;
    this.age = age;
  }
}

function ignore(): void {}

/** All who wait with each signal. It scans its listeners for each that comes or goes: `tell` is one. */
const waiting = new WeakMap<AbortSignal, Set<(reason: unknown) => void>>();

/** Waits for a signal, if there is one, and gives the way to stop it. */
function listen(signal: AbortSignal | undefined, listener: (reason: unknown) => void): () => void {
  if (!signal) return ignore;
  const all = waiting.get(signal) ?? new Set();
  waiting.set(signal, all);
  if (all.size === 0) signal.addEventListener("abort", tell);
  all.add(listener);
  return () => {
    all.delete(listener);
    if (all.size === 0) signal.removeEventListener("abort", tell);
  };
}

function tell(event: Event): void {
  const signal = event.target as AbortSignal;
  // The oldest leaves last, so that whoever starts in its place is none of the others.
  for (const listener of [...waiting.get(signal)!].reverse()) listener(signal.reason);
}

/** Calls a function whose failure may come either way. */
function attempt<T>(fn: () => T | PromiseLike<T>): Promise<T> {
  try {
    return Promise.resolve(fn());
  } catch (error) {
    return Promise.reject(error);
  }
}

/** What a pause or a venue leaves to be spent until a tick. */
interface Cap {
  left: number;
  readonly until: number;
}

/** Whether a tick has come. The clock is not read for 0, which says that nothing was to wait for. */
function isPast(tick: number): boolean {
  return tick === 0 || tick <= floorTick();
}
