/**
 * Runs deno with a JSR registry that answers:
 *
 *     deno run -A tools/deno.ts <any deno arguments>
 *
 * Many networks reach npm but not JSR. Where JSR answers, the real `@std` packages are used. Where
 * it does not, `JSR_URL` points at stand-ins: the few functions of `@std` that this repository uses,
 * kept in `tools/std/` and held to the contract of the real ones by `tests/std_contract_test.ts`. A
 * `JSR_URL` that is already set stays as it is. One line on stderr says which it is and why.
 *
 * No proxy is asked for loopback, where the tests and the demo play. Exit code, signals and the
 * three standard streams are those of deno.
 *
 * Nothing from `@std` is imported here: this runs before it is known where `@std` comes from.
 *
 * @module
 */

import { homedir } from "node:os";
import { pathToFileURL } from "node:url";

const JSR = "https://jsr.io/";
/** Longest wait for an answer of JSR, in milliseconds. */
const PROBE_TIMEOUT = 2_000;
/** How long an answer counts, in milliseconds. A failure counts for less: networks come back. */
const PROBE_AGE = { reached: 3_600_000, missed: 300_000 };

const sources = new URL("std/", import.meta.url);
/** Outside of the repository: `deno publish` would take the stand-ins in it for modules left out. */
const cache = pathToFileURL(
  (Deno.env.get("DENO_DIR") || Deno.env.get("XDG_CACHE_HOME") || `${homedir()}/.cache`) +
    "/aio-trader/",
);

/** What a probe of JSR found, and when (epoch ms). */
interface Probe {
  at: number;
  reached: boolean;
  why: string;
}

/** Decides where `@std` comes from, and says so. */
async function bind(): Promise<{ url?: string; said: string }> {
  const set = Deno.env.get("JSR_URL");
  if (set) return { said: `JSR_URL is set, used as it is (${set})` };
  const { reached, why } = await probe();
  if (reached) return { said: `the real packages (${why})` };
  const url = await layOut();
  return { url, said: `stand-ins from tools/std (${why})` };
}

/** Asks JSR for a package, or finds the answer of a moment ago. */
async function probe(): Promise<Probe> {
  const file = new URL("jsr.json", cache);
  const known = await remembered(file);
  if (known) return known;
  const found = await ask();
  await writeWhole(file, JSON.stringify(found)).catch(() => {}); // read-only: ask each time
  return found;
}

async function remembered(file: URL): Promise<Probe | undefined> {
  try {
    const probe = JSON.parse(await Deno.readTextFile(file));
    const age = Date.now() - probe.at;
    const limit = probe.reached ? PROBE_AGE.reached : PROBE_AGE.missed;
    if (age >= 0 && age < limit && typeof probe.why === "string") return probe;
  } catch {
    // Absent, or not ours: ask again.
  }
}

async function ask(): Promise<Probe> {
  const at = Date.now();
  try {
    const response = await fetch(new URL("@std/async/meta.json", JSR), {
      signal: AbortSignal.timeout(PROBE_TIMEOUT),
    });
    // A captive portal answers 200 as well, but not with this.
    const { name } = await response.json();
    return name === "async"
      ? { at, reached: true, why: "JSR answers" }
      : { at, reached: false, why: `${JSR} answered with status ${response.status}` };
  } catch (error) {
    const late = error instanceof Error && error.name === "TimeoutError";
    return {
      at,
      reached: false,
      why: `JSR is out of reach${late ? `: no answer in ${PROBE_TIMEOUT} ms` : ""}`,
    };
  }
}

/**
 * Lays `tools/std/` out as JSR lays out its packages, and returns the URL of the copy. Its folder
 * is named by its content: deno keeps what it knows of a module by URL, so a changed stand-in must
 * have another one.
 */
export async function layOut(): Promise<string> {
  const files = new Map<string, string>();
  for (const name of await list(sources, "isDirectory")) {
    const exports: Record<string, string> = {};
    const manifest: Record<string, { size: number; checksum: string }> = {};
    for (const path of await list(new URL(`${name}/`, sources), "isFile")) {
      const text = await Deno.readTextFile(new URL(`${name}/${path}`, sources));
      files.set(`@std/${name}/1.0.0/${path}`, text);
      exports[path === "mod.ts" ? "." : `./${path.replace(/\.ts$/, "")}`] = `./${path}`;
      manifest[`/${path}`] = {
        size: new TextEncoder().encode(text).length,
        checksum: `sha256-${await sha256(text)}`,
      };
    }
    files.set(`@std/${name}/1.0.0_meta.json`, JSON.stringify({ manifest, exports }));
    files.set(
      `@std/${name}/meta.json`,
      JSON.stringify({ scope: "std", name, latest: "1.0.0", versions: { "1.0.0": {} } }),
    );
  }
  const hash = await sha256(JSON.stringify([...files]));
  const home = new URL(`std/${hash.slice(0, 16)}/`, cache);
  if (await exists(home)) return home.href;

  // Written aside and renamed whole: two runs at once, or one cut short, leave no half a registry.
  const aside = new URL(`std/.${crypto.randomUUID()}/`, cache);
  for (const [path, text] of files) {
    const file = new URL(path, aside);
    await Deno.mkdir(new URL(".", file), { recursive: true });
    await Deno.writeTextFile(file, text);
  }
  try {
    await Deno.rename(aside, home);
  } catch (error) {
    await Deno.remove(aside, { recursive: true });
    if (!await exists(home)) throw error; // else another run was first, with the same content
  }
  return home.href;
}

/**
 * Runs deno, passing on the signals that the terminal does not already send to it. Resolves to its
 * exit code.
 */
async function run(args: string[], env: Record<string, string>): Promise<number> {
  const child = new Deno.Command(Deno.execPath(), { args, env }).spawn();
  // Ctrl-C reaches the child by itself, being sent to all of the foreground: outliving it is enough.
  const pass: Deno.Signal[] = Deno.build.os === "windows" ? [] : ["SIGTERM", "SIGHUP", "SIGQUIT"];
  const hear: Deno.Signal[] = ["SIGINT", ...pass];
  if (!Deno.stdin.isTerminal()) pass.push("SIGINT");
  for (const signal of hear) {
    Deno.addSignalListener(signal, () => {
      try {
        if (pass.includes(signal)) child.kill(signal);
      } catch {
        // It has ended meanwhile.
      }
    });
  }
  const { success, code } = await child.status;
  return success ? 0 : code || 1; // 128 + n where signal n ended it
}

/** Loopback added to the hosts that are reached without a proxy. */
function direct(): Record<string, string> {
  const known = Deno.env.get("NO_PROXY") ?? Deno.env.get("no_proxy");
  const hosts = `${known ? `${known},` : ""}127.0.0.1,localhost`;
  return { NO_PROXY: hosts, no_proxy: hosts };
}

async function list(folder: URL, kind: "isFile" | "isDirectory"): Promise<string[]> {
  const names = [];
  for await (const entry of Deno.readDir(folder)) {
    if (entry[kind] && !entry.name.startsWith(".")) names.push(entry.name);
  }
  return names.sort();
}

async function exists(path: URL): Promise<boolean> {
  return await Deno.stat(path).then(() => true, () => false);
}

async function writeWhole(file: URL, text: string): Promise<void> {
  const aside = new URL(`.${crypto.randomUUID()}`, file);
  await Deno.mkdir(new URL(".", file), { recursive: true });
  await Deno.writeTextFile(aside, text);
  await Deno.rename(aside, file);
}

async function sha256(text: string): Promise<string> {
  const hash = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text));
  return Array.from(new Uint8Array(hash), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

if (import.meta.main) {
  const { url, said } = await bind();
  console.error(`@std: ${said}`);
  Deno.exit(await run(Deno.args, { ...direct(), ...(url && { JSR_URL: url }) }));
}
