/**
 * The working part of a throttler: lets calls through, in order, as the limits allow.
 *
 * @module
 */

import { Alarm } from "./alarm.ts";
import { TICKS } from "./bucket.ts";
import { isPast, type Limits } from "./limits.ts";
import { Line, orderOf, Waiter } from "./line.ts";
import type { Place, PlaceOptions } from "./rate_limiter.ts";

/**
 * Says why a rate limiter refused a call that it could have run at another time.
 *
 * @example Usage
 * ```ts
 * import { Throttler, ThrottlerError } from "@aio-trader/core/throttler";
 * import { assertEquals, assertRejects } from "@std/assert";
 *
 * const throttler = new Throttler({ limit: 1, period: 60_000, maxQueue: 0 });
 * await throttler.run(() => "sent");
 * const error = await assertRejects(() => throttler.run(() => "refused"), ThrottlerError);
 *
 * assertEquals(error.kind, "full");
 * ```
 */
export class ThrottlerError extends Error {
  /** `"ThrottlerError"`. */
  override readonly name: string = "ThrottlerError";
  /**
   * - `"full"`: `maxQueue` calls wait already.
   * - `"closed"`: the limiter was closed.
   * - `"unavailable"`: the server of a `RedisThrottler` does not answer, or refuses.
   */
  readonly kind: "full" | "closed" | "unavailable";

  /**
   * Makes the error.
   *
   * @param kind Why the call was refused.
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

/** Lets calls through, in order, as the limits allow. */
export class Gate {
  /** The limits. */
  readonly limits: Limits;
  /** Calls of `runAll` that wait, here or elsewhere. */
  readonly guests: Set<LocalPlace> = new Set();
  /** The reason of the close, once the gate is closed. */
  closed: { reason: unknown } | undefined;
  readonly #line = new Line();
  /** Calls in line, without those of `runAll`. */
  #size = 0;
  readonly #maxQueue: number;
  readonly #alarm = new Alarm(() => this.pump());
  #isPumping = false;

  /**
   * Makes an open gate.
   *
   * @param limits The limits.
   * @param maxQueue Most calls that may wait.
   */
  constructor(limits: Limits, maxQueue: number) {
    this.limits = limits;
    this.#maxQueue = maxQueue;
  }

  /** Number of calls that wait, with those of `runAll` that wait elsewhere. */
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
   * @param cost Tokens of the call.
   * @param order The call's position, by {@linkcode orderOf}.
   * @returns `true` if no call goes before this one and the limits allow the cost.
   */
  isOpen(cost: number, order: number): boolean {
    const { first } = this.#line;
    if (this.closed || (first && first.order < order)) return false;
    return isPast(this.limits.allowedAt(cost));
  }

  /**
   * Estimates the wait of a call, behind the calls that go before it.
   *
   * @param cost Tokens of the call.
   * @param order The call's position, by {@linkcode orderOf}.
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
   * Takes a call out of the line, where the call is in line.
   *
   * @param call The call.
   */
  leave(call: Waiter): void {
    const wasFirst = this.#line.first === call;
    this.#remove(call);
    if (wasFirst) this.pump();
  }

  /**
   * Rejects calls that wait.
   *
   * @param refusalOf Gives the reason for calls of a cost, or `undefined` to let them wait on.
   */
  refuse(refusalOf: (cost: number) => { reason: unknown } | undefined): void {
    for (const guest of this.guests) {
      const refusal = refusalOf(guest.cost);
      if (refusal) guest.refuse(refusal.reason);
    }
    for (const call of this.#line.all()) {
      const refusal = refusalOf(call.cost);
      if (!refusal) continue;
      this.leave(call);
      call.reject(refusal.reason);
    }
  }

  /** Starts the calls that may start, oldest first, and sets the alarm for the next one. */
  pump(): void {
    if (this.#isPumping) return; // fn, called from here, has used the throttler again
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
   * Starts a call. The gate holds the tokens from here on, and charges them at the stamp.
   *
   * @param fn The call.
   * @param cost Tokens of the call.
   * @returns The result of `fn`.
   */
  start<T>(fn: () => T | PromiseLike<T>, cost: number): Promise<T> {
    this.limits.hold(cost);
    const result = attempt(fn);
    const hasFinish = this.limits.stampStart(cost);
    this.pump();
    return hasFinish ? result.finally(() => this.#finish(cost)) : result;
  }

  /**
   * Starts a call of `runAll`, which may start here.
   *
   * @param fn The call.
   * @param place The call's place.
   * @returns The result of `fn`.
   */
  startPlace<T>(fn: () => T | PromiseLike<T>, place: LocalPlace): Promise<T> {
    this.#remove(place); // no pump yet: the next call must not take the tokens of this one
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

/** A place of `runAll` at a gate: a waiter without `fn`. */
export class LocalPlace extends Waiter implements Place {
  /** Rejects the call of `runAll`. */
  refuse: (reason: unknown) => void = this.reject;
  readonly #gate: Gate;

  /**
   * Makes a place that is not in line.
   *
   * @param gate The gate.
   * @param options Cost, urgency and age of the call.
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
    return new Promise((resolve) => {
      this.resolve = resolve as (value: unknown) => void;
      if (this.isInLine) this.#gate.pump();
      else this.#gate.join(this);
    });
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

/** Calls a function, and turns what it throws into a rejection. */
function attempt<T>(fn: () => T | PromiseLike<T>): Promise<T> {
  try {
    return Promise.resolve(fn());
  } catch (error) {
    return Promise.reject(error);
  }
}
