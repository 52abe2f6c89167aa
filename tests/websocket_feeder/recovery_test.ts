import { assert, assertEquals } from "@std/assert";
import { FakeTime } from "@std/testing/time";
import { VirtualTime } from "../../testing.ts";
import { CAPACITY, type Gap, Recovery } from "../../websocket_feeder/recovery.ts";

type Backfill = (gap: Gap, signal: AbortSignal) => Iterable<string> | Promise<Iterable<string>>;

/** A recovery whose feed writes down what it is told. */
function recovering(backfill?: Backfill, backfillTimeout = 30_000) {
  const told: string[] = [];
  const causes: unknown[] = [];
  const recovery = new Recovery<string>({
    backfill,
    deliver: (item) => told.push(item),
    tell: ({ since, until, filled, cause }) => {
      told.push(`gap ${since} ${until} ${filled}`);
      causes.push(cause);
    },
  }, { backfillTimeout, baseWait: 500 });
  /** An item of a connection. */
  const receive = (item: string) => void (recovery.holds(item) || told.push(item));
  return { recovery, told, causes, receive };
}

async function settle(): Promise<void> {
  for (let i = 0; i < 30; i++) await null;
}

Deno.test("Recovery delivers what the venue missed to send, then tells, then delivers what has waited", async () => {
  using time = new FakeTime(1_000);
  const { recovery, told, receive } = recovering((gap) => {
    assertEquals(gap, { since: 900, until: 1_700 });
    return ["missed 1", "missed 2"];
  });
  receive("before");
  recovery.lose(900);
  time.tick(500);
  recovery.resume();
  receive("live 1");
  time.tick(200);
  const filled = recovery.fill();
  receive("live 2");
  await filled;
  receive("live 3");
  assertEquals(told, [
    "before",
    "missed 1",
    "missed 2",
    "gap 900 1700 true",
    "live 1",
    "live 2",
    "live 3",
  ]);
});

Deno.test("Recovery.fill(true) fills up to now, opens another gap there, and nothing waits for that one", async () => {
  using time = new FakeTime(1_000);
  const { recovery, told, receive } = recovering((
    { since, until },
  ) => [`missed ${since} ${until}`]);
  recovery.lose(900);
  recovery.resume();
  receive("held");
  await recovery.fill(true);
  receive("live");
  time.tick(500);
  const filled = recovery.fill();
  receive("last");
  await filled;
  await recovery.fill();
  assertEquals(told, [
    "missed 900 1000",
    "gap 900 1000 true",
    "held",
    "live",
    "missed 1000 1500",
    "gap 1000 1500 true",
    "last",
  ]);
});

Deno.test("Recovery without a backfill tells of the gap, and nothing waits", async () => {
  using _time = new FakeTime(1_000);
  const { recovery, told, receive } = recovering();
  await recovery.fill();
  recovery.lose(900);
  recovery.resume();
  receive("live");
  await recovery.fill();
  await recovery.fill();
  assertEquals(told, ["live", "gap 900 1000 false"]);
});

Deno.test("Recovery asks a backfill that throws again with growing waits, until it answers", async () => {
  using time = new FakeTime(0);
  const asked: number[] = [];
  const { recovery, told } = recovering(() => {
    asked.push(Date.now());
    if (asked.length < 4) throw new Error("down");
    return Promise.resolve(["missed"]);
  });
  recovery.lose(0);
  recovery.resume();
  const filled = recovery.fill();
  for (let i = 0; i < 40; i++) await time.tickAsync(100);
  await filled;
  assertEquals(told, ["missed", "gap 0 0 true"]);
  const waits = asked.slice(1).map((at, i) => at - asked[i]);
  for (const [i, wait] of waits.entries()) {
    assert(wait > 200 * 2 ** i && wait <= 600 * 2 ** i, `wait ${i}: ${wait}`);
  }
});

Deno.test("Recovery gives up after backfillTimeout, with the last cause, and goes on", async () => {
  using time = new FakeTime(0);
  const down = new Error("down");
  const { recovery, told, causes, receive } = recovering(() => Promise.reject(down), 2_000);
  recovery.lose(0);
  recovery.resume();
  receive("live 1");
  void recovery.fill();
  await time.tickAsync(1_999);
  await settle();
  assertEquals(told, []);
  await time.tickAsync(1);
  await settle();
  receive("live 2");
  assertEquals(told, ["gap 0 0 false", "live 1", "live 2"]);
  assertEquals(causes, [down]);
});

Deno.test("Recovery aborts the signal of a backfill that hangs, and drops its late answer", async () => {
  using time = new FakeTime(0);
  let answer = (_: string[]) => {};
  let asked: AbortSignal | undefined;
  const { recovery, told, causes } = recovering((_, signal) => {
    asked = signal;
    return new Promise((resolve) => answer = resolve);
  });
  recovery.lose(0);
  recovery.resume();
  void recovery.fill();
  await time.tickAsync(30_000);
  await settle();
  assert(asked!.aborted);
  answer(["late"]);
  await settle();
  assertEquals(told, ["gap 0 0 false"]);
  assert(`${causes[0]}`.includes("no answer in time"));
});

Deno.test("Recovery keeps one gap over two losses in a row, and what has waited", async () => {
  using time = new FakeTime(0);
  const gaps: Gap[] = [];
  const signals: AbortSignal[] = [];
  const { recovery, told, receive } = recovering((gap, signal) => {
    gaps.push(gap);
    signals.push(signal);
    return gaps.length === 1 ? new Promise(() => {}) : ["missed 1", "missed 2"];
  });
  recovery.lose(0);
  time.tick(100);
  recovery.resume();
  receive("live 1");
  void recovery.fill();
  time.tick(100);
  recovery.lose(150);
  await settle();
  assert(signals[0].aborted);
  assertEquals(told, []);
  time.tick(100);
  recovery.resume();
  await recovery.fill();
  assertEquals(gaps, [{ since: 0, until: 100 }, { since: 0, until: 300 }]);
  assertEquals(told, ["missed 1", "missed 2", "gap 0 300 true", "live 1"]);
});

Deno.test("Recovery holds 65,536 items, and tells of those that it dropped as a gap of its own", async () => {
  using time = new FakeTime(0);
  let answer = (_: string[]) => {};
  const { recovery, told, receive } = recovering(() => new Promise((resolve) => answer = resolve));
  recovery.lose(0);
  recovery.resume();
  const filled = recovery.fill();
  await settle();
  for (let i = 0; i < 2 * CAPACITY + 10; i++) {
    if (i % CAPACITY === 0) time.tick(1);
    receive(`${i}`);
  }
  answer(["missed"]);
  await filled;
  assertEquals(told.slice(0, 4), [
    "missed",
    "gap 0 0 true",
    "gap 1 2 false",
    `${CAPACITY + 10}`,
  ]);
  assertEquals(told.length, 3 + CAPACITY);
});

Deno.test("Recovery tells of an open gap when the feed ends, and delivers nothing more", async () => {
  using time = new FakeTime(0);
  const { recovery, told, receive } = recovering(() => new Promise(() => {}));
  recovery.lose(0);
  recovery.resume();
  receive("live");
  const filled = recovery.fill();
  time.tick(10);
  recovery.end();
  await filled;
  recovery.end();
  assertEquals(told, ["gap 0 10 false"]);
});

Deno.test("Recovery an item that is emitted while items that waited are delivered comes behind them", async () => {
  using _time = new FakeTime(0);
  const told: string[] = [];
  const recovery: Recovery<string> = new Recovery<string>({
    backfill: () => [],
    deliver: (item) => {
      told.push(item);
      if (item === "a") recovery.holds("c");
    },
    tell: () => {},
  }, { backfillTimeout: 1, baseWait: 1 });
  recovery.lose(0);
  recovery.resume();
  recovery.holds("a");
  recovery.holds("b");
  await recovery.fill();
  assertEquals(told, ["a", "b", "c"]);
  assertEquals(recovery.holds("d"), false);
});

Deno.test("Recovery has items in doubt wait, and delivers them once the doubt ends without a loss", () => {
  const { recovery, told, receive } = recovering(() => []);
  receive("before");
  recovery.doubt();
  receive("doubted 1");
  recovery.doubt();
  receive("doubted 2");
  assertEquals(told, ["before"]);
  recovery.trust();
  receive("after");
  assertEquals(told, ["before", "doubted 1", "doubted 2", "after"]);
});

Deno.test("Recovery delivers items in doubt behind those of the gap that opens before them", async () => {
  using _time = new FakeTime(0);
  const { recovery, told, receive } = recovering(() => ["missed"]);
  recovery.doubt();
  receive("doubted");
  recovery.lose(0);
  recovery.resume();
  receive("live");
  recovery.trust(); // too late: the gap is open
  assertEquals(told, []);
  await recovery.fill();
  assertEquals(told, ["missed", "gap 0 0 true", "doubted", "live"]);
});

Deno.test("Recovery has items whose doubt has ended wait on while a gap is open", async () => {
  using _time = new FakeTime(0);
  const { recovery, told, receive } = recovering(() => ["missed"]);
  recovery.lose(0);
  recovery.resume();
  receive("live");
  recovery.doubt();
  receive("doubted");
  recovery.trust();
  assertEquals(told, []);
  await recovery.fill();
  assertEquals(told, ["missed", "gap 0 0 true", "live", "doubted"]);
});

Deno.test("Recovery without a backfill has no item in doubt wait", () => {
  const { recovery, told, receive } = recovering();
  recovery.doubt();
  receive("item");
  assertEquals(told, ["item"]);
});

Deno.test("Recovery gives a gap up after backfillTimeout, though a loss every 20 s makes it grow", async () => {
  using time = new VirtualTime({ start: 0 });
  const { recovery, told, receive } = recovering(() => new Promise(() => {}));
  const lose = async () => {
    recovery.lose(0);
    recovery.resume();
    receive("live");
    void recovery.fill();
    await time.pass(20_000);
  };
  await lose();
  assertEquals(told, []);
  await lose();
  assertEquals(told, ["gap 0 20000 false", "live", "live"]);
  told.length = 0;
  await lose(); // a gap of its own, with a time of its own
  assertEquals(told, []);
  await time.pass(10_000);
  assertEquals(told, ["gap 0 40000 false", "live"]);
});

Deno.test("Recovery holds 65,536 items in doubt, and tells of those that it dropped", () => {
  using time = new FakeTime(0);
  const { recovery, told, receive } = recovering(() => []);
  recovery.doubt();
  for (let i = 0; i < CAPACITY + 10; i++) {
    if (i === 5) time.tick(7);
    receive(`${i}`);
  }
  recovery.trust();
  assertEquals(told.slice(0, 2), ["gap 0 7 false", "10"]);
  assertEquals(told.length, 1 + CAPACITY);
});

Deno.test("Recovery holds no more than 65,536 items while a backfill hangs for an hour at 1,000 items/s", async () => {
  using time = new FakeTime(0);
  let answer = (_: number[]) => {};
  let delivered = 0;
  let first: number | undefined;
  const gaps: Gap[] = [];
  const recovery = new Recovery<number>({
    backfill: () => new Promise((resolve) => answer = resolve),
    deliver: (item) => {
      first ??= item;
      delivered++;
    },
    tell: ({ since, until }) => gaps.push({ since, until }),
  }, { backfillTimeout: Infinity, baseWait: 500 });
  recovery.lose(0);
  recovery.resume();
  const filled = recovery.fill();
  await settle();
  const hour = 3_600;
  for (let second = 0; second < hour; second++) {
    for (let i = 0; i < 1_000; i++) recovery.holds(second * 1_000 + i);
    time.tick(1_000);
  }
  answer([]);
  await filled;
  assertEquals([first, delivered], [hour * 1_000 - CAPACITY, CAPACITY]);
  assertEquals(gaps, [{ since: 0, until: 0 }, { since: 0, until: 3_534_000 }]);
});

Deno.test("Recovery leaves no timer and holds no item after 10,000 losses", async () => {
  using time = new FakeTime(0);
  let asked = 0;
  const { recovery, told, receive } = recovering(() => asked++ % 2 ? [] : new Promise(() => {}));
  for (let i = 0; i < 10_000; i++) {
    recovery.lose(i);
    recovery.resume();
    receive("live");
    const filled = recovery.fill();
    if (asked % 2 === 0) await filled; // the others are lost again while the backfill hangs
    else await settle();
  }
  assertEquals(time.next(), false, "no timer");
  assertEquals(recovery.holds("next"), false);
  assertEquals(told.filter((line) => line === "live").length, 10_000);
  assertEquals(told.length, 15_000);
});
