/**
 * The events of each runtime's own WebSocket where the standard leaves room, and a feed must bear all
 * of them. `docs/runtimes.md` lists these facts. A check that fails here says that a runtime has changed.
 *
 * @module
 */

import assert from "node:assert/strict";
import process from "node:process";
import { type FeedClient, type FeedScript, LoopbackVenue } from "../../testing.ts";
import { check, run, runtime } from "./harness.ts";

/** How long nothing may happen before nothing more is expected, in milliseconds. */
const QUIET = 400;

/** The events of a socket in order. `>` and `<` stand around a call of `close()`. */
async function tell(
  url: string,
  expected: readonly string[],
  act?: (socket: WebSocket, told: string[]) => void,
): Promise<string[]> {
  const told: string[] = [];
  const socket = new WebSocket(url);
  socket.onopen = () => told.push("open");
  socket.onerror = () => told.push("error");
  socket.onclose = ({ code }) => told.push(`close ${code}`);
  socket.onmessage = ({ data }) => told.push(`message ${data}`);
  act?.(socket, told);
  const late = performance.now() + 5_000;
  while (told.length < expected.length && performance.now() < late) await pause(10);
  await pause(QUIET);
  return [...told];
}

function pause(duration: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, duration));
}

const node = process.versions.node.split(".")[0];
const here = runtime === "node" ? `node${node}` as "node22" | "node24" : runtime;
type Told = Record<"deno" | "node22" | "node24" | "bun", string[]>;

function checkTold(
  name: string,
  expected: Told,
  prepare: ((feed: FeedScript) => void) | "closed",
  act?: (socket: WebSocket, told: string[]) => void,
): void {
  check(`a socket ${name}`, async () => {
    const venue = await LoopbackVenue.listen();
    if (prepare === "closed") await venue.close();
    else prepare(venue.feed);
    const told = await tell(venue.wsUrl, expected[here], act);
    if (prepare !== "closed") await venue.close();
    assert.deepEqual(told, expected[here]);
    assert.deepEqual(venue.errors, []);
  });
}

/** The same on every runtime. */
function same(...told: string[]): Told {
  return { deno: told, node22: told, node24: told, bun: told };
}

// Node 22 says `error` and nothing more, ever.
const FAILED: Told = {
  deno: ["error", "close 0"],
  node22: ["error"],
  node24: ["error", "close 1006"],
  bun: ["error", "close 1006"],
};
checkTold("that is refused", FAILED, "closed");
checkTold(
  "whose upgrade is answered 401",
  FAILED,
  (feed) => feed.refuse({ status: 401, times: Infinity }),
);

/** Does something with a client some time after it has come. */
function later(act: (client: FeedClient) => void): (feed: FeedScript) => void {
  return (feed) => feed.onOpen((client) => void setTimeout(() => act(client), 50));
}

const LOST: Told = {
  deno: ["open", "error", "close 0"],
  node22: ["open", "close 1006"],
  node24: ["open", "error", "close 1006"],
  bun: ["open", "close 1006"],
};
checkTold("whose venue resets", LOST, later((client) => client.reset()));
checkTold("whose venue ends without a close frame", LOST, later((client) => client.finish()));
checkTold(
  "that the venue closes with 4401",
  same("open", "close 4401"),
  later((client) => client.close(4401, "why")),
);
checkTold(
  "that the venue closes without a code",
  same("open", "close 1005"),
  later((client) => client.close()),
);

checkTold(
  "that is closed while it connects",
  {
    deno: [">", "<", "error", "close 0"],
    node22: [">", "error", "<", "error"],
    node24: [">", "error", "close 1006", "<"], // within the call
    bun: [">", "<", "error", "close 1006"],
  },
  (feed) => feed.hang(Infinity),
  (socket, told) => {
    setTimeout(() => {
      told.push(">");
      socket.close();
      told.push("<");
    }, 50);
  },
);

// For as long as this check listens; only Bun gives up, after half a minute.
checkTold(
  "whose venue answers no close frame",
  same("open"),
  (feed) => void (feed.isDeaf = true),
  (socket) => {
    socket.addEventListener("open", () => socket.close(1000));
  },
);

checkTold(
  "that is closed with 1008",
  { ...same("open", "InvalidAccessError", "close 1005"), bun: ["open", "close 1008"] },
  () => {},
  (socket, told) => {
    socket.addEventListener("open", () => {
      try {
        socket.close(1008);
      } catch (error) {
        told.push((error as Error).name);
        socket.close();
      }
    });
  },
);

checkTold(
  "that gets a frame in the segment of the upgrade: code that awaits onopen may come too late",
  {
    ...same("open", "awaited", "message first"),
    deno: ["open", "message first", "awaited"],
  },
  (feed) => feed.onOpen((client) => client.send("first")),
  async (socket, told) => {
    await new Promise((resolve) => socket.addEventListener("open", resolve));
    for (let i = 0; i < 10; i++) await undefined; // as async functions around it do
    told.push("awaited");
  },
);

checkTold("that sends once it is closed: lost", same("open", "sent", "close 1005"), (feed) => {
  feed.on(() => assert.fail("the frame has arrived"));
}, (socket, told) => {
  socket.addEventListener("open", () => {
    socket.close();
    socket.send("lost");
    told.push("sent");
  });
});

checkTold(
  "that sends before it is open",
  same("InvalidStateError", "open", "close 1005"),
  () => {},
  (socket, told) => {
    try {
      socket.send("early");
    } catch (error) {
      told.push((error as Error).name);
    }
    socket.addEventListener("open", () => socket.close());
  },
);

check("Node 24 asks twice for an upgrade that is answered 401", async () => {
  const venue = await LoopbackVenue.listen();
  venue.feed.refuse({ status: 401, times: Infinity });
  await tell(venue.wsUrl, FAILED[here]);
  assert.equal(venue.feed.upgrades, here === "node24" ? 2 : 1);
  await venue.close();
});

await run();
