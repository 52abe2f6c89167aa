import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { FakeTime } from "@std/testing/time";
import fc from "fast-check";
import { FeedError } from "../../feeder.ts";
import type { FeedConnection, Frame, WebSocketFeederOptions } from "../../websocket_feeder.ts";
import {
  connected,
  type FakeSocket,
  Gate,
  over,
  pass,
  settle,
  TestFeed,
  tick,
} from "./fake_feed.ts";

/** A venue that confirms: `ok a,b`; refuses for good: `no a`; and for now: `later a`. */
class ConfirmingFeed extends TestFeed {
  protected override receive(data: string, _connection: FeedConnection) {
    const [what, names = ""] = data.split(" ");
    if (what === "ok") this.confirm(...names.split(","));
    else if (what === "no") this.refuse(names, "unknown symbol");
    else if (what === "later") this.refuse(names, "too fast", { retryAfter: 2_000 });
    else this.emit(data);
  }
}

// ---------------------------------------------------------------- subscribed

Deno.test("WebSocketFeeder subscribed: told once all is asked for, where the venue confirms nothing", async () => {
  const pace = new Gate();
  class Batched extends TestFeed {
    protected override readonly batch = 2;
  }
  const feed = new Batched({ pace });
  feed.subscribe("a", "b", "c");
  await connected(feed);
  await pace.open(1);
  assertEquals(feed.subscribed, []);
  await pace.open();
  assertEquals(feed.socket.sent, ["+a,b", "+c"]);
  assertEquals(feed.subscribed, [{ connection: 1, count: 3 }]);
  feed.subscribe("d");
  await settle();
  await pace.open();
  assertEquals(feed.subscribed.length, 1);
  await over(feed);
});

Deno.test("WebSocketFeeder subscribed: told after live, with 0 where there is nothing to subscribe to", async () => {
  const told: string[] = [];
  const feed = new TestFeed();
  feed.on("live", () => told.push("live"));
  feed.on("subscribed", ({ count }) => told.push(`subscribed ${count}`));
  await connected(feed);
  assertEquals(told, ["live", "subscribed 0"]);
  await over(feed);
});

Deno.test("WebSocketFeeder.confirm() subscribed comes with the last confirmation, once per connection", async () => {
  using time = new FakeTime();
  const feed = new ConfirmingFeed({ confirmTimeout: 1_000, baseWait: 100 });
  feed.subscribe("a", "b", "c");
  await connected(feed);
  feed.socket.say("ok a,b,nobody's");
  await settle();
  assertEquals(feed.subscribed, []);
  feed.socket.say("ok c");
  await settle();
  feed.socket.say("ok c");
  assertEquals(feed.subscribed, [{ connection: 1, count: 3 }]);
  feed.unsubscribe("b");
  feed.socket.end();
  await tick(time, 100);
  await connected(feed);
  feed.socket.say("ok c");
  feed.socket.say("ok a");
  await settle();
  assertEquals(feed.subscribed, [{ connection: 1, count: 3 }, { connection: 2, count: 2 }]);
  assertEquals(feed.socket.sent, ["+a,c"]);
  await over(feed, time);
});

Deno.test("WebSocketFeeder.confirm() what is unsubscribed or refused is not waited for", async () => {
  for (const how of ["unsubscribe", "refuse"] as const) {
    const feed = new ConfirmingFeed({ confirmTimeout: 1_000 });
    feed.subscribe("a", "b");
    await connected(feed);
    feed.socket.say("ok a");
    if (how === "unsubscribe") feed.unsubscribe("b");
    else feed.socket.say("no b");
    await settle();
    assertEquals(feed.subscribed, [{ connection: 1, count: 1 }]);
    await over(feed);
  }
});

// ---------------------------------------------------------------- confirmTimeout

Deno.test("WebSocketFeeder confirmTimeout: what is late is asked for again, with growing waits, the rest is not", async () => {
  using time = new FakeTime();
  const feed = new ConfirmingFeed({ confirmTimeout: 1_000 });
  feed.subscribe("a", "b", "c");
  await connected(feed);
  feed.socket.say("ok b");
  await tick(time, 999);
  assertEquals(feed.socket.sent, ["+a,b,c"]);
  await tick(time, 1);
  assertEquals(feed.socket.sent, ["+a,b,c", "+a,c"]);
  feed.socket.say("ok a");
  await tick(time, 1_999);
  assertEquals(feed.socket.sent.length, 2);
  await tick(time, 1);
  assertEquals(feed.socket.sent, ["+a,b,c", "+a,c", "+c"]);
  feed.socket.say("ok c");
  await tick(time, 60_000);
  assertEquals([feed.socket.sent.length, feed.errors.length, feed.sockets.length], [3, 0, 1]);
  assertEquals(feed.subscribed, [{ connection: 1, count: 3 }]);
  await over(feed, time);
});

Deno.test("WebSocketFeeder confirmTimeout: what is never confirmed is reported, and the connection replaced", async () => {
  using time = new FakeTime();
  const feed = new ConfirmingFeed({ confirmTimeout: 1_000, overlap: 100 });
  feed.subscribe("a", "b", "c", "d", "e");
  await connected(feed);
  feed.socket.say("ok e");
  await pass(time, 6_999);
  assertEquals([feed.socket.sent.length, feed.errors.length, feed.sockets.length], [3, 0, 1]);
  await tick(time, 1);
  assertEquals(feed.errors.map(({ message, fatal }) => [message, fatal]), [[
    "Cannot subscribe to a, b, c and 1 more: asked again and again, never confirmed, " +
    "wanted confirm() with the same key",
    false,
  ]]);
  const [old, next] = feed.sockets;
  old.say("still here");
  next.open();
  await settle();
  next.say("ok a,b,c,d,e");
  await pass(time, 300);
  assertEquals([feed.lives.length, old.closedWith, feed.items], [2, 1000, ["still here"]]);
  assertEquals(feed.subscribed, [{ connection: 2, count: 5 }]);
  await over(feed, time);
});

Deno.test("WebSocketFeeder confirmTimeout: the error names a key that was confirmed and not subscribed to", async () => {
  using time = new FakeTime();
  const feed = new ConfirmingFeed({ confirmTimeout: 1_000 });
  feed.subscribe("btc");
  await connected(feed);
  feed.socket.say("ok BTC");
  await pass(time, 7_000);
  const words = "wanted confirm() with the same key; confirm() was given BTC";
  assertStringIncludes(feed.errors[0].message, words);
  await over(feed, time);
});

Deno.test("WebSocketFeeder confirmTimeout: a replacement that is not confirmed does not take over", async () => {
  using time = new FakeTime();
  const feed = new ConfirmingFeed({ confirmTimeout: 1_000, maxLifetime: 10_000, baseWait: 500 });
  feed.subscribe("a");
  await connected(feed);
  feed.socket.say("ok a");
  await tick(time, 10_000);
  const [old, next] = feed.sockets;
  next.open();
  await pass(time, 7_000);
  assertEquals([feed.lives.length, old.closedWith, next.closedWith], [1, undefined, 1000]);
  assertEquals(feed.retries.map(({ ending }) => ending.reason), ["it confirms no subscriptions"]);
  await over(feed, time);
});

Deno.test("WebSocketFeeder confirmTimeout: a venue that confirms nothing is asked three times on each connection", async () => {
  using time = new FakeTime();
  const feed = new ConfirmingFeed({ confirmTimeout: 1_000, baseWait: 1_000 });
  feed.subscribe("a");
  await connected(feed);
  for (let i = 0; i < 600; i++) {
    if (feed.socket.readyState === 0) feed.socket.open();
    await tick(time, 1_000);
  }
  assert(feed.sockets.every(({ sent }) => sent.length <= 3));
  assert(feed.sockets.length < 30, `${feed.sockets.length} connections in ten minutes`);
  assertEquals([feed.state, feed.sockets[0].closedWith], ["live", undefined]);
  await over(feed, time);
});

Deno.test("WebSocketFeeder.confirm() of a request from before an unsubscribe does not confirm the one after", async () => {
  using time = new FakeTime();
  const feed = new ConfirmingFeed({ confirmTimeout: 1_000 });
  feed.subscribe("a", "z");
  await connected(feed);
  feed.unsubscribe("a");
  await settle();
  feed.subscribe("a");
  await settle();
  assertEquals(feed.socket.sent, ["+a,z", "-a", "+a"]);
  feed.socket.say("ok a,z"); // of the first
  assertEquals(feed.subscribed, []);
  feed.socket.say("ok a");
  assertEquals(feed.subscribed, [{ connection: 1, count: 2 }]);

  // Should the older confirmation be lost, the newer one is taken for it, and the repeat confirms.
  feed.subscribe("b");
  await settle();
  feed.resubscribe("b");
  await settle();
  feed.socket.say("ok b");
  await pass(time, 1_000);
  assertEquals(feed.socket.sent.slice(3), ["+b", "-b", "+b", "+b"]);
  feed.socket.say("ok b");
  await pass(time, 60_000);
  assertEquals([feed.socket.sent.length, feed.errors.length], [7, 0]);
  await over(feed, time);
});

Deno.test("WebSocketFeeder confirmTimeout: counted from the frame's leaving, not from its wait for pace", async () => {
  using time = new FakeTime();
  const pace = new Gate();
  const feed = new ConfirmingFeed({ confirmTimeout: 1_000, pace });
  feed.subscribe("a");
  await connected(feed);
  await tick(time, 5_000);
  await pace.open();
  await tick(time, 999);
  assertEquals([feed.socket.sent, pace.size], [["+a"], 0]);
  await tick(time, 1);
  assertEquals(pace.size, 1);
  await over(feed, time);
});

// ---------------------------------------------------------------- refuse for now

Deno.test("WebSocketFeeder.refuse() with retryAfter asks again later, with growing waits, and tells each time", async () => {
  using time = new FakeTime();
  const feed = new ConfirmingFeed({ confirmTimeout: 10_000 });
  feed.subscribe("a", "b");
  await connected(feed);
  feed.socket.say("ok b");
  for (const wait of [2_000, 2_000, 2_000, 4_000, 8_000]) {
    feed.socket.say("later a");
    const asked = feed.socket.sent.length;
    await tick(time, wait - 1);
    assertEquals(feed.socket.sent.length, asked);
    await tick(time, 1);
    assertEquals(feed.socket.sent.slice(asked), ["+a"]);
  }
  assertEquals(
    feed.errors.map(({ message }) => message)[3],
    "Cannot subscribe to a now: too fast; asked again in 4000 ms",
  );
  assertEquals([feed.errors.length, feed.subscribed.length], [5, 0]);
  assertEquals([...feed.subscriptions.keys()], ["a", "b"]);
  feed.socket.say("ok a");
  assertEquals(feed.subscribed, [{ connection: 1, count: 2 }]);
  await over(feed, time);
});

Deno.test("WebSocketFeeder.refuse() with retryAfter holds on the next connection too, and through subscribe()", async () => {
  using time = new FakeTime();
  const feed = new ConfirmingFeed({ baseWait: 100 });
  feed.subscribe("a", "b");
  await connected(feed);
  feed.socket.say("later a");
  await tick(time, 500);
  feed.socket.end();
  await tick(time, 100);
  await connected(feed);
  feed.unsubscribe("a");
  feed.subscribe("a");
  await settle();
  assertEquals([feed.socket.sent, feed.subscribed.length], [["+b"], 1]);
  await tick(time, 1_400);
  assertEquals([feed.socket.sent, feed.subscribed.length], [["+b", "+a"], 2]);
  await over(feed, time);
});

Deno.test("WebSocketFeeder.refuse() with retryAfter of what is unsubscribed meanwhile asks for nothing", async () => {
  using time = new FakeTime();
  const feed = new ConfirmingFeed({ confirmTimeout: 60_000 });
  feed.subscribe("a", "b");
  await connected(feed);
  feed.socket.say("ok b");
  feed.socket.say("later a");
  feed.socket.say("later z");
  await tick(time, 1_000);
  assertEquals(feed.subscribed.length, 0);
  feed.unsubscribe("a");
  await tick(time, 10_000);
  assertEquals([feed.socket.sent, feed.errors.length], [["+a,b"], 1]);
  assertEquals(feed.subscribed, [{ connection: 1, count: 1 }]);
  await over(feed, time);
});

// ---------------------------------------------------------------- request

Deno.test("WebSocketFeeder.request() is told its connection; one that fails to replace another drops no id", async () => {
  using time = new FakeTime();
  // Ids are given per connection, as some venues do; `-` needs that of its own connection.
  class Numbered extends TestFeed {
    readonly ids = new WeakMap<FeedConnection, Map<string, number>>();
    protected override request(
      op: "subscribe" | "unsubscribe",
      subs: string[],
      connection: FeedConnection,
    ) {
      const ids = this.ids.get(connection) ?? new Map();
      this.ids.set(connection, ids);
      if (op === "unsubscribe") return subs.map((sub) => `-${ids.get(sub)}`);
      return subs.map((sub) => {
        ids.set(sub, ids.size + 1);
        return `+${sub}=${ids.get(sub)}`;
      });
    }
  }
  const feed = await connected(new Numbered({ maxLifetime: 10_000, baseWait: 60_000 }));
  feed.subscribe("A", "B");
  await settle();
  feed.unsubscribe("A");
  feed.subscribe("C");
  await tick(time, 10_000);
  const [old, next] = feed.sockets;
  next.open();
  await settle();
  assertEquals(next.sent, ["+B=1", "+C=2"]);
  next.end();
  await settle();
  feed.unsubscribe("B");
  await settle();
  assertEquals(old.sent, ["+A=1", "+B=2", "-1", "+C=3", "-2"]);
  await over(feed, time);
});

/** Signs each request, which takes a promise. */
class SigningFeed extends TestFeed {
  signatures: PromiseWithResolvers<string>[] = [];
  protected override async request(
    op: "subscribe" | "unsubscribe",
    subs: string[],
  ): Promise<Frame> {
    const signature = Promise.withResolvers<string>();
    this.signatures.push(signature);
    const signed = await signature.promise;
    return `${op === "subscribe" ? "+" : "-"}${subs}:${signed}`;
  }
  async sign(text: string): Promise<void> {
    this.signatures.shift()!.resolve(text);
    await settle();
  }
}

Deno.test("WebSocketFeeder.request() that takes a promise is written when that has settled, in order", async () => {
  class Batched extends SigningFeed {
    protected override readonly batch = 1;
  }
  const feed = new Batched();
  feed.subscribe("a", "b");
  await connected(feed);
  assertEquals([feed.socket.sent, feed.signatures.length], [[], 1]);
  await feed.sign("s1");
  feed.subscribe("c");
  await feed.sign("s2");
  await feed.sign("s3");
  assertEquals(feed.socket.sent, ["+a:s1", "+b:s2", "+c:s3"]);
  assertEquals(feed.subscribed, [{ connection: 1, count: 3 }]);
  await over(feed);
});

Deno.test("WebSocketFeeder.request() whose promise settles after its connection has ended is not written on the next", async () => {
  using time = new FakeTime();
  const feed = new SigningFeed({ baseWait: 0 });
  feed.subscribe("a");
  await connected(feed);
  feed.socket.end();
  await tick(time, 0);
  await connected(feed);
  await feed.sign("old");
  assertEquals(feed.sockets.map(({ sent }) => sent), [[], []]);
  await feed.sign("new");
  assertEquals(feed.sockets.map(({ sent }) => sent), [[], ["+a:new"]]);
  await over(feed, time);
});

Deno.test("WebSocketFeeder.request() whose promise does not settle within connectTimeout ends the connection", async () => {
  using time = new FakeTime();
  const feed = new SigningFeed({ baseWait: 0, connectTimeout: 3_000 });
  feed.subscribe("a", "b");
  await connected(feed);
  await tick(time, 2_000);
  await feed.sign("s1");
  feed.subscribe("c");
  await tick(time, 2_999);
  assertEquals(feed.state, "live");
  await tick(time, 1);
  assertEquals(feed.retries.map(({ ending }) => ending.reason), [
    "request() gave no frames in time",
  ]);
  await tick(time, 0);
  await connected(feed);
  await feed.sign("late");
  await feed.sign("s2");
  assertEquals(feed.sockets.map(({ sent }) => sent), [["+a,b:s1"], ["+a,b,c:s2"]]);
  await over(feed, time);
});

Deno.test("WebSocketFeeder.request() whose promise rejects is reported, or ends the feed", async () => {
  for (const fatal of [false, true]) {
    const feed = new SigningFeed();
    feed.subscribe("a");
    await connected(feed);
    feed.signatures.shift()!.reject(new FeedError("no key", { fatal }));
    await settle();
    assertEquals([feed.state, feed.errors[0].message], [fatal ? "closed" : "live", "no key"]);
    feed.unsubscribe("a");
    await settle();
    if (!fatal) await feed.sign("s");
    assertEquals(feed.socket.sent, fatal ? [] : ["-a:s"]);
    await over(feed);
  }
});

Deno.test("WebSocketFeeder.request() that takes a promise: each frame takes one place of pace, but the first two", async () => {
  const pace = new Gate();
  class Batched extends SigningFeed {
    protected override readonly batch = 1;
  }
  const feed = new Batched({ pace });
  feed.subscribe("a", "b", "c");
  await connected(feed);
  let places = 0;
  for (let i = 0; i < 20 && feed.socket.sent.length < 3; i++) {
    if (feed.signatures.length > 0) await feed.sign("s");
    if (pace.size > 0) {
      places++;
      await pace.open(1);
    }
  }
  assertEquals([feed.socket.sent, places], [["+a:s", "+b:s", "+c:s"], 4]);
  await over(feed);
});

// ---------------------------------------------------------------- repairs

Deno.test("WebSocketFeeder.resubscribe() soon after another waits, doubling from a second to maxWait", async () => {
  using time = new FakeTime();
  const feed = new TestFeed({ maxWait: 6_000 });
  feed.subscribe("a", "b");
  await connected(feed);
  for (const wait of [0, 1_000, 2_000, 4_000, 6_000, 6_000]) {
    const asked = feed.socket.sent.length;
    for (let i = 0; i < 5; i++) feed.resubscribe("a"); // joined
    if (wait > 0) await tick(time, wait - 1);
    if (wait > 0) assertEquals(feed.socket.sent.length, asked);
    await tick(time, wait > 0 ? 1 : 0);
    assertEquals(feed.socket.sent.slice(asked), ["-a", "+a"]);
  }
  feed.resubscribe("b"); // counts by itself
  await settle();
  assertEquals(feed.socket.sent.slice(-2), ["-b", "+b"]);
  await over(feed, time);
});

Deno.test("WebSocketFeeder.resubscribe() counts anew after resetRetryAfter", async () => {
  using time = new FakeTime();
  const feed = new TestFeed({ resetRetryAfter: 5_000 });
  feed.subscribe("a");
  await connected(feed);
  for (let i = 0; i < 3; i++) {
    feed.resubscribe("a");
    await settle();
    feed.resubscribe("a");
    await tick(time, 1_000);
    assertEquals(feed.socket.sent.length, 5 + 4 * i);
    await tick(time, 5_000);
  }
  await over(feed, time);
});

Deno.test("WebSocketFeeder.resubscribe() that waits is settled by a new connection, which asks for everything", async () => {
  using time = new FakeTime();
  const feed = new TestFeed({ baseWait: 100 });
  feed.subscribe("a");
  await connected(feed);
  feed.resubscribe("a");
  await settle();
  feed.resubscribe("a");
  feed.socket.end();
  await tick(time, 100);
  await connected(feed);
  await tick(time, 5_000);
  assertEquals(feed.socket.sent, ["+a"]);
  await over(feed, time);
});

Deno.test("WebSocketFeeder.resubscribe() of a venue that is always wrong: at most 12 requests in ten minutes; all else goes on", async () => {
  for (const maxWait of [30_000, 1_000, 600_000]) {
    using time = new FakeTime();
    class Wrong extends TestFeed {
      protected override receive(data: string) {
        if (data.startsWith("wrong ")) this.resubscribe(data.slice(6));
        else this.emit(data);
      }
    }
    const feed = new Wrong({ maxWait });
    feed.subscribe("a", "b", "c");
    await connected(feed);
    for (let second = 0; second < 600; second++) {
      for (const name of ["a", "b"]) feed.socket.say(`wrong ${name}`);
      feed.socket.say("tick");
      await tick(time, 1_000);
    }
    for (const [name, most] of [["a", 12], ["b", 12], ["c", 1]] as const) {
      const asked = feed.socket.sent.filter((frame) =>
        String(frame).includes(`+`) && String(frame).includes(name)
      );
      assert(asked.length <= most, `${name} was asked for ${asked.length} times`);
      assert(asked.length > most / 2);
    }
    assertEquals([feed.items.length, feed.sockets.length, feed.state], [600, 1, "live"]);
    await over(feed, time);
  }
});

// ---------------------------------------------------------------- the property

/** What a venue does with one socket: it may lose a request, or lose or delay its answer. */
class ModelVenue {
  readonly held = new Set<string>();
  /** When each key was asked for, and what of it is confirmed to the feed. */
  readonly asks = new Map<string, number[]>();
  readonly late: { name: string; at: number }[] = [];
  #read = 0;

  constructor(readonly socket: FakeSocket) {}

  /** Reads what was sent, and answers in the ways that come next. */
  read(now: number, ways: string[]): void {
    for (; this.#read < this.socket.sent.length; this.#read++) {
      const frame = String(this.socket.sent[this.#read]);
      for (const name of frame.slice(1).split(",")) {
        if (frame[0] === "-") {
          this.held.delete(name);
          continue;
        }
        this.asks.set(name, [...this.asks.get(name) ?? [], now]);
        // Of two requests that are under way, it may refuse one and grant the other.
        const way = ways.shift() ?? "ok";
        if (way === "no" || way === "later") {
          this.socket.say(`${way} ${name}`);
        } else if (way !== "lost request") {
          this.held.add(name);
          if (way === "ok") this.socket.say(`ok ${name}`);
          if (way === "late") this.late.push({ name, at: now });
        }
      }
    }
  }
}

interface Step {
  do: string;
  names?: string[];
  ways?: string[];
  ms?: number;
}

Deno.test("WebSocketFeeder whatever is subscribed, refused, lost, late, dropped and swapped: the venue ends holding subscriptions", async () => {
  const names = fc.array(fc.constantFrom("a", "b", "c", "d"), { minLength: 1, maxLength: 3 });
  const way = fc.constantFrom("ok", "ok", "no", "later", "lost request", "lost answer", "late");
  const step = fc.oneof(
    { weight: 4, arbitrary: fc.record({ do: fc.constant("subscribe"), names }) },
    { weight: 2, arbitrary: fc.record({ do: fc.constant("unsubscribe"), names }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant("resubscribe"), names }) },
    {
      weight: 4,
      arbitrary: fc.record({ do: fc.constant("answer"), ways: fc.array(way, { maxLength: 5 }) }),
    },
    {
      weight: 4,
      arbitrary: fc.record({ do: fc.constant("pass"), ms: fc.integer({ min: 1, max: 6_000 }) }),
    },
    { weight: 2, arbitrary: fc.record({ do: fc.constantFrom("late answers", "drop", "swap") }) },
  );
  const property = async (steps: Step[], confirmTimeout: number) => {
    using time = new FakeTime(0);
    const told: { connection: number; whole: boolean }[] = [];
    const venues = new Map<FakeSocket, ModelVenue>();
    const options: WebSocketFeederOptions = {
      confirmTimeout,
      baseWait: 100,
      maxWait: 8_000,
      overlap: 50,
    };
    class Feed extends ConfirmingFeed {
      swap() {
        this.replace();
      }
    }
    const feed = new Feed(options);
    const venueOf = (socket: FakeSocket) => {
      const venue = venues.get(socket) ?? new ModelVenue(socket);
      venues.set(socket, venue);
      return venue;
    };
    feed.on("subscribed", ({ connection }) => {
      const wanted = [...feed.subscriptions.keys()].map(String);
      const isHeld = feed.sockets.some((socket) =>
        wanted.every((name) => venueOf(socket).held.has(name))
      );
      told.push({ connection, whole: isHeld || confirmTimeout === 0 });
    });
    await connected(feed);
    const answer = async (ways: string[] = []) => {
      for (const socket of feed.sockets) {
        if (socket.readyState === 0) socket.open();
        if (socket.readyState === 2) socket.end(1000);
      }
      await settle();
      for (const socket of feed.sockets) {
        if (socket.readyState === 1) venueOf(socket).read(Date.now(), ways);
      }
      await settle();
    };
    for (const { do: what, names = [], ways = [], ms = 0 } of steps) {
      if (what === "subscribe") feed.subscribe(...names);
      else if (what === "unsubscribe") feed.unsubscribe(...names);
      else if (what === "resubscribe") feed.resubscribe(...names);
      else if (what === "answer") await answer([...ways]);
      else if (what === "pass") await tick(time, ms);
      else if (what === "drop") feed.socket.end();
      else if (what === "swap") feed.swap();
      else {for (const { socket, late } of venues.values()) {
          // Later than a repeat, nobody could tell which request it belongs to.
          for (const { name, at } of late.splice(0)) {
            if (Date.now() - at < confirmTimeout) socket.say(`ok ${name}`);
          }
        }}
      await settle();
    }
    for (let i = 0; i < 60; i++) {
      await answer();
      await tick(time, 1_000);
    }
    assertEquals(feed.state, "live");
    const live = feed.sockets.filter((socket) => socket.readyState === 1);
    assertEquals(live.length, 1);
    assertEquals(
      [...venueOf(live[0]).held].toSorted(),
      [...feed.subscriptions.keys()].map(String).toSorted(),
    );
    // Once per connection, and not before the venue held everything.
    assertEquals(new Set(told.map(({ connection }) => connection)).size, told.length);
    assertEquals(told.at(-1)?.connection, feed.stats.connections);
    assert(told.every(({ whole }) => whole), JSON.stringify(told));
    await over(feed, time);
    return venues;
  };
  await fc.assert(
    fc.asyncProperty(
      fc.array(step, { maxLength: 25, size: "max" }) as fc.Arbitrary<Step[]>,
      fc.constantFrom(1_000, 3_000),
      async (steps, confirmTimeout) => {
        const venues = await property(steps, confirmTimeout);
        // Asked for by the program, a key is asked for at once; by us alone, not more often than the waits allow.
        const byProgram =
          steps.filter((step) => step.do === "subscribe" || step.do === "resubscribe").length;
        for (const { asks } of venues.values()) {
          for (const times of asks.values()) {
            for (let i = 4 + byProgram; i < times.length; i++) {
              assert(times[i] - times[i - 4 - byProgram] >= 1_000, `${times}`);
            }
          }
        }
      },
    ),
    { numRuns: Number(Deno.env.get("RUNS") ?? 60) },
  );
});

Deno.test("WebSocketFeeder.refuse() of what is about to be asked for again unsubscribes from nothing", async () => {
  const pace = new Gate();
  const feed = new TestFeed({ pace });
  feed.subscribe("a");
  await connected(feed);
  await pace.open(1);
  feed.resubscribe("a");
  await settle();
  feed.refuse("a", "no such symbol");
  await pace.open();
  assertEquals(feed.socket.sent, ["+a"]);
  await over(feed);
});

Deno.test("WebSocketFeeder.resubscribe() of what is not wanted counts for nothing", async () => {
  const feed = await connected(new TestFeed());
  feed.resubscribe("a");
  await settle();
  feed.subscribe("a");
  await settle();
  feed.resubscribe("a");
  await settle();
  assertEquals(feed.socket.sent, ["+a", "-a", "+a"]);
  await over(feed);
});
