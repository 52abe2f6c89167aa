/**
 * Plays histories of the whole library in a simulated world: virtual time, a venue in memory that
 * fails at random, and a judge that holds what the caller was told against the venue's log.
 *
 *     deno task sim                      # 2,000 histories, from seed 1
 *     deno task sim --runs 100000
 *     deno task sim --for 10m --from 5000
 *     deno task sim --first              # ends with the first failure, and does not shorten it
 *     deno task sim --seed 7             # one history, with its trace
 *     deno task sim --seed 7 --keep 0,3  # the same with these actions only
 *
 * One seed is one history. A history that fails is made as short as can be, and printed as one
 * command that plays it again. At the end a table tells how often everything has happened. Exits with
 * 1 if a history failed, or if something that must happen never did in 2,000 histories or more.
 *
 * @module
 */

import { historyOf } from "./history.ts";
import { play, type Stray } from "./play.ts";
import { shrink } from "./shrink.ts";
import { Tally } from "./tally.ts";
import type { Witness } from "./witness.ts";

/** How many histories must show everything. */
const ENOUGH = 2_000;
/** How many failures end a run. */
const MOST_FAILURES = 5;
/** Milliseconds of each unit of `--for`. */
const UNITS: Readonly<Record<string, number>> = { s: 1_000, m: 60_000, h: 3_600_000 };

const stray: Stray = { witness: undefined };

/** Plays the history of a seed, or the part of it with these actions. */
function playPart(seed: number, keep?: readonly number[]): Promise<Witness> {
  const history = historyOf(seed);
  const actions = history.actions.filter((_, i) => !keep || keep.includes(i));
  return play({ ...history, actions }, stray);
}

/** What is wrong, without the numbers, which change with the history. */
function kindsOf({ faults }: Witness): Set<string> {
  return new Set(faults.map((fault) => fault.replace(/[A-H]?[\d.]+|\b[A-H]\b/g, "N").slice(0, 80)));
}

/** Makes a failed history short, and prints it. */
async function report(seed: number, witness: Witness): Promise<void> {
  const kinds = kindsOf(witness);
  const all = historyOf(seed).actions.map((_, i) => i);
  const kept = await shrink(all, async (part) => {
    return [...kindsOf(await playPart(seed, part))].some((kind) => kinds.has(kind));
  });
  console.log(`\nseed ${seed} FAILED:`);
  for (const fault of witness.faults.slice(0, 5)) console.log(`  ${fault.slice(0, 400)}`);
  const { actions, setting } = historyOf(seed);
  console.log(`  ${kept.length} of ${actions.length} actions are enough:`);
  for (const i of kept) console.log(`    ${JSON.stringify(actions[i])}`);
  console.log(`  with ${JSON.stringify(setting)}`);
  console.log(`  deno task sim --seed ${seed} --keep ${kept.join(",")}`);
}

/** What is to be played. */
interface Plan {
  /** The first seed. */
  readonly from: number;
  /** How many histories there are at most. */
  readonly runs: number;
  /** How long it takes at most, in milliseconds. */
  readonly time: number;
  /** Whether the first failure ends it. */
  readonly isFirst: boolean;
}

/** Plays many histories, and prints the table. Tells whether all is well. */
async function many({ from, runs, time, isFirst }: Plan): Promise<boolean> {
  const tally = new Tally();
  const begin = performance.now();
  let played = 0;
  let failed = 0;
  while (played < runs && performance.now() - begin < time && failed < MOST_FAILURES) {
    const seed = from + played++;
    const witness = await playPart(seed);
    tally.add(witness);
    if (witness.faults.length === 0) continue;
    failed++;
    if (isFirst) {
      console.log(`history ${played}: ${witness.faults[0].slice(0, 200)}`);
      return false;
    }
    await report(seed, witness);
  }
  const seconds = (performance.now() - begin) / 1_000;
  console.log(`\n${tally}\n`);
  const { missing } = tally;
  const isThin = played >= ENOUGH && missing.length > 0;
  if (isThin) console.log(`Nothing was proven: never seen: ${missing.join(", ")}`);
  console.log(
    `seeds ${from} to ${from + played - 1}: ${played} histories in ${seconds.toFixed(0)} s, ` +
      `${(played / seconds).toFixed(0)} a second, ${failed} failed`,
  );
  return failed === 0 && !isThin;
}

/** Plays one history, and prints its trace. */
async function one(seed: number, keep: number[] | undefined): Promise<boolean> {
  const witness = await playPart(seed, keep);
  console.log(JSON.stringify(historyOf(seed).setting));
  for (const line of witness.lines) console.log(line);
  console.log(`hash ${witness.hash}`);
  for (const fault of witness.faults) console.log(`FAILED: ${fault}`);
  return witness.faults.length === 0;
}

/** Runs what the command line asks for. Tells whether all is well. */
async function main(args: string[]): Promise<boolean> {
  const option = (name: string) => {
    const at = args.indexOf(`--${name}`);
    return at < 0 ? undefined : args[at + 1];
  };
  const number = (name: string, value: number) => {
    const text = option(name);
    if (text !== undefined && !/^\d+$/.test(text)) {
      throw new TypeError(`Cannot read --${name}: it is ${text}, wanted a whole number`);
    }
    return text === undefined ? value : Number(text);
  };
  if (option("seed") !== undefined) {
    return await one(number("seed", 1), option("keep")?.split(",").filter(Boolean).map(Number));
  }
  const limit = option("for");
  const [, count, unit] = /^(\d+)([smh])$/.exec(limit ?? "0s") ?? [];
  if (!count) throw new TypeError(`Cannot read --for: it is ${limit}, wanted a time like 10m`);
  return await many({
    from: number("from", 1),
    runs: number("runs", limit ? Infinity : 2_000),
    time: limit ? Number(count) * UNITS[unit] : Infinity,
    isFirst: args.includes("--first"),
  });
}

if (import.meta.main) {
  globalThis.addEventListener("unhandledrejection", (event) => {
    if (!stray.witness) return;
    event.preventDefault();
    stray.witness.fault(`nobody handled ${event.reason}`);
  });
  globalThis.addEventListener("error", (event) => {
    if (!stray.witness) return;
    event.preventDefault();
    stray.witness.fault(`nobody caught ${event.error}`);
  });
  Deno.exit(await main(Deno.args) ? 0 : 1);
}
