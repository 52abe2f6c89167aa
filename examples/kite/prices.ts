/**
 * Kite's prices in types: quotes and candles, as REST tells them.
 *
 * Source: kite.trade/docs/connect/v3, "Market quotes", "Historical data".
 *
 * @module
 */

/** The last price of an instrument. */
export interface KiteLtp {
  /** The instrument's token in the feed. */
  readonly instrument_token: number;
  /** The last price. */
  readonly last_price: number;
}

/** The day of an instrument. */
export interface KiteOhlc extends KiteLtp {
  /** The day's prices, `close` being the previous day's. */
  readonly ohlc: Readonly<Record<"open" | "high" | "low" | "close", number>>;
}

/** A full quote of an instrument. More fields come with it. */
export interface KiteQuote extends KiteOhlc {
  /** When, in India. */
  readonly timestamp: string;
  /** Quantity traded this day. */
  readonly volume: number;
  /** Quantity that is bid for. */
  readonly buy_quantity: number;
  /** Quantity that is offered. */
  readonly sell_quantity: number;
  /** The best five levels of each side. */
  readonly depth: Readonly<
    Record<"buy" | "sell", readonly { price: number; quantity: number; orders: number }[]>
  >;
}

/** Prices of an interval. */
export interface KiteCandle {
  /** The beginning of the interval. */
  readonly date: Date;
  /** The first price. */
  readonly open: number;
  /** The highest. */
  readonly high: number;
  /** The lowest. */
  readonly low: number;
  /** The last. */
  readonly close: number;
  /** Quantity traded. */
  readonly volume: number;
  /** Open interest, where it was asked for. */
  readonly oi?: number;
}

/** Which candles. */
export interface KiteCandleRange {
  /** The first, as epoch milliseconds or a Date. */
  readonly from: Date | number;
  /** The last. */
  readonly to: Date | number;
  /** Whether earlier contracts of a future are joined to it. @default {false} */
  readonly continuous?: boolean;
  /** Whether open interest is wanted. @default {false} */
  readonly oi?: boolean;
}

/** How long a candle is. */
export type KiteInterval =
  | "minute"
  | `${3 | 5 | 10 | 15 | 30 | 60}minute`
  | "day";

/** A candle, as the venue writes it. */
export type CandleRow = readonly [
  time: string,
  open: number,
  high: number,
  low: number,
  close: number,
  volume: number,
  oi?: number,
];

/**
 * Reads a candle.
 *
 * @param row The row of the venue's answer.
 * @returns The candle.
 */
export function candle([time, open, high, low, close, volume, oi]: CandleRow): KiteCandle {
  return { date: new Date(time), open, high, low, close, volume, ...oi !== undefined && { oi } };
}

/**
 * Writes a time as the venue does.
 *
 * @param time Epoch milliseconds or a Date.
 * @returns India's time, `"2026-11-23 09:15:00"`.
 */
export function india(time: Date | number): string {
  const offset = 5.5 * 3_600_000;
  return new Date(Number(time) + offset).toISOString().slice(0, 19).replace("T", " ");
}
