/**
 * What a session promises, on every runtime and against real sockets: an order is sent once, each failure says what
 * became of it, and no secret gets out.
 *
 * @module
 */

import assert from "node:assert/strict";
import { createServer as createTcpServer } from "node:net";
import process from "node:process";
import { createServer as createTlsServer } from "node:tls";
import { inspect } from "node:util";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { gzipSync } from "node:zlib";
import {
  type Body,
  BrokerError,
  type RequestOptions,
  Session,
  type SessionEvent,
  type SessionOptions,
} from "../../session.ts";
import { LoopbackVenue, raw, reply, type Step, type VenueReply } from "../../testing.ts";
import { Throttler } from "../../throttler.ts";
import { check, run } from "./harness.ts";
import { selfSigned } from "./certificate.ts";

/** Bun before 1.4 repeats a POST on a connection that it reuses, so there an order gets one of its own. */
const reusesForPost = !/^1\.[0-3]\./.test(process.versions.bun ?? "");

const isNode = !("Deno" in globalThis) && !("Bun" in globalThis);

const JSON_TYPE = { "content-type": "application/json" };
const ok = reply(200, { order_id: 1 });

/** Every way in which a venue can fail, and what is known of the order then. */
const FAULTS: Record<string, [step: Step, kind: string, outcome: string]> = {
  "a FIN": ["finish-before-executing", "network", "unknown"],
  "an RST": ["reset-before-executing", "network", "unknown"],
  "a hang": ["hang-before-executing", "timeout", "unknown"],
  "half a header": ["half-head", "network", "unknown"],
  "garbage": ["garbage", "network", "unknown"],
  "a cut body": ["cut-body", "network", "unknown"],
  "a cut chunked body": ["cut-chunks", "network", "unknown"],
  "a reset body": ["reset-body", "network", "unknown"],
  "a stalled body": ["stall-body", "timeout", "unknown"],
  "a 408": [reply(408), "timeout", "unknown"],
  "a 429": [reply(429), "rate-limited", "rejected"],
  "a 500": [reply(500), "network", "unknown"],
  "a 503": [reply(503), "network", "unknown"],
  "a 200 with bad JSON": [reply(200, '{"order_', JSON_TYPE), "decode", "unknown"],
  "an empty 200": [reply(200, "", JSON_TYPE), "decode", "unknown"],
};

/** How it can refuse an order in ways that runtimes deal with on their own. */
const REFUSALS: typeof FAULTS = {
  "a 421": [reply(421), "rejected", "rejected"], // which the fetch standard sends again
  "a 400 whose body never ends": [
    ["stall-body", { status: 400, body: "no" }],
    "rejected",
    "rejected",
  ],
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

/** The timeout of calls that are answered, also by a machine under load. */
const SLOW = { timeout: 10_000 };

/** Faults that only a timeout ends. */
const ENDLESS = /hang|stalled|never ends/;

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

/** A value as a log may show it. */
function shown(value: unknown): string[] {
  const { Deno, Bun } = globalThis as { Deno?: Inspector; Bun?: Inspector };
  return [
    inspect(value, { showHidden: true, depth: 9, getters: true }),
    String(value),
    String(Deno?.inspect(value, { depth: 9 })),
    String(Bun?.inspect(value)),
    JSON.stringify(value) ?? "",
  ];
}

/** Looks for secrets wherever an error or an event may be shown, and under every property. */
function assertNoSecret(value: unknown): void {
  const texts: string[] = [];
  const look = (value: unknown, depth = 0): void => {
    texts.push(...shown(value));
    if (Object(value) !== value || depth > 4) return;
    for (const key of Reflect.ownKeys(value as object)) look((value as never)[key], depth + 1);
  };
  look(value);
  assertNoneIn(texts);
}

function assertNoneIn(texts: string[]): void {
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

/** Bytes of the heap that are not garbage. */
function heapInUse(): number {
  const { Bun } = globalThis as { Bun?: { gc(sync: boolean): void } };
  if (Bun) Bun.gc(true);
  else {
    setFlagsFromString("--expose-gc");
    runInNewContext("gc")();
  }
  return process.memoryUsage().heapUsed;
}

/** A venue whose requests end in these ways, one by one; without any, it takes every order. */
async function listen(...steps: Step[]): Promise<LoopbackVenue> {
  return (await LoopbackVenue.listen()).on("*", ok).will("*", ...steps);
}

/** Makes sure that the next request goes out on a connection that is in use already. */
async function warm(venue: LoopbackVenue, session: Session): Promise<void> {
  venue.will("*");
  await session.get("warm", SLOW);
  await session.get("warm", SLOW);
}

for (const [name, [step, kind, outcome]] of Object.entries({ ...FAULTS, ...REFUSALS })) {
  check(
    `an order is sent once, whatever its method and body, when the venue answers with ${name}`,
    async () => {
      const venue = await listen();
      const session = open(venue.httpUrl, ENDLESS.test(name) ? {} : SLOW);
      for (const method of ["POST", "PUT", "PATCH", "DELETE"]) {
        for (const [body, options] of Object.entries(BODIES)) {
          await warm(venue, session);
          venue.requests.length = 0;
          venue.will("*", step, ok); // one that comes again would be answered
          const error = await failure(
            session.request(method, "orders", { ...options(), query: { key: SECRETS.query } }),
          );
          const cell = `${method} with ${body}`;
          assert.equal(venue.requests.length, 1, cell);
          const [request] = venue.requests;
          assert.equal(request.method, method, cell);
          if (method === "POST" && reusesForPost) {
            assert(request.turn > 1, `${cell}: not on a warm connection`);
          }
          assert.equal(request.body === "", body === "none", cell);
          assert.equal(error.outcome, outcome, cell);
          assert.equal(error.kind, kind, `${cell}: ${error}`);
          assert.equal(error.retriable, false, cell);
          assert.equal(error.url, `${venue.httpUrl}orders`, cell);
          assertQuiet(error);
        }
      }
      await session.close();
      await venue.close();
    },
    { timeout: 30_000 },
  );

  if (!(name in FAULTS)) continue;
  check(`a GET is repeated after ${name}, and so is what is idempotent`, async () => {
    const venue = await listen();
    const session = open(venue.httpUrl, ENDLESS.test(name) ? {} : SLOW);
    for (const method of ["GET", "PUT"]) {
      await warm(venue, session);
      venue.will("*", step, step, ok);
      const { data } = await session.request(method, "book", { idempotent: true });
      assert.deepEqual(data, { order_id: 1 });
    }
    await session.close();
    await venue.close();
  });
}

check(
  "what is idempotent and may have been executed is neither not-sent nor rejected",
  async () => {
    for (const method of ["POST", "PUT", "PATCH", "DELETE"]) {
      for (const [body, options] of Object.entries(BODIES)) {
        for (const next of ["a refusal", "nobody"]) {
          const venue = await listen();
          const session = open(venue.httpUrl, { ...SLOW, retry: false });
          await warm(venue, session);
          const gone = () => void venue.close(); // a runtime that repeats meets nobody
          venue.will("*", next === "nobody" ? gone : "finish-before-executing", reply(404));
          const error = await failure(
            session.request(method, "orders", { ...options(), idempotent: true }),
          );
          assert.equal(error.outcome, "unknown", `${method} with ${body}, then ${next}: ${error}`);
          await session.close();
          await venue.close();
        }
      }
    }
  },
);

check("an order that never reached the venue is not-sent, and is tried again", async () => {
  const closed = await listen();
  await closed.close();
  const refused = `127.0.0.1:${closed.port}`;
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
  const [venue, other] = [await listen(), await listen()];
  const session = open(venue.httpUrl);
  for (const status of [301, 302, 303, 307, 308]) {
    for (const location of [`${other.httpUrl}stolen?key=1`, "/elsewhere"]) {
      venue.will("*", reply(status, "", { location }));
      for (const method of ["GET", "POST", "DELETE"]) {
        venue.requests.length = 0;
        const error = await failure(
          session.request(method, "orders", { query: { key: SECRETS.query } }),
        );
        assert.equal(error.kind, "redirect");
        assert.equal(error.status, status);
        assert.equal(error.outcome, "unknown");
        assert.equal(venue.requests.length, 1);
        assertQuiet(error);
      }
    }
  }
  assert.equal(other.requests.length, 0);
  await session.close();
  await venue.close();
  await other.close();
});

check("what the venue echoes of a request is not shown", async () => {
  const venue = await listen(({ target, headers, body }) => {
    const echo = {
      message: `bad key ${headers.get("x-api-key")} ${target} ${
        decodeURIComponent(target)
      } ${body}`,
      again: JSON.stringify(Object.fromEntries(headers)),
      code: SECRETS.header,
      shown: "margin too low",
    };
    return reply(400, echo, { "x-request-id": `${SECRETS.header}-7` });
  });
  const session = open(venue.httpUrl);
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
  await venue.close();
});

check("a malformed header is refused without being quoted", async () => {
  const venue = await listen();
  const session = open(venue.httpUrl);
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
    assert.throws(() => open(venue.httpUrl, { headers: { "x-key": value } }), (error) => {
      assertQuiet(error);
      return true;
    });
    const signed = open(venue.httpUrl, { sign: ({ headers }) => headers.set("x-key", value) });
    assertQuiet(await failure(signed.post("orders")));
    await signed.close();
  }
  assert.equal(venue.requests.length, 0);
  session.headers.set("x-key", "tab\tand é");
  venue.will("*");
  await session.get("x");
  await session.close();
  await venue.close();
});

check("a session and its headers show no value in a log", async () => {
  const session = open("https://api.venue.example", { headers: { "x-key": SECRETS.header } });
  for (const value of [session, session.headers, { session, headers: [session.headers] }]) {
    assertNoneIn(shown(value));
  }
  assert.match(inspect(session.headers), /x-key/);
  assert.equal(session.headers.get("x-key"), SECRETS.header);
  await session.close();
});

check("a path stays below the base URL, or is refused", async () => {
  const other = await listen(ok);
  const venue = await listen(ok);
  const session = open(`${venue.httpUrl}api/v1`);
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
    assert.equal(error.url, `${venue.httpUrl}api/v1/`);
  }
  assert.equal(venue.requests.length + other.requests.length, 0);
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
    assert.equal(venue.requests.at(-1)!.target, wanted);
  }
  await session.get("q?a=1", {
    query: { b: "x y", list: [1, 2n], no: undefined, nil: null, yes: true },
  });
  assert.equal(venue.requests.at(-1)!.target, "/api/v1/q?a=1&b=x+y&list=1&list=2&yes=true");
  assert.equal(other.requests.length, 0);
  await session.close();
  await venue.close();
  await other.close();
});

check("429 and 418 say how long to wait, and pause the throttlers that were used", async () => {
  const venue = await listen();
  const date = new Date(Date.now() + 7_500);
  const [, day, month, year, time] = /^\w+, (\d+) (\w+) (\d+) (\S+)/.exec(date.toUTCString())!;
  const long = date.toLocaleDateString("en", { weekday: "long", timeZone: "UTC" });
  const short = long.slice(0, 3);
  const asctime = `${short} ${month} ${String(Number(day)).padStart(2)} ${time} ${year}`;
  const past = "Sun, 06 Nov 1994 08:49:37 GMT";
  const waits: [value: string, least: number | undefined, most?: number][] = [
    ["7", 7_000, 7_000],
    ["0", 0, 0],
    [date.toUTCString(), 5_000, 7_500],
    [`${long}, ${day}-${month}-${year.slice(2)} ${time} GMT`, 5_000, 7_500],
    [asctime, 5_000, 7_500],
    [past, 0, 0],
    ["Sunday, 06-Nov-94 08:49:37 GMT", 0, 0],
    ["Sun Nov  6 08:49:37 1994", 0, 0],
    ...["", "soon", "-7", "7s", "1e3", "Sun, 06 Foo 1994 08:49:37 GMT", "2026-01-01"]
      .map((junk): [string, undefined] => [junk, undefined]),
  ];
  const PAUSE = 1_000; // the session's own, where the venue names no time
  for (const status of [429, 418]) {
    for (const [value, least, most = 0] of waits) {
      const limits = { limit: 10, period: 1_000 };
      const [used, other] = [new Throttler(limits), new Throttler(limits)];
      const session = open(venue.httpUrl, {
        ...SLOW,
        throttlers: [used],
        retry: { maxWait: 1_000 },
      });
      venue.will("*", reply(status, "", { "retry-after": value }));
      venue.requests.length = 0;
      const error = await failure(session.post("orders"));
      assert.equal(error.kind, "rate-limited");
      assert.equal(error.outcome, "rejected");
      assert.equal(venue.requests.length, 1);
      if (least === undefined) assert.equal(error.retryAfter, undefined, value);
      else {assert(
          error.retryAfter! >= least && error.retryAfter! <= most,
          `${value}: ${error.retryAfter}`,
        );}
      const wait = used.waitTime();
      const [shortest, longest] = least === undefined ? [0, PAUSE] : [least - 1_000, most];
      assert(wait <= longest && wait >= shortest, `${value}: paused for ${wait}`);
      assert.equal(other.waitTime(), 0);
      if (least! > 1_000) { // above maxWait: even a GET does not wait for it
        const { retryAfter } = await failure(session.get("book", { throttlers: [other] }));
        assert(retryAfter! >= least!);
      }
      await session.close();
    }
  }
  const session = open(venue.httpUrl);
  venue.will("*", reply(429, "", { "retry-after": "1" }), ok);
  const start = performance.now();
  await session.get("book");
  assert(performance.now() - start >= 999);
  await session.close();
  await venue.close();
});

check("at most maxBytes are read, whatever the headers say", async () => {
  const zeros = "0".repeat(1_000_000);
  const limit = 10_000;
  const chunk = (text: string) => `${text.length.toString(16)}\r\n${text}\r\n`;
  const chunked = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n" +
    chunk(zeros.slice(0, limit)).repeat(100) + chunk("");
  const gzip = { "content-encoding": "gzip", "content-type": "text/csv" };
  const answers: Record<string, VenueReply> = {
    "with a length": reply(200, zeros),
    "chunked": raw(chunked),
    "until the end of the connection": raw(`HTTP/1.1 200 OK\r\n\r\n${zeros}`),
    "chunked, with a length besides": raw(
      chunked.replace("transfer", "content-length: 10\r\ntransfer"),
    ),
    "a gzip bomb": reply(200, gzipSync(zeros), gzip),
  };
  const venue = await listen();
  const session = open(venue.httpUrl, { maxBytes: limit, timeout: 5_000 });
  for (const [name, answer] of Object.entries(answers)) {
    for (const parse of ["json", "text", "bytes"] as const) {
      for (const method of ["GET", "POST"]) {
        venue.requests.length = 0;
        venue.will("*", answer);
        const error = await failure(session.request(method, "big", { parse }));
        // Node takes both for an attack, and the answer for none.
        if (isNode && /besides/.test(name)) {
          assert.equal(error.kind, "network");
          continue;
        }
        assert.equal(error.kind, "too-large", `${name}: ${error}`);
        assert.equal(error.outcome, "unknown");
        assert.equal(error.status, 200);
        assert.equal(venue.requests.length, 1, "the next one would not be smaller");
      }
    }
  }
  for (const body of [zeros.slice(0, limit), gzipSync(zeros.slice(0, limit))]) {
    venue.will("*", reply(200, body, typeof body === "string" ? {} : gzip));
    const headers = { "accept-encoding": "gzip" }; // else Node refuses a compressed text
    const exact = await session.get<string>("big", { parse: "text", headers });
    assert.equal(exact.length, limit);
  }
  venue.will("*", reply(400, zeros));
  const error = await failure(session.post("orders"));
  assert.equal(error.kind, "rejected", "the status says enough");
  await session.close();
  await venue.close();
});

check("an answer that is not read to its end gives its connection up", async () => {
  const venue = await listen();
  const session = open(venue.httpUrl, { maxBytes: 100, timeout: 5_000 });
  const options = {
    headers: { location: "/", "content-length": "1000000" },
    body: "x".repeat(1_000),
  };
  const statuses = [302, 200, 400];
  for (const status of statuses) {
    venue.will("*", ["stall-body", { status, ...options }]);
    await failure(session.post("orders"));
  }
  // Node opens some more, unasked, and closes them again.
  await venue.until(() => venue.connections - venue.alive >= statuses.length);
  assert.equal(new Set(venue.requests.map(({ connection }) => connection)).size, statuses.length);
  await session.close();
  await venue.close();
});

check("integers beyond 2^53 arrive exact, and leave exact", async () => {
  const text =
    '{"id":9007199254740993,"list":[-12345678901234567890,{"deep":[18446744073709551615]}],' +
    '"text":"9007199254740993","float":0.12345678901234567,"big":1.5e300,"exp":12345678901234567e3,' +
    '"safe":9007199254740991,"minus":-0,"point":12345678901234567.0}';
  const venue = await listen(reply(200, text, JSON_TYPE));
  const session = open(venue.httpUrl);
  const data = await session.post<Record<string, unknown>>("orders");
  assert.deepEqual(data, {
    id: 9007199254740993n,
    list: [-12345678901234567890n, { deep: [18446744073709551615n] }],
    text: "9007199254740993",
    float: 0.12345678901234567,
    big: 1.5e300,
    exp: 12345678901234567e3,
    safe: 9007199254740991,
    minus: -0,
    point: 12345678901234567,
  });
  const { id, list } = data;
  await session.post("orders", { json: { id, list, text: "é\u2028" }, form: undefined });
  assert.equal(
    venue.requests.at(-1)!.body,
    '{"id":9007199254740993,"list":[-12345678901234567890,{"deep":[18446744073709551615]}],"text":"é\u2028"}',
  );
  await session.close();
  await venue.close();
});

check("an answer is decoded by its type, or as the call says", async () => {
  const venue = await listen();
  const session = open(venue.httpUrl, { retry: false });
  const bytes = Uint8Array.of(0, 1, 254, 255);
  const cases: [type: string | undefined, body: string | Uint8Array, wanted: unknown][] = [
    ["application/json; charset=utf-8", "[1]", [1]],
    ["application/problem+json", "[1]", [1]],
    [undefined, "[1]", [1]],
    ["text/plain", " [1]", [1]],
    ["text/plain", "pong", "pong"],
    ["text/csv", "a,b\n1,2", "a,b\n1,2"],
    ["text/csv", "", ""],
    ["application/xml", "<a/>", "<a/>"],
    ["application/octet-stream", bytes, bytes],
    ["application/zip", "", new Uint8Array(0)],
  ];
  for (const [type, body, wanted] of cases) {
    venue.will("*", reply(200, body, type ? { "content-type": type } : {}));
    assert.deepEqual(await session.get("x"), wanted, type);
  }
  for (const type of [undefined, "text/plain", "text/html", "application/json"]) {
    for (const body of ["", "<html>502</html>", '{"half":']) {
      if (type === "text/plain" && body.startsWith("<")) continue;
      venue.will("*", reply(200, body, type ? { "content-type": type } : {}));
      const error = await failure(session.get("x"));
      assert.equal(error.kind, "decode", `${type} ${body}`);
      assert.equal(error.body, body || undefined);
      assert.equal(error.status, 200);
    }
  }
  venue.will("*", reply(200, "é", { "content-type": "text/html" }));
  assert.equal(await session.get("x", { parse: "text" }), "é");
  assert.deepEqual(await session.get("x", { parse: "bytes" }), new TextEncoder().encode("é"));
  assert.equal(await session.get("x", { parse: (text) => `${text}!` }), "é!");
  const error = await failure(session.get("x", {
    parse: () => {
      throw new Error(SECRETS.header);
    },
  }));
  assert.equal(error.kind, "decode");
  assertQuiet(error);
  venue.will("*", raw("HTTP/1.1 204 No Content\r\n\r\n"));
  const { data, status, headers } = await session.request("DELETE", "x");
  assert.deepEqual([data, status, headers instanceof Headers], [undefined, 204, true]);
  venue.will("*", raw("HTTP/1.1 200 OK\r\ncontent-length: 7\r\nx-used: 3\r\n\r\n"));
  const head = await session.request("HEAD", "x");
  assert.deepEqual([head.data, head.headers.get("x-used")], [undefined, "3"]);
  await session.close();
  await venue.close();
});

check("a gzip that was cut is not taken for an answer", async () => {
  const packed = gzipSync(JSON.stringify(Array.from({ length: 2_000 }, (_, i) => `${i}`)));
  const venue = await listen();
  const session = open(venue.httpUrl);
  for (const length of [0, 5, 100, packed.length - 100]) {
    const headers = { ...JSON_TYPE, "content-encoding": "gzip" };
    venue.will("*", reply(200, packed.slice(0, length), headers), ok);
    assert.deepEqual(await session.get("x"), { order_id: 1 });
    venue.will("*", reply(200, packed.slice(0, length), headers), ok);
    const error = await failure(session.post("orders"));
    assert.equal(error.outcome, "unknown");
  }
  await session.close();
  await venue.close();
});

check("sign completes each attempt, after its throttlers", async () => {
  const venue = await listen();
  const throttler = new Throttler({ limit: 1, period: 100 });
  const signed: [attempt: number, at: number][] = [];
  const session = open(venue.httpUrl, {
    throttlers: [throttler],
    sign: async (draft) => {
      signed.push([draft.attempt, performance.now()]);
      await Promise.resolve();
      assert.equal(draft.method, "PUT");
      assert.equal(draft.body, "a=1&b=x+y");
      assert.equal(draft.headers.get("x-api-key"), SECRETS.header);
      draft.url.searchParams.set("signature", `${draft.attempt}`);
      draft.headers.set("x-signature", `${draft.attempt}`);
      draft.body += `&nonce=${draft.attempt}`;
    },
  });
  venue.will("*", "reset-before-executing", reply(503), ok);
  await session.put("orders", { form: { a: 1, b: "x y" }, query: { q: 1 }, idempotent: true });
  assert.deepEqual(signed.map(([attempt]) => attempt), [1, 2, 3]);
  assert(signed[2][1] - signed[0][1] >= 199, "not before the throttler let it pass");
  for (const [i, { target, headers, body }] of venue.requests.entries()) {
    assert.equal(target, `/orders?q=1&signature=${i + 1}`);
    assert.equal(headers.get("x-signature"), `${i + 1}`);
    assert.equal(body, `a=1&b=x+y&nonce=${i + 1}`);
    assert.match(headers.get("content-type")!, /^application\/x-www-form-urlencoded/);
  }
  await session.close();
  await venue.close();
});

check("a sign that fails sends nothing and shows nothing", async () => {
  const venue = await listen();
  const signs: Record<string, SessionOptions["sign"]> = {
    "throws": () => {
      throw new TypeError(SECRETS.header);
    },
    "rejects": () => Promise.reject(new Error(SECRETS.header, { cause: SECRETS })),
    "throws no error": () => Promise.reject(SECRETS.header),
    "goes elsewhere": (draft) =>
      void (draft.url = new URL("http://127.0.0.1:1/?key=" + SECRETS.header)),
    "goes up": (draft) => void (draft.url.pathname = "/other"),
    "sends a stream": (draft) => void (draft.body = new Response("x").body as never),
  };
  for (const [name, sign] of Object.entries(signs)) {
    const session = open(`${venue.httpUrl}api`, { sign });
    for (const method of ["GET", "POST"]) {
      const error = await failure(session.request(method, "orders"));
      assert.equal(error.kind, "invalid", name);
      assert.equal(error.outcome, "not-sent", name);
      assertQuiet(error);
    }
    await session.close();
  }
  assert.equal(venue.requests.length, 0);
  await venue.close();
});

check("no growth over 200,000 calls with one signal", async () => {
  const { signal } = new AbortController();
  let listeners = 0;
  const { addEventListener, removeEventListener } = signal;
  signal.addEventListener = (...args: unknown[]) => {
    listeners++;
    addEventListener.apply(signal, args as never);
  };
  signal.removeEventListener = (...args: unknown[]) => {
    listeners--;
    removeEventListener.apply(signal, args as never);
  };
  const reply = {
    status: 200,
    ok: true,
    body: {},
    headers: new Headers({ "content-length": "2" }),
    text: () => Promise.resolve("{}"),
  };
  const session = open("http://venue.invalid", {
    fetch: () => Promise.resolve(reply as never),
    onEvent: undefined,
  });
  const call = async (times: number) => {
    for (let i = 0; i < times; i++) await session.get("x", { signal });
    await new Promise((resolve) => setTimeout(resolve, 10)); // lets go of what a turn holds
    return heapInUse();
  };
  const before = await call(20_000);
  const after = await call(200_000);
  assert.equal(listeners, 0);
  // One object of 50 bytes kept per call would be 10 MB.
  assert(after - before < 5e6, `grew by ${(after - before) / 1e6} MB`);
  await session.close();
}, { timeout: 60_000 });

await run();
