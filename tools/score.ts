/**
 * Checks the rules by which JSR scores a package, those that a program can check before a release:
 *
 *     deno task score   # a line for each rule; exits with 1 if one is not met
 *
 * The rules: https://jsr.io/docs/scoring. Two of them are settings of the package at JSR, and
 * CONTRIBUTING.md says what to set there: the description, and the runtimes.
 *
 * @module
 */

import config from "../deno.json" with { type: "json" };

const root = new URL("../", import.meta.url);

/** The part of `deno doc --json` that is used here. */
export interface Docs {
  nodes: Record<string, {
    module_doc?: { doc?: string };
    symbols: { name: string; declarations: { jsDoc?: { doc?: string } }[] }[];
  }>;
}

/** A rule, and how far it is met. */
export interface Finding {
  rule: string;
  isMet: boolean;
  /** What was found, in a few words. */
  found: string;
}

/** The share of symbols that must be documented. */
const DOCUMENTED = 0.8;

/**
 * Judges the documentation of the exported modules.
 *
 * @param modules What `deno doc --json` tells of each exported module, by its name.
 * @returns The findings of the two rules about documentation.
 */
export function judgeDocs(modules: ReadonlyMap<string, Docs>): Finding[] {
  const bare: string[] = [];
  let documented = 0;
  let all = 0;
  for (const [name, { nodes }] of modules) {
    for (const { module_doc, symbols } of Object.values(nodes)) {
      if (!module_doc?.doc) bare.push(name);
      all += symbols.length;
      documented += symbols.filter(({ declarations }) =>
        declarations.some(({ jsDoc }) => jsDoc?.doc)
      ).length;
    }
  }
  return [
    {
      rule: "every exported module has a module doc",
      isMet: bare.length === 0 && all > 0,
      found: bare.length ? `without: ${bare.join(", ")}` : `${modules.size} of ${modules.size}`,
    },
    {
      rule: "most symbols are documented",
      isMet: all > 0 && documented / all >= DOCUMENTED,
      found: `${documented} of ${all}`,
    },
  ];
}

async function read(path: string): Promise<string> {
  return await Deno.readTextFile(new URL(path, root));
}

async function deno(...args: string[]): Promise<{ success: boolean; text: string }> {
  const command = new Deno.Command(Deno.execPath(), { args, cwd: root, stderr: "null" });
  const { success, stdout } = await command.output();
  return { success, text: new TextDecoder().decode(stdout) };
}

async function docs(): Promise<Map<string, Docs>> {
  const modules = new Map<string, Docs>();
  for (const [name, path] of Object.entries(config.exports)) {
    modules.set(name, JSON.parse((await deno("doc", "--json", path)).text));
  }
  return modules;
}

async function findings(): Promise<Finding[]> {
  const readme = await read("README.md");
  const workflow = await read(".github/workflows/publish.yml");
  const { success: isFast } = await deno("publish", "--dry-run", "--allow-dirty");
  const hasProvenance = /id-token: write/.test(workflow) && /run: deno publish$/m.test(workflow);
  return [
    { rule: "there is a README", isMet: readme.length > 0, found: `${readme.length} characters` },
    {
      rule: "the README has examples",
      isMet: /^```ts$/m.test(readme),
      found: `${readme.match(/^```ts/gm)?.length ?? 0} blocks`,
    },
    ...judgeDocs(await docs()),
    { rule: "no slow types", isMet: isFast, found: isFast ? "none" : "see deno publish --dry-run" },
    {
      rule: "provenance",
      isMet: hasProvenance,
      found: hasProvenance ? "signed by the workflow that publishes" : "none",
    },
  ];
}

if (import.meta.main) {
  const all = await findings();
  for (const { rule, isMet, found } of all) {
    console.log(`${isMet ? "ok    " : "FAILED"}  ${rule} (${found})`);
  }
  Deno.exit(all.every(({ isMet }) => isMet) ? 0 : 1);
}
