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
  const trades: KrakenTrade[] = [];
  feed.on("item", (item) => void (item.channel === "trade" && trades.push(item)));
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
  await until(() => trades.length > 100 && theirs.size > 50 && Object.keys(books).length === 3);
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
  await until(() => theirs.has(`${trades.at(-1)!.symbol} ${trades.at(-1)!.trade_id}`));
  let compared = 0;
  for (const { symbol, trade_id, price, qty, side } of trades) {
    const trade = theirs.get(`${symbol} ${trade_id}`);
    if (!trade) continue;
    compared++;
    const { price: p, amount, side: s } = trade;
    assertEquals([p, amount, s], [Number(price), Number(qty), side]);
  }
  assertEquals(compared, theirs.size);
});
