/**
 * Decides when an item is delivered, and which items are dropped. Internal.
 *
 * @module
 */

import type { Connection } from "./connection.ts";
import type { Handover } from "./handover.ts";
import { Memory } from "./memory.ts";
import { type Recovering, Recovery, type RecoveryOptions } from "./recovery.ts";

/**
 * Microtasks between `connect()` resolving and the first item, in which the caller opens its
 * stream. A few nested async functions take about ten. A timer might fire a second late in a hidden
 * tab.
 */
const TURNS = 24;

/** What a delivery needs of its feed. */
export interface Delivering<T> extends Omit<Recovering<T>, "deliver"> {
  /** Delivers an item. */
  emit(item: T): void;
  /** Tells items apart; does not throw. */
  identify(item: T): unknown;
}

/** Holds items back, and drops items. */
export class Delivery<T> {
  /** The connection that is logging in while none is live. */
  arriving: Connection | undefined;
  /** What the feed has missed. */
  readonly recovery: Recovery<T>;
  readonly #host: Delivering<T>;
  readonly #memory = new Memory();
  #handover: Handover | undefined;
  /** Items that came with the login, by their connection. */
  readonly #held = new Map<Connection, T[]>();
  /** Size of that list, which is asked for with every item. */
  #waiting = 0;

  /**
   * Makes the delivery of a feed.
   *
   * @param host The feed.
   * @param options How long a gap may take to fill.
   */
  constructor(host: Delivering<T>, options: RecoveryOptions) {
    this.#host = host;
    this.recovery = new Recovery<T>({
      get backfill() {
        return host.backfill;
      },
      tell: (gap) => host.tell(gap),
      deliver: (item) => this.#isNew(item, undefined) && host.emit(item),
    }, options);
  }

  /** Begins or ends the time in which two connections deliver. */
  handOver(handover: Handover | undefined): void {
    // Where a replacement has failed and the old one is still silent, its items wait on.
    if (this.#handover?.isHeard) this.recovery.trust();
    this.#handover = handover;
  }

  /** Makes the items of a connection wait until the connection is announced. */
  hold(connection: Connection): void {
    this.arriving = connection;
    this.#held.set(connection, []);
    this.#waiting = this.#held.size;
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
      if (connection.isMuted) return false;
      const held = this.#held.size > 0 ? this.#held.get(connection) : undefined;
      if (held) return held.push(item) < 0;
    }
    if (connection) {
      // An item of the old connection proves that the old one has lost nothing before.
      if (this.#handover?.isDoubtful(connection)) this.recovery.doubt();
      else this.recovery.trust();
    }
    return !this.recovery.holds(item) && this.#isNew(item, connection);
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
    for (let i = 0; i < held.length && connection.stage === "current"; i++) {
      const item = held[i];
      if (!this.recovery.holds(item) && this.#isNew(item, connection)) this.#host.emit(item);
    }
    this.#held.delete(connection);
    this.#waiting = this.#held.size;
  }

  /** Drops the held items of a connection that was never live. */
  drop(connection: Connection): void {
    this.#arrive(connection);
    this.#held.delete(connection);
    this.#waiting = this.#held.size;
  }

  /** Whether no item waits, and no connection is being replaced. */
  get isPlain(): boolean {
    return this.#waiting === 0 && this.#handover === undefined && this.recovery.isIdle;
  }

  #arrive(connection: Connection): void {
    if (this.arriving === connection) this.arriving = undefined;
  }

  /** Whether an item has not been delivered yet, as far as it can be told apart. */
  #isNew(item: T, connection: Connection | undefined): boolean {
    const id = this.#host.identify(item);
    if (id === undefined) return true;
    const attempt = connection?.attempt ?? 0;
    const first = this.#memory.firstOf(id, attempt);
    if (connection) this.#handover?.note(attempt, first);
    return first === undefined;
  }
}
