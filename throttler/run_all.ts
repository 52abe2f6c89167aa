/**
 * One call that several rate limiters have to allow.
 *
 * @module
 */

import { nextAge } from "../common/arrival.ts";
import { listen } from "./line.ts";
import type { CallOptions, Place, RateLimiter } from "./rate_limiter.ts";

/** A rate limiter, and what the call costs there. */
export interface Charge {
  /** The limiter. */
  throttler: RateLimiter;
  /** Tokens that the call spends there, instead of the `cost` in the options: an integer. */
  cost: number;
}

/**
 * Calls `fn` as soon as every one of the throttlers allows it. It is charged to all of them at its
 * start, and to none if the wait is aborted or one of them refuses.
 *
 * While it waits for one throttler it holds back nobody in the others. It keeps its age in every
 * line, and in the end its turn in each until the last has come, so that two calls never block each
 * other and none waits for ever. Calls for the same throttlers start in the order in which they came.
 *
 * @param throttlers The throttlers; without any, `fn` is called at once.
 * @param fn The call; it is charged even if it fails.
 * @param options The cost, which each throttler is charged, and the signal.
 * @returns What `fn` returns.
 * @throws {RangeError} If the cost is not an integer of at least 0, or is above a limit.
 * @throws {ThrottlerError} If too many calls wait already for one of them, or one is closed.
 *
 * @example
 * ```ts
 * import { runAll, Throttler } from "@aio-trader/core/throttler";
 * import { assertEquals } from "@std/assert";
 *
 * const orders = new Throttler({ limit: 200, period: 60_000 });
 * const everything = new Throttler({ limit: 10, period: 1_000 });
 *
 * assertEquals(await runAll([orders, everything], () => "sent"), "sent");
 * ```
 */
export function runAll<T>(
  throttlers: readonly (RateLimiter | Charge)[],
  fn: () => T | PromiseLike<T>,
  options: CallOptions = {},
): Promise<T> {
  const { cost = 1, signal, urgent = false } = options;
  try {
    const costs = costsOf(throttlers, cost);
    signal?.throwIfAborted();
    const age = nextAge();
    const places = Array.from(
      costs,
      ([throttler, cost]) => throttler.place({ cost, urgent, age }),
    );
    if (places.every((place) => place.isOpen)) return start(places, fn);
    return startLater(places, fn, signal);
  } catch (error) {
    return Promise.reject(error);
  }
}

/** What the call costs at each throttler: the most that is said, where one is named twice. */
function costsOf(
  throttlers: readonly (RateLimiter | Charge)[],
  common: number,
): Map<RateLimiter, number> {
  const costs = new Map<RateLimiter, number>();
  for (const entry of throttlers) {
    const { throttler, cost } = "throttler" in entry ? entry : { throttler: entry, cost: common };
    const other = costs.get(throttler);
    if (other === undefined || cost > other) costs.set(throttler, cost);
  }
  return costs;
}

/** Charges all places and calls `fn`: each start calls the next one, and the last calls `fn`. */
function start<T>(places: readonly Place[], fn: () => T | PromiseLike<T>): Promise<T> {
  const call = places.reduce((next, place) => () => place.start(next), fn);
  return Promise.resolve(call());
}

async function startLater<T>(
  places: readonly Place[],
  fn: () => T | PromiseLike<T>,
  signal: AbortSignal | undefined,
): Promise<T> {
  const { promise: refused, reject: refuse } = Promise.withResolvers<never>();
  const unlisten = listen(signal, refuse);
  const inLine = new Set<Place>();
  const hasPassed = new Set<Place>();
  try {
    for (const place of places) place.enter(refuse);
    for (let late; (late = places.filter((place) => !place.isOpen)).length > 0;) {
      // The longest wait comes first. The others, remote grants above all, would not last so long.
      const next = late.reduce((a, b) => b.wait > a.wait ? b : a);
      const { wait, rate } = next;
      // The call keeps its turns elsewhere, unless others had better go meanwhile: in a faster
      // limiter, or where even tokens that are spent now would be back before. It gives up each turn
      // only once, so that in the end it has them all.
      for (const place of inLine) {
        const isBusy = place.rate > rate || wait > 2 * place.period;
        if (place === next || hasPassed.has(place) || !isBusy) continue;
        place.pass();
        inLine.delete(place);
        hasPassed.add(place);
      }
      inLine.add(next);
      await Promise.race([next.turn(), refused]);
    }
    signal?.throwIfAborted();
    return start(places, fn);
  } finally {
    unlisten();
    for (const place of places) place.leave();
  }
}
