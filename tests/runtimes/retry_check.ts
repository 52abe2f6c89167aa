/** retry.ts against real faults: the shape of an error is not the same on any two runtimes. */

import assert from "node:assert/strict";
import { createServer } from "node:net";
import { createServer as createTlsServer } from "node:tls";
import { isNetworkError, retry } from "../../retry.ts";
import { selfSigned } from "./certificate.ts";
import { LoopbackVenue, reply, type Step } from "../../testing.ts";
import { check, run } from "./harness.ts";

/** Returns what `fn` rejected with; a call that goes well is a failure. */
async function errorOf(fn: () => Promise<unknown>): Promise<unknown> {
  let value: unknown;
  try {
    value = await fn();
  } catch (error) {
    return error;
  }
  assert.fail(`Expected an error, got ${JSON.stringify(value)}`);
}

/** Runs `fn` with the URL of a venue whose requests end in these ways, one by one. */
async function serving<T>(
  steps: Step[],
  fn: (url: string, venue: LoopbackVenue) => Promise<T>,
): Promise<T> {
  const venue = await LoopbackVenue.listen();
  venue.on("*", { half: "of this" }).will("*", ...steps);
  try {
    return await fn(venue.httpUrl, venue);
  } finally {
    await venue.close();
  }
}

/** The URL of a venue that listens no more: connections are refused. */
async function closedUrl(): Promise<string> {
  const venue = await LoopbackVenue.listen();
  await venue.close();
  return venue.httpUrl;
}

async function read(url: string, init?: RequestInit): Promise<string> {
  return await (await fetch(url, init)).text();
}

/**
 * A server on a bare socket, for faults below HTTP. Resolves to the error that an https request to
 * it gives.
 */
async function tlsError(onData: (socket: import("node:net").Socket) => void): Promise<unknown> {
  const server = createServer((socket) => {
    socket.on("error", () => {});
    socket.once("data", () => onData(socket));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as { port: number };
  try {
    return await errorOf(() => read(`https://127.0.0.1:${port}/`));
  } finally {
    server.close();
  }
}

const network: Record<string, () => Promise<unknown>> = {
  "a refused connection": async () => read(await closedUrl()),
  "a name that does not resolve": () => read("http://nowhere.invalid/"),
  "a reset instead of an answer": () => serving(["reset-before-executing"], (url) => read(url)),
  "a close instead of an answer": () => serving(["finish-before-executing"], (url) => read(url)),
  "a close in the middle of the headers": () => serving(["half-head"], (url) => read(url)),
  "a body cut short of its length": () => serving(["cut-body"], (url) => read(url)),
  "a chunked body cut short": () => serving(["cut-chunks"], (url) => read(url)),
  "a body cut by a reset": () => serving(["reset-body"], (url) => read(url)),
  "a reset on a reused connection": () =>
    serving([reply(200), "reset-before-executing"], async (url) => {
      await read(url);
      return read(url, { method: "POST", body: new Blob(["order"]) }); // a Blob is not repeated by any runtime
    }),
  "a timeout before the headers": () =>
    serving(["hang-before-executing"], (url) => read(url, { signal: AbortSignal.timeout(50) })),
  "a timeout in the body": () =>
    serving(["stall-body"], (url) => read(url, { signal: AbortSignal.timeout(200) })),
};

const other: Record<string, () => Promise<unknown>> = {
  "an abort before the headers": () => {
    const controller = new AbortController();
    setTimeout(() => controller.abort(), 50);
    return serving(["hang-before-executing"], (url) => read(url, { signal: controller.signal }));
  },
  "an abort in the body": () => {
    const controller = new AbortController();
    setTimeout(() => controller.abort(), 200);
    return serving(["stall-body"], (url) => read(url, { signal: controller.signal }));
  },
  "an abort with a reason of its own": () => {
    const controller = new AbortController();
    setTimeout(() => controller.abort(new Error("closing time")), 50);
    return serving(["hang-before-executing"], (url) => read(url, { signal: controller.signal }));
  },
  "an abort before the call": () => read("http://127.0.0.1/", { signal: AbortSignal.abort() }),
  "a URL without a host": () => read("http://"),
  "a relative URL": () => read("/orders"),
  "a scheme that is not HTTP": () => read("gopher://127.0.0.1/"),
  "a header with a newline": () => read("http://127.0.0.1/", { headers: { "x-key": "a\nb" } }),
  "a GET with a body": () => read("http://127.0.0.1/", { body: "order" }),
  "an answer that is no JSON": () =>
    serving([reply(200, "{")], async (url) => await (await fetch(url)).json()),
  "a body that is no gzip": () =>
    serving(
      [reply(200, "plain", { "content-encoding": "gzip" })],
      (url) => read(url),
    ),
  "a refused redirect": () =>
    serving(
      [reply(302, "", { location: "/" })],
      (url) => read(url, { redirect: "error" }),
    ),
};

for (const [name, fn] of Object.entries(network)) {
  check(`isNetworkError() says yes to ${name}`, async () => {
    const error = await errorOf(fn);
    assert.equal(isNetworkError(error), true, `It was ${error}`);
  });
}

for (const [name, fn] of Object.entries(other)) {
  check(`isNetworkError() says no to ${name}`, async () => {
    const error = await errorOf(fn);
    assert.equal(isNetworkError(error), false, `It was ${error}`);
  });
}

check("isNetworkError() says yes to a close and a reset in the TLS handshake", async () => {
  assert.equal(isNetworkError(await tlsError((socket) => socket.end())), true);
  assert.equal(isNetworkError(await tlsError((socket) => socket.resetAndDestroy())), true);
});

check("isNetworkError() says no to a server that does not speak TLS", async () => {
  const error = await tlsError((socket) => socket.end("HTTP/1.1 400 Bad Request\r\n\r\n"));
  assert.equal(isNetworkError(error), false, `It was ${error}`);
});

check("isNetworkError() says no to a certificate that is not trusted", async () => {
  const server = createTlsServer(selfSigned(), (socket) => socket.on("error", () => {}).end());
  server.on("tlsClientError", () => {});
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", () => resolve()));
  const { port } = server.address() as { port: number };
  const error = await errorOf(() => read(`https://127.0.0.1:${port}/`));
  server.close();
  assert.equal(isNetworkError(error), false, `It was ${error}`);
});

check("retry() reaches a server that failed three times in different ways", async () => {
  await serving(
    ["reset-before-executing", "finish-before-executing", "cut-body", reply(200, "at last")],
    async (url, venue) => {
      const waits: number[] = [];
      const call = retry((path: string) => read(url + path), {
        baseWait: 1,
        onRetry: ({ delay }) => waits.push(delay),
      });
      assert.equal(await call("time"), "at last");
      // Deno 2.8 repeats one of them by itself, as it may a GET.
      assert.deepEqual(waits, [1, 2, 4].slice(0, Math.max(2, waits.length)));
      assert.deepEqual(venue.requests.map(({ path }) => path), [
        "/time",
        "/time",
        "/time",
        "/time",
      ]);
    },
  );
});

check("retry() gives up with the last error of the network", async () => {
  const url = await closedUrl();
  let calls = 0;
  const call = retry(() => (calls++, read(url)), {
    baseWait: 1,
    maxRetries: 2,
  });
  assert.equal(isNetworkError(await errorOf(call)), true);
  assert.equal(calls, 3);
});

check("retry() leaves nothing behind when it is aborted in a wait", async () => {
  const url = await closedUrl();
  const controller = new AbortController();
  const call = retry(() => read(url), {
    baseWait: 60_000, // a timer left behind would keep the process alive, which fails the run
    signal: controller.signal,
    onRetry: () => setTimeout(() => controller.abort(new Error("closing time")), 20),
  });
  assert.match(String(await errorOf(call)), /closing time/);
});

await run();
