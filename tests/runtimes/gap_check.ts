/**
 * What `WebSocketFeeder` and `ShardedFeeder` promise about gaps, quiet subscriptions and many
 * sockets, on Deno, Node and Bun: against an exchange with a feed and a REST interface on loopback.
 */

import assert from "node:assert/strict";
import { FeedError, type FeedEvents } from "../../feeder.ts";
import { ShardedFeeder } from "../../sharded_feeder.ts";
import { LoopbackVenue, reply, type Step } from "../../testing.ts";
import { Throttler } from "../../throttler.ts";
import { type Gap, WebSocketFeeder, type WebSocketFeederOptions } from "../../websocket_feeder.ts";
import { history } from "../numbered_venue.ts";
import { check, run } from "./harness.ts";

interface Item {
  seq: number;
  symbol: string;
  /** When the exchange made it, in epoch milliseconds. */
  at: number;
}

/**
 * An exchange that numbers its items, confirms subscriptions, sends each item where it is subscribed
 * to, and lists the items by REST.
 */
class Exchange {
  readonly log: Item[] = [];
  readonly venue: LoopbackVenue;
  readonly #timers: ReturnType<typeof setInterval>[] = [];

  private constructor(venue: LoopbackVenue) {
    this.venue = venue;
    venue.on("GET /items", ({ query }) => {
      const since = Number(query.get("since"));
      const items = this.log.filter(({ at }) => at >= since);
      return reply(200, items, { connection: "close" }); // the connections of feeds are counted
    });
    venue.feed.on((frame, client) => {
      const text = String(frame);
      for (const symbol of text.slice(1).split(",")) {
        client.held[text[0] === "+" ? "add" : "delete"](symbol);
      }
      if (text[0] === "+") client.send(text);
    });
  }

  static async open(): Promise<Exchange> {
    return new Exchange(await LoopbackVenue.listen());
  }

  make(symbol: string): void {
    const item = { seq: this.log.length, symbol, at: Date.now() };
    this.log.push(item);
    this.venue.feed.publish(symbol, item);
  }

  /** Makes items of these symbols in turn, until `stop()`. */
  stream(symbols: string[]): void {
    let made = 0;
    this.#timers.push(setInterval(() => this.make(symbols[made++ % symbols.length]), 3));
  }

  stop(): void {
    for (const timer of this.#timers.splice(0)) clearInterval(timer);
  }

  /** All items since a moment, by REST. */
  async list(since: number, signal?: AbortSignal): Promise<Item[]> {
    const response = await fetch(`${this.venue.httpUrl}items?since=${since}`, { signal });
    const body = await response.text();
    if (!response.ok) throw new Error(`refused with ${response.status}`);
    return JSON.parse(body);
  }

  async close(): Promise<void> {
    this.stop();
    await this.venue.close();
  }
}

/** A feed of an exchange, which fills its gaps by REST. */
class Feed extends WebSocketFeeder<Item> {
  protected override readonly batch: number;
  readonly items: Item[] = [];
  readonly gaps: FeedEvents<Item>["gap"][] = [];
  /** Signals that `backfill` was given. */
  readonly signals: AbortSignal[] = [];
  readonly #exchange: Exchange;

  constructor(exchange: Exchange, options: WebSocketFeederOptions & { batch?: number } = {}) {
    super({ baseWait: 50, jitter: 0, closeTimeout: 500, confirmTimeout: 5_000, ...options });
    this.#exchange = exchange;
    this.batch = options.batch ?? 500;
    this.on("item", (item) => this.items.push(item));
    this.on("gap", (gap) => this.gaps.push(gap));
    this.on("error", () => {});
  }
  protected override endpoint() {
    return this.#exchange.venue.wsUrl;
  }
  protected override request(op: "subscribe" | "unsubscribe", symbols: string[]) {
    return `${op === "subscribe" ? "+" : "-"}${symbols.join()}`;
  }
  protected override receive(data: string | ArrayBuffer) {
    const text = String(data);
    if (text[0] === "+") this.confirm(...text.slice(1).split(","));
    else this.emit(JSON.parse(text));
  }
  protected override identify({ seq }: Item) {
    return seq;
  }
  protected override keyOf({ symbol }: Item) {
    return symbol;
  }
  protected override async backfill({ since }: Gap, signal: AbortSignal) {
    this.signals.push(signal);
    const items = await this.#exchange.list(since, signal);
    return items.filter(({ symbol }) => this.subscriptions.has(symbol)); // a shard has some of them
  }
}

/** A check with an exchange, closed at the end. */
function scene(name: string, play: (exchange: Exchange) => Promise<void>): void {
  check(name, async () => {
    const exchange = await Exchange.open();
    try {
      await play(exchange);
    } finally {
      await exchange.close();
    }
  });
}

/** Plays with a feed, and closes it. */
async function using<F extends { close(): Promise<void> }>(
  feed: F,
  play: (feed: F) => Promise<void>,
): Promise<void> {
  try {
    await play(feed);
  } finally {
    await feed.close();
  }
}

const seqs = (items: Item[]) => items.map(({ seq }) => seq);
const SYMBOLS = ["A", "B", "C"];

// ---------------------------------------------------------------- gaps

const losses: Record<string, (exchange: Exchange) => void> = {
  RST: ({ venue }) => venue.feed.last.reset(),
  "FIN without a close frame": ({ venue }) => venue.feed.last.finish(),
  silence: ({ venue }) => venue.feed.silence(),
};
for (const [loss, lose] of Object.entries(losses)) {
  scene(
    `${loss}: the backfill comes before the live items, each item once and in order`,
    async (exchange) => {
      await using(new Feed(exchange, { staleAfter: 300 }), async (feed) => {
        feed.subscribe(...SYMBOLS);
        await feed.connect();
        await exchange.venue.until(() => exchange.venue.feed.last.held.size === 3);
        exchange.stream(SYMBOLS);
        await exchange.venue.until(() => feed.items.length > 20);
        lose(exchange);
        const { length } = feed.items;
        await exchange.venue.until(() => feed.gaps.length === 1);
        await exchange.venue.until(() => feed.items.length > length + 20);
        exchange.stop();
        await exchange.venue.until(() => feed.items.length === exchange.log.length);
        assert.deepEqual(seqs(feed.items), exchange.log.map(({ seq }) => seq));
        assert.deepEqual(feed.gaps.map(({ filled }) => filled), [true]);
        assert.equal(feed.signals.length, 1);
        assert.equal(feed.stats.connections, 2);
      });
    },
  );
}

const failures: Record<string, [Step, cause: RegExp]> = {
  fails: [reply(503), /refused with 503/],
  hangs: ["hang-before-executing", /no answer in time/],
};
for (const [how, [step, cause]] of Object.entries(failures)) {
  scene(
    `a backfill that ${how}: the gap is told as not filled, and the feed goes on`,
    async (exchange) => {
      await using(new Feed(exchange, { backfillTimeout: 400 }), async (feed) => {
        exchange.venue.will("GET /items", step);
        feed.subscribe(...SYMBOLS);
        await feed.connect();
        await exchange.venue.until(() => exchange.venue.feed.last.held.size === 3);
        exchange.stream(SYMBOLS);
        await exchange.venue.until(() => feed.items.length > 5);
        exchange.venue.feed.last.reset();
        await exchange.venue.until(() => feed.gaps.length === 1);
        exchange.stop();
        await exchange.venue.until(() => feed.items.at(-1)?.seq === exchange.log.length - 1);
        const [gap] = feed.gaps;
        assert.equal(gap.filled, false);
        assert.match(String(gap.cause), cause);
        assert(feed.signals.every(({ aborted }) => aborted));
        const delivered = new Set(seqs(feed.items));
        assert.equal(delivered.size, feed.items.length);
        assert.deepEqual(seqs(feed.items), [...delivered].sort((a, b) => a - b));
        const missing = exchange.log.filter(({ seq }) => !delivered.has(seq));
        assert(missing.length > 0, "nothing was lost: nothing was tried");
        for (const { at } of missing) assert(gap.since <= at && at <= gap.until);
      });
    },
  );
}

/** Many fills, of symbols that a feed subscribes to one by one. */
const PACED = Array.from({ length: 24 }, (_, i) => `P${i}`);

scene(
  "fills asked by REST on subscribed, while subscriptions wait for pace: none is missed",
  async (exchange) => {
    const pace = new Throttler({ limit: 2, period: 40 });
    await using(new Feed(exchange, { batch: 1, pace }), async (feed) => {
      const asked: Record<"live" | "subscribed", number[]> = { live: [], subscribed: [] };
      let answers = 0;
      for (const event of ["live", "subscribed"] as const) {
        feed.on(event, async () => {
          asked[event] = seqs(await exchange.list(0));
          answers++;
        });
      }
      feed.subscribe(...PACED);
      exchange.stream(PACED);
      await feed.connect();
      await exchange.venue.until(() => answers === 2 && feed.items.length > 20);
      const { length } = exchange.log; // all are subscribed: what is made from here on is delivered
      await exchange.venue.until(() => feed.items.at(-1)!.seq >= length);
      exchange.stop();
      // Looked up anew each time: Bun may call an interval once more after clearInterval.
      await exchange.venue.until(() => feed.items.at(-1)?.seq === exchange.log.length - 1);
      const missedBy = (known: number[]) => {
        const all = new Set([...known, ...seqs(feed.items)]);
        return exchange.log.filter(({ seq }) => !all.has(seq)).length;
      };
      assert(missedBy(asked.live) > 0, "the subscriptions did not wait: nothing was tried");
      assert.equal(missedBy(asked.subscribed), 0);
    });
  },
);

scene(
  "a loss while subscriptions wait for pace: the backfill is asked once all are back",
  async (exchange) => {
    const pace = new Throttler({ limit: 2, period: 40 });
    await using(new Feed(exchange, { batch: 1, pace }), async (feed) => {
      feed.subscribe(...PACED);
      await feed.connect();
      await exchange.venue.until(() => exchange.venue.feed.last.held.size === PACED.length);
      exchange.stream(PACED);
      await exchange.venue.until(() => feed.items.length > 20);
      exchange.venue.feed.last.reset();
      await exchange.venue.until(() => feed.gaps.length === 1);
      exchange.stop();
      await exchange.venue.until(() => feed.items.length === exchange.log.length);
      assert.deepEqual(seqs(feed.items), exchange.log.map(({ seq }) => seq));
      assert.deepEqual(feed.gaps.map(({ filled }) => filled), [true]);
    });
  },
);

check(
  "100 histories of faults on virtual time: each item once and in order, or told as missing",
  async () => {
    for (let seed = 1; seed <= 100; seed++) {
      await history(seed).catch((cause) => {
        throw new Error(`seed ${seed}: ${cause.message}`, { cause });
      });
    }
  },
  { timeout: 60_000 },
);

// ---------------------------------------------------------------- quiet subscriptions

scene(
  "one mute of 200 is found within 1.25 times quietAfter and asked for again, no other",
  async (exchange) => {
    const quietAfter = 800;
    await using(new Feed(exchange, { quietAfter }), async (feed) => {
      const symbols = Array.from({ length: 200 }, (_, i) => `S${i}`);
      const found: FeedEvents<Item>["quiet"][] = [];
      const start = performance.now();
      let took = 0;
      feed.on("quiet", (event) => {
        found.push(event);
        took = performance.now() - start;
      });
      feed.subscribe(...symbols);
      await feed.connect();
      await exchange.venue.until(() => exchange.venue.feed.last.held.size === 200);
      exchange.venue.feed.last.held.delete("S77"); // the venue forgets one, and says nothing
      const timer = setInterval(() => symbols.forEach((symbol) => exchange.make(symbol)), 50);
      try {
        await exchange.venue.until(() => feed.items.some(({ symbol }) => symbol === "S77"));
      } finally {
        clearInterval(timer);
      }
      assert.deepEqual(found, [{ key: "S77", subscription: "S77", duration: quietAfter }]);
      assert.deepEqual(exchange.venue.feed.last.frames.slice(1), ["-S77", "+S77"]);
      assert.equal(exchange.venue.feed.all.length, 1);
      // The connection took a part of it; a busy machine may add some more.
      assert(took >= quietAfter && took <= 1.25 * quietAfter + 500, `${took} ms`);
    });
  },
);

// ---------------------------------------------------------------- many sockets

/** Subscriptions at the venue, by connection. */
const sizes = (exchange: Exchange) => exchange.venue.feed.clients.map(({ held }) => held.size);

/** Numbers as symbols. */
const numbers = (count: number) => Array.from({ length: count }, (_, i) => `N${i}`);

scene(
  "ShardedFeeder: 9,000 subscriptions on 3 sockets of 3,000; the loss of one touches no other",
  async (exchange) => {
    const { venue } = exchange;
    const feed = new ShardedFeeder(() => new Feed(exchange), { limit: 3_000, maxShards: 3 });
    await using(feed, async () => {
      const gaps: FeedEvents<Item>["gap"][] = [];
      const items: Item[] = [];
      feed.on("gap", (gap) => gaps.push(gap));
      feed.on("item", (item) => items.push(item));
      feed.subscribe(...numbers(9_000));
      await feed.connect();
      await venue.until(() => String(sizes(exchange)) === "3000,3000,3000");
      assert.equal(feed.state, "live");
      assert.throws(() => feed.subscribe("one more"), RangeError);
      assert.equal(feed.subscriptions.size, 9_000);

      const sent = () => venue.feed.all.map(({ frames }) => frames.length);
      const before = sent();
      const [lost] = venue.feed.all.splice(1, 1);
      const left = [...lost.held];
      lost.reset();
      for (const symbol of ["N0", left[0], "N8999"]) exchange.make(symbol);
      await venue.until(() => gaps.length === 1);
      assert.deepEqual(sizes(exchange), [3_000, 3_000, 3_000]);
      assert.deepEqual([...venue.feed.last.held], left);
      assert.deepEqual(sent(), [before[0], before[2], 6]);
      assert.equal(venue.feed.all.length, 3);
      assert.deepEqual(gaps.map(({ filled }) => filled), [true]);
      assert.deepEqual(seqs(items).sort(), [0, 1, 2]);
      assert.deepEqual([feed.stats.attempts, feed.stats.connections, feed.state], [4, 4, "live"]);
      assert.equal(feed.stats.items, 3);
    });
    await venue.until(() => venue.alive === 0);
  },
);

scene(
  "ShardedFeeder: 5,000 subscriptions on sockets of 1,024; the venue sees the shared limit of dials",
  async (exchange) => {
    const { venue } = exchange;
    const times: number[] = [];
    venue.feed.onUpgrade(() => void times.push(performance.now()));
    const dials = new Throttler({ limit: 2, period: 400 });
    const feed = new ShardedFeeder(() => new Feed(exchange, { dials }), { limit: 1_024 });
    await using(feed, async () => {
      feed.subscribe(...numbers(5_000));
      await feed.connect();
      await venue.until(() => String(sizes(exchange).sort()) === "1024,1024,1024,1024,904");
      // Half of the period is left to the way of the dials, which differs.
      for (let i = 2; i < 5; i++) assert(times[i] - times[i - 2] > 200, `dials at ${times}`);
      feed.unsubscribe(...numbers(1_024));
      await venue.until(() => venue.alive === 4);
      assert.equal(feed.subscriptions.size, 3_976);
      assert.equal(feed.state, "live");
    });
  },
);

scene("ShardedFeeder: a fatal ending of one shard ends all", async (exchange) => {
  const { venue } = exchange;
  const feed = new ShardedFeeder(() => new Feed(exchange), { limit: 10 });
  await using(feed, async () => {
    feed.on("error", () => {});
    feed.subscribe(...numbers(30));
    await feed.connect();
    venue.feed.all[1].close(1003, "not with us");
    const error = await feed.closed;
    assert(error instanceof FeedError && error.fatal);
    assert.equal(error.ending?.code, 1003);
    assert.equal(feed.state, "closed");
    await venue.until(() => venue.alive === 0);
    assert.equal(venue.feed.all.length, 3);
  });
});

await run();
