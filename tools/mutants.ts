/**
 * Breaks the library on purpose, one way at a time, and sees whether the unit tests notice:
 *
 *     deno task test:mutants                    # all
 *     deno task test:mutants session            # those of one room
 *     deno task test:mutants session url.ts     # those of one file of the room
 *     deno task test:mutants throttler stamp pause    # those with one of these in their name
 *
 * The tables stand in `tools/mutants/`, one for each room. The mirrored test file of a broken source
 * runs first, the other tests of the room only after a mirrored file that noticed nothing. A test
 * that never ends has noticed the mutant. Exits with 1 if a mutant survives, or no longer fits its
 * source.
 *
 * @module
 */

import { apply, type Mutant, type Room } from "./mutants/mutant.ts";
import { Sandbox } from "./mutants/sandbox.ts";
import { ROOMS } from "./mutants/rooms.ts";

/** How many times as long as the untouched tests a mutant's may take; in milliseconds, the bounds. */
const PATIENCE = { factor: 5, least: 60_000, most: 900_000 };

const root = new URL("../", import.meta.url);

/** A mutant, ready to be judged. */
interface Case {
  mutant: Mutant;
  /** The broken source, or why the mutant does not fit. */
  source: string | RangeError;
  /** The room of the mutant. */
  room: Room;
  /** The mirrored test file of the broken source, if there is one. */
  mirrored: string | undefined;
}

/** The fate of a mutant: the test that noticed the mutant, or the reason why none did. */
type Verdict = { killer: string } | { failure: string };

/** Runs tests against the sources, one of them broken. */
async function judged(sandbox: Sandbox, one: Case, timeout: number): Promise<Verdict> {
  const { mutant: { file }, source, room, mirrored } = one;
  if (typeof source !== "string") return { failure: `DOES NOT FIT: ${source.message}` };
  return await sandbox.broken(file, source, async () => {
    for (const files of mirrored ? [[mirrored], room.tests] : [room.tests]) {
      const killer = await firstFailure(sandbox, files, timeout, room.runs);
      if (killer !== undefined) return { killer };
    }
    return { failure: "NOTHING: it survived" };
  });
}

/** Runs test files. Resolves to the name of the first test that failed, if any did. */
async function firstFailure(
  sandbox: Sandbox,
  files: readonly string[],
  timeout: number,
  runs?: number,
): Promise<string | undefined> {
  const args = ["test", "-A", "--no-check", "--fail-fast", ...files];
  const { success, isHung, text } = await sandbox.deno(args, timeout, {
    ...(runs && { RUNS: `${runs}` }),
    DENO_TEST_SANITIZE_OPS: "1",
    DENO_TEST_SANITIZE_RESOURCES: "1",
  });
  if (success) return undefined;
  if (isHung) return "(no end)";
  const [, failed] = / FAILURES \n\n(.+?) => /.exec(text) ??
    // The first test that is cancelled was running when an error came from outside of any test.
    /^(.+?) \.\.\..*(?:FAILED|cancelled)/m.exec(text) ?? [];
  if (failed !== undefined) return failed;
  throw new Error(`The tests did not run:\n${text}`);
}

/** The mutants that the command line asks for. */
async function wanted(args: string[]): Promise<Case[]> {
  const { [args[0]]: only } = ROOMS;
  const words = only ? args.slice(1) : args;
  const isWanted = ({ file, name }: Mutant) =>
    words.length === 0 || words.some((word) => `${file} ${name}`.includes(word));
  const cases: Case[] = [];
  for (const room of only ? [only] : Object.values(ROOMS)) {
    for (const mutant of room.mutants) {
      if (isWanted(mutant)) cases.push(await prepare(mutant, room));
    }
  }
  return cases;
}

async function prepare(mutant: Mutant, room: Room): Promise<Case> {
  const mirrored = `tests/${mutant.file.replace(/\.ts$/, "_test.ts")}`;
  const hasMirror = await Deno.stat(new URL(mirrored, root)).then(() => true, () => false);
  const source = await Deno.readTextFile(new URL(mutant.file, root)).then(
    (text) => broken(mutant, text),
    () => new RangeError(`there is no ${mutant.file}`),
  );
  return { mutant, source, room, mirrored: hasMirror ? mirrored : undefined };
}

function broken(mutant: Mutant, text: string): string | RangeError {
  try {
    return apply(mutant, text);
  } catch (error) {
    if (error instanceof RangeError) return error;
    throw error;
  }
}

/** Judges the cases, as many at a time as there are sandboxes. */
async function judge(cases: Case[], sandboxes: Sandbox[]): Promise<Map<Case, Verdict>> {
  const start = performance.now();
  for (const room of new Set(cases.map(({ room }) => room))) {
    const failed = await firstFailure(sandboxes[0], room.tests, PATIENCE.most, room.runs);
    if (failed) throw new Error(`The tests fail without any mutant: ${failed}`);
  }
  const { factor, least, most } = PATIENCE;
  const timeout = Math.min(Math.max(least, factor * (performance.now() - start)), most);

  const verdicts = new Map<Case, Verdict>();
  const queue = [...cases];
  await Promise.all(sandboxes.map(async (sandbox) => {
    for (let next; (next = queue.shift());) {
      const verdict = await judged(sandbox, next, timeout);
      verdicts.set(next, verdict);
      const failure = "failure" in verdict ? `: ${verdict.failure}` : "";
      console.error(`${verdicts.size}/${cases.length} ${next.mutant.name}${failure}`);
    }
  }));
  return verdicts;
}

/** Prints the table, and returns whether all were killed. */
function report(cases: Case[], verdicts: Map<Case, Verdict>): boolean {
  const width = Math.max(...cases.map(({ mutant }) => mutant.name.length));
  let killed = 0;
  console.log(`${"mutant".padEnd(width)}  killed by`);
  for (const each of cases) {
    const verdict = verdicts.get(each)!;
    if ("killer" in verdict) killed++;
    const words = "killer" in verdict ? verdict.killer : verdict.failure;
    console.log(`${each.mutant.name.padEnd(width)}  ${words}`);
  }
  console.log(`\n${killed} of ${cases.length} killed`);
  return killed === cases.length;
}

if (import.meta.main) {
  const cases = await wanted(Deno.args);
  if (cases.length === 0) {
    console.error(`No mutant has that name; the rooms are ${Object.keys(ROOMS).join(", ")}`);
    Deno.exit(1);
  }
  const sandboxes: Sandbox[] = [];
  let areKilled;
  try {
    const workers = Math.max(1, navigator.hardwareConcurrency - 1);
    while (sandboxes.length < workers) sandboxes.push(await Sandbox.make());
    areKilled = report(cases, await judge(cases, sandboxes));
  } finally {
    for (const sandbox of sandboxes) await sandbox.remove();
  }
  if (!areKilled) Deno.exit(1);
}
