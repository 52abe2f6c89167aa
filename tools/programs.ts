/**
 * Programs that checks need: from npm in exact versions, once, into `.cache/`; and bundles of our own
 * modules for runtimes that read no TypeScript.
 *
 * @module
 */

import { fileURLToPath } from "node:url";

const cache = new URL("../.cache/", import.meta.url);
/** What npm appends to the names of programs. */
const SUFFIX = Deno.build.os === "windows" ? ".cmd" : "";

/**
 * Installs a program from npm unless it is there.
 *
 * @param wanted The package with its exact version, `bun@1.4.5`.
 * @param name The name of the program, unless it is the package's.
 * @returns The path of the program.
 * @throws {Error} If npm fails, or the program does not answer `--version`.
 */
export async function install(
  wanted: string,
  name: string = wanted.split("@")[0],
): Promise<string> {
  const program = new URL(`.bin/${name}${SUFFIX}`, await modules([wanted], name));
  if (!await answers(program)) {
    throw new Error(`Cannot run ${wanted}: its program does not answer --version`);
  }
  return fileURLToPath(program);
}

/**
 * Installs packages from npm into one folder, unless they are there.
 *
 * @param wanted The packages with their exact versions.
 * @param program A program that answers `--version` once the packages are there, if they have one.
 * @returns The folder `node_modules`.
 * @throws {Error} If npm fails.
 */
export async function modules(wanted: readonly string[], program?: string): Promise<URL> {
  const home = new URL(`runtimes/${wanted.join("+").replaceAll("/", "-")}/`, cache);
  const folder = new URL("node_modules/", home);
  const isThere = () =>
    program ? answers(new URL(`.bin/${program}${SUFFIX}`, folder)) : exists(folder);
  if (await isThere()) return folder;

  // Installed aside and renamed whole, so that an installation cut short is not taken for a runtime.
  console.error(`Fetching ${wanted.join(", ")} from npm`);
  const aside = new URL(`runtimes/.${crypto.randomUUID()}/`, cache);
  await Deno.mkdir(aside, { recursive: true });
  try {
    await Deno.writeTextFile(new URL("package.json", aside), "{}");
    const npm = await new Deno.Command(`npm${SUFFIX}`, {
      args: ["install", "--no-audit", "--no-fund", "--loglevel=error", ...wanted],
      cwd: aside,
      stdout: "null",
    }).output();
    if (!npm.success) throw new Error(`Cannot install ${wanted}: npm exited with ${npm.code}`);
    await Deno.remove(home, { recursive: true }).catch(() => {});
    await Deno.rename(aside, home).catch(async (error) => {
      if (!await isThere()) throw error; // else another run has just installed the same
    });
  } finally {
    await Deno.remove(aside, { recursive: true }).catch(() => {});
  }
  return folder;
}

async function exists(folder: URL): Promise<boolean> {
  return await Deno.stat(folder).then(() => true, () => false);
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

/**
 * Makes one JavaScript file of a module and all that the module imports.
 *
 * @param module The module.
 * @param output The path of the file.
 * @throws {Error} If `deno bundle` fails.
 */
export async function bundle(module: URL, output: string): Promise<void> {
  const path = fileURLToPath(module);
  const { success, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["bundle", "--quiet", "--output", output, path],
    stdout: "null",
    stderr: "piped",
  }).output();
  if (!success) throw new Error(`Cannot bundle ${path}:\n${new TextDecoder().decode(stderr)}`);
}
