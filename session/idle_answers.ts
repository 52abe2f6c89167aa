/**
 * Answers that lie on an idle connection of Deno or Node. Internal to {@linkcode Transport}.
 *
 * @module
 */

import type { Runtime } from "../platform/runtime.ts";

/**
 * Longest time without a reading of the sockets that an order accepts, in milliseconds. An answer
 * written in so short a time could as well be on its way, and no client could see the difference.
 */
const BLIND = 2;

/** How often an order waits again while other code keeps the event loop busy. */
const TRIES = 5;

/** Turns of the event loop after which a runtime has read from its sockets, by runtime. */
const TURNS: Partial<Record<Runtime["name"], number>> = {
  /**
   * A loop that is never idle asks its sockets once in 61 tasks (`event_interval` of the tokio
   * runtime of Deno), and each turn is a task.
   */
  deno: 64,
  /**
   * The first turn may come right after the sockets were read, the second after another reading.
   */
  node: 2,
};

/** Deno before 2.6 ran an immediate as a timer, and read from its sockets before each timer. */
const OLD_DENO = /^2\.[0-5]\./;

// Taken at once: a test that fakes the clock may replace them later.
const { setImmediate: later = setTimeout } = globalThis as unknown as {
  setImmediate?: (callback: () => void) => unknown;
};

/**
 * Makes a runtime read from its idle connections before an order goes out.
 *
 * Deno and Node take the first bytes on a connection after a request for the answer to the request.
 * While JavaScript runs, the runtime reads from no socket. A venue may write a 400 or a 408 unasked
 * meanwhile, and the next order would take that for its answer. Once the runtime has read the
 * unasked answer, the runtime closes the connection and sends the order on another.
 * `tests/runtimes/transport_check.ts` shows both.
 */
export class IdleAnswers {
  readonly #turns: number;
  readonly #tries: number;
  /** The runtime has read from its sockets at this time or later (`performance.now()`). */
  #read = -Infinity;
  #reading: Promise<void> | undefined;

  /**
   * Creates a watch over the connections of one session.
   *
   * @param runtime The runtime. In one that needs no watch, nothing ever waits.
   */
  constructor({ name, version }: Runtime) {
    const isOld = name === "deno" && OLD_DENO.test(version);
    this.#turns = isOld ? 1 : TURNS[name] ?? 0;
    this.#tries = isOld ? 1 : TRIES;
  }

  /**
   * Takes down that an answer has come, so the runtime has read from its sockets since the request.
   *
   * @param sent When the request was handed to `fetch` (`performance.now()`).
   */
  answered(sent: number): void {
    if (sent > this.#read) this.#read = sent;
  }

  /**
   * Waits until the runtime has read from its sockets within the last two milliseconds.
   *
   * - Right after an answer no wait is needed.
   * - Else a wait takes about 0.5 ms on Deno and 0.05 ms on Node.
   * - In a program that never rests the order goes out after five waits: up to 320 turns on Deno.
   *
   * @returns A promise, or `undefined` if no wait is needed.
   */
  wait(): Promise<void> | undefined {
    if (this.#turns === 0 || this.#isFresh()) return undefined;
    this.#reading ??= this.#wait().finally(() => this.#reading = undefined);
    return this.#reading;
  }

  async #wait(): Promise<void> {
    for (let tries = 0; tries < this.#tries && !this.#isFresh(); tries++) {
      const start = performance.now();
      await new Promise<void>((resolve) => turn(this.#turns, resolve));
      this.answered(start);
    }
  }

  #isFresh(): boolean {
    return performance.now() - this.#read <= BLIND;
  }
}

/** Calls `done` after so many turns of the event loop. */
function turn(left: number, done: () => void): void {
  if (left === 0) done();
  else later(() => turn(left - 1, done));
}
