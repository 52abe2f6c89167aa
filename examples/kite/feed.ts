/**
 * Zerodha's Kite Connect (WebSocket): ticks, and what becomes of one's orders.
 *
 * ```ts ignore
 * await using feed = new KiteFeed({ apiKey, accessToken });
 * feed.subscribe(408065, { token: 884737, mode: "full" });
 * await feed.connect();
 * for await (const tick of feed) console.log(tick.instrument_token, tick.last_price);
 * ```
 *
 * @module
 */

import {
  AbstractFeeder,
  FeedError,
  WebSocketFeeder,
  type WebSocketFeederOptions,
} from "@aio-trader/core";
import type { KiteAccess, KiteOrder } from "./broker.ts";
import { type KiteMode, parseTicks, type Tick, TickError } from "./ticks.ts";

/** What a feed can be subscribed to: one instrument, in one mode. */
export interface KiteSubscription {
  /** The instrument's token. */
  readonly token: number;
  /**
   * How much of it is wanted.
   *
   * @default {"quote"}
   */
  readonly mode?: KiteMode;
}

/** Options of {@linkcode KiteFeed}. */
export interface KiteFeedOptions extends WebSocketFeederOptions {
  /**
   * The venue's address.
   *
   * @default {"wss://ws.kite.trade"}
   */
  url?: string;
}

const MODES: readonly unknown[] = ["ltp", "quote", "full"];

/** A feed of ticks, with side channels of their own for orders and messages. */
export class KiteFeed extends WebSocketFeeder<Tick, KiteSubscription> {
  /**
   * What becomes of one's orders, whoever placed them. It has queues of its own, where no tick takes
   * an order's place; it connects and closes with this feed. What happens while there is no
   * connection is not told later: ask `KiteBroker.orders()` once `live` again.
   */
  readonly orders: AbstractFeeder<KiteOrder>;
  /** What the venue has to say to people. */
  readonly messages: AbstractFeeder<unknown>;
  protected override readonly limit = 3_000;
  readonly #login: () => KiteAccess | Promise<KiteAccess>;
  readonly #url: string;
  readonly #orders = new Channel<KiteOrder>(this);
  readonly #messages = new Channel<unknown>(this);

  /**
   * Makes a feed.
   *
   * @param login What a logged-in client has, or a function that gets it: called for every attempt,
   *   as a token is good for one day.
   * @param options The venue's address, and how to stay connected. Unless told otherwise, 5 seconds
   *   of silence mean a new connection: heartbeats come about every 2.
   */
  constructor(
    login: KiteAccess | (() => KiteAccess | Promise<KiteAccess>),
    { url = "wss://ws.kite.trade", ...options }: KiteFeedOptions = {},
  ) {
    super({ staleAfter: 5_000, ...options });
    this.#login = typeof login === "function" ? login : () => login;
    this.#url = url;
    this.orders = this.#orders;
    this.messages = this.#messages;
  }

  /**
   * Subscribes to instruments, or changes their mode.
   *
   * @param subs Tokens, for mode quote, or tokens with their modes.
   * @throws {RangeError} If a token is not an integer of at least 1, or there would be more than 3000.
   * @throws {TypeError} If a mode is none of the three.
   */
  override subscribe(...subs: (number | KiteSubscription)[]): void {
    super.subscribe(...subs.map(complete));
  }

  /**
   * Unsubscribes from instruments.
   *
   * @param subs Tokens; modes do not matter.
   */
  override unsubscribe(...subs: (number | KiteSubscription)[]): void {
    super.unsubscribe(...subs.map(complete));
  }

  protected override async endpoint(): Promise<URL> {
    const { apiKey, accessToken } = await this.#login();
    const url = new URL(this.#url);
    url.search = `${new URLSearchParams({ api_key: apiKey, access_token: accessToken })}`;
    return url;
  }

  /** The token: another mode is another value of the same subscription. */
  protected override key({ token }: KiteSubscription): number {
    return token;
  }

  /** One frame for all tokens, and one for those of each mode. The venue answers none of them. */
  protected override request(op: "subscribe" | "unsubscribe", subs: KiteSubscription[]): string[] {
    const frames = [JSON.stringify({ a: op, v: subs.map(({ token }) => token) })];
    if (op === "unsubscribe") return frames;
    for (const [mode, group] of Map.groupBy(subs, ({ mode }) => mode)) {
      frames.push(JSON.stringify({ a: "mode", v: [mode, group.map(({ token }) => token)] }));
    }
    return frames;
  }

  protected override receive(data: string | ArrayBuffer): void {
    if (typeof data === "string") return this.#read(JSON.parse(data));
    try {
      for (const tick of parseTicks(data)) this.emit(tick);
    } catch (error) {
      if (error instanceof TickError) { for (const tick of error.ticks) this.emit(tick); }
      throw error;
    }
  }

  #read({ type, data }: { type: string; data: unknown }): void {
    if (type === "order") this.#orders.publish(data as KiteOrder);
    else if (type === "message") this.#messages.publish(data);
    else if (type === "error") {
      this.dispatch("error", new FeedError(`Cannot do what was asked: Kite says "${data}"`));
    }
  }
}

/** A part of a feed with readers of its own. */
class Channel<T> extends AbstractFeeder<T> {
  readonly #feed: KiteFeed;

  constructor(feed: KiteFeed) {
    super();
    this.#feed = feed;
    feed.closed.then((error) => this.end(error));
  }

  override connect(): Promise<void> {
    return this.#feed.connect();
  }

  override close(): Promise<void> {
    return this.#feed.close();
  }

  publish(item: T): void {
    this.emit(item);
  }
}

/** Says what was left out, so that equal subscriptions look equal. */
function complete(sub: number | KiteSubscription): Required<KiteSubscription> {
  const { token, mode = "quote" } = typeof sub === "object" ? sub : { token: sub };
  if (!(Number.isInteger(token) && token >= 1)) {
    throw new RangeError(`Cannot subscribe: the token is ${token}, wanted an integer >= 1`);
  }
  if (!MODES.includes(mode)) {
    throw new TypeError(`Cannot subscribe: the mode is ${mode}, wanted ${MODES.join(", ")}`);
  }
  return { token, mode };
}
