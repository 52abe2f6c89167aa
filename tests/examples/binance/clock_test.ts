import { assert, assertEquals, assertRejects } from "@std/assert";
import { BrokerError } from "@aio-trader/core";
import { reply, SimulatedVenue, VirtualTime } from "../../../testing.ts";
import { BinanceBroker } from "../../../examples/binance/broker.ts";
import { LOGIN } from "../../../examples/binance/simulator.ts";

const ORDER = { symbol: "BTCUSDT", side: "BUY", type: "MARKET", quantity: "0.01" } as const;
const HOUR = 3_600_000;

/** A venue in virtual time that looks at timestamps, with a clock that runs fast or slow. */
class Venue extends SimulatedVenue {
  /** How far the venue's clock is ahead of ours, in milliseconds. */
  ahead = 0;
  /** Orders by their names: how often each was executed. */
  readonly placed = new Map<string, number>();

  constructor() {
    super();
    this.on("GET /api/v3/time", () => ({ serverTime: this.now }));
    this.on("POST /api/v3/order", (request) => {
      const form = request.form();
      this.#check(form);
      const name = form.get("newClientOrderId")!;
      this.placed.set(name, (this.placed.get(name) ?? 0) + 1);
      return { symbol: "BTCUSDT", orderId: 1, clientOrderId: name, status: "FILLED" };
    });
    this.on("GET /api/v3/account", (request) => {
      this.#check(request.query);
      return { canTrade: true, balances: [] };
    });
  }

  get now(): number {
    return Math.floor(Date.now() + this.ahead);
  }

  /** Calls of a path so far. */
  count(path: string): number {
    return this.requests.filter((request) => request.path === path).length;
  }

  #check(fields: URLSearchParams): void {
    const late = this.now - Number(fields.get("timestamp"));
    if (late >= -1_000 && late <= Number(fields.get("recvWindow"))) return;
    throw reply(400, {
      code: -1021,
      msg: "Timestamp for this request is outside of the recvWindow.",
    });
  }
}

async function brokerOf(venue: Venue): Promise<BinanceBroker> {
  const { httpUrl, fetch } = venue;
  const broker = new BinanceBroker({ baseUrl: httpUrl, dataUrl: httpUrl, fetch, retry: false });
  await broker.authorize(LOGIN);
  return broker;
}

/** The real one: signatures are made outside of virtual time. */
const { setTimeout: setRealTimeout } = globalThis;

/** Lets virtual time pass until a call has ended, slowly enough for its signature to be made. */
async function ended<T>(time: VirtualTime, call: Promise<T>): Promise<T> {
  let isOver = false;
  call.then(() => isOver = true, () => isOver = true);
  for (let i = 0; i < 3_000 && !isOver; i++) {
    await new Promise((resolve) => setRealTimeout(resolve, 1));
    await time.pass(5);
  }
  return call;
}

for (const [name, jump] of [["set back", -HOUR], ["set forward", HOUR], ["a day off", 24 * HOUR]]) {
  Deno.test(`BinanceBroker places an order once under one name after the venue's clock was ${name}`, async () => {
    using time = new VirtualTime();
    const venue = new Venue();
    const broker = await brokerOf(venue);
    await ended(time, broker.account());
    venue.ahead += Number(jump);
    const { clientOrderId } = await ended(time, broker.placeOrder(ORDER));
    assertEquals([...venue.placed], [[clientOrderId, 1]]);
    const names = venue.requests.filter(({ method }) => method === "POST")
      .map((request) => request.form().get("newClientOrderId"));
    assertEquals(names, [clientOrderId, clientOrderId]);
    assertEquals(venue.count("/api/v3/time"), 2);
    await ended(time, broker.close());
  });
}

Deno.test("BinanceBroker reads the clock again in time, for days, and is never told -1021", async () => {
  using time = new VirtualTime();
  const venue = new Venue();
  const broker = await brokerOf(venue);
  for (let hour = 0; hour < 48; hour++) {
    await ended(time, broker.placeOrder(ORDER));
    await time.pass(HOUR);
    venue.ahead += 200; // our clock is slow by 56 parts per million
  }
  assertEquals([venue.placed.size, venue.count("/api/v3/order")], [48, 48]);
  const readings = venue.count("/api/v3/time");
  assert(readings > 2 && readings < 30, `${readings} readings`);
  await ended(time, broker.close());
});

Deno.test("BinanceBroker goes on with earlier readings while the clock cannot be read", async () => {
  using time = new VirtualTime();
  const venue = new Venue();
  const broker = await brokerOf(venue);
  await ended(time, broker.account());
  await time.pass(6 * HOUR);
  venue.fail("GET /api/v3/time", "status", { status: 503 });
  await ended(time, broker.placeOrder(ORDER));
  assertEquals(venue.placed.size, 1);
  venue.ahead = HOUR; // refused, and the clock cannot be read: the refusal is told
  venue.fail("GET /api/v3/time", "status", { times: Infinity });
  const refused = assertRejects(() => broker.placeOrder(ORDER), BrokerError, "-1021");
  assertEquals((await ended(time, refused)).outcome, "rejected");
  assertEquals(venue.placed.size, 1);
  await ended(time, broker.close());
});
