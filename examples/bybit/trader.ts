/**
 * The demo's trader at Bybit: places orders with nobody's money by REST and over the trade socket,
 * loses the answers to two of them, and follows all on the private stream.
 *
 * @module
 */

import { delay } from "@std/async/delay";
import { BrokerError } from "@aio-trader/core";
import type { Figure, Stage } from "../stage.ts";
import type { Story } from "../view.ts";
import type { BybitOrderRequest, BybitPlaced } from "./account.ts";
import type { BybitBroker } from "./broker.ts";
import { BybitOrders } from "./orders.ts";
import type { BybitSimulator } from "./simulator.ts";
import { BybitTradeSocket } from "./trade_socket.ts";

/** A market order, and a limit far from the market. */
const MARKET: BybitOrderRequest = {
  ...{ symbol: "BTCUSDT", side: "Buy", orderType: "Market", qty: "0.01", marketUnit: "baseCoin" },
};
const LIMIT: BybitOrderRequest = {
  ...{ symbol: "BTCUSDT", side: "Buy", orderType: "Limit", qty: "0.01", price: "20000" },
};

/** How many orders the trader places. */
const ORDERS = 4;

/** Most times that an order is placed again which was not executed. */
const MOST_TIMES = 10;

/** A broker's orders, the socket that sends some of them, and the stream that tells of them. */
export class BybitTrader {
  readonly #stage: Stage;
  readonly #venue: BybitSimulator;
  readonly #broker: BybitBroker;
  readonly #orders: BybitOrders;
  readonly #trade: BybitTradeSocket;
  /** Executions and ends that the stream told, by order. */
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
  constructor(stage: Stage, venue: BybitSimulator, broker: BybitBroker) {
    this.#stage = stage;
    this.#venue = venue;
    this.#broker = broker;
    const quick = { baseWait: 400, staleAfter: 2_000, pingInterval: 1_000, resetRetryAfter: 2_000 };
    this.#orders = new BybitOrders({ url: venue.urls.private, broker, ...quick });
    this.#trade = new BybitTradeSocket({ url: venue.urls.trade, broker, ...quick });
    for (const feed of [this.#orders, this.#trade]) {
      feed.on("error", ({ message }) => this.#errors.push(message));
    }
    this.#orders.on("item", (item) => {
      if (item.topic === "execution") this.#tell(item.orderId, item.execId);
      else if (item.topic === "order" && ENDS.has(item.orderStatus)) {
        this.#tell(item.orderId, item.orderStatus);
      }
    });
  }

  /** Logs in, and connects both sockets. */
  async open(): Promise<void> {
    await this.#broker.authorize(this.#venue.login);
    await Promise.all([this.#orders.connect(), this.#trade.connect()]);
  }

  /** Places the orders, each followed to its end, unless the signal aborts. */
  async work(signal: AbortSignal): Promise<void> {
    const { venue } = this.#venue;
    await this.#follow(
      "buy 0.01 BTC at the market, by REST",
      signal,
      () => this.#broker.placeOrder(MARKET),
    );
    await this.#follow("the same", signal, (story) => {
      venue.fail("POST /v5/order/create", "status-after-executing");
      this.#stage.step(story, "venue executes it and answers 503, its fate is unknown");
      return this.#broker.placeOrder(MARKET);
    });
    await this.#follow("the same, over the trade socket", signal, async (story) => {
      await this.#live(signal);
      this.#venue.loseAnswer();
      this.#stage.step(story, "venue executes it and resets the socket, its fate is unknown");
      return await this.#trade.place(MARKET);
    });
    await this.#follow("a limit of 20,000, over the trade socket", signal, async (story) => {
      await this.#live(signal);
      const placed = await this.#trade.place(LIMIT);
      const name = { symbol: LIMIT.symbol, orderId: placed.orderId };
      await this.#again(story, () => this.#broker.amendOrder({ ...name, price: "20001" }));
      await this.#again(story, () => this.#broker.cancelOrder(name));
      this.#stage.step(story, "amended to 20,001, then cancelled");
      return placed;
    });
  }

  /**
   * Compares what was told with the log of the venue.
   *
   * @returns One figure, and one for each error of the sockets.
   */
  async figures(): Promise<Figure[]> {
    const { orders, fills } = this.#venue.desk;
    const log = () =>
      [...orders.values()].map(({ orderId, orderStatus }) => {
        const ids = fills.filter((fill) => fill.orderId === orderId).map(({ execId }) => execId);
        return `${orderId} ${[...ids, orderStatus].join(" ")}`;
      }).sort().join("; ");
    const told = () =>
      [...this.#told].map(([orderId, what]) => `${orderId} ${what.join(" ")}`).sort().join("; ");
    for (let i = 0; i < 100 && log() !== told(); i++) await delay(20);
    const isOnce = orders.size === ORDERS && this.#placed.every((orderId) => orders.has(orderId));
    return [
      {
        ok: isOnce && this.#placed.length === ORDERS && log() === told(),
        text: `${orders.size} of ${ORDERS} orders taken, each once, also the two whose answers ` +
          "were lost; the private stream told what the venue's log has",
      },
      ...this.#errors.map((text) => ({ ok: false, text })),
    ];
  }

  /** Closes both sockets. */
  async close(): Promise<void> {
    await Promise.all([this.#orders.close(), this.#trade.close()]);
  }

  #tell(orderId: string, what: string): void {
    this.#told.set(orderId, [...this.#told.get(orderId) ?? [], what]);
  }

  /** The story of one order: placed, then followed on the private stream. */
  async #follow(
    what: string,
    signal: AbortSignal,
    place: (story: Story) => Promise<BybitPlaced>,
  ): Promise<void> {
    if (signal.aborted) return;
    const number = this.#placed.length + 1;
    const story = this.#stage.begin(`order ${number}: ${what}`, "order");
    try {
      const { orderId, orderStatus } = await this.#again(story, () => place(story));
      this.#placed.push(orderId);
      const how = orderStatus ? "found by its orderLinkId, placed once" : "placed";
      this.#stage.step(story, `${how}: ${orderId}`);
      const told = () => this.#told.get(orderId) ?? [];
      const isOver = () => told().some((it) => ENDS.has(it));
      for (let i = 0; i < 500 && !isOver() && !signal.aborted; i++) await delay(20);
      const words = told().join(", then ") || "nothing";
      this.#stage.step(story, `private stream tells ${words}`, isOver() ? "good" : "bad");
    } catch (error) {
      this.#stage.step(story, (error as Error).message, "bad");
    }
  }

  /** Does something again that was certainly not executed: too many requests, or no connection. */
  async #again<T>(story: Story, fn: () => Promise<T>): Promise<T> {
    for (let left = MOST_TIMES;; left--) {
      try {
        return await fn();
      } catch (error) {
        const isSafe = error instanceof BrokerError && error.outcome !== "unknown" &&
          (error.kind === "rate-limited" || error.outcome !== "rejected");
        if (!isSafe || left === 0) throw error;
        this.#stage.step(story, `${error.code ?? error.outcome}: nothing was executed, so again`);
        await delay(200);
      }
    }
  }

  async #live(signal: AbortSignal): Promise<void> {
    for (let i = 0; i < 500 && this.#trade.state !== "live" && !signal.aborted; i++) {
      await delay(20);
    }
  }
}

/** States that end an order. */
const ENDS: ReadonlySet<string> = new Set(["Filled", "Cancelled", "Rejected"]);
