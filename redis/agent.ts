/**
 * One process in the shared count: its calls that wait, its grants, and its talk with Redis.
 * Internal.
 *
 * @module
 */

import { type Place, type PlaceOptions, type Throttler, ThrottlerError } from "../throttler.ts";
import { PLACES } from "./script.ts";
import type { SharedLimits } from "./shared_limits.ts";
import { Tally } from "./tally.ts";
import { Refusal, type Reply, type Send, Wire } from "./wire.ts";

/** Options of {@linkcode Agent}. Times are in milliseconds. */
export interface AgentOptions {
  send: Send;
  key: string;
  limits: SharedLimits;
  lease: number;
  timeout: number;
  maxQueue: number;
  onUnavailable: "wait" | "reject" | "local";
  processes: number;
  onEvent(event: AgentEvent): void;
}

/** News of the connection with the shared count. */
export type AgentEvent =
  | { type: "unavailable"; error: unknown }
  | { type: "available" }
  | { type: "lost" };

/** Longest pause that Redis is told of, in milliseconds: a year. */
const MAX_PAUSE = 31_536_000_000;

/** One process in the shared count. */
export class Agent {
  /** The limits that are shared. */
  readonly limits: SharedLimits;
  /** Calls that wait, in this line or in that of another limiter. */
  readonly guests: Set<RedisPlace> = new Set();
  /** The reason of the closing, once the agent is closed. */
  closed: { reason: unknown } | undefined;
  /** The share of this process, which counts alone while Redis cannot be asked. */
  local: Throttler | undefined;
  readonly #name = crypto.randomUUID();
  readonly #options: AgentOptions;
  readonly #wire: Wire;
  readonly #tally: Tally;
  /** Calls that want a grant, in order; and granted calls that have not started. */
  #line: RedisPlace[] = [];
  readonly #granted = new Set<RedisPlace>();
  /** Places in the shared line that the next command gives up. */
  #leave: string[] = [];
  /** Moments of the monotonic clock; see {@linkcode Times}. */
  readonly #times: Times = { sent: -Infinity, next: 0, pause: 0, fresh: 0 };
  #talk: Talk = {
    isOn: false,
    isWanted: false,
    isStuck: false,
    isDown: false,
    isScarce: true,
    hasStrayed: false,
  };
  readonly #alarm: Alarm = { at: Infinity, rings: Infinity, timer: undefined };

  /**
   * Makes an agent; nothing is sent yet.
   *
   * @param options The limits, the client and the rules.
   */
  constructor(options: AgentOptions) {
    const { limits, lease, processes, onUnavailable } = options;
    // A limit that cannot be shared is refused here, not when Redis fails.
    if (onUnavailable === "local") limits.share(processes);
    this.limits = limits;
    this.#options = options;
    this.#tally = new Tally(limits);
    this.#wire = new Wire({
      ...options,
      limits: limits.text,
      sets: limits.count,
      maxWait: lease / 3,
      alarm: (at) => this.#wake(at),
      onFailure: (error) => this.#fail(error),
    });
  }

  /** Milliseconds until the first call of the line, or a newcomer, may have its turn. */
  get wait(): number {
    const { next, pause } = this.#times;
    return Math.max(0, Math.max(next, pause) - performance.now());
  }

  /** Tokens that the calls in line will spend. */
  get queued(): number {
    return this.#line.reduce((sum, { cost }) => sum + cost, 0);
  }

  /**
   * Makes sure that one more call may wait.
   *
   * @throws {ThrottlerError} If `maxQueue` calls wait already, or Redis cannot be asked.
   */
  checkRoom(): void {
    const { maxQueue, onUnavailable } = this.#options;
    if (this.#talk.isDown && onUnavailable === "reject") throw unavailable(undefined);
    if (this.guests.size < maxQueue) return;
    const message = `Cannot queue a call: ${this.guests.size} wait, wanted fewer: `;
    throw new ThrottlerError("full", `${message}maxQueue is ${maxQueue}`);
  }

  /**
   * Says whether a call has a grant that may be used.
   *
   * @param place The call.
   * @returns Whether it may start now.
   */
  isGranted(place: RedisPlace): boolean {
    if (!this.#granted.has(place) || this.closed) return false;
    const now = performance.now();
    return now < this.#times.fresh && now >= this.#times.pause;
  }

  /**
   * Puts a call in line, by urgency and age. An old grant is given back.
   *
   * @param place The call.
   */
  join(place: RedisPlace): void {
    this.#granted.delete(place);
    const index = this.#find(place);
    if (this.#line[index] === place) return;
    this.#line.splice(index, 0, place);
    if (index < PLACES) this.#want();
  }

  /**
   * Takes a call out of the line, and gives its place or its grant back.
   *
   * @param place The call.
   */
  leave(place: RedisPlace): void {
    const index = this.#find(place);
    const isInLine = this.#line[index] === place;
    if (isInLine) this.#line.splice(index, 1);
    if (isInLine && place.isTold) this.#leave.push(place.name);
    if (this.#granted.delete(place) || isInLine && place.isTold) this.#want();
    place.isTold = false;
  }

  /**
   * Starts a call.
   *
   * @param place The call, which has a grant, of Redis or of the local share.
   * @param fn The function. The start is noted after `fn` has returned, the finish when its result
   * settles.
   * @returns The result of `fn`.
   */
  start<T>(place: RedisPlace, fn: () => T | PromiseLike<T>): Promise<T> {
    const { cost } = place;
    this.#granted.delete(place);
    this.#tally.begin(cost);
    if (this.local) this.#talk.hasStrayed = true;
    const result = attempt(fn);
    const stamp = (kind: "start" | "finish") => {
      this.#tally.stamp(kind, cost);
      this.#schedule();
    };
    stamp("start");
    return this.limits.kinds.has("finish") ? result.finally(() => stamp("finish")) : result;
  }

  /**
   * Starts nothing for a while, here and in all other processes.
   *
   * @param duration Milliseconds.
   */
  pause(duration: number): void {
    this.#times.pause = Math.max(this.#times.pause, performance.now() + duration);
    this.local?.pause(duration);
    if (duration > 0) this.#want();
  }

  /**
   * Rejects all calls that wait.
   *
   * @param reason The reason.
   */
  refuse(reason: unknown): void {
    for (const place of [...this.guests]) {
      this.leave(place);
      place.refuse(reason);
    }
  }

  /** Finds the index of a call in the line, or the index at which to insert the call. */
  #find({ order }: RedisPlace): number {
    let [low, high] = [0, this.#line.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#line[middle].order < order) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** Asks Redis soon: everything that happens in the same turn goes into one command. */
  #want(): void {
    if (this.#talk.isWanted) return;
    this.#talk.isWanted = true;
    if (!this.#talk.isOn) queueMicrotask(() => this.#ask());
  }

  async #ask(): Promise<void> {
    if (this.#talk.isOn) return;
    const talk = this.#talk;
    talk.isOn = true;
    talk.isStuck = false;
    do {
      talk.isWanted = false;
      const told = this.#tally.take(talk.isScarce);
      try {
        const reply = await this.#wire.ask(this.#word(told));
        if (reply) this.#hear(reply);
        else talk.isStuck = true;
      } catch (error) {
        talk.isStuck = true;
        this.refuse(unavailable(error));
      }
      if (talk.isStuck) {
        this.#tally.restore(told);
        this.#recover();
      }
    } while (talk.isWanted && !talk.isStuck);
    talk.isOn = false;
    if (talk.isStuck) talk.isWanted = false;
    if (talk.isStuck && this.#line.length > 0) this.#ask(); // calls came meanwhile
    else this.#schedule();
  }

  /** How long nobody starts a call after a loss: by then all tokens have come back. */
  get #horizon(): number {
    return this.limits.longest + this.#options.lease;
  }

  #word(told: ReturnType<Tally["take"]>): Parameters<Wire["ask"]>[0] {
    const now = this.#times.sent = performance.now();
    const places = this.local ? [] : this.#line.slice(0, PLACES);
    for (const place of places) place.isTold = true;
    const granted = [...this.#granted].reduce((sum, { cost }) => sum + cost, 0);
    return {
      agent: this.#name,
      isLost: this.#talk.hasStrayed && !this.local,
      lease: this.#options.lease * 1_000,
      start: this.#tally.word("start", told, granted, now),
      finish: this.#tally.word("finish", told, granted, now),
      pause: Math.ceil(Math.min(Math.max(0, this.#times.pause - now), MAX_PAUSE) * 1_000),
      leave: this.#leave.splice(0),
      join: places.map(({ name }) => name),
    };
  }

  #hear({ answer, sentAt, heardAt: now }: Reply): void {
    const [, , wait, isLost, ...ids] = answer;
    this.#talk.isScarce = wait > 0;
    this.#times.next = now + Math.max(1, Math.ceil(wait / 1_000));
    this.#times.fresh = sentAt + this.#options.lease / 2;
    if (this.#talk.hasStrayed && !this.local) this.#talk.hasStrayed = false;
    if (this.#talk.isDown) {
      this.#recover();
      this.#options.onEvent({ type: "available" });
    }
    if (isLost) this.#options.onEvent({ type: "lost" });
    const isUsable = now < this.#times.fresh && now >= this.#times.pause;
    const named = new Set(ids);
    const granted = this.#line.filter(({ id }) => named.has(id));
    if (isUsable && granted.length > 0) {
      this.#line = this.#line.filter(({ id }) => !named.has(id));
      for (const place of granted) this.#granted.add(place);
    }
    // The next command gives back grants of aborted calls, and grants that came too late.
    if (granted.length < ids.length || !isUsable && ids.length > 0) this.#want();
    if (this.#line.length > 0 && !this.#line.some(({ isTold }) => isTold)) this.#want();
    for (const place of granted) place.resolve();
    if (this.#line.length === 0) return;
    const expected = this.wait;
    for (const place of this.#line) if (place.promised < expected) place.resolve();
  }

  /** Hears of a failed attempt, and says whether to send the command again. */
  #fail(error: unknown): boolean {
    const { onUnavailable, processes, lease, onEvent } = this.#options;
    if (!this.#talk.isDown) {
      this.#talk.isDown = true;
      if (onUnavailable === "local") {
        this.local = this.limits.share(processes);
        this.local.pause(Math.max(this.#horizon, this.#times.pause - performance.now()));
        for (const place of this.#line.splice(0)) place.resolve();
      }
      onEvent({ type: "unavailable", error });
    }
    if (onUnavailable === "reject") this.refuse(unavailable(error));
    return this.guests.size > 0 || this.#tally.isRunning ||
      performance.now() - this.#times.sent < lease;
  }

  /** Ends the local share: Redis answers again, or nothing is left to ask. */
  #recover(): void {
    this.#talk.isDown = false;
    if (!this.local) return;
    this.local = undefined;
    for (const place of this.guests) place.goShared();
    if (this.#talk.hasStrayed) this.#want();
  }

  /** Sets the one timer: for calls that wait, for events to tell, or for a sign of life. */
  #schedule(): void {
    if (this.#talk.isOn) return;
    const { sent, next } = this.#times;
    const { since, isRunning } = this.#tally;
    const isWaiting = this.#line.length > 0;
    const tell = since + this.limits.telling;
    const isBusy = isWaiting || isRunning || since < Infinity || this.#granted.size > 0;
    const beat = isBusy ? sent + this.#options.lease / 3 : Infinity;
    const isResting = this.#talk.isWanted || this.#talk.isStuck;
    this.#wake(isResting ? Infinity : Math.min(isWaiting ? next : Infinity, tell, beat));
  }

  /** Rings at a time. A timer that rings too early is left alone, and set again when it rings. */
  #wake(at: number): void {
    const alarm = this.#alarm;
    alarm.at = at;
    if (at === Infinity && !this.#talk.isWanted) {
      clearTimeout(alarm.timer);
      alarm.rings = Infinity;
    }
    if (at >= alarm.rings) return;
    clearTimeout(alarm.timer);
    alarm.rings = at;
    alarm.timer = setTimeout(() => {
      alarm.rings = Infinity;
      if (performance.now() < alarm.at) return this.#wake(alarm.at);
      if (this.#talk.isOn) this.#wire.expire();
      else this.#ask();
    }, Math.max(0, Math.ceil(at - performance.now())));
  }
}

/**
 * When the last command was sent, when to ask next, and the ends of the pause and of the grants.
 */
interface Times {
  sent: number;
  next: number;
  pause: number;
  fresh: number;
}

/** When to ask, and the timer, which may ring earlier. */
interface Alarm {
  at: number;
  rings: number;
  timer: ReturnType<typeof setTimeout> | undefined;
}

/** State of the talk with Redis. */
interface Talk {
  /** A command is on its way. */
  isOn: boolean;
  /** Another command is wanted as soon as the one on the way has its answer. */
  isWanted: boolean;
  /** The last command was given up; the next call begins anew. */
  isStuck: boolean;
  /** The last attempt failed. */
  isDown: boolean;
  /** The newest answer left no token for a newcomer. */
  isScarce: boolean;
  /** Calls have started that Redis did not grant. */
  hasStrayed: boolean;
}

/** One call's place. */
export class RedisPlace implements Place {
  /** Tokens that the call spends. */
  readonly cost: number;
  /** Place in the order of this process: the lower, the earlier. */
  readonly order: number;
  /** Number of the call in this process, and name of the place in the shared line. */
  readonly id: string;
  readonly name: string;
  /** Whether a command has named the place, so that the shared line may hold it. */
  isTold = false;
  /** Longest wait that the call was told. */
  promised = 0;
  /** Ends the turn. */
  resolve: () => void = ignore;
  /** Rejects the call. */
  refuse: (reason: unknown) => void = ignore;
  readonly #agent: Agent;
  readonly #options: PlaceOptions;
  #local: Place | undefined;

  /**
   * Makes a place that is in no line.
   *
   * @param agent The process.
   * @param options The call.
   */
  constructor(agent: Agent, options: PlaceOptions) {
    const { cost, urgent, age } = options;
    this.cost = cost;
    this.id = `${age}`;
    this.order = urgent ? age - 2 ** 52 : age;
    this.name = `${age}:${cost}${urgent ? "!" : ""}`;
    this.#agent = agent;
    this.#options = options;
  }

  get isOpen(): boolean {
    return this.#local ? this.#local.isOpen : this.#agent.isGranted(this);
  }

  get wait(): number {
    return this.#local ? this.#local.wait : this.#agent.wait;
  }

  get rate(): number {
    return this.#agent.limits.rate;
  }

  get period(): number {
    return this.#agent.limits.longest;
  }

  enter(refuse: (reason: unknown) => void): void {
    this.#agent.checkRoom();
    this.refuse = refuse;
    this.#agent.guests.add(this);
  }

  turn(): Promise<void> {
    return new Promise((resolve) => {
      this.resolve = resolve;
      this.promised = Math.max(this.promised, this.#agent.wait);
      const { local } = this.#agent;
      if (!local) return this.#agent.join(this);
      this.#local ??= local.place(this.#options);
      this.#local.turn().then(resolve);
    });
  }

  pass(): void {
    this.#local?.pass();
    this.#agent.leave(this);
  }

  leave(): void {
    this.#agent.guests.delete(this);
    this.#local?.leave();
    this.#agent.leave(this);
  }

  start<T>(fn: () => T | PromiseLike<T>): Promise<T> {
    if (this.#local) return this.#local.start(() => this.#agent.start(this, fn));
    return this.#agent.start(this, fn);
  }

  /** Leaves the local share: the next turn is taken in the shared line. */
  goShared(): void {
    this.#local?.leave();
    this.#local = undefined;
    this.resolve();
  }
}

function ignore(): void {}

function unavailable(cause: unknown): ThrottlerError {
  const why = cause instanceof Refusal ? cause.message : "Redis cannot be asked, wanted an answer";
  const message = `Cannot start a call: ${why}`;
  return new ThrottlerError("unavailable", message, { cause });
}

/** Calls a function whose failure may come either way. */
function attempt<T>(fn: () => T | PromiseLike<T>): Promise<T> {
  try {
    return Promise.resolve(fn());
  } catch (error) {
    return Promise.reject(error);
  }
}
