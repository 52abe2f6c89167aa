/**
 * Counts the points by which JSR scores a package, as far as a program can before a release:
 *
 *     deno task score   # a line for each rule; exits with 1 if one is not met
 *
 * The rules: https://jsr.io/docs/scoring. Description and runtimes are settings of the package at
 * JSR, which no file of a repository can set. CONTRIBUTING.md says what to set, and this program
 * checks that JSR takes it. JSR calls 17 points 100 %, although its rules give up to 18. One rule is
 * of our own and gives no point: every symbol has an example, which `deno task test:doc` runs.
 *
 * @module
 */

import config from "../deno.json" with { type: "json" };

const root = new URL("../", import.meta.url);

/** The part of `deno doc --json` that is used here. */
export interface Docs {
  nodes: Record<string, {
    module_doc?: { doc?: string };
    symbols: {
      name: string;
      declarations: { jsDoc?: { doc?: string; tags?: { kind: string }[] } }[];
    }[];
  }>;
}

/** A rule, and whether it is met. */
export interface Finding {
  rule: string;
  /** What JSR gives for the rule. */
  points: number;
  isMet: boolean;
  /** What was found, in a few words. */
  found: string;
}

/** The share of symbols that must be documented. */
const DOCUMENTED = 0.8;
/** The points that JSR calls 100 %. */
const FULL = 17;
/** The most characters of a description that JSR takes. */
const DESCRIPTION = 250;
/** The runtimes that JSR knows. */
const RUNTIMES = /\b(?:Deno|Node|Bun|browsers|Cloudflare Workers)\b/g;

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
      points: 1,
      isMet: bare.length === 0 && all > 0,
      found: bare.length ? `without: ${bare.join(", ")}` : `${modules.size} of ${modules.size}`,
    },
    {
      rule: "most symbols are documented",
      points: 5,
      isMet: all > 0 && documented / all >= DOCUMENTED,
      found: `${documented} of ${all}`,
    },
  ];
}

/**
 * Looks for examples.
 *
 * @param modules What `deno doc --json` tells of each exported module, by its name.
 * @returns The finding: whether every symbol has an example.
 */
export function judgeExamples(modules: ReadonlyMap<string, Docs>): Finding {
  const without = new Set<string>();
  const all = new Set<string>();
  for (const { nodes } of modules.values()) {
    for (const { name, declarations } of Object.values(nodes).flatMap(({ symbols }) => symbols)) {
      const tags = declarations.flatMap(({ jsDoc }) => jsDoc?.tags ?? []);
      if (!tags.some(({ kind }) => kind === "example")) without.add(name);
      all.add(name);
    }
  }
  return {
    rule: "every symbol has an example",
    points: 0,
    isMet: without.size === 0 && all.size > 0,
    found: without.size > 0 ? `without: ${[...without].join(", ")}` : `${all.size} of ${all.size}`,
  };
}

/**
 * Judges what is to be set at JSR.
 *
 * @param contributing The text of CONTRIBUTING.md.
 * @returns The findings of the three rules about settings.
 */
export function judgeSettings(contributing: string): Finding[] {
  const setting = (name: string) =>
    new RegExp(`^- ${name}: (.*?)(?=\\n(?:- |\\n|$)|$(?![^]))`, "ms").exec(contributing)?.[1]
      .replaceAll(/\s+/g, " ") ?? "";
  const description = setting("Description");
  const [, compatible = ""] = /^(.*?) are compatible/.exec(setting("Runtimes")) ?? [];
  const runtimes = compatible.match(RUNTIMES) ?? [];
  const toSet = runtimes.length > 0 ? `to be set: ${runtimes.join(", ")}` : "none named";
  return [
    {
      rule: "a description",
      points: 1,
      isMet: description.length > 0 && description.length <= DESCRIPTION,
      found: `to be set: ${description.length} characters, at most ${DESCRIPTION}`,
    },
    { rule: "a compatible runtime", points: 1, isMet: runtimes.length >= 1, found: toSet },
    { rule: "two compatible runtimes", points: 1, isMet: runtimes.length >= 2, found: toSet },
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
  const modules = await docs();
  const { success: isFast } = await deno("publish", "--dry-run", "--allow-dirty");
  const hasProvenance = /id-token: write/.test(workflow) && /run: deno publish$/m.test(workflow);
  return [
    {
      rule: "there is a README",
      points: 2,
      isMet: readme.length > 0,
      found: `${readme.length} characters`,
    },
    {
      rule: "the README has examples",
      points: 1,
      isMet: /^```ts$/m.test(readme),
      found: `${readme.match(/^```ts/gm)?.length ?? 0} blocks`,
    },
    ...judgeDocs(modules),
    judgeExamples(modules),
    {
      rule: "no slow types",
      points: 5,
      isMet: isFast,
      found: isFast ? "none" : "see deno publish --dry-run",
    },
    {
      rule: "provenance",
      points: 1,
      isMet: hasProvenance,
      found: hasProvenance ? "signed by the workflow that publishes" : "none",
    },
    ...judgeSettings(await read("CONTRIBUTING.md")),
  ];
}

if (import.meta.main) {
  const all = await findings();
  let total = 0;
  for (const { rule, points, isMet, found } of all) {
    if (isMet) total += points;
    console.log(
      `${isMet ? "ok    " : "FAILED"}  ${isMet ? points : 0} of ${points}  ${rule} (${found})`,
    );
  }
  console.log(`${Math.min(total, FULL)} of ${FULL} points`);
  Deno.exit(all.every(({ isMet }) => isMet) ? 0 : 1);
}
