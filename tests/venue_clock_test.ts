import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import fc from "fast-check";
import { VenueClock } from "../venue_clock.ts";

const RUNS = Number(Deno.env.get("RUNS") ?? 2_000);
const EPOCH = Date.UTC(2026, 0, 1);

/** `performance.now` as the test sets it. */
class Ticks {
  constructor(public now = 0) {
    performance.now = () => this.now;
  }
  [Symbol.dispose](): void {
    delete (performance as Partial<Performance>).now; // the prototype's shows again
  }
}

/** A venue whose answers take `there` and `back`. */
function venue(ticks: Ticks, offset: number, there = 0, back = there, resolution = 1) {
  return () => {
    ticks.now += there;
    const told = Math.floor((EPOCH + ticks.now + offset) / resolution) * resolution;
    ticks.now += back;
    return told;
  };
}

const part = fc.nat(10_000).map((n) => n / 10_000);
const step = fc.record({
  /** Milliseconds before the reading, in which the two clocks drift apart. */
  idle: fc.oneof(fc.nat(1_000), fc.nat(600_000)),
  drift: part,
  /** The way there and the way back, in milliseconds. */
  there: part.chain((p) => fc.constantFrom(0, 1, 5, 200, 3_000).map((max) => p * max)),
  back: part.chain((p) => fc.constantFrom(0, 1, 5, 200, 3_000).map((max) => p * max)),
  /** By how much the venue's clock is set, in milliseconds. */
  jump: fc.option(fc.constantFrom(-3_600_000, -60_000, 60_000, 3_600_000), {
    nil: 0,
    freq: 6,
  }),
  /** By how much this computer's wall clock is set. */
  wall: fc.option(fc.integer({ min: -1e9, max: 1e9 }), { nil: 0, freq: 3 }),
  looks: fc.array(part, { maxLength: 3 }),
});

Deno.test("property: VenueClock is never ahead by more than its resolution, and keeps its error", async () => {
  let jumps = 0;
  const { now: wall } = Date;
  let shift = 0;
  Date.now = () => wall() + shift;
  try {
    await fc.assert(
      fc.asyncProperty(
        fc.array(step, { minLength: 1, maxLength: 20 }),
        fc.constantFrom(1, 1_000),
        fc.constantFrom("down", "nearest", "up"),
        part,
        async (steps, resolution, rounding, start) => {
          using ticks = new Ticks(start * 1e6);
          let offset = EPOCH + start;
          let rate = 0;
          /** The venue's own time, as exact as this clock's readings can show it. */
          const pass = (duration: number) => {
            ticks.now += duration;
            offset += duration * rate;
          };
          const own = () => ticks.now + offset;
          let delays = { there: 0, back: 0 };
          const clock = new VenueClock(() => {
            pass(delays.there);
            const rounded = { down: Math.floor, nearest: Math.round, up: Math.ceil }[rounding]!(
              own() / resolution,
            ) * resolution;
            pass(delays.back);
            return rounded;
          }, { resolution, drift: 200 });
          const check = () => {
            const { error } = clock;
            const ahead = clock.now() - own();
            const slack = rounding === "down" ? 0 : resolution;
            assert(ahead <= slack + 1e-3, `${ahead} ms ahead`);
            assert(-ahead <= error + slack + 1e-3, `${-ahead} ms behind, error ${error}`);
            assert(Number.isInteger(clock.now()));
          };
          for (const { idle, drift, jump, wall, looks, ...ways } of steps) {
            rate = (2 * drift - 1) * 200e-6;
            for (const look of looks) {
              pass(idle * look);
              if (clock.error < Infinity) check();
            }
            offset += jump;
            if (jump) jumps++;
            shift += wall;
            delays = ways;
            await clock.sync();
            check();
          }
        },
      ),
      { numRuns: RUNS },
    );
  } finally {
    Date.now = wall;
  }
  assert(jumps > RUNS / 10);
});

Deno.test("VenueClock.now() is the lower bound, whatever half the round trip would say", async () => {
  using ticks = new Ticks();
  const clock = new VenueClock(venue(ticks, 0, 1_000, 0));
  await clock.sync(); // all of the second was spent on the way there
  assertEquals(clock.now(), EPOCH + 1_000);
  assertEquals(
    Math.round(clock.error * 10),
    10_012,
    "the round trip, the resolution and the drift",
  );
  const late = new VenueClock(venue(ticks, 0, 0, 1_000));
  await late.sync();
  assertEquals(late.now(), EPOCH + 1_000, "the venue's own time is 2,000");
  assert(late.error >= 1_000);
});

Deno.test("VenueClock keeps what a quick reading says when a slow one follows", async () => {
  using ticks = new Ticks();
  const ways = [1, 3_000];
  const clock = new VenueClock(() => venue(ticks, 0, 0, ways.shift())());
  await clock.sync();
  const { error } = clock;
  await clock.sync();
  assert(clock.error < error + 2, `${clock.error}`);
  assert(clock.now() >= EPOCH + ticks.now - 3);
});

Deno.test("VenueClock finds the second in which the venue is by asking a venue of whole seconds several times", async () => {
  using ticks = new Ticks(500);
  const clock = new VenueClock(venue(ticks, 0, 0, 0, 1_000), { resolution: 1_000 });
  await clock.sync();
  assert(clock.error >= 1_000);
  for (let reading = 0; reading < 9; reading++) {
    ticks.now += 1_100;
    await clock.sync();
  }
  assert(clock.error < 110, `${clock.error}`);
  assert(clock.now() <= EPOCH + ticks.now);
});

Deno.test("VenueClock widens its bounds by the drift", async () => {
  using ticks = new Ticks();
  const clock = new VenueClock(venue(ticks, 0), { drift: 100 });
  await clock.sync();
  const { error } = clock;
  ticks.now += 100_000;
  assertEquals(clock.now(), EPOCH + 100_000 - 10);
  assertEquals(Math.round(clock.error - error), 20);
  const steady = new VenueClock(venue(ticks, 0), { drift: 0 });
  await steady.sync();
  ticks.now += 100_000;
  assertEquals([steady.now(), steady.error], [EPOCH + 200_000, 1]);
});

Deno.test("VenueClock believes the newest reading when the venue's clock has been set", async () => {
  using ticks = new Ticks();
  let offset = 0;
  const clock = new VenueClock(() => venue(ticks, offset, 5)());
  for (const jump of [-60_000, 3_600_000, -11.5]) {
    await clock.sync();
    offset += jump;
    await clock.sync();
    const own = EPOCH + ticks.now + offset;
    assert(clock.now() <= own && clock.now() >= own - 12, `${clock.now() - own}`);
  }
});

Deno.test("VenueClock does not look at the wall clock", async () => {
  const { now } = Date;
  using ticks = new Ticks();
  const clock = new VenueClock(venue(ticks, 0));
  try {
    await clock.sync();
    for (const wall of [0, 4e12, NaN]) {
      Date.now = () => wall;
      assertEquals(clock.now(), EPOCH + ticks.now);
    }
  } finally {
    Date.now = now;
  }
});

Deno.test("VenueClock refuses a reading that is no plausible time, and goes on with earlier ones", async () => {
  using ticks = new Ticks();
  let reading: unknown = EPOCH;
  const clock = new VenueClock(() => reading as number);
  await clock.sync();
  const implausible = [EPOCH / 1_000, EPOCH * 1_000, 0, -EPOCH, NaN, Infinity];
  for (reading of implausible) await assertRejects(() => clock.sync(), RangeError, "Cannot sync");
  for (reading of [undefined, null, `${EPOCH}`, new Date(EPOCH), BigInt(EPOCH), {}]) {
    await assertRejects(() => clock.sync(), TypeError, "Cannot sync the clock");
  }
  ticks.now += 7;
  assertEquals(clock.now(), EPOCH + 6, "the drift is 0.0014 ms");
});

Deno.test("VenueClock.sync() rejects with what read throws, and can be called again", async () => {
  const faults: Error[] = [new Error("no answer"), new RangeError("a bug")];
  const clock = new VenueClock(() => {
    if (faults.length > 0) throw faults.shift();
    return EPOCH;
  });
  await assertRejects(() => clock.sync(), Error, "no answer");
  await assertRejects(() => clock.sync(), RangeError, "a bug");
  assertThrows(() => clock.now(), Error, "no reading");
  await clock.sync();
  assert(clock.now() >= EPOCH);
});

Deno.test("VenueClock.sync() reads once for all that call it meanwhile", async () => {
  let reads = 0;
  const { promise, resolve } = Promise.withResolvers<number>();
  const clock = new VenueClock(() => {
    reads++;
    return promise;
  });
  const calls = [clock.sync(), clock.sync(), clock.sync()];
  resolve(EPOCH);
  await Promise.all(calls);
  assertEquals(reads, 1);
  await clock.sync();
  assertEquals(reads, 2);
});

Deno.test("VenueClock knows nothing before the first reading", () => {
  const clock = new VenueClock(() => EPOCH);
  assertThrows(() => clock.now(), Error, "Cannot tell the venue's time");
  assertThrows(() => clock.at(Date.now()), Error, "Cannot tell the venue's time");
  assertEquals(clock.error, Infinity);
});

Deno.test("VenueClock.fresh() reads first, then once now() may lie further behind", async () => {
  using ticks = new Ticks();
  let reads = 0;
  const read = venue(ticks, 0, 5);
  const clock = new VenueClock(() => (reads++, read()), { drift: 100 });
  assertEquals(await clock.fresh(1_000), EPOCH + 5);
  for (let minute = 0; minute < 80; minute++) { // 5,000 s make 1,000 ms, less those of the reading
    ticks.now += 60_000;
    const told = await clock.fresh(1_000);
    const own = EPOCH + ticks.now;
    assert(told <= own && own - told <= 1_000, `${own - told} ms behind`);
    assertEquals(reads, 1);
  }
  ticks.now += 240_000;
  await clock.fresh(1_000);
  assertEquals(reads, 2);
  assert(clock.error < 20);
});

Deno.test("VenueClock.fresh() reads once for all that wait", async () => {
  let reads = 0;
  const clock = new VenueClock(async () => (reads++, await EPOCH));
  await Promise.all([clock.fresh(10), clock.fresh(10), clock.fresh(1_000)]);
  assertEquals(reads, 1);
});

Deno.test("VenueClock.fresh() rejects with what read throws, but goes on with earlier readings", async () => {
  using ticks = new Ticks();
  let isDown = true;
  const read = venue(ticks, 0);
  const clock = new VenueClock(() => {
    if (isDown) throw new Error("no answer");
    return read();
  });
  await assertRejects(() => clock.fresh(1_000), Error, "no answer");
  isDown = false;
  await clock.fresh(1_000);
  isDown = true;
  ticks.now += 3 * 3_600_000;
  assert(clock.error > 1_000);
  assertEquals(await clock.fresh(1_000), clock.now());
  isDown = false; // the next call reads again
  await clock.fresh(1_000);
  assert(clock.error < 1_000);
});

Deno.test("VenueClock.fresh() reads for every call where no reading can be as exact as that", async () => {
  using ticks = new Ticks();
  let reads = 0;
  const read = venue(ticks, 0, 0, 0, 1_000);
  const clock = new VenueClock(() => (reads++, read()), { resolution: 1_000 });
  for (let call = 1; call <= 3; call++) {
    assertEquals(await clock.fresh(500), EPOCH);
    assertEquals(reads, call);
  }
});

Deno.test("VenueClock.fresh() refuses a bad bound, and reads nothing", async () => {
  const clock = new VenueClock(() => {
    throw new Error("read");
  });
  for (const most of [-1, NaN]) {
    await assertRejects(() => clock.fresh(most), RangeError, "Cannot tell a fresh time: most");
  }
  await assertRejects(() => clock.fresh("1" as never), TypeError, "Cannot tell a fresh time: most");
});

Deno.test("VenueClock.at() is the venue's time at a moment of ours, or less by up to its error and 2", async () => {
  const { now: wall } = Date;
  try {
    for (const [there, back] of [[0, 0], [40, 3]]) {
      using ticks = new Ticks();
      const clock = new VenueClock(venue(ticks, 0, there, back), { drift: 0 });
      await clock.sync();
      for (const shift of [-3_600_000.5, 0, 0.75, 3_600_000]) { // how far our wall clock is off
        for (const passed of [0, 0.5, 0.5, 999.5, 0.5, 60_000]) {
          Date.now = () => Math.floor(EPOCH + ticks.now + shift);
          const own = EPOCH + ticks.now;
          const moment = Date.now();
          ticks.now += passed;
          const behind = own - clock.at(moment);
          assert(behind >= 0, `${-behind} ms later`);
          assert(behind <= clock.error + 2, `${behind} ms earlier`);
        }
      }
    }
  } finally {
    Date.now = wall;
  }
});

Deno.test("VenueClock refuses bad options", () => {
  const read = () => EPOCH;
  for (const options of [{ resolution: -1 }, { resolution: NaN }, { drift: -1 }, { drift: 1e6 }]) {
    assertThrows(() => new VenueClock(read, options), RangeError, "Cannot create a clock");
  }
  for (const options of [{ resolution: "1" }, { drift: null }]) {
    assertThrows(() => new VenueClock(read, options as never), TypeError, "Cannot create a clock");
  }
  assertThrows(() => new VenueClock("x" as never), TypeError, "read");
});

Deno.test("VenueClock.sync() refuses to be called by its own reading, which would wait for itself", async () => {
  const clock: VenueClock = new VenueClock(async () => {
    await clock.sync();
    return EPOCH;
  });
  await assertRejects(() => clock.sync(), Error, "read() calls sync()");
  let isFirst = true;
  const other: VenueClock = new VenueClock(() => {
    if (isFirst) void assertRejects(() => other.sync());
    isFirst = false;
    return EPOCH;
  });
  await other.sync();
  assert(other.error < 1_000);
});
