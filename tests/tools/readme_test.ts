import { assert, assertEquals } from "@std/assert";
import config from "../../deno.json" with { type: "json" };
import { LEFT_OUT, readmeCommands, steps } from "../../tools/ok.ts";

const root = new URL("../../", import.meta.url);

Deno.test("README's two commands are tasks, and .ci/run runs them as the README writes them", async () => {
  const commands = await readmeCommands();
  assertEquals([...commands.values()], ["npx -y deno task demo", "npx -y deno task test"]);
  for (const task of commands.keys()) assertEquals(steps("").get(task), ["task", task]);
  const ci = await Deno.readTextFile(new URL(".ci/run", root));
  assert(/^exec npx --yes deno@\S+ task ok --as-readme\b/m.test(ci));
});

Deno.test("deno task ok runs every test task that LEFT_OUT does not name", () => {
  const tests = Object.keys(config.tasks).filter((task) => /^test\b/.test(task));
  const run = [...steps("").keys()].filter((step) => /^test\b/.test(step));
  assertEquals([...run, ...Object.keys(LEFT_OUT)].sort(), tests.sort());
  for (const name of steps("").keys()) {
    assert(name in config.tasks || name === "fmt" || name === "unchanged", `${name} is no task`);
  }
});

Deno.test("Every task that README, CONTRIBUTING and docs/ name is there", async () => {
  const files = ["README.md", "CONTRIBUTING.md", "examples/README.md"];
  for await (const { name } of Deno.readDir(new URL("docs/", root))) {
    if (name.endsWith(".md")) files.push(`docs/${name}`);
  }
  let named = 0;
  for (const file of files) {
    const text = await Deno.readTextFile(new URL(file, root));
    for (const [, task] of text.matchAll(/deno task ([a-z][a-z0-9:]*)/g)) {
      assert(task in config.tasks, `${file} names the task ${task}`);
      named++;
    }
  }
  assert(named > 10);
});

Deno.test("README and docs/ link to files that are there", async () => {
  const files = [
    "README.md",
    "CONTRIBUTING.md",
    "SECURITY.md",
    "CHANGELOG.md",
    "examples/README.md",
  ];
  for await (const { name } of Deno.readDir(new URL("docs/", root))) {
    if (name.endsWith(".md")) files.push(`docs/${name}`);
  }
  for (const file of files) {
    const text = await Deno.readTextFile(new URL(file, root));
    for (const [, target] of text.matchAll(/\]\((?!https?:|#)([^)#]+)[^)]*\)/g)) {
      const there = await Deno.stat(new URL(target, new URL(file, root))).then(
        () => true,
        () => false,
      );
      assert(there, `${file} links to ${target}`);
    }
  }
});
