import { assertEquals, assertStrictEquals, assertThrows } from "@std/assert";
import { FakeTime } from "@std/testing/time";
import { Connection } from "../../websocket_feeder/connection.ts";
import { Reader } from "../../websocket_feeder/reader.ts";

function connection(): Connection {
  return new Connection({ attempt: 1, report: () => {} });
}

/** A reader whose frames "wait" are read once `go` is called; all that is read is taken down. */
function noted(patience = 1_000) {
  const read: string[] = [];
  const errors: unknown[] = [];
  const waits: PromiseWithResolvers<void>[] = [];
  const reader: Reader = new Reader({
    receive(data) {
      read.push(String(data));
      if (data === "throw") throw new Error("receive");
      if (data !== "wait") return;
      const wait = Promise.withResolvers<void>();
      waits.push(wait);
      return wait.promise;
    },
    threw: (error) => errors.push((error as Error).message),
    patience,
  });
  return { reader, read, errors, waits };
}

async function settle(): Promise<void> {
  for (let i = 0; i < 10; i++) await null;
}

Deno.test("Reader reads a frame at once, and one that throws is reported", () => {
  const { reader, read, errors } = noted();
  const one = connection();
  reader.read(one, "a");
  reader.read(one, "throw");
  reader.read(one, "b");
  assertEquals(read, ["a", "throw", "b"]);
  assertEquals(errors, ["receive"]);
  assertEquals([reader.hook, reader.reading], [undefined, undefined]);
});

Deno.test("Reader lets the frames of all connections wait while a promise of receive is open, in their order", async () => {
  const { reader, read, waits } = noted();
  const [one, two] = [connection(), connection()];
  reader.read(one, "wait");
  assertStrictEquals(reader.reading, one);
  for (const [from, data] of [[two, "a"], [one, "b"], [two, "wait"], [one, "c"]] as const) {
    reader.read(from, data);
  }
  await settle();
  assertEquals(read, ["wait"]);
  waits[0].resolve();
  await settle();
  assertEquals(read, ["wait", "a", "b", "wait"]);
  assertStrictEquals(reader.reading, two);
  waits[1].resolve();
  await settle();
  assertEquals(read, ["wait", "a", "b", "wait", "c"]);
  assertEquals(reader.reading, undefined);
});

Deno.test("Reader goes on after a promise that rejects, which is reported unless its connection has ended", async () => {
  const { reader, read, errors, waits } = noted();
  const one = connection();
  reader.read(one, "wait");
  reader.read(one, "a");
  waits[0].reject(new Error("late"));
  await settle();
  assertEquals([read, errors], [["wait", "a"], ["late"]]);
  reader.read(one, "wait");
  one.end({ reason: "over" });
  waits[1].reject(new Error("later"));
  await settle();
  assertEquals(errors, ["late"]);
});

Deno.test("Reader reads no frame that waited when its connection ended", async () => {
  const { reader, read, waits } = noted();
  const [one, two] = [connection(), connection()];
  reader.read(one, "wait");
  reader.read(one, "a");
  reader.read(two, "b");
  one.end({ reason: "over" });
  waits[0].resolve();
  await settle();
  assertEquals(read, ["wait", "b"]);
});

Deno.test("Reader.leave() lets a frame of a connection that has ended keep the others waiting for patience at most", async () => {
  using time = new FakeTime();
  const { reader, read, waits } = noted(1_000);
  const [one, two] = [connection(), connection()];
  reader.read(one, "wait");
  reader.read(two, "a");
  reader.leave(two); // it is not its frame that is read
  one.end({ reason: "over" });
  reader.leave(one);
  await time.tickAsync(999);
  assertEquals(read, ["wait"]);
  await time.tickAsync(1);
  assertEquals(read, ["wait", "a"]);
  reader.read(two, "wait");
  reader.read(two, "b");
  waits[0].resolve(); // given up: its end is not that of the frame which is read now
  await settle();
  assertEquals(read, ["wait", "a", "wait"]);
  waits[1].resolve();
  await settle();
  assertEquals(read, ["wait", "a", "wait", "b"]);
});

Deno.test("Reader.leave() with patience Infinity arms no timer", () => {
  using time = new FakeTime();
  const { reader } = noted(Infinity);
  const one = connection();
  reader.read(one, "wait");
  one.end({ reason: "over" });
  reader.leave(one);
  assertEquals(time.next(), false);
});

Deno.test("Reader.close() reads nothing more, and leaves no timer", async () => {
  using time = new FakeTime();
  const { reader, read, waits } = noted();
  const [one, two] = [connection(), connection()];
  reader.read(one, "wait");
  reader.read(two, "a");
  one.end({ reason: "over" });
  reader.leave(one);
  reader.close();
  assertEquals(time.next(), false);
  waits[0].resolve();
  await settle();
  assertEquals(read, ["wait"]);
});

Deno.test("Reader.during() says whose hook runs, also inside of another, and after it threw", () => {
  const { reader } = noted();
  const [one, two] = [connection(), connection()];
  const seen: (Connection | undefined)[] = [];
  reader.during(one, () => {
    seen.push(reader.hook);
    assertThrows(
      () =>
        reader.during(two, () => {
          seen.push(reader.hook);
          throw new Error("hook");
        }),
      Error,
      "hook",
    );
    seen.push(reader.hook);
  });
  seen.push(reader.hook);
  assertEquals(seen.map((each) => each && (each === one ? 1 : 2)), [1, 2, 1, undefined]);
});

Deno.test("Reader keeps the order of ten thousand frames that wait", async () => {
  const { reader, read, waits } = noted();
  const one = connection();
  const wanted = ["wait"];
  reader.read(one, "wait");
  for (let i = 0; i < 10_000; i++) {
    const data = i % 3_000 === 2_999 ? "wait" : String(i);
    wanted.push(data);
    reader.read(one, data);
  }
  while (waits.length > 0) {
    waits.shift()!.resolve();
    await settle();
  }
  assertEquals(read, wanted);
});
