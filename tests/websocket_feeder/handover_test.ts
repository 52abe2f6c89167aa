import { assertEquals } from "@std/assert";
import { FakeTime } from "@std/testing/time";
import { connected, over, settle, TestFeed, tick } from "./fake_feed.ts";

Deno.test("WebSocketFeeder.identify() lets each item through once, whichever connection delivers it", async () => {
  using time = new FakeTime();
  class Numbered extends TestFeed {
    protected override identify(item: string) {
      return item === "no id" ? undefined : item;
    }
  }
  const feed = await connected(new Numbered({ maxLifetime: 10_000, overlap: 1_000 }));
  feed.socket.say("0");
  feed.socket.say("0");
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
  assertEquals(feed.items, ["0", "1", "2", "no id", "3", "no id", "4", "5"]);
  assertEquals([feed.stats.frames, feed.stats.items], [14, 8]);
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

Deno.test("WebSocketFeeder.identify() lets each item through once across reconnects, as far as 65,536 ids go", async () => {
  using time = new FakeTime();
  class Numbered extends TestFeed {
    protected override identify(item: string) {
      return item;
    }
  }
  const feed = await connected(new Numbered({ baseWait: 1_000 }));
  feed.socket.say("1");
  feed.socket.end();
  await tick(time, 1_000);
  feed.socket.open();
  await settle();
  feed.socket.say("1"); // a snapshot repeats it
  feed.socket.say("2");
  assertEquals(feed.items, ["1", "2"]);
  for (let i = 0; i < 65_536; i++) feed.socket.say(`x${i}`);
  feed.socket.say("1");
  assertEquals(feed.items.at(-1), "1");
  await over(feed, time);
});
