import { assertEquals, assertRejects } from "@std/assert";
import { BrokerError } from "@aio-trader/core";
import { KiteBroker, type KiteBrokerOptions } from "../../../examples/kite/broker.ts";
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

const TIMED_OUT =
  "Order request timed out. Please check the order book and confirm before placing " +
  "again.";

/** What becomes of the answer of a venue that has executed the request. */
type Loss = (response: Response) => Response;

function says(status: number, error_type: string, message: string): Loss {
  return () => Response.json({ status: "error", error_type, message, data: null }, { status });
}

const LOSSES: [string, Loss][] = [
  ["a 400 that timed out", says(400, "OrderException", TIMED_OUT)],
  ["a 400 that timed out, as an InputException", says(400, "InputException", TIMED_OUT)],
  ["a 400 of few words", says(400, "OrderException", "Request timed-out")],
  ["a 400 that wants it confirmed", says(400, "OrderException", "Confirm before placing again")],
  ["a 503 NetworkException", says(503, "NetworkException", "OMS is down")],
  ["a 500 GeneralException", says(500, "GeneralException", "Something went wrong")],
  ["a 200 DataException", says(200, "DataException", "Cannot parse the answer of the OMS")],
  ["a gateway's page", () => new Response("<html>Bad gateway</html>", { status: 502 })],
  ["a captive portal", () => new Response("<html>Log in</html>", { status: 200 })],
  ["half of the answer", () => new Response('{"status":"succ', { status: 200 })],
  ["nothing", () => new Response("", { status: 200 })],
  ["a reset", () => {
    throw new TypeError("connection reset");
  }],
];

interface World extends AsyncDisposable {
  readonly venue: KiteSimulator;
  readonly broker: KiteBroker;
  /** Loses the next answer to a request that changes something. */
  lose(loss: Loss): void;
  /** Never lets the next such request arrive. */
  swallow(loss: Loss): void;
  /** Answers so many look-ups with this instead of the order book. */
  hide(times: number, answer: () => Response): void;
  /** How often the order book was asked for. */
  readonly lookUps: () => number;
}

/** A venue, a broker, and a network between them that loses answers. */
async function world(options: KiteBrokerOptions = {}): Promise<World> {
  const venue = new KiteSimulator({ seed: 7, interval: 0, limited: false });
  let loss: { answer: Loss; executes: boolean } | undefined;
  let hidden: { times: number; answer: () => Response } | undefined;
  let lookUps = 0;
  const broker = new KiteBroker({
    baseUrl: venue.httpUrl,
    throttlers: [],
    retry: false,
    reconcile: { horizon: 600, timeout: 3_000 },
    fetch: async (url, init) => {
      if (init?.method === "GET" && String(url).endsWith("/orders")) {
        lookUps++;
        if (hidden && hidden.times-- > 0) return hidden.answer();
      }
      const isChange = ["POST", "PUT", "DELETE"].includes(init?.method ?? "");
      if (!isChange || !loss) return fetch(url, init);
      const { answer, executes } = loss;
      loss = undefined;
      const response = executes ? await fetch(url, init) : new Response();
      await response.body?.cancel();
      return answer(response);
    },
    ...options,
  });
  await broker.authorize(venue.access);
  return {
    venue,
    broker,
    lose: (answer) => void (loss = { answer, executes: true }),
    swallow: (answer) => void (loss = { answer, executes: false }),
    hide: (times, answer) => void (hidden = { times, answer }),
    lookUps: () => lookUps,
    async [Symbol.asyncDispose]() {
      await broker.close();
      await venue.close();
    },
  };
}

for (const [what, loss] of LOSSES) {
  Deno.test(`KiteBroker.placeOrder() finds an order answered by ${what}: executed once`, async () => {
    await using it = await world();
    await it.broker.placeOrder(LIMIT);
    it.lose(loss);
    const { order_id, tag } = await it.broker.placeOrder(LIMIT);
    const { orders, executions } = it.venue.desk;
    assertEquals([orders[1].order_id, orders[1].tag], [order_id, tag]);
    assertEquals(executions.placed, 2);
  });

  Deno.test(`KiteBroker.placeOrder() calls an order absent that never arrived, behind ${what}`, async () => {
    await using it = await world({ reconcile: { horizon: 20, timeout: 3_000 } });
    await it.broker.placeOrder(LIMIT);
    it.swallow(loss);
    const { outcome } = await assertRejects(() => it.broker.placeOrder(LIMIT), BrokerError);
    assertEquals([outcome, it.venue.desk.executions.placed], ["absent", 1]);
  });
}

const BLIND: [string, () => Response][] = [
  ["503", () => new Response("", { status: 503 })],
  ["a page", () => new Response("<html></html>", { headers: { "content-type": "text/html" } })],
  ["no list", () => Response.json({ status: "success", data: null })],
  ["half a list", () => new Response('{"status":"success","data":[')],
  ["an error", () => Response.json({ status: "error", error_type: "DataException" })],
];

for (const [what, answer] of BLIND) {
  Deno.test(`KiteBroker.placeOrder() never says absent while the order book is ${what}`, async () => {
    await using it = await world({ reconcile: { horizon: 0, timeout: 700 } });
    it.lose(says(503, "NetworkException", "OMS is down"));
    it.hide(Infinity, answer);
    const { outcome } = await assertRejects(() => it.broker.placeOrder(LIMIT), BrokerError);
    assertEquals([outcome, it.lookUps() > 1], ["unknown", true]);
  });

  Deno.test(`KiteBroker.placeOrder() finds the order once the order book is no more ${what}`, async () => {
    await using it = await world({ reconcile: { horizon: 0, timeout: 10_000 } });
    it.lose(says(503, "NetworkException", "OMS is down"));
    it.hide(1, answer);
    const { order_id } = await it.broker.placeOrder(LIMIT);
    assertEquals(it.venue.desk.orders[0].order_id, order_id);
  });
}

Deno.test("KiteBroker.placeOrder() asks no order book unless the fate is unknown", async () => {
  await using it = await world();
  await it.broker.placeOrder(MARKET);
  const { code } = await assertRejects(
    () => it.broker.placeOrder({ ...LIMIT, price: 0 }),
    BrokerError,
  );
  assertEquals([code, it.lookUps()], ["InputException", 0]);
});

Deno.test("KiteBroker.placeOrder() takes no order of another name for its own", async () => {
  await using it = await world({ reconcile: { horizon: 0, timeout: 3_000 } });
  await it.broker.placeOrder({ ...LIMIT, tag: "first" });
  it.swallow(says(503, "NetworkException", ""));
  const { outcome } = await assertRejects(
    () => it.broker.placeOrder({ ...LIMIT, tag: "FIRST" }),
    BrokerError,
  );
  assertEquals(outcome, "absent");
});

Deno.test("KiteBroker.placeOrder() takes no order that was answered before for one of the same tag", async () => {
  await using it = await world({ reconcile: { horizon: 0, timeout: 3_000 } });
  const order = { ...LIMIT, tag: "twice" };
  const first = await it.broker.placeOrder(order);
  it.swallow(says(400, "OrderException", TIMED_OUT));
  const { outcome } = await assertRejects(() => it.broker.placeOrder(order), BrokerError);
  assertEquals(outcome, "absent");
  it.lose(says(400, "OrderException", TIMED_OUT));
  const second = await it.broker.placeOrder(order);
  assertEquals(it.venue.desk.orders.map((it) => it.order_id), [first.order_id, second.order_id]);
});

Deno.test("KiteBroker.placeOrder() does not choose between two orders of the same tag", async () => {
  await using it = await world({ reconcile: { horizon: 0, timeout: 700 } });
  const other = new KiteBroker({ baseUrl: it.venue.httpUrl });
  await other.authorize(it.venue.access);
  await other.placeOrder({ ...LIMIT, tag: "shared" });
  await other.close();
  it.lose(says(400, "OrderException", TIMED_OUT));
  const error = await assertRejects(
    () => it.broker.placeOrder({ ...LIMIT, tag: "shared" }),
    BrokerError,
  );
  assertEquals(error.outcome, "unknown");
});

Deno.test("KiteBroker.placeOrder() leaves the fate unknown with reconcile: false", async () => {
  await using it = await world({ reconcile: false });
  it.lose(says(400, "OrderException", TIMED_OUT));
  const { outcome } = await assertRejects(() => it.broker.placeOrder(LIMIT), BrokerError);
  assertEquals([outcome, it.lookUps()], ["unknown", 0]);
});

Deno.test("KiteBroker.placeOrder() rejects what the venue would ignore, and sends nothing", async () => {
  await using it = await world();
  const order = { ...LIMIT, trigger_price: 1_390 } as unknown as typeof LIMIT;
  await assertRejects(() => it.broker.placeOrder(order), TypeError, "trigger_price is 1390");
  assertEquals(it.venue.stats.requests, 0);
});

for (const [what, loss] of LOSSES) {
  Deno.test(`KiteBroker.modifyOrder() finds a change answered by ${what}: made once`, async () => {
    await using it = await world();
    const { order_id } = await it.broker.placeOrder(LIMIT);
    it.lose(loss);
    const change = { quantity: 2, price: 1_401.5 };
    assertEquals(await it.broker.modifyOrder(order_id, change), { order_id });
    assertEquals(it.venue.desk.executions.modified, 1);
  });

  Deno.test(`KiteBroker.cancelOrder() finds a cancel answered by ${what}: made once`, async () => {
    await using it = await world();
    const { order_id } = await it.broker.placeOrder(LIMIT);
    it.lose(loss);
    assertEquals(await it.broker.cancelOrder(order_id), { order_id });
    assertEquals(it.venue.desk.executions.cancelled, 1);
  });
}

Deno.test("KiteBroker says absent of a change and of a cancel that never arrived", async () => {
  await using it = await world({ reconcile: { horizon: 0, timeout: 3_000 } });
  const { order_id } = await it.broker.placeOrder(LIMIT);
  for (
    const call of [
      () => it.broker.modifyOrder(order_id, { quantity: 2 }),
      () => it.broker.cancelOrder(order_id),
    ]
  ) {
    it.swallow(says(503, "NetworkException", "OMS is down"));
    assertEquals((await assertRejects(call, BrokerError)).outcome, "absent");
  }
  assertEquals(it.venue.desk.executions, { placed: 1, modified: 0, cancelled: 0 });
});

Deno.test("KiteBroker says rejected of a change and of a cancel that came too late for the order", async () => {
  await using it = await world();
  const { order_id } = await it.broker.placeOrder(MARKET);
  for (
    const call of [
      () => it.broker.modifyOrder(order_id, { quantity: 2 }),
      () => it.broker.cancelOrder(order_id),
    ]
  ) {
    it.swallow(says(503, "NetworkException", "OMS is down"));
    const { outcome } = await assertRejects(call, BrokerError, "it is COMPLETE");
    assertEquals(outcome, "rejected");
  }
});

Deno.test("KiteBroker.cancelOrder() goes before orders that wait", async () => {
  const venue = new KiteSimulator({ seed: 7, interval: 0 });
  const paths: string[] = [];
  const broker = new KiteBroker({
    baseUrl: venue.httpUrl,
    fetch: (url, init) => {
      paths.push(`${init?.method} ${new URL(String(url)).pathname.split("/")[1]}`);
      return fetch(url, init);
    },
  });
  await broker.authorize(venue.access);
  const { order_id } = await broker.placeOrder(LIMIT);
  const placed = Array.from({ length: 12 }, () => broker.placeOrder(LIMIT));
  await Promise.all([...placed, broker.cancelOrder(order_id)]);
  assertEquals(paths.indexOf("DELETE orders") <= 10, true, paths.join());
  assertEquals(venue.stats.throttled, 0);
  await broker.close();
  await venue.close();
});
