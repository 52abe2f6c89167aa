/**
 * Numbers calls in the order in which they come, over all rate limiters of the process. Internal.
 *
 * @module
 */

const arrivals = { count: 0 };

/**
 * Gives the next call its age.
 *
 * @returns A number above all earlier ones: the smaller, the older the call.
 */
export function nextAge(): number {
  return ++arrivals.count;
}
