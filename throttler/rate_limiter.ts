/**
 * The face that all rate limiters share, and the places that `runAll` asks them for.
 *
 * @module
 */

/**
 * Options of one call.
 *
 * @example A cancel that goes first
 * ```ts
 * import { type CallOptions, Throttler } from "@aio-trader/core/throttler";
 * import { assertEquals } from "@std/assert";
 *
 * await using throttler = new Throttler({ limit: 1, period: 10 });
 * const sent: string[] = [];
 * const first: CallOptions = { urgent: true };
 *
 * await Promise.all([
 *   throttler.run(() => sent.push("quote")),
 *   throttler.run(() => sent.push("order")),
 *   throttler.run(() => sent.push("cancel"), first),
 * ]);
 * assertEquals(sent, ["quote", "cancel", "order"]);
 * ```
 */
export interface CallOptions {
  /**
   * Tokens that the call spends: an integer. `0` spends none, but the call waits its turn, and for
   * the end of a pause.
   *
   * @default {1}
   */
  cost?: number | undefined;
  /**
   * Ends the wait: the call rejects with the signal's reason, and costs nothing. Any number of
   * calls may share a signal: together they put one listener on it.
   */
  signal?: AbortSignal | undefined;
  /**
   * Whether the call goes before all calls that are not urgent. For cancels and logins. Urgent
   * calls keep their own order and never pass the limit. A stream of them may hold back all other
   * calls.
   *
   * @default {false}
   */
  urgent?: boolean | undefined;
}

/**
 * Leave to start one call now, from {@linkcode RateLimiter.acquire}.
 *
 * @example A call that counts until it has finished
 * ```ts
 * import { type Permit, Throttler } from "@aio-trader/core/throttler";
 * import { assertEquals } from "@std/assert";
 *
 * const throttler = new Throttler({ limit: 1, period: 1, refill: "after-finish" });
 * const permit: Permit = await throttler.acquire();
 * assertEquals(throttler.available, 0); // until the call is over, and a millisecond more
 * permit[Symbol.dispose]();
 * ```
 */
export interface Permit {
  /** Says that the call has finished, for `"after-finish"` limits. Repeats change nothing. */
  [Symbol.dispose](): void;
}

/**
 * The face of every rate limiter: the `Throttler` of one process, and limiters that machines share.
 *
 * @example A function for any of them
 * ```ts
 * import { type RateLimiter, Throttler } from "@aio-trader/core/throttler";
 * import { assertEquals } from "@std/assert";
 *
 * function ping(limiter: RateLimiter): Promise<string> {
 *   return limiter.run(() => "pong");
 * }
 *
 * assertEquals(await ping(new Throttler({ limit: 10, period: 1_000 })), "pong");
 * ```
 */
export interface RateLimiter {
  /** Number of calls that wait. */
  readonly size: number;
  /**
   * Calls `fn` as soon as the limiter allows it.
   *
   * @param fn The call.
   * @param options Cost, signal and urgency.
   * @returns The result of `fn`.
   */
  run<T>(fn: () => T | PromiseLike<T>, options?: CallOptions): Promise<T>;
  /**
   * Waits for leave to start one call.
   *
   * @param options Cost, signal and urgency.
   * @returns A permit. Dispose of it when the call has finished.
   */
  acquire(options?: CallOptions): Promise<Permit>;
  /**
   * Estimates the wait of a call that came now.
   *
   * @param cost Tokens that the call would spend. @default {1}
   * @returns Milliseconds.
   */
  waitTime(cost?: number): number;
  /**
   * Starts nothing for a while.
   *
   * @param duration Milliseconds.
   */
  pause(duration: number): void;
  /**
   * Rejects the calls that wait and all that come later.
   *
   * @param reason The reason of the rejections.
   */
  close(reason?: unknown): void;
  /**
   * Makes a place for one call of `runAll`.
   *
   * @param options Cost, urgency and age of the call.
   * @returns The place. The limiter has charged nothing yet, and the call does not stand in line.
   * @throws {RangeError} If the cost is above a limit.
   */
  place(options: PlaceOptions): Place;
}

/**
 * The call that {@linkcode RateLimiter.place} makes a place for.
 *
 * @example A place that never opens yet
 * ```ts
 * import { type PlaceOptions, Throttler } from "@aio-trader/core/throttler";
 * import { assertEquals } from "@std/assert";
 *
 * const throttler = new Throttler({ limit: 2, period: 1_000 });
 * const options: PlaceOptions = { cost: 2, urgent: false, age: 1 };
 * await throttler.run(() => "sent");
 *
 * assertEquals(throttler.place(options).isOpen, false); // one token is left, two are needed
 * ```
 */
export interface PlaceOptions {
  /** Tokens that the call spends. */
  cost: number;
  /** Whether the call goes before calls that are not urgent. */
  urgent: boolean;
  /** Number of the call, counted over all limiters: the smaller, the older. */
  age: number;
}

/**
 * The place of one call in the line of one limiter, for `runAll`:
 *
 * 1. `runAll` makes a place in each limiter. If all are open, it starts the call.
 * 2. Else the call enters all places, and takes its turn in one after the other. `runAll` looks at
 *    all places after each turn, until all are open at the same instant. Then it starts the call.
 * 3. In the end, the call leaves all places.
 *
 * @example The line of a limiter, step by step
 * ```ts
 * import { type Place, Throttler } from "@aio-trader/core/throttler";
 * import { assertEquals } from "@std/assert";
 *
 * const throttler = new Throttler({ limit: 1, period: 1_000 });
 * const place: Place = throttler.place({ cost: 1, urgent: false, age: 1 });
 *
 * assertEquals(place.isOpen, true);
 * assertEquals(await place.start(() => "sent"), "sent");
 * assertEquals(throttler.available, 0);
 * ```
 */
export interface Place {
  /**
   * Whether the call may start at this instant. A remote limiter says so while it holds a fresh
   * grant for the call.
   */
  readonly isOpen: boolean;
  /** Milliseconds until the place may open, as far as known. `0` if unknown. */
  readonly wait: number;
  /** Tokens per millisecond that come back in the slowest limit. */
  readonly rate: number;
  /** Milliseconds until a token that is spent now comes back in the longest limit. */
  readonly period: number;
  /**
   * Counts the call among those that wait, in line or not.
   *
   * @param refuse Called with the reason if the limiter closes, or can no longer allow the call.
   * @throws {ThrottlerError} If too many calls wait already.
   */
  enter(refuse: (reason: unknown) => void): void;
  /**
   * Puts the call in line by its age, or leaves it there.
   *
   * - A local limiter keeps the head of the line for the call until `pass`, `leave` or `start`.
   * - A remote limiter asks for a grant. A grant that no call starts with expires soon. Then the
   *   place is no longer open, and `runAll` calls `turn` again.
   *
   * @returns Resolves when the place has opened. A remote limiter may resolve early where it learns
   * that `wait` is longer than it said, so that `runAll` looks again at all places. Rejects if the
   * limiter refuses the call.
   */
  turn(): Promise<void>;
  /**
   * Takes the call out of the line, and gives an unused grant back. The call still counts as
   * waiting.
   */
  pass(): void;
  /**
   * Gives the place up: like `pass`, and the call no longer counts as waiting. Repeats change
   * nothing.
   */
  leave(): void;
  /**
   * Charges the call and calls `fn`, in the same instant. Only allowed while `isOpen`.
   *
   * @param fn The call, or the start of the next place. The limiter charges the call even if it
   *   fails.
   * @returns The result of `fn`. The call has finished when this promise settles.
   */
  start<T>(fn: () => T | PromiseLike<T>): Promise<T>;
}
