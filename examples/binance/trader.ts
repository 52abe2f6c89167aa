/**
 * The demo's trader: places orders with nobody's money, one of which the venue loses track of, and
 * follows them on the user data stream.
 *
 * @module
 */

import type { BrokerError } from "@aio-trader/core";
import { delay } from "@std/async/delay";
import type { Figure, Stage } from "../stage.ts";
import type { Story } from "../view.ts";
import type { BinanceBroker, BinanceOrder, BinanceOrderState } from "./broker.ts";
import { BinanceOrders, type BinanceReport } from "./orders.ts";
import type { BinanceSimulator } from "./simulator.ts";

/** How many orders the trader places. The venue loses the answer to the second. */
const ORDERS = 3;
const LOST_ORDER = 2;

const ORDER: BinanceOrder = { symbol: "BTCUSDT", side: "BUY", type: "MARKET", quantity: "0.001" };

/** A broker's orders, and the stream that tells of them. */
export class BinanceTrader {
  readonly #stage: Stage;
  readonly #venue: BinanceSimulator;
  readonly #broker: BinanceBroker;
  readonly #orders: BinanceOrders;
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
  constructor(stage: Stage, venue: BinanceSimulator, broker: BinanceBroker) {
    this.#stage = stage;
    this.#venue = venue;
    this.#broker = broker;
    this.#orders = new BinanceOrders({
      ...{ url: `${venue.wsUrl}/ws-api/v3`, broker, symbols: [ORDER.symbol], baseWait: 400 },
      ...{ staleAfter: 2_000, pingInterval: 1_000, resetRetryAfter: 2_000 },
    });
    this.#orders.on("error", ({ message }) => this.#errors.push(message));
    this.#orders.on("item", (item) => this.#note(item));
  }

  /** Logs in, and connects the stream. */
  async open(): Promise<void> {
    await this.#broker.authorize(this.#venue.login);
    await this.#orders.connect();
  }

  /** Places the orders, each followed to its end, unless the signal aborts. */
  async work(signal: AbortSignal): Promise<void> {
    for (let number = 1; number <= ORDERS && !signal.aborted; number++) {
      const story = this.#stage.begin(`order ${number}: buy 0.001 BTC at the market`, "order");
      if (number === LOST_ORDER) {
        this.#venue.loseAnswer();
        this.#stage.step(story, "venue executes it and answers 503 (-1007), its fate is unknown");
      }
      try {
        const { orderId } = await this.#place();
        const id = String(orderId);
        this.#placed.push(id);
        const how = number === LOST_ORDER ? "found by its newClientOrderId, placed once" : "placed";
        this.#stage.step(story, `${how}: order ${id}`);
        await this.#follow(id, story, signal);
      } catch (error) {
        this.#stage.step(story, (error as Error).message, "bad");
      }
    }
  }

  /**
   * Compares what was told with the log of the venue.
   *
   * @returns One figure, and one for each error.
   */
  async figures(): Promise<Figure[]> {
    const { desk } = this.#venue;
    const log = () =>
      [...desk.orders.values()].map(({ orderId, status }) => {
        const trades = desk.trades.filter((trade) => trade.orderId === orderId);
        return [orderId, ...trades.map(({ id }) => id), status].join(" ");
      }).sort().join("; ");
    const told = () =>
      [...this.#told].map(([id, what]) => `${id} ${what.join(" ")}`).sort().join("; ");
    for (let i = 0; i < 100 && log() !== told(); i++) await delay(20);
    const { size } = desk.orders;
    const isOnce = this.#placed.length === ORDERS && size === ORDERS;
    return [
      {
        ok: isOnce && log() === told(),
        text: `${size} of ${ORDERS} orders executed, each once, also the one whose answer was ` +
          "lost; the user data stream told what the venue's log has",
      },
      ...this.#errors.map((text) => ({ ok: false, text })),
    ];
  }

  /** Closes the stream. */
  close(): Promise<void> {
    return this.#orders.close();
  }

  /** Places an order, and again if it was told to come later: then nothing was executed. */
  async #place(): Promise<BinanceOrderState> {
    for (let tries = 0;; tries++) {
      try {
        return await this.#broker.placeOrder(ORDER);
      } catch (error) {
        if ((error as BrokerError).kind !== "rate-limited" || tries === 3) throw error;
        await delay(Math.ceil(this.#broker.weights.waitTime()));
      }
    }
  }

  async #follow(id: string, story: Story, signal: AbortSignal): Promise<void> {
    const isFilled = () => this.#told.get(id)?.includes("FILLED") ?? false;
    for (let i = 0; i < 500 && !isFilled() && !signal.aborted; i++) await delay(20);
    const [end, ...fills] = this.#told.get(id)?.toReversed() ?? ["nothing"];
    const told = fills.length > 0 ? `trade ${fills.toReversed().join(", ")}, then ${end}` : end;
    this.#stage.step(story, `user data stream tells ${told}`, isFilled() ? "good" : "bad");
  }

  #note(item: BinanceReport): void {
    if (item.channel === "balances") return;
    if (item.channel === "orders" && item.status === "NEW") return;
    const id = String(item.orderId);
    const what = item.channel === "fills" ? String(item.tradeId) : item.status;
    this.#told.set(id, [...this.#told.get(id) ?? [], what]);
  }
}
