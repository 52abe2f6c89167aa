/**
 * Ends requests that take too long. Internal to {@linkcode Session}.
 *
 * @module
 */

import { MAX_TIMER } from "../platform/max_timer.ts";
import { Chain, type Link } from "./chain.ts";

/** How far apart two starts may be that count as one, in milliseconds. */
const TOGETHER = 1;

/** A request under way: how to end it, and when it began. */
export interface Pending {
  readonly end: () => void;
  readonly since: number;
}

/**
 * Gives every request the same time, with one timer for all: a timer for each request would cost as
 * much as a tenth of a fetch.
 *
 * - No request is ended early by more than a millisecond.
 * - No timer is left once no request is under way, and `patience` microtasks have passed.
 */
export class Timeouts {
  /** Longest time of each request, in milliseconds. */
  readonly delay: number;
  readonly #pending = new Chain<Pending>();
  #timer: ReturnType<typeof setTimeout> | undefined;
  /** The start of the request that the timer was set for. */
  #since = 0;
  readonly #patience: number;
  /** Microtasks that the timer still waits for another request. */
  #turns = 0;

  /**
   * Creates timeouts.
   *
   * @param delay Longest time, in milliseconds; `Infinity` ends no request.
   * @param patience Microtasks for which the timer outlives the last request. One that starts by
   *   then, and in the same millisecond as the first, takes the timer over.
   */
  constructor(delay: number, patience = 0) {
    this.delay = delay;
    this.#patience = patience;
  }

  /**
   * Calls `end` after the delay, unless it is removed before.
   *
   * @returns The place of the request, for {@linkcode Timeouts.remove}.
   */
  add(end: () => void): Link<Pending> | undefined {
    if (this.delay === Infinity) return undefined;
    const now = performance.now();
    if (this.#pending.size === 0 && now >= this.#since + TOGETHER) this.stop();
    if (this.#timer === undefined) this.#arm(this.delay, now);
    return this.#pending.add({ end, since: now });
  }

  /** Takes the limit of a request away. */
  remove(place: Link<Pending> | undefined): void {
    if (!place || !this.#pending.remove(place) || this.#pending.size > 0) return;
    const isWaiting = this.#turns > 0;
    this.#turns = this.#patience;
    if (!isWaiting) void this.#wait();
  }

  /** Clears the timer, once no request is under way. */
  stop(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  async #wait(): Promise<void> {
    while (this.#turns-- > 0) await null;
    this.#turns = 0;
    if (this.#pending.size === 0) this.stop();
  }

  #arm(delay: number, since: number): void {
    this.#since = since;
    const ring = () => {
      this.#timer = undefined;
      // For the requests of its millisecond the timer's word counts; for later ones the clock's.
      const due = since + TOGETHER;
      const now = performance.now();
      for (let first; (first = this.#pending.first);) {
        const { end, since } = first.value;
        const wait = since + this.delay - now;
        if (since >= due && wait > 0) return this.#arm(wait, since);
        this.#pending.remove(first);
        end();
      }
    };
    this.#timer = setTimeout(ring, Math.min(delay, MAX_TIMER));
  }
}
