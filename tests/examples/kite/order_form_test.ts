import { assert, assertEquals, assertThrows } from "@std/assert";
import {
  completeChange,
  completeOrder,
  isChanged,
  type KiteOrderRequest,
} from "../../../examples/kite/order_form.ts";
import type { KiteOrder } from "../../../examples/kite/account.ts";

const COMMON = {
  exchange: "NSE",
  tradingsymbol: "INFY",
  transaction_type: "BUY",
  product: "CNC",
  quantity: 1,
} as const;

/** Accepts orders that compile. */
function order(order: KiteOrderRequest): Record<string, unknown> {
  return completeOrder(order);
}

Deno.test("completeOrder() gives each order a name of its own: 20 letters and digits", () => {
  const tags = Array.from(
    { length: 1_000 },
    () => completeOrder({ ...COMMON, order_type: "MARKET" }).tag,
  );
  assert(tags.every((tag) => /^[0-9a-f]{20}$/.test(tag)), tags[0]);
  assertEquals(new Set(tags).size, 1_000);
  assertEquals(order({ ...COMMON, order_type: "MARKET", tag: "mine1" }).tag, "mine1");
});

const PROTECTED: [KiteOrderRequest, unknown][] = [
  [{ ...COMMON, order_type: "MARKET" }, -1],
  [{ ...COMMON, order_type: "MARKET", market_protection: 2.5 }, 2.5],
  [{ ...COMMON, order_type: "MARKET", market_protection: 0 }, 0], // the venue refuses it in words
  [{ ...COMMON, order_type: "SL-M", trigger_price: 1_500 }, -1],
  [{ ...COMMON, order_type: "SL-M", trigger_price: 1_500, market_protection: 10 }, 10],
  [{ ...COMMON, order_type: "LIMIT", price: 1_500 }, undefined],
  [{ ...COMMON, order_type: "SL", price: 1_500, trigger_price: 1_499 }, undefined],
  [{ ...COMMON, variety: "co", order_type: "MARKET", trigger_price: 1_400 }, -1],
];

for (const [request, protection] of PROTECTED) {
  const { order_type, market_protection, variety = "regular" } = request;
  Deno.test(`completeOrder() protects ${variety} ${order_type} (${market_protection}) by ${protection}`, () => {
    assertEquals(order(request).market_protection, protection);
  });
}

Deno.test("completeOrder() keeps every field of today, and sends no variety", () => {
  const limit = { ...COMMON, order_type: "LIMIT", price: 1_500 } as const;
  const { tag: _, ...iceberg } = order({
    ...limit,
    ...{ variety: "iceberg", iceberg_legs: 5, iceberg_quantity: 10, quantity: 50 } as const,
    ...{ validity: "TTL", validity_ttl: 2 } as const,
  });
  assertEquals(iceberg, {
    ...{ ...limit, quantity: 50, iceberg_legs: 5, iceberg_quantity: 10 },
    ...{ validity: "TTL", validity_ttl: 2 },
  });
  const auction = { ...limit, variety: "auction", auction_number: 22, autoslice: true } as const;
  const { auction_number, autoslice, variety } = order(auction);
  assertEquals([auction_number, autoslice, variety], [22, true, undefined]);
});

const IGNORED: [string, Record<string, unknown>][] = [
  ["iceberg_legs is 5, wanted only with variety iceberg", { iceberg_legs: 5 }],
  ["iceberg_quantity is 9, wanted only with variety iceberg", { iceberg_quantity: 9 }],
  ["auction_number is 22, wanted only with variety auction", { auction_number: 22 }],
  ["validity_ttl is 2, wanted only with validity TTL", { validity_ttl: 2 }],
  ["validity_ttl is 2, wanted only with validity TTL", { validity_ttl: 2, validity: "IOC" }],
  ["trigger_price is 1400, wanted only with SL, SL-M or variety co", { trigger_price: 1_400 }],
];

for (const [words, fields] of IGNORED) {
  Deno.test(`completeOrder() refuses what the venue would ignore: ${words}`, () => {
    const wrong = { ...COMMON, order_type: "LIMIT", price: 1, ...fields } as KiteOrderRequest;
    assertThrows(() => order(wrong), TypeError, `Cannot place the order: ${words}`);
  });
}

Deno.test("KiteOrderRequest does not compile with fields that do not go together", () => {
  const limit = { ...COMMON, order_type: "LIMIT", price: 1 } as const;
  const wrong: KiteOrderRequest[] = [
    // @ts-expect-error a LIMIT has a price
    { ...COMMON, order_type: "LIMIT" },
    // @ts-expect-error a MARKET order has none
    { ...COMMON, order_type: "MARKET", price: 1 },
    // @ts-expect-error an SL has a trigger
    { ...COMMON, order_type: "SL", price: 1 },
    // @ts-expect-error an SL-M has a trigger
    { ...COMMON, order_type: "SL-M" },
    // @ts-expect-error TTL says how many minutes
    { ...limit, validity: "TTL" },
    // @ts-expect-error only TTL says how many minutes
    { ...limit, validity: "DAY", validity_ttl: 1 },
    // @ts-expect-error an iceberg has legs
    { ...limit, variety: "iceberg" },
    // @ts-expect-error only an iceberg has legs
    { ...limit, iceberg_legs: 2, iceberg_quantity: 1 },
    // @ts-expect-error an auction has a number
    { ...limit, variety: "auction" },
    // @ts-expect-error a cover order has a stop
    { ...limit, variety: "co" },
  ];
  assertEquals(wrong.length, 10);
});

Deno.test("completeChange() protects an order that becomes MARKET or SL-M, and no other", () => {
  const changes = [
    completeChange({ order_type: "MARKET" }),
    completeChange({ order_type: "SL-M", trigger_price: 1 }),
    completeChange({ order_type: "MARKET", market_protection: 3 }),
    completeChange({ market_protection: 4 }),
    completeChange({ quantity: 2, variety: "amo" }),
  ];
  assertEquals(changes, [
    { order_type: "MARKET", market_protection: -1 },
    { order_type: "SL-M", trigger_price: 1, market_protection: -1 },
    { order_type: "MARKET", market_protection: 3 },
    { market_protection: 4 },
    { quantity: 2 },
  ]);
});

Deno.test("isChanged() compares what was asked for with what the venue tells", () => {
  const told = { order_type: "LIMIT", quantity: 2, price: 1_500, validity: "DAY" } as KiteOrder;
  assertEquals(isChanged(told, { quantity: 2, price: 1_500 }), true);
  assertEquals(isChanged(told, { quantity: 2, variety: "amo", order_type: "LIMIT" }), true);
  assertEquals(isChanged(told, { quantity: 3, price: 1_500 }), false);
  assertEquals(isChanged(told, { order_type: "SL" }), false);
  // A protected MARKET order may be told as LIMIT; and protection may not be told at all.
  assertEquals(isChanged(told, { order_type: "MARKET" }), undefined);
  assertEquals(isChanged(told, { order_type: "MARKET", quantity: 3 }), false);
  assertEquals(isChanged(told, { market_protection: 2 }), undefined);
});
