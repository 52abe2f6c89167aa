/**
 * A stand-in for `@std/assert`: the assertions that the tests of this repository use. They pass and
 * fail as the real ones do; the messages are plainer.
 *
 * @module
 */

import { inspect } from "node:util";

// deno-lint-ignore no-explicit-any -- any class will do
type Class<T> = abstract new (...args: any[]) => T;

/** The error of a failed assertion. */
export class AssertionError extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "AssertionError";
  }
}

function fail(msg: string): never {
  throw new AssertionError(`Failed assertion: ${msg}`);
}

export function assert(expr: unknown, msg = "Expected a truthy value"): asserts expr {
  if (!expr) throw new AssertionError(msg);
}

export function assertFalse(expr: unknown, msg = "Expected a falsy value"): asserts expr is false {
  if (expr) throw new AssertionError(msg);
}

export function assertEquals<T>(actual: T, expected: T, msg?: string): void {
  expect(equal(actual, expected), actual, "to equal", expected, msg);
}

export function assertNotEquals<T>(actual: T, expected: T, msg?: string): void {
  expect(!equal(actual, expected), actual, "not to equal", expected, msg);
}

export function assertStrictEquals<T>(
  actual: unknown,
  expected: T,
  msg?: string,
): asserts actual is T {
  expect(Object.is(actual, expected), actual, "to be", expected, msg);
}

export function assertNotStrictEquals<T>(actual: T, expected: T, msg?: string): void {
  expect(!Object.is(actual, expected), actual, "not to be", expected, msg);
}

export function assertGreaterOrEqual<T>(actual: T, expected: T, msg?: string): void {
  expect(actual >= expected, actual, "to be at least", expected, msg);
}

export function assertLess<T>(actual: T, expected: T, msg?: string): void {
  expect(actual < expected, actual, "to be below", expected, msg);
}

export function assertLessOrEqual<T>(actual: T, expected: T, msg?: string): void {
  expect(actual <= expected, actual, "to be at most", expected, msg);
}

export function assertInstanceOf<T extends Class<unknown>>(
  actual: unknown,
  expectedType: T,
  msg?: string,
): asserts actual is InstanceType<T> {
  expect(actual instanceof expectedType, actual, "to be an instance of", expectedType, msg);
}

export function assertMatch(actual: string, expected: RegExp, msg?: string): void {
  expect(expected.test(actual), actual, "to match", expected, msg);
}

export function assertStringIncludes(actual: string, expected: string, msg?: string): void {
  expect(actual.includes(expected), actual, "to include", expected, msg);
}

export function assertThrows(fn: () => unknown, msg?: string): unknown;
export function assertThrows<E extends Error = Error>(
  fn: () => unknown,
  ErrorClass: Class<E>,
  msgIncludes?: string,
  msg?: string,
): E;
export function assertThrows(
  fn: () => unknown,
  wanted?: Class<Error> | string,
  text?: string,
  msg?: string,
): unknown {
  try {
    fn();
  } catch (thrown) {
    return checked(thrown, wanted, text, msg);
  }
  return fail(`expected the function to throw${typeof wanted === "string" ? `: ${wanted}` : ""}`);
}

export function assertRejects(fn: () => PromiseLike<unknown>, msg?: string): Promise<unknown>;
export function assertRejects<E extends Error = Error>(
  fn: () => PromiseLike<unknown>,
  ErrorClass: Class<E>,
  msgIncludes?: string,
  msg?: string,
): Promise<E>;
export async function assertRejects(
  fn: () => PromiseLike<unknown>,
  wanted?: Class<Error> | string,
  text?: string,
  msg?: string,
): Promise<unknown> {
  let promise: PromiseLike<unknown>;
  try {
    promise = fn();
  } catch (error) {
    throw new AssertionError("Expected the function to reject, but it threw", { cause: error });
  }
  if (typeof promise?.then !== "function") fail("expected the function to return a promise");
  try {
    await promise;
  } catch (error) {
    return checked(error, wanted, text, msg);
  }
  return fail(`expected the promise to reject${typeof wanted === "string" ? `: ${wanted}` : ""}`);
}

/** Returns the error of `assertThrows` or `assertRejects` if the error is of the wanted kind. */
function checked(
  error: unknown,
  wanted?: Class<Error> | string,
  text?: string,
  msg?: string,
): unknown {
  if (typeof wanted === "function") {
    assertInstanceOf(error, Error, msg);
    assertInstanceOf(error, wanted, msg);
    if (text) assertStringIncludes(error.message, text, msg);
  }
  return error;
}

function expect(
  passes: boolean,
  actual: unknown,
  relation: string,
  expected: unknown,
  msg?: string,
): void {
  if (passes) return;
  const show = (value: unknown) =>
    inspect(value, { depth: 10, sorted: true, maxArrayLength: 1_000 });
  const said = `Expected\n    ${show(actual)}\n${relation}\n    ${show(expected)}`;
  throw new AssertionError(msg ? `${msg}: ${said}` : said);
}

/**
 * Compares by value. As in the real one, 0 equals -0 and NaN equals NaN. An object without readable
 * values equals itself only.
 */
function equal(a: unknown, b: unknown, seen: Map<unknown, unknown> = new Map()): boolean {
  if (a === b || Object.is(a, b)) return true;
  if (typeof a !== "object" || typeof b !== "object" || !a || !b) return false;
  if (kind(a) !== kind(b)) return false;
  if (a instanceof Date) return Object.is(a.getTime(), (b as Date).getTime());
  if (a instanceof RegExp) return String(a) === String(b);
  if (a instanceof ArrayBuffer) return equal(new Uint8Array(a), new Uint8Array(b as ArrayBuffer));
  if (a instanceof WeakMap || a instanceof WeakSet) {
    throw new TypeError("Cannot compare weak collections");
  }
  if (seen.get(a) === b) return true; // a circle: the other members decide
  seen.set(a, b);

  if (a instanceof Map || a instanceof Set) {
    const [left, right] = [[...a.entries()], [...(b as typeof a).entries()]];
    return left.length === right.length &&
      left.every((entry) => right.some((other) => equal(entry, other, seen)));
  }
  const keys = members(a);
  return keys.length === members(b).length &&
    keys.every((key) =>
      key in b && equal(a[key as keyof typeof a], b[key as keyof typeof b], seen)
    );
}

/** The prototype; an object without one counts as a plain object. */
function kind(value: object): unknown {
  return Object.getPrototypeOf(value) ?? Object.prototype;
}

/** The names that a comparison reads: of a class every name, getters included, else the enumerable. */
function members(value: object): PropertyKey[] {
  if (kind(value) === Object.prototype || Array.isArray(value) || ArrayBuffer.isView(value)) {
    return Reflect.ownKeys(value).filter((key) =>
      Object.prototype.propertyIsEnumerable.call(value, key)
    );
  }
  const keys = new Set<PropertyKey>();
  for (let at = value; at && at !== Object.prototype; at = Object.getPrototypeOf(at)) {
    for (const key of Reflect.ownKeys(at)) keys.add(key);
  }
  return [...keys];
}
