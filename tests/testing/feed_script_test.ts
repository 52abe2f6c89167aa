import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import { FeedScript, reply, type VenueFrame } from "../../testing.ts";

/** A feed with one client, and what is written to it. */
function script() {
  const feed = new FeedScript();
  const written: VenueFrame[] = [];
  const ends: string[] = [];
  const client = feed.add("/ws?key=1", new Headers({ "x-key": "1" }), {
    write: (frame) => written.push(frame),
    close: (code, reason) => ends.push(`close ${code} ${reason}`),
    reset: () => ends.push("reset"),
    finish: () => ends.push("finish"),
  });
  return { feed, written, ends, client };
}

Deno.test("FeedScript.fail() loses, repeats and swaps the frames that match, when it is due", () => {
  const { feed, written } = script();
  feed.fail("a", "lose");
  feed.fail(/^b/, "repeat", { nth: 2 });
  feed.fail((frame) => frame === "c1", "swap");
  for (const frame of ["a1", "a2", "b1", "b2", "b3", "c1", "c2"]) feed.send(frame);
  assertEquals(written, ["a2", "b1", "b2", "b2", "b3", "c2", "c1"]);
  feed.fail("a", "lose", { times: Infinity });
  feed.heal();
  feed.send({ a: 1 });
  assertEquals(written.at(-1), '{"a":1}');
});

Deno.test("FeedScript.fail() loses no frame that waits when the next one is to be swapped too", () => {
  const { feed, written } = script();
  feed.fail("c", "swap", { times: 2 });
  for (const frame of ["c1", "c2", "d", "e"]) feed.send(frame);
  assertEquals(written, ["d", "c2", "c1", "e"]);
});

Deno.test("FeedScript.fail() strikes requests of clients alone with lose-request", () => {
  const { feed, written, client } = script();
  feed.on((frame, from) => from.send(`got ${frame}`));
  feed.fail("x", "lose-request");
  for (const frame of ["x", "x", "y"]) feed.hear(frame, client);
  assertEquals([client.frames, written], [["x", "y"], ["got x", "got y"]]);
  assertEquals(feed.frames.map(({ frame }) => frame), ["x", "y"]);
});

Deno.test("FeedScript.publish() reaches who holds a subscription, unless it is mute", () => {
  const { feed, written, client } = script();
  client.held.add("A");
  feed.publish("A", "1");
  feed.publish("B", "no");
  feed.mute("A");
  feed.publish("A", "mute");
  feed.unmute("A");
  feed.publish("A", "2");
  client.isSilent = true;
  feed.publish("A", "silent");
  assertEquals(written, ["1", "2"]);
});

Deno.test("FeedScript ends every connection in the way that it is told, and no closed one", () => {
  const { feed, ends, client } = script();
  feed.drop();
  feed.drop(4000, "why");
  feed.reset();
  feed.vanish();
  client.isOpen = false;
  feed.drop();
  feed.reset();
  assertEquals(ends, ["close 1012 ", "close 4000 why", "reset", "finish"]);
  assertEquals([feed.clients.length, feed.all.length], [0, 1]);
});

Deno.test("FeedScript.last is the client that was accepted last", () => {
  const { feed, client } = script();
  assertEquals(feed.last, client);
  client.isOpen = false;
  assertEquals(feed.last, client);
  assertThrows(() => new FeedScript().last, Error, "none was accepted");
});

Deno.test("FeedClient.raw() writes bytes past the faults, and throws where there are none", async () => {
  const { feed, client, written } = script();
  await assertRejects(() => client.raw(Uint8Array.of(1)), Error, "the connection has none");
  const bytes: Uint8Array[] = [];
  const wire = { write() {}, close() {}, reset() {}, finish() {} };
  const raw = (sent: Uint8Array) => Promise.resolve(void bytes.push(sent));
  const other = feed.add("/", new Headers(), { ...wire, raw });
  feed.fail(() => true, "lose", { times: Infinity });
  await other.raw(Uint8Array.of(1));
  other.isOpen = false;
  await other.raw(Uint8Array.of(2));
  assertEquals([bytes, written], [[Uint8Array.of(1)], []]);
});

Deno.test("FeedScript.refuse() and hang() count upgrades, and come before onUpgrade()", async () => {
  const { feed } = script();
  feed.refuse({ status: 429, headers: { "retry-after": "1" }, times: 2 });
  feed.hang();
  feed.onUpgrade(({ path }) => path === "/" ? undefined : reply(401));
  const dialled = ["/", "/", "/", "/", "/x"].map((path) =>
    feed.admit({ path, headers: new Headers() })
  );
  const verdicts = (await Promise.all(dialled)).map(({ verdict }) => verdict);
  assertEquals(verdicts, ["refuse", "refuse", "hang", "accept", "refuse"]);
  assertEquals(feed.upgrades, 5);
});
