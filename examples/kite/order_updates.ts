/**
 * Updates of own orders at Kite, each delivered once, also over lost connections.
 *
 * The venue sends an update once, and never again if the socket was down (source:
 * kite.trade/forum/discussion/9855). So the order book is asked for after each loss.
 *
 * @module
 */

import { retry } from "@aio-trader/core";
import { delay } from "@std/async/delay";
import { Recent } from "../recent.ts";
import { isOver, type KiteOrder } from "./account.ts";
import type { KiteBroker } from "./broker.ts";
import { type MainFeed, SideChannel } from "./side_channel.ts";

/** Options of {@linkcode OrderUpdates}. */
export interface OrderUpdatesOptions {
  /** Fills the gaps. Without a broker the channel tells gaps, and fills none. */
  readonly broker?: Pick<KiteBroker, "orders"> | undefined;
  /**
   * Longest time for all attempts to fill a gap, in milliseconds.
   *
   * @default {30_000}
   */
  readonly backfillTimeout?: number | undefined;
  /**
   * How long after the socket is open the venue may begin to send, in milliseconds: the order book
   * is read once more then.
   *
   * @default {1_000}
   */
  readonly overlap?: number | undefined;
}

/** An update, and the connection that it came over: none, for one of the order book. */
interface Update {
  readonly order: KiteOrder;
  readonly over: unknown;
}

/** Longest time that a timer takes, in milliseconds. */
const MAX_TIMER = 2 ** 31 - 1;

/** Longest wait for the order book before the first connection, in milliseconds. */
const PATIENCE = 2_000;

/**
 * Updates of the account's orders, placed here or elsewhere.
 *
 * - Each update that the venue sends is delivered once, in the order of the venue.
 * - After a loss the order book is asked for. Orders that changed meanwhile are delivered first, in
 *   the state that they have now; updates of the new connection wait. The book is read once more
 *   after `overlap`, and the event `gap` tells how that ended.
 * - Orders that stood before the feed first connected are no news until they change.
 */
export class OrderUpdates extends SideChannel<KiteOrder> {
  readonly #broker: OrderUpdatesOptions["broker"];
  readonly #timeout: number;
  readonly #overlap: number;
  /** The orders before the first connection, by name. */
  readonly #before = new Map<string, KiteOrder>();
  /** The latest update of each order that was delivered: of more than the venue takes in a day. */
  readonly #told = new Recent<string, Update>(10_000);
  /** Updates that wait until a gap is filled. */
  #held: Update[] | undefined;
  #filling: AbortController | undefined;
  #since = Infinity;
  #isBegun = false;

  /**
   * Makes the channel.
   *
   * @param feed The feed whose socket tells the updates.
   * @param options The broker that fills the gaps.
   */
  constructor(feed: MainFeed, options: OrderUpdatesOptions = {}) {
    super(feed);
    const { broker, backfillTimeout = 30_000, overlap = 1_000 } = options;
    this.#broker = broker;
    this.#timeout = backfillTimeout + overlap;
    this.#overlap = overlap;
    feed.closed.then(() => this.#filling?.abort());
  }

  /**
   * Takes note of the orders that stand before the first connection. Every later change is news. If the order book cannot be read in time, all orders of the day count as news after a
   * loss.
   *
   * @param signal Ends it.
   */
  async begin(signal: AbortSignal): Promise<void> {
    if (this.#isBegun || !this.#broker) return;
    this.#isBegun = true;
    const late = new AbortController();
    const timer = setTimeout(() => late.abort(), PATIENCE);
    try {
      const either = AbortSignal.any([signal, late.signal]);
      const orders = await this.#broker.orders({ signal: either, urgent: true });
      for (const order of orders) this.#before.set(order.order_id, order);
    } catch {
      // Ticks do not wait for an order book that cannot be read.
    } finally {
      clearTimeout(timer);
    }
  }

  /**
   * Reads an update.
   *
   * @param order The order, as it is now.
   * @param over The connection that told it.
   */
  read(order: KiteOrder, over: unknown): void {
    const update = { order, over };
    if (this.#held) this.#held.push(update);
    else this.#deliver(update);
  }

  /** Delivers an update, unless the order book or another connection has told it, or a later one. */
  #deliver(update: Update): void {
    const { order, over } = update;
    const last = this.#told.get(order.order_id);
    if (last && (last.over === over ? isRepeated(order, last.order) : !isNews(order, last.order))) {
      return;
    }
    this.#tell(update);
  }

  #tell(update: Update): void {
    this.#told.set(update.order.order_id, update);
    this.publish(update.order);
  }

  /**
   * Notes that the connection was lost.
   *
   * @param since When it was last heard, in epoch milliseconds.
   */
  lose(since: number): void {
    this.#since = Math.min(this.#since, since);
    // An answer that is under way may not know the orders that change from now on.
    this.#filling?.abort();
    this.#filling = undefined;
  }

  /** Notes that there is a connection. After a loss the order book is asked for, until it answers. */
  resume(): void {
    if (this.#since < Infinity) void this.#fill();
  }

  /** Fills the gap. Another loss meanwhile makes the gap grow. */
  async #fill(): Promise<void> {
    this.#filling?.abort();
    const filling = this.#filling = new AbortController();
    const { signal } = filling;
    const isStale = () => this.#filling !== filling;
    if (!this.#broker) return this.#end(new Error("Cannot fill the gap: no broker, wanted one"));
    this.#held ??= [];
    const late = () => filling.abort(new Error("Cannot fill the gap: no order book in time"));
    const timer = setTimeout(late, Math.min(this.#timeout, MAX_TIMER));
    try {
      for (const wait of [0, this.#overlap]) {
        // The venue may begin to send a moment after the socket is open: hence a second look.
        if (wait > 0) await delay(wait, { signal });
        const orders = await this.#ask(this.#broker, signal);
        if (isStale()) return;
        this.#catchUp(orders);
        this.#release();
      }
      this.#end();
    } catch (cause) {
      if (!isStale()) this.#end(cause);
    } finally {
      clearTimeout(timer);
    }
  }

  /** Ends the gap, and tells whether it is filled. */
  #end(cause?: unknown): void {
    const filled = cause === undefined;
    const gap = { since: this.#since, until: Date.now(), filled, ...!filled && { cause } };
    this.#since = Infinity;
    this.#filling = undefined;
    this.dispatch("gap", gap);
    this.#release();
  }

  /** Delivers the updates that wait. */
  #release(): void {
    const held = this.#held ?? [];
    this.#held = undefined;
    for (const update of held) this.#deliver(update);
  }

  #ask(broker: Pick<KiteBroker, "orders">, signal: AbortSignal): Promise<KiteOrder[]> {
    const ask = retry(() => broker.orders({ signal, urgent: true }), {
      ...{ maxRetries: Infinity, baseWait: 500, maxWait: 5_000, jitter: 0.5 },
      ...{ signal, shouldRetry: () => !signal.aborted },
    });
    return ask();
  }

  /** Delivers the orders that changed: by the updates that wait, where those tell it. */
  #catchUp(orders: readonly KiteOrder[]): void {
    const held = this.#held ?? [];
    for (const order of orders) {
      const id = order.order_id;
      const waiting = held.filter((it) => it.order.order_id === id);
      const upTo = waiting.findLastIndex((it) => isSame(it.order, order));
      for (const update of waiting.slice(0, upTo + 1)) {
        held.splice(held.indexOf(update), 1);
        this.#deliver(update);
      }
      const last = this.#told.get(id)?.order ?? this.#before.get(id);
      if (last && !isNews(order, last)) continue;
      this.#tell({ order, over: undefined });
    }
  }
}

/** Fields that make up the state of an order. */
const STATE = [
  "quantity",
  "filled_quantity",
  "pending_quantity",
  "average_price",
  "price",
  "trigger_price",
  "order_type",
  "validity",
  "disclosed_quantity",
  "status_message",
] as const;

/** Whether the venue repeats itself, to the last field. */
function isRepeated(next: KiteOrder, last: KiteOrder): boolean {
  return JSON.stringify(next) === JSON.stringify(last);
}

/** Whether a state of an order is another one than the last, and not an earlier one. */
function isNews(next: KiteOrder, last: KiteOrder): boolean {
  if (isSame(next, last)) return false;
  if (isOver(last) || next.filled_quantity < last.filled_quantity) return false;
  return !(changedAt(next) < changedAt(last));
}

function isSame(one: KiteOrder, other: KiteOrder): boolean {
  return statusOf(one) === statusOf(other) &&
    STATE.every((field) => (one[field] ?? null) === (other[field] ?? null));
}

/** The socket calls an open order that has changed `"UPDATE"`. */
function statusOf({ status }: KiteOrder): string {
  return status === "UPDATE" ? "OPEN" : status;
}

/** When it changed. The venue's times sort as text. */
function changedAt({ exchange_update_timestamp, order_timestamp }: KiteOrder): string {
  return exchange_update_timestamp ?? order_timestamp;
}
