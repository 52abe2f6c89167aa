import { assert, assertEquals } from "@std/assert";
import { fileURLToPath } from "node:url";
import config from "../../deno.json" with { type: "json" };
import { Project } from "../../tools/pack.ts";
import { modules } from "../../tools/programs.ts";

const root = new URL("../../", import.meta.url);

/** The modules that a page or a worker may import: all but those for Node, Deno and Bun. */
const NAMES = Object.keys(config.exports)
  .map((name) => name.slice(2))
  .filter((name) => name !== "testing");

/** Bytes of a text, compressed as web servers do. */
async function gzipped(text: string): Promise<number> {
  const stream = new Blob([text]).stream().pipeThrough(new CompressionStream("gzip"));
  return (await new Response(stream).arrayBuffer()).byteLength;
}

/** The sizes in the table of the README, in kB, by module. */
async function told(): Promise<Map<string, number>> {
  const text = await Deno.readTextFile(new URL("README.md", root));
  const rows = text.matchAll(/^\| `@aio-trader\/core(?:\/([\w-]+))?` *\| *([\d.]+) kB/gm);
  return new Map([...rows].map(([, name = "", size]) => [name, Number(size)]));
}

Deno.test("Each packed module can be bundled by esbuild, to the size that the README tells", async (t) => {
  const esbuild = fileURLToPath(
    new URL(".bin/esbuild", await modules(["esbuild@0.28.2"], "esbuild")),
  );
  await using project = await Project.make();
  const sizes = await told();
  assertEquals([...sizes.keys()].sort(), NAMES.toSorted());
  for (const name of NAMES) {
    const from = name ? `@aio-trader/core/${name}` : "@aio-trader/core";
    await t.step(from, async () => {
      await project.write("entry.js", `export * from ${JSON.stringify(from)};`);
      const args = ["entry.js", "--bundle", "--minify", "--format=esm", "--outfile=out.js"];
      const { success, said } = await project.run(esbuild, args);
      assert(success, said);
      const code = await Deno.readTextFile(new URL("out.js", project.home));
      const kilobytes = await gzipped(code) / 1_000;
      console.log(`${from}: ${kilobytes.toFixed(1)} kB`);
      const told = sizes.get(name)!;
      assert(Math.abs(kilobytes - told) <= told / 10, `${kilobytes} kB, the README tells ${told}`);
      assert(!/from ?"node:/.test(code), "no module of Node is imported");
    });
  }
});

Deno.test("The packed module can be bundled by vite, whole, and the bundle exports what mod.ts does", async () => {
  const vite = fileURLToPath(new URL(".bin/vite", await modules(["vite@8.3.8"], "vite")));
  await using project = await Project.make();
  await project.write("entry.js", 'export * from "@aio-trader/core";');
  await project.write(
    "vite.config.js",
    `export default { build: {
      lib: { entry: "entry.js", formats: ["es"], fileName: "core" },
      target: "es2022",
    } };`,
  );
  const { success, said } = await project.run(vite, ["build", "--logLevel=error"]);
  assert(success, said);
  const [bundled, own] = await Promise.all([
    import(new URL("dist/core.js", project.home).href),
    import("../../mod.ts"),
  ]);
  assertEquals(Object.keys(bundled).sort(), Object.keys(own).sort());
});
