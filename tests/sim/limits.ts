/**
 * Holds times of starts against limits.
 *
 * @module
 */

import type { Limit } from "../../throttler.ts";

/** A start, and what it costs. */
export interface Start {
  readonly at: number;
  readonly cost: number;
}

/** Times in one run of floating-point numbers, in milliseconds. */
const ERROR = 1e-6;

/**
 * Tells where starts go above a limit.
 *
 * @param starts The starts, in any order.
 * @param limit The limit; `refill` says how tokens return.
 * @returns The excess in words, or undefined.
 */
export function excessOf(starts: readonly Start[], limit: Limit): string | undefined {
  const sorted = starts.filter(({ cost }) => cost > 0).sort((a, b) => a.at - b.at);
  return limit.refill === "steady" ? burst(sorted, limit) : windows(sorted, limit);
}

function windows(starts: readonly Start[], { limit, period }: Limit): string | undefined {
  let first = 0;
  let sum = 0;
  for (const { at, cost } of starts) {
    sum += cost;
    while (at - starts[first].at >= period - ERROR) sum -= starts[first++].cost;
    if (sum > limit) return `${sum} tokens in ${period} ms up to ${at}, wanted ${limit}`;
  }
  return undefined;
}

function burst(
  starts: readonly Start[],
  { limit, period, burst = limit }: Limit,
): string | undefined {
  let level = burst;
  let last = 0;
  for (const { at, cost } of starts) {
    level = Math.min(burst, level + (at - last) * limit / period) - cost;
    last = at;
    if (level < -ERROR) return `${-level} tokens too many at ${at}, wanted a burst of ${burst}`;
  }
  return undefined;
}
