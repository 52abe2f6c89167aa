/**
 * A market of the simulated Binance: its changes are numbered, as in the venue's depth events.
 *
 * @module
 */

import { decimal, type Instrument, Market, type Print, type Rung } from "../market.ts";
import type { DepthEvent, DepthLevel, DepthSnapshot } from "./book.ts";
import { unitsOf } from "./decimals.ts";
import type { DeskMarket } from "./desk.ts";

const FIRST_UPDATE_ID = 70_123_456_789;

/** A market whose changes are numbered. */
export class NumberedMarket {
  /** The market. */
  readonly market: Market;
  #updateId = FIRST_UPDATE_ID;
  #bids: readonly Rung[];
  #asks: readonly Rung[];

  /**
   * Makes a market.
   *
   * @param instrument What is traded.
   * @param seed Where its random numbers start.
   * @param levels How many levels each side has.
   */
  constructor(instrument: Instrument, seed: number, levels: number) {
    this.market = new Market(instrument, seed, levels);
    this.#bids = [...this.market.bids];
    this.#asks = [...this.market.asks];
  }

  /** What orders trade at. */
  get prices(): DeskMarket {
    const { instrument, bids: [bid], asks: [ask], prices: { last } } = this.market;
    const unitsAt = (ticks: number) => unitsOf(decimal(ticks, instrument.priceDecimals));
    return {
      instrument,
      bid: unitsAt(bid.price),
      ask: unitsAt(ask.price),
      last: unitsAt(last),
    };
  }

  /**
   * The book of the last `advance()`.
   *
   * @param limit Most levels of each side.
   * @returns The book, with the number of its last change.
   */
  snapshot(limit: number): DepthSnapshot {
    const levels = (side: readonly Rung[]) => side.slice(0, limit).map((it) => this.level(it));
    return { lastUpdateId: this.#updateId, bids: levels(this.#bids), asks: levels(this.#asks) };
  }

  /** What has changed since the last call; one number for each level. */
  advance(): DepthEvent | undefined {
    const { bids, asks } = this.market;
    const changed = (before: readonly Rung[], after: readonly Rung[]) =>
      changes(before, after).map((rung) => this.level(rung));
    const [b, a] = [changed(this.#bids, bids), changed(this.#asks, asks)];
    this.#bids = [...bids];
    this.#asks = [...asks];
    if (b.length + a.length === 0) return undefined;
    const U = this.#updateId + 1;
    this.#updateId += b.length + a.length;
    return { U, u: this.#updateId, b, a };
  }

  /** Writes a level with eight decimals, whatever the instrument's own. */
  level({ price, qty }: Rung | Print): DepthLevel {
    const { priceDecimals, qtyDecimals } = this.market.instrument;
    const text = (units: number, decimals: number) =>
      decimal(units, decimals) + (decimals === 0 ? "." : "") + "0".repeat(8 - decimals);
    return [text(price, priceDecimals), text(qty, qtyDecimals)];
  }
}

/** Levels that are new or different, and those that are gone, with a quantity of 0. */
function changes(before: readonly Rung[], after: readonly Rung[]): Rung[] {
  const kept = new Set(before);
  const prices = new Set(after.map(({ price }) => price));
  const gone = before.filter(({ price }) => !prices.has(price));
  return [...gone.map(({ price }) => ({ price, qty: 0 })), ...after.filter((it) => !kept.has(it))];
}
