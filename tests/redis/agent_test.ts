/**
 * The promises of several processes that share limits, as properties: every process has its own
 * `RedisThrottler`, the way to the server delays, loses and repeats, and time is virtual.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { type Limit, RedisThrottler } from "../../redis.ts";
import { settle, VirtualClock } from "../virtual_clock.ts";
import { FakeRedis, warmUp } from "./fake_redis.ts";

const RUNS = Number(Deno.env.get("RUNS") ?? 60);

const limit: fc.Arbitrary<Limit> = fc.record({
  limit: fc.integer({ min: 1, max: 8 }),
  period: fc.constantFrom(100, 330, 1_000, 2_500),
  refill: fc.constantFrom("after-start" as const, "after-finish" as const, "steady" as const),
  burst: fc.integer({ min: 1, max: 6 }),
}).map(({ burst, ...limit }) => limit.refill === "steady" ? { ...limit, burst } : limit);

const call = fc.record({
  process: fc.nat(3),
  gap: fc.oneof(
    { weight: 6, arbitrary: fc.constant(0) },
    { weight: 2, arbitrary: fc.nat(60) },
    { weight: 1, arbitrary: fc.nat(4_000) },
  ),
  cost: fc.oneof(
    { weight: 4, arbitrary: fc.constant(1) },
    { weight: 1, arbitrary: fc.nat(3) },
  ),
  urgent: fc.boolean(),
  /** How long the call takes, and how long the venue's look at it is after its start. */
  lasts: fc.nat(300),
  seen: fc.nat(100),
  patience: fc.oneof(
    { weight: 3, arbitrary: fc.constant(Infinity) },
    { weight: 1, arbitrary: fc.nat(1_500) },
  ),
});

const world = fc.record({
  seed: fc.integer(),
  delay: fc.constantFrom(0, 3, 40, 200),
  faults: fc.constantFrom(0, 0, 0.02, 0.2),
  disasters: fc.array(
    fc.record({
      at: fc.nat(8_000),
      kind: fc.constantFrom("flush", "down", "back", "forward", "pause"),
    }),
    { maxLength: 3 },
  ),
});

/** A small generator (mulberry32). */
function random(seed: number): () => number {
  return () => {
    seed = seed + 0x6d2b79f5 | 0;
    let t = Math.imul(seed ^ seed >>> 15, 1 | seed);
    t = t + Math.imul(t ^ t >>> 7, 61 | t) ^ t;
    return ((t ^ t >>> 14) >>> 0) / 2 ** 32;
  };
}

interface Event {
  at: number;
  cost: number;
}

function assertWindows(events: Event[], { limit, period }: Limit, words: string): void {
  events.sort((a, b) => a.at - b.at);
  let [first, sum] = [0, 0];
  for (const { at, cost } of events) {
    sum += cost;
    // Less a microsecond: the server's clock tells whole ones.
    while (at - events[first].at >= period - 1e-3) sum -= events[first++].cost;
    assert(sum <= limit, `${words}: ${sum} within ${period} ms, where ${limit} is the limit`);
  }
}

function assertBucket(events: Event[], { limit, period, burst = limit }: Limit): void {
  events.sort((a, b) => a.at - b.at);
  let full = -Infinity;
  for (const { at, cost } of events) {
    full = Math.max(full, at) + cost * period / limit;
    assert((full - at) * limit / period <= burst + 1e-3, "the bucket was empty");
  }
}

Deno.test(
  "RedisThrottler: whatever happens on the way, no process starts a call above a shared limit (property)",
  async () => {
    await warmUp();
    const limits = fc.array(limit, { minLength: 1, maxLength: 2 });
    const calls = fc.array(call, { minLength: 20, maxLength: 80, size: "max" });
    await fc.assert(
      fc.asyncProperty(limits, calls, world, async (limits, calls, world) => {
        const next = random(world.seed);
        using clock = new VirtualClock(0, () => [-1, 0, 0, 3][Math.floor(next() * 4)] * next());
        const server = new FakeRedis();
        let faults = 0;
        const way = {
          delay: () => next() * world.delay,
          fault: () =>
            next() >= faults ? "" : (["lost", "cut", "twice"] as const)[
              Math.floor(next() * 3)
            ],
        };
        const processes = [0, 1, 2, 3].map(() =>
          new RedisThrottler({ send: server.client(way), key: "k", limits })
        );
        // Only a process that remembers can tell that the server has forgotten.
        let known = 0;
        for (const process of processes) process.run(() => void known++, { cost: 0 });
        // The hash of the script takes real time, which a machine under load has little of.
        for (let tries = 0; tries < 10_000 && known < processes.length; tries++) {
          await settle();
          await clock.runTo();
        }
        assertEquals(known, processes.length, "every process has asked the server");
        faults = world.faults;
        const capacity = Math.min(...limits.map(({ limit, burst = limit }) => burst));
        const starts: Event[] = [];
        const seen: Event[] = [];
        let open = 0;
        let at = clock.now;
        const began = at;
        const plan: { at: number; act: () => void }[] = [];
        for (const { process, gap, cost: wanted, urgent, lasts, seen: late, patience } of calls) {
          at += gap;
          const cost = Math.min(wanted, capacity);
          const controller = new AbortController();
          const act = () => {
            open++;
            processes[process].run(() => {
              assert(!controller.signal.aborted, "an aborted call never starts");
              const start = clock.now;
              starts.push({ at: start, cost });
              return new Promise<void>((done) =>
                setTimeout(() => {
                  // Before the answer, also where the timer of the answer fires early.
                  seen.push({ at: Math.min(start + Math.min(late, lasts), clock.now), cost });
                  done();
                }, lasts)
              );
            }, { cost, urgent, signal: controller.signal }).catch(() => {}).finally(() => open--);
          };
          plan.push({ at, act });
          if (patience < Infinity) {
            plan.push({ at: at + patience, act: () => controller.abort() });
          }
        }
        for (const { at, kind } of world.disasters) {
          const act = {
            flush: () => server.model.flush(),
            down: () => server.isDown = true,
            back: () => server.skew -= 3_600_000,
            forward: () => server.skew += 3_600_000,
            pause: () => processes[0].pause(700),
          }[kind] as () => void;
          plan.push({ at: began + at, act });
          if (kind === "down") {
            plan.push({
              at: began + at + 3_000,
              act: () => server.isDown = false,
            });
          }
        }
        plan.sort((a, b) => a.at - b.at);
        for (const { at, act } of plan) {
          if (at > clock.now) await settle();
          await clock.runTo(at);
          act();
        }
        await settle();
        await clock.runTo();
        assertEquals(open, 0, "every call settles");
        assertEquals(clock.live, 0, "nothing is left over");
        for (const limit of limits) {
          if (limit.refill === "steady") assertBucket(starts, limit);
          else if (limit.refill === "after-finish") assertWindows(seen, limit, "the venue");
          else assertWindows(starts, limit, "the starts");
        }
      }),
      { numRuns: RUNS },
    );
  },
);
