import { assert, assertEquals, assertNotEquals, assertRejects } from "@std/assert";
import { Book, parse } from "../../../examples/kraken/book.ts";
import {
  KrakenSimulator,
  type KrakenSimulatorOptions,
} from "../../../examples/kraken/simulator.ts";
import type { Fault } from "../../../examples/simulator.ts";

const SYMBOLS = ["BTC/USD", "ETH/USD", "DOGE/USD"];

/** A venue that stands still but for `step()`, with no limit on REST. */
function still(options: KrakenSimulatorOptions = {}): KrakenSimulator {
  return new KrakenSimulator({ seed: 7, interval: 0, restInterval: 0, ...options });
}

/** A client that only listens: no library between the simulator and the assertion. */
class Client implements AsyncDisposable {
  readonly frames: string[] = [];
  readonly ended: Promise<CloseEvent>;
  readonly #socket: WebSocket;
  #read = 0;
  #wake = () => {};

  constructor(venue: KrakenSimulator) {
    this.#socket = new WebSocket(`${venue.wsUrl}/v2`);
    this.#socket.onmessage = ({ data }) => {
      this.frames.push(data);
      this.#wake();
    };
    this.#socket.onerror = () => {};
    this.ended = new Promise((resolve) => this.#socket.onclose = resolve);
  }

  /** The next frame, parsed. */
  // deno-lint-ignore no-explicit-any
  async next(): Promise<any> {
    while (this.#read === this.frames.length) {
      await new Promise<void>((resolve) => this.#wake = resolve);
    }
    return parse(this.frames[this.#read++]);
  }

  request(method: string, params?: unknown, req_id?: number): void {
    this.#socket.send(JSON.stringify({ method, params, req_id }));
  }

  /** Subscribes, and reads up to the last answer. */
  async subscribe(channel: string, symbol: string[], depth?: number): Promise<void> {
    this.request("subscribe", { channel, symbol, depth });
    for (let left = symbol.length * (channel === "trade" ? 1 : 2); left > 0; left--) {
      await this.next();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#socket.close(1000);
    await this.ended;
  }
}

async function connected(venue: KrakenSimulator): Promise<Client> {
  const client = new Client(venue);
  assertEquals((await client.next()).channel, "status");
  return client;
}

Deno.test("KrakenSimulator sends status, then ack, snapshot and updates", async () => {
  await using venue = still();
  await using client = new Client(venue);
  const status = await client.next();
  assertEquals([status.channel, status.data[0].system], ["status", "online"]);

  client.request("subscribe", { channel: "book", symbol: ["BTC/USD"], depth: 25 }, 5);
  const ack = await client.next();
  assertEquals([ack.method, ack.success, ack.req_id], ["subscribe", true, 5]);
  assertEquals(ack.result, { channel: "book", symbol: "BTC/USD", depth: 25, snapshot: true });
  const snapshot = await client.next();
  assertEquals([snapshot.type, snapshot.data[0].bids.length], ["snapshot", 25]);
  for (let i = 0; i < 5; i++) venue.step();
  const update = await client.next();
  assertEquals([update.channel, update.type], ["book", "update"]);
});

Deno.test("KrakenSimulator acks each symbol of one request", async () => {
  await using venue = still();
  await using client = await connected(venue);
  client.request("subscribe", { channel: "trade", symbol: SYMBOLS }, 9);
  for (const symbol of SYMBOLS) {
    const { req_id, result } = await client.next();
    assertEquals([req_id, result.symbol], [9, symbol]);
  }
});

Deno.test("KrakenSimulator tells a connection_id beyond 2 ** 53, another to each client", async () => {
  await using venue = still();
  await using one = new Client(venue);
  const first = BigInt((await one.next()).data[0].connection_id);
  await using two = new Client(venue);
  const second = BigInt((await two.next()).data[0].connection_id);
  assert(first > 2n ** 53n);
  assertEquals(second, first + 1n);
});

Deno.test("KrakenSimulator writes decimals with all of their zeros", async () => {
  await using venue = still();
  await using client = await connected(venue);
  for (const symbol of SYMBOLS) await client.subscribe("book", [symbol], 100);
  const decimals = new Set<string>();
  for (const frame of client.frames.filter((frame) => frame.includes('snapshot","data'))) {
    const [{ symbol, bids, asks }] = parse(frame).data;
    for (const { price, qty } of [...bids, ...asks]) {
      decimals.add(`${symbol} ${price.split(".")[1].length} ${qty.split(".")[1].length}`);
    }
    assert(/"qty":\d+\.\d*0[,}]/.test(frame), "a zero at the end");
  }
  assertEquals([...decimals], ["BTC/USD 1 8", "ETH/USD 2 8", "DOGE/USD 7 8"]);
});

Deno.test("KrakenSimulator sends updates that lead to its own book, with the right checksums", async () => {
  await using venue = still();
  const depths = [10, 25, 1000];
  for (const depth of depths) {
    await using client = await connected(venue);
    await client.subscribe("book", SYMBOLS, depth);
    const books = new Map(SYMBOLS.map((symbol) => [symbol, new Book(depth)]));
    for (let i = 0; i < 300; i++) venue.step();
    client.request("ping");
    while ((await client.next()).method !== "pong");
    let updates = 0;
    for (const { channel, type, data } of client.frames.map(parse)) {
      if (channel !== "book") continue;
      const [{ symbol, checksum, ...sides }] = data;
      const book = books.get(symbol)!;
      if (type === "snapshot") book.snapshot(sides);
      else book.update(sides);
      assertEquals(book.checksum(), checksum, `${symbol} at depth ${depth}`);
      updates++;
    }
    assert(updates > 300, `${updates} updates`);
    for (const [symbol, { bids, asks }] of books) {
      assertEquals({ bids, asks }, venue.book(symbol, depth));
    }
  }
});

Deno.test("KrakenSimulator tells only what has changed, not what was pushed beyond the depth", async () => {
  await using venue = still();
  await using client = await connected(venue);
  await client.subscribe("book", ["BTC/USD"]);
  const book = new Book();
  book.snapshot(parse(client.frames.at(-1)!).data[0]);
  let removed = 0;
  for (let i = 0; i < 200; i++) {
    venue.step();
    client.request("ping");
    const ladder = venue.book("BTC/USD", 1000);
    for (let frame; (frame = await client.next()).method !== "pong";) {
      for (const side of ["bids", "asks"] as const) {
        for (const { price, qty } of frame.data[0][side]) {
          const known = book[side].find((level) => level.price === price);
          assertNotEquals(known?.qty, qty);
          if (Number(qty) > 0) continue;
          assert(known, "what is removed was there");
          assert(!ladder[side].some((level) => level.price === price), "and is gone for good");
          removed++;
        }
      }
      book.update(frame.data[0]);
    }
  }
  assert(removed > 20, `${removed} removed`);
});

Deno.test("KrakenSimulator refuses depth 27 and unknown symbols while the socket stays open", async () => {
  await using venue = still();
  await using client = await connected(venue);
  client.request("subscribe", { channel: "book", symbol: ["BTC/USD"], depth: 27 }, 1);
  const depth = await client.next();
  assertEquals(
    [depth.success, depth.error, depth.symbol, depth.req_id],
    [false, "Subscription depth not supported", "BTC/USD", 1],
  );
  client.request("subscribe", { channel: "ticker", symbol: ["FOO/BAR", "BTC/USD"] }, 2);
  const unknown = await client.next();
  assertEquals([unknown.error, unknown.req_id], ["Currency pair not supported FOO/BAR", 2]);
  assertEquals((await client.next()).success, true, "the other symbol of the request is granted");
  client.request("subscribe", { channel: "gossip", symbol: ["BTC/USD"] });
  await client.next();
  assertEquals((await client.next()).error, "Unsupported channel");
  assertEquals(venue.venue.feed.clients.length, 1);
});

Deno.test("KrakenSimulator refuses what is subscribed already, and what is not", async () => {
  await using venue = still();
  await using client = await connected(venue);
  await client.subscribe("book", ["BTC/USD"]);
  client.request("subscribe", { channel: "book", symbol: ["BTC/USD"] });
  assertEquals((await client.next()).error, "Already subscribed");
  client.request("unsubscribe", { channel: "book", symbol: ["BTC/USD"] }, 3);
  const { method, success, req_id, result } = await client.next();
  assertEquals([method, success, req_id, result.symbol], ["unsubscribe", true, 3, "BTC/USD"]);
  client.request("unsubscribe", { channel: "book", symbol: ["BTC/USD"] });
  assertEquals((await client.next()).error, "Subscription Not Found");
  venue.step();
  client.request("ping", undefined, 4);
  const pong = await client.next();
  assertEquals([pong.method, pong.req_id], ["pong", 4], "no update after the unsubscription");
});

Deno.test("KrakenSimulator answers what it does not understand", async () => {
  await using venue = still();
  await using client = await connected(venue);
  client.request("dance", undefined, 8);
  const { success, error, req_id } = await client.next();
  assertEquals([success, error, req_id], [false, "Unsupported method", 8]);
});

Deno.test("KrakenSimulator sends heartbeats only to those who subscribed", async () => {
  await using venue = still();
  await using quiet = await connected(venue);
  await using keen = await connected(venue);
  await keen.subscribe("trade", ["BTC/USD"]);
  // The venue itself says it once a second.
  assertEquals((await keen.next()).channel, "heartbeat");
  quiet.request("ping");
  assertEquals((await quiet.next()).method, "pong", "and no heartbeat before it");
});

Deno.test("KrakenSimulator sends trades and tickers of the same market", async () => {
  await using venue = still();
  await using client = await connected(venue);
  await client.subscribe("ticker", ["BTC/USD"]);
  await client.subscribe("trade", ["BTC/USD"]);
  while (venue.markets.get("BTC/USD")!.traded.lots === 0) venue.step();
  const trades = (await client.next()).data;
  const [ticker] = (await client.next()).data;
  assertEquals(trades.at(-1).price, ticker.last);
  assertEquals(trades[0].trade_id, 1);
  const { bids, asks } = venue.book("BTC/USD", 1);
  assertEquals([ticker.bid, ticker.ask], [bids[0].price, asks[0].price]);
});

Deno.test("KrakenSimulator sends the same frames from the same seed", async () => {
  const record = async (seed: number) => {
    await using venue = still({ seed });
    await using client = await connected(venue);
    await client.subscribe("book", SYMBOLS);
    for (let i = 0; i < 50; i++) venue.step();
    client.request("ping");
    while ((await client.next()).method !== "pong");
    return client.frames.map((frame) => frame.replace(/"\d{4}-\d\d-\d\dT[^"]*Z"/g, ""));
  };
  const frames = await record(7);
  assert(frames.length > 50);
  assertEquals(await record(7), frames);
  assertNotEquals(await record(8), frames);
});

Deno.test("KrakenSimulator answers REST in the venue's envelope", async () => {
  await using venue = still();
  const get = async (path: string) => (await fetch(`${venue.httpUrl}/0/public/${path}`)).json();
  const time = await get("Time");
  assertEquals(time.error, []);
  assert(Math.abs(time.result.unixtime - Date.now() / 1_000) < 60);
  const pairs = await get("AssetPairs?pair=DOGE/USD");
  assertEquals(Object.keys(pairs.result), ["XDGUSD"]);
  assertEquals(pairs.result.XDGUSD.tick_size, "0.0000001");
  assertEquals(Object.keys((await get("AssetPairs")).result).length, 3);
  const ticker = await get("Ticker?pair=XBTUSD,XETHZUSD");
  const { bids, asks } = venue.book("BTC/USD", 1);
  assertEquals(ticker.result.XXBTZUSD.a[0], asks[0].price);
  assertEquals(ticker.result.XXBTZUSD.b[0], bids[0].price);
  assertEquals(Object.keys(ticker.result), ["XXBTZUSD", "XETHZUSD"]);
  assertEquals(await get("Ticker?pair=FOOBAR"), { error: ["EQuery:Unknown asset pair"] });
  assertEquals((await get("Horoscope")).error, ["EGeneral:Unknown method"]);
});

Deno.test("KrakenSimulator answers a second request within a second with 429 and Retry-After", async () => {
  await using venue = still({ restInterval: 60_000 });
  const get = () => fetch(`${venue.httpUrl}/0/public/Time`);
  const first = await get();
  await first.body?.cancel();
  assertEquals(first.status, 200);
  const second = await get();
  assertEquals(second.status, 429);
  assertEquals(second.headers.get("retry-after"), "60");
  assertEquals(await second.json(), { error: ["EAPI:Rate limit exceeded"] });
  assertEquals(venue.stats, { requests: 2, throttled: 1, accepted: 0, refused: 0 });
});

Deno.test("Simulator.inflict(drop) closes every socket with 1012", async () => {
  await using venue = still();
  await using one = await connected(venue);
  await using two = await connected(venue);
  venue.inflict("drop");
  for (const { code, reason, wasClean } of [await one.ended, await two.ended]) {
    assertEquals([code, reason, wasClean], [1012, "Service restart", true]);
  }
});

Deno.test("Simulator.inflict(refuse) answers the next upgrade with 503, not the one after", async () => {
  await using venue = still();
  venue.inflict("refuse");
  await using refused = new Client(venue);
  await refused.ended;
  assertEquals(refused.frames, []);
  await using _granted = await connected(venue);
  assertEquals([venue.stats.refused, venue.stats.accepted], [1, 1]);
});

Deno.test("Simulator.inflict(silence) leaves sockets open and says nothing more on them", async () => {
  await using venue = still();
  await using mute = await connected(venue);
  await mute.subscribe("book", ["BTC/USD"]);
  const heard = mute.frames.length;
  venue.inflict("silence");
  mute.request("ping");
  await using other = await connected(venue);
  await other.subscribe("book", ["BTC/USD"]);
  for (let i = 0; i < 20; i++) venue.step();
  assertEquals((await other.next()).type, "update", "a new socket is heard");
  assertEquals(mute.frames.length, heard);
  assertEquals(venue.venue.feed.clients.length, 2);
});

Deno.test("Simulator.inflict(corrupt) makes exactly one checksum wrong", async () => {
  await using venue = still();
  await using client = await connected(venue);
  await client.subscribe("book", ["BTC/USD"]);
  const book = new Book();
  book.snapshot(parse(client.frames.at(-1)!).data[0]);
  venue.inflict("corrupt");
  for (let i = 0; i < 20; i++) venue.step();
  client.request("ping");
  const wrong: number[] = [];
  for (let i = 0, frame; (frame = await client.next()).method !== "pong"; i++) {
    book.update(frame.data[0]);
    if (book.checksum() !== frame.data[0].checksum) wrong.push(i);
  }
  assertEquals(wrong, [0]);
});

Deno.test("Simulator.inflict(throttle) answers the next request with 429, not the one after", async () => {
  await using venue = still();
  const status = async () => {
    const response = await fetch(`${venue.httpUrl}/0/public/Time`);
    await response.body?.cancel();
    return [response.status, response.headers.get("retry-after")];
  };
  venue.inflict("throttle");
  assertEquals(await status(), [429, "1"]);
  assertEquals(await status(), [200, null]);
});

Deno.test("Simulator strikes by its schedule, in order, once somebody has subscribed", async () => {
  const struck: Fault[] = [];
  await using venue = still({
    faults: [{ at: 0, fault: "refuse" }, { at: 0, fault: "drop" }, { at: 0, fault: "silence" }],
    onFault: (fault) => struck.push(fault),
  });
  await using client = await connected(venue);
  await new Promise((resolve) => setTimeout(resolve, 50)); // several looks at the schedule
  assertEquals([struck.length, venue.pending], [0, 3], "nobody has subscribed");

  await client.subscribe("trade", ["BTC/USD"]);
  assertEquals((await client.ended).code, 1012);
  assertEquals(
    [[...struck], venue.pending],
    [["refuse", "drop"], 1],
    "silence has nobody to strike",
  );

  await using refused = new Client(venue);
  await refused.ended;
  await using next = await connected(venue);
  await next.subscribe("trade", ["BTC/USD"]);
  while (venue.pending > 0) await new Promise((resolve) => setTimeout(resolve, 5));
  assertEquals(struck, ["refuse", "drop", "silence"]);
});

Deno.test("Simulator.close() closes every socket and may be called twice", async () => {
  const venue = still();
  await using client = await connected(venue);
  await venue.close();
  await venue.close();
  assertEquals((await client.ended).code, 1001);
});

Deno.test("Simulator.close() tells what a part of the script has thrown, once", async () => {
  const venue = still();
  const bug = new Error("a bug");
  venue.venue.on("GET /bug", () => {
    throw bug;
  });
  const answer = await fetch(`${venue.httpUrl}/bug`);
  assertEquals([answer.status, (await answer.json()).error], [500, "the handler threw"]);
  const error = await assertRejects(() => venue.close(), AggregateError);
  assertEquals(error.errors, [bug]);
  await venue.close();
});
