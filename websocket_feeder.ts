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
import { newSocket } from "./websocket_feeder/establish.ts";
import { fingerprint } from "./websocket_feeder/fingerprint.ts";
import type { Host } from "./websocket_feeder/host.ts";
import { Lifecycle } from "./websocket_feeder/lifecycle.ts";
import {
  checkClass,
  complete,
  type Endpoint,
  type FeedOptions,
  type FeedStats,
  type RefuseOptions,
  type WebSocketFeederOptions,
} from "./websocket_feeder/options.ts";
import { type AskOptions, notSent } from "./websocket_feeder/questions.ts";
import { QuietWatch } from "./websocket_feeder/quiet.ts";
import { Reader } from "./websocket_feeder/reader.ts";
import type { Gap } from "./websocket_feeder/recovery.ts";
import { type Asking, type Change, inList } from "./websocket_feeder/subscriptions.ts";
import { Wanted } from "./websocket_feeder/wanted.ts";

export type { FeedConnection, Frame } from "./websocket_feeder/connection.ts";
export type {
  Endpoint,
  FeedStats,
  RefuseOptions,
  WebSocketFeederOptions,
} from "./websocket_feeder/options.ts";
export type { AskOptions } from "./websocket_feeder/questions.ts";
export type { Gap } from "./websocket_feeder/recovery.ts";

// Longer than 350 lines: the class is the face of the rooms in its folder. Every public member and
// every hook stands here once, with the closure that hands it to its room.

/** Close codes that the next attempt would meet again. */
const FATAL_CODES: ReadonlySet<number> = new Set([1003, 1007, 1009, 1010]);

/** Refusals of the upgrade that the next attempt would meet again. */
const FATAL_STATUSES: ReadonlySet<number | undefined> = new Set([401, 403]);

/** Tasks of the hooks that may throw without ending anything, for messages. */
const TASKS: Readonly<Record<string, string>> = {
  receive: "read a frame",
  identify: "tell an item apart",
  keyOf: "tell which subscription an item belongs to",
  request: "ask for subscriptions",
  ping: "ping",
};

/**
 * Base class of feeds over WebSocket. A venue class says where to dial (`endpoint`), how to read a
 * frame (`receive`) and how to ask for subscriptions (`request`). The base class does the rest:
 *
 * - **It stays connected.** Every ending is noticed, on every runtime. The next attempt follows
 *   after a wait that doubles up to `maxWait`. Only a fatal ending, `maxRetries` or `close()` ends
 *   the feed.
 * - **It logs in first.** `handshake` runs before the first frame is received and before anything
 *   is subscribed to. The event `live` comes before the first item.
 * - **It keeps subscriptions as a state.** Every new connection is asked for all of them, once, in
 *   batches. With `confirmTimeout` the feed asks again until the venue has confirmed. The event
 *   `subscribed` tells that all is asked for, and confirmed.
 * - **It asks over the socket.** `ask` resolves to the venue's answer, or rejects with the fate of
 *   the frame: `"not-sent"` or `"unknown"`.
 * - **It tells gaps.** After a loss, each item that the venue delivered or can still tell is
 *   delivered once, in the order of its subscription: see {@linkcode WebSocketFeeder.backfill}. The
 *   event `gap` tells the time that was lost, and whether the feed has filled it. With `quietAfter`
 *   a subscription that delivers nothing on a healthy connection is asked for again.
 * - **It hears no old connection.** No frame, event or timer of an ended connection has an effect.
 * - **It survives faults.** A frame that cannot be read and a listener that throws are reported to
 *   `error`; the connection stays.
 *
 * The states, and the events that lead from one to another:
 *
 * ```text
 *         connect()            logged in
 *  idle ────────────▶ connecting ────────────▶ live ⟲ replaced by another connection
 *   │                  ▲      │                  │
 *   │ close()          │      │ lost             │ lost, reconnect()
 *   │    wait is over, │      ▼                  │
 *   │      reconnect() └─── waiting ◀────────────┘
 *   │
 *   │     connecting, waiting, live ── close() ──▶ closing ──▶ closed
 *   └────────────────────────────────────────────────────────▶ closed
 *         connecting, live ── fatal ending, maxRetries ──────▶ closed
 * ```
 *
 * One connection replaces another at the end of its `maxLifetime`. The new connection logs in and
 * asks for everything while the old one goes on. After the swap the old one is heard for another
 * `overlap`, so that no answer and no item is lost.
 *
 * @typeParam T Items that the feed delivers.
 * @typeParam S Subscriptions.
 *
 * @example A login, and orders over the socket
 * ```ts
 * import { type FeedConnection, FeedError, WebSocketFeeder } from "@aio-trader/core";
 * import { assertEquals } from "@std/assert";
 *
 * class OrderFeed extends WebSocketFeeder<{ order: string }, never> {
 *   protected override endpoint() {
 *     return { url: "wss://venue.example/orders", headers: { "x-client": "aio-trader" } };
 *   }
 *   protected override async handshake(connection: FeedConnection) {
 *     await connection.ask("login", '{"id":"login","token":"…"}');
 *   }
 *   place(id: string, symbol: string): Promise<{ order: string }> {
 *     return this.ask(id, JSON.stringify({ id, symbol }));
 *   }
 *   override receive(data: string | ArrayBuffer, connection: FeedConnection) {
 *     const { id, error, ...item } = JSON.parse(String(data));
 *     if (id === undefined) this.emit(item);
 *     else if (error) connection.fail(id, new FeedError(error, { fatal: id === "login" }));
 *     else connection.answer(id, item);
 *   }
 *   protected override request() {
 *     return []; // everything comes with the login
 *   }
 * }
 *
 * await using feed = new OrderFeed();
 * feed.on("retry", ({ attempt, delay }) => console.log(`attempt ${attempt} in ${delay} ms`));
 *
 * // receive() can be tried without a venue:
 * const answers: unknown[] = [];
 * const answer = (...args: unknown[]) => answers.push(args) > 0;
 * feed.receive('{"id":"login"}', { answer } as unknown as FeedConnection);
 * assertEquals(answers, [["login", {}]]);
 *
 * const error = await feed.place("1", "INFY").catch((error) => error);
 * assertEquals(error.outcome, "not-sent"); // the feed is not connected
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
  /** The live connection for which `subscribed` has not been told. */
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
      stats: this.#stats,
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
    // `closed` tells the same, so this rejection need not be handled.
    this.#connected.promise.catch(() => {});
    const { signal } = this.#options;
    if (signal?.aborted) this.#lifecycle.close();
    else if (signal) {
      const close = () => void this.close();
      signal.addEventListener("abort", close);
      this.closed.then(() => signal.removeEventListener("abort", close));
    }
  }

  /** State of the feed. */
  get state(): FeedState {
    return this.#lifecycle.phase.state;
  }

  /** Resolves when the feed is closed, to the error that ended it or `undefined`. Never rejects. */
  get closed(): Promise<FeedError | undefined> {
    return this.#closed.promise;
  }

  /** Subscriptions by key. Every connection is brought to these. */
  get subscriptions(): ReadonlyMap<unknown, S> {
    return this.#wanted.all;
  }

  /** Counts since the feed was made. Reconnects do not reset them. */
  get stats(): Readonly<FeedStats> {
    return this.#stats;
  }

  /**
   * Connects, and stays connected until `close()` or a fatal ending. Calling it again returns the
   * same promise.
   *
   * - A first attempt that fails is told to the listeners of `error`. The feed goes on trying.
   * - Items that came with the login wait for the caller: a `for await` begun right after
   *   `await feed.connect()` gets them.
   *
   * @returns A promise that resolves once the feed is live for the first time.
   * @throws {FeedError} If the feed ends before that: the error that `closed` resolves to. If the
   *   signal ended the feed, its reason.
   * @throws {RangeError} If `batch` is below 1.
   * @throws {TypeError} If the class has a `ping()` and the options no `pingInterval`, or the
   *   reverse.
   */
  override connect(): Promise<void> {
    const { state } = this.#lifecycle.phase;
    if (state === "closing" || state === "closed") return Promise.reject(this.#over());
    if (state === "idle") {
      try {
        const { ping, keyOf } = WebSocketFeeder.prototype;
        const { batch = Infinity } = this;
        const has = { ping: this.ping !== ping, keyOf: this.keyOf !== keyOf };
        checkClass(batch, has, this.#options);
      } catch (error) {
        return Promise.reject(error);
      }
      this.#lifecycle.connect();
    }
    return this.#connected.promise;
  }

  /**
   * Closes the feed for good, in any state. It waits for answers that are due, sends `goodbye()`,
   * closes the socket and waits for the venue's close frame: all of this for at most
   * `closeTimeout`.
   *
   * Only Bun can hang up on a venue that never answers. Deno and Node keep the process alive until
   * the venue closes its end, or the program exits.
   *
   * @returns A promise that resolves once the feed is closed.
   */
  override async close(): Promise<void> {
    this.#lifecycle.close();
    await this.closed;
  }

  /**
   * Replaces the connection. In the state `live` it ends the connection, and the next attempt
   * follows after the usual wait. In the state `waiting` it dials at once, and counts attempts
   * anew. In other states it does nothing.
   *
   * After one call, further calls do nothing until the feed is live again. So a watchdog that calls
   * too often does not flood the venue.
   *
   * @param reason Reason for the `retry` event.
   */
  reconnect(reason = "reconnect"): void {
    this.#lifecycle.reconnect(reason);
  }

  /**
   * Adds subscriptions, in any state. The venue is asked once the feed is live, and again on every
   * new connection. A change that is undone within the same turn is never sent.
   *
   * @param subs Subscriptions. One whose key is there already replaces the older one.
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
   * Removes subscriptions, in any state.
   *
   * @param subs Subscriptions, found by `key`. Unknown ones are ignored.
   */
  unsubscribe(...subs: S[]): void {
    for (const sub of subs) this.#wanted.remove(this.key(sub));
  }

  /**
   * Replaces the connection as at the end of its `maxLifetime`, without a gap: for a venue that
   * announces its end. In `receive` this is the connection of the frame, else the live one.
   */
  protected replace(): void {
    (this.#reader.hook ?? this.#lifecycle.connection)?.retire();
  }

  /**
   * Sends a frame now, or as soon as `pace` allows unless the connection ends before. Frames are
   * not kept for the next connection.
   *
   * A hook sends over its own connection until its first `await`. After that, and outside of hooks,
   * the frame goes over the live connection, or over the one being made if none is live.
   *
   * @param frame The frame.
   * @returns Whether the socket is open. `false` means that the frame is never sent.
   */
  protected send(frame: Frame): boolean {
    return (this.#reader.hook ?? this.#lifecycle.connection)?.send(frame) ?? false;
  }

  /**
   * Sends a frame over the live connection and waits for its answer, as
   * {@linkcode FeedConnection.ask} does. Meant for orders over the socket.
   *
   * @param id Name of the question, never used before on this feed.
   * @param frame The frame.
   * @param options How long to wait.
   * @returns A promise of the answer. Its rejection need not be handled.
   * @throws {BrokerError} If no answer comes. The outcome is `"not-sent"` if the frame never left,
   *   as without a live connection, else `"unknown"`. `reconcile` finds out the fate of such an
   *   order.
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
   * Notes that the venue has granted subscriptions. Meant for venues that confirm, with the option
   * `confirmTimeout`. Called from `receive`, it counts for the connection of the frame.
   *
   * @param subs Subscriptions, found by `key`. Ones that were not asked for are ignored.
   */
  protected confirm(...subs: S[]): void {
    const connection = this.#inQuestion ?? this.#lifecycle.connection;
    if (!connection) return;
    for (const sub of subs) this.#wanted.confirm(this.key(sub), connection);
  }

  /**
   * Notes that the venue refuses a subscription, and reports the refusal to `error`.
   *
   * - Without `retryAfter` the subscription is dropped until it is subscribed to again.
   * - With `retryAfter` it stays, and the venue is asked again later, also on another connection.
   *
   * @param sub The subscription, found by `key`.
   * @param why The venue's reason.
   * @param options When to ask again.
   * @throws {RangeError} If `retryAfter` is negative.
   * @throws {TypeError} If `retryAfter` is no number.
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
   * Unsubscribes and subscribes again: for a book that no longer matches its checksum, say.
   *
   * - The first repair of a subscription is done at once.
   * - Repairs soon after one another wait. The waits double from one second to `maxWait`. After
   *   eleven repairs in a row, each waits for ten minutes.
   * - A subscription without a repair for `resetRetryAfter` counts anew.
   * - Items that the venue sends between the two requests are lost, and no gap is told for them. A
   *   book begins with a new snapshot; a class of other items asks for what is missing.
   *
   * @param subs Subscriptions, found by `key`. Unknown ones are ignored.
   */
  protected resubscribe(...subs: S[]): void {
    for (const sub of subs) this.#wanted.repair(this.key(sub));
  }

  /**
   * Delivers one item to every listener and every stream.
   *
   * - Items of a connection that has ended are dropped.
   * - Items that come before the event `live` wait for the event. If the login fails, they are
   *   dropped.
   *
   * @param item The item.
   * @param connection The connection that the item came over. Unless given: that of the running
   *   `receive`, or of the running `handshake` if no connection is live, else none.
   */
  protected override emit(item: T, connection?: FeedConnection): void {
    const reader = this.#reader;
    const from = connection as Connection | undefined ?? reader.hook ?? reader.reading ??
      this.#delivery.arriving;
    // Nearly all items take this way, so it is as short as can be.
    const isPlain = this.#quiet === undefined && this.#delivery.isPlain &&
      this.identify === WebSocketFeeder.prototype.identify;
    if (isPlain && from?.isMuted === false) return this.#deliver(item);
    if (this.#quiet) this.#hear(item, this.#quiet);
    if (this.#delivery.isDue(item, from)) this.#deliver(item);
  }

  /**
   * Returns the address to dial. Called for every attempt, so that a token in it may be fresh.
   *
   * An error that it throws ends the attempt. The next one follows unless the error is a fatal
   * {@linkcode FeedError} or has the `status` 401 or 403, as that of a session does. The error's
   * `retryAfter` (milliseconds) makes the wait longer, above `maxWait` too.
   *
   * @param signal Aborts when the attempt is over.
   * @returns The address, with protocols and headers where they are needed.
   */
  protected abstract endpoint(
    signal: AbortSignal,
  ): string | URL | Endpoint | Promise<string | URL | Endpoint>;

  /**
   * Reads one frame: decodes it and calls `emit` for each item.
   *
   * - An error that it throws is reported to `error`, and the connection stays. A fatal
   *   {@linkcode FeedError} ends the feed.
   * - It may return a promise, for a decompression, say. Later frames then wait, so their order is
   *   kept. After the connection has ended, items of such a frame are dropped.
   * - It must not await an answer (`ask`): the answer would wait behind it.
   *
   * @param data Text, or bytes.
   * @param connection The connection of the frame. Two connections deliver while one replaces the
   *   other (`maxLifetime`): a feed with a state, such as a book, keeps one for each.
   */
  protected abstract receive(
    data: string | ArrayBuffer,
    connection: FeedConnection,
  ): void | Promise<void>;

  /**
   * Writes the frames that ask the venue. It may return a promise, for a signature, say. The frames
   * are then sent once it has settled, over this connection or not at all. A promise that does not
   * settle within `connectTimeout` ends the connection.
   *
   * @param op Operation to ask for.
   * @param subs Subscriptions, at most `batch`.
   * @param connection The connection that is asked.
   * @returns One frame, or several in their order.
   */
  protected abstract request(
    op: "subscribe" | "unsubscribe",
    subs: S[],
    connection: FeedConnection,
  ): Frame | Iterable<Frame> | Promise<Frame | Iterable<Frame>>;

  /**
   * Logs in, before the first frame is received and before anything is subscribed to. The venue's
   * answers come to `receive`, which gives them to `connection.answer`. An error that it throws
   * ends the attempt, as one of `endpoint` does.
   *
   * @param _connection The connection to log in over.
   */
  protected handshake(_connection: FeedConnection): void | Promise<void> {}

  /**
   * Writes the frame that is sent every `pingInterval`.
   *
   * @param _connection The connection to send it over.
   * @returns A frame, or `undefined` for none this time.
   */
  protected ping(_connection: FeedConnection): Frame | undefined | Promise<Frame | undefined> {
    return undefined;
  }

  /**
   * Writes the frame that is sent before the socket is closed.
   *
   * @param _connection The connection to send it over.
   * @returns A frame, or `undefined` for none.
   */
  protected goodbye(_connection: FeedConnection): Frame | undefined | Promise<Frame | undefined> {
    return undefined;
  }

  /**
   * Names a subscription. Subscribing to another value with the same key (another depth of the same
   * book, say) unsubscribes from the older value first.
   *
   * @param sub A subscription.
   * @returns Unless overridden: the subscription itself if it is no object, else its JSON, which
   *   does not depend on the order of properties.
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
   * Asks the venue for the items that the feed missed, by REST usually. Called after each loss, once
   * all is subscribed again, and once the venue has confirmed all (`confirmTimeout`). A venue that
   * confirms nothing gets `overlap` to begin. With `identify` the feed then promises:
   *
   * - The feed delivers each item once that the venue delivered or can still tell.
   * - The items of a backfill come before those of the new connection, so in the order of the venue.
   * - Items of the new connection wait meanwhile, 65,536 at most. Of more, the oldest are dropped and
   *   told as a `gap` of their own.
   * - A backfill that throws is asked again with growing waits, for `backfillTimeout` at most. Then
   *   the event `gap` has `filled: false` and the cause, and the feed goes on.
   * - After another loss the signal aborts, and the feed asks later about a gap that has grown. The
   *   time for which it has asked before counts towards `backfillTimeout`.
   *
   * Without `identify`, an item comes twice if both the backfill and a connection bring it. A class
   * without `backfill` is told of every gap, as not filled.
   *
   * The venue's clock may be behind ours: let the class ask from a little before `since`, or from
   * `at(since)` of a `VenueClock`.
   *
   * In a `ShardedFeeder`, ask for `this.subscriptions` only: other shards have the rest.
   *
   * Where the venue tells pages, read all of them before you return: items of a page that is left out
   * would count as delivered.
   *
   * @param gap The time to ask about. `since` is up to a second before the last frame that was heard.
   * @param signal Aborts when the answer is no longer wanted.
   * @returns The missed items, in the order of the venue.
   */
  protected backfill?(gap: Gap, signal: AbortSignal): Iterable<T> | Promise<Iterable<T>>;

  /**
   * Identifies an item, so that the feed delivers the item once, though several connections or a
   * backfill bring it.
   *
   * - The feed remembers the latest 65,536 identities, across connections. An older item that comes
   *   again is delivered again.
   * - While one connection replaces another (`maxLifetime`), an item that both have delivered proves
   *   that there is no gap. The old connection stays until then, at most for `connectTimeout`.
   *
   * @param _item An item.
   * @returns A value that no other item has, such as a sequence number, or `undefined` for an item
   *   without one, which is always delivered. `null` and `""` are identities as any other value.
   */
  protected identify(_item: T): unknown {
    return undefined;
  }

  /**
   * Decides whether another attempt is pointless after an ending. A venue class adds codes with
   * `super.isFatal(ending) || ending.code === 4001`.
   *
   * @param ending How the connection ended.
   * @returns `true` for the status 401 or 403 and the codes 1003, 1007, 1009 and 1010. Not for
   *   1008, with which venues close a connection that went too fast.
   */
  protected isFatal(ending: Ending): boolean {
    return FATAL_CODES.has(ending.code) || FATAL_STATUSES.has(ending.status);
  }

  /**
   * Makes the socket. An error that an override throws ends the attempt and is told to listeners,
   * so it should quote no token.
   *
   * @param url The address.
   * @param init The protocols, and headers if there are any.
   * @returns A WebSocket, or an object that behaves like one.
   * @throws {FeedError} A fatal one, if the address, a protocol or a header is invalid.
   */
  protected createSocket(
    url: string,
    init: { protocols?: string | string[]; headers?: Record<string, string> },
  ): WebSocket {
    return newSocket(url, init);
  }

  /** The connection whose hook is running, as far as that is known. */
  get #inQuestion(): Connection | undefined {
    return this.#reader.hook ?? this.#reader.reading;
  }

  #deliver(item: T): void {
    this.#stats.items++;
    super.emit(item);
  }

  /** Gives the rooms of the feed its hooks, and its voice. */
  #host(): Host {
    const during = <R>(connection: Connection, hook: () => R) =>
      this.#reader.during(connection, hook);
    return {
      open: () => this.#makeConnection(++this.#stats.attempts),
      endpoint: (signal) => this.endpoint(signal),
      createSocket: (url, init) => this.createSocket(url, init),
      handshake: (connection) => during(connection, () => this.#handshake(connection)),
      receive: (connection, data) => this.#reader.read(connection, data),
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

  /** Says how the venue is asked for subscriptions. */
  #asking(): Asking<S> {
    const batch = () => this.batch ?? Infinity;
    return {
      get batch() {
        return batch();
      },
      confirmTimeout: this.#options.confirmTimeout,
      patience: this.#options.connectTimeout,
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

  /** Logs in. Items that come meanwhile wait, unless another connection is live. */
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
    const { confirmTimeout, overlap } = this.#options;
    const fill = () => void this.#delivery.recovery.fill();
    // A venue that confirms nothing begins to deliver a moment after the frames were sent.
    if (confirmTimeout > 0) fill();
    else connection.after(overlap, fill);
  }

  /** Reports subscriptions that the venue does not confirm, and has the connection replaced. */
  #giveUp(keys: unknown[], connection: Connection): void {
    const names = keys.slice(0, 3).map(String).join(", ");
    const more = keys.length > 3 ? ` and ${keys.length - 3} more` : "";
    const { stranger } = this.#wanted;
    const other = stranger === undefined ? "" : `; confirm() was given ${String(stranger)}`;
    const message = `Cannot subscribe to ${names}${more}: asked again and again, never confirmed` +
      `, wanted confirm() with the same key${other}`;
    if (connection === this.#lifecycle.connection) {
      connection.retire();
      void this.#fillPart(connection);
    } else connection.end({ reason: "it confirms no subscriptions" });
    this.dispatch("error", new FeedError(message));
  }

  /** Fills the gap though subscriptions are unconfirmed, as the items of the others wait. */
  async #fillPart(connection: Connection): Promise<void> {
    const { recovery } = this.#delivery;
    await recovery.fill(true);
    // The venue may have confirmed the rest meanwhile.
    const isTold = this.#untold === undefined && connection === this.#lifecycle.connection;
    if (isTold) await recovery.fill();
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

  /** Reports what a hook threw, unless that is to end the feed. */
  #threw(hook: string, error: unknown): void {
    if (error instanceof FeedError && error.fatal) {
      this.#lifecycle.endAll({ cause: error, reason: `${hook}() threw ${error.name}` });
    } else this.#report(`Cannot ${TASKS[hook]}: ${hook}() threw`, error);
  }

  #report(message: string, cause: unknown): void {
    this.dispatch("error", cause instanceof FeedError ? cause : new FeedError(message, { cause }));
  }

  /** The reason why no connection is made any more. */
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
