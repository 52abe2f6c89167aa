import { assert, assertEquals, assertRejects, assertStrictEquals } from "@std/assert";
import { FakeTime } from "@std/testing/time";
import { BrokerError } from "../../common/broker_error.ts";
import { FeedError, type FeedEvents, type FeedState } from "../../feeder.ts";
import { fakeClock } from "../fake_clock.ts";
import { connected, over, settle, TestFeed, tick } from "./fake_feed.ts";

/** Brings a feed into each state. */
const reach: Record<FeedState, (feed: TestFeed) => Promise<unknown>> = {
  idle: () => settle(),
  connecting: async (feed) => {
    feed.connect().catch(() => {});
    await settle();
  },
  live: (feed) => connected(feed),
  waiting: async (feed) => {
    await connected(feed);
    feed.socket.end();
    await settle();
  },
  closing: async (feed) => {
    await connected(feed);
    void feed.close();
    await settle();
  },
  closed: (feed) => feed.close(),
};

/** What can happen to a feed. */
const happenings: Record<string, (feed: TestFeed, time: FakeTime) => unknown> = {
  "connect()": (feed) => void feed.connect().catch(() => {}),
  "close()": (feed) => void feed.close(),
  "reconnect()": (feed) => feed.reconnect(),
  "the socket opens": (feed) => feed.socket?.open(),
  "the socket fails": (feed) => feed.socket?.fail(),
  "the socket closes": (feed) => feed.socket?.end(1000),
  "a fatal close": (feed) => feed.socket?.end(1003),
  "the wait is over": (_, time) => time.tickAsync(500),
  "a frame": (feed) => feed.socket?.say("1"),
  "subscribe()": (feed) => feed.subscribe("a"),
};

/** Where each of them leads to from each state; to itself where nothing is said. */
const arrows: Record<FeedState, Partial<Record<string, FeedState>>> = {
  idle: { "connect()": "connecting", "close()": "closed" },
  connecting: {
    "close()": "closed",
    "the socket opens": "live",
    "the socket fails": "waiting",
    "the socket closes": "waiting",
    "a fatal close": "closed",
  },
  live: {
    "close()": "closing",
    "reconnect()": "waiting",
    "the socket fails": "waiting",
    "the socket closes": "waiting",
    "a fatal close": "closed",
  },
  waiting: {
    "close()": "closed",
    "reconnect()": "connecting",
    "the wait is over": "connecting",
  },
  closing: {
    "the socket fails": "closed",
    "the socket closes": "closed",
    "a fatal close": "closed",
  },
  closed: {},
};

for (const state of Object.keys(reach) as FeedState[]) {
  for (const [name, happen] of Object.entries(happenings)) {
    const next = arrows[state][name] ?? state;
    Deno.test(`WebSocketFeeder ${state}: ${name} → ${next}`, async () => {
      using time = new FakeTime();
      const feed = new TestFeed({ connectTimeout: 60_000, closeTimeout: 60_000 });
      await reach[state](feed);
      assertEquals(feed.state, state);
      const before = feed.states.length;
      await happen(feed, time);
      await settle();
      assertEquals(feed.state, next);
      // Each change is told, once, and none that is none.
      const told = feed.states.slice(before);
      const way = state === next
        ? []
        : next === "closed" && name === "close()" && state !== "idle"
        ? ["closing", "closed"]
        : [next];
      assertEquals(told, way);
      await over(feed, time);
    });
  }
}

Deno.test("WebSocketFeeder retry: downtime is counted from the loss, however many attempts fail", async () => {
  using time = fakeClock();
  const feed = await connected(new TestFeed({ baseWait: 500 }));
  feed.socket.end();
  await tick(time, 500);
  feed.socket.fail();
  await tick(time, 1_000);
  feed.socket.fail();
  await tick(time, 2_000);
  await connected(feed);
  assertEquals(feed.lives.map(({ downtime }) => downtime), [0, 3_500]);
  await over(feed, time);
});

Deno.test("WebSocketFeeder the first attempt that fails is told to error, once; later ones to retry alone", async () => {
  using time = new FakeTime();
  const feed = new TestFeed();
  feed.connect();
  for (let i = 0; i < 3; i++) {
    await settle();
    feed.socket.fail();
    await tick(time, 4_000);
  }
  assertEquals(feed.retries.length, 3);
  const [error, ...more] = feed.errors;
  assertEquals([error.fatal, more.length], [false, 0]);
  assert(error.message.includes("the connection could not be made (1006, no connection: a wrong"));
  assertEquals(error.ending, feed.retries[0].ending);
  await connected(feed);
  feed.socket.end();
  await settle();
  assertEquals(feed.errors.length, 1);
  await over(feed, time);
});

Deno.test("WebSocketFeeder a first attempt that fails ends no process where nobody listens to error", async () => {
  using time = new FakeTime();
  class Quiet extends TestFeed {
    override on<K extends keyof FeedEvents<string>>(
      type: K,
      listener: (event: FeedEvents<string>[K]) => unknown,
    ) {
      return type === "error" ? () => {} : super.on(type, listener);
    }
  }
  const feed = new Quiet();
  feed.connect();
  await settle();
  feed.socket.fail();
  await settle();
  assertEquals(feed.state, "waiting");
  await over(feed, time);
});

Deno.test("WebSocketFeeder an ending has always a reason", async () => {
  using time = new FakeTime();
  const feed = await connected(new TestFeed({ baseWait: 0 }));
  const codes = [1000, 1005, 1006, 4401];
  for (const code of codes) {
    feed.socket.end(code);
    await tick(time, 0);
    await connected(feed);
  }
  feed.socket.fail();
  await tick(time, 0);
  feed.socket.fail();
  await settle();
  assertEquals(feed.retries.map(({ ending: { code, reason } }) => `${code} ${reason}`), [
    "1000 closed by the venue, without a reason",
    "1005 closed by the venue, without a code",
    "1006 lost, without a close frame",
    "4401 closed by the venue, without a reason",
    "1006 lost, without a close frame",
    "1006 no connection: a wrong address or port, no network, or an upgrade that was refused " +
    "(401, 403, 404 and others: this runtime does not tell)",
  ]);
  await over(feed, time);
});

// ---------------------------------------------------------------- what endpoint() throws

const refused = (status: number, retryAfter?: number) =>
  new BrokerError("refused", { kind: "rejected", outcome: "rejected", status, retryAfter });

for (const status of [401, 403]) {
  Deno.test(`WebSocketFeeder an endpoint() that throws a session's ${status} ends the feed`, async () => {
    const feed = new TestFeed();
    const thrown = refused(status);
    feed.where = () => Promise.reject(thrown);
    const error = await assertRejects(() => feed.connect(), FeedError);
    assertEquals([error.fatal, error.ending?.status, error.cause], [true, status, thrown]);
    assertEquals(feed.stats.attempts, 1);
  });
}

for (
  const [what, thrown, delay] of [
    ["a 429 with retryAfter", refused(429, 12_000), 12_000],
    ["a retryAfter above maxWait", refused(503, 3_600_000), 3_600_000],
    ["a retryAfter below the wait", refused(429, 100), 500],
    ["a 500", refused(500), 500],
    [
      "a FeedError with retryAfter",
      Object.assign(new FeedError("busy"), { retryAfter: 90_000 }),
      90_000,
    ],
    [
      "a FeedError whose cause has it",
      new FeedError("busy", { cause: refused(429, 40_000) }),
      40_000,
    ],
    ["a retryAfter that is no number", Object.assign(new Error(), { retryAfter: "9000" }), 500],
    ["a retryAfter that is NaN", Object.assign(new Error(), { retryAfter: NaN }), 500],
  ] as const
) {
  Deno.test(`WebSocketFeeder an endpoint() that throws ${what}: the feed goes on after ${delay} ms`, async () => {
    using time = new FakeTime();
    const feed = new TestFeed({ maxWait: 30_000 });
    feed.where = () => Promise.reject(thrown);
    feed.connect();
    await settle();
    assertEquals(feed.retries.map(({ delay }) => delay), [delay]);
    feed.where = () => "ws://venue/";
    await tick(time, delay - 1);
    assertEquals([feed.state, feed.sockets.length], ["waiting", 0]);
    await tick(time, 1);
    await connected(feed);
    assertEquals(feed.state, "live");
    await over(feed, time);
  });
}

Deno.test("WebSocketFeeder a handshake that throws retryAfter waits for that; so does a replacement", async () => {
  using time = new FakeTime();
  class Busy extends TestFeed {
    busy = true;
    protected override handshake() {
      if (this.busy) throw refused(429, 45_000);
    }
  }
  const feed = await connected(new Busy({ maxLifetime: 10_000, overlap: 0 }));
  feed.busy = false;
  await tick(time, 45_000);
  await connected(feed);
  feed.busy = true;
  await tick(time, 10_000);
  feed.socket.open();
  await settle();
  assertEquals(feed.retries.map(({ delay }) => delay), [45_000, 45_000]);
  assertEquals(feed.state, "live");
  await over(feed, time);
});

// ---------------------------------------------------------------- dials

Deno.test("WebSocketFeeder dials: paces attempts, and does not count as connectTimeout", async () => {
  using time = new FakeTime();
  const passes: (() => void)[] = [];
  const dials = {
    run: <R>(fn: () => R | PromiseLike<R>, { signal }: { signal?: AbortSignal } = {}) =>
      new Promise<R>((resolve, reject) => {
        passes.push(() => resolve(fn()));
        signal?.addEventListener("abort", () => reject(signal.reason));
      }),
  };
  const feed = new TestFeed({ dials, connectTimeout: 1_000 });
  feed.connect();
  await tick(time, 100_000);
  assertEquals([feed.state, feed.signals.length], ["connecting", 0]);
  passes.shift()!();
  await tick(time, 999);
  assertEquals([feed.state, feed.sockets.length], ["connecting", 1]);
  await tick(time, 1);
  assertEquals([feed.state, feed.retries[0].ending.reason], ["waiting", "not live within 1000 ms"]);
  await tick(time, 500);
  assertEquals([feed.sockets.length, passes.length], [1, 1]);
  await over(feed, time); // closed while it stands in line
});

Deno.test("WebSocketFeeder dials: one that refuses is a failed attempt, which is told", async () => {
  using time = new FakeTime();
  const dials = { run: () => Promise.reject(new Error("full")) };
  const feed = new TestFeed({ dials });
  feed.connect();
  await settle();
  assertEquals(feed.retries[0].ending.reason, "dials refused the attempt");
  await over(feed, time);
});

Deno.test("WebSocketFeeder stays closed where isFatal() has closed it", async () => {
  using time = new FakeTime();
  class Closing extends TestFeed {
    protected override isFatal(): boolean {
      void this.close();
      return false;
    }
  }
  const feed = await connected(new Closing());
  feed.socket.end();
  await tick(time, 60_000);
  assertEquals([feed.state, await feed.closed, feed.sockets.length], ["closed", undefined, 1]);
});

Deno.test("WebSocketFeeder tells in its error how long the connection had been live", async () => {
  using time = fakeClock();
  const feed = await connected(new TestFeed());
  await time.tickAsync(5_000);
  feed.socket.end(1003);
  assertEquals((await feed.closed)?.uptime, 5_000);
});

Deno.test("WebSocketFeeder that an aborted signal made is closed at once", async () => {
  const feed = new TestFeed({ signal: AbortSignal.abort(new Error("too late")) });
  assertEquals([feed.state, await feed.closed], ["closed", undefined]);
});

Deno.test("WebSocketFeeder.connect() rejects with the reason of the signal that ended it", async () => {
  const controller = new AbortController();
  const reason = new Error("the user has left");
  const feed = new TestFeed({ signal: controller.signal });
  const connecting = feed.connect();
  await settle();
  controller.abort(reason);
  assertStrictEquals(await connecting.catch((error) => error), reason);
});

Deno.test("WebSocketFeeder.connect() of a feed that was live and is closed rejects", async () => {
  const feed = await connected(new TestFeed());
  await over(feed);
  await assertRejects(() => feed.connect());
});

Deno.test("WebSocketFeeder live: the first connection is not resumed, the next is", async () => {
  using time = new FakeTime();
  const feed = await connected(new TestFeed({ baseWait: 0 }));
  feed.socket.end();
  await tick(time, 0);
  await connected(feed);
  assertEquals(feed.lives.map(({ resumed }) => resumed), [false, true]);
  await over(feed, time);
});

Deno.test("WebSocketFeeder.ask() waits for no connection that is still logging in: not-sent", async () => {
  const login = Promise.withResolvers<void>();
  class Slow extends TestFeed {
    protected override handshake(): Promise<void> {
      return login.promise;
    }
  }
  const feed = new Slow();
  void feed.connect();
  await settle();
  feed.socket.open();
  await settle();
  const error = await assertRejects(() => feed.ask("1", "order"), BrokerError);
  assertEquals([error.outcome, feed.socket.sent], ["not-sent", []]);
  login.resolve();
  await settle();
  await over(feed);
});
