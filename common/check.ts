/**
 * Checks of options. Internal.
 *
 * @module
 */

/** Says what is wrong with a number that must be above 0, if anything is. */
export function notPositive(name: string, value: number): string | undefined {
  if (typeof value === "number" && value > 0) return undefined;
  return `Cannot use ${name}: it is ${value}, wanted a number above 0`;
}
