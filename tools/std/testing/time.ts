/**
 * A stand-in for `@std/testing/time`. It fakes what the real one fakes and nothing else: `Date`,
 * the four timer functions and `AbortSignal.timeout`. Not faked, there as here: `performance.now`,
 * `queueMicrotask`, `setImmediate` and `node:timers`.
 *
 * It is not built on a library of fake timers, since the usual one differs where it matters to a
 * test: it fires a delay of 2^31 at once, starts a zero delay inside a tick one millisecond later,
 * runs on after a callback has thrown, and hands out objects as timer ids.
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

/** An operation that does not suit the state of the fake time. */
export class TimeError extends Error {
  constructor(message: string) {
    super(message);
    this.name = "TimeError";
  }
}

/** Options of {@linkcode FakeTime}. */
export interface FakeTimeOptions {
  /** Fake milliseconds per real millisecond. @default {0} (time stands still) */
  advanceRate: number;
  /** How often time advances by itself, in real milliseconds. @default {10} */
  advanceFrequency?: number;
}

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

  readonly #start: number;
  readonly #timers = new Map<number, Timer>();
  readonly #advance: ReturnType<typeof setInterval> | undefined;
  #now: number;
  #ids = 0;
  #turns = 0;

  constructor(start?: number | string | Date | null, options?: FakeTimeOptions) {
    if (FakeTime.#current) {
      throw new TimeError("Cannot construct FakeTime: time is already faked");
    }
    this.#start = new real.Date(start ?? real.Date.now()).valueOf();
    if (Number.isNaN(this.#start)) {
      throw new TypeError(`Cannot construct FakeTime: invalid start time ${start}`);
    }
    this.#now = this.#start;
    FakeTime.#current = this;
    this.#fake();

    const { advanceRate = 0, advanceFrequency = 10 } = options ?? {};
    if (advanceRate > 0) {
      const step = advanceRate * advanceFrequency;
      this.#advance = real.setInterval.call(null, () => this.tick(step), advanceFrequency);
    }
  }

  static restore(): void {
    if (!FakeTime.#current) {
      throw new TimeError("Cannot restore time: time is already restored");
    }
    FakeTime.#current.restore();
  }

  static async restoreFor<T, A extends unknown[] = unknown[]>(
    callback: (...args: A) => Promise<T> | T,
    ...args: A
  ): Promise<T> {
    const time = FakeTime.#current;
    if (!time) throw new TimeError("Cannot restore time: time is not faked");
    unfake();
    try {
      const result = callback(...args);
      // A plain result is back on fake time before this returns: there is no await on the way.
      return result instanceof Promise ? await result : result;
    } finally {
      time.#fake();
    }
  }

  get start(): number {
    return this.#start;
  }

  get now(): number {
    return this.#now;
  }

  /** Fires whatever is due on the way to `value`, in order, each at its own time. */
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

  runAll(): void {
    while (this.next());
  }

  async runAllAsync(): Promise<void> {
    while (this.#timers.size > 0) await this.nextAsync();
  }

  async runMicrotasks(): Promise<void> {
    await this.delay(0);
  }

  /** Waits in real time. */
  async delay(ms: number, { signal }: { signal?: AbortSignal } = {}): Promise<void> {
    const aborted = () => new DOMException("Delay was aborted.", "AbortError");
    if (signal?.aborted) throw aborted();
    // Through restoreFor(), as in the real one: it takes away what a test has laid over the fakes.
    await FakeTime.restoreFor(() => {
      const { promise, resolve, reject } = Promise.withResolvers<void>();
      const abort = () => {
        real.clearTimeout.call(null, timer);
        reject(aborted());
      };
      const timer = setTimeout(() => {
        signal?.removeEventListener("abort", abort);
        resolve();
      }, ms);
      signal?.addEventListener("abort", abort, { once: true });
      return { promise };
    }).then(({ promise }) => promise);
  }

  restore(): void {
    if (FakeTime.#current !== this) {
      throw new TimeError("Cannot restore time: time is already restored");
    }
    FakeTime.#current = undefined;
    unfake();
    real.clearInterval.call(null, this.#advance);
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
      throw new TimeError(`Cannot call a fake ${name}: time is not faked`);
    }
    if (typeof callback !== "function") {
      throw new TimeError(`Cannot call a fake ${name}: it takes functions only`);
    }
    const id = ++this.#ids;
    this.#timers.set(id, {
      id,
      due: this.#now + delay,
      turn: this.#turns++,
      period,
      callback,
      args,
    });
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
