/**
 * Kite's GTT ("good till triggered"): orders that the venue places once a price is reached, for up
 * to a year.
 *
 * Source: kite.trade/docs/connect/v3/gtt.
 *
 * @module
 */

/** An order that a trigger places. */
export interface KiteGttOrder {
  /** Side. */
  readonly transaction_type: "BUY" | "SELL";
  /** Quantity. */
  readonly quantity: number;
  /** The limit. */
  readonly price: number;
  /** Delivery or overnight: a trigger may stand for longer than a day. */
  readonly product: "CNC" | "NRML" | "MTF";
  /** The venue takes no other type. @default {"LIMIT"} */
  readonly order_type?: "LIMIT";
}

/** Fields of every new trigger. */
interface Watched {
  /** `"NSE"`, `"BSE"`, `"NFO"` and so on. */
  readonly exchange: string;
  /** Instrument, `"INFY"`. */
  readonly tradingsymbol: string;
  /** Last price of the instrument now: a trigger below is reached by a fall, one above by a rise. */
  readonly last_price: number;
}

/** A new trigger: one with its order, or two of which the first that is reached cancels the other. */
export type KiteGttRequest =
  | Watched & {
    readonly type: "single";
    /** The price that places the order. */
    readonly trigger_values: readonly [number];
    /** The order. */
    readonly orders: readonly [KiteGttOrder];
  }
  | Watched & {
    readonly type: "two-leg";
    /** The prices: the stop below, the target above. */
    readonly trigger_values: readonly [stop: number, target: number];
    /** The orders, in the same order. */
    readonly orders: readonly [stop: KiteGttOrder, target: KiteGttOrder];
  };

/** A trigger at the venue. More fields come with it. */
export interface KiteGtt {
  /** The venue's name of the trigger. */
  readonly id: number;
  /** One trigger or two. */
  readonly type: "single" | "two-leg";
  /** `"active"`, `"triggered"`, `"disabled"`, `"expired"`, `"cancelled"`, `"rejected"`, `"deleted"`. */
  readonly status: string;
  /** When it was placed, in India. */
  readonly created_at: string;
  /** When it ends, in India. */
  readonly expires_at: string;
  /** The condition. */
  readonly condition: Watched & { readonly trigger_values: readonly number[] };
  /** The orders that the trigger places, and the result of each. */
  readonly orders: readonly (KiteGttOrder & { readonly result?: unknown })[];
}

/**
 * Writes a trigger as the venue wants it: a form with JSON in its fields.
 *
 * @param gtt The trigger.
 * @returns The form.
 */
export function gttForm(gtt: KiteGttRequest): Readonly<Record<string, string>> {
  const { type, exchange, tradingsymbol, trigger_values, last_price } = gtt;
  const orders = gtt.orders.map((order) => ({
    exchange,
    tradingsymbol,
    order_type: "LIMIT",
    ...order,
  }));
  const condition = { exchange, tradingsymbol, trigger_values, last_price };
  return { type, condition: JSON.stringify(condition), orders: JSON.stringify(orders) };
}
