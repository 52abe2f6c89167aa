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
import { MAX_TIMER } from "./platform/max_timer.ts";
import { isDeno, isNode, isRepeatedByBun } from "./platform/runtime.ts";
import { retry, type RetryEvent } from "./retry.ts";
import { type Body, checkBody, encodeFormData, type Outgoing, toBlob } from "./session/body.ts";
import { Call } from "./session/call.ts";
import { SafeHeaders } from "./session/headers.ts";
import { tryJson } from "./session/json.ts";
import { OpenCalls } from "./session/open_calls.ts";
import {
  checkOptions,
  type Defaults,
  type Draft,
  type HeadersLike,
  type Repeats,
  type Reply,
  type RequestOptions,
  type SessionEvent,
  type SessionOptions,
  type SessionStep,
} from "./session/options.ts";
import { prepare } from "./session/prepared_request.ts";
import { describe, isRateLimit, refusal, retryAfter } from "./session/refusal.ts";
import { LOGIN_BEGUN, Renewal } from "./session/renewal.ts";
import { decode, type Parse, readRefusal } from "./session/reply.ts";
import { nameOf } from "./session/reply_error.ts";
import { RequestError } from "./session/request_error.ts";
import { sentValues } from "./session/secrets.ts";
import { abortable } from "./session/stop.ts";
import { Timeouts } from "./session/timeouts.ts";
import { checkBelow, parseBase } from "./session/url.ts";
import { runAll, ThrottlerError } from "./throttler.ts";

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
  readonly #defaults: Defaults;
  readonly #timeouts: Timeouts;
  readonly #base: string;
  readonly #headers: SafeHeaders;
  readonly #calls: OpenCalls;
  readonly #renewal: Renewal;
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
    this.#defaults = checkOptions(options);
    // A copy that keeps accessors: a class that is built on this one may set its hooks later.
    this.#options = Object.defineProperties(
      {},
      Object.getOwnPropertyDescriptors(options),
    ) as SessionOptions;
    const { timeout, closeTimeout } = this.#defaults;
    this.#timeouts = new Timeouts(timeout);
    this.#base = parseBase(options.baseUrl);
    this.#headers = new SafeHeaders(options.headers);
    this.#calls = new OpenCalls(closeTimeout);
    this.#renewal = new Renewal(() => this.#options.onUnauthorized, timeout);
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
    const { isBeginning: isLogin } = this.#renewal;
    const request = prepare({ method, path, options, isLogin }, this.#base, this.#defaults);
    const { timeout, deadline, signal } = request;
    const timeouts = timeout === this.#timeouts.delay ? this.#timeouts : new Timeouts(timeout);
    const call = new Call(++this.#count, request, timeouts);
    if (!this.#calls.mayBegin(call)) throw call.error("closed", "the session is closed");
    this.#calls.add(call);
    const abort = () => call.end("aborted", "its signal was aborted", { cause: signal?.reason });
    let timer: ReturnType<typeof setTimeout> | undefined;
    try {
      if (signal?.aborted) abort();
      signal?.addEventListener("abort", abort);
      if (deadline !== Infinity) {
        const late = () => call.end("timeout", `not done within its deadline of ${deadline} ms`);
        timer = setTimeout(late, Math.min(deadline, MAX_TIMER));
      }
      try {
        return await this.#attempt<T>(call);
      } catch (error) {
        return await this.#recover<T>(call, error); // so that only calls that fail pay for it
      }
    } finally {
      this.#calls.remove(call);
      clearTimeout(timer);
      signal?.removeEventListener("abort", abort);
    }
  }

  /**
   * Logs in anew, as a 401 does: joins the login that is under way, or begins one. Calls that have not
   * been sent wait for it. A timer that calls this before a token expires loses no call.
   *
   * @returns A promise of the end of the login. It rejects with the error of `onUnauthorized`.
   * @throws {BrokerError} If the session has no `onUnauthorized`, or is closed.
   */
  async renew(): Promise<void> {
    const { isBeginning, isPossible } = this.#renewal;
    const refuse = (kind: BrokerErrorKind, why: string) =>
      new BrokerError(`Cannot renew the login: ${why}`, { kind, outcome: "not-sent" });
    if (this.#calls.isClosing) throw refuse("closed", "the session is closed");
    if (!isPossible) throw refuse("invalid", "there is no way to, wanted onUnauthorized");
    if (isBeginning) throw refuse("invalid", "this is the login, which would wait for itself");
    await this.#renewal.run();
  }

  /**
   * Closes the session. To close again does nothing more.
   *
   * - Calls made later are refused.
   * - Waits and GETs end at once, with kind `"closed"`.
   * - An order that has been handed to `fetch` comes to its end, for at most `closeTimeout`. So no
   *   order is left of unknown fate whose fate could be known.
   *
   * @returns A promise of the end of the last request.
   */
  close(): Promise<void> {
    return this.#calls.close();
  }

  /** Closes the session. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
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
        this.#emit(call, { type: "retry", delay: event.delay, error: event.error as BrokerError });
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
      const mayRenew = call.rules.needsLogin && !call.isReplayed && this.#renewal.isPossible &&
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
    call.limit("no new login");
    try {
      await abortable(this.#renewal.renew(generation), signal);
    } catch (cause) {
      call.isFinal = true;
      if (signal.aborted) throw cause;
      const value = { value: cause, configurable: true, writable: true };
      throw Object.defineProperty(refusal, "cause", value);
    } finally {
      stop.finish();
    }
  }

  /** Makes an attempt. A call that a login overtakes on the way waits for the login and goes on. */
  async #attempt<T>(call: Call): Promise<Reply<T>> {
    call.fate.attempt++;
    while (true) {
      if (call.rules.needsLogin && this.#renewal.isRunning) await this.#hold(call);
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
      while (this.#renewal.isRunning) await abortable(this.#renewal.run(), signal);
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
    const { request: { throttlers, cost }, rules, stop } = call;
    const signal = stop.begin();
    let isStarted = false;
    let leaveNoMore = () => {};
    const start = () => {
      isStarted = true;
      leaveNoMore();
      return this.#exchange<T>(call, signal);
    };
    try {
      const reply = runAll(throttlers, start, { cost, signal });
      if (!isStarted && rules.needsLogin) {
        leaveNoMore = this.#renewal.onBegin(() => stop.cancel(LOGIN_BEGUN));
      }
      return await reply;
    } catch (cause) {
      if (isStarted || signal.aborted) throw cause;
      throw refusalOf(call, cause);
    } finally {
      leaveNoMore();
      stop.finish();
    }
  }

  /** Sends one request and reads its answer. */
  async #exchange<T>(call: Call, signal: AbortSignal): Promise<Reply<T>> {
    const { fate, request: { method, parse, maxBytes } } = call;
    const { onEvent, sign } = this.#options;
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
      this.#checkLogin(call);
      if (body !== undefined || !call.request.isIdempotent) body = toBlob(body);
      response = await this.#send(call, { ...out, body }, signal);
      const { status, headers, ok } = response;
      this.#emit(call, { type: "response", status, duration: performance.now() - start });
      this.#limit(call, response);
      if (!ok) {
        // Known already, should its body never end.
        const { details: { outcome } } = refusal(status, "");
        fate.hear({ status, outcome, retryAfter: retryAfter(headers.get("retry-after")) });
        const text = await readRefusal(response, maxBytes);
        own = this.#failure(call, { data: tryJson(text), status, headers });
        throw refusal(status, text);
      }
      const isEmpty = method === "HEAD" || status === 204 || status === 205;
      const data = isEmpty ? undefined : await decode(response, maxBytes, parse);
      const reply = { data: data as T, status, headers };
      own = this.#failure(call, reply);
      if (own) throw refusal(status, "");
      fate.succeed();
      return reply;
    } catch (cause) {
      if (cause === LOGIN_BEGUN) throw cause;
      const secrets = out && response ? await sentValues(out) : [];
      if (response) fate.hear(describe(response, cause, secrets));
      const usual = fate.explain(cause, signal);
      const error = own ? fate.complete(own, usual, secrets) : usual;
      fate.fail(error);
      call.stop.cancel(error);
      this.#emit(call, { type: "failure", error, duration: performance.now() - start });
      throw error;
    }
  }

  /** Refuses to send a request that was made before a login. */
  #checkLogin({ rules, generation }: Call): void {
    const { isRunning, generation: now } = this.#renewal;
    if (rules.needsLogin && (isRunning || generation !== now)) throw LOGIN_BEGUN;
  }

  #outgoing(call: Call): Outgoing {
    const { target, payload: { body, type }, headers: own } = call.request;
    const headers = { ...this.#headers.record };
    if (type) headers["content-type"] = type;
    else if (body instanceof FormData) delete headers["content-type"]; // it has one of its own
    Object.assign(headers, own);
    call.generation = this.#renewal.generation;
    return { url: target, headers, body };
  }

  async #sign(call: Call, out: Outgoing, sign: Sign, signal: AbortSignal): Promise<void> {
    const { request: { method }, fate: { attempt } } = call;
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

  #send(call: Call, { url, headers, body }: Outgoing, signal: AbortSignal): Promise<Response> {
    const { method, isSafe } = call.request;
    const { fetch: send = fetch, fetchOptions } = this.#options;
    const init: RequestInit & { duplex?: "half" } = { ...fetchOptions, method, headers, signal };
    init.redirect = "manual"; // a redirect would take the keys along
    if (!isSafe && isRepeatedByBun(method)) init.keepalive = false;
    if (isNode && body instanceof Blob) {
      init.headers = { ...headers, "content-length": `${body.size}` };
      init.body = body.stream();
      init.duplex = "half";
    } else init.body = body;
    this.#emit(call, { type: "request" });
    call.fate.send(!isSafe && isDeno && body === undefined);
    return send(url, init);
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
  #limit({ request: { throttlers } }: Call, { status, headers }: Response): void {
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

  #emit({ request: { method, url }, fate: { attempt } }: Call, step: SessionStep): void {
    quietly(() => this.#options.onEvent?.({ method, url, attempt, ...step }));
  }
}

/** Makes the error of a call that a throttler refused. */
function refusalOf(call: Call, cause: unknown): BrokerError {
  const isFull = cause instanceof ThrottlerError && cause.kind === "full";
  const kind = isFull ? "rate-limited" : cause instanceof RangeError ? "invalid" : "closed";
  return call.error(kind, "a throttler did not let it pass", { cause });
}

/** Calls a function that must not decide about an order: a log, a count. */
function quietly(fn: () => unknown): void {
  try {
    const result = fn();
    if (result instanceof Promise) result.catch(() => {});
  } catch {
    // As the doc comment of each of them says.
  }
}
