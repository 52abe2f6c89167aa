import { assert, assertEquals, assertThrows } from "@std/assert";
import { HTTP_FAULTS, type HttpFault, reply } from "@aio-trader/core/testing";
import { ServedVenue } from "../../examples/served_venue.ts";

const opened = (socket: WebSocket) => new Promise((resolve) => socket.onopen = resolve);
const ended = (socket: WebSocket) =>
  new Promise<CloseEvent>((resolve) => {
    socket.onerror = () => {};
    socket.onclose = resolve;
  });

Deno.test("ServedVenue listens once it is made, and plays the script", async () => {
  await using venue = new ServedVenue();
  venue.on("POST /orders/:id", ({ params, form }) => ({ ...params, at: form().get("at") }));
  venue.on("DELETE /orders", () => undefined);
  const body = new URLSearchParams({ at: "7" });
  const answer = await fetch(`${venue.httpUrl}/orders/3?x=y`, { method: "POST", body });
  assertEquals(await answer.json(), { id: "3", at: "7" });
  assertEquals((await fetch(`${venue.httpUrl}/orders`, { method: "DELETE" })).status, 204);
  const [{ query, headers }] = venue.requests;
  assertEquals([query.get("x"), headers.has("content-type")], ["y", true]);
  assertEquals(venue.stats, { requests: 2, throttled: 0, accepted: 0, refused: 0 });
});

Deno.test("ServedVenue plays faults that end with an answer, and answers the others with 501", async () => {
  await using venue = new ServedVenue();
  venue.on("POST /orders", { id: 1 });
  const post = async () => {
    const answer = await fetch(`${venue.httpUrl}/orders`, { method: "POST" });
    return [answer.status, await answer.text()] as const;
  };
  venue.fail("POST /orders", "status-after-executing", { status: 429, body: "so fast" });
  assertEquals(await post(), [429, "so fast"]);
  assertEquals([venue.executed.length, venue.stats.throttled], [1, 1]);
  const others = Object.entries(HTTP_FAULTS).filter(([, { ends }]) => ends !== "answer");
  for (const [fault, { ends }] of others) {
    venue.fail("POST /orders", fault as HttpFault, { delay: 0 });
    assertEquals(await post(), [501, `Cannot end an exchange: it is ${ends}, wanted an answer`]);
  }
  venue.fail("POST /orders", "unasked-answer");
  assertEquals((await post())[0], 501);
  assertEquals(await post(), [200, '{"id":1}']);
});

Deno.test("ServedVenue hands frames to the feed, and tells how a client went", async () => {
  await using venue = new ServedVenue();
  venue.feed.onOpen((client) => client.send(client.path));
  venue.feed.on((frame, client) => client.send(frame));
  const socket = new WebSocket(`${venue.wsUrl}/feed?a=b`);
  socket.binaryType = "arraybuffer";
  const heard: unknown[] = [];
  const all = new Promise<void>((resolve) => {
    socket.onmessage = ({ data }) => heard.push(data) === 3 && resolve();
  });
  await opened(socket);
  socket.send("text");
  socket.send(Uint8Array.of(1, 2));
  await all;
  assertEquals(heard, ["/feed?a=b", "text", Uint8Array.of(1, 2).buffer]);
  const [client] = venue.feed.clients;
  assertThrows(() => client.reset(), TypeError, "Cannot reset a connection");
  socket.close(4_001);
  await ended(socket);
  while (client.isOpen) await new Promise((resolve) => setTimeout(resolve, 1));
  assertEquals([client.closeCode, venue.feed.clients], [4_001, []]);
});

Deno.test("ServedVenue refuses upgrades as the script says", async () => {
  await using venue = new ServedVenue();
  venue.feed.onUpgrade(({ path }) => path === "/feed" ? undefined : reply(404));
  venue.feed.refuse();
  for (const path of ["feed", "away", "feed"]) {
    const socket = new WebSocket(`${venue.wsUrl}/${path}`);
    await Promise.race([opened(socket), ended(socket)]);
    socket.close();
  }
  assertEquals([venue.stats.accepted, venue.stats.refused], [1, 2]);
});

Deno.test("ServedVenue.close() ends what hangs and what is late, and may be called twice", async () => {
  const venue = new ServedVenue();
  venue.on("GET /time", { time: 1 }).fail("GET /time", "late-answer", { delay: 1e6 });
  venue.feed.hang();
  const socket = new WebSocket(venue.wsUrl);
  const answer = fetch(`${venue.httpUrl}/time`);
  while (venue.requests.length === 0 || venue.feed.upgrades === 0) {
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  const { readyState } = socket;
  const end = ended(socket);
  await venue.close();
  await venue.close();
  assertEquals([readyState, await (await answer).json()], [WebSocket.CONNECTING, { time: 1 }]);
  assert((await end).code !== 1000);
});
