/**
 * The throttler beside its peers: what an uncontended call costs, how fast a queue drains, what a
 * waiting call weighs, what an abort costs, and how many calls really start in any second.
 *
 *     deno task bench throttler
 *
 * Exits with 1 where one of our own limits does not hold, or a peer is ahead.
 *
 * @module
 */

import Bottleneck from "npm:bottleneck@2.19.5";
import ccxt from "npm:ccxt@4.5.84";
import { RateLimiter } from "npm:limiter@4.1.0";
import PQueue from "npm:p-queue@10.0.0";
import pThrottle from "npm:p-throttle@8.1.1";
import { RateLimiterMemory, RateLimiterQueue } from "npm:rate-limiter-flexible@11.4.0";
import { Throttler } from "../throttler.ts";

/** Runs a call once a limit allows it. */
type Run = (fn: () => unknown, signal?: AbortSignal) => Promise<unknown>;

/** A library, set up for so many calls per so many milliseconds. */
interface Subject {
  name: string;
  make(limit: number, period: number): Run;
  /** Whether one waiting call can be aborted. */
  canAbort?: boolean;
  /** How many calls it can be asked to queue without keeping us here for minutes. */
  most?: number;
}

const CcxtThrottler = new ccxt.Exchange().throttler.constructor as new (
  config: Record<string, unknown>,
) => { throttle(cost?: number): Promise<void> };

const OURS: Subject[] = [
  {
    name: "Throttler",
    canAbort: true,
    make(limit, period) {
      const throttler = new Throttler({ limit, period });
      return (fn, signal) => throttler.run(fn, signal && { signal });
    },
  },
  {
    name: "Throttler, steady",
    canAbort: true,
    make(limit, period) {
      const throttler = new Throttler({ limit, period, refill: "steady" });
      return (fn, signal) => throttler.run(fn, signal && { signal });
    },
  },
];

const PEERS: Subject[] = [
  {
    name: "p-throttle",
    make(limit, interval) {
      return pThrottle({ limit, interval })((fn: () => unknown) => fn()) as Run;
    },
  },
  {
    name: "p-throttle, strict",
    most: 5_000, // it moves the whole list at each call
    make(limit, interval) {
      return pThrottle({ limit, interval, strict: true })((fn: () => unknown) => fn()) as Run;
    },
  },
  {
    name: "limiter",
    make(limit, interval) {
      const limiter = new RateLimiter({ tokensPerInterval: limit, interval });
      return async (fn) => {
        await limiter.removeTokens(1);
        return fn();
      };
    },
  },
  {
    name: "rate-limiter-flexible",
    make(points, period) {
      const limiter = new RateLimiterQueue(
        new RateLimiterMemory({ points, duration: period / 1_000 }),
      );
      return async (fn) => {
        await limiter.removeTokens(1);
        return fn();
      };
    },
  },
  {
    name: "p-queue",
    canAbort: true,
    make(intervalCap, interval) {
      const queue = new PQueue({ intervalCap, interval });
      return (fn, signal) => queue.add(fn, { signal });
    },
  },
  {
    name: "p-queue, strict",
    canAbort: true,
    make(intervalCap, interval) {
      const queue = new PQueue({ intervalCap, interval, strict: true });
      return (fn, signal) => queue.add(fn, { signal });
    },
  },
  {
    name: "bottleneck",
    most: 500, // several ms each
    make(reservoir, period) {
      const limiter = new Bottleneck({
        reservoir,
        reservoirRefreshAmount: reservoir,
        reservoirRefreshInterval: Math.max(250, period),
      });
      return (fn) => limiter.schedule(() => Promise.resolve(fn()));
    },
  },
  {
    name: "ccxt, leaky",
    make(limit, period) {
      const config = { capacity: limit, tokens: limit, refillRate: limit / period };
      const throttler = new CcxtThrottler(config);
      return async (fn) => {
        await throttler.throttle(1);
        return fn();
      };
    },
  },
  {
    name: "ccxt, rolling",
    make(limit, windowSize) {
      const config = { algorithm: "rollingWindow", windowSize, rateLimit: windowSize / limit };
      const throttler = new CcxtThrottler(config);
      return async (fn) => {
        await throttler.throttle(1);
        return fn();
      };
    },
  },
];

/** How many calls are queued, where a library can be asked for so many. */
const COUNT = 100_000;

/** The period of a limit that nobody passes here; times 20,000 it still fits a timer of 32 bits. */
const PARKED = 100_000;

const shared: Promise<unknown> = Promise.resolve();
const call = (): Promise<unknown> => shared;

function ignore(): void {}

function median(values: number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)];
}

function pause(duration: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, duration));
}

/** Where the process was started with --expose-gc, as `deno task bench` does. */
const { gc = ignore } = globalThis as { gc?: () => void };

function heapUsed(): number {
  for (let i = 0; i < 4; i++) gc();
  return Deno.memoryUsage().heapUsed;
}

/** Nanoseconds of an awaited call while there are tokens, and of the floor: a promise and a clock. */
async function measureCall({ make }: Subject): Promise<[call: number, floor: number]> {
  const run = make(1e9, 1_000);
  const ours = async (count: number) => {
    for (let i = 0; i < count; i++) await run(call);
  };
  const floor = async (count: number) => {
    for (let i = 0; i < count; i++) {
      performance.now();
      await call();
    }
  };
  let count = 0; // as many as take 20 ms, once they are warm
  for (const began = performance.now(); performance.now() - began < 200; count++) await ours(10);
  const loops: [typeof ours, number, number[]][] = [[ours, count, []], [floor, 50_000, []]];
  for (let round = 0; round < 25; round++) {
    for (const [loop, count, times] of loops) {
      gc();
      const began = performance.now();
      await loop(count);
      times.push((performance.now() - began) * 1e6 / count);
    }
  }
  // The least, since whatever else the machine does can only add to it.
  return [Math.min(...loops[0][2]), Math.min(...loops[1][2])];
}

/**
 * Milliseconds until the last of so many calls has started, where a quarter of them are allowed per
 * 250 ms, so that 750 is the minimum.
 */
async function measureDrain({ make }: Subject, count: number): Promise<number> {
  const run = make(count / 4, 250);
  let started = 0;
  let last = NaN;
  const fn = () => {
    if (++started === count) last = performance.now();
    return shared;
  };
  const began = performance.now();
  const calls = Promise.all(Array.from({ length: count }, () => run(fn)));
  calls.catch(ignore);
  await Promise.race([calls, pause(4_000)]);
  return last - began;
}

/** Bytes on the heap for each call that waits. */
function measureParked({ make }: Subject, count: number): number {
  const run = make(1, PARKED);
  const calls: Promise<unknown>[] = new Array(count).fill(shared);
  for (let i = 0; i < 10; i++) run(call).catch(ignore);
  const before = heapUsed();
  for (let i = 0; i < count; i++) calls[i] = run(call);
  return (heapUsed() - before) / count;
}

/** The same for a promise and the functions that settle it. */
function measurePromise(count: number): number {
  const kept: unknown[] = new Array(3 * count).fill(undefined);
  const before = heapUsed();
  for (let i = 0; i < count; i++) {
    kept[i] = new Promise((resolve, reject) => {
      kept[count + i] = resolve;
      kept[2 * count + i] = reject;
    });
  }
  return (heapUsed() - before) / count;
}

/** Microseconds of an abort of one of 20,000 calls that wait. */
function measureAbort({ make }: Subject, count = 20_000): number {
  const run = make(1, PARKED);
  const controllers = Array.from({ length: count }, () => new AbortController());
  for (const { signal } of controllers) run(call, signal).catch(ignore);
  const reason = new Error("changed my mind");
  const began = performance.now();
  for (let i = 0; i < 1_000; i++) controllers[(i * 7_919 + 100) % count].abort(reason);
  return (performance.now() - began) * 1_000 / 1_000;
}

/** Most starts in any 1,000 ms, of one call, a pause and thirty calls, and the time they take. */
async function measureAccuracy({ make }: Subject, gap: number): Promise<[number, number]> {
  const run = make(10, 1_000);
  const starts: number[] = [];
  const fn = () => starts.push(performance.now());
  run(fn);
  await pause(gap);
  const calls = Array.from({ length: 30 }, () => run(fn));
  await Promise.race([Promise.all(calls), pause(8_000)]);
  let most = 0;
  for (const start of starts) {
    most = Math.max(most, starts.filter((other) => other >= start && other - start < 1_000).length);
  }
  return [most, starts.length < 31 ? Infinity : starts[30] - starts[1]];
}

/** Milliseconds from the first to the last of 60 calls at 10 per second. */
async function measureSixty({ make }: Subject): Promise<number> {
  const run = make(10, 1_000);
  const starts: number[] = [];
  const calls = Array.from({ length: 60 }, () => run(() => starts.push(performance.now())));
  await Promise.race([Promise.all(calls), pause(10_000)]);
  return starts.length < 60 ? Infinity : starts[59] - starts[0];
}

function number(value: number | undefined, digits = 0): string {
  return value === undefined || !Number.isFinite(value) ? "–" : value.toFixed(digits);
}

function print(title: string, columns: string[], rows: string[][]): void {
  console.log(`\n${title}\n`);
  const widths = columns.map((name, i) =>
    Math.max(name.length, ...rows.map((row) => row[i].length))
  );
  const line = (cells: string[]) =>
    `| ${
      cells.map((cell, i) => i === 0 ? cell.padEnd(widths[i]) : cell.padStart(widths[i])).join(
        " | ",
      )
    } |`;
  console.log(line(columns));
  console.log(
    `|${widths.map((width, i) => "-".repeat(width + 1) + (i === 0 ? "-" : ":")).join("|")}|`,
  );
  for (const row of rows) console.log(line(row));
}

/** What a subject costs, measured in a process that it has for itself. */
interface Costs {
  call: number;
  floor: number;
  drained: number;
  parked: number;
  promise: number;
  abort?: number;
}

async function measureCosts(subject: Subject): Promise<Costs> {
  const { most = COUNT, canAbort } = subject;
  const [call, floor] = await measureCall(subject);
  const abort = canAbort ? median([1, 2, 3].map(() => measureAbort(subject))) : undefined;
  const times: number[] = [];
  for (let i = 0; i < (most < COUNT ? 1 : 5); i++) times.push(await measureDrain(subject, most));
  const count = Math.min(most, 10_000);
  const promise = median([1, 2, 3].map(() => measurePromise(10_000)));
  const parked = median([1, 2, 3].map(() => measureParked(subject, count)));
  return { call, floor, drained: median(times), parked, promise, abort };
}

async function costsOf({ name }: Subject): Promise<Costs> {
  const { success, stdout } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-check", "--v8-flags=--expose-gc", import.meta.filename!, name],
    stdout: "piped",
    stderr: "null",
  }).output();
  if (!success) throw new Error(`The costs of ${name} could not be measured`);
  return JSON.parse(new TextDecoder().decode(stdout));
}

async function main(): Promise<string[]> {
  const all = [...OURS, ...PEERS];
  const [ours, steady] = OURS;
  console.log(`Deno ${Deno.version.deno}, V8 ${Deno.version.v8}; medians, of a call the least`);

  // What only waits is measured all at the same time, what works one after the other.
  const gaps = Array.from({ length: 21 }, (_, i) => 500 + 25 * i);
  const accuracy = new Map(
    await Promise.all(all.map(async (subject) => {
      const runs = Promise.all(gaps.map((gap) => measureAccuracy(subject, gap)));
      const sixty = await measureSixty(subject);
      const most = Math.max(...(await runs).map(([most]) => most));
      return [subject, {
        most,
        sixty,
        thirty: median((await runs).map(([, took]) => took)),
      }] as const;
    })),
  );
  const costs = new Map<Subject, Costs>();
  for (const subject of all) costs.set(subject, await costsOf(subject));

  print(
    "One call, a pause of 500 to 1,000 ms, thirty calls; 10 per 1,000 ms are allowed",
    ["", "most starts in any 1,000 ms", "the thirty took, ms", "sixty at once took, ms"],
    all.map((subject) => {
      const { most, thirty, sixty } = accuracy.get(subject)!;
      return [subject.name, number(most), number(thirty), number(sixty)];
    }),
  );
  print(
    "Costs; 100,000 calls at 25,000 per 250 ms take at least 750 ms",
    [
      "",
      "call, ns",
      "/ floor",
      "100k drained, ms",
      "bytes per waiting call",
      "/ promise",
      "abort, µs",
    ],
    all.map((subject) => {
      const { call, floor, drained, parked, promise, abort } = costs.get(subject)!;
      return [
        subject.name,
        number(call),
        number(call / floor, 2),
        number(drained) + (subject.most === undefined ? "" : ` for ${subject.most}`),
        number(parked),
        number(parked / promise, 2),
        number(abort, 1),
      ];
    }),
  );
  console.log(
    "\nfloor: an awaited promise and a look at the clock; promise: one with its two resolvers",
  );

  const faults: string[] = [];
  const check = (isRight: boolean, words: string) => isRight || faults.push(words);
  const own = costs.get(ours)!;
  const drained = Math.min(own.drained, costs.get(steady)!.drained);
  check(accuracy.get(ours)!.most === 10, "not 10 starts in the fullest window of ours");
  check(own.call <= 1.5 * own.floor, "a call costs more than 1.5 floors");
  check(own.drained <= 1.03 * 750, "100,000 calls take more than 1.03 of the minimum");
  check(own.parked <= 1.6 * own.promise, "a waiting call weighs more than 1.6 promises");
  check(own.abort! <= 10, "an abort costs more than 10 µs");
  for (const peer of PEERS) {
    const { call, floor, parked, abort, drained: time } = costs.get(peer)!;
    check(accuracy.get(peer)!.most >= 10, `${peer.name} starts fewer`);
    check(call / floor > own.call / own.floor, `a call costs less in ${peer.name}`);
    check(parked > own.parked, `a waiting call weighs less in ${peer.name}`);
    check(abort === undefined || abort > own.abort!, `an abort costs less in ${peer.name}`);
    // Level with a peer of the same algorithm is all that there can be: a timer is 1 ms.
    check(peer.most !== undefined || !(time < drained - 2), `${peer.name} drains faster`);
  }
  return faults;
}

if (import.meta.main) {
  const subject = [...OURS, ...PEERS].find(({ name }) => name === Deno.args[0]);
  if (subject) {
    console.log(JSON.stringify(await measureCosts(subject)));
    Deno.exit(0); // what still waits would keep the process
  }
  const faults = await main();
  for (const fault of faults) console.error(`FAILED: ${fault}`);
  Deno.exit(faults.length > 0 ? 1 : 0);
}
