/**
 * The simulated Kite's order desk: it takes orders, trades them against the markets, and counts.
 *
 * @module
 */

import { seeded } from "../market.ts";
import type { KiteOrder, KitePosition, KiteVariety } from "./broker.ts";
import { india, type Listing } from "./listing.ts";

/** What the venue says no to. */
export class Refusal extends Error {
  /** The venue's own name of the error. */
  readonly type: string;
  /** The HTTP status. */
  readonly status: number;

  /**
   * Makes the error.
   *
   * @param type The venue's name of it.
   * @param message What is wrong.
   * @param status The HTTP status.
   */
  constructor(type: string, message: string, status = 400) {
    super(message);
    this.type = type;
    this.status = status;
  }
}

/** An order as the desk keeps it. */
type Entry = { -readonly [K in keyof KiteOrder]: KiteOrder[K] };

/** Most that one order may cost, in rupees. */
const FUNDS = 1_000_000;

/** The user's orders. */
export class Desk {
  /** What was done: each is counted once it has happened, whatever becomes of the answer. */
  readonly executions: { placed: number; modified: number; cancelled: number } = {
    placed: 0,
    modified: 0,
    cancelled: 0,
  };
  readonly #listings: readonly Listing[];
  readonly #onUpdate: (order: KiteOrder) => void;
  readonly #orders = new Map<string, Entry>();
  readonly #random: () => number;

  /**
   * Opens the desk.
   *
   * @param listings What can be traded.
   * @param seed Where the names of the orders start.
   * @param onUpdate Told whenever an order has changed.
   */
  constructor(
    listings: readonly Listing[],
    seed: number,
    onUpdate: (order: KiteOrder) => void,
  ) {
    this.#listings = listings;
    this.#random = seeded(seed);
    this.#onUpdate = onUpdate;
  }

  /** All orders, the oldest first. */
  get orders(): readonly KiteOrder[] {
    return [...this.#orders.values()];
  }

  /**
   * Takes an order.
   *
   * @param variety Which kind.
   * @param form What the client sent.
   * @returns Its name.
   * @throws {Refusal} If it makes no sense, or costs too much.
   */
  place(variety: string, form: URLSearchParams): { order_id: string } {
    const text = (name: string) => form.get(name) ?? "";
    const listing = this.#listings.find(({ id, isIndex }) =>
      !isIndex && id === `${text("exchange")}:${text("tradingsymbol")}`
    );
    if (!listing) throw new Refusal("InputException", "Invalid `tradingsymbol`.");
    const order: Entry = {
      order_id: `26112300${String(Math.floor(this.#random() * 1e7)).padStart(7, "0")}`,
      status: "OPEN",
      status_message: null,
      variety: variety as KiteVariety,
      exchange: text("exchange"),
      tradingsymbol: text("tradingsymbol"),
      instrument_token: listing.instrument.token,
      transaction_type: one(form, "transaction_type", ["BUY", "SELL"]),
      order_type: one(form, "order_type", ["MARKET", "LIMIT", "SL", "SL-M"]),
      product: one(form, "product", ["CNC", "NRML", "MIS", "MTF"]),
      quantity: number(form, "quantity", 0),
      price: number(form, "price", 0),
      trigger_price: number(form, "trigger_price", 0),
      filled_quantity: 0,
      average_price: 0,
      tag: form.get("tag"),
      order_timestamp: india(Date.now()),
    };
    check(order);
    const cost = order.quantity * listing.lastPrice;
    if (cost > FUNDS) {
      const message = `Insufficient funds. Required margin is ${cost.toFixed(2)}.`;
      throw new Refusal("MarginException", message);
    }
    this.executions.placed++;
    this.#orders.set(order.order_id, order);
    this.#trade(order, listing);
    this.#onUpdate(order);
    return { order_id: order.order_id };
  }

  /** Changes an order that is open. */
  modify(id: string, form: URLSearchParams): { order_id: string } {
    const order = this.#open(id);
    const changed = {
      ...order,
      quantity: number(form, "quantity", order.quantity),
      price: number(form, "price", order.price),
      trigger_price: number(form, "trigger_price", order.trigger_price),
      order_type: form.get("order_type") ?? order.order_type,
    };
    check(changed);
    this.executions.modified++;
    Object.assign(order, changed);
    this.#onUpdate(order);
    return { order_id: id };
  }

  /** Cancels an order that is open. */
  cancel(id: string): { order_id: string } {
    const order = this.#open(id);
    this.executions.cancelled++;
    order.status = "CANCELLED";
    this.#onUpdate(order);
    return { order_id: id };
  }

  /** Trades the open orders whose price has come. */
  match(listing: Listing): void {
    for (const order of this.#orders.values()) {
      const { instrument_token, status } = order;
      if (status !== "OPEN" || instrument_token !== listing.instrument.token) continue;
      if (this.#trade(order, listing)) this.#onUpdate(order);
    }
  }

  /** What the trades have come to. */
  positions(): KitePosition[] {
    const filled = this.orders.filter(({ status }) => status === "COMPLETE");
    const groups = Map.groupBy(filled, (it) => `${it.instrument_token} ${it.product}`);
    return [...groups.values()].map((group) => {
      const [{ exchange, tradingsymbol, product, instrument_token }] = group;
      const sign = ({ transaction_type }: KiteOrder) => transaction_type === "BUY" ? 1 : -1;
      const sum = (of: (order: KiteOrder) => number) => group.reduce((all, it) => all + of(it), 0);
      const quantity = sum((it) => sign(it) * it.quantity);
      const value = sum((it) => sign(it) * it.quantity * it.average_price);
      const last_price = this.#listings.find((it) => it.instrument.token === instrument_token)!
        .lastPrice;
      const average_price = quantity === 0 ? 0 : value / quantity;
      const pnl = quantity * last_price - value;
      return { exchange, tradingsymbol, product, quantity, average_price, last_price, pnl };
    });
  }

  #open(id: string): Entry {
    const order = this.#orders.get(id);
    if (order?.status === "OPEN") return order;
    throw new Refusal("OrderException", `Order ${id} is not open.`);
  }

  /** Fills an order at the best price, if that is one that it takes. */
  #trade(order: Entry, listing: Listing): boolean {
    const { transaction_type, order_type, price, quantity } = order;
    const best = listing.best(transaction_type);
    const takes = order_type === "LIMIT" &&
      (transaction_type === "BUY" ? price >= best : price <= best);
    if (order_type !== "MARKET" && !takes) return false;
    Object.assign(order, { status: "COMPLETE", filled_quantity: quantity, average_price: best });
    return true;
  }
}

function one<T extends string>(form: URLSearchParams, name: string, allowed: readonly T[]): T {
  const value = allowed.find((it) => it === form.get(name));
  if (value === undefined) throw new Refusal("InputException", `Invalid \`${name}\`.`);
  return value;
}

function number(form: URLSearchParams, name: string, otherwise: number): number {
  const value = Number(form.get(name) ?? otherwise);
  if (value >= 0) return value;
  throw new Refusal("InputException", `Invalid \`${name}\`.`);
}

function check({ quantity, order_type, price }: KiteOrder): void {
  if (!(Number.isInteger(quantity) && quantity > 0)) {
    throw new Refusal("InputException", "Invalid `quantity`.");
  }
  if (order_type === "LIMIT" && price === 0) {
    throw new Refusal("InputException", "Missing or empty field `price`.");
  }
}
