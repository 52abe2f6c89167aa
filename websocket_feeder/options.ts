/**
 * The options of a feed, their defaults and their checks. Internal.
 *
 * @module
 */

import { checkFunction, checkNumber, checkSignal, type Range, refuse } from "../common/check.ts";
import type { RateLimiter } from "../throttler.ts";
import type { Frame } from "./connection.ts";

/**
 * Where a feed dials: what {@linkcode WebSocketFeeder.endpoint} returns.
 *
 * @example A token in a header of the upgrade
 * ```ts
 * import { type Endpoint, WebSocketFeeder } from "@aio-trader/core/websocket-feeder";
 *
 * class Feed extends WebSocketFeeder<string> {
 *   protected override endpoint(): Endpoint {
 *     return { url: "wss://stream.venue.example", headers: { authorization: "Bearer token" } };
 *   }
 *   protected override receive(frame: string | ArrayBuffer) {
 *     this.emit(String(frame));
 *   }
 *   protected override request(op: "subscribe" | "unsubscribe", symbols: string[]) {
 *     return JSON.stringify({ op, symbols });
 *   }
 * }
 * await new Feed().close(); // nothing was dialled
 * ```
 */
export interface Endpoint {
  /** The address, `ws:` or `wss:`. */
  url: string | URL;
  /** The subprotocols to offer. */
  protocols?: string | string[] | undefined;
  /** The headers of the upgrade request. Browsers cannot send any, Deno from 2.5 on. */
  headers?: Record<string, string> | undefined;
}

/**
 * Options of {@linkcode WebSocketFeeder}. Every duration is in milliseconds.
 *
 * @example Options that a venue class passes on
 * ```ts
 * import { SimulatedVenue, VirtualTime } from "@aio-trader/core/testing";
 * import { WebSocketFeeder, type WebSocketFeederOptions } from "@aio-trader/core/websocket-feeder";
 * import { assertEquals } from "@std/assert";
 *
 * using time = new VirtualTime();
 * const venue = new SimulatedVenue();
 * class Feed extends WebSocketFeeder<string> {
 *   protected override endpoint() {
 *     return venue.wsUrl;
 *   }
 *   protected override createSocket(url: string) {
 *     return venue.createSocket(url);
 *   }
 *   protected override request(_: "subscribe" | "unsubscribe", [symbol]: string[]) {
 *     return symbol;
 *   }
 *   protected override receive(frame: string | ArrayBuffer) {
 *     this.emit(String(frame));
 *   }
 * }
 *
 * const options: WebSocketFeederOptions = { staleAfter: 10_000, baseWait: 100 };
 * const feed = new Feed(options);
 * void feed.connect();
 * await time.pass(1_000);
 * venue.feed.silence();
 * await time.pass(15_000);
 *
 * assertEquals(feed.stats.connections, 2); // silent for ten seconds, so it was replaced
 * await Promise.all([feed.close(), time.pass(5_000)]);
 * ```
 */
export interface WebSocketFeederOptions {
  /**
   * Longest time from the start of an attempt until it is live: endpoint, dial and handshake. The
   * wait for `dials` does not count. `Infinity` sets no limit.
   *
   * @default {10_000}
   */
  connectTimeout?: number | undefined;
  /**
   * Longest time that `close()` waits: for the answers that are due, then for the venue to answer
   * the close frame. `0` does not wait.
   *
   * @default {2_000}
   */
  closeTimeout?: number | undefined;
  /**
   * Longest time without any frame. After that the connection is replaced, at most an eighth later.
   * Choose more than the venue's heartbeat: a quiet market is not silence. `0` is off.
   *
   * @default {0}
   */
  staleAfter?: number | undefined;
  /**
   * Time between two pings: the frames of `ping()`. A class with a `ping()` needs the option, a
   * class without must not have it. `0` is off, also for a class with a `ping()`.
   *
   * @default {0}
   */
  pingInterval?: number | undefined;
  /**
   * How long a connection may be live before another one replaces it: for venues that end
   * connections after a while, choose less. The new connection is live and subscribed before the
   * old one is dropped, so nothing is lost. An item that both deliver comes twice, unless
   * `identify` tells that it is the same. `0` is off.
   *
   * @default {0}
   */
  maxLifetime?: number | undefined;
  /**
   * How long a replaced connection delivers beside its replacement, once all subscriptions are
   * asked for: long enough for the venue to begin. It stays longer while it alone delivers. After
   * the swap the old connection is heard for another `overlap`, and then for answers that are due.
   * After a loss, a gap ends so long after the last request, where the venue confirms nothing.
   *
   * @default {1_000}
   */
  overlap?: number | undefined;
  /**
   * How long the venue may take to confirm a subscription, told by `confirm()`. A late one is asked
   * for again; then the feed waits twice as long, and once more twice as long. After three requests
   * the feed reports it to `error`, and replaces the connection. A gap is then filled for the other
   * subscriptions, and another gap begins, which lasts until all is confirmed. `0` is for venues
   * that confirm nothing.
   *
   * @default {0}
   */
  confirmTimeout?: number | undefined;
  /**
   * How long a subscription may deliver nothing on a healthy connection before it is asked for
   * again, in milliseconds: a number, or a function of the subscription. The class must have
   * `keyOf`. Noticed at most an eighth later; a subscription that stays quiet is asked for again
   * after two, four … times as long. Choose more than a quiet market needs. `0` is off.
   *
   * @default {0}
   */
  quietAfter?: number | ((subscription: never) => number) | undefined;
  /**
   * Longest time for all attempts to fill one gap with `backfill`, over all connections. Items that
   * the new connection delivers wait meanwhile. `Infinity` sets no limit.
   *
   * @default {30_000}
   */
  backfillTimeout?: number | undefined;
  /**
   * Repeats after the first attempt, counted anew once a connection has been live for
   * `resetRetryAfter`. `0` never repeats, `Infinity` never gives up.
   *
   * @default {Infinity}
   */
  maxRetries?: number | undefined;
  /**
   * Wait before the first repeat; it doubles with each one. `0` repeats at once.
   *
   * @default {500}
   */
  baseWait?: number | undefined;
  /**
   * Longest wait between two attempts, and between two repairs of a subscription. The `retryAfter`
   * of an error may be longer. `Infinity` sets no limit.
   *
   * @default {30_000}
   */
  maxWait?: number | undefined;
  /**
   * How long a connection must have been live for the count and the waits to start again after its
   * loss. Also how long a subscription must go without a repair for its waits to start again.
   *
   * @default {30_000}
   */
  resetRetryAfter?: number | undefined;
  /**
   * How much of each wait between two attempts is left to chance, from `0` to `1`.
   *
   * @default {1}
   */
  jitter?: number | undefined;
  /**
   * Paces every outgoing frame, over all connections: subscriptions, pings, and the frames of
   * `send` and `ask`, which go first. Off unless given.
   *
   * The limit holds where frames leave the program. On the way two frames may come closer together:
   * Deno's sockets wait for an answer before a small second frame, up to 40 ms. So leave a margin:
   * for 5 per second, `{ limit: 5, period: 1_100 }`.
   */
  pace?: Pick<RateLimiter, "run"> | undefined;
  /**
   * Paces attempts to connect, for venues that limit them. Several feeds may share one limiter. Off
   * unless given.
   */
  dials?: Pick<RateLimiter, "run"> | undefined;
  /** Closes the feed when it aborts. */
  signal?: AbortSignal | undefined;
  /**
   * Told every incoming frame, before `receive`, and every outgoing frame, with the number of its
   * connection, from 1.
   */
  tap?(direction: "in" | "out", data: Frame, attempt: number): void;
}

/**
 * Counts of a {@linkcode WebSocketFeeder} since it was made.
 *
 * @example What a feed has done since it was made
 * ```ts
 * import { SimulatedVenue, VirtualTime } from "@aio-trader/core/testing";
 * import { type FeedStats, WebSocketFeeder } from "@aio-trader/core/websocket-feeder";
 * import { assertEquals } from "@std/assert";
 *
 * using time = new VirtualTime();
 * const venue = new SimulatedVenue();
 * venue.feed.on((frame, client) => client.send(`price of ${frame}`));
 * class Feed extends WebSocketFeeder<string> {
 *   protected override endpoint() {
 *     return venue.wsUrl;
 *   }
 *   protected override createSocket(url: string) {
 *     return venue.createSocket(url);
 *   }
 *   protected override request(_: "subscribe" | "unsubscribe", [symbol]: string[]) {
 *     return symbol;
 *   }
 *   protected override receive(frame: string | ArrayBuffer) {
 *     this.emit(String(frame));
 *   }
 * }
 *
 * const feed = new Feed();
 * feed.subscribe("INFY");
 * void feed.connect();
 * await time.pass(500);
 *
 * const stats: FeedStats = feed.stats;
 * assertEquals([stats.connections, stats.frames, stats.items], [1, 1, 1]);
 * await Promise.all([feed.close(), time.pass(5_000)]);
 * ```
 */
export interface FeedStats {
  /** Connections begun. */
  attempts: number;
  /** Connections that went live. */
  connections: number;
  /** Frames received. */
  frames: number;
  /** Items emitted. */
  items: number;
}

/**
 * Options of {@linkcode WebSocketFeeder.refuse}.
 *
 * @example A venue that has no room now
 * ```ts
 * import { SimulatedVenue, VirtualTime } from "@aio-trader/core/testing";
 * import { type RefuseOptions, WebSocketFeeder } from "@aio-trader/core/websocket-feeder";
 * import { assertEquals } from "@std/assert";
 *
 * using time = new VirtualTime();
 * const venue = new SimulatedVenue();
 * let asked = 0;
 * venue.feed.on((_frame, client) => client.send(++asked === 1 ? "busy" : "granted"));
 * const later: RefuseOptions = { retryAfter: 2_000 };
 * class Feed extends WebSocketFeeder<string> {
 *   protected override endpoint() {
 *     return venue.wsUrl;
 *   }
 *   protected override createSocket(url: string) {
 *     return venue.createSocket(url);
 *   }
 *   protected override request(_: "subscribe" | "unsubscribe", [symbol]: string[]) {
 *     return symbol;
 *   }
 *   protected override receive(frame: string | ArrayBuffer) {
 *     if (frame === "busy") this.refuse("INFY", "busy", later);
 *   }
 * }
 *
 * const feed = new Feed();
 * feed.on("error", () => {}); // told that the venue is busy
 * feed.subscribe("INFY");
 * void feed.connect();
 * await time.pass(5_000);
 * assertEquals(asked, 2);
 * await Promise.all([feed.close(), time.pass(5_000)]);
 * ```
 */
export interface RefuseOptions {
  /**
   * How long to wait before the subscription is asked for again, in milliseconds. After refusals in
   * a row the waits grow: they double from one second to `maxWait`. Unless given, the feed drops
   * the subscription.
   */
  retryAfter?: number | undefined;
}

type Optional = "pace" | "dials" | "signal" | "tap" | "pingInterval";

/** The options of a feed, complete. */
export type FeedOptions =
  & Required<Omit<WebSocketFeederOptions, Optional>>
  & Pick<WebSocketFeederOptions, Optional>;

/** Values of the numbers that are not given. */
const DEFAULTS = {
  connectTimeout: 10_000,
  closeTimeout: 2_000,
  staleAfter: 0,
  maxLifetime: 0,
  overlap: 1_000,
  confirmTimeout: 0,
  backfillTimeout: 30_000,
  maxRetries: Infinity,
  baseWait: 500,
  maxWait: 30_000,
  resetRetryAfter: 30_000,
  jitter: 1,
};

/** Numbers that are allowed, where they are not milliseconds from 0. */
const RANGES: Readonly<Record<string, Range>> = {
  connectTimeout: { above: true, unit: "milliseconds" },
  maxRetries: { integer: true },
  jitter: { max: 1 },
};

/**
 * Fills in the defaults and checks every option.
 *
 * @param options The options as they were given.
 * @returns The options, complete. `pingInterval` stays undefined where it was not given.
 * @throws {RangeError} If a number is out of its range.
 * @throws {TypeError} If an option is of the wrong type.
 */
export function complete(options: WebSocketFeederOptions = {}): FeedOptions {
  const task = "Cannot make a feed";
  if (typeof options !== "object" || options === null) {
    refuse(task, "options", options, "an object");
  }
  const unit = "milliseconds";
  const numbers = { ...DEFAULTS };
  for (const name of Object.keys(DEFAULTS) as (keyof typeof DEFAULTS)[]) {
    const { [name]: value = DEFAULTS[name] } = options;
    numbers[name] = checkNumber(task, name, value, RANGES[name] ?? { unit });
  }
  const { quietAfter = 0, pingInterval, pace, dials, signal, tap } = options;
  if (typeof quietAfter !== "function") checkNumber(task, "quietAfter", quietAfter, { unit });
  checkNumber(task, "pingInterval", pingInterval ?? 0, { unit });
  for (const [name, value] of Object.entries({ pace, dials })) {
    if (value !== undefined && typeof value?.run !== "function") {
      refuse(task, name, value, "a RateLimiter");
    }
  }
  checkSignal(task, "signal", signal);
  checkFunction(task, "tap", tap);
  return { ...numbers, quietAfter, pingInterval, pace, dials, signal, tap };
}

/**
 * Checks the parts of a venue class that must fit its options.
 *
 * @param batch Most subscriptions in one request.
 * @param has Which hooks the class has.
 * @param options The options.
 * @throws {RangeError} If `batch` is below 1.
 * @throws {TypeError} If a hook is there without its option, or an option without its hook.
 */
export function checkClass(
  batch: number,
  has: { ping: boolean; keyOf: boolean },
  { pingInterval, quietAfter }: FeedOptions,
): void {
  const task = "Cannot connect the feed";
  checkNumber(task, "batch", batch, { min: 1 });
  if (has.ping && pingInterval === undefined) {
    throw new TypeError(`${task}: there is a ping() and no pingInterval, wanted both or none`);
  }
  if (!has.ping && pingInterval) {
    throw new TypeError(`${task}: there is a pingInterval and no ping(), wanted both or none`);
  }
  if (!has.keyOf && quietAfter !== 0) {
    throw new TypeError(`${task}: there is a quietAfter and no keyOf(), wanted both`);
  }
}
