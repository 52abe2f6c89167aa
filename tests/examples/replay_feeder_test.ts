import { assert, assertEquals, assertLess, assertRejects, assertThrows } from "@std/assert";
import type { Frame } from "@aio-trader/core";
import { KrakenFeed, type KrakenItem } from "../../examples/kraken/feed.ts";
import { KrakenSimulator } from "../../examples/kraken/simulator.ts";
import { readRecording, recorder } from "../../examples/recorder.ts";
import { ReplayFeeder } from "../../examples/replay_feeder.ts";

const BTC = { channel: "book", symbol: "BTC/USD" } as const;

/** Lines of a recording: bids of the venue's, one every so many milliseconds. */
function tickers(count: number, every: number): string[] {
  return Array.from({ length: count }, (_, n) => {
    const text = JSON.stringify({ channel: "ticker", data: [{ symbol: "BTC/USD", bid: n }] });
    return JSON.stringify({ at: n * every, direction: "in", text });
  });
}

/** Plays to the end, and returns the bids that came and how long it took. */
async function play(lines: Iterable<string>, speed?: number) {
  await using feed = new ReplayFeeder(new KrakenFeed(), lines, { speed });
  const items: string[] = [];
  const stream = feed.stream();
  const start = performance.now();
  await feed.connect();
  for await (const item of stream) if (item.channel === "ticker") items.push(item.bid);
  return { items, took: performance.now() - start };
}

Deno.test("recorder() writes a line for each frame, either way; readRecording() reads back what came in", async () => {
  const lines: string[] = [];
  const tap = recorder((line) => lines.push(line));
  const bytes = Uint8Array.from([0, 127, 128, 255]);
  tap("out", '{"login":"…"}', 1);
  tap("in", "one\ntwo", 1);
  tap("in", bytes.buffer, 1);
  tap("in", new Uint8Array([9, ...bytes, 9]).subarray(1, 5) satisfies Frame, 1);
  assertEquals(lines.map((line) => line.endsWith("\n") && line.split("\n").length), [2, 2, 2, 2]);
  const frames = await Array.fromAsync(readRecording([...lines, "", "\n"]));
  assertEquals(frames.map(({ data }) => data), ["one\ntwo", bytes.buffer, bytes.buffer]);
  assertEquals(JSON.parse(lines[0]), {
    at: 0,
    direction: "out",
    attempt: 1,
    text: '{"login":"…"}',
  });
  assert(frames.every(({ at }, n) => at >= (frames[n - 1]?.at ?? 0)));
});

Deno.test("readRecording() plays a recording that was appended to another right after it, and tells connections apart", async () => {
  const line = (at: number, attempt: number) =>
    JSON.stringify({ at, direction: "in", attempt, text: `${attempt}` });
  const frames = await Array.fromAsync(
    readRecording([line(0, 1), line(200, 2), line(0, 1), line(150, 1), line(0, 1)]),
  );
  assertEquals(frames.map(({ at }) => at), [0, 200, 200, 350, 350]);
  assertEquals(frames.map(({ attempt }) => attempt), [1, 2, 1, 1, 1]);
});

Deno.test("recorder() leaves out what it is told not to keep", () => {
  const lines: string[] = [];
  const tap = recorder((line) => lines.push(line), (direction) => direction === "in");
  tap("out", "login", 1);
  tap("in", "hello", 1);
  assertEquals(lines.map((line) => JSON.parse(line).text), ["hello"]);
});

Deno.test("ReplayFeeder plays what a live feed recorded through the same class, to the same items", async () => {
  const lines: string[] = [];
  const live: KrakenItem[] = [];
  await using venue = new KrakenSimulator({ seed: 7, interval: 5 });
  {
    await using feed = new KrakenFeed({
      url: `${venue.wsUrl}/v2`,
      tap: recorder((line) => lines.push(line)),
    });
    feed.subscribe(BTC);
    const stream = feed.stream();
    await feed.connect();
    for await (const item of stream) {
      live.push(structuredClone(item));
      if (live.length === 50) break;
    }
  }
  const kraken = new KrakenFeed();
  kraken.subscribe(BTC);
  await using feed = new ReplayFeeder(kraken, lines, { speed: Infinity });
  const replayed: KrakenItem[] = [];
  feed.on("item", (item) => replayed.push(structuredClone(item)));
  const stream = feed.stream();
  await feed.connect();
  for await (const _ of stream);
  assertEquals(replayed.slice(0, 50), live);
  assertEquals(kraken.checksums.failed, 0);
  assert(kraken.checksums.verified >= 49);
});

Deno.test("ReplayFeeder plays at the speed of the recording, 10 times that, or as fast as possible", async () => {
  const lines = tickers(11, 30);
  const once = await play(lines);
  const tenfold = await play(lines, 10);
  const fastest = await play(lines, Infinity);
  assert(once.took >= 299, `${once.took}`);
  assert(tenfold.took >= 29, `${tenfold.took}`);
  assertLess(fastest.took, once.took);
  for (const { items } of [once, tenfold, fastest]) assertEquals(items.map(Number).at(-1), 10);
});

Deno.test("ReplayFeeder as fast as possible loses nothing to a reader that keeps up", async () => {
  const { items } = await play(tickers(40_000, 1), Infinity);
  assertEquals(items.length, 40_000);
});

Deno.test("ReplayFeeder.close() stops it at once, and ends its streams", async () => {
  const feed = new ReplayFeeder(new KrakenFeed(), tickers(2, 60_000));
  const stream = feed.stream();
  await feed.connect();
  await stream.next();
  await feed.close();
  await feed.close();
  assertEquals(await stream.next(), { value: undefined, done: true });
  await assertRejects(() => feed.connect(), Error, "closed");
});

Deno.test("ReplayFeeder reports a frame that cannot be read and goes on; a broken line ends it", async () => {
  const bad = JSON.stringify({ at: 0, direction: "in", text: "no JSON" });
  const [first, second] = tickers(2, 0);
  const feed = new ReplayFeeder(new KrakenFeed(), [first, bad, second, "{"]);
  const errors: string[] = [];
  feed.on("error", (error) => errors.push(error.message));
  const stream = feed.stream();
  await feed.connect();
  await stream.next();
  await stream.next();
  await assertRejects(() => stream.next(), Error, "the recording is broken");
  assertEquals(errors.length, 2);
  await feed.close();
});

Deno.test("new ReplayFeeder() refuses a speed that is not positive", () => {
  for (const speed of [0, -1, NaN]) {
    assertThrows(() => new ReplayFeeder(new KrakenFeed(), [], { speed }), RangeError, `${speed}`);
  }
});
