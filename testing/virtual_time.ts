/**
 * Time that passes only when a test says so.
 *
 * @module
 */

/**
 * Options of {@linkcode VirtualTime}.
 *
 * @example Timers that fire late
 * ```ts
 * import { VirtualTime, type VirtualTimeOptions } from "@aio-trader/core/testing";
 * import { assertEquals } from "@std/assert";
 *
 * const options: VirtualTimeOptions = { start: 0, timerError: () => 3 };
 * using time = new VirtualTime(options);
 * let rang = NaN;
 * setTimeout(() => rang = Date.now(), 10);
 * await time.pass(20);
 * assertEquals(rang, 13);
 * ```
 */
export interface VirtualTimeOptions {
  /**
   * The epoch time at the beginning, in milliseconds.
   *
   * @default {1_700_000_000_000}
   */
  start?: number | undefined;
  /**
   * By how many milliseconds the next timer fires late, or early if negative. Real timers fire up to
   * 0.9 ms early and any time late.
   *
   * @default {() => 0}
   */
  timerError?: (() => number) | undefined;
}

interface Timer {
  at: number;
  readonly callback: () => void;
  /** The period of an interval. */
  readonly every: number | undefined;
}

/** Turns of the real event loop in which promises settle that a runtime settles late. */
const TURNS = 2;

const real = {
  setTimeout: globalThis.setTimeout,
  clearTimeout: globalThis.clearTimeout,
  setInterval: globalThis.setInterval,
  clearInterval: globalThis.clearInterval,
  Date: globalThis.Date,
};
const later: (callback: () => void) => unknown =
  (globalThis as { setImmediate?: typeof later }).setImmediate ?? real.setTimeout;

/**
 * Takes the place of the clock: `setTimeout`, `setInterval`, `Date`, `performance.now` and
 * `AbortSignal.timeout`, on every runtime, until {@linkcode VirtualTime.restore}.
 *
 * - Timers fire in the order of their times, and those of the same time in the order in which they
 *   were set.
 * - Between two timers every promise settles that can.
 * - `performance.now` and `Date` go on together. `shift` moves `Date` alone, as a step of the wall
 *   clock does.
 *
 * @example An hour that takes no time
 * ```ts
 * import { VirtualTime } from "@aio-trader/core/testing";
 * import { assertEquals } from "@std/assert";
 *
 * using time = new VirtualTime(); // where `using` is missing: time.restore() in a finally
 * let rings = 0;
 * setInterval(() => rings++, 60_000);
 * await time.pass(3_600_000);
 * assertEquals(rings, 60);
 * ```
 */
export class VirtualTime {
  readonly #timers = new Map<number, Timer>();
  readonly #timerError: () => number;
  readonly #begin: number;
  /** Bun has it as an own property, the others on the prototype. */
  readonly #performanceNow = Object.getOwnPropertyDescriptor(performance, "now");
  readonly #abortTimeout = Object.getOwnPropertyDescriptor(AbortSignal, "timeout")!;
  #now = 0;
  #shift = 0;
  #ids = 0;

  /**
   * Takes the place of the clock.
   *
   * @param options The beginning, and how punctual timers are.
   * @throws {Error} If another VirtualTime has taken its place already.
   */
  constructor({ start = 1_700_000_000_000, timerError = () => 0 }: VirtualTimeOptions = {}) {
    if (globalThis.Date !== real.Date) {
      throw new Error(
        "Cannot take the place of the clock: another fake has it, wanted its restore()",
      );
    }
    this.#begin = start;
    this.#timerError = timerError;
    const now = () => this.now;
    Object.defineProperty(performance, "now", { value: () => this.#now, configurable: true });
    Object.assign(globalThis, {
      setTimeout: (callback: (...args: unknown[]) => void, delay?: number, ...args: unknown[]) =>
        this.#set(() => callback(...args), delay),
      setInterval: (callback: (...args: unknown[]) => void, delay?: number, ...args: unknown[]) =>
        this.#set(() => callback(...args), delay, true),
      clearTimeout: (id?: unknown) => void this.#timers.delete(Number(id)),
      clearInterval: (id?: unknown) => void this.#timers.delete(Number(id)),
      Date: new Proxy(real.Date, {
        construct: (target, args, self) =>
          Reflect.construct(target, args.length > 0 ? args : [now()], self),
        apply: (target) => new target(now()).toString(),
        get: (target, key) => key === "now" ? now : Reflect.get(target, key),
      }),
    });
    Object.defineProperty(AbortSignal, "timeout", {
      configurable: true,
      value: (delay: number) => {
        const controller = new AbortController();
        const reason = new DOMException("Signal timed out.", "TimeoutError");
        this.#set(() => controller.abort(reason), delay);
        return controller.signal;
      },
    });
  }

  /** The epoch time, in milliseconds, as `Date.now()` tells it. */
  get now(): number {
    return Math.floor(this.#begin + this.#now + this.#shift);
  }

  /** Timers that are still to fire. */
  get timers(): number {
    return this.#timers.size;
  }

  /**
   * Lets time pass: fires each timer that is due, in order, and lets promises settle after each.
   *
   * @param duration How long, in milliseconds.
   * @param most Timers that may fire meanwhile.
   * @throws {Error} If more timers fire: they never come to an end.
   */
  async pass(duration: number, most = 1_000_000): Promise<void> {
    const end = this.#now + duration;
    await this.settle();
    for (let count = 0; count < most; count++) {
      const next = this.#next(end);
      if (!next) {
        this.#now = Math.max(this.#now, end);
        return;
      }
      this.#now = Math.max(this.#now, next[1].at);
      this.#fire(...next);
      await this.settle();
    }
    throw new Error("Cannot pass the time: the timers never come to an end");
  }

  /**
   * Lets time pass until something holds, 5 ms at a time.
   *
   * @param condition What must hold.
   * @param most Longest wait, in virtual milliseconds.
   * @throws {Error} If it does not hold in time.
   *
   * @example Until a timer has fired
   * ```ts
   * import { VirtualTime } from "@aio-trader/core/testing";
   *
   * using time = new VirtualTime();
   * let isOver = false;
   * setTimeout(() => isOver = true, 40_000);
   * await time.until(() => isOver);
   * ```
   */
  async until(condition: () => unknown, most = 60_000): Promise<void> {
    const end = this.#now + most;
    while (!condition()) {
      if (this.#now >= end) {
        throw new Error(`Cannot wait any longer: not so within ${most} ms: ${condition}`);
      }
      await this.pass(5);
    }
  }

  /**
   * Lets time pass until a promise settles, one timer after the other.
   *
   * @param promise What a test waits for: to await it alone would never end.
   * @param most Longest wait, in virtual milliseconds.
   * @returns Its value.
   * @throws The error that it rejects with.
   * @throws {Error} If it does not settle in time.
   *
   * @example A minute of waiting
   * ```ts
   * import { VirtualTime } from "@aio-trader/core/testing";
   * import { assertEquals } from "@std/assert";
   *
   * using time = new VirtualTime();
   * const wait = new Promise((resolve) => setTimeout(() => resolve("done"), 60_000));
   * assertEquals(await time.run(wait), "done");
   * ```
   */
  async run<T>(promise: Promise<T>, most = 3_600_000): Promise<T> {
    const end = this.#now + most;
    let isSettled = false;
    const settle = () => isSettled = true;
    promise.then(settle, settle);
    await this.settle();
    while (!isSettled) {
      const next = this.#next(end);
      if (!next) throw new Error(`Cannot wait any longer: not settled within ${most} ms`);
      this.#now = Math.max(this.#now, next[1].at);
      this.#fire(...next);
      await this.settle();
    }
    return await promise;
  }

  /**
   * Suspends the process: time goes on, and no timer fires meanwhile. Those that are due fire late,
   * with the next {@linkcode VirtualTime.pass}.
   *
   * @param duration How long, in milliseconds.
   */
  suspend(duration: number): void {
    this.#now += duration;
  }

  /**
   * Moves the wall clock alone: `Date`, not `performance.now`.
   *
   * @param duration How far, in milliseconds; negative moves it back.
   */
  shift(duration: number): void {
    this.#shift += duration;
  }

  /** Lets every promise settle that can without time. */
  async settle(): Promise<void> {
    for (let turn = 0; turn < TURNS; turn++) {
      await new Promise<void>((resolve) => void later(resolve));
    }
  }

  /** Puts the real clock back. Timers that are still to fire never do. */
  restore(): void {
    delete (performance as Partial<Performance>).now; // that of the prototype shows again
    if (this.#performanceNow) Object.defineProperty(performance, "now", this.#performanceNow);
    Object.assign(globalThis, real);
    Object.defineProperty(AbortSignal, "timeout", this.#abortTimeout);
    this.#timers.clear();
  }

  /** Puts the real clock back. */
  [Symbol.dispose](): void {
    this.restore();
  }

  /** Sets a timer. Returns its number, as an object with the methods that Node's own code calls. */
  #set(callback: () => void, delay = 0, isInterval = false): object {
    // As runtimes do it: whole milliseconds, at least 1, and at once where 32 bits overflow.
    const wait = delay >= 1 && delay < 2 ** 31 ? Math.trunc(delay) : 1;
    const at = this.#now + Math.max(0, wait + this.#timerError());
    this.#timers.set(++this.#ids, { at, callback, every: isInterval ? wait : undefined });
    const id: object = Object(this.#ids);
    const self = () => id;
    return Object.assign(id, { ref: self, unref: self, refresh: self, hasRef: () => true });
  }

  /** The timer that fires next, if it fires by then. */
  #next(end: number): [number, Timer] | undefined {
    let next: [number, Timer] | undefined;
    for (const entry of this.#timers) {
      if (entry[1].at <= end && (!next || entry[1].at < next[1].at)) next = entry;
    }
    return next;
  }

  #fire(id: number, timer: Timer): void {
    if (timer.every === undefined) this.#timers.delete(id);
    else timer.at = this.#now + timer.every;
    timer.callback();
  }
}
