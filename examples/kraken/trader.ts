/**
 * The demo's trader: places orders with nobody's money, one of which the venue loses track of, and
 * follows them on the private stream.
 *
 * @module
 */

import { delay } from "@std/async/delay";
import { BrokerError } from "@aio-trader/core";
import type { Figure, Stage } from "../stage.ts";
import type { Story } from "../view.ts";
import type { KrakenBroker } from "./broker.ts";
import { KrakenOrders } from "./orders.ts";
import type { KrakenSimulator } from "./simulator.ts";

/** How many orders the trader places. The venue loses the answer to the second. */
const ORDERS = 3;

/** A broker's orders, and the stream that tells of them. */
export class KrakenTrader {
  readonly #stage: Stage;
  readonly #venue: KrakenSimulator;
  readonly #broker: KrakenBroker;
  readonly #orders: KrakenOrders;
  /** Fills and ends that the stream told, by order. */
  readonly #told = new Map<string, string[]>();
  readonly #placed: string[] = [];
  readonly #errors: string[] = [];

  /**
   * Prepares a trader. There is none at the real venue: that would be real money.
   *
   * @param stage Where it is told what happens.
   * @param venue The simulator.
   * @param broker What is traded with.
   */
  constructor(stage: Stage, venue: KrakenSimulator, broker: KrakenBroker) {
    this.#stage = stage;
    this.#venue = venue;
    this.#broker = broker;
    this.#orders = new KrakenOrders({
      ...{ url: `${venue.wsUrl}/v2-auth`, broker, baseWait: 400 },
      ...{ staleAfter: 2_000, pingInterval: 1_000, resetRetryAfter: 2_000 },
    });
    this.#orders.on("error", ({ message }) => this.#errors.push(message));
    this.#orders.on("item", (item) => {
      if (item.channel !== "executions" || item.exec_type === "new") return;
      const told = this.#told.get(item.order_id) ?? [];
      this.#told.set(item.order_id, [...told, item.exec_id ?? item.exec_type]);
    });
  }

  /** Logs in, and connects the private stream. */
  async open(): Promise<void> {
    await this.#broker.authorize(this.#venue.login);
    await this.#orders.connect();
  }

  /** Places the orders, each followed to its end, unless the signal aborts. */
  async work(signal: AbortSignal): Promise<void> {
    for (let number = 1; number <= ORDERS && !signal.aborted; number++) {
      const story = this.#stage.begin(`order ${number}: buy 0.01 BTC/USD at the market`, "order");
      if (number === 2) {
        this.#venue.loseAnswer();
        this.#stage.step(story, "venue executes it and answers 503, its fate is unknown");
      }
      try {
        const txid = await this.#place(story);
        this.#placed.push(txid);
        const how = number === 2 ? "found by its cl_ord_id, placed once" : "placed";
        this.#stage.step(story, `${how}: ${txid}`);
        const isFilled = () => this.#told.get(txid)?.includes("filled") ?? false;
        for (let i = 0; i < 500 && !isFilled() && !signal.aborted; i++) await delay(20);
        const told = this.#told.get(txid)?.join(", then ") ?? "nothing";
        this.#stage.step(story, `private stream tells ${told}`, isFilled() ? "good" : "bad");
      } catch (error) {
        this.#stage.step(story, (error as Error).message, "bad");
      }
    }
  }

  /** Places an order. One that met a 429 was not executed, so it is placed again. */
  async #place(story: Story): Promise<string> {
    const order = { pair: "XBTUSD", type: "buy", ordertype: "market", volume: "0.01" } as const;
    for (let left = 5;; left--) {
      try {
        const { txid: [txid] } = await this.#broker.placeOrder(order);
        return txid;
      } catch (error) {
        const isRefused = error instanceof BrokerError && error.kind === "rate-limited" &&
          error.outcome === "rejected";
        if (!isRefused || left === 0) throw error;
        this.#stage.step(story, "venue says 429, so nothing was executed: placed again");
      }
    }
  }

  /**
   * Compares what was told with the log of the venue.
   *
   * @returns One figure.
   */
  async figures(): Promise<Figure[]> {
    const log = () => {
      const byOrder = new Map<string, string[]>();
      for (const { id, order: { txid } } of this.#venue.desk.fills) {
        byOrder.set(txid, [...byOrder.get(txid) ?? [], id]);
      }
      return [...byOrder].map(([txid, ids]) => `${txid} ${ids} filled`).sort().join("; ");
    };
    const told = () =>
      [...this.#told].map(([txid, ids]) => `${txid} ${ids.join(" ")}`).sort().join("; ");
    for (let i = 0; i < 100 && log() !== told(); i++) await delay(20);
    const { orders } = this.#venue.desk;
    const isOnce = orders.size === ORDERS && this.#placed.every((txid) => orders.has(txid));
    return [
      {
        ok: isOnce && this.#placed.length === ORDERS && log() === told(),
        text: `${orders.size} of ${ORDERS} orders executed, each once, also the one whose answer ` +
          "was lost; the private stream told what the venue's log has",
      },
      ...this.#errors.map((text) => ({ ok: false, text })),
    ];
  }

  /** Closes the stream. */
  close(): Promise<void> {
    return this.#orders.close();
  }
}
