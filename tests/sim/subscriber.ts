/**
 * The caller's side of feeds: subscriptions, and what was delivered.
 *
 * @module
 */

import {
  type AbstractFeeder,
  type FeedConnection,
  type FeedError,
  type RateLimiter,
  WebSocketFeeder,
  type WebSocketFeederOptions,
} from "../../mod.ts";
import type { FeedName, Setting } from "./history.ts";
import type { Item } from "./market.ts";
import { KEYS } from "./trader.ts";
import type { Witness } from "./witness.ts";

/** What a feed needs of its world. */
export interface FeedWorld {
  readonly setting: Setting;
  readonly witness: Witness;
  readonly wsUrl: string;
  readonly pace: RateLimiter | undefined;
  readonly dials: RateLimiter | undefined;
  readonly life: AbortSignal;
  /** The `performance.now()` of each attempt to connect, and of each frame that went out. */
  readonly dialled: number[];
  readonly written: number[];
  createSocket(url: string): WebSocket;
  /** Asks the venue for items, since an epoch time of this computer. */
  items(since: number, symbols: unknown[], signal: AbortSignal): Promise<Item[]>;
}

/** A feed of a venue that confirms. */
export class SimFeed extends WebSocketFeeder<Item> {
  protected override batch = 3;
  readonly #world: FeedWorld;
  readonly #path: string;

  /** Makes a feed whose sockets dial a path of their own. */
  constructor(world: FeedWorld, name: FeedName, number: number) {
    super(optionsOf(world));
    this.#world = world;
    this.#path = `feed/${name}/${number}`;
  }

  protected override endpoint(): string {
    return `${this.#world.wsUrl}${this.#path}?token=${encodeURIComponent(KEYS.feed)}`;
  }

  protected override createSocket(url: string): WebSocket {
    const { dialled, written } = this.#world;
    dialled.push(performance.now());
    const socket = this.#world.createSocket(url);
    const send = socket.send.bind(socket);
    socket.send = (data) => {
      written.push(performance.now());
      send(data);
    };
    return socket;
  }

  protected override async handshake(connection: FeedConnection): Promise<void> {
    const id = `login-${connection.attempt}`;
    await connection.ask(id, JSON.stringify({ op: "login", id, key: KEYS.feed }));
  }

  protected override request(op: "subscribe" | "unsubscribe", symbols: string[]): string {
    return JSON.stringify({ op, symbols });
  }

  protected override receive(data: string | ArrayBuffer, connection: FeedConnection): void {
    const frame = JSON.parse(String(data));
    if (frame.item) this.emit(frame.item);
    else if (frame.granted) this.confirm(frame.granted);
    else if (frame.denied) this.refuse(frame.denied, "not now", { retryAfter: frame.wait });
    else if (frame.login) connection.answer(frame.login);
    else if (frame.answer) connection.answer(frame.answer, frame.value);
  }

  protected override keyOf({ symbol }: Item): string {
    return symbol;
  }

  /** Places an order over the socket. */
  order(id: string, timeout: number): Promise<{ id: string }> {
    return this.ask(id, JSON.stringify({ op: "order", id }), { timeout });
  }

  /** Asks for a subscription again. */
  repair(symbol: string): void {
    this.resubscribe(symbol);
  }

  /** Replaces the connection without a gap. */
  renew(): void {
    this.replace();
  }
}

/** A feed that tells items apart, and fills its gaps. */
export class FillingFeed extends SimFeed {
  readonly #world: FeedWorld;

  /** Makes a feed. */
  constructor(world: FeedWorld, name: FeedName, number: number) {
    super(world, name, number);
    this.#world = world;
  }

  protected override identify({ symbol, seq }: Item): string {
    return `${symbol} ${seq}`;
  }

  protected override backfill(
    { since }: { since: number },
    signal: AbortSignal,
  ): Promise<Item[]> {
    this.#world.witness.count("backfill");
    return this.#world.items(since, [...this.subscriptions.keys()], signal);
  }
}

/** Makes the feed that a setting asks for. */
export function feedOf(world: FeedWorld, name: FeedName, number: number): SimFeed {
  return new (world.setting.fills ? FillingFeed : SimFeed)(world, name, number);
}

function optionsOf({ setting, pace, dials, life: signal }: FeedWorld): WebSocketFeederOptions {
  return {
    ...setting.feed,
    connectTimeout: 5_000,
    staleAfter: 12_000,
    baseWait: 200,
    maxWait: 4_000,
    resetRetryAfter: 10_000,
    pace,
    dials,
    signal,
  };
}

/** A time that a feed has told as lost, in epoch milliseconds. */
export interface Lost {
  readonly since: number;
  readonly until: number;
}

/** The face that both feeds share, as far as a user needs it. */
export type Face = AbstractFeeder<Item> & {
  readonly state: string;
  readonly closed: Promise<FeedError | undefined>;
  readonly subscriptions: ReadonlyMap<unknown, string>;
  subscribe(...symbols: string[]): void;
  unsubscribe(...symbols: string[]): void;
  reconnect(reason?: string): void;
};

/** The user of a feed, who remembers everything that was delivered. */
export class Subscriber {
  /** The name of the feed. */
  readonly name: FeedName;
  /** The feed. */
  readonly feed: Face;
  /** The items in the order of their delivery. */
  readonly items: Item[] = [];
  /** The items that a stream of the feed has given. */
  readonly streamed: Item[] = [];
  /** The times that are lost for good. */
  readonly lost: Lost[] = [];
  /** What the user wants, and how often it was subscribed to. */
  readonly wanted: Map<string, number> = new Map();
  /** How often each symbol was subscribed to since the beginning. */
  readonly times: Map<string, number> = new Map();
  /** The error that ended the feed, and whether anything did. */
  ended: { error: FeedError | undefined } | undefined;
  /** When the user closed the feed, or one shard's end closed the others. */
  closingAt: number = Infinity;
  /** Whether the stream has ended. */
  isStreamOver = false;
  /** Whether the promise of `connect()` has settled. */
  isConnectSettled = false;
  readonly #witness: Witness;

  /** Makes a user of a feed. */
  constructor(name: FeedName, feed: Face, witness: Witness) {
    this.name = name;
    this.feed = feed;
    this.#witness = witness;
    this.#listen();
    void this.#read();
    const settled = () => void (this.isConnectSettled = true);
    feed.connect().then(settled, (error) => {
      witness.show(`connect() of ${name}`, error);
      settled();
    });
    feed.closed.then((error) => {
      witness.note(`${name} is closed ${error ?? ""}`);
      this.ended = { error };
    });
  }

  /** Subscribes. */
  subscribe(symbols: string[]): void {
    if (this.ended) return;
    for (const symbol of symbols) {
      this.wanted.set(symbol, performance.now());
      this.times.set(symbol, (this.times.get(symbol) ?? 0) + 1);
    }
    this.feed.subscribe(...symbols);
  }

  /** Unsubscribes. */
  unsubscribe(symbols: string[]): void {
    for (const symbol of symbols) this.wanted.delete(symbol);
    this.feed.unsubscribe(...symbols);
  }

  #listen(): void {
    const { feed, name } = this;
    const witness = this.#witness;
    feed.on("item", (item) => {
      this.items.push(item);
      witness.note(`${name} delivers ${item.symbol} ${item.seq}`);
    });
    feed.on("gap", ({ since, until, filled, cause }) => {
      witness.count(filled ? "gap filled" : "gap not filled");
      witness.note(`${name} gap ${since} ${until} ${filled}`);
      witness.show("a gap", cause);
      if (!filled) this.lost.push({ since, until });
    });
    for (const type of ["state", "live", "retry", "subscribed", "quiet", "error"] as const) {
      feed.on(type, (event) => {
        witness.count(`feed ${type}`);
        witness.show(`the event ${type}`, event);
        witness.note(`${name} ${type} ${type === "state" ? feed.state : ""}`);
        if (feed.state !== "closing") return;
        this.closingAt = Math.min(performance.now(), this.closingAt);
      });
    }
  }

  async #read(): Promise<void> {
    try {
      for await (const item of this.feed.stream({ capacity: Infinity })) this.streamed.push(item);
    } catch (error) {
      this.#witness.show("a stream", error);
    }
    this.isStreamOver = true;
  }
}
