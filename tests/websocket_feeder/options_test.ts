import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { FakeTime } from "@std/testing/time";
import type { WebSocketFeederOptions } from "../../websocket_feeder.ts";
import { complete } from "../../websocket_feeder/options.ts";
import { connected, over, TestFeed, tick } from "./fake_feed.ts";

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

Deno.test("new WebSocketFeeder() refuses options of the wrong type, naming them", () => {
  const wrong: Record<string, unknown> = {
    connectTimeout: "10",
    confirmTimeout: null,
    pace: () => {},
    dials: {},
    signal: {},
    tap: "log",
    maxRetries: true,
  };
  for (const [name, value] of Object.entries(wrong)) {
    const error = assertThrows(() => new TestFeed({ [name]: value }), TypeError);
    assert(error.message.startsWith(`Cannot make a feed: ${name} is `), error.message);
  }
  assertThrows(() => complete(null as never), TypeError, "options is null; wanted an object");
});

Deno.test("complete() fills in the defaults that the documentation names", () => {
  assertEquals(complete(), {
    connectTimeout: 10_000,
    closeTimeout: 2_000,
    staleAfter: 0,
    pingInterval: undefined,
    maxLifetime: 0,
    overlap: 1_000,
    confirmTimeout: 0,
    quietAfter: 0,
    backfillTimeout: 30_000,
    maxRetries: Infinity,
    baseWait: 500,
    maxWait: 30_000,
    resetRetryAfter: 30_000,
    jitter: 1,
    pace: undefined,
    dials: undefined,
    signal: undefined,
    tap: undefined,
  });
});

Deno.test("WebSocketFeeder.connect() refuses a ping() without pingInterval, and the reverse", async () => {
  class Pinging extends TestFeed {
    protected override ping() {
      return "ping";
    }
  }
  class Field extends TestFeed {
    protected override ping = () => "ping";
  }
  for (const feed of [new Pinging(), new Field(), new Pinging({ pingInterval: undefined })]) {
    await assertRejects(() => feed.connect(), TypeError, "a ping() and no pingInterval");
    assertEquals([feed.state, feed.sockets.length], ["idle", 0]);
    await feed.close();
  }
  for (const pingInterval of [1, 1_000, Infinity]) {
    const feed = new TestFeed({ pingInterval });
    await assertRejects(() => feed.connect(), TypeError, "a pingInterval and no ping()");
    await feed.close();
  }
  // 0 is a decision, whatever the class has.
  for (const feed of [new Pinging({ pingInterval: 0 }), new TestFeed({ pingInterval: 0 })]) {
    await connected(feed);
    assertEquals(feed.state, "live");
    await over(feed);
  }
});
