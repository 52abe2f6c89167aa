import { assert, assertEquals, assertNotEquals, assertStringIncludes } from "@std/assert";
import type { Draft } from "../../session.ts";
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
