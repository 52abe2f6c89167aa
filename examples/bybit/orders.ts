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

import type { Gap } from "@aio-trader/core";
import { Recent } from "../recent.ts";
import { type BybitCoin, type BybitExecution, type BybitOrder, isOpen } from "./account.ts";
import type { BybitBroker } from "./broker.ts";
import { type BybitFrame, type BybitSocketOptions, BybitStream } from "./stream.ts";

/** What a {@linkcode BybitOrders} delivers. */
export type BybitReport =
  | ({ readonly topic: "order" } & BybitOrder)
  | ({ readonly topic: "execution" } & BybitExecution)
  | ({ readonly topic: "wallet" } & BybitCoin);

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
  /** The state of each order that was told last. */
  readonly #latest = new Recent<string, BybitOrder>(10_000);

  /**
   * Makes a stream. It is subscribed to all three topics.
   *
   * @param options The broker, the address, and how to stay connected.
   */
  constructor(options: BybitSocketOptions) {
    const { url = "wss://stream.bybit.com/v5/private", broker, ...rest } = options;
    super(url, rest, broker);
    this.#broker = broker;
    this.on("item", (item) => item.topic === "order" && this.#latest.set(item.orderId, item));
    this.subscribe("order", "execution", "wallet");
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
  protected override read({ topic, data }: BybitFrame): void {
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
    const start = broker.clock.at(since) - 1_000;
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
    items.sort((one, other) => timeOf(one) - timeOf(other));
    const coins = await broker.balance(signal);
    return [...items, ...coins.map((one) => ({ topic: "wallet", ...one } as const))];
  }
}

/** Whether a state of an order came before another one. Several may share a millisecond. */
function isOlder(one: BybitOrder, other: BybitOrder): boolean {
  return Number(one.updatedTime) < Number(other.updatedTime) ||
    Number(one.cumExecQty) < Number(other.cumExecQty) || (isOpen(one) && !isOpen(other));
}
