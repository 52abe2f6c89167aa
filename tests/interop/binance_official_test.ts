/**
 * Holds the simulated Binance to the venue's own client, npm `@binance/spot`.
 *
 *     deno task test:interop
 */

import { assertEquals, assertRejects } from "@std/assert";
import { BinanceBroker } from "../../examples/binance/broker.ts";
import { BinanceSimulator, LOGIN } from "../../examples/binance/simulator.ts";
import { until } from "./ccxt.ts";

// Its types alone take longer than the tests.
const { Spot } = await import("npm:" + "@binance/spot@32.0.4");

// deno-lint-ignore no-explicit-any
type Anything = any;

/** A client of the simulator. */
function official(venue: BinanceSimulator): Anything {
  const keys = { apiKey: LOGIN.apiKey, apiSecret: LOGIN.secret };
  return new Spot({
    configurationRestAPI: { ...keys, basePath: venue.httpUrl, retries: 0 },
    configurationWebsocketAPI: { ...keys, wsURL: `${venue.wsUrl}/ws-api/v3` },
  });
}

/** Its agent keeps connections open. */
function test(name: string, fn: () => Promise<void>): void {
  Deno.test({ name, fn, sanitizeOps: false, sanitizeResources: false });
}

async function data(response: Promise<Anything>): Promise<Anything> {
  return await (await response).data();
}

const ORDER = { symbol: "BTCUSDT", side: "BUY", type: "MARKET", quantity: 0.01 };
const LIMIT = { ...ORDER, type: "LIMIT", timeInForce: "GTC", price: 20_000 };

test("@binance/spot places, amends and cancels at the simulated Binance, as BinanceBroker sees", async () => {
  await using venue = new BinanceSimulator({ seed: 7, interval: 0 });
  await using ours = new BinanceBroker({ baseUrl: venue.httpUrl, dataUrl: venue.httpUrl });
  await ours.authorize(LOGIN);
  const { restAPI: theirs } = official(venue);

  const placed = await data(theirs.newOrder({ ...LIMIT, newClientOrderId: "theirs" }));
  assertEquals((await ours.order("BTCUSDT", "theirs")).orderId, placed.orderId);
  const amended = await data(theirs.orderAmendKeepPriority({
    ...{ symbol: "BTCUSDT", origClientOrderId: "theirs", newClientOrderId: "theirs" },
    newQty: 0.008,
  }));
  assertEquals(amended.amendedOrder.qty, "0.00800000");
  assertEquals((await ours.order("BTCUSDT", "theirs")).origQty, "0.00800000");
  const canceled = await data(
    theirs.deleteOrder({ symbol: "BTCUSDT", origClientOrderId: "theirs" }),
  );
  assertEquals([canceled.origClientOrderId, canceled.status], ["theirs", "CANCELED"]);

  const list = await data(theirs.orderListOco({
    ...{ symbol: "BTCUSDT", side: "SELL", quantity: 0.01, listClientOrderId: "both" },
    ...{ aboveType: "LIMIT_MAKER", abovePrice: 40_000 },
    ...{ belowType: "STOP_LOSS", belowStopPrice: 20_000 },
  }));
  assertEquals((await ours.orderList("both")).orders, list.orders);
  await data(theirs.deleteOrderList({ symbol: "BTCUSDT", listClientOrderId: "both" }));

  await ours.placeOrder({
    ...{ symbol: "BTCUSDT", side: "BUY", type: "MARKET", quantity: "0.01" },
    newClientOrderId: "ours",
  });
  const symbol = "BTCUSDT";
  assertEquals(await data(theirs.allOrders({ symbol })), await ours.allOrders(symbol));
  assertEquals(await data(theirs.myTrades({ symbol })), await ours.myTrades(symbol));
  assertEquals(await data(theirs.getOpenOrders({ symbol })), await ours.openOrders(symbol));
  assertEquals((await data(theirs.getAccount())).balances, (await ours.account()).balances);
  assertEquals((await data(theirs.exchangeInfo({ symbol }))).symbols, [
    await ours.exchangeInfo(symbol),
  ]);
});

test("@binance/spot is refused by the simulated Binance in the venue's words", async () => {
  await using venue = new BinanceSimulator({ seed: 7, interval: 0 });
  const { restAPI: theirs } = official(venue);
  for (
    const [order, words] of [
      [{ ...LIMIT, quantity: 1_000 }, "insufficient balance"],
      [
        { ...LIMIT, type: "LIMIT_MAKER", timeInForce: undefined, price: 90_000 },
        "immediately match",
      ],
      [{ ...LIMIT, price: 20_000.001 }, "PRICE_FILTER"],
      [{ ...LIMIT, symbol: "FOOBAR" }, "Invalid symbol"],
    ] as const
  ) await assertRejects(() => theirs.newOrder(order), Error, words);
  await assertRejects(
    () => theirs.getOrder({ symbol: "BTCUSDT", orderId: 999 }),
    Error,
    "Order does not exist",
  );
  assertEquals(venue.stats.executed, 0);
});

test("@binance/spot follows orders on the simulated user data stream", async () => {
  await using venue = new BinanceSimulator({ seed: 7, interval: 0 });
  const client = official(venue);
  const connection = await client.websocketAPI.connect();
  const { stream } = await connection.userDataStreamSubscribeSignature();
  const told: string[] = [];
  stream.on("message", (event: Anything) => {
    if (event.e === "executionReport") told.push(`${event.x} ${event.X}`);
  });
  await client.restAPI.newOrder({ ...LIMIT, newClientOrderId: "a" });
  await client.restAPI.deleteOrder({ symbol: "BTCUSDT", origClientOrderId: "a" });
  await client.restAPI.newOrder(ORDER);
  await until(() => told.includes("TRADE FILLED"));
  assertEquals(told, ["NEW NEW", "CANCELED CANCELED", "NEW NEW", "TRADE FILLED"]);
  await connection.disconnect();
});
