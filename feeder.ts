/**
 * The contract of every market feed, and delivery to its readers.
 *
 * ```ts
 * import { AbstractFeeder } from "@aio-trader/core/feeder";
 * import { assertEquals } from "@std/assert";
 *
 * class Countdown extends AbstractFeeder<number> {
 *   override async connect() {
 *     for (let n = 3; n > 0; n--) this.emit(n);
 *     await this.close();
 *   }
 *   override async close() {
 *     this.end();
 *   }
 * }
 *
 * await using feed = new Countdown();
 * const numbers = feed.stream();
 * await feed.connect();
 *
 * assertEquals(await Array.fromAsync(numbers), [3, 2, 1]);
 * ```
 *
 * @module
 */

import { Fifo, KeyedQueue, type Queue } from "./feeder/queue.ts";

/** What {@linkcode FeedError} is told beside its message. */
export interface FeedErrorOptions extends ErrorOptions {
  /**
   * Whether another attempt is pointless.
   *
   * @default {false}
   */
  fatal?: boolean;
  /**
   * How long the connection had been live, in milliseconds.
   *
   * @default {0}
   */
  uptime?: number;
  /** How the connection ended. */
  ending?: Ending;
}

/**
 * Something went wrong in a feed. Those that end it reject `connect()` and are what `closed`
 * resolves to; those that do not are told to the listeners of `error`.
 */
export class FeedError extends Error {
  /** Always `"FeedError"`. */
  override readonly name: string = "FeedError";
  /** Whether another attempt is pointless. */
  readonly fatal: boolean;
  /** How long the connection had been live, in milliseconds. */
  readonly uptime: number;
  /** How the connection ended, where one did. */
  readonly ending?: Ending;

  /**
   * Makes an error of a feed.
   *
   * @param message What is wrong and what was wanted.
   * @param options Its cause, and what is known of the connection.
   */
  constructor(message: string, options: FeedErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.fatal = options.fatal ?? false;
    this.uptime = options.uptime ?? 0;
    this.ending = options.ending;
  }

  /** Whether `retry` may try again: the opposite of `fatal`. */
  get retriable(): boolean {
    return !this.fatal;
  }
}

/** How a connection ended. */
export interface Ending {
  /** The close code, 1006 where the runtime gave none. */
  code: number;
  /** The venue's reason or, where we ended it ourselves, ours. */
  reason: string;
  /** Whether both sides agreed to close. */
  clean: boolean;
  /** Whether the connection had been open. */
  opened: boolean;
  /** The HTTP status that refused the upgrade, where the runtime tells it (Node does not). */
  status?: number;
  /** What was thrown by the venue's class, where that ended it. */
  cause?: unknown;
}

/**
 * Where a feed stands: `"idle"` until `connect()`, then `"connecting"` (dialling or logging in),
 * `"live"`, or `"waiting"` for the next attempt; `"closing"` and `"closed"` for good.
 */
export type FeedState = "idle" | "connecting" | "live" | "waiting" | "closing" | "closed";

/** The events of a feed, and what their listeners are given. */
export interface FeedEvents<T> {
  /** One item of the feed. */
  item: T;
  /** The feed's state has changed. */
  state: { state: FeedState; previous: FeedState };
  /**
   * The feed is live: for the `connection`th time, counted from 1; `resumed` after `downtime`
   * milliseconds without a connection: `false` and `0` the first time.
   */
  live: { connection: number; resumed: boolean; downtime: number };
  /**
   * A connection ended, or the one that was to replace it could not be made; the `attempt`th repeat
   * follows after `delay` milliseconds.
   */
  retry: { attempt: number; delay: number; ending: Ending };
  /**
   * All that is wanted has been asked for on the `connection`th live connection, and confirmed where
   * the venue confirms: once per connection. `count` is the number of subscriptions.
   */
  subscribed: { connection: number; count: number };
  /** Something went wrong, in a listener or at the venue. */
  error: FeedError;
}

/** Options of {@linkcode AbstractFeeder.stream}. */
export interface StreamOptions<T> {
  /**
   * Items that may wait for the reader. `Infinity` sets no limit.
   *
   * @default {16_384}
   */
  capacity?: number;
  /**
   * What happens to an item that finds the queue full: `"drop-oldest"` makes room for it,
   * `"drop-newest"` drops it, `"error"` ends the stream: it throws once what is queued is read.
   *
   * @default {"drop-oldest"}
   */
  overflow?: "drop-oldest" | "drop-newest" | "error";
  /**
   * Tells items apart, so that only the latest of each key is kept for a reader who is behind. It
   * keeps its place in the queue, so a busy key does not starve. Off unless given.
   */
  key?: (item: T) => unknown;
}

/** One reader's view of a feed: what {@linkcode AbstractFeeder.stream} returns. */
export interface FeedStream<T> extends AsyncIterableIterator<T, undefined>, AsyncDisposable {
  /** Items that wait for the reader. */
  readonly size: number;
  /** Items that the reader never got: dropped when the queue was full, or replaced by their key. */
  readonly dropped: number;
  /** Reads the next item. */
  next(): Promise<IteratorResult<T, undefined>>;
  /** Detaches the stream from the feed and forgets what is queued. */
  return(): Promise<IteratorResult<T, undefined>>;
  /** The stream itself. */
  [Symbol.asyncIterator](): FeedStream<T>;
}

/**
 * Base class of all market feeds: a source of items that is connected once, closed once, and read
 * by listeners, by `for await`, or both.
 *
 * - Listeners are called synchronously, in the order in which they were added. One that throws (or
 *   whose promise rejects) is reported to `error`; the others are still called.
 * - Each stream has its own bounded queue, so a slow reader delays nobody, and costs no more memory
 *   than its queue.
 * - An `error` that nobody listens to is thrown in a microtask of its own, where the runtime
 *   reports it as uncaught, unless it ended the feed: then `connect()` and every stream tell.
 *
 * @typeParam T What the feed delivers.
 */
export abstract class AbstractFeeder<T> implements AsyncIterable<T>, AsyncDisposable {
  // Both are replaced, never changed, so that a loop over them sees no change made within it.
  readonly #listeners: { [K in keyof FeedEvents<T>]: Listener<FeedEvents<T>[K]>[] } = {
    item: [],
    state: [],
    live: [],
    retry: [],
    error: [],
    subscribed: [],
  };
  #streams: ItemStream<T>[] = [];
  #ended: { error?: Error } | undefined;

  /**
   * Connects to the venue.
   *
   * @returns A promise that resolves once the feed is live.
   */
  abstract connect(): Promise<void>;

  /**
   * Closes the feed, for good. Closing it again changes nothing.
   *
   * @returns A promise that resolves once the feed is closed.
   */
  abstract close(): Promise<void>;

  /** Closes the feed, for `await using`, and ends its streams should `close()` have forgotten to. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
    this.end();
  }

  /**
   * Adds a listener. The same function may be added several times.
   *
   * @param type The event.
   * @param listener Called synchronously with each event; if it throws, that is reported to `error`.
   * @returns A function that removes the listener: once called, the listener hears nothing more.
   * @throws {TypeError} If there is no such event, or the listener is no function.
   */
  on<K extends keyof FeedEvents<T>>(
    type: K,
    listener: (event: FeedEvents<T>[K]) => unknown,
  ): () => void {
    if (!Object.hasOwn(this.#listeners, type) || typeof listener !== "function") {
      const types = Object.keys(this.#listeners).join(", ");
      throw new TypeError(`Cannot listen to ${type}: wanted a function and one of ${types}`);
    }
    const entry: Listener<FeedEvents<T>[K]> = { listener, removed: false };
    this.#setListeners(type, [...this.#listeners[type], entry]);
    return () => {
      entry.removed = true;
      this.#setListeners(type, this.#listeners[type].filter((other) => other !== entry));
    };
  }

  /**
   * Opens a stream of the items emitted from now on (not from the first `next()` on). Leave it with
   * `break`, `return()` or `await using`: one that is neither read nor left stays attached, and full.
   *
   * When the feed closes, the stream ends once drained; when the feed ends with an error, the stream
   * throws it once drained.
   *
   * @param options How much may wait for the reader, and what then.
   * @returns The stream.
   * @throws {RangeError} If `capacity` is not a positive integer or Infinity.
   * @throws {TypeError} If `overflow` or `key` is not one of those allowed.
   */
  stream(options: StreamOptions<T> = {}): FeedStream<T> {
    const stream = new ItemStream<T>(options, () => {
      this.#streams = this.#streams.filter((other) => other !== stream);
    });
    if (this.#ended) stream.end(this.#ended.error);
    else this.#streams = [...this.#streams, stream];
    return stream;
  }

  /** Opens a stream with the default options, for `for await`. */
  [Symbol.asyncIterator](): FeedStream<T> {
    return this.stream();
  }

  /**
   * Delivers one item to every stream and every listener, unless the feed has ended.
   *
   * @param item The item.
   */
  protected emit(item: T): void {
    if (this.#ended) return;
    const { item: listeners } = this.#listeners;
    const streams = this.#streams;
    // Streams first: a listener may emit in its turn, or end the feed.
    for (let i = 0; i < streams.length; i++) {
      try {
        streams[i].push(item);
      } catch (cause) {
        this.dispatch("error", new FeedError("Cannot queue the item: key() threw", { cause }));
      }
    }
    for (let i = 0; i < listeners.length; i++) this.#tell("item", listeners[i], item);
  }

  /**
   * Calls the listeners of an event.
   *
   * @param type The event.
   * @param event What they are given.
   */
  protected dispatch<K extends keyof FeedEvents<T>>(type: K, event: FeedEvents<T>[K]): void {
    const listeners = this.#listeners[type];
    for (const listener of listeners) this.#tell(type, listener, event);
    if (type === "error" && listeners.length === 0) throwLater(event);
  }

  /**
   * Tells whether anybody listens to an event.
   *
   * @param type The event.
   * @returns Whether it has a listener.
   */
  protected hasListener(type: keyof FeedEvents<T>): boolean {
    return this.#listeners[type].length > 0;
  }

  /**
   * Ends the feed for its readers: each stream ends once drained, and so does one opened later.
   * Ending it again changes nothing.
   *
   * @param error What ended the feed, if it was not asked to end: listeners of `error` are told,
   *   and each stream throws it.
   */
  protected end(error?: FeedError): void {
    if (this.#ended) return;
    this.#ended = { error };
    const streams = this.#streams;
    this.#streams = [];
    for (const stream of streams) stream.end(error);
    if (error && this.hasListener("error")) this.dispatch("error", error);
  }

  #setListeners<K extends keyof FeedEvents<T>>(
    type: K,
    listeners: Listener<FeedEvents<T>[K]>[],
  ): void {
    const all: { [P in K]: Listener<FeedEvents<T>[P]>[] } = this.#listeners;
    all[type] = listeners;
  }

  #tell<E>(type: keyof FeedEvents<T>, entry: Listener<E>, event: E): void {
    if (entry.removed) return;
    try {
      const result = entry.listener(event);
      if (result instanceof Promise) result.catch((error) => this.#failed(type, error));
    } catch (error) {
      this.#failed(type, error);
    }
  }

  #failed(type: keyof FeedEvents<T>, cause: unknown): void {
    // Told to `error` again, a listener of `error` that throws would never end.
    if (type === "error") throwLater(cause);
    else {
      this.dispatch(
        "error",
        new FeedError(`Cannot deliver ${type}: a listener of it threw`, { cause }),
      );
    }
  }
}

interface Listener<E> {
  readonly listener: (event: E) => unknown;
  removed: boolean;
}

type Reader<T> = PromiseWithResolvers<IteratorResult<T, undefined>>["resolve"];

class ItemStream<T> implements FeedStream<T> {
  readonly #capacity: number;
  readonly #overflow: StreamOptions<T>["overflow"];
  readonly #key: StreamOptions<T>["key"];
  readonly #queue: Queue<T>;
  readonly #detach: () => void;
  /** Who waits for the next item, and who waits behind that one: rarely anybody. */
  #reader: Reader<T> | undefined;
  readonly #readers: Reader<T>[] = [];
  #dropped = 0;
  #ended = false;
  #error: Error | undefined;

  constructor(
    { capacity = 16_384, overflow = "drop-oldest", key }: StreamOptions<T>,
    detach: () => void,
  ) {
    if (capacity !== Infinity && !(Number.isInteger(capacity) && capacity > 0)) {
      throw new RangeError(
        `Cannot open a stream: capacity is ${capacity}, wanted a positive integer or Infinity`,
      );
    }
    if (overflow !== "drop-oldest" && overflow !== "drop-newest" && overflow !== "error") {
      throw new TypeError(
        `Cannot open a stream: overflow is ${overflow}, wanted "drop-oldest", "drop-newest" or "error"`,
      );
    }
    if (key !== undefined && typeof key !== "function") {
      throw new TypeError(`Cannot open a stream: key is a ${typeof key}, wanted a function`);
    }
    this.#capacity = capacity;
    this.#overflow = overflow;
    this.#key = key;
    this.#queue = key ? new KeyedQueue() : new Fifo();
    this.#detach = detach;
  }

  get size(): number {
    return this.#queue.size;
  }

  get dropped(): number {
    return this.#dropped;
  }

  push(item: T): void {
    const reader = this.#reader;
    if (reader !== undefined) {
      this.#reader = this.#readers.length > 0 ? this.#readers.shift() : undefined;
      return reader({ value: item, done: false });
    }
    const key = this.#key?.(item);
    if (this.#queue.replace(key, item)) this.#dropped++;
    else if (this.#queue.size < this.#capacity) this.#queue.push(key, item);
    else this.#overflowed(key, item);
  }

  /** Ends the stream once it is drained, with an error if one is given. */
  end(error?: Error): void {
    this.#ended = true;
    this.#error = error;
    this.#reader?.(this.#last());
    for (const reader of this.#readers.splice(0)) reader(this.#last());
    this.#reader = undefined;
  }

  next(): Promise<IteratorResult<T, undefined>> {
    if (this.#queue.size > 0) {
      return Promise.resolve({ value: this.#queue.shift(), done: false });
    }
    if (this.#ended) return this.#last();
    return new Promise((resolve) => {
      if (this.#reader === undefined) this.#reader = resolve;
      else this.#readers.push(resolve);
    });
  }

  return(): Promise<IteratorResult<T, undefined>> {
    this.#detach();
    this.#queue.clear();
    this.end();
    return this.#last();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.return();
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  #overflowed(key: unknown, item: T): void {
    this.#dropped++;
    if (this.#overflow === "drop-oldest") {
      this.#queue.shift();
      this.#queue.push(key, item);
    } else if (this.#overflow === "error") {
      this.#detach();
      this.end(
        new FeedError(
          `Cannot queue the item: the reader is ${this.#capacity} items behind, which is its capacity`,
        ),
      );
    }
  }

  /** What a reader gets after the last item: the error, once, and then the end. */
  #last(): Promise<IteratorResult<T, undefined>> {
    const error = this.#error;
    this.#error = undefined;
    return error ? Promise.reject(error) : Promise.resolve({ value: undefined, done: true });
  }
}

/** Throws where no caller can catch it, so that the runtime reports it as uncaught. */
function throwLater(error: unknown): void {
  queueMicrotask(() => {
    throw error;
  });
}
