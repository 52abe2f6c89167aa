/**
 * Runs the module in a page of Chromium and of Firefox:
 *
 *     deno task test:browser
 *
 * The page is a bundle of `mod.ts`, and talks to the venue on loopback that served it.
 *
 * @module
 */

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { bundle } from "../../tools/programs.ts";
import { LoopbackVenue, reply, type Step } from "../../testing.ts";
import { type Browser, browsers, type Tab } from "./launch.ts";
import type { Page, Result } from "./page.ts";

declare const page: Page;

const ok = reply(200, { order_id: 1 });

/** A venue that also serves the page, and answers a subscription with two items and an end. */
async function serve(script: string): Promise<LoopbackVenue> {
  const venue = await LoopbackVenue.listen();
  const page = '<script type="module" src="page.js"></script>';
  const type = { "content-type": "text/javascript; charset=utf-8" };
  venue.will("GET /", reply(200, page, { "content-type": "text/html" }));
  venue.will("GET /page.js", reply(200, script, type)).will("GET /favicon.ico", reply(404));
  venue.feed.on((frame, client) => {
    client.send(`${frame} 1`);
    client.send(`${frame} 2`);
    client.close();
  });
  return venue;
}

/** Forgets the calls so far, and says how the next ones end. */
function will(venue: LoopbackVenue, ...steps: Step[]): void {
  venue.requests.length = 0;
  venue.will("*", ...steps, ok);
}

/** The calls since then. */
function calls({ requests }: LoopbackVenue): { method: string; body: string }[] {
  return requests.filter(({ path }) => !/^\/(?:page\.js|favicon.*)?$/.test(path))
    .map(({ method, body }) => ({ method, body }));
}

/** Opens the page, and waits for its script. */
async function open(browser: Browser, venue: LoopbackVenue, script?: string): Promise<Tab> {
  const tab = await browser.open(venue.httpUrl, script);
  await tab.evaluate(async () => {
    for (let i = 0; i < 1_000 && !("page" in globalThis); i++) {
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  });
  return tab;
}

/** A `process` such as bundlers put into a page. */
const POLYFILL = `globalThis.process = {
  env: {}, browser: true, version: "v22.23.3", versions: { node: "22.23.3" }, nextTick: queueMicrotask,
};`;

const ORDERS = ["POST", "PUT", "PATCH", "DELETE"].flatMap((method) =>
  ["json", "bytes", "none"].map((body) => [method, body] as const)
);

/** Programs of their own run meanwhile, and their drivers keep files open. */
const UNWATCHED = { sanitizeOps: false, sanitizeResources: false };

for (const [name, start] of browsers()) {
  Deno.test(`In ${name}`, UNWATCHED, async (t) => {
    await using browser = await start();
    await checkIn(browser, t);
  });
}

async function checkIn(browser: Browser, t: Deno.TestContext): Promise<void> {
  const home = await Deno.makeTempDir({ prefix: "aio-trader-" });
  await bundle(new URL("page.ts", import.meta.url), `${home}/page.js`);
  await using venue = await serve(await Deno.readTextFile(`${home}/page.js`));
  await Deno.remove(home, { recursive: true });
  const tab = await open(browser, venue);

  await t.step("a throttler lets no more calls pass than its limit", async () => {
    const duration = await tab.evaluate(() => page.throttle());
    assert(duration >= 200, `${duration} ms`);
  });

  await t.step("retry() repeats what fails", async () => {
    assertEquals(await tab.evaluate(() => page.retry()), 3);
  });

  await t.step("a feed connects, subscribes, and connects again", async () => {
    const items = await tab.evaluate((url) => page.feed(url), venue.wsUrl);
    assertEquals(items, ["subscribe INFY,TCS 1", "subscribe INFY,TCS 2", "subscribe INFY,TCS 1"]);
  });

  await t.step("a GET is answered, and repeated where it fails", async () => {
    for (const faults of [[], [reply(503), reply(503)]]) {
      will(venue, ...faults);
      const result = await tab.evaluate(() => page.call("GET", "book", "none"));
      assertEquals(result, { data: { order_id: 1 } });
      assertEquals(calls(venue).length, faults.length + 1);
    }
  });

  await t.step("a GET that is refused says so", async () => {
    will(venue, reply(404));
    const result = await tab.evaluate(() => page.call("GET", "book", "none"));
    assertRefused(result, "rejected", "rejected");
  });

  const polyfilled = await open(browser, venue, POLYFILL);
  for (const [what, tabOfKind] of [["", tab], [", whatever process says", polyfilled]] as const) {
    await t.step(`an order is refused in words, and the venue sees nothing${what}`, async () => {
      for (const [method, body] of ORDERS) {
        will(venue);
        const result = await tabOfKind.evaluate(
          ([method, body]) => page.call(method, "orders", body),
          [method, body],
        );
        const message = assertRefused(result, "invalid", "not-sent");
        assertStringIncludes(message, `Cannot ${method} ${venue.httpUrl}orders: this runtime`);
        assertEquals(calls(venue), []);
      }
    });

    await t.step(`an order is sent through a fetch of the session's own${what}`, async () => {
      for (const [method, body] of ORDERS) {
        will(venue);
        const result = await tabOfKind.evaluate(
          ([method, body]) => page.callWithFetch(method, "orders", body),
          [method, body],
        );
        assertEquals(result, { data: { order_id: 1 } });
        const sent = { json: '{"quantity":1}', bytes: "quantity=1", none: "" }[body];
        assertEquals(calls(venue), [{ method, body: sent! }]);
      }
    });
  }

  await t.step("what is idempotent is sent, and nothing is known of it if it fails", async () => {
    will(venue);
    const answered = await tab.evaluate(() => page.call("PUT", "orders", "idempotent"));
    assertEquals(answered, { data: { order_id: 1 } });
    will(venue, reply(400));
    const refused = await tab.evaluate(() => page.call("PUT", "orders", "idempotent"));
    assertRefused(refused, "rejected", "unknown");
  });

  await t.step("the browser itself sends an order again, so the refusal is needed", async () => {
    will(venue);
    await tab.evaluate(() => page.call("GET", "warm", "none"));
    will(venue, "finish-before-executing");
    const status = await tab.evaluate(async () =>
      (await fetch("orders", { method: "POST", body: new Blob(["x"]) })).status
    );
    assertEquals([status, calls(venue).length], [200, 2]);
  });
}

/** Returns the message of an error. */
function assertRefused(result: Result, kind: string, outcome: string): string {
  assert("kind" in result, `resolved to ${JSON.stringify(result)}`);
  assertEquals([result.kind, result.outcome], [kind, outcome], result.message);
  return result.message;
}
