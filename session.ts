/**
 * Sends HTTP requests to a venue: throttled, repeated only where that is safe, and with the fate of
 * each order told.
 *
 * @module
 */

import {
  BrokerError,
  type BrokerErrorInit,
  type BrokerErrorKind,
  type Outcome,
} from "./common/broker_error.ts";
import { MAX_TIMER } from "./platform/max_timer.ts";
import { settle } from "./common/inquiry.ts";
import { retry, type RetryEvent } from "./retry.ts";
import type { Body } from "./session/body.ts";
import { Call } from "./session/call.ts";
import { Exchange, quietly, tell, type Venue } from "./session/exchange.ts";
import { type HeadersLike, SafeHeaders } from "./session/headers.ts";
import { OpenCalls } from "./session/open_calls.ts";
import {
  checkOptions,
  type Draft,
  type Repeats,
  type Reply,
  type RequestOptions,
  type SessionEvent,
  type SessionOptions,
  type SessionStep,
} from "./session/options.ts";
import { prepare, type PreparedRequest } from "./session/prepared_request.ts";
import { LOGIN_BEGUN, Renewal } from "./session/renewal.ts";
import type { Parse } from "./session/reply.ts";
import { abortable } from "./session/stop.ts";
import { Timeouts } from "./session/timeouts.ts";
import { Transport } from "./session/transport.ts";
import { parseBase } from "./session/url.ts";
import { type CallOptions, type RateLimiter, runAll, ThrottlerError } from "./throttler.ts";

export {
  type Body,
  BrokerError,
  type BrokerErrorInit,
  type BrokerErrorKind,
  type Draft,
  type HeadersLike,
  type Outcome,
  type Parse,
  type Repeats,
  type Reply,
  type RequestOptions,
  type SessionEvent,
  type SessionOptions,
  type SessionStep,
};

/** Microtasks from the end of a call to the start of the next, where one follows another. */
const PATIENCE = 16;

/**
 * Sends requests to a venue, each order at most once.
 *
 * - **At most once**: a POST, PUT, PATCH or DELETE is sent again only if it was certainly not sent
 *   before, or after a 401, which refused it. No runtime repeats it by itself. Where a runtime may,
 *   such as a browser, the call is refused in words.
 * - **A fate**: every failure is a {@linkcode BrokerError}, whose `outcome` tells whether the
 *   request may have been executed. With the option `reconcile` the session then asks the venue.
 * - **No secret**: no header, query or body stands in an error or an event.
 * - **One venue**: every call stays below `baseUrl`, and no redirect is followed.
 * - **An end**: each attempt ends by its `timeout`, each call by its `deadline`, all calls by
 *   {@linkcode Session.close}.
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
  readonly #venue: Venue;
  readonly #calls: OpenCalls;
  /** The timer that all attempts share which have the session's own timeout. */
  readonly #shared: Timeouts;
  #count = 0;

  /**
   * Creates a session. Nothing is sent yet.
   *
   * @param options Where the venue is, and how to talk to it. An accessor among the options is read
   *   each time that the option is needed.
   * @throws {TypeError} If `baseUrl` or a header is malformed, or an option is of the wrong type.
   * @throws {RangeError} If a number is out of its range.
   */
  constructor(options: SessionOptions) {
    const defaults = checkOptions(options);
    const { timeout, closeTimeout } = defaults;
    // A copy that keeps accessors: a class that is built on this one may set its hooks later.
    const copy: SessionOptions = Object.defineProperties(
      { baseUrl: "" },
      Object.getOwnPropertyDescriptors(options),
    );
    this.#venue = {
      options: copy,
      defaults,
      base: parseBase(options.baseUrl),
      headers: new SafeHeaders(options.headers),
      renewal: new Renewal(() => copy.onUnauthorized, timeout),
      transport: new Transport(copy),
    };
    this.#calls = new OpenCalls(closeTimeout);
    this.#shared = new Timeouts(timeout, PATIENCE);
  }

  /**
   * The headers sent with every call from now on. A malformed value is refused without being
   * quoted.
   */
  get headers(): Headers {
    return this.#venue.headers;
  }

  /**
   * Sends a GET, which is repeated where it fails.
   *
   * @param path Path below the base URL; it may hold a query.
   * @param options The query, headers and limits of the call.
   * @returns The decoded answer.
   * @throws {BrokerError} If it fails.
   */
  async get<T = unknown>(path: string, options?: RequestOptions<T>): Promise<T> {
    return (await this.request<T>("GET", path, options)).data;
  }

  /**
   * Sends a POST, at most once.
   *
   * @param path Path below the base URL; it may hold a query.
   * @param options The body, and how to send it.
   * @returns The decoded answer.
   * @throws {BrokerError} If it fails.
   */
  async post<T = unknown>(path: string, options?: RequestOptions<T>): Promise<T> {
    return (await this.request<T>("POST", path, options)).data;
  }

  /**
   * Sends a PUT, at most once unless `idempotent` says otherwise.
   *
   * @param path Path below the base URL; it may hold a query.
   * @param options The body, and how to send it.
   * @returns The decoded answer.
   * @throws {BrokerError} If it fails.
   */
  async put<T = unknown>(path: string, options?: RequestOptions<T>): Promise<T> {
    return (await this.request<T>("PUT", path, options)).data;
  }

  /**
   * Sends a PATCH, at most once.
   *
   * @param path Path below the base URL; it may hold a query.
   * @param options The body, and how to send it.
   * @returns The decoded answer.
   * @throws {BrokerError} If it fails.
   */
  async patch<T = unknown>(path: string, options?: RequestOptions<T>): Promise<T> {
    return (await this.request<T>("PATCH", path, options)).data;
  }

  /**
   * Sends a DELETE, at most once unless `idempotent` says otherwise.
   *
   * @param path Path below the base URL; it may hold a query.
   * @param options The body, and how to send it.
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
    const { base, defaults, transport, renewal: { isBeginning: isLogin } } = this.#venue;
    const request = prepare({ method, path, options, isLogin }, base, defaults);
    const call = new Call(++this.#count, request, this.#timeouts(request.timeout));
    if (!this.#calls.mayBegin(call)) throw call.error("closed", "the session is closed");
    const refusal = transport.refusal(request);
    if (refusal) throw call.error("invalid", refusal);
    this.#open(call);
    try {
      return await this.#attempt<T>(call);
    } catch (failure) {
      return await this.#recover<T>(call, failure).catch((error) =>
        this.#reconcile<T>(call, error)
      );
    } finally {
      if (!call.isStreaming) call.release();
    }
  }

  /**
   * Logs in anew, as a 401 does: joins the login that is under way, or begins one. Calls that have
   * not been sent wait for it. A timer that calls this before a token expires loses no call.
   *
   * @returns A promise of the end of the login. It rejects with the error of `onUnauthorized`.
   * @throws {BrokerError} If the session has no `onUnauthorized`, or is closed.
   */
  async renew(): Promise<void> {
    const { isBeginning, isPossible } = this.#venue.renewal;
    const refuse = (kind: BrokerErrorKind, why: string) =>
      new BrokerError(`Cannot renew the login: ${why}`, { kind, outcome: "not-sent" });
    if (this.#calls.isClosing) throw refuse("closed", "the session is closed");
    if (!isPossible) throw refuse("invalid", "there is no way to, wanted onUnauthorized");
    if (isBeginning) throw refuse("invalid", "this is the login, which would wait for itself");
    await this.#venue.renewal.run();
  }

  /**
   * Closes the session. To close again does nothing more.
   *
   * - Calls made later are refused.
   * - Waits and GETs end at once, with kind `"closed"`.
   * - An order that has been handed to `fetch`, and its reconciliation, come to their end, for at
   *   most `closeTimeout`. So no order is left of unknown fate whose fate could be known. After
   *   that time the order rejects with kind `"closed"`, outcome `"unknown"`.
   *
   * @returns A promise of the end of the last request.
   */
  async close(): Promise<void> {
    await this.#calls.close();
    this.#shared.stop();
    this.#venue.renewal.giveUp("closed", "the session was closed");
  }

  /** Closes the session. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** The timer of attempts that may take so long. */
  #timeouts(timeout: number): Timeouts {
    return timeout === this.#shared.delay ? this.#shared : new Timeouts(timeout);
  }

  /** Opens a call: from now on its signal, its deadline and `close()` can end it. */
  #open(call: Call): void {
    const { signal, deadline } = call.request;
    const abort = () => call.end("aborted", "its signal was aborted", { cause: signal?.reason });
    const late = () => {
      if (call.isReconciling) return; // a reconciliation has a timeout of its own
      call.end("timeout", `not done within its deadline of ${deadline} ms`);
    };
    const timer = deadline < Infinity ? setTimeout(late, Math.min(deadline, MAX_TIMER)) : undefined;
    call.release = () => {
      this.#calls.remove(place);
      clearTimeout(timer);
      signal?.removeEventListener("abort", abort);
    };
    const place = this.#calls.add(call);
    if (signal?.aborted) abort();
    signal?.addEventListener("abort", abort);
  }

  /** Goes on with a call whose first attempt has failed: with a new login, and with repeats. */
  async #recover<T>(call: Call, error: unknown): Promise<Reply<T>> {
    const { request: { retry: options }, stop } = call;
    const failures = [error];
    const attempt = () => this.#renewed<T>(call, failures.pop());
    if (options === false) return await attempt();
    const { shouldRetry, onRetry, ...rest } = options;
    return await retry(attempt, {
      jitter: 0.5,
      ...rest,
      signal: stop.signal,
      shouldRetry: (error) =>
        call.mayRepeat(error) && this.#calls.mayBegin(call) &&
        (shouldRetry?.(error) ?? error.retriable),
      onRetry: (event: RetryEvent) => {
        tell(this.#venue, call, {
          type: "retry",
          delay: event.delay,
          error: event.error as BrokerError,
        });
        quietly(() => onRetry?.(event));
      },
    })();
  }

  /**
   * Makes an attempt, and after a 401 logs in and makes the attempt again, once.
   *
   * @param failure The error of an attempt that was made already.
   */
  async #renewed<T>(call: Call, failure?: unknown): Promise<Reply<T>> {
    try {
      if (failure) throw failure;
      return await this.#attempt<T>(call);
    } catch (error) {
      const isRefused = error instanceof BrokerError && error.kind === "unauthorized" &&
        (call.request.isIdempotent || error.outcome === "rejected");
      if (!isRefused || call.isFinal) throw error;
      const mayRenew = call.rules.needsLogin && !call.isReplayed &&
        this.#venue.renewal.isPossible &&
        this.#calls.mayBegin(call);
      if (!mayRenew) call.isFinal = true; // another repeat would be refused as well
      if (!mayRenew) throw error;
      call.isReplayed = true;
      await this.#logIn(call, error);
      return await this.#renewed<T>(call);
    }
  }

  /** Waits until the session has logged in since the refused request was made. */
  async #logIn(call: Call, refusal: BrokerError): Promise<void> {
    const { stop, generation } = call;
    const signal = stop.begin();
    call.limit(() => "no new login");
    try {
      await abortable(this.#venue.renewal.renew(generation), signal);
    } catch (cause) {
      call.isFinal = true;
      if (signal.aborted) throw cause;
      const value = { value: cause, configurable: true, writable: true };
      throw Object.defineProperty(refusal, "cause", value);
    } finally {
      stop.finish();
    }
  }

  /** Asks the venue for the fate of an order that no answer came for. */
  async #reconcile<T>(call: Call, error: unknown): Promise<Reply<T>> {
    const { request: { reconcile, signal }, fate: { endedAt: ended } } = call;
    const isUnknown = error instanceof BrokerError && error.outcome === "unknown";
    if (!reconcile || !isUnknown || signal?.aborted || this.#calls.isClosed) throw error;
    const over = call.reconcile();
    const data = await settle(error, { ...reconcile, ended, signal: over }) as T;
    return { data, status: 0, headers: new Headers(), reconciled: true };
  }

  /** Makes an attempt. A call that a login overtakes on the way waits for the login and goes on. */
  async #attempt<T>(call: Call): Promise<Reply<T>> {
    call.fate.attempt++;
    while (true) {
      if (call.rules.needsLogin && this.#venue.renewal.isRunning) await this.#hold(call);
      try {
        return await this.#inLine<T>(call);
      } catch (error) {
        if (error !== LOGIN_BEGUN) throw error;
      }
    }
  }

  /** Waits for the login that is under way, in no line and without a timeout. */
  async #hold(call: Call): Promise<void> {
    const signal = call.stop.begin();
    try {
      while (this.#venue.renewal.isRunning) {
        await abortable(this.#venue.renewal.hold(call.id), signal);
      }
    } catch (cause) {
      if (signal.aborted) throw cause;
      call.isFinal = true;
      throw call.error("unauthorized", "the login that it waited for has failed", { cause });
    } finally {
      call.stop.finish();
    }
  }

  /** Waits until every throttler lets the call pass, then sends the request. */
  async #inLine<T>(call: Call): Promise<Reply<T>> {
    const { request: { throttlers, cost, isUrgent: urgent }, rules, stop } = call;
    const signal = stop.begin();
    let isStarted = false;
    let leaveNoMore = () => {};
    const start = () => {
      isStarted = true;
      leaveNoMore();
      return new Exchange(this.#venue, call, signal).run<T>();
    };
    try {
      const reply = pass(throttlers, start, { cost, signal, urgent });
      if (!isStarted && rules.needsLogin) {
        // One that leaves may let another start, whose request must not be touched.
        const leave = () => isStarted || stop.cancel(LOGIN_BEGUN);
        leaveNoMore = this.#venue.renewal.onBegin(leave, urgent);
      }
      return await reply;
    } catch (cause) {
      if (isStarted || signal.aborted) throw cause;
      throw refusalOf(call, cause);
    } finally {
      leaveNoMore();
      if (!call.isStreaming) stop.finish();
    }
  }
}

/** Calls `start` as soon as every throttler lets the call pass. The usual call has one, or none. */
function pass<T>(
  throttlers: PreparedRequest["throttlers"],
  start: () => Promise<T>,
  options: CallOptions,
): Promise<T> {
  const [first] = throttlers;
  if (first === undefined) return start();
  // A charge has no `run`, and neither has an entry that runAll refuses in words.
  const isAlone = throttlers.length === 1 && typeof Object(first).run === "function";
  return isAlone ? (first as RateLimiter).run(start, options) : runAll(throttlers, start, options);
}

/** The kind of error that each refusal of a throttler is. */
const KINDS: Readonly<Record<string, BrokerErrorKind>> = {
  full: "rate-limited",
  closed: "closed",
  unavailable: "network",
};

/** Makes the error of a call that a throttler refused. */
function refusalOf(call: Call, cause: unknown): BrokerError {
  const isRefusal = cause instanceof ThrottlerError;
  const isMisuse = cause instanceof RangeError || cause instanceof TypeError;
  const kind = isRefusal ? KINDS[cause.kind] : isMisuse ? "invalid" : "closed";
  // "Cannot start a call: its cost is 3, …": the texts of throttlers hold numbers only.
  const [, words = ""] = isRefusal || isMisuse
    ? /^Cannot [^:]*(:.*)$/.exec(cause.message) ?? []
    : [];
  return call.error(kind, `a throttler did not let it pass${words}`, { cause });
}
