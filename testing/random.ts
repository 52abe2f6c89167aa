/**
 * Random numbers from a seed. Internal to `testing.ts`.
 *
 * @module
 */

/**
 * Makes a source of random numbers: the same seed gives the same numbers, on every runtime. The
 * algorithm is mulberry32 by Tommy Ettinger, which is in the public domain.
 *
 * @param seed Any integer.
 * @returns A function that returns a number from 0 up to 1 at each call.
 *
 * @example The same numbers again
 * ```ts
 * import { randomOf } from "@aio-trader/core/testing";
 * import { assertEquals } from "@std/assert";
 *
 * const [first, again] = [randomOf(7), randomOf(7)];
 * assertEquals([first(), first()], [again(), again()]);
 * ```
 */
export function randomOf(seed: number): () => number {
  let state = seed | 0;
  return () => {
    state = state + 0x6d2b79f5 | 0;
    let mixed = Math.imul(state ^ state >>> 15, 1 | state);
    mixed = mixed + Math.imul(mixed ^ mixed >>> 7, 61 | mixed) ^ mixed;
    return ((mixed ^ mixed >>> 14) >>> 0) / 4_294_967_296;
  };
}
