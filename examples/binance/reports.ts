/**
 * What Binance tells of an account: its orders, fills and balances, from the user data stream and
 * from REST in one form.
 *
 * @module
 */

import type { BinanceOrderState, BinanceTradeState } from "./account.ts";
import { unitsOf } from "./decimals.ts";

/** The state of an order, after something has happened to it. Decimals are text. */
export interface BinanceExecution {
  /** The channel. */
  readonly channel: "orders";
  /** What is traded. */
  readonly symbol: string;
  /** The venue's name of the order. */
  readonly orderId: number | bigint;
  /** Our name of the order, also where the venue tells a cancel. */
  readonly clientOrderId: string;
  /** What the order does. */
  readonly side: "BUY" | "SELL";
  /** How: `LIMIT`, `MARKET` … */
  readonly type: string;
  /** `NEW`, `PARTIALLY_FILLED`, `FILLED`, `CANCELED`, `REJECTED`, `EXPIRED` … */
  readonly status: string;
  /** The limit. */
  readonly price: string;
  /** How much was ordered. */
  readonly origQty: string;
  /** How much has been traded. */
  readonly executedQty: string;
  /** Whether the order is in the book: one with a stop is not, until it is triggered. */
  readonly isWorking: boolean;
  /** When, by the venue's clock, in epoch milliseconds. */
  readonly time: number;
}

/** A trade of an order. Decimals are text. */
export interface BinanceFill {
  /** The channel. */
  readonly channel: "fills";
  /** What was traded. */
  readonly symbol: string;
  /** The venue's name of the order. */
  readonly orderId: number | bigint;
  /** Our name of the order, where it is known. */
  readonly clientOrderId?: string | undefined;
  /** The venue's name of the trade, once for each symbol. */
  readonly tradeId: number | bigint;
  /** What the order does. */
  readonly side: "BUY" | "SELL";
  /** The price. */
  readonly price: string;
  /** How much of the base asset. */
  readonly qty: string;
  /** How much of the quote asset. */
  readonly quoteQty: string;
  /** The fee. */
  readonly commission: string;
  /** In what it was paid, or null. */
  readonly commissionAsset: string | null;
  /** Whether our order was there before. */
  readonly isMaker: boolean;
  /** When, by the venue's clock, in epoch milliseconds. */
  readonly time: number;
}

/** What the account holds of an asset. */
export interface BinanceBalance {
  /** The channel. */
  readonly channel: "balances";
  /** The asset. */
  readonly asset: string;
  /** How much of it may be used. */
  readonly free: string;
  /** How much of it open orders have set aside. */
  readonly locked: string;
  /** When, by the venue's clock, in epoch milliseconds. */
  readonly time: number;
}

/** What a feed of orders delivers. */
export type BinanceReport = BinanceExecution | BinanceFill | BinanceBalance;

/** An event of the user data stream, under the venue's own names. */
export interface ExecutionEvent {
  /** The symbol. */
  readonly s: string;
  /** The client's name of the order, or of the cancel. */
  readonly c: string;
  /** The client's name of the order, where `c` names a cancel; its old name, where it has a new one. */
  readonly C: string;
  /** The side. */
  readonly S: "BUY" | "SELL";
  /** The type. */
  readonly o: string;
  /** The quantity. */
  readonly q: string;
  /** The price. */
  readonly p: string;
  /** What has happened. */
  readonly x: string;
  /** The status after it. */
  readonly X: string;
  /** The venue's name of the order. */
  readonly i: number;
  /** The quantity of the trade. */
  readonly l: string;
  /** The price of the trade. */
  readonly L: string;
  /** What was paid for it. */
  readonly Y: string;
  /** The fee. */
  readonly n: string;
  /** In what it was paid. */
  readonly N: string | null;
  /** The name of the trade, or -1. */
  readonly t: number;
  /** Traded so far. */
  readonly z: string;
  /** Whether the order was there before. */
  readonly m: boolean;
  /** Whether it is in the book. */
  readonly w: boolean;
  /** When. */
  readonly T: number;
}

/** Ends of an order. */
const ENDS: ReadonlySet<string> = new Set([
  "FILLED",
  "CANCELED",
  "REJECTED",
  "EXPIRED",
  "EXPIRED_IN_MATCH",
]);

/** Whether an order can no longer change. */
export function isOver({ status }: { readonly status: string }): boolean {
  return ENDS.has(status);
}

/** Reads an event: the fill, if there was one, then the state of the order. */
export function ordersOf(event: ExecutionEvent): (BinanceFill | BinanceExecution)[] {
  const { s: symbol, i: orderId, S: side, T: time } = event;
  // Of a cancel, `c` is the cancel's own name; of a change, the new name of the order.
  const clientOrderId = event.x === "REPLACED" ? event.c : event.C || event.c;
  const names = { symbol, orderId, clientOrderId, side, time };
  const { o: type, X: status, p: price, q: origQty, z: executedQty, w: isWorking } = event;
  const state = { ...names, type, status, price, origQty, executedQty, isWorking };
  const order: BinanceExecution = { channel: "orders", ...state };
  if (event.x !== "TRADE") return [order];
  const { t: tradeId, L, l: qty, Y: quoteQty, n: commission, N: commissionAsset, m } = event;
  const trade = { tradeId, price: L, qty, quoteQty, commission, commissionAsset, isMaker: m };
  return [{ channel: "fills", ...names, ...trade }, order];
}

/** Reads an order of REST. */
export function stateOf(order: BinanceOrderState & { isWorking?: boolean }): BinanceExecution {
  const { symbol, orderId, clientOrderId, side, type, status, price, origQty, executedQty } = order;
  const { time = 0, updateTime = time, isWorking = true } = order;
  const names = { symbol, orderId, clientOrderId, side, type };
  const state = { status, price, origQty, executedQty, isWorking, time: updateTime };
  return { channel: "orders", ...names, ...state };
}

/** Reads a trade of REST. */
export function fillOf(
  trade: BinanceTradeState,
  { clientOrderId }: { clientOrderId?: string } = {},
): BinanceFill {
  const { symbol, orderId, id: tradeId, isBuyer, price, qty, quoteQty } = trade;
  const { commission, commissionAsset, isMaker, time } = trade;
  const side = isBuyer ? "BUY" : "SELL";
  const names = { symbol, orderId, clientOrderId, tradeId, side } as const;
  const what = { price, qty, quoteQty, commission, commissionAsset, isMaker, time };
  return { channel: "fills", ...names, ...what };
}

/** Whether a state of an order comes after another one. */
export function isNews(next: BinanceExecution, last: BinanceExecution): boolean {
  if (isOver(last)) return false;
  const executed = unitsOf(next.executedQty) - unitsOf(last.executedQty);
  if (executed !== 0n) return executed > 0n;
  if (isOver(next)) return true;
  // An order can be made smaller, never larger.
  const less = unitsOf(last.origQty) - unitsOf(next.origQty);
  if (less !== 0n) return less > 0n;
  const hasBegun = last.status === "PENDING_NEW" && next.status === "NEW";
  return hasBegun || next.isWorking && !last.isWorking;
}

/** Tells states of orders apart, whether the stream or REST brings them. */
export function identityOf(order: BinanceExecution): string {
  const { symbol, orderId, status, executedQty, origQty, isWorking } = order;
  const state = [status, unitsOf(executedQty), unitsOf(origQty), !isOver(order) && isWorking];
  return `order ${symbol} ${orderId} ${state.join(" ")}`;
}
