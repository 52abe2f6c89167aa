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
  const match = /^(-?)(\d)(?:\.(\d+))?e([+-]\d+)$/.exec(text);
  if (!match) return text;
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
    const text = write(value, "", "json", new Set());
    if (text !== undefined) return text;
  } catch (error) {
    if (error instanceof RequestError) throw error;
    throw new RequestError("Cannot encode json: it is too deep, or one of its parts threw");
  }
  throw new RequestError("Cannot encode json: it is no JSON value");
}

/** Tags of objects whose content JSON does not see. */
const OPAQUE =
  /^(?:Map|Set|Weak\w+|Promise|RegExp|Error|(?:Shared)?ArrayBuffer|DataView|\w+Array|Blob|File|FormData|URLSearchParams|Headers)$/;

/**
 * Writes one value, or nothing for one that an object leaves out. `open` are the objects around it.
 */
function write(given: unknown, key: string, path: string, open: Set<object>): string | undefined {
  const value = unwrap(given, key);
  if (value === undefined) return undefined;
  if (value === null || typeof value === "boolean") return `${value}`;
  if (typeof value === "string") return JSON.stringify(value);
  if (typeof value === "bigint") return `${value}`;
  if (typeof value === "number") {
    if (Number.isFinite(value)) return decimal(value);
    throw unsayable(path, "no finite number");
  }
  if (typeof value !== "object") throw unsayable(path, `a ${typeof value}`);
  const { isRawJSON } = JSON as { isRawJSON?: (value: unknown) => boolean };
  if (isRawJSON?.(value)) return (value as { rawJSON: string }).rawJSON;
  if (open.has(value)) throw unsayable(path, "circular");
  open.add(value);
  const text = Array.isArray(value)
    ? writeList(value, path, open)
    : writeObject(value as Record<string, unknown>, path, open);
  open.delete(value);
  return text;
}

function writeList(list: unknown[], path: string, open: Set<object>): string {
  const items = Array.from(list, (item, i) => {
    const text = write(item, `${i}`, `${path}[${i}]`, open);
    if (text === undefined) throw unsayable(`${path}[${i}]`, "undefined in a list");
    return text;
  });
  return `[${items.join()}]`;
}

function writeObject(object: Record<string, unknown>, path: string, open: Set<object>): string {
  const keys = Object.keys(object);
  const tag = tagOf(object);
  // JSON sees own properties only: an object of a class without any would become {}.
  if (OPAQUE.test(tag) || (keys.length === 0 && !isPlain(object))) {
    throw unsayable(path, /^\w{1,64}$/.test(tag) ? `of the type ${tag}` : "of a class");
  }
  const members: string[] = [];
  for (const key of keys) {
    const name = /^[A-Za-z_$][\w$]*$/.test(key) ? `.${key}` : `[${JSON.stringify(key)}]`;
    const text = write(object[key], key, path + name, open);
    if (text !== undefined) members.push(`${JSON.stringify(key)}:${text}`);
  }
  return `{${members.join()}}`;
}

/** Takes the value that JSON sees: the result of toJSON, or the primitive within its object. */
function unwrap(given: unknown, key: string): unknown {
  let value = given;
  if (typeof value === "bigint" || (typeof value === "object" && value !== null)) {
    if (tagOf(value) === "Date" && Number.isNaN(Number(value))) return NaN;
    const { toJSON } = value as { toJSON?: unknown };
    if (typeof toJSON === "function") value = toJSON.call(value, key);
  }
  if (typeof value !== "object" || value === null) return value;
  return /^(?:Number|String|Boolean|BigInt)$/.test(tagOf(value)) ? value.valueOf() : value;
}

function tagOf(value: unknown): string {
  return Object.prototype.toString.call(value).slice(8, -1);
}

/** Whether an object has no class: its prototype is nothing, or the root of a realm. */
function isPlain(object: object): boolean {
  const prototype = Object.getPrototypeOf(object);
  return prototype === null || Object.getPrototypeOf(prototype) === null;
}

function unsayable(path: string, problem: string): RequestError {
  return new RequestError(`Cannot encode json: ${path} is ${problem}, which JSON cannot say`);
}
