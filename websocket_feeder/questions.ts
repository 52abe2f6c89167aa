/**
 * Questions over one connection that are not answered yet. Internal.
 *
 * @module
 */

import { BrokerError, type BrokerErrorKind } from "../common/broker_error.ts";
import { checkNumber, checkSignal } from "../common/check.ts";
import { MAX_TIMER } from "../platform/max_timer.ts";

/**
 * Options of {@linkcode FeedConnection.ask} and {@linkcode FeedConnection.expect}.
 *
 * @example An order over the socket that gets a second
 * ```ts
 * import type { AskOptions } from "@aio-trader/core/websocket-feeder";
 * import { BrokerError } from "@aio-trader/core/session";
 * import { WebSocketFeeder } from "@aio-trader/core/websocket-feeder";
 * import { assertRejects } from "@std/assert";
 *
 * class Orders extends WebSocketFeeder<never> {
 *   place(id: string, options: AskOptions = { timeout: 1_000 }) {
 *     return this.ask(id, JSON.stringify({ op: "place", id }), options);
 *   }
 *   protected override endpoint() {
 *     return "wss://venue.example";
 *   }
 *   protected override receive() {}
 *   protected override request() {
 *     return [];
 *   }
 * }
 * await assertRejects(() => new Orders().place("my-1"), BrokerError, "no live connection");
 * ```
 */
export interface AskOptions {
  /**
   * Longest wait, in milliseconds: until `pace` lets the frame leave, and again from there until
   * the answer. `Infinity` sets no limit.
   *
   * @default {10_000}
   */
  timeout?: number | undefined;
  /** Ends the wait. A frame that still waits for `pace` then never leaves. */
  signal?: AbortSignal | undefined;
}

/** One question, from the call to its answer. */
export class Question<R = unknown> {
  /** The answer. Its rejection need not be handled. */
  readonly promise: Promise<R>;
  /** Whether the venue may have seen the frame. */
  isSent: boolean;
  /** Whether the question waits for its answer. */
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
    this.promise.catch(() => {}); // an answer without a reader must not end the process
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
   * @param kind Kind of the error.
   * @param why The same in words.
   * @param cause Error behind it.
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
 * Refuses a question for which there is no connection.
 *
 * @param kind Kind of the error.
 * @param why The same in words.
 * @returns A promise that rejects. The rejection need not be handled.
 */
export function notSent(kind: BrokerErrorKind, why: string): Promise<never> {
  const error = new BrokerError(`Cannot get an answer: ${why}`, { kind, outcome: "not-sent" });
  const refused = Promise.reject(error);
  refused.catch(() => {});
  return refused;
}

/** Settles a question: answers it, or fails it. */
type Settle = (question: Question) => void;

/** Most answers that are kept for a later `expect`. */
const MOST_EARLY = 1_024;

/** The open questions of one connection. */
export class Questions {
  readonly #open = new Map<unknown, Question>();
  /** Answers that came before their `expect`, while the handshake runs. */
  #early: Map<unknown, Settle> | undefined = new Map();
  #idle: PromiseWithResolvers<void> | undefined;

  /** Number of open questions. */
  get size(): number {
    return this.#open.size;
  }

  /**
   * Opens a question.
   *
   * @param id Its name.
   * @param options How long to wait.
   * @param isSent Whether there is nothing to send, so that an answer may come at once.
   * @returns The question, which is settled already if it was refused.
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
   * @param id Its name.
   * @param settle Answers or fails it.
   * @returns Whether such a question was open.
   */
  settle(id: unknown, settle: Settle): boolean {
    const question = this.#open.get(id);
    // An answer from before the frame's leaving belongs to an older question of this id.
    if (question?.isSent) settle(question);
    else if (this.#early && this.#early.size < MOST_EARLY) this.#early.set(id, settle);
    return question?.isSent === true;
  }

  /** Keeps no more answers for a later `expect`. */
  stopKeeping(): void {
    this.#early = undefined;
  }

  /** Fails every question. */
  endAll(kind: BrokerErrorKind, why: string): void {
    this.stopKeeping();
    for (const question of [...this.#open.values()]) question.refuse(kind, why);
  }

  /** Resolves once no question is open. */
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
