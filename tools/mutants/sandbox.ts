/**
 * A copy of the library and its tests, in which mutants are made.
 *
 * @module
 */

const root = new URL("../../", import.meta.url);

/** What a command in a sandbox came to. */
export interface Outcome {
  success: boolean;
  /** Whether the command was killed because it did not end. */
  isHung: boolean;
  /** What it said on both streams. */
  text: string;
}

/** A copy of the library and its tests, in which mutants are made, one after the other. */
export class Sandbox {
  readonly #folder: string;

  private constructor(folder: string) {
    this.#folder = folder;
  }

  /** Copies the library and its tests. */
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

  /** Breaks a source, calls a function, and mends the source. */
  async broken<T>(file: string, source: string, fn: () => Promise<T>): Promise<T> {
    await Deno.writeTextFile(`${this.#folder}/${file}`, source);
    try {
      return await fn();
    } finally {
      await copy(file, this.#folder);
    }
  }

  /**
   * Runs deno in the copy.
   *
   * @param args Its arguments.
   * @param timeout How long it may take, in milliseconds.
   * @param env More of its environment.
   */
  async deno(
    args: readonly string[],
    timeout: number,
    env: Record<string, string> = {},
  ): Promise<Outcome> {
    const child = new Deno.Command(Deno.execPath(), {
      args: [...args],
      cwd: this.#folder,
      env: { NO_COLOR: "1", ...env },
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
    const decoder = new TextDecoder();
    return { success, isHung, text: decoder.decode(stdout) + decoder.decode(stderr) };
  }

  /** Removes the copy. */
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
