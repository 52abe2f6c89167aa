import { assert, assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import { BinanceBroker, type BinanceOrder } from "../../../examples/binance/broker.ts";
import { unitsOf } from "../../../examples/binance/decimals.ts";
import { fitOrder } from "../../../examples/binance/filters.ts";
import { BinanceSimulator } from "../../../examples/binance/simulator.ts";

const INFO = {
  ...{ symbol: "BTCUSDT", status: "TRADING" },
  filters: [
    { filterType: "PRICE_FILTER", tickSize: "0.01000000" },
    {
      ...{ filterType: "LOT_SIZE", minQty: "0.00010000", maxQty: "9000.00000000" },
      stepSize: "0.00010000",
    },
    {
      ...{ filterType: "MARKET_LOT_SIZE", minQty: "0.00000000", maxQty: "100.00000000" },
      stepSize: "0.00000000",
    },
    { filterType: "NOTIONAL", minNotional: "5.00000000" },
  ],
};
const LIMIT: BinanceOrder = {
  ...{ symbol: "BTCUSDT", side: "BUY", type: "LIMIT", timeInForce: "GTC" },
  ...{ quantity: "0.01", price: "29000.00" },
};
const MARKET: BinanceOrder = { symbol: "BTCUSDT", side: "BUY", type: "MARKET" };

Deno.test("fitOrder() is never larger and never at a worse price than what was meant", () => {
  const decimal = fc.tuple(fc.integer({ min: 3, max: 8_000 }), fc.nat(9_999_999)).map(([a, b]) =>
    `${a}.${String(b).padStart(7, "0")}`
  );
  fc.assert(
    fc.property(decimal, decimal, fc.constantFrom("BUY", "SELL"), (quantity, price, side) => {
      const fitted = fitOrder({ ...LIMIT, side: side as "BUY", quantity, price }, INFO);
      const [q, p] = [unitsOf(fitted.quantity!), unitsOf(fitted.price!)];
      assert(q <= unitsOf(quantity) && q % 10_000n === 0n, fitted.quantity);
      assert(side === "BUY" ? p <= unitsOf(price) : p >= unitsOf(price), fitted.price);
      assertEquals(p % 1_000_000n, 0n);
    }),
  );
});

Deno.test("fitOrder() rounds stops as prices, and leaves what has no filter", () => {
  const stop = { ...LIMIT, type: "STOP_LOSS_LIMIT", stopPrice: "30000.019" } as const;
  assertEquals(fitOrder(stop, INFO).stopPrice, "30000.01");
  assertEquals(fitOrder({ ...stop, side: "SELL" }, INFO).stopPrice, "30000.02");
  const order = { ...LIMIT, quantity: "0.123456789", price: "1.5" };
  assertEquals(fitOrder(order, { ...INFO, filters: [] }).quantity, "0.12345678");
});

for (
  const [name, order, words] of [
    ["nothing is left", { ...LIMIT, quantity: "0.00009" }, "quantity is 0 after rounding"],
    ["it is too large", { ...LIMIT, quantity: "9000.1" }, "quantity is 9000.1"],
    ["it is too large at the market", { ...MARKET, quantity: "100.1" }, "wanted 0.00000000 to 100"],
    ["it is worth too little", { ...LIMIT, quantity: "0.0001" }, "wanted a worth of 5.00000000"],
    ["too little is spent", { ...MARKET, quoteOrderQty: "4.99" }, "4.99 is too little"],
    ["it is no decimal", { ...LIMIT, quantity: "1e-3" }, "it is 1e-3"],
  ] as [string, BinanceOrder, string][]
) {
  Deno.test(`fitOrder() refuses an order in words if ${name}`, () => {
    assertThrows(() => fitOrder(order, INFO), RangeError, words);
  });
}

Deno.test("fitOrder() makes orders that the venue takes, by the rules that the venue tells", async () => {
  await using venue = new BinanceSimulator({ seed: 7, interval: 0 });
  const { httpUrl } = venue;
  await using broker = new BinanceBroker({ baseUrl: httpUrl, dataUrl: httpUrl });
  await broker.authorize(venue.login);
  const orders: BinanceOrder[] = [
    { ...LIMIT, quantity: "0.012345678", price: "20000.12345" },
    { ...LIMIT, symbol: "DOGEUSDT", side: "SELL", quantity: "100.9", price: "0.9000001" },
    { ...LIMIT, symbol: "ETHUSDT", quantity: "0.30000000000000004", price: "1000.999" },
    { ...MARKET, quantity: "0.00123456789" },
  ];
  for (const order of orders) {
    await broker.placeOrder(fitOrder(order, await broker.exchangeInfo(order.symbol)));
  }
  assertEquals(venue.stats.executed, orders.length);
});
