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

/** Every item, in order: what comes goes into one array while another is read; then they take turns. */
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
    this.#outgoing[this.#head++] = undefined; // what has been read is not kept alive
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
