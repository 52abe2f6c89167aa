/**
 * The private side of the simulated Binance: who may call, and what the calls do.
 *
 * @module
 */

import { createHmac } from "node:crypto";
import type { BinanceLogin } from "./account.ts";
import type { Desk, DeskList } from "./desk.ts";
import { type DeskOrder, type Fields, Refusal } from "./desk_order.ts";

/** Options of the private side. */
export interface PrivateOptions {
  /** The key that may trade. */
  readonly login: BinanceLogin;
  /** The venue's time, in epoch milliseconds. */
  readonly now: () => number;
  /** How long an order cannot be looked up yet, in milliseconds. */
  readonly visibleAfter: number;
}

/** The calls of one account. */
export class PrivateApi {
  readonly #desk: Desk;
  readonly #options: PrivateOptions;
  readonly #calls: Readonly<Record<string, (fields: Fields) => unknown>> = {
    "GET account": () => this.#account(),
    "POST order": (fields) => this.#desk.place(fields).state,
    "GET order": (fields) => this.#order(fields),
    "DELETE order": (fields) => this.#cancel(fields),
    "PUT order/amend/keepPriority": (fields) => this.#amend(fields),
    "POST order/cancelReplace": (fields) => this.#cancelReplace(fields),
    "GET openOrders": (fields) => this.#openOrders(fields),
    "GET allOrders": (fields) => this.#allOrders(fields),
    "GET myTrades": (fields) => this.#myTrades(fields),
    "POST orderList/oco": (fields) => this.#describe(this.#desk.placeList(fields)),
    "GET orderList": (fields) => this.#describe(this.#list(fields, -2013)),
    "DELETE orderList": (fields) => this.#cancelList(fields),
  };

  /**
   * Opens the private side.
   *
   * @param desk The account.
   * @param options The key, the clock and the delay.
   */
  constructor(desk: Desk, options: PrivateOptions) {
    this.#desk = desk;
    this.#options = options;
  }

  /** The calls: method and path, `"POST order"`. */
  get routes(): string[] {
    return Object.keys(this.#calls);
  }

  /**
   * Looks at key, signature and time, in this order.
   *
   * @param key The key that was sent.
   * @param payload What was signed.
   * @param fields The fields, with `signature` and `timestamp`.
   * @throws {Refusal} If one of them is not good.
   */
  check(key: string | undefined, payload: string, fields: Fields): void {
    const { signature = "", timestamp, recvWindow = "5000" } = fields;
    const { login, now } = this.#options;
    if (!key) throw new Refusal(-2014, "API-key format invalid.");
    if (key !== login.apiKey) {
      throw new Refusal(-2015, "Invalid API-key, IP, or permissions for action.");
    }
    const right = createHmac("sha256", login.secret).update(payload).digest("hex");
    if (signature.toLowerCase() !== right) {
      throw new Refusal(-1022, "Signature for this request is not valid.");
    }
    if (!timestamp) throw missing("timestamp");
    if (Number(timestamp) >= now() + 1_000) {
      const why = "Timestamp for this request was 1000ms ahead of the server's time.";
      throw new Refusal(-1021, why);
    }
    if (now() - Number(timestamp) > Math.min(60_000, Number(recvWindow))) {
      throw new Refusal(-1021, "Timestamp for this request is outside of the recvWindow.");
    }
  }

  /**
   * Answers a call that has been checked.
   *
   * @param route Method and path, `"POST order"`.
   * @param fields The fields.
   * @returns The answer.
   * @throws {Refusal} If the call is refused.
   */
  answer(route: string, fields: Fields): unknown {
    return this.#calls[route](fields);
  }

  #account(): unknown {
    return { canTrade: true, accountType: "SPOT", balances: this.#desk.balances };
  }

  #order(fields: Fields): unknown {
    const order = this.#find(fields);
    if (!order || !this.#isVisible(order)) throw new Refusal(-2013, "Order does not exist.");
    return order.state;
  }

  /** The venue gives the cancel a name of its own, and tells the order's beside it. */
  #cancel(fields: Fields): unknown {
    const order = this.#find(fields);
    if (!order?.isOpen) throw new Refusal(-2011, "Unknown order sent.");
    const clientOrderId = fields.newClientOrderId ?? crypto.randomUUID();
    this.#desk.cancel(order, clientOrderId);
    const list = this.#desk.lists.get(order.orderListId);
    if (list) return this.#describe(list, clientOrderId);
    return { ...order.state, origClientOrderId: order.clientOrderId, clientOrderId };
  }

  #amend(fields: Fields): unknown {
    const order = this.#find(fields);
    if (!fields.newQty) throw missing("newQty");
    if (!order?.isOpen) throw new Refusal(-2038, "Unknown order sent.");
    const origClientOrderId = order.clientOrderId;
    this.#desk.amend(order, fields.newQty, fields.newClientOrderId);
    const { origQty: qty, cummulativeQuoteQty: cumulativeQuoteQty, ...state } = order.state;
    const transactTime = this.#options.now();
    const amendedOrder = { ...state, origClientOrderId, qty, cumulativeQuoteQty };
    return { transactTime, executionId: order.orderId, amendedOrder };
  }

  /** Cancels one order, then places another. */
  #cancelReplace(fields: Fields): unknown {
    const { cancelOrigClientOrderId, cancelOrderId, cancelNewClientOrderId, symbol } = fields;
    if (!fields.cancelReplaceMode) throw missing("cancelReplaceMode");
    const names = { orderId: cancelOrderId, origClientOrderId: cancelOrigClientOrderId };
    const newClientOrderId = cancelNewClientOrderId;
    const cancelResponse = orElse(
      -2022,
      "Order cancel-replace failed.",
      () => this.#cancel({ symbol, ...names, newClientOrderId }),
    );
    const newOrderResponse = orElse(
      -2021,
      "Order cancel-replace partially failed.",
      () => this.#desk.place(fields).state,
    );
    const results = { cancelResult: "SUCCESS", newOrderResult: "SUCCESS" };
    return { ...results, cancelResponse, newOrderResponse };
  }

  #openOrders({ symbol }: Fields): unknown {
    const open = this.#desk.open.filter((order) =>
      this.#isVisible(order) && (!symbol || order.symbol === symbol)
    );
    return open.map(({ state }) => state);
  }

  #allOrders(fields: Fields): unknown {
    const { orderId } = this.#needSymbol(fields);
    const orders = [...this.#desk.orders.values()].filter((order) => this.#isVisible(order));
    return page(orders, fields, (order) => order.orderId >= Number(orderId ?? 0))
      .map(({ state }) => state);
  }

  #myTrades(fields: Fields): unknown {
    const { orderId, fromId } = this.#needSymbol(fields);
    return page(
      this.#desk.trades,
      fields,
      (trade) =>
        (orderId === undefined || String(trade.orderId) === orderId) &&
        Number(trade.id) >= Number(fromId ?? 0),
    );
  }

  #cancelList(fields: Fields): unknown {
    const list = this.#list({ ...fields, origClientOrderId: fields.listClientOrderId }, -2011);
    const open = list.orders.find(({ isOpen }) => isOpen);
    if (!open) throw new Refusal(-2011, "Unknown order sent.");
    const { newClientOrderId = crypto.randomUUID() } = fields;
    this.#desk.cancel(open, newClientOrderId);
    return this.#describe(list, newClientOrderId);
  }

  #list({ orderListId, origClientOrderId }: Fields, code: number): DeskList {
    const list = [...this.#desk.lists.values()].findLast((it) =>
      orderListId
        ? String(it.orderListId) === orderListId
        : it.listClientOrderId === origClientOrderId
    );
    if (list && this.#isVisible(list.orders[0])) return list;
    throw new Refusal(code, code === -2013 ? "Order list does not exist." : "Unknown order sent.");
  }

  #describe({ orderListId, listClientOrderId, orders }: DeskList, cancelId?: string): unknown {
    const isDone = !orders.some(({ isOpen }) => isOpen);
    return {
      ...{ orderListId, contingencyType: "OCO", listClientOrderId },
      listStatusType: isDone ? "ALL_DONE" : "EXEC_STARTED",
      listOrderStatus: isDone ? "ALL_DONE" : "EXECUTING",
      ...{ transactionTime: this.#options.now(), symbol: orders[0].symbol },
      orders: orders.map(({ symbol, orderId, clientOrderId }) => ({
        ...{ symbol, orderId, clientOrderId },
      })),
      orderReports: orders.map(({ state, clientOrderId: origClientOrderId }) =>
        cancelId ? { ...state, origClientOrderId, clientOrderId: cancelId } : state
      ),
    };
  }

  #find(fields: Fields): DeskOrder | undefined {
    const { origClientOrderId, orderId } = this.#needSymbol(fields);
    if (origClientOrderId || orderId) return this.#desk.find(fields);
    throw new Refusal(-1102, "Param 'origClientOrderId' or 'orderId' must be sent.");
  }

  #needSymbol(fields: Fields): Fields {
    if (!fields.symbol) throw missing("symbol");
    if (!this.#desk.hasSymbol(fields.symbol)) throw new Refusal(-1121, "Invalid symbol.");
    return fields;
  }

  #isVisible({ at }: DeskOrder): boolean {
    return performance.now() - at >= this.#options.visibleAfter;
  }
}

/** A refusal of a request that lacks a parameter. */
export function missing(name: string): Refusal {
  const why = `Mandatory parameter '${name}' was not sent, was empty/null, or malformed.`;
  return new Refusal(-1102, why);
}

/** Refuses with another code if a part is refused. */
function orElse<T>(code: number, msg: string, part: () => T): T {
  try {
    return part();
  } catch (error) {
    throw error instanceof Refusal ? new Refusal(code, msg) : error;
  }
}

/** A page: the oldest from a start on, else the youngest. */
function page<T extends { symbol: string; time: number }>(
  all: readonly T[],
  { symbol, startTime, endTime, orderId, fromId, limit = "500" }: Fields,
  isAsked: (it: T) => boolean,
): T[] {
  const [start, end] = [Number(startTime ?? 0), Number(endTime ?? Infinity)];
  if (startTime && endTime && end - start > 24 * 3_600_000) {
    throw new Refusal(-1127, "More than 24 hours between startTime and endTime.");
  }
  const found = all.filter((it) =>
    it.symbol === symbol && it.time >= start && it.time <= end && isAsked(it)
  );
  const most = Math.min(Number(limit), 1_000);
  return startTime || orderId || fromId ? found.slice(0, most) : found.slice(-most);
}
