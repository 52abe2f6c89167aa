import { assertEquals } from "@std/assert";
import { BinanceBroker } from "../../../examples/binance/broker.ts";
import { BinanceSimulator } from "../../../examples/binance/simulator.ts";
import { BinanceTrader } from "../../../examples/binance/trader.ts";
import { Stage } from "../../../examples/stage.ts";

Deno.test("BinanceTrader says whether the venue's log is what was told", async () => {
  await using venue = new BinanceSimulator({ interval: 0 });
  await using broker = new BinanceBroker({ baseUrl: venue.httpUrl, dataUrl: venue.httpUrl });
  const stage = new Stage();
  const trader = new BinanceTrader(stage, venue, broker);
  await trader.open();
  await trader.work(new AbortController().signal);
  assertEquals(stage.stories.map(({ outcome }) => outcome), ["good", "good", "good"]);
  assertEquals((await trader.figures()).map(({ ok }) => ok), [true]);
  await trader.close();
  // Of this order the trader knows nothing.
  venue.desk.place({ symbol: "BTCUSDT", side: "BUY", type: "MARKET", quantity: "0.001" });
  assertEquals((await trader.figures()).map(({ ok }) => ok), [false]);
});
