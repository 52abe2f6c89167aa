/**
 * What a session receives: reading within a limit, exact JSON, Retry-After, and an excerpt without secrets.
 * Internal to {@linkcode Session}.
 *
 * @module
 */

import type { BrokerErrorInit, BrokerErrorKind } from "./broker_error.ts";

/** What an error knows beyond its kind. */
export interface Details extends Partial<BrokerErrorInit> {
  /** Whether a repeat may help, where it is allowed. */
  worthwhile?: boolean;
  /** A sentence of its own. */
  message?: string;
}

/** An answer that is not what was asked for. */
export class ReplyError extends Error {
  /** `"ReplyError"`. */
  override readonly name: string = "ReplyError";
  /** What is wrong with it. */
  readonly kind: BrokerErrorKind;
  /** What follows from that. */
  readonly details: Details;
  /** What it says, as far as that is known. */
  readonly text: string;

  /** Creates an error whose message completes the sentence "Cannot POST https://…: …". */
  constructor(message: string, kind: BrokerErrorKind, details: Details = {}, text = "") {
    super(message);
    this.kind = kind;
    this.details = details;
    this.text = text;
  }
}

/** How a body is decoded: `json`, `text` or `bytes` whatever its type says, or a function of the text. */
export type Parse<T> = "json" | "text" | "bytes" | ((text: string) => T);

/**
 * Reads and decodes the body of a success; see {@linkcode RequestOptions.parse} for the rules.
 *
 * @throws {ReplyError} If it is too large, or not what was due.
 */
export async function decode<T>(response: Response, limit: number, parse?: Parse<T>): Promise<T> {
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

/** The name of an error, which is all of it that is safe to show. */
export function nameOf(error: unknown): string {
  const { name } = Object(error);
  return typeof name === "string" && /^\w{1,64}$/.test(name)
    ? name
    : "something else than an Error";
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

/**
 * Parses JSON. Integers beyond 2^53 become bigints, exact to the last digit.
 *
 * @throws {SyntaxError} If it is not JSON.
 */
export function parseJson(text: string): unknown {
  // The reviver costs as much as parsing does, and most answers hold no number of that size.
  return /\d{16}/.test(text) ? JSON.parse(text, exact) : JSON.parse(text);
}

function exact(_key: string, value: unknown, context?: { source?: string }): unknown {
  if (typeof value !== "number" || Number.isSafeInteger(value)) return value;
  const source = context!.source!; // where a runtime has no source, no answer is better than a wrong one
  return /^-?\d+$/.test(source) ? BigInt(source) : value;
}

const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const DATES = [
  /^\w{3}, (?<day>\d\d) (?<month>\w{3}) (?<year>\d{4}) (?<time>\d\d:\d\d:\d\d) GMT$/, // IMF-fixdate
  /^\w{6,9}, (?<day>\d\d)-(?<month>\w{3})-(?<year>\d\d) (?<time>\d\d:\d\d:\d\d) GMT$/, // RFC 850
  /^\w{3} (?<month>\w{3}) (?<day>[ \d]\d) (?<time>\d\d:\d\d:\d\d) (?<year>\d{4})$/, // asctime
];

/** More seconds than anybody is banned for, a year: an instant in place of a duration, perhaps. */
const MAX_SECONDS = 366 * 86_400;

/**
 * Reads a Retry-After header: seconds, or a date in one of the three formats of HTTP.
 *
 * @returns Milliseconds from now, 0 for a date that is past, undefined for anything else.
 */
export function retryAfter(value: string | null): number | undefined {
  if (value === null) return undefined;
  if (/^\d+$/.test(value)) return Number(value) < MAX_SECONDS ? Number(value) * 1_000 : undefined;
  const groups = DATES.map((format) => format.exec(value)?.groups).find(Boolean);
  if (!groups) return undefined;
  const now = Date.now();
  let year = Number(groups.year);
  if (groups.year.length === 2) { // a year that seems more than 50 ahead is one of the past
    year += 100 * Math.floor(new Date(now).getUTCFullYear() / 100);
    if (year > new Date(now).getUTCFullYear() + 50) year -= 100;
  }
  const [hour, minute, second] = groups.time.split(":").map(Number);
  const date = Date.UTC(
    year,
    MONTHS.indexOf(groups.month),
    Number(groups.day),
    hour,
    minute,
    second,
  );
  return MONTHS.includes(groups.month) ? Math.max(0, date - now) : undefined;
}

/** What a status means. That of a success is one if the venue says so in its answer. */
export function refusal(status: number, text: string): ReplyError {
  const why = `the venue answered ${status}`;
  const outcome = "rejected";
  // What a browser shows of a redirect that it was told not to follow.
  if (status === 0) return new ReplyError("it is redirected", "redirect");
  if (status < 200) return new ReplyError(why, "network");
  if (status < 300) return new ReplyError("the venue refused it", "rejected", { outcome });
  if (status < 400) return new ReplyError(`it is redirected (${status})`, "redirect");
  if (status >= 500) return new ReplyError(why, "network", { worthwhile: status !== 501 }, text);
  if (status === 408) return new ReplyError(why, "timeout", { worthwhile: true }, text);
  if (isRateLimit(status)) {
    return new ReplyError(why, "rate-limited", { outcome, worthwhile: true }, text);
  }
  return new ReplyError(why, status === 401 ? "unauthorized" : "rejected", { outcome }, text);
}

/** Whether a status says by itself what became of the request, whatever the venue's words are. */
export function isDecisive(status = 0): boolean {
  return status === 401 || status === 408 || isRateLimit(status) || status >= 500;
}

/** 418 is what Binance answers to those who went on after a 429. */
export function isRateLimit(status: number): boolean {
  return status === 429 || status === 418;
}

/** The value of a JSON text; another text, such as a gateway's page, as it is. */
export function tryJson(text: string): unknown {
  try {
    return parseJson(text);
  } catch {
    return text;
  }
}

/** Under which names venues send the id of a request. */
const REQUEST_IDS = [
  "x-request-id",
  "request-id",
  "x-amzn-requestid",
  "x-correlation-id",
  "cf-ray",
];

/** Under which names venues send the code of an error. */
const CODES = ["code", "error_code", "errorCode", "error_type"];

/** Collects what an error may show of an answer, given what was sent. */
export function describe(
  { status, headers }: Response,
  cause: unknown,
  secrets: readonly string[],
): Details {
  const text = cause instanceof ReplyError ? cause.text : "";
  const data = Object(tryJson(text));
  const code = CODES.map((name) => data[name]).find((code) =>
    /^(?:string|number)$/.test(typeof code)
  );
  return {
    status,
    code: typeof code === "string" ? excerpt(code, keysOf(secrets)) : code,
    requestId: excerpt(
      REQUEST_IDS.map((name) => headers.get(name)).find(Boolean),
      keysOf(secrets),
    ),
    retryAfter: retryAfter(headers.get("retry-after")),
    body: excerpt(text, secrets),
  };
}

/** How much of an answer an error shows, in characters. */
const MAX_EXCERPT = 512;

/** How much of an answer is searched for what must not be shown. */
const MAX_SEARCHED = 65_536;

/** The beginning of a text of the venue's, which may well hold the very key that it refuses. */
export function excerpt(
  text: string | null | undefined,
  secrets: readonly string[],
): string | undefined {
  return text ? redact(text.slice(0, MAX_SEARCHED), secrets).slice(0, MAX_EXCERPT) : undefined;
}

/** No key is shorter, in characters. */
const MIN_KEY = 8;

/** Those of the values sent that may be keys: a code that holds a symbol or a side stays as it is. */
export function keysOf(secrets: readonly string[]): string[] {
  return secrets.filter((secret) => secret.length >= MIN_KEY);
}

/** Takes out of a text what was sent. */
export function redact(text: string, secrets: readonly string[]): string {
  return secrets.reduce((text, secret) => text.replaceAll(secret, "[redacted]"), text);
}
