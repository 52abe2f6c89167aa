/**
 * Breaks the library on purpose, one way at a time, and counts how many histories of the simulation
 * it takes to find out:
 *
 *     deno task sim:mutants               # all, 20,000 histories each at most
 *     deno task sim:mutants abort         # those with this in their name
 *     deno task sim:mutants --runs 1000
 *
 * The mutants are taken from the tables of `test:mutants`: those that break a promise which the
 * simulation looks at. Exits with 1 if one is not found.
 *
 * @module
 */

import { apply, type Mutant } from "./mutants/mutant.ts";
import { ROOMS } from "./mutants/rooms.ts";
import { Sandbox } from "./mutants/sandbox.ts";
import { PLANTED } from "./mutants/planted.ts";

/** Longest time for one mutant, in milliseconds. */
const PATIENCE = 1_200_000;

const root = new URL("../", import.meta.url);

/** The mutants of the list, in its order. */
export function planted(): Mutant[] {
  const all = Object.values(ROOMS).flatMap(({ mutants }) => mutants);
  return Object.entries(PLANTED).flatMap(([file, names]) =>
    names.map((name) => {
      const found = all.find((mutant) => mutant.file === file && mutant.name === name);
      if (!found) throw new RangeError(`There is no mutant of ${file} named "${name}"`);
      return found;
    })
  );
}

/** Counts the histories that it takes to find a mutant; 0 if it is not found. */
async function histories(sandbox: Sandbox, mutant: Mutant, runs: number): Promise<string> {
  const source = apply(mutant, await Deno.readTextFile(new URL(mutant.file, root)));
  const args = ["run", "-A", "--no-check", "tests/sim/run.ts", "--first", "--runs", `${runs}`];
  const { success, isHung, text } = await sandbox.broken(
    mutant.file,
    source,
    () => sandbox.deno(args, PATIENCE),
  );
  if (success) return "";
  if (isHung) return "(no end)";
  const [, count, fault] = /^history (\d+): (.*)$/m.exec(text) ?? [];
  return count ? `${count.padStart(6)}  ${fault}` : "     1  (a history does not end well)";
}

if (import.meta.main) {
  const at = Deno.args.indexOf("--runs");
  const runs = at < 0 ? 20_000 : Number(Deno.args[at + 1]);
  const words = Deno.args.filter((word, i) => word !== "--runs" && (at < 0 || i !== at + 1));
  const mutants = planted().filter(({ file, name }) =>
    words.length === 0 || words.some((word) => `${file} ${name}`.includes(word))
  );
  const width = Math.max(...mutants.map(({ name }) => name.length));
  const sandbox = await Sandbox.make();
  let found = 0;
  try {
    console.log(`${"mutant".padEnd(width)}  histories, and what they found`);
    for (const mutant of mutants) {
      const said = await histories(sandbox, mutant, runs);
      if (said) found++;
      console.log(`${mutant.name.padEnd(width)}  ${said || "NOT FOUND"}`);
    }
  } finally {
    await sandbox.remove();
  }
  console.log(`\n${found} of ${mutants.length} found within ${runs} histories`);
  Deno.exit(found === mutants.length ? 0 : 1);
}
