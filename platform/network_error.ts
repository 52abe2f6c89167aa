/**
 * Reads the errors of `fetch` and of sockets: the words that each runtime has for a fault of the
 * network stand here and nowhere else. Internal.
 *
 * @module
 */

/** The meaning of a native error, without its text: a native text may hold a key. */
export interface NetworkFault {
  /** Whether the network is at fault, so that the same call may succeed later. */
  isNetwork: boolean;
  /** Whether no byte of the request can have reached the venue. */
  isUnsent: boolean;
  /** Whether a certificate or the encryption is at fault: a repeat does not change that. */
  isTls: boolean;
  /** The runtime's own code, `ECONNREFUSED`, where the error has one. */
  code: string | undefined;
  /** Why the runtime refused to try, in words, where a permission is missing. */
  refusal: string | undefined;
}

/** Codes of faults in which the venue may have got the request. */
const BROKEN: ReadonlySet<unknown> = new Set([
  "ECONNABORTED",
  "ECONNRESET",
  "EHOSTDOWN",
  "EHOSTUNREACH",
  "ENETDOWN",
  "ENETRESET",
  "ENETUNREACH",
  "ENOTCONN",
  "EPIPE",
  "ETIMEDOUT",
  "HPE_CLOSED_CONNECTION",
  "HPE_INVALID_EOF_STATE",
  "UND_ERR_BODY_TIMEOUT",
  "UND_ERR_HEADERS_TIMEOUT",
  "UND_ERR_RES_CONTENT_LENGTH_MISMATCH",
  "UND_ERR_SOCKET",
  // Bun, all of them before 1.4
  "ConnectionClosed",
  "ConnectionReset",
  "Timeout",
]);

/** Codes of faults that come before there is a connection. */
const UNREACHED: ReadonlySet<unknown> = new Set([
  "EAI_AGAIN",
  "EAI_FAIL",
  "EAI_NODATA",
  "EAI_NONAME",
  "ECONNREFUSED",
  "ENOTFOUND",
  "ERR_PROXY_TUNNEL",
  "UND_ERR_CONNECT_TIMEOUT",
  "UND_ERR_PRX_TLS",
  // Bun
  "ConnectionRefused",
  "DNSException",
  "FailedToOpenSocket",
]);

/** Codes of a certificate that was not trusted: the handshake ended before the request. */
const UNTRUSTED =
  /^(?:CERT_\w+|DEPTH_ZERO_\w+|SELF_SIGNED_\w+|UNABLE_TO_\w+|HOSTNAME_MISMATCH|ERR_TLS_CERT_\w+)$/;

/** System calls that end before there is a connection. */
const SYSCALLS: ReadonlySet<unknown> = new Set(["connect", "getaddrinfo"]);

/** Codes of every fault of the encryption. */
const TLS_CODE = /CERT|SSL|TLS|DEPTH_ZERO|UNABLE_TO|HOSTNAME_MISMATCH|EPROTO/;

/** Texts of every fault of the encryption, from runtimes that give no code. */
const TLS_TEXT = /invalid peer certificate|received fatal alert|corrupt message/;

/**
 * Texts of faults before there is a connection: Deno's, and undici's for a proxy that refuses
 * CONNECT. A URL within a text has no space, so it cannot match.
 */
const UNREACHED_TEXT = /client error \(Connect\)|\) !== 200 when HTTP Tunneling/;

/** Whole messages of Node and Deno for a port that fetch must not use: no fault of the network. */
const BLOCKED_TEXT = /^(?:bad port|Fetch failed: Requests to port \d+ are blocked)$/;

/** Deno gives no code: the text is all there is. */
const DENO_TEXT =
  /tcp connect error|dns error|failed to lookup address|tunnel error|tls handshake eof|connection closed before message completed|connection reset by peer|broken pipe|http2 error|error reading a body from connection/i;

/** Whole messages of browsers and of workerd, which do not tell one fault from another. */
const BROWSER_TEXT =
  /^(?:failed to fetch(?: \([\w.:[\]-]+\))?|network ?error(?: when attempting to fetch resource\.?)?|load failed|error in input stream|the network connection was lost\.?|the internet connection appears to be offline\.?|network connection lost\.)$/i;

/** How many errors of a chain of causes are read, so that a circle ends. */
const MAX_LINKS = 16;

/**
 * Tells whether an error came from the network, so that the same call may succeed later.
 *
 * - Network errors are: a refused connection, a name that does not resolve, a reset, a cut body, a
 *   timeout, a proxy that refuses to connect.
 * - A TLS failure, an abort, a missing permission and a bad argument are not network errors.
 * - The answer is the same on Deno, Node and Bun, for errors of another realm, and inside an
 *   `AggregateError`. Browsers and workerd have one text for many faults; such a text counts.
 *
 * @param error The error of `fetch` or of a socket; its causes count too.
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
  return links(error).some((link) =>
    link.name === "TimeoutError" || isBroken(link) || (isUnreached(link) && !isTls(link))
  );
}

/**
 * Reads an error of `fetch` or of a socket.
 *
 * @param error The error.
 * @returns Its meaning for the request.
 */
export function networkFault(error: unknown): NetworkFault {
  const chain = links(error);
  const refusal = chain.map(refusalOf).find(Boolean);
  return {
    isNetwork: isNetworkError(error),
    isUnsent: refusal !== undefined || isUnsent(error),
    isTls: chain.some(isTls),
    code: chain.map(codeOf).find(Boolean),
    refusal,
  };
}

/** An error, its causes, and the errors of an AggregateError: each once, the outermost first. */
function links(error: unknown): Error[] {
  const found = new Set<Error>();
  const look = (value: unknown) => {
    if (!isError(value) || found.has(value) || found.size >= MAX_LINKS) return;
    found.add(value);
    look(value.cause);
    for (const part of partsOf(value)) look(part);
  };
  look(error);
  return [...found];
}

/**
 * Whether no connection was made. Of an AggregateError every part must say so: one address of the
 * venue may have refused while another took the request.
 */
function isUnsent(error: unknown, depth = 0): boolean {
  if (!isError(error) || depth >= MAX_LINKS) return false;
  const parts = partsOf(error);
  if (parts.length > 0) return parts.every((part) => isUnsent(part, depth + 1));
  return isUnreached(error) || BLOCKED_TEXT.test(error.message) ||
    isUnsent(error.cause, depth + 1);
}

function isUnreached(error: Error): boolean {
  const { syscall } = error as { syscall?: unknown };
  const code = codeOf(error);
  return SYSCALLS.has(syscall) || UNREACHED.has(code) || UNTRUSTED.test(code ?? "") ||
    UNREACHED_TEXT.test(error.message);
}

function isBroken(error: Error): boolean {
  return BROKEN.has(codeOf(error)) || DENO_TEXT.test(error.message) ||
    BROWSER_TEXT.test(error.message);
}

function isTls(error: Error): boolean {
  return TLS_CODE.test(codeOf(error) ?? "") || TLS_TEXT.test(error.message);
}

/**
 * A runtime's own code of an error, where it has one. It names a kind of error and nothing else.
 */
function codeOf(error: Error): string | undefined {
  const { code } = error as { code?: unknown };
  return typeof code === "string" && /^\w{1,64}$/.test(code) ? code : undefined;
}

/** Why a runtime refused to try. Of the native text only a host is quoted. */
function refusalOf({ name, message, ...fields }: Error): string | undefined {
  if (name === "NotCapable" || name === "PermissionDenied") {
    const [, host] = /^Requires net access to "([\w.:[\]-]+)"/.exec(message) ?? [];
    return host && `Deno denies access to the network, wanted --allow-net=${host}`;
  }
  const { code, permission } = fields as { code?: unknown; permission?: unknown };
  if (code === "ERR_ACCESS_DENIED" && permission === "Net") {
    return "Node denies access to the network, wanted --allow-net";
  }
}

/** The errors that an AggregateError holds. */
function partsOf(error: Error): unknown[] {
  const { errors } = error as { errors?: unknown };
  return Array.isArray(errors) ? errors : [];
}

/** `instanceof` is false for an error of another realm, such as those that test runners make. */
function isError(value: unknown): value is Error {
  return /^\[object (Error|DOMException)\]$/.test(Object.prototype.toString.call(value));
}
