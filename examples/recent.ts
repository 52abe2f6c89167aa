/**
 * A map that forgets what was set long ago: for the states of orders and for requests, which have no
 * end.
 *
 * @module
 */

/** A map of the entries that were set last. */
export class Recent<K, V> extends Map<K, V> {
  readonly #most: number;
  readonly #mayGo: (value: V) => boolean;

  /**
   * Makes a map without entries.
   *
   * @param most Most entries.
   * @param mayGo Whether an entry may be forgotten. Those that may not are kept above `most`, too.
   */
  constructor(most: number, mayGo: (value: V) => boolean = () => true) {
    super();
    this.#most = most;
    this.#mayGo = mayGo;
  }

  /** Sets an entry, which is the youngest then, and forgets the oldest one if there are too many. */
  override set(key: K, value: V): this {
    this.delete(key);
    super.set(key, value);
    if (this.size > this.#most) {
      for (const [key, value] of this) {
        if (!this.#mayGo(value)) continue;
        this.delete(key);
        break;
      }
    }
    return this;
  }
}
