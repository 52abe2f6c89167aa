/**
 * The request of a call: checked and encoded once, then unchangeable. Internal to
 * {@linkcode Session}.
 *
 * @module
 */

import { BrokerError } from "../common/broker_error.ts";
import { checkBoolean, checkObject, checkSignal, refuse } from "../common/check.ts";
import { isLookUp } from "../common/look_up.ts";
import { checkRetryOptions } from "../common/retry_options.ts";
import { checkReconcile, type ReconcileOptions } from "../common/inquiry.ts";
import type { Charge, RateLimiter } from "../throttler.ts";
import { encodeBody, type Payload } from "./body.ts";
import { type HeaderRecord, SafeHeaders } from "./headers.ts";
import { checkTimes, type Defaults, type Repeats, type RequestOptions } from "./options.ts";
import type { Parse } from "./reply.ts";
import { nameOf } from "./reply_error.ts";
import { RequestError } from "./request_error.ts";
import { type Role, roleOf, RULES } from "./role.ts";
import { resolve, withoutQuery } from "./url.ts";

/** The methods that a session sends. */
const METHODS = ["GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"];

/** How many of the methods, from the first, only read. */
const SAFE_METHODS = 3;

/** The request of a call, with all defaults filled in. */
export interface PreparedRequest {
  /** The method, in upper case. */
  readonly method: string;
  /** The URL, with the query. */
  readonly target: string;
  /** The URL as it may be shown: origin and path. */
  readonly url: string;
  /** The encoded body. */
  readonly payload: Payload;
  /** The headers of this call, beside those of the session. */
  readonly headers: HeaderRecord | undefined;
  /** Whether the method only reads. */
  readonly isSafe: boolean;
  /** Whether a second execution does no harm. */
  readonly isIdempotent: boolean;
  /** The role, which decides about lines, logins and closing. */
  readonly role: Role;
  /** The throttlers that the call waits for. */
  readonly throttlers: readonly (RateLimiter | Charge)[];
  /** Tokens that the call spends at each throttler without a cost beside it. */
  readonly cost: number | undefined;
  /** Whether the call goes before others in line. */
  readonly isUrgent: boolean;
  /** The caller's signal. */
  readonly signal: AbortSignal | undefined;
  /** Longest time of an attempt, in milliseconds. */
  readonly timeout: number;
  /** Longest time of the whole call, in milliseconds. */
  readonly deadline: number;
  /** Longest answer, in bytes. */
  readonly maxBytes: number;
  /** When to repeat. */
  readonly retry: Repeats | false;
  /** How the answer is decoded. */
  readonly parse: Parse<unknown> | undefined;
  /** How to find out the fate of the order. */
  readonly reconcile: ReconcileOptions<unknown> | undefined;
}

/** The limits of a call. */
type Limits = Pick<PreparedRequest, "timeout" | "deadline" | "maxBytes" | "retry">;

/** A call as its caller asks for it. */
export interface Wish {
  /** The method, in any case. */
  readonly method: string;
  /** The path below the base URL. */
  readonly path: string;
  /** The options of the call. */
  readonly options: RequestOptions;
  /** Whether the call is part of a login, whatever its options say. */
  readonly isLogin: boolean;
}

/**
 * Checks a call and encodes its request.
 *
 * @param wish The call.
 * @param base The base URL of the session, with a slash at the end.
 * @param defaults The options of the session.
 * @returns The request.
 * @throws {BrokerError} If the request cannot be sent: kind `"invalid"`, outcome `"not-sent"`.
 */
export function prepare(wish: Wish, base: string, defaults: Defaults): PreparedRequest {
  const method = String(wish.method).toUpperCase();
  let url = base;
  try {
    const { options, path } = wish;
    const limits = checkLimits(options, defaults);
    const isSafe = checkMethod(method, options);
    const target = resolve(base, path, options.query);
    url = withoutQuery(target);
    const isLogin = wish.isLogin || options.renew === false;
    const role = roleOf({ isLogin, isLookUp: isLookUp(options.signal), isSafe });
    return {
      method,
      target,
      url,
      payload: checkPayload(method, isSafe, encodeBody(options)),
      headers: options.headers && new SafeHeaders(options.headers).record,
      isSafe,
      isIdempotent: options.idempotent ?? isSafe,
      role,
      throttlers: options.throttlers ?? defaults.throttlers,
      cost: options.cost,
      isUrgent: options.urgent ?? RULES[role].isUrgent,
      signal: options.signal,
      timeout: limits.timeout, // a spread would cost as much as all the rest of this function
      deadline: limits.deadline,
      maxBytes: limits.maxBytes,
      retry: limits.retry,
      parse: options.parse,
      reconcile: options.reconcile,
    };
  } catch (error) {
    // Only a text of our own is shown: one that a getter of the caller throws may hold a key.
    const message = error instanceof RequestError
      ? error.message
      : `Cannot ${method} ${url}: ${nameOf(error)} was thrown`;
    throw new BrokerError(message, { kind: "invalid", outcome: "not-sent", method, url });
  }
}

/** The limits of a call, checked, with the session's where the call has none of its own. */
function checkLimits(options: RequestOptions, defaults: Defaults): Limits {
  const task = "Cannot send a request";
  try {
    checkObject(task, "options", options);
    const { timeout = defaults.timeout, deadline = defaults.deadline } = options;
    const { maxBytes = defaults.maxBytes, retry = defaults.retry, reconcile } = options;
    checkSignal(task, "signal", options.signal);
    checkBoolean(task, "idempotent", options.idempotent);
    checkBoolean(task, "renew", options.renew);
    checkBoolean(task, "urgent", options.urgent);
    if (retry !== false && retry !== defaults.retry) checkRetryOptions(task, retry, "retry");
    if (reconcile !== undefined) checkReconcile(reconcile);
    checkParse(task, options.parse);
    const limits = { timeout, deadline, maxBytes, retry };
    checkTimes(task, limits);
    return limits;
  } catch (error) {
    throw new RequestError((error as Error).message);
  }
}

/** Checks `parse` before anything is sent: a misspelt one would lose the answer to an order. */
function checkParse(task: string, parse: unknown): void {
  const words = ["json", "text", "bytes", "stream"];
  if (parse === undefined || typeof parse === "function" || words.includes(parse as string)) return;
  refuse(task, "parse", parse, '"json", "text", "bytes", "stream" or a function');
}

/** Checks that a session sends this method, and says whether the method only reads. */
function checkMethod(method: string, { idempotent }: RequestOptions): boolean {
  const index = METHODS.indexOf(method);
  if (index < 0) {
    throw new RequestError(`Cannot use the method: wanted one of ${METHODS.join(", ")}`);
  }
  if (index < SAFE_METHODS && idempotent === false) {
    throw new RequestError(
      `Cannot send a ${method} only once: any runtime may repeat it, wanted POST`,
    );
  }
  return index < SAFE_METHODS;
}

/** Checks that a method which only reads has no body. */
function checkPayload(method: string, isSafe: boolean, payload: Payload): Payload {
  if (!isSafe || payload.body === undefined) return payload;
  throw new RequestError(
    `Cannot send a body with ${method}: wanted POST, PUT, PATCH or DELETE`,
  );
}
