/**
 * One connection of a feed, from the dial to its end: a WebSocket that always ends, once. Internal.
 *
 * What the runtimes fire when a socket ends differs, and sometimes they fire nothing at all. So a
 * connection never waits for an event without a timer of its own beside it, and once it has ended
 * nothing more is heard of its socket.
 *
 * @module
 */

import type { Ending } from "../feeder.ts";
import { MAX_TIMER } from "../platform/max_timer.ts";
import type { Throttler } from "../throttler.ts";

/** What a WebSocket sends. */
export type Frame = string | ArrayBuffer | ArrayBufferView;

/** What a connection needs of its feed. */
export interface ConnectionOptions {
  /** Which connection it is, counted from 1. */
  attempt: number;
  /** Paces every frame that goes out. */
  pace?: Pick<Throttler, "run">;
  /** Told every frame. */
  tap?(direction: "in" | "out", data: Frame, attempt: number): void;
  /** Told what went wrong without ending the connection. */
  report(message: string, cause: unknown): void;
}

/** Parts of `staleAfter` in which silence is counted: it is noticed at most one part late. */
const SILENT_TICKS = 8;

/** One WebSocket, from the dial to its end: every frame is tapped, and each that goes out is paced. */
export class Connection {
  /** Resolves when the connection has ended. */
  readonly ended: Promise<Ending>;
  /** How the connection ended, once it has. */
  ending: Ending | undefined;
  /** Frames received. */
  frames = 0;
  /** When it went live, by `performance.now()`. */
  liveSince: number = Infinity;

  readonly #options: ConnectionOptions;
  readonly #controller = new AbortController();
  readonly #retired = Promise.withResolvers<void>();
  readonly #resolveEnded: (ending: Ending) => void;
  readonly #timers = new Set<ReturnType<typeof setTimeout>>();
  #socket: WebSocket | undefined;
  #opened = false;

  constructor(options: ConnectionOptions) {
    this.#options = options;
    const { promise, resolve } = Promise.withResolvers<Ending>();
    this.ended = promise;
    this.#resolveEnded = resolve;
  }

  /** Which connection it is, counted from 1. */
  get attempt(): number {
    return this.#options.attempt;
  }

  /** Aborts when the connection has ended. */
  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** How long the connection has been live, in milliseconds. */
  get uptime(): number {
    return Math.max(0, performance.now() - this.liveSince);
  }

  /** Whether a frame would be sent now. */
  get open(): boolean {
    return !this.ending && this.#socket?.readyState === 1;
  }

  /** Takes the socket over and resolves once it is open. */
  attach(socket: WebSocket, receive: (data: string | ArrayBuffer) => void): Promise<void> {
    this.#socket = socket;
    socket.binaryType = "arraybuffer";
    socket.onmessage = (event) => {
      this.frames++;
      if (this.#options.tap) this.#tap("in", event.data);
      receive(event.data);
    };
    socket.onclose = ({ code, reason, wasClean }) =>
      this.end({ code: code || 1006, reason, clean: wasClean });
    // Node 22 fires nothing more after an error while connecting; elsewhere the close that follows
    // an error adds nothing but 1006. https://github.com/nodejs/undici/issues/3506
    socket.onerror = (event) => this.end(describe(event));
    return new Promise((resolve) => {
      socket.onopen = () => {
        this.#opened = true;
        resolve();
      };
    });
  }

  /** Settles as the promise does, unless the connection ends first: then it rejects. */
  async unlessEnded<R>(promise: R | Promise<R>): Promise<R> {
    const result = await Promise.race([promise, this.ended]);
    if (this.ending) throw this.ending;
    return result as R;
  }

  /** Sends a frame as soon as `pace` allows, unless the connection ends before. Tells whether it is open. */
  send(frame: Frame): boolean {
    if (!this.open) return false;
    void this.paced(() => this.write(frame));
    return true;
  }

  /** Calls back when `pace` allows; tells whether it did, which it does not once the connection has ended. */
  async paced(callback: () => void): Promise<boolean> {
    const { pace, report } = this.#options;
    try {
      if (pace) await pace.run(callback, { signal: this.signal });
      else callback();
      return true;
    } catch (error) {
      if (!this.ending) report("Cannot send a frame: it was refused", error);
      return false;
    }
  }

  /** Sends a frame now, unless the socket is not open. */
  write(frame: Frame): void {
    if (!this.open) return;
    this.#socket!.send(frame as string | BufferSource);
    if (this.#options.tap) this.#tap("out", frame);
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

  /** Ends its lifetime now: the venue says that it will. */
  retire(): void {
    this.#retired.resolve();
  }

  /** Calls back every so many milliseconds until the connection ends. */
  every(interval: number, callback: () => void): void {
    if (this.ending || interval === Infinity) return;
    this.#timers.add(setInterval(callback, Math.min(interval, MAX_TIMER)));
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

  /** Hears no more frames. */
  mute(): void {
    this.#socket!.onmessage = null;
  }

  /** Starts the close handshake; the connection ends once the peer has answered. */
  close(): void {
    // Deno writes the reason's bytes where the code belongs when there is no code.
    this.#socket!.close(1000, "");
  }

  /** Ends the connection now. Only the first ending counts. */
  end(ending: Partial<Ending>): void {
    if (this.ending) return;
    this.ending = { code: 1006, reason: "", clean: false, opened: this.#opened, ...ending };
    for (const timer of this.#timers) clearTimeout(timer);
    this.#timers.clear();
    if (this.#socket) discard(this.#socket);
    this.#controller.abort();
    this.#resolveEnded(this.ending);
  }

  #tap(direction: "in" | "out", data: Frame): void {
    try {
      this.#options.tap!(direction, data, this.attempt);
    } catch (error) {
      this.#options.report("Cannot tap a frame: tap() threw", error);
    }
  }
}

/** What an error event tells. The messages of Bun hold the URL, and with it perhaps a token. */
function describe(event: Event): Partial<Ending> {
  const { message = "" } = event as ErrorEvent;
  const status = /status code: (\d{3})/.exec(message)?.[1];
  return {
    reason: message.replaceAll(/wss?:[^\s']*/gi, "…"),
    ...(status && { status: Number(status) }),
  };
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
