/**
 * The words of network errors, on every runtime. Internal.
 *
 * @module
 */

/** Codes that Node and Bun give to an error or to its cause. */
const NETWORK_CODES: ReadonlySet<unknown> = new Set([
  "EAI_AGAIN",
  "ECONNABORTED",
  "ECONNREFUSED",
  "ECONNRESET",
  "EHOSTUNREACH",
  "ENETDOWN",
  "ENETUNREACH",
  "ENOTFOUND",
  "EPIPE",
  "ETIMEDOUT",
  "UND_ERR_BODY_TIMEOUT",
  "UND_ERR_CONNECT_TIMEOUT",
  "UND_ERR_HEADERS_TIMEOUT",
  "UND_ERR_SOCKET",
  // Bun before 1.4
  "ConnectionClosed",
  "ConnectionRefused",
  "ConnectionReset",
  "FailedToOpenSocket",
  "Timeout",
]);

/** Deno gives no code: the text is all there is. A URL within it has no space, so it cannot match. */
const NETWORK_TEXT =
  /tcp connect error|dns error|failed to lookup address|tls handshake eof|connection closed before message completed|connection reset by peer|broken pipe|http2 error|error reading a body from connection/i;

/** How deep a chain of causes is followed, so that a circle ends. */
const MAX_CAUSES = 5;

/**
 * Tells whether an error came from the network, so that the same call may succeed later: a refused
 * connection, a name that does not resolve, a reset, a cut body, a timeout. The answer is the same
 * on Deno, Node and Bun. A TLS failure, an abort and a bad argument are not network errors.
 *
 * @param error What was thrown, by `fetch` or by a socket; its causes are looked at too.
 * @returns `true` for a network error.
 *
 * @example Usage
 * ```ts
 * import { isNetworkError } from "@aio-trader/core/retry";
 * import { assert } from "@std/assert";
 *
 * const error = await fetch("http://venue.invalid").catch((error) => error);
 * assert(isNetworkError(error));
 * assert(!isNetworkError(new TypeError("Invalid URL")));
 * ```
 */
export function isNetworkError(error: unknown): boolean {
  let link = error;
  for (let depth = 0; depth < MAX_CAUSES && isError(link); depth++) {
    if (link.name === "TimeoutError") return true;
    if (NETWORK_CODES.has((link as { code?: unknown }).code)) return true;
    if (NETWORK_TEXT.test(link.message)) return true;
    link = link.cause;
  }
  return false;
}

/** `instanceof` is false for an error of another realm, such as those that test runners make. */
function isError(value: unknown): value is Error {
  return /^\[object (Error|DOMException)\]$/.test(Object.prototype.toString.call(value));
}
