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
import { room as feeder } from "./mutants/feeder.ts";
import { room as gaps } from "./mutants/gaps.ts";
import { room as reconcile } from "./mutants/reconcile.ts";
import { room as retry } from "./mutants/retry.ts";
import { room as session } from "./mutants/session.ts";
import { room as throttler } from "./mutants/throttler.ts";
import { room as websocketFeeder } from "./mutants/websocket_feeder.ts";

const ROOMS: Record<string, Room> = {
  throttler,
  retry,
  feeder,
  session,
  reconcile,
  gaps,
  "websocket-feeder": websocketFeeder,
};

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

/** A copy of the library and its tests, in which mutants are made, one after the other. */
class Sandbox {
  readonly #folder: string;

  private constructor(folder: string) {
    this.#folder = folder;
  }

  static async make(): Promise<Sandbox> {
    const folder = await Deno.makeTempDir({ prefix: "mutants-" });
    const config = JSON.parse(await Deno.readTextFile(new URL("deno.json", root)));
    const { imports, workspace, compilerOptions, publish } = config;
    await Deno.writeTextFile(
      `${folder}/deno.json`,
      JSON.stringify({ imports, workspace, compilerOptions, lock: false }),
    );
    const folders = publish.include.filter((path: string) => path.endsWith("/"));
    for await (const { name, isFile } of Deno.readDir(root)) {
      if (isFile && name.endsWith(".ts")) await copy(name, folder);
    }
    for (const path of [...folders, "tests/"]) await copyFolder(path, folder);
    return new Sandbox(folder);
  }

  /** Runs tests against the sources, one of them broken if a mutant is given. */
  async judge({ mutant, source, room, mirrored }: Case, timeout: number): Promise<Verdict> {
    if (typeof source !== "string") return { failure: `DOES NOT FIT: ${source.message}` };
    await Deno.writeTextFile(`${this.#folder}/${mutant.file}`, source);
    try {
      for (const files of mirrored ? [[mirrored], room.tests] : [room.tests]) {
        const killer = await this.run(files, timeout, room.runs);
        if (killer !== undefined) return { killer };
      }
      return { failure: "NOTHING: it survived" };
    } finally {
      await copy(mutant.file, this.#folder);
    }
  }

  /** Runs test files. Resolves to the name of the first test that failed, if any did. */
  async run(
    files: readonly string[],
    timeout: number,
    runs?: number,
  ): Promise<string | undefined> {
    const child = new Deno.Command(Deno.execPath(), {
      args: ["test", "-A", "--no-check", "--fail-fast", ...files],
      cwd: this.#folder,
      env: {
        NO_COLOR: "1",
        ...(runs && { RUNS: `${runs}` }),
        DENO_TEST_SANITIZE_OPS: "1",
        DENO_TEST_SANITIZE_RESOURCES: "1",
      },
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    let isHung = false;
    const timer = setTimeout(() => {
      isHung = true;
      child.kill("SIGKILL");
    }, timeout);
    const { success, stdout, stderr } = await child.output();
    clearTimeout(timer);
    if (success) return undefined;
    if (isHung) return "(no end)";
    const text = new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr);
    const [, failed] = / FAILURES \n\n(.+?) => /.exec(text) ??
      // The first test that is cancelled was running when an error came from outside of any test.
      /^(.+?) \.\.\..*(?:FAILED|cancelled)/m.exec(text) ?? [];
    if (failed !== undefined) return failed;
    throw new Error(`The tests did not run:\n${text}`);
  }

  async remove(): Promise<void> {
    await Deno.remove(this.#folder, { recursive: true });
  }
}

async function copy(path: string, folder: string): Promise<void> {
  await Deno.copyFile(new URL(path, root), `${folder}/${path}`);
}

async function copyFolder(path: string, folder: string): Promise<void> {
  await Deno.mkdir(`${folder}/${path}`, { recursive: true });
  for await (const { name, isDirectory } of Deno.readDir(new URL(path, root))) {
    if (isDirectory) await copyFolder(`${path}${name}/`, folder);
    else await copy(`${path}${name}`, folder);
  }
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
    const failed = await sandboxes[0].run(room.tests, PATIENCE.most, room.runs);
    if (failed) throw new Error(`The tests fail without any mutant: ${failed}`);
  }
  const { factor, least, most } = PATIENCE;
  const timeout = Math.min(Math.max(least, factor * (performance.now() - start)), most);

  const verdicts = new Map<Case, Verdict>();
  const queue = [...cases];
  await Promise.all(sandboxes.map(async (sandbox) => {
    for (let next; (next = queue.shift());) {
      const verdict = await sandbox.judge(next, timeout);
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
