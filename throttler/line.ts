/**
 * The line of calls that wait: the urgent ones first, and both kinds in the order of age. And the
 * one listener that all calls put on a signal together.
 *
 * @module
 */

/** More than there will ever be calls: takes the order of an urgent call below 0. */
const URGENT = 2 ** 52;

/**
 * Turns age and urgency of a call into one number, by which the line is ordered.
 *
 * @param age Number of the call, by `nextAge`. `Infinity` for a newcomer, behind all that wait.
 * @param urgent Whether the call is urgent.
 * @returns The order, lowest first: below 0 if urgent, `0` for an urgent newcomer, else the age.
 */
export function orderOf(age: number, urgent: boolean): number {
  if (!urgent) return age;
  return age === Infinity ? 0 : age - URGENT;
}

/** A call in line, between its neighbours. */
export class Waiter {
  /** Tokens of the call. */
  readonly cost: number;
  /** The call's position, by {@linkcode orderOf}. */
  readonly order: number;
  /** The call before, or the end of the ring. The waiter itself if not in line. */
  prev: Waiter = this;
  /** The call after, or the end of the ring. The waiter itself if not in line. */
  next: Waiter = this;
  /** The call. A place of `runAll` has none. */
  fn: (() => unknown) | undefined = undefined;
  /** Settles the promise of the caller, or of a place's `turn`. */
  resolve: (value: unknown) => void = ignore;
  /** Rejects the promise of the caller. */
  reject: (reason: unknown) => void = ignore;
  /** Takes the call's listener off the signal. */
  unlisten: () => void = ignore;

  /**
   * Makes a waiter that is not in line.
   *
   * @param cost Tokens of the call.
   * @param order The call's position.
   */
  constructor(cost: number, order: number) {
    this.cost = cost;
    this.order = order;
  }

  /** Whether the call is in line. */
  get isInLine(): boolean {
    return this.next !== this;
  }
}

/** Calls that wait, in order. */
export class Line {
  /** The end of the ring of urgent calls, older than all calls. */
  readonly #urgent = new Waiter(0, -Infinity);
  /** The end of the ring of all other calls. */
  readonly #others = new Waiter(0, -Infinity);
  /** Tokens of all calls together. */
  #cost = 0;

  /** The call that goes first. */
  get first(): Waiter | undefined {
    if (this.#urgent.isInLine) return this.#urgent.next;
    return this.#others.isInLine ? this.#others.next : undefined;
  }

  /**
   * Puts a call in line, behind those that are older.
   *
   * @param call A call that is not in line.
   */
  join(call: Waiter): void {
    let before = (call.order < 0 ? this.#urgent : this.#others).prev;
    while (before.order > call.order) before = before.prev;
    call.prev = before;
    call.next = before.next;
    call.prev.next = call.next.prev = call;
    this.#cost += call.cost;
  }

  /**
   * Takes a call out of the line.
   *
   * @param call The call.
   * @returns Whether the call was in line.
   */
  remove(call: Waiter): boolean {
    if (!call.isInLine) return false;
    call.prev.next = call.next;
    call.next.prev = call.prev;
    call.prev = call.next = call;
    this.#cost -= call.cost;
    return true;
  }

  /**
   * Adds up the tokens of the calls that go before another.
   *
   * @param order The other call's position.
   * @returns Tokens.
   */
  costBefore(order: number): number {
    if (order > 0) {
      let cost = this.#cost; // few calls are younger than this one: mostly none
      for (let call = this.#others.prev; call.order >= order; call = call.prev) cost -= call.cost;
      return cost;
    }
    let cost = 0;
    for (let call = this.#urgent.prev; call !== this.#urgent; call = call.prev) {
      if (call.order < order) cost += call.cost;
    }
    return cost;
  }

  /**
   * Lists the calls.
   *
   * @returns All calls, in order.
   */
  all(): Waiter[] {
    const calls: Waiter[] = [];
    for (const end of [this.#urgent, this.#others]) {
      for (let call = end.next; call !== end; call = call.next) calls.push(call);
    }
    return calls;
  }
}

function ignore(): void {}

/**
 * The listeners of each signal. A signal scans its own list at each change, so all calls that share
 * a signal put one function on it.
 */
const listeners = new WeakMap<AbortSignal, Set<(reason: unknown) => void>>();

/**
 * Listens to a signal.
 *
 * @param signal The signal; without one, nothing happens.
 * @param listener Called with the signal's reason.
 * @returns A function that stops listening.
 */
export function listen(
  signal: AbortSignal | undefined,
  listener: (reason: unknown) => void,
): () => void {
  if (!signal) return ignore;
  const all = listeners.get(signal) ?? new Set();
  listeners.set(signal, all);
  if (all.size === 0) signal.addEventListener("abort", tell);
  all.add(listener);
  return () => {
    all.delete(listener);
    if (all.size === 0) signal.removeEventListener("abort", tell);
  };
}

function tell(event: Event): void {
  const signal = event.target as AbortSignal;
  // The oldest call leaves last. Else another call of this signal could start in its place.
  for (const listener of [...listeners.get(signal)!].reverse()) listener(signal.reason);
}
