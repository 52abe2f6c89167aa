/**
 * Keeps what was sent out of what is shown: collects the values of a request, and takes them out of a text.
 * Internal to {@linkcode Session}.
 *
 * @module
 */

import type { Outgoing } from "./body.ts";

/** Headers whose values are nobody's secret. */
const PLAIN_HEADERS = new Set(["accept", "accept-language", "content-type", "user-agent"]);

/** Shorter ones say nothing, and would riddle what is left. */
const MIN_SECRET = 4;

/**
 * Collects all values of a request: none of them may be shown, as any may be a key. They come whole and in parts, as
 * they are and as JSON and URLs spell them, the longest first.
 */
export async function sentValues({ url, headers, body }: Outgoing): Promise<string[]> {
  const values = [...new URL(url).searchParams.values()];
  for (const [name, value] of Object.entries(headers)) {
    if (!PLAIN_HEADERS.has(name)) values.push(value, ...value.split(/[\s,:;=]+/));
  }
  if (body instanceof FormData) {
    for (const value of body.values()) if (typeof value === "string") values.push(value);
  } else if (body !== undefined) {
    const text = typeof body === "string" ? body : await new Response(body).text();
    values.push(text, ...leaves(text));
  }
  const spelt = values.flatMap((value) => [
    value,
    JSON.stringify(value).slice(1, -1),
    encodeURIComponent(value.toWellFormed()),
    new URLSearchParams({ "": value }).toString().slice(1),
  ]);
  return [...new Set(spelt)].filter((value) => value.length >= MIN_SECRET)
    .sort((a, b) => b.length - a.length);
}

/** The values in a body: of JSON, of a form, or the words of a text. */
function leaves(text: string): string[] {
  const values: string[] = [];
  try {
    const collect = (_: string, value: unknown, context?: { source?: string }) => {
      if (Object(value) !== value) values.push(String(value), context?.source ?? "");
    };
    JSON.parse(text, collect as (key: string, value: unknown) => unknown);
    return values;
  } catch {
    return [...new URLSearchParams(text).values(), ...text.split(/\s+/)];
  }
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
