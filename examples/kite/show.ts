/**
 * Kite's part of the demo.
 *
 * @module
 */

import { BrokerError, type FeedError } from "@aio-trader/core";
import { delay } from "@std/async/delay";
import type { Fault } from "../simulator.ts";
import type { Figure, Show, ShowOptions, Stage } from "../stage.ts";
import { grouped, type Ladder, type Story, type Window } from "../view.ts";
import { KiteFeed, type KiteSubscription } from "./feed.ts";
import { INSTRUMENTS } from "./listing.ts";
import { KiteSimulator } from "./simulator.ts";
import { type KiteLevel, type Tick, TickError } from "./ticks.ts";
import { KiteTrader } from "./trader.ts";

/** Shown as order books. With the real venue there are no futures, whose tokens change. */
const LADDERS = [408_065, 412_675, 109_134_599];
const LIVE_LADDERS = [408_065, 884_737];
const NIFTY = 256_265;

/** A feed of every segment in every mode, and a broker that trades. */
export class KiteShow implements Show {
  readonly title: string;
  readonly feed: KiteFeed;
  /** The simulator; absent with the real venue. */
  readonly venue: KiteSimulator | undefined;
  readonly #stage: Stage;
  readonly #trader: KiteTrader;
  readonly #ladders: readonly number[];
  /** The latest tick of each token, how many there were, and which came on this connection. */
  readonly #ticks = new Map<number, { tick: Tick; count: number }>();
  readonly #fresh = new Set<number>();
  readonly #cuts = { made: 0, caught: 0 };
  /** The story of a frame that was cut short, until it is read. */
  #cut: Story | undefined;

  /**
   * Prepares the venue, the feed and the broker.
   *
   * @param options Where it happens and how.
   */
  constructor({ stage, live, seed, faults }: ShowOptions) {
    this.#stage = stage;
    this.title = `@aio-trader/core · Kite${live ? "" : ", simulated on 127.0.0.1"}`;
    this.#ladders = live ? LIVE_LADDERS : LADDERS;
    const onFault = (fault: Fault) => this.#onFault(fault);
    this.venue = live ? undefined : new KiteSimulator({ seed, faults, onFault });
    this.#trader = new KiteTrader(stage, this.venue);
    this.feed = new KiteFeed(
      () => this.#trader.broker.access,
      {
        broker: this.#trader.broker,
        ...this.venue && {
          url: this.venue.wsUrl,
          // Shorter than one would choose for the real venue: the demo is short.
          staleAfter: 2_000,
          baseWait: 400,
          resetRetryAfter: 2_000,
        },
      },
    );
    this.feed.subscribe(...this.#subscriptions());
    this.feed.on("item", (tick) => this.#onTick(tick));
    this.feed.on("state", ({ state }) => {
      if (state !== "live") this.#fresh.clear();
    });
    this.feed.orders.on("item", (order) => this.#trader.follow(order));
  }

  get pending(): number {
    return this.venue?.pending ?? 0;
  }

  /** Everything was delivered on this connection and, where the venue can be asked, it holds it all. */
  isWhole(): boolean {
    const { size } = this.feed.subscriptions;
    return this.#fresh.size === size && (this.venue === undefined || this.#held === size);
  }

  isExpected(error: FeedError): boolean {
    if (!(error instanceof TickError) || !this.#cut) return false;
    this.#cuts.caught++;
    const told = `caught, the ${error.ticks.length} ticks before the cut delivered`;
    this.#stage.step(this.#cut, told, "good");
    this.#cut = undefined;
    return true;
  }

  ladders(): Ladder[] {
    return this.#ladders.map((token) => {
      const { symbol = `${token}`, priceDecimals = 2 } = INSTRUMENTS.find((it) =>
        it.token === token
      ) ?? {};
      const { tick, count = 0 } = this.#ticks.get(token) ?? {};
      const { buy = [], sell = [] } = tick?.depth ?? {};
      const valid = this.feed.state === "live" && this.#fresh.has(token);
      const rows = (levels: readonly KiteLevel[]) =>
        levels.map(({ price, quantity }) => ({
          price: price.toFixed(priceDecimals),
          qty: `${quantity}`,
        }));
      const note = valid ? `✓ ${grouped(count)}` : "not valid";
      return { name: symbol, note, valid, bids: rows(buy), asks: rows(sell) };
    });
  }

  requests(): { queue: number; asked: string[]; windows: Window[] } {
    return this.#trader.requests();
  }

  async open(): Promise<void> {
    const apiKey = this.venue ? "" : Deno.env.get("KITE_API_KEY");
    const accessToken = this.venue ? "" : Deno.env.get("KITE_ACCESS_TOKEN");
    if (apiKey === undefined || accessToken === undefined) {
      const wanted = "wanted KITE_API_KEY and KITE_ACCESS_TOKEN in the environment";
      throw new Error(`Cannot log in to Kite: ${wanted}; without --live the demo needs none`);
    }
    try {
      const { broker } = this.#trader;
      await broker.authorize(this.venue?.grant() ?? { apiKey, accessToken });
      await broker.profile();
    } catch (error) {
      if (!(error instanceof BrokerError)) throw error;
      const hint = this.venue ? "" : "; without --live the demo needs no network";
      throw new Error(`Cannot reach Kite: ${error.message}${hint}`, { cause: error });
    }
  }

  work(signal: AbortSignal): Promise<void> {
    return this.#trader.work(signal);
  }

  async figures(): Promise<Figure[]> {
    const { made, caught } = this.#cuts;
    return [
      ...await this.#trader.figures(),
      ...this.venue
        ? [{ ok: caught === made, text: `${caught} of ${made} frames that were cut short caught` }]
        : [],
      ...await this.#compare(),
    ];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.feed.close();
    await this.#trader.broker.close();
    await this.venue?.close();
  }

  /** Every segment and every mode. */
  #subscriptions(): KiteSubscription[] {
    const full = [...this.#ladders, NIFTY].map((token) => ({ token, mode: "full" } as const));
    if (!this.venue) return full;
    const rest = INSTRUMENTS.filter(({ token }) => !full.some((it) => it.token === token));
    return [
      ...full,
      ...rest.map(({ token }, i) => ({ token, mode: i % 2 === 0 ? "quote" : "ltp" } as const)),
    ];
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
    const { size } = this.feed.subscriptions;
    const equal = () =>
      [...venue.listings].filter(([token, listing]) => {
        const { tick } = this.#ticks.get(token) ?? {};
        return tick?.last_price === listing.lastPrice &&
          (!tick.depth || JSON.stringify(tick.depth) === JSON.stringify(listing.depth()));
      }).length;
    // Ticks that are under way still arrive.
    for (let tries = 0; tries < 100 && equal() < size; tries++) await delay(20);
    const lost = size - this.#held;
    return [
      { ok: lost === 0, text: `${lost} of ${size} subscriptions lost` },
      {
        ok: equal() === size,
        text: `${equal()} of ${size} instruments equal the venue's in the end, price and depth`,
      },
    ];
  }

  #onFault(fault: Fault): void {
    this.#stage.strike(fault);
    if (fault === "corrupt") {
      this.#cuts.made++;
      this.#cut = this.#stage.begin("venue cuts a frame short");
    } else if (fault === "throttle") {
      this.#trader.expectRefusal();
    }
  }

  #onTick(tick: Tick): void {
    const { count = 0 } = this.#ticks.get(tick.instrument_token) ?? {};
    this.#ticks.set(tick.instrument_token, { tick, count: count + 1 });
    this.#fresh.add(tick.instrument_token);
  }
}
