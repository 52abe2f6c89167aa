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
  /** Who was first with each item. */
  readonly #first = new Map<unknown, Connection | undefined>();
  /** Who was the first with the latest item. */
  #leader: Connection | undefined;
  /** Whether an item has come from both. */
  #met = false;

  constructor(old: Connection, options: HandoverOptions) {
    this.#old = old;
    this.#options = options;
  }

  /** Notes who delivers an item, and tells whether it has been delivered before. */
  isRepeated(id: unknown, connection: Connection | undefined): boolean {
    const isRepeated = this.#first.has(id);
    if (!isRepeated) {
      this.#first.set(id, connection);
      this.#leader = connection;
    } else if (this.#first.get(id) !== connection) this.#met = true;
    return isRepeated;
  }

  /** Waits until the new connection is seen to deliver as well, or there is nothing to be seen. */
  async overlap(next: Connection, asked: Promise<void>): Promise<void> {
    const old = this.#old;
    const before = next.frames;
    await Promise.race([asked, next.ended, old.ended]);
    const isLate = this.#deadline();
    while (true) {
      const heard = old.frames;
      await Promise.race([next.lasts(this.#options.overlap), old.ended]);
      if (next.ending || old.ending || old.frames === heard) return;
      const isProven = this.#met || this.#first.size === 0;
      if (next.frames > before && (isProven || isLate())) return;
      if (isLate()) next.end({ reason: "silent while the old one was not" });
    }
  }

  /** Waits until the new connection has delivered what the old one was ahead. */
  async catchUp(next: Connection): Promise<void> {
    const isLate = this.#deadline();
    do await next.lasts(this.#options.overlap); while (
      !next.ending && this.#first.size > 0 && this.#leader !== next && !isLate()
    );
  }

  #deadline(): () => boolean {
    const deadline = performance.now() + this.#options.connectTimeout;
    return () => performance.now() > deadline;
  }
}
