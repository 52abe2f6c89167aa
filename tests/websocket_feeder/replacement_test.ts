import { assertEquals, assertFalse } from "@std/assert";
import { FakeTime } from "@std/testing/time";
import type { FeedConnection } from "../../websocket_feeder.ts";
import type { Connection } from "../../websocket_feeder/connection.ts";
import { retryAfter } from "../../websocket_feeder/replacement.ts";
import { connected, Gate, over, pass, settle, TestFeed, tick } from "./fake_feed.ts";

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
  old.say("heard");
  feed.subscribe("c");
  await settle();
  assertEquals([old.sent.length, next.sent.at(-1)], [2, "+c"]);
  assertEquals([old.closedWith, next.closedWith], [undefined, undefined]);
  await tick(time, 1_000); // heard for another overlap
  old.say("too late");
  assertEquals([old.closedWith, next.closedWith], [1000, undefined]);
  assertEquals(feed.items, ["old 0", "old 1", "old 2", "new", "old 3", "heard"]);
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

Deno.test("WebSocketFeeder maxLifetime: after the second overlap the old connection is heard for answers alone", async () => {
  using time = new FakeTime();
  class Asking extends TestFeed {
    protected override receive(data: string, connection: FeedConnection) {
      if (data[0] === "+") connection.answer(data.slice(1), data);
      else this.emit(data);
    }
  }
  const options = { maxLifetime: 10_000, overlap: 1_000, connectTimeout: 5_000 };
  const feed = await connected(new Asking(options));
  await pass(time, 9_900);
  const answers = ["1", "2"].map((id) =>
    feed.ask(id, id, { timeout: 60_000 }).catch(({ kind }) => kind)
  );
  await pass(time, 100);
  const [old, next] = feed.sockets;
  next.open();
  await pass(time, 2_000); // handed over, and an overlap more
  assertEquals([feed.lives.length, old.closedWith], [2, undefined]);
  old.say("an item");
  old.say("+1");
  next.say("another");
  await pass(time, 4_900);
  assertEquals([old.closedWith, feed.items], [undefined, ["another"]]);
  await pass(time, 100);
  old.end(1000);
  assertEquals(await Promise.all(answers), ["+1", "closed"]);
  await over(feed, time);
});

Deno.test("WebSocketFeeder maxLifetime: close() while the old connection is heard says goodbye once to each", async () => {
  using time = new FakeTime();
  class Polite extends TestFeed {
    protected override goodbye() {
      return "bye";
    }
  }
  const feed = await connected(
    new Polite({ maxLifetime: 10_000, overlap: 1_000, closeTimeout: 5_000 }),
  );
  await pass(time, 10_000);
  const [old, next] = feed.sockets;
  next.open();
  await pass(time, 1_500);
  void feed.close();
  await pass(time, 3_000);
  assertEquals([old.sent, next.sent, feed.state], [["bye"], ["bye"], "closing"]);
  await over(feed, time);
});

Deno.test("WebSocketFeeder maxLifetime: answers over the old connection are no sign that the new one is silent", async () => {
  using time = new FakeTime();
  class Asking extends TestFeed {
    protected override receive(data: string, connection: FeedConnection) {
      connection.answer(data, data);
    }
  }
  const feed = await connected(new Asking({ maxLifetime: 10_000, overlap: 1_000 }));
  await pass(time, 10_000);
  const [old, next] = feed.sockets;
  next.open();
  for (let i = 0; i < 10; i++) {
    const asked = feed.ask(`${i}`, "order");
    old.say(`${i}`);
    assertEquals(await asked, `${i}`);
    await pass(time, 100);
  }
  assertEquals([feed.lives.length, feed.retries.length], [2, 0]);
  await over(feed, time);
});

Deno.test("retryAfter() reads the wait of the refused upgrade, of the error, or of the error's cause", () => {
  const wait = (ending?: object) => retryAfter({ ending } as Connection);
  assertEquals(wait({ retryAfter: 7 }), 7);
  assertEquals(wait({ cause: { retryAfter: 8 } }), 8);
  assertEquals(wait({ cause: { cause: { retryAfter: 9 } } }), 9);
  for (const ending of [undefined, {}, { cause: "no" }, { retryAfter: -1 }]) {
    assertEquals(wait(ending), 0);
  }
});

Deno.test("WebSocketFeeder maxLifetime: a replacement is replaced in its turn", async () => {
  using time = new FakeTime();
  const feed = await connected(new TestFeed({ maxLifetime: 10_000, overlap: 1_000 }));
  for (let life = 1; life <= 3; life++) {
    await tick(time, 10_000);
    assertEquals(feed.sockets.length, life + 1);
    feed.socket.open();
    await tick(time, 1_000);
    assertEquals(feed.lives.length, life + 1);
  }
  await over(feed, time);
});

Deno.test("WebSocketFeeder.replace() in receive() replaces the connection of the frame, not the live one", async () => {
  using time = new FakeTime();
  class Announcing extends TestFeed {
    protected override receive(data: string) {
      if (data === "bye") this.replace();
      else this.emit(data);
    }
  }
  const feed = await connected(new Announcing({ maxLifetime: 10_000, overlap: 1_000 }));
  await tick(time, 10_000);
  const [, next] = feed.sockets;
  next.open();
  await settle();
  next.say("bye"); // not live yet, and about to end
  await tick(time, 1_000); // handed over
  await tick(time, 0);
  assertEquals(feed.sockets.length, 3);
  await over(feed, time);
});

Deno.test("WebSocketFeeder.refuse() while one connection replaces another unsubscribes on both", async () => {
  using time = new FakeTime();
  const feed = new TestFeed({ maxLifetime: 10_000, overlap: 1_000 });
  feed.subscribe("a", "b");
  await connected(feed);
  await tick(time, 10_000);
  const [old, next] = feed.sockets;
  next.open();
  await settle();
  feed.refuse("a", "no such symbol");
  await settle();
  assertEquals([old.sent.at(-1), next.sent.at(-1)], ["-a", "-a"]);
  await over(feed, time);
});

Deno.test("WebSocketFeeder asks nothing more of a connection that was replaced while a frame waited for its pace", async () => {
  using time = new FakeTime();
  const pace = new Gate();
  class Batched extends TestFeed {
    protected override readonly batch = 1;
  }
  const feed = new Batched({ pace, maxLifetime: 10_000, overlap: 1_000 });
  feed.subscribe("a");
  await connected(feed);
  await pace.open();
  await tick(time, 10_000);
  const [old, next] = feed.sockets;
  next.open();
  await settle();
  await pace.open();
  feed.subscribe("b", "c");
  await settle();
  assertEquals(pace.size, 2, "a frame of each connection waits");
  await tick(time, 1_000); // handed over
  for (let i = 0; i < 6; i++) await pace.open();
  assertEquals([old.sent, next.sent], [["+a"], ["+a", "+b", "+c"]]);
  await over(feed, time);
});
