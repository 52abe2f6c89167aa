/**
 * Runs the checks that must hold on every runtime: `tests/runtimes/*_check.ts` on this Deno, the
 * oldest that is supported, Node 22, Node 24 and Bun.
 *
 *     deno task test:runtimes                 # all checks on all runtimes
 *     deno task test:runtimes retry session   # these checks
 *     deno task test:runtimes --on=bun,node22 # these runtimes
 *
 * Npm brings the others in the exact versions below, once, into `.cache/`. `deno bundle` makes one
 * file of each check, which every runtime then runs. The table at the end has a line for each check
 * and runtime. Exits with 1 if a check failed.
 *
 * @module
 */

import { bundle, install } from "./programs.ts";
import { VERSIONS } from "./versions.ts";

/** Longest time of one check file on one runtime, in milliseconds. */
const LIMIT = 120_000;

type Runtime = "deno" | keyof typeof VERSIONS;
const runtimes: Runtime[] = ["deno", "deno28", "node22", "node24", "bun"];

/** The checks are in `tests/runtimes/`, or in the folder of `tests/` that `--in` names. */
const where = Deno.args.findLast((arg) => arg.startsWith("--in="))?.slice(5) ?? "runtimes";
const folder = new URL(`../tests/${where}/`, import.meta.url);
const suffix = "_check.ts";

/** Runs one bundle on one runtime, passes its output on, and returns its line for the table. */
async function run(
  program: string,
  runtime: Runtime,
  file: string,
): Promise<{ ok: boolean; result: string }> {
  const args = runtime.startsWith("deno")
    ? ["run", "-A", "--no-config", "--v8-flags=--expose-gc", file]
    : [file];
  const child = new Deno.Command(program, { args, stdout: "piped", stderr: "inherit" }).spawn();
  const timer = setTimeout(() => child.kill("SIGKILL"), LIMIT);
  let text = "";
  for await (const chunk of child.stdout.pipeThrough(new TextDecoderStream())) {
    text += chunk;
    await Deno.stdout.write(new TextEncoder().encode(chunk));
  }
  const { success, code, signal } = await child.status;
  clearTimeout(timer);
  const count = text.match(/^(\d+) passed, (\d+) failed$/m);
  // An exit code of 0 without a count means that the checks never ran to their end.
  const ok = success && count !== null && Number(count[1]) > 0 && count[2] === "0";
  const ending = signal === "SIGKILL" ? `killed after ${LIMIT} ms` : `exit code ${code}`;
  return {
    ok,
    result: count && success === (count[2] === "0")
      ? count[0]
      : `${count?.[0] ?? "no count"}, ${ending}`,
  };
}

const all: string[] = [];
for await (const { name } of Deno.readDir(folder)) {
  if (name.endsWith(suffix)) all.push(name.slice(0, -suffix.length));
}
all.sort();
const on = Deno.args.findLast((arg) => arg.startsWith("--on="))?.slice(5).split(",") ?? runtimes;
const names = Deno.args.filter((arg) => !arg.startsWith("--"));
const unknown = [
  ...names.filter((name) => !all.includes(name)),
  ...on.filter((name) => !runtimes.includes(name as Runtime)),
];
if (unknown.length > 0) {
  console.error(
    `Cannot run ${unknown.join(", ")}: there are ${all.join(", ")} and --on=${runtimes.join(",")}`,
  );
  Deno.exit(2);
}

const programs = new Map<Runtime, string>();
for (const runtime of runtimes) {
  if (on.includes(runtime)) {
    programs.set(runtime, runtime === "deno" ? Deno.execPath() : await install(VERSIONS[runtime]));
  }
}

const home = await Deno.makeTempDir({ prefix: "aio-trader-" });
let failed = 0;
let passed = 0;
const table: string[] = [];
try {
  for (const name of names.length > 0 ? names : all) {
    const file = `${home}/${name}.mjs`;
    await bundle(new URL(name + suffix, folder), file);
    for (const [runtime, program] of programs) {
      console.log(
        `\n# ${name} on ${runtime === "deno" ? `deno@${Deno.version.deno}` : VERSIONS[runtime]}`,
      );
      const { ok, result } = await run(program, runtime, file);
      ok ? passed++ : failed++;
      table.push(
        `${ok ? "ok    " : "FAILED"}  ${name.padEnd(12)}  ${runtime.padEnd(7)}  ${result}`,
      );
    }
  }
} finally {
  await Deno.remove(home, { recursive: true });
}
console.log(`\n${table.join("\n")}`);
console.log(`${passed} passed, ${failed} failed`);
Deno.exit(failed > 0 || passed === 0 ? 1 : 0);
