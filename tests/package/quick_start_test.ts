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

/** What the programs say, with whatever punctuation a runtime prints objects. */
function words(said: string): string {
  return said.replaceAll(/["'{},]/g, "").replaceAll(/\s+/g, " ");
}

Deno.test("The first example of the README runs from the packed module on each runtime", async (t) => {
  await using project = await Project.make();
  await project.write("first.ts", await block("README.md", "ts"));
  await project.write("first.mjs", await block("docs/quick-start.md", "js"));
  const runs: [runtime: string, program: string, args: string[]][] = [
    ["Deno", Deno.execPath(), [
      "run",
      "--node-modules-dir=manual",
      "--allow-net=127.0.0.1",
      "first.ts",
    ]],
    ["Node 24", await install(VERSIONS.node24), ["first.ts"]],
    ["Bun", await install(VERSIONS.bun), ["first.ts"]],
    ["Node 22", await install(VERSIONS.node22), ["first.mjs"]],
  ];
  for (const [runtime, program, args] of runs) {
    await t.step(runtime, async () => {
      const { success, said } = await project.run(program, args);
      assert(success, said);
      assert(/found: name: \S+ symbol: INFY quantity: 1 executed: 1\b/.test(words(said)), said);
      assert(/tick: symbol: INFY last: 1500/.test(words(said)), said);
    });
  }
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
