import { assertEquals } from "@std/assert";
import { detectRuntime, RUNTIME, type Runtime, type RuntimeName } from "../../platform/runtime.ts";

const node = { versions: { node: "22.23.3" } };
const browser = { userAgent: "Mozilla/5.0 (X11; Linux x86_64) Chrome/156.0.0.0 Safari/537.36" };
const firefox = { userAgent: "Mozilla/5.0 (X11; Linux x86_64; rv:153.0) Gecko/20100101" };

/** Global objects as they are met, and what they are. */
const SCOPES: Record<string, [scope: object, name: RuntimeName, version?: string]> = {
  "Deno, with the process of Node": [
    { navigator: { userAgent: "Deno/2.9.6" }, Deno: { version: { deno: "2.9.6" } }, process: node },
    "deno",
    "2.9.6",
  ],
  "Node": [{ navigator: { userAgent: "Node.js/22" }, process: node }, "node", "22.23.3"],
  "Node without a navigator": [{ process: node }, "node", "22.23.3"],
  "Node with the shim of Deno": [
    {
      navigator: { userAgent: "Node.js/22" },
      Deno: { version: { deno: "2.9.6" } },
      process: node,
    },
    "node",
    "22.23.3",
  ],
  "Bun, with the process of Node": [
    {
      navigator: { userAgent: "Bun/1.4.5" },
      Bun: { version: "1.4.5" },
      process: { versions: { node: "24.3.0", bun: "1.4.5" } },
    },
    "bun",
    "1.4.5",
  ],
  "Bun without a navigator": [{ Bun: { version: "1.2.0" }, process: node }, "bun", "1.2.0"],
  "Deno without a navigator": [{ Deno: { version: { deno: "2.4.0" } } }, "deno", "2.4.0"],
  "workerd": [{ navigator: { userAgent: "Cloudflare-Workers" } }, "workerd", ""],
  "workerd with the process of Node": [
    { navigator: { userAgent: "Cloudflare-Workers" }, process: node },
    "workerd",
    "",
  ],
  "Chromium": [{ navigator: browser, window: {} }, "unknown"],
  "Firefox": [{ navigator: firefox }, "unknown"],
  "Chromium with a small process": [{ navigator: browser, process: { env: {} } }, "unknown"],
  "Chromium with a process that says Node": [{ navigator: browser, process: node }, "unknown"],
  "Chromium with a shim of Deno": [
    { navigator: browser, Deno: { version: { deno: "2.9.6" } } },
    "unknown",
  ],
  "Chromium with a shim of Bun": [{ navigator: browser, Bun: { version: "1.4.5" } }, "unknown"],
  "React Native with a small process": [
    { navigator: { product: "ReactNative" }, process: { env: {}, versions: {} } },
    "unknown",
  ],
  "an edge runtime": [{ EdgeRuntime: "edge-runtime" }, "unknown"],
  "nothing": [{}, "unknown"],
  "nonsense": [
    { navigator: null, Deno: true, Bun: null, process: { versions: { node: 22 } } },
    "unknown",
  ],
};

for (const [what, [scope, name, version = ""]] of Object.entries(SCOPES)) {
  Deno.test(`detectRuntime() takes ${what} for ${name}`, () => {
    assertEquals(detectRuntime(scope), { name, version });
  });
}

Deno.test("RUNTIME is the runtime of this realm", () => {
  const runtime: Runtime = { name: "deno", version: Deno.version.deno };
  assertEquals(RUNTIME, runtime);
});
