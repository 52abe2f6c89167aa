/**
 * A thousand machines on one key, in virtual time: what the server is asked, and who is served when.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { RedisThrottler } from "../../../redis.ts";
import { settle, VirtualClock } from "../../virtual_clock.ts";
import { FakeRedis, warmUp } from "../fake_redis.ts";

const COUNT = 1_000;
const LIMIT = 200;

for (const refill of ["after-start", "steady", "after-finish"] as const) {
  Deno.test(`RedisThrottler: ${COUNT} machines share one key, first come, first served, at four commands a grant, without a stampede, ${refill}`, async () => {
    await warmUp();
    using clock = new VirtualClock(0, () => 0);
    const server = new FakeRedis();
    const times: number[] = [];
    const client = server.client({ delay: () => 0.3 + Math.random() * 2 });
    const send = (command: string[]) => (times.push(clock.now), client(command));
    const limits = { limit: LIMIT, period: 1_000, refill };
    const starts: number[] = [];
    const calls: Promise<unknown>[] = [];
    // One machine comes every 0.1 ms, so that the order in which they come is known but for 23 places.
    for (let i = 0; i < COUNT; i++) {
      const throttler = new RedisThrottler({ send, key: "k", limits });
      calls.push(throttler.run(() => starts[i] = clock.now));
      await settle();
      await clock.runTo(clock.now + 0.1);
    }
    await clock.runTo();
    await Promise.all(calls);

    const last = Math.max(...starts);
    const rush = times.filter((time) => time > 200);
    const most = Math.max(
      ...rush.map((time) => rush.filter((other) => other >= time && other < time + 10).length),
    );
    console.log(
      `${refill}: the last of ${COUNT} after ${last.toFixed(0)} ms, ` +
        `${times.length / COUNT} commands a grant, at most ${most} in 10 ms`,
    );
    assert(last < 1.05 * (COUNT / LIMIT - 1) * 1_000, `${last} ms`);
    assert(times.length <= 4.5 * COUNT, `${times.length} commands for ${COUNT} grants`);
    assert(most <= 2.5 * LIMIT, `${most} commands at once`);
    for (const [i, start] of starts.entries()) {
      const later = starts.slice(i + 50).filter((other) => other < start - 20);
      assertEquals(later.length, 0, `machine ${i} was passed`);
    }
  });
}
