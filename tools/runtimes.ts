/**
 * Runs the checks that must hold on every runtime: `tests/runtimes/*_check.ts` on Deno, Node 22,
 * Node 24 and Bun.
 *
 *     deno task test:runtimes                 # all checks on all runtimes
 *     deno task test:runtimes retry session   # these checks
 *     deno task test:runtimes --on=bun,node22 # these runtimes
 *
 * Npm brings Node and Bun in the exact versions below, once, into `.cache/`. `deno bundle` makes one
 * file of each check, which every runtime then runs. The table at the end has a line for each check
 * and runtime. Exits with 1 if a check failed.
 *
 * @module
 */

import { fileURLToPath } from "node:url";

const VERSIONS = { node22: "node@22.23.3", node24: "node@24.21.0", bun: "bun@1.4.5" };
/** Longest time of one check file on one runtime, in milliseconds. */
const LIMIT = 120_000;

type Runtime = "deno" | keyof typeof VERSIONS;
const runtimes: Runtime[] = ["deno", "node22", "node24", "bun"];

const cache = new URL("../.cache/", import.meta.url);
/** The checks are in `tests/runtimes/`, or in the folder of `tests/` that `--in` names. */
const where = Deno.args.findLast((arg) => arg.startsWith("--in="))?.slice(5) ?? "runtimes";
const folder = new URL(`../tests/${where}/`, import.meta.url);
const suffix = "_check.ts";

/** Installs a runtime unless it is there, and returns the path of its program. */
async function install(runtime: Runtime): Promise<string> {
  if (runtime === "deno") return Deno.execPath();
  const wanted = VERSIONS[runtime];
  const name = wanted.split("@")[0];
  const home = new URL(`runtimes/${wanted}/`, cache);
  const program = new URL(`node_modules/.bin/${name}`, home);
  if (await answers(program)) return fileURLToPath(program);

  // Installed aside and renamed whole, so that an installation cut short is not taken for a runtime.
  console.error(`Fetching ${wanted} from npm`);
  const aside = new URL(`runtimes/.${crypto.randomUUID()}/`, cache);
  await Deno.mkdir(aside, { recursive: true });
  try {
    await Deno.writeTextFile(new URL("package.json", aside), "{}");
    const npm = await new Deno.Command(Deno.build.os === "windows" ? "npm.cmd" : "npm", {
      args: ["install", "--no-audit", "--no-fund", "--loglevel=error", wanted],
      cwd: aside,
      stdout: "null",
    }).output();
    if (!npm.success) throw new Error(`Cannot install ${wanted}: npm exited with ${npm.code}`);
    await Deno.remove(home, { recursive: true }).catch(() => {});
    await Deno.rename(aside, home).catch(async (error) => {
      if (!await answers(program)) throw error; // else another run has just installed the same
    });
  } finally {
    await Deno.remove(aside, { recursive: true }).catch(() => {});
  }
  if (!await answers(program)) {
    throw new Error(`Cannot run ${wanted}: its program does not answer --version`);
  }
  return fileURLToPath(program);
}

async function answers(program: URL): Promise<boolean> {
  try {
    const command = new Deno.Command(fileURLToPath(program), {
      args: ["--version"],
      stdout: "null",
      stderr: "null",
    });
    return (await command.output()).success;
  } catch {
    return false;
  }
}

async function bundle(name: string, home: string): Promise<string> {
  const output = `${home}/${name}.mjs`;
  const { success, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["bundle", "--quiet", "--output", output, fileURLToPath(new URL(name + suffix, folder))],
    stdout: "null",
    stderr: "piped",
  }).output();
  if (!success) {
    throw new Error(`Cannot bundle ${name}${suffix}:\n${new TextDecoder().decode(stderr)}`);
  }
  return output;
}

/** Runs one bundle on one runtime, passes its output on, and returns its line for the table. */
async function run(
  program: string,
  runtime: Runtime,
  file: string,
): Promise<{ ok: boolean; result: string }> {
  const args = runtime === "deno" ? ["run", "-A", "--no-config", file] : [file];
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
  if (on.includes(runtime)) programs.set(runtime, await install(runtime));
}

const home = await Deno.makeTempDir({ prefix: "aio-trader-" });
let failed = 0;
let passed = 0;
const table: string[] = [];
try {
  for (const name of names.length > 0 ? names : all) {
    const file = await bundle(name, home);
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
