/**
 * Plays one history in virtual time, and holds the venue's log against what the user was told.
 *
 * @module
 */

import { ShardedFeeder, Throttler } from "../../mod.ts";
import { randomOf, VirtualTime } from "../../testing.ts";
import { Exchange, type Item, ROUTES } from "./exchange.ts";
import { type Action, ALWAYS, type History } from "./history.ts";
import { Judge } from "./judge.ts";
import { Told } from "./told.ts";
import { Broker, Feed } from "./trader.ts";

/** The limit that the two brokers share. */
export const LIMIT = { limit: 5, period: 1_000 };

/** How long the world stays calm at the end, longer than all timeouts together, in milliseconds. */
const CALM = 200_000;
/** How long everything may take to close, in milliseconds. */
const CLOSING = 60_000;

/** What became of a history. */
export interface Result {
  /** What is wrong, in words; empty if nothing is. */
  faults: string[];
  /** Everything that was told, line by line. */
  trace: string[];
  /** How often each kind of thing happened. */
  counts: Map<string, number>;
}

/** The world of one history. */
class World {
  readonly time: VirtualTime;
  readonly exchange: Exchange;
  readonly told: Told;
  readonly throttler = new Throttler(LIMIT);
  readonly brokers: Broker[];
  readonly feed: Feed;
  readonly sharded: ShardedFeeder<Item, string>;

  constructor(seed: number) {
    // Real timers fire up to 0.9 ms early, and late. The error depends on the moment alone: runtimes
    // set the timers of one moment in different orders.
    const dice = () => randomOf(seed ^ Math.floor(performance.now() * 1_000))();
    this.time = new VirtualTime({ timerError: () => dice() * 3 - 0.9 });
    this.exchange = new Exchange(seed);
    this.told = new Told();
    const options = (id: number) => ({
      throttlers: [this.throttler],
      onEvent: this.told.ofSession(id),
    });
    this.brokers = [0, 1].map((id) => new Broker(this.exchange, options(id)));
    this.feed = new Feed(this.exchange, this.brokers[0]);
    this.sharded = new ShardedFeeder(() => new Feed(this.exchange, this.brokers[0]), { limit: 2 });
    this.told.ofFeed("feed", this.feed);
    this.told.ofFeed("sharded", this.sharded);
  }

  /** Logs in and connects. */
  async open(): Promise<void> {
    this.feed.subscribe(...ALWAYS);
    this.told.promise("connect", this.feed.connect());
    this.told.promise("connect", this.sharded.connect());
    for (const broker of this.brokers) this.told.promise("authorize", broker.authorize());
    await this.time.pass(2_000);
  }

  /** Does one thing. */
  act(action: Action): void {
    const { venue } = this.exchange;
    this.told.say("do", JSON.stringify(action));
    this.told.count(action.do === "fault" ? `fault ${action.fault}` : action.do);
    switch (action.do) {
      case "order":
        return this.told.order(
          action.name,
          this.brokers[action.broker].place(action.name, stop(action)),
          action.broker,
        );
      case "socket order":
        return this.told.order(action.name, this.feed.place(action.name, stop(action)));
      case "cancel":
        return this.told.promise("cancel", this.brokers[action.broker].cancel("any"));
      case "quote":
        return this.told.promise("quote", this.brokers[action.broker].quote("A"));
      case "item":
        for (let i = 0; i < action.count; i++) this.exchange.make(action.symbol);
        return;
      case "subscribe":
      case "unsubscribe":
        return (action.isSharded ? this.sharded : this.feed)[action.do](...action.symbols);
      case "expire":
        return this.exchange.expire();
      case "log in":
        return this.told.promise("log in", this.brokers[0].logIn());
      case "reconnect":
        return this.feed.reconnect("the user wants to");
      case "fault": {
        const route = action.route === "any" ? "*" : ROUTES[action.route];
        // A status may repeat the key that was sent.
        const body = { error: `no, not with ${this.exchange.token}` };
        return void venue.fail(route, action.fault, { ...action.options, body });
      }
      case "frame fault":
        return venue.feed.fail(action.match, action.fault, { delay: 2_000 });
      case "line":
        return venue.feed[action.how]();
      case "down":
      case "up":
        return venue[action.do]();
      case "suspend":
        return this.time.suspend(action.by);
      case "shift":
        return this.time.shift(action.by);
      case "close":
        this.told.closedAt.set(action.broker, performance.now());
        return this.told.promise("close", this.brokers[action.broker].close());
    }
  }

  /** Lets the world be calm, and looks; then closes everything, and looks again. */
  async end(judge: Judge): Promise<void> {
    this.exchange.venue.heal();
    this.exchange.venue.up();
    await this.time.pass(CALM);
    judge.settled();
    for (const symbol of ALWAYS) this.exchange.make(symbol);
    await this.time.pass(1_000);
    const look = () => judge.held({ feed: this.feed, sharded: this.sharded });
    let faults = look();
    // While one connection replaces another, the venue holds everything twice.
    for (let again = 0; again < 5 && faults.length > 0; again++) {
      await this.time.pass(7_000);
      faults = look();
    }
    judge.faults.push(...faults);
    for (const one of [this.feed, this.sharded, ...this.brokers]) {
      this.told.promise("close", one.close());
    }
    await this.time.pass(CLOSING);
    judge.all(this.time.timers);
  }
}

/** The signal that aborts an order after a while, if it is to be aborted. */
function stop({ abortAfter }: { abortAfter?: number }): AbortSignal {
  const controller = new AbortController();
  if (abortAfter !== undefined) setTimeout(() => controller.abort(), abortAfter);
  return controller.signal;
}

/**
 * Plays a history.
 *
 * @param history The history.
 * @returns What became of it.
 */
export async function play(history: History): Promise<Result> {
  const { random } = Math;
  Math.random = randomOf(history.seed + 2_000_000);
  const world = new World(history.seed);
  const stray = (event: PromiseRejectionEvent) => {
    event.preventDefault();
    world.told.say("unhandled", String(event.reason));
    world.told.unhandled.push(String(event.reason));
  };
  globalThis.addEventListener?.("unhandledrejection", stray);
  const judge = new Judge(world.exchange, world.told, LIMIT);
  try {
    await world.open();
    for (const { action, then } of history.steps) {
      world.act(action);
      await world.time.pass(then);
    }
    await world.end(judge);
  } finally {
    globalThis.removeEventListener?.("unhandledrejection", stray);
    world.time.restore();
    Math.random = random;
  }
  return { faults: judge.faults, trace: world.told.trace, counts: world.told.counts };
}
