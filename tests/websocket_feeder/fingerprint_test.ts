import { assert, assertEquals, assertFalse } from "@std/assert";
import { fingerprint, isSame } from "../../websocket_feeder/fingerprint.ts";
import { connected, over, settle, TestFeed } from "./fake_feed.ts";

Deno.test("fingerprint() does not depend on the order of properties, at any depth", () => {
  const pairs: [unknown, unknown][] = [
    [{ channel: "book", symbol: "A" }, { symbol: "A", channel: "book" }],
    [{ a: { x: 1, y: [{ p: 1, q: 2 }] }, b: 2 }, { b: 2, a: { y: [{ q: 2, p: 1 }], x: 1 } }],
    [[{ a: 1, b: 2 }], [{ b: 2, a: 1 }]],
    [{ id: 2n ** 60n, at: new Date(0) }, { at: new Date(0), id: 2n ** 60n }],
    [{ a: 1, b: undefined }, { a: 1 }],
    [{ 2: "b", 10: "c", a: "d" }, { a: "d", 10: "c", 2: "b" }],
  ];
  for (const [a, b] of pairs) assertEquals(fingerprint(a), fingerprint(b));
});

Deno.test("fingerprint() tells different contents apart", () => {
  const values = [{ a: 1 }, { a: "1" }, { a: 1n }, { b: 1 }, [1, 2], [2, 1], { a: { b: 1 } }, null];
  assertEquals(new Set(values.map(fingerprint)).size, values.length);
});

Deno.test("isSame() compares objects by content, everything else by value", () => {
  assert(isSame({ a: 1, b: 2 }, { b: 2, a: 1 }));
  assert(isSame("a", "a"));
  assertFalse(isSame("a", "b"));
  assertFalse(isSame({ a: 1 }, { a: 2 }));
});

Deno.test("WebSocketFeeder.key() two spellings of one subscription are one", async () => {
  const feed = await connected(new TestFeed<Record<string, unknown>>());
  feed.subscribe({ channel: "book", symbol: "A" }, { symbol: "A", channel: "book" });
  feed.subscribe({ symbol: "A", channel: "book" });
  await settle();
  assertEquals([feed.subscriptions.size, feed.socket.sent.length], [1, 1]);
  feed.unsubscribe({ symbol: "A", channel: "book" });
  assertEquals(feed.subscriptions.size, 0);
  await over(feed);
});
