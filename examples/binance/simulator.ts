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

import {
  type FeedClient,
  reply,
  type VenueFrame,
  VenueReply,
  type VenueRequest,
} from "@aio-trader/core/testing";
import type { Instrument, Print } from "../market.ts";
import type { Sides } from "../levels.ts";
import { ServedVenue } from "../served_venue.ts";
import { Simulator, type SimulatorOptions } from "../simulator.ts";
import type { BinanceLogin } from "./account.ts";
import type { DepthEvent } from "./book.ts";
import { describe, Desk, type DeskEvent } from "./desk.ts";
import { type DeskOrder, type Fields, Refusal } from "./desk_order.ts";
import { NumberedMarket } from "./numbered_market.ts";
import { PrivateApi } from "./private_api.ts";
import { STREAM_RULES } from "./rules.ts";
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
const MOST_MESSAGES = 5;
const MINUTE = 60_000;
const SOCKETS = /^\/(stream|ws|ws-api\/v3)\b/;
const ORDERS = /^POST (order|orderList\/oco|order\/cancelReplace)$/;
/** What costs no weight if it succeeds, since 2026-04-02. Source: CHANGELOG.md, 2026-03-27. */
const FREE =
  /^(POST order|POST orderList\/oco|POST order\/cancelReplace|DELETE (order|orderList))$/;

/** Options of {@linkcode BinanceSimulator}. */
export interface BinanceSimulatorOptions extends SimulatorOptions {
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

/** What the simulator counts beside requests and upgrades. */
interface BinanceStats {
  /** Orders that the matching engine has seen: they came through all checks. */
  orders: number;
  /** Orders that it has taken. */
  executed: number;
  /** Depth events that were withheld from everyone. */
  withheld: number;
}

/**
 * Binance, simulated. REST at `httpUrl + "/api/v3/"`, streams at `wsUrl + "/stream"` or `"/ws"`, the
 * WebSocket API at `wsUrl + "/ws-api/v3"`. An order that is lost is answered with 503, as when the
 * venue itself has lost track of it.
 */
export class BinanceSimulator extends Simulator<ServedVenue> {
  /** What has happened so far. */
  readonly stats: ServedVenue["stats"] & BinanceStats = Object.assign(this.venue.stats, {
    orders: 0,
    executed: 0,
    withheld: 0,
  });
  /** The key that may trade here: `broker.authorize(venue.login)`. */
  readonly login: BinanceLogin;
  /** The account: its balances, orders and trades. */
  readonly desk: Desk;
  /** The calls of the account. */
  readonly api: PrivateApi;
  /** How far the venue's clock is ahead of ours, in milliseconds. */
  clockOffset: number;
  readonly #books: ReadonlyMap<string, NumberedMarket>;
  readonly #limits: { weight: number; interval: number };
  readonly #weight = { minute: 0, used: 0 };
  /** The user data streams. */
  readonly #users = new WeakMap<FeedClient, UserSocket>();
  #lastRequest = -Infinity;

  /**
   * Opens the venue.
   *
   * @param options The seed, the speed, the faults, the limits.
   */
  constructor(options: BinanceSimulatorOptions = {}) {
    super(new ServedVenue(), options);
    const { seed = 1, weightLimit = 6_000, limited = true, restInterval = 0 } = options;
    const { login = LOGIN, clockOffset = 0, visibleAfter = 0 } = options;
    this.#limits = { weight: limited ? weightLimit : Infinity, interval: restInterval };
    this.clockOffset = clockOffset;
    this.login = login;
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
    this.#serve();
    const { feed } = this.venue;
    feed.onUpgrade(({ path }) => SOCKETS.test(path) ? undefined : reply(404));
    feed.onOpen((client) => this.#open(client));
    feed.on((frame, client) => this.#hear(frame, client));
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

  /** The user data streams of the clients that are connected. */
  get users(): UserSocket[] {
    return this.venue.feed.clients.flatMap((client) => this.#users.get(client) ?? []);
  }

  /** Tells every client that the venue is about to shut down. */
  announceShutdown(): void {
    const data = { e: "serverShutdown", E: this.now };
    for (const client of this.venue.feed.clients) {
      const user = this.#users.get(client);
      if (user) user.announceShutdown();
      else send(client, "!serverShutdown", data);
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
      const prints = book.market.steps(this.random);
      this.#publishDepth(symbol, book.advance());
      for (const print of prints) this.#publishTrade(book, print);
    }
    this.desk.match();
  }

  #serve(): void {
    const { api } = this;
    this.venue.on("*", () => reply(404));
    const on = (route: string, answer: (fields: Fields, request: VenueRequest) => unknown) =>
      this.venue.on(
        route.replace(" ", " /api/v3/"),
        (request) => this.#answer(route, request, answer),
      );
    on("GET ping", () => ({}));
    on("GET time", () => ({ serverTime: this.now }));
    on("GET exchangeInfo", ({ symbol }) => this.#exchangeInfo(symbol));
    on("GET depth", ({ symbol, limit }) => this.#snapshot(symbol, limit));
    on("GET ticker/bookTicker", ({ symbol }) => {
      const { bids: [[bidPrice, bidQty]], asks: [[askPrice, askQty]] } = this.#snapshot(symbol);
      return { symbol, bidPrice, bidQty, askPrice, askQty };
    });
    for (const route of api.routes) {
      on(route, (fields, request) => {
        const payload = `${queryOf(request)}${request.body}`.replace(/&?signature=[^&]*$/, "");
        api.check(request.headers.get("x-mbx-apikey") ?? undefined, payload, fields);
        const answer = () => api.answer(route, fields);
        return ORDERS.test(route) ? this.#order(answer) : answer();
      });
    }
  }

  /** Answers with the weight that was used, if there is enough of it. */
  #answer(
    route: string,
    request: VenueRequest,
    answer: (fields: Fields, request: VenueRequest) => unknown,
  ): VenueReply {
    if (this.isStruck("throttle")) return this.#tooMany(1);
    const form = new URLSearchParams(`${queryOf(request)}&${request.body}`);
    const fields: Fields = Object.fromEntries(form);
    const weight = weigh(route, fields);
    const now = performance.now();
    const isEarly = now - this.#lastRequest < this.#limits.interval;
    this.#lastRequest = now;
    this.charge(weight);
    if (isEarly || this.#weight.used > this.#limits.weight) {
      const seconds = isEarly ? 1 : Math.ceil((MINUTE - this.now % MINUTE) / 1_000);
      return this.#tooMany(seconds);
    }
    const told = orRefusal(() => answer(fields, request));
    if (told.status === 200 && FREE.test(route)) this.charge(-weight);
    const used = String(this.#weight.used);
    Object.assign(told.headers, { "x-mbx-used-weight": used, "x-mbx-used-weight-1m": used });
    return told;
  }

  #tooMany(seconds: number): VenueReply {
    const used = String(this.#weight.used);
    const headers = { "retry-after": String(seconds), "x-mbx-used-weight-1m": used };
    return reply(429, { code: -1003, msg: "Too much request weight used." }, headers);
  }

  /** Takes an order, unless it is to be lost. */
  #order(place: () => unknown): unknown {
    const loss = this.takeLoss();
    const lost = refuse(
      new Refusal(-1007, "Timeout waiting for response from backend server."),
      503,
    );
    if (loss === "order") return lost;
    try {
      const placed = place();
      this.stats.orders++;
      this.stats.executed++;
      return loss ? lost : placed;
    } catch (error) {
      // What a filter refuses never reaches the matching engine.
      if (error instanceof Refusal && error.code === -2010) this.stats.orders++;
      throw error;
    }
  }

  #snapshot(symbol = "", limit = "100"): ReturnType<NumberedMarket["snapshot"]> {
    const book = this.#books.get(symbol);
    if (!book) throw new Refusal(-1121, "Invalid symbol.");
    return book.snapshot(Number(limit));
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
    for (const user of this.users) for (const it of events) user.publish(it);
  }

  #publishDepth(symbol: string, event: DepthEvent | undefined): void {
    if (!event) return;
    const name = `${symbol.toLowerCase()}@depth`;
    const streams = [name, `${name}@100ms`];
    const isHeard = this.followers.some(({ held }) => streams.some((it) => held.has(it)));
    if (isHeard && this.isStruck("corrupt")) {
      this.stats.withheld++;
      return;
    }
    const data = { e: "depthUpdate", E: this.now, s: symbol, ...event };
    for (const stream of streams) this.#publish(stream, data);
  }

  #publishTrade(book: NumberedMarket, print: Print): void {
    const { symbol } = book.market.instrument;
    const [p, q] = book.level(print);
    const [E, m] = [this.now, print.side === "sell"];
    const data = { e: "trade", E, s: symbol, t: print.id, p, q, T: E, m, M: true };
    this.#publish(`${symbol.toLowerCase()}@trade`, data);
  }

  #publish(stream: string, data: object): void {
    for (const client of this.followers) if (client.held.has(stream)) send(client, stream, data);
  }

  /** Says nothing: the client has to begin. */
  #open(client: FeedClient): void {
    if (!client.path.startsWith("/ws-api")) return;
    const charge = (weight: number) => this.charge(weight);
    const user = new UserSocket({ api: this.api, now: () => this.now, client, charge });
    this.#users.set(client, user);
  }

  /** Answers requests, as many as are allowed. */
  #hear(frame: VenueFrame, client: FeedClient): void {
    const user = this.#users.get(client);
    if (user) return user.receive(String(frame));
    const since = Date.now() - 1_000;
    const recent = this.venue.feed.frames.filter((it) => it.client === client && it.at > since);
    if (recent.length > MOST_MESSAGES) return client.close(1008, "Too many requests");
    let request;
    try {
      request = JSON.parse(String(frame));
    } catch {
      return client.send(`{"error":{"code":3,"msg":"Invalid JSON"}}`);
    }
    const { method, params = [], id } = Object(request);
    const { held } = client;
    const broken = STREAM_RULES.find(({ isBroken }) => isBroken({ method, params, held }));
    const msg = `Invalid request: ${broken?.words}`;
    if (broken) return client.send({ error: { code: 2, msg }, id });
    if (method === "LIST_SUBSCRIPTIONS") return client.send({ result: [...held], id });
    for (const name of params) held[method === "SUBSCRIBE" ? "add" : "delete"](name);
    client.send({ result: null, id });
  }
}

/** Sends an event in the manner of the client's address. */
function send(client: FeedClient, stream: string, data: object): void {
  client.send(client.path.startsWith("/stream") ? { stream, data } : data);
}

/** The query as it was sent, which is what was signed. */
function queryOf({ target, path }: VenueRequest): string {
  return target.slice(path.length + 1);
}

/** Answers, or tells the refusal. */
function orRefusal(answer: () => unknown): VenueReply {
  try {
    const value = answer();
    return value instanceof VenueReply ? value : reply(200, value);
  } catch (error) {
    if (error instanceof Refusal) return refuse(error);
    throw error;
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

function refuse({ code, message: msg }: Refusal, status = STATUSES[code] ?? 400): VenueReply {
  return reply(status, { code, msg });
}

/** Statuses of refusals, where they are not 400. */
const STATUSES: Readonly<Record<number, number>> = { [-2014]: 401, [-2015]: 401, [-2021]: 409 };
