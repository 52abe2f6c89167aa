/**
 * Storms: the limits of the venue hold, and an order passes meanwhile.
 */

import { assert, assertEquals } from "@std/assert";
import { KiteBroker } from "../../../examples/kite/broker.ts";
import { KiteFeed } from "../../../examples/kite/feed.ts";
import { KiteSimulator } from "../../../examples/kite/simulator.ts";

const MARKET = {
  exchange: "NSE",
  tradingsymbol: "INFY",
  transaction_type: "BUY",
  order_type: "MARKET",
  product: "CNC",
  quantity: 1,
} as const;

const INFY = 408_065;

function pause(time: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, time));
}

Deno.test("KiteFeed survives a venue that always drops, within the limits, and tells each order once", async () => {
  await using venue = new KiteSimulator({ seed: 7, interval: 0 });
  await using broker = new KiteBroker({ baseUrl: venue.httpUrl });
  await broker.authorize(venue.login);
  await using feed = new KiteFeed(venue.login, {
    ...{ url: venue.wsUrl, broker, baseWait: 1, maxWait: 20, resetRetryAfter: 0 },
  });
  feed.subscribe(INFY);
  const told: string[] = [];
  feed.orders.on("item", ({ order_id, status }) => told.push(`${order_id} ${status}`));
  await feed.connect();
  const storm = setInterval(() => venue.inflict("drop"), 40);
  const placed: string[] = [];
  for (let i = 0; i < 15; i++) {
    placed.push((await broker.placeOrder(MARKET)).order_id);
    await pause(70);
  }
  clearInterval(storm);
  for (let i = 0; i < 2_000 && told.length < placed.length; i++) await pause(10);
  assertEquals(told.toSorted(), placed.map((id) => `${id} COMPLETE`));
  assert(feed.stats.connections > 5, `${feed.stats.connections}`);
  // A look-up that a drop cuts off may reach a busy venue after its token has come back.
  assert(venue.stats.throttled <= 1, `${venue.stats.throttled} answers of 429`);
});

Deno.test("KiteBroker's orders and look-ups pass reads that wait", async () => {
  await using venue = new KiteSimulator({ seed: 7, interval: 0 });
  const asked: string[] = [];
  await using broker = new KiteBroker({
    baseUrl: venue.httpUrl,
    fetch: (url, init) => {
      asked.push(`${init?.method} ${new URL(String(url)).pathname}`);
      return fetch(url, init);
    },
  });
  await broker.authorize(venue.login);
  const reads = Array.from({ length: 25 }, () => broker.holdings());
  venue.loseAnswer();
  await broker.placeOrder(MARKET);
  const waiting = broker.throttlers.rest.size;
  assert(waiting > 0, "the look-up waited behind every read");
  await Promise.all(reads);
  assert(asked.indexOf("GET /orders") < 15, asked.join());
  assertEquals([venue.desk.executions.placed, venue.stats.throttled], [1, 0]);
});

Deno.test("KiteBroker places an order once at a venue that always says too fast to reads", async () => {
  await using venue = new KiteSimulator({ seed: 7, interval: 0 });
  let refused = 0;
  await using broker = new KiteBroker({
    baseUrl: venue.httpUrl,
    retry: { maxRetries: 3, baseWait: 5 },
    pause: 10,
    fetch: (url, init) => {
      if (init?.method !== "GET") return fetch(url, init);
      refused++;
      return Promise.resolve(Response.json({ status: "error" }, { status: 429 }));
    },
  });
  await broker.authorize(venue.login);
  const reads = Array.from({ length: 5 }, () => broker.holdings().catch(({ kind }) => kind));
  await broker.placeOrder(MARKET);
  assertEquals(new Set(await Promise.all(reads)), new Set(["rate-limited"]));
  assert(refused <= 20, `${refused}`);
  assertEquals(venue.desk.executions.placed, 1);
});
