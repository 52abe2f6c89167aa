/**
 * Zerodha's Kite Connect (REST v3): orders whose fate is always told, the portfolio, prices and
 * candles.
 *
 * ```ts ignore
 * await using broker = new KiteBroker();
 * await broker.authorize({ apiKey, accessToken });
 * const { order_id } = await broker.placeOrder({
 *   exchange: "NSE",
 *   tradingsymbol: "INFY",
 *   transaction_type: "BUY",
 *   order_type: "MARKET",
 *   product: "CNC",
 *   quantity: 1,
 * });
 * ```
 *
 * @module
 */

import {
  AbstractBroker,
  BrokerError,
  type Limit,
  type ReconcileContext,
  type ReconcileOptions,
  type Reply,
  type RequestOptions,
  type SessionOptions,
  Throttler,
} from "@aio-trader/core";
import {
  isOver,
  type KiteAccess,
  type KiteLogin,
  type KiteMargin,
  type KiteOrder,
  type KitePlaced,
  type KitePosition,
  type KiteProfile,
  type KiteTrade,
  type KiteVariety,
} from "./account.ts";
import { hex } from "../hmac.ts";
import { Recent } from "../recent.ts";
import { gttForm, type KiteGtt, type KiteGttRequest } from "./gtt.ts";
import { type KiteInstrument, parseInstruments } from "./instruments.ts";
import {
  completeChange,
  completeOrder,
  isChanged,
  type KiteOrderChange,
  type KiteOrderRequest,
} from "./order_form.ts";
import {
  candle,
  type CandleRow,
  india,
  type KiteCandle,
  type KiteCandleRange,
  type KiteInterval,
  type KiteLtp,
  type KiteOhlc,
  type KiteQuote,
} from "./prices.ts";

export type * from "./account.ts";
export type { KiteGtt, KiteGttOrder, KiteGttRequest } from "./gtt.ts";
export type { KiteOrderChange, KiteOrderRequest } from "./order_form.ts";
export type {
  KiteCandle,
  KiteCandleRange,
  KiteInterval,
  KiteLtp,
  KiteOhlc,
  KiteQuote,
} from "./prices.ts";

/** Options of {@linkcode KiteBroker}. */
export interface KiteBrokerOptions extends Omit<SessionOptions, "baseUrl"> {
  /**
   * The venue's address.
   *
   * @default {"https://api.kite.trade"}
   */
  baseUrl?: string;
  /**
   * How long the venue is asked for an order that no answer came for, in milliseconds: see
   * {@linkcode ReconcileOptions}. `false` does not ask: the error says `"unknown"` at once.
   *
   * @default {{ horizon: 10_000, timeout: 60_000 }}
   */
  reconcile?: Pick<ReconcileOptions<unknown>, "horizon" | "timeout"> | false;
}

/** Refusals of the venue. An order may have been executed before any other exception. */
const REFUSALS = /^(?:Input|Order|Margin|Holding|Permission|User)Exception$/;

/**
 * Words of a 400 behind which the order may stand: "Order request timed out. Please check the order
 * book and confirm before placing again." Source: kite.trade/forum/discussion/35732.
 */
const DOUBTS = /\btimed?[ -]?out\b|\bconfirm before placing\b/i;

/** A client of Kite Connect. */
export class KiteBroker extends AbstractBroker<KiteLogin> {
  /**
   * The venue's limits. `"after-finish"` keeps them by the venue's own clock, so that no difference in
   * latency can bring two requests closer together: its 429 does not say when to come again. The
   * day's 5000 orders are left to the venue: an order that waits for the next day is no help.
   */
  readonly throttlers: Readonly<Record<"quotes" | "history" | "orders" | "rest", Throttler>> = {
    quotes: new Throttler(limit(1, 1_000)),
    history: new Throttler(limit(3, 1_000)),
    orders: new Throttler([limit(10, 1_000), limit(400, 60_000)]),
    rest: new Throttler(limit(10, 1_000)),
  };
  readonly #given: SessionOptions["throttlers"];
  readonly #reconcile: KiteBrokerOptions["reconcile"];
  /** Orders that an answer or a look-up has named: another look-up takes none of them. */
  readonly #answered = new Recent<string, true>(10_000);
  #access: KiteAccess | undefined;

  /**
   * Makes a client. Nothing is sent yet.
   *
   * @param options The venue's address, and anything a session takes. `throttlers` replaces all the
   *   limits. `onUnauthorized` may call `authorize` with a new token, where a program can get one:
   *   calls refused for the old one wait for it and are replayed.
   */
  constructor(
    { baseUrl = "https://api.kite.trade", reconcile = {}, ...options }: KiteBrokerOptions = {},
  ) {
    super();
    this.#given = options.throttlers;
    this.#reconcile = reconcile;
    this.initialiseSession({ ...options, throttlers: this.#limits("rest"), baseUrl });
    this.session.headers.set("x-kite-version", "3");
  }

  /**
   * The login, as a feed takes it: `new KiteFeed(broker.access, { broker })`.
   *
   * @throws {Error} Before a login.
   */
  get access(): KiteAccess {
    if (this.#access) return this.#access;
    throw new Error("Cannot give access: nobody has logged in, wanted authorize()");
  }

  /**
   * Logs in: with a token of this day as it is, or with a request token, for which the venue gives one.
   *
   * @param login One or the other.
   * @throws {BrokerError} If the venue refuses: kind "unauthorized".
   */
  override async authorize(login: KiteLogin): Promise<void> {
    const { apiKey } = login;
    const accessToken = "accessToken" in login ? login.accessToken : await this.#exchange(login);
    this.session.headers.set("authorization", `token ${apiKey}:${accessToken}`);
    this.#access = { apiKey, accessToken };
  }

  /** Asks who is logged in. */
  profile(): Promise<KiteProfile> {
    return this.#get("user/profile");
  }

  /**
   * Asks for the funds of every segment, or of one.
   *
   * @param segment The segment.
   */
  margins(): Promise<Record<"equity" | "commodity", KiteMargin>>;
  margins(segment: "equity" | "commodity"): Promise<KiteMargin>;
  margins(segment?: string): Promise<unknown> {
    return this.#get(segment ? `user/margins/${segment}` : "user/margins");
  }

  /** Asks for the holdings. */
  holdings(): Promise<KitePosition[]> {
    return this.#get("portfolio/holdings");
  }

  /** Asks for the positions: those of today's trades (`day`), and with earlier ones (`net`). */
  positions(): Promise<Record<"net" | "day", KitePosition[]>> {
    return this.#get("portfolio/positions");
  }

  /**
   * Places an order, at most once. If no answer comes, the venue's order book is asked for the
   * order by its `tag`.
   *
   * @param order The order. Without a `tag` it gets a fresh one; MARKET and SL-M get the protection
   *   that the exchange recommends.
   * @returns The venue's name of the order. It stands: whether it is executed, the feed tells.
   * @throws {BrokerError} `outcome` tells the fate of the order, `code` the venue's exception.
   * @throws {TypeError} If the venue would ignore a field. Nothing has been sent then.
   */
  async placeOrder(order: KiteOrderRequest): Promise<KitePlaced> {
    const form = completeOrder(order);
    const find = async ({ signal }: ReconcileContext) => {
      const found = (await this.findOrders(form.tag, signal))
        .filter(({ order_id }) => !this.#answered.has(order_id));
      const isOne = !order.autoslice && order.variety !== "iceberg";
      if (found.length > 1 && isOne) {
        throw new Error(`Cannot tell the order: ${found.length} have the tag, wanted 1`);
      }
      const children = found.map(({ order_id }) => ({ order_id }));
      if (found.length === 0) return undefined;
      return { data: { ...children[0], ...order.autoslice && { children } } };
    };
    const path = `orders/${order.variety ?? "regular"}`;
    const placed = await this.#order<Omit<KitePlaced, "tag">>("POST", path, { form, find });
    for (const { order_id } of [placed, ...placed.children ?? []]) {
      if (order_id !== undefined) this.#answered.set(order_id, true);
    }
    return { ...placed, tag: form.tag };
  }

  /**
   * Changes an order, at most once. If no answer comes, the venue is asked whether the order is as
   * it should be.
   *
   * @param id The venue's name of the order.
   * @param change The fields that are to be different.
   * @throws {BrokerError} `outcome` tells whether the order may have been changed.
   */
  modifyOrder(id: string, change: KiteOrderChange): Promise<{ order_id: string }> {
    const form = completeChange(change);
    return this.#change("PUT", id, { variety: change.variety, form }, (order) => {
      return isChanged(order, change);
    });
  }

  /**
   * Cancels an order, before calls that are not urgent. If no answer comes, the venue is asked
   * whether the order is cancelled.
   *
   * @param id The venue's name of the order.
   * @param variety Kind of the order.
   * @throws {BrokerError} `outcome` tells whether the order may have been cancelled.
   */
  cancelOrder(id: string, variety?: KiteVariety): Promise<{ order_id: string }> {
    return this.#change("DELETE", id, { variety, urgent: true }, ({ status }) => {
      return status.startsWith("CANCELLED");
    });
  }

  /**
   * Asks for the orders of the day, the oldest first. The venue answers with all of them at once.
   *
   * @param options `signal` ends the call; that of a reconciliation lets it go first, as `urgent`
   *   does.
   */
  orders(options: Pick<RequestOptions, "signal" | "urgent"> = {}): Promise<KiteOrder[]> {
    return this.#list("orders", options);
  }

  /**
   * Asks for the day's orders of a tag.
   *
   * @param tag Your name of the orders.
   * @param signal Ends the call. That of a reconciliation lets it go first.
   */
  async findOrders(tag: string, signal?: AbortSignal): Promise<KiteOrder[]> {
    return (await this.orders({ signal })).filter((order) => order.tag === tag);
  }

  /** Asks for the states that an order of the day went through, the oldest first. */
  orderHistory(id: string): Promise<KiteOrder[]> {
    return this.#list(`orders/${encodeURIComponent(id)}`);
  }

  /** Asks for the executions of an order. */
  orderTrades(id: string): Promise<KiteTrade[]> {
    return this.#list(`orders/${encodeURIComponent(id)}/trades`);
  }

  /** Asks for the day's executions. */
  trades(): Promise<KiteTrade[]> {
    return this.#list("trades");
  }

  /**
   * Places a trigger, at most once. A trigger has no tag: after an `"unknown"` outcome look for it
   * in `gtts()`.
   *
   * @param gtt The trigger, and the orders that it places.
   * @returns The venue's name of the trigger.
   * @throws {BrokerError} `outcome` tells the fate of the trigger.
   */
  placeGtt(gtt: KiteGttRequest): Promise<{ trigger_id: number }> {
    return this.#send("POST", "gtt/triggers", { form: gttForm(gtt) });
  }

  /**
   * Replaces an active trigger, at most once.
   *
   * @param id The venue's name of the trigger.
   * @param gtt The new trigger.
   */
  modifyGtt(id: number, gtt: KiteGttRequest): Promise<{ trigger_id: number }> {
    return this.#send("PUT", `gtt/triggers/${id}`, { form: gttForm(gtt) });
  }

  /**
   * Cancels a trigger, before calls that are not urgent.
   *
   * @param id The venue's name of the trigger.
   */
  cancelGtt(id: number): Promise<{ trigger_id: number }> {
    return this.#send("DELETE", `gtt/triggers/${id}`, { urgent: true });
  }

  /** Asks for a trigger. */
  gtt(id: number): Promise<KiteGtt> {
    return this.#get(`gtt/triggers/${id}`);
  }

  /** Asks for the triggers: those that are active, and those that ended in the last days. */
  gtts(): Promise<KiteGtt[]> {
    return this.#list("gtt/triggers");
  }

  /**
   * Asks for full quotes of instruments.
   *
   * @param names Which, as in `"NSE:INFY"`: at most 500.
   * @returns By name. One that does not exist is absent.
   */
  quote(...names: string[]): Promise<Record<string, KiteQuote>> {
    return this.#get("quote", { query: { i: names }, throttlers: this.#limits("quotes") });
  }

  /** Asks for the day of at most 1000 instruments. */
  ohlc(...names: string[]): Promise<Record<string, KiteOhlc>> {
    return this.#get("quote/ohlc", { query: { i: names }, throttlers: this.#limits("quotes") });
  }

  /** Asks for the last price of at most 1000 instruments. */
  ltp(...names: string[]): Promise<Record<string, KiteLtp>> {
    return this.#get("quote/ltp", { query: { i: names }, throttlers: this.#limits("quotes") });
  }

  /**
   * Asks for candles.
   *
   * @param token The instrument's token.
   * @param interval How long a candle is.
   * @param range From when to when.
   * @returns The candles, the oldest first.
   */
  async candles(
    token: number,
    interval: KiteInterval,
    { from, to, continuous = false, oi = false }: KiteCandleRange,
  ): Promise<KiteCandle[]> {
    const query = {
      from: india(from),
      to: india(to),
      continuous: Number(continuous),
      oi: Number(oi),
    };
    const path = `instruments/historical/${token}/${interval}`;
    const options = { query, throttlers: this.#limits("history") };
    return (await this.#get<{ candles: CandleRow[] }>(path, options)).candles.map(candle);
  }

  /**
   * Asks for the list of instruments: some 100,000, listed anew once a day.
   *
   * @param exchange Only there, `"NSE"`.
   * @throws {BrokerError} If the answer is no such list, or an empty one: kind "decode".
   */
  instruments(exchange?: string): Promise<KiteInstrument[]> {
    const path = exchange ? `instruments/${encodeURIComponent(exchange)}` : "instruments";
    return this.session.get(path, { parse: parseInstruments });
  }

  /** The venue's errors read `{"status": "error", "error_type": …, "message": …}`. */
  protected override failure({ data, status }: Reply): BrokerError | undefined {
    // The session knows the fate of such a request, and whether to ask again.
    if (status === 408 || status === 429 || status >= 500) return undefined;
    const { status: said, error_type, message } = Object(data);
    const code = /^\w+Exception$/.test(error_type) ? error_type : undefined;
    if (code) {
      const isRefusal = (status >= 400 || REFUSALS.test(code)) && !DOUBTS.test(message);
      const [kind, outcome] = code === "TokenException"
        ? ["unauthorized", "rejected"] as const // log in again
        : isRefusal
        ? ["rejected", "rejected"] as const
        : ["network", "unknown"] as const;
      const words = message ? `Kite says ${code}: ${message}` : `Kite says ${code}`;
      return new BrokerError(words, { kind, outcome, code });
    }
    // The list of instruments comes without an envelope. Kite's own refusals have one: a bare 400
    // may be another request's answer on the same connection.
    if (status > 400) return undefined;
    if (status < 400 && (said === "success" || Array.isArray(data))) return undefined;
    const text = "Cannot read Kite's answer: it does not say success";
    return new BrokerError(text, { kind: "decode", outcome: "unknown" });
  }

  async #exchange(
    { apiKey, apiSecret, requestToken }: Exclude<KiteLogin, KiteAccess>,
  ): Promise<string> {
    const checksum = await sha256(apiKey + requestToken + apiSecret);
    const form = { api_key: apiKey, request_token: requestToken, checksum };
    const options = { form, renew: false };
    return (await this.#send<{ access_token: string }>("POST", "session/token", options))
      .access_token;
  }

  async #get<T>(path: string, options?: RequestOptions<Envelope<T>>): Promise<T> {
    return (await this.session.get(path, options)).data;
  }

  /** Asks for a list. An answer without one is no empty list. */
  async #list<T>(
    path: string,
    options: Pick<RequestOptions, "signal" | "urgent"> = {},
  ): Promise<T[]> {
    const list = await this.#get<T[]>(path, options);
    if (Array.isArray(list)) return list;
    const text = `Cannot read Kite's answer to ${path}: wanted a list`;
    throw new BrokerError(text, { kind: "decode", outcome: "unknown" });
  }

  /** Changes or cancels an order. */
  async #change(
    method: string,
    id: string,
    { variety = "regular", ...options }: Sending<never> & { variety?: KiteVariety },
    isDone: (order: KiteOrder) => boolean | undefined,
  ): Promise<{ order_id: string }> {
    let ended: string | undefined;
    const find = async ({ signal }: ReconcileContext) => {
      const order = (await this.orders({ signal })).find(({ order_id }) => order_id === id);
      const done = order && isDone(order);
      if (done === undefined) throw new Error("Cannot tell from the order book whether it is done");
      if (!done && !isOver(order!)) return undefined;
      ended = done ? undefined : order!.status;
      return { data: { order_id: id } };
    };
    const path = `orders/${variety}/${encodeURIComponent(id)}`;
    const { order_id } = await this.#order<{ order_id: string }>(method, path, {
      ...options,
      find,
    });
    if (ended === undefined) return { order_id };
    const text = `Cannot ${method} order ${id}: it is ${ended}`;
    throw new BrokerError(text, { kind: "rejected", outcome: "rejected", code: "OrderException" });
  }

  /** Sends an order, within the limits of orders. */
  #order<T>(method: string, path: string, options: Sending<T>): Promise<T> {
    return this.#send(method, path, { throttlers: this.#limits("orders"), ...options });
  }

  async #send<T>(method: string, path: string, { find, ...options }: Sending<T>): Promise<T> {
    const reconcile = find && this.#reconcile ? { ...this.#reconcile, find } : undefined;
    const all = { ...options, reconcile };
    return (await this.session.request<Envelope<T>>(method, path, all)).data.data;
  }

  /** The limits of a call: those that were given, or the venue's. */
  #limits(kind: keyof KiteBroker["throttlers"]): SessionOptions["throttlers"] {
    return this.#given ?? [this.throttlers[kind]];
  }
}

/** An answer, in the venue's envelope. */
interface Envelope<T> {
  readonly data: T;
}

/** Options of a request that must not be executed twice. */
interface Sending<T> extends Pick<RequestOptions, "form" | "urgent" | "renew" | "throttlers"> {
  /** Finds the order, or the change, that no answer came for. */
  readonly find?: ReconcileOptions<Envelope<T>>["find"];
}

function limit(limit: number, period: number): Limit {
  return { limit, period, refill: "after-finish" };
}

async function sha256(text: string): Promise<string> {
  return hex(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text)));
}
