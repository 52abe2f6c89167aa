import { assert, assertEquals, assertMatch } from "@std/assert";

const demo = new URL("../../../examples/demo.ts", import.meta.url).pathname;

async function run(
  permissions: string[],
  args: string[],
  env: Record<string, string> = {},
): Promise<{ code: number; out: string; errors: string }> {
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "--no-prompt", ...permissions, demo, "binance", ...args],
    env: { NO_COLOR: "1", ...env },
  }).output();
  const [out, errors] = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes));
  return { code, out, errors };
}

Deno.test("the Binance demo survives its faults with exit 0, allowed nothing but loopback", async () => {
  const { code, out, errors } = await run(["--allow-net=127.0.0.1"], ["--seconds", "6"]);
  assertEquals(code, 0, out + errors);
  assert(!out.includes("✗"), out);
  assertMatch(out, /✓ 6 faults survived: [23] reconnects/);
  assertMatch(out, /gap noticed, loading a new snapshot\n(.*\n)*.*✓ → complete again/);
  assertMatch(out, /answers 503 \(-1007\), its fate is unknown\n.*found by its newClientOrderId/);
  assertMatch(out, /✓ → user data stream tells trade 2, then FILLED/);
  assertMatch(out, /told 429, Retry-After 1.0 s.*\n(.*\n)*.*✓ → answered/);
  assertMatch(out, /✓ 3 of 3 orders executed, each once, .* the user data stream told what/);
  assertMatch(out, /✓ 3 of 3 books equal the venue's in the end, level by level/);
});

Deno.test("the Binance demo needs no more than the venue's two data hosts, and says that it cannot reach them", async () => {
  const live = ["--allow-net=data-api.binance.vision,data-stream.binance.vision"];
  const offline = { HTTPS_PROXY: "http://127.0.0.1:9", HTTP_PROXY: "", NO_PROXY: "" };
  const { code, errors } = await run(live, ["--live", "--seconds", "1"], offline);
  assertEquals(code, 1);
  assertMatch(
    errors,
    /Cannot reach Binance: Cannot GET https:\/\/data-api\.binance\.vision\/api\/v3\/time: .*; without --live/,
  );
});
