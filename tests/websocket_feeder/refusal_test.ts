import { assert, assertEquals } from "@std/assert";
import { describe, inWords, watchUpgrade } from "../../websocket_feeder/refusal.ts";

const error = (message?: string) => ({ message }) as unknown as Event;

Deno.test("describe() reads the status in the words of each runtime, and of the package ws", () => {
  const messages: [string, number | undefined][] = [
    ["NetworkError: failed to connect to WebSocket: Invalid status code: 401", 401],
    ["WebSocket connection to 'wss://venue/' failed: Expected 101 status code: 403", 403],
    ["Unexpected server response: 401", 401],
    ["Unexpected server response: 503", 503],
    ["Unexpected server response: 429", 429],
    ["Unexpected server response: 404", 404],
    ["Received network error or non-101 status code.", undefined],
    ["code 1006 after 401 ms", undefined],
    ["", undefined],
  ];
  for (const [message, status] of messages) {
    assertEquals(describe(error(message)).status, status, message);
  }
});

Deno.test("describe() uses the status that is known from elsewhere, and says it", () => {
  assertEquals(describe(error(), { status: 401 }), {
    reason: "the upgrade was refused with the status 401",
    status: 401,
  });
  assertEquals(describe(error("Unexpected server response: 403"), { status: 401 }).status, 403);
  assertEquals(describe(error("no"), undefined), { reason: "no" });
  const vague = "Received network error or non-101 status code.";
  assertEquals(describe(error(vague)), { reason: "" }); // inWords() has more to say
  assertEquals(
    describe(error(vague), { status: 403 }).reason,
    "the upgrade was refused with the status 403",
  );
});

Deno.test("describe() keeps the address out", () => {
  for (const url of ["wss://venue/?token=secret", "WS://venue:1/secret"]) {
    assert(!describe(error(`failed: '${url}' refused`)).reason!.includes("secret"));
  }
});

Deno.test("inWords() words every ending", () => {
  for (const code of [1000, 1001, 1005, 1006, 4401]) {
    for (const opened of [true, false]) assert(inWords(code, opened).length > 10);
  }
  assert(inWords(1006, false).includes("401"));
  assert(!inWords(1006, true).includes("401"));
});

/** Plays the diagnostics channel of Node, which Deno does not have. */
function fakeChannel(
  test: (publish: (message: unknown) => void, size: () => number) => void,
): void {
  const listeners = new Set<(message: unknown) => void>();
  const { process } = globalThis as { process?: unknown };
  const getBuiltinModule = (name: string) => {
    assertEquals(name, "node:diagnostics_channel");
    return {
      subscribe: (name: string, listener: (message: unknown) => void) => {
        assertEquals(name, "undici:request:headers");
        listeners.add(listener);
      },
      unsubscribe: (_: string, listener: (message: unknown) => void) => listeners.delete(listener),
    };
  };
  Object.assign(globalThis, { process: { getBuiltinModule } });
  try {
    test((message) => listeners.forEach((listener) => listener(message)), () => listeners.size);
  } finally {
    Object.assign(globalThis, { process });
  }
}

Deno.test("watchUpgrade() counts only the answer to this address and these headers", () => {
  const headers = ["X-Key", "7", "sec-websocket-version", "13"];
  const request = { origin: "https://venue:8443", path: "/a?b=c", headers };
  const answer = (change: object, statusCode = 401) => ({
    request: { ...request, ...change },
    response: { statusCode },
  });
  fakeChannel((publish, size) => {
    const watch = watchUpgrade("wss://venue:8443/a?b=c", { "x-key": "7" });
    publish(answer({ path: "/a" }));
    publish(answer({ origin: "https://other" }));
    publish(answer({ headers: ["X-Key", "8", "sec-websocket-version", "13"] }));
    publish(answer({ headers: ["X-Key", "7"] }));
    publish(answer({ headers: undefined }));
    assertEquals(watch.refusal, undefined);
    publish(answer({}, 403));
    assertEquals(watch.refusal, { status: 403 });
    const wait = ["Date", "Retry-After", "Retry-After", "7"].map((text) =>
      new TextEncoder().encode(text)
    );
    publish({ request, response: { statusCode: 429, headers: wait } });
    assertEquals(watch.refusal, { status: 429, retryAfter: 7_000 });
    watch.stop();
    assertEquals(size(), 0);
    const broken = watchUpgrade("no url");
    assertEquals([broken.refusal, size()], [undefined, 0]);
    broken.stop();
  });
});

Deno.test("watchUpgrade() sees nothing on a runtime without the channel, or without a process", () => {
  const { process } = globalThis as { process?: unknown };
  const throwing = {
    getBuiltinModule: () => {
      throw new Error("denied");
    },
  };
  try {
    for (const other of [undefined, {}, { getBuiltinModule: () => undefined }, throwing]) {
      Object.assign(globalThis, { process: other });
      const watch = watchUpgrade("wss://venue/");
      assertEquals(watch.refusal, undefined);
      watch.stop();
    }
  } finally {
    Object.assign(globalThis, { process });
  }
});
