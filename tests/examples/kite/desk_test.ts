import { assert, assertEquals, assertRejects } from "@std/assert";
import { FakeTime } from "@std/testing/time";
import { BrokerError } from "@aio-trader/core";
import {
  KiteBroker,
  type KiteGttRequest,
  type KiteOrderRequest,
} from "../../../examples/kite/broker.ts";
import { Desk } from "../../../examples/kite/desk.ts";
import { INSTRUMENTS, Listing } from "../../../examples/kite/listing.ts";
import { KiteSimulator } from "../../../examples/kite/simulator.ts";

const INFY = {
  exchange: "NSE",
  tradingsymbol: "INFY",
  transaction_type: "BUY",
  product: "CNC",
  quantity: 1,
} as const;
const LIMIT = { ...INFY, order_type: "LIMIT", price: 1_400 } as const;
const MARKET = { ...INFY, order_type: "MARKET" } as const;

interface World extends AsyncDisposable {
  readonly venue: KiteSimulator;
  readonly broker: KiteBroker;
}

async function world(): Promise<World> {
  const venue = new KiteSimulator({ seed: 7, interval: 0, limited: false });
  const broker = new KiteBroker({ baseUrl: venue.httpUrl, throttlers: [] });
  await broker.authorize(venue.login);
  return {
    ...{ venue, broker },
    async [Symbol.asyncDispose]() {
      await broker.close();
      await venue.close();
    },
  };
}

Deno.test("KiteBroker reads the history and the trades of an order, and all trades of the day", async () => {
  await using it = await world();
  const { order_id: bought } = await it.broker.placeOrder({ ...LIMIT, quantity: 5 });
  it.venue.desk.fill(bought, 2, 1_400);
  it.venue.desk.fill(bought, 3, 1_399);
  const { order_id: sold } = await it.broker.placeOrder({ ...MARKET, transaction_type: "SELL" });
  const states = (await it.broker.orderHistory(bought)).map((state) =>
    [state.status, state.filled_quantity, state.average_price] as const
  );
  assertEquals(states, [
    ["PUT ORDER REQ RECEIVED", 0, 0],
    ["OPEN", 0, 0],
    ["OPEN", 2, 1_400],
    ["COMPLETE", 5, 1_399.4],
  ]);
  const trades = await it.broker.orderTrades(bought);
  assertEquals(trades.map(({ quantity, average_price }) => [quantity, average_price]), [
    [2, 1_400],
    [3, 1_399],
  ]);
  assertEquals((await it.broker.trades()).map((trade) => trade.order_id), [bought, bought, sold]);
  assertEquals((await it.broker.positions()).net[0].quantity, 4);
});

for (const id of ["1", "", "a/b", "261123999999999"]) {
  Deno.test(`KiteBroker is told that there is no order ${JSON.stringify(id)}`, async () => {
    await using it = await world();
    if (id === "") return assertEquals(await it.broker.orders(), []);
    for (const ask of [it.broker.orderHistory(id), it.broker.orderTrades(id)]) {
      const { outcome, status } = await assertRejects(() => ask, BrokerError);
      assertEquals([outcome, status], ["rejected", 404]);
    }
  });
}

Deno.test("KiteBroker.margins() asks for every segment, or for one", async () => {
  await using it = await world();
  const { equity, commodity } = await it.broker.margins();
  assertEquals(await it.broker.margins("equity"), equity);
  assertEquals(await it.broker.margins("commodity"), commodity);
  assert(equity.net > commodity.net);
  const wrong = "currency" as "equity";
  assertEquals(
    (await assertRejects(() => it.broker.margins(wrong), BrokerError)).code,
    "InputException",
  );
});

Deno.test("KiteSimulator cancels what an IOC does not get", async () => {
  await using it = await world();
  await it.broker.placeOrder({ ...LIMIT, validity: "IOC" });
  await it.broker.placeOrder({ ...MARKET, validity: "IOC" });
  assertEquals((await it.broker.orders()).map(({ status }) => status), ["CANCELLED", "COMPLETE"]);
});

Deno.test("Desk ends a TTL order after its minutes, and no other", () => {
  using time = new FakeTime();
  const desk = new Desk(INSTRUMENTS.map((it) => new Listing(it, 1)), 1, () => {});
  const place = (fields: Record<string, string>) => {
    const { quantity, price, ...rest } = LIMIT;
    const form = { ...rest, quantity: `${quantity}`, price: `${price}`, ...fields };
    return desk.place("regular", new URLSearchParams(form));
  };
  place({ validity: "TTL", validity_ttl: "2" });
  place({});
  const statuses = () => {
    desk.expire();
    return desk.orders.map(({ status }) => status);
  };
  time.tick(119_999);
  assertEquals(statuses(), ["OPEN", "OPEN"]);
  time.tick(1);
  assertEquals(statuses(), ["CANCELLED", "OPEN"]);
});

Deno.test("KiteSimulator shows one leg of an iceberg after the other", async () => {
  await using it = await world();
  await it.broker.placeOrder({
    ...{ ...LIMIT, quantity: 25, variety: "iceberg", iceberg_legs: 3, iceberg_quantity: 10 },
  });
  const { desk } = it.venue;
  for (let leg = 1; leg <= 3; leg++) {
    assertEquals(desk.orders.length, leg);
    const { order_id, quantity } = desk.orders[leg - 1];
    desk.fill(order_id, quantity);
  }
  assertEquals(desk.orders.map(({ quantity, meta }) => [quantity, meta.iceberg?.leg]), [
    [10, 1],
    [10, 2],
    [5, 3],
  ]);
  assertEquals(desk.orders.slice(1).map((leg) => leg.parent_order_id), [
    desk.orders[0].order_id,
    desk.orders[0].order_id,
  ]);
});

Deno.test("KiteBroker.placeOrder() with autoslice tells every slice, also when its answer is lost", async () => {
  await using it = await world();
  const order = {
    ...LIMIT,
    exchange: "CDS",
    tradingsymbol: "USDINR26NOVFUT",
    product: "NRML",
    price: 80,
    quantity: 25_000,
    autoslice: true,
  } as const;
  for (const isLost of [false, true]) {
    if (isLost) it.venue.loseAnswer();
    const { order_id, tag, children = [] } = await it.broker.placeOrder(order);
    const slices = await it.broker.findOrders(tag);
    assertEquals(slices.map(({ quantity }) => quantity), [10_000, 10_000, 5_000]);
    assertEquals(children.map((child) => child.order_id), slices.map((slice) => slice.order_id));
    assertEquals(order_id, slices[0].order_id);
  }
  assertEquals(it.venue.desk.executions.placed, 6);
});

for (const order_type of ["SL", "SL-M"] as const) {
  Deno.test(`KiteSimulator lets an ${order_type} wait for its trigger`, async () => {
    await using it = await world();
    const listing = it.venue.listings.get(408_065)!;
    const trigger_price = listing.price(listing.market.prices.last + 1);
    const limit = order_type === "SL" ? { price: trigger_price + 50 } : {};
    const order = { ...INFY, order_type, trigger_price, ...limit } as KiteOrderRequest;
    await it.broker.placeOrder(order);
    assertEquals(it.venue.desk.orders[0].status, "TRIGGER PENDING");
    const isDone = () => it.venue.desk.orders[0].status === "COMPLETE";
    for (let i = 0; i < 20_000 && !isDone(); i++) it.venue.step();
    const told = it.venue.desk.log.map(({ status }) => status);
    assertEquals(told, ["TRIGGER PENDING", "OPEN", "COMPLETE"]);
  });
}

Deno.test("KiteSimulator keeps a changed order in the line where it belongs", async () => {
  await using it = await world();
  const { order_id } = await it.broker.placeOrder(LIMIT);
  await it.broker.modifyOrder(order_id, { order_type: "SL", price: 1_700, trigger_price: 1_690 });
  assertEquals(it.venue.desk.orders[0].status, "TRIGGER PENDING");
  await it.broker.modifyOrder(order_id, { order_type: "LIMIT", price: 1_390 });
  assertEquals(it.venue.desk.orders[0].status, "OPEN");
  const { length } = it.venue.desk.log;
  assertEquals(it.venue.desk.log.slice(1).map(({ status }) => status), ["UPDATE", "UPDATE"]);
  assertEquals(length, 3);
});

Deno.test("KiteSimulator gives no two orders one name", async () => {
  await using it = await world();
  for (let i = 0; i < 50; i++) await it.broker.placeOrder(LIMIT);
  assertEquals(new Set(it.venue.desk.orders.map(({ order_id }) => order_id)).size, 50);
});

const SINGLE: KiteGttRequest = {
  type: "single",
  exchange: "NSE",
  tradingsymbol: "INFY",
  trigger_values: [1_400],
  last_price: 1_500,
  orders: [{ transaction_type: "BUY", quantity: 1, price: 1_401, product: "CNC" }],
};

Deno.test("KiteBroker places, reads, replaces, lists and cancels triggers", async () => {
  await using it = await world();
  const { trigger_id } = await it.broker.placeGtt(SINGLE);
  const { status, condition, orders } = await it.broker.gtt(trigger_id);
  assertEquals([status, condition.trigger_values, orders[0].price], ["active", [1_400], 1_401]);
  await it.broker.modifyGtt(trigger_id, { ...SINGLE, trigger_values: [1_399] });
  const [listed] = await it.broker.gtts();
  assertEquals(listed.condition.trigger_values, [1_399]);
  assertEquals(await it.broker.cancelGtt(trigger_id), { trigger_id });
  const error = await assertRejects(() => it.broker.cancelGtt(trigger_id), BrokerError);
  assertEquals([error.outcome, (await it.broker.gtt(trigger_id)).status], ["rejected", "deleted"]);
});

Deno.test("KiteSimulator places the order of a trigger that is reached, and cancels the other leg", async () => {
  await using it = await world();
  const listing = it.venue.listings.get(408_065)!;
  const { last } = listing.market.prices;
  const order = { transaction_type: "SELL", quantity: 1, product: "CNC" } as const;
  const [stop, target] = [last - 5_000, last + 2].map((ticks) => listing.price(ticks));
  const { trigger_id } = await it.broker.placeGtt({
    ...{ type: "two-leg", exchange: "NSE", tradingsymbol: "INFY", last_price: listing.lastPrice },
    trigger_values: [stop, target],
    orders: [{ ...order, price: stop }, { ...order, price: 1_000 }],
  });
  for (let i = 0; i < 20_000 && it.venue.desk.orders.length === 0; i++) it.venue.step();
  const { status, orders } = await it.broker.gtt(trigger_id);
  assertEquals([status, orders.map(({ result }) => result !== undefined)], [
    "triggered",
    [false, true],
  ]);
  assertEquals(it.venue.desk.orders[0].price, 1_000);
});

const NO_TRIGGERS: [string, Record<string, unknown>][] = [
  ["two prices for one order", { trigger_values: [1_400, 1_600] }],
  ["the last price itself", { trigger_values: [1_500] }],
  ["no order", { orders: [] }],
  ["an index", { tradingsymbol: "NIFTY 50" }],
  ["a MARKET order", { orders: [{ ...SINGLE.orders[0], order_type: "MARKET" }] }],
  ["another type", { type: "three-leg" }],
];

for (const [what, fields] of NO_TRIGGERS) {
  Deno.test(`KiteSimulator refuses a trigger with ${what}`, async () => {
    await using it = await world();
    const gtt = { ...SINGLE, ...fields } as KiteGttRequest;
    const { code, outcome } = await assertRejects(() => it.broker.placeGtt(gtt), BrokerError);
    assertEquals([code, outcome], ["InputException", "rejected"]);
  });
}

Deno.test("KiteSimulator loses an answer, or an order, when told so", async () => {
  await using it = await world();
  const blind = new KiteBroker({ baseUrl: it.venue.httpUrl, reconcile: false });
  await blind.authorize(it.venue.login);
  for (const [lose, placed] of [["loseAnswer", 1], ["loseOrder", 1], ["loseAnswer", 2]] as const) {
    it.venue[lose]();
    const { outcome } = await assertRejects(() => blind.placeOrder(MARKET), BrokerError);
    assertEquals([outcome, it.venue.desk.executions.placed], ["unknown", placed]);
  }
  await blind.close();
});
