import { assert, assertEquals, assertRejects, assertStrictEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import { FeedError } from "../feeder.ts";
import { ShardedFeeder, type ShardedFeederOptions } from "../sharded_feeder.ts";
import { WebSocketFeeder, type WebSocketFeederOptions } from "../websocket_feeder.ts";

/** A socket that opens when it is told to, and answers a close at once. */
class Socket {
  readyState = 0;
  binaryType = "blob";
  onopen: (() => void) | null = null;
  onmessage: ((event: { data: string }) => void) | null = null;
  onerror: (() => void) | null = null;
  onclose: ((event: { code: number; reason: string; wasClean: boolean }) => void) | null = null;
  readonly sent: string[] = [];

  send(frame: string): void {
    this.sent.push(frame);
  }
  open(): void {
    this.readyState = 1;
    this.onopen?.();
  }
  say(data: string): void {
    this.onmessage?.({ data });
  }
  close(): void {
    if (this.readyState < 2) this.end(1000);
  }
  end(code: number): void {
    this.readyState = 3;
    this.onclose?.({ code, reason: "", wasClean: code === 1000 });
  }
}

class Shard extends WebSocketFeeder<string, string> {
  readonly sockets: Socket[] = [];

  constructor(options: WebSocketFeederOptions = {}) {
    super({ baseWait: 0, jitter: 0, ...options });
  }
  get socket(): Socket {
    return this.sockets[this.sockets.length - 1];
  }
  get symbols(): string[] {
    return [...this.subscriptions.values()];
  }
  protected override createSocket(): WebSocket {
    this.sockets.push(new Socket());
    return this.socket as unknown as WebSocket;
  }
  protected override endpoint(): string {
    return "ws://venue/";
  }
  protected override request(op: string, subs: string[]): string {
    return `${op} ${subs.join()}`;
  }
  protected override receive(data: string | ArrayBuffer): void {
    const [verb, symbol] = String(data).split(" ");
    if (verb === "refuse") this.refuse(symbol, "unknown symbol");
    else this.emit(String(data));
  }
}

/** A sharded feed whose shards can be looked at. */
function sharded(options: ShardedFeederOptions = {}, own: WebSocketFeederOptions = {}) {
  const shards: Shard[] = [];
  const feed = new ShardedFeeder<string>(() => {
    shards.push(new Shard(own));
    return shards[shards.length - 1];
  }, options);
  return { feed, shards };
}

/** Lets every promise settle that can. */
async function settle(): Promise<void> {
  for (let i = 0; i < 100; i++) await null;
}

async function live(setup: ReturnType<typeof sharded>): Promise<void> {
  const connected = setup.feed.connect();
  await settle();
  for (const { socket } of setup.shards) socket.open();
  await connected;
}

const symbols = (count: number, from = 0) =>
  Array.from({ length: count }, (_, i) => `S${from + i}`);

Deno.test("ShardedFeeder spreads its subscriptions over as many shards as they take", async () => {
  const setup = sharded({ limit: 3_000, maxShards: 3 });
  const { feed, shards } = setup;
  feed.subscribe(...symbols(9_000));
  assertEquals(shards.map(({ subscriptions }) => subscriptions.size), [3_000, 3_000, 3_000]);
  assertEquals(feed.subscriptions.size, 9_000);
  assertEquals(feed.state, "idle");
  await live(setup);
  assertEquals(feed.state, "live");
  assertEquals(feed.stats.connections, 3);
  await feed.close();
});

Deno.test("ShardedFeeder a subscription stays where it is; a new one goes to the first shard with room", async () => {
  const { feed, shards } = sharded({ limit: 2 });
  feed.subscribe("A", "B", "C");
  feed.unsubscribe("A");
  feed.subscribe("C", "D", "E");
  assertEquals(shards.map(({ symbols }) => symbols), [["B", "D"], ["C", "E"]]);
  await feed.close();
});

Deno.test("ShardedFeeder a shard whose last subscription has left closes, except the only one", async () => {
  const setup = sharded({ limit: 1 });
  const { feed, shards } = setup;
  feed.subscribe("A", "B");
  await live(setup);
  feed.unsubscribe("A");
  await settle();
  assertEquals(shards.map(({ state }) => state), ["closed", "live"]);
  assertEquals(feed.state, "live");
  feed.unsubscribe("B");
  await settle();
  assertEquals(shards[1].state, "live");
  assertEquals(feed.stats.connections, 2, "those of the closed shard are still counted");
  await feed.close();
});

Deno.test("ShardedFeeder a shard whose last subscription the venue has refused closes", async () => {
  const setup = sharded({ limit: 1 });
  const { feed, shards } = setup;
  feed.on("error", () => {});
  feed.subscribe("A", "B");
  await live(setup);
  shards[1].socket.say("refuse B");
  await settle();
  assertEquals(shards.map(({ state }) => state), ["live", "closed"]);
  shards[0].socket.say("refuse A");
  await settle();
  assertEquals(shards[0].state, "live", "the only one stays");
  await feed.close();
});

Deno.test("ShardedFeeder what is empty only within a turn does not close", async () => {
  const setup = sharded({ limit: 1 });
  const { feed, shards } = setup;
  feed.subscribe("A", "B");
  await live(setup);
  feed.unsubscribe("B");
  feed.subscribe("C");
  await settle();
  assertEquals(shards.length, 2);
  assertEquals(shards.map(({ symbols, state }) => [symbols, state]), [[["A"], "live"], [
    ["C"],
    "live",
  ]]);
  await feed.close();
});

Deno.test("ShardedFeeder a shard that loses its connection touches no other", async () => {
  const setup = sharded({ limit: 1 });
  const { feed, shards } = setup;
  const states: string[] = [];
  feed.on("state", ({ state }) => states.push(state));
  feed.on("retry", ({ attempt }) => states.push(`retry ${attempt}`));
  feed.on("live", ({ connection, resumed }) => states.push(`live ${connection} ${resumed}`));
  feed.subscribe("A", "B");
  await live(setup);
  const items = feed.stream();
  shards[0].socket.end(1006);
  shards[1].socket.say("B 1");
  assertEquals((await items.next()).value, "B 1");
  assertEquals(shards[1].sockets.length, 1);
  assertEquals(shards[1].state, "live");
  await settle();
  assertEquals(states.slice(0, 6), [
    "connecting",
    "live 1 false",
    "live",
    "live 2 false",
    "waiting",
    "retry 1",
  ]);
  await feed.close();
});

Deno.test("ShardedFeeder more than maxShards is a RangeError that changes nothing", async () => {
  const setup = sharded({ limit: 2, maxShards: 2 });
  const { feed, shards } = setup;
  feed.subscribe("A", "B", "C");
  await live(setup);
  const sent = shards.map(({ socket }) => [...socket.sent]);
  assertThrows(() => feed.subscribe("D", "E"), RangeError, "more than 2 sockets of 2");
  await settle();
  assertEquals([...feed.subscriptions.values()], ["A", "B", "C"]);
  assertEquals(shards.length, 2);
  assertEquals(shards.map(({ socket }) => socket.sent).map((all) => all.length), [1, 1]);
  assertEquals(sent.length, 2);
  feed.subscribe("D"); // what fits is still taken
  assertEquals(feed.subscriptions.size, 4);
  await feed.close();
});

Deno.test("ShardedFeeder a fatal ending of one shard ends all, and is told once", async () => {
  const setup = sharded({ limit: 1 });
  const { feed, shards } = setup;
  const errors: unknown[] = [];
  feed.on("error", (error) => errors.push(error));
  feed.subscribe("A", "B", "C");
  await live(setup);
  const items = feed.stream();
  shards[1].socket.end(1003);
  const error = await feed.closed;
  assert(error instanceof FeedError && error.fatal);
  assertEquals(shards.map(({ state }) => state), ["closed", "closed", "closed"]);
  assertEquals(errors, [error]);
  assertStrictEquals(await items.next().catch((error) => error), error);
  assertStrictEquals(await feed.connect().catch((error) => error), undefined, "it had connected");
  assertEquals(feed.state, "closed");
});

Deno.test("ShardedFeeder.connect() rejects with the error that ends the feed before it is live", async () => {
  const { feed, shards } = sharded({ limit: 1 });
  feed.on("error", () => {});
  feed.subscribe("A", "B");
  const connected = feed.connect();
  assertStrictEquals(feed.connect(), connected);
  await settle();
  shards[0].socket.open();
  shards[1].socket.end(1003);
  const error = await connected.catch((error) => error);
  assert(error instanceof FeedError);
  assertStrictEquals(await feed.closed, error);
});

Deno.test("ShardedFeeder.connect() without a subscription opens one shard", async () => {
  const setup = sharded();
  await live(setup);
  assertEquals(setup.shards.length, 1);
  await setup.feed.close();
});

Deno.test("ShardedFeeder.connect() rejects once the feed is closed", async () => {
  const { feed } = sharded();
  await feed.close();
  await assertRejects(() => feed.connect(), FeedError, "closed");
  assertEquals(await feed.closed, undefined);
});

Deno.test("ShardedFeeder a shard added later connects by itself", async () => {
  const setup = sharded({ limit: 1 });
  const { feed, shards } = setup;
  feed.subscribe("A");
  await live(setup);
  feed.subscribe("B");
  assertEquals(feed.state, "connecting");
  await settle();
  shards[1].socket.open();
  await settle();
  assertEquals(feed.state, "live");
  assertEquals(shards[1].socket.sent, ["subscribe B"]);
  await feed.close();
});

Deno.test("ShardedFeeder a subscription that the venue refused is asked for when it is subscribed to again", async () => {
  const setup = sharded({ limit: 1 });
  const { feed, shards } = setup;
  const errors: string[] = [];
  feed.on("error", ({ message }) => errors.push(message));
  feed.subscribe("A");
  await live(setup);
  await settle();
  shards[0].socket.say("refuse A");
  assertEquals(feed.subscriptions.size, 0);
  assertEquals(errors, ["Cannot subscribe to A: unknown symbol"]);
  feed.subscribe("A");
  await settle();
  assertEquals(shards[0].socket.sent, ["subscribe A", "subscribe A"]);
  await feed.close();
});

Deno.test("ShardedFeeder a subscription that the venue refused has lost its place", async () => {
  const setup = sharded({ limit: 1 });
  const { feed, shards } = setup;
  feed.on("error", () => {});
  feed.subscribe("A");
  await live(setup);
  await settle();
  shards[0].socket.say("refuse A");
  feed.subscribe("B");
  feed.subscribe("A");
  assertEquals(shards.map(({ symbols }) => symbols), [["B"], ["A"]]);
  await feed.close();
});

Deno.test("ShardedFeeder closes when its signal aborts", async () => {
  const controller = new AbortController();
  const { feed, shards } = sharded({ signal: controller.signal });
  feed.subscribe("A");
  const connected = feed.connect();
  await settle();
  controller.abort("enough");
  assertEquals(await connected.catch((reason) => reason), "enough");
  await feed.closed;
  assertEquals(shards[0].state, "closed");
  assertEquals(
    new ShardedFeeder(() => new Shard(), { signal: controller.signal }).state,
    "closing",
  );
});

Deno.test("ShardedFeeder refuses options out of range or of the wrong type, and a make() that gives a feed in use", () => {
  const make = () => new Shard();
  assertThrows(() => new ShardedFeeder(make, { limit: 0 }), RangeError, "limit is 0, wanted");
  assertThrows(() => new ShardedFeeder(make, { maxShards: 1.5 }), RangeError, "maxShards is 1.5");
  assertThrows(
    () => new ShardedFeeder(make, { limit: "10" as never }),
    TypeError,
    'limit is "10", a string; wanted',
  );
  assertThrows(() => new ShardedFeeder(undefined as never), TypeError, "make is null; wanted");
  const only = new Shard();
  const feed = new ShardedFeeder(() => only, { limit: 1 });
  feed.subscribe("A");
  assertThrows(() => feed.subscribe("B"), TypeError, "wanted a new one");
  assertEquals([...feed.subscriptions.values()], ["A"]);
});

Deno.test("ShardedFeeder looks at each subscription once: 100,000 of them take linear time", async () => {
  let keys = 0;
  class Counting extends Shard {
    protected override key(sub: string): unknown {
      keys++;
      return sub;
    }
  }
  const feed = new ShardedFeeder<string>(() => new Counting(), { limit: 1_024 });
  feed.subscribe(...symbols(100_000));
  assertEquals(feed.subscriptions.size, 100_000);
  assertEquals(keys, 200_000, "once by the sharded feed, once by its shard");
  await feed.close();
});

Deno.test("property: ShardedFeeder holds what was subscribed to, no shard holds more than its limit, nothing is moved", async () => {
  const step = fc.record({
    isSubscribe: fc.boolean(),
    subs: fc.array(fc.integer({ min: 0, max: 30 }).map((n) => `S${n}`), { maxLength: 8 }),
    isTurnOver: fc.boolean(),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 40 }), fc.integer({ min: 1, max: 5 }), async (
      steps,
      limit,
    ) => {
      const { feed, shards } = sharded({ limit, maxShards: 6 });
      const model = new Set<string>();
      let homes = new Map<string, Shard>();
      for (const { isSubscribe, subs, isTurnOver } of steps) {
        try {
          if (isSubscribe) feed.subscribe(...subs);
          else feed.unsubscribe(...subs);
          for (const sub of subs) isSubscribe ? model.add(sub) : model.delete(sub);
        } catch (error) {
          assert(error instanceof RangeError && isSubscribe);
        }
        if (isTurnOver) await null;
        const now = new Map<string, Shard>();
        for (const shard of shards) {
          assert(shard.subscriptions.size <= limit);
          for (const symbol of shard.symbols) now.set(symbol, shard);
        }
        for (const [symbol, shard] of now) {
          if (homes.has(symbol) && model.has(symbol)) assertStrictEquals(homes.get(symbol), shard);
        }
        homes = now;
        assertEquals(new Set(feed.subscriptions.values()), model);
        assertEquals(new Set(now.keys()), model);
      }
      await feed.close();
    }),
  );
});
