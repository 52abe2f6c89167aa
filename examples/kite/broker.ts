/**
 * Zerodha's Kite Connect (REST v3): orders, the portfolio, prices and candles.
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
  type Reply,
  type RequestOptions,
  type SessionOptions,
  Throttler,
} from "@aio-trader/core";
import { type KiteInstrument, parseInstruments } from "./instruments.ts";

/** What a logged-in client has. The token is good until the next morning, 6 o'clock in India. */
export interface KiteAccess {
  /** The app. */
  readonly apiKey: string;
  /** What the venue gave to it for this day. */
  readonly accessToken: string;
}

/** What it takes to log in: a token of this day, or what Kite's login page sent back, for once. */
export type KiteLogin = KiteAccess | {
  /** The app. */
  readonly apiKey: string;
  /** The app's secret. It is not sent. */
  readonly apiSecret: string;
  /** `request_token` of the page to which the login page redirected. */
  readonly requestToken: string;
};

/** Options of {@linkcode KiteBroker}. */
export interface KiteBrokerOptions extends Omit<SessionOptions, "baseUrl"> {
  /**
   * The venue's address.
   *
   * @default {"https://api.kite.trade"}
   */
  baseUrl?: string;
}

/** Which kind of order. */
export type KiteVariety = "regular" | "amo" | "co" | "iceberg" | "auction";

/** What can be changed of an order. */
export interface KiteOrderChange {
  /** @default {"regular"} */
  readonly variety?: KiteVariety;
  /** How much. */
  readonly quantity?: number;
  /** At which price, for LIMIT and SL. */
  readonly price?: number;
  /** From which price on, for SL and SL-M. */
  readonly trigger_price?: number;
  /** How the price is found. */
  readonly order_type?: "MARKET" | "LIMIT" | "SL" | "SL-M";
  /** How long it stands. */
  readonly validity?: "DAY" | "IOC" | "TTL";
  /** How much of it the others see. */
  readonly disclosed_quantity?: number;
}

/** A new order. */
export interface KiteOrderRequest extends KiteOrderChange {
  /** `"NSE"`, `"BSE"`, `"NFO"` and so on. */
  readonly exchange: string;
  /** What to trade. */
  readonly tradingsymbol: string;
  /** Which way. */
  readonly transaction_type: "BUY" | "SELL";
  /** How the price is found. */
  readonly order_type: "MARKET" | "LIMIT" | "SL" | "SL-M";
  /** Delivery, overnight or within the day. */
  readonly product: "CNC" | "NRML" | "MIS" | "MTF";
  /** How much. */
  readonly quantity: number;
  /** Your own mark, at most 20 letters and digits: it finds an order whose answer never came. */
  readonly tag?: string;
}

/** An order at the venue. Many more fields come with it. */
export interface KiteOrder {
  /** Its name at the venue. */
  readonly order_id: string;
  /** `"COMPLETE"`, `"REJECTED"`, `"CANCELLED"`, `"OPEN"`, or a step on the way to one of those. */
  readonly status: string;
  /** Why it was rejected. */
  readonly status_message: string | null;
  /** Which kind. */
  readonly variety: KiteVariety;
  /** Where. */
  readonly exchange: string;
  /** What. */
  readonly tradingsymbol: string;
  /** Its token in the feed. */
  readonly instrument_token: number;
  /** Which way. */
  readonly transaction_type: "BUY" | "SELL";
  /** How the price is found. */
  readonly order_type: string;
  /** Delivery, overnight or within the day. */
  readonly product: string;
  /** How much. */
  readonly quantity: number;
  /** At which price, for LIMIT and SL. */
  readonly price: number;
  /** From which price on, for SL and SL-M. */
  readonly trigger_price: number;
  /** How much of it was traded. */
  readonly filled_quantity: number;
  /** At which price. */
  readonly average_price: number;
  /** Your own mark. */
  readonly tag: string | null;
  /** When, in India: `"2026-11-23 09:15:00"`. */
  readonly order_timestamp: string;
}

/** The last price of an instrument. */
export interface KiteLtp {
  /** Its token in the feed. */
  readonly instrument_token: number;
  /** The last price. */
  readonly last_price: number;
}

/** The day of an instrument. */
export interface KiteOhlc extends KiteLtp {
  /** The day's prices, `close` being the previous day's. */
  readonly ohlc: Readonly<Record<"open" | "high" | "low" | "close", number>>;
}

/** All that is known of an instrument. Many more fields come with it. */
export interface KiteQuote extends KiteOhlc {
  /** When, in India. */
  readonly timestamp: string;
  /** How much was traded this day. */
  readonly volume: number;
  /** How much is bid for. */
  readonly buy_quantity: number;
  /** How much is offered. */
  readonly sell_quantity: number;
  /** The best five levels of each side. */
  readonly depth: Readonly<
    Record<"buy" | "sell", readonly { price: number; quantity: number; orders: number }[]>
  >;
}

/** Prices of an interval. */
export interface KiteCandle {
  /** Its beginning. */
  readonly date: Date;
  /** The first price. */
  readonly open: number;
  /** The highest. */
  readonly high: number;
  /** The lowest. */
  readonly low: number;
  /** The last. */
  readonly close: number;
  /** How much was traded. */
  readonly volume: number;
  /** Open interest, where it was asked for. */
  readonly oi?: number;
}

/** Which candles. */
export interface KiteCandleRange {
  /** The first, as epoch milliseconds or a Date. */
  readonly from: Date | number;
  /** The last. */
  readonly to: Date | number;
  /** Whether earlier contracts of a future are joined to it. @default {false} */
  readonly continuous?: boolean;
  /** Whether open interest is wanted. @default {false} */
  readonly oi?: boolean;
}

/** How long a candle is. */
export type KiteInterval =
  | "minute"
  | `${3 | 5 | 10 | 15 | 30 | 60}minute`
  | "day";

/** Who is logged in. Many more fields come with it. */
export interface KiteProfile {
  /** The user, `"AB1234"`. */
  readonly user_id: string;
  /** The user's name. */
  readonly user_name: string;
  /** Where the user may trade. */
  readonly exchanges: readonly string[];
}

/** Something that is held. Many more fields come with it. */
export interface KitePosition {
  /** Where. */
  readonly exchange: string;
  /** What. */
  readonly tradingsymbol: string;
  /** Delivery, overnight or within the day. */
  readonly product: string;
  /** How much; below 0 if sold first. */
  readonly quantity: number;
  /** At which price it was bought, on average. */
  readonly average_price: number;
  /** The last price. */
  readonly last_price: number;
  /** What was gained or lost. */
  readonly pnl: number;
}

/** The funds of a segment. Many more fields come with it. */
export interface KiteMargin {
  /** Whether it may be traded in. */
  readonly enabled: boolean;
  /** What is left. */
  readonly net: number;
}

/** What the venue surely did not do: every other exception may have come after the order. */
const REFUSALS = /^(?:Input|Order|Margin|Holding|Permission|User)Exception$/;

/** A client of Kite Connect. */
export class KiteBroker extends AbstractBroker<KiteLogin> {
  /**
   * The venue's limits. `"after-finish"` keeps them by the venue's own clock, so that no difference in
   * latency can bring two requests closer together: its 429 does not say when to come again.
   */
  readonly throttlers: Readonly<Record<"quotes" | "history" | "orders" | "rest", Throttler>> = {
    quotes: new Throttler(limit(1, 1_000)),
    history: new Throttler(limit(3, 1_000)),
    orders: new Throttler([limit(10, 1_000), limit(200, 60_000)]),
    rest: new Throttler(limit(10, 1_000)),
  };
  #access: KiteAccess | undefined;

  /**
   * Makes a client. Nothing is sent yet.
   *
   * @param options The venue's address, and anything a session takes. `onUnauthorized` may call
   *   `authorize` with a new token, where a program can get one: calls refused for the old one wait
   *   for it and are replayed.
   */
  constructor({ baseUrl = "https://api.kite.trade", ...options }: KiteBrokerOptions = {}) {
    super();
    this.initialiseSession({ throttlers: [this.throttlers.rest], ...options, baseUrl });
    this.session.headers.set("x-kite-version", "3");
  }

  /**
   * What the feed needs: `new KiteFeed(broker.access)`.
   *
   * @throws {Error} If nobody has logged in.
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

  /** Asks for the funds, by segment. */
  margins(): Promise<Record<"equity" | "commodity", KiteMargin>> {
    return this.#get("user/margins");
  }

  /** Asks for what is held for good. */
  holdings(): Promise<KitePosition[]> {
    return this.#get("portfolio/holdings");
  }

  /** Asks for what is held of today's trades (`day`), and with what was carried over (`net`). */
  positions(): Promise<Record<"net" | "day", KitePosition[]>> {
    return this.#get("portfolio/positions");
  }

  /**
   * Places an order, at most once.
   *
   * @param order The order.
   * @returns Its name at the venue. It stands: whether it is executed, the feed tells.
   * @throws {BrokerError} If it fails. With the outcome "unknown", look for its `tag` in `orders()`.
   */
  placeOrder({ variety = "regular", ...form }: KiteOrderRequest): Promise<{ order_id: string }> {
    return this.#order("POST", `orders/${variety}`, form);
  }

  /**
   * Changes an order, at most once.
   *
   * @param id Its name at the venue.
   * @param change What is to be different.
   * @throws {BrokerError} If it fails.
   */
  modifyOrder(
    id: string,
    { variety = "regular", ...form }: KiteOrderChange,
  ): Promise<{ order_id: string }> {
    return this.#order("PUT", `orders/${variety}/${encodeURIComponent(id)}`, form);
  }

  /**
   * Cancels an order, at most once.
   *
   * @param id Its name at the venue.
   * @param variety Which kind it is.
   * @throws {BrokerError} If it fails.
   */
  cancelOrder(id: string, variety: KiteVariety = "regular"): Promise<{ order_id: string }> {
    return this.#order("DELETE", `orders/${variety}/${encodeURIComponent(id)}`);
  }

  /** Asks for the orders of the day. */
  orders(): Promise<KiteOrder[]> {
    return this.#get("orders");
  }

  /**
   * Asks for all that is known of instruments.
   *
   * @param names Which, as in `"NSE:INFY"`: at most 500.
   * @returns By name. One that does not exist is absent.
   */
  quote(...names: string[]): Promise<Record<string, KiteQuote>> {
    return this.#get("quote", { query: { i: names }, throttlers: [this.throttlers.quotes] });
  }

  /** Asks for the day of at most 1000 instruments. */
  ohlc(...names: string[]): Promise<Record<string, KiteOhlc>> {
    return this.#get("quote/ohlc", { query: { i: names }, throttlers: [this.throttlers.quotes] });
  }

  /** Asks for the last price of at most 1000 instruments. */
  ltp(...names: string[]): Promise<Record<string, KiteLtp>> {
    return this.#get("quote/ltp", { query: { i: names }, throttlers: [this.throttlers.quotes] });
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
    const options = { query, throttlers: [this.throttlers.history] };
    return (await this.#get<{ candles: CandleRow[] }>(path, options)).candles.map(candle);
  }

  /**
   * Asks what can be traded: some 100,000 instruments, a list that the venue makes once a day.
   *
   * @param exchange Only there, `"NSE"`.
   */
  instruments(exchange?: string): Promise<KiteInstrument[]> {
    const path = exchange ? `instruments/${encodeURIComponent(exchange)}` : "instruments";
    return this.session.get(path, { parse: parseInstruments });
  }

  /** The venue says what is wrong as `{"status": "error", "error_type": …, "message": …}`. */
  protected override failure({ data, status }: Reply): BrokerError | undefined {
    // Of these the session knows all: what became of the order, and whether to ask again.
    if (status === 408 || status === 429 || status >= 500) return undefined;
    const { status: said, error_type, message } = Object(data);
    const code = /^\w+Exception$/.test(error_type) ? error_type : undefined;
    if (code) {
      const isRefusal = status >= 400 || REFUSALS.test(code);
      const [kind, outcome] = code === "TokenException"
        ? ["unauthorized", "rejected"] as const // log in again
        : isRefusal
        ? ["rejected", "rejected"] as const
        : ["network", "unknown"] as const;
      const words = message ? `Kite says ${code}: ${message}` : `Kite says ${code}`;
      return new BrokerError(words, { kind, outcome, code });
    }
    // The list of instruments comes without an envelope.
    if (status >= 400 || said === "success" || Array.isArray(data)) return undefined;
    const text = "Cannot read Kite's answer: it does not say success";
    return new BrokerError(text, { kind: "decode", outcome: "unknown" });
  }

  async #exchange(
    { apiKey, apiSecret, requestToken }: Exclude<KiteLogin, KiteAccess>,
  ): Promise<string> {
    const checksum = await sha256(apiKey + requestToken + apiSecret);
    const form = { api_key: apiKey, request_token: requestToken, checksum };
    const options = { form, renew: false };
    const { data } = await this.session.post<Envelope<{ access_token: string }>>(
      "session/token",
      options,
    );
    return data.access_token;
  }

  async #get<T>(path: string, options?: RequestOptions<Envelope<T>>): Promise<T> {
    return (await this.session.get(path, options)).data;
  }

  async #order(method: string, path: string, form?: object): Promise<{ order_id: string }> {
    const options = { form, throttlers: [this.throttlers.orders] };
    return (await this.session.request<Envelope<{ order_id: string }>>(method, path, options))
      .data.data;
  }
}

interface Envelope<T> {
  readonly data: T;
}

type CandleRow = [
  time: string,
  open: number,
  high: number,
  low: number,
  close: number,
  volume: number,
  oi?: number,
];

function candle([time, open, high, low, close, volume, oi]: CandleRow): KiteCandle {
  return { date: new Date(time), open, high, low, close, volume, ...oi !== undefined && { oi } };
}

function limit(limit: number, period: number): Limit {
  return { limit, period, refill: "after-finish" };
}

/** A time as the venue writes it: India's, `2026-11-23 09:15:00`. */
function india(time: Date | number): string {
  const offset = 5.5 * 3_600_000;
  return new Date(Number(time) + offset).toISOString().slice(0, 19).replace("T", " ");
}

async function sha256(text: string): Promise<string> {
  const hash = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text));
  return Array.from(new Uint8Array(hash), (byte) => byte.toString(16).padStart(2, "0")).join("");
}
