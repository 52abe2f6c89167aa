/**
 * Several maps read as one. Internal.
 *
 * @module
 */

/** The entries of several maps, which share no key, as one read-only map. */
export class Union<K, V> implements ReadonlyMap<K, V> {
  readonly #maps: readonly ReadonlyMap<K, V>[];

  constructor(maps: readonly ReadonlyMap<K, V>[]) {
    this.#maps = maps;
  }

  get size(): number {
    return this.#maps.reduce((size, map) => size + map.size, 0);
  }

  has(key: K): boolean {
    return this.#maps.some((map) => map.has(key));
  }

  get(key: K): V | undefined {
    return this.#maps.find((map) => map.has(key))?.get(key);
  }

  forEach(callback: (value: V, key: K, map: ReadonlyMap<K, V>) => void, self?: unknown): void {
    for (const [key, value] of this) callback.call(self, value, key, this);
  }

  *entries(): MapIterator<[K, V]> {
    for (const map of this.#maps) yield* map.entries();
  }

  *keys(): MapIterator<K> {
    for (const map of this.#maps) yield* map.keys();
  }

  *values(): MapIterator<V> {
    for (const map of this.#maps) yield* map.values();
  }

  [Symbol.iterator](): MapIterator<[K, V]> {
    return this.entries();
  }
}
