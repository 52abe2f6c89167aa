/**
 * Plays many histories of a simulated world, and looks for broken promises:
 *
 *     deno task sim                    # 2,000 histories, from seed 1
 *     deno task sim --runs 100000
 *     deno task sim --for 10m --from 5000
 *     deno task sim --first            # ends with the first failure, and does not shorten it
 *     deno task sim --seed 42          # one history, with its trace
 *     deno task sim --seed 42 --keep 3,4,9   # only these of its steps
 *
 * A failing history is shortened as long as it fails, and told as one command that plays it again.
 *
 * @module
 */

import { type History, historyOf, shorten } from "./history.ts";
import { play, type Result } from "./world.ts";

/** What must have happened in many histories: a generator that does nothing would prove nothing. */
const MUST_OCCUR = [
  "verdict found",
  "verdict absent",
  "verdict rejected",
  "verdict not-sent",
  "verdict unknown",
  "reconnect",
  "gap filled",
  "gap not filled",
];

/** Milliseconds of `10m`, `90s` or `1h`. */
function duration(text: string): number {
  const [, count, unit] = /^(\d+)([smh])$/.exec(text) ?? [];
  if (!count) throw new TypeError(`Cannot run for ${text}, wanted a time like 10m`);
  return Number(count) * { s: 1_000, m: 60_000, h: 3_600_000 }[unit as "s" | "m" | "h"];
}

function option(args: string[], name: string): string | undefined {
  const at = args.indexOf(`--${name}`);
  return at < 0 ? undefined : args[at + 1];
}

/** The history of a seed, or the steps of it that are to be kept. */
function chosen(seed: number, keep: string | undefined): History {
  const history = historyOf(seed);
  if (keep === undefined) return history;
  return { seed, steps: keep.split(",").filter(Boolean).map((at) => history.steps[Number(at)]) };
}

async function replay(seed: number, keep: string | undefined): Promise<boolean> {
  const { trace, faults } = await play(chosen(seed, keep));
  for (const line of trace) console.log(line);
  for (const fault of faults) console.log(`FAULT: ${fault}`);
  return faults.length === 0;
}

/** Shortens a failing history, and says how to play it again. */
async function tell(history: History, { faults }: Result): Promise<void> {
  console.log(`\nseed ${history.seed}: ${faults[0]}`);
  const fails = async (shorter: History) => (await play(shorter)).faults.length > 0;
  const { steps } = await shorten(history, fails);
  const keep = steps.map((step) => history.steps.indexOf(step)).join();
  console.log(`${steps.length} of ${history.steps.length} steps still fail:`);
  console.log(`    deno task sim --seed ${history.seed} --keep "${keep}"`);
}

async function many(
  { from, runs, time, isFirst }: { from: number; runs: number; time: number; isFirst: boolean },
): Promise<boolean> {
  const counts = new Map<string, number>();
  const start = performance.now();
  let failed = 0;
  let played = 0;
  for (; played < runs && performance.now() - start < time && failed < 5; played++) {
    const history = historyOf(from + played);
    const result = await play(history);
    for (const [what, count] of result.counts) counts.set(what, (counts.get(what) ?? 0) + count);
    if (result.faults.length === 0) continue;
    failed++;
    if (isFirst) {
      console.log(`history ${played + 1}: ${result.faults[0]}`);
      return false;
    }
    await tell(history, result);
  }
  const seconds = (performance.now() - start) / 1_000;
  for (const [what, count] of [...counts].sort()) {
    console.log(`${String(count).padStart(8)}  ${what}`);
  }
  console.log(`${played} histories in ${seconds.toFixed(0)} s, ${failed} failed`);
  const missing = runs < 1_000 ? [] : MUST_OCCUR.filter((what) => !counts.has(what));
  if (missing.length > 0) console.log(`Nothing was proven: these never happened: ${missing}`);
  return failed === 0 && missing.length === 0;
}

if (import.meta.main) {
  const { args } = Deno;
  const seed = option(args, "seed");
  const limit = option(args, "for");
  const isGood = seed !== undefined
    ? await replay(Number(seed), option(args, "keep"))
    : await many({
      from: Number(option(args, "from") ?? 1),
      runs: Number(option(args, "runs") ?? (limit ? Infinity : 2_000)),
      time: limit ? duration(limit) : Infinity,
      isFirst: args.includes("--first"),
    });
  Deno.exit(isGood ? 0 : 1);
}
