/**
 * Processes, a server and a venue that are all real: four processes share two limits.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import type { Limit } from "../../../redis.ts";
import { hasRedis, RedisServer } from "../server.ts";
import { assertLimits, sharesOf, Venue, work } from "./venue.ts";

const RUN = 8_000;
/** Longest delay at the venue, before and after its look at the call. */
const DELAY = 10;

for (const refill of ["after-start", "after-finish", "steady"] as const) {
  Deno.test({
    name:
      `RedisThrottler: four processes never exceed two shared limits, nor waste a tenth, ${refill}`,
    ignore: !hasRedis,
    async fn() {
      await using server = await RedisServer.start();
      await using venue = new Venue(DELAY);
      const burst = refill === "steady" ? { burst: 4 } : {};
      const limits: Limit[] = [
        { limit: 20, period: 500, refill, ...burst },
        { limit: 60, period: 2_000, refill },
      ];
      const workers = ["a", "b", "c", "d"].map((name) =>
        work(server, venue, { name, limits, runFor: RUN, together: 4 })
      );
      const said = await Promise.all(workers.map(({ said }) => said));
      assertLimits(venue.calls, limits);

      // How much of the scarce limit was used: full periods, beside the time that they took.
      const times = venue.calls.map(({ at }) => at).sort((a, b) => a - b);
      const rounds = Math.floor((times.length - 1) / 60);
      const cycle = 2_000 + (refill === "after-finish" ? DELAY : 0);
      const span = times.at(-1)! - times[0];
      const used = refill === "steady"
        ? times.length / Math.min(4 + span / 25, 60 + span * 0.03)
        : rounds * cycle / (times[rounds * 60] - times[0]);
      const commands = said.reduce((sum, one) => sum + one!.commands, 0);
      console.log(
        `${refill}: ${times.length} calls, ${(100 * used).toFixed(1)} % of the limit, ` +
          `${(commands / times.length).toFixed(2)} commands a call, shares ${
            sharesOf(venue.calls)
          }`,
      );
      assert(rounds >= 3 && used >= 0.9, `${used} of the limit was used`);
      const shares = sharesOf(venue.calls);
      assertEquals(shares.length, 4);
      const mean = shares.reduce((sum, share) => sum + share) / 4;
      assert(mean >= 30, `only ${mean} calls each while all four competed`);
      for (const share of shares) {
        assert(Math.abs(share - mean) <= 0.25 * mean, `shares ${shares}, where ${mean} is even`);
      }
    },
  });
}
