/**
 * The runtime that the module runs on. Internal.
 *
 * @module
 */

/** A runtime by name. `"unknown"` stands for every other one, browsers among them. */
export type RuntimeName = "deno" | "node" | "bun" | "workerd" | "unknown";

/** A runtime and its version. */
export interface Runtime {
  /** The name of the runtime. */
  readonly name: RuntimeName;
  /** The version of the runtime, or `""` if unknown. */
  readonly version: string;
}

/** The signs of a runtime: the begin of the user agent, and the place of the version. */
interface Signs {
  name: RuntimeName;
  agent: RegExp;
  version?: string[];
}

/** Node comes last: Deno and Bun have the `process` of Node, and workerd may have one. */
const RUNTIMES: Signs[] = [
  { name: "deno", agent: /^Deno\//, version: ["Deno", "version", "deno"] },
  { name: "bun", agent: /^Bun\//, version: ["Bun", "version"] },
  { name: "workerd", agent: /^Cloudflare-Workers$/ },
  { name: "node", agent: /^Node\.js\//, version: ["process", "versions", "node"] },
];

/**
 * Tells the runtime by two signs that must agree: the user agent and the version. Polyfills of
 * `process` or `Deno` in a browser fail the first sign, and so does the window of Electron. Without
 * a user agent (Node's can be turned off) the version decides.
 *
 * @param scope The global object, or one like it.
 * @returns The runtime.
 */
export function detectRuntime(scope: object): Runtime {
  const agent = read(scope, ["navigator", "userAgent"]);
  for (const { name, agent: pattern, version: path } of RUNTIMES) {
    if (agent !== undefined && !pattern.test(agent)) continue;
    if (!path && agent !== undefined) return { name, version: "" };
    const version = path && read(scope, path);
    if (version !== undefined) return { name, version };
  }
  return { name: "unknown", version: "" };
}

/** The runtime of this realm. */
export const RUNTIME: Runtime = detectRuntime(globalThis);

/** Reads a string at the end of a path of properties. */
function read(scope: object, path: string[]): string | undefined {
  let value: unknown = scope;
  for (const key of path) value = (value as Record<string, unknown> | null | undefined)?.[key];
  return typeof value === "string" ? value : undefined;
}
