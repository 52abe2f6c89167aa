/**
 * One connection of a feed, from the dial to its end. Internal.
 *
 * The runtimes fire different events when a socket ends, and sometimes none. So every wait for an
 * event has a timer beside it, and an ended connection ignores its socket.
 *
 * @module
 */

import type { Ending } from "../feeder.ts";
import { MAX_TIMER } from "../platform/max_timer.ts";
import type { RateLimiter } from "../throttler.ts";
import { type AskOptions, type Question, Questions } from "./questions.ts";
import { describe, inWords, type UpgradeWatch } from "./refusal.ts";

/**
 * Data that a WebSocket sends.
 *
 * @example A ping in bytes
 * ```ts
 * import type { Frame } from "@aio-trader/core/websocket-feeder";
 * import { assertEquals } from "@std/assert";
 *
 * const ping = (): Frame => Uint8Array.of(0);
 * assertEquals(ping(), Uint8Array.of(0));
 * ```
 */
export type Frame = string | ArrayBuffer | ArrayBufferView;

/**
 * One connection of a feed, as the hooks see it. Two connections live side by side while one
 * replaces the other. A hook that uses its own connection never talks to the wrong one.
 *
 * @example A login that waits for its answer
 * ```ts
 * import { SimulatedVenue, VirtualTime } from "@aio-trader/core/testing";
 * import { type FeedConnection, WebSocketFeeder } from "@aio-trader/core/websocket-feeder";
 * import { assertEquals } from "@std/assert";
 *
 * using time = new VirtualTime();
 * const venue = new SimulatedVenue();
 * venue.feed.on((frame, client) => client.send(`welcome ${frame}`));
 *
 * class Feed extends WebSocketFeeder<string> {
 *   protected override endpoint() {
 *     return venue.wsUrl;
 *   }
 *   protected override createSocket(url: string) {
 *     return venue.createSocket(url);
 *   }
 *   protected override async handshake(connection: FeedConnection) {
 *     this.emit(await connection.ask("login", "key"), connection);
 *   }
 *   protected override receive(frame: string | ArrayBuffer, connection: FeedConnection) {
 *     connection.answer("login", frame);
 *   }
 *   protected override request() {
 *     return [];
 *   }
 * }
 *
 * const feed = new Feed();
 * const items: string[] = [];
 * feed.on("item", (item) => items.push(item));
 * void feed.connect();
 * await time.pass(500);
 * assertEquals(items, ["welcome key"]);
 * await Promise.all([feed.close(), time.pass(5_000)]);
 * ```
 */
export interface FeedConnection {
  /** Number of the connection in its feed, from 1. */
  readonly attempt: number;
  /** Aborts when the connection has ended. */
  readonly signal: AbortSignal;
  /**
   * Sends a frame now, or as soon as `pace` allows unless the connection ends before. The frame
   * goes before subscriptions that wait for `pace`.
   *
   * @param frame The frame.
   * @returns Whether the socket is open. `false` means that the frame is never sent.
   */
  send(frame: Frame): boolean;
  /**
   * Sends a frame and waits for its answer: the value that `receive` gives to `answer(id, value)`.
   *
   * - The promise settles at the latest when the connection ends. Its rejection need not be
   *   handled.
   * - `receive` itself must not await an answer: frames wait while `receive` runs.
   * - An id must not be used twice: a late answer to the first question would answer the second.
   *
   * @param id Name of the question.
   * @param frame The frame.
   * @param options How long to wait.
   * @returns A promise of the answer.
   * @throws {BrokerError} If no answer comes. The outcome is `"not-sent"` if the frame never left,
   *   else `"unknown"`. The kind is `"timeout"`, `"aborted"`, `"network"` (the connection ended),
   *   `"closed"` (the feed closed it), `"rate-limited"` (`pace` refused the frame) or `"invalid"`
   *   (a question of this id is open). An error given to `fail` is thrown unchanged.
   */
  ask<R = unknown>(id: unknown, frame: Frame, options?: AskOptions): Promise<R>;
  /**
   * Waits for an answer and sends nothing: for a greeting, say. While the handshake runs, an answer
   * that came earlier is found too.
   *
   * @param id Name of the question.
   * @param options How long to wait.
   * @returns A promise of the answer, as that of `ask`.
   * @throws {BrokerError} As `ask` does. The outcome is `"unknown"`.
   */
  expect<R = unknown>(id: unknown, options?: AskOptions): Promise<R>;
  /**
   * Answers a question that was asked over this connection.
   *
   * @param id Name of the question.
   * @param value The answer.
   * @returns Whether a question waited for it.
   */
  answer(id: unknown, value?: unknown): boolean;
  /**
   * Fails a question that was asked over this connection.
   *
   * @param id Name of the question.
   * @param error The error that `ask` throws. For an order: a BrokerError, which tells its fate.
   * @returns Whether a question waited for it.
   */
  fail(id: unknown, error: unknown): boolean;
}

/** Needs of a connection. */
export interface ConnectionOptions {
  /** Number of the connection in its feed, from 1. */
  attempt: number;
  /** Paces every frame that goes out. */
  pace?: Pick<RateLimiter, "run">;
  /** Told every frame. */
  tap?(direction: "in" | "out", data: Frame, attempt: number): void;
  /** Told of a fault that does not end the connection. */
  report(message: string, cause: unknown): void;
}

/** Hooks of a socket. */
export interface SocketHooks {
  /** Called inside `onopen`, before any frame is received. */
  handshake(): void | Promise<void>;
  receive(data: string | ArrayBuffer): void;
}

/** How exactly a connection knows when it was heard last, in milliseconds. */
const HEARING = 500;

/**
 * Use that a feed has for a connection: all; no more requests, since another connection has taken
 * over; only answers that are due; or its end.
 */
export type Stage = "current" | "replaced" | "muted" | "parting";

/** Ticks in which `staleAfter` is counted: silence is noticed at most one tick late. */
const SILENT_TICKS = 8;

/** What a connection had heard at one moment. */
interface Look {
  readonly frames: number;
  readonly at: number;
}

/** One WebSocket, which always ends, once. All frames are tapped, outgoing frames are paced. */
export class Connection implements FeedConnection {
  /** Resolves when the connection has ended. */
  readonly ended: Promise<Ending>;
  /** How the connection ended, once it has. */
  ending: Ending | undefined;
  /** Frames received. */
  frames = 0;
  /** Time at which the connection went live, by `performance.now()`. */
  liveSince: number = Infinity;
  /** Use that the feed has for the connection. */
  stage: Stage = "current";
  /** Whether its items are dropped: it has ended, or is heard for answers alone. */
  isMuted = false;

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
  #answers = 0;

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
   * A moment at which the connection was certainly heard, in epoch milliseconds: its last frame
   * came at most a second later. The clock is not read for each frame, as that would cost a tenth
   * of it.
   */
  get heardAt(): number {
    const [before, last] = this.#looks!;
    return this.frames === last.frames ? before.at : last.at;
  }

  /** How long the connection has been live, in milliseconds. */
  get uptime(): number {
    return Math.max(0, performance.now() - this.liveSince);
  }

  /** Number of frames that were no answers. */
  get news(): number {
    return this.frames - this.#answers;
  }

  /** Whether the connection went live, and has not ended. */
  get isLive(): boolean {
    return !this.ending && this.liveSince < Infinity;
  }

  /** Whether a frame would be sent now. */
  get open(): boolean {
    return !this.ending && this.#socket?.readyState === 1;
  }

  /**
   * Uses a socket, and logs in once the socket is open.
   *
   * @param socket The socket, which is still connecting.
   * @param hooks Login and reading.
   * @param watch Knows how an upgrade was refused where the socket does not.
   * @returns A promise that settles as the handshake does, or rejects when the connection has
   *   ended.
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
    // Node 22 fires nothing after an error while connecting. Elsewhere a close follows the error,
    // and tells no more than 1006. https://github.com/nodejs/undici/issues/3506
    socket.onerror = (event) => this.end(describe(event, watch?.refusal));
    const shaken = new Promise<void>((resolve, reject) => {
      // Deno delivers a frame of the 101's segment before code that awaits this event runs. So
      // the handshake begins inside the event.
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

  /** Marks the connection as live. */
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
    return this.#settle(id, (question) => question.resolve(value));
  }

  fail(id: unknown, error: unknown): boolean {
    return this.#settle(id, (question) => question.reject(error));
  }

  /** Resolves once all questions of this connection are answered or have failed. */
  answered(): Promise<void> {
    return this.#questions.answered();
  }

  /**
   * Calls back when `pace` allows, and returns whether it did: not once the connection has ended.
   */
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

  /** Calls back after a time, unless the connection ends or the timer is stopped before. */
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

  /** Resolves after a time, or when the connection has ended. */
  lasts(timeout: number): Promise<void> {
    return new Promise((resolve) => {
      this.after(timeout, resolve);
      void this.ended.then(() => resolve());
    });
  }

  /**
   * Resolves at the end of the lifetime: after a time, on `retire()`, or at the connection's end.
   */
  async lives(lifetime: number): Promise<void> {
    await Promise.race([this.lasts(lifetime), this.#retired.promise]);
  }

  /** Ends the lifetime now, so that another connection replaces this one. */
  retire(): void {
    this.#retired.resolve();
  }

  /** Calls back at an interval until the connection ends. */
  every(interval: number, callback: () => void): void {
    if (interval < Infinity) {
      this.#timers.add(setInterval(callback, Math.min(interval, MAX_TIMER)));
    }
  }

  /**
   * Ends the connection after `staleAfter` milliseconds without a frame, at most an eighth later.
   * It counts silent ticks and compares no clocks: a process that was suspended keeps its
   * connection.
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

  /** Starts the close handshake. The connection ends with the answer of the peer. */
  close(): void {
    this.#socket!.onmessage = null;
    // Without a code, Deno writes the reason's bytes in its place.
    this.#socket!.close(1000, "");
  }

  /** Notes another use of the connection. */
  move(stage: Stage): void {
    this.stage = stage;
    this.isMuted ||= stage === "muted" || stage === "parting";
  }

  /** Ends the connection now, as the feed closes. */
  leave(): void {
    this.move("parting");
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
    this.isMuted = true;
    for (const timer of this.#timers) clearTimeout(timer);
    this.#timers.clear();
    if (this.#socket) discard(this.#socket);
    this.#controller.abort();
    const kind = this.stage === "parting" ? "closed" : "network";
    this.#questions.endAll(kind, `the connection ended (${this.ending.reason})`);
    this.#resolveEnded(this.ending);
  }

  #settle(id: unknown, settle: (question: Question) => void): boolean {
    const isSettled = this.#questions.settle(id, settle);
    if (isSettled) this.#answers++;
    return isSettled;
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

  /** Sends the frame of a question as soon as `pace` allows, unless the question ends before. */
  async #put<R>(question: Question<R>, frame: Frame): Promise<void> {
    const { pace } = this.#options;
    const write = () => {
      if (!question.isOpen) return;
      if (!this.open) return question.refuse("network", "the connection is not open");
      // Noted first: a socket that throws may have sent the frame.
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

/** Leaves a socket: removes its handlers, and closes it as hard as the runtime can. */
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
