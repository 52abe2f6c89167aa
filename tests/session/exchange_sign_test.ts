import { assert, assertEquals, assertNotEquals, assertStringIncludes } from "@std/assert";
import { BrokerError, type Draft, Session } from "../../session.ts";
import { SimulatedVenue, VirtualTime } from "../../testing.ts";
import { VenueClock } from "../../venue_clock.ts";
import { failure, ok, open, play } from "./fake_venue.ts";

async function sentText({ body }: RequestInit): Promise<string> {
  return await new Response(body).text();
}

Deno.test("Session sends what sign makes of the URL, the headers and the body, once its promise has settled", async () => {
  const venue = play(ok);
  const sign = async (draft: Draft) => {
    await new Promise((resolve) => setTimeout(resolve, 1));
    draft.url.searchParams.set("signature", `${draft.method}${draft.body}`);
    draft.headers.set("x-key", "k1");
    draft.body = `${draft.body}&a=1`;
  };
  await open(venue, { sign, headers: { "x-key": "k0", "x-own": "o" } }).post("orders?q=1", {
    form: { symbol: "INFY" },
  });
  const [request] = venue.sent;
  assertEquals(
    request.url,
    "https://api.venue.example/v1/orders?q=1&signature=POSTsymbol%3DINFY",
  );
  assertEquals([request.headers["x-key"], request.headers["x-own"]], ["k1", "o"]);
  assertEquals(await sentText(request), "symbol=INFY&a=1");
});

Deno.test("Session calls sign for every attempt, and counts them for it", async () => {
  const attempts: number[] = [];
  const venue = play(() => new Response(null, { status: 503 }), ok);
  await open(venue, { sign: ({ attempt }) => void attempts.push(attempt) }).get("x");
  assertEquals(attempts, [1, 2]);
});

for (
  const [what, lead] of [
    [
      "another host",
      (draft: Draft) => void (draft.url = new URL("https://evil.example/v1/orders")),
    ],
    ["a place above the base", (draft: Draft) => void (draft.url.pathname = "/orders")],
    ["a sibling of the base", (draft: Draft) => void (draft.url.pathname = "/v12/orders")],
    ["another scheme", (draft: Draft) => void (draft.url.protocol = "http:")],
  ] as const
) {
  Deno.test(`Session sends nothing where sign leads to ${what}: invalid, not-sent`, async () => {
    const venue = play(ok);
    const error = await failure(open(venue, { sign: lead }).post("orders"));
    assertEquals([error.kind, error.outcome, venue.sent.length], ["invalid", "not-sent", 0]);
    assertStringIncludes(error.message, "not below baseUrl");
  });
}

Deno.test("Session sends nothing where sign throws or rejects, and shows no word of it", async () => {
  const thrown = new TypeError("the key is hunter2");
  for (
    const sign of [
      () => Promise.reject(thrown),
      () => {
        throw thrown;
      },
    ]
  ) {
    const venue = play(ok);
    const error = await failure(open(venue, { sign }).post("orders"));
    assertEquals([error.kind, error.outcome, venue.sent.length], ["invalid", "not-sent", 0]);
    assertStringIncludes(error.message, "sign() threw TypeError");
    assert(!`${error.message} ${error.stack} ${error.cause}`.includes("hunter2"));
  }
});

Deno.test("Session sends nothing where sign throws a BrokerError: its kind, its words and the cause are told", async () => {
  const venue = play(ok);
  const cause = new BrokerError("Cannot GET https://venue.example/time: refused with 503", {
    kind: "network",
    outcome: "rejected",
    retriable: true,
    retryAfter: 2_000,
  });
  const sign = () => Promise.reject(cause);
  const error = await failure(open(venue, { sign }).post("orders"));
  assertEquals([error.kind, error.outcome, venue.sent.length], ["network", "not-sent", 0]);
  assertEquals([error.retriable, error.retryAfter, error.cause], [true, 2_000, cause]);
  assertStringIncludes(error.message, `sign() threw a BrokerError: ${cause.message}`);
});

Deno.test("Session tells the words of a clock that was given no plausible time by sign", async () => {
  const venue = play(ok);
  const clock = new VenueClock(() => 1_700_000_000); // seconds
  const error = await failure(open(venue, { sign: () => clock.sync() }).post("orders"));
  assertEquals([error.kind, error.outcome, venue.sent.length], ["invalid", "not-sent", 0]);
  assertStringIncludes(error.message, "reading is 1700000000, wanted epoch milliseconds");
});

Deno.test("Session says that sign did not end, and not that the venue did not answer", async () => {
  const venue = play(ok);
  const session = open(venue, { sign: () => new Promise(() => {}), timeout: 10, retry: false });
  const error = await failure(session.post("orders"));
  assertEquals([error.kind, error.outcome, venue.sent.length], ["timeout", "not-sent", 0]);
  assertStringIncludes(error.message, "sign() did not end within 10 ms");
});

Deno.test("Session repeats an order whose signature failed for a while: nothing was sent before", async () => {
  const venue = play(ok);
  const cause = new BrokerError("no clock", {
    kind: "network",
    outcome: "not-sent",
    retriable: true,
  });
  let signed = 0;
  const sign = () => ++signed === 1 ? Promise.reject(cause) : Promise.resolve();
  await open(venue, { sign, retry: { baseWait: 0, jitter: 0 } }).post("orders");
  assertEquals([signed, venue.sent.length], [2, 1]);
});

Deno.test("Session sends nothing where sign leaves a body that is none", async () => {
  const venue = play(ok);
  const sign = (draft: Draft) => {
    draft.body = new ReadableStream() as unknown as string;
  };
  const error = await failure(open(venue, { sign }).post("orders"));
  assertEquals([error.kind, error.outcome, venue.sent.length], ["invalid", "not-sent", 0]);
});

Deno.test("Session lets sign see the very bytes that are sent", async () => {
  const venue = play(ok);
  let seen: unknown;
  const sign = (draft: Draft) => {
    seen = draft.body;
  };
  await open(venue, { sign }).post("orders", { json: { quantity: 1, price: 1e-7 } });
  assertEquals(seen, '{"quantity":1,"price":0.0000001}');
  assertNotEquals(seen, undefined);
  assertEquals(await sentText(venue.sent[0]), seen);
});

Deno.test("Session lets a call of sign that says renew: false out while it closes, so a look-up can be signed", async () => {
  using time = new VirtualTime();
  const venue = new SimulatedVenue();
  const book: { id: string }[] = [];
  venue.on("GET /time", () => ({ now: Date.now() }));
  venue.on("GET /orders", () => book);
  venue.on("POST /orders", (request) => book[book.push(request.json()) - 1]);
  venue.fail("POST /orders", "reset-after-executing");

  const clock = new VenueClock(async () => {
    const options = { renew: false, throttlers: [] };
    return (await session.get<{ now: number }>("time", options)).now;
  });
  const session: Session = new Session({
    baseUrl: venue.httpUrl,
    fetch: venue.fetch,
    sign: async ({ url, headers }) => {
      if (url.pathname === "/time") return;
      await clock.sync(); // for each request, so for each look-up too
      headers.set("x-time", String(clock.now()));
    },
  });
  const find = async ({ signal }: { signal: AbortSignal }) =>
    (await session.get<{ id: string }[]>("orders", { signal })).find(({ id }) => id === "1");
  const order = session.post("orders", { json: { id: "1" }, reconcile: { find } });
  for (let ms = 0; ms < 200 && venue.executed.at(-1)?.method !== "POST"; ms++) await time.pass(1);
  const closed = session.close();
  await time.pass(10_000);
  assertEquals(await order, { id: "1" });
  assertEquals(venue.requests.map(({ path }) => path), ["/time", "/orders", "/time", "/orders"]);
  await closed;
});
