/**
 * The account at the simulated Bybit: its orders, executions and coins.
 *
 * @module
 */

import { decimal, type Market } from "../market.ts";
import type { BybitCategory, BybitCoin, BybitExecution } from "./account.ts";
import { judge, NAME_RULE, ORDER_RULES } from "./rules.ts";

/** An order of the desk. */
export interface DeskOrder {
  /** The venue's name. */
  readonly orderId: string;
  /** The client's name, or empty. */
  readonly orderLinkId: string;
  /** Where it is traded. */
  readonly market: Market;
  /** What it does. */
  readonly side: "Buy" | "Sell";
  /** How. */
  readonly orderType: string;
  /** How long it stands. */
  readonly timeInForce: string;
  /** Whether `qty` counts the quote coin. */
  readonly isInQuote: boolean;
  /** How much is wanted. */
  qty: string;
  /** The limit, or `"0"`. */
  price: string;
  /** The state. */
  orderStatus: string;
  /** Why it was refused after it was taken. */
  rejectReason: string;
  /** Executed lots. */
  filled: number;
  /** Executed value, in the quote coin. */
  value: number;
  /** When it came. */
  readonly createdTime: number;
  /** When it changed last. */
  updatedTime: number;
  /** Whether it may still be executed. */
  readonly isOpen: boolean;
}

/** Something that the private stream tells. */
export interface DeskEvent {
  /** The topic. */
  readonly topic: "order" | "execution" | "wallet";
  /** What there is to tell, as the venue writes it. */
  readonly row: Record<string, unknown>;
}

/** Options of a {@linkcode Desk}. */
export interface DeskOptions {
  /** What is traded. */
  readonly category: BybitCategory;
  /** The markets, by symbol. */
  readonly markets: ReadonlyMap<string, Market>;
  /** The venue's time, in epoch milliseconds. */
  readonly now: () => number;
  /** Told of everything that happens. */
  readonly tell: (event: DeskEvent) => void;
}

/** Least quantity of an order, in lots. */
export const LEAST_LOTS = 48;

/** Orders, executions and coins of one account. */
export class Desk {
  /** Every order, by the venue's name, the oldest first. */
  readonly orders: Map<string, DeskOrder> = new Map();
  /** Every execution, the oldest first. */
  readonly fills: BybitExecution[] = [];
  /** What the account holds. */
  readonly coins: Map<string, number> = new Map([["USDT", 1e6], ["BTC", 10], ["ETH", 100]]);
  readonly #options: DeskOptions;

  /**
   * Opens a desk.
   *
   * @param options What it trades, and who is told.
   */
  constructor(options: DeskOptions) {
    this.#options = options;
  }

  /** The orders that may still be executed. */
  get open(): DeskOrder[] {
    return [...this.orders.values()].filter(({ isOpen }) => isOpen);
  }

  /**
   * Places an order.
   *
   * @param form The fields of order/create.
   * @returns Both names.
   * @throws {Refusal} If it breaks a rule.
   */
  create(form: Record<string, string>): Record<string, string> {
    const { category, markets } = this.#options;
    const market = markets.get(form.symbol);
    const unknown = { rule: "", source: "", words: "Invalid symbol.", isBroken: () => !market };
    judge([{ ...unknown, code: { spot: 170121, linear: 10001 } }], {}, category);
    const order = this.#draft(form, market!);
    judge(ORDER_RULES, { order, desk: this }, category);
    this.orders.set(order.orderId, order);
    if (order.timeInForce === "PostOnly" && this.#crosses(order)) {
      order.rejectReason = "EC_PostOnlyWillTakeLiquidity";
      this.#move(order, "Rejected");
    } else {
      this.#move(order, "New");
      this.match(order);
      const isPassing = order.orderType === "Market" || order.timeInForce === "IOC";
      if (isPassing && order.isOpen) this.#move(order, "Cancelled");
    }
    return namesOf(order);
  }

  /**
   * Changes an order.
   *
   * @param form The fields of order/amend.
   * @returns Both names.
   * @throws {Refusal} If it breaks a rule.
   */
  amend(form: Record<string, string>): Record<string, string> {
    const order = this.find(form);
    judge([NAME_RULE], { order }, this.#options.category);
    const { qty = order!.qty, price = order!.price } = form;
    const changed: DeskOrder = Object.create(order!, {
      qty: { value: qty },
      price: { value: price },
    });
    judge(ORDER_RULES, { order: changed, desk: this }, this.#options.category);
    Object.assign(order!, { qty, price });
    this.#move(order!, order!.orderStatus);
    this.match(order!);
    return namesOf(order!);
  }

  /**
   * Cancels an order.
   *
   * @param form The fields of order/cancel.
   * @returns Both names.
   * @throws {Refusal} If it is not open.
   */
  cancel(form: Record<string, string>): Record<string, string> {
    const order = this.find(form);
    judge([NAME_RULE], { order }, this.#options.category);
    this.#move(order!, "Cancelled");
    return namesOf(order!);
  }

  /** Finds an order by either of its names. */
  find({ orderId, orderLinkId }: { orderId?: string; orderLinkId?: string }):
    | DeskOrder
    | undefined {
    if (orderId) return this.orders.get(orderId);
    return [...this.orders.values()].find((one) => one.orderLinkId === orderLinkId);
  }

  /**
   * Executes what an order finds in the market.
   *
   * @param order The order.
   */
  match(order: DeskOrder): void {
    if (order.isOpen && (order.orderType === "Market" || this.#crosses(order))) this.fill(order);
  }

  /**
   * Executes a part of an order, at the best price.
   *
   * @param order The order.
   * @param lots How much; the rest unless given, in two parts.
   */
  fill(order: DeskOrder, lots?: number): void {
    const left = this.lotsOf(order) - order.filled;
    const parts = lots ? [Math.min(lots, left)] : [Math.ceil(left / 2), Math.floor(left / 2)];
    for (const part of parts) if (part > 0) this.#execute(order, part);
  }

  /** How many lots an order wants. */
  lotsOf({ qty, market, isInQuote, side }: DeskOrder): number {
    const { qtyDecimals } = market.instrument;
    const base = isInQuote ? Number(qty) / this.#best(market, side) : Number(qty);
    return Math.floor(base * 10 ** qtyDecimals + 1e-6);
  }

  /** Whether the account holds what the rest of an order may cost. Contracts cost as much here. */
  isCovered(order: DeskOrder): boolean {
    const { market, side, price } = order;
    const left = (this.lotsOf(order) - order.filled) / 10 ** market.instrument.qtyDecimals;
    const [base, quote] = coinsOf(market);
    const cost = left * (Number(price) || this.#best(market, side));
    if (side === "Buy") return cost <= (this.coins.get(quote) ?? 0);
    return this.#options.category === "linear" || left <= (this.coins.get(base) ?? 0);
  }

  /** An order as the venue writes it. */
  rowOf(order: DeskOrder): Record<string, unknown> {
    const { market, filled, value, qty, price, createdTime, updatedTime } = order;
    const { qtyDecimals, priceDecimals, symbol } = market.instrument;
    const { side, orderType, timeInForce, orderStatus, rejectReason } = order;
    const average = value / (filled / 10 ** qtyDecimals);
    return {
      ...{ category: this.#options.category, symbol, ...namesOf(order), side, orderType, qty },
      ...{ price, timeInForce, orderStatus, rejectReason },
      cumExecQty: decimal(filled, qtyDecimals),
      cumExecValue: String(value),
      leavesQty: order.isOpen ? decimal(this.lotsOf(order) - filled, qtyDecimals) : "0",
      avgPrice: filled > 0 ? average.toFixed(priceDecimals) : "",
      createdTime: String(createdTime),
      updatedTime: String(updatedTime),
    };
  }

  /** What the account holds, as the venue writes it. */
  wallet(): { accountType: string; coin: BybitCoin[] } {
    const coin = [...this.coins].map(([coin, held]) => ({ coin, walletBalance: held.toFixed(8) }));
    return { accountType: "UNIFIED", coin };
  }

  #draft(form: Record<string, string>, market: Market): DeskOrder {
    const { orderLinkId = "", side, orderType, qty = "", price = "0", marketUnit } = form;
    const isMarket = orderType === "Market";
    const createdTime = this.#options.now();
    const isSpot = this.#options.category === "spot";
    return {
      orderId: `${1_800_000_000_000_000_000n + BigInt(this.orders.size)}`,
      ...{ orderLinkId, market, side: side as "Buy" | "Sell", orderType, qty, price },
      timeInForce: form.timeInForce ?? (isMarket ? "IOC" : "GTC"),
      isInQuote: isSpot && isMarket && side === "Buy" && marketUnit !== "baseCoin",
      ...{ orderStatus: "Created", rejectReason: "EC_NoError", filled: 0, value: 0 },
      ...{ createdTime, updatedTime: createdTime },
      get isOpen() {
        return ["Created", "New", "PartiallyFilled"].includes(this.orderStatus);
      },
    };
  }

  #best(market: Market, side: "Buy" | "Sell"): number {
    const [{ price }] = side === "Buy" ? market.asks : market.bids;
    return price / 10 ** market.instrument.priceDecimals;
  }

  #crosses({ market, side, price, orderType }: DeskOrder): boolean {
    if (orderType === "Market") return true;
    const best = this.#best(market, side);
    return side === "Buy" ? Number(price) >= best : Number(price) <= best;
  }

  #execute(order: DeskOrder, lots: number): void {
    const { market, side, orderType, price } = order;
    const { qtyDecimals, priceDecimals, symbol } = market.instrument;
    const wanted = this.lotsOf(order);
    const best = this.#best(market, side);
    const isMaker = orderType === "Limit" && order.orderStatus !== "New";
    const at = orderType === "Limit" && !this.#crosses(order) ? Number(price) : best;
    const qty = lots / 10 ** qtyDecimals;
    order.filled += lots;
    order.value += qty * at;
    const row: BybitExecution & Record<string, unknown> = {
      ...{ category: this.#options.category, symbol, ...namesOf(order) as Names, side, isMaker },
      execId: `exec-${this.fills.length + 1}`,
      execQty: decimal(lots, qtyDecimals),
      execPrice: at.toFixed(priceDecimals),
      ...{ execFee: "0", execType: "Trade", execTime: String(this.#options.now()) },
    };
    this.fills.push(row);
    this.#options.tell({ topic: "execution", row });
    const [base, quote] = coinsOf(market);
    const sign = side === "Buy" ? 1 : -1;
    this.coins.set(base, (this.coins.get(base) ?? 0) + sign * qty);
    this.coins.set(quote, (this.coins.get(quote) ?? 0) - sign * qty * at);
    this.#move(order, order.filled >= wanted ? "Filled" : "PartiallyFilled");
    this.#options.tell({ topic: "wallet", row: this.wallet() });
  }

  #move(order: DeskOrder, orderStatus: string): void {
    order.orderStatus = orderStatus;
    order.updatedTime = this.#options.now();
    this.#options.tell({ topic: "order", row: this.rowOf(order) });
  }
}

type Names = Pick<BybitExecution, "orderId" | "orderLinkId">;

function namesOf({ orderId, orderLinkId }: DeskOrder): Record<string, string> {
  return { orderId, orderLinkId };
}

function coinsOf({ instrument: { symbol } }: Market): [base: string, quote: string] {
  return [symbol.slice(0, -4), symbol.slice(-4)];
}
