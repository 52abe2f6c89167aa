/**
 * A venue that notes who called when, and processes that call it.
 *
 * @module
 */

import { assert } from "@std/assert";
import { delay } from "@std/async/delay";
import type { Limit } from "../../../redis.ts";
import type { RedisServer } from "../server.ts";
import type { Orders } from "./worker.ts";

/** One call: when it started, by the caller, and when the venue looked at it. */
export interface Call {
  name: string;
  at: number;
  seen: number;
}

/** What a worker said at its end. */
export interface Said {
  commands: number;
  calls: number;
  events: string[];
}

/** Listens on loopback; looks at each call after a random delay, and answers after another. */
export class Venue implements AsyncDisposable {
  readonly calls: Call[] = [];
  /** Ends once so many workers are ready as should begin together. */
  readonly #start = Promise.withResolvers<void>();
  #ready = 0;
  readonly #server: Deno.HttpServer<Deno.NetAddr>;

  constructor(longest: number) {
    const onListen = () => {};
    this.#server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen }, async (request) => {
      const { pathname, searchParams: query } = new URL(request.url);
      if (pathname === "/ready") {
        if (++this.#ready >= Number(query.get("together"))) this.#start.resolve();
        await this.#start.promise;
        return new Response();
      }
      await delay(Math.random() * longest);
      this.calls.push({
        name: query.get("name")!,
        at: Number(query.get("at")),
        seen: performance.now(),
      });
      await delay(Math.random() * longest);
      return new Response();
    });
  }

  get port(): number {
    return this.#server.addr.port;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server.shutdown();
  }
}

/** Starts a worker. */
export function work(
  server: RedisServer,
  venue: Venue,
  orders: Partial<Orders> & Pick<Orders, "limits" | "name" | "runFor">,
): { child: Deno.ChildProcess; said: Promise<Said | undefined> } {
  const all: Orders = {
    port: server.port,
    venue: venue.port,
    atOnce: 12,
    together: 1,
    delay: 10,
    isIoredis: false,
    clock: 0,
    isSkewed: false,
    ...orders,
  };
  const file = new URL("worker.ts", import.meta.url).href;
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-check", file, JSON.stringify(all)],
    stdout: "piped",
    stderr: "inherit",
    stdin: "null",
  }).spawn();
  const said = (async () => {
    const { stdout } = await child.output();
    const last = new TextDecoder().decode(stdout).trim().split("\n").at(-1);
    return last ? JSON.parse(last) as Said : undefined;
  })();
  return { child, said };
}

/**
 * Counts the calls of each worker while all of them competed: a process may begin late, and the last
 * calls may all be one's.
 *
 * @returns How many calls each worker made.
 */
export function sharesOf(calls: readonly Call[]): number[] {
  const byWorker = Map.groupBy(calls.toSorted((a, b) => a.at - b.at), ({ name }) => name);
  const all = [...byWorker.values()];
  const from = Math.max(...all.map((own) => own[0].at));
  const to = Math.min(...all.map((own) => own.at(-1)!.at));
  return all.map((own) => own.filter(({ at }) => from <= at && at <= to).length);
}

/**
 * Asserts that no window holds too many calls: by the start of each call, or by the venue's look at
 * it where the limit counts from the finish.
 *
 * @returns The calls in the fullest window.
 */
export function assertLimits(calls: readonly Call[], limits: readonly Limit[]): void {
  for (const { limit, period, refill = "after-start", burst = limit } of limits) {
    // Two processes read one clock a little differently; the venue's own is exact.
    const slack = refill === "after-finish" ? 0 : 1;
    const times = calls.map(({ at, seen }) => refill === "after-finish" ? seen : at)
      .sort((a, b) => a - b);
    for (let i = 0; i < times.length; i++) {
      if (refill === "steady") {
        for (let j = i; j < times.length; j++) {
          const most = burst + limit * (times[j] - times[i] + slack) / period;
          assert(j - i + 1 <= most, `${j - i + 1} calls within ${times[j] - times[i]} ms`);
        }
      } else if (i + limit < times.length) {
        const took = times[i + limit] - times[i] + slack;
        assert(took >= period, `${limit + 1} calls within ${took} ms, not ${period}, ${refill}`);
      }
    }
  }
}
