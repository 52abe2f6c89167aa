import { assert, assertEquals } from "@std/assert";
import { Project } from "../../tools/pack.ts";
import { install } from "../../tools/programs.ts";
import { VERSIONS } from "../../tools/versions.ts";

const root = new URL("../../", import.meta.url);

/** The first block of a language in a page. */
async function block(page: string, language: string): Promise<string> {
  const text = await Deno.readTextFile(new URL(page, root));
  const [, code] = text.match(new RegExp(`^\`\`\`${language}\n(.*?)^\`\`\``, "ms")) ?? [];
  assert(code, `${page} has no block of ${language}`);
  return code;
}

/** The arguments of the last command of each section of docs/quick-start.md, which runs the program. */
async function runCommands(): Promise<Map<string, string[]>> {
  const text = await Deno.readTextFile(new URL("docs/quick-start.md", root));
  const sections = text.matchAll(/^## (.+)\n[^#]*?^```sh\n(?:.*\n)*?(?:deno|node|bun) (.+)\n```/gm);
  return new Map([...sections].map(([, title, args]) => [title, args.split(" ")]));
}

/** What the programs say, with whatever punctuation a runtime prints objects. */
function words(said: string): string {
  return said.replaceAll(/["'{},]/g, "").replaceAll(/\s+/g, " ");
}

Deno.test("The first example of the README runs from the packed module on each runtime", async (t) => {
  await using project = await Project.make();
  await project.write("first.ts", await block("README.md", "ts"));
  await project.write("first.mjs", await block("docs/quick-start.md", "js"));
  const programs = {
    "Deno 2.8 or later": Deno.execPath(),
    "Node 24": await install(VERSIONS.node24),
    "Bun 1.4 or later": await install(VERSIONS.bun),
    "Node 22": await install(VERSIONS.node22),
  };
  const commands = await runCommands();
  assertEquals([...commands.keys()], Object.keys(programs));
  const oldest = ["Deno 2.8 or later", await install(VERSIONS.deno28)] as const;
  for (const [runtime, program] of [...Object.entries(programs), oldest]) {
    const args = commands.get(runtime)!;
    await t.step(
      `${runtime}: ${program === oldest[1] ? "2.8.0, " : ""}${args.join(" ")}`,
      async () => {
        const { success, said } = await project.run(program, args);
        assert(success, said);
        assert(/found: name: \S+ symbol: INFY quantity: 1 executed: 1\b/.test(words(said)), said);
        assert(/tick: symbol: INFY last: 1500/.test(words(said)), said);
      },
    );
  }
});

Deno.test("The first example of the README has at most 60 lines", async () => {
  const lines = (await block("README.md", "ts")).trimEnd().split("\n").length;
  assert(lines <= 60, `${lines} lines`);
});

Deno.test("docs/quick-start.md names the program of the README by the README's own heading", async () => {
  const page = await Deno.readTextFile(new URL("docs/quick-start.md", root));
  const readme = await Deno.readTextFile(new URL("README.md", root));
  const [, anchor] = page.match(/README\.md#([\w-]+)\)/) ?? [];
  const anchors = [...readme.matchAll(/^## (.+)$/gm)].map(([, title]) =>
    title.toLowerCase().replaceAll(/[^\w -]/g, "").replaceAll(" ", "-")
  );
  assertEquals(anchors.includes(anchor), true, anchor);
});
