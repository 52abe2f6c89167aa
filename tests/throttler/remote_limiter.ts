import { assert } from "@std/assert";
import {
  type Permit,
  type Place,
  type PlaceOptions,
  type RateLimiter,
  runAll,
} from "../../throttler.ts";

/** A grant as the server knows it: what it counts until a period after its start. */
interface Grant {
  at: number;
  readonly cost: number;
  /** Whether the call has started. Else the grant expires on the server too. */
  isSpent: boolean;
}

/** A limiter that is asked over a network: it answers late, refuses, and its grants expire. */
export class RemoteLimiter implements RateLimiter {
  /** What happened, with the time. */
  readonly log: string[] = [];
  /** Calls that were started. */
  readonly starts: Grant[] = [];
  /** Milliseconds of a round trip. */
  latency: () => number = () => 10;
  /** Milliseconds that a grant lasts. */
  fresh = 1_000;
  /** Until when the server grants nothing. */
  freeAt = 0;
  /** What the next questions are refused with. */
  refusal: Error | undefined;
  size = 0;
  readonly limit: number;
  readonly period: number;
  #grants: Grant[] = [];

  constructor({ limit, period } = { limit: 10, period: 100 }) {
    this.limit = limit;
    this.period = period;
  }

  /** Tokens of grants that were neither spent nor given back, and have not expired. */
  get unused(): number {
    return this.#live().filter(({ isSpent }) => !isSpent).reduce((sum, { cost }) => sum + cost, 0);
  }

  run<T>(fn: () => T | PromiseLike<T>): Promise<T> {
    return runAll([this], fn);
  }

  acquire(): Promise<Permit> {
    throw new Error("not needed here");
  }

  waitTime(): number {
    return Math.max(0, this.freeAt - performance.now());
  }

  pause(): void {}

  close(): void {}

  place({ cost }: PlaceOptions): Place {
    return new RemotePlace(this, cost);
  }

  note(what: string): void {
    this.log.push(`${performance.now()} ${what}`);
  }

  /** The server's answer: a grant, or when to ask again. */
  ask(cost: number): Grant | number {
    const now = performance.now();
    this.#grants = this.#live();
    const used = this.#grants.reduce((sum, grant) => sum + grant.cost, cost);
    if (now >= this.freeAt && used <= this.limit) {
      const grant = { at: now, cost, isSpent: false };
      this.#grants.push(grant);
      this.note("grants");
      return grant;
    }
    const returns = this.#grants.map(({ at, isSpent }) => isSpent ? at + this.period : now + 20);
    const until = now < this.freeAt ? this.freeAt : Math.min(...returns);
    this.note(`says wait ${until - now}`);
    return until;
  }

  /** The grants that count: for a period after the start, or while they are fresh. */
  #live(): Grant[] {
    const now = performance.now();
    const lasts = ({ isSpent }: Grant) => isSpent ? this.period : this.fresh;
    return this.#grants.filter((grant) => now - grant.at < lasts(grant));
  }

  giveBack(grant: Grant): void {
    this.#grants = this.#grants.filter((other) => other !== grant);
    this.note("gives back");
  }

  spend(grant: Grant): void {
    grant.at = performance.now(); // as late as the venue may see it
    grant.isSpent = true;
    this.starts.push(grant);
    this.note("starts");
  }
}

class RemotePlace implements Place {
  readonly rate: number;
  readonly period: number;
  readonly #limiter: RemoteLimiter;
  readonly #cost: number;
  #grant: Grant | undefined;
  #expiry = -Infinity;
  /** Counts what makes an answer to an earlier question void. */
  #question = 0;
  #waitUntil = 0;
  #isIn = false;

  constructor(limiter: RemoteLimiter, cost: number) {
    this.#limiter = limiter;
    this.#cost = cost;
    this.rate = limiter.limit / limiter.period;
    this.period = limiter.period;
  }

  get isOpen(): boolean {
    return performance.now() < this.#expiry;
  }

  get wait(): number {
    return Math.max(0, this.#waitUntil - performance.now());
  }

  enter(): void {
    this.#isIn = true;
    this.#limiter.size++;
  }

  async turn(): Promise<void> {
    this.pass(); // an expired grant goes back
    const own = this.#question;
    const { wait } = this;
    if (wait > 0) await new Promise((done) => setTimeout(done, wait));
    if (own !== this.#question) return;
    this.#limiter.note("asks");
    await new Promise((done) => setTimeout(done, this.#limiter.latency()));
    if (own !== this.#question) return;
    if (this.#limiter.refusal) throw this.#limiter.refusal;
    const answer = this.#limiter.ask(this.#cost);
    if (typeof answer === "number") {
      this.#waitUntil = answer;
    } else {
      this.#grant = answer;
      this.#expiry = answer.at + this.#limiter.fresh;
    }
  }

  pass(): void {
    this.#question++;
    if (this.#grant) this.#limiter.giveBack(this.#grant);
    this.#grant = undefined;
    this.#expiry = -Infinity;
  }

  leave(): void {
    this.pass();
    if (this.#isIn) this.#limiter.size--;
    this.#isIn = false;
  }

  start<T>(fn: () => T | PromiseLike<T>): Promise<T> {
    assert(this.isOpen, "a call starts with a fresh grant only");
    const grant = this.#grant!;
    this.#grant = undefined;
    this.#expiry = -Infinity;
    let result: Promise<T>;
    try {
      result = Promise.resolve(fn());
    } catch (error) {
      result = Promise.reject(error);
    }
    this.#limiter.spend(grant);
    return result;
  }
}
