/**
 * Plays a recording through the class of the venue that it was made of, in place of the venue: what
 * reads a feed does not see the difference. (But where one connection replaced another meanwhile,
 * what both delivered comes twice.)
 *
 * ```ts ignore
 * const kraken = new KrakenFeed();
 * kraken.subscribe({ channel: "book", symbol: "BTC/USD" });
 * const lines = (await Deno.readTextFile("kraken.ndjson")).split("\n");
 * await using feed = new ReplayFeeder(kraken, lines, { speed: 10 });
 * await feed.connect();
 * for await (const item of feed) trade(item);
 * ```
 *
 * @module
 */

import {
  AbstractFeeder,
  type FeedConnection,
  FeedError,
  type WebSocketFeeder,
} from "@aio-trader/core";
import { readRecording } from "./recorder.ts";

/** Options of {@linkcode ReplayFeeder}. */
export interface ReplayOptions {
  /**
   * How many times faster than it was recorded. `Infinity` does not wait at all.
   *
   * @default {1}
   */
  speed?: number;
}

/** A timer set for longer than this (24.8 days) fires at once, on every runtime. */
const MAX_TIMER = 2 ** 31 - 1;

/** Frames after which others get a turn, though the next is due. */
const BURST = 500;

/**
 * A feed whose items come from a recording. It ends with the recording, and so do its streams.
 *
 * @typeParam T What the feed delivers.
 * @typeParam S What the venue is subscribed to.
 */
export class ReplayFeeder<T, S> extends AbstractFeeder<T> {
  readonly #venue: WebSocketFeeder<T, S>;
  readonly #lines: Iterable<string> | AsyncIterable<string>;
  readonly #speed: number;
  readonly #closed = new AbortController();
  #playing: Promise<void> | undefined;

  /**
   * Makes a feed. It plays nothing until `connect()`.
   *
   * @param venue A feed of the venue, never connected: it reads the frames. Subscribe it to what it
   *   was subscribed to when they were recorded.
   * @param lines The lines of a recording.
   * @param options How fast.
   * @throws {RangeError} If `speed` is not positive.
   */
  constructor(
    venue: WebSocketFeeder<T, S>,
    lines: Iterable<string> | AsyncIterable<string>,
    { speed = 1 }: ReplayOptions = {},
  ) {
    super();
    if (!(speed > 0)) {
      throw new RangeError(`Cannot replay: speed is ${speed}, wanted a positive number`);
    }
    this.#venue = venue;
    this.#lines = lines;
    this.#speed = speed;
    venue.on("item", (item) => this.emit(item));
    venue.on("error", (error) => this.dispatch("error", error));
  }

  /** Begins to play. */
  override connect(): Promise<void> {
    if (this.#closed.signal.aborted) {
      return Promise.reject(
        new FeedError("Cannot connect the feed: it is closed, wanted a new one"),
      );
    }
    if (!this.#playing) {
      this.dispatch("live", { connection: 1, resumed: false, downtime: 0 });
      this.#playing = this.#play();
    }
    return Promise.resolve();
  }

  /** Stops playing, for good. */
  override async close(): Promise<void> {
    this.#closed.abort();
    await this.#playing;
    await this.#venue.close();
    this.end();
  }

  async #play(): Promise<void> {
    const { signal } = this.#closed;
    const start = performance.now();
    let count = 0;
    try {
      for await (const { at, data, attempt } of readRecording(this.#lines)) {
        const wait = start + at / this.#speed - performance.now();
        if (wait > 0 || ++count % BURST === 0) await pause(Math.max(wait, 0), signal);
        if (signal.aborted) return;
        await this.#read(data, this.#connection(attempt));
      }
      this.end();
    } catch (cause) {
      this.end(new FeedError("Cannot go on with the replay: the recording is broken", { cause }));
    }
  }

  /** A connection that was recorded: nothing can be sent over it. */
  #connection(attempt: number): FeedConnection {
    const refuse = () => Promise.reject(new FeedError("Cannot ask: this is a recording"));
    const { signal } = this.#closed;
    const answer = () => false;
    return { attempt, signal, send: answer, ask: refuse, expect: refuse, answer, fail: answer };
  }

  async #read(data: string | ArrayBuffer, connection: FeedConnection): Promise<void> {
    try {
      // Brackets reach a protected member: the venue's class is played through as it is.
      const read = this.#venue["receive"](data, connection);
      if (read) await read;
    } catch (cause) {
      this.dispatch("error", new FeedError("Cannot read a frame: receive() threw", { cause }));
    }
  }
}

/** Resolves after so many milliseconds, or when the signal aborts. */
function pause(timeout: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve();
    const timer = setTimeout(done, Math.min(timeout, MAX_TIMER));
    signal.addEventListener("abort", done);
    function done() {
      clearTimeout(timer);
      signal.removeEventListener("abort", done);
      resolve();
    }
  });
}
