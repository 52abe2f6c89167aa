/**
 * How a connection that is live is replaced by another, without a gap. Internal.
 *
 * @module
 */

import type { FeedError } from "../feeder.ts";
import { Backoff } from "./backoff.ts";
import type { Connection } from "./connection.ts";
import { establish, part } from "./establish.ts";
import { Handover } from "./handover.ts";
import type { Host } from "./host.ts";
import type { FeedOptions } from "./options.ts";

/** What a replacement needs of the lifecycle. */
export interface Crew extends Host {
  /** Makes the next connection. */
  begin(): Connection;
  /** Puts the new connection in the place of the old one, unless the feed is no longer live. */
  swap(old: Connection, next: Connection): boolean;
  /** Begins the lifetime of the connection that has taken over. */
  keep(connection: Connection): void;
  /** The error that tells of an ending. */
  failure(connection: Connection): FeedError;
  /** Has items told apart, or no longer. */
  handOver(handover: Handover | undefined): void;
}

/** Replaces one connection at the end of its lifetime. */
export class Replacement {
  #next: Connection | undefined;
  #isReady = false;
  readonly #old: Connection;
  readonly #crew: Crew;
  readonly #options: FeedOptions;

  /**
   * Makes a replacement. It does nothing until `run()`.
   *
   * @param old The connection to replace.
   * @param crew Who makes connections.
   * @param options When, and how long both go on.
   */
  constructor(old: Connection, crew: Crew, options: FeedOptions) {
    this.#old = old;
    this.#crew = crew;
    this.#options = options;
  }

  /** The connection that takes over should the old one end now. */
  get ready(): Connection | undefined {
    return this.#isReady && !this.#next!.ending ? this.#next : undefined;
  }

  /** Waits for the end of the lifetime, and makes connections until one has taken over. */
  async run(): Promise<void> {
    const old = this.#old;
    const backoff = new Backoff({ ...this.#options, maxRetries: Infinity });
    await old.lives(this.#options.maxLifetime || Infinity);
    while (!old.ending && !old.isLeft) {
      const next = await this.#attempt();
      if (!next.ending || old.ending || old.isLeft) return;
      const error = this.#crew.failure(next);
      // What keeps us from replacing it will be met again when it has ended by itself.
      if (!error.retriable) return this.#crew.report("Cannot replace the connection", error);
      const { attempt, delay } = backoff.next(0, retryAfter(next))!;
      this.#crew.tell("retry", { attempt, delay, ending: next.ending });
      await old.lasts(delay);
    }
  }

  /** Ends the connection that was to take over. */
  stop(reason: string): void {
    if (!this.#old.isLeft) this.#next?.end({ reason });
  }

  /** Makes a connection beside the old one, and has it take over once it delivers as well. */
  async #attempt(): Promise<Connection> {
    const old = this.#old;
    const crew = this.#crew;
    const handover = new Handover(old, this.#options);
    const next = crew.begin();
    this.#next = next;
    crew.handOver(handover);
    this.#isReady = await establish(next, crew, this.#options);
    if (this.#isReady) await handover.overlap(next, crew.subscribe(next));
    this.#isReady = false;
    if (!next.ending && !old.ending && !old.isLeft && !handover.isHeard) crew.lost(old);
    if (!next.ending && crew.swap(old, next)) void this.#leave();
    if (!next.ending) await handover.catchUp(next);
    crew.handOver(undefined);
    crew.keep(next);
    return next;
  }

  /** Hears the old connection for another `overlap`, and for as long as answers are due. */
  async #leave(): Promise<void> {
    const old = this.#old;
    const { overlap, connectTimeout, closeTimeout } = this.#options;
    await old.lasts(overlap);
    await Promise.race([old.answered(), old.lasts(connectTimeout)]);
    if (!old.ending) await part(old, this.#crew, closeTimeout);
  }
}

/** How long the venue asks to wait, in milliseconds: told by what its class threw. */
export function retryAfter({ ending }: Connection): number {
  const { retryAfter = Object(Object(ending?.cause).cause).retryAfter } = Object(ending?.cause);
  return typeof retryAfter === "number" && retryAfter > 0 ? retryAfter : 0;
}
