/**
 * Orders over Bybit's trade WebSocket.
 *
 * ```ts ignore
 * await using trade = new BybitTradeSocket({ broker });
 * await trade.connect();
 * await trade.place({ symbol: "BTCUSDT", side: "Buy", orderType: "Limit", qty: "1", price: "60000" });
 * ```
 *
 * Source: bybit-exchange.github.io/docs/v5/websocket/trade/guideline.
 *
 * @module
 */

import {
  type FeedConnection,
  reconcile,
  WebSocketFeeder,
  type WebSocketFeederOptions,
} from "@aio-trader/core";
import type { BybitAmendment, BybitOrderName, BybitOrderRequest, BybitPlaced } from "./account.ts";
import type { BybitBroker, BybitChange } from "./broker.ts";
import { venueError } from "./errors.ts";
import { type Answer, answerLogin, logIn } from "./stream.ts";

/** Options of {@linkcode BybitTradeSocket}. */
export interface BybitTradeSocketOptions extends WebSocketFeederOptions {
  /**
   * The venue's address.
   *
   * @default {"wss://stream.bybit.com/v5/trade"}
   */
  url?: string;
  /** Signs, keeps the limit of orders, and looks for orders of unknown fate. */
  broker: BybitBroker;
}

/** Sends orders. It delivers nothing: a `BybitOrders` follows them. */
export class BybitTradeSocket extends WebSocketFeeder<never> {
  readonly #url: string;
  readonly #broker: BybitBroker;

  /**
   * Makes a socket.
   *
   * @param options The broker, the address, and how to stay connected.
   */
  constructor(options: BybitTradeSocketOptions) {
    const { url = "wss://stream.bybit.com/v5/trade", broker, ...rest } = options;
    super({ pingInterval: 20_000, staleAfter: 30_000, ...rest });
    this.#url = url;
    this.#broker = broker;
  }

  /**
   * Places an order, at most once. If no answer comes, the broker looks for it.
   *
   * @param order The order. Without an `orderLinkId` it gets a fresh one.
   * @returns Both names of the order.
   * @throws {BrokerError} `outcome` tells the fate of the order, `code` is the venue's `retCode`.
   */
  place(order: BybitOrderRequest): Promise<BybitPlaced> {
    return this.#change("create", { orderLinkId: crypto.randomUUID(), ...order });
  }

  /**
   * Changes quantity or limit of an open order.
   *
   * @param change The order, and what is new.
   * @returns Both names of the order.
   * @throws {BrokerError} `outcome` tells whether the change may have been made.
   */
  amend(change: BybitAmendment): Promise<BybitPlaced> {
    return this.#change("amend", change);
  }

  /**
   * Cancels an order, before orders that wait for the limit.
   *
   * @param name The order.
   * @returns Both names of the order, and `orderStatus` if no answer came.
   * @throws {BrokerError} `outcome` tells whether the order may have been cancelled.
   */
  cancel(name: BybitOrderName): Promise<BybitPlaced> {
    return this.#change("cancel", name);
  }

  protected override endpoint(): string {
    return this.#url;
  }

  protected override handshake(connection: FeedConnection): Promise<void> {
    return logIn(connection, this.#broker);
  }

  /** There are no topics. */
  protected override request(): string[] {
    return [];
  }

  protected override ping(): string {
    return '{"op":"ping"}';
  }

  protected override receive(data: string | ArrayBuffer, connection: FeedConnection): void {
    const frame: OrderAnswer = JSON.parse(String(data));
    if (frame.op === "auth") return answerLogin(frame, connection);
    const error = venueError(frame, new Headers(frame.header), this.#broker.now());
    if (!error) return void connection.answer(frame.reqId, frame.data);
    if (error.kind === "rate-limited") this.#broker.orders.pause(error.retryAfter ?? 1_000);
    connection.fail(frame.reqId, error);
  }

  #change(change: BybitChange, wanted: BybitAmendment): Promise<BybitPlaced> {
    const { category, clock, orders, recvWindow } = this.#broker;
    const send = () => {
      const reqId = crypto.randomUUID();
      const times = { "X-BAPI-TIMESTAMP": clock.now(), "X-BAPI-RECV-WINDOW": recvWindow };
      const header = Object.fromEntries(Object.entries(times).map(([k, v]) => [k, String(v)]));
      const args = [{ category, ...wanted }];
      const frame = JSON.stringify({ reqId, header, op: `order.${change}`, args });
      return this.ask<BybitPlaced>(reqId, frame);
    };
    const inTurn = () => orders.run(send, { urgent: change === "cancel" });
    return reconcile(() => this.#broker.timely(inTurn), this.#broker.fate(change, wanted));
  }
}

/** The answer to an order. */
interface OrderAnswer extends Answer {
  readonly reqId?: string;
  readonly data?: BybitPlaced;
  readonly header?: Record<string, string>;
}
