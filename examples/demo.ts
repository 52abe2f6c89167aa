/**
 * Shows the library at work, on a venue that fails on purpose:
 *
 *     deno task demo [kraken|kite|binance|bybit] [--live] [--web] [--seconds 15] [--seed 1]
 *
 * It starts a simulated venue on 127.0.0.1, runs a broker and a feed through its faults, and exits
 * with 0 only if nothing was lost. `--live` runs the same classes against the real venue. `--web`
 * shows everything on a page of 127.0.0.1, for two minutes unless told otherwise, and stays until
 * Ctrl-C.
 *
 * @module
 */

import { BinanceShow } from "./binance/show.ts";
import { BybitShow } from "./bybit/show.ts";
import { KiteShow } from "./kite/show.ts";
import { KrakenShow } from "./kraken/show.ts";
import { LivePage } from "./live/server.ts";
import { faults, type Figure, perform, type Show, type ShowOptions, Stage } from "./stage.ts";
import { paint, type Scene, seconds, tell } from "./view.ts";

/** Makes the show of each venue. */
export const VENUES: Record<string, (options: ShowOptions) => Show | Promise<Show>> = {
  kraken: (options) => new KrakenShow(options),
  kite: (options) => new KiteShow(options),
  binance: (options) => new BinanceShow(options),
  bybit: (options) => BybitShow.open(options),
};

const USAGE = `Usage: deno task demo [${
  Object.keys(VENUES).join("|")
}] [--live] [--web] [--seconds n] [--seed n]`;

/** What the command line asks for, or nothing if it makes no sense. */
function parse(args: readonly string[]) {
  const asked = { venue: "kraken", live: false, web: args.includes("--web"), seconds: 15, seed: 1 };
  if (asked.web) asked.seconds = 120;
  for (const words = args.flatMap((arg) => arg.split("=")); words.length > 0;) {
    const word = words.shift()!;
    if (Object.hasOwn(VENUES, word)) asked.venue = word;
    else if (word === "--live") asked.live = true;
    else if (word === "--web") continue;
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
  const { signal, interrupt, release } = interruptible();
  const isTerminal = Deno.stdout.isTerminal();
  const colour = isTerminal && !Deno.noColor;
  const duration = asked.seconds * 1_000;
  const write = (text: string) => put(text, interrupt);
  const size = isTerminal ? () => Deno.consoleSize() : undefined;
  const stage = new Stage((step) => {
    if (!isTerminal || asked.web) {
      for (const line of tell(step, Infinity)) write(`${paint(line, colour)}\n`);
    }
  });
  await using page = asked.web ? new LivePage() : undefined;
  if (page) write(`Open ${page.url} in a browser; Ctrl-C ends it\n`);
  await using show = await VENUES[asked.venue]({ ...asked, stage, faults: faults(duration) });
  try {
    const onScene = (scene: Scene) => page?.show(scene);
    const onFigures = (figures: readonly Figure[]) => page?.conclude(figures);
    const screen = { write, size: page ? undefined : size, colour };
    const isGood = await perform(show, stage, { duration, signal, ...screen, onScene, onFigures });
    if (page) await aborted(signal);
    if (isGood !== undefined) return isGood ? 0 : 1;
    write(`\nInterrupted after ${seconds(stage.elapsed)}: nothing was checked\n`);
    return 130;
  } catch (error) {
    if (signal.aborted) return 130;
    console.error((error as Error).message);
    return 1;
  } finally {
    release();
  }
}

/** Turns the first Ctrl-C into an abort. The second one ends the process: who presses it means it. */
function interruptible() {
  const controller = new AbortController();
  const release = () => Deno.removeSignalListener("SIGINT", interrupt);
  function interrupt(): void {
    release();
    controller.abort();
  }
  Deno.addSignalListener("SIGINT", interrupt);
  return { signal: controller.signal, interrupt, release };
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    signal.addEventListener("abort", () => resolve());
  });
}

/** Writes to stdout, all of it; when nobody reads any more (`| head`), the demo is over. */
function put(text: string, onGone: () => void): void {
  const bytes = new TextEncoder().encode(text);
  try {
    for (let at = 0; at < bytes.length;) at += Deno.stdout.writeSync(bytes.subarray(at));
  } catch (error) {
    if (!(error instanceof Deno.errors.BrokenPipe)) throw error;
    onGone();
  }
}

// Not Deno.exit(): that the process ends by itself shows that nothing is left running.
if (import.meta.main) Deno.exitCode = await main();
