/**
 * The simulated Kite's triggers: each waits for a price, and then places an order.
 *
 * @module
 */

import type { Desk } from "./desk.ts";
import type { KiteGtt } from "./gtt.ts";
import { india, type Listing } from "./listing.ts";
import { Refusal } from "./rules.ts";

/** How long a trigger stands, in milliseconds: a year. */
const YEAR = 365 * 86_400_000;

type Entry = { -readonly [K in keyof KiteGtt]: KiteGtt[K] };

/** The user's triggers. */
export class GttDesk {
  readonly #desk: Desk;
  readonly #listings: readonly Listing[];
  readonly #triggers = new Map<number, Entry>();

  /**
   * Opens the desk.
   *
   * @param desk Where the orders go.
   * @param listings The instruments.
   */
  constructor(desk: Desk, listings: readonly Listing[]) {
    this.#desk = desk;
    this.#listings = listings;
  }

  /** All triggers, the oldest first. */
  get triggers(): readonly KiteGtt[] {
    return [...this.#triggers.values()];
  }

  /**
   * Tells of a trigger.
   *
   * @param id Its name.
   * @throws {Refusal} If no trigger has the name.
   */
  get(id: number): KiteGtt {
    const found = this.#triggers.get(id);
    if (found) return found;
    throw new Refusal("DataException", "Trigger not found.", 404);
  }

  /**
   * Takes a trigger, or replaces an active one.
   *
   * @param form The client's form.
   * @param id The one to replace.
   * @throws {Refusal} If it breaks a rule.
   */
  place(form: URLSearchParams, id: number = this.#triggers.size + 1): { trigger_id: number } {
    const isNew = !this.#triggers.has(id);
    if (!isNew) this.#active(id);
    const trigger = this.#read(form);
    const now = Date.now();
    this.#triggers.set(id, {
      ...{ ...trigger, id, status: "active", created_at: india(now) },
      expires_at: india(now + YEAR),
    });
    return { trigger_id: id };
  }

  /**
   * Cancels a trigger.
   *
   * @param id Its name.
   * @throws {Refusal} If it is not active.
   */
  cancel(id: number): { trigger_id: number } {
    this.#active(id).status = "deleted";
    return { trigger_id: id };
  }

  /** Places the orders of the triggers whose price has come. */
  match({ id, lastPrice }: Listing): void {
    for (const trigger of this.#triggers.values()) {
      const { exchange, tradingsymbol, trigger_values, last_price } = trigger.condition;
      if (trigger.status !== "active" || id !== `${exchange}:${tradingsymbol}`) continue;
      const reached = trigger_values.findIndex((value) =>
        value < last_price ? lastPrice <= value : lastPrice >= value
      );
      if (reached >= 0) this.#fire(trigger, reached);
    }
  }

  #fire(trigger: Entry, reached: number): void {
    trigger.status = "triggered";
    const fields = Object.entries(trigger.orders[reached])
      .map(([field, value]) => [field, String(value)]);
    const result = this.#attempt(new URLSearchParams(fields));
    trigger.orders = trigger.orders.map((order, i) => i === reached ? { ...order, result } : order);
  }

  #attempt(form: URLSearchParams): unknown {
    try {
      return { order_result: { status: "success", ...this.#desk.place("regular", form) } };
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      return { order_result: { status: "failed", rejection_reason: error.message } };
    }
  }

  #active(id: number): Entry {
    const found = this.get(id) as Entry;
    if (found.status === "active") return found;
    throw new Refusal("InputException", `Trigger is ${found.status}.`);
  }

  #read(form: URLSearchParams): Pick<Entry, "type" | "condition" | "orders"> {
    const type = form.get("type");
    const condition = parse(form.get("condition"));
    const orders = parse(form.get("orders"));
    const wanted = type === "single" ? 1 : type === "two-leg" ? 2 : NaN;
    const { exchange, tradingsymbol, trigger_values: values, last_price } = Object(condition);
    const name = `${exchange}:${tradingsymbol}`;
    const listing = this.#listings.find(({ id, isIndex }) => id === name && !isIndex);
    const isWhole = Array.isArray(values) && values.length === wanted &&
      values.every((value) => value > 0 && value !== last_price) && last_price > 0 &&
      Array.isArray(orders) && orders.length === wanted && (wanted === 1 || values[0] < values[1]);
    if (!isWhole) throw new Refusal("InputException", "Invalid trigger.");
    if (!listing) throw new Refusal("InputException", "Invalid `tradingsymbol`.");
    if (orders.some((order) => Object(order).order_type !== "LIMIT")) {
      throw new Refusal("InputException", "Only LIMIT orders are allowed.");
    }
    return { type: type as KiteGtt["type"], condition: Object(condition), orders };
  }
}

function parse(json: string | null): unknown {
  try {
    return JSON.parse(json ?? "");
  } catch {
    throw new Refusal("InputException", "Invalid JSON.");
  }
}
