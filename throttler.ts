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
 * assert(starts[2] - starts[0] >= 50); // never three in 50 ms
 * ```
 *
 * @module
 */

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

/** One limit: so many tokens per period, and when a spent token returns. */
export interface Limit {
  /** Tokens per period: an integer of at least 1. A call spends its `cost`, 1 unless it says otherwise. */
  limit: number;
  /** Length of the window, in milliseconds: above 0, fractions allowed. */
  period: number;
  /**
   * When a spent token returns; {@linkcode Throttler} says what each guarantees.
   *
   * @default {"after-start"}
   */
  refill?: "after-start" | "after-finish" | "steady";
  /**
   * Most tokens that a `"steady"` limit saves up: an integer of at least 1. No other `refill` has it.
   *
   * @default the `limit`
   */
  burst?: number;
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
  /** Ends the wait: the call is rejected with the signal's reason, and is not charged. */
  signal?: AbortSignal;
}

/** Leave to start one call now, from {@linkcode Throttler.acquire}. */
export interface Permit {
  /** Says that the call has finished, which an `"after-finish"` limit waits for. Repeats change nothing. */
  [Symbol.dispose](): void;
}

/** What a venue's answer says of its own count, for {@linkcode Throttler.sync}. */
export interface VenueCount {
  /** Tokens left. */
  remaining?: number;
  /** Tokens used, instead of `remaining`. */
  used?: number;
  /** Milliseconds until the venue starts to count again. */
  resetIn?: number;
  /**
   * The period of the limit that the venue counts, in milliseconds.
   *
   * @default the longest
   */
  period?: number;
}

/** Time is counted in ticks of 1/1024 ms: scaling by a power of two is exact, rounding is ours to choose. */
const TICKS = 1024;

/** A timer set for longer than this (24.8 days) fires at once, on every runtime. */
const MAX_TIMER = 2 ** 31 - 1;

/** The last tick that has certainly begun; `performance.now` stands above changes of the wall clock. */
function tickBefore(): number {
  return Math.floor(performance.now() * TICKS);
}

/** The first tick that nothing done until now can follow. */
function tickAfter(): number {
  return Math.ceil(performance.now() * TICKS);
}

/** Lets `runAll` into the private parts of the class. */
const friends = {} as { runAll: typeof runAll };

/**
 * Makes calls wait until all of its limits have a token for them.
 *
 * `refill` says when a spent token returns:
 *
 * - `"after-start"` (the default): one period after the call that spent it started. No window of
 *   that length, wherever it begins, ever holds more than `limit` starts.
 * - `"after-finish"`: one period after that call finished. Then no window holds more than `limit`
 *   calls on the *venue's* clock either, whatever the latency. Proof: say the venue processes
 *   `limit + 1` calls in one window from T to T + period, and `j` is the last of them to be sent. Each
 *   other call `i` was sent before `j` and answered after T, and `j` was sent before T + period.
 *   So at that moment each `i` still held its token: it was unanswered, or answered less than a
 *   period ago. Then `limit` tokens were out, and `j` could not have been sent.
 * - `"steady"`: the classic bucket: `limit` tokens per period come back evenly, and no more than
 *   `burst` are ever saved up. No window of length w holds more than `burst + limit * w / period`.
 *
 * Calls start in the order in which they came, a dear one is never passed by a cheap one, and the
 * clock is the monotonic one, so that setting the time changes nothing.
 *
 * @example Two limits at once
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
  static #arrivals = 0;
  #buckets: Bucket[] = [];
  #caps: Cap[] = [];
  #capacity = 0;
  #hasFinish = false;
  /** Tokens of calls that are being started, and of those that have not finished. */
  #starting = 0;
  #running = 0;
  /** Head and tail of the ring of waiting calls; its own age is below any other. */
  readonly #line: Waiter = new Waiter(0, 0);
  readonly #maxQueue: number;
  /** How to reject the calls that wait for several throttlers, this one among them. */
  readonly #shared = new Set<(reason: unknown) => void>();
  #size = 0;
  #queued = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #wakeAt = Infinity;
  #isPumping = false;
  #closure: { reason: unknown } | undefined;

  static {
    friends.runAll = (throttlers, fn, options) => Throttler.#runAll(throttlers, fn, options);
  }

  /**
   * Makes a throttler whose buckets are full.
   *
   * @param limits The limit, or the limits that are taken together or not at all.
   * @param options How many calls may wait; a single limit may carry these itself.
   * @throws {RangeError} If a number is out of its range, or no limit is given.
   * @throws {TypeError} If `refill` is none of its three values, or does not go with `burst`.
   */
  constructor(limits: Limit & ThrottlerOptions | readonly Limit[], options: ThrottlerOptions = {}) {
    const { maxQueue = Infinity } = { ...limits, ...options } as ThrottlerOptions;
    if (!(maxQueue >= 0)) {
      throw new RangeError(
        `Cannot create Throttler: maxQueue is ${maxQueue}, at least 0 is wanted`,
      );
    }
    this.#maxQueue = maxQueue;
    this.#setLimits(limits);
  }

  /** How many calls wait. */
  get size(): number {
    return this.#size + this.#shared.size;
  }

  /**
   * Calls `fn` as soon as every limit allows it. The start is stamped once `fn` has returned, so
   * that work which `fn` does before it sends anything cannot bring two starts closer together.
   *
   * @param fn The call. It is charged even if it fails.
   * @param options Cost and signal.
   * @returns What `fn` returns.
   * @throws {RangeError} If the cost is above what a limit can ever allow.
   * @throws {ThrottlerError} If too many calls wait already, or the throttler is closed.
   */
  run<T>(fn: () => T | PromiseLike<T>, options: CallOptions = {}): Promise<T> {
    const { cost = 1, signal } = options;
    try {
      this.#admit(cost);
      signal?.throwIfAborted();
      if (this.#isOpen(cost, Infinity)) return Throttler.#start([this], fn, cost);
      this.#checkRoom();
    } catch (error) {
      return Promise.reject(error);
    }
    return new Promise((resolve, reject) => {
      const call = new Waiter(cost, ++Throttler.#arrivals);
      call.fn = fn;
      call.resolve = resolve as (value: unknown) => void;
      call.reject = reject;
      if (signal) {
        const onAbort = () => {
          this.#leave(call);
          reject(signal.reason);
        };
        signal.addEventListener("abort", onAbort);
        call.unlisten = () => signal.removeEventListener("abort", onAbort);
      }
      this.#join(call);
    });
  }

  /**
   * Waits for leave to start one call; {@linkcode Throttler.run} is exacter, because here the start
   * is stamped just before the caller goes on.
   *
   * @param options Cost and signal.
   * @returns A permit, to be disposed when the call has finished.
   * @throws {RangeError} If the cost is above what a limit can ever allow.
   * @throws {ThrottlerError} If too many calls wait already, or the throttler is closed.
   */
  acquire(options: CallOptions = {}): Promise<Permit> {
    return new Promise((resolve, reject) => {
      const hold = () => new Promise<void>((done) => resolve({ [Symbol.dispose]: done }));
      this.run(hold, options).catch(reject);
    });
  }

  /**
   * Takes leave to start one call, if it need not wait for it.
   *
   * @param options The cost.
   * @returns A permit, or `undefined` if a call that came now would wait.
   * @throws {RangeError} If the cost is above what a limit can ever allow.
   * @throws {ThrottlerError} If the throttler is closed.
   */
  tryAcquire(options: Omit<CallOptions, "signal"> = {}): Permit | undefined {
    const { cost = 1 } = options;
    this.#admit(cost);
    if (!this.#isOpen(cost, Infinity)) return undefined;
    let finish = () => {};
    Throttler.#start([this], () => new Promise<void>((done) => finish = done), cost);
    return { [Symbol.dispose]: () => finish() };
  }

  /**
   * Says how long a call that came now would wait at least: exactly so long if all costs are 1 and
   * nobody leaves, pauses, or is still to finish.
   *
   * @param cost Tokens that the call would spend.
   * @returns Milliseconds, `0` if it would start at once.
   * @throws {RangeError} If the cost is above what a limit can ever allow.
   */
  waitTime(cost = 1): number {
    this.#checkCost(cost);
    const at = this.#allowedAt(this.#queued + cost, true);
    return Math.max(0, at / TICKS - performance.now());
  }

  /**
   * Lets nothing start for a while, as a venue's `Retry-After` asks. Of several pauses the one that
   * ends last wins.
   *
   * @param duration Milliseconds. `0` does nothing, `Infinity` stops for good.
   * @throws {RangeError} If the duration is negative.
   */
  pause(duration: number): void {
    if (!(duration >= 0)) {
      throw new RangeError(`Cannot pause Throttler: duration is ${duration}, at least 0 is wanted`);
    }
    this.#cap(-1, duration); // below 0, so that calls of cost 0 stop too
  }

  /**
   * Tightens the limits to what the venue counts, which may include others on the same account or
   * address. It never loosens them: a count that leaves more room than ours changes nothing.
   *
   * With `resetIn`, no more than the remaining tokens are spent until then. Without it, the tokens
   * that are missing here are taken as spent now.
   *
   * @param count `remaining` or `used`, and what they refer to.
   * @throws {RangeError} If a number is negative or not a number, or no limit has that `period`.
   */
  sync(count: VenueCount): void {
    const { period = Math.max(...this.#buckets.map((bucket) => bucket.period)), resetIn } = count;
    const bucket = this.#buckets.find((bucket) => bucket.period === period);
    if (!bucket) throw new RangeError(`Cannot sync Throttler: no limit has a period of ${period}`);
    const { remaining = bucket.limit - count.used! } = count;
    if (!((count.remaining ?? count.used!) >= 0)) {
      throw new RangeError("Cannot sync Throttler: remaining or used is wanted, at least 0");
    }
    const left = Math.max(0, Math.floor(remaining));
    if (resetIn !== undefined) {
      if (!(resetIn >= 0)) {
        throw new RangeError(`Cannot sync Throttler: resetIn is ${resetIn}, at least 0 is wanted`);
      }
      return this.#cap(left, resetIn);
    }
    const excess = bucket.available(tickBefore()) - this.#held(bucket) - left;
    if (excess > 0) bucket.spend(excess, tickAfter());
  }

  /**
   * Changes the limits while calls wait. What was spent in the longest of the old periods counts
   * against the new limits too. A waiting call whose cost is above the new capacity is rejected.
   *
   * @param limits The new limits.
   * @throws {RangeError} If a number is out of its range, or no limit is given.
   * @throws {TypeError} If `refill` is none of its three values, or does not go with `burst`.
   */
  update(limits: Limit | readonly Limit[]): void {
    this.#setLimits(limits);
    for (let call = this.#line.next, next; call !== this.#line; call = next) {
      next = call.next;
      try {
        this.#checkCost(call.cost);
      } catch (error) {
        this.#leave(call);
        call.reject(error);
      }
    }
    this.#pump();
  }

  /**
   * Rejects every call that waits, and every later one. Calls that have started go on.
   *
   * @param reason What they are rejected with; a {@linkcode ThrottlerError} by default.
   */
  close(
    reason: unknown = new ThrottlerError(
      "closed",
      "Cannot start a call: the throttler is closed, a new one is wanted",
    ),
  ): void {
    this.#closure ??= { reason };
    for (const reject of this.#shared) reject(this.#closure.reason);
    while (this.#line.next !== this.#line) {
      const call = this.#line.next;
      this.#leave(call);
      call.reject(this.#closure.reason);
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
      throw new RangeError("Cannot set limits of Throttler: none is given, at least one is wanted");
    }
    const now = tickBefore();
    const [longest] = this.#buckets.toSorted((a, b) => b.period - a.period);
    for (const bucket of buckets) {
      for (const [at, cost] of longest?.history(now) ?? []) bucket.spend(cost, at);
      // What runs now has no finish yet that could have been remembered.
      if (longest?.isFinish && !bucket.isFinish) bucket.spend(this.#running, tickAfter());
    }
    this.#buckets = buckets;
    this.#capacity = Math.min(...buckets.map((bucket) => bucket.capacity));
    this.#hasFinish = buckets.some((bucket) => bucket.isFinish);
  }

  #checkCost(cost: number): void {
    if (!(Number.isInteger(cost) && cost >= 0)) {
      throw new RangeError(
        `Cannot start a call: cost is ${cost}, an integer of at least 0 is wanted`,
      );
    }
    if (cost > this.#capacity) {
      throw new RangeError(
        `Cannot start a call: cost is ${cost}, the limit allows ${this.#capacity} at most`,
      );
    }
  }

  #admit(cost: number): void {
    if (this.#closure) throw this.#closure.reason;
    this.#checkCost(cost);
  }

  #checkRoom(): void {
    if (this.size >= this.#maxQueue) {
      throw new ThrottlerError(
        "full",
        `Cannot queue a call: ${this.size} wait already, maxQueue is ${this.#maxQueue}`,
      );
    }
  }

  #held(bucket: Bucket): number {
    return bucket.isFinish ? this.#running : this.#starting;
  }

  /** The tick from which all limits allow `cost`; `Infinity` while that depends on a call that runs. */
  #allowedAt(cost: number, isEstimate = false): number {
    let at = 0;
    for (const bucket of this.#buckets) {
      const need = cost + this.#held(bucket);
      at = Math.max(at, need > bucket.capacity && !isEstimate ? Infinity : bucket.allowedAt(need));
    }
    for (const cap of this.#caps) at = Math.max(at, cap.allowedAt(cost + this.#starting));
    return at;
  }

  /** Whether a call may start now: nobody older waits, and the tokens are there. */
  #isOpen(cost: number, age: number): boolean {
    const first = this.#line.next;
    if (this.#closure || (first !== this.#line && first.age < age)) return false;
    const at = this.#allowedAt(cost);
    return at === 0 || at <= tickBefore();
  }

  #join(call: Waiter): void {
    let before = this.#line.prev;
    while (before.age > call.age) before = before.prev;
    call.prev = before;
    call.next = before.next;
    before.next = call.next.prev = call;
    this.#queued += call.cost;
    if (call.fn) this.#size++;
    if (before === this.#line) this.#pump();
  }

  #leave(call: Waiter): void {
    if (call.next === call) return; // it has left already
    const wasFirst = call.prev === this.#line;
    call.prev.next = call.next;
    call.next.prev = call.prev;
    call.prev = call.next = call;
    this.#queued -= call.cost;
    if (call.fn) this.#size--;
    call.unlisten?.();
    if (wasFirst) this.#pump();
  }

  /** Starts whoever may start, first come first served, and sets the timer for the next one. */
  #pump(): void {
    if (this.#isPumping) return;
    this.#isPumping = true;
    let at = Infinity;
    for (let call; (call = this.#line.next) !== this.#line;) {
      at = this.#allowedAt(call.cost);
      if (at > tickBefore()) break;
      at = Infinity;
      if (!call.fn) { // a call of runAll stays until its other throttlers are ready too
        call.resolve(undefined);
        break;
      }
      this.#leave(call);
      call.resolve(Throttler.#start([this], call.fn, call.cost));
    }
    this.#isPumping = false;
    if (at === this.#wakeAt) return;
    clearTimeout(this.#timer);
    this.#wakeAt = at;
    if (at === Infinity) return;
    const wait = Math.ceil(at / TICKS - performance.now());
    // Timers fire early as well as late, so the clock is asked again before anything starts.
    this.#timer = setTimeout(() => {
      this.#wakeAt = Infinity;
      this.#pump();
    }, Math.min(wait, MAX_TIMER));
  }

  /** Starts a call that holds a token of each throttler from here on. */
  static #start<T>(
    throttlers: readonly Throttler[],
    fn: () => T | PromiseLike<T>,
    cost: number,
  ): Promise<T> {
    for (const throttler of throttlers) {
      throttler.#starting += cost;
      throttler.#running += cost;
    }
    let result: Promise<T>;
    try {
      result = Promise.resolve(fn());
    } catch (error) {
      result = Promise.reject(error);
    }
    const unfinished = throttlers.filter((throttler) => throttler.#started(cost));
    if (unfinished.length === 0) return result;
    return result.finally(() => unfinished.forEach((throttler) => throttler.#finished(cost)));
  }

  /** Stamps a start, and says whether the finish is to be stamped too. */
  #started(cost: number): boolean {
    const hasFinish = this.#hasFinish;
    this.#starting -= cost;
    if (!hasFinish) this.#running -= cost;
    const now = tickAfter();
    for (const bucket of this.#buckets) if (!bucket.isFinish) bucket.spend(cost, now);
    for (const cap of this.#caps) cap.left -= cost;
    if (this.#line.next !== this.#line) this.#pump();
    return hasFinish;
  }

  #finished(cost: number): void {
    this.#running -= cost;
    const now = tickAfter();
    for (const bucket of this.#buckets) if (bucket.isFinish) bucket.spend(cost, now);
    this.#pump();
  }

  /** Lets calls spend no more than `left` for `duration` milliseconds. */
  #cap(left: number, duration: number): void {
    const now = tickBefore();
    const until = Math.ceil((performance.now() + duration) * TICKS);
    if (this.#caps.some((cap) => cap.until >= until && cap.left <= left)) return;
    this.#caps = this.#caps.filter((cap) =>
      cap.until > now && (cap.until > until || cap.left < left)
    );
    this.#caps.push(new Cap(left, until));
  }

  static async #runAll<T>(
    throttlers: readonly Throttler[],
    fn: () => T | PromiseLike<T>,
    options: CallOptions = {},
  ): Promise<T> {
    const { cost = 1, signal } = options;
    const all = [...new Set(throttlers)];
    if (all.length === 0) return fn();
    for (const throttler of all) throttler.#admit(cost);
    signal?.throwIfAborted();
    const age = Throttler.#arrivals + 1;
    const isOpen = (throttler: Throttler) => throttler.#isOpen(cost, age);
    if (all.every(isOpen)) return Throttler.#start(all, fn, cost);

    for (const throttler of all) throttler.#checkRoom();
    Throttler.#arrivals = age;
    const { promise: stopped, reject: stop } = Promise.withResolvers<never>();
    const onAbort = () => stop(signal!.reason);
    signal?.addEventListener("abort", onAbort);
    for (const throttler of all) throttler.#shared.add(stop);
    const places = new Map<Throttler, Waiter>();
    try {
      for (;;) {
        const late = all.filter((throttler) => !isOpen(throttler));
        if (late.length === 0) return Throttler.#start(all, fn, cost);
        // It waits where it has a place already, else where the wait is longest; elsewhere the
        // others may pass it until its turn has come here.
        const [next] = late.toSorted((a, b) =>
          Number(places.has(b)) - Number(places.has(a)) || b.waitTime(cost) - a.waitTime(cost)
        );
        const place = places.get(next) ?? new Waiter(cost, age);
        const turn = new Promise<unknown>((resolve) => place.resolve = resolve);
        place.reject = stop;
        if (places.has(next)) next.#pump();
        else next.#join(place);
        places.set(next, place);
        await Promise.race([turn, stopped]);
      }
    } finally {
      signal?.removeEventListener("abort", onAbort);
      for (const throttler of all) throttler.#shared.delete(stop);
      for (const [throttler, place] of places) throttler.#leave(place);
    }
  }
}

/**
 * Calls `fn` once every throttler allows it: it is charged to all of them at its start, and to none
 * of them if the wait is aborted or one of them refuses. A call that waits for one throttler does
 * not keep back those that only need the others, but it is never passed for good: in the end the
 * oldest call goes first everywhere, so that no two calls can block each other.
 *
 * @param throttlers The throttlers; `fn` is called at once if there is none.
 * @param fn The call.
 * @param options Cost, spent in each of them, and signal.
 * @returns What `fn` returns.
 * @throws {RangeError} If the cost is above what a limit can ever allow.
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

/** A call in line, between its neighbours. */
class Waiter {
  prev: Waiter = this;
  next: Waiter = this;
  /** What to start; a place of `runAll` has none. */
  fn: (() => unknown) | undefined = undefined;
  resolve: (value: unknown) => void = () => {};
  reject: (reason: unknown) => void = () => {};
  unlisten: (() => void) | undefined = undefined;
  constructor(readonly cost: number, readonly age: number) {}
}

/** A limit at work. All times are ticks. */
interface Bucket {
  readonly limit: number;
  readonly period: number;
  /** The highest cost that it can ever allow. */
  readonly capacity: number;
  /** Whether it is charged when a call has finished rather than when it has started. */
  readonly isFinish: boolean;
  /** The tick at which `cost` tokens are there, or were; an estimate where `cost` is above capacity. */
  allowedAt(cost: number): number;
  /** The tokens that are there. */
  available(now: number): number;
  /** Takes tokens that come back as from a call at that time. */
  spend(cost: number, at: number): void;
  /** What was spent, when, as far as it matters still. */
  history(now: number): [at: number, cost: number][];
}

/** Checks a limit and makes a full bucket of it. */
function createBucket(options: Limit): Bucket {
  const { limit, period, refill = "after-start", burst } = options;
  if (!(Number.isSafeInteger(limit) && limit >= 1)) {
    throw new RangeError(
      `Cannot set limits of Throttler: limit is ${limit}, an integer of at least 1 is wanted`,
    );
  }
  if (!(period > 0 && period < Infinity)) {
    throw new RangeError(
      `Cannot set limits of Throttler: period is ${period}, a finite number above 0 is wanted`,
    );
  }
  if (refill === "steady") return new Steady(limit, period, burst ?? limit);
  if (refill !== "after-start" && refill !== "after-finish") {
    throw new TypeError(
      `Cannot set limits of Throttler: refill is "${refill}", "after-start", "after-finish" or "steady" is wanted`,
    );
  }
  if (burst !== undefined) {
    throw new TypeError(
      `Cannot set limits of Throttler: burst is ${burst} where refill is "${refill}", "steady" is wanted`,
    );
  }
  return new Window(limit, period, refill === "after-finish");
}

/** Remembers each spent token until one period after its stamp, so that no window is ever too full. */
class Window implements Bucket {
  readonly capacity: number;
  readonly #ticks: number;
  #free: number;
  /** Pairs of return time and cost, in order; those before `#head` have returned. */
  readonly #spent: number[] = [];
  #head = 0;

  constructor(readonly limit: number, readonly period: number, readonly isFinish: boolean) {
    this.capacity = this.#free = limit;
    this.#ticks = Math.ceil(period * TICKS);
  }

  allowedAt(cost: number): number {
    if (cost <= this.#free) return 0;
    const now = tickBefore();
    if (cost <= this.available(now)) return 0;
    const rounds = Math.ceil(cost / this.limit) - 1;
    if (rounds > 0) {
      return Math.max(now, this.allowedAt(cost - rounds * this.limit)) + rounds * this.#ticks;
    }
    let at = this.#head;
    for (let sum = this.#free; sum < cost; at += 2) sum += this.#spent[at + 1];
    return this.#spent[at - 2];
  }

  available(now: number): number {
    const spent = this.#spent;
    while (spent[this.#head] <= now) {
      this.#free += spent[this.#head + 1];
      this.#head += 2;
    }
    if (this.#head > 1_000 && this.#head > spent.length / 2) { // half is past: move the rest down
      spent.copyWithin(0, this.#head);
      spent.length -= this.#head;
      this.#head = 0;
    }
    return this.#free;
  }

  spend(cost: number, at: number): void {
    this.available(at - 1); // keeps the memory short; the tick `at` itself may not have begun
    if (cost === 0) return;
    this.#free -= cost;
    const spent = this.#spent;
    const back = at + this.#ticks;
    if (spent.length > this.#head && spent[spent.length - 2] === back) {
      spent[spent.length - 1] += cost;
    } else spent.push(back, cost);
  }

  history(now: number): [number, number][] {
    this.available(now);
    const pairs: [number, number][] = [];
    for (let i = this.#head; i < this.#spent.length; i += 2) {
      pairs.push([this.#spent[i] - this.#ticks, this.#spent[i + 1]]);
    }
    return pairs;
  }
}

/**
 * Lets tokens return one by one at `#base + n * period / limit`. The base moves by whole periods, so
 * that no rounding adds up.
 */
class Steady implements Bucket {
  readonly isFinish = false;
  readonly #ticks: number;
  #base = 0;
  /** How many tokens after the base the bucket is full again. */
  #count = 0;

  constructor(readonly limit: number, readonly period: number, readonly capacity: number) {
    if (!(Number.isSafeInteger(capacity) && capacity >= 1)) {
      throw new RangeError(
        `Cannot set limits of Throttler: burst is ${capacity}, an integer of at least 1 is wanted`,
      );
    }
    this.#ticks = Math.ceil(period * TICKS);
  }

  allowedAt(cost: number): number {
    if (cost > this.capacity) this.available(tickBefore());
    return this.#returnOf(this.#count + cost - this.capacity);
  }

  available(now: number): number {
    const full = this.#returnOf(this.#count);
    if (full <= now) {
      this.#base = now;
      this.#count = 0;
      return this.capacity;
    }
    return this.capacity - Math.ceil((full - now) * this.limit / this.#ticks);
  }

  spend(cost: number, at: number): void {
    this.available(at); // a full bucket starts again from here
    const count = this.#count + cost;
    this.#count = count % this.limit;
    this.#base += (count - this.#count) / this.limit * this.#ticks;
  }

  history(now: number): [number, number][] {
    return [[now, this.capacity - this.available(now)]];
  }

  #returnOf(n: number): number {
    const whole = Math.floor(n / this.limit);
    return this.#base + whole * this.#ticks +
      Math.ceil((n - whole * this.limit) * this.#ticks / this.limit);
  }
}

/** What a pause or a venue's count allows on top: `left` tokens until a time. */
class Cap {
  constructor(public left: number, readonly until: number) {}

  allowedAt(cost: number): number {
    return cost <= this.left ? 0 : this.until;
  }
}
