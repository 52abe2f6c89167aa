/**
 * What a feed pays for `identify` and `keyOf`, and what a shard costs beside a single feed.
 *
 *     deno task bench gap
 *
 * Items go in without a socket: a hook of the class emits them, and a listener counts them. Each
 * contender runs in turn in every round; the median of the rounds counts, in time of the processor,
 * which a busy machine blurs least. A shard is compared by the clock. Exits with 1 if a shard
 * falls short of 0.9 of a single feed over a socket: on a quiet machine it is 0.95 and more.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import process from "node:process";
import { ShardedFeeder } from "../sharded_feeder.ts";
import { LoopbackVenue } from "../testing.ts";
import { wireFrame } from "../testing/wire.ts";
import { WebSocketFeeder, type WebSocketFeederOptions } from "../websocket_feeder.ts";

const ITEMS = 1_000_000;
const MESSAGES = 400_000;
const ROUNDS = 9;

interface Item {
  id: number;
  symbol: string;
}

/** Emits items of its own. */
class Feed extends WebSocketFeeder<Item> {
  protected override endpoint(): string {
    return "ws://127.0.0.1:1/";
  }
  protected override receive(): void {}
  protected override request(): string[] {
    return [];
  }
  /** Emits so many items, and returns the nanoseconds that the processor spent on each. */
  measure(): number {
    const before = process.cpuUsage();
    for (let id = 0; id < ITEMS; id++) this.emit({ id, symbol: "S1" });
    return process.cpuUsage(before).user * 1e3 / ITEMS;
  }
}

class Identifying extends Feed {
  protected override identify({ id }: Item): number {
    return id;
  }
}

/** Venues name most items by a text. */
class IdentifyingTexts extends Feed {
  protected override identify({ id }: Item): string {
    return `trade-${id}`;
  }
}

class Keyed extends Feed {
  protected override keyOf({ symbol }: Item): string {
    return symbol;
  }
}

/** What each way to deliver costs, and how it is made. */
const ways: Record<string, (options?: WebSocketFeederOptions) => Feed> = {
  "neither": () => new Feed(),
  "identify, a number": () => new Identifying(),
  "identify, a text": () => new IdentifyingTexts(),
  "keyOf, quietAfter": () => new Keyed({ quietAfter: 60_000 }),
};

/** Reads frames as fast as they come. */
class SocketFeed extends WebSocketFeeder<string> {
  readonly #url: string;

  constructor(url: string) {
    super();
    this.#url = url;
  }
  protected override endpoint(): string {
    return this.#url;
  }
  protected override receive(data: string | ArrayBuffer): void {
    this.emit(String(data));
  }
  protected override request(_op: string, subs: string[]): string[] {
    return subs;
  }
}

/** Resolves to the messages per second of a feed. */
async function rate(feed: SocketFeed | ShardedFeeder<string>): Promise<number> {
  let seen = 0;
  let start = 0;
  const done = new Promise<number>((resolve) =>
    feed.on("item", () => {
      if (++seen === 1) start = performance.now();
      if (seen === MESSAGES) resolve(MESSAGES / (performance.now() - start) * 1_000);
    })
  );
  feed.subscribe("all");
  await feed.connect();
  const result = await done;
  await feed.close();
  return result;
}

function median(values: number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1];
}

const costs = new Map(Object.keys(ways).map((name) => [name, [] as number[]]));
for (let round = 0; round < ROUNDS; round++) {
  for (const [name, make] of Object.entries(ways)) {
    const feed = make();
    let seen = 0;
    feed.on("item", () => seen++);
    const cost = feed.measure();
    if (seen !== ITEMS) throw new Error(`Cannot measure ${name}: ${seen} items`);
    costs.get(name)!.push(cost);
    await feed.close();
  }
}
const plain = median(costs.get("neither")!);
console.log(`Nanoseconds per item, median of ${ROUNDS}`);
console.log("| | per item | more than neither |\n|---|---:|---:|");
for (const [name, values] of costs) {
  const cost = median(values);
  console.log(`| ${name} | ${cost.toFixed(0)} | ${(cost - plain).toFixed(0)} |`);
}

const venue = await LoopbackVenue.listen();
const frame = wireFrame(1, Buffer.from("x".repeat(100)));
const chunk = Buffer.concat(Array(1_000).fill(frame));
venue.feed.on(async (_, client) => {
  for (let sent = 0; sent < MESSAGES; sent += 1_000) await client.raw(chunk);
});
const single: number[] = [];
const shard: number[] = [];
for (let round = 0; round < ROUNDS; round++) {
  const runs: (() => Promise<unknown>)[] = [
    async () => single.push(await rate(new SocketFeed(venue.wsUrl))),
    async () => shard.push(await rate(new ShardedFeeder(() => new SocketFeed(venue.wsUrl)))),
  ];
  if (round % 2) runs.reverse(); // neither is always the first
  for (const run of runs) await run();
}
await venue.close();
const share = median(shard) / median(single);
console.log("\nThousand messages per second over a socket, venue and feed in one process");
console.log(`single feed ${(median(single) / 1_000).toFixed(0)}`);
console.log(`one shard   ${(median(shard) / 1_000).toFixed(0)}, ${share.toFixed(2)} of single`);
if (share < 0.9) Deno.exitCode = 1;
