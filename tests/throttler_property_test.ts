/**
 * The promises of the throttler as properties, on a clock whose timers fire up to 1 ms early or 2 s
 * late. `deno task test:deep` runs each 100,000 times.
 *
 * @module
 */
import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { randomOf } from "../testing.ts";
import { type Limit, runAll, Throttler, ThrottlerError } from "../throttler.ts";
import { RemoteLimiter } from "./throttler/remote_limiter.ts";
import { settle, VirtualClock } from "./virtual_clock.ts";

const RUNS = Number(Deno.env.get("RUNS") ?? 2_000);

/** Times are kept in ticks of 1/1024 ms, rounded up once where they are noted and once where they are compared. */
const TICK = 1 / 1_024;

/** One call, as planned and as it went. All times are of the virtual clock. */
interface Call {
  readonly gap: number;
  readonly cost: number;
  /** Work that `fn` does before its call is sent, and after. */
  readonly before: number;
  readonly after: number;
  /** How long the caller has patience. */
  readonly patience: number;
  readonly urgent: boolean;
  arrival: number;
  /** When the call was sent, and when `fn` returned. */
  sent?: number;
  returned?: number;
  aborted?: number;
}

type Plan = Pick<Call, "gap" | "cost" | "before" | "after" | "patience" | "urgent">;

/** Times of every fraction, evenly spread: `fc.double` chooses among floats, most of which are next to 0. */
function upTo(max: number): fc.Arbitrary<number> {
  return fc.nat(2 ** 31 - 1).map((n) => n / 2 ** 31 * max);
}

const period = fc.constantFrom(0.5, 1, 3.3, 10, 99.7, 1_000, 2_500);

const windows = fc.array(
  fc.record({ limit: fc.integer({ min: 1, max: 8 }), period }),
  { minLength: 1, maxLength: 3 },
);

const steady = fc.record({
  limit: fc.integer({ min: 1, max: 8 }),
  period,
  refill: fc.constant("steady" as const),
  burst: fc.integer({ min: 1, max: 12 }),
});

const work = fc.oneof(
  { weight: 3, arbitrary: fc.constant(0) },
  { weight: 1, arbitrary: upTo(30) },
);

/** Sequences that are long enough to come back to full buckets several times. */
function plans(
  { isIdle = false, isPatient = false, hasUrgent = false, most = 120 } = {},
): fc.Arbitrary<Plan[]> {
  return fc.array(
    fc.record({
      gap: fc.oneof(
        { weight: 6, arbitrary: fc.constant(0) },
        { weight: 2, arbitrary: upTo(50) },
        { weight: 1, arbitrary: upTo(3_000) },
      ),
      cost: fc.oneof(
        { weight: 4, arbitrary: fc.constant(1) },
        { weight: 1, arbitrary: fc.integer({ min: 0, max: 8 }) },
      ),
      before: isIdle ? fc.constant(0) : work,
      after: isIdle ? fc.constant(0) : work,
      patience: isPatient ? fc.constant(Infinity) : fc.oneof(
        { weight: 3, arbitrary: fc.constant(Infinity) },
        { weight: 1, arbitrary: upTo(2_000) },
      ),
      urgent: hasUrgent
        ? fc.oneof(
          { weight: 3, arbitrary: fc.constant(false) },
          { weight: 1, arbitrary: fc.constant(true) },
        )
        : fc.constant(false),
    }),
    { minLength: 10, maxLength: most, size: "max" },
  );
}

const seed = fc.integer();
const start = upTo(1e9);

/** Timers that fire up to 1 ms early, or on time, or a little late, or up to 2 s late. */
function unpunctual(seed: number): () => number {
  const next = randomOf(seed);
  return () => [-1, 0, 5, 2_000][Math.floor(next() * 4)] * next();
}

/** Timers that fire up to 1 ms early. */
function hasty(seed: number): () => number {
  const next = randomOf(seed);
  return () => next() < 0.5 ? 0 : -next();
}

/** Plays a plan and notes how it went; checks on the way what holds at every moment. */
async function play(
  throttler: Throttler,
  clock: VirtualClock,
  plan: readonly Plan[],
  capacity: number,
): Promise<Call[]> {
  const calls: Call[] = plan.map((call) => ({
    ...call,
    cost: Math.min(call.cost, capacity),
    arrival: 0,
  }));
  const errors: unknown[] = [];
  /** Those that came and neither started nor were aborted, oldest first. */
  const waiting = new Set<Call>();
  const patience: { at: number; abort: () => void }[] = [];
  const watch = () => {
    assert(clock.live <= 1, "one timer serves all who wait");
    if (throttler.size === 0) assertEquals(clock.live, 0, "no timer where none waits");
    assertAvailable(throttler, capacity);
  };
  const passTo = async (time: number) => {
    patience.sort((a, b) => a.at - b.at);
    while (patience.length > 0 && patience[0].at <= time) {
      await clock.runTo(patience[0].at);
      patience.shift()!.abort();
      watch();
    }
    await clock.runTo(time);
  };
  for (const call of calls) {
    await passTo(clock.now + call.gap);
    const controller = new AbortController();
    call.arrival = clock.now;
    waiting.add(call);
    throttler.run(() => {
      assertEquals(call.aborted, undefined, "an aborted call never starts");
      assertEquals(goesBefore(call, waiting), [], "urgent first, then first come, first served");
      waiting.delete(call);
      clock.now += call.before;
      call.sent = clock.now;
      clock.now += call.after;
      call.returned = clock.now;
    }, { cost: call.cost, signal: controller.signal, urgent: call.urgent }).catch((error) => {
      if (call.aborted === undefined) errors.push(error); // an assertion of ours
    });
    if (call.patience < Infinity) {
      const abort = () => {
        if (call.sent === undefined) call.aborted = clock.now;
        waiting.delete(call);
        controller.abort();
      };
      patience.push({ at: clock.now + call.patience, abort });
    }
    watch();
  }
  await passTo(patience.at(-1)?.at ?? 0);
  while (patience.length > 0) await passTo(patience.at(-1)!.at);
  await clock.runTo();
  assertEquals(errors, []);
  assertEquals([throttler.size, clock.live], [0, 0], "nothing is left over");
  for (const { sent, aborted } of calls) {
    assert((sent === undefined) !== (aborted === undefined), "each call starts or is aborted");
  }
  return calls;
}

/** Those of the calls, oldest first, that go before one of them. */
function goesBefore(call: Call, waiting: Iterable<Call>): Call[] {
  const all = [...waiting];
  const older = all.slice(0, all.indexOf(call));
  return call.urgent
    ? older.filter((other) => other.urgent)
    : [...older, ...all.filter((other) => other.urgent)];
}

/** Asserts that `available` tokens could be spent now, and not one more. */
function assertAvailable(throttler: Throttler, capacity: number): void {
  const { available } = throttler;
  assert(available >= 0 && available <= capacity, `${available} of ${capacity}`);
  if (throttler.size > 0) return assertEquals(available, 0, "a newcomer has to wait");
  if (available > 0) assertEquals(throttler.waitTime(available), 0);
  if (available < capacity) assert(throttler.waitTime(available + 1) > 0);
}

/** Asserts that no half-open window of the period holds more than the limit. */
function assertWindows(events: { at: number; cost: number }[], { limit, period }: Limit): void {
  events.sort((a, b) => a.at - b.at);
  let first = 0;
  let sum = 0;
  for (const { at, cost } of events) {
    sum += cost;
    while (at - events[first].at >= period) sum -= events[first++].cost;
    assert(sum <= limit, `${sum} within ${period} ms, where ${limit} is the limit`);
  }
}

/** When a call may start at the earliest, by brute force over all that was stamped before. */
function earliest(
  from: number,
  cost: number,
  past: { at: number; cost: number }[],
  limits: readonly Limit[],
): number {
  let at = from;
  for (let isLate = true; isLate;) {
    isLate = false;
    for (const { limit, period } of limits) {
      const held = past.filter((event) => event.at + period > at);
      if (held.reduce((sum, event) => sum + event.cost, cost) <= limit) continue;
      at = Math.min(...held.map((event) => event.at + period));
      isLate = true;
    }
  }
  return at;
}

/** When a call may start at the earliest by a bucket in real numbers. */
function earliestSteady(
  from: number,
  cost: number,
  past: { at: number; cost: number }[],
  { limit, period, burst = limit }: Limit,
): number {
  let level = burst;
  let last = -Infinity;
  for (const event of past) {
    level = Math.min(burst, level + (event.at - last) * limit / period) - event.cost;
    last = event.at;
  }
  level = Math.min(burst, level + (from - last) * limit / period);
  return level >= cost ? from : from + (cost - level) * period / limit;
}

function bySent(a: Call, b: Call): number {
  return a.sent! - b.sent!;
}

/** A test that many random cases pass. */
function property<Ts extends [unknown, ...unknown[]]>(
  name: string,
  ...args: [...{ [I in keyof Ts]: fc.Arbitrary<Ts[I]> }, (...args: Ts) => Promise<void>]
): void {
  const check = fc.asyncProperty(...args as unknown as Parameters<typeof fc.asyncProperty<Ts>>);
  Deno.test(`${name} (property)`, () => fc.assert(check, { numRuns: RUNS }));
}

property(
  "Throttler.run() never lets more than the limit start in any window, urgent first, else first come, first served",
  windows,
  plans({ hasUrgent: true }),
  seed,
  start,
  async (limits, plan, seed, start) => {
    using clock = new VirtualClock(start, unpunctual(seed));
    const capacity = Math.min(...limits.map(({ limit }) => limit));
    const calls = await play(new Throttler(limits), clock, plan, capacity);
    const events = calls.flatMap(({ sent, cost }) =>
      sent === undefined ? [] : [{ at: sent, cost }]
    );
    for (const limit of limits) assertWindows(events, limit);
  },
);

property(
  "Throttler.run() starts each call within 1 ms of a brute-force reference, aborted ones leave no trace",
  windows,
  plans({ isIdle: true }),
  seed,
  start,
  async (limits, plan, seed, start) => {
    using clock = new VirtualClock(start, hasty(seed));
    const capacity = Math.min(...limits.map(({ limit }) => limit));
    const calls = await play(new Throttler(limits), clock, plan, capacity);
    const past: { at: number; cost: number }[] = [];
    let turn = 0;
    for (const { arrival, sent, aborted, cost } of calls) {
      const from = Math.max(arrival, turn);
      if (sent === undefined) {
        turn = Math.max(turn, aborted!); // whoever came later waited for this one until then
        continue;
      }
      const at = earliest(from, cost, past, limits);
      assert(sent >= at - 1e-6, `${at - sent} ms too early`);
      assert(sent <= at + 1 + 3 * TICK, `${sent - at} ms too late`);
      past.push({ at: sent, cost });
      turn = sent;
    }
    for (const limit of limits) assertWindows(past, limit);
  },
);

property(
  "Throttler.run() never lets urgent calls pass a limit of any kind",
  fc.record({
    limit: fc.integer({ min: 1, max: 6 }),
    period: fc.constantFrom(10, 99.7, 1_000),
    refill: fc.constantFrom("after-start" as const, "after-finish" as const, "steady" as const),
  }),
  plans({ hasUrgent: true }),
  seed,
  start,
  async (limit, plan, seed, start) => {
    using clock = new VirtualClock(start, unpunctual(seed));
    const calls = await play(new Throttler(limit), clock, plan, limit.limit);
    const past: { at: number; cost: number }[] = [];
    for (const { sent: at, cost } of calls.filter(({ sent }) => sent !== undefined).sort(bySent)) {
      const isEarly = limit.refill === "steady" &&
        earliestSteady(at!, cost, past, limit) > at! + 1e-6;
      assert(!isEarly, "too early");
      past.push({ at: at!, cost });
    }
    if (limit.refill !== "steady") assertWindows(past, limit);
  },
);

property(
  "Throttler.run() never empties a steady bucket, and starts each call within 1 ms of one in real numbers",
  steady,
  plans(),
  seed,
  upTo(1e6),
  fc.boolean(),
  async (limit, plan, seed, start, isHasty) => {
    using clock = new VirtualClock(start, isHasty ? hasty(seed) : unpunctual(seed));
    const calls = await play(new Throttler(limit), clock, plan, limit.burst);
    // From the moment a call is sent to the moment it is stamped it may take its token at any time:
    // it must not take one early even if it did so when sent, nor come late if it did when stamped.
    const past: { at: number; cost: number }[] = [];
    const stamped: { at: number; cost: number }[] = [];
    let turn = 0;
    for (const { arrival, sent, returned, aborted, cost, before } of calls) {
      const from = Math.max(arrival, turn);
      if (sent === undefined) {
        turn = Math.max(turn, aborted!);
        continue;
      }
      assert(sent >= earliestSteady(sent, cost, past, limit) - 1e-6, "too early");
      if (isHasty) {
        const at = earliestSteady(from, cost, stamped, limit);
        assert(sent - before <= at + 1 + 3 * TICK, `${sent - before - at} ms too late`);
      }
      past.push({ at: sent, cost });
      stamped.push({ at: returned!, cost });
      turn = returned!;
    }
  },
);

property(
  "Throttler.pause() lets nothing start before the end of the longest pause",
  windows,
  plans({ isPatient: true }),
  fc.array(
    fc.tuple(
      upTo(500),
      upTo(900),
    ),
    { minLength: 1, maxLength: 8 },
  ),
  seed,
  async (limits, plan, pauses, seed) => {
    using clock = new VirtualClock(0.3, unpunctual(seed));
    const throttler = new Throttler(limits);
    const capacity = Math.min(...limits.map(({ limit }) => limit));
    const spans: [from: number, to: number][] = [];
    const starts: number[] = [];
    const events: { at: number; cost: number }[] = [];
    for (const [i, { gap, before, cost: wanted }] of plan.entries()) {
      await clock.runTo(clock.now + gap);
      const cost = Math.min(wanted, capacity);
      throttler.run(() => {
        starts.push(clock.now);
        clock.now += before;
        events.push({ at: clock.now, cost });
      }, { cost });
      if (i % 5 === 4 && pauses.length > 0) {
        const [gap, duration] = pauses.pop()!;
        await clock.runTo(clock.now + gap);
        spans.push([clock.now, clock.now + duration]);
        throttler.pause(duration);
        assert(throttler.waitTime(0) >= duration - 1e-6);
      }
    }
    await clock.runTo();
    assertEquals(starts.length, plan.length);
    for (const [from, to] of spans) {
      // A call may start at the moment of the pause, just before it.
      assert(!starts.some((at) => at > from && at < to), "started in a pause");
    }
    for (const limit of limits) assertWindows(events, limit);
  },
);

property(
  "Throttler.sync() holds to the venue's count until its reset, and loosens nothing",
  windows,
  plans({ isPatient: true }),
  fc.array(
    fc.record({
      gap: upTo(500),
      count: fc.integer({ min: 0, max: 10 }),
      resetIn: fc.option(upTo(3_000), { nil: undefined }),
      isUsed: fc.boolean(),
    }),
    { minLength: 1, maxLength: 8 },
  ),
  seed,
  async (limits, plan, syncs, seed) => {
    using clock = new VirtualClock(0.3, unpunctual(seed));
    const throttler = new Throttler(limits);
    const capacity = Math.min(...limits.map(({ limit }) => limit));
    const longest = limits.reduce((a, b) => b.period > a.period ? b : a);
    const events: { at: number; cost: number }[] = [];
    const spans: { from: number; period: number; limit: number; done: number }[] = [];
    for (const [i, { gap, before, cost: wanted }] of plan.entries()) {
      await clock.runTo(clock.now + gap);
      const cost = Math.min(wanted, capacity);
      throttler.run(() => {
        clock.now += before;
        events.push({ at: clock.now, cost });
      }, { cost });
      if (i % 5 === 4 && syncs.length > 0) {
        const { gap, count, resetIn, isUsed } = syncs.pop()!;
        await clock.runTo(clock.now + gap);
        const before = throttler.waitTime();
        throttler.sync(isUsed ? { used: count, resetIn } : { remaining: count, resetIn });
        assert(throttler.waitTime() >= before, "it loosened");
        const left = isUsed ? Math.max(0, longest.limit - count) : count;
        const [from, done] = [clock.now, events.length];
        if (resetIn !== undefined) spans.push({ from, period: resetIn, limit: left, done });
        else if (left === 0) {
          // Nothing is left, and nothing comes back at this very moment.
          assert(throttler.waitTime() > 0);
        }
      }
    }
    await clock.runTo();
    assertEquals(events.length, plan.length);
    for (const { from, period, limit, done } of spans) {
      const spent = events.slice(done).filter(({ at }) => at < from + period);
      assert(
        spent.reduce((sum, { cost }) => sum + cost, 0) <= limit,
        "more than the venue had left",
      );
    }
    for (const limit of limits) assertWindows(events, limit);
  },
);

/** Limits of every kind, whose periods are few, so that old and new ones often have the same. */
const anyLimits: fc.Arbitrary<Limit[]> = fc.array(
  fc.record({
    limit: fc.integer({ min: 1, max: 8 }),
    period: fc.constantFrom(3.3, 99.7, 1_000),
    refill: fc.constantFrom("after-start" as const, "after-finish" as const, "steady" as const),
  }),
  { minLength: 1, maxLength: 3 },
);

/** What was spent of a limit: at a start or a finish, or at an update what the limit before remembered. */
interface Spent {
  at: number;
  cost: number;
}

/** A start or a finish, in the order in which they came. */
interface Step extends Spent {
  id: number;
  isFinish: boolean;
  /** Counts the updates before it. */
  epoch: number;
}

const countsFinish = ({ refill }: Limit) => refill === "after-finish";

/** All starts and finishes, each under the limits in force, and what these know of what was before. */
class Epochs {
  readonly limits: Limit[][] = [];
  readonly began: number[] = [];
  readonly steps: Step[] = [];

  /** Tokens of calls that a limit waits for: they run, and some limit in force at their start did so. */
  running(steps: readonly Step[]): number {
    const finished = new Set(steps.filter(({ isFinish }) => isFinish).map(({ id }) => id));
    return steps
      .filter((step) => !step.isFinish && !finished.has(step.id))
      .filter(({ epoch }) => this.limits[epoch].some(countsFinish))
      .reduce((sum, { cost }) => sum + cost, 0);
  }

  /** What a limit itself counts of some steps. */
  counted(limit: Limit, steps: readonly Step[]): Spent[] {
    const waited = new Set(
      this.steps.filter(({ epoch, isFinish }) => !isFinish && this.limits[epoch].some(countsFinish))
        .map(({ id }) => id),
    );
    return steps.filter(({ isFinish, id }) =>
      countsFinish(limit) ? isFinish && waited.has(id) : !isFinish
    );
  }

  /** What a limit knows when it comes into force, by each of the ways in which it may have heard of it. */
  known(limit: Limit, epoch: number): Spent[][] {
    if (epoch === 0) return [[]];
    const old = this.limits[epoch - 1];
    const kin = old.filter((o) => o.refill === limit.refill && o.period === limit.period);
    const twin = kin.find((o) => o.limit === limit.limit);
    const at = this.began[epoch];
    return (twin ? [twin] : kin.length > 0 ? kin : old).flatMap((other) => {
      const steps = this.steps.filter((step) => step.epoch === epoch - 1);
      const own = this.counted(other, steps);
      return this.known(other, epoch - 1).map((before) => {
        const all = [...before, ...own];
        if (other.refill === "steady") {
          const { limit, period } = other;
          const wait = earliestSteady(at, limit, all, other) - at; // until it is full
          return [{ at, cost: Math.max(0, wait * limit / period - 1e-6) }];
        }
        const spent = all.filter((event) => event.at > at - other.period + TICK);
        if (!countsFinish(other) || countsFinish(limit)) return spent;
        const begun = this.steps.filter((step) => step.epoch < epoch);
        return [...spent, { at, cost: this.running(begun) }];
      });
    });
  }

  /** Checks every start against the limits in force and all that they know. */
  assertHeld(): void {
    for (const [epoch, limits] of this.limits.entries()) {
      for (const limit of limits) {
        for (const known of this.known(limit, epoch)) this.#assertHeld(limit, epoch, known);
      }
    }
  }

  #assertHeld(limit: Limit, epoch: number, known: readonly Spent[]): void {
    for (const [i, step] of this.steps.entries()) {
      if (step.epoch !== epoch || step.isFinish || step.cost === 0) continue;
      const past = [
        ...known,
        ...this.counted(limit, this.steps.slice(0, i).filter((step) => step.epoch === epoch)),
      ];
      if (limit.refill === "steady") {
        assert(earliestSteady(step.at, step.cost, past, limit) <= step.at + 1e-6, "too early");
        continue;
      }
      const within = past.filter(({ at }) => step.at - at < limit.period);
      const running = countsFinish(limit) ? this.running(this.steps.slice(0, i)) : 0;
      const sum = within.reduce((sum, { cost }) => sum + cost, running + step.cost);
      assert(sum <= limit.limit, `${sum} within ${limit.period} ms, ${limit.limit} is the limit`);
    }
  }
}

property(
  "Throttler.update() keeps the new limits over what the old ones remember, and nothing changes where it changes none",
  fc.array(anyLimits, { minLength: 2, maxLength: 4 }),
  plans({ isPatient: true }),
  fc.array(upTo(1_500), { minLength: 3, maxLength: 3 }),
  seed,
  async (all, plan, gaps, seed) => {
    using clock = new VirtualClock(0.3, unpunctual(seed));
    const latency = randomOf(seed + 1);
    const epochs = new Epochs();
    const throttler = new Throttler(all[0]);
    epochs.limits.push(all[0]);
    epochs.began.push(clock.now);
    const capacity = () => Math.min(...epochs.limits.at(-1)!.map(({ limit }) => limit));
    const note = (id: number, cost: number, isFinish: boolean) =>
      epochs.steps.push({ id, at: clock.now, cost, isFinish, epoch: epochs.limits.length - 1 });
    let next = gaps[0];
    let [done, refused] = [0, 0];
    for (const [id, { gap, before, cost: wanted }] of plan.entries()) {
      await clock.runTo(clock.now + gap);
      const limits = all[epochs.limits.length];
      if (limits && clock.now >= next) {
        next += gaps[epochs.limits.length] ?? Infinity;
        epochs.limits.push(limits);
        epochs.began.push(clock.now);
        throttler.update(limits);
      }
      const cost = Math.min(wanted, capacity());
      const [waits, started] = [throttler.waitTime(cost), epochs.steps.length];
      throttler.update(epochs.limits.at(-1)!.map((limit) => ({ ...limit })));
      // It may look at the clock before a late timer does.
      if (epochs.steps.length === started) assertEquals(throttler.waitTime(cost), waits);
      throttler.run(() => {
        clock.now += before;
        note(id, cost, false);
        const time = latency() < 0.5 ? 0 : 900 * latency();
        return new Promise<void>((resolve) => {
          const finish = () => {
            note(id, cost, true);
            resolve();
          };
          if (time > 0) setTimeout(finish, time);
          else finish();
        });
      }, { cost }).then(() => done++, (error) => {
        assert(error instanceof RangeError && cost > capacity());
        refused++;
      });
    }
    await settle();
    await clock.runTo();
    assertEquals([done + refused, throttler.size, clock.live], [plan.length, 0, 0]);
    epochs.assertHeld();
  },
);

property(
  "Throttler.run() never waits with more than maxQueue others, and close() rejects them all",
  windows,
  plans({ isPatient: true }),
  fc.integer({ min: 0, max: 5 }),
  fc.integer({ min: 0, max: 60 }),
  seed,
  async (limits, plan, maxQueue, closeAt, seed) => {
    using clock = new VirtualClock(0.3, unpunctual(seed));
    const throttler = new Throttler(limits, { maxQueue });
    const capacity = Math.min(...limits.map(({ limit }) => limit));
    const outcomes: Promise<string>[] = [];
    let isClosed = false;
    const expected: string[] = [];
    for (const [i, { gap, before, cost: wanted }] of plan.entries()) {
      await clock.runTo(clock.now + gap);
      const cost = Math.min(wanted, capacity);
      if (i === closeAt) {
        for (const [j, outcome] of expected.entries()) {
          if (outcome === "waits") expected[j] = "closed";
        }
        throttler.close();
        isClosed = true;
        assertEquals([throttler.size, clock.live], [0, 0]);
      }
      const waiting = throttler.size;
      const mustWait = waiting > 0 || throttler.waitTime(cost) > 0;
      if (isClosed) expected.push("closed");
      else if (!mustWait) expected.push("runs");
      else expected.push(waiting >= maxQueue ? "full" : "waits");
      const call = throttler.run(() => {
        assert(!isClosed, "started after close");
        clock.now += before;
        if (expected[i] === "waits") expected[i] = "runs";
      }, { cost });
      outcomes.push(call.then(() => "runs", (error) => (error as ThrottlerError).kind));
      assert(throttler.size <= maxQueue);
    }
    await clock.runTo();
    assertEquals(await Promise.all(outcomes), expected);
  },
);

property(
  'Throttler.run() keeps the venue\'s own windows where refill is "after-finish", whatever the latency',
  fc.record({
    limit: fc.integer({ min: 1, max: 6 }),
    period: fc.constantFrom(10, 99.7, 1_000),
    refill: fc.constant("after-finish" as const),
  }),
  plans({ isPatient: true, hasUrgent: true }),
  seed,
  async (limit, plan, seed) => {
    using clock = new VirtualClock(0.3, unpunctual(seed));
    const throttler = new Throttler(limit);
    const latency = randomOf(seed + 1);
    const processed: { at: number; cost: number }[] = [];
    const answers: { at: number; answer: () => void }[] = [];
    const runTo = async (time: number) => {
      for (;;) {
        answers.sort((a, b) => a.at - b.at);
        if (answers.length === 0 || answers[0].at > time) break;
        const { at, answer } = answers.shift()!;
        await clock.runTo(at);
        answer();
        await settle();
      }
      await clock.runTo(time);
    };
    for (const { gap, before, cost: wanted, urgent } of plan) {
      await runTo(clock.now + gap);
      const cost = Math.min(wanted, limit.limit);
      throttler.run(() => {
        clock.now += before;
        const total = 5 * limit.period * latency();
        processed.push({ at: clock.now + total * latency(), cost });
        return new Promise<void>((resolve, reject) => {
          const isLost = latency() < 0.2; // a failure holds its token just as long
          answers.push({ at: clock.now + total, answer: isLost ? () => reject("lost") : resolve });
        });
      }, { cost, urgent }).catch(() => {});
      assert(clock.live <= 1);
    }
    for (let i = 0; i < 10_000 && answers.length + throttler.size > 0; i++) {
      await runTo(answers[0]?.at ?? clock.now + limit.period);
    }
    await clock.runTo();
    assertEquals([processed.length, throttler.size], [plan.length, 0]);
    assertWindows(processed, limit);
  },
);

property(
  "runAll() keeps every limit over shared throttlers, starts or aborts every call, and charges nothing else",
  fc.array(
    fc.record({
      limit: fc.integer({ min: 1, max: 6 }),
      period: fc.constantFrom(1, 10, 99.7, 1_000),
      refill: fc.constantFrom("after-start" as const, "after-finish" as const),
    }),
    { minLength: 2, maxLength: 4 },
  ),
  plans({ hasUrgent: true }),
  seed,
  async (limits, plan, seed) => {
    using clock = new VirtualClock(0.3, unpunctual(seed));
    const throttlers = limits.map((limit) => new Throttler(limit));
    const events: { at: number; cost: number }[][] = limits.map(() => []);
    const order = new Map<string, number[]>();
    const errors: unknown[] = [];
    const waiting = new Map<number, { key: string; urgent: boolean }>();
    const choose = randomOf(seed + 1);
    let done = 0;
    const patience: { at: number; abort: () => void }[] = [];
    const runTo = async (time: number) => {
      for (;;) {
        patience.sort((a, b) => a.at - b.at);
        if (patience.length === 0 || patience[0].at > time) break;
        await clock.runTo(patience[0].at);
        patience.shift()!.abort();
        await settle();
      }
      await clock.runTo(time);
      await settle();
    };
    for (const [i, { gap, cost: wanted, before, patience: wait, urgent }] of plan.entries()) {
      await runTo(clock.now + gap);
      const chosen = limits.map((_, i) => i).filter(() => choose() < 0.6);
      if (choose() < 0.5) chosen.reverse();
      const cost = Math.min(wanted, ...chosen.map((i) => limits[i].limit));
      const limiters = [...chosen].sort().join();
      const key = `${limiters}${urgent ? " urgent" : ""}`;
      const controller = new AbortController();
      // Some of them charge a cost of their own.
      const charges = chosen.map((i) => {
        const own = choose() < 0.3 ? Math.floor(choose() * (limits[i].limit + 1)) : cost;
        return { throttler: throttlers[i], cost: own };
      });
      const isBare = charges.every((charge) => charge.cost === cost);
      const call = () => {
        clock.now += before;
        waiting.delete(i);
        for (const [n, i] of chosen.entries()) {
          events[i].push({ at: clock.now, cost: charges[n].cost });
        }
        order.set(key, [...order.get(key) ?? [], i]);
        const others = urgent ? [] : [...waiting.values()];
        const passed = others.filter((other) => other.urgent && other.key === `${limiters} urgent`);
        assertEquals(passed, [], "urgent calls for the same limiters go first");
      };
      const options = { cost, signal: controller.signal, urgent };
      waiting.set(i, { key, urgent });
      const result = chosen.length === 1 && isBare && choose() < 0.5
        ? throttlers[chosen[0]].run(call, options)
        : runAll(isBare ? chosen.map((i) => throttlers[i]) : charges, call, options);
      let isAborted = false;
      result.then(() => done++, (error) => {
        if (!isAborted) errors.push(error);
        done++;
      });
      const abort = () => {
        isAborted = true;
        waiting.delete(i);
        controller.abort();
      };
      if (wait < Infinity) patience.push({ at: clock.now + wait, abort });
      assert(clock.live <= limits.length);
    }
    while (patience.length > 0) await runTo(patience.at(-1)!.at);
    await settle(); // a place whose turn has come sets its next timer between two tasks
    await clock.runTo();
    await settle();
    assertEquals(errors, [], "no call is refused");
    assertEquals(done, plan.length, "every call ends");
    assertEquals(throttlers.map(({ size }) => size), limits.map(() => 0));
    assertEquals(clock.live, 0);
    for (const [i, limit] of limits.entries()) assertWindows(events[i], limit);
    for (const started of order.values()) {
      assertEquals(started, started.toSorted((a, b) => a - b), "first come, first served");
    }
    // Nothing is held for ever: a period after the last finish every token is back.
    await clock.runTo(clock.now + 1_001);
    assertEquals(
      throttlers.map((throttler, i) => throttler.waitTime(limits[i].limit)),
      limits.map(() => 0),
    );
  },
);

property(
  "runAll() starts each call with a fresh grant of a remote limiter, keeps all limits, and leaves nothing over",
  fc.record({ limit: fc.integer({ min: 1, max: 6 }), period: fc.constantFrom(10, 99.7, 1_000) }),
  fc.array(
    fc.record({ limit: fc.integer({ min: 1, max: 6 }), period: fc.constantFrom(10, 99.7, 1_000) }),
    { minLength: 0, maxLength: 2 },
  ),
  plans({ hasUrgent: true, most: 25 }),
  seed,
  async (limit, limits, plan, seed) => {
    using clock = new VirtualClock(0.3, unpunctual(seed));
    const choose = randomOf(seed + 1);
    const remote = new RemoteLimiter(limit);
    remote.latency = () => 40 * choose();
    remote.fresh = 300;
    const locals = limits.map((limit) => new Throttler(limit));
    const errors: unknown[] = [];
    const events = limits.map((): { at: number; cost: number }[] => []);
    let done = 0;
    for (const { gap, cost: wanted, before, patience, urgent } of plan) {
      await clock.runTo(clock.now + gap);
      const chosen = limits.map((_, i) => i).filter(() => choose() < 0.7);
      const cost = Math.min(wanted, limit.limit, ...chosen.map((i) => limits[i].limit));
      const controller = new AbortController();
      const all = [remote, ...chosen.map((i) => locals[i])];
      if (choose() < 0.5) all.reverse();
      runAll(all, () => {
        clock.now += before;
        for (const i of chosen) events[i].push({ at: clock.now, cost });
      }, { cost, urgent, signal: controller.signal }).then(() => done++, (error) => {
        if (!controller.signal.aborted) errors.push(error);
        done++;
      });
      if (patience < Infinity) setTimeout(() => controller.abort(), patience);
    }
    await settle();
    await clock.runTo();
    assertEquals(errors, [], "no call is refused");
    assertEquals([done, remote.size, clock.live], [plan.length, 0, 0], "every call ends");
    assertEquals(locals.map(({ size }) => size), limits.map(() => 0));
    assertEquals(remote.unused, 0, "each grant is spent or goes back");
    for (const [i, limit] of limits.entries()) assertWindows(events[i], limit);
    assertWindows(remote.starts, limit);
  },
);

for (const latency of [0, 0.3, 1, 5]) {
  Deno.test(`Throttler.run() comes within 2% of limit / (period + latency) where refill is "after-finish" and the latency is ${latency} periods`, async () => {
    using clock = new VirtualClock(0.3, () => 0);
    const limit: Limit = { limit: 10, period: 1_000, refill: "after-finish" };
    const throttler = new Throttler(limit);
    const count = 2_000;
    let answered = 0;
    const began = clock.now;
    for (let i = 0; i < count; i++) {
      throttler.run(() =>
        new Promise<void>((resolve) => {
          if (latency === 0) return resolve();
          setTimeout(resolve, latency * limit.period);
        })
      ).then(() => answered++);
    }
    await settle();
    await clock.runTo();
    assertEquals(answered, count);
    const rate = count / (clock.now - began);
    const best = limit.limit / (limit.period * (1 + latency));
    assert(rate > 0.98 * best, `${rate / best}`);
    assert(rate <= best * (1 + 1 / (count / limit.limit - 1)), "the last calls hold nobody up");
  });
}

/** The three throttlers of a broker: for orders, for data, and for all that is sent. */
class Broker {
  readonly limits = {
    orders: [{ limit: 10, period: 1_000 }, { limit: 200, period: 60_000 }],
    data: [{ limit: 3, period: 1_000 }],
    all: [{ limit: 10, period: 1_000 }],
  };
  readonly orders = new Throttler(this.limits.orders);
  readonly data = new Throttler(this.limits.data);
  readonly all = new Throttler(this.limits.all);
  readonly starts = { orders: [] as number[], data: [] as number[], other: [] as number[] };
  readonly waits = { orders: 0, data: 0, other: 0 };

  send(kind: "orders" | "data" | "other"): void {
    const began = performance.now();
    const own = { orders: [this.orders], data: [this.data], other: [] }[kind];
    runAll([this.all, ...own], () => {
      this.starts[kind].push(performance.now());
      this.waits[kind] = Math.max(this.waits[kind], performance.now() - began);
    }).catch(() => {}); // those that still wait when it is closed
  }

  /** How many of each had started by then. */
  countAt(time: number): number[] {
    return Object.values(this.starts).map((list) => list.filter((at) => at < time).length);
  }

  assertLimits(): void {
    const { orders, data, other } = this.starts;
    const all = [...orders, ...data, ...other];
    for (const [kind, starts] of Object.entries({ orders, data, all })) {
      const events = starts.map((at) => ({ at, cost: 1 }));
      for (const limit of this.limits[kind as keyof Broker["limits"]]) assertWindows(events, limit);
    }
  }
}

Deno.test("runAll() keeps nobody waiting for a limit that is not theirs", async () => {
  using clock = new VirtualClock(0.3, hasty(7));
  const broker = new Broker();
  // 300 orders a minute, of which 200 may go; 2.5 and 3 of the others a second, as they may.
  const gaps = { orders: 200, data: 400, other: 333 };
  for (let time = 0; time < 180_000; time++) {
    for (const [kind, gap] of Object.entries(gaps)) {
      if (time % gap !== 0) continue;
      await clock.runTo(time);
      broker.send(kind as "orders");
    }
  }
  await settle();
  broker.assertLimits();
  assertEquals(broker.starts.orders.length, 600);
  assert(broker.waits.orders > 40_000, "orders did wait for their minute");
  assert(broker.waits.data < 3_000, `data waited ${broker.waits.data} ms`);
  assert(broker.waits.other < 3_000, `others waited ${broker.waits.other} ms`);
  broker.all.close();
  await assertThrottlersEmpty(broker);
});

Deno.test("runAll() leaves no token unused that somebody waits for", async () => {
  using clock = new VirtualClock(0.3, () => 0);
  const broker = new Broker();
  for (let i = 0; i < 750; i++) broker.send("orders");
  for (let i = 0; i < 540; i++) broker.send("data");
  for (let i = 0; i < 540; i++) broker.send("other");
  await settle();
  await clock.runTo(180_000);
  broker.assertLimits();
  // The orders came first. Once their minute is spent, data goes at its own limit and the others
  // take the rest, so that the sum is always 10 a second while there is anybody to take it.
  assertEquals(broker.countAt(19_900), [200, 0, 0]);
  assertEquals(broker.countAt(59_900), [200, 120, 280]);
  for (let time = 1_000; time < 130_000; time += 1_000) {
    const sum = broker.countAt(time).reduce((a, b) => a + b);
    assert(sum >= 0.99 * time / 100, `${sum} until ${time}`);
  }
  const [orders, data, other] = broker.countAt(180_000);
  assertEquals([orders, other], [600, 540]);
  assert(data >= 0.97 * 3 * 160, `${data} of data`);
  broker.all.close();
  await assertThrottlersEmpty(broker);
});

async function assertThrottlersEmpty({ orders, data, all }: Broker): Promise<void> {
  await settle();
  assertEquals([orders.size, data.size, all.size], [0, 0, 0]);
}
