/**
 * Runs every check of a commit, one step after the other:
 *
 *     deno task ok                  # every step
 *     deno task ok --only=lint,doc  # these steps
 *     deno task ok --as-readme      # the commands of the README word for word, in an empty HOME
 *
 * Every step runs, also after a step that failed. The program ends with a table, with the line
 * `N passed, N failed`, which counts steps, and with exit code 1 if a step failed.
 *
 * A task of `deno.json` whose name begins with `test` is a step by itself, unless `LEFT_OUT` says
 * why not.
 *
 * @module
 */

import config from "../deno.json" with { type: "json" };

/** Longest time of one step, in milliseconds. */
const LIMIT = 30 * 60_000;
/** Time between the first and the last word to a step that took too long, in milliseconds. */
const GRACE = 5_000;

/** The tests that a commit does not wait for, and why. */
export const LEFT_OUT: Readonly<Record<string, string>> = {
  "test:deep": "takes an hour",
  "test:mutants": "takes an hour",
  "test:interop": "downloads large clients of other people",
};

const root = new URL("../", import.meta.url);

/** One step: the arguments of deno, or a function that returns the fault in words. */
type Step = string[] | (() => Promise<string | undefined>);

/** All steps in the order in which they run. */
export function steps(before: string): Map<string, Step> {
  const tests = Object.keys(config.tasks)
    .filter((task) => task.startsWith("test:") && !(task in LEFT_OUT));
  return new Map<string, Step>([
    ["test", ["task", "test"]],
    ["fmt", ["fmt", "--check"]],
    ...["lint", "check", "doc", "score", "house", ...tests].map((task) =>
      [task, ["task", task]] as [string, Step]
    ),
    ["publish", ["task", "publish", "--dry-run", "--allow-dirty"]],
    ["demo", ["task", "demo"]],
    ["unchanged", async () => {
      const now = await workTree();
      return now === before ? undefined : `The work tree has changed:\n${now}`;
    }],
  ]);
}

/** The commands by which the README starts a task on a machine without Deno, by task. */
export async function readmeCommands(): Promise<Map<string, string>> {
  const text = await Deno.readTextFile(new URL("README.md", root));
  const commands = text.matchAll(/^(npx .*deno task (\S+))(?: +#.*)?$/gm);
  return new Map([...commands].map(([, command, task]) => [task, command]));
}

/** The uncommitted changes of the work tree. */
async function workTree(): Promise<string> {
  let text = "";
  for (const args of [["status", "--porcelain"], ["diff", "HEAD"]]) {
    const { success, stdout } = await new Deno.Command("git", { args, cwd: root }).output();
    if (!success) throw new Error(`Cannot compare the work tree: git ${args[0]} failed`);
    text += new TextDecoder().decode(stdout);
  }
  return text;
}

/** Runs one command with the output of this program. Returns the fault in words, if there is one. */
async function run(command: Deno.Command): Promise<string | undefined> {
  const child = command.spawn();
  const kill = (signal: Deno.Signal) => () => {
    try {
      child.kill(signal);
    } catch {
      // The command has ended meanwhile.
    }
  };
  const timers = [setTimeout(kill("SIGTERM"), LIMIT), setTimeout(kill("SIGKILL"), LIMIT + GRACE)];
  const { success, code } = await child.status;
  timers.forEach(clearTimeout);
  return success ? undefined : `exit code ${code}`;
}

function deno(args: string[]): Deno.Command {
  return new Deno.Command(Deno.execPath(), { args, cwd: root, stdin: "null" });
}

/**
 * A command in a shell that finds no Deno and nothing at home, as a user's on a new machine. Npm
 * passes no signal on to its programs, so the limit is that of `timeout`, which ends them all.
 */
function bareShell(command: string, home: string): Deno.Command {
  const env = Deno.env.toObject();
  for (const name of ["DENO_DIR", "XDG_CACHE_HOME", "npm_config_cache", "npm_config_yes"]) {
    delete env[name];
  }
  env.HOME = home;
  env.PATH = (env.PATH ?? "").split(":").filter((path) => !path.includes("node_modules")).join(":");
  const limit = [`--kill-after=${GRACE / 1_000}`, String(LIMIT / 1_000)];
  return new Deno.Command("timeout", {
    args: [...limit, "sh", "-c", command],
    cwd: root,
    stdin: "null",
    clearEnv: true,
    env,
  });
}

async function main(args: string[]): Promise<number> {
  const only = args.findLast((arg) => arg.startsWith("--only="))?.slice(7).split(",");
  const asReadme = args.includes("--as-readme");
  const all = steps(await workTree());
  const unknown = [
    ...(only ?? []).filter((name) => !all.has(name)),
    ...args.filter((arg) => !arg.startsWith("--only=") && arg !== "--as-readme"),
  ];
  if (unknown.length > 0) {
    console.error(`Cannot run ${unknown.join(", ")}: the steps are ${[...all.keys()].join(", ")}`);
    return 2;
  }
  const commands = asReadme ? await readmeCommands() : new Map<string, string>();
  const home = await Deno.makeTempDir({ prefix: "aio-trader-home-" });

  const table: string[] = [];
  let failed = 0;
  for (const [name, step] of all) {
    if (only && !only.includes(name)) continue;
    const command = commands.get(name);
    console.log(`\n== ${name}${command ? `: ${command}` : ""}`);
    const start = performance.now();
    const wrong = command
      ? await run(bareShell(command, home))
      : typeof step === "function"
      ? await step()
      : await run(deno(step));
    const seconds = ((performance.now() - start) / 1_000).toFixed(0);
    if (wrong) failed++;
    console.log(`== ${name}: ${wrong ? `FAILED: ${wrong}` : "ok"} (${seconds} s)`);
    table.push(`${wrong ? "FAILED" : "ok    "}  ${name.padEnd(13)} ${seconds.padStart(5)} s`);
  }
  await Deno.remove(home, { recursive: true });
  console.log(`\n${table.join("\n")}`);
  console.log(`${table.length - failed} passed, ${failed} failed`);
  return failed > 0 || table.length === 0 ? 1 : 0;
}

if (import.meta.main) Deno.exit(await main(Deno.args));
