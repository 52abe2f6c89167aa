import { assert, assertEquals, assertMatch, assertNotEquals } from "@std/assert";
import { layOut } from "../../tools/deno.ts";

const tool = new URL("../../tools/deno.ts", import.meta.url).href;

/** Runs `deno eval` through the tool, with a `JSR_URL` of the user's. */
function start(
  code: string,
  env: Record<string, string> = {},
  args: string[] = [],
): Deno.ChildProcess {
  return new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", tool, "eval", code, ...args],
    env: { JSR_URL: "file:///a/mirror/", NO_COLOR: "1", ...env },
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
}

Deno.test("tools/deno.ts passes the exit code, the arguments and the three streams", async () => {
  const child = start(
    `
    const text = await new Response(Deno.stdin.readable).text();
    console.log(text, Deno.args);
    Deno.exit(42);
  `,
    {},
    ["a b", "c"],
  );
  const writer = child.stdin.getWriter();
  await writer.write(new TextEncoder().encode("from stdin"));
  await writer.close();
  const { code, stdout } = await child.output();
  assertEquals(code, 42);
  assertEquals(new TextDecoder().decode(stdout), 'from stdin [ "a b", "c" ]\n');
});

Deno.test("tools/deno.ts uses a JSR_URL that is set, and says so in one line", async () => {
  const child = start(`console.log(Deno.env.get("JSR_URL"))`);
  await child.stdin.close();
  const { stdout, stderr } = await child.output();
  assertEquals(new TextDecoder().decode(stdout), "file:///a/mirror/\n");
  assertMatch(
    new TextDecoder().decode(stderr),
    /^@std: JSR_URL is set.*file:\/\/\/a\/mirror\/.*\n$/,
  );
});

Deno.test("tools/deno.ts reaches loopback without a proxy", async () => {
  const server = Deno.serve(
    { port: 0, hostname: "127.0.0.1", onListen() {} },
    () => new Response("direct"),
  );
  const child = start(
    `console.log(await (await fetch("http://127.0.0.1:${server.addr.port}/")).text(), Deno.env.get("NO_PROXY"))`,
    { HTTP_PROXY: "http://127.0.0.1:1/", NO_PROXY: "intranet.example" },
  );
  await child.stdin.close();
  const { stdout } = await child.output();
  assertEquals(new TextDecoder().decode(stdout), "direct intranet.example,127.0.0.1,localhost\n");
  await server.shutdown();
});

Deno.test({
  name: "tools/deno.ts passes a signal on, and a death by signal is a failure",
  ignore: Deno.build.os === "windows",
  async fn() {
    const child = start(`console.log("ready"); setTimeout(() => {}, 60_000);`);
    const reader = child.stdout.getReader();
    assertEquals(new TextDecoder().decode((await reader.read()).value), "ready\n");
    child.kill("SIGTERM");
    const { success, code } = await child.status;
    assert(!success);
    assertEquals(code, 128 + 15);
    assert((await reader.read()).done); // the child is gone as well: its end of the pipe is closed
    await child.stdin.close();
    await child.stderr.cancel();
  },
});

Deno.test("layOut() writes what JSR would serve, checksums included, in a folder named by its content", async () => {
  const home = await layOut();
  assertEquals(await layOut(), home);
  const names = [];
  for await (const { name } of Deno.readDir(new URL("@std/", home))) names.push(name);
  assertEquals(names.sort(), ["assert", "async", "testing"]);
  for (const name of names) {
    const folder = new URL(`@std/${name}/`, home);
    const read = async (path: string) => JSON.parse(await Deno.readTextFile(new URL(path, folder)));
    const { latest, versions } = await read("meta.json");
    assert(latest in versions);
    const { manifest, exports } = await read(`${latest}_meta.json`);
    assertNotEquals(Object.keys(exports).length, 0);
    assertEquals(
      Object.keys(manifest).sort(),
      Object.values<string>(exports).map((path) => path.slice(1)).sort(),
    );
    for (
      const [path, { size, checksum }] of Object.entries<{ size: number; checksum: string }>(
        manifest,
      )
    ) {
      const bytes = await Deno.readFile(new URL(latest + path, folder));
      assertEquals(bytes.length, size);
      const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
      assertEquals(checksum, `sha256-${hex(hash)}`);
    }
  }
});

function hex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
