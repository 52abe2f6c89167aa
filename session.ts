/**
 * HTTP for orders: throttled, retried where that is safe, and honest about what became of each request.
 *
 * @module
 */

import {
  BrokerError,
  type BrokerErrorInit,
  type BrokerErrorKind,
  type Outcome,
} from "./common/broker_error.ts";
import { notPositive } from "./common/check.ts";
import { MAX_TIMER } from "./platform/max_timer.ts";
import { retry, type RetryEvent } from "./retry.ts";
import { type Body, checkBody, encodeFormData, type Outgoing } from "./session/body.ts";
import { abortable, Call, type Repeats, type RequestOptions } from "./session/call.ts";
import { SafeHeaders } from "./session/headers.ts";
import { tryJson } from "./session/json.ts";
import { describe, isRateLimit, refusal, retryAfter } from "./session/refusal.ts";
import { decode, type Parse, readRefusal } from "./session/reply.ts";
import { nameOf } from "./session/reply_error.ts";
import { RequestError } from "./session/request_error.ts";
import { NO_SECRETS, sentValues } from "./session/secrets.ts";
import { Timeouts } from "./session/timeouts.ts";
import { Transport } from "./session/transport.ts";
import { checkBelow, parseBase } from "./session/url.ts";
import { runAll, type Throttler, ThrottlerError, type VenueCount } from "./throttler.ts";

export {
  type Body,
  BrokerError,
  type BrokerErrorInit,
  type BrokerErrorKind,
  type Outcome,
  type Parse,
  type Repeats,
  type RequestOptions,
};

/** An answer of the venue's. */
export interface Reply<T = unknown> {
  /** The decoded body. */
  data: T;
  /** The HTTP status. */
  status: number;
  /** The headers of the answer. */
  headers: Headers;
}

/** A request that is about to be sent, for {@linkcode SessionOptions.sign} to complete. */
export interface Draft {
  /** The method, `POST`. */
  readonly method: string;
  /** The URL, with the query. It may be changed or replaced, below the base URL. */
  url: URL;
  /** The headers. A malformed value is refused without being quoted. */
  readonly headers: Headers;
  /** The encoded body: `json` and `form` are strings by now, so that they can be signed as they will be sent. */
  body: string | Uint8Array<ArrayBuffer> | Blob | FormData | undefined;
  /** Which attempt of this call, from 1. */
  readonly attempt: number;
}

/** A step of a call, as {@linkcode SessionEvent} tells it. */
export type SessionStep =
  /** A request is handed to `fetch`. */
  | { type: "request" }
  /** The headers of an answer have arrived, after so many milliseconds. */
  | { type: "response"; status: number; duration: number }
  /** An attempt has failed, after so many milliseconds. */
  | { type: "failure"; error: BrokerError; duration: number }
  /** The call is repeated after so many milliseconds. */
  | { type: "retry"; error: BrokerError; delay: number };

/** What {@linkcode SessionOptions.onEvent} is told. It holds no secret. */
export type SessionEvent = SessionStep & {
  /** The method, `POST`. */
  method: string;
  /** Origin and path: never the query. */
  url: string;
  /** Which attempt of this call, from 1. */
  attempt: number;
};

/** Options of a {@linkcode Session}. Durations are in milliseconds. */
export interface SessionOptions {
  /** Where the venue is: origin and path, `https://api.kite.trade`. Every call stays below it. */
  baseUrl: string | URL;
  /** Sent with every call; to be changed later through {@linkcode Session.headers}. */
  headers?: HeadersInit;
  /**
   * Every call waits for all of these. A call can name others.
   *
   * @default {[]}
   */
  throttlers?: readonly Throttler[];
  /**
   * Longest time from the start of an attempt to the last byte of its answer, in milliseconds; it starts once
   * the throttlers let the call pass. `Infinity` sets no limit.
   *
   * @default {60_000}
   */
  timeout?: number;
  /**
   * Longest time of a whole call, with its waits and repeats, in milliseconds. `Infinity` sets no limit.
   *
   * @default {Infinity}
   */
  deadline?: number;
  /**
   * Longest answer, in bytes, after decompression. `Infinity` sets no limit.
   *
   * @default {64 * 1024 * 1024}
   */
  maxBytes?: number;
  /**
   * When to repeat and how long to wait. `shouldRetry` can add to what is repeated, but an order is never
   * repeated unless it was not sent. What `onRetry` throws is ignored. `false` repeats nothing.
   *
   * @default the defaults of {@linkcode RetryOptions}, with a `jitter` of 0.5
   */
  retry?: Repeats | false;
  /**
   * Completes a request just before it is sent: once per attempt, after the throttlers, so that timestamps are
   * fresh. What it throws is not shown, as it may hold a key: only its name is.
   */
  sign?: (draft: Draft) => void | Promise<void>;
  /**
   * Logs in anew after a 401: once for all the calls that were refused; then each of them is replayed, once.
   * What it throws is what they all reject with.
   */
  onUnauthorized?: () => void | Promise<void>;
  /**
   * Finds the venue's own error in an answer of any status; what is missing in the error is filled in. After a 401,
   * 408, 418, 429 or 5xx its words and code count, but the status decides kind and outcome.
   */
  failure?: (reply: Reply) => BrokerError | undefined;
  /** Reads the venue's rate limit headers, for each throttler that the call used. What it throws is ignored. */
  sync?: (headers: Headers, throttler: Throttler) => VenueCount | undefined;
  /**
   * What sends the requests. It must obey the signal that it is given.
   *
   * @default {globalThis.fetch}
   */
  fetch?: typeof fetch;
  /** More options for `fetch`, such as Deno's `client`, undici's `dispatcher` or Bun's `proxy`. */
  fetchOptions?: Record<string, unknown>;
  /** Told of every step. What it throws is ignored: a log must not decide about an order. */
  onEvent?: (event: SessionEvent) => void;
}

type Sign = NonNullable<SessionOptions["sign"]>;

/**
 * A venue's HTTP interface.
 *
 * @example Usage
 * ```ts
 * import { Session } from "@aio-trader/core/session";
 * import { assertEquals } from "@std/assert";
 *
 * const session = new Session({
 *   baseUrl: "https://api.venue.example/v1",
 *   fetch: () => Promise.resolve(Response.json({ id: 1 })), // instead of a real venue
 * });
 * assertEquals(await session.post("orders", { json: { symbol: "INFY", quantity: 1 } }), { id: 1 });
 * await session.close();
 * ```
 */
export class Session {
  readonly #options: SessionOptions;
  readonly #maxBytes: number;
  readonly #timeouts: Timeouts;
  readonly #transport: Transport;
  readonly #base: string;
  readonly #headers: SafeHeaders;
  readonly #calls = new Set<Call>();
  #closing: PromiseWithResolvers<void> | undefined;
  /** The last login after a 401, whether it goes on, and how many have ended. */
  #renewal: Promise<void> | undefined;
  #isRenewing = false;
  /** Whether `onUnauthorized` is being called: what it sends before its first `await` is the login. */
  #isLoggingIn = false;
  #generation = 0;

  /**
   * Creates a session. Nothing is sent yet.
   *
   * @param options Where the venue is, and how to talk to it.
   * @throws {TypeError} If `baseUrl` or a header is malformed.
   * @throws {RangeError} If a number is out of its range.
   */
  constructor(options: SessionOptions) {
    const { timeout = 60_000, deadline = Infinity, maxBytes = 64 * 1024 * 1024 } = options;
    for (const [name, value] of Object.entries({ timeout, deadline, maxBytes })) {
      const problem = notPositive(name, value);
      if (problem) throw new RangeError(problem);
    }
    if (options.retry) retry(options.retry); // validates
    this.#options = { ...options };
    this.#maxBytes = maxBytes;
    this.#timeouts = new Timeouts(timeout);
    this.#transport = new Transport(this.#options);
    this.#base = parseBase(options.baseUrl);
    this.#headers = new SafeHeaders(options.headers);
  }

  /** The headers sent with every call from now on. A malformed value is refused without being quoted. */
  get headers(): Headers {
    return this.#headers;
  }

  /**
   * Sends a GET, which is repeated where it fails.
   *
   * @returns The decoded answer.
   * @throws {BrokerError} If it fails.
   */
  async get<T = unknown>(path: string, options?: RequestOptions<T>): Promise<T> {
    return (await this.request<T>("GET", path, options)).data;
  }

  /**
   * Sends a POST, at most once.
   *
   * @returns The decoded answer.
   * @throws {BrokerError} If it fails.
   */
  async post<T = unknown>(path: string, options?: RequestOptions<T>): Promise<T> {
    return (await this.request<T>("POST", path, options)).data;
  }

  /**
   * Sends a PUT, at most once unless `idempotent` says otherwise.
   *
   * @returns The decoded answer.
   * @throws {BrokerError} If it fails.
   */
  async put<T = unknown>(path: string, options?: RequestOptions<T>): Promise<T> {
    return (await this.request<T>("PUT", path, options)).data;
  }

  /**
   * Sends a PATCH, at most once.
   *
   * @returns The decoded answer.
   * @throws {BrokerError} If it fails.
   */
  async patch<T = unknown>(path: string, options?: RequestOptions<T>): Promise<T> {
    return (await this.request<T>("PATCH", path, options)).data;
  }

  /**
   * Sends a DELETE, at most once unless `idempotent` says otherwise.
   *
   * @returns The decoded answer.
   * @throws {BrokerError} If it fails.
   */
  async delete<T = unknown>(path: string, options?: RequestOptions<T>): Promise<T> {
    return (await this.request<T>("DELETE", path, options)).data;
  }

  /**
   * Sends a request.
   *
   * @param method GET, HEAD, OPTIONS, POST, PUT, PATCH or DELETE.
   * @param path Where to, below the base URL; it may hold a query.
   * @param options What to send, and how.
   * @returns The answer.
   * @throws {BrokerError} If it fails.
   */
  async request<T = unknown>(
    method: string,
    path: string,
    options: RequestOptions<T> = {},
  ): Promise<Reply<T>> {
    const call = new Call(method, this.#base, options, this.#options, this.#timeouts);
    call.prepare(this.#base, path);
    const refused = this.#transport.refusal(call);
    if (refused) throw call.error("invalid", refused);
    call.renewed = this.#isLoggingIn;
    if (this.#closing) throw call.error("closed", "the session is closed");
    this.#calls.add(call);
    const { deadline, options: { signal } } = call;
    const abort = () => call.stop("aborted", "its signal was aborted", { cause: signal?.reason });
    let timer: ReturnType<typeof setTimeout> | undefined;
    try {
      if (signal?.aborted) abort();
      signal?.addEventListener("abort", abort);
      if (deadline !== Infinity) {
        const late = () => call.stop("timeout", `not done within its deadline of ${deadline} ms`);
        timer = setTimeout(late, Math.min(deadline, MAX_TIMER));
      }
      try {
        return await this.#attempt<T>(call);
      } catch (error) {
        return await this.#recover<T>(call, error); // so that only calls that fail pay for it
      }
    } finally {
      this.#calls.delete(call);
      clearTimeout(timer);
      signal?.removeEventListener("abort", abort);
      if (this.#calls.size === 0) this.#finish();
    }
  }

  /**
   * Ends every call, waiting or in flight, and waits until their requests have ended. Calls made later are
   * refused. To close again does nothing more.
   */
  close(): Promise<void> {
    if (!this.#closing) {
      this.#closing = Promise.withResolvers();
      for (const call of this.#calls) call.stop("closed", "the session was closed");
      if (this.#calls.size === 0) this.#finish();
    }
    return this.#closing.promise;
  }

  /** Closes the session. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #finish(): void {
    this.#closing?.resolve();
  }

  /** What can still be done for a call whose first attempt has failed: a new login, repeats. */
  async #recover<T>(call: Call, error: unknown): Promise<Reply<T>> {
    const options = call.options.retry ?? this.#options.retry;
    const failures = [error];
    const attempt = () => this.#renewed<T>(call, failures.pop());
    if (options === false) return await attempt();
    const { shouldRetry, onRetry, ...rest } = { ...options };
    return await retry(attempt, {
      jitter: 0.5,
      ...rest,
      signal: call.signal,
      shouldRetry: (error) => call.mayRepeat(error) && (shouldRetry?.(error) ?? error.retriable),
      onRetry: (event: RetryEvent) => {
        this.#emit(call, { type: "retry", delay: event.delay, error: event.error as BrokerError });
        quietly(() => onRetry?.(event));
      },
    })();
  }

  /** An attempt, or what is left of one that failed; after a 401 it is made again with a new login, once. */
  async #renewed<T>(call: Call, failure?: unknown): Promise<Reply<T>> {
    try {
      if (failure) throw failure;
      return await this.#attempt<T>(call);
    } catch (error) {
      const { onUnauthorized } = this.#options;
      const isRefused = error instanceof BrokerError && error.kind === "unauthorized" &&
        (call.isIdempotent || error.outcome === "rejected");
      if (!isRefused || !onUnauthorized || call.options.renew === false || call.renewed) {
        if (isRefused) call.final = true; // another repeat would be refused as well
        throw error;
      }
      call.renewed = true;
      await this.#login(call, onUnauthorized);
      return await this.#renewed<T>(call);
    }
  }

  /** Waits until the session has logged in anew since the call's request was sent; makes it do so where nobody has. */
  async #login(call: Call, onUnauthorized: () => void | Promise<void>): Promise<void> {
    if (call.generation === this.#generation && !this.#isRenewing) {
      this.#isRenewing = this.#isLoggingIn = true;
      this.#renewal = (async () => await onUnauthorized())().finally(() => {
        this.#isRenewing = false;
        this.#generation++;
      });
      this.#isLoggingIn = false;
      this.#renewal.catch(() => {}); // heard of by those who wait, if any still do
    }
    const signal = call.begin();
    call.limit("no new login");
    try {
      await abortable(this.#renewal!, signal);
    } catch (error) {
      call.final = true;
      throw error;
    } finally {
      call.end();
    }
  }

  async #attempt<T>(call: Call): Promise<Reply<T>> {
    call.attempt++;
    const signal = call.begin();
    let isStarted = false;
    const start = () => {
      isStarted = true;
      return this.#exchange<T>(call, signal);
    };
    try {
      return await runAll(call.throttlers, start, { cost: call.options.cost, signal });
    } catch (cause) {
      if (isStarted || signal.aborted) throw cause;
      const isFull = cause instanceof ThrottlerError && cause.kind === "full";
      const kind = isFull ? "rate-limited" : cause instanceof RangeError ? "invalid" : "closed";
      throw call.error(kind, "a throttler did not let it pass", { cause });
    } finally {
      call.end();
    }
  }

  /** One request and its answer. */
  async #exchange<T>(call: Call, signal: AbortSignal): Promise<Reply<T>> {
    const { onEvent, sign } = this.#options;
    const { method, options: { parse } } = call;
    const start = onEvent ? performance.now() : 0;
    call.limit("no answer");
    let out: Outgoing | undefined;
    let response: Response | undefined;
    let own: BrokerError | undefined;
    try {
      out = this.#outgoing(call);
      if (sign) await this.#sign(call, out, sign, signal);
      let { body } = out;
      if (body instanceof FormData) body = await encodeFormData(body, out.headers);
      const isReady = this.#transport.ready(call);
      if (isReady) await isReady;
      signal.throwIfAborted();
      response = await this.#send(call, { ...out, body }, signal);
      const { status, headers, ok } = response;
      this.#emit(call, { type: "response", status, duration: performance.now() - start });
      this.#limit(call, response);
      if (!ok) {
        // Known already, should its body never end.
        const { details: { outcome } } = refusal(status, "");
        call.seen = { status, outcome, retryAfter: retryAfter(headers.get("retry-after")) };
        const text = await readRefusal(response, this.#maxBytes);
        own = this.#failure(call, { data: tryJson(text), status, headers });
        throw refusal(status, text);
      }
      const isEmpty = method === "HEAD" || status === 204 || status === 205;
      const data = isEmpty ? undefined : await decode(response, this.#maxBytes, parse);
      const reply = { data: data as T, status, headers };
      own = this.#failure(call, reply);
      if (own) throw refusal(status, "");
      return reply;
    } catch (cause) {
      const secrets = out && response ? await sentValues(out) : NO_SECRETS;
      if (response) call.seen = describe(response, cause, secrets);
      const usual = call.fault(cause);
      const error = own ? call.complete(own, usual, secrets) : usual;
      call.abandon(error);
      this.#emit(call, { type: "failure", error, duration: performance.now() - start });
      throw error;
    }
  }

  #outgoing(call: Call): Outgoing {
    const { target, payload: { body, type } } = call;
    const headers = { ...this.#headers.record };
    if (type) headers["content-type"] = type;
    else if (body instanceof FormData) delete headers["content-type"]; // it has one of its own
    Object.assign(headers, call.headers);
    call.generation = this.#generation;
    return { url: target, headers, body };
  }

  async #sign(call: Call, out: Outgoing, sign: Sign, signal: AbortSignal): Promise<void> {
    const { method, attempt } = call;
    const { body } = out;
    const headers = new SafeHeaders(out.headers);
    const draft: Draft = { method, url: new URL(out.url), headers, body, attempt };
    try {
      await abortable((async () => await sign(draft))(), signal);
    } catch (error) {
      if (signal.aborted || error instanceof RequestError) throw error;
      throw call.error("invalid", `sign() threw ${nameOf(error)}`);
    }
    checkBelow(this.#base, draft.url);
    out.url = draft.url.href;
    out.headers = headers.record;
    out.body = checkBody(draft.body);
  }

  #send(call: Call, out: Outgoing, signal: AbortSignal): Promise<Response> {
    this.#emit(call, { type: "request" });
    if (this.#transport.mayRepeat(out.body, call)) call.before = "unknown";
    call.sent = true;
    return this.#transport.send(out, call, signal);
  }

  /** What the venue's own envelope says, if it is an error. */
  #failure(call: Call, reply: Reply): BrokerError | undefined {
    try {
      return this.#options.failure?.(reply);
    } catch (error) {
      if (error instanceof BrokerError) return error;
      if (reply.status >= 400) return undefined;
      throw call.error("decode", `failure() threw ${nameOf(error)}`);
    }
  }

  /** Passes on what an answer says about rate limits. */
  #limit({ throttlers }: Call, { status, headers }: Response): void {
    if (throttlers.length === 0) return;
    const wait = isRateLimit(status) ? retryAfter(headers.get("retry-after")) : undefined;
    const { sync } = this.#options;
    for (const throttler of throttlers) {
      if (wait !== undefined) throttler.pause(wait);
      if (!sync) continue;
      quietly(() => {
        const count = sync(headers, throttler);
        if (count) throttler.sync(count);
      });
    }
  }

  #emit(call: Call, step: SessionStep): void {
    const { method, url, attempt } = call;
    quietly(() => this.#options.onEvent?.({ method, url, attempt, ...step }));
  }
}

/** Calls what must not decide about an order: a log, a count. */
function quietly(fn: () => unknown): void {
  try {
    const result = fn();
    if (result instanceof Promise) result.catch(() => {});
  } catch {
    // As the doc comment of each of them says.
  }
}
