/**
 * A Kraken on 127.0.0.1: its WebSocket v2 and its REST, over a synthetic market, with faults.
 *
 * It speaks as the venue does: status, then acks, snapshots and updates with real checksums; text
 * decimals with their trailing zeros; a connection_id beyond 2 ** 53; heartbeats once a second, and
 * only to those who subscribed; an unsupported depth and an unknown symbol refused while the socket
 * stays open; more than one REST request a second answered with 429 and Retry-After.
 *
 * @module
 */

import {
  type FeedClient,
  type Handler,
  reply,
  type VenueReply,
  type VenueRequest,
} from "@aio-trader/core/testing";
import type { Level, Sides } from "../levels.ts";
import { decimal, type Instrument, Market, type Print, type Rung } from "../market.ts";
import { ServedVenue } from "../served_venue.ts";
import { Simulator, type SimulatorOptions } from "../simulator.ts";
import { checksum } from "./book.ts";
import { Desk, Refusal } from "./desk.ts";
import { ALL_PERMISSIONS, PrivateApi } from "./private_api.ts";
import { METHODS, PrivateSocket } from "./private_socket.ts";
import { DEPTHS, type Topic, TOPIC_RULES } from "./rules.ts";
import type { KrakenLogin } from "./signature.ts";

/** An instrument, with the names that Kraken's REST has for it. */
export interface KrakenInstrument extends Instrument {
  /** Its key in REST answers, `XXBTZUSD`. */
  readonly id: string;
  /** Another name, `XBTUSD`. */
  readonly altname: string;
  /** Its name on WebSocket v1, `XBT/USD`. */
  readonly wsname: string;
}

/** What the simulator trades: one price of thousands, one of hundreds, one far below 1. */
export const INSTRUMENTS: readonly KrakenInstrument[] = [
  {
    symbol: "BTC/USD",
    id: "XXBTZUSD",
    altname: "XBTUSD",
    wsname: "XBT/USD",
    price: 294_302,
    priceDecimals: 1,
    qtyDecimals: 8,
    size: 50_000_000,
  },
  {
    symbol: "ETH/USD",
    id: "XETHZUSD",
    altname: "ETHUSD",
    wsname: "ETH/USD",
    price: 187_345,
    priceDecimals: 2,
    qtyDecimals: 8,
    size: 400_000_000,
  },
  {
    symbol: "DOGE/USD",
    id: "XDGUSD",
    altname: "XDGUSD",
    wsname: "XDG/USD",
    price: 712_345,
    priceDecimals: 7,
    qtyDecimals: 8,
    size: 50_000_000_000,
  },
];

/** The venue's own ids are about this large: far beyond what a number holds exactly. */
const FIRST_CONNECTION_ID = 12_393_906_104_898_154_338n;

/** Options of {@linkcode KrakenSimulator}. */
export interface KrakenSimulatorOptions extends SimulatorOptions {
  /**
   * Time from one REST request to the next that is not answered with 429, in milliseconds. `0`: none.
   *
   * @default {1_000}
   */
  readonly restInterval?: number;
  /**
   * Whether private calls above the venue's counter are refused.
   *
   * @default {true}
   */
  readonly limited?: boolean;
  /** The key that may trade. @default {LOGIN} */
  readonly login?: KrakenLogin;
  /** What the key may do. @default all of {@linkcode ALL_PERMISSIONS} */
  readonly permissions?: readonly string[];
}

/** The key of the simulator's account. It opens nothing else: the secret is the guide's example. */
export const LOGIN: KrakenLogin = {
  key: "LOOPBACK-KEY",
  secret:
    "kQH5HW/8p1uGOVjbgWA7FunAmGO8lsSUXNsu3eow76sz84Q18fWxnyRzBHCd3pd5nE9qa99HAZtuZuj6F1huXg==",
};

/** One client: its private side, and the depth of each book that it follows. */
interface Seat {
  readonly account: PrivateSocket;
  readonly depths: Map<string, number>;
}

/** Both sides of a book. */
type Ladder = Pick<Market, "bids" | "asks">;

const EMPTY: Ladder = { bids: [], asks: [] };

/**
 * Kraken, simulated. WebSocket at `wsUrl + "/v2"`, REST at `httpUrl + "/0/"`, public and private.
 * What is lost is answered with 503; over the socket, it ends the connection.
 */
export class KrakenSimulator extends Simulator<ServedVenue> {
  /** The market of each symbol. */
  readonly markets: ReadonlyMap<string, Market>;
  /** What has happened so far. */
  readonly stats: ServedVenue["stats"] = this.venue.stats;
  /** Whether subscriptions are refused as too fast, in words that name no request. */
  isTooFast = false;
  /** The key that may trade here: `broker.authorize(venue.login)`. */
  readonly login: KrakenLogin;
  /** The account: its balances, orders and fills. */
  readonly desk: Desk;
  /** The private REST interface. */
  readonly privateApi: PrivateApi;
  readonly #restInterval: number;
  readonly #seats = new WeakMap<FeedClient, Seat>();
  #nextRequest = 0;

  /**
   * Opens the venue.
   *
   * @param options The seed, the speed, the faults and the REST limit.
   */
  constructor(options: KrakenSimulatorOptions = {}) {
    super(new ServedVenue(), options);
    const { seed = 1, restInterval = 1_000 } = options;
    this.#restInterval = restInterval;
    const market = (it: Instrument, i: number) =>
      [it.symbol, new Market(it, seed * 1_000 + i, Math.max(...DEPTHS))] as const;
    this.markets = new Map(INSTRUMENTS.map(market));
    const { login = LOGIN, permissions = ALL_PERMISSIONS, limited = true } = options;
    this.login = login;
    const find = (pair: string) => this.markets.get(instrumentOf(pair)?.symbol ?? "");
    this.desk = new Desk(find, (event) => this.accounts.forEach((account) => account.tell(event)));
    this.privateApi = new PrivateApi(this.desk, { login, permissions, limited });
    this.#serve();
    const { feed } = this.venue;
    feed.onOpen((client) => this.#greet(client));
    feed.on((frame, client) => this.#hear(String(frame), client));
    this.every(100, () => this.privateApi.tick());
    this.every(1_000, () => {
      for (const client of this.followers) client.send(`{"channel":"heartbeat"}`);
    });
  }

  /** What the clients have asked for privately. */
  get accounts(): PrivateSocket[] {
    return this.venue.feed.clients.map((client) => this.#seats.get(client)!.account);
  }

  /** Lets one or a few things happen in every market, and sends the updates. */
  override step(): void {
    for (const market of this.markets.values()) {
      const before = { bids: [...market.bids], asks: [...market.asks] };
      this.#publish(market, before, market.steps(this.random));
    }
    for (const order of this.desk.open) this.desk.match(order);
  }

  /** What the venue's book of a symbol looks like to those who subscribed to it. */
  book(symbol: string, depth = 10): Sides {
    const market = this.markets.get(symbol)!;
    const levels = (side: readonly Rung[]) => side.slice(0, depth).map((it) => level(market, it));
    return { bids: levels(market.bids), asks: levels(market.asks) };
  }

  #serve(): void {
    const asked = (route: string, answer: Handler) =>
      this.venue.on(route, (request) => this.isStruck("throttle") ? tooFast(1) : answer(request));
    asked("POST /0/private/:call", (request) => this.#answerPrivately(request));
    const on = (call: string, answer: Handler) =>
      asked(`GET /0/public/${call}`, (request) => {
        const now = performance.now();
        if (now < this.#nextRequest) return tooFast(Math.ceil(this.#restInterval / 1_000));
        this.#nextRequest = now + this.#restInterval;
        return enveloped(() => answer(request));
      });
    asked("*", () => reply(404, { error: ["EGeneral:Unknown method"] }));
    on("Time", () => {
      const time = new Date();
      return { unixtime: Math.floor(time.getTime() / 1_000), rfc1123: time.toUTCString() };
    });
    on("AssetPairs", (request) => this.#describe(request, assetPair));
    on("Ticker", (request) => this.#describe(request, restTicker));
  }

  async #answerPrivately(request: VenueRequest): Promise<unknown> {
    const { call } = request.params;
    const loss = call === "AddOrder" ? this.takeLoss() : undefined;
    const lost = reply(503, "Service unavailable");
    if (loss === "order") return lost;
    const answer = await enveloped(() => this.privateApi.answer(request, call));
    return loss && answer.error.length === 0 ? lost : answer;
  }

  #describe(
    { query }: VenueRequest,
    describe: (instrument: KrakenInstrument, market: Market) => Record<string, unknown>,
  ): Record<string, unknown> {
    const names = query.get("pair")?.split(",") ?? INSTRUMENTS.map(({ id }) => id);
    return Object.fromEntries(names.map((name) => {
      const found = instrumentOf(name);
      if (!found) throw new Refusal("EQuery:Unknown asset pair");
      return [found.id, describe(found, this.markets.get(found.symbol)!)];
    }));
  }

  /** Tells the venue's status. */
  #greet(client: FeedClient): void {
    const account = new PrivateSocket(this.desk, this.privateApi.tokens, client);
    this.#seats.set(client, { account, depths: new Map() });
    const id = FIRST_CONNECTION_ID + BigInt(client.id - 1);
    client.send(
      `{"channel":"status","type":"update","data":[{"version":"2.0.9","system":"online",` +
        `"api_version":"v2","connection_id":${id}}]}`,
    );
  }

  /** Answers subscribe, unsubscribe, ping, and what is private. */
  #hear(frame: string, client: FeedClient): void {
    const time_in = now();
    const tell = (body: object) => client.send({ ...body, time_in, time_out: now() });
    let request;
    try {
      request = JSON.parse(frame);
    } catch {
      return tell({ error: "Malformed request", success: false });
    }
    const { method, req_id, params } = Object(request);
    if (method === "ping") return tell({ method: "pong", req_id });
    if (PrivateSocket.isPrivate(method, Object(params))) {
      const loss = METHODS.includes(method) ? this.takeLoss() : undefined;
      if (loss === "order") return client.close(1012, "Service restart");
      const { account } = this.#seats.get(client)!;
      const { reply: answer, after } = account.answer(method, Object(params));
      if (loss) return client.close(1012, "Service restart");
      tell({ method, req_id, ...answer });
      return after?.();
    }
    if (method !== "subscribe" && method !== "unsubscribe") {
      return tell({ error: "Unsupported method", method, req_id, success: false });
    }
    if (this.isTooFast) return client.send('{"Error":"Exceeded msg rate"}');
    const { symbol: symbols = [], ...rest } = Object(params);
    for (const symbol of symbols) {
      const isListed = this.markets.has(symbol);
      const isHeld = client.held.has(`${rest.channel} ${symbol}`);
      const asked = { depth: DEPTHS[0], snapshot: true, ...rest, method, symbol, isListed, isHeld };
      const error = TOPIC_RULES.find(({ isBroken }) => isBroken(asked))?.words(symbol);
      if (error) tell({ error, method, req_id, success: false, symbol });
      else this.#grant(asked, client, (result) => tell({ method, req_id, result, success: true }));
    }
  }

  /** Grants a subscription, or its end. */
  #grant(
    { method, channel, symbol, depth, snapshot }: Topic,
    client: FeedClient,
    grant: (result: object) => void,
  ): void {
    const key = `${channel} ${symbol}`;
    const result = { channel, symbol, ...channel === "book" && { depth } };
    if (method === "unsubscribe") {
      client.held.delete(key);
      return grant(result);
    }
    client.held.add(key);
    grant({ ...result, snapshot });
    const market = this.markets.get(symbol)!;
    if (channel === "book") {
      this.#seats.get(client)!.depths.set(symbol, depth);
      this.#sendBook(market, client, EMPTY);
    } else if (channel === "ticker" && snapshot) client.send(tickerFrame(market, "snapshot"));
  }

  /** Sends what a step of a market has changed. */
  #publish(market: Market, before: Ladder, prints: readonly Print[]): void {
    const { feed } = this.venue;
    const { symbol } = market.instrument;
    for (const client of this.followers) {
      if (client.held.has(`book ${symbol}`)) this.#sendBook(market, client, before);
    }
    if (prints.length === 0) return;
    feed.publish(`trade ${symbol}`, tradesFrame(market, prints));
    feed.publish(`ticker ${symbol}`, tickerFrame(market, "update"));
  }

  #sendBook(market: Market, client: FeedClient, before: Ladder): void {
    const { symbol } = market.instrument;
    const depth = this.#seats.get(client)!.depths.get(symbol)!;
    const type = before === EMPTY ? "snapshot" : "update";
    const bids = changes(before.bids, market.bids, depth, -1);
    const asks = changes(before.asks, market.asks, depth, 1);
    if (bids.length + asks.length === 0) return;
    const isWrong = type === "update" && this.isStruck("corrupt");
    const stamp = (checksum(this.book(symbol)) ^ Number(isWrong)) >>> 0;
    client.send(
      `{"channel":"book","type":"${type}","data":[{"symbol":"${symbol}",` +
        `"bids":${levels(market, bids)},"asks":${levels(market, asks)},` +
        `"checksum":${stamp},"timestamp":"${now()}"}]}`,
    );
  }
}

function instrumentOf(name: string): KrakenInstrument | undefined {
  return INSTRUMENTS.find((it) =>
    [it.id, it.altname, it.wsname, it.symbol, it.symbol.replace("/", "")].includes(name)
  );
}

/**
 * What brings a client from one state of a side to the next: levels that are new or different, and
 * those that are gone, with a quantity of 0. What was only pushed beyond the depth is not told.
 */
function changes(
  before: readonly Rung[],
  market: readonly Rung[],
  depth: number,
  away: 1 | -1,
): Rung[] {
  const after = market.slice(0, depth);
  const seen = new Set(before.slice(0, depth));
  const prices = new Set(after.map(({ price }) => price));
  const edge = after.length < depth ? Infinity : away * after[after.length - 1].price;
  const gone = [...seen].filter(({ price }) => !prices.has(price) && away * price < edge);
  const news = after.filter((rung) => !seen.has(rung));
  return [...gone.map(({ price }) => ({ price, qty: 0 })), ...news];
}

function level({ instrument }: Market, { price, qty }: Rung): Level {
  const { priceDecimals, qtyDecimals } = instrument;
  return { price: decimal(price, priceDecimals), qty: decimal(qty, qtyDecimals) };
}

/** Levels as the venue writes them: numbers, with all of their zeros, which JSON.stringify drops. */
function levels(market: Market, rungs: readonly Rung[]): string {
  const texts = rungs.map((rung) => {
    const { price, qty } = level(market, rung);
    return `{"price":${price},"qty":${qty}}`;
  });
  return `[${texts}]`;
}

function ticker(market: Market): Record<string, string> {
  const { prices: { open, high, low, last }, traded, instrument } = market;
  const [bid, ask] = [market.bids[0], market.asks[0]].map((rung) => level(market, rung));
  const price = (ticks: number) => decimal(ticks, instrument.priceDecimals);
  const change = last - open;
  return {
    bid: bid.price,
    bid_qty: bid.qty,
    ask: ask.price,
    ask_qty: ask.qty,
    last: price(last),
    volume: decimal(traded.lots, instrument.qtyDecimals),
    vwap: price(traded.lots > 0 ? Math.round(traded.value / traded.lots) : last),
    low: price(low),
    high: price(high),
    change: `${change < 0 ? "-" : ""}${price(Math.abs(change))}`,
    change_pct: (100 * change / open).toFixed(2),
  };
}

function tickerFrame(market: Market, type: "snapshot" | "update"): string {
  const fields = Object.entries(ticker(market)).map(([name, value]) => `"${name}":${value}`);
  const { symbol } = market.instrument;
  return `{"channel":"ticker","type":"${type}","data":[{"symbol":"${symbol}",${fields}}]}`;
}

function tradesFrame(market: Market, prints: readonly Print[]): string {
  const { symbol } = market.instrument;
  const trades = prints.map((print) => {
    const { price, qty } = level(market, print);
    return `{"symbol":"${symbol}","side":"${print.side}","price":${price},"qty":${qty},` +
      `"ord_type":"market","trade_id":${print.id},"timestamp":"${now()}"}`;
  });
  return `{"channel":"trade","type":"update","data":[${trades}]}`;
}

function assetPair(instrument: KrakenInstrument): Record<string, unknown> {
  const { symbol, altname, wsname, priceDecimals, qtyDecimals } = instrument;
  return {
    altname,
    wsname,
    base: symbol.split("/")[0],
    quote: symbol.split("/")[1],
    pair_decimals: priceDecimals,
    lot_decimals: qtyDecimals,
    tick_size: decimal(1, priceDecimals),
    ordermin: decimal(1, qtyDecimals),
    status: "online",
  };
}

function restTicker(_instrument: KrakenInstrument, market: Market): Record<string, unknown> {
  const { bid, bid_qty, ask, ask_qty, last, volume, vwap, low, high } = ticker(market);
  return {
    a: [ask, String(Math.ceil(Number(ask_qty))), ask_qty],
    b: [bid, String(Math.ceil(Number(bid_qty))), bid_qty],
    c: [last, bid_qty],
    v: [volume, volume],
    p: [vwap, vwap],
    l: [low, low],
    h: [high, high],
    o: decimal(market.prices.open, market.instrument.priceDecimals),
  };
}

/** A result, or a refusal, in the venue's envelope. */
async function enveloped(answer: () => unknown): Promise<{ error: string[]; result?: unknown }> {
  try {
    return { error: [], result: await answer() };
  } catch (error) {
    if (error instanceof Refusal) return { error: [error.message] };
    throw error;
  }
}

function tooFast(seconds: number): VenueReply {
  const headers = { "retry-after": String(seconds) };
  return reply(429, { error: ["EAPI:Rate limit exceeded"] }, headers);
}

/** The time, to the microsecond as the venue writes it. */
function now(): string {
  return new Date().toISOString().replace("Z", "000Z");
}
