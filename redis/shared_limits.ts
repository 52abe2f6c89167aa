/**
 * The limits in the forms that the shared count needs. Internal.
 *
 * @module
 */

import { type Limit, Throttler } from "../throttler.ts";

/** The events that a limit counts from: the start of a call, or its finish. */
export type Kind = "start" | "finish";

/** Limits that several processes share. Times are in milliseconds. */
export class SharedLimits {
  /** The limits as the script reads them, periods in microseconds. */
  readonly text: string;
  /** How many there are. */
  readonly count: number;
  /** The highest cost that they allow. */
  readonly capacity: number;
  /** Tokens that come back per millisecond, in the slowest limit. */
  readonly rate: number;
  /** Longest time for which a start or a finish counts. */
  readonly longest: number;
  /** How soon the script is told of a start or a finish: a twentieth of the shortest period. */
  readonly telling: number;
  /** The events that are counted. */
  readonly kinds: ReadonlySet<Kind>;
  readonly #limits: readonly Limit[];

  /**
   * Checks the limits.
   *
   * @param limits One limit, or several that are taken together or not at all.
   * @throws {RangeError} If a number is out of its range, or no limit is given.
   * @throws {TypeError} If a value is of the wrong type.
   */
  constructor(limits: Limit | readonly Limit[]) {
    new Throttler(limits); // the same rules, in the same words
    const all = [limits].flat() as readonly Limit[];
    const parts = all.map(({ limit, period, refill = "after-start", burst = limit }) => ({
      kind: refill === "after-finish" ? "finish" : "start",
      limit,
      period: Math.ceil(period * 1_000),
      burst: refill === "steady" ? burst : undefined,
    }));
    this.#limits = all;
    this.text = JSON.stringify(parts);
    this.count = all.length;
    this.capacity = Math.min(...parts.map(({ limit, burst = limit }) => burst));
    this.rate = Math.min(...all.map(({ limit, period }) => limit / period));
    this.longest = Math.max(
      ...all.map(({ limit, period, burst = limit }) => period * Math.max(1, burst / limit)),
    );
    this.telling = Math.max(1, Math.min(...all.map(({ period }) => period)) / 20);
    this.kinds = new Set(parts.map(({ kind }) => kind as Kind));
  }

  /**
   * Makes a throttler of one process's share, which together with the others' shares stays within
   * the limits.
   *
   * @param processes Number of processes that share the limits.
   * @returns The throttler.
   * @throws {RangeError} If a limit is below the number of processes.
   */
  share(processes: number): Throttler {
    return new Throttler(this.#limits.map(({ limit, burst, ...rest }) => ({
      ...rest,
      limit: portion(limit, processes),
      ...(burst !== undefined && { burst: portion(burst, processes) }),
    })));
  }
}

function portion(tokens: number, processes: number): number {
  if (tokens >= processes) return Math.floor(tokens / processes);
  throw new RangeError(
    `Cannot share the limit: processes is ${processes}, wanted at most ${tokens}, one token each`,
  );
}
