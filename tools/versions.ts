/**
 * The exact versions of the runtimes and compilers that checks use, from npm.
 *
 * @module
 */

/** The runtimes. */
export const VERSIONS = {
  /** The oldest Deno on which every promise is tested. */
  deno28: "deno@2.8.0",
  node22: "node@22.23.3",
  node24: "node@24.21.0",
  bun: "bun@1.4.5",
} as const;
