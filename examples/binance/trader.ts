/**
 * The demo's trader: places orders with nobody's money, one of which the venue loses track of.
 *
 * @module
 */

import { BrokerError, type SessionEvent } from "@aio-trader/core";
import { delay } from "@std/async/delay";
import type { Figure, Stage } from "../stage.ts";
import { seconds, type Story } from "../view.ts";
import { BinanceBroker } from "./broker.ts";
import { type BinanceSimulator, LOGIN } from "./simulator.ts";

/** Of which order the venue loses track. */
const LOST_ORDER = 2;

/** A broker and what it is asked. */
export class BinanceTrader {
  /** What is traded with, and where the feed gets its snapshots. */
  readonly broker: BinanceBroker;
  readonly #stage: Stage;
  readonly #venue: BinanceSimulator | undefined;
  readonly #requests = { sent: 0, answered: 0, told: 0 };
  readonly #orders = { wanted: 0, placed: 0, lookedUp: 0 };
  /** Stories that are not over: of a request that was refused, and of an order without an answer. */
  #refused: Story | undefined;
  #unknown: Story | undefined;

  /**
   * Prepares a broker.
   *
   * @param stage Where it is told what happens.
   * @param venue The simulator; without it, there is no trading, for it would be with real money.
   */
  constructor(stage: Stage, venue: BinanceSimulator | undefined) {
    this.#stage = stage;
    this.#venue = venue;
    this.broker = new BinanceBroker({
      baseUrl: venue?.httpUrl,
      dataUrl: venue?.httpUrl,
      retry: { maxRetries: 2, baseWait: 1_000, jitter: 0.5 },
      onEvent: (event) => this.#onEvent(event),
    });
  }

  /** What the screen tells of it. */
  requests(): { queue: number; asked: string[] } {
    const { answered, told } = this.#requests;
    const { placed, lookedUp } = this.#orders;
    const { size: weights } = this.broker.weights;
    const asked = [`${answered} answered`, `${told} told 429`];
    if (this.#venue) asked.push(`${placed} orders placed`, `${lookedUp} looked up`);
    return { queue: weights + this.broker.orders.size, asked };
  }

  /**
   * Logs in, where there is something to log in to.
   *
   * @throws {Error} If the venue cannot be reached.
   */
  async open(): Promise<void> {
    try {
      if (this.#venue) await this.broker.authorize(LOGIN);
      await this.broker.time();
    } catch (error) {
      const hint = this.#venue ? "" : "; without --live the demo needs no network";
      throw new Error(`Cannot reach Binance: ${(error as Error).message}${hint}`, { cause: error });
    }
  }

  /** Places an order, or asks for a price, again and again until the signal aborts. */
  async work(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      try {
        if (this.#venue) await this.#trade(this.#venue);
        else await this.broker.quote("BTCUSDT");
      } catch (error) {
        const isClosed = error instanceof BrokerError && error.kind === "closed";
        if (!isClosed) this.#stage.note(`a request failed: ${(error as Error).message}`);
      }
      await delay(500, { signal }).catch(() => {});
    }
  }

  /** What became of the orders. */
  figures(): Figure[] {
    const { sent, answered, told } = this.#requests;
    const text = `${sent} requests, ${answered} answered: ${told} told 429 and repeated`;
    if (!this.#venue) return [{ ok: answered + told === sent, text }];
    const { wanted, placed, lookedUp } = this.#orders;
    const { orders, executed } = this.#venue.stats;
    const isGood = placed === wanted && executed === wanted && orders === wanted;
    return [
      { ok: this.#refused === undefined, text },
      {
        ok: isGood && lookedUp === (wanted >= LOST_ORDER ? 1 : 0),
        text: `${executed} of ${wanted} orders executed, each once, ` +
          `also the ${lookedUp} whose answer was lost`,
      },
    ];
  }

  async #trade(venue: BinanceSimulator): Promise<void> {
    const { weights } = this.broker;
    if (++this.#orders.wanted === LOST_ORDER) venue.loseAnswer();
    const order = { symbol: "BTCUSDT", side: "BUY", type: "MARKET", quantity: "0.001" } as const;
    for (let tries = 0;; tries++) {
      try {
        await this.broker.placeOrder(order);
        this.#orders.placed++;
        break;
      } catch (error) {
        // Rejected, so nothing was executed: it may be placed again.
        if ((error as BrokerError).kind !== "rate-limited" || tries === 3) throw error;
        await delay(Math.ceil(weights.waitTime()));
      }
    }
    if (!this.#unknown) return;
    const found = "looked up by its newClientOrderId: executed once, not placed again";
    this.#stage.step(this.#unknown, found, "good");
    this.#unknown = undefined;
    this.#orders.lookedUp++;
  }

  #onEvent(event: SessionEvent): void {
    if (event.type === "request") this.#requests.sent++;
    else if (event.type === "response" && event.status === 200) this.#onAnswer();
    else if (event.type === "failure") this.#onFailure(event.error);
  }

  #onAnswer(): void {
    this.#requests.answered++;
    if (!this.#refused) return;
    this.#stage.step(this.#refused, "answered", "good");
    this.#refused = undefined;
  }

  #onFailure({ status, method, outcome, code, retryAfter = 0 }: BrokerError): void {
    if (status === 429) {
      this.#requests.told++;
      this.#refused ??= this.#stage.begin("venue answers with 429");
      const why = `told 429, Retry-After ${seconds(retryAfter)}`;
      this.#stage.step(this.#refused, `${why}: everything pauses, then is repeated`);
    } else if (method === "POST" && outcome === "unknown") {
      this.#unknown = this.#stage.begin(`venue answers an order with ${status} (${code})`);
      this.#stage.step(this.#unknown, `outcome "unknown"`);
    }
  }
}
