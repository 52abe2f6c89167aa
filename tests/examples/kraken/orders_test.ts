import { assert, assertEquals, assertRejects } from "@std/assert";
import { BrokerError } from "@aio-trader/core";
import { KrakenBroker } from "../../../examples/kraken/broker.ts";
import {
  KrakenOrders,
  type KrakenReport,
  type KrakenSocketOrder,
} from "../../../examples/kraken/orders.ts";
import { KrakenSimulator } from "../../../examples/kraken/simulator.ts";

const LIMIT: KrakenSocketOrder = {
  symbol: "BTC/USD",
  side: "buy",
  order_type: "limit",
  order_qty: "0.01",
  limit_price: "20000.0",
};

/** A venue that stands still, a broker, and the private stream, subscribed. */
class Fixture implements AsyncDisposable {
  readonly venue = new KrakenSimulator({ seed: 7, interval: 0, restInterval: 0, limited: false });
  readonly broker = new KrakenBroker({ baseUrl: this.venue.httpUrl, throttlers: [] });
  readonly orders = new KrakenOrders({
    ...{ url: `${this.venue.wsUrl}/v2`, broker: this.broker, baseWait: 10, jitter: 0 },
    horizon: 300,
    tap: (direction, data) => direction === "in" && this.frames.push(String(data)),
  });
  readonly items: KrakenReport[] = [];
  readonly frames: string[] = [];
  readonly errors: string[] = [];

  async open(): Promise<this> {
    await this.broker.authorize(this.venue.login);
    this.orders.on("item", (item) => this.items.push(item));
    this.orders.on("error", (error) => this.errors.push(error.message));
    const subscribed = Promise.withResolvers<void>();
    this.orders.on("subscribed", () => subscribed.resolve());
    await this.orders.connect();
    await subscribed.promise;
    return this;
  }

  /** What was told about orders, in short. */
  told(): string[] {
    return this.items.flatMap((item) => item.channel === "executions" ? [item.exec_type] : []);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.orders.close();
    await this.broker.close();
    await this.venue.close();
  }
}

async function until(condition: () => boolean): Promise<void> {
  for (let waited = 0; !condition(); waited += 5) {
    if (waited > 20_000) throw new Error(`Never happened: ${condition}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

Deno.test("KrakenOrders places, amends and cancels over the socket, and follows", async () => {
  await using it = await new Fixture().open();
  const { order_id, cl_ord_id } = await it.orders.place(LIMIT);
  assertEquals(it.venue.desk.open.map((order) => order.cl_ord_id), [cl_ord_id]);
  await it.orders.amend({ order_id, limit_price: "20001.0" });
  assertEquals(it.venue.desk.open[0].price, "20001");
  await it.orders.cancel(order_id);
  await until(() => it.told().length === 3);
  assertEquals(it.told(), ["new", "amended", "canceled"]);
  const gone = await assertRejects(() => it.orders.cancel(order_id), BrokerError);
  assertEquals([gone.code, gone.outcome], ["EOrder:Unknown order", "rejected"]);
  assertEquals(it.errors, []);
});

Deno.test("KrakenOrders delivers fills with their ids, then the end, and the balances", async () => {
  await using it = await new Fixture().open();
  await it.orders.place({ ...LIMIT, order_type: "market", limit_price: undefined });
  await until(() => it.told().length === 3);
  assertEquals(it.told(), ["new", "trade", "filled"]);
  const usd = () => it.items.filter((item) => item.channel === "balances" && item.asset === "USD");
  await until(() => usd().length === 2);
});

Deno.test("KrakenOrders says what the venue refuses, as rejected", async () => {
  await using it = await new Fixture().open();
  for (
    const [change, code] of [
      [{ order_qty: "1000" }, "EOrder:Insufficient funds"],
      [{ limit_price: "90000", post_only: true }, "EOrder:Post only order"],
      [{ order_qty: "0.00001" }, "EOrder:Order minimum not met"],
    ] as const
  ) {
    const error = await assertRejects(() => it.orders.place({ ...LIMIT, ...change }), BrokerError);
    assertEquals([error.code, error.outcome], [code, "rejected"]);
  }
  assertEquals(it.venue.desk.orders.size, 0);
});

Deno.test("KrakenOrders.place() finds an order whose socket closed before the answer", async () => {
  await using it = await new Fixture().open();
  it.venue.loseAnswer();
  const { order_id } = await it.orders.place(LIMIT);
  assertEquals(it.venue.desk.open.map(({ txid }) => txid), [order_id]);
});

Deno.test("KrakenOrders finds out the fate of a change and of a cancel whose answer is lost", async () => {
  await using it = await new Fixture().open();
  const { order_id } = await it.orders.place(LIMIT);
  it.venue.loseAnswer();
  assertEquals(await it.orders.amend({ order_id, limit_price: "20001.0" }), { order_id });
  assertEquals(it.venue.desk.open[0].price, "20001");
  await until(() => it.orders.state === "live");
  it.venue.loseAnswer();
  assertEquals(await it.orders.cancel(order_id), { order_id });
  assertEquals(it.venue.desk.open, []);
  await until(() => it.told().at(-1) === "canceled");
  assertEquals(it.told().filter((type) => type === "canceled").length, 1, "told once");
});

Deno.test("KrakenOrders says absent of a change and of a cancel that were lost", async () => {
  await using it = await new Fixture().open();
  const { order_id } = await it.orders.place(LIMIT);
  for (
    const change of [
      () => it.orders.amend({ order_id, order_qty: "0.02" }),
      () => it.orders.cancel(order_id),
    ]
  ) {
    await until(() => it.orders.state === "live");
    it.venue.loseOrder();
    assertEquals((await assertRejects(change, BrokerError)).outcome, "absent");
  }
  assertEquals(it.venue.desk.open.map(({ volume }) => volume), ["0.01"]);
});

Deno.test("KrakenOrders cannot tell whether an order was changed that ended meanwhile", async () => {
  await using it = await new Fixture().open();
  const { order_id } = await it.orders.place(LIMIT);
  it.venue.loseOrder();
  const enough = new AbortController();
  const amended = it.orders.amend({ order_id, order_qty: "0.02" }, enough.signal);
  const isUnknown = Promise.race([
    amended.then(() => "made", () => "thrown"),
    new Promise((resolve) => setTimeout(() => resolve("not known yet"), 1_000)),
  ]);
  it.venue.desk.fill(it.venue.desk.orders.get(order_id)!, 0.01);
  assertEquals(await isUnknown, "not known yet");
  enough.abort();
  const error = await assertRejects(() => amended, BrokerError);
  assertEquals([error.kind, error.outcome], ["aborted", "unknown"]);
});

Deno.test("KrakenOrders.place() without a connection is not sent", async () => {
  await using it = new Fixture();
  const error = await assertRejects(() => it.orders.place(LIMIT), BrokerError);
  assertEquals(error.outcome, "not-sent");
});

Deno.test("KrakenOrders delivers each fill and each end once over drops, also those between", async () => {
  await using it = await new Fixture().open();
  await it.orders.place(LIMIT);
  for (let round = 2; round <= 4; round++) {
    it.venue.inflict("drop");
    // While nobody listens: a fill of its own, and an order that comes and goes.
    it.venue.desk.fill(it.venue.desk.open[0], 0.001);
    await it.broker.placeOrder({
      ...{ pair: "XBTUSD", type: "sell", ordertype: "market", volume: "0.02" } as const,
    });
    await until(() => it.orders.stats.connections >= round && it.orders.state === "live");
    const filled = round - 1;
    await until(() => it.told().filter((type) => type === "filled").length === filled);
  }
  const [{ txid }] = it.venue.desk.open;
  it.venue.desk.fill(it.venue.desk.orders.get(txid)!, 0.007);
  await until(() => it.told().filter((type) => type === "filled").length === 4);
  const ids = it.items.flatMap((item) => "exec_id" in item ? [item.exec_id!] : []);
  assertEquals(new Set(ids).size, ids.length, "each once");
  assertEquals(new Set(ids), new Set(it.venue.desk.fills.map(({ id }) => id)), "and all of them");
  assertEquals(it.errors, []);
});

for (const channel of ["executions", "balances"]) {
  Deno.test(`KrakenOrders takes a jump of the sequence of ${channel} for a gap, and fills it`, async () => {
    await using it = await new Fixture().open();
    const reasons: string[] = [];
    const gaps: boolean[] = [];
    it.orders.on("retry", ({ ending }) => reasons.push(ending.reason));
    it.orders.on("gap", ({ filled }) => gaps.push(filled));
    const { order_id } = await it.orders.place(LIMIT);
    await until(() => it.told().length === 1);
    const order = it.venue.desk.orders.get(order_id)!;
    // The frame of the first fill is lost; the second one shows the hole.
    it.venue.venue.feed.fail(`"channel":"${channel}"`, "lose");
    it.venue.desk.fill(order, 0.004);
    it.venue.desk.fill(order, 0.006);
    await until(() => it.told().includes("filled") && gaps.length === 1);
    assert(new RegExp(`${channel} jumped from \\d+ to \\d+`).test(reasons[0]), reasons[0]);
    assertEquals(gaps, [true]);
    assertEquals(it.told().toSorted(), ["filled", "new", "trade", "trade"], "each once");
    assertEquals(it.errors, []);
  });
}

Deno.test("KrakenOrders asks for a fresh token for each connection", async () => {
  await using it = await new Fixture().open();
  it.venue.inflict("drop");
  await until(() => it.orders.stats.connections === 2);
  assertEquals(it.venue.privateApi.tokens.size, 2);
});
