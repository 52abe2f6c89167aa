/**
 * Runs a session on workerd, the runtime of Cloudflare's Workers:
 *
 *     deno task test:workerd
 *
 * Npm brings workerd in an exact version. The worker is a bundle of `mod.ts`, and talks to a venue
 * on loopback that fails on purpose.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { bundle, install } from "../../tools/programs.ts";
import { LoopbackVenue, reply, type Step } from "../../testing.ts";
import type { Job, Result } from "./worker.ts";

const VERSION = "workerd@1.20261117.1";

const ok = reply(200, { order_id: 1 });

/** The faults, with the kind of error and the outcome of each. */
const FAULTS: Record<string, [step: Step, kind: string, outcome: string]> = {
  "a FIN": ["finish-before-executing", "network", "unknown"],
  "an RST": ["reset-before-executing", "network", "unknown"],
  "a hang": ["hang-before-executing", "timeout", "unknown"],
  "half a header": ["half-head", "network", "unknown"],
  "garbage": ["garbage", "network", "unknown"],
  "a cut body": ["cut-body", "network", "unknown"],
  "a cut chunked body": ["cut-chunks", "network", "unknown"],
  "a reset body": ["reset-body", "network", "unknown"],
  "a stalled body": ["stall-body", "timeout", "unknown"],
  "a 408": [reply(408), "timeout", "unknown"],
  "a 421": [reply(421), "rejected", "rejected"],
  "a 429": [reply(429), "rate-limited", "rejected"],
  "a 503": [reply(503), "network", "unknown"],
};

const CONFIG = `using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [
    (name = "main", worker = .worker),
    (name = "internet", network = (allow = ["public", "private"])),
  ],
  sockets = [(name = "http", address = "127.0.0.1:0", http = (), service = "main")],
);
const worker :Workerd.Worker = (
  modules = [(name = "worker", esModule = embed "worker.mjs")],
  compatibilityDate = "2025-06-01",
);
`;

/** A workerd that runs `worker.ts`. */
class Workerd implements AsyncDisposable {
  readonly #home: string;
  readonly #child: Deno.ChildProcess;
  readonly #url: string;

  private constructor(home: string, child: Deno.ChildProcess, url: string) {
    this.#home = home;
    this.#child = child;
    this.#url = url;
  }

  static async start(): Promise<Workerd> {
    const program = await install(VERSION);
    const home = await Deno.makeTempDir({ prefix: "aio-trader-" });
    await bundle(new URL("worker.ts", import.meta.url), `${home}/worker.mjs`);
    await Deno.writeTextFile(`${home}/config.capnp`, CONFIG);
    const port = freePort();
    const child = new Deno.Command(program, {
      args: ["serve", `${home}/config.capnp`, `--socket-addr=http=127.0.0.1:${port}`],
      stdout: "inherit",
      stderr: "inherit",
    }).spawn();
    const workerd = new Workerd(home, child, `http://127.0.0.1:${port}/`);
    await workerd.#answers();
    return workerd;
  }

  async run(job: Partial<Job>): Promise<{ results: Result[]; duration: number }> {
    const body = JSON.stringify({
      warm: 2,
      method: "POST",
      body: "json",
      calls: 1,
      timeout: 300,
      ...job,
    });
    const response = await fetch(this.#url, { method: "POST", body });
    const text = await response.text();
    assertEquals(response.status, 200, text);
    return JSON.parse(text);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.kill();
    await this.#child.status;
    await Deno.remove(this.#home, { recursive: true });
  }

  /** Waits until the worker has begun to listen. */
  async #answers(): Promise<void> {
    for (let left = 200;; left--) {
      try {
        return void await (await fetch(this.#url)).body?.cancel();
      } catch (error) {
        if (left === 0) throw error;
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
    }
  }
}

function freePort(): number {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return listener.addr.port;
}

Deno.test("On workerd", async (t) => {
  await using workerd = await Workerd.start();

  for (const [name, [step, kind, outcome]] of Object.entries(FAULTS)) {
    await t.step(`an order is executed once, whatever its method and body: ${name}`, async () => {
      await using venue = (await LoopbackVenue.listen()).on("*", ok);
      for (const method of ["POST", "PUT", "PATCH", "DELETE"]) {
        for (const body of ["json", "form", "bytes", "FormData", "none"]) {
          const cell = `${method} with ${body}`;
          venue.requests.length = 0;
          venue.will("*", ok, ok, step, ok); // a request that comes again would be answered
          const { results: [result] } = await workerd.run({ url: venue.httpUrl, method, body });
          await new Promise((resolve) => setTimeout(resolve, 10)); // a late repeat would come now
          const orders = venue.requests.filter(({ path }) => path === "/orders");
          assertEquals(orders.length, 1, `${cell}: ${JSON.stringify(result)}`);
          assertEquals(orders[0].method, method, cell);
          assert(orders[0].turn > 1, `${cell}: not on a warm connection`);
          assertEquals(orders[0].body === "", body === "none", cell);
          assert("kind" in result, `${cell} resolved to ${JSON.stringify(result)}`);
          const { message: _, ...shown } = result;
          assertEquals(shown, { kind, outcome, retriable: false }, `${cell}: ${result.message}`);
        }
      }
    });
  }

  await t.step(
    "workerd itself repeats a PUT or DELETE without a body, so the kind counts",
    async () => {
      await using venue = (await LoopbackVenue.listen()).on("*", ok);
      const repeated: string[] = [];
      for (const method of ["POST", "PUT", "PATCH", "DELETE"]) {
        for (const body of ["json", "none"]) {
          venue.requests.length = 0;
          venue.will("*", ok, ok, "finish-before-executing", ok);
          await workerd.run({ url: venue.httpUrl, method, body, raw: true });
          const { length } = venue.requests.filter(({ path }) => path === "/orders");
          if (length > 1) repeated.push(`${method} ${body}`);
        }
      }
      assertEquals(repeated, ["PUT none", "DELETE none"]);
    },
  );

  await t.step("an order arrives as it was sent", async () => {
    await using venue = (await LoopbackVenue.listen()).on("*", ok);
    for (const method of ["POST", "PUT", "PATCH", "DELETE"]) {
      for (const body of ["json", "form", "bytes", "none"]) {
        venue.requests.length = 0;
        const { results } = await workerd.run({ url: venue.httpUrl, method, body, warm: 0 });
        assertEquals(results, [{ data: { order_id: 1 } }], `${method} with ${body}`);
        const [request] = venue.requests;
        const expected = { json: '{"quantity":1}', none: "" }[body] ?? "quantity=1";
        assertEquals(request.body, expected, `${method} with ${body}`);
      }
    }
  });

  await t.step("an order that reached nobody is unknown, as workerd does not tell", async () => {
    const url = `http://127.0.0.1:${freePort()}/`;
    const { results: [result] } = await workerd.run({ url, warm: 0, timeout: 3_000 });
    assert("kind" in result);
    assertEquals([result.kind, result.outcome], ["network", "unknown"], result.message);
  });

  await t.step("a GET is repeated until it is answered", async () => {
    await using venue = (await LoopbackVenue.listen()).on("*", ok);
    venue.will("*", "reset-before-executing", "cut-body", ok);
    const { results } = await workerd.run({
      url: venue.httpUrl,
      method: "GET",
      body: "none",
      warm: 0,
    });
    assertEquals(results, [{ data: { order_id: 1 } }]);
  });

  await t.step("a throttler lets no more calls pass than its limit", async () => {
    await using venue = (await LoopbackVenue.listen()).on("*", ok);
    const job = { url: venue.httpUrl, method: "GET", body: "none", warm: 0, calls: 6 };
    const { results, duration } = await workerd.run(job);
    assertEquals(results, Array(6).fill({ data: { order_id: 1 } }));
    assert(duration >= 200, `${duration} ms`); // two in 100 ms: the last two after 200 ms
  });
});
