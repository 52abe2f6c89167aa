// deno-lint-ignore-file no-import-prefix -- rivals are no dependencies of the library
/**
 * Messages per second through a feed, beside the native socket (the limit) and its peers, on Deno, and on Node and
 * Bun where `deno task test:runtimes` has brought them.
 *
 *     deno task bench feeder
 *
 * This process writes prepared frames, a thousand at once, as fast as they are taken: a WebSocket server would be the
 * limit. Each contender reads them in a process of its own, anew in every round, in turn: how an engine happened to
 * compile one run is not carried into the next, nor from one contender to another. The native socket runs twice in each
 * round: the share of a contender is the median, over its rounds, of the mean time of these two and the time of the
 * contender. How far the two native rows are from 1 is how much the other rows can be trusted. The peers run in every
 * third round, so that there is time for many rounds of ours: one run differs from the next by a tenth.
 *
 * `for await` wakes its reader for each message wherever none waits, which is most of the time on Deno and Bun: they
 * run microtasks after each. The least that can cost is measured too: a bare queue between the native socket and the
 * loop.
 *
 * Exits with 1 if ours, by listener, falls short of 0.95 of native or, by `for await`, of 0.9 of the bare queue. On a
 * busy machine either may.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { ReconnectingWebSocket as Rews } from "npm:@nktkas/rews@4.1.0";
import { WebSocket as PartySocket } from "npm:partysocket@1.3.0";
import * as reconnecting from "npm:reconnecting-websocket@4.4.0";
import { LoopbackVenue } from "../testing.ts";
import { wireFrame } from "../testing/wire.ts";
import { VERSIONS } from "../tools/versions.ts";
import { WebSocketFeeder } from "../websocket_feeder.ts";

const MESSAGES = 500_000;
/** Messages that go before those that count, while the engine warms up. */
const WARM_UP = 100_000;
const ROUNDS = 33;
/** Rounds from one run of a peer to the next. */
const PEER_ROUNDS = 3;
const NATIVE = "native onmessage";
const AGAIN = "native onmessage, once more";
const BARE = "native, a bare queue, for await";
const OURS = { listener: "ours, by listener", stream: "ours, by for await" };
/** What ours must reach, of what. */
const LIMITS: Record<string, [share: number, ...of: string[]]> = {
  [OURS.listener]: [0.95, NATIVE, AGAIN],
  [OURS.stream]: [0.9, BARE],
};
const PAYLOADS = {
  text: JSON.stringify({ symbol: "BTC/USD", price: 29430.2, qty: 0.18967538, side: "buy" })
    .padEnd(100),
  binary: new Uint8Array(184),
};

type Kind = keyof typeof PAYLOADS;

/** Resolves to the milliseconds that the messages after the first `WARM_UP` took. */
type Contender = (url: string, kind: Kind) => Promise<number>;

/** Its types say that there is no default export; its two builds hold it at different depths. */
const ReconnectingWebSocket = [
  reconnecting,
  reconnecting.default,
  Object(reconnecting.default).default,
]
  .find((found) => typeof found === "function") as unknown as new (
    url: string,
    protocols: string[],
    options: { WebSocket: typeof WebSocket },
  ) => WebSocket;

/** What every contender does with a message: reads it and counts it. */
function counter(): { count: (data: string | ArrayBuffer) => boolean; elapsed: () => number } {
  let messages = 0;
  let bytes = 0;
  let start = 0;
  return {
    count(data) {
      if (++messages === WARM_UP) start = performance.now();
      bytes += typeof data === "string" ? data.length : data.byteLength;
      return messages === MESSAGES && bytes > 0;
    },
    elapsed: () => performance.now() - start,
  };
}

/** A socket with the interface of WebSocket. */
function socketed(make: (url: string) => WebSocket): Contender {
  return (url, kind) =>
    new Promise((resolve) => {
      const socket = make(url);
      const { count, elapsed } = counter();
      socket.binaryType = "arraybuffer";
      socket.onopen = () => socket.send(kind);
      socket.onmessage = ({ data }) => {
        if (!count(data)) return;
        resolve(elapsed());
        socket.close(1000, "");
      };
    });
}

/** The least that stands between a socket and `for await`: no bounds, no end, one reader. */
class BareQueue implements AsyncIterableIterator<string | ArrayBuffer> {
  #items: (string | ArrayBuffer)[] = [];
  #reader: ((result: IteratorResult<string | ArrayBuffer>) => void) | undefined;

  push(value: string | ArrayBuffer): void {
    const reader = this.#reader;
    if (!reader) return void this.#items.push(value);
    this.#reader = undefined;
    reader({ value, done: false });
  }
  next(): Promise<IteratorResult<string | ArrayBuffer>> {
    const value = this.#items.shift();
    if (value !== undefined) return Promise.resolve({ value, done: false });
    return new Promise((resolve) => this.#reader = resolve);
  }
  [Symbol.asyncIterator](): this {
    return this;
  }
}

class Feed extends WebSocketFeeder<string | ArrayBuffer> {
  readonly #url: string;

  constructor(url: string) {
    super();
    this.#url = url;
  }
  protected override endpoint(): string {
    return this.#url;
  }
  protected override receive(data: string | ArrayBuffer): void {
    this.emit(data);
  }
  protected override request(_op: string, subs: string[]): string[] {
    return subs;
  }
}

const contenders: Record<string, Contender> = {
  [NATIVE]: socketed((url) => new WebSocket(url)),
  [AGAIN]: socketed((url) => new WebSocket(url)),
  [BARE]: async (url, kind) => {
    const socket = new WebSocket(url);
    const { count, elapsed } = counter();
    const queue = new BareQueue();
    socket.binaryType = "arraybuffer";
    socket.onopen = () => socket.send(kind);
    socket.onmessage = ({ data }) => queue.push(data);
    for await (const data of queue) if (count(data)) break;
    const time = elapsed();
    socket.close(1000, "");
    return time;
  },
  [OURS.listener]: async (url, kind) => {
    const feed = new Feed(url);
    const { count, elapsed } = counter();
    const done = new Promise<number>((resolve) =>
      feed.on("item", (data) => {
        if (count(data)) resolve(elapsed());
      })
    );
    feed.subscribe(kind);
    await feed.connect();
    const time = await done;
    await feed.close();
    return time;
  },
  [OURS.stream]: async (url, kind) => {
    const feed = new Feed(url);
    const { count, elapsed } = counter();
    const stream = feed.stream({ capacity: Infinity }); // to compare, none may be dropped
    feed.subscribe(kind);
    await feed.connect();
    for await (const data of stream) if (count(data)) break;
    const time = elapsed();
    await feed.close();
    return time;
  },
  "reconnecting-websocket": socketed((url) => new ReconnectingWebSocket(url, [], { WebSocket })),
  "partysocket": socketed((url) => new PartySocket(url) as unknown as WebSocket),
  "@nktkas/rews": socketed((url) => new Rews(url) as unknown as WebSocket),
};

/** Sends `MESSAGES` frames of the kind that the client names, to each client that does. */
async function listen(): Promise<LoopbackVenue> {
  const venue = await LoopbackVenue.listen();
  venue.feed.on(async (text, client) => {
    const frame = wireFrame(text === "text" ? 1 : 2, Buffer.from(PAYLOADS[text as Kind]));
    const chunk = Buffer.concat(Array(1_000).fill(frame));
    for (let sent = 0; sent < MESSAGES; sent += 1_000) await client.raw(chunk);
  });
  return venue;
}

/** The runtimes that are here: a name, and the command that runs a file. */
function runtimes(): [name: string, command: string[]][] {
  const found: [string, string[]][] = [["Deno", [Deno.execPath(), "run", "-A"]]];
  for (const version of [VERSIONS.node24, VERSIONS.bun]) {
    const path = `../.cache/runtimes/${version}/node_modules/.bin/${version.split("@")[0]}`;
    const program = fileURLToPath(new URL(path, import.meta.url));
    try {
      Deno.statSync(program);
      found.push([version, [program]]);
    } catch {
      console.log(`${version} is not here, left out: \`deno task test:runtimes\` brings it`);
    }
  }
  return found;
}

/** Runs one contender once, in a process of its own. */
async function run(command: string[], name: string, kind: Kind, url: string): Promise<number> {
  const [program, ...args] = command;
  const client = new Deno.Command(program, { args: [...args, name, kind, url], stderr: "inherit" });
  const { stdout, success } = await client.output();
  if (!success) throw new Error(`Cannot measure ${name}: its process failed`);
  return Number(new TextDecoder().decode(stdout));
}

/** Measures every contender on one runtime: its times, by round, with holes where it did not run. */
async function measure(command: string[], kind: Kind, url: string): Promise<Map<string, number[]>> {
  const all = Object.keys(contenders);
  const limited = [NATIVE, AGAIN, BARE, ...Object.keys(LIMITS)];
  const times = new Map(all.map((name) => [name, [] as number[]]));
  for (let round = 0; round < ROUNDS; round++) {
    const names = round % PEER_ROUNDS === 0 ? all : limited;
    for (let i = 0; i < names.length; i++) {
      const name = names[(round + i) % names.length]; // nobody is always the first
      times.get(name)![round] = await run(command, name, kind, url);
    }
  }
  return times;
}

/** The median share that a contender reaches of others, of their mean in the same round. */
function share(times: Map<string, number[]>, name: string, ...others: string[]): number {
  const own = times.get(name)!;
  const of = own.map((_, round) =>
    others.reduce((sum, other) => sum + times.get(other)![round], 0) / others.length
  );
  return median(own.map((time, round) => of[round] / time));
}

/** The median of a list that may have holes. */
function median(list: number[]): number {
  const values = list.flat().sort((a, b) => a - b);
  return values[values.length >> 1];
}

/** Measures everything and prints a table for each runtime. */
async function main(): Promise<void> {
  const file = await Deno.makeTempFile({ suffix: ".mjs" });
  const self = fileURLToPath(import.meta.url);
  const bundle = { args: ["bundle", "--quiet", "--output", file, self] };
  const { success } = await new Deno.Command(Deno.execPath(), bundle).output();
  if (!success) throw new Error("Cannot bundle the benchmark");

  const venue = await listen();
  for (const [runtime, command] of runtimes()) {
    const results: Map<string, number[]>[] = [];
    for (const kind of ["text", "binary"] as const) {
      results.push(await measure([...command, file], kind, venue.wsUrl));
    }
    console.log(
      `\n${runtime}: thousand messages per second, median of ${ROUNDS} processes, of the peers ${
        ROUNDS / PEER_ROUNDS
      }`,
    );
    console.log("| | text | of native | binary | of native |\n|---|---:|---:|---:|---:|");
    for (const name of Object.keys(contenders)) {
      const [limit, ...of] = LIMITS[name] ?? [0, NATIVE];
      const cells = results.flatMap((times) => {
        if (share(times, name, ...of) < limit) Deno.exitCode = 1;
        const rate = (MESSAGES - WARM_UP) / median(times.get(name)!);
        return [rate.toFixed(0), share(times, name, NATIVE, AGAIN).toFixed(2)];
      });
      console.log(`| ${[name, ...cells].join(" | ")} |`);
    }
  }
  await venue.close();
  await Deno.remove(file);
}

const [name, kind, url] = process.argv.slice(2);
if (url === undefined) await main();
else {
  console.log(await contenders[name](url, kind as Kind));
  process.exit(); // what a contender leaves behind is not waited for
}
