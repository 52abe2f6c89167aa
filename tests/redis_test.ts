/** What one process sees of `RedisThrottler`, and several in one, on a virtual clock without a server. */

import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { RedisThrottler, type RedisThrottlerOptions, ThrottlerError } from "../redis.ts";
import { BrokerError, Session } from "../session.ts";
import { runAll, Throttler } from "../throttler.ts";
import { FakeRedis, warmUp, type Way } from "./redis/fake_redis.ts";
import { settle, VirtualClock } from "./virtual_clock.ts";
import { TestFeed } from "./websocket_feeder/fake_feed.ts";

/** Processes that share limits, a clock and a server. */
class World implements Disposable {
  readonly clock = new VirtualClock(0, () => 0);
  readonly server = new FakeRedis();
  readonly log: string[] = [];

  process(options: Partial<RedisThrottlerOptions> & Way = {}): RedisThrottler {
    const limits = { limit: 2, period: 1_000 };
    return new RedisThrottler({ send: this.server.client(options), key: "k", limits, ...options });
  }

  /** Runs a call that notes its name and time. */
  call(throttler: RedisThrottler, name: string, options = {}): Promise<void> {
    return throttler.run(() => {
      this.log.push(`${name} ${Math.floor(this.clock.now)}`);
    }, options);
  }

  async pass(duration: number): Promise<void> {
    await settle();
    await this.clock.runTo(this.clock.now + duration);
    await settle();
  }

  [Symbol.dispose](): void {
    this.clock[Symbol.dispose]();
  }
}

async function world(): Promise<World> {
  await warmUp();
  return new World();
}

Deno.test("RedisThrottler.run() starts calls in the order in which they came, over all processes", async () => {
  using w = await world();
  const [a, b] = [w.process(), w.process()];
  for (const name of ["1", "2", "3"]) {
    w.call(a, `a${name}`);
    await w.pass(1);
    w.call(b, `b${name}`);
    await w.pass(1);
  }
  await w.pass(3_000);
  assertEquals(w.log.map((line) => line.slice(0, 2)), ["a1", "b1", "a2", "b2", "a3", "b3"]);
});

Deno.test("RedisThrottler.run() lets an urgent call go first, across processes", async () => {
  using w = await world();
  const [a, b] = [w.process(), w.process()];
  for (const name of ["a1", "a2", "a3", "a4"]) w.call(a, name);
  await w.pass(10);
  w.call(b, "cancel", { urgent: true });
  await w.pass(3_000);
  assertEquals(w.log.map((line) => line.split(" ")[0]), ["a1", "a2", "cancel", "a3", "a4"]);
});

Deno.test("RedisThrottler.run() lets an urgent call go first, before more calls than have a place in line", async () => {
  using w = await world();
  const throttler = w.process();
  for (let i = 0; i < 150; i++) w.call(throttler, "order").catch(() => {});
  await w.pass(10);
  w.call(throttler, "cancel", { urgent: true });
  await w.pass(1_100);
  assertEquals(w.log.map((line) => line.split(" ")[0]), ["order", "order", "cancel", "order"]);
  throttler.close();
});

Deno.test("RedisThrottler.run() asks once for all calls of a turn, and once for each grant of those that wait", async () => {
  using w = await world();
  const throttler = w.process({ limits: { limit: 10, period: 1_000 } });
  for (let i = 0; i < 60; i++) w.call(throttler, "x");
  await w.pass(5_500);
  assertEquals(w.log.length, 60);
  assert(w.server.commands.length <= 2 * 6, `${w.server.commands.length} commands for 60 grants`);
});

Deno.test("RedisThrottler.run() takes one command for a lone call, and one to tell of the start", async () => {
  using w = await world();
  const throttler = w.process();
  await w.call(throttler, "x");
  assertEquals(w.server.commands.length, 1);
  await w.pass(60_000);
  assertEquals(w.server.commands.length, 2);
  assertEquals(w.clock.live, 0, "a process that does nothing asks nothing");
});

Deno.test("RedisThrottler.run() serves 2,000 waiting calls with one timer and without polling", async () => {
  using w = await world();
  const throttler = w.process({ limits: { limit: 2, period: 3_600_000 } });
  for (let i = 0; i < 2_000; i++) w.call(throttler, "x").catch(() => {});
  await w.pass(10);
  assertEquals([throttler.size, w.clock.live, w.log.length], [1_998, 1, 2]);
  const before = w.server.commands.length;
  await w.pass(60_000);
  const count = w.server.commands.length - before;
  assert(count <= 60_000 / (5_000 / 3) + 1, `${count} commands, wanted signs of life only`);
  throttler.close();
  await w.pass(10_000);
  assertEquals([throttler.size, w.clock.live], [0, 0]);
});

Deno.test("RedisThrottler.run() gives the place of an aborted call back, and charges nothing", async () => {
  using w = await world();
  const [a, b] = [w.process(), w.process()];
  await Promise.all([w.call(a, "a1"), w.call(a, "a2")]);
  const controller = new AbortController();
  const aborted = w.call(a, "a3", { signal: controller.signal, cost: 2 });
  aborted.catch(() => {});
  await w.pass(10);
  w.call(b, "b1");
  w.call(b, "b2");
  await w.pass(10);
  controller.abort(new Error("changed my mind"));
  await assertRejects(() => aborted, Error, "changed my mind");
  await w.pass(1_800); // the other process hears of it with its next sign of life, at the latest
  assertEquals(w.log.map((line) => line.split(" ")[0]), ["a1", "a2", "b1", "b2"]);
});

Deno.test("RedisThrottler.run() gives back what is granted to a call that was aborted meanwhile", async () => {
  using w = await world();
  const throttler = w.process({ delay: () => 20 });
  const controller = new AbortController();
  w.call(throttler, "a1", { signal: controller.signal, cost: 2 }).catch(() => {});
  await w.pass(30); // Redis has granted it, and the answer is on its way
  controller.abort();
  w.call(throttler, "a2", { cost: 2 });
  await w.pass(200);
  assertEquals(w.log.map((line) => line.split(" ")[0]), ["a2"]);
});

Deno.test("RedisThrottler.pause() stops all processes, and the longest pause wins", async () => {
  using w = await world();
  const [a, b] = [w.process(), w.process()];
  a.pause(3_000);
  b.pause(1_000);
  await w.pass(5);
  w.call(b, "b1");
  await w.pass(2_900);
  assertEquals(w.log, []);
  assert(b.waitTime() > 50, "and the others know how long");
  await w.pass(200);
  assertEquals(w.log.length, 1);
});

Deno.test("RedisThrottler.pause() closes grants that have not started", async () => {
  using w = await world();
  const throttler = w.process();
  const slow = new Throttler({ limit: 1, period: 500 });
  await slow.run(() => {});
  const both = runAll([throttler, slow], () => w.log.push("both"));
  throttler.pause(2_000);
  await w.pass(1_900);
  assertEquals(w.log, []);
  await w.pass(3_000);
  await both;
});

Deno.test("RedisThrottler.pause() closes a grant that waits for another limiter", async () => {
  using w = await world();
  const [a, b] = [w.process(), w.process({ key: "other", delay: () => 50 })];
  const both = runAll([a, b], () => w.log.push("both"));
  await w.pass(30); // granted by the first, and on the way to the second
  a.pause(2_000);
  await w.pass(1_900);
  assertEquals(w.log, []);
  await w.pass(3_000);
  await both;
});

Deno.test("RedisThrottler.waitTime() tells from the newest answer how long a newcomer would wait", async () => {
  using w = await world();
  const throttler = w.process();
  assertEquals(throttler.waitTime(), 0);
  await w.call(throttler, "a", { cost: 2 });
  await w.pass(100);
  const wait = throttler.waitTime();
  assert(wait > 850 && wait <= 950, `${wait}`);
  assertThrows(
    () => throttler.waitTime(3),
    RangeError,
    "Cannot start a call: cost is 3, wanted",
  );
});

Deno.test("RedisThrottler.waitTime() counts the calls of this process that stand in line", async () => {
  using w = await world();
  const throttler = w.process();
  for (let i = 0; i < 6; i++) w.call(throttler, "x").catch(() => {});
  await w.pass(10);
  const wait = throttler.waitTime();
  assert(wait > 2_900 && wait <= 3_000, `${wait} ms for the next token, and four calls before`);
  throttler.close();
});

Deno.test("RedisThrottler.run() refuses a cost above a limit before anything is sent", async () => {
  using w = await world();
  const throttler = w.process();
  await assertRejects(() => throttler.run(() => {}, { cost: 3 }), RangeError, "cost is 3");
  assertEquals(w.server.commands.length, 0);
});

Deno.test("RedisThrottler.run() rejects one call more than maxQueue", async () => {
  using w = await world();
  const throttler = w.process({ maxQueue: 1 });
  const first = w.call(throttler, "a");
  const error = await assertRejects(() => w.call(throttler, "b"), ThrottlerError, "maxQueue is 1");
  assertEquals(error.kind, "full");
  await first;
});

Deno.test("RedisThrottler.close() rejects what waits and what comes, and lets go on what has started", async () => {
  using w = await world();
  const throttler = w.process({ limits: { limit: 1, period: 100, refill: "after-finish" } });
  const { promise, resolve } = Promise.withResolvers<string>();
  const running = throttler.run(() => promise);
  await w.pass(5);
  const waiting = throttler.run(() => "never");
  waiting.catch(() => {});
  await w.pass(5);
  throttler.close();
  await assertRejects(() => waiting, ThrottlerError, "closed");
  await assertRejects(() => throttler.run(() => {}), ThrottlerError, "closed");
  await w.pass(20_000);
  const other = w.process({ limits: { limit: 1, period: 100, refill: "after-finish" } });
  w.call(other, "other");
  await w.pass(1_000);
  assertEquals(w.log, [], "the call that runs keeps its token");
  resolve("done");
  assertEquals(await running, "done");
  await w.pass(300);
  assertEquals(w.log.length, 1);
});

Deno.test("RedisThrottler.acquire() gives a permit, whose disposal is the finish", async () => {
  using w = await world();
  const throttler = w.process({ limits: { limit: 1, period: 100, refill: "after-finish" } });
  const permit = await throttler.acquire();
  w.call(throttler, "next");
  await w.pass(8_000);
  assertEquals(w.log, []);
  permit[Symbol.dispose]();
  await w.pass(200);
  assertEquals(w.log.length, 1);
});

Deno.test("RedisThrottler.run() charges a call that fails, and rejects with its error", async () => {
  using w = await world();
  const throttler = w.process({ limits: { limit: 1, period: 1_000 } });
  const fail = () => {
    throw new Error("refused");
  };
  await assertRejects(() => throttler.run(fail), Error, "refused");
  w.call(throttler, "next");
  await w.pass(900);
  assertEquals(w.log, []);
  await w.pass(200);
  assertEquals(w.log.length, 1);
});

Deno.test("runAll() takes a shared and a local limit together or not at all", async () => {
  using w = await world();
  const shared = w.process({ limits: { limit: 3, period: 1_000 } });
  const other = w.process({ limits: { limit: 3, period: 1_000 } });
  const local = new Throttler({ limit: 1, period: 400 });
  const calls = [1, 2, 3].map((name) =>
    runAll([shared, { throttler: local, cost: 1 }], () => w.log.push(`${name}`))
  );
  await w.pass(50);
  assertEquals(w.log, ["1"]);
  // The two that wait for the local limit hold back nobody in the shared one.
  await w.pass(20);
  w.call(other, "other", { cost: 1 });
  await w.pass(20);
  assertEquals(w.log.length, 2);
  await w.pass(3_000);
  await Promise.all(calls);
  assertEquals(w.log.filter((name) => name.length === 1), ["1", "2", "3"]);
});

Deno.test("runAll() charges a shared limit nothing where the wait is aborted", async () => {
  using w = await world();
  const shared = w.process();
  const local = new Throttler({ limit: 1, period: 60_000 });
  await local.run(() => {});
  const controller = new AbortController();
  const call = runAll([shared, local], () => {}, { signal: controller.signal, cost: 1 });
  call.catch(() => {});
  await w.pass(3_000);
  controller.abort(new Error("enough"));
  await assertRejects(() => call, Error, "enough");
  await w.pass(100);
  const free = w.server.model.free({ kind: "start", limit: 2, period: 1e6 }, w.server.model.last);
  assertEquals([free, w.server.model.line.length], [2, 0]);
});

Deno.test('RedisThrottler: onUnavailable "wait" asks again with growing waits until Redis answers', async () => {
  using w = await world();
  const events: string[] = [];
  const throttler = w.process({ onEvent: ({ type }) => events.push(type) });
  w.server.isDown = true;
  const call = w.call(throttler, "a");
  await w.pass(60_000);
  const { length } = w.server.commands;
  assert(length > 30 && length < 80, `${length} commands in a minute`);
  w.server.isDown = false;
  await w.pass(2_000);
  await call;
  assertEquals(events, ["unavailable", "available"]);
});

Deno.test('RedisThrottler: onUnavailable "reject" rejects what waits and what comes, until Redis answers', async () => {
  using w = await world();
  const throttler = w.process({ onUnavailable: "reject" });
  w.server.isDown = true;
  const error = await assertRejects(() => w.call(throttler, "a"), ThrottlerError, "Redis");
  assertEquals([error.kind, String(error.cause)], ["unavailable", "Error: Connection refused"]);
  await assertRejects(() => w.call(throttler, "b"), ThrottlerError);
  w.server.isDown = false;
  await w.pass(7_000);
  await w.call(throttler, "c");
  await w.pass(7_000);
  assertEquals(w.clock.live, 0);
});

Deno.test('RedisThrottler: onUnavailable "reject" asks nothing for ever: no timer is left', async () => {
  using w = await world();
  const throttler = w.process({ onUnavailable: "reject" });
  w.server.isDown = true;
  await assertRejects(() => w.call(throttler, "a"), ThrottlerError);
  await w.pass(30_000);
  assertEquals(w.clock.live, 0);
  await assertRejects(() => w.call(throttler, "b"), ThrottlerError);
});

Deno.test('RedisThrottler: onUnavailable "local" divides the limit, after all that others may have spent', async () => {
  using w = await world();
  const limits = { limit: 6, period: 1_000 };
  const processes = [0, 1, 2].map(() =>
    w.process({ limits, onUnavailable: "local", processes: 3, timeout: 200 })
  );
  const starts: number[] = [];
  const calls: Promise<unknown>[] = [];
  const call = (i: number) => calls.push(processes[i].run(() => starts.push(w.clock.now)));
  for (let i = 0; i < 6; i++) call(i % 3);
  await w.pass(50);
  w.server.isDown = true;
  for (let i = 0; i < 120; i++) call(i % 3);
  await w.pass(5_900);
  assertEquals(starts.length, 6, "first it waits for the longest period and a lease");
  await w.pass(5_000);
  assert(starts.length >= 24, `then it counts its own share: ${starts.length}`);
  w.server.isDown = false;
  await w.pass(60_000);
  await Promise.all(calls);
  for (const start of starts) {
    const window = starts.filter((other) => other >= start && other < start + 1_000);
    assert(window.length <= 6, `${window.length} in a window`);
  }
  assertEquals(w.clock.live, 0);
});

Deno.test("RedisThrottler: a refusal that no repetition changes rejects the calls, with the cause", async () => {
  const send = () => Promise.reject(new Error("NOAUTH Authentication required."));
  const throttler = new RedisThrottler({ send, key: "k", limits: { limit: 1, period: 1 } });
  const error = await assertRejects(() => throttler.run(() => {}), ThrottlerError);
  assertEquals(error.kind, "unavailable");
  assertEquals(
    error.message,
    "Cannot start a call: Redis refuses with NOAUTH, wanted leave to run a script",
  );
  assertEquals(String((error.cause as Error).cause), "Error: NOAUTH Authentication required.");
});

Deno.test("RedisThrottler: data that were lost count as spent, and a listener hears of it", async () => {
  using w = await world();
  const events: string[] = [];
  const [a, b] = [w.process({ onEvent: ({ type }) => events.push(type) }), w.process()];
  await Promise.all([w.call(a, "a"), w.call(b, "b")]);
  w.server.model.flush();
  w.call(a, "a2");
  await w.pass(5_900);
  assertEquals([w.log.length, events], [2, ["lost"]]);
  await w.pass(200);
  assertEquals(w.log.length, 3);
});

Deno.test("RedisThrottler: a process that died gives places and tokens back after a lease", async () => {
  using w = await world();
  const limits = { limit: 1, period: 500, refill: "after-finish" as const };
  let isDead = false;
  const client = w.server.client();
  const dead = w.process({
    limits,
    send: (command) => isDead ? new Promise(() => {}) : client(command),
  });
  dead.run(() => new Promise(() => {}));
  await w.pass(10);
  w.call(dead, "never").catch(() => {});
  await w.pass(10);
  isDead = true;
  w.call(w.process({ limits }), "heir");
  await w.pass(5_300);
  assertEquals(w.log, []);
  await w.pass(500);
  assertEquals(w.log.length, 1);
  dead.close();
});

Deno.test("RedisThrottler.run() does not use a grant that is older than half a lease", async () => {
  using w = await world();
  const delays = [0, 2_600];
  const throttler = w.process({ delay: () => delays.shift() ?? 0, timeout: 5_000 });
  let commands = 0;
  throttler.run(() => commands = w.server.commands.length);
  await w.pass(2_500);
  assertEquals(commands, 0);
  await w.pass(200);
  assertEquals(commands, 2, "the grant came late, and the process has asked again");
  await w.pass(200);
});

Deno.test("RedisThrottler.run() counts starts that Redis could not be told of for more than a lease", async () => {
  using w = await world();
  const throttler = w.process({ limits: { limit: 1, period: 20_000 } });
  await w.call(throttler, "first");
  w.server.isDown = true;
  await w.pass(15_000);
  assertEquals(w.clock.live, 0, "nothing is left to ask");
  w.server.isDown = false;
  w.call(throttler, "second");
  await w.pass(4_000);
  assertEquals(w.log.length, 1);
  await w.pass(2_000);
  assertEquals(w.log.length, 2);
});

Deno.test("RedisThrottler refuses options of the wrong type or out of range", () => {
  const good = { send: () => Promise.resolve(), key: "k", limits: { limit: 4, period: 1 } };
  const refused = (options: object, error: typeof TypeError | typeof RangeError, words: string) =>
    assertThrows(
      () => new RedisThrottler({ ...good, ...options } as RedisThrottlerOptions),
      error,
      words,
    );
  refused({ send: "redis://" }, TypeError, 'send is "redis://", a string; wanted a function');
  refused({ send: undefined }, TypeError, "send is undefined");
  refused({ key: 5 }, TypeError, "key is 5, a number; wanted a string");
  refused({ key: "" }, RangeError, 'key is "", wanted text');
  refused({ key: "a{b}" }, RangeError, "without { and }");
  refused({ limits: [] }, RangeError, "limits");
  refused({ limits: { limit: 0, period: 1 } }, RangeError, "limit");
  refused({ onUnavailable: "open" }, TypeError, '"wait", "reject" or "local"');
  refused({ onUnavailable: "local" }, TypeError, "processes is undefined");
  refused({ onUnavailable: "local", processes: 5 }, RangeError, "wanted at most 4");
  refused({ processes: 0 }, RangeError, "processes is 0, wanted");
  refused({ lease: 10 }, RangeError, "lease is 10, wanted");
  refused({ timeout: 0 }, RangeError, "timeout is 0");
  refused({ maxQueue: NaN }, RangeError, "maxQueue is NaN");
  refused({ onEvent: 1 }, TypeError, "onEvent is 1, a number");
});

Deno.test("Session: a shared limit is paused for all processes by a venue's 429", async () => {
  using w = await world();
  const limits = { limit: 5, period: 1_000 };
  const [a, b] = [w.process({ limits }), w.process({ limits })];
  const answers = [200, 429];
  const fetch = () => {
    w.log.push(`sent ${Math.floor(w.clock.now)}`);
    const headers = { "retry-after": "3", "content-type": "application/json" };
    return Promise.resolve(new Response("{}", { status: answers.shift() ?? 200, headers }));
  };
  const base = "https://venue.example/";
  const sessions = [a, b].map((throttler) =>
    new Session({ baseUrl: base, throttlers: [{ throttler, cost: 2 }], fetch })
  );
  const order = async (i: number) => {
    const answer = sessions[i].post("orders", { json: { side: "buy" } });
    answer.catch(() => {});
    await w.pass(50);
    return answer;
  };
  assertEquals(await order(0), {});
  await assertRejects(() => order(0), BrokerError, "429");
  order(1).catch(() => {});
  await w.pass(4_000);
  assertEquals(w.log.length, 3);
  const [, refused, last] = w.log.map((line) => Number(line.split(" ")[1]));
  assert(last - refused >= 3_000, `after ${last - refused} ms`);
  for (const session of sessions) session.close();
  await w.pass(10_000);
});

Deno.test({
  name: "WebSocketFeeder: a shared limit paces the frames and the attempts of two feeds",
  sanitizeOps: false, // the feed's interval is a real one, and the feed closes in virtual time
  sanitizeResources: false,
  fn: pacesTwoFeeds,
});

async function pacesTwoFeeds(): Promise<void> {
  using w = await world();
  const limits = { limit: 2, period: 1_000 };
  const feeds = [0, 1].map(() =>
    new TestFeed({ pace: w.process({ limits }), dials: w.process({ limits, key: "dials" }) })
  );
  for (const feed of feeds) {
    feed.subscribe("a");
    feed.connect().catch(() => {});
  }
  await w.pass(20);
  assertEquals(feeds.map(({ sockets }) => sockets.length), [1, 1]);
  for (const { socket } of feeds) socket.open();
  await w.pass(20);
  for (const feed of feeds) feed.subscribe("b");
  await w.pass(20);
  const sent = () => feeds.flatMap(({ socket }) => socket.sent).length;
  assertEquals(sent(), 2);
  await w.pass(1_200);
  assertEquals(sent(), 4);
  for (const feed of feeds) {
    feed.close();
    feed.socket.end(1000);
  }
  await w.pass(60_000);
  assertEquals(w.clock.live, 0);
}
