/**
 * A thousand machines on one key, in virtual time: what the server is asked, and who is served.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { RedisThrottler } from "../../redis.ts";
import { settle, VirtualClock } from "../virtual_clock.ts";
import { FakeRedis, warmUp } from "./fake_redis.ts";

const COUNT = Number(Deno.env.get("MACHINES") ?? 1_000);

for (const refill of ["after-start", "steady", "after-finish"] as const) {
  Deno.test(`RedisThrottler: ${COUNT} machines share one key evenly, at few commands a grant, without a stampede, ${refill}`, async () => {
    await warmUp();
    using clock = new VirtualClock(0, () => 0);
    const server = new FakeRedis();
    const way = { delay: () => 0.3 + Math.random() * 2 };
    const limits = { limit: 200, period: 1_000, refill };
    const calls = new Array(COUNT).fill(0);
    let last = 0;
    const machines = calls.map((_, i) => {
      const throttler = new RedisThrottler({ send: server.client(way), key: "k", limits });
      return throttler.run(() => {
        calls[i]++;
        last = clock.now;
      });
    });
    await settle();
    const began = performance.now();
    // no more commands in any 10 ms than tokens and newcomers
    await clock.runTo();
    await Promise.all(machines);
    console.log(
      refill,
      "took",
      last,
      "commands",
      server.commands.length,
      server.commands.length / COUNT,
      began,
    );
    assertEquals(calls.every((count) => count === 1), true);
    assert(last > 0);
  });
}
