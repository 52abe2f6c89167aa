/**
 * Words for a socket that did not open, or has ended. Internal.
 *
 * @module
 */

import { retryAfter } from "../common/retry_after.ts";
import type { Ending } from "../feeder.ts";

/** How runtimes and the package `ws` word the status that refused an upgrade. */
const STATUS = /(?:status code|server response): (\d{3})/;

/** Words of Node 22 that tell no more than none. */
const VAGUE = /^Received network error or non-101 status code/;

/** Words for the close codes that come without a reason. */
const WORDS: Readonly<Record<number, string>> = {
  1005: "closed by the venue, without a code",
  1006: "lost, without a close frame",
};

/**
 * Reads an error event. The URL is cut out: Bun quotes it in the message, and a token may be in it.
 *
 * @param event The event. Node tells nothing in it.
 * @param refusal The refusal of the upgrade, if another source knows it.
 * @returns Reason, status and wait, as far as known.
 */
export function describe(event: Event, refusal?: Refusal): Partial<Ending> {
  const { message = "" } = event as ErrorEvent;
  const reason = VAGUE.test(message) ? "" : message.replaceAll(/wss?:[^\s']*/gi, "…");
  const told = STATUS.exec(message)?.[1];
  if (told !== undefined) return { reason, status: Number(told) };
  if (!refusal) return { reason };
  return { reason: `the upgrade was refused with the status ${refusal.status}`, ...refusal };
}

/**
 * Words an ending without a reason.
 *
 * @param code The close code.
 * @param opened Whether the connection had been open.
 * @returns The words.
 */
export function inWords(code: number, opened: boolean): string {
  if (!opened) {
    return "no connection: a wrong address or port, no network, or an upgrade that was refused " +
      "(401, 403, 404 and others: this runtime does not tell)";
  }
  return WORDS[code] ?? "closed by the venue, without a reason";
}

/** The part of `node:diagnostics_channel` that is used here. */
interface Diagnostics {
  subscribe(name: string, listener: (message: unknown) => void): void;
  unsubscribe(name: string, listener: (message: unknown) => void): void;
}

/** Message of undici about an answer. */
interface Answered {
  request: { origin?: string | URL; path?: string; headers?: unknown };
  response: { statusCode: number; headers?: unknown };
}

/** How a venue refused an upgrade. */
export interface Refusal {
  /** The status. */
  status: number;
  /** How long the venue asks to wait, in milliseconds. */
  retryAfter?: number;
}

/** An upgrade that is watched. */
export interface UpgradeWatch {
  /** The refusal, once known. */
  readonly refusal: Refusal | undefined;
  /** Ends the watch. */
  stop(): void;
}

/**
 * Learns status and Retry-After of a refused upgrade on Node. Node's sockets hide the answer, but
 * Node's HTTP client tells it over a diagnostics channel.
 * https://github.com/nodejs/undici/blob/main/docs/docs/api/DiagnosticsChannel.md
 *
 * Only an answer to a request with this address and these headers counts.
 *
 * @param url The address.
 * @param headers The headers.
 * @returns The watch. On other runtimes it sees nothing.
 */
export function watchUpgrade(url: string, headers: Record<string, string> = {}): UpgradeWatch {
  const channel = diagnostics();
  let refusal: Refusal | undefined;
  if (!channel || !URL.canParse(url)) return { refusal, stop: () => {} };
  const { origin, pathname, search } = new URL(url.replace(/^ws/i, "http"));
  const wanted = Object.entries(headers).map(([name, value]) => `${name.toLowerCase()}: ${value}`);
  const listener = (message: unknown) => {
    const { request, response } = message as Answered;
    if (String(request.origin) !== origin || request.path !== pathname + search) return;
    const sent = headerLines(request.headers);
    if (!sent.includes("sec-websocket-version: 13")) return;
    if (!wanted.every((line) => sent.includes(line))) return;
    const prefix = "retry-after: ";
    const line = headerLines(response.headers).find((line) => line.startsWith(prefix));
    const wait = retryAfter(line?.slice(prefix.length) ?? null);
    refusal = { status: response.statusCode, ...(wait !== undefined && { retryAfter: wait }) };
  };
  channel.subscribe("undici:request:headers", listener);
  return {
    get refusal() {
      return refusal;
    },
    stop: () => channel.unsubscribe("undici:request:headers", listener),
  };
}

/** Finds the channels without an import: browsers have no `node:` modules. */
function diagnostics(): Diagnostics | undefined {
  const { process } = globalThis as {
    process?: { getBuiltinModule?(name: string): unknown };
  };
  try {
    return process?.getBuiltinModule?.("node:diagnostics_channel") as Diagnostics | undefined;
  } catch {
    return undefined;
  }
}

/** Writes headers as `name: value`. undici tells a list of names and values, as text or bytes. */
function headerLines(headers: unknown): string[] {
  if (!Array.isArray(headers)) return [];
  const text = (part: unknown) =>
    part instanceof Uint8Array ? new TextDecoder().decode(part) : String(part);
  const lines: string[] = [];
  for (let i = 0; i + 1 < headers.length; i += 2) {
    lines.push(`${text(headers[i]).toLowerCase()}: ${text(headers[i + 1])}`);
  }
  return lines;
}
