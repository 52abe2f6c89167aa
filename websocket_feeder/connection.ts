/**
 * One connection of a feed, from the dial to its end: a WebSocket that always ends, once. Internal.
 *
 * The runtimes fire different events when a socket ends, and sometimes none at all. So a connection
 * never waits for an event without a timer beside it, and hears nothing of its socket once it has
 * ended.
 *
 * @module
 */

import type { Ending } from "../feeder.ts";
import { MAX_TIMER } from "../platform/max_timer.ts";
import type { RateLimiter } from "../throttler.ts";
import { type AskOptions, type Question, Questions } from "./questions.ts";
import { describe, inWords, type UpgradeWatch } from "./refusal.ts";

/** What a WebSocket sends. */
export type Frame = string | ArrayBuffer | ArrayBufferView;

/**
 * One connection of a feed, as its hooks see it. Two live side by side while one replaces the other;
 * a hook that uses the connection that it was given never talks to the wrong one.
 */
export interface FeedConnection {
  /** Which connection of the feed this is, counted from 1. */
  readonly attempt: number;
  /** Aborts when the connection has ended. */
  readonly signal: AbortSignal;
  /**
   * Sends a frame now, or as soon as `pace` allows unless the connection ends before. It passes
   * subscriptions that wait for `pace`.
   *
   * @param frame The frame.
   * @returns Whether the socket is open; `false` if nothing was, or will be, sent.
   */
  send(frame: Frame): boolean;
  /**
   * Sends a frame and waits for its answer: for whatever `receive` gives to `answer(id, …)`. Frames
   * wait while `receive` runs, so `receive` itself must not await an answer.
   *
   * @param id What the answer is known by. Do not use it again: a late answer to the first question
   *   would be taken for that to the second.
   * @param frame The frame.
   * @param options How long to wait.
   * @returns A promise of the answer. It settles at the latest when the connection ends. Nobody has
   *   to handle its rejection.
   * @throws {BrokerError} If there is no answer. Its outcome is `"not-sent"` where the frame never
   *   left, else `"unknown"`. Its kind is `"timeout"`, `"aborted"`, `"network"` (the connection ended),
   *   `"closed"` (by us), `"rate-limited"` (`pace` refused the frame) or `"invalid"` (a question with
   *   this id has no answer yet). What `fail` is given is thrown as it is.
   */
  ask<R = unknown>(id: unknown, frame: Frame, options?: AskOptions): Promise<R>;
  /**
   * Waits for an answer without sending anything: a greeting, say. While the handshake runs, an
   * answer that came before is found as well.
   *
   * @param id What the answer is known by.
   * @param options How long to wait.
   * @returns A promise of the answer, as that of `ask`.
   * @throws {BrokerError} As `ask` does; the outcome is `"unknown"`.
   */
  expect<R = unknown>(id: unknown, options?: AskOptions): Promise<R>;
  /**
   * Answers a question that was asked over this connection.
   *
   * @param id What the question is known by.
   * @param value What `ask` resolves to.
   * @returns Whether anybody was waiting.
   */
  answer(id: unknown, value?: unknown): boolean;
  /**
   * Fails a question that was asked over this connection.
   *
   * @param id What the question is known by.
   * @param error What `ask` rejects with, as it is: a BrokerError that says what became of an order.
   * @returns Whether anybody was waiting.
   */
  fail(id: unknown, error: unknown): boolean;
}

/** What a connection needs of its feed. */
export interface ConnectionOptions {
  /** Which connection it is, counted from 1. */
  attempt: number;
  /** Paces every frame that goes out. */
  pace?: Pick<RateLimiter, "run">;
  /** Told every frame. */
  tap?(direction: "in" | "out", data: Frame, attempt: number): void;
  /** Told what went wrong without ending the connection. */
  report(message: string, cause: unknown): void;
}

/** What a connection does with its socket. */
export interface SocketHooks {
  /** Called inside `onopen`, before any frame is received. */
  handshake(): void | Promise<void>;
  receive(data: string | ArrayBuffer): void;
}

/** How exactly a connection knows when it was heard last, in milliseconds. */
const HEARING = 500;

/** Parts of `staleAfter` in which silence is counted: it is noticed at most one part late. */
const SILENT_TICKS = 8;

/** What a connection had heard at one moment. */
interface Look {
  readonly frames: number;
  readonly at: number;
}

/** One WebSocket, from the dial to its end: every frame is tapped, and each that goes out is paced. */
export class Connection implements FeedConnection {
  /** Resolves when the connection has ended. */
  readonly ended: Promise<Ending>;
  /** How the connection ended, once it has. */
  ending: Ending | undefined;
  /** Frames received. */
  frames = 0;
  /** When it went live, by `performance.now()`. */
  liveSince: number = Infinity;
  /** Whether its items are no longer wanted: it is heard for the answers that are due. */
  isLeft = false;
  /** Whether we are closing it. */
  isParting = false;

  /** Frames and time (epoch milliseconds) at the last two looks: see `heardAt`. */
  #looks: [before: Look, last: Look] | undefined;
  readonly #options: ConnectionOptions;
  readonly #controller = new AbortController();
  readonly #retired = Promise.withResolvers<void>();
  readonly #resolveEnded: (ending: Ending) => void;
  readonly #timers = new Set<ReturnType<typeof setTimeout>>();
  readonly #questions = new Questions();
  #socket: WebSocket | undefined;
  #opened = false;

  constructor(options: ConnectionOptions) {
    this.#options = options;
    const { promise, resolve } = Promise.withResolvers<Ending>();
    this.ended = promise;
    this.#resolveEnded = resolve;
  }

  get attempt(): number {
    return this.#options.attempt;
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /**
   * A moment at which the connection was certainly heard, in epoch milliseconds: its last frame came
   * at most a second later. The clock is not read for each frame, as that would cost a tenth of it.
   */
  get heardAt(): number {
    const [before, last] = this.#looks!;
    return this.frames === last.frames ? before.at : last.at;
  }

  /** How long the connection has been live, in milliseconds. */
  get uptime(): number {
    return Math.max(0, performance.now() - this.liveSince);
  }

  /** Whether it went live, and has not ended. */
  get isLive(): boolean {
    return !this.ending && this.liveSince < Infinity;
  }

  /** Whether a frame would be sent now. */
  get open(): boolean {
    return !this.ending && this.#socket?.readyState === 1;
  }

  /**
   * Takes a socket over, and logs in once it is open.
   *
   * @param socket The socket, which is still connecting.
   * @param hooks What to do with it.
   * @param watch Knows the status of a refusal where the socket does not.
   * @returns A promise that settles with the handshake, or rejects when the connection has ended.
   */
  async attach(socket: WebSocket, hooks: SocketHooks, watch?: UpgradeWatch): Promise<void> {
    this.#socket = socket;
    if (this.ending) discard(socket); // createSocket() has closed the feed
    socket.binaryType = "arraybuffer";
    socket.onmessage = (event) => {
      this.frames++;
      if (this.#options.tap) this.#tap("in", event.data);
      hooks.receive(event.data);
    };
    socket.onclose = ({ code, reason, wasClean }) =>
      this.end({ code: code || 1006, reason, clean: wasClean });
    // Node 22 fires nothing more after an error while connecting; elsewhere the close that follows
    // an error adds nothing but 1006. https://github.com/nodejs/undici/issues/3506
    socket.onerror = (event) => this.end(describe(event, watch?.status));
    const shaken = new Promise<void>((resolve, reject) => {
      // Deno hands over a frame that came in the segment of the 101 before code that awaits this
      // event runs, so the handshake starts inside of it.
      socket.onopen = () => {
        this.#opened = true;
        this.#listen();
        try {
          resolve(hooks.handshake());
        } catch (error) {
          reject(error);
        }
      };
    });
    await this.unlessEnded(shaken);
  }

  /** Notes that the connection is live from now on. */
  goLive(): void {
    this.liveSince = performance.now();
    this.#questions.stopKeeping();
  }

  /** Settles as the promise does, unless the connection ends first: then it rejects. */
  async unlessEnded<R>(promise: R | Promise<R>): Promise<R> {
    const result = await Promise.race([promise, this.ended]);
    if (this.ending) throw this.ending;
    return result as R;
  }

  send(frame: Frame): boolean {
    if (!this.open) return false;
    void this.paced(() => this.write(frame), true);
    return true;
  }

  ask<R = unknown>(id: unknown, frame: Frame, options: AskOptions = {}): Promise<R> {
    return this.#question<R>(id, options, (question) => {
      if (this.open) void this.#put(question, frame);
      else question.refuse("network", "the connection is not open");
    });
  }

  expect<R = unknown>(id: unknown, options: AskOptions = {}): Promise<R> {
    return this.#question<R>(id, options);
  }

  answer(id: unknown, value?: unknown): boolean {
    return this.#questions.settle(id, (question) => question.resolve(value));
  }

  fail(id: unknown, error: unknown): boolean {
    return this.#questions.settle(id, (question) => question.reject(error));
  }

  /** Resolves once everything that was asked over this connection is answered, or has failed. */
  answered(): Promise<void> {
    return this.#questions.answered();
  }

  /** Calls back when `pace` allows; tells whether it did, which it does not once the connection has ended. */
  async paced(callback: () => void, urgent = false): Promise<boolean> {
    const { pace, report } = this.#options;
    try {
      if (pace) await pace.run(callback, { signal: this.signal, urgent });
      else callback();
      return true;
    } catch (error) {
      if (!this.ending) report("Cannot send a frame: it was refused", error);
      return false;
    }
  }

  /** Sends a frame now, unless the socket is not open. */
  write(frame: Frame): boolean {
    if (!this.open) return false;
    this.#socket!.send(frame as string | BufferSource);
    if (this.#options.tap) this.#tap("out", frame);
    return true;
  }

  /** Calls back after so many milliseconds, unless the connection ends before, or the timer is cleared. */
  after(timeout: number, callback: () => void): () => void {
    if (this.ending || timeout === Infinity) return () => {};
    const stop = () => {
      clearTimeout(timer);
      this.#timers.delete(timer);
    };
    const timer = setTimeout(() => {
      stop();
      callback();
    }, Math.min(timeout, MAX_TIMER));
    this.#timers.add(timer);
    return stop;
  }

  /** Resolves after so many milliseconds, or when the connection has ended. */
  lasts(timeout: number): Promise<void> {
    return new Promise((resolve) => {
      this.after(timeout, resolve);
      void this.ended.then(() => resolve());
    });
  }

  /** Resolves at the end of its lifetime: after so many milliseconds, or when it retires or has ended. */
  async lives(lifetime: number): Promise<void> {
    await Promise.race([this.lasts(lifetime), this.#retired.promise]);
  }

  /** Ends its lifetime now: another connection is to replace it. */
  retire(): void {
    this.#retired.resolve();
  }

  /** Calls back every so many milliseconds until the connection ends. */
  every(interval: number, callback: () => void): void {
    if (interval < Infinity) {
      this.#timers.add(setInterval(callback, Math.min(interval, MAX_TIMER)));
    }
  }

  /**
   * Ends the connection when no frame has come for `staleAfter` milliseconds, at most an eighth
   * later. Silent ticks are counted and no clocks compared, so that a process that was itself
   * suspended does not take its peer for dead.
   */
  watch(staleAfter: number): void {
    let { frames } = this;
    let silentTicks = 0;
    this.every(staleAfter / SILENT_TICKS, () => {
      if (this.frames !== frames) silentTicks = 0;
      frames = this.frames;
      if (++silentTicks > SILENT_TICKS) this.end({ reason: `silent for ${staleAfter} ms` });
    });
  }

  /** Keeps in mind when the connection was heard, from its opening on. */
  #listen(): void {
    const look = { frames: this.frames, at: Date.now() };
    this.#looks = [look, look];
    this.every(HEARING, () => {
      const [before, last] = this.#looks!;
      const next = { frames: this.frames, at: Date.now() };
      // As long as nothing is heard, the look before the last frame counts.
      this.#looks = [next.frames === last.frames ? before : last, next];
    });
  }

  /** Starts the close handshake; the connection ends once the peer has answered. */
  close(): void {
    this.#socket!.onmessage = null;
    // Deno writes the reason's bytes where the code belongs when there is no code.
    this.#socket!.close(1000, "");
  }

  /** Ends the connection now, as the feed closes. */
  leave(): void {
    this.isParting = true;
    this.end({ reason: "closed by us" });
  }

  /** Ends the connection now. Only the first ending counts. */
  end(ending: Partial<Ending>): void {
    if (this.ending) return;
    const { code = 1006, reason = "" } = ending;
    this.ending = {
      clean: false,
      opened: this.#opened,
      ...ending,
      code,
      reason: reason || inWords(code, this.#opened),
    };
    for (const timer of this.#timers) clearTimeout(timer);
    this.#timers.clear();
    if (this.#socket) discard(this.#socket);
    this.#controller.abort();
    const kind = this.isParting ? "closed" : "network";
    this.#questions.endAll(kind, `the connection ended (${this.ending.reason})`);
    this.#resolveEnded(this.ending);
  }

  /** Opens a question, and has it sent. Never throws. */
  #question<R>(
    id: unknown,
    options: AskOptions,
    send?: (question: Question<R>) => void,
  ): Promise<R> {
    try {
      const question = this.#questions.open<R>(id, options, !send);
      if (this.ending) question.refuse("network", "the connection has ended");
      else if (question.isOpen) send?.(question);
      return question.promise;
    } catch (error) {
      const refused = Promise.reject(error);
      refused.catch(() => {});
      return refused;
    }
  }

  /** Sends the frame of a question as soon as `pace` allows, unless that is settled before. */
  async #put<R>(question: Question<R>, frame: Frame): Promise<void> {
    const { pace } = this.#options;
    const write = () => {
      if (!question.isOpen) return;
      if (!this.open) return question.refuse("network", "the connection is not open");
      // Before it leaves: what a socket that throws has done with it is not known.
      question.sent();
      this.write(frame);
    };
    try {
      if (pace) await pace.run(write, { signal: question.signal, urgent: true });
      else write();
    } catch (error) {
      question.refuse(question.isSent ? "network" : "rate-limited", "the frame was refused", error);
    }
  }

  #tap(direction: "in" | "out", data: Frame): void {
    try {
      this.#options.tap!(direction, data, this.attempt);
    } catch (error) {
      this.#options.report("Cannot tap a frame: tap() threw", error);
    }
  }
}

/** Leaves a socket: hears nothing more of it, and closes it as hard as the runtime can. */
function discard(socket: WebSocket & { terminate?: () => void }): void {
  socket.onopen =
    socket.onmessage =
    socket.onerror =
    socket.onclose =
      null;
  if (socket.readyState === 3) return;
  if (socket.terminate) socket.terminate();
  else socket.close(1000, "");
}
