/**
 * The demo's trader: asks Kite for prices, and trades with nobody's money over a network that loses
 * an answer.
 *
 * @module
 */

import { BrokerError } from "@aio-trader/core";
import { delay } from "@std/async/delay";
import type { Figure, Stage } from "../stage.ts";
import { seconds, type Story } from "../view.ts";
import { KiteBroker, type KiteOrderRequest } from "./broker.ts";
import type { KiteSimulator } from "./simulator.ts";

const NIFTY = 256_265;

const ORDER: KiteOrderRequest = {
  exchange: "NSE",
  tradingsymbol: "INFY",
  transaction_type: "BUY",
  order_type: "MARKET",
  product: "CNC",
  quantity: 1,
};

/** Which order's answer is lost on its way. */
const LOST_ORDER = 3;

/** A broker and what it is asked. */
export class KiteTrader {
  /** What is traded with. */
  readonly broker: KiteBroker;
  /** Updates of orders that the feed has told. */
  updates = 0;
  readonly #stage: Stage;
  readonly #venue: KiteSimulator | undefined;
  readonly #requests = { made: 0, answered: 0, told: 0 };
  readonly #orders = { wanted: 0, found: 0 };
  /** The story of a request that was refused, until it is answered. */
  #refused: Story | undefined;

  /**
   * Prepares a broker.
   *
   * @param stage Where it is told what happens.
   * @param venue The simulator; without it, there is no trading, for it would be with real money.
   */
  constructor(stage: Stage, venue: KiteSimulator | undefined) {
    this.#stage = stage;
    this.#venue = venue;
    this.broker = new KiteBroker({
      baseUrl: venue?.httpUrl,
      retry: { maxRetries: 2, baseWait: 1_000, jitter: 0.5 },
      fetch: (url, init) => this.#fetch(url, init),
      onEvent: (event) => {
        if (event.type === "retry") this.#onRefusal(event.error, event.delay);
        else if (event.type === "response" && event.attempt > 1) this.#onRepeated(event.status);
      },
    });
  }

  /** Notes that the next request will be refused for its haste. */
  expectRefusal(): void {
    this.#refused = this.#stage.begin("venue answers the next REST request with 429");
  }

  /** How many requests wait, and what became of the others. */
  requests(): { queue: number; asked: string[] } {
    const { answered, told } = this.#requests;
    const queue = Object.values(this.broker.throttlers).reduce((sum, { size }) => sum + size, 0);
    const orders = [`${this.#orders.wanted} orders`, `${this.updates} updates of them`];
    return { queue, asked: [`${answered} answered`, `${told} told 429`, ...orders] };
  }

  /** Asks and trades every two seconds, until the signal aborts. */
  async work(signal: AbortSignal): Promise<void> {
    const calls: Promise<void>[] = [];
    while (!signal.aborted) {
      const range = { from: Date.now() - 600_000, to: Date.now() };
      calls.push(this.#ask(() => this.broker.ltp("NSE:INFY")));
      calls.push(this.#ask(() => this.broker.candles(NIFTY, "minute", range)));
      if (this.#venue) calls.push(this.#ask(() => this.#trade(`demo${++this.#orders.wanted}`)));
      await delay(2_000, { signal }).catch(() => {});
    }
    await Promise.all(calls);
  }

  /** What has come of it all. */
  figures(): Figure[] {
    const { made, answered, told } = this.#requests;
    const text = `${answered} of ${made} requests answered, ${told} told 429 and repeated`;
    const requests = { ok: answered === made, text };
    if (!this.#venue) return [requests];
    const { wanted, found } = this.#orders;
    const { orders, executions: { placed } } = this.#venue.desk;
    const tags = new Set(orders.map(({ tag }) => tag));
    const lost = found > 0 ? ", also the one whose answer was lost" : "";
    return [requests, {
      ok: placed === wanted && tags.size === wanted,
      text: `${placed} of ${wanted} orders executed, each once${lost}; ${this.updates} updates`,
    }];
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

  /** Places an order: again where it was refused for haste, but never where nobody knows. */
  async #trade(tag: string): Promise<void> {
    try {
      await this.broker.placeOrder({ ...ORDER, tag });
      this.#onRepeated(200);
    } catch (error) {
      if (!(error instanceof BrokerError) || error.kind === "closed") throw error;
      if (error.outcome === "unknown") return this.#lookUp(tag);
      if (error.kind !== "rate-limited") throw error;
      this.#onRefusal(error, 1_000);
      this.broker.throttlers.orders.pause(1_000);
      return this.#trade(tag);
    }
  }

  async #lookUp(tag: string): Promise<void> {
    const story = this.#stage.begin(`the answer to order ${tag} is lost: outcome "unknown"`);
    const found = (await this.broker.orders()).filter((order) => order.tag === tag).length;
    this.#orders.found += found;
    const told = `looked up by its tag: executed ${found} times, not placed again`;
    this.#stage.step(story, told.replace("1 times", "once"), found === 1 ? "good" : "bad");
  }

  /** A network that loses the answer to one order, which the venue has executed. */
  async #fetch(...[url, init]: Parameters<typeof fetch>): Promise<Response> {
    const response = await fetch(url, init);
    const isOrder = response.ok && init?.method === "POST" && `${url}`.endsWith("/orders/regular");
    if (!isOrder || this.#venue?.desk.executions.placed !== LOST_ORDER) return response;
    await response.body?.cancel();
    throw new TypeError("connection reset");
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
