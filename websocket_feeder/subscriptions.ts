/**
 * Brings one connection of a feed to its subscriptions. Internal.
 *
 * @module
 */

import type { Connection, Frame } from "./connection.ts";
import { isSame } from "./fingerprint.ts";

/** One request. */
export interface Change<S> {
  op: "subscribe" | "unsubscribe";
  subs: S[];
}

/** How a venue is asked. */
export interface Asking<S> {
  /** Most subscriptions in one request. */
  readonly batch: number;
  /** Longest time to a confirmation, in milliseconds. `0` where the venue confirms nothing. */
  readonly confirmTimeout: number;
  /** Longest time for the frames of one request, in milliseconds. */
  readonly patience: number;
  /** Writes the frames of one request. Does not throw. */
  write(change: Change<S>, connection: Connection): Frame[] | Promise<Frame[]>;
  /** Told each time that all is asked for and confirmed. */
  done(connection: Connection): void;
  /** Told the keys that the venue has not confirmed after the last repeat. */
  unconfirmed(keys: unknown[], connection: Connection): void;
}

/** One request for one subscription: the first, or a repeat. */
interface Ask {
  readonly times: number;
  /** Confirmations still to come that belong to requests from before an unsubscribe. */
  stale: number;
}

/** Requests for one subscription before the connection is given up. */
export const MOST_ASKS = 3;

/** Subscriptions of one connection: asked for, and still to be asked for. */
// More than 10 private fields: five of them are the states of a subscription, which all change together.
export class Subscriptions<S> {
  readonly #connection: Connection;
  readonly #asking: Asking<S>;
  readonly #sent = new Map<unknown, S>();
  /** Latest request for each subscription that the venue has not confirmed. */
  readonly #unconfirmed = new Map<unknown, Ask>();
  /** Confirmations still to come of subscriptions that were dropped before they were confirmed. */
  readonly #stale = new Map<unknown, number>();
  /** Requests so far for each subscription. */
  readonly #requests = new Map<unknown, number>();
  readonly #drop = new Set<unknown>();
  readonly #add = new Map<unknown, S>();
  /** The request that has been begun: its frames, and the subscriptions in it. */
  #request: { frames: Frame[]; asked: Map<unknown, Ask> } | undefined;
  #isFlushing = false;
  /** Whether requests take a promise. Then they are written before the wait for `pace`. */
  #isSlow = false;
  readonly #done = Promise.withResolvers<void>();

  constructor(connection: Connection, asking: Asking<S>) {
    this.#connection = connection;
    this.#asking = asking;
  }

  /** Resolves when all is asked for and confirmed for the first time. */
  get done(): Promise<void> {
    return this.#done.promise;
  }

  /** Whether all is asked for and confirmed. */
  get isDone(): boolean {
    return !this.#isFlushing && !this.#isPending && this.#unconfirmed.size === 0;
  }

  /**
   * Notes the subscription that is wanted under a key. `anew` asks for it though it is unchanged.
   */
  mark(key: unknown, wanted: S | undefined, anew = false): void {
    const sent = this.#sent.get(key);
    const isAsked = sent !== undefined && wanted !== undefined && !anew && isSame(sent, wanted);
    this.#drop.delete(key);
    // A repeat for want of a confirmation stays due.
    if (!isAsked || !this.#unconfirmed.has(key)) this.#add.delete(key);
    if (isAsked) return;
    if (sent !== undefined) this.#drop.add(key);
    if (wanted !== undefined) this.#add.set(key, wanted);
  }

  /** Asks the venue, frame by frame, until nothing is left to ask. */
  async flush(): Promise<void> {
    if (this.#isFlushing) return;
    this.#isFlushing = true;
    await null; // a change that is undone within the same turn never reaches the wire
    const connection = this.#connection;
    while (this.#mayAsk) {
      if (this.#isSlow && !this.#request) await this.#begin();
      let begun: Promise<void> | undefined;
      // The request is decided on when the frame may go, not when it starts to wait.
      const isSent = await connection.paced(() => {
        if (this.#mayAsk) begun = this.#ask();
      });
      if (!isSent) connection.end({ reason: "pace refused a frame" });
      await begun;
    }
    this.#isFlushing = false;
    this.#tellDone();
  }

  /** Notes that the venue has granted a subscription. */
  confirm(key: unknown): void {
    const ask = this.#unconfirmed.get(key);
    const stale = ask?.stale ?? this.#stale.get(key) ?? 0;
    if (stale > 0) {
      if (ask) ask.stale--;
      else this.#stale.set(key, stale - 1);
      return;
    }
    if (!this.#unconfirmed.delete(key)) return;
    if (this.#sent.has(key) && !this.#drop.has(key)) this.#add.delete(key);
    this.#tellDone();
  }

  /** Whether answers still come over the connection. */
  get isHeard(): boolean {
    return !this.#connection.ending;
  }

  /** How many requests for a subscription were sent, of which the venue may have granted any. */
  requests(key: unknown): number {
    return this.#requests.get(key) ?? 0;
  }

  /** Notes that the venue has refused the only request for a subscription. */
  forget(key: unknown): void {
    this.#requests.delete(key);
    this.#sent.delete(key);
    this.#stale.delete(key);
    this.#unconfirmed.delete(key);
    this.#drop.delete(key);
    this.#add.delete(key);
    this.#tellDone();
  }

  /** Whether there is something to ask, and no other connection has taken over. */
  get #mayAsk(): boolean {
    return !this.#connection.ending && this.#connection.stage === "current" && this.#isPending;
  }

  get #isPending(): boolean {
    return this.#request !== undefined || this.#drop.size + this.#add.size > 0;
  }

  #tellDone(): void {
    if (!this.isDone || this.#connection.ending) return;
    this.#done.resolve();
    this.#asking.done(this.#connection);
  }

  /** Sends the next frame. If the frame is not at hand, resolves once it is. */
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

  /** Begins the next request: at once if its frames take no promise. */
  #begin(): Promise<void> | undefined {
    const change = this.#next();
    if (!change) return;
    const { asked } = change;
    const frames = this.#asking.write(change, this.#connection);
    if (!(frames instanceof Promise)) this.#request = { frames, asked };
    else {
      this.#isSlow = true;
      const reason = "request() gave no frames in time";
      const { patience } = this.#asking;
      const stop = this.#connection.after(patience, () => this.#connection.end({ reason }));
      return frames.then((frames) => {
        stop();
        this.#request = { frames, asked };
      });
    }
  }

  /** Takes the next batch of subscriptions for one request. */
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
        const times = (this.#unconfirmed.get(key)?.times ?? 0) + 1;
        asked.set(key, { times, stale: this.#stale.get(key) ?? 0 });
        this.#stale.delete(key);
        this.#requests.set(key, this.requests(key) + 1);
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

  /** Takes a subscription that the venue is to drop. */
  #take(key: unknown): S {
    const sub = this.#sent.get(key)!;
    const ask = this.#unconfirmed.get(key);
    if (ask) this.#stale.set(key, ask.times + ask.stale);
    this.#sent.delete(key);
    this.#unconfirmed.delete(key);
    this.#drop.delete(key);
    return sub;
  }

  /** Waits for the confirmations of a request: twice as long with each repeat. */
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

/**
 * Makes a list of one frame, or of several.
 *
 * @param frames What `request` returned.
 * @returns The list.
 */
export function inList(frames: Frame | Iterable<Frame>): Frame[] {
  const isFrame = typeof frames === "string" || frames instanceof ArrayBuffer ||
    ArrayBuffer.isView(frames);
  return isFrame ? [frames as Frame] : [...frames as Iterable<Frame>];
}
