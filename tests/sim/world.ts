/**
 * A world: one venue, the programs of one user, and virtual time.
 *
 * @module
 */

import {
  BrokerError,
  type CallOptions,
  type RateLimiter,
  reconcile,
  ShardedFeeder,
  Throttler,
  VenueClock,
} from "../../mod.ts";
import { SimulatedVenue, VirtualTime } from "../../testing.ts";
import { Book } from "./book.ts";
import { Dice, hashOf } from "./dice.ts";
import type { FeedName, History, Setting } from "./history.ts";
import { type Item, Market } from "./market.ts";
import { type Face, feedOf, type FeedWorld, SimFeed, Subscriber } from "./subscriber.ts";
import { Data, KEYS, type Told, Trader, type TraderWorld } from "./trader.ts";
import { Wire } from "./wire.ts";
import type { Witness } from "./witness.ts";

/** How much earlier than a gap a user asks: steps of the wall clock, and late frames. */
const MARGIN = 8_000;
/** Most subscriptions on one socket of the sharded feed. */
const SHARD = 3;

/** A throttler that counts the calls which it starts alone. */
class Counted extends Throttler {
  starts = 0;
  override run<T>(fn: () => T | PromiseLike<T>, options?: CallOptions): Promise<T> {
    return super.run(() => {
      this.starts++;
      return fn();
    }, options);
  }
}

/** An item that a feed owes its user. */
export interface Owed extends Item {
  readonly feed: FeedName;
  /** When the venue made it, in epoch milliseconds of this computer. */
  readonly at: number;
  /** The same by `performance.now()`. */
  readonly madeAt: number;
}

/** A world in which a history is played. */
export class World implements TraderWorld, FeedWorld {
  readonly setting: Setting;
  readonly witness: Witness;
  readonly time: VirtualTime;
  readonly venue: SimulatedVenue;
  readonly wire: Wire;
  readonly book: Book;
  readonly market: Market;
  readonly shared: Counted;
  readonly orders: Throttler;
  readonly pace: RateLimiter | undefined;
  readonly dials: RateLimiter | undefined;
  readonly trader: Trader;
  readonly data: Data;
  readonly clock: VenueClock;
  readonly feeds: Record<FeedName, Subscriber>;
  /** Whether the single feed was told to replace its connection. */
  hasReplaced = false;
  /** Whether the venue was told to give answers to the wrong requests. */
  hasSwaps = false;
  /** When the user closed the broker. */
  closingAt = Infinity;
  readonly #timers = new Set<ReturnType<typeof setTimeout>>();
  /** The `performance.now()` of each call that only the user made. */
  readonly owned: number[] = [];
  /** When the single feed ceased to be live. */
  readonly losses: number[] = [];
  readonly dialled: number[] = [];
  readonly written: number[] = [];
  /** The items that the venue has sent to a feed, or would have sent to a feed that was lost. */
  owed: Owed[] = [];
  readonly #excused = new Set<string>();
  /** Which subscriptions the venue holds for good, as far as the user can rely on it. */
  readonly #covered = new Set<string>();
  readonly #life = new AbortController();
  /** Listeners of the signal that every call has. */
  listeners = 0;
  #single: SimFeed | undefined;
  #shards = 0;
  #ids = 0;

  /** Makes a world. */
  constructor({ seed, setting }: History, witness: Witness, time: VirtualTime) {
    this.setting = setting;
    this.witness = witness;
    this.time = time;
    Object.values(KEYS).forEach((key) => witness.hide(key));
    const { runtime, latency, shared, orders, pace, dials } = setting;
    this.venue = new SimulatedVenue({ runtime, latency, seed: hashOf("venue", seed) });
    this.wire = new Wire(this.venue, witness);
    const dice = new Dice(seed, "book");
    const since = (at: number, symbols: string[]) => this.market.since(at, symbols);
    this.book = new Book(this.venue, since, { dice, setting, witness });
    this.#watch();
    const order = (id: string, frame: object) => this.book.execute(id, frame);
    this.market = new Market(this.venue.feed, witness, order);
    this.market.onHold = (feed, symbol, isHeld) => this.#hold(feed, symbol, isHeld);
    this.market.onRefuse = (feed, symbol) => this.#forgive(feed, [symbol]);
    this.shared = new Counted(shared);
    this.orders = new Throttler(orders);
    this.pace = pace && new Throttler(pace);
    this.dials = dials && new Throttler(dials);
    this.#count(this.#life.signal);
    this.trader = new Trader(this);
    this.data = new Data(this);
    this.clock = new VenueClock(() => this.data.now());
    this.feeds = {
      single: this.#subscriber("single", this.#single = feedOf(this, "single", 1)),
      sharded: this.#subscriber("sharded", this.#sharded()),
    };
    this.single.on("state", ({ previous }) => {
      if (previous === "live") this.losses.push(performance.now());
    });
  }

  get fetch(): typeof fetch {
    return this.wire.fetch;
  }

  get baseUrl(): string {
    return this.venue.httpUrl;
  }

  get wsUrl(): string {
    return this.venue.wsUrl;
  }

  get life(): AbortSignal {
    return this.#life.signal;
  }

  /** The feed of a single socket, with everything that its class can do. */
  get single(): SimFeed {
    return this.#single!;
  }

  createSocket(url: string): WebSocket {
    return this.venue.createSocket(url);
  }

  items(since: number, symbols: unknown[], signal: AbortSignal): Promise<Item[]> {
    return this.data.items<Item>(since - 1_700_000_000_000 - MARGIN, symbols, signal);
  }

  /** Makes an item, which every feed owes that the venue holds the symbol for. */
  make(symbol: string): void {
    const item = this.market.make(symbol);
    if (this.market.isMute(symbol)) return;
    for (const { name, wanted, ended } of Object.values(this.feeds)) {
      if (!ended && wanted.has(symbol) && this.#covered.has(`${name} ${symbol}`)) {
        this.owed.push({ ...item, feed: name, at: Date.now(), madeAt: performance.now() });
      }
    }
  }

  /** Whether the venue holds all that a feed wants. A repair lets go of a subscription for a moment. */
  isWhole({ name, feed, ended }: Subscriber): boolean {
    return ended !== undefined ||
      feed.subscriptions.keys().every((symbol) => this.#covered.has(`${name} ${symbol}`));
  }

  /** Takes an item off the debts of all feeds. */
  excuse(item: Item | undefined): void {
    this.#excused.add(`${item?.symbol} ${item?.seq}`);
  }

  /** Whether the venue sends every item in its turn. */
  get isInOrder(): boolean {
    return this.#excused.size === 0;
  }

  /** The items that feeds must deliver, unless they tell a gap. */
  get debts(): Owed[] {
    return this.owed.filter(({ symbol, seq }) => !this.#excused.has(`${symbol} ${seq}`));
  }

  /** Subscribes a feed. */
  subscribe(name: FeedName, symbols: string[]): void {
    this.feeds[name].subscribe(symbols);
  }

  /** Unsubscribes a feed, which then owes nothing more. */
  unsubscribe(name: FeedName, symbols: string[]): void {
    this.feeds[name].unsubscribe(symbols);
    for (const symbol of symbols) this.#covered.delete(`${name} ${symbol}`);
    this.#forgive(name, symbols);
  }

  /** Places an order over REST. */
  place(isReconciled: boolean, isBad: boolean, abort: number | undefined): void {
    this.#call("order", isReconciled, abort, (told, signal) => {
      return this.trader.place(told, isBad ? 0 : 1, signal);
    });
  }

  /** Cancels an order that was placed before. */
  cancel(nth: number, abort: number | undefined): void {
    const id = this.#nth(nth);
    this.#call("cancel", false, abort, (told, signal) => this.trader.cancel(told, id, signal));
  }

  /** Amends an order that was placed before. */
  amend(nth: number): void {
    const id = this.#nth(nth);
    this.#call(
      "amendment",
      false,
      undefined,
      (told, signal) => this.trader.amend(told, id, signal),
    );
  }

  /** Places an order over the socket. */
  ask(abort: number | undefined): void {
    const { horizon, patience: timeout } = this.setting;
    this.#call("order over the socket", true, abort, (told, signal) => {
      const find = (context: Parameters<Trader["find"]>[1]) => this.trader.find(told, context);
      const fn = () => this.single.order(told.id, this.setting.askTimeout);
      return reconcile(fn, { find, horizon, timeout, signal });
    });
  }

  /** Reads all orders. */
  read(): void {
    this.#call("read", false, undefined, (told, signal) => this.trader.read(told, signal));
  }

  /** Does anything else that a promise tells the end of. */
  other(fn: () => Promise<unknown>): void {
    this.#call("other", false, undefined, fn);
  }

  /** Reads the venue's clock, and holds the clock against it. */
  sync(): void {
    this.other(async () => {
      await this.clock.sync();
      const ahead = this.clock.now() - this.book.now;
      if (ahead > 1) this.witness.fault(`the clock is ${ahead} ms ahead of the venue's`);
    });
  }

  /** Uses the limit of orders for a call that fails at once. */
  own(): void {
    this.other(() =>
      this.orders.run(() => {
        this.owned.push(performance.now());
        throw new BrokerError("It fails", { kind: "invalid", outcome: "not-sent" });
      })
    );
  }

  /** Does something after a while, unless the history has ended by then. */
  later(fn: () => void, delay: number): void {
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      fn();
    }, delay);
    this.#timers.add(timer);
  }

  /** Does nothing more later. */
  stop(): void {
    for (const timer of this.#timers) clearTimeout(timer);
    this.#timers.clear();
  }

  /** Ends everything that listens to the signal of this user. */
  end(): void {
    this.#life.abort();
  }

  #call(
    what: Told["what"],
    isReconciled: boolean,
    abort: number | undefined,
    fn: (told: Told, signal: AbortSignal) => Promise<unknown>,
  ): void {
    const id = `${what[0]}${++this.#ids}-${what.length}`;
    const controller = new AbortController();
    const signal = abort === undefined ? this.life : controller.signal;
    void this.trader.hear({ id, what, isReconciled }, (told) => {
      if (abort !== undefined) {
        this.later(() => {
          told.isAborted = true;
          controller.abort(new Error("The user has changed his mind"));
        }, abort);
      }
      return fn(told, signal);
    });
  }

  #forgive(name: FeedName, symbols: string[]): void {
    this.owed = this.owed.filter(({ feed, symbol }) => feed !== name || !symbols.includes(symbol));
  }

  #nth(nth: number): string {
    const orders = this.trader.told.filter(({ what }) => what === "order");
    return orders[nth % Math.max(1, orders.length)]?.id ?? "none";
  }

  #subscriber(name: FeedName, feed: Face): Subscriber {
    return new Subscriber(name, feed, this.witness);
  }

  #sharded(): Face {
    const make = () => feedOf(this, "sharded", ++this.#shards);
    return new ShardedFeeder<Item>(make, { limit: SHARD, signal: this.life });
  }

  #hold(feed: FeedName, symbol: string, isHeld: boolean): void {
    const name = `${feed} ${symbol}`;
    // Told while the first subscriptions are made: nobody holds anything by then.
    const isWanted = this.feeds?.[feed].wanted.has(symbol);
    if (isHeld && isWanted) this.#covered.add(name);
    if (!isHeld) this.#covered.delete(name);
  }

  /** Looks at each request, and at each answer. */
  #watch(): void {
    // A token that a lie gives to another call is no secret: the session never gets to know it.
    this.wire.onAnswer = ({ number, isLie }) => {
      const token = isLie ? "" : this.book.tokenOf(number);
      if (token) this.witness.hide(token);
    };
    this.wire.onSend = ({ number, route }) => {
      // A login that takes longer than ten timeouts has failed.
      const isRunning = performance.now() - this.trader.renewingSince < 10 * this.setting.timeout;
      if (isRunning && route.endsWith("orders")) {
        this.witness.fault(`#${number} goes out while a login runs`);
      }
    };
  }

  /** Counts the listeners of a signal. */
  #count(signal: AbortSignal): void {
    const { addEventListener, removeEventListener } = EventTarget.prototype;
    const all = new Set<unknown>();
    signal.addEventListener = (...args: Parameters<EventTarget["addEventListener"]>) => {
      all.add(args[1]);
      this.listeners = all.size;
      addEventListener.apply(signal, args);
    };
    signal.removeEventListener = (...args: Parameters<EventTarget["removeEventListener"]>) => {
      all.delete(args[1]);
      this.listeners = all.size;
      removeEventListener.apply(signal, args);
    };
  }
}
