/**
 * Reads frames in order, also where reading takes a promise. Internal.
 *
 * `emit` is not told the connection of an item. While `receive` runs, the reader knows it. After an
 * `await` in `receive` the reader still knows it, because it reads one frame at a time: the frames
 * of all connections wait for an open promise of `receive`.
 *
 * @module
 */

import { MAX_TIMER } from "../platform/max_timer.ts";
import type { Connection } from "./connection.ts";

/** Number of read frames after which the list is cut. */
const MOST_READ = 1_024;

/** Hooks of a reader. */
export interface ReaderHooks {
  /** Counts the frames. */
  readonly stats: { frames: number };
  receive(data: string | ArrayBuffer, connection: Connection): unknown;
  /** Told of an error of `receive`. */
  threw(error: unknown): void;
  /**
   * How long a frame of a connection that has ended may keep the others waiting, in milliseconds.
   */
  patience: number;
}

/** Reads the frames of all connections of a feed. */
export class Reader {
  /** Connection whose hook runs at this instant. */
  hook: Connection | undefined;
  /** Connection whose frame is read, until the promise of `receive` has settled. */
  reading: Connection | undefined;
  readonly #hooks: ReaderHooks;
  #waiting: [connection: Connection, data: string | ArrayBuffer][] = [];
  /** Number of waiting frames that have been read. */
  #head = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;
  /** Number of the promise that the others wait for. An older promise has been given up. */
  #turn = 0;

  /**
   * Makes a reader.
   *
   * @param hooks Its hooks.
   */
  constructor(hooks: ReaderHooks) {
    this.#hooks = hooks;
  }

  /** Reads a frame now, or after the frames before it. */
  read(connection: Connection, data: string | ArrayBuffer): void {
    this.#hooks.stats.frames++;
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

  /** Gives a frame of an ended connection up after `patience`. */
  leave(connection: Connection): void {
    const { patience } = this.#hooks;
    if (this.reading !== connection || patience === Infinity) return;
    const turn = this.#turn;
    this.#timer = setTimeout(() => this.#next(turn), Math.min(patience, MAX_TIMER));
  }

  /** Reads no more frames. */
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

  /** Reads the frames that wait, up to the next that takes a promise. */
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
