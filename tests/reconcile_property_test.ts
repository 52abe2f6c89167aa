/**
 * The verdicts of reconcile() against a venue that keeps a log: whatever fails, however late the venue
 * takes an order up, and however often and slowly the look-ups fail.
 *
 * @module
 */
import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { BrokerError, type Outcome } from "../common/broker_error.ts";
import { reconcile } from "../reconcile.ts";
import { settle, VirtualClock } from "./virtual_clock.ts";

const RUNS = Number(Deno.env.get("RUNS") ?? 10_000);

/** How a request ends, and what the venue makes of it. */
interface Fault {
  /** How the request ends for us. */
  end: "answered" | "lost" | "not-sent" | "rejected";
  /** After how long, in milliseconds. */
  after: number;
  /** Whether the venue takes a lost order up. */
  taken: boolean;
  /** When, before the horizon: as a part of the time from the request's beginning to there. */
  uptake: number;
  /** How long look-ups do not see the order then: as a part of the time that is left. */
  lag: number;
}

/** What one look-up does. It sees what is visible when it begins, as a replica's stale page would. */
interface Look {
  does: "answers" | "throws" | "throws at once" | "hangs" | "is deaf to its signal";
  after: number;
  retryAfter: number | undefined;
}

const horizon = fc.constantFrom(0, 1, 500, 10_000, 30_000);
const fraction = fc.nat(1_000).map((n) => n / 1_000);
const fault = fc.record({
  end: fc.constantFrom<Fault["end"]>("lost", "lost", "lost", "answered", "not-sent", "rejected"),
  after: fc.nat(30_000),
  taken: fc.boolean(),
  uptake: fraction,
  lag: fraction,
});
const look = fc.record({
  does: fc.constantFrom<Look["does"]>(
    "answers",
    "answers",
    "throws",
    "throws at once",
    "hangs",
    "is deaf to its signal",
  ),
  after: fc.oneof(fc.nat(200), fc.nat(30_000)),
  retryAfter: fc.option(fc.nat(15_000), { nil: undefined, freq: 5 }),
});

/** One placement, as the venue and we saw it. */
interface Placement {
  id: string;
  /** When the venue executed the order, and from when look-ups show it. */
  executed?: number;
  visible?: number;
  ended?: number;
}

const PLACEMENTS = 3;

function unknown(kind: "timeout" | "network", outcome: Outcome): BrokerError {
  return new BrokerError("Cannot POST orders", { kind, outcome });
}

function wait(delay: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, delay));
}

function lookUp({ does, after, retryAfter }: Look, seen: string | undefined, signal: AbortSignal) {
  const failed = new BrokerError("?", { kind: "rate-limited", outcome: "rejected", retryAfter });
  if (does === "throws at once") throw failed;
  return new Promise<string | undefined>((resolve, reject) => {
    if (does === "is deaf to its signal") return void setTimeout(() => resolve(seen), after * 3);
    const timer = setTimeout(() => {
      if (does === "answers") resolve(seen);
      else if (does === "throws") reject(failed);
    }, after);
    signal.addEventListener("abort", () => {
      clearTimeout(timer);
      reject(signal.reason);
    });
  });
}

Deno.test("property: reconcile() gives no wrong verdict, places no order twice, and settles by its timeout", async () => {
  const seen: Record<string, number> = {};
  await fc.assert(
    fc.asyncProperty(
      horizon,
      fc.array(fault, { minLength: PLACEMENTS, maxLength: PLACEMENTS }),
      fc.array(look, { minLength: 1, maxLength: 8 }),
      fc.integer({ min: 1, max: 4 }),
      fc.nat(2 ** 31),
      async (horizon, faults, looks, factor, seed) => {
        let random = seed;
        // Timers fire up to 1 ms early or 40 ms late.
        const unpunctual = () => (random = (random * 48_271 + 11) % 2_147_483_647) % 41 - 1;
        using clock = new VirtualClock(0.3, unpunctual);
        const timeout = Math.max(horizon * factor, 1_000);
        const log: Placement[] = [];
        const place = async (fault: Fault): Promise<string> => {
          const placement: Placement = { id: `order-${log.length}` };
          log.push(placement);
          const begun = clock.now;
          await wait(fault.after);
          placement.ended = clock.now;
          const last = placement.ended + horizon;
          if (fault.end === "answered") placement.executed = placement.visible = begun;
          if (fault.end === "lost" && fault.taken) {
            placement.executed = Math.min(last, begun + fault.uptake * (last - begun));
            const { executed } = placement;
            placement.visible = Math.min(last, executed + fault.lag * (last - executed));
          }
          if (fault.end === "answered") return placement.id;
          throw unknown("timeout", fault.end === "lost" ? "unknown" : fault.end);
        };

        let told = "";
        const script = async () => {
          for (const fault of faults) {
            let telling = 0; // look-ups whose word counts
            const find = async ({ signal }: { signal: AbortSignal }) => {
              const began = clock.now;
              const { id, visible = Infinity, ended } = log.at(-1)!;
              const next = looks.shift() ?? { does: "answers", after: 5, retryAfter: undefined };
              looks.push(next);
              const found = await lookUp(next, began >= visible ? id : undefined, signal);
              if (found !== undefined || began - ended! >= horizon) telling++;
              return found;
            };
            const verdict = await reconcile(() => place(fault), { find, horizon, timeout })
              .catch((error: BrokerError) => error);
            const { id, executed, ended } = log.at(-1)!;
            const reconciled = fault.end === "lost";
            assert(clock.now <= ended! + timeout + 100, "late");
            told = verdict instanceof BrokerError ? verdict.outcome : "found";
            seen[`${told} after ${fault.end}`] = (seen[`${told} after ${fault.end}`] ?? 0) + 1;
            if (told === "found") {
              assertEquals(verdict, id);
              assert(executed !== undefined);
            }
            if (told === "absent") assertEquals(executed, undefined, "it is executed");
            if (told === "unknown") assertEquals(telling, 0, "it could have been told");
            if (!reconciled) assertEquals(told, fault.end === "answered" ? "found" : fault.end);
            if (verdict instanceof BrokerError) assertEquals(verdict.retriable, false);
            if (told !== "not-sent" && told !== "absent") return; // else it is placed again
          }
        };
        const outcome = script().then(() => undefined, (error) => error);
        await settle();
        await clock.runTo();
        const failure = await outcome;
        if (failure) throw failure;
        const executed = log.filter(({ executed }) => executed !== undefined);
        assert(executed.length <= 1, "executed twice");
        assertEquals(clock.live, 0);
      },
    ),
    { numRuns: RUNS },
  );
  for (const kind of ["found", "absent", "unknown"]) {
    assert(seen[`${kind} after lost`] > RUNS / 100, `${kind}: ${JSON.stringify(seen)}`);
  }
  if (Deno.env.has("SEEN")) console.log(seen);
});
