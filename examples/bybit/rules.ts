/**
 * What the simulated Bybit refuses, as tables: the rule, its source, and the venue's code.
 *
 * @module
 */

import type { BybitCategory } from "./account.ts";
import { type Desk, type DeskOrder, LEAST_LOTS } from "./desk.ts";

/** Where the venue says so. */
const DOCS = "bybit-exchange.github.io/docs/v5";

/** A rule. */
export interface BybitRule<T> {
  /** The rule, in words. */
  readonly rule: string;
  /** Where the venue says so. */
  readonly source: string;
  /** The venue's code: one, or one for each category. */
  readonly code: number | Readonly<Record<BybitCategory, number>>;
  /** The venue's words. */
  readonly words: string;
  /** Whether the rule is broken. */
  readonly isBroken: (subject: T) => boolean;
}

/** A signed request, as the venue judges it. */
export interface SignedRequest {
  /** Whether the key is known. */
  readonly isKnown: boolean;
  /** Whether the signature is right. */
  readonly isSigned: boolean;
  /** The timestamp, in epoch milliseconds. */
  readonly timestamp: number;
  /** How old it may be, in milliseconds. */
  readonly recvWindow: number;
  /** The venue's time, in epoch milliseconds. */
  readonly now: number;
  /** How many requests of this path the account has left in this second. */
  readonly left: number;
}

/** What is looked at before a request is taken up, in this order. */
export const REQUEST_RULES: readonly BybitRule<SignedRequest>[] = [
  {
    rule: "a timestamp is not ahead by a second, and not older than recv_window",
    source: `${DOCS}/guide#authentication`,
    code: 10002,
    words: "invalid request, please check your server timestamp or recv_window param",
    isBroken: ({ timestamp, recvWindow, now }) =>
      !(timestamp >= now - recvWindow && timestamp < now + 1_000),
  },
  {
    rule: "the key is known",
    source: `${DOCS}/error`,
    code: 10003,
    words: "API key is invalid.",
    isBroken: ({ isKnown }) => !isKnown,
  },
  {
    rule: "the signature covers timestamp, key, recv_window and query or body",
    source: `${DOCS}/guide#authentication`,
    code: 10004,
    words: "error sign! please check your signature generation algorithm.",
    isBroken: ({ isSigned }) => !isSigned,
  },
  {
    rule: "an account sends at most so many requests of one path in a second",
    source: `${DOCS}/rate-limit`,
    code: 10006,
    words: "Too many visits. Exceeded the API Rate Limit.",
    isBroken: ({ left }) => left <= 0,
  },
];

/** An order that is placed or changed, and the desk as it stands. */
export interface OrderSubject {
  /** The order as it would stand. */
  readonly order: DeskOrder;
  /** The desk. */
  readonly desk: Desk;
}

const decimals = (text: string) => (text.split(".")[1] ?? "").replace(/0+$/, "").length;
const isDecimal = (text: string) => /^\d+(\.\d+)?$/.test(text) && Number(text) > 0;

/** What is looked at before an order is taken up, in this order. */
export const ORDER_RULES: readonly BybitRule<OrderSubject>[] = [
  {
    rule: "side, order type, quantity and limit are given as the venue writes them",
    source: `${DOCS}/order/create-order`,
    code: 10001,
    words: "params error",
    isBroken: ({ order: { side, orderType, qty, price } }) =>
      !["Buy", "Sell"].includes(side) || !["Market", "Limit"].includes(orderType) ||
      !isDecimal(qty) || (orderType === "Limit" && !isDecimal(price)),
  },
  {
    rule: "orderLinkId has at most 36 letters, digits, - and _",
    source: `${DOCS}/order/create-order`,
    code: 10001,
    words: "params error: orderLinkId invalid",
    isBroken: ({ order }) => !/^[A-Za-z0-9_-]{0,36}$/.test(order.orderLinkId),
  },
  {
    rule: "orderLinkId is used once",
    source: `${DOCS}/error`,
    code: { spot: 170141, linear: 110072 },
    words: "OrderLinkedID is duplicate",
    isBroken: ({ order: { orderLinkId, orderId }, desk }) =>
      orderLinkId !== "" &&
      [...desk.orders.values()].some((one) =>
        one.orderLinkId === orderLinkId && one.orderId !== orderId
      ),
  },
  {
    rule: "a limit lies on the tick",
    source: `${DOCS}/error`,
    code: { spot: 170134, linear: 10001 },
    words: "Order price has too many decimals.",
    isBroken: ({ order: { orderType, price, market } }) =>
      orderType === "Limit" && decimals(price) > market.instrument.priceDecimals,
  },
  {
    rule: "a quantity lies on the step",
    source: `${DOCS}/error`,
    code: { spot: 170137, linear: 10001 },
    words: "Order volume decimal too long.",
    isBroken: ({ order: { qty, market } }) => decimals(qty) > market.instrument.qtyDecimals,
  },
  {
    rule: "a quantity is not below the least",
    source: `${DOCS}/error`,
    code: { spot: 170136, linear: 10001 },
    words: "Order quantity exceeded lower limit.",
    isBroken: ({ order, desk }) => desk.lotsOf(order) < LEAST_LOTS,
  },
  {
    rule: "a changed quantity is above what was executed",
    source: `${DOCS}/error`,
    code: { spot: 170137, linear: 110063 },
    words: "The number of contracts modified cannot be less than or equal to the filled quantity",
    isBroken: ({ order, desk }) => order.filled > 0 && desk.lotsOf(order) <= order.filled,
  },
  {
    rule: "the account holds what the order may cost",
    source: `${DOCS}/error`,
    code: { spot: 170131, linear: 110007 },
    words: "Balance insufficient.",
    isBroken: ({ order, desk }) => !desk.isCovered(order),
  },
];

/** What is looked at before an order is changed or cancelled. */
export const NAME_RULE: BybitRule<{ order: DeskOrder | undefined }> = {
  rule: "an order that is changed or cancelled is open",
  source: `${DOCS}/error`,
  code: { spot: 170213, linear: 110001 },
  words: "Order does not exist.",
  isBroken: ({ order }) => order === undefined || !order.isOpen,
};

/** A request for topics. */
export interface TopicRequest {
  /** The topics. */
  readonly topics: readonly string[];
  /** What is traded, or `"private"`. */
  readonly path: string;
  /** The topics of the venue. */
  readonly known: ReadonlySet<string>;
  /** Those that the connection has. */
  readonly held: ReadonlySet<string>;
  /** Whether the connection is logged in. */
  readonly isLoggedIn: boolean;
}

/** What is looked at before topics are granted; one that is wrong refuses all. No codes, words only. */
export const TOPIC_RULES: readonly BybitRule<TopicRequest>[] = [
  {
    rule: "spot takes at most ten topics in one request",
    source: `${DOCS}/ws/connect#public-channel---args-limits`,
    code: 0,
    words: "args size >10",
    isBroken: ({ topics, path }) => path === "spot" && topics.length > 10,
  },
  {
    rule: "private topics want a login",
    source: `${DOCS}/ws/connect#authentication`,
    code: 0,
    words: "Request not authorized",
    isBroken: ({ path, isLoggedIn }) => path === "private" && !isLoggedIn,
  },
  {
    rule: "a topic exists",
    source: `${DOCS}/ws/connect`,
    code: 0,
    words: "error:handler not found",
    isBroken: ({ topics, known }) => topics.some((topic) => !known.has(topic)),
  },
  {
    rule: "a topic is subscribed to once",
    source: `${DOCS}/ws/connect`,
    code: 0,
    words: "error:already subscribed",
    isBroken: ({ topics, held }) => topics.some((topic) => held.has(topic)),
  },
];

/** What the venue says to a request that breaks a rule. */
export class Refusal extends Error {
  /** The venue's code. */
  readonly code: number;

  /**
   * Makes a refusal.
   *
   * @param code The venue's code.
   * @param words The venue's words.
   */
  constructor(code: number, words: string) {
    super(words);
    this.code = code;
  }
}

/**
 * Refuses what breaks a rule.
 *
 * @param rules The rules, in their order.
 * @param subject What is judged.
 * @param category What is traded.
 * @throws {Refusal} If a rule is broken: of the first one.
 */
export function judge<T>(
  rules: readonly BybitRule<T>[],
  subject: T,
  category: BybitCategory,
): void {
  const broken = rules.find(({ isBroken }) => isBroken(subject));
  if (!broken) return;
  const { code, words } = broken;
  throw new Refusal(typeof code === "number" ? code : code[category], words);
}
