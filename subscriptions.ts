/**
 * What one connection of a feed has been asked for, and what it is still to be asked. Internal.
 *
 * @module
 */

import type { Frame } from "./connection.ts";

/** What one request asks for. */
export interface Change<S> {
  op: "subscribe" | "unsubscribe";
  subs: S[];
}

/** What one connection has been asked for, and what it is still to be asked. */
export class Subscriptions<S> {
  /** Frames of a request that has been begun. */
  readonly frames: Frame[] = [];
  /** Whether somebody is asking the venue. */
  flushing = false;
  readonly #sent = new Map<unknown, S>();
  readonly #drop = new Set<unknown>();
  readonly #add = new Map<unknown, S>();

  get pending(): boolean {
    return this.frames.length + this.#drop.size + this.#add.size > 0;
  }

  /** Notes what is wanted of this key now; `anew` asks for it again though nothing has changed. */
  mark(key: unknown, wanted: S | undefined, anew = false): void {
    this.#drop.delete(key);
    this.#add.delete(key);
    const sent = this.#sent.get(key);
    if (sent !== undefined && wanted !== undefined && !anew && same(sent, wanted)) return;
    if (sent !== undefined) this.#drop.add(key);
    if (wanted !== undefined) this.#add.set(key, wanted);
  }

  /** Takes the next batch that one request can ask for. */
  next(batch: number): Change<S> | undefined {
    const op = this.#drop.size > 0 ? "unsubscribe" : "subscribe";
    const subs: S[] = [];
    for (const key of op === "unsubscribe" ? this.#drop : this.#add.keys()) {
      if (subs.length >= batch) break;
      if (op === "unsubscribe") {
        subs.push(this.#sent.get(key)!);
        this.#sent.delete(key);
        this.#drop.delete(key);
      } else {
        const sub = this.#add.get(key)!;
        subs.push(sub);
        this.#sent.set(key, sub);
        this.#add.delete(key);
      }
    }
    return subs.length > 0 ? { op, subs } : undefined;
  }

  /** Notes that the venue does not hold this key, whatever it was asked. */
  forget(key: unknown): void {
    this.#sent.delete(key);
    this.#drop.delete(key);
    this.#add.delete(key);
  }
}

function same<S>(a: S, b: S): boolean {
  return a === b || (typeof a === "object" && fingerprint(a) === fingerprint(b));
}

/** JSON of a subscription; a bigint, which JSON does not have, is written as text. */
export function fingerprint(sub: unknown): string {
  return JSON.stringify(sub, (_, value) => typeof value === "bigint" ? `${value}n` : value);
}
