import { assert, assertEquals, assertInstanceOf, assertRejects } from "@std/assert";
import { BrokerError } from "@aio-trader/core";
import { KrakenBroker, type KrakenBrokerOptions } from "../../../examples/kraken/broker.ts";
import { KrakenSimulator } from "../../../examples/kraken/simulator.ts";

/** A venue that stands still, with no limit on REST unless a test wants one. */
function still(restInterval = 0): KrakenSimulator {
  return new KrakenSimulator({ seed: 7, interval: 0, restInterval });
}

/** A broker of that venue, as fast as it can be. */
function fast(venue: KrakenSimulator, options: KrakenBrokerOptions = {}): KrakenBroker {
  return new KrakenBroker({ baseUrl: venue.httpUrl, throttlers: [], ...options });
}

/** A broker whose venue gives one answer. */
function answered(body: unknown, status = 200): KrakenBroker {
  const fetch = () => Promise.resolve(Response.json(body, { status }));
  return new KrakenBroker({ fetch, throttlers: [], retry: false });
}

Deno.test("KrakenBroker.time() returns the venue's time in milliseconds", async () => {
  await using venue = still();
  await using broker = fast(venue);
  assert(Math.abs(await broker.time() - Date.now()) < 60_000);
});

Deno.test("KrakenBroker.assetPairs() returns what is traded, by any name", async () => {
  await using venue = still();
  await using broker = fast(venue);
  assertEquals(Object.keys(await broker.assetPairs()), ["XXBTZUSD", "XETHZUSD", "XDGUSD"]);
  const { XXBTZUSD } = await broker.assetPairs("BTC/USD");
  assertEquals([XXBTZUSD.wsname, XXBTZUSD.tick_size, XXBTZUSD.status], [
    "XBT/USD",
    "0.1",
    "online",
  ]);
});

Deno.test("KrakenBroker.ticker() returns prices as the venue wrote them", async () => {
  await using venue = still();
  await using broker = fast(venue);
  const prices = await broker.ticker("BTC/USD", "DOGE/USD");
  assertEquals(Object.keys(prices), ["XXBTZUSD", "XDGUSD"]);
  assertEquals(prices.XXBTZUSD.b[0], venue.book("BTC/USD").bids[0].price);
  assertEquals(prices.XDGUSD.a[0], venue.book("DOGE/USD").asks[0].price);
});

Deno.test("KrakenBroker turns the venue's error envelope into a BrokerError", async () => {
  await using venue = still();
  await using broker = fast(venue);
  const error = await assertRejects(() => broker.ticker("FOOBAR"), BrokerError, "EQuery:Unknown");
  assertEquals(
    [error.kind, error.outcome, error.code, error.status, error.retriable],
    ["rejected", "rejected", "EQuery:Unknown asset pair", 200, false],
  );
  assertEquals(venue.stats.requests, 1, "not repeated");
});

Deno.test("KrakenBroker says which of the venue's errors may pass", async () => {
  for (
    const [code, kind, retriable] of [
      ["EAPI:Rate limit exceeded", "rate-limited", true],
      ["EGeneral:Too many requests", "rate-limited", true],
      ["EService:Unavailable", "network", true],
      ["EService:Busy", "network", true],
      ["EGeneral:Invalid arguments", "rejected", false],
    ] as const
  ) {
    await using broker = answered({ error: [code] });
    const error = await assertRejects(() => broker.time(), BrokerError);
    assertEquals([error.code, error.kind, error.retriable], [code, kind, retriable]);
  }
});

Deno.test("KrakenBroker takes a warning for no error", async () => {
  await using broker = answered({ error: ["WGeneral:Danger"], result: { unixtime: 1 } });
  assertEquals(await broker.time(), 1_000);
});

Deno.test("KrakenBroker keeps a 5xx what it is", async () => {
  await using broker = answered({ message: "Bad gateway" }, 502);
  const error = await broker.time().catch((error) => error);
  assertInstanceOf(error, BrokerError);
  assertEquals([error.kind, error.status], ["network", 502]);
});

Deno.test("KrakenBroker never asks more than once a second, by the venue's own clock", async () => {
  await using venue = still(1_000);
  let isFirst = true;
  const slowAtFirst: typeof fetch = async (...request) => {
    // On its way for longer than the one after it, which so comes closer.
    if (isFirst) await new Promise((resolve) => setTimeout(resolve, 300));
    isFirst = false;
    return await fetch(...request);
  };
  await using broker = new KrakenBroker({ baseUrl: venue.httpUrl, fetch: slowAtFirst });
  await Promise.all([broker.time(), broker.ticker(), broker.time()]);
  assertEquals([venue.stats.requests, venue.stats.throttled], [3, 0]);
});

Deno.test("KrakenBroker obeys Retry-After and asks again", async () => {
  await using venue = still();
  await using broker = fast(venue, { retry: { baseWait: 0 } });
  venue.inflict("throttle");
  const start = performance.now();
  await broker.time();
  assert(performance.now() - start >= 990);
  assertEquals([venue.stats.requests, venue.stats.throttled], [2, 1]);
});
