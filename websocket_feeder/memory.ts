/**
 * The ids of the latest items, so that each item is delivered once. Internal.
 *
 * @module
 */

/** Ids that a feed remembers: enough for the overlap of a backfill, and bounded. */
export const MEMORY = 65_536;

/** Remembers the latest ids, and which connection brought each. */
export class Memory {
  readonly #size: number;
  readonly #first = new Map<unknown, number>();
  /** The ids in the order in which they came, as a ring once it is full. */
  readonly #order: unknown[] = [];
  #next = 0;

  /**
   * Makes an empty memory.
   *
   * @param size Ids that are remembered; an older one is forgotten.
   */
  constructor(size: number = MEMORY) {
    this.#size = size;
  }

  /**
   * Notes an id, unless it is known.
   *
   * @param id The id of an item.
   * @param attempt The connection that brought the item; 0 for a backfill.
   * @returns The connection that brought the same id before; undefined if none did.
   */
  firstOf(id: unknown, attempt: number): number | undefined {
    const first = this.#first.get(id);
    if (first !== undefined) return first;
    if (this.#order.length === this.#size) this.#first.delete(this.#order[this.#next]);
    this.#order[this.#next] = id;
    this.#next = (this.#next + 1) % this.#size;
    this.#first.set(id, attempt);
    return undefined;
  }
}
