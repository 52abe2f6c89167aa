import { assertEquals } from "@std/assert";
import { FakeTime } from "@std/testing/time";
import type { FeedConnection } from "../../websocket_feeder.ts";
import { connected, over, settle, TestFeed, tick } from "./fake_feed.ts";

/** A venue that wants a login, and whose other frames are items. */
class LoginFeed extends TestFeed {
  protected override async handshake(connection: FeedConnection) {
    await connection.ask("login", "login");
  }
  protected override receive(data: string, connection: FeedConnection): void | Promise<void> {
    if (data === "welcome") connection.answer("login");
    else this.emit(data);
  }
}

/** A feed in the moment in which its socket is open. */
async function opened<F extends TestFeed>(feed: F): Promise<F> {
  feed.connect().catch(() => {});
  await settle();
  feed.socket.open();
  return feed;
}

Deno.test("WebSocketFeeder.handshake() is called inside onopen, before a frame of the same turn", async () => {
  const calls: string[] = [];
  class Feed extends TestFeed {
    protected override handshake() {
      calls.push("handshake");
    }
    protected override receive(data: string) {
      calls.push(data);
    }
  }
  const feed = new Feed();
  feed.connect();
  await settle();
  feed.socket.open();
  feed.socket.say("1"); // no promise has run on since
  assertEquals(calls, ["handshake", "1"]);
  await over(feed);
});

for (
  const [how, read] of Object.entries({
    "for await": async (feed: LoginFeed, items: string[]) => {
      await feed.connect();
      for await (const item of feed) items.push(item);
    },
    "a stream": async (feed: LoginFeed, items: string[]) => {
      await feed.connect();
      const stream = feed.stream({ capacity: 8 });
      for (let next = await stream.next(); !next.done; next = await stream.next()) {
        items.push(next.value);
      }
    },
    "a listener": async (feed: LoginFeed, items: string[]) => {
      await feed.connect();
      feed.on("item", (item) => items.push(item));
    },
    "for await behind three functions": async (feed: LoginFeed, items: string[]) => {
      const connect = async () => await feed.connect();
      const start = async () => {
        await Promise.all([connect(), Promise.resolve()]);
        return feed;
      };
      for await (const item of await start()) items.push(item);
    },
  })
) {
  Deno.test(`WebSocketFeeder an item that came with the login is there for ${how} after connect()`, async () => {
    const feed = new LoginFeed();
    const items: string[] = [];
    const reading = read(feed, items);
    await settle();
    feed.socket.open();
    for (const frame of ["early", "welcome", "snapshot", "update"]) feed.socket.say(frame);
    await settle();
    feed.socket.say("later");
    await over(feed);
    await reading;
    assertEquals(items, ["early", "snapshot", "update", "later"]);
    assertEquals([feed.stats.items, feed.stats.frames], [4, 5]);
  });
}

Deno.test("WebSocketFeeder the event live comes before the first item of its connection, each time", async () => {
  using time = new FakeTime();
  const told: string[] = [];
  const feed = new LoginFeed({ baseWait: 100, maxWait: 100 });
  feed.on("live", ({ connection }) => told.push(`live ${connection}`));
  feed.on("item", (item) => told.push(item));
  for (let n = 1; n <= 3; n++) {
    await opened(feed);
    for (const frame of [`early ${n}`, "welcome", `late ${n}`]) feed.socket.say(frame);
    await settle();
    feed.socket.end();
    await tick(time, 100);
  }
  assertEquals(told, [1, 2, 3].flatMap((n) => [`live ${n}`, `early ${n}`, `late ${n}`]));
  await over(feed, time);
});

Deno.test("WebSocketFeeder a listener of live that clears what it has wipes no item of the new connection", async () => {
  const feed = new LoginFeed();
  const book: string[] = [];
  feed.on("live", () => book.length = 0);
  feed.on("item", (item) => book.push(item));
  await opened(feed);
  for (const frame of ["welcome", "snapshot"]) feed.socket.say(frame);
  await settle();
  assertEquals(book, ["snapshot"]);
  await over(feed);
});

Deno.test("WebSocketFeeder items of a login that fails are never delivered", async () => {
  using time = new FakeTime();
  const feed = await opened(new LoginFeed());
  feed.socket.say("early");
  feed.socket.end();
  await tick(time, 500);
  await opened(feed);
  feed.socket.say("welcome");
  await settle();
  assertEquals([feed.state, feed.items], ["live", []]);
  await over(feed, time);
});

Deno.test("WebSocketFeeder items that a handshake emits itself come after live", async () => {
  class Positions extends LoginFeed {
    protected override async handshake(connection: FeedConnection) {
      this.emit("before");
      await super.handshake(connection);
      this.emit("position");
      await null;
      this.emit("another", connection);
    }
  }
  const told: string[] = [];
  const feed = new Positions();
  feed.on("live", () => told.push("live"));
  feed.on("item", (item) => told.push(item));
  await opened(feed);
  feed.socket.say("welcome");
  await settle();
  assertEquals(told, ["live", "before", "position", "another"]);
  await over(feed);
});

Deno.test("WebSocketFeeder items that came before the connection was lost are delivered, though it was lost at once", async () => {
  const feed = await opened(new LoginFeed());
  for (const frame of ["welcome", "snapshot"]) feed.socket.say(frame);
  const stop = feed.on("live", () => feed.socket.end());
  await settle();
  stop();
  assertEquals([feed.state, feed.items], ["waiting", ["snapshot"]]);
  await over(feed);
});

Deno.test("WebSocketFeeder a listener that closes the feed gets none of the items that waited", async () => {
  const feed = new LoginFeed({ closeTimeout: 0 });
  feed.on("item", () => void feed.close());
  await opened(feed);
  for (const frame of ["welcome", "1", "2"]) feed.socket.say(frame);
  await feed.closed;
  assertEquals(feed.items, ["1"]);
});

Deno.test("WebSocketFeeder.emit() of what comes from elsewhere is delivered at once, in any state", async () => {
  using time = new FakeTime();
  const feed = new TestFeed();
  feed.emit("idle");
  feed.connect();
  await settle();
  feed.emit("connecting");
  await connected(feed);
  feed.emit("live");
  feed.socket.end();
  await settle();
  feed.emit("waiting");
  assertEquals(feed.items, ["idle", "connecting", "live", "waiting"]);
  await over(feed, time);
});
