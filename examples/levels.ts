/**
 * The two sides of an order book, kept as the text that the venue wrote.
 *
 * @module
 */

/** One price level: two decimals, exactly as the venue wrote them. */
export interface Level {
  /** The price. */
  readonly price: string;
  /** How much is offered at it; 0 in a change removes the level. */
  readonly qty: string;
}

/** Makes a level of a pair, as several venues write it. */
export function levelOf([price, qty]: readonly [price: string, qty: string]): Level {
  return { price, qty };
}

/** The two sides of a book. */
export interface Sides {
  /** The offers to buy, the highest first. */
  readonly bids: readonly Level[];
  /** The offers to sell, the lowest first. */
  readonly asks: readonly Level[];
}

/**
 * Applies changes to one side of a book. The side itself is not changed, so a reader may keep it.
 *
 * @param side The levels, the best first.
 * @param changes The levels that are new or different; a quantity of 0 removes one.
 * @param order `1` where the lowest price comes first (asks), else `-1` (bids).
 * @returns The levels after the changes, the best first.
 */
export function merge(
  side: readonly Level[],
  changes: readonly Level[],
  order: 1 | -1,
): readonly Level[] {
  if (changes.length === 0) return side;
  const merged = [...side];
  for (const level of changes) {
    const rank = order * Number(level.price);
    let low = 0;
    for (let high = merged.length; low < high;) {
      const middle = (low + high) >>> 1;
      if (order * Number(merged[middle].price) < rank) low = middle + 1;
      else high = middle;
    }
    const known = low < merged.length && order * Number(merged[low].price) === rank;
    if (Number(level.qty) !== 0) merged.splice(low, known ? 1 : 0, level);
    else if (known) merged.splice(low, 1);
  }
  return merged;
}

/**
 * Applies changes to both sides of a book. The book itself is not changed.
 *
 * @param sides The book.
 * @param changes The levels that are new or different; a quantity of 0 removes one.
 * @returns The book after the changes.
 */
export function mergeSides({ bids, asks }: Sides, changes: Sides): Sides {
  return { bids: merge(bids, changes.bids, -1), asks: merge(asks, changes.asks, 1) };
}
