/**
 * A Binance on 127.0.0.1: its spot REST, its market streams and its user data stream, over a
 * synthetic market, with faults.
 *
 * It does as the venue does: signatures, timestamps and weights are checked; an order that breaks a
 * rule of `rules.ts` is refused; streams are acked by id, an unknown symbol's too; depth events are
 * numbered without a gap; a client of the streams that sends more than five messages a second is
 * thrown out.
 *
 * @module
 */

import { Connection, type LoopbackOptions, LoopbackVenue } from "../loopback.ts";
import { type Instrument, type Print, seeded } from "../market.ts";
import type { Sides } from "../levels.ts";
import type { BinanceLogin } from "./account.ts";
import type { DepthEvent } from "./book.ts";
import { describe, Desk, type DeskEvent } from "./desk.ts";
import { type DeskOrder, type Fields, Refusal } from "./desk_order.ts";
import { NumberedMarket } from "./numbered_market.ts";
import { PrivateApi } from "./private_api.ts";
import { executionReport, listStatus, UserSocket } from "./user_socket.ts";

/** What the simulator trades: one price of thousands, one of hundreds, one far below 1. */
export const INSTRUMENTS: readonly Instrument[] = [
  { symbol: "BTCUSDT", price: 2_943_020, priceDecimals: 2, qtyDecimals: 5, size: 50_000 },
  { symbol: "ETHUSDT", price: 187_345, priceDecimals: 2, qtyDecimals: 4, size: 40_000 },
  { symbol: "DOGEUSDT", price: 71_234, priceDecimals: 5, qtyDecimals: 0, size: 50_000 },
];

/** The keys of the example in Binance's documentation. They open nothing but this simulator. */
export const LOGIN: BinanceLogin = {
  apiKey: "vmPUZE6mv9SD5VNHk4HlWFsOr6aKE2zvsw0MuIgwCIPy6utIco14y7Ju91duEh8A",
  secret: "NhqPtmdSJYdKjVHjA7PZj4Mge3R5YNiP1e3UZjInClVN65XAbvqqM6A7H5fATj0j",
};

const LEVELS = 300;
const MOST_STREAMS = 1_024;
const MOST_MESSAGES = 5;
const MINUTE = 60_000;
const STREAM = /^[a-z0-9]+@(trade|depth(@100ms)?)$/;
const ORDERS = /^POST (order|orderList\/oco|order\/cancelReplace)$/;
/** What costs no weight if it succeeds, since 2026-04-02. Source: CHANGELOG.md, 2026-03-27. */
const FREE =
  /^(POST order|POST orderList\/oco|POST order\/cancelReplace|DELETE (order|orderList))$/;
const PUBLIC = /^GET (ping|time|exchangeInfo|depth|ticker\/bookTicker)$/;

/** Options of {@linkcode BinanceSimulator}. */
export interface BinanceSimulatorOptions extends LoopbackOptions {
  /**
   * Weight per minute of the clock.
   *
   * @default {6_000}
   */
  readonly weightLimit?: number;
  /**
   * Whether requests above `weightLimit` are refused.
   *
   * @default {true}
   */
  readonly limited?: boolean;
  /**
   * Least time from one REST request to the next, in milliseconds. A request that comes earlier is
   * answered with 429. The venue itself has none: it counts weights.
   *
   * @default {0}
   */
  readonly restInterval?: number;
  /** The key that may trade. @default {LOGIN} */
  readonly login?: BinanceLogin;
  /**
   * How far the venue's clock is ahead of ours, in milliseconds.
   *
   * @default {0}
   */
  readonly clockOffset?: number;
  /**
   * How long an order cannot be looked up yet, in milliseconds.
   *
   * @default {0}
   */
  readonly visibleAfter?: number;
}

/** What becomes of the next order: not executed, or executed, and answered with 503. */
type Loss = "answer" | "order";

/**
 * Binance, simulated. REST at `httpUrl + "/api/v3/"`, streams at `wsUrl + "/stream"` or `"/ws"`, the
 * WebSocket API at `wsUrl + "/ws-api/v3"`.
 */
export class BinanceSimulator extends LoopbackVenue<BinanceConnection> {
  /** What has happened, with the orders that came through all checks and those that were executed. */
  override readonly stats = {
    requests: 0,
    throttled: 0,
    accepted: 0,
    refused: 0,
    /** Orders that the matching engine has seen. */
    orders: 0,
    /** Orders that it has taken. */
    executed: 0,
    /** Depth events that were withheld from everyone. */
    withheld: 0,
  };
  /** The key that may trade here: `broker.authorize(venue.login)`. */
  readonly login: BinanceLogin;
  /** The account: its balances, orders and trades. */
  readonly desk: Desk;
  /** The calls of the account. */
  readonly api: PrivateApi;
  /** How far the venue's clock is ahead of ours, in milliseconds. */
  clockOffset: number;
  readonly #books: ReadonlyMap<string, NumberedMarket>;
  readonly #random: () => number;
  readonly #limits: { weight: number; interval: number };
  readonly #weight = { minute: 0, used: 0 };
  readonly #losses: Loss[] = [];
  #lastRequest = -Infinity;
  #corrupt = 0;

  /**
   * Opens the venue.
   *
   * @param options The seed, the speed, the faults, the limits.
   */
  constructor(options: BinanceSimulatorOptions = {}) {
    super(options);
    const { seed = 1, weightLimit = 6_000, limited = true, restInterval = 0 } = options;
    const { login = LOGIN, clockOffset = 0, visibleAfter = 0 } = options;
    this.#limits = { weight: limited ? weightLimit : Infinity, interval: restInterval };
    this.clockOffset = clockOffset;
    this.login = login;
    this.#random = seeded(seed);
    this.#books = new Map(
      INSTRUMENTS.map((it, i) => [it.symbol, new NumberedMarket(it, seed * 1_000 + i, LEVELS)]),
    );
    const now = () => this.now;
    this.desk = new Desk({
      now,
      market: (symbol) => this.#books.get(symbol)?.prices,
      tell: (event) => this.#tell(event),
    });
    this.api = new PrivateApi(this.desk, { login, now, visibleAfter });
  }

  /** The orders, by their client's names. Of several of one name, the youngest. */
  get orders(): ReadonlyMap<string, DeskOrder> {
    return new Map([...this.desk.orders.values()].map((order) => [order.clientOrderId, order]));
  }

  /** The venue's time, in epoch milliseconds. */
  get now(): number {
    return Date.now() + this.clockOffset;
  }

  /** The weight used in this minute. */
  get usedWeight(): number {
    return this.#weight.used;
  }

  /** Sets what has been used of this minute's weight, as by others at the same address. */
  set usedWeight(used: number) {
    this.#weight.minute = Math.floor(this.now / MINUTE);
    this.#weight.used = used;
  }

  /** Adds to the weight of this minute, which the WebSocket API shares. */
  charge(weight: number): void {
    if (this.#weight.minute !== Math.floor(this.now / MINUTE)) this.usedWeight = 0;
    this.#weight.used += weight;
  }

  /** Executes the next order, but answers 503, as when the venue itself has lost track of it. */
  loseAnswer(): void {
    this.#losses.push("answer");
  }

  /** Does not execute the next order, and answers the same. */
  loseOrder(): void {
    this.#losses.push("order");
  }

  /** Tells every client that the venue is about to shut down. */
  announceShutdown(): void {
    for (const connection of this.connections) connection.announceShutdown(this.now);
  }

  /** The number of the last change in the venue's book of a symbol. */
  updateId(symbol: string): number {
    return this.#books.get(symbol)!.snapshot(0).lastUpdateId;
  }

  /** The venue's book of a symbol, level by level. */
  book(symbol: string, depth: number = LEVELS): Sides {
    const { bids, asks } = this.#books.get(symbol)!.snapshot(depth);
    const sides = [bids, asks].map((side) => side.map(([price, qty]) => ({ price, qty })));
    return { bids: sides[0], asks: sides[1] };
  }

  /** Lets one or a few things happen in every market, and sends the events. */
  override step(): void {
    for (const [symbol, book] of this.#books) {
      const prints: Print[] = [];
      for (let events = 1 + Math.floor(this.#random() * 3); events > 0; events--) {
        const print = book.market.step();
        if (print) prints.push(print);
      }
      this.#publishDepth(symbol, book.advance());
      for (const print of prints) this.#publishTrade(book, print);
    }
    this.desk.match();
  }

  protected override corrupt(): void {
    this.#corrupt++;
  }

  protected override connect(socket: WebSocket, request: Request): BinanceConnection {
    return new BinanceConnection(socket, this, new URL(request.url).pathname);
  }

  protected override admit(request: Request): Response | undefined {
    const { pathname } = new URL(request.url);
    return /^\/(stream|ws|ws-api\/v3)\b/.test(pathname)
      ? undefined
      : new Response(null, { status: 404 });
  }

  protected override tooMany(retryAfter: number): Response {
    const response = refusal(new Refusal(-1003, "Too much request weight used."), 429);
    response.headers.set("retry-after", String(retryAfter));
    response.headers.set("x-mbx-used-weight-1m", String(this.#weight.used));
    return response;
  }

  protected override async respond(request: Request): Promise<Response> {
    const { pathname, search } = new URL(request.url);
    const query = search.slice(1);
    const body = await request.text();
    const fields = Object.fromEntries(new URLSearchParams(`${query}&${body}`));
    const route = `${request.method} ${pathname.replace(/^\/api\/v3\//, "")}`;
    const limit = this.#overLimit(route, fields);
    if (limit) return limit;
    let response: Response;
    try {
      response = this.#answer(route, fields, request, query, body);
      if (response.ok && FREE.test(route)) this.charge(-weigh(route, fields));
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      response = refusal(error);
    }
    response.headers.set("x-mbx-used-weight", String(this.#weight.used));
    response.headers.set("x-mbx-used-weight-1m", String(this.#weight.used));
    return response;
  }

  #overLimit(route: string, fields: Fields): Response | undefined {
    const now = performance.now();
    const isEarly = now - this.#lastRequest < this.#limits.interval;
    this.#lastRequest = now;
    this.charge(weigh(route, fields));
    if (!isEarly && this.#weight.used <= this.#limits.weight) return undefined;
    this.stats.throttled++;
    return this.tooMany(isEarly ? 1 : Math.ceil((MINUTE - this.now % MINUTE) / 1_000));
  }

  #answer(route: string, fields: Fields, request: Request, query: string, body: string): Response {
    if (PUBLIC.test(route)) return Response.json(this.#public(route, fields));
    if (!this.api.has(route)) return new Response(null, { status: 404 });
    const payload = (query + body).replace(/&?signature=[^&]*$/, "");
    this.api.check(request.headers.get("x-mbx-apikey") ?? undefined, payload, fields);
    if (!ORDERS.test(route)) return Response.json(this.api.answer(route, fields));
    return this.#order(() => this.api.answer(route, fields));
  }

  /** Takes an order, unless it is to be lost. */
  #order(place: () => unknown): Response {
    const loss = this.#losses.shift();
    const lost = new Refusal(-1007, "Timeout waiting for response from backend server.");
    if (loss === "order") return refusal(lost, 503);
    try {
      const placed = place();
      this.stats.orders++;
      this.stats.executed++;
      return loss ? refusal(lost, 503) : Response.json(placed);
    } catch (error) {
      // What a filter refuses never reaches the matching engine.
      if (error instanceof Refusal && error.code === -2010) this.stats.orders++;
      throw error;
    }
  }

  /** What anyone may ask. */
  #public(route: string, { symbol, limit = "100" }: Fields): unknown {
    if (route === "GET ping") return {};
    if (route === "GET time") return { serverTime: this.now };
    if (route === "GET exchangeInfo") return this.#exchangeInfo(symbol);
    const book = this.#books.get(symbol ?? "");
    if (!book) throw new Refusal(-1121, "Invalid symbol.");
    const snapshot = book.snapshot(Number(limit));
    if (route === "GET depth") return snapshot;
    const [[bidPrice, bidQty], [askPrice, askQty]] = [snapshot.bids[0], snapshot.asks[0]];
    return { symbol, bidPrice, bidQty, askPrice, askQty };
  }

  #exchangeInfo(symbol: string | undefined): unknown {
    const asked = INSTRUMENTS.filter((it) => symbol === undefined || it.symbol === symbol);
    if (asked.length === 0) throw new Refusal(-1121, "Invalid symbol.");
    const serverTime = this.now;
    const symbols = asked.map(describe);
    return { timezone: "UTC", serverTime, rateLimits: [], exchangeFilters: [], symbols };
  }

  /** Tells every user data stream what happened to an order, and what the account holds after it. */
  #tell(event: DeskEvent): void {
    const { order, type } = event;
    const events: unknown[] = [executionReport(event, this.now)];
    const list = this.desk.lists.get(order.orderListId);
    const isOver = !list?.orders.some(({ isOpen }) => isOpen);
    if (list && (isOver || type === "NEW" && order === list.orders[0])) {
      events.push(listStatus(list, this.now));
    }
    const B = this.desk.balances.filter(({ asset }) => order.symbol.includes(asset))
      .map(({ asset: a, free: f, locked: l }) => ({ a, f, l }));
    events.push({ e: "outboundAccountPosition", E: this.now, u: order.updateTime, B });
    for (const { user } of this.connections) for (const it of events) user?.publish(it);
  }

  #publishDepth(symbol: string, event: DepthEvent | undefined): void {
    if (!event) return;
    const name = `${symbol.toLowerCase()}@depth`;
    const names = [name, `${name}@100ms`];
    const clients = [...this.connections].filter(({ streams }) =>
      names.some((it) => streams.has(it))
    );
    if (this.#corrupt > 0 && clients.length > 0) {
      this.#corrupt--;
      this.stats.withheld++;
      return;
    }
    const data = { e: "depthUpdate", E: this.now, s: symbol, ...event };
    for (const client of clients) {
      for (const stream of names) if (client.streams.has(stream)) client.publish(stream, data);
    }
  }

  #publishTrade(book: NumberedMarket, print: Print): void {
    const { symbol } = book.market.instrument;
    const [p, q] = book.level(print);
    const [E, m] = [this.now, print.side === "sell"];
    const data = { e: "trade", E, s: symbol, t: print.id, p, q, T: E, m, M: true };
    for (const client of this.connections) {
      const stream = `${symbol.toLowerCase()}@trade`;
      if (client.streams.has(stream)) client.publish(stream, data);
    }
  }
}

/** One client of the simulator. */
export class BinanceConnection extends Connection {
  /** What the client has subscribed to, `btcusdt@trade`. */
  readonly streams: Set<string> = new Set();
  /** The user data stream, on the WebSocket API only. */
  readonly user: UserSocket | undefined;
  readonly #isCombined: boolean;
  /** When the latest messages came. */
  #messages: number[] = [];

  /**
   * Takes on a client.
   *
   * @param socket The venue's end.
   * @param venue The venue.
   * @param path Where the client has dialled.
   */
  constructor(socket: WebSocket, venue: BinanceSimulator, path: string) {
    super(socket);
    this.#isCombined = path.startsWith("/stream");
    if (!path.startsWith("/ws-api")) return;
    const send = (frame: unknown) => this.send(JSON.stringify(frame));
    const charge = (weight: number) => venue.charge(weight);
    this.user = new UserSocket({ api: venue.api, now: () => venue.now, send, charge });
  }

  /** Whether there is a subscription. */
  override get subscribed(): boolean {
    return this.streams.size > 0 || this.user?.subscribed === true;
  }

  /** Tells that the venue is about to shut down. */
  announceShutdown(now: number): void {
    if (this.user) this.user.announceShutdown();
    else this.publish("!serverShutdown", { e: "serverShutdown", E: now });
  }

  /** Says nothing: the client has to begin. */
  override greet(): void {}

  /**
   * Sends an event.
   *
   * @param stream Its stream.
   * @param data The event.
   */
  publish(stream: string, data: unknown): void {
    this.send(JSON.stringify(this.#isCombined ? { stream, data } : data));
  }

  /** Answers requests, as many as are allowed. */
  override receive(frame: string | ArrayBuffer): void {
    if (this.user) return this.user.receive(String(frame));
    const now = performance.now();
    this.#messages = [...this.#messages.filter((at) => at > now - 1_000), now];
    if (this.#messages.length > MOST_MESSAGES) return this.close(1008, "Too many requests");
    let request;
    try {
      request = JSON.parse(String(frame));
    } catch {
      return this.send(`{"error":{"code":3,"msg":"Invalid JSON"}}`);
    }
    const { method, params = [], id } = Object(request);
    const answer = (body: unknown) => this.send(JSON.stringify({ ...Object(body), id }));
    const refuse = (msg: string) => answer({ error: { code: 2, msg: `Invalid request: ${msg}` } });
    if (method === "LIST_SUBSCRIPTIONS") return answer({ result: [...this.streams] });
    if (method !== "SUBSCRIBE" && method !== "UNSUBSCRIBE") return refuse("unknown variant");
    if (params.some((name: string) => !STREAM.test(name))) return refuse("malformed stream name");
    const streams = new Set([...this.streams, ...params]);
    if (method === "SUBSCRIBE" && streams.size > MOST_STREAMS) return refuse("too many streams");
    for (const name of params) {
      if (method === "SUBSCRIBE") this.streams.add(name);
      else this.streams.delete(name);
    }
    answer({ result: null });
  }
}

/** What a request costs. Source: rest-api.md. */
function weigh(route: string, { symbol, limit = "100", orderId }: Fields): number {
  const most = Number(limit);
  if (route === "GET depth") return most <= 100 ? 5 : most <= 500 ? 25 : most <= 1_000 ? 50 : 250;
  if (route === "GET openOrders") return symbol ? 6 : 80;
  if (route === "GET myTrades") return orderId === undefined ? 20 : 5;
  return WEIGHTS[route] ?? 1;
}

const WEIGHTS: Readonly<Record<string, number>> = {
  "GET exchangeInfo": 20,
  "GET account": 20,
  "GET allOrders": 20,
  "GET order": 4,
  "PUT order/amend/keepPriority": 4,
  "GET orderList": 4,
  "GET ticker/bookTicker": 2,
};

function refusal({ code, message: msg }: Refusal, status?: number): Response {
  return Response.json({ code, msg }, { status: status ?? STATUSES[code] ?? 400 });
}

/** Statuses of refusals, where they are not 400. */
const STATUSES: Readonly<Record<number, number>> = { [-2014]: 401, [-2015]: 401, [-2021]: 409 };
