/**
 * Three processes share a limit on a real server, while one thing after the other goes wrong. The
 * limit is never exceeded, and the calls go on afterwards.
 *
 * @module
 */

import { assert, assertEquals, assertRejects } from "@std/assert";
import { delay } from "@std/async/delay";
import { type Limit, RedisThrottler, ThrottlerError } from "../../../redis.ts";
import { connect, hasRedis, RedisServer } from "../server.ts";
import { assertLimits, type Said, Venue, work } from "./venue.ts";
import type { Orders } from "./worker.ts";

const LIMITS: Limit[] = [{ limit: 10, period: 400 }, { limit: 30, period: 1_500 }];
const FINISH: Limit[] = LIMITS.map((limit) => ({ ...limit, refill: "after-finish" }));

interface Fault {
  name: string;
  limits?: Limit[];
  orders?: (i: number) => Partial<Orders>;
  /** How long the workers run. */
  runFor: number;
  /** What goes wrong, from the moment when all processes have called. */
  act(server: RedisServer): Promise<unknown>;
  expect?(said: Said[]): void;
}

async function command(server: RedisServer, words: string): Promise<unknown> {
  using client = await connect(server.port);
  return await client.send(words.split(" "));
}

const faults: Fault[] = [
  {
    name: "the server is killed and comes back without its data",
    runFor: 14_000,
    async act(server) {
      await server.kill();
      await delay(500);
      await server.restart();
    },
    expect: (said) => assert(said.some(({ events }) => events.includes("lost"))),
  },
  {
    name: "the server is killed and comes back without its data, after-finish",
    limits: FINISH,
    runFor: 14_000,
    act: (server) => server.restart(),
  },
  {
    name: "FLUSHALL",
    runFor: 13_000,
    act: (server) => command(server, "FLUSHALL"),
    expect: (said) => assert(said.some(({ events }) => events.includes("lost"))),
  },
  {
    name: "the scripts of the server are flushed",
    runFor: 6_000,
    act: (server) => command(server, "SCRIPT FLUSH"),
  },
  {
    name: "the server stands still for 2 s",
    runFor: 9_000,
    async act(server) {
      server.signal("SIGSTOP");
      await delay(2_000);
      server.signal("SIGCONT");
    },
  },
  {
    name: "all connections are cut again and again, and the client library sends commands again",
    orders: () => ({ isIoredis: true }),
    runFor: 8_000,
    async act(server) {
      for (let i = 0; i < 20; i++) {
        await command(server, "CLIENT KILL TYPE normal");
        await delay(100);
      }
    },
  },
  {
    name: "the connections of a plain client are cut again and again",
    limits: FINISH,
    runFor: 8_000,
    async act(server) {
      for (let i = 0; i < 20; i++) {
        await command(server, "CLIENT KILL TYPE normal");
        await delay(100);
      }
    },
  },
  {
    name: "the clocks of two clients are an hour off",
    orders: (i) => ({ clock: (i - 1) * 3_600_000 }),
    runFor: 5_000,
    act: () => Promise.resolve(),
  },
  {
    name: "the server's clock is set forward and back, by minutes and hours",
    orders: () => ({ isSkewed: true }),
    runFor: 12_000,
    async act(server) {
      for (const seconds of [100, -1_000, 600, -10_800, 5, 3_600]) {
        await command(server, `SET skew ${seconds}`);
        await delay(1_000);
      }
    },
  },
];

for (const { name, limits = LIMITS, orders, runFor, act, expect } of faults) {
  Deno.test({
    name: `RedisThrottler: no limit is exceeded while ${name}`,
    ignore: !hasRedis,
    async fn() {
      await using server = await RedisServer.start();
      await using venue = new Venue(10);
      const workers = ["a", "b", "c"].map((name, i) =>
        work(server, venue, { name, limits, runFor, delay: 3, ...orders?.(i) })
      );
      const all = Promise.all(workers.map(({ said }) => said));
      const everyone = () => new Set(venue.calls.map(({ name }) => name)).size === 3;
      for (let i = 0; i < 400 && !everyone(); i++) await delay(25);
      await delay(500);
      await act(server);
      const { length } = venue.calls;
      const said = await all as Said[];
      console.log(`${venue.calls.length} calls, ${length} before the end of the fault,`, ...said);
      assertLimits(venue.calls, limits);
      assert(venue.calls.length >= length + 20, "the calls go on");
      expect?.(said);
    },
  });
}

Deno.test({
  name:
    'RedisThrottler: the "after-finish" tokens of a killed process come back after the lease, not before',
  ignore: !hasRedis,
  async fn() {
    await using server = await RedisServer.start();
    await using venue = new Venue(0);
    using client = await connect(server.port);
    const limits: Limit[] = [{ limit: 4, period: 300, refill: "after-finish" }];
    const hanging = Promise.withResolvers<Response>();
    const onListen = () => {};
    await using slow = Deno.serve(
      { hostname: "127.0.0.1", port: 0, onListen },
      () => hanging.promise,
    );
    // However this test ends: the server's end waits for its answers.
    using _answers = { [Symbol.dispose]: () => hanging.resolve(new Response()) };
    const { child, said } = work(server, venue, {
      name: "dies",
      limits,
      runFor: 60_000,
      venue: slow.addr.port,
    });
    const throttler = new RedisThrottler({ send: client.send, key: "shared", limits });
    // Until the four calls of the other process hang, we get tokens, and give them back.
    let heir: Promise<number> | undefined;
    for (let i = 0; i < 300 && !heir; i++) {
      await delay(50);
      const count = await client.send(["ZCARD", "{shared}:line"]);
      if (Number(count) > 0) heir = throttler.run(() => performance.now());
    }
    const died = performance.now();
    child.kill("SIGKILL");
    const came = await heir! - died;
    // The last sign of life was up to a third of a lease before.
    assert(came > 5_000 * 2 / 3 + 300 - 50, `after ${came} ms`);
    assert(came < 5_000 + 300 + 2_000, `after ${came} ms`);
    await said;
    throttler.close();
    await delay(100);
  },
});

Deno.test({
  name: "RedisThrottler: a command that the client sends again is charged once",
  ignore: !hasRedis,
  async fn() {
    await using server = await RedisServer.start();
    using client = await connect(server.port);
    const send = async (command: string[]) => {
      await client.send(command).catch(() => {});
      return await client.send(command);
    };
    const limits = { limit: 5, period: 60_000 };
    const [a, b] = [0, 1].map(() => new RedisThrottler({ send, key: "k", limits }));
    let calls = 0;
    const all = [a, b].flatMap((throttler) =>
      Array.from({ length: 5 }, () => throttler.run(() => calls++).catch(() => {}))
    );
    await delay(700);
    assertEquals(calls, 5);
    a.close();
    b.close();
    await Promise.all(all);
    await delay(100);
  },
});

Deno.test({
  name:
    "RedisThrottler: other limits under one key are refused while a process with the old ones lives, then wait",
  ignore: !hasRedis,
  async fn() {
    await using server = await RedisServer.start();
    using client = await connect(server.port);
    const rest = { send: client.send, key: "k", lease: 1_000 };
    const old = new RedisThrottler({ ...rest, limits: { limit: 5, period: 200 } });
    const other = new RedisThrottler({ ...rest, limits: { limit: 6, period: 300 } });
    await old.run(() => {});
    await assertRejects(() => other.run(() => {}), ThrottlerError, "other limits");
    await delay(1_300); // the old process has nothing to do, so that its lease ends
    const began = performance.now();
    await other.run(() => {});
    assert(performance.now() - began > 1_150, "what the old limits counted has come back");
    await assertRejects(() => old.run(() => {}), ThrottlerError, "other limits");
    await delay(100);
  },
});
