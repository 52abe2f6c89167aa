import { assert, assertEquals, assertGreaterOrEqual, assertLessOrEqual } from "@std/assert";
import { fakeClock } from "../fake_clock.ts";
import { Call } from "../../session/call.ts";
import { Exchange } from "../../session/exchange.ts";
import { SafeHeaders } from "../../session/headers.ts";
import { checkOptions } from "../../session/options.ts";
import { prepare } from "../../session/prepared_request.ts";
import { Renewal } from "../../session/renewal.ts";
import { Timeouts } from "../../session/timeouts.ts";
import { Transport } from "../../session/transport.ts";
import { BrokerError, Session, type SessionEvent, type SessionOptions } from "../../session.ts";
import { type RateLimiter, Throttler } from "../../throttler.ts";
import {
  BASE,
  broken,
  failure,
  ok,
  open,
  play,
  refused,
  status,
  type Step,
  turn,
} from "./fake_venue.ts";

/** A venue class that knows the envelope of a venue whose errors come with any status. */
const failureOf: SessionOptions["failure"] = ({ data }) => {
  const { retCode, wait } = Object(data) as { retCode?: number; wait?: number };
  if (retCode !== 10006) return undefined;
  const init = { kind: "rate-limited", outcome: "rejected", code: 10006 } as const;
  return new BrokerError(
    "Too many visits",
    wait === undefined ? init : { ...init, retryAfter: wait },
  );
};

const limited = (code: number, wait?: number, headers = {}): Step => () =>
  Response.json({ retCode: 10006, wait }, { status: code, headers });

function limiter(): Throttler {
  return new Throttler({ limit: 100, period: 1_000 });
}

Deno.test("Session pauses the throttlers that a call used, where failure() says rate-limited of any status", async () => {
  using _time = fakeClock();
  const header = { "retry-after": "7" };
  for (const code of [200, 201, 400, 403, 418, 429, 500, 503]) {
    const cases: [answer: Step, options: Partial<SessionOptions>, wait: number][] = [
      [limited(code, 600), {}, 600],
      [limited(code, 5), {}, 5],
      [limited(code, 3_000), { pause: 0 }, 3_000],
      [limited(code, undefined, header), {}, 7_000],
      [limited(code), {}, 1_000],
      [limited(code), { pause: 250 }, 250],
      [limited(code), { pause: 0 }, 0],
      [limited(code, 0), {}, 0],
    ];
    for (const [answer, options, wait] of cases) {
      const [used, other] = [limiter(), limiter()];
      const throttlers = [used, { throttler: limiter(), cost: 2 }];
      const session = open(play(answer), { failure: failureOf, retry: false, ...options });
      const error = await failure(session.post("orders", { throttlers }));
      assertEquals([error.code, error.status], [10006, code]);
      for (const throttler of [used, throttlers[1] as { throttler: Throttler }]) {
        const paused = "throttler" in throttler ? throttler.throttler : throttler;
        assertEquals(
          Math.round(paused.waitTime()),
          wait,
          `${code}, paused for ${paused.waitTime()}`,
        );
      }
      assertEquals(other.waitTime(), 0);
      await session.close();
    }
  }
});

Deno.test("Session takes a retryAfter that is no wait for none: the answer's counts, else pause", async () => {
  using _time = fakeClock();
  for (const wait of [NaN, -5, "600", null] as number[]) {
    for (const [headers, due] of [[{ "retry-after": "7" }, 7_000], [{}, 1_000]] as const) {
      const used = limiter();
      const session = open(play(() => Response.json({}, { headers })), {
        failure: () =>
          new BrokerError("Too many", {
            kind: "rate-limited",
            outcome: "rejected",
            retryAfter: wait,
          }),
        retry: false,
        throttlers: [used],
      });
      const { retryAfter } = await failure(session.post("orders"));
      assertEquals(retryAfter, due === 7_000 ? due : undefined);
      assertEquals(Math.round(used.waitTime()), due, `${wait}`);
      await session.close();
    }
  }
});

Deno.test("Session takes a failure() that returns no BrokerError for a mistake: decode, unknown of a 2xx", async () => {
  const mistakes = [
    () => Promise.resolve(undefined),
    () => Promise.reject(new Error("late")),
    () => ({ kind: "rejected" }),
    () => new Error("rejected"),
    () => true,
  ];
  for (const mistake of mistakes) {
    const wrong = mistake as unknown as SessionOptions["failure"];
    const executed = await failure(open(play(ok), { failure: wrong }).post("orders"));
    assert(executed instanceof BrokerError);
    assertEquals([executed.kind, executed.outcome, executed.status], ["decode", "unknown", 200]);
    const refusal = await failure(open(play(status(400)), { failure: wrong }).post("orders"));
    assert(refusal instanceof BrokerError);
    assertEquals([refusal.kind, refusal.outcome], ["rejected", "rejected"]);
  }
});

Deno.test("Session completes a copy of an error that failure() keeps for several answers, or has frozen", async () => {
  const doubt = () => new BrokerError("Ask the venue", { kind: "timeout", outcome: "unknown" });
  for (const own of [doubt(), Object.freeze(doubt()), Object.seal(doubt())]) {
    const venue = play(status(429), ok, ok);
    const session = open(venue, { failure: () => own, retry: false });
    const first = await failure(session.post("first"));
    const second = await failure(session.post("second"));
    const third = await failure(session.post("third"));
    assertEquals([first.kind, first.outcome, first.status], ["rate-limited", "rejected", 429]);
    for (const [error, path] of [[second, "second"], [third, "third"]] as const) {
      assertEquals([error.kind, error.outcome, error.status], ["timeout", "unknown", 200]);
      assertEquals([error.url, error.message], [`${BASE}/${path}`, "Ask the venue"]);
    }
    await session.close();
  }
});

Deno.test("Session shows nothing that was sent in any word of an error of failure()", async () => {
  const key = "aB3/cD+eF5gH7==";
  const session = open(play(status(400)), {
    failure: () =>
      new BrokerError(key, {
        kind: "rejected",
        outcome: "rejected",
        code: key,
        requestId: key,
        body: key,
        url: `${BASE}/orders?key=${key}`,
        cause: new Error(key),
      }),
  });
  const error = await failure(session.post("orders", { form: { key } }));
  assert(!Deno.inspect(error).includes(key), Deno.inspect(error));
  assertEquals([error.code, error.requestId, error.url], [
    "[redacted]",
    "[redacted]",
    `${BASE}/orders`,
  ]);
});

Deno.test("Session shows no short value of a login, and short values of an order in words and code", async () => {
  const session = open(play(status(400)), {
    failure: () =>
      new BrokerError("493817 of INFY", { kind: "rejected", outcome: "rejected", code: "493817" }),
  });
  const form = { pin: "493817", symbol: "INFY" };
  const login = await failure(session.post("login", { form, renew: false }));
  assertEquals([login.message, login.code], ["[redacted] of [redacted]", "[redacted]"]);
  const order = await failure(session.post("orders", { form }));
  assertEquals([order.message, order.code], ["493817 of INFY", "493817"]);
});

Deno.test("Session ignores a sync() that fails, at once or later", async () => {
  for (
    const sync of [
      () => Promise.reject(new Error("later")) as unknown as { used: number },
      () => {
        throw new Error("at once");
      },
    ]
  ) {
    const session = open(play(() => Response.json({ a: 1 })), { sync, throttlers: [limiter()] });
    assertEquals(await session.get("x"), { a: 1 });
    await new Promise((resolve) => setTimeout(resolve)); // an unhandled rejection would fail the test
  }
});

Deno.test("Session says of throttlers what is wrong with them", async () => {
  const cases: [throttlers: unknown, words: string][] = [
    [[{}], "let it pass: throttlers[0] is an object; wanted a Throttler"],
    [[null], "let it pass: throttlers[0] is null; wanted a Throttler"],
    ["x", 'let it pass: throttlers is "x", a string; wanted an array'],
    [5, "a throttler did not let it pass"],
  ];
  for (const [throttlers, words] of cases) {
    const session = open(play(ok));
    const error = await failure(session.post("orders", { throttlers: throttlers as [] }));
    assertEquals([error.kind, error.outcome], ["invalid", "not-sent"]);
    assert(error.message.includes(words), error.message);
    if (throttlers === 5) assert(error.message.endsWith(words), error.message);
  }
});

Deno.test("Session ends by its timeout, though the body of a fetch of its own never obeys the signal", async () => {
  const endless = () => new Response(new ReadableStream({ pull: () => new Promise(() => {}) }));
  for (const code of [200, 429]) {
    const session = open(play(() => new Response(endless().body, { status: code })), {
      timeout: 20,
      retry: false,
    });
    const error = await failure(session.post("orders"));
    assertEquals(error.outcome, code === 200 ? "unknown" : "rejected");
    await session.close();
  }
});

Deno.test("Session pauses after 429 and 418 without a word of failure(), and after no other status", async () => {
  using _time = fakeClock();
  for (const [code, wait] of [[429, 1_000], [418, 1_000], [403, 0], [503, 0], [400, 0]]) {
    for (const failure_ of [undefined, () => undefined]) {
      const used = limiter();
      const session = open(play(status(code)), {
        failure: failure_,
        retry: false,
        throttlers: [used],
      });
      await failure(session.post("orders"));
      assertEquals(Math.round(used.waitTime()), wait, `${code}`);
    }
  }
});

Deno.test("Session keeps kind and outcome of a status, though failure() says rate-limited, and pauses all the same", async () => {
  for (
    const [code, kind, outcome] of [
      [401, "unauthorized", "rejected"],
      [408, "timeout", "unknown"],
      [429, "rate-limited", "rejected"],
      [503, "network", "unknown"],
      [200, "rate-limited", "rejected"],
      [403, "rate-limited", "rejected"],
    ] as const
  ) {
    const used = limiter();
    const session = open(play(limited(code, 60_000)), { failure: failureOf, throttlers: [used] });
    const error = await failure(session.post("orders"));
    assertEquals([error.kind, error.outcome], [kind, outcome]);
    assertGreaterOrEqual(used.waitTime(), 50_000);
    await used.close();
  }
});

Deno.test("Session reconciles an order whose fate failure() does not know, after a 4xx or a 200", async () => {
  for (const code of [200, 400, 403, 404, 409]) {
    const venue = play(() =>
      Response.json({ message: "timed out, check the order book" }, { status: code })
    );
    const session = open(venue, {
      failure: ({ data }) => {
        const { message } = data as { message?: string };
        return message
          ? new BrokerError(message, { kind: "timeout", outcome: "unknown" })
          : undefined;
      },
    });
    const reply = await session.request("POST", "orders", {
      reconcile: {
        find: ({ error }) => ({ why: error.kind, status: error.status }),
      },
    });
    assertEquals(reply.data as unknown, { why: "timeout", status: code });
    assertEquals([reply.reconciled, reply.status, [...reply.headers]], [true, 0, []]);
    await session.close();
  }
});

Deno.test("Session with reconcile: found, absent, or its first error with the reason of the doubt", async () => {
  const find = (found: unknown) => ({ find: () => found, horizon: 0 });
  for (const found of [{ id: 1 }, null, 0, "", false]) {
    const session = open(play(broken));
    assertEquals(await session.post("orders", { reconcile: find(found) }), found);
  }
  const absent = await failure(open(play(broken)).post("orders", { reconcile: find(undefined) }));
  assertEquals([absent.kind, absent.outcome, absent.retriable], ["network", "absent", false]);
  using time = fakeClock();
  const fail = () => Promise.reject(new Error("The order book is down"));
  const session = open(play(broken));
  const options = { reconcile: { find: fail, horizon: 0, timeout: 1_000 } };
  const unknown = failure(session.post("orders", options));
  await time.tickAsync(1_000);
  assertEquals([(await unknown).kind, (await unknown).outcome], ["network", "unknown"]);
  assertEquals(((await unknown).cause as Error).message, "The order book is down");
});

Deno.test("Session does not reconcile what is known, what is aborted, and what repeats have settled", async () => {
  let lookUps = 0;
  const reconcile = { find: () => ++lookUps, horizon: 0 };
  for (const [fault, outcome] of [[status(400), "rejected"], [status(429), "rejected"]] as const) {
    assertEquals((await failure(open(play(fault)).post("x", { reconcile }))).outcome, outcome);
  }
  const once = { baseWait: 0, maxRetries: 1 };
  const unsent = await failure(open(play(refused), { retry: once }).post("x", { reconcile }));
  assertEquals(unsent.outcome, "not-sent");
  assertEquals(await open(play(refused, ok)).post<unknown>("x", { reconcile }), { id: 1 });
  const controller = new AbortController();
  const aborted = open(play(() => new Promise(() => {}))).post("x", {
    reconcile,
    signal: controller.signal,
  });
  await turn();
  controller.abort();
  assertEquals([(await failure(aborted)).kind, (await failure(aborted)).outcome], [
    "aborted",
    "unknown",
  ]);
  assertEquals(lookUps, 0);
});

Deno.test("Session reconciles beyond its deadline, and ends that when its signal is aborted", async () => {
  using time = fakeClock();
  const controller = new AbortController();
  const session = open(play(() => new Promise(() => {})), { timeout: Infinity });
  let looked = 0;
  const reconcile = { find: () => ++looked > 1 ? "found" : undefined };
  const found = session.post("x", { reconcile, deadline: 100 });
  await time.tickAsync(100);
  for (let waits = 0; looked < 2 && waits < 10; waits++) await time.tickAsync(200);
  assertEquals(await found, "found");
  const { signal } = controller;
  let lookUps = 0;
  const never = { find: () => void lookUps++ };
  const ended = failure(session.post("x", { reconcile: never, deadline: 100, signal }));
  await time.tickAsync(100);
  for (let waits = 0; lookUps < 1 && waits < 10; waits++) await time.tickAsync(100);
  controller.abort("enough");
  const error = await ended;
  assertEquals([error.kind, error.outcome, error.cause], ["aborted", "unknown", "enough"]);
  assertEquals(await time.nextAsync(), false, "no timer is left");
});

Deno.test("Session: a reconciliation goes on where the deadline passes meanwhile", async () => {
  using time = fakeClock();
  const session = open(play(broken));
  let looked = 0;
  const reconcile = { find: () => ++looked > 3 ? "found" : undefined };
  const found = session.post("x", { reconcile, deadline: 100 });
  for (let waits = 0; looked < 4 && waits < 50; waits++) await time.tickAsync(200);
  assertEquals(await found, "found");
  assertEquals(await time.nextAsync(), false, "no timer is left");
});

Deno.test("Session refuses a wrong reconcile before it sends anything", async () => {
  const venue = play(ok);
  const session = open(venue);
  for (
    const reconcile of [
      {},
      { find: 1 },
      { find: () => 1, horizon: -1 },
      { find: () => 1, horizon: 10, timeout: 5 },
      { find: () => 1, timeout: "1" },
    ]
  ) {
    const error = await failure(session.post("x", { reconcile: reconcile as never }));
    assertEquals([error.kind, error.outcome], ["invalid", "not-sent"]);
  }
  assertEquals(venue.sent.length, 0);
});

Deno.test("Session numbers its calls, so that the events of one can be told from another's", async () => {
  const events: SessionEvent[] = [];
  const session = open(play(refused, ok, ok, status(400)), {
    onEvent: (event) => events.push(event),
  });
  await Promise.allSettled([session.post("a"), session.post("b"), session.post("c")]);
  const calls = Map.groupBy(events, ({ call }: SessionEvent) => call);
  assertEquals([...calls.keys()].sort(), [1, 2, 3]);
  for (const ofOne of calls.values()) {
    assertEquals(new Set(ofOne.map(({ url }) => url)).size, 1);
    assertEquals(
      ofOne.filter(({ type }) => type === "request").at(-1)!.attempt,
      ofOne.at(-1)!.attempt,
    );
  }
  const other: SessionEvent[] = [];
  await open(play(ok), { onEvent: (event) => other.push(event) }).get("x");
  assertEquals(other[0].call, 1, "each session counts from 1");
});

Deno.test("Session tells how long an answer and a failure took", async () => {
  using time = fakeClock();
  await time.tickAsync(10_000); // a duration counts from its own beginning
  const slow = (step: Step): Step => async (request) => {
    await new Promise((resolve) => setTimeout(resolve, 70));
    return step(request);
  };
  const durations: [string, number][] = [];
  const session = open(play(slow(ok), slow(status(400))), {
    onEvent: (event) => "duration" in event && durations.push([event.type, event.duration]),
  });
  for (const call of [session.get("x"), failure(session.get("x"))]) {
    await time.tickAsync(70);
    await time.tickAsync(70);
    await call.catch(() => {});
  }
  assertEquals(durations.map(([type]) => type), ["response", "response", "failure"]);
  for (const [, duration] of durations) {
    assertGreaterOrEqual(duration, 70);
    assertLessOrEqual(duration, 140);
  }
});

Deno.test("Session tells by how many tokens the venue counts more than its throttler", async () => {
  const cases: [used: number, told: number[]][] = [[1, []], [5, [4]], [0, []]];
  for (const [used, told] of cases) {
    const events: SessionEvent[] = [];
    const throttler = new Throttler({ limit: 10, period: 60_000 });
    const answer = () => Response.json(1, { headers: { "x-used": `${used}` } });
    const session = open(play(answer), {
      throttlers: [throttler],
      sync: (headers) => ({ used: Number(headers.get("x-used")) }),
      onEvent: (event) => events.push(event),
    });
    await session.get("x");
    const excess = events.flatMap((event) => event.type === "excess" ? [event.tokens] : []);
    assertEquals(excess.length, told.length, `${used} used`);
    if (told.length > 0) assert(excess[0] > 0);
  }
});

Deno.test("Session charges a throttler the cost beside it, and the others the call's", async () => {
  const [weights, orders] = [limiter(), limiter()];
  const session = open(play(ok), { throttlers: [{ throttler: weights, cost: 40 }, orders] });
  await session.post("x", { cost: 3 });
  assertEquals([weights.available, orders.available], [60, 97]);
  await session.post("x", { throttlers: [{ throttler: orders, cost: 0 }] });
  assertEquals([weights.available, orders.available], [60, 97]);
});

Deno.test("Session says of a cost above a limit what the cost and the limit are", async () => {
  for (
    const [options, words] of [
      [{ cost: 11 }, /cost is 11.* 10/],
      [{ cost: -1 }, /cost is -1/],
      [{ cost: 1.5 }, /cost is 1\.5/],
      [{ cost: "2" as unknown as number }, /cost is "?2/],
    ] as const
  ) {
    const throttlers = [new Throttler({ limit: 10, period: 1_000 })];
    const error = await failure(open(play(ok)).post("x", { ...options, throttlers }));
    assertEquals([error.kind, error.outcome], ["invalid", "not-sent"]);
    assert(words.test(error.message), error.message);
  }
});

Deno.test("Session says of a throttler that refuses whether it is full, closed or out of reach", async () => {
  const full = new Throttler({ limit: 1, period: 60_000 }, { maxQueue: 0 });
  await full.run(() => {});
  const closed = new Throttler({ limit: 1, period: 60_000 });
  closed.close();
  const words: [RateLimiter, string, RegExp][] = [
    [full, "rate-limited", /0 wait.* maxQueue is 0/],
    [closed, "closed", /the throttler is closed/],
  ];
  for (const [throttler, kind, text] of words) {
    const error = await failure(open(play(ok)).post("x", { throttlers: [throttler] }));
    assertEquals([error.kind, error.outcome], [kind, "not-sent"]);
    assert(text.test(error.message), error.message);
  }
});

Deno.test("Session reads nothing of the answer to a HEAD, of 204 and of 205", async () => {
  for (
    const [method, code] of [["HEAD", 200], ["GET", 204], ["POST", 204], ["DELETE", 205]] as const
  ) {
    const session = open(play(status(code, { headers: { "x-used": "3" } })));
    const { data, status: seen, headers } = await session.request(method, "x");
    assertEquals([data, seen, headers.get("x-used")], [undefined, code, "3"]);
  }
});

Deno.test("Session reads at most maxBytes, the call's own before the session's", async () => {
  const answer = () =>
    new Response(JSON.stringify("x".repeat(98)), {
      headers: { "content-type": "application/json" },
    });
  for (const parse of ["json", "text", "bytes"] as const) {
    const error = await failure(open(play(answer), { maxBytes: 99 }).get("x", { parse }));
    assertEquals([error.kind, error.outcome, error.retriable], ["too-large", "unknown", false]);
    await open(play(answer), { maxBytes: 99 }).get("x", { parse, maxBytes: 100 });
    await open(play(answer), { maxBytes: 100 }).get("x", { parse });
    const own = await failure(open(play(answer)).get("x", { parse, maxBytes: 99 }));
    assertEquals(own.kind, "too-large");
  }
});

Deno.test("Session takes an answer that is no JSON for an error: decode, unknown of an order, repeated of a GET", async () => {
  for (const text of ["", "<html>Busy</html>", '{"id":', "1 2"]) {
    const answer = () => new Response(text, { headers: { "content-type": "application/json" } });
    const error = await failure(open(play(answer)).post("orders"));
    assertEquals([error.kind, error.outcome, error.status], ["decode", "unknown", 200]);
    assertEquals(error.body, text || undefined);
    const venue = play(answer, ok);
    assertEquals(await open(venue).get("x"), { id: 1 });
    assertEquals(venue.sent.length, 2);
  }
});

Deno.test("Session repeats nothing with shouldRetry: () => false, and tells onRetry of each repeat", async () => {
  const told: [number, string][] = [];
  const retry = {
    baseWait: 0,
    onRetry: ({ attempt, error }: { attempt: number; error: unknown }) =>
      void told.push([attempt, (error as BrokerError).kind]),
  };
  await open(play(broken, status(503), ok), { retry }).get("x");
  assertEquals(told, [[1, "network"], [2, "network"]]);
  for (const fault of [broken, refused, status(503), status(429)]) {
    const venue = play(fault, ok);
    await failure(open(venue, { retry: { ...retry, shouldRetry: () => false } }).get("x"));
    assertEquals(venue.sent.length, 1);
  }
  assertEquals(told.length, 2);
});

Deno.test("Session looks its hooks up when it needs them", async () => {
  const hooks: Pick<SessionOptions, "failure" | "onUnauthorized"> = {};
  const session = new Session({
    ...play(status(401), ok, () => Response.json({ retCode: 10006 })),
    baseUrl: BASE,
    get failure() {
      return hooks.failure;
    },
    get onUnauthorized() {
      return hooks.onUnauthorized;
    },
  });
  assertEquals((await failure(session.post("x"))).kind, "unauthorized");
  hooks.failure = failureOf;
  await session.post("x");
  assertEquals((await failure(session.post("x"))).kind, "rate-limited");
});

Deno.test("Exchange on Node refuses a compressed answer unless JSON shows that it is whole", async () => {
  const gzip = { "content-encoding": "gzip" };
  const node = async (parse: "json" | "text" | "bytes" | undefined, headers: HeadersInit) => {
    const options: SessionOptions = {
      baseUrl: `${BASE}/`,
      fetch: () => Promise.resolve(new Response("[1]", { headers })),
    };
    const defaults = checkOptions(options);
    const wish = { method: "GET", path: "x", options: parse ? { parse } : {}, isLogin: false };
    const call = new Call(1, prepare(wish, `${BASE}/`, defaults), new Timeouts(Infinity));
    const venue = {
      options,
      defaults,
      base: `${BASE}/`,
      headers: new SafeHeaders(),
      renewal: new Renewal(() => undefined, Infinity),
      transport: new Transport(options, { name: "node", version: "24.0.0" }),
    };
    return await new Exchange(venue, call, call.stop.begin()).run();
  };
  for (const parse of ["json", undefined] as const) {
    assertEquals((await node(parse, gzip)).data, [1]);
  }
  for (const parse of ["text", "bytes"] as const) {
    assertEquals((await failure(node(parse, gzip))).kind, "network");
    assertEquals((await node(parse, {})).status, 200);
  }
});

Deno.test("Session reads no more of a refusal than maxBytes: the status says enough", async () => {
  const words = "x".repeat(50);
  const session = open(play(() => new Response(words, { status: 400 })), { retry: false });
  for (const [maxBytes, body] of [[1_000, words], [10, undefined]] as const) {
    const error = await failure(session.get("x", { maxBytes }));
    assertEquals([error.kind, error.status, error.body || undefined], ["rejected", 400, body]);
  }
});
