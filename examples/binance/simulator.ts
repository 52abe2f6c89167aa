/**
 * A Binance on 127.0.0.1: its spot REST and its market streams, over a synthetic market, with faults.
 *
 * It does as the venue does: signatures, timestamps and weights are checked; an order of a name that
 * is open is refused; streams are acked by id, an unknown symbol's too; depth events are numbered
 * without a gap; a client that sends more than five messages a second is thrown out.
 *
 * @module
 */

import { createHmac } from "node:crypto";
import { Connection, type LoopbackOptions, LoopbackVenue } from "../loopback.ts";
import { decimal, type Instrument, Market, type Print, type Rung, seeded } from "../market.ts";
import type { Sides } from "../levels.ts";
import type { DepthEvent, DepthLevel, DepthSnapshot } from "./book.ts";
import type { BinanceLogin } from "./broker.ts";
import { describe, Desk, type SimulatedOrder } from "./desk.ts";

export type { SimulatedOrder } from "./desk.ts";

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
const FIRST_UPDATE_ID = 70_123_456_789;
const MOST_STREAMS = 1_024;
const MOST_MESSAGES = 5;
const STREAM = /^[a-z0-9]+@(trade|depth(@100ms)?)$/;

/** Options of {@linkcode BinanceSimulator}. */
export interface BinanceSimulatorOptions extends LoopbackOptions {
  /**
   * Weight per minute of the clock.
   *
   * @default {6_000}
   */
  readonly weightLimit?: number;
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

/** Binance, simulated. WebSocket at `wsUrl + "/stream"` or `"/ws"`, REST at `httpUrl + "/api/v3/"`. */
export class BinanceSimulator extends LoopbackVenue<BinanceConnection> {
  /** What has happened, with the orders that came through all checks and those that were executed. */
  override readonly stats = {
    requests: 0,
    throttled: 0,
    accepted: 0,
    refused: 0,
    orders: 0,
    executed: 0,
    /** Depth events that were withheld from everyone. */
    withheld: 0,
  };
  readonly #desk = new Desk();
  readonly #books: ReadonlyMap<string, NumberedMarket>;
  readonly #random: () => number;
  readonly #options: Required<Omit<BinanceSimulatorOptions, keyof LoopbackOptions>>;
  readonly #weight = { minute: 0, used: 0 };
  #lostAnswers = 0;
  #corrupt = 0;

  /**
   * Opens the venue.
   *
   * @param options The seed, the speed, the faults, the limits.
   */
  constructor(options: BinanceSimulatorOptions = {}) {
    super(options);
    const { seed = 1, weightLimit = 6_000, clockOffset = 0, visibleAfter = 0 } = options;
    this.#options = { weightLimit, clockOffset, visibleAfter };
    this.#random = seeded(seed);
    this.#books = new Map(
      INSTRUMENTS.map((it, i) => [it.symbol, new NumberedMarket(it, seed * 1_000 + i)]),
    );
  }

  /** The orders, by their client's names. */
  get orders(): ReadonlyMap<string, SimulatedOrder> {
    return this.#desk.orders;
  }

  /** The venue's time, in epoch milliseconds. */
  get now(): number {
    return Date.now() + this.#options.clockOffset;
  }

  /** The weight used in this minute. */
  get usedWeight(): number {
    return this.#weight.used;
  }

  /** Sets what has been used of this minute's weight, as by others at the same address. */
  set usedWeight(used: number) {
    this.#weight.minute = Math.floor(this.now / 60_000);
    this.#weight.used = used;
  }

  /** Executes the next order, but answers 503, as when the venue itself has lost track of it. */
  loseAnswer(): void {
    this.#lostAnswers++;
  }

  /** Tells every client that the venue is about to shut down. */
  announceShutdown(): void {
    for (const connection of this.connections) {
      connection.publish("!serverShutdown", { e: "serverShutdown", E: this.now });
    }
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
  }

  protected override corrupt(): void {
    this.#corrupt++;
  }

  protected override connect(socket: WebSocket, request: Request): BinanceConnection {
    return new BinanceConnection(socket, new URL(request.url).pathname.startsWith("/stream"));
  }

  protected override admit(request: Request): Response | undefined {
    const { pathname } = new URL(request.url);
    return /^\/(stream|ws)\b/.test(pathname) ? undefined : new Response(null, { status: 404 });
  }

  protected override tooMany(retryAfter: number): Response {
    const { used } = this.#weight;
    const response = refusal(429, -1003, "Too much request weight used.");
    response.headers.set("retry-after", String(retryAfter));
    response.headers.set("x-mbx-used-weight-1m", String(used));
    return response;
  }

  protected override async respond(request: Request): Promise<Response> {
    const { pathname, search } = new URL(request.url);
    const body = await request.text();
    const params = Object.fromEntries(new URLSearchParams(`${search.slice(1)}&${body}`));
    const route = `${request.method} ${pathname.replace(/^\/api\/v3\//, "")}`;
    const { minute } = this.#weight;
    if (minute !== Math.floor(this.now / 60_000)) this.usedWeight = 0;
    this.#weight.used += weigh(route, params);
    if (this.#weight.used > this.#options.weightLimit) {
      this.stats.throttled++;
      return this.tooMany(Math.ceil((60_000 - this.now % 60_000) / 1_000));
    }
    const response = this.#data(route, params) ??
      this.#check(request, search.slice(1), body, params) ?? this.#trade(route, params);
    response.headers.set("x-mbx-used-weight", String(this.#weight.used));
    response.headers.set("x-mbx-used-weight-1m", String(this.#weight.used));
    return response;
  }

  #publishDepth(symbol: string, event: DepthEvent | undefined): void {
    if (!event) return;
    const name = `${symbol.toLowerCase()}@depth`;
    const clients = [...this.connections].filter(({ streams }) =>
      streams.has(name) || streams.has(`${name}@100ms`)
    );
    if (this.#corrupt > 0 && clients.length > 0) {
      this.#corrupt--;
      this.stats.withheld++;
      return;
    }
    const data = { e: "depthUpdate", E: this.now, s: symbol, ...event };
    for (const client of clients) {
      for (const stream of [name, `${name}@100ms`]) {
        if (client.streams.has(stream)) client.publish(stream, data);
      }
    }
  }

  #publishTrade({ market }: NumberedMarket, print: Print): void {
    const { symbol } = market.instrument;
    const [p, q] = level(market, print);
    const [E, m] = [this.now, print.side === "sell"];
    const data = { e: "trade", E, s: symbol, t: print.id, p, q, T: E, m, M: true };
    for (const client of this.connections) {
      const stream = `${symbol.toLowerCase()}@trade`;
      if (client.streams.has(stream)) client.publish(stream, data);
    }
  }

  /** What anyone may ask. */
  #data(route: string, { symbol, limit = "100" }: Record<string, string>): Response | undefined {
    const asked = /^GET (ping|time|exchangeInfo|depth|ticker\/bookTicker)$/.exec(route)?.[1];
    if (!asked) return undefined;
    if (asked === "ping") return Response.json({});
    if (asked === "time") return Response.json({ serverTime: this.now });
    if (asked === "exchangeInfo") {
      const asked = INSTRUMENTS.filter((it) => symbol === undefined || it.symbol === symbol);
      if (asked.length === 0) return refusal(400, -1121, "Invalid symbol.");
      return Response.json({
        timezone: "UTC",
        serverTime: this.now,
        rateLimits: [],
        exchangeFilters: [],
        symbols: asked.map(describe),
      });
    }
    const book = this.#books.get(symbol);
    if (!book) return refusal(400, -1121, "Invalid symbol.");
    const snapshot = book.snapshot(Number(limit));
    if (asked === "depth") return Response.json(snapshot);
    const [[bidPrice, bidQty], [askPrice, askQty]] = [snapshot.bids[0], snapshot.asks[0]];
    return Response.json({ symbol, bidPrice, bidQty, askPrice, askQty });
  }

  /** Looks at key, signature and time, in this order. */
  #check(
    { headers }: Request,
    query: string,
    body: string,
    { timestamp, recvWindow = "5000", signature = "" }: Record<string, string>,
  ): Response | undefined {
    const key = headers.get("x-mbx-apikey");
    if (!key) return refusal(401, -2014, "API-key format invalid.");
    if (key !== LOGIN.apiKey) {
      return refusal(401, -2015, "Invalid API-key, IP, or permissions for action.");
    }
    const payload = (query + body).replace(/&?signature=[^&]*$/, "");
    const right = createHmac("sha256", LOGIN.secret).update(payload).digest("hex");
    if (signature.toLowerCase() !== right) {
      return refusal(400, -1022, "Signature for this request is not valid.");
    }
    if (!timestamp) return mandatory("timestamp");
    if (Number(timestamp) >= this.now + 1_000) {
      const why = "Timestamp for this request was 1000ms ahead of the server's time.";
      return refusal(400, -1021, why);
    }
    if (this.now - Number(timestamp) > Math.min(60_000, Number(recvWindow))) {
      return refusal(400, -1021, "Timestamp for this request is outside of the recvWindow.");
    }
  }

  /** What only the account may ask. */
  #trade(route: string, params: Record<string, string>): Response {
    const { symbol, origClientOrderId, orderId } = params;
    if (route === "POST order") return this.#order(params);
    if (route === "GET account") {
      const { balances } = this.#desk;
      return Response.json({ canTrade: true, accountType: "SPOT", balances });
    }
    const isKnown = ({ at }: SimulatedOrder) =>
      performance.now() - at >= this.#options.visibleAfter;
    const known = [...this.orders.values()].filter(isKnown);
    if (route === "GET openOrders") {
      const open = known.filter(({ status }) => status === "NEW");
      return Response.json(open.filter((order) => !symbol || order.symbol === symbol).map(state));
    }
    const list = /^GET (allOrders|myTrades|order)$/.exec(route)?.[1];
    if (list && !this.#books.has(symbol)) return refusal(400, -1121, "Invalid symbol.");
    const { startTime = 0, endTime = Infinity } = params;
    const isAsked = (it: { symbol: string; time: number; orderId: number | bigint }) =>
      it.symbol === symbol && it.time >= Number(startTime) && it.time <= Number(endTime) &&
      (orderId === undefined || Number(it.orderId) >= Number(orderId));
    if (list === "allOrders") return Response.json(known.filter(isAsked).map(state));
    if (list === "myTrades") return Response.json(this.#desk.trades.filter(isAsked));
    if (!origClientOrderId && !orderId) {
      return refusal(400, -1102, "Param 'origClientOrderId' or 'orderId' must be sent.");
    }
    const order = this.#desk.find(symbol, origClientOrderId, orderId);
    if (route === "GET order") {
      const isFound = order && isKnown(order);
      return isFound ? Response.json(state(order)) : refusal(400, -2013, "Order does not exist.");
    }
    if (route !== "DELETE order") return new Response(null, { status: 404 });
    if (order?.status !== "NEW") return refusal(400, -2011, "Unknown order sent.");
    // The venue gives the cancel a name of its own, and tells the order's beside it.
    return Response.json({
      ...state(this.#desk.cancel(order)),
      origClientOrderId: order.clientOrderId,
      clientOrderId: crypto.randomUUID(),
    });
  }

  #order(fields: Record<string, string>): Response {
    const instrument = INSTRUMENTS.find(({ symbol }) => symbol === fields.symbol);
    const { bids, asks } = this.#books.get(fields.symbol)?.snapshot(1) ?? { bids: [], asks: [] };
    const best = { bid: bids[0]?.[0] ?? "0", ask: asks[0]?.[0] ?? "0" };
    const order = this.#desk.place(fields, instrument, best, this.now);
    // Those that a filter refuses never reach the matching engine.
    if (!("code" in order) || order.code === -2010) this.stats.orders++;
    if ("code" in order) return refusal(400, order.code, order.msg);
    this.stats.executed++;
    if (this.#lostAnswers === 0) return Response.json(state(order));
    this.#lostAnswers--;
    return refusal(503, -1007, "Timeout waiting for response from backend server.");
  }
}

/** One client of the simulator. */
export class BinanceConnection extends Connection {
  /** What the client has subscribed to, `btcusdt@trade`. */
  readonly streams: Set<string> = new Set();
  #isCombined: boolean;
  /** When the latest messages came. */
  #messages: number[] = [];

  /**
   * Takes on a client.
   *
   * @param socket The venue's end.
   * @param isCombined Whether events are wrapped in the names of their streams.
   */
  constructor(socket: WebSocket, isCombined: boolean) {
    super(socket);
    this.#isCombined = isCombined;
  }

  /** Whether there is a subscription. */
  override get subscribed(): boolean {
    return this.streams.size > 0;
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

/** A market whose changes are numbered. */
class NumberedMarket {
  readonly market: Market;
  #updateId = FIRST_UPDATE_ID;
  #bids: readonly Rung[];
  #asks: readonly Rung[];

  constructor(instrument: Instrument, seed: number) {
    this.market = new Market(instrument, seed, LEVELS);
    this.#bids = [...this.market.bids];
    this.#asks = [...this.market.asks];
  }

  snapshot(limit: number): DepthSnapshot {
    const levels = (side: readonly Rung[]) =>
      side.slice(0, limit).map((it) => level(this.market, it));
    return { lastUpdateId: this.#updateId, bids: levels(this.#bids), asks: levels(this.#asks) };
  }

  /** What has changed since the last call; one number for each level. */
  advance(): DepthEvent | undefined {
    const { bids, asks } = this.market;
    const changed = (before: readonly Rung[], after: readonly Rung[]) =>
      changes(before, after).map((rung) => level(this.market, rung));
    const [b, a] = [changed(this.#bids, bids), changed(this.#asks, asks)];
    this.#bids = [...bids];
    this.#asks = [...asks];
    if (b.length + a.length === 0) return undefined;
    const U = this.#updateId + 1;
    this.#updateId += b.length + a.length;
    return { U, u: this.#updateId, b, a };
  }
}

/** Levels that are new or different, and those that are gone, with a quantity of 0. */
function changes(before: readonly Rung[], after: readonly Rung[]): Rung[] {
  const kept = new Set(before);
  const prices = new Set(after.map(({ price }) => price));
  const gone = before.filter(({ price }) => !prices.has(price));
  return [...gone.map(({ price }) => ({ price, qty: 0 })), ...after.filter((it) => !kept.has(it))];
}

function level({ instrument }: Market, { price, qty }: Rung): DepthLevel {
  // The venue writes eight decimals, whatever the instrument's own.
  const text = (units: number, decimals: number) =>
    decimal(units, decimals) + (decimals === 0 ? "." : "") + "0".repeat(8 - decimals);
  return [text(price, instrument.priceDecimals), text(qty, instrument.qtyDecimals)];
}

function weigh(route: string, { symbol, limit = "100" }: Record<string, string>): number {
  const most = Number(limit);
  if (route === "GET depth") return most <= 100 ? 5 : most <= 500 ? 25 : most <= 1_000 ? 50 : 250;
  if (route === "GET openOrders") return symbol ? 6 : 80;
  const weights: Record<string, number> = {
    "GET exchangeInfo": 20,
    "GET account": 20,
    "GET allOrders": 20,
    "GET myTrades": 20,
    "GET order": 4,
    "GET ticker/bookTicker": 2,
  };
  return weights[route] ?? 1;
}

function state({ at: _at, fields, ...order }: SimulatedOrder): Record<string, unknown> {
  const { side, type, timeInForce = "GTC" } = fields;
  return { ...order, side, type, timeInForce, orderListId: -1 };
}

function refusal(status: number, code: number, msg: string): Response {
  return Response.json({ code, msg }, { status });
}

function mandatory(name: string): Response {
  const msg = `Mandatory parameter '${name}' was not sent, was empty/null, or malformed.`;
  return refusal(400, -1102, msg);
}
