/**
 * Counts the calls of one process that the shared count still has to hear of. Internal.
 *
 * @module
 */

import type { Tokens } from "./script.ts";
import type { Kind, SharedLimits } from "./shared_limits.ts";

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
  readonly #telling: number;

  /**
   * Makes an empty tally.
   *
   * @param limits The events that the limits count, and how soon these are told.
   */
  constructor({ kinds, telling }: Pick<SharedLimits, "kinds" | "telling">) {
    this.#kinds = kinds;
    this.#telling = telling;
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
   * Notes that a call has started or finished just now. Events of one tick, a fiftieth of the time
   * in which they are told, become one event at the time of the latest.
   *
   * @param kind Start or finish.
   * @param cost Tokens of the call.
   */
  stamp(kind: Kind, cost: number): void {
    if (!this.#kinds.has(kind)) return;
    this.#open[kind] -= cost;
    if (cost === 0) return;
    const stamps = this.#told[kind];
    const now = performance.now();
    const tick = (at: number) => Math.floor(at / this.#telling * 50);
    const [earlier = 0, at = -Infinity] = stamps.at(-1) ?? [];
    if (tick(at) === tick(now)) stamps.pop();
    stamps.push([tick(at) === tick(now) ? earlier + cost : cost, now]);
  }

  /**
   * Takes the events that are to be told with the next command. While tokens are left, events wait
   * until `telling` has passed: so many calls are told at the cost of one.
   *
   * @param isScarce Whether somebody may wait for these tokens.
   * @returns The events.
   */
  take(isScarce: boolean): Told {
    const isEarly = performance.now() < this.since + this.#telling;
    if (isEarly && !isScarce) return { start: [], finish: [] };
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
   * @returns Tokens that are held, those of events that wait included, and spent tokens with their
   * ages.
   */
  word(kind: Kind, told: Told, granted: number, now: number): Tokens {
    if (!this.#kinds.has(kind)) return { held: 0, told: [] };
    const age = (at: number) => Math.floor((now - at) * 1_000);
    const untold = this.#told[kind].reduce((sum, [cost]) => sum + cost, 0);
    return {
      held: this.#open[kind] + granted + untold,
      told: told[kind].map(([cost, at]) => [cost, age(at)]),
    };
  }
}
