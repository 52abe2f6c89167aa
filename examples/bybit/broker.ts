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
  BrokerError,
  type Draft,
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
import { BAD_TIMESTAMP, type Refusal, venueError } from "./errors.ts";
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
  readonly #settleTime: number;
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
    this.#settleTime = settleTime;
    this.#limits = session.throttlers;
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

  /** Asks for the venue's time, in epoch milliseconds. */
  async time(): Promise<number> {
    return (await this.session.get<{ time: number }>("v5/market/time", { urgent: true })).time;
  }

  /** The venue's time as far as it is known, else ours, in epoch milliseconds. Nothing is sent. */
  now(): number {
    return this.clock.error < Infinity ? this.clock.now() : Date.now();
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
    const options = { idempotent: true, urgent: true, throttlers: [this.orders] };
    const json = this.#scope(symbol);
    return (await this.#call<List<BybitPlaced>>("POST", "order/cancel-all", { ...options, json }))
      .list;
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
    for (const path of ["order/realtime", "order/history"]) {
      const { list: [order] } = await this.#call<List<BybitOrder>>("GET", path, { query, signal });
      if (order) return order;
    }
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
    const options = { query: { accountType: "UNIFIED" }, signal };
    const { list } = await this.#call<List<{ coin: BybitCoin[] }>>(
      ...["GET", "account/wallet-balance", options] as const,
    );
    return list.flatMap(({ coin }) => coin);
  }

  /**
   * Signs the login of a socket.
   *
   * @returns The arguments of `auth`: the key, until when they count, and the signature.
   */
  async socketLogin(): Promise<[key: string, expires: number, signature: string]> {
    await this.timely(() => Promise.resolve());
    const expires = this.clock.now() + 10_000;
    return [this.#signer!.key, expires, await this.#signer!.sign(`GET/realtime${expires}`)];
  }

  /**
   * Tells how to find out what became of a change that no answer came for.
   *
   * @param change The change.
   * @param wanted What was sent.
   * @returns Options of a reconciliation.
   */
  fate(change: BybitChange, wanted: BybitAmendment): ReconcileOptions<BybitPlaced> {
    const horizon = this.recvWindow + this.#settleTime;
    const find: ReconcileOptions<BybitPlaced>["find"] = async ({ signal }) => {
      const { symbol, orderId, orderLinkId, qty, price } = wanted;
      const order = await this.order(
        { symbol, ...orderId ? { orderId } : { orderLinkId } },
        signal,
      );
      if (change === "create") return order;
      if (!order) throw new Error(`Cannot tell the fate of the ${change}: no such order`);
      if (change === "cancel") return isOpen(order) ? undefined : order;
      const isSo = (one: string | undefined, is: string) => !one || Number(one) === Number(is);
      if (isSo(qty, order.qty) && isSo(price, order.price)) return order;
      if (!isOpen(order)) {
        throw new Error(`Cannot tell the fate of the amend: it is ${order.orderStatus}`);
      }
    };
    return { find, horizon, timeout: horizon + 60_000 };
  }

  /**
   * Does something signed, with the venue's time read. After a refused timestamp, which has executed
   * nothing, the clock is read anew, and it is done again, once.
   *
   * @param fn What to do.
   * @returns What `fn` returns.
   * @throws {BrokerError} If there is no login, or the time cannot be read: not sent.
   */
  async timely<T>(fn: () => Promise<T>): Promise<T> {
    const notSent = (kind: BrokerError["kind"], why: string, cause?: unknown) =>
      new BrokerError(`Cannot sign: ${why}`, { kind, outcome: "not-sent", cause });
    if (!this.#signer) throw notSent("unauthorized", "there is no login, wanted authorize() first");
    if (this.clock.error > this.recvWindow / 2) {
      await this.clock.sync().catch((error: BrokerError) => {
        if (this.clock.error === Infinity) throw notSent("network", error.message, error);
      });
    }
    try {
      return await fn();
    } catch (error) {
      if (!(error instanceof BrokerError) || error.code !== BAD_TIMESTAMP) throw error;
      await this.clock.sync().catch(() => Promise.reject(error));
      return await fn();
    }
  }

  /** The venue answers 200 to what it refuses, with a `retCode`. */
  protected override failure({ data, status, headers }: Reply): BrokerError | undefined {
    return venueError({ ...Object(data) as Refusal, status }, headers, this.now());
  }

  /** What is asked about. Among contracts the venue wants a symbol, or the coin of settlement. */
  #scope(symbol?: string): Record<string, unknown> {
    const settleCoin = this.category === "linear" && !symbol ? "USDT" : undefined;
    return { category: this.category, symbol, settleCoin };
  }

  #change(change: BybitChange, wanted: BybitAmendment): Promise<BybitPlaced> {
    const { find, ...times } = this.fate(change, wanted);
    return this.#call(`POST`, `order/${change}`, {
      json: { category: this.category, ...wanted },
      urgent: change === "cancel",
      throttlers: [this.orders],
      reconcile: {
        ...times,
        find: async (context) => {
          const result = await find(context);
          return result && { result };
        },
      },
    });
  }

  async #pages<T>(path: string, query: object, signal?: AbortSignal): Promise<T[]> {
    const all: T[] = [];
    let cursor: string | undefined;
    do {
      const page = { category: this.category, ...query, limit: 50, cursor };
      const answer = await this.#call<List<T>>("GET", path, { query: page, signal });
      all.push(...answer.list);
      cursor = answer.list.length < 50 ? undefined : answer.nextPageCursor;
    } while (cursor);
    return all;
  }

  #call<T>(
    method: "GET" | "POST",
    path: string,
    { throttlers = [this.queries], ...options }: RequestOptions<{ result: T }>,
  ): Promise<T> {
    return this.timely(async () => {
      const all = { ...options, throttlers: this.#limits ?? throttlers };
      return (await this.session.request<{ result: T }>(method, `v5/${path}`, all)).data.result;
    });
  }

  /** Called once for each attempt, after the throttlers: the timestamp is fresh. */
  async #sign({ url, body, headers }: Draft): Promise<void> {
    if (!this.#signer || url.pathname.includes("/market/")) return;
    const { key } = this.#signer;
    const timestamp = String(this.clock.now());
    const payload = `${timestamp}${key}${this.recvWindow}${body ?? url.search.slice(1)}`;
    headers.set("x-bapi-api-key", key);
    headers.set("x-bapi-timestamp", timestamp);
    headers.set("x-bapi-recv-window", String(this.recvWindow));
    headers.set("x-bapi-sign", await this.#signer.sign(payload));
  }
}

/** An answer in pages. */
interface List<T> {
  readonly list: T[];
  readonly nextPageCursor?: string;
}
