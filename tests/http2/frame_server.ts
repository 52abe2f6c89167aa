/**
 * An HTTP/2 server of raw frames, which breaks the protocol on request. Runs on Deno and Node.
 *
 * @module
 */

import type { Socket } from "node:net";
import { createServer, type Server, type TLSSocket } from "node:tls";
import type { Certificate } from "../runtimes/certificate.ts";

const PREFACE = 24;
const HEAD = 9;

/** Types of frames. */
export const FRAME = {
  DATA: 0,
  HEADERS: 1,
  RST_STREAM: 3,
  SETTINGS: 4,
  PING: 6,
  GOAWAY: 7,
  WINDOW_UPDATE: 8,
} as const;

/** Codes of errors. */
export const CODE = {
  NO_ERROR: 0,
  PROTOCOL_ERROR: 1,
  INTERNAL_ERROR: 2,
  REFUSED_STREAM: 7,
  CANCEL: 8,
  ENHANCE_YOUR_CALM: 11,
  HTTP_1_1_REQUIRED: 13,
} as const;

const END_STREAM = 1;
const ACK = 1;
const END_HEADERS = 4;

/** One request as it has arrived. */
export interface Stream {
  /** Its number on the connection. */
  id: number;
  /** Which connection of the server, from 1. */
  connection: number;
  /** Bytes of its body. */
  size: number;
  socket: Socket;
}

/** Treats a request that has arrived. */
export type Act = (stream: Stream) => void;

/** Makes one frame. */
export function frame(
  type: number,
  flags: number,
  id: number,
  payload: ArrayLike<number> = [],
): Uint8Array {
  const bytes = new Uint8Array(HEAD + payload.length);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, payload.length << 8 | type);
  bytes[4] = flags;
  view.setUint32(5, id);
  bytes.set(payload, HEAD);
  return bytes;
}

function uint32(...values: number[]): Uint8Array {
  const bytes = new Uint8Array(4 * values.length);
  values.forEach((value, i) => new DataView(bytes.buffer).setUint32(4 * i, value));
  return bytes;
}

/** The header block of an answer, without Huffman codes. */
function block(status: number, headers: Record<string, string>): Uint8Array {
  const bytes: number[] = [];
  const text = (value: string) => bytes.push(value.length, ...new TextEncoder().encode(value));
  const all = { ":status": `${status}`, ...headers };
  for (const [name, value] of Object.entries(all)) {
    bytes.push(0); // a literal that is not indexed, with a new name
    text(name);
    text(value);
  }
  return Uint8Array.from(bytes);
}

const JSON_TYPE = { "content-type": "application/json" };

/** Sends the head of an answer. */
export function head(
  { id, socket }: Stream,
  { status = 200, headers = JSON_TYPE as Record<string, string>, end = false } = {},
): void {
  const flags = END_HEADERS | (end ? END_STREAM : 0);
  socket.write(frame(FRAME.HEADERS, flags, id, block(status, headers)));
}

/** Sends a part of a body. */
export function data({ id, socket }: Stream, text: string, end = false): void {
  socket.write(frame(FRAME.DATA, end ? END_STREAM : 0, id, new TextEncoder().encode(text)));
}

/** Answers whole. */
export function answer(body = '{"order_id":1}', status = 200): Act {
  return (stream) => {
    head(stream, { status, headers: { ...JSON_TYPE, "content-length": `${body.length}` } });
    data(stream, body, true);
  };
}

/** Ends the stream. */
export function resetStream({ id, socket }: Stream, code: number): void {
  socket.write(frame(FRAME.RST_STREAM, 0, id, uint32(code)));
}

/** Says that the connection ends, and which stream was the last that counts. */
export function goAway({ socket }: Stream, last: number, code: number): void {
  socket.write(frame(FRAME.GOAWAY, 0, 0, uint32(last, code)));
}

/** A server that does to each request as it was told to. */
export class FrameServer {
  /** Every request that arrived whole, in order. */
  readonly requests: Stream[] = [];
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  #acts: Act[] = [answer()];
  #connections = 0;

  private constructor(certificate: Certificate) {
    this.#server = createServer(
      { ...certificate, ALPNProtocols: ["h2"] },
      (socket) => this.#accept(socket),
    );
  }

  /** Listens on a free port of loopback. */
  static async listen(certificate: Certificate): Promise<FrameServer> {
    const server = new FrameServer(certificate);
    await new Promise<void>((resolve) => server.#server.listen(0, "127.0.0.1", resolve));
    return server;
  }

  /** With a slash at the end. */
  get url(): string {
    return `https://localhost:${(this.#server.address() as { port: number }).port}/`;
  }

  /** Sets the acts for the requests from now on. The last act is repeated. */
  will(...acts: Act[]): void {
    this.#acts = acts;
  }

  /** Ends every connection and stops listening. */
  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }

  #accept(socket: TLSSocket): void {
    const connection = ++this.#connections;
    const streams = new Map<number, Stream>();
    let buffer = new Uint8Array(0);
    let isOpen = false;
    this.#sockets.add(socket);
    socket.on("close", () => this.#sockets.delete(socket));
    socket.on("error", () => {}); // the client may be as rude as this server
    socket.write(frame(FRAME.SETTINGS, 0, 0));
    socket.on("data", (chunk: Uint8Array) => {
      buffer = Uint8Array.from([...buffer, ...chunk]);
      if (!isOpen && buffer.length < PREFACE) return;
      if (!isOpen) buffer = buffer.slice(PREFACE);
      isOpen = true;
      while (buffer.length >= HEAD) {
        const view = new DataView(buffer.buffer);
        const length = view.getUint32(0) >>> 8;
        if (buffer.length < HEAD + length) return;
        const [type, flags, id] = [buffer[3], buffer[4], view.getUint32(5) & 0x7fff_ffff];
        const payload = buffer.slice(HEAD, HEAD + length);
        buffer = buffer.slice(HEAD + length);
        if (type === FRAME.SETTINGS && !(flags & ACK)) socket.write(frame(type, ACK, 0));
        if (type === FRAME.PING && !(flags & ACK)) socket.write(frame(type, ACK, 0, payload));
        if (type === FRAME.HEADERS) streams.set(id, { id, connection, size: 0, socket });
        const stream = streams.get(id);
        if (stream && type === FRAME.DATA && length > 0) {
          stream.size += length;
          socket.write(frame(FRAME.WINDOW_UPDATE, 0, 0, uint32(length)));
        }
        if (stream && type <= FRAME.HEADERS && flags & END_STREAM) this.#end(stream);
      }
    });
  }

  #end(stream: Stream): void {
    this.requests.push(stream);
    const act = this.#acts.length > 1 ? this.#acts.shift()! : this.#acts[0];
    act(stream);
  }
}
