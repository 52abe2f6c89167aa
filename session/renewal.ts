/**
 * The login of a session that has been logged out: one for all calls. Internal to
 * {@linkcode Session}.
 *
 * @module
 */

import { MAX_TIMER } from "../platform/max_timer.ts";

/** Rejects the place of a call in a line because a login has begun. */
export const LOGIN_BEGUN: unique symbol = Symbol("a login has begun");

/**
 * How many timeouts of the session a login may take. A program may ask its user for a code meanwhile,
 * but a login that waits for itself must not hold all calls for ever.
 */
const MAX_TIMEOUTS = 10;

/** Logs in anew: one login at a time, which all who need it join. */
export class Renewal {
  readonly #hook: () => (() => unknown) | undefined;
  readonly #limit: number;
  /** Takes calls out of the lines in which they wait. */
  readonly #lines = new Set<() => void>();
  /** The last login. */
  #login: Promise<void> = Promise.resolve();
  #state: "idle" | "begins" | "runs" = "idle";
  #generation = 0;

  /**
   * Creates a renewal. No login is begun.
   *
   * @param hook Looks up the function that logs in, each time anew.
   * @param timeout Longest time of an attempt, in milliseconds. A login may take ten times as long.
   */
  constructor(hook: () => (() => unknown) | undefined, timeout: number) {
    this.#hook = hook;
    this.#limit = timeout * MAX_TIMEOUTS;
  }

  /** How many logins have ended. */
  get generation(): number {
    return this.#generation;
  }

  /** Whether there is a function that logs in. */
  get isPossible(): boolean {
    return this.#hook() !== undefined;
  }

  /** Whether a login is under way. */
  get isRunning(): boolean {
    return this.#state !== "idle";
  }

  /** Whether the function that logs in has not returned: every call made now belongs to the login. */
  get isBeginning(): boolean {
    return this.#state === "begins";
  }

  /**
   * Begins a login, or joins the one that is under way.
   *
   * @returns A promise of the end of the login; it rejects with the login's own error.
   */
  run(): Promise<void> {
    if (this.#state !== "idle") return this.#login;
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.#login = promise;
    promise.catch(() => {}); // the calls that wait hear of it, if any still do
    this.#state = "begins";
    // The youngest first, so that none of them starts in the place of one that has just left.
    for (const leave of [...this.#lines].reverse()) leave();
    this.#lines.clear();
    const timer = this.#limit === Infinity ? undefined : setTimeout(() => {
      end(() => reject(new DOMException("The login did not end in time", "TimeoutError")));
    }, Math.min(this.#limit, MAX_TIMER));
    const end = (settle: () => void) => {
      if (this.#login !== promise || this.#state === "idle") return; // it was given up before
      clearTimeout(timer);
      this.#state = "idle";
      this.#generation++;
      settle();
    };
    const done = (async () => await this.#hook()?.())();
    this.#state = "runs";
    done.then(() => end(resolve), (error) => end(() => reject(error)));
    return promise;
  }

  /**
   * Waits for the login that a refused call needs: the one under way, a new one, or the last one if a
   * login has ended since the request was made.
   *
   * @param generation How many logins had ended when the request was made.
   * @returns A promise of the end of that login.
   */
  renew(generation: number): Promise<void> {
    const isStale = generation !== this.#generation;
    return isStale && !this.isRunning ? this.#login : this.run();
  }

  /**
   * Takes a call out of its line when a login begins.
   *
   * @param leave Takes the call out.
   * @returns Forgets the call again.
   */
  onBegin(leave: () => void): () => void {
    this.#lines.add(leave);
    return () => void this.#lines.delete(leave);
  }
}
