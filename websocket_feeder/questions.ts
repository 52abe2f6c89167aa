/**
 * What was asked over one connection and is not answered yet. Internal.
 *
 * @module
 */

import { BrokerError, type BrokerErrorKind } from "../common/broker_error.ts";
import { checkNumber, checkSignal } from "../common/check.ts";
import { MAX_TIMER } from "../platform/max_timer.ts";

/** Options of {@linkcode FeedConnection.ask} and {@linkcode FeedConnection.expect}. */
export interface AskOptions {
  /**
   * Longest wait, in milliseconds: for `pace` to let the frame go, and again, once it has left, for
   * the answer. `Infinity` sets no limit.
   *
   * @default {10_000}
   */
  timeout?: number;
  /** Ends the wait. A frame that waits for `pace` then never leaves. */
  signal?: AbortSignal;
}

/** One question, from the call to its answer. */
export class Question<R = unknown> {
  /** The answer. It rejects at the latest when the connection has ended; nobody has to listen. */
  readonly promise: Promise<R>;
  /** Whether the venue may have seen the frame. */
  isSent: boolean;
  /** Whether there is no answer yet. */
  isOpen = true;
  readonly #settled: PromiseWithResolvers<R> = Promise.withResolvers<R>();
  readonly #timeout: number;
  readonly #signal: AbortSignal | undefined;
  readonly #onAbort: () => void;
  readonly #onEnd: () => void;
  #line: AbortController | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;

  /**
   * Opens a question.
   *
   * @param options How long to wait.
   * @param isSent Whether there is nothing to send.
   * @param onEnd Called once, when it is settled.
   */
  constructor({ timeout = 10_000, signal }: AskOptions, isSent: boolean, onEnd: () => void) {
    this.isSent = isSent;
    this.promise = this.#settled.promise;
    this.promise.catch(() => {}); // an answer that nobody awaits must not end the process
    this.#timeout = timeout;
    this.#signal = signal;
    this.#onEnd = onEnd;
    this.#onAbort = () => this.refuse("aborted", "it was aborted", signal!.reason);
    signal?.addEventListener("abort", this.#onAbort);
    this.#startTimer();
    if (signal?.aborted) this.#onAbort();
  }

  /** Aborts when the question is settled: for the wait in a line. */
  get signal(): AbortSignal {
    this.#line ??= new AbortController();
    return this.#line.signal;
  }

  /** Notes that the frame has left. */
  sent(): void {
    this.isSent = true;
    this.#startTimer();
  }

  /** Answers. */
  resolve(value: R): void {
    if (this.#end()) this.#settled.resolve(value);
  }

  /** Fails with the venue's own error. */
  reject(error: unknown): void {
    if (this.#end()) this.#settled.reject(error);
  }

  /**
   * Fails with a BrokerError whose outcome says whether the frame had left.
   *
   * @param kind What went wrong.
   * @param why The same in words.
   * @param cause What was thrown.
   */
  refuse(kind: BrokerErrorKind, why: string, cause?: unknown): void {
    const outcome = this.isSent ? "unknown" : "not-sent";
    this.reject(new BrokerError(`Cannot get an answer: ${why}`, { kind, outcome, cause }));
  }

  #startTimer(): void {
    clearTimeout(this.#timer);
    if (this.#timeout === Infinity) return;
    const state = this.isSent ? "not answered" : "not sent";
    this.#timer = setTimeout(
      () => this.refuse("timeout", `${state} within ${this.#timeout} ms`),
      Math.min(this.#timeout, MAX_TIMER),
    );
  }

  #end(): boolean {
    if (!this.isOpen) return false;
    this.isOpen = false;
    clearTimeout(this.#timer);
    this.#signal?.removeEventListener("abort", this.#onAbort);
    this.#onEnd();
    this.#line?.abort();
    return true;
  }
}

/**
 * Refuses a question that no connection can take.
 *
 * @param kind What went wrong.
 * @param why The same in words.
 * @returns A promise that rejects; nobody has to handle that.
 */
export function notSent(kind: BrokerErrorKind, why: string): Promise<never> {
  const error = new BrokerError(`Cannot get an answer: ${why}`, { kind, outcome: "not-sent" });
  const refused = Promise.reject(error);
  refused.catch(() => {});
  return refused;
}

/** Something said before anybody waited for it. */
type Early = (question: Question) => void;

/** Most answers that are kept for an `expect` still to come. */
const MOST_EARLY = 1_024;

/** The open questions of one connection. */
export class Questions {
  readonly #open = new Map<unknown, Question>();
  /** While the handshake runs: answers that came before their `expect`. */
  #early: Map<unknown, Early> | undefined = new Map();
  #idle: PromiseWithResolvers<void> | undefined;

  /** Questions that are not answered. */
  get size(): number {
    return this.#open.size;
  }

  /**
   * Opens a question.
   *
   * @param id What the answer is known by.
   * @param options How long to wait.
   * @param isSent Whether an answer may come at once: nothing is to be sent for it.
   * @returns The question. It is settled already where it is refused.
   */
  open<R>(id: unknown, options: AskOptions, isSent: boolean): Question<R> {
    const { timeout = 10_000, signal } = options;
    checkNumber("Cannot ask", "timeout", timeout, { above: true, unit: "milliseconds" });
    checkSignal("Cannot ask", "signal", signal);
    const isTaken = this.#open.has(id);
    const question: Question<R> = new Question(options, isSent, () => isTaken || this.#close(id));
    if (isTaken) {
      question.isSent = false;
      question.refuse("invalid", "its id is that of a question without an answer, wanted another");
    }
    if (!question.isOpen) return question;
    this.#open.set(id, question as Question);
    const early = isSent && this.#early?.get(id);
    if (early) {
      this.#early!.delete(id);
      early(question as Question);
    }
    return question;
  }

  /**
   * Settles a question whose frame has left.
   *
   * @param id What it is known by.
   * @param settle Answers it, or fails it.
   * @returns Whether anybody was waiting.
   */
  settle(id: unknown, settle: Early): boolean {
    const question = this.#open.get(id);
    // What comes before the frame has left is the late answer to an older question of this id.
    if (question?.isSent) settle(question);
    else if (this.#early && this.#early.size < MOST_EARLY) this.#early.set(id, settle);
    return question?.isSent === true;
  }

  /** Keeps no answers any more for an `expect` still to come. */
  stopKeeping(): void {
    this.#early = undefined;
  }

  /** Fails every question. */
  endAll(kind: BrokerErrorKind, why: string): void {
    this.stopKeeping();
    for (const question of [...this.#open.values()]) question.refuse(kind, why);
  }

  /** Resolves once there is no open question. */
  answered(): Promise<void> {
    if (this.#open.size === 0) return Promise.resolve();
    this.#idle ??= Promise.withResolvers();
    return this.#idle.promise;
  }

  #close(id: unknown): void {
    this.#open.delete(id);
    if (this.#open.size > 0) return;
    this.#idle?.resolve();
    this.#idle = undefined;
  }
}
