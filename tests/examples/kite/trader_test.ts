import { assertEquals, assertMatch } from "@std/assert";
import { KiteFeed } from "../../../examples/kite/feed.ts";
import { KiteSimulator } from "../../../examples/kite/simulator.ts";
import { KiteTrader } from "../../../examples/kite/trader.ts";
import { Stage } from "../../../examples/stage.ts";

/** Lets a trader place its orders, and tells what comes of it. */
async function trade(
  meddle: (venue: KiteSimulator, trader: KiteTrader) => void = () => {},
): Promise<{ ok: boolean; text: string; stories: string[] }> {
  await using venue = new KiteSimulator({ seed: 3, interval: 5, limited: false });
  const stage = new Stage();
  const trader = new KiteTrader(stage, venue);
  await trader.broker.authorize(venue.login);
  await using feed = new KiteFeed(venue.login, { url: venue.wsUrl, broker: trader.broker });
  feed.orders.on("item", (order) => trader.follow(order));
  await feed.connect();
  const over = new AbortController();
  const work = trader.work(over.signal);
  const isDone = () => {
    const orders = stage.stories.filter(({ about }) => about === "order");
    return orders.length === 3 && orders.every(({ outcome }) => outcome !== "open");
  };
  for (let i = 0; i < 3_000 && !isDone(); i++) {
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  over.abort();
  await work;
  meddle(venue, trader);
  const [{ ok, text }] = await trader.figures();
  await trader.broker.close();
  return { ok, text, stories: stage.stories.map(({ steps }) => steps.join(" → ")) };
}

Deno.test("KiteTrader places three orders, finds the lost one, and hears of all", async () => {
  const { ok, text, stories } = await trade();
  assertEquals(ok, true, text);
  assertMatch(stories[0], /^order 1: .* → placed: \d+ → feed tells COMPLETE$/);
  assertMatch(stories[1], /answers 400, its fate is unknown → found by its tag, placed once: \d+ /);
  assertMatch(stories[2], /feed tells OPEN, then (UPDATE, then )?COMPLETE$/);
});

Deno.test("KiteTrader's figure is wrong where an order was executed that nobody placed", async () => {
  const { ok, text } = await trade(({ desk }) => {
    desk.place("regular", new URLSearchParams(ORDER));
  });
  assertEquals(ok, false, text);
  assertMatch(text, /^4 of 3 orders executed/);
});

Deno.test("KiteTrader's figure is wrong where the feed told an end twice", async () => {
  const { ok } = await trade(({ desk }, trader) => trader.follow(desk.orders[0]));
  assertEquals(ok, false);
});

Deno.test("KiteTrader's figure is wrong where the feed told another end than the book", async () => {
  const { ok } = await trade(({ desk }) => Object.assign(desk.orders[2], { status: "CANCELLED" }));
  assertEquals(ok, false);
});

const ORDER = {
  exchange: "NSE",
  tradingsymbol: "INFY",
  transaction_type: "BUY",
  order_type: "MARKET",
  market_protection: "-1",
  product: "CNC",
  quantity: "1",
};
