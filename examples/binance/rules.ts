/**
 * What the simulated Binance refuses, as a table: the rule, its source, and the venue's code and
 * words. The rules are looked at in their order, as the venue does.
 *
 * @module
 */

import { dividedBy, times, unitsOf } from "./decimals.ts";
import type { DeskMarket } from "./desk.ts";
import type { Fields } from "./desk_order.ts";

/** What a rule may look at. */
export interface RuleContext {
  /** The fields of the order. */
  readonly order: Fields;
  /** Where it trades; nothing if the symbol is not known. */
  readonly market: DeskMarket | undefined;
  /** How much of the asset that pays is free, in 1e-8. */
  readonly free: bigint;
  /** Whether an open order has this name. */
  readonly isNameOpen: boolean;
}

/** One rule. */
export interface BinanceRule {
  /** The rule, in words. */
  readonly rule: string;
  /** Where the venue says so. */
  readonly source: string;
  /** The venue's code. */
  readonly code: number;
  /** The venue's words. */
  readonly msg: string | ((context: RuleContext) => string);
  /** Whether an order breaks the rule. */
  readonly isBroken: (context: RuleContext) => boolean;
}

const ERRORS = "binance-spot-api-docs, errors.md";
const FILTERS = "binance-spot-api-docs, filters.md";
const REST = "binance-spot-api-docs, rest-api.md, New order";

/** The types of orders. */
export const TYPES: readonly string[] = [
  "LIMIT",
  "MARKET",
  "LIMIT_MAKER",
  "STOP_LOSS",
  "STOP_LOSS_LIMIT",
  "TAKE_PROFIT",
  "TAKE_PROFIT_LIMIT",
];
const LIFETIMES = ["GTC", "IOC", "FOK"];
/** The greatest quantity, in 1e-8 of the base asset: 9,000,000. */
export const MAX_QUANTITY = 900_000_000_000_000n;
/** The least that an order may be worth, in 1e-8 of the quote asset: 5. */
export const MIN_NOTIONAL = 500_000_000n;

const NEEDED: Record<string, readonly string[]> = {
  LIMIT: ["timeInForce", "quantity", "price"],
  LIMIT_MAKER: ["quantity", "price"],
  STOP_LOSS: ["quantity", "stopPrice"],
  STOP_LOSS_LIMIT: ["timeInForce", "quantity", "price", "stopPrice"],
  TAKE_PROFIT: ["quantity", "stopPrice"],
  TAKE_PROFIT_LIMIT: ["timeInForce", "quantity", "price", "stopPrice"],
};

function missing({ order }: RuleContext): string | undefined {
  const needed = ["symbol", "side", "type", ...NEEDED[order.type ?? ""] ?? []];
  const name = needed.find((name) => !order[name]);
  if (name) return name;
  return order.type === "MARKET" && !order.quantity && !order.quoteOrderQty
    ? "quantity"
    : undefined;
}

const isDecimal = (text: string) => /^\d{1,20}(\.\d{1,20})?$/.test(text);

/** One unit of the last of these decimals, in 1e-8. */
const step = (decimals: number) => 10n ** BigInt(8 - decimals);

/** How much is ordered, in 1e-8 of the base asset, at the best price if it is told in quote. */
export function quantityOf({ order, market }: RuleContext): bigint {
  if (order.quantity) return unitsOf(order.quantity);
  const quantity = dividedBy(unitsOf(order.quoteOrderQty!), bestOf(order, market!));
  return quantity - quantity % step(market!.instrument.qtyDecimals);
}

/** The price that an order pays or gets at the worst, in 1e-8. */
export function priceOf({ order, market }: RuleContext): bigint {
  const price = order.price || order.stopPrice;
  return price ? unitsOf(price) : bestOf(order, market!);
}

/** Whether an order would trade at once, once it is in the book. */
export function crosses(order: Fields, market: DeskMarket): boolean {
  if (!order.price) return true;
  const [price, best] = [unitsOf(order.price), bestOf(order, market)];
  return order.side === "BUY" ? price >= best : price <= best;
}

/** Whether the last price has reached the stop of an order. */
export function isTriggered(order: Fields, { last }: DeskMarket): boolean {
  const stop = unitsOf(order.stopPrice!);
  const isAbove = (order.side === "BUY") === order.type!.startsWith("STOP_LOSS");
  return isAbove ? last >= stop : last <= stop;
}

/** The best price of the other side. */
function bestOf({ side }: Fields, { bid, ask }: DeskMarket): bigint {
  return side === "BUY" ? ask : bid;
}

/** The rules. */
export const RULES: readonly BinanceRule[] = [
  {
    rule: "every mandatory parameter is there",
    source: REST,
    code: -1102,
    msg: (context) =>
      `Mandatory parameter '${missing(context)}' was not sent, was empty/null, or malformed.`,
    isBroken: (context) => missing(context) !== undefined,
  },
  {
    rule: "the symbol is traded",
    source: ERRORS,
    code: -1121,
    msg: "Invalid symbol.",
    isBroken: ({ market }) => market === undefined,
  },
  {
    rule: "the side is BUY or SELL",
    source: ERRORS,
    code: -1117,
    msg: "Invalid side.",
    isBroken: ({ order }) => order.side !== "BUY" && order.side !== "SELL",
  },
  {
    rule: "the type is known",
    source: ERRORS,
    code: -1116,
    msg: "Invalid orderType.",
    isBroken: ({ order }) => !TYPES.includes(order.type!),
  },
  {
    rule: "the time in force is known",
    source: ERRORS,
    code: -1115,
    msg: "Invalid timeInForce.",
    isBroken: ({ order }) =>
      order.timeInForce !== undefined && !LIFETIMES.includes(order.timeInForce),
  },
  {
    rule: "decimals are decimals",
    source: ERRORS,
    code: -1100,
    msg: "Illegal characters found in a parameter.",
    isBroken: ({ order: { quantity, quoteOrderQty, price, stopPrice } }) =>
      [quantity, quoteOrderQty, price, stopPrice].some((text) => text && !isDecimal(text)),
  },
  {
    rule: "decimals have at most eight places",
    source: ERRORS,
    code: -1111,
    msg: "Precision is over the maximum defined for this asset.",
    isBroken: ({ order: { quantity, quoteOrderQty, price, stopPrice } }) =>
      [quantity, quoteOrderQty, price, stopPrice].some((text) => /\.\d{8}0*[1-9]/.test(text ?? "")),
  },
  {
    rule: "a stop needs a type that has one",
    source: ERRORS,
    code: -1106,
    msg: "Parameter 'stopPrice' sent when not required.",
    isBroken: ({ order: { stopPrice, type } }) =>
      Boolean(stopPrice) && !NEEDED[type!]?.includes("stopPrice"),
  },
  {
    rule: "a name has at most 36 letters, digits, - and _",
    source: REST,
    code: -1100,
    msg: "Illegal characters found in parameter 'newClientOrderId'; legal range is " +
      "'^[a-zA-Z0-9-_]{1,36}$'.",
    isBroken: ({ order: { newClientOrderId: name } }) =>
      name !== undefined && !/^[\w-]{1,36}$/.test(name),
  },
  {
    rule: "a MARKET order has a quantity of one asset, not of both",
    source: ERRORS,
    code: -1106,
    msg: "Parameter 'quoteOrderQty' sent when not required.",
    isBroken: ({ order: { quantity, quoteOrderQty, type } }) =>
      Boolean(quoteOrderQty) && (Boolean(quantity) || type !== "MARKET"),
  },
  {
    rule: "prices are multiples of the tick",
    source: FILTERS,
    code: -1013,
    msg: "Filter failure: PRICE_FILTER",
    isBroken: ({ order: { price, stopPrice }, market }) => {
      const tick = step(market!.instrument.priceDecimals);
      return [price, stopPrice].some((text) =>
        text && (unitsOf(text) === 0n || unitsOf(text) % tick !== 0n)
      );
    },
  },
  {
    rule: "a quantity is a multiple of the step, at least one and at most the greatest",
    source: FILTERS,
    code: -1013,
    msg: "Filter failure: LOT_SIZE",
    isBroken: (context) => {
      const quantity = quantityOf(context);
      return quantity === 0n || quantity > MAX_QUANTITY ||
        quantity % step(context.market!.instrument.qtyDecimals) !== 0n;
    },
  },
  {
    rule: "an order is worth at least 5 of the quote asset",
    source: FILTERS,
    code: -1013,
    msg: "Filter failure: NOTIONAL",
    isBroken: (context) => times(quantityOf(context), priceOf(context)) < MIN_NOTIONAL,
  },
  {
    rule: "a name is unique among open orders",
    source: ERRORS,
    code: -2010,
    msg: "Duplicate order sent.",
    isBroken: ({ isNameOpen }) => isNameOpen,
  },
  {
    rule: "a LIMIT_MAKER does not trade at once",
    source: ERRORS,
    code: -2010,
    msg: "Order would immediately match and take.",
    isBroken: ({ order, market }) => order.type === "LIMIT_MAKER" && crosses(order, market!),
  },
  {
    rule: "a stop is not reached at once",
    source: ERRORS,
    code: -2010,
    msg: "Order would trigger immediately.",
    isBroken: ({ order, market }) => Boolean(order.stopPrice) && isTriggered(order, market!),
  },
  {
    rule: "the account can pay",
    source: ERRORS,
    code: -2010,
    msg: "Account has insufficient balance for requested action.",
    isBroken: (context) => {
      const quantity = quantityOf(context);
      const cost = context.order.side === "SELL" ? quantity : times(quantity, priceOf(context));
      return cost > context.free;
    },
  },
];

/** A rule about the two orders of a list. */
export interface BinanceListRule extends Omit<BinanceRule, "msg" | "isBroken"> {
  /** The venue's words. */
  readonly msg: string;
  /** Whether the orders, the upper one first, break the rule. */
  readonly isBroken: (legs: readonly Fields[], market: DeskMarket) => boolean;
}

const isStop = ({ type }: Fields) => type!.startsWith("STOP_LOSS");

/** The rules of OCO lists. */
export const LIST_RULES: readonly BinanceListRule[] = [
  {
    rule: "of the two orders, one stops a loss and the other takes a profit",
    source: "binance-spot-api-docs, rest-api.md, New order list OCO",
    code: -1014,
    msg: "Unsupported order combination.",
    isBroken: ([above, below]) => isStop(above) === isStop(below),
  },
  {
    rule: "the last price is between those of the two orders",
    source: ERRORS,
    code: -2010,
    msg: "The relationship of the prices for the orders is not correct.",
    isBroken: ([above, below], { last }) => {
      const [upper, lower] = [above, below].map((leg) => unitsOf((leg.stopPrice || leg.price)!));
      return !(upper > last && last > lower);
    },
  },
];

/** What a request for streams may hold. */
export interface StreamRequest {
  readonly method: string;
  readonly params: readonly string[];
  /** The streams that the client holds. */
  readonly held: ReadonlySet<string>;
}

/** Streams of one connection, at most. */
const MOST_STREAMS = 1_024;

/**
 * What is looked at before a request for streams is granted, in this order. Source:
 * binance-spot-api-docs, web-socket-streams.md.
 */
export const STREAM_RULES: readonly {
  /** The venue's words. */
  readonly words: string;
  /** Whether the request breaks the rule. */
  readonly isBroken: (request: StreamRequest) => boolean;
}[] = [
  {
    words: "unknown variant",
    isBroken: ({ method }) => !["LIST_SUBSCRIPTIONS", "SUBSCRIBE", "UNSUBSCRIBE"].includes(method),
  },
  {
    words: "malformed stream name",
    isBroken: ({ params }) => params.some((it) => !/^[a-z0-9]+@(trade|depth(@100ms)?)$/.test(it)),
  },
  {
    words: "too many streams",
    isBroken: ({ method, params, held }) =>
      method === "SUBSCRIBE" && new Set([...held, ...params]).size > MOST_STREAMS,
  },
];
