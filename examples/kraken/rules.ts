/**
 * What the simulated Kraken refuses, as a table: the rule, its source, and the venue's own words.
 *
 * @module
 */

import type { Desk, DeskOrder } from "./desk.ts";

/** One rule. */
export interface KrakenRule {
  /** The rule, in words. */
  readonly rule: string;
  /** Where the venue says so. */
  readonly source: string;
  /** The venue's words. */
  readonly code: string;
  /** Whether an order breaks the rule. */
  readonly isBroken: (order: DeskOrder, desk: Desk) => boolean;
}

const ERRORS = "docs.kraken.com/exchange/guides/general/errors";
const CLORDID = "docs.kraken.com/exchange/guides/general/clordid";
const ADD = "docs.kraken.com/api-reference/trading/add-order";

/** A UUID with or without hyphens, or at most 18 characters of text. */
const NAME =
  /^([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}|[0-9a-f]{32}|[\x21-\x7e]{1,18})$/i;

const decimals = (text: string) => (text.split(".")[1] ?? "").replace(/0+$/, "").length;

/** The rules, in the order in which they are looked at. */
export const RULES: readonly KrakenRule[] = [
  {
    rule: "a volume and a price are decimals above 0",
    source: ERRORS,
    code: "EGeneral:Invalid arguments:volume",
    isBroken: ({ volume, price, ordertype }) =>
      !/^\d+(\.\d+)?$/.test(volume) || !(Number(volume) > 0) ||
      (ordertype === "limit" && !(Number(price) > 0)),
  },
  {
    rule: "an order type of the simulator: market or limit",
    source: ADD,
    code: "EGeneral:Invalid arguments:ordertype",
    isBroken: ({ ordertype }) => ordertype !== "market" && ordertype !== "limit",
  },
  {
    rule: "cl_ord_id is a UUID, or at most 18 characters",
    source: CLORDID,
    code: "EGeneral:Invalid arguments:cl_ord_id",
    isBroken: ({ cl_ord_id }) => cl_ord_id !== undefined && !NAME.test(cl_ord_id),
  },
  {
    rule: "cl_ord_id is unique among open orders",
    source: CLORDID,
    code: "EOrder:Duplicate clordid not unique for client",
    isBroken: ({ cl_ord_id, txid }, desk) =>
      cl_ord_id !== undefined &&
      desk.open.some((other) => other.cl_ord_id === cl_ord_id && other.txid !== txid),
  },
  {
    rule: "a price has no more decimals than the pair",
    source: ERRORS,
    code: "EOrder:Invalid price",
    isBroken: ({ price, ordertype, market }) =>
      ordertype === "limit" && decimals(price) > market.instrument.priceDecimals,
  },
  {
    rule: "a volume is not below the minimum of the pair",
    source: ERRORS,
    code: "EOrder:Order minimum not met",
    isBroken: ({ volume, market }, desk) => Number(volume) < desk.minimum(market),
  },
  {
    rule: "a post-only order does not trade at once",
    source: ERRORS,
    code: "EOrder:Post only order",
    isBroken: (order, desk) => order.oflags.includes("post") && desk.crosses(order),
  },
  {
    rule: "the account holds what the order may cost",
    source: ERRORS,
    code: "EOrder:Insufficient funds",
    isBroken: (order, desk) => desk.cost(order) > desk.available(order),
  },
];

/**
 * Looks for the first rule that an order breaks.
 *
 * @param order The order.
 * @param desk The desk, as it stands.
 * @returns The venue's words, or `undefined` for an order that is accepted.
 */
export function refusal(order: DeskOrder, desk: Desk): string | undefined {
  const broken = RULES.find(({ isBroken }) => isBroken(order, desk));
  if (broken?.code !== "EOrder:Invalid price") return broken?.code;
  const { priceDecimals, symbol } = order.market.instrument;
  return `${broken.code}:${symbol} price can only be specified up to ${priceDecimals} decimals.`;
}

/** A request for one subscription, or for its end. */
export interface Topic {
  readonly method: "subscribe" | "unsubscribe";
  readonly channel: string;
  readonly symbol: string;
  /** Levels of each side of a book. */
  readonly depth: number;
  /** Whether a snapshot is wanted. */
  readonly snapshot: boolean;
  /** Whether the venue trades the symbol. */
  readonly isListed: boolean;
  /** Whether the client holds the subscription. */
  readonly isHeld: boolean;
}

/** Depths of a book. */
export const DEPTHS: readonly number[] = [10, 25, 100, 500, 1000];

/** What is looked at before a subscription is granted, in this order. Source: API, "Subscribe". */
export const TOPIC_RULES: readonly {
  /** The venue's words. */
  readonly words: (symbol: string) => string;
  /** Whether the rule is broken. */
  readonly isBroken: (topic: Topic) => boolean;
}[] = [
  {
    words: () => "Unsupported channel",
    isBroken: ({ channel }) => !["book", "ticker", "trade"].includes(channel),
  },
  {
    words: (symbol) => `Currency pair not supported ${symbol}`,
    isBroken: ({ isListed }) => !isListed,
  },
  {
    words: () => "Subscription depth not supported",
    isBroken: ({ channel, depth }) => channel === "book" && !DEPTHS.includes(depth),
  },
  {
    words: () => "Subscription Not Found",
    isBroken: ({ method, isHeld }) => method === "unsubscribe" && !isHeld,
  },
  {
    words: () => "Already subscribed",
    isBroken: ({ method, isHeld }) => method === "subscribe" && isHeld,
  },
];
