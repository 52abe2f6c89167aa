/**
 * Queues of items that wait for the reader of a stream. Internal.
 *
 * @module
 */

/** Items that wait for a reader. Every operation costs the same at any size. */
export interface Queue<T> {
  /** Items that wait. */
  readonly size: number;
  /** Puts the item in the place of the one with the same key, and tells whether there was one. */
  replace(key: unknown, item: T): boolean;
  /** Adds an item at the end. Of a keyed queue, the key must be new. */
  push(key: unknown, item: T): void;
  /** Takes the oldest item. The queue must hold one. */
  shift(): T;
  /** Forgets all items. */
  clear(): void;
}

/**
 * Every item, in order: new items go into one array while another is read; then they take turns.
 */
export class Fifo<T> implements Queue<T> {
  #incoming: T[] = [];
  #outgoing: (T | undefined)[] = [];
  #head = 0;

  get size(): number {
    return this.#incoming.length + this.#outgoing.length - this.#head;
  }

  replace(): boolean {
    return false;
  }

  push(_key: unknown, item: T): void {
    this.#incoming.push(item);
  }

  shift(): T {
    if (this.#head === this.#outgoing.length) {
      this.#outgoing = this.#incoming;
      this.#incoming = [];
      this.#head = 0;
    }
    const item = this.#outgoing[this.#head];
    this.#outgoing[this.#head++] = undefined; // an item that was read is not kept alive
    return item as T;
  }

  clear(): void {
    this.#incoming = [];
    this.#outgoing = [];
    this.#head = 0;
  }
}

/** The latest item of each key, in the order in which the keys came. */
export class KeyedQueue<T> implements Queue<T> {
  // The map alone has this order too. But V8 finds the first key of a map by walking over the keys
  // that were deleted before it, so each shift() would cost more the longer the queue has been.
  readonly #order = new Fifo<Entry<T>>();
  readonly #entries = new Map<unknown, Entry<T>>();

  get size(): number {
    return this.#entries.size;
  }

  replace(key: unknown, item: T): boolean {
    const entry = this.#entries.get(key);
    if (entry === undefined) return false;
    entry.item = item;
    return true;
  }

  push(key: unknown, item: T): void {
    const entry = { key, item };
    this.#entries.set(key, entry);
    this.#order.push(key, entry);
  }

  shift(): T {
    const { key, item } = this.#order.shift();
    this.#entries.delete(key);
    return item;
  }

  clear(): void {
    this.#order.clear();
    this.#entries.clear();
  }
}

interface Entry<T> {
  readonly key: unknown;
  item: T;
}
