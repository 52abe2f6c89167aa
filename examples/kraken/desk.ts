/**
 * The trading desk of the simulated Kraken: one account, its orders, its fills.
 *
 * @module
 */

import { decimal, type Market } from "../market.ts";
import { refusal } from "./rules.ts";

/** An order at the desk. Decimals are text. */
export interface DeskOrder {
  /** The venue's name of the order. */
  readonly txid: string;
  /** The client's name of the order. */
  readonly cl_ord_id: string | undefined;
  /** Where it trades. */
  readonly market: Market;
  /** What it does. */
  readonly type: "buy" | "sell";
  /** How. */
  readonly ordertype: string;
  /** How long it stands. */
  readonly timeinforce: string;
  /** Its flags, such as `"post"`. */
  readonly oflags: string;
  /** When it came, in epoch seconds. */
  readonly opentm: number;
  /** How much is wanted. */
  volume: string;
  /** The limit. */
  price: string;
  /** How much is executed. */
  executed: number;
  /** What was paid, without fees. */
  cost: number;
  /** Its state. */
  status: "open" | "closed" | "canceled" | "expired";
  /** When it ended, in epoch seconds. */
  closetm?: number;
}

/** One execution. */
export interface DeskFill {
  /** Its id. */
  readonly id: string;
  /** Counts the fills. */
  readonly trade_id: number;
  /** Of which order. */
  readonly order: DeskOrder;
  /** How much. */
  readonly volume: number;
  /** At which price. */
  readonly price: number;
  /** When, in epoch seconds. */
  readonly time: number;
}

/** What the desk tells about an order. */
export interface DeskEvent {
  /** What happened, in the venue's words. */
  readonly exec_type: "new" | "trade" | "filled" | "canceled" | "expired" | "amended";
  /** The order, after it. */
  readonly order: DeskOrder;
  /** The fill, if it was one. */
  readonly fill?: DeskFill;
}

/** A refusal, in the venue's words. */
export class Refusal extends Error {}

/** One account: its balances, its orders and its fills. */
export class Desk {
  /** Every order so far, by the venue's name. */
  readonly orders: Map<string, DeskOrder> = new Map();
  /** Every fill so far, the oldest first. */
  readonly fills: DeskFill[] = [];
  /** What the account holds, by asset. */
  readonly balances: Map<string, number> = new Map([
    ["USD", 1_000_000],
    ["BTC", 10],
    ["ETH", 100],
    ["DOGE", 1_000_000],
  ]);
  readonly #find: (pair: string) => Market | undefined;
  readonly #tell: (event: DeskEvent) => void;
  #ids = 0;

  /**
   * Opens a desk.
   *
   * @param find Finds a market by any name of its pair.
   * @param tell Told whatever happens to an order.
   */
  constructor(
    find: (pair: string) => Market | undefined,
    tell: (event: DeskEvent) => void,
  ) {
    this.#find = find;
    this.#tell = tell;
  }

  /** The open orders. */
  get open(): DeskOrder[] {
    return [...this.orders.values()].filter(({ status }) => status === "open");
  }

  /**
   * Takes an order.
   *
   * @param form The fields of AddOrder.
   * @returns The order, perhaps filled already.
   * @throws {Refusal} If it breaks a rule.
   */
  add(form: Record<string, string | undefined>): DeskOrder {
    const { pair = "", volume = "", price = "", ordertype = "", cl_ord_id } = form;
    const market = this.#find(pair);
    if (!market) throw new Refusal("EQuery:Unknown asset pair");
    if (form.type !== "buy" && form.type !== "sell") {
      throw new Refusal("EGeneral:Invalid arguments:type");
    }
    const { type, timeinforce = "GTC", oflags = "" } = form;
    const opentm = Date.now() / 1_000;
    const order: DeskOrder = {
      ...{ txid: this.#id("O"), cl_ord_id, market, type, ordertype, timeinforce, oflags, opentm },
      ...{ volume, price, executed: 0, cost: 0, status: "open" },
    };
    const code = refusal(order, this);
    if (code) throw new Refusal(code);
    if (form.validate === "true") return order;
    this.orders.set(order.txid, order);
    this.#tell({ exec_type: "new", order });
    this.match(order);
    const isIncomplete = order.ordertype === "market" || timeinforce === "IOC";
    if (order.status === "open" && isIncomplete) this.#end(order, "canceled");
    return order;
  }

  /**
   * Changes price and volume of an open order.
   *
   * @param name The order.
   * @param change What is new.
   * @returns The order.
   * @throws {Refusal} If there is no such open order, or it would break a rule.
   */
  amend(name: string, change: { volume?: string; price?: string }): DeskOrder {
    const [order] = this.find(name);
    if (!order) throw new Refusal("EOrder:Unknown order");
    const { volume = order.volume, price = order.price } = change;
    const code = refusal({ ...order, volume, price }, this);
    if (code) throw new Refusal(code);
    Object.assign(order, { volume, price });
    this.#tell({ exec_type: "amended", order });
    this.match(order);
    return order;
  }

  /**
   * Cancels open orders.
   *
   * @param name Of which name, the venue's or the client's; all if none is given.
   * @returns Those that were cancelled.
   */
  cancel(name?: string): DeskOrder[] {
    const orders = name === undefined ? this.open : this.find(name);
    for (const order of orders) this.#end(order, "canceled");
    return orders;
  }

  /** Open orders of a name, the venue's or the client's. */
  find(name: string): DeskOrder[] {
    return this.open.filter(({ txid, cl_ord_id }) => name === txid || name === cl_ord_id);
  }

  /** Lets an order trade as far as the market allows. */
  match(order: DeskOrder): void {
    if (order.status !== "open" || !this.crosses(order)) return;
    this.fill(order, Number(order.volume) - order.executed, this.#best(order));
  }

  /**
   * Fills an order, or a part of it.
   *
   * @param order The order.
   * @param volume How much.
   * @param price At which price; at its own unless given.
   */
  fill(order: DeskOrder, volume: number, price: number = Number(order.price)): void {
    const { symbol } = order.market.instrument;
    const [base, quote] = symbol.split("/");
    const sign = order.type === "buy" ? 1 : -1;
    order.executed = Number((order.executed + volume).toFixed(8));
    order.cost += volume * price;
    this.#move(base, sign * volume);
    this.#move(quote, -sign * volume * price);
    const trade_id = this.fills.length + 1;
    const time = Date.now() / 1_000;
    const fill = { id: this.#id("T"), trade_id, order, volume, price, time };
    this.fills.push(fill);
    this.#tell({ exec_type: "trade", order, fill });
    if (order.executed >= Number(order.volume)) this.#end(order, "closed");
  }

  /** Whether an order would trade at once. */
  crosses(order: DeskOrder): boolean {
    if (order.ordertype === "market") return true;
    const best = this.#best(order);
    return order.type === "buy" ? Number(order.price) >= best : Number(order.price) <= best;
  }

  /** The smallest volume of a market. */
  minimum({ instrument }: Market): number {
    return Number(MINIMA[instrument.symbol] ?? decimal(1, instrument.qtyDecimals));
  }

  /** What an order may take from the account, in the asset that it takes. */
  cost(order: DeskOrder): number {
    const volume = Number(order.volume) - order.executed;
    if (order.type === "sell") return volume;
    return volume * (order.ordertype === "limit" ? Number(order.price) : this.#best(order));
  }

  /** What the account holds of the asset that an order takes, less what other orders may take. */
  available({ txid, type, market }: DeskOrder): number {
    const asset = assetOf(type, market);
    const others = this.open.filter((it) =>
      it.txid !== txid && assetOf(it.type, it.market) === asset
    );
    const held = others.reduce((sum, it) => sum + this.cost(it), 0);
    return (this.balances.get(asset) ?? 0) - held;
  }

  #best({ type, market }: DeskOrder): number {
    const [{ price }] = type === "buy" ? market.asks : market.bids;
    return price / 10 ** market.instrument.priceDecimals;
  }

  #move(asset: string, amount: number): void {
    this.balances.set(asset, (this.balances.get(asset) ?? 0) + amount);
  }

  #end(order: DeskOrder, status: "closed" | "canceled"): void {
    order.status = status;
    order.closetm = Date.now() / 1_000;
    this.#tell({ exec_type: status === "closed" ? "filled" : "canceled", order });
  }

  #id(kind: string): string {
    const digits = (++this.#ids).toString(36).toUpperCase().padStart(6, "0");
    return `${kind}AIOTR-LOOPB-${digits}`;
  }
}

function assetOf(type: "buy" | "sell", { instrument: { symbol } }: Market): string {
  return symbol.split("/")[type === "buy" ? 1 : 0];
}

/** The smallest orders of the venue. */
const MINIMA: Readonly<Record<string, string>> = {
  "BTC/USD": "0.00005",
  "ETH/USD": "0.001",
  "DOGE/USD": "13",
};
