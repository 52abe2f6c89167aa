import { assert, assertEquals, assertInstanceOf, assertRejects, assertThrows } from "@std/assert";
import { BrokerError } from "@aio-trader/core";
import {
  BinanceBroker,
  type BinanceBrokerOptions,
  type BinanceOco,
  importSecret,
  sign,
  UnknownOrderError,
} from "../../../examples/binance/broker.ts";
import {
  BinanceSimulator,
  type BinanceSimulatorOptions,
  LOGIN,
} from "../../../examples/binance/simulator.ts";
import {
  LoopbackVenue,
  reply,
  type Step,
  type VenueReply,
  type VenueRequest,
} from "../../../testing.ts";

const ORDER = { symbol: "BTCUSDT", side: "BUY", type: "MARKET", quantity: "0.01" } as const;
const LIMIT = { ...ORDER, type: "LIMIT", timeInForce: "GTC", price: "1000.00" } as const;

/** A venue that stands still. */
function still(options: BinanceSimulatorOptions = {}): BinanceSimulator {
  return new BinanceSimulator({ seed: 7, interval: 0, ...options });
}

/** A broker that has logged in, and talks to both of the venue's addresses at one. */
async function brokerOf(
  { httpUrl }: { httpUrl: string },
  options: BinanceBrokerOptions = {},
): Promise<BinanceBroker> {
  const broker = new BinanceBroker({ baseUrl: httpUrl, dataUrl: httpUrl, ...options });
  await broker.authorize(LOGIN);
  return broker;
}

const [PLACE, LOOK_UP, CANCEL, AMEND] = [
  ...["POST /api/v3/order", "GET /api/v3/order", "DELETE /api/v3/order"],
  "PUT /api/v3/order/amend/keepPriority",
];

/** What stands between a broker and a venue: it passes everything on, unless told otherwise. */
async function frontOf(venue: BinanceSimulator): Promise<LoopbackVenue> {
  return (await LoopbackVenue.listen()).on("*", (request) => pass(venue, request));
}

/** Passes a request on to the venue. */
async function pass(
  { httpUrl }: BinanceSimulator,
  { method, target, headers, body }: VenueRequest,
): Promise<VenueReply> {
  const { host: _, "content-length": __, "transfer-encoding": ___, ...rest } = Object.fromEntries(
    headers,
  );
  const response = await fetch(httpUrl + target, {
    method,
    headers: rest,
    body: method === "POST" || method === "PUT" ? body : undefined,
  });
  return reply(response.status, await response.text(), {
    "content-type": "application/json",
    "x-mbx-used-weight-1m": response.headers.get("x-mbx-used-weight-1m") ?? "0",
  });
}

async function failure(promise: Promise<unknown>): Promise<BrokerError> {
  const error = await promise.then(() => undefined, (error) => error);
  assertInstanceOf(error, BrokerError);
  return error;
}

// As published: https://developers.binance.com/docs/binance-spot-api-docs/rest-api/request-security
for (
  const [name, payload, signature] of [
    [
      "ASCII only",
      "symbol=LTCBTC&side=BUY&type=LIMIT&timeInForce=GTC&quantity=1&price=0.1&recvWindow=5000&timestamp=1499827319559",
      "c8db56825ae71d6d79447849e617115f4a920fa2acdcab2b053c4b2838bd6b71",
    ],
    [
      "a symbol that is not ASCII",
      "symbol=%EF%BC%91%EF%BC%92%EF%BC%93%EF%BC%94%EF%BC%95%EF%BC%96&side=BUY&type=LIMIT&timeInForce=GTC&quantity=1&price=0.1&recvWindow=5000&timestamp=1499827319559",
      "e1353ec6b14d888f1164ae9af8228a3dbd508bc82eb867db8ab6046442f33ef3",
    ],
    [
      "query and body",
      "symbol=LTCBTC&side=BUY&type=LIMIT&timeInForce=GTC" +
      "quantity=1&price=0.1&recvWindow=5000&timestamp=1499827319559",
      "0fd168b8ddb4876a0358a8d14d0c9f3da0e9b20c5d52b2a00fcf7d1c602f9a77",
    ],
  ]
) {
  Deno.test(`sign() gives the signature that Binance publishes: ${name}`, async () => {
    assertEquals(await sign(await importSecret(LOGIN.secret), payload), signature);
  });
}

Deno.test("importSecret() makes a key that cannot be read", async () => {
  const key = await importSecret(LOGIN.secret);
  assertEquals(key.extractable, false);
  await assertRejects(() => crypto.subtle.exportKey("raw", key));
});

Deno.test("BinanceBroker signs what it sends, in the order in which it is sent", async () => {
  const sent: { url: string; body: string; headers: Headers }[] = [];
  await using broker = await brokerOf({ httpUrl: "https://venue.example" }, {
    fetch: async (url, init) => {
      const body = init?.body ? await new Response(init.body).text() : "";
      sent.push({ url: String(url), body, headers: new Headers(init?.headers) });
      return Response.json(String(url).endsWith("/time") ? { serverTime: 1_499_827_319_559 } : {});
    },
  });
  await broker.placeOrder({ ...LIMIT, symbol: "１２３", newClientOrderId: "mine" });
  await broker.order("１２３", "mine");
  await broker.account();
  const [time, order, lookUp, account] = sent;
  assertEquals(time.headers.get("x-mbx-apikey"), null, "no key where none is needed");
  const key = await importSecret(LOGIN.secret);
  for (
    const [{ url, body, headers }, start] of [
      [
        order,
        "newOrderRespType=RESULT&symbol=%EF%BC%91%EF%BC%92%EF%BC%93&side=BUY&type=LIMIT&quantity=0.01&" +
        "timeInForce=GTC&price=1000.00&newClientOrderId=mine&recvWindow=5000&timestamp=1499827319",
      ],
      [
        lookUp,
        "symbol=%EF%BC%91%EF%BC%92%EF%BC%93&origClientOrderId=mine&recvWindow=5000&timestamp=1499827319",
      ],
      [account, "recvWindow=5000&timestamp=1499827319"],
    ] as const
  ) {
    assertEquals(headers.get("x-mbx-apikey"), LOGIN.apiKey);
    const params = body || new URL(url).search.slice(1);
    assertEquals(params.slice(0, start.length), start);
    const [, payload, signature] = /^(.*)&signature=([0-9a-f]{64})$/.exec(params)!;
    assertEquals(signature, await sign(key, payload));
  }
});

Deno.test("BinanceBroker needs no login for prices", async () => {
  await using venue = still();
  const { httpUrl } = venue;
  await using broker = new BinanceBroker({ baseUrl: httpUrl, dataUrl: httpUrl });
  assert(Math.abs(await broker.time() - Date.now()) < 60_000);
  const { bids, asks } = await broker.depth("BTCUSDT", 5);
  assertEquals([bids.length, asks.length], [5, 5]);
  const quote = await broker.quote("BTCUSDT");
  assertEquals([quote.bidPrice, quote.askPrice], [bids[0][0], asks[0][0]]);
  const error = await failure(broker.depth("FOOBAR"));
  assertEquals([error.kind, error.outcome, error.code], ["rejected", "rejected", -1121]);
  assertEquals(error.message, "Binance says -1121: Invalid symbol.");
});

Deno.test("BinanceBroker without a login sends nothing that needs one", async () => {
  await using venue = still();
  const { httpUrl } = venue;
  await using broker = new BinanceBroker({ baseUrl: httpUrl, dataUrl: httpUrl });
  const error = await failure(broker.placeOrder(ORDER));
  assertEquals([error.kind, error.outcome], ["unauthorized", "not-sent"]);
  assertEquals(venue.stats.requests, 0);
});

Deno.test("BinanceBroker places, finds, lists and cancels orders", async () => {
  await using venue = still();
  await using broker = await brokerOf(venue);
  const market = await broker.placeOrder(ORDER);
  assertEquals([market.status, market.executedQty], ["FILLED", "0.01000000"]);
  const limit = await broker.placeOrder({ ...LIMIT, newClientOrderId: "mine" });
  assertEquals([limit.status, limit.clientOrderId], ["NEW", "mine"]);
  assertEquals((await broker.order("BTCUSDT", "mine")).orderId, limit.orderId);
  assertEquals((await broker.openOrders()).map((order) => order.clientOrderId), ["mine"]);
  assertEquals(await broker.openOrders("ETHUSDT"), []);
  assertEquals((await broker.cancel("BTCUSDT", "mine")).status, "CANCELED");
  assertEquals(await broker.openOrders("BTCUSDT"), []);
  assertEquals((await broker.account()).canTrade, true);
  assertEquals(venue.stats.executed, 2);
});

Deno.test("BinanceBroker tells what the venue says of an order that it rejects", async () => {
  await using venue = still();
  await using broker = await brokerOf(venue);
  await broker.placeOrder({ ...LIMIT, newClientOrderId: "mine" });
  for (
    const [order, code, text] of [
      [{ ...LIMIT, newClientOrderId: "mine" }, -2010, "Duplicate order sent."],
      [{ ...ORDER, symbol: "FOOBAR" }, -1121, "Invalid symbol."],
      [{ ...LIMIT, price: undefined }, -1102, "Mandatory parameter 'price'"],
      [{ ...ORDER, quantity: "0" }, -1013, "LOT_SIZE"],
    ] as const
  ) {
    const error = await failure(broker.placeOrder(order));
    assertEquals([error.kind, error.outcome, error.code], ["rejected", "rejected", code]);
    assert(error.message.includes(text), error.message);
  }
  assertEquals(venue.stats.executed, 1);
});

for (const hours of [-5, 5]) {
  Deno.test(`BinanceBroker signs by the venue's clock, which is ${hours} h ahead`, async () => {
    await using venue = still({ clockOffset: hours * 3_600_000 });
    await using broker = await brokerOf(venue);
    await Promise.all([broker.account(), broker.placeOrder(ORDER), broker.openOrders()]);
    assertEquals(venue.stats.requests, 4, "the time was asked for once");
    assertEquals(venue.stats.executed, 1);
  });
}

for (const call of ["placeOrder", "cancel", "account", "order"] as const) {
  Deno.test(`BinanceBroker.${call}() reads the clock and is sent again, once, when a timestamp is refused`, async () => {
    await using ahead = still({ clockOffset: 3_600_000 });
    await using venue = still();
    await using front = await frontOf(ahead);
    await using broker = await brokerOf(front);
    await using other = await brokerOf(venue);
    await other.placeOrder({ ...LIMIT, newClientOrderId: "mine" });
    await broker.account();
    front.on("*", (request) => pass(venue, request)); // an hour behind, of a sudden
    const before = front.requests.length;
    if (call === "placeOrder") assertEquals((await broker.placeOrder(ORDER)).status, "FILLED");
    else if (call === "account") assertEquals((await broker.account()).canTrade, true);
    else await broker[call]("BTCUSDT", "mine");
    const paths = front.requests.slice(before).map(({ path }) => path);
    assertEquals(paths, [paths[0], "/api/v3/time", paths[0]]);
    assertEquals(venue.stats.executed, call === "placeOrder" ? 2 : 1);
  });
}

Deno.test("BinanceBroker tells a timestamp that is refused again", async () => {
  await using venue = still();
  await using front = await frontOf(venue);
  await using broker = await brokerOf(front);
  front.will(PLACE, reply(400, { code: -1021, msg: "Timestamp" }));
  const error = await failure(broker.placeOrder(ORDER));
  assertEquals([error.code, error.outcome, error.retriable], [-1021, "rejected", false]);
  assertEquals(front.requests.filter(({ method }) => method === "POST").length, 2);
});

Deno.test("BinanceBroker sends no order while the venue's time is unknown", async () => {
  await using venue = still();
  await using broker = await brokerOf(venue, {
    dataUrl: "http://127.0.0.1:1",
    retry: false,
  });
  const error = await failure(broker.placeOrder(ORDER));
  assertEquals([error.kind, error.outcome], ["network", "not-sent"]);
  assertEquals(venue.stats.orders, 0);
});

/** The venue executes, and another answer comes back. */
function afterwards(status: number, body: unknown, headers: Record<string, string> = {}): Step {
  return ["status-after-executing", { status, body, headers }];
}

// What comes of an order that the venue has executed, on a connection that is warm.
const LOST: Record<string, Step> = {
  "FIN": "finish-after-executing",
  "RST": "reset-after-executing",
  "no answer until the timeout": "hang-after-executing",
  "half a header": "half-head",
  "garbage": "garbage",
  "a body that is cut": "cut-body",
  "a body that stalls": "stall-body",
  "408": afterwards(408, { code: -1099, msg: "Not found or timed out" }),
  "500": afterwards(500, { code: -1000, msg: "An unknown error occurred" }),
  "502 of a gateway": afterwards(502, "<html>Bad gateway</html>"),
  "503": afterwards(503, { code: -1007, msg: "Timeout waiting for response" }),
  "503, busy": afterwards(503, { code: -1008, msg: "Server is overloaded" }),
  "400, execution status unknown": afterwards(400, {
    code: -1006,
    msg: "Execution status unknown.",
  }),
  "200 with bad JSON": afterwards(200, `{"symbol":"BTCUSDT","orderId":`),
  "200 with HTML": afterwards(200, "<html>", { "content-type": "text/html" }),
  "200, empty": afterwards(200, ""),
  "a redirect": afterwards(302, "", { location: "/elsewhere" }),
};
for (const [name, fault] of Object.entries(LOST)) {
  Deno.test(`BinanceBroker.placeOrder() is executed once, and found, after ${name}`, async () => {
    await using venue = still();
    await using front = await frontOf(venue);
    await using broker = await brokerOf(front, { timeout: 500 });
    await broker.account(); // warms the connection
    front.will(PLACE, fault);
    const order = await broker.placeOrder({ ...ORDER, newClientOrderId: "mine" });
    assertEquals([order.status, order.clientOrderId], ["FILLED", "mine"]);
    assertEquals([venue.stats.orders, venue.stats.executed], [1, 1]);
    const posts = front.requests.filter(({ method }) => method === "POST");
    assertEquals(posts.length, 1);
    assert(posts[0].turn > 1, "the connection was warm");
  });
}

for (const status of [429, 418]) {
  Deno.test(`BinanceBroker.placeOrder() is not executed after ${status}, and everything pauses`, async () => {
    await using venue = still();
    await using front = await frontOf(venue);
    await using broker = await brokerOf(front);
    await broker.account();
    const body = { code: -1003, msg: "Too much request weight used." };
    front.will(PLACE, reply(status, body, { "retry-after": "7" }));
    const error = await failure(broker.placeOrder(ORDER));
    assertEquals([error.kind, error.outcome], ["rate-limited", "rejected"]);
    assertEquals([error.status, error.code, error.retryAfter], [status, -1003, 7_000]);
    for (const throttler of [broker.weights, broker.orders]) {
      const wait = throttler.waitTime();
      assert(wait > 5_000 && wait <= 7_000, `${wait} ms`);
    }
    assertEquals(venue.stats.orders, 0);
  });
}

Deno.test("BinanceBroker.placeOrder() finds an order that the venue shows late", async () => {
  await using venue = still({ visibleAfter: 400 });
  await using front = await frontOf(venue);
  await using broker = await brokerOf(front, { recvWindow: 5_000 });
  front.will(PLACE, "reset-after-executing");
  assertEquals((await broker.placeOrder(ORDER)).status, "FILLED");
  assertEquals(venue.stats.orders, 1);
});

Deno.test("BinanceBroker.placeOrder() finds an order that reaches the venue late", async () => {
  await using venue = still();
  await using front = await frontOf(venue);
  await using broker = await brokerOf(front);
  await broker.account();
  front.will(PLACE, ["reset-and-execute-late", { delay: 400 }]);
  assertEquals((await broker.placeOrder(ORDER)).status, "FILLED");
  assertEquals([venue.stats.orders, venue.stats.executed], [1, 1]);
});

Deno.test("BinanceBroker.placeOrder() says that the order is absent, when the time to take it is over", async () => {
  await using venue = still();
  await using front = await frontOf(venue);
  await using broker = await brokerOf(front, { recvWindow: 300, settleTime: 200 });
  await broker.account();
  front.will(PLACE, "reset-before-executing");
  const start = performance.now();
  const error = await failure(broker.placeOrder({ ...ORDER, newClientOrderId: "mine" }));
  const elapsed = performance.now() - start;
  assertEquals([error.outcome, error.retriable], ["absent", false]);
  assert(elapsed >= 500, `given up after ${elapsed} ms, when the venue could still have taken it`);
  const lookUps = front.requests.filter(({ query }) => query.get("origClientOrderId") === "mine");
  assert(lookUps.length >= 2 && lookUps.length < 10, `${lookUps.length} look-ups`);
  // The venue keeps its word: what is still under way comes too late.
  const [post] = front.requests.filter(({ method }) => method === "POST");
  assertEquals(JSON.parse(String((await pass(venue, post)).body)).code, -1021);
});

Deno.test("BinanceBroker.placeOrder() says that it does not know when the look-up fails as well", async () => {
  await using venue = still();
  await using front = await frontOf(venue);
  await using broker = await brokerOf(front, {
    retry: { maxRetries: 1, baseWait: 1 },
    recvWindow: 300,
    settleTime: 100,
    lookUpTimeout: 400,
  });
  front.will(PLACE, afterwards(503, "")).will(LOOK_UP, reply(503));
  const error = await failure(broker.placeOrder({ ...ORDER, newClientOrderId: "mine" }));
  assertInstanceOf(error, UnknownOrderError);
  assertEquals([error.status, error.outcome], [503, "unknown"]);
  assertEquals([error.symbol, error.clientOrderId], ["BTCUSDT", "mine"]);
  assert(error.message.endsWith("as newClientOrderId mine"), error.message);
  assertInstanceOf(error.cause, BrokerError);
  assertEquals(venue.stats.executed, 1);
});

Deno.test("BinanceBroker.close() ends a look-up after closeTimeout, and the order remains unknown", async () => {
  await using venue = still();
  await using front = await frontOf(venue);
  await using broker = await brokerOf(front, { closeTimeout: 100 });
  await broker.account();
  front.will(PLACE, "reset-before-executing");
  front.will(LOOK_UP, "hang-before-executing");
  const order = failure(broker.placeOrder(ORDER));
  await front.until(() => front.requests.some(({ query }) => query.has("origClientOrderId")));
  await broker.close();
  const error = await order;
  assertInstanceOf(error, UnknownOrderError);
  assertEquals(error.outcome, "unknown");
});

Deno.test("BinanceBroker learns from the answers what others at its address have used", async () => {
  await using venue = still({ clockOffset: 30_000 - Date.now() % 60_000 }); // mid-minute
  await using broker = await brokerOf(venue);
  assertEquals(broker.weights.waitTime(5_000), 0);
  venue.usedWeight = 5_900;
  await broker.time();
  assertEquals(broker.weights.waitTime(70), 0);
  assert(broker.weights.waitTime(110) > 1_000);
  assert(broker.queries.waitTime() > 1_000, "the rest is for orders");
  assertEquals(broker.orders.waitTime(), 0);
});

Deno.test("BinanceBroker spends the weights that the venue counts", async () => {
  await using venue = still({ clockOffset: 30_000 - Date.now() % 60_000 });
  const { httpUrl } = venue;
  for (
    const [call, weight] of [
      [(broker) => broker.time(), 1],
      [(broker) => broker.quote("BTCUSDT"), 2],
      [(broker) => broker.depth("BTCUSDT"), 5],
      [(broker) => broker.depth("BTCUSDT", 100), 5],
      [(broker) => broker.depth("BTCUSDT", 101), 25],
      [(broker) => broker.depth("BTCUSDT", 501), 50],
      [(broker) => broker.depth("BTCUSDT", 1_001), 250],
      [(broker) => broker.account(), 21],
      [(broker) => broker.openOrders("BTCUSDT"), 7],
      [(broker) => broker.openOrders(), 81],
      [(broker) => broker.placeOrder({ ...LIMIT, newClientOrderId: "mine" }), 2],
      [(broker) => broker.order("BTCUSDT", "mine"), 5],
      [(broker) => broker.allOrders("BTCUSDT"), 21],
      [(broker) => broker.myTrades("BTCUSDT"), 21],
      [(broker) => broker.myTrades("BTCUSDT", { orderId: 1 }), 6],
      [(broker) => broker.exchangeInfo("BTCUSDT"), 20],
      [(broker) => broker.amend("BTCUSDT", "mine", "0.009"), 5],
      [(broker) => broker.cancel("BTCUSDT", "mine"), 2],
    ] as [(broker: BinanceBroker) => Promise<unknown>, number][]
  ) {
    // Signed calls ask for the time first, once, which is the one more.
    venue.usedWeight = 0;
    await using broker = await brokerOf({ httpUrl });
    await call(broker);
    const isFree = /placeOrder|cancel/.test(String(call)); // the venue gives the 1 back
    assertEquals(venue.usedWeight, isFree ? weight - 1 : weight, String(call));
    assertEquals(broker.weights.waitTime(6_000 - weight), 0, String(call));
    assert(broker.weights.waitTime(6_001 - weight + (isFree ? 1 : 0)) > 0, String(call));
  }
});

Deno.test("BinanceBroker waits for its weights rather than be told 429", async () => {
  await using venue = still();
  await using broker = await brokerOf(venue);
  broker.weights.update({ limit: 250, period: 300, refill: "after-finish" });
  const start = performance.now();
  await Promise.all(Array.from({ length: 3 }, () => broker.depth("BTCUSDT", 5_000)));
  assert(performance.now() - start >= 600);
  assertEquals(venue.stats.throttled, 0);
});

Deno.test("BinanceBroker reads the clock though calls that wait for it have taken all tokens", async () => {
  await using venue = still();
  await using broker = await brokerOf(venue);
  broker.queries.update({ limit: 40, period: 60_000, refill: "after-finish" });
  await Promise.all([broker.account(), broker.account()]);
  assertEquals(venue.stats.requests, 3);
});

Deno.test("BinanceBroker shows neither its keys nor a signature in any error", async () => {
  await using venue = still();
  await using front = await frontOf(venue);
  const options = {
    timeout: 300,
    recvWindow: 50,
    settleTime: 0,
    lookUpTimeout: 200,
    retry: false,
  } as const;
  const secrets = [LOGIN.secret, LOGIN.apiKey];
  for (const fault of [...Object.values(LOST), reply(401), echo]) {
    await using broker = await brokerOf(front, options);
    await broker.account().catch(() => {}); // a slow machine may need more than the 50 ms
    front.will(PLACE, fault).will(LOOK_UP, fault);
    for (
      const error of [
        await failure(broker.placeOrder(ORDER)),
        await failure(broker.order("BTCUSDT", "mine")),
      ]
    ) {
      const shown = [
        Deno.inspect(error, { depth: 10, showHidden: true }),
        JSON.stringify(error),
        error.stack,
        String(error.cause),
      ].join("\n");
      for (const request of front.requests) {
        const signature = /signature=(\w+)/.exec(request.target + request.body)?.[1];
        if (signature) secrets.push(signature);
      }
      for (const secret of secrets) assert(!shown.includes(secret), shown);
    }
  }
  assert(secrets.length > 20);
  const wrong = await brokerOf(front, options);
  const error = await wrong.authorize({ apiKey: "line\nbreak", secret: "x" }).catch(String);
  assert(!String(error).includes("break"));
  await wrong.close();
});

Deno.test("BinanceBroker refuses a recvWindow that the venue does", () => {
  for (const recvWindow of [0, -1, NaN, 60_001]) {
    assertThrows(
      () => new BinanceBroker({ recvWindow }),
      RangeError,
      `recvWindow is ${recvWindow}`,
    );
  }
  assertThrows(() => new BinanceBroker({ settleTime: -1 }), RangeError, "settleTime -1");
});

/** Answers with all that it was sent, as some gateways do. */
function echo({ headers, ...request }: VenueRequest): VenueReply {
  return reply(400, { ...request, headers: Object.fromEntries(headers) });
}

Deno.test("BinanceBroker.cancel() returns the order's own name, not that of the cancel; also by the venue's id", async () => {
  await using venue = still();
  await using broker = await brokerOf(venue);
  for (const by of ["name", "id"] as const) {
    const { orderId } = await broker.placeOrder({ ...LIMIT, newClientOrderId: "mine" });
    assertEquals((await broker.order("BTCUSDT", orderId)).clientOrderId, "mine");
    const canceled = await broker.cancel("BTCUSDT", by === "id" ? orderId : "mine");
    assertEquals([canceled.clientOrderId, canceled.status], ["mine", "CANCELED"]);
  }
});

Deno.test("BinanceBroker lists orders and trades, and tells the rules of a symbol", async () => {
  await using venue = still();
  await using broker = await brokerOf(venue);
  const filled = await broker.placeOrder({ ...ORDER, newClientOrderId: "a" });
  await broker.placeOrder({ ...LIMIT, newClientOrderId: "b" });
  const orders = await broker.allOrders("BTCUSDT");
  assertEquals(orders.map(({ clientOrderId }) => clientOrderId), ["a", "b"]);
  const [trade, ...more] = await broker.myTrades("BTCUSDT");
  assertEquals([trade.orderId, trade.qty, more], [filled.orderId, "0.01000000", []]);
  assertEquals(await broker.myTrades("ETHUSDT"), []);
  const { symbol, filters } = await broker.exchangeInfo("BTCUSDT");
  const lot = filters.find(({ filterType }) => filterType === "LOT_SIZE");
  assertEquals([symbol, lot?.stepSize], ["BTCUSDT", "0.00001"]);
  const error = await failure(broker.exchangeInfo("FOOBAR"));
  assertEquals(error.code, -1121);
});

Deno.test("BinanceBroker sends an order though queries have used up all that they may", async () => {
  await using venue = still();
  await using broker = await brokerOf(venue);
  await broker.account();
  broker.queries.pause(60_000);
  const query = failure(broker.account());
  const order = await broker.placeOrder({ ...LIMIT, newClientOrderId: "mine" });
  assertEquals((await broker.cancel("BTCUSDT", order.orderId)).status, "CANCELED");
  await broker.close();
  assertEquals((await query).kind, "closed");
});

Deno.test("BinanceBroker refuses the futures markets in words", () => {
  for (const host of ["fapi.binance.com", "dapi.binance.com", "testnet.binancefuture.com"]) {
    for (const name of ["baseUrl", "dataUrl"]) {
      const make = () => new BinanceBroker({ [name]: `https://${host}` });
      assertThrows(make, TypeError, `${host} is futures, wanted the spot market`);
    }
  }
});

const OCO: BinanceOco = {
  ...{ symbol: "BTCUSDT", side: "SELL", quantity: "0.01" },
  ...{ aboveType: "LIMIT_MAKER", abovePrice: "40000.00" },
  ...{ belowType: "STOP_LOSS_LIMIT", belowStopPrice: "20000.00", belowPrice: "19900.00" },
  belowTimeInForce: "GTC",
};

Deno.test("BinanceBroker places an OCO list, finds and cancels it", async () => {
  await using venue = still();
  await using broker = await brokerOf(venue);
  const list = await broker.placeOco({ ...OCO, listClientOrderId: "both" });
  assertEquals([list.listClientOrderId, list.listOrderStatus], ["both", "EXECUTING"]);
  assertEquals((await broker.openOrders("BTCUSDT")).map(({ orderId }) => orderId), [
    ...list.orders.map(({ orderId }) => orderId),
  ]);
  assertEquals((await broker.orderList("both")).orderListId, list.orderListId);
  assertEquals((await broker.orderList(list.orderListId)).listClientOrderId, "both");
  assertEquals((await broker.cancelList("BTCUSDT", "both")).listOrderStatus, "ALL_DONE");
  assertEquals(await broker.openOrders("BTCUSDT"), []);
  const error = await failure(broker.cancelList("BTCUSDT", "both"));
  assertEquals([error.code, error.outcome], [-2011, "rejected"]);
});

Deno.test("BinanceBroker.placeOco() is executed once, and found by its name, after 503", async () => {
  await using venue = still();
  await using broker = await brokerOf(venue);
  venue.loseAnswer();
  const { orders } = await broker.placeOco(OCO);
  assertEquals(venue.desk.open.map(({ orderId }) => orderId), orders.map(({ orderId }) => orderId));
  venue.loseOrder();
  await using hasty = await brokerOf(venue, { recvWindow: 200, settleTime: 100 });
  const error = await failure(hasty.placeOco(OCO));
  assertEquals([error.outcome, venue.desk.lists.size], ["absent", 1]);
});

Deno.test("BinanceBroker.placeOrder() says that a lost order is absent, once the venue cannot take it", async () => {
  await using venue = still();
  await using broker = await brokerOf(venue, { recvWindow: 200, settleTime: 100 });
  venue.loseOrder();
  const error = await failure(broker.placeOrder(ORDER));
  assertEquals([error.outcome, error.retriable, venue.desk.orders.size], ["absent", false, 0]);
});

for (const [name, fault] of Object.entries(LOST).slice(0, 8)) {
  Deno.test(`BinanceBroker.cancel() tells the order's state and its own name after ${name}`, async () => {
    await using venue = still();
    await using front = await frontOf(venue);
    await using broker = await brokerOf(front, { timeout: 500 });
    await broker.placeOrder({ ...LIMIT, newClientOrderId: "mine" });
    front.will(CANCEL, fault);
    const { status, clientOrderId } = await broker.cancel("BTCUSDT", "mine");
    assertEquals([status, clientOrderId], ["CANCELED", "mine"]);
    assertEquals(front.requests.filter(({ method }) => method === "DELETE").length, 1);
  });
}

Deno.test("BinanceBroker.cancel() says that a lost cancel is absent while the order is open", async () => {
  await using venue = still();
  await using front = await frontOf(venue);
  await using broker = await brokerOf(front, { recvWindow: 200, settleTime: 100 });
  await broker.placeOrder({ ...LIMIT, newClientOrderId: "mine" });
  front.will(CANCEL, reply(503));
  const error = await failure(broker.cancel("BTCUSDT", "mine"));
  assertEquals([error.outcome, venue.desk.open.length], ["absent", 1]);
});

Deno.test("BinanceBroker looks a lost order up out of the reserve, though queries may ask nothing more", async () => {
  await using venue = still();
  await using broker = await brokerOf(venue);
  await broker.account();
  broker.queries.pause(60_000);
  venue.loseAnswer();
  assertEquals((await broker.placeOrder(ORDER)).status, "FILLED");
});

Deno.test("BinanceBroker.amend() makes an order smaller under its name, and refuses what the venue does", async () => {
  await using venue = still();
  await using broker = await brokerOf(venue);
  const { orderId } = await broker.placeOrder({ ...LIMIT, newClientOrderId: "mine" });
  const order = await broker.amend("BTCUSDT", "mine", "0.008");
  assertEquals([order.orderId, order.origQty, order.clientOrderId], [
    ...[orderId, "0.00800000", "mine"],
  ]);
  for (
    const [name, newQty, code] of [
      ["mine", "0.009", -2038],
      ["mine", "0.008", -2038],
      ["another", "0.001", -2038],
      ["mine", "0.0000001", -1013],
    ] as const
  ) {
    const error = await failure(broker.amend("BTCUSDT", name, newQty));
    assertEquals([error.code, error.outcome], [code, "rejected"]);
  }
  assertEquals(venue.desk.open.map(({ quantity }) => quantity), [800_000n]);
});

for (const [name, fault] of Object.entries(LOST).slice(0, 5)) {
  Deno.test(`BinanceBroker.amend() tells the order after ${name}`, async () => {
    await using venue = still();
    await using front = await frontOf(venue);
    await using broker = await brokerOf(front, { timeout: 500 });
    await broker.placeOrder({ ...LIMIT, newClientOrderId: "mine" });
    front.will(AMEND, fault);
    const { origQty, status } = await broker.amend("BTCUSDT", "mine", "0.008");
    assertEquals([origQty, status], ["0.00800000", "NEW"]);
    assertEquals(front.requests.filter(({ method }) => method === "PUT").length, 1);
  });
}
