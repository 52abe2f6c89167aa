/**
 * Reports of the simulated Kite's markets over REST: quotes, candles, and the list of instruments.
 *
 * @module
 */

import { reply, type VenueReply } from "@aio-trader/core/testing";
import { seeded } from "../market.ts";
import { INDIA, india, type Listing } from "./listing.ts";
import { Refusal } from "./rules.ts";

/** Most candles in one answer. */
const MOST_CANDLES = 2_000;

/**
 * Quotes by name. Those of names that are not listed are absent.
 *
 * @param listings The instruments.
 * @param names The names that were asked for.
 * @param kind `"ltp"`, `"ohlc"`, or all if none is given.
 */
export function quotes(
  listings: readonly Listing[],
  names: readonly string[],
  kind: string | undefined,
): Record<string, unknown> {
  const found = listings.filter(({ id }) => names.includes(id));
  return Object.fromEntries(found.map((listing) => {
    const quote = listing.quote();
    const { instrument_token, last_price, ohlc } = quote;
    const short = { instrument_token, last_price, ...kind === "ohlc" && { ohlc } };
    return [listing.id, kind ? short : quote];
  }));
}

/**
 * The list of instruments, as CSV.
 *
 * @param listings The instruments.
 * @param exchange Only there.
 */
export function list(listings: readonly Listing[], exchange: string | undefined): VenueReply {
  const lines = listings.map((listing) => listing.line())
    .filter((line) => !exchange || line.exchange === exchange);
  const cell = (value: unknown) => `${value}`.includes(",") ? `"${value}"` : value;
  const rows = lines.map((line) => Object.values(line).map(cell).join(","));
  const text = [Object.keys(lines[0] ?? {}).join(","), ...rows, ""].join("\n");
  return reply(200, text, { "content-type": "text/csv" });
}

/**
 * Candles made of nothing but their time: the same time has always the same.
 *
 * @param listing Whose.
 * @param interval How long each is.
 * @param query From when to when.
 */
export function candles(
  listing: Listing | undefined,
  interval: string,
  query: URLSearchParams,
): unknown[] {
  if (!listing) throw new Refusal("InputException", "invalid token");
  const [, count, unit] = /^(\d*)(minute|day)$/.exec(interval) ?? [];
  const [from, to] = ["from", "to"].map((name) =>
    Date.parse(`${query.get(name)?.replace(" ", "T")}+05:30`)
  );
  if (!unit || !(from <= to)) throw new Refusal("InputException", "invalid date or interval");
  const length = (unit === "day" ? 86_400_000 : 60_000) * Number(count || 1);
  const { price, token } = listing.instrument;
  const rows = [];
  // The Indian day does not begin at midnight UTC.
  const begin = Math.ceil((from + INDIA) / length) * length - INDIA;
  for (let at = begin; at <= to && rows.length < MOST_CANDLES; at += length) {
    const random = seeded(token ^ at / 60_000);
    const [open, close] = [0, 0].map(() => price + Math.floor(40 * random()));
    const high = Math.max(open, close) + Math.floor(20 * random());
    const low = Math.min(open, close) - Math.floor(20 * random());
    const prices = [open, high, low, close].map((ticks) => listing.price(ticks));
    const oi = query.get("oi") === "1" ? [1_000_000] : [];
    const volume = Math.floor(1_000 * random());
    rows.push([`${india(at).replace(" ", "T")}+0530`, ...prices, volume, ...oi]);
  }
  return rows;
}
