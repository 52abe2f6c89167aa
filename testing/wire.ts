/**
 * HTTP/1.1 and WebSocket frames as bytes, as a server reads and writes them. Internal to
 * `testing.ts`: real servers are too polite to be cut and to lie.
 *
 * @module
 */

/** Bytes that were received and not used yet. */
export class HalfRead {
  /** The bytes. */
  bytes: Uint8Array<ArrayBuffer> = new Uint8Array();

  /** Adds bytes. */
  add(chunk: Uint8Array): void {
    const bytes = new Uint8Array(this.bytes.length + chunk.length);
    bytes.set(this.bytes);
    bytes.set(chunk, this.bytes.length);
    this.bytes = bytes;
  }

  /** Takes bytes away from the front. */
  drop(count: number): void {
    this.bytes = this.bytes.slice(count);
  }
}

/** A request off the wire. */
export interface WireRequest {
  /** The method, in upper case. */
  readonly method: string;
  /** Path and query. */
  readonly target: string;
  /** The headers. */
  readonly headers: Headers;
  /** The body, as text. */
  readonly body: string;
}

const latin1 = new TextDecoder("latin1");
const utf8 = new TextDecoder();

/** Takes the first whole request off the bytes, if there is one. */
export function parseRequest(left: HalfRead): WireRequest | undefined {
  const text = latin1.decode(left.bytes);
  const end = text.indexOf("\r\n\r\n");
  if (end < 0) return undefined;
  const [line, ...rest] = text.slice(0, end).split("\r\n");
  const [method, target] = line.split(" ");
  const headers = new Headers();
  for (const header of rest) {
    const colon = header.indexOf(":");
    headers.append(header.slice(0, colon), header.slice(colon + 1).trim());
  }
  const start = end + 4;
  const isChunked = /chunked/i.test(headers.get("transfer-encoding") ?? "");
  const length = Number(headers.get("content-length") ?? 0);
  const found = isChunked
    ? parseChunks(left.bytes, text, start)
    : { body: left.bytes.slice(start, start + length), end: start + length };
  if (!found || left.bytes.length < found.end) return undefined;
  left.drop(found.end);
  return { method, target, headers, body: utf8.decode(found.body) };
}

function parseChunks(
  bytes: Uint8Array<ArrayBuffer>,
  text: string,
  at: number,
): { body: Uint8Array<ArrayBuffer>; end: number } | undefined {
  const body = new HalfRead();
  while (true) {
    const line = text.indexOf("\r\n", at);
    if (line < 0) return undefined;
    const size = parseInt(text.slice(at, line), 16);
    const next = line + 2 + size + 2;
    if (bytes.length < next) return undefined;
    if (size === 0) return { body: body.bytes, end: next };
    body.add(bytes.slice(line + 2, line + 2 + size));
    at = next;
  }
}

/** The head of an answer. */
export function head(status: number, headers: Record<string, string>): string {
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  return `HTTP/1.1 ${status} Venue\r\n${lines.join("")}\r\n`;
}

/** The answer that accepts an upgrade. */
export async function upgrade(headers: Headers): Promise<string> {
  const key = headers.get("sec-websocket-key");
  const words = new TextEncoder().encode(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`);
  const hash = new Uint8Array(await crypto.subtle.digest("SHA-1", words));
  const protocol = headers.get("sec-websocket-protocol")?.split(",")[0];
  return "HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: Upgrade\r\n" +
    (protocol ? `sec-websocket-protocol: ${protocol}\r\n` : "") +
    `sec-websocket-accept: ${btoa(String.fromCharCode(...hash))}\r\n\r\n`;
}

/** One frame, as a server sends it. */
export function wireFrame(opcode: number, payload: Uint8Array): Uint8Array {
  const { length } = payload;
  const size = length < 126
    ? [length]
    : length < 65_536
    ? [126, length >> 8, length & 255]
    : [127, 0, 0, 0, 0, ...[24, 16, 8, 0].map((shift) => length >> shift & 255)];
  const bytes = new Uint8Array(1 + size.length + length);
  bytes.set([0x80 | opcode, ...size]);
  bytes.set(payload, 1 + size.length);
  return bytes;
}

/** Takes whole frames off the bytes. Clients mask theirs, and send each in one piece. */
export function readFrames(
  left: HalfRead,
  hear: (opcode: number, payload: Uint8Array<ArrayBuffer>) => void,
): void {
  while (left.bytes.length >= 6) {
    const { bytes } = left;
    const view = new DataView(bytes.buffer, bytes.byteOffset);
    const short = bytes[1] & 127;
    if (bytes.length < (short === 127 ? 14 : short === 126 ? 8 : 6)) return;
    const at = short === 127 ? 10 : short === 126 ? 4 : 2;
    const length = short === 127
      ? Number(view.getBigUint64(2))
      : short === 126
      ? view.getUint16(2)
      : short;
    const end = at + 4 + length;
    if (bytes.length < end) return;
    const mask = bytes.subarray(at, at + 4);
    const payload = bytes.slice(at + 4, end).map((byte, i) => byte ^ mask[i & 3]);
    left.drop(end);
    hear(bytes[0] & 15, payload);
  }
}
