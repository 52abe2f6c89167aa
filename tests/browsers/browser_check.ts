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
import { answer, FaultServer, finish, type Reply } from "../runtimes/fault_server.ts";
import { type Browser, browsers, type Tab } from "./launch.ts";
import type { Page, Result } from "./page.ts";

declare const page: Page;

/** A venue that also serves the page. */
class Venue implements AsyncDisposable {
  readonly server: FaultServer;
  /** The replies to the calls from now on. */
  reply: Reply[] = [];
  readonly #feed: Deno.HttpServer<Deno.NetAddr>;

  private constructor(server: FaultServer) {
    this.server = server;
    this.#feed = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen() {} }, feed);
  }

  static async open(script: string): Promise<Venue> {
    const server = await FaultServer.listen();
    const venue = new Venue(server);
    const html = { headers: { "content-type": "text/html" } };
    const js = { headers: { "content-type": "text/javascript; charset=utf-8" } };
    const json = { headers: { "content-type": "application/json" } };
    server.will((socket, request) => {
      const reply = request.path === "/"
        ? answer({ ...html, body: '<script type="module" src="page.js"></script>' })
        : request.path === "/page.js"
        ? answer({ ...js, body: script })
        : request.path.startsWith("/favicon")
        ? answer({ status: 404 })
        : venue.reply.shift() ?? answer({ ...json, body: '{"order_id":1}' });
      reply(socket, request);
    });
    return venue;
  }

  /** Forgets the calls so far, and sets the replies to the next calls. */
  will(...reply: Reply[]): void {
    this.server.requests.length = 0;
    this.reply = reply;
  }

  /** The calls since then. */
  get calls(): { method: string; body: string }[] {
    return this.server.requests.filter(({ path }) => !/^\/(?:page\.js|favicon.*)?$/.test(path))
      .map(({ method, body }) => ({ method, body }));
  }

  get feedUrl(): string {
    return `ws://127.0.0.1:${this.#feed.addr.port}/`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#feed.shutdown();
    await this.server.close();
  }
}

/** Answers a subscription with two items, and ends the connection. */
function feed(request: Request): Response {
  const { socket, response } = Deno.upgradeWebSocket(request);
  socket.onmessage = ({ data }) => {
    socket.send(`${data} 1`);
    socket.send(`${data} 2`);
    socket.close();
  };
  return response;
}

/** Opens the page, and waits for its script. */
async function open(browser: Browser, venue: Venue, script?: string): Promise<Tab> {
  const tab = await browser.open(venue.server.url, script);
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
  await using venue = await Venue.open(await Deno.readTextFile(`${home}/page.js`));
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
    const items = await tab.evaluate((url) => page.feed(url), venue.feedUrl);
    assertEquals(items, ["subscribe INFY,TCS 1", "subscribe INFY,TCS 2", "subscribe INFY,TCS 1"]);
  });

  await t.step("a GET is answered, and repeated where it fails", async () => {
    for (const faults of [[], [answer({ status: 503 }), answer({ status: 503 })]]) {
      venue.will(...faults);
      const result = await tab.evaluate(() => page.call("GET", "book", "none"));
      assertEquals(result, { data: { order_id: 1 } });
      assertEquals(venue.calls.length, faults.length + 1);
    }
  });

  await t.step("a GET that is refused says so", async () => {
    venue.will(answer({ status: 404 }));
    const result = await tab.evaluate(() => page.call("GET", "book", "none"));
    assertRefused(result, "rejected", "rejected");
  });

  const polyfilled = await open(browser, venue, POLYFILL);
  for (const [what, tabOfKind] of [["", tab], [", whatever process says", polyfilled]] as const) {
    await t.step(`an order is refused in words, and the venue sees nothing${what}`, async () => {
      for (const [method, body] of ORDERS) {
        venue.will();
        const result = await tabOfKind.evaluate(
          ([method, body]) => page.call(method, "orders", body),
          [method, body],
        );
        const message = assertRefused(result, "invalid", "not-sent");
        assertStringIncludes(message, `Cannot ${method} ${venue.server.url}orders: this runtime`);
        assertEquals(venue.calls, []);
      }
    });

    await t.step(`an order is sent through a fetch of the session's own${what}`, async () => {
      for (const [method, body] of ORDERS) {
        venue.will();
        const result = await tabOfKind.evaluate(
          ([method, body]) => page.callWithFetch(method, "orders", body),
          [method, body],
        );
        assertEquals(result, { data: { order_id: 1 } });
        const sent = { json: '{"quantity":1}', bytes: "quantity=1", none: "" }[body];
        assertEquals(venue.calls, [{ method, body: sent! }]);
      }
    });
  }

  await t.step("what is idempotent is sent, and nothing is known of it if it fails", async () => {
    venue.will();
    const answered = await tab.evaluate(() => page.call("PUT", "orders", "idempotent"));
    assertEquals(answered, { data: { order_id: 1 } });
    venue.will(answer({ status: 400 }));
    const refused = await tab.evaluate(() => page.call("PUT", "orders", "idempotent"));
    assertRefused(refused, "rejected", "unknown");
  });

  await t.step("the browser itself sends an order again, so the refusal is needed", async () => {
    venue.will();
    await tab.evaluate(() => page.call("GET", "warm", "none"));
    venue.will(finish());
    const status = await tab.evaluate(async () =>
      (await fetch("orders", { method: "POST", body: new Blob(["x"]) })).status
    );
    assertEquals([status, venue.calls.length], [200, 2]);
  });
}

/** Returns the message of an error. */
function assertRefused(result: Result, kind: string, outcome: string): string {
  assert("kind" in result, `resolved to ${JSON.stringify(result)}`);
  assertEquals([result.kind, result.outcome], [kind, outcome], result.message);
  return result.message;
}
