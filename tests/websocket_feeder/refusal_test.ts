import { assert, assertEquals } from "@std/assert";
import { channel } from "node:diagnostics_channel";
import { describe, inWords, watchUpgrade } from "../../websocket_feeder/refusal.ts";

/** An error event that says this. */
function event(message?: string): Event {
  return Object.assign(new Event("error"), { message });
}

const told: [message: string | undefined, known: number | undefined, expected: unknown][] = [
  // Deno, Bun, the package ws
  ["Unexpected status code: 401", undefined, 401],
  ["failed to connect to WebSocket: invalid status code: 503 Unavailable", undefined, 503],
  ["Unexpected server response: 403", undefined, 403],
  // Node tells nothing, so it is known from elsewhere
  ["", 429, 429],
  [undefined, 404, 404],
  ["Connection refused", undefined, undefined],
];
for (const [message, known, status] of told) {
  Deno.test(`describe() reads the status ${status} from ${JSON.stringify(message)}`, () => {
    const ending = describe(event(message), known);
    assertEquals(ending.status, status as number | undefined);
    assertEquals("status" in ending, status !== undefined);
    if (status !== undefined) {
      assert(ending.reason, "a reason is never empty where a status is known");
    }
  });
}

Deno.test("describe() shows no address, and with it no token", () => {
  const message = "WebSocket connection to 'wss://venue/feed?token=secret' failed";
  assertEquals(describe(event(message)).reason, "WebSocket connection to '…' failed");
  assertEquals(describe(event("no WS://venue/?t=1 today")).reason, "no … today");
});

Deno.test("inWords() says something of every ending", () => {
  assert(inWords(1006, false).startsWith("no connection"));
  assert(inWords(1006, true).startsWith("lost"));
  assert(inWords(1005, true).includes("without a code"));
  assert(inWords(4_000, true).includes("without a reason"));
});

/** Tells what undici would of an answer to an upgrade. */
function answer(statusCode: number, request: Record<string, unknown> = {}): void {
  const headers = ["Sec-WebSocket-Version", "13", "Authorization", "t1"];
  channel("undici:request:headers").publish({
    request: { origin: "https://venue", path: "/feed?a=1", headers, ...request },
    response: { statusCode },
  });
}

Deno.test("watchUpgrade() learns the status of the upgrade that it watches", () => {
  const watch = watchUpgrade("wss://venue/feed?a=1", { authorization: "t1" });
  assertEquals(watch.status, undefined);
  answer(401);
  assertEquals(watch.status, 401);
  watch.stop();
  answer(503);
  assertEquals(watch.status, 401);
});

Deno.test("watchUpgrade() is not told by another address, by other headers or by a request that is none", () => {
  const watch = watchUpgrade("wss://venue/feed?a=1", { Authorization: "t1" });
  answer(401, { origin: "https://other" });
  answer(401, { path: "/feed" });
  answer(401, { headers: ["sec-websocket-version", "13", "authorization", "t2"] });
  answer(401, { headers: ["authorization", "t1"] });
  answer(401, { headers: undefined });
  assertEquals(watch.status, undefined);
  answer(200);
  assertEquals(watch.status, 200);
  watch.stop();
});

Deno.test("watchUpgrade() watches nothing where the address is none", () => {
  const watch = watchUpgrade("venue");
  answer(401);
  assertEquals(watch.status, undefined);
  watch.stop();
});
