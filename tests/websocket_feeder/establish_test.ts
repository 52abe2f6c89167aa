import { assertEquals, assertFalse } from "@std/assert";
import { FakeTime } from "@std/testing/time";
import { BrokerError } from "../../session.ts";
import { FeedError } from "../../feeder.ts";
import type { Endpoint } from "../../websocket_feeder.ts";
import { connected, over, settle, TestFeed, tick } from "./fake_feed.ts";

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

Deno.test("WebSocketFeeder quotes in the ending the errors of this library, whose texts hold no token", async () => {
  using time = new FakeTime();
  const refused = new BrokerError("Cannot POST https://venue.example/token: refused with 503", {
    kind: "network",
    outcome: "rejected",
  });
  for (const cause of [refused, new FeedError("Cannot log in: wrong user")]) {
    const feed = new TestFeed();
    feed.where = () => {
      throw cause;
    };
    const reasons: string[] = [];
    feed.on("error", () => {});
    feed.on("retry", ({ ending }) => reasons.push(ending.reason));
    feed.connect().catch(() => {});
    await settle();
    await over(feed, time);
    assertEquals(reasons[0].split(" threw ")[1], `${cause.name}: ${cause.message}`);
  }
});
