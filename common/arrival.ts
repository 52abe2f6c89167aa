/**
 * Numbers the calls in the order in which they come, across all rate limiters. Internal.
 *
 * @module
 */

const arrivals = { count: 0 };

/**
 * Gives the next call its age.
 *
 * @returns A number above all that were given before: the smaller, the older the call.
 */
export function nextAge(): number {
  return ++arrivals.count;
}
