/**
 * Another client, ccxt, against the simulated Kraken: what it makes of the same market is what we do.
 *
 *     deno task test:interop
 */

import { assert, assertEquals, assertRejects } from "@std/assert";
import {
  KrakenFeed,
  type KrakenSubscription,
  type KrakenTrade,
} from "../../examples/kraken/feed.ts";
import { KrakenSimulator } from "../../examples/kraken/simulator.ts";
import { exchange, numbers, until } from "./ccxt.ts";

const SYMBOLS = ["BTC/USD", "ETH/USD", "DOGE/USD"];

Deno.test("ccxt's books of the simulated Kraken are ours, and so are its trades", async () => {
  await using venue = new KrakenSimulator({ seed: 7, interval: 5, restInterval: 0 });
  await using feed = new KrakenFeed({ url: `${venue.wsUrl}/v2` });
  const ours = new Map<string, KrakenTrade>();
  feed.on("item", (item) => {
    if (item.channel === "trade") ours.set(`${item.symbol} ${item.trade_id}`, item);
  });
  for (const symbol of SYMBOLS) {
    for (const channel of ["book", "trade"] as const) {
      feed.subscribe({ channel, symbol } satisfies KrakenSubscription);
    }
  }
  await feed.connect();

  await using other = exchange("kraken", {
    urls: { api: { public: venue.httpUrl, ws: { publicV2: `${venue.wsUrl}/v2` } } },
  });
  const books: Record<string, { bids: number[][]; asks: number[][] }> = {};
  // deno-lint-ignore no-explicit-any
  const theirs = new Map<string, any>();
  for (const symbol of SYMBOLS) {
    other.follow(async () => void (books[symbol] = await other.client.watchOrderBook(symbol, 10)));
    other.follow(async () => {
      for (const trade of await other.client.watchTrades(symbol)) {
        theirs.set(`${symbol} ${trade.id}`, trade);
      }
    });
  }
  await until(() => ours.size > 100 && theirs.size > 50 && Object.keys(books).length === 3);
  venue.freeze();

  for (const symbol of SYMBOLS) {
    const mine = () => {
      const { bids, asks } = feed.books.get(symbol) ?? { bids: [], asks: [] };
      return [numbers(bids), numbers(asks)];
    };
    const levels = () => [numbers(books[symbol].bids), numbers(books[symbol].asks)];
    const venues = venue.book(symbol);
    const wanted = [numbers(venues.bids), numbers(venues.asks)];
    await until(() => JSON.stringify(mine()) === JSON.stringify(wanted));
    await until(() => JSON.stringify(levels()) === JSON.stringify(wanted));
    assertEquals(levels(), mine());
  }
  for (const [key, trade] of theirs) {
    await until(() => ours.has(key));
    const { price, qty, side } = ours.get(key)!;
    assertEquals([trade.price, trade.amount, trade.side], [Number(price), Number(qty), side]);
  }
});

Deno.test("ccxt places, amends, cancels and follows orders at the simulated Kraken", async () => {
  await using venue = new KrakenSimulator({
    seed: 7,
    interval: 0,
    restInterval: 0,
    limited: false,
  });
  const ws = { publicV2: `${venue.wsUrl}/v2`, privateV2: `${venue.wsUrl}/v2-auth` };
  await using other = exchange("kraken", {
    apiKey: venue.login.key,
    secret: venue.login.secret,
    urls: { api: { public: venue.httpUrl, private: venue.httpUrl, ws } },
  });
  const { client } = other;
  // deno-lint-ignore no-explicit-any
  const told: any[] = [];
  other.follow(async () => void told.push(...await client.watchOrders()));
  const fills = new Set<string>();
  other.follow(async () => {
    for (const { id } of await client.watchMyTrades()) fills.add(id);
  });
  await until(() => venue.followers.some(({ held }) => held.has("executions")));

  const placed = await client.createOrder("BTC/USD", "limit", "buy", 0.01, 20_000);
  assertEquals(venue.desk.open.map(({ txid }) => txid), [placed.id]);
  await client.editOrder(placed.id, "BTC/USD", "limit", "buy", 0.02, 20_001);
  assertEquals(venue.desk.open.map(({ volume, price }) => [+volume, +price]), [[0.02, 20_001]]);
  assertEquals((await client.fetchOpenOrders("BTC/USD")).map(({ id }: { id: string }) => id), [
    placed.id,
  ]);
  await client.cancelOrder(placed.id, "BTC/USD");
  assertEquals(venue.desk.open, []);
  await assertRejects(() => client.createOrder("BTC/USD", "limit", "buy", 1_000, 20_000), Error);

  const overSocket = await client.createOrderWs("BTC/USD", "limit", "buy", 0.01, 20_000);
  await client.cancelOrderWs(overSocket.id);
  assertEquals(venue.desk.open, []);
  await client.createOrder("BTC/USD", "market", "sell", 0.01);
  await until(() => fills.size === 1);
  assertEquals([...fills], venue.desk.fills.map(({ id }) => id));
  assertEquals((await client.fetchMyTrades("BTC/USD")).length, 1);
  assertEquals((await client.fetchBalance()).BTC.total, 9.99);
  assert(told.some(({ id, status }) => id === placed.id && status === "canceled"));
});
