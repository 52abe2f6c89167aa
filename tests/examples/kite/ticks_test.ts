import { assertEquals, assertInstanceOf, assertThrows } from "@std/assert";
import fc from "fast-check";
import { FeedError } from "@aio-trader/core";
import { parseTicks, type Tick, TickError } from "../../../examples/kite/ticks.ts";

/** NSE:INFY: 1594 << 8 | 1. */
const INFY = 408_065;
const NIFTY = 256_265;

/** A packet of integers of 4 bytes, big-endian. */
function packet(...values: number[]): number[] {
  return values.flatMap((
    value,
  ) => [value >>> 24, value >>> 16 & 255, value >>> 8 & 255, value & 255]);
}

/** A frame as the venue lays it out. */
function frame(...packets: number[][]): ArrayBuffer {
  const short = (value: number) => [value >> 8, value & 255];
  const bytes = packets.flatMap((bytes) => [...short(bytes.length), ...bytes]);
  return new Uint8Array([...short(packets.length), ...bytes]).buffer;
}

const ltp = (token = INFY, price = 150_005) => packet(token, price);

const quote = (token = INFY) =>
  packet(token, 150_005, 7, 150_010, 1_234_567, 4_000, 5_000, 149_000, 151_000, 148_000, 149_500);

/** Ten levels: the price, 16 bits of orders, 16 of padding, which is not always zero. */
const depth = Array.from(
  { length: 10 },
  (_, i) => packet(100 + i, 150_000 + 5 * i, (i + 1) << 16 | 0xabcd),
).flat();

const full = (token = INFY, tradedAt = 1_763_950_500, exchangeAt = 1_763_950_501) => [
  ...quote(token),
  ...packet(tradedAt, 11, 33, 22, exchangeAt),
  ...depth,
];

const index = (...rest: number[]) =>
  packet(NIFTY, 2_400_000, 2_410_000, 2_390_000, 2_395_000, 2_300_000, 100_000, ...rest);

const HEAD = { tradable: true, instrument_token: INFY, last_price: 1500.05 };
const DAY = {
  last_traded_quantity: 7,
  average_traded_price: 1500.1,
  volume_traded: 1_234_567,
  total_buy_quantity: 4_000,
  total_sell_quantity: 5_000,
  ohlc: { open: 1490, high: 1510, low: 1480, close: 1495 },
  change: (1500.05 - 1495) * 100 / 1495,
};
const INDEX = {
  tradable: false,
  instrument_token: NIFTY,
  last_price: 24_000,
  ohlc: { open: 23_950, high: 24_100, low: 23_900, close: 23_000 },
  change: 100_000 / 23_000,
};
const level = (i: number) => ({ quantity: 100 + i, price: (150_000 + 5 * i) / 100, orders: i + 1 });
const FULL = {
  mode: "full",
  ...HEAD,
  ...DAY,
  last_trade_time: new Date("2025-11-24T02:15:00Z"),
  exchange_timestamp: new Date("2025-11-24T02:15:01Z"),
  oi: 11,
  oi_day_high: 33,
  oi_day_low: 22,
  depth: { buy: [0, 1, 2, 3, 4].map(level), sell: [5, 6, 7, 8, 9].map(level) },
};

const LENGTHS: [number, string, number[], unknown][] = [
  [8, "ltp", ltp(), { mode: "ltp", ...HEAD }],
  [28, "quote of an index", index(), { mode: "quote", ...INDEX }],
  [32, "full of an index", index(1_763_950_501), {
    mode: "full",
    ...INDEX,
    exchange_timestamp: new Date("2025-11-24T02:15:01Z"),
  }],
  [44, "quote", quote(), { mode: "quote", ...HEAD, ...DAY }],
  [184, "full", full(), FULL],
];

for (const [length, what, bytes, expected] of LENGTHS) {
  Deno.test(`parseTicks() reads a packet of ${length} bytes: ${what}`, () => {
    assertEquals(bytes.length, length);
    assertEquals(parseTicks(frame(bytes)), [expected as Tick]);
  });
}

const SEGMENTS: [number, string, number][] = [
  [1, "NSE", 100],
  [2, "NFO", 100],
  [3, "NSE currency", 10_000_000],
  [4, "BSE", 100],
  [5, "BFO", 100],
  [6, "BSE currency", 10_000],
  [7, "MCX", 100],
  [8, "MCXSX", 100],
  [9, "indices", 100],
];

for (const [segment, name, divisor] of SEGMENTS) {
  Deno.test(`parseTicks() divides prices of segment ${segment} (${name}) by ${divisor}`, () => {
    const token = 1_000 << 8 | segment;
    const tick = (bytes: number[]) => parseTicks(frame(bytes))[0];
    assertEquals(tick(ltp(token, 832_525_000)).last_price, 832_525_000 / divisor);
    assertEquals(tick(ltp(token)).tradable, segment !== 9);
    const { average_traded_price, ohlc, depth, volume_traded } = tick(full(token));
    assertEquals(average_traded_price, 150_010 / divisor);
    assertEquals(ohlc!.low, 148_000 / divisor);
    assertEquals(depth!.sell[4].price, 150_045 / divisor);
    assertEquals(volume_traded, 1_234_567);
  });
}

Deno.test("parseTicks() reads what is below 0", () => {
  // Crude oil was, on 20 April 2020.
  const [tick] = parseTicks(frame(ltp(109_134_599, -288_400)));
  assertEquals(tick.last_price, -2884);
});

Deno.test("parseTicks() reads a count of orders above 32767", () => {
  const bytes = full();
  bytes.splice(64 + 8, 2, 0xff, 0xfe);
  assertEquals(parseTicks(frame(bytes))[0].depth!.buy[0].orders, 65_534);
});

Deno.test("parseTicks() gives null for a time that is 0", () => {
  const [tick, index32] = parseTicks(frame(full(INFY, 0, 0), index(0)));
  assertEquals([tick.last_trade_time, tick.exchange_timestamp], [null, null]);
  assertEquals(index32.exchange_timestamp, null);
});

Deno.test("parseTicks() gives a change of 0 without a previous close", () => {
  const bytes = quote();
  bytes.splice(40, 4, 0, 0, 0, 0);
  assertEquals(parseTicks(frame(bytes))[0].change, 0);
});

Deno.test("parseTicks() reads many packets and skips those of an unknown length", () => {
  const unknown = [0, 1, 4, 12, 45, 183, 185, 300].map((length) => new Array(length).fill(1));
  const known = [ltp(), index(), quote(), index(1), full(), ltp(), quote(), full()];
  const ticks = parseTicks(frame(...known.flatMap((bytes, i) => [unknown[i], bytes])));
  assertEquals(ticks, known.flatMap((bytes) => parseTicks(frame(bytes))));
  assertEquals(ticks.length, known.length);
});

Deno.test("parseTicks() finds no tick in a heartbeat", () => {
  for (const bytes of [[], [0], [255], [0, 0]]) {
    assertEquals(parseTicks(new Uint8Array(bytes).buffer), []);
  }
});

Deno.test("parseTicks() ignores bytes after the last packet", () => {
  const bytes = [...new Uint8Array(frame(ltp())), 1, 2, 3];
  assertEquals(parseTicks(new Uint8Array(bytes).buffer).length, 1);
});

Deno.test("parseTicks() throws where a frame is cut short, with the ticks before the cut", () => {
  const kinds = [ltp(), quote(), full(), index()];
  const whole = frame(...kinds);
  const ends = kinds.map((_, i) => frame(...kinds.slice(0, i + 1)).byteLength);
  for (let length = 2; length < whole.byteLength; length++) {
    const error = assertThrows(() => parseTicks(whole.slice(0, length)), TickError);
    assertEquals(error.ticks, parseTicks(whole).slice(0, ends.filter((it) => it <= length).length));
  }
});

Deno.test("parseTicks() says which packet is cut short, and by how much", () => {
  const cut = frame(ltp(), quote()).slice(0, 30);
  const error = assertThrows(() => parseTicks(cut), TickError);
  assertEquals(
    error.message,
    "Cannot read packet 2 of 2: the frame has 30 bytes, wanted at least 58",
  );
  assertInstanceOf(error, FeedError);
  assertEquals(error.fatal, false);
  const bare = assertThrows(() => parseTicks(new Uint8Array([0, 1, 0]).buffer), TickError);
  assertEquals(
    bare.message,
    "Cannot read packet 1 of 1: the frame has 3 bytes, wanted at least 4",
  );
});

Deno.test("parseTicks() reads any bytes, or throws a TickError", () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 600 }), (bytes) => {
    try {
      parseTicks(bytes.slice().buffer as ArrayBuffer);
    } catch (error) {
      assertInstanceOf(error, TickError);
    }
  }));
});
