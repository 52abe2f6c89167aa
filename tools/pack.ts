/**
 * The module as a registry hands it out: JavaScript with declarations, in a `node_modules`.
 *
 * @module
 */

import { fileURLToPath, pathToFileURL } from "node:url";
import { bundle } from "./programs.ts";

const root = new URL("../", import.meta.url);

/** A project that has installed the packed module. */
export class Project {
  /** The folder of the project, with a slash at the end. */
  readonly home: URL;

  private constructor(home: URL) {
    this.home = home;
  }

  /** Packs the module, and installs it in a new project in a temporary folder. */
  static async make(): Promise<Project> {
    const folder = await Deno.makeTempDir({ prefix: "aio-trader-project-" });
    const project = new Project(pathToFileURL(`${folder}/`));
    await project.write("package.json", JSON.stringify({ type: "module" }));
    await project.#installCore();
    await project.#installStd();
    return project;
  }

  /** Writes a file of the project. */
  async write(path: string, text: string): Promise<void> {
    const file = new URL(path, this.home);
    await Deno.mkdir(new URL(".", file), { recursive: true });
    await Deno.writeTextFile(file, text);
  }

  /**
   * Runs a program in the project.
   *
   * @param program The path of the program.
   * @param args Its arguments.
   * @param env More of its environment.
   * @returns Whether it succeeded, and what it said on both streams.
   */
  async run(
    program: string,
    args: string[],
    env: Record<string, string> = {},
  ): Promise<{ success: boolean; said: string }> {
    const command = new Deno.Command(program, {
      args,
      env: { NO_COLOR: "1", ...env },
      cwd: this.home,
      signal: AbortSignal.timeout(120_000),
    });
    const { success, stdout, stderr } = await command.output();
    const decoder = new TextDecoder();
    return { success, said: decoder.decode(stdout) + decoder.decode(stderr) };
  }

  /** Removes the project. */
  async [Symbol.asyncDispose](): Promise<void> {
    await Deno.remove(this.home, { recursive: true });
  }

  /** Installs what `deno pack` makes. */
  async #installCore(): Promise<void> {
    const archive = fileURLToPath(new URL("core.tgz", this.home));
    await command(Deno.execPath(), ["pack", "--allow-dirty", "--output", archive]);
    const core = new URL("node_modules/@aio-trader/core/", this.home);
    await Deno.mkdir(core, { recursive: true });
    await command("tar", ["-xzf", archive, "--strip-components=1", "-C", fileURLToPath(core)]);
  }

  /**
   * Installs the one dependency, of the registry that deno uses, under the name in the sources and
   * under its name on npm.jsr.io.
   */
  async #installStd(): Promise<void> {
    for (const name of ["@std/async", "@jsr/std__async"]) {
      const exports = { "./delay": "./delay.js" };
      const home = `node_modules/${name}/`;
      await this.write(`${home}package.json`, JSON.stringify({ name, type: "module", exports }));
      const output = fileURLToPath(new URL(`${home}delay.js`, this.home));
      await bundle(new URL("pack_delay.ts", import.meta.url), output);
    }
  }
}

async function command(program: string, args: string[]): Promise<void> {
  const { success, stderr } = await new Deno.Command(program, {
    args,
    cwd: root,
    stdout: "null",
    stderr: "piped",
  }).output();
  if (!success) {
    throw new Error(`Cannot pack: ${program} ${args[0]}:\n${new TextDecoder().decode(stderr)}`);
  }
}
