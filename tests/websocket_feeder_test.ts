import {
  assert,
  assertEquals,
  assertFalse,
  assertRejects,
  assertStrictEquals,
  assertThrows,
} from "@std/assert";
import { FakeTime } from "@std/testing/time";
import fc from "fast-check";
import { type Ending, FeedError } from "../feeder.ts";
import { LoopbackVenue } from "../testing.ts";
import { type Endpoint, type FeedConnection, WebSocketFeeder } from "../websocket_feeder.ts";
import {
  connected,
  type FakeSocket,
  Gate,
  over,
  settle,
  type Sub,
  TestFeed,
  tick,
} from "./websocket_feeder/fake_feed.ts";

// The faults of real sockets are in runtimes/feeder_check.ts, played on every runtime. Here is what needs no network.

// ---------------------------------------------------------------- options

Deno.test("new WebSocketFeeder() does nothing until connect()", async () => {
  const feed = new TestFeed();
  feed.subscribe("a");
  await settle();
  assertEquals([feed.state, feed.sockets.length, feed.send("x")], ["idle", 0, false]);
  await feed.close();
});

// ---------------------------------------------------------------- connecting

Deno.test("WebSocketFeeder.connect() called twice returns the same promise, before and after it is live", async () => {
  const feed = new TestFeed();
  const first = feed.connect();
  assertStrictEquals(feed.connect(), first);
  await connected(feed);
  assertStrictEquals(feed.connect(), first);
  await first;
  assertEquals(feed.sockets.length, 1);
  await over(feed);
});

Deno.test("WebSocketFeeder goes on when an error is all that a socket fires (Node 22)", async () => {
  using time = new FakeTime();
  const feed = new TestFeed({ baseWait: 100 });
  feed.connect();
  await settle();
  feed.socket.fail("Received network error or non-101 status code.");
  await settle();
  assertEquals(feed.state, "waiting");
  await tick(time, 100);
  assertEquals(feed.sockets.length, 2);
  await over(feed, time);
});

Deno.test("WebSocketFeeder waits twice as long with each attempt, up to maxWait, all of it left to chance by default", async () => {
  using time = new FakeTime();
  const feed = new TestFeed({ jitter: 0, maxRetries: 9 });
  const connecting = feed.connect().catch((error) => error);
  for (let attempt = 0; attempt < 10; attempt++) {
    await settle();
    feed.socket.fail();
    await settle();
    await tick(time, 30_000);
  }
  assertEquals(
    feed.retries.map(({ delay }) => delay),
    [500, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000, 30_000],
  );
  assertStrictEquals(await connecting, await feed.closed);

  const jittery = new TestFeed({ jitter: undefined });
  jittery.connect();
  const delays: number[] = [];
  for (let attempt = 0; attempt < 20; attempt++) {
    await settle();
    jittery.socket.fail();
    await settle();
    delays.push(jittery.retries[attempt].delay / Math.min(500 * 2 ** attempt, 30_000));
    await tick(time, 30_000);
  }
  assert(Math.min(...delays) < 0.5 && Math.max(...delays) > 0.5, String(delays));
  await over(jittery, time);
});

Deno.test("WebSocketFeeder.endpoint() is asked for every attempt; its signal aborts when the attempt is over", async () => {
  using time = new FakeTime();
  const feed = new TestFeed();
  let token = 0;
  feed.where = () => ({ url: `ws://venue/?${++token}`, protocols: "v2", headers: { key: "k" } });
  await connected(feed);
  assertEquals(feed.signals[0].aborted, false);
  feed.socket.end();
  await settle();
  assertEquals(feed.signals[0].aborted, true);
  await tick(time, 500);
  assertEquals(feed.sockets.map(({ url }) => url), ["ws://venue/?1", "ws://venue/?2"]);
  assertEquals(feed.socket.init, { protocols: "v2", headers: { key: "k" } });
  await over(feed, time);
});

Deno.test("WebSocketFeeder a FeedError thrown by a hook is what the feed ends with, or goes on after", async () => {
  class Venue extends TestFeed {
    protected override receive(data: string) {
      throw new FeedError(`Cannot read ${data}`, { fatal: data === "fatal" });
    }
  }
  const feed = await connected(new Venue());
  feed.socket.say("this");
  await settle();
  assertEquals(feed.state, "live");
  feed.socket.say("fatal");
  const error = await feed.closed;
  assertEquals(error?.message, "Cannot read fatal");
  assertEquals(feed.errors.map(({ message }) => message), [
    "Cannot read this",
    "Cannot read fatal",
  ]);
});

Deno.test("WebSocketFeeder a fatal FeedError ends the feed wherever the venue's class throws it", async () => {
  const error = new FeedError("enough", { fatal: true });
  const fail = () => {
    throw error;
  };
  const hooks: Record<string, (feed: TestFeed) => void> = {
    createSocket: () => {},
    handshake: () => {},
    request: (feed) => feed.subscribe("a"),
    receive: (feed) => feed.socket?.say("1"),
    identify: (feed) => feed.socket?.say("1"),
    ping: () => {},
  };
  for (const [hook, provoke] of Object.entries(hooks)) {
    using time = new FakeTime();
    const pinging = hook === "ping" && { pingInterval: 1_000 };
    const feed = new TestFeed({ ...pinging, maxLifetime: 500, closeTimeout: 0 });
    Object.defineProperty(feed, hook, { value: fail });
    feed.connect().catch(() => {});
    await settle();
    feed.sockets[0]?.open();
    await tick(time, 500);
    provoke(feed);
    await tick(time, 500);
    assertEquals([hook, feed.state], [hook, "closed"]);
    assertStrictEquals(await feed.closed, error);
    assertFalse(time.next(), "a timer is left");
  }
});

Deno.test("WebSocketFeeder.receive() whose promise rejects is reported, or ends the feed", async () => {
  class Venue extends TestFeed {
    protected override async receive(data: string) {
      await null;
      throw new FeedError(`Cannot read ${data}`, { fatal: data === "fatal" });
    }
  }
  const feed = await connected(new Venue());
  feed.socket.say("this");
  await settle();
  assertEquals(feed.state, "live");
  feed.socket.say("fatal");
  assertEquals((await feed.closed)?.message, "Cannot read fatal");
  assertEquals(feed.errors.map(({ message }) => message), [
    "Cannot read this",
    "Cannot read fatal",
  ]);
});

Deno.test("WebSocketFeeder.receive() whose promise rejects after the connection has ended is not heard", async () => {
  class Venue extends TestFeed {
    protected override async receive() {
      await null;
      throw new Error("too late");
    }
  }
  const feed = await connected(new Venue());
  feed.socket.say("1");
  feed.socket.end();
  await settle();
  assertEquals([feed.state, feed.errors.length], ["waiting", 0]);
  await over(feed);
});

Deno.test("WebSocketFeeder.isFatal() is where a venue adds its own endings", async () => {
  class Venue extends TestFeed {
    protected override isFatal(ending: Ending) {
      return super.isFatal(ending) || ending.code === 4401;
    }
  }
  const feed = await connected(new Venue());
  feed.socket.end(4401, "key revoked");
  const error = await feed.closed;
  assertEquals([error?.fatal, error?.ending?.code], [true, 4401]);
});

Deno.test("WebSocketFeeder an isFatal() that throws is reported, and the feed goes on", async () => {
  class Venue extends TestFeed {
    protected override isFatal(): boolean {
      throw new Error("isFatal");
    }
  }
  const feed = await connected(new Venue());
  feed.socket.end();
  await settle();
  assertEquals(feed.state, "waiting");
  assertEquals((feed.errors[0].cause as Error).message, "isFatal");
  await over(feed);
});

Deno.test("WebSocketFeeder starts the count again after resetRetryAfter of being live, not of dialling", async () => {
  using time = new FakeTime();
  const { now } = performance;
  performance.now = () => Date.now();
  try {
    const feed = new TestFeed({ resetRetryAfter: 5_000, connectTimeout: 60_000 });
    feed.connect();
    await tick(time, 6_000); // a long dial
    feed.socket.open();
    await tick(time, 4_999);
    feed.socket.end();
    await tick(time, 500);
    await connected(feed);
    await tick(time, 4_999);
    feed.socket.end();
    await tick(time, 1_000);
    await connected(feed);
    await tick(time, 5_000);
    feed.socket.end();
    await settle();
    assertEquals(feed.retries.map(({ attempt, delay }) => [attempt, delay]), [
      [1, 500],
      [2, 1_000],
      [1, 500],
    ]);
    assertEquals(feed.lives.map(({ downtime }) => downtime), [0, 500, 1_000]);
    await over(feed, time);
  } finally {
    performance.now = now;
  }
});

Deno.test("WebSocketFeeder state: what a listener of state closes is not announced as live", async () => {
  const feed = new TestFeed({ closeTimeout: 0 });
  feed.on("state", ({ state }) => state === "live" && void feed.close());
  await connected(feed);
  await feed.closed;
  assertEquals(feed.lives, []);
  assertEquals(feed.states, ["connecting", "live", "closing", "closed"]);
});

// ---------------------------------------------------------------- timers

Deno.test("WebSocketFeeder.reconnect() does nothing in a feed that is idle, connecting, closing or closed", async () => {
  const feed = new TestFeed();
  feed.reconnect();
  assertEquals(feed.state, "idle");
  feed.connect();
  await settle();
  feed.reconnect();
  feed.socket.open();
  await settle();
  assertEquals([feed.state, feed.sockets.length], ["live", 1]);
  const closing = feed.close();
  feed.reconnect();
  feed.socket.end(1000);
  await closing;
  feed.reconnect();
  await settle();
  assertEquals([feed.state, feed.sockets.length], ["closed", 1]);
});

Deno.test("WebSocketFeeder.reconnect() called too often does not flood the venue with connections", async () => {
  for (const broken of [true, false]) {
    using time = new FakeTime();
    const feed = await connected(new TestFeed({ baseWait: 500, maxWait: 8_000 }));
    if (broken) feed.socket.end();
    await settle();
    for (let ms = 0; ms < 8_000; ms += 50) {
      feed.reconnect("watchdog");
      await tick(time, 50);
      if (broken) feed.socket.fail();
      else feed.socket.open();
    }
    // After 0, 500, 1,000, 2,000, 4,000 ms where it is broken, else at 500, 1,500, 3,500, 7,500.
    assertEquals(feed.sockets.length, broken ? 6 : 5);
    await over(feed, time);
  }
});

Deno.test("WebSocketFeeder.reconnect() counts attempts anew where it cuts a wait short", async () => {
  using time = new FakeTime();
  const feed = await connected(new TestFeed({ baseWait: 500 }));
  feed.socket.end();
  await tick(time, 500);
  feed.socket.fail();
  await settle();
  feed.reconnect();
  await settle();
  feed.socket.fail();
  await settle();
  assertEquals(feed.retries.map(({ attempt, delay }) => [attempt, delay]), [
    [1, 500],
    [2, 1_000],
    [1, 500],
  ]);
  await over(feed, time);
});

Deno.test("WebSocketFeeder leaves no listener on the signal once it is closed", async () => {
  const controller = new AbortController();
  const { signal } = controller;
  let listeners = 0;
  const { addEventListener, removeEventListener } = signal;
  signal.addEventListener = (...args: Parameters<typeof addEventListener>) => {
    listeners++;
    addEventListener.apply(signal, args);
  };
  signal.removeEventListener = (...args: Parameters<typeof removeEventListener>) => {
    listeners--;
    removeEventListener.apply(signal, args);
  };
  const feed = await connected(new TestFeed({ signal, baseWait: 0 }));
  assertEquals(listeners, 1);
  await over(feed);
  assertEquals(listeners, 0);
});

// ---------------------------------------------------------------- subscriptions

Deno.test("WebSocketFeeder.subscribe() above limit throws and changes nothing", async () => {
  class Limited extends TestFeed {
    protected override readonly limit = 3;
  }
  const feed = await connected(new Limited());
  feed.subscribe("a", "b", "b");
  assertThrows(
    () => feed.subscribe("b", "c", "d"),
    RangeError,
    "4 subscriptions, wanted at most 3",
  );
  assertEquals([...feed.subscriptions.keys()], ["a", "b"]);
  feed.subscribe("b", "c");
  await settle();
  assertEquals(feed.socket.sent, ["+a,b,c"]);
  await over(feed);
});

Deno.test("WebSocketFeeder batch and limit may be fields or getters", async () => {
  class Getters extends TestFeed {
    // @ts-expect-error TypeScript wants a field where the base class has one; JavaScript does not
    protected override get batch() {
      return 2;
    }
  }
  class Fields extends TestFeed {
    protected override batch = 2;
  }
  for (const feed of [new Getters(), new Fields()]) {
    feed.subscribe("a", "b", "c");
    await connected(feed);
    assertEquals(feed.socket.sent, ["+a,b", "+c"]);
    await over(feed);
  }
});

Deno.test("WebSocketFeeder.subscriptions tells numbers, text and objects apart by their values", async () => {
  const numbers = new TestFeed<number>();
  numbers.subscribe(408065, 884737, 408065);
  assertEquals([...numbers.subscriptions], [[408065, 408065], [884737, 884737]]);
  const objects = await connected(new TestFeed<Sub>());
  objects.subscribe({ symbol: "a", depth: 5 }, { symbol: "a", depth: 10 });
  await settle();
  objects.subscribe({ symbol: "a", depth: 5 });
  objects.unsubscribe({ symbol: "a", depth: 10 });
  await settle();
  assertEquals(objects.socket.sent, ["+a@5,a@10", "-a@10"]);
  assertEquals([...objects.subscriptions.values()], [{ symbol: "a", depth: 5 }]);
  const wide = new TestFeed<{ id: bigint }>();
  wide.subscribe({ id: 2n ** 60n }, { id: 2n ** 60n });
  assertEquals(wide.subscriptions.size, 1);
  await over(objects);
});

class Keyed extends TestFeed<Sub> {
  protected override key(sub: Sub): string {
    return sub.symbol;
  }
}

Deno.test("WebSocketFeeder.key() another value with the same key: unsubscribed from the old one first", async () => {
  const feed = await connected(new Keyed());
  feed.subscribe({ symbol: "a", depth: 10 }, { symbol: "b", depth: 10 });
  await settle();
  feed.subscribe({ symbol: "a", depth: 25 }, { symbol: "b", depth: 10 });
  await settle();
  assertEquals(feed.socket.sent, ["+a@10,b@10", "-a@10", "+a@25"]);
  feed.subscribe({ symbol: "a", depth: 10 });
  feed.subscribe({ symbol: "a", depth: 25 });
  await settle();
  assertEquals(feed.socket.sent.length, 3);
  await over(feed);
});

Deno.test("WebSocketFeeder.request() may write several frames, and bytes", async () => {
  class Venue extends TestFeed {
    protected override request(op: string, subs: string[]) {
      if (op === "unsubscribe") return new Uint8Array([1, 2, 3]);
      return new Set(subs.map((sub) => new TextEncoder().encode(sub).buffer));
    }
  }
  const feed = await connected(new Venue());
  feed.subscribe("a", "b");
  await settle();
  feed.unsubscribe("a");
  await settle();
  assertEquals(feed.socket.sent, [
    new Uint8Array([97]).buffer,
    new Uint8Array([98]).buffer,
    new Uint8Array([1, 2, 3]),
  ]);
  await over(feed);
});

Deno.test("WebSocketFeeder a request() that throws is reported; what it did not stop is still asked", async () => {
  class Venue extends TestFeed {
    protected override batch = 1;
    protected override request(
      op: "subscribe" | "unsubscribe",
      subs: string[],
      connection: FeedConnection,
    ) {
      if (subs[0] === "b") throw new Error("request");
      return super.request(op, subs, connection);
    }
  }
  const feed = new Venue();
  feed.subscribe("a", "b", "c");
  await connected(feed);
  assertEquals(feed.socket.sent, ["+a", "+c"]);
  assertEquals(feed.errors.map((error) => (error.cause as Error).message), ["request"]);
  await over(feed);
});

Deno.test("WebSocketFeeder.resubscribe() asks anew, unsubscribed first; what is not there is ignored", async () => {
  const feed = await connected(new Keyed());
  feed.subscribe({ symbol: "a", depth: 10 }, { symbol: "b", depth: 10 });
  await settle();
  feed.resubscribe({ symbol: "a", depth: 0 }, { symbol: "z", depth: 0 });
  feed.subscribe({ symbol: "c", depth: 5 });
  await settle();
  assertEquals(feed.socket.sent, ["+a@10,b@10", "-a@10", "+a@10,c@5"]);
  await over(feed);
});

Deno.test("WebSocketFeeder.refuse() takes a subscription back until it is subscribed to again", async () => {
  const feed = await connected(new TestFeed());
  feed.subscribe("a", "b");
  await settle();
  feed.refuse("b", "unknown symbol");
  feed.refuse("never asked", "unknown symbol");
  await settle();
  assertEquals([...feed.subscriptions.keys()], ["a"]);
  assertEquals(feed.errors.map((error) => error.message), [
    "Cannot subscribe to b: unknown symbol",
  ]);
  feed.unsubscribe("b");
  feed.subscribe("b");
  await settle();
  assertEquals(feed.socket.sent, ["+a,b", "+b"]);
  await over(feed);
});

Deno.test("WebSocketFeeder pace: changes made while a frame waits are asked for as they then are", async () => {
  const pace = new Gate();
  const feed = await connected(new TestFeed({ pace }));
  feed.subscribe("a", "b");
  await settle();
  feed.unsubscribe("a");
  feed.subscribe("c");
  await settle();
  assertEquals(pace.size, 1);
  await pace.open();
  assertEquals(feed.socket.sent, ["+b,c"]);
  feed.unsubscribe("b");
  await settle();
  feed.subscribe("b");
  await pace.open();
  assertEquals(feed.socket.sent, ["+b,c"]);
  await over(feed);
});

Deno.test("WebSocketFeeder pace: a ping that waits for it is not joined by another", async () => {
  using time = new FakeTime();
  class Pinging extends TestFeed {
    protected override ping() {
      return "ping";
    }
  }
  const pace = new Gate();
  const feed = await connected(new Pinging({ pace, pingInterval: 1_000 }));
  for (let i = 0; i < 5; i++) await tick(time, 1_000);
  assertEquals(pace.size, 1);
  feed.subscribe("a");
  await settle();
  await pace.open(2);
  assertEquals(feed.socket.sent, ["ping", "+a"]);
  await tick(time, 1_000);
  assertEquals(pace.size, 1);
  await over(feed, time);
});

Deno.test("WebSocketFeeder pace: one that refuses a subscription ends the connection instead of losing it", async () => {
  using time = new FakeTime();
  const pace = new Gate();
  const feed = new TestFeed({ pace, baseWait: 100 });
  pace.closed = true;
  feed.subscribe("a");
  await connected(feed);
  assertEquals(feed.state, "waiting");
  assertEquals(feed.retries[0].ending.reason, "pace refused a frame");
  assertEquals((feed.errors[0].cause as Error).message, "pace is closed");
  pace.closed = false;
  await tick(time, 100);
  await connected(feed);
  await pace.open();
  assertEquals(feed.socket.sent, ["+a"]);
  await over(feed, time);
});

Deno.test("WebSocketFeeder pace: goodbye waits for it, at most closeTimeout", async () => {
  using time = new FakeTime();
  class Polite extends TestFeed {
    protected override goodbye() {
      return "logout";
    }
  }
  const pace = new Gate();
  const feed = await connected(new Polite({ pace, closeTimeout: 1_000 }));
  const closing = feed.close();
  await tick(time, 999);
  assertEquals([feed.state, feed.socket.closedWith], ["closing", undefined]);
  await tick(time, 1);
  await closing;
  assertEquals([feed.socket.sent.length, pace.size], [0, 0]);
  assertFalse(time.next());
});

interface Step {
  do: string;
  subs?: Sub[];
  count?: number;
}

/** What a venue does with the frames of one socket; it knows no symbol that is upper case. */
class ModelVenue {
  readonly held = new Map<string, string>();
  readonly refusals: string[] = [];
  #read = 0;
  read(socket: FakeSocket): void {
    for (; this.#read < socket.sent.length; this.#read++) {
      const frame = String(socket.sent[this.#read]);
      for (const sub of frame.slice(1).split(",")) {
        const [symbol, depth] = sub.split("@");
        const known = symbol === symbol.toLowerCase();
        if (frame[0] === "+") {
          assertFalse(this.held.has(symbol), `${symbol} is subscribed to twice`);
          if (known) this.held.set(symbol, depth);
          else this.refusals.push(symbol);
        } else if (known) {
          assertEquals(this.held.get(symbol), depth, `${sub} is not there to unsubscribe from`);
          this.held.delete(symbol);
        }
      }
    }
  }
}

Deno.test("WebSocketFeeder what the venue holds ends equal to subscriptions, whatever was subscribed, unsubscribed, dropped and refused", async () => {
  const sub = fc.record({
    symbol: fc.constantFrom("a", "b", "c", "D"),
    depth: fc.constantFrom(5, 10),
  });
  const subs = fc.array(sub, { minLength: 1, maxLength: 3 });
  const step = fc.oneof(
    { weight: 4, arbitrary: fc.record({ do: fc.constant("subscribe"), subs }) },
    { weight: 3, arbitrary: fc.record({ do: fc.constant("unsubscribe"), subs }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant("resubscribe"), subs }) },
    { weight: 2, arbitrary: fc.record({ do: fc.constant("pace"), count: fc.nat(3) }) },
    { weight: 4, arbitrary: fc.record({ do: fc.constantFrom("answer", "turn") }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constantFrom("drop", "reconnect") }) },
  );
  const property = async (steps: Step[], paced: boolean, batch: number) => {
    class Feed extends Keyed {
      protected override readonly batch = batch;
    }
    const pace = new Gate();
    const feed = new Feed({ baseWait: 0, ...(paced && { pace }) });
    const venues = new Map<FakeSocket, ModelVenue>();
    /** Opens what is dialled, reads what was sent, and tells what was refused. */
    const answer = async () => {
      if (feed.socket.readyState === 0) feed.socket.open();
      await settle();
      const venue = venues.get(feed.socket) ?? new ModelVenue();
      venues.set(feed.socket, venue);
      venue.read(feed.socket);
      for (const symbol of venue.refusals.splice(0)) feed.refuse({ symbol, depth: 0 }, "unknown");
    };
    await connected(feed);
    for (const step of steps) {
      if (step.do === "subscribe") feed.subscribe(...step.subs!);
      else if (step.do === "unsubscribe") feed.unsubscribe(...step.subs!);
      else if (step.do === "resubscribe") feed.resubscribe(...step.subs!);
      else if (step.do === "pace") await pace.open(step.count);
      else if (step.do === "answer") await answer();
      else if (step.do === "drop") feed.socket.end();
      else if (step.do === "reconnect") feed.reconnect();
      else await new Promise((resolve) => setTimeout(resolve));
    }
    for (let i = 0; i < 8; i++) {
      await new Promise((resolve) => setTimeout(resolve));
      await answer();
      await pace.open();
      await answer();
    }
    assertEquals(feed.state, "live");
    const wanted = [...feed.subscriptions.values()].map((
      { symbol, depth },
    ) => [symbol, `${depth}`]);
    assertEquals([...venues.get(feed.socket)!.held].toSorted(), wanted.toSorted());
    assert(
      [...feed.subscriptions.keys()].every((key) => String(key) === String(key).toLowerCase()),
    );
    await over(feed);
  };
  await fc.assert(
    fc.asyncProperty(
      fc.array(step, { maxLength: 30, size: "max" }) as fc.Arbitrary<Step[]>,
      fc.boolean(),
      fc.constantFrom(1, 2, 100),
      property,
    ),
    { numRuns: 150 },
  );
});

// ---------------------------------------------------------------- lifetime

Deno.test("WebSocketFeeder.receive() is told which connection a frame came from, as tap is; send answers on that one", async () => {
  using time = new FakeTime();
  class Answering extends TestFeed {
    protected override receive(data: string, { attempt }: FeedConnection) {
      this.emit(`${data} from ${attempt}`);
      if (data === "ping") this.send("pong");
    }
  }
  const taps: unknown[] = [];
  const tap = (...args: unknown[]) => taps.push(args);
  const feed = await connected(new Answering({ maxLifetime: 10_000, overlap: 1_000, tap }));
  await tick(time, 10_000);
  const [old, next] = feed.sockets;
  next.open();
  await settle();
  next.say("tick");
  next.say("ping");
  feed.send("by itself");
  assertEquals(feed.items, ["tick from 2", "ping from 2"]);
  assertEquals([old.sent, next.sent], [["by itself"], ["pong"]]);
  assertEquals(taps, [
    ["in", "tick", 2],
    ["in", "ping", 2],
    ["out", "pong", 2],
    ["out", "by itself", 1],
  ]);
  await over(feed, time);
});

// ---------------------------------------------------------------- the native socket

Deno.test("WebSocketFeeder.createSocket() makes a native WebSocket, with protocols and headers", async () => {
  class Native extends WebSocketFeeder<string> {
    target: string | Endpoint = "";
    protected override endpoint() {
      return this.target;
    }
    protected override receive(data: string | ArrayBuffer) {
      this.emit(String(data));
    }
    protected override request(_op: string, subs: string[]) {
      return subs;
    }
  }
  const venue = await LoopbackVenue.listen();
  venue.feed.onOpen((client) => client.send(client.headers.get("x-key") ?? "none"));
  for (
    const target of [venue.wsUrl, { url: venue.wsUrl, protocols: "v2", headers: { "x-key": "7" } }]
  ) {
    const feed = new Native();
    feed.target = target;
    const stream = feed.stream();
    await feed.connect();
    assertEquals((await stream.next()).value, typeof target === "string" ? "none" : "7");
    assertEquals(
      venue.feed.last.headers.get("sec-websocket-protocol"),
      typeof target === "string" ? null : "v2",
    );
    await feed.close();
  }
  await venue.close();
});

Deno.test("WebSocketFeeder.connect() refuses a batch below 1, which would never be done", async () => {
  for (const batch of [0, -1, NaN]) {
    class Mistaken extends TestFeed {
      protected override readonly batch = batch;
    }
    const feed = new Mistaken();
    await assertRejects(() => feed.connect(), RangeError, `batch is ${batch}`);
    await feed.close();
  }
});

Deno.test("WebSocketFeeder.connect() after close() is not worth repeating", async () => {
  const feed = new TestFeed();
  await feed.close();
  const error = await assertRejects(() => feed.connect(), FeedError);
  assertEquals([error.fatal, error.retriable], [true, false]);
});
