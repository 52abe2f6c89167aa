/**
 * The simulated Kite's order desk: it takes orders, trades them against the markets, and counts.
 *
 * @module
 */

import type { KiteOrder, KitePlaced, KitePosition, KiteTrade, KiteVariety } from "./account.ts";
import { india, type Listing } from "./listing.ts";
import { freezeOf, judge, type KiteForm, numberOf, Refusal } from "./rules.ts";

/** An order at the desk, with further fields of the venue. */
export type DeskOrder = { -readonly [K in keyof Required<KiteOrder>]: Required<KiteOrder>[K] } & {
  /** Another name at each request, so that no two updates are the same. */
  guid: string;
  /** Protection, in percent. */
  market_protection: number;
  /** Minutes until it is cancelled, for TTL. */
  validity_ttl: number;
  /** Quantity that was cancelled. */
  cancelled_quantity: number;
  /** The first leg, for a later leg of an iceberg. */
  parent_order_id: string | null;
  /** Which leg of which iceberg. */
  meta: { iceberg?: { leg: number; legs: number; leg_quantity: number; left: number } };
};

/** States in which an order waits for the market. */
const OPEN: ReadonlySet<string> = new Set(["OPEN", "TRIGGER PENDING"]);

/** The user's orders. */
export class Desk {
  /** Counts of the requests that were executed, answered or not. */
  readonly executions: { placed: number; modified: number; cancelled: number } = {
    placed: 0,
    modified: 0,
    cancelled: 0,
  };
  /** The day's trades, the oldest first. */
  readonly trades: KiteTrade[] = [];
  /** Every update that was told, the oldest first. */
  readonly log: KiteOrder[] = [];
  readonly #listings: readonly Listing[];
  readonly #onUpdate: (order: KiteOrder) => void;
  readonly #orders = new Map<string, DeskOrder>();
  /** The states of each order, the oldest first. */
  readonly #history = new Map<string, KiteOrder[]>();
  /** When TTL orders end, in epoch milliseconds. */
  readonly #ends = new Map<string, number>();
  readonly #seed: number;
  #requests = 0;

  /**
   * Opens the desk.
   *
   * @param listings The instruments.
   * @param seed Where the names of the orders start.
   * @param onUpdate Told whenever an order has changed.
   */
  constructor(listings: readonly Listing[], seed: number, onUpdate: (order: KiteOrder) => void) {
    this.#listings = listings;
    this.#seed = seed;
    this.#onUpdate = onUpdate;
  }

  /** All orders, the oldest first. */
  get orders(): readonly DeskOrder[] {
    return [...this.#orders.values()];
  }

  /**
   * Takes an order.
   *
   * @param variety The kind.
   * @param fields The client's form.
   * @returns Its name, and with `autoslice` those of all slices.
   * @throws {Refusal} If it breaks a rule.
   */
  place(variety: string, fields: URLSearchParams): Omit<KitePlaced, "tag"> {
    const form: KiteForm = Object.fromEntries(fields);
    const name = `${form.exchange}:${form.tradingsymbol}`;
    const draft = { variety, form, listing: this.#listings.find(({ id }) => id === name) };
    judge(draft);
    const { listing } = draft;
    const order = this.#draw(variety as KiteVariety, form, listing);
    if (order.meta.iceberg) return { order_id: this.#begin(order, listing).order_id };
    const sizes = slices(order.quantity, freezeOf(listing));
    const placed = sizes.map((quantity) => this.#begin({ ...order, quantity }, listing));
    const children = placed.map(({ order_id }) => ({ order_id }));
    return { ...children[0], ...form.autoslice === "true" && { children } };
  }

  /**
   * Changes an order that is open.
   *
   * @param id Its name.
   * @param fields The fields that are new.
   * @throws {Refusal} If it is not open, or would break a rule.
   */
  modify(id: string, fields: URLSearchParams): { order_id: string } {
    const order = this.#open(id);
    const listing = this.#listingOf(order);
    const { autoslice: _, ...form } = Object.fromEntries(fields);
    const merged: KiteForm = { ...formOf(order), ...form };
    judge({
      variety: order.variety === "iceberg" ? "regular" : order.variety,
      form: merged,
      listing,
    });
    if (!(numberOf(merged, "quantity") > order.filled_quantity)) {
      throw new Refusal("InputException", "Invalid `quantity`. More of it is executed.");
    }
    this.executions.modified++;
    const wasTriggered = isStop(order) && order.status === "OPEN";
    const { order_type = "", validity = "" } = merged;
    const number = (field: string) => numberOf(merged, field);
    Object.assign(order, {
      ...{ order_type, validity, quantity: number("quantity"), price: number("price") },
      ...{ trigger_price: number("trigger_price"), validity_ttl: number("validity_ttl") },
      ...{ disclosed_quantity: number("disclosed_quantity") },
      ...{ market_protection: number("market_protection"), guid: this.#guid() },
    });
    order.pending_quantity = order.quantity - order.filled_quantity;
    // A stop that was triggered stays so.
    if (!wasTriggered) order.status = firstStatus(order, listing);
    this.#tell(order, "UPDATE");
    this.#match(order, listing);
    return { order_id: id };
  }

  /**
   * Cancels an order that is open.
   *
   * @param id Its name.
   * @throws {Refusal} If it is not open.
   */
  cancel(id: string): { order_id: string } {
    const order = this.#open(id);
    this.executions.cancelled++;
    order.guid = this.#guid();
    this.#cancel(order);
    return { order_id: id };
  }

  /** Lets open orders trade whose price has come. */
  match(listing: Listing): void {
    for (const order of this.#orders.values()) {
      if (order.instrument_token === listing.instrument.token) this.#match(order, listing);
    }
  }

  /** Ends the orders whose time is over. */
  expire(): void {
    for (const [id, end] of this.#ends) {
      if (Date.now() < end) continue;
      this.#ends.delete(id);
      const order = this.#orders.get(id)!;
      if (OPEN.has(order.status)) this.#cancel(order);
    }
  }

  /**
   * Fills an open order, or a part of it.
   *
   * @param id Its name.
   * @param quantity How much.
   * @param price At which price; at the best one unless given.
   * @throws {Refusal} If it is not open.
   */
  fill(id: string, quantity: number, price?: number): void {
    const order = this.#open(id);
    this.#fill(order, quantity, price ?? this.#listingOf(order).best(order.transaction_type));
  }

  /**
   * Tells the states of an order, the oldest first.
   *
   * @param id Its name.
   * @throws {Refusal} If there is no such order.
   */
  history(id: string): readonly KiteOrder[] {
    const states = this.#history.get(id);
    if (states) return states;
    throw new Refusal("GeneralException", "Couldn't find that `order_id`.", 404);
  }

  /** The positions that the trades have come to. */
  positions(): KitePosition[] {
    const groups = Map.groupBy(this.trades, (it) => `${it.instrument_token} ${it.product}`);
    return [...groups.values()].map((group) => {
      const [{ exchange, tradingsymbol, product, instrument_token }] = group;
      const sign = ({ transaction_type }: KiteTrade) => transaction_type === "BUY" ? 1 : -1;
      const sum = (of: (trade: KiteTrade) => number) => group.reduce((all, it) => all + of(it), 0);
      const quantity = sum((it) => sign(it) * it.quantity);
      const value = sum((it) => sign(it) * it.quantity * it.average_price);
      const last_price = this.#listingOf({ instrument_token }).lastPrice;
      const average_price = quantity === 0 ? 0 : value / quantity;
      const pnl = quantity * last_price - value;
      return { exchange, tradingsymbol, product, quantity, average_price, last_price, pnl };
    });
  }

  /** Draws an order up, as it was sent. It has no name yet. */
  #draw(variety: KiteVariety, form: KiteForm, listing: Listing): DeskOrder {
    const number = (field: string) => numberOf(form, field);
    const [legs, leg_quantity] = [number("iceberg_legs"), number("iceberg_quantity")];
    const all = number("quantity");
    const iceberg = { leg: 1, legs, leg_quantity, left: all - leg_quantity };
    const isIceberg = variety === "iceberg";
    const now = india(Date.now());
    return {
      ...{ order_id: "", parent_order_id: null, guid: this.#guid(), tag: form.tag ?? null },
      ...{ status: "", status_message: null, variety, meta: isIceberg ? { iceberg } : {} },
      ...{ exchange: form.exchange!, tradingsymbol: form.tradingsymbol! },
      ...{ instrument_token: listing.instrument.token, product: form.product! },
      ...{
        transaction_type: form.transaction_type as "BUY" | "SELL",
        order_type: form.order_type!,
      },
      ...{ validity: form.validity ?? "DAY", validity_ttl: number("validity_ttl") },
      ...{ quantity: isIceberg ? Math.min(leg_quantity, all) : all, price: number("price") },
      ...{ trigger_price: number("trigger_price"), market_protection: number("market_protection") },
      ...{ disclosed_quantity: number("disclosed_quantity"), filled_quantity: 0, average_price: 0 },
      ...{ pending_quantity: 0, cancelled_quantity: 0 },
      ...{ order_timestamp: now, exchange_update_timestamp: now },
    };
  }

  /** Puts an order on the book, and lets it trade. */
  #begin(draft: DeskOrder, listing: Listing): DeskOrder {
    const order = { ...draft, pending_quantity: draft.quantity };
    order.order_id = `261123${
      String(this.#seed * 1e6 + ++this.executions.placed).padStart(9, "0")
    }`;
    order.status = firstStatus(order, listing);
    this.#orders.set(order.order_id, order);
    this.#history.set(order.order_id, [{ ...order, status: "PUT ORDER REQ RECEIVED" }]);
    if (order.validity === "TTL") {
      this.#ends.set(order.order_id, Date.now() + order.validity_ttl * 60_000);
    }
    if (this.#match(order, listing)) return order;
    if (order.validity === "IOC") this.#cancel(order);
    else this.#tell(order);
    return order;
  }

  /** Fills an order at the best price, if that is one that it takes. */
  #match(order: DeskOrder, listing: Listing): boolean {
    if (!OPEN.has(order.status)) return false;
    if (order.status === "TRIGGER PENDING") {
      if (!isReached(order, listing)) return false;
      order.status = "OPEN";
      this.#tell(order);
    }
    const best = listing.best(order.transaction_type);
    const isMarket = order.order_type === "MARKET" || order.order_type === "SL-M";
    // An auction is held by the exchange.
    if (order.variety === "auction" || !(isMarket || takes(order, order.price, best))) return false;
    this.#fill(order, order.pending_quantity, best);
    return true;
  }

  #fill(order: DeskOrder, quantity: number, price: number): void {
    const { order_id, exchange, tradingsymbol, instrument_token, transaction_type, product } =
      order;
    const value = order.filled_quantity * order.average_price + quantity * price;
    order.filled_quantity += quantity;
    order.average_price = value / order.filled_quantity;
    order.pending_quantity -= quantity;
    this.trades.push({
      ...{ trade_id: String(10_000_000 + this.trades.length), order_id, exchange, tradingsymbol },
      ...{ instrument_token, transaction_type, product, quantity, average_price: price },
      fill_timestamp: india(Date.now()),
    });
    if (order.pending_quantity > 0) return this.#tell(order, "UPDATE");
    order.status = "COMPLETE";
    this.#tell(order);
    const { iceberg } = order.meta;
    if (iceberg && iceberg.left > 0) this.#nextLeg(order, iceberg);
  }

  /** The next leg of an iceberg comes once the one before it is executed. */
  #nextLeg(
    order: DeskOrder,
    { leg, legs, leg_quantity, left }: Required<DeskOrder["meta"]>["iceberg"],
  ): void {
    const quantity = Math.min(leg_quantity, left);
    const iceberg = { leg: leg + 1, legs, leg_quantity, left: left - quantity };
    this.#begin({
      ...order,
      ...{ quantity, filled_quantity: 0, average_price: 0, status: "", meta: { iceberg } },
      ...{ parent_order_id: order.parent_order_id ?? order.order_id, guid: this.#guid() },
    }, this.#listingOf(order));
  }

  #cancel(order: DeskOrder): void {
    order.status = "CANCELLED";
    order.cancelled_quantity = order.pending_quantity;
    order.pending_quantity = 0;
    this.#tell(order);
  }

  #open(id: string): DeskOrder {
    const order = this.#orders.get(id);
    if (order && OPEN.has(order.status)) return order;
    throw new Refusal("OrderException", `Order ${id} is not open.`);
  }

  #listingOf({ instrument_token }: Pick<KiteOrder, "instrument_token">): Listing {
    return this.#listings.find(({ instrument }) => instrument.token === instrument_token)!;
  }

  /** Tells the state of an order. The socket calls an open order that has changed `"UPDATE"`. */
  #tell(order: DeskOrder, status = order.status): void {
    order.exchange_update_timestamp = india(Date.now());
    const state = { ...order };
    this.#history.get(order.order_id)!.push(state);
    const update = { ...state, status };
    this.log.push(update);
    this.#onUpdate(update);
  }

  #guid(): string {
    return `guid-${++this.#requests}`;
  }
}

/** Whether a price is as good as the other, or better, for the other side. */
function takes({ transaction_type }: DeskOrder, price: number, other: number): boolean {
  return transaction_type === "BUY" ? price >= other : price <= other;
}

function isStop({ order_type }: DeskOrder): boolean {
  return order_type === "SL" || order_type === "SL-M";
}

/** The status of an order that is new, or as good as new. */
function firstStatus(order: DeskOrder, listing: Listing): string {
  return isStop(order) && !isReached(order, listing) ? "TRIGGER PENDING" : "OPEN";
}

function isReached(order: DeskOrder, { lastPrice }: Listing): boolean {
  return takes(order, lastPrice, order.trigger_price);
}

/** An order as the form that would place it. */
function formOf(order: DeskOrder): KiteForm {
  const fields = Object.entries(order).filter(([, value]) => value !== null);
  return Object.fromEntries(fields.map(([field, value]) => [field, String(value)]));
}

function slices(quantity: number, most: number): number[] {
  const sizes = [];
  for (let left = quantity; left > 0; left -= most) sizes.push(Math.min(left, most));
  return sizes;
}
