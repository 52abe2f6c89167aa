import { assertEquals, assertFalse, assertRejects, assertStrictEquals } from "@std/assert";
import { BrokerError } from "../../common/broker_error.ts";
import { FeedError } from "../../feeder.ts";
import type { FeedConnection } from "../../websocket_feeder.ts";
import { Connection } from "../../websocket_feeder/connection.ts";
import { connected, Gate, over, settle, TestFeed } from "./fake_feed.ts";

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

Deno.test("Connection.end() counts once: the first ending stays", async () => {
  const connection = new Connection({ attempt: 1, report: () => {} });
  const asked = connection.ask("1", "one").catch(({ outcome }) => outcome);
  connection.end({ code: 4001, reason: "first" });
  connection.end({ code: 4002, reason: "second" });
  assertEquals(connection.ending, { code: 4001, reason: "first", clean: false, opened: false });
  assertEquals((await connection.ended).reason, "first");
  assertEquals([await asked, connection.send("x"), connection.open], ["not-sent", false, false]);
});

Deno.test("WebSocketFeeder puts no frame into a socket that is closing", async () => {
  const feed = await connected(new TestFeed());
  feed.socket.readyState = 2;
  feed.subscribe("a");
  await settle();
  assertEquals([feed.send("x"), feed.socket.sent, feed.errors], [false, [], []]);
  feed.socket.end();
  await over(feed);
});

Deno.test("WebSocketFeeder has bytes come as an ArrayBuffer", async () => {
  const feed = await connected(new TestFeed());
  assertEquals(feed.socket.binaryType, "arraybuffer");
  await over(feed);
});

Deno.test("WebSocketFeeder tap: one that throws is reported, and the frame goes its way", async () => {
  const tap = () => {
    throw new Error("disk full");
  };
  const feed = await connected(new TestFeed({ tap }));
  feed.socket.say("1");
  assertEquals([feed.send("2"), feed.socket.sent, feed.items], [true, ["2"], ["1"]]);
  await settle();
  assertEquals(feed.errors.map(({ message }) => message), [
    "Cannot tap a frame: tap() threw",
    "Cannot tap a frame: tap() threw",
  ]);
  await over(feed);
});

Deno.test("WebSocketFeeder reads no frame after close(), though the venue has not closed yet", async () => {
  let reads = 0;
  class Counting extends TestFeed {
    protected override receive() {
      reads++;
    }
  }
  const feed = await connected(new Counting());
  feed.socket.say("1");
  const closed = feed.close();
  await settle();
  feed.socket.say("2");
  assertEquals(reads, 1);
  feed.socket.end(1000);
  await closed;
});

Deno.test("WebSocketFeeder.ask() whose time is over is not sent, though a pace that hears no signal lets it go", async () => {
  const go = Promise.withResolvers<void>();
  const pace = { run: <R>(fn: () => R) => go.promise.then(fn), waitTime: () => 0 };
  const feed = await connected(new TestFeed({ pace: pace as never }));
  const controller = new AbortController();
  const asked = feed.ask("1", "one", { signal: controller.signal });
  controller.abort();
  await assertRejects(() => asked, BrokerError);
  go.resolve();
  await settle();
  assertEquals(feed.socket.sent, []);
  await over(feed);
});

Deno.test("Connection.after() keeps a time that no timer can hold", async () => {
  const connection = new Connection({ attempt: 1, report: () => {} });
  let isCalled = false;
  connection.after(2 ** 40, () => isCalled = true);
  await new Promise((resolve) => setTimeout(resolve, 50));
  connection.end({});
  assertFalse(isCalled);
});

Deno.test("WebSocketFeeder.close() says goodbye once the answers have come that are due", async () => {
  class Polite extends TestFeed {
    protected override goodbye() {
      return "bye";
    }
    protected override receive(data: string | ArrayBuffer, connection: FeedConnection) {
      connection.answer("1", data);
    }
  }
  const feed = await connected(new Polite());
  const asked = feed.ask("1", "order");
  const closed = feed.close();
  await settle();
  assertEquals(feed.socket.sent, ["order"]);
  feed.socket.say("filled");
  assertEquals(await asked, "filled");
  await settle();
  assertEquals(feed.socket.sent, ["order", "bye"]);
  feed.socket.end(1000);
  await closed;
});
