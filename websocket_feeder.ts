/**
 * A feed over the native WebSocket that stays up.
 *
 * @module
 */

import { Connection, type Frame } from "./connection.ts";
import { AbstractFeeder, type Ending, FeedError, type FeedState } from "./feeder.ts";
import { retry } from "./retry.ts";
type Throttler = { run<R>(fn: () => R, o?: { signal?: AbortSignal }): Promise<R> };

export type { Frame } from "./connection.ts";

/** Where a feed is to be had: what {@linkcode WebSocketFeeder.endpoint} returns. */
export interface Endpoint {
  /** The address, `ws:` or `wss:`. */
  url: string | URL;
  /** The subprotocols to offer. */
  protocols?: string | string[];
  /** The headers of the upgrade request. Browsers cannot send any. */
  headers?: Record<string, string>;
}

/** What goes over the socket, and which way: {@linkcode WebSocketFeederOptions.tap}. */
export type Tap = (direction: "in" | "out", data: Frame) => void;

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
   */
  pace?: Pick<Throttler, "run">;
  /** Closes the feed when it aborts. */
  signal?: AbortSignal;
  /** Told every frame that comes in, before `receive`, and every frame that goes out. */
  tap?: Tap;
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

/** Why a wait was cut short by `reconnect()`. */
const DIAL_NOW = Symbol("dial now");

/**
 * Base class of feeds over WebSocket.
 *
 * @typeParam T What the feed delivers.
 * @typeParam S What is subscribed to.
 */
export abstract class WebSocketFeeder<T, S = string> extends AbstractFeeder<T> {
  // `declare` defines nothing, so that a subclass may have a field or a getter.
  /** Most subscriptions in one call of `request`. No limit unless given. */
  declare protected readonly batch?: number;
  /** Most subscriptions at a time. No limit unless given. */
  declare protected readonly limit?: number;

  readonly #options: ValidOptions;
  readonly #desired = new Map<unknown, S>();
  readonly #links = new Map<Connection, Link<S>>();
  readonly #stats: FeedStats = { attempts: 0, connections: 0, frames: 0, items: 0 };
  readonly #connected = Promise.withResolvers<void>();
  readonly #closed = Promise.withResolvers<FeedError | undefined>();
  #state: FeedState = "idle";
  #error: FeedError | undefined;
  /** Cuts a wait short. */
  #hurry = new AbortController();
  /** What `send` uses: the latest connection. */
  #connection: Connection | undefined;
  #downSince = 0;

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
   * @throws {FeedError} If the feed ends before: the error that `closed` resolves to.
   */
  override connect(): Promise<void> {
    if (this.#state === "closing" || this.#state === "closed") return Promise.reject(this.#over());
    if (this.#state === "idle") void this.#run();
    return this.#connected.promise;
  }

  /**
   * Closes the feed, for good, in any state: sends `goodbye()`, closes the socket and waits for the
   * venue's answer, at most `closeTimeout`.
   *
   * @returns A promise that resolves once the feed is closed.
   */
  override async close(): Promise<void> {
    if (this.#state === "idle") this.#finish();
    else if (this.#state !== "closing" && this.#state !== "closed") {
      this.#setState("closing");
      this.#hurry.abort();
      const connection = this.#connection!;
      if (this.#links.has(connection)) void this.#part(connection);
      else connection.end({ reason: "closed by us" });
    }
    await this.closed;
  }

  /**
   * Replaces the connection: ends the live one, or cuts the wait for the next attempt short. It does
   * nothing while one is being made, or when there is none to replace. A connection ended so is
   * repeated as any other, with its wait.
   *
   * @param reason Why, for the `retry` event.
   */
  reconnect(reason = "reconnect"): void {
    if (this.#state === "live") this.#connection!.end({ reason });
    else if (this.#state === "waiting") this.#hurry.abort(DIAL_NOW);
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
    const size = new Set([...this.#desired.keys(), ...wanted.keys()]).size;
    if (size > limit) {
      throw new RangeError(
        `Cannot subscribe: there would be ${size} subscriptions, expected at most ${limit}`,
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
   * @param data Text, or bytes.
   */
  protected abstract receive(data: string | ArrayBuffer): void;

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
   */
  protected handshake(_signal: AbortSignal): void | Promise<void> {}

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
   */
  protected createSocket(
    url: string,
    init: { protocols?: string | string[]; headers?: Record<string, string> },
  ): WebSocket {
    const { protocols = [], headers } = init;
    // Deno, Node and Bun take headers in an object; a browser would take that for a protocol.
    return new WebSocket(url, (headers ? { protocols, headers } : protocols) as string[]);
  }

  /** Delivers one item to every listener and every stream. */
  protected override emit(item: T): void {
    this.#stats.items++;
    super.emit(item);
  }

  /**
   * Sends a frame now, or as soon as `pace` allows unless the connection ends before. Nothing is
   * kept for the next connection.
   *
   * @param frame The frame.
   * @returns Whether the socket is open; `false` if nothing was, or will be, sent.
   */
  protected send(frame: Frame): boolean {
    const connection = this.#connection;
    if (!connection?.open) return false;
    void this.#paced(connection, () => this.#write(connection, frame));
    return true;
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
    for (const link of this.#links.values()) link.forget(key);
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
            this.dispatch("retry", { attempt, delay, ending: this.#connection!.ending! });
          },
        })();
      } catch (error) {
        if (error === DIAL_NOW) continue;
        return this.#finish(this.#state === "closing" ? undefined : error as FeedError);
      }
    }
  }

  /** One connection, from the dial to its end, which it throws. */
  async #session(): Promise<never> {
    const connection = new Connection();
    this.#connection = connection;
    this.#stats.attempts++;
    this.#setState("connecting");
    await this.#establish(connection);
    if (!connection.ending) this.#goLive(connection);
    const ending = await connection.ended;
    if (this.#links.delete(connection)) this.#downSince = performance.now();
    throw this.#failure(ending, connection.uptime);
  }

  async #establish(connection: Connection): Promise<void> {
    const { connectTimeout } = this.#options;
    const stopTimer = connection.after(
      connectTimeout,
      () => connection.end({ reason: `not live within ${connectTimeout} ms` }),
    );
    try {
      await connection.unlessEnded(undefined); // a listener of `state` may have closed the feed
      const endpoint = await connection.unlessEnded(this.endpoint(connection.signal));
      const opened = connection.attach(
        this.#dial(endpoint),
        (data) => this.#receive(connection, data),
      );
      await connection.unlessEnded(opened);
      await connection.unlessEnded(this.handshake(connection.signal));
      stopTimer();
    } catch (cause) {
      connection.end({ cause });
    }
  }

  #dial(endpoint: string | URL | Endpoint): WebSocket {
    const { url, ...init } = typeof endpoint === "string" || endpoint instanceof URL
      ? { url: endpoint }
      : endpoint;
    try {
      return this.createSocket(String(url), init);
    } catch (error) {
      if ((error as Error)?.name !== "SyntaxError") throw error;
      // Not given as the cause: it quotes the address, which may hold a token.
      throw new FeedError("Cannot dial: endpoint() gave an address that is no ws: or wss: URL", {
        fatal: true,
      });
    }
  }

  #goLive(connection: Connection): void {
    const { staleAfter, pingInterval } = this.#options;
    const count = ++this.#stats.connections;
    const now = connection.liveSince = performance.now();
    const link = new Link<S>();
    for (const [key, sub] of this.#desired) link.mark(key, sub);
    this.#links.set(connection, link);
    if (staleAfter > 0) connection.watch(staleAfter);
    if (pingInterval > 0) connection.every(pingInterval, () => this.#ping(connection));
    this.#setState("live");
    if (this.state !== "live") return; // a listener of `state` has closed the feed
    this.dispatch("live", {
      connection: count,
      resumed: count > 1,
      downtime: count > 1 ? now - this.#downSince : 0,
    });
    this.#connected.resolve();
    void this.#flush(connection, link);
  }

  #receive(connection: Connection, data: string | ArrayBuffer): void {
    this.#stats.frames++;
    if (this.#options.tap) this.#tap("in", data);
    try {
      this.receive(data);
    } catch (error) {
      if (error instanceof FeedError && error.fatal) connection.end({ cause: error });
      else this.#report("Cannot read a frame: receive() threw", error);
    }
  }

  #mark(key: unknown, anew = false): void {
    for (const [connection, link] of this.#links) {
      link.mark(key, this.#desired.get(key), anew);
      void this.#flush(connection, link);
    }
  }

  /** Asks the venue for what is wanted, frame by frame, until there is no difference left. */
  async #flush(connection: Connection, link: Link<S>): Promise<void> {
    if (link.flushing) return;
    link.flushing = true;
    await null; // what is undone within the same turn never reaches the wire
    while (!connection.ending && link.pending) {
      // What to ask is decided when the frame may go, not when it starts to wait.
      const step = () => this.#ask(connection, link);
      if (this.#options.pace) await this.#paced(connection, step);
      else step();
    }
    link.flushing = false;
  }

  #ask(connection: Connection, link: Link<S>): void {
    if (link.frames.length === 0) {
      const change = link.next(this.batch ?? Infinity);
      if (!change) return;
      try {
        link.frames.push(...frames(this.request(change.op, change.subs)));
      } catch (error) {
        this.#report(`Cannot ${change.op}: request() threw`, error);
      }
    }
    const frame = link.frames.shift();
    if (frame !== undefined) this.#write(connection, frame);
  }

  #ping(connection: Connection): void {
    try {
      const frame = this.ping();
      if (frame !== undefined) void this.#paced(connection, () => this.#write(connection, frame));
    } catch (error) {
      this.#report("Cannot ping: ping() threw", error);
    }
  }

  /** Sends `goodbye()` and closes, within `closeTimeout`. */
  async #part(connection: Connection): Promise<void> {
    const { closeTimeout } = this.#options;
    connection.after(closeTimeout, () => connection.end({ reason: "closed by us, unanswered" }));
    try {
      const frame = this.goodbye();
      if (frame !== undefined) await this.#paced(connection, () => this.#write(connection, frame));
    } catch (error) {
      this.#report("Cannot say goodbye: goodbye() threw", error);
    }
    if (!connection.ending) connection.close();
  }

  /** Calls back when `pace` allows, at once without one, not at all if the connection ends before. */
  async #paced(connection: Connection, send: () => void): Promise<void> {
    const { pace } = this.#options;
    try {
      if (pace) await pace.run(send, { signal: connection.signal });
      else send();
    } catch (error) {
      if (!connection.ending) this.#report("Cannot send a frame: it was refused", error);
    }
  }

  #write(connection: Connection, frame: Frame): void {
    if (connection.send(frame) && this.#options.tap) this.#tap("out", frame);
  }

  #tap(direction: "in" | "out", data: Frame): void {
    try {
      this.#options.tap!(direction, data);
    } catch (error) {
      this.#report("Cannot tap a frame: tap() threw", error);
    }
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
    return new FeedError("Cannot connect the feed: it is closed, expected a new one");
  }
}

/** Fills in the defaults. */
function validate(options: WebSocketFeederOptions): ValidOptions {
  const {
    connectTimeout = 10_000,
    closeTimeout = 2_000,
    staleAfter = 0,
    pingInterval = 0,
    maxRetries = Infinity,
    baseWait = 500,
    maxWait = 30_000,
    resetRetryAfter = 30_000,
    jitter = 1,
    pace,
    signal,
    tap,
  } = options;
  const durations = { connectTimeout, closeTimeout, staleAfter, pingInterval };
  for (const [name, value] of Object.entries(durations)) {
    if (!(value >= 0)) {
      throw new RangeError(`Cannot make a feed: ${name} is ${value}, expected milliseconds >= 0`);
    }
  }
  const retries = { maxRetries, baseWait, maxWait, resetRetryAfter, jitter };
  retry(retries); // one out of range is heard of now, not in connect()
  return { ...durations, ...retries, pace, signal, tap };
}

/** What one connection has been asked for, and what it is still to be asked. */
class Link<S> {
  readonly frames: Frame[] = [];
  flushing = false;
  readonly #sent = new Map<unknown, S>();
  readonly #drop = new Set<unknown>();
  readonly #add = new Map<unknown, S>();

  get pending(): boolean {
    return this.frames.length + this.#drop.size + this.#add.size > 0;
  }

  /** Notes what is wanted of this key now; `anew` asks for it again though nothing has changed. */
  mark(key: unknown, wanted: S | undefined, anew = false): void {
    this.#drop.delete(key);
    this.#add.delete(key);
    const sent = this.#sent.get(key);
    if (sent !== undefined && wanted !== undefined && !anew && same(sent, wanted)) return;
    if (sent !== undefined) this.#drop.add(key);
    if (wanted !== undefined) this.#add.set(key, wanted);
  }

  /** Takes the next batch that one request can ask for. */
  next(batch: number): { op: "subscribe" | "unsubscribe"; subs: S[] } | undefined {
    const op = this.#drop.size > 0 ? "unsubscribe" : "subscribe";
    const subs: S[] = [];
    for (const key of op === "unsubscribe" ? this.#drop : this.#add.keys()) {
      if (subs.length >= batch) break;
      if (op === "unsubscribe") {
        subs.push(this.#sent.get(key)!);
        this.#sent.delete(key);
        this.#drop.delete(key);
      } else {
        const sub = this.#add.get(key)!;
        subs.push(sub);
        this.#sent.set(key, sub);
        this.#add.delete(key);
      }
    }
    return subs.length > 0 ? { op, subs } : undefined;
  }

  /** Notes that the venue does not hold this key, whatever it was asked. */
  forget(key: unknown): void {
    this.#sent.delete(key);
    this.#drop.delete(key);
    this.#add.delete(key);
  }
}

function same<S>(a: S, b: S): boolean {
  return a === b || (typeof a === "object" && fingerprint(a) === fingerprint(b));
}

/** JSON of a subscription; a bigint, which JSON does not have, is written as text. */
function fingerprint(sub: unknown): string {
  return JSON.stringify(sub, (_, value) => typeof value === "bigint" ? `${value}n` : value);
}

function frames(frames: Frame | Iterable<Frame>): Iterable<Frame> {
  const one = typeof frames === "string" || frames instanceof ArrayBuffer ||
    ArrayBuffer.isView(frames);
  return one ? [frames] : frames;
}
