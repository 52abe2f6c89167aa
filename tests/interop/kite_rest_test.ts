// deno-lint-ignore-file no-import-prefix -- other clients are no dependencies of the library
/**
 * Holds the broker and the simulator to the venue's own client, npm `kiteconnect`.
 *
 * @module
 */

import { assertEquals, assertRejects } from "@std/assert";
import { KiteConnect } from "npm:kiteconnect@5.3.0";
import { BrokerError } from "@aio-trader/core";
import { KiteBroker } from "../../examples/kite/broker.ts";
import { KiteSimulator } from "../../examples/kite/simulator.ts";

// deno-lint-ignore no-explicit-any
type Anything = any;

/** What is used of it: its own types say less. */
function kiteConnect(options: Record<string, unknown>): Anything {
  return new (KiteConnect as Anything)(options);
}

/** A venue that stands still, both clients, and what it takes to log in. */
async function both(
  run: (it: {
    venue: KiteSimulator;
    theirs: Anything;
    ours: KiteBroker;
  }) => Promise<void>,
): Promise<void> {
  await using venue = new KiteSimulator({ seed: 5, interval: 0, limited: false });
  await using ours = new KiteBroker({ baseUrl: venue.httpUrl });
  await ours.authorize(venue.grant());
  ours.throttlers.quotes.update({ limit: 10, period: 1_000 });
  const theirs = kiteConnect({ api_key: venue.access.apiKey, root: venue.httpUrl });
  const { requestToken, apiSecret } = venue.grant();
  const session = await theirs.generateSession(requestToken, apiSecret);
  assertEquals(session.access_token, ours.access.accessToken);
  await run({ venue, theirs, ours });
}

/** Its agent keeps connections open. */
function test(name: string, fn: () => Promise<void>): void {
  Deno.test({ name, fn, sanitizeOps: false, sanitizeResources: false });
}

test("kiteconnect logs in at the simulator, with the same checksum as KiteBroker", () =>
  both(() => Promise.resolve()));

test("kiteconnect reads from the simulator what KiteBroker reads", () =>
  both(async ({ theirs, ours }) => {
    const names = ["NSE:INFY", "CDS:USDINR26NOVFUT", "NSE:NIFTY 50"];
    assertEquals(await ours.profile(), await theirs.getProfile());
    assertEquals(await ours.margins(), await theirs.getMargins());
    assertEquals(await ours.holdings(), await theirs.getHoldings());
    assertEquals(await ours.positions(), await theirs.getPositions());
    assertEquals(await ours.ohlc(...names), await theirs.getOHLC(names));
    assertEquals(await ours.ltp(...names), await theirs.getLTP(names));
    const quotes = await theirs.getQuote(names);
    const [depths, theirDepths] = [await ours.quote(...names), quotes].map((quotes) =>
      Object.values<Anything>(quotes).map(({ depth, ohlc, volume }) => ({ depth, ohlc, volume }))
    );
    assertEquals(depths, theirDepths);
  }));

test("kiteconnect reads the simulator's candles as KiteBroker does", () =>
  both(async ({ theirs, ours }) => {
    const from = new Date("2026-11-23T03:45:00Z");
    const to = new Date("2026-11-23T09:45:00Z");
    const candles = await ours.candles(408_065, "5minute", { from, to });
    const text = ["2026-11-23 09:15:00", "2026-11-23 15:15:00"];
    assertEquals(candles, await theirs.getHistoricalData(408_065, "5minute", ...text));
    assertEquals(candles.length, 73);
  }));

test("kiteconnect reads the simulator's instruments as KiteBroker does", () =>
  both(async ({ theirs, ours }) => {
    const list: Anything[] = await theirs.getInstruments("NSE");
    const [mine] = [await ours.instruments("NSE")];
    // Its parser leaves tokens as text, makes a Date of an expiry, and a row of a last line feed.
    const comparable = list.filter((it) => it.tradingsymbol).map((it) => ({
      ...it,
      instrument_token: Number(it.instrument_token),
      exchange_token: Number(it.exchange_token),
    }));
    assertEquals(mine as Anything[], comparable);
  }));

test("kiteconnect and KiteBroker see each other's orders", () =>
  both(async ({ venue, theirs, ours }) => {
    const order = {
      exchange: "NSE",
      tradingsymbol: "INFY",
      transaction_type: "BUY",
      order_type: "LIMIT",
      product: "CNC",
      quantity: 1,
      price: 1_400,
    } as const;
    const mine = await ours.placeOrder(order);
    const other = await theirs.placeOrder("regular", { ...order });
    await theirs.modifyOrder("regular", mine.order_id, { quantity: 2 });
    await ours.modifyOrder(other.order_id, { quantity: 3 });
    const seen = (await theirs.getOrders()).map((it: Anything) => [it.order_id, it.quantity]);
    assertEquals((await ours.orders()).map((it) => [it.order_id, it.quantity]), seen);
    assertEquals(seen, [[mine.order_id, 2], [other.order_id, 3]]);
    await theirs.cancelOrder("regular", mine.order_id);
    await ours.cancelOrder(other.order_id);
    assertEquals(venue.desk.executions, { placed: 2, modified: 2, cancelled: 2 });
    assertEquals((await ours.orders()).map(({ status }) => status), ["CANCELLED", "CANCELLED"]);
  }));

test("kiteconnect is refused by the simulator for the reasons that KiteBroker is told", () =>
  both(async ({ venue, theirs, ours }) => {
    const order = {
      exchange: "NSE",
      tradingsymbol: "INFY",
      transaction_type: "BUY",
      order_type: "MARKET",
      product: "CNC",
      market_protection: -1,
    } as const;
    const refused = async (quantity: number) => {
      const mine = await assertRejects(() => ours.placeOrder({ ...order, quantity }), BrokerError);
      const other = await theirs.placeOrder("regular", { ...order, quantity }).catch((
        it: unknown,
      ) => it);
      assertEquals(other.error_type, mine.code);
      return mine.code;
    };
    assertEquals(await refused(0), "InputException");
    assertEquals(await refused(100_000), "MarginException");
    venue.expire();
    assertEquals(await refused(1), "TokenException");
  }));
