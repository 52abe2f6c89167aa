import { assert, assertEquals, assertStrictEquals } from "@std/assert";
import { FakeTime } from "@std/testing/time";
import { fakeClock } from "../fake_clock.ts";
import { reconcile } from "../../reconcile.ts";
import type { RequestOptions, Session } from "../../session.ts";
import {
  broken,
  failure,
  gate,
  never,
  ok,
  open,
  play,
  refused,
  status,
  turn,
} from "./fake_venue.ts";

/** An order that is reconciled by a look-up through the same session. */
function reconciled(session: () => Session, horizon: number): RequestOptions {
  return {
    reconcile: {
      find: ({ signal }) => session().get("orders/1", { signal }),
      horizon,
    },
  };
}

Deno.test("Session.close() lets an order that has been handed to fetch come to its end", async () => {
  for (
    const [method, options] of [["POST", {}], ["PUT", { idempotent: true }], [
      "DELETE",
      {},
    ]] as const
  ) {
    const { step, open: answer } = gate();
    const session = open(play(step));
    const order = session.request(method, "orders", options);
    await turn();
    let isClosed = false;
    const closed = session.close().then(() => isClosed = true);
    await turn();
    assertEquals(isClosed, false);
    answer();
    assertEquals((await order).data, { id: 1 });
    await closed;
  }
});

Deno.test("Session.close() lets a refusal of an order come to its end: its words are heard", async () => {
  const { step, open: answer } = gate(() => Response.json({ code: "M1" }, { status: 400 }));
  const session = open(play(step));
  const order = failure(session.post("orders"));
  await turn();
  const closed = session.close();
  answer();
  assertEquals([(await order).kind, (await order).code], ["rejected", "M1"]);
  await closed;
});

Deno.test("Session.close() ends an order that was not answered within closeTimeout: closed, unknown", async () => {
  using time = new FakeTime();
  for (const [closeTimeout, wait] of [[undefined, 5_000], [100, 100], [60_000, 60_000]] as const) {
    const session = open(play(never), { closeTimeout, timeout: Infinity });
    const order = failure(session.post("orders"));
    await time.tickAsync(1);
    let isClosed = false;
    session.close().then(() => isClosed = true);
    await time.tickAsync(wait - 1);
    assertEquals(isClosed, false);
    await time.tickAsync(1);
    const { kind, outcome, message } = await order;
    assertEquals([kind, outcome, isClosed], ["closed", "unknown", true]);
    assert(message.endsWith("the session was closed; it may have been executed"), message);
    assertEquals(await time.nextAsync(), false, "no timer is left");
  }
});

Deno.test("Session.close() with closeTimeout: Infinity waits for an order as long as it takes", async () => {
  using time = new FakeTime();
  const { step, open: answer } = gate();
  const session = open(play(step), { closeTimeout: Infinity, timeout: Infinity });
  const order = session.post("orders");
  await time.tickAsync(1);
  const closed = session.close();
  await time.tickAsync(3_600_000);
  answer();
  assertEquals(await order, { id: 1 });
  await closed;
});

Deno.test("Session.close() leaves no timer behind once the last order has ended", async () => {
  using time = new FakeTime();
  const { step, open: answer } = gate();
  const session = open(play(step));
  const order = session.post("orders");
  await time.tickAsync(1);
  const closed = session.close();
  answer();
  await Promise.all([order, closed]);
  assertEquals(await time.nextAsync(), false);
});

Deno.test("Session.close() repeats and replays nothing: an order that fails meanwhile ends with its own error", async () => {
  for (
    const [fault, kind, outcome] of [
      [refused, "network", "not-sent"],
      [broken, "network", "unknown"],
      [status(401), "unauthorized", "rejected"],
      [status(503), "network", "unknown"],
    ] as const
  ) {
    const { step, open: answer } = gate(fault);
    let logins = 0;
    const venue = play(step, ok);
    const session = open(venue, { onUnauthorized: () => void logins++ });
    const order = failure(session.put("orders", { idempotent: true, json: {} }));
    await turn();
    const closed = session.close();
    answer();
    assertEquals([(await order).kind, (await order).outcome], [kind, outcome]);
    assertEquals([venue.sent.length, logins], [1, 0]);
    await closed;
  }
});

Deno.test("Session.close() lets the reconciliation of an order come to an end, with its look-ups", async () => {
  const { step, open: answer } = gate(broken);
  const venue = play(step, broken, () => Response.json({ id: 7 }));
  const session: Session = open(venue);
  const order = session.post("orders", reconciled(() => session, 0));
  await turn();
  const closed = session.close();
  assertEquals((await failure(session.get("x"))).kind, "closed");
  answer();
  assertEquals(await order, { id: 7 });
  await closed;
  assertEquals(venue.sent.map(({ method }) => method), ["POST", "GET", "GET"]);
  assertEquals((await failure(session.get("x"))).kind, "closed");
});

Deno.test("Session.close() lets a look-up log in anew", async () => {
  const { step, open: answer } = gate(broken);
  const venue = play(step, status(401), ok, () => Response.json({ id: 7 }));
  const session: Session = open(venue, {
    onUnauthorized: () => session.post("login", { renew: false }).then(() => {}),
  });
  const order = session.post("orders", reconciled(() => session, 0));
  await turn();
  const closed = session.close();
  answer();
  assertEquals(await order, { id: 7 });
  await closed;
  assertEquals(venue.sent.map(({ url }) => url.split("/").at(-1)), ["orders", "1", "login", "1"]);
});

Deno.test("Session.close() ends a reconciliation after closeTimeout: closed, unknown", async () => {
  using time = new FakeTime();
  const venue = play(broken, never);
  const session: Session = open(venue, { closeTimeout: 100 });
  const order = failure(session.post("orders", reconciled(() => session, 10_000)));
  await time.tickAsync(1);
  const closed = session.close();
  await time.tickAsync(100);
  assertEquals([(await order).kind, (await order).outcome], ["closed", "unknown"]);
  await closed;
  assertEquals(await time.nextAsync(), false, "no timer is left");
});

Deno.test("reconcile() around a session's call finds the order while the session closes", async () => {
  const { step, open: answer } = gate(broken);
  const look = gate(() => Response.json({ id: 7 }));
  const session = open(play(step, look.step));
  const order = reconcile(() => session.post("orders"), {
    find: ({ signal }) => session.get("orders/1", { signal }),
    horizon: 0,
  });
  await turn();
  answer();
  await turn();
  const closed = session.close();
  look.open();
  assertEquals(await order, { id: 7 });
  await closed;
});

Deno.test("Session.close() twice closes once", async () => {
  const session = open(play(ok));
  await Promise.all([session.close(), session.close(), session[Symbol.asyncDispose]()]);
  assertStrictEquals((await failure(session.post("x"))).kind, "closed");
});

Deno.test("Session.close() with closeTimeout: 0 ends an order at once, without any timer", async () => {
  using time = new FakeTime();
  const session = open(play(never), { closeTimeout: 0, timeout: Infinity });
  const order = failure(session.post("orders"));
  await time.tickAsync(1);
  let isEnded = false;
  order.then(() => isEnded = true);
  const closed = session.close();
  await time.tickAsync(0);
  assertEquals(isEnded, true);
  await closed;
});

Deno.test("Session.close() keeps a closeTimeout that no timer can hold", async () => {
  const { step, open: answer } = gate();
  const session = open(play(step), { closeTimeout: 2 ** 40 });
  const order = session.post("orders");
  await turn();
  const closed = session.close();
  await new Promise((resolve) => setTimeout(resolve, 50));
  answer();
  assertEquals(await order, { id: 1 });
  await closed;
});

Deno.test("Session counts the horizon of a reconciliation from the end of the request", async () => {
  using time = fakeClock();
  await time.tickAsync(60_000);
  let lookUps = 0;
  const session = open(play(broken), {});
  const order = failure(
    session.post("orders", { reconcile: { find: () => void lookUps++, horizon: 10_000 } }),
  );
  let isSettled = false;
  order.then(() => isSettled = true);
  await time.tickAsync(9_999);
  assertEquals(isSettled, false);
  for (let second = 0; second < 30; second++) await time.tickAsync(1_000);
  assertEquals((await order).outcome, "absent");
  assert(lookUps > 1);
});
