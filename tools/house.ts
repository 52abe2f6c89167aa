/**
 * Checks the house rules of the library, which CONTRIBUTING.md gives: `deno task house`.
 *
 * - Imports form no circle.
 * - A cupboard (a file in the folder of a room) is imported by its room and its neighbours only.
 * - Every room and cupboard has a test file in the same place of `tests/`, unless it holds types only,
 *   or names the file that tests it: Tested in `tests/session_test.ts`.
 * - `publish.include` of deno.json names every folder of the library.
 * - The rules of `tools/house_rules.ts`, file by file.
 *
 * @module
 */

import config from "../deno.json" with { type: "json" };
import { fileURLToPath } from "node:url";

const root = new URL("../", import.meta.url);
/** Folders of the top level that are not the library. */
const OTHERS = ["bench", "docs", "examples", "node_modules", "tests", "tools"];
/** Folders whose files any room may import. */
const SHARED = ["common", "platform"];

/** The library: its files by path ("session/url.ts"), with the paths that each one imports. */
export type Library = Map<string, string[]>;

/** Reads the files of the library and their imports. */
export async function readLibrary(): Promise<Library> {
  const library: Library = new Map();
  const visit = async (folder: string) => {
    for await (const { name, isDirectory } of Deno.readDir(new URL(folder, root))) {
      const top = folder === "";
      if (isDirectory && top && !name.startsWith(".") && !OTHERS.includes(name)) {
        await visit(`${name}/`);
      } else if (name.endsWith(".ts")) {
        const path = folder + name;
        library.set(path, importsOf(path, await Deno.readTextFile(new URL(path, root))));
      }
    }
  };
  await visit("");
  return library;
}

/** The paths of the files that a file imports, types included; comments are not read. */
export function importsOf(path: string, source: string): string[] {
  const code = source.replace(/\/\*[\s\S]*?\*\/|^\s*\/\/.*$/gm, "");
  const found = code.matchAll(/(?:\bfrom|\bimport)\s*\(?\s*"(\.[^"]+)"/g);
  return [...found].map(([, specifier]) => new URL(specifier, `file:///${path}`).pathname.slice(1));
}

/** The circles of imports, each as the paths along it. */
export function circles(library: Library): string[] {
  const found: string[] = [];
  const done = new Set<string>();
  const visit = (path: string, way: string[]) => {
    const start = way.indexOf(path);
    if (start >= 0) found.push([...way.slice(start), path].join(" -> "));
    if (start >= 0 || done.has(path)) return;
    for (const next of library.get(path) ?? []) visit(next, [...way, path]);
    done.add(path);
  };
  for (const path of library.keys()) visit(path, []);
  return found.map((way) => `imports form a circle: ${way}`);
}

/** The imports that reach into the cupboards of another room. */
export function intrusions(library: Library): string[] {
  const found: string[] = [];
  for (const [path, imports] of library) {
    for (const target of imports) {
      const [folder, inside] = target.split("/");
      const own = path === `${folder}.ts` || path.startsWith(`${folder}/`);
      if (inside && !own && !SHARED.includes(folder)) {
        found.push(`${path} imports ${target}, which only ${folder}.ts and its folder may`);
      }
    }
  }
  return found;
}

/** Whether a source defines more than types: a function, a class or a value. */
export function isTestable(source: string): boolean {
  return /^(?:export )?(?:async |abstract )*(?:function|class|const)\b/m.test(source);
}

/** The test file that a file of the library needs, or undefined if it holds types only. */
export function testOf(path: string, source: string): string | undefined {
  if (!isTestable(source)) return undefined;
  return source.match(/Tested in `(tests\/[^`]+_test\.ts)`/)?.[1] ??
    `tests/${path.replace(/\.ts$/, "_test.ts")}`;
}

/** The files of the library whose test file is not there. */
async function untested(library: Library): Promise<string[]> {
  const found: string[] = [];
  for (const path of library.keys()) {
    const test = testOf(path, await Deno.readTextFile(new URL(path, root)));
    const there = !test || await Deno.stat(new URL(test, root)).then(() => true, () => false);
    if (!there) found.push(`${path} has no test: ${test} is not there`);
  }
  return found;
}

/** The folders of the library that would not be published. */
function unpublished(library: Library): string[] {
  const folders = new Set(
    [...library.keys()].filter((path) => path.includes("/"))
      .map((path) => `${path.split("/")[0]}/`),
  );
  return [...folders].filter((folder) => !config.publish.include.includes(folder))
    .map((folder) => `${folder} is not in publish.include of deno.json`);
}

async function rulesOfOneFile(library: Library): Promise<boolean> {
  const { success } = await new Deno.Command(Deno.execPath(), {
    args: ["lint", "--config", fileURLToPath(new URL("house.jsonc", import.meta.url))]
      .concat([...library.keys()]),
    cwd: root,
  }).spawn().status;
  return success;
}

if (import.meta.main) {
  const library = await readLibrary();
  const found = [
    ...circles(library),
    ...intrusions(library),
    ...await untested(library),
    ...unpublished(library),
  ];
  for (const line of found) console.error(line);
  const clean = await rulesOfOneFile(library);
  console.log(`${library.size} files: ${found.length} breaches of the rules between files`);
  Deno.exit(found.length > 0 || !clean || library.size === 0 ? 1 : 0);
}
