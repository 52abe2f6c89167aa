/**
 * A feed over the native WebSocket that stays up.
 *
 * ```ts
 * import { WebSocketFeeder } from "@aio-trader/core/websocket-feeder";
 * import { assertEquals } from "@std/assert";
 *
 * class TradeFeed extends WebSocketFeeder<{ symbol: string; price: number }> {
 *   protected override batch = 100;
 *
 *   protected override endpoint() {
 *     return "wss://venue.example/trades";
 *   }
 *   protected override request(op: "subscribe" | "unsubscribe", symbols: string[]) {
 *     return JSON.stringify({ op, symbols });
 *   }
 *   override receive(data: string | ArrayBuffer) { // public, to try it without a venue
 *     this.emit(JSON.parse(String(data)));
 *   }
 * }
 *
 * await using feed = new TradeFeed({ staleAfter: 30_000 });
 * feed.subscribe("INFY", "TCS");
 * const trades = feed.stream({ key: ({ symbol }) => symbol });
 * // await feed.connect(); resolves once live, and stays connected
 *
 * feed.receive('{"symbol":"INFY","price":1600}');
 * feed.receive('{"symbol":"INFY","price":1601}');
 * assertEquals((await trades.next()).value, { symbol: "INFY", price: 1601 });
 * assertEquals([...feed.subscriptions.keys()], ["INFY", "TCS"]);
 * ```
 *
 * @module
 */

import { Connection, type Frame } from "./websocket_feeder/connection.ts";
import { AbstractFeeder, type Ending, FeedError, type FeedState } from "./feeder.ts";
import { Handover } from "./websocket_feeder/handover.ts";
import { retry } from "./retry.ts";
import { type Change, fingerprint, Subscriptions } from "./websocket_feeder/subscriptions.ts";
import type { Throttler } from "./throttler.ts";

export type { Frame } from "./websocket_feeder/connection.ts";

/** Where a feed is to be had: what {@linkcode WebSocketFeeder.endpoint} returns. */
export interface Endpoint {
  /** The address, `ws:` or `wss:`. */
  url: string | URL;
  /** The subprotocols to offer. */
  protocols?: string | string[];
  /** The headers of the upgrade request. Browsers cannot send any, Deno from 2.5 on. */
  headers?: Record<string, string>;
}

/** Options of {@linkcode WebSocketFeeder}. Every duration is in milliseconds. */
export interface WebSocketFeederOptions {
  /**
   * Longest time from the start of an attempt until it is live: endpoint, dial and handshake.
   * `Infinity` sets no limit.
   *
   * @default {10_000}
   */
  connectTimeout?: number;
  /**
   * Longest time that `close()` waits for the venue's answer. `0` does not wait.
   *
   * @default {2_000}
   */
  closeTimeout?: number;
  /**
   * How long no frame at all may come before the connection is replaced, noticed at most an eighth
   * later. Choose more than the venue's own heartbeat: a quiet market is not silence. `0` is off.
   *
   * @default {0}
   */
  staleAfter?: number;
  /**
   * How often what `ping()` returns is sent. `0` is off.
   *
   * @default {0}
   */
  pingInterval?: number;
  /**
   * How long a connection may be live before it is replaced, for venues that end it after a while:
   * choose less than theirs. The new one is live and subscribed before the old one is dropped, so
   * nothing is lost; what both deliver comes twice, unless `identify` tells it apart. `0` is off.
   *
   * @default {0}
   */
  maxLifetime?: number;
  /**
   * How long a replaced connection goes on beside its replacement, once that has asked for all
   * subscriptions: enough for the venue to begin. It goes on longer while it alone delivers.
   *
   * @default {1_000}
   */
  overlap?: number;
  /**
   * Repeats after the first attempt, counted anew once a connection has been live for
   * `resetRetryAfter`. `0` never repeats, `Infinity` never gives up.
   *
   * @default {Infinity}
   */
  maxRetries?: number;
  /**
   * Wait before the first repeat; it doubles with each one. `0` repeats at once.
   *
   * @default {500}
   */
  baseWait?: number;
  /**
   * Longest wait between two attempts. `Infinity` sets no limit.
   *
   * @default {30_000}
   */
  maxWait?: number;
  /**
   * How long a connection must have been live for its loss to start the count and the waits again.
   *
   * @default {30_000}
   */
  resetRetryAfter?: number;
  /**
   * How much of each wait is left to chance, from `0` to `1`.
   *
   * @default {1}
   */
  jitter?: number;
  /**
   * Paces every frame that goes out, over all connections: subscriptions, pings, and what `send`
   * is given. Off unless given.
   *
   * It holds where frames leave us. On the way two may come closer together (Deno's sockets alone
   * make up to 40 ms of it, as they wait for an answer before a small second frame), so leave a
   * margin: for 5 per second, `{ limit: 5, period: 1_100 }`.
   */
  pace?: Pick<Throttler, "run">;
  /** Closes the feed when it aborts. */
  signal?: AbortSignal;
  /**
   * Told every frame that comes in, before `receive`, and every frame that goes out, and over which
   * connection, counted from 1.
   */
  tap?(direction: "in" | "out", data: Frame, attempt: number): void;
}

/** Counts of a {@linkcode WebSocketFeeder} since it was made. */
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

type Optional = "pace" | "signal" | "tap";
type ValidOptions =
  & Required<Omit<WebSocketFeederOptions, Optional>>
  & Pick<WebSocketFeederOptions, Optional>;

/** Close codes that the next attempt would meet again. */
const FATAL_CODES: ReadonlySet<number> = new Set([1003, 1007, 1009, 1010]);

/** Refusals of the upgrade that the next attempt would meet again. */
const FATAL_STATUSES: ReadonlySet<number | undefined> = new Set([401, 403]);

/** What a hook is for, where it may throw without ending anything. */
const TASKS = {
  receive: "read a frame",
  identify: "tell an item apart",
  request: "ask for subscriptions",
  ping: "ping",
};

/** Why a wait was cut short by `reconnect()`. */
const DIAL_NOW = Symbol("dial now");

/**
 * Base class of feeds over WebSocket. A venue writes where to dial (`endpoint`), how to read a frame
 * (`receive`) and how to ask for something (`request`); the rest is here:
 *
 * - However a connection ends, on every runtime, it is noticed, and another one is made after a wait
 *   that doubles up to `maxWait`. Only a fatal ending, `maxRetries` or `close()` ends the feed.
 * - Subscriptions are a state, not messages: every new connection is asked for all of them, each
 *   once, after `handshake` and never before; later changes are asked for as they come, in batches.
 * - What has ended is not heard any more: no frame, no event, no timer of an old connection.
 * - A frame that cannot be read and a listener that throws are reported to `error`; the connection
 *   stays.
 *
 * @typeParam T What the feed delivers.
 * @typeParam S What is subscribed to.
 *
 * @example A venue that wants a login
 * ```ts
 * import { FeedError, WebSocketFeeder } from "@aio-trader/core";
 *
 * class OrderFeed extends WebSocketFeeder<{ id: string }, never> {
 *   #login = Promise.withResolvers<void>();
 *
 *   protected override endpoint() {
 *     return { url: "wss://venue.example/orders", headers: { "x-client": "aio-trader" } };
 *   }
 *   protected override async handshake() {
 *     this.#login = Promise.withResolvers();
 *     this.send('{"op":"login","token":"…"}');
 *     await this.#login.promise; // settled by receive; given up after connectTimeout
 *   }
 *   protected override receive(data: string | ArrayBuffer) {
 *     const message = JSON.parse(String(data));
 *     if (message.op !== "login") this.emit(message);
 *     else if (message.ok) this.#login.resolve();
 *     else this.#login.reject(new FeedError("Cannot log in: wrong token", { fatal: true }));
 *   }
 *   protected override request() {
 *     return [];
 *   }
 * }
 *
 * await using feed = new OrderFeed();
 * feed.on("retry", ({ attempt, delay }) => console.log(`attempt ${attempt} in ${delay} ms`));
 * ```
 */
export abstract class WebSocketFeeder<T, S = string> extends AbstractFeeder<T> {
  // `declare` defines nothing, so that a subclass may have a field or a getter.
  /** Most subscriptions in one call of `request`. No limit unless given. */
  declare protected readonly batch?: number;
  /** Most subscriptions at a time. No limit unless given. */
  declare protected readonly limit?: number;

  readonly #options: ValidOptions;
  readonly #desired = new Map<unknown, S>();
  /** Every connection that has not ended, the one being made too. */
  readonly #connections = new Set<Connection>();
  /** Those of them that are live: one, or two while one replaces the other. */
  readonly #live = new Map<Connection, Subscriptions<S>>();
  readonly #stats: FeedStats = { attempts: 0, connections: 0, frames: 0, items: 0 };
  readonly #connected = Promise.withResolvers<void>();
  readonly #closed = Promise.withResolvers<FeedError | undefined>();
  #state: FeedState = "idle";
  #error: FeedError | undefined;
  /** Cuts a wait short. */
  #hurry = new AbortController();
  /** What `send` uses: the connection that a hook is being called for, else the one that is live. */
  #current: Connection | undefined;
  #sender: Connection | undefined;
  /** How the latest connection ended, and when. */
  #ending: Ending | undefined;
  #downSince = 0;
  /** What was delivered since the replacement of a connection began. */
  #handover: Handover | undefined;
  /** Whether `reconnect()` has been called since the feed was live. */
  #isAsked = false;

  /**
   * Makes a feed. It does nothing until `connect()`.
   *
   * @param options Timeouts, retries, pace.
   * @throws {RangeError} If a number in `options` is out of its range.
   */
  constructor(options: WebSocketFeederOptions = {}) {
    super();
    this.#options = validate(options);
    // Told by `closed` too: nobody has to listen to both.
    this.#connected.promise.catch(() => {});
    const { signal } = this.#options;
    if (signal?.aborted) this.#finish();
    else if (signal) {
      const close = () => void this.close();
      signal.addEventListener("abort", close);
      this.closed.then(() => signal.removeEventListener("abort", close));
    }
  }

  /** Where the feed stands. */
  get state(): FeedState {
    return this.#state;
  }

  /** Resolves, never rejects, once the feed is closed: to the error that ended it, or undefined. */
  get closed(): Promise<FeedError | undefined> {
    return this.#closed.promise;
  }

  /** What is subscribed to, by key: what every connection is brought to. */
  get subscriptions(): ReadonlyMap<unknown, S> {
    return this.#desired;
  }

  /** Counts since the feed was made; they go on counting. */
  get stats(): Readonly<FeedStats> {
    return this.#stats;
  }

  /**
   * Connects, and stays connected until `close()` or a fatal ending. Calling it again returns the
   * same promise.
   *
   * @returns A promise that resolves once the feed is live for the first time.
   * @throws {FeedError} If the feed ends before: the error that `closed` resolves to. If the signal
   *   ended it, its reason.
   */
  override connect(): Promise<void> {
    if (this.#state === "closing" || this.#state === "closed") return Promise.reject(this.#over());
    if (this.#state === "idle") {
      const { batch = 1 } = this;
      if (!(batch >= 1)) {
        return Promise.reject(
          new RangeError(`Cannot connect the feed: batch is ${batch}, wanted at least 1`),
        );
      }
      void this.#run();
    }
    return this.#connected.promise;
  }

  /**
   * Closes the feed, for good, in any state: sends `goodbye()`, closes the socket and waits for the
   * venue's answer, at most `closeTimeout`.
   *
   * A venue that never answers can be hung up on in Bun only: Deno and Node have no call for it, and
   * keep a process alive until the venue closes its end (or the process exits by its own call).
   *
   * @returns A promise that resolves once the feed is closed.
   */
  override async close(): Promise<void> {
    if (this.#state === "idle") this.#finish();
    else if (this.#state !== "closing" && this.#state !== "closed") {
      this.#setState("closing");
      this.#hurry.abort();
      for (const connection of this.#connections) {
        if (this.#live.has(connection)) void this.#part(connection);
        else connection.end({ reason: "closed by us" });
      }
    }
    await this.closed;
  }

  /**
   * Replaces the connection: ends the live one, which is repeated as any other, with its wait; or
   * cuts the wait for the next attempt short, and counts attempts anew. It does nothing while one is
   * being made, or when there is none to replace, and nothing more until the feed is live again:
   * whoever calls it too often does not flood the venue with connections.
   *
   * @param reason Why, for the `retry` event.
   */
  reconnect(reason = "reconnect"): void {
    if (this.#isAsked || (this.#state !== "live" && this.#state !== "waiting")) return;
    this.#isAsked = true;
    if (this.#state === "live") this.#endAll({ reason });
    else this.#hurry.abort(DIAL_NOW);
  }

  /**
   * Adds to what is subscribed to, in any state. The venue is asked once the feed is live, and again
   * on every new connection; what is undone within the same turn is never asked.
   *
   * @param subs What to subscribe to. One with a key that is there already replaces it.
   * @throws {RangeError} If there would be more than `limit`; then nothing has changed.
   */
  subscribe(...subs: S[]): void {
    const wanted = new Map(subs.map((sub) => [this.key(sub), sub]));
    const limit = this.limit ?? Infinity;
    const added = [...wanted.keys()].filter((key) => !this.#desired.has(key));
    const size = this.#desired.size + added.length;
    if (size > limit) {
      throw new RangeError(
        `Cannot subscribe: there would be ${size} subscriptions, wanted at most ${limit}`,
      );
    }
    for (const [key, sub] of wanted) {
      this.#desired.set(key, sub);
      this.#mark(key);
    }
  }

  /**
   * Takes away from what is subscribed to, in any state.
   *
   * @param subs What to unsubscribe from, found by `key`. One that is not there is ignored.
   */
  unsubscribe(...subs: S[]): void {
    for (const sub of subs) {
      const key = this.key(sub);
      if (this.#desired.delete(key)) this.#mark(key);
    }
  }

  /**
   * Replaces the connection as at the end of its `maxLifetime`, without a gap: for a venue that
   * announces its end. It is the one whose frame is being received, else the live one.
   */
  protected replace(): void {
    (this.#current ?? this.#sender)?.retire();
  }

  /**
   * Says where to dial. Called for every attempt, so that a token in it may be a fresh one.
   *
   * @param signal Aborts when the attempt is over.
   * @returns The address, with protocols and headers where they are needed.
   */
  protected abstract endpoint(
    signal: AbortSignal,
  ): string | URL | Endpoint | Promise<string | URL | Endpoint>;

  /**
   * Reads one frame: decodes it and calls `emit` for each item in it. If it throws, that is reported
   * to `error` and the connection stays, unless it throws a fatal {@linkcode FeedError}: that ends
   * the feed. Keep it synchronous: frames do not wait for one another.
   *
   * @param data Text, or bytes.
   * @param attempt Which connection it came from, counted from 1. Two deliver at a time while one
   *   replaces the other (`maxLifetime`): a feed that keeps a state, such as a book, keeps one for each.
   */
  protected abstract receive(data: string | ArrayBuffer, attempt: number): void;

  /**
   * Writes the frames that ask the venue.
   *
   * @param op What to ask for.
   * @param subs What for: at most `batch`.
   * @returns One frame, or several in their order.
   */
  protected abstract request(
    op: "subscribe" | "unsubscribe",
    subs: S[],
  ): Frame | Iterable<Frame>;

  /**
   * Logs in, before anything is subscribed to. Answers come to `receive` meanwhile: keep a promise
   * there that it settles. Whatever this rejects with ends the attempt.
   *
   * @param _signal Aborts when the attempt is over.
   * @param _send Sends over this connection, as `send` does. After an `await`, `send` itself means the
   *   live connection where there is one, which this one may be about to replace (`maxLifetime`).
   */
  protected handshake(
    _signal: AbortSignal,
    _send: (frame: Frame) => boolean,
  ): void | Promise<void> {}

  /**
   * Writes what is sent every `pingInterval`.
   *
   * @returns A frame, or nothing.
   */
  protected ping(): Frame | undefined {
    return undefined;
  }

  /**
   * Writes what is sent before the socket is closed.
   *
   * @returns A frame, or nothing.
   */
  protected goodbye(): Frame | undefined {
    return undefined;
  }

  /**
   * Tells subscriptions apart. Subscribing to another value with the same key (another depth of the
   * same book, say) unsubscribes from the old one first.
   *
   * @param sub A subscription.
   * @returns The subscription itself if it is no object, else its JSON.
   */
  protected key(sub: S): unknown {
    return typeof sub === "object" ? fingerprint(sub) : sub;
  }

  /**
   * Tells items apart, so that those which both connections deliver while one replaces the other
   * (`maxLifetime`) come only once, and the old one is kept until both have delivered the same item,
   * which proves that there is no gap, at most for `connectTimeout`. What it returned is kept only
   * meanwhile: items from before, which a venue may repeat to a new subscriber, come again.
   *
   * @param _item An item.
   * @returns Something that no other item has, such as its sequence number. Unless overridden,
   *   undefined: the item is delivered however often it comes.
   */
  protected identify(_item: T): unknown {
    return undefined;
  }

  /**
   * Says whether another attempt is pointless after this ending. A venue adds its own codes with
   * `super.isFatal(ending) || ending.code === 4001`.
   *
   * @param ending How the connection ended.
   * @returns `true` for the status 401 or 403 and the codes 1003, 1007, 1009 and 1010. 1008 is not
   *   one: venues close with it for going too fast.
   */
  protected isFatal(ending: Ending): boolean {
    return FATAL_CODES.has(ending.code) || FATAL_STATUSES.has(ending.status);
  }

  /**
   * Makes the socket.
   *
   * @param url The address.
   * @param init The protocols, and headers if there are any.
   * @returns A WebSocket, or what behaves like one.
   * @throws {FeedError} If the address, a protocol or a header is none: a fatal one. What else this
   *   throws, where it is overridden, ends the attempt, and is told: it should quote no token.
   */
  protected createSocket(
    url: string,
    init: { protocols?: string | string[]; headers?: Record<string, string> },
  ): WebSocket {
    const { headers = {} } = init;
    const protocols = [init.protocols ?? []].flat();
    // Deno, Node and Bun take headers in an object; a browser would take that for a protocol.
    const isPlain = Object.keys(headers).length === 0;
    try {
      return new WebSocket(url, (isPlain ? protocols : { protocols, headers }) as string[]);
    } catch {
      // No cause is given: it quotes an address or a header, and with it perhaps a token.
      throw new FeedError(
        "Cannot dial: no socket can be made of what endpoint() gave, wanted a ws: or wss: URL, valid " +
          "protocols and headers, and a runtime that sends headers (Deno does from 2.5 on)",
        { fatal: true },
      );
    }
  }

  /** Delivers one item to every listener and every stream. */
  protected override emit(item: T): void {
    if (this.#handover && this.#isRepeated(item, this.#handover)) return;
    this.#stats.items++;
    super.emit(item);
  }

  /**
   * Sends a frame now, or as soon as `pace` allows unless the connection ends before. Nothing is
   * kept for the next connection. In `receive`, and in `handshake` until its first `await`, that is
   * the connection in question; else the one that is live, or being made if none is.
   *
   * @param frame The frame.
   * @returns Whether the socket is open; `false` if nothing was, or will be, sent.
   */
  protected send(frame: Frame): boolean {
    const connection = this.#current ?? this.#sender;
    return connection !== undefined && connection.send(frame);
  }

  /**
   * Takes back a subscription that the venue refuses: it is reported to `error` and not asked again,
   * until it is subscribed to again.
   *
   * @param sub The subscription, found by `key`.
   * @param why What the venue said.
   */
  protected refuse(sub: S, why: string): void {
    const key = this.key(sub);
    for (const subscriptions of this.#live.values()) subscriptions.forget(key);
    if (this.#desired.delete(key)) {
      this.dispatch("error", new FeedError(`Cannot subscribe to ${String(key)}: ${why}`));
    }
  }

  /**
   * Has subscriptions asked for anew, unsubscribed first: for a book that no longer matches its
   * checksum, say.
   *
   * @param subs The subscriptions, found by `key`. One that is not there is ignored.
   */
  protected resubscribe(...subs: S[]): void {
    for (const sub of subs) this.#mark(this.key(sub), true);
  }

  /** The loop: `retry` around one session, begun again when `reconnect()` cuts a wait short. */
  async #run(): Promise<void> {
    while (true) {
      this.#hurry = new AbortController();
      try {
        await retry(() => this.#session(), {
          ...this.#options,
          signal: this.#hurry.signal,
          shouldRetry: (error) => error instanceof FeedError && error.retriable,
          onRetry: ({ attempt, delay }) => {
            this.#setState("waiting");
            this.dispatch("retry", { attempt, delay, ending: this.#ending! });
          },
        })();
      } catch (error) {
        if (error === DIAL_NOW) continue;
        return this.#finish(this.#state === "closing" ? undefined : error as FeedError);
      }
    }
  }

  /** One connection and those that replace it, until there is none: throws how the last one ended. */
  async #session(): Promise<never> {
    this.#setState("connecting");
    let connection = await this.#establish();
    if (!connection.ending) this.#announce(connection);
    while (!connection.ending) connection = await this.#replace(connection);
    this.#ending = connection.ending;
    this.#downSince = performance.now();
    throw this.#failure(connection.ending, connection.uptime);
  }

  /** Makes a connection: dials, logs in, starts its timers. It may have ended when this resolves. */
  async #establish(): Promise<Connection> {
    const { connectTimeout, staleAfter, pingInterval, pace, tap } = this.#options;
    const attempt = ++this.#stats.attempts;
    const report = (message: string, cause: unknown) => this.#report(message, cause);
    const connection = new Connection({ attempt, pace, tap, report });
    this.#connections.add(connection);
    connection.ended.then(() => this.#forget(connection));
    const stopTimer = connection.after(
      connectTimeout,
      () => connection.end({ reason: `not live within ${connectTimeout} ms` }),
    );
    try {
      // A listener of `state` may have closed the feed.
      if (this.#state === "closing") throw this.#over();
      const endpoint = await connection.unlessEnded(this.endpoint(connection.signal));
      const receive = (data: string | ArrayBuffer) => this.#receive(connection, data);
      await connection.unlessEnded(connection.attach(this.#dial(endpoint), receive));
      if (this.#live.size === 0) this.#sender = connection;
      await connection.unlessEnded(this.#shake(connection));
    } catch (cause) {
      const { name } = Object(cause);
      connection.end({ cause, reason: `endpoint(), createSocket() or handshake() threw ${name}` });
      return connection;
    }
    stopTimer();
    connection.liveSince = performance.now();
    if (staleAfter > 0) connection.watch(staleAfter);
    if (pingInterval > 0) this.#keepPinging(connection, pingInterval);
    const subscriptions = new Subscriptions<S>(connection, {
      batch: this.batch ?? Infinity,
      write: (change) => this.#writeRequest(change),
    });
    for (const [key, sub] of this.#desired) subscriptions.mark(key, sub);
    this.#live.set(connection, subscriptions);
    return connection;
  }

  /** Logs in, over this connection. */
  #shake(connection: Connection): void | Promise<void> {
    this.#current = connection;
    try {
      return this.handshake(connection.signal, (frame) => connection.send(frame));
    } finally {
      this.#current = undefined;
    }
  }

  #announce(connection: Connection): void {
    this.#sender = connection;
    this.#isAsked = false;
    const count = ++this.#stats.connections;
    const resumed = count > 1;
    const downtime = resumed && this.#state !== "live" ? performance.now() - this.#downSince : 0;
    this.#setState("live");
    if (this.#state !== "live") return; // a listener of `state` has closed the feed
    this.dispatch("live", { connection: count, resumed, downtime });
    this.#connected.resolve();
    void this.#live.get(connection)?.flush();
  }

  /** Replaces a connection at the end of its lifetime. Resolves to the one that is live then. */
  async #replace(old: Connection): Promise<Connection> {
    const { maxLifetime } = this.#options;
    await old.lives(maxLifetime || Infinity);
    if (old.ending) return old;
    try {
      const next = await retry(() => this.#succeed(old), {
        ...this.#options,
        maxRetries: Infinity,
        signal: old.signal,
        shouldRetry: (error) => (error as FeedError).retriable,
        onRetry: ({ attempt, delay }) => {
          if (old.ending || this.#state !== "live") return; // it was meant to end
          this.dispatch("retry", { attempt, delay, ending: this.#ending! });
        },
      })();
      await this.#handover?.catchUp(next);
      return next;
    } catch (error) {
      // What keeps us from replacing it will be met again when it has ended by itself.
      if (!old.ending && this.#state === "live") {
        this.#report("Cannot replace the connection", error);
      }
      await old.ended;
      return old;
    } finally {
      this.#handover = undefined;
    }
  }

  /** Makes a connection beside the old one and, once it delivers as well, drops the old one. */
  async #succeed(old: Connection): Promise<Connection> {
    const handover = new Handover(old, this.#options);
    this.#handover = handover;
    const next = await this.#establish();
    if (!next.ending) await handover.overlap(next, this.#live.get(next)!.flush());
    if (next.ending) {
      this.#handover = undefined;
      this.#ending = next.ending;
      throw this.#failure(next.ending, 0);
    }
    if (this.#state !== "live") return next; // closing
    next.liveSince = old.liveSince; // to the feed, it is one life
    this.#live.delete(old);
    if (!old.ending) void this.#part(old);
    this.#announce(next);
    return next;
  }

  #forget(connection: Connection): void {
    this.#connections.delete(connection);
    this.#live.delete(connection);
    // What was to replace a connection that has ended starts again with the next session.
    if (this.#live.size === 0) this.#endAll({ reason: "the one it was to replace has ended" });
  }

  #endAll(ending: Partial<Ending>): void {
    for (const connection of this.#connections) connection.end(ending);
  }

  #dial(endpoint: string | URL | Endpoint): WebSocket {
    const { url, ...init } = typeof endpoint === "string" || endpoint instanceof URL
      ? { url: endpoint }
      : endpoint;
    return this.createSocket(String(url), init);
  }

  #receive(connection: Connection, data: string | ArrayBuffer): void {
    this.#stats.frames++;
    this.#current = connection;
    try {
      const result: unknown = this.receive(data, connection.attempt);
      if (result instanceof Promise) {
        result.catch((error) => connection.ending || this.#threw("receive", error));
      }
    } catch (error) {
      this.#threw("receive", error);
    }
    this.#current = undefined;
  }

  /** Reports what a hook threw, unless that is to end the feed. */
  #threw(hook: keyof typeof TASKS, error: unknown): void {
    if (error instanceof FeedError && error.fatal) this.#endAll({ cause: error });
    else this.#report(`Cannot ${TASKS[hook]}: ${hook}() threw`, error);
  }

  #isRepeated(item: T, handover: Handover): boolean {
    try {
      const id = this.identify(item);
      return id !== undefined && handover.isRepeated(id, this.#current);
    } catch (error) {
      this.#threw("identify", error);
      return false;
    }
  }

  #mark(key: unknown, anew = false): void {
    for (const subscriptions of this.#live.values()) {
      subscriptions.mark(key, this.#desired.get(key), anew);
      void subscriptions.flush();
    }
  }

  /** Writes the frames of one request. */
  #writeRequest({ op, subs }: Change<S>): Frame[] {
    try {
      const frames = this.request(op, subs);
      return isFrame(frames) ? [frames] : [...frames];
    } catch (error) {
      this.#threw("request", error);
      return [];
    }
  }

  /** Sends what `ping()` returns, time and again; one that waits for its pace is not joined by another. */
  #keepPinging(connection: Connection, interval: number): void {
    let isWaiting = false;
    connection.every(interval, async () => {
      if (isWaiting) return;
      try {
        const frame = this.ping();
        if (frame === undefined) return;
        isWaiting = true;
        await connection.paced(() => connection.write(frame));
      } catch (error) {
        this.#threw("ping", error);
      }
      isWaiting = false;
    });
  }

  /** Sends `goodbye()` and closes, within `closeTimeout`. */
  async #part(connection: Connection): Promise<void> {
    const { closeTimeout } = this.#options;
    connection.mute();
    connection.after(closeTimeout, () => connection.end({ reason: "closed by us, unanswered" }));
    try {
      const frame = this.goodbye();
      if (frame !== undefined) await connection.paced(() => connection.write(frame));
    } catch (error) {
      this.#report("Cannot say goodbye: goodbye() threw", error);
    }
    if (!connection.ending) connection.close();
  }

  /** The error that tells of an ending: the venue class's own, where it threw one. */
  #failure(ending: Ending, uptime: number): FeedError {
    const { cause, code, reason, opened } = ending;
    if (cause instanceof FeedError) return cause;
    let fatal = false;
    try {
      fatal = this.isFatal(ending);
    } catch (error) {
      this.#report("Cannot tell whether an ending is fatal: isFatal() threw", error);
    }
    const state = opened ? "the connection ended" : "the connection could not be made";
    return new FeedError(
      `Cannot keep the feed up: ${state} (${code}${reason && `, ${reason}`})`,
      { cause, ending, uptime, fatal },
    );
  }

  #report(message: string, cause: unknown): void {
    this.dispatch("error", cause instanceof FeedError ? cause : new FeedError(message, { cause }));
  }

  #setState(state: FeedState): void {
    const previous = this.#state;
    this.#state = state;
    if (state !== previous) this.dispatch("state", { state, previous });
  }

  #finish(error?: FeedError): void {
    this.#error = error;
    this.#setState("closed");
    this.end(error);
    this.#connected.reject(this.#over());
    this.#closed.resolve(error);
  }

  /** Why there is nothing to connect to any more. */
  #over(): unknown {
    const { signal } = this.#options;
    if (this.#error) return this.#error;
    if (signal?.aborted) return signal.reason;
    return new FeedError("Cannot connect the feed: it is closed, wanted a new one", {
      fatal: true,
    });
  }
}

/** Fills in the defaults. */
function validate(options: WebSocketFeederOptions): ValidOptions {
  const {
    connectTimeout = 10_000,
    closeTimeout = 2_000,
    staleAfter = 0,
    pingInterval = 0,
    maxLifetime = 0,
    overlap = 1_000,
    maxRetries = Infinity,
    baseWait = 500,
    maxWait = 30_000,
    resetRetryAfter = 30_000,
    jitter = 1,
    pace,
    signal,
    tap,
  } = options;
  const durations = {
    connectTimeout,
    closeTimeout,
    staleAfter,
    pingInterval,
    maxLifetime,
    overlap,
  };
  if (connectTimeout === 0) {
    throw new RangeError("Cannot make a feed: connectTimeout is 0, wanted milliseconds > 0");
  }
  for (const [name, value] of Object.entries(durations)) {
    if (typeof value !== "number" || !(value >= 0)) {
      throw new RangeError(`Cannot make a feed: ${name} is ${value}, wanted milliseconds >= 0`);
    }
  }
  const retries = { maxRetries, baseWait, maxWait, resetRetryAfter, jitter };
  retry(retries); // one out of range is heard of now, not in connect()
  return { ...durations, ...retries, pace, signal, tap };
}

function isFrame(frames: Frame | Iterable<Frame>): frames is Frame {
  return typeof frames === "string" || frames instanceof ArrayBuffer || ArrayBuffer.isView(frames);
}
