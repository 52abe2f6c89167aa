/**
 * Kraken's public market data (WebSocket v2): order books that are verified, tickers and trades.
 *
 * ```ts ignore
 * await using feed = new KrakenFeed();
 * feed.subscribe({ channel: "book", symbol: "BTC/USD" }, { channel: "trade", symbol: "BTC/USD" });
 * await feed.connect();
 * for await (const item of feed) {
 *   if (item.channel === "book") console.log(item.symbol, item.bids[0], item.asks[0]);
 * }
 * ```
 *
 * @module
 */

import { FeedError, WebSocketFeeder, type WebSocketFeederOptions } from "@aio-trader/core";
import type { Level, Sides } from "../levels.ts";
import { Book, parse } from "./book.ts";

/** What a feed can be subscribed to: one channel of one symbol. */
export interface KrakenSubscription {
  /** Which channel. */
  readonly channel: "book" | "ticker" | "trade";
  /** Which symbol, as WebSocket v2 writes it: `"BTC/USD"`. */
  readonly symbol: string;
  /**
   * Levels of each side, for a book. The venue refuses others than these.
   *
   * @default {10}
   */
  readonly depth?: 10 | 25 | 100 | 500 | 1000;
}

/**
 * An order book after a snapshot or an update whose checksum was right. After one that was wrong
 * (`"mismatch"`) there is no book, until the snapshot that is asked for then.
 */
export interface KrakenBook {
  /** The channel. */
  readonly channel: "book";
  /** What it came from. */
  readonly type: "snapshot" | "update" | "mismatch";
  /** The symbol. */
  readonly symbol: string;
  /** The bids, the highest first. */
  readonly bids: readonly Level[];
  /** The asks, the lowest first. */
  readonly asks: readonly Level[];
}

/** The best prices and the last 24 hours of a symbol. Decimals are text, as the venue wrote them. */
export interface KrakenTicker extends Readonly<Record<TickerField, string>> {
  /** The channel. */
  readonly channel: "ticker";
  /** The symbol. */
  readonly symbol: string;
}

type TickerField =
  | "bid"
  | "bid_qty"
  | "ask"
  | "ask_qty"
  | "last"
  | "volume"
  | "vwap"
  | "low"
  | "high"
  | "change"
  | "change_pct";

/** A trade. Decimals are text, as the venue wrote them. */
export interface KrakenTrade extends Level {
  /** The channel. */
  readonly channel: "trade";
  /** The symbol. */
  readonly symbol: string;
  /** What the taker did. */
  readonly side: "buy" | "sell";
  /** The taker's order. */
  readonly ord_type: "limit" | "market";
  /** Counts up, for each symbol. */
  readonly trade_id: number;
  /** When, in epoch milliseconds. */
  readonly time: number;
}

/** The state of the venue: told once connected, and when it changes. */
export interface KrakenStatus {
  /** The channel. */
  readonly channel: "status";
  /** `"online"`, `"maintenance"`, `"cancel_only"` or `"post_only"`. */
  readonly system: string;
  /** Of this connection: an integer beyond 2 ** 53, as text. */
  readonly connection_id: string;
}

/** What a {@linkcode KrakenFeed} delivers. */
export type KrakenItem = KrakenBook | KrakenTicker | KrakenTrade | KrakenStatus;

/** Options of {@linkcode KrakenFeed}. */
export interface KrakenFeedOptions extends WebSocketFeederOptions {
  /**
   * The venue's address.
   *
   * @default {"wss://ws.kraken.com/v2"}
   */
  url?: string;
}

/** Wrong checksums in a row, of one symbol, after which a new connection is tried. */
const MOST_MISMATCHES = 3;

/** A feed of Kraken's public market data. */
export class KrakenFeed extends WebSocketFeeder<KrakenItem, KrakenSubscription> {
  /** Checksums so far: those that matched the book, and those that did not. */
  readonly checksums: { verified: number; failed: number } = { verified: 0, failed: 0 };
  readonly #url: string;
  /** The books that can be relied on. One that is absent waits for a snapshot. */
  readonly #books = new Map<string, Book>();
  /** Wrong checksums since the last right one, by symbol. */
  readonly #mismatches = new Map<string, number>();
  /** What was asked on this connection and not answered yet. An answer tells only part of it. */
  readonly #asked = new Map<number, KrakenSubscription[]>();
  #lastId = 0;

  /**
   * Makes a feed.
   *
   * @param options The venue's address, and how to stay connected. Unless told otherwise, 10 seconds
   *   of silence mean a new connection: heartbeats come every second, or answers to our pings.
   */
  constructor({ url = "wss://ws.kraken.com/v2", ...options }: KrakenFeedOptions = {}) {
    super({ staleAfter: 10_000, pingInterval: 4_000, ...options });
    this.#url = url;
    this.on("state", ({ state }) => {
      if (state === "live") return;
      this.#books.clear();
      this.#asked.clear();
    });
  }

  /** The order books that are verified now, by symbol. */
  get books(): ReadonlyMap<string, Book> {
    return this.#books;
  }

  protected override endpoint(): string {
    return this.#url;
  }

  /** Channel and symbol: another depth is another value of the same subscription. */
  protected override key({ channel, symbol }: KrakenSubscription): string {
    return `${channel} ${symbol}`;
  }

  /** One frame for all symbols of a channel (and depth). */
  protected override request(
    method: "subscribe" | "unsubscribe",
    subs: KrakenSubscription[],
  ): string[] {
    const groups = Map.groupBy(subs, ({ channel, depth }) => `${channel} ${depth}`);
    return [...groups.values()].map((group) => {
      const [{ channel, depth }] = group;
      const req_id = ++this.#lastId;
      this.#asked.set(req_id, group);
      const symbol = group.map(({ symbol }) => symbol);
      return JSON.stringify({ method, params: { channel, symbol, depth }, req_id });
    });
  }

  protected override ping(): string {
    return '{"method":"ping"}';
  }

  protected override receive(data: string | ArrayBuffer): void {
    const message: Message = parse(String(data));
    const { channel } = message;
    if (channel === undefined) this.#answer(message);
    else if (channel === "book") {
      for (const book of message.data) this.#book(message.type, book);
    } else if (channel === "ticker" || channel === "status") {
      for (const item of message.data) this.emit({ ...item, channel } as KrakenItem);
    } else if (channel === "trade") {
      for (const { timestamp, ...trade } of message.data) {
        this.emit({ ...trade, channel, time: Date.parse(timestamp) });
      }
    } // else a heartbeat: to have heard it is all that it is for
  }

  /** The venue answers for each symbol by itself, and grants the others when it refuses one. */
  #answer({ method, req_id, success, error, symbol, result }: Answer): void {
    if (method === "pong") return;
    const asked = this.#asked.get(req_id) ?? [];
    symbol ??= result?.symbol;
    const about = asked.filter((sub) => symbol === undefined || sub.symbol === symbol);
    const left = asked.filter((sub) => !about.includes(sub));
    if (left.length > 0) this.#asked.set(req_id, left);
    else this.#asked.delete(req_id);
    if (about.length === 0 && !success) {
      this.dispatch("error", new FeedError(`Cannot ${method}: the venue says "${error}"`));
    }
    for (const sub of about) {
      const wanted = this.subscriptions.get(this.key(sub));
      if (method === "unsubscribe") this.#books.delete(sub.channel === "book" ? sub.symbol : "");
      else if (!success && wanted?.depth === sub.depth) this.refuse(sub, error);
    }
  }

  #book(type: "snapshot" | "update", { symbol, checksum, ...sides }: BookData): void {
    const subscription = this.subscriptions.get(`book ${symbol}`);
    if (!subscription) return; // what was under way when it was unsubscribed
    if (type === "snapshot") this.#books.set(symbol, new Book(subscription.depth));
    const book = this.#books.get(symbol);
    if (!book) return; // what was under way when it was resubscribed
    if (type === "snapshot") book.snapshot(sides);
    else book.update(sides);
    if (book.checksum() === checksum) {
      this.checksums.verified++;
      this.#mismatches.delete(symbol);
      const { bids, asks } = book;
      return this.emit({ channel: "book", type, symbol, bids, asks });
    }
    this.checksums.failed++;
    this.#books.delete(symbol);
    const mismatches = (this.#mismatches.get(symbol) ?? 0) + 1;
    this.#mismatches.set(symbol, mismatches);
    this.emit({ channel: "book", type: "mismatch", symbol, bids: [], asks: [] });
    if (mismatches % MOST_MISMATCHES > 0) this.resubscribe(subscription);
    else this.reconnect(`${mismatches} wrong checksums of ${symbol} in a row`);
  }
}

/** A frame of the venue's: of a channel, or else the answer to a request. */
type Message =
  | { channel: "book"; type: "snapshot" | "update"; data: BookData[] }
  | { channel: "trade"; data: (Omit<KrakenTrade, "channel" | "time"> & { timestamp: string })[] }
  | { channel: "ticker"; data: Omit<KrakenTicker, "channel">[] }
  | { channel: "status"; data: Omit<KrakenStatus, "channel">[] }
  | { channel: "heartbeat" }
  | Answer;

/** One symbol's part of a book frame. */
interface BookData extends Sides {
  readonly symbol: string;
  readonly checksum: number;
}

/** The answer to a ping, or to a request for one symbol. */
interface Answer {
  readonly channel?: undefined;
  readonly method: string;
  readonly req_id: number;
  readonly success: boolean;
  readonly error: string;
  symbol?: string;
  readonly result?: { readonly symbol?: string };
}
