/**
 * An account at Bybit in types: orders, executions and balances, as the API v5 tells them. Decimals
 * and times are text, as the venue writes them.
 *
 * Source: bybit-exchange.github.io/docs/v5, "Trade" and "Account".
 *
 * @module
 */

/** What is traded: spot, or contracts settled in USDT or USDC. */
export type BybitCategory = "spot" | "linear";

/** An order to place. Further fields of the venue's order/create may be added. */
export interface BybitOrderRequest {
  /** The symbol, `"BTCUSDT"`. */
  readonly symbol: string;
  /** What to do. */
  readonly side: "Buy" | "Sell";
  /** How. */
  readonly orderType: "Market" | "Limit";
  /** How much. A market buy at spot counts in the quote coin unless `marketUnit` says otherwise. */
  readonly qty: string;
  /** The limit. */
  readonly price?: string;
  /** How long the order stands. The venue's default is `"GTC"`, of market orders `"IOC"`. */
  readonly timeInForce?: "GTC" | "IOC" | "FOK" | "PostOnly";
  /** What `qty` of a market order at spot counts. */
  readonly marketUnit?: "baseCoin" | "quoteCoin";
  /**
   * Your name of the order: at most 36 letters, digits, `-` and `_`. Never use one twice.
   *
   * @default a fresh UUID
   */
  readonly orderLinkId?: string;
}

/** Which order: by the venue's name, or by yours. */
export interface BybitOrderName {
  /** The symbol. */
  readonly symbol: string;
  /** The venue's name of the order. */
  readonly orderId?: string;
  /** Your name of the order. */
  readonly orderLinkId?: string;
}

/** What is new of an open order. */
export interface BybitAmendment extends BybitOrderName {
  /** How much in all. */
  readonly qty?: string;
  /** The limit. */
  readonly price?: string;
}

/** An order that the venue has taken. */
export interface BybitPlaced {
  /** The venue's name of the order. */
  readonly orderId: string;
  /** Your name of the order. */
  readonly orderLinkId: string;
  /** The state of the order, if no answer came and the order was looked up. */
  readonly orderStatus?: string;
}

/** An order. More fields come with it. */
export interface BybitOrder extends Required<BybitPlaced> {
  /** The symbol. */
  readonly symbol: string;
  /** What the order does. */
  readonly side: "Buy" | "Sell";
  /** `"New"`, `"PartiallyFilled"`, `"Filled"`, `"Cancelled"`, `"Rejected"` and others. */
  readonly orderStatus: string;
  /** How much is wanted. */
  readonly qty: string;
  /** The limit. */
  readonly price: string;
  /** Executed so far. */
  readonly cumExecQty: string;
  /** Average price so far, or empty. */
  readonly avgPrice: string;
  /** When the order came, in epoch milliseconds. */
  readonly createdTime: string;
  /** When the order changed last, in epoch milliseconds. */
  readonly updatedTime: string;
}

/** One execution. More fields come with it. */
export interface BybitExecution {
  /** Names the execution. */
  readonly execId: string;
  /** The venue's name of the order. */
  readonly orderId: string;
  /** Your name of the order. */
  readonly orderLinkId: string;
  /** The symbol. */
  readonly symbol: string;
  /** What was done. */
  readonly side: "Buy" | "Sell";
  /** How much. */
  readonly execQty: string;
  /** The price. */
  readonly execPrice: string;
  /** The fee. */
  readonly execFee: string;
  /** When, in epoch milliseconds. */
  readonly execTime: string;
}

/** What the account holds of a coin. More fields come with it. */
export interface BybitCoin {
  /** The coin. */
  readonly coin: string;
  /** How much of it. */
  readonly walletBalance: string;
}

/** States of an order that may still be executed. */
const OPEN: ReadonlySet<string> = new Set(["New", "PartiallyFilled", "Untriggered", "Triggered"]);

/** Whether an order may still be executed. */
export function isOpen({ orderStatus }: Pick<BybitOrder, "orderStatus">): boolean {
  return OPEN.has(orderStatus);
}
