import { assertEquals } from "@std/assert";
import { KrakenBroker } from "../../../examples/kraken/broker.ts";
import { KrakenSimulator } from "../../../examples/kraken/simulator.ts";
import { KrakenTrader } from "../../../examples/kraken/trader.ts";
import { Stage } from "../../../examples/stage.ts";

Deno.test("KrakenTrader says whether the venue's log is what was told", async () => {
  await using venue = new KrakenSimulator({ interval: 0, restInterval: 0 });
  await using broker = new KrakenBroker({ baseUrl: venue.httpUrl, throttlers: [] });
  const stage = new Stage();
  const trader = new KrakenTrader(stage, venue, broker);
  await trader.open();
  await trader.work(new AbortController().signal);
  assertEquals(stage.stories.map(({ outcome }) => outcome), ["good", "good", "good"]);
  assertEquals((await trader.figures()).map(({ ok }) => ok), [true]);
  await trader.close();
  // Of this order the trader knows nothing.
  venue.desk.add({ pair: "XBTUSD", type: "buy", ordertype: "market", volume: "0.01" });
  assertEquals((await trader.figures()).map(({ ok }) => ok), [false]);
});

Deno.test("KrakenTrader places an order again that met a 429, because nothing was executed", async () => {
  await using venue = new KrakenSimulator({ interval: 0, restInterval: 0 });
  await using broker = new KrakenBroker({ baseUrl: venue.httpUrl, throttlers: [] });
  const stage = new Stage();
  const trader = new KrakenTrader(stage, venue, broker);
  await trader.open();
  venue.inflict("throttle");
  await trader.work(new AbortController().signal);
  assertEquals(stage.stories[0].steps.some((text) => text.includes("placed again")), true);
  assertEquals((await trader.figures()).map(({ ok }) => ok), [true]);
  assertEquals(venue.desk.orders.size, 3);
  await trader.close();
});
