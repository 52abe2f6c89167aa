/**
 * An order of the simulated Binance, and a refusal of one.
 *
 * @module
 */

import { textOf, times, unitsOf } from "./decimals.ts";

/** The fields of a request, as they were sent. */
export type Fields = Readonly<Record<string, string | undefined>>;

/** A refusal in the venue's words. */
export class Refusal extends Error {
  /** The venue's code. */
  readonly code: number;

  /**
   * Makes a refusal.
   *
   * @param code The venue's code.
   * @param msg The venue's words.
   */
  constructor(code: number, msg: string) {
    super(msg);
    this.code = code;
  }
}

/** The state of an order. */
export type DeskStatus = "NEW" | "PARTIALLY_FILLED" | "FILLED" | "CANCELED" | "EXPIRED";

/** One order. Amounts are whole numbers of 1e-8. */
export class DeskOrder {
  /** The fields, as they were sent. */
  readonly fields: Fields;
  /** What is traded. */
  readonly symbol: string;
  /** What the order does. */
  readonly side: string;
  /** How. */
  readonly type: string;
  /** How long it stands. */
  readonly timeInForce: string;
  /** The venue's name of the order. */
  readonly orderId: number;
  /** The client's name of the order. */
  clientOrderId: string;
  /** The venue's name of the list that it belongs to, or -1. */
  readonly orderListId: number;
  /** How much is wanted. */
  quantity: bigint;
  /** The limit, or 0. */
  readonly price: bigint;
  /** The price that triggers the order, or 0. */
  readonly stopPrice: bigint;
  /** When it came, in epoch milliseconds. */
  readonly time: number;
  /** When it came, by `performance.now()`. */
  readonly at: number = performance.now();
  /** When it last changed, in epoch milliseconds. */
  updateTime: number;
  /** Its state. */
  status: DeskStatus = "NEW";
  /** How much is executed. */
  executed = 0n;
  /** What was paid or received. */
  paid = 0n;
  /** Whether it is in the book: an order with a stop is not, until it is triggered. */
  isWorking: boolean;

  /**
   * Makes an order.
   *
   * @param fields The fields, as they were sent.
   * @param quantity How much is wanted.
   * @param names The venue's names.
   * @param now The venue's time, in epoch milliseconds.
   */
  constructor(
    fields: Fields,
    quantity: bigint,
    { orderId, orderListId }: { orderId: number; orderListId: number },
    now: number,
  ) {
    this.fields = fields;
    this.symbol = fields.symbol!;
    this.side = fields.side!;
    this.type = fields.type!;
    this.timeInForce = fields.timeInForce || "GTC";
    this.orderId = orderId;
    this.orderListId = orderListId;
    this.clientOrderId = fields.newClientOrderId || crypto.randomUUID();
    this.quantity = quantity;
    this.price = unitsOf(fields.price || "0");
    this.stopPrice = unitsOf(fields.stopPrice || "0");
    this.time = this.updateTime = now;
    this.isWorking = this.stopPrice === 0n;
  }

  /** Whether it may still trade. */
  get isOpen(): boolean {
    return this.status === "NEW" || this.status === "PARTIALLY_FILLED";
  }

  /** Whether it stays in the book until it trades. */
  get rests(): boolean {
    return this.price > 0n && this.timeInForce === "GTC";
  }

  /** How much is not executed. */
  get left(): bigint {
    return this.quantity - this.executed;
  }

  /** What it may still take from the account, in the asset that it pays with. */
  get cost(): bigint {
    if (this.side === "SELL") return this.left;
    return times(this.left, this.price || this.stopPrice);
  }

  /** Puts the order into the book, as its stop is reached. */
  trigger(now: number): void {
    this.isWorking = true;
    this.updateTime = now;
  }

  /** Executes a part. */
  take(quantity: bigint, value: bigint, now: number): void {
    this.executed += quantity;
    this.paid += value;
    this.status = this.left > 0n ? "PARTIALLY_FILLED" : "FILLED";
    this.updateTime = now;
  }

  /** Ends the order before it is filled. */
  end(status: "CANCELED" | "EXPIRED", now: number): void {
    this.status = status;
    this.updateTime = now;
  }

  /** The order as REST tells it. */
  get state(): Record<string, unknown> {
    const { symbol, orderId, orderListId, clientOrderId, status, timeInForce, type, side } = this;
    const { time, updateTime, isWorking } = this;
    return {
      ...{ symbol, orderId, orderListId, clientOrderId },
      ...{ price: textOf(this.price), origQty: textOf(this.quantity) },
      ...{ executedQty: textOf(this.executed), cummulativeQuoteQty: textOf(this.paid) },
      ...{ origQuoteOrderQty: textOf(unitsOf(this.fields.quoteOrderQty || "0")) },
      ...{ status, timeInForce, type, side, stopPrice: textOf(this.stopPrice) },
      ...{ time, updateTime, transactTime: updateTime, isWorking },
      ...{ workingTime: isWorking ? time : -1, selfTradePreventionMode: "NONE" },
    };
  }
}
