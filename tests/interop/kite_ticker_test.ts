// deno-lint-ignore-file no-import-prefix -- other clients are no dependencies of the library
/**
 * Holds the parser, the feed and the simulator to the venue's own client, npm `kiteconnect`.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { KiteTicker } from "npm:kiteconnect@5.3.0";
import { KiteFeed } from "../../examples/kite/feed.ts";
import { encodeFrame } from "../../examples/kite/listing.ts";
import { KiteSimulator } from "../../examples/kite/simulator.ts";
import { type KiteMode, parseTicks, type Tick } from "../../examples/kite/ticks.ts";

const ORDER = new URLSearchParams({
  exchange: "NSE",
  tradingsymbol: "INFY",
  transaction_type: "BUY",
  order_type: "MARKET",
  product: "CNC",
  quantity: "1",
  market_protection: "-1",
});

/** What its types do not tell: `root`, and the parser. */
interface Ticker {
  connect(): void;
  disconnect(): void;
  subscribe(tokens: number[]): void;
  setMode(mode: KiteMode, tokens: number[]): void;
  on(event: string, listener: (argument: never) => void): void;
  parseBinary(frame: ArrayBuffer): Tick[];
}

function ticker(options: Record<string, unknown>): Ticker {
  return new (KiteTicker as unknown as new (options: unknown) => Ticker)(options);
}

async function until(condition: () => boolean): Promise<void> {
  for (let waited = 0; !condition(); waited += 5) {
    if (waited > 20_000) throw new Error(`Never happened: ${condition}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

Deno.test("parseTicks() gives what kiteconnect gives, for any bytes in packets of any length", () => {
  const theirs = ticker({});
  const length = fc.constantFrom(8, 28, 32, 44, 184, 4, 9, 43, 45, 200);
  const packet = length.chain((size) => fc.uint8Array({ minLength: size, maxLength: size }));
  const segment = fc.constantFrom(1, 2, 3, 4, 5, 6, 7, 8, 9);
  const packets = fc.array(fc.tuple(packet, segment), { maxLength: 8 });
  fc.assert(
    fc.property(packets, (packets) => {
      for (const [packet, segment] of packets) {
        packet[3] = segment;
        // Without a previous close, its change of an index is no percentage but the bare field.
        if (packet.length === 28 || packet.length === 32) packet[23] |= 1;
      }
      const frame = encodeFrame(packets.map(([packet]) => packet));
      assertEquals(parseTicks(frame), theirs.parseBinary(frame));
    }),
    { numRuns: 2_000 },
  );
});

Deno.test({
  name: "kiteconnect's ticker gets from the simulator what KiteFeed gets, tick by tick",
  // Its interval goes on after disconnect(), and `ws` leaves things behind.
  sanitizeOps: false,
  sanitizeResources: false,
  async fn() {
    await using venue = new KiteSimulator({ seed: 5, interval: 0 });
    const { apiKey, accessToken } = venue.access;
    const modes = ["ltp", "quote", "full"] as const;
    const subscriptions = [...venue.listings.keys()].flatMap((token, i) =>
      i < 9 ? [{ token, mode: modes[i % 3] }] : []
    );
    const tokens = subscriptions.map(({ token }) => token);

    const theirs: Tick[] = [];
    const orders: unknown[] = [];
    const client = ticker({
      root: `${venue.wsUrl}/`,
      api_key: apiKey,
      access_token: accessToken,
      reconnect: false,
    });
    client.on("connect", () => {
      client.subscribe(tokens);
      for (const mode of modes) {
        client.setMode(mode, subscriptions.filter((it) => it.mode === mode).map((it) => it.token));
      }
    });
    client.on("ticks", (ticks: Tick[]) => theirs.push(...ticks));
    client.on("order_update", (order: unknown) => orders.push(order));
    client.connect();

    await using feed = new KiteFeed(venue.access, { url: venue.wsUrl });
    const ours: Tick[] = [];
    feed.on("item", (tick) => ours.push(tick));
    const ourOrders: unknown[] = [];
    feed.orders.on("item", (order) => ourOrders.push(order));
    feed.subscribe(...subscriptions);
    await feed.connect();

    const isReady = () =>
      venue.venue.feed.clients.length === 2 &&
      venue.followers.every(({ held }) =>
        subscriptions.every(({ token, mode }) => held.has(`${mode} ${token}`))
      );
    await until(isReady);
    await until(() => ours.length === 18 && theirs.length === 18); // one for each frame that asks
    ours.length = theirs.length = 0;
    venue.desk.place("regular", ORDER);
    for (let i = 0; i < 300; i++) venue.step();
    venue.desk.place("regular", ORDER); // the update is the last thing to come
    await until(() => ourOrders.length === 2 && orders.length === 2);
    assertEquals(ours, theirs);
    assertEquals(orders, ourOrders);
    assert(ours.length > 1_000, `${ours.length}`);
    assertEquals(new Set(ours.map(({ mode }) => mode)), new Set(modes));
    client.disconnect();
  },
});
