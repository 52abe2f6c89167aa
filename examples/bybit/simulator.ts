/**
 * A Bybit on 127.0.0.1: its API v5 by REST and over the sockets, on the venue for tests of the
 * library, over a synthetic market, with faults.
 *
 * @module
 */

import {
  type FeedClient,
  LoopbackVenue,
  reply,
  type VenueFrame,
  type VenueRequest,
} from "@aio-trader/core/testing";
import type { Sides } from "../levels.ts";
import { type Instrument, Market } from "../market.ts";
import { Simulator, type SimulatorOptions } from "../simulator.ts";
import type { BybitCategory } from "./account.ts";
import { Desk, type DeskEvent } from "./desk.ts";
import { PublicTopics } from "./public_topics.ts";
import { judge, Refusal, REQUEST_RULES, TOPIC_RULES } from "./rules.ts";
import { type BybitLogin, BybitSigner } from "./signature.ts";

/** What the simulator trades. */
export const INSTRUMENTS: readonly Instrument[] = [
  { symbol: "BTCUSDT", price: 294_302, priceDecimals: 1, qtyDecimals: 6, size: 500_000 },
  { symbol: "ETHUSDT", price: 187_345, priceDecimals: 2, qtyDecimals: 5, size: 400_000 },
];

/** The key of the simulator's account. It opens nothing else. */
export const LOGIN: BybitLogin = { key: "LOOPBACK-KEY", secret: "loopback-secret" };

/** Options of {@linkcode BybitSimulator}. */
export interface BybitSimulatorOptions extends SimulatorOptions {
  /** What is traded. @default {"spot"} */
  readonly category?: BybitCategory;
  /** The key that may trade. @default {LOGIN} */
  readonly login?: BybitLogin;
  /** The venue's time, in epoch milliseconds. @default {Date.now} */
  readonly now?: () => number;
  /** Requests of one path in a second. `Infinity` refuses none. @default {10} */
  readonly limit?: number;
}

/** The private topics. */
const PRIVATE: ReadonlySet<string> = new Set(["order", "execution", "wallet"]);

/**
 * Bybit, simulated. `loseAnswer()` and `loseOrder()` strike the next change over the trade socket,
 * whose connection is reset.
 */
export class BybitSimulator extends Simulator<LoopbackVenue> {
  /** The account. */
  readonly desk: Desk;
  /** The market of each symbol. */
  readonly markets: ReadonlyMap<string, Market>;
  /** The key that may trade here. */
  readonly login: BybitLogin;
  /** What is traded. */
  readonly category: BybitCategory;
  /** Refusals for too many requests so far, by REST and over the socket. */
  throttled = 0;
  #limit: number;
  readonly #signer: BybitSigner;
  readonly #now: () => number;
  /** When the account sent its latest requests, by path. */
  readonly #requests = new Map<string, number[]>();
  readonly #topics: PublicTopics;
  readonly #loggedIn = new WeakSet<FeedClient>();
  /** Whether the closed orders are in the history only, as after a restart. */
  #isForgetful = false;

  private constructor(venue: LoopbackVenue, signer: BybitSigner, options: BybitSimulatorOptions) {
    super(venue, options);
    const { seed = 1, category = "spot", login = LOGIN, limit = 10, now = Date.now } = options;
    this.category = category;
    this.login = login;
    this.#limit = limit;
    this.#signer = signer;
    this.#now = now;
    this.markets = new Map(INSTRUMENTS.map((it, i) => [it.symbol, new Market(it, seed + i, 60)]));
    const { markets } = this;
    this.desk = new Desk({ category, markets, now, tell: (event) => this.#tell(event) });
    const publish = (topic: string, frame: object) => {
      // The fault is a hole in the numbers of a book.
      const isLost = topic.startsWith("orderbook.50.") && this.isStruck("corrupt");
      if (!isLost) venue.feed.publish(topic, frame);
    };
    this.#topics = new PublicTopics(markets, now, publish);
    this.#serve();
    venue.feed.on((frame, client) => this.#hear(frame, client));
  }

  /**
   * Opens the venue.
   *
   * @param options The seed, the speed, the faults, and what is traded.
   * @returns The venue, which listens.
   */
  static async open(options: BybitSimulatorOptions = {}): Promise<BybitSimulator> {
    const signer = await BybitSigner.of(options.login ?? LOGIN);
    return new BybitSimulator(await LoopbackVenue.listen(), signer, options);
  }

  /** The addresses of the sockets. */
  get urls(): { public: string; private: string; trade: string } {
    const v5 = `${this.venue.wsUrl}v5`;
    return {
      public: `${v5}/public/${this.category}`,
      private: `${v5}/private`,
      trade: `${v5}/trade`,
    };
  }

  /** Clients that hear public topics now. */
  override get followers(): FeedClient[] {
    return super.followers.filter(({ path }) => path.includes("/public/"));
  }

  /** Lets one or a few things happen in every market, and sends the changes. */
  override step(): void {
    for (const market of this.markets.values()) {
      this.#topics.tell(market, market.steps(this.random));
    }
    for (const order of this.desk.open) this.desk.match(order);
  }

  /** Keeps closed orders in the history only, as after a restart of the venue. */
  forget(): void {
    this.#isForgetful = true;
  }

  /** Refuses nothing any more for too many requests. */
  heal(): void {
    this.#limit = Infinity;
  }

  /** Begins the numbers of a book anew, as after a restart of the venue. */
  restart(topic: string): void {
    this.#topics.restart(topic);
  }

  /** What the venue's book looks like to those who follow a topic. */
  book(topic: string): Sides {
    return this.#topics.book(topic);
  }

  #serve(): void {
    const { venue, desk } = this;
    venue.on("*", () => reply(404));
    venue.on("GET /v5/market/time", () => ({ retCode: 0, retMsg: "OK", time: this.#now() }));
    const on = (route: string, answer: (form: Record<string, string>) => unknown) =>
      venue.on(route, (request) => this.#answer(request, answer));
    on("POST /v5/order/create", (form) => desk.create(form));
    on("POST /v5/order/amend", (form) => desk.amend(form));
    on("POST /v5/order/cancel", (form) => desk.cancel(form));
    on("POST /v5/order/cancel-all", ({ symbol }) => {
      const open = desk.open.filter(({ market }) => !symbol || market.instrument.symbol === symbol);
      return { list: open.map(({ orderId }) => desk.cancel({ orderId })) };
    });
    on("GET /v5/order/realtime", (form) => this.#orders(form, !form.orderId && !form.orderLinkId));
    on("GET /v5/order/history", (form) => this.#orders(form, undefined));
    on(
      "GET /v5/execution/list",
      ({ startTime = 0, ...form }) =>
        page(form, desk.fills.filter(({ execTime }) => execTime >= String(startTime)).toReversed()),
    );
    on("GET /v5/account/wallet-balance", () => ({ list: [desk.wallet()] }));
  }

  /** Orders: of the history those that are closed, else by `openOnly`, or by name in any state. */
  #orders(form: Record<string, string>, isByState: boolean | undefined): unknown {
    const { orderId, orderLinkId, startTime = 0, openOnly = "0", symbol } = form;
    const isHistory = isByState === undefined;
    const rows = [...this.desk.orders.values()].filter((order) => {
      if (orderId && order.orderId !== orderId) return false;
      if (orderLinkId && order.orderLinkId !== orderLinkId) return false;
      if (symbol && order.market.instrument.symbol !== symbol) return false;
      if (isHistory) return !order.isOpen && order.createdTime >= Number(startTime);
      if (!order.isOpen && this.#isForgetful) return false;
      return !isByState || order.isOpen === (openOnly === "0");
    });
    return page(form, rows.toReversed().map((order) => this.desk.rowOf(order)));
  }

  /** Judges a signed request, and answers it in the venue's envelope. */
  async #answer(
    { method, path, headers, query, body, json }: VenueRequest,
    answer: (form: Record<string, string>) => unknown,
  ): Promise<unknown> {
    const key = headers.get("x-bapi-api-key") ?? "";
    const timestamp = headers.get("x-bapi-timestamp") ?? "";
    const recvWindow = headers.get("x-bapi-recv-window") ?? "5000";
    const payload = `${timestamp}${key}${recvWindow}${method === "GET" ? query : body}`;
    const isSigned = headers.get("x-bapi-sign") === await this.#signer.sign(payload);
    const form = method === "GET" ? Object.fromEntries(query) : json();
    const envelope = { retExtInfo: {}, time: this.#now() };
    const isThrottled = this.isStruck("throttle");
    const signed = { key, isSigned, timestamp, recvWindow, isThrottled };
    const { limits, result } = this.#judge(path, signed, () => answer(form));
    return reply(200, { ...result, ...envelope }, limits);
  }

  #judge(
    path: string,
    { key, isSigned, timestamp, recvWindow, isThrottled }: Signed,
    answer: () => unknown,
  ): { limits: Record<string, string>; result: Record<string, unknown> } {
    const now = this.#now();
    const limit = this.#limit;
    const recent = (this.#requests.get(path) ?? []).filter((at) => at > now - 1_000);
    const left = isThrottled ? 0 : limit - recent.length;
    const reset = left > 0 ? now : (recent[0] ?? now) + 1_000;
    const limits = {
      "x-bapi-limit": String(limit),
      "x-bapi-limit-status": String(Math.max(0, left - 1)),
      "x-bapi-limit-reset-timestamp": String(reset),
    };
    try {
      const times = { timestamp: Number(timestamp), recvWindow: Number(recvWindow), now };
      const isKnown = key === this.login.key;
      judge(REQUEST_RULES, { isKnown, isSigned, ...times, left }, this.category);
      this.#requests.set(path, [...recent, now]);
      return { limits, result: { retCode: 0, retMsg: "OK", result: answer() } };
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      if (error.code === 10006) this.throttled++;
      return { limits, result: { retCode: error.code, retMsg: error.message, result: {} } };
    }
  }

  async #hear(frame: VenueFrame, client: FeedClient): Promise<void> {
    const request = JSON.parse(String(frame));
    const { op, args = [], req_id, reqId } = request;
    const ids = { ...req_id !== undefined && { req_id }, ...reqId !== undefined && { reqId } };
    const isTrade = client.path.startsWith("/v5/trade");
    const grant = (success: boolean, why = "") =>
      client.send({ ...ids, op, success, ret_msg: why, conn_id: String(client.id) });
    if (op === "ping") {
      return client.send({ ...ids, op: "pong", success: true, ret_msg: "pong", retCode: 0 });
    }
    if (op === "auth") {
      const [key, expires, signature] = args;
      const isRight = key === this.login.key && expires > this.#now() &&
        signature === await this.#signer.sign(`GET/realtime${expires}`);
      if (isRight) this.#loggedIn.add(client);
      if (!isTrade) return grant(isRight, isRight ? "" : "error:Invalid sign");
      const codes = isRight
        ? { retCode: 0, retMsg: "OK" }
        : { retCode: 10004, retMsg: "Invalid sign" };
      return client.send({ ...ids, op, ...codes, connId: String(client.id) });
    }
    if (isTrade) return this.#trade(request, client);
    if (op === "unsubscribe") {
      for (const topic of args) client.held.delete(topic);
      return grant(true);
    }
    if (op !== "subscribe") return grant(false, "error:unknown op");
    this.#subscribe(args, client, grant);
  }

  #subscribe(
    topics: string[],
    client: FeedClient,
    grant: (success: boolean, why?: string) => void,
  ): void {
    const path = client.path.split("/").at(-1)!.split("?")[0];
    const isLoggedIn = this.#loggedIn.has(client);
    try {
      const known = path === "private" ? PRIVATE : this.#topics.names;
      judge(TOPIC_RULES, { topics, path, known, held: client.held, isLoggedIn }, this.category);
    } catch (error) {
      return grant(false, (error as Error).message);
    }
    for (const topic of topics) client.held.add(topic);
    grant(true, "subscribe");
    for (const topic of topics) {
      const snapshot = this.#topics.snapshot(topic, "snapshot");
      if (snapshot) client.send(snapshot);
    }
  }

  /** Answers a change over the trade socket. Who is not logged in is closed. */
  #trade(request: TradeRequest, client: FeedClient): void {
    if (!this.#loggedIn.has(client)) return client.close(1008, "not logged in");
    const { op, reqId, header = {}, args: [form] } = request;
    const change = op.split(".")[1] as "create" | "amend" | "cancel";
    const isKnown = ["create", "amend", "cancel"].includes(change);
    const answer = (codes: object, limits: object = {}) =>
      client.send({ reqId, op, ...codes, header: limits, connId: String(client.id) });
    if (!isKnown || form.category !== this.category) {
      return answer({ retCode: 10404, retMsg: "op type or category is not supported" });
    }
    const loss = this.takeLoss();
    if (loss === "order") return client.reset();
    const signed = { key: this.login.key, isSigned: true, isThrottled: false };
    const { "X-BAPI-TIMESTAMP": timestamp = "", "X-BAPI-RECV-WINDOW": recvWindow = "5000" } =
      header;
    const path = `/v5/order/${change}`;
    const { limits, result: { result: data, ...codes } } = this.#judge(
      path,
      { ...signed, timestamp, recvWindow },
      () => this.desk[change](form),
    );
    if (loss) return client.reset();
    answer({ ...codes, data }, limits);
  }

  #tell({ topic, row }: DeskEvent): void {
    const creationTime = this.#now();
    this.venue.feed.publish(topic, { id: crypto.randomUUID(), topic, creationTime, data: [row] });
  }
}

/** What is known of who sent a request, and when. */
interface Signed {
  readonly key: string;
  readonly isSigned: boolean;
  readonly timestamp: string;
  readonly recvWindow: string;
  /** Whether the fault `throttle` has struck. */
  readonly isThrottled: boolean;
}

/** A frame of the trade socket. */
interface TradeRequest {
  readonly op: string;
  readonly reqId?: string;
  readonly header?: Record<string, string>;
  readonly args: Record<string, string>[];
}

/** One page: `limit` from `cursor` on. */
function page({ limit = "20", cursor = "0" }: Record<string, string>, all: unknown[]): unknown {
  const next = Number(cursor) + Number(limit);
  const nextPageCursor = next < all.length ? String(next) : "";
  return { list: all.slice(Number(cursor), next), nextPageCursor };
}
