/**
 * Runs deno with a JSR registry that answers:
 *
 *     deno run -A tools/deno.ts <any deno arguments>
 *
 * Many networks reach npm but not JSR. Where JSR answers, deno uses the real `@std` packages. Where
 * JSR is out of reach, this program points `JSR_URL` at stand-ins: the few functions of `@std` that
 * this repository uses. They live in `tools/std/`, and `tests/tools/std_contract_test.ts` holds them
 * to the contract of the real ones. A `JSR_URL` that is already set stays. One line on stderr says
 * which packages deno uses, and why.
 *
 * Tests and demo play on loopback, so loopback is reached without a proxy. Exit code, signals and
 * the three standard streams are those of deno.
 *
 * This program imports nothing from `@std`: it runs before deno knows where `@std` comes from.
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

/** The finding of a probe of JSR, and its time (epoch ms). */
interface Probe {
  at: number;
  reached: boolean;
  why: string;
}

/** Decides where `@std` comes from, and returns the line that says so. */
async function bind(): Promise<{ url?: string; said: string }> {
  const set = Deno.env.get("JSR_URL");
  if (set) return { said: `JSR_URL is set, used as it is (${set})` };
  const { reached, why } = await remembered() ?? await ask();
  if (reached) return { said: `the real packages (${why})` };
  return { url: await layOut(), said: `stand-ins from tools/std (${why})` };
}

/** The last finding, while it counts. */
async function remembered(): Promise<Probe | undefined> {
  try {
    const probe = JSON.parse(await Deno.readTextFile(new URL("jsr.json", cache)));
    const age = Date.now() - probe.at;
    const limit = probe.reached ? PROBE_AGE.reached : PROBE_AGE.missed;
    if (age >= 0 && age < limit && typeof probe.why === "string") return probe;
  } catch {
    // Absent, or cut short: ask again.
  }
}

/** Asks JSR for a package, and remembers the finding. */
async function ask(): Promise<Probe> {
  const probe = { at: Date.now(), reached: false, why: "JSR is out of reach" };
  try {
    const signal = AbortSignal.timeout(PROBE_TIMEOUT);
    const response = await fetch(new URL("@std/async/meta.json", JSR), { signal });
    // A captive portal answers 200 as well, but not with this.
    probe.reached = (await response.json()).name === "async";
    probe.why = probe.reached ? "JSR answers" : `${JSR} answered with status ${response.status}`;
  } catch (error) {
    if (error instanceof Error && error.name === "TimeoutError") {
      probe.why += `: no answer in ${PROBE_TIMEOUT} ms`;
    }
  }
  await Deno.mkdir(cache, { recursive: true })
    .then(() => Deno.writeTextFile(new URL("jsr.json", cache), JSON.stringify(probe)))
    .catch(() => {}); // a folder that is read-only: ask each time
  return probe;
}

/**
 * Lays `tools/std/` out as JSR lays out its packages, and returns the URL of the copy. A hash of the
 * content names the folder: deno caches a module by its URL, so a changed stand-in needs another URL.
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

  // Written aside and renamed whole, so that a run cut short leaves no half of a registry.
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
    if (!await exists(home)) throw error; // else another run has just laid out the same content
  }
  return home.href;
}

/**
 * Runs deno and resolves to its exit code. Passes on the signals that the terminal does not send to
 * deno itself.
 */
async function run(args: string[], env: Record<string, string>): Promise<number> {
  const child = new Deno.Command(Deno.execPath(), { args, env }).spawn();
  // A terminal sends Ctrl-C to all programs of the foreground, to deno too. This one only waits.
  const pass: Deno.Signal[] = Deno.build.os === "windows" ? [] : ["SIGTERM", "SIGHUP", "SIGQUIT"];
  const hear: Deno.Signal[] = ["SIGINT", ...pass];
  if (!Deno.stdin.isTerminal()) pass.push("SIGINT");
  for (const signal of hear) {
    Deno.addSignalListener(signal, () => {
      try {
        if (pass.includes(signal)) child.kill(signal);
      } catch {
        // Deno has ended meanwhile.
      }
    });
  }
  const { success, code } = await child.status;
  return success ? 0 : code || 1; // 128 + n where signal n ended it
}

/** The environment in which loopback is reached without a proxy. */
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

async function sha256(text: string): Promise<string> {
  const hash = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text));
  return Array.from(new Uint8Array(hash), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

if (import.meta.main) {
  const { url, said } = await bind();
  console.error(`@std: ${said}`);
  Deno.exit(await run(Deno.args, { ...direct(), ...(url && { JSR_URL: url }) }));
}
