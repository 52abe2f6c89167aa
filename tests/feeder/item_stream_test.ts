import { assertEquals, assertRejects, assertStrictEquals, assertThrows } from "@std/assert";
import { FeedError } from "../../feeder/feed_error.ts";
import { ItemStream, type StreamOptions } from "../../feeder/item_stream.ts";

/** A stream, and how often it has been detached. */
function open<T>(
  options: StreamOptions<T> = {},
): { stream: ItemStream<T>; detached: () => number } {
  let count = 0;
  return { stream: new ItemStream<T>(options, () => count++), detached: () => count };
}

const END: IteratorResult<never, undefined> = { value: undefined, done: true };

Deno.test("ItemStream.push() gives the item to the reader that waits: it is never queued, nor dropped", async () => {
  const { stream } = open<number>({ capacity: 1 });
  const reads = [stream.next(), stream.next()];
  stream.push(1);
  stream.push(2);
  stream.push(3);
  assertEquals([stream.size, stream.dropped], [1, 0]);
  assertEquals(await Promise.all(reads), [{ value: 1, done: false }, { value: 2, done: false }]);
  assertEquals(await stream.next(), { value: 3, done: false });
});

Deno.test("ItemStream.push() asks for no key while a reader waits", async () => {
  let asked = 0;
  const { stream } = open<number>({ key: () => asked++ });
  const read = stream.next();
  stream.push(1);
  assertEquals(asked, 0);
  stream.push(2);
  assertEquals(asked, 1);
  await read;
});

Deno.test("ItemStream.end() is heard after the last item, by every reader that waits, and later", async () => {
  const { stream } = open<number>();
  stream.push(1);
  stream.end();
  assertEquals(await stream.next(), { value: 1, done: false });
  assertEquals(await stream.next(), END);
  const { stream: empty } = open<number>();
  const reads = [empty.next(), empty.next(), empty.next()];
  empty.end();
  assertEquals(await Promise.all(reads), [END, END, END]);
});

Deno.test("ItemStream.end(error) is thrown once, to the first reader; then the stream is over", async () => {
  const error = new FeedError("Cannot go on");
  const { stream } = open<number>();
  const [first, second] = [stream.next(), stream.next()];
  stream.end(error);
  assertStrictEquals(await assertRejects(() => first), error);
  assertEquals(await second, END);
  assertEquals(await stream.next(), END);
});

Deno.test("ItemStream.return() detaches, forgets what waits and what was to be thrown, and answers readers", async () => {
  const { stream, detached } = open<number>();
  stream.push(1);
  stream.end(new FeedError("Cannot go on"));
  assertEquals(await stream.return(), END);
  assertEquals([stream.size, detached()], [0, 1]);
  assertEquals(await stream.next(), END);

  const { stream: keyed } = open<number>({ key: (item) => item });
  keyed.push(1);
  keyed.push(2);
  assertEquals(await keyed.return(), END);
  assertEquals(keyed.size, 0);

  const { stream: idle } = open<number>();
  const reads = [idle.next(), idle.next()];
  await idle[Symbol.asyncDispose]();
  assertEquals(await Promise.all(reads), [END, END]);
});

Deno.test(`ItemStream with overflow "error" is detached at the item too many, and throws after the others`, async () => {
  const { stream, detached } = open<number>({ capacity: 2, overflow: "error" });
  stream.push(1);
  stream.push(2);
  assertEquals([detached(), stream.dropped], [0, 0]);
  stream.push(3);
  assertEquals([detached(), stream.dropped, stream.size], [1, 1, 2]);
  assertEquals((await stream.next()).value, 1);
  assertEquals((await stream.next()).value, 2);
  await assertRejects(
    () => stream.next(),
    FeedError,
    "Cannot queue the item: the reader is 2 items behind, which is its capacity",
  );
  assertEquals(await stream.next(), END);
});

Deno.test("ItemStream with a key of undefined for some items keeps the latest of those too", async () => {
  const { stream } = open<{ symbol?: string; n: number }>({ key: ({ symbol }) => symbol });
  stream.push({ n: 1 });
  stream.push({ symbol: "INFY", n: 2 });
  stream.push({ n: 3 });
  assertEquals([stream.size, stream.dropped], [2, 1]);
  assertEquals((await stream.next()).value, { n: 3 });
});

Deno.test("ItemStream refuses options out of range or of the wrong type, naming them", () => {
  const wanted = "wanted an integer >= 1 or Infinity";
  const overflows = `wanted "drop-oldest", "drop-newest" or "error"`;
  const refused: [options: unknown, error: string][] = [
    [{ capacity: 0 }, `RangeError: capacity is 0, ${wanted}`],
    [{ capacity: -1 }, `RangeError: capacity is -1, ${wanted}`],
    [{ capacity: 1.5 }, `RangeError: capacity is 1.5, ${wanted}`],
    [{ capacity: NaN }, `RangeError: capacity is NaN, ${wanted}`],
    [{ capacity: "7" }, `TypeError: capacity is "7", a string; ${wanted}`],
    [{ capacity: null }, `TypeError: capacity is null; ${wanted}`],
    [{ overflow: "explode" }, `TypeError: overflow is "explode", a string; ${overflows}`],
    [{ overflow: null }, `TypeError: overflow is null; ${overflows}`],
    [{ key: "symbol" }, `TypeError: key is "symbol", a string; wanted a function`],
    [{ key: null }, "TypeError: key is null; wanted a function"],
    [null, "TypeError: options is null; wanted an object"],
    [(item: string) => item, "TypeError: options is a function; wanted an object"],
  ];
  for (const [options, expected] of refused) {
    const error = assertThrows(() => open(options as StreamOptions<string>)) as Error;
    assertEquals(
      `${error.name}: ${error.message}`,
      expected.replace(": ", ": Cannot open a stream: "),
    );
  }
  open({ capacity: Infinity });
  open({ capacity: 1, overflow: undefined, key: undefined });
});
