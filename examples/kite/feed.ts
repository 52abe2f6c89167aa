/**
 * Zerodha's Kite Connect (WebSocket): ticks, and updates of own orders.
 *
 * ```ts ignore
 * await using feed = new KiteFeed(broker.access, { broker });
 * feed.orders.on("item", ({ order_id, status }) => console.log(order_id, status));
 * feed.subscribe(408065, { token: 884737, mode: "full" });
 * await feed.connect();
 * for await (const tick of feed) console.log(tick.instrument_token, tick.last_price);
 * ```
 *
 * @module
 */

import {
  type AbstractFeeder,
  type FeedConnection,
  FeedError,
  WebSocketFeeder,
  type WebSocketFeederOptions,
} from "@aio-trader/core";
import type { KiteAccess, KiteOrder } from "./account.ts";
import type { KiteBroker } from "./broker.ts";
import { OrderUpdates } from "./order_updates.ts";
import { SideChannel } from "./side_channel.ts";
import { type KiteMode, parseTicks, type Tick, TickError } from "./ticks.ts";

/** A subscription: one instrument, in one mode. */
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
  /**
   * Is asked for the orders that changed while there was no connection. Without a broker
   * `feed.orders` tells such a gap, and does not fill it.
   */
  broker?: Pick<KiteBroker, "orders">;
}

const MODES: readonly unknown[] = ["ltp", "quote", "full"];

/**
 * A feed of ticks, with side channels of their own for orders and messages.
 *
 * - Ticks keep the event time that the venue gives: `exchange_timestamp` and `last_trade_time`, in
 *   mode full.
 * - The venue confirms no subscription in words. With `confirmTimeout` the first tick of an
 *   instrument, in the mode that was asked for, confirms it: leave that off where an instrument may
 *   not be traded for long.
 */
export class KiteFeed extends WebSocketFeeder<Tick, KiteSubscription> {
  /**
   * Updates of the account's orders, placed here or elsewhere: each once, over lost connections too,
   * if there is a `broker`. The channel has queues of its own, where no tick takes an order's place;
   * it connects and closes with this feed.
   */
  readonly orders: AbstractFeeder<KiteOrder>;
  /** The venue's messages to people. */
  readonly messages: AbstractFeeder<unknown>;
  protected override readonly limit = 3_000;
  readonly #login: () => KiteAccess | Promise<KiteAccess>;
  readonly #url: string;
  readonly #orders: OrderUpdates;
  readonly #messages: SideChannel<unknown>;
  /** When the latest frame came, in epoch milliseconds. */
  #heardAt = Date.now();
  /** Whether ticks confirm subscriptions. */
  readonly #confirms: boolean;

  /**
   * Makes a feed.
   *
   * @param login The login, or a function that gets one: called for every attempt, as a token is
   *   good for one day.
   * @param options The venue's address, the broker, and how to stay connected. Unless told
   *   otherwise, 5 seconds of silence mean a new connection: heartbeats come about every 2.
   */
  constructor(
    login: KiteAccess | (() => KiteAccess | Promise<KiteAccess>),
    { url = "wss://ws.kite.trade", broker, ...options }: KiteFeedOptions = {},
  ) {
    super({ staleAfter: 5_000, ...options });
    const { confirmTimeout = 0, backfillTimeout, overlap } = options;
    this.#login = typeof login === "function" ? login : () => login;
    this.#url = url;
    this.#confirms = confirmTimeout > 0;
    this.orders = this.#orders = new OrderUpdates(this, { broker, backfillTimeout, overlap });
    this.messages = this.#messages = new SideChannel(this);
    this.on("state", ({ previous }) => {
      if (previous === "live") this.#orders.lose(this.#heardAt);
    });
    this.on("live", () => this.#orders.resume());
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

  protected override async endpoint(signal: AbortSignal): Promise<URL> {
    await this.#orders.begin(signal);
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

  /** A tick belongs to the subscription of its token. */
  protected override keyOf({ instrument_token }: Tick): number {
    return instrument_token;
  }

  protected override receive(data: string | ArrayBuffer, connection?: FeedConnection): void {
    this.#heardAt = Date.now();
    if (typeof data === "string") return this.#read(JSON.parse(data), connection);
    try {
      this.#deliver(parseTicks(data));
    } catch (error) {
      if (error instanceof TickError) this.#deliver(error.ticks);
      throw error;
    }
  }

  #deliver(ticks: readonly Tick[]): void {
    for (const tick of ticks) {
      if (this.#confirms) this.#confirm(tick);
      this.emit(tick);
    }
  }

  #confirm({ instrument_token, mode }: Tick): void {
    const sub = this.subscriptions.get(instrument_token);
    if (sub?.mode === mode) this.confirm(sub);
  }

  #read({ type, data }: { type: string; data: unknown }, connection?: FeedConnection): void {
    if (type === "order") this.#orders.read(data as KiteOrder, connection);
    else if (type === "message") this.#messages.publish(data);
    else if (type === "error") {
      this.dispatch("error", new FeedError(`Cannot do what was asked: Kite says "${data}"`));
    }
  }
}

/** Fills in the default mode, so that equal subscriptions look equal. */
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
