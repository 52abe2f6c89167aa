/**
 * When an item is delivered, and which is not. Internal.
 *
 * @module
 */

import type { Connection } from "./connection.ts";
import type { Handover } from "./handover.ts";

/**
 * Turns that the caller of `connect()` is given to open its stream before the first item: more than
 * a few nested async functions take. Counted in microtasks, as a timer may fire a second late in a
 * hidden browser tab.
 */
const TURNS = 24;

/** Holds back what must wait, and drops what must not come. */
export class Delivery<T> {
  /** Tells apart what two connections deliver, while one replaces the other. */
  handover: Handover | undefined;
  /** The connection that is logging in while none is live. */
  arriving: Connection | undefined;
  readonly #emit: (item: T) => void;
  readonly #identify: (item: T) => unknown;
  /** What came with the login, by the connection that it came over. */
  readonly #held = new Map<Connection, T[]>();

  /**
   * Makes the delivery of a feed.
   *
   * @param emit Delivers an item that has waited.
   * @param identify Tells items apart; does not throw.
   */
  constructor(emit: (item: T) => void, identify: (item: T) => unknown) {
    this.#emit = emit;
    this.#identify = identify;
  }

  /** Has the items of a connection wait until it is announced. */
  hold(connection: Connection): void {
    this.arriving = connection;
    this.#held.set(connection, []);
  }

  /**
   * Decides about an item.
   *
   * @param item The item.
   * @param connection Where it came from, as far as that is known.
   * @returns Whether it is to be delivered now.
   */
  isDue(item: T, connection: Connection | undefined): boolean {
    if (connection !== undefined) {
      if (connection.isLeft || connection.ending) return false;
      const held = this.#held.size > 0 ? this.#held.get(connection) : undefined;
      if (held) return held.push(item) < 0;
    }
    if (this.handover === undefined) return true;
    const id = this.#identify(item);
    return id === undefined || !this.handover.isRepeated(id, connection);
  }

  /** Delivers what was held, once whoever awaits `connect()` has had a turn. */
  async release(connection: Connection): Promise<void> {
    this.#arrive(connection);
    for (let i = 0; i < TURNS; i++) await null;
    this.flush(connection);
  }

  /** Delivers what was held now. */
  flush(connection: Connection): void {
    const held = this.#held.get(connection) ?? [];
    // A listener may emit in its turn: that comes after.
    for (let i = 0; i < held.length && !connection.isLeft; i++) this.#emit(held[i]);
    this.#held.delete(connection);
  }

  /** Drops what is held of a connection that was never announced. */
  drop(connection: Connection): void {
    this.#arrive(connection);
    this.#held.delete(connection);
  }

  #arrive(connection: Connection): void {
    if (this.arriving === connection) this.arriving = undefined;
  }
}
