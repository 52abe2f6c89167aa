/**
 * An account at Binance in types: orders as they are placed, and orders and trades as REST tells
 * them. Decimals are text, as the venue writes them.
 *
 * Source: binance-spot-api-docs, rest-api.md.
 *
 * @module
 */

/** What it takes to log in: a key that is made at Binance, of the kind HMAC. */
export interface BinanceLogin {
  /** The API key. */
  readonly apiKey: string;
  /** The secret key. It signs, and is not kept as text. */
  readonly secret: string;
}

/** An order to place. Decimals are text, so that none is rounded. */
export interface BinanceOrder {
  /** What to trade, `BTCUSDT`. */
  readonly symbol: string;
  /** What to do. */
  readonly side: "BUY" | "SELL";
  /** How. The `STOP` and `TAKE_PROFIT` types need a `stopPrice`. */
  readonly type:
    | "LIMIT"
    | "MARKET"
    | "LIMIT_MAKER"
    | "STOP_LOSS"
    | "STOP_LOSS_LIMIT"
    | "TAKE_PROFIT"
    | "TAKE_PROFIT_LIMIT";
  /** How much of the base asset. */
  readonly quantity?: string;
  /** How much of the quote asset, instead of `quantity`; of a `MARKET` order only. */
  readonly quoteOrderQty?: string;
  /** The limit. */
  readonly price?: string;
  /** How long the limit lasts: until it is cancelled, not at all, or whole or not at all. */
  readonly timeInForce?: "GTC" | "IOC" | "FOK";
  /** The price that triggers it. */
  readonly stopPrice?: string;
  /**
   * Under which name the order is found again: 1 to 36 letters, digits, `-` and `_`, never used before.
   *
   * @default {crypto.randomUUID()}
   */
  readonly newClientOrderId?: string;
}

/** An order that the venue knows. More fields come with it. */
export interface BinanceOrderState {
  /** What is traded. */
  readonly symbol: string;
  /** The venue's name for it. */
  readonly orderId: number | bigint;
  /** Our name for it. */
  readonly clientOrderId: string;
  /** What it does. */
  readonly side: "BUY" | "SELL";
  /** How. */
  readonly type: string;
  /** `NEW`, `PARTIALLY_FILLED`, `FILLED`, `CANCELED`, `REJECTED`, `EXPIRED` … */
  readonly status: string;
  /** The limit. */
  readonly price: string;
  /** How much was ordered. */
  readonly origQty: string;
  /** How much has been traded. */
  readonly executedQty: string;
  /** When it came, in epoch milliseconds. A look-up tells. */
  readonly time?: number;
  /** When it last changed, in epoch milliseconds. A look-up tells. */
  readonly updateTime?: number;
  /** When the venue executed the request, in epoch milliseconds. The answer to a request tells. */
  readonly transactTime?: number;
}

/**
 * Two orders, of which one cancels the other: the one `above` the market price and the one `below`.
 * One of them is a `LIMIT_MAKER`, `TAKE_PROFIT` or `TAKE_PROFIT_LIMIT`, the other a `STOP_LOSS` or
 * `STOP_LOSS_LIMIT`. Decimals are text.
 */
export interface BinanceOco {
  /** What to trade. */
  readonly symbol: string;
  /** What to do. */
  readonly side: "BUY" | "SELL";
  /** How much of the base asset, with either order. */
  readonly quantity: string;
  /** The type of the upper order. */
  readonly aboveType: BinanceOrder["type"];
  /** Its limit. */
  readonly abovePrice?: string;
  /** The price that triggers it. */
  readonly aboveStopPrice?: string;
  /** How long its limit lasts. */
  readonly aboveTimeInForce?: BinanceOrder["timeInForce"];
  /** The type of the lower order. */
  readonly belowType: BinanceOrder["type"];
  /** Its limit. */
  readonly belowPrice?: string;
  /** The price that triggers it. */
  readonly belowStopPrice?: string;
  /** How long its limit lasts. */
  readonly belowTimeInForce?: BinanceOrder["timeInForce"];
  /**
   * Our name of the list, never used before.
   *
   * @default {crypto.randomUUID()}
   */
  readonly listClientOrderId?: string;
}

/** A list of orders that the venue knows. More fields come with it. */
export interface BinanceOrderList {
  /** The venue's name for it. */
  readonly orderListId: number | bigint;
  /** Our name for it. */
  readonly listClientOrderId: string;
  /** `EXECUTING`, `ALL_DONE` or `REJECT`. */
  readonly listOrderStatus: string;
  /** What is traded. */
  readonly symbol: string;
  /** The names of its orders. */
  readonly orders: readonly Pick<BinanceOrderState, "symbol" | "orderId" | "clientOrderId">[];
}

/** A trade of the account. */
export interface BinanceTradeState {
  /** What was traded. */
  readonly symbol: string;
  /** The venue's name for the trade. */
  readonly id: number | bigint;
  /** The venue's name for the order. */
  readonly orderId: number | bigint;
  /** At which price. */
  readonly price: string;
  /** How much of the base asset. */
  readonly qty: string;
  /** How much of the quote asset. */
  readonly quoteQty: string;
  /** The fee. */
  readonly commission: string;
  /** In what it was paid. */
  readonly commissionAsset: string;
  /** When, in epoch milliseconds. */
  readonly time: number;
  /** Whether we bought. */
  readonly isBuyer: boolean;
  /** Whether our order was there before. */
  readonly isMaker: boolean;
}

/** Which orders or trades are asked for. Times are in epoch milliseconds, at most 24 h apart. */
export interface BinanceListOptions {
  /** From this moment on. */
  readonly startTime?: number;
  /** Until this moment. */
  readonly endTime?: number;
  /** From this order on; of trades, those of this order. */
  readonly orderId?: number | bigint;
  /** From this trade on; not together with times. */
  readonly fromId?: number | bigint;
  /**
   * Most entries, up to 1,000.
   *
   * @default {500}
   */
  readonly limit?: number;
}

/** A rule of a symbol. Of its fields, `LOT_SIZE` has `stepSize`, and so on. */
export interface BinanceFilter {
  /** Which rule: `PRICE_FILTER`, `LOT_SIZE`, `MARKET_LOT_SIZE`, `NOTIONAL`, `MIN_NOTIONAL` … */
  readonly filterType: string;
  /** The smallest step of a price. */
  readonly tickSize?: string;
  /** The smallest step of a quantity. */
  readonly stepSize?: string;
  /** The least quantity. */
  readonly minQty?: string;
  /** The greatest quantity. */
  readonly maxQty?: string;
  /** The least that an order must be worth in the quote asset. */
  readonly minNotional?: string;
}

/** The rules of a symbol. More fields come with it. */
export interface BinanceSymbol {
  /** The symbol. */
  readonly symbol: string;
  /** `TRADING`, or why not. */
  readonly status: string;
  /** The filters, with `tickSize`, `stepSize`, `minNotional` and others as decimals. */
  readonly filters: readonly BinanceFilter[];
}

/** The account. More fields come with it. */
export interface BinanceAccount {
  /** Whether it may trade. */
  readonly canTrade: boolean;
  /** What it holds. */
  readonly balances: readonly {
    readonly asset: string;
    readonly free: string;
    readonly locked: string;
  }[];
}

/** The best prices of a symbol. */
export interface BinanceQuote {
  /** What is traded. */
  readonly symbol: string;
  /** The best bid. */
  readonly bidPrice: string;
  /** How much is bid. */
  readonly bidQty: string;
  /** The best ask. */
  readonly askPrice: string;
  /** How much is asked. */
  readonly askQty: string;
}
