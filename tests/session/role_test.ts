import { assertEquals } from "@std/assert";
import { markLookUp } from "../../common/look_up.ts";
import { roleOf, RULES } from "../../session/role.ts";
import type { RequestOptions } from "../../session.ts";
import { Throttler } from "../../throttler.ts";
import { failure, never, ok, open, play, status, turn } from "./fake_venue.ts";

/** The signal of a reconciliation. */
function lookUp(): AbortSignal {
  const { signal } = new AbortController();
  markLookUp(signal);
  return signal;
}

/** One call of each role, and a second one of the other kind of method. */
const CALLS: [role: keyof typeof RULES, method: string, options: () => RequestOptions][] = [
  ["order", "POST", () => ({})],
  ["order", "DELETE", () => ({ idempotent: true })],
  ["look-up", "GET", () => ({ signal: lookUp() })],
  ["look-up", "POST", () => ({ signal: lookUp() })],
  ["login", "POST", () => ({ renew: false })],
  ["login", "GET", () => ({ renew: false })],
  ["other", "GET", () => ({})],
  ["other", "OPTIONS", () => ({})],
];

Deno.test("roleOf() goes by the login, then the look-up, then the method", () => {
  for (const isSafe of [true, false]) {
    for (const isLookUp of [true, false]) {
      assertEquals(roleOf({ isLogin: true, isLookUp, isSafe }), "login");
    }
    assertEquals(roleOf({ isLogin: false, isLookUp: true, isSafe }), "look-up");
  }
  assertEquals(roleOf({ isLogin: false, isLookUp: false, isSafe: true }), "other");
  assertEquals(roleOf({ isLogin: false, isLookUp: false, isSafe: false }), "order");
});

for (const [role, method, options] of CALLS) {
  const name = `${role} (${method})`;
  const isUrgent = role === "login" || role === "look-up";

  Deno.test(`Session: in a throttler's line, ${name} ${isUrgent ? "goes first" : "waits its turn"}`, async () => {
    const throttlers = [new Throttler({ limit: 1, period: 10 })];
    const venue = play(ok);
    const session = open(venue, { throttlers });
    const calls = ["first", "second", "third"].map((path) => session.post(path));
    calls.push(session.request(method, "last", options()).then(() => {}));
    await Promise.all(calls);
    const order = venue.sent.map(({ url }) => url.split("/").at(-1));
    const expected = isUrgent
      ? ["first", "last", "second", "third"]
      : ["first", "second", "third", "last"];
    assertEquals(order, expected);
    await session.close();
  });

  const isHeld = role !== "login";

  Deno.test(`Session: while a login runs, ${name} ${isHeld ? "waits for it" : "goes out"}`, async () => {
    const venue = play(ok);
    const login = Promise.withResolvers<void>();
    const session = open(venue, { onUnauthorized: () => login.promise });
    const renewal = session.renew();
    const call = session.request(method, "x", options());
    await turn();
    assertEquals(venue.sent.length, isHeld ? 0 : 1);
    login.resolve();
    await Promise.all([renewal, call]);
    assertEquals(venue.sent.length, 1);
    await session.close();
  });

  Deno.test(`Session: a 401 of ${name} ${isHeld ? "makes the session log in" : "is final"}`, async () => {
    let logins = 0;
    const venue = play(status(401), ok);
    const session = open(venue, { onUnauthorized: () => void logins++ });
    const call = session.request(method, "x", options());
    if (isHeld) await call;
    else assertEquals((await failure(call)).kind, "unauthorized");
    assertEquals([logins, venue.sent.length], isHeld ? [1, 2] : [0, 1]);
    await session.close();
  });

  const { outlivesClose, beginsWhileClosing } = RULES[role];

  Deno.test(`Session.close() ends ${name} in flight: ${outlivesClose === "nothing"}`, async () => {
    const { promise: answered, resolve: answer } = Promise.withResolvers<Response>();
    const session = open(play(() => answered));
    const call = session.request(method, "x", options());
    await turn();
    const closed = session.close();
    if (outlivesClose === "nothing") assertEquals((await failure(call)).kind, "closed");
    answer(Response.json(1));
    if (outlivesClose !== "nothing") assertEquals((await call).data, 1);
    await closed;
  });

  Deno.test(`Session.close() ends ${name} in a throttler's line: ${outlivesClose !== "everything"}`, async () => {
    const throttler = new Throttler({ limit: 1, period: 20 });
    throttler.pause(20);
    const venue = play(ok);
    const session = open(venue, { throttlers: [throttler] });
    const call = session.request(method, "x", options());
    await turn();
    const closed = session.close();
    if (outlivesClose === "everything") await call;
    else {
      const { kind, outcome } = await failure(call);
      assertEquals([kind, outcome, throttler.size], ["closed", "not-sent", 0]);
    }
    assertEquals(venue.sent.length, outlivesClose === "everything" ? 1 : 0);
    await closed;
  });

  Deno.test(`Session: while it closes, ${name} is ${beginsWhileClosing ? "sent" : "refused"}; then refused`, async () => {
    const { promise: answered, resolve: answer } = Promise.withResolvers<Response>();
    const venue = play(() => answered, ok);
    const session = open(venue);
    const order = session.post("orders");
    await turn();
    const closed = session.close();
    const call = session.request(method, "x", options());
    if (beginsWhileClosing) await call;
    else assertEquals((await failure(call)).kind, "closed");
    answer(Response.json(1));
    await Promise.all([order, closed]);
    const late = await failure(session.request(method, "x", options()));
    assertEquals([late.kind, late.outcome], ["closed", "not-sent"]);
    assertEquals(venue.sent.length, beginsWhileClosing ? 2 : 1);
  });

  Deno.test(`Session.close() with closeTimeout: 0 ends ${name} at once`, async () => {
    const session = open(play(never), { closeTimeout: 0 });
    const call = failure(session.request(method, "x", options()));
    await turn();
    await session.close();
    assertEquals([(await call).kind, (await call).outcome], ["closed", "unknown"]);
  });
}
