/**
 * A venue on real sockets of 127.0.0.1.
 *
 * @module
 */

import { createServer, type Server, type Socket } from "node:net";
import { HalfRead, head, parseRequest, readFrames, upgrade, wireFrame } from "./wire.ts";
import type { FeedClient, VenueFrame, Wire } from "./feed_script.ts";
import type { Ending } from "./faults.ts";
import { type Incoming, reply, type Turn, type VenueReply, VenueScript } from "./script.ts";

/** How long a part of an answer has before the connection ends, in milliseconds: it must arrive. */
const GRACE = 50;

/** Ends without an answer. */
const ABRUPT: Partial<Record<Ending, (socket: Socket) => void>> = {
  hang() {},
  reset: (socket) => socket.resetAndDestroy(),
  finish: (socket) => socket.end(),
  garbage: (socket) => socket.end("?@!# this is no HTTP\r\n\r\n"),
  "half-head": (socket) => socket.end("HTTP/1.1 200 OK\r\ncontent-type: application/js"),
};

/** The answer that nobody asked for. */
const UNASKED = reply(400, { error: "unasked" });

/**
 * A venue for tests on real sockets: HTTP/1.1 and WebSocket on one port of 127.0.0.1, raw enough to
 * reset, cut, lie and vanish. It runs on Deno, Node and Bun.
 *
 * @example An order that is executed, and never answered
 * ```ts
 * import { LoopbackVenue } from "@aio-trader/core/testing";
 * import { BrokerError, Session } from "@aio-trader/core/session";
 * import { assert, assertEquals, assertRejects } from "@std/assert";
 *
 * await using venue = await LoopbackVenue.listen();
 * venue.on("POST /orders", (request) => ({ id: 1, ...request.json() }));
 * venue.fail("POST /orders", "reset-after-executing");
 *
 * await using session = new Session({ baseUrl: venue.httpUrl });
 * const order = () => session.post("orders", { json: { symbol: "INFY" } });
 * const error = await assertRejects(order, BrokerError);
 * assertEquals(error.outcome, "unknown");
 * assertEquals(venue.executed.length, 1);
 * ```
 */
export class LoopbackVenue extends VenueScript implements AsyncDisposable {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  readonly #timers = new Set<ReturnType<typeof setTimeout>>();
  #port = 0;
  #connections = 0;

  private constructor() {
    super();
    this.#server = createServer((socket) => this.#accept(socket));
  }

  /**
   * Starts a venue.
   *
   * @param port The port; `0` takes a free one.
   * @returns The venue, which listens.
   */
  static async listen(port = 0): Promise<LoopbackVenue> {
    const venue = new LoopbackVenue();
    await venue.#listen(port);
    return venue;
  }

  /** The port. */
  get port(): number {
    return this.#port;
  }

  /** The address of the venue's REST interface, with a slash at the end. */
  get httpUrl(): string {
    return `http://127.0.0.1:${this.#port}/`;
  }

  /** The address of the venue's feed, with a slash at the end. */
  get wsUrl(): string {
    return `ws://127.0.0.1:${this.#port}/`;
  }

  /** TCP connections accepted so far. */
  get connections(): number {
    return this.#connections;
  }

  /** Resets every connection, and listens no more: connections are refused. */
  async down(): Promise<void> {
    for (const socket of this.#sockets) socket.resetAndDestroy();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }

  /** Listens again after {@linkcode LoopbackVenue.down}, on the same port. */
  async up(): Promise<void> {
    await this.#listen(this.#port);
  }

  /** Ends every connection and stops listening. */
  async close(): Promise<void> {
    for (const timer of this.#timers) clearTimeout(timer);
    this.feed.stop();
    await this.down();
  }

  /** Ends every connection and stops listening. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #listen(port: number): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      this.#server.once("error", reject);
      this.#server.listen(port, "127.0.0.1", resolve);
    });
    this.#port = (this.#server.address() as { port: number }).port;
  }

  #wait(delay: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(() => {
        this.#timers.delete(timer);
        resolve();
      }, delay);
      this.#timers.add(timer);
    });
  }

  #accept(socket: Socket): void {
    const connection = ++this.#connections;
    let left: HalfRead | undefined = new HalfRead();
    this.#sockets.add(socket);
    socket.setNoDelay(true);
    socket.on("close", () => this.#sockets.delete(socket));
    socket.on("error", () => {}); // the client may be as rude as this venue
    let turns = Promise.resolve();
    socket.on("data", (chunk: Uint8Array) => {
      if (!left) return;
      left.add(chunk);
      for (let found = parseRequest(left); found; found = parseRequest(left)) {
        const incoming = { ...found, connection };
        if (/^websocket$/i.test(incoming.headers.get("upgrade") ?? "")) {
          void this.#upgrade(socket, incoming, left);
          left = undefined;
          return;
        }
        // Pipelined requests are answered in their order.
        const turn = this.play(incoming, (delay) => this.#wait(delay));
        turns = turns.then(async () => this.#answer(socket, await turn));
      }
    });
  }

  async #upgrade(
    socket: Socket,
    { target, headers }: Incoming,
    left: HalfRead,
  ): Promise<void> {
    const admission = this.feed.admit();
    if (admission.verdict === "hang") return;
    if (admission.verdict === "refuse") {
      const { status, headers } = admission;
      socket.end(head(status, { "content-length": "0", ...headers }));
      return;
    }
    const wire = new SocketWire(socket);
    wire.hold(await upgrade(headers));
    const client = this.feed.add(target, headers, wire);
    wire.release();
    socket.on("close", () => client.isOpen = false);
    const read = () =>
      readFrames(left, (opcode, payload) => this.#hear(client, wire, opcode, payload));
    socket.on("data", (chunk: Uint8Array) => {
      left.add(chunk);
      read();
    });
    read();
  }

  #hear(
    client: FeedClient,
    wire: SocketWire,
    opcode: number,
    payload: Uint8Array<ArrayBuffer>,
  ): void {
    if (opcode === 1) this.feed.hear(new TextDecoder().decode(payload), client);
    else if (opcode === 2) this.feed.hear(payload, client);
    else if (opcode === 9 && !client.isSilent) wire.put(wireFrame(10, payload));
    else if (opcode === 8) {
      client.closeCode = payload.length < 2 ? 1005 : payload[0] << 8 | payload[1];
      if (!this.feed.isDeaf && !client.isSilent) wire.echo(payload);
    }
  }

  #answer(socket: Socket, turn: Turn): void {
    const { ends, reply: answer, isUnasked } = turn;
    if (Object.hasOwn(ABRUPT, ends)) return void ABRUPT[ends]!(socket);
    const { status, headers, body } = answer;
    const bytes = typeof body === "string" ? new TextEncoder().encode(body) : body;
    if (ends === "half-gzip") return void this.#halfGzip(socket, answer, bytes);
    const isChunked = ends === "cut-chunks";
    const isEmpty = status === 204 || status === 304;
    const length: Record<string, string> = isChunked
      ? { "transfer-encoding": "chunked" }
      : { "content-length": String(bytes.length + (ends === "answer" ? 0 : 100)) };
    socket.write(head(status, { ...isEmpty ? {} : length, ...headers }));
    if (isChunked) socket.write(`${bytes.length.toString(16)}\r\n`);
    if (!isEmpty) socket.write(bytes);
    if (ends === "stall-body") return;
    if (ends === "answer") {
      if (headers.connection === "close") socket.end();
      const more: Turn = { ends, reply: UNASKED, isUnasked: false };
      if (isUnasked) void this.#wait(GRACE).then(() => this.#answer(socket, more));
      return;
    }
    // The part that was sent must arrive first: a reset overtakes what is still in the buffers.
    void this.#wait(GRACE).then(() =>
      ends === "reset-body" ? socket.resetAndDestroy() : socket.end()
    );
  }

  async #halfGzip(socket: Socket, answer: VenueReply, bytes: Uint8Array): Promise<void> {
    const { status, headers } = answer;
    const whole = new Blob([bytes as Uint8Array<ArrayBuffer>]);
    const packed = whole.stream().pipeThrough(new CompressionStream("gzip"));
    const all = new Uint8Array(await new Response(packed).arrayBuffer());
    const half = all.subarray(0, all.length >> 1);
    const length = { "content-length": String(half.length), "content-encoding": "gzip" };
    socket.write(head(status, { ...headers, ...length }));
    socket.write(half);
  }
}

/** One client's socket. */
class SocketWire implements Wire {
  readonly #socket: Socket;
  #held: Uint8Array[] | undefined;

  constructor(socket: Socket) {
    this.#socket = socket;
  }

  /** Holds what is written, after these bytes, so that all of it goes out in one segment. */
  hold(first: string): void {
    this.#held = [new TextEncoder().encode(first)];
  }

  release(): void {
    const bytes = new Uint8Array(this.#held!.reduce((sum, { length }) => sum + length, 0));
    let at = 0;
    for (const part of this.#held!) {
      bytes.set(part, at);
      at += part.length;
    }
    this.#held = undefined;
    this.#socket.write(bytes);
  }

  put(bytes: Uint8Array): void {
    if (this.#held) this.#held.push(bytes);
    else if (!this.#socket.destroyed && this.#socket.writable) this.#socket.write(bytes);
  }

  write(frame: VenueFrame): void {
    const isText = typeof frame === "string";
    this.put(wireFrame(isText ? 1 : 2, isText ? new TextEncoder().encode(frame) : frame));
  }

  close(code?: number, reason = ""): void {
    const text = new TextEncoder().encode(reason);
    this.put(
      wireFrame(8, code === undefined ? text : Uint8Array.from([code >> 8, code & 255, ...text])),
    );
  }

  /** Answers a close frame, and ends the connection. */
  echo(payload: Uint8Array): void {
    this.put(wireFrame(8, payload.subarray(0, 2)));
    this.#socket.end();
  }

  reset(): void {
    this.#socket.resetAndDestroy();
  }

  finish(): void {
    this.#socket.end();
  }
}
