import { assert, assertEquals, assertNotEquals } from "@std/assert";
import { createHmac } from "node:crypto";
import { Book } from "../../../examples/binance/book.ts";
import {
  BinanceSimulator,
  type BinanceSimulatorOptions,
  LOGIN,
} from "../../../examples/binance/simulator.ts";

/** A venue that stands still but for `step()`. */
function still(options: BinanceSimulatorOptions = {}): BinanceSimulator {
  return new BinanceSimulator({ seed: 7, interval: 0, ...options });
}

/** A client that only listens: no library between the simulator and the assertion. */
class Client implements AsyncDisposable {
  readonly frames: string[] = [];
  readonly ended: Promise<CloseEvent>;
  readonly #socket: WebSocket;
  #read = 0;
  #wake = () => {};

  constructor(venue: BinanceSimulator, path = "stream") {
    this.#socket = new WebSocket(`${venue.wsUrl}/${path}`);
    this.#socket.onmessage = ({ data }) => {
      this.frames.push(data);
      this.#wake();
    };
    this.#socket.onerror = () => {};
    this.ended = new Promise((resolve) => this.#socket.onclose = resolve);
  }

  static async of(venue: BinanceSimulator, path?: string): Promise<Client> {
    const client = new Client(venue, path);
    await new Promise((resolve) => client.#socket.onopen = resolve);
    return client;
  }

  /** The next frame, parsed. */
  // deno-lint-ignore no-explicit-any
  async next(): Promise<any> {
    while (this.#read === this.frames.length) {
      await new Promise<void>((resolve) => this.#wake = resolve);
    }
    return JSON.parse(this.frames[this.#read++]);
  }

  send(frame: string): void {
    this.#socket.send(frame);
  }

  // deno-lint-ignore no-explicit-any
  request(method: string, params?: string[], id = 1): Promise<any> {
    this.send(JSON.stringify({ method, params, id }));
    return this.next();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#socket.close(1000);
    await this.ended;
  }
}

async function get(venue: BinanceSimulator, path: string, init?: RequestInit) {
  const response = await fetch(`${venue.httpUrl}/api/v3/${path}`, init);
  return { status: response.status, headers: response.headers, data: await response.json() };
}

/** Signs without any code of ours. */
function signed(params: Record<string, string | number>, secret = LOGIN.secret): string {
  const query = new URLSearchParams(Object.entries(params).map(([k, v]) => [k, String(v)]));
  return `${query}&signature=${createHmac("sha256", secret).update(`${query}`).digest("hex")}`;
}

const HEADERS = { "x-mbx-apikey": LOGIN.apiKey };
const ORDER = { symbol: "BTCUSDT", side: "BUY", type: "MARKET", quantity: "1" };

Deno.test("BinanceSimulator numbers its changes without a gap, from the snapshot on", async () => {
  await using venue = still();
  await using client = await Client.of(venue);
  await client.request("SUBSCRIBE", ["btcusdt@depth@100ms"]);
  const { data } = await get(venue, "depth?symbol=BTCUSDT&limit=5000");
  const book = new Book();
  book.snapshot(data);
  for (let i = 0; i < 200; i++) venue.step();
  let last = data.lastUpdateId;
  while (last < venue.updateId("BTCUSDT")) {
    const { stream, data: event } = await client.next();
    assertEquals([stream, event.e, event.s], ["btcusdt@depth@100ms", "depthUpdate", "BTCUSDT"]);
    assertEquals(event.U, last + 1);
    assertEquals(event.u - event.U + 1, event.b.length + event.a.length);
    assertEquals(book.update(event), "applied");
    last = event.u;
  }
  assertEquals({ bids: book.bids, asks: book.asks }, venue.book("BTCUSDT"));
});

Deno.test("BinanceSimulator cuts a snapshot at the limit, 100 by default", async () => {
  await using venue = still();
  for (const [query, levels] of [["", 100], ["&limit=5", 5], ["&limit=5000", 300]] as const) {
    const { data } = await get(venue, `depth?symbol=BTCUSDT${query}`);
    assertEquals([data.bids.length, data.asks.length], [levels, levels]);
    assert(data.bids.flat().every((text: string) => /^\d+\.\d{8}$/.test(text)));
  }
});

Deno.test("BinanceSimulator wraps events for /stream, and not for /ws", async () => {
  await using venue = still();
  await using combined = await Client.of(venue);
  await using bare = await Client.of(venue, "ws/1");
  for (const client of [combined, bare]) await client.request("SUBSCRIBE", ["btcusdt@depth"]);
  venue.step();
  const { stream, data } = await combined.next();
  assertEquals([stream, await bare.next()], ["btcusdt@depth", data]);
});

Deno.test("BinanceSimulator answers requests by their id, an unknown symbol's too", async () => {
  await using venue = still();
  await using client = await Client.of(venue);
  assertEquals(await client.request("SUBSCRIBE", ["foobar@trade", "btcusdt@trade"], 7), {
    result: null,
    id: 7,
  });
  const list = await client.request("LIST_SUBSCRIPTIONS", undefined, 8);
  assertEquals(list, { result: ["foobar@trade", "btcusdt@trade"], id: 8 });
  assertEquals((await client.request("UNSUBSCRIBE", ["foobar@trade"], 9)).id, 9);
  assertEquals((await client.request("SUBSCRIBE", ["BTC/USDT@trade"], 10)).error.code, 2);
  client.send("{");
  assertEquals((await client.next()).error.code, 3);
});

Deno.test("BinanceSimulator throws out who sends more than five messages in a second", async () => {
  await using venue = still();
  await using client = await Client.of(venue);
  for (let i = 0; i < 5; i++) await client.request("LIST_SUBSCRIPTIONS");
  client.send("{}");
  assertEquals((await client.ended).code, 1008);
});

Deno.test("BinanceSimulator grants 1024 streams and no more", async () => {
  await using venue = still();
  await using client = await Client.of(venue);
  const names = Array.from({ length: 1_025 }, (_, i) => `s${i}@trade`);
  assert("error" in await client.request("SUBSCRIBE", names));
  assertEquals((await client.request("SUBSCRIBE", names.slice(1))).result, null);
});

Deno.test("BinanceSimulator.inflict(corrupt) withholds one depth event from everyone", async () => {
  await using venue = still();
  await using one = await Client.of(venue);
  await using two = await Client.of(venue);
  for (const client of [one, two]) await client.request("SUBSCRIBE", ["btcusdt@depth"]);
  const first = venue.updateId("BTCUSDT") + 1;
  venue.inflict("corrupt");
  while (venue.stats.withheld === 0) venue.step();
  const missing = venue.updateId("BTCUSDT");
  while (venue.updateId("BTCUSDT") === missing) venue.step();
  for (const client of [one, two]) {
    const { U } = (await client.next()).data;
    assertEquals(U, missing + 1);
    assertNotEquals(U, first);
  }
});

Deno.test("BinanceSimulator announces its shutdown", async () => {
  await using venue = still();
  await using client = await Client.of(venue);
  venue.announceShutdown();
  const { stream, data } = await client.next();
  assertEquals([stream, data.e], ["!serverShutdown", "serverShutdown"]);
});

Deno.test("BinanceSimulator sends trades that name the maker's side", async () => {
  await using venue = still();
  await using client = await Client.of(venue);
  await client.request("SUBSCRIBE", ["btcusdt@trade"]);
  while (client.frames.length < 2) {
    venue.step();
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  const { data } = await client.next();
  assertEquals([data.e, data.s, data.t, typeof data.m], ["trade", "BTCUSDT", 1, "boolean"]);
});

Deno.test("BinanceSimulator counts weights, tells them, and refuses what is above with 429", async () => {
  await using venue = still({ weightLimit: 60, clockOffset: 30_000 - Date.now() % 60_000 });
  const used = (headers: Headers) => headers.get("x-mbx-used-weight-1m");
  assertEquals(used((await get(venue, "time")).headers), "1");
  assertEquals(used((await get(venue, "depth?symbol=BTCUSDT&limit=1000")).headers), "51");
  const { status, headers, data } = await get(venue, "exchangeInfo");
  assertEquals([status, data.code, used(headers)], [429, -1003, "71"]);
  const wait = Number(headers.get("retry-after"));
  assert(wait > 0 && wait <= 31, `${wait} s`);
  assertEquals(venue.stats.throttled, 1);
});

Deno.test("BinanceSimulator checks key, signature and time", async () => {
  await using venue = still();
  const now = Date.now();
  for (
    const [params, secret, headers, code, status] of [
      [{ timestamp: now }, undefined, {}, -2014, 401],
      [{ timestamp: now }, undefined, { "x-mbx-apikey": "another" }, -2015, 401],
      [{ timestamp: now }, "another", HEADERS, -1022, 400],
      [{}, undefined, HEADERS, -1102, 400],
      [{ timestamp: now - 6_000 }, undefined, HEADERS, -1021, 400],
      [{ timestamp: now - 2_000, recvWindow: 1_000 }, undefined, HEADERS, -1021, 400],
      [{ timestamp: now + 60_000 }, undefined, HEADERS, -1021, 400],
      [{ timestamp: now - 6_000, recvWindow: 60_000 }, undefined, HEADERS, undefined, 200],
      [{ timestamp: now + 500 }, undefined, HEADERS, undefined, 200],
    ] as [Record<string, number>, string | undefined, Record<string, string>, number, number][]
  ) {
    const reply = await get(venue, `account?${signed(params, secret)}`, { headers });
    assertEquals([reply.status, reply.data.code], [status, code], JSON.stringify(params));
  }
});

Deno.test("BinanceSimulator takes the example that Binance publishes", async () => {
  const timestamp = 1_499_827_319_559;
  await using venue = still({ clockOffset: timestamp - Date.now() });
  const body =
    "symbol=LTCBTC&side=BUY&type=LIMIT&timeInForce=GTC&quantity=1&price=0.1&recvWindow=5000&" +
    `timestamp=${timestamp}&signature=c8db56825ae71d6d79447849e617115f4a920fa2acdcab2b053c4b2838bd6b71`;
  const { data } = await get(venue, "order", { method: "POST", headers: HEADERS, body });
  assertEquals(
    data,
    { code: -1121, msg: "Invalid symbol." },
    "it is signed well, but not traded here",
  );
  const { data: query } = await get(venue, `order?${body}`, { method: "POST", headers: HEADERS });
  assertEquals(query.code, -1121, "and as a query");
});

Deno.test("BinanceSimulator counts what it gets and what it executes", async () => {
  await using venue = still();
  const post = (fields: Record<string, string>) => {
    const body = signed({ ...ORDER, ...fields, timestamp: Date.now() });
    return get(venue, "order", { method: "POST", headers: HEADERS, body });
  };
  const resting = { type: "LIMIT", timeInForce: "GTC", price: "1000.0", newClientOrderId: "a" };
  assertEquals((await post(resting)).data.status, "NEW");
  assertEquals((await post(resting)).data.code, -2010);
  assertEquals([venue.stats.orders, venue.stats.executed], [2, 1]);
  assertEquals(
    (await post({ ...resting, price: "900000.0", newClientOrderId: "b" })).data.status,
    "FILLED",
  );
  venue.loseAnswer();
  const lost = await post({ newClientOrderId: "c" });
  assertEquals([lost.status, lost.data.code], [503, -1007]);
  assertEquals([venue.stats.orders, venue.stats.executed], [4, 3]);
  const found = await get(
    venue,
    `order?${signed({ symbol: "BTCUSDT", origClientOrderId: "c", timestamp: Date.now() })}`,
    { headers: HEADERS },
  );
  assertEquals(found.data.status, "FILLED");
});

Deno.test("BinanceSimulator shows an order only after a while, if it is told to", async () => {
  await using venue = still({ visibleAfter: 600 });
  const body = signed({ ...ORDER, newClientOrderId: "a", timestamp: Date.now() });
  await get(venue, "order", { method: "POST", headers: HEADERS, body });
  const lookUp = () => {
    const query = signed({ symbol: "BTCUSDT", origClientOrderId: "a", timestamp: Date.now() });
    return get(venue, `order?${query}`, { headers: HEADERS });
  };
  assertEquals((await lookUp()).data.code, -2013);
  await new Promise((resolve) => setTimeout(resolve, 620));
  assertEquals((await lookUp()).data.status, "FILLED");
});

Deno.test("BinanceSimulator sends the same events from the same seed", async () => {
  const record = async (seed: number) => {
    await using venue = still({ seed });
    await using client = await Client.of(venue);
    await client.request("SUBSCRIBE", ["btcusdt@depth", "btcusdt@trade"]);
    for (let i = 0; i < 50; i++) venue.step();
    await client.request("LIST_SUBSCRIPTIONS", undefined, 2);
    while (!client.frames.at(-1)!.includes('"id":2')) await client.next();
    return client.frames.map((frame) => frame.replace(/"[ET]":\d+/g, ""));
  };
  const frames = await record(7);
  assert(frames.length > 50);
  assertEquals(await record(7), frames);
  assertNotEquals(await record(8), frames);
});

Deno.test("BinanceSimulator charges no weight for orders and cancels that succeed, and 1 for others", async () => {
  await using venue = still({ clockOffset: 30_000 - Date.now() % 60_000 });
  const call = (method: string, fields: Record<string, string>) => {
    const query = signed({ symbol: "BTCUSDT", ...fields, timestamp: venue.now });
    return get(venue, `order?${query}`, { method, headers: HEADERS });
  };
  const limit = { ...ORDER, type: "LIMIT", timeInForce: "GTC", price: "20000" };
  const used = async (reply: ReturnType<typeof call>) =>
    (await reply).headers.get("x-mbx-used-weight-1m");
  assertEquals(await used(call("POST", { ...limit, newClientOrderId: "a" })), "0");
  assertEquals(await used(call("POST", { ...limit, newClientOrderId: "a" })), "1", "refused");
  assertEquals(await used(call("DELETE", { origClientOrderId: "a" })), "1");
  assertEquals(await used(call("DELETE", { origClientOrderId: "a" })), "2", "refused");
});

/** Signs the parameters of the WebSocket API without any code of ours. */
function signedParams(params: Record<string, string | number>, secret = LOGIN.secret) {
  const names = Object.keys(params).sort();
  const payload = names.map((name) => `${name}=${params[name]}`).join("&");
  const signature = createHmac("sha256", secret).update(payload).digest("hex");
  return { ...params, signature };
}

Deno.test("BinanceSimulator subscribes to the user data stream by signature, once", async () => {
  await using venue = still({ clockOffset: 30_000 - Date.now() % 60_000 });
  await using client = await Client.of(venue, "ws-api/v3");
  const ask = (id: number, method: string, params?: unknown) => {
    client.send(JSON.stringify({ id, method, params }));
    return client.next();
  };
  const subscribe = "userDataStream.subscribe.signature";
  const params = () => ({ timestamp: venue.now, apiKey: LOGIN.apiKey });
  for (
    const [method, given, code, status] of [
      [subscribe, {}, -1102, 400],
      [subscribe, signedParams({ ...params(), apiKey: "another" }), -2015, 401],
      [subscribe, signedParams(params(), "another"), -1022, 400],
      [subscribe, params(), -1022, 400],
      [subscribe, signedParams({ ...params(), timestamp: 1 }), -1021, 400],
      ["userDataStream.unsubscribe", {}, -2036, 400],
      ["order.forget", {}, -1020, 400],
    ] as const
  ) {
    const { id, error, ...answer } = await ask(7, method, given);
    assertEquals([id, answer.status, error.code], [7, status, code]);
  }
  assertEquals((await ask(8, subscribe, signedParams(params()))).result, { subscriptionId: 0 });
  assertEquals((await ask(9, subscribe, signedParams(params()))).error.code, -2035);
  assertEquals((await ask(10, "ping")).status, 200);
  assertEquals(venue.usedWeight, 9 * 2 + 1);
  venue.announceShutdown();
  assertEquals((await client.next()).event.e, "serverShutdown");
  venue.desk.place(ORDER);
  const { subscriptionId, event } = await client.next();
  assertEquals([subscriptionId, event.e, event.x, event.X], [0, "executionReport", "NEW", "NEW"]);
});

Deno.test("BinanceSimulator ends the user data stream with the venue's event", async () => {
  await using venue = still();
  await using client = await Client.of(venue, "ws-api/v3");
  const params = signedParams({ timestamp: venue.now, apiKey: LOGIN.apiKey });
  client.send(JSON.stringify({ id: 1, method: "userDataStream.subscribe.signature", params }));
  await client.next();
  client.send(JSON.stringify({ id: 2, method: "userDataStream.unsubscribe" }));
  const { subscriptionId, event } = await client.next();
  assertEquals([subscriptionId, event.e], [0, "eventStreamTerminated"]);
  assertEquals((await client.next()).id, 2);
});
