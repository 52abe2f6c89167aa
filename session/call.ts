/**
 * One call of a session, from its options to its last error. Internal to {@linkcode Session}.
 *
 * @module
 */

import { BrokerError, type BrokerErrorKind, type Outcome } from "../common/broker_error.ts";
import { notPositive } from "../common/check.ts";
import { networkFault } from "../platform/network_error.ts";
import { retry, type RetryOptions } from "../retry.ts";
import type { Throttler } from "../throttler.ts";
import { type Body, encodeBody, type Payload } from "./body.ts";
import { type HeaderRecord, SafeHeaders } from "./headers.ts";
import { isDecisive } from "./refusal.ts";
import type { Parse } from "./reply.ts";
import { type Details, nameOf, ReplyError } from "./reply_error.ts";
import { RequestError } from "./request_error.ts";
import { excerpt, keysOf, redact, type Secrets } from "./secrets.ts";
import { Timeouts } from "./timeouts.ts";
import { resolve, withoutQuery } from "./url.ts";

/** Options of the repeats of a call. */
export type Repeats = Omit<RetryOptions, "signal" | "close">;

/** Options of a single call. Durations are in milliseconds. */
export interface RequestOptions<T = unknown> {
  /** Added to the URL: an object, or pairs. Lists repeat their name; `undefined` and `null` are left out. */
  query?: object;
  /** Sent as JSON; bigints keep their digits. */
  json?: unknown;
  /** Sent as a form: an object, or pairs. Lists repeat their name; `undefined` and `null` are left out. */
  form?: object;
  /** Sent as it is. */
  body?: Body;
  /** Added to the session's headers, or instead of those of the same name. */
  headers?: HeadersInit;
  /** Instead of the session's throttlers. `[]` waits for none. */
  throttlers?: readonly Throttler[];
  /** What the call counts for at each throttler. @default {1} */
  cost?: number;
  /** Ends the call. */
  signal?: AbortSignal;
  /** Instead of the session's `timeout`. */
  timeout?: number;
  /** Instead of the session's `deadline`. */
  deadline?: number;
  /**
   * Whether it does no harm if the venue gets the request more than once. Only then may a request that may have
   * been executed be repeated.
   *
   * No runtime may repeat it by itself, so it goes out as a `Blob`, and from Bun a PUT or DELETE on a connection of
   * its own. Without a body it is then chunked on Deno over HTTP/1.1; a venue that refuses that says 411. `true`
   * sends a request without a body as it is, which Deno may repeat in silence: there, all of its failures have the
   * outcome `"unknown"`.
   *
   * @default whether the method is GET, HEAD or OPTIONS
   */
  idempotent?: boolean;
  /** Instead of the session's `retry`. */
  retry?: Repeats | false;
  /**
   * Whether a 401 makes the session log in anew. Say `false` in the calls that log in: they would wait for
   * themselves.
   *
   * @default {true}
   */
  renew?: boolean;
  /**
   * How the answer is decoded. By default its type decides: text for `text/…` (except HTML, which no venue
   * means), bytes for other binary types, and else JSON, which must then be there. An answer of `text/plain`
   * that begins as JSON does is JSON. 204, 205 and the answer to a HEAD are `undefined`.
   */
  parse?: Parse<T>;
}

const METHODS = ["GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"];

/** The state of a call, and the errors that it can end with. */
export class Call {
  /** The method, in upper case. */
  readonly method: string;
  /** What the caller asked for. */
  readonly options: RequestOptions;
  /** What it waits for. */
  readonly throttlers: readonly Throttler[];
  /** Longest time of all, in milliseconds. */
  readonly deadline: number;
  /** Whether the venue only answers. */
  readonly isSafe: boolean;
  /** Whether it may reach the venue more than once. */
  readonly isIdempotent: boolean;
  /** What is sent. */
  payload: Payload = { body: undefined, type: undefined };
  /** The headers that the caller gave. */
  headers: HeaderRecord | undefined;
  /** Where to, with the query. */
  target = "";
  /** Where to, as it may be shown. */
  url: string;
  /** How many requests have been begun. */
  attempt = 0;
  /** With which login the last of them was sent. */
  generation = 0;
  /** Whether it has been handed to fetch and is not settled. */
  sent = false;
  /** What its answer says. */
  seen: Details = {};
  /** What became of those before: once nobody can say, nobody ever can. */
  before: Outcome = "not-sent";
  /** Whether one has been replayed after a 401. */
  renewed = false;
  /** Whether nothing can help any more. */
  final = false;
  #stopped: BrokerError | undefined;
  #whole: AbortController | undefined;
  #part: AbortController | undefined;
  readonly #timeouts: Timeouts;
  #late: (() => void) | undefined;

  /** Creates a call, which checks nothing yet. */
  constructor(
    method: string,
    base: string,
    options: RequestOptions,
    defaults: Pick<RequestOptions, "throttlers" | "deadline">,
    timeouts: Timeouts,
  ) {
    this.method = String(method).toUpperCase();
    this.options = options;
    this.throttlers = options.throttlers ?? defaults.throttlers ?? [];
    const { timeout = timeouts.delay } = options;
    this.#timeouts = timeout === timeouts.delay ? timeouts : new Timeouts(timeout);
    this.deadline = options.deadline ?? defaults.deadline ?? Infinity;
    this.isSafe = METHODS.indexOf(this.method) < 3;
    this.isIdempotent = options.idempotent ?? this.isSafe;
    this.url = base;
  }

  /** Aborts when the call is ended. Most calls never need it. */
  get signal(): AbortSignal {
    if (!this.#whole) {
      this.#whole = new AbortController();
      if (this.#stopped) this.#whole.abort(this.#stopped);
    }
    return this.#whole.signal;
  }

  /**
   * Goes on only if nothing has ended the call.
   *
   * @throws {BrokerError} What has ended it.
   */
  throwIfStopped(): void {
    if (this.#stopped) throw this.#stopped;
  }

  /** Ends the call: its waits and its request. */
  stop(kind: BrokerErrorKind, why: string, details?: Details): void {
    this.#stopped ??= this.error(kind, why, details);
    this.#whole?.abort(this.#stopped);
    this.#part?.abort(this.#stopped);
  }

  /** Begins a part of the call. Whatever ends it too early aborts the signal. */
  begin(): AbortSignal {
    this.throwIfStopped();
    this.#part = new AbortController();
    return this.#part.signal;
  }

  /** From now on the part has as long as `timeout` says. */
  limit(why: string): void {
    const { delay } = this.#timeouts;
    this.#late = () => {
      const { sent: worthwhile } = this;
      this.#part?.abort(this.error("timeout", `${why} within ${delay} ms`, { worthwhile }));
    };
    this.#timeouts.add(this.#late);
  }

  /** Ends a request that failed, and leaves no connection behind that waits for the rest of an answer. */
  abandon(error: BrokerError): void {
    if (this.before !== "unknown") this.before = error.outcome;
    this.#part?.abort(error);
  }

  /** Ends a part of the call. */
  end(): void {
    if (this.#late) this.#timeouts.remove(this.#late);
    this.#part = undefined;
    this.sent = false;
    this.seen = {};
  }

  /**
   * Checks and encodes what is to be sent.
   *
   * @throws {BrokerError} If it cannot be sent.
   */
  prepare(base: string, path: string): void {
    try {
      if (!METHODS.includes(this.method)) {
        throw new RequestError(`Cannot use the method: wanted one of ${METHODS.join(", ")}`);
      }
      const { signal } = this.options;
      if (signal !== undefined && typeof signal?.addEventListener !== "function") {
        throw new RequestError(
          `Cannot use signal: it is a ${typeof signal}, wanted an AbortSignal`,
        );
      }
      const problem = notPositive("timeout", this.#timeouts.delay) ??
        notPositive("deadline", this.deadline) ?? invalid(this.options.retry);
      if (problem) throw new RequestError(problem);
      this.target = resolve(base, path, this.options.query);
      this.url = withoutQuery(this.target);
      this.payload = encodeBody(this.options);
      if (this.options.headers) this.headers = new SafeHeaders(this.options.headers).record;
      if (this.isSafe && this.payload.body !== undefined) {
        throw new RequestError(
          `Cannot send a body with ${this.method}: wanted POST, PUT, PATCH or DELETE`,
        );
      }
      if (this.isSafe && !this.isIdempotent) {
        throw new RequestError(
          `Cannot send a ${this.method} only once: any runtime may repeat it, wanted POST`,
        );
      }
    } catch (error) {
      throw this.fault(error);
    }
  }

  /** Makes an error of this call, with the sentence "Cannot POST https://…: why". */
  error(kind: BrokerErrorKind, why: string, details: Details = {}): BrokerError {
    const { method, url } = this;
    const { worthwhile = false, message, outcome: own, ...rest } = { ...this.seen, ...details };
    let outcome = own ?? (this.sent ? "unknown" : this.before);
    // An order that was refused now may be refused because it was executed before.
    if (this.before === "unknown" && !(this.isSafe && own === "rejected")) outcome = "unknown";
    const doubt = outcome === "unknown" && !this.isSafe ? "; it may have been executed" : "";
    const retriable = worthwhile && (this.isIdempotent || outcome === "not-sent");
    return new BrokerError(message ?? `Cannot ${method} ${url}: ${why}${doubt}`, {
      ...rest,
      kind,
      outcome,
      method,
      url,
      retriable,
    });
  }

  /** Makes an error of whatever was thrown. Only what was made here is quoted: a native error may hold a key. */
  fault(error: unknown): BrokerError {
    if (error instanceof BrokerError) return error;
    if (error instanceof ReplyError) return this.error(error.kind, error.message, error.details);
    // However a runtime puts it: what was aborted failed for our reason.
    if (this.#part?.signal.aborted) return this.#part.signal.reason;
    if (!this.sent) {
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
    return this.error("network", why, {
      outcome: isUnsent ? "not-sent" : "unknown",
      code,
      worthwhile: !isTls,
    });
  }

  /**
   * Adds to a subclass's error what the session knows, and takes out of its texts what was sent. There was an
   * answer, so it cannot be `"not-sent"`; and after some statuses a venue's words do not change what is known.
   */
  complete(error: BrokerError, usual: BrokerError, secrets: Secrets): BrokerError {
    const { message, stack, outcome: own } = error;
    const isDecided = isDecisive(usual.status);
    const { kind, retriable } = isDecided ? usual : error;
    const isKnown = isDecided || this.before === "unknown";
    const outcome = isKnown ? usual.outcome : own === "not-sent" ? "rejected" : own;
    const keys = keysOf(secrets);
    const all = { ...usual, ...error, kind, outcome, retriable };
    if (typeof all.code === "string") all.code = redact(all.code, keys);
    if (all.body !== undefined) all.body = excerpt(all.body, secrets);
    // The words are the subclass's: short ones stay readable.
    Object.assign(error, all, { message: redact(message, keys) });
    error.stack = stack?.replace(message, () => error.message);
    delete error.cause;
    return error;
  }

  /** Whether the session may go on after this error. */
  mayRepeat(error: unknown): error is BrokerError {
    return !this.final && !this.#stopped && error instanceof BrokerError &&
      (this.isIdempotent || error.outcome === "not-sent");
  }
}

/** Says what is wrong with options of repeats, if anything is. */
function invalid(options: Repeats | false | undefined): string | undefined {
  try {
    if (options) retry(options);
  } catch (error) {
    return (error as Error).message;
  }
}

/** Waits for a promise, but not longer than until the signal is aborted. */
export function abortable<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  const { promise: aborted, reject } = Promise.withResolvers<never>();
  const abort = () => reject(signal.reason);
  if (signal.aborted) abort();
  signal.addEventListener("abort", abort);
  return Promise.race([promise, aborted]).finally(() => signal.removeEventListener("abort", abort));
}
