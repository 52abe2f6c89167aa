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
  return (peer) => peer.socket.end(`HTTP/1.1 ${code} Refused\r\ncontent-length: 0\r\n\r\n`);
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
  /** The request line and headers, as they came. */
  head = "";

  constructor(readonly venue: FaultVenue, readonly socket: Socket) {}

  /** The path and query that were dialled. */
  get path(): string {
    return this.head.split(" ")[1];
  }

  header(name: string): string | undefined {
    return new RegExp(`^${name}: (.*)$`, "im").exec(this.head)?.[1].trim();
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
    this.socket.write(Uint8Array.from([0x88, payload.length, ...payload]));
  }

  /** RST. */
  reset(): void {
    this.socket.resetAndDestroy();
  }

  /** FIN, without a close frame. */
  finish(): void {
    this.socket.end();
  }

  /** Reads frames off the bytes received; the client masks each. Returns what is left. */
  read(bytes: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
    for (;;) {
      if (bytes.length < 6) return bytes;
      let length = bytes[1] & 127;
      let at = 2;
      const view = new DataView(bytes.buffer, bytes.byteOffset);
      if (length === 126) {
        length = view.getUint16(2);
        at = 4;
      } else if (length === 127) {
        if (bytes.length < 14) return bytes;
        length = Number(view.getBigUint64(2));
        at = 10;
      }
      const end = at + 4 + length;
      if (bytes.length < end) return bytes;
      const mask = bytes.subarray(at, at + 4);
      const payload = bytes.slice(at + 4, end).map((byte, i) => byte ^ mask[i & 3]);
      this.#heard(bytes[0] & 15, payload);
      bytes = bytes.subarray(end);
    }
  }

  #heard(opcode: number, payload: Uint8Array): void {
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
    const peer = new Peer(this, socket);
    this.#sockets.add(socket);
    this.mostAlive = Math.max(this.mostAlive, this.#sockets.size);
    socket.setNoDelay(true);
    socket.on("error", () => {}); // the client may be as rude as this server
    socket.on("close", () => {
      peer.alive = false;
      this.#sockets.delete(socket);
    });
    let left = new Uint8Array();
    socket.on("data", (chunk: Uint8Array) => {
      left = concat(left, chunk);
      if (peer.head) {
        left = peer.read(left);
        return;
      }
      const text = new TextDecoder("latin1").decode(left);
      const end = text.indexOf("\r\n\r\n");
      if (end < 0) return;
      peer.head = text.slice(0, end);
      left = left.slice(end + 4);
      this.peers.push(peer);
      (this.options.upgrade ?? ((peer) => peer.accept()))(peer);
    });
  }
}

/** One text or binary frame, as a server sends it. */
export function encode(data: string | Uint8Array): Uint8Array {
  const payload = typeof data === "string" ? new TextEncoder().encode(data) : data;
  const opcode = typeof data === "string" ? 0x81 : 0x82;
  const { length } = payload;
  const head = length < 126
    ? [opcode, length]
    : length < 65_536
    ? [opcode, 126, length >> 8, length & 255]
    : [opcode, 127, 0, 0, 0, 0, ...[24, 16, 8, 0].map((shift) => (length >> shift) & 255)];
  return concat(Uint8Array.from(head), payload);
}

function concat(a: Uint8Array, b: Uint8Array): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(a.length + b.length);
  bytes.set(a);
  bytes.set(b, a.length);
  return bytes;
}
