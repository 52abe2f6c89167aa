/**
 * Proves that one connection of a feed can take over from another without a gap. Internal.
 *
 * Both connections deliver for a while. An item that came over both proves that there is no gap: the
 * new connection began no later than the old one is by then. Each connection delivers in order. So the
 * old one has no more news once the new one delivers an item first.
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
  /** The connection that was first with each item. */
  readonly #first = new Map<unknown, Connection | undefined>();
  /** The connection that was first with the latest item. */
  #leader: Connection | undefined;
  /** Whether an item has come from both. */
  #met = false;

  constructor(old: Connection, options: HandoverOptions) {
    this.#old = old;
    this.#options = options;
  }

  /** Notes an item, and tells whether it has been delivered before. */
  isRepeated(id: unknown, connection: Connection | undefined): boolean {
    const isRepeated = this.#first.has(id);
    if (!isRepeated) {
      this.#first.set(id, connection);
      this.#leader = connection;
    } else if (this.#first.get(id) !== connection) this.#met = true;
    return isRepeated;
  }

  /** Waits until the new connection delivers as well, or the market is quiet. */
  async overlap(next: Connection, asked: Promise<void>): Promise<void> {
    const old = this.#old;
    const before = next.news;
    await Promise.race([asked, next.ended, old.ended]);
    const isLate = this.#deadline();
    while (true) {
      const heard = old.news;
      await Promise.race([next.lasts(this.#options.overlap), old.ended]);
      if (next.ending || old.ending || old.news === heard) return;
      const isProven = this.#met || this.#first.size === 0;
      if (next.news > before && (isProven || isLate())) return;
      if (isLate()) next.end({ reason: "silent while the old one was not" });
    }
  }

  /** Waits until the new connection has delivered the news that the old one had first. */
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
