import { assert, assertEquals } from "@std/assert";
import { randomOf } from "../../testing.ts";

Deno.test("randomOf() gives the same numbers for the same seed, from 0 up to 1, evenly", () => {
  const take = (seed: number) => Array.from({ length: 10_000 }, randomOf(seed));
  assertEquals(take(3), take(3));
  assert(take(3)[0] !== take(4)[0]);
  const numbers = take(5);
  assert(numbers.every((number) => number >= 0 && number < 1));
  const mean = numbers.reduce((sum, number) => sum + number) / 10_000;
  assert(Math.abs(mean - 0.5) < 0.02, `${mean}`);
});
