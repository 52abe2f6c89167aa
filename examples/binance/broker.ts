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
  retry,
  Session,
  type SessionOptions,
  Throttler,
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
  /** How: `LIMIT`, `MARKET`, `LIMIT_MAKER` … */
  readonly type: string;
  /** How much of the base asset. */
  readonly quantity?: string;
  /** How much of the quote asset, instead of `quantity`. */
  readonly quoteOrderQty?: string;
  /** The limit. */
  readonly price?: string;
  /** How long the limit lasts: `GTC`, `IOC`, `FOK`. */
  readonly timeInForce?: string;
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
   * know is given up.
   *
   * @default {3_000}
   */
  settleTime?: number;
}

/**
 * An order of which nobody knows what became, for now: no answer came, and looking it up did not tell.
 * `cause` is why the look-up did not. Do not place the order again before `order()` has said, or the
 * venue's own list, that there is none of that name.
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
   * @param error Why there was no answer.
   * @param lookUp Why the look-up did not help.
   * @param symbol What is traded.
   * @param clientOrderId The name of the order.
   */
  constructor(error: BrokerError, lookUp: BrokerError, symbol: string, clientOrderId: string) {
    const why = lookUp.code === NO_SUCH_ORDER
      ? "which the venue did not know when the time to take it was over"
      : `which could not be looked up: ${lookUp.message}`;
    super(`${error.message}, as newClientOrderId ${clientOrderId}, ${why}`, {
      ...error,
      retriable: false,
      cause: lookUp,
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
  /** The orders that this account may place. */
  readonly orders: Throttler = new Throttler([
    { limit: 50, period: 10_000, refill: "after-finish" },
    { limit: 160_000, period: 24 * 60 * MINUTE, refill: "after-finish" },
  ]);
  readonly #market: Session;
  readonly #recvWindow: number;
  readonly #settleTime: number;
  #key: CryptoKey | undefined;
  /** The venue's time less ours. Measured on the clock that nobody sets. */
  #offset: Promise<number> | undefined;

  /**
   * Makes a broker. Nothing is sent yet.
   *
   * @param options The venue's addresses, and anything a session takes.
   * @throws {RangeError} If `recvWindow` is not above 0 and at most 60,000, or `settleTime` is below 0.
   */
  constructor(options: BinanceBrokerOptions = {}) {
    super();
    const {
      baseUrl = "https://api.binance.com",
      dataUrl = "https://data-api.binance.vision",
      recvWindow = 5_000,
      settleTime = 3_000,
      ...rest
    } = options;
    if (!(recvWindow > 0 && recvWindow <= MINUTE && settleTime >= 0)) {
      throw new RangeError(
        `Cannot make a broker: recvWindow is ${recvWindow} and settleTime ${settleTime}, ` +
          "wanted at most 60000 and at least 0",
      );
    }
    this.#recvWindow = recvWindow;
    this.#settleTime = settleTime;
    const common = {
      timeout: 10_000,
      throttlers: [this.weights],
      failure: (reply: Reply) => this.failure(reply),
      sync: usedWeight,
      ...rest,
    };
    this.#market = new Session({ ...common, baseUrl: new URL("api/v3", dataUrl) });
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

  /**
   * Looks an order up by our name for it.
   *
   * @throws {BrokerError} If the venue knows none, or not yet: kind "rejected", code -2013.
   */
  order(symbol: string, origClientOrderId: string): Promise<BinanceOrderState> {
    return this.#signed("GET", "order", { query: { symbol, origClientOrderId }, cost: 4 });
  }

  /** Cancels an order by our name for it. Sent once. */
  cancel(symbol: string, origClientOrderId: string): Promise<BinanceOrderState> {
    return this.#signed("DELETE", "order", { query: { symbol, origClientOrderId } });
  }

  /**
   * Places an order. Sent once. Where no answer says what became of it, it is looked up by its name,
   * until it is found, or until the venue can no longer take it (`recvWindow`) and has had the time to
   * show it (`settleTime`).
   *
   * @param order The order.
   * @returns The order as the venue has it.
   * @throws {UnknownOrderError} If there was no answer, and looking it up did not help.
   * @throws {BrokerError} If it was not sent, or was rejected: then nothing was executed.
   */
  async placeOrder(order: BinanceOrder): Promise<BinanceOrderState> {
    const { symbol, newClientOrderId = crypto.randomUUID() } = order;
    try {
      return await this.#signed("POST", "order", {
        form: { newOrderRespType: "RESULT", ...order, newClientOrderId },
        throttlers: [this.weights, this.orders],
      });
    } catch (error) {
      if (!(error instanceof BrokerError) || error.outcome !== "unknown") throw error;
      return await this.#find(symbol, newClientOrderId, error);
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
    if (code === BAD_TIMESTAMP) this.#offset = undefined; // measured anew for the next request
    if (status >= 500 || [401, 408, 418, 429].includes(status)) return undefined;
    return new BrokerError(`Binance says ${code}: ${msg}`, {
      kind: "rejected",
      outcome: UNSURE.has(code) ? "unknown" : "rejected",
      code,
      retriable: code === BAD_TIMESTAMP,
    });
  }

  /** Not to be found yet is not the same as never to be: the request may still be under way. */
  async #find(symbol: string, name: string, error: BrokerError): Promise<BinanceOrderState> {
    const settled = performance.now() + this.#recvWindow + this.#settleTime;
    let asked = 0;
    const lookUp = retry(() => {
      asked = performance.now();
      return this.order(symbol, name);
    }, {
      maxRetries: Infinity,
      baseWait: 100,
      maxWait: 1_000,
      shouldRetry: (error) => (error as BrokerError).code === NO_SUCH_ORDER && asked < settled,
    });
    try {
      return await lookUp();
    } catch (cause) {
      throw new UnknownOrderError(error, cause as BrokerError, symbol, name);
    }
  }

  async #signed<T>(method: string, path: string, options: RequestOptions<T>): Promise<T> {
    if (!this.#key) {
      throw new BrokerError(
        `Cannot ${method} ${path}: there is no login, wanted authorize() first`,
        {
          kind: "unauthorized",
          outcome: "not-sent",
        },
      );
    }
    await this.#measured();
    return (await this.session.request<T>(method, path, options)).data;
  }

  /** Measures the offset, unless it is known: once for everyone who waits for it. */
  #measured(): Promise<number> {
    const measure = async () => {
      const before = performance.now();
      try {
        return await this.time() - (before + performance.now()) / 2;
      } catch (cause) {
        this.#offset = undefined;
        const { kind, message, retriable } = cause as BrokerError;
        // It says that a GET is of unknown outcome, which must not be taken for that of an order.
        throw new BrokerError(`Cannot sign: the venue's time is not known (${message})`, {
          kind,
          outcome: "not-sent",
          retriable,
          cause,
        });
      }
    };
    return this.#offset ??= measure();
  }

  async #sign(draft: Draft): Promise<void> {
    const timestamp = Math.floor(performance.now() + await this.#measured());
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

/** What the venue has counted in this minute, whoever sent it. */
function usedWeight(headers: Headers): { used: number; period: number } | undefined {
  const used = headers.get("x-mbx-used-weight-1m");
  return used === null ? undefined : { used: Number(used), period: MINUTE };
}
