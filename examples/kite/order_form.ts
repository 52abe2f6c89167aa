/**
 * Orders as they are placed at Kite. The types leave no room for fields that do not go together.
 *
 * Source: kite.trade/docs/connect/v3/orders.
 *
 * @module
 */

import type { KiteOrder, KiteOrderType, KiteValidity, KiteVariety } from "./account.ts";

/** Fields of every order. */
export interface KiteOrderCommon {
  /** `"NSE"`, `"BSE"`, `"NFO"` and so on. */
  readonly exchange: string;
  /** Instrument, `"INFY"`. */
  readonly tradingsymbol: string;
  /** Side. */
  readonly transaction_type: "BUY" | "SELL";
  /** Delivery, overnight or within the day. */
  readonly product: "CNC" | "NRML" | "MIS" | "MTF";
  /** Quantity: a multiple of the lot. */
  readonly quantity: number;
  /** Quantity that the exchange shows. @default {0} all */
  readonly disclosed_quantity?: number;
  /**
   * Whether the venue slices a quantity above the exchange's freeze limit, into at most 10 orders.
   *
   * @default {false}
   */
  readonly autoslice?: boolean;
  /**
   * How far the price of MARKET and SL-M may go, in percent: above 0 to 100, or `-1` for the
   * exchange's recommendation. The venue refuses such an order without protection, or with `0`.
   *
   * @default {-1} for MARKET and SL-M
   */
  readonly market_protection?: number;
  /**
   * Your name of the order: at most 20 letters and digits. It finds an order that no answer came
   * for, so never use one twice on a day.
   *
   * @default 20 random hexadecimal digits
   */
  readonly tag?: string;
}

/** How an order finds its price. */
export type KitePricing =
  | {
    readonly order_type: "MARKET";
    readonly price?: undefined;
    readonly trigger_price?: undefined;
  }
  | {
    readonly order_type: "LIMIT";
    /** The limit. */
    readonly price: number;
    readonly trigger_price?: undefined;
  }
  | {
    readonly order_type: "SL";
    /** The limit. */
    readonly price: number;
    /** The price from which on the order trades. */
    readonly trigger_price: number;
  }
  | {
    readonly order_type: "SL-M";
    readonly price?: undefined;
    /** The price from which on the order trades. */
    readonly trigger_price: number;
  };

/** How a cover order finds its price, and where its stop is. */
export type KiteCover =
  & {
    readonly variety: "co";
    /** The stop. */
    readonly trigger_price: number;
  }
  & (
    | { readonly order_type: "MARKET"; readonly price?: undefined }
    | {
      readonly order_type: "LIMIT";
      /** The limit. */
      readonly price: number;
    }
  );

/** Which variety an order is, with the fields of that variety. */
export type KiteVarietyFields =
  | {
    /** @default {"regular"} */
    readonly variety?: "regular" | "amo";
    readonly iceberg_legs?: undefined;
    readonly iceberg_quantity?: undefined;
    readonly auction_number?: undefined;
  }
  | {
    readonly variety: "iceberg";
    /** Number of legs: 2 to 50. */
    readonly iceberg_legs: number;
    /** Quantity of each leg. */
    readonly iceberg_quantity: number;
    readonly auction_number?: undefined;
  }
  | {
    readonly variety: "auction";
    /** Number of the auction. */
    readonly auction_number: string | number;
    readonly iceberg_legs?: undefined;
    readonly iceberg_quantity?: undefined;
  };

/** How long an order stands. */
export type KiteLifetime =
  | {
    /** @default {"DAY"} */
    readonly validity?: "DAY" | "IOC";
    readonly validity_ttl?: undefined;
  }
  | {
    readonly validity: "TTL";
    /** Minutes until the venue cancels the order. */
    readonly validity_ttl: number;
  };

/** A new order. */
export type KiteOrderRequest =
  & KiteOrderCommon
  & KiteLifetime
  & ((KitePricing & KiteVarietyFields) | KiteCover);

/** A change of an order. Fields that are absent stay as they are. */
export interface KiteOrderChange {
  /** Variety of the order that is changed. @default {"regular"} */
  readonly variety?: KiteVariety;
  /** Quantity. */
  readonly quantity?: number;
  /** Limit, for LIMIT and SL. */
  readonly price?: number;
  /** Trigger, for SL and SL-M. */
  readonly trigger_price?: number;
  /** How the order finds its price. */
  readonly order_type?: KiteOrderType;
  /** How long the order stands. */
  readonly validity?: KiteValidity;
  /** Minutes until the venue cancels the order, for TTL. */
  readonly validity_ttl?: number;
  /** Quantity that the exchange shows. */
  readonly disclosed_quantity?: number;
  /**
   * How far the price may go, in percent, or `-1` for the exchange's recommendation.
   *
   * @default {-1} where `order_type` becomes MARKET or SL-M
   */
  readonly market_protection?: number;
}

/** An order, however it is typed. */
type Fields = Readonly<Record<string, unknown>>;

/**
 * Fields that the venue ignores without a word in an order of another kind. Without them the order
 * would be another one: all at once instead of in legs, now instead of from a trigger on.
 */
const BELONGS: readonly [field: string, to: string, is: (order: Fields) => boolean][] = [
  ["iceberg_legs", "variety iceberg", ({ variety }) => variety === "iceberg"],
  ["iceberg_quantity", "variety iceberg", ({ variety }) => variety === "iceberg"],
  ["auction_number", "variety auction", ({ variety }) => variety === "auction"],
  ["validity_ttl", "validity TTL", ({ validity }) => validity === "TTL"],
  [
    "trigger_price",
    "SL, SL-M or variety co",
    ({ variety, order_type }) => variety === "co" || order_type === "SL" || order_type === "SL-M",
  ],
];

/**
 * Completes the fields of a new order.
 *
 * @param order The order.
 * @returns The form that is sent, with a `tag` and, where the venue wants it, market protection.
 * @throws {TypeError} If a field does not belong to such an order, and the venue would ignore it.
 *   Orders that the venue refuses in words are left to the venue.
 */
export function completeOrder(order: KiteOrderRequest): Fields & { tag: string } {
  const { variety: _, tag = freshTag(), ...form } = order;
  const given: Fields = { ...order };
  for (const [field, to, is] of BELONGS) {
    if (given[field] === undefined || is(given)) continue;
    throw new TypeError(
      `Cannot place the order: ${field} is ${given[field]}, wanted only with ${to}`,
    );
  }
  return { ...protect(form), tag };
}

/**
 * Completes the fields of a change.
 *
 * @param change The change.
 * @returns The form that is sent.
 */
export function completeChange({ variety: _, ...form }: KiteOrderChange): Fields {
  return protect(form);
}

/**
 * Tells whether an order is as a change wanted it.
 *
 * @param order The order, as the venue tells it.
 * @param change The change.
 * @returns `undefined` if that cannot be told: a field is not told, or the MARKET order may be told as
 *   LIMIT.
 */
export function isChanged(order: KiteOrder, change: KiteOrderChange): boolean | undefined {
  const { variety: _, order_type, ...wanted } = change;
  const told = order as unknown as Fields;
  const fields = Object.entries(wanted).filter(([, value]) => value !== undefined);
  if (fields.some(([name, value]) => told[name] !== undefined && told[name] !== value)) {
    return false;
  }
  if (fields.some(([name]) => told[name] === undefined)) return undefined;
  if (order_type === undefined || order_type === order.order_type) return true;
  return order_type === "MARKET" && order.order_type === "LIMIT" ? undefined : false;
}

/** The venue refuses MARKET and SL-M without protection. */
function protect(form: object): Fields {
  const { order_type } = form as Fields;
  const takes = order_type === "MARKET" || order_type === "SL-M";
  return { ...takes && { market_protection: -1 }, ...form };
}

/** A name that no other order has: 74 random bits. */
function freshTag(): string {
  return crypto.randomUUID().replaceAll("-", "").slice(0, 20);
}
