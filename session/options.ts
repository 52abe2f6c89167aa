/**
 * The options of a session and of a call, and the types that their hooks are given. Internal:
 * `session.ts` exports the types.
 *
 * @module
 */

import type { BrokerError } from "../common/broker_error.ts";
import { checkFunction, checkNumber, checkObject, type Range } from "../common/check.ts";
import { checkRetryOptions } from "../common/retry_options.ts";
import type { ReconcileOptions } from "../common/inquiry.ts";
import type { RetryOptions } from "../retry.ts";
import type { Charge, RateLimiter, Throttler, VenueCount } from "../throttler.ts";
import type { Body } from "./body.ts";
import type { HeadersLike } from "./headers.ts";
import type { Parse } from "./reply.ts";

/**
 * Options of the repeats of a call.
 *
 * @example Repeating a GET more often
 * ```ts
 * import { type Repeats, Session } from "@aio-trader/core/session";
 * import { assertEquals } from "@std/assert";
 *
 * const often: Repeats = { maxRetries: 5, baseWait: 1 };
 * let calls = 0;
 * await using session = new Session({
 *   baseUrl: "https://api.venue.example",
 *   fetch: () => Promise.resolve(++calls < 5 ? new Response(null, { status: 503 }) : Response.json(1)),
 * });
 * assertEquals(await session.get("quote", { retry: often }), 1);
 * ```
 */
export type Repeats = Omit<RetryOptions, "signal" | "close">;

/**
 * Options of a single call. Durations are in milliseconds.
 *
 * @example An order that is found again if its answer is lost
 * ```ts
 * import { type RequestOptions, Session } from "@aio-trader/core/session";
 * import { assertEquals } from "@std/assert";
 *
 * type Order = { id: string };
 * const options: RequestOptions<Order> = {
 *   json: { id: "my-1", quantity: 1 },
 *   timeout: 5_000,
 *   reconcile: { find: () => ({ id: "my-1" }) }, // asks the venue by the order's own id
 * };
 * await using session = new Session({
 *   baseUrl: "https://api.venue.example",
 *   fetch: () => Promise.reject(new TypeError("the connection was reset")),
 * });
 * assertEquals(await session.post("orders", options), { id: "my-1" });
 * ```
 */
export interface RequestOptions<T = unknown> {
  /**
   * Added to the URL: an object, or pairs. A list repeats its name; `undefined` and `null` are left
   * out.
   */
  query?: object | undefined;
  /** Sent as JSON; bigints keep their digits. */
  json?: unknown;
  /**
   * Sent as a form: an object, or pairs. A list repeats its name; `undefined` and `null` are left
   * out.
   */
  form?: object | undefined;
  /** Sent unchanged. */
  body?: Body | undefined;
  /** Added to the session's headers; a header of the same name replaces the session's. */
  headers?: HeadersLike | undefined;
  /** Replaces the session's throttlers. `[]` waits for none. */
  throttlers?: readonly (RateLimiter | Charge)[] | undefined;
  /** Tokens that the call spends at each throttler that has no cost beside it. @default {1} */
  cost?: number | undefined;
  /**
   * Whether the call goes before calls that are not urgent, in the line of each throttler: for a
   * cancel. A limit is never exceeded for it.
   *
   * @default whether the call says `renew: false`, or carries the signal of a reconciliation
   */
  urgent?: boolean | undefined;
  /**
   * How to find out the fate of an order that no answer came for; see {@linkcode reconcile}. If the
   * call ends with the outcome `"unknown"`, `find` asks the venue:
   *
   * - The venue has the order: the call resolves to the order.
   * - The venue has no such order: the call rejects with the outcome `"absent"`.
   * - The venue could not say in time: the call rejects with its first error, `"unknown"`.
   *
   * The reconciliation begins after all repeats, and has a `timeout` of its own beside the call's
   * `deadline`.
   */
  reconcile?: ReconcileOptions<T> | undefined;
  /** Ends the call. */
  signal?: AbortSignal | undefined;
  /** Replaces the session's `timeout`. */
  timeout?: number | undefined;
  /** Replaces the session's `deadline`. */
  deadline?: number | undefined;
  /** Replaces the session's `maxBytes`. */
  maxBytes?: number | undefined;
  /**
   * Whether a second execution of the request does no harm. Only then may the session repeat a
   * request that may have been executed.
   *
   * Without it, no runtime may repeat the request by itself either. So the body goes out as a
   * `Blob`, and Bun gives a PUT or DELETE a connection of its own. Without a body, Deno then sends
   * an empty chunked body over HTTP/1.1; a venue that refuses this answers 411. `true` sends a
   * request without a body unchanged, which Deno may repeat in silence, and a browser repeats any
   * request: there, every failure of such a request has the outcome `"unknown"`.
   *
   * @default whether the method is GET, HEAD or OPTIONS
   */
  idempotent?: boolean | undefined;
  /** Replaces the session's `retry`. */
  retry?: Repeats | false | undefined;
  /**
   * Whether a 401 makes the session log in anew. Say `false` in the calls that log in, and in those
   * that `sign` makes: otherwise the login waits for itself. Such a call is urgent.
   *
   * @default {true}
   */
  renew?: boolean | undefined;
  /**
   * How the answer is decoded. By default the content-type decides:
   *
   * - `text/…` is text, except HTML, which no venue means;
   * - other binary types are bytes;
   * - everything else is JSON, and JSON must then be there. An answer of `text/plain` that begins
   *   as JSON does is JSON.
   *
   * 204, 205 and the answer to a HEAD are `undefined`.
   *
   * On Node a compressed answer is an error unless it is JSON: Node takes half of it for all. A
   * session asks for no compression there. `headers: { "accept-encoding": "gzip" }` accepts the
   * risk, for a venue that compresses whatever is asked for.
   *
   * `"stream"` gives a `ReadableStream` of bytes as soon as the headers of a 2xx have arrived, for
   * dumps and server-sent events:
   *
   * - `timeout` is the longest time to the headers, then for each chunk that the reader waits for.
   * - `failure` is not asked about a 2xx, and nothing is repeated after the headers.
   * - A stream that breaks rejects its reader with a {@linkcode BrokerError}; `close()` breaks it,
   *   with kind `"closed"`.
   * - Read the stream to its end or cancel it: until then the call goes on.
   */
  parse?: Parse<T> | undefined;
}

/**
 * An answer of the venue.
 *
 * @example The headers of an answer
 * ```ts
 * import { type Reply, Session } from "@aio-trader/core/session";
 * import { assertEquals } from "@std/assert";
 *
 * await using session = new Session({
 *   baseUrl: "https://api.venue.example",
 *   fetch: () => Promise.resolve(Response.json({}, { headers: { "x-used": "7" } })),
 * });
 * const { data, headers }: Reply = await session.request("GET", "time");
 * assertEquals([data, headers.get("x-used")], [{}, "7"]);
 * ```
 */
export interface Reply<T = unknown> {
  /** The decoded body. */
  data: T;
  /** The HTTP status; `0` after a reconciliation. */
  status: number;
  /** The headers of the answer; none after a reconciliation. */
  headers: Headers;
  /** Whether `data` was found by a reconciliation, because no answer to the request came. */
  reconciled?: boolean;
}

/**
 * A request that is about to be sent, for {@linkcode SessionOptions.sign} to complete.
 *
 * @example A signature over the bytes that are sent
 * ```ts
 * import { type Draft, Session } from "@aio-trader/core/session";
 * import { assertEquals } from "@std/assert";
 *
 * const sign = (draft: Draft) => {
 *   const { method, url, body } = draft;
 *   draft.headers.set("x-signed", `${method} ${url.pathname} ${body}`); // an HMAC of it, in truth
 * };
 * await using session = new Session({
 *   baseUrl: "https://api.venue.example",
 *   sign,
 *   fetch: (_url, init) => Promise.resolve(Response.json(new Headers(init!.headers).get("x-signed"))),
 * });
 * assertEquals(await session.post("orders", { json: { id: 1 } }), 'POST /orders {"id":1}');
 * ```
 */
export interface Draft {
  /** The method, `POST`. */
  readonly method: string;
  /** The URL, with the query. It may be changed or replaced, below the base URL. */
  url: URL;
  /** The headers. A malformed value is refused without being quoted. */
  readonly headers: Headers;
  /**
   * The encoded body. `json` and `form` are strings by now, so a signature covers the sent bytes.
   */
  body: string | Uint8Array<ArrayBuffer> | Blob | FormData | undefined;
  /** Number of this attempt of the call, from 1. */
  readonly attempt: number;
}

/**
 * A step of a call, as {@linkcode SessionEvent} tells it.
 *
 * @example How long answers take
 * ```ts
 * import { Session, type SessionStep } from "@aio-trader/core/session";
 * import { assertEquals } from "@std/assert";
 *
 * const durations: number[] = [];
 * const note = (step: SessionStep) => {
 *   if (step.type === "response") durations.push(step.duration);
 * };
 * await using session = new Session({
 *   baseUrl: "https://api.venue.example",
 *   onEvent: note,
 *   fetch: () => Promise.resolve(Response.json({})),
 * });
 * await session.get("time");
 * assertEquals(durations.length, 1);
 * ```
 */
export type SessionStep =
  /** A request is handed to `fetch`. */
  | { type: "request" }
  /** The headers of an answer have arrived, after so many milliseconds. */
  | { type: "response"; status: number; duration: number }
  /** An attempt has failed, after so many milliseconds. */
  | { type: "failure"; error: BrokerError; duration: number }
  /** The call is repeated after so many milliseconds. */
  | { type: "retry"; error: BrokerError; delay: number }
  /**
   * The venue counts so many tokens more than the throttler: another program may use the same key
   * or address.
   */
  | { type: "excess"; tokens: number };

/**
 * An event of {@linkcode SessionOptions.onEvent}. It holds no secret.
 *
 * @example A log of all calls
 * ```ts
 * import { Session, type SessionEvent } from "@aio-trader/core/session";
 * import { assertEquals } from "@std/assert";
 *
 * const log: string[] = [];
 * const onEvent = ({ call, method, url, type }: SessionEvent) =>
 *   log.push(`#${call} ${method} ${url} ${type}`);
 * await using session = new Session({
 *   baseUrl: "https://api.venue.example",
 *   onEvent,
 *   fetch: () => Promise.resolve(Response.json({})),
 * });
 * await session.get("time", { query: { key: "secret" } });
 * assertEquals(log[0], "#1 GET https://api.venue.example/time request");
 * ```
 */
export type SessionEvent = SessionStep & {
  /** Number of the call within its session, from 1: all events of one call share it. */
  call: number;
  /** The method, `POST`. */
  method: string;
  /** Origin and path: never the query. */
  url: string;
  /** Number of this attempt of the call, from 1. */
  attempt: number;
};

/**
 * Options of a {@linkcode Session}. Durations are in milliseconds.
 *
 * @example A venue with a limit, whose errors are words in a 200
 * ```ts
 * import { BrokerError, Session, type SessionOptions, Throttler } from "@aio-trader/core";
 * import { assertRejects } from "@std/assert";
 *
 * const options: SessionOptions = {
 *   baseUrl: "https://api.venue.example",
 *   throttlers: [new Throttler({ limit: 10, period: 1_000 })],
 *   failure({ data }) {
 *     const { error } = data as { error?: string };
 *     if (error) return new BrokerError(error, { kind: "rejected", outcome: "rejected" });
 *   },
 *   fetch: () => Promise.resolve(Response.json({ error: "no funds" })), // instead of a real venue
 * };
 * await using session = new Session(options);
 * await assertRejects(() => session.post("orders", { json: {} }), BrokerError, "no funds");
 * ```
 */
export interface SessionOptions {
  /** Where the venue is: origin and path, `https://api.kite.trade`. Every call stays below it. */
  baseUrl: string | URL;
  /** Sent with every call; to be changed later through {@linkcode Session.headers}. */
  headers?: HeadersLike | undefined;
  /**
   * Every call waits for all of these throttlers. A call can name others. `{ throttler, cost }`
   * stands for a throttler at which a call has a cost of its own.
   *
   * A throttler counts each request that the session hands to `fetch`. Deno and Bun may repeat a
   * GET by themselves if the connection was closed while idle, so the venue may count one more.
   *
   * @default {[]}
   */
  throttlers?: readonly (RateLimiter | Charge)[] | undefined;
  /**
   * How long the throttlers of a call pause after an answer of 429 or 418, or an error of kind
   * `"rate-limited"` from `failure`, in milliseconds, where the answer does not say how long. `0`
   * does not pause.
   *
   * @default {1_000}
   */
  pause?: number | undefined;
  /**
   * Longest time from the start of an attempt to the last byte of its answer, in milliseconds. The
   * time starts once the throttlers let the call pass. `Infinity` sets no limit; Node's `fetch`
   * then still has limits of its own, 300 s for the headers and 300 s between two chunks. There the
   * call fails with kind `"network"` and code `UND_ERR_HEADERS_TIMEOUT` or `UND_ERR_BODY_TIMEOUT`.
   * To lift these limits, give `fetchOptions: { dispatcher }` an `Agent` of `npm:undici` with
   * `headersTimeout` and `bodyTimeout` of 0.
   *
   * @default {60_000}
   */
  timeout?: number | undefined;
  /**
   * Longest time of a whole call, with its waits and repeats, in milliseconds. `Infinity` sets no
   * limit.
   *
   * @default {Infinity}
   */
  deadline?: number | undefined;
  /**
   * How long `close()` lets an order go on that has been handed to `fetch`, in milliseconds. `0`
   * ends it at once, `Infinity` never.
   *
   * @default {5_000}
   */
  closeTimeout?: number | undefined;
  /**
   * Longest answer, in bytes, after decompression. `Infinity` sets no limit.
   *
   * @default {64 * 1024 * 1024}
   */
  maxBytes?: number | undefined;
  /**
   * When to repeat and how long to wait. `shouldRetry` can add to the errors that are repeated, but
   * an order is never repeated unless it was not sent. An error that `onRetry` throws is ignored.
   * `false` repeats nothing.
   *
   * @default the defaults of {@linkcode RetryOptions}, with a `jitter` of 0.5
   */
  retry?: Repeats | false | undefined;
  /**
   * Completes a request just before it is sent: once per attempt, after the throttlers, so that
   * timestamps are fresh. An error thrown here sends nothing. A {@linkcode BrokerError} gives the
   * call's error its kind, and is the cause. Of any other error only the name is shown: its text may
   * hold a key. If `sign` itself calls the venue, for its time perhaps, then that call says
   * `renew: false`: it is signed too, waits for no login, and goes out while the session closes.
   */
  sign?: ((draft: Draft) => void | Promise<void>) | undefined;
  /**
   * Logs in anew after a 401: once for all calls that were refused; then each of them is replayed,
   * once. An error of {@linkcode SessionOptions.failure} with kind `"unauthorized"` and outcome
   * `"rejected"` counts as a 401.
   *
   * - While the login runs, calls that have not been sent wait for it: they leave the lines of
   *   their throttlers, spend nothing, and their `timeout` has not begun.
   * - If the login fails, each refused call rejects with its own error, and a call that waited with
   *   kind `"unauthorized"`, outcome `"not-sent"`. The login's error is the `cause` of both.
   * - A login that takes longer than ten times the session's `timeout` has failed.
   */
  onUnauthorized?: (() => void | Promise<void>) | undefined;
  /**
   * Finds the venue's own error in an answer of any status; the session fills in the missing
   * properties. After a 401, 408, 418, 429 or 5xx the words and the code of the error count, but
   * the status decides kind and outcome, and whether a GET is repeated. Of an answer that is no JSON,
   * such as a gateway's page, `data` is the text.
   *
   * Kind `"rate-limited"` pauses the throttlers of the call, after any status: for the `retryAfter`
   * of the error, else of the answer, else for `pause`. Outcome `"unknown"` says that the venue
   * itself does not know ("timed out, check the order book"): `reconcile` begins then too.
   */
  failure?: ((reply: Reply) => BrokerError | undefined) | undefined;
  /**
   * Reads the venue's rate limit headers, for each `Throttler` that the call used (not for a
   * `RedisThrottler`). An error thrown here is ignored.
   */
  sync?: ((headers: Headers, throttler: Throttler) => VenueCount | undefined) | undefined;
  /**
   * Sends the requests instead of the runtime's `fetch`. This function must obey the signal that it
   * is given.
   *
   * - It answers for the repetitions. Deno, Node, Bun and workerd send an order at most once, as
   *   `docs/runtimes.md` shows. Any other runtime, such as a browser, may send an order twice.
   *   There, a session without this option refuses an order: kind `"invalid"`, outcome
   *   `"not-sent"`.
   * - It answers for old answers on idle connections, too: an order does not wait for them.
   *
   * @default {globalThis.fetch}
   */
  fetch?: typeof fetch | undefined;
  /** More options for `fetch`, such as Deno's `client`, undici's `dispatcher` or Bun's `proxy`. */
  fetchOptions?: Record<string, unknown> | undefined;
  /** Told of every step. An error thrown here is ignored: a log must not decide about an order. */
  onEvent?: ((event: SessionEvent) => void) | undefined;
}

/** Longest answer by default, in bytes. */
const MAX_BYTES = 64 * 1024 * 1024;

/** The options of a session that have a default, with the default filled in. */
export interface Defaults {
  readonly throttlers: readonly (RateLimiter | Charge)[];
  readonly pause: number;
  readonly timeout: number;
  readonly deadline: number;
  readonly closeTimeout: number;
  readonly maxBytes: number;
  readonly retry: Repeats | false;
}

/**
 * Checks the options of a session, and fills in the defaults.
 *
 * @param options The options as given.
 * @returns The defaults of each call.
 * @throws {TypeError} If an option is of the wrong type.
 * @throws {RangeError} If a number is out of its range.
 */
export function checkOptions(options: SessionOptions): Defaults {
  const task = "Cannot create a session";
  checkObject(task, "options", options);
  for (const name of ["sign", "onUnauthorized", "failure", "sync", "fetch", "onEvent"] as const) {
    checkFunction(task, name, options[name]);
  }
  const { throttlers = [], retry = {}, closeTimeout = 5_000, pause = 1_000 } = options;
  checkNumber(task, "pause", pause, { unit: "milliseconds" });
  checkNumber(task, "closeTimeout", closeTimeout, { unit: "milliseconds" });
  if (retry !== false) checkRetryOptions(task, retry, "retry");
  const { timeout = 60_000, deadline = Infinity, maxBytes = MAX_BYTES } = options;
  checkTimes(task, { timeout, deadline, maxBytes });
  return { throttlers, pause, timeout, deadline, closeTimeout, maxBytes, retry };
}

/**
 * Checks the limits that a session and a call share.
 *
 * @param task The beginning of the message.
 * @param limits The limits by name, all above 0.
 * @throws {TypeError} If a limit is no number.
 * @throws {RangeError} If a limit is out of its range.
 */
export function checkTimes(
  task: string,
  { timeout, deadline, maxBytes }: { timeout: number; deadline: number; maxBytes: number },
): void {
  checkNumber(task, "timeout", timeout, DURATION);
  checkNumber(task, "deadline", deadline, DURATION);
  checkNumber(task, "maxBytes", maxBytes, SIZE);
}

const DURATION: Range = { above: true, unit: "milliseconds" };
const SIZE: Range = { above: true, unit: "bytes" };
