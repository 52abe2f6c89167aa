/**
 * An account at Kite in types: the user, orders, trades, holdings and positions, as REST tells them.
 *
 * Source: kite.trade/docs/connect/v3, "Orders", "Portfolio", "User".
 *
 * @module
 */

/** The credentials of a logged-in client. The token is good until the next morning, 6 o'clock in India. */
export interface KiteAccess {
  /** The app. */
  readonly apiKey: string;
  /** The token of this day. */
  readonly accessToken: string;
}

/** The credentials of a login: a token of this day, or the request token of Kite's login page. */
export type KiteLogin = KiteAccess | {
  /** The app. */
  readonly apiKey: string;
  /** The app's secret. It is not sent. */
  readonly apiSecret: string;
  /** `request_token` of the page to which the login page redirected. */
  readonly requestToken: string;
};

/** Kind of an order. */
export type KiteVariety = "regular" | "amo" | "co" | "iceberg" | "auction";

/** How an order finds its price. */
export type KiteOrderType = "MARKET" | "LIMIT" | "SL" | "SL-M";

/** How long an order stands. */
export type KiteValidity = "DAY" | "IOC" | "TTL";

/** An order at the venue. More fields come with it. */
export interface KiteOrder {
  /** The venue's name of the order. */
  readonly order_id: string;
  /** `"COMPLETE"`, `"REJECTED"`, `"CANCELLED"`, `"OPEN"`, or a step on the way to one of those. */
  readonly status: string;
  /** Why the order was rejected. */
  readonly status_message: string | null;
  /** Kind. */
  readonly variety: KiteVariety;
  /** Exchange, `"NSE"`. */
  readonly exchange: string;
  /** Instrument, `"INFY"`. */
  readonly tradingsymbol: string;
  /** The instrument's token in the feed. */
  readonly instrument_token: number;
  /** Side. */
  readonly transaction_type: "BUY" | "SELL";
  /** How the order finds its price. A protected MARKET order may be told as LIMIT. */
  readonly order_type: string;
  /** Delivery, overnight or within the day. */
  readonly product: string;
  /** How long the order stands. */
  readonly validity?: string;
  /** Quantity. */
  readonly quantity: number;
  /** Quantity that the exchange shows. */
  readonly disclosed_quantity?: number;
  /** Limit, for LIMIT and SL. */
  readonly price: number;
  /** Trigger, for SL and SL-M. */
  readonly trigger_price: number;
  /** Executed quantity. */
  readonly filled_quantity: number;
  /** Quantity that is still open. */
  readonly pending_quantity?: number;
  /** Average price of the executed quantity. */
  readonly average_price: number;
  /** Your name of the order. */
  readonly tag: string | null;
  /** When it was placed, in India: `"2026-11-23 09:15:00"`. */
  readonly order_timestamp: string;
  /** When it last changed at the exchange, in India. */
  readonly exchange_update_timestamp?: string | null;
}

/** An order that was placed. */
export interface KitePlaced {
  /** The venue's name of the order. With `autoslice`, that of the first slice. */
  readonly order_id: string;
  /** Your name of the order. */
  readonly tag: string;
  /** With `autoslice`: every slice that the venue told of, or its error. */
  readonly children?: readonly {
    /** The venue's name of the slice. */
    readonly order_id?: string;
    /** Why there is no such slice. */
    readonly error?: { readonly message: string; readonly error_type: string };
  }[];
}

/** One execution. More fields come with it. */
export interface KiteTrade {
  /** The exchange's name of the trade. */
  readonly trade_id: string;
  /** The venue's name of the order. */
  readonly order_id: string;
  /** Exchange. */
  readonly exchange: string;
  /** Instrument. */
  readonly tradingsymbol: string;
  /** The instrument's token in the feed. */
  readonly instrument_token: number;
  /** Side. */
  readonly transaction_type: "BUY" | "SELL";
  /** Delivery, overnight or within the day. */
  readonly product: string;
  /** Executed quantity. */
  readonly quantity: number;
  /** Price. */
  readonly average_price: number;
  /** When it was executed, in India: `"2026-11-23 09:15:00"`. */
  readonly fill_timestamp: string;
}

/** The user who is logged in. More fields come with it. */
export interface KiteProfile {
  /** The user, `"AB1234"`. */
  readonly user_id: string;
  /** The user's name. */
  readonly user_name: string;
  /** Exchanges that the user may trade at. */
  readonly exchanges: readonly string[];
}

/** A holding or a position. More fields come with it. */
export interface KitePosition {
  /** Exchange. */
  readonly exchange: string;
  /** Instrument. */
  readonly tradingsymbol: string;
  /** Delivery, overnight or within the day. */
  readonly product: string;
  /** Quantity; below 0 if sold first. */
  readonly quantity: number;
  /** Average price of the purchase. */
  readonly average_price: number;
  /** Last price of the instrument. */
  readonly last_price: number;
  /** Profit or loss. */
  readonly pnl: number;
}

/** The funds of a segment. More fields come with it. */
export interface KiteMargin {
  /** Whether the user may trade in the segment. */
  readonly enabled: boolean;
  /** Funds that are left, in rupees. */
  readonly net: number;
}

/** Whether an order can no longer change. */
export function isOver({ status }: Pick<KiteOrder, "status">): boolean {
  return /^(?:COMPLETE|REJECTED|CANCELLED.*)$/.test(status);
}
