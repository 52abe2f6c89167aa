import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import type { FeedError } from "@aio-trader/core";
import { KiteBroker, type KiteOrder } from "../../../examples/kite/broker.ts";
import { KiteFeed, type KiteFeedOptions } from "../../../examples/kite/feed.ts";
import { encodeFrame } from "../../../examples/kite/listing.ts";
import { KiteSimulator, type KiteSimulatorOptions } from "../../../examples/kite/simulator.ts";
import { type Tick, TickError } from "../../../examples/kite/ticks.ts";
import { fakeClock } from "../../fake_clock.ts";

const INFY = 408_065;
const TATAMOTORS = 884_737;
const NIFTY = 256_265;

const LOGIN = { apiKey: "key", accessToken: "token" };

/** A feed that keeps what it delivered and reported, and reads frames without a socket. */
class Feed extends KiteFeed {
  readonly ticks: Tick[] = [];
  readonly errors: FeedError[] = [];
  readonly sent: unknown[] = [];

  constructor(login: ConstructorParameters<typeof KiteFeed>[0], options: KiteFeedOptions = {}) {
    super(login, {
      baseWait: 10,
      jitter: 0,
      tap: (direction, data) => direction === "out" && this.sent.push(JSON.parse(String(data))),
      ...options,
    });
    this.on("item", (tick) => this.ticks.push(tick));
    this.on("error", (error) => this.errors.push(error));
  }

  read(frame: string | ArrayBuffer): void {
    this.receive(frame);
  }

  /** Tokens and modes of what was delivered since the last call. */
  drain(): [token: number, mode: string][] {
    return this.ticks.splice(0).map((tick) => [tick.instrument_token, tick.mode]);
  }
}

/** A venue that stands still but for `step()`. */
function still(options: KiteSimulatorOptions = {}): KiteSimulator {
  return new KiteSimulator({ seed: 7, interval: 0, ...options });
}

async function connected(
  venue: KiteSimulator,
  subs: Parameters<KiteFeed["subscribe"]>,
  options: KiteFeedOptions = {},
): Promise<Feed> {
  const feed = new Feed(() => venue.access, { url: venue.wsUrl, ...options });
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

Deno.test("KiteFeed delivers the ticks of every segment in every mode, as the venue has them", async () => {
  await using venue = still();
  for (const mode of ["ltp", "quote", "full"] as const) {
    const tokens = [...venue.listings.keys()];
    await using feed = await connected(venue, tokens.map((token) => ({ token, mode })));
    const has = (token: number) =>
      feed.ticks.some((tick) => tick.instrument_token === token && tick.mode === mode);
    await until(() => tokens.every(has));
    feed.drain();
    for (let i = 0; i < 50; i++) venue.step();
    const last = (token: number) => feed.ticks.findLast((tick) => tick.instrument_token === token);
    const isEqual = (token: number) => {
      const listing = venue.listings.get(token)!;
      const tick = last(token);
      if (tick?.last_price !== listing.lastPrice) return false;
      if (mode === "ltp" || listing.isIndex) return true;
      if (tick.volume_traded !== listing.market.traded.lots) return false;
      return mode === "quote" ||
        JSON.stringify(tick.depth) === JSON.stringify(listing.depth());
    };
    await until(() => tokens.every(isEqual));
    assertEquals(feed.errors, []);
  }
});

Deno.test("KiteFeed asks for mode quote unless told otherwise, and with one frame for each mode", async () => {
  await using venue = still();
  await using feed = await connected(venue, [
    INFY,
    { token: NIFTY, mode: "full" },
    TATAMOTORS,
    { token: 5_633, mode: "ltp" },
    { token: 412_675 },
  ]);
  await until(() => feed.sent.length === 4);
  assertEquals(feed.sent, [
    { a: "subscribe", v: [INFY, NIFTY, TATAMOTORS, 5_633, 412_675] },
    { a: "mode", v: ["quote", [INFY, TATAMOTORS, 412_675]] },
    { a: "mode", v: ["full", [NIFTY]] },
    { a: "mode", v: ["ltp", [5_633]] },
  ]);
});

Deno.test("KiteFeed asks again when the mode of a subscription changes, and only then", async () => {
  await using venue = still();
  await using feed = await connected(venue, [INFY, TATAMOTORS]);
  await until(() => feed.sent.length === 2);
  feed.sent.splice(0);
  feed.subscribe(INFY, { token: INFY, mode: "quote" }); // as before
  feed.subscribe({ token: TATAMOTORS, mode: "full" });
  const [{ held }] = venue.venue.feed.clients;
  await until(() => held.has(`full ${TATAMOTORS}`));
  assertEquals(feed.sent, [
    { a: "unsubscribe", v: [TATAMOTORS] },
    { a: "subscribe", v: [TATAMOTORS] },
    { a: "mode", v: ["full", [TATAMOTORS]] },
  ]);
  assertEquals(feed.subscriptions.get(TATAMOTORS), { token: TATAMOTORS, mode: "full" });
  await until(() => feed.drain().some(([, mode]) => mode === "full"));
});

Deno.test("KiteFeed unsubscribes by token, whatever the mode", async () => {
  await using venue = still();
  await using feed = await connected(venue, [{ token: INFY, mode: "full" }, TATAMOTORS]);
  const [{ held }] = venue.venue.feed.clients;
  await until(() => held.has(`full ${INFY}`));
  feed.unsubscribe(INFY);
  await until(() => held.size === 1);
  assertEquals([...feed.subscriptions.keys()], [TATAMOTORS]);
  assertEquals(feed.sent.at(-1), { a: "unsubscribe", v: [INFY] });
});

Deno.test("KiteFeed restores tokens and modes on a new connection", async () => {
  await using venue = still();
  await using feed = await connected(venue, [INFY, { token: NIFTY, mode: "full" }]);
  await until(() => venue.followers[0]?.held.has(`full ${NIFTY}`));
  venue.inflict("refuse");
  venue.inflict("drop");
  await until(() => feed.stats.connections === 2);
  await until(() => venue.followers[0]?.held.has(`full ${NIFTY}`));
  assertEquals([...venue.followers[0].held], [`quote ${INFY}`, `full ${NIFTY}`]);
  assertEquals(venue.stats, { requests: 0, throttled: 0, accepted: 2, refused: 1 });
});

Deno.test("KiteFeed holds at most 3000 subscriptions", () => {
  const feed = new Feed(LOGIN);
  feed.subscribe(...Array.from({ length: 3_000 }, (_, i) => i + 1));
  feed.subscribe({ token: 3_000, mode: "full" });
  assertThrows(
    () => feed.subscribe(3_001),
    RangeError,
    "3001 subscriptions, wanted at most 3000",
  );
  assertEquals(feed.subscriptions.size, 3_000);
});

Deno.test("KiteFeed refuses what is no token and no mode", () => {
  const feed = new Feed(LOGIN);
  for (const token of [0, -1, 1.5, NaN, "INFY" as unknown as number]) {
    assertThrows(() => feed.subscribe(token), RangeError, `the token is ${token}, wanted`);
  }
  const mode = "depth" as "full";
  assertThrows(() => feed.subscribe({ token: 1, mode }), TypeError, "the mode is depth, wanted");
  assertEquals(feed.subscriptions.size, 0);
});

Deno.test("KiteFeed delivers the whole packets of a frame that is cut short", () => {
  const feed = new Feed(LOGIN);
  const ltp = (price: number) => new Uint8Array([0, 6, 58, 1, 0, 0, 0, price]);
  const frame = encodeFrame([ltp(1), ltp(2), ltp(3)]);
  assertThrows(() => feed.read(frame.slice(0, -3)), TickError, "packet 3 of 3");
  assertEquals(feed.ticks.map(({ last_price }) => last_price), [0.01, 0.02]);
});

Deno.test("KiteFeed reports a frame that is cut short, and goes on with the same connection", async () => {
  await using venue = still();
  await using feed = await connected(venue, [...venue.listings.keys()]);
  await until(() => feed.ticks.length === 2 * venue.listings.size);
  feed.drain();
  venue.inflict("corrupt");
  venue.step();
  await until(() => feed.errors.length === 1);
  assert(feed.errors[0] instanceof TickError);
  assertEquals(feed.ticks, feed.errors[0].ticks);
  assert(feed.ticks.length > 0);
  for (let i = 0; i < 20; i++) venue.step();
  await until(() => new Set(feed.drain().map(([token]) => token)).size > 5);
  assertEquals([feed.errors.length, feed.stats.connections], [1, 1]);
});

Deno.test("KiteFeed takes heartbeats for a sign of life, and their absence for the end", async () => {
  await using venue = still({ heartbeat: 40 });
  await using feed = await connected(venue, [INFY], { staleAfter: 1_000 });
  await until(() => feed.stats.frames > 40);
  assertEquals([feed.stats.connections, feed.errors], [1, []]); // longer than a second, and quiet
  const endings: string[] = [];
  feed.on("retry", ({ ending }) => endings.push(ending.reason));
  venue.inflict("silence");
  await until(() => feed.stats.connections === 2);
  assertEquals(endings.length, 1);
});

Deno.test("KiteFeed calls 5 seconds without a frame the end, unless told otherwise", async () => {
  using time = fakeClock();
  const socket = { readyState: 1, send() {}, close() {} } as unknown as WebSocket;
  class Dry extends Feed {
    protected override createSocket(): WebSocket {
      return socket;
    }
  }
  const feed = new Dry(LOGIN, { baseWait: 1_000_000 });
  const connected = feed.connect();
  await time.tickAsync(0);
  socket.onopen!(new Event("open"));
  await connected;
  const heartbeat = () =>
    socket.onmessage!(new MessageEvent("message", { data: new ArrayBuffer(1) }));
  for (let i = 0; i < 5; i++) {
    await time.tickAsync(4_900);
    assertEquals(feed.state, "live");
    heartbeat();
  }
  await time.tickAsync(5_700);
  await time.tickAsync(0);
  assertEquals(feed.state, "waiting");
  await feed.close();
});

Deno.test("KiteFeed tells what becomes of orders to those who read `orders`, beside the ticks", async () => {
  await using venue = still();
  await using feed = await connected(venue, [INFY]);
  await using broker = new KiteBroker({ baseUrl: venue.httpUrl });
  await broker.authorize(venue.access);
  const heard: string[] = [];
  feed.orders.on("item", ({ status }) => heard.push(status));
  const stream = feed.orders.stream();
  const order = {
    exchange: "NSE",
    tradingsymbol: "INFY",
    transaction_type: "BUY",
    product: "CNC",
    quantity: 1,
  } as const;
  const { order_id } = await broker.placeOrder({ ...order, order_type: "LIMIT", price: 1_400 });
  await broker.cancelOrder(order_id);
  await broker.placeOrder({ ...order, order_type: "MARKET" });
  await until(() => heard.length === 3);
  assertEquals(heard, ["OPEN", "CANCELLED", "COMPLETE"]);
  await feed.close();
  const orders: KiteOrder[] = await Array.fromAsync(stream); // ends with the feed
  assertEquals(orders.map(({ status }) => status), heard);
  assertEquals(orders[2], venue.desk.orders[1]);
});

Deno.test("KiteFeed.orders connects, closes and fails with the feed", async () => {
  await using venue = still();
  const feed = new Feed({ ...venue.access, accessToken: "stale" }, { url: venue.wsUrl });
  const updates = feed.orders.stream();
  const error = await assertRejects(() => feed.orders.connect());
  assertEquals(error, await feed.closed);
  assertEquals(await assertRejects(() => updates.next()), error);
});

Deno.test("KiteFeed delivers messages, reports errors, and ignores text of another type", () => {
  const feed = new Feed(LOGIN);
  const messages: unknown[] = [];
  feed.messages.on("item", (message) => messages.push(message));
  feed.read('{"type":"message","data":"The market closes early"}');
  feed.read('{"type":"error","data":"Invalid message"}');
  feed.read('{"type":"instruments_meta","data":{"count":1}}');
  assertEquals(messages, ["The market closes early"]);
  assertEquals(feed.errors.map(({ message, fatal }) => [message, fatal]), [
    ['Cannot do what was asked: Kite says "Invalid message"', false],
  ]);
});

Deno.test("KiteFeed stops at once where the login is refused, without a word of it", async () => {
  await using venue = still();
  const feed = new Feed({ ...venue.access, accessToken: "very-stale" }, { url: venue.wsUrl });
  await assertRejects(() => feed.connect());
  const error = await feed.closed;
  assertEquals([error?.fatal, error?.ending?.status, feed.stats.attempts], [true, 403, 1]);
  const shown = [error?.message, error?.stack, Deno.inspect(error), Deno.inspect(feed)].join("\n");
  assert(!shown.includes("very-stale"), shown);
});

Deno.test("KiteFeed asks for the login anew at every attempt", async () => {
  await using venue = still();
  let logins = 0;
  const login = () => {
    logins++;
    return Promise.resolve(venue.access);
  };
  await using feed = new Feed(login, { url: venue.wsUrl });
  await feed.connect();
  venue.expire(); // whoever is connected stays so
  venue.inflict("drop");
  await until(() => feed.stats.connections === 2);
  assertEquals(logins, 2);
});

Deno.test("KiteFeed writes key and token into the query, whatever is in them", async () => {
  class Dry extends KiteFeed {
    address(): Promise<URL> {
      return this.endpoint(new AbortController().signal);
    }
  }
  const feed = new Dry({ apiKey: "k&y", accessToken: "t=k n" });
  assertEquals(
    `${await feed.address()}`,
    "wss://ws.kite.trade/?api_key=k%26y&access_token=t%3Dk+n",
  );
});

Deno.test("KiteFeed takes the first tick in the mode for a confirmation, and asks again without one", async () => {
  await using venue = still();
  const full = { token: INFY, mode: "full" } as const;
  await using feed = await connected(venue, [full, 999_937], { confirmTimeout: 30 });
  const asked = (token: number) =>
    feed.sent.filter((it) => JSON.stringify(it).startsWith(`{"a":"subscribe","v":[${token}`));
  await until(() => asked(999_937).length > 1);
  assertEquals(asked(INFY).length, 1); // in one frame with the other, at first
});

Deno.test("KiteFeed asks again for an instrument that falls quiet, by its token", async () => {
  await using venue = still();
  await using feed = await connected(venue, [INFY, TATAMOTORS], { quietAfter: 60 });
  const quiet: unknown[] = [];
  feed.on("quiet", ({ key }) => quiet.push(key));
  await until(() => feed.ticks.length >= 2 && quiet.length >= 2);
  assertEquals(new Set(quiet), new Set([INFY, TATAMOTORS]));
  const before = feed.ticks.length;
  await until(() => feed.ticks.length > before); // the venue tells the instrument at once
});

Deno.test("KiteFeed keeps the event time of a tick in mode full", async () => {
  await using venue = still();
  await using feed = await connected(venue, [{ token: INFY, mode: "full" }]);
  for (let i = 0; i < 50; i++) venue.step();
  await until(() => feed.ticks.some(({ last_trade_time }) => last_trade_time));
  const { exchange_timestamp, last_trade_time } = feed.ticks.at(-1)!;
  const latency = Date.now() - exchange_timestamp!.getTime();
  assert(latency > -1_000 && latency < 60_000, `${latency}`);
  assert(last_trade_time! <= exchange_timestamp!);
});
