/**
 * Reads an answer within a limit, checks that the answer is whole, and decodes it. Internal to
 * {@linkcode Session}.
 *
 * | an answer that ends early | is seen |
 * |---|---|
 * | shorter than its content-length | everywhere; over HTTP/2 on Deno only here |
 * | cut in the middle of a chunk, or reset | by every runtime |
 * | gzip or br, cut before compression ends | by Deno and Bun; on Node by no one, see below |
 * | deflate, cut before compression ends | by Bun; Deno undoes no deflate; on Node by no one |
 * | said to be compressed, and empty | here |
 * | without a length, until the connection ends | by none: HTTP has no sign of the end then |
 *
 * On Node a session asks for no compression. A compressed answer that comes nevertheless is an
 * error, unless JSON shows that the answer is whole. A call with an `accept-encoding` header of its
 * own accepts the risk.
 *
 * @module
 */

import { RUNTIME } from "../platform/runtime.ts";
import { parseJson } from "./json.ts";
import { nameOf, ReplyError } from "./reply_error.ts";

/**
 * How a body is decoded: `json`, `text`, `bytes` or `stream` whatever its type says, or a function
 * of the text.
 *
 * @example A function of the text
 * ```ts
 * import { type Parse, Session } from "@aio-trader/core/session";
 * import { assertEquals } from "@std/assert";
 *
 * const parse: Parse<string[]> = (text) => text.split(",");
 * await using session = new Session({
 *   baseUrl: "https://api.venue.example",
 *   fetch: () => Promise.resolve(new Response("INFY,TCS")),
 * });
 * assertEquals(await session.get("symbols", { parse }), ["INFY", "TCS"]);
 * ```
 */
export type Parse<T> = "json" | "text" | "bytes" | "stream" | ((text: string) => T);

/** Longest answer of another type that is tried as JSON, in bytes: errors are short. */
const MAX_ENVELOPE = 65_536;

/**
 * Reads and decodes the body of a success; see {@linkcode RequestOptions.parse} for the rules. An
 * empty answer of 201 or 202 is `undefined`, unless text or bytes are asked for.
 *
 * @param response The answer.
 * @param limit Longest body, in bytes.
 * @param parse How to decode it.
 * @param look Is shown the JSON of an answer whose type or `parse` says something else. An error
 * that it throws ends the decoding.
 * @throws {ReplyError} If the body is too large, ended early, or cannot be decoded.
 */
export async function decode<T>(
  response: Response,
  limit: number,
  parse?: Exclude<Parse<T>, "stream">,
  look?: (data: unknown) => void,
): Promise<T> {
  const { headers, status } = response;
  const type = headers.get("content-type") ?? "";
  const how = parse ?? decoding(type);
  const mayBeEmpty = (status === 201 || status === 202) && parse !== "text" && parse !== "bytes";
  // On Deno this way takes half the time. JSON tells by itself whether it is whole.
  if (how === "json" && isUtf8Json(type) && fits(response, limit)) {
    const text = await response.text();
    checkText(response, text, limit);
    return text === "" && mayBeEmpty ? undefined as T : parsedJson(text) as T;
  }
  const bytes = await readBytes(response, limit);
  if (bytes.length === 0 && mayBeEmpty) return undefined as T;
  if (how === "bytes") {
    if (look && beginsAsJson(bytes)) showJson(textOf(bytes, type), look);
    return bytes as T;
  }
  const text = textOf(bytes, type);
  if (how !== "json" && look && beginsAsJson(bytes)) showJson(text, look);
  return await parsed(text, how, parse, type);
}

/**
 * Whether a decoded answer shows that nothing is missing at its end: JSON does.
 *
 * @param data The decoded answer.
 * @param parse How it was decoded.
 */
export function showsEnd(data: unknown, parse?: Parse<unknown>): boolean {
  const isText = typeof data === "string" || data instanceof Uint8Array;
  return data === undefined || parse === "json" || parse === undefined && !isText;
}

/** Makes a value of the text of an answer. */
async function parsed<T>(
  text: string,
  how: "json" | "text" | ((text: string) => T),
  parse: Parse<T> | undefined,
  type: string,
): Promise<T> {
  if (how === "text") return text as T;
  if (!parse && /^text\/plain\b/.test(type) && /^\s*[^\s[{]/.test(text)) return text as T;
  if (how === "json") return parsedJson(text) as T;
  try {
    return await how(text);
  } catch (error) {
    throw new ReplyError(`parse() threw ${nameOf(error)}`, "decode", {}, text);
  }
}

function parsedJson(text: string): unknown {
  try {
    return parseJson(text);
  } catch {
    const problem = text === "" ? "the answer is empty, JSON was due" : "the answer is not JSON";
    throw new ReplyError(problem, "decode", { worthwhile: true }, text);
  }
}

/** The type of most answers, which needs no RegExp. */
const JSON_TYPE = "application/json";

/** Chooses by content-type. Venues mislabel JSON as plain text, and send HTML only as an error. */
function decoding(type: string): "json" | "text" | "bytes" {
  if (type === JSON_TYPE || type === "" || /\bjson\b|^text\/(?:plain|html)\b/i.test(type)) {
    return "json";
  }
  return /^text\/|\bxml\b/i.test(type) ? "text" : "bytes";
}

/**
 * Whether a body is as short as an error and begins with `{` or `[`, perhaps after white space or a
 * BOM.
 */
function beginsAsJson(bytes: Uint8Array): boolean {
  if (bytes.length > MAX_ENVELOPE) return false;
  const first = bytes.subarray(0, 64).find((byte) => byte > 0x20 && byte < 0x80);
  return first === 0x7b || first === 0x5b;
}

function showJson(text: string, look: (data: unknown) => void): void {
  let data: unknown;
  try {
    data = parseJson(text);
  } catch {
    return; // the text only begins like JSON
  }
  look(data);
}

/**
 * Reads a body. At most `limit` bytes are ever held; the caller aborts the rest of a longer body.
 *
 * @throws {ReplyError} If the body is longer, or ended early.
 */
export async function readBytes(
  response: Response,
  limit: number,
): Promise<Uint8Array<ArrayBuffer>> {
  const bytes = fits(response, limit)
    ? new Uint8Array(await response.arrayBuffer())
    : await readChunks(response, limit);
  if (bytes.length > limit) throw tooLarge(limit); // the headers lied
  checkWhole(response, bytes.length);
  return bytes;
}

/** Checks a text whose length the headers promise to be within the limit. */
function checkText(response: Response, text: string, limit: number): void {
  if (text.length > limit) throw tooLarge(limit); // the headers lied
  const isAscii = text.length === Number(response.headers.get("content-length"));
  // A byte order mark has gone, and it had three bytes.
  if (!isAscii) checkWhole(response, text === "" ? 0 : new TextEncoder().encode(text).length + 3);
}

async function readChunks(response: Response, limit: number): Promise<Uint8Array<ArrayBuffer>> {
  const chunks: Uint8Array<ArrayBuffer>[] = [];
  let size = 0;
  const reader = response.body?.getReader();
  while (reader) {
    const { done, value } = await reader.read();
    if (done) break;
    size += value.length;
    if (size > limit) throw tooLarge(limit);
    chunks.push(value as Uint8Array<ArrayBuffer>); // Deno 2.4 types the buffer loosely
  }
  if (chunks.length === 1) return chunks[0];
  const bytes = new Uint8Array(size);
  let at = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, at);
    at += chunk.length;
  }
  return bytes;
}

/**
 * Checks that a body that has ended is whole, as far as its headers tell.
 *
 * @param response The answer.
 * @param size How many bytes have come, uncompressed.
 * @throws {ReplyError} If more were due.
 */
export function checkWhole({ headers }: Response, size: number): void {
  const length = headers.get("content-length");
  const encoding = headers.get("content-encoding") ?? "identity";
  if (RUNTIME.name === "deno" && !/^\s*(?:identity|gzip|br)\s*$/i.test(encoding)) {
    const problem = "the answer is compressed in a way that Deno does not undo, wanted gzip or br";
    throw new ReplyError(problem, "network");
  }
  if (!/^\s*identity\s*$/i.test(encoding)) {
    // Even an empty text has bytes once it is compressed.
    if (size === 0 && !(Number(length) > 0)) throw cutOff("no byte of a compressed body");
    return;
  }
  // A browser may hide the encoding and show the compressed length, so nothing is compared there.
  if (length === null || RUNTIME.name === "unknown" || headers.has("transfer-encoding")) return;
  if (size < Number(length)) throw cutOff(`${size} of ${Number(length)} bytes`);
}

function cutOff(problem: string): ReplyError {
  return new ReplyError(`the answer ended early: ${problem} came`, "network", { worthwhile: true });
}

/**
 * Reads a body as text, in the charset that its type declares; see {@linkcode readBytes}.
 *
 * @throws {ReplyError} If the body is longer than `limit`, or ended early.
 */
export async function readText(response: Response, limit: number): Promise<string> {
  const bytes = await readBytes(response, limit);
  return textOf(bytes, response.headers.get("content-type") ?? "");
}

const utf8 = new TextDecoder();

/** Whether an answer of this type, when decoded as JSON, can only be JSON in UTF-8. */
function isUtf8Json(type: string): boolean {
  return type === JSON_TYPE || !/^text\/plain\b/.test(type) && charsetOf(type) === "utf-8";
}

/** The charset that a type declares. */
function charsetOf(type: string): string {
  const [, charset = "utf-8"] = /;\s*charset\s*=\s*["']?([^\s"';]+)/i.exec(type) ?? [];
  return /^utf-?8$/i.test(charset) ? "utf-8" : charset;
}

/**
 * A body as text. A byte order mark counts more than the type; a charset that is not known is
 * UTF-8.
 */
function textOf(bytes: Uint8Array<ArrayBuffer>, type: string): string {
  const charset = bytes[0] === 0xff && bytes[1] === 0xfe
    ? "utf-16le"
    : bytes[0] === 0xfe && bytes[1] === 0xff
    ? "utf-16be"
    : bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf
    ? "utf-8"
    : charsetOf(type);
  if (charset === "utf-8") return utf8.decode(bytes);
  try {
    return new TextDecoder(charset).decode(bytes);
  } catch {
    return utf8.decode(bytes);
  }
}

/** Whether the headers promise a body within the limit. A compressed body may be a bomb. */
function fits(response: Response, limit: number): boolean {
  const { headers, body } = response;
  if (!body) return true;
  const length = headers.get("content-length");
  // With both a length and chunks, the chunks count.
  if (length === null || headers.has("content-encoding") || headers.has("transfer-encoding")) {
    return false;
  }
  if (Number(length) <= limit) return true;
  throw tooLarge(limit);
}

/** The error of an answer that is longer than its limit, in bytes. */
export function tooLarge(limit: number): ReplyError {
  return new ReplyError(`the answer is longer than ${limit} bytes`, "too-large");
}

/** Reads the text of a refusal. A text that cannot be read is empty: the status says enough. */
export async function readRefusal(response: Response, limit: number): Promise<string> {
  if (response.status < 400) return "";
  try {
    return await readText(response, limit);
  } catch {
    return "";
  }
}
