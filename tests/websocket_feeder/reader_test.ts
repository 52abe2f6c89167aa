import { assertEquals } from "@std/assert";
import { FakeTime } from "@std/testing/time";
import type { FeedConnection } from "../../websocket_feeder.ts";
import type { Connection } from "../../websocket_feeder/connection.ts";
import { Reader } from "../../websocket_feeder/reader.ts";
import { connected, over, settle, TestFeed, tick } from "./fake_feed.ts";

/** A feed that reads each frame once it is told to, as one does that decompresses in a browser. */
class SlowFeed extends TestFeed {
  readonly reads: { data: string; go: PromiseWithResolvers<void> }[] = [];
  protected override async receive(data: string, _connection: FeedConnection): Promise<void> {
    const go = Promise.withResolvers<void>();
    this.reads.push({ data, go });
    await go.promise;
    this.emit(data);
  }
  /** Lets the frame that is read be read to its end. */
  async read(): Promise<void> {
    this.reads.shift()!.go.resolve();
    await settle();
  }
}

Deno.test("WebSocketFeeder.receive() that takes a promise: each frame waits for the one before", async () => {
  const feed = await connected(new SlowFeed());
  for (const frame of ["1", "2", "3"]) feed.socket.say(frame);
  assertEquals(feed.reads.map(({ data }) => data), ["1"]);
  await feed.read();
  feed.socket.say("4");
  for (let i = 0; i < 3; i++) await feed.read();
  assertEquals([feed.items, feed.reads.length], [["1", "2", "3", "4"], 0]);
  await over(feed);
});

Deno.test("WebSocketFeeder.receive() that takes a promise now and then keeps the order", async () => {
  class Mixed extends TestFeed {
    protected override receive(data: string): void | Promise<void> {
      if (Number(data) % 3 > 0) return this.emit(data);
      return (async () => {
        for (let i = 0; i < 5; i++) await null;
        this.emit(data);
      })();
    }
  }
  const feed = await connected(new Mixed());
  const frames = Array.from({ length: 5_000 }, (_, i) => String(i));
  for (const frame of frames) feed.socket.say(frame);
  for (let i = 0; i < 400; i++) await settle();
  assertEquals(feed.items, frames);
  await over(feed);
});

Deno.test("WebSocketFeeder.receive() whose connection ended meanwhile delivers nothing, nor do the frames behind it", async () => {
  using time = new FakeTime();
  const feed = await connected(new SlowFeed({ baseWait: 0 }));
  for (const frame of ["1", "2"]) feed.socket.say(frame);
  feed.socket.end();
  await tick(time, 0);
  await connected(feed);
  feed.socket.say("3");
  assertEquals(feed.reads.map(({ data }) => data), ["1"]); // the frame of the old one is still open
  await feed.read();
  assertEquals([feed.items, feed.reads.map(({ data }) => data)], [[], ["3"]]);
  await feed.read();
  assertEquals(feed.items, ["3"]);
  await over(feed, time);
});

Deno.test("WebSocketFeeder.receive() that never comes to an end delays the next connection for connectTimeout at most", async () => {
  using time = new FakeTime();
  const feed = await connected(new SlowFeed({ baseWait: 0, connectTimeout: 3_000 }));
  feed.socket.say("1");
  feed.socket.end();
  await tick(time, 0);
  await connected(feed);
  feed.socket.say("2");
  await tick(time, 2_999);
  assertEquals(feed.reads.length, 1);
  await tick(time, 1);
  assertEquals(feed.reads.length, 2);
  feed.reads.pop()!.go.resolve();
  await settle();
  assertEquals(feed.items, ["2"]);
  feed.socket.say("3");
  feed.reads.shift()!.go.resolve(); // the one that was given up: no frame is begun by it
  await settle();
  assertEquals(feed.reads.map(({ data }) => data), ["3"]);
  await over(feed, time);
});

Deno.test("WebSocketFeeder.receive() of a connection that is closed for good leaves no timer", async () => {
  using time = new FakeTime();
  const feed = await connected(new SlowFeed());
  feed.socket.say("1");
  await over(feed, time);
  await feed.read();
  assertEquals(feed.items, []);
});

Deno.test("WebSocketFeeder.emit() with a connection counts for that one, wherever it is called", async () => {
  using time = new FakeTime();
  const connections: FeedConnection[] = [];
  class Feed extends TestFeed {
    protected override handshake(connection: FeedConnection) {
      connections.push(connection);
    }
  }
  const feed = await connected(new Feed({ baseWait: 0 }));
  feed.socket.end();
  await tick(time, 0);
  await connected(feed);
  feed.emit("from the first", connections[0]);
  feed.emit("from the second", connections[1]);
  assertEquals(feed.items, ["from the second"]);
  await over(feed, time);
});

Deno.test("WebSocketFeeder.receive() reads a frame that comes while another is read, inside it", async () => {
  class Nested extends TestFeed {
    protected override receive(data: string) {
      if (data === "outer") this.socket.say("inner");
      this.emit(data);
    }
  }
  const feed = await connected(new Nested());
  feed.socket.say("outer");
  assertEquals(feed.items, ["inner", "outer"]);
  await over(feed);
});

Deno.test("Reader: a promise that was given up does not end the wait for another when it settles", async () => {
  using time = new FakeTime();
  const read: string[] = [];
  const frames = new Map(["1", "2"].map((name) => [name, Promise.withResolvers<void>()]));
  const reader = new Reader({
    stats: { frames: 0 },
    receive(data) {
      read.push(String(data));
      return frames.get(String(data))?.promise;
    },
    threw: () => {},
    patience: 100,
  });
  const old = { ending: undefined } as unknown as Connection;
  const next = { ending: undefined } as unknown as Connection;
  reader.read(old, "1"); // never settles while its connection lives
  reader.read(next, "2");
  reader.read(next, "3");
  old.ending = { code: 1006, reason: "lost", clean: false, opened: true };
  reader.leave(old);
  await time.tickAsync(100);
  assertEquals(read, ["1", "2"]);
  frames.get("1")!.resolve();
  await settle();
  assertEquals(read, ["1", "2"], "the second still reads");
  frames.get("2")!.resolve();
  await settle();
  assertEquals(read, ["1", "2", "3"]);
});
