import { assertEquals, assertFalse } from "@std/assert";
import { FakeTime } from "@std/testing/time";
import { Connection } from "../../websocket_feeder/connection.ts";
import type { Asking } from "../../websocket_feeder/subscriptions.ts";
import { Wanted } from "../../websocket_feeder/wanted.ts";
import { settle } from "./fake_feed.ts";

/** The subscriptions of a feed whose venue confirms, and the requests that each connection wrote. */
function scene() {
  const requests: string[] = [];
  const done: number[] = [];
  const asking: Asking<string> = {
    patience: Infinity,
    batch: Infinity,
    confirmTimeout: 1_000,
    write: ({ op, subs }, { attempt }) => {
      requests.push(`${attempt} ${op} ${subs}`);
      return [];
    },
    done: ({ attempt }) => done.push(attempt),
    unconfirmed: () => {},
  };
  const wanted = new Wanted<string>(asking, { maxWait: 30_000, resetRetryAfter: 30_000 });
  const connect = (attempt: number) => {
    const connection = new Connection({ attempt, report: () => {} });
    void wanted.begin(connection).flush();
    return connection;
  };
  const add = (...keys: string[]) => wanted.add(new Map(keys.map((key) => [key, key])));
  return { wanted, requests, done, connect, add };
}

Deno.test("Wanted.add() and remove() reach every connection, as long as that is not left", async () => {
  using _time = new FakeTime();
  const { wanted, requests, connect, add } = scene();
  add("a");
  const [first, second] = [connect(1), connect(2)];
  await settle();
  add("b");
  await settle();
  wanted.leave(first);
  assertEquals([wanted.remove("a"), wanted.remove("z")], [true, false]);
  await settle();
  assertEquals(requests, [
    "1 subscribe a",
    "2 subscribe a",
    "1 subscribe b",
    "2 subscribe b",
    "2 unsubscribe a",
  ]);
  assertEquals(wanted.sizeWith(new Map([["b", "b"], ["c", "c"]])), 2);
  for (const connection of [first, second]) connection.end({});
  wanted.close();
});

Deno.test("Wanted.isWhole() once all is asked for and confirmed over that connection, and nothing is held back", async () => {
  using time = new FakeTime();
  const { wanted, done, connect, add } = scene();
  add("a", "b");
  const [first, second] = [connect(1), connect(2)];
  assertFalse(wanted.isWhole(first));
  await settle();
  for (const key of ["a", "b"]) wanted.confirm(key, first);
  assertEquals([wanted.isWhole(first), wanted.isWhole(second), done], [true, false, [1]]);
  wanted.postpone("a", 5_000);
  assertFalse(wanted.isWhole(first));
  await time.tickAsync(5_000);
  await settle();
  assertFalse(wanted.isWhole(first));
  wanted.confirm("a", first);
  assertEquals(wanted.isWhole(first), true);
  wanted.leave(first);
  assertFalse(wanted.isWhole(first));
  for (const connection of [first, second]) connection.end({});
  wanted.close();
  assertFalse(time.next());
});

Deno.test("Wanted.repair() without a connection does nothing, and counts nothing", async () => {
  using time = new FakeTime();
  const { wanted, requests, connect, add } = scene();
  add("a");
  for (let i = 0; i < 5; i++) wanted.repair("a");
  assertFalse(time.next());
  const connection = connect(1);
  await settle();
  wanted.repair("a");
  wanted.repair("unknown");
  await settle();
  assertEquals(requests, ["1 subscribe a", "1 unsubscribe a", "1 subscribe a"]);
  connection.end({});
  wanted.close();
});

Deno.test("Wanted.refuse() drops a subscription from every connection; postpone() of an unknown one does nothing", async () => {
  using time = new FakeTime();
  const { wanted, requests, connect, add } = scene();
  add("a", "b");
  const connection = connect(1);
  await settle();
  assertEquals([wanted.refuse("a"), wanted.refuse("a"), wanted.postpone("a", 100)], [
    true,
    false,
    undefined,
  ]);
  await settle();
  assertEquals([[...wanted.all.keys()], requests], [["b"], ["1 subscribe a,b"]]);
  wanted.confirm("b", connection);
  assertEquals(wanted.isWhole(connection), true);
  connection.end({});
  wanted.close();
  assertFalse(time.next());
});
