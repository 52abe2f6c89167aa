/**
 * A mutant: one way to break the library on purpose.
 *
 * @module
 */

/** One way to break one file. */
export interface Mutant {
  /** The promise that is broken, in words. */
  name: string;
  /** The file, from the repository's root. */
  file: string;
  /** Each text occurs exactly once in the file when its turn has come. */
  edits: readonly Edit[];
}

/** A text, and the text that takes its place. */
export type Edit = readonly [find: string, replace: string];

/** The mutants of one room, and the tests that must notice them. */
export interface Room {
  /** Test files and folders, from the repository's root. */
  tests: readonly string[];
  /** The ways to break the room. */
  mutants: readonly Mutant[];
}

/** Makes mutants of one file: `const url = breaking("session/url.ts")`, then `url(name, …edits)`. */
export function breaking(file: string): (name: string, ...edits: Edit[]) => Mutant {
  return (name, ...edits) => ({ name, file, edits });
}

/**
 * Breaks a source.
 *
 * @param mutant The way to break it.
 * @param source The text of the mutant's file.
 * @returns The broken text.
 * @throws {RangeError} If a text of the mutant does not occur exactly once.
 */
export function apply({ edits }: Mutant, source: string): string {
  for (const [find, replace] of edits) {
    const count = source.split(find).length - 1;
    if (count !== 1) throw new RangeError(`occurs ${count} times, wanted once: ${find}`);
    source = source.replace(find, () => replace);
  }
  return source;
}
