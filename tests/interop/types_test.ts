import { assertEquals } from "@std/assert";

/** The compiler and the types of Node, as npm brings them. */
const PACKAGES = ["typescript@7.0.2", "@types/node@22.20.5"];

const root = new URL("../../", import.meta.url);
const home = new URL(`.cache/types/${PACKAGES.join("+").replaceAll("/", "_")}/`, root);
const FOLDERS = ["", "common/", "platform/", "session/", "throttler/"];

/** What `delay` of @std/async declares. */
const DELAY = `export declare function delay(
  ms: number,
  options?: { signal?: AbortSignal; persistent?: boolean },
): Promise<void>;`;

/** Uses every option of a session and of a call as a program with strict types does. */
const PROGRAM = `
import { AbstractBroker } from "./out/lib/broker.js";
import { type RequestOptions, Session, type SessionOptions } from "./out/lib/session.js";
import { Throttler } from "./out/lib/throttler.js";

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

const STRICT = { target: "esnext", module: "esnext", moduleResolution: "bundler", strict: true };

async function run(program: string, ...args: string[]): Promise<string> {
  const command = new Deno.Command(program, { args, cwd: home });
  const { stdout, stderr } = await command.output();
  return new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr);
}

async function compile(name: string, config: object): Promise<string> {
  await Deno.writeTextFile(new URL(name, home), JSON.stringify(config));
  return await run("node_modules/.bin/tsc", "-p", name);
}

/** Copies the library, and makes declarations of it as a package on npm holds them. */
async function declarations(): Promise<void> {
  await Deno.remove(new URL("lib/", home), { recursive: true }).catch(() => {});
  await Deno.remove(new URL("out/", home), { recursive: true }).catch(() => {});
  for (const folder of FOLDERS) {
    await Deno.mkdir(new URL(`lib/${folder}`, home), { recursive: true });
    for await (const { name } of Deno.readDir(new URL(folder, root))) {
      if (!name.endsWith(".ts")) continue;
      await Deno.copyFile(new URL(folder + name, root), new URL(`lib/${folder}${name}`, home));
    }
  }
  await Deno.writeTextFile(new URL("delay.ts", home), DELAY);
  const said = await compile("emit.json", {
    compilerOptions: {
      ...STRICT,
      lib: ["esnext", "dom", "dom.iterable", "dom.asynciterable"],
      types: [],
      skipLibCheck: true,
      declaration: true,
      emitDeclarationOnly: true,
      allowImportingTsExtensions: true,
      rootDir: ".",
      outDir: "out",
      paths: { "@std/async/delay": ["./delay.ts"] },
    },
    files: ["lib/broker.ts", "lib/session.ts", "lib/throttler.ts"],
  });
  assertEquals(said, "");
  for (const folder of FOLDERS) {
    for await (const { name } of Deno.readDir(new URL(`out/lib/${folder}`, home))) {
      if (!name.endsWith(".d.ts")) continue;
      const file = new URL(`out/lib/${folder}${name}`, home);
      const text = await Deno.readTextFile(file);
      await Deno.writeTextFile(file, text.replace(/(from\s*"\.[^"]*)\.ts"/g, '$1.js"'));
    }
  }
}

Deno.test("the types of session, broker and throttler need no DOM, and every option may be undefined", async () => {
  await Deno.mkdir(home, { recursive: true });
  await Deno.writeTextFile(new URL("package.json", home), "{}");
  const npm = Deno.build.os === "windows" ? "npm.cmd" : "npm";
  await run(npm, "install", "--no-audit", "--no-fund", "--loglevel=error", ...PACKAGES);
  await declarations();
  await Deno.writeTextFile(new URL("program.ts", home), PROGRAM);
  const said = await compile("program.json", {
    compilerOptions: {
      ...STRICT,
      lib: ["esnext"],
      types: ["node"],
      exactOptionalPropertyTypes: true,
      skipLibCheck: false,
      noEmit: true,
    },
    files: ["program.ts"],
  });
  assertEquals(said, "");
});
