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
import type { BybitBroker } from "./broker.ts";

/** Refusals that another request may not meet. */
const PASSING = /too many|frequen|busy|timeout|internal|server|limit/i;

/** A stream of topics. */
export abstract class BybitStream<T> extends WebSocketFeeder<T> {
  /** Topics of one request: the venue takes no more at spot. */
  protected override readonly batch = 10;
  readonly #url: string;
  /** What was asked on this connection and not answered yet. An answer tells only its number. */
  readonly #asked = new Map<string, string[]>();
  #lastId = 0;

  /**
   * Makes a stream.
   *
   * @param url The address.
   * @param options How to stay connected. Unless told otherwise, 30 seconds of silence mean a new
   *   connection, and a topic that is not confirmed within 5 seconds is asked for again.
   */
  constructor(url: string, options: WebSocketFeederOptions) {
    const usual = { pingInterval: 20_000, staleAfter: 30_000, confirmTimeout: 5_000 };
    super({ ...usual, ...options });
    this.#url = url;
    this.on("state", ({ state }) => state !== "live" && this.#asked.clear());
  }

  /** Reads a frame of a topic. */
  protected abstract read(frame: TopicFrame, connection: FeedConnection): void;

  protected override endpoint(): string {
    return this.#url;
  }

  protected override request(op: "subscribe" | "unsubscribe", args: string[]): string {
    const req_id = String(++this.#lastId);
    if (op === "subscribe") this.#asked.set(req_id, args);
    return JSON.stringify({ op, args, req_id });
  }

  protected override ping(): string {
    return '{"op":"ping"}';
  }

  protected override receive(data: string | ArrayBuffer, connection: FeedConnection): void {
    const frame: TopicFrame & Answer = JSON.parse(String(data));
    if (frame.topic !== undefined) this.read(frame, connection);
    else if (frame.op === "auth") answerLogin(frame, connection);
    else if (frame.op === "subscribe") this.#judge(frame, connection);
  }

  /** One wrong topic makes the venue refuse all of a request: then each is asked for by itself. */
  #judge({ req_id = "", success, ret_msg = "" }: Answer, connection: FeedConnection): void {
    const topics = this.#asked.get(req_id) ?? [];
    this.#asked.delete(req_id);
    if (success) return this.confirm(...topics);
    const isPassing = PASSING.test(ret_msg);
    if (topics.length === 1 || isPassing) {
      for (const topic of topics) {
        this.refuse(topic, ret_msg, isPassing ? { retryAfter: 1_000 } : {});
      }
    } else for (const topic of topics) connection.send(this.request("subscribe", [topic]));
  }
}

/**
 * Logs in over a socket.
 *
 * @param connection The connection.
 * @param broker Signs.
 */
export async function logIn(connection: FeedConnection, broker: BybitBroker): Promise<void> {
  const args = await broker.socketLogin();
  await connection.ask("auth", JSON.stringify({ op: "auth", args }));
}

/**
 * Takes the answer to a login. A refused one ends the feed.
 *
 * @param answer The answer.
 * @param connection The connection.
 */
export function answerLogin(answer: Answer, connection: FeedConnection): void {
  const { success, retCode, ret_msg, retMsg } = answer;
  if (success || retCode === 0) return void connection.answer("auth");
  const fatal = !/expire|timestamp/i.test(ret_msg ?? retMsg ?? "");
  connection.fail("auth", new FeedError(`Cannot log in: ${ret_msg ?? retMsg}`, { fatal }));
}

/** A frame of a topic. */
export interface TopicFrame {
  /** Which topic. */
  readonly topic?: string;
  /** Whether the book begins anew. */
  readonly type?: "snapshot" | "delta";
  /** When, by the venue's clock, in epoch milliseconds. */
  readonly ts?: number;
  /** What there is to tell. */
  // deno-lint-ignore no-explicit-any
  readonly data?: any;
}

/** An answer: `success` and `ret_msg` of streams, `retCode` and `retMsg` of the trade socket. */
export interface Answer {
  /** What was asked. */
  readonly op?: string;
  /** The number of the request, of streams. */
  readonly req_id?: string;
  /** Whether it was granted. */
  readonly success?: boolean;
  /** Why not. */
  readonly ret_msg?: string;
  /** `0` if it was granted. */
  readonly retCode?: number;
  /** Why not. */
  readonly retMsg?: string;
}
