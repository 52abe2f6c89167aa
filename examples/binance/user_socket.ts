/**
 * The WebSocket API of the simulated Binance: the user data stream of one socket.
 *
 * @module
 */

import type { FeedClient } from "@aio-trader/core/testing";
import type { DeskEvent, DeskList } from "./desk.ts";
import { textOf } from "./decimals.ts";
import { type Fields, Refusal } from "./desk_order.ts";
import { missing, type PrivateApi } from "./private_api.ts";

/** What the socket needs of the venue. */
export interface UserSocketOptions {
  /** Checks signatures. */
  readonly api: PrivateApi;
  /** The venue's time, in epoch milliseconds. */
  readonly now: () => number;
  /** Is told, and holds the stream. */
  readonly client: FeedClient;
  /** Charges the address with weight. */
  readonly charge: (weight: number) => void;
}

/** The stream, as a client holds it. */
export const USER_DATA = "userDataStream";

/** What a client asked for on the WebSocket API. */
export class UserSocket {
  readonly #options: UserSocketOptions;
  /** The number of the latest subscription. */
  #subscriptionId = -1;

  /**
   * Begins with no subscription.
   *
   * @param options The checks, the clock and the socket.
   */
  constructor(options: UserSocketOptions) {
    this.#options = options;
  }

  /**
   * Answers a request.
   *
   * @param frame The request.
   */
  receive(frame: string): void {
    let id: unknown = null;
    try {
      const { method, params, ...request } = JSON.parse(frame);
      id = request.id;
      this.#options.charge(method === "ping" || method === "time" ? 1 : 2);
      const result = this.#answer(method, Object(params));
      this.#options.client.send({ id, status: 200, result, rateLimits: [] });
    } catch (error) {
      const { code, message: msg } = error instanceof Refusal
        ? error
        : new Refusal(-1000, "Malformed request.");
      const status = code === -2014 || code === -2015 ? 401 : 400;
      this.#options.client.send({ id, status, error: { code, msg }, rateLimits: [] });
    }
  }

  /**
   * Sends an event to a client that has subscribed.
   *
   * @param event The event.
   */
  publish(event: unknown): void {
    if (!this.#held.has(USER_DATA)) return;
    this.#options.client.send({ subscriptionId: this.#subscriptionId, event });
  }

  /** Ends the subscription, as the venue does when it must. The socket stays open. */
  terminate(): void {
    this.publish({ e: "eventStreamTerminated", E: this.#options.now() });
    this.#held.delete(USER_DATA);
  }

  /** Tells that the venue is about to shut down. */
  announceShutdown(): void {
    this.#options.client.send({ event: { e: "serverShutdown", E: this.#options.now() } });
  }

  get #held(): Set<string> {
    return this.#options.client.held;
  }

  #answer(method: string, params: Fields): unknown {
    if (method === "ping") return {};
    if (method === "time") return { serverTime: this.#options.now() };
    if (method === "userDataStream.unsubscribe") {
      if (!this.#held.has(USER_DATA)) {
        throw new Refusal(-2036, "User Data Stream subscription not active.");
      }
      this.terminate();
      return {};
    }
    if (method !== "userDataStream.subscribe.signature") {
      throw new Refusal(-1020, "This operation is not supported.");
    }
    this.#check(params);
    if (this.#held.has(USER_DATA)) {
      throw new Refusal(-2035, "User Data Stream subscription already active.");
    }
    this.#held.add(USER_DATA);
    return { subscriptionId: ++this.#subscriptionId };
  }

  /** The venue signs the parameters in the order of the alphabet. */
  #check(params: Fields): void {
    const { signature, ...rest } = params;
    if (!rest.apiKey) throw missing("apiKey");
    const names = Object.keys(rest).sort();
    const payload = names.map((name) => `${name}=${rest[name]}`).join("&");
    const fields = { ...rest, signature: signature ?? "" };
    this.#options.api.check(rest.apiKey, payload, fields);
  }
}

/** Writes an order event as the venue does. */
export function executionReport(
  { type, order, trade, cancelId, oldName }: DeskEvent,
  now: number,
): Record<string, unknown> {
  const { symbol, clientOrderId, side, timeInForce, orderListId, status, orderId } = order;
  const zero = textOf(0n);
  return {
    ...{ e: "executionReport", E: now, s: symbol, S: side, o: order.type, f: timeInForce },
    ...{
      c: cancelId ?? clientOrderId,
      C: oldName ?? (cancelId ? clientOrderId : ""),
      g: orderListId,
    },
    ...{ q: textOf(order.quantity), p: textOf(order.price), P: textOf(order.stopPrice) },
    ...{ x: type, X: status, r: "NONE", i: orderId, F: zero, Q: zero, V: "NONE" },
    ...{ l: trade?.qty ?? zero, L: trade?.price ?? zero, Y: trade?.quoteQty ?? zero },
    ...{ n: trade?.commission ?? "0", N: trade?.commissionAsset ?? null, t: trade?.id ?? -1 },
    ...{ z: textOf(order.executed), Z: textOf(order.paid), m: trade?.isMaker ?? false },
    ...{ T: order.updateTime, O: order.time, I: orderId, w: order.isOpen && order.isWorking },
    ...{ W: order.isWorking ? order.time : undefined, M: false },
  };
}

/** Writes an event of a list as the venue does. */
export function listStatus(list: DeskList, now: number): Record<string, unknown> {
  const isDone = !list.orders.some(({ isOpen }) => isOpen);
  return {
    ...{ e: "listStatus", E: now, T: now, s: list.orders[0].symbol, g: list.orderListId },
    ...{ c: "OCO", C: list.listClientOrderId, r: "NONE" },
    ...{ l: isDone ? "ALL_DONE" : "EXEC_STARTED", L: isDone ? "ALL_DONE" : "EXECUTING" },
    O: list.orders.map(({ symbol, orderId, clientOrderId }) => ({
      ...{ s: symbol, i: orderId, c: clientOrderId },
    })),
  };
}
