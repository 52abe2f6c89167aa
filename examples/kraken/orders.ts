/**
 * Kraken's private WebSocket (v2): own orders, fills and balances, and orders over the socket.
 *
 * ```ts ignore
 * await using broker = new KrakenBroker();
 * await broker.authorize({ key, secret });
 * await using orders = new KrakenOrders({ broker });
 * orders.on("item", (item) => console.log(item));
 * await orders.connect();
 * await orders.place({ symbol: "BTC/USD", side: "buy", order_type: "market", order_qty: "0.01" });
 * ```
 *
 * Sources: docs.kraken.com, API reference "Spot WebSocket v2": executions, balances, add_order,
 * amend_order, cancel_order.
 *
 * @module
 */

import {
  type FeedConnection,
  FeedError,
  type Gap,
  reconcile,
  type ReconcileContext,
  WebSocketFeeder,
  type WebSocketFeederOptions,
} from "@aio-trader/core";
import type { Decimal, KrakenFill, KrakenOrder } from "./account.ts";
import type { KrakenBroker } from "./broker.ts";
import { venueError } from "./errors.ts";

/** What happened to an order. Decimals are numbers or text, as the venue wrote them. */
export interface KrakenExecution {
  /** The channel. */
  readonly channel: "executions";
  /** What happened: `"new"`, `"trade"`, `"filled"`, `"canceled"`, `"amended"` and others. */
  readonly exec_type: string;
  /** The venue's name of the order. */
  readonly order_id: string;
  /** Your name of the order, where the venue tells it. */
  readonly cl_ord_id?: string;
  /** The fill, of `"trade"` only. */
  readonly exec_id?: string;
  /** The state of the order. The last fill may still say `"partially_filled"`. */
  readonly order_status?: string;
  /** The symbol. */
  readonly symbol?: string;
  /** What the order does. */
  readonly side?: "buy" | "sell";
  /** Quantity and price of the fill. */
  readonly last_qty?: Decimal;
  /** Price of the fill. */
  readonly last_price?: Decimal;
  /** Executed so far. */
  readonly cum_qty?: Decimal;
  /** How much is wanted. */
  readonly order_qty?: Decimal;
  /** The limit. */
  readonly limit_price?: Decimal;
  /** When, by the venue's clock, in epoch milliseconds. */
  readonly time: number;
}

/** What the account holds of an asset. */
export interface KrakenBalance {
  /** The channel. */
  readonly channel: "balances";
  /** The asset. */
  readonly asset: string;
  /** How much of it. */
  readonly balance: Decimal;
}

/** What a {@linkcode KrakenOrders} delivers. */
export type KrakenReport = KrakenExecution | KrakenBalance;

/** An order over the socket. Further fields of the venue's add_order may be added. */
export interface KrakenSocketOrder {
  /** The symbol, `"BTC/USD"`. */
  readonly symbol: string;
  /** What to do. */
  readonly side: "buy" | "sell";
  /** How: `"limit"`, `"market"` and others. */
  readonly order_type: string;
  /** How much. */
  readonly order_qty: Decimal;
  /** The limit. */
  readonly limit_price?: Decimal;
  /** How long the order stands. */
  readonly time_in_force?: "gtc" | "gtd" | "ioc";
  /** Whether the order is refused if it would trade at once. */
  readonly post_only?: boolean;
  /**
   * Your name of the order. Never use one twice.
   *
   * @default a fresh UUID
   */
  readonly cl_ord_id?: string;
}

/** An order that the venue knows. */
export interface KrakenAcknowledged {
  /** The venue's name of the order. */
  readonly order_id: string;
  /** Your name of the order. */
  readonly cl_ord_id: string;
}

/** Options of {@linkcode KrakenOrders}. */
export interface KrakenOrdersOptions extends WebSocketFeederOptions {
  /**
   * The venue's address.
   *
   * @default {"wss://ws-auth.kraken.com/v2"}
   */
  url?: string;
  /** Gives the tokens, and is asked for what was missed and for orders of unknown fate. */
  broker: KrakenBroker;
  /**
   * How long after a lost answer the venue may still take up an order or its change, in
   * milliseconds.
   *
   * @default {10_000}
   */
  horizon?: number;
}

/**
 * Own orders, fills and balances.
 *
 * - Each fill is delivered once, and the end of each order, also over lost connections: the broker
 *   is asked for what was missed.
 * - The open orders that the venue repeats on each new connection are delivered only if they are
 *   news.
 * - Each connection has a token of its own. With `tap` you see it: do not log the outgoing frames.
 */
export class KrakenOrders extends WebSocketFeeder<KrakenReport, "executions" | "balances"> {
  readonly #url: string;
  readonly #broker: KrakenBroker;
  readonly #horizon: number;
  #token = "";
  #lastId = 0;
  /** The latest number of each channel on this connection. */
  readonly #sequences = new Map<string, number>();
  /** The latest state of each open order, to tell what is news in a snapshot. */
  readonly #states = new Map<string, string>();

  /**
   * Makes a feed. It is subscribed to both channels.
   *
   * @param options The broker, the address, and how to stay connected.
   */
  constructor(options: KrakenOrdersOptions) {
    const { url = "wss://ws-auth.kraken.com/v2", broker, horizon = 10_000, ...rest } = options;
    super({ staleAfter: 10_000, pingInterval: 4_000, confirmTimeout: 5_000, ...rest });
    this.#horizon = horizon;
    this.#url = url;
    this.#broker = broker;
    this.subscribe("executions", "balances");
  }

  /**
   * Places an order over the socket, at most once. If no answer comes, the broker looks for it.
   *
   * @param order The order. Without a `cl_ord_id` it gets a fresh one.
   * @param signal Ends the search.
   * @returns Both names of the order.
   * @throws {BrokerError} `outcome` tells the fate of the order, `code` the venue's own words.
   */
  place(order: KrakenSocketOrder, signal?: AbortSignal): Promise<KrakenAcknowledged> {
    const { cl_ord_id = crypto.randomUUID() } = order;
    const start = performance.now();
    const find = async ({ signal }: ReconcileContext) => {
      const found = await this.#broker.findOrder(cl_ord_id, performance.now() - start, signal);
      return found && { order_id: found.txid, cl_ord_id };
    };
    const place = async () => {
      const { order_id } = await this.#do("add_order", { ...order, cl_ord_id });
      return { order_id, cl_ord_id };
    };
    return reconcile(place, { find, horizon: this.#horizon, signal });
  }

  /**
   * Changes quantity or limit of an open order, in its place in the book.
   *
   * @param change The order by the venue's name, and what is new.
   * @param signal Ends the look-ups after a lost answer.
   * @returns The venue's names of the order and of the change.
   * @throws {BrokerError} `outcome` tells whether the change may have been made.
   */
  amend(
    change: { order_id: string; order_qty?: Decimal; limit_price?: Decimal },
    signal?: AbortSignal,
  ): Promise<{ order_id: string; amend_id?: string }> {
    const { order_id, order_qty, limit_price } = change;
    const find = async ({ signal }: ReconcileContext) => {
      const { [order_id]: order } = await this.#broker.openOrders(signal);
      if (!order) throw new Error("Cannot tell whether the order was changed: it is not open");
      const isSo = (wanted: Decimal | undefined, is: string) =>
        wanted === undefined || Number(wanted) === Number(is);
      const isChanged = isSo(order_qty, order.vol) && isSo(limit_price, order.descr.price);
      return isChanged ? { order_id } : undefined;
    };
    const amend = () => this.#do("amend_order", change);
    return reconcile(amend, { find, horizon: this.#horizon, signal });
  }

  /**
   * Cancels an order.
   *
   * @param order_id The venue's name of the order.
   * @param signal Ends the look-ups after a lost answer.
   * @returns The same name.
   * @throws {BrokerError} `outcome` tells whether the order may have been cancelled.
   */
  cancel(order_id: string, signal?: AbortSignal): Promise<{ order_id: string }> {
    const find = async ({ signal }: ReconcileContext) =>
      order_id in await this.#broker.openOrders(signal) ? undefined : { order_id };
    const cancel = () => this.#do("cancel_order", { order_id: [order_id] });
    return reconcile(cancel, { find, horizon: this.#horizon, signal });
  }

  protected override endpoint(): string {
    return this.#url;
  }

  /** The venue wants a token for each connection, not older than 15 minutes. */
  protected override async handshake({ signal }: FeedConnection): Promise<void> {
    this.#sequences.clear();
    this.#token = await this.#broker.webSocketsToken(signal);
  }

  protected override request(
    method: "subscribe" | "unsubscribe",
    channels: ("executions" | "balances")[],
  ): string[] {
    return channels.map((channel) => {
      this.#sequences.delete(channel);
      const snapshot = channel === "executions"
        ? { snap_orders: true, snap_trades: true }
        : { snapshot: true };
      const params = { channel, ...method === "subscribe" && snapshot, token: this.#token };
      return JSON.stringify({ method, params, req_id: ++this.#lastId });
    });
  }

  protected override ping(): string {
    return '{"method":"ping"}';
  }

  protected override identify(item: KrakenReport): unknown {
    if (item.channel === "balances") return undefined;
    if (item.exec_id) return `fill ${item.exec_id}`;
    return ENDS.has(item.exec_type) ? `end ${item.order_id}` : undefined;
  }

  protected override receive(data: string | ArrayBuffer, connection: FeedConnection): void {
    const message: Message = JSON.parse(String(data));
    const { channel } = message;
    if (channel === undefined) return this.#answer(message as Answer, connection);
    if (channel !== "executions" && channel !== "balances") return;
    const { sequence, type, data: reports = [] } = message as Data;
    const last = this.#sequences.get(channel);
    if (sequence !== undefined) this.#sequences.set(channel, sequence);
    // What is missing is asked for as after any other loss.
    if (last !== undefined && sequence !== undefined && sequence !== last + 1) {
      return this.reconnect(`${channel} jumped from ${last} to ${sequence}`);
    }
    for (const { timestamp, ...report } of reports) {
      const item = { ...report, channel, time: Date.parse(timestamp ?? "") } as KrakenReport;
      if (channel === "balances" || this.#isNews(item as KrakenExecution, type)) this.emit(item);
    }
  }

  /** Asks for the fills, then for the orders that have ended. An order of no news is still open. */
  protected override async backfill(
    { since }: Gap,
    signal: AbortSignal,
  ): Promise<KrakenExecution[]> {
    const start = await this.#broker.venueTime(Date.now() - since, signal);
    const fills = await pages((ofs) =>
      this.#broker.tradesHistory({ start, ofs }, signal).then((page) => [page.trades, page.count])
    );
    const ends = await pages((ofs) =>
      this.#broker.closedOrders({ start, ofs }, signal).then((page) => [page.closed, page.count])
    );
    const names = new Map(ends.map(([id, { cl_ord_id }]) => [id, cl_ord_id ?? undefined]));
    const items = [
      ...fills.map(([id, fill]) => fillOf(id, fill, names.get(fill.ordertxid))),
      ...ends.map(([id, order]) => endOf(id, order)),
    ];
    return items.sort((one, other) => one.time - other.time);
  }

  /** Whether a report tells more of an order than an earlier one did. */
  #isNews(item: KrakenExecution, type: string | undefined): boolean {
    const { order_id, order_status, cum_qty, order_qty, limit_price } = item;
    if (item.exec_id && type === "snapshot") return true; // identify() knows
    const state = [order_status, cum_qty, order_qty, limit_price].map((it) => it ?? "").join(" ");
    const isKnown = this.#states.get(order_id) === state;
    if (ENDS.has(item.exec_type)) this.#states.delete(order_id);
    else this.#states.set(order_id, state);
    return type !== "snapshot" || !isKnown;
  }

  #answer(answer: Answer, connection: FeedConnection): void {
    const { method, req_id, success, error, Error: words, result } = answer;
    if (method === "pong") return;
    if (method === "subscribe" && success && result?.channel) return this.confirm(result.channel);
    if (success) return void connection.answer(req_id, result ?? {});
    const why = error ?? words ?? "nothing that can be read";
    if (connection.fail(req_id, venueError(why))) return;
    this.dispatch("error", new FeedError(`Cannot ${method ?? "go on"}: the venue says "${why}"`));
  }

  /** Sends an order and waits for the answer. */
  #do(method: string, params: object): Promise<Acknowledged> {
    const req_id = ++this.#lastId;
    const frame = JSON.stringify({ method, params: { ...params, token: this.#token }, req_id });
    return this.ask(req_id, frame.replace(DECIMALS, '"$1":$2'));
  }
}

/** Ends of an order, each told once. */
const ENDS: ReadonlySet<string> = new Set(["filled", "canceled", "expired"]);

/** Decimals that were given as text: the venue wants numbers, and text keeps their digits. */
const DECIMALS = /"(order_qty|limit_price)":"(\d+(?:\.\d+)?)"/g;

/** Reads pages of 50 until all are there. What comes meanwhile moves the rest, and is read twice. */
async function pages<T>(
  read: (ofs: number) => Promise<[Record<string, T>, number]>,
): Promise<[string, T][]> {
  const all = new Map<string, T>();
  for (let ofs = 0;; ofs += 50) {
    const [page, count] = await read(ofs);
    for (const [id, one] of Object.entries(page)) all.set(id, one);
    if (ofs + 50 >= count) return [...all];
  }
}

function fillOf(exec_id: string, fill: KrakenFill, cl_ord_id?: string): KrakenExecution {
  const { ordertxid: order_id, type: side, vol: last_qty, price: last_price, time } = fill;
  const names = { order_id, exec_id, ...cl_ord_id !== undefined && { cl_ord_id } };
  const what = { channel: "executions", exec_type: "trade" } as const;
  return { ...what, ...names, side, last_qty, last_price, time: time * 1_000 };
}

function endOf(order_id: string, order: KrakenOrder): KrakenExecution {
  const { status, cl_ord_id, vol: order_qty, vol_exec: cum_qty, closetm = 0 } = order;
  const exec_type = status === "closed" ? "filled" : status;
  const names = { order_id, ...cl_ord_id && { cl_ord_id } };
  const sizes = { order_qty, cum_qty, side: order.descr.type };
  const time = closetm * 1_000;
  return { channel: "executions", exec_type, order_status: exec_type, ...names, ...sizes, time };
}

/** The answer to an order, or to the change of one. */
interface Acknowledged {
  readonly order_id: string;
  readonly amend_id?: string;
}

/** A frame of the venue's. */
type Message = Data | Answer;

/** A frame of a channel. */
interface Data {
  readonly channel: string;
  readonly type?: string;
  readonly sequence?: number;
  readonly data?: { timestamp?: string }[];
}

/** The answer to a request, or an error about none. */
interface Answer {
  readonly channel?: undefined;
  readonly method?: string;
  readonly req_id?: number;
  readonly success?: boolean;
  readonly error?: string;
  readonly Error?: string;
  readonly result?: { readonly channel?: "executions" | "balances" };
}
