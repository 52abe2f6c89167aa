/**
 * A venue on real sockets of 127.0.0.1.
 *
 * @module
 */

import { createServer, type Server, type Socket } from "node:net";
import { HalfRead, head, parseRequest, readFrames, upgrade, wireFrame } from "./wire.ts";
import type { FeedClient, VenueFrame, Wire } from "./feed_script.ts";
import type { Ending } from "./faults.ts";
import { reply, type VenueReply } from "./reply.ts";
import { type Incoming, type Turn, VenueScript } from "./script.ts";

/** How long a part of an answer has before the connection ends, in milliseconds: it must arrive. */
const GRACE = 50;

/** Ends without an answer. */
const ABRUPT: Partial<Record<Ending, (socket: Socket, answer: VenueReply) => void>> = {
  hang() {},
  reset: (socket) => socket.resetAndDestroy(),
  finish: (socket) => socket.end(),
  raw: (socket, { body }) => socket.end(body),
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
  /** Most TCP connections that were open at the same time. */
  mostAlive = 0;
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

  /** TCP connections that are open, those included that asked for nothing yet. */
  get alive(): number {
    return this.#sockets.size;
  }

  /**
   * Waits until something holds, which is looked at every few milliseconds. In virtual time,
   * {@linkcode VirtualTime.until} does it.
   *
   * @param condition What must hold.
   * @param timeout Longest wait, in milliseconds.
   * @throws {Error} If it does not hold in time.
   *
   * @example Waits until the venue has seen an order
   * ```ts
   * import { LoopbackVenue } from "@aio-trader/core/testing";
   *
   * await using venue = await LoopbackVenue.listen();
   * venue.on("POST /orders", { id: 1 });
   * const order = fetch(`${venue.httpUrl}orders`, { method: "POST" });
   * await venue.until(() => venue.executed.length === 1);
   * await (await order).body?.cancel();
   * ```
   */
  async until(condition: () => unknown, timeout = 5_000): Promise<void> {
    const end = performance.now() + timeout;
    while (!condition()) {
      if (performance.now() > end) {
        throw new Error(`Cannot wait any longer: not so within ${timeout} ms: ${condition}`);
      }
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  }

  /** Resets every connection, and listens no more: connections are refused. */
  async down(): Promise<void> {
    for (const socket of this.#sockets) socket.resetAndDestroy();
    await this.#stop();
  }

  /** Listens again after {@linkcode LoopbackVenue.down}, on the same port. */
  async up(): Promise<void> {
    await this.#listen(this.#port);
  }

  /** Ends every connection and stops listening. */
  async close(): Promise<void> {
    for (const timer of this.#timers) clearTimeout(timer);
    this.feed.stop();
    for (const socket of this.#sockets) socket.destroy();
    await this.#stop();
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

  async #stop(): Promise<void> {
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
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
    const left = new HalfRead();
    this.#sockets.add(socket);
    this.mostAlive = Math.max(this.mostAlive, this.alive);
    socket.setNoDelay(true);
    socket.on("close", () => this.#sockets.delete(socket));
    socket.on("error", () => {}); // the client may be as rude as this venue
    let turns = Promise.resolve();
    /** Takes requests off the bytes; nothing while an upgrade is decided; frames once it is accepted. */
    let read = () => {
      for (let found = parseRequest(left); found; found = parseRequest(left)) {
        const incoming = { ...found, connection };
        if (/^websocket$/i.test(incoming.headers.get("upgrade") ?? "")) {
          read = () => {};
          void this.#upgrade(socket, incoming, left).then((readFrames) => (read = readFrames)());
          return;
        }
        // Pipelined requests are answered in their order.
        const turn = this.play(incoming, (delay) => this.#wait(delay));
        turns = turns.then(async () => this.#answer(socket, await turn, incoming.method));
      }
    };
    socket.on("data", (chunk: Uint8Array) => {
      left.add(chunk);
      read();
    });
  }

  /** Answers an upgrade. Returns what takes frames off the bytes from now on. */
  async #upgrade(
    socket: Socket,
    { target: path, headers }: Incoming,
    left: HalfRead,
  ): Promise<() => void> {
    const ignore = () => {};
    const admission = await this.feed.admit({ path, headers });
    if (admission.verdict === "hang") return ignore;
    if (admission.verdict === "refuse") {
      const { status, headers, body = "" } = admission;
      const bytes = toBytes(body);
      socket.write(head(status, { "content-length": String(bytes.length), ...headers }));
      socket.end(bytes);
      return ignore;
    }
    const accepted = await upgrade(headers);
    if (socket.destroyed) return ignore; // the client has gone meanwhile
    const wire = new SocketWire(socket);
    wire.hold(accepted);
    const client = this.feed.add(path, headers, wire);
    wire.release();
    socket.on("close", () => client.isOpen = false);
    return () => readFrames(left, (opcode, payload) => this.#hear(client, wire, opcode, payload));
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

  #answer(socket: Socket, turn: Turn, method?: string): void {
    const { ends, reply: answer, isUnasked } = turn;
    if (Object.hasOwn(ABRUPT, ends)) return void ABRUPT[ends]!(socket, answer);
    const { status, headers, body } = answer;
    const bytes = toBytes(body);
    if (ends === "half-gzip") return void this.#halfGzip(socket, answer, bytes);
    const isChunked = ends === "cut-chunks";
    const isEmpty = status === 204 || status === 304;
    const length: Record<string, string> = isChunked
      ? { "transfer-encoding": "chunked" }
      : { "content-length": String(bytes.length + (ends === "answer" ? 0 : 100)) };
    socket.write(head(status, { ...isEmpty ? {} : length, ...headers }));
    if (isChunked) socket.write(`${bytes.length.toString(16)}\r\n`);
    if (!isEmpty && method !== "HEAD") socket.write(bytes);
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

function toBytes(body: string | Uint8Array): Uint8Array {
  return typeof body === "string" ? new TextEncoder().encode(body) : body;
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

  /** Writes what is held, if anything is. */
  release(): void {
    const all = new HalfRead();
    for (const part of this.#held ?? []) all.add(part);
    if (this.#held) this.#socket.write(all.bytes);
    this.#held = undefined;
  }

  put(bytes: Uint8Array): void {
    if (this.#held) this.#held.push(bytes);
    else if (!this.#socket.destroyed && this.#socket.writable) this.#socket.write(bytes);
  }

  write(frame: VenueFrame): void {
    this.put(wireFrame(typeof frame === "string" ? 1 : 2, toBytes(frame)));
  }

  async raw(bytes: Uint8Array): Promise<void> {
    if (this.#held) return this.put(bytes);
    await new Promise<void>((resolve) => this.#socket.write(bytes, () => resolve()));
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
    this.release(); // a handler of `onOpen` may end what has just begun
    this.#socket.end();
  }
}
