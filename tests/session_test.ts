import {
  assert,
  assertEquals,
  assertGreaterOrEqual,
  assertInstanceOf,
  assertLessOrEqual,
  assertStrictEquals,
  assertStringIncludes,
  assertThrows,
} from "@std/assert";
import { FakeTime } from "@std/testing/time";
import fc from "fast-check";
import { BrokerError, type RequestOptions, Session, type SessionEvent } from "../session.ts";
import { LoopbackVenue, reply, type Step } from "../testing.ts";
import { Throttler } from "../throttler.ts";
import { fakeClock } from "./fake_clock.ts";
import {
  BASE,
  broken,
  coded,
  failure,
  never,
  ok,
  open,
  play,
  refused,
  status,
} from "./session/fake_venue.ts";

Deno.test("Session refuses a baseUrl that is more than an origin and a path, without quoting it", () => {
  for (
    const baseUrl of [
      "",
      "/v1",
      "api.venue.example",
      "ftp://api.venue.example",
      "file:///etc",
      "https://user:hunter2@api.venue.example",
      "https://api.venue.example?key=hunter2",
      "https://api.venue.example#hunter2",
    ]
  ) {
    const error = assertThrows(() => new Session({ baseUrl }), TypeError);
    assert(!error.message.includes("hunter2"));
  }
});

Deno.test("Session refuses numbers that are out of their range", async () => {
  for (const name of ["timeout", "deadline", "maxBytes"]) {
    for (const value of [0, -1, NaN]) {
      assertThrows(() => new Session({ baseUrl: BASE, [name]: value }), RangeError, name);
    }
    const text = () => new Session({ baseUrl: BASE, [name]: "1" });
    assertThrows(text, TypeError, `${name} is "1", a string; wanted `);
  }
  assertThrows(() => new Session({ baseUrl: BASE, retry: { maxRetries: -1 } }), RangeError);
  const venue = play(ok);
  const session = open(venue);
  for (const options of [{ timeout: 0 }, { deadline: NaN }, { retry: { jitter: 2 } }]) {
    const error = await failure(session.get("x", options));
    assertEquals([error.kind, error.outcome], ["invalid", "not-sent"]);
  }
  assertEquals(venue.sent.length, 0);
});

Deno.test("Session waits between repeats as retry does, with half of each wait left to chance", async () => {
  using time = new FakeTime();
  const venue = play(status(503));
  const events: SessionEvent[] = [];
  const session = new Session({ baseUrl: BASE, ...venue, onEvent: (event) => events.push(event) });
  const call = failure(session.get("book"));
  while (venue.sent.length < 6) await time.nextAsync();
  await call;
  const waits = events.flatMap((event) => event.type === "retry" ? [event.delay] : []);
  assertEquals(waits.length, 5);
  for (const [i, wait] of waits.entries()) {
    assertGreaterOrEqual(wait, 1_000 * 2 ** i);
    assertLessOrEqual(wait, 2_000 * 2 ** i);
  }
  assert(waits.some((wait, i) => wait !== 2_000 * 2 ** i));
});

Deno.test("Session repeats an idempotent request after 408, 429, 5xx, a broken connection and bad JSON", async () => {
  const faults = [
    status(408),
    status(429),
    status(418),
    status(500),
    status(502),
    status(503),
    status(504),
    broken,
    refused,
    () => new Response("{"),
  ];
  for (const method of ["GET", "HEAD", "OPTIONS", "PUT"]) {
    for (const fault of faults) {
      if (method === "HEAD" && fault === faults.at(-1)) continue; // it has no body
      const venue = play(fault, ok);
      await open(venue).request(method, "x", { idempotent: true });
      assertEquals(venue.sent.length, 2);
    }
  }
});

Deno.test("Session does not repeat what would fail again", async () => {
  const certificate = () =>
    Promise.reject(new TypeError("fetch failed", { cause: coded("DEPTH_ZERO_SELF_SIGNED_CERT") }));
  for (
    const fault of [status(400), status(401), status(404), status(501), status(302), certificate]
  ) {
    const venue = play(fault, ok);
    const error = await failure(open(venue).get("x"));
    assertEquals(error.retriable, false);
    assertEquals(venue.sent.length, 1);
  }
});

Deno.test("Session repeats an order only while it is not-sent, whatever shouldRetry says", async () => {
  const retry = { baseWait: 0, shouldRetry: () => true };
  for (const fault of [broken, status(429), status(503), status(400), () => new Response("{")]) {
    const venue = play(refused, refused, fault, ok);
    const error = await failure(open(venue, { retry }).post("orders"));
    assertEquals(venue.sent.length, 3);
    assert(error.outcome !== "not-sent");
  }
  const venue = play(refused, ok);
  assertEquals(await open(venue).post("orders"), { id: 1 });
  assertEquals(venue.sent.length, 2);
});

Deno.test("Session.get() can be told to repeat more", async () => {
  const venue = play(status(404), ok);
  const shouldRetry = (error: unknown) => (error as BrokerError).status === 404;
  assertEquals(await open(venue).get("orders/1", { retry: { baseWait: 0, shouldRetry } }), {
    id: 1,
  });
});

Deno.test("Session repeats nothing with retry: false", async () => {
  for (const options of [{ retry: false as const }, undefined]) {
    const venue = play(refused, ok);
    const session = open(venue, options ? {} : { retry: false });
    await failure(session.get("x", options));
    assertEquals(venue.sent.length, 1);
  }
});

Deno.test("Session keeps the outcome unknown once a request may have been executed", async () => {
  const retry = { baseWait: 0, maxRetries: 1 };
  const cancel = { idempotent: true, json: {} };
  for (const second of [refused, status(409), status(429)]) {
    const error = await failure(open(play(broken, second), { retry }).put("x", cancel));
    assertEquals(error.outcome, "unknown");
    assertStringIncludes(error.message, "may have been executed");
  }
  const executedTwice = open(play(refused, status(409)), { retry });
  assertEquals((await failure(executedTwice.put("x", cancel))).outcome, "rejected");
  const read = await failure(open(play(broken, status(404)), { retry }).get("x"));
  assertEquals(read.outcome, "rejected", "a GET executes nothing");
  const sent = open(play(broken, status(429), refused), { retry: { baseWait: 0, maxRetries: 2 } });
  assertEquals((await failure(sent.get("x"))).outcome, "unknown", "it was sent once");
});

Deno.test("Session gives each attempt its timeout, and the whole call its deadline", async () => {
  using time = new FakeTime();
  const venue = play(never);
  const session = open(venue, { timeout: 100, retry: { baseWait: 50, jitter: 0 } });
  const error = failure(session.get("x", { deadline: 320 }));
  for (const [wait, sent] of [[99, 1], [1, 1], [49, 1], [1, 2], [100, 2], [69, 2]]) {
    await time.tickAsync(wait);
    await time.runMicrotasks();
    assertEquals(venue.sent.length, sent);
  }
  await time.tickAsync(1); // in the second wait, of 100 ms
  const { kind, outcome, retriable, message } = await error;
  assertEquals([kind, outcome, retriable], ["timeout", "unknown", false]);
  assertStringIncludes(message, "320 ms");
  assertEquals(await time.nextAsync(), false, "no timer is left");
});

Deno.test("Session stops at the deadline in sign and before a throttler: not-sent", async () => {
  using time = new FakeTime();
  const throttler = new Throttler({ limit: 1, period: 1_000 });
  throttler.pause(60_000);
  const venue = play(ok);
  const sign = () => new Promise<void>(() => {});
  for (const session of [open(venue, { sign }), open(venue, { throttlers: [throttler] })]) {
    const error = failure(session.post("x", { deadline: 10 }));
    await time.tickAsync(10);
    assertEquals([(await error).kind, (await error).outcome], ["timeout", "not-sent"]);
  }
  const inTime = failure(open(venue, { sign, timeout: 10 }).get("x"));
  await time.tickAsync(10);
  assertEquals([(await inTime).kind, (await inTime).outcome], ["timeout", "not-sent"]);
  assertEquals(venue.sent.length, 0);
  assertEquals(throttler.size, 0);
  await throttler.close();
});

Deno.test("Session arms no timer without limits, and none that fires at once", async () => {
  const real = globalThis.setTimeout;
  const delays: unknown[] = [];
  const fake = (fn: () => void, delay: number) => {
    delays.push(delay);
    return real(fn, delay);
  };
  globalThis.setTimeout = fake as typeof setTimeout;
  try {
    await open(play(ok), { timeout: Infinity }).get("x");
    assertEquals(delays, []);
    await open(play(ok)).get("x", { timeout: 2 ** 31, deadline: 2 ** 40 });
    assertEquals(delays, [2 ** 31 - 1, 2 ** 31 - 1]);
  } finally {
    globalThis.setTimeout = real;
  }
});

Deno.test("Session tells of each step, without secrets", async () => {
  const events: SessionEvent[] = [];
  const session = open(play(status(503), ok), {
    onEvent: (event) => events.push(event),
    headers: { key: "hunter2" },
  });
  await session.get("book?key=hunter2", { query: { key: "hunter2" } });
  assertEquals(events.map(({ type, attempt }) => [type, attempt]), [
    ["request", 1],
    ["response", 1],
    ["failure", 1],
    ["retry", 1],
    ["request", 2],
    ["response", 2],
  ]);
  for (const event of events) {
    assertEquals([event.method, event.url], ["GET", `${BASE}/book`]);
    if (event.type === "response") assertEquals(event.status, event.attempt === 1 ? 503 : 200);
    if (event.type === "response" || event.type === "failure") {
      assertGreaterOrEqual(event.duration, 0);
    }
    if (event.type === "retry") assertEquals([event.delay, event.error.status], [0, 503]);
  }
  assert(!Deno.inspect(events, { depth: 9 }).includes("hunter2"));
});

Deno.test("Session does not let a log, a count or its own envelope's reader decide about an order", async () => {
  const throttler = new Throttler({ limit: 1, period: 1 });
  const fail = () => {
    throw new Error("hunter2");
  };
  const session = open(play(ok), { onEvent: fail, sync: fail, throttlers: [throttler] });
  assertEquals(await session.post("orders"), { id: 1 });
  const error = await failure(open(play(ok), { failure: fail }).post("orders"));
  assertEquals([error.kind, error.outcome], ["decode", "unknown"]);
  assert(!Deno.inspect(error).includes("hunter2"));
  assertEquals(
    (await failure(open(play(status(400)), { failure: fail }).post("x"))).kind,
    "rejected",
  );
});

Deno.test("Session tells its throttlers what the venue counts", async () => {
  const headers = { "x-mbx-used-weight-1m": "6" };
  const throttler = new Throttler({ limit: 10, period: 60_000 });
  const session = open(play(() => Response.json({}, { headers }), status(400, { headers })), {
    throttlers: [throttler],
    sync: (headers) => ({ used: Number(headers.get("x-mbx-used-weight-1m")), resetIn: 50_000 }),
  });
  await session.get("x");
  assertEquals(throttler.waitTime(4), 0);
  assertGreaterOrEqual(throttler.waitTime(5), 49_000);
});

Deno.test("Session says what a throttler refused: not-sent", async () => {
  const venue = play(ok);
  const full = new Throttler({ limit: 1, period: 60_000 }, { maxQueue: 0 });
  const session = open(venue, { throttlers: [full] });
  await session.post("x", { cost: 1 });
  const busy = await failure(session.post("x"));
  assertEquals([busy.kind, busy.outcome], ["rate-limited", "not-sent"]);
  const dear = await failure(session.post("x", { cost: 2 }));
  assertEquals([dear.kind, dear.outcome], ["invalid", "not-sent"]);
  await full.close();
  const closed = await failure(session.post("x"));
  assertEquals([closed.kind, closed.outcome], ["closed", "not-sent"]);
  assertEquals(await session.post("x", { throttlers: [] }), { id: 1 }, "[] waits for none");
  assertEquals(venue.sent.length, 2);
});

Deno.test("Session.headers is live, and a call's own headers go before it", async () => {
  const venue = play(ok);
  const session = open(venue, {
    headers: { "X-A": "1", "x-b": "2", "content-type": "text/x-default" },
  });
  session.headers.set("x-a", "3");
  session.headers.append("x-b", "4");
  await session.post("x", { json: 1, headers: { "X-B": "5" } });
  assertEquals(venue.sent[0].headers, {
    "content-type": "application/json",
    "x-a": "3",
    "x-b": "5",
  });
  session.headers.delete("x-a");
  await session.post("x", {
    json: 1,
    headers: [["Content-Type", "application/x"], ["x-b", "6"], ["x-b", "7"]],
  });
  assertEquals(venue.sent[1].headers, { "content-type": "application/x", "x-b": "6, 7" });
  await session.post("x", { body: Uint8Array.of(1), headers: new Headers({ "x-b": "é" }) });
  assertEquals(venue.sent[2].headers, { "content-type": "text/x-default", "x-b": "é" });
});

Deno.test("Session sends an order as a Blob; without a body, and idempotent, as it is: then nothing is known on Deno", async () => {
  const venue = play(ok);
  const session = open(venue);
  const bodies: RequestOptions[] = [{ json: {} }, { form: { a: 1 } }, { body: "x" }, {
    body: Uint8Array.of(1),
  }, {}];
  for (const method of ["POST", "PUT", "PATCH", "DELETE"]) {
    for (const options of bodies) {
      venue.sent.length = 0;
      await session.request(method.toLowerCase(), "x", options);
      assertInstanceOf(venue.sent[0].body, Blob);
      assertEquals(venue.sent[0].method, method);
      const isRepeatedByBun = method === "PUT" || method === "DELETE";
      assertEquals(venue.sent[0].keepalive, isRepeatedByBun ? false : undefined);
      await session.request(method, "x", { ...options, idempotent: true });
      assertEquals(venue.sent[1].body instanceof Blob, Object.keys(options).length > 0);
      assertEquals(venue.sent[1].keepalive, isRepeatedByBun ? false : undefined);
    }
  }
});

Deno.test("Session says unknown of whatever fails on Deno without a body, if it is idempotent", async () => {
  const plain = { idempotent: true, retry: false } as const;
  for (const fault of [refused, status(404)]) {
    assertEquals((await failure(open(play(fault)).delete("x", plain))).outcome, "unknown");
  }
  assertEquals((await failure(open(play(status(404))).delete("x"))).outcome, "rejected");
});

Deno.test("Session lets a body's own type count for more than the session's, and for less than the call's", async () => {
  const venue = play(ok);
  const session = open(venue, { headers: { "content-type": "application/json" } });
  const form = new FormData();
  form.set("a", "1");
  const blob = new Blob(["a"], { type: "text/csv" });
  for (const body of [form, blob]) {
    await session.post("x", { body });
    await session.post("x", { body, headers: { "content-type": "text/own" } });
  }
  const types = venue.sent.map(({ headers }) => headers["content-type"]);
  assertEquals(types.map((type) => type.replace(/;.*/, "")), [
    "multipart/form-data",
    "text/own",
    "text/csv",
    "text/own",
  ]);
  assertStringIncludes(types[0], "boundary=");
});

Deno.test("Session takes bytes and headers as they are when the call is made", async () => {
  const venue = play(ok);
  const session = open(venue);
  const throttlers = [new Throttler({ limit: 1, period: 20 })];
  const body = Uint8Array.of(1);
  const headers = new Headers({ a: "1" });
  const calls = [1, 2].map(() => session.post("x", { body, headers, throttlers }));
  body[0] = 2;
  headers.set("a", "2");
  await Promise.all(calls);
  for (const { body, headers } of venue.sent) {
    assertEquals(new Uint8Array(await (body as Blob).arrayBuffer()), Uint8Array.of(1));
    assertEquals(headers.a, "1");
  }
});

Deno.test("Session ignores what onEvent and onRetry throw, at once or later", async () => {
  for (
    const hook of [() => {
      throw new Error("disk full");
    }, () => Promise.reject(new Error("disk full"))]
  ) {
    const retry = { baseWait: 0, onRetry: hook };
    const session = open(play(broken, ok), { onEvent: hook, retry });
    assertEquals(await session.get("x"), { id: 1 });
  }
});

Deno.test("Session takes a parse that rejects for one that throws: decode, not repeated", async () => {
  const venue = play(ok);
  const parse = () => Promise.reject(new Error("no"));
  const error = await failure(open(venue).get("x", { parse }));
  assertEquals([error.kind, venue.sent.length], ["decode", 1]);
});

Deno.test("Session refuses a signal that is none, and closes all the same", async () => {
  const session = open(play(ok));
  const error = await failure(session.post("x", { signal: {} as AbortSignal }));
  assertEquals([error.kind, error.outcome], ["invalid", "not-sent"]);
  assertStringIncludes(error.message, "wanted an AbortSignal");
  await session.close();
});

Deno.test("Session takes an error that failure() throws for one that it returns", async () => {
  const session = open(play(ok), {
    failure: () => {
      throw new BrokerError("No margin", { kind: "rejected", outcome: "rejected", code: "M1" });
    },
  });
  const error = await failure(session.post("x"));
  assertEquals([error.message, error.code, error.outcome], ["No margin", "M1", "rejected"]);
});

Deno.test("Session does not go on after a second 401, whatever shouldRetry says", async () => {
  const venue = play(status(401));
  const retry = { baseWait: 0, shouldRetry: () => true };
  const error = await failure(open(venue, { retry, onUnauthorized: () => {} }).get("x"));
  assertEquals([error.kind, venue.sent.length], ["unauthorized", 2]);
});

Deno.test("Session does not take a status below 200 for a refusal, nor an instant for a Retry-After", async () => {
  const odd = (code: number, retryAfter = "") => () =>
    Object.defineProperty(Response.json({}, { headers: { "retry-after": retryAfter } }), "status", {
      value: code,
    });
  const informed = () => Object.defineProperty(odd(101)(), "ok", { value: false });
  const error = await failure(open(play(informed)).post("x"));
  assertEquals([error.kind, error.outcome], ["network", "unknown"]);
  const limited = () => Object.defineProperty(odd(429, "1700000000")(), "ok", { value: false });
  const late = await failure(open(play(limited), { retry: false }).post("x"));
  assertEquals([late.kind, late.retryAfter], ["rate-limited", undefined]);
});

Deno.test("Session passes fetchOptions on, but not against its promises", async () => {
  const venue = play(ok);
  const client = {};
  const fetchOptions = {
    client,
    redirect: "follow",
    keepalive: true,
    headers: { a: "1" },
    body: "x",
    method: "POST",
  };
  await open(venue, { fetchOptions }).delete("x");
  const [{ redirect, keepalive, headers, method }] = venue.sent;
  assertStrictEquals((venue.sent[0] as unknown as { client: unknown }).client, client);
  assertEquals([redirect, keepalive, headers, method], ["manual", false, {}, "DELETE"]);
});

Deno.test("Session refuses what cannot be sent: invalid, not-sent", async () => {
  const venue = play(ok);
  const session = open(venue);
  const circular: { self?: unknown } = {};
  circular.self = circular;
  const hostile = {
    get key(): string {
      throw new Error("hunter2");
    },
  };
  const calls: [method: string, options: RequestOptions][] = [
    ["TRACE", {}],
    ["CONNECT", {}],
    ["GET\r\nx: y", {}],
    ["", {}],
    ["GET", { json: {} }],
    ["HEAD", { body: "" }],
    ["GET", { idempotent: false }],
    ["POST", { json: 1, form: {} }],
    ["POST", { json: null, body: "" }],
    ["POST", { json: circular }],
    ["POST", { json: () => {} }],
    ["POST", { json: hostile }],
    ["POST", { form: { a: NaN } }],
    ["POST", { form: { a: {} } }],
    ["POST", { form: { a: [[1]] } }],
    ["POST", { form: hostile }],
    ["POST", { query: { a: Infinity } }],
    ["POST", { body: new Response("x").body as never }],
    ["POST", { body: {} as never }],
    ["POST", { headers: { "": "x" } }],
    ["POST", { headers: { "a b": "x" } }],
  ];
  for (const [method, options] of calls) {
    const error = await failure(session.request(method, "x", options));
    assertEquals([error.kind, error.outcome, error.retriable], ["invalid", "not-sent", false]);
    assert(!Deno.inspect(error).includes("hunter2"));
  }
  const notText = await failure(session.get(undefined as unknown as string));
  assertEquals(notText.kind, "invalid");
  assertEquals(venue.sent.length, 0);
});

Deno.test("Session leaves options that are undefined to their defaults", async () => {
  const venue = play(ok);
  await open(venue, {
    headers: undefined,
    timeout: undefined,
    throttlers: undefined,
    fetchOptions: undefined,
  })
    .post("x", {
      json: undefined,
      form: undefined,
      query: undefined,
      retry: undefined,
      signal: undefined,
    });
  assertEquals(venue.sent[0].url, `${BASE}/x`);
});

Deno.test("Session rejects an aborted call with the signal's reason as its cause", async () => {
  const reason = { changed: "my mind" };
  const venue = play(never);
  const session = open(venue);
  const controller = new AbortController();
  const inFlight = failure(session.post("orders", { signal: controller.signal }));
  await Promise.resolve();
  controller.abort(reason);
  const before = failure(session.post("orders", { signal: controller.signal }));
  for (const [call, outcome] of [[inFlight, "unknown"], [before, "not-sent"]] as const) {
    const error = await call;
    assertEquals([error.kind, error.outcome], ["aborted", outcome]);
    assertStrictEquals(error.cause, reason);
  }
  assertEquals(venue.sent.length, 1);
});

Deno.test("Session.close() waits until the requests have ended, and is final", async () => {
  let ended = false;
  const slow = (_: unknown, { signal }: RequestInit) =>
    new Promise<Response>((_, reject) =>
      signal!.addEventListener("abort", () =>
        setTimeout(() => {
          ended = true;
          reject(signal!.reason);
        }, 20))
    );
  const session = open({ fetch: slow as typeof fetch });
  const call = failure(session.post("orders"));
  const [first, second] = [session.close(), session[Symbol.asyncDispose]()];
  await Promise.race([first, second]);
  assert(ended);
  assertEquals((await call).kind, "closed");
  await second;
  assertEquals((await failure(session.get("x"))).outcome, "not-sent");
  await open(play(ok)).close();
});

Deno.test("Session: held calls spend no tokens, though their turn has come when the login begins", async () => {
  using time = fakeClock();
  const first = Promise.withResolvers<Response>();
  const login = Promise.withResolvers<void>();
  let sent = 0;
  const session = new Session({
    baseUrl: BASE,
    fetch: (() =>
      sent++ === 0 ? first.promise : Promise.resolve(Response.json({}))) as typeof fetch,
    onUnauthorized: () => login.promise,
  });
  const throttlers = [new Throttler({ limit: 1, period: 100 })];
  const refused = session.get("a", { throttlers });
  const held = [false, true, false, true].map((urgent) => session.get("b", { throttlers, urgent }));
  const { now } = performance;
  performance.now = () => now() + 1_000; // the timer of the throttler is late
  first.resolve(new Response(null, { status: 401 }));
  for (let i = 0; i < 100; i++) await null;
  const { available } = throttlers[0];
  login.resolve();
  for (let i = 0; i < 10; i++) await time.tickAsync(200);
  await Promise.all([refused, ...held]);
  assertEquals([available, sent], [1, 6]);
});

Deno.test("Session.close() leaves no timer, not even for a microtask", async () => {
  const { setTimeout, clearTimeout } = globalThis;
  const timers = new Set<unknown>();
  globalThis.setTimeout = ((...args: Parameters<typeof setTimeout>) => {
    const timer = setTimeout(...args);
    timers.add(timer);
    return timer;
  }) as typeof setTimeout;
  globalThis.clearTimeout = (timer) => void (timers.delete(timer), clearTimeout(timer));
  try {
    performance.now = () => 0; // the calls begin in one millisecond
    const session = open(play(ok, ok, ok));
    await session.get("x", { timeout: 50 });
    await session.get("x");
    const [timer] = timers;
    await session.get("x");
    assertEquals([...timers], [timer]); // both calls had the one timer
    await session.close();
    assertEquals(timers.size, 0);
  } finally {
    Object.assign(globalThis, { setTimeout, clearTimeout });
    delete (performance as Partial<Performance>).now; // the prototype's shows again
  }
});

Deno.test("Session replays a 401 once for each call, not once for each attempt", async () => {
  let logins = 0;
  const venue = play(status(401), status(503), status(401), ok);
  const session = open(venue, { onUnauthorized: () => void logins++ });
  const error = await failure(session.get("x"));
  assertEquals([error.kind, logins, venue.sent.length], ["unauthorized", 1, 3]);
});

Deno.test("Session does not repeat a call whose login failed, whatever the error says of itself", async () => {
  const own = new BrokerError("No way", { kind: "network", outcome: "not-sent", retriable: true });
  const venue = play(status(401));
  let logins = 0;
  const onUnauthorized = () => {
    logins++;
    throw own;
  };
  const error = await failure(open(venue, { onUnauthorized }).get("x"));
  assertEquals([error.kind, error.outcome], ["unauthorized", "rejected"]);
  assertStrictEquals(error.cause, own);
  assertEquals([logins, venue.sent.length], [1, 1]);
});

Deno.test("Session says rejected of a call that is ended after a refusal, while it waits to be repeated", async () => {
  using time = new FakeTime();
  const session = open(play(status(429)), { retry: { baseWait: 1_000 } });
  const error = failure(session.put("x", { idempotent: true, json: {}, deadline: 500 }));
  await time.tickAsync(0);
  await time.runMicrotasks();
  await time.tickAsync(500);
  assertEquals([(await error).kind, (await error).outcome], ["timeout", "rejected"]);
  assertEquals((await error).status, undefined, "nobody answered to this");
});

Deno.test("Session does not trust a content-length", async () => {
  const headers = { "content-length": "2" };
  const lie = () => new Response(JSON.stringify("x".repeat(100)), { headers });
  assertEquals((await failure(open(play(lie), { maxBytes: 50 }).get("x"))).kind, "too-large");
});

Deno.test("Session completes the error that failure() finds", async () => {
  const headers = { "x-request-id": "r-1", "retry-after": "3" };
  for (
    const [code, own, outcome] of [
      [200, "rejected", "rejected"],
      [400, "unknown", "unknown"],
      [200, "not-sent", "rejected"],
    ] as const
  ) {
    const venue = play(() => Response.json({ why: "margin" }, { status: code, headers }), ok);
    const session = open(venue, {
      headers: { key: "hunter2-token" },
      failure: ({ data, status }) => {
        if (status !== code || (data as { why?: string }).why !== "margin") return undefined;
        const message = "No margin for hunter2-token";
        return new BrokerError(message, {
          kind: "rejected",
          outcome: own,
          code: "M1",
          retriable: true,
        });
      },
    });
    const error = await failure(session.post("orders", { query: { key: "hunter2-token" } }));
    assertEquals(error.message, "No margin for [redacted]");
    assert(!Deno.inspect(error).includes("hunter2"));
    const { kind, method, url, status, requestId, retryAfter } = error;
    assertEquals([kind, error.outcome, error.code], ["rejected", outcome, "M1"]);
    assertEquals([method, url, status, requestId, retryAfter], [
      "POST",
      `${BASE}/orders`,
      code,
      "r-1",
      3_000,
    ]);
    assertEquals(venue.sent.length, 1, "the venue has heard it");
  }
});

Deno.test("Session asks sync() about each throttler that the call used, and ignores what it throws", async () => {
  const weights = new Throttler({ limit: 100, period: 60_000 });
  const orders = new Throttler({ limit: 100, period: 60_000 });
  const venue = play(() => Response.json({}, { headers: { "x-used": "99", "x-orders": "1" } }));
  const session = open(venue, {
    throttlers: [weights, orders],
    sync: (headers, throttler) => {
      if (throttler === orders) throw new Error("no such header");
      return { used: Number(headers.get("x-used")) };
    },
  });
  await session.get("x");
  assertEquals(weights.waitTime(2) > 0, true);
  assertEquals(orders.waitTime(2), 0);
});

Deno.test("Session keeps what a status says of an order, whatever failure() makes of it", async () => {
  for (
    const [code, kind, outcome] of [
      [401, "unauthorized", "rejected"],
      [408, "timeout", "unknown"],
      [418, "rate-limited", "rejected"],
      [429, "rate-limited", "rejected"],
      [500, "network", "unknown"],
      [503, "network", "unknown"],
    ] as const
  ) {
    const venue = play(() => Response.json({ ok: false, msg: "Nothing done" }, { status: code }));
    const session = open(venue, {
      failure: ({ data }) => {
        const { msg } = data as { msg: string };
        return new BrokerError(msg, { kind: "rejected", outcome: "rejected", code: "E1" });
      },
    });
    const error = await failure(session.post("orders"));
    assertEquals([error.kind, error.outcome], [kind, outcome]);
    assertEquals([error.message, error.code], ["Nothing done", "E1"]);
  }
});

Deno.test("Session repeats a GET after a 503 that failure() has words for", async () => {
  const venue = play(() => Response.json({ msg: "Busy" }, { status: 503 }), ok);
  const session = open(venue, {
    failure: ({ status }) =>
      status < 400 ? undefined : new BrokerError("Busy", { kind: "rejected", outcome: "rejected" }),
  });
  assertEquals(await session.get("x"), { id: 1 });
});

Deno.test("Session never replays an order of unknown outcome, though failure() calls it unauthorized", async () => {
  const venue = play(ok, ok);
  const session = open(venue, {
    onUnauthorized: () => {},
    failure: () => new BrokerError("?", { kind: "unauthorized", outcome: "unknown" }),
  });
  assertEquals((await failure(session.post("orders"))).outcome, "unknown");
  assertEquals(venue.sent.length, 1);
});

Deno.test("Session shows nothing that was sent in the error that failure() makes", async () => {
  const venue = play(() => Response.json({ echo: "hunter2-token" }));
  const session = open(venue, {
    headers: { key: "hunter2-token" },
    failure: ({ data }) => {
      const { echo } = data as { echo: string };
      const body = echo + "x".repeat(1_000);
      const cause = data;
      return new BrokerError("?", {
        kind: "rejected",
        outcome: "rejected",
        code: echo,
        body,
        cause,
      });
    },
  });
  const error = await failure(session.get("x"));
  assert(!Deno.inspect(error).includes("hunter2"));
  assertEquals([error.code, error.body?.length, error.cause], ["[redacted]", 512, undefined]);
});

Deno.test("Session keeps a code that only looks like a short value that was sent", async () => {
  const venue = play(() => Response.json({ code: "LIMIT_EXCEEDED" }, { status: 400 }));
  const error = await failure(open(venue).post("orders", { json: { type: "LIMIT" } }));
  assertEquals(error.code, "LIMIT_EXCEEDED");
});

Deno.test("Session does not know what became of an order whose answer a browser hides", async () => {
  const error = await failure(open(play(() => Response.error())).post("orders"));
  assertEquals([error.kind, error.outcome], ["redirect", "unknown"]);
});

Deno.test("Session sends the entries of a Map, a FormData or a list as a form", async () => {
  const data = new FormData();
  data.set("symbol", "INFY");
  for (const form of [new Map([["symbol", "INFY"]]), data, [["symbol", "INFY"]]]) {
    const venue = play(ok);
    await open(venue).post("orders", { form });
    assertEquals(await new Response(venue.sent[0].body).text(), "symbol=INFY");
  }
});

Deno.test("Session says which call was made after close()", async () => {
  const session = open(play(ok));
  await session.close();
  const error = await failure(session.get("orders/1"));
  assertEquals([error.kind, error.outcome, error.url], ["closed", "not-sent", `${BASE}/orders/1`]);
});

Deno.test("Session shows at most 512 characters of an answer, and its code", async () => {
  const body = JSON.stringify({ code: -1013, msg: "x".repeat(1_000) });
  const error = await failure(open(play(() => new Response(body, { status: 400 }))).post("x"));
  assertEquals(error.body, body.slice(0, 512));
  assertEquals(error.code, -1013);
});

Deno.test("Session shows no part of a header: not the secret beside its key", async () => {
  const venue = play(() => new Response("bad secret: s3cret, of k3y1", { status: 403 }));
  const headers = { authorization: "token k3y1:s3cret" };
  const { body } = await failure(open(venue, { headers }).get("x"));
  assertEquals(body, "bad secret: [redacted], of [redacted]");
});

Deno.test("Session shows no rest of a value that holds another", async () => {
  const venue = play(() => new Response("not hunter2-and-more", { status: 400 }));
  const query = { short: "hunter2", long: "hunter2-and-more" };
  assertEquals((await failure(open(venue).get("x", { query }))).body, "not [redacted]");
});

Deno.test("property: nothing that was sent is in an error, however the venue echoes it", async () => {
  const secret = fc.string({ unit: "grapheme", minLength: 4, maxLength: 40 })
    .filter((text) => text.trim() === text && /[^\s\w.:/-]/.test(text) && text.isWellFormed());
  const latin1 = fc.string({ minLength: 4, maxLength: 40 }).filter((text) =>
    text.trim() === text && /[^\s\w.:/-]/.test(text)
  );
  await fc.assert(
    fc.asyncProperty(latin1, secret, secret, fc.nat(3), async (header, query, value, how) => {
      const echo = [
        [header, query, value].join(" | "),
        JSON.stringify({ header, query, value, message: `${query}${value}` }),
        new URLSearchParams({ header, query, value }).toString(),
        [header, query, value].map((text) => encodeURIComponent(text)).join("/"),
      ][how];
      const venue = play(() => new Response(echo, { status: 400 }));
      const session = open(venue, { headers: { "x-key": header } });
      const error = await failure(
        session.post("x", { query: { query }, json: { list: [{ value }] } }),
      );
      for (const text of [header, query, value]) {
        assert(!error.body!.includes(text), `${text} in ${error.body}`);
        assert(!error.body!.includes(encodeURIComponent(text)), `${text} in ${error.body}`);
      }
    }),
    { numRuns: 300 },
  );
});

Deno.test("BrokerError holds what it was given and nothing else", () => {
  const error = new BrokerError("No margin", { kind: "rejected", outcome: "rejected", code: 7 });
  assertEquals(error.name, "BrokerError");
  assertEquals(JSON.parse(JSON.stringify(error)), {
    name: "BrokerError",
    kind: "rejected",
    outcome: "rejected",
    retriable: false,
    code: 7,
  });
  assert(!("cause" in error));
  assertStrictEquals(
    new BrokerError("", { kind: "aborted", outcome: "unknown", cause: 1 }).cause,
    1,
  );
});

Deno.test("Session leaves nothing open on a real socket, however a call ends", async () => {
  const venue = (await LoopbackVenue.listen()).on("*", { half: "of this" });
  const session = new Session({
    baseUrl: venue.httpUrl,
    timeout: 100,
    maxBytes: 1_000,
    retry: false,
  });
  const controller = new AbortController();
  const big = "x".repeat(100_000);
  const steps: Step[] = [
    "finish-before-executing",
    "hang-before-executing",
    "cut-body",
    "cut-chunks",
    "stall-body",
    reply(200, big),
    reply(200, big, { "content-encoding": "identity" }),
    reply(302, big, { location: "/x" }),
    reply(500, big),
    reply(200, "{"),
  ];
  for (const step of steps) {
    for (const method of ["GET", "POST", "DELETE"]) {
      venue.will("*", step);
      await failure(session.request(method, "x", { json: method === "GET" ? undefined : {} }));
    }
  }
  const before = venue.requests.length; // on a slow machine a call may time out before it arrives
  venue.will("*", "stall-body");
  const aborted = failure(session.post("x", { signal: controller.signal, timeout: 10_000 }));
  await venue.until(() => venue.requests.length > before);
  controller.abort();
  await aborted;
  const closed = failure(session.post("x", { timeout: 10_000 }));
  await session.close();
  assertEquals((await closed).kind, "closed");
  await venue.close();
});
