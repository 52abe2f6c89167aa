/**
 * Another client, ccxt, against the simulated Binance: what it makes of the same market is what we do.
 *
 *     deno task test:interop
 */

import { assert, assertEquals } from "@std/assert";
import { BinanceBroker } from "../../examples/binance/broker.ts";
import { BinanceFeed, type BinanceTrade } from "../../examples/binance/feed.ts";
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
        ws: { spot: `${venue.wsUrl}/ws/stream` },
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
