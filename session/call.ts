/**
 * One call of a session: its request, its fate and its brake. Internal to {@linkcode Session}.
 *
 * @module
 */

import { BrokerError, type BrokerErrorKind } from "../common/broker_error.ts";
import { Fate } from "./fate.ts";
import type { PreparedRequest } from "./prepared_request.ts";
import type { Details } from "./reply_error.ts";
import { RULES, type Rules } from "./role.ts";
import { Stop } from "./stop.ts";
import type { Timeouts } from "./timeouts.ts";

/** One call of a session. */
export class Call {
  /** Number of the call within its session, from 1. */
  readonly id: number;
  /** The request. It never changes. */
  readonly request: PreparedRequest;
  /** What became of the requests sent so far. */
  readonly fate: Fate;
  /** How the call is stopped. */
  readonly stop: Stop;
  /** The rules of the call's role. */
  readonly rules: Rules;
  /** The number of logins that had ended when the headers of the last request were read. */
  generation = 0;
  /** Whether the call has been replayed after a 401. */
  isReplayed = false;
  /** Whether no repeat can help any more. */
  isFinal = false;

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
    this.rules = RULES[request.role];
  }

  /** Makes an error of the call; see {@linkcode Fate.error}. */
  error(kind: BrokerErrorKind, why: string, details?: Details): BrokerError {
    return this.fate.error(kind, why, details);
  }

  /**
   * Ends the call: its waits and its request.
   *
   * @param kind The kind of the error.
   * @param why The reason, in words.
   * @param details Everything else that is known.
   */
  end(kind: BrokerErrorKind, why: string, details?: Details): void {
    if (!this.stop.isStopped) this.stop.end(this.error(kind, why, details));
  }

  /**
   * Gives the step that is under way the time of one attempt.
   *
   * @param why The beginning of the sentence `no answer within 60000 ms`.
   */
  limit(why: string): void {
    this.stop.limit((timeout) => {
      const { isSent: worthwhile } = this.fate;
      return this.error("timeout", `${why} within ${timeout} ms`, { worthwhile });
    });
  }

  /** Whether the session may repeat the call after this error. */
  mayRepeat(error: unknown): error is BrokerError {
    return !this.isFinal && !this.stop.isStopped && error instanceof BrokerError &&
      (this.request.isIdempotent || error.outcome === "not-sent");
  }
}
