/**
 * The login of a session that has been logged out: one for all calls. Internal to
 * {@linkcode Session}.
 *
 * @module
 */

import { BrokerError, type BrokerErrorKind } from "../common/broker_error.ts";
import { MAX_TIMER } from "../platform/max_timer.ts";
import { Chain } from "./chain.ts";

/** Rejects the place of a call in a line because a login has begun. */
export const LOGIN_BEGUN: unique symbol = Symbol("a login has begun");

/**
 * How many timeouts of the session a login may take. A program may ask its user for a code
 * meanwhile, but a login that waits for itself must not hold all calls for ever.
 */
const MAX_TIMEOUTS = 10;

/** A login that is under way. */
interface Login {
  /** Ends with the login. */
  readonly promise: Promise<void>;
  /** Whether the function that logs in has not returned yet. */
  isBeginning: boolean;
  /** Ends the login, with the error if it failed. Repeats change nothing. */
  end(failure?: { error: unknown }): void;
}

/** Logs in anew: one login at a time, which every call in need of a login joins. */
export class Renewal {
  readonly #hook: () => (() => unknown) | undefined;
  readonly #limit: number;
  /** Takes calls out of the lines in which they wait, with whether they are urgent there. */
  readonly #lines = new Chain<{ leave: () => void; isUrgent: boolean }>();
  /** Lets the calls go on that wait for the login, by their number. */
  readonly #held = new Map<number, PromiseWithResolvers<void>>();
  /** The login that is under way. */
  #current: Login | undefined;
  /** The end of the last login. */
  #last: Promise<void> = Promise.resolve();
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

  /** Number of logins that have ended. */
  get generation(): number {
    return this.#generation;
  }

  /** Whether there is a function that logs in. */
  get isPossible(): boolean {
    return this.#hook() !== undefined;
  }

  /** Whether a login is under way. */
  get isRunning(): boolean {
    return this.#current !== undefined;
  }

  /**
   * Whether the function that logs in has not returned yet: every call made now belongs to the
   * login.
   */
  get isBeginning(): boolean {
    return this.#current?.isBeginning ?? false;
  }

  /**
   * Begins a login, or joins the one that is under way.
   *
   * @returns A promise of the end of the login; it rejects with the login's own error.
   */
  run(): Promise<void> {
    if (this.#current) return this.#current.promise;
    const login = this.#current = this.#begin();
    this.#last = login.promise;
    // From the end of the lines, so that no call starts in the place of one that has just left: the
    // youngest first, and the urgent calls after all others.
    const fromEnd = this.#lines.values.reverse().sort((a, b) =>
      Number(a.isUrgent) - Number(b.isUrgent)
    );
    for (const { leave } of fromEnd) leave();
    const done = (async () => await this.#hook()?.())();
    login.isBeginning = false;
    done.then(() => login.end(), (error) => login.end({ error }));
    return login.promise;
  }

  /**
   * Waits for the login that a refused call needs: the one under way, a new one, or the last one if
   * a login has ended since the request was composed.
   *
   * @param generation Number of logins that had ended when the request was composed.
   * @returns A promise of the end of that login.
   */
  renew(generation: number): Promise<void> {
    const isStale = generation !== this.#generation;
    return isStale && !this.#current ? this.#last : this.run();
  }

  /**
   * Waits for the login that is under way with a call that has not been sent. After the login the
   * calls go on in the order of their numbers, whatever order they left their lines in.
   *
   * @param id Number of the call.
   * @returns A promise of the end of the login.
   */
  hold(id: number): Promise<void> {
    if (!this.#current) return Promise.resolve();
    const held = Promise.withResolvers<void>();
    held.promise.catch(() => {}); // the call may have ended meanwhile
    this.#held.set(id, held);
    return held.promise;
  }

  /**
   * Ends the login that is under way, if there is one, as failed.
   *
   * @param kind The kind of its error.
   * @param why The reason, in words.
   */
  giveUp(kind: BrokerErrorKind, why: string): void {
    const error = new BrokerError(`Cannot log in: ${why}`, { kind, outcome: "unknown" });
    this.#current?.end({ error });
  }

  /**
   * Takes a call out of its line when a login begins.
   *
   * @param leave Takes the call out.
   * @param isUrgent Whether the call goes before others in its lines.
   * @returns Forgets the call again.
   */
  onBegin(leave: () => void, isUrgent = false): () => void {
    const place = this.#lines.add({ leave, isUrgent });
    return () => void this.#lines.remove(place);
  }

  #begin(): Login {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const limit = this.#limit;
    const late = () => this.giveUp("timeout", `not done within ${limit} ms`);
    const timer = limit < Infinity ? setTimeout(late, Math.min(limit, MAX_TIMER)) : undefined;
    const end = (failure?: { error: unknown }) => {
      if (this.#current !== login) return; // given up before
      clearTimeout(timer);
      this.#current = undefined;
      this.#generation++;
      const held = [...this.#held].sort(([a], [b]) => a - b);
      this.#held.clear();
      for (const one of [{ resolve, reject }, ...held.map(([, one]) => one)]) {
        if (failure) one.reject(failure.error);
        else one.resolve();
      }
    };
    const login: Login = { promise, isBeginning: true, end };
    return login;
  }
}
