import { assertEquals, assertMatch, assertNotEquals } from "@std/assert";
import { type Action, type History, historyOf, type Setting } from "./history.ts";
import { play } from "./play.ts";

const SETTING: Setting = {
  runtime: "deno",
  latency: [1, 20],
  late: 0,
  drift: 0,
  shared: [{ limit: 10, period: 1_000 }],
  orders: { limit: 10, period: 1_000 },
  timeout: 3_000,
  askTimeout: 3_000,
  closeTimeout: 5_000,
  horizon: 5_000,
  patience: 20_000,
  tokenLife: Infinity,
  feed: { confirmTimeout: 1_000, maxLifetime: 0, overlap: 300, quietAfter: 30_000 },
  fills: true,
  isEager: false,
  isCareless: false,
  pace: undefined,
  dials: undefined,
  isCalm: true,
};

/** A history of a few actions in a plain world. */
function short(actions: Action[], changes: Partial<Setting> = {}): History {
  const last: Action = { at: 20_000, do: "sync" };
  return { seed: 1, actions: [...actions, last], setting: { ...SETTING, ...changes } };
}

const PLACE = { do: "place", how: "plain", isBad: false, abort: undefined } as const;
const FAIL = { do: "fail", nth: 1, times: 1, delay: 1_000, wait: undefined, echo: 9 } as const;
const LOST = {
  ...FAIL,
  route: "POST /orders",
  fault: "finish-after-executing",
  status: 503,
} as const;

Deno.test("play() plays the same history of the same seed", async () => {
  const first = await play(historyOf(3));
  const again = await play(historyOf(3));
  assertEquals(again.lines, first.lines);
  assertEquals(again.hash, first.hash);
  assertNotEquals((await play(historyOf(4))).hash, first.hash);
});

Deno.test("play() finds no promise broken in 40 histories", async () => {
  for (let seed = 1; seed <= 40; seed++) {
    assertEquals((await play(historyOf(seed))).faults, [], `deno task sim --seed ${seed}`);
  }
});

Deno.test("play() finds an order that is executed twice: by a network that repeats what it must not", async () => {
  const actions: Action[] = [{ at: 2_000, ...LOST }, { at: 2_500, ...PLACE }];
  const { faults } = await play(short(actions, { runtime: "browser" }));
  assertMatch(faults.join("\n"), /was executed by 2 requests/);
  assertEquals((await play(short(actions, { runtime: "node" }))).faults, []);
});

Deno.test("play() finds a verdict that is not true: by a gateway that executes what it refuses", async () => {
  const lie = { ...LOST, fault: "status-after-executing", status: 409 } as const;
  const { faults } = await play(short([{ at: 2_000, ...lie }, { at: 2_500, ...PLACE }]));
  assertMatch(faults.join("\n"), /is told to be rejected: it was executed/);
});

Deno.test("play() finds an item that is lost without a word: by a venue that swallows one", async () => {
  const { faults } = await play(short([
    { at: 0, do: "subscribe", feed: "single", symbols: ["A"] },
    { at: 5_000, do: "fail-frame", match: "item", fault: "lose", nth: 1, delay: 0 },
    { at: 6_000, do: "items", symbols: ["A"] },
  ]));
  assertMatch(faults.join("\n"), /single has lost A 1 of \d+ without a word/);
});

Deno.test("play() plays the part of a history that is kept", async () => {
  const history = historyOf(5);
  const { faults, lines } = await play({ ...history, actions: history.actions.slice(0, 3) });
  assertEquals(faults, []);
  assertEquals(lines.filter((line) => line.includes("> ")).length >= 3, true);
});
