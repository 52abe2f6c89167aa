/**
 * The refusals of the simulated Kite, as a table: rule, source, the venue's exception and words.
 *
 * Where no document quotes the venue's words, they are ours, in its manner: programs go by the
 * exception.
 *
 * @module
 */

import type { Listing } from "./listing.ts";

/** An order as it was sent: text by field. For a change, the order with the change in it. */
export type KiteForm = Readonly<Record<string, string | undefined>>;

/** An order that is to be judged. */
export interface KiteDraft {
  /** Kind of the order. */
  readonly variety: string;
  /** Its fields. */
  readonly form: KiteForm;
  /** The instrument, if there is one that can be traded. */
  readonly listing: Listing | undefined;
}

/** One rule. */
export interface KiteRule {
  /** The rule, in words. */
  readonly rule: string;
  /** Where the venue says so. */
  readonly source: string;
  /** The venue's exception. */
  readonly type: "InputException" | "MarginException";
  /** The venue's words. */
  readonly message: (draft: KiteDraft) => string;
  /** Whether an order breaks the rule. */
  readonly isBroken: (draft: KiteDraft) => boolean;
}

const ORDERS = "kite.trade/docs/connect/v3/orders";
const TICKS = "kite.trade/docs/connect/v3/market-quotes, tick_size and lot_size";
const LEGS = "kite.trade/forum/discussion/comment/51724";
const FREEZE = "kite.trade/forum/discussion/comment/46708";
const TAG = "kite.trade/docs/connect/v3/orders, tag";
const EXCEPTIONS = "kite.trade/docs/connect/v3/exceptions";
const SUPPORT = "support.zerodha.com, stop-loss orders";
const PROTECTION = "kite.trade/forum/discussion/15912";

/** Funds that one order may take, in rupees. */
export const FUNDS = 1_000_000;

/** Share of its value that a future takes as margin. */
const MARGIN = 0.1;

/** Lots of a future in one order, at most. The exchanges give each instrument a number of its own. */
const FREEZE_LOTS = 20;

/** Slices of one order, at most. */
const MOST_SLICES = 10;

/** Reads a number: 0 for a field that is absent. */
export function numberOf(form: KiteForm, field: string): number {
  return Number(form[field] ?? 0);
}

/** The quantity of one order, at most: more freezes at the exchange. */
export function freezeOf(listing: Listing): number {
  const { lot_size, instrument_type } = listing.line();
  return instrument_type === "FUT" ? FREEZE_LOTS * lot_size : Infinity;
}

/** The funds that an order takes, in rupees. */
function costOf({ form, listing }: KiteDraft): number {
  const share = listing!.instrument.type === "FUT" ? MARGIN : 1;
  return numberOf(form, "quantity") * listing!.lastPrice * share;
}

function isCount(form: KiteForm, field: string, most = Infinity): boolean {
  const value = numberOf(form, field);
  return Number.isInteger(value) && value > 0 && value <= most;
}

/** Whether a price is a multiple of the tick. Prices are decimals: the quotient is one, nearly. */
function isOnTick(price: number, listing: Listing): boolean {
  const ticks = price / listing.line().tick_size;
  return Math.abs(ticks - Math.round(ticks)) < 1e-6;
}

const isStop = (form: KiteForm) => form.order_type === "SL" || form.order_type === "SL-M";
const isMarket = (form: KiteForm) => form.order_type === "MARKET" || form.order_type === "SL-M";
const hasPrice = (form: KiteForm) => form.order_type === "LIMIT" || form.order_type === "SL";

/** A rule about the words that a field may hold. */
function choice(field: string, ...allowed: (string | undefined)[]): KiteRule {
  return {
    rule: `${field} is one of ${allowed.filter(Boolean).join(", ")}`,
    source: ORDERS,
    type: "InputException",
    message: () => `Invalid \`${field}\`.`,
    isBroken: ({ form }) => !allowed.includes(form[field]),
  };
}

/** The rules, in the order in which they are looked at. */
export const RULES: readonly KiteRule[] = [
  {
    rule: "a variety that exists",
    source: ORDERS,
    type: "InputException",
    message: () => "Invalid `variety`.",
    isBroken: ({ variety }) => !["regular", "amo", "co", "iceberg", "auction"].includes(variety),
  },
  {
    rule: "an instrument that is listed, and no index",
    source: ORDERS,
    type: "InputException",
    message: () => "Invalid `tradingsymbol`.",
    isBroken: ({ listing }) => listing === undefined || listing.isIndex,
  },
  choice("transaction_type", "BUY", "SELL"),
  choice("order_type", "MARKET", "LIMIT", "SL", "SL-M"),
  choice("product", "CNC", "NRML", "MIS", "MTF"),
  choice("validity", "DAY", "IOC", "TTL", undefined),
  choice("autoslice", "true", "false", undefined),
  {
    rule: "a quantity is an integer above 0",
    source: ORDERS,
    type: "InputException",
    message: () => "Invalid `quantity`.",
    isBroken: ({ form }) => !isCount(form, "quantity"),
  },
  {
    rule: "a quantity is a multiple of the lot",
    source: TICKS,
    type: "InputException",
    message: ({ listing }) =>
      `Invalid \`quantity\`. It should be a multiple of ${listing!.line().lot_size}.`,
    isBroken: ({ form, listing }) => numberOf(form, "quantity") % listing!.line().lot_size !== 0,
  },
  {
    rule: "LIMIT and SL have a price above 0",
    source: ORDERS,
    type: "InputException",
    message: () => "Missing or empty field `price`.",
    isBroken: ({ form }) => hasPrice(form) && !(numberOf(form, "price") > 0),
  },
  {
    rule: "SL, SL-M and cover orders have a trigger above 0",
    source: ORDERS,
    type: "InputException",
    message: () => "Missing or empty field `trigger_price`.",
    isBroken: ({ form, variety }) =>
      (isStop(form) || variety === "co") && !(numberOf(form, "trigger_price") > 0),
  },
  {
    rule: "prices are multiples of the tick",
    source: TICKS,
    type: "InputException",
    message: ({ listing }) =>
      "Tick size condition failed. Please enter price as a multiple of tick size " +
      `${listing!.line().tick_size}.`,
    isBroken: ({ form, listing }) =>
      (hasPrice(form) && !isOnTick(numberOf(form, "price"), listing!)) ||
      (isStop(form) && !isOnTick(numberOf(form, "trigger_price"), listing!)),
  },
  {
    rule: "the limit of an SL is not on the wrong side of its trigger",
    source: SUPPORT,
    type: "InputException",
    message: () => "Invalid `trigger_price`. It is beyond the price.",
    isBroken: ({ form }) => {
      const beyond = numberOf(form, "trigger_price") - numberOf(form, "price");
      return form.order_type === "SL" && (form.transaction_type === "BUY" ? beyond : -beyond) > 0;
    },
  },
  {
    rule: "MARKET and SL-M have market protection: -1, or above 0 to 100",
    source: PROTECTION,
    type: "InputException",
    message: () =>
      "Market orders without market protection are not allowed via API. Please set " +
      "market_protection.",
    isBroken: ({ form }) => {
      const percent = numberOf(form, "market_protection");
      return isMarket(form) && percent !== -1 && !(percent > 0 && percent <= 100);
    },
  },
  {
    rule: "a tag has at most 20 characters",
    source: TAG,
    type: "InputException",
    message: () => "Invalid `tag`. It should be at most 20 characters.",
    isBroken: ({ form }) => (form.tag ?? "").length > 20,
  },
  {
    rule: "an iceberg has 2 to 50 legs",
    source: LEGS,
    type: "InputException",
    message: () => "Invalid `iceberg_legs`. It should be between 2 and 50.",
    isBroken: ({ form, variety }) =>
      variety === "iceberg" &&
      !(isCount(form, "iceberg_legs", 50) && numberOf(form, "iceberg_legs") >= 2),
  },
  {
    rule: "the legs of an iceberg are whole lots, and hold all of it",
    source: ORDERS,
    type: "InputException",
    message: () => "Invalid `iceberg_quantity`.",
    isBroken: ({ form, variety, listing }) => {
      const each = numberOf(form, "iceberg_quantity");
      const isWhole = isCount(form, "iceberg_quantity") && each % listing!.line().lot_size === 0;
      const all = each * numberOf(form, "iceberg_legs");
      return variety === "iceberg" && !(isWhole && all >= numberOf(form, "quantity"));
    },
  },
  {
    rule: "TTL says how many minutes",
    source: ORDERS,
    type: "InputException",
    message: () => "Missing or empty field `validity_ttl`.",
    isBroken: ({ form }) => form.validity === "TTL" && !isCount(form, "validity_ttl"),
  },
  {
    rule: "an auction has a number",
    source: ORDERS,
    type: "InputException",
    message: () => "Missing or empty field `auction_number`.",
    isBroken: ({ form, variety }) => variety === "auction" && !form.auction_number,
  },
  {
    rule: "the disclosed quantity is at least 10 % of the quantity, and no more than it",
    source: ORDERS,
    type: "InputException",
    message: () => "Invalid `disclosed_quantity`.",
    isBroken: ({ form }) => {
      const [shown, all] = [numberOf(form, "disclosed_quantity"), numberOf(form, "quantity")];
      return shown !== 0 && !(Number.isInteger(shown) && shown >= all / 10 && shown <= all);
    },
  },
  {
    rule: "a quantity above the freeze limit is sliced, into at most 10 orders",
    source: FREEZE,
    type: "InputException",
    message: ({ listing }) =>
      `Invalid \`quantity\`. The freeze quantity of the instrument is ${freezeOf(listing!)}.`,
    isBroken: ({ form, variety, listing }) => {
      const field = variety === "iceberg" ? "iceberg_quantity" : "quantity";
      const slices = form.autoslice === "true" ? MOST_SLICES : 1;
      return numberOf(form, field) > slices * freezeOf(listing!);
    },
  },
  {
    rule: "the account holds what the order takes",
    source: EXCEPTIONS,
    type: "MarginException",
    message: (draft) => `Insufficient funds. Required margin is ${costOf(draft).toFixed(2)}.`,
    isBroken: (draft) => costOf(draft) > FUNDS,
  },
];

/** A refusal of the venue. */
export class Refusal extends Error {
  /** The venue's own name of the error. */
  readonly type: string;
  /** The HTTP status. */
  readonly status: number;

  /**
   * Makes the error.
   *
   * @param type The venue's name of it.
   * @param message The reason.
   * @param status The HTTP status.
   */
  constructor(type: string, message: string, status = 400) {
    super(message);
    this.type = type;
    this.status = status;
  }
}

/**
 * Looks for the first rule that an order breaks.
 *
 * @param draft The order.
 * @throws {Refusal} If there is one.
 */
export function judge(draft: KiteDraft): asserts draft is KiteDraft & { listing: Listing } {
  const broken = RULES.find(({ isBroken }) => isBroken(draft));
  if (broken) throw new Refusal(broken.type, broken.message(draft));
}
