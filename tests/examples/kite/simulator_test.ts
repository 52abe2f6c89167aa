import { assert, assertEquals } from "@std/assert";
import { encodeFrame, INSTRUMENTS, Listing } from "../../../examples/kite/listing.ts";
import { KiteSimulator, type KiteSimulatorOptions } from "../../../examples/kite/simulator.ts";
import { type KiteMode, parseTicks } from "../../../examples/kite/ticks.ts";

/** A venue that stands still but for `step()`. */
function still(options: KiteSimulatorOptions = {}): KiteSimulator {
  return new KiteSimulator({ seed: 7, interval: 0, ...options });
}

/** Asks by hand, as an independent client would. */
async function ask(
  venue: KiteSimulator,
  method: string,
  path: string,
  form?: Record<string, string>,
): Promise<{ status: number; headers: Headers; data: Record<string, unknown> }> {
  const { apiKey, accessToken } = venue.access;
  const response = await fetch(venue.httpUrl + path, {
    method,
    headers: { authorization: `token ${apiKey}:${accessToken}` },
    body: form && new URLSearchParams(form),
  });
  return { status: response.status, headers: response.headers, data: await response.json() };
}

/** What one client hears, frame by frame, while the market makes so many steps. */
async function record(seed: number, steps: number): Promise<(string | ArrayBuffer)[]> {
  await using venue = still({ seed });
  const { apiKey, accessToken } = venue.access;
  const socket = new WebSocket(`${venue.wsUrl}/?api_key=${apiKey}&access_token=${accessToken}`);
  socket.binaryType = "arraybuffer";
  const frames: (string | ArrayBuffer)[] = [];
  const { promise, resolve } = Promise.withResolvers<void>();
  socket.onopen = () => {
    socket.send(JSON.stringify({ a: "subscribe", v: INSTRUMENTS.map(({ token }) => token) }));
    socket.send("What?"); // its answer tells that the subscription was read
  };
  socket.onmessage = ({ data }) => {
    frames.push(data);
    if (typeof data !== "string") return;
    if (frames.filter((frame) => typeof frame === "string").length > 1) return resolve();
    for (let i = 0; i < steps; i++) venue.step();
    socket.send("What?");
  };
  await promise;
  const closed = new Promise((resolve) => socket.onclose = resolve);
  socket.close();
  await closed;
  return frames;
}

Deno.test("KiteSimulator gives the same market for the same seed, and another for another", async () => {
  const prices = async (seed: number) =>
    (await record(seed, 100)).flatMap((frame) =>
      typeof frame === "string" ? [] : parseTicks(frame).map(({ last_price }) => last_price)
    );
  const first = await prices(3);
  assert(first.length > 300, `${first.length}`);
  assertEquals(await prices(3), first);
  assert(JSON.stringify(await prices(4)) !== JSON.stringify(first));
});

Deno.test("KiteSimulator sends a heartbeat of one byte, frames of many packets, and unknown ones", async () => {
  const frames = await record(1, 100);
  const binary = frames.filter((frame) => frame instanceof ArrayBuffer);
  assertEquals(binary[0].byteLength, 1);
  const lengths = new Set(
    binary.slice(1).flatMap((frame) => {
      const view = new DataView(frame);
      const lengths = [];
      for (let at = 2; at < frame.byteLength; at += 2 + view.getUint16(at)) {
        lengths.push(view.getUint16(at));
      }
      assertEquals(lengths.length, view.getUint16(0));
      return lengths;
    }),
  );
  assertEquals([...lengths].sort((a, b) => a - b), [12, 28, 44]); // mode quote
});

Deno.test("Listing.packet() has the length of its kind, in every segment", () => {
  const segments = INSTRUMENTS.map((instrument) => {
    const listing = new Listing(instrument, 1);
    for (let i = 0; i < 100; i++) listing.step();
    const lengths = (["ltp", "quote", "full"] as KiteMode[]).map((mode) => {
      const packet = listing.packet(mode);
      assertEquals(parseTicks(encodeFrame([packet]))[0].mode, mode);
      return packet.length;
    });
    const segment = instrument.token & 0xff;
    assertEquals(lengths, segment === 9 ? [8, 28, 32] : [8, 44, 184]);
    return segment;
  });
  assertEquals([...new Set(segments)].sort(), [1, 2, 3, 4, 5, 6, 7, 9]);
});

const LIMITS: [string, string, string, number][] = [
  ["GET", "/quote/ltp?i=NSE:INFY", "quotes", 1],
  ["GET", "/instruments/historical/408065/day?from=2026-11-23&to=2026-11-24", "history", 3],
  ["DELETE", "/orders/regular/1", "orders", 10],
  ["GET", "/orders", "the rest", 10],
];

for (const [method, path, what, limit] of LIMITS) {
  Deno.test(`KiteSimulator allows ${limit} of ${what} in a second, and does not say when to come again`, async () => {
    await using venue = still();
    const answers = await Promise.all(
      Array.from({ length: limit + 2 }, () => ask(venue, method, path)),
    );
    const refused = answers.filter(({ status }) => status === 429);
    assertEquals([refused.length, venue.stats.throttled], [2, 2]);
    assertEquals(refused[0].headers.get("retry-after"), null);
    // Another kind is not affected.
    assertEquals(
      (await ask(venue, "GET", "/quote?i=NSE:INFY")).status,
      what === "quotes" ? 429 : 200,
    );
  });
}

const FORM = {
  exchange: "NSE",
  tradingsymbol: "INFY",
  transaction_type: "BUY",
  order_type: "MARKET",
  product: "CNC",
  quantity: "1",
  market_protection: "-1",
};

const REFUSALS: [string, Record<string, string>, string][] = [
  ["an instrument that is not listed", { tradingsymbol: "NONE" }, "InputException"],
  ["an index", { tradingsymbol: "NIFTY 50" }, "InputException"],
  ["no quantity", { quantity: "0" }, "InputException"],
  ["a side that does not exist", { transaction_type: "HOLD" }, "InputException"],
  ["a LIMIT without its price", { order_type: "LIMIT" }, "InputException"],
  ["more than there is money for", { quantity: "100000" }, "MarginException"],
];

for (const [what, fields, type] of REFUSALS) {
  Deno.test(`KiteSimulator refuses an order with ${what}: ${type}`, async () => {
    await using venue = still();
    const { status, data } = await ask(venue, "POST", "/orders/regular", { ...FORM, ...fields });
    assertEquals([status, data.status, data.error_type], [400, "error", type]);
    assertEquals(venue.desk.executions.placed, 0);
  });
}

Deno.test("KiteSimulator trades a LIMIT when its price has come, and then nothing more of it", async () => {
  await using venue = still();
  const listing = venue.listings.get(408_065)!;
  const price = String(listing.price(listing.market.asks[0].price - 1));
  await ask(venue, "POST", "/orders/regular", { ...FORM, order_type: "LIMIT", price });
  assertEquals(venue.desk.orders[0].status, "OPEN");
  for (let i = 0; i < 5_000 && venue.desk.orders[0].status === "OPEN"; i++) venue.step();
  const { status, average_price, order_id } = venue.desk.orders[0];
  assertEquals(status, "COMPLETE");
  assert(average_price <= Number(price));
  const { data } = await ask(venue, "DELETE", `/orders/regular/${order_id}`);
  assertEquals(data.error_type, "OrderException");
});

Deno.test("KiteSimulator lets nobody in without a login", async () => {
  await using venue = still();
  const response = await fetch(`${venue.httpUrl}/orders`);
  assertEquals([response.status, (await response.json()).error_type], [403, "TokenException"]);
  const socket = new WebSocket(`${venue.wsUrl}/?api_key=${venue.access.apiKey}&access_token=no`);
  await new Promise((resolve) => socket.onerror = resolve);
  assertEquals(venue.stats.accepted, 0);
});
