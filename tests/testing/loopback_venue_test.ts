import { assert, assertEquals, assertRejects } from "@std/assert";
import { Buffer } from "node:buffer";
import { connect } from "node:net";
import { BrokerError, Session } from "../../session.ts";
import { LoopbackVenue } from "../../testing.ts";

/** Sends bytes to a venue, and returns all that comes back until it ends the connection. */
function talk(port: number, text: string): Promise<string> {
  return new Promise((resolve, reject) => {
    let said = "";
    const socket = connect(port, "127.0.0.1", () => socket.write(text));
    socket.on("data", (chunk: Uint8Array) => said += Buffer.from(chunk).toString("latin1"));
    socket.on("close", () => resolve(said));
    socket.on("error", reject);
  });
}

/** What a client sends to open a feed. */
const UPGRADE = "GET /ws HTTP/1.1\r\nupgrade: websocket\r\nsec-websocket-key: eA==\r\n\r\n";

Deno.test("LoopbackVenue answers pipelined requests in their order", async () => {
  await using venue = await LoopbackVenue.listen();
  venue.on("GET /slow", () => new Promise((resolve) => setTimeout(() => resolve("slow"), 20)));
  venue.on("GET /fast", () => "fast");
  venue.fail("GET /end", "finish-before-executing");
  const said = await talk(
    venue.port,
    "GET /slow HTTP/1.1\r\n\r\nGET /fast HTTP/1.1\r\n\r\nGET /end HTTP/1.1\r\n\r\n",
  );
  assertEquals(said.match(/slow|fast/g), ["slow", "fast"]);
});

Deno.test("LoopbackVenue sends what greets a client in the segment of the 101", async () => {
  await using venue = await LoopbackVenue.listen();
  venue.feed.onOpen((client) => client.send("hello"));
  const segment = await new Promise<string>((resolve) => {
    const socket = connect(venue.port, "127.0.0.1", () => {
      socket.write(UPGRADE);
      socket.once("data", (chunk: Uint8Array) => {
        resolve(Buffer.from(chunk).toString("latin1"));
        socket.destroy();
      });
    });
  });
  assertEquals(segment.startsWith("HTTP/1.1 101 ") && segment.endsWith("hello"), true);
});

Deno.test("LoopbackVenue hears a frame that comes in the segment of its upgrade, or before that is accepted", async () => {
  await using venue = await LoopbackVenue.listen();
  const gate = Promise.withResolvers<void>();
  venue.feed.onUpgrade(() => gate.promise);
  const frame = "\x81\x82\0\0\0\0hi"; // masked with zeros
  const socket = connect(venue.port, "127.0.0.1");
  const write = (text: string) => socket.write(Buffer.from(text, "latin1"));
  write(UPGRADE + frame + frame.slice(0, 3));
  await venue.until(() => venue.feed.upgrades === 1);
  write(frame.slice(3));
  await new Promise((resolve) => setTimeout(resolve, 20)); // it has come, and must wait
  gate.resolve();
  await venue.until(() => venue.feed.frames.length === 2);
  assertEquals(venue.feed.last.frames, ["hi", "hi"]);
  socket.destroy();
});

Deno.test("LoopbackVenue accepts an upgrade whose connection onOpen() ends", async () => {
  await using venue = await LoopbackVenue.listen();
  venue.feed.onOpen((client) => {
    client.send("bye");
    client.finish();
  });
  const said = await talk(venue.port, UPGRADE);
  assertEquals(said.startsWith("HTTP/1.1 101 ") && said.endsWith("bye"), true);
});

Deno.test("LoopbackVenue keeps no client that is gone before its upgrade is accepted", async () => {
  await using venue = await LoopbackVenue.listen();
  const gate = Promise.withResolvers<void>();
  venue.feed.onUpgrade(() => gate.promise);
  const socket = connect(venue.port, "127.0.0.1", () => socket.write(UPGRADE));
  await venue.until(() => venue.feed.upgrades === 1);
  socket.resetAndDestroy();
  await venue.until(() => venue.alive === 0);
  gate.resolve();
  await new Promise((resolve) => setTimeout(resolve, 20));
  assertEquals(venue.feed.all, []);
});

Deno.test("LoopbackVenue counts the connections that are open, and the most at a time", async () => {
  await using venue = await LoopbackVenue.listen();
  const sockets = [1, 2].map(() => connect(venue.port, "127.0.0.1"));
  await venue.until(() => venue.alive === 2);
  for (const socket of sockets) socket.destroy();
  await venue.until(() => venue.alive === 0);
  const socket = connect(venue.port, "127.0.0.1");
  await venue.until(() => venue.alive === 1);
  socket.destroy();
  assertEquals([venue.mostAlive, venue.connections], [2, 3]);
});

Deno.test("LoopbackVenue.until() rejects when its time is over, and says what did not hold", async () => {
  await using venue = await LoopbackVenue.listen();
  await assertRejects(
    () => venue.until(() => venue.alive > 0, 10),
    Error,
    "not so within 10 ms: ",
  );
});

Deno.test("FeedClient.raw() waits for a client that reads slowly", async () => {
  await using venue = await LoopbackVenue.listen();
  let written = 0;
  venue.feed.onOpen(async (client) => {
    for (; written < 100; written++) await client.raw(new Uint8Array(1_000_000));
  });
  const socket = connect(venue.port, "127.0.0.1", () => socket.write(UPGRADE));
  socket.pause();
  await venue.until(() => written > 0);
  await new Promise((resolve) => setTimeout(resolve, 50));
  assert(written < 100, "all of it is under way");
  socket.resume();
  await venue.until(() => written === 100);
  socket.destroy();
});

Deno.test("LoopbackVenue.down() refuses connections, and up() accepts them on the same port", async () => {
  await using venue = await LoopbackVenue.listen();
  venue.on("GET /x", { x: 1 });
  await using session = new Session({ baseUrl: venue.httpUrl, retry: false });
  assertEquals(await session.get("x"), { x: 1 });
  await venue.down();
  const error = await assertRejects(() => session.post("x", { json: {} }), BrokerError);
  assertEquals(error.outcome, "not-sent");
  await venue.up();
  assertEquals(await session.get("x"), { x: 1 });
});

Deno.test("LoopbackVenue answers pings, and the closing handshake unless it is deaf", async () => {
  await using venue = await LoopbackVenue.listen();
  const open = async () => {
    const socket = new WebSocket(venue.wsUrl);
    await new Promise((resolve) => socket.onopen = resolve);
    return socket;
  };
  const socket = await open();
  const code = new Promise<number>((resolve) => socket.onclose = ({ code }) => resolve(code));
  socket.close(4001);
  assertEquals([await code, venue.feed.all[0].closeCode], [4001, 4001]);
  venue.feed.isDeaf = true;
  const other = await open();
  other.close();
  await new Promise((resolve) => setTimeout(resolve, 50));
  assertEquals([other.readyState, venue.feed.all[1].isOpen], [2, true]);
  const closed = new Promise((resolve) => other.onclose = resolve);
  venue.feed.reset();
  await closed;
});

Deno.test("LoopbackVenue answers HEAD with the length of a body, and without the body", async () => {
  await using venue = await LoopbackVenue.listen();
  venue.on("HEAD /x", { x: 1 }).on("GET /x", { x: 1 });
  const head = await fetch(`${venue.httpUrl}x`, { method: "HEAD" });
  assertEquals([head.headers.get("content-length"), await head.text()], ["7", ""]);
  // A body would stand before the answer to the next request of the connection.
  assertEquals(await (await fetch(`${venue.httpUrl}x`)).json(), { x: 1 });
  assertEquals(venue.requests.map(({ turn }) => turn), [1, 2]);
});
