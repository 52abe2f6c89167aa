/**
 * The public topics of the simulated Bybit: order books by number, and trades.
 *
 * @module
 */

import type { Level, Sides } from "../levels.ts";
import { decimal, type Market, type Print, type Rung } from "../market.ts";

/** A book as those who follow it see it, and the number of its last update. */
interface View {
  readonly u: number;
  readonly bids: readonly Rung[];
  readonly asks: readonly Rung[];
}

/** Depths of the books. */
const DEPTHS = [1, 50];

/** What the public sockets tell. */
export class PublicTopics {
  readonly #markets: ReadonlyMap<string, Market>;
  readonly #now: () => number;
  readonly #publish: (topic: string, frame: object) => void;
  readonly #views = new Map<string, View>();

  /**
   * Takes a first look at the markets.
   *
   * @param markets The markets, by symbol.
   * @param now The venue's time, in epoch milliseconds.
   * @param publish Sends a frame to those who follow a topic.
   */
  constructor(
    markets: ReadonlyMap<string, Market>,
    now: () => number,
    publish: (topic: string, frame: object) => void,
  ) {
    this.#markets = markets;
    this.#now = now;
    this.#publish = publish;
    for (const symbol of markets.keys()) {
      for (const topic of booksOf(symbol)) this.#views.set(topic, { u: 1, ...this.#sides(topic) });
    }
  }

  /** All topics. */
  get names(): ReadonlySet<string> {
    const trades = [...this.#markets.keys()].map((symbol) => `publicTrade.${symbol}`);
    return new Set([...this.#views.keys(), ...trades]);
  }

  /** A book as those who follow it see it. */
  book(topic: string): Sides {
    const { bids, asks } = this.#views.get(topic)!;
    const market = this.#marketOf(topic);
    return { bids: bids.map((it) => level(market, it)), asks: asks.map((it) => level(market, it)) };
  }

  /**
   * A book from its beginning.
   *
   * @param topic The topic.
   * @param type What the frame says that it is.
   * @returns A frame, or nothing for a topic without a book.
   */
  snapshot(topic: string, type: "snapshot" | "delta"): object | undefined {
    const view = this.#views.get(topic);
    if (!view) return undefined;
    const { bids, asks } = this.book(topic);
    const [b, a] = [bids, asks].map((side) => side.map(({ price, qty }) => [price, qty]));
    const data = { s: topic.split(".").at(-1), b, a, u: view.u, seq: view.u };
    return { topic, type, ts: this.#now(), data };
  }

  /** Begins the numbers of a book anew, as after a restart of the venue. */
  restart(topic: string): void {
    this.#views.set(topic, { ...this.#views.get(topic)!, u: 1 });
    this.#publish(topic, this.snapshot(topic, "delta")!);
  }

  /**
   * Sends what a step of a market has changed.
   *
   * @param market The market.
   * @param prints The trades of that step.
   */
  tell(market: Market, prints: readonly Print[]): void {
    const { symbol: s } = market.instrument;
    for (const topic of booksOf(s)) this.#tellBook(topic);
    if (prints.length === 0) return;
    const topic = `publicTrade.${s}`;
    const data = prints.map((print) => {
      const { price: p, qty: v } = level(market, print);
      const S = print.side === "buy" ? "Buy" : "Sell";
      return { T: this.#now(), s, S, v, p, i: `${s}-${print.id}`, BT: false };
    });
    this.#publish(topic, { topic, type: "snapshot", ts: this.#now(), data });
  }

  #tellBook(topic: string): void {
    const market = this.#marketOf(topic);
    const view = this.#views.get(topic)!;
    const next = this.#sides(topic);
    const [b, a] = (["bids", "asks"] as const).map((side) =>
      changes(view[side], next[side]).map((it) => level(market, it)).map((it) => [it.price, it.qty])
    );
    if (b.length + a.length === 0) return;
    const u = view.u + 1;
    this.#views.set(topic, { u, ...next });
    const { symbol: s } = market.instrument;
    this.#publish(topic, { topic, type: "delta", ts: this.#now(), data: { s, b, a, u, seq: u } });
  }

  #marketOf(topic: string): Market {
    return this.#markets.get(topic.split(".").at(-1)!)!;
  }

  #sides(topic: string): { bids: Rung[]; asks: Rung[] } {
    const depth = Number(topic.split(".")[1]);
    const { bids, asks } = this.#marketOf(topic);
    return { bids: bids.slice(0, depth), asks: asks.slice(0, depth) };
  }
}

function booksOf(symbol: string): string[] {
  return DEPTHS.map((depth) => `orderbook.${depth}.${symbol}`);
}

/** Levels that are new or different, and those that are gone, with a quantity of 0. */
function changes(before: readonly Rung[], after: readonly Rung[]): Rung[] {
  const known = new Set(before);
  const prices = new Set(after.map(({ price }) => price));
  const gone = before.filter(({ price }) => !prices.has(price));
  return [...gone.map(({ price }) => ({ price, qty: 0 })), ...after.filter((it) => !known.has(it))];
}

function level({ instrument }: Market, { price, qty }: Rung): Level {
  const { priceDecimals, qtyDecimals } = instrument;
  return { price: decimal(price, priceDecimals), qty: decimal(qty, qtyDecimals) };
}
