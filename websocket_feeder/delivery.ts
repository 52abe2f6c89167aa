/**
 * Decides when an item is delivered, and which items are dropped. Internal.
 *
 * @module
 */

import type { Connection } from "./connection.ts";
import type { Handover } from "./handover.ts";

/**
 * Microtasks between `connect()` resolving and the first item, in which the caller opens its stream.
 * A few nested async functions take about ten. A timer might fire a second late in a hidden tab.
 */
const TURNS = 24;

/** Holds items back, and drops items. */
export class Delivery<T> {
  /** Tells apart the items of two connections while one replaces the other. */
  handover: Handover | undefined;
  /** The connection that is logging in while none is live. */
  arriving: Connection | undefined;
  readonly #emit: (item: T) => void;
  readonly #identify: (item: T) => unknown;
  /** Items that came with the login, by their connection. */
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

  /** Makes the items of a connection wait until the connection is announced. */
  hold(connection: Connection): void {
    this.arriving = connection;
    this.#held.set(connection, []);
  }

  /**
   * Decides about an item.
   *
   * @param item The item.
   * @param connection The connection that it came over, if known.
   * @returns Whether to deliver it now.
   */
  isDue(item: T, connection: Connection | undefined): boolean {
    if (connection !== undefined) {
      if (connection.isMuted || connection.ending) return false;
      const held = this.#held.size > 0 ? this.#held.get(connection) : undefined;
      if (held) return held.push(item) < 0;
    }
    if (this.handover === undefined) return true;
    const id = this.#identify(item);
    return id === undefined || !this.handover.isRepeated(id, connection);
  }

  /** Delivers the held items after the caller of `connect()` has had its turn. */
  async release(connection: Connection): Promise<void> {
    this.#arrive(connection);
    for (let i = 0; i < TURNS; i++) await null;
    this.flush(connection);
  }

  /** Delivers the held items now. */
  flush(connection: Connection): void {
    const held = this.#held.get(connection) ?? [];
    // A listener may emit in its turn, which lengthens the list.
    for (let i = 0; i < held.length && !connection.isMuted; i++) this.#emit(held[i]);
    this.#held.delete(connection);
  }

  /** Drops the held items of a connection that was never live. */
  drop(connection: Connection): void {
    this.#arrive(connection);
    this.#held.delete(connection);
  }

  #arrive(connection: Connection): void {
    if (this.arriving === connection) this.arriving = undefined;
  }
}
