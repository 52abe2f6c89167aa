/**
 * The one error of a session: why a call failed, and the fate of the request.
 *
 * @module
 */

/**
 * Why a call failed.
 *
 * | kind | |
 * |---|---|
 * | `"network"` | refused, unresolved, reset, cut short, not HTTP, TLS, or an answer of 5xx |
 * | `"timeout"` | no whole answer within `timeout` or `deadline`, or an answer of 408 |
 * | `"rate-limited"` | an answer of 429 or 418, the venue's own words for that, or a throttler whose queue is full |
 * | `"unauthorized"` | an answer of 401 |
 * | `"rejected"` | any other 4xx |
 * | `"decode"` | the answer cannot be decoded: text where JSON was expected, for instance |
 * | `"redirect"` | the answer points elsewhere; a session never follows |
 * | `"too-large"` | the answer is longer than `maxBytes` |
 * | `"closed"` | the session was closed |
 * | `"aborted"` | the caller's signal was aborted; its reason is the error's `cause` |
 * | `"invalid"` | the call could not be made as asked, or the runtime denies it |
 *
 * @example What a program does about each kind
 * ```ts
 * import { BrokerError, type BrokerErrorKind } from "@aio-trader/core/session";
 * import { assertEquals } from "@std/assert";
 *
 * const advice: Partial<Record<BrokerErrorKind, string>> = {
 *   "unauthorized": "log in again",
 *   "rate-limited": "wait",
 *   "invalid": "mend the program",
 * };
 * const error = new BrokerError("Cannot POST", { kind: "invalid", outcome: "not-sent" });
 * assertEquals(advice[error.kind], "mend the program");
 * ```
 */
export type BrokerErrorKind =
  | "network"
  | "timeout"
  | "rate-limited"
  | "unauthorized"
  | "rejected"
  | "decode"
  | "redirect"
  | "too-large"
  | "closed"
  | "aborted"
  | "invalid";

/**
 * The fate of the request.
 *
 * | outcome | meaning | may an order be placed again? |
 * |---|---|---|
 * | `"not-sent"` | the last request never reached the venue; one before was refused, if there was one | yes |
 * | `"rejected"` | the venue refused the request | yes, once the cause is mended |
 * | `"absent"` | the venue was asked afterwards, and has no such order | yes |
 * | `"unknown"` | the order may have been executed | no: ask the venue first |
 *
 * `"absent"` comes from a reconciliation only: see `reconcile`.
 *
 * @example May the order be placed again?
 * ```ts
 * import { BrokerError, type Outcome } from "@aio-trader/core/session";
 * import { assertEquals } from "@std/assert";
 *
 * const isFree = (outcome: Outcome) => outcome === "not-sent" || outcome === "absent";
 * const error = new BrokerError("No answer", { kind: "timeout", outcome: "unknown" });
 *
 * assertEquals(isFree(error.outcome), false); // ask the venue first
 * ```
 */
export type Outcome = "not-sent" | "rejected" | "absent" | "unknown";

/**
 * The parts of a {@linkcode BrokerError}.
 *
 * @example The words of a venue, as an error
 * ```ts
 * import { BrokerError, type BrokerErrorInit } from "@aio-trader/core/session";
 * import { assertEquals } from "@std/assert";
 *
 * const init: BrokerErrorInit = { kind: "rate-limited", outcome: "rejected", retryAfter: 2_000 };
 * const error = new BrokerError("Too many requests", init);
 *
 * assertEquals([error.kind, error.retryAfter], ["rate-limited", 2_000]);
 * ```
 */
export interface BrokerErrorInit {
  /** Why the call failed. */
  kind: BrokerErrorKind;
  /** The fate of the request. */
  outcome: Outcome;
  /** The method, `POST`. */
  method?: string | undefined;
  /** Origin and path: never the query. */
  url?: string | undefined;
  /** The HTTP status, where the venue answered. */
  status?: number | undefined;
  /**
   * The venue's own code; of a network error the runtime's (`ECONNREFUSED`), where it gives one.
   */
  code?: string | number | undefined;
  /** The id under which the venue's support finds the request. */
  requestId?: string | undefined;
  /** How long the venue asks to wait, in milliseconds. */
  retryAfter?: number | undefined;
  /** The beginning of the answer, at most 512 characters, without anything that was sent. */
  body?: string | undefined;
  /** Whether to repeat the call is both safe and worthwhile. @default {false} */
  retriable?: boolean | undefined;
  /** Set only where the cause cannot hold a secret of the session's. */
  cause?: unknown | undefined;
}

/**
 * Says why a call failed, and the fate of its request.
 *
 * - No header, query string or request body is in any property, or in message, stack or cause.
 * - A secret does not belong into a path: the path is shown.
 *
 * @example When may an order be placed again?
 * ```ts
 * import { BrokerError, type Outcome } from "@aio-trader/core/session";
 * import { assertEquals } from "@std/assert";
 *
 * function mayPlaceAgain(error: unknown): boolean {
 *   return error instanceof BrokerError && error.outcome !== "unknown";
 * }
 * const error = (outcome: Outcome) => new BrokerError("No answer", { kind: "timeout", outcome });
 *
 * assertEquals(mayPlaceAgain(error("not-sent")), true);
 * assertEquals(mayPlaceAgain(error("absent")), true); // the venue was asked: it has no such order
 * assertEquals(mayPlaceAgain(error("unknown")), false); // it may have been executed
 * assertEquals(mayPlaceAgain(new TypeError("x is not a function")), false);
 * ```
 */
export class BrokerError extends Error {
  /** `"BrokerError"`. */
  override readonly name: string = "BrokerError";
  /** Why the call failed. */
  readonly kind: BrokerErrorKind;
  /** The fate of the request. */
  readonly outcome: Outcome;
  /** The method, `POST`. */
  declare readonly method?: string | undefined;
  /** Origin and path: never the query. */
  declare readonly url?: string | undefined;
  /** The HTTP status, where the venue answered. */
  declare readonly status?: number | undefined;
  /**
   * The venue's own code; of a network error the runtime's (`ECONNREFUSED`), where it gives one.
   */
  declare readonly code?: string | number | undefined;
  /** The id under which the venue's support finds the request. */
  declare readonly requestId?: string | undefined;
  /** How long the venue asks to wait, in milliseconds. */
  declare readonly retryAfter?: number | undefined;
  /** The beginning of the answer, at most 512 characters, without anything that was sent. */
  declare readonly body?: string | undefined;
  /** Whether to repeat the call is both safe and worthwhile. {@linkcode retry} goes by it. */
  readonly retriable: boolean;

  /**
   * Creates an error.
   *
   * @param message Why the call failed, in words.
   * @param init Everything else.
   */
  constructor(message: string, init: BrokerErrorInit) {
    const { kind, outcome, retriable = false, cause, ...details } = init;
    super(message, cause === undefined ? undefined : { cause });
    this.kind = kind;
    this.outcome = outcome;
    this.retriable = retriable;
    for (const name of DETAILS) {
      const { [name]: value } = details;
      if (value !== undefined) Object.assign(this, { [name]: value });
    }
  }
}

const DETAILS = ["method", "url", "status", "code", "requestId", "retryAfter", "body"] as const;
