/**
 * An HTTP server that fails on purpose. It speaks HTTP/1.1 on a bare socket, so it can do what a
 * polite server cannot: reset, close in the middle of a header, cut a body short. It runs on Deno,
 * Node and Bun, on loopback only.
 *
 * ```ts ignore
 * const server = await FaultServer.listen(reset(), answer({ body: "{}" }));
 * await fetch(server.url + "orders").catch(() => {}); // the first request is reset
 * assert.equal(server.requests.length, 1);
 * await server.close();
 * ```
 *
 * @module
 */

import { createServer, type Server, type Socket } from "node:net";
import { HalfRead, head, parseRequest } from "../../testing/wire.ts";

/** A request that has arrived whole. */
export interface FaultRequest {
  method: string;
  /** Path and query. */
  path: string;
  /** By lower-case name. */
  headers: Record<string, string>;
  body: string;
  /** Which connection brought it, from 1. */
  connection: number;
  /** Its place on that connection, from 1: above 1 the client has reused the connection. */
  turn: number;
}

/** What the server does with a request. */
export type Reply = (socket: Socket, request: FaultRequest) => void;

/** A complete answer of the server. */
export interface Answer {
  /** @default {200} */
  status?: number;
  headers?: Record<string, string>;
  /** @default {""} */
  body?: string | Uint8Array;
}

/** Answers properly and keeps the connection open, unless the headers say `connection: close`. */
export function answer({ status = 200, headers = {}, body = "" }: Answer = {}): Reply {
  return (socket) => {
    const bytes = typeof body === "string" ? new TextEncoder().encode(body) : body;
    socket.write(head(status, { "content-length": String(bytes.length), ...headers }));
    socket.write(bytes);
    if (headers.connection === "close") socket.end();
  };
}

/** Does `reply` after a delay in milliseconds. */
export function late(delay: number, reply: Reply): Reply {
  return (socket, request) => {
    const timer = setTimeout(() => reply(socket, request), delay);
    socket.once("close", () => clearTimeout(timer));
  };
}

/** Never answers. */
export function hang(): Reply {
  return () => {};
}

/** Closes in good order without an answer. */
export function finish(): Reply {
  return (socket) => void socket.end();
}

/** Resets the connection without an answer. */
export function reset(): Reply {
  return (socket) => void socket.resetAndDestroy();
}

/**
 * Sends `text` as it is, then closes. A text that is no HTTP is garbage; one that stops early is
 * half an answer.
 */
export function raw(text: string): Reply {
  return (socket) => void socket.end(text);
}

/** Closes in the middle of the headers. */
export function halfHead(): Reply {
  return raw("HTTP/1.1 200 OK\r\ncontent-type: application/js");
}

/** How {@linkcode cutBody} ends what it began. */
export interface Cut {
  /** What is sent of the body. @default {'{"half":'} */
  sent?: string;
  /** Chunked transfer instead of a content-length that promises more. @default {false} */
  chunked?: boolean;
  /** Sends a reset instead of a proper close. @default {false} */
  reset?: boolean;
  /** Leaves the connection open instead: the body stalls. @default {false} */
  stall?: boolean;
  headers?: Record<string, string>;
}

/** Sends the head and a part of the body, then closes, resets or stalls. */
export function cutBody({ sent = '{"half":', chunked, reset, stall, headers }: Cut = {}): Reply {
  return (socket) => {
    const length = new TextEncoder().encode(sent).length;
    const framing: Record<string, string> = chunked
      ? { "transfer-encoding": "chunked" }
      : { "content-length": String(length + 100) };
    socket.write(head(200, { "content-type": "application/json", ...framing, ...headers }));
    socket.write(chunked ? `${length.toString(16)}\r\n${sent}\r\n` : sent);
    if (stall) return;
    // The part that was sent must arrive first: a reset overtakes what is still in the buffers.
    const timer = setTimeout(() => reset ? socket.resetAndDestroy() : socket.end(), 50);
    socket.once("close", () => clearTimeout(timer));
  };
}

/** A server that answers each request as it was told to. */
export class FaultServer {
  /** Every request that arrived whole, in order. */
  readonly requests: FaultRequest[] = [];
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  #replies: Reply[];
  #connections = 0;

  private constructor(replies: Reply[]) {
    this.#replies = replies;
    this.#server = createServer((socket) => this.#accept(socket));
  }

  /**
   * Listens on a free port of loopback. The last of the replies is repeated; without any, all is
   * answered with 200.
   */
  static async listen(...replies: Reply[]): Promise<FaultServer> {
    const server = new FaultServer(replies);
    await new Promise<void>((resolve) => server.#server.listen(0, "127.0.0.1", resolve));
    return server;
  }

  get port(): number {
    return (this.#server.address() as { port: number }).port;
  }

  /** With a slash at the end. */
  get url(): string {
    return `http://127.0.0.1:${this.port}/`;
  }

  /** Connections accepted so far. */
  get connections(): number {
    return this.#connections;
  }

  /** Sets what happens to the requests from now on. */
  will(...replies: Reply[]): void {
    this.#replies = replies;
  }

  /** Ends every connection and stops listening. */
  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }

  #accept(socket: Socket): void {
    const connection = ++this.#connections;
    let turn = 0;
    const left = new HalfRead();
    this.#sockets.add(socket);
    socket.setNoDelay(true);
    socket.on("close", () => this.#sockets.delete(socket));
    socket.on("error", () => {}); // the client may be as rude as this server
    socket.on("data", (chunk: Uint8Array) => {
      left.add(chunk);
      for (let found = parseRequest(left); found; found = parseRequest(left)) {
        const { method, target: path, body } = found;
        const headers = Object.fromEntries(found.headers);
        const request = { method, path, headers, body, connection, turn: ++turn };
        this.requests.push(request);
        const reply = this.#replies.length > 1 ? this.#replies.shift() : this.#replies[0];
        (reply ?? answer())(socket, request);
      }
    });
  }
}

/** A port of loopback on which nothing listens: a connection is refused. */
export async function closedPort(): Promise<number> {
  const server = await FaultServer.listen();
  const { port } = server;
  await server.close();
  return port;
}
