/**
 * Keeps what was sent out of what is shown. Internal to {@linkcode Session}.
 *
 * - No whole value of 4 or more characters that was sent is shown, and no 8 characters in a row of a longer
 *   one. A text that holds a venue's code or id loses only the latter, so that a symbol stays readable.
 * - The spelling does not matter: JSON, HTML, percent, `+` for a space, each of them within the others, and
 *   any case. Both sides are undone to one spelling, and compared there.
 * - The time grows with the length of what was sent and of the text, and with nothing else.
 *
 * @module
 */

import type { Outgoing } from "./body.ts";
import { type Spelling, spellings } from "./spelling.ts";

/** Shorter values say nothing, and would riddle what is left. */
const MIN_VALUE = 4;

/** No key is shorter. No part of a value that long is shown. */
const MIN_KEY = 8;

/** How much of an answer an error shows, in characters. */
const MAX_EXCERPT = 512;

/** How much of an answer is searched for what must not be shown. */
const MAX_SEARCHED = 65_536;

/** Headers whose values are nobody's secret. */
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

/** The values of a request, in the spelling in which texts are searched for them. */
export type Secrets = ReadonlySet<string>;

/** The values of a request that was never sent. */
export const NO_SECRETS: Secrets = new Set();

/** Collects the values of a request: none of them may be shown, as any may be a key. */
export async function sentValues({ url, headers, body }: Outgoing): Promise<Secrets> {
  const values = new Set<string>();
  for (const [name, value] of new URL(url).searchParams) collect(value || name, values);
  for (const [name, value] of Object.entries(headers)) {
    if (!PLAIN_HEADERS.has(name)) collectHeader(value, values);
  }
  const parts = body instanceof FormData ? [...body.values()] : [body ?? ""];
  for (const part of parts) {
    collect(typeof part === "string" ? part : await new Response(part).text(), values, true);
  }
  const secrets = new Set<string>();
  for (const value of values) {
    if (PLAIN_WORDS.test(value)) continue;
    for (const { chars } of spellings(value)) if (chars.length >= MIN_VALUE) secrets.add(chars);
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
    // It is no base64, so nothing can be decoded from it.
  }
}

/**
 * Adds a value and the values within it: a form may hold JSON, and JSON a form. Of JSON, and of a body that
 * is a form, only the values count: the names are the venue's own words.
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
    // It is no JSON, whatever it begins with.
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

/** Takes the keys among the values: a code that holds a symbol or a side stays as it is. */
export function keysOf(secrets: Secrets): Secrets {
  return new Set([...secrets].filter((secret) => secret.length >= MIN_KEY));
}

/** Shows the beginning of a text of the venue's, which may well hold the very key that it refuses. */
export function excerpt(text: string | null | undefined, secrets: Secrets): string | undefined {
  return text ? redact(text.slice(0, MAX_SEARCHED), secrets).slice(0, MAX_EXCERPT) : undefined;
}

/** Takes out of a text what was sent. */
export function redact(text: string, secrets: Secrets): string {
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
function hide({ chars, starts, ends }: Spelling, secrets: Secrets, hidden: Uint8Array): void {
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
    if (secret.length < MIN_KEY) find(secret, 0, MIN_VALUE, secret.length);
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

/** A set of short runs of characters that may say yes to one in fifty others, in a bit for each. */
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
