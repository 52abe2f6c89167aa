/**
 * What a throttler does: it lets calls through, in order, as its limits allow.
 *
 * @module
 */

import { Alarm } from "./alarm.ts";
import { TICKS } from "./bucket.ts";
import { isPast, type Limits } from "./limits.ts";
import { Line, orderOf, Waiter } from "./line.ts";
import type { Place, PlaceOptions } from "./rate_limiter.ts";

/** Why a rate limiter refused a call that it could have run at another time. */
export class ThrottlerError extends Error {
  /** The class's own name, for logs. */
  override readonly name: string = "ThrottlerError";
  /**
   * `"full"`: `maxQueue` calls wait already. `"closed"`: the throttler was closed. `"unavailable"`:
   * the server of a `RedisThrottler` does not answer, or refuses.
   */
  readonly kind: "full" | "closed" | "unavailable";

  /**
   * Makes the error.
   *
   * @param kind What stood in the way.
   * @param message The same in words.
   * @param options The cause, if there is one.
   */
  constructor(
    kind: "full" | "closed" | "unavailable",
    message: string,
    options?: { cause?: unknown },
  ) {
    super(message, options);
    this.kind = kind;
  }
}

/** Lets calls through. */
export class Gate {
  /** What may be spent. */
  readonly limits: Limits;
  /** Calls of `runAll` that wait, here or elsewhere. */
  readonly guests: Set<LocalPlace> = new Set();
  /** Why it is closed, once it is. */
  closed: { reason: unknown } | undefined;
  readonly #line = new Line();
  readonly #alarm = new Alarm(() => this.pump());
  /** How many of those in line are calls of this throttler only. */
  #size = 0;
  readonly #maxQueue: number;
  #isPumping = false;

  /**
   * Makes an open gate.
   *
   * @param limits What may be spent.
   * @param maxQueue Most calls that may wait.
   */
  constructor(limits: Limits, maxQueue: number) {
    this.limits = limits;
    this.#maxQueue = maxQueue;
  }

  /** How many calls wait, those of `runAll` included, wherever these wait. */
  get size(): number {
    return this.#size + this.guests.size;
  }

  /** Tokens that a newcomer could spend now. */
  get available(): number {
    return this.closed || this.#line.first ? 0 : this.limits.available;
  }

  /**
   * Says whether a call may start now.
   *
   * @param cost Its tokens.
   * @param order Its place in the order.
   * @returns Whether none goes before it and the limits allow it.
   */
  isOpen(cost: number, order: number): boolean {
    const { first } = this.#line;
    if (this.closed || (first && first.order < order)) return false;
    return isPast(this.limits.allowedAt(cost));
  }

  /**
   * Estimates how long a call would wait behind those that go before it.
   *
   * @param cost Its tokens.
   * @param order Its place in the order.
   * @returns Milliseconds.
   */
  waitOf(cost: number, order: number): number {
    const need = this.#line.costBefore(order) + cost;
    return Math.max(0, this.limits.allowedAt(need, true) / TICKS - performance.now());
  }

  /**
   * Makes sure that one more call may wait.
   *
   * @throws {ThrottlerError} If `maxQueue` calls wait already.
   */
  checkRoom(): void {
    if (this.size < this.#maxQueue) return;
    const message = `Cannot queue a call: ${this.size} wait, wanted fewer: `;
    throw new ThrottlerError("full", `${message}maxQueue is ${this.#maxQueue}`);
  }

  /**
   * Puts a call in line.
   *
   * @param call The call.
   */
  join(call: Waiter): void {
    this.#line.join(call);
    if (call.fn) this.#size++;
    if (this.#line.first === call) this.pump();
  }

  /**
   * Takes a call out of the line, if it is there.
   *
   * @param call The call.
   */
  leave(call: Waiter): void {
    const wasFirst = this.#line.first === call;
    this.#remove(call);
    if (wasFirst) this.pump();
  }

  /**
   * Rejects every call that waits and that a rule refuses.
   *
   * @param rule Gives the reason, in an array, of a cost that is refused.
   */
  refuse(rule: (cost: number) => [reason: unknown] | undefined): void {
    for (const guest of this.guests) {
      const refusal = rule(guest.cost);
      if (refusal) guest.refuse(refusal[0]);
    }
    for (const call of this.#line.all()) {
      const refusal = rule(call.cost);
      if (!refusal) continue;
      this.leave(call);
      call.reject(refusal[0]);
    }
  }

  /**
   * Starts a call: its tokens are held from here on, and charged once it has started or finished.
   *
   * @param fn The call.
   * @param cost Its tokens.
   * @returns The result of `fn`.
   */
  start<T>(fn: () => T | PromiseLike<T>, cost: number): Promise<T> {
    this.limits.hold(cost);
    const result = attempt(fn);
    const hasFinish = this.limits.stampStart(cost);
    this.pump();
    return hasFinish ? result.finally(() => this.#finish(cost)) : result;
  }

  /** Starts those that may start, oldest first, and sets the alarm for the next. */
  pump(): void {
    if (this.#isPumping) return; // a call that was started here has come back
    this.#isPumping = true;
    let at = Infinity;
    for (let call; (call = this.#line.first) && !this.closed; at = Infinity) {
      at = this.limits.allowedAt(call.cost);
      if (!isPast(at)) break;
      if (call.fn) {
        this.#remove(call);
        call.resolve(this.start(call.fn, call.cost));
      } else {
        call.resolve(undefined); // a place of runAll keeps the head of the line until it leaves
        at = Infinity;
        break;
      }
    }
    this.#isPumping = false;
    this.#alarm.set(at);
  }

  /**
   * Starts a call of `runAll`, which is open here.
   *
   * @param fn The call.
   * @param place Its place.
   * @returns The result of `fn`.
   */
  startPlace<T>(fn: () => T | PromiseLike<T>, place: LocalPlace): Promise<T> {
    this.guests.delete(place);
    this.#remove(place); // without a look at who is next: its tokens are not held yet
    return this.start(fn, place.cost);
  }

  #finish(cost: number): void {
    this.limits.stampFinish(cost);
    this.pump();
  }

  #remove(call: Waiter): void {
    if (!this.#line.remove(call)) return;
    if (call.fn) this.#size--;
    call.unlisten();
  }
}

/** A place of `runAll` at a gate. */
export class LocalPlace extends Waiter implements Place {
  /** Called where the call is refused while it waits. */
  refuse: (reason: unknown) => void = this.reject;
  readonly #gate: Gate;

  /**
   * Makes a place.
   *
   * @param gate The gate.
   * @param options The call.
   */
  constructor(gate: Gate, { cost, urgent, age }: PlaceOptions) {
    super(cost, orderOf(age, urgent));
    this.#gate = gate;
  }

  get isOpen(): boolean {
    return this.#gate.isOpen(this.cost, this.order);
  }

  get wait(): number {
    return this.#gate.waitOf(this.cost, this.order);
  }

  get rate(): number {
    return this.#gate.limits.rate;
  }

  get period(): number {
    return this.#gate.limits.period;
  }

  enter(refuse: (reason: unknown) => void): void {
    this.#gate.checkRoom();
    this.refuse = refuse;
    this.#gate.guests.add(this);
  }

  turn(): Promise<void> {
    return new Promise<unknown>((resolve) => {
      this.resolve = resolve;
      if (this.next === this) this.#gate.join(this);
      else this.#gate.pump();
    }) as Promise<void>;
  }

  pass(): void {
    this.#gate.leave(this);
  }

  leave(): void {
    this.#gate.guests.delete(this);
    this.pass();
  }

  start<T>(fn: () => T | PromiseLike<T>): Promise<T> {
    return this.#gate.startPlace(fn, this);
  }
}

/** Calls a function whose failure may come either way. */
function attempt<T>(fn: () => T | PromiseLike<T>): Promise<T> {
  try {
    return Promise.resolve(fn());
  } catch (error) {
    return Promise.reject(error);
  }
}
