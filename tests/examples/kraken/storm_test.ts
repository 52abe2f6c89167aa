/**
 * Storms: the limits of the venue hold, and an order passes meanwhile.
 */

import { assert, assertEquals } from "@std/assert";
import { KrakenBroker } from "../../../examples/kraken/broker.ts";
import { KrakenFeed } from "../../../examples/kraken/feed.ts";
import { KrakenOrders } from "../../../examples/kraken/orders.ts";
import { KrakenSimulator } from "../../../examples/kraken/simulator.ts";

const MARKET = { pair: "XBTUSD", type: "buy", ordertype: "market", volume: "0.01" } as const;

function pause(time: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, time));
}

async function until(condition: () => boolean): Promise<void> {
  for (let waited = 0; !condition(); waited += 5) {
    if (waited > 30_000) throw new Error(`Never happened: ${condition}`);
    await pause(5);
  }
}

Deno.test("KrakenOrders survives a venue whose executions always jump, within the limits, and an order passes", async () => {
  await using venue = new KrakenSimulator({ seed: 7, interval: 0, restInterval: 0 });
  await using broker = new KrakenBroker({ baseUrl: venue.httpUrl });
  await broker.authorize(venue.login);
  await using orders = new KrakenOrders({ url: `${venue.wsUrl}/v2`, broker, jitter: 0 });
  const told: string[] = [];
  orders.on("item", (item) => {
    if (item.channel === "executions" && item.exec_type === "filled") told.push(item.order_id);
  });
  await orders.connect();
  const storm = setInterval(() => {
    for (const account of venue.accounts) account.skip("executions");
  }, 1);
  const placed: string[] = [];
  for (const end = performance.now() + 3_000; performance.now() < end;) {
    placed.push(...(await broker.placeOrder(MARKET)).txid);
    await pause(100);
  }
  // At once, then after 0.5 and 1 s; the venue allows 150 in ten minutes.
  assert(orders.stats.attempts <= 4, `${orders.stats.attempts} connections in 3 s`);
  assert(orders.stats.attempts > 1, "the jumps were noticed");
  assert(placed.length > 5, `${placed.length} orders passed`);
  clearInterval(storm);
  await until(() => told.length >= placed.length);
  assertEquals(told.toSorted(), placed.toSorted(), "each was told once");
});

Deno.test("KrakenFeed at a venue that always says too fast sends few frames, and an order passes", async () => {
  await using venue = new KrakenSimulator({ seed: 7, interval: 0, restInterval: 0 });
  await using broker = new KrakenBroker({ baseUrl: venue.httpUrl });
  await broker.authorize(venue.login);
  await using orders = new KrakenOrders({ url: `${venue.wsUrl}/v2`, broker });
  await orders.connect();
  let frames = 0;
  const errors: string[] = [];
  // Fifty times as quick as the defaults: 2.4 s stand for two minutes.
  const quick = { confirmTimeout: 100, baseWait: 10, maxWait: 600, resetRetryAfter: 600 };
  await using feed = new KrakenFeed({
    ...{ url: `${venue.wsUrl}/v2`, ...quick, jitter: 0, pingInterval: 0 },
    tap: (direction) => direction === "out" && frames++,
  });
  feed.on("error", ({ message }) => errors.push(message));
  venue.isTooFast = true;
  for (let i = 0; i < 50; i++) feed.subscribe({ channel: "trade", symbol: `X${i}/USD` });
  feed.subscribe({ channel: "book", symbol: "BTC/USD" });
  await feed.connect();
  const end = performance.now() + 2_400;
  const { order_id } = await orders.place({
    ...{ symbol: "BTC/USD", side: "buy", order_type: "market", order_qty: "0.01" },
  });
  assert(venue.desk.orders.has(order_id), "the order passed");
  await until(() => performance.now() >= end);
  // Two frames each time, for two channels: three times on a connection, which takes 700 ms.
  assert(frames <= 2 * 3 * 5, `${frames} frames in two minutes of 50 ms each`);
  assert(errors.some((words) => words.includes("Exceeded msg rate")), errors[0]);
  venue.isTooFast = false;
  await until(() => feed.books.has("BTC/USD"));
});
