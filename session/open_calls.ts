/**
 * The calls of a session, and how they come to an end. Internal to {@linkcode Session}.
 *
 * @module
 */

import { MAX_TIMER } from "../platform/max_timer.ts";
import type { Call } from "./call.ts";
import { Chain, type Link } from "./chain.ts";

/** The open calls of a session. Once closed, the last call that ends ends the session. */
export class OpenCalls {
  readonly #calls = new Chain<Call>();
  readonly #timeout: number;
  #state: "open" | "closing" | "closed" = "open";
  readonly #closed: PromiseWithResolvers<void> = Promise.withResolvers();
  #timer: ReturnType<typeof setTimeout> | undefined;

  /**
   * Creates the list, without any call.
   *
   * @param timeout Longest time that {@linkcode close} lets orders go on, in milliseconds.
   */
  constructor(timeout: number) {
    this.#timeout = timeout;
  }

  /**
   * Whether a call may begin, or begin again.
   *
   * @param call The call.
   */
  mayBegin(call: Call): boolean {
    return this.#state === "open" ||
      (this.#state === "closing" && call.rules.beginsWhileClosing);
  }

  /** Whether `close()` has been called. */
  get isClosing(): boolean {
    return this.#state !== "open";
  }

  /** Whether every call has been ended, or must end now. */
  get isClosed(): boolean {
    return this.#state === "closed";
  }

  /**
   * Adds a call.
   *
   * @returns Its place, for {@linkcode OpenCalls.remove}.
   */
  add(call: Call): Link<Call> {
    return this.#calls.add(call);
  }

  /** Removes a call that has ended. */
  remove(place: Link<Call>): void {
    this.#calls.remove(place);
    if (this.#state !== "open") this.#check();
  }

  /**
   * Ends every call that is not on its way to the venue, and after the timeout all others.
   *
   * @returns A promise of the end of the last call.
   */
  close(): Promise<void> {
    if (this.#state !== "open") return this.#closed.promise;
    this.#state = "closing";
    for (const call of this.#calls.values) if (!call.outlivesClose) end(call);
    if (this.#timeout === 0) this.#expire();
    else if (this.#calls.size > 0 && this.#timeout !== Infinity) {
      const expire = () => this.#expire();
      this.#timer = setTimeout(expire, Math.min(this.#timeout, MAX_TIMER));
    }
    this.#check();
    return this.#closed.promise;
  }

  #expire(): void {
    this.#state = "closed";
    for (const call of this.#calls.values) end(call);
  }

  #check(): void {
    if (this.#calls.size > 0) return;
    this.#state = "closed";
    clearTimeout(this.#timer);
    this.#closed.resolve();
  }
}

function end(call: Call): void {
  call.end("closed", "the session was closed");
}
