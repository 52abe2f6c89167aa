/**
 * What the simulators have in common: a venue's script, the clock of a market, and the faults that
 * real venues have, on a schedule or on command.
 *
 * @module
 */

import type { FeedClient, VenueScript } from "@aio-trader/core/testing";
import { seeded } from "./market.ts";

/**
 * What can happen to the clients of a venue:
 *
 * - `drop`: every socket is closed with 1012, as for a restart
 * - `refuse`: the next upgrade is answered with 503
 * - `silence`: every socket stays open and says nothing more
 * - `corrupt`: the next frame is wrong in a way that only the venue's own check can show
 * - `throttle`: the next HTTP request is refused for its haste, in the venue's own words
 */
export type Fault = "drop" | "refuse" | "silence" | "corrupt" | "throttle";

/** A fault and its time. */
export interface ScheduledFault {
  /** When, in milliseconds after the first subscription. It waits for a client it can strike. */
  readonly at: number;
  /** What. */
  readonly fault: Fault;
}

/** Options of every simulated venue. */
export interface SimulatorOptions {
  /**
   * Where the random numbers start: the same seed gives the same market.
   *
   * @default {1}
   */
  readonly seed?: number;
  /**
   * Time between two steps of the market, in milliseconds. `0`: it stands still but for `step()`.
   *
   * @default {20}
   */
  readonly interval?: number;
  /** Faults that happen by themselves, in this order. */
  readonly faults?: readonly ScheduledFault[];
  /** Called when a fault has struck. */
  readonly onFault?: (fault: Fault) => void;
}

/** What becomes of the next order: executed without an answer, or not executed. */
export type Loss = "answer" | "order";

/** A venue that listens. */
export type Venue = VenueScript & { close(): Promise<void> };

/** A simulated venue. A subclass writes its script, and says how its market steps. */
export abstract class Simulator<V extends Venue = Venue> implements AsyncDisposable {
  /** The venue's script: its logs, and faults of requests and frames. */
  readonly venue: V;
  /** Random numbers of the seed. */
  protected readonly random: () => number;
  readonly #timers = new Set<ReturnType<typeof setInterval>>();
  readonly #market: ReturnType<typeof setInterval> | undefined;
  readonly #scheduled: ScheduledFault[];
  readonly #onFault: (fault: Fault) => void;
  readonly #losses: Loss[] = [];
  /** How many requests and frames are still to be struck. */
  readonly #armed = { corrupt: 0, throttle: 0 };
  #firstSubscription: number | undefined;

  /**
   * Starts the market.
   *
   * @param venue Where it is played.
   * @param options What the simulators have in common.
   */
  constructor(venue: V, options: SimulatorOptions) {
    const { seed = 1, interval = 20, faults = [], onFault = () => {} } = options;
    this.venue = venue;
    this.random = seeded(seed);
    this.#scheduled = [...faults];
    this.#onFault = onFault;
    if (interval > 0) this.#market = this.every(interval, () => this.step());
    if (faults.length > 0) this.every(10, () => this.#strike());
  }

  /** The address of its HTTP side. */
  get httpUrl(): string {
    return this.venue.httpUrl;
  }

  /** The address of its WebSocket side. */
  get wsUrl(): string {
    return this.venue.wsUrl;
  }

  /** Clients that hold a subscription, and are told what happens. */
  get followers(): FeedClient[] {
    return this.venue.feed.clients.filter(({ held, isSilent }) => held.size > 0 && !isSilent);
  }

  /** Faults of the schedule that have not struck yet. */
  get pending(): number {
    return this.#scheduled.length;
  }

  /** Lets the market move once, and tells everyone who subscribed. */
  abstract step(): void;

  /** Lets the market stand still from now on, but for `step()`: its book can be compared then. */
  freeze(): void {
    clearInterval(this.#market);
  }

  /**
   * Lets a fault strike now.
   *
   * @param fault Which one.
   */
  inflict(fault: Fault): void {
    const { feed } = this.venue;
    if (fault === "drop") feed.drop(1012, "Service restart");
    else if (fault === "refuse") feed.refuse();
    else if (fault === "silence") feed.silence();
    else this.arm(fault);
    this.#onFault(fault);
  }

  /** Executes the next order, and loses its answer. */
  loseAnswer(): void {
    this.#losses.push("answer");
  }

  /** Loses the next order: it is not executed, and the client is told the same. */
  loseOrder(): void {
    this.#losses.push("order");
  }

  /** Tells what becomes of an order. */
  protected takeLoss(): Loss | undefined {
    return this.#losses.shift();
  }

  /** Lets a fault strike the next request or frame, and tells nobody. */
  protected arm(fault: "corrupt" | "throttle"): void {
    this.#armed[fault]++;
  }

  /** Tells whether a fault strikes this request or frame. */
  protected isStruck(fault: "corrupt" | "throttle"): boolean {
    const isArmed = this.#armed[fault] > 0;
    if (isArmed) this.#armed[fault]--;
    return isArmed;
  }

  /**
   * Calls a function again and again, until the venue closes.
   *
   * @param interval Time between two calls, in milliseconds.
   * @param fn The function.
   * @returns The timer.
   */
  protected every(interval: number, fn: () => void): ReturnType<typeof setInterval> {
    const timer = setInterval(fn, interval);
    this.#timers.add(timer);
    return timer;
  }

  /**
   * Ends every connection and stops listening. Idempotent.
   *
   * @throws {AggregateError} If a part of the script has thrown what is no answer.
   */
  async close(): Promise<void> {
    for (const timer of this.#timers) clearInterval(timer);
    await this.venue.close();
    const errors = this.venue.errors.splice(0);
    if (errors.length > 0) throw new AggregateError(errors, "The script of the simulator failed");
  }

  /** Closes the venue. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  /** Strikes with the faults that are due, as soon as there is a client to survive them. */
  #strike(): void {
    if (this.followers.length === 0) return;
    this.#firstSubscription ??= performance.now();
    const elapsed = performance.now() - this.#firstSubscription;
    while (this.pending > 0 && this.#scheduled[0].at <= elapsed && this.followers.length > 0) {
      this.inflict(this.#scheduled.shift()!.fault);
    }
  }
}
