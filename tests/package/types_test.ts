import { assertEquals } from "@std/assert";
import config from "../../deno.json" with { type: "json" };
import { Project } from "../../tools/pack.ts";
import { modules } from "../../tools/programs.ts";
import { fileURLToPath } from "node:url";

/** The compiler and the types of Node, as npm brings them. */
const PACKAGES = ["typescript@7.0.2", "@types/node@22.20.5"];

const root = new URL("../../", import.meta.url);

/** Uses every option of a session and of a call as a program with strict types does. */
const OPTIONS = `
import { AbstractBroker } from "@aio-trader/core/broker";
import { type RequestOptions, Session, type SessionOptions } from "@aio-trader/core/session";
import { Throttler } from "@aio-trader/core/throttler";

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
void [number, headers, Own];
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

/** The program of the README. */
async function first(): Promise<string> {
  const text = await Deno.readTextFile(new URL("README.md", root));
  return text.match(/^```ts\n(.*?)^```/ms)![1];
}

Deno.test("The packed module compiles under strict options, without the DOM, in both ways to find modules", async (t) => {
  const installed = await modules(PACKAGES, "tsc");
  await using project = await Project.make();
  await project.write("options.ts", OPTIONS);
  await project.write("modules.ts", MODULES);
  await project.write("first.ts", await first());
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
