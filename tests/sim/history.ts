/**
 * A history: what is set before it begins, and what is done in it. All of it comes from one seed.
 *
 * @module
 */

import type { FrameFault, HttpFault, SimulatedRuntime } from "../../testing.ts";
import { HTTP_FAULTS } from "../../testing.ts";
import type { Limit } from "../../throttler.ts";
import { Dice } from "./dice.ts";

/** The subscriptions that there are. */
export const SYMBOLS: readonly string[] = ["A", "B", "C", "D", "E", "F", "G", "H"];

/** The feeds of a world: one with a single socket, and one of several. */
export type FeedName = "single" | "sharded";

/** What is set before a history begins. Durations are in milliseconds. */
export interface Setting {
  /** The habits of the network. */
  runtime: SimulatedRuntime;
  /** Least and most time of one way. */
  latency: readonly [number, number];
  /** How late a timer fires at most. */
  late: number;
  /** By how much the venue's clock goes wrong, in parts per million. */
  drift: number;
  /** The limits that all sessions share. */
  shared: Limit[];
  /** The limit of orders, whose tokens cost 2 for an order, 1 for a cancel. */
  orders: Limit;
  /** Longest time of an attempt. */
  timeout: number;
  /** Longest time of a question over the socket. */
  askTimeout: number;
  /** Longest time that a session takes to close. */
  closeTimeout: number;
  /** How late an order may turn up. */
  horizon: number;
  /** Longest time of a reconciliation. */
  patience: number;
  /** How long a login is good for. */
  tokenLife: number;
  /** The options of the feeds. */
  feed: {
    confirmTimeout: number;
    maxLifetime: number;
    overlap: number;
    quietAfter: number;
  };
  /** Whether the user wants every failed call repeated. */
  isEager: boolean;
  /** Whether the login asks for a login, which must be refused. */
  isCareless: boolean;
  /** Whether feeds tell items apart and fill gaps. */
  fills: boolean;
  /** The limit of frames that go out, over all feeds. */
  pace: Limit | undefined;
  /** The limit of attempts to connect, over all feeds. */
  dials: Limit | undefined;
  /** Whether the world comes to rest before it is closed. */
  isCalm: boolean;
}

/** What is done. Durations are in milliseconds. */
export type Deed =
  | { do: "place"; how: "reconcile" | "plain"; isBad: boolean; abort: number | undefined }
  | { do: "cancel"; nth: number; abort: number | undefined }
  | { do: "amend"; nth: number }
  | { do: "ask"; abort: number | undefined }
  | { do: "read"; times: number }
  | { do: "renew" | "expire" | "sync" | "replace" | "own" }
  | { do: "items"; symbols: string[] }
  | { do: "subscribe" | "unsubscribe" | "both"; feed: FeedName; symbols: string[] }
  | { do: "repair"; symbol: string }
  | { do: "reconnect"; feed: FeedName }
  | { do: "close"; what: "broker" | "data" | FeedName }
  | {
    do: "fail";
    route: string;
    fault: HttpFault;
    nth: number;
    times: number;
    delay: number;
    status: number;
    wait: string | undefined;
    echo: number;
  }
  | { do: "fail-frame"; match: string; fault: FrameFault; nth: number; delay: number }
  | { do: "drop"; code: number }
  | { do: "reset" | "vanish" | "silence" }
  | { do: "deaf"; duration: number }
  | { do: "refuse-upgrade"; status: number; times: number }
  | { do: "hang-upgrade"; times: number }
  | { do: "forget"; symbol: string }
  | { do: "mute"; symbol: string; duration: number }
  | { do: "deny"; symbol: string; wait: number | undefined; times: number }
  | { do: "down"; duration: number }
  | { do: "shift"; by: number }
  | { do: "suspend"; duration: number };

/** Something done at a time. */
export type Action = Deed & { at: number };

/** A history, ready to be played. */
export interface History {
  /** Where it comes from. */
  seed: number;
  /** What is set. */
  setting: Setting;
  /** What is done, in order. */
  actions: Action[];
}

/** How often each deed is done. */
const WEIGHTS: Readonly<Record<Deed["do"], number>> = {
  place: 12,
  cancel: 4,
  amend: 3,
  ask: 5,
  read: 3,
  renew: 0.7,
  expire: 1,
  sync: 1,
  own: 1.5,
  replace: 0.5,
  items: 14,
  subscribe: 6,
  unsubscribe: 3,
  both: 1,
  repair: 0.8,
  reconnect: 0.5,
  close: 0.25,
  fail: 12,
  "fail-frame": 6,
  drop: 1.5,
  reset: 1,
  vanish: 0.7,
  silence: 0.5,
  deaf: 0.3,
  "refuse-upgrade": 0.7,
  "hang-upgrade": 0.3,
  forget: 0.5,
  mute: 0.5,
  deny: 0.7,
  down: 0.5,
  shift: 0.7,
  suspend: 0.6,
};

/** Every deed. */
export const DEEDS_DONE: readonly Deed["do"][] = Object.keys(WEIGHTS) as Deed["do"][];

const FAULTS = [
  ...Object.keys(HTTP_FAULTS) as HttpFault[],
  // There are many statuses.
  ...Array<HttpFault>(4).fill("status"),
];
const ROUTES = [
  "POST /orders",
  "POST /orders",
  "POST /orders",
  "DELETE /orders/:id",
  "PUT /orders/:id",
  "GET /orders",
  "POST /login",
  "GET /items",
  "GET /time",
  "*",
];
/** Words that stand in frames of the venue, and in those of clients. */
const FRAMES = ["granted", "item", "answer", "login"];
const CLIENT_FRAMES = ["subscribe", "order", "login"];
/** What a gateway may answer in the place of a venue that has executed. */
const DOUBTFUL = [500, 502, 503, 504, 408, 403];
/** What a venue may answer that has not executed. */
const REFUSALS = [...DOUBTFUL, 429, 429, 418, 401, 400, 403, 404, 409, 200, 302];
const CODES = [1000, 1001, 1006, 1008, 1011, 1012, 1012, 1013, 4000];

/** Makes each deed. */
const DEEDS: { [K in Deed["do"]]?: (dice: Dice, setting: Setting) => object } = {
  place: (dice) => ({
    how: dice.pick(["reconcile", "reconcile", "plain"]),
    isBad: dice.chance(0.1),
    abort: dice.chance(0.12) ? dice.int(0, 4_000) : undefined,
  }),
  cancel: (dice) => ({
    nth: dice.int(0, 9),
    abort: dice.chance(0.15) ? dice.int(0, 2_000) : undefined,
  }),
  amend: (dice) => ({ nth: dice.int(0, 9) }),
  ask: (dice) => ({ abort: dice.chance(0.1) ? dice.int(0, 4_000) : undefined }),
  read: (dice) => ({ times: dice.int(1, 4) }),
  items: (dice) => ({ symbols: symbols(dice, 6) }),
  subscribe: (dice) => ({ feed: feed(dice), symbols: symbols(dice, 3) }),
  unsubscribe: (dice) => ({ feed: feed(dice), symbols: symbols(dice, 2) }),
  both: (dice) => ({ feed: feed(dice), symbols: symbols(dice, 2) }),
  repair: (dice) => ({ symbol: dice.pick(SYMBOLS) }),
  reconnect: (dice) => ({ feed: feed(dice) }),
  close: (dice) => ({ what: dice.pick(["broker", "data", "single", "sharded"]) }),
  fail: failure,
  "fail-frame": (dice) => {
    const fault = dice.pick(["lose", "delay", "repeat", "swap", "lose-request"] as const);
    const words = fault === "lose-request" ? CLIENT_FRAMES : FRAMES;
    // A lost item on a connection that stays is a lie that no feed can see through.
    const match = dice.pick(fault === "lose" ? words.filter((word) => word !== "item") : words);
    return { match, fault, nth: dice.int(1, 3), delay: dice.int(50, 1_500) };
  },
  drop: (dice) => ({ code: dice.chance(0.03) ? 1003 : dice.pick(CODES) }),
  deaf: (dice) => ({ duration: dice.int(1_000, 20_000) }),
  "refuse-upgrade": (dice) => ({ status: dice.pick([429, 500, 503]), times: dice.int(1, 4) }),
  "hang-upgrade": (dice) => ({ times: dice.int(1, 2) }),
  forget: (dice) => ({ symbol: dice.pick(SYMBOLS) }),
  mute: (dice) => ({ symbol: dice.pick(SYMBOLS), duration: dice.int(2_000, 15_000) }),
  deny: (dice) => ({
    symbol: dice.pick(SYMBOLS),
    wait: dice.chance(0.7) ? dice.int(0, 3_000) : undefined,
    times: dice.int(1, 3),
  }),
  down: (dice) => ({ duration: dice.int(100, 8_000) }),
  shift: (dice) => ({ by: dice.int(-900, 900) }),
  suspend: (dice) => ({ duration: dice.pick([500, 5_000, 30_000, 120_000]) }),
};

/**
 * Makes a history.
 *
 * @param seed Any integer.
 */
export function historyOf(seed: number): History {
  const setting = settingOf(new Dice(seed, "setting"));
  const dice = new Dice(seed, "actions");
  const actions: Action[] = [
    { at: 0, do: "subscribe", feed: "single", symbols: symbols(dice, 5) },
    { at: 0, do: "subscribe", feed: "sharded", symbols: symbols(dice, 7) },
  ];
  const pace = dice.pick([200, 800, 800, 2_500]);
  let at = 0;
  for (let left = dice.int(8, 48); left > 0; left--) {
    // Several things at the very same time are worth a history, too.
    if (!dice.chance(0.15)) at += dice.int(1, 2 * pace);
    const kind = dice.weighted(WEIGHTS);
    actions.push({ at, do: kind, ...DEEDS[kind]?.(dice, setting) } as Action);
  }
  return { seed, setting, actions };
}

function settingOf(dice: Dice): Setting {
  const horizon = dice.pick([2_000, 5_000, 10_000]);
  return {
    runtime: dice.pick(["deno", "node", "bun"]),
    latency: dice.pick([[1, 20], [1, 300], [40, 60]]),
    late: dice.pick([0, 0, 3, 50, 400]),
    drift: dice.int(-150, 150),
    shared: dice.pick([
      [limit(dice)],
      [limit(dice), { limit: 60, period: 30_000 }],
      [{ ...limit(dice), refill: "after-finish" }],
      [{ ...limit(dice), refill: "steady", burst: dice.int(4, 8) }],
    ]),
    orders: { limit: dice.int(2, 9), period: dice.pick([1_000, 3_000]) },
    timeout: dice.pick([1_000, 3_000, 8_000]),
    askTimeout: dice.pick([3_000, 60_000]),
    closeTimeout: dice.pick([0, 1_000, 5_000, 20_000]),
    horizon,
    patience: horizon + dice.pick([5_000, 20_000, 60_000]),
    tokenLife: dice.pick([Infinity, 60_000, 15_000, 4_000]),
    feed: {
      confirmTimeout: dice.pick([1_000, 1_500, 3_000]),
      maxLifetime: dice.pick([0, 0, 7_000, 20_000]),
      overlap: dice.pick([0, 300, 1_000]),
      quietAfter: dice.pick([0, 20_000, 30_000]),
    },
    fills: dice.chance(0.75),
    isEager: dice.chance(0.4),
    isCareless: dice.chance(0.15),
    pace: dice.chance(0.3) ? { limit: dice.int(4, 10), period: 1_000 } : undefined,
    dials: dice.chance(0.4) ? { limit: dice.int(2, 4), period: 1_000 } : undefined,
    isCalm: dice.chance(0.75),
  };
}

function limit(dice: Dice): Limit {
  return { limit: dice.int(4, 12), period: dice.pick([300, 1_000, 1_000 / 3, 2_500.7]) };
}

function feed(dice: Dice): FeedName {
  return dice.pick(["single", "sharded"]);
}

function symbols(dice: Dice, most: number): string[] {
  const all = Array.from({ length: dice.int(1, most) }, () => dice.pick(SYMBOLS));
  return [...new Set(all)];
}

function failure(dice: Dice, { horizon }: Setting): object {
  const fault = dice.pick(FAULTS);
  return {
    route: dice.pick(ROUTES),
    fault,
    nth: dice.pick([1, 1, 1, 2, 3]),
    times: dice.pick([1, 1, 1, 1, 2, 5]),
    // No later than the horizon: that much a user must know of the venue.
    delay: dice.int(20, Math.floor(horizon * 0.9)),
    status: dice.pick(fault === "status" ? REFUSALS : DOUBTFUL),
    wait: dice.chance(0.5) ? dice.pick(["1", "0.5", "3", "0"]) : undefined,
    echo: dice.int(0, 9),
  };
}
