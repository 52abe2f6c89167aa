/**
 * How one connection of a feed takes over from another without a gap. Internal.
 *
 * Both deliver for a while. Where items can be told apart, one that came from both proves that
 * there is no gap: the new connection began no later than where the old one is by then. And as each
 * delivers in order, the old one has nothing more to tell once the new one is the first with news.
 *
 * @module
 */

import type { Connection } from "./connection.ts";

/** For how long a handover lets both deliver, in milliseconds. */
export interface HandoverOptions {
  /** At least. */
  overlap: number;
  /** At most, though there is no proof. */
  connectTimeout: number;
}

/** The time in which both connections deliver. */
export class Handover {
  readonly #old: Connection;
  readonly #options: HandoverOptions;
  /** Which connection was the first with the latest item; none as long as items are not told apart. */
  #leader: number | undefined;
  /** Whether an item has come from both. */
  #met = false;
  /** Frames that the old connection had delivered when the new one had asked for everything. */
  #framesBefore = Infinity;
  /** Whether the old connection has not been given up. */
  #isOpen = true;

  constructor(old: Connection, options: HandoverOptions) {
    this.#old = old;
    this.#options = options;
  }

  /**
   * Whether the old connection was heard since the new one has asked for everything. Else the old one
   * may have been dead before, without a word.
   */
  get isHeard(): boolean {
    return this.#old.frames > this.#framesBefore;
  }

  /** Whether an item of this connection may come before items that the old one has lost. */
  isDoubtful({ attempt }: Connection): boolean {
    return attempt > this.#old.attempt && this.#isOpen && !this.isHeard;
  }

  /**
   * Notes an item that can be told apart.
   *
   * @param attempt The connection that brought it.
   * @param first The connection that brought it before, if one did.
   */
  note(attempt: number, first: number | undefined): void {
    if (first === undefined) this.#leader = attempt;
    else if (first !== attempt && Math.max(first, attempt) > this.#old.attempt) this.#met = true;
    this.#leader ??= first;
  }

  /** Waits until the new connection is seen to deliver as well, or there is nothing to be seen. */
  async overlap(next: Connection, asked: Promise<void>): Promise<void> {
    await this.#seeBoth(next, asked);
    this.#isOpen = false;
  }

  async #seeBoth(next: Connection, asked: Promise<void>): Promise<void> {
    const old = this.#old;
    const before = next.frames;
    await Promise.race([asked, next.ended, old.ended]);
    const isLate = this.#deadline();
    this.#framesBefore = old.frames;
    while (true) {
      const heard = old.frames;
      await Promise.race([next.lasts(this.#options.overlap), old.ended]);
      if (next.ending || old.ending || old.frames === heard) return;
      const isProven = this.#met || this.#leader === undefined;
      if (next.frames > before && (isProven || isLate())) return;
      if (isLate()) next.end({ reason: "silent while the old one was not" });
    }
  }

  /** Waits until the new connection has delivered what the old one was ahead. */
  async catchUp(next: Connection): Promise<void> {
    const isLate = this.#deadline();
    do await next.lasts(this.#options.overlap); while (
      !next.ending && this.#leader !== undefined && this.#leader !== next.attempt && !isLate()
    );
  }

  #deadline(): () => boolean {
    const deadline = performance.now() + this.#options.connectTimeout;
    return () => performance.now() > deadline;
  }
}
