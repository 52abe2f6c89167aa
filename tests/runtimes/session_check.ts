/**
 * What a session promises, on every runtime and against real sockets: an order is sent once, each failure says what
 * became of it, and no secret gets out.
 *
 * @module
 */

import assert from "node:assert/strict";
import { createServer as createTcpServer } from "node:net";
import { createServer as createTlsServer } from "node:tls";
import { inspect } from "node:util";
import { gzipSync } from "node:zlib";
import { AbstractBroker } from "../../broker.ts";
import {
  type Body,
  BrokerError,
  type RequestOptions,
  Session,
  type SessionEvent,
  type SessionOptions,
} from "../../session.ts";
import { Throttler } from "../../throttler.ts";
import {
  answer,
  closedPort,
  cutBody,
  FaultServer,
  finish,
  halfHead,
  hang,
  late,
  raw,
  type Reply,
  reset,
} from "./fault_server.ts";
import { check, run } from "./harness.ts";
import { selfSigned } from "./certificate.ts";

const JSON_TYPE = { "content-type": "application/json" };
const ok = answer({ headers: JSON_TYPE, body: '{"order_id":1}' });

/** Every way in which a venue can fail, and what is known of the order then. */
const FAULTS: Record<string, [reply: Reply, kind: string, outcome: string]> = {
  "a FIN": [finish(), "network", "unknown"],
  "an RST": [reset(), "network", "unknown"],
  "a hang": [hang(), "timeout", "unknown"],
  "half a header": [halfHead(), "network", "unknown"],
  "garbage": [raw("this is not HTTP\r\n\r\n"), "network", "unknown"],
  "a cut body": [cutBody(), "network", "unknown"],
  "a cut chunked body": [cutBody({ chunked: true }), "network", "unknown"],
  "a reset body": [cutBody({ reset: true }), "network", "unknown"],
  "a stalled body": [cutBody({ stall: true }), "timeout", "unknown"],
  "a 408": [answer({ status: 408 }), "timeout", "unknown"],
  "a 429": [answer({ status: 429 }), "rate-limited", "rejected"],
  "a 500": [answer({ status: 500 }), "network", "unknown"],
  "a 503": [answer({ status: 503 }), "network", "unknown"],
  "a 200 with bad JSON": [answer({ headers: JSON_TYPE, body: '{"order_' }), "decode", "unknown"],
  "an empty 200": [answer({ headers: JSON_TYPE }), "decode", "unknown"],
};

const SECRETS = { header: "header-53cr3t/+=", query: "query 53cr3t&%", body: 'body-53cr3t"\\é' };

const BODIES: Record<string, () => RequestOptions> = {
  json: () => ({ json: { key: SECRETS.body, quantity: 1 } }),
  form: () => ({ form: { key: SECRETS.body, quantity: 1 } }),
  bytes: () => ({ body: new TextEncoder().encode(`key=${SECRETS.body}`) }),
  FormData: () => {
    const form = new FormData();
    form.set("key", SECRETS.body);
    return { body: form as Body };
  },
  none: () => ({}),
};

/** Everything that a session has told of itself since the last look. */
const events: SessionEvent[] = [];

function open(url: string, options: Partial<SessionOptions> = {}): Session {
  return new Session({
    baseUrl: url,
    headers: { "x-api-key": SECRETS.header },
    timeout: 200,
    retry: { baseWait: 1, jitter: 0 },
    onEvent: (event) => events.push(event),
    ...options,
  });
}

/** What a call rejects with. */
async function failure(call: Promise<unknown>): Promise<BrokerError> {
  const error = await call.then((data) => assert.fail(`resolved to ${inspect(data)}`), (e) => e);
  assert(error instanceof BrokerError, inspect(error));
  return error;
}

/** Looks for secrets wherever an error or an event may be shown, and under every property. */
function assertNoSecret(value: unknown): void {
  const texts: string[] = [];
  const look = (value: unknown, depth = 0): void => {
    const { Deno, Bun } = globalThis as { Deno?: Inspector; Bun?: Inspector };
    texts.push(inspect(value, { showHidden: true, depth: 9, getters: true }), String(value));
    texts.push(String(Deno?.inspect(value, { depth: 9 })), String(Bun?.inspect(value)));
    texts.push(JSON.stringify(value) ?? "");
    if (Object(value) !== value || depth > 4) return;
    for (const key of Reflect.ownKeys(value as object)) look((value as never)[key], depth + 1);
  };
  look(value);
  for (const text of texts) {
    for (const secret of Object.values(SECRETS)) {
      for (const part of [secret, encodeURIComponent(secret), secret.slice(0, 11)]) {
        assert(!text.includes(part), `${part} in ${text}`);
      }
    }
  }
}

interface Inspector {
  inspect(value: unknown, options?: unknown): string;
}

function assertQuiet(...errors: unknown[]): void {
  for (const error of errors) assertNoSecret(error);
  assertNoSecret(events.splice(0));
}

/** Makes sure that the next request goes out on a connection that is in use already. */
async function warm(server: FaultServer, session: Session): Promise<void> {
  server.will(ok);
  await session.get("warm");
  await session.get("warm");
}

for (const [name, [reply, kind, outcome]] of Object.entries(FAULTS)) {
  check(
    `an order is sent once, whatever its method and body, when the venue answers with ${name}`,
    async () => {
      const server = await FaultServer.listen();
      const session = open(server.url);
      for (const method of ["POST", "PUT", "PATCH", "DELETE"]) {
        for (const [body, options] of Object.entries(BODIES)) {
          await warm(server, session);
          server.requests.length = 0;
          server.will(reply, ok); // one that comes again would be answered
          const error = await failure(
            session.request(method, "orders", { ...options(), query: { key: SECRETS.query } }),
          );
          const cell = `${method} with ${body}`;
          assert.equal(server.requests.length, 1, cell);
          const [request] = server.requests;
          assert.equal(request.method, method, cell);
          if (method === "POST") assert(request.turn > 1, `${cell}: not on a warm connection`);
          assert.equal(request.body === "", body === "none", cell);
          assert.equal(error.outcome, outcome, cell);
          assert.equal(error.kind, kind, `${cell}: ${error}`);
          assert.equal(error.retriable, false, cell);
          assert.equal(error.url, `${server.url}orders`, cell);
          assertQuiet(error);
        }
      }
      await session.close();
      await server.close();
    },
    { timeout: 30_000 },
  );

  check(`a GET is repeated after ${name}, and so is what is idempotent`, async () => {
    const server = await FaultServer.listen();
    const session = open(server.url);
    for (const method of ["GET", "PUT"]) {
      await warm(server, session);
      server.will(reply, reply, ok);
      const { data } = await session.request(method, "book", { idempotent: true });
      assert.deepEqual(data, { order_id: 1 });
    }
    await session.close();
    await server.close();
  });
}

check("an order that never reached the venue is not-sent, and is tried again", async () => {
  const refused = `127.0.0.1:${await closedPort()}`;
  for (const [body, options] of Object.entries(BODIES)) {
    // Each its own name: a lookup that fails again and again hangs on Bun 1.4.5, until the timeout.
    for (const host of [refused, `${body}.venue.invalid`]) {
      events.length = 0;
      const session = open(`http://${host}/`, {
        retry: { baseWait: 1, maxRetries: 1 },
        timeout: 5_000,
      });
      const error = await failure(session.post("orders", options()));
      assert.equal(error.kind, "network", `${host}: ${error}`);
      assert.equal(error.outcome, "not-sent", host);
      assert.equal(error.retriable, true, host);
      assert.equal(events.filter(({ type }) => type === "retry").length, 1, host);
      assertQuiet(error);
      await session.close();
    }
  }
});

check("a certificate that nobody vouches for is refused before anything is sent", async () => {
  const requests: unknown[] = [];
  const venue = createTlsServer(selfSigned(), (socket) => {
    socket.on("error", () => {});
    socket.on("data", (data) => requests.push(data));
  });
  const plain = createTcpServer((socket) => {
    socket.on("error", () => {});
    socket.on("data", () => socket.end("HTTP/1.1 400 Plain\r\n\r\n"));
  });
  for (const server of [venue, plain]) {
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const { port } = server.address() as { port: number };
    const session = open(`https://127.0.0.1:${port}/`, { timeout: 5_000 });
    const order = { query: { key: SECRETS.query }, json: { key: SECRETS.body } };
    const errors = [
      await failure(session.post("orders", order)),
      await failure(session.get("book")),
    ];
    for (const error of errors) {
      assert.equal(error.kind, "network");
      assert.equal(error.retriable, false);
      if (server === venue) assert.equal(error.outcome, "not-sent");
    }
    assertQuiet(...errors);
    await session.close();
    await new Promise((resolve) => server.close(resolve));
  }
  assert.equal(requests.length, 0);
});

check("a redirect is refused, and the other origin hears nothing", async () => {
  const [server, other] = [await FaultServer.listen(), await FaultServer.listen()];
  const session = open(server.url);
  for (const status of [301, 302, 303, 307, 308]) {
    for (const location of [`${other.url}stolen?key=1`, "/elsewhere"]) {
      server.will(answer({ status, headers: { location } }));
      for (const method of ["GET", "POST", "DELETE"]) {
        server.requests.length = 0;
        const error = await failure(
          session.request(method, "orders", { query: { key: SECRETS.query } }),
        );
        assert.equal(error.kind, "redirect");
        assert.equal(error.status, status);
        assert.equal(error.outcome, "unknown");
        assert.equal(server.requests.length, 1);
        assertQuiet(error);
      }
    }
  }
  assert.equal(other.requests.length, 0);
  await session.close();
  await server.close();
  await other.close();
});

check("what the venue echoes of a request is not shown", async () => {
  const server = await FaultServer.listen((socket, { path, headers, body }) => {
    const echo = JSON.stringify({
      message: `bad key ${headers["x-api-key"]} ${path} ${decodeURIComponent(path)} ${body}`,
      again: JSON.stringify(headers),
      code: SECRETS.header,
      shown: "margin too low",
    });
    const head = { "x-request-id": `${SECRETS.header}-7`, "content-type": "application/json" };
    answer({ status: 400, headers: head, body: echo })(socket, { path, headers, body } as never);
  });
  const session = open(server.url);
  for (const options of Object.values(BODIES)) {
    const error = await failure(
      session.post("orders", { ...options(), query: { key: SECRETS.query } }),
    );
    assert.equal(error.kind, "rejected");
    assert.equal(error.outcome, "rejected");
    assert.equal(error.requestId, "[redacted]-7");
    assert(error.body!.includes("bad key [redacted]"), error.body);
    assert(error.body!.length <= 512);
    assertQuiet(error);
  }
  await session.close();
  await server.close();
});

check("a malformed header is refused without being quoted", async () => {
  const server = await FaultServer.listen();
  const session = open(server.url);
  const values = ["\n", "\r\nx: y", "\0", "\x7f", "\ud800", "Ā", "€", "\x1b"].map((bad) =>
    SECRETS.header + bad + "1"
  );
  for (const value of [...values, `${SECRETS.header}\n`]) {
    for (const method of ["GET", "POST"]) {
      const error = await failure(session.request(method, "x", { headers: { "x-key": value } }));
      assert.equal(error.kind, "invalid");
      assert.equal(error.outcome, "not-sent");
      assertQuiet(error);
    }
    for (const set of ["set", "append"] as const) {
      assert.throws(() => session.headers[set]("x-key", value), (error) => {
        assertQuiet(error);
        return error instanceof TypeError;
      });
    }
    assert.throws(() => open(server.url, { headers: { "x-key": value } }), (error) => {
      assertQuiet(error);
      return true;
    });
    const signed = open(server.url, { sign: ({ headers }) => headers.set("x-key", value) });
    assertQuiet(await failure(signed.post("orders")));
    await signed.close();
  }
  assert.equal(server.requests.length, 0);
  session.headers.set("x-key", "tab\tand é");
  server.will(ok);
  await session.get("x");
  await session.close();
  await server.close();
});

check("a path stays below the base URL, or is refused", async () => {
  const other = await FaultServer.listen(ok);
  const server = await FaultServer.listen(ok);
  const session = open(`${server.url}api/v1`);
  // deno-fmt-ignore
  const paths = [
    `http://127.0.0.1:${other.port}/x`, `HTTP://127.0.0.1:${other.port}/x`, `//127.0.0.1:${other.port}/x`,
    `\\\\127.0.0.1:${other.port}\\x`, `/\\127.0.0.1:${other.port}/x`, "../x", "a/../../x", "..", "a/..", ".", "./x",
    "%2e%2e/x", "%2E%2e/x", ".%2e/x", "a/%2e%2e%2fx", "..%2fx", "..%5cx", "a%5c..%5cx", "..\\x", "a\tb", ".\t./x",
    ".\n./x", "a\rb", "a\0b", "%00", "a%0db", "%", "%zz", "a#b", "\x7f",
  ];
  for (const path of paths) {
    const error = await failure(session.post(path));
    assert.equal(error.kind, "invalid", path);
    assert.equal(error.outcome, "not-sent", path);
    assert.equal(error.url, `${server.url}api/v1/`);
  }
  assert.equal(server.requests.length + other.requests.length, 0);
  const joined: Record<string, string> = {
    "orders": "/api/v1/orders",
    "/orders": "/api/v1/orders",
    "": "/api/v1",
    "/": "/api/v1/",
    "a//b": "/api/v1/a//b",
    "x?a=1&b=/../": "/api/v1/x?a=1&b=/../",
    "quote/NSE:NIFTY 50": "/api/v1/quote/NSE:NIFTY%2050",
    "BTC%2FUSD": "/api/v1/BTC%2FUSD",
    "a..b/.c/d.": "/api/v1/a..b/.c/d.",
    "é": "/api/v1/%C3%A9",
  };
  for (const [path, wanted] of Object.entries(joined)) {
    await session.get(path);
    assert.equal(server.requests.at(-1)!.path, wanted);
  }
  await session.get("q?a=1", {
    query: { b: "x y", list: [1, 2n], no: undefined, nil: null, yes: true },
  });
  assert.equal(server.requests.at(-1)!.path, "/api/v1/q?a=1&b=x+y&list=1&list=2&yes=true");
  assert.equal(other.requests.length, 0);
  await session.close();
  await server.close();
  await other.close();
});

await run();
