/**
 * What two connections deliver while one replaces the other. Internal.
 *
 * @module
 */

/** Tells what both connections deliver from what is new, where items can be told apart. */
export class Handover<C> {
  /** Who delivered an item first. */
  readonly #first = new Map<unknown, C>();
  /** Who delivered something new last: the other one has nothing that this one has not. */
  leader: C | undefined;
  /** Whether both have delivered the same item: so the new one began before the old one's end. */
  met = false;

  /** Whether any item could be told apart. */
  get begun(): boolean {
    return this.#first.size > 0;
  }

  /** Notes an item, and tells whether it has been delivered before. */
  isRepeated(id: unknown, connection: C): boolean {
    const isRepeated = this.#first.has(id);
    if (!isRepeated) {
      this.#first.set(id, connection);
      this.leader = connection;
    } else if (this.#first.get(id) !== connection) this.met = true;
    return isRepeated;
  }
}
