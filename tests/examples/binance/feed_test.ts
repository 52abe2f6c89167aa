import { assert, assertEquals, assertThrows } from "@std/assert";
import type { FeedError, Throttler } from "@aio-trader/core";
import type { FeedClient } from "@aio-trader/core/testing";
import type { DepthEvent, DepthSnapshot } from "../../../examples/binance/book.ts";
import { BinanceBroker } from "../../../examples/binance/broker.ts";
import {
  type BinanceBook,
  BinanceFeed,
  type BinanceFeedOptions,
  type BinanceItem,
  type BinanceSubscription,
} from "../../../examples/binance/feed.ts";
import {
  BinanceSimulator,
  type BinanceSimulatorOptions,
} from "../../../examples/binance/simulator.ts";
import { ServedVenue } from "../../../examples/served_venue.ts";

const BTC: BinanceSubscription = { channel: "book", symbol: "BTCUSDT" };
const ETH: BinanceSubscription = { channel: "book", symbol: "ETHUSDT" };
const DOGE: BinanceSubscription = { channel: "book", symbol: "DOGEUSDT" };
const TRADES: BinanceSubscription = { channel: "trade", symbol: "BTCUSDT" };

/** Nothing of the tests' own waits: only one of them looks at the pace. */
const UNPACED = { run: (fn: () => unknown) => Promise.resolve(fn()) } as Pick<Throttler, "run">;

/** A feed that keeps what it delivered and reported. */
class Feed extends BinanceFeed {
  readonly items: BinanceItem[] = [];
  readonly errors: string[] = [];
  readonly reasons: string[] = [];
  readonly states: string[] = [];
  readonly sent: { method: string; params: string[]; id: number }[] = [];

  constructor(options: BinanceFeedOptions) {
    super({
      baseWait: 10,
      jitter: 0,
      pace: UNPACED,
      tap: (direction, data) => direction === "out" && this.sent.push(JSON.parse(String(data))),
      ...options,
    });
    this.on("item", (item) => this.items.push(item));
    this.on("error", (error: FeedError) => this.errors.push(error.message));
    this.on("retry", ({ ending }) => this.reasons.push(ending.reason));
    this.on("state", ({ state }) => this.states.push(state));
  }

  all(symbol: string): BinanceBook[] {
    return this.items.filter((item) =>
      item.channel === "book" && item.symbol === symbol
    ) as BinanceBook[];
  }

  types(symbol: string): string {
    return this.all(symbol).map(({ type }) => type).join(" ");
  }
}

/** A venue, a broker of it, and a feed; the venue stands still but for `step()`. */
class Setting implements AsyncDisposable {
  readonly venue: BinanceSimulator;
  readonly broker: BinanceBroker;
  readonly feed: Feed;

  private constructor(options: BinanceFeedOptions, market: BinanceSimulatorOptions) {
    this.venue = new BinanceSimulator({ seed: 7, interval: 0, ...market });
    const { httpUrl, wsUrl } = this.venue;
    this.broker = new BinanceBroker({ dataUrl: httpUrl });
    this.feed = new Feed({ url: `${wsUrl}/stream`, broker: this.broker, ...options });
  }

  static async of(
    subs: BinanceSubscription[],
    options: BinanceFeedOptions = {},
    market: BinanceSimulatorOptions = {},
  ): Promise<Setting> {
    const setting = new Setting(options, market);
    setting.feed.subscribe(...subs);
    await setting.feed.connect();
    return setting;
  }

  /** Whether the feed's book is the venue's, as far down as the snapshot went. */
  isEqual(symbol: string): boolean {
    const book = this.feed.books.get(symbol);
    const { bids, asks } = this.venue.book(symbol);
    return JSON.stringify([book?.bids, book?.asks]) === JSON.stringify([bids, asks]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.feed.close();
    await this.broker.close();
    await this.venue.close();
  }
}

async function until(condition: () => boolean): Promise<void> {
  for (let waited = 0; !condition(); waited += 5) {
    if (waited > 20_000) throw new Error(`Never happened: ${condition}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

Deno.test("BinanceFeed delivers books that equal the venue's, level by level", async () => {
  await using setting = await Setting.of([BTC, ETH, DOGE]);
  const { feed, venue } = setting;
  await until(() => feed.books.size === 3);
  for (let i = 0; i < 300; i++) venue.step();
  const symbols = ["BTCUSDT", "ETHUSDT", "DOGEUSDT"];
  await until(() => symbols.every((symbol) => setting.isEqual(symbol)));
  assertEquals(feed.counts, { snapshots: 3, gaps: 0 });
  const last = feed.all("BTCUSDT").at(-1)!;
  const { bids, asks } = venue.book("BTCUSDT", 20);
  const { updateId } = feed.books.get("BTCUSDT")!;
  assert(last.time! > Date.now() - 60_000 && last.time! <= Date.now(), `${last.time}`);
  assertEquals(last, {
    time: last.time,
    channel: "book",
    type: "update",
    symbol: "BTCUSDT",
    updateId: updateId!,
    bids,
    asks,
  });
});

Deno.test("BinanceFeed delivers each book complete while the market moves and snapshots come late", async () => {
  await using setting = await Setting.of([BTC], { depth: 3 }, { interval: 1 });
  const { feed, venue } = setting;
  const states = new Map<number, string>();
  const step = venue.step.bind(venue);
  venue.step = () => {
    step();
    states.set(venue.updateId("BTCUSDT"), JSON.stringify(venue.book("BTCUSDT", 3)));
  };
  await until(() => feed.all("BTCUSDT").length > 100);
  const books = feed.all("BTCUSDT").slice(1); // the snapshot's own may be one of before
  for (const { updateId, bids, asks } of books) {
    assertEquals(JSON.stringify({ bids, asks }), states.get(updateId));
  }
  assertEquals(feed.types("BTCUSDT").split(" ").indexOf("lost"), -1);
});

Deno.test("BinanceFeed keeps the events that come before the snapshot, and goes on from there", async () => {
  const { promise: mayAnswer, resolve: answer } = Promise.withResolvers<void>();
  const asked: DepthSnapshot[] = [];
  await using setting = await Setting.of([BTC], {
    broker: {
      async depth(symbol, limit) {
        const snapshot = await setting.broker.depth(symbol, limit);
        asked.push(snapshot);
        await mayAnswer;
        return snapshot;
      },
    },
  });
  const { feed, venue } = setting;
  await until(() => asked.length === 1);
  const frames = feed.stats.frames;
  for (let i = 0; i < 20; i++) venue.step();
  await until(() => feed.stats.frames >= frames + 15);
  assertEquals([feed.items, feed.books.size], [[], 0]);
  answer();
  await until(() => setting.isEqual("BTCUSDT"));
  assertEquals(feed.types("BTCUSDT"), "snapshot", "events that were waiting are in the first book");
  assertEquals(asked.length, 1);
});

Deno.test("BinanceFeed asks again where a snapshot is too old", async () => {
  const { promise: underWay, resolve: go } = Promise.withResolvers<void>();
  const old: DepthSnapshot[] = [];
  let asked = 0;
  await using setting = await Setting.of([BTC], {
    broker: {
      async depth(symbol, limit) {
        await underWay;
        return ++asked <= 2 ? old[0] : await setting.broker.depth(symbol, limit);
      },
    },
  });
  const { feed, venue, broker } = setting;
  old.push(await broker.depth("BTCUSDT", 1_000));
  await until(() => feed.sent.length === 1 && feed.stats.frames === 1);
  venue.inflict("corrupt");
  for (let i = 0; i < 10; i++) venue.step();
  await until(() => feed.stats.frames > 5);
  go();
  await until(() => setting.isEqual("BTCUSDT"));
  assertEquals([asked, feed.counts.snapshots, feed.types("BTCUSDT")], [3, 1, "snapshot"]);
});

Deno.test("BinanceFeed tries a new connection where every snapshot is too old", async () => {
  await using venue = scripted(({ method, params, id }, client) => {
    client.send(JSON.stringify({ result: null, id }));
    if (method === "SUBSCRIBE") client.send(depth(params[0], 201, 201));
  });
  const broker = { depth: () => Promise.resolve(FLAT) };
  await using feed = new Feed({ url: venue.wsUrl, broker });
  feed.subscribe(BTC);
  await feed.connect();
  await until(() => feed.reasons.length > 0);
  assertEquals(feed.reasons[0], "Cannot load BTCUSDT: the snapshots are too old");
  await until(() => feed.stats.connections === 2);
});

Deno.test("BinanceFeed.close() asks for no more snapshots", async () => {
  let asked = 0;
  await using venue = scripted(({ method, params, id }, client) => {
    if (method === "SUBSCRIBE") client.send(depth(params[0], 201, 201));
    client.send(JSON.stringify({ result: null, id }));
    if (method === "SUBSCRIBE") client.send(depth(params[0], 202, 202));
  });
  const broker = { depth: () => Promise.resolve((asked++, FLAT)) };
  await using feed = new Feed({ url: venue.wsUrl, broker });
  feed.subscribe(BTC);
  await feed.connect();
  await until(() => asked === 4);
  await feed.close();
  const before = asked;
  await new Promise((resolve) => setTimeout(resolve, 600));
  assertEquals([asked, feed.errors], [before, []]);
});

Deno.test("BinanceFeed notices a gap, and loads a new snapshot on the same socket", async () => {
  await using setting = await Setting.of([BTC, ETH]);
  const { feed, venue } = setting;
  await until(() => feed.books.size === 2);
  venue.inflict("corrupt");
  while (feed.counts.gaps === 0) {
    venue.step();
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  await until(() => feed.books.size === 2);
  for (let i = 0; i < 10; i++) venue.step();
  await until(() => setting.isEqual("BTCUSDT") && setting.isEqual("ETHUSDT"));
  assertEquals([feed.counts, feed.stats.attempts], [{ snapshots: 3, gaps: 1 }, 1]);
  const losses = feed.items.filter((item) => item.channel === "book" && item.type === "lost");
  assertEquals(losses.length, 1);
  const [lost] = losses as BinanceBook[];
  assertEquals([lost.bids, lost.asks], [[], []]);
  const after = feed.all(lost.symbol);
  assertEquals(after[after.indexOf(lost) + 1].type, "snapshot");
  assertEquals(feed.sent.length, 1, "the venue was asked nothing more");
});

Deno.test("BinanceFeed restores its books after the venue restarts", async () => {
  await using setting = await Setting.of([BTC, ETH, TRADES]);
  const { feed, venue } = setting;
  await until(() => feed.books.size === 2);
  const booksWhenDown: number[] = [];
  feed.on("retry", () => booksWhenDown.push(feed.books.size));
  venue.inflict("refuse");
  venue.inflict("drop");
  await until(() => feed.stats.connections === 2 && feed.books.size === 2);
  venue.step();
  await until(() => setting.isEqual("BTCUSDT") && setting.isEqual("ETHUSDT"));
  assertEquals(booksWhenDown, [0, 0], "no book is relied on without a connection");
  assertEquals([...venue.followers[0].held], [
    "btcusdt@depth@100ms",
    "ethusdt@depth@100ms",
    "btcusdt@trade",
  ]);
  assertEquals(feed.errors, []);
});

Deno.test("BinanceFeed replaces a connection in time without a gap, and tells every trade once", async () => {
  await using setting = await Setting.of([BTC, TRADES], { maxLifetime: 300, overlap: 100 }, {
    interval: 2,
  });
  const { feed, venue } = setting;
  await until(() => feed.stats.connections === 4);
  assertEquals(feed.states, ["connecting", "live"]);
  assertEquals(feed.counts, { snapshots: 1, gaps: 0 });
  const ids = feed.all("BTCUSDT").map(({ updateId }) => updateId);
  assert(ids.every((id, i) => i === 0 || id > ids[i - 1]), "books go forward only");
  const trades = feed.items.flatMap((item) => item.channel === "trade" ? [item.id] : []);
  assert(trades.length > 50, `${trades.length} trades`);
  assertEquals(trades, trades.map((_, i) => trades[0] + i));
  venue.freeze();
  await until(() => setting.isEqual("BTCUSDT"));
  assertEquals([feed.errors, feed.reasons], [[], []]);
});

for (const isDelivered of [true, false]) {
  const what = isDelivered ? "still delivers" : "never does";
  Deno.test(`BinanceFeed waits for what a new connection is ahead by and the old one ${what}`, async () => {
    const clients: FeedClient[] = [];
    await using venue = scripted(({ method, id }, client) => {
      client.send(JSON.stringify({ result: null, id }));
      if (method !== "SUBSCRIBE") return;
      clients.push(client);
      if (clients.length !== 2) return;
      client.send(depth("btcusdt", 103, 104));
      if (isDelivered) setTimeout(() => clients[0].send(depth("btcusdt", 101, 103)), 50);
    });
    let loads = 0;
    const broker = {
      depth: () => Promise.resolve({ ...FLAT, lastUpdateId: loads++ === 0 ? 100 : 104 }),
    };
    const options = { maxLifetime: 500, overlap: 100, url: venue.wsUrl, broker };
    await using feed = new Feed(options);
    feed.subscribe(BTC);
    await feed.connect();
    await until(() => feed.stats.connections === 2 && feed.books.get("BTCUSDT")?.updateId === 104);
    assertEquals(feed.types("BTCUSDT"), `snapshot ${isDelivered ? "update" : "lost snapshot"}`);
    assertEquals(feed.counts.gaps, isDelivered ? 0 : 1);
    assertEquals(feed.errors, []);
  });
}

Deno.test("BinanceFeed moves to a new connection without a gap when the venue announces its shutdown", async () => {
  await using setting = await Setting.of([BTC, TRADES], { overlap: 100 }, { interval: 2 });
  const { feed, venue } = setting;
  await until(() => feed.books.size === 1);
  venue.announceShutdown();
  await until(() => feed.stats.connections === 2);
  await until(() => venue.venue.feed.clients.length === 1);
  assertEquals(feed.states, ["connecting", "live"]);
  assertEquals(feed.counts, { snapshots: 1, gaps: 0 });
  const before = feed.items.length;
  await until(() => feed.items.length > before + 100);
  const trades = feed.items.flatMap((item) => item.channel === "trade" ? [item.id] : []);
  assertEquals(trades, trades.map((_, i) => trades[0] + i));
  assertEquals([feed.stats.attempts, feed.errors, feed.reasons], [2, [], []]);
});

for (
  const [sides, levels] of [["b", 100], ["a", 100], ["ab", 150], ["b", 40], ["a", 7]] as const
) {
  Deno.test(`BinanceFeed has the next snapshot take over while prices walk out of the one that it has: ${levels} levels of ${sides} at a time`, async () => {
    const steps = Math.ceil(1_300 / levels);
    const all = { b: ladder(2_000, -1), a: ladder(2_000, 1) };
    /** What goes with an event, until more is gone than the first snapshot held. */
    const gone = (side: "b" | "a", step: number) =>
      sides.includes(side)
        ? all[side].slice(step * levels, (step + 1) * levels).map(([price]) =>
          [price, "0.0"] as const
        )
        : [];
    await using venue = scripted(async ({ method, id }, client) => {
      client.send(JSON.stringify({ result: null, id }));
      if (method !== "SUBSCRIBE") return;
      for (let step = 0; step < steps; step++) {
        await new Promise((resolve) => setTimeout(resolve, 10));
        const u = 101 + step;
        client.send(depth("btcusdt", u, u, gone("b", step), gone("a", step)));
      }
    });
    const broker = {
      depth: () => {
        const lastUpdateId = feed.books.get("BTCUSDT")?.updateId ?? 100;
        const left = (side: "b" | "a") => {
          const from = sides.includes(side) ? (lastUpdateId - 100) * levels : 0;
          return all[side].slice(from, from + 1_000);
        };
        return Promise.resolve({ lastUpdateId, bids: left("b"), asks: left("a") });
      },
    };
    await using feed: Feed = new Feed({ url: venue.wsUrl, broker, depth: 10 });
    feed.subscribe(BTC);
    await feed.connect();
    await until(() => feed.books.get("BTCUSDT")?.updateId === 100 + steps);
    assert(!feed.types("BTCUSDT").includes("lost"), feed.types("BTCUSDT"));
    const { snapshots } = feed.counts;
    assert(snapshots >= 2 && snapshots <= 5, `${snapshots} snapshots`);
    const { bids, asks } = feed.books.get("BTCUSDT")!;
    const best = (side: "b" | "a") => all[side][sides.includes(side) ? steps * levels : 0][0];
    assertEquals([bids[0].price, asks[0].price], [best("b"), best("a")]);
  });
}

Deno.test("BinanceFeed loads a new snapshot where prices leap out of the one that it has", async () => {
  await using venue = scripted(({ method, id }, client) => {
    client.send(JSON.stringify({ result: null, id }));
    if (method !== "SUBSCRIBE") return;
    // Nine of a thousand bids are left, of which the feed shows ten.
    const gone = ladder(1_000, -1).slice(0, 991).map(([price]) => [price, "0.0"] as const);
    setTimeout(() => client.send(depth("btcusdt", 101, 1_091, gone)), 50);
  });
  let loads = 0;
  const broker = {
    depth: () => {
      const [bids, asks] = [ladder(1_000, -1), ladder(1_000, 1)];
      return Promise.resolve({ lastUpdateId: loads++ === 0 ? 100 : 2_000, bids, asks });
    },
  };
  await using feed = new Feed({ url: venue.wsUrl, broker, depth: 10 });
  feed.subscribe(BTC);
  await feed.connect();
  await until(() => feed.books.get("BTCUSDT")?.updateId === 2_000);
  assertEquals(feed.types("BTCUSDT"), "snapshot lost snapshot");
  assertEquals(feed.counts, { snapshots: 2, gaps: 0 });
});

Deno.test("BinanceFeed gives up a symbol that does not exist, says so, and keeps the rest", async () => {
  const foo: BinanceSubscription = { channel: "book", symbol: "FOOBAR" };
  await using setting = await Setting.of([foo, BTC]);
  const { feed, venue } = setting;
  await until(() => feed.errors.length === 1 && feed.books.size === 1);
  assertEquals(feed.errors, [
    "Cannot subscribe to book FOOBAR: Binance says -1121: Invalid symbol.",
  ]);
  assertEquals([...feed.subscriptions.keys()], ["book BTCUSDT"]);
  venue.step();
  await until(() => setting.isEqual("BTCUSDT"));
});

Deno.test("BinanceFeed gives up what the venue refuses, and says why", async () => {
  await using setting = await Setting.of([{ channel: "trade", symbol: "BTC/USDT" }]);
  const { feed } = setting;
  await until(() => feed.errors.length === 1);
  assertEquals(feed.errors, [
    "Cannot subscribe to trade BTC/USDT: Invalid request: malformed stream name",
  ]);
  assertEquals([feed.subscriptions.size, feed.state], [0, "live"]);
});

Deno.test("BinanceFeed reads errors in both of the venue's forms", async () => {
  for (const error of [{ code: 2, msg: "No" }, { error: { code: 2, msg: "No" } }]) {
    await using venue = scripted(({ id }, client) => {
      client.send(JSON.stringify({ ...error, id }));
    });
    await using feed = new Feed({ url: venue.wsUrl, broker: { depth: () => Promise.reject() } });
    feed.subscribe(TRADES);
    await feed.connect();
    await until(() => feed.errors.length === 1);
    assertEquals(feed.errors, ["Cannot subscribe to trade BTCUSDT: No"]);
  }
});

Deno.test("BinanceFeed asks for a snapshot again after the broker has failed", async () => {
  let isDown = true;
  await using setting = await Setting.of([BTC], {
    broker: {
      depth: (symbol, limit) =>
        isDown ? down.depth(symbol, limit) : setting.broker.depth(symbol, limit),
    },
  });
  const { feed, venue } = setting;
  await using down = new BinanceBroker({ dataUrl: "http://127.0.0.1:1", retry: false });
  await until(() => feed.errors.length === 1);
  assert(feed.errors[0].startsWith("Cannot load BTCUSDT: Cannot GET"), feed.errors[0]);
  isDown = false;
  venue.step();
  await until(() => setting.isEqual("BTCUSDT"));
  assertEquals(feed.stats.attempts, 1);
});

Deno.test("BinanceFeed sends at most five frames in any second, and asks for many streams in one", async () => {
  await using setting = await Setting.of([BTC, ETH, DOGE, TRADES], { pace: undefined });
  const { feed, venue } = setting;
  for (let i = 0; i < 3; i++) {
    feed.unsubscribe(TRADES);
    await new Promise((resolve) => setTimeout(resolve, 1));
    feed.subscribe(TRADES);
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  await until(() => venue.followers[0]?.held.size === 4);
  await until(() => feed.sent.length >= 5 && feed.books.size === 3);
  assertEquals(feed.sent[0].params.length, 4);
  assertEquals([feed.reasons, feed.stats.attempts], [[], 1], "the venue throws out who is faster");
});

Deno.test("BinanceFeed pings, so that it hears something of a quiet market, and notices silence", async () => {
  const options = { staleAfter: 900, pingInterval: 250 };
  await using setting = await Setting.of([TRADES], options);
  const { feed, venue } = setting;
  await new Promise((resolve) => setTimeout(resolve, 1_500));
  assertEquals([feed.reasons, feed.errors], [[], []]);
  venue.inflict("silence");
  await until(() => feed.reasons.length > 0);
  assertEquals(feed.reasons[0], "silent for 900 ms");
  await until(() => feed.state === "live");
});

Deno.test("BinanceFeed delivers trades with their decimals as text", async () => {
  await using setting = await Setting.of([TRADES]);
  const { feed, venue } = setting;
  await until(() => venue.followers[0]?.held.size === 1);
  while (!feed.items.some((item) => item.channel === "trade")) {
    venue.step();
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  const [trade] = feed.items;
  assert(trade.channel === "trade");
  assertEquals([trade.symbol, trade.id], ["BTCUSDT", 1]);
  assert(/^\d+\.\d{8}$/.test(trade.price) && /^\d+\.\d{8}$/.test(trade.qty));
  assert(Math.abs(trade.time - Date.now()) < 60_000);
});

Deno.test("BinanceFeed tells what the taker did", async () => {
  await using venue = scripted(({ id }, client) => {
    client.send(JSON.stringify({ result: null, id }));
    for (const [t, m] of [[1, true], [2, false]] as const) {
      const data = { e: "trade", s: "BTCUSDT", t, p: "1.0", q: "2.0", T: 3, m, M: true };
      client.send(JSON.stringify({ stream: "btcusdt@trade", data }));
    }
  });
  await using feed = new Feed({ url: venue.wsUrl, broker: { depth: () => Promise.reject() } });
  feed.subscribe(TRADES);
  await feed.connect();
  await until(() => feed.items.length === 2);
  const common = { channel: "trade", symbol: "BTCUSDT", price: "1.0", qty: "2.0", time: 3 };
  assertEquals(feed.items as unknown[], [
    { ...common, id: 1, side: "sell" },
    { ...common, id: 2, side: "buy" },
  ]);
});

Deno.test("BinanceFeed.unsubscribe() ends a book", async () => {
  await using setting = await Setting.of([BTC, ETH]);
  const { feed, venue } = setting;
  await until(() => feed.books.size === 2);
  feed.unsubscribe(BTC);
  await until(() => !feed.books.has("BTCUSDT"));
  const before = feed.items.length;
  while (feed.items.length < before + 20) {
    venue.step();
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  assertEquals(new Set(feed.items.slice(before).map((item) => item.symbol)), new Set(["ETHUSDT"]));
  feed.subscribe(BTC);
  await until(() => setting.isEqual("BTCUSDT"));
});

Deno.test("BinanceFeed refuses more streams than a connection may have", () => {
  const feed = new Feed({ url: "ws://127.0.0.1:1", broker: { depth: () => Promise.reject() } });
  const subs = Array.from({ length: 1_025 }, (_, i) => ({ ...BTC, symbol: `S${i}` }));
  assertThrows(
    () => feed.subscribe(...subs),
    RangeError,
    "1025 subscriptions, wanted at most 1024",
  );
});

Deno.test("BinanceFeed refuses a depth that a snapshot may not hold", () => {
  for (const depth of [0, 1.5, 501, NaN]) {
    assertThrows(() => new BinanceFeed({ depth }), RangeError, `depth is ${depth}`);
  }
});

type Request = { method: string; params: string[]; id: number };

const FLAT: DepthSnapshot = { lastUpdateId: 100, bids: [["1.0", "1.0"]], asks: [["2.0", "1.0"]] };

/** A combined-stream frame with a depth event. */
function depth(
  name: string,
  U: number,
  u: number,
  b: DepthEvent["b"] = [],
  a: DepthEvent["a"] = [],
): string {
  const [symbol] = name.split("@");
  const data = { e: "depthUpdate", E: 1, s: symbol.toUpperCase(), U, u, b, a };
  return JSON.stringify({ stream: `${symbol}@depth@100ms`, data });
}

function ladder(levels: number, order: 1 | -1): [string, string][] {
  return Array.from({ length: levels }, (_, i) => [(2_000 + order * (i + 1)).toFixed(1), "1.0"]);
}

/** A venue that answers each frame as a test wants it. */
function scripted(answer: (request: Request, client: FeedClient) => unknown): ServedVenue {
  const venue = new ServedVenue();
  venue.feed.on((frame, client) => answer(JSON.parse(String(frame)), client));
  return venue;
}

Deno.test("BinanceFeed waits longer with each gap of a storm, while orders pass and weight is left", async () => {
  await using venue = new BinanceSimulator({ seed: 7, interval: 0 });
  await using broker = new BinanceBroker({ baseUrl: venue.httpUrl, dataUrl: venue.httpUrl });
  await broker.authorize(venue.login);
  await using feed = new Feed({ url: `${venue.wsUrl}/stream`, broker });
  feed.subscribe(BTC, ETH, DOGE);
  await feed.connect();
  await until(() => feed.books.size === 3);
  const storm = setInterval(() => {
    venue.inflict("corrupt"); // withholds an event of the first book
    venue.step();
    venue.step();
  }, 5);
  await until(() => feed.counts.gaps >= 3);
  for (let i = 0; i < 5; i++) {
    await broker.placeOrder({ symbol: "BTCUSDT", side: "BUY", type: "MARKET", quantity: "0.001" });
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  clearInterval(storm);
  assertEquals(venue.stats.executed, 5);
  // One repair at once, then a second and two seconds later: many more events were withheld.
  const { snapshots, gaps } = feed.counts;
  assert(gaps <= 6 && snapshots <= 9, `${gaps} gaps, ${snapshots} snapshots`);
  assert(venue.stats.withheld > 5 * gaps, `${venue.stats.withheld} withheld`);
  assert(venue.usedWeight < 1_000, `${venue.usedWeight} used`);
  assertEquals(venue.stats.throttled, 0);
  assertEquals(feed.sent.filter(({ method }) => method === "SUBSCRIBE").length, 1);
  await until(() => feed.books.size === 3);
});

for (
  const [name, storm] of [
    ["drops", (venue: BinanceSimulator) => venue.inflict("drop")],
    ["refused upgrades", (venue: BinanceSimulator) => {
      venue.inflict("refuse");
      venue.inflict("drop");
    }],
    ["announced shutdowns", (venue: BinanceSimulator) => venue.announceShutdown()],
  ] as [string, (venue: BinanceSimulator) => void][]
) {
  Deno.test(`BinanceFeed stays below the venue's weight in a storm of ${name}, and an order passes`, async () => {
    await using venue = new BinanceSimulator({ seed: 7, interval: 5 });
    await using broker = new BinanceBroker({ baseUrl: venue.httpUrl, dataUrl: venue.httpUrl });
    await broker.authorize(venue.login);
    await using feed = new Feed({ url: `${venue.wsUrl}/stream`, broker, maxWait: 100 });
    feed.subscribe(BTC, ETH);
    await feed.connect();
    const timer = setInterval(() => storm(venue), 30);
    await until(() => feed.stats.attempts > 8);
    await broker.placeOrder({ symbol: "BTCUSDT", side: "BUY", type: "MARKET", quantity: "0.001" });
    clearInterval(timer);
    assertEquals([venue.stats.executed, venue.stats.throttled], [1, 0]);
    assert(venue.usedWeight <= 6_000, `${venue.usedWeight} used`);
    await until(() => feed.books.size === 2);
  });
}

Deno.test("BinanceFeed asks again for what the venue has not confirmed", async () => {
  let asked = 0;
  await using venue = scripted(({ method, id }, client) => {
    if (method === "SUBSCRIBE" && ++asked < 3) return;
    client.send(JSON.stringify({ result: null, id }));
  });
  const broker = { depth: () => Promise.resolve(FLAT) };
  await using feed = new Feed({ url: venue.wsUrl, broker, confirmTimeout: 50 });
  const subscribed = Promise.withResolvers<void>();
  feed.on("subscribed", () => subscribed.resolve());
  feed.subscribe(BTC, TRADES);
  await feed.connect();
  await subscribed.promise;
  assertEquals([asked, feed.stats.attempts], [3, 1]);
});

Deno.test("BinanceFeed asks again for a stream that delivers nothing", async () => {
  await using venue = scripted(({ id }, client) =>
    client.send(JSON.stringify({ result: null, id }))
  );
  const broker = { depth: () => Promise.resolve(FLAT) };
  await using feed = new Feed({ url: venue.wsUrl, broker, quietAfter: 100 });
  feed.subscribe(TRADES);
  await feed.connect();
  await until(() => feed.sent.filter(({ method }) => method === "SUBSCRIBE").length === 2);
  assertEquals(feed.sent.map(({ method }) => method).slice(0, 3), [
    ...["SUBSCRIBE", "UNSUBSCRIBE", "SUBSCRIBE"],
  ]);
});
