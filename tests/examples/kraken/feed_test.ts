import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import type { FeedError } from "@aio-trader/core";
import type { FeedClient } from "@aio-trader/core/testing";
import {
  type KrakenBook,
  KrakenFeed,
  type KrakenFeedOptions,
  type KrakenItem,
  type KrakenSubscription,
} from "../../../examples/kraken/feed.ts";
import {
  KrakenSimulator,
  type KrakenSimulatorOptions,
} from "../../../examples/kraken/simulator.ts";
import { ServedVenue } from "../../../examples/served_venue.ts";
import { recording } from "./recording.ts";

const BTC: KrakenSubscription = { channel: "book", symbol: "BTC/USD" };
const ETH: KrakenSubscription = { channel: "book", symbol: "ETH/USD" };

/** A feed that keeps what it delivered and reported, and reads frames without a socket. */
class Feed extends KrakenFeed {
  readonly items: KrakenItem[] = [];
  readonly errors: string[] = [];
  readonly sent: string[] = [];

  constructor(options: KrakenFeedOptions) {
    super({
      baseWait: 10,
      jitter: 0,
      tap: (direction, data) => direction === "out" && this.sent.push(String(data)),
      ...options,
    });
    this.on("item", (item) => this.items.push(item));
    this.on("error", (error: FeedError) => this.errors.push(error.message));
  }

  read(frame: string): void {
    this.receive(frame);
  }

  count(type: KrakenBook["type"]): number {
    return this.items.filter((item) => item.channel === "book" && item.type === type).length;
  }
}

/** A venue that stands still but for `step()`. */
function still(options: KrakenSimulatorOptions = {}): KrakenSimulator {
  return new KrakenSimulator({ seed: 7, interval: 0, ...options });
}

async function connected(
  venue: { wsUrl: string },
  subs: KrakenSubscription[],
  options: KrakenFeedOptions = {},
): Promise<Feed> {
  const feed = new Feed({ url: `${venue.wsUrl}/v2`, ...options });
  feed.subscribe(...subs);
  await feed.connect();
  return feed;
}

async function until(condition: () => boolean): Promise<void> {
  for (let waited = 0; !condition(); waited += 5) {
    if (waited > 20_000) throw new Error(`Never happened: ${condition}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

Deno.test({
  name: "KrakenFeed.receive() matches all 510 checksums of a recording of the venue",
  ignore: recording === undefined,
  fn() {
    const feed = new Feed({});
    feed.subscribe(BTC);
    for (const frame of recording!) feed.read(frame);
    assertEquals(feed.checksums, { verified: 510, failed: 0 });
    assertEquals([feed.count("snapshot"), feed.count("update")], [1, 509]);
    assertEquals(feed.errors, []);
  },
});

Deno.test({
  name: "KrakenFeed matches all 510 checksums of a recording through a socket",
  ignore: recording === undefined,
  async fn() {
    await using venue = scripted(({ method, req_id }, client) => {
      if (method !== "subscribe") return;
      client.send(ack(req_id));
      for (const frame of recording!) client.send(frame);
    });
    await using feed = await connected(venue, [BTC]);
    await until(() => feed.stats.items === 510);
    assertEquals(feed.checksums, { verified: 510, failed: 0 });
    assertEquals(feed.errors, []);
  },
});

Deno.test("KrakenFeed delivers books that equal the venue's, level by level", async () => {
  await using venue = still();
  const deep: KrakenSubscription = { channel: "book", symbol: "DOGE/USD", depth: 25 };
  await using feed = await connected(venue, [BTC, ETH, deep]);
  await until(() => feed.books.size === 3);
  for (let i = 0; i < 200; i++) venue.step();
  const same = (symbol: string, depth: number) => {
    const { bids, asks } = feed.books.get(symbol)!;
    return JSON.stringify({ bids, asks }) === JSON.stringify(venue.book(symbol, depth));
  };
  await until(() => same("BTC/USD", 10) && same("ETH/USD", 10) && same("DOGE/USD", 25));
  assertEquals(feed.checksums.failed, 0);
  const last = feed.items.findLast((item) => item.channel === "book" && item.symbol === "BTC/USD");
  const { bids, asks } = feed.books.get("BTC/USD")!;
  assert(last?.channel === "book" && Math.abs(last.time! - Date.now()) < 60_000, "event time");
  const { time } = last;
  assertEquals(last, { channel: "book", type: "update", symbol: "BTC/USD", bids, asks, time });
});

Deno.test("KrakenFeed asks with one frame for all symbols of a channel and depth", async () => {
  await using venue = still();
  const trades: KrakenSubscription = { channel: "trade", symbol: "BTC/USD" };
  await using feed = await connected(venue, [BTC, trades, ETH]);
  await until(() => feed.sent.length === 2);
  assertEquals(feed.sent.map((frame) => JSON.parse(frame).params), [
    { channel: "book", symbol: ["BTC/USD", "ETH/USD"] },
    { channel: "trade", symbol: ["BTC/USD"] },
  ]);
});

Deno.test("KrakenFeed gives up what the venue refuses, says so, and keeps the rest", async () => {
  await using venue = still();
  await using feed = await connected(venue, [
    BTC,
    { channel: "book", symbol: "ETH/USD", depth: 27 as 25 },
    { channel: "trade", symbol: "BTC/USD" },
    { channel: "trade", symbol: "FOO/BAR" },
  ]);
  await until(() => feed.errors.length === 2 && feed.books.size === 1);
  assertEquals(feed.errors, [
    "Cannot subscribe to book ETH/USD: Subscription depth not supported",
    "Cannot subscribe to trade FOO/BAR: Currency pair not supported FOO/BAR",
  ]);
  assertEquals([...feed.subscriptions.keys()], ["book BTC/USD", "trade BTC/USD"]);
  assertEquals([feed.state, feed.stats.attempts], ["live", 1]);
});

Deno.test("KrakenFeed keeps a subscription whose earlier depth was refused", async () => {
  await using venue = still();
  await using feed: Feed = new Feed({
    url: `${venue.wsUrl}/v2`,
    // Before the refusal can be here.
    tap: (direction) => direction === "out" && feed.subscribe({ ...BTC, depth: 25 }),
  });
  feed.subscribe({ ...BTC, depth: 27 as 25 });
  await feed.connect();
  await until(() => feed.books.has("BTC/USD"));
  assertEquals(feed.subscriptions.get("book BTC/USD")?.depth, 25);
  assertEquals(feed.errors, []);
});

Deno.test("KrakenFeed resubscribes on the same socket after a wrong checksum", async () => {
  await using venue = still();
  await using feed = await connected(venue, [BTC, ETH]);
  await until(() => feed.books.size === 2);
  venue.inflict("corrupt");
  // The frames after the wrong one are under way when it is noticed.
  for (let i = 0; i < 20; i++) venue.step();
  await until(() => feed.count("mismatch") > 0 && feed.books.size === 2);
  const [wrong, ...others] = feed.items.filter((item) =>
    item.channel === "book" && item.type === "mismatch"
  );
  assertEquals(others, []);
  assert(wrong.channel === "book");
  assertEquals([wrong.bids, wrong.asks], [[], []]);
  const after = feed.items.slice(feed.items.indexOf(wrong) + 1)
    .find((item) => item.channel === "book" && item.symbol === wrong.symbol);
  assert(after?.channel === "book");
  assertEquals(after.type, "snapshot", "nothing of that symbol is delivered before its snapshot");
  assertEquals(feed.checksums.failed, 1);
  assertEquals([feed.stats.attempts, venue.stats.accepted], [1, 1], "the same socket");
  const requests = feed.sent.map((frame) => JSON.parse(frame)).slice(-2);
  assertEquals(requests.map(({ method, params }) => [method, params.symbol]), [
    ["unsubscribe", [wrong.symbol]],
    ["subscribe", [wrong.symbol]],
  ]);
});

Deno.test("KrakenFeed keeps a connection whose wrong checksums are not in a row", async () => {
  await using venue = still();
  await using feed = await connected(venue, [BTC]);
  for (let wrong = 1; wrong <= 4; wrong++) {
    await until(() => feed.books.size === 1);
    venue.inflict("corrupt");
    for (let i = 0; i < 20; i++) venue.step();
    await until(() => feed.checksums.failed === wrong);
  }
  await until(() => feed.books.size === 1);
  assertEquals(feed.stats.attempts, 1);
});

Deno.test("KrakenFeed asks ever more slowly where every checksum is wrong, and stays", async () => {
  const wrong = '{"channel":"book","type":"snapshot","data":[{"symbol":"BTC/USD",' +
    '"bids":[{"price":1.0,"qty":1.0}],"asks":[{"price":2.0,"qty":1.0}],"checksum":1}]}';
  await using venue = scripted(({ method, req_id }, client) => {
    client.send(ack(req_id, method));
    if (method === "subscribe") client.send(wrong);
  });
  await using feed = await connected(venue, [BTC]);
  const start = performance.now();
  await until(() => feed.checksums.failed === 4);
  // Repairs at once, after 1 s and after 2 s.
  assert(performance.now() - start >= 2_900, "the waits double");
  assertEquals([feed.stats.attempts, feed.state], [1, "live"]);
  assert(feed.sent.filter((frame) => frame.includes("subscribe")).length <= 8);
});

for (
  const words of [
    '{"Error":"Exceeded msg rate"}',
    '{"error":"Exceeded msg rate"}',
    '{"errorMessage":"Exceeded msg rate","event":"error"}',
    '{"status":"error","reason":"Exceeded msg rate"}',
  ]
) {
  Deno.test(`KrakenFeed tells ${words} and asks again`, async () => {
    let asked = 0;
    await using venue = scripted(({ method, req_id }, client) => {
      if (method === "subscribe") client.send(++asked === 1 ? words : ack(req_id));
    });
    await using feed = await connected(venue, [BTC], { confirmTimeout: 50 });
    let isWhole = false;
    feed.on("subscribed", () => isWhole = true);
    await until(() => isWhole);
    assertEquals([asked, feed.stats.attempts], [2, 1]);
    assertEquals(feed.errors.length, 1);
    assertStringIncludes(feed.errors[0], "Exceeded msg rate");
    assert(!feed.errors[0].includes("undefined"), feed.errors[0]);
  });
}

Deno.test("KrakenFeed asks again where a subscribe is not answered", async () => {
  let asked = 0;
  await using venue = scripted(({ method, req_id }, client) => {
    if (method === "subscribe" && ++asked > 1) client.send(ack(req_id));
  });
  await using feed = await connected(venue, [BTC], { confirmTimeout: 50 });
  let isWhole = false;
  feed.on("subscribed", () => isWhole = true);
  await until(() => isWhole);
  assertEquals([asked, feed.errors], [2, []]);
});

Deno.test("KrakenFeed keeps a subscription that is refused for a passing reason", async () => {
  let asked = 0;
  await using venue = scripted(({ method, req_id }, client) => {
    if (method !== "subscribe") return;
    const refusal = { method, req_id, success: false, error: "Exceeded msg rate" };
    client.send(++asked === 1 ? JSON.stringify(refusal) : ack(req_id));
  });
  await using feed = await connected(venue, [BTC]);
  await until(() => asked === 2);
  assertEquals([...feed.subscriptions.keys()], ["book BTC/USD"]);
  assertStringIncludes(feed.errors[0], "Exceeded msg rate; asked again in");
});

Deno.test("KrakenFeed gets a book back whose subscription stands at the venue", async () => {
  const methods: string[] = [];
  const snapshot = '{"channel":"book","type":"snapshot","data":[{"symbol":"BTC/USD","bids":[],' +
    '"asks":[],"checksum":0}]}';
  await using venue = scripted(({ method, req_id }, client) => {
    methods.push(method);
    const symbol = "BTC/USD";
    const standing = { method, req_id, success: false, error: "Already subscribed", symbol };
    const isFirst = methods.length === 1;
    client.send(isFirst ? JSON.stringify(standing) : ack(req_id, method));
    if (method === "subscribe" && !isFirst) client.send(snapshot);
  });
  await using feed = await connected(venue, [BTC]);
  await until(() => feed.books.size === 1);
  assertEquals(methods, ["subscribe", "unsubscribe", "subscribe"]);
});

Deno.test("KrakenFeed delivers a trade once, though each connection repeats it", async () => {
  const trade = (id: number) =>
    `{"symbol":"BTC/USD","side":"buy","price":1.0,"qty":1.0,"ord_type":"market","trade_id":${id},` +
    '"timestamp":"2026-11-25T00:00:00.000000Z"}';
  let connections = 0;
  await using venue = scripted(({ method, req_id }, client) => {
    if (method !== "subscribe") return;
    client.send(ack(req_id));
    const ids = ++connections === 1 ? [1, 2, 3] : [2, 3, 4];
    client.send(`{"channel":"trade","type":"snapshot","data":[${ids.map(trade)}]}`);
    if (connections === 1) client.close(1012, "Service restart");
  });
  await using feed = await connected(venue, [{ channel: "trade", symbol: "BTC/USD" }]);
  const ids = () => feed.items.flatMap((item) => item.channel === "trade" ? [item.trade_id] : []);
  await until(() => ids().includes(4));
  assertEquals(ids(), [1, 2, 3, 4]);
  assertEquals((feed.items[0] as { time: number }).time, Date.UTC(2026, 10, 25));
});

Deno.test("KrakenFeed asks for tickers by the best prices, and passes quietAfter on", async () => {
  await using venue = still();
  await using feed = await connected(venue, [{ channel: "ticker", symbol: "BTC/USD" }], {
    quietAfter: 50,
  });
  let quiet: unknown;
  feed.on("quiet", ({ key }) => quiet = key);
  await until(() => quiet !== undefined);
  assertEquals(quiet, "ticker BTC/USD");
  assertEquals(JSON.parse(feed.sent[0]).params.event_trigger, "bbo");
});

Deno.test("KrakenFeed restores its subscriptions after the venue restarts", async () => {
  await using venue = still();
  await using feed = await connected(venue, [BTC, ETH, { channel: "ticker", symbol: "BTC/USD" }]);
  await until(() => feed.books.size === 2);
  const booksWhenDown: number[] = [];
  feed.on("retry", () => booksWhenDown.push(feed.books.size));
  venue.inflict("refuse");
  venue.inflict("drop");
  await until(() => feed.stats.connections === 2 && feed.books.size === 2);
  assertEquals(booksWhenDown, [0, 0], "no book is relied on without a connection");
  const [{ held }] = venue.venue.feed.clients;
  await until(() => held.size === 3);
  assertEquals([...held], [...feed.subscriptions.keys()]);
  assertEquals(feed.stats.attempts, 3);
  assertEquals(feed.errors, []);
});

Deno.test("KrakenFeed replaces a connection that has gone silent", async () => {
  await using venue = still({ interval: 20 });
  await using feed = await connected(venue, [BTC], { staleAfter: 1_000, pingInterval: 300 });
  await until(() => feed.books.size === 1);
  const reasons: string[] = [];
  feed.on("retry", ({ ending }) => reasons.push(ending.reason));
  venue.inflict("silence");
  await until(() => feed.stats.connections === 2 && feed.books.size === 1);
  assertEquals(reasons[0], "silent for 1000 ms");
});

Deno.test("KrakenFeed pings, so that a feed without subscriptions hears something", async () => {
  await using venue = still();
  await using feed = await connected(venue, [], { pingInterval: 20 });
  await until(() => feed.stats.frames > 3);
  assertEquals(new Set(feed.sent), new Set(['{"method":"ping"}']));
  assertEquals(feed.errors, []);
});

Deno.test("KrakenFeed delivers tickers and trades with their decimals as text", async () => {
  await using venue = still();
  await using feed = await connected(venue, [
    { channel: "ticker", symbol: "BTC/USD" },
    { channel: "trade", symbol: "BTC/USD" },
  ]);
  await until(() => venue.followers[0]?.held.size === 2);
  while (venue.markets.get("BTC/USD")!.traded.lots === 0) venue.step();
  await until(() => feed.items.some((item) => item.channel === "trade"));
  const ticker = feed.items.find((item) => item.channel === "ticker");
  const trade = feed.items.find((item) => item.channel === "trade");
  assert(ticker?.channel === "ticker" && trade?.channel === "trade");
  for (const text of [ticker.bid, ticker.ask, ticker.last, trade.price]) {
    assert(/^\d+\.\d$/.test(text), text);
  }
  assert(/^\d+\.\d{8}$/.test(trade.qty), trade.qty);
  assertEquals([trade.symbol, trade.trade_id], ["BTC/USD", 1]);
  assert(Math.abs(trade.time - Date.now()) < 60_000);
});

Deno.test("KrakenFeed delivers the venue's status with its connection_id exact", async () => {
  await using venue = still();
  await using feed = await connected(venue, []);
  await until(() => feed.items.length > 0);
  const [status] = feed.items;
  assert(status.channel === "status");
  assertEquals([status.system, status.connection_id], ["online", "12393906104898154338"]);
});

Deno.test("KrakenFeed.unsubscribe() ends a book", async () => {
  await using venue = still();
  await using feed = await connected(venue, [BTC, ETH]);
  await until(() => feed.books.size === 2);
  feed.unsubscribe(BTC);
  await until(() => !feed.books.has("BTC/USD"));
  const before = feed.items.length;
  while (feed.items.length < before + 20) {
    venue.step();
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  const symbols = feed.items.slice(before).map((item) => "symbol" in item && item.symbol);
  assertEquals(new Set(symbols), new Set(["ETH/USD"]));
});

Deno.test("KrakenFeed ignores what was under way when it was unsubscribed", () => {
  const feed = new Feed({});
  feed.read(
    '{"channel":"book","type":"snapshot","data":[{"symbol":"BTC/USD","bids":[],"asks":[],"checksum":0}]}',
  );
  assertEquals([feed.items, feed.books.size], [[], 0]);
});

Deno.test("KrakenFeed.subscribe() with another depth replaces the book", async () => {
  await using venue = still();
  await using feed = await connected(venue, [BTC]);
  await until(() => feed.books.get("BTC/USD")?.depth === 10);
  feed.subscribe({ ...BTC, depth: 25 });
  await until(() => feed.books.get("BTC/USD")?.depth === 25);
  const { bids, asks } = feed.books.get("BTC/USD")!;
  assertEquals({ bids, asks }, venue.book("BTC/USD", 25));
  assertEquals(feed.errors, []);
});

Deno.test("KrakenFeed reports an error that answers none of its requests", () => {
  const feed = new Feed({});
  feed.read('{"method":"subscribe","req_id":99,"success":false,"error":"Malformed request"}');
  assertEquals(feed.errors, ['Cannot subscribe: the venue says "Malformed request"']);
});

Deno.test("KrakenFeed reports a frame that is not JSON and stays connected", async () => {
  await using venue = scripted(({ method }, client) => {
    if (method === "subscribe") client.send('{"channel":"book","data":[{');
  });
  await using feed = await connected(venue, [BTC]);
  await until(() => feed.errors.length === 1);
  assertStringIncludes(feed.errors[0], "Cannot read a frame");
  assertEquals(feed.state, "live");
});

type Request = { method: string; req_id: number };

/** A venue that answers each frame as a test wants it. */
function scripted(answer: (request: Request, client: FeedClient) => void): ServedVenue {
  const venue = new ServedVenue();
  venue.feed.on((frame, client) => answer(JSON.parse(String(frame)), client));
  return venue;
}

function ack(req_id: number, method = "subscribe"): string {
  const result = { channel: "book", symbol: "BTC/USD", depth: 10, snapshot: true };
  return JSON.stringify({ method, req_id, result, success: true });
}
