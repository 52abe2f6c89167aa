/**
 * Lints the documentation of the exported modules: `deno task doc`.
 *
 * @module
 */

import config from "../deno.json" with { type: "json" };

const { code } = await new Deno.Command(Deno.execPath(), {
  args: ["doc", "--lint", ...Object.values(config.exports)],
  cwd: new URL("../", import.meta.url),
}).spawn().status;
Deno.exit(code);
