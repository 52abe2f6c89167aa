/**
 * One call of a session: the request, the fate and the brake. Internal to {@linkcode Session}.
 *
 * @module
 */

import { BrokerError, type BrokerErrorKind } from "../common/broker_error.ts";
import { Fate } from "./fate.ts";
import type { PreparedRequest } from "./prepared_request.ts";
import type { RateLimiter } from "../throttler.ts";
import type { Details } from "./reply_error.ts";
import { RULES, type Rules } from "./role.ts";
import { Stop } from "./stop.ts";
import type { Timeouts } from "./timeouts.ts";

/** One call of a session. */
export class Call {
  /** Number of the call within its session, from 1. */
  readonly id: number;
  /** The request, which never changes. */
  readonly request: PreparedRequest;
  /** The fate of the requests sent so far. */
  readonly fate: Fate;
  /** How the call is stopped. A reconciliation has a brake of its own. */
  stop: Stop;
  /** The rules of the call's role. */
  readonly rules: Rules;
  /** The number of logins that had ended when the headers of the last request were read. */
  generation = 0;
  /** Whether the call has been replayed after a 401. */
  isReplayed = false;
  /** Whether no repeat can help any more. */
  isFinal = false;
  /** Whether the venue is asked for the fate of the order. */
  isReconciling = false;
  /** Whether the answer is being read as a stream. */
  isStreaming = false;
  /** Forgets the call; set while the call is open. */
  release: () => void = () => {};
  readonly #timeouts: Timeouts;

  /**
   * Creates a call that has sent nothing.
   *
   * @param id Number of the call within its session.
   * @param request The request.
   * @param timeouts The timer of the attempts.
   */
  constructor(id: number, request: PreparedRequest, timeouts: Timeouts) {
    this.id = id;
    this.request = request;
    this.fate = new Fate(request);
    this.stop = new Stop(timeouts);
    this.#timeouts = timeouts;
    this.rules = RULES[request.role];
  }

  /** The throttlers that the call uses, without their costs. */
  get limiters(): readonly RateLimiter[] {
    return this.request.throttlers.map((entry) => "throttler" in entry ? entry.throttler : entry);
  }

  /**
   * Whether `close()` lets the call go on: an order whose fate would be lost, or a look-up.
   */
  get outlivesClose(): boolean {
    const { outlivesClose } = this.rules;
    if (outlivesClose !== "request") return outlivesClose === "everything";
    return this.isReconciling || this.fate.isSent && !this.isStreaming;
  }

  /** Makes an error of the call; see {@linkcode Fate.error}. */
  error(kind: BrokerErrorKind, why: string, details?: Details): BrokerError {
    return this.fate.error(kind, why, details);
  }

  /**
   * Ends the call: its waits and its request. The first end counts.
   *
   * @param kind The kind of the error.
   * @param why The reason, in words.
   * @param details Everything else that is known.
   */
  end(kind: BrokerErrorKind, why: string, details?: Details): void {
    this.stop.end(this.error(kind, why, details));
  }

  /**
   * Gives the step that is under way the time of one attempt.
   *
   * @param why Gives the beginning of the sentence `no answer within 60000 ms`.
   */
  limit(why: () => string): void {
    this.stop.limit((timeout) => {
      const { isSent: worthwhile } = this.fate;
      return this.error("timeout", `${why()} within ${timeout} ms`, { worthwhile });
    });
  }

  /** Begins a reconciliation. An error that ended the call before no longer counts. */
  reconcile(): AbortSignal {
    this.isReconciling = true;
    this.stop = new Stop(this.#timeouts);
    return this.stop.signal;
  }

  /**
   * Keeps the call open while its answer is read as a stream.
   *
   * @param onEnd Told once of the end: with the error if the stream broke.
   * @returns Ends the stream. Repeats change nothing.
   */
  stream(onEnd: (error?: BrokerError) => void): (error?: BrokerError) => void {
    this.isStreaming = true;
    return (error) => {
      if (!this.isStreaming) return;
      this.isStreaming = false;
      this.stop.finish();
      onEnd(error);
      this.release();
    };
  }

  /** Whether the session may repeat the call after this error. */
  mayRepeat(error: unknown): error is BrokerError {
    return !this.isFinal && !this.stop.isStopped && error instanceof BrokerError &&
      (this.request.isIdempotent || error.outcome === "not-sent");
  }
}
