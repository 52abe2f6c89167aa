/**
 * Binance's spot market streams: order books that are complete, and trades.
 *
 * ```ts ignore
 * await using feed = new BinanceFeed();
 * feed.subscribe({ channel: "book", symbol: "BTCUSDT" }, { channel: "trade", symbol: "BTCUSDT" });
 * await feed.connect();
 * for await (const item of feed) {
 *   if (item.channel === "book") console.log(item.symbol, item.bids[0], item.asks[0]);
 * }
 * ```
 *
 * @module
 */

import {
  type BrokerError,
  type FeedConnection,
  FeedError,
  retry,
  Throttler,
  WebSocketFeeder,
  type WebSocketFeederOptions,
} from "@aio-trader/core";
import { delay } from "@std/async/delay";
import type { Level } from "../levels.ts";
import { Recent } from "../recent.ts";
import { Book, type DepthEvent, type DepthSnapshot } from "./book.ts";
import { BinanceBroker } from "./broker.ts";
import { RepairWaits } from "./repair_waits.ts";

/** What a feed can be subscribed to: one channel of one symbol. */
export interface BinanceSubscription {
  /** Which channel. */
  readonly channel: "book" | "trade";
  /** Which symbol, as REST writes it: `"BTCUSDT"`. */
  readonly symbol: string;
}

/**
 * An order book: from a snapshot, or after an event. When an event was missing (`"lost"`), or prices
 * have leapt beyond what the snapshot held, there is no book until the next snapshot. Where prices
 * only walk, the next snapshot takes over before.
 */
export interface BinanceBook {
  /** The channel. */
  readonly channel: "book";
  /** What it came from. */
  readonly type: "snapshot" | "update" | "lost";
  /** The symbol. */
  readonly symbol: string;
  /** The venue's number of the last change in it. */
  readonly updateId: number;
  /** When the venue sent the event, in epoch milliseconds. A snapshot does not tell. */
  readonly time: number | undefined;
  /** The best bids, the highest first. */
  readonly bids: readonly Level[];
  /** The best asks, the lowest first. */
  readonly asks: readonly Level[];
}

/** A trade. Decimals are text, as the venue wrote them. */
export interface BinanceTrade extends Level {
  /** The channel. */
  readonly channel: "trade";
  /** The symbol. */
  readonly symbol: string;
  /** What the taker did. */
  readonly side: "buy" | "sell";
  /** Counts up, for each symbol. */
  readonly id: number;
  /** When, in epoch milliseconds. */
  readonly time: number;
}

/** What a {@linkcode BinanceFeed} delivers. */
export type BinanceItem = BinanceBook | BinanceTrade;

/** Options of {@linkcode BinanceFeed}. */
export interface BinanceFeedOptions extends WebSocketFeederOptions {
  /**
   * The venue's address, for combined streams.
   *
   * @default {"wss://data-stream.binance.vision/stream"}
   */
  url?: string;
  /**
   * Where snapshots come from. It stays open when the feed closes.
   *
   * @default one of its own, which never gives up
   */
  broker?: Pick<BinanceBroker, "depth">;
  /**
   * Levels of each side in every book, up to 500.
   *
   * @default {20}
   */
  depth?: number;
}

/** Levels of a snapshot. More cost five times as much. */
const SNAPSHOT_LEVELS = 1_000;

/** Levels of a snapshot that are left when the next one is asked for. */
const FEW_LEVELS = 600;

/** When to ask again where a snapshot was too old to go on from, and when to try a new connection. */
const RELOAD = { maxRetries: 8, baseWait: 50, maxWait: 400 };

/** A feed of Binance's public market data. */
export class BinanceFeed extends WebSocketFeeder<BinanceItem, BinanceSubscription> {
  /** Snapshots that books were started from, and events that were found to be missing. */
  readonly counts: { snapshots: number; gaps: number } = { snapshots: 0, gaps: 0 };
  protected override readonly batch = 200;
  protected override readonly limit = 1_024;
  readonly #url: string;
  readonly #broker: Pick<BinanceBroker, "depth">;
  readonly #depth: number;
  readonly #books = new Map<string, Book>();
  /** Books that are to take over from those whose prices walk out of their snapshot. */
  readonly #next = new Map<string, Book>();
  /** Books that a snapshot is being asked for. */
  readonly #loading = new WeakSet<Book>();
  readonly #waits = new RepairWaits();
  /** What was asked of late, by the number of the request. */
  readonly #asked = new Recent<number, Request>(10_000);
  readonly #ended = new AbortController();
  #lastId = 0;
  /** The connection that is not to be replaced by another that delivers already. */
  #attempt = 0;

  /**
   * Makes a feed.
   *
   * @param options The venue's address, and how to stay connected. Unless told otherwise, connections are
   *   replaced after 23 hours, as the venue ends them after 24; and 25 seconds of silence mean a new one,
   *   for our pings are answered.
   * @throws {RangeError} If `depth` is not an integer from 1 to 500, or another number is out of its range.
   */
  constructor(options: BinanceFeedOptions = {}) {
    const {
      url = "wss://data-stream.binance.vision/stream",
      broker,
      depth = 20,
      maxLifetime = 23 * 3_600_000,
      staleAfter = 25_000,
      pingInterval = 10_000,
      confirmTimeout = 10_000,
      // The venue allows five per second; one is left for the pong that the runtime sends by itself,
      // and a tenth for frames that come closer together on the way.
      pace = new Throttler({ limit: 4, period: 1_100 }),
      ...rest
    } = options;
    super({ ...rest, maxLifetime, staleAfter, pingInterval, confirmTimeout, pace });
    if (!(Number.isInteger(depth) && depth >= 1 && depth <= 500)) {
      throw new RangeError(
        `Cannot make a feed: depth is ${depth}, wanted an integer from 1 to 500`,
      );
    }
    this.#url = url;
    this.#depth = depth;
    const own = broker ? undefined : new BinanceBroker({ retry: { maxRetries: Infinity } });
    this.#broker = broker ?? own!;
    this.on("state", ({ state }) => {
      if (state === "live") return;
      if (state === "closing" || state === "closed") {
        this.#ended.abort();
        void own?.close();
      }
      this.#books.clear();
      this.#next.clear();
    });
    this.on("live", () => this.#onLive());
  }

  /** The order books that are complete now, by symbol. */
  get books(): ReadonlyMap<string, Book> {
    return new Map([...this.#books].filter(([, book]) => book.updateId !== undefined));
  }

  protected override endpoint(): string {
    return this.#url;
  }

  protected override key({ channel, symbol }: BinanceSubscription): string {
    return `${channel} ${symbol}`;
  }

  protected override request(op: Request["op"], subs: BinanceSubscription[]): string {
    const id = ++this.#lastId;
    this.#asked.set(id, { op, subs });
    return JSON.stringify({ method: op.toUpperCase(), params: subs.map(streamOf), id });
  }

  /** Something that is answered: the venue's own pings are not shown to us. */
  protected override ping(): string {
    return JSON.stringify({ method: "LIST_SUBSCRIPTIONS", id: ++this.#lastId });
  }

  protected override keyOf(item: BinanceItem): string {
    return this.key(item);
  }

  /** Trades that both of two connections deliver are told once. Of books, each change is applied once. */
  protected override identify(item: BinanceItem): unknown {
    return item.channel === "trade" ? `${item.symbol} ${item.id}` : undefined;
  }

  protected override receive(data: string | ArrayBuffer, { attempt }: FeedConnection): void {
    const { data: event, ...answer } = JSON.parse(String(data));
    switch (event?.e) {
      case undefined:
        return this.#answer(answer);
      case "depthUpdate":
        return this.#event(event, attempt);
      case "trade": {
        const { s: symbol, t: id, p: price, q: qty, T: time, m } = event;
        if (!this.subscriptions.has(`trade ${symbol}`)) return;
        return this.emit({
          channel: "trade",
          symbol,
          side: m ? "sell" : "buy", // m: the buyer was there before
          price,
          qty,
          id,
          time,
        });
      }
      case "serverShutdown":
        return this.replace();
    }
  }

  /** The venue answers a request as a whole. It grants what does not exist, and never delivers it. */
  #answer({ id, error, code, msg }: Answer): void {
    const { op, subs } = this.#asked.get(id) ?? { op: "ask", subs: [] };
    const why = error?.msg ?? msg ?? `code ${error?.code ?? code}`;
    const isRefused = error !== undefined || code !== undefined;
    if (isRefused && op !== "subscribe") {
      this.dispatch("error", new FeedError(`Cannot ${op}: the venue says "${why}"`));
    }
    for (const sub of subs) {
      const isWanted = this.subscriptions.has(this.key(sub));
      if (isRefused && op === "subscribe") this.refuse(sub, why);
      else if (op === "subscribe") this.confirm(sub);
      if (!isRefused && sub.channel === "book") {
        if (op === "unsubscribe") this.#forget(sub.symbol);
        else if (isWanted && !this.#books.has(sub.symbol)) this.#open(sub);
      }
    }
  }

  #forget(symbol: string): void {
    this.#books.delete(symbol);
    this.#next.delete(symbol);
    this.#waits.forget(symbol);
  }

  #open(sub: BinanceSubscription): void {
    const book = new Book();
    this.#books.set(sub.symbol, book);
    void this.#load(sub, book);
  }

  #event(event: DepthEvent & { s: string; E: number }, attempt: number): void {
    const { s: symbol, E: time } = event;
    const sub = this.subscriptions.get(`book ${symbol}`);
    const book = this.#books.get(symbol);
    if (!sub || !book) return; // what was under way when it was unsubscribed
    const hadBook = book.updateId !== undefined;
    const result = book.update(event);
    this.#next.get(symbol)?.update(event);
    if (result === "applied") this.#tell("update", sub, book, time);
    // What a new connection is ahead by, the one that it replaces still delivers.
    else if (hadBook && result === "ahead" && attempt <= this.#attempt) this.#miss(sub, book);
    else if (!hadBook) void this.#load(sub, book);
  }

  /** One connection has replaced the other, which can deliver no more of what is missing. */
  #onLive(): void {
    this.#attempt = this.stats.attempts;
    for (const [symbol, book] of this.#books) {
      const sub = this.subscriptions.get(`book ${symbol}`);
      if (sub && book.updateId !== undefined && book.isBehind) this.#miss(sub, book);
    }
  }

  #miss(sub: BinanceSubscription, book: Book): void {
    this.counts.gaps++;
    this.#lose(sub, book);
  }

  #tell(type: BinanceBook["type"], sub: BinanceSubscription, book: Book, time?: number): void {
    if (book.reach < this.#depth) return this.#lose(sub, book);
    const { symbol } = sub;
    if (book.reach < FEW_LEVELS) this.#renew(sub);
    const [bids, asks] = [book.bids.slice(0, this.#depth), book.asks.slice(0, this.#depth)];
    this.emit({ channel: "book", type, symbol, updateId: book.updateId!, time, bids, asks });
  }

  /** Loads a book beside the one that its prices are about to leave. */
  #renew(sub: BinanceSubscription): void {
    if (this.#next.has(sub.symbol)) return;
    const next = new Book();
    this.#next.set(sub.symbol, next);
    void this.#load(sub, next);
  }

  #lose(sub: BinanceSubscription, book: Book): void {
    const { symbol } = sub;
    const updateId = book.updateId!;
    book.reset();
    this.#next.delete(symbol);
    const none = { bids: [], asks: [] };
    this.emit({ channel: "book", type: "lost", symbol, updateId, time: undefined, ...none });
    void this.#load(sub, book, this.#waits.next(symbol));
  }

  /** Waits, then asks for snapshots until one goes on in the events at hand. */
  async #load(sub: BinanceSubscription, book: Book, wait = 0): Promise<void> {
    if (this.#loading.has(book)) return;
    this.#loading.add(book);
    const { signal } = this.#ended;
    const load = retry(() => this.#try(sub, book), {
      ...RELOAD,
      signal,
      shouldRetry: (error) => error instanceof FeedError && this.#isWanted(sub, book),
    });
    try {
      if (wait > 0) await delay(wait, { signal });
      await load();
    } catch (error) {
      this.#loading.delete(book);
      if (this.#next.get(sub.symbol) === book) await this.#giveUpNext(sub.symbol);
      else if (this.#isWanted(sub, book)) this.#onLoadError(sub, error as FeedError | BrokerError);
    }
  }

  /** Asks for one snapshot. */
  async #try(sub: BinanceSubscription, book: Book): Promise<void> {
    const { symbol } = sub;
    if (!this.#isWanted(sub, book)) return;
    const snapshot: DepthSnapshot = await this.#broker.depth(symbol, SNAPSHOT_LEVELS);
    if (!this.#isWanted(sub, book)) return;
    const isNext = this.#next.get(symbol) === book;
    const atLeast = isNext ? this.#books.get(symbol)?.updateId ?? 0 : 0;
    if (!book.snapshot(snapshot, SNAPSHOT_LEVELS) || book.updateId! < atLeast) {
      throw new FeedError(`Cannot load ${symbol}: the snapshots are too old`);
    }
    if (isNext) {
      this.#next.delete(symbol);
      this.#books.set(symbol, book);
    }
    this.#loading.delete(book); // at once: the next event may show another gap
    this.counts.snapshots++;
    this.#tell("snapshot", sub, book);
  }

  #isWanted({ symbol }: BinanceSubscription, book: Book): boolean {
    return this.#books.get(symbol) === book || this.#next.get(symbol) === book;
  }

  /** Lets the next event ask for another book that is to take over, sooner or later. */
  async #giveUpNext(symbol: string): Promise<void> {
    const { signal } = this.#ended;
    const next = this.#next.get(symbol);
    await delay(this.#waits.next(`next ${symbol}`), { signal }).catch(() => {}); // the feed has closed
    if (this.#next.get(symbol) === next) this.#next.delete(symbol);
  }

  #onLoadError(sub: BinanceSubscription, error: FeedError | BrokerError): void {
    const { message } = error;
    if (error instanceof FeedError) this.reconnect(message);
    else if (!error.retriable) this.refuse(sub, message);
    // Asked for again with the next event.
    else this.dispatch("error", new FeedError(`Cannot load ${sub.symbol}: ${message}`));
  }
}

/** What was asked for. */
interface Request {
  readonly op: "subscribe" | "unsubscribe";
  readonly subs: readonly BinanceSubscription[];
}

/** The answer to a request. */
interface Answer {
  readonly id: number;
  readonly error?: { readonly code?: number; readonly msg?: string };
  readonly code?: number;
  readonly msg?: string;
}

function streamOf({ channel, symbol }: BinanceSubscription): string {
  return `${symbol.toLowerCase()}@${channel === "book" ? "depth@100ms" : "trade"}`;
}
