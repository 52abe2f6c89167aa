import { assert, assertEquals, assertMatch } from "@std/assert";

const demo = new URL("../../examples/demo.ts", import.meta.url).pathname;

function start(args: string[], env: Record<string, string> = {}): Deno.ChildProcess {
  return new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", demo, ...args],
    env,
    stdout: "piped",
    stderr: "piped",
  }).spawn();
}

Deno.test("the demo survives its faults, exits with 0 and prints plain lines into a pipe", async () => {
  const { code, stdout, stderr } = await start(["kraken", "--seconds", "3"]).output();
  const text = new TextDecoder().decode(stdout);
  assertEquals(code, 0, text + new TextDecoder().decode(stderr));
  assertMatch(text, /✓ 6 faults survived: \d+ reconnects/);
  assert(!text.includes("✗"), text);
  // deno-lint-ignore no-control-regex
  assert(!/\x1b/.test(text), "no escapes");
});

Deno.test({
  name: "the demo ends at once on Ctrl-C",
  ignore: Deno.build.os === "windows",
  async fn() {
    const child = start(["--seconds", "60"]);
    const reader = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
    let text = (await reader.read()).value ?? "";
    child.kill("SIGINT");
    for (let next; !(next = await reader.read()).done;) text += next.value;
    assertEquals((await child.status).code, 130);
    await child.stderr.cancel();
    assertMatch(text, /Interrupted after \d+\.\d s: nothing was checked/);
  },
});

Deno.test("the demo says clearly that the real venue cannot be reached", async () => {
  const env = { HTTPS_PROXY: "http://127.0.0.1:9", HTTP_PROXY: "", NO_PROXY: "" };
  const { code, stderr } = await start(["--live"], env).output();
  assertEquals(code, 1);
  assertMatch(
    new TextDecoder().decode(stderr),
    /Cannot reach Kraken: .*; without --live the demo needs no network/,
  );
});

Deno.test("the demo explains its arguments where they make no sense", async () => {
  for (const args of [["nasdaq"], ["toString"], ["--seconds", "0"], ["--seed"]]) {
    const { code, stderr } = await start(args).output();
    assertEquals(code, 2, args.join(" "));
    assertMatch(new TextDecoder().decode(stderr), /Usage: deno task demo \[kraken/);
  }
});
