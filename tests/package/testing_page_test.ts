import { assert, assertEquals } from "@std/assert";
import { fileURLToPath } from "node:url";
import { HTTP_FAULTS } from "../../testing.ts";
import { Project } from "../../tools/pack.ts";
import { install, modules } from "../../tools/programs.ts";
import { VERSIONS } from "../../tools/versions.ts";

const page = await Deno.readTextFile(new URL("../../docs/testing.md", import.meta.url));

/** The blocks of the page by the file that their first line names. */
const files = new Map(
  [...page.matchAll(/^```ts ignore\n(\/\/ ([\w.]+).*?)^```/gms)].map(([, code, name]) =>
    [name, code] as const
  ),
);

Deno.test("docs/testing.md: each test runs in the runner that its heading names, from the packed module", async (t) => {
  await using project = await Project.make();
  for (const [name, code] of files) await project.write(name, code);
  assertEquals([...files.keys()], ["trader.ts", "order_test.ts", "feed.test.ts", "limit.test.ts"]);

  const manual = ["--node-modules-dir=manual", "-A", "--no-check"];
  await t.step("Deno.test", async () => {
    const { success, said } = await project.run(Deno.execPath(), [
      "test",
      ...manual,
      "order_test.ts",
    ]);
    assert(success && /\b1 passed\b/.test(said), said);
  });
  for (const runtime of ["node24", "node22"] as const) {
    await t.step(`node:test on ${runtime}`, async () => {
      const node = await install(VERSIONS[runtime]);
      const { success, said } = await project.run(node, ["--test", "feed.test.ts"]);
      assert(success && /\bpass 1\b/.test(said), said);
    });
  }
  await t.step("bun test", async () => {
    const bun = await install(VERSIONS.bun);
    const { success, said } = await project.run(bun, ["test", "feed.test.ts"]);
    assert(success && /\b1 pass\b/.test(said), said);
  });
  await t.step("vitest", async () => {
    const installed = await modules(["vitest@5.1.1"], "vitest");
    const vitest = new URL("vitest/", installed);
    await Deno.symlink(vitest, new URL("node_modules/vitest", project.home), { type: "dir" });
    const { success, said } = await project.run(await install(VERSIONS.node24), [
      fileURLToPath(new URL("vitest.mjs", vitest)),
      "run",
      "limit.test.ts",
    ]);
    assert(success && /\b1 passed\b/.test(said), said);
  });
});

Deno.test("docs/testing.md lists every fault of a request, with how often the venue executes it", () => {
  const rows = [...page.matchAll(/^\| `"([\w-]+)"` +\| +(\w+) \|/gm)].map(([, name, times]) =>
    [name, ["never", "once", "twice"].indexOf(times)] as const
  );
  assertEquals(
    rows,
    Object.entries(HTTP_FAULTS).map(([name, { executes }]) => [name, executes] as const),
  );
});

Deno.test("docs/testing.md: an order of unknown fate is tested in less than 40 lines", () => {
  const lines = files.get("order_test.ts")!.trimEnd().split("\n").length;
  assert(lines < 40, `${lines} lines`);
});
