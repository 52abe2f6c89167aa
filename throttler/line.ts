/**
 * The line of calls that wait: the urgent ones first, and each kind in the order of age.
 *
 * @module
 */

/** The age of urgent calls is lower by this much, so that each is older than all that are not urgent. */
const URGENT = 2 ** 52;

/**
 * Turns age and urgency into one number by which the line is ordered.
 *
 * @param age When the call came, `Infinity` for one that comes now.
 * @param urgent Whether it is urgent.
 * @returns The order: the lower, the earlier. Below 0 if urgent, and `0` for an urgent newcomer.
 */
export function orderOf(age: number, urgent: boolean): number {
  if (!urgent) return age;
  return age === Infinity ? 0 : age - URGENT;
}

/** A call in line, between its neighbours. */
export class Waiter {
  /** Tokens that the call spends. */
  readonly cost: number;
  /** Its place in the order of the line, see {@linkcode orderOf}. */
  readonly order: number;
  /** The call before it, or the end of the ring. Itself while it is in no line. */
  prev: Waiter = this;
  /** The call after it, or the end of the ring. */
  next: Waiter = this;
  /** The call; a place of `runAll` has none. */
  fn: (() => unknown) | undefined = undefined;
  /** Settles the promise of the caller, or of the place's turn. */
  resolve: (value: unknown) => void = ignore;
  /** Rejects the promise of the caller. */
  reject: (reason: unknown) => void = ignore;
  /** Takes its listener off the signal. */
  unlisten: () => void = ignore;

  /**
   * Makes a waiter that is in no line.
   *
   * @param cost Tokens that the call spends.
   * @param order Its place in the order.
   */
  constructor(cost: number, order: number) {
    this.cost = cost;
    this.order = order;
  }
}

/** Calls that wait, in order. */
export class Line {
  /** One ring for the urgent and one for the others. The end of each counts as older than all. */
  readonly #urgent: Waiter = new Waiter(0, -Infinity);
  readonly #others: Waiter = new Waiter(0, -Infinity);
  /** Tokens that all of them will spend. */
  #cost = 0;

  /** The call that goes first. */
  get first(): Waiter | undefined {
    if (this.#urgent.next !== this.#urgent) return this.#urgent.next;
    return this.#others.next === this.#others ? undefined : this.#others.next;
  }

  /**
   * Puts a call into its place, behind those that are older.
   *
   * @param call A call that is in no line.
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
   * Takes a call out, if it is in line.
   *
   * @param call The call.
   * @returns Whether it was.
   */
  remove(call: Waiter): boolean {
    if (call.next === call) return false;
    call.prev.next = call.next;
    call.next.prev = call.prev;
    call.prev = call.next = call;
    this.#cost -= call.cost;
    return true;
  }

  /**
   * Sums up the tokens that those who go before a call will spend.
   *
   * @param order The call's place in the order.
   * @returns Tokens.
   */
  costBefore(order: number): number {
    let cost = 0;
    if (order <= 0) { // the urgent ones are few
      let call = this.#urgent.next;
      for (; call !== this.#urgent && call.order < order; call = call.next) cost += call.cost;
      return cost;
    }
    cost = this.#cost;
    for (let call = this.#others.prev; call.order >= order; call = call.prev) cost -= call.cost;
    return cost;
  }

  /**
   * Lists the calls.
   *
   * @returns All of them, in order.
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

/** The listeners of each signal. A signal scans its own list at each change, so it gets `tell` only. */
const listeners = new WeakMap<AbortSignal, Set<(reason: unknown) => void>>();

/**
 * Waits for a signal. All that wait for the same one share one listener on it.
 *
 * @param signal The signal, if there is one.
 * @param listener Called with the signal's reason.
 * @returns Stops waiting.
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
  // The oldest leaves last, so that no call starts in its place that is about to be aborted too.
  for (const listener of [...listeners.get(signal)!].reverse()) listener(signal.reason);
}
