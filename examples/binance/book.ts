/**
 * Binance's order book, kept from a REST snapshot and the events of the diff. depth stream.
 *
 * Every change of the venue's book has an update id, one more than the change before. An event holds
 * the changes from `U` to `u`, a snapshot those up to `lastUpdateId`. They come over different
 * connections, so either may be ahead of the other: {@linkcode Book} takes them in any order and
 * never shows a book that some change is missing from.
 *
 * @module
 */

import { type Level, levelOf, mergeSides, type Sides } from "../levels.ts";

/** A level as the venue writes it: price and quantity, which is 0 where the level is gone. */
export type DepthLevel = readonly [price: string, qty: string];

/** The answer to `GET /api/v3/depth`. */
export interface DepthSnapshot {
  /** The last change that is in it. */
  readonly lastUpdateId: number;
  /** The bids, the highest first. */
  readonly bids: readonly DepthLevel[];
  /** The asks, the lowest first. */
  readonly asks: readonly DepthLevel[];
}

/** What is used of an event of the stream `<symbol>@depth`. */
export interface DepthEvent {
  /** The first change that is in it. */
  readonly U: number;
  /** The last change that is in it. */
  readonly u: number;
  /** The bids that changed: what they are after `u`. */
  readonly b: readonly DepthLevel[];
  /** The asks that changed: what they are after `u`. */
  readonly a: readonly DepthLevel[];
}

/** Events that are kept for a snapshot that is still to come. Older ones are in the snapshot. */
const MOST_EVENTS = 5_000;

/** A book without levels. */
const NONE: Sides = { bids: [], asks: [] };

/**
 * The order book of one symbol.
 *
 * Pure: no socket and no clock. `bids` and `asks` are the best first and never change: an event
 * makes new arrays, so a reader may keep what it was given.
 *
 * @example Usage
 * ```ts
 * import { Book } from "./book.ts";
 * import { assertEquals } from "@std/assert";
 *
 * const book = new Book();
 * assertEquals(book.update({ U: 11, u: 12, b: [["9.8", "3.0"]], a: [] }), "ahead");
 * book.snapshot({ lastUpdateId: 11, bids: [["9.9", "1.0"]], asks: [["10.0", "2.0"]] });
 * assertEquals(book.updateId, 12);
 * assertEquals(book.bids.map((level) => level.price), ["9.9", "9.8"]);
 * assertEquals(book.update({ U: 14, u: 14, b: [["9.9", "0.0"]], a: [] }), "ahead"); // 13 is missing
 * ```
 */
export class Book implements Sides {
  #updateId: number | undefined;
  #sides: Sides = NONE;
  /** Beyond these prices nothing is known: there the snapshot was cut. */
  #floor = -Infinity;
  #ceiling = Infinity;
  /** Events that do not join the book yet. */
  #waiting: DepthEvent[] = [];

  /** The last change that is in the book; `undefined` while there is no book. */
  get updateId(): number | undefined {
    return this.#updateId;
  }

  /** The bids, the highest first. */
  get bids(): readonly Level[] {
    return this.#sides.bids;
  }

  /** The asks, the lowest first. */
  get asks(): readonly Level[] {
    return this.#sides.asks;
  }

  /** Whether there are events that the book cannot reach, because one in between is missing. */
  get isBehind(): boolean {
    return this.#waiting.length > 0;
  }

  /**
   * How many levels of each side can be relied on. The venue cuts its snapshots, and does not tell
   * levels beyond unless they change: so they are left out, and as prices move, fewer are left.
   */
  get reach(): number {
    return Math.min(
      this.#floor === -Infinity ? Infinity : this.bids.length,
      this.#ceiling === Infinity ? Infinity : this.asks.length,
    );
  }

  /**
   * Starts from a snapshot, and applies the events that came before it did.
   *
   * @param snapshot The venue's book, of which each side is cut at `limit` levels.
   * @param limit How many levels were asked for.
   * @returns `false` if it is too old: the events at hand do not go on from it without a gap. Then
   *   nothing has changed, and another snapshot is wanted.
   */
  snapshot({ lastUpdateId, bids, asks }: DepthSnapshot, limit: number = Infinity): boolean {
    const events = this.#waiting.filter(({ u }) => u > lastUpdateId).sort((a, b) => a.U - b.U);
    let id = lastUpdateId;
    for (const { U, u } of events) {
      if (U > id + 1) return false;
      id = Math.max(id, u);
    }
    this.#floor = bids.length < limit ? -Infinity : Number(bids[bids.length - 1][0]);
    this.#ceiling = asks.length < limit ? Infinity : Number(asks[asks.length - 1][0]);
    this.#sides = NONE;
    this.#waiting = [];
    this.#apply({ u: lastUpdateId, b: bids, a: asks });
    for (const event of events) this.update(event);
    return true;
  }

  /**
   * Takes an event.
   *
   * @param event The event.
   * @returns `"old"` if the book holds it already, `"applied"` if it went in, and `"ahead"` if a
   *   change in between is missing or there is no book yet: then it is kept until it joins.
   */
  update(event: DepthEvent): "old" | "applied" | "ahead" {
    const id = this.#updateId;
    if (id === undefined || event.U > id + 1) {
      this.#waiting.push(event);
      if (this.#waiting.length > MOST_EVENTS) this.#waiting.shift();
      return "ahead";
    }
    if (event.u <= id) return "old";
    this.#apply(event); // quantities are absolute: changes that are in the book do no harm
    if (this.isBehind) {
      const events = this.#waiting;
      this.#waiting = [];
      for (const event of events.sort((a, b) => a.U - b.U)) this.update(event);
    }
    return "applied";
  }

  /** Forgets the book, but not the events that it could not reach: a snapshot is wanted. */
  reset(): void {
    this.#updateId = undefined;
    this.#sides = NONE;
  }

  #apply({ u, b, a }: Omit<DepthEvent, "U">): void {
    const bids = b.map(levelOf).filter(({ price }) => Number(price) >= this.#floor);
    const asks = a.map(levelOf).filter(({ price }) => Number(price) <= this.#ceiling);
    this.#sides = mergeSides(this.#sides, { bids, asks });
    this.#updateId = u;
  }
}
