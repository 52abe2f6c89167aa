/**
 * Fits an order to the filters of its symbol, before the venue refuses the order.
 *
 * Source: binance-spot-api-docs, filters.md.
 *
 * @module
 */

import type { BinanceFilter, BinanceOrder, BinanceSymbol } from "./account.ts";
import { roundDown, roundUp, times, unitsOf } from "./decimals.ts";

/**
 * Rounds an order to the steps of its symbol, so that the order is never larger, and never at a worse
 * price, than what was meant:
 *
 * - the quantity down,
 * - the prices of a `BUY` down, those of a `SELL` up.
 *
 * @param order The order. Decimals are text of any length.
 * @param info The rules, as `exchangeInfo()` tells them.
 * @returns The order, rounded.
 * @throws {RangeError} If the rounded order is too small, too large or worth too little. A `MARKET`
 *   order has no price, so only the venue can tell what it is worth.
 *
 * @example Usage
 * ```ts
 * import { fitOrder } from "./filters.ts";
 * import { assertEquals } from "@std/assert";
 *
 * const filters = [
 *   { filterType: "PRICE_FILTER", tickSize: "0.01000000" },
 *   { filterType: "LOT_SIZE", minQty: "0.00001000", maxQty: "9000.00000000", stepSize: "0.00001000" },
 *   { filterType: "NOTIONAL", minNotional: "5.00000000" },
 * ];
 * const info = { symbol: "BTCUSDT", status: "TRADING", filters };
 * const order = { symbol: "BTCUSDT", side: "BUY", type: "LIMIT", timeInForce: "GTC" } as const;
 * const { price, quantity } = fitOrder({ ...order, price: "29430.239", quantity: "0.0123456" }, info);
 * assertEquals([price, quantity], ["29430.23", "0.01234"]);
 * ```
 */
export function fitOrder(order: BinanceOrder, info: BinanceSymbol): BinanceOrder {
  const { filters } = info;
  const filter = (type: string) => filters.find(({ filterType }) => filterType === type);
  const { tickSize = "0" } = filter("PRICE_FILTER") ?? {};
  const toTick = (text: string) => (order.side === "BUY" ? roundDown : roundUp)(text, tickSize);
  const lots = [filter("LOT_SIZE"), ...order.type === "MARKET" ? [filter("MARKET_LOT_SIZE")] : []];
  const fitted = { ...order };
  if (order.price !== undefined) fitted.price = toTick(order.price);
  if (order.stopPrice !== undefined) fitted.stopPrice = toTick(order.stopPrice);
  if (order.quantity !== undefined) {
    fitted.quantity = lots.reduce(
      (text, lot) => roundDown(text, lot?.stepSize ?? "0"),
      order.quantity,
    );
    for (const lot of lots) checkQuantity(fitted.quantity, lot);
  }
  checkWorth(fitted, filter("NOTIONAL") ?? filter("MIN_NOTIONAL"));
  return fitted;
}

function checkQuantity(
  quantity: string,
  { minQty = "0", maxQty = "0" }: Partial<BinanceFilter> = {},
) {
  const [units, least, most] = [quantity, minQty, maxQty].map(unitsOf);
  if (units === 0n || units < least || most > 0n && units > most) {
    const wanted = `wanted ${minQty} to ${maxQty} and above 0`;
    throw new RangeError(`Cannot fit the order: quantity is ${quantity} after rounding, ${wanted}`);
  }
}

function checkWorth(
  { quantity, price, quoteOrderQty }: BinanceOrder,
  { minNotional = "0" }: Partial<BinanceFilter> = {},
): void {
  const isPriced = quantity !== undefined && price !== undefined;
  const worth = isPriced ? times(unitsOf(quantity), unitsOf(price)) : undefined;
  const value = worth ?? (quoteOrderQty === undefined ? undefined : unitsOf(quoteOrderQty));
  if (value === undefined || value >= unitsOf(minNotional)) return;
  const what = isPriced ? `${quantity} at ${price}` : quoteOrderQty;
  throw new RangeError(
    `Cannot fit the order: ${what} is too little, wanted a worth of ${minNotional}`,
  );
}
