import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { BrokerError } from "@aio-trader/core";
import type { KrakenOrderRequest } from "../../../examples/kraken/account.ts";
import { KrakenBroker, type KrakenBrokerOptions } from "../../../examples/kraken/broker.ts";
import { venueError } from "../../../examples/kraken/errors.ts";
import {
  KrakenSimulator,
  type KrakenSimulatorOptions,
  LOGIN,
} from "../../../examples/kraken/simulator.ts";
import { KrakenSigner, signature } from "../../../examples/kraken/signature.ts";

const LIMIT: KrakenOrderRequest = {
  pair: "XBTUSD",
  type: "buy",
  ordertype: "limit",
  volume: "0.01",
  price: "20000.0",
};

function still(options: KrakenSimulatorOptions = {}): KrakenSimulator {
  return new KrakenSimulator({ seed: 7, interval: 0, restInterval: 0, limited: false, ...options });
}

async function trader(
  venue: KrakenSimulator,
  options: KrakenBrokerOptions = {},
): Promise<KrakenBroker> {
  const broker = new KrakenBroker({
    ...{ baseUrl: venue.httpUrl, throttlers: [], retry: { baseWait: 0 } },
    ...options,
  });
  await broker.authorize(venue.login);
  return broker;
}

Deno.test("KrakenSigner gives the signature of the venue's guide", async () => {
  const { secret } = LOGIN;

  const raw = Uint8Array.from(atob(secret), (character) => character.charCodeAt(0));
  const hmac = { name: "HMAC", hash: "SHA-512" };
  const key = await crypto.subtle.importKey("raw", raw, hmac, false, ["sign"]);
  const form = "nonce=1616492376594&ordertype=limit&pair=XBTUSD&price=37500&type=buy&volume=1.25";
  const signed = { path: "/0/private/AddOrder", nonce: "1616492376594", form };
  assertEquals(
    await signature(key, signed),
    "4/dpxb3iT4tp/ZCVEwSnEsLxx0bqyhLpdfOpc6fn7OR8+UClSV5n9E6aSS8MPtnRfp32bAb0nmbRn6H8ndwLUQ==",
  );
});

Deno.test("KrakenSigner refuses a secret that is not base64, and does not quote it", () => {
  const error = assertThrows(() => new KrakenSigner({ key: "k", secret: "hunter2!" }), TypeError);
  assert(!error.message.includes("hunter2"));
});

Deno.test("KrakenBroker.placeOrder() places, cancelOrder() cancels, openOrders() tells", async () => {
  await using venue = still();
  await using broker = await trader(venue);
  const { txid: [txid], cl_ord_id } = await broker.placeOrder(LIMIT);
  const open = await broker.openOrders();
  assertEquals(Object.keys(open), [txid]);
  assertEquals([open[txid].cl_ord_id, open[txid].vol], [cl_ord_id, "0.01"]);
  assertEquals(await broker.cancelOrder(txid), { count: 1 });
  assertEquals((await broker.closedOrders()).closed[txid].status, "canceled");
  const gone = await assertRejects(() => broker.cancelOrder(txid), BrokerError);
  assertEquals([gone.code, gone.outcome], ["EOrder:Unknown order", "rejected"]);
});

Deno.test("KrakenBroker.placeOrder() at the market moves the balance, once", async () => {
  await using venue = still();
  await using broker = await trader(venue);
  await broker.placeOrder({ pair: "XBTUSD", type: "buy", ordertype: "market", volume: "0.5" });
  assertEquals((await broker.balance()).BTC, "10.5000000000");
  const { trades, count } = await broker.tradesHistory();
  assertEquals([count, Object.values(trades)[0].vol], [1, "0.50000000"]);
});

Deno.test("KrakenBroker sends 40 private calls at once with nonces in order", async () => {
  await using venue = still();
  await using broker = await trader(venue);
  const calls = Array.from(
    { length: 40 },
    (_, i) => i % 2 === 0 ? broker.balance() : broker.placeOrder(LIMIT),
  );
  const failed = (await Promise.allSettled(calls)).filter(({ status }) => status === "rejected");
  assertEquals([failed, venue.desk.open.length], [[], 20]);
});

for (
  const [how, fetchOf] of [
    ["answered with 503", undefined],
    [
      "cut after its execution",
      (async (...request) => {
        await (await fetch(...request)).body?.cancel();
        throw new TypeError("connection reset");
      }) as typeof fetch,
    ],
    [
      "answered with a gateway's page",
      (async (...request) => {
        await (await fetch(...request)).body?.cancel();
        return new Response("<html>", { status: 502, headers: { "content-type": "text/html" } });
      }) as typeof fetch,
    ],
    [
      "answered EService:Unavailable",
      (async (...request) => {
        await (await fetch(...request)).body?.cancel();
        return Response.json({ error: ["EService:Unavailable"] });
      }) as typeof fetch,
    ],
  ] as const
) {
  Deno.test(`KrakenBroker.placeOrder() finds an order that is ${how}: executed once`, async () => {
    await using venue = still();
    const faulty: typeof fetch = (input, init) =>
      (String(input).endsWith("/AddOrder") && fetchOf ? fetchOf : fetch)(input, init);
    await using broker = await trader(venue, { fetch: faulty });
    if (!fetchOf) venue.loseAnswer();
    const { txid, cl_ord_id } = await broker.placeOrder(LIMIT);
    assertEquals(venue.desk.open.map((it) => [it.txid, it.cl_ord_id]), [[txid[0], cl_ord_id]]);
  });
}

Deno.test("KrakenBroker.placeOrder() finds a lost market order among the closed ones", async () => {
  await using venue = still();
  await using broker = await trader(venue);
  venue.loseAnswer();
  const order = { pair: "XBTUSD", type: "sell", ordertype: "market", volume: "0.1" } as const;
  const { txid } = await broker.placeOrder(order);
  assertEquals(venue.desk.fills.map((fill) => fill.order.txid), [...txid]);
});

Deno.test("KrakenBroker.findOrder() takes no older order of the same name", async () => {
  await using venue = still();
  await using broker = await trader(venue);
  const { txid: [txid] } = await broker.placeOrder({ ...LIMIT, cl_ord_id: "again" });
  await broker.cancelOrder(txid);
  const [order] = venue.desk.orders.values();
  assertEquals((await broker.findOrder("again", 5_000))?.txid, txid);
  venue.desk.orders.set(txid, { ...order, opentm: order.opentm - 60 });
  assertEquals(await broker.findOrder("again", 5_000), undefined);
});

Deno.test("KrakenBroker.cancelAllOrdersAfter() is a dead man's switch", async () => {
  await using venue = still();
  await using broker = await trader(venue);
  await broker.placeOrder(LIMIT);
  await broker.cancelAllOrdersAfter(60_000);
  await broker.cancelAllOrdersAfter(1);
  for (let i = 0; i < 1_000 && venue.desk.open.length > 0; i++) {
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  assertEquals(venue.desk.open, []);
  for (const timeout of [-1, NaN, 86_400_001]) {
    assertThrows(() => broker.cancelAllOrdersAfter(timeout), RangeError, `timeout is ${timeout}`);
  }
});

for (
  const [what, change, code] of [
    ["a price of too many decimals", { price: "20000.01" }, "EOrder:Invalid price"],
    ["too little", { volume: "0.00001" }, "EOrder:Order minimum not met"],
    ["more than there is", { volume: "1000" }, "EOrder:Insufficient funds"],
    ["post-only that would trade", { price: "90000", oflags: "post" }, "EOrder:Post only order"],
    ["a name of 19 characters", { cl_ord_id: "x".repeat(19) }, "EGeneral:Invalid arguments"],
    ["an unknown pair", { pair: "FOOBAR" }, "EQuery:Unknown asset pair"],
  ] as const
) {
  Deno.test(`KrakenSimulator refuses ${what}, and the broker says rejected`, async () => {
    await using venue = still();
    await using broker = await trader(venue);
    const order = { ...LIMIT, ...change };
    const error = await assertRejects(() => broker.placeOrder(order), BrokerError, code);
    assertEquals([error.kind, error.outcome], ["rejected", "rejected"]);
    assertEquals(venue.desk.orders.size, 0);
  });
}

Deno.test("KrakenSimulator refuses a name that an open order has", async () => {
  await using venue = still();
  await using broker = await trader(venue);
  await broker.placeOrder({ ...LIMIT, cl_ord_id: "mine" });
  await assertRejects(() => broker.placeOrder({ ...LIMIT, cl_ord_id: "mine" }), BrokerError, "Dup");
});

Deno.test("KrakenSimulator refuses a wrong key, a wrong secret and what a key may not do", async () => {
  await using venue = still({ permissions: ["query-funds"] });
  await using broker = await trader(venue, { retry: false });
  await broker.balance();
  const denied = await assertRejects(() => broker.placeOrder(LIMIT), BrokerError);
  assertEquals([denied.kind, denied.code], ["rejected", "EGeneral:Permission denied"]);
  await broker.authorize({ ...venue.login, key: "other" });
  const key = await assertRejects(() => broker.balance(), BrokerError, "EAPI:Invalid key");
  assertEquals([key.kind, key.outcome], ["unauthorized", "rejected"]);
  await broker.authorize({ ...venue.login, secret: btoa("other") });
  await assertRejects(() => broker.balance(), BrokerError, "EAPI:Invalid signature");
});

Deno.test("KrakenBroker keeps below the venue's counter, and an order passes the line", async () => {
  await using venue = still({ limited: true });
  await using broker = await trader(venue, { throttlers: undefined });
  const reads = Array.from({ length: 20 }, () => broker.balance().then(() => "read", () => "end"));
  await Promise.all(reads.slice(0, 14));
  await broker.placeOrder(LIMIT); // 6 reads still wait
  assertEquals([venue.desk.open.length, broker.counter.size], [1, 6]);
  await broker.close();
  await Promise.all(reads);
});

Deno.test("venueError() tells how long a throttled service asks to wait", () => {
  const { kind, retryAfter = 0 } = venueError(
    `EService:Throttled: ${Math.ceil(Date.now() / 1_000) + 60}`,
  );
  assert(kind === "rate-limited" && retryAfter > 50_000 && retryAfter <= 61_000);
});
