/**
 * The venue's side of feeds: logins, subscriptions, items with numbers, orders over the socket.
 *
 * @module
 */

import type { FeedClient, FeedScript, VenueFrame } from "../../testing.ts";
import type { FeedName } from "./history.ts";
import type { Witness } from "./witness.ts";

/** An item: the `seq`th of its symbol, from 1. */
export interface Item {
  readonly symbol: string;
  readonly seq: number;
}

/** An item in the venue's own log. */
interface Made extends Item {
  readonly at: number;
}

/** Time between two heartbeats, in milliseconds. */
const HEARTBEAT = 5_000;

/** The feeds of a venue. */
export class Market {
  /** Every item, with the venue's time. */
  readonly log: Made[] = [];
  /** Told when the venue begins to hold a subscription, or ceases to. */
  onHold: (feed: FeedName, symbol: string, isHeld: boolean) => void = () => {};
  /** Told when the venue refuses a subscription for good. */
  onRefuse: (feed: FeedName, symbol: string) => void = () => {};
  readonly #script: FeedScript;
  readonly #witness: Witness;
  readonly #loggedIn = new Set<FeedClient>();
  readonly #denied = new Map<string, { wait: number | undefined; times: number }>();
  readonly #muted = new Set<string>();
  readonly #order: (id: string, frame: object) => object;
  readonly #beats: ReturnType<typeof setInterval>;

  /** Opens the feeds. */
  constructor(
    script: FeedScript,
    witness: Witness,
    order: (id: string, frame: object) => object,
  ) {
    this.#script = script;
    this.#witness = witness;
    this.#order = order;
    script.on((frame, client) => this.#hear(JSON.parse(String(frame)), client));
    this.#beats = setInterval(() => script.send({ beat: true }), HEARTBEAT);
  }

  /** Makes an item of a symbol. */
  make(symbol: string): Item {
    const item = { symbol, seq: this.log.filter((made) => made.symbol === symbol).length + 1 };
    this.log.push({ ...item, at: performance.now() });
    this.#witness.note(`venue makes ${symbol} ${item.seq}`);
    if (!this.#muted.has(symbol)) this.#script.publish(symbol, { item });
    return item;
  }

  /** The items of some symbols since a time. */
  since(at: number, symbols: string[]): Item[] {
    return this.log.filter((made) => made.at >= at && symbols.includes(made.symbol))
      .map(({ symbol, seq }) => ({ symbol, seq }));
  }

  /** Whether nothing of a symbol is published. */
  isMute(symbol: string): boolean {
    return this.#muted.has(symbol);
  }

  /** Publishes nothing of a symbol. */
  mute(symbol: string): void {
    this.#muted.add(symbol);
  }

  /** Publishes a symbol again. */
  unmute(symbol: string): void {
    this.#muted.delete(symbol);
  }

  /** Ceases to hold a symbol, without a word. */
  forget(symbol: string): void {
    for (const client of this.#script.clients) this.#hold(client, symbol, false);
  }

  /** Refuses a symbol some times. */
  deny(symbol: string, wait: number | undefined, times: number): void {
    this.#denied.set(symbol, { wait, times });
  }

  /** Refuses nothing any more, and publishes everything. */
  heal(): void {
    this.#denied.clear();
    this.#muted.clear();
  }

  /** The clients of a feed that are connected and can hear. */
  clientsOf(feed: FeedName): FeedClient[] {
    return this.#script.clients.filter((client) =>
      feedOf(client) === feed && !client.isSilent && client.closeCode === undefined
    );
  }

  /** Sends no heartbeats any more. */
  close(): void {
    clearInterval(this.#beats);
    this.#script.stop();
  }

  #hear(frame: { op: string; id: string; symbols: string[] }, client: FeedClient): void {
    const { op, id, symbols } = frame;
    this.#witness.note(`venue hears ${op} ${id ?? symbols} of ${feedOf(client)} ${client.id}`);
    if (op === "login") {
      this.#loggedIn.add(client);
      return client.send({ login: id });
    }
    if (!this.#loggedIn.has(client)) this.#witness.fault(`${op} comes before the login`);
    if (op === "order") client.send({ answer: id, value: this.#order(id, frame) });
    else for (const symbol of symbols) this.#ask(op, symbol, client);
  }

  #ask(op: string, symbol: string, client: FeedClient): void {
    if (op === "unsubscribe") return this.#hold(client, symbol, false);
    const denial = this.#denied.get(symbol);
    if (denial && denial.times-- > 0) {
      this.#witness.count(denial.wait === undefined ? "denied" : "denied for a while");
      this.#hold(client, symbol, false);
      if (denial.wait === undefined) this.onRefuse(feedOf(client), symbol);
      return client.send({ denied: symbol, wait: denial.wait });
    }
    this.#hold(client, symbol, true);
    client.send({ granted: symbol });
  }

  #hold(client: FeedClient, symbol: string, isHeld: boolean): void {
    if (isHeld) client.held.add(symbol);
    else client.held.delete(symbol);
    this.onHold(feedOf(client), symbol, isHeld);
  }
}

/** The feed that a client belongs to. */
function feedOf({ path }: FeedClient): FeedName {
  return path.split("/")[2] as FeedName;
}

/** A word that all frames of a kind hold, as faults of frames name it. */
export function holds(frame: VenueFrame, word: string): boolean {
  return String(frame).includes(`"${word}"`);
}

/** The item in a frame, if there is one. */
export function itemIn(frame: VenueFrame): Item | undefined {
  return holds(frame, "item") ? JSON.parse(String(frame)).item : undefined;
}
