/**
 * What waits for the reader of a stream. Internal.
 *
 * @module
 */

/** Items that wait for a reader. */
export interface Queue<T> {
  readonly size: number;
  /** Puts the item in the place of one with the same key, if there is one. */
  replace(key: unknown, item: T): boolean;
  push(key: unknown, item: T): void;
  shift(): T;
  clear(): void;
}

/** A ring that doubles as it fills, up to the power of two that holds the capacity. */
export class RingQueue<T> implements Queue<T> {
  #ring: (T | undefined)[] = new Array(16);
  #head = 0;
  size = 0;

  replace(): boolean {
    return false;
  }

  push(_key: unknown, item: T): void {
    if (this.size === this.#ring.length) this.#grow();
    this.#ring[(this.#head + this.size++) & (this.#ring.length - 1)] = item;
  }

  shift(): T {
    const item = this.#ring[this.#head];
    this.#ring[this.#head] = undefined;
    this.#head = (this.#head + 1) & (this.#ring.length - 1);
    this.size--;
    return item as T;
  }

  clear(): void {
    this.#ring = new Array(16);
    this.#head = this.size = 0;
  }

  #grow(): void {
    const ring = this.#ring;
    this.#ring = [...ring.slice(this.#head), ...ring.slice(0, this.#head)];
    this.#ring.length = ring.length * 2;
    this.#head = 0;
  }
}

/** The latest item of each key, in the order in which the keys came. */
export class KeyedQueue<T> implements Queue<T> {
  readonly #items = new Map<unknown, T>();

  get size(): number {
    return this.#items.size;
  }

  replace(key: unknown, item: T): boolean {
    if (!this.#items.has(key)) return false;
    this.#items.set(key, item);
    return true;
  }

  push(key: unknown, item: T): void {
    this.#items.set(key, item);
  }

  shift(): T {
    const [[key, item]] = this.#items;
    this.#items.delete(key);
    return item;
  }

  clear(): void {
    this.#items.clear();
  }
}
