/**
 * A synthetic market, for the simulators: an order book that moves by itself, from a seed.
 *
 * Orders arrive, are cancelled and trade, at random, near the best price: that alone makes a price
 * that wanders, a spread that opens and closes, and a ladder with holes in it. The same seed gives
 * the same market, step by step, on every machine. Prices and quantities are integers (ticks and
 * lots), so nothing is ever rounded; {@linkcode decimal} writes them as a venue does.
 *
 * @module
 */

/** What is traded, and at which price it starts. */
export interface Instrument {
  /** Its name at the venue. */
  readonly symbol: string;
  /** The price at the start, in ticks. */
  readonly price: number;
  /** Decimals of a price: one tick is 10 ** -priceDecimals. */
  readonly priceDecimals: number;
  /** Decimals of a quantity: one lot is 10 ** -qtyDecimals. */
  readonly qtyDecimals: number;
  /** A usual order, in lots. */
  readonly size: number;
}

/** A level of the ladder. Never changed, only replaced: two views can be compared by identity. */
export interface Rung {
  /** The price, in ticks. */
  readonly price: number;
  /** The quantity, in lots. */
  readonly qty: number;
}

/** A trade. */
export interface Print {
  /** What the taker did. */
  readonly side: "buy" | "sell";
  /** The price, in ticks. */
  readonly price: number;
  /** The quantity, in lots. */
  readonly qty: number;
  /** Counts from 1. */
  readonly id: number;
}

/** Holes, orders and cancellations thin out at this many ticks (or levels) from the best price. */
const REACH = { hole: 2, order: 6, cancel: 5 };

/**
 * One instrument's order book and its trades.
 *
 * @example Usage
 * ```ts
 * import { decimal, Market } from "./market.ts";
 * import { assert } from "@std/assert";
 *
 * const instrument = { symbol: "BTC/USD", price: 294_302, priceDecimals: 1, qtyDecimals: 8, size: 5e7 };
 * const market = new Market(instrument, 7);
 * for (let i = 0; i < 100; i++) market.step();
 * assert(market.bids[0].price < market.asks[0].price);
 * assert(decimal(market.asks[0].price, 1).startsWith("29"));
 * ```
 */
export class Market {
  /** What is traded. */
  readonly instrument: Instrument;
  /** All bids, the highest first. */
  readonly bids: Rung[];
  /** All asks, the lowest first. */
  readonly asks: Rung[];
  /** The prices of the first and of the last trade, and the range between, in ticks. */
  readonly prices: { open: number; high: number; low: number; last: number };
  /** Traded so far: lots, and lots × ticks. */
  readonly traded: { lots: number; value: number } = { lots: 0, value: 0 };
  readonly #random: () => number;
  readonly #levels: number;
  #prints = 0;
  /** Pulls the takers to one side for a while, so that the price goes somewhere. */
  #mood = 0;

  /**
   * Makes a market with a full ladder.
   *
   * @param instrument What is traded.
   * @param seed Where its random numbers start.
   * @param levels How many levels each side keeps; at least as many as are ever shown.
   * @throws {RangeError} If there is no room for a bid below the price, or for any level.
   */
  constructor(instrument: Instrument, seed: number, levels = 50) {
    this.instrument = instrument;
    this.#random = seeded(seed);
    this.#levels = levels;
    const { price } = instrument;
    if (!(price >= 2 && levels >= 1)) {
      throw new RangeError(
        `Cannot make a market: price is ${price} ticks with ${levels} levels, wanted >= 2 and >= 1`,
      );
    }
    this.prices = { open: price, high: price, low: price, last: price };
    this.bids = [{ price: price - 1, qty: this.#quantity() }];
    this.asks = [{ price: price, qty: this.#quantity() }];
    this.#refill();
  }

  /**
   * Lets one thing happen: an order, a cancellation, or a trade.
   *
   * @returns The trade, if it was one.
   */
  step(): Print | undefined {
    const random = this.#random;
    this.#mood = this.#mood * 0.99 + (random() - 0.5) * 0.1;
    const event = random();
    const side = random() < 0.5 ? this.bids : this.asks;
    let print: Print | undefined;
    if (event < 0.5) this.#order(side);
    else if (event < 0.85) this.#cancel(side);
    else print = this.#take(random() < 0.5 + this.#mood ? this.asks : this.bids);
    this.#refill();
    return print;
  }

  /**
   * Lets one to three things happen.
   *
   * @param random Tells how many.
   * @returns The trades.
   */
  steps(random: () => number): Print[] {
    const prints: (Print | undefined)[] = [];
    for (let left = 1 + Math.floor(random() * 3); left > 0; left--) prints.push(this.step());
    return prints.filter((print) => print !== undefined);
  }

  /** Someone offers: inside the spread where there is room, else at or behind the best price. */
  #order(side: Rung[]): void {
    const away = side === this.bids ? -1 : 1;
    const room = this.asks[0].price - this.bids[0].price - 1;
    const inside = room > 0 && this.#random() < 0.6;
    const distance = inside ? -1 - Math.floor(this.#random() * room) : this.#near(REACH.order);
    const price = side[0].price + away * distance;
    const at = side.findIndex((rung) => away * (rung.price - price) >= 0);
    if (at < 0) return; // beyond the far end
    const known = side[at].price === price;
    const qty = this.#quantity() + (known ? side[at].qty : 0);
    side.splice(at, known ? 1 : 0, { price, qty });
  }

  /** Someone withdraws all of a level, or half of it. */
  #cancel(side: Rung[]): void {
    const at = this.#near(REACH.cancel);
    if (at >= side.length) return;
    const { price, qty } = side[at];
    const left = this.#random() < 0.5 ? Math.floor(qty / 2) : 0;
    if (left > 0) side[at] = { price, qty: left };
    else side.splice(at, 1);
  }

  /** Someone takes the best offer of a side, or part of it. */
  #take(side: Rung[]): Print {
    const { price, qty } = side[0];
    const taken = Math.min(qty, this.#quantity());
    if (taken < qty) side[0] = { price, qty: qty - taken };
    else side.shift();
    this.prices.last = price;
    this.prices.high = Math.max(this.prices.high, price);
    this.prices.low = Math.min(this.prices.low, price);
    this.traded.lots += taken;
    this.traded.value += taken * price;
    return { side: side === this.asks ? "buy" : "sell", price, qty: taken, id: ++this.#prints };
  }

  /** Keeps both sides at their length, from the far end. No bid is below one tick: it may be shorter. */
  #refill(): void {
    const { bids, asks } = this;
    for (const [side, other, away] of [[bids, asks, -1], [asks, bids, 1]] as const) {
      side.length = Math.min(side.length, this.#levels);
      for (let { price } = side.at(-1) ?? other[0]; side.length < this.#levels;) {
        price += away * (1 + this.#near(REACH.hole));
        if (price < 1 && side.length > 0) break;
        side.push({ price: Math.max(price, 1), qty: this.#quantity() });
      }
    }
  }

  /** 0 mostly, seldom much more than `reach`. */
  #near(reach: number): number {
    return Math.floor(-Math.log(1 - this.#random()) * reach);
  }

  /** Lots of an order: some are round numbers, which end in zeros on the wire. */
  #quantity(): number {
    const lots = this.instrument.size * -Math.log(1 - this.#random());
    const round = this.#random() < 0.3 ? Math.max(1, this.instrument.size / 100) : 1;
    return Math.max(1, Math.ceil(lots / round)) * round;
  }
}

/**
 * Writes an integer of the smallest unit as a decimal, with all of its zeros.
 *
 * @param units How many of the smallest unit.
 * @param decimals How many decimals that unit has.
 * @returns For example `"0.10000000"` for `10_000_000` and `8`.
 */
export function decimal(units: number, decimals: number): string {
  const digits = String(units).padStart(decimals + 1, "0");
  return decimals === 0 ? digits : `${digits.slice(0, -decimals)}.${digits.slice(-decimals)}`;
}

/**
 * Makes a source of random numbers that is the same on every machine (mulberry32).
 *
 * @param seed An integer.
 * @returns A function like `Math.random`.
 */
export function seeded(seed: number): () => number {
  let state = seed | 0;
  return () => {
    state = state + 0x6d2b79f5 | 0;
    let mixed = Math.imul(state ^ state >>> 15, state | 1);
    mixed ^= mixed + Math.imul(mixed ^ mixed >>> 7, mixed | 61);
    return ((mixed ^ mixed >>> 14) >>> 0) / 2 ** 32;
  };
}
