/**
 * Reads frames in the order in which they came, also where reading takes a promise. Internal.
 *
 * Items are emitted without a word about the connection that they came from. While `receive` runs
 * that is known; after an `await` in it, only because one frame is read at a time: those of all
 * connections wait while a promise of `receive` is open.
 *
 * @module
 */

import { MAX_TIMER } from "../platform/max_timer.ts";
import type { Connection } from "./connection.ts";

/** Frames that have been read, after which the list is cut. */
const MOST_READ = 1_024;

/** What reads a frame. */
export interface ReaderHooks {
  receive(data: string | ArrayBuffer, connection: Connection): unknown;
  /** Told what `receive` threw. */
  threw(error: unknown): void;
  /** How long a frame of a connection that has ended may keep the others waiting, in milliseconds. */
  patience: number;
}

/** Reads the frames of all connections of a feed. */
export class Reader {
  /** Whose hook runs at this instant. */
  hook: Connection | undefined;
  /** Whose frame is read: until the promise of `receive` has settled. */
  reading: Connection | undefined;
  readonly #hooks: ReaderHooks;
  #waiting: [connection: Connection, data: string | ArrayBuffer][] = [];
  /** How many of those that wait have been read. */
  #head = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;
  /** Tells the promises that were given up from the one that is waited for. */
  #turn = 0;

  /**
   * Makes a reader.
   *
   * @param hooks What reads a frame.
   */
  constructor(hooks: ReaderHooks) {
    this.#hooks = hooks;
  }

  /** Reads a frame, now or after those before it. */
  read(connection: Connection, data: string | ArrayBuffer): void {
    if (this.reading === undefined) this.#start(connection, data);
    else this.#waiting.push([connection, data]);
  }

  /** Runs a hook for a connection. */
  during<R>(connection: Connection, hook: () => R): R {
    const outer = this.hook;
    this.hook = connection;
    try {
      return hook();
    } finally {
      this.hook = outer;
    }
  }

  /** Waits no longer than `patience` for a frame of a connection that has ended. */
  leave(connection: Connection): void {
    const { patience } = this.#hooks;
    if (this.reading !== connection || patience === Infinity) return;
    const turn = this.#turn;
    this.#timer = setTimeout(() => this.#next(turn), Math.min(patience, MAX_TIMER));
  }

  /** Reads nothing more. */
  close(): void {
    clearTimeout(this.#timer);
    this.#waiting = [];
  }

  #start(connection: Connection, data: string | ArrayBuffer): void {
    const outer = this.hook;
    this.hook = connection;
    let result: unknown;
    try {
      result = this.#hooks.receive(data, connection);
    } catch (error) {
      this.#hooks.threw(error);
    }
    this.hook = outer;
    if (result !== undefined) this.#await(connection, result);
  }

  #await(connection: Connection, result: unknown): void {
    if (typeof Object(result).then !== "function") return;
    this.reading = connection;
    const turn = ++this.#turn;
    (result as PromiseLike<unknown>).then(
      () => this.#next(turn),
      (error) => {
        if (!connection.ending) this.#hooks.threw(error);
        this.#next(turn);
      },
    );
  }

  /** Goes on with the frames that wait, up to the first that takes a promise again. */
  #next(turn: number): void {
    if (turn !== this.#turn) return;
    clearTimeout(this.#timer);
    this.reading = undefined;
    while (this.#head < this.#waiting.length && this.reading === undefined) {
      const [connection, data] = this.#waiting[this.#head++];
      if (!connection.ending) this.#start(connection, data);
    }
    if (this.#head < MOST_READ && this.#head < this.#waiting.length) return;
    this.#waiting = this.#waiting.slice(this.#head);
    this.#head = 0;
  }
}
