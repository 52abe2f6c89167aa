/**
 * One request and its answer. Internal to {@linkcode Session}.
 *
 * @module
 */

import { BrokerError } from "../common/broker_error.ts";
import { isRefusal } from "../common/check.ts";
import { retryAfter } from "../common/retry_after.ts";
import { type RateLimiter, Throttler } from "../throttler.ts";
import { checkBody, encodeFormData, isForm, type Outgoing } from "./body.ts";
import type { Call } from "./call.ts";
import { SafeHeaders } from "./headers.ts";
import { tryJson } from "./json.ts";
import type { Defaults, Draft, Reply, SessionOptions, SessionStep } from "./options.ts";
import { describe, isRateLimit, refusal } from "./refusal.ts";
import { LOGIN_BEGUN, type Renewal } from "./renewal.ts";
import { decode, type Parse, readRefusal, showsEnd } from "./reply.ts";
import { nameOf, ReplyError } from "./reply_error.ts";
import { RequestError } from "./request_error.ts";
import { NO_SECRETS, sentValues } from "./secrets.ts";
import { abortable } from "./stop.ts";
import { streamOf } from "./stream.ts";
import type { Transport } from "./transport.ts";
import { checkBelow } from "./url.ts";

/** Everything that the exchanges of a session share. */
export interface Venue {
  /** The options of the session. */
  readonly options: SessionOptions;
  /** The options with a default, filled in. */
  readonly defaults: Defaults;
  /** The base URL, with a slash at the end. */
  readonly base: string;
  /** The headers of the session. */
  readonly headers: SafeHeaders;
  /** The login of the session. */
  readonly renewal: Renewal;
  /** Hands requests to `fetch`. */
  readonly transport: Transport;
}

/** One request of a call, and its answer. */
export class Exchange {
  readonly #venue: Venue;
  readonly #call: Call;
  readonly #signal: AbortSignal;
  readonly #start: number;
  #outgoing: Outgoing | undefined;
  #response: Response | undefined;
  #isSigning = false;
  /** The error that the venue class has found in the answer. */
  #own: BrokerError | undefined;

  /**
   * Creates an exchange. Nothing is sent yet.
   *
   * @param venue The session's part.
   * @param call The call.
   * @param signal The signal of this attempt.
   */
  constructor(venue: Venue, call: Call, signal: AbortSignal) {
    this.#venue = venue;
    this.#call = call;
    this.#signal = signal;
    this.#start = venue.options.onEvent ? performance.now() : 0;
  }

  /**
   * Sends the request and reads its answer.
   *
   * @returns The decoded answer.
   * @throws {BrokerError} If it fails.
   * @throws {LOGIN_BEGUN} If a login has begun before the request was sent.
   */
  async run<T>(): Promise<Reply<T>> {
    this.#call.limit(() => this.#isSigning ? "sign() did not end" : "no answer");
    try {
      const outgoing = this.#outgoing = this.#compose();
      if (this.#venue.options.sign) await this.#sign(outgoing, this.#venue.options.sign);
      const { body } = outgoing;
      if (isForm(body)) outgoing.body = await encodeFormData(body, outgoing.headers);
      const isReady = this.#venue.transport.ready(this.#call.request);
      if (isReady) await isReady;
      this.#signal.throwIfAborted();
      this.#checkLogin();
      const sent = performance.now();
      const response = this.#response = await this.#send(outgoing);
      this.#venue.transport.answered(sent);
      this.#hear(response);
      if (!response.ok) throw await this.#inTime(this.#readRefusal(response));
      if (this.#call.request.parse === "stream") return this.#stream<T>(response);
      return this.#accept<T>(response, await this.#inTime(this.#read<T>(response)));
    } catch (cause) {
      if (cause === LOGIN_BEGUN && !this.#call.fate.isSent) throw cause;
      throw await this.#judge(cause);
    }
  }

  /** Puts the headers together, as they are now. */
  #compose(): Outgoing {
    const { request: { target, payload: { body, type }, headers: own } } = this.#call;
    const headers = { ...this.#venue.headers.record };
    if (type) headers["content-type"] = type;
    else if (isForm(body)) delete headers["content-type"]; // it has one of its own
    if (own) Object.assign(headers, own);
    this.#call.generation = this.#venue.renewal.generation;
    return { url: target, headers, body };
  }

  /** Lets the venue class complete the request. */
  async #sign(outgoing: Outgoing, sign: NonNullable<SessionOptions["sign"]>): Promise<void> {
    const { request: { method }, fate: { attempt } } = this.#call;
    const { url, body } = outgoing;
    const headers = new SafeHeaders(outgoing.headers);
    const draft: Draft = { method, url: new URL(url), headers, body, attempt };
    this.#isSigning = true;
    try {
      await abortable((async () => await sign(draft))(), this.#signal);
    } catch (error) {
      if (this.#signal.aborted || error instanceof RequestError) throw error;
      if (!isBrokerError(error)) {
        const words = isRefusal(error) ? `: ${error.message}` : "";
        throw this.#call.error("invalid", `sign() threw ${nameOf(error)}${words}`);
      }
      const { kind, message, retriable: worthwhile, retryAfter } = error;
      const details = { cause: error, worthwhile, retryAfter };
      throw this.#call.error(kind, `sign() threw a BrokerError: ${message}`, details);
    }
    this.#isSigning = false;
    checkBelow(this.#venue.base, draft.url);
    outgoing.url = draft.url.href;
    outgoing.headers = headers.record;
    outgoing.body = checkBody(draft.body);
  }

  /** Refuses to send a request that was composed before a login. */
  #checkLogin(): void {
    const { rules, generation } = this.#call;
    const { isRunning, generation: now } = this.#venue.renewal;
    if (rules.needsLogin && (isRunning || generation !== now)) throw LOGIN_BEGUN;
  }

  /** Hands the request to fetch. */
  #send(outgoing: Outgoing): Promise<Response> {
    const { transport } = this.#venue;
    const { request, fate } = this.#call;
    this.tell({ type: "request" });
    fate.send(transport.mayRepeat(outgoing.body, request));
    return transport.send(outgoing, request, this.#signal);
  }

  /** Takes down the facts from the headers of the answer. */
  #hear({ status, headers, ok }: Response): void {
    if (this.#venue.options.onEvent) { // the clock is read for a listener only
      this.tell({ type: "response", status, duration: performance.now() - this.#start });
    }
    const { failure, sync } = this.#venue.options;
    if (sync) { for (const limiter of this.#call.limiters) this.#sync(headers, limiter, sync); }
    if (ok) return;
    const wait = retryAfter(headers.get("retry-after"));
    // Known already, should the body never end.
    const { details: { outcome } } = refusal(status, "");
    this.#call.fate.hear({ status, outcome, retryAfter: wait });
    // The venue class may know better how long to wait, once it has read the words.
    if (isRateLimit(status) && (wait !== undefined || !failure)) this.#pause(wait);
  }

  /** Tells a throttler how much the venue counts. */
  #sync(
    headers: Headers,
    limiter: RateLimiter,
    sync: NonNullable<SessionOptions["sync"]>,
  ): void {
    if (!(limiter instanceof Throttler)) return;
    quietly(() => {
      const count = sync(headers, limiter);
      if (count instanceof Promise) count.catch(() => {});
      const tokens = count ? limiter.sync(count) : 0;
      if (tokens > 0) this.tell({ type: "excess", tokens });
    });
  }

  /** Pauses the throttlers that the call used. */
  #pause(duration: number = this.#venue.defaults.pause): void {
    for (const limiter of this.#call.limiters) quietly(() => limiter.pause(duration));
  }

  /** Waits for a body until the signal is aborted. That of a runtime's own fetch obeys the signal. */
  #inTime<T>(reading: Promise<T> | undefined): Promise<T> | undefined {
    return reading && this.#venue.options.fetch ? abortable(reading, this.#signal) : reading;
  }

  /** Reads a refusal, and makes the error of its status. */
  async #readRefusal(response: Response): Promise<ReplyError> {
    const { status, headers } = response;
    const text = await readRefusal(response, this.#call.request.maxBytes);
    this.#own = this.#failure({ data: tryJson(text), status, headers });
    return refusal(status, text);
  }

  /** Hands the answer on as a stream, with the call still open. */
  #stream<T>(response: Response): Reply<T> {
    this.#venue.transport.checkEnd(this.#outgoing!, response);
    const end = (error?: BrokerError) => this.#endStream(error);
    const data = streamOf(response, this.#call, this.#signal, end) as T;
    return { data, status: response.status, headers: response.headers };
  }

  /** Reads and decodes a success. */
  #read<T>(response: Response): Promise<T> | undefined {
    const { method, parse, maxBytes } = this.#call.request;
    const { status, headers } = response;
    if (method === "HEAD" || status === 204 || status === 205) return undefined;
    const look = (data: unknown) => this.#refuse({ data, status, headers });
    return decode(response, maxBytes, parse as Exclude<Parse<T>, "stream">, look);
  }

  /** Ends the exchange with an answer in which the venue class finds no error. */
  #accept<T>(response: Response, data: T | undefined): Reply<T> {
    const { status, headers } = response;
    const reply = { data: data as T, status, headers };
    this.#refuse(reply);
    if (!showsEnd(data, this.#call.request.parse)) {
      this.#venue.transport.checkEnd(this.#outgoing!, response);
    }
    this.#call.fate.succeed();
    return reply;
  }

  /** Ends the exchange if the venue class finds an error in an answer of 2xx. */
  #refuse(reply: Reply): void {
    this.#own = this.#failure(reply);
    if (this.#own) throw refusal(reply.status, "");
  }

  /** Asks the venue class for the error in an answer. */
  #failure(reply: Reply): BrokerError | undefined {
    let mistake = "returned no BrokerError";
    try {
      const found: unknown = this.#venue.options.failure?.(reply);
      if (!found) return undefined;
      if (isBrokerError(found)) return found;
      if (found instanceof Promise) found.catch(() => {});
    } catch (error) {
      if (error instanceof BrokerError) return error;
      mistake = `threw ${nameOf(error)}`;
    }
    if (reply.status >= 400) return undefined;
    throw new ReplyError(`failure() ${mistake}`, "decode");
  }

  /** Makes the error of a failed exchange, and ends its request. */
  async #judge(cause: unknown): Promise<BrokerError> {
    const { fate, stop } = this.#call;
    const outgoing = this.#outgoing;
    const response = this.#response;
    const own = this.#own;
    const isLimited = own?.kind === "rate-limited" || isRateLimit(response?.status ?? 0);
    const isLogin = this.#call.request.role === "login";
    const secrets = outgoing && response ? await sentValues(outgoing, isLogin) : NO_SECRETS;
    if (response) fate.hear(describe(response, cause, secrets));
    const usual = fate.explain(cause, this.#signal);
    const error = own ? fate.complete(own, usual, secrets) : usual;
    if (isLimited) this.#pause(error.retryAfter);
    fate.fail(error);
    stop.cancel(error);
    this.tell({ type: "failure", error, duration: performance.now() - this.#start });
    return error;
  }

  #endStream(error?: BrokerError): void {
    const { fate } = this.#call;
    if (!error) return fate.succeed();
    fate.fail(error);
    this.tell({ type: "failure", error, duration: performance.now() - this.#start });
  }

  /** Tells a step to the listener of the session. */
  tell(step: SessionStep): void {
    tell(this.#venue, this.#call, step);
  }
}

/** Whether a value is a BrokerError, perhaps of another copy of this module. */
function isBrokerError(value: unknown): value is BrokerError {
  return value instanceof Error && typeof (value as BrokerError).outcome === "string";
}

/**
 * Tells a step of a call to the listener of the session.
 *
 * @param venue The session's part.
 * @param call The call.
 * @param step The step.
 */
export function tell({ options: { onEvent } }: Venue, call: Call, step: SessionStep): void {
  if (!onEvent) return;
  const { id, request: { method, url }, fate: { attempt } } = call;
  quietly(() => onEvent({ call: id, method, url, attempt, ...step }));
}

/**
 * Calls a function that must not decide about an order: a log, a count.
 *
 * @param fn The function. An error that it throws is ignored, at once or later.
 */
export function quietly(fn: () => unknown): void {
  try {
    const result = fn();
    if (result instanceof Promise) result.catch(() => {});
  } catch {
    // As the doc comments of the hooks say.
  }
}
