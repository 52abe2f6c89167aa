/**
 * Spreads a feed over several sockets, for venues that limit the subscriptions of one socket.
 *
 * ```ts
 * import { ShardedFeeder, WebSocketFeeder } from "@aio-trader/core";
 * import { assertEquals, assertThrows } from "@std/assert";
 *
 * class TradeFeed extends WebSocketFeeder<{ symbol: string; price: number }> {
 *   protected override endpoint() {
 *     return "wss://venue.example/trades";
 *   }
 *   protected override request(op: "subscribe" | "unsubscribe", symbols: string[]) {
 *     return JSON.stringify({ op, symbols });
 *   }
 *   protected override receive(data: string | ArrayBuffer) {
 *     this.emit(JSON.parse(String(data)));
 *   }
 * }
 *
 * await using feed = new ShardedFeeder(() => new TradeFeed(), { limit: 2, maxShards: 2 });
 * feed.subscribe("INFY", "TCS", "WIPRO"); // two sockets
 * assertEquals(feed.subscriptions.size, 3);
 * assertThrows(() => feed.subscribe("HDFC", "SBIN"), RangeError); // it would take a third socket
 * // await feed.connect(); resolves once every socket is live
 * ```
 *
 * @module
 */

import { checkFunction, checkNumber, checkSignal } from "./common/check.ts";
import { AbstractFeeder, FeedError, type FeedEvents, type FeedState } from "./feeder.ts";
import { Union } from "./sharded_feeder/union.ts";
import type { FeedStats, WebSocketFeeder } from "./websocket_feeder.ts";

/**
 * Options of {@linkcode ShardedFeeder}.
 *
 * @example Two subscriptions on each socket
 * ```ts
 * import { ShardedFeeder, type ShardedFeederOptions } from "@aio-trader/core/sharded-feeder";
 * import { SimulatedVenue, VirtualTime } from "@aio-trader/core/testing";
 * import { WebSocketFeeder } from "@aio-trader/core/websocket-feeder";
 * import { assertEquals } from "@std/assert";
 *
 * using time = new VirtualTime();
 * const venue = new SimulatedVenue();
 * class Feed extends WebSocketFeeder<string> {
 *   protected override endpoint() {
 *     return venue.wsUrl;
 *   }
 *   protected override createSocket(url: string) {
 *     return venue.createSocket(url);
 *   }
 *   protected override request(_: "subscribe" | "unsubscribe", [symbol]: string[]) {
 *     return symbol;
 *   }
 *   protected override receive(frame: string | ArrayBuffer) {
 *     this.emit(String(frame));
 *   }
 * }
 *
 * const options: ShardedFeederOptions = { limit: 2, maxShards: 5 };
 * const feed = new ShardedFeeder(() => new Feed(), options);
 * feed.subscribe("INFY", "TCS", "WIPRO");
 * void feed.connect();
 * await time.pass(500);
 *
 * assertEquals(venue.feed.clients.length, 2);
 * await Promise.all([feed.close(), time.pass(5_000)]);
 * ```
 */
export interface ShardedFeederOptions {
  /**
   * Most subscriptions on one socket: an integer of at least 1.
   *
   * @default the `limit` of the feeds; without one, all subscriptions share one socket
   */
  limit?: number | undefined;
  /**
   * Most sockets at a time: an integer of at least 1. `Infinity` sets no limit.
   *
   * @default {Infinity}
   */
  maxShards?: number | undefined;
  /** Closes the feed when it aborts. */
  signal?: AbortSignal | undefined;
}

/** The events that every shard passes on as they are. */
const PASSED_ON = [
  "retry",
  "subscribed",
  "gap",
  "quiet",
] as const satisfies readonly (keyof FeedEvents<unknown>)[];

/**
 * A feed over as many sockets as its subscriptions take, with the face of a single
 * {@linkcode WebSocketFeeder}. Each socket belongs to a feed of its own: a shard.
 *
 * - A subscription stays on the shard that got it. A new subscription goes to the first shard with
 *   room. The feed moves nothing: only a subscription that leaves makes room.
 * - A shard whose last subscription has left closes, except the only one.
 * - A shard that loses its connection touches no other. A shard that ends with an error, a fatal
 *   one for instance, ends the whole feed with that error.
 * - A call that needs more than `maxShards` is refused as a whole and changes nothing.
 * - All shards deliver to the same listeners and streams. The order of items holds per shard, so
 *   per subscription.
 *
 * Two things are for the class of the feeds:
 *
 * - A limit that the sockets share, such as connections per minute: give each feed the same limiter
 *   as its option `dials`.
 * - A `backfill` asks for `this.subscriptions` only. Each shard tells its own items apart, so an item
 *   that two shards deliver comes twice.
 *
 * @typeParam T The items.
 * @typeParam S The subscriptions.
 *
 * @example Kite: 9,000 instruments on three sockets of 3,000
 * ```ts
 * import { ShardedFeeder, Throttler, WebSocketFeeder } from "@aio-trader/core";
 * import { assertEquals } from "@std/assert";
 *
 * class Ticks extends WebSocketFeeder<number, number> {
 *   protected override endpoint() {
 *     return "wss://ws.kite.trade";
 *   }
 *   protected override request(op: "subscribe" | "unsubscribe", tokens: number[]) {
 *     return JSON.stringify({ a: op, v: tokens });
 *   }
 *   protected override receive() {}
 * }
 *
 * const dials = new Throttler({ limit: 1, period: 1_000 }); // shared by all sockets
 * const feed = new ShardedFeeder(() => new Ticks({ dials }), { limit: 3_000, maxShards: 3 });
 * feed.subscribe(...Array.from({ length: 9_000 }, (_, i) => i));
 * assertEquals(feed.subscriptions.size, 9_000);
 * await feed.close();
 * ```
 */
export class ShardedFeeder<T, S = string> extends AbstractFeeder<T> {
  readonly #make: () => WebSocketFeeder<T, S>;
  readonly #limit: number;
  readonly #maxShards: number;
  #shards: WebSocketFeeder<T, S>[] = [];
  /** Which shard got a key. A key that the venue has refused may still stand here. */
  readonly #homes = new Map<unknown, WebSocketFeeder<T, S>>();
  /** Counts of the shards that have closed. */
  readonly #past: FeedStats = { attempts: 0, connections: 0, frames: 0, items: 0 };
  #connected: Promise<void> | undefined;
  readonly #closed = Promise.withResolvers<FeedError | undefined>();
  /** Set for good once the feed is closing. */
  #over: { state: "closing" | "closed"; reason: unknown } | undefined;
  /** The state that listeners were told last. */
  #told: FeedState = "idle";

  /**
   * Makes a feed. It does nothing until `connect()`.
   *
   * @param make Makes one shard: a new feed at each call, all alike.
   * @param options How much one socket holds, and how many there may be.
   * @throws {RangeError} If a number in `options` is out of its range.
   * @throws {TypeError} If `make` or an option is of the wrong type.
   */
  constructor(make: () => WebSocketFeeder<T, S>, options: ShardedFeederOptions = {}) {
    super();
    const { limit = Infinity, maxShards = Infinity, signal } = options;
    const task = "Cannot make a sharded feed";
    checkFunction(task, "make", make ?? null);
    this.#make = make;
    this.#limit = checkNumber(task, "limit", limit, { min: 1, integer: true });
    this.#maxShards = checkNumber(task, "maxShards", maxShards, { min: 1, integer: true });
    checkSignal(task, "signal", signal);
    const close = () => void this.#finish(undefined, signal!.reason);
    if (signal?.aborted) close();
    else signal?.addEventListener("abort", close);
    this.closed.then(() => signal?.removeEventListener("abort", close));
  }

  /**
   * Where the feed stands: `"waiting"` while one shard waits for its next attempt, else
   * `"connecting"` while one connects, `"live"` once all are live.
   */
  get state(): FeedState {
    if (this.#over) return this.#over.state;
    if (!this.#connected) return "idle";
    const states = new Set(this.#shards.map(({ state }) => state));
    return states.has("waiting") ? "waiting" : states.has("connecting") ? "connecting" : "live";
  }

  /** Resolves, never rejects, once the feed is closed: to the error that ended it, or undefined. */
  get closed(): Promise<FeedError | undefined> {
    return this.#closed.promise;
  }

  /** The subscriptions of all shards, by key. */
  get subscriptions(): ReadonlyMap<unknown, S> {
    return new Union(this.#shards.map(({ subscriptions }) => subscriptions));
  }

  /** Counts over all shards since the feed was made, closed shards included. */
  get stats(): Readonly<FeedStats> {
    return this.#shards.map(({ stats }) => stats).reduce(add, this.#past);
  }

  /**
   * Connects every shard, and each that is added later. Calling it again returns the same promise.
   *
   * @returns A promise that resolves once all shards of this moment have been live.
   * @throws {FeedError} If a shard ends before: the error that `closed` resolves to. If the signal
   *   ended the feed, its reason.
   */
  override connect(): Promise<void> {
    if (this.#over && !this.#connected) return Promise.reject(this.#over.reason);
    if (!this.#connected) {
      if (this.#shards.length === 0) this.#add([this.#open()]);
      const { promise, resolve, reject } = Promise.withResolvers<void>();
      this.#connected = promise;
      promise.catch(() => {}); // told by `closed` too: nobody has to listen to both
      // A shard that fails ends the feed, so `closed` tells of it.
      Promise.all(this.#shards.map((shard) => shard.connect())).then(() => resolve(), () => {});
      this.closed.then(() => reject(this.#over!.reason));
    }
    return this.#connected;
  }

  /**
   * Closes every shard, for good.
   *
   * @returns A promise that resolves once all are closed.
   */
  override async close(): Promise<void> {
    await this.#finish(undefined, closedError());
  }

  /**
   * Replaces the connection of every shard, as {@linkcode WebSocketFeeder.reconnect} does.
   *
   * @param reason Why, for the `retry` event.
   */
  reconnect(reason?: string): void {
    for (const shard of this.#shards) shard.reconnect(reason);
  }

  /**
   * Adds subscriptions, in any state, and opens shards where the others are full.
   *
   * @param subs The subscriptions. One with a known key replaces the old one, on the same shard.
   * @throws {RangeError} If that takes more than `maxShards`; then nothing has changed.
   * @throws {Error} If `make` throws; then nothing has changed.
   */
  subscribe(...subs: S[]): void {
    if (this.#over || subs.length === 0) return;
    const { shards, shares } = this.#plan(subs);
    this.#add(shards.slice(this.#shards.length));
    for (const [index, share] of shares) {
      for (const key of share.keys()) this.#homes.set(key, shards[index]);
      shards[index].subscribe(...share.values());
    }
  }

  /**
   * Takes subscriptions away, in any state. A shard that is empty at the end of the turn closes.
   *
   * @param subs The subscriptions, found by their keys. An unknown one is ignored.
   */
  unsubscribe(...subs: S[]): void {
    const shares = new Map<WebSocketFeeder<T, S>, S[]>();
    for (const sub of subs) {
      const key = this.#shards[0]?.["key"](sub);
      const home = this.#homeOf(key);
      if (home) shareOf(shares, home, () => []).push(sub);
      this.#homes.delete(key);
    }
    for (const [shard, share] of shares) shard.unsubscribe(...share);
    if (shares.size > 0) queueMicrotask(() => this.#prune());
  }

  /** Finds a shard for each subscription, new shards included. Nothing changes yet. */
  #plan(subs: readonly S[]): {
    shards: WebSocketFeeder<T, S>[];
    shares: Map<number, Map<unknown, S>>;
  } {
    const shards = this.#shards.length > 0 ? [...this.#shards] : [this.#open()];
    const limit = Math.min(this.#limit, shards[0]["limit"] ?? Infinity);
    const room = shards.map(({ subscriptions }) => limit - subscriptions.size);
    const indices = new Map(shards.map((shard, index) => [shard, index]));
    const placed = new Map<unknown, number>();
    const shares = new Map<number, Map<unknown, S>>();
    let next = 0;
    for (const sub of subs) {
      const key = shards[0]["key"](sub);
      const home = this.#homeOf(key);
      let index = home ? indices.get(home) : placed.get(key);
      if (index === undefined) {
        while (room[next] <= 0) next++; // each room is looked at once
        if (next >= this.#maxShards) {
          throw new RangeError(
            `Cannot subscribe: it takes more than ${this.#maxShards} sockets of ${limit} subscriptions, wanted at most as many`,
          );
        }
        if (next === shards.length) {
          shards.push(this.#open());
          room.push(limit);
        }
        room[next]--;
        placed.set(key, index = next);
      }
      shareOf(shares, index, () => new Map<unknown, S>()).set(key, sub);
    }
    return { shards, shares };
  }

  #homeOf(key: unknown): WebSocketFeeder<T, S> | undefined {
    const shard = this.#homes.get(key);
    return shard?.subscriptions.has(key) ? shard : undefined; // else the venue has refused it
  }

  #open(): WebSocketFeeder<T, S> {
    const shard = this.#make();
    if (shard.state === "idle" && !this.#shards.includes(shard)) return shard;
    throw new TypeError("Cannot open a shard: make() gave a feed in use, wanted a new one");
  }

  #add(shards: readonly WebSocketFeeder<T, S>[]): void {
    this.#shards = [...this.#shards, ...shards];
    for (const shard of shards) {
      shard.on("item", (item) => this.emit(item));
      shard.on("state", () => this.#tellState());
      shard.on("live", (event) => {
        this.dispatch("live", { ...event, connection: this.stats.connections });
      });
      shard.on("error", (error) => {
        if (shard.state !== "closed") this.dispatch("error", error); // else `closed` tells of it
        // The venue may have refused its last subscription.
        if (shard.subscriptions.size === 0) queueMicrotask(() => this.#prune());
      });
      for (const type of PASSED_ON) this.#passOn(shard, type);
      void shard.closed.then((error) => this.#lose(shard, error));
      if (this.#connected) shard.connect().catch(() => {}); // `closed` tells of it
    }
    this.#tellState();
  }

  #passOn<K extends (typeof PASSED_ON)[number]>(shard: WebSocketFeeder<T, S>, type: K): void {
    shard.on(type, (event) => this.dispatch(type, event));
  }

  /** A shard that ends by itself takes the others along. */
  #lose(shard: WebSocketFeeder<T, S>, error: FeedError | undefined): void {
    if (this.#shards.includes(shard)) void this.#finish(error, closedError());
  }

  /** Closes the shards that hold nothing, but for one. */
  #prune(): void {
    if (this.#over) return;
    const full = this.#shards.filter(({ subscriptions }) => subscriptions.size > 0);
    const kept = full.length > 0 ? full : this.#shards.slice(0, 1);
    const empty = this.#shards.filter((shard) => !kept.includes(shard));
    this.#shards = kept;
    for (const shard of empty) {
      void shard.close();
      Object.assign(this.#past, add(this.#past, shard.stats));
    }
    this.#tellState();
  }

  #tellState(): void {
    const { state } = this;
    const previous = this.#told;
    this.#told = state;
    if (state !== previous) this.dispatch("state", { state, previous });
  }

  async #finish(error: FeedError | undefined, reason: unknown): Promise<void> {
    if (!this.#over) {
      this.#over = { state: "closing", reason: error ?? reason };
      this.#tellState();
      await Promise.all(this.#shards.map((shard) => shard.close()));
      this.#over.state = "closed";
      this.#tellState();
      this.end(error);
      this.#closed.resolve(error);
    }
    await this.closed;
  }
}

function shareOf<K, V>(shares: Map<K, V>, owner: K, make: () => V): V {
  const share = shares.get(owner) ?? make();
  shares.set(owner, share);
  return share;
}

function add(a: Readonly<FeedStats>, b: Readonly<FeedStats>): FeedStats {
  return {
    attempts: a.attempts + b.attempts,
    connections: a.connections + b.connections,
    frames: a.frames + b.frames,
    items: a.items + b.items,
  };
}

function closedError(): FeedError {
  return new FeedError("Cannot connect the feed: it is closed, wanted a new one", { fatal: true });
}
