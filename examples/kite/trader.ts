/**
 * The demo's trader: places orders with play money, one of which gets no answer, and follows all
 * on the feed. Then it asks for prices.
 *
 * @module
 */

import { BrokerError } from "@aio-trader/core";
import { delay } from "@std/async/delay";
import type { Figure, Stage } from "../stage.ts";
import { seconds, type Story, type Window } from "../view.ts";
import { KiteBroker, type KiteOrder, type KiteOrderRequest } from "./broker.ts";
import type { KiteSimulator } from "./simulator.ts";

const NIFTY = 256_265;

const INFY = {
  exchange: "NSE",
  tradingsymbol: "INFY",
  transaction_type: "BUY",
  product: "CNC",
  quantity: 1,
} as const;

/** How many orders the trader places. The venue loses the answer to the second. */
const ORDERS = 3;

/** States on the way. */
const STEPS: ReadonlySet<string> = new Set(["OPEN", "UPDATE"]);

/** A broker at work. */
export class KiteTrader {
  /** The broker. */
  readonly broker: KiteBroker;
  readonly #stage: Stage;
  readonly #venue: KiteSimulator | undefined;
  readonly #requests = { made: 0, answered: 0, told: 0 };
  readonly #placed: string[] = [];
  /** Updates that the feed told, by order. */
  readonly #told = new Map<string, string[]>();
  /** The story of a request that was refused, until it is answered. */
  #refused: Story | undefined;

  /**
   * Prepares a broker.
   *
   * @param stage Tells the story.
   * @param venue The simulator; without it, there is no trading, for it would be with real money.
   */
  constructor(stage: Stage, venue: KiteSimulator | undefined) {
    this.#stage = stage;
    this.#venue = venue;
    this.broker = new KiteBroker({
      baseUrl: venue?.httpUrl,
      retry: { maxRetries: 2, baseWait: 1_000, jitter: 0.5 },
      onEvent: (event) => {
        if (event.type === "retry") this.#onRefusal(event.error, event.delay);
        else if (event.type === "response" && event.attempt > 1) this.#onRepeated(event.status);
      },
    });
  }

  /**
   * Takes note of an update.
   *
   * @param order The order, as the feed told it.
   */
  follow({ order_id, status }: KiteOrder): void {
    this.#told.set(order_id, [...this.#told.get(order_id) ?? [], status]);
  }

  /** Notes that the next request will be refused for its haste. */
  expectRefusal(): void {
    this.#refused = this.#stage.begin("venue answers the next REST request with 429");
  }

  /** How many requests wait, and how the others ended. */
  requests(): { queue: number; asked: string[]; windows: Window[] } {
    const { answered, told } = this.#requests;
    const queue = Object.values(this.broker.throttlers).reduce((sum, { size }) => sum + size, 0);
    const updates = [...this.#told.values()].flat().length;
    const orders = [`${this.#placed.length} orders`, `${updates} updates of them`];
    const { quotes, orders: places } = this.broker.throttlers;
    const windows = [
      { name: "orders: 10 per second", limit: 10, spent: 10 - places.available },
      { name: "quotes: 1 per second", limit: 1, spent: 1 - quotes.available },
    ];
    return { queue, asked: [`${answered} answered`, `${told} told 429`, ...orders], windows };
  }

  /** Places orders, then asks for prices every two seconds, until the signal aborts. */
  async work(signal: AbortSignal): Promise<void> {
    const calls: Promise<void>[] = [];
    if (this.#venue) calls.push(this.#trade(this.#venue, signal));
    while (!signal.aborted) {
      const range = { from: Date.now() - 600_000, to: Date.now() };
      calls.push(this.#ask(() => this.broker.ltp("NSE:INFY")));
      calls.push(this.#ask(() => this.broker.candles(NIFTY, "minute", range)));
      await delay(2_000, { signal }).catch(() => {});
    }
    await Promise.all(calls);
  }

  /** The result, in figures. */
  async figures(): Promise<Figure[]> {
    const { made, answered, told } = this.#requests;
    const text = `${answered} of ${made} requests answered, ${told} told 429 and repeated`;
    const requests = { ok: answered === made, text };
    return this.#venue ? [await this.#compare(this.#venue), requests] : [requests];
  }

  /** Compares the feed's updates with the order book of the venue. */
  async #compare({ desk }: KiteSimulator): Promise<Figure> {
    const book = () => desk.orders.map(({ order_id, status }) => `${order_id} ${status}`).join();
    // An order may be told on its way; its end is told once.
    const ends = () =>
      desk.orders.map(({ order_id }) => {
        const told = this.#told.get(order_id) ?? [];
        return `${order_id} ${told.filter((status) => !STEPS.has(status)).join(" ")}`;
      }).join();
    for (let i = 0; i < 100 && book() !== ends(); i++) await delay(20);
    const { placed } = desk.executions;
    const isOnce = placed === ORDERS &&
      desk.orders.every(({ order_id }) => this.#placed.includes(order_id));
    return {
      ok: isOnce && book() === ends(),
      text: `${placed} of ${ORDERS} orders executed, each once, also the one whose answer was ` +
        "lost; the feed told what the venue's book has",
    };
  }

  /** Places the orders, each followed to its end, unless the signal aborts. */
  async #trade(venue: KiteSimulator, signal: AbortSignal): Promise<void> {
    for (let number = 1; number <= ORDERS && !signal.aborted; number++) {
      const isLimit = number === ORDERS;
      const how = isLimit ? "below the market, then at it" : "at the market";
      const story = this.#stage.begin(`order ${number}: buy 1 INFY ${how}`, "order");
      try {
        if (number === 2) {
          venue.loseAnswer();
          this.#stage.step(story, "venue executes it and answers 400, its fate is unknown");
        }
        const price = Math.floor(venue.listings.get(408_065)!.lastPrice * 0.99);
        const order_id = await this.#place(
          isLimit ? { ...INFY, order_type: "LIMIT", price } : { ...INFY, order_type: "MARKET" },
        );
        this.#placed.push(order_id);
        const found = number === 2 ? "found by its tag, placed once" : "placed";
        this.#stage.step(story, `${found}: ${order_id}`);
        if (isLimit) await this.broker.modifyOrder(order_id, { order_type: "MARKET" });
        await this.#awaitEnd(story, order_id, signal);
      } catch (error) {
        this.#stage.step(story, (error as Error).message, "bad");
      }
    }
  }

  /** Places an order: again if it was refused for haste, never if its fate is unknown. */
  async #place(order: KiteOrderRequest): Promise<string> {
    try {
      return (await this.broker.placeOrder(order)).order_id;
    } catch (error) {
      if (!(error instanceof BrokerError) || error.kind !== "rate-limited") throw error;
      this.#onRefusal(error, 1_000);
      await delay(1_000);
      const { order_id } = await this.broker.placeOrder(order);
      this.#onRepeated(200);
      return order_id;
    }
  }

  async #awaitEnd(story: Story, order_id: string, signal: AbortSignal): Promise<void> {
    const told = () => this.#told.get(order_id) ?? [];
    for (let i = 0; i < 500 && !told().includes("COMPLETE") && !signal.aborted; i++) {
      await delay(20);
    }
    const isFilled = told().includes("COMPLETE");
    const text = told().join(", then ") || "nothing";
    this.#stage.step(story, `feed tells ${text}`, isFilled ? "good" : "bad");
  }

  async #ask(request: () => Promise<unknown>): Promise<void> {
    this.#requests.made++;
    try {
      await request();
      this.#requests.answered++;
    } catch (error) {
      if (!(error instanceof BrokerError)) throw error;
      if (error.kind !== "closed") this.#stage.note(`a request failed: ${error.message}`);
    }
  }

  #onRefusal({ status }: BrokerError, delay: number): void {
    if (status !== 429) return;
    this.#requests.told++;
    this.#refused ??= this.#stage.begin("venue answers with 429");
    const told = `told 429: nothing was done, repeated in ${seconds(delay)}`;
    this.#stage.step(this.#refused, told);
  }

  #onRepeated(status: number): void {
    if (status !== 200 || !this.#refused || this.#refused.steps.length === 1) return;
    this.#stage.step(this.#refused, "answered", "good");
    this.#refused = undefined;
  }
}
