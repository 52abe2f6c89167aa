/**
 * The way of Bybit's sockets (API v5): subscriptions by topic with acknowledgements, a login, and a
 * ping in JSON.
 *
 * Source: bybit-exchange.github.io/docs/v5/ws/connect.
 *
 * @module
 */

import {
  type FeedConnection,
  FeedError,
  WebSocketFeeder,
  type WebSocketFeederOptions,
} from "@aio-trader/core";
import { Recent } from "../recent.ts";
import type { BybitBroker } from "./broker.ts";

/** Refusals that another request may not meet. */
const PASSING = /too many|frequen|busy|timeout|internal|server|limit/i;

/** Options of a socket with a login. */
export interface BybitSocketOptions extends WebSocketFeederOptions {
  /**
   * The venue's address.
   *
   * @default {"wss://stream.bybit.com/v5/private"} "/v5/trade" of a `BybitTradeSocket`
   */
  url?: string;
  /** Signs the login, and is asked for what was missed and for orders of unknown fate. */
  broker: BybitBroker;
}

/** One socket. Unless told otherwise, 30 seconds of silence mean a new connection. */
export abstract class BybitStream<T> extends WebSocketFeeder<T> {
  /** Topics of one request: the venue takes no more at spot. */
  protected override readonly batch = 10;
  readonly #url: string;
  readonly #login: BybitBroker | undefined;
  /** What was asked of late, by the number of the request. An answer tells no more than that. */
  readonly #asked = new Recent<string, string[]>(10_000);

  /**
   * Makes a stream.
   *
   * @param url The address.
   * @param options How to stay connected.
   * @param login Signs the login. A public stream has none.
   */
  constructor(url: string, options: WebSocketFeederOptions, login?: BybitBroker) {
    super({ pingInterval: 20_000, staleAfter: 30_000, confirmTimeout: 5_000, ...options });
    this.#url = url;
    this.#login = login;
  }

  /** Reads a frame that is neither about the login nor about subscriptions. */
  protected abstract read(frame: BybitFrame, connection: FeedConnection): void;

  protected override endpoint(): string {
    return this.#url;
  }

  protected override async handshake(connection: FeedConnection): Promise<void> {
    if (!this.#login) return;
    const args = await this.#login.socketLogin();
    await connection.ask("auth", JSON.stringify({ op: "auth", args }));
  }

  protected override request(op: "subscribe" | "unsubscribe", args: string[]): string {
    const req_id = crypto.randomUUID();
    if (op === "subscribe") this.#asked.set(req_id, args);
    return JSON.stringify({ op, args, req_id });
  }

  protected override ping(): string {
    return '{"op":"ping"}';
  }

  protected override receive(data: string | ArrayBuffer, connection: FeedConnection): void {
    const frame: BybitFrame = JSON.parse(String(data));
    if (frame.op === "auth") this.#admit(frame, connection);
    else if (frame.op === "subscribe") this.#judge(frame, connection);
    else this.read(frame, connection);
  }

  /** A refused login ends the feed. One that came too late does not: the clock is read again. */
  #admit({ success, retCode, ret_msg, retMsg }: BybitFrame, connection: FeedConnection): void {
    if (success || retCode === 0) return void connection.answer("auth");
    const why = ret_msg ?? retMsg ?? "";
    const fatal = !/expire|timestamp/i.test(why);
    const fail = () => connection.fail("auth", new FeedError(`Cannot log in: ${why}`, { fatal }));
    if (fatal) fail();
    else this.#login!.clock.sync().then(fail, fail);
  }

  /** One wrong topic makes the venue refuse all of a request: then each is asked for by itself. */
  #judge({ req_id = "", success, ret_msg = "" }: BybitFrame, connection: FeedConnection): void {
    const topics = this.#asked.get(req_id) ?? [];
    if (success) return this.confirm(...topics);
    const isPassing = PASSING.test(ret_msg);
    for (const topic of topics) {
      if (isPassing) this.refuse(topic, ret_msg, { retryAfter: 1_000 });
      else if (topics.length === 1) this.refuse(topic, ret_msg);
      else connection.send(this.request("subscribe", [topic]));
    }
  }
}

/** A frame of the venue's: of a topic, or an answer. */
export interface BybitFrame {
  /** Which topic. */
  readonly topic?: string;
  /** Whether a book begins anew. */
  readonly type?: "snapshot" | "delta";
  /** When, by the venue's clock, in epoch milliseconds. */
  readonly ts?: number;
  /** What there is to tell. */
  // deno-lint-ignore no-explicit-any
  readonly data?: any;
  /** What was asked. */
  readonly op?: string;
  /** The number of the request, of streams. */
  readonly req_id?: string;
  /** Whether it was granted, of streams. */
  readonly success?: boolean;
  /** Why not, of streams. */
  readonly ret_msg?: string;
  /** The number of the request, of the trade socket. */
  readonly reqId?: string;
  /** `0` if it was granted, of the trade socket. */
  readonly retCode?: number;
  /** Why not, of the trade socket. */
  readonly retMsg?: string;
  /** Limits, of the trade socket. */
  readonly header?: Record<string, string>;
}
