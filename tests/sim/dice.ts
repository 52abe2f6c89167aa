/**
 * Random choices from a seed.
 *
 * @module
 */

import { randomOf } from "../../testing.ts";

/** A source of random choices: the same seed and name give the same choices, on every runtime. */
export class Dice {
  readonly #next: () => number;

  /** Makes a source; sources of different names have nothing in common. */
  constructor(seed: number, name: string) {
    this.#next = randomOf(hashOf(name, seed));
  }

  /** A number from 0 up to 1. */
  next(): number {
    return this.#next();
  }

  /** A whole number, both bounds included. */
  int(least: number, most: number): number {
    return least + Math.floor(this.#next() * (most - least + 1));
  }

  /** One of a list. */
  pick<T>(list: readonly T[]): T {
    return list[this.int(0, list.length - 1)];
  }

  /** Whether something of this probability happens. */
  chance(probability: number): boolean {
    return this.#next() < probability;
  }

  /** One of a record's keys, as often as its weight says. */
  weighted<K extends string>(weights: Readonly<Record<K, number>>): K {
    const keys = Object.keys(weights) as K[];
    let left = this.#next() * keys.reduce((sum, key) => sum + weights[key], 0);
    return keys.find((key) => (left -= weights[key]) < 0) ?? keys[keys.length - 1];
  }
}

/** A hash of 32 bits: FNV-1a. */
export function hashOf(text: string, basis = 0): number {
  let hash = 0x811c9dc5 ^ basis;
  for (let i = 0; i < text.length; i++) {
    hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  }
  hash = Math.imul(hash ^ hash >>> 16, 0x85ebca6b);
  return (hash ^ hash >>> 13) >>> 0;
}
