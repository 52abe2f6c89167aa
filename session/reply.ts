/**
 * What a session receives: read within a limit, and decoded. Internal to {@linkcode Session}.
 *
 * @module
 */

import { parseJson } from "./json.ts";
import { nameOf, ReplyError } from "./reply_error.ts";

/**
 * How a body is decoded: `json`, `text`, `bytes` or `stream` whatever its type says, or a function of
 * the text.
 */
export type Parse<T> = "json" | "text" | "bytes" | "stream" | ((text: string) => T);

/**
 * Reads and decodes the body of a success; see {@linkcode RequestOptions.parse} for the rules.
 *
 * @throws {ReplyError} If it is too large, or not what was due.
 */
export async function decode<T>(
  response: Response,
  limit: number,
  parse?: Exclude<Parse<T>, "stream">,
): Promise<T> {
  const type = response.headers.get("content-type") ?? "";
  const how = parse ?? decoding(type);
  if (how === "bytes") return await readBytes(response, limit) as T;
  const text = await readText(response, limit);
  if (text.length > limit) throw tooLarge(limit); // the headers lied
  if (how === "text") return text as T;
  if (!parse && /^text\/plain\b/.test(type) && /^\s*[^\s[{]/.test(text)) return text as T;
  try {
    return how === "json" ? parseJson(text) as T : await how(text);
  } catch (error) {
    if (how !== "json") throw new ReplyError(`parse() threw ${nameOf(error)}`, "decode", {}, text);
    const problem = text === "" ? "the answer is empty, JSON was due" : "the answer is not JSON";
    throw new ReplyError(problem, "decode", { worthwhile: true }, text);
  }
}

/** What a content-type says. Venues mislabel JSON as plain text, and send HTML only when something is broken. */
function decoding(type: string): "json" | "text" | "bytes" {
  if (type === "" || /\bjson\b|^text\/(?:plain|html)\b/i.test(type)) return "json";
  return /^text\/|\bxml\b/i.test(type) ? "text" : "bytes";
}

/**
 * Reads a body, of which at most `limit` bytes are ever held. The caller aborts what is left of a longer one.
 *
 * @throws {ReplyError} If there are more.
 */
export async function readBytes(
  response: Response,
  limit: number,
): Promise<Uint8Array<ArrayBuffer>> {
  if (fits(response, limit)) return new Uint8Array(await response.arrayBuffer());
  const chunks: Uint8Array<ArrayBuffer>[] = [];
  let size = 0;
  const reader = response.body?.getReader();
  while (reader) {
    const { done, value } = await reader.read();
    if (done) break;
    size += value.length;
    if (size > limit) throw tooLarge(limit);
    chunks.push(value as Uint8Array<ArrayBuffer>); // of what else, Deno 2.4 cannot say
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
 * Reads a body as text; see {@linkcode readBytes}.
 *
 * @throws {ReplyError} If there is more.
 */
export function readText(response: Response, limit: number): Promise<string> {
  // On Deno the short way takes half the time of the long one.
  if (fits(response, limit)) return response.text();
  return readBytes(response, limit).then((bytes) => new TextDecoder().decode(bytes));
}

/** Whether the headers promise a body within the limit. What is compressed may be a bomb. */
function fits(response: Response, limit: number): boolean {
  const { headers, body } = response;
  if (!body) return true;
  const length = headers.get("content-length");
  // Chunks are what counts where there are both.
  if (length === null || headers.has("content-encoding") || headers.has("transfer-encoding")) {
    return false;
  }
  if (Number(length) <= limit) return true;
  throw tooLarge(limit);
}

function tooLarge(limit: number): ReplyError {
  return new ReplyError(`the answer is longer than ${limit} bytes`, "too-large");
}

/** Reads what a venue says with a status other than 2xx: as much as can be had in time, as the status says enough. */
export async function readRefusal(response: Response, limit: number): Promise<string> {
  if (response.status < 400) return "";
  try {
    return await readText(response, limit);
  } catch {
    return "";
  }
}
