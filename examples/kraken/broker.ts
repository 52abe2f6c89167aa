/**
 * Kraken's REST interface: public prices, and private orders whose fate is always told.
 *
 * ```ts ignore
 * await using broker = new KrakenBroker();
 * await broker.authorize({ key, secret });
 * await broker.cancelAllOrdersAfter(60_000); // again every 20 s: a dead man's switch
 * const order = { pair: "XBTUSD", type: "buy", ordertype: "limit", volume: "0.01" } as const;
 * const { txid } = await broker.placeOrder({ ...order, price: "29000.0" });
 * ```
 *
 * @module
 */

import {
  AbstractBroker,
  type BrokerError,
  type ReconcileContext,
  type Reply,
  type RequestOptions,
  type SessionOptions,
  Throttler,
} from "@aio-trader/core";
import type {
  KrakenFill,
  KrakenOrder,
  KrakenOrderRequest,
  KrakenPage,
  KrakenPlaced,
} from "./account.ts";
import { venueError } from "./errors.ts";
import { type KrakenLogin, KrakenSigner } from "./signature.ts";

/** An asset pair. Many more fields come with it. */
export interface KrakenAssetPair {
  /** Another name, `XBTUSD`. */
  readonly altname: string;
  /** Its name on WebSocket v1, `XBT/USD`. */
  readonly wsname: string;
  /** Decimals of a price. */
  readonly pair_decimals: number;
  /** Decimals of a quantity. */
  readonly lot_decimals: number;
  /** The smallest step of a price. */
  readonly tick_size: string;
  /** The smallest order. */
  readonly ordermin: string;
  /** `"online"`, or why it is not. */
  readonly status: string;
}

/** Prices of an asset pair, under the venue's own short names. Decimals are text. */
export interface KrakenPrices {
  /** Best ask: price, whole lots, lots. */
  readonly a: readonly [price: string, wholeLots: string, lots: string];
  /** Best bid: price, whole lots, lots. */
  readonly b: readonly [price: string, wholeLots: string, lots: string];
  /** Last trade: price, lots. */
  readonly c: readonly [price: string, lots: string];
  /** Volume: today, in 24 hours. */
  readonly v: readonly [today: string, day: string];
  /** Lowest price: today, in 24 hours. */
  readonly l: readonly [today: string, day: string];
  /** Highest price: today, in 24 hours. */
  readonly h: readonly [today: string, day: string];
  /** Today's opening price. */
  readonly o: string;
}

/** Options of {@linkcode KrakenBroker}. */
export interface KrakenBrokerOptions extends Omit<SessionOptions, "baseUrl"> {
  /**
   * The venue's address.
   *
   * @default {"https://api.kraken.com"}
   */
  baseUrl?: string;
}

/** A broker for one account. Public calls need no login. */
export class KrakenBroker extends AbstractBroker<KrakenLogin> {
  /**
   * One public request in any second, by the venue's own clock: `"after-finish"` counts from the
   * answer, so that no difference in latency can bring two requests closer together.
   */
  readonly throttler: Throttler = new Throttler({
    limit: 1,
    period: 1_000,
    refill: "after-finish",
  });
  /**
   * The venue's counter of private requests, for the lowest tier: 15, minus one every 3 seconds.
   * One is kept in reserve, for differences in latency. Orders and cancels do not count here.
   * Source: guide "Spot REST rate limits".
   */
  readonly counter: Throttler = new Throttler({ limit: 14, period: 42_000, refill: "steady" });
  /**
   * One private request at a time, from its signature to its answer: the venue refuses a nonce that
   * is not above the last one. `throttlers: []` does not remove this lane.
   */
  readonly #lane = new Throttler({ limit: 1, period: 1, refill: "after-finish" });
  readonly #throttlers: SessionOptions["throttlers"];
  #signer: KrakenSigner | undefined;

  /**
   * Makes a broker. Nothing is sent yet.
   *
   * @param options The venue's address, and anything a session takes. `throttlers` replaces both
   *   limits. An attempt may take 10 seconds unless `timeout` says otherwise, for a request that
   *   hangs holds the lane.
   */
  constructor({ baseUrl = "https://api.kraken.com", ...options }: KrakenBrokerOptions = {}) {
    super();
    this.#throttlers = options.throttlers;
    this.initialiseSession({
      timeout: 10_000,
      throttlers: [this.throttler],
      sign: async (draft) => {
        if (draft.url.pathname.startsWith("/0/private/")) await this.#signer?.sign(draft);
      },
      ...options,
      baseUrl: new URL("0", baseUrl),
    });
  }

  /**
   * Takes a key for the private calls. Nothing is sent.
   *
   * @param login The key and its secret. Use a key in one program only: nonces are per key.
   * @throws {TypeError} If the secret is not base64.
   */
  override async authorize(login: KrakenLogin): Promise<void> {
    const signer = new KrakenSigner(login);
    await signer.ready;
    this.#signer = signer;
  }

  /**
   * Asks for the venue's time.
   *
   * @returns Epoch milliseconds.
   */
  async time(): Promise<number> {
    return (await this.#get<{ unixtime: number }>("Time")).unixtime * 1_000;
  }

  /**
   * Asks what is traded.
   *
   * @param pairs Which pairs, by any of their names; all if none is given.
   * @returns The pairs, by the venue's own id (`XXBTZUSD`).
   * @throws {BrokerError} If a pair is unknown: kind "rejected", code "EQuery:Unknown asset pair".
   */
  assetPairs(...pairs: string[]): Promise<Record<string, KrakenAssetPair>> {
    return this.#get("AssetPairs", pairs);
  }

  /**
   * Asks for prices.
   *
   * @param pairs Which pairs, by any of their names; all if none is given.
   * @returns The prices, by the venue's own id (`XXBTZUSD`).
   * @throws {BrokerError} If a pair is unknown: kind "rejected", code "EQuery:Unknown asset pair".
   */
  ticker(...pairs: string[]): Promise<Record<string, KrakenPrices>> {
    return this.#get("Ticker", pairs);
  }

  /**
   * Places an order, at most once. If no answer comes, the venue is asked for the order by its
   * `cl_ord_id`.
   *
   * @param order The order. Without a `cl_ord_id` it gets a fresh one.
   * @returns The venue's names of the order.
   * @throws {BrokerError} `outcome` tells the fate of the order, `code` the venue's own words.
   */
  placeOrder(order: KrakenOrderRequest): Promise<KrakenPlaced> {
    const { cl_ord_id = crypto.randomUUID() } = order;
    const start = performance.now();
    const find = async ({ signal }: ReconcileContext) => {
      const found = await this.findOrder(cl_ord_id, performance.now() - start, signal);
      return found && { result: { txid: [found.txid], descr: found.order.descr, cl_ord_id } };
    };
    const options = { reconcile: { find } };
    const placed = this.#order<KrakenPlaced>("AddOrder", { ...order, cl_ord_id }, options);
    return placed.then((answer) => ({ ...answer, cl_ord_id }));
  }

  /**
   * Finds an order by your name of it: among the open orders, then among the closed ones. An order
   * only ever moves in this direction, so none slips through between the two.
   *
   * @param cl_ord_id Your name of the order.
   * @param age How long ago the order was placed, at most, in milliseconds. An older order of the
   *   same name is another order: the venue wants names unique among open orders only.
   * @param signal Ends the look-up. That of a reconciliation lets it go first.
   * @returns The order, or `undefined` if the venue has none.
   */
  async findOrder(
    cl_ord_id: string,
    age: number,
    signal?: AbortSignal,
  ): Promise<{ txid: string; order: KrakenOrder } | undefined> {
    const start = await this.venueTime(age, signal);
    const isMine = ([, order]: [string, KrakenOrder]) =>
      order.cl_ord_id === cl_ord_id && order.opentm >= start;
    const { open } = await this.#read<{ open: Record<string, KrakenOrder> }>(
      "OpenOrders",
      { cl_ord_id },
      { signal },
    );
    const found = Object.entries(open).find(isMine);
    if (found) return { txid: found[0], order: found[1] };
    const { closed, count } = await this.closedOrders({ cl_ord_id, start }, signal);
    const ended = Object.entries(closed).find(isMine);
    if (ended) return { txid: ended[0], order: ended[1] };
    if (count > Object.keys(closed).length) {
      throw new Error(`Cannot find the order: ${count} closed ones, wanted one page of them`);
    }
    return undefined;
  }

  /**
   * Tells which time it was at the venue some time ago, or a little earlier: never later. Our own
   * clock may be wrong, but not about how long something was.
   *
   * @param age How long ago, in milliseconds.
   * @param signal Ends the call.
   * @returns Epoch seconds of the venue.
   */
  async venueTime(age: number, signal?: AbortSignal): Promise<number> {
    const from = performance.now() - age;
    const { unixtime } = await this.#get<{ unixtime: number }>("Time", [], signal);
    return unixtime - Math.ceil((performance.now() - from) / 1_000) - 1;
  }

  /**
   * Cancels an order, before calls that are not urgent.
   *
   * @param txid The venue's name of the order, or yours as `{ cl_ord_id }`.
   * @returns How many orders were cancelled.
   */
  cancelOrder(txid: string | { cl_ord_id: string }): Promise<{ count: number }> {
    return this.#order("CancelOrder", typeof txid === "string" ? { txid } : txid);
  }

  /**
   * Cancels every open order, before calls that are not urgent.
   *
   * @returns How many orders were cancelled.
   */
  cancelAll(): Promise<{ count: number }> {
    return this.#order("CancelAll", {}, { idempotent: true });
  }

  /**
   * Sets a dead man's switch: the venue cancels every order unless it hears from us in time. Call
   * again every 15 to 30 seconds, with 60. Source: API reference "Cancel all orders after X".
   *
   * @param timeout Until when, in milliseconds, rounded up to seconds. `0` removes the switch.
   * @returns The venue's time, and when it will cancel.
   * @throws {RangeError} If `timeout` is not from 0 to 86,400,000.
   */
  cancelAllOrdersAfter(timeout: number): Promise<{ currentTime: string; triggerTime: string }> {
    if (!(timeout >= 0 && timeout <= 86_400_000)) {
      throw new RangeError(
        `Cannot set the switch: timeout is ${timeout}, wanted 0 to 86400000 milliseconds`,
      );
    }
    const form = { timeout: Math.ceil(timeout / 1_000) };
    return this.#order("CancelAllOrdersAfter", form, { idempotent: true });
  }

  /** Asks what the account holds, by asset. */
  balance(): Promise<Record<string, string>> {
    return this.#read("Balance");
  }

  /**
   * Asks for all open orders.
   *
   * @param signal Ends the call. That of a reconciliation lets it go first.
   * @returns The orders, by the venue's names of them.
   */
  async openOrders(signal?: AbortSignal): Promise<Record<string, KrakenOrder>> {
    return (await this.#read<{ open: Record<string, KrakenOrder> }>("OpenOrders", {}, { signal }))
      .open;
  }

  /**
   * Asks for closed orders, the newest first, 50 at a time.
   *
   * @param page Which of them.
   * @param signal Ends the call.
   * @returns The orders, by the venue's names of them, and how many there are in all.
   */
  closedOrders(
    page: KrakenPage = {},
    signal?: AbortSignal,
  ): Promise<{ closed: Record<string, KrakenOrder>; count: number }> {
    return this.#read("ClosedOrders", page, { signal, cost: 2 });
  }

  /**
   * Asks for trades of the account, the newest first, 50 at a time.
   *
   * @param page Which of them.
   * @param signal Ends the call.
   * @returns The trades, by their ids, and how many there are in all.
   */
  tradesHistory(
    page: KrakenPage = {},
    signal?: AbortSignal,
  ): Promise<{ trades: Record<string, KrakenFill>; count: number }> {
    return this.#read("TradesHistory", page, { signal, cost: 2 });
  }

  /** Asks for a token of the private WebSocket: to be used within 15 minutes. */
  async webSocketsToken(signal?: AbortSignal): Promise<string> {
    const options = { signal, urgent: true };
    return (await this.#read<{ token: string }>("GetWebSocketsToken", {}, options)).token;
  }

  /** The venue answers 200 to what it refuses: `{"error": ["EQuery:Unknown asset pair"]}`. */
  protected override failure({ data }: Reply): BrokerError | undefined {
    const { error = [] }: { error?: string[] } = Object(data);
    const code = error.find((text) => text.startsWith("E")); // those with W are warnings
    return code === undefined ? undefined : venueError(code);
  }

  async #get<T>(path: string, pairs: string[] = [], signal?: AbortSignal): Promise<T> {
    const query = { pair: pairs.length > 0 ? pairs.join(",") : undefined };
    return (await this.session.get<Result<T>>(`public/${path}`, { query, signal })).result;
  }

  /** Reads what is private: may be repeated, and counts. */
  #read<T>(path: string, form: object = {}, options: Options<T> = {}): Promise<T> {
    const { cost = 1, ...rest } = options;
    const throttlers = this.#throttlers ?? [{ throttler: this.counter, cost }];
    return this.#post(path, form, { ...rest, idempotent: true, throttlers });
  }

  /** Changes something: sent at most once. Cancels go first. */
  #order<T>(path: string, form: object, options: Options<T> = {}): Promise<T> {
    const urgent = path.startsWith("Cancel");
    return this.#post(path, form, { ...options, urgent, throttlers: this.#throttlers });
  }

  async #post<T>(path: string, form: object, options: Options<T>): Promise<T> {
    if (!this.#signer) throw new TypeError(`Cannot call ${path}: no login, wanted authorize()`);
    const throttlers = [this.#lane, ...options.throttlers ?? []];
    const all = { ...options, form, throttlers };
    return (await this.session.post<Result<T>>(`private/${path}`, all)).result;
  }
}

/** An answer, in the venue's envelope. */
interface Result<T> {
  readonly result: T;
}

/** Options of a private call. */
type Options<T> = RequestOptions<Result<T>>;
