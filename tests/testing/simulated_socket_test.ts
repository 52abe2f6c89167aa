import { assertEquals, assertThrows } from "@std/assert";
import {
  type SimulatedRuntime,
  SimulatedVenue,
  type SimulatedVenueOptions,
  VirtualTime,
} from "../../testing.ts";

/** Opens a socket, and writes down what it tells. */
function open(options: SimulatedVenueOptions = {}) {
  const time = new VirtualTime();
  const venue = new SimulatedVenue(options);
  const told: unknown[] = [];
  const dial = () => {
    const socket = venue.createSocket(venue.wsUrl);
    socket.onopen = () => told.push("open");
    socket.onmessage = ({ data }) => told.push(data);
    socket.onerror = () => told.push("error");
    socket.onclose = ({ code, wasClean }) => told.push(`close ${code} ${wasClean}`);
    return socket;
  };
  return { time, venue, told, dial, [Symbol.dispose]: () => time.restore() };
}

Deno.test("SimulatedSocket carries text and bytes both ways, in order", async () => {
  using stage = open();
  const { time, venue, told, dial } = stage;
  venue.feed.onOpen((client) => client.send("hello"));
  venue.feed.on((frame, client) => client.send(frame));
  const socket = dial();
  socket.binaryType = "arraybuffer";
  assertThrows(() => socket.send("early"), DOMException);
  await time.pass(100);
  for (const frame of ["a", "b", new Uint8Array([1, 2]), new Uint8Array([3]).buffer]) {
    socket.send(frame);
  }
  await time.pass(200);
  const bytes = told.splice(4) as ArrayBuffer[];
  assertEquals(told, ["open", "hello", "a", "b"]);
  assertEquals(bytes.map((data) => [...new Uint8Array(data)]), [[1, 2], [3]]);
});

Deno.test("SimulatedSocket.close() while it connects leaves no client at the venue", async () => {
  // The end may be told before or after the request for the upgrade has reached the venue.
  for (const seed of [1, 2, 3, 4, 5, 6, 7, 8]) {
    using stage = open({ seed });
    const { time, venue, told, dial } = stage;
    const socket = dial();
    socket.close();
    await time.pass(1_000);
    assertEquals([venue.feed.clients.length, socket.readyState], [0, 3], `seed ${seed}`);
    assertEquals(told.includes("open"), false);
  }
});

Deno.test("SimulatedSocket ends when the venue closes it as soon as it is open", async () => {
  using stage = open();
  const { time, venue, told, dial } = stage;
  venue.feed.onOpen((client) => client.close(4000));
  dial();
  await time.pass(1_000);
  assertEquals([told, venue.feed.clients.length], [["open", "close 4000 true"], 0]);
});

Deno.test("SimulatedSocket.close() shakes hands, unless the venue is deaf", async () => {
  using stage = open();
  const { time, venue, told, dial } = stage;
  const socket = dial();
  await time.pass(100);
  socket.close(1000);
  socket.close(1000);
  await time.pass(100);
  assertEquals([told, socket.readyState, venue.feed.all[0].closeCode], [
    ["open", "close 1000 true"],
    3,
    1000,
  ]);
  venue.feed.isDeaf = true;
  const other = dial();
  await time.pass(100);
  other.close();
  await time.pass(10_000);
  assertEquals(other.readyState, 2);
});

Deno.test("SimulatedSocket tells each end as its runtime does", async () => {
  const ends: Record<SimulatedRuntime, Record<string, string[]>> = {
    deno: {
      drop: ["open", "close 1012 true"],
      reset: ["open", "error", "close 0 false"],
      refuse: ["error", "close 0 false"],
    },
    node: {
      drop: ["open", "close 1012 true"],
      reset: ["open", "close 1006 false"],
      refuse: ["error"],
    },
    bun: {
      drop: ["open", "close 1012 true"],
      reset: ["open", "error", "close 1006 false"],
      refuse: ["error", "close 1006 false"],
    },
    browser: {
      drop: ["open", "close 1012 true"],
      reset: ["open", "close 1006 false"],
      refuse: ["error", "close 1006 false"],
    },
  };
  for (const [runtime, wanted] of Object.entries(ends)) {
    for (const how of ["drop", "reset", "refuse"] as const) {
      using stage = open({ runtime: runtime as SimulatedRuntime });
      if (how === "refuse") stage.venue.feed.refuse();
      stage.dial();
      await stage.time.pass(100);
      if (how !== "refuse") stage.venue.feed[how]();
      await stage.time.pass(100);
      assertEquals(stage.told, wanted[how], `${runtime} ${how}`);
    }
  }
});

Deno.test("SimulatedSocket hears nothing of an upgrade that hangs, until it is closed", async () => {
  using stage = open();
  stage.venue.feed.hang();
  const socket = stage.dial();
  await stage.time.pass(60_000);
  assertEquals([stage.told, socket.readyState], [[], 0]);
  socket.close();
  await stage.time.pass(100);
  assertEquals(stage.told, ["error", "close 0 false"]);
});
