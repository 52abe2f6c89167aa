/**
 * The one error of a session: what went wrong, and what became of the request.
 *
 * @module
 */

/**
 * What went wrong with a call.
 *
 * | kind | |
 * |---|---|
 * | `"network"` | refused, unresolved, reset, cut short, not HTTP, TLS, or an answer of 5xx |
 * | `"timeout"` | no whole answer within `timeout` or `deadline`, or an answer of 408 |
 * | `"rate-limited"` | an answer of 429 or 418, or a throttler whose queue is full |
 * | `"unauthorized"` | an answer of 401 |
 * | `"rejected"` | any other 4xx |
 * | `"decode"` | the answer is not what was due |
 * | `"redirect"` | the answer points elsewhere; it is never followed |
 * | `"too-large"` | the answer is longer than `maxBytes` |
 * | `"closed"` | the session was closed |
 * | `"aborted"` | the caller's signal was aborted; its reason is the error's `cause` |
 * | `"invalid"` | the call could not be made as it was asked for |
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
 * What became of the request: it never reached the venue, the venue refused it, or nobody can say. After
 * `"unknown"` an order may have been executed: ask the venue before doing it again.
 */
export type Outcome = "not-sent" | "rejected" | "unknown";

/** What a {@linkcode BrokerError} is made of. */
export interface BrokerErrorInit {
  /** What went wrong. */
  kind: BrokerErrorKind;
  /** What became of the request. */
  outcome: Outcome;
  /** The method, `POST`. */
  method?: string;
  /** Origin and path: never the query. */
  url?: string;
  /** The HTTP status, where there was an answer. */
  status?: number;
  /** The venue's own code; of a network error the runtime's (`ECONNREFUSED`), where it gives one. */
  code?: string | number;
  /** The id under which the venue's support finds the request. */
  requestId?: string;
  /** How long the venue asks to wait, in milliseconds. */
  retryAfter?: number;
  /** The beginning of the answer, at most 512 characters, without anything that was sent. */
  body?: string;
  /** Whether to repeat the call is both safe and worthwhile. @default {false} */
  retriable?: boolean;
  /** Set only where it cannot hold a secret of the session's. */
  cause?: unknown;
}

/**
 * Why a call failed, and what became of its request. It holds no header, query string or request body, in any
 * property or in its message, stack or cause; a secret does not belong into a path.
 *
 * @example Usage
 * ```ts
 * import { BrokerError } from "@aio-trader/core/session";
 * import { assertEquals } from "@std/assert";
 *
 * function mayHaveExecuted(error: unknown): boolean {
 *   return error instanceof BrokerError && error.outcome === "unknown";
 * }
 *
 * assertEquals(mayHaveExecuted(new BrokerError("No answer", { kind: "timeout", outcome: "unknown" })), true);
 * assertEquals(mayHaveExecuted(new BrokerError("No margin", { kind: "rejected", outcome: "rejected" })), false);
 * ```
 */
export class BrokerError extends Error {
  /** `"BrokerError"`. */
  override readonly name: string = "BrokerError";
  /** What went wrong. */
  readonly kind: BrokerErrorKind;
  /** What became of the request. */
  readonly outcome: Outcome;
  /** The method, `POST`. */
  declare readonly method?: string;
  /** Origin and path: never the query. */
  declare readonly url?: string;
  /** The HTTP status, where there was an answer. */
  declare readonly status?: number;
  /** The venue's own code; of a network error the runtime's (`ECONNREFUSED`), where it gives one. */
  declare readonly code?: string | number;
  /** The id under which the venue's support finds the request. */
  declare readonly requestId?: string;
  /** How long the venue asks to wait, in milliseconds. */
  declare readonly retryAfter?: number;
  /** The beginning of the answer, at most 512 characters, without anything that was sent. */
  declare readonly body?: string;
  /** Whether to repeat the call is both safe and worthwhile. {@linkcode retry} goes by it. */
  readonly retriable: boolean;

  /**
   * Creates an error.
   *
   * @param message What went wrong, in words.
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
