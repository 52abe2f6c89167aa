import { assert, assertEquals } from "@std/assert";
import type { FakeTime } from "@std/testing/time";
import {
  type Permit,
  type Place,
  type PlaceOptions,
  type RateLimiter,
  runAll,
  Throttler,
} from "../../throttler.ts";
import { fakeClock } from "../fake_clock.ts";

/** A limiter that is asked over a network: it answers late, and its grants expire. */
class RemoteLimiter implements RateLimiter {
  /** What happened, with the time. */
  readonly log: string[] = [];
  /** Milliseconds of a round trip. */
  latency = 10;
  /** Milliseconds that a grant lasts. */
  fresh = 1_000;
  /** When the next token is there. */
  freeAt = 0;
  /** What the next question is refused with. */
  refusal: Error | undefined;
  /** Tokens that are granted or spent. */
  out = 0;
  size = 0;

  #note(what: string): void {
    this.log.push(`${performance.now()} ${what}`);
  }

  run<T>(fn: () => T | PromiseLike<T>): Promise<T> {
    return runAll([this], fn);
  }

  acquire(): Promise<Permit> {
    throw new Error("not needed here");
  }

  waitTime(): number {
    return Math.max(0, this.freeAt - performance.now());
  }

  pause(): void {}

  close(): void {}

  place({ cost }: PlaceOptions): Place {
    // deno-lint-ignore no-this-alias
    const limiter = this;
    let grantedAt = -Infinity;
    let question = 0;
    let knownFree = 0;
    const giveBack = (isSpent: boolean) => {
      question++;
      if (grantedAt === -Infinity) return;
      if (!isSpent) {
        limiter.out -= cost;
        limiter.#note("gives back");
      }
      grantedAt = -Infinity;
    };
    const ask = async (resolve: () => void, reject: (reason: unknown) => void) => {
      const own = ++question;
      limiter.#note("asks");
      await new Promise((done) => setTimeout(done, limiter.latency));
      if (own !== question) return;
      const { refusal } = limiter;
      if (refusal) return reject(refusal);
      if (limiter.freeAt <= performance.now()) {
        grantedAt = performance.now();
        limiter.out += cost;
        limiter.#note("grants");
      } else {
        knownFree = limiter.freeAt;
        limiter.#note(`says wait ${knownFree - performance.now()}`);
      }
      resolve();
    };
    return {
      rate: 0.01,
      period: 100,
      get isOpen(): boolean {
        return performance.now() - grantedAt < limiter.fresh;
      },
      get wait(): number {
        return Math.max(0, knownFree - performance.now());
      },
      enter: () => limiter.size++,
      async turn(): Promise<void> {
        giveBack(false); // it has expired
        const { wait } = this;
        if (wait > 0) await new Promise((done) => setTimeout(done, wait));
        return new Promise((resolve, reject) => ask(resolve, reject));
      },
      pass: () => giveBack(false),
      leave: () => {
        if (limiter.size > 0) limiter.size--;
        giveBack(false);
      },
      start<T>(fn: () => T | PromiseLike<T>): Promise<T> {
        assert(this.isOpen, "a call starts with a fresh grant only");
        limiter.#note("starts");
        giveBack(true);
        return Promise.resolve(fn());
      },
    };
  }
}

/** Ticks in steps, since `runAll` takes its turns between two of them. */
async function tickSlowly(time: FakeTime, duration: number, step = 10): Promise<void> {
  for (let i = 0; i < duration; i += step) {
    await time.tickAsync(step);
    await time.runMicrotasks();
  }
}

Deno.test("runAll() asks a remote limiter once the local ones are open", async () => {
  using time = fakeClock();
  const remote = new RemoteLimiter();
  const local = new Throttler({ limit: 1, period: 5_000 });
  local.tryAcquire();
  const started: number[] = [];
  runAll([remote, local], () => started.push(performance.now()));
  await tickSlowly(time, 6_000);
  assertEquals(remote.log, ["5000 asks", "5010 grants", "5010 starts"]);
  assertEquals([started, remote.out, local.size], [[5_010], 1, 0]);
});

Deno.test("runAll() asks a remote limiter again where its grant has expired meanwhile", async () => {
  using time = fakeClock();
  const remote = new RemoteLimiter();
  const local = new Throttler({ limit: 1, period: 50 });
  const started: number[] = [];
  const call = runAll([remote, local], () => started.push(performance.now()));
  local.tryAcquire();
  local.pause(3_000); // while the question is on its way
  await tickSlowly(time, 4_000);
  await call;
  assertEquals(remote.log, [
    "0 asks",
    "10 grants",
    "10 gives back",
    "3000 asks",
    "3010 grants",
    "3010 starts",
  ]);
  assertEquals([started, remote.out], [[3_010], 1]);
});
