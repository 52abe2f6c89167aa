/**
 * What all rate limiters have in common, and what `runAll` asks of each.
 *
 * @module
 */

/** Options of one call. */
export interface CallOptions {
  /**
   * Tokens that the call spends: an integer. `0` spends none; the call still waits its turn, and
   * for the end of a pause.
   *
   * @default {1}
   */
  cost?: number | undefined;
  /**
   * Ends the wait: the call rejects with the signal's reason and is not charged. Any number of calls
   * may share a signal: together they put one listener on it.
   */
  signal?: AbortSignal | undefined;
  /**
   * Whether the call goes before all calls that are not urgent. Urgent calls keep their own order,
   * and wait for tokens like all others. For cancels and logins; others may wait for ever behind a
   * stream of urgent calls.
   *
   * @default {false}
   */
  urgent?: boolean | undefined;
}

/** Leave to start one call now, from {@linkcode RateLimiter.acquire}. */
export interface Permit {
  /** Tells the limiter that the call has finished. An `"after-finish"` limit waits for this. Repeats change nothing. */
  [Symbol.dispose](): void;
}

/** What every rate limiter can do: the `Throttler` of one process, and limiters that several share. */
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
   * @returns A permit, to be disposed of when the call has finished.
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
   * @param options What the call costs, and whom it goes before.
   * @returns The place. Nothing is charged yet, and the call does not stand in line.
   * @throws {RangeError} If the cost is above a limit.
   */
  place(options: PlaceOptions): Place;
}

/** The call for which {@linkcode RateLimiter.place} makes a place. */
export interface PlaceOptions {
  /** Tokens that the call spends. */
  cost: number;
  /** Whether the call goes before those that are not urgent. */
  urgent: boolean;
  /** Number of the call in the order in which calls came: the smaller, the older. */
  age: number;
}

/**
 * One call's place in the line of one limiter, for `runAll`.
 *
 * `runAll` works like this: it makes a place in each limiter. If all are open, it starts the call.
 * Else it enters all of them, and takes turns in one after the other until all are open at the same
 * instant. In the end it leaves all of them.
 */
export interface Place {
  /**
   * Whether the call may start at this instant. A remote limiter says so while it holds a fresh
   * grant for the call.
   */
  readonly isOpen: boolean;
  /** Milliseconds until the place may be open, as far as known: `0` if unknown. */
  readonly wait: number;
  /** Tokens that come back per millisecond, in the slowest limit. */
  readonly rate: number;
  /** Milliseconds until a token that is spent now comes back, in the longest limit. */
  readonly period: number;
  /**
   * Counts the call among those that wait, in line or not.
   *
   * @param refuse Called with the reason if the limiter closes, or will never allow the call.
   * @throws {ThrottlerError} If too many calls wait already.
   */
  enter(refuse: (reason: unknown) => void): void;
  /**
   * Stands in line by the call's age. Where the call stands in line already, it stays there.
   *
   * - In a local limiter the call keeps the head of the line, once it is there, until `pass`,
   *   `leave` or `start`.
   * - A remote limiter asks for a grant. A grant that nobody starts with expires soon: then the
   *   place is no longer open, and `turn` is called again.
   *
   * @returns Resolves when the place has opened, and also where a remote limiter has just learnt
   * that `wait` is longer than it was said to be. Rejects if the limiter refuses the call.
   */
  turn(): Promise<void>;
  /** Steps out of the line and gives an unused grant back. The call still counts as waiting. */
  pass(): void;
  /** Gives the place up: as `pass`, and the call no longer counts as waiting. Repeats change nothing. */
  leave(): void;
  /**
   * Charges the call and calls `fn`, synchronously. Only called while `isOpen`.
   *
   * @param fn The call, or the start of the next place. It is charged even if it fails.
   * @returns The result of `fn`. The call has finished when this settles.
   */
  start<T>(fn: () => T | PromiseLike<T>): Promise<T>;
}
