/**
 * What one connection of a feed has been asked for, and what it is still to be asked. Internal.
 *
 * @module
 */

import type { Connection, Frame } from "./connection.ts";

/** What one request asks for. */
export interface Change<S> {
  op: "subscribe" | "unsubscribe";
  subs: S[];
}

/** Writes a venue's requests. */
export interface RequestWriter<S> {
  /** Most subscriptions in one request. */
  readonly batch: number;
  /** Writes the frames of one request. */
  write(change: Change<S>): Frame[];
}

/** What one connection has been asked for, and what it is still to be asked. */
export class Subscriptions<S> {
  readonly #connection: Connection;
  readonly #writer: RequestWriter<S>;
  readonly #sent = new Map<unknown, S>();
  readonly #drop = new Set<unknown>();
  readonly #add = new Map<unknown, S>();
  /** Frames of a request that has been begun. */
  #frames: Frame[] = [];
  #flushing = false;

  constructor(connection: Connection, writer: RequestWriter<S>) {
    this.#connection = connection;
    this.#writer = writer;
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

  /** Asks the venue for what is wanted, frame by frame, until there is no difference left. */
  async flush(): Promise<void> {
    if (this.#flushing) return;
    this.#flushing = true;
    await null; // what is undone within the same turn never reaches the wire
    while (!this.#connection.ending && this.#pending) {
      // What to ask is decided when the frame may go, not when it starts to wait.
      const asked = await this.#connection.paced(() => this.#ask());
      if (!asked) this.#connection.end({ reason: "pace refused a frame" });
    }
    this.#flushing = false;
  }

  /** Notes that the venue does not hold this key, whatever it was asked. */
  forget(key: unknown): void {
    this.#sent.delete(key);
    this.#drop.delete(key);
    this.#add.delete(key);
  }

  get #pending(): boolean {
    return this.#frames.length + this.#drop.size + this.#add.size > 0;
  }

  #ask(): void {
    if (this.#frames.length === 0) {
      const change = this.#next();
      if (change) this.#frames = this.#writer.write(change);
    }
    const frame = this.#frames.shift();
    if (frame !== undefined) this.#connection.write(frame);
  }

  /** Takes the next batch that one request can ask for. */
  #next(): Change<S> | undefined {
    const op = this.#drop.size > 0 ? "unsubscribe" : "subscribe";
    const subs: S[] = [];
    for (const key of op === "unsubscribe" ? this.#drop : this.#add.keys()) {
      if (subs.length >= this.#writer.batch) break;
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
}

function same<S>(a: S, b: S): boolean {
  return a === b || (typeof a === "object" && fingerprint(a) === fingerprint(b));
}

/** JSON of a subscription; a bigint, which JSON does not have, is written as text. */
export function fingerprint(sub: unknown): string {
  return JSON.stringify(sub, (_, value) => typeof value === "bigint" ? `${value}n` : value);
}
