import { assert, assertEquals } from "@std/assert";
import { fileURLToPath } from "node:url";
import { LoopbackVenue } from "../../testing.ts";
import { Project } from "../../tools/pack.ts";
import { install, modules } from "../../tools/programs.ts";
import { VERSIONS } from "../../tools/versions.ts";
import { selfSigned } from "../runtimes/certificate.ts";

const root = new URL("../../", import.meta.url);

/** Loopback is reached by the proxy too: on Deno and Bun these win over the proxy of a call. */
const NO_EXCEPTION = { NO_PROXY: "", no_proxy: "" };

/** Writes the blocks of a page whose first line names a file into a project. */
async function writeBlocks(project: Project, page: string): Promise<void> {
  const text = await Deno.readTextFile(new URL(page, root));
  for (const [, code, name] of text.matchAll(/^```ts ignore\n(\/\/ ([\w.]+)\n.*?)^```/gms)) {
    await project.write(name, code);
  }
}

/** Makes a package of npm importable in a project. */
async function link(project: Project, name: string, wanted: string): Promise<void> {
  const installed = new URL(`${name}/`, await modules([wanted]));
  await Deno.symlink(installed, new URL(`node_modules/${name}`, project.home), { type: "dir" });
}

/** A listener that hands each connection on. */
class Relay implements Disposable {
  readonly #listener: Deno.Listener;
  readonly port: number;
  /** Connections so far. */
  count = 0;

  constructor(listener: Deno.Listener, target: (from: Deno.Conn) => Promise<number>) {
    this.#listener = listener;
    this.port = (listener.addr as Deno.NetAddr).port;
    void this.#accept(target);
  }

  async #accept(target: (from: Deno.Conn) => Promise<number>): Promise<void> {
    for await (const from of this.#listener) {
      this.count++;
      void (async () => {
        const to = await Deno.connect({ hostname: "127.0.0.1", port: await target(from) });
        await Promise.allSettled([
          from.readable.pipeTo(to.writable),
          to.readable.pipeTo(from.writable),
        ]);
      })().catch(() => {}); // a client that ends a connection in the middle ends the relay of it
    }
  }

  [Symbol.dispose](): void {
    this.#listener.close();
  }
}

/** Reads the head of a CONNECT, accepts it, and returns the port that it asks for. */
async function acceptConnect(from: Deno.Conn): Promise<number> {
  const buffer = new Uint8Array(4_096);
  let head = "";
  while (!head.endsWith("\r\n\r\n")) {
    const length = await from.read(buffer);
    if (length === null) throw new Error("The client hung up");
    head += new TextDecoder().decode(buffer.subarray(0, length));
  }
  const [, port] = /^CONNECT [^ ]*:(\d+) /.exec(head) ?? [];
  await from.write(new TextEncoder().encode("HTTP/1.1 200 OK\r\n\r\n"));
  return Number(port);
}

/** The classes that a page takes for those of its reader. */
const TRADER = `
import { AbstractBroker, WebSocketFeeder } from "@aio-trader/core";
export class Broker extends AbstractBroker {
  constructor(baseUrl) {
    super();
    this.initialiseSession({ baseUrl });
  }
  async authorize() {}
  placeOrder(symbol) {
    return this.session.post("orders", { json: { symbol } });
  }
}
export class Feed extends WebSocketFeeder {
  constructor(url, options) {
    super(options);
    this.url = url;
  }
  endpoint() {
    return this.url;
  }
  request(op, symbols) {
    return symbols;
  }
  receive(frame) {
    this.emit(frame);
  }
}
`;

Deno.test("docs/recipes.md: an order goes through a proxy to a venue with an own certificate authority", async (t) => {
  await using project = await Project.make();
  await writeBlocks(project, "docs/recipes.md");
  await link(project, "undici", "undici@8.13.1");
  const { key, cert } = selfSigned();
  await project.write("ca.pem", cert);

  await using venue = await LoopbackVenue.listen();
  venue.on("POST /orders", (request) => request.json());
  const listen = { hostname: "127.0.0.1", port: 0 };
  using tls = new Relay(
    Deno.listenTls({ ...listen, key, cert }),
    () => Promise.resolve(venue.port),
  );
  using proxy = new Relay(Deno.listen(listen), acceptConnect);
  const addresses = [`https://localhost:${tls.port}`, `http://127.0.0.1:${proxy.port}`, "ca.pem"];

  const node = await install(VERSIONS.node24);
  const runs: [name: string, program: string, args: string[]][] = [
    ["Deno", Deno.execPath(), ["run", "-A", "--no-check", "deno.ts"]],
    ["Node 24", node, ["node.ts"]],
    ["Bun", await install(VERSIONS.bun), ["bun.ts"]],
  ];
  for (const [name, program, args] of runs) {
    await t.step(name, async () => {
      const before = [venue.executed.length, proxy.count];
      const { success, said } = await project.run(program, [...args, ...addresses], NO_EXCEPTION);
      assert(success && /symbol: "?INFY/.test(said.replaceAll("'", "")), said);
      assertEquals([venue.executed.length, proxy.count], before.map((count) => count + 1));
    });
  }
});

/** A feed and an order with a venue whose certificate only the environment makes known. */
const TRUST = `
import process from "node:process";
import { Broker, Feed } from "./trader.ts";
const [port] = process.argv.slice(2);
const broker = new Broker("https://localhost:" + port);
const feed = new Feed("wss://localhost:" + port, { maxRetries: 0 });
try {
  feed.subscribe("INFY");
  const ticks = feed.stream();
  await feed.connect();
  for await (const tick of ticks) {
    console.log("placed", await broker.placeOrder(tick));
    break;
  }
} finally {
  await feed.close();
  await broker.close();
}
`;

Deno.test("docs/recipes.md: the environment makes a certificate authority known to feeds and orders", async (t) => {
  await using project = await Project.make();
  await project.write("trader.ts", TRADER);
  await project.write("trust.ts", TRUST);
  const { key, cert } = selfSigned();
  await project.write("ca.pem", cert);
  await using venue = await LoopbackVenue.listen();
  venue.on("POST /orders", (request) => request.json());
  venue.feed.on((_frame, client) => client.send("INFY"));
  using tls = new Relay(
    Deno.listenTls({ hostname: "127.0.0.1", port: 0, key, cert }),
    () => Promise.resolve(venue.port),
  );
  const page = await Deno.readTextFile(new URL("docs/recipes.md", root));
  const runs: [words: string, program: string, args: string[]][] = [
    ["DENO_CERT=ca.pem deno run", Deno.execPath(), ["run", "-A", "--no-check"]],
    ["NODE_EXTRA_CA_CERTS=ca.pem node", await install(VERSIONS.node24), []],
    ["NODE_EXTRA_CA_CERTS=ca.pem bun", await install(VERSIONS.bun), []],
  ];
  for (const [words, program, args] of runs) {
    await t.step(words, async () => {
      assert(page.includes(words), "the page says so");
      const [name, value] = words.split(" ")[0].split("=");
      const run = (env: Record<string, string>) =>
        project.run(program, [...args, "trust.ts", String(tls.port)], env);
      const { success, said } = await run({ [name]: value });
      assert(success && said.includes("placed"), said);
      assertEquals((await run({})).success, false); // without it nobody trusts the venue
    });
  }
});

Deno.test("docs/recipes.md: a feed with the socket of ws sends protocol pings", async (t) => {
  await using project = await Project.make();
  await writeBlocks(project, "docs/recipes.md");
  await link(project, "ws", "ws@8.18.3");
  await using venue = await LoopbackVenue.listen();
  venue.feed.on((_frame, client) => {
    setTimeout(() => client.send("1500"), 200); // the pong comes before
  });
  await t.step("Node 24", async () => {
    const node = await install(VERSIONS.node24);
    const { success, said } = await project.run(node, ["pings.ts", venue.wsUrl]);
    assert(success && said.includes("pong") && said.includes("tick: 1500"), said);
  });
});

Deno.test({
  name: "docs/shutting-down.md: Ctrl-C lets an order on its way come to its end, then all closes",
  ignore: Deno.build.os === "windows", // which has no SIGINT between processes
  fn: async (t) => {
    await using project = await Project.make();
    await writeBlocks(project, "docs/shutting-down.md");
    await project.write("trader.ts", TRADER);
    const runs: [name: string, program: string, args: string[]][] = [
      ["Deno", Deno.execPath(), ["run", "-A", "--no-check", "main.ts"]],
      ["Node 24", await install(VERSIONS.node24), ["main.ts"]],
      ["Bun", await install(VERSIONS.bun), ["main.ts"]],
    ];
    for (const [name, program, args] of runs) {
      await t.step(name, async () => {
        await using venue = await LoopbackVenue.listen();
        const arrived = Promise.withResolvers<void>();
        venue.on("POST /orders", (request) => {
          arrived.resolve();
          return request.json();
        });
        venue.fail("POST /orders", "late-answer", { delay: 500 });
        venue.feed.on((_frame, client) => client.send("INFY"));
        const child = new Deno.Command(program, {
          args: [...args, venue.httpUrl, venue.wsUrl],
          cwd: fileURLToPath(project.home),
          env: { NO_COLOR: "1" },
          stdout: "piped",
          stderr: "piped",
        }).spawn();
        void arrived.promise.then(() => child.kill("SIGINT"));
        const guard = setTimeout(() => child.kill("SIGKILL"), 60_000);
        const { code, stdout, stderr } = await child.output();
        clearTimeout(guard);
        const said = new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr);
        assertEquals([code, venue.executed.length], [0, 1], said);
        assert(/placed .*INFY[^]*the end/.test(said.replaceAll("\n", " ")), said);
        assertEquals(venue.feed.all.map(({ closeCode }) => closeCode), [1_000]);
      });
    }
  },
});
