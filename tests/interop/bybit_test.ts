/**
 * Holds the simulated Bybit to a client that other people wrote, npm `bybit-api`.
 *
 *     deno task test:interop
 */

import { assertEquals, assertRejects } from "@std/assert";
import { BybitBroker } from "../../examples/bybit/broker.ts";
import { BybitFeed } from "../../examples/bybit/feed.ts";
import { BybitSimulator } from "../../examples/bybit/simulator.ts";
import { until } from "./ccxt.ts";

// Its types alone take longer than the tests.
const { RestClientV5, WebsocketAPIClient, WebsocketClient } = await import(
  "npm:" + "bybit-api@4.7.7"
);

// deno-lint-ignore no-explicit-any
type Anything = any;

const SILENT = { trace() {}, info() {}, error() {} };
const LIMIT = {
  ...{ category: "spot", symbol: "BTCUSDT", side: "Buy", orderType: "Limit", qty: "0.01" },
  price: "20000",
};
const MARKET = { ...LIMIT, orderType: "Market", price: undefined, marketUnit: "baseCoin" };

/** Its agent keeps connections open. */
function test(name: string, fn: () => Promise<void>): void {
  Deno.test({ name, fn, sanitizeOps: false, sanitizeResources: false });
}

test("bybit-api places, amends and cancels by REST at the simulated Bybit, as BybitBroker sees", async () => {
  await using venue = await BybitSimulator.open({ interval: 0 });
  const { key, secret } = venue.login;
  await using ours = new BybitBroker({ baseUrl: venue.httpUrl });
  await ours.authorize(venue.login);
  const theirs: Anything = new RestClientV5({ key, secret, baseUrl: venue.httpUrl.slice(0, -1) });

  const placed = await theirs.submitOrder({ ...LIMIT, orderLinkId: "theirs" });
  assertEquals([placed.retCode, placed.retMsg], [0, "OK"]);
  const { orderId } = placed.result;
  assertEquals((await ours.order({ symbol: "BTCUSDT", orderLinkId: "theirs" }))?.orderId, orderId);
  const again = await theirs.submitOrder({ ...LIMIT, orderLinkId: "theirs" });
  assertEquals(again.retCode, 170141);
  const name = { category: "spot", symbol: "BTCUSDT", orderId };
  assertEquals((await theirs.amendOrder({ ...name, price: "20001" })).retCode, 0);
  assertEquals((await ours.ordersOf("open")).map(({ price }) => price), ["20001"]);
  const seen = await theirs.getActiveOrders({ category: "spot" });
  assertEquals(seen.result.list.map((one: Anything) => one.price), ["20001"]);
  assertEquals((await theirs.cancelOrder(name)).retCode, 0);
  assertEquals((await theirs.cancelOrder(name)).retCode, 170213);
  assertEquals((await ours.ordersOf("closed")).map((one) => one.orderStatus), ["Cancelled"]);

  await theirs.submitOrder(MARKET);
  const fills = await theirs.getExecutionList({ category: "spot", startTime: Date.now() - 60_000 });
  const mine = await ours.executions(Date.now() - 60_000);
  assertEquals(
    fills.result.list.map((one: Anything) => one.execId),
    mine.map(({ execId }) => execId),
  );
  const { result: { list: [wallet] } } = await theirs.getWalletBalance({ accountType: "UNIFIED" });
  assertEquals(wallet.coin, await ours.balance());
});

test("bybit-api trades over the trade socket, and follows on the private stream", async () => {
  await using venue = await BybitSimulator.open({ interval: 0 });
  const { key, secret } = venue.login;
  const told: string[] = [];
  const options = { key, secret, market: "v5", recvWindow: 5_000 };
  const stream: Anything = new WebsocketClient({ ...options, wsUrl: venue.urls.private }, SILENT);
  stream.on("exception", () => {});
  stream.on("update", ({ topic, data }: Anything) => {
    for (const one of data) told.push(`${topic} ${one.orderStatus ?? one.execId ?? ""}`.trim());
  });
  stream.subscribeV5(["order", "execution"], "spot");
  await until(() => venue.venue.feed.clients.some(({ held }) => held.size === 2));
  const trade: Anything = new WebsocketAPIClient(
    { ...options, wsUrl: venue.urls.trade, attachEventListeners: false },
    SILENT,
  );
  trade.getWSClient().on("exception", () => {});
  try {
    const { data: { orderId } } = await trade.submitNewOrder(LIMIT);
    const name = { category: "spot", symbol: "BTCUSDT", orderId };
    await trade.amendOrder({ ...name, price: "20001" });
    await trade.cancelOrder(name);
    const refused = await assertRejects(() => trade.cancelOrder(name).catch(asError));
    assertEquals((refused as Anything).cause.retCode, 170213);
    await trade.submitNewOrder(MARKET);
    await until(() => told.includes("order Filled"));
    const orders = told.filter((line) => line.startsWith("order"));
    const states = ["New", "New", "Cancelled", "New", "PartiallyFilled", "Filled"];
    assertEquals(orders, states.map((state) => `order ${state}`));
    const fills = told.filter((line) => line.startsWith("execution"));
    assertEquals(fills, ["execution exec-1", "execution exec-2"]);
  } finally {
    stream.closeAll(true);
    trade.getWSClient().closeAll(true);
  }
});

test("bybit-api and BybitFeed hear the same updates of a book of the simulated Bybit", async () => {
  await using venue = await BybitSimulator.open({ interval: 0 });
  const theirs: number[] = [];
  const stream: Anything = new WebsocketClient({ market: "v5", wsUrl: venue.urls.public }, SILENT);
  stream.on("update", ({ data }: Anything) => theirs.push(data.u));
  stream.subscribeV5("orderbook.50.BTCUSDT", "spot");
  await using feed = new BybitFeed({ url: venue.urls.public });
  const ours: number[] = [];
  feed.on("item", (item) => item.topic === "orderbook" && ours.push(item.u));
  feed.subscribe("orderbook.50.BTCUSDT");
  await feed.connect();
  try {
    await until(() => theirs.length === 1 && ours.length === 1);
    for (let i = 0; i < 100; i++) venue.step();
    const last = () => ours.at(-1) === theirs.at(-1) && ours.length > 50;
    await until(last);
    assertEquals(ours, theirs);
  } finally {
    stream.closeAll(true);
  }
});

/** It rejects with the answer itself, which is no error. */
function asError(cause: unknown): never {
  throw new Error("refused", { cause });
}
