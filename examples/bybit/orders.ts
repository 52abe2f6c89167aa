/**
 * Bybit's private stream: own orders, executions and balances.
 *
 * ```ts ignore
 * await using broker = new BybitBroker();
 * await broker.authorize({ key, secret });
 * await using orders = new BybitOrders({ broker });
 * orders.on("item", (item) => console.log(item));
 * await orders.connect();
 * ```
 *
 * Sources: bybit-exchange.github.io/docs/v5/websocket/private: order, execution, wallet.
 *
 * @module
 */

import type { FeedConnection, Gap, WebSocketFeederOptions } from "@aio-trader/core";
import { type BybitCoin, type BybitExecution, type BybitOrder, isOpen } from "./account.ts";
import type { BybitBroker } from "./broker.ts";
import { BybitStream, logIn, type TopicFrame } from "./stream.ts";

/** What a {@linkcode BybitOrders} delivers. */
export type BybitReport =
  | ({ readonly topic: "order" } & BybitOrder)
  | ({ readonly topic: "execution" } & BybitExecution)
  | ({ readonly topic: "wallet" } & BybitCoin);

/** Most orders whose state is remembered. */
const MOST_ORDERS = 10_000;

/** Options of {@linkcode BybitOrders}. */
export interface BybitOrdersOptions extends WebSocketFeederOptions {
  /**
   * The venue's address.
   *
   * @default {"wss://stream.bybit.com/v5/private"}
   */
  url?: string;
  /** Signs the login, and is asked for what was missed. */
  broker: BybitBroker;
}

/**
 * Own orders, executions and balances.
 *
 * - Each execution and each state of an order is delivered once, also over lost connections: the
 *   broker is asked for what was missed. Of several states in one loss, the last one is told. No
 *   state is followed by an earlier one.
 * - What happened before the first connection is not told: the broker's `ordersOf` has it.
 * - With `tap` you see the login: do not log the outgoing frames.
 */
export class BybitOrders extends BybitStream<BybitReport> {
  readonly #broker: BybitBroker;
  /** The latest state of each order, of the latest orders. */
  readonly #latest = new Map<string, BybitOrder>();

  /**
   * Makes a stream. It is subscribed to all three topics.
   *
   * @param options The broker, the address, and how to stay connected.
   */
  constructor(options: BybitOrdersOptions) {
    const { url = "wss://stream.bybit.com/v5/private", broker, ...rest } = options;
    super(url, rest);
    this.#broker = broker;
    this.on("item", (item) => item.topic === "order" && this.#remember(item));
    this.subscribe("order", "execution", "wallet");
  }

  protected override handshake(connection: FeedConnection): Promise<void> {
    return logIn(connection, this.#broker);
  }

  protected override identify(item: BybitReport): unknown {
    if (item.topic === "wallet") return undefined;
    if (item.topic === "execution") return item.execId;
    // What is older than the state that was told last passes for that one.
    const last = this.#latest.get(item.orderId);
    const it = last && isOlder(item, last) ? last : item;
    const { orderId, updatedTime, orderStatus, cumExecQty, qty, price } = it;
    return [orderId, updatedTime, orderStatus, cumExecQty, qty, price].join(" ");
  }

  /** The private stream has no categories of its own: what others trade is left out. */
  protected override read({ topic, data }: TopicFrame): void {
    if (topic === "wallet") {
      for (const { coin } of data) for (const one of coin) this.emit({ topic, ...one });
    } else if (topic === "order" || topic === "execution") {
      for (const one of data) {
        if (one.category === this.#broker.category) this.emit({ topic, ...one });
      }
    }
  }

  protected override async backfill({ since }: Gap, signal: AbortSignal): Promise<BybitReport[]> {
    const broker = this.#broker;
    // Our clock tells how long ago it was, the venue's what it calls that moment.
    const start = await broker.timely(() =>
      Promise.resolve(broker.clock.now() - (Date.now() - since) - 1_000)
    );
    // In the direction in which orders move, so that none slips through.
    const orders = [
      ...await broker.ordersOf("open", signal),
      ...await broker.ordersOf("closed", signal),
      ...await broker.ordersOf({ since: start }, signal),
    ].filter(({ updatedTime }) => Number(updatedTime) >= start);
    const executions = await broker.executions(start, signal);
    // The venue tells the newest first, and the order of those of one millisecond is kept.
    const items = [
      ...executions.reverse().map((one) => ({ topic: "execution", ...one } as const)),
      ...orders.reverse().map((one) => ({ topic: "order", ...one } as const)),
    ];
    const timeOf = (item: typeof items[number]) =>
      Number(item.topic === "order" ? item.updatedTime : item.execTime);
    const coins = await broker.balance(signal);
    return [
      ...items.sort((one, other) => timeOf(one) - timeOf(other)),
      ...coins.map((one) => ({ topic: "wallet", ...one } as const)),
    ];
  }

  #remember(order: BybitOrder): void {
    this.#latest.delete(order.orderId); // to be the youngest again
    this.#latest.set(order.orderId, order);
    if (this.#latest.size > MOST_ORDERS) this.#latest.delete(this.#latest.keys().next().value!);
  }
}

/** Whether a state of an order came before another one. Several may share a millisecond. */
function isOlder(one: BybitOrder, other: BybitOrder): boolean {
  return Number(one.updatedTime) < Number(other.updatedTime) ||
    Number(one.cumExecQty) < Number(other.cumExecQty) || (isOpen(one) && !isOpen(other));
}
