/**
 * The subscriptions of a feed, and the connections that are brought to them. Internal.
 *
 * @module
 */

import type { Connection } from "./connection.ts";
import { type RepairOptions, Repairs } from "./repairs.ts";
import { type Asking, Subscriptions } from "./subscriptions.ts";

/** Subscriptions as a state. Every connection is brought to it. */
export class Wanted<S> {
  /** Subscriptions by key. */
  readonly all: Map<unknown, S> = new Map();
  /** The latest key that the venue class has confirmed though nobody subscribes to it. */
  stranger: unknown;
  readonly #asking: Asking<S>;
  readonly #connections = new Map<Connection, Subscriptions<S>>();
  /** Replaced connections that are still heard: a refusal may be theirs. */
  #replaced: Subscriptions<S>[] = [];
  readonly #repairs: Repairs;

  /**
   * Makes an empty state.
   *
   * @param asking How the venue is asked.
   * @param options When to repair.
   */
  constructor(asking: Asking<S>, options: RepairOptions) {
    this.#asking = asking;
    this.#repairs = new Repairs(options);
  }

  /** Number of subscriptions with these added. */
  sizeWith(wanted: ReadonlyMap<unknown, S>): number {
    let size = this.all.size;
    for (const key of wanted.keys()) if (!this.all.has(key)) size++;
    return size;
  }

  /** Adds subscriptions. */
  add(wanted: ReadonlyMap<unknown, S>): void {
    for (const [key, sub] of wanted) {
      this.all.set(key, sub);
      this.#mark(key);
    }
  }

  /** Removes a subscription, and tells whether it was there. */
  remove(key: unknown): boolean {
    const isThere = this.all.delete(key);
    if (isThere) this.#mark(key);
    return isThere;
  }

  /** Asks for a subscription anew, unsubscribed first: now, or when its backoff allows. */
  repair(key: unknown): void {
    if (this.all.has(key) && this.#connections.size > 0) {
      this.#repairs.plan(key, () => this.#mark(key, true));
    }
  }

  /** Drops a subscription that the venue refuses, and tells whether it was there. */
  refuse(key: unknown): boolean {
    const isThere = this.all.delete(key);
    this.#withdraw(key);
    return isThere;
  }

  /**
   * Asks later for a subscription that the venue refuses for now.
   *
   * @param key Its key.
   * @param retryAfter How long the venue asks to wait, in milliseconds.
   * @returns The wait, or nothing for an unknown key.
   */
  postpone(key: unknown, retryAfter: number): number | undefined {
    const isWanted = this.all.has(key);
    const wait = isWanted ? this.#repairs.plan(key, () => this.#mark(key), retryAfter) : undefined;
    this.#withdraw(key);
    return wait;
  }

  /** Notes that the venue has granted a subscription, over this connection. */
  confirm(key: unknown, connection: Connection): void {
    if (!this.all.has(key)) this.stranger = key;
    this.#connections.get(connection)?.confirm(key);
  }

  /** Prepares the requests of a new connection. They are sent with `flush()`. */
  begin(connection: Connection): Subscriptions<S> {
    if (this.#connections.size === 0) this.#repairs.settle();
    const subscriptions = new Subscriptions<S>(connection, this.#asking);
    for (const [key, sub] of this.all) {
      if (!this.#repairs.isHeld(key)) subscriptions.mark(key, sub);
    }
    this.#connections.set(connection, subscriptions);
    return subscriptions;
  }

  /** Asks nothing more over a connection. */
  leave(connection: Connection): void {
    const left = this.#connections.get(connection);
    this.#connections.delete(connection);
    this.#replaced = [...this.#replaced, ...left ? [left] : []].filter(({ isHeard }) => isHeard);
  }

  /** Whether all subscriptions are asked for over this connection, and confirmed. */
  isWhole(connection: Connection): boolean {
    if (!this.#connections.get(connection)?.isDone) return false;
    return !this.#repairs.holdsAny((key) => this.all.has(key));
  }

  /** Stops all timers. */
  close(): void {
    this.#repairs.clear();
  }

  /**
   * Stops to ask for a subscription that the venue has refused. Where more than one request was sent,
   * the venue may have granted another one: then each connection unsubscribes.
   */
  #withdraw(key: unknown): void {
    const all = [...this.#connections.values()];
    const heard = [...all, ...this.#replaced.filter(({ isHeard }) => isHeard)];
    const isOnly = heard.reduce((sum, subscriptions) => sum + subscriptions.requests(key), 0) <= 1;
    for (const subscriptions of all) {
      if (isOnly) subscriptions.forget(key);
      else subscriptions.mark(key, undefined);
      void subscriptions.flush();
    }
  }

  #mark(key: unknown, anew = false): void {
    const wanted = this.#repairs.isHeld(key) ? undefined : this.all.get(key);
    for (const subscriptions of this.#connections.values()) {
      subscriptions.mark(key, wanted, anew);
      void subscriptions.flush();
    }
  }
}
