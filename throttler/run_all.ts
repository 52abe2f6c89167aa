/**
 * Starts one call that several rate limiters have to allow.
 *
 * @module
 */

import { nextAge } from "../common/arrival.ts";
import { checkBoolean, checkNumber, checkObject, checkSignal, refuse } from "../common/check.ts";
import { listen } from "./line.ts";
import type { CallOptions, Place, RateLimiter } from "./rate_limiter.ts";

/**
 * A rate limiter, and the cost of the call in that limiter.
 *
 * @example A call that costs more in one limit than in another
 * ```ts
 * import { type Charge, runAll, Throttler } from "@aio-trader/core/throttler";
 * import { assertEquals } from "@std/assert";
 *
 * const requests = new Throttler({ limit: 10, period: 1_000 });
 * const weight = new Throttler({ limit: 100, period: 60_000 });
 * const charges: Charge[] = [{ throttler: requests, cost: 1 }, { throttler: weight, cost: 20 }];
 *
 * await runAll(charges, () => "sent");
 * assertEquals([requests.available, weight.available], [9, 80]);
 * ```
 */
export interface Charge {
  /** The limiter. */
  throttler: RateLimiter;
  /**
   * Tokens that the call spends in this limiter, instead of the `cost` of the options: an integer.
   */
  cost: number;
}

/**
 * Calls `fn` as soon as all of the limiters allow the call.
 *
 * - **All or none**: all limiters charge the call at its start. An abort or a refusal costs
 *   nothing.
 * - **No blocking**: while the call waits for one limiter, others pass it in the rest.
 * - **Order**: the call keeps its age in every line. Calls for the same limiters start in the order
 *   in which they came, urgent calls first.
 * - **No deadlock, no starvation**: in the end the call keeps its turn in each limiter until the
 *   last turn comes. Only a stream of urgent calls can hold back a call for ever.
 *
 * A remote limiter keeps a turn for about a second. So `runAll` asks for the turn late, when the
 * other limiters are open, and asks again if the turn expires. Two crowded remote limiters may need
 * several rounds.
 *
 * @param throttlers The limiters, bare or with a cost of their own. Without any, `fn` is called at
 * once. A limiter named more than once charges once, the highest of the costs.
 * @param fn The call. The limiters charge it even if it fails.
 * @param options Cost at each limiter, signal, and urgency.
 * @returns The result of `fn`. Rejects with the error of `fn`, or the signal's reason.
 * @throws {RangeError} If a cost is not an integer of at least 0, or is above a limit.
 * @throws {TypeError} If an argument has the wrong type.
 * @throws {ThrottlerError} If too many calls wait already for one of them, or one is closed.
 *
 * @example A venue that counts orders twice in its second limit
 * ```ts
 * import { runAll, Throttler } from "@aio-trader/core/throttler";
 * import { assertEquals } from "@std/assert";
 *
 * const orders = new Throttler({ limit: 200, period: 60_000 });
 * const everything = new Throttler({ limit: 10, period: 1_000 });
 * const limiters = [orders, { throttler: everything, cost: 2 }];
 *
 * assertEquals(await runAll(limiters, () => "sent"), "sent");
 * assertEquals([orders.available, everything.available], [199, 8]);
 * ```
 */
export function runAll<T>(
  throttlers: readonly (RateLimiter | Charge)[],
  fn: () => T | PromiseLike<T>,
  options: CallOptions = {},
): Promise<T> {
  const { cost = 1, signal, urgent = false } = options;
  try {
    if (typeof fn !== "function") refuse(TASK, "fn", fn, "a function");
    checkObject(TASK, "options", options);
    checkBoolean(TASK, "urgent", urgent);
    checkSignal(TASK, "signal", signal);
    signal?.throwIfAborted();
    const age = nextAge();
    const places: Place[] = [];
    for (const [throttler, own] of costsOf(throttlers, cost)) {
      places.push(throttler.place({ cost: own, urgent, age }));
    }
    if (places.every((place) => place.isOpen)) return start(places, fn);
    return startLater(places, fn, signal);
  } catch (error) {
    return Promise.reject(error);
  }
}

const TASK = "Cannot start a call";

/** Gives the cost at each limiter, the highest where one is named more than once. */
function costsOf(
  throttlers: readonly (RateLimiter | Charge)[],
  common: number,
): Map<RateLimiter, number> {
  if (!Array.isArray(throttlers)) refuse(TASK, "throttlers", throttlers, "an array");
  const costs = new Map<RateLimiter, number>();
  for (const [i, entry] of throttlers.entries()) {
    const { throttler = entry as RateLimiter, cost = common } = Object(entry) as Partial<Charge>;
    if (typeof throttler?.place !== "function") {
      refuse(TASK, `throttlers[${i}]`, entry, "a Throttler, or { throttler, cost }");
    }
    const other = costs.get(throttler);
    if (other === undefined) costs.set(throttler, cost); // its place checks the cost
    else costs.set(throttler, Math.max(checkCost(cost), checkCost(other)));
  }
  return costs;
}

function checkCost(cost: number): number {
  return checkNumber(TASK, "cost", cost, { integer: true });
}

/**
 * Charges all places and calls `fn`: the first place starts the second, and the last starts `fn`.
 */
function start<T>(places: readonly Place[], fn: () => T | PromiseLike<T>): Promise<T> {
  const call = places.reduceRight((next, place) => () => place.start(next), fn);
  return Promise.resolve(call());
}

async function startLater<T>(
  places: readonly Place[],
  fn: () => T | PromiseLike<T>,
  signal: AbortSignal | undefined,
): Promise<T> {
  const { promise: refused, reject: refuse } = Promise.withResolvers<never>();
  const unlisten = listen(signal, refuse);
  try {
    for (const place of places) place.enter(refuse);
    const inLine = new Set<Place>();
    const hasPassed = new Set<Place>();
    for (let next; (next = slowestOf(places));) {
      for (const place of inLine) {
        if (place === next || hasPassed.has(place) || !shouldPass(place, next)) continue;
        place.pass();
        inLine.delete(place);
        hasPassed.add(place); // once only: in the end the call keeps all turns
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

/**
 * Gives the place that is not open and has the longest wait. The call takes this turn first: any
 * other turn would hold back younger calls meanwhile, and a remote grant would expire.
 */
function slowestOf(places: readonly Place[]): Place | undefined {
  const late = places.filter((place) => !place.isOpen);
  return late.reduce<Place | undefined>((a, b) => a && a.wait >= b.wait ? a : b, undefined);
}

/**
 * Says whether a call gives up its turn in one place while the next place makes it wait: if the
 * first place is faster, or if even a token that is spent now in the first place comes back before.
 */
function shouldPass(place: Place, next: Place): boolean {
  return place.rate > next.rate || next.wait > 2 * place.period;
}
