/**
 * Kraken's part of the demo.
 *
 * @module
 */

import { BrokerError } from "@aio-trader/core";
import type { Fault } from "../simulator.ts";
import type { Figure, Show, ShowOptions, Stage } from "../stage.ts";
import { grouped, type Ladder, seconds, type Story, type Window } from "../view.ts";
import { KrakenBroker } from "./broker.ts";
import { type KrakenBook, KrakenFeed, type KrakenItem, type KrakenSubscription } from "./feed.ts";
import { KrakenSimulator } from "./simulator.ts";
import { KrakenTrader } from "./trader.ts";

const SYMBOLS = ["BTC/USD", "ETH/USD", "DOGE/USD"];

const SUBSCRIPTIONS: readonly KrakenSubscription[] = [
  ...SYMBOLS.map((symbol) => ({ channel: "book", symbol } as const)),
  ...SYMBOLS.map((symbol) => ({ channel: "trade", symbol } as const)),
  { channel: "ticker", symbol: "BTC/USD" },
];

/** A feed of three books, and a broker that asks more than it may. */
export class KrakenShow implements Show {
  readonly title: string;
  readonly feed: KrakenFeed;
  /** The simulator; absent with the real venue. */
  readonly venue: KrakenSimulator | undefined;
  readonly #stage: Stage;
  readonly #broker: KrakenBroker;
  /** Places orders at the simulator; absent with the real venue. */
  readonly #trader: KrakenTrader | undefined;
  /** The latest book of each symbol, and how many were verified. */
  readonly #books = new Map<string, { book: KrakenBook; verified: number }>();
  readonly #requests = { made: 0, answered: 0, throttled: 0, told: 0 };
  /** What was done wrong on purpose. */
  readonly #injected = { checksums: 0, refusals: 0 };
  /** Stories that are not over: of wrong checksums by symbol, and of a request that was refused. */
  readonly #mismatches = new Map<string, Story>();
  #corrupted: Story | undefined;
  #refused: Story | undefined;
  /**
   * Whether a private call was refused. An order is placed again by a call of its own, a backfill
   * may end with its connection: then the next private call is answered.
   */
  #isPrivate = false;

  /**
   * Prepares the venue, the feed and the broker.
   *
   * @param options Where it happens and how.
   */
  constructor({ stage, live, seed, faults }: ShowOptions) {
    this.#stage = stage;
    this.title = `@aio-trader/core · Kraken${live ? "" : ", simulated on 127.0.0.1"}`;
    const onFault = (fault: Fault) => this.#onFault(fault);
    this.venue = live ? undefined : new KrakenSimulator({ seed, faults, onFault });
    this.feed = new KrakenFeed(
      this.venue && {
        url: `${this.venue.wsUrl}/v2`,
        // Shorter than one would choose for the real venue: the demo is short.
        staleAfter: 2_000,
        pingInterval: 1_000,
        baseWait: 400,
        resetRetryAfter: 2_000,
      },
    );
    this.feed.subscribe(...SUBSCRIPTIONS);
    this.feed.on("item", (item) => this.#onItem(item));
    this.#broker = new KrakenBroker({
      baseUrl: this.venue?.httpUrl,
      retry: { maxRetries: 2, baseWait: 1_000, jitter: 0.5 },
      onEvent: (event) => {
        if (event.type === "failure") this.#onRefusal(event.error, event.url);
        else if (event.type === "response") {
          const isNext = this.#isPrivate && isPrivate(event.url);
          if (event.attempt > 1 || isNext) this.#onRepeated(event.status);
        }
      },
    });
    this.#trader = this.venue && new KrakenTrader(stage, this.venue, this.#broker);
  }

  get pending(): number {
    return this.venue?.pending ?? 0;
  }

  /** Every book is verified and, where the venue can be asked, it holds every subscription. */
  isWhole(): boolean {
    if (this.feed.books.size < SYMBOLS.length) return false;
    return this.venue === undefined || this.#held === SUBSCRIPTIONS.length;
  }

  ladders(): Ladder[] {
    return SYMBOLS.map((name) => {
      const { book: { bids, asks } = { bids: [], asks: [] }, verified = 0 } =
        this.#books.get(name) ?? {};
      const valid = this.feed.state === "live" && this.feed.books.has(name);
      return { name, note: valid ? `✓ ${grouped(verified)}` : "not valid", valid, bids, asks };
    });
  }

  requests(): { queue: number; asked: string[]; windows: Window[] } {
    const { answered, throttled, told } = this.#requests;
    const asked = [`${answered} answered`, `${throttled} throttled`, `${told} told 429`];
    const { throttler, counter } = this.#broker;
    const windows = [
      { name: "public: 1 per second", limit: 1, spent: 1 - throttler.available },
      { name: "private: 14 per 42 seconds", limit: 14, spent: 14 - counter.available },
    ];
    return { queue: throttler.size, asked, windows };
  }

  async open(): Promise<void> {
    try {
      await this.#broker.time();
      await this.#trader?.open();
    } catch (error) {
      if (!(error instanceof BrokerError)) throw error;
      const hint = this.venue ? "" : "; without --live the demo needs no network";
      throw new Error(`Cannot reach Kraken: ${error.message}${hint}`, { cause: error });
    }
  }

  /** Places orders, then asks for three things at once every four seconds: one may go. */
  async work(signal: AbortSignal): Promise<void> {
    await this.#trader?.work(signal);
    if (signal.aborted) return;
    const calls = new Set<Promise<void>>();
    const burst = () => {
      for (
        const ask of [
          () => this.#broker.time(),
          () => this.#broker.assetPairs(...SYMBOLS),
          () => this.#broker.ticker(...SYMBOLS),
        ]
      ) {
        const call = this.#ask(ask).finally(() => calls.delete(call));
        calls.add(call);
      }
    };
    burst();
    const timer = setInterval(burst, 4_000);
    await new Promise((resolve) => signal.addEventListener("abort", resolve));
    clearInterval(timer);
    await Promise.all(calls);
  }

  async figures(): Promise<Figure[]> {
    const { verified, failed } = this.feed.checksums;
    const { made, answered, throttled, told } = this.#requests;
    const { checksums, refusals } = this.#injected;
    const purpose = failed === checksums ? "on purpose, healed" : `(${checksums} on purpose)`;
    const wrong = failed > 0 ? `, ${failed} wrong ${purpose}` : "";
    return [
      ...await this.#trader?.figures() ?? [],
      {
        ok: failed === checksums && this.#mismatches.size === 0,
        text: `${grouped(verified)} of ${grouped(verified + failed)} checksums verified${wrong}`,
      },
      {
        ok: answered === made && (this.venue === undefined || told === refusals),
        text: `${answered} of ${made} requests answered: ${throttled} throttled, ` +
          `${told} told 429 and repeated`,
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
    const followers = this.venue!.followers.filter(({ held }) => !held.has("executions"));
    return followers.length === 1 ? followers[0].held.size : 0;
  }

  /** Compares with the venue itself, where it can be asked. */
  async #compare(): Promise<Figure[]> {
    const { venue } = this;
    if (!venue) return [];
    venue.freeze();
    const equal = () =>
      SYMBOLS.filter((symbol) => {
        const { bids, asks } = this.feed.books.get(symbol) ?? { bids: [], asks: [] };
        return JSON.stringify({ bids, asks }) === JSON.stringify(venue.book(symbol));
      }).length;
    // What is under way still arrives.
    for (let tries = 0; tries < 100 && equal() < SYMBOLS.length; tries++) {
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    const lost = SUBSCRIPTIONS.length - this.#held;
    return [
      { ok: lost === 0, text: `${lost} of ${SUBSCRIPTIONS.length} subscriptions lost` },
      {
        ok: equal() === SYMBOLS.length,
        text: `${equal()} of ${SYMBOLS.length} books equal the venue's in the end, level by level`,
      },
    ];
  }

  async #ask(request: () => Promise<unknown>): Promise<void> {
    this.#requests.made++;
    if (this.#broker.throttler.waitTime() > 0) this.#requests.throttled++;
    try {
      await request();
      this.#requests.answered++;
    } catch (error) {
      if (!(error instanceof BrokerError)) throw error;
      if (error.kind !== "closed") this.#stage.note(`a request failed: ${error.message}`);
    }
  }

  #onFault(fault: Fault): void {
    this.#stage.strike(fault);
    if (fault === "corrupt") {
      this.#injected.checksums++;
      this.#corrupted = this.#stage.begin("venue sends a wrong checksum");
    } else if (fault === "throttle") {
      this.#injected.refusals++;
      this.#refused = this.#stage.begin("venue answers the next REST request with 429");
    }
  }

  #onItem(item: KrakenItem): void {
    if (item.channel !== "book") return;
    const { symbol, type } = item;
    const story = this.#mismatches.get(symbol);
    if (type === "mismatch") {
      const told = this.#corrupted ?? this.#stage.begin("a wrong checksum");
      this.#corrupted = undefined;
      this.#stage.step(told, `caught, resubscribing ${symbol} on the same socket`);
      this.#mismatches.set(symbol, told);
      return;
    }
    const { verified = 0 } = this.#books.get(symbol) ?? {};
    this.#books.set(symbol, { book: item, verified: verified + 1 });
    if (!story) return;
    const gap = Math.ceil(this.#stage.elapsed - story.at);
    this.#stage.step(story, `verified again after ${gap} ms`, "good");
    this.#mismatches.delete(symbol);
  }

  #onRefusal({ status, retryAfter = 0 }: BrokerError, url: string): void {
    if (status !== 429) return;
    this.#requests.told++;
    this.#refused ??= this.#stage.begin("venue answers with 429");
    const why = `told 429, Retry-After ${seconds(retryAfter)}`;
    this.#stage.step(this.#refused, `${why}: the queue pauses, then asks again`);
    this.#isPrivate = isPrivate(url);
  }

  #onRepeated(status: number): void {
    if (status !== 200 || !this.#refused) return;
    this.#stage.step(this.#refused, "answered", "good");
    this.#refused = undefined;
    this.#isPrivate = false;
  }
}

function isPrivate(url: string): boolean {
  return url.includes("/private/");
}
