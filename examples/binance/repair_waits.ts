/**
 * How long the repair of a book waits, so that a storm of gaps does not use up the venue's limits.
 *
 * @module
 */

/** Wait of the second repair in a row, in milliseconds. It doubles with each one. */
const SECOND_WAIT = 1_000;

/** Longest wait, and how long a book must go without a repair for its waits to start again. */
const MOST = 30_000;

/**
 * The waits of all books. The first repair of a book is done at once. Repairs soon after one another
 * wait: 1, 2, 4 … 30 seconds.
 */
export class RepairWaits {
  readonly #latest = new Map<string, { wait: number; until: number }>();

  /**
   * Notes a repair.
   *
   * @param name The book.
   * @param now The time, of `performance.now()`.
   * @returns Milliseconds to wait before the repair.
   */
  next(name: string, now: number = performance.now()): number {
    const latest = this.#latest.get(name);
    const isCalm = !latest || now - latest.until >= MOST;
    const wait = isCalm ? 0 : Math.min(2 * latest.wait || SECOND_WAIT, MOST);
    this.#latest.set(name, { wait, until: now + wait });
    return wait;
  }

  /** Forgets the repairs of a book that is no longer wanted. */
  forget(name: string): void {
    this.#latest.delete(name);
  }
}
