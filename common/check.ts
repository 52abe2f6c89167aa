/**
 * Checks of options, one function for each kind. Every refusal speaks the same grammar:
 *
 *     Cannot set the limit: limit is "10", a string; wanted an integer >= 1 or Infinity
 *     Cannot set the limit: limit is 0, wanted an integer >= 1 or Infinity
 *
 * A wrong type is a TypeError, a number out of range (or NaN) a RangeError. Internal.
 *
 * @module
 */

/** The numbers that an option allows. */
export interface Range {
  /** Least value. @default {0} */
  min?: number;
  /**
   * Greatest value; `Infinity` allows `Infinity` itself. `Number.MAX_SAFE_INTEGER` allows every
   * other number that counts exactly, and the message does not spell it out. @default {Infinity}
   */
  max?: number;
  /** Whether `min` itself is refused. @default {false} */
  above?: boolean;
  /** Whether fractions are refused. @default {false} */
  integer?: boolean;
  /** The unit, for the message: `"milliseconds"`. @default {"a number"} or `"an integer"` */
  unit?: string;
}

/** The refusals so far. Their words are ours, so they may be shown. */
const refusals = new WeakSet<object>();

/** Longest part of a string that a message quotes, in characters. */
const MAX_SHOWN = 40;

/**
 * Checks a number. The caller fills in the default first: `undefined` is refused.
 *
 * @param task The beginning of the message: `"Cannot open a stream"`.
 * @param name The option.
 * @param value The value of the option.
 * @param range The numbers that the option allows.
 * @returns The number.
 * @throws {TypeError} If the value is no number.
 * @throws {RangeError} If the number is out of range, or NaN.
 */
export function checkNumber(task: string, name: string, value: unknown, range: Range = {}): number {
  const { min = 0, max = Infinity, above = false, integer = false } = range;
  if (typeof value !== "number") refuse(task, name, value, inWords(range));
  const isInside = value <= max && (above ? value > min : value >= min);
  if (isInside && (!integer || Number.isInteger(value) || value === Infinity)) return value;
  throw noted(new RangeError(`${task}: ${name} is ${value}, wanted ${inWords(range)}`));
}

/**
 * Checks a string that names one of a few choices.
 *
 * @param task The beginning of the message.
 * @param name The option.
 * @param value The value of the option.
 * @param choices The strings that the option allows.
 * @returns The string.
 * @throws {TypeError} If the value is none of the choices.
 */
export function checkChoice<T extends string>(
  task: string,
  name: string,
  value: unknown,
  choices: readonly T[],
): T {
  const found = choices.find((choice) => choice === value);
  if (found !== undefined) return found;
  const quoted = choices.map((choice) => `"${choice}"`);
  refuse(task, name, value, quoted.join(", ").replace(/, ("[^"]*")$/, " or $1"));
}

/**
 * Checks a function.
 *
 * @param task The beginning of the message.
 * @param name The option.
 * @param value The value of the option; `undefined` passes.
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
 * @param value The value of the option; `undefined` passes.
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
 * @param value The value of the option; `undefined` passes.
 * @throws {TypeError} If the value is no signal.
 */
export function checkSignal(task: string, name: string, value: unknown): void {
  if (value === undefined) return;
  const { throwIfAborted, addEventListener } = Object(value);
  if (typeof throwIfAborted === "function" && typeof addEventListener === "function") return;
  refuse(task, name, value, "an AbortSignal");
}

/**
 * Checks that options are an object, so that the names in it can be read.
 *
 * @param task The beginning of the message.
 * @param name The parameter, or the option that has options of its own.
 * @param value The value; `undefined` passes.
 * @throws {TypeError} If the value is no object, or is an array.
 */
export function checkObject(task: string, name: string, value: unknown): void {
  const isObject = typeof value === "object" && value !== null && !Array.isArray(value);
  if (value !== undefined && !isObject) refuse(task, name, value, "an object");
}

/**
 * Refuses a value of the wrong type.
 *
 * @param task The beginning of the message.
 * @param name The option.
 * @param value The value of the option. A string is quoted, so a secret must never be passed.
 * @param wanted The values that the option allows, in words.
 * @throws {TypeError} Always.
 */
export function refuse(task: string, name: string, value: unknown, wanted: string): never {
  throw noted(new TypeError(`${task}: ${name} is ${describe(value)}; wanted ${wanted}`));
}

/** Tells whether an error is a refusal of this file, whose words hold no secret. */
export function isRefusal(error: unknown): error is Error {
  return refusals.has(Object(error));
}

function noted<E extends Error>(error: E): E {
  refusals.add(error);
  return error;
}

/** A value as a message shows it: primitives with their type, everything else by its kind only. */
function describe(value: unknown): string {
  switch (typeof value) {
    case "string": {
      const isLong = value.length > MAX_SHOWN;
      return `${JSON.stringify(isLong ? `${value.slice(0, MAX_SHOWN)}…` : value)}, a string`;
    }
    case "number":
    case "bigint":
    case "boolean":
      return `${value}, a ${typeof value}`;
    case "object":
      if (value === null) return "null";
      return Array.isArray(value) ? "an array" : "an object";
    case "undefined":
      return "undefined";
    default:
      return `a ${typeof value}`;
  }
}

function inWords({ min = 0, max = Infinity, above = false, integer = false, unit }: Range): string {
  const noun = unit ?? (integer ? "an integer" : "a number");
  const least = `${noun} ${above ? ">" : ">="} ${min}`;
  if (max === Infinity && integer) return `${least} or Infinity`;
  if (max >= Number.MAX_SAFE_INTEGER) return least;
  return above ? `${least} and <= ${max}` : `${noun} from ${min} to ${max}`;
}
