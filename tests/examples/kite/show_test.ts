import { assert, assertEquals, assertMatch } from "@std/assert";

const demo = new URL("../../../examples/demo.ts", import.meta.url).pathname;

async function run(
  permissions: string[],
  args: string[],
  env: Record<string, string> = {},
): Promise<{ code: number; out: string; errors: string }> {
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "--no-prompt", ...permissions, demo, "kite", ...args],
    env: { NO_COLOR: "1", ...env },
  }).output();
  const [out, errors] = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes));
  return { code, out, errors };
}

/** What the example needs for the real venue: as the README has it. */
const LIVE = [
  "--allow-net=api.kite.trade,ws.kite.trade",
  "--allow-env=KITE_API_KEY,KITE_ACCESS_TOKEN",
];

/** Nothing is to be asked of the real venue. */
const OFFLINE = { HTTPS_PROXY: "http://127.0.0.1:9", HTTP_PROXY: "", NO_PROXY: "" };

Deno.test("the Kite demo survives its faults with exit 0, allowed nothing but loopback", async () => {
  const { code, out, errors } = await run(["--allow-net=127.0.0.1"], ["--seconds", "6"]);
  assertEquals(code, 0, out + errors);
  assert(!out.includes("✗"), out);
  assertMatch(out, /✓ 6 faults survived: 3 reconnects/);
  assertMatch(out, /told 429: nothing was done, repeated .*\n(.*\n)*.*✓ → answered/);
  assertMatch(
    out,
    /executes it and answers 400, its fate is unknown\n.* → found by its tag, placed once: \d+/,
  );
  assertMatch(
    out,
    /order 3: .*\n.* → placed: \d+\n.*✓ → feed tells OPEN, then (UPDATE, then )?COMPLETE/,
  );
  assertMatch(out, /✓ 3 of 3 orders executed, each once, also the one whose answer was lost/);
  assertMatch(out, /✓ 1 of 1 frames that were cut short caught/);
  assertMatch(out, /✓ 9 of 9 instruments equal the venue's in the end, price and depth/);
});

Deno.test("the Kite demo needs a key and a token for the real venue, and says so", async () => {
  const halves: Record<string, string>[] = [{}, { KITE_API_KEY: "k" }, { KITE_ACCESS_TOKEN: "t" }];
  for (const env of halves) {
    const { code, errors } = await run(LIVE, ["--live"], { ...OFFLINE, ...env });
    assertEquals(code, 1);
    assertMatch(errors, /Cannot log in to Kite: wanted KITE_API_KEY and KITE_ACCESS_TOKEN/);
  }
});

Deno.test("the Kite demo asks for no other host, and says that the venue cannot be reached", async () => {
  const login = { KITE_API_KEY: "the-key", KITE_ACCESS_TOKEN: "the-token" };
  const { code, errors } = await run(LIVE, ["--live"], { ...OFFLINE, ...login });
  assertEquals(code, 1);
  assertMatch(
    errors,
    /Cannot reach Kite: Cannot GET https:\/\/api\.kite\.trade\/user\/profile: the venue was not reached/,
  );
  assert(!/the-key|the-token/.test(errors), errors);
});
