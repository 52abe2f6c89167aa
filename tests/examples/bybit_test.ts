import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { BrokerError, Throttler } from "@aio-trader/core";
import { LoopbackVenue } from "@aio-trader/core/testing";
import type { BybitOrderRequest } from "../../examples/bybit/account.ts";
import { BybitBroker, type BybitBrokerOptions } from "../../examples/bybit/broker.ts";
import { venueError } from "../../examples/bybit/errors.ts";
import { BybitFeed, type BybitFeedOptions } from "../../examples/bybit/feed.ts";
import { BybitOrders, type BybitReport } from "../../examples/bybit/orders.ts";
import { NAME_RULE, ORDER_RULES, REQUEST_RULES, TOPIC_RULES } from "../../examples/bybit/rules.ts";
import { BybitSigner } from "../../examples/bybit/signature.ts";
import { BybitSimulator, type BybitSimulatorOptions } from "../../examples/bybit/simulator.ts";
import { BybitTradeSocket } from "../../examples/bybit/trade_socket.ts";
import { BybitTrader } from "../../examples/bybit/trader.ts";
import { Stage } from "../../examples/stage.ts";

const LIMIT: BybitOrderRequest = {
  symbol: "BTCUSDT",
  side: "Buy",
  orderType: "Limit",
  qty: "0.01",
  price: "20000",
};
const MARKET: BybitOrderRequest = {
  ...{ symbol: "BTCUSDT", side: "Buy", orderType: "Market", qty: "0.01", marketUnit: "baseCoin" },
};
const BOOK = "orderbook.50.BTCUSDT";

/** A venue that stands still, a broker, the private stream and the trade socket. */
class Fixture implements AsyncDisposable {
  readonly venue: BybitSimulator;
  readonly broker: BybitBroker;
  readonly orders: BybitOrders;
  readonly trade: BybitTradeSocket;
  readonly items: BybitReport[] = [];
  readonly errors: string[] = [];

  private constructor(venue: BybitSimulator, options: BybitBrokerOptions) {
    this.venue = venue;
    const quick = { recvWindow: 1_000, settleTime: 100 };
    const { httpUrl: baseUrl, category, urls } = venue;
    this.broker = new BybitBroker({ baseUrl, category, ...quick, ...options });
    const { broker } = this;
    const often = { baseWait: 10, jitter: 0 };
    this.orders = new BybitOrders({ url: urls.private, broker, ...often });
    this.trade = new BybitTradeSocket({ url: urls.trade, broker, ...often });
    for (const feed of [this.orders, this.trade]) {
      feed.on("error", (error) => this.errors.push(error.message));
    }
    this.orders.on("item", (item) => this.items.push(item));
  }

  static async open(
    options: BybitSimulatorOptions = {},
    broker: BybitBrokerOptions = {},
  ): Promise<Fixture> {
    const venue = await BybitSimulator.open({ interval: 0, limit: Infinity, ...options });
    const fixture = new Fixture(venue, broker);
    await fixture.broker.authorize(venue.login);
    return fixture;
  }

  async connect(): Promise<this> {
    const subscribed = Promise.withResolvers<void>();
    this.orders.on("subscribed", () => subscribed.resolve());
    await Promise.all([this.orders.connect(), this.trade.connect(), subscribed.promise]);
    return this;
  }

  /** States of orders that were told, in order. */
  states(): string[] {
    return this.items.flatMap((item) => item.topic === "order" ? [item.orderStatus] : []);
  }

  /** Executions that were told, in order. */
  fills(): string[] {
    return this.items.flatMap((item) => item.topic === "execution" ? [item.execId] : []);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.orders.close();
    await this.trade.close();
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

async function failure(call: () => Promise<unknown>): Promise<[unknown, string]> {
  const error = await assertRejects(call, BrokerError);
  return [error.code, error.outcome];
}

Deno.test("BybitSigner gives the digest of RFC 4231, case 2", async () => {
  const signer = await BybitSigner.of({ key: "any", secret: "Jefe" });
  const digest = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
  assertEquals(await signer.sign("what do ya want for nothing?"), digest);
});

Deno.test("BybitBroker places, amends and cancels, and finds orders by either name", async () => {
  await using it = await Fixture.open();
  const { orderId, orderLinkId } = await it.broker.placeOrder(LIMIT);
  assertEquals([...it.venue.desk.orders.keys()], [orderId]);
  assertEquals((await it.broker.order({ symbol: "BTCUSDT", orderLinkId }))?.orderId, orderId);
  await it.broker.amendOrder({ symbol: "BTCUSDT", orderId, qty: "0.02", price: "20001.5" });
  const [open] = await it.broker.ordersOf("open");
  assertEquals([open.qty, open.price, open.orderStatus], ["0.02", "20001.5", "New"]);
  await it.broker.cancelOrder({ symbol: "BTCUSDT", orderLinkId });
  assertEquals(await it.broker.ordersOf("open"), []);
  const [closed] = await it.broker.ordersOf("closed");
  assertEquals([closed.orderLinkId, closed.orderStatus], [orderLinkId, "Cancelled"]);
  assertEquals(await it.broker.order({ symbol: "BTCUSDT", orderId: "1" }), undefined);
});

for (const category of ["spot", "linear"] as const) {
  Deno.test(`BybitBroker tells executions, coins and cancels all, ${category}`, async () => {
    await using it = await Fixture.open({ category });
    const since = Date.now();
    const { orderId } = await it.broker.placeOrder(MARKET);
    const fills = await it.broker.executions(since);
    assertEquals(fills.map((fill) => fill.orderId), [orderId, orderId]);
    const btc = (await it.broker.balance()).find(({ coin }) => coin === "BTC");
    assertEquals(btc?.walletBalance, "10.01000000");
    const names = [await it.broker.placeOrder(LIMIT), await it.broker.placeOrder(LIMIT)];
    const cancelled = await it.broker.cancelAll();
    assertEquals(cancelled.map((one) => one.orderId), names.map((one) => one.orderId));
    assertEquals(await it.broker.cancelAll("ETHUSDT"), []);
  });
}

Deno.test("BybitBroker reads all pages of orders", async () => {
  await using it = await Fixture.open({}, { throttlers: [] });
  for (let i = 0; i < 120; i++) {
    it.venue.desk.create({ ...LIMIT as unknown as Record<string, string>, orderLinkId: `n-${i}` });
  }
  const open = await it.broker.ordersOf("open");
  assertEquals(new Set(open.map(({ orderLinkId }) => orderLinkId)).size, 120);
});

Deno.test("BybitBroker without a login sends nothing", async () => {
  await using it = await BybitSimulator.open({ interval: 0 });
  await using broker = new BybitBroker({ baseUrl: it.httpUrl });
  assertEquals(await failure(() => broker.placeOrder(LIMIT)), [undefined, "not-sent"]);
  assertEquals(it.venue.requests.length, 0);
  assert(await broker.time() > 1e12, "what is public needs none");
});

const SPOT: [change: Partial<BybitOrderRequest>, code: number][] = [
  [{ symbol: "NONE" }, 170121],
  [{ side: "Hold" as "Buy" }, 10001],
  [{ qty: "1e-3" }, 10001],
  [{ orderLinkId: "x".repeat(37) }, 10001],
  [{ orderLinkId: "taken" }, 170141],
  [{ price: "20000.05" }, 170134],
  [{ qty: "0.0100001" }, 170137],
  [{ qty: "0.000047" }, 170136],
  [{ qty: "5000" }, 170131],
];
const LINEAR: typeof SPOT = [
  [{ orderLinkId: "taken" }, 110072],
  [{ price: "20000.05" }, 10001],
  [{ qty: "0.000047" }, 10001],
  [{ qty: "5000" }, 110007],
];

for (const [category, cases] of [["spot", SPOT], ["linear", LINEAR]] as const) {
  Deno.test(`BybitSimulator refuses orders as the venue does, by REST and socket: ${category}`, async () => {
    await using it = await Fixture.open({ category }, { throttlers: [] });
    await it.connect();
    await it.broker.placeOrder({ ...LIMIT, orderLinkId: "taken" });
    for (const [change, code] of cases) {
      const order = { ...LIMIT, ...change };
      const task = JSON.stringify(change);
      assertEquals(await failure(() => it.broker.placeOrder(order)), [code, "rejected"], task);
      assertEquals(await failure(() => it.trade.place(order)), [code, "rejected"], task);
    }
    const unknown = { symbol: "BTCUSDT", orderId: "1" };
    const code = category === "spot" ? 170213 : 110001;
    assertEquals(await failure(() => it.broker.cancelOrder(unknown)), [code, "rejected"]);
    assertEquals(await failure(() => it.trade.cancel(unknown)), [code, "rejected"]);
    const amend = await failure(() => it.broker.amendOrder({ ...unknown, qty: "1" }));
    assertEquals(amend, [code, "rejected"]);
    assertEquals(it.venue.desk.orders.size, 1);
  });
}

Deno.test("BybitSimulator refuses a quantity below what was executed, in an amend", async () => {
  await using it = await Fixture.open({ category: "linear" });
  const { orderId } = await it.broker.placeOrder(LIMIT);
  it.venue.desk.fill(it.venue.desk.open[0], 5_000);
  const change = { symbol: "BTCUSDT", orderId, qty: "0.005" };
  assertEquals(await failure(() => it.broker.amendOrder(change)), [110063, "rejected"]);
});

Deno.test("BybitSimulator takes a post-only order that would trade, and rejects it afterwards", async () => {
  await using it = await Fixture.open();
  await it.connect();
  await it.broker.placeOrder({ ...LIMIT, price: "40000", timeInForce: "PostOnly" });
  await until(() => it.states().length === 1);
  assertEquals(it.states(), ["Rejected"]);
});

Deno.test("BybitSimulator refuses a wrong key, a wrong signature and an old timestamp", async () => {
  await using venue = await BybitSimulator.open({ interval: 0 });
  const wrong: [Partial<typeof venue.login>, number][] = [
    [{ key: "nobody's" }, 10003],
    [{ secret: "another" }, 10004],
  ];
  for (const [change, code] of wrong) {
    await using broker = new BybitBroker({ baseUrl: venue.httpUrl });
    await broker.authorize({ ...venue.login, ...change });
    assertEquals(await failure(() => broker.placeOrder(LIMIT)), [code, "rejected"]);
  }
  const headers = { "x-bapi-api-key": venue.login.key, "x-bapi-timestamp": "1600000000000" };
  const old = await fetch(`${venue.httpUrl}v5/order/realtime`, { headers });
  assertEquals((await old.json()).retCode, 10002);
});

Deno.test("every rule of the tables has its source, and a code or words", () => {
  for (const { rule, source, code, words } of [...ORDER_RULES, NAME_RULE, ...REQUEST_RULES]) {
    assertMatch(source, /^bybit-exchange\.github\.io\/docs\/v5\//, rule);
    assert(typeof code === "number" ? code > 0 : code.spot > 0 && code.linear > 0, rule);
    assert(words.length > 0, rule);
  }
  for (const { words } of TOPIC_RULES) assert(words.length > 0);
});

Deno.test("BybitBroker reads the venue's clock again after code 10002, and places once", async () => {
  let ahead = 0;
  await using it = await Fixture.open({ now: () => Date.now() + ahead });
  await it.broker.placeOrder(LIMIT);
  for (const step of [60_000, -60_000]) {
    ahead += step; // the venue's clock was set
    await it.broker.placeOrder(LIMIT);
  }
  assertEquals(it.venue.desk.orders.size, 3);
});

Deno.test("BybitOrders reads the clock again after a login that came too late", async () => {
  await using venue = await LoopbackVenue.listen();
  let ahead = 0;
  venue.on("GET /v5/market/time", () => ({ retCode: 0, time: Date.now() + ahead }));
  venue.feed.on((frame, client) => {
    const { op, args, req_id } = JSON.parse(String(frame));
    const success = op !== "auth" || args[1] > Date.now() + ahead;
    client.send({ op, req_id, success, ret_msg: success ? "" : "request expired" });
  });
  await using broker = new BybitBroker({ baseUrl: venue.httpUrl });
  await broker.authorize({ key: "my-key", secret: "my-secret" });
  await broker.clock.sync();
  ahead = 60_000; // the venue's clock was set
  await using orders = new BybitOrders({ url: venue.wsUrl, broker, baseWait: 10, jitter: 0 });
  await orders.connect();
  assertEquals(orders.stats.attempts, 2);
});

Deno.test("BybitBroker tells code 10002 that comes twice, and executes nothing", async () => {
  await using it = await Fixture.open();
  await it.broker.balance();
  const { requests } = it.venue.venue;
  const before = requests.length;
  const body = { retCode: 10002, retMsg: "invalid request", result: {} };
  const fault = { status: 200, body, times: Infinity };
  it.venue.venue.fail("POST /v5/order/create", "status", fault);
  assertEquals(await failure(() => it.broker.placeOrder(LIMIT)), [10002, "rejected"]);
  const paths = requests.slice(before).map(({ path }) => path.split("/").at(-1));
  assertEquals(paths, ["create", "time", "create"]);
  assertEquals(it.venue.desk.orders.size, 0);
});

Deno.test("BybitTradeSocket reads the venue's clock again after code 10002, and places once", async () => {
  let ahead = 0;
  await using it = await Fixture.open({ now: () => Date.now() + ahead });
  await it.connect();
  ahead = 60_000;
  await it.trade.place(LIMIT);
  assertEquals(it.venue.desk.orders.size, 1);
});

Deno.test("venueError() tells the fate, and how long to wait", () => {
  const none = new Headers();
  assertEquals(venueError({ retCode: 0 }, none, 0), undefined);
  assertEquals(venueError({ status: 502 }, none, 0), undefined, "the status says it all");
  const unsure = venueError({ retCode: 10016 }, none, 0);
  assertEquals([unsure?.outcome, unsure?.retriable], ["unknown", false]);
  assertEquals(venueError({ retCode: 110001 }, none, 0)?.outcome, "rejected");
  const reset = new Headers({ "x-bapi-limit-reset-timestamp": "5700" });
  const limited = venueError({ retCode: 10006 }, reset, 5_000);
  assertEquals([limited?.kind, limited?.retryAfter], ["rate-limited", 700]);
  assertEquals(venueError({ retCode: 10006 }, none, 5_000)?.retryAfter, undefined);
  assertEquals(venueError({ status: 403 }, none, 0)?.retryAfter, 600_000);
});

Deno.test("BybitBroker hears 10006 as a pause, until the venue's limit begins anew", async () => {
  await using it = await Fixture.open();
  it.venue.inflict("throttle");
  assertEquals(await failure(() => it.broker.placeOrder(LIMIT)), [10006, "rejected"]);
  const wait = it.broker.orders.waitTime();
  assert(wait > 0 && wait <= 1_500, `orders wait ${wait} ms`);
  await it.broker.placeOrder(LIMIT);
  assertEquals(it.venue.desk.orders.size, 1);
});

for (const ahead of [-60_000, 60_000]) {
  Deno.test(`BybitBroker waits as long as the venue means, whose clock is off by ${ahead} ms`, async () => {
    await using it = await Fixture.open({ now: () => Date.now() + ahead });
    it.venue.inflict("throttle");
    assertEquals(await failure(() => it.broker.placeOrder(LIMIT)), [10006, "rejected"]);
    const wait = it.broker.orders.waitTime();
    assert(wait > 0 && wait <= 1_500, `orders wait ${wait} ms`);
  });
}

Deno.test("BybitTradeSocket hears 10006 as a pause of all orders", async () => {
  await using it = await Fixture.open({ limit: 0 });
  await it.trade.connect();
  assertEquals(await failure(() => it.trade.place(LIMIT)), [10006, "rejected"]);
  assert(it.broker.orders.waitTime() > 0, "orders by REST wait too");
});

Deno.test("BybitBroker stays below the venue's limit in a burst over both ways", async () => {
  await using it = await Fixture.open({ limit: 10 });
  await it.connect();
  const calls = Array.from(
    { length: 15 },
    (_, i) => i % 2 ? it.broker.placeOrder(LIMIT) : it.trade.place(LIMIT),
  );
  await Promise.all(calls);
  assertEquals([it.venue.throttled, it.venue.desk.orders.size], [0, 15]);
});

const LOST = ["reset-after-executing", "cut-body", "garbage", "status-after-executing"] as const;

for (const fault of LOST) {
  Deno.test(`BybitBroker finds out the fate of each change after ${fault}`, async () => {
    await using it = await Fixture.open();
    it.venue.venue.fail("POST /v5/order/create", fault);
    const { orderId, orderStatus } = await it.broker.placeOrder(LIMIT);
    assertEquals([orderStatus, it.venue.desk.orders.size], ["New", 1]);
    it.venue.venue.fail("POST /v5/order/amend", fault);
    await it.broker.amendOrder({ symbol: "BTCUSDT", orderId, price: "20001" });
    assertEquals(it.venue.desk.open[0].price, "20001");
    it.venue.venue.fail("POST /v5/order/cancel", fault);
    const cancelled = await it.broker.cancelOrder({ symbol: "BTCUSDT", orderId });
    assertEquals([cancelled.orderStatus, it.venue.desk.open], ["Cancelled", []]);
    const made = it.venue.venue.executed.filter(({ method }) => method === "POST");
    assertEquals(made.map(({ path }) => path.split("/").at(-1)), ["create", "amend", "cancel"]);
  });
}

Deno.test("BybitBroker says absent of each change that never arrived", async () => {
  await using it = await Fixture.open();
  const { orderId } = await it.broker.placeOrder(LIMIT);
  const name = { symbol: "BTCUSDT", orderId };
  it.venue.venue.fail("POST /v5/order/create", "reset-before-executing");
  it.venue.venue.fail("POST /v5/order/amend", "reset-before-executing");
  it.venue.venue.fail("POST /v5/order/cancel", "reset-before-executing");
  const fates = await Promise.all([
    failure(() => it.broker.placeOrder(LIMIT)),
    failure(() => it.broker.amendOrder({ ...name, price: "20001" })),
    failure(() => it.broker.cancelOrder(name)),
  ]);
  assertEquals(fates.map(([, outcome]) => outcome), ["absent", "absent", "absent"]);
  assertEquals(it.venue.desk.open.map(({ price }) => price), ["20000"]);
});

Deno.test("BybitBroker finds a filled order in the history, after the venue forgot it", async () => {
  await using it = await Fixture.open();
  it.venue.forget();
  it.venue.venue.fail("POST /v5/order/create", "reset-after-executing");
  assertEquals((await it.broker.placeOrder(MARKET)).orderStatus, "Filled");
});

Deno.test("BybitBroker reconciles after code 10016, with which the venue itself does not know", async () => {
  await using it = await Fixture.open();
  const body = { retCode: 10016, retMsg: "Internal System Error.", result: {} };
  it.venue.venue.fail("POST /v5/order/create", "status-after-executing", { status: 200, body });
  assertEquals((await it.broker.placeOrder(LIMIT)).orderStatus, "New");
  assertEquals(it.venue.desk.orders.size, 1);
});

Deno.test("BybitTradeSocket places, amends and cancels, and the private stream follows", async () => {
  await using it = await Fixture.open();
  await it.connect();
  const { orderId } = await it.trade.place(LIMIT);
  await it.trade.amend({ symbol: "BTCUSDT", orderId, price: "20001" });
  await it.trade.cancel({ symbol: "BTCUSDT", orderId });
  await it.trade.place(MARKET);
  await until(() => it.states().includes("Filled"));
  assertEquals(it.states(), ["New", "New", "Cancelled", "New", "PartiallyFilled", "Filled"]);
  assertEquals(it.fills(), ["exec-1", "exec-2"]);
  const coins = it.items.filter((item) => item.topic === "wallet" && item.coin === "BTC");
  await until(() => coins.length > 0);
  assertEquals(it.errors, []);
});

Deno.test("BybitTradeSocket finds out the fate of each change whose answer is lost", async () => {
  await using it = await Fixture.open();
  await it.connect();
  const again = async () => await until(() => it.trade.state === "live");
  it.venue.loseAnswer();
  const { orderId, orderStatus } = await it.trade.place(LIMIT);
  assertEquals([orderStatus, it.venue.desk.orders.size], ["New", 1]);
  await again();
  it.venue.loseAnswer();
  await it.trade.amend({ symbol: "BTCUSDT", orderId, qty: "0.02" });
  assertEquals(it.venue.desk.open[0].qty, "0.02");
  await again();
  it.venue.loseAnswer();
  const cancelled = await it.trade.cancel({ symbol: "BTCUSDT", orderId });
  assertEquals([cancelled.orderStatus, it.venue.desk.open], ["Cancelled", []]);
});

Deno.test("BybitTradeSocket says absent of each change that was lost", async () => {
  await using it = await Fixture.open();
  await it.connect();
  const again = async () => await until(() => it.trade.state === "live");
  const { orderId } = await it.trade.place(LIMIT);
  const name = { symbol: "BTCUSDT", orderId };
  const calls = [
    () => it.trade.place(LIMIT),
    () => it.trade.amend({ ...name, qty: "0.02" }),
    () => it.trade.cancel(name),
  ];
  for (const call of calls) {
    it.venue.loseOrder();
    assertEquals(await failure(call), [undefined, "absent"]);
    await again();
  }
  assertEquals(it.venue.desk.open.map(({ qty }) => qty), ["0.01"]);
});

Deno.test("BybitTradeSocket without a connection sends nothing", async () => {
  await using it = await Fixture.open();
  assertEquals(await failure(() => it.trade.place(LIMIT)), [undefined, "not-sent"]);
});

Deno.test("BybitOrders and BybitTradeSocket end after a refused login", async () => {
  await using it = await Fixture.open();
  await it.broker.authorize({ key: it.venue.login.key, secret: "another" });
  await it.orders.connect().catch(() => {});
  await it.trade.connect().catch(() => {});
  assertMatch((await it.orders.closed)!.message, /Cannot log in: error:Invalid sign/);
  assertMatch((await it.trade.closed)!.message, /Cannot log in: Invalid sign/);
});

Deno.test("BybitOrders delivers each execution and each end once over drops, also those between", async () => {
  await using it = await Fixture.open({}, { throttlers: [] });
  await it.connect();
  const { orderId } = await it.broker.placeOrder({ ...LIMIT, qty: "0.1" });
  const order = it.venue.desk.orders.get(orderId)!;
  for (let round = 2; round <= 5; round++) {
    it.venue.venue.feed.reset();
    // While nobody listens: a fill of the order that stands, and an order that comes and goes.
    it.venue.desk.fill(order, 1_000);
    await it.broker.placeOrder({ ...MARKET, side: "Sell" });
    await until(() => it.orders.stats.connections >= round && it.orders.state === "live");
    await until(() => it.states().filter((state) => state === "Filled").length === round - 1);
  }
  it.venue.desk.fill(order, 96_000);
  await until(() => it.states().filter((state) => state === "Filled").length === 5);
  assertEquals(it.fills().toSorted(), it.venue.desk.fills.map(({ execId }) => execId).toSorted());
  assertEquals(it.errors, []);
});

Deno.test("BybitOrders hears of the end of an old order, and of one that the venue forgot", async () => {
  await using it = await Fixture.open();
  await it.connect();
  const { orderId } = await it.broker.placeOrder(LIMIT);
  await until(() => it.states().length === 1);
  const old = it.venue.desk.orders.get(orderId)!;
  Object.assign(old, { createdTime: Date.now() - 86_400_000 }); // the history tells it no more
  it.venue.venue.feed.reset();
  it.venue.desk.fill(old);
  await until(() => it.states().length === 2);
  it.venue.forget(); // and now the closed orders are in the history only
  it.venue.venue.feed.reset();
  const lost = await it.broker.placeOrder({ ...MARKET, side: "Sell" });
  await until(() => it.states().length === 3);
  const ends = it.items.flatMap((item) =>
    item.topic === "order" && item.orderStatus === "Filled" ? [item.orderId] : []
  );
  assertEquals(ends, [orderId, lost.orderId]);
});

Deno.test("BybitOrders tells after a loss how an open order stands, and what the account holds", async () => {
  await using it = await Fixture.open();
  await it.connect();
  await it.broker.placeOrder(LIMIT);
  await until(() => it.states().length === 1);
  it.items.length = 0;
  it.venue.venue.feed.reset();
  it.venue.desk.fill(it.venue.desk.open[0], 4_000);
  const told = (topic: string, text: string) =>
    it.items.some((item) => item.topic === topic && JSON.stringify(item).includes(text));
  await until(() => told("order", '"orderStatus":"PartiallyFilled","rejectReason":"EC_NoError"'));
  await until(() => told("wallet", '"coin":"BTC","walletBalance":"10.00400000"'));
});

Deno.test("BybitOrders tells no state after a later one, which the broker told", async () => {
  await using it = await Fixture.open();
  await it.connect();
  const { orderId } = await it.broker.placeOrder(LIMIT);
  await until(() => it.states().length === 1);
  const order = it.venue.desk.orders.get(orderId)!;
  const { requests } = it.venue.venue;
  it.venue.venue.fail("GET /v5/order/realtime", "late-execution", { delay: 300 });
  it.venue.venue.feed.reset();
  await until(() => requests.some(({ path }) => path === "/v5/order/realtime"));
  // The new connection tells both, before the broker has read the second one.
  it.venue.desk.fill(order, 4_000);
  it.venue.desk.fill(order, 6_000);
  await until(() => it.states().includes("Filled"));
  await it.broker.placeOrder(LIMIT);
  await until(() => it.states().at(-1) === "New" && it.states().length > 2);
  assertEquals(it.states(), ["New", "Filled", "New"]);
  assertEquals(it.fills(), ["exec-1", "exec-2"]);
});

Deno.test("BybitOrders tells of other categories nothing", async () => {
  await using it = await Fixture.open();
  await it.connect();
  const data = [{ category: "linear", orderId: "1", orderStatus: "New" }];
  it.venue.venue.feed.publish("order", { topic: "order", data });
  await it.broker.placeOrder(LIMIT);
  await until(() => it.states().length > 0);
  assertEquals(it.items.filter((item) => item.topic === "order" && item.orderId === "1"), []);
});

/** A feed of one venue. */
async function feedOf(
  options: BybitSimulatorOptions = {},
  more: BybitFeedOptions = {},
): Promise<{ venue: BybitSimulator; feed: BybitFeed } & AsyncDisposable> {
  const venue = await BybitSimulator.open({ interval: 0, ...options });
  const feed = new BybitFeed({ url: venue.urls.public, baseWait: 10, jitter: 0, ...more });
  return {
    ...{ venue, feed },
    async [Symbol.asyncDispose]() {
      await feed.close();
      await venue.close();
    },
  };
}

Deno.test("BybitFeed keeps books equal to the venue's, and delivers trades once", async () => {
  await using it = await feedOf();
  const trades: string[] = [];
  it.feed.on("item", (item) => item.topic === "publicTrade" && trades.push(item.id));
  it.feed.subscribe(BOOK, "orderbook.1.ETHUSDT", "publicTrade.BTCUSDT");
  await it.feed.connect();
  await until(() => it.feed.books.size === 2);
  for (let i = 0; i < 300; i++) it.venue.step();
  for (const topic of [BOOK, "orderbook.1.ETHUSDT"]) {
    const sides = () => {
      const { bids, asks } = it.feed.books.get(topic)!;
      return JSON.stringify({ bids, asks });
    };
    await until(() => sides() === JSON.stringify(it.venue.book(topic)));
  }
  assertEquals(trades.length, new Set(trades).size);
  assert(trades.length > 0);
  assertEquals(it.feed.holes, 0);
});

Deno.test("BybitFeed tells a hole, asks for the book again, and has it again", async () => {
  await using it = await feedOf();
  const types: string[] = [];
  it.feed.on("item", (item) => item.topic === "orderbook" && types.push(item.type));
  it.feed.subscribe(BOOK);
  await it.feed.connect();
  await until(() => types.length === 1);
  it.venue.inflict("corrupt");
  for (let i = 0; i < 3; i++) it.venue.step();
  await until(() => types.lastIndexOf("snapshot") > 0);
  assertEquals([types[0], types.includes("gap"), it.feed.holes], ["snapshot", true, 1]);
  assertEquals(it.feed.stats.connections, 1, "on the same connection");
});

Deno.test("BybitFeed begins a book anew when the numbers do", async () => {
  await using it = await feedOf();
  const types: string[] = [];
  it.feed.on("item", (item) => item.topic === "orderbook" && types.push(item.type));
  it.feed.subscribe(BOOK);
  await it.feed.connect();
  await until(() => types.length === 1);
  for (let i = 0; i < 5; i++) it.venue.step();
  it.venue.restart(BOOK);
  it.venue.step();
  await until(() => it.feed.books.get(BOOK)?.u === 2);
  assertEquals(it.feed.holes, 0);
  const { bids, asks } = it.feed.books.get(BOOK)!;
  assertEquals({ bids, asks }, it.venue.book(BOOK));
});

Deno.test("BybitFeed drops a topic that the venue refuses, and keeps those asked with it", async () => {
  await using it = await feedOf();
  const errors: string[] = [];
  it.feed.on("error", (error) => errors.push(error.message));
  it.feed.subscribe(BOOK, "orderbook.7.BTCUSDT", "publicTrade.NONE");
  await it.feed.connect();
  await until(() => it.feed.books.has(BOOK) && errors.length === 2);
  assertEquals([...it.feed.subscriptions.values()], [BOOK]);
  assertEquals(errors.map((error) => error.replace(/:.*/, "")), [
    "Cannot subscribe to orderbook.7.BTCUSDT",
    "Cannot subscribe to publicTrade.NONE",
  ]);
});

Deno.test("BybitFeed asks for at most ten topics at once, as the venue wants at spot", async () => {
  await using it = await feedOf();
  const topics = Array.from({ length: 25 }, (_, i) => `publicTrade.X${i}`);
  it.feed.on("error", () => {});
  it.feed.subscribe(...topics);
  await it.feed.connect();
  await until(() => it.feed.subscriptions.size === 0); // each by itself is refused: no such symbol
  const sizes = it.venue.venue.feed.frames.map(({ frame }) =>
    JSON.parse(String(frame)).args.length
  );
  assertEquals(sizes.filter((size) => size > 1), [10, 10, 5]);
});

Deno.test("BybitFeed keeps topics that are refused for a passing reason, and asks again later", async () => {
  await using venue = await LoopbackVenue.listen();
  let asked = 0;
  venue.feed.on((frame, client) => {
    const { op, req_id } = JSON.parse(String(frame));
    const success = ++asked > 1;
    client.send({ op, req_id, success, ret_msg: success ? "subscribe" : "Too many requests" });
  });
  await using feed = new BybitFeed({ url: venue.wsUrl });
  const errors: string[] = [];
  feed.on("error", (error) => errors.push(error.message));
  const subscribed = Promise.withResolvers<void>();
  feed.on("subscribed", () => subscribed.resolve());
  feed.subscribe(BOOK, "publicTrade.BTCUSDT");
  await feed.connect();
  await subscribed.promise;
  assert(asked <= 3, `${asked} requests, wanted one more for each topic at most`);
  assertEquals([feed.subscriptions.size, errors.length], [2, 2]);
  assertMatch(errors[0], /Too many requests; asked again in \d+ ms/);
});

Deno.test("BybitFeed asks again for a book that has fallen silent", async () => {
  await using it = await feedOf({ interval: 5 }, { quietAfter: 300 });
  it.feed.subscribe(BOOK, "orderbook.50.ETHUSDT");
  await it.feed.connect();
  await until(() => it.feed.books.size === 2);
  it.venue.venue.feed.mute(BOOK);
  const asked = () =>
    it.venue.venue.feed.frames.map(({ frame }) => JSON.parse(String(frame))).filter(({ op }) =>
      op === "subscribe"
    ).map(({ args }) => args);
  await until(() => asked().length === 2);
  assertEquals(asked()[1], [BOOK]);
});

Deno.test("BybitSimulator refuses more than ten topics at spot, and a topic twice", async () => {
  await using venue = await BybitSimulator.open({ interval: 0 });
  const socket = new WebSocket(venue.urls.public);
  const answers: string[] = [];
  socket.onmessage = ({ data }) => {
    const { success, ret_msg } = JSON.parse(data);
    if (success !== undefined) answers.push(`${success} ${ret_msg}`);
  };
  await new Promise((resolve) => socket.onopen = resolve);
  const ask = (args: string[]) => socket.send(JSON.stringify({ op: "subscribe", args }));
  ask(Array(11).fill(BOOK));
  ask([BOOK]);
  ask([BOOK]);
  await until(() => answers.length === 3);
  socket.close();
  await new Promise((resolve) => socket.onclose = resolve);
  const refused = ["false args size >10", "true subscribe", "false error:already subscribed"];
  assertEquals(answers, refused);
});

Deno.test("BybitFeed in a storm of holes asks with growing waits, and an order passes meanwhile", async () => {
  await using it = await Fixture.open();
  await using feed = new BybitFeed({ url: it.venue.urls.public });
  feed.subscribe(BOOK);
  feed.on("error", () => {});
  await feed.connect();
  await it.trade.connect();
  const end = Date.now() + 2_500;
  while (Date.now() < end) {
    it.venue.inflict("corrupt"); // every second change is missing
    it.venue.step();
    it.venue.step();
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  await it.trade.place(LIMIT);
  const asked = it.venue.venue.feed.frames.filter(({ frame }) =>
    String(frame).includes('"subscribe"')
  );
  assert(feed.holes >= 2, `${feed.holes} holes`);
  assert(asked.length <= 5, `${asked.length} requests in 2.5 s`);
  assertEquals(feed.stats.connections, 1);
});

Deno.test("BybitBroker in a storm of 10006 sends each order once, and repeats queries after pauses", async () => {
  await using it = await Fixture.open({ limit: 0 });
  const calls = Array.from({ length: 5 }, () => it.broker.placeOrder(LIMIT));
  const fates = await Promise.all(calls.map((call) => failure(() => call)));
  assertEquals(fates, Array(5).fill([10006, "rejected"]));
  assertEquals(it.venue.desk.orders.size, 0);
  const made = it.venue.venue.requests.filter(({ method }) => method === "POST");
  assertEquals(made.length, 5, "each was sent once");
  it.venue.heal();
  it.venue.inflict("throttle");
  const start = performance.now();
  assert((await it.broker.balance()).length > 0);
  assert(performance.now() - start >= 900, "the query waited until the limit began anew");
});

Deno.test("BybitBroker({ throttlers }) replaces both limits", async () => {
  const own = new Throttler({ limit: 100, period: 1_000 });
  await using it = await Fixture.open({}, { throttlers: [own] });
  await it.broker.placeOrder(LIMIT);
  assert(own.available < 100);
  assertEquals(it.broker.orders.available, 10);
});

Deno.test("BybitBroker reads the clock though the call that waits for it has taken the last token", async () => {
  const own = new Throttler({ limit: 1, period: 60_000, refill: "after-finish" });
  await using it = await Fixture.open({}, { throttlers: [own] });
  await it.broker.balance();
  assertEquals(own.available, 0);
});

Deno.test("BybitTrader says whether the venue's log is what was told", async () => {
  await using it = await Fixture.open();
  const stage = new Stage();
  const trader = new BybitTrader(stage, it.venue, it.broker);
  await trader.open();
  it.venue.inflict("throttle");
  await trader.work(new AbortController().signal);
  assertEquals(stage.stories.map(({ outcome }) => outcome), ["good", "good", "good", "good"]);
  assert(stage.stories[0].steps.includes("10006: nothing was executed, so again"));
  assertEquals((await trader.figures()).map(({ ok }) => ok), [true]);
  await trader.close();
  // Of this order the trader knows nothing.
  it.venue.desk.create({ ...MARKET as unknown as Record<string, string>, orderLinkId: "other" });
  assertEquals((await trader.figures()).map(({ ok }) => ok), [false]);
});

const demo = new URL("../../examples/demo.ts", import.meta.url).pathname;

Deno.test("the Bybit demo survives its faults with exit 0, allowed nothing but loopback", async () => {
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "--no-prompt", "--allow-net=127.0.0.1", demo, "bybit", "--seconds", "6"],
    env: { NO_COLOR: "1" },
  }).output();
  const [out, errors] = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes));
  assertEquals(code, 0, out + errors);
  assert(!out.includes("✗"), out);
  assertMatch(out, /✓ 6 faults survived: [23] reconnects/);
  assertMatch(
    out,
    /answers 503, its fate is unknown\n(.*\n)*.*found by its orderLinkId, placed once/,
  );
  assertMatch(out, /resets the socket, its fate is unknown\n(.*\n)*.*found by its orderLinkId/);
  assertMatch(out, /✓ → private stream tells exec-1, then exec-2, then Filled/);
  assertMatch(
    out,
    /hole noticed, resubscribing \w+ on the same socket\n(.*\n)*.*✓ → complete again/,
  );
  assertMatch(out, /told 10006, all such requests pause for \d+ ms\n(.*\n)*.*✓ → answered/);
  assertMatch(out, /✓ 4 of 4 orders taken, each once, .* the private stream told what/);
  assertMatch(out, /✓ 2 of 2 books equal the venue's in the end, level by level/);
});

Deno.test("the Bybit demo needs no more than the venue's two hosts, and says that it cannot reach them", async () => {
  const { code, stderr } = await new Deno.Command(Deno.execPath(), {
    args: [
      ...["run", "--no-prompt", "--allow-net=api.bybit.com,stream.bybit.com", demo, "bybit"],
      ...["--live", "--seconds", "1"],
    ],
    env: { HTTPS_PROXY: "http://127.0.0.1:9", HTTP_PROXY: "", NO_PROXY: "" },
  }).output();
  assertEquals(code, 1);
  const errors = new TextDecoder().decode(stderr);
  assertMatch(errors, /Cannot reach Bybit: Cannot GET https:\/\/api\.bybit\.com.*; without --live/);
});
