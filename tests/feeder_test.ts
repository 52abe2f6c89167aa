import { assertEquals, assertRejects, assertStrictEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import {
  AbstractFeeder,
  FeedError,
  type FeedEvents,
  type FeedStream,
  type StreamOptions,
} from "../feeder.ts";

/** A feed that delivers what it is told to. */
class TestFeed<T = number> extends AbstractFeeder<T> {
  override connect(): Promise<void> {
    return Promise.resolve();
  }
  override close(): Promise<void> {
    this.end();
    return Promise.resolve();
  }
  give(...items: T[]): void {
    for (const item of items) this.emit(item);
  }
  fail(error: FeedError): void {
    this.end(error);
  }
  hears(type: keyof FeedEvents<T>): boolean {
    return this.hasListener(type);
  }
  tell<K extends keyof FeedEvents<T>>(type: K, event: FeedEvents<T>[K]): void {
    this.dispatch(type, event);
  }
}

/** Resolves to the errors that the runtime would report as uncaught meanwhile. */
async function uncaught(play: () => unknown): Promise<unknown[]> {
  const errors: unknown[] = [];
  const keep = (event: ErrorEvent) => {
    event.preventDefault();
    errors.push(event.error);
  };
  addEventListener("error", keep);
  try {
    await play();
    await turn();
  } finally {
    removeEventListener("error", keep);
  }
  return errors;
}

const turn = () => new Promise((resolve) => setTimeout(resolve));

/** Everything that is read from a stream until it ends. */
async function readAll<T>(stream: FeedStream<T>): Promise<T[]> {
  const items: T[] = [];
  for await (const item of stream) items.push(item);
  return items;
}

// ---------------------------------------------------------------- listeners

Deno.test("AbstractFeeder.on() calls listeners synchronously, in the order in which they were added", () => {
  const feed = new TestFeed();
  const heard: string[] = [];
  feed.on("item", (item) => heard.push(`first ${item}`));
  feed.on("item", (item) => heard.push(`second ${item}`));
  feed.give(1);
  assertEquals(heard, ["first 1", "second 1"]);
});

Deno.test("AbstractFeeder.on() returns a function that removes the listener, and only that", () => {
  const feed = new TestFeed();
  const heard: number[] = [];
  const listener = (item: number) => heard.push(item);
  const remove = feed.on("item", listener);
  feed.on("item", listener);
  feed.give(1);
  remove();
  remove();
  feed.give(2);
  assertEquals(heard, [1, 1, 2]);
});

Deno.test("AbstractFeeder.hasListener() tells whether an event has listeners", () => {
  const feed = new TestFeed();
  const remove = feed.on("retry", () => {});
  feed.on("item", () => {});
  assertEquals([feed.hears("retry"), feed.hears("live"), feed.hears("item")], [true, false, true]);
  remove();
  assertEquals(feed.hears("retry"), false);
});

Deno.test("AbstractFeeder.on() a listener removed by one before it hears nothing more, not even this event", () => {
  const feed = new TestFeed();
  const heard: number[] = [];
  feed.on("item", () => remove());
  const remove = feed.on("item", (item) => heard.push(item));
  feed.on("item", (item) => heard.push(item * 10));
  feed.give(1, 2);
  assertEquals(heard, [10, 20]);
});

Deno.test("AbstractFeeder.on() a listener added within an event hears from the next one on", () => {
  const feed = new TestFeed();
  const heard: string[] = [];
  feed.on("item", (item) => {
    feed.on("item", (later) => heard.push(`${item} then ${later}`));
  });
  feed.give(1, 2);
  assertEquals(heard, ["1 then 2"]);
});

Deno.test("AbstractFeeder.on() a listener that throws is reported to error; the others are still called", () => {
  const feed = new TestFeed();
  const cause = new Error("listener");
  const errors: FeedError[] = [];
  const heard: number[] = [];
  feed.on("error", (error) => errors.push(error));
  feed.on("item", () => {
    throw cause;
  });
  feed.on("item", (item) => heard.push(item));
  feed.give(1, 2);
  assertEquals(heard, [1, 2]);
  assertEquals(errors.length, 2);
  assertStrictEquals(errors[0].cause, cause);
  assertEquals(errors[0].fatal, false);
});

Deno.test("AbstractFeeder.on() a listener whose promise rejects is reported to error", async () => {
  const feed = new TestFeed();
  const cause = new Error("listener");
  const errors: FeedError[] = [];
  feed.on("error", (error) => errors.push(error));
  feed.on("item", () => Promise.reject(cause));
  feed.give(1);
  await turn();
  assertStrictEquals(errors[0].cause, cause);
  assertEquals(errors.length, 1);
});

Deno.test("AbstractFeeder an error that nobody listens to is thrown asynchronously", async () => {
  const feed = new TestFeed();
  const cause = new Error("listener");
  const heard: number[] = [];
  feed.on("item", () => {
    throw cause;
  });
  feed.on("item", (item) => heard.push(item));
  const errors = await uncaught(() => feed.give(1));
  assertEquals(heard, [1]);
  assertEquals(errors.map((error) => (error as Error).cause), [cause]);
});

Deno.test("AbstractFeeder a listener of error that throws is heard once, asynchronously", async () => {
  const feed = new TestFeed();
  const thrown = new Error("listener of error");
  let calls = 0;
  feed.on("error", () => {
    calls++;
    throw thrown;
  });
  const errors = await uncaught(() => feed.tell("error", new FeedError("Cannot do it")));
  assertEquals(errors, [thrown]);
  assertEquals(calls, 1);
});

// ---------------------------------------------------------------- streams

Deno.test("AbstractFeeder.stream() delivers what is emitted from then on, not from the first next() on", async () => {
  const feed = new TestFeed();
  feed.give(1);
  const stream = feed.stream();
  feed.give(2, 3);
  assertEquals(stream.size, 2);
  await feed.close();
  assertEquals(await readAll(stream), [2, 3]);
});

Deno.test("AbstractFeeder.stream() gives several readers every item each", async () => {
  const feed = new TestFeed();
  const all = [feed.stream(), feed.stream()].map(readAll);
  feed.give(1, 2, 3);
  await feed.close();
  assertEquals(await Promise.all(all), [[1, 2, 3], [1, 2, 3]]);
});

Deno.test("AbstractFeeder.stream() answers several next() at a time in their order", async () => {
  const feed = new TestFeed();
  const stream = feed.stream();
  const reads = [stream.next(), stream.next(), stream.next(), stream.next()];
  feed.give(1, 2, 3);
  await feed.close();
  assertEquals(await Promise.all(reads), [
    { value: 1, done: false },
    { value: 2, done: false },
    { value: 3, done: false },
    { value: undefined, done: true },
  ]);
  assertEquals(await stream.next(), { value: undefined, done: true });
});

Deno.test("AbstractFeeder.stream() holds 16,384 items unless told otherwise, and drops the oldest", async () => {
  const feed = new TestFeed();
  const stream = feed.stream();
  for (let n = 0; n < 20_000; n++) feed.give(n);
  assertEquals(stream.size, 16_384);
  assertEquals(stream.dropped, 20_000 - 16_384);
  assertEquals((await stream.next()).value, 20_000 - 16_384);
  await stream.return();
});

const policies: [StreamOptions<number>["overflow"], number[]][] = [
  ["drop-oldest", [3, 4, 5]],
  ["drop-newest", [1, 2, 3]],
];
for (const [overflow, survivors] of policies) {
  Deno.test(`AbstractFeeder.stream() ${overflow}: exact survivors, dropped counted`, async () => {
    const feed = new TestFeed();
    const stream = feed.stream({ capacity: 3, overflow });
    feed.give(1, 2, 3, 4, 5);
    assertEquals(stream.dropped, 2);
    await feed.close();
    assertEquals(await readAll(stream), survivors);
  });
}

Deno.test("AbstractFeeder.stream() error: throws once what is queued is read; the feed goes on", async () => {
  const feed = new TestFeed();
  const stream = feed.stream({ capacity: 2, overflow: "error" });
  const other = feed.stream();
  feed.give(1, 2, 3, 4);
  assertEquals(stream.dropped, 1); // detached by then
  assertEquals((await stream.next()).value, 1);
  assertEquals((await stream.next()).value, 2);
  await assertRejects(() => stream.next(), FeedError, "the reader is 2 items behind");
  assertEquals(await stream.next(), { value: undefined, done: true });
  await feed.close();
  assertEquals(await readAll(other), [1, 2, 3, 4]);
});

Deno.test("AbstractFeeder.stream() with a key keeps the latest of each key, in its place; dropped counts the others", async () => {
  const feed = new TestFeed<[string, number]>();
  const stream = feed.stream({ key: ([symbol]) => symbol });
  feed.give(["a", 1], ["b", 1], ["a", 2], ["c", 1], ["a", 3]);
  assertEquals([stream.size, stream.dropped], [3, 2]);
  await feed.close();
  assertEquals(await readAll(stream), [["a", 3], ["b", 1], ["c", 1]]);
});

Deno.test("AbstractFeeder.stream() with a key and a capacity: the policy holds for keys", async () => {
  const feed = new TestFeed<string>();
  const key = (item: string) => item[0];
  const oldest = feed.stream({ capacity: 2, key });
  const newest = feed.stream({ capacity: 2, key, overflow: "drop-newest" });
  feed.give("a1", "b1", "c1", "b2");
  await feed.close();
  assertEquals(await readAll(oldest), ["b2", "c1"]);
  assertEquals(await readAll(newest), ["a1", "b2"]);
});

Deno.test("AbstractFeeder.stream() whose key throws misses the item; it is reported, others get it", async () => {
  const feed = new TestFeed();
  const errors: FeedError[] = [];
  feed.on("error", (error) => errors.push(error));
  const keyed = feed.stream({
    key: (item) => {
      if (item === 2) throw new Error("key");
      return item;
    },
  });
  const plain = feed.stream();
  feed.give(1, 2, 3);
  await feed.close();
  assertEquals(await readAll(keyed), [1, 3]);
  assertEquals(await readAll(plain), [1, 2, 3]);
  assertEquals(errors.map((error) => (error.cause as Error).message), ["key"]);
});

Deno.test("AbstractFeeder.stream() what was emitted was read, is queued or is dropped, in order", async () => {
  const overflow = fc.constantFrom<StreamOptions<number>["overflow"]>("drop-oldest", "drop-newest");
  const steps = fc.array(fc.oneof(fc.nat(60).map((n) => n + 1), fc.constant(0)), { maxLength: 40 });
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 1, max: 70 }),
      overflow,
      steps,
      async (capacity, overflow, steps) => {
        const feed = new TestFeed();
        const stream = feed.stream({ capacity, overflow });
        const model: number[] = [];
        let emitted = 0;
        let read = 0;
        for (const step of steps) {
          for (let i = 0; i < step; i++) {
            feed.give(++emitted);
            if (model.length < capacity) model.push(emitted);
            else if (overflow === "drop-oldest") model.push(emitted), model.shift();
          }
          if (step === 0 && stream.size > 0) {
            assertEquals((await stream.next()).value, model.shift());
            read++;
          }
          assertEquals(stream.size, model.length);
          assertEquals(read + stream.size + stream.dropped, emitted);
        }
        await feed.close();
        assertEquals(await readAll(stream), model);
      },
    ),
  );
});

for (const leave of ["break", "return", "throw"] as const) {
  Deno.test(`for await over a feed: ${leave} detaches the stream`, async () => {
    const feed = new TestFeed();
    const stream = feed.stream();
    const read = async () => {
      for await (const item of stream) {
        if (item === 1 && leave === "break") break;
        if (item === 1 && leave === "return") return;
        if (item === 1) throw new Error("Enough");
      }
    };
    const reading = read().catch((error) => assertEquals(error.message, "Enough"));
    feed.give(1, 2);
    await reading;
    feed.give(3);
    assertEquals(stream.size, 0);
    assertEquals(stream.dropped, 0);
    assertEquals(await stream.next(), { value: undefined, done: true });
  });
}

Deno.test("FeedStream is disposed of by leaving it", async () => {
  const feed = new TestFeed();
  let left: FeedStream<number>;
  {
    await using stream = feed.stream();
    left = stream;
    feed.give(1);
  }
  feed.give(2);
  assertEquals(left.size, 0);
});

Deno.test("FeedStream.return() answers who still waits", async () => {
  const feed = new TestFeed();
  const stream = feed.stream();
  const waiting = [stream.next(), stream.next()];
  await stream.return();
  assertEquals(await Promise.all(waiting), [
    { value: undefined, done: true },
    { value: undefined, done: true },
  ]);
});

Deno.test("for await over a feed that fails throws its error once drained; a listener of error is told", async () => {
  const feed = new TestFeed();
  const errors: FeedError[] = [];
  feed.on("error", (error) => errors.push(error));
  const stream = feed.stream();
  const error = new FeedError("Cannot go on", { fatal: true });
  feed.give(1);
  feed.fail(error);
  feed.fail(new FeedError("Cannot go on either"));
  assertEquals((await stream.next()).value, 1);
  assertStrictEquals(await assertRejects(() => stream.next()), error);
  assertStrictEquals(await assertRejects(() => feed.stream().next()), error);
  assertEquals(errors, [error]);
});

Deno.test("an error that ended the feed is not thrown asynchronously though nobody listens", async () => {
  const feed = new TestFeed();
  assertEquals(await uncaught(() => feed.fail(new FeedError("Cannot go on"))), []);
});

Deno.test("AbstractFeeder.stream() of a closed feed ends at once", async () => {
  const feed = new TestFeed();
  await feed.close();
  assertEquals(await readAll(feed.stream()), []);
});

Deno.test("AbstractFeeder a listener may emit in its turn, or end the feed: streams have every item, in order", async () => {
  const feed = new TestFeed();
  const items = readAll(feed.stream());
  feed.on("item", (item) => item === 1 ? feed.give(2) : feed.close());
  feed.give(1);
  assertEquals(await items, [1, 2]);
});

Deno.test("AbstractFeeder delivers nothing once it has ended", async () => {
  const feed = new TestFeed();
  const heard: number[] = [];
  feed.on("item", (item) => heard.push(item));
  await feed.close();
  feed.give(1);
  assertEquals(heard, []);
});

Deno.test("AbstractFeeder await using ends the streams of a feed whose close() forgot to", async () => {
  class Forgetful extends AbstractFeeder<number> {
    override connect() {
      return Promise.resolve();
    }
    override close() {
      return Promise.resolve();
    }
  }
  const outer = new Forgetful();
  const items = readAll(outer.stream());
  {
    await using _feed = outer;
  }
  assertEquals(await items, []);
});

Deno.test("AbstractFeeder is closed by await using", async () => {
  let closes = 0;
  class Counted extends TestFeed {
    override async close(): Promise<void> {
      await super.close();
      closes++;
    }
  }
  const outer = new Counted();
  const stream = outer.stream();
  {
    await using feed = outer;
    feed.give(1);
  }
  assertEquals(closes, 1);
  assertEquals(await readAll(stream), [1]);
});

Deno.test("AbstractFeeder.stream() refuses wrong options at once", () => {
  const feed = new TestFeed();
  assertThrows(
    () => feed.stream({ capacity: 0 }),
    RangeError,
    "Cannot open a stream: capacity is 0",
  );
  assertThrows(
    () => feed.stream({ overflow: "explode" as "error" }),
    TypeError,
    `Cannot open a stream: overflow is "explode"`,
  );
});

Deno.test("AbstractFeeder.on() refuses an event that does not exist, naming those that do", () => {
  const feed = new TestFeed();
  for (const type of ["tick", "toString", ""]) {
    assertThrows(
      () => feed.on(type as "item", () => {}),
      TypeError,
      `Cannot listen: type is "${type}", a string; wanted "item", "state", `,
    );
  }
});

Deno.test("AbstractFeeder.on() refuses a listener that is no function", () => {
  const feed = new TestFeed();
  for (const listener of [undefined, null, "tick", {}]) {
    assertThrows(
      () => feed.on("item", listener as never),
      TypeError,
      "; wanted a function",
    );
  }
});
