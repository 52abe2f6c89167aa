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

import { checkChoice, refuse } from "./common/check.ts";
import { type Ending, FeedError, type FeedErrorOptions } from "./feeder/feed_error.ts";
import { type FeedStream, ItemStream, type StreamOptions } from "./feeder/item_stream.ts";

export { type Ending, FeedError, type FeedErrorOptions, type FeedStream, type StreamOptions };

/**
 * Where a feed stands: `"idle"` until `connect()`, then `"connecting"` (dialling or logging in),
 * `"live"` (logged in), or `"waiting"` for the next attempt; `"closing"` and `"closed"` for good.
 *
 * @example A light that shows whether prices are fresh
 * ```ts
 * import type { FeedState } from "@aio-trader/core/feeder";
 * import { assertEquals } from "@std/assert";
 *
 * const lights: Partial<Record<FeedState, string>> = { live: "green", waiting: "yellow" };
 * const light = (state: FeedState) => lights[state] ?? "red";
 *
 * assertEquals(light("waiting"), "yellow"); // feed.on("state", ({ state }) => show(light(state)))
 * ```
 */
export type FeedState = "idle" | "connecting" | "live" | "waiting" | "closing" | "closed";

/**
 * The events of a feed, each with the value that its listeners are given.
 *
 * @example A listener of any event
 * ```ts
 * import { AbstractFeeder, type FeedEvents } from "@aio-trader/core/feeder";
 * import { assertEquals } from "@std/assert";
 *
 * class Countdown extends AbstractFeeder<number> {
 *   override async connect() {
 *     for (let n = 3; n > 0; n--) this.emit(n);
 *   }
 *   override async close() {
 *     this.end();
 *   }
 * }
 *
 * const items: number[] = [];
 * const note = (item: FeedEvents<number>["item"]) => void items.push(item);
 * await using feed = new Countdown();
 * feed.on("item", note);
 * await feed.connect();
 * assertEquals(items, [3, 2, 1]);
 * ```
 */
export interface FeedEvents<T> {
  /** One item of the feed. */
  item: T;
  /** The feed has changed its state. */
  state: { state: FeedState; previous: FeedState };
  /**
   * The feed is live: for the `connection`th time, counted from 1. `resumed` after `downtime`
   * milliseconds without a connection; `false` and `0` the first time.
   */
  live: { connection: number; resumed: boolean; downtime: number };
  /**
   * A connection ended, or its replacement could not be made. The `attempt`th repeat follows after
   * `delay` milliseconds.
   */
  retry: { attempt: number; delay: number; ending: Ending };
  /**
   * All that is wanted has been asked for on the `connection`th live connection, and confirmed
   * where the venue confirms: once per connection. `count` is the number of subscriptions.
   */
  subscribed: { connection: number; count: number };
  /** Something went wrong, in a listener or at the venue. */
  error: FeedError;
  /**
   * The feed may have missed items between `since` and `until` (epoch milliseconds). `filled` tells
   * whether a backfill has delivered them; `cause` why it has not, where it failed.
   */
  gap: { since: number; until: number; filled: boolean; cause?: unknown };
  /**
   * A subscription has delivered nothing for `duration` milliseconds on a healthy connection, and
   * is asked for again. No `gap` is told for it: items of this subscription may be missing from
   * `duration` before the event on, until the venue has granted the subscription anew.
   */
  quiet: { key: unknown; subscription: unknown; duration: number };
}

/**
 * Base class of all market feeds: a source of items that is connected once and closed once.
 * Listeners, streams (`for await`), or both read the items.
 *
 * - Listeners are called synchronously, in the order in which they were added. A listener that
 *   throws, or whose promise rejects, is reported to `error`; the others are still called.
 * - Each stream has its own bounded queue. A slow reader delays no other reader, and its memory is
 *   bounded by its queue.
 * - An `error` without a listener is thrown in a microtask of its own, where the runtime reports
 *   the error as uncaught. An error that ended the feed is not thrown so: `connect()` and every
 *   stream tell it.
 *
 * @typeParam T The items of the feed.
 *
 * @example A feed, read by a listener and by a stream
 * ```ts
 * import { AbstractFeeder } from "@aio-trader/core/feeder";
 * import { assertEquals } from "@std/assert";
 *
 * class Countdown extends AbstractFeeder<number> {
 *   override async connect() {
 *     for (let n = 3; n > 0; n--) this.emit(n);
 *   }
 *   override async close() {
 *     this.end();
 *   }
 * }
 *
 * const heard: number[] = [];
 * const feed = new Countdown();
 * feed.on("item", (n) => heard.push(n));
 * const stream = feed.stream();
 * await feed.connect();
 * await feed.close();
 *
 * assertEquals(heard, [3, 2, 1]);
 * assertEquals(await Array.fromAsync(stream), [3, 2, 1]);
 * ```
 */
export abstract class AbstractFeeder<T> implements AsyncIterable<T>, AsyncDisposable {
  // The lists are replaced, never changed: a loop over a list sees no change made within the loop.
  readonly #listeners: { [K in keyof FeedEvents<T>]: Listener<FeedEvents<T>[K]>[] } = {
    item: [],
    state: [],
    live: [],
    retry: [],
    error: [],
    subscribed: [],
    gap: [],
    quiet: [],
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
   * Closes the feed for good. Closing the feed again changes nothing.
   *
   * @returns A promise that resolves once the feed is closed.
   */
  abstract close(): Promise<void>;

  /** Closes the feed, for `await using`. Streams that `close()` forgot are ended too. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
    this.end();
  }

  /**
   * Adds a listener. The same function may be added several times.
   *
   * - A listener hears events from the next one on, one added within an event too.
   * - A removed listener hears nothing more, not even the event that is being told.
   * - A listener that throws, or whose promise rejects, is reported to `error`.
   *
   * @param type The event.
   * @param listener Called synchronously with each event.
   * @returns A function that removes the listener.
   * @throws {TypeError} If there is no such event, or the listener is no function.
   *
   * @example Listening for a while
   * ```ts
   * import { AbstractFeeder } from "@aio-trader/core/feeder";
   * import { assertEquals } from "@std/assert";
   *
   * class Manual extends AbstractFeeder<number> {
   *   override async connect() {}
   *   override async close() {
   *     this.end();
   *   }
   *   give(item: number) {
   *     this.emit(item);
   *   }
   * }
   *
   * await using feed = new Manual();
   * const heard: number[] = [];
   * const remove = feed.on("item", (item) => heard.push(item));
   * feed.give(1);
   * remove();
   * feed.give(2);
   *
   * assertEquals(heard, [1]);
   * ```
   */
  on<K extends keyof FeedEvents<T>>(
    type: K,
    listener: (event: FeedEvents<T>[K]) => unknown,
  ): () => void {
    checkChoice("Cannot listen", "type", type, Object.keys(this.#listeners));
    if (typeof listener !== "function") {
      refuse("Cannot listen", "listener", listener, "a function");
    }
    const entry: Listener<FeedEvents<T>[K]> = { listener, removed: false };
    this.#setListeners(type, [...this.#listeners[type], entry]);
    return () => {
      entry.removed = true;
      this.#setListeners(type, this.#listeners[type].filter((other) => other !== entry));
    };
  }

  /**
   * Opens a stream of the items emitted from now on (not from the first `next()` on).
   *
   * - Every reader has a stream, and gets every item.
   * - A stream is left with `break`, `return()` or `await using`. A stream that is neither read nor
   *   left stays attached, and full.
   * - When the feed closes, the stream ends after the last item of its queue. When the feed ends
   *   with an error, the stream throws the error after that item, once.
   *
   * @param options How much may wait for the reader, and the rule for a full queue.
   * @returns The stream.
   * @throws {RangeError} If `capacity` is not a positive integer or Infinity.
   * @throws {TypeError} If an option is of the wrong type, or `overflow` is unknown.
   *
   * @example A slow reader, bounded
   * ```ts
   * import { AbstractFeeder } from "@aio-trader/core/feeder";
   * import { assertEquals } from "@std/assert";
   *
   * class Countdown extends AbstractFeeder<number> {
   *   override async connect() {
   *     for (let n = 5; n > 0; n--) this.emit(n);
   *   }
   *   override async close() {
   *     this.end();
   *   }
   * }
   *
   * const feed = new Countdown();
   * const latest = feed.stream({ capacity: 2 });
   * await feed.connect();
   * await feed.close();
   *
   * assertEquals(latest.dropped, 3);
   * assertEquals(await Array.fromAsync(latest), [2, 1]);
   * ```
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
   * @param event The value that the listeners are given.
   */
  protected dispatch<K extends keyof FeedEvents<T>>(type: K, event: FeedEvents<T>[K]): void {
    const listeners = this.#listeners[type];
    for (const listener of listeners) this.#tell(type, listener, event);
    if (type === "error" && listeners.length === 0) throwLater(event);
  }

  /**
   * Tells whether an event has listeners.
   *
   * @param type The event.
   * @returns Whether there is a listener.
   */
  protected hasListener(type: keyof FeedEvents<T>): boolean {
    return this.#listeners[type].length > 0;
  }

  /**
   * Ends the feed for its readers: each stream ends after the last item of its queue, a stream
   * opened later at once. Ending the feed again changes nothing.
   *
   * @param error The fault that ended the feed, if the feed was not asked to end. Listeners of
   *   `error` are told, and each stream throws the error.
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

/** Throws where no caller can catch it, so that the runtime reports it as uncaught. */
function throwLater(error: unknown): void {
  queueMicrotask(() => {
    throw error;
  });
}
