/**
 * Histories: what a user, a network, a venue and a clock do, one step after the other. A seed makes
 * a history; a history is plain data, so that it can be shortened.
 *
 * @module
 */

import { type HttpFault, randomOf } from "../../testing.ts";
import { ROUTES } from "./exchange.ts";

/** One thing that happens. */
export type Action =
  | { do: "order"; name: string; broker: number; abortAfter?: number }
  | { do: "socket order"; name: string; abortAfter?: number }
  | { do: "cancel" | "quote"; broker: number }
  | { do: "item"; symbol: string; count: number }
  | { do: "subscribe" | "unsubscribe"; symbols: string[]; isSharded: boolean }
  | { do: "expire" | "log in" | "reconnect" }
  | { do: "fault"; route: keyof typeof ROUTES | "any"; fault: HttpFault; options: FaultOptions }
  | { do: "frame fault"; match: string; fault: "lose" | "delay" | "repeat" | "lose-request" }
  | { do: "line"; how: "drop" | "reset" | "vanish" | "silence" | "refuse" | "hang" }
  | { do: "down" | "up" }
  | { do: "suspend" | "shift"; by: number }
  | { do: "close"; broker: number };

type FaultOptions = { nth?: number; times?: number; delay?: number; status?: number };

/** An action, and how long the world goes on after it, in milliseconds. */
export interface Step {
  action: Action;
  then: number;
}

/** A history. The same history gives the same trace on every runtime. */
export interface History {
  seed: number;
  steps: Step[];
}

/** Symbols that the user always has; the others come and go. */
export const ALWAYS = ["A", "B"];
export const SOMETIMES = ["C", "D", "E", "F", "G", "H"];

/** Faults of calls that change something: those after which the truth can be found. */
const OF_ORDERS: HttpFault[] = [
  "reset-before-executing",
  "reset-after-executing",
  "finish-before-executing",
  "finish-after-executing",
  "hang-before-executing",
  "hang-after-executing",
  "reset-and-execute-late",
  "hang-and-execute-late",
  "half-head",
  "garbage",
  "cut-body",
  "cut-chunks",
  "reset-body",
  "stall-body",
  "half-gzip",
  "status",
  "status-after-executing",
  "late-answer",
  "late-execution",
];
/** Faults of calls that only read. */
const OF_READS: HttpFault[] = [...OF_ORDERS, "executed-twice"];

/** Statuses of which a venue says that nothing was executed, and those that say nothing. */
const REFUSALS = [400, 403, 404, 429];
const ERRORS = [500, 502, 503, 504];

/** The dice of one history. */
class Dice {
  readonly #random: () => number;
  constructor(seed: number) {
    this.#random = randomOf(seed);
  }
  /** A number from `least` up to `most`. */
  from(least: number, most: number): number {
    return least + this.#random() * (most - least);
  }
  /** A whole number from 0 up to `size`. */
  below(size: number): number {
    return Math.floor(this.#random() * size);
  }
  /** One of these. */
  one<T>(of: readonly T[]): T {
    return of[this.below(of.length)];
  }
  /** Some of these, at least one. */
  some<T>(of: readonly T[]): T[] {
    const some = of.filter(() => this.#random() < 0.4);
    return some.length > 0 ? some : [this.one(of)];
  }
  /** Whether something of this probability happens. */
  is(probability: number): boolean {
    return this.#random() < probability;
  }
}

/** What may happen, each with its weight. */
const ACTIONS: [weight: number, make: (dice: Dice, at: number) => Action][] = [
  [10, (dice, at) => ({ do: "order", name: `o${at}`, broker: dice.below(2), ...abortion(dice) })],
  [4, (dice, at) => ({ do: "socket order", name: `s${at}`, ...abortion(dice) })],
  [3, (dice) => ({ do: "cancel", broker: dice.below(2) })],
  [4, (dice) => ({ do: "quote", broker: dice.below(2) })],
  [12, (dice) => ({ do: "item", symbol: dice.one(ALWAYS), count: 1 + dice.below(3) })],
  [3, (dice) => ({ do: "item", symbol: dice.one(SOMETIMES), count: 1 })],
  [3, (dice) => ({ do: "subscribe", symbols: dice.some(SOMETIMES), isSharded: dice.is(0.5) })],
  [2, (dice) => ({ do: "unsubscribe", symbols: dice.some(SOMETIMES), isSharded: dice.is(0.5) })],
  [2, () => ({ do: "expire" })],
  [1, () => ({ do: "log in" })],
  [1, () => ({ do: "reconnect" })],
  [10, fault],
  [3, frameFault],
  [3, (dice) => ({ do: "line", how: dice.one(LINE) })],
  [1, (dice) => ({ do: dice.one(["down", "up", "up"]) })],
  [1, (dice) => ({ do: "suspend", by: dice.from(100, 40_000) })],
  [1, (dice) => ({ do: "shift", by: dice.from(-3_000, 3_000) })],
  [1, () => ({ do: "close", broker: 1 })],
];
const LINE = ["drop", "reset", "vanish", "silence", "refuse", "hang"] as const;
const WEIGHT = ACTIONS.reduce((sum, [weight]) => sum + weight, 0);

function abortion(dice: Dice): { abortAfter?: number } {
  return dice.is(0.1) ? { abortAfter: dice.from(0, 3_000) } : {};
}

function fault(dice: Dice): Action {
  const route = dice.one([...Object.keys(ROUTES), "order", "order", "look", "any"]) as
    | keyof typeof ROUTES
    | "any";
  const isRead = route === "look" || route === "quote" || route === "items";
  const fault = dice.one(isRead ? OF_READS : OF_ORDERS);
  const isExecuted = fault === "status-after-executing";
  return {
    do: "fault",
    route,
    fault,
    options: {
      nth: 1 + dice.below(3),
      times: dice.is(0.1) ? 10 : 1,
      delay: dice.from(100, 8_000),
      status: dice.one(isExecuted || dice.is(0.5) ? ERRORS : REFUSALS),
    },
  };
}

function frameFault(dice: Dice): Action {
  const [match, fault] = dice.one(
    [
      ["granted", "lose"],
      ["granted", "delay"],
      ["granted", "repeat"],
      ["answer", "lose"],
      ["answer", "delay"],
      ['"item"', "repeat"],
      ['"subscribe"', "lose-request"],
      ['"order"', "lose-request"],
    ] as const,
  );
  return { do: "frame fault", match, fault };
}

/** Makes the history of a seed. */
export function historyOf(seed: number): History {
  const dice = new Dice(seed);
  const length = 10 + dice.below(50);
  const steps = Array.from({ length }, (_, at): Step => {
    let left = dice.from(0, WEIGHT);
    const [, make] = ACTIONS.find(([weight]) => (left -= weight) < 0) ?? ACTIONS[0];
    const then = dice.is(0.6) ? dice.from(0, 500) : dice.from(0, 20_000);
    return { action: make(dice, at), then };
  });
  return { seed, steps };
}

/**
 * Shortens a history that fails, as long as it fails.
 *
 * @param history The history.
 * @param fails Plays a history, and tells whether it fails.
 * @param most Histories that may be played.
 * @returns The shortest history found.
 */
export async function shorten(
  history: History,
  fails: (history: History) => Promise<boolean>,
  most = 300,
): Promise<History> {
  let { steps } = history;
  for (let size = steps.length >> 1; size >= 1; size >>= 1) {
    for (let at = 0; at < steps.length && most > 0;) {
      const fewer = steps.toSpliced(at, size);
      most--;
      if (await fails({ ...history, steps: fewer })) steps = fewer;
      else at += size;
    }
  }
  return { ...history, steps };
}
