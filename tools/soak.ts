/**
 * Lets the demos of all venues run side by side for a long time, on real sockets, with faults at
 * random:
 *
 *     deno task soak 30m            # a line a minute
 *     deno task soak 30m --seed 7   # the same faults again
 *
 * In each round every venue gets a new broker, feed and private stream, in the one process. After
 * the round the log of each venue is held against what was told: orders executed once, fills and
 * fates told, books and subscriptions equal, every fault survived. What a round leaves behind adds
 * up: timers, open files and memory are counted after each. Exits with 1 at the first thing that is
 * wrong, where a timer is left in the end, or where open files or memory have grown.
 *
 * A round lasts a minute. Feeds that live through thousands of reconnects are the business of
 * `tests/runtimes/feeder_endurance_check.ts` and of the simulation.
 *
 * @module
 */

import { VENUES } from "../examples/demo.ts";
import type { ScheduledFault } from "../examples/simulator.ts";
import { type Figure, perform, Stage } from "../examples/stage.ts";
import { randomOf } from "../testing/random.ts";

const KINDS = ["drop", "drop", "refuse", "silence", "corrupt", "throttle"] as const;

/** Longest round, in milliseconds. */
const ROUND = 60_000;
/** Time that a fault is given to be survived before the next one, in milliseconds. */
const SPACE = 4_500;
/** Milliseconds of each unit of a time. */
const UNITS: Record<string, number> = { s: 1_000, m: 60_000, h: 3_600_000 };
/** How much memory may grow from the first rounds to the last, in bytes. */
const GROWTH = 8 << 20;

/** What a process still holds. */
interface Load {
  timers: number;
  files: number;
  heap: number;
}

/** What the rounds have shown so far. */
const total = { rounds: 0, faults: 0, messages: 0, reconnects: 0, orders: 0 };

/** The numbers of the timers that are armed. */
const timers = new Set<number>();
for (const name of ["setTimeout", "setInterval"] as const) {
  const set = globalThis[name] as (...args: unknown[]) => unknown;
  const counted = (fn: (...args: unknown[]) => void, ...rest: unknown[]) => {
    const timer = set((...args: unknown[]) => {
      if (name === "setTimeout") timers.delete(Number(timer));
      fn(...args);
    }, ...rest);
    timers.add(Number(timer));
    return timer;
  };
  Object.assign(globalThis, { [name]: counted });
}
for (const name of ["clearTimeout", "clearInterval"] as const) {
  const clear = globalThis[name];
  const counted = (timer?: number) => void (timers.delete(Number(timer)), clear(timer));
  Object.assign(globalThis, { [name]: counted });
}

/** Counts what the process holds, after garbage was collected. */
async function load(): Promise<Load> {
  for (let i = 0; i < 5; i++) {
    await new Promise((resolve) => setTimeout(resolve, 20)); // sockets close a moment later
    (globalThis as { gc?: () => void }).gc?.();
  }
  let files = 0;
  try {
    files = [...Deno.readDirSync("/proc/self/fd")].length;
  } catch {
    // Only Linux tells.
  }
  return { timers: timers.size, files, heap: Deno.memoryUsage().heapUsed };
}

/**
 * Faults at random, each with the time to be survived. A call that meets a 429 is repeated twice, so
 * the next three faults are no 429. The last third of a round is calm: each reconnect asks for what
 * was missed, and Kraken lets an account ask once in three seconds.
 */
function faultsOf(random: () => number, duration: number): ScheduledFault[] {
  const faults: ScheduledFault[] = [];
  let throttled = -Infinity;
  for (let at = 2_000; at < duration * 2 / 3; at += SPACE) {
    const moment = at + Math.floor(random() * 500);
    let kind = KINDS[Math.floor(random() * KINDS.length)];
    if (kind === "throttle" && at - throttled <= 3 * SPACE) kind = "drop";
    if (kind === "throttle") throttled = at;
    faults.push({ at: moment, fault: kind });
    if (kind === "refuse") faults.push({ at: moment, fault: "drop" }); // it strikes who dials
  }
  return faults;
}

/** Plays one venue for one round. Returns what was not as it should be. */
async function play(
  open: (typeof VENUES)[string],
  random: () => number,
  duration: number,
): Promise<string[]> {
  const stage = new Stage();
  const seed = Math.floor(random() * 1_000_000);
  const faults = faultsOf(random, duration);
  let figures: readonly Figure[] = [];
  await using show = await open({ stage, live: false, seed, faults });
  await perform(show, stage, {
    duration,
    signal: new AbortController().signal,
    write: () => {},
    onFigures: (all) => figures = all,
  });
  total.faults += stage.struck;
  total.messages += show.feed.stats.frames;
  total.reconnects += show.feed.stats.connections - 1;
  total.orders += stage.stories.filter(({ about }) => about === "order").length;
  const wrong = figures.filter(({ ok }) => !ok).map(({ text }) => `${show.title}: ${text}`);
  if (figures.length === 0) wrong.push(`${show.title}: ended early`);
  if (wrong.length === 0) return [];
  const happened = stage.stories.map(({ at, steps }) =>
    `${Math.round(at)} ms ${steps.join(" → ")}`
  );
  return [...wrong, `faults ${JSON.stringify(faults)}, seed ${seed}`, ...happened];
}

/** One line of figures. */
function tell({ timers, files, heap }: Load): void {
  const { rounds, orders, messages, faults, reconnects } = total;
  console.log(
    `round ${rounds}: ${orders} orders, ${messages} messages, ${faults} faults, ` +
      `${reconnects} reconnects; ${timers} timers, ${files} files, ` +
      `${(heap / 2 ** 20).toFixed(1)} MB`,
  );
}

/** Plays rounds until the time is over. Returns the exit code. */
async function soak(time: number, seed: number): Promise<number> {
  const random = randomOf(seed);
  const loads: Load[] = [];
  const end = performance.now() + time;
  for (let left = time; left > 5_000; left = end - performance.now()) {
    const duration = Math.min(ROUND, left);
    const wrong = await Promise.all(
      Object.values(VENUES).map((open) => play(open, random, duration)),
    );
    total.rounds++;
    loads.push(await load());
    tell(loads.at(-1)!);
    for (const line of wrong.flat()) console.error(`  ${line}`);
    if (wrong.flat().length > 0) return 1;
  }
  const [first, last] = [loads[Math.min(2, loads.length - 1)], loads.at(-1)!]; // two warm up
  const isFlat = last.files <= first.files && last.heap <= first.heap + GROWTH;
  if (last.timers === 0 && isFlat) return 0;
  console.error("Failed: a timer is left, or open files or memory have grown");
  return 1;
}

if (import.meta.main) {
  const [time = "10m", flag, seed = "1"] = Deno.args;
  const [, count, unit] = /^(\d+)([smh])$/.exec(time) ?? [];
  if (!count || !/^\d+$/.test(seed) || flag !== undefined && flag !== "--seed") {
    console.error("Usage: deno task soak [30m] [--seed 1]");
    Deno.exit(2);
  }
  Deno.exitCode = await soak(Number(count) * UNITS[unit], Number(seed));
}
