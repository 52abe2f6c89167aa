import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import {
  grouped,
  paint,
  type Scene,
  screen,
  seconds,
  type Story,
  tell,
} from "../../examples/view.ts";

const levels = (from: number, step: number) =>
  Array.from({ length: 10 }, (_, i) => ({
    price: (from + step * i).toFixed(1),
    qty: (i + 1).toFixed(8),
  }));

const STORIES: readonly Story[] = [
  { at: 1_900, steps: ["venue sends a wrong checksum", "verified again"], outcome: "good" },
  { at: 12_300, steps: ["venue closes 1012", "waiting 0.4 s"], outcome: "open" },
];

const SCENE: Scene = {
  title: "Kraken, simulated",
  elapsed: 12_500,
  duration: 15_000,
  state: "waiting",
  facts: ["connection 2", "3 subscriptions"],
  history: [{ at: 0, state: "connecting" }, { at: 100, state: "live" }, {
    at: 12_300,
    state: "waiting",
  }],
  ladders: ["BTC/USD", "ETH/USD", "DOGE/USD"].map((name) => ({
    name,
    note: "✓ 1,204",
    valid: name !== "DOGE/USD",
    bids: levels(100, -0.1),
    asks: levels(100.3, 0.1),
  })),
  asked: ["5 answered"],
  queue: 3,
  stories: STORIES,
};

function draw(scene: Scene, columns: number, rows: number): string[] {
  return screen(scene, columns, rows).map((line) => paint(line, false));
}

Deno.test("screen() fits every terminal", () => {
  const empty = { ...SCENE, ladders: [{ ...SCENE.ladders[0], bids: [], asks: [] }], stories: [] };
  for (const scene of [SCENE, empty]) {
    for (let columns = 1; columns < 200; columns += 7) {
      for (let rows = 1; rows < 60; rows += 3) {
        const lines = draw(scene, columns, rows);
        assert(lines.length <= rows, `${lines.length} lines of ${rows}`);
        for (const line of lines) {
          assert(line.length <= columns, `${line.length} of ${columns} columns: ${line}`);
        }
      }
    }
  }
});

Deno.test("screen() shows books beside each other where there is room, the first one in any case", () => {
  const names = (columns: number) =>
    draw(SCENE, columns, 40).find((line) => line.includes("BTC/USD"))!.match(/\w+\/USD/g);
  assertEquals(names(100), ["BTC/USD", "ETH/USD", "DOGE/USD"]);
  assertEquals(names(80), ["BTC/USD", "ETH/USD", "DOGE/USD"]);
  assertEquals(names(60), ["BTC/USD", "ETH/USD"]);
  assertEquals(names(20), ["BTC/USD"]);
});

Deno.test("screen() puts the spread between the best ask and the best bid", () => {
  const lines = draw(SCENE, 80, 24);
  const at = lines.findIndex((line) => line.includes("spread"));
  assertStringIncludes(lines[at - 1], "100.3 ");
  assertStringIncludes(lines[at], "0.3 spread");
  assertStringIncludes(lines[at + 1], "100.0 ");
});

Deno.test("screen() dims a book that cannot be relied on", () => {
  const styles = (name: string) => {
    const [{ valid, ...rest }] = SCENE.ladders.filter((ladder) => ladder.name === name);
    const lines = screen({ ...SCENE, ladders: [{ ...rest, valid }] }, 80, 24);
    return new Set(lines.slice(7, 9).flatMap((line) => line.map(([, style]) => style)));
  };
  assert(styles("BTC/USD").has("red"));
  assertEquals(styles("DOGE/USD"), new Set(["dim"]));
});

Deno.test("screen() shows the time without a connection as a gap", () => {
  const [, strip] = draw(SCENE, 152, 24);
  assertEquals(strip.length, 151);
  assertEquals(strip.slice(1, 4), "╌━━");
  assertEquals(strip.slice(120, 130), "━━━━╌╌╌···");
});

Deno.test("screen() drops the oldest stories first", () => {
  const stories = Array.from({ length: 50 }, (_, i): Story => ({
    at: i * 1_000,
    steps: [`event ${i}`],
    outcome: "good",
  }));
  const lines = draw({ ...SCENE, stories }, 80, 24);
  assertEquals(lines.length, 24);
  assertStringIncludes(lines.at(-1)!, "event 49");
  assert(!lines.some((line) => line.includes("event 1 ")));
});

Deno.test("tell() breaks a long story between words", () => {
  const lines = tell(STORIES[1], 30).map((line) => paint(line, false));
  assertEquals(lines, [
    "  12.3 s ○ venue closes 1012 →",
    "           waiting 0.4 s",
  ]);
});

Deno.test("paint() writes no escape without colour", () => {
  const text = screen(SCENE, 80, 24).map((line) => paint(line, false)).join("\n");
  // deno-lint-ignore no-control-regex
  assert(!/\x1b/.test(text));
  assertEquals(paint([["down", "red"], [" now"]], true), "\x1b[31mdown\x1b[0m now");
});

Deno.test("seconds() and grouped() write numbers to be read", () => {
  assertEquals([seconds(12_345), seconds(0)], ["12.3 s", "0.0 s"]);
  assertEquals([grouped(7), grouped(1_000), grouped(1_234_567)], ["7", "1,000", "1,234,567"]);
});
