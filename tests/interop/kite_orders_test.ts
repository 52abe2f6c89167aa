// deno-lint-ignore-file no-import-prefix -- other clients are no dependencies of the library
/**
 * The venue's own client, npm `kiteconnect`, places, changes, cancels and follows orders at the
 * simulated Kite, and sees what KiteBroker and KiteFeed see.
 *
 *     deno task test:interop
 */

import { assertEquals, assertRejects } from "@std/assert";
import { KiteConnect, KiteTicker } from "npm:kiteconnect@5.3.0";
import { BrokerError } from "@aio-trader/core";
import { KiteBroker, type KiteOrderRequest } from "../../examples/kite/broker.ts";
import { KiteFeed } from "../../examples/kite/feed.ts";
import { KiteSimulator } from "../../examples/kite/simulator.ts";

// deno-lint-ignore no-explicit-any
type Anything = any;

const INFY = {
  exchange: "NSE",
  tradingsymbol: "INFY",
  transaction_type: "BUY",
  product: "CNC",
  quantity: 1,
} as const;
const LIMIT = { ...INFY, order_type: "LIMIT", price: 1_400 } as const;

interface World {
  readonly venue: KiteSimulator;
  /** Their client. */
  readonly theirs: Anything;
  readonly ours: KiteBroker;
}

/** Their agent keeps connections open, and `ws` leaves things behind. */
function test(name: string, run: (it: World) => Promise<void>): void {
  const fn = async () => {
    await using venue = new KiteSimulator({
      ...{ seed: 5, interval: 0, restInterval: 0, limited: false },
    });
    await using ours = new KiteBroker({ baseUrl: venue.httpUrl, throttlers: [] });
    await ours.authorize(venue.login);
    const { apiKey: api_key, accessToken: access_token } = venue.login;
    const theirs = new (KiteConnect as Anything)({ api_key, access_token, root: venue.httpUrl });
    await run({ venue, theirs, ours });
  };
  Deno.test({ name, fn, sanitizeOps: false, sanitizeResources: false });
}

async function until(condition: () => boolean): Promise<void> {
  for (let waited = 0; !condition(); waited += 5) {
    if (waited > 20_000) throw new Error(`Never happened: ${condition}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

test("kiteconnect places, changes, cancels and follows orders, and its updates are those of KiteFeed", async (it) => {
  const { apiKey: api_key, accessToken: access_token } = it.venue.login;
  const root = `${it.venue.wsUrl}/`;
  const ticker = new (KiteTicker as Anything)({ root, api_key, access_token, reconnect: false });
  const theirs: Anything[] = [];
  ticker.on("order_update", (order: Anything) => theirs.push(order));
  ticker.connect();
  await using feed = new KiteFeed(it.venue.login, { url: it.venue.wsUrl, broker: it.ours });
  const ours: unknown[] = [];
  feed.orders.on("item", (order) => ours.push(order));
  await feed.connect();
  await until(() => it.venue.venue.feed.clients.length === 2);

  const { order_id } = await it.theirs.placeOrder("regular", { ...LIMIT, tag: "theirs" });
  await it.theirs.modifyOrder("regular", order_id, { quantity: 2, price: 1_401.05 });
  await it.theirs.cancelOrder("regular", order_id);
  const market = { ...INFY, order_type: "MARKET", market_protection: -1 };
  await it.theirs.placeOrder("regular", market);
  await it.ours.placeOrder({ ...INFY, order_type: "MARKET" });
  await until(() => theirs.length === 5 && ours.length === 5);
  assertEquals(theirs, ours);
  assertEquals(theirs.map(({ status }) => status), [
    ...["OPEN", "UPDATE", "CANCELLED"],
    ...["COMPLETE", "COMPLETE"],
  ]);
  assertEquals(it.venue.desk.executions, { placed: 3, modified: 1, cancelled: 1 });
  ticker.disconnect();
});

test("kiteconnect reads histories and trades as KiteBroker does", async ({ venue, theirs, ours }) => {
  const { order_id } = await theirs.placeOrder("regular", { ...LIMIT, quantity: 3 });
  venue.desk.fill(order_id, 1);
  venue.desk.fill(order_id, 2);
  const states = ["PUT ORDER REQ RECEIVED", "OPEN", "OPEN", "COMPLETE"];
  const history: Anything[] = await theirs.getOrderHistory(order_id);
  assertEquals(history.map(({ status }) => status), states);
  assertEquals((await ours.orderHistory(order_id)).map(({ status }) => status), states);
  const facts = ({ trade_id, quantity, average_price }: Anything) =>
    [trade_id, quantity, average_price] as unknown[];
  const trades: Anything[] = await theirs.getOrderTrades(order_id);
  assertEquals((await ours.orderTrades(order_id)).map(facts), trades.map(facts));
  assertEquals((await ours.trades()).map(facts), (await theirs.getTrades()).map(facts));
  assertEquals(trades.length, 2);
  assertEquals(await ours.margins("equity"), await theirs.getMargins("equity"));
});

test("kiteconnect slices an order as KiteBroker does", async ({ venue, theirs, ours }) => {
  const order = {
    ...{ ...LIMIT, exchange: "CDS", tradingsymbol: "USDINR26NOVFUT", product: "NRML" } as const,
    ...{ price: 80, quantity: 20_500, autoslice: true },
  };
  const other = await theirs.placeOrder("regular", order);
  const mine = await ours.placeOrder(order);
  const sizes = venue.desk.orders.map(({ quantity }) => quantity);
  assertEquals(sizes, [10_000, 10_000, 500, 10_000, 10_000, 500]);
  assertEquals([other.children.length, mine.children?.length], [3, 3]);
  assertEquals(other.order_id, venue.desk.orders[0].order_id);
});

const REFUSED: [string, string, Record<string, unknown>][] = [
  ["an off-tick price", "regular", { price: 1_400.02 }],
  ["a tag of 21 characters", "regular", { tag: "x".repeat(21) }],
  ["an SL without trigger", "regular", { order_type: "SL" }],
  ["MARKET without protection", "regular", { order_type: "MARKET", market_protection: 0 }],
  ["an iceberg of one leg", "iceberg", { iceberg_legs: 1, iceberg_quantity: 1 }],
  ["TTL without minutes", "regular", { validity: "TTL" }],
  ["more than there is money for", "regular", { quantity: 100_000 }],
];

for (const [what, variety, fields] of REFUSED) {
  test(`kiteconnect is refused ${what} in the words that KiteBroker is told`, async (it) => {
    const other = await it.theirs.placeOrder(variety, { ...LIMIT, ...fields })
      .catch((error: unknown) => error);
    const order = { ...LIMIT, ...fields, variety } as unknown as KiteOrderRequest;
    const mine = await assertRejects(() => it.ours.placeOrder(order), BrokerError);
    assertEquals(mine.code, other.error_type);
    assertEquals(mine.message, `Kite says ${other.error_type}: ${other.message}`);
    assertEquals([mine.outcome, it.venue.desk.orders.length], ["rejected", 0]);
  });
}

test("kiteconnect places, reads and deletes triggers as KiteBroker does", async (it) => {
  const gtt = {
    ...{ exchange: "NSE", tradingsymbol: "INFY", last_price: 1_500 },
    ...{ trigger_type: "single", trigger_values: [1_400] },
    orders: [{ ...LIMIT }],
  };
  const { trigger_id } = await it.theirs.placeGTT(gtt);
  const mine = await it.ours.placeGtt({
    ...{ type: "single", exchange: "NSE", tradingsymbol: "INFY", last_price: 1_500 },
    trigger_values: [1_390],
    orders: [{ transaction_type: "BUY", quantity: 1, price: 1_391, product: "CNC" }],
  });
  const values = (triggers: Anything[]) =>
    triggers.map(({ id, status, condition }) => [id, status, condition.trigger_values]);
  const wanted = [[trigger_id, "active", [1_400]], [mine.trigger_id, "active", [1_390]]];
  assertEquals(values(await it.theirs.getGTTs()), wanted);
  assertEquals(values(await it.ours.gtts()), wanted);
  await it.theirs.deleteGTT(mine.trigger_id);
  await it.ours.cancelGtt(trigger_id);
  assertEquals((await it.ours.gtts()).map(({ status }) => status), ["deleted", "deleted"]);
});

test("an order of kiteconnect whose answer is lost stands; KiteBroker's is found", async (it) => {
  it.venue.loseAnswer();
  const error = await it.theirs.placeOrder("regular", LIMIT).catch((error: unknown) => error);
  assertEquals(error.error_type, "OrderException");
  it.venue.loseAnswer();
  const { order_id } = await it.ours.placeOrder(LIMIT);
  assertEquals((await it.theirs.getOrders())[1].order_id, order_id);
});
