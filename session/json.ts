/**
 * Exact JSON, read and written. Internal to {@linkcode Session}.
 *
 * @module
 */

import { RequestError } from "./request_error.ts";

/**
 * Parses JSON. Integers beyond 2^53 become bigints, exact to the last digit.
 *
 * @throws {SyntaxError} If the text is no JSON.
 */
export function parseJson(text: string): unknown {
  // The reviver doubles the cost, and most answers hold no number of that size.
  return hasLongNumber(text) ? JSON.parse(text, exact) : JSON.parse(text);
}

/** How many digits the least integer beyond 2^53 has. */
const LONG = 16;

/**
 * Whether a text holds 16 digits in a row. Such a row covers one of each 16 places, so the search
 * reads only the last of each 16 until it meets a digit: a quarter of the cost of a RegExp.
 */
function hasLongNumber(text: string): boolean {
  for (let at = LONG - 1; at < text.length; at += LONG) {
    if (!isDigit(text, at)) continue;
    let start = at;
    while (isDigit(text, start - 1)) start--;
    while (isDigit(text, at + 1)) at++;
    if (at - start >= LONG - 1) return true;
  }
  return false;
}

function isDigit(text: string, at: number): boolean {
  const code = text.charCodeAt(at); // NaN beyond the ends
  return code >= 0x30 && code <= 0x39;
}

function exact(_key: string, value: unknown, context?: { source?: string }): unknown {
  if (typeof value !== "number" || Number.isSafeInteger(value)) return value;
  const source = context!.source!; // a runtime without it throws: better than a wrong id
  return /^-?\d+$/.test(source) ? BigInt(source) : value;
}

/** Parses JSON. Returns any other text, such as a gateway's page, unchanged. */
export function tryJson(text: string): unknown {
  try {
    return parseJson(text);
  } catch {
    return text;
  }
}

/**
 * Writes a number without an exponent: `0.0000001` for `1e-7`. Many venues read no exponents.
 *
 * @param value A finite number, or a bigint.
 * @returns The digits that JavaScript shows.
 */
export function decimal(value: number | bigint): string {
  const text = String(value);
  if (!text.includes("e")) return text; // most numbers, for which the RegExp is too dear
  const match = /^(-?)(\d)(?:\.(\d+))?e([+-]\d+)$/.exec(text)!;
  const [, sign, first, rest = "", exponent] = match;
  const digits = first + rest;
  const point = 1 + Number(exponent); // never among the digits: 1e-6 to 1e21 have no exponent
  return sign + (point > 0 ? digits.padEnd(point, "0") : `0.${"0".repeat(-point)}${digits}`);
}

/**
 * Writes JSON as `JSON.stringify` does, with three differences.
 *
 * - A value that JSON cannot say is refused, where `JSON.stringify` sends `null` or `{}` in its
 *   place: NaN, an invalid Date, a Map, bytes, a Promise, a function, `undefined` in a list.
 * - A bigint keeps its digits.
 * - No number has an exponent.
 *
 * @param value The value. Its `toJSON` methods are called.
 * @returns The text.
 * @throws {RequestError} With the path of the first value that JSON cannot say, never with the
 *   value.
 */
export function writeJson(value: unknown): string {
  try {
    const text = write(value, undefined);
    if (text !== undefined) return text;
  } catch (error) {
    if (error instanceof RequestError) throw error;
    throw new RequestError("Cannot encode json: it is too deep, or one of its parts threw");
  }
  throw new RequestError("Cannot encode json: it is no JSON value");
}

/** Where a value stands: in an object, under a key. An object at the root stands nowhere. */
interface Place {
  readonly object: object;
  key: string | number;
  /** Where the object itself stands. */
  readonly outer: Place | undefined;
}

/** Tags of objects whose content JSON does not see. */
const OPAQUE =
  /^(?:Map|Set|Weak\w+|Promise|RegExp|Error|(?:Shared)?ArrayBuffer|DataView|\w+Array|Blob|File|FormData|URLSearchParams|Headers)$/;

/** Writes one value, or nothing for one that an object leaves out. */
function write(given: unknown, at: Place | undefined): string | undefined {
  const value = unwrap(given, at);
  if (typeof value === "string") return JSON.stringify(value);
  if (typeof value === "number") {
    if (Number.isFinite(value)) return decimal(value);
    throw unsayable(at, "no finite number");
  }
  if (value === undefined) return undefined;
  if (value === null || typeof value === "boolean" || typeof value === "bigint") return `${value}`;
  if (typeof value !== "object") throw unsayable(at, `a ${typeof value}`);
  const { isRawJSON } = JSON as { isRawJSON?: (value: unknown) => boolean };
  if (isRawJSON?.(value)) return (value as { rawJSON: string }).rawJSON;
  for (let place = at; place; place = place.outer) {
    if (place.object === value) throw unsayable(at, "circular");
  }
  if (Array.isArray(value)) return writeList(value, at);
  return writeObject(value as Record<string, unknown>, at);
}

function writeList(list: unknown[], outer: Place | undefined): string {
  const at: Place = { object: list, key: 0, outer };
  let items = "";
  for (let i = 0; i < list.length; i++) {
    at.key = i;
    const text = write(list[i], at);
    if (text === undefined) throw unsayable(at, "undefined in a list");
    items += (i > 0 ? "," : "") + text;
  }
  return `[${items}]`;
}

function writeObject(object: Record<string, unknown>, outer: Place | undefined): string {
  const keys = Object.keys(object);
  if (!isPlain(object)) {
    const tag = tagOf(object);
    // JSON sees own properties only: an object of a class without any would become {}.
    if (OPAQUE.test(tag) || keys.length === 0) {
      throw unsayable(outer, /^\w{1,64}$/.test(tag) ? `of the type ${tag}` : "of a class");
    }
  }
  const at: Place = { object, key: "", outer };
  let members = "";
  for (const key of keys) {
    at.key = key;
    const text = write(object[key], at);
    if (text !== undefined) members += `${members && ","}${JSON.stringify(key)}:${text}`;
  }
  return `{${members}}`;
}

/** Takes the value that JSON sees: the result of toJSON, or the primitive within its object. */
function unwrap(given: unknown, at: Place | undefined): unknown {
  let value = given;
  if (typeof value === "bigint" || (typeof value === "object" && value !== null)) {
    const { toJSON } = value as { toJSON?: unknown };
    if (typeof toJSON === "function") {
      if (tagOf(value) === "Date" && Number.isNaN(Number(value))) return NaN;
      value = toJSON.call(value, String(at?.key ?? ""));
    }
  }
  if (typeof value !== "object" || value === null) return value;
  if (Array.isArray(value) || isPlain(value)) return value;
  return /^(?:Number|String|Boolean|BigInt)$/.test(tagOf(value)) ? value.valueOf() : value;
}

function tagOf(value: unknown): string {
  return Object.prototype.toString.call(value).slice(8, -1);
}

/** Whether an object has no class: its prototype is nothing, or the root of a realm. */
function isPlain(object: object): boolean {
  const prototype = Object.getPrototypeOf(object);
  return prototype === null || prototype === Object.prototype ||
    Object.getPrototypeOf(prototype) === null;
}

function unsayable(at: Place | undefined, problem: string): RequestError {
  let path = "";
  for (let place = at; place; place = place.outer) {
    const { key } = place;
    const isName = /^[A-Za-z_$][\w$]*$/.test(`${key}`);
    path = (isName ? `.${key}` : `[${JSON.stringify(key)}]`) + path;
  }
  return new RequestError(`Cannot encode json: json${path} is ${problem}, which JSON cannot say`);
}
