/**
 * Checks of options: one helper per kind. Each throws a sentence in the same grammar:
 * `Cannot set the limit: limit is "10", a string; wanted an integer of at least 1`. Internal.
 *
 * @module
 */

/** The numbers that an option allows. */
export interface Range {
  /** Least value. @default {0} */
  min?: number;
  /** Greatest value. Messages name it if it is below `Number.MAX_SAFE_INTEGER`. @default {Infinity} */
  max?: number;
  /** Whether `min` itself is refused. @default {false} */
  above?: boolean;
  /** Whether fractions are refused; `Infinity` is allowed where `max` allows it. @default {false} */
  integer?: boolean;
  /** The unit, for the message: `"milliseconds"`. @default {"a number"} or `"an integer"` */
  unit?: string;
}

/**
 * Checks a number.
 *
 * @param task The beginning of the message: `"Cannot open a stream"`.
 * @param name The option.
 * @param value What was given.
 * @param range The numbers that are allowed.
 * @returns The number.
 * @throws {TypeError} If the value is no number.
 * @throws {RangeError} If the number is out of range, or NaN.
 */
export function checkNumber(task: string, name: string, value: unknown, range: Range = {}): number {
  const { min = 0, max = Infinity, above = false, integer = false } = range;
  if (typeof value !== "number") refuse(task, name, value, inWords(range));
  const isInside = value <= max && (above ? value > min : value >= min);
  if (isInside && (!integer || Number.isInteger(value) || value === Infinity)) return value;
  throw new RangeError(`${task}: ${name} is ${value}, wanted ${inWords(range)}`);
}

/**
 * Checks a function.
 *
 * @param task The beginning of the message.
 * @param name The option.
 * @param value What was given; `undefined` passes.
 * @throws {TypeError} If the value is no function.
 */
export function checkFunction(task: string, name: string, value: unknown): void {
  if (value !== undefined && typeof value !== "function") refuse(task, name, value, "a function");
}

/**
 * Checks a boolean.
 *
 * @param task The beginning of the message.
 * @param name The option.
 * @param value What was given; `undefined` passes.
 * @throws {TypeError} If the value is no boolean.
 */
export function checkBoolean(task: string, name: string, value: unknown): void {
  if (value !== undefined && typeof value !== "boolean") {
    refuse(task, name, value, "true or false");
  }
}

/**
 * Checks an AbortSignal, of any realm.
 *
 * @param task The beginning of the message.
 * @param name The option.
 * @param value What was given; `undefined` passes.
 * @throws {TypeError} If the value is no signal.
 */
export function checkSignal(task: string, name: string, value: unknown): void {
  const { throwIfAborted, addEventListener } = Object(value);
  if (value === undefined || (typeof throwIfAborted === "function" && addEventListener)) return;
  refuse(task, name, value, "an AbortSignal");
}

/**
 * Refuses a value of the wrong type.
 *
 * @param task The beginning of the message.
 * @param name The option.
 * @param value What was given. A string is quoted: never pass one that may be a secret.
 * @param wanted What was wanted instead.
 * @throws {TypeError} Always.
 */
export function refuse(task: string, name: string, value: unknown, wanted: string): never {
  const shown = typeof value === "string" ? `${JSON.stringify(value)}, a string` : kindOf(value);
  throw new TypeError(`${task}: ${name} is ${shown}; wanted ${wanted}`);
}

function kindOf(value: unknown): string {
  if (value === null || value === undefined) return String(value);
  if (Array.isArray(value)) return "an array";
  if (typeof value === "bigint" || typeof value === "boolean") {
    return `${value}, a ${typeof value}`;
  }
  return typeof value === "object" ? "an object" : `a ${typeof value}`;
}

function inWords(range: Range): string {
  const { min = 0, max = Infinity, above = false, integer = false } = range;
  const { unit = integer ? "an integer" : "a number" } = range;
  const hasMax = max < Number.MAX_SAFE_INTEGER;
  if (hasMax && !above) return `${unit} from ${min} to ${max}`;
  const least = above ? `above ${min}` : `of at least ${min}`;
  return hasMax ? `${unit} ${least}, at most ${max}` : `${unit} ${least}`;
}

/** Says what is wrong with a number that must be above 0, if anything is. */
export function notPositive(name: string, value: number): string | undefined {
  if (typeof value === "number" && value > 0) return undefined;
  return `Cannot use ${name}: it is ${value}, wanted a number above 0`;
}
