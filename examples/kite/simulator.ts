/**
 * A Kite on 127.0.0.1: its login, its REST and its ticks, over synthetic markets, with faults.
 *
 * It speaks as the venue does: a login whose checksum is verified, with a request token for one use;
 * envelopes with `error_type`; 429 without Retry-After to those who are too fast; binary frames
 * of all kinds of packets for every segment, and now and then of an unknown kind; a heartbeat
 * of one byte; no answer to a subscription; orders that trade, and updates of them as text. The
 * refusals are a table: `rules.ts`.
 *
 * @module
 */

import { Connection, type LoopbackOptions, LoopbackVenue } from "../loopback.ts";
import { seeded } from "../market.ts";
import type { KiteAccess, KiteLogin, KiteOrder } from "./account.ts";
import { Desk } from "./desk.ts";
import { GttDesk } from "./gtt_desk.ts";
import { encodeFrame, INSTRUMENTS, Listing } from "./listing.ts";
import { candles, list, quotes } from "./reports.ts";
import { FUNDS, Refusal } from "./rules.ts";
import type { KiteMode } from "./ticks.ts";

/** Options of {@linkcode KiteSimulator}. */
export interface KiteSimulatorOptions extends LoopbackOptions {
  /**
   * Time between two heartbeats, in milliseconds.
   *
   * @default {2_000}
   */
  readonly heartbeat?: number;
  /**
   * Whether more requests than the venue allows are refused.
   *
   * @default {true}
   */
  readonly limited?: boolean;
  /**
   * Time from one REST request to the next that is not answered with 429, in milliseconds, beside
   * the venue's limits. `0`: none.
   *
   * @default {0}
   */
  readonly restInterval?: number;
}

/**
 * The venue's limits: requests per milliseconds. Source: kite.trade/docs/connect/v3/exceptions,
 * "API rate limit".
 */
const LIMITS = {
  quotes: [[1, 1_000]],
  history: [[3, 1_000]],
  orders: [[10, 1_000], [400, 60_000]],
  placements: [[5_000, 86_400_000]],
  rest: [[10, 1_000]],
} as const;

/** How many of them have to be remembered. */
const MOST_STARTS = 5_000;

/** A request, taken apart. */
interface Asked {
  readonly method: string;
  readonly path: readonly string[];
  readonly query: URLSearchParams;
  readonly form: URLSearchParams;
}

/** One frame of so many holds a packet of an unknown kind. */
const NOVELTY = 16;

/** The venue. Its REST is at the root, and so is its WebSocket. */
export class KiteSimulator extends LoopbackVenue<KiteConnection> {
  /** The instruments, by token. */
  readonly listings: ReadonlyMap<number, Listing>;
  /** Where the orders go. */
  readonly desk: Desk;
  /** Where the triggers go. */
  readonly gtts: GttDesk;
  readonly #random: () => number;
  readonly #limited: boolean;
  readonly #restInterval: number;
  #nextRequest = 0;
  /** When requests came, by the limit that each counts against. */
  readonly #starts = new Map<keyof typeof LIMITS, number[]>();
  readonly #app = { apiKey: "simulated-key", apiSecret: "simulated-secret" };
  /** The fates of the next orders. */
  readonly #losses: ("answer" | "order")[] = [];
  #requestToken: string | undefined;
  #accessToken: string;
  #cuts = 0;

  /**
   * Opens the venue.
   *
   * @param options The seed, the speed and the faults.
   */
  constructor(options: KiteSimulatorOptions = {}) {
    super(options);
    const { seed = 1, heartbeat = 2_000, limited = true, restInterval = 0 } = options;
    this.#random = seeded(seed);
    this.#limited = limited;
    this.#restInterval = restInterval;
    this.#accessToken = this.#token();
    this.listings = new Map(
      INSTRUMENTS.map((it, i) => [it.token, new Listing(it, seed * 1_000 + i)]),
    );
    const listings = [...this.listings.values()];
    this.desk = new Desk(listings, seed, (order) => this.#tell(order));
    this.gtts = new GttDesk(this.desk, listings);
    this.every(100, () => this.desk.expire());
    this.every(heartbeat, () => {
      for (const connection of this.connections) connection.greet();
    });
  }

  /** A login of this day: `broker.authorize(venue.login)`. */
  get login(): KiteAccess {
    return this.access;
  }

  /** The same login, under the name that a broker gives it. */
  get access(): KiteAccess {
    return { apiKey: this.#app.apiKey, accessToken: this.#accessToken };
  }

  /** Gives a request token, as the login page does. It is good for one login. */
  grant(): Exclude<KiteLogin, KiteAccess> {
    this.#requestToken = this.#token();
    return { ...this.#app, requestToken: this.#requestToken };
  }

  /** Executes the next order, and answers that it has timed out. */
  loseAnswer(): void {
    this.#losses.push("answer");
  }

  /** Does not execute the next order, and answers that it has timed out. */
  loseOrder(): void {
    this.#losses.push("order");
  }

  /** Ends every login, as the venue does each morning. */
  expire(): void {
    this.#accessToken = this.#token();
  }

  /** Lets something happen in about half of the markets, and tells those who subscribed. */
  override step(): void {
    const moved = [...this.listings.values()].filter(() => this.#random() < 0.5);
    for (const listing of moved) {
      listing.step();
      this.desk.match(listing);
      this.gtts.match(listing);
    }
    for (const connection of this.connections) connection.publish(moved);
  }

  /** Cuts a frame short if `corrupt` has struck. */
  cut(frame: ArrayBuffer): ArrayBuffer {
    if (this.#cuts === 0) return frame;
    this.#cuts--;
    return frame.slice(0, -3);
  }

  protected override corrupt(): void {
    this.#cuts++;
  }

  protected override admit(request: Request): Response | undefined {
    const { searchParams } = new URL(request.url);
    const { apiKey, accessToken } = this.access;
    const isKnown = searchParams.get("api_key") === apiKey &&
      searchParams.get("access_token") === accessToken;
    return isKnown ? undefined : refuse(NO_LOGIN);
  }

  protected override connect(socket: WebSocket): KiteConnection {
    return new KiteConnection(socket, this);
  }

  /** The venue does not say when to come again. */
  protected override tooMany(): Response {
    return refuse(new Refusal("NetworkException", "Too many requests", 429));
  }

  protected override async respond(request: Request): Promise<Response> {
    const { pathname, searchParams: query } = new URL(request.url);
    const path = pathname.slice(1).split("/").map(decodeURIComponent);
    const form = new URLSearchParams(await request.text());
    const asked = { method: request.method, path, query, form };
    try {
      if (!this.#admits(limitsOf(asked))) {
        this.stats.throttled++;
        return this.tooMany();
      }
      const { apiKey, accessToken } = this.access;
      const isKnown = request.headers.get("authorization") === `token ${apiKey}:${accessToken}`;
      if (!isKnown && path[0] !== "session") throw NO_LOGIN;
      const loss = asked.method === "POST" && path[0] === "orders"
        ? this.#losses.shift()
        : undefined;
      if (loss === "order") throw TIMED_OUT;
      const data = await this.#answer(asked);
      if (loss === "answer") throw TIMED_OUT;
      return data instanceof Response ? data : Response.json({ status: "success", data });
    } catch (error) {
      if (error instanceof Refusal) return refuse(error);
      throw error;
    }
  }

  #answer({ method, path: [first, second, third, fourth], query, form }: Asked): unknown {
    const { desk, gtts } = this;
    const listings = [...this.listings.values()];
    switch (`${method} ${first}`) {
      case "POST session":
        return this.#login(form);
      case "GET user":
        return second === "profile" ? PROFILE : third ? marginOf(third) : MARGINS;
      case "GET portfolio":
        return second === "holdings" ? HOLDINGS : { net: desk.positions(), day: desk.positions() };
      case "GET trades":
        return desk.trades;
      case "GET orders":
        return second === undefined ? desk.orders : this.#order(second, third);
      case "POST orders":
        return desk.place(second, form);
      case "PUT orders":
        return desk.modify(third, form);
      case "DELETE orders":
        return desk.cancel(third);
      case "GET gtt":
        return third === undefined ? gtts.triggers : gtts.get(Number(third));
      case "POST gtt":
        return gtts.place(form);
      case "PUT gtt":
        return gtts.place(form, gtts.get(Number(third)).id);
      case "DELETE gtt":
        return gtts.cancel(Number(third));
      case "GET quote":
        return quotes(listings, query.getAll("i"), second);
      case "GET instruments":
        return second === "historical"
          ? { candles: candles(this.listings.get(Number(third)), fourth, query) }
          : list(listings, second);
    }
    throw new Refusal("GeneralException", "Route not found", 404);
  }

  /** The states of an order, or its trades. */
  #order(id: string, what: string | undefined): unknown {
    const history = this.desk.history(id);
    return what === "trades" ? this.desk.trades.filter((it) => it.order_id === id) : history;
  }

  async #login(form: URLSearchParams): Promise<unknown> {
    const { apiKey, apiSecret } = this.#app;
    const requestToken = this.#requestToken;
    if (!requestToken || form.get("request_token") !== requestToken) {
      throw new Refusal("TokenException", "Token is invalid or has expired.", 403);
    }
    if (form.get("checksum") !== await sha256(apiKey + requestToken + apiSecret)) {
      throw new Refusal("TokenException", "Invalid `checksum`.", 403);
    }
    this.#requestToken = undefined;
    return { ...PROFILE, api_key: apiKey, access_token: this.#accessToken };
  }

  /** Whether one more request is within the venue's limits, all of those that it counts against. */
  #admits(kinds: readonly (keyof typeof LIMITS)[]): boolean {
    const now = performance.now();
    if (now < this.#nextRequest) return false;
    this.#nextRequest = now + this.#restInterval;
    const startsOf = (kind: keyof typeof LIMITS) => {
      const starts = this.#starts.get(kind) ?? [];
      this.#starts.set(kind, starts);
      return starts;
    };
    const isFree = kinds.every((kind) =>
      LIMITS[kind].every(([limit, period]) => !(now - startsOf(kind).at(-limit)! < period))
    );
    if (!isFree) return !this.#limited;
    for (const kind of kinds) {
      const starts = startsOf(kind);
      if (starts.push(now) > MOST_STARTS) starts.shift();
    }
    return true;
  }

  #tell(order: KiteOrder): void {
    const frame = JSON.stringify({ type: "order", data: order });
    for (const connection of this.connections) connection.send(frame);
  }

  #token(): string {
    const random = () => Math.floor(this.#random() * 36 ** 6).toString(36).padStart(6, "0");
    return random() + random();
  }
}

/** One client of the simulator. */
export class KiteConnection extends Connection {
  /** The client's subscriptions: modes by token. */
  readonly subscriptions: Map<number, KiteMode> = new Map();
  readonly #venue: KiteSimulator;
  #frames = 0;

  /**
   * Takes on a client.
   *
   * @param socket The venue's end.
   * @param venue The venue.
   */
  constructor(socket: WebSocket, venue: KiteSimulator) {
    super(socket);
    this.#venue = venue;
  }

  /** Whether there is a subscription. */
  override get subscribed(): boolean {
    return this.subscriptions.size > 0;
  }

  /** Says that all is well, in one byte. */
  override greet(): void {
    this.send(new ArrayBuffer(1));
  }

  /** Obeys, and answers with nothing but ticks. A frame without sense gets an error in text. */
  override receive(frame: string | ArrayBuffer): void {
    let asked: { a?: unknown; v?: unknown };
    try {
      asked = Object(JSON.parse(String(frame)));
    } catch {
      asked = {};
    }
    const { a, v } = asked;
    if (a === "mode" && Array.isArray(v) && MODES.includes(v[0]) && Array.isArray(v[1])) {
      return this.#subscribe(v[1].filter((token) => this.subscriptions.has(token)), v[0]);
    }
    if (a === "subscribe" && Array.isArray(v)) return this.#subscribe(v, "quote");
    if (a === "unsubscribe" && Array.isArray(v)) {
      for (const token of v) this.subscriptions.delete(token);
      return;
    }
    this.send(JSON.stringify({ type: "error", data: "Invalid message" }));
  }

  /**
   * Sends ticks.
   *
   * @param listings Of which instruments; of those that are not subscribed to, none is sent.
   */
  publish(listings: readonly Listing[]): void {
    const wanted = listings.filter(({ instrument }) => this.subscriptions.has(instrument.token));
    if (wanted.length === 0) return;
    const packets = wanted.map((it) => it.packet(this.subscriptions.get(it.instrument.token)!));
    this.#frames++;
    if (this.#frames % NOVELTY === 0) packets.splice(packets.length >> 1, 0, new Uint8Array(12));
    this.send(this.#venue.cut(encodeFrame(packets)));
  }

  /** A token that the venue does not know is ignored; one that it knows is told at once. */
  #subscribe(tokens: readonly number[], mode: KiteMode): void {
    const known = tokens.flatMap((token) => this.#venue.listings.get(token) ?? []);
    for (const { instrument } of known) this.subscriptions.set(instrument.token, mode);
    this.publish(known);
  }
}

const MODES: readonly unknown[] = ["ltp", "quote", "full"];

const NO_LOGIN = new Refusal("TokenException", "Incorrect `api_key` or `access_token`.", 403);

/** The venue's words behind which the order may stand. Source: kite.trade/forum/discussion/35732. */
const TIMED_OUT = new Refusal(
  "OrderException",
  "Order request timed out. Please check the order book and confirm before placing again.",
);

const PROFILE = {
  user_id: "SIM001",
  user_name: "Simulated User",
  exchanges: [...new Set(INSTRUMENTS.map(({ exchange }) => exchange))],
};

const MARGINS = {
  equity: { enabled: true, net: FUNDS },
  commodity: { enabled: true, net: 0 },
};

const HOLDINGS = [{
  exchange: "NSE",
  tradingsymbol: "INFY",
  product: "CNC",
  quantity: 10,
  average_price: 1_450.5,
  last_price: 1_500.6,
  pnl: 501,
}];

function marginOf(segment: string): unknown {
  if (segment in MARGINS) return MARGINS[segment as keyof typeof MARGINS];
  throw new Refusal("InputException", "Invalid `segment`.");
}

function limitsOf({ method, path: [first, second] }: Asked): (keyof typeof LIMITS)[] {
  if (first === "quote") return ["quotes"];
  if (first === "instruments" && second === "historical") return ["history"];
  if (first !== "orders" || method === "GET") return ["rest"];
  return method === "POST" ? ["orders", "placements"] : ["orders"];
}

function refuse({ type, message, status }: Refusal): Response {
  const body = { status: "error", message, data: null, error_type: type };
  return Response.json(body, { status });
}

async function sha256(text: string): Promise<string> {
  const hash = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text));
  return Array.from(new Uint8Array(hash), (byte) => byte.toString(16).padStart(2, "0")).join("");
}
