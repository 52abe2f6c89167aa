/**
 * What a demo looks like: a live screen where stdout is a terminal, made by pure functions.
 *
 * {@linkcode screen} turns what is known into lines that fit the terminal, however small;
 * {@linkcode paint} turns a line into text, with or without colour.
 *
 * @module
 */

/** How a piece of text looks. */
export type Style = "bold" | "dim" | "red" | "green" | "yellow" | "ask" | "bid";

/** A piece of a line. Only characters that are one column wide. */
export type Span = readonly [text: string, style?: Style];

/** One line of the screen. */
export type Line = readonly Span[];

/** One side's level, as text. */
export interface Row {
  /** The price. */
  readonly price: string;
  /** The quantity. */
  readonly qty: string;
}

/** An order book to show. */
export interface Ladder {
  /** What is traded. */
  readonly name: string;
  /** What is known of its correctness, in a few words. */
  readonly note: string;
  /** Whether it can be relied on now; else it is shown dimmed. */
  readonly valid: boolean;
  /** The best first. */
  readonly bids: readonly Row[];
  /** The best first. */
  readonly asks: readonly Row[];
}

/** A limit of the venue, and how much of it is spent. */
export interface Window {
  /** What is limited, for example `"10 orders per second"`. */
  readonly name: string;
  /** Tokens spent in the window that ends now. */
  readonly spent: number;
  /** Most tokens in any window. */
  readonly limit: number;
}

/** Something that happened, told as a chain of steps. */
export interface Story {
  /** Whether it is the story of an order. */
  readonly about?: "order" | undefined;
  /** When it began, in milliseconds. */
  readonly at: number;
  /** What happened, step by step. */
  readonly steps: string[];
  /** How it ended, as far as is known. */
  outcome: "open" | "good" | "bad" | "note";
}

/** Everything that the screen shows. */
export interface Scene {
  /** What runs. */
  readonly title: string;
  /** Time since the start and until the end, in milliseconds. */
  readonly elapsed: number;
  /** When it will end, in milliseconds. */
  readonly duration: number;
  /** The state of the feed. */
  readonly state: string;
  /** What the state line says after the state. */
  readonly facts: readonly string[];
  /** The states so far, each with the time of its beginning. */
  readonly history: readonly { readonly at: number; readonly state: string }[];
  /** The order books. */
  readonly ladders: readonly Ladder[];
  /** What is known of the broker's requests. */
  readonly asked: readonly string[];
  /** How many requests wait for the throttler. */
  readonly queue: number;
  /** The limits that the broker keeps. */
  readonly windows?: readonly Window[];
  /** What has happened. */
  readonly stories: readonly Story[];
}

const CODES: Record<Style, string> = {
  bold: "1",
  dim: "2",
  red: "31",
  green: "32",
  yellow: "33",
  // The depth behind a price: white on dark red or green, readable on a light terminal too.
  ask: "38;5;231;48;5;52",
  bid: "38;5;231;48;5;22",
};
const MARKS = { open: "○", good: "✓", bad: "✗", note: "·" };
const MARK_STYLES: Record<Story["outcome"], Style> = {
  open: "yellow",
  good: "green",
  bad: "red",
  note: "dim",
};

const LADDER_WIDTH = { least: 24, most: 36 };
const GAP = 3;

/**
 * Lays a scene out on a terminal.
 *
 * @param scene What to show.
 * @param columns The terminal's width.
 * @param rows The terminal's height.
 * @returns At most `rows` lines, none wider than `columns`.
 */
export function screen(scene: Scene, columns: number, rows: number): Line[] {
  const { title, elapsed, duration, ladders, queue } = scene;
  const clock = `${seconds(elapsed)} of ${seconds(duration)}`;
  const gap = " ".repeat(Math.max(2, columns - 2 - title.length - clock.length));
  const head: Line[] = [
    [[` ${title}`, "bold"], [gap], [clock, "dim"]],
    [[" "], ...strip(scene, columns - 2)],
    [],
    ...flow([...badge(scene.state), ...scene.facts.map((fact): Span => [fact])], columns),
    [],
  ];
  const bar: Span = queue > 0 ? ["■".repeat(Math.min(queue, 20)), "yellow"] : ["empty", "dim"];
  const requests = flow(
    [["REST", "bold"], [`queue`], bar, ...scene.asked.map((fact): Span => [fact])],
    columns,
  );
  // The stories need a few lines; what is left of the height belongs to the books.
  const spare = rows - head.length - requests.length - 8;
  const depth = Math.max(1, Math.min(10, Math.floor(spare / 2)));
  const fitting = Math.max(1, Math.floor((columns + 1) / (LADDER_WIDTH.least + 2)));
  const shown = ladders.slice(0, fitting);
  const share = Math.floor(columns / Math.max(1, shown.length)) - 2;
  const width = Math.min(columns, LADDER_WIDTH.most, Math.max(LADDER_WIDTH.least, share));
  const body = beside(shown.map((it) => ladder(it, depth, width)));
  const above = [...head, ...body, [], ...requests, []];
  const told: Line[] = [];
  for (const story of scene.stories.toReversed()) {
    const lines = tell(story, columns);
    if (above.length + told.length + lines.length > rows) break;
    told.unshift(...lines);
  }
  return [...above, ...told].slice(0, rows).map((line) => cut(line, columns));
}

/**
 * Tells one story, over as many lines as it needs.
 *
 * @param story What happened.
 * @param columns The width to keep to.
 * @returns The lines.
 */
export function tell({ at, steps, outcome }: Story, columns: number): Line[] {
  const indent = 11;
  const lines: Span[][] = [[
    [` ${seconds(at).padStart(7)} `, "dim"],
    [`${MARKS[outcome]} `, MARK_STYLES[outcome]],
  ]];
  let used = indent;
  for (const [i, word] of steps.join(" → ").split(" ").entries()) {
    if (i > 0 && used + word.length + 1 > columns) {
      lines.push([[" ".repeat(indent)]]);
      used = indent;
    }
    const text = used === indent ? word : ` ${word}`;
    lines[lines.length - 1].push([text]);
    used += text.length;
  }
  return lines;
}

/**
 * Writes a line as text.
 *
 * @param line The line.
 * @param colour Whether to use colours (ANSI escapes).
 * @returns The text, without a line feed.
 */
export function paint(line: Line, colour: boolean): string {
  return line.map(([text, style]) => colour && style ? `\x1b[${CODES[style]}m${text}\x1b[0m` : text)
    .join("");
}

/**
 * Writes a duration in seconds.
 *
 * @param milliseconds The duration.
 * @returns For example `"12.3 s"`.
 */
export function seconds(milliseconds: number): string {
  return `${(milliseconds / 1_000).toFixed(1)} s`;
}

/**
 * Writes an integer so that it can be read.
 *
 * @param count The integer.
 * @returns For example `"12,345"`.
 */
export function grouped(count: number): string {
  return String(count).replace(/\B(?=(\d{3})+$)/g, ",");
}

/** The state, with a light in front of it. */
function badge(state: string): Span[] {
  const style = state === "live" ? "green" : state === "closed" ? "red" : "yellow";
  return [[`${state === "live" ? "●" : "○"} ${state}`, style]];
}

/** The time so far and to come as one bar: whole while live, broken while not. */
function strip({ elapsed, duration, history }: Scene, width: number): Span[] {
  const spans: Span[] = [];
  for (let cell = 0; cell < width; cell++) {
    const from = cell * duration / width;
    const to = (cell + 1) * duration / width;
    if (from > elapsed) {
      spans.push(["·".repeat(width - cell), "dim"]);
      break;
    }
    const down = history.some(({ at, state }, i) =>
      state !== "live" && at < to && (history[i + 1]?.at ?? Infinity) > from
    );
    spans.push(down ? ["╌", "red"] : ["━", "green"]);
  }
  return spans;
}

/** Spans beside each other, on as many lines as they need. */
function flow(items: readonly Span[], columns: number): Line[] {
  const lines: Span[][] = [[[" "]]];
  let used = 1;
  for (const item of items) {
    const width = item[0].length + GAP;
    if (used > 1 && used + item[0].length > columns) {
      lines.push([[" "]]);
      used = 1;
    }
    lines[lines.length - 1].push(item, [" ".repeat(GAP)]);
    used += width;
  }
  return lines;
}

/** One book: asks from far to near, the spread, bids from near to far. */
function ladder({ name, note, valid, bids, asks }: Ladder, depth: number, width: number): Line[] {
  const [near, far] = [bids.slice(0, depth), asks.slice(0, depth)];
  const largest = Math.max(...[...near, ...far].map(({ qty }) => Number(qty)), Number.MIN_VALUE);
  const digits = Math.max(...[...near, ...far].map(({ price }) => price.length), 8);
  const row = (level: Row | undefined, style: "red" | "green", bar: "ask" | "bid"): Line => {
    if (!level) return [];
    const room = width - digits - 3;
    const text = ` ${level.price.padStart(digits)} ${level.qty.slice(0, room).padStart(room)} `;
    if (!valid) return [[text, "dim"]];
    const rest = width - Math.ceil(Number(level.qty) / largest * width);
    return [[text.slice(0, rest), style], [text.slice(rest), bar]];
  };
  const spread = bids.length > 0 && asks.length > 0
    ? (Number(asks[0].price) - Number(bids[0].price)).toFixed(decimals(asks[0].price))
    : "";
  const lines: Line[] = [
    [[` ${name} `, "bold"], [note, valid ? "green" : "yellow"]],
    ...Array.from({ length: depth }, (_, i) => row(far[depth - 1 - i], "red", "ask")),
    [[` ${spread.padStart(digits)} spread`, "dim"]],
    ...Array.from({ length: depth }, (_, i) => row(near[i], "green", "bid")),
  ];
  return lines.map((line) => {
    const used = line.reduce((sum, [text]) => sum + text.length, 0);
    return cut([...line, [" ".repeat(Math.max(0, width - used))]], width);
  });
}

function decimals(text: string): number {
  return (text.split(".")[1] ?? "").length;
}

/** Blocks of lines beside each other. */
function beside(blocks: readonly Line[][]): Line[] {
  const height = Math.max(0, ...blocks.map((block) => block.length));
  return Array.from(
    { length: height },
    (_, i) => blocks.flatMap((block, n): Span[] => [...n > 0 ? [["  "] as Span] : [], ...block[i]]),
  );
}

/** As much of a line as fits. */
function cut(line: Line, columns: number): Line {
  const fitting: Span[] = [];
  let left = columns;
  for (const [text, style] of line) {
    if (left <= 0) break;
    fitting.push([text.slice(0, left), style]);
    left -= text.length;
  }
  return fitting;
}
