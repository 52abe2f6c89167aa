/**
 * The account of the simulated Binance: its orders, trades and balances.
 *
 * @module
 */

import { decimal, type Instrument } from "../market.ts";
import type { BinanceOrderState, BinanceTradeState } from "./broker.ts";
import { textOf, times, unitsOf } from "./decimals.ts";
import { crosses, MIN_NOTIONAL, quantityOf, type RuleContext, RULES } from "./rules.ts";

/** An order of the simulator. */
export interface SimulatedOrder extends BinanceOrderState {
  /** When it came, by `performance.now()`. */
  readonly at: number;
  /** What is traded, how and in which direction. */
  readonly fields: Readonly<Record<string, string>>;
}

/** A refusal in the venue's words. */
export interface Refusal {
  /** The code. */
  readonly code: number;
  /** The words. */
  readonly msg: string;
}

/** The best prices of a symbol. */
export interface Best {
  /** The best bid, a decimal. */
  readonly bid: string;
  /** The best ask, a decimal. */
  readonly ask: string;
}

/** What the account holds at the beginning. */
const BEGINNING: Record<string, string> = {
  USDT: "1000000",
  BTC: "10",
  ETH: "100",
  DOGE: "1000000",
};

/** One account. */
export class Desk {
  /** The orders, by their client's names. */
  readonly orders: Map<string, SimulatedOrder> = new Map();
  /** The trades, in order. */
  readonly trades: BinanceTradeState[] = [];
  /** What is free, in 1e-8, by asset. */
  readonly #free = new Map(
    Object.entries(BEGINNING).map(([asset, text]) => [asset, unitsOf(text)]),
  );
  #lastId = 0;

  /** What the account holds. What open orders would pay is not set aside here. */
  get balances(): { asset: string; free: string; locked: string }[] {
    return [...this.#free].map(([asset, free]) => ({
      asset,
      free: textOf(free),
      locked: textOf(0n),
    }));
  }

  /**
   * Takes an order.
   *
   * @param fields The fields, as they were sent.
   * @param instrument What is traded; nothing if the symbol is not known.
   * @param best The best prices.
   * @param now The venue's time, in epoch milliseconds.
   * @returns The order, or why it is refused.
   */
  place(
    fields: Readonly<Record<string, string>>,
    instrument: Instrument | undefined,
    best: Best,
    now: number,
  ): SimulatedOrder | Refusal {
    const name = fields.newClientOrderId ?? crypto.randomUUID();
    const asset = fields.side === "SELL" ? fields.symbol?.replace(/USDT$/, "") : "USDT";
    const context: RuleContext = {
      order: fields,
      instrument,
      best: { bid: unitsOf(best.bid), ask: unitsOf(best.ask) },
      free: this.#free.get(asset ?? "") ?? 0n,
      isNameOpen: this.orders.get(name)?.status === "NEW",
    };
    const broken = RULES.find(({ isBroken }) => isBroken(context));
    if (broken) {
      const { code, msg } = broken;
      return { code, msg: typeof msg === "function" ? msg(context) : msg };
    }
    const order = this.#made(context, fields, name, now);
    this.orders.set(name, order);
    return order;
  }

  /** Cancels an open order. */
  cancel(order: SimulatedOrder): SimulatedOrder {
    const canceled = { ...order, status: "CANCELED" };
    this.orders.set(order.clientOrderId, canceled);
    return canceled;
  }

  /** Finds an order by its client's name, or by the venue's id. */
  find(
    symbol: string,
    name: string | undefined,
    orderId: string | undefined,
  ): SimulatedOrder | undefined {
    return [...this.orders.values()].find((order) =>
      order.symbol === symbol &&
      (orderId ? String(order.orderId) === orderId : order.clientOrderId === name)
    );
  }

  #made(
    context: RuleContext,
    fields: Readonly<Record<string, string>>,
    clientOrderId: string,
    now: number,
  ): SimulatedOrder {
    const { symbol, timeInForce } = fields;
    const orderId = ++this.#lastId;
    const isTaken = crosses(context);
    const quantity = quantityOf(context);
    // Nothing of an IOC or FOK order stays in the book.
    const rest = timeInForce === "IOC" || timeInForce === "FOK" ? "EXPIRED" : "NEW";
    const price = fields.price ?? "0.00000000";
    const origQty = fields.quantity ?? textOf(quantity);
    const executedQty = isTaken ? origQty : "0.00000000";
    if (isTaken) this.#trade(context, orderId, quantity, now);
    return {
      symbol,
      orderId,
      clientOrderId,
      status: isTaken ? "FILLED" : rest,
      price,
      origQty,
      executedQty,
      time: now,
      at: performance.now(),
      fields,
    };
  }

  /** Trades at the best price of the other side. */
  #trade({ order, best }: RuleContext, orderId: number, quantity: bigint, now: number): void {
    const isBuyer = order.side === "BUY";
    const price = isBuyer ? best.ask : best.bid;
    const value = times(quantity, price);
    const base = order.symbol!.replace(/USDT$/, "");
    this.#move(base, isBuyer ? quantity : -quantity);
    this.#move("USDT", isBuyer ? -value : value);
    this.trades.push({
      symbol: order.symbol!,
      id: this.trades.length + 1,
      orderId,
      price: textOf(price),
      qty: textOf(quantity),
      quoteQty: textOf(value),
      commission: "0.00000000",
      commissionAsset: "USDT",
      time: now,
      isBuyer,
      isMaker: false,
    });
  }

  #move(asset: string, by: bigint): void {
    this.#free.set(asset, (this.#free.get(asset) ?? 0n) + by);
  }
}

/** Describes a symbol as `GET exchangeInfo` does. */
export function describe(instrument: Instrument): Record<string, unknown> {
  const { symbol, priceDecimals, qtyDecimals } = instrument;
  const [tickSize, stepSize] = [decimal(1, priceDecimals), decimal(1, qtyDecimals)];
  return {
    symbol,
    status: "TRADING",
    baseAsset: symbol.replace(/USDT$/, ""),
    baseAssetPrecision: 8,
    quoteAsset: "USDT",
    quotePrecision: 8,
    quoteAssetPrecision: 8,
    orderTypes: ["LIMIT", "LIMIT_MAKER", "MARKET"],
    isSpotTradingAllowed: true,
    isMarginTradingAllowed: false,
    filters: [
      { filterType: "PRICE_FILTER", minPrice: tickSize, tickSize },
      { filterType: "LOT_SIZE", minQty: stepSize, stepSize },
      { filterType: "NOTIONAL", minNotional: textOf(MIN_NOTIONAL), applyMinToMarket: true },
    ],
    permissions: ["SPOT"],
    permissionSets: [["SPOT"]],
  };
}
