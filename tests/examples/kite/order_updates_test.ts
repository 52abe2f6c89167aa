import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import type { FeedError, FeedEvents } from "@aio-trader/core";
import { KiteBroker, type KiteOrder } from "../../../examples/kite/broker.ts";
import { KiteFeed, type KiteFeedOptions } from "../../../examples/kite/feed.ts";
import { OrderUpdates } from "../../../examples/kite/order_updates.ts";
import { KiteSimulator } from "../../../examples/kite/simulator.ts";

const INFY = 408_065;

const LIMIT = {
  exchange: "NSE",
  tradingsymbol: "INFY",
  transaction_type: "BUY",
  order_type: "LIMIT",
  product: "CNC",
  quantity: 1,
  price: 1_400,
} as const;
const MARKET = { ...LIMIT, order_type: "MARKET", price: undefined } as const;

type GapEvent = FeedEvents<unknown>["gap"];

async function until(condition: () => boolean): Promise<void> {
  for (let waited = 0; !condition(); waited += 5) {
    if (waited > 20_000) throw new Error(`Never happened: ${condition}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

interface World extends AsyncDisposable {
  readonly venue: KiteSimulator;
  readonly broker: KiteBroker;
  readonly feed: KiteFeed;
  /** What `feed.orders` told: `[order_id, status]`. */
  readonly told: string[][];
  readonly gaps: GapEvent[];
  readonly errors: FeedError[];
  /** Answers the next so many questions for the order book with 503. */
  blind(times: number): void;
  /** Drops every socket, and lets `fn` run before the feed is connected again. */
  during(fn: () => Promise<unknown>): Promise<void>;
}

async function world(options: KiteFeedOptions = {}): Promise<World> {
  const venue = new KiteSimulator({ seed: 7, interval: 0, limited: false });
  let blind = 0;
  const broker = new KiteBroker({
    baseUrl: venue.httpUrl,
    throttlers: [],
    retry: false,
    fetch: (url, init) => {
      const isBook = init?.method === "GET" && String(url).endsWith("/orders");
      if (isBook && blind-- > 0) return Promise.resolve(new Response("", { status: 503 }));
      return fetch(url, init);
    },
  });
  await broker.authorize(venue.access);
  let door: Promise<unknown> = Promise.resolve();
  const login = async () => {
    await door;
    return venue.access;
  };
  const feed = new KiteFeed(login, {
    overlap: 30,
    url: venue.wsUrl,
    broker,
    baseWait: 5,
    jitter: 0,
    ...options,
  });
  const [told, gaps, errors]: [string[][], GapEvent[], FeedError[]] = [[], [], []];
  feed.orders.on("item", ({ order_id, status }) => told.push([order_id, status]));
  feed.orders.on("gap", (gap) => gaps.push(gap));
  feed.on("error", (error) => errors.push(error));
  return {
    ...{ venue, broker, feed, told, gaps, errors },
    blind: (times) => void (blind = times),
    async during(fn) {
      const { promise, resolve } = Promise.withResolvers<void>();
      door = promise;
      const { connections } = feed.stats;
      venue.inflict("drop");
      await until(() => venue.venue.feed.clients.length === 0);
      await fn();
      resolve();
      await until(() => feed.stats.connections > connections);
    },
    async [Symbol.asyncDispose]() {
      await feed.close();
      await broker.close();
      await venue.close();
    },
  };
}

Deno.test("KiteFeed.orders tells what happened to orders while the socket was down", async () => {
  await using it = await world();
  await it.feed.connect();
  const { order_id: first } = await it.broker.placeOrder(LIMIT);
  await until(() => it.told.length === 1);
  let second = "";
  await it.during(async () => {
    await it.broker.cancelOrder(first);
    second = (await it.broker.placeOrder(MARKET)).order_id;
  });
  await until(() => it.told.length === 3);
  const { order_id: third } = await it.broker.placeOrder(MARKET);
  await until(() => it.told.length === 4);
  assertEquals(it.told, [
    [first, "OPEN"],
    [first, "CANCELLED"],
    [second, "COMPLETE"],
    [third, "COMPLETE"],
  ]);
  await until(() => it.gaps.length === 1);
  assertEquals(it.gaps.map(({ filled }) => filled), [true]);
});

for (const drops of [1, 2, 5]) {
  Deno.test(`KiteFeed.orders tells each update once over ${drops} drops`, async () => {
    await using it = await world();
    it.feed.subscribe(INFY);
    await it.feed.connect();
    const placed: string[] = [];
    const place = async () => void placed.push((await it.broker.placeOrder(MARKET)).order_id);
    for (let i = 0; i < drops; i++) {
      await place();
      await it.during(place);
      await place();
    }
    await until(() => it.told.length === placed.length);
    await until(() => it.gaps.length > 0);
    assert(it.gaps.every(({ filled }) => filled));
    assertEquals(it.told, placed.map((id) => [id, "COMPLETE"]));
  });
}

Deno.test("KiteFeed.orders tells no order that stood before it connected, until it changes", async () => {
  await using it = await world();
  const { order_id: old } = await it.broker.placeOrder(MARKET);
  const { order_id: open } = await it.broker.placeOrder(LIMIT);
  await it.feed.connect();
  await it.during(() => Promise.resolve());
  await until(() => it.gaps.length === 1);
  assertEquals(it.told, []);
  await it.during(() => it.broker.modifyOrder(open, { price: 1_401 }));
  await until(() => it.gaps.length === 2);
  assertEquals(it.told, [[open, "OPEN"]]);
  await it.broker.cancelOrder(open);
  await until(() => it.told.length === 2);
  assert(it.told.every(([id]) => id !== old));
});

Deno.test("KiteFeed.orders tells an order that is placed right after connect(), though the socket drops at once", async () => {
  await using it = await world();
  await it.feed.connect();
  const { order_id } = await it.broker.placeOrder(MARKET);
  await it.during(() => Promise.resolve());
  await until(() => it.gaps.length === 1);
  assertEquals(it.told, [[order_id, "COMPLETE"]]);
});

Deno.test("KiteFeed.orders asks for the order book until it answers, and updates wait meanwhile", async () => {
  await using it = await world();
  await it.feed.connect();
  let missed = "";
  await it.during(async () => {
    missed = (await it.broker.placeOrder(MARKET)).order_id;
    it.blind(2);
  });
  const { order_id: next } = await it.broker.placeOrder(MARKET);
  await until(() => it.told.length === 2);
  assertEquals(it.told, [[missed, "COMPLETE"], [next, "COMPLETE"]]);
  await until(() => it.gaps.length === 1);
  assertEquals(it.gaps.map(({ filled }) => filled), [true]);
});

Deno.test("KiteFeed.orders fills one gap where the socket drops again before the order book answers", async () => {
  await using it = await world();
  await it.feed.connect();
  const missed: string[] = [];
  const miss = async () => void missed.push((await it.broker.placeOrder(MARKET)).order_id);
  await it.during(async () => {
    await miss();
    it.blind(Infinity);
  });
  await miss(); // told over the second connection, where it waits
  await it.during(async () => {
    await miss();
    it.blind(0);
  });
  await until(() => it.gaps.length === 1);
  assertEquals(it.told, missed.map((id) => [id, "COMPLETE"]));
  assertEquals(it.gaps[0].filled, true);
});

Deno.test("KiteFeed.orders tells a gap that it could not fill, and goes on", async () => {
  await using it = await world({ backfillTimeout: 100 });
  await it.feed.connect();
  await it.during(async () => {
    await it.broker.placeOrder(MARKET);
    it.blind(Infinity);
  });
  const { order_id } = await it.broker.placeOrder(MARKET);
  await until(() => it.told.length === 1);
  assertEquals(it.told, [[order_id, "COMPLETE"]]);
  assertEquals(it.gaps.map(({ filled, cause }) => [filled, cause !== undefined]), [[false, true]]);
});

Deno.test("KiteFeed.orders without a broker tells the gap, and that nobody fills it", async () => {
  await using it = await world({ broker: undefined });
  await it.feed.connect();
  await it.during(() => it.broker.placeOrder(MARKET));
  await until(() => it.gaps.length === 1);
  assertEquals([it.gaps[0].filled, it.told], [false, []]);
});

Deno.test("KiteFeed connects though the order book cannot be read", async () => {
  await using it = await world();
  await it.broker.placeOrder(MARKET);
  it.blind(1);
  await it.feed.connect();
  await it.during(() => Promise.resolve());
  await until(() => it.told.length === 1); // all orders of the day count as news then
  assertEquals(it.errors, []);
});

/** A feed that does nothing. */
class Dry {
  readonly closed = new Promise<undefined>(() => {});
  connect(): Promise<void> {
    return Promise.resolve();
  }
  close(): Promise<void> {
    return Promise.resolve();
  }
}

/** A state of an order: its status, how much is filled, and the second of its last change. */
function state(status: string, filled_quantity = 0, second = 0, order_id = "1"): KiteOrder {
  const exchange_update_timestamp = `2026-11-26 09:15:${String(second).padStart(2, "0")}`;
  return { order_id, status, filled_quantity, exchange_update_timestamp } as KiteOrder;
}

const OPEN = state("OPEN");
const PART = state("OPEN", 1, 1);
const MORE = state("UPDATE", 2, 2);
const DONE = state("COMPLETE", 3, 3);
const DEAR = { ...state("OPEN", 0, 1), price: 2 };
const CHEAP = { ...state("OPEN", 0, 2), price: 1 };

const RACES: [string, {
  before: KiteOrder[];
  waiting: KiteOrder[];
  book: KiteOrder[];
  after: KiteOrder[];
  told: KiteOrder[];
}][] = [
  ["an update that waits is the state of the book", {
    ...{ before: [OPEN], waiting: [PART, DONE], book: [DONE], after: [] },
    told: [OPEN, PART, DONE],
  }],
  ["an update comes after the book has told it", {
    ...{ before: [OPEN], waiting: [], book: [PART], after: [PART, DONE] },
    told: [OPEN, PART, DONE],
  }],
  ["the book is ahead of two updates", {
    ...{ before: [OPEN], waiting: [], book: [DONE], after: [PART, DONE] },
    told: [OPEN, DONE],
  }],
  ["the book is behind the updates that wait", {
    ...{ before: [OPEN], waiting: [DONE], book: [PART], after: [] },
    told: [OPEN, PART, DONE],
  }],
  ["the book knows no more than before", {
    ...{ before: [PART], waiting: [], book: [OPEN], after: [DONE] },
    told: [PART, DONE],
  }],
  ["an update of the same second is of a smaller fill than the book", {
    ...{ before: [OPEN], waiting: [], book: [state("OPEN", 2, 1)], after: [PART, MORE, DONE] },
    told: [OPEN, state("OPEN", 2, 1), DONE],
  }],
  ["an update of the same second is of an order that has ended in the book", {
    ...{ before: [], waiting: [], book: [state("CANCELLED")], after: [OPEN, state("CANCELLED")] },
    told: [state("CANCELLED")],
  }],
  ["an update is a change of an earlier second than the book", {
    ...{ before: [OPEN], waiting: [], book: [CHEAP], after: [DEAR, CHEAP, DONE] },
    told: [OPEN, CHEAP, DONE],
  }],
  ["the socket calls UPDATE what the book calls OPEN", {
    ...{ before: [OPEN], waiting: [MORE], book: [{ ...MORE, status: "OPEN" }], after: [] },
    told: [OPEN, MORE],
  }],
];

for (const [what, { before, waiting, book, after, told }] of RACES) {
  Deno.test(`OrderUpdates tells each update once, in order, where ${what}`, async () => {
    const asked = Promise.withResolvers<KiteOrder[]>();
    const books = [Promise.resolve([]), asked.promise, asked.promise];
    const broker = { orders: () => books.shift()! };
    const updates = new OrderUpdates(new Dry(), { broker, overlap: 0 });
    const heard: KiteOrder[] = [];
    updates.on("item", (order) => heard.push(order));
    const gap = new Promise((resolve) => updates.on("gap", resolve));
    await updates.begin(new AbortController().signal);
    for (const order of before) updates.read(order, 1);
    updates.lose(1);
    updates.resume();
    for (const order of waiting) updates.read(order, 2);
    asked.resolve(book);
    await gap;
    for (const order of after) updates.read(order, 2);
    assertEquals(heard, told);
  });
}

/** What happens to one order, step by step. */
type Step = "change" | "tell" | "lose" | "resume" | "ask" | "answer";

Deno.test("OrderUpdates tells states of an order in order, each once, the last one too, whatever happens", async () => {
  const steps = fc.array(
    fc.constantFrom<Step>("change", "tell", "lose", "resume", "ask", "answer"),
    { maxLength: 60, size: "max" },
  );
  await fc.assert(
    fc.asyncProperty(steps, async (steps) => {
      let version = 0;
      /** Updates on their way over the connection, and the book of a question. */
      let wire: number[] = [];
      let isUp = true;
      let connection = 1;
      let seen: number | undefined;
      const questions: ((orders: KiteOrder[]) => void)[] = [];
      const at = (version: number) => state(version === 9 ? "COMPLETE" : "OPEN", version, version);
      const orders = () => new Promise<KiteOrder[]>((resolve) => questions.push(resolve));
      const updates = new OrderUpdates(new Dry(), { broker: { orders }, overlap: 0 });
      const begun = updates.begin(new AbortController().signal);
      questions.shift()!([]);
      await begun;
      const told: number[] = [];
      updates.on("item", ({ filled_quantity }) => told.push(filled_quantity));
      const play = async (step: Step) => {
        if (step === "change" && version < 9) {
          version++;
          if (isUp) wire.push(version);
        } else if (step === "tell" && wire.length > 0) {
          updates.read(at(wire.shift()!), connection);
        } else if (step === "lose" && isUp) {
          isUp = false;
          wire = [];
          updates.lose(1);
        } else if (step === "resume" && !isUp) {
          isUp = true;
          connection++;
          updates.resume();
        } else if (step === "ask" && questions.length > 0) seen ??= version;
        else if (step === "answer" && questions.length > 0) {
          questions.shift()!([at(seen ?? version)].slice(0, (seen ?? version) || 0));
          seen = undefined;
        }
        for (let i = 0; i < 10; i++) await null;
      };
      for (const step of steps) await play(step);
      await play("resume");
      while (questions.length > 0) await play("answer");
      while (wire.length > 0) await play("tell");
      assertEquals(told, told.toSorted((a, b) => a - b));
      assertEquals(new Set(told).size, told.length);
      assertEquals(told.at(-1) ?? 0, version);
    }),
    {
      numRuns: 5_000,
      // An update came while the order book was asked, which did not know the order yet.
      examples: [[["lose", "resume", "answer", "ask", "change", "tell", "answer", "lose"]]],
    },
  );
});

Deno.test("OrderUpdates reads the order book once more, as a venue may begin to send late", async () => {
  const books = [[], [OPEN], [PART]];
  const orders = () => Promise.resolve(books.shift()!);
  const updates = new OrderUpdates(new Dry(), { broker: { orders }, overlap: 5 });
  const heard: KiteOrder[] = [];
  updates.on("item", (order) => heard.push(order));
  const gap = new Promise((resolve) => updates.on("gap", resolve));
  await updates.begin(new AbortController().signal);
  updates.lose(1);
  updates.resume();
  await gap;
  updates.read(DONE, 2);
  assertEquals(heard, [OPEN, PART, DONE]);
});

Deno.test("OrderUpdates asks for the order book after a loss only, and tells its gap", async () => {
  let asked = 0;
  const orders = () => Promise.resolve([]).finally(() => asked++);
  const updates = new OrderUpdates(new Dry(), { broker: { orders }, overlap: 0 });
  const gaps: GapEvent[] = [];
  updates.on("gap", (gap) => gaps.push(gap));
  const settle = () => new Promise((resolve) => setTimeout(resolve, 1));
  updates.resume(); // the first connection
  await settle();
  assertEquals(asked, 0);
  const before = Date.now();
  updates.lose(7);
  updates.resume();
  await settle();
  updates.resume(); // one connection replaces another
  await settle();
  assertEquals([asked, gaps.length, gaps[0].since, gaps[0].filled], [2, 1, 7, true]);
  assert(gaps[0].until >= before);
});

Deno.test("OrderUpdates delivers an update once that the venue repeats, and every other", () => {
  const updates = new OrderUpdates(new Dry());
  const heard: KiteOrder[] = [];
  updates.on("item", (order) => heard.push(order));
  const cheaper = { ...OPEN, price: 1 };
  for (const order of [OPEN, OPEN, cheaper, OPEN, { ...OPEN }, PART, PART]) updates.read(order, 1);
  assertEquals(heard, [OPEN, cheaper, OPEN, PART]);
});

Deno.test("OrderUpdates delivers an update once that two connections tell, while one replaces the other", () => {
  const updates = new OrderUpdates(new Dry());
  const heard: KiteOrder[] = [];
  updates.on("item", (order) => heard.push(order));
  for (const [order, over] of [[OPEN, 1], [OPEN, 2], [PART, 2], [PART, 1], [OPEN, 1], [DONE, 2]]) {
    updates.read(order as KiteOrder, over);
  }
  assertEquals(heard, [OPEN, PART, DONE]);
});
