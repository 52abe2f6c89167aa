import { assert, assertStringIncludes } from "@std/assert";
import { hasRedis } from "../server.ts";

Deno.test({
  name: "examples/shared_limit.ts: two processes stay within one limit",
  ignore: !hasRedis,
  async fn() {
    const example = new URL("../../../examples/shared_limit.ts", import.meta.url).href;
    const { success, stdout } = await new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", "--no-check", example],
      stderr: "inherit",
    }).output();
    const text = new TextDecoder().decode(stdout);
    assertStringIncludes(text, "fullest second at the venue: 10 calls, 10 are allowed");
    assert(success);
  },
});
