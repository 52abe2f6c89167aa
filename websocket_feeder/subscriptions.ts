/**
 * What one connection of a feed has been asked for, and what it is still to be asked. Internal.
 *
 * @module
 */

import type { Connection, Frame } from "./connection.ts";
import { isSame } from "./fingerprint.ts";

/** What one request asks for. */
export interface Change<S> {
  op: "subscribe" | "unsubscribe";
  subs: S[];
}

/** What the subscriptions of a connection need of their feed. */
export interface Asking<S> {
  /** Most subscriptions in one request. */
  readonly batch: number;
  /** How long the venue may take to confirm, in milliseconds; `0` where it confirms nothing. */
  readonly confirmTimeout: number;
  /** Writes the frames of one request. Does not throw. */
  write(change: Change<S>, connection: Connection): Frame[] | Promise<Frame[]>;
  /** Told when nothing is left to be asked and to be confirmed: each time that becomes so. */
  done(connection: Connection): void;
  /** Told what the venue has not confirmed, however often it was asked. */
  unconfirmed(keys: unknown[], connection: Connection): void;
}

/** One time that a subscription was asked for: the first, or a repeat. */
interface Ask {
  readonly times: number;
}

/** How often a subscription is asked for before the connection is given up. */
export const MOST_ASKS = 3;

/** What one connection has been asked for, and what it is still to be asked. */
export class Subscriptions<S> {
  readonly #connection: Connection;
  readonly #asking: Asking<S>;
  readonly #sent = new Map<unknown, S>();
  /** The latest time that each of those was asked for which the venue has not confirmed. */
  readonly #unconfirmed = new Map<unknown, Ask>();
  readonly #drop = new Set<unknown>();
  readonly #add = new Map<unknown, S>();
  /** The request that has been begun: its frames, and what it asks for. */
  #request: { frames: Frame[]; asked: Map<unknown, Ask> } | undefined;
  #isFlushing = false;
  /** Whether requests take a promise: then they are written before there is leave to send them. */
  #isSlow = false;
  readonly #done = Promise.withResolvers<void>();

  constructor(connection: Connection, asking: Asking<S>) {
    this.#connection = connection;
    this.#asking = asking;
  }

  /** Resolves once nothing is left to be asked and to be confirmed, for the first time. */
  get done(): Promise<void> {
    return this.#done.promise;
  }

  /** Whether nothing is left to be asked and to be confirmed. */
  get isDone(): boolean {
    return !this.#isFlushing && !this.#isPending && this.#unconfirmed.size === 0;
  }

  /** Notes what is wanted of this key now; `anew` asks for it again though nothing has changed. */
  mark(key: unknown, wanted: S | undefined, anew = false): void {
    const sent = this.#sent.get(key);
    const isAsked = sent !== undefined && wanted !== undefined && !anew && isSame(sent, wanted);
    this.#drop.delete(key);
    // One that is to be asked for again stays so.
    if (!isAsked || !this.#unconfirmed.has(key)) this.#add.delete(key);
    if (isAsked) return;
    if (sent !== undefined) this.#drop.add(key);
    if (wanted !== undefined) this.#add.set(key, wanted);
  }

  /** Asks the venue for what is wanted, frame by frame, until there is no difference left. */
  async flush(): Promise<void> {
    if (this.#isFlushing) return;
    this.#isFlushing = true;
    await null; // what is undone within the same turn never reaches the wire
    const connection = this.#connection;
    while (!connection.ending && !connection.isLeft && this.#isPending) {
      if (this.#isSlow && !this.#request) await this.#begin();
      let begun: Promise<void> | undefined;
      // What to ask is decided when the frame may go, not when it starts to wait.
      const isSent = await connection.paced(() => void (begun = this.#ask()));
      if (!isSent) connection.end({ reason: "pace refused a frame" });
      await begun;
    }
    this.#isFlushing = false;
    this.#tellDone();
  }

  /** Notes that the venue holds this key. */
  confirm(key: unknown): void {
    if (!this.#unconfirmed.delete(key)) return;
    if (this.#sent.has(key) && !this.#drop.has(key)) this.#add.delete(key);
    this.#tellDone();
  }

  /** Notes that the venue does not hold this key, whatever it was asked. */
  forget(key: unknown): void {
    this.#sent.delete(key);
    this.#unconfirmed.delete(key);
    this.#drop.delete(key);
    this.#add.delete(key);
    this.#tellDone();
  }

  get #isPending(): boolean {
    return this.#request !== undefined || this.#drop.size + this.#add.size > 0;
  }

  #tellDone(): void {
    if (!this.isDone || this.#connection.ending) return;
    this.#done.resolve();
    this.#asking.done(this.#connection);
  }

  /** Sends the next frame, or resolves once it is at hand. */
  #ask(): Promise<void> | undefined {
    const begun = this.#request ? undefined : this.#begin();
    if (begun) return begun;
    const frame = this.#request?.frames.shift();
    if (frame !== undefined) this.#connection.write(frame);
    if (this.#request?.frames.length !== 0) return;
    const { asked } = this.#request;
    this.#request = undefined;
    this.#await(asked);
  }

  /** Begins the next request: at once, where its frames take no promise. */
  #begin(): Promise<void> | undefined {
    const change = this.#next();
    if (!change) return;
    const { asked } = change;
    const frames = this.#asking.write(change, this.#connection);
    if (!(frames instanceof Promise)) this.#request = { frames, asked };
    else {
      this.#isSlow = true;
      return frames.then((frames) => void (this.#request = { frames, asked }));
    }
  }

  /** Takes the next batch that one request can ask for. */
  #next(): (Change<S> & { asked: Map<unknown, Ask> }) | undefined {
    const op = this.#drop.size > 0 ? "unsubscribe" : "subscribe";
    const subs: S[] = [];
    const asked = new Map<unknown, Ask>();
    for (const key of op === "unsubscribe" ? this.#drop : this.#add.keys()) {
      if (subs.length >= this.#asking.batch) break;
      if (op === "unsubscribe") subs.push(this.#take(key));
      else {
        const sub = this.#add.get(key)!;
        subs.push(sub);
        asked.set(key, { times: (this.#unconfirmed.get(key)?.times ?? 0) + 1 });
        this.#sent.set(key, sub);
        this.#add.delete(key);
      }
    }
    if (subs.length === 0) return undefined;
    if (this.#asking.confirmTimeout > 0) {
      for (const [key, ask] of asked) this.#unconfirmed.set(key, ask);
    }
    return { op, subs, asked };
  }

  /** Takes a key off what the venue holds. */
  #take(key: unknown): S {
    const sub = this.#sent.get(key)!;
    this.#sent.delete(key);
    this.#unconfirmed.delete(key);
    this.#drop.delete(key);
    return sub;
  }

  /** Waits for the confirmations of a request: twice as long each time that it is repeated. */
  #await(asked: Map<unknown, Ask>): void {
    const { confirmTimeout, unconfirmed } = this.#asking;
    if (confirmTimeout === 0 || asked.size === 0) return;
    let longest = 1;
    for (const { times } of asked.values()) longest = Math.max(longest, times);
    this.#connection.after(confirmTimeout * 2 ** (longest - 1), () => {
      const late = [...asked].filter(([key, ask]) => this.#unconfirmed.get(key) === ask);
      const lost = late.filter(([, { times }]) => times >= MOST_ASKS).map(([key]) => key);
      for (const [key, { times }] of late) {
        if (times < MOST_ASKS && !this.#drop.has(key)) this.#add.set(key, this.#sent.get(key)!);
      }
      if (lost.length > 0) unconfirmed(lost, this.#connection);
      void this.flush();
    });
  }
}
