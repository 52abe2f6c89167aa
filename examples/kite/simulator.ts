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

import {
  type FeedClient,
  type Handler,
  reply,
  type VenueFrame,
  VenueReply,
  type VenueRequest,
} from "@aio-trader/core/testing";
import { ServedVenue } from "../served_venue.ts";
import { Simulator, type SimulatorOptions } from "../simulator.ts";
import type { KiteAccess, KiteLogin } from "./account.ts";
import { Desk } from "./desk.ts";
import { GttDesk } from "./gtt_desk.ts";
import { encodeFrame, INSTRUMENTS, Listing } from "./listing.ts";
import { candles, list, quotes } from "./reports.ts";
import { FUNDS, Refusal } from "./rules.ts";
import type { KiteMode } from "./ticks.ts";

/** Options of {@linkcode KiteSimulator}. */
export interface KiteSimulatorOptions extends SimulatorOptions {
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

type Limit = keyof typeof LIMITS;

/** One frame of so many holds a packet of an unknown kind. */
const NOVELTY = 16;

/** The venue. Its REST is at the root, and so is its WebSocket. */
export class KiteSimulator extends Simulator<ServedVenue> {
  /** The instruments, by token. */
  readonly listings: ReadonlyMap<number, Listing>;
  /** Where the orders go. */
  readonly desk: Desk;
  /** Where the triggers go. */
  readonly gtts: GttDesk;
  /** What has happened so far. */
  readonly stats: ServedVenue["stats"] = this.venue.stats;
  readonly #limited: boolean;
  readonly #restInterval: number;
  #nextRequest = 0;
  /** When requests came, by the limit that each counts against. */
  readonly #starts = new Map<Limit, number[]>();
  readonly #app = { apiKey: "simulated-key", apiSecret: "simulated-secret" };
  #requestToken: string | undefined;
  #accessToken: string;
  #frames = 0;

  /**
   * Opens the venue.
   *
   * @param options The seed, the speed and the faults.
   */
  constructor(options: KiteSimulatorOptions = {}) {
    super(new ServedVenue(), options);
    const { seed = 1, heartbeat = 2_000, limited = true, restInterval = 0 } = options;
    this.#limited = limited;
    this.#restInterval = restInterval;
    this.#accessToken = this.#token();
    this.listings = new Map(
      INSTRUMENTS.map((it, i) => [it.token, new Listing(it, seed * 1_000 + i)]),
    );
    const listings = [...this.listings.values()];
    const { feed } = this.venue;
    this.desk = new Desk(listings, seed, (data) => feed.send({ type: "order", data }));
    this.gtts = new GttDesk(this.desk, listings);
    this.#serve(listings);
    feed.onUpgrade(({ path }) => this.#admit(path));
    feed.onOpen((client) => client.send(HEARTBEAT));
    feed.on((frame, client) => this.#hear(frame, client));
    this.every(100, () => this.desk.expire());
    this.every(heartbeat, () => feed.send(HEARTBEAT));
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

  /** Ends every login, as the venue does each morning. */
  expire(): void {
    this.#accessToken = this.#token();
  }

  /** Lets something happen in about half of the markets, and tells those who subscribed. */
  override step(): void {
    const moved = [...this.listings.values()].filter(() => this.random() < 0.5);
    for (const listing of moved) {
      listing.step();
      this.desk.match(listing);
      this.gtts.match(listing);
    }
    for (const client of this.followers) this.#publish(client, moved);
  }

  #serve(listings: readonly Listing[]): void {
    const { desk, gtts } = this;
    const on = (route: string, answer: Handler, limits: readonly Limit[] = ["rest"]) =>
      this.venue.on(route, (request) => this.#answer(request, answer, limits));
    on("*", () => {
      throw new Refusal("GeneralException", "Route not found", 404);
    });
    on("POST /session/token", (request) => this.#login(request.form()));
    on("GET /user/profile", () => PROFILE);
    on("GET /user/margins", () => MARGINS);
    on("GET /user/margins/:segment", ({ params }) => marginOf(params.segment));
    on("GET /portfolio/holdings", () => HOLDINGS);
    on("GET /portfolio/positions", () => {
      const net = desk.positions();
      return { net, day: net };
    });
    on("GET /trades", () => desk.trades);
    on("GET /orders", () => desk.orders);
    on("GET /orders/:id", ({ params }) => desk.history(params.id));
    on("GET /orders/:id/trades", ({ params: { id } }) => {
      desk.history(id); // refuses an order that does not exist
      return desk.trades.filter(({ order_id }) => order_id === id);
    });
    const place: Handler = ({ params, form }) => {
      const loss = this.takeLoss();
      if (loss === "order") throw TIMED_OUT;
      const placed = desk.place(params.variety, form());
      if (loss === "answer") throw TIMED_OUT;
      return placed;
    };
    on("POST /orders/:variety", place, ["orders", "placements"]);
    const modify: Handler = ({ params, form }) => desk.modify(params.id, form());
    on("PUT /orders/:variety/:id", modify, ["orders"]);
    on("DELETE /orders/:variety/:id", ({ params }) => desk.cancel(params.id), ["orders"]);
    const trigger = ({ params }: VenueRequest) => gtts.get(Number(params.id));
    on("GET /gtt/triggers", () => gtts.triggers);
    on("POST /gtt/triggers", ({ form }) => gtts.place(form()));
    on("GET /gtt/triggers/:id", trigger);
    on("PUT /gtt/triggers/:id", (asked) => gtts.place(asked.form(), trigger(asked).id));
    on("DELETE /gtt/triggers/:id", ({ params }) => gtts.cancel(Number(params.id)));
    const quote: Handler = ({ query, params }) => quotes(listings, query.getAll("i"), params.kind);
    on("GET /quote", quote, ["quotes"]);
    on("GET /quote/:kind", quote, ["quotes"]);
    const lines: Handler = ({ params }) => list(listings, params.exchange);
    on("GET /instruments", lines);
    on("GET /instruments/:exchange", lines);
    on("GET /instruments/historical/:token/:interval", ({ params, query }) => ({
      candles: candles(this.listings.get(Number(params.token)), params.interval, query),
    }), ["history"]);
  }

  /** Answers in the venue's envelope, if the limits and the login allow it. */
  async #answer(
    request: VenueRequest,
    answer: Handler,
    limits: readonly Limit[],
  ): Promise<VenueReply> {
    try {
      if (this.isStruck("throttle") || !this.#admits(limits)) throw TOO_MANY;
      const { apiKey, accessToken } = this.access;
      const isKnown = request.headers.get("authorization") === `token ${apiKey}:${accessToken}`;
      if (!isKnown && !request.path.startsWith("/session/")) throw NO_LOGIN;
      const data = await answer(request);
      return data instanceof VenueReply ? data : reply(200, { status: "success", data });
    } catch (error) {
      if (error instanceof Refusal) return refuse(error);
      throw error;
    }
  }

  #admit(path: string): VenueReply | undefined {
    const { searchParams } = new URL(path, this.wsUrl);
    const { apiKey, accessToken } = this.access;
    const isKnown = searchParams.get("api_key") === apiKey &&
      searchParams.get("access_token") === accessToken;
    return isKnown ? undefined : refuse(NO_LOGIN);
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
  #admits(kinds: readonly Limit[]): boolean {
    const now = performance.now();
    if (now < this.#nextRequest) return false;
    this.#nextRequest = now + this.#restInterval;
    const startsOf = (kind: Limit) => {
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

  /** Obeys, and answers with nothing but ticks. A frame without sense gets an error in text. */
  #hear(frame: VenueFrame, client: FeedClient): void {
    let asked: { a?: unknown; v?: unknown };
    try {
      asked = Object(JSON.parse(String(frame)));
    } catch {
      asked = {};
    }
    const { a, v } = asked;
    if (a === "mode" && Array.isArray(v) && MODES.includes(v[0]) && Array.isArray(v[1])) {
      return this.#subscribe(client, v[1].filter((token) => modeOf(client, token)), v[0]);
    }
    if (a === "subscribe" && Array.isArray(v)) return this.#subscribe(client, v, "quote");
    if (a !== "unsubscribe" || !Array.isArray(v)) {
      return client.send({ type: "error", data: "Invalid message" });
    }
    for (const token of v) client.held.delete(`${modeOf(client, token)} ${token}`);
  }

  /** A token that the venue does not know is ignored; one that it knows is told at once. */
  #subscribe(client: FeedClient, tokens: readonly number[], mode: KiteMode): void {
    const known = tokens.flatMap((token) => this.listings.get(token) ?? []);
    for (const { instrument: { token } } of known) {
      client.held.delete(`${modeOf(client, token)} ${token}`);
      client.held.add(`${mode} ${token}`);
    }
    this.#publish(client, known);
  }

  /** Sends ticks, of instruments that are subscribed to. */
  #publish(client: FeedClient, listings: readonly Listing[]): void {
    const packets = listings.flatMap((listing) => {
      const mode = modeOf(client, listing.instrument.token);
      return mode ? [listing.packet(mode)] : [];
    });
    if (packets.length === 0) return;
    this.#frames++;
    if (this.#frames % NOVELTY === 0) packets.splice(packets.length >> 1, 0, new Uint8Array(12));
    const frame = new Uint8Array(encodeFrame(packets));
    client.send(this.isStruck("corrupt") ? frame.slice(0, -3) : frame);
  }

  #token(): string {
    const random = () => Math.floor(this.random() * 36 ** 6).toString(36).padStart(6, "0");
    return random() + random();
  }
}

/** Says that all is well, in one byte. */
const HEARTBEAT = new Uint8Array(1);

const MODES: readonly KiteMode[] = ["ltp", "quote", "full"];

/** The venue does not say when to come again. */
const TOO_MANY = new Refusal("NetworkException", "Too many requests", 429);

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

/** The mode in which a client holds an instrument: `"full 408065"` is a subscription. */
function modeOf({ held }: FeedClient, token: number): KiteMode | undefined {
  return MODES.find((mode) => held.has(`${mode} ${token}`));
}

function refuse({ type, message, status }: Refusal): VenueReply {
  return reply(status, { status: "error", message, data: null, error_type: type });
}

async function sha256(text: string): Promise<string> {
  const hash = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text));
  return Array.from(new Uint8Array(hash), (byte) => byte.toString(16).padStart(2, "0")).join("");
}
