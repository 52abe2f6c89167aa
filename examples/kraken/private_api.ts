/**
 * The private REST interface of the simulated Kraken: who may call, and what the calls do.
 *
 * @module
 */

import type { VenueRequest } from "@aio-trader/core/testing";
import { type Desk, type DeskFill, type DeskOrder, Refusal } from "./desk.ts";
import type { KrakenInstrument } from "./simulator.ts";
import { type KrakenLogin, signature } from "./signature.ts";

/** Options of the private side of the simulator. */
export interface PrivateOptions {
  /** The key that may trade. */
  readonly login: KrakenLogin;
  /** What the key may do. */
  readonly permissions: readonly string[];
  /** Whether calls are counted and refused above the venue's limit. */
  readonly limited: boolean;
}

/** Which permission a call needs. Source: API reference, "API Key Permissions Required". */
const PERMISSIONS: Readonly<Record<string, string>> = {
  Balance: "query-funds",
  BalanceEx: "query-funds",
  OpenOrders: "query-open",
  QueryOrders: "query-open",
  ClosedOrders: "query-closed",
  TradesHistory: "query-closed",
  AddOrder: "trade",
  AmendOrder: "trade",
  CancelOrder: "cancel",
  CancelAll: "cancel",
  CancelAllOrdersAfter: "cancel",
  GetWebSocketsToken: "websockets",
};

/** Every permission there is. */
export const ALL_PERMISSIONS: readonly string[] = [...new Set(Object.values(PERMISSIONS))];

/** The counter of the lowest tier: at most so much, and so much less each second. */
const COUNTER = { limit: 15, decay: 0.33 };

/** How many orders or trades one answer tells. */
const PAGE = 50;

type Form = Record<string, string | undefined>;

/** Answers private calls. */
export class PrivateApi {
  /** Tokens of the WebSocket that were given out. */
  readonly tokens: Set<string> = new Set();
  /** When the dead man's switch cancels everything. */
  switchAt: number = Infinity;
  readonly #desk: Desk;
  readonly #options: PrivateOptions;
  #nonce = 0;
  #count = { value: 0, at: performance.now() };

  /**
   * Begins.
   *
   * @param desk The account.
   * @param options Who may call.
   */
  constructor(desk: Desk, options: PrivateOptions) {
    this.#desk = desk;
    this.#options = options;
  }

  /**
   * Answers a call.
   *
   * @param request The request.
   * @param call Its name, `"AddOrder"`.
   * @returns The venue's result.
   * @throws {Refusal} If the venue refuses it.
   */
  async answer(request: VenueRequest, call: string): Promise<unknown> {
    const form: Form = Object.fromEntries(request.form());
    await this.#admit(request, form.nonce ?? "");
    const permission = PERMISSIONS[call];
    if (!permission) throw new Refusal("EGeneral:Unknown method");
    if (!this.#options.permissions.includes(permission)) {
      throw new Refusal("EGeneral:Permission denied");
    }
    this.#spend(call);
    return this.#do(call, form);
  }

  /** Cancels everything once the switch is due. */
  tick(): void {
    if (Date.now() < this.switchAt) return;
    this.switchAt = Infinity;
    this.#desk.cancel();
  }

  /** Key, signature, nonce: in this order. Source: guide "Spot REST authentication". */
  async #admit({ headers, path, body: form }: VenueRequest, nonce: string): Promise<void> {
    const { key, secret } = this.#options.login;
    if (headers.get("api-key") !== key) throw new Refusal("EAPI:Invalid key");
    const raw = Uint8Array.from(atob(secret), (character) => character.charCodeAt(0));
    const hmac = { name: "HMAC", hash: "SHA-512" };
    const secretKey = await crypto.subtle.importKey("raw", raw, hmac, false, ["sign"]);
    const right = await signature(secretKey, { path, nonce, form });
    if (headers.get("api-sign") !== right) throw new Refusal("EAPI:Invalid signature");
    if (!(Number(nonce) > this.#nonce)) throw new Refusal("EAPI:Invalid nonce");
    this.#nonce = Number(nonce);
  }

  #spend(call: string): void {
    const isTrading = PERMISSIONS[call] === "trade" || PERMISSIONS[call] === "cancel";
    if (!this.#options.limited || isTrading) return;
    const now = performance.now();
    const left = this.#count.value - (now - this.#count.at) / 1_000 * COUNTER.decay;
    const value = Math.max(0, left) + (PERMISSIONS[call] === "query-closed" ? 2 : 1);
    if (value > COUNTER.limit) throw new Refusal("EAPI:Rate limit exceeded");
    this.#count = { value, at: now };
  }

  #do(call: string, form: Form): unknown {
    const desk = this.#desk;
    switch (call) {
      case "Balance":
        return Object.fromEntries([...desk.balances].map(([asset, it]) => [asset, it.toFixed(10)]));
      case "BalanceEx":
        return Object.fromEntries(
          [...desk.balances].map((
            [asset, it],
          ) => [asset, { balance: it.toFixed(10), hold_trade: "0" }]),
        );
      case "AddOrder": {
        const order = desk.add(form);
        const descr = { order: describe(order) };
        return form.validate === "true" ? { descr } : { descr, txid: [order.txid] };
      }
      case "AmendOrder": {
        const { order_qty: volume, limit_price: price } = form;
        const order = desk.amend(form.txid ?? form.cl_ord_id ?? "", { volume, price });
        return { amend_id: `TA${order.txid.slice(1)}` };
      }
      case "CancelOrder": {
        const { length: count } = desk.cancel(form.txid ?? form.cl_ord_id ?? "");
        if (count === 0) throw new Refusal("EOrder:Unknown order");
        return { count };
      }
      case "CancelAll":
        return { count: desk.cancel().length };
      case "CancelAllOrdersAfter":
        return this.#setSwitch(Number(form.timeout));
      case "GetWebSocketsToken": {
        const token = crypto.randomUUID();
        this.tokens.add(token);
        return { token, expires: 900 };
      }
      default:
        return this.#history(call, form);
    }
  }

  #setSwitch(seconds: number): unknown {
    const now = Date.now();
    this.switchAt = seconds > 0 ? now + seconds * 1_000 : Infinity;
    const triggerTime = seconds > 0 ? new Date(this.switchAt).toISOString() : "0";
    return { currentTime: new Date(now).toISOString(), triggerTime };
  }

  /** Orders and trades: the newest first, 50 at a time; `start` is exclusive. */
  #history(call: string, form: Form): unknown {
    const orders = [...this.#desk.orders.values()].reverse();
    const isMine = (order: DeskOrder) => !form.cl_ord_id || order.cl_ord_id === form.cl_ord_id;
    const since = Number(form.start ?? 0);
    const from = Number(form.ofs ?? 0);
    const page = <T>(all: readonly T[], tell: (one: T) => [string, unknown]) =>
      Object.fromEntries(all.slice(from, from + PAGE).map(tell));
    if (call === "QueryOrders") {
      const names = form.txid?.split(",") ?? [];
      return Object.fromEntries(orders.filter(({ txid }) => names.includes(txid)).map(tellOrder));
    }
    if (call === "OpenOrders") {
      const open = orders.filter((it) => it.status === "open" && isMine(it));
      return { open: Object.fromEntries(open.map(tellOrder)) };
    }
    if (call === "ClosedOrders") {
      const closed = orders.filter((it) =>
        it.status !== "open" && isMine(it) && it.closetm! > since
      );
      return { closed: page(closed, tellOrder), count: closed.length };
    }
    const fills = this.#desk.fills.filter(({ time }) => time > since).reverse();
    return { trades: page(fills, tellFill), count: fills.length };
  }
}

function describe({ type, volume, market, ordertype, price }: DeskOrder): string {
  const at = ordertype === "limit" ? `limit ${price}` : ordertype;
  return `${type} ${volume} ${market.instrument.symbol} @ ${at}`;
}

function tellOrder(order: DeskOrder): [string, unknown] {
  const { txid, cl_ord_id, market, type, ordertype, status, opentm, closetm, cost } = order;
  const { altname: pair } = market.instrument as KrakenInstrument;
  const descr = { pair, type, ordertype };
  return [txid, {
    ...{ refid: null, userref: null, cl_ord_id, status, opentm, starttm: 0, expiretm: 0 },
    descr: { ...descr, price: order.price || "0", price2: "0", order: describe(order) },
    ...{ vol: order.volume, vol_exec: order.executed.toFixed(8), cost: cost.toFixed(5) },
    ...{ fee: "0.00000", price: order.executed > 0 ? String(cost / order.executed) : "0" },
    ...{ misc: "", oflags: order.oflags || "fciq", reason: null, closetm },
  }];
}

function tellFill({ id: name, trade_id, order, volume, price, time }: DeskFill): [string, unknown] {
  const { id: pair } = order.market.instrument as KrakenInstrument;
  return [name, {
    ...{ ordertxid: order.txid, pair, time, type: order.type, ordertype: order.ordertype },
    ...{ price: String(price), cost: (volume * price).toFixed(5), fee: "0.00000" },
    ...{ vol: volume.toFixed(8), margin: "0", misc: "", trade_id },
  }];
}
