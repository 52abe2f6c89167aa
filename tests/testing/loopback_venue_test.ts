import { assertEquals, assertRejects } from "@std/assert";
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
      socket.write("GET /ws HTTP/1.1\r\nupgrade: websocket\r\nsec-websocket-key: eA==\r\n\r\n");
      socket.once("data", (chunk: Uint8Array) => {
        resolve(Buffer.from(chunk).toString("latin1"));
        socket.destroy();
      });
    });
  });
  assertEquals(segment.startsWith("HTTP/1.1 101 ") && segment.endsWith("hello"), true);
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
