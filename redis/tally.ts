/**
 * Counts the calls of one process that the shared count still has to hear of. Internal.
 *
 * @module
 */

import type { Tokens } from "./script.ts";
import type { Kind } from "./shared_limits.ts";

/** Costs, and the moment at which each was spent. */
type Stamps = [cost: number, at: number][];

/** Events taken for a command, to be put back if the command fails. */
export type Told = Record<Kind, Stamps>;

/**
 * Calls between their grant and the moment when the shared count hears of their start or finish.
 */
export class Tally {
  /** Tokens of calls that have not started, or not finished. */
  readonly #open: Record<Kind, number> = { start: 0, finish: 0 };
  #told: Told = { start: [], finish: [] };
  readonly #kinds: ReadonlySet<Kind>;

  /**
   * Makes an empty tally.
   *
   * @param kinds The events that the limits count.
   */
  constructor(kinds: ReadonlySet<Kind>) {
    this.#kinds = kinds;
  }

  /** Whether the finish of a call is still to come. */
  get isRunning(): boolean {
    return this.#open.finish > 0;
  }

  /** Moment of the oldest event that is still to be told; `Infinity` without one. */
  get since(): number {
    return Math.min(this.#told.start[0]?.[1] ?? Infinity, this.#told.finish[0]?.[1] ?? Infinity);
  }

  /**
   * Begins a call.
   *
   * @param cost Tokens of the call.
   */
  begin(cost: number): void {
    for (const kind of this.#kinds) this.#open[kind] += cost;
  }

  /**
   * Notes that a call has started or finished just now.
   *
   * @param kind Start or finish.
   * @param cost Tokens of the call.
   */
  stamp(kind: Kind, cost: number): void {
    if (!this.#kinds.has(kind)) return;
    this.#open[kind] -= cost;
    if (cost > 0) this.#told[kind].push([cost, performance.now()]);
  }

  /**
   * Takes the events that are to be told with the next command.
   *
   * @returns The events.
   */
  take(): Told {
    const told = this.#told;
    this.#told = { start: [], finish: [] };
    return told;
  }

  /**
   * Puts events back, where a command has not been answered.
   *
   * @param told Events from `take`.
   */
  restore(told: Told): void {
    for (const kind of this.#kinds) this.#told[kind].unshift(...told[kind]);
  }

  /**
   * Words the events for the script.
   *
   * @param kind Starts or finishes.
   * @param told Events from `take`.
   * @param granted Tokens of the calls that are granted and have not begun.
   * @param now The time.
   * @returns Tokens that are held, and spent tokens with their ages.
   */
  word(kind: Kind, told: Told, granted: number, now: number): Tokens {
    if (!this.#kinds.has(kind)) return { held: 0, told: [] };
    const age = (at: number) => Math.floor((now - at) * 1_000);
    return {
      held: this.#open[kind] + granted,
      told: told[kind].map(([cost, at]) => [cost, age(at)]),
    };
  }
}
