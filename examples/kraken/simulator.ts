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

import type { Level, Sides } from "../levels.ts";
import { Connection, type LoopbackOptions, LoopbackVenue } from "../loopback.ts";
import { decimal, type Instrument, Market, type Print, type Rung, seeded } from "../market.ts";
import { checksum } from "./book.ts";
import { Desk, type DeskEvent, Refusal } from "./desk.ts";
import { ALL_PERMISSIONS, PrivateApi } from "./private_api.ts";
import { METHODS, PrivateSocket } from "./private_socket.ts";
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

const CHANNELS = ["book", "ticker", "trade"];
const DEPTHS = [10, 25, 100, 500, 1000];

/** The venue's own ids are about this large: far beyond what a number holds exactly. */
const FIRST_CONNECTION_ID = 12_393_906_104_898_154_338n;

/** Options of {@linkcode KrakenSimulator}. */
export interface KrakenSimulatorOptions extends LoopbackOptions {
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

/** What becomes of the next order: not executed, or executed, and answered with 503. */
type Loss = "answer" | "order";

/** Kraken, simulated. WebSocket at `wsUrl + "/v2"`, REST at `httpUrl + "/0/"`, public and private. */
export class KrakenSimulator extends LoopbackVenue<KrakenConnection> {
  /** The market of each symbol. */
  readonly markets: ReadonlyMap<string, Market>;
  readonly #random: () => number;
  readonly #restInterval: number;
  #nextRequest = 0;
  #nextConnection = FIRST_CONNECTION_ID;
  #corrupt = 0;
  /** Whether subscriptions are refused as too fast, in words that name no request. */
  isTooFast = false;
  /** The key that may trade here: `broker.authorize(venue.login)`. */
  readonly login: KrakenLogin;
  /** The account: its balances, orders and fills. */
  readonly desk: Desk;
  /** The private REST interface. */
  readonly privateApi: PrivateApi;
  readonly #losses: Loss[] = [];

  /**
   * Opens the venue.
   *
   * @param options The seed, the speed, the faults and the REST limit.
   */
  constructor(options: KrakenSimulatorOptions = {}) {
    super(options);
    const { seed = 1, restInterval = 1_000 } = options;
    this.#random = seeded(seed);
    this.#restInterval = restInterval;
    this.markets = new Map(
      INSTRUMENTS.map((
        it,
        i,
      ) => [it.symbol, new Market(it, seed * 1_000 + i, Math.max(...DEPTHS))]),
    );
    const { login = LOGIN, permissions = ALL_PERMISSIONS, limited = true } = options;
    this.login = login;
    const find = (pair: string) => this.markets.get(instrumentOf(pair)?.symbol ?? "");
    this.desk = new Desk(find, (event) => this.#onOrder(event));
    this.privateApi = new PrivateApi(this.desk, { login, permissions, limited });
    this.every(100, () => this.privateApi.tick());
    this.every(1_000, () => {
      for (const connection of this.connections) connection.heartbeat();
    });
  }

  /** Lets one or a few things happen in every market, and sends the updates. */
  override step(): void {
    for (const market of this.markets.values()) {
      const prints: Print[] = [];
      for (let events = 1 + Math.floor(this.#random() * 3); events > 0; events--) {
        const print = market.step();
        if (print) prints.push(print);
      }
      for (const connection of this.connections) connection.publish(market, prints);
    }
    for (const order of this.desk.open) this.desk.match(order);
  }

  /** Executes the next order, over the socket any change of one too, and answers it with 503. */
  loseAnswer(): void {
    this.#losses.push("answer");
  }

  /** Does not execute the next order, over the socket any change of one too. */
  loseOrder(): void {
    this.#losses.push("order");
  }

  /** Tells what becomes of the next order, or of its change. */
  takeLoss(): Loss | undefined {
    return this.#losses.shift();
  }

  #onOrder(event: DeskEvent): void {
    for (const connection of this.connections) connection.account.tell(event);
  }

  /** What the venue's book of a symbol looks like to those who subscribed to it. */
  book(symbol: string, depth = 10): Sides {
    const market = this.markets.get(symbol)!;
    const levels = (side: readonly Rung[]) => side.slice(0, depth).map((it) => level(market, it));
    return { bids: levels(market.bids), asks: levels(market.asks) };
  }

  /** The checksum to put into an update: the right one, unless `corrupt` has struck. */
  stamp(checksum: number): number {
    if (this.#corrupt === 0) return checksum;
    this.#corrupt--;
    return (checksum ^ 1) >>> 0;
  }

  protected override corrupt(): void {
    this.#corrupt++;
  }

  protected override connect(socket: WebSocket, _request: Request): KrakenConnection {
    return new KrakenConnection(socket, this, this.#nextConnection++);
  }

  protected override tooMany(retryAfter: number): Response {
    return Response.json({ error: ["EAPI:Rate limit exceeded"] }, {
      status: 429,
      headers: { "retry-after": String(retryAfter) },
    });
  }

  protected override respond(request: Request): Response | Promise<Response> {
    const call = /^\/0\/private\/(\w+)$/.exec(new URL(request.url).pathname)?.[1];
    return call ? this.#respondPrivately(request, call) : this.#respondPublicly(request);
  }

  async #respondPrivately(request: Request, call: string): Promise<Response> {
    const loss = call === "AddOrder" ? this.takeLoss() : undefined;
    const lost = () => new Response("Service unavailable", { status: 503 });
    if (loss === "order") return lost();
    try {
      const result = await this.privateApi.answer(request, call);
      return loss ? lost() : answer(result);
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      return Response.json({ error: [error.message] });
    }
  }

  #respondPublicly(request: Request): Response {
    const now = performance.now();
    if (now < this.#nextRequest) return this.tooMany(Math.ceil(this.#restInterval / 1_000));
    this.#nextRequest = now + this.#restInterval;

    const { pathname, searchParams } = new URL(request.url);
    if (pathname === "/0/public/Time") {
      const time = new Date();
      return answer({ unixtime: Math.floor(time.getTime() / 1_000), rfc1123: time.toUTCString() });
    }
    const describe = pathname === "/0/public/AssetPairs"
      ? assetPair
      : pathname === "/0/public/Ticker"
      ? restTicker
      : undefined;
    if (!describe) return Response.json({ error: ["EGeneral:Unknown method"] }, { status: 404 });
    const names = searchParams.get("pair")?.split(",") ?? INSTRUMENTS.map(({ id }) => id);
    const result: Record<string, unknown> = {};
    for (const name of names) {
      const found = instrumentOf(name);
      if (!found) return Response.json({ error: ["EQuery:Unknown asset pair"] });
      result[found.id] = describe(found, this.markets.get(found.symbol)!);
    }
    return answer(result);
  }
}

function instrumentOf(name: string): KrakenInstrument | undefined {
  return INSTRUMENTS.find((it) =>
    [it.id, it.altname, it.wsname, it.symbol, it.symbol.replace("/", "")].includes(name)
  );
}

/** One subscription; `view` is what a book's client has seen. */
interface Subscription {
  readonly channel: string;
  readonly symbol: string;
  readonly depth: number;
  view: { bids: readonly Rung[]; asks: readonly Rung[] };
}

/** One client of the simulator. */
export class KrakenConnection extends Connection {
  /** What the client has subscribed to, by channel and symbol (`"book BTC/USD"`). */
  readonly subscriptions: Map<string, Subscription> = new Map();
  /** What the client has asked for privately. */
  readonly account: PrivateSocket;
  readonly #venue: KrakenSimulator;
  readonly #id: bigint;

  /**
   * Takes on a client.
   *
   * @param socket The venue's end.
   * @param venue The venue.
   * @param id The connection_id it will be told.
   */
  constructor(socket: WebSocket, venue: KrakenSimulator, id: bigint) {
    super(socket);
    this.#venue = venue;
    this.#id = id;
    const send = (frame: unknown) => this.send(JSON.stringify(frame));
    this.account = new PrivateSocket(venue.desk, venue.privateApi.tokens, send);
  }

  /** Whether there is a subscription. */
  override get subscribed(): boolean {
    return this.subscriptions.size > 0 || this.account.subscribed;
  }

  /** Tells the venue's status. */
  override greet(): void {
    this.send(
      `{"channel":"status","type":"update","data":[{"version":"2.0.9","system":"online",` +
        `"api_version":"v2","connection_id":${this.#id}}]}`,
    );
  }

  /** Says that all is well, to those who subscribed. */
  heartbeat(): void {
    if (this.subscribed) this.send(`{"channel":"heartbeat"}`);
  }

  /** Answers subscribe, unsubscribe and ping. */
  override receive(frame: string | ArrayBuffer): void {
    const time_in = now();
    const reply = (body: Record<string, unknown>) =>
      this.send(JSON.stringify({ ...body, time_in, time_out: now() }));
    let request;
    try {
      request = JSON.parse(String(frame));
    } catch {
      return reply({ error: "Malformed request", success: false });
    }
    const { method, req_id, params } = Object(request);
    if (method === "ping") return reply({ method: "pong", req_id });
    if (PrivateSocket.isPrivate(method, Object(params))) {
      const loss = METHODS.includes(method) ? this.#venue.takeLoss() : undefined;
      if (loss === "order") return this.close(1012, "Service restart");
      const { reply: answer, after } = this.account.answer(method, Object(params));
      if (loss) return this.close(1012, "Service restart");
      reply({ method, req_id, ...answer });
      return after?.();
    }
    if (method !== "subscribe" && method !== "unsubscribe") {
      return reply({ error: "Unsupported method", method, req_id, success: false });
    }
    if (this.#venue.isTooFast) return this.send('{"Error":"Exceeded msg rate"}');
    const { channel, symbol: symbols = [], depth = DEPTHS[0], snapshot = true } = Object(params);
    for (const symbol of symbols) {
      const key = `${channel} ${symbol}`;
      const market = this.#venue.markets.get(symbol);
      const error = !CHANNELS.includes(channel)
        ? "Unsupported channel"
        : !market
        ? `Currency pair not supported ${symbol}`
        : channel === "book" && !DEPTHS.includes(depth)
        ? "Subscription depth not supported"
        : method === "unsubscribe"
        ? this.subscriptions.has(key) ? undefined : "Subscription Not Found"
        : this.subscriptions.has(key)
        ? "Already subscribed"
        : undefined;
      if (error) {
        reply({ error, method, req_id, success: false, symbol });
        continue;
      }
      const result = { channel, symbol, ...channel === "book" && { depth } };
      if (method === "unsubscribe") {
        this.subscriptions.delete(key);
        reply({ method, req_id, result, success: true });
        continue;
      }
      const subscription = { channel, symbol, depth, view: { bids: [], asks: [] } };
      this.subscriptions.set(key, subscription);
      reply({ method, req_id, result: { ...result, snapshot }, success: true });
      if (channel === "book") this.#sendBook(market!, subscription, "snapshot");
      else if (channel === "ticker" && snapshot) this.#sendTicker(market!, "snapshot");
    }
  }

  /**
   * Sends what a step of a market has changed.
   *
   * @param market The market.
   * @param prints The trades of that step.
   */
  publish(market: Market, prints: readonly Print[]): void {
    const { symbol } = market.instrument;
    const book = this.subscriptions.get(`book ${symbol}`);
    if (book) this.#sendBook(market, book, "update");
    if (prints.length === 0) return;
    if (this.subscriptions.has(`trade ${symbol}`)) this.#sendTrades(market, prints);
    if (this.subscriptions.has(`ticker ${symbol}`)) this.#sendTicker(market, "update");
  }

  #sendBook(market: Market, subscription: Subscription, type: "snapshot" | "update"): void {
    const { view, depth } = subscription;
    const next = { bids: market.bids.slice(0, depth), asks: market.asks.slice(0, depth) };
    subscription.view = next;
    const bids = changes(view.bids, next.bids, depth, -1);
    const asks = changes(view.asks, next.asks, depth, 1);
    if (bids.length + asks.length === 0) return;
    const { symbol } = market.instrument;
    const right = checksum(this.#venue.book(symbol));
    this.send(
      `{"channel":"book","type":"${type}","data":[{"symbol":"${symbol}",` +
        `"bids":${levels(market, bids)},"asks":${levels(market, asks)},` +
        `"checksum":${
          type === "update" ? this.#venue.stamp(right) : right
        },"timestamp":"${now()}"}]}`,
    );
  }

  #sendTrades(market: Market, prints: readonly Print[]): void {
    const { symbol } = market.instrument;
    const trades = prints.map((print) => {
      const { price, qty } = level(market, print);
      return `{"symbol":"${symbol}","side":"${print.side}","price":${price},"qty":${qty},` +
        `"ord_type":"market","trade_id":${print.id},"timestamp":"${now()}"}`;
    });
    this.send(`{"channel":"trade","type":"update","data":[${trades}]}`);
  }

  #sendTicker(market: Market, type: "snapshot" | "update"): void {
    const { symbol } = market.instrument;
    const fields = Object.entries(ticker(market)).map(([name, value]) => `"${name}":${value}`);
    this.send(`{"channel":"ticker","type":"${type}","data":[{"symbol":"${symbol}",${fields}}]}`);
  }
}

/**
 * What brings a client from one view of a side to the next: levels that are new or different, and
 * those that are gone, with a quantity of 0. What was only pushed beyond the depth is not told.
 */
function changes(
  before: readonly Rung[],
  after: readonly Rung[],
  depth: number,
  away: 1 | -1,
): Rung[] {
  const kept = new Set(after);
  const prices = new Set(after.map(({ price }) => price));
  const edge = after.length < depth ? Infinity : away * after[after.length - 1].price;
  const gone = before.filter(({ price }) => !prices.has(price) && away * price < edge);
  for (const rung of before) kept.delete(rung);
  return [...gone.map(({ price }) => ({ price, qty: 0 })), ...kept];
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

function answer(result: unknown): Response {
  return Response.json({ error: [], result });
}

/** The time, to the microsecond as the venue writes it. */
function now(): string {
  return new Date().toISOString().replace("Z", "000Z");
}
