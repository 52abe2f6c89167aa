/**
 * Replaces a live connection by another one, without a gap. Internal.
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

/** Needs of a replacement. */
export interface Crew extends Host {
  /** Makes the next connection. */
  begin(): Connection;
  /** Makes the new connection the live one, unless the old one no longer is. */
  swap(old: Connection, next: Connection): boolean;
  /** Begins the lifetime of the new connection. */
  keep(connection: Connection): void;
  /** The error of an ending. */
  failure(connection: Connection): FeedError;
  /** Sets the handover that tells items apart. */
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
   * @param crew Makes connections.
   * @param options The options of the feed.
   */
  constructor(old: Connection, crew: Crew, options: FeedOptions) {
    this.#old = old;
    this.#crew = crew;
    this.#options = options;
  }

  /** Connection that takes over should the old one end now. */
  get ready(): Connection | undefined {
    return this.#isReady && !this.#next!.ending ? this.#next : undefined;
  }

  /** Waits for the end of the lifetime, and makes connections until one has taken over. */
  async run(): Promise<void> {
    const old = this.#old;
    const backoff = new Backoff({ ...this.#options, maxRetries: Infinity });
    await old.lives(this.#options.maxLifetime || Infinity);
    while (!this.#isOver) {
      const next = await this.#attempt();
      if (!next.ending || this.#isOver) return;
      const error = this.#crew.failure(next);
      // The same fault will end the feed once the old connection has ended.
      if (!error.retriable) return this.#crew.report("Cannot replace the connection", error);
      const { attempt, delay } = backoff.next(0, retryAfter(next))!;
      this.#crew.tell("retry", { attempt, delay, ending: next.ending });
      await old.lasts(delay);
    }
  }

  /** Ends the connection that was to take over. */
  stop(reason: string): void {
    if (this.#old.stage === "current") this.#next?.end({ reason });
  }

  /** Whether the old connection needs no replacement any more. */
  get #isOver(): boolean {
    return this.#old.ending !== undefined || this.#old.stage !== "current";
  }

  /** Makes a connection beside the old one, and swaps the two once both deliver. */
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
    if (!next.ending && !this.#isOver && !handover.isHeard) crew.lost(old);
    if (!next.ending && crew.swap(old, next)) void this.#leave();
    crew.handOver(undefined);
    crew.keep(next);
    return next;
  }

  /** Hears the old connection for another `overlap`, and then for as long as answers are due. */
  async #leave(): Promise<void> {
    const old = this.#old;
    const { overlap, connectTimeout, closeTimeout } = this.#options;
    await old.lasts(overlap);
    if (old.stage === "replaced") old.move("muted");
    await Promise.race([old.answered(), old.lasts(connectTimeout)]);
    if (!old.ending) await part(old, this.#crew, closeTimeout);
  }
}

/**
 * Reads how long the venue asks to wait.
 *
 * @param connection An ended connection.
 * @returns Milliseconds, from the refused upgrade, the error that ended it or that error's cause,
 *   else 0.
 */
export function retryAfter({ ending }: Connection): number {
  const cause = Object(ending?.cause);
  const { retryAfter = cause.retryAfter ?? Object(cause.cause).retryAfter } = Object(ending);
  return typeof retryAfter === "number" && retryAfter > 0 ? retryAfter : 0;
}
