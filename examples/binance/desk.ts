/**
 * The trading desk of the simulated Binance: one account, its orders, its trades.
 *
 * @module
 */

import { decimal, type Instrument } from "../market.ts";
import type { BinanceTradeState } from "./account.ts";
import { textOf, times, unitsOf } from "./decimals.ts";
import { DeskOrder, type Fields, Refusal } from "./desk_order.ts";
import {
  crosses,
  isTriggered,
  LIST_RULES,
  MAX_QUANTITY,
  MIN_NOTIONAL,
  quantityOf,
  type RuleContext,
  RULES,
  TYPES,
} from "./rules.ts";

/** What a symbol trades at. Prices are whole numbers of 1e-8. */
export interface DeskMarket {
  /** What is traded. */
  readonly instrument: Instrument;
  /** The best bid. */
  readonly bid: bigint;
  /** The best ask. */
  readonly ask: bigint;
  /** The price of the last trade. */
  readonly last: bigint;
}

/** What the desk tells about an order. */
export interface DeskEvent {
  /** What happened, in the venue's words. */
  readonly type: "NEW" | "TRADE" | "CANCELED" | "EXPIRED" | "REPLACED";
  /** The order, after it. */
  readonly order: DeskOrder;
  /** The trade, if it was one. */
  readonly trade?: BinanceTradeState;
  /** The name of the cancel, if it was one. */
  readonly cancelId?: string | undefined;
  /** The old name of the order, if it has a new one. */
  readonly oldName?: string;
}

/** Two orders, of which one cancels the other. */
export interface DeskList {
  /** The venue's name of the list. */
  readonly orderListId: number;
  /** The client's name of the list. */
  readonly listClientOrderId: string;
  /** The orders. */
  readonly orders: readonly DeskOrder[];
}

/** What the account holds at the beginning. */
const BEGINNING: Readonly<Record<string, string>> = {
  USDT: "1000000",
  BTC: "10",
  ETH: "100",
  DOGE: "1000000",
};

/** Options of a {@linkcode Desk}. */
export interface DeskOptions {
  /** Finds the market of a symbol. */
  readonly market: (symbol: string) => DeskMarket | undefined;
  /** The venue's time, in epoch milliseconds. */
  readonly now: () => number;
  /** Told whatever happens to an order. */
  readonly tell?: (event: DeskEvent) => void;
}

/** One account. */
export class Desk {
  /** Every order so far, by the venue's name. */
  readonly orders: Map<number, DeskOrder> = new Map();
  /** Every trade so far, the oldest first. */
  readonly trades: BinanceTradeState[] = [];
  /** Every list so far, by the venue's name. */
  readonly lists: Map<number, DeskList> = new Map();
  readonly #options: DeskOptions;
  /** What the account holds, in 1e-8, by asset. */
  readonly #total = new Map(
    Object.entries(BEGINNING).map(([asset, text]) => [asset, unitsOf(text)]),
  );

  /**
   * Opens a desk.
   *
   * @param options The markets, the clock, and who is told.
   */
  constructor(options: DeskOptions) {
    this.#options = options;
  }

  /** The open orders. */
  get open(): DeskOrder[] {
    return [...this.orders.values()].filter(({ isOpen }) => isOpen);
  }

  /** What the account holds, and what its open orders have set aside. */
  get balances(): { asset: string; free: string; locked: string }[] {
    return [...this.#total].map(([asset, total]) => {
      const locked = this.#locked(asset);
      return { asset, free: textOf(total - locked), locked: textOf(locked) };
    });
  }

  /**
   * Takes an order.
   *
   * @param fields The fields, as they were sent.
   * @returns The order, perhaps filled already.
   * @throws {Refusal} If the order breaks a rule.
   */
  place(fields: Fields): DeskOrder {
    const order = this.#make(this.#check(fields), fields, -1);
    this.#enter(order);
    return order;
  }

  /**
   * Takes two orders, of which one cancels the other.
   *
   * @param fields The fields, as they were sent, with `above…` and `below…`.
   * @returns The list.
   * @throws {Refusal} If one of the orders, or both together, break a rule.
   */
  placeList(fields: Fields): DeskList {
    const legs = ["above", "below"].map((leg) => legOf(fields, leg));
    const contexts = legs.map((leg) => this.#check(leg));
    const broken = LIST_RULES.find(({ isBroken }) => isBroken(legs, contexts[0].market!));
    if (broken) throw new Refusal(broken.code, broken.msg);
    const orderListId = this.lists.size + 1;
    const orders = legs.map((leg, i) => this.#make(contexts[i], leg, orderListId));
    const { listClientOrderId = crypto.randomUUID() } = fields;
    const list = { orderListId, listClientOrderId, orders };
    this.lists.set(orderListId, list);
    for (const order of orders) this.#enter(order);
    return list;
  }

  /**
   * Cancels an open order, and those of its list.
   *
   * @param order The order.
   * @param cancelId The name of the cancel.
   * @returns The orders that were cancelled.
   */
  cancel(order: DeskOrder, cancelId: string = crypto.randomUUID()): DeskOrder[] {
    const { orders } = this.lists.get(order.orderListId) ?? { orders: [order] };
    const cancelled = orders.filter(({ isOpen }) => isOpen);
    for (const each of cancelled) this.#end(each, "CANCELED", cancelId);
    return cancelled;
  }

  /**
   * Makes an open order smaller.
   *
   * @param order The order.
   * @param newQty How much is to be ordered in all.
   * @param name The new name of the order.
   * @throws {Refusal} If the order breaks a rule then, or is not made smaller.
   */
  amend(order: DeskOrder, newQty: string, name: string = crypto.randomUUID()): void {
    const { symbol, side, type, timeInForce, fields } = order;
    const { price, stopPrice } = fields;
    const changed = { symbol, side, type, timeInForce, price, stopPrice, quantity: newQty };
    this.#check(changed, order.cost);
    const quantity = unitsOf(newQty);
    if (quantity > order.quantity) {
      throw new Refusal(-2038, "Order amend (quantity increase) is not supported.");
    }
    if (quantity === order.quantity || quantity <= order.executed) {
      throw new Refusal(-2038, "The requested action would change no state; rejecting.");
    }
    const oldName = order.clientOrderId;
    order.quantity = quantity;
    order.clientOrderId = name;
    this.#options.tell?.({ type: "REPLACED", order, oldName });
  }

  /**
   * Finds an order by the client's name, of which the youngest counts, or by the venue's.
   *
   * @param fields `symbol`, and `orderId` or `origClientOrderId`.
   * @returns The order, if there is one.
   */
  find({ symbol, orderId, origClientOrderId }: Fields): DeskOrder | undefined {
    return [...this.orders.values()].findLast((order) =>
      order.symbol === symbol &&
      (orderId ? String(order.orderId) === orderId : order.clientOrderId === origClientOrderId)
    );
  }

  /** Whether a symbol is traded. */
  hasSymbol(symbol: string): boolean {
    return this.#options.market(symbol) !== undefined;
  }

  /** Lets every open order trade as far as the market allows. */
  match(): void {
    for (const order of this.open) this.#advance(order);
  }

  /**
   * Fills an order, or a part of it.
   *
   * @param order The order.
   * @param quantity How much, in 1e-8; all that is left unless given.
   * @param price At which price, in 1e-8; at its own unless given.
   * @param isMaker Whether the order was there before.
   */
  fill(
    order: DeskOrder,
    quantity: bigint = order.left,
    price: bigint = order.price,
    isMaker: boolean = true,
  ): void {
    this.#cancelOthers(order);
    const isBuyer = order.side === "BUY";
    const value = times(quantity, price);
    const { base, quote } = assetsOf(order.symbol);
    this.#move(base, isBuyer ? quantity : -quantity);
    this.#move(quote, isBuyer ? -value : value);
    order.take(quantity, value, this.#options.now());
    const trade: BinanceTradeState = {
      ...{ symbol: order.symbol, id: this.trades.length + 1, orderId: order.orderId },
      ...{ price: textOf(price), qty: textOf(quantity), quoteQty: textOf(value) },
      ...{ commission: "0.00000000", commissionAsset: isBuyer ? base : quote },
      ...{ time: order.updateTime, isBuyer, isMaker },
    };
    this.trades.push(trade);
    this.#options.tell?.({ type: "TRADE", order, trade });
  }

  /** Looks whether an order breaks a rule. `own` is what it has set aside already. */
  #check(fields: Fields, own = 0n): RuleContext {
    const { symbol = "", side, newClientOrderId } = fields;
    const market = this.#options.market(symbol);
    const { base, quote } = assetsOf(symbol);
    const asset = side === "SELL" ? base : quote;
    const context: RuleContext = {
      order: fields,
      market,
      free: (this.#total.get(asset) ?? 0n) - this.#locked(asset) + own,
      isNameOpen: this.open.some(({ clientOrderId }) => clientOrderId === newClientOrderId),
    };
    const broken = RULES.find(({ isBroken }) => isBroken(context));
    if (!broken) return context;
    const { code, msg } = broken;
    throw new Refusal(code, typeof msg === "function" ? msg(context) : msg);
  }

  #make(context: RuleContext, fields: Fields, orderListId: number): DeskOrder {
    const names = { orderId: this.orders.size + 1, orderListId };
    const order = new DeskOrder(fields, quantityOf(context), names, this.#options.now());
    this.orders.set(order.orderId, order);
    return order;
  }

  #enter(order: DeskOrder): void {
    this.#options.tell?.({ type: "NEW", order });
    this.#advance(order, true);
  }

  /** Triggers an order, and lets it trade. One that has just come takes, any other makes. */
  #advance(order: DeskOrder, hasCome = false): void {
    if (!order.isOpen) return;
    const market = this.#options.market(order.symbol)!;
    let isTaker = hasCome;
    if (!order.isWorking) {
      if (!isTriggered(order.fields, market)) return;
      order.trigger(this.#options.now());
      this.#cancelOthers(order);
      this.#options.tell?.({ type: "NEW", order });
      isTaker = true;
    }
    const best = order.side === "BUY" ? market.ask : market.bid;
    if (crosses(order.fields, market)) {
      this.fill(order, order.left, isTaker ? best : order.price, !isTaker);
    } else if (isTaker && !order.rests) this.#end(order, "EXPIRED");
  }

  /** Ends the other orders of a list, once one of them trades. */
  #cancelOthers(order: DeskOrder): void {
    const { orders = [] } = this.lists.get(order.orderListId) ?? {};
    for (const other of orders) if (other !== order && other.isOpen) this.#end(other, "EXPIRED");
  }

  #end(order: DeskOrder, type: "CANCELED" | "EXPIRED", cancelId?: string): void {
    order.end(type, this.#options.now());
    this.#options.tell?.({ type, order, cancelId });
  }

  /** What open orders have set aside of an asset. Of the orders of a list, only one can trade. */
  #locked(asset: string): bigint {
    const byList = new Map<number, bigint>();
    let locked = 0n;
    for (const order of this.open) {
      const { base, quote } = assetsOf(order.symbol);
      if (asset !== (order.side === "SELL" ? base : quote)) continue;
      const known = byList.get(order.orderListId) ?? 0n;
      const more = order.cost > known ? order.cost - known : 0n;
      if (order.orderListId !== -1) byList.set(order.orderListId, known + more);
      locked += order.orderListId === -1 ? order.cost : more;
    }
    return locked;
  }

  #move(asset: string, by: bigint): void {
    this.#total.set(asset, (this.#total.get(asset) ?? 0n) + by);
  }
}

/** The fields of one order of a list. */
function legOf(fields: Fields, leg: string): Fields {
  const { symbol, side, quantity } = fields;
  return {
    ...{ symbol, side, quantity },
    type: fields[`${leg}Type`],
    price: fields[`${leg}Price`],
    stopPrice: fields[`${leg}StopPrice`],
    timeInForce: fields[`${leg}TimeInForce`],
    newClientOrderId: fields[`${leg}ClientOrderId`],
  };
}

function assetsOf(symbol: string): { base: string; quote: string } {
  return { base: symbol.replace(/USDT$/, ""), quote: "USDT" };
}

/** Describes a symbol as `GET exchangeInfo` does. */
export function describe(instrument: Instrument): Record<string, unknown> {
  const { symbol, priceDecimals, qtyDecimals } = instrument;
  const [tickSize, stepSize] = [decimal(1, priceDecimals), decimal(1, qtyDecimals)];
  const { base: baseAsset, quote: quoteAsset } = assetsOf(symbol);
  return {
    ...{ symbol, status: "TRADING", baseAsset, baseAssetPrecision: 8 },
    ...{ quoteAsset, quotePrecision: 8, quoteAssetPrecision: 8 },
    orderTypes: TYPES,
    ...{ isSpotTradingAllowed: true, isMarginTradingAllowed: false, ocoAllowed: true },
    filters: [
      { filterType: "PRICE_FILTER", minPrice: tickSize, maxPrice: "0.00000000", tickSize },
      { filterType: "LOT_SIZE", minQty: stepSize, maxQty: textOf(MAX_QUANTITY), stepSize },
      { filterType: "NOTIONAL", minNotional: textOf(MIN_NOTIONAL), applyMinToMarket: true },
    ],
    permissions: ["SPOT"],
    permissionSets: [["SPOT"]],
  };
}
