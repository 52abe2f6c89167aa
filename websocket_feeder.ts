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

import { checkNumber } from "./common/check.ts";
import { AbstractFeeder, type Ending, FeedError, type FeedState } from "./feeder.ts";
import { Connection, type FeedConnection, type Frame } from "./websocket_feeder/connection.ts";
import { type Delivering, Delivery } from "./websocket_feeder/delivery.ts";
import { fingerprint } from "./websocket_feeder/fingerprint.ts";
import type { Host } from "./websocket_feeder/host.ts";
import { Lifecycle } from "./websocket_feeder/lifecycle.ts";
import {
  complete,
  type Endpoint,
  type FeedOptions,
  type WebSocketFeederOptions,
} from "./websocket_feeder/options.ts";
import { type AskOptions, notSent } from "./websocket_feeder/questions.ts";
import { QuietWatch } from "./websocket_feeder/quiet.ts";
import { Reader } from "./websocket_feeder/reader.ts";
import type { Gap } from "./websocket_feeder/recovery.ts";
import type { Asking, Change } from "./websocket_feeder/subscriptions.ts";
import { Wanted } from "./websocket_feeder/wanted.ts";

export type { FeedConnection, Frame } from "./websocket_feeder/connection.ts";
export type { Endpoint, WebSocketFeederOptions } from "./websocket_feeder/options.ts";
export type { AskOptions } from "./websocket_feeder/questions.ts";
export type { Gap } from "./websocket_feeder/recovery.ts";

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

/** Options of {@linkcode WebSocketFeeder.refuse}. */
export interface RefuseOptions {
  /**
   * How long to wait before the subscription is asked for again, in milliseconds. Refused again soon
   * after, it waits longer: the waits double from one second to `maxWait`. Unless given, it is not
   * asked for again.
   */
  retryAfter?: number;
}

/** Close codes that the next attempt would meet again. */
const FATAL_CODES: ReadonlySet<number> = new Set([1003, 1007, 1009, 1010]);

/** Refusals of the upgrade that the next attempt would meet again. */
const FATAL_STATUSES: ReadonlySet<number | undefined> = new Set([401, 403]);

/** What a hook is for, where it may throw without ending anything. */
const TASKS: Readonly<Record<string, string>> = {
  receive: "read a frame",
  identify: "tell an item apart",
  keyOf: "tell which subscription an item belongs to",
  request: "ask for subscriptions",
  ping: "ping",
};

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
 * - After a loss, each item that the venue delivered or can still tell is delivered once, in the order
 *   of its subscription: see {@linkcode WebSocketFeeder.backfill}. The event `gap` tells of the time
 *   that was lost, and whether the feed has filled it.
 * - With `quietAfter`, a subscription that delivers nothing on a healthy connection is asked for again.
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

  readonly #options: FeedOptions;
  readonly #stats: FeedStats = { attempts: 0, connections: 0, frames: 0, items: 0 };
  readonly #connected = Promise.withResolvers<void>();
  readonly #closed = Promise.withResolvers<FeedError | undefined>();
  readonly #reader: Reader;
  readonly #delivery: Delivery<T>;
  readonly #wanted: Wanted<S>;
  /** Off without `quietAfter`. */
  readonly #quiet: QuietWatch | undefined;
  readonly #lifecycle: Lifecycle;
  /** The live connection that `subscribed` has not been told of. */
  #untold: Connection | undefined;

  /**
   * Makes a feed. It does nothing until `connect()`.
   *
   * @param options Timeouts, retries, pace.
   * @throws {RangeError} If a number in `options` is out of its range.
   * @throws {TypeError} If an option is of the wrong type.
   */
  constructor(options: WebSocketFeederOptions = {}) {
    super();
    this.#options = complete(options);
    this.#reader = new Reader({
      receive: (data, connection) => this.receive(data, connection),
      threw: (error) => this.#threw("receive", error),
      patience: this.#options.connectTimeout,
    });
    this.#delivery = new Delivery(this.#delivering(), this.#options);
    this.#wanted = new Wanted(this.#asking(), this.#options);
    this.#quiet = this.#watch();
    this.#lifecycle = new Lifecycle(this.#host(), this.#options, (handover) => {
      this.#delivery.handOver(handover);
    });
    // Told by `closed` too: nobody has to listen to both.
    this.#connected.promise.catch(() => {});
    const { signal } = this.#options;
    if (signal?.aborted) this.#lifecycle.close();
    else if (signal) {
      const close = () => void this.close();
      signal.addEventListener("abort", close);
      this.closed.then(() => signal.removeEventListener("abort", close));
    }
  }

  /** Where the feed stands. */
  get state(): FeedState {
    return this.#lifecycle.phase.state;
  }

  /** Resolves, never rejects, once the feed is closed: to the error that ended it, or undefined. */
  get closed(): Promise<FeedError | undefined> {
    return this.#closed.promise;
  }

  /** What is subscribed to, by key: what every connection is brought to. */
  get subscriptions(): ReadonlyMap<unknown, S> {
    return this.#wanted.all;
  }

  /** Counts since the feed was made; they go on counting. */
  get stats(): Readonly<FeedStats> {
    return this.#stats;
  }

  /**
   * Connects, and stays connected until `close()` or a fatal ending. Calling it again returns the
   * same promise.
   *
   * - A first attempt that fails is told to the listeners of `error`; the feed goes on trying.
   * - Items that came with the login wait for the caller: a `for await` begun right after
   *   `await feed.connect()` gets them.
   *
   * @returns A promise that resolves once the feed is live for the first time.
   * @throws {FeedError} If the feed ends before: the error that `closed` resolves to. If the signal
   *   ended it, its reason.
   * @throws {RangeError} If `batch` is below 1.
   * @throws {TypeError} If the class has a `ping()` and there is no `pingInterval`, or the reverse.
   */
  override connect(): Promise<void> {
    const { state } = this.#lifecycle.phase;
    if (state === "closing" || state === "closed") return Promise.reject(this.#over());
    if (state === "idle") {
      try {
        this.#checkClass();
      } catch (error) {
        return Promise.reject(error);
      }
      this.#lifecycle.connect();
    }
    return this.#connected.promise;
  }

  /**
   * Closes the feed, for good, in any state: waits for the answers that are due, sends `goodbye()`,
   * closes the socket and waits for the venue's answer, all of it for at most `closeTimeout`.
   *
   * A venue that never answers can be hung up on in Bun only: Deno and Node have no call for it, and
   * keep a process alive until the venue closes its end (or the process exits by its own call).
   *
   * @returns A promise that resolves once the feed is closed.
   */
  override async close(): Promise<void> {
    this.#lifecycle.close();
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
    this.#lifecycle.reconnect(reason);
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
    const { limit = Infinity } = this;
    const size = this.#wanted.sizeWith(wanted);
    if (size > limit) {
      throw new RangeError(
        `Cannot subscribe: there would be ${size} subscriptions, wanted at most ${limit}`,
      );
    }
    this.#wanted.add(wanted);
  }

  /**
   * Takes away from what is subscribed to, in any state.
   *
   * @param subs What to unsubscribe from, found by `key`. One that is not there is ignored.
   */
  unsubscribe(...subs: S[]): void {
    for (const sub of subs) this.#wanted.remove(this.key(sub));
  }

  /**
   * Replaces the connection as at the end of its `maxLifetime`, without a gap: for a venue that
   * announces its end. It is the one whose frame is being received, else the live one.
   */
  protected replace(): void {
    (this.#reader.hook ?? this.#lifecycle.connection)?.retire();
  }

  /**
   * Sends a frame now, or as soon as `pace` allows unless the connection ends before. Nothing is
   * kept for the next connection. In a hook, until its first `await`, it goes over the connection
   * that the hook is called for; else over the one that is live, or being made if none is.
   *
   * @param frame The frame.
   * @returns Whether the socket is open; `false` if nothing was, or will be, sent.
   */
  protected send(frame: Frame): boolean {
    return (this.#reader.hook ?? this.#lifecycle.connection)?.send(frame) ?? false;
  }

  /**
   * Sends a frame over the live connection and waits for its answer, as
   * {@linkcode FeedConnection.ask} does: for orders over the socket.
   *
   * @param id What the answer is known by: never used before on this feed.
   * @param frame The frame.
   * @param options How long to wait.
   * @returns A promise of the answer. Nobody has to handle its rejection.
   * @throws {BrokerError} If there is no answer: with the outcome `"not-sent"` where the frame never
   *   left, as without a live connection, else `"unknown"`.
   */
  protected ask<R = unknown>(id: unknown, frame: Frame, options?: AskOptions): Promise<R> {
    const { phase } = this.#lifecycle;
    const connection = this.#reader.hook ?? (phase.state === "live" ? phase.connection : undefined);
    if (connection) return connection.ask(id, frame, options);
    if (phase.state === "closing" || phase.state === "closed") {
      return notSent("closed", "the feed is closed");
    }
    return notSent("network", "there is no live connection");
  }

  /**
   * Notes that the venue has granted subscriptions, for venues that confirm them: with the option
   * `confirmTimeout`. Called from `receive`, it counts for that connection.
   *
   * @param subs The subscriptions, found by `key`. One that was not asked for is ignored.
   */
  protected confirm(...subs: S[]): void {
    const connection = this.#inQuestion ?? this.#lifecycle.connection;
    if (!connection) return;
    for (const sub of subs) this.#wanted.confirm(this.key(sub), connection);
  }

  /**
   * Notes that the venue refuses a subscription, which is reported to `error`. Without `retryAfter`
   * it is taken back, and not asked for until it is subscribed to again; with it, it is asked for
   * again later.
   *
   * @param sub The subscription, found by `key`.
   * @param why What the venue said.
   * @param options When to ask again.
   * @throws {RangeError} If `retryAfter` is negative.
   */
  protected refuse(sub: S, why: string, options: RefuseOptions = {}): void {
    const { retryAfter } = options;
    const key = this.key(sub);
    if (retryAfter === undefined) {
      if (!this.#wanted.refuse(key)) return;
      return this.dispatch("error", new FeedError(`Cannot subscribe to ${String(key)}: ${why}`));
    }
    checkNumber("Cannot refuse a subscription", "retryAfter", retryAfter, { unit: "milliseconds" });
    const wait = this.#wanted.postpone(key, retryAfter);
    if (wait === undefined) return;
    const message = `Cannot subscribe to ${String(key)} now: ${why}; asked again in ${wait} ms`;
    this.dispatch("error", new FeedError(message));
  }

  /**
   * Has subscriptions asked for anew, unsubscribed first: for a book that no longer matches its
   * checksum, say. The first time that is done at once. Soon after another time it waits: the waits
   * double from one second to `maxWait`, and after eleven times in a row one takes ten minutes. A
   * subscription that was left alone for `resetRetryAfter` counts anew.
   *
   * @param subs The subscriptions, found by `key`. One that is not there is ignored.
   */
  protected resubscribe(...subs: S[]): void {
    for (const sub of subs) this.#wanted.repair(this.key(sub));
  }

  /**
   * Delivers one item to every listener and every stream, unless the connection that it came from
   * has ended. Items that came before the event `live` wait for it.
   *
   * @param item The item.
   * @param connection Where it came from. Unless given, that of the frame that is being read, if any.
   */
  protected override emit(item: T, connection?: FeedConnection): void {
    const from = connection as Connection | undefined ?? this.#inQuestion ??
      this.#delivery.arriving;
    if (this.#quiet) this.#hear(item, this.#quiet);
    if (this.#delivery.isDue(item, from)) this.#deliver(item);
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
   * the feed.
   *
   * It may return a promise, to decompress, say. All frames then wait for the one before, so order
   * is kept, and nothing is delivered that comes of it after its connection has ended. So it must
   * not await an answer (`ask`), which waits behind it.
   *
   * @param data Text, or bytes.
   * @param connection Where it came from. Two deliver at a time while one replaces the other
   *   (`maxLifetime`): a feed that keeps a state, such as a book, keeps one for each.
   */
  protected abstract receive(
    data: string | ArrayBuffer,
    connection: FeedConnection,
  ): void | Promise<void>;

  /**
   * Writes the frames that ask the venue. It may return a promise, for a signature, say: the frames
   * are sent once that has settled, over this connection or not at all.
   *
   * @param op What to ask for.
   * @param subs What for: at most `batch`.
   * @param connection Where it is asked.
   * @returns One frame, or several in their order.
   */
  protected abstract request(
    op: "subscribe" | "unsubscribe",
    subs: S[],
    connection: FeedConnection,
  ): Frame | Iterable<Frame> | Promise<Frame | Iterable<Frame>>;

  /**
   * Logs in, before anything is subscribed to and before the first frame is received. Answers come
   * to `receive` meanwhile, which gives them to `connection.answer`. Whatever this rejects with ends
   * the attempt.
   *
   * @param _connection The connection to log in over.
   */
  protected handshake(_connection: FeedConnection): void | Promise<void> {}

  /**
   * Writes what is sent every `pingInterval`.
   *
   * @param _connection Where it is sent.
   * @returns A frame, or nothing.
   */
  protected ping(_connection: FeedConnection): Frame | undefined | Promise<Frame | undefined> {
    return undefined;
  }

  /**
   * Writes what is sent before the socket is closed.
   *
   * @param _connection Where it is sent.
   * @returns A frame, or nothing.
   */
  protected goodbye(_connection: FeedConnection): Frame | undefined | Promise<Frame | undefined> {
    return undefined;
  }

  /**
   * Tells subscriptions apart. Subscribing to another value with the same key (another depth of the
   * same book, say) unsubscribes from the old one first.
   *
   * @param sub A subscription.
   * @returns The subscription itself if it is no object, else its JSON, which does not depend on the
   *   order of properties.
   */
  protected key(sub: S): unknown {
    return typeof sub === "object" ? fingerprint(sub) : sub;
  }

  /**
   * Tells which subscription an item belongs to, for `quietAfter`.
   *
   * @param _item An item.
   * @returns The key of the subscription, as `key` gives it.
   */
  protected keyOf(_item: T): unknown {
    return undefined;
  }

  /**
   * Asks the venue for the items that the feed missed while it had no connection, by REST usually.
   * Called after each loss, once all is subscribed again:
   *
   * - Its items come before those of the new connection, which wait meanwhile: 65,536 at most; of more
   *   the oldest are dropped and told as a gap of their own.
   * - With `identify`, each item is delivered once, though both the backfill and a connection bring
   *   it. Without, such items come twice.
   * - If it throws, it is asked again with growing waits, for `backfillTimeout` at most. Then the event
   *   `gap` says that the gap is not filled, and why.
   * - If the connection is lost meanwhile, it is asked again later, about a gap that has grown.
   *
   * A class without it is told of every gap by the event `gap` alone.
   *
   * @param gap The time to ask about. `since` is up to a second before the last frame that was heard;
   *   the venue's clock may be behind ours, so ask from a little before.
   * @param signal Aborts when the answer is no longer wanted.
   * @returns The missed items, in order.
   */
  protected backfill?(gap: Gap, signal: AbortSignal): Iterable<T> | Promise<Iterable<T>>;

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

  /** The connection whose hook is running, as far as that is known. */
  get #inQuestion(): Connection | undefined {
    return this.#reader.hook ?? this.#reader.reading;
  }

  #deliver(item: T): void {
    this.#stats.items++;
    super.emit(item);
  }

  /** What the rooms of the feed call: its hooks, and its voice. */
  #host(): Host {
    const during = <R>(connection: Connection, hook: () => R) =>
      this.#reader.during(connection, hook);
    return {
      open: () => this.#makeConnection(++this.#stats.attempts),
      endpoint: (signal) => this.endpoint(signal),
      createSocket: (url, init) => this.createSocket(url, init),
      handshake: (connection) => during(connection, () => this.#handshake(connection)),
      receive: (connection, data) => {
        this.#stats.frames++;
        this.#reader.read(connection, data);
      },
      ping: (connection) => during(connection, () => this.ping(connection)),
      goodbye: (connection) => during(connection, () => this.goodbye(connection)),
      isFatal: (ending) => this.isFatal(ending),
      subscribe: (connection) => {
        const subscriptions = this.#wanted.begin(connection);
        void subscriptions.flush();
        return subscriptions.done;
      },
      moved: (state, previous) => this.dispatch("state", { state, previous }),
      live: (connection, downtime) => this.#announce(connection, downtime),
      left: (connection) => this.#wanted.leave(connection),
      lost: (connection) => {
        this.#quiet?.stop();
        this.#delivery.recovery.lose(connection.heardAt);
      },
      ended: (connection) => this.#forget(connection),
      closed: (error) => this.#close(error),
      tell: (type, event) => {
        if (type !== "error" || this.hasListener("error")) this.dispatch(type, event as never);
      },
      threw: (hook, error) => this.#threw(hook, error),
      report: (message, cause) => this.#report(message, cause),
    };
  }

  /** How items are told apart, and gaps filled. */
  #delivering(): Delivering<T> {
    const backfill = () =>
      this.backfill && ((gap: Gap, signal: AbortSignal) => this.backfill!(gap, signal));
    return {
      emit: (item) => this.#deliver(item),
      identify: (item) => this.#identify(item),
      get backfill() {
        return backfill();
      },
      tell: (gap) => this.dispatch("gap", gap),
    };
  }

  /** Finds subscriptions that deliver nothing, and has them asked for again. */
  #watch(): QuietWatch | undefined {
    if (this.#options.quietAfter === 0) return undefined;
    return new QuietWatch((key, duration) => {
      this.dispatch("quiet", { key, subscription: this.#wanted.all.get(key), duration });
      this.#wanted.repair(key);
    });
  }

  #quietAfter(sub: S): number {
    const { quietAfter } = this.#options;
    return typeof quietAfter === "number" ? quietAfter : quietAfter(sub as never);
  }

  #hear(item: T, quiet: QuietWatch): void {
    try {
      quiet.hear(this.keyOf(item));
    } catch (error) {
      this.#threw("keyOf", error);
    }
  }

  /** How the venue is asked for subscriptions. */
  #asking(): Asking<S> {
    const batch = () => this.batch ?? Infinity;
    return {
      get batch() {
        return batch();
      },
      confirmTimeout: this.#options.confirmTimeout,
      write: (change, connection) => this.#write(change, connection),
      done: (connection) => this.#tellSubscribed(connection),
      unconfirmed: (keys, connection) => this.#giveUp(keys, connection),
    };
  }

  #makeConnection(attempt: number): Connection {
    const { pace, tap } = this.#options;
    const report = (message: string, cause: unknown) => this.#report(message, cause);
    return new Connection({ attempt, pace, tap, report });
  }

  /** Logs in. Items that come with the login wait, unless another connection is live. */
  #handshake(connection: Connection): void | Promise<void> {
    if (this.#lifecycle.connection === connection) this.#delivery.hold(connection);
    return this.handshake(connection);
  }

  #announce(connection: Connection, downtime: number): void {
    const count = ++this.#stats.connections;
    this.#untold = connection;
    this.#quiet?.start();
    this.#delivery.recovery.resume();
    this.dispatch("live", { connection: count, resumed: count > 1, downtime });
    this.#connected.resolve();
    void this.#delivery.release(connection);
    this.#tellSubscribed(connection);
  }

  #tellSubscribed(connection: Connection): void {
    if (connection !== this.#untold || !this.#wanted.isWhole(connection)) return;
    this.#untold = undefined;
    const { connections } = this.#stats;
    this.dispatch("subscribed", { connection: connections, count: this.#wanted.all.size });
    void this.#delivery.recovery.fill();
  }

  /** Reports what the venue does not confirm, and has the connection replaced. */
  #giveUp(keys: unknown[], connection: Connection): void {
    const names = keys.slice(0, 3).map(String).join(", ");
    const more = keys.length > 3 ? ` and ${keys.length - 3} more` : "";
    const message = `Cannot subscribe to ${names}${more}: asked again and again, never confirmed`;
    if (connection === this.#lifecycle.connection) connection.retire();
    else connection.end({ reason: "it confirms no subscriptions" });
    this.dispatch("error", new FeedError(message));
  }

  #forget(connection: Connection): void {
    this.#wanted.leave(connection);
    this.#reader.leave(connection);
    if (connection.liveSince < Infinity) this.#delivery.flush(connection);
    else this.#delivery.drop(connection);
  }

  #close(error: FeedError | undefined): void {
    this.#wanted.close();
    this.#reader.close();
    this.#quiet?.stop();
    this.#delivery.recovery.end();
    this.end(error);
    this.#connected.reject(this.#over());
    this.#closed.resolve(error);
  }

  #identify(item: T): unknown {
    try {
      return this.identify(item);
    } catch (error) {
      this.#threw("identify", error);
      return undefined;
    }
  }

  /** Writes the frames of one request. */
  #write({ op, subs }: Change<S>, connection: Connection): Frame[] | Promise<Frame[]> {
    const refused = (error: unknown) => {
      if (!connection.ending) this.#threw("request", error);
      return [];
    };
    try {
      if (this.#quiet) this.#attend(op, subs, this.#quiet);
      const frames = this.#reader.during(connection, () => this.request(op, subs, connection));
      return frames instanceof Promise ? frames.then(inList).catch(refused) : inList(frames);
    } catch (error) {
      return refused(error);
    }
  }

  /** Watches what is asked for from now on, and no more what is not wanted. */
  #attend(op: Change<S>["op"], subs: readonly S[], quiet: QuietWatch): void {
    for (const sub of subs) {
      const key = this.key(sub);
      if (op === "subscribe") quiet.watch(key, this.#quietAfter(sub));
      else if (!this.#wanted.all.has(key)) quiet.forget(key);
    }
  }

  /** Refuses a class that cannot work as it was written. */
  #checkClass(): void {
    const task = "Cannot connect the feed";
    checkNumber(task, "batch", this.batch ?? Infinity, { min: 1 });
    const { pingInterval } = this.#options;
    const hasPing = this.ping !== WebSocketFeeder.prototype.ping;
    if (hasPing && pingInterval === undefined) {
      throw new TypeError(`${task}: there is a ping() and no pingInterval, wanted both or none`);
    }
    if (!hasPing && pingInterval) {
      throw new TypeError(`${task}: there is a pingInterval and no ping(), wanted both or none`);
    }
    if (this.#quiet && this.keyOf === WebSocketFeeder.prototype.keyOf) {
      throw new TypeError(`${task}: there is a quietAfter and no keyOf(), wanted both`);
    }
  }

  /** Reports what a hook threw, unless that is to end the feed. */
  #threw(hook: string, error: unknown): void {
    if (error instanceof FeedError && error.fatal) {
      this.#lifecycle.endAll({ cause: error, reason: `${hook}() threw ${error.name}` });
    } else this.#report(`Cannot ${TASKS[hook]}: ${hook}() threw`, error);
  }

  #report(message: string, cause: unknown): void {
    this.dispatch("error", cause instanceof FeedError ? cause : new FeedError(message, { cause }));
  }

  /** Why there is nothing to connect to any more. */
  #over(): unknown {
    const { phase } = this.#lifecycle;
    const { signal } = this.#options;
    if (phase.state === "closed" && phase.error) return phase.error;
    if (signal?.aborted) return signal.reason;
    return new FeedError("Cannot connect the feed: it is closed, wanted a new one", {
      fatal: true,
    });
  }
}

function inList(frames: Frame | Iterable<Frame>): Frame[] {
  const isFrame = typeof frames === "string" || frames instanceof ArrayBuffer ||
    ArrayBuffer.isView(frames);
  return isFrame ? [frames as Frame] : [...frames as Iterable<Frame>];
}
