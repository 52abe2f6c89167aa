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

import {
  type FeedConnection,
  FeedError,
  WebSocketFeeder,
  type WebSocketFeederOptions,
} from "@aio-trader/core";
import type { Level, Sides } from "../levels.ts";
import { Recent } from "../recent.ts";
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
  /** When, by the venue's clock, in epoch milliseconds; absent where the venue does not say. */
  readonly time?: number;
}

/**
 * The best prices and the last 24 hours of a symbol, whenever the best prices change. Decimals are
 * text, as the venue wrote them.
 */
export interface KrakenTicker extends Readonly<Record<TickerField, string>> {
  /** The channel. */
  readonly channel: "ticker";
  /** The symbol. */
  readonly symbol: string;
  /** When, by the venue's clock, in epoch milliseconds; absent where the venue does not say. */
  readonly time?: number;
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

/** Refusals that another request may not meet. Others stay: a wrong depth, an unknown symbol. */
const PASSING = /rate|busy|unavailable|timeout|too many|lockout|internal/i;

/**
 * A feed of Kraken's public market data.
 *
 * - A subscription counts once the venue has confirmed it; else it is asked for again.
 * - A book whose checksum is wrong is withdrawn, and asked for again with growing waits.
 * - A trade is delivered once, though the venue repeats the latest ones on each new connection.
 */
export class KrakenFeed extends WebSocketFeeder<KrakenItem, KrakenSubscription> {
  /** Checksums so far: those that matched the book, and those that did not. */
  readonly checksums: { verified: number; failed: number } = { verified: 0, failed: 0 };
  readonly #url: string;
  /** The books that can be relied on. One that is absent waits for a snapshot. */
  readonly #books = new Map<string, Book>();
  /** What was asked of late, by the number of the request. An answer tells only part of it. */
  readonly #asked = new Recent<number, KrakenSubscription[]>(10_000);
  #lastId = 0;

  /**
   * Makes a feed.
   *
   * @param options The venue's address, and how to stay connected. Unless told otherwise, 10 seconds
   *   of silence mean a new connection: heartbeats come every second, or answers to our pings. A
   *   subscription that is not confirmed within 5 seconds is asked for again.
   */
  constructor({ url = "wss://ws.kraken.com/v2", ...options }: KrakenFeedOptions = {}) {
    super({ staleAfter: 10_000, pingInterval: 4_000, confirmTimeout: 5_000, ...options });
    this.#url = url;
    this.on("state", ({ state }) => state !== "live" && this.#books.clear());
  }

  /** The order books that are verified now, by symbol. */
  get books(): ReadonlyMap<string, Book> {
    return this.#books;
  }

  protected override endpoint(): string {
    return this.#url;
  }

  /** Channel and symbol: another depth is another value of the same subscription. */
  protected override key(
    { channel, symbol }: Pick<KrakenSubscription, "channel" | "symbol">,
  ): string {
    return `${channel} ${symbol}`;
  }

  protected override keyOf(item: KrakenItem): unknown {
    return item.channel === "status" ? undefined : this.key(item);
  }

  /** A new connection begins with trades that the last one has delivered. */
  protected override identify(item: KrakenItem): unknown {
    return item.channel === "trade" ? `${item.symbol} ${item.trade_id}` : undefined;
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
      // Without it the venue tells a ticker only after a trade.
      const event_trigger = channel === "ticker" ? "bbo" : undefined;
      const params = { channel, symbol, depth, event_trigger };
      return JSON.stringify({ method, params, req_id });
    });
  }

  protected override ping(): string {
    return '{"method":"ping"}';
  }

  protected override receive(data: string | ArrayBuffer, _connection?: FeedConnection): void {
    const message: Message = parse(String(data));
    const { channel } = message;
    if (channel === undefined) this.#answer(message);
    else if (channel === "book") {
      for (const book of message.data) this.#book(message.type, book);
    } else if (channel === "ticker" || channel === "trade" || channel === "status") {
      for (const { timestamp, ...item } of message.data) {
        this.emit({ ...item, channel, ...timeOf(timestamp) } as KrakenItem);
      }
    } // else a heartbeat: to have heard it is all that it is for
  }

  /** The venue answers for each symbol by itself, and grants the others when it refuses one. */
  #answer(message: Answer): void {
    const { method, req_id, success, error = "", result } = message;
    if (method === "pong") return;
    const asked = this.#asked.get(req_id) ?? [];
    const symbol = message.symbol ?? result?.symbol;
    const about = asked.filter((sub) => symbol === undefined || sub.symbol === symbol);
    // Such as {"Error":"Exceeded msg rate"}: what was asked is not confirmed, so is asked again.
    if (about.length === 0 && !success) this.dispatch("error", new FeedError(inWords(message)));
    for (const sub of about) {
      if (method === "unsubscribe") this.#books.delete(sub.channel === "book" ? sub.symbol : "");
      else this.#judge(sub, success ? undefined : error);
    }
  }

  /** Takes the answer to one subscription, unless another depth is wanted meanwhile. */
  #judge(sub: KrakenSubscription, error: string | undefined): void {
    if (this.subscriptions.get(this.key(sub))?.depth !== sub.depth) return;
    if (error === undefined) return this.confirm(sub);
    if (!/already subscribed/i.test(error)) {
      return this.refuse(sub, error, PASSING.test(error) ? { retryAfter: 1_000 } : {});
    }
    this.confirm(sub);
    const isBlind = sub.channel === "book" && !this.#books.has(sub.symbol);
    if (isBlind) this.resubscribe(sub); // no snapshot comes of a subscription that stands
  }

  #book(type: "snapshot" | "update", { symbol, checksum, timestamp, ...sides }: BookData): void {
    const subscription = this.subscriptions.get(`book ${symbol}`);
    if (!subscription) return; // what was under way when it was unsubscribed
    if (type === "snapshot") this.#books.set(symbol, new Book(subscription.depth));
    const book = this.#books.get(symbol);
    if (!book) return; // what was under way when it was resubscribed
    if (type === "snapshot") book.snapshot(sides);
    else book.update(sides);
    if (book.checksum() === checksum) {
      this.checksums.verified++;
      const { bids, asks } = book;
      return this.emit({ channel: "book", type, symbol, bids, asks, ...timeOf(timestamp) });
    }
    this.checksums.failed++;
    this.#books.delete(symbol);
    const time = timeOf(timestamp);
    this.emit({ channel: "book", type: "mismatch", symbol, bids: [], asks: [], ...time });
    this.resubscribe(subscription);
  }
}

/** The event time, where the venue tells one. */
function timeOf(timestamp: string | undefined): { time?: number } {
  const time = Date.parse(timestamp ?? "");
  return Number.isNaN(time) ? {} : { time };
}

/** An answer that belongs to no request, as an error message. */
function inWords(answer: Answer): string {
  const { method, Error, error, errorMessage } = answer;
  const task = method ? `Cannot ${method}` : "Cannot read an answer";
  const words = Error ?? error ?? errorMessage ?? JSON.stringify(answer).slice(0, 200);
  return `${task}: the venue says "${words}"`;
}

/** A frame of the venue's: of a channel, or else the answer to a request. */
type Message =
  | { channel: "book"; type: "snapshot" | "update"; data: BookData[] }
  | { channel: "trade" | "ticker" | "status"; data: { timestamp?: string }[] }
  | { channel: "heartbeat" }
  | Answer;

/** One symbol's part of a book frame. */
interface BookData extends Sides {
  readonly symbol: string;
  readonly checksum: number;
  readonly timestamp?: string;
}

/** The answer to a ping, or to a request for one symbol, or an error about neither. */
interface Answer {
  readonly channel?: undefined;
  readonly method?: string;
  readonly req_id: number;
  readonly success: boolean;
  readonly error?: string;
  readonly Error?: string;
  readonly errorMessage?: string;
  readonly symbol?: string;
  readonly result?: { readonly symbol?: string };
}
