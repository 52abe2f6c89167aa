/**
 * Answers that lie on an idle connection of Deno. Internal to {@linkcode Transport}.
 *
 * @module
 */

/**
 * Longest time, in milliseconds, for which an order accepts that Deno has looked at no socket. What
 * a venue writes in so short a time may as well be on its way: nobody can tell the two apart.
 */
const BLIND = 1;

/** How often an order waits again while other code keeps the event loop busy. */
const TRIES = 5;

/**
 * Turns of the event loop after which Deno has looked at its sockets. A loop that is never idle
 * looks once in 61 tasks (`event_interval` of its tokio runtime), and each turn is a task.
 */
const TURNS = 64;

/** Deno before 2.6 ran an immediate as a timer, and looked at its sockets before each timer. */
const OLD = /^2\.[0-5]\./;

// Taken at once: a test that fakes the clock may replace them later.
const { setImmediate: later = setTimeout } = globalThis as unknown as {
  setImmediate?: (callback: () => void) => unknown;
};

/**
 * Makes Deno look at its idle connections before an order goes out.
 *
 * Deno takes the first bytes on a connection after a request for the answer to the request. While
 * JavaScript runs, nobody looks at the sockets. So an answer that a venue wrote unasked meanwhile, a
 * 400 or a 408, is taken for the answer to the next order. Once Deno has looked, it closes such a
 * connection and sends the order on another. `tests/runtimes/transport_check.ts` shows both.
 */
export class IdleAnswers {
  readonly #isOld: boolean;
  /** Deno has looked at its sockets at this time or later (`performance.now()`). */
  #looked = -Infinity;
  #looking: Promise<void> | undefined;

  /**
   * Creates a watch over the connections of one session.
   *
   * @param version The version of Deno.
   */
  constructor(version: string) {
    this.#isOld = OLD.test(version);
  }

  /**
   * Takes down that an answer has come, so Deno has looked at its sockets since the request.
   *
   * @param sent When the request was handed to `fetch` (`performance.now()`).
   */
  answered(sent: number): void {
    if (sent > this.#looked) this.#looked = sent;
  }

  /**
   * Waits until Deno has looked at its sockets within the last millisecond: for about 0.5 ms, and
   * not at all right after an answer. A program that never rests may need up to five times 64 turns
   * of its event loop.
   *
   * @returns A promise, or `undefined` if there is nothing to wait for.
   */
  look(): Promise<void> | undefined {
    if (this.#isFresh()) return undefined;
    this.#looking ??= this.#look().finally(() => this.#looking = undefined);
    return this.#looking;
  }

  async #look(): Promise<void> {
    if (this.#isOld) return await new Promise((resolve) => void later(resolve));
    for (let tries = 0; tries < TRIES && !this.#isFresh(); tries++) {
      const start = performance.now();
      await new Promise<void>((resolve) => turn(TURNS, resolve));
      this.answered(start);
    }
  }

  #isFresh(): boolean {
    return performance.now() - this.#looked <= BLIND;
  }
}

/** Calls `done` after so many turns of the event loop. */
function turn(left: number, done: () => void): void {
  if (left === 0) done();
  else later(() => turn(left - 1, done));
}
