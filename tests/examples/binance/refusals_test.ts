/**
 * What the venue refuses, asked over REST: by BinanceBroker, at the simulator.
 *
 * @module
 */

import { assert, assertEquals, assertRejects } from "@std/assert";
import { BrokerError } from "@aio-trader/core";
import { BinanceBroker, type BinanceOrder } from "../../../examples/binance/broker.ts";
import { BinanceSimulator } from "../../../examples/binance/simulator.ts";

const LIMIT: BinanceOrder = {
  ...{ symbol: "BTCUSDT", side: "BUY", type: "LIMIT", timeInForce: "GTC" },
  ...{ quantity: "0.01", price: "20000.00" },
};
const MARKET: BinanceOrder = { symbol: "BTCUSDT", side: "BUY", type: "MARKET" };

/** Calls something with a venue that stands still, and a broker that has logged in. */
async function at(
  run: (broker: BinanceBroker, venue: BinanceSimulator) => Promise<void>,
): Promise<void> {
  const options = { seed: 7, interval: 0, restInterval: 0, limited: false };
  await using venue = new BinanceSimulator(options);
  const { httpUrl } = venue;
  await using broker = new BinanceBroker({ baseUrl: httpUrl, dataUrl: httpUrl });
  await broker.authorize(venue.login);
  await run(broker, venue);
}

const maker = (side: "BUY" | "SELL", price: string, symbol = "BTCUSDT", quantity = "0.01") => ({
  ...{ symbol, side, price, quantity, type: "LIMIT_MAKER" } as const,
});

const REFUSED: Record<string, [code: number, words: string, orders: BinanceOrder[]]> = {
  "a LIMIT_MAKER that crosses": [-2010, "Order would immediately match and take.", [
    maker("BUY", "90000.00"),
    maker("SELL", "20000.00"),
    maker("BUY", "9000.00", "ETHUSDT"),
    maker("SELL", "0.50000", "DOGEUSDT", "100"),
  ]],
  "a price off the tick": [-1013, "PRICE_FILTER", [
    { ...LIMIT, price: "20000.001" },
    { ...LIMIT, price: "0.005" },
    { ...LIMIT, symbol: "DOGEUSDT", quantity: "100", price: "0.500001" },
    { ...LIMIT, type: "STOP_LOSS_LIMIT", stopPrice: "30000.001" },
  ]],
  "a quantity off the step": [-1013, "LOT_SIZE", [
    { ...LIMIT, quantity: "0.010001" },
    { ...LIMIT, symbol: "ETHUSDT", price: "1000.00", quantity: "1.00001" },
    { ...LIMIT, symbol: "DOGEUSDT", price: "0.50000", quantity: "100.5" },
    { ...MARKET, quantity: "0.000001" },
  ]],
  "an order that is worth too little": [-1013, "NOTIONAL", [
    { ...LIMIT, quantity: "0.00024" },
    { ...LIMIT, price: "499.99" },
    { ...MARKET, quantity: "0.0001" },
    { ...MARKET, quoteOrderQty: "4.99" },
  ]],
  "an order that the account cannot pay": [-2010, "insufficient balance", [
    { ...LIMIT, quantity: "51" },
    { ...MARKET, quantity: "40" },
    { ...MARKET, quoteOrderQty: "1000001" },
    { ...MARKET, side: "SELL", quantity: "10.00001" },
  ]],
  "a parameter that is missing": [-1102, "Mandatory parameter", [
    { ...LIMIT, price: "" },
    { ...LIMIT, timeInForce: undefined! },
    { ...MARKET },
    { ...LIMIT, type: "TAKE_PROFIT_LIMIT" },
  ]],
  "an unknown symbol": [-1121, "Invalid symbol.", [
    { ...LIMIT, symbol: "FOOBAR" },
    { ...LIMIT, symbol: "btcusdt" },
    { ...LIMIT, symbol: "BTC/USDT" },
    { ...MARKET, symbol: "BTCUSD", quantity: "1" },
  ]],
};
for (const [name, [code, words, orders]] of Object.entries(REFUSED)) {
  Deno.test(`BinanceSimulator refuses ${name} with ${code}, and the broker says rejected`, () =>
    at(async (broker, venue) => {
      for (const order of orders) {
        const error = await assertRejects(() => broker.placeOrder(order), BrokerError, words);
        assertEquals([error.code, error.outcome], [code, "rejected"], JSON.stringify(order));
      }
      assertEquals([venue.desk.orders.size, venue.stats.executed], [0, 0]);
    }));
}

Deno.test("BinanceSimulator lets what is not filled of IOC and FOK expire, and fills the rest", () =>
  at(async (broker) => {
    for (const timeInForce of ["IOC", "FOK"] as const) {
      const away = await broker.placeOrder({ ...LIMIT, timeInForce });
      assertEquals([away.status, away.executedQty], ["EXPIRED", "0.00000000"]);
      assertEquals((await broker.order("BTCUSDT", away.orderId)).status, "EXPIRED");
      const taken = await broker.placeOrder({ ...LIMIT, timeInForce, price: "90000.00" });
      assertEquals([taken.status, taken.executedQty], ["FILLED", "0.01000000"]);
    }
    assertEquals(await broker.openOrders(), []);
  }));

Deno.test("BinanceSimulator executes quoteOrderQty, never more than it says", () =>
  at(async (broker, venue) => {
    for (
      const [symbol, side, quoteOrderQty] of [
        ["BTCUSDT", "BUY", "100"],
        ["BTCUSDT", "SELL", "100"],
        ["ETHUSDT", "BUY", "5.5"],
        ["DOGEUSDT", "BUY", "12.345678"],
      ] as const
    ) {
      const { status } = await broker.placeOrder({ ...MARKET, symbol, side, quoteOrderQty });
      const { quoteQty } = venue.desk.trades.at(-1)!;
      assertEquals(status, "FILLED");
      assert(Number(quoteQty) <= Number(quoteOrderQty), `${quoteQty} of ${quoteOrderQty}`);
      assert(Number(quoteQty) > Number(quoteOrderQty) * 0.9, `${quoteQty} of ${quoteOrderQty}`);
    }
  }));

Deno.test("BinanceSimulator knows orders by name and by id, and no others", () =>
  at(async (broker) => {
    const { orderId } = await broker.placeOrder({ ...LIMIT, newClientOrderId: "mine" });
    assertEquals((await broker.order("BTCUSDT", orderId)).clientOrderId, "mine");
    assertEquals((await broker.order("BTCUSDT", BigInt(orderId))).clientOrderId, "mine");
    assertEquals((await broker.order("BTCUSDT", "mine")).orderId, orderId);
    for (
      const [symbol, name] of [
        ["BTCUSDT", "another"],
        ["BTCUSDT", 999],
        ["ETHUSDT", "mine"],
        ["ETHUSDT", Number(orderId)],
      ] as const
    ) {
      const look = await assertRejects(() => broker.order(symbol, name), BrokerError);
      const cancel = await assertRejects(() => broker.cancel(symbol, name), BrokerError);
      assertEquals([look.code, cancel.code], [-2013, -2011]);
      assertEquals([look.outcome, cancel.outcome], ["rejected", "rejected"]);
    }
  }));

Deno.test("BinanceSimulator wants a name to be unique among open orders only", () =>
  at(async (broker) => {
    const order = { ...LIMIT, newClientOrderId: "mine" };
    for (let i = 0; i < 3; i++) {
      await broker.placeOrder(order);
      const error = await assertRejects(() => broker.placeOrder(order), BrokerError, "Duplicate");
      assertEquals(error.code, -2010);
      assertEquals((await broker.cancel("BTCUSDT", "mine")).status, "CANCELED");
    }
  }));

Deno.test("BinanceSimulator tells the rules of one symbol, or of all", () =>
  at(async (broker, venue) => {
    for (const symbol of ["BTCUSDT", "ETHUSDT", "DOGEUSDT"]) {
      const { filters, ...info } = await broker.exchangeInfo(symbol);
      const types = filters.map(({ filterType }) => filterType);
      assertEquals([info.symbol, types], [symbol, ["PRICE_FILTER", "LOT_SIZE", "NOTIONAL"]]);
    }
    const all = await (await fetch(`${venue.httpUrl}/api/v3/exchangeInfo`)).json();
    assertEquals(all.symbols.length, 3);
    const error = await assertRejects(() => broker.exchangeInfo("FOOBAR"), BrokerError);
    assertEquals(error.code, -1121);
  }));

Deno.test("BinanceBroker.cancel() names the order, also of what is partly filled or in a list", () =>
  at(async (broker, venue) => {
    await broker.placeOrder({ ...LIMIT, newClientOrderId: "part" });
    venue.desk.fill(venue.orders.get("part")!, 400_000n);
    const part = await broker.cancel("BTCUSDT", "part");
    assertEquals([part.clientOrderId, part.status, part.executedQty], [
      ...["part", "CANCELED", "0.00400000"],
    ]);
    const { orderId } = await broker.placeOrder({ ...LIMIT, newClientOrderId: "by-id" });
    assertEquals((await broker.cancel("BTCUSDT", orderId)).clientOrderId, "by-id");
    const { orders: [{ clientOrderId: name }] } = await broker.placeOco({
      ...{ symbol: "BTCUSDT", side: "SELL", quantity: "0.01" },
      ...{ aboveType: "LIMIT_MAKER", abovePrice: "40000.00" },
      ...{ belowType: "STOP_LOSS", belowStopPrice: "20000.00" },
    });
    const leg = await broker.cancel("BTCUSDT", name);
    assertEquals([leg.clientOrderId, leg.status], [name, "CANCELED"]);
    assertEquals(await broker.openOrders(), []);
  }));
