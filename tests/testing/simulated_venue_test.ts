import { assert, assertEquals, assertRejects } from "@std/assert";
import { BrokerError, Session } from "../../session.ts";
import { SimulatedVenue, VirtualTime } from "../../testing.ts";

Deno.test("SimulatedVenue: the same seed gives the same history, another seed another", async () => {
  const play = async (seed: number) => {
    using time = new VirtualTime({ start: 0 });
    const venue = new SimulatedVenue({ seed });
    venue.on("GET /x", {});
    const calls = Promise.all(Array.from({ length: 20 }, () => venue.fetch(`${venue.httpUrl}x`)));
    await time.pass(1_000);
    await calls;
    return venue.requests.map(({ at }) => at);
  };
  assertEquals(await play(7), await play(7));
  assert(String(await play(7)) !== String(await play(8)));
});

Deno.test("SimulatedVenue.fetch() obeys its signal, before and after the request has left", async () => {
  using time = new VirtualTime();
  const venue = new SimulatedVenue();
  venue.on("POST /orders", {});
  const reason = new Error("of the test");
  const post = (signal: AbortSignal) =>
    venue.fetch(`${venue.httpUrl}orders`, { method: "POST", body: "{}", signal });
  await assertRejects(() => post(AbortSignal.abort(reason)), Error, "of the test");
  const controller = new AbortController();
  const late = post(controller.signal);
  controller.abort(reason);
  await assertRejects(() => late, Error, "of the test");
  await time.pass(100);
  assertEquals(venue.executed.length, 1, "it was on its way");
});

Deno.test("SimulatedVenue.down() refuses, and up() accepts again", async () => {
  using time = new VirtualTime();
  const venue = new SimulatedVenue();
  venue.on("POST /orders", { id: 1 });
  const session = new Session({ baseUrl: venue.httpUrl, fetch: venue.fetch, retry: false });
  const post = async () => {
    const order = session.post("orders", { json: {} });
    order.catch(() => {});
    await time.pass(100);
    return await order;
  };
  venue.down();
  const error = await assertRejects(post, BrokerError);
  assertEquals([error.outcome, venue.executed.length], ["not-sent", 0]);
  venue.up();
  assertEquals(await post(), { id: 1 });
  await session.close();
});

Deno.test("SimulatedVenue: an unasked answer on an idle connection is taken for that of the next request", async () => {
  using time = new VirtualTime();
  const venue = new SimulatedVenue();
  venue.on("GET /x", {});
  venue.fail("GET /x", "unasked-answer");
  const statuses = (async () => {
    const told = [];
    for (let i = 0; i < 3; i++) told.push((await venue.fetch(`${venue.httpUrl}x`)).status);
    return told;
  })();
  await time.pass(1_000);
  assertEquals(await statuses, [200, 400, 200]);
});

Deno.test("SimulatedVenue: a body that stalls ends with the signal", async () => {
  using time = new VirtualTime();
  const venue = new SimulatedVenue();
  venue.on("GET /x", { a: 1 });
  venue.fail("GET /x", "stall-body");
  const controller = new AbortController();
  const text = (async () => {
    const response = await venue.fetch(`${venue.httpUrl}x`, { signal: controller.signal });
    return await response.text();
  })();
  text.catch(() => {});
  await time.pass(1_000);
  controller.abort(new Error("of the test"));
  await assertRejects(() => text, Error, "of the test");
});
