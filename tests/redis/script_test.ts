/**
 * The script against a plain program that counts everything again each time, on a real server whose
 * clock the test moves: the shipped script but for the line that reads the time.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { type Answer, type Ask, SCRIPT, word } from "../../redis/script.ts";
import { Model, type ModelLimit } from "./model.ts";
import { connect, hasRedis, type RedisClient, RedisServer } from "./server.ts";

const RUNS = Number(Deno.env.get("RUNS") ?? 60);
const TIME = "call('TIME')";
assertEquals(SCRIPT.split(TIME).length, 2, "the script reads the clock once");
const TESTED = SCRIPT.replace(TIME, "{ ARGV[3], ARGV[4] }");

const limit: fc.Arbitrary<ModelLimit> = fc.record({
  kind: fc.constantFrom("start" as const, "start" as const, "finish" as const),
  limit: fc.integer({ min: 1, max: 8 }),
  period: fc.constantFrom(5_000, 100_000, 1_000_000, 2_500_000),
  burst: fc.option(fc.integer({ min: 1, max: 6 }), { nil: undefined }),
}).map(({ burst, ...limit }) =>
  limit.kind === "finish" || burst === undefined ? limit : { ...limit, burst }
);

/** What happens in one step: to whom, how long after the step before. */
const step = fc.record({
  agent: fc.nat(3),
  gap: fc.oneof(
    { weight: 5, arbitrary: fc.nat(40_000) },
    { weight: 3, arbitrary: fc.nat(800_000) },
    { weight: 1, arbitrary: fc.nat(8_000_000) },
  ),
  /** A step of the server's clock. */
  jump: fc.oneof(
    { weight: 20, arbitrary: fc.constant(0) },
    { weight: 1, arbitrary: fc.integer({ min: -5_000_000, max: 5_000_000 }) },
  ),
  calls: fc.array(fc.record({ cost: fc.nat(3), isUrgent: fc.boolean() }), { maxLength: 4 }),
  aborts: fc.nat(1),
  starts: fc.nat(6),
  finishes: fc.nat(6),
  event: fc.constantFrom("", "", "", "", "", "repeat", "late repeat", "pause", "lost", "flush"),
});

/** An agent as the client is one, without its timers. */
class Agent {
  n = 0;
  ids = 0;
  epoch: string | undefined;
  seen = 0;
  sentAt = 0;
  waiting: { id: string; cost: number; place: string }[] = [];
  granted: { id: string; cost: number }[] = [];
  running: number[] = [];
  last: [Ask, number] | undefined;

  constructor(readonly name: string) {}
}

type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

/** Lets the agent do what the step says, and makes its command. */
function act(agent: Agent, { calls, aborts, starts, finishes, event }: Step): Ask {
  for (const { cost, isUrgent } of calls) {
    const id = `${++agent.ids}`;
    const call = { id, cost, place: `${id}:${cost}${isUrgent ? "!" : ""}` };
    isUrgent ? agent.waiting.unshift(call) : agent.waiting.push(call);
  }
  const leave = agent.waiting.splice(0, aborts).map(({ place }) => place);
  const started = agent.granted.splice(0, starts).map(({ cost }) => cost);
  agent.running.push(...started);
  const finished = agent.running.splice(0, finishes);
  const sum = (costs: number[]) => costs.reduce((a, b) => a + b, 0);
  const held = sum(agent.granted.map(({ cost }) => cost));
  const told = (costs: number[]) => costs.map((cost, i) => [cost, 1_000 * i] as [number, number]);
  return {
    agent: agent.name,
    n: ++agent.n,
    ...(agent.epoch !== undefined && { epoch: agent.epoch }),
    seen: agent.seen,
    isLost: event === "lost",
    lease: 3_000_000,
    start: { held, told: told(started) },
    finish: { held: held + sum(agent.running), told: told(finished) },
    pause: event === "pause" ? 300_000 : 0,
    leave,
    join: agent.waiting.slice(0, 100).map(({ place }) => place),
  };
}

function hear(agent: Agent, answer: Answer | never[], now: number): void {
  if (answer.length === 0) return;
  const [epoch, seen, , , ...ids] = answer as Answer;
  [agent.epoch, agent.seen, agent.sentAt] = [epoch, seen, now];
  for (const call of agent.waiting.filter(({ id }) => ids.includes(id))) {
    agent.waiting.splice(agent.waiting.indexOf(call), 1);
    agent.granted.push(call);
  }
}

async function play(client: RedisClient, limits: ModelLimit[], steps: Step[]): Promise<void> {
  const model = new Model();
  const agents = ["a", "b", "c", "d"].map((name) => new Agent(name));
  const keys = ["{k}", "{k}:line", "{k}:leases", ...limits.map((_, i) => `{k}:${i}`)];
  await client.send(["FLUSHALL"]);
  let now = 1.7e15;
  let jumped = 0;
  const both = async (ask: Ask, sure: number) => {
    const time = now + jumped;
    const argv = [
      ...word(ask, JSON.stringify(limits), sure),
      `${Math.floor(time / 1e6)}`,
      `${time % 1e6}`,
    ];
    const answer = await client.send(["EVAL", TESTED, `${keys.length}`, ...keys, ...argv]);
    assertEquals(answer, model.execute(ask, sure, limits, time));
    return answer as Answer | never[];
  };
  for (const step of steps) {
    now += step.gap + 1;
    jumped += step.jump;
    if (step.event === "flush") {
      await client.send(["FLUSHALL"]);
      model.flush();
    }
    const agent = agents[step.agent];
    const sure = agent.seen + now - agent.sentAt;
    if (step.event === "late repeat" && agent.last) await both(...agent.last);
    const ask = act(agent, step);
    agent.last = [ask, sure];
    const answer = await both(ask, sure);
    if (step.event === "repeat") assertEquals(await both(ask, sure), answer);
    hear(agent, answer, now);
    if (agent.waiting.length > 0) assert((answer as Answer)[2] > 0, "who waits is given a time");
  }
  for (const key of keys) {
    assert(await client.send(["PTTL", key]) !== -1, `${key} has no time to live`);
  }
}

Deno.test({
  name: "the script gives the answers of a count that is taken anew each time (property)",
  ignore: !hasRedis,
  async fn() {
    await using server = await RedisServer.start();
    using client = await connect(server.port);
    const limits = fc.array(limit, { minLength: 1, maxLength: 3 });
    const steps = fc.array(step, { minLength: 10, maxLength: 60, size: "max" });
    await fc.assert(
      fc.asyncProperty(limits, steps, (limits, steps) => play(client, limits, steps)),
      { numRuns: RUNS },
    );
  },
});

Deno.test({
  name:
    "the script lets time stand still for an agent that heard the time before the clock was set",
  ignore: !hasRedis,
  async fn() {
    await using server = await RedisServer.start();
    using client = await connect(server.port);
    const limits: ModelLimit[] = [{ kind: "start", limit: 1, period: 1_000_000 }];
    const model = new Model();
    const none = { held: 0, told: [] };
    const rest = { isLost: false, lease: 60_000_000, pause: 0, leave: [], join: [] };
    let epoch: string | undefined;
    /** One command; times are in seconds. Returns the time of the count. */
    const ask = async (agent: string, n: number, clock: number, seen = 0, late = 0) => {
      const words: Ask = { agent, n, seen: seen * 1e6, start: none, finish: none, ...rest };
      if (epoch !== undefined) words.epoch = epoch;
      const [sure, time] = [(seen + late) * 1e6, clock * 1e6];
      const argv = [
        ...word(words, JSON.stringify(limits), sure),
        `${Math.floor(clock)}`,
        `${time % 1e6}`,
      ];
      const keys = ["{k}", "{k}:line", "{k}:leases", "{k}:0"];
      const answer = await client.send(["EVAL", TESTED, "4", ...keys, ...argv]) as Answer;
      assertEquals(answer, model.execute(words, sure, limits, time));
      epoch = answer[0];
      return Number(answer[1]) / 1e6;
    };
    assertEquals(await ask("a", 1, 10_000), 10_000);
    assertEquals(await ask("b", 1, 10_001, 10_000, 1), 10_001);
    // Set back by an hour. The next command comes 3 seconds later: so much is the count late.
    const set = await ask("b", 2, 10_004 - 3_600, 10_001, 3);
    assert(set < 10_001.001);
    // Set forward again. The first agent would say that 4 seconds have passed since it heard.
    assert(await ask("a", 2, 10_004.1, 10_000, 4.1) < 10_001.2, "time stands still");
    const goes = await ask("b", 3, 10_004.2, set, 0.2);
    assert(goes > 10_001 && goes < 10_001.3, "and goes on");
  },
});

Deno.test({
  name: "the script grants with three commands while tokens are left, and tells a start with one",
  ignore: !hasRedis,
  async fn() {
    await using server = await RedisServer.start();
    using client = await connect(server.port);
    const none = { held: 0, told: [] };
    const limits = JSON.stringify([{ kind: "start", limit: 99, period: 9e9 }]);
    const keys = ["{k}", "{k}:line", "{k}:leases", "{k}:1"];
    let n = 0;
    /** One command, which asks for a token. Returns what the server executed. */
    const commands = async (told: [number, number][], cost = 1, leave: string[] = []) => {
      const [seen, lease] = [0, 3_600_000_000];
      const [start, join] = [{ held: n - told.length, told }, [`${++n}:${cost}`]];
      const rest = { isLost: false, pause: 0, leave, finish: none };
      const words = word({ agent: "a", n, seen, lease, start, join, ...rest }, limits, 0);
      await client.send(["CONFIG", "RESETSTAT"]);
      const answer = await client.send(["EVAL", SCRIPT, "4", ...keys, ...words]) as Answer;
      assertEquals(answer.slice(4), cost === 1 ? [`${n}`] : []);
      const stats = String(await client.send(["INFO", "commandstats"]));
      return [...stats.matchAll(/cmdstat_(\w+):calls=(\d+)/g)].map(([, ...name]) => name.join(" "))
        .filter((name) => !/^(eval|info|config)/.test(name)).sort();
    };
    await commands([]);
    assertEquals(await commands([]), ["hmget 1", "hset 1", "time 1"]);
    assertEquals(await commands([[1, 0]]), [
      "hmget 1",
      "hset 1",
      "pexpire 1",
      "time 1",
      "zadd 1",
    ]);
    assertEquals(await commands([[1, 0]]), ["hmget 1", "hset 1", "time 1", "zadd 1"]);
    await commands([], 99); // stands in line
    const more = ["exists 1", "hmget 1", "hset 1", "time 1", "zrem 1"];
    assertEquals(await commands([], 1, ["5:99"]), more, "nobody stands in line any more");
    assertEquals(await commands([]), ["hmget 1", "hset 1", "time 1"]);
    for (const key of keys.filter((key) => key !== "{k}:line")) {
      assert(Number(await client.send(["PTTL", key])) > 0, `${key} has a time to live`);
    }
  },
});

/** Agents that share one token per second, on a clock that the test sets, in microseconds. */
async function oneToken(
  play: (ask: (agent: string, at: number, words: Partial<Ask>) => Promise<string[]>) => unknown,
): Promise<void> {
  await using server = await RedisServer.start();
  using client = await connect(server.port);
  const limits = JSON.stringify([{ kind: "start", limit: 1, period: 1_000_000 }]);
  const keys = ["{k}", "{k}:line", "{k}:leases", "{k}:1"];
  const none = { held: 0, told: [] };
  const rest = { isLost: false, lease: 3_000_000, pause: 0, seen: 0, leave: [], join: [] };
  let count = 0;
  await play(async (agent, at, words) => {
    const ask = { agent, n: ++count, start: none, finish: none, ...rest, ...words };
    const argv = [...word(ask, limits, 0), `${1_700_000_000 + Math.floor(at / 1e6)}`];
    const command = ["EVAL", TESTED, "4", ...keys, ...argv, `${at % 1e6}`];
    return (await client.send(command) as Answer).slice(4) as string[];
  });
}

Deno.test({
  name: "the script grants a token in the microsecond in which the token comes back, not before",
  ignore: !hasRedis,
  fn: () =>
    oneToken(async (ask) => {
      assertEquals(await ask("a", 0, { join: ["1:1"] }), ["1"]);
      const start = { held: 0, told: [[1, 5_000] as [number, number]] };
      assertEquals(await ask("a", 10_000, { join: ["2:1"], start }), [], "started at 5,000");
      assertEquals(await ask("a", 1_004_998, { join: ["2:1"] }), []);
      assertEquals(await ask("a", 1_004_999, { join: ["2:1"] }), []);
      assertEquals(await ask("a", 1_005_000, { join: ["2:1"] }), ["2"]);
    }),
});

Deno.test({
  name: "the script counts the tokens of a dead agent from the end of its lease",
  ignore: !hasRedis,
  fn: () =>
    oneToken(async (ask) => {
      assertEquals(await ask("a", 0, { join: ["1:1"] }), ["1"]);
      assertEquals(await ask("b", 2_999_999, { join: ["1:1"] }), []);
      assertEquals(await ask("b", 3_000_000, { join: ["1:1"] }), []);
      assertEquals(await ask("b", 3_999_999, { join: ["1:1"] }), []);
      assertEquals(await ask("b", 4_000_000, { join: ["1:1"] }), ["1"]);
    }),
});

Deno.test({
  name: "the script executes no command that is older than the agent's last",
  ignore: !hasRedis,
  fn: () =>
    oneToken(async (ask) => {
      await ask("a", 0, { n: 1 });
      assertEquals(await ask("a", 1, { n: 3 }), []);
      assertEquals(await ask("a", 2, { n: 2, join: ["1:1"] }), []);
      assertEquals(await ask("b", 3, { join: ["1:1"] }), ["1"], "the token is free");
    }),
});
