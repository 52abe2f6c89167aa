import { assertEquals } from "@std/assert";
import { bundle, install } from "../../tools/programs.ts";
import { VERSIONS } from "../../tools/versions.ts";

Deno.test("sim: the same seed gives the same trace on Deno, Node 22, Node 24 and Bun", async () => {
  const home = await Deno.makeTempDir({ prefix: "aio-trader-trace-" });
  try {
    const file = `${home}/trace.mjs`;
    await bundle(new URL("../sim/trace.ts", import.meta.url), file);
    const print = async (program: string, args: string[]) => {
      const { stdout } = await new Deno.Command(program, { args: [...args, file] }).output();
      return new TextDecoder().decode(stdout);
    };
    const own = await print(Deno.execPath(), ["run", "-A", "--no-config"]);
    assertEquals(own.trim().split("\n").length, 60);
    for (const runtime of Object.values(VERSIONS)) {
      assertEquals(await print(await install(runtime), []), own, runtime);
    }
  } finally {
    await Deno.remove(home, { recursive: true });
  }
});
