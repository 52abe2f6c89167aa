/**
 * Binance's part of the demo.
 *
 * @module
 */

import { BrokerError, type SessionEvent } from "@aio-trader/core";
import { delay } from "@std/async/delay";
import type { Fault } from "../simulator.ts";
import type { Level } from "../levels.ts";
import type { Figure, Show, ShowOptions, Stage } from "../stage.ts";
import { grouped, type Ladder, seconds, type Story, type Window } from "../view.ts";
import { BinanceBroker } from "./broker.ts";
import {
  type BinanceBook,
  BinanceFeed,
  type BinanceItem,
  type BinanceSubscription,
} from "./feed.ts";
import { BinanceSimulator } from "./simulator.ts";
import { BinanceTrader } from "./trader.ts";
import { USER_DATA } from "./user_socket.ts";

/** The venue writes eight decimals for all of them; so many are shown. */
const DECIMALS = { BTCUSDT: 2, ETHUSDT: 2, DOGEUSDT: 5 };
const SYMBOLS = Object.keys(DECIMALS) as (keyof typeof DECIMALS)[];

const SUBSCRIPTIONS: readonly BinanceSubscription[] = SYMBOLS.flatMap((symbol) => [
  { channel: "book", symbol },
  { channel: "trade", symbol },
]);

/** A feed of three books and their trades, and a trader. */
export class BinanceShow implements Show {
  readonly title: string;
  readonly feed: BinanceFeed;
  /** The simulator; absent with the real venue. */
  readonly venue: BinanceSimulator | undefined;
  readonly #stage: Stage;
  readonly #broker: BinanceBroker;
  /** Places orders at the simulator; absent with the real venue. */
  readonly #trader: BinanceTrader | undefined;
  readonly #requests = { sent: 0, answered: 0, told: 0 };
  /** The latest book of each symbol, and how many events went into it. */
  readonly #books = new Map<string, { book: BinanceBook; count: number }>();
  /** Stories that are not over: of an event that was withheld, and of gaps by symbol. */
  #withheld: Story | undefined;
  readonly #gaps = new Map<string, Story>();
  /** The story of a request that was refused. */
  #refused: Story | undefined;

  /**
   * Prepares the venue, the feed and the broker.
   *
   * @param options Where it happens and how.
   */
  constructor({ stage, live, seed, faults }: ShowOptions) {
    this.#stage = stage;
    this.title = `@aio-trader/core · Binance${live ? "" : ", simulated on 127.0.0.1"}`;
    const onFault = (fault: Fault) => this.#onFault(fault);
    this.venue = live ? undefined : new BinanceSimulator({ seed, faults, onFault });
    const broker = this.#broker = new BinanceBroker({
      baseUrl: this.venue?.httpUrl,
      dataUrl: this.venue?.httpUrl,
      retry: { maxRetries: 2, baseWait: 1_000, jitter: 0.5 },
      onEvent: (event) => this.#onEvent(event),
    });
    this.#trader = this.venue && new BinanceTrader(stage, this.venue, broker);
    this.feed = new BinanceFeed(
      this.venue
        ? {
          broker,
          url: `${this.venue.wsUrl}/stream`,
          // Shorter than one would choose for the real venue: the demo is short.
          staleAfter: 2_000,
          baseWait: 400,
          resetRetryAfter: 2_000,
        }
        : { broker },
    );
    this.feed.subscribe(...SUBSCRIPTIONS);
    this.feed.on("item", (item) => this.#onItem(item));
  }

  get pending(): number {
    return this.venue?.pending ?? 0;
  }

  /** Every book is complete and, where the venue can be asked, it holds every subscription. */
  isWhole(): boolean {
    if (this.feed.books.size < SYMBOLS.length) return false;
    return this.venue === undefined || this.#held === SUBSCRIPTIONS.length;
  }

  ladders(): Ladder[] {
    const { books } = this.feed;
    return SYMBOLS.map((name) => {
      const { book: { bids, asks } = { bids: [], asks: [] }, count = 0 } = this.#books.get(name) ??
        {};
      const valid = this.feed.state === "live" && books.has(name);
      const rows = (side: readonly Level[]) =>
        side.map(({ price, qty }) => ({
          price: Number(price).toFixed(DECIMALS[name]),
          qty: String(Number(qty)),
        }));
      const note = valid ? `✓ ${grouped(count)}` : "not valid";
      return { name, note, valid, bids: rows(bids), asks: rows(asks) };
    });
  }

  requests(): { queue: number; asked: string[]; windows: Window[] } {
    const { answered, told } = this.#requests;
    const { weights, orders } = this.#broker;
    return {
      queue: weights.size + orders.size,
      asked: [`${answered} answered`, `${told} told 429`],
      windows: [
        { name: "weight: 6,000 per minute", limit: 6_000, spent: 6_000 - weights.available },
        { name: "orders: 50 per 10 seconds", limit: 50, spent: 50 - orders.available },
      ],
    };
  }

  async open(): Promise<void> {
    try {
      await this.#broker.time();
      await this.#trader?.open();
    } catch (error) {
      const hint = this.venue ? "" : "; without --live the demo needs no network";
      throw new Error(`Cannot reach Binance: ${(error as Error).message}${hint}`, { cause: error });
    }
  }

  /** Places orders, then asks for a price again and again until the signal aborts. */
  async work(signal: AbortSignal): Promise<void> {
    await this.#trader?.work(signal);
    while (!signal.aborted) {
      try {
        await this.#broker.quote("BTCUSDT");
      } catch (error) {
        const isClosed = error instanceof BrokerError && error.kind === "closed";
        if (!isClosed) this.#stage.note(`a request failed: ${(error as Error).message}`);
      }
      await delay(500, { signal }).catch(() => {});
    }
  }

  async figures(): Promise<Figure[]> {
    const { snapshots, gaps } = this.feed.counts;
    const withheld = this.venue?.stats.withheld ?? gaps;
    const { sent, answered, told } = this.#requests;
    return [
      ...await this.#trader?.figures() ?? [],
      {
        ok: gaps === withheld && this.#gaps.size === 0,
        text: `${gaps} of ${withheld} gaps noticed and healed, ${snapshots} snapshots loaded`,
      },
      {
        ok: this.venue ? this.#refused === undefined : answered + told === sent,
        text: `${sent} requests, ${answered} answered: ${told} told 429 and repeated`,
      },
      ...await this.#compare(),
    ];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.feed.close();
    await this.#trader?.close();
    await this.#broker.close();
    await this.venue?.close();
  }

  /** Subscriptions that the venue holds for the connection. */
  get #held(): number {
    const followers = this.venue!.followers.filter(({ held }) => !held.has(USER_DATA));
    return followers.length === 1 ? followers[0].held.size : 0;
  }

  /** Compares with the venue itself, where it can be asked. */
  async #compare(): Promise<Figure[]> {
    const { venue } = this;
    if (!venue) return [];
    venue.freeze();
    const equal = () => {
      const { books } = this.feed;
      return SYMBOLS.filter((symbol) => {
        const { bids, asks } = books.get(symbol) ?? { bids: [], asks: [] };
        return JSON.stringify({ bids, asks }) === JSON.stringify(venue.book(symbol));
      }).length;
    };
    // What is under way still arrives.
    for (let tries = 0; tries < 100 && equal() < SYMBOLS.length; tries++) await delay(20);
    const lost = SUBSCRIPTIONS.length - this.#held;
    return [
      { ok: lost === 0, text: `${lost} of ${SUBSCRIPTIONS.length} subscriptions lost` },
      {
        ok: equal() === SYMBOLS.length,
        text: `${equal()} of ${SYMBOLS.length} books equal the venue's in the end, level by level`,
      },
    ];
  }

  #onFault(fault: Fault): void {
    this.#stage.strike(fault);
    if (fault === "corrupt") {
      this.#withheld = this.#stage.begin("venue withholds an event of a book");
    }
  }

  #onEvent(event: SessionEvent): void {
    if (event.type === "request") this.#requests.sent++;
    else if (event.type === "response" && event.status === 200) this.#onAnswer();
    else if (event.type === "failure" && event.error.status === 429) this.#onRefusal(event.error);
  }

  #onAnswer(): void {
    this.#requests.answered++;
    if (!this.#refused) return;
    this.#stage.step(this.#refused, "answered", "good");
    this.#refused = undefined;
  }

  #onRefusal({ retryAfter = 0 }: BrokerError): void {
    this.#requests.told++;
    this.#refused ??= this.#stage.begin("venue answers with 429");
    const why = `told 429, Retry-After ${seconds(retryAfter)}`;
    this.#stage.step(this.#refused, `${why}: everything pauses, then is repeated`);
  }

  #onItem(item: BinanceItem): void {
    if (item.channel !== "book") return;
    const { symbol, type, updateId } = item;
    const gap = this.#gaps.get(symbol);
    if (type === "lost") {
      const story = this.#withheld ?? this.#stage.begin("an event is missing");
      this.#withheld = undefined;
      this.#stage.step(
        story,
        `${symbol} ends with ${updateId}: gap noticed, loading a new snapshot`,
      );
      this.#gaps.set(symbol, story);
      return;
    }
    const { count = 0 } = this.#books.get(symbol) ?? {};
    this.#books.set(symbol, { book: item, count: count + 1 });
    if (!gap) return;
    const taken = Math.ceil(this.#stage.elapsed - gap.at);
    this.#stage.step(gap, `complete again after ${taken} ms`, "good");
    this.#gaps.delete(symbol);
  }
}
