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

import { BrokerError, type FeedConnection, reconcile } from "@aio-trader/core";
import type { BybitAmendment, BybitOrderName, BybitOrderRequest, BybitPlaced } from "./account.ts";
import type { BybitBroker, BybitChange, Result } from "./broker.ts";
import { BAD_TIMESTAMP, venueError } from "./errors.ts";
import { type BybitFrame, type BybitSocketOptions, BybitStream } from "./stream.ts";

/** Sends orders. It delivers nothing: a `BybitOrders` follows them. */
export class BybitTradeSocket extends BybitStream<never> {
  readonly #broker: BybitBroker;

  /**
   * Makes a socket.
   *
   * @param options The broker, the address, and how to stay connected.
   */
  constructor(options: BybitSocketOptions) {
    const { url = "wss://stream.bybit.com/v5/trade", broker, ...rest } = options;
    super(url, rest, broker);
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

  protected override read(frame: BybitFrame, connection: FeedConnection): void {
    const error = venueError(frame, new Headers(frame.header), this.#broker.clock.now());
    if (!error) return void connection.answer(frame.reqId, { result: frame.data });
    if (error.kind === "rate-limited") this.#broker.orders.pause(error.retryAfter ?? 1_000);
    connection.fail(frame.reqId, error);
  }

  async #change(change: BybitChange, wanted: BybitAmendment): Promise<BybitPlaced> {
    const { clock, orders } = this.#broker;
    const options = { urgent: change === "cancel" };
    const send = () => orders.run(() => this.#send(change, wanted), options);
    const sendAgain = async (error: unknown) => {
      // A refused timestamp has executed nothing.
      if (!(error instanceof BrokerError) || error.code !== BAD_TIMESTAMP) throw error;
      await clock.sync().catch(() => Promise.reject(error));
      return await send();
    };
    const fate = this.#broker.fate(change, wanted);
    return (await reconcile(() => send().catch(sendAgain), fate)).result;
  }

  async #send(change: BybitChange, wanted: BybitAmendment): Promise<Result<BybitPlaced>> {
    const { category, clock, recvWindow } = this.#broker;
    const reqId = crypto.randomUUID();
    const header = {
      "X-BAPI-TIMESTAMP": String(await clock.fresh(recvWindow / 2)),
      "X-BAPI-RECV-WINDOW": String(recvWindow),
    };
    const args = [{ category, ...wanted }];
    return await this.ask(reqId, JSON.stringify({ reqId, header, op: `order.${change}`, args }));
  }
}
