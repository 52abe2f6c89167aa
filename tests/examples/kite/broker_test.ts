import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { BrokerError } from "@aio-trader/core";
import {
  KiteBroker,
  type KiteBrokerOptions,
  type KiteOrderRequest,
} from "../../../examples/kite/broker.ts";
import { parseInstruments } from "../../../examples/kite/instruments.ts";
import { KiteSimulator, type KiteSimulatorOptions } from "../../../examples/kite/simulator.ts";
import { LoopbackVenue, reply, type Step, type VenueReply } from "../../../testing.ts";
import { fakeClock } from "../../fake_clock.ts";

const ORDER: KiteOrderRequest = {
  exchange: "NSE",
  tradingsymbol: "INFY",
  transaction_type: "BUY",
  order_type: "MARKET",
  product: "CNC",
  quantity: 1,
};

/** A venue that stands still but for `step()`. */
function still(options: KiteSimulatorOptions = {}): KiteSimulator {
  return new KiteSimulator({ seed: 7, interval: 0, ...options });
}

async function loggedIn(
  venue: KiteSimulator,
  options: KiteBrokerOptions = {},
): Promise<KiteBroker> {
  const broker = new KiteBroker({ baseUrl: venue.httpUrl, ...options });
  await broker.authorize(venue.access);
  return broker;
}

/** Serves by hand, for what a simulator would never answer. */
async function scripted(
  ...steps: Step[]
): Promise<{ server: LoopbackVenue; broker: KiteBroker }> {
  const server = (await LoopbackVenue.listen()).will("*", ...steps);
  const broker = new KiteBroker({
    baseUrl: server.httpUrl,
    timeout: 500,
    retry: false,
    reconcile: false,
  });
  await broker.authorize({ apiKey: "key", accessToken: "token" });
  return { server, broker };
}

function json(status: number, body: unknown): VenueReply {
  const text = typeof body === "string" ? body : JSON.stringify(body);
  return reply(status, text, { "content-type": "application/json" });
}

function failed(call: Promise<unknown>): Promise<BrokerError> {
  return assertRejects(() => call, BrokerError);
}

Deno.test("KiteBroker.authorize() exchanges a request token, proving that it knows the secret", async () => {
  await using venue = still();
  await using broker = new KiteBroker({ baseUrl: venue.httpUrl });
  await broker.authorize(venue.grant());
  assertEquals(broker.access, venue.access);
  assertEquals((await broker.profile()).user_id, "SIM001");
});

Deno.test("KiteBroker.authorize() sends the checksum of the documented example", async () => {
  const { server, broker } = await scripted(
    json(200, { status: "success", data: { access_token: "fresh" } }),
  );
  await broker.authorize({ apiKey: "api", apiSecret: "secret", requestToken: "request" });
  const [{ method, path, body, headers }] = server.requests;
  assertEquals([method, path, headers.get("x-kite-version")], ["POST", "/session/token", "3"]);
  assertEquals(
    body,
    // printf apirequestsecret | sha256sum
    "api_key=api&request_token=request&checksum=257f5edc0415fc77bd14b16e08ca983df5e4d049db7c63e292f18f6d640402b5",
  );
  assertEquals(broker.access, { apiKey: "api", accessToken: "fresh" });
  await broker.close();
  await server.close();
});

Deno.test("KiteBroker.authorize() says when the venue refuses, and that it is the login", async () => {
  await using venue = still();
  await using broker = new KiteBroker({ baseUrl: venue.httpUrl });
  const grant = venue.grant();
  const wrong = await failed(broker.authorize({ ...grant, apiSecret: "wrong" }));
  assertEquals([wrong.kind, wrong.outcome, wrong.status], ["unauthorized", "rejected", 403]);
  assertThrows(() => broker.access, Error, "nobody has logged in");
  await broker.authorize(grant);
  assertEquals((await failed(broker.authorize(grant))).code, "TokenException"); // good for once
});

Deno.test("KiteBroker.authorize() takes a stored access token as it is", async () => {
  const { server, broker } = await scripted(json(200, { status: "success", data: [] }));
  assertEquals(server.requests.length, 0);
  await broker.orders();
  assertEquals(server.requests[0].headers.get("authorization"), "token key:token");
  await broker.close();
  await server.close();
});

Deno.test("KiteBroker calls a TokenException unauthorized: log in again, nothing was done", async () => {
  await using venue = still();
  await using broker = await loggedIn(venue);
  venue.expire();
  const error = await failed(broker.placeOrder(ORDER));
  const { kind, outcome, code, status, retriable } = error;
  assertEquals([kind, outcome, code, status], ["unauthorized", "rejected", "TokenException", 403]);
  assertEquals([retriable, venue.desk.executions.placed], [false, 0]);
});

Deno.test("KiteBroker logs in once for all that a TokenException refused, and replays them", async () => {
  await using venue = still({ limited: false });
  let logins = 0;
  const broker: KiteBroker = await loggedIn(venue, {
    throttlers: [],
    onUnauthorized() {
      logins++;
      return broker.authorize(venue.grant());
    },
  });
  venue.expire();
  const calls = [1, 2, 3, 4].map((quantity) => broker.placeOrder({ ...ORDER, quantity }));
  await Promise.all([...calls, broker.profile(), broker.orders()]);
  assertEquals([logins, venue.desk.executions.placed], [1, 4]);
  await broker.close();
});

Deno.test("KiteBroker does not log in to log in: a refused login is the cause of the refused order's own error", async () => {
  await using venue = still();
  const broker: KiteBroker = await loggedIn(venue, {
    timeout: 2_000, // a login that waits for itself would take that long
    onUnauthorized: () => broker.authorize({ ...venue.grant(), requestToken: "used before" }),
  });
  venue.expire();
  const error = await failed(broker.placeOrder(ORDER));
  assertEquals([error.kind, error.outcome], ["unauthorized", "rejected"]);
  assertEquals((error.cause as BrokerError).url, `${venue.httpUrl}/session/token`);
  await broker.close();
});

Deno.test("KiteBroker places, changes, cancels and lists orders", async () => {
  await using venue = still();
  await using broker = await loggedIn(venue);
  const { order_id } = await broker.placeOrder({
    ...ORDER,
    order_type: "LIMIT",
    price: 1_400,
    tag: "mine",
  });
  assertEquals(await broker.modifyOrder(order_id, { price: 1_401.5, quantity: 2 }), { order_id });
  const [open] = await broker.orders();
  assertEquals([open.order_id, open.status, open.tag], [order_id, "OPEN", "mine"]);
  assertEquals([open.price, open.quantity, open.instrument_token], [1_401.5, 2, 408_065]);
  await broker.cancelOrder(order_id);
  await broker.placeOrder({ ...ORDER, quantity: 3 });
  const [cancelled, complete] = await broker.orders();
  assertEquals([cancelled.status, complete.status], ["CANCELLED", "COMPLETE"]);
  assertEquals(venue.desk.executions, { placed: 2, modified: 1, cancelled: 1 });
  const { net, day } = await broker.positions();
  assertEquals([net.length, day[0].tradingsymbol, day[0].quantity], [1, "INFY", 3]);
});

Deno.test("KiteBroker asks for the profile, margins and holdings", async () => {
  await using venue = still();
  await using broker = await loggedIn(venue);
  assertEquals((await broker.profile()).user_name, "Simulated User");
  assertEquals((await broker.margins()).equity.net, 1_000_000);
  assertEquals((await broker.holdings())[0].quantity, 10);
});

Deno.test("KiteBroker asks for quotes of several instruments at once", async () => {
  await using venue = still({ limited: false });
  await using broker = await loggedIn(venue);
  broker.throttlers.quotes.update({ limit: 3, period: 1_000 });
  const names = ["NSE:INFY", "NSE:NIFTY 50", "NSE:UNKNOWN"];
  const listing = venue.listings.get(408_065)!;
  const [quote, ohlc, ltp] = await Promise.all([
    broker.quote(...names),
    broker.ohlc(...names),
    broker.ltp(...names),
  ]);
  assertEquals(Object.keys(quote), names.slice(0, 2));
  assertEquals(quote["NSE:INFY"].depth, listing.depth());
  assertEquals(ohlc["NSE:INFY"].ohlc.close, listing.price(listing.close));
  assertEquals(ltp["NSE:INFY"], { instrument_token: 408_065, last_price: listing.lastPrice });
});

Deno.test("KiteBroker.candles() asks in India's time and answers in Dates", async () => {
  const row = ["2026-11-23T09:15:00+0530", 1500, 1510.5, 1499.05, 1505, 12_345];
  const { server, broker } = await scripted(
    json(200, { status: "success", data: { candles: [row, [...row, 77]] } }),
  );
  const from = new Date("2026-11-23T03:45:00Z");
  const candles = await broker.candles(408_065, "5minute", { from, to: Number(from) + 3_600_000 });
  assertEquals(
    server.requests[0].target,
    "/instruments/historical/408065/5minute?" +
      "from=2026-11-23+09%3A15%3A00&to=2026-11-23+10%3A15%3A00&continuous=0&oi=0",
  );
  const prices = { open: 1500, high: 1510.5, low: 1499.05, close: 1505, volume: 12_345 };
  assertEquals(candles, [{ date: from, ...prices }, { date: from, ...prices, oi: 77 }]);
  await broker.close();
  await server.close();
});

Deno.test("KiteBroker.candles() covers the range, the oldest first", async () => {
  await using venue = still();
  await using broker = await loggedIn(venue);
  const from = new Date("2026-11-23T03:45:00Z");
  const range = { from, to: new Date("2026-11-23T04:45:00Z"), oi: true };
  const candles = await broker.candles(408_065, "15minute", range);
  assertEquals(
    candles.map(({ date }) => date.toISOString().slice(11, 16)),
    ["03:45", "04:00", "04:15", "04:30", "04:45"],
  );
  assert(
    candles.every(({ high, low, open, close, oi }) =>
      high >= Math.max(open, close) && low <= Math.min(open, close) && oi === 1_000_000
    ),
  );
  const days = { from, to: new Date("2026-11-26T00:00:00Z") };
  assertEquals(
    (await broker.candles(408_065, "day", days)).map(({ date }) => date.toISOString()),
    ["2026-11-23T18:30:00.000Z", "2026-11-24T18:30:00.000Z", "2026-11-25T18:30:00.000Z"],
  );
});

Deno.test("KiteBroker.instruments() reads the venue's list", async () => {
  await using venue = still();
  await using broker = await loggedIn(venue);
  const all = await broker.instruments();
  assertEquals(all, [...venue.listings.values()].map((listing) => listing.line()));
  const bse = await broker.instruments("BSE");
  assertEquals(bse.map(({ name, tick_size }) => [name, tick_size]), [["INFY, SIMULATED", 0.05]]);
});

Deno.test("parseInstruments() reads quotes, commas and line feeds in fields, and any line ending", () => {
  const names = "instrument_token,tradingsymbol,name,expiry,strike," +
    "exchange_token,last_price,tick_size,lot_size,instrument_type,segment,exchange";
  const rest = "1,,0.05,1,EQ,NSE,NSE";
  const rows = [`1,A,"A ""B"", C\nD",2026-11-26,0.5`, `2,B,,,`, `3,"","",x"y,0`]
    .map((row) => `${row},${rest}`);
  const last = {
    ...{ exchange_token: 1, last_price: 0, tick_size: 0.05, lot_size: 1 },
    ...{ instrument_type: "EQ", segment: "NSE", exchange: "NSE" },
  };
  for (const feed of ["\n", "\r\n"]) {
    for (const end of [feed, ""]) {
      assertEquals(parseInstruments([names, ...rows].join(feed) + end) as unknown[], [
        {
          instrument_token: 1,
          tradingsymbol: "A",
          name: 'A "B", C\nD',
          expiry: "2026-11-26",
          strike: 0.5,
          ...last,
        },
        { instrument_token: 2, tradingsymbol: "B", name: "", expiry: "", strike: 0, ...last },
        { instrument_token: 3, tradingsymbol: "", name: "", expiry: 'x"y', strike: 0, ...last },
      ]);
    }
  }
});

/** A list of one instrument, as the venue writes it. */
const LIST = "instrument_token,exchange_token,tradingsymbol,name,last_price,expiry,strike," +
  "tick_size,lot_size,instrument_type,segment,exchange\n" +
  "408065,1594,INFY,INFOSYS,0,,,0.05,1,EQ,NSE,NSE\n";

const NO_LISTS: [string, string, string][] = [
  ["nothing", "", "wanted instrument_token"],
  [
    "a page of HTML",
    "<!DOCTYPE html>\n<html><body>Down, back soon</body></html>",
    "<!DOCTYPE html>",
  ],
  ["a page with quotes", '<html lang="en"><p class="a">Log in</p></html>', "Cannot read the list"],
  ["JSON", '{"status":"success","data":[]}', "Cannot read the list"],
  ["white space", "\n\n", "wanted instrument_token"],
  ["names without instruments", LIST.split("\n")[0], "it names no instrument"],
  ["another header", LIST.replace("tick_size", "tick"), "wanted tick_size"],
  ["no header", LIST.split("\n")[1], "wanted instrument_token"],
  ["a token that is no number", LIST.replace("408065", "INFY"), 'instrument_token is "INFY"'],
  ["a tick that is empty", LIST.replace("0.05", ""), 'tick_size is ""'],
  ["a line that is cut short", LIST.slice(0, -12), "it has 9 fields, wanted 12"],
  ["a quote that is not closed", LIST.replace("INFOSYS", '"INFOSYS'), "is not closed"],
];

for (const [what, text, words] of NO_LISTS) {
  Deno.test(`parseInstruments() refuses ${what}, and so does KiteBroker.instruments()`, async () => {
    assertThrows(() => parseInstruments(text), SyntaxError, words);
    for (const type of ["text/csv", "text/html", "application/json"]) {
      const { server, broker } = await scripted(
        reply(200, text, { "content-type": type }),
      );
      const { kind } = await failed(broker.instruments());
      assertEquals(kind, "decode");
      await broker.close();
      await server.close();
    }
  });
}

Deno.test("parseInstruments() reads the venue's own example, whose strike is empty", () => {
  const [{ instrument_token, strike, tick_size, lot_size }] = parseInstruments(LIST);
  assertEquals([instrument_token, strike, tick_size, lot_size], [408_065, 0, 0.05, 1]);
});

const ENVELOPES: [number, unknown, Partial<BrokerError>][] = [
  [400, { status: "error", error_type: "InputException" }, {
    kind: "rejected",
    outcome: "rejected",
    code: "InputException",
  }],
  [400, {
    status: "error",
    error_type: "MarginException",
    message: "Insufficient funds. Required margin is 2.0 but available margin is 1.0. Check the " +
      "orderbook for open orders.",
  }, { kind: "rejected", outcome: "rejected", code: "MarginException" }],
  [403, { status: "error", error_type: "PermissionException" }, {
    kind: "rejected",
    outcome: "rejected",
    code: "PermissionException",
  }],
  [403, { status: "error", error_type: "TokenException" }, {
    kind: "unauthorized",
    outcome: "rejected",
    code: "TokenException",
  }],
  [400, { error: "of another request" }, { kind: "decode", outcome: "unknown" }],
  [400, "<html>Bad request</html>", { kind: "decode", outcome: "unknown" }],
  [400, { status: "success", data: {} }, { kind: "decode", outcome: "unknown" }],
  [403, "<html>Forbidden</html>", { kind: "rejected", outcome: "rejected", code: undefined }],
  [429, { status: "error", error_type: "NetworkException" }, {
    kind: "rate-limited",
    outcome: "rejected",
  }],
  [500, { status: "error", error_type: "OrderException" }, {
    kind: "network",
    outcome: "unknown",
    code: "OrderException",
  }],
  [503, { status: "error", error_type: "NetworkException" }, {
    kind: "network",
    outcome: "unknown",
    code: "NetworkException",
  }],
  [200, { status: "error", error_type: "MarginException" }, {
    kind: "rejected",
    outcome: "rejected",
    code: "MarginException",
  }],
  [200, { status: "error", error_type: "NetworkException" }, {
    kind: "network",
    outcome: "unknown",
    code: "NetworkException",
  }],
  ...[
    "Order request timed out. Please check the order book and confirm before placing again.",
    "Request timed out.",
    "Gateway timeout",
    "Something went wrong. Look at the order book and confirm before placing again.",
  ].map((message): [number, unknown, Partial<BrokerError>] => [
    400,
    { status: "error", error_type: "OrderException", message },
    { kind: "network", outcome: "unknown", code: "OrderException" },
  ]),
  [200, { status: "error" }, { kind: "decode", outcome: "unknown" }],
  [200, { hello: "captive portal" }, { kind: "decode", outcome: "unknown" }],
  [200, "null", { kind: "decode", outcome: "unknown" }],
];

for (const [status, body, expected] of ENVELOPES) {
  Deno.test(`KiteBroker reads ${status} ${JSON.stringify(body)} as ${expected.kind}, ${expected.outcome}`, async () => {
    const { server, broker } = await scripted(json(status, body));
    const error = await failed(broker.placeOrder(ORDER));
    for (const [name, value] of Object.entries(expected)) {
      assertEquals(error[name as keyof BrokerError], value, name);
    }
    assertEquals([error.status, error.retriable, server.requests.length], [status, false, 1]);
    await broker.close();
    await server.close();
  });
}

Deno.test("KiteBroker's errors hold the venue's words, and no key that was sent", async () => {
  await using venue = still();
  await using broker = await loggedIn(venue);
  const poor = await failed(broker.placeOrder({ ...ORDER, quantity: 1_000 }));
  assertEquals(
    poor.message,
    "Kite says MarginException: Insufficient funds. Required margin is 1500600.00.",
  );
  assertEquals([poor.code, poor.method, poor.status], ["MarginException", "POST", 400]);

  const access = { apiKey: "0123456789abcdef", accessToken: "fedcba9876543210fedcba9876543210" };
  const message =
    `No login for token ${access.apiKey}:${access.accessToken} (${access.accessToken})`;
  const { server, broker: other } = await scripted(
    json(403, { status: "error", error_type: "TokenException", message }),
  );
  await other.authorize(access);
  const error = await failed(other.profile());
  const shown = [error.message, error.stack, JSON.stringify(error), Deno.inspect(error)].join("\n");
  assert(error.message.startsWith("Kite says TokenException: No login for"), error.message);
  for (const secret of Object.values(access)) assert(!shown.includes(secret), shown);
  assert(!Deno.inspect(other, { depth: 9 }).includes(access.accessToken));
  await other.close();
  await server.close();
});

Deno.test("KiteBroker stays within the venue's limits", async () => {
  await using venue = still();
  await using broker = await loggedIn(venue);
  const range = { from: Date.now() - 60_000, to: Date.now() };
  const repeat = <T>(times: number, ask: () => Promise<T>) => Array.from({ length: times }, ask);
  await Promise.all([
    ...repeat(3, () => broker.ltp("NSE:INFY")),
    ...repeat(7, () => broker.candles(408_065, "minute", range)),
    ...repeat(12, () => broker.placeOrder(ORDER)),
    ...repeat(12, () => broker.orders()),
  ]);
  assertEquals([venue.stats.throttled, venue.stats.requests], [0, 34]);
  assertEquals(venue.desk.executions.placed, 12);
});

Deno.test("KiteBroker places at most 10 orders in any second, and 400 in any minute", async () => {
  using time = fakeClock();
  const starts: number[] = [];
  const broker = new KiteBroker({
    fetch: () => {
      starts.push(time.now);
      return Promise.resolve(Response.json({ status: "success", data: { order_id: "1" } }));
    },
  });
  const calls = Array.from({ length: 411 }, () => broker.placeOrder(ORDER));
  for (let waited = 0; waited < 130 && starts.length < 411; waited++) await time.tickAsync(1_000);
  await Promise.all(calls);
  const most = (period: number) =>
    Math.max(...starts.map((at) => starts.filter((it) => it >= at && it < at + period).length));
  assertEquals([most(1_000), most(60_000)], [10, 400]);
  await broker.close();
});

Deno.test("KiteBroker keeps the limits that it is given instead of the venue's", async () => {
  using _time = fakeClock();
  const answered = (throttlers?: []) => {
    let count = 0;
    const broker = new KiteBroker({
      throttlers,
      fetch: () => {
        count++;
        return Promise.resolve(Response.json({ status: "success", data: { candles: [] } }));
      },
    });
    const range = { from: 0, to: 1 };
    const calls = Array.from({ length: 12 }, () => [
      ...[broker.placeOrder(ORDER), broker.holdings(), broker.ltp("NSE:INFY")],
      broker.candles(1, "day", range),
    ]).flat();
    const ended = Promise.allSettled(calls);
    return { broker, ended, count: () => count };
  };
  const free = answered([]);
  await free.ended;
  assertEquals(free.count(), 48);
  await free.broker.close();
  const limited = answered(undefined);
  for (let i = 0; i < 100; i++) await null;
  assert(limited.count() <= 10 + 10 + 1 + 3, `${limited.count()}`);
  await limited.broker.close();
  await limited.ended;
});

Deno.test("KiteBroker repeats a question that was asked too early, but not an order", async () => {
  await using venue = still();
  await using broker = await loggedIn(venue, { retry: { baseWait: 10 } });
  venue.inflict("throttle");
  await broker.orders();
  venue.inflict("throttle");
  const { kind, outcome } = await failed(broker.placeOrder(ORDER));
  assertEquals([kind, outcome, venue.desk.executions.placed], ["rate-limited", "rejected", 0]);
  assertEquals(venue.stats.throttled, 2);
});

/**
 * Stands before a venue and passes requests on. After a fault there the venue has done what was
 * asked, and the client does not know.
 */
async function gatewayTo(venue: KiteSimulator): Promise<LoopbackVenue> {
  const gateway = await LoopbackVenue.listen();
  return gateway.on("*", async ({ method, target, headers, body }) => {
    const names = ["authorization", "content-type"];
    const init = { method, headers: names.map((name) => [name, headers.get(name) ?? ""]) };
    const hasBody = method !== "GET" && method !== "DELETE";
    const response = await fetch(venue.httpUrl + target, { ...init, ...hasBody && { body } });
    return json(response.status, await response.text());
  });
}

/** The venue executes, and another answer comes back. */
function afterwards(status: number, body: unknown): Step {
  return ["status-after-executing", json(status, body)];
}

const FAULTS: [string, Step | undefined, Partial<BrokerError> | undefined][] = [
  ["an answer", undefined, undefined],
  ["FIN", "finish-after-executing", { kind: "network", outcome: "unknown" }],
  ["RST", "reset-after-executing", { kind: "network", outcome: "unknown" }],
  ["no answer", "hang-after-executing", { kind: "timeout", outcome: "unknown" }],
  ["half a head", "half-head", { kind: "network", outcome: "unknown" }],
  ["garbage", "garbage", { kind: "network", outcome: "unknown" }],
  ["half a body", ["cut-body", { body: '{"status":"success","data":{"order' }], {
    kind: "network",
    outcome: "unknown",
  }],
  ["408", afterwards(408, {}), { kind: "timeout", outcome: "unknown" }],
  ["429", afterwards(429, {}), { kind: "rate-limited", outcome: "rejected" }],
  ["500", afterwards(500, {}), { kind: "network", outcome: "unknown" }],
  ["503", afterwards(503, {}), { kind: "network", outcome: "unknown" }],
  ["200 with bad JSON", afterwards(200, '{"status":"succ'), { kind: "decode", outcome: "unknown" }],
  ["200 empty", afterwards(200, ""), { kind: "decode", outcome: "unknown" }],
];

const CALLS: [
  keyof KiteSimulator["desk"]["executions"],
  (broker: KiteBroker, id: string) => Promise<unknown>,
][] = [
  ["placed", (broker) => broker.placeOrder({ ...ORDER, tag: "once" })],
  ["modified", (broker, id) => broker.modifyOrder(id, { quantity: 2 })],
  ["cancelled", (broker, id) => broker.cancelOrder(id)],
];

for (const [what, call] of CALLS) {
  for (const [name, fault, expected] of FAULTS) {
    Deno.test(`KiteBroker has an order ${what} exactly once, where that is followed by ${name}`, async () => {
      await using venue = still({ limited: false });
      await using gateway = await gatewayTo(venue);
      const options = {
        baseUrl: gateway.httpUrl,
        timeout: 400,
        retry: { baseWait: 5 },
        reconcile: false,
      } as const;
      await using broker = await loggedIn(venue, options);
      const { order_id } = await broker.placeOrder({ ...ORDER, order_type: "LIMIT", price: 1_400 });
      const before = venue.desk.executions[what];
      if (fault) gateway.will("*", fault);
      if (expected) {
        const { kind, outcome } = await failed(call(broker, order_id));
        assertEquals({ kind, outcome }, expected);
      } else {
        await call(broker, order_id);
      }
      assertEquals(gateway.requests[1].turn, 2); // the connection was warm
      assertEquals(venue.desk.executions[what], before + 1);
      // And it can be found out.
      gateway.will("*");
      const orders = await broker.orders();
      if (what === "placed") assertEquals(orders.filter(({ tag }) => tag === "once").length, 1);
      else assertEquals(orders[0], venue.desk.orders[0]);
      await new Promise((resolve) => setTimeout(resolve, 30));
      assertEquals(venue.desk.executions[what], before + 1);
    });
  }
}

Deno.test("KiteBroker repeats an order that never left, and has it placed once", async () => {
  await using venue = still();
  const closed = await LoopbackVenue.listen();
  await closed.close();
  const nobody = closed.httpUrl.slice(0, -1);
  const outcomes: string[] = [];
  await using broker = await loggedIn(venue, {
    retry: {
      baseWait: 5,
      onRetry: ({ error }) => outcomes.push((error as BrokerError).outcome),
    },
    fetch: (url, init) =>
      fetch(outcomes.length < 2 ? String(url).replace(venue.httpUrl, nobody) : url, init),
  });
  await broker.placeOrder(ORDER);
  assertEquals([outcomes, venue.desk.executions.placed], [["not-sent", "not-sent"], 1]);
});
