import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { KrakenShow } from "../../examples/kraken/show.ts";
import type { ScheduledFault } from "../../examples/simulator.ts";
import { faults, perform, Stage, type StageOptions } from "../../examples/stage.ts";

/** What a test does to a show once all is well, and what must have come of it before the end. */
interface Meddling {
  readonly meddle: (show: KrakenShow) => void;
  readonly until?: (show: KrakenShow) => boolean;
}

const CALM: Meddling = { meddle: () => {} };

/** Kraken's demo, with meddling in the place of the broker, whose requests take seconds. */
class MeddledShow extends KrakenShow {
  meddling = CALM;

  override async open(): Promise<void> {}

  override async work(): Promise<void> {
    const { meddle, until = () => true } = this.meddling;
    const soon = () => new Promise((resolve) => setTimeout(resolve, 5));
    while (!this.isWhole()) await soon();
    meddle(this);
    while (!until(this)) await soon();
  }
}

/** Makes the venue forget a subscription. */
function lose({ venue }: KrakenShow, key: string): void {
  for (const { held } of venue!.followers) held.delete(key);
}

/** Runs Kraken's demo and keeps what it writes. */
async function run(
  options: Partial<StageOptions> = {},
  faults: readonly ScheduledFault[] = [],
  meddling?: Meddling,
): Promise<{ good: boolean | undefined; text: string; stage: Stage }> {
  let text = "";
  const write = (more: string) => void (text += more);
  const stage = new Stage();
  const Show = meddling ? MeddledShow : KrakenShow;
  await using show = new Show({ stage, live: false, seed: 1, faults });
  if (show instanceof MeddledShow) show.meddling = meddling!;
  const { signal } = new AbortController();
  const good = await perform(show, stage, {
    duration: 300,
    grace: 10_000,
    signal,
    write,
    ...options,
  });
  return { good, text, stage };
}

Deno.test("perform() survives every fault and says so", async () => {
  const scheduled: ScheduledFault[] = [
    { at: 20, fault: "corrupt" },
    { at: 40, fault: "throttle" },
    { at: 60, fault: "refuse" },
    { at: 60, fault: "drop" },
  ];
  const { good, text, stage } = await run({}, scheduled);
  assertEquals(good, true, text);
  assertMatch(text, /✓ 4 faults survived: 1 reconnects/);
  assertMatch(text, /checksums verified, 1 wrong on purpose, healed/);
  assertMatch(text, /✓ (\d+) of \1 requests answered: \d+ throttled, 1 told 429 and repeated/);
  assertMatch(text, /✓ 0 of 7 subscriptions lost/);
  assertMatch(text, /✓ 3 of 3 books equal the venue's/);
  assert(stage.stories.every(({ outcome }) => outcome === "good"), text);
  const faults = stage.stories.filter(({ about }) => about !== "order");
  assertEquals([faults.length, stage.stories.length], [3, 6]);
  const told = faults.map(({ steps }) => steps.join(" → "));
  assertMatch(
    told[0],
    /wrong checksum → caught, resubscribing \w+\/USD on the same socket → verified/,
  );
  assertMatch(told[1], /429 → told 429, Retry-After 1.0 s: .* → answered/);
  assertMatch(
    told[2],
    // The private stream dials too, so the refusal may be told to either. Deno's server ends without
    // a close frame if a client's frame crosses it.
    /1012.* → (?:noticed: Unexpected EOF, )?waiting .*(?: → dialled, refused with 503, waiting .*)? → live again, 7/,
  );
});

Deno.test("perform() fails for a wrong checksum that was not on purpose", async () => {
  const { good, text } = await run({}, [], {
    meddle: ({ venue }) => venue!["arm"]("corrupt"),
    until: (show) => show.feed.checksums.failed === 1 && show.isWhole(),
  });
  assertEquals(good, false);
  assertMatch(text, /✗ .* checksums verified, 1 wrong \(0 on purpose\)/);
});

Deno.test("perform() fails for a lost subscription", async () => {
  const { good, text } = await run({}, [], { meddle: (show) => lose(show, "trade ETH/USD") });
  assertEquals(good, false);
  assertMatch(text, /✗ 1 of 7 subscriptions lost/);
  assertMatch(text, /✓ 3 of 3 books equal/);
});

Deno.test("perform() fails for a book that differs from the venue's", async () => {
  const { good, text } = await run({}, [], {
    meddle: (show) => lose(show, "book ETH/USD"),
    until: ({ feed, venue }) =>
      JSON.stringify(feed.books.get("ETH/USD")!.bids) !==
        JSON.stringify(venue!.book("ETH/USD").bids),
  });
  assertEquals(good, false);
  assertMatch(text, /✗ 2 of 3 books equal/);
});

Deno.test("perform() fails for what the venue refuses", async () => {
  const { good, text } = await run({}, [], {
    meddle: ({ feed }) => feed.subscribe({ channel: "ticker", symbol: "FOO/BAR" }),
    until: ({ feed }) => feed.subscriptions.size === 7,
  });
  assertEquals(good, false);
  assertMatch(text, /✗ Cannot subscribe to ticker FOO\/BAR: Currency pair not supported/);
});

Deno.test("perform() fails for a fault that is not survived within the grace", async () => {
  const scheduled: ScheduledFault[] = [{ at: 100, fault: "silence" }];
  const { good, text } = await run({ grace: 500 }, scheduled, CALM);
  assertEquals(good, false);
  assertMatch(text, /✗ not survived: venue falls silent, the sockets stay open/);
});

Deno.test("perform() ends early when its signal aborts, and says nothing about figures", async () => {
  const controller = new AbortController();
  const { good, text } = await run({ signal: controller.signal }, [], {
    meddle: () => controller.abort(),
  });
  assertEquals(good, undefined);
  assert(!text.includes("✓"), text);
});

Deno.test("perform() rejects with a message for the user if the venue cannot be reached", async () => {
  const stage = new Stage();
  await using show = new KrakenShow({ stage, live: false, seed: 1, faults: [] });
  await show.venue!.close();
  const { signal } = new AbortController();
  await assertRejects(
    () => perform(show, stage, { duration: 300, signal, write: () => {} }),
    Error,
    "Cannot reach Kraken: ",
  );
});

Deno.test("perform() draws on a terminal and leaves it as it was", async () => {
  const { good, text } = await run({ size: () => ({ columns: 80, rows: 24 }) });
  assertEquals(good, true);
  assert(text.startsWith("\x1b[?1049h\x1b[?25l"), "the alternate screen, without a cursor");
  const [screen, after] = text.split("\x1b[?25h\x1b[?1049l");
  assertMatch(screen, /BTC\/USD.*✓/);
  // deno-lint-ignore no-control-regex
  assert(!/\x1b/.test(after), "the figures are plain where there is no colour");
  assertMatch(after, /✓ 3 of 3 books/);
});

Deno.test("Stage tells a loss that nobody inflicted", () => {
  const steps: string[] = [];
  const stage = new Stage((step) => steps.push(...step.steps));
  stage.lost({ code: 1006, reason: "silent for 2000 ms", clean: false, opened: true }, 400);
  stage.restored(7);
  assertEquals(steps.slice(0, 2), [
    "connection lost: 1006 silent for 2000 ms",
    "  → noticed: silent for 2000 ms, waiting 0.4 s",
  ]);
  assertMatch(steps[2], /live again, 7 subscriptions restored/);
  assertEquals(stage.stories[0].outcome, "good");
});

Deno.test("Stage does not take a feed that has not noticed a fault for one that survived it", () => {
  const stage = new Stage();
  stage.strike("silence");
  stage.restored(7);
  assertEquals(stage.stories[0].outcome, "open");
  stage.lost({ code: 1006, reason: "silent for 2000 ms", clean: false, opened: true }, 400);
  stage.restored(7);
  assertEquals(stage.stories[0].outcome, "good");
});

Deno.test("faults() leaves a quarter of the time to recover from silence", () => {
  const all = faults(15_000);
  const [silence, next] = all.slice(-2);
  assertEquals([silence.fault, next.fault], ["silence", "drop"]);
  assert(next.at - silence.at > 15_000 / 4);
  assertEquals(all.map(({ at }) => at), all.map(({ at }) => at).toSorted((a, b) => a - b));
});
