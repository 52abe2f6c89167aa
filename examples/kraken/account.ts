/**
 * An account at Kraken in types: orders as they are placed, and orders and trades as REST tells
 * them. Decimals are text, as the venue writes them.
 *
 * Source: docs.kraken.com, API reference "Spot REST", trading and account data.
 *
 * @module
 */

/** A decimal. Text keeps its zeros; a number is written without an exponent. */
export type Decimal = string | number;

/** An order to place. Further fields of the venue's AddOrder may be added. */
export interface KrakenOrderRequest {
  /** What to trade, by any of its names: `"XBTUSD"`, `"BTC/USD"`. */
  readonly pair: string;
  /** What to do. */
  readonly type: "buy" | "sell";
  /** How. */
  readonly ordertype:
    | "market"
    | "limit"
    | "stop-loss"
    | "take-profit"
    | "stop-loss-limit"
    | "take-profit-limit"
    | "trailing-stop"
    | "trailing-stop-limit"
    | "settle-position";
  /** How much, of the base currency. */
  readonly volume: Decimal;
  /** The limit, or the trigger of a stop. */
  readonly price?: Decimal;
  /** The limit behind a trigger. */
  readonly price2?: Decimal;
  /** How long the order stands. The venue's default is `"GTC"`. */
  readonly timeinforce?: "GTC" | "IOC" | "GTD";
  /** `"post"` refuses an order that would trade at once; others as the venue lists them. */
  readonly oflags?: string;
  /** When a GTD order ends: `"+600"` seconds, or an epoch in seconds. */
  readonly expiretm?: string;
  /** `true` lets the venue check the order without placing it. */
  readonly validate?: boolean;
  /** Until when the matching engine may take the order: RFC 3339, 500 ms to 60 s from now. */
  readonly deadline?: string;
  /**
   * Your name of the order: a UUID, or at most 18 characters. Never use one twice.
   *
   * @default a fresh UUID
   */
  readonly cl_ord_id?: string;
}

/** An order that was placed. */
export interface KrakenPlaced {
  /** The venue's names of the order: one, or none for `validate`. */
  readonly txid: readonly string[];
  /** Your name of the order. */
  readonly cl_ord_id: string;
  /** The order in the venue's words. */
  readonly descr: { readonly order: string };
}

/** An order, as OpenOrders and ClosedOrders tell it. More fields come with it. */
export interface KrakenOrder {
  /** Your name of the order, if it has one. */
  readonly cl_ord_id?: string | null;
  /** Its state. */
  readonly status: "pending" | "open" | "closed" | "canceled" | "expired";
  /** When it was placed, in epoch seconds. */
  readonly opentm: number;
  /** When it ended, in epoch seconds. */
  readonly closetm?: number;
  /** Why it ended, or null. */
  readonly reason?: string | null;
  /** What was asked for. */
  readonly descr: {
    readonly pair: string;
    readonly type: "buy" | "sell";
    readonly ordertype: string;
    readonly price: string;
    readonly price2: string;
    readonly order: string;
  };
  /** How much was asked for. */
  readonly vol: string;
  /** How much was executed. */
  readonly vol_exec: string;
  /** What was paid or received, without fees. */
  readonly cost: string;
  /** Fees so far. */
  readonly fee: string;
  /** Average price, or 0. */
  readonly price: string;
}

/** One execution, as TradesHistory tells it. It does not name your `cl_ord_id`. */
export interface KrakenFill {
  /** The order, by the venue's name. */
  readonly ordertxid: string;
  /** The pair, by the venue's id. */
  readonly pair: string;
  /** When, in epoch seconds. */
  readonly time: number;
  /** What was done. */
  readonly type: "buy" | "sell";
  /** How. */
  readonly ordertype: string;
  /** The price. */
  readonly price: string;
  /** The price times the volume. */
  readonly cost: string;
  /** The fee. */
  readonly fee: string;
  /** How much. */
  readonly vol: string;
  /** Counts the trades of the pair. */
  readonly trade_id?: number;
}

/** Which part of the closed orders, or of the trades. The venue tells 50 at a time. */
export interface KrakenPage {
  /** Epoch seconds, exclusive, or the venue's name of the last one before. */
  readonly start?: number | string;
  /** Epoch seconds, inclusive, or the venue's name of the last one. */
  readonly end?: number | string;
  /** How many of the newest to leave out. */
  readonly ofs?: number;
  /** Only orders with your name. */
  readonly cl_ord_id?: string;
}
