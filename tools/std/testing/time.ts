/**
 * A stand-in for `@std/testing/time`. It fakes the same globals as the real one: `Date`, the four
 * timer functions and `AbortSignal.timeout`. Neither fakes `performance.now`, `queueMicrotask`,
 * `setImmediate` or `node:timers`.
 *
 * No library of fake timers stands behind it, because the usual one differs where it matters to a
 * test. That one fires a delay of 2^31 at once, starts a zero delay inside a tick one millisecond
 * later, runs on after a callback has thrown, and hands out objects as timer ids.
 *
 * @module
 */

const real = {
  Date,
  setTimeout,
  clearTimeout,
  setInterval,
  clearInterval,
  timeout: AbortSignal.timeout,
};

type Callback = (...args: unknown[]) => unknown;

interface Timer {
  id: number;
  due: number;
  /** Orders the timers that are due together. */
  turn: number;
  /** Period of an interval, in milliseconds; undefined for a timeout. */
  period?: number;
  callback: Callback;
  args: unknown[];
}

/** Replaces the clock and the timers of the platform until it is restored. */
export class FakeTime {
  static #current: FakeTime | undefined;

  /** The time at which this began, in epoch milliseconds. */
  readonly start: number;
  readonly #timers = new Map<number, Timer>();
  #now: number;
  #ids = 0;
  #turns = 0;

  /** @param start Epoch milliseconds; the present where it is missing. */
  constructor(start: number = real.Date.now()) {
    if (FakeTime.#current) throw new Error("Cannot construct FakeTime: time is already faked");
    this.start = this.#now = start;
    FakeTime.#current = this;
    this.#fake();
  }

  get now(): number {
    return this.#now;
  }

  /** Fires all that is due on the way to `value`, in order, each at its own time. */
  set now(value: number) {
    if (value < this.#now) {
      throw new RangeError(
        `Cannot set time to ${value}: it is ${this.#now} and only moves forward`,
      );
    }
    for (let timer = this.#next(); timer && timer.due <= value; timer = this.#next()) {
      this.#now = timer.due;
      if (timer.period === undefined) this.#timers.delete(timer.id);
      else Object.assign(timer, { due: timer.due + timer.period, turn: this.#turns++ });
      timer.callback.apply(null, timer.args);
    }
    this.#now = value;
  }

  tick(ms = 0): void {
    this.now += ms;
  }

  async tickAsync(ms = 0): Promise<void> {
    await this.runMicrotasks();
    this.tick(ms);
  }

  next(): boolean {
    const timer = this.#next();
    if (timer) this.now = timer.due;
    return timer !== undefined;
  }

  async nextAsync(): Promise<boolean> {
    await this.runMicrotasks();
    return this.next();
  }

  /**
   * Waits for a timer of the platform. As in the real one, time is real while that timer is set,
   * which takes away every function that a test has laid over the fakes.
   */
  async runMicrotasks(): Promise<void> {
    if (FakeTime.#current !== this) throw new Error("Cannot wait: time is not faked");
    unfake();
    const settled = new Promise((resolve) => setTimeout(resolve, 0));
    this.#fake();
    await settled;
  }

  restore(): void {
    if (FakeTime.#current !== this) {
      throw new Error("Cannot restore time: time is already restored");
    }
    FakeTime.#current = undefined;
    unfake();
  }

  [Symbol.dispose](): void {
    this.restore();
  }

  #fake(): void {
    const clear = (id?: unknown) => void this.#timers.delete(id as number);
    const timeout = (callback: Callback, delay = 0, ...args: unknown[]) =>
      this.#set("setTimeout", callback, Math.max(0, Math.floor(delay)), undefined, args);
    const interval = (callback: Callback, delay = 0, ...args: unknown[]) => {
      const period = Math.max(1, Math.floor(delay));
      return this.#set("setInterval", callback, period, period, args);
    };
    const now = () => this.#now;
    Object.assign(globalThis, {
      Date: new Proxy(real.Date, {
        construct: (target, args, newTarget) =>
          Reflect.construct(target, args.length === 0 ? [this.#now] : args, newTarget),
        apply: () => new real.Date(this.#now).toString(),
        get: (target, key, receiver) => key === "now" ? now : Reflect.get(target, key, receiver),
      }),
      setTimeout: timeout,
      clearTimeout: clear,
      setInterval: interval,
      clearInterval: clear,
    });
    AbortSignal.timeout = (delay) => {
      const controller = new AbortController();
      timeout(() => controller.abort(new DOMException("Signal timed out.", "TimeoutError")), delay);
      return controller.signal;
    };
  }

  #set(
    name: string,
    callback: Callback,
    delay: number,
    period: number | undefined,
    args: unknown[],
  ): number {
    if (FakeTime.#current !== this) {
      throw new Error(`Cannot call a fake ${name}: time is not faked`);
    }
    if (typeof callback !== "function") {
      throw new Error(`Cannot call a fake ${name}: wanted a function`);
    }
    const id = ++this.#ids;
    const due = this.#now + delay;
    this.#timers.set(id, { id, due, turn: this.#turns++, period, callback, args });
    return id;
  }

  #next(): Timer | undefined {
    let first: Timer | undefined;
    for (const timer of this.#timers.values()) {
      if (!first || timer.due < first.due || (timer.due === first.due && timer.turn < first.turn)) {
        first = timer;
      }
    }
    return first;
  }
}

function unfake(): void {
  const { timeout, ...globals } = real;
  Object.assign(globalThis, globals);
  AbortSignal.timeout = timeout;
}
