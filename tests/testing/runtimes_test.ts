import { assert, assertEquals } from "@std/assert";
import { isNetworkError } from "../../retry.ts";
import { type SimulatedRuntime, SimulatedVenue, VirtualTime } from "../../testing.ts";
import { fetchError, SOCKET_ENDS } from "../../testing/runtimes.ts";

const RUNTIMES: SimulatedRuntime[] = ["deno", "node", "bun", "browser"];

/** How often a venue executes a request that ends unanswered on a warm connection. */
async function executions(runtime: SimulatedRuntime, init: RequestInit, status?: number) {
  using time = new VirtualTime();
  const venue = new SimulatedVenue({ runtime });
  const { method } = init;
  venue.on("GET /time", {}).on(`${method} /orders`, {});
  if (status) venue.fail(`${method} /orders`, "status-after-executing", { status });
  else venue.fail(`${method} /orders`, "reset-after-executing");
  const calls = (async () => {
    await venue.fetch(`${venue.httpUrl}time`);
    await venue.fetch(`${venue.httpUrl}orders`, init).catch(() => {});
  })();
  await time.pass(1_000);
  await calls;
  return venue.executed.length - 1;
}

Deno.test("the simulated runtimes repeat what docs/runtimes.md says that they repeat", async () => {
  const blob = () => new Blob(["{}"]);
  const stream = () => new Response("{}").body!;
  const rows: [RequestInit & { duplex?: "half" }, number[], status?: number][] = [
    [{ method: "POST", body: "{}" }, [2, 1, 1, 2]],
    [{ method: "PUT", body: "{}" }, [2, 1, 2, 2]],
    [{ method: "POST", body: blob() }, [1, 1, 1, 2]],
    [{ method: "PUT", body: blob() }, [1, 1, 2, 2]],
    [{ method: "PUT", body: blob(), keepalive: false }, [1, 1, 1, 2]],
    [{ method: "DELETE" }, [2, 1, 2, 2]],
    [{ method: "GET" }, [2, 1, 2, 2]],
    [{ method: "POST", body: "{}" }, [1, 2, 1, 2], 421],
  ];
  for (const [init, wanted, status] of rows) {
    const counts = [];
    for (const runtime of RUNTIMES) counts.push(await executions(runtime, init, status));
    assertEquals(counts, wanted, `${init.method} ${init.body} ${status}`);
  }
  assertEquals(await executions("node", { method: "POST", body: stream() }, 421), 1);
});

Deno.test("fetchError() has the words of each runtime, which isNetworkError() knows", () => {
  for (const runtime of RUNTIMES) {
    for (const failure of ["refused", "closed", "body"] as const) {
      assert(isNetworkError(fetchError(runtime, failure)), `${runtime} ${failure}`);
    }
  }
});

Deno.test("SOCKET_ENDS: Node tells nothing but an error after a refused upgrade", () => {
  assertEquals(RUNTIMES.map((runtime) => SOCKET_ENDS[runtime].refused.code), [
    0,
    undefined,
    1006,
    1006,
  ]);
});
