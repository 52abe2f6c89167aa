/**
 * Binance's user data stream over its WebSocket API: own orders, fills and balances.
 *
 * ```ts ignore
 * await using broker = new BinanceBroker();
 * await broker.authorize({ apiKey, secret });
 * await using orders = new BinanceOrders({ broker, symbols: ["BTCUSDT"] });
 * orders.on("item", (item) => console.log(item));
 * await orders.connect();
 * await broker.placeOrder({ symbol: "BTCUSDT", side: "BUY", type: "MARKET", quantity: "0.001" });
 * ```
 *
 * Sources: binance-spot-api-docs, user-data-stream.md and web-socket-api.md.
 *
 * @module
 */

import {
  type FeedConnection,
  FeedError,
  type Gap,
  retry,
  WebSocketFeeder,
  type WebSocketFeederOptions,
} from "@aio-trader/core";
import { Recent } from "../recent.ts";
import type { BinanceListOptions } from "./account.ts";
import type { BinanceBroker } from "./broker.ts";
import { BAD_TIMESTAMP } from "./errors.ts";
import {
  type BinanceExecution,
  type BinanceReport,
  fillOf,
  identityOf,
  isNews,
  isOver,
  ordersOf,
  stateOf,
} from "./reports.ts";

export type { BinanceBalance, BinanceExecution, BinanceFill, BinanceReport } from "./reports.ts";

/** Options of {@linkcode BinanceOrders}. */
export interface BinanceOrdersOptions extends WebSocketFeederOptions {
  /**
   * The venue's address.
   *
   * @default {"wss://ws-api.binance.com:443/ws-api/v3"}
   */
  url?: string;
  /** Signs, and is asked for what was missed. */
  broker: BinanceBroker;
  /** What is traded: after a loss, these symbols are asked for, and those that the stream has told. */
  symbols?: readonly string[];
}

/** What a feed of orders subscribes to: there is one stream for all of the account. */
const ACCOUNT = "account";

/** What a subscription costs of the address's weight. */
const WEIGHT = 2;

/** The venue's code. */
const ALREADY_SUBSCRIBED = -2035;

/**
 * Own orders, fills and balances.
 *
 * - Each fill and each state of an order is delivered once, also over lost connections: the broker
 *   is asked for what was missed. No state is followed by an earlier one.
 * - Orders that were open before the first connection are not delivered, but what becomes of them is.
 * - Balances that changed during a loss are not asked for: the next change tells them.
 * - With `tap` you see the key and signatures: do not log the outgoing frames.
 */
export class BinanceOrders extends WebSocketFeeder<BinanceReport, typeof ACCOUNT> {
  readonly #url: string;
  readonly #broker: BinanceBroker;
  readonly #symbols: Set<string>;
  /** The latest state of each order: of those that are open, and of the latest that have ended. */
  readonly #states = new Recent<string, BinanceExecution>(10_000, isOver);
  /** When the open orders were read, before the first subscription. */
  #begun: number | undefined;
  readonly #ended = new AbortController();
  #isClockWrong = false;
  #lastId = 0;

  /**
   * Makes a feed. It is subscribed to the account.
   *
   * @param options The broker, the symbols, the address, and how to stay connected.
   */
  constructor(options: BinanceOrdersOptions) {
    const {
      url = "wss://ws-api.binance.com:443/ws-api/v3",
      broker,
      symbols = [],
      maxLifetime = 23 * 3_600_000, // the venue ends a connection after 24
      staleAfter = 25_000,
      pingInterval = 10_000,
      confirmTimeout = 5_000,
      ...rest
    } = options;
    super({ ...rest, maxLifetime, staleAfter, pingInterval, confirmTimeout });
    this.#url = url;
    this.#broker = broker;
    this.#symbols = new Set(symbols);
    this.on("item", (item) => item.channel === "orders" && this.#remember(item));
    const off = this.on("subscribed", () => {
      off();
      void this.#catchUp();
    });
    this.closed.then(() => this.#ended.abort());
    this.subscribe(ACCOUNT);
  }

  protected override endpoint(): string {
    return this.#url;
  }

  /** Before the first connection, the open orders are noted: their ends are news. */
  protected override async handshake({ signal }: FeedConnection): Promise<void> {
    if (this.#begun !== undefined) return;
    const begun = Date.now();
    for (const symbol of this.#symbols) {
      for (const order of await this.#broker.openOrders(symbol, { signal, urgent: true })) {
        this.#remember(stateOf(order));
      }
    }
    this.#begun = begun;
  }

  protected override async request(op: "subscribe" | "unsubscribe"): Promise<string> {
    const id = `${op} ${++this.#lastId}`;
    if (op === "unsubscribe") return JSON.stringify({ id, method: "userDataStream.unsubscribe" });
    const { clock, weights } = this.#broker;
    if (this.#isClockWrong) await clock.sync();
    this.#isClockWrong = false;
    const sign = () => this.#broker.signParams();
    const params = await weights.run(sign, { cost: WEIGHT, urgent: true });
    return JSON.stringify({ id, method: "userDataStream.subscribe.signature", params });
  }

  protected override ping(): string {
    return JSON.stringify({ id: `ping ${++this.#lastId}`, method: "ping" });
  }

  protected override keyOf(): string {
    return ACCOUNT;
  }

  /** A state that is no news has the identity of the one that was delivered last. */
  protected override identify(item: BinanceReport): unknown {
    if (item.channel === "fills") return `fill ${item.symbol} ${item.tradeId}`;
    if (item.channel === "balances") return `balance ${JSON.stringify(item)}`;
    const last = this.#states.get(nameOf(item));
    return identityOf(last && !isNews(item, last) ? last : item);
  }

  protected override receive(data: string | ArrayBuffer): void {
    const { event, ...answer } = JSON.parse(String(data));
    switch (event?.e) {
      case undefined:
        return this.#answer(answer);
      case "eventStreamTerminated":
        return this.reconnect("the venue has ended the stream");
      case "serverShutdown":
        return this.replace();
      case "executionReport":
        for (const item of ordersOf(event)) this.emit(item);
        return;
      case "outboundAccountPosition":
        for (const { a: asset, f: free, l: locked } of event.B) {
          this.emit({ channel: "balances", asset, free, locked, time: event.u });
        }
    }
  }

  /** Asks for what the gap has hidden. What is known already is left out. */
  protected override async backfill({ since }: Gap, signal: AbortSignal): Promise<BinanceReport[]> {
    const startTime = this.#broker.clock.at(since);
    const items: BinanceReport[] = [];
    for (const symbol of this.#symbols) {
      items.push(...await this.#missed(symbol, startTime, signal));
    }
    return items.sort((one, other) => one.time - other.time);
  }

  /**
   * Asks for the orders of a symbol, then for their fills. A fill in between is told by the stream
   * once more, with the state after it: no state comes before its fill.
   */
  async #missed(symbol: string, startTime: number, signal: AbortSignal): Promise<BinanceReport[]> {
    const [options, limit] = [{ signal, urgent: true }, LIMIT];
    const orders = await pages(
      (from) => this.#broker.allOrders(symbol, { limit, ...from ?? { startTime } }, options),
      ({ orderId }) => ({ orderId }),
    );
    const known = new Map(orders.map((order) => [String(order.orderId), order]));
    const learn = async (id: number | bigint) => {
      if (known.has(String(id))) return;
      known.set(String(id), await this.#broker.order(symbol, id, options));
    };
    // The list has orders by the time at which they came: what was open before is not in it.
    for (const id of this.#openOf(symbol)) await learn(id);
    const trades = await pages(
      (from) => this.#broker.myTrades(symbol, { limit, ...from ?? { startTime } }, options),
      ({ id: fromId }) => ({ fromId }),
    );
    // The list may show an order later than its trades.
    for (const { orderId } of trades) await learn(orderId);
    const fills = trades.map((trade) => fillOf(trade, known.get(String(trade.orderId))));
    const states = [...known.values()].map(stateOf).filter((state) => {
      const last = this.#states.get(nameOf(state));
      return !last || isNews(state, last);
    });
    return [...fills, ...states];
  }

  /** Fills the gap between the list of open orders and the first subscription. */
  async #catchUp(): Promise<void> {
    const { signal } = this.#ended;
    const gap = { since: this.#begun!, until: Date.now() };
    try {
      const items = await retry(() => this.backfill(gap, signal), { maxRetries: 8, signal })();
      for (const item of items) this.emit(item);
    } catch (cause) {
      if (signal.aborted) return;
      const why = "Cannot tell what happened before the first subscription";
      this.dispatch("error", new FeedError(why, { cause }));
    }
  }

  #openOf(symbol: string): (number | bigint)[] {
    return [...this.#states.values()].filter((it) => it.symbol === symbol && !isOver(it))
      .map(({ orderId }) => orderId);
  }

  #remember(order: BinanceExecution): void {
    this.#symbols.add(order.symbol);
    this.#states.set(nameOf(order), order);
  }

  #answer({ id, error, status }: Answer): void {
    if (!String(id).startsWith("subscribe")) return;
    if (!error || error.code === ALREADY_SUBSCRIBED) return this.confirm(ACCOUNT);
    const { code, msg, data } = error;
    const why = `Binance says ${code}: ${msg}`;
    const isLimit = status === 429 || status === 418;
    if (code === BAD_TIMESTAMP) this.#isClockWrong = true;
    else if (!isLimit && status < 500) throw new FeedError(why, { fatal: true });
    const retryAfter = isLimit ? Math.max((data?.retryAfter ?? 0) - Date.now(), 1_000) : 0;
    this.refuse(ACCOUNT, why, { retryAfter });
  }
}

/** Entries of a page. */
const LIMIT = 1_000;

/** Reads pages until one is not full. The next one begins with the last entry. */
async function pages<T>(
  read: (from: BinanceListOptions | undefined) => Promise<T[]>,
  nameOf: (it: T) => BinanceListOptions,
): Promise<T[]> {
  const all: T[] = [];
  for (;;) {
    const last = all.pop();
    const page = await read(last && nameOf(last));
    all.push(...page);
    if (page.length < LIMIT) return all;
  }
}

function nameOf({ symbol, orderId }: BinanceExecution): string {
  return `${symbol} ${orderId}`;
}

/** The answer to a request. */
interface Answer {
  readonly id: unknown;
  readonly status: number;
  readonly error?: {
    readonly code: number;
    readonly msg: string;
    readonly data?: { readonly retryAfter?: number };
  };
}
