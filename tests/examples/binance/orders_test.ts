import { assert, assertEquals } from "@std/assert";
import type { FeedError } from "@aio-trader/core";
import { BinanceBroker, type BinanceOrder } from "../../../examples/binance/broker.ts";
import { unitsOf } from "../../../examples/binance/decimals.ts";
import {
  BinanceOrders,
  type BinanceOrdersOptions,
  type BinanceReport,
} from "../../../examples/binance/orders.ts";
import { BinanceSimulator } from "../../../examples/binance/simulator.ts";

const MARKET = { symbol: "BTCUSDT", side: "BUY", type: "MARKET", quantity: "0.01" } as const;
const LIMIT: BinanceOrder = { ...MARKET, type: "LIMIT", timeInForce: "GTC", price: "20000.00" };

/** A venue that stands still, a broker, and the stream, subscribed. */
class Fixture implements AsyncDisposable {
  readonly venue = new BinanceSimulator({ seed: 7, interval: 0, limited: false });
  readonly broker = new BinanceBroker({
    ...{ baseUrl: this.venue.httpUrl, dataUrl: this.venue.httpUrl, retry: { baseWait: 1 } },
  });
  readonly orders: BinanceOrders;
  readonly items: BinanceReport[] = [];
  readonly sent: string[] = [];
  readonly errors: string[] = [];

  constructor(options: Partial<BinanceOrdersOptions> = {}) {
    this.orders = new BinanceOrders({
      ...{ url: `${this.venue.wsUrl}/ws-api/v3`, broker: this.broker, symbols: ["BTCUSDT"] },
      ...{ baseWait: 10, jitter: 0, ...options },
      tap: (direction, data) => direction === "out" && this.sent.push(String(data)),
    });
    this.orders.on("item", (item) => this.items.push(item));
    this.orders.on("error", ({ message }) => this.errors.push(message));
  }

  async open(): Promise<this> {
    await this.broker.authorize(this.venue.login);
    const subscribed = Promise.withResolvers<void>();
    this.orders.on("subscribed", () => subscribed.resolve());
    await this.orders.connect();
    await subscribed.promise;
    return this;
  }

  /** What was told of orders and fills, in short: by the order's name. */
  told(): string[] {
    return this.items.flatMap((item) => {
      if (item.channel === "orders") return [`${item.clientOrderId} ${item.status}`];
      return item.channel === "fills" ? [`${item.clientOrderId} fill ${item.tradeId}`] : [];
    });
  }

  /** Waits until something was told of an order. */
  until(told: string): Promise<void> {
    return until(() => this.told().includes(told));
  }

  /** Drops the connection, lets something happen meanwhile, and waits for the next connection. */
  async lose(happen: () => Promise<unknown>): Promise<void> {
    const { connections } = this.orders.stats;
    const filled = Promise.withResolvers<void>();
    this.orders.on("gap", () => filled.resolve());
    this.venue.inflict("drop");
    await happen();
    await until(() => this.orders.stats.connections > connections);
    await filled.promise;
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

/** How often each thing was told. */
function repeated(told: readonly string[]): string[] {
  return told.filter((it, i) => told.indexOf(it) !== i);
}

Deno.test("BinanceOrders tells a market order, its fill and its end, and the balances", async () => {
  await using it = await new Fixture().open();
  const { orderId } = await it.broker.placeOrder({ ...MARKET, newClientOrderId: "a" });
  await it.until("a FILLED");
  assertEquals(it.told(), ["a NEW", "a fill 1", "a FILLED"]);
  const fill = it.items.find((item) => item.channel === "fills")!;
  const [trade] = it.venue.desk.trades;
  assertEquals(
    [fill.orderId, fill.qty, fill.price, fill.quoteQty, fill.side, fill.time],
    [orderId, "0.01000000", trade.price, trade.quoteQty, "BUY", trade.time],
  );
  const free = () =>
    it.items.findLast((item) => item.channel === "balances" && item.asset === "BTC");
  await until(() => (free() as { free: string })?.free === "10.01000000");
  assertEquals(it.errors, []);
});

Deno.test("BinanceOrders names a cancelled order by its own name, not by the cancel's", async () => {
  await using it = await new Fixture().open();
  await it.broker.placeOrder({ ...LIMIT, newClientOrderId: "a" });
  await it.broker.cancel("BTCUSDT", "a");
  await it.until("a CANCELED");
  assertEquals(it.told(), ["a NEW", "a CANCELED"]);
});

Deno.test("BinanceOrders tells IOC, partial fills and both orders of an OCO", async () => {
  await using it = await new Fixture().open();
  await it.broker.placeOrder({ ...LIMIT, timeInForce: "IOC", newClientOrderId: "ioc" });
  await it.broker.placeOrder({ ...LIMIT, newClientOrderId: "part" });
  it.venue.desk.fill(it.venue.orders.get("part")!, unitsOf("0.004"));
  it.venue.desk.fill(it.venue.orders.get("part")!);
  const { orders } = await it.broker.placeOco({
    ...{ symbol: "BTCUSDT", side: "SELL", quantity: "0.01" },
    ...{ aboveType: "LIMIT_MAKER", abovePrice: "40000.00" },
    ...{ belowType: "STOP_LOSS", belowStopPrice: "20000.00" },
  });
  it.venue.desk.fill(it.venue.orders.get(orders[0].clientOrderId)!);
  const names = orders.map(({ clientOrderId }) => clientOrderId);
  await it.until(`${names[0]} FILLED`);
  assertEquals(it.told(), [
    ...["ioc NEW", "ioc EXPIRED"],
    ...["part NEW", "part fill 1", "part PARTIALLY_FILLED", "part fill 2", "part FILLED"],
    ...[`${names[0]} NEW`, `${names[1]} NEW`, `${names[1]} EXPIRED`],
    ...[`${names[0]} fill 3`, `${names[0]} FILLED`],
  ]);
});

Deno.test("BinanceOrders tells each fill and each end once over drops, also those between", async () => {
  await using it = await new Fixture().open();
  await it.broker.placeOrder({ ...LIMIT, newClientOrderId: "open" });
  await it.until("open NEW");
  for (let round = 1; round <= 3; round++) {
    await it.lose(async () => {
      it.venue.desk.fill(it.venue.orders.get("open")!, unitsOf("0.003"));
      await it.broker.placeOrder({ ...MARKET, newClientOrderId: `m${round}` });
      await it.broker.placeOrder({ ...LIMIT, newClientOrderId: `c${round}` });
      await it.broker.cancel("BTCUSDT", `c${round}`);
    });
    await it.until(`m${round} FILLED`);
    await it.until(`c${round} CANCELED`);
  }
  it.venue.desk.fill(it.venue.orders.get("open")!);
  await it.until("open FILLED");
  const told = it.told();
  assertEquals(repeated(told.filter((it) => it !== "open PARTIALLY_FILLED")), []);
  const fills = told.filter((it) => it.includes("fill")).map((it) => Number(it.split(" ")[2]));
  assertEquals(fills.sort((a, b) => a - b), it.venue.desk.trades.map(({ id }) => id));
  assertEquals(it.errors, []);
});

Deno.test("BinanceOrders tells what becomes of orders that were open before, and not the orders", async () => {
  await using it = new Fixture();
  await it.broker.authorize(it.venue.login);
  for (const name of ["fill", "cancel", "stay"]) {
    await it.broker.placeOrder({ ...LIMIT, newClientOrderId: name });
  }
  await new Promise((resolve) => setTimeout(resolve, 20)); // by the clock, they are before
  await it.open();
  await it.lose(async () => {
    it.venue.desk.fill(it.venue.orders.get("fill")!);
    await it.broker.cancel("BTCUSDT", "cancel");
  });
  await it.until("cancel CANCELED");
  assertEquals(it.told().sort(), ["cancel CANCELED", "fill FILLED", "fill fill 1"]);
});

Deno.test("BinanceOrders asks after a drop for symbols that only the stream has told", async () => {
  await using it = await new Fixture().open();
  const order = { ...MARKET, symbol: "ETHUSDT", quantity: "1" } as const;
  await it.broker.placeOrder({ ...order, newClientOrderId: "before" });
  await it.until("before FILLED");
  await it.lose(() => it.broker.placeOrder({ ...order, newClientOrderId: "during" }));
  await it.until("during FILLED");
  assertEquals(repeated(it.told()), []);
});

Deno.test("BinanceOrders takes an ended stream for a loss, and the venue's shutdown for none", async () => {
  await using it = await new Fixture({ overlap: 50 }).open();
  await it.broker.placeOrder({ ...LIMIT, newClientOrderId: "open" });
  await it.until("open NEW");
  let gaps = 0;
  it.orders.on("gap", () => gaps++);
  const reasons: string[] = [];
  it.orders.on("retry", ({ ending }) => reasons.push(ending.reason));
  for (const user of it.venue.users) user.terminate();
  it.venue.desk.fill(it.venue.orders.get("open")!); // nobody is told
  await until(() => gaps === 1);
  assertEquals(it.told(), ["open NEW", "open fill 1", "open FILLED"]);
  assertEquals(reasons, ["the venue has ended the stream"]);

  const { connections } = it.orders.stats;
  it.venue.announceShutdown();
  for (let i = 0; it.orders.stats.connections === connections; i++) {
    await it.broker.placeOrder({ ...MARKET, newClientOrderId: `m${i}` });
    await it.until(`m${i} FILLED`);
  }
  assertEquals([gaps, repeated(it.told()), reasons.length], [1, [], 1]);
});

Deno.test("BinanceOrders asks again when the confirmation is lost, and is content with -2035", async () => {
  class Deaf extends BinanceOrders {
    #lost = 0;
    protected override receive(data: string | ArrayBuffer): void {
      if (String(data).includes('"subscriptionId":0}') && this.#lost++ === 0) return;
      super.receive(data);
    }
  }
  await using it = new Fixture();
  await it.broker.authorize(it.venue.login);
  await using orders = new Deaf({
    ...{ url: `${it.venue.wsUrl}/ws-api/v3`, broker: it.broker, confirmTimeout: 100 },
  });
  const frames: string[] = [];
  orders.on("error", ({ message }) => frames.push(message));
  const subscribed = Promise.withResolvers<void>();
  orders.on("subscribed", () => subscribed.resolve());
  await orders.connect();
  await subscribed.promise;
  assertEquals([orders.stats.attempts, frames], [1, []]);
});

Deno.test("BinanceOrders reads the clock anew when its timestamp is refused, and is subscribed", async () => {
  await using it = new Fixture();
  await it.broker.authorize(it.venue.login);
  await it.broker.time();
  await it.broker.account(); // the clock is known
  it.venue.clockOffset = -3_600_000; // and wrong of a sudden
  const { broker } = it;
  // Its own requests would notice; this one has none.
  await using orders = new BinanceOrders({ url: `${it.venue.wsUrl}/ws-api/v3`, broker });
  const errors: string[] = [];
  orders.on("error", ({ message }) => errors.push(message));
  const subscribed = Promise.withResolvers<void>();
  orders.on("subscribed", () => subscribed.resolve());
  await orders.connect();
  await subscribed.promise;
  assertEquals(errors.length, 1);
  assert(errors[0].includes("-1021"), errors[0]);
});

for (const change of [{ apiKey: "another" }, { secret: "another" }]) {
  Deno.test(`BinanceOrders ends when the venue refuses ${Object.keys(change)}, and shows no key`, async () => {
    await using it = new Fixture({ symbols: [] });
    const login = { ...it.venue.login, ...change };
    await it.broker.authorize(login);
    void it.orders.connect();
    const error = await it.orders.closed as FeedError;
    assert(/-2015|-1022/.test(error.message), error.message);
    const shown = Deno.inspect(error, { depth: 10 });
    for (const secret of [login.apiKey, login.secret]) assert(!shown.includes(secret));
  });
}

Deno.test("BinanceOrders without a login does not come up, and says why", async () => {
  await using it = new Fixture({ symbols: [], maxRetries: 0 });
  const causes: string[] = [];
  it.orders.on("error", ({ cause }) => causes.push(String(cause)));
  void it.orders.connect().catch(() => {});
  await until(() => causes.length > 0);
  assert(causes[0].includes("there is no login"), causes[0]);
});

Deno.test("BinanceOrders signs the parameters in the order of the alphabet", async () => {
  await using it = await new Fixture().open();
  const { method, params } = JSON.parse(it.sent[0]);
  assertEquals(method, "userDataStream.subscribe.signature");
  assertEquals(Object.keys(params).sort(), ["apiKey", "recvWindow", "signature", "timestamp"]);
});

Deno.test("BinanceOrders reads more than one page of what it has missed", async () => {
  await using it = await new Fixture().open();
  const missed = 1_200;
  await it.lose(() => {
    for (let i = 0; i < missed; i++) it.venue.desk.place({ ...MARKET, quantity: "0.001" });
    return Promise.resolve();
  });
  const fills = it.items.flatMap((item) => item.channel === "fills" ? [item.tradeId] : []);
  assertEquals(fills, it.venue.desk.trades.map(({ id }) => id));
  const ends = it.items.filter((item) => item.channel === "orders" && item.status === "FILLED");
  assertEquals(ends.length, missed);
});

Deno.test("BinanceOrders fills a gap though REST fails at first", async () => {
  await using it = await new Fixture().open();
  let failures = 0;
  it.orders.on("gap", ({ filled }) => assert(filled));
  await it.lose(() => {
    it.venue.desk.place({ ...MARKET, newClientOrderId: "during" });
    for (; failures < 4; failures++) it.venue.inflict("throttle"); // answered with 429
    return Promise.resolve();
  });
  await it.until("during FILLED");
  assertEquals([repeated(it.told()), it.venue.stats.throttled], [[], failures]);
});

Deno.test("BinanceOrders tells each fill once in a storm of drops, within the venue's weight", async () => {
  await using it = await new Fixture({ maxWait: 200 }).open();
  const storm = setInterval(() => it.venue.inflict("drop"), 40);
  for (let i = 0; i < 10; i++) {
    await it.broker.placeOrder({ ...MARKET, quantity: "0.001", newClientOrderId: `m${i}` });
    await new Promise((resolve) => setTimeout(resolve, 30));
  }
  clearInterval(storm);
  for (let i = 0; i < 10; i++) await it.until(`m${i} FILLED`);
  const fills = it.items.flatMap((item) => item.channel === "fills" ? [Number(item.tradeId)] : []);
  assertEquals(fills.sort((a, b) => a - b), it.venue.desk.trades.map(({ id }) => id));
  assertEquals(repeated(it.told()), []);
  assertEquals([it.venue.stats.executed, it.venue.stats.throttled], [10, 0]);
  assert(it.venue.usedWeight < 6_000, `${it.venue.usedWeight} used`);
});
