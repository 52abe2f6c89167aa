/**
 * How runtimes behave that the web platform does not say: which requests they repeat, how their
 * failures look, and what a socket tells at its end. `docs/runtimes.md` gives the measurements.
 *
 * @module
 */

/**
 * A runtime that a {@linkcode SimulatedVenue} can behave as.
 *
 * @example The same test in every runtime’s network
 * ```ts
 * import { type SimulatedRuntime, SimulatedVenue } from "@aio-trader/core/testing";
 *
 * const runtimes: SimulatedRuntime[] = ["deno", "node", "bun", "browser"];
 * for (const runtime of runtimes) new SimulatedVenue({ runtime });
 * ```
 */
export type SimulatedRuntime = "deno" | "node" | "bun" | "browser";

/** A failure of `fetch`: nobody listens, no answer, no HTTP, a body that broke. */
export type FetchFailure = "refused" | "closed" | "garbage" | "body";

/** A request, as far as a repetition depends on it. */
export interface Repeatable {
  /** The method. */
  readonly method: string;
  /** The body as it was handed to `fetch`. */
  readonly body: unknown;
  /** Whether it may use a connection again. */
  readonly keepalive: boolean;
}

const isSafe = (method: string) => /^(?:GET|HEAD|OPTIONS)$/.test(method);
const isOnce = (body: unknown) => body instanceof Blob || body instanceof ReadableStream;

/** Whether a runtime sends a request again, unasked, after a warm connection ended unanswered. */
const REPEATS: Record<SimulatedRuntime, (request: Repeatable) => boolean> = {
  deno: ({ body }) => !isOnce(body),
  node: () => false,
  bun: ({ method, keepalive }) =>
    keepalive && (isSafe(method) || method === "PUT" || method === "DELETE"),
  browser: () => true,
};

/** Whether a runtime sends a request again after the answer 421. */
const REPEATS_421: Record<SimulatedRuntime, (body: unknown) => boolean> = {
  deno: () => false,
  node: (body) => !(body instanceof ReadableStream),
  bun: () => false,
  browser: () => true,
};

/**
 * Tells whether a runtime sends a request again by itself.
 *
 * @param runtime The runtime.
 * @param request The request.
 * @param cause A warm connection that ended unanswered, or the answer 421.
 */
export function repeats(
  runtime: SimulatedRuntime,
  request: Repeatable,
  cause: "closed" | 421,
): boolean {
  return cause === 421 ? REPEATS_421[runtime](request.body) : REPEATS[runtime](request);
}

/** Errors of Node: a TypeError with a code in its cause. */
function undici(message: string, code: string): TypeError {
  return new TypeError(message, { cause: Object.assign(new Error(code), { code }) });
}

/** Errors of Bun: a code of its own. */
function bunError(code: string): TypeError {
  return Object.assign(new TypeError("The socket connection failed"), { code });
}

const FETCH_ERRORS: Record<SimulatedRuntime, Record<FetchFailure, () => TypeError>> = {
  deno: {
    refused: () => new TypeError("client error (Connect): tcp connect error: Connection refused"),
    closed: () =>
      new TypeError("client error (SendRequest): connection closed before message completed"),
    garbage: () => new TypeError("client error (SendRequest): invalid HTTP version parsed"),
    body: () => new TypeError("error reading a body from connection"),
  },
  node: {
    refused: () => undici("fetch failed", "ECONNREFUSED"),
    closed: () => undici("fetch failed", "UND_ERR_SOCKET"),
    garbage: () => undici("fetch failed", "HPE_INVALID_CONSTANT"),
    body: () => undici("terminated", "UND_ERR_SOCKET"),
  },
  bun: {
    refused: () => bunError("ConnectionRefused"),
    closed: () => bunError("ECONNRESET"),
    garbage: () => bunError("Malformed_HTTP_Response"),
    body: () => bunError("ECONNRESET"),
  },
  browser: {
    refused: () => new TypeError("Failed to fetch"),
    closed: () => new TypeError("Failed to fetch"),
    garbage: () => new TypeError("Failed to fetch"),
    body: () => new TypeError("network error"),
  },
};

/** The error that a runtime's `fetch` rejects with. */
export function fetchError(runtime: SimulatedRuntime, failure: FetchFailure): TypeError {
  return FETCH_ERRORS[runtime][failure]();
}

/** What a socket of a runtime tells at an end that no close frame came for. */
export interface SocketEnd {
  /** Whether the event `error` comes. */
  readonly error: boolean;
  /** The code of the event `close`, if the event comes at all. */
  readonly code: number | undefined;
}

/** Ends of sockets: the upgrade was refused, or the connection broke. */
export const SOCKET_ENDS: Record<SimulatedRuntime, Record<"refused" | "broken", SocketEnd>> = {
  deno: { refused: { error: true, code: 0 }, broken: { error: true, code: 0 } },
  node: { refused: { error: true, code: undefined }, broken: { error: false, code: 1006 } },
  bun: { refused: { error: true, code: 1006 }, broken: { error: true, code: 1006 } },
  browser: { refused: { error: true, code: 1006 }, broken: { error: false, code: 1006 } },
};

/**
 * The message of a socket's event `error` after a refused upgrade, in which a feed finds the status.
 * Deno and Bun tell it there. Node tells a feed in another way, so its message here is that of the
 * package `ws`. Browsers tell nothing.
 *
 * @param runtime The runtime.
 * @param url The address, which Bun quotes.
 * @param status The status that refused the upgrade.
 */
export function refusalWords(runtime: SimulatedRuntime, url: string, status: number): string {
  return {
    deno: `NetworkError: failed to connect to WebSocket: Invalid status code: ${status}`,
    node: `Unexpected server response: ${status}`,
    bun: `WebSocket connection to '${url}' failed: Expected 101 status code: ${status}`,
    browser: "",
  }[runtime];
}
