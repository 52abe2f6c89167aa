/**
 * Runs the benchmarks one after the other, each in a process of its own:
 *
 *     deno task bench            # every bench/*_bench.ts
 *     deno task bench throttler  # bench/throttler_bench.ts
 *
 * Exits with 1 if a benchmark did: a benchmark that asserts a limit fails where it is exceeded.
 *
 * @module
 */

const folder = new URL("../bench/", import.meta.url);
const suffix = "_bench.ts";

const all: string[] = [];
for await (const { name } of Deno.readDir(folder)) {
  if (name.endsWith(suffix)) all.push(name.slice(0, -suffix.length));
}
const wanted = Deno.args.length > 0 ? Deno.args : all.sort();
const unknown = wanted.filter((name) => !all.includes(name));
if (unknown.length > 0) {
  console.error(
    `Cannot run the benchmark ${unknown.join(", ")}: there are ${all.sort().join(", ")}`,
  );
  Deno.exit(2);
}

const failed: string[] = [];
for (const name of wanted) {
  console.log(`\n# ${name}`);
  const file = new URL(name + suffix, folder).href;
  const { success } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--v8-flags=--expose-gc", file],
  }).spawn().status;
  if (!success) failed.push(name);
}
if (failed.length > 0) {
  console.error(`\nFailed: ${failed.join(", ")}`);
  Deno.exit(1);
}
