/**
 * A list that calls join and leave at any place. Internal to {@linkcode Session}.
 *
 * A Set would do the same, and cost more than all else that a session does. A Set makes itself a new
 * table after some deletions. V8 keeps what the old table still names, the calls of that time, until
 * the next major collection, and copies all of them in each minor one.
 *
 * @module
 */

/** The place of one value in a {@linkcode Chain}. A link that was taken out names no neighbour. */
export class Link<T> {
  /** The value. */
  readonly value: T;
  /** The link before, or the end of the chain; the link itself if it is in none. */
  before: Link<T> = this;
  /** The link after, or the end of the chain; the link itself if it is in none. */
  after: Link<T> = this;

  /**
   * Makes a link that is in no chain.
   *
   * @param value The value.
   */
  constructor(value: T) {
    this.value = value;
  }
}

/** Values in the order in which they came. */
export class Chain<T> {
  readonly #end = new Link<T>(undefined as T);
  #size = 0;

  /** Number of values. */
  get size(): number {
    return this.#size;
  }

  /** The oldest link, if there is one. */
  get first(): Link<T> | undefined {
    return this.#size === 0 ? undefined : this.#end.after;
  }

  /** All values, the oldest first. */
  get values(): T[] {
    const values: T[] = [];
    for (let link = this.#end.after; link !== this.#end; link = link.after) values.push(link.value);
    return values;
  }

  /**
   * Adds a value at the end.
   *
   * @param value The value.
   * @returns Its place, for {@linkcode Chain.remove}.
   */
  add(value: T): Link<T> {
    const link = new Link(value);
    link.before = this.#end.before;
    link.after = this.#end;
    link.before.after = this.#end.before = link;
    this.#size++;
    return link;
  }

  /**
   * Takes a value out.
   *
   * @param link The place of the value.
   * @returns Whether the value was in the chain.
   */
  remove(link: Link<T>): boolean {
    if (link.after === link) return false;
    link.before.after = link.after;
    link.after.before = link.before;
    link.before = link.after = link;
    this.#size--;
    return true;
  }
}
