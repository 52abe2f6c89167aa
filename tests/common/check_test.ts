import { assertEquals, assertThrows } from "@std/assert";
import { runInNewContext } from "node:vm";
import {
  checkBoolean,
  checkChoice,
  checkFunction,
  checkNumber,
  checkObject,
  checkSignal,
  type Range,
  refuse,
} from "../../common/check.ts";

/** The whole error of a check: its class and its message. */
function errorOf(check: () => unknown): string {
  const error = assertThrows(check) as Error;
  return `${error.name}: ${error.message}`;
}

const numbers: [Range | undefined, accepted: number[], refused: number[], wanted: string][] = [
  [undefined, [0, 0.5, 1e300, Infinity], [-1, -0.1, NaN, -Infinity], "a number >= 0"],
  [{ above: true }, [1e-9, Infinity], [0, -1, NaN], "a number > 0"],
  [{ max: 1 }, [0, 0.5, 1], [-0.1, 1.1, Infinity, NaN], "a number from 0 to 1"],
  [{ above: true, max: 1 }, [0.1, 1], [0, 1.1, NaN], "a number > 0 and <= 1"],
  [{ integer: true }, [0, 7, Infinity], [0.5, -1, NaN, -Infinity], "an integer >= 0 or Infinity"],
  [{ integer: true, min: 1 }, [1, Infinity], [0, 1.5], "an integer >= 1 or Infinity"],
  [
    { integer: true, min: 1, max: Number.MAX_SAFE_INTEGER },
    [1, Number.MAX_SAFE_INTEGER],
    [0, Infinity, 1e300],
    "an integer >= 1",
  ],
  [{ integer: true, min: 1, max: 9 }, [1, 9], [0, 1.5, 10, Infinity], "an integer from 1 to 9"],
  [{ integer: true, min: 1, max: Number.MAX_SAFE_INTEGER }, [1, 2 ** 53 - 1], [
    0,
    2 ** 53,
    Infinity,
  ], "an integer >= 1"],
  [{ above: true, max: Number.MAX_VALUE }, [1e-9, 1e300], [0, Infinity, NaN], "a number > 0"],
  [{ min: -5, max: 5 }, [-5, 0, 5], [-6, 6], "a number from -5 to 5"],
  [{ unit: "milliseconds" }, [0, 0.5, Infinity], [-1, NaN], "milliseconds >= 0"],
  [{ unit: "milliseconds", above: true }, [1, Infinity], [0, NaN], "milliseconds > 0"],
];
for (const [range, accepted, refused, wanted] of numbers) {
  Deno.test(`checkNumber() allows ${wanted}, and says so of anything else`, () => {
    for (const value of accepted) {
      assertEquals(checkNumber("Cannot wait", "delay", value, range), value);
    }
    for (const value of refused) {
      const message = `RangeError: Cannot wait: delay is ${value}, wanted ${wanted}`;
      assertEquals(errorOf(() => checkNumber("Cannot wait", "delay", value, range)), message);
    }
    const message = `TypeError: Cannot wait: delay is "10", a string; wanted ${wanted}`;
    assertEquals(errorOf(() => checkNumber("Cannot wait", "delay", "10", range)), message);
  });
}

const shown: [value: unknown, words: string][] = [
  ["10", `"10", a string`],
  ["", `"", a string`],
  ['say "no"\n', `"say \\"no\\"\\n", a string`],
  ["x".repeat(41), `"${"x".repeat(40)}…", a string`],
  ["x".repeat(40), `"${"x".repeat(40)}", a string`],
  [10n, "10, a bigint"],
  [true, "true, a boolean"],
  [null, "null"],
  [undefined, "undefined"],
  [[1], "an array"],
  [{ limit: 1 }, "an object"],
  [new Date(0), "an object"],
  [Object.create(null), "an object"],
  [() => 10, "a function"],
  [Symbol("secret"), "a symbol"],
];
for (const [value, words] of shown) {
  Deno.test(`a wrong type is refused as such: ${words}`, () => {
    const message = `TypeError: Cannot wait: delay is ${words}; wanted a number >= 0`;
    assertEquals(errorOf(() => checkNumber("Cannot wait", "delay", value)), message);
    const refusal = errorOf(() => refuse("Cannot wait", "delay", value, "a number >= 0"));
    assertEquals(refusal, message);
  });
}

Deno.test("checkChoice() returns one of its choices and names them all otherwise", () => {
  const choices = ["first", "second", "third"] as const;
  for (const choice of choices) {
    assertEquals(checkChoice("Cannot go", "way", choice, choices), choice);
  }
  const wanted = `wanted "first", "second" or "third"`;
  for (const [value, words] of [["fourth", `"fourth", a string`], [1, "1, a number"]]) {
    const message = `TypeError: Cannot go: way is ${words}; ${wanted}`;
    assertEquals(errorOf(() => checkChoice("Cannot go", "way", value, choices)), message);
  }
  assertEquals(
    errorOf(() => checkChoice("Cannot go", "way", undefined, ["only"])),
    `TypeError: Cannot go: way is undefined; wanted "only"`,
  );
});

const kinds: [
  (task: string, name: string, value: unknown) => void,
  string,
  unknown[],
  unknown[],
][] = [
  [checkFunction, "a function", [() => {}, class {}], [null, "now", 1, {}, true]],
  [checkBoolean, "true or false", [true, false], [null, "true", 0, 1, {}]],
  [
    checkSignal,
    "an AbortSignal",
    [AbortSignal.abort(), AbortSignal.timeout(0), AbortSignal.any([])],
    [null, "signal", {}, new EventTarget(), new AbortController(), { throwIfAborted() {} }],
  ],
  [checkObject, "an object", [{}, new Date(), Object.create(null)], [null, "x", 1, [], () => {}]],
];
for (const [check, wanted, accepted, refused] of kinds) {
  Deno.test(`${check.name}() allows undefined and ${wanted}, and says so of anything else`, () => {
    for (const value of [undefined, ...accepted]) check("Cannot go", "way", value);
    for (const value of refused) {
      const error = assertThrows(() => check("Cannot go", "way", value), TypeError);
      assertEquals(error.message.replace(/^.* is /, "").replace(/^.*; /, ""), `wanted ${wanted}`);
      assertEquals(error.message.startsWith("Cannot go: way is "), true);
    }
  });
}

Deno.test("checkSignal() allows a signal of another realm", () => {
  const wrapped = runInNewContext("signal => Object.create(signal)")(AbortSignal.abort());
  checkSignal("Cannot go", "signal", wrapped);
});
