import { assertEquals } from "@std/assert";
import config from "../../deno.json" with { type: "json" };
import { Project } from "../../tools/pack.ts";
import { modules } from "../../tools/programs.ts";
import { fileURLToPath } from "node:url";

/** The compiler and the types of Node, as npm brings them. */
const PACKAGES = ["typescript@7.0.2", "@types/node@22.20.5"];

const root = new URL("../../", import.meta.url);

/** Uses every option of a session, of a call and of a question as a program with strict types does. */
const OPTIONS = `
import { AbstractBroker } from "@aio-trader/core/broker";
import { reconcile } from "@aio-trader/core/reconcile";
import { type RequestOptions, Session, type SessionOptions } from "@aio-trader/core/session";
import { Throttler } from "@aio-trader/core/throttler";
import type { AskOptions } from "@aio-trader/core/websocket-feeder";

const throttler = new Throttler({ limit: 1, period: 1 });
const options: SessionOptions = {
  baseUrl: "https://venue.example", headers: undefined, throttlers: undefined, pause: undefined,
  timeout: undefined, deadline: undefined, closeTimeout: undefined, maxBytes: undefined,
  retry: undefined, sign: undefined, onUnauthorized: undefined, failure: undefined, sync: undefined,
  fetch: undefined, fetchOptions: undefined, onEvent: undefined,
};
const call: RequestOptions<number> = {
  query: undefined, json: undefined, form: undefined, body: undefined, headers: { a: "1" },
  throttlers: [throttler, { throttler, cost: 2 }], cost: undefined, urgent: undefined,
  reconcile: undefined, signal: undefined, timeout: undefined, deadline: undefined,
  maxBytes: undefined, idempotent: undefined, retry: undefined, renew: undefined, parse: undefined,
};
const session = new Session({ ...options, headers: new Headers() });
const number: number = await session.get("x", call);
const headers: Headers = session.headers;
// @ts-expect-error -- headers are not any
new Session({ baseUrl: "https://venue.example", headers: 5 });
class Own extends AbstractBroker {
  constructor() {
    super();
    this.initialiseSession(options);
  }
  override async authorize(): Promise<void> {}
}
const ask: AskOptions = { timeout: undefined, signal: undefined };
const order = await reconcile(async () => 1, { find: () => 1, signal: undefined });
void [number, headers, Own, ask, order];
`;

/** Loads every module that the package exports. */
const MODULES = Object.keys(config.exports)
  .map((name, i) => `import * as m${i} from "@aio-trader/core${name.slice(1)}";\nvoid m${i};`)
  .join("\n");

const STRICT = {
  target: "esnext",
  lib: ["esnext"], // without the DOM
  types: ["node"],
  strict: true,
  exactOptionalPropertyTypes: true,
  noUncheckedIndexedAccess: true,
  erasableSyntaxOnly: true,
  verbatimModuleSyntax: true,
  skipLibCheck: false,
  noEmit: true,
};

/** What programs of the guides use that is no part of the module or of Node. */
const ELSEWHERE = `
declare const Deno: { test(name: string, test: () => Promise<void>): void };
declare module "vitest" {
  export function test(name: string, test: () => Promise<void>): void;
  export function expect(value: unknown): Record<"toBe" | "toEqual", (wanted: unknown) => void>;
}
`;

/** Pages with programs that need other packages or runtimes; `recipes_test.ts` runs those. */
const FOREIGN = /^\/\/ (?:deno|node|bun|pings|main)\.ts$|from "redis"/m;

/** The programs of the README and of the guides, each page in a folder of its own. */
async function* programs(): AsyncGenerator<[path: string, code: string]> {
  const pages = ["README.md"];
  for await (const { name } of Deno.readDir(new URL("docs/", root))) {
    if (name.endsWith(".md")) pages.push(`docs/${name}`);
  }
  for (const page of pages) {
    const text = await Deno.readTextFile(new URL(page, root));
    const blocks = [...text.matchAll(/^```ts(?: ignore)?\n(.*?)^```/gms)].map(([, code]) => code);
    for (const [i, code] of blocks.filter((code) => !FOREIGN.test(code)).entries()) {
      const [, name = `block${i}.ts`] = /^\/\/ ([\w.]+\.ts)\b/.exec(code) ?? [];
      yield [`pages/${page.replaceAll(/\W/g, "_")}/${name}`, code];
    }
  }
}

Deno.test("The packed module compiles under strict options, without the DOM, in both ways to find modules", async (t) => {
  const installed = await modules(PACKAGES, "tsc");
  await using project = await Project.make();
  await project.write("options.ts", OPTIONS);
  await project.write("modules.ts", MODULES);
  const ways = [
    { module: "nodenext", moduleResolution: "nodenext" },
    { module: "esnext", moduleResolution: "bundler" },
  ];
  for (const way of ways) {
    await t.step(way.moduleResolution, async () => {
      const compilerOptions = {
        ...STRICT,
        ...way,
        typeRoots: [fileURLToPath(new URL("@types", installed))],
      };
      await project.write("tsconfig.json", JSON.stringify({ compilerOptions, include: ["*.ts"] }));
      const tsc = fileURLToPath(new URL(".bin/tsc", installed));
      const { success, said } = await project.run(tsc, ["-p", "."]);
      assertEquals([success, said], [true, ""]);
    });
  }
});

Deno.test("The programs of README and guides compile with the packed types, as a Node user has them", async () => {
  const installed = await modules(PACKAGES, "tsc");
  await using project = await Project.make();
  await project.write("elsewhere.d.ts", ELSEWHERE);
  let count = 0;
  for await (const [path, code] of programs()) {
    await project.write(path, code);
    count++;
  }
  assertEquals(count > 20, true, `${count} programs`);
  const compilerOptions = {
    ...STRICT,
    noUncheckedIndexedAccess: false, // a guide knows its own arrays
    exactOptionalPropertyTypes: false,
    module: "nodenext",
    allowImportingTsExtensions: true,
    typeRoots: [fileURLToPath(new URL("@types", installed))],
  };
  const include = ["elsewhere.d.ts", "pages"];
  await project.write("tsconfig.json", JSON.stringify({ compilerOptions, include }));
  const tsc = fileURLToPath(new URL(".bin/tsc", installed));
  const { success, said } = await project.run(tsc, ["-p", "."]);
  assertEquals([success, said], [true, ""]);
});

Deno.test("The packed declarations name every parameter as the sources do", async () => {
  await using project = await Project.make();
  const core = new URL("node_modules/@aio-trader/core/", project.home);
  for await (const file of declarations(core)) {
    // `deno pack` writes `_dts_1: never` for a parameter whose type it cannot see.
    assertEquals(/\b_dts_\w*/.exec(await Deno.readTextFile(file))?.[0], undefined, file.pathname);
  }
});

async function* declarations(folder: URL): AsyncGenerator<URL> {
  for await (const { name, isDirectory } of Deno.readDir(folder)) {
    if (isDirectory) yield* declarations(new URL(`${name}/`, folder));
    else if (name.endsWith(".d.ts")) yield new URL(name, folder);
  }
}
