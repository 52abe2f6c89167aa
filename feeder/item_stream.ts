/**
 * The stream of one reader of a feed. Internal: `feeder.ts` exports its types.
 *
 * @module
 */

import { checkChoice, checkFunction, checkNumber, checkObject } from "../common/check.ts";
import { FeedError } from "./feed_error.ts";
import { Fifo, KeyedQueue, type Queue } from "./queue.ts";

/**
 * Options of {@linkcode AbstractFeeder.stream}.
 *
 * @example The latest price of each symbol, for a slow reader
 * ```ts
 * import { AbstractFeeder, type StreamOptions } from "@aio-trader/core/feeder";
 * import { assertEquals } from "@std/assert";
 *
 * type Price = { symbol: string; price: number };
 *
 * class Prices extends AbstractFeeder<Price> {
 *   override async connect() {
 *     this.emit({ symbol: "INFY", price: 1 });
 *     this.emit({ symbol: "TCS", price: 2 });
 *     this.emit({ symbol: "INFY", price: 3 });
 *   }
 *   override async close() {
 *     this.end();
 *   }
 * }
 *
 * const latest: StreamOptions<Price> = { key: (price) => price.symbol };
 * const feed = new Prices();
 * const stream = feed.stream(latest);
 * await feed.connect();
 * await feed.close();
 *
 * const prices = (await Array.fromAsync(stream)).map(({ price }) => price);
 * assertEquals(prices, [3, 2]); // INFY keeps its place and has the latest price
 * assertEquals(stream.dropped, 1);
 * ```
 */
export interface StreamOptions<T> {
  /**
   * Items that may wait for the reader. `Infinity` sets no limit.
   *
   * @default {16_384}
   */
  capacity?: number | undefined;
  /**
   * The fate of an item that finds the queue full: `"drop-oldest"` makes room for the item,
   * `"drop-newest"` drops the item, `"error"` ends the stream: the stream throws after the last
   * item of the queue.
   *
   * @default {"drop-oldest"}
   */
  overflow?: "drop-oldest" | "drop-newest" | "error" | undefined;
  /**
   * Tells items apart: a slow reader gets only the latest item of each key. A new item
   * keeps the place of the one that it replaces, so a busy key does not starve. Off unless given.
   */
  key?: ((item: T) => unknown) | undefined;
}

/**
 * One reader's view of a feed: the result of {@linkcode AbstractFeeder.stream}.
 *
 * @example Reading until a condition holds
 * ```ts
 * import { AbstractFeeder, type FeedStream } from "@aio-trader/core/feeder";
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
 * async function firstBelow(limit: number, stream: FeedStream<number>) {
 *   for await (const n of stream) if (n < limit) return n; // leaves the stream
 * }
 *
 * await using feed = new Countdown();
 * const stream = feed.stream();
 * await feed.connect();
 *
 * assertEquals(await firstBelow(4, stream), 3);
 * assertEquals(stream.size, 0); // the other items are forgotten
 * ```
 */
export interface FeedStream<T> extends AsyncIterableIterator<T, undefined>, AsyncDisposable {
  /** Items that wait for the reader. */
  readonly size: number;
  /** Items that the reader never got: dropped when the queue was full, or replaced by their key. */
  readonly dropped: number;
  /** Reads the next item. */
  next(): Promise<IteratorResult<T, undefined>>;
  /** Detaches the stream from the feed and forgets the items that wait. */
  return(): Promise<IteratorResult<T, undefined>>;
  /** The stream itself. */
  [Symbol.asyncIterator](): FeedStream<T>;
}

type Reader<T> = PromiseWithResolvers<IteratorResult<T, undefined>>["resolve"];

const OVERFLOWS = ["drop-oldest", "drop-newest", "error"] as const;

/** A queue between the feed, which pushes, and one reader. */
export class ItemStream<T> implements FeedStream<T> {
  readonly #capacity: number;
  readonly #overflow: StreamOptions<T>["overflow"];
  readonly #key: StreamOptions<T>["key"];
  readonly #queue: Queue<T>;
  readonly #detach: () => void;
  /** The reader that waits for the next item. */
  #reader: Reader<T> | undefined;
  /** Readers behind that one: rare, so that the usual item meets no array. */
  readonly #readers: Reader<T>[] = [];
  #dropped = 0;
  /** Set once the stream has ended; a reader is given the error once. */
  #ended: { error?: Error } | undefined;

  /**
   * Opens a stream.
   *
   * @param options How much may wait for the reader, and the rule for a full queue.
   * @param detach Called when the stream wants no more items.
   * @throws {RangeError} If `capacity` is not a positive integer or Infinity.
   * @throws {TypeError} If an option is of the wrong type, or `overflow` is unknown.
   */
  constructor(options: StreamOptions<T>, detach: () => void) {
    const task = "Cannot open a stream";
    checkObject(task, "options", options);
    const { capacity = 16_384, overflow = "drop-oldest", key } = options;
    this.#capacity = checkNumber(task, "capacity", capacity, { min: 1, integer: true });
    this.#overflow = checkChoice(task, "overflow", overflow, OVERFLOWS);
    checkFunction(task, "key", key);
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

  /** Gives the item to the reader that waits, or else queues it. An error of `key` is thrown. */
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

  /** Ends the stream after the last item of the queue, with an error if one is given. */
  end(error?: Error): void {
    this.#ended = { error };
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
      const state = `the reader is ${this.#capacity} items behind, which is its capacity`;
      this.end(new FeedError(`Cannot queue the item: ${state}, wanted a faster reader`));
    }
  }

  /** The result after the last item: the error, once, and then the end. */
  #last(): Promise<IteratorResult<T, undefined>> {
    const error = this.#ended?.error;
    this.#ended = {};
    return error ? Promise.reject(error) : Promise.resolve({ value: undefined, done: true });
  }
}
