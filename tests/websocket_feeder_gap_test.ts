import { assert, assertEquals, assertRejects } from "@std/assert";
import { FakeTime } from "@std/testing/time";
import type { FeedEvents } from "../feeder.ts";
import { SimulatedVenue, VirtualTime } from "../testing.ts";
import { WebSocketFeeder } from "../websocket_feeder.ts";
import {
  Feed,
  Filling,
  history,
  type Item,
  live,
  pass,
  seqs,
  settle,
  SYMBOLS,
  Venue,
} from "./numbered_venue.ts";

/** Loses the connection and makes another one; the venue makes an item meanwhile. */
async function lose(time: FakeTime, venue: Venue): Promise<void> {
  venue.sockets.at(-1)!.end();
  venue.make("A");
  await pass(time, 200);
  venue.sockets.at(-1)!.open();
  await pass(time, 0);
}

/** How long a venue that confirms nothing is given to begin: the `overlap` of the feed. */
const OVERLAP = 100;

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
  assertEquals(feed.gaps.length, 0);
  await pass(time, OVERLAP);
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
  await pass(time, OVERLAP);
  assertEquals(seqs(feed.delivered), [0]);
  answer();
  await settle();
  venue.make("A");
  assertEquals(subscribed, [SYMBOLS]);
  assertEquals(seqs(feed.delivered), [0, 1, 2, 3, 4]);
  assertEquals(feed.gaps.map(({ filled }) => filled), [true]);
  await feed.close();
});

Deno.test("WebSocketFeeder asks for a backfill only after overlap, where the venue confirms nothing: the frames take a while", async () => {
  using time = new FakeTime(100_000);
  const venue = new Venue();
  const feed = await live(time, venue, new Filling(venue));
  feed.fill = ({ since }) => venue.log.filter(({ at }) => at >= since);
  venue.latency = () => 75;
  await lose(time, venue);
  await pass(time, 50);
  venue.make("B"); // neither sent, nor in an answer given before
  await pass(time, 100);
  assertEquals(seqs(feed.delivered), [0, 1]);
  assertEquals(feed.gaps.map(({ filled }) => filled), [true]);
  await feed.close();
});

Deno.test("WebSocketFeeder asks for a backfill at once where the venue has confirmed all", async () => {
  using time = new FakeTime(100_000);
  const venue = new Venue();
  class Confirmed extends Filling {
    protected override request(op: "subscribe" | "unsubscribe", symbols: string[]) {
      this.confirmed = () => this.confirm(...symbols);
      return super.request(op, symbols);
    }
    confirmed = () => {};
  }
  const feed = await live(time, venue, new Confirmed(venue, { confirmTimeout: 5_000 }));
  feed.confirmed();
  await lose(time, venue);
  await pass(time, 1_000);
  assertEquals(feed.gaps.length, 0);
  feed.confirmed();
  await settle();
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
  await pass(time, OVERLAP);
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

Deno.test("WebSocketFeeder has the items of a replacement that failed wait on, while the old connection is silent", async () => {
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
  await settle();
  venue.make("C");
  venue.sockets[1].end();
  await pass(time, 100);
  assertEquals(seqs(feed.delivered), [0]);
  for (let i = 0; i < 10; i++) {
    venue.sockets.at(-1)!.open();
    await pass(time, 100);
  }
  assertEquals(seqs(feed.delivered), [0, 1, 2]);
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

Deno.test("WebSocketFeeder delivers the other subscriptions after a loss, though the venue never confirms one", async () => {
  using time = new VirtualTime();
  const silent = new Set<string>();
  const venue = new SimulatedVenue();
  venue.feed.on((frame, client) => {
    const [op, symbol] = String(frame).split(" ");
    if (op === "subscribe" && !silent.has(symbol)) client.send(`ok ${symbol}`);
  });
  class Confirming extends WebSocketFeeder<string> {
    protected override readonly batch = 1;
    protected override endpoint() {
      return venue.wsUrl;
    }
    protected override createSocket(url: string) {
      return venue.createSocket(url);
    }
    protected override request(op: "subscribe" | "unsubscribe", [symbol]: string[]) {
      return `${op} ${symbol}`;
    }
    protected override identify(item: string) {
      return item;
    }
    protected override receive(frame: string | ArrayBuffer) {
      const text = String(frame);
      if (text.startsWith("ok ")) this.confirm(text.slice(3));
      else this.emit(text);
    }
    protected override backfill() {
      return ["missed"];
    }
  }
  const feed = new Confirming({ baseWait: 100, overlap: 100, confirmTimeout: 1_000 });
  const items: string[] = [];
  const gaps: FeedEvents<string>["gap"][] = [];
  feed.on("item", (item) => items.push(item));
  feed.on("gap", (gap) => gaps.push(gap));
  feed.on("error", () => {});
  feed.subscribe("a", "b");
  void feed.connect();
  await time.pass(3_000);
  silent.add("b");
  venue.feed.drop(1012);
  const sent = ["missed"];
  for (let i = 0; i < 40; i++) {
    await time.pass(1_000);
    venue.feed.send(`${i}`);
    if (venue.feed.clients.length > 0) sent.push(`${i}`);
  }
  await time.pass(1_000);
  assertEquals(items, sent);
  assertEquals(gaps.map(({ filled }) => filled), [true]);

  // Once all is confirmed, the gap behind the first one is filled too.
  silent.delete("b");
  await time.pass(30_000);
  assertEquals(gaps.map(({ filled }) => filled), [true, true]);
  assertEquals(gaps[1].since, gaps[0].until);
  await Promise.all([feed.close(), time.pass(5_000)]);
});
