/**
 * Another client, ccxt, against the simulated Kraken: what it makes of the same market is what we do.
 *
 *     deno task test:interop
 */

import { assertEquals } from "@std/assert";
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
