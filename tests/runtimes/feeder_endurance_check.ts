/** What a feed costs in the long run, on Deno, Node and Bun: memory behind a slow reader, and what 10,000 reconnects leave. */

import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { spawn } from "node:child_process";
import { existsSync, readdirSync } from "node:fs";
import process from "node:process";
import { fileURLToPath } from "node:url";
import {
  type AskOptions,
  type FeedConnection,
  WebSocketFeeder,
  type WebSocketFeederOptions,
} from "../../websocket_feeder.ts";
import { LoopbackVenue } from "../../testing.ts";
import { wireFrame } from "../../testing/wire.ts";
import { Recovery } from "../../websocket_feeder/recovery.ts";
import { check, run, runtime } from "./harness.ts";

const MESSAGES = 1_000_000;
/** With the default of twice as many, Node 24 grows its young generation to 128 MB, of which 26 MB are in use. */
const CAPACITY = 8_192;
const RECONNECTS = 10_000;
const QUESTIONS = 100_000;
/** Seconds. */
const HOUR = 3_600;
const MB = 2 ** 20;

class Feed extends WebSocketFeeder<string> {
  readonly #url: string;

  constructor(url: string, options?: WebSocketFeederOptions) {
    super(options);
    this.#url = url;
  }
  protected override endpoint(): string {
    return this.#url;
  }
  protected override receive(data: string | ArrayBuffer, connection: FeedConnection): void {
    if (!connection.answer(data)) this.emit(String(data));
  }
  override ask<R>(id: unknown, frame: string, options?: AskOptions): Promise<R> {
    return super.ask(id, frame, options);
  }
  protected override request(_op: string, subs: string[]): string[] {
    return subs;
  }
  protected override ping(): undefined {}
}

/** Watches its subscriptions, tells its items apart and fills its gaps; every other backfill hangs. */
class FillingFeed extends Feed {
  #fills = 0;

  protected override identify(item: string): unknown {
    return item;
  }
  protected override keyOf(item: string): unknown {
    return item;
  }
  protected override backfill(): string[] | Promise<string[]> {
    return ++this.#fills % 2 ? [`item ${this.#fills}`] : new Promise(() => {});
  }
}

/** Sends a million messages on request, resets on request, and echoes questions. Keeps nothing. */
async function listen(): Promise<LoopbackVenue> {
  const venue = await LoopbackVenue.listen();
  const { feed } = venue;
  const chunk = Buffer.concat(Array(1_000).fill(wireFrame(1, Buffer.from("x".repeat(100)))));
  feed.on(async (text, client) => {
    client.frames.length = feed.frames.length = feed.all.length = 0;
    if (text === "reset") return client.reset();
    if (text !== "million") return client.send(text);
    for (let sent = 0; sent < MESSAGES && client.isOpen; sent += 1_000) await client.raw(chunk);
  });
  return venue;
}

/** Runs a client in a process of its own, so that only its memory is counted, and returns what it says. */
async function withClient<Result>(part: string): Promise<Result> {
  const venue = await listen();
  const file = fileURLToPath(import.meta.url);
  const args = {
    deno: ["run", "-A", "--no-config", "--v8-flags=--expose-gc", file],
    node: ["--expose-gc", file],
    bun: [file],
  }[runtime];
  const client = spawn(process.execPath, [...args, venue.wsUrl, part], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  let text = "";
  client.stdout!.on("data", (chunk) => text += chunk);
  const code = await new Promise((resolve) => client.on("close", resolve));
  await venue.close();
  assert.deepEqual([code, venue.errors], [0, []]);
  return JSON.parse(text);
}

interface Read {
  read: number;
  dropped: number;
  /** Most items that waited. */
  size: number;
  /** Most memory of the process. */
  rss: number;
}

/** Reads a million messages slowly. */
async function beReader(url: string): Promise<Read> {
  const feed = new Feed(url, { pingInterval: 0 });
  const stream = feed.stream({ capacity: CAPACITY });
  let seen = 0;
  let rss = 0;
  feed.on("item", () => {
    if (++seen % 10_000 === 0) rss = Math.max(rss, process.memoryUsage().rss);
    if (seen === MESSAGES) feed.close();
  });
  feed.subscribe("million");
  await feed.connect();
  let read = 0;
  let size = 0;
  for await (const _ of stream) {
    size = Math.max(size, stream.size);
    const until = performance.now() + 0.02;
    while (performance.now() < until);
    // Waits for something else now and then, as readers do: meanwhile the queue fills.
    if (++read % 500 === 0) await new Promise((resolve) => setTimeout(resolve, 20));
  }
  return { read, dropped: stream.dropped, size, rss };
}

check(
  "a million messages to a reader of 20 µs: memory bounded by the queue, under 200 MB",
  async () => {
    const { read, dropped, size, rss } = await withClient<Read>("reader");
    assert.equal(read + dropped, MESSAGES);
    assert(dropped > 0, "the reader was never behind: nothing was tried");
    assert(size <= CAPACITY);
    assert(rss < 200 * MB, `${Math.round(rss / MB)} MB`);
  },
  { timeout: 60_000 },
);

interface Left {
  timers: number;
  listeners: number;
  timersAfterClose: number;
  listenersAfterClose: number;
  /** Memory after a collection, from time to time. */
  heaps: number[];
  /** Open files likewise, where the system tells. */
  files: number[];
}

/** Is reset ten thousand times. */
async function beReset(url: string): Promise<Left> {
  const timers = countTimers();
  const { signal } = new AbortController();
  let listeners = 0;
  const { addEventListener, removeEventListener } = signal;
  Object.assign(signal, {
    addEventListener(...args: Parameters<typeof addEventListener>) {
      listeners++;
      addEventListener.apply(signal, args);
    },
    removeEventListener(...args: Parameters<typeof removeEventListener>) {
      listeners--;
      removeEventListener.apply(signal, args);
    },
  });
  const feed = new FillingFeed(url, {
    baseWait: 0,
    signal,
    staleAfter: 60_000,
    pingInterval: 60_000,
    quietAfter: 60_000,
  });
  const heaps: number[] = [];
  const files: number[] = [];
  const done = new Promise<void>((resolve) =>
    feed.on("live", ({ connection }) => {
      if (connection % 1_000 === 0) {
        collect();
        heaps.push(process.memoryUsage().heapUsed);
        if (existsSync("/proc/self/fd")) files.push(readdirSync("/proc/self/fd").length);
      }
      if (connection === RECONNECTS) resolve();
    })
  );
  feed.subscribe("reset");
  await feed.connect();
  await done;
  const before = { timers: timers.alive, listeners };
  await feed.close();
  return {
    ...before,
    timersAfterClose: timers.alive,
    listenersAfterClose: listeners,
    heaps,
    files,
  };
}

check(`${RECONNECTS} reconnects leave no timer, listener, socket or memory behind`, async () => {
  const left = await withClient<Left>("reset");
  assert(left.timers <= 5, `${left.timers} timers`);
  assert.equal(left.listeners, 1);
  assert.equal(left.timersAfterClose, 0);
  assert.equal(left.listenersAfterClose, 0);
  const { heaps, files } = left;
  assert.equal(heaps.length, RECONNECTS / 1_000);
  const growth = heaps[heaps.length - 1] - heaps[1];
  assert(growth < MB, `the heap grew by ${Math.round(growth / 1024)} KB: ${heaps}`);
  if (files.length > 0) assert(files[files.length - 1] - files[0] < 10, `open files: ${files}`);
}, { timeout: 90_000 });

/** Asks a hundred thousand questions, and as many that are never answered. */
async function beAsker(url: string): Promise<{ heaps: number[] }> {
  const feed = new Feed(url, { pingInterval: 0 });
  await feed.connect();
  const { signal } = new AbortController();
  const heaps: number[] = [];
  for (let asked = 0; asked < QUESTIONS; asked += 500) {
    const ids = Array.from({ length: 500 }, (_, n) => `question ${asked + n}`);
    await Promise.all(ids.map((id) => feed.ask(id, id, { signal })));
    const aborted = AbortSignal.abort();
    await Promise.allSettled(ids.map((id) => feed.ask(id, id, { signal: aborted })));
    if (asked % 20_000 === 0) {
      collect();
      heaps.push(process.memoryUsage().heapUsed);
    }
  }
  await feed.close();
  return { heaps };
}

check(`${QUESTIONS} questions leave no memory behind`, async () => {
  const { heaps } = await withClient<{ heaps: number[] }>("asker");
  const growth = heaps[heaps.length - 1] - heaps[1];
  assert(growth < 2 * MB, `the heap grew by ${Math.round(growth / 1024)} KB: ${heaps}`);
}, { timeout: 90_000 });

/** Holds what comes in an hour at 10,000 items a second, while a backfill hangs. */
async function beHung(): Promise<{ heap: number; delivered: number; dropped: number }> {
  const { now } = Date;
  let time = 0;
  Date.now = () => time;
  let answer = (_: { id: number }[]) => {};
  let delivered = 0;
  let dropped = 0;
  const recovery = new Recovery<{ id: number }>({
    backfill: () => new Promise((resolve) => answer = resolve),
    deliver: () => delivered++,
    tell: ({ since, until, filled }) => dropped += filled ? 0 : until - since,
  }, { backfillTimeout: Infinity, baseWait: 1 });
  recovery.lose(0);
  recovery.resume();
  const filled = recovery.fill();
  await new Promise((resolve) => setTimeout(resolve, 1)); // asked
  collect();
  const before = process.memoryUsage().heapUsed;
  for (let id = 0; id < HOUR * 10_000; id++) {
    time = id / 10;
    recovery.holds({ id });
  }
  collect();
  const heap = process.memoryUsage().heapUsed - before;
  answer([]);
  await filled;
  Date.now = now;
  return { heap, delivered, dropped };
}

check("a backfill that hangs for an hour at 10,000 items/s: 65,536 wait, under 32 MB", async () => {
  const { heap, delivered, dropped } = await withClient<Awaited<ReturnType<typeof beHung>>>("hung");
  assert(heap < 32 * MB, `${Math.round(heap / MB)} MB`);
  assert.equal(delivered, 65_536);
  assert.equal(Math.round(dropped), Math.round((HOUR * 10_000 - 65_536) / 10));
}, { timeout: 60_000 });

function collect(): void {
  const { Bun, gc } = globalThis as { Bun?: { gc(sync: boolean): void }; gc?: () => void };
  if (Bun) Bun.gc(true);
  else gc!();
}

/** Counts the timers that have been set, and neither cleared nor, if they fire once, fired. */
function countTimers(): { readonly alive: number } {
  const real = { setTimeout, clearTimeout, setInterval, clearInterval };
  const alive = new Set<unknown>();
  const clear = (timer?: Parameters<typeof clearTimeout>[0]) => {
    alive.delete(timer);
    real.clearTimeout(timer);
  };
  Object.assign(globalThis, {
    setTimeout(callback: (...args: unknown[]) => void, delay?: number, ...args: unknown[]) {
      const timer = real.setTimeout(() => {
        alive.delete(timer);
        callback(...args);
      }, delay);
      alive.add(timer);
      return timer;
    },
    setInterval(callback: () => void, delay?: number) {
      const timer = real.setInterval(callback, delay);
      alive.add(timer);
      return timer;
    },
    clearTimeout: clear,
    clearInterval: clear,
  });
  return {
    get alive() {
      return alive.size;
    },
  };
}

const [url, part] = process.argv.slice(-2);
if (part === "reader") console.log(JSON.stringify(await beReader(url)));
else if (part === "asker") console.log(JSON.stringify(await beAsker(url)));
else if (part === "hung") console.log(JSON.stringify(await beHung()));
else if (part === "reset") console.log(JSON.stringify(await beReset(url)));
else await run();
