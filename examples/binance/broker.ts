/**
 * Binance's spot market over REST: prices without a login, orders with one.
 *
 * ```ts ignore
 * await using broker = new BinanceBroker();
 * const { bids } = await broker.depth("BTCUSDT", 5);
 * console.log("best bid", bids[0][0]);
 *
 * await broker.authorize({ apiKey, secret });
 * const order = { symbol: "BTCUSDT", side: "BUY", type: "MARKET", quantity: "0.001" } as const;
 * const { status, executedQty } = await broker.placeOrder(order);
 * ```
 *
 * @module
 */

import {
  AbstractBroker,
  BrokerError,
  type Draft,
  type Reply,
  type RequestOptions,
  Session,
  type SessionOptions,
  Throttler,
  VenueClock,
} from "@aio-trader/core";
import type { DepthSnapshot } from "./book.ts";

/** What it takes to log in: a key that is made at Binance, of the kind HMAC. */
export interface BinanceLogin {
  /** The API key. */
  readonly apiKey: string;
  /** The secret key. It signs, and is not kept as text. */
  readonly secret: string;
}

/** An order to place. Decimals are text, so that none is rounded. */
export interface BinanceOrder {
  /** What to trade, `BTCUSDT`. */
  readonly symbol: string;
  /** What to do. */
  readonly side: "BUY" | "SELL";
  /** How. The `STOP` and `TAKE_PROFIT` types need a `stopPrice`. */
  readonly type:
    | "LIMIT"
    | "MARKET"
    | "LIMIT_MAKER"
    | "STOP_LOSS"
    | "STOP_LOSS_LIMIT"
    | "TAKE_PROFIT"
    | "TAKE_PROFIT_LIMIT";
  /** How much of the base asset. */
  readonly quantity?: string;
  /** How much of the quote asset, instead of `quantity`; of a `MARKET` order only. */
  readonly quoteOrderQty?: string;
  /** The limit. */
  readonly price?: string;
  /** How long the limit lasts: until it is cancelled, not at all, or whole or not at all. */
  readonly timeInForce?: "GTC" | "IOC" | "FOK";
  /** The price that triggers it. */
  readonly stopPrice?: string;
  /**
   * Under which name the order is found again: 1 to 36 letters, digits, `-` and `_`, never used before.
   *
   * @default {crypto.randomUUID()}
   */
  readonly newClientOrderId?: string;
}

/** An order that the venue knows. More fields come with it. */
export interface BinanceOrderState {
  /** What is traded. */
  readonly symbol: string;
  /** The venue's name for it. */
  readonly orderId: number | bigint;
  /** Our name for it. */
  readonly clientOrderId: string;
  /** `NEW`, `PARTIALLY_FILLED`, `FILLED`, `CANCELED`, `REJECTED`, `EXPIRED` … */
  readonly status: string;
  /** The limit. */
  readonly price: string;
  /** How much was ordered. */
  readonly origQty: string;
  /** How much has been traded. */
  readonly executedQty: string;
  /** When it came, in epoch milliseconds. */
  readonly time: number;
}

/** A trade of the account. */
export interface BinanceTradeState {
  /** What was traded. */
  readonly symbol: string;
  /** The venue's name for the trade. */
  readonly id: number | bigint;
  /** The venue's name for the order. */
  readonly orderId: number | bigint;
  /** At which price. */
  readonly price: string;
  /** How much of the base asset. */
  readonly qty: string;
  /** How much of the quote asset. */
  readonly quoteQty: string;
  /** The fee. */
  readonly commission: string;
  /** In what it was paid. */
  readonly commissionAsset: string;
  /** When, in epoch milliseconds. */
  readonly time: number;
  /** Whether we bought. */
  readonly isBuyer: boolean;
  /** Whether our order was there before. */
  readonly isMaker: boolean;
}

/** Which orders or trades are asked for. Times are in epoch milliseconds, at most 24 h apart. */
export interface BinanceListOptions {
  /** From this moment on. */
  readonly startTime?: number;
  /** Until this moment. */
  readonly endTime?: number;
  /** From this order on. */
  readonly orderId?: number | bigint;
  /**
   * Most entries, up to 1,000.
   *
   * @default {500}
   */
  readonly limit?: number;
}

/** The rules of a symbol. More fields come with it. */
export interface BinanceSymbol {
  /** The symbol. */
  readonly symbol: string;
  /** `TRADING`, or why not. */
  readonly status: string;
  /** The filters, with `tickSize`, `stepSize`, `minNotional` and others as decimals. */
  readonly filters:
    readonly ({ readonly filterType: string } & Readonly<Record<string, unknown>>)[];
}

/** The account. More fields come with it. */
export interface BinanceAccount {
  /** Whether it may trade. */
  readonly canTrade: boolean;
  /** What it holds. */
  readonly balances: readonly {
    readonly asset: string;
    readonly free: string;
    readonly locked: string;
  }[];
}

/** The best prices of a symbol. */
export interface BinanceQuote {
  /** What is traded. */
  readonly symbol: string;
  /** The best bid. */
  readonly bidPrice: string;
  /** How much is bid. */
  readonly bidQty: string;
  /** The best ask. */
  readonly askPrice: string;
  /** How much is asked. */
  readonly askQty: string;
}

/** Options of {@linkcode BinanceBroker}. Durations are in milliseconds. */
export interface BinanceBrokerOptions
  extends Omit<SessionOptions, "baseUrl" | "sign" | "sync" | "throttlers"> {
  /**
   * Where orders go.
   *
   * @default {"https://api.binance.com"}
   */
  baseUrl?: string;
  /**
   * Where prices come from: no key is ever sent there.
   *
   * @default {"https://data-api.binance.vision"}
   */
  dataUrl?: string;
  /**
   * How long after its timestamp the venue may still take a signed request; at most 60,000.
   *
   * @default {5_000}
   */
  recvWindow?: number;
  /**
   * How long after that an order may take to become known, before an order that the venue does not
   * know is believed to be absent.
   *
   * @default {3_000}
   */
  settleTime?: number;
  /**
   * Longest time to find out the fate of an order, above `recvWindow` and `settleTime` together.
   *
   * @default {60_000}
   */
  lookUpTimeout?: number;
}

/**
 * An order of which nobody knows what became: no answer came, and the venue could not be asked.
 * `cause` tells why. Do not place the order again before `order()` has told its fate.
 */
export class UnknownOrderError extends BrokerError {
  /** `"UnknownOrderError"`. */
  override readonly name: string = "UnknownOrderError";
  /** What is traded. */
  readonly symbol: string;
  /** The name to look it up by. */
  readonly clientOrderId: string;

  /**
   * Makes an error of the one that the order ended with.
   *
   * @param error Why the fate is unknown.
   * @param symbol What is traded.
   * @param clientOrderId The name of the order.
   */
  constructor(error: BrokerError, symbol: string, clientOrderId: string) {
    super(`${error.message}, as newClientOrderId ${clientOrderId}`, {
      ...error,
      cause: error.cause,
    });
    this.symbol = symbol;
    this.clientOrderId = clientOrderId;
  }
}

/** The venue's codes. */
const NO_SUCH_ORDER = -2013;
const BAD_TIMESTAMP = -1021;

/** After these the venue itself does not know whether the request was executed. */
const UNSURE = new Set([-1000, -1001, -1006, -1007]);

const MINUTE = 60_000;

/** Hosts of the futures markets, whose API is another. */
const FUTURES = /^(?:[fd]api|testnet\.binancefuture|[fd]stream)\b/;

/** What a book costs, by its most levels. */
const DEPTH_WEIGHTS = [[100, 5], [500, 25], [1_000, 50], [5_000, 250]];

/** A broker for the spot market. */
export class BinanceBroker extends AbstractBroker<BinanceLogin> {
  /**
   * The weight that this address may use. `"after-finish"`: the venue counts by its own clock. What
   * others at the same address use is learnt from the answers.
   */
  readonly weights: Throttler = new Throttler({
    limit: 6_000,
    period: MINUTE,
    refill: "after-finish",
  });
  /** The part of the weight that queries may use: the rest is for orders and cancels. */
  readonly queries: Throttler = new Throttler({
    limit: 5_700,
    period: MINUTE,
    refill: "after-finish",
  });
  /** The orders that this account may place. */
  readonly orders: Throttler = new Throttler([
    { limit: 50, period: 10_000, refill: "after-finish" },
    { limit: 160_000, period: 24 * 60 * MINUTE, refill: "after-finish" },
  ]);
  readonly #market: Session;
  readonly #recvWindow: number;
  readonly #settleTime: number;
  readonly #lookUpTimeout: number;
  readonly #clock = new VenueClock(() => this.time());
  /** The first reading of the clock. */
  #measured: Promise<void> | undefined;
  #key: CryptoKey | undefined;

  /**
   * Makes a broker. Nothing is sent yet.
   *
   * @param options The venue's addresses, and anything a session takes.
   * @throws {RangeError} If `recvWindow` is not above 0 and at most 60,000, or `settleTime` is below 0.
   * @throws {TypeError} If an address is that of a futures market, whose API is another.
   */
  constructor(options: BinanceBrokerOptions = {}) {
    super();
    const {
      baseUrl = "https://api.binance.com",
      dataUrl = "https://data-api.binance.vision",
      recvWindow = 5_000,
      settleTime = 3_000,
      lookUpTimeout = 60_000,
      ...rest
    } = options;
    for (const url of [baseUrl, dataUrl]) {
      const { hostname } = new URL(url);
      if (!FUTURES.test(hostname)) continue;
      throw new TypeError(`Cannot make a broker: ${hostname} is futures, wanted the spot market`);
    }
    if (!(recvWindow > 0 && recvWindow <= MINUTE && settleTime >= 0)) {
      throw new RangeError(
        `Cannot make a broker: recvWindow is ${recvWindow} and settleTime ${settleTime}, ` +
          "wanted at most 60000 and at least 0",
      );
    }
    this.#recvWindow = recvWindow;
    this.#settleTime = settleTime;
    this.#lookUpTimeout = lookUpTimeout;
    const common = {
      timeout: 10_000,
      throttlers: [this.weights],
      failure: (reply: Reply) => this.failure(reply),
      sync: usedWeight,
      ...rest,
    };
    const throttlers = [this.queries, this.weights];
    this.#market = new Session({ ...common, throttlers, baseUrl: new URL("api/v3", dataUrl) });
    this.initialiseSession({
      ...common,
      baseUrl: new URL("api/v3", baseUrl),
      sign: (draft) => this.#sign(draft),
    });
  }

  /**
   * Takes the keys. Nothing is sent.
   *
   * @param login The keys.
   */
  override async authorize({ apiKey, secret }: BinanceLogin): Promise<void> {
    this.#key = await importSecret(secret);
    this.session.headers.set("x-mbx-apikey", apiKey);
  }

  /** Asks for the venue's time, in epoch milliseconds. */
  async time(): Promise<number> {
    return (await this.#market.get<{ serverTime: number }>("time")).serverTime;
  }

  /** Asks for the best prices of a symbol. */
  quote(symbol: string): Promise<BinanceQuote> {
    return this.#market.get("ticker/bookTicker", { query: { symbol }, cost: 2 });
  }

  /**
   * Asks for an order book.
   *
   * @param symbol Of what.
   * @param limit Most levels of each side, up to 5,000; more cost more.
   * @returns The book, cut at `limit`.
   */
  depth(symbol: string, limit = 100): Promise<DepthSnapshot> {
    const cost = DEPTH_WEIGHTS.find(([most]) => limit <= most)?.[1] ?? 250;
    return this.#market.get("depth", { query: { symbol, limit }, cost });
  }

  /** Asks for the account. */
  account(): Promise<BinanceAccount> {
    return this.#signed("GET", "account", { cost: 20 });
  }

  /** Asks for the orders that are open, of one symbol or, which costs 80 instead of 6, of all. */
  openOrders(symbol?: string): Promise<BinanceOrderState[]> {
    return this.#signed("GET", "openOrders", { query: { symbol }, cost: symbol ? 6 : 80 });
  }

  /** Asks for the rules of a symbol: its tick, its step, the least that an order must be worth. */
  async exchangeInfo(symbol: string): Promise<BinanceSymbol> {
    const { symbols: [info] } = await this.#market.get<{ symbols: BinanceSymbol[] }>(
      "exchangeInfo",
      { query: { symbol }, cost: 20 },
    );
    return info;
  }

  /**
   * Looks an order up.
   *
   * @param symbol What is traded.
   * @param name Our name for it, or the venue's id as a number.
   * @param options More of the call.
   * @throws {BrokerError} If the venue knows none, or not yet: kind "rejected", code -2013.
   */
  order(
    symbol: string,
    name: string | number | bigint,
    options: RequestOptions<BinanceOrderState> = {},
  ): Promise<BinanceOrderState> {
    return this.#signed("GET", "order", { ...options, query: named(symbol, name), cost: 4 });
  }

  /** Asks for all orders of a symbol, open or not, the oldest first. Costs 20. */
  allOrders(symbol: string, options: BinanceListOptions = {}): Promise<BinanceOrderState[]> {
    return this.#signed("GET", "allOrders", { query: { symbol, ...options }, cost: 20 });
  }

  /** Asks for the trades of the account in a symbol, the oldest first. Costs 20. */
  myTrades(symbol: string, options: BinanceListOptions = {}): Promise<BinanceTradeState[]> {
    return this.#signed("GET", "myTrades", { query: { symbol, ...options }, cost: 20 });
  }

  /**
   * Cancels an order. Sent once, before all that wait.
   *
   * @param symbol What is traded.
   * @param name Our name for it, or the venue's id as a number.
   * @returns The order. The venue names the cancel in `clientOrderId`; here it is the order's name.
   */
  async cancel(symbol: string, name: string | number | bigint): Promise<BinanceOrderState> {
    const { origClientOrderId, ...order } = await this.#signed<
      BinanceOrderState & { origClientOrderId: string }
    >("DELETE", "order", { query: named(symbol, name), throttlers: [this.weights], urgent: true });
    return { ...order, clientOrderId: origClientOrderId };
  }

  /**
   * Places an order. Sent once. Where no answer tells its fate, the venue is asked for it by its name,
   * until it is found, or until the venue can no longer take it (`recvWindow`) and has had the time to
   * show it (`settleTime`).
   *
   * @param order The order.
   * @returns The order as the venue has it.
   * @throws {UnknownOrderError} If there was no answer, and the venue could not be asked.
   * @throws {BrokerError} If it was not sent, was rejected, or is absent: then nothing was executed.
   */
  async placeOrder(order: BinanceOrder): Promise<BinanceOrderState> {
    const { symbol, newClientOrderId = crypto.randomUUID() } = order;
    const horizon = this.#recvWindow + this.#settleTime;
    try {
      return await this.#signed<BinanceOrderState>("POST", "order", {
        form: { newOrderRespType: "RESULT", ...order, newClientOrderId },
        throttlers: [this.weights, this.orders],
        reconcile: {
          find: ({ signal }) => this.#find(symbol, newClientOrderId, signal),
          horizon,
          timeout: horizon + this.#lookUpTimeout,
        },
      });
    } catch (error) {
      if (!(error instanceof BrokerError) || error.outcome !== "unknown") throw error;
      throw new UnknownOrderError(error, symbol, newClientOrderId);
    }
  }

  /** Closes both sessions. */
  override async close(): Promise<void> {
    await Promise.all([this.#market.close(), super.close()]);
  }

  /** Adds what the venue says to what the status says. After 5xx nobody knows, whatever it says. */
  protected override failure({ data, status }: Reply): BrokerError | undefined {
    const { code, msg }: { code?: unknown; msg?: unknown } = Object(data);
    if (typeof code !== "number" || typeof msg !== "string") return undefined;
    if (status >= 500 || [401, 408, 418, 429].includes(status)) return undefined;
    return new BrokerError(`Binance says ${code}: ${msg}`, {
      kind: "rejected",
      outcome: UNSURE.has(code) ? "unknown" : "rejected",
      code,
    });
  }

  /** Looks for an order: the venue shows open and closed ones in one place. */
  async #find(
    symbol: string,
    name: string,
    signal: AbortSignal,
  ): Promise<BinanceOrderState | undefined> {
    try {
      return await this.order(symbol, name, { signal });
    } catch (error) {
      if (error instanceof BrokerError && error.code === NO_SUCH_ORDER) return undefined;
      throw error;
    }
  }

  /**
   * Sends a signed request. A timestamp that the venue refuses has executed nothing: the clock is read
   * anew, and the request sent again, once.
   */
  async #signed<T>(method: string, path: string, options: RequestOptions<T>): Promise<T> {
    if (!this.#key) {
      throw new BrokerError(
        `Cannot ${method} ${path}: there is no login, wanted authorize() first`,
        { kind: "unauthorized", outcome: "not-sent" },
      );
    }
    const isQuery = method === "GET" && !options.throttlers;
    const all = isQuery ? { ...options, throttlers: [this.queries, this.weights] } : options;
    await this.#readClock(this.#measured ??= this.#clock.sync());
    try {
      return (await this.session.request<T>(method, path, all)).data;
    } catch (error) {
      if (!(error instanceof BrokerError) || error.code !== BAD_TIMESTAMP) throw error;
      await this.#readClock(this.#clock.sync());
      return (await this.session.request<T>(method, path, all)).data;
    }
  }

  /** Waits for a reading of the clock. Its failure must not be taken for that of an order. */
  async #readClock(reading: Promise<void>): Promise<void> {
    try {
      await reading;
    } catch (cause) {
      this.#measured = undefined;
      const { kind = "network", message, retriable } = cause as BrokerError;
      throw new BrokerError(`Cannot sign: the venue's time is not known (${message})`, {
        kind,
        outcome: "not-sent",
        retriable,
        cause,
      });
    }
  }

  async #sign(draft: Draft): Promise<void> {
    const timestamp = Math.floor(this.#clock.now());
    const stamp = `recvWindow=${this.#recvWindow}&timestamp=${timestamp}`;
    const append = (text: string, more: string) => text ? `${text}&${more}` : more;
    const query = draft.url.search.slice(1);
    if (typeof draft.body === "string") {
      const body = append(draft.body, stamp);
      draft.body = append(body, `signature=${await sign(this.#key!, query + body)}`);
    } else {
      const payload = append(query, stamp);
      draft.url.search = append(payload, `signature=${await sign(this.#key!, payload)}`);
    }
  }
}

/**
 * Makes a key of a secret; the secret cannot be read from it.
 *
 * @param secret The secret key, as the venue gave it.
 * @returns A key for {@linkcode sign}.
 */
export function importSecret(secret: string): Promise<CryptoKey> {
  const bytes = new TextEncoder().encode(secret);
  return crypto.subtle.importKey("raw", bytes, { name: "HMAC", hash: "SHA-256" }, false, ["sign"]);
}

/**
 * Signs a request.
 *
 * @param key The key.
 * @param payload The query and the body, as they are sent, with nothing in between.
 * @returns HMAC SHA-256 in hexadecimal.
 */
export async function sign(key: CryptoKey, payload: string): Promise<string> {
  const hash = await crypto.subtle.sign("HMAC", key, new TextEncoder().encode(payload));
  return Array.from(new Uint8Array(hash), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** The order that is meant: by our name, a text, or by the venue's id, a number. */
function named(symbol: string, name: string | number | bigint): Record<string, unknown> {
  return typeof name === "string"
    ? { symbol, origClientOrderId: name }
    : { symbol, orderId: String(name) };
}

/** What the venue has counted in this minute, whoever sent it. */
function usedWeight(headers: Headers): { used: number; period: number } | undefined {
  const used = headers.get("x-mbx-used-weight-1m");
  return used === null ? undefined : { used: Number(used), period: MINUTE };
}
