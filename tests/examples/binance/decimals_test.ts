import { assert, assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import { roundDown, roundUp, textOf, unitsOf } from "../../../examples/binance/decimals.ts";

Deno.test("roundDown() gives a multiple of the step, never above the value, and less than a step below", () => {
  const decimal = fc.tuple(fc.nat(1_000_000), fc.nat(99_999_999)).map(([whole, part]) =>
    `${whole}.${String(part).padStart(8, "0")}`
  );
  const step = fc.constantFrom("0.00000001", "0.001", "0.01000000", "0.05", "1", "25");
  fc.assert(fc.property(decimal, step, (value, step) => {
    const [rounded, size, meant] = [unitsOf(roundDown(value, step)), unitsOf(step), unitsOf(value)];
    assertEquals(rounded % size, 0n);
    assert(rounded <= meant && meant - rounded < size);
  }));
});

Deno.test("roundDown() writes no zeros at the end, and no step of 0 rounds", () => {
  for (
    const [value, step, rounded] of [
      ["0.129999", "0.01000000", "0.12"],
      ["29.99", "10", "20"],
      ["5", "10", "0"],
      ["1.10", "0.00000000", "1.1"],
      ["100", "0.1", "100"],
      ["0.30000000000000004", "0.01", "0.3"],
      ["0.1999999999999999", "0.00000001", "0.19999999"],
      ["0.000000009", "0.00000001", "0"],
    ]
  ) assertEquals(roundDown(value, step), rounded, value);
});

Deno.test("roundUp() gives a multiple of the step, never below the value, and less than a step above", () => {
  for (
    const [value, step, rounded] of [
      ["0.121", "0.01000000", "0.13"],
      ["0.12", "0.01", "0.12"],
      ["29.99", "10", "30"],
      ["1.10", "0.00000000", "1.1"],
      ["0.30000000000000004", "0.01", "0.31"],
      ["0.30000000000000000", "0.01", "0.3"],
      ["0.000000001", "0", "0.00000001"],
    ]
  ) assertEquals(roundUp(value, step), rounded, value);
  for (const text of ["", "-1", "1e-7", "NaN"]) assertThrows(() => roundUp(text, "1"), RangeError);
});

Deno.test("unitsOf() and textOf() are each other's reverse, and anything but a decimal is refused", () => {
  for (const text of ["0.00000000", "1.50000000", "123456789.00000001"]) {
    assertEquals(textOf(unitsOf(text)), text);
  }
  assertEquals(unitsOf("1.500000000000"), 150_000_000n);
  for (const text of ["", "-1", "1e-7", "0.000000001", "1,5", ".5", "NaN"]) {
    assertThrows(() => unitsOf(text), RangeError, `it is ${text},`);
  }
});
