/**
 * A WebSocket server that fails on purpose. It speaks the protocol on a bare socket, so it can do what a polite
 * server cannot: reset, vanish without a close frame, ignore one, stream on after it. It runs on Deno, Node and Bun,
 * on loopback only.
 *
 * ```ts ignore
 * const venue = await FaultVenue.listen({ frame: (peer, text) => peer.send(`echo ${text}`) });
 * venue.upgrade = status(503); // from the next connection on
 * await venue.until(() => venue.peers.length === 2);
 * await venue.close();
 * ```
 *
 * @module
 */

import { createHash } from "node:crypto";
import { createServer, type Server, type Socket } from "node:net";
import {
  HalfRead,
  head,
  parseRequest,
  readFrames,
  wireFrame,
  type WireRequest,
} from "../../testing/wire.ts";

/** What the venue does with a request to upgrade: calls `peer.accept()`, or does not. */
export type Upgrade = (peer: Peer) => void;

/** What a venue does. */
export interface VenueOptions {
  /** @default accepts */
  upgrade?: Upgrade;
  /** Called for each text frame that comes in. */
  frame?: (peer: Peer, text: string) => void;
  /** Called once for each connection that is accepted. */
  open?: (peer: Peer) => void;
  /** Does not answer close frames. @default {false} */
  deaf?: boolean;
}

/** Refuses the upgrade with an HTTP status. */
export function status(code: number): Upgrade {
  return (peer) => peer.socket.end(head(code, { "content-length": "0" }));
}

/** Never answers the upgrade. */
export function hang(): Upgrade {
  return () => {};
}

/** One connection at the venue. */
export class Peer {
  /** Text frames received, in order. */
  readonly frames: string[] = [];
  /** When each of them came, by `performance.now()`. */
  readonly times: number[] = [];
  /** Whether the upgrade was accepted. */
  accepted = false;
  /** Whether the TCP connection is there. */
  alive = true;
  /** The code of the client's close frame. */
  closeCode: number | undefined;

  constructor(
    readonly venue: FaultVenue,
    readonly socket: Socket,
    readonly request: WireRequest,
  ) {}

  /** The path and query that were dialled. */
  get path(): string {
    return this.request.target;
  }

  header(name: string): string | undefined {
    return this.request.headers.get(name) ?? undefined;
  }

  accept(): void {
    const key = this.header("sec-websocket-key");
    const hash = createHash("sha1").update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`);
    const protocol = this.header("sec-websocket-protocol")?.split(",")[0];
    this.socket.write(
      "HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: Upgrade\r\n" +
        (protocol ? `sec-websocket-protocol: ${protocol}\r\n` : "") +
        `sec-websocket-accept: ${hash.digest("base64")}\r\n\r\n`,
    );
    this.accepted = true;
    this.venue.options.open?.(this);
  }

  send(data: string | Uint8Array): void {
    if (this.alive) this.socket.write(encode(data));
  }

  /** Sends a close frame, an empty one without a code. */
  close(code?: number, reason = ""): void {
    const bytes = new TextEncoder().encode(reason);
    const payload = code === undefined ? [] : [code >> 8, code & 255, ...bytes];
    this.socket.write(wireFrame(8, Uint8Array.from(payload)));
  }

  /** RST. */
  reset(): void {
    this.socket.resetAndDestroy();
  }

  /** FIN, without a close frame. */
  finish(): void {
    this.socket.end();
  }

  /** Takes what a whole frame of the client says. */
  hear(opcode: number, payload: Uint8Array): void {
    if (opcode === 1) {
      const text = new TextDecoder().decode(payload);
      this.frames.push(text);
      this.times.push(performance.now());
      this.venue.options.frame?.(this, text);
    } else if (opcode === 8) {
      this.closeCode = payload.length < 2 ? 1005 : (payload[0] << 8) | payload[1];
      if (this.venue.options.deaf) return;
      this.close(this.closeCode === 1005 ? undefined : this.closeCode);
      this.socket.end();
    }
  }
}

/** A venue whose connections do as they are told. */
export class FaultVenue {
  /** Every connection that sent a request, in order, the refused ones too. */
  readonly peers: Peer[] = [];
  readonly options: VenueOptions;
  /** Most TCP connections there have been at the same time. */
  mostAlive = 0;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();

  private constructor(options: VenueOptions) {
    this.options = options;
    this.#server = createServer((socket) => this.#accept(socket));
  }

  /** Listens on a free port of loopback, or on this one. */
  static async listen(options: VenueOptions = {}, port = 0): Promise<FaultVenue> {
    const venue = new FaultVenue({ ...options });
    await new Promise<void>((resolve) => venue.#server.listen(port, "127.0.0.1", resolve));
    return venue;
  }

  get port(): number {
    return (this.#server.address() as { port: number }).port;
  }

  get url(): string {
    return `ws://127.0.0.1:${this.port}/`;
  }

  /** TCP connections there are now. */
  get alive(): number {
    return this.#sockets.size;
  }

  /** The latest connection. */
  get last(): Peer {
    return this.peers[this.peers.length - 1];
  }

  /** Resolves once `condition` holds, asked every few milliseconds. */
  async until(condition: () => unknown, timeout = 5_000): Promise<void> {
    const deadline = performance.now() + timeout;
    while (!condition()) {
      if (performance.now() > deadline) {
        throw new Error(`Not so within ${timeout} ms: ${condition}`);
      }
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  }

  /** Resets every connection and stops listening. */
  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }

  #accept(socket: Socket): void {
    const left = new HalfRead();
    let peer: Peer | undefined;
    this.#sockets.add(socket);
    this.mostAlive = Math.max(this.mostAlive, this.#sockets.size);
    socket.setNoDelay(true);
    socket.on("error", () => {}); // the client may be as rude as this server
    socket.on("close", () => {
      if (peer) peer.alive = false;
      this.#sockets.delete(socket);
    });
    socket.on("data", (chunk: Uint8Array) => {
      left.add(chunk);
      if (peer) {
        readFrames(left, (opcode, payload) => peer!.hear(opcode, payload));
        return;
      }
      const request = parseRequest(left);
      if (!request) return;
      peer = new Peer(this, socket, request);
      this.peers.push(peer);
      (this.options.upgrade ?? ((peer) => peer.accept()))(peer);
    });
  }
}

/** One text or binary frame, as a server sends it. */
export function encode(data: string | Uint8Array): Uint8Array {
  return typeof data === "string"
    ? wireFrame(1, new TextEncoder().encode(data))
    : wireFrame(2, data);
}
