/**
 * Makes a history that fails as short as can be.
 *
 * @module
 */

/** Most histories that are played for it. */
const MOST = 400;

/**
 * Leaves out of a list what is not needed: halves first, then ever smaller parts, then single ones.
 *
 * @param all The list.
 * @param fails Tells whether a part of the list still fails; the whole list does.
 * @returns A part that fails. Without any of its entries it no longer does, unless it took too long
 *   to find out.
 */
export async function shrink<T>(
  all: readonly T[],
  fails: (part: T[]) => Promise<boolean>,
): Promise<T[]> {
  let kept = [...all];
  let played = 0;
  for (let size = Math.ceil(kept.length / 2); size >= 1 && played < MOST;) {
    let isShorter = false;
    for (let begin = 0; begin < kept.length && played < MOST;) {
      const part = kept.toSpliced(begin, size);
      played++;
      if (await fails(part)) {
        kept = part;
        isShorter = true;
      } else begin += size;
    }
    if (size === 1 && !isShorter) break;
    size = size === 1 ? 1 : Math.ceil(size / 2);
  }
  return kept;
}
