/**
 * Kite's binary market data, decoded.
 *
 * @module
 */

import { FeedError } from "@aio-trader/core";

/** How much of an instrument is sent: its price, its day, or its day and its depth. */
export type KiteMode = "ltp" | "quote" | "full";

/** One price level of the depth. */
export interface KiteLevel {
  /** How much is offered at it. */
  readonly quantity: number;
  /** The price; 0 where the level is empty. */
  readonly price: number;
  /** How many orders that is. */
  readonly orders: number;
}

/** One instrument's state, under the names of the venue's own clients. Prices are in its currency. */
export interface Tick {
  /** How much is known. */
  readonly mode: KiteMode;
  /** Whether it can be traded: an index cannot. */
  readonly tradable: boolean;
  /** Which instrument; the low byte is its segment. */
  readonly instrument_token: number;
  /** The last price. */
  readonly last_price: number;
  /** How much the last trade was. With this and the next four: not of an index, nor in mode ltp. */
  readonly last_traded_quantity?: number;
  /** The average price of the day. */
  readonly average_traded_price?: number;
  /** How much was traded this day. */
  readonly volume_traded?: number;
  /** How much is bid for. */
  readonly total_buy_quantity?: number;
  /** How much is offered. */
  readonly total_sell_quantity?: number;
  /** The day's prices, `close` being the previous day's. Not in mode ltp. */
  readonly ohlc?: Readonly<Record<"open" | "high" | "low" | "close", number>>;
  /** From the previous close, in percent; 0 without one. Not in mode ltp. */
  readonly change?: number;
  /** When it was last traded, if it was. With all below: in mode full, and not of an index. */
  readonly last_trade_time?: Date | null;
  /** The exchange's time, if it gave one. In mode full, of an index too. */
  readonly exchange_timestamp?: Date | null;
  /** Open interest. */
  readonly oi?: number;
  /** The day's highest open interest. */
  readonly oi_day_high?: number;
  /** The day's lowest open interest. */
  readonly oi_day_low?: number;
  /** The best five levels of each side, the best first. */
  readonly depth?: { readonly buy: readonly KiteLevel[]; readonly sell: readonly KiteLevel[] };
}

/** A frame that ends before it should. */
export class TickError extends FeedError {
  /** Always `"TickError"`. */
  override readonly name: string = "TickError";
  /** The ticks of the packets that are whole. */
  readonly ticks: readonly Tick[];

  /**
   * Makes the error.
   *
   * @param message The reason.
   * @param ticks The ticks that are whole.
   */
  constructor(message: string, ticks: readonly Tick[]) {
    super(message);
    this.ticks = ticks;
  }
}

/** Segments (the low byte of a token) whose prices are not in hundredths. */
const DIVISORS: ReadonlyMap<number, number> = new Map([
  [3, 10_000_000], // NSE currency
  [6, 10_000], // BSE currency
]);

/** The segment of the indices. */
const INDICES = 9;

/** Where the levels of a full packet begin, and how long each is. */
const DEPTH = { offset: 64, levels: 5, size: 12 };

/**
 * Decodes one frame. Pure: it needs no socket.
 *
 * @param frame The bytes; a heartbeat (one byte) holds no tick.
 * @returns The ticks, in their order. A packet of a length that is not known is skipped: the venue
 *   may add kinds.
 * @throws {TickError} If the frame is cut short; the error holds the ticks before the cut.
 *
 * @example The last price of an instrument
 * ```ts
 * import { parseTicks } from "./ticks.ts";
 * import { assertEquals } from "@std/assert";
 *
 * const frame = new DataView(new ArrayBuffer(12));
 * frame.setInt16(0, 1); // one packet
 * frame.setInt16(2, 8); // of 8 bytes
 * frame.setInt32(4, 408065);
 * frame.setInt32(8, 150_005);
 * assertEquals(parseTicks(frame.buffer), [
 *   { mode: "ltp", tradable: true, instrument_token: 408065, last_price: 1500.05 },
 * ]);
 * ```
 */
export function parseTicks(frame: ArrayBuffer): Tick[] {
  const ticks: Tick[] = [];
  const { byteLength } = frame;
  if (byteLength < 2) return ticks;
  const view = new DataView(frame);
  const count = view.getUint16(0);
  for (let i = 1, at = 2; i <= count; i++) {
    const start = at + 2;
    const end = start <= byteLength ? start + view.getUint16(at) : start;
    if (end > byteLength) {
      throw new TickError(
        `Cannot read packet ${i} of ${count}: the frame has ${byteLength} bytes, wanted at least ${end}`,
        ticks,
      );
    }
    const tick = parsePacket(new DataView(frame, start, end - start));
    if (tick) ticks.push(tick);
    at = end;
  }
  return ticks;
}

function parsePacket(packet: DataView): Tick | undefined {
  switch (packet.byteLength) {
    case 8:
      return parseHead(packet, "ltp");
    case 28:
      return parseIndex(packet, "quote");
    case 32:
      return { ...parseIndex(packet, "full"), exchange_timestamp: time(packet, 28) };
    case 44:
      return parseQuote(packet, "quote");
    case 184:
      return parseFull(packet);
  }
}

function parseHead(packet: DataView, mode: KiteMode): Tick {
  const instrument_token = packet.getInt32(0);
  const tradable = (instrument_token & 0xff) !== INDICES;
  return { mode, tradable, instrument_token, last_price: price(packet, 4) };
}

function parseIndex(packet: DataView, mode: KiteMode): Tick {
  const head = parseHead(packet, mode);
  const ohlc = {
    open: price(packet, 16),
    high: price(packet, 8),
    low: price(packet, 12),
    close: price(packet, 20),
  };
  // The packet's own `change` is a difference of prices; the clients' is a percentage.
  return { ...head, ohlc, change: change(head, ohlc) };
}

function parseQuote(packet: DataView, mode: KiteMode): Tick {
  const head = parseHead(packet, mode);
  const ohlc = {
    open: price(packet, 28),
    high: price(packet, 32),
    low: price(packet, 36),
    close: price(packet, 40),
  };
  return {
    ...head,
    last_traded_quantity: packet.getInt32(8),
    average_traded_price: price(packet, 12),
    volume_traded: packet.getInt32(16),
    total_buy_quantity: packet.getInt32(20),
    total_sell_quantity: packet.getInt32(24),
    ohlc,
    change: change(head, ohlc),
  };
}

function parseFull(packet: DataView): Tick {
  return {
    ...parseQuote(packet, "full"),
    last_trade_time: time(packet, 44),
    exchange_timestamp: time(packet, 60),
    oi: packet.getInt32(48),
    oi_day_high: packet.getInt32(52),
    oi_day_low: packet.getInt32(56),
    depth: { buy: levels(packet, 0), sell: levels(packet, DEPTH.levels) },
  };
}

function levels(packet: DataView, first: number): KiteLevel[] {
  return Array.from({ length: DEPTH.levels }, (_, i) => {
    const at = DEPTH.offset + (first + i) * DEPTH.size;
    return {
      quantity: packet.getInt32(at),
      price: price(packet, at + 4),
      orders: packet.getUint16(at + 8),
    };
  });
}

function price(packet: DataView, at: number): number {
  return packet.getInt32(at) / (DIVISORS.get(packet.getInt32(0) & 0xff) ?? 100);
}

function change({ last_price }: Tick, { close }: { close: number }): number {
  return close === 0 ? 0 : (last_price - close) * 100 / close;
}

/** Seconds since 1970; 0 for none. */
function time(packet: DataView, at: number): Date | null {
  const seconds = packet.getInt32(at);
  return seconds === 0 ? null : new Date(seconds * 1_000);
}
