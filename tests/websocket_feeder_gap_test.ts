import { assert, assertEquals, assertRejects } from "@std/assert";
import { FakeTime } from "@std/testing/time";
import type { FeedEvents } from "../feeder.ts";
import { type Gap, WebSocketFeeder, type WebSocketFeederOptions } from "../websocket_feeder.ts";

// A venue that numbers its items, on virtual time: what is delivered is held against its log.

interface Item {
  seq: number;
  symbol: string;
  /** When the venue made it, in epoch milliseconds. */
  at: number;
}

/** A socket that the venue holds the other end of. */
class Socket {
  readyState = 0;
  binaryType = "blob";
  onopen: (() => void) | null = null;
  onmessage: ((event: { data: string }) => void) | null = null;
  onerror: (() => void) | null = null;
  onclose: ((event: { code: number; reason: string; wasClean: boolean }) => void) | null = null;
  readonly subscribed = new Set<string>();
  /** Whether the venue still gets through, which the client may not know. */
  isUp = true;

  send(frame: string): void {
    const { op, symbols } = JSON.parse(frame);
    for (const symbol of symbols) this.subscribed[op === "subscribe" ? "add" : "delete"](symbol);
  }
  close(): void {
    if (this.readyState < 2) this.end(1000);
  }
  open(): void {
    if (this.readyState > 0) return;
    this.readyState = 1;
    this.onopen?.();
  }
  end(code = 1006): void {
    this.isUp = false;
    this.readyState = 3;
    this.onclose?.({ code, reason: "", wasClean: false });
  }
}

const SYMBOLS = ["A", "B", "C"];

class Venue {
  readonly log: Item[] = [];
  readonly sockets: Socket[] = [];

  /** Makes an item, and sends it where it is subscribed to. */
  make(symbol: string): void {
    const item = { seq: this.log.length, symbol, at: Date.now() };
    this.log.push(item);
    for (const socket of this.sockets) {
      if (socket.isUp && socket.readyState === 1 && socket.subscribed.has(symbol)) {
        socket.onmessage?.({ data: JSON.stringify(item) });
      }
    }
  }
}

type Backfill = (gap: Gap, signal: AbortSignal) => Item[] | Promise<Item[]>;

class Feed extends WebSocketFeeder<Item> {
  readonly delivered: Item[] = [];
  readonly gaps: FeedEvents<Item>["gap"][] = [];
  readonly #venue: Venue;

  constructor(venue: Venue, options: WebSocketFeederOptions = {}) {
    super({ jitter: 0, baseWait: 200, overlap: 100, ...options });
    this.#venue = venue;
    this.on("item", (item) => this.delivered.push(item));
    this.on("gap", (gap) => this.gaps.push(gap));
    this.on("error", () => {});
    this.subscribe(...SYMBOLS);
  }
  protected override endpoint() {
    return "ws://venue/";
  }
  protected override createSocket(): WebSocket {
    this.#venue.sockets.push(new Socket());
    return this.#venue.sockets.at(-1) as unknown as WebSocket;
  }
  protected override request(op: "subscribe" | "unsubscribe", symbols: string[]) {
    return JSON.stringify({ op, symbols });
  }
  protected override receive(data: string | ArrayBuffer) {
    this.emit(JSON.parse(String(data)));
  }
  protected override identify(item: Item) {
    return item.seq;
  }
  swap() {
    this.replace();
  }
}

class Filling extends Feed {
  fill: Backfill = () => [];

  protected override backfill(gap: Gap, signal: AbortSignal) {
    return this.fill(gap, signal);
  }
}

/** Milliseconds that pass at once. */
const STEP = 25;

/** Lets every promise settle that can. */
async function settle(): Promise<void> {
  for (let i = 0; i < 40; i++) await null;
}

/** Passes time in small steps, so that what is due comes in its order; without a real timer. */
async function pass(time: FakeTime, ms: number): Promise<void> {
  await settle();
  for (let left = ms; left > 0; left -= STEP) {
    time.tick(Math.min(left, STEP));
    await settle();
  }
}

async function live<F extends Feed>(time: FakeTime, venue: Venue, feed: F): Promise<F> {
  void feed.connect();
  await settle();
  venue.sockets[0].open();
  await pass(time, 0);
  return feed;
}

/** Loses the connection and makes another one; the venue makes an item meanwhile. */
async function lose(time: FakeTime, venue: Venue): Promise<void> {
  venue.sockets.at(-1)!.end();
  venue.make("A");
  await pass(time, 200);
  venue.sockets.at(-1)!.open();
  await pass(time, 0);
}

const seqs = (items: Item[]) => items.map(({ seq }) => seq);

Deno.test("WebSocketFeeder tells of a gap after a loss, from the last frame that was heard to the new subscriptions", async () => {
  using time = new FakeTime(100_000);
  const venue = new Venue();
  const feed = await live(time, venue, new Feed(venue));
  await pass(time, 5_000);
  venue.make("A");
  const heard = Date.now();
  await pass(time, 10_000); // nothing comes for long
  await lose(time, venue);
  venue.make("B");
  assertEquals(feed.gaps.length, 1);
  const [{ since, until, filled }] = feed.gaps;
  assert(since <= heard && since >= heard - 1_000, `heard at ${heard}, since ${since}`);
  assertEquals([until, filled], [Date.now(), false]);
  assertEquals(seqs(feed.delivered), [0, 2]);
  await feed.close();
});

Deno.test("WebSocketFeeder.backfill() is called once all is subscribed again; its items come before the live ones", async () => {
  using time = new FakeTime(100_000);
  const venue = new Venue();
  const feed = await live(time, venue, new Filling(venue));
  let answer = () => {};
  const subscribed: string[][] = [];
  feed.fill = ({ since }) => {
    subscribed.push([...venue.sockets.at(-1)!.subscribed]);
    return new Promise((resolve) => {
      answer = () => resolve(venue.log.filter(({ at }) => at >= since));
    });
  };
  venue.make("A");
  await lose(time, venue);
  venue.make("B");
  venue.make("C");
  assertEquals(seqs(feed.delivered), [0]);
  answer();
  await settle();
  venue.make("A");
  assertEquals(subscribed, [SYMBOLS]);
  assertEquals(seqs(feed.delivered), [0, 1, 2, 3, 4]);
  assertEquals(feed.gaps.map(({ filled }) => filled), [true]);
  await feed.close();
});

Deno.test("WebSocketFeeder asks a backfill that throws again for backfillTimeout at most; then the feed goes on", async () => {
  using time = new FakeTime(100_000);
  const venue = new Venue();
  const feed = await live(time, venue, new Filling(venue, { backfillTimeout: 3_000 }));
  let asked = 0;
  feed.fill = () => {
    asked++;
    throw new Error("down");
  };
  await lose(time, venue);
  venue.make("B");
  for (let ms = 0; ms < 2_900; ms += 100) await pass(time, 100);
  assertEquals(feed.delivered, []);
  await pass(time, 100);
  assert(asked > 2 && asked < 12, `${asked} times`);
  assertEquals(feed.gaps.map(({ filled, cause }) => `${filled} ${cause}`), ["false Error: down"]);
  assertEquals(seqs(feed.delivered), [1]);
  await feed.close();
});

Deno.test("WebSocketFeeder tells of a gap where the connection that is replaced had fallen silent", async () => {
  using time = new FakeTime(100_000);
  const venue = new Venue();
  const feed = await live(time, venue, new Filling(venue));
  feed.fill = ({ since }) => venue.log.filter(({ at }) => at >= since);
  venue.make("A");
  venue.sockets[0].isUp = false; // and nobody notices
  await pass(time, 5_000);
  venue.make("B");
  feed.swap();
  await settle();
  venue.sockets[1].open();
  for (let i = 0; i < 10; i++) await pass(time, 100);
  assertEquals(feed.stats.connections, 2);
  assertEquals(seqs(feed.delivered), [0, 1]);
  assertEquals(feed.gaps.map(({ filled }) => filled), [true]);
  await feed.close();
});

Deno.test("WebSocketFeeder finds no gap where one connection replaces another", async () => {
  using time = new FakeTime(100_000);
  const venue = new Venue();
  const feed = await live(time, venue, new Filling(venue));
  venue.make("A");
  feed.swap();
  await settle();
  venue.sockets[1].open();
  await settle();
  venue.make("B");
  for (let i = 0; i < 10; i++) await pass(time, 100);
  assertEquals(feed.stats.connections, 2);
  venue.make("C");
  assertEquals(seqs(feed.delivered), [0, 1, 2]);
  assertEquals(feed.gaps, []);
  await feed.close();
});

Deno.test("WebSocketFeeder quietAfter: asks for a mute subscription again, tells of it, and leaves the others alone", async () => {
  using time = new FakeTime(100_000);
  const venue = new Venue();
  class Keyed extends Feed {
    protected override keyOf(item: Item) {
      return item.symbol;
    }
  }
  const feed = new Keyed(venue, { quietAfter: (symbol: string) => symbol === "C" ? 0 : 4_000 });
  const quiet: FeedEvents<Item>["quiet"][] = [];
  feed.on("quiet", (event) => quiet.push(event));
  await live(time, venue, feed);
  const asked: string[] = [];
  const [socket] = venue.sockets;
  const send = socket.send.bind(socket);
  socket.send = (frame) => {
    asked.push(frame);
    send(frame);
  };
  for (let ms = 0; ms < 5_000; ms += 100) {
    venue.make("A");
    await pass(time, 100);
  }
  assertEquals(quiet, [{ key: "B", subscription: "B", duration: 4_000 }]);
  assertEquals(asked, [
    '{"op":"unsubscribe","symbols":["B"]}',
    '{"op":"subscribe","symbols":["B"]}',
  ]);
  await feed.close();
});

Deno.test("WebSocketFeeder.connect() refuses a quietAfter without keyOf()", async () => {
  await assertRejects(
    () => new Feed(new Venue(), { quietAfter: 1_000 }).connect(),
    TypeError,
    "quietAfter and no keyOf()",
  );
});

/** A generator of numbers from 0 to 1, the same for the same seed. */
function randomOf(seed: number): () => number {
  return () => {
    seed = seed + 0x6d2b79f5 | 0;
    let t = Math.imul(seed ^ seed >>> 15, 1 | seed);
    t = t + Math.imul(t ^ t >>> 7, 61 | t) ^ t;
    return ((t ^ t >>> 14) >>> 0) / 4_294_967_296;
  };
}

/** A REST interface that answers, overlaps, fails, hangs, comes late, and gives its pages in no order. */
function unreliable(venue: Venue, random: () => number): Backfill {
  return async ({ since }, signal) => {
    const dice = random();
    if (dice < 0.2) throw new Error("503");
    if (dice < 0.3) return await new Promise(() => {}); // hangs
    if (dice < 0.6) await new Promise((resolve) => setTimeout(resolve, random() * 3_000));
    if (signal.aborted) throw signal.reason;
    const overlap = random() < 0.5 ? 0 : random() * 2_000;
    const missed = venue.log.filter(({ at }) => at >= since - overlap);
    const pages = Array.from({ length: 3 }, (_, i) => missed.filter(({ seq }) => seq % 3 === i));
    return pages.sort(() => random() - 0.5).flat().sort((a, b) => a.seq - b.seq);
  };
}

async function history(seed: number): Promise<void> {
  const random = randomOf(seed);
  const { random: own } = Math;
  Math.random = random;
  using time = new FakeTime(1_000_000);
  try {
    const venue = new Venue();
    const feed = new Filling(venue, {
      backfillTimeout: 1_000 + random() * 4_000,
      connectTimeout: 5_000,
    });
    feed.fill = unreliable(venue, random);
    await live(time, venue, feed);
    const step = async (isCalm: boolean) => {
      for (let n = random() * 4; n > 1; n--) venue.make(SYMBOLS[Math.floor(random() * 3)]);
      const socket = venue.sockets.at(-1)!;
      const dice = isCalm ? 1 : random();
      if (dice < 0.08) socket.end();
      else if (dice < 0.12) { // dies unnoticed; the close comes later
        socket.isUp = false;
        setTimeout(() => socket.end(), random() * 2_000);
      } else if (dice < 0.16 && feed.state === "live") feed.swap();
      for (const waiting of venue.sockets) {
        if (waiting.readyState === 0 && (isCalm || random() < 0.7)) waiting.open();
      }
      await pass(time, isCalm ? 200 : random() * 400);
    };
    for (let i = 0; i < 60; i++) await step(false);
    for (let i = 0; i < 60; i++) await step(true); // longer than any timeout

    assertEquals(feed.state, "live");
    const told = feed.gaps.filter(({ filled }) => !filled);
    const isTold = ({ at }: Item) => told.some(({ since, until }) => since <= at && at <= until);
    const delivered = new Set(seqs(feed.delivered));
    assertEquals(delivered.size, feed.delivered.length, "each once");
    for (const item of venue.log) {
      assert(delivered.has(item.seq) || isTold(item), `item ${item.seq} is missing, untold`);
    }
    for (const symbol of SYMBOLS) {
      // An item that was told as missing may come late, by the overlap of a later backfill.
      const own = feed.delivered.filter((item) => item.symbol === symbol && !isTold(item));
      assertEquals(seqs(own), seqs(own).sort((a, b) => a - b), "in order");
    }
    const closing = feed.close();
    await pass(time, 10_000);
    await closing;
  } finally {
    Math.random = own;
  }
}

Deno.test("property: WebSocketFeeder delivers the venue's log, each item once and in order, or tells of a gap that covers what is missing", async () => {
  const runs = Number(Deno.env.get("RUNS") ?? 200);
  for (let seed = 1; seed <= runs; seed++) {
    try {
      await history(seed);
    } catch (error) {
      throw new Error(`seed ${seed}`, { cause: error });
    }
  }
});
