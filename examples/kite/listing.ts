/**
 * The listings of the simulated Kite: one instrument of each segment, its market, and its packets.
 *
 * @module
 */

import { type Instrument, Market } from "../market.ts";
import type { KiteInstrument } from "./instruments.ts";
import type { KiteLevel, KiteMode } from "./ticks.ts";

/** An instrument, with its facts on the wire and in the list of instruments. */
export interface KiteSimulated extends Instrument {
  /** Its token; the low byte is the segment. */
  readonly token: number;
  /** Where it is traded. */
  readonly exchange: string;
  /** `"EQ"` or `"FUT"`. */
  readonly type: string;
  /** In the list of instruments. */
  readonly segment: string;
  /** Whose it is. */
  readonly name: string;
  /** One tick of the market, in the unit of the wire. */
  readonly unit: number;
  /** The unit of the wire, in parts of the currency. */
  readonly divisor: number;
}

/** How far India is ahead of UTC, in milliseconds. */
export const INDIA: number = 5.5 * 3_600_000;

/** The segment of the indices. */
const INDICES = 9;

/** Segments whose prices are not in hundredths on the wire. */
const DIVISORS: Readonly<Record<number, number>> = { 3: 10_000_000, 6: 10_000 };

/** How many levels of each side are told. */
const DEPTH = 5;

/** Instruments of the simulator: at least one of every segment. */
export const INSTRUMENTS: readonly KiteSimulated[] = [
  { symbol: "INFY", token: 408_065, exchange: "NSE", price: 30_012, unit: 5, size: 60 },
  { symbol: "TATAMOTORS", token: 884_737, exchange: "NSE", price: 13_401, unit: 5, size: 200 },
  {
    symbol: "NIFTY26NOVFUT",
    token: 13_568_258,
    exchange: "NFO",
    price: 480_220,
    unit: 5,
    size: 75,
  },
  {
    symbol: "USDINR26NOVFUT",
    token: 412_675,
    exchange: "CDS",
    price: 33_301,
    unit: 25_000,
    size: 500,
  },
  { symbol: "INFY", token: 128_053_508, exchange: "BSE", price: 30_015, unit: 5, size: 20 },
  {
    symbol: "SENSEX26NOVFUT",
    token: 210_433_541,
    exchange: "BFO",
    price: 1_560_400,
    unit: 5,
    size: 20,
  },
  { symbol: "EURINR26NOVFUT", token: 268_550, exchange: "BCD", price: 36_110, unit: 25, size: 100 },
  {
    symbol: "CRUDEOIL26NOVFUT",
    token: 109_134_599,
    exchange: "MCX",
    price: 5_411,
    unit: 100,
    size: 100,
  },
  { symbol: "NIFTY 50", token: 256_265, exchange: "NSE", price: 479_800, unit: 5, size: 75 },
].map(simulated);

/** One instrument and its market. */
export class Listing {
  /** The instrument. */
  readonly instrument: KiteSimulated;
  /** Its orders and trades. */
  readonly market: Market;
  /** The previous day's last price, in ticks. */
  readonly close: number;
  #last = { qty: 0, at: 0 };
  /** When the market has moved, in seconds: all clients are told the same. */
  #moved = now();

  /**
   * Opens a market.
   *
   * @param instrument The instrument.
   * @param seed Where its random numbers start.
   */
  constructor(instrument: KiteSimulated, seed: number) {
    this.instrument = instrument;
    this.market = new Market(instrument, seed, 4 * DEPTH);
    this.close = Math.round(instrument.price * 0.99);
  }

  /** Its name in requests, `"NSE:INFY"`. */
  get id(): string {
    return `${this.instrument.exchange}:${this.instrument.symbol}`;
  }

  /** Whether the instrument is an index, which cannot be traded. */
  get isIndex(): boolean {
    return (this.instrument.token & 0xff) === INDICES;
  }

  /** The last price. */
  get lastPrice(): number {
    return this.price(this.market.prices.last);
  }

  /** The best price for an order that takes. */
  best(side: string): number {
    const { asks, bids } = this.market;
    return this.price((side === "BUY" ? asks : bids)[0].price);
  }

  /** Lets one thing happen. */
  step(): void {
    const print = this.market.step();
    this.#moved = now();
    if (print) this.#last = { qty: print.qty, at: this.#moved };
  }

  /** Ticks in the currency. */
  price(ticks: number): number {
    return ticks * this.instrument.unit / this.instrument.divisor;
  }

  /** The best levels. */
  depth(): { buy: KiteLevel[]; sell: KiteLevel[] } {
    const [buy, sell] = this.#levels().map((side) =>
      side.map(({ quantity, price, orders }) => ({ quantity, price: this.price(price), orders }))
    );
    return { buy, sell };
  }

  /**
   * Writes a tick.
   *
   * @param mode How much.
   * @returns A packet of 8, 28, 32, 44 or 184 bytes.
   */
  packet(mode: KiteMode): Uint8Array {
    const { instrument: { token, unit }, market, close } = this;
    const { open, high, low, last } = market.prices;
    const { lots, value } = market.traded;
    const wire = (...ticks: number[]) => ticks.map((it) => it * unit);
    const head = [token, ...wire(last)];
    if (mode === "ltp") return ints(head);
    if (this.isIndex) {
      const index = [...head, ...wire(high, low, open, close, last - close)];
      return ints(mode === "full" ? [...index, this.#moved] : index);
    }
    const [bought, sold] = [market.bids, market.asks].map((side) =>
      side.reduce((sum, { qty }) => sum + qty, 0)
    );
    const average = lots === 0 ? last * unit : Math.round(value * unit / lots);
    const day = [this.#last.qty, average, lots, bought, sold, ...wire(open, high, low, close)];
    if (mode === "quote") return ints([...head, ...day]);
    const { oi, high: most, low: least } = this.#interest();
    const full = [...head, ...day, this.#last.at, oi, most, least, this.#moved];
    const levels = this.#levels().flat();
    return ints([
      ...full,
      // The count of orders is 2 bytes, then come 2 of padding.
      ...levels.flatMap(({ quantity, price, orders }) => [quantity, price * unit, orders << 16]),
    ]);
  }

  /** A full quote, as REST tells it. */
  quote(): Record<string, unknown> {
    const { market: { prices: { open, high, low }, traded, bids, asks } } = this;
    const total = (side: readonly { qty: number }[]) => side.reduce((sum, { qty }) => sum + qty, 0);
    return {
      instrument_token: this.instrument.token,
      timestamp: india(Date.now()),
      last_price: this.lastPrice,
      volume: traded.lots,
      buy_quantity: total(bids),
      sell_quantity: total(asks),
      oi: this.#interest().oi,
      ohlc: {
        open: this.price(open),
        high: this.price(high),
        low: this.price(low),
        close: this.price(this.close),
      },
      depth: this.depth(),
    };
  }

  /** Its line in the list of instruments. */
  line(): KiteInstrument {
    const { token, symbol, name, type, segment, exchange, unit, divisor, size } = this.instrument;
    return {
      instrument_token: token,
      exchange_token: token >> 8,
      tradingsymbol: symbol,
      name,
      last_price: 0,
      expiry: type === "FUT" ? "2026-11-26" : "",
      strike: 0,
      tick_size: unit / divisor,
      lot_size: type === "FUT" ? size : 1,
      instrument_type: type,
      segment,
      exchange,
    };
  }

  #levels(): { quantity: number; price: number; orders: number }[][] {
    const { bids, asks } = this.market;
    return [bids, asks].map((side) =>
      side.slice(0, DEPTH).map(({ price, qty }) => ({
        quantity: qty,
        price,
        orders: 1 + qty % 7,
      }))
    );
  }

  /** Open interest, of futures: every trade opens a contract. */
  #interest(): { oi: number; high: number; low: number } {
    const low = this.instrument.type === "FUT" ? 1_000_000 : 0;
    const oi = low === 0 ? 0 : low + this.market.traded.lots;
    return { oi, high: oi, low };
  }
}

/**
 * Puts packets into one frame.
 *
 * @param packets The packets.
 * @returns Their count, then each with its length before it.
 */
export function encodeFrame(packets: readonly Uint8Array[]): ArrayBuffer {
  const length = packets.reduce((sum, packet) => sum + 2 + packet.length, 2);
  const frame = new ArrayBuffer(length);
  const view = new DataView(frame);
  view.setInt16(0, packets.length);
  let at = 2;
  for (const packet of packets) {
    view.setInt16(at, packet.length);
    new Uint8Array(frame).set(packet, at + 2);
    at += 2 + packet.length;
  }
  return frame;
}

/**
 * Writes a time as the venue does.
 *
 * @param time Epoch milliseconds.
 * @returns India's time, `"2026-11-23 09:15:00"`.
 */
export function india(time: number): string {
  return new Date(time + INDIA).toISOString().slice(0, 19).replace("T", " ");
}

function ints(values: readonly number[]): Uint8Array {
  const view = new DataView(new ArrayBuffer(4 * values.length));
  for (const [i, value] of values.entries()) view.setInt32(4 * i, value);
  return new Uint8Array(view.buffer);
}

function now(): number {
  return Math.floor(Date.now() / 1_000);
}

/** Adds the facts that follow from the segment. */
function simulated(
  it: Pick<KiteSimulated, "symbol" | "token" | "exchange" | "price" | "unit" | "size">,
): KiteSimulated {
  const divisor = DIVISORS[it.token & 0xff] ?? 100;
  const isFuture = it.symbol.endsWith("FUT");
  const isIndex = (it.token & 0xff) === INDICES;
  return {
    ...it,
    type: isFuture ? "FUT" : "EQ",
    segment: isIndex ? "INDICES" : it.exchange + (isFuture ? "-FUT" : ""),
    name: `${it.symbol}, SIMULATED`,
    divisor,
    priceDecimals: divisor === 100 ? 2 : 4,
    qtyDecimals: 0,
  };
}
