/**
 * Bybit's REST interface (API v5): signed orders whose fate is always told.
 *
 * ```ts ignore
 * await using broker = new BybitBroker();
 * await broker.authorize({ key, secret });
 * const order = { symbol: "BTCUSDT", side: "Buy", orderType: "Limit", qty: "0.001" } as const;
 * const { orderId } = await broker.placeOrder({ ...order, price: "60000" });
 * ```
 *
 * Sources: bybit-exchange.github.io/docs/v5: guide, rate-limit, error and "Trade".
 *
 * @module
 */

import {
  AbstractBroker,
  type BrokerError,
  type Draft,
  type ReconcileContext,
  type ReconcileOptions,
  type Reply,
  type RequestOptions,
  type SessionOptions,
  Throttler,
  VenueClock,
} from "@aio-trader/core";
import {
  type BybitAmendment,
  type BybitCategory,
  type BybitCoin,
  type BybitExecution,
  type BybitOrder,
  type BybitOrderName,
  type BybitOrderRequest,
  type BybitPlaced,
  isOpen,
} from "./account.ts";
import { noLogin, type Refusal, venueError } from "./errors.ts";
import { type BybitLogin, BybitSigner } from "./signature.ts";

/** Options of {@linkcode BybitBroker}. */
export interface BybitBrokerOptions extends Omit<SessionOptions, "baseUrl"> {
  /**
   * The venue's address.
   *
   * @default {"https://api.bybit.com"}
   */
  baseUrl?: string;
  /**
   * What is traded.
   *
   * @default {"spot"}
   */
  category?: BybitCategory;
  /**
   * How old a request may be when the venue takes it up, in milliseconds.
   *
   * @default {5_000}
   */
  recvWindow?: number;
  /**
   * How long the venue may take to show an order that it has taken, in milliseconds.
   *
   * @default {2_000}
   */
  settleTime?: number;
}

/** A change of orders, by the last part of its path. */
export type BybitChange = "create" | "amend" | "cancel";

/** A broker for one category of one account. */
export class BybitBroker extends AbstractBroker<BybitLogin> {
  /** Orders, changes and cancels, over the socket too: 10 a second each, here all together. */
  readonly orders: Throttler = new Throttler({ limit: 10, period: 1_000, refill: "after-finish" });
  /** Everything else. The venue bans an address that asks more than 50 times a second. */
  readonly queries: Throttler = new Throttler({ limit: 40, period: 1_000 });
  /** What is traded. */
  readonly category: BybitCategory;
  /** The venue's time. */
  readonly clock: VenueClock = new VenueClock(() => this.time());
  /** How old a request may be, in milliseconds. */
  readonly recvWindow: number;
  /** How long after its end a request may still become an order that the venue shows. */
  readonly #horizon: number;
  /** What orders wait for. */
  readonly #limits: SessionOptions["throttlers"];
  #signer: BybitSigner | undefined;

  /**
   * Makes a broker. Nothing is sent yet.
   *
   * @param options Address, category, and anything a session takes. `throttlers` replaces both
   *   limits.
   */
  constructor(options: BybitBrokerOptions = {}) {
    const { baseUrl = "https://api.bybit.com", category = "spot", ...rest } = options;
    const { recvWindow = 5_000, settleTime = 2_000, ...session } = rest;
    super();
    this.category = category;
    this.recvWindow = recvWindow;
    this.#horizon = recvWindow + settleTime;
    this.#limits = session.throttlers ?? [this.orders];
    const sign = (draft: Draft) => this.#sign(draft);
    const throttlers = [this.queries];
    this.initialiseSession({ timeout: 10_000, throttlers, sign, ...session, baseUrl });
  }

  /**
   * Takes a key. Nothing is sent.
   *
   * @param login The key and its secret.
   */
  override async authorize(login: BybitLogin): Promise<void> {
    this.#signer = await BybitSigner.of(login);
  }

  /** After a refused timestamp, which has executed nothing: the session then sends again, once. */
  protected override async renew(): Promise<void> {
    await this.clock.sync();
  }

  /**
   * Asks for the venue's time, in epoch milliseconds. The call takes no token, for the calls that
   * wait for it hold theirs.
   */
  async time(): Promise<number> {
    const options = { renew: false, throttlers: [] };
    return (await this.session.get<{ time: number }>("v5/market/time", options)).time;
  }

  /**
   * Places an order, at most once. If no answer comes, the venue is asked for its `orderLinkId`.
   *
   * @param order The order. Without an `orderLinkId` it gets a fresh one.
   * @returns Both names of the order. The venue may refuse the order later all the same: the private
   *   stream tells.
   * @throws {BrokerError} `outcome` tells the fate of the order, `code` is the venue's `retCode`.
   */
  placeOrder(order: BybitOrderRequest): Promise<BybitPlaced> {
    return this.#change("create", { orderLinkId: crypto.randomUUID(), ...order });
  }

  /**
   * Changes quantity or limit of an open order. If no answer comes, the venue is asked.
   *
   * @param change The order, and what is new.
   * @returns Both names of the order.
   * @throws {BrokerError} `outcome` tells whether the change may have been made.
   */
  amendOrder(change: BybitAmendment): Promise<BybitPlaced> {
    return this.#change("amend", change);
  }

  /**
   * Cancels an order, before calls that are not urgent. If no answer comes, the venue is asked: look
   * at `orderStatus` then, for the order may have been filled first.
   *
   * @param name The order.
   * @returns Both names of the order.
   * @throws {BrokerError} `outcome` tells whether the order may have been cancelled.
   */
  cancelOrder(name: BybitOrderName): Promise<BybitPlaced> {
    return this.#change("cancel", name);
  }

  /**
   * Cancels every open order, before calls that are not urgent.
   *
   * @param symbol Of this symbol only. Else of all, among contracts of those settled in USDT.
   * @returns The orders that were cancelled.
   */
  async cancelAll(symbol?: string): Promise<BybitPlaced[]> {
    const json = this.#scope(symbol);
    const options = { json, idempotent: true, urgent: true, throttlers: this.#limits };
    return (await this.#post<List<BybitPlaced>>("order/cancel-all", options)).list;
  }

  /**
   * Asks for an order: first among those of late, then in the history. An order only ever moves in
   * this direction, so none slips through between the two.
   *
   * @param name The order.
   * @param signal Ends the call. That of a reconciliation lets it go first.
   * @returns The order, or `undefined` if the venue has none.
   */
  async order(name: BybitOrderName, signal?: AbortSignal): Promise<BybitOrder | undefined> {
    const query = { category: this.category, ...name };
    const find = async (path: string) =>
      (await this.#list<BybitOrder>(path, query, signal)).list[0];
    return await find("order/realtime") ?? await find("order/history");
  }

  /**
   * Asks for orders.
   *
   * @param which `"open"`, the latest 500 that are `"closed"`, or those placed `since` then, in epoch
   *   milliseconds of the venue.
   * @param signal Ends the call.
   * @returns The orders, the newest first.
   */
  ordersOf(
    which: "open" | "closed" | { since: number },
    signal?: AbortSignal,
  ): Promise<BybitOrder[]> {
    if (typeof which === "object") {
      return this.#pages("order/history", { startTime: which.since }, signal);
    }
    const openOnly = which === "open" ? 0 : 1;
    return this.#pages("order/realtime", { ...this.#scope(), openOnly }, signal);
  }

  /**
   * Asks for executions of the account.
   *
   * @param startTime From then, for 7 days at most, in epoch milliseconds of the venue.
   * @param signal Ends the call.
   * @returns The executions, the newest first.
   */
  executions(startTime: number, signal?: AbortSignal): Promise<BybitExecution[]> {
    return this.#pages("execution/list", { startTime }, signal);
  }

  /** Asks what the unified account holds, by coin. */
  async balance(signal?: AbortSignal): Promise<BybitCoin[]> {
    const path = "account/wallet-balance";
    const query = { accountType: "UNIFIED" };
    const { list } = await this.#list<{ coin: BybitCoin[] }>(path, query, signal);
    return list.flatMap(({ coin }) => coin);
  }

  /**
   * Signs the login of a socket.
   *
   * @returns The arguments of `auth`: the key, until when they count, and the signature.
   */
  async socketLogin(): Promise<[key: string, expires: number, signature: string]> {
    const signer = this.#signer ?? noLogin();
    const expires = await this.clock.fresh(this.recvWindow / 2) + 10_000;
    return [signer.key, expires, await signer.sign(`GET/realtime${expires}`)];
  }

  /**
   * Tells how to find out what became of a change that no answer came for.
   *
   * @param change The change.
   * @param wanted What was sent.
   * @returns Options of a reconciliation.
   */
  fate(change: BybitChange, wanted: BybitAmendment): ReconcileOptions<Result<BybitPlaced>> {
    const { symbol, orderId, orderLinkId, qty, price } = wanted;
    const isSo = (one: string | undefined, is: string) => !one || Number(one) === Number(is);
    const find = async ({ signal }: ReconcileContext) => {
      const result = await this.order({ symbol, orderId, orderLinkId }, signal);
      if (change === "create") return result && { result };
      if (!result) throw new Error(`Cannot tell the fate of the ${change}: no such order`);
      const isAmended = isSo(qty, result.qty) && isSo(price, result.price);
      if (change === "cancel" ? !isOpen(result) : isAmended) return { result };
      if (isOpen(result)) return undefined;
      throw new Error(`Cannot tell the fate of the amend: it is ${result.orderStatus}`);
    };
    return { find, horizon: this.#horizon, timeout: this.#horizon + 60_000 };
  }

  /** The venue answers 200 to what it refuses, with a `retCode`. */
  protected override failure({ data, status, headers }: Reply): BrokerError | undefined {
    const now = this.clock.error < Infinity ? this.clock.now() : Date.now();
    return venueError({ ...Object(data) as Refusal, status }, headers, now);
  }

  /** What is asked about. Among contracts the venue wants a symbol, or the coin of settlement. */
  #scope(symbol?: string): Record<string, unknown> {
    const settleCoin = this.category === "linear" && !symbol ? "USDT" : undefined;
    return { category: this.category, symbol, settleCoin };
  }

  #change(change: BybitChange, wanted: BybitAmendment): Promise<BybitPlaced> {
    return this.#post(`order/${change}`, {
      json: { category: this.category, ...wanted },
      urgent: change === "cancel",
      throttlers: this.#limits,
      reconcile: this.fate(change, wanted),
    });
  }

  async #pages<T>(path: string, query: object, signal?: AbortSignal): Promise<T[]> {
    const all: T[] = [];
    let cursor: string | undefined;
    do {
      const page = { category: this.category, ...query, limit: 50, cursor };
      const answer = await this.#list<T>(path, page, signal);
      all.push(...answer.list);
      cursor = answer.list.length < 50 ? undefined : answer.nextPageCursor;
    } while (cursor);
    return all;
  }

  async #list<T>(path: string, query: object, signal?: AbortSignal): Promise<List<T>> {
    return (await this.session.get<Result<List<T>>>(`v5/${path}`, { query, signal })).result;
  }

  async #post<T>(path: string, options: RequestOptions<Result<T>>): Promise<T> {
    return (await this.session.post<Result<T>>(`v5/${path}`, options)).result;
  }

  /** Called once for each attempt, after the throttlers: the timestamp is fresh. */
  async #sign({ url, body, headers }: Draft): Promise<void> {
    if (url.pathname.includes("/market/")) return; // public, such as the clock's own call
    const signer = this.#signer ?? noLogin();
    const timestamp = await this.clock.fresh(this.recvWindow / 2);
    const payload = `${timestamp}${signer.key}${this.recvWindow}${body ?? url.search.slice(1)}`;
    headers.set("x-bapi-api-key", signer.key);
    headers.set("x-bapi-timestamp", String(timestamp));
    headers.set("x-bapi-recv-window", String(this.recvWindow));
    headers.set("x-bapi-sign", await signer.sign(payload));
  }
}

/** An answer, in the venue's envelope. */
export interface Result<T> {
  /** What was asked for. */
  readonly result: T;
}

/** A result in pages. */
interface List<T> {
  readonly list: T[];
  readonly nextPageCursor?: string;
}
