import {
  assert,
  assertEquals,
  assertRejects,
  assertStrictEquals,
  assertStringIncludes,
} from "@std/assert";
import { FakeTime } from "@std/testing/time";
import { Renewal } from "../../session/renewal.ts";
import { BrokerError, type Session } from "../../session.ts";
import { Throttler } from "../../throttler.ts";
import { failure, gate, ok, open, play, type Sent, status, turn } from "./fake_venue.ts";

/** A venue that refuses every token but `alive`. */
function guarded(request: Sent): Response {
  return new Response("{}", { status: request.headers.authorization === "alive" ? 200 : 401 });
}

/** A session whose token has died, and whose login sends one call. */
function dead(
  options: { throttlers?: Throttler[]; timeout?: number; login?: () => Promise<void> } = {},
) {
  const venue = play((request) => request.url.endsWith("/login") ? ok(request) : guarded(request));
  let logins = 0;
  const session: Session = open(venue, {
    ...options,
    headers: { authorization: "dead" },
    onUnauthorized: async () => {
      logins++;
      await session.post("login", { renew: false });
      await options.login?.();
      session.headers.set("authorization", "alive");
    },
  });
  const tokens = () =>
    venue.sent.filter(({ url }) => !url.endsWith("/login")).map(({ headers }) =>
      headers.authorization
    );
  return { session, venue, tokens, logins: () => logins };
}

Deno.test("Session logs in before the calls that wait in the same throttler, and none goes out with the dead token", async () => {
  for (const limit of [1, 3, 20]) {
    const throttler = new Throttler({ limit, period: 30 });
    const { session, venue, tokens, logins } = dead({ throttlers: [throttler] });
    const calls = Array.from({ length: 21 }, (_, i) => session.post(`orders/${i}`));
    await Promise.all(calls);
    assertEquals(logins(), 1);
    const refused = tokens().filter((token) => token === "dead");
    assert(refused.length <= limit, `${refused.length} with the dead token`);
    const login = venue.sent.findIndex(({ url }) => url.endsWith("/login"));
    assertEquals(login, refused.length, "the login goes next");
    assertEquals(tokens().length, 21 + refused.length);
    await session.close();
  }
});

Deno.test("Session lets the calls that waited for a login go out in the order in which they came", async () => {
  const throttler = new Throttler({ limit: 1, period: 5 });
  const { session, venue } = dead({ throttlers: [throttler] });
  await Promise.all([0, 1, 2, 3, 4].map((i) => session.post(`orders/${i}`)));
  const paths = venue.sent.map(({ url }) => url.split("/").slice(4).join("/"));
  assertEquals(paths, ["orders/0", "login", ...[0, 1, 2, 3, 4].map((i) => `orders/${i}`)]);
  await session.close();
});

Deno.test("Session: a call that waits for a login spends no tokens, and its timeout has not begun", async () => {
  using time = new FakeTime();
  const throttler = new Throttler({ limit: 100, period: 3_600_000 });
  const login = Promise.withResolvers<void>();
  const venue = play(ok);
  const session = open(venue, { timeout: 1_000, onUnauthorized: () => login.promise });
  const renewal = session.renew();
  const calls = ["GET", "POST"].map((method) =>
    session.request(method, "x", { throttlers: [throttler], timeout: 100 })
  );
  await time.tickAsync(5_000);
  assertEquals([venue.sent.length, throttler.available, throttler.size], [0, 100, 0]);
  login.resolve();
  await renewal;
  await Promise.all(calls);
  assertEquals(throttler.available, 98);
  await session.close();
});

Deno.test("Session: a call that waits for a login is ended by its deadline and its signal, not-sent", async () => {
  using time = new FakeTime();
  const controller = new AbortController();
  const session = open(play(ok), {
    onUnauthorized: () => new Promise(() => {}),
    timeout: Infinity,
  });
  session.renew().catch(() => {});
  const late = failure(session.post("x", { deadline: 100 }));
  const aborted = failure(session.get("x", { signal: controller.signal }));
  controller.abort("no");
  await time.tickAsync(100);
  for (const [call, kind] of [[late, "timeout"], [aborted, "aborted"]] as const) {
    assertEquals([(await call).kind, (await call).outcome], [kind, "not-sent"]);
  }
  await session.close();
});

Deno.test("Session signs a request anew that was signed while a login began", async () => {
  const signing = Promise.withResolvers<void>();
  const drafts: (string | null)[] = [];
  const venue = play(guarded);
  const session: Session = open(venue, {
    headers: { authorization: "dead" },
    sign: ({ headers, attempt }) => {
      drafts.push(`${attempt} ${headers.get("authorization")}`);
      return signing.promise; // as a signature of WebCrypto takes its time
    },
    onUnauthorized: () => session.headers.set("authorization", "alive"),
  });
  const call = session.post("orders");
  await turn();
  await session.renew();
  signing.resolve();
  await call;
  assertEquals(drafts, ["1 dead", "1 alive"]);
  assertEquals(venue.sent.map(({ headers }) => headers.authorization), ["alive"]);
  await session.close();
});

Deno.test("Session.renew() joins the login that a 401 has begun, and a 401 joins that of renew()", async () => {
  for (const isFirst of [true, false]) {
    const { step, open: answer } = gate(status(401));
    let logins = 0;
    const login = Promise.withResolvers<void>();
    const session = open(play(step, ok), {
      onUnauthorized: () => {
        logins++;
        return login.promise;
      },
    });
    const call = session.post("orders"); // sent with the old token
    await turn();
    const first = isFirst ? session.renew() : undefined;
    answer();
    await turn();
    const second = session.renew();
    const third = session.renew();
    login.resolve();
    await Promise.all([call, first, second, third]);
    assertEquals(logins, 1);
    await session.close();
  }
});

Deno.test("Session replays a request at once whose 401 comes after a renewal has ended", async () => {
  const { step, open: answer } = gate(status(401));
  let logins = 0;
  const venue = play(step, ok);
  const session = open(venue, { onUnauthorized: () => void logins++ });
  const call = session.post("orders");
  await turn();
  await session.renew();
  answer();
  await call;
  assertEquals([logins, venue.sent.length], [1, 2]);
  await session.renew();
  assertEquals(logins, 2, "each renew() after the end of a login begins another");
  await session.close();
});

Deno.test("Session.renew() rejects with the login's own error, and without a login or once closed", async () => {
  const own = new Error("Wrong password");
  const failing = open(play(ok), { onUnauthorized: () => Promise.reject(own) });
  assertStrictEquals(await assertRejects(() => failing.renew()), own);
  const without = await failure(open(play(ok)).renew());
  assertEquals([without.kind, without.outcome], ["invalid", "not-sent"]);
  assertStringIncludes(without.message, "wanted onUnauthorized");
  await failing.close();
  assertEquals((await failure(failing.renew())).kind, "closed");
  const circular: Session = open(play(ok), { onUnauthorized: () => circular.renew() });
  assertStringIncludes((await failure(circular.renew())).message, "wait for itself");
  await circular.close();
});

Deno.test("Session: when the login fails, a refused call throws its own error and outcome, with the login's as its cause", async () => {
  const causes = [
    new Error("Wrong password"),
    new BrokerError("No", { kind: "network", outcome: "unknown" }),
    "text",
  ];
  for (const cause of causes) {
    for (const method of ["GET", "POST", "PUT"]) {
      const body = { code: "TokenException" };
      const venue = play(() => Response.json(body, { status: 401 }));
      const session = open(venue, { onUnauthorized: () => Promise.reject(cause) });
      const error = await failure(session.request(method, "orders"));
      const { kind, outcome, status, code, retriable } = error;
      assertEquals([kind, outcome, status, code, retriable], [
        "unauthorized",
        "rejected",
        401,
        "TokenException",
        false,
      ]);
      assertStrictEquals(error.cause, cause);
      assertEquals(venue.sent.length, 1);
      await session.close();
    }
  }
});

Deno.test("Session: when the login fails, a call that waited for it is unauthorized, not-sent, and not repeated", async () => {
  const own = new Error("Wrong password");
  const login = Promise.withResolvers<void>();
  const throttler = new Throttler({ limit: 1, period: 60_000 });
  throttler.pause(60_000);
  const venue = play(ok);
  const session = open(venue, { onUnauthorized: () => login.promise });
  const inLine = failure(session.post("x", { throttlers: [throttler] }));
  await turn();
  const renewal = session.renew().catch((error) => error);
  const calls = ["GET", "POST"].map((method) => failure(session.request(method, "x")));
  await turn();
  login.reject(own);
  for (const call of [inLine, ...calls]) {
    const { kind, outcome, cause, retriable } = await call;
    assertEquals([kind, outcome, retriable], ["unauthorized", "not-sent", false]);
    assertStrictEquals(cause, own);
  }
  assertStrictEquals(await renewal, own);
  assertEquals([venue.sent.length, throttler.size], [0, 0]);
  assertEquals(await session.get("x"), { id: 1 }, "the next call goes out");
  await session.close();
  await throttler.close();
});

Deno.test("Session: a login that waits for itself ends, and so does one that never ends", async () => {
  using time = new FakeTime();
  const logins = {
    "waits for itself": async (session: Session) => {
      await Promise.resolve();
      await session.post("login"); // without renew: false
    },
    "never ends": () => new Promise<void>(() => {}),
  };
  for (const [name, login] of Object.entries(logins)) {
    const session: Session = open(play(status(401)), {
      timeout: 100,
      onUnauthorized: () => login(session),
    });
    const refused = failure(session.post("orders"));
    await time.tickAsync(1);
    const held = failure(session.post("orders"));
    await time.tickAsync(100);
    assertEquals([(await refused).kind, (await refused).outcome], ["timeout", "rejected"], name);
    await time.tickAsync(899);
    const { kind, outcome, cause } = await held;
    assertEquals([kind, outcome], ["unauthorized", "not-sent"], name);
    assertStringIncludes((cause as Error).message, "not done within 1000 ms");
    await session.close();
    assertEquals(await time.nextAsync(), false, "no timer is left");
  }
});

Deno.test("Session.close() ends a login that never ends, and leaves no timer", async () => {
  using time = new FakeTime();
  const session = open(play(ok), { onUnauthorized: () => new Promise(() => {}) });
  const renewal = session.renew().catch((error: Error) => error.message);
  const held = failure(session.post("orders"));
  await session.close();
  assertEquals([(await held).kind, (await held).outcome], ["closed", "not-sent"]);
  assertEquals(await renewal, "Cannot log in: the session was closed");
  assertEquals(await time.nextAsync(), false, "no timer is left");
});

Deno.test("Session.renew() rejects with a BrokerError if the session closes meanwhile, or the login never ends", async () => {
  for (const [kind, timeout] of [["closed", 60_000], ["timeout", 2]] as const) {
    const session = open(play(), { timeout, onUnauthorized: () => new Promise(() => {}) });
    const renewed = failure(session.renew());
    if (kind === "closed") await session.close();
    const error = await renewed;
    assert(error instanceof BrokerError);
    assertEquals([error.kind, error.outcome], [kind, "unknown"]);
    await session.close();
  }
});

Deno.test("Renewal takes calls out of their lines from the end, the urgent last, before the login sends anything", async () => {
  const seen: string[] = [];
  const renewal = new Renewal(() => () => void seen.push("login"), 1_000);
  for (const name of ["first", "second"]) renewal.onBegin(() => void seen.push(name));
  for (const name of ["early", "late"]) renewal.onBegin(() => void seen.push(name), true);
  const forget = renewal.onBegin(() => void seen.push("third"));
  forget();
  renewal.onBegin(() => void seen.push("fourth"));
  await renewal.run();
  assertEquals(seen, ["fourth", "second", "first", "late", "early", "login"]);
});

Deno.test("Renewal.renew() begins one login for each generation", async () => {
  let logins = 0;
  const renewal = new Renewal(() => () => void logins++, 1_000);
  await Promise.all([renewal.renew(0), renewal.renew(0), renewal.run()]);
  await renewal.renew(0);
  assertEquals([logins, renewal.generation], [1, 1]);
  await renewal.renew(1);
  assertEquals([logins, renewal.generation, renewal.isRunning], [2, 2, false]);
});

Deno.test("Renewal: a login that was given up does not end the next one when it comes to its end", async () => {
  const logins: PromiseWithResolvers<void>[] = [];
  const renewal = new Renewal(() => () => {
    logins.push(Promise.withResolvers());
    return logins.at(-1)!.promise;
  }, 1_000);
  const first = assertRejects(() => renewal.run(), BrokerError, "given up");
  renewal.giveUp("closed", "given up");
  await first;
  const second = renewal.run();
  logins[0].resolve();
  await turn();
  assertEquals([renewal.isRunning, renewal.generation], [true, 1]);
  logins[1].resolve();
  await second;
  assertEquals([renewal.isRunning, renewal.generation], [false, 2]);
});

Deno.test("Session repeats no call after its login has failed, whatever shouldRetry says", async () => {
  const venue = play(status(401));
  const session = open(venue, {
    onUnauthorized: () => Promise.reject(new Error("wrong password")),
    retry: { baseWait: 0, jitter: 0, maxRetries: 3, shouldRetry: () => true },
  });
  const error = await failure(session.get("x"));
  assertEquals(error.kind, "unauthorized");
  assertEquals(venue.sent.length, 1);
});
