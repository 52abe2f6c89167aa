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
  /** Made one after the other. The text of each must occur exactly once at that time. */
  edits: readonly Edit[];
}

/** A text of the source, and its replacement. */
export type Edit = readonly [find: string, replace: string];

/** The mutants of one room, and the tests that must notice each mutant. */
export interface Room {
  /** Test files and folders, from the repository's root. */
  tests: readonly string[];
  /** Runs of each property test, where fewer than usual notice as much. */
  runs?: number;
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
 * @param mutant The way to break the source.
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
