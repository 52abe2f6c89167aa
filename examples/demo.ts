/**
 * Shows the library at work, on a venue that fails on purpose:
 *
 *     deno task demo [kraken] [--live] [--seconds 15] [--seed 1]
 *
 * It starts a simulated venue on 127.0.0.1, runs a broker and a feed through its faults, and exits
 * with 0 only if nothing was lost. `--live` runs the same classes against the real venue.
 *
 * @module
 */

import { KrakenShow, type ShowOptions } from "./kraken/show.ts";
import { type Show, Stage } from "./stage.ts";
import { seconds } from "./view.ts";

const VENUES: Record<string, new (options: ShowOptions) => Show> = { kraken: KrakenShow };

const USAGE = `Usage: deno task demo [${
  Object.keys(VENUES).join("|")
}] [--live] [--seconds n] [--seed n]`;

/** What the command line asks for, or nothing if it makes no sense. */
function parse(args: readonly string[]) {
  const asked = { venue: "kraken", live: false, seconds: 15, seed: 1 };
  for (const words = args.flatMap((arg) => arg.split("=")); words.length > 0;) {
    const word = words.shift()!;
    if (word in VENUES) asked.venue = word;
    else if (word === "--live") asked.live = true;
    else if (word === "--seconds" || word === "--seed") {
      const value = Number(words.shift());
      if (!(value >= 1 && value <= 86_400)) return undefined;
      asked[word === "--seed" ? "seed" : "seconds"] = value;
    } else return undefined;
  }
  return asked;
}

async function main(): Promise<number> {
  const asked = parse(Deno.args);
  if (!asked) {
    console.error(USAGE);
    return 2;
  }
  const interrupted = new AbortController();
  const interrupt = () => interrupted.abort();
  // Once: whoever presses Ctrl-C again means it.
  Deno.addSignalListener("SIGINT", interrupt);
  interrupted.signal.addEventListener(
    "abort",
    () => Deno.removeSignalListener("SIGINT", interrupt),
  );
  const isTerminal = Deno.stdout.isTerminal();
  const duration = asked.seconds * 1_000;
  const stage = new Stage({
    duration,
    signal: interrupted.signal,
    live: isTerminal,
    colour: isTerminal && !Deno.noColor,
  });
  await using show = new VENUES[asked.venue]({ ...asked, stage, duration });
  try {
    const isGood = await stage.run(show);
    if (isGood === undefined) {
      console.log(`\nInterrupted after ${seconds(stage.elapsed)}: nothing was checked`);
      return 130;
    }
    return isGood ? 0 : 1;
  } catch (error) {
    if (interrupted.signal.aborted) return 130;
    console.error((error as Error).message);
    return 1;
  } finally {
    interrupted.abort();
  }
}

// Not Deno.exit(): that this process ends by itself shows that nothing is left running.
if (import.meta.main) Deno.exitCode = await main();
