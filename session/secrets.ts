/**
 * Keeps the values of a request out of every text that an error shows. Internal to
 * {@linkcode Session}.
 *
 * - No whole value of 4 or more characters is shown, and no 8 characters in a row of a longer
 *   value. A message, a code and an id lose only keys: values of 8 or more characters, values of
 *   headers, and values of a login. So a symbol or a side in a code stays readable.
 * - The spelling does not matter: JSON, HTML, percent escapes, `+` for a space, each within the
 *   others, and any case. Values and texts are undone to one spelling and compared there.
 * - The time grows with the length of the request plus the length of the text, not with the
 *   product.
 *
 * Names are shown: the fields of a form or of JSON are words of the venue's. So are `true`, `null`
 * and words such as `Bearer`.
 *
 * @module
 */

import type { Outgoing } from "./body.ts";
import { type Spelling, spellings } from "./spelling.ts";

/** Shorter values say nothing, and would riddle the text. */
const MIN_VALUE = 4;

/** No key is shorter. Of a value of this length or more, no part of this length is shown. */
const MIN_KEY = 8;

/** How much of an answer an error shows, in characters. */
const MAX_EXCERPT = 512;

/** How much of an answer is searched, in characters. Longer values are searched in such pieces. */
const MAX_SEARCHED = 65_536;

/** Headers whose values are no secrets. */
const PLAIN_HEADERS = new Set([
  "accept",
  "accept-encoding",
  "accept-language",
  "cache-control",
  "content-encoding",
  "content-type",
  "user-agent",
]);

/** Words that any answer may hold. */
const PLAIN_WORDS = /^(?:true|false|null|undefined|basic|bearer|digest|token|hmac|apikey|oauth)$/i;

/** The values of a request, in the spelling in which a text is searched. */
export interface Secrets {
  /** All values of 4 or more characters. An excerpt of the venue's answer shows none of them. */
  readonly values: ReadonlySet<string>;
  /** Those of them that can be keys. No text of an error shows one. */
  readonly keys: ReadonlySet<string>;
}

/** The values of a request that was never sent. */
export const NO_SECRETS: Secrets = { values: new Set(), keys: new Set() };

/**
 * Collects the values of a request. Any of them may be a key, so none may be shown.
 *
 * @param outgoing The request, as it was sent.
 * @param isLogin Whether the request logs in: then short values are keys too, as a PIN is.
 */
export async function sentValues(
  { url, headers, body }: Outgoing,
  isLogin: boolean,
): Promise<Secrets> {
  const values = new Set<string>();
  for (const [name, value] of Object.entries(headers)) {
    if (!PLAIN_HEADERS.has(name)) collectHeader(value, values);
  }
  const fromHeaders = new Set(values);
  for (const [name, value] of new URL(url).searchParams) collect(value || name, values);
  const parts = body instanceof FormData ? [...body.values()] : [body ?? ""];
  for (const part of parts) {
    collect(typeof part === "string" ? part : await new Response(part).text(), values, true);
  }
  const secrets = { values: new Set<string>(), keys: new Set<string>() };
  for (const value of values) {
    if (value.length < MIN_VALUE || PLAIN_WORDS.test(value)) continue;
    const isKey = isLogin || fromHeaders.has(value);
    for (let at = 0; at < value.length; at += MAX_SEARCHED - MIN_KEY) {
      for (const { chars } of spellings(value.slice(at, at + MAX_SEARCHED))) {
        if (chars) secrets.values.add(chars);
        if (chars && (isKey || chars.length >= MIN_KEY)) secrets.keys.add(chars);
      }
    }
  }
  return secrets;
}

function collectHeader(value: string, values: Set<string>): void {
  collect(value, values);
  for (const word of value.split(/[\s,:;="]+/)) values.add(word);
  const [, pair] = /^basic\s+([\w+/-]+={0,2})$/i.exec(value) ?? [];
  if (!pair) return;
  try {
    const bytes = Uint8Array.from(atob(pair), (char) => char.charCodeAt(0));
    for (const charset of ["utf-8", "latin1"]) {
      const text = new TextDecoder(charset).decode(bytes);
      const end = text.indexOf(":");
      values.add(text).add(text.slice(0, end)).add(text.slice(end + 1));
    }
  } catch {
    // The pair is no base64: nothing is hidden in it.
  }
}

/**
 * Adds a value and the values within: a form may hold JSON, and JSON a form. Of JSON, and of a body
 * that is a form, only the values count.
 */
function collect(text: string, values: Set<string>, isBody = false, depth = 0): void {
  if (depth > 4) return void values.add(text);
  try {
    const add = (_: string, value: unknown, context?: { source?: string }) => {
      if (typeof value === "string") collect(value, values, false, depth + 1);
      else if (Object(value) !== value) values.add(String(value)).add(context?.source ?? "");
    };
    if (/^\s*[[{"]/.test(text)) {
      JSON.parse(text, add as (key: string, value: unknown) => unknown);
      if (/^\s*"/.test(text)) values.add(text);
      return;
    }
  } catch {
    // The text only begins like JSON.
  }
  const isForm = /^[\w.[\]%+-]+=(?!=)/.test(text);
  if (!isForm || !isBody) {
    for (const line of [text, ...text.split(/[\n\r\t]+/)]) {
      values.add(line);
    }
  }
  if (!isForm && isBody) { for (const word of text.split(/[\s<>"'=,;:]+/)) values.add(word); }
  if (!isForm) return;
  for (const [name, value] of new URLSearchParams(text)) {
    collect(value || name, values, false, depth + 1);
  }
}

/**
 * Shows the beginning of a venue's text, which may well hold the very key that the venue refuses.
 */
export function excerpt(
  text: string | null | undefined,
  secrets: ReadonlySet<string>,
): string | undefined {
  return text ? redact(text.slice(0, MAX_SEARCHED), secrets).slice(0, MAX_EXCERPT) : undefined;
}

/** Takes the values of a request out of a text. */
export function redact(text: string, secrets: ReadonlySet<string>): string {
  if (secrets.size === 0) return text;
  const hidden = new Uint8Array(text.length);
  for (const spelling of spellings(text)) hide(spelling, secrets, hidden);
  let shown = "";
  for (let at = 0; at < text.length;) {
    const start = at;
    while (at < text.length && hidden[at] === hidden[start]) at++;
    shown += hidden[start] ? "[redacted]" : text.slice(start, at);
  }
  return shown;
}

/** Marks all places at which a text holds a value, or 8 characters in a row of one. */
function hide(spelling: Spelling, secrets: ReadonlySet<string>, hidden: Uint8Array): void {
  const { chars, starts, ends } = spelling;
  const isIn = sieve(chars.length);
  for (let at = 0; at + MIN_VALUE <= chars.length; at++) {
    isIn.add(chars, at, MIN_VALUE);
    if (at + MIN_KEY <= chars.length) isIn.add(chars, at, MIN_KEY);
  }
  const found = new Set<string>();
  const begins = sieve(chars.length);
  const find = (secret: string, at: number, sifted: number, length: number) => {
    if (!isIn.has(secret, at, sifted)) return;
    found.add(secret.slice(at, at + length));
    begins.add(secret, at, MIN_VALUE);
  };
  for (const secret of secrets) {
    if (secret.length < MIN_VALUE) hideTiny(secret, spelling, hidden);
    else if (secret.length < MIN_KEY) find(secret, 0, MIN_VALUE, secret.length);
    else for (let at = 0; at + MIN_KEY <= secret.length; at++) find(secret, at, MIN_KEY, MIN_KEY);
  }
  if (found.size === 0) return;
  for (let at = 0; at + MIN_VALUE <= chars.length; at++) {
    if (!begins.has(chars, at, MIN_VALUE)) continue;
    for (let end = Math.min(at + MIN_KEY, chars.length); end >= at + MIN_VALUE; end--) {
      if (!found.has(chars.slice(at, end))) continue;
      hidden.fill(1, starts?.[at] ?? at, ends?.[end - 1] ?? end);
      break;
    }
  }
}

/** Marks a value that has fewer than 4 characters once its escapes are undone. */
function hideTiny(secret: string, { chars, starts, ends }: Spelling, hidden: Uint8Array): void {
  if (!starts || !ends) return;
  for (let at = chars.indexOf(secret); at >= 0; at = chars.indexOf(secret, at + 1)) {
    const end = ends[at + secret.length - 1];
    if (secret.length > 1 || end - starts[at] >= MIN_VALUE) hidden.fill(1, starts[at], end);
  }
}

/**
 * A set of short runs of characters, one bit for each. Of other runs about one in fifty seems to be
 * in it.
 */
function sieve(size: number) {
  const bits = new Uint8Array(2 ** Math.ceil(Math.log2(size + 1) + 4));
  const hash = (chars: string, at: number, length: number): number => {
    let sum = length;
    for (let i = at; i < at + length; i++) sum = Math.imul(sum ^ chars.charCodeAt(i), 0x9e3779b1);
    return (sum ^ sum >>> 15) & bits.length * 8 - 1;
  };
  return {
    add(chars: string, at: number, length: number): void {
      const bit = hash(chars, at, length);
      bits[bit >> 3] |= 1 << (bit & 7);
    },
    has(chars: string, at: number, length: number): boolean {
      const bit = hash(chars, at, length);
      return (bits[bit >> 3] & 1 << (bit & 7)) !== 0;
    },
  };
}
