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

/** Longest wait, in milliseconds: also for an event loop that stands still between two immediates. */
const PATIENCE = 100;

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

/**
 * Deno before 2.6 runs an immediate as a timer, and 2.6.0 and 2.6.1 wait for other work before they
 * run one. All of them read from the sockets before a timer.
 */
const OLD_DENO = /^2\.(?:[0-5]\.|6\.[01]\b)/;

// Taken at once: a test that fakes the clock may replace them later.
const { setTimeout: setTimer, clearTimeout: clearTimer, setImmediate: later = setTimer } =
  globalThis as unknown as {
    setTimeout: (callback: () => void, delay?: number) => unknown;
    clearTimeout: (timer: unknown) => void;
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
  readonly #isOld: boolean;
  /** The runtime has read from its sockets at this time or later (`performance.now()`). */
  #read = -Infinity;
  #reading: Promise<void> | undefined;

  /**
   * Creates a watch over the connections of one session.
   *
   * @param runtime The runtime. In one that needs no watch, nothing ever waits.
   */
  constructor({ name, version }: Runtime) {
    this.#turns = TURNS[name] ?? 0;
    this.#isOld = name === "deno" && OLD_DENO.test(version);
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
   * - In a program that never rests the order goes out after 100 ms, or once a timer can fire.
   *
   * @returns A promise, or `undefined` if no wait is needed.
   */
  wait(): Promise<void> | undefined {
    if (this.#turns === 0 || this.#isFresh()) return undefined;
    this.#reading ??= this.#wait().finally(() => this.#reading = undefined);
    return this.#reading;
  }

  async #wait(): Promise<void> {
    if (this.#isOld) return await new Promise((resolve) => void setTimer(resolve, 0));
    let isLate = false;
    const { promise: late, resolve } = Promise.withResolvers<void>();
    const timer = setTimer(() => resolve(void (isLate = true)), PATIENCE);
    while (!isLate && !this.#isFresh()) {
      const start = performance.now();
      await Promise.race([late, new Promise<void>((resolve) => turn(this.#turns, resolve))]);
      this.answered(start);
    }
    clearTimer(timer);
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
