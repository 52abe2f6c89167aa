/**
 * Bybit's part of the demo.
 *
 * @module
 */

import { BrokerError } from "@aio-trader/core";
import type { Fault } from "../simulator.ts";
import type { Figure, Show, ShowOptions, Stage } from "../stage.ts";
import { grouped, type Ladder, type Story, type Window } from "../view.ts";
import { BybitBroker } from "./broker.ts";
import { type BybitBook, BybitFeed, type BybitTrade } from "./feed.ts";
import { BybitSimulator } from "./simulator.ts";
import { BybitTrader } from "./trader.ts";

const SYMBOLS = ["BTCUSDT", "ETHUSDT"];
const BOOKS = SYMBOLS.map((symbol) => `orderbook.50.${symbol}`);
const TOPICS = [...BOOKS, ...SYMBOLS.map((symbol) => `publicTrade.${symbol}`)];

/** A feed of two books, and a broker that trades and asks. */
export class BybitShow implements Show {
  readonly title: string;
  readonly feed: BybitFeed;
  /** The simulator; absent with the real venue. */
  readonly venue: BybitSimulator | undefined;
  readonly #stage: Stage;
  readonly #broker: BybitBroker;
  /** Places orders at the simulator; absent with the real venue. */
  readonly #trader: BybitTrader | undefined;
  readonly #updates = new Map<string, number>();
  readonly #requests = { made: 0, answered: 0, told: 0 };
  /** What was done wrong on purpose. */
  readonly #injected = { holes: 0, refusals: 0 };
  /** Stories that are not over: of holes by symbol, of a hole that is not seen, of a refusal. */
  readonly #holes = new Map<string, Story>();
  #hole: Story | undefined;
  #refused: Story | undefined;
  /** Whether the refusal has arrived, so that the next answer ends its story. */
  #isHeard = false;

  private constructor(
    { stage, live }: ShowOptions,
    open: (onFault: (fault: Fault) => void) => BybitSimulator | undefined,
  ) {
    this.#stage = stage;
    this.title = `@aio-trader/core · Bybit${live ? "" : ", simulated on 127.0.0.1"}`;
    this.venue = open((fault) => this.#onFault(fault));
    this.feed = new BybitFeed(
      this.venue && {
        url: this.venue.urls.public,
        // Shorter than one would choose for the real venue: the demo is short.
        ...{ staleAfter: 2_000, pingInterval: 1_000, baseWait: 400, resetRetryAfter: 2_000 },
      },
    );
    this.feed.subscribe(...TOPICS);
    this.feed.on("item", (item) => this.#onItem(item));
    this.#broker = new BybitBroker({
      baseUrl: this.venue?.httpUrl,
      retry: { maxRetries: 2, baseWait: 500, jitter: 0.5 },
      onEvent: (event) => {
        if (event.type === "failure" && event.error.code === 10006) this.#onRefusal(event.error);
        else if (event.type === "response") this.#onResponse();
      },
    });
    this.#trader = this.venue && new BybitTrader(stage, this.venue, this.#broker);
  }

  /**
   * Prepares the venue, the feed and the broker.
   *
   * @param options Where it happens and how.
   * @returns The show.
   */
  static async open(options: ShowOptions): Promise<BybitShow> {
    const { live, seed, faults } = options;
    // The venue listens before the show that its faults are told to.
    let onFault = (_fault: Fault) => {};
    const venue = live
      ? undefined
      : await BybitSimulator.open({ seed, faults, onFault: (fault) => onFault(fault) });
    return new BybitShow(options, (told) => {
      onFault = told;
      return venue;
    });
  }

  get pending(): number {
    return this.venue?.pending ?? 0;
  }

  /** Every book stands and, where the venue can be asked, it holds every subscription. */
  isWhole(): boolean {
    if (this.feed.books.size < BOOKS.length) return false;
    return this.venue === undefined || this.#held === TOPICS.length;
  }

  ladders(): Ladder[] {
    return SYMBOLS.map((name, i) => {
      const book = this.feed.books.get(BOOKS[i]);
      const valid = this.feed.state === "live" && book !== undefined;
      const note = valid ? `✓ ${grouped(this.#updates.get(name) ?? 0)}` : "not valid";
      return { name, note, valid, bids: book?.bids ?? [], asks: book?.asks ?? [] };
    });
  }

  requests(): { queue: number; asked: string[]; windows: Window[] } {
    const { orders, queries } = this.#broker;
    const { answered, told } = this.#requests;
    const windows = [
      { name: "orders: 10 per second", limit: 10, spent: 10 - orders.available },
      { name: "queries: 40 per second", limit: 40, spent: 40 - queries.available },
    ];
    const asked = [`${answered} answered`, `${told} told 10006`];
    return { queue: orders.size + queries.size, asked, windows };
  }

  async open(): Promise<void> {
    try {
      await this.#broker.time();
      await this.#trader?.open();
    } catch (error) {
      if (!(error instanceof BrokerError)) throw error;
      const hint = this.venue ? "" : "; without --live the demo needs no network";
      throw new Error(`Cannot reach Bybit: ${error.message}${hint}`, { cause: error });
    }
  }

  /** Places orders, then asks something every second. */
  async work(signal: AbortSignal): Promise<void> {
    await this.#trader?.work(signal);
    if (signal.aborted) return;
    const calls = new Set<Promise<void>>();
    const ask = () => {
      const call = this.#ask().finally(() => calls.delete(call));
      calls.add(call);
    };
    ask();
    const timer = setInterval(ask, 1_000);
    await new Promise((resolve) => signal.addEventListener("abort", resolve));
    clearInterval(timer);
    await Promise.all(calls);
  }

  async figures(): Promise<Figure[]> {
    const { made, answered, told } = this.#requests;
    const { holes, refusals } = this.#injected;
    const updates = [...this.#updates.values()].reduce((sum, one) => sum + one, 0);
    const isTold = this.venue === undefined || told === refusals;
    return [
      ...await this.#trader?.figures() ?? [],
      {
        ok: (this.venue === undefined || this.feed.holes === holes) && this.#holes.size === 0,
        text: `${grouped(updates)} updates of books in order; holes told and healed: ` +
          `${this.feed.holes} (${holes} on purpose)`,
      },
      {
        ok: answered === made && isTold,
        text: `${answered} of ${made} queries answered; told 10006 and repeated: ${told}`,
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
    const { followers } = this.venue!;
    return followers.length === 1 ? followers[0].held.size : 0;
  }

  /** Compares with the venue itself, where it can be asked. */
  async #compare(): Promise<Figure[]> {
    const { venue } = this;
    if (!venue) return [];
    venue.freeze();
    const equal = () =>
      BOOKS.filter((topic) => {
        const { bids, asks } = this.feed.books.get(topic) ?? { bids: [], asks: [] };
        return JSON.stringify({ bids, asks }) === JSON.stringify(venue.book(topic));
      }).length;
    // What is under way still arrives.
    for (let tries = 0; tries < 100 && equal() < BOOKS.length; tries++) {
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    const lost = TOPICS.length - this.#held;
    return [
      { ok: lost === 0, text: `${lost} of ${TOPICS.length} subscriptions lost` },
      {
        ok: equal() === BOOKS.length,
        text: `${equal()} of ${BOOKS.length} books equal the venue's in the end, level by level`,
      },
    ];
  }

  async #ask(): Promise<void> {
    this.#requests.made++;
    try {
      await (this.venue ? this.#broker.balance() : this.#broker.time());
      this.#requests.answered++;
    } catch (error) {
      if (!(error instanceof BrokerError)) throw error;
      if (error.kind !== "closed") this.#stage.note(`a request failed: ${error.message}`);
    }
  }

  #onFault(fault: Fault): void {
    this.#stage.strike(fault);
    if (fault === "corrupt") {
      this.#injected.holes++;
      this.#hole = this.#stage.begin("venue leaves out an update of a book");
    } else if (fault === "throttle") {
      this.#injected.refusals++;
      this.#refused = this.#stage.begin("venue answers the next request with code 10006");
    }
  }

  #onItem(item: BybitBook | BybitTrade): void {
    if (item.topic !== "orderbook") return;
    const { symbol, type } = item;
    if (type === "gap") {
      const story = this.#hole ?? this.#stage.begin("a hole in the numbers of a book");
      this.#hole = undefined;
      this.#stage.step(story, `hole noticed, resubscribing ${symbol} on the same socket`);
      this.#holes.set(symbol, story);
      return;
    }
    this.#updates.set(symbol, (this.#updates.get(symbol) ?? 0) + 1);
    const story = this.#holes.get(symbol);
    if (!story) return;
    const gap = Math.ceil(this.#stage.elapsed - story.at);
    this.#stage.step(story, `complete again after ${gap} ms`, "good");
    this.#holes.delete(symbol);
  }

  #onRefusal({ retryAfter = 0 }: BrokerError): void {
    this.#requests.told++;
    this.#refused ??= this.#stage.begin("venue answers with code 10006");
    this.#stage.step(this.#refused, `told 10006, all such requests pause for ${retryAfter} ms`);
    this.#isHeard = true;
  }

  #onResponse(): void {
    if (!this.#isHeard || !this.#refused) return;
    this.#stage.step(this.#refused, "answered", "good");
    this.#refused = undefined;
    this.#isHeard = false;
  }
}
