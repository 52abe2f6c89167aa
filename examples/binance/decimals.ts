/**
 * Decimal text as whole numbers of 1e-8, the smallest unit that Binance writes: nothing is rounded by
 * accident.
 *
 * @module
 */

/** How many units make 1. */
const UNIT = 100_000_000n;

/**
 * Reads a decimal.
 *
 * @param text Digits, perhaps with a point and at most eight digits behind it: `0.001`.
 * @returns The number of 1e-8.
 * @throws {RangeError} If the text is no such decimal.
 */
export function unitsOf(text: string): bigint {
  const [, whole, fraction = ""] = /^(\d+)(?:\.(\d{0,8})0*)?$/.exec(text) ?? [];
  if (whole === undefined) {
    throw new RangeError(`Cannot read a decimal: it is ${text}, wanted at most eight places`);
  }
  return BigInt(whole) * UNIT + BigInt(fraction.padEnd(8, "0"));
}

/** Writes a number of 1e-8 as the venue does, with eight places. */
export function textOf(units: bigint): string {
  return `${units / UNIT}.${String(units % UNIT).padStart(8, "0")}`;
}

/** Multiplies two numbers of 1e-8, and drops what is smaller. */
export function times(a: bigint, b: bigint): bigint {
  return a * b / UNIT;
}

/** Divides two numbers of 1e-8, and drops what is smaller. */
export function dividedBy(a: bigint, b: bigint): bigint {
  return a * UNIT / b;
}

/**
 * Rounds down to a multiple of a filter's step: a quantity is never larger than what was meant.
 *
 * @param text What is meant, `0.123456`, of any length.
 * @param step The filter's `stepSize` or `tickSize`, `0.00100000`. `0` is no filter.
 * @returns The rounded text, without zeros at its end.
 * @throws {RangeError} If either is no decimal.
 *
 * @example Usage
 * ```ts
 * import { roundDown } from "./decimals.ts";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(roundDown("0.129999", "0.01000000"), "0.12");
 * ```
 */
export function roundDown(text: string, step: string): string {
  const [value, size] = [unitsOf(cut(text)), unitsOf(step)];
  return shortest(size === 0n ? value : value - value % size);
}

/**
 * Rounds up to a multiple of a filter's step: the limit of a sale is never below what was meant.
 *
 * @param text What is meant, of any length.
 * @param step The filter's `tickSize`. `0` is no filter.
 * @returns The rounded text, without zeros at its end.
 * @throws {RangeError} If either is no decimal.
 */
export function roundUp(text: string, step: string): string {
  const size = unitsOf(step) || 1n;
  const isCut = /\.\d{8}\d*[1-9]/.test(text);
  const value = unitsOf(cut(text)) + (isCut ? 1n : 0n);
  return shortest((value + size - 1n) / size * size);
}

/** Drops what is smaller than 1e-8. */
function cut(text: string): string {
  return text.replace(/(\.\d{8})\d+$/, "$1");
}

function shortest(units: bigint): string {
  return textOf(units).replace(/\.?0+$/, "");
}
