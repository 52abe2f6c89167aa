/**
 * Runs a venue's demo: connects its feed, lets its broker work, shows what happens, and checks at the
 * end that nothing was lost.
 *
 * A venue plugs in with a {@linkcode Show}; everything that venues have in common is here.
 *
 * @module
 */

import type { Ending, WebSocketFeeder } from "@aio-trader/core";
import type { Fault, ScheduledFault } from "./loopback.ts";
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
  /** The order books. */
  ladders(): Ladder[];
  /** The broker's requests: how many wait for a throttler, and what else is known of them. */
  requests(): { queue: number; facts: string[] };
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
  /** Ends it early. */
  readonly signal: AbortSignal;
  /** Whether there is a terminal to draw on; else lines are printed as things happen. */
  readonly live: boolean;
  /** Whether to use colours. */
  readonly colour: boolean;
}

/** Longest time that is granted, after the duration, to survive what has not been survived yet. */
const GRACE = 20_000;

/** Time between two looks at what happens, in milliseconds. */
const TICK = 50;

/** Where there is no screen, every how many looks a line says how things are. */
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

/** Keeps what happens, and prints it where there is no screen. */
export class Stage {
  /** What has happened. */
  readonly stories: Story[] = [];
  /** Faults that have struck. */
  struck = 0;
  /** Longest time without data, in milliseconds. */
  longestGap = 0;
  readonly #options: StageOptions;
  readonly #start = performance.now();
  /** What the connection suffers from now, and whether the feed knows. */
  #trouble: Story | undefined;
  #isNoticed = false;

  /**
   * Prepares a stage.
   *
   * @param options How to show things.
   */
  constructor(options: StageOptions) {
    this.#options = options;
  }

  /** Time since the start, in milliseconds. */
  get elapsed(): number {
    return performance.now() - this.#start;
  }

  /**
   * Begins a story.
   *
   * @param text What happened.
   * @returns The story, for its next steps.
   */
  begin(text: string): Story {
    const story: Story = { at: this.elapsed, steps: [], outcome: "open" };
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
    if (this.#options.live) return;
    const told = { at: this.elapsed, steps: [isFirst ? text : `  → ${text}`], outcome };
    for (const line of tell(told, Infinity)) print(line, this.#options.colour);
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

  /**
   * Runs a demo to its end.
   *
   * @param show The venue's part.
   * @returns Whether everything was as it should be; `undefined` if it was ended early.
   * @throws {Error} If the venue cannot be reached.
   */
  async run(show: Show): Promise<boolean | undefined> {
    const { signal, live, colour } = this.#options;
    const { feed } = show;
    const errors: string[] = [];
    const history = [{ at: 0, state: feed.state as string }];
    feed.on("state", ({ state }) => history.push({ at: this.elapsed, state }));
    feed.on("retry", ({ ending, delay }) => this.lost(ending, delay));
    feed.on("error", (error) => errors.push(error.message));
    await show.open();
    await within(feed.connect(), signal);

    const ended = new AbortController();
    const work = show.work(ended.signal);
    const canvas = live ? new Canvas(colour) : undefined;
    try {
      await this.#play(show, history, canvas);
    } finally {
      ended.abort();
      canvas?.close();
      // What was asked is answered, unless there is no time for that.
      if (signal.aborted) await show[Symbol.asyncDispose]();
      await work;
    }
    if (canvas) {
      const { columns } = Deno.consoleSize();
      const told = this.stories.flatMap((story) => tell(story, columns));
      for (const line of told) print(line, colour);
    }
    if (signal.aborted) return undefined;
    const figures = [...this.#figures(show, errors), ...await show.figures()];
    await feed.close();
    print([], colour);
    for (const { ok, text } of figures) {
      print([[" "], ok ? ["✓", "green"] : ["✗", "red"], [` ${text}`]], colour);
    }
    return figures.every(({ ok }) => ok);
  }

  /** Shows what happens, until the time is over and every fault is survived, or will not be. */
  async #play(show: Show, history: Scene["history"], canvas: Canvas | undefined): Promise<void> {
    const { duration, signal } = this.#options;
    const { feed } = show;
    const rate = meter();
    for (let tick = 0; !signal.aborted && feed.state !== "closed"; tick++) {
      if (feed.state === "live" && show.isWhole()) this.restored(feed.subscriptions.size);
      const isOpen = show.pending > 0 || this.stories.some(({ outcome }) => outcome === "open");
      if (this.elapsed >= duration + (isOpen ? GRACE : 0)) return;
      const { queue, facts: requests } = show.requests();
      const { connections, frames } = feed.stats;
      const scene: Scene = {
        title: show.title,
        elapsed: this.elapsed,
        duration,
        state: feed.state,
        facts: [
          `connection ${connections}`,
          `${feed.subscriptions.size} subscriptions`,
          `${grouped(frames)} messages`,
          `${rate(frames)}/s`,
        ],
        history,
        ladders: show.ladders(),
        requests,
        queue,
        stories: this.stories,
      };
      if (canvas) canvas.draw(scene);
      else if (tick % STATUS_EVERY === 0) this.note(status(scene));
      await pause(TICK, signal);
    }
  }

  /** What can be said of every venue. */
  #figures({ feed, pending }: Show, errors: readonly string[]): Figure[] {
    const { frames, connections } = feed.stats;
    const open = this.stories.filter(({ outcome }) => outcome === "open");
    const isUp = feed.state === "live" && open.length + pending + errors.length === 0;
    return [
      {
        ok: frames > 0,
        text: `${grouped(frames)} messages in ${seconds(this.elapsed)}`,
      },
      {
        ok: isUp,
        text: `${connections - 1} reconnects survived, at most ${
          seconds(this.longestGap)
        } without data`,
      },
      ...open.map(({ steps }) => ({ ok: false, text: `not survived: ${steps.join(" → ")}` })),
      ...errors.map((text) => ({ ok: false, text })),
    ];
  }
}

/** The alternate screen of a terminal: what was there before comes back. */
class Canvas {
  readonly #colour: boolean;

  constructor(colour: boolean) {
    this.#colour = colour;
    write("\x1b[?1049h\x1b[?25l\x1b[2J");
  }

  draw(scene: Scene): void {
    const { columns, rows } = Deno.consoleSize();
    const lines = screen(scene, columns, rows).map((line) => paint(line, this.#colour));
    write(`\x1b[H${lines.join("\x1b[K\r\n")}\x1b[K\x1b[J`);
  }

  close(): void {
    write("\x1b[?25h\x1b[?1049l");
  }
}

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
async function within(connected: Promise<void>, signal: AbortSignal): Promise<void> {
  const late = pause(GRACE, signal).then(() => {
    signal.throwIfAborted();
    throw new Error(`Cannot connect the feed: not live within ${seconds(GRACE)}`);
  });
  await Promise.race([connected, late]);
}

function print(line: Line, colour: boolean): void {
  write(`${paint(line, colour)}\n`);
}

function write(text: string): void {
  const bytes = new TextEncoder().encode(text);
  for (let at = 0; at < bytes.length;) at += Deno.stdout.writeSync(bytes.subarray(at));
}
