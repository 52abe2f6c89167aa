/**
 * The private side of one socket of the simulated Kraken: executions, balances, and orders.
 *
 * @module
 */

import type { FeedClient } from "@aio-trader/core/testing";
import { type Desk, type DeskEvent, type DeskOrder, Refusal } from "./desk.ts";

/** Methods that trade. */
export const METHODS: readonly string[] = ["add_order", "amend_order", "cancel_order"];

const CHANNELS = ["executions", "balances"];

/** How many fills a snapshot tells. */
const SNAPSHOT = 50;

type Params = Record<string, unknown>;

/** What a client asked for privately. */
export class PrivateSocket {
  readonly #desk: Desk;
  readonly #tokens: ReadonlySet<string>;
  readonly #client: FeedClient;
  /** The next number of each channel. */
  readonly #sequences = new Map<string, number>();

  /**
   * Begins with nothing subscribed.
   *
   * @param desk The account.
   * @param tokens Tokens that are valid.
   * @param client Is told, and holds what is subscribed.
   */
  constructor(desk: Desk, tokens: ReadonlySet<string>, client: FeedClient) {
    this.#desk = desk;
    this.#tokens = tokens;
    this.#client = client;
  }

  /** Whether a request is for this side. */
  static isPrivate(method: string, params: Params): boolean {
    return METHODS.includes(method) || CHANNELS.includes(String(params.channel));
  }

  /**
   * Answers a request.
   *
   * @param method The method.
   * @param params Its parameters, with the token.
   * @returns The answer's fields. Call `after` once it is sent.
   */
  answer(method: string, params: Params): { reply: Params; after?: () => void } {
    if (!this.#tokens.has(String(params.token))) {
      return { reply: { success: false, error: "ESession:Invalid session" } };
    }
    try {
      if (METHODS.includes(method)) {
        return { reply: { success: true, result: this.#trade(method, params) } };
      }
      return this.#subscribe(method, String(params.channel));
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      return { reply: { success: false, error: error.message } };
    }
  }

  /** Tells what happened to an order, and what the account holds after it. */
  tell({ exec_type, order, fill }: DeskEvent): void {
    const report = { ...describe(order), exec_type };
    this.#publish("executions", "update", [
      fill ? { ...report, ...tellFill(fill) } : report,
    ]);
    if (!fill) return;
    const assets = order.market.instrument.symbol.split("/");
    this.#publish("balances", "update", assets.map((asset) => this.#balance(asset)));
  }

  /** Skips a number of a channel, as if a frame had been lost. */
  skip(channel: string): void {
    this.#sequences.set(channel, (this.#sequences.get(channel) ?? 0) + 1);
  }

  #trade(method: string, params: Params): Params {
    const text = (name: string) => params[name] === undefined ? undefined : String(params[name]);
    if (method === "add_order") {
      const order = this.#desk.add({
        pair: text("symbol"),
        type: text("side"),
        ordertype: text("order_type"),
        volume: text("order_qty"),
        price: text("limit_price"),
        timeinforce: text("time_in_force")?.toUpperCase(),
        oflags: params.post_only ? "post" : "",
        cl_ord_id: text("cl_ord_id"),
      });
      return { order_id: order.txid, cl_ord_id: order.cl_ord_id };
    }
    const name = [params.order_id ?? params.cl_ord_id].flat().map(String)[0] ?? "";
    if (method === "amend_order") {
      const change = { volume: text("order_qty"), price: text("limit_price") };
      const { txid } = this.#desk.amend(name, definedOf(change));
      return { order_id: txid, amend_id: `TA${txid.slice(1)}` };
    }
    const [cancelled] = this.#desk.cancel(name);
    if (!cancelled) throw new Refusal("EOrder:Unknown order");
    return { order_id: cancelled.txid };
  }

  #subscribe(method: string, channel: string): { reply: Params; after?: () => void } {
    const { held } = this.#client;
    const result = { channel };
    if (method === "unsubscribe") {
      held.delete(channel);
      return { reply: { success: true, result } };
    }
    if (held.has(channel)) throw new Refusal("Already subscribed");
    held.add(channel);
    this.#sequences.set(channel, 1);
    return { reply: { success: true, result }, after: () => this.#snapshot(channel) };
  }

  #snapshot(channel: string): void {
    const { open, fills, balances } = this.#desk;
    const data = channel === "balances"
      ? [...balances.keys()].map((asset) => this.#balance(asset))
      : [
        ...open.map((order) => ({ ...describe(order), exec_type: "new" })),
        ...fills.slice(-SNAPSHOT).map((fill) => ({
          ...describe(fill.order),
          exec_type: "trade",
          ...tellFill(fill),
        })),
      ];
    this.#publish(channel, "snapshot", data);
  }

  #balance(asset: string): unknown {
    return { asset, asset_class: "currency", balance: this.#desk.balances.get(asset) };
  }

  #publish(channel: string, type: string, data: unknown[]): void {
    if (!this.#client.held.has(channel)) return;
    const sequence = this.#sequences.get(channel)!;
    this.#sequences.set(channel, sequence + 1);
    this.#client.send({ channel, type, data, sequence });
  }
}

function definedOf<T extends object>(fields: T): Partial<T> {
  return Object.fromEntries(
    Object.entries(fields).filter(([, value]) => value !== undefined),
  ) as Partial<T>;
}

function describe(order: DeskOrder): Params {
  const { txid: order_id, cl_ord_id, market, type: side, ordertype: order_type } = order;
  const isPartly = order.executed > 0 && order.status === "open";
  const status = order.status === "closed" ? "filled" : order.status;
  return {
    ...{ order_id, cl_ord_id, symbol: market.instrument.symbol, side, order_type },
    ...{ order_qty: Number(order.volume), cum_qty: order.executed, cum_cost: order.cost },
    ...order.price && { limit_price: Number(order.price) },
    order_status: isPartly ? "partially_filled" : status === "open" ? "new" : status,
    timestamp: new Date().toISOString(),
  };
}

function tellFill({ id, trade_id, volume, price, time }: NonNullable<DeskEvent["fill"]>): Params {
  const timestamp = new Date(time * 1_000).toISOString();
  const order_status = "partially_filled"; // also of the last one: "filled" tells the end
  return { exec_id: id, trade_id, last_qty: volume, last_price: price, timestamp, order_status };
}
