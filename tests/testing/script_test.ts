import { assertEquals, assertThrows } from "@std/assert";
import { BrokerError, Session } from "../../session.ts";
import { reply, SimulatedVenue, VirtualTime } from "../../testing.ts";
import {
  admitThrough,
  endThrough,
  FEEDS,
  liveThrough,
  loopback,
  ORDERS,
  placeThrough,
  simulated,
  stepThrough,
  throwThrough,
} from "./table.ts";

for (const fault of Object.keys(ORDERS) as (keyof typeof ORDERS)[]) {
  Deno.test(`VenueScript: an order through ${fault} has the same fate on both stages`, async () => {
    await placeThrough(await loopback(), fault);
    for (const runtime of ["deno", "node", "bun"] as const) {
      await placeThrough(await simulated(runtime), fault);
    }
  });
}

for (const fault of Object.keys(FEEDS)) {
  Deno.test(`VenueScript: a feed is live again after ${fault}, on both stages`, async () => {
    await liveThrough(await loopback(), fault);
    for (const runtime of ["deno", "node", "bun", "browser"] as const) {
      await liveThrough(await simulated(runtime), fault);
    }
  });
}

for (const status of [401, 403] as const) {
  Deno.test(`VenueScript: a feed ends after the status ${status} of its upgrade, on both stages`, async () => {
    await endThrough(await loopback(), status);
    for (const runtime of ["deno", "node", "bun"] as const) {
      await endThrough(await simulated(runtime), status);
    }
  });
}

const BOTH = {
  "VenueScript.will() says how the next requests of a route end, the last step again and again":
    stepThrough,
  "FeedScript.onUpgrade() accepts and refuses upgrades in its own time": admitThrough,
  "VenueScript.errors has what the feed's handlers throw": throwThrough,
};
for (const [name, play] of Object.entries(BOTH)) {
  Deno.test(`${name}, on both stages`, async () => {
    await play(await loopback());
    for (const runtime of ["deno", "node", "bun"] as const) await play(await simulated(runtime));
  });
}

/** A simulated venue, and what a session gets from it. */
async function ask(
  venue: SimulatedVenue,
  time: VirtualTime,
  ...calls: ((session: Session) => Promise<unknown>)[]
): Promise<unknown[]> {
  const session = new Session({ baseUrl: venue.httpUrl, fetch: venue.fetch, retry: false });
  const answers = calls.map((call) =>
    call(session).catch((error: BrokerError) => error.status ?? error.kind)
  );
  await time.pass(5_000);
  await session.close();
  return await Promise.all(answers);
}

Deno.test("VenueScript.on() answers a route: parameters, query, JSON, forms, statuses, what is thrown", async () => {
  using time = new VirtualTime();
  const venue = new SimulatedVenue();
  venue.on("GET /orders/:id", ({ params, query }) => ({ ...params, ...Object.fromEntries(query) }));
  venue.on("POST /json", (request) => request.json());
  venue.on("POST /form", (request) => Object.fromEntries(request.form()));
  venue.on("GET /fixed", { fixed: true });
  venue.on("GET /nothing", () => undefined);
  venue.on("GET /status", () => reply(418, { tea: true }, { "retry-after": "1" }));
  venue.on("GET /thrown", () => {
    throw reply(404);
  });
  venue.on("GET /broken", () => {
    throw new Error("of the test");
  });
  const answers = await ask(
    venue,
    time,
    (session) => session.get("orders/a%20b?x=1"),
    (session) => session.post("json", { json: { a: [1] } }),
    (session) => session.post("form", { form: { a: "1 2" } }),
    (session) => session.get("fixed"),
    (session) => session.get("nothing"),
    (session) => session.get("status"),
    (session) => session.get("thrown"),
    (session) => session.get("broken"),
    (session) => session.get("unknown"),
  );
  assertEquals(answers, [
    { id: "a b", x: "1" },
    { a: [1] },
    { a: "1 2" },
    { fixed: true },
    undefined,
    418,
    404,
    500,
    501,
  ]);
  assertEquals(venue.errors.map((error) => (error as Error).message), [
    "of the test",
    "Cannot answer GET /unknown: there is no route for it",
  ]);
  assertEquals(venue.requests.length, 9);
});

Deno.test("VenueScript.on(): the latest handler of a route counts", async () => {
  using time = new VirtualTime();
  const venue = new SimulatedVenue();
  venue.on("GET /x", { turn: 1 }).on("GET /x", { turn: 2 });
  assertEquals(await ask(venue, time, (session) => session.get("x")), [{ turn: 2 }]);
});

Deno.test('VenueScript: the route "*" stands for requests that no other route names, in on() and in will()', async () => {
  using time = new VirtualTime();
  const venue = new SimulatedVenue({ latency: [1, 1] });
  venue.on("GET /x", { x: 1 }).on("*", { any: 1 }).on("*", { any: 2 });
  venue.will("GET /y", reply(404)).will("*", reply(400));
  const get = (path: string) => (session: Session) => session.get(path);
  assertEquals(await ask(venue, time, get("x"), get("y"), get("z")), [400, 404, 400]);
  venue.will("*");
  assertEquals(await ask(venue, time, get("x"), get("y"), get("z")), [{ x: 1 }, 404, { any: 2 }]);
  venue.will("GET /y", () => ({ y: 1 }));
  assertEquals(await ask(venue, time, get("y")), [{ y: 1 }], "what was said before counts no more");
  venue.heal();
  assertEquals(await ask(venue, time, get("y")), [{ any: 2 }]);
});

Deno.test("VenueScript.will() goes before fail(), whose plans count the request all the same", async () => {
  using time = new VirtualTime();
  const venue = new SimulatedVenue({ latency: [1, 1] }).on("GET /x", { x: 1 });
  venue.fail("GET /x", "status", { nth: 2, status: 500 }).will("GET /x", reply(404));
  const get = (session: Session) => session.get("x");
  assertEquals(await ask(venue, time, get), [404]);
  venue.will("GET /x");
  assertEquals(await ask(venue, time, get, get), [500, { x: 1 }]);
});

Deno.test("VenueScript.fail() strikes from the nth request on, as often as told, and its route only", async () => {
  using time = new VirtualTime();
  const venue = new SimulatedVenue({ latency: [1, 1] });
  venue.on("GET /x", {}).on("GET /y", {});
  venue.fail("GET /x", "status", { nth: 2, times: 2, status: 500 });
  const get = (path: string) => (session: Session) => session.get(path);
  const answers = await ask(venue, time, ...["x", "y", "x", "y", "x", "x"].map(get));
  assertEquals(answers, [{}, {}, 500, {}, 500, {}]);
  venue.fail("*", "status", { times: Infinity, status: 400 });
  assertEquals(await ask(venue, time, get("x"), get("y"), get("z")), [400, 400, 400]);
  venue.heal();
  assertEquals(await ask(venue, time, get("x"), get("z")), [{}, 501]);
});

Deno.test("VenueScript.fail(): of several plans for one request the earliest strikes, and the others wait", async () => {
  using time = new VirtualTime();
  const venue = new SimulatedVenue({ latency: [1, 1] });
  venue.on("GET /x", {});
  venue.fail("GET /x", "status", { status: 400 }).fail("GET /x", "status", { status: 403 });
  venue.fail("*", "status", { status: 404, nth: 3 }).fail("*", "status", { status: 409, nth: 3 });
  const get = (session: Session) => session.get("x");
  const answers = await ask(venue, time, get, get, get, get, get);
  assertEquals(answers, [400, 403, 404, 409, {}]);
});

Deno.test('VenueScript.fail() with "swapped-answers" gives two requests the answer of each other', async () => {
  using time = new VirtualTime();
  const venue = new SimulatedVenue({ latency: [1, 1] });
  venue.on("GET /orders/:id", ({ params }) => params);
  venue.fail("GET /orders/:id", "swapped-answers");
  const get = (id: string) => (session: Session) => session.get(`orders/${id}`);
  assertEquals(await ask(venue, time, get("a"), get("b"), get("c")), [
    { id: "b" },
    { id: "a" },
    { id: "c" },
  ]);
});

Deno.test("VenueScript refuses a route and a fault that make no sense", () => {
  const venue = new SimulatedVenue();
  for (const route of ["orders", "POST orders", "post /orders", "", "GET /orders/client::id"]) {
    assertThrows(() => venue.on(route, {}), TypeError, "Cannot use the route");
  }
  assertThrows(() => venue.fail("*", "explode" as "garbage"), TypeError, "wanted one of reset-");
  for (const step of ["explode" as "garbage", ["explode" as "garbage", {}] as const]) {
    assertThrows(() => venue.will("*", "garbage", step), TypeError, "wanted one of reset-");
  }
  for (const options of [{ nth: 0 }, { nth: 1.5 }, { times: 0 }, { times: NaN }]) {
    assertThrows(() => venue.fail("*", "garbage", options), RangeError, "wanted from 1");
  }
});
