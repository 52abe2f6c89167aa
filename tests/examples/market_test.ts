import { assert, assertEquals, assertNotEquals, assertThrows } from "@std/assert";
import { decimal, type Instrument, Market, seeded } from "../../examples/market.ts";

const BTC: Instrument = {
  symbol: "BTC/USD",
  price: 294_302,
  priceDecimals: 1,
  qtyDecimals: 8,
  size: 50_000_000,
};

Deno.test("Market.step() makes the same market from the same seed, another from another", () => {
  const run = (seed: number) => {
    const market = new Market(BTC, seed);
    const prints = Array.from({ length: 2_000 }, () => market.step());
    return { prints, bids: market.bids, asks: market.asks, traded: market.traded };
  };
  assertEquals(run(7), run(7));
  assertNotEquals(run(7), run(8));
});

Deno.test("Market.step() keeps two sorted, full sides that never cross", () => {
  for (const [levels, instrument] of [[12, BTC], [1, BTC], [12, { ...BTC, price: 40 }]] as const) {
    const market = new Market(instrument, 3, levels);
    for (let i = 0; i < 5_000; i++) {
      market.step();
      assert(market.bids[0].price < market.asks[0].price, `crossed at step ${i}`);
      for (const [side, away] of [[market.bids, -1], [market.asks, 1]] as const) {
        assert(side.every(({ price, qty }) => price >= 1 && Number.isSafeInteger(qty) && qty > 0));
        assert(side.every(({ price }, n) => n === 0 || away * (price - side[n - 1].price) > 0));
      }
      assertEquals(market.asks.length, levels);
      if (instrument === BTC) assertEquals(market.bids.length, levels);
    }
  }
});

Deno.test("Market refuses a price without room for a bid, and a ladder without levels", () => {
  assertThrows(() => new Market({ ...BTC, price: 1 }, 1), RangeError, "price is 1 ticks");
  assertThrows(() => new Market(BTC, 1, 0), RangeError, "0 levels");
});

Deno.test("Market.step() returns trades at the best price, counted from 1", () => {
  const market = new Market(BTC, 5);
  const ids: number[] = [];
  let lots = 0;
  for (let i = 0; i < 2_000; i++) {
    const [bid, ask] = [market.bids[0], market.asks[0]];
    const print = market.step();
    if (!print) continue;
    const hit = print.side === "buy" ? ask : bid;
    assertEquals(print.price, hit.price);
    assert(print.qty <= hit.qty);
    ids.push(print.id);
    lots += print.qty;
  }
  assert(ids.length > 100);
  assertEquals(ids, ids.map((_, i) => i + 1));
  assertEquals(market.traded.lots, lots);
});

Deno.test("Market.steps() steps one to three times, and returns all trades", () => {
  const random = seeded(2);
  const [market, other] = [new Market(BTC, 5), new Market(BTC, 5)];
  const counts = new Set<number>();
  const count = seeded(2);
  for (let i = 0; i < 500; i++) {
    const steps = 1 + Math.floor(count() * 3);
    const prints = Array.from({ length: steps }, () => other.step());
    assertEquals(market.steps(random), prints.filter((print) => print !== undefined));
    counts.add(steps);
  }
  assertEquals([...counts].sort(), [1, 2, 3]);
});

Deno.test("Market.step() replaces rungs and never changes them", () => {
  const market = new Market(BTC, 9);
  const seen = [...market.bids, ...market.asks].map((rung) => [rung, { ...rung }]);
  for (let i = 0; i < 500; i++) market.step();
  for (const [rung, copy] of seen) assertEquals(rung, copy);
});

Deno.test("decimal() writes every zero", () => {
  assertEquals(decimal(10_000_000, 8), "0.10000000");
  assertEquals(decimal(294_310, 1), "29431.0");
  assertEquals(decimal(712_300, 7), "0.0712300");
  assertEquals(decimal(0, 2), "0.00");
  assertEquals(decimal(42, 0), "42");
});

Deno.test("seeded() gives numbers in [0, 1) that are spread evenly", () => {
  const random = seeded(1);
  const tenths = new Array<number>(10).fill(0);
  for (let i = 0; i < 10_000; i++) tenths[Math.floor(random() * 10)]++;
  assertEquals(tenths.length, 10);
  assert(tenths.every((count) => count > 850 && count < 1_150), String(tenths));
});
