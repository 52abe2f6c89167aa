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
  type ReconcileContext,
  type ReconcileOptions,
  type Reply,
  type RequestOptions,
  Session,
  type SessionOptions,
  Throttler,
  VenueClock,
} from "@aio-trader/core";
import { importSecret, sign } from "../hmac.ts";
import type {
  BinanceAccount,
  BinanceListOptions,
  BinanceLogin,
  BinanceOco,
  BinanceOrder,
  BinanceOrderList,
  BinanceOrderState,
  BinanceQuote,
  BinanceSymbol,
  BinanceTradeState,
} from "./account.ts";
import type { DepthSnapshot } from "./book.ts";
import { unitsOf } from "./decimals.ts";
import { ifUnknown, noLogin, UnknownOrderError, venueError } from "./errors.ts";

export type * from "./account.ts";
export { UnknownOrderError } from "./errors.ts";
export { importSecret, sign } from "../hmac.ts";

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

/** More of a call that asks. */
export type BinanceCallOptions = Pick<RequestOptions, "signal" | "urgent" | "throttlers">;

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
  /** The venue's time. A call that waits for its reading holds tokens, so the reading takes none. */
  readonly clock: VenueClock = new VenueClock(() => this.time({ throttlers: [] }));
  readonly #market: Session;
  readonly #recvWindow: number;
  readonly #settleTime: number;
  readonly #lookUpTimeout: number;
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

  /** After a refused timestamp, which has executed nothing: the session then sends again, once. */
  protected override async renew(): Promise<void> {
    await this.clock.sync();
  }

  /** Asks for the venue's time, in epoch milliseconds. */
  async time(options: BinanceCallOptions = {}): Promise<number> {
    return (await this.#market.get<{ serverTime: number }>("time", options)).serverTime;
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

  /**
   * Asks for the orders that are open.
   *
   * @param symbol Of what. Without, of all symbols, which costs 80 instead of 6.
   * @param options More of the call.
   * @returns The orders.
   */
  openOrders(symbol?: string, options: BinanceCallOptions = {}): Promise<BinanceOrderState[]> {
    const cost = symbol ? 6 : 80;
    return this.#signed("GET", "openOrders", { ...options, query: { symbol }, cost });
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
    options: BinanceCallOptions = {},
  ): Promise<BinanceOrderState> {
    return this.#signed("GET", "order", { ...options, query: named(symbol, name), cost: 4 });
  }

  /**
   * Asks for all orders of a symbol, open or not, the oldest first. Costs 20.
   *
   * @param symbol What is traded.
   * @param list Which of them.
   * @param options More of the call.
   * @returns The orders.
   */
  allOrders(
    symbol: string,
    list: BinanceListOptions = {},
    options: BinanceCallOptions = {},
  ): Promise<BinanceOrderState[]> {
    return this.#signed("GET", "allOrders", { ...options, query: { symbol, ...list }, cost: 20 });
  }

  /**
   * Asks for the trades of the account in a symbol, the oldest first. Costs 20, those of one order 5.
   *
   * @param symbol What is traded.
   * @param list Which of them.
   * @param options More of the call.
   * @returns The trades.
   */
  myTrades(
    symbol: string,
    list: BinanceListOptions = {},
    options: BinanceCallOptions = {},
  ): Promise<BinanceTradeState[]> {
    const cost = list.orderId === undefined ? 20 : 5;
    return this.#signed("GET", "myTrades", { ...options, query: { symbol, ...list }, cost });
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
    const form = { newOrderRespType: "RESULT", ...order, newClientOrderId };
    return await this.#place<BinanceOrderState>("order", newClientOrderId, {
      form,
      throttlers: [this.weights, this.orders],
    }, ({ signal }) => this.order(symbol, newClientOrderId, this.#lookUp(signal)));
  }

  /**
   * Places two orders, of which one cancels the other. Sent once, and looked for as an order is.
   *
   * @param oco The orders.
   * @returns The list as the venue has it.
   * @throws {UnknownOrderError} If there was no answer, and the venue could not be asked.
   * @throws {BrokerError} If it was not sent, was rejected, or is absent: then nothing was executed.
   */
  async placeOco(oco: BinanceOco): Promise<BinanceOrderList> {
    const { listClientOrderId = crypto.randomUUID() } = oco;
    const form = { newOrderRespType: "RESULT", ...oco, listClientOrderId };
    return await this.#place<BinanceOrderList>("orderList/oco", listClientOrderId, {
      form,
      throttlers: [this.weights, { throttler: this.orders, cost: 2 }],
    }, ({ signal }) => this.orderList(listClientOrderId, this.#lookUp(signal)));
  }

  /**
   * Looks a list of orders up.
   *
   * @param name Our name for it, or the venue's id as a number.
   * @param options More of the call.
   * @returns The list.
   * @throws {BrokerError} If the venue knows none, or not yet: kind "rejected".
   */
  orderList(
    name: string | number | bigint,
    options: BinanceCallOptions = {},
  ): Promise<BinanceOrderList> {
    const query = typeof name === "string"
      ? { origClientOrderId: name }
      : { orderListId: String(name) };
    return this.#signed("GET", "orderList", { ...options, query, cost: 4 });
  }

  /**
   * Cancels an order, before all calls that wait. If no answer comes, the venue is asked for the order.
   *
   * @param symbol What is traded.
   * @param name Our name for it, or the venue's id as a number.
   * @returns The order as the venue has it. `clientOrderId` is the order's own name: the venue names
   *   the cancel there.
   * @throws {BrokerError} If the order is not open: code -2011. `outcome` tells whether it may have
   *   been cancelled.
   */
  async cancel(symbol: string, name: string | number | bigint): Promise<BinanceOrderState> {
    const answer = await this.#signed<Cancelled>("DELETE", "order", {
      query: named(symbol, name),
      throttlers: [this.weights],
      urgent: true,
      reconcile: this.#reconcile(async ({ signal }) => {
        const order = await this.order(symbol, name, this.#lookUp(signal));
        return isOpen(order) ? undefined : order;
      }),
    });
    const { origClientOrderId, ...order } = cancelledOf(answer, name);
    return { ...order, clientOrderId: origClientOrderId ?? order.clientOrderId };
  }

  /**
   * Makes an open order smaller, in its place in the book. If no answer comes, the venue is asked
   * for the order. Costs 4.
   *
   * @param symbol What is traded.
   * @param name Our name for it, which it keeps.
   * @param newQty How much is to be ordered in all: less than before, more than was executed.
   * @returns The order as the venue has it.
   * @throws {BrokerError} If the venue refuses: code -2038. `outcome` tells whether the order may
   *   have been made smaller.
   */
  async amend(symbol: string, name: string, newQty: string): Promise<BinanceOrderState> {
    const { amendedOrder } = await this.#signed<{ amendedOrder: Amended }>(
      "PUT",
      "order/amend/keepPriority",
      {
        form: { symbol, origClientOrderId: name, newClientOrderId: name, newQty },
        throttlers: [{ throttler: this.weights, cost: 4 }],
        reconcile: this.#reconcile(async ({ signal }) => {
          const order = await this.order(symbol, name, this.#lookUp(signal));
          if (unitsOf(order.origQty) === unitsOf(newQty)) return { amendedOrder: order };
          if (isOpen(order)) return undefined;
          throw new Error(`Cannot tell whether the order was made smaller: it is ${order.status}`);
        }),
      },
    );
    const { qty, ...order } = amendedOrder;
    return qty === undefined ? order : { ...order, origQty: qty };
  }

  /**
   * Cancels a list of orders, before all calls that wait. Sent once.
   *
   * @param symbol What is traded.
   * @param listClientOrderId Our name for the list.
   * @returns The list.
   * @throws {BrokerError} If the list is not open: code -2011.
   */
  cancelList(symbol: string, listClientOrderId: string): Promise<BinanceOrderList> {
    const query = { symbol, listClientOrderId };
    const options = { query, throttlers: [this.weights], urgent: true };
    return this.#signed("DELETE", "orderList", options);
  }

  /**
   * Signs parameters for the WebSocket API, where the key is one of them.
   *
   * @param params The parameters. Decimals are text.
   * @returns The parameters with `apiKey`, `timestamp` and `signature`: not to be logged.
   * @throws {BrokerError} If there is no login, or the venue's time cannot be read.
   */
  async signParams(
    params: Readonly<Record<string, string | number>> = {},
  ): Promise<Record<string, string | number>> {
    if (!this.#key) throw noLogin("sign");
    const timestamp = await this.clock.fresh(this.#recvWindow / 2);
    const apiKey = this.session.headers.get("x-mbx-apikey")!;
    const all = { ...params, apiKey, recvWindow: this.#recvWindow, timestamp };
    const sorted = Object.entries(all).sort(([one], [other]) => one < other ? -1 : 1);
    const payload = sorted.map(([name, value]) => `${name}=${value}`).join("&");
    return { ...all, signature: await sign(this.#key, payload) };
  }

  /** Closes both sessions. */
  override async close(): Promise<void> {
    await Promise.all([this.#market.close(), super.close()]);
  }

  /** Adds what the venue says to what the status says. */
  protected override failure(reply: Reply): BrokerError | undefined {
    return venueError(reply);
  }

  /** How to look for something: until the venue can neither take it nor take longer to show it. */
  #reconcile<T>(find: ReconcileOptions<T>["find"]): ReconcileOptions<T> {
    const horizon = this.#recvWindow + this.#settleTime;
    return { find, horizon, timeout: horizon + this.#lookUpTimeout };
  }

  /** A look-up goes before queries, out of the reserve. */
  #lookUp(signal: AbortSignal): BinanceCallOptions {
    return { signal, urgent: true, throttlers: [this.weights] };
  }

  /** Places something with a name of ours, and finds it by this name if no answer comes. */
  async #place<T>(
    path: string,
    name: string,
    options: RequestOptions<T> & { form: { symbol: string } },
    find: (context: ReconcileContext) => Promise<T>,
  ): Promise<T> {
    try {
      return await this.#signed<T>("POST", path, {
        ...options,
        reconcile: this.#reconcile((context) => find(context).catch(ifUnknown)),
      });
    } catch (error) {
      if (!(error instanceof BrokerError) || error.outcome !== "unknown") throw error;
      throw new UnknownOrderError(error, options.form.symbol, name);
    }
  }

  /** Sends a signed request. */
  async #signed<T>(method: string, path: string, options: RequestOptions<T>): Promise<T> {
    if (!this.#key) throw noLogin(`${method} ${path}`);
    const isQuery = method === "GET" && !options.throttlers;
    const all = isQuery ? { ...options, throttlers: [this.queries, this.weights] } : options;
    return (await this.session.request<T>(method, path, all)).data;
  }

  async #sign(draft: Draft): Promise<void> {
    const timestamp = await this.clock.fresh(this.#recvWindow / 2);
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

/** The order that is meant: by our name, a text, or by the venue's id, a number. */
function named(symbol: string, name: string | number | bigint): Record<string, unknown> {
  return typeof name === "string"
    ? { symbol, origClientOrderId: name }
    : { symbol, orderId: String(name) };
}

/** A cancelled order, with its own name beside the cancel's, or all orders of a list. */
type Cancelled = (BinanceOrderState & { readonly origClientOrderId?: string }) & {
  readonly orderReports?: readonly Cancelled[];
};

/** The order that was meant, where a whole list was cancelled. */
function cancelledOf(answer: Cancelled, name: string | number | bigint): Cancelled {
  const isMeant = ({ orderId, origClientOrderId }: Cancelled) =>
    typeof name === "string" ? origClientOrderId === name : String(orderId) === String(name);
  return answer.orderReports?.find(isMeant) ?? answer;
}

/** An order that was made smaller. A look-up gives it as any other order. */
type Amended = BinanceOrderState & { readonly qty?: string };

function isOpen({ status }: BinanceOrderState): boolean {
  return /^(?:NEW|PENDING_NEW|PARTIALLY_FILLED|PENDING_CANCEL)$/.test(status);
}

/** What the venue has counted in this minute, whoever sent it. */
function usedWeight(headers: Headers): { used: number; period: number } | undefined {
  const used = headers.get("x-mbx-used-weight-1m");
  return used === null ? undefined : { used: Number(used), period: MINUTE };
}
