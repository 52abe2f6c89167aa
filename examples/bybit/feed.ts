/**
 * Bybit's public market data: order books without holes, and trades.
 *
 * ```ts ignore
 * await using feed = new BybitFeed();
 * feed.subscribe("orderbook.50.BTCUSDT", "publicTrade.BTCUSDT");
 * await feed.connect();
 * for await (const item of feed) {
 *   if (item.topic === "orderbook") console.log(item.symbol, item.bids[0], item.asks[0]);
 * }
 * ```
 *
 * Sources: bybit-exchange.github.io/docs/v5/websocket/public: orderbook, trade.
 *
 * @module
 */

import type { FeedConnection, WebSocketFeederOptions } from "@aio-trader/core";
import { type Level, levelOf, mergeSides, type Sides } from "../levels.ts";
import type { BybitCategory } from "./account.ts";
import { type BybitFrame, BybitStream } from "./stream.ts";

/** An order book. After a hole (`"gap"`) there is none, until the snapshot that is asked for then. */
export interface BybitBook extends Sides {
  /** What it is. */
  readonly topic: "orderbook";
  /** The subscription, `"orderbook.50.BTCUSDT"`. */
  readonly subscription: string;
  /** What it came from. */
  readonly type: "snapshot" | "delta" | "gap";
  /** The symbol. */
  readonly symbol: string;
  /** Number of the update. */
  readonly u: number;
  /** When, by the venue's clock, in epoch milliseconds. */
  readonly time: number;
}

/** A trade of anybody. Decimals are text. */
export interface BybitTrade extends Level {
  /** What it is. */
  readonly topic: "publicTrade";
  /** The subscription, `"publicTrade.BTCUSDT"`. */
  readonly subscription: string;
  /** The symbol. */
  readonly symbol: string;
  /** Names the trade. */
  readonly id: string;
  /** What the taker did. */
  readonly side: "Buy" | "Sell";
  /** When, by the venue's clock, in epoch milliseconds. */
  readonly time: number;
}

/** Options of {@linkcode BybitFeed}. */
export interface BybitFeedOptions extends WebSocketFeederOptions {
  /**
   * What is traded, a part of the address.
   *
   * @default {"spot"}
   */
  category?: BybitCategory;
  /**
   * The venue's address.
   *
   * @default {"wss://stream.bybit.com/v5/public/" + category}
   */
  url?: string;
}

/** A book that stands, and the connection that keeps it. */
type Standing = Sides & { readonly u: number; readonly from: FeedConnection };

/**
 * A feed of topics: `orderbook.50.BTCUSDT` (other depths as the venue lists them) and
 * `publicTrade.BTCUSDT`.
 *
 * - A book whose numbers (`u`) have a hole is withdrawn, and asked for again with growing waits. The
 *   venue's documents call `u` a sequence. That it counts by one was not seen at the real venue: look
 *   at `holes` first.
 * - A trade is delivered once. Trades of a loss are missing, as the event `gap` says.
 */
export class BybitFeed extends BybitStream<BybitBook | BybitTrade> {
  /** Holes in the numbers of books so far. */
  holes = 0;
  /** By topic. One that is absent waits for a snapshot. */
  readonly #books = new Map<string, Standing>();

  /**
   * Makes a feed.
   *
   * @param options Category or address, and how to stay connected.
   */
  constructor({ category = "spot", url, ...options }: BybitFeedOptions = {}) {
    super(url ?? `wss://stream.bybit.com/v5/public/${category}`, options);
    this.on("state", ({ state }) => state !== "live" && this.#books.clear());
  }

  /** The books that have no hole now, by topic. */
  get books(): ReadonlyMap<string, Sides & { readonly u: number }> {
    return this.#books;
  }

  protected override keyOf({ subscription }: BybitBook | BybitTrade): unknown {
    return subscription;
  }

  protected override identify(item: BybitBook | BybitTrade): unknown {
    return item.topic === "publicTrade" ? `${item.symbol} ${item.id}` : undefined;
  }

  protected override read(frame: BybitFrame, connection: FeedConnection): void {
    const { topic: subscription = "", data } = frame;
    if (!this.subscriptions.has(subscription)) return; // what was under way when it was unsubscribed
    if (subscription.startsWith("orderbook.")) return this.#book(subscription, frame, connection);
    if (!subscription.startsWith("publicTrade.")) return;
    for (const { T: time, s: symbol, S: side, v: qty, p: price, i: id } of data) {
      this.emit({ topic: "publicTrade", subscription, symbol, id, side, price, qty, time });
    }
  }

  #book(subscription: string, { type, ts = 0, data }: BybitFrame, from: FeedConnection): void {
    const { s: symbol, u } = data;
    // The venue begins anew with 1 after a restart, whatever the type says.
    const isNew = type === "snapshot" || u === 1;
    const last = isNew ? { bids: [], asks: [], u: u - 1, from } : this.#books.get(subscription);
    if (last?.from !== from) return; // no snapshot yet
    const item = { topic: "orderbook", subscription, symbol, u, time: ts } as const;
    if (u !== last.u + 1) {
      this.holes++;
      this.#books.delete(subscription);
      this.emit({ ...item, type: "gap", bids: [], asks: [] });
      return this.resubscribe(subscription);
    }
    const sides = mergeSides(last, { bids: data.b.map(levelOf), asks: data.a.map(levelOf) });
    this.#books.set(subscription, { ...sides, u, from });
    this.emit({ ...item, type: isNew ? "snapshot" : "delta", ...sides });
  }
}
