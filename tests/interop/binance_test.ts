/**
 * Another client, ccxt, against the simulated Binance: what it makes of the same market is what we do.
 *
 *     deno task test:interop
 */

import { assert, assertEquals, assertRejects } from "@std/assert";
import { BinanceBroker } from "../../examples/binance/broker.ts";
import { BinanceFeed, type BinanceTrade } from "../../examples/binance/feed.ts";
import { BinanceOrders } from "../../examples/binance/orders.ts";
import { BinanceSimulator, LOGIN } from "../../examples/binance/simulator.ts";
import { type Ccxt, exchange, numbers, until } from "./ccxt.ts";

const SYMBOLS = { BTCUSDT: "BTC/USDT", ETHUSDT: "ETH/USDT", DOGEUSDT: "DOGE/USDT" };

function ccxt(venue: BinanceSimulator): Ccxt {
  return exchange("binance", {
    apiKey: LOGIN.apiKey,
    secret: LOGIN.secret,
    urls: {
      api: {
        public: `${venue.httpUrl}/api/v3`,
        private: `${venue.httpUrl}/api/v3`,
        // It takes what is not below /stream for futures.
        ws: {
          spot: `${venue.wsUrl}/ws/stream`,
          "ws-api": { spot: `${venue.wsUrl}/ws-api/v3` },
        },
      },
    },
    options: { fetchMarkets: { types: ["spot"] }, fetchMargins: false },
  });
}

Deno.test("ccxt's books of the simulated Binance are ours, and so are its trades", async () => {
  await using venue = new BinanceSimulator({ seed: 7, interval: 5 });
  await using broker = new BinanceBroker({ dataUrl: venue.httpUrl });
  await using feed = new BinanceFeed({ url: `${venue.wsUrl}/stream`, broker, depth: 100 });
  const ours = new Map<string, BinanceTrade>();
  feed.on("item", (item) => {
    if (item.channel === "trade") ours.set(`${item.symbol} ${item.id}`, item);
  });
  for (const symbol of Object.keys(SYMBOLS)) {
    feed.subscribe({ channel: "book", symbol }, { channel: "trade", symbol });
  }
  await feed.connect();

  await using other = ccxt(venue);
  const books: Record<string, { nonce: number; bids: number[][]; asks: number[][] }> = {};
  // deno-lint-ignore no-explicit-any
  const theirs = new Map<string, any>();
  for (const [id, symbol] of Object.entries(SYMBOLS)) {
    other.follow(async () => void (books[id] = await other.client.watchOrderBook(symbol)));
    other.follow(async () => {
      for (const trade of await other.client.watchTrades(symbol)) {
        theirs.set(`${id} ${trade.id}`, trade);
      }
    });
  }
  await until(() => ours.size > 100 && theirs.size > 50 && Object.keys(books).length === 3);
  venue.freeze();

  for (const id of Object.keys(SYMBOLS)) {
    await until(() => books[id].nonce === venue.updateId(id));
    await until(() => feed.books.get(id)?.updateId === venue.updateId(id));
    const { bids, asks } = feed.books.get(id)!;
    assertEquals(numbers(bids).length, 300);
    assertEquals(numbers(books[id].bids), numbers(bids));
    assertEquals(numbers(books[id].asks), numbers(asks));
  }
  for (const [key, trade] of theirs) {
    await until(() => ours.has(key));
    const { price, qty, side, time } = ours.get(key)!;
    assertEquals(
      [trade.price, trade.amount, trade.side, trade.timestamp],
      [Number(price), Number(qty), side, time],
    );
  }
});

Deno.test("ccxt's signatures are good for the simulated Binance, and its orders are found by ours", async () => {
  await using venue = new BinanceSimulator({ seed: 7, interval: 0 });
  await using broker = new BinanceBroker({ baseUrl: venue.httpUrl, dataUrl: venue.httpUrl });
  await broker.authorize(LOGIN);
  await using other = ccxt(venue);
  const { client } = other;

  const theirs = await client.createOrder("BTC/USDT", "limit", "buy", 0.5, 100, {
    newClientOrderId: "theirs",
  });
  const found = await broker.order("BTCUSDT", "theirs");
  assertEquals([String(found.orderId), found.status], [theirs.id, "NEW"]);
  assertEquals([theirs.clientOrderId, theirs.status], ["theirs", "open"]);

  const order = { symbol: "BTCUSDT", side: "SELL", type: "MARKET", quantity: "0.25" } as const;
  const ours = await broker.placeOrder({ ...order, newClientOrderId: "ours" });
  const open = await client.fetchOpenOrders("BTC/USDT");
  assertEquals(open.map((order: { clientOrderId: string }) => order.clientOrderId), ["theirs"]);
  const seen = await client.fetchOrder(undefined, "BTC/USDT", { origClientOrderId: "ours" });
  assertEquals([seen.id, seen.status, seen.amount], [String(ours.orderId), "closed", 0.25]);

  assertEquals((await broker.cancel("BTCUSDT", "theirs")).status, "CANCELED");
  assertEquals(await client.fetchOpenOrders("BTC/USDT"), []);
  assertEquals(venue.stats.executed, 2);
  assert(venue.usedWeight > 0);
});

Deno.test("ccxt places, changes, cancels and follows orders at the simulated Binance", async () => {
  await using venue = new BinanceSimulator({ seed: 7, interval: 0 });
  await using other = ccxt(venue);
  const { client } = other;
  // deno-lint-ignore no-explicit-any
  const told: any[] = [];
  other.follow(async () => void told.push(...await client.watchOrders("BTC/USDT")));
  const fills = new Map<string, number>();
  other.follow(async () => {
    for (const { id, amount } of await client.watchMyTrades("BTC/USDT")) fills.set(id, amount);
  });
  await until(() => venue.followers.some(({ path }) => path.startsWith("/ws-api")));

  const placed = await client.createOrder("BTC/USDT", "limit", "buy", 0.01, 20_000);
  const changed = await client.editOrder(placed.id, "BTC/USDT", "limit", "buy", 0.02, 20_001);
  assertEquals((await client.fetchOpenOrders("BTC/USDT")).map(({ id }: { id: string }) => id), [
    changed.id,
  ]);
  await client.cancelOrder(changed.id, "BTC/USDT");
  assertEquals(venue.desk.open, []);
  for (
    const [type, amount, price, params] of [
      ["limit", 1_000, 20_000, {}],
      ["limit", 0.01, 90_000, { postOnly: true }],
      ["limit", 0.0001, 20_000, {}],
    ] as const
  ) {
    const refused = () => client.createOrder("BTC/USDT", type, "buy", amount, price, params);
    await assertRejects(refused, Error);
  }
  const ioc = { timeInForce: "IOC" };
  const expired = await client.createOrder("BTC/USDT", "limit", "buy", 0.01, 20_000, ioc);
  assertEquals(expired.status, "expired");
  const market = await client.createOrder("BTC/USDT", "market", "sell", 0.01);
  await client.createOrder("BTC/USDT", "market", "buy", undefined, undefined, { cost: 100 });
  await until(() => fills.size === 2);
  assertEquals([...fills.keys()], venue.desk.trades.map(({ id }) => String(id)));
  assertEquals((await client.fetchMyTrades("BTC/USDT")).length, 2);
  assertEquals((await client.fetchOrder(market.id, "BTC/USDT")).status, "closed");
  assertEquals((await client.fetchBalance()).BTC.total, 9.99339);
  const ends = [placed, changed].map(({ id }) =>
    told.some((it) => it.id === id && it.status === "canceled")
  );
  assertEquals(ends, [true, true]);
});

Deno.test("ccxt sees what BinanceOrders tells of orders over a drop", async () => {
  await using venue = new BinanceSimulator({ seed: 7, interval: 0 });
  await using broker = new BinanceBroker({ baseUrl: venue.httpUrl, dataUrl: venue.httpUrl });
  await broker.authorize(LOGIN);
  const url = `${venue.wsUrl}/ws-api/v3`;
  await using orders = new BinanceOrders({ url, broker, symbols: ["BTCUSDT"], baseWait: 10 });
  const ours = new Map<string, string>();
  orders.on("item", (item) => {
    if (item.channel === "orders") ours.set(String(item.orderId), item.status);
  });
  await orders.connect();
  await using other = ccxt(venue);
  const { client } = other;
  const ids: string[] = [];
  for (let i = 0; i < 3; i++) {
    const { id } = await client.createOrder("BTC/USDT", "limit", "buy", 0.01, 20_000);
    if (i === 1) venue.inflict("drop");
    if (i < 2) await client.cancelOrder(id, "BTC/USDT");
    ids.push(id, (await client.createOrder("BTC/USDT", "market", "buy", 0.01)).id);
  }
  await until(() => ids.every((id) => ours.has(id)));
  for (const id of ids) {
    const { status } = (await client.fetchOrder(id, "BTC/USDT")).info;
    await until(() => ours.get(id) === status);
  }
  assertEquals(ours.size, ids.length);
});
