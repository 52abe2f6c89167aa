/**
 * Runs a venue's demo: connects its feed, lets its broker work, shows what happens, and checks at the
 * end that nothing was lost.
 *
 * A venue plugs in with a {@linkcode Show}; everything that venues have in common is here.
 *
 * @module
 */

import type { Ending, FeedError, WebSocketFeeder } from "@aio-trader/core";
import type { Fault, ScheduledFault } from "./simulator.ts";
import {
  grouped,
  type Ladder,
  type Line,
  paint,
  type Scene,
  screen,
  seconds,
  type Story,
  tell,
  type Window,
} from "./view.ts";

/** What is used of a feed, whatever it delivers. */
export type LiveFeed = Pick<
  WebSocketFeeder<unknown, unknown>,
  "state" | "stats" | "subscriptions" | "on" | "connect" | "close"
>;

/** A venue's demo. */
export interface Show extends AsyncDisposable {
  /** What runs. */
  readonly title: string;
  /** The feed, not connected yet. */
  readonly feed: LiveFeed;
  /** Faults that are still to come. */
  readonly pending: number;
  /** Whether everything that is subscribed to is being delivered now. */
  isWhole(): boolean;
  /** Whether an error of the feed is what a fault of the simulator leads to. None is, unless this says so. */
  isExpected?(error: FeedError): boolean;
  /** The order books. */
  ladders(): Ladder[];
  /**
   * The broker's requests: how many wait for a throttler, what else is known of them, and how much
   * of each limit is spent.
   */
  requests(): { queue: number; asked: string[]; windows?: Window[] };
  /**
   * Makes sure that the venue can be reached.
   *
   * @throws {Error} If it cannot: with a message for the user.
   */
  open(): Promise<void>;
  /** Uses the broker, until the signal aborts. */
  work(signal: AbortSignal): Promise<void>;
  /** Takes a last look, while the feed is still connected. */
  figures(): Promise<Figure[]>;
}

/** What a show is made with. */
export interface ShowOptions {
  /** Where it is told what happens. */
  readonly stage: Stage;
  /** The real venue, instead of the simulator. */
  readonly live: boolean;
  /** The simulator's seed. */
  readonly seed: number;
  /** What the simulator does wrong, and when. */
  readonly faults: readonly ScheduledFault[];
}

/** Something to state at the end. */
export interface Figure {
  /** Whether it is as it should be. */
  readonly ok: boolean;
  /** In words. */
  readonly text: string;
}

/** What a demo is run with. */
export interface StageOptions {
  /** How long, in milliseconds; longer if a fault has not been survived by then. */
  readonly duration: number;
  /**
   * Longest time that is granted, after the duration, to survive what has not been survived yet, and
   * for the first connection. In milliseconds.
   *
   * @default {20_000}
   */
  readonly grace?: number;
  /** Ends it early. */
  readonly signal: AbortSignal;
  /** Puts text on the terminal, or wherever stdout goes. */
  readonly write: (text: string) => void;
  /** Told what is known, every 50 ms. */
  readonly onScene?: ((scene: Scene) => void) | undefined;
  /** Told the figures at the end. */
  readonly onFigures?: ((figures: readonly Figure[]) => void) | undefined;
  /** The terminal's size; absent where there is none: then lines are printed as things happen. */
  readonly size?: () => { columns: number; rows: number };
  /**
   * Whether to use colours.
   *
   * @default {false}
   */
  readonly colour?: boolean;
}

/** Time between two looks at what happens, in milliseconds. */
const TICK = 50;

/** Where there is no terminal, every how many looks a line says how things are. */
const STATUS_EVERY = 50;

/** The usual faults, spread over a duration, with time to recover in between. */
export function faults(duration: number): ScheduledFault[] {
  const at = (share: number) => Math.round(duration * share);
  return [
    { at: at(0.12), fault: "corrupt" },
    { at: at(0.22), fault: "throttle" },
    { at: at(0.32), fault: "refuse" },
    { at: at(0.32), fault: "drop" },
    { at: at(0.52), fault: "silence" },
    { at: at(0.82), fault: "drop" },
  ];
}

/** Keeps what happens as stories: a fault, what it led to, and how it ended. */
export class Stage {
  /** What has happened. */
  readonly stories: Story[] = [];
  /** Faults that have struck. */
  struck = 0;
  /** Longest time without data, in milliseconds. */
  longestGap = 0;
  readonly #start = performance.now();
  readonly #onStep: ((step: Story) => void) | undefined;
  /** What the connection suffers from now, and whether the feed knows. */
  #trouble: Story | undefined;
  #isNoticed = false;

  /**
   * Starts the clock.
   *
   * @param onStep Told every step by itself, when it happens.
   */
  constructor(onStep?: (step: Story) => void) {
    this.#onStep = onStep;
  }

  /** Time since the start, in milliseconds. */
  get elapsed(): number {
    return performance.now() - this.#start;
  }

  /**
   * Begins a story.
   *
   * @param text What happened.
   * @param about `"order"` for the story of an order.
   * @returns The story, for its next steps.
   */
  begin(text: string, about?: "order"): Story {
    const story: Story = { about, at: this.elapsed, steps: [], outcome: "open" };
    this.stories.push(story);
    this.step(story, text);
    return story;
  }

  /**
   * Continues a story.
   *
   * @param story Which one.
   * @param text What happened next.
   * @param outcome How it ended, if it did.
   */
  step(story: Story, text: string, outcome: Story["outcome"] = "open"): void {
    const isFirst = story.steps.length === 0;
    story.steps.push(text);
    story.outcome = outcome;
    this.#onStep?.({ at: this.elapsed, steps: [isFirst ? text : `  → ${text}`], outcome });
  }

  /**
   * Tells something that needs no next step.
   *
   * @param text What happened.
   */
  note(text: string): void {
    this.step({ at: this.elapsed, steps: [], outcome: "note" }, text, "note");
  }

  /**
   * Notes that the venue's simulator let a fault strike. Tells those of the connection.
   *
   * @param fault Which one.
   */
  strike(fault: Fault): void {
    this.struck++;
    if (fault === "drop") {
      this.#trouble ??= this.begin("venue closes every socket with 1012, Service restart");
    } else if (fault === "silence") {
      this.#trouble ??= this.begin("venue falls silent, the sockets stay open");
    }
  }

  /**
   * Notes that a connection ended, or could not be made.
   *
   * @param ending How.
   * @param delay How long the feed waits now, in milliseconds.
   */
  lost({ code, reason, opened, status }: Ending, delay: number): void {
    const why = status
      ? `dialled, refused with ${status}`
      : !opened
      ? "dialled, no connection"
      : code === 1006 && reason
      ? `noticed: ${reason}`
      : undefined;
    this.#isNoticed = true;
    this.#trouble ??= this.begin(`connection lost: ${code} ${reason}`.trimEnd());
    this.step(this.#trouble, `${why ? `${why}, ` : ""}waiting ${seconds(delay)}`);
  }

  /**
   * Notes that everything is being delivered again.
   *
   * @param subscriptions How many subscriptions that is.
   */
  restored(subscriptions: number): void {
    if (!this.#trouble || !this.#isNoticed) return;
    const gap = this.elapsed - this.#trouble.at;
    this.longestGap = Math.max(this.longestGap, gap);
    this.step(
      this.#trouble,
      `live again, ${subscriptions} subscriptions restored, ${seconds(gap)} without data`,
      "good",
    );
    this.#trouble = undefined;
    this.#isNoticed = false;
  }
}

/**
 * Runs a demo to its end.
 *
 * @param show The venue's part.
 * @param stage Where the venue tells what happens.
 * @param options How long, and what to show it on.
 * @returns Whether everything was as it should be; `undefined` if it was ended early.
 * @throws {Error} If the venue cannot be reached.
 */
export async function perform(
  show: Show,
  stage: Stage,
  options: StageOptions,
): Promise<boolean | undefined> {
  const { signal, size, write, colour = false, grace = 20_000 } = options;
  const { feed } = show;
  const errors: string[] = [];
  const history = [{ at: 0, state: feed.state as string }];
  feed.on("state", ({ state }) => history.push({ at: stage.elapsed, state }));
  feed.on("retry", ({ ending, delay }) => stage.lost(ending, delay));
  feed.on("error", (error) => {
    if (!show.isExpected?.(error)) errors.push(error.message);
  });
  await show.open();
  await within(grace, feed.connect(), signal);

  const ended = new AbortController();
  const work = show.work(ended.signal);
  if (size) write(ENTER);
  try {
    await play(show, stage, options, history);
  } finally {
    ended.abort();
    if (size) write(LEAVE);
    // What was asked is answered, unless there is no time for that.
    if (signal.aborted) await show[Symbol.asyncDispose]();
    await work;
  }
  const print = (line: Line) => write(`${paint(line, colour)}\n`);
  // Without a terminal they have been printed already.
  if (size) stage.stories.flatMap((story) => tell(story, size().columns)).forEach(print);
  if (signal.aborted) return undefined;
  const figures = [...conclude(show, stage, errors), ...await show.figures()];
  options.onFigures?.(figures);
  await feed.close();
  print([]);
  for (const { ok, text } of figures) {
    print([[" "], ok ? ["✓", "green"] : ["✗", "red"], [` ${text}`]]);
  }
  return figures.every(({ ok }) => ok);
}

/** Shows what happens, until the time is over and every fault is survived, or will not be. */
async function play(
  show: Show,
  stage: Stage,
  { duration, grace = 20_000, signal, size, write, colour = false, onScene }: StageOptions,
  history: Scene["history"],
): Promise<void> {
  const { feed, title } = show;
  const rate = meter();
  for (let tick = 0; !signal.aborted && feed.state !== "closed"; tick++) {
    if (feed.state === "live" && show.isWhole()) stage.restored(feed.subscriptions.size);
    const isOver = show.pending === 0 && stage.stories.every(({ outcome }) => outcome !== "open");
    if (stage.elapsed >= duration + (isOver ? 0 : grace)) return;
    const { connections, frames } = feed.stats;
    const facts = [
      `connection ${connections}`,
      `${feed.subscriptions.size} subscriptions`,
      `${grouped(frames)} messages`,
      `${rate(frames)}/s`,
    ];
    const scene: Scene = {
      title,
      elapsed: stage.elapsed,
      duration,
      state: feed.state,
      facts,
      history,
      ladders: show.ladders(),
      ...show.requests(),
      stories: stage.stories,
    };
    onScene?.(scene);
    if (size) {
      const { columns, rows } = size();
      const lines = screen(scene, columns, rows).map((line) => paint(line, colour));
      write(`${HOME}${lines.join(NEXT_LINE)}${REST}`);
    } else if (tick % STATUS_EVERY === 0) stage.note(status(scene));
    await pause(TICK, signal);
  }
}

/** What can be said of every venue. */
function conclude({ feed, pending }: Show, stage: Stage, errors: readonly string[]): Figure[] {
  const { frames, connections } = feed.stats;
  const open = stage.stories.filter(({ outcome }) => outcome === "open");
  const reconnects = `${connections - 1} reconnects, ` +
    `at most ${seconds(stage.longestGap)} without data`;
  return [
    { ok: frames > 0, text: `${grouped(frames)} messages in ${seconds(stage.elapsed)}` },
    {
      ok: feed.state === "live" && open.length + pending === 0,
      text: stage.struck > 0 ? `${stage.struck} faults survived: ${reconnects}` : reconnects,
    },
    ...open.map(({ steps }) => ({ ok: false, text: `not survived: ${steps.join(" → ")}` })),
    ...errors.map((text) => ({ ok: false, text })),
  ];
}

// The alternate screen without a cursor: what was on the terminal before comes back.
const ENTER = "\x1b[?1049h\x1b[?25l";
const LEAVE = "\x1b[?25h\x1b[?1049l";
// Lines are drawn over the old ones, and only what is left of those is cleared: nothing flickers.
const HOME = "\x1b[H";
const NEXT_LINE = "\x1b[K\r\n";
const REST = "\x1b[K\x1b[J";

/** One line for those who have no screen. */
function status({ state, facts, ladders, queue }: Scene): string {
  const [{ name, bids, asks }] = ladders;
  const quote = bids.length > 0 ? `${name} ${bids[0].price} / ${asks[0].price}` : `${name} no book`;
  return [state, ...facts, quote, `REST queue ${queue}`].join(", ");
}

/** Counts per second, over the last second or so. */
function meter(): (count: number) => number {
  const samples: { at: number; count: number }[] = [];
  return (count) => {
    const at = performance.now();
    samples.push({ at, count });
    while (samples.length > 2 && at - samples[0].at > 1_000) samples.shift();
    const [first] = samples;
    return at > first.at ? Math.round((count - first.count) / (at - first.at) * 1_000) : 0;
  };
}

/** Waits, but not beyond an abort. */
function pause(duration: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer);
      signal.removeEventListener("abort", done);
      resolve();
    };
    const timer = setTimeout(done, duration);
    signal.addEventListener("abort", done);
    if (signal.aborted) done();
  });
}

/** Waits for the first connection, but not for ever. */
async function within(grace: number, connected: Promise<void>, signal: AbortSignal): Promise<void> {
  const over = new AbortController();
  const stop = () => over.abort();
  signal.addEventListener("abort", stop);
  const late = pause(grace, over.signal).then(() => {
    throw new Error(`Cannot connect the feed: not live within ${seconds(grace)}`);
  });
  try {
    await Promise.race([connected, late]);
  } finally {
    signal.removeEventListener("abort", stop);
    late.catch(() => {});
    stop();
  }
}
