/**
 * The fate of a call's requests: which of them may have been executed. All errors of a call are
 * made here, so that each says so. Internal to {@linkcode Session}.
 *
 * @module
 */

import {
  BrokerError,
  type BrokerErrorInit,
  type BrokerErrorKind,
  type Outcome,
} from "../common/broker_error.ts";
import { networkFault } from "../platform/network_error.ts";
import type { PreparedRequest } from "./prepared_request.ts";
import { isDecisive } from "./refusal.ts";
import { type Details, nameOf, ReplyError } from "./reply_error.ts";
import { RequestError } from "./request_error.ts";
import { excerpt, redact, type Secrets } from "./secrets.ts";

/** The part of a request that an error shows or depends on. */
type Shown = Pick<PreparedRequest, "method" | "url" | "isSafe" | "isIdempotent">;

/** The fate of the requests of one call, from the first attempt to the last. */
export class Fate {
  readonly #request: Shown;
  /** How many attempts have begun. */
  attempt = 0;
  /** The `performance.now()` at which the last request ended without success. */
  endedAt = 0;
  /** The outcome of the requests that have ended. Once `"unknown"`, it stays `"unknown"`. */
  #past: Outcome = "not-sent";
  /** Whether a request has been handed to fetch and has not ended. */
  #isSent = false;
  /** The facts from the headers of the answer, while the body is being read. */
  #answer: Details = {};

  /**
   * Creates the fate of a call that has sent nothing.
   *
   * @param request The request of the call.
   */
  constructor(request: Shown) {
    this.#request = request;
  }

  /** Whether a request has been handed to fetch and has not ended. */
  get isSent(): boolean {
    return this.#isSent;
  }

  /**
   * Takes down that a request is handed to fetch.
   *
   * @param isDoubtful Whether the runtime may repeat the request in silence.
   */
  send(isDoubtful: boolean): void {
    this.#isSent = true;
    if (isDoubtful) this.#past = "unknown";
  }

  /** Takes down the facts from the answer. */
  hear(answer: Details): void {
    this.#answer = answer;
  }

  /** Takes down that a request has ended well. */
  succeed(): void {
    this.#isSent = false;
    this.#answer = {};
  }

  /** Takes down that an attempt has ended with an error. */
  fail(error: BrokerError): void {
    if (this.#past !== "unknown") this.#past = error.outcome;
    this.#isSent = false;
    this.#answer = {};
    this.endedAt = performance.now();
  }

  /**
   * Makes an error of the call, with the sentence "Cannot POST https://…: why".
   *
   * @param kind The kind of the error.
   * @param why The reason, in words.
   * @param details Everything else that is known.
   * @returns The error, with the outcome of the whole call.
   */
  error(kind: BrokerErrorKind, why: string, details: Details = {}): BrokerError {
    const { method, url, isSafe, isIdempotent } = this.#request;
    const { worthwhile = false, message, outcome: own, ...rest } = { ...this.#answer, ...details };
    let outcome = own ?? (this.#isSent ? "unknown" : this.#past);
    // An order may be refused now because an earlier request of the same call was executed.
    if (this.#past === "unknown" && !(isSafe && own === "rejected")) outcome = "unknown";
    const doubt = outcome === "unknown" && !isSafe ? "; it may have been executed" : "";
    const retriable = worthwhile && (isIdempotent || outcome === "not-sent");
    return new BrokerError(message ?? `Cannot ${method} ${url}: ${why}${doubt}`, {
      ...rest,
      kind,
      outcome,
      method,
      url,
      retriable,
    });
  }

  /**
   * Makes an error of the call from anything that was thrown.
   *
   * @param error The thrown value. Only texts of this library are quoted: a native text may hold a
   *   key.
   * @param signal The signal of the request.
   * @returns The error.
   */
  explain(error: unknown, signal: AbortSignal): BrokerError {
    if (error instanceof BrokerError) return error;
    if (error instanceof ReplyError) return this.error(error.kind, error.message, error.details);
    // An aborted request failed for the reason of the abort, whatever the runtime throws.
    if (signal.aborted) return signal.reason;
    if (!this.#isSent) {
      const message = error instanceof RequestError ? error.message : undefined;
      return this.error("invalid", `${nameOf(error)} was thrown`, { message });
    }
    const { isUnsent, isTls, code, refusal } = networkFault(error);
    if (refusal) return this.error("invalid", refusal, { outcome: "not-sent" });
    const why = isTls
      ? "TLS failed"
      : isUnsent
      ? "the venue was not reached"
      : "the connection failed";
    const outcome = isUnsent ? "not-sent" : "unknown";
    return this.error("network", why, { outcome, code, worthwhile: !isTls });
  }

  /**
   * Completes an error that a venue class has made of an answer: adds the missing properties, and
   * takes everything that was sent out of its texts.
   *
   * There was an answer, so the outcome cannot be `"not-sent"`. After some statuses the words of
   * the venue do not change kind and outcome.
   *
   * @param own The error of the venue class. It is changed, unless the class has kept it from an
   *   earlier answer, whose facts it holds, or has frozen it.
   * @param usual The error that the status alone would give.
   * @param secrets The values that were sent.
   * @returns The same error, or a copy.
   */
  complete(own: BrokerError, usual: BrokerError, secrets: Secrets): BrokerError {
    const error = fresh(own);
    const { message, stack } = error;
    const isDecided = isDecisive(usual.status);
    const { kind, retriable } = isDecided ? usual : error;
    const isKnown = isDecided || this.#past === "unknown";
    const said = error.outcome === "not-sent" ? "rejected" : error.outcome;
    const outcome = isKnown ? usual.outcome : said;
    const { keys, values } = secrets;
    const all = { ...usual, ...error, kind, outcome, retriable, url: usual.url };
    // The time until a reset is below 0 where the clocks differ, and NaN where a header is missing.
    if (!isWait(all.retryAfter)) all.retryAfter = usual.retryAfter;
    if (typeof all.code === "string") all.code = redact(all.code, keys);
    if (all.requestId !== undefined) all.requestId = excerpt(String(all.requestId), keys);
    if (all.body !== undefined) all.body = excerpt(String(all.body), values);
    // The words are the venue class's own: short ones stay readable.
    Object.assign(error, all, { message: redact(message, keys) });
    error.stack = stack?.replace(message, () => error.message);
    delete error.cause;
    return error;
  }
}

/** Whether a value says how long to wait, or says nothing. */
function isWait(value: unknown): boolean {
  return value === undefined || (typeof value === "number" && value >= 0);
}

/** The words of errors of venue classes, before an answer completed them. */
const SAID = new WeakMap<BrokerError, BrokerErrorInit & { message: string }>();

/** Copies an error that has been completed already, or cannot be: a copy knows of no answer. */
function fresh(error: BrokerError): BrokerError {
  const said = SAID.get(error) ?? { ...error, message: error.message };
  if (SAID.has(error) || !Object.isExtensible(error)) return new BrokerError(said.message, said);
  SAID.set(error, said);
  return error;
}
