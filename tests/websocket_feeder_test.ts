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
import { type Ending, FeedError, type FeedEvents } from "../feeder.ts";
import {
  type Endpoint,
  type FeedConnection,
  type Frame,
  WebSocketFeeder,
  type WebSocketFeederOptions,
} from "../websocket_feeder.ts";
import { FaultVenue } from "./runtimes/fault_venue.ts";

// The faults of real sockets are in runtimes/feeder_check.ts, played on every runtime. Here is what needs no network.

/** A socket that does as it is told, and nothing by itself. */
class FakeSocket {
  readyState = 0;
  binaryType = "blob";
  readonly sent: Frame[] = [];
  closedWith: number | undefined;
  onopen: (() => void) | null = null;
  onmessage: ((event: { data: string | ArrayBuffer }) => void) | null = null;
  onerror: ((event: { message?: string }) => void) | null = null;
  onclose: ((event: { code: number; reason: string; wasClean: boolean }) => void) | null = null;

  constructor(readonly url: string, readonly init: Omit<Endpoint, "url">) {}

  send(frame: Frame): void {
    assertEquals(this.readyState, 1, "a frame sent into a socket that is not open");
    this.sent.push(frame);
  }
  close(code?: number): void {
    this.closedWith = code;
    if (this.readyState < 2) this.readyState = 2;
  }
  open(): void {
    this.readyState = 1;
    this.onopen?.();
  }
  say(data: string | ArrayBuffer): void {
    this.onmessage?.({ data });
  }
  /** As Node 22 does: nothing follows an error while connecting. */
  fail(message = ""): void {
    this.onerror?.({ message });
  }
  end(code = 1006, reason = ""): void {
    this.readyState = 3;
    this.onclose?.({ code, reason, wasClean: code !== 1006 });
  }
}

interface Sub {
  symbol: string;
  depth: number;
}

/** A feed over fake sockets, whose requests are `+a,b` and `-a,b`. */
class TestFeed<S = string> extends WebSocketFeeder<string, S> {
  readonly sockets: FakeSocket[] = [];
  readonly retries: FeedEvents<string>["retry"][] = [];
  readonly lives: FeedEvents<string>["live"][] = [];
  readonly states: string[] = [];
  readonly errors: FeedError[] = [];
  readonly items: string[] = [];
  readonly signals: AbortSignal[] = [];
  where: () => string | URL | Endpoint | Promise<string | URL | Endpoint> = () => "ws://venue/";

  constructor(options: WebSocketFeederOptions = {}) {
    super({ jitter: 0, ...options });
    this.on("retry", (event) => this.retries.push(event));
    this.on("live", (event) => this.lives.push(event));
    this.on("state", ({ state }) => this.states.push(state));
    this.on("error", (event) => this.errors.push(event));
    this.on("item", (event) => this.items.push(event));
  }
  get socket(): FakeSocket {
    return this.sockets[this.sockets.length - 1];
  }
  protected override createSocket(url: string, init: Omit<Endpoint, "url">): WebSocket {
    this.sockets.push(new FakeSocket(url, init));
    return this.socket as unknown as WebSocket;
  }
  protected override endpoint(signal: AbortSignal) {
    this.signals.push(signal);
    return this.where();
  }
  protected override receive(
    data: string | ArrayBuffer,
    _connection: FeedConnection,
  ): void | Promise<void> {
    this.emit(String(data));
  }
  protected override request(
    op: "subscribe" | "unsubscribe",
    subs: S[],
    _connection?: FeedConnection,
  ): Frame | Iterable<Frame> {
    return `${op === "subscribe" ? "+" : "-"}${subs.map((sub) => this.name(sub)).join()}`;
  }
  protected name(sub: S): string {
    return typeof sub === "object" ? Object.values(sub!).join("@") : String(sub);
  }
  override send(frame: Frame): boolean {
    return super.send(frame);
  }
  override refuse(sub: S, why: string): void {
    super.refuse(sub, why);
  }
  override resubscribe(...subs: S[]): void {
    super.resubscribe(...subs);
  }
}

/** Lets every promise that can settle do so. */
async function settle(): Promise<void> {
  for (let i = 0; i < 50; i++) await null;
}

/** Passes time, with all that was due before it and comes of it. */
async function tick(time: FakeTime, ms: number): Promise<void> {
  await settle();
  await time.tickAsync(ms);
  await settle();
}

async function connected<F extends TestFeed<S>, S>(feed: F): Promise<F> {
  feed.connect().catch(() => {});
  await settle();
  feed.socket.open();
  await settle();
  return feed;
}

/** Closes the feed, whose peer answers, and asserts that no timer is left. */
async function over<S>(feed: TestFeed<S>, time?: FakeTime): Promise<void> {
  const closing = feed.close();
  for (let i = 0; i < 3; i++) {
    await settle();
    feed.sockets.forEach((socket) => socket.end(1000));
  }
  await closing;
  if (time) assertFalse(time.next(), "a timer is left");
}

// ---------------------------------------------------------------- options

Deno.test("new WebSocketFeeder() refuses numbers out of range, naming them", () => {
  const bad: WebSocketFeederOptions[] = [
    { connectTimeout: NaN },
    { connectTimeout: 0 },
    { closeTimeout: -1 },
    { staleAfter: -1 },
    { pingInterval: NaN },
    { maxLifetime: -5 },
    { maxRetries: 1.5 },
    { baseWait: -1 },
    { maxWait: NaN },
    { resetRetryAfter: -1 },
    { jitter: 2 },
  ];
  for (const options of bad) {
    const [name] = Object.keys(options);
    const error = assertThrows(() => new TestFeed(options), RangeError);
    assert(error.message.includes(name), error.message);
  }
  const wrong = { overlap: "1" } as unknown as WebSocketFeederOptions;
  assertThrows(() => new TestFeed(wrong), TypeError, 'overlap is "1", a string');
});

Deno.test("new WebSocketFeeder() takes an option that is undefined for the default", async () => {
  using time = new FakeTime();
  const feed = new TestFeed({ connectTimeout: undefined, staleAfter: undefined });
  feed.connect();
  await tick(time, 9_999);
  assertEquals(feed.retries.length, 0);
  await tick(time, 1);
  assertEquals(feed.retries[0].ending.reason, "not live within 10000 ms");
  await over(feed, time);
});

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

Deno.test("WebSocketFeeder reads the status of a refused upgrade where the runtime tells it, and keeps the address out", async () => {
  const messages = [
    "NetworkError: failed to connect to WebSocket: Invalid status code: 401",
    "WebSocket connection to 'wss://venue/?token=secret' failed: Expected 101 status code: 403",
  ];
  for (const [index, message] of messages.entries()) {
    const feed = new TestFeed();
    const connecting = feed.connect();
    await settle();
    feed.socket.fail(message);
    const error = await assertRejects(() => connecting, FeedError);
    assertEquals(error.fatal, true);
    assertEquals(error.ending?.status, [401, 403][index]);
    assertFalse(JSON.stringify([error.message, error.ending]).includes("venue"));
    assertStrictEquals(await feed.closed, error);
  }
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

Deno.test("WebSocketFeeder dials no socket for an endpoint that comes too late", async () => {
  using time = new FakeTime();
  const feed = new TestFeed({ connectTimeout: 100, baseWait: 50 });
  const late = Promise.withResolvers<string>();
  feed.where = () => late.promise;
  feed.connect();
  await tick(time, 100);
  assertEquals(feed.state, "waiting");
  late.resolve("ws://venue/");
  await settle();
  assertEquals(feed.sockets.length, 0);
  await over(feed, time);
});

Deno.test("WebSocketFeeder a socket that opens after connectTimeout is not heard", async () => {
  using time = new FakeTime();
  const feed = new TestFeed({ connectTimeout: 100 });
  feed.connect();
  await tick(time, 100);
  const [socket] = feed.sockets;
  assertEquals(socket.closedWith, 1000);
  socket.open();
  socket.say("1");
  await settle();
  assertEquals([feed.state, feed.items.length], ["waiting", 0]);
  await over(feed, time);
});

Deno.test("WebSocketFeeder connectTimeout Infinity sets no limit", async () => {
  using time = new FakeTime();
  const feed = new TestFeed({ connectTimeout: Infinity });
  feed.connect();
  await settle();
  assertFalse(time.next());
  await over(feed, time);
});

Deno.test("WebSocketFeeder.handshake() comes before any subscription; answers come to receive", async () => {
  class Login extends TestFeed {
    #welcome = Promise.withResolvers<void>();
    protected override async handshake() {
      this.send("login");
      await this.#welcome.promise;
    }
    protected override receive(data: string) {
      if (data === "welcome") this.#welcome.resolve();
      else this.emit(data);
    }
  }
  const feed = new Login();
  feed.subscribe("a");
  await connected(feed);
  assertEquals([feed.state, feed.socket.sent], ["connecting", ["login"]]);
  feed.socket.say("welcome");
  await settle();
  assertEquals([feed.state, feed.socket.sent], ["live", ["login", "+a"]]);
  await over(feed);
});

Deno.test("WebSocketFeeder a handshake that rejects ends the attempt", async () => {
  class Login extends TestFeed {
    protected override handshake() {
      return Promise.reject(new Error("busy"));
    }
  }
  const feed = await connected(new Login());
  assertEquals(feed.state, "waiting");
  assertEquals((feed.retries[0].ending.cause as Error).message, "busy");
  assertEquals(feed.retries[0].ending.opened, true);
  await over(feed);
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

Deno.test("WebSocketFeeder what else createSocket() throws ends the attempt, not the feed", async () => {
  using time = new FakeTime();
  class Venue extends TestFeed {
    failures = 1;
    protected override createSocket(url: string, init: Omit<Endpoint, "url">) {
      if (this.failures-- > 0) throw new Error("too many open files");
      return super.createSocket(url, init);
    }
  }
  const feed = new Venue({ baseWait: 500 });
  feed.connect();
  await settle();
  assertEquals((feed.retries[0].ending.cause as Error).message, "too many open files");
  await tick(time, 500);
  await connected(feed);
  assertEquals(feed.state, "live");
  await over(feed, time);
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

Deno.test("WebSocketFeeder staleAfter: silence is noticed then or an eighth later, any frame is no silence", async () => {
  for (let offset = 0; offset < 250; offset += 24) {
    using time = new FakeTime();
    const feed = await connected(new TestFeed({ staleAfter: 1_000 }));
    for (let i = 0; i < 5; i++) {
      await tick(time, 900);
      feed.socket.say("tick");
    }
    await tick(time, offset);
    feed.socket.say("tick");
    await tick(time, 999);
    assertEquals(feed.state, "live");
    await tick(time, 127);
    assertEquals(feed.state, "waiting");
    assertEquals(feed.retries[0].ending.reason, "silent for 1000 ms");
    await over(feed, time);
  }
});

Deno.test("WebSocketFeeder staleAfter: a process that was suspended does not take its peer for dead", async () => {
  using time = new FakeTime();
  const feed = await connected(new TestFeed({ staleAfter: 1_000 }));
  const { now } = performance;
  performance.now = () => now.call(performance) + 3_600_000; // an hour has passed, and no timer fired
  try {
    await tick(time, 500);
    assertEquals(feed.state, "live");
  } finally {
    performance.now = now;
  }
  await over(feed, time);
});

Deno.test("WebSocketFeeder pingInterval sends what ping() returns, on every connection, until it ends", async () => {
  using time = new FakeTime();
  class Pinging extends TestFeed {
    #count = 0;
    protected override ping() {
      return ++this.#count === 2 ? undefined : `ping ${this.#count}`;
    }
  }
  const feed = await connected(new Pinging({ pingInterval: 1_000, baseWait: 500 }));
  for (let i = 0; i < 3; i++) await tick(time, 1_000);
  assertEquals(feed.socket.sent, ["ping 1", "ping 3"]);
  feed.socket.end();
  await tick(time, 500);
  await connected(feed);
  await tick(time, 1_000);
  assertEquals(feed.sockets.map(({ sent }) => sent), [["ping 1", "ping 3"], ["ping 4"]]);
  await over(feed, time);
});

Deno.test("WebSocketFeeder a ping() or goodbye() that throws is reported; the feed goes on and closes", async () => {
  using time = new FakeTime();
  class Throwing extends TestFeed {
    protected override ping(): string {
      throw new Error("ping");
    }
    protected override goodbye(): string {
      throw new Error("goodbye");
    }
  }
  const feed = await connected(new Throwing({ pingInterval: 1_000 }));
  await tick(time, 1_000);
  assertEquals(feed.state, "live");
  await over(feed, time);
  assertEquals(feed.errors.map((error) => (error.cause as Error).message), ["ping", "goodbye"]);
});

Deno.test("WebSocketFeeder.close() waits for the venue's answer, at most closeTimeout; 0 does not wait", async () => {
  using time = new FakeTime();
  const feed = await connected(new TestFeed());
  let closed = false;
  feed.close().then(() => closed = true);
  feed.socket.say("late");
  await tick(time, 1_999);
  assertEquals([closed, feed.state, feed.socket.closedWith], [false, "closing", 1000]);
  await tick(time, 1);
  assertEquals([closed, feed.state, feed.items.length], [true, "closed", 0]);

  const hasty = await connected(new TestFeed({ closeTimeout: 0 }));
  hasty.close();
  await tick(time, 0);
  assertEquals(hasty.state, "closed");
  assertFalse(time.next());
});

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

Deno.test("WebSocketFeeder takes the types that come to mind: text or a buffer for tap, any bytes for a frame", async () => {
  class Bytes extends TestFeed {
    protected override goodbye(): Uint8Array {
      return new Uint8Array([1]);
    }
  }
  const taps: (string | ArrayBuffer)[] = [];
  const tap = (_direction: "in" | "out", data: string | ArrayBuffer) => taps.push(data);
  const feed = await connected(new Bytes({ tap }));
  await over(feed);
  assertEquals(taps.length, 1);
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
    protected override request(op: "subscribe" | "unsubscribe", subs: string[]) {
      if (subs[0] === "b") throw new Error("request");
      return super.request(op, subs);
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

/** A pace that lets a call through when it is told to. */
class Gate {
  #waiting: (() => void)[] = [];
  closed = false;
  get size(): number {
    return this.#waiting.length;
  }
  run<R>(fn: () => R | PromiseLike<R>, { signal }: { signal?: AbortSignal } = {}): Promise<R> {
    if (this.closed) return Promise.reject(new Error("pace is closed"));
    return new Promise((resolve, reject) => {
      const pass = () => signal?.aborted ? reject(signal.reason) : resolve(fn());
      this.#waiting.push(pass);
      signal?.addEventListener("abort", () => {
        this.#waiting = this.#waiting.filter((other) => other !== pass);
        reject(signal.reason);
      });
    });
  }
  async open(count = Infinity): Promise<void> {
    for (let i = 0; i < count && this.#waiting.length > 0; i++) {
      this.#waiting.shift()!();
      await settle();
    }
  }
}

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

Deno.test("WebSocketFeeder pace: holds for send, which promises only that the socket is open", async () => {
  const pace = new Gate();
  const feed = await connected(new TestFeed({ pace }));
  assertEquals([feed.send("1"), feed.send("2"), feed.socket.sent.length], [true, true, 0]);
  await pace.open(1);
  assertEquals(feed.socket.sent, ["1"]);
  feed.socket.end();
  await settle();
  assertEquals(feed.send("3"), false);
  assertEquals(pace.size, 0);
  await over(feed);
  assertEquals(feed.errors, []);
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

Deno.test("WebSocketFeeder maxLifetime: the old connection is dropped only once the new one has asked and delivers", async () => {
  using time = new FakeTime();
  const feed = new TestFeed({ maxLifetime: 10_000, overlap: 1_000 });
  feed.subscribe("a");
  await connected(feed);
  await tick(time, 10_000);
  const [old, next] = feed.sockets;
  assertEquals(next.readyState, 0);
  next.open();
  await settle();
  assertEquals(next.sent, ["+a"]);
  for (let i = 0; i < 3; i++) { // the new one is silent while the old one is not
    old.say(`old ${i}`);
    await tick(time, 1_000);
    assertEquals(old.closedWith, undefined);
  }
  feed.subscribe("b");
  next.say("new");
  old.say("old 3");
  await tick(time, 1_000); // handed over
  assertEquals(feed.lives.length, 2);
  assertEquals([old.sent, next.sent], [["+a", "+b"], ["+a", "+b"]]);
  old.say("too late");
  feed.subscribe("c");
  await settle();
  assertEquals([old.sent.length, next.sent.at(-1)], [2, "+c"]);
  assertEquals([old.closedWith, next.closedWith], [undefined, undefined]);
  await tick(time, 1_000); // heard for another overlap
  assertEquals([old.closedWith, next.closedWith], [1000, undefined]);
  assertEquals(feed.items, ["old 0", "old 1", "old 2", "new", "old 3"]);
  assertEquals(feed.states, ["connecting", "live"]);
  assertEquals(feed.lives[1], { connection: 2, resumed: true, downtime: 0 });
  await over(feed, time);
});

Deno.test("WebSocketFeeder maxLifetime: in a quiet market nothing needs to be seen of the new connection", async () => {
  using time = new FakeTime();
  const feed = await connected(new TestFeed({ maxLifetime: 10_000, overlap: 1_000 }));
  await tick(time, 10_000);
  feed.socket.open();
  await tick(time, 1_000);
  assertEquals(feed.lives.length, 2);
  await tick(time, 1_000);
  assertEquals(feed.sockets.map(({ closedWith }) => closedWith), [1000, undefined]);
  await over(feed, time);
});

Deno.test("WebSocketFeeder maxLifetime: a new connection that stays silent for connectTimeout is given up, and made again", async () => {
  using time = new FakeTime();
  const { now } = performance;
  performance.now = () => Date.now();
  try {
    const feed = await connected(
      new TestFeed({ maxLifetime: 10_000, overlap: 1_000, connectTimeout: 5_000, baseWait: 500 }),
    );
    await tick(time, 10_000);
    const [old, silent] = feed.sockets;
    silent.open();
    await settle();
    for (let i = 0; i < 8; i++) {
      old.say("tick");
      await tick(time, 1_000);
    }
    assertEquals([old.closedWith, silent.closedWith], [undefined, 1000]);
    assertEquals(feed.sockets.length, 3);
    assertEquals(
      feed.retries.map(({ attempt, delay, ending }) => [attempt, delay, ending.reason]),
      [
        [1, 500, "silent while the old one was not"],
      ],
    );
    assertEquals(feed.states, ["connecting", "live"]);
    await over(feed, time);
  } finally {
    performance.now = now;
  }
});

Deno.test("WebSocketFeeder maxLifetime: a fatal refusal of the new connection is told to error; the feed ends with the old one", async () => {
  using time = new FakeTime();
  const feed = await connected(new TestFeed({ maxLifetime: 10_000, baseWait: 500 }));
  await tick(time, 10_000);
  const [old] = feed.sockets;
  feed.socket.fail("Invalid status code: 401");
  await tick(time, 100_000);
  old.say("still here");
  assertEquals([feed.sockets.length, feed.items, feed.state], [2, ["still here"], "live"]);
  assertEquals(feed.errors.map(({ fatal, ending }) => [fatal, ending?.status]), [[true, 401]]);
  old.end();
  await tick(time, 500);
  feed.socket.fail("Invalid status code: 401");
  assertEquals((await feed.closed)?.ending?.status, 401);
  assertFalse(time.next());
});

Deno.test("WebSocketFeeder maxLifetime: should the old connection end meanwhile, the new one takes over at once", async () => {
  using time = new FakeTime();
  const feed = await connected(new TestFeed({ maxLifetime: 10_000, overlap: 1_000 }));
  await tick(time, 10_000);
  const [old, next] = feed.sockets;
  next.open();
  await settle();
  old.end();
  await settle();
  next.say("1");
  assertEquals([feed.states, feed.items], [["connecting", "live"], ["1"]]);
  assertEquals(feed.lives.length, 2);
  await over(feed, time);
});

Deno.test("WebSocketFeeder maxLifetime: the new connection takes over at once though it waits for its pace", async () => {
  using time = new FakeTime();
  const pace = new Gate();
  const feed = await connected(new TestFeed({ maxLifetime: 10_000, pace }));
  feed.subscribe("a");
  await settle();
  await pace.open();
  await tick(time, 10_000);
  const [old, next] = feed.sockets;
  next.open();
  await settle();
  old.end();
  await settle();
  assertEquals(feed.lives.length, 2);
  await pace.open();
  assertEquals(next.sent, ["+a"]);
  await over(feed, time);
});

Deno.test("WebSocketFeeder maxLifetime: an old connection that never answers harms none that comes after", async () => {
  using time = new FakeTime();
  const feed = await connected(
    new TestFeed({ maxLifetime: 10_000, overlap: 1_000, closeTimeout: 2_000, baseWait: 100 }),
  );
  await tick(time, 10_000);
  feed.socket.open();
  await tick(time, 1_000); // handed over; the old one does not answer
  feed.socket.end();
  await tick(time, 100);
  assertEquals([feed.state, feed.sockets.length], ["connecting", 3]);
  await tick(time, 2_000);
  assertEquals([feed.state, feed.sockets.length], ["connecting", 3]);
  feed.socket.open();
  await settle();
  assertEquals(feed.state, "live");
  await over(feed, time);
});

Deno.test("WebSocketFeeder maxLifetime: close() in the overlap announces nothing more", async () => {
  using time = new FakeTime();
  const feed = await connected(new TestFeed({ maxLifetime: 10_000 }));
  await tick(time, 10_000);
  const [old, next] = feed.sockets;
  next.open();
  await settle();
  const closing = feed.close();
  old.end(1000);
  await settle();
  assertEquals(feed.state, "closing");
  next.end(1000);
  await closing;
  assertEquals(feed.states, ["connecting", "live", "closing", "closed"]);
  assertEquals(feed.lives.length, 1);
  assertFalse(time.next());
});

Deno.test("WebSocketFeeder maxLifetime: send goes on over the old connection once the new one has failed", async () => {
  using time = new FakeTime();
  class Login extends TestFeed {
    logins = 0;
    protected override handshake() {
      return ++this.logins === 1 ? Promise.resolve() : Promise.reject(new Error("busy"));
    }
  }
  const feed = await connected(new Login({ maxLifetime: 10_000 }));
  await tick(time, 10_000);
  feed.socket.open();
  await settle();
  assertEquals(feed.send("still here"), true);
  assertEquals(feed.sockets[0].sent, ["still here"]);
  await over(feed, time);
});

Deno.test("WebSocketFeeder maxLifetime: while the new connection logs in, send means the live one", async () => {
  using time = new FakeTime();
  class Login extends TestFeed {
    logins = 0;
    protected override async handshake(connection: FeedConnection) {
      this.send(`hello ${++this.logins}`);
      await null;
      connection.send(`login ${this.logins}`);
      if (this.logins === 2) await new Promise(() => {});
    }
  }
  const feed = await connected(new Login({ maxLifetime: 10_000, connectTimeout: 5_000 }));
  await tick(time, 10_000);
  feed.socket.open();
  await settle();
  feed.send("order");
  assertEquals(feed.sockets.map(({ sent }) => sent), [
    ["hello 1", "login 1", "order"],
    ["hello 2", "login 2"],
  ]);
  await over(feed, time);
});

Deno.test("WebSocketFeeder maxLifetime: the count starts again after resetRetryAfter, whichever connection was live", async () => {
  using time = new FakeTime();
  const { now } = performance;
  performance.now = () => Date.now();
  try {
    const feed = new TestFeed({
      maxRetries: 1,
      resetRetryAfter: 5_000,
      maxLifetime: 6_000,
      overlap: 0,
    });
    feed.connect();
    await settle();
    feed.socket.fail();
    await tick(time, 500);
    await connected(feed);
    await tick(time, 6_000);
    feed.socket.open();
    await tick(time, 100); // handed over
    assertEquals(feed.lives.length, 2);
    feed.socket.end();
    await settle();
    assertEquals(feed.retries.map(({ attempt }) => attempt), [1, 1]);
    await over(feed, time);
  } finally {
    performance.now = now;
  }
});

Deno.test("WebSocketFeeder maxLifetime: close() and reconnect() end both connections", async () => {
  for (const how of ["close", "reconnect"] as const) {
    for (const opened of [true, false]) {
      using time = new FakeTime();
      const feed = await connected(new TestFeed({ maxLifetime: 10_000, closeTimeout: 0 }));
      await tick(time, 10_000);
      if (opened) feed.socket.open();
      await settle();
      feed[how]();
      await tick(time, 0);
      assertEquals(feed.sockets.map(({ closedWith }) => closedWith), [1000, 1000]);
      assertEquals(feed.state, how === "close" ? "closed" : "waiting");
      assertEquals(
        feed.retries.map(({ ending }) => ending.reason),
        how === "close" ? [] : ["reconnect"],
      );
      await over(feed, time);
    }
  }
});

Deno.test("WebSocketFeeder.identify() lets through once what both connections deliver, and forgets it after", async () => {
  using time = new FakeTime();
  class Numbered extends TestFeed {
    protected override identify(item: string) {
      return item === "no id" ? undefined : item;
    }
  }
  const feed = await connected(new Numbered({ maxLifetime: 10_000, overlap: 1_000 }));
  feed.socket.say("0");
  feed.socket.say("0"); // one connection: nobody looks
  await tick(time, 10_000);
  const [old, next] = feed.sockets;
  next.open();
  await settle();
  for (const item of ["1", "2", "no id"]) old.say(item);
  for (const item of ["1", "2", "3", "no id"]) next.say(item);
  for (const item of ["3", "4"]) old.say(item);
  await tick(time, 1_000); // handed over
  for (const item of ["4", "5"]) next.say(item); // the old one was ahead
  await tick(time, 1_000);
  next.say("5");
  assertEquals(feed.items, ["0", "0", "1", "2", "no id", "3", "no id", "4", "5", "5"]);
  assertEquals([feed.stats.frames, feed.stats.items], [14, 10]);
  await over(feed, time);
});

Deno.test("WebSocketFeeder.identify() the old connection is kept until both have delivered the same item", async () => {
  using time = new FakeTime();
  class Numbered extends TestFeed {
    protected override identify(item: string) {
      return item;
    }
  }
  const feed = await connected(new Numbered({ maxLifetime: 10_000, overlap: 1_000 }));
  await tick(time, 10_000);
  const [old, next] = feed.sockets;
  next.open();
  await settle();
  for (let n = 1; n <= 4; n++) { // the old one lags: there would be a gap
    old.say(`${n}`);
    old.say(`${n}`); // twice from the same one proves nothing
    next.say(`${n + 5}`);
    await tick(time, 1_000);
    assertEquals(old.closedWith, undefined);
  }
  old.say("5");
  old.say("6");
  await tick(time, 1_000);
  assertEquals(feed.lives.length, 2);
  await tick(time, 1_000);
  assertEquals(old.closedWith, 1000);
  assertEquals(feed.items.toSorted(), ["1", "2", "3", "4", "5", "6", "7", "8", "9"]);
  await over(feed, time);
});

Deno.test("WebSocketFeeder.identify() the old connection is kept for connectTimeout at most", async () => {
  using time = new FakeTime();
  const { now } = performance;
  performance.now = () => Date.now();
  try {
    class Numbered extends TestFeed {
      protected override identify(item: string) {
        return item;
      }
    }
    const feed = await connected(
      new Numbered({ maxLifetime: 10_000, overlap: 1_000, connectTimeout: 3_000 }),
    );
    await tick(time, 10_000);
    const [old, next] = feed.sockets;
    next.open();
    await settle();
    for (let n = 0; n < 4; n++) {
      old.say(`old ${n}`);
      next.say(`new ${n}`);
      await tick(time, 1_000);
    }
    assertEquals(feed.lives.length, 2);
    await tick(time, 1_000);
    assertEquals([old.closedWith, next.closedWith], [1000, undefined]);
    await over(feed, time);
  } finally {
    performance.now = now;
  }
});

Deno.test("WebSocketFeeder.identify() removes what the new connection repeats however far behind it is", async () => {
  using time = new FakeTime();
  class Numbered extends TestFeed {
    protected override identify(item: string) {
      return item;
    }
  }
  const feed = await connected(new Numbered({ maxLifetime: 10_000, overlap: 100 }));
  await tick(time, 10_000);
  const [old, next] = feed.sockets;
  next.open();
  await settle();
  for (const item of ["1", "2", "3", "4"]) old.say(item);
  next.say("1");
  await tick(time, 100); // handed over
  assertEquals(feed.lives.length, 2);
  for (const item of ["2", "3", "4", "5"]) {
    await tick(time, 500);
    next.say(item);
  }
  assertEquals(feed.items, ["1", "2", "3", "4", "5"]);
  await over(feed, time);
});

Deno.test("WebSocketFeeder.identify() keeps nothing longer than connectTimeout after the old connection is gone", async () => {
  using time = new FakeTime();
  const { now } = performance;
  performance.now = () => Date.now();
  try {
    class Numbered extends TestFeed {
      protected override identify(item: string) {
        return item;
      }
    }
    const feed = await connected(
      new Numbered({ maxLifetime: 100_000, overlap: 100, connectTimeout: 3_000 }),
    );
    await tick(time, 100_000);
    const [old, next] = feed.sockets;
    next.open();
    await settle();
    old.say("1");
    next.say("1");
    await tick(time, 100); // handed over
    assertEquals(feed.lives.length, 2);
    for (let ms = 0; ms < 4_000; ms += 100) await tick(time, 100);
    next.say("1");
    assertEquals(feed.items, ["1", "1"]);
    await over(feed, time);
  } finally {
    performance.now = now;
  }
});

Deno.test("WebSocketFeeder.identify() that throws is reported; the item is delivered", async () => {
  using time = new FakeTime();
  class Venue extends TestFeed {
    protected override identify(): unknown {
      throw new Error("no number");
    }
  }
  const feed = await connected(new Venue({ maxLifetime: 10_000, overlap: 100 }));
  await tick(time, 10_000);
  feed.socket.open();
  await settle();
  feed.socket.say("1");
  assertEquals(feed.items, ["1"]);
  assertEquals(feed.errors.map(({ message }) => message), [
    "Cannot tell an item apart: identify() threw",
  ]);
  await over(feed, time);
});

Deno.test("WebSocketFeeder.identify() remembers nothing of a replacement that failed", async () => {
  using time = new FakeTime();
  class Numbered extends TestFeed {
    protected override identify(item: string) {
      return item;
    }
  }
  const feed = await connected(new Numbered({ maxLifetime: 10_000, baseWait: 1_000 }));
  await tick(time, 10_000);
  const [old, next] = feed.sockets;
  old.say("1");
  old.say("1");
  next.fail();
  await settle();
  old.say("1");
  assertEquals(feed.items, ["1", "1"]);
  await over(feed, time);
});

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
  const venue = await FaultVenue.listen({
    open: (peer) => peer.send(peer.header("x-key") ?? "none"),
  });
  for (
    const target of [venue.url, { url: venue.url, protocols: "v2", headers: { "x-key": "7" } }]
  ) {
    const feed = new Native();
    feed.target = target;
    const stream = feed.stream();
    await feed.connect();
    assertEquals((await stream.next()).value, typeof target === "string" ? "none" : "7");
    assertEquals(
      venue.last.header("sec-websocket-protocol"),
      typeof target === "string" ? undefined : "v2",
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

Deno.test("WebSocketFeeder says in the ending that the venue's own class threw", async () => {
  using time = new FakeTime();
  const feed = new TestFeed({ maxRetries: 0 });
  feed.where = () => {
    throw new TypeError("no token");
  };
  const error = await feed.connect().catch((error) => error);
  assertEquals(error.ending.reason, "endpoint(), createSocket() or handshake() threw TypeError");
  assertEquals(await time.nextAsync(), false);
});
