/**
 * Proves that one connection of a feed can take over from another without a gap. Internal.
 *
 * Both connections deliver for a while. An item that came over both proves that there is no gap:
 * the new connection began no later than the old one is by then.
 *
 * @module
 */

import type { Connection } from "./connection.ts";

/** How long both connections deliver, in milliseconds. */
export interface HandoverOptions {
  /** At least. */
  overlap: number;
  /** At most, without a proof. */
  connectTimeout: number;
}

/** The time in which both connections deliver. */
export class Handover {
  readonly #old: Connection;
  readonly #options: HandoverOptions;
  /** Whether items can be told apart. */
  #isNumbered = false;
  /** Whether an item has come from both. */
  #met = false;
  /** Frames that the old connection had delivered when the new one had asked for everything. */
  #framesBefore = Infinity;

  constructor(old: Connection, options: HandoverOptions) {
    this.#old = old;
    this.#options = options;
  }

  /**
   * Whether the old connection was heard since the new one has asked for everything. Else the old
   * one may have been dead before, without a word.
   */
  get isHeard(): boolean {
    return this.#old.frames > this.#framesBefore;
  }

  /** Whether an item of this connection may come before items that the old one has lost. */
  isDoubtful({ attempt }: Connection): boolean {
    return attempt > this.#old.attempt && !this.isHeard;
  }

  /**
   * Notes an item that can be told apart.
   *
   * @param attempt The connection that brought it.
   * @param first The connection that brought it before, if one did.
   */
  note(attempt: number, first: number | undefined): void {
    this.#isNumbered = true;
    if (first === undefined || first === attempt) return;
    if (Math.max(first, attempt) > this.#old.attempt) this.#met = true;
  }

  /** Waits until the new connection delivers as well, or the market is quiet. */
  async overlap(next: Connection, asked: Promise<void>): Promise<void> {
    const old = this.#old;
    const before = next.news;
    await Promise.race([asked, next.ended, old.ended]);
    const isLate = this.#deadline();
    this.#framesBefore = old.frames;
    while (true) {
      const heard = old.news;
      await Promise.race([next.lasts(this.#options.overlap), old.ended]);
      if (next.ending || old.ending || old.news === heard) return;
      const isProven = this.#met || !this.#isNumbered;
      if (next.news > before && (isProven || isLate())) return;
      if (isLate()) next.end({ reason: "silent while the old one was not" });
    }
  }

  #deadline(): () => boolean {
    const deadline = performance.now() + this.#options.connectTimeout;
    return () => performance.now() > deadline;
  }
}
