/**
 * One rate limit for many processes and machines, kept in Redis and never exceeded: not in any
 * window of time, and not while servers, clients and connections fail.
 *
 * A venue's limit belongs to an account or an address. Bots that share the account have to share
 * the count, and `RedisThrottler` is the count. It goes wherever a `Throttler` goes.
 *
 * ```ts ignore
 * import { RedisThrottler } from "@aio-trader/core/redis";
 * import { createClient } from "redis";
 *
 * const client = await createClient().connect();
 * const throttler = new RedisThrottler({
 *   send: (command) => client.sendCommand(command),
 *   key: "kite:AB1234:orders",
 *   limits: [{ limit: 10, period: 1_000 }, { limit: 200, period: 60_000 }],
 * });
 * await throttler.run(() => fetch("https://api.kite.trade/orders/regular"));
 * ```
 *
 * Any client of Redis 5 or newer fits, and none is a dependency. One line connects it:
 *
 * - npm `redis`: `send: (command) => client.sendCommand(command)`
 * - npm `ioredis`: `send: ([name, ...rest]) => client.call(name, ...rest)`
 * - Bun's own: `send: ([name, ...rest]) => Bun.redis.send(name, rest)`
 *
 * @module
 */

import { checkFunction, checkNumber, refuse } from "./common/check.ts";
import { Agent, type AgentEvent, RedisPlace } from "./redis/agent.ts";
import { SharedLimits } from "./redis/shared_limits.ts";
import {
  type CallOptions,
  type Limit,
  type Permit,
  type Place,
  type PlaceOptions,
  type RateLimiter,
  runAll,
  ThrottlerError,
} from "./throttler.ts";

export type { CallOptions, Limit, Permit, Place, PlaceOptions, RateLimiter };
export { ThrottlerError };

/**
 * Options of {@linkcode RedisThrottler}.
 *
 * @example One limit for three processes
 * ```ts
 * import { RedisThrottler, type RedisThrottlerOptions } from "@aio-trader/core/redis";
 *
 * const client = { sendCommand: (_command: string[]): Promise<unknown> => Promise.resolve() };
 * const options: RedisThrottlerOptions = {
 *   send: (command) => client.sendCommand(command), // npm:redis
 *   key: "venue:account",
 *   limits: [{ limit: 10, period: 1_000 }, { limit: 200, period: 60_000 }],
 *   onUnavailable: "local", // each process counts alone, a third of each limit
 *   processes: 3,
 * };
 * new RedisThrottler(options).close();
 * ```
 */
export interface RedisThrottlerOptions {
  /**
   * Sends one command to Redis and resolves to the answer: the user's own client, in one line. It
   * may repeat a command after a reconnect: a repeated command charges nothing twice.
   */
  send: (command: string[]) => Promise<unknown>;
  /**
   * Name of the count, for example the venue and the account. Processes that name the same key
   * share the limits. Text without `{` and `}`: the library puts the name in braces, so that all
   * keys of one count lie in one slot of a cluster.
   */
  key: string;
  /** One limit, or several that are taken together or not at all: the same in every process. */
  limits: Limit | readonly Limit[];
  /**
   * Behaviour while Redis does not answer:
   *
   * - `"wait"`: calls wait. The process asks again with growing, jittered waits.
   * - `"reject"`: calls that wait, and calls that come, reject with a {@linkcode ThrottlerError} of
   *   kind `"unavailable"`.
   * - `"local"`: each process counts alone, by its share of every limit: the limit divided by
   *   `processes`. Before that the process waits for the longest period and a lease, since others
   *   may just have spent all tokens. Once Redis answers again, nobody starts for as long.
   *
   * A refusal that no repetition changes, such as a wrong password, rejects in each case.
   *
   * @default {"wait"}
   */
  onUnavailable?: "wait" | "reject" | "local" | undefined;
  /** Number of processes that share the limits, for `"local"`: at most the smallest limit. */
  processes?: number | undefined;
  /**
   * How long Redis waits for a sign of life, in milliseconds: at least 1,000. A process that waits
   * or holds tokens gives a sign every third of a lease. The places and the tokens of a process
   * that died come back after the lease; the tokens count as spent at the end of the lease.
   *
   * @default {5_000}
   */
  lease?: number | undefined;
  /**
   * Longest wait for an answer, in milliseconds; then the command is sent again.
   *
   * @default {1_000}
   */
  timeout?: number | undefined;
  /**
   * Most calls of this process that may wait at once. One more rejects with a
   * {@linkcode ThrottlerError} of kind `"full"`.
   *
   * @default {Infinity}
   */
  maxQueue?: number | undefined;
  /** Called with each {@linkcode RedisThrottlerEvent}. An exception in the listener is ignored. */
  onEvent?: ((event: RedisThrottlerEvent) => void) | undefined;
}

/**
 * Tells how the connection with the count stands:
 *
 * - `"unavailable"`: a command failed, or had no answer in time. Told once, until Redis answers.
 * - `"available"`: Redis answers again.
 * - `"lost"`: Redis has lost data, or calls started by the local share. No process starts a call
 *   for the longest period and a lease.
 *
 * @example An alarm while Redis does not answer
 * ```ts
 * import { RedisThrottler, type RedisThrottlerEvent } from "@aio-trader/core/redis";
 * import { assertEquals } from "@std/assert";
 *
 * const events: string[] = [];
 * const onEvent = ({ type }: RedisThrottlerEvent) => void events.push(type);
 * const throttler = new RedisThrottler({
 *   send: () => Promise.reject(new Error("no connection")), // your own client, in truth
 *   key: "venue:account",
 *   limits: { limit: 10, period: 1_000 },
 *   onUnavailable: "reject",
 *   onEvent,
 * });
 * await throttler.run(() => "sent").catch(() => {});
 * assertEquals(events, ["unavailable"]);
 * throttler.close();
 * ```
 */
export type RedisThrottlerEvent = AgentEvent;

const TASK = "Cannot make a RedisThrottler";

/**
 * Makes calls wait until limits that many processes share have tokens for them.
 *
 * Guarantees, for all processes together:
 *
 * - `"after-start"` (the default): no window of one period, wherever the window begins, holds more
 *   than `limit` starts.
 * - `"after-finish"`: no window of one period holds more than `limit` calls on the *venue's* own
 *   clock, whatever the latency.
 * - `"steady"`: no window of length w holds more than `burst + limit * w / period` starts.
 * - Calls start in the order in which they came, over all machines; urgent calls go first. A
 *   process stands in the line with up to 100 calls.
 * - One round trip per grant. A process asks for up to 100 calls with one command, waits as long as
 *   the answer says, and does not poll. One timer serves all calls that wait.
 * - Time is the clock of the server. The wall clock of a client does not matter. A server's clock
 *   that is set back, or forward by more than 250 ms, changes nothing.
 * - Nothing is charged that was not started. A call that is refused, aborted or closed costs
 *   nothing.
 * - A server that lost its data (a restart, `FLUSHALL`, a failover to a replica that lagged) grants
 *   nothing for the longest period and a lease. A process that remembers the lost count tells.
 *
 * Limits of the guarantees:
 *
 * - A process remembers a count for an hour. A process that is new, or was idle for longer, cannot
 *   tell that the count was lost. If it asks before a process that remembers, its calls may exceed
 *   the limit.
 * - A process that hears nothing of Redis for nine tenths of a lease may count as dead. Its calls
 *   that still run count as finished at the end of the lease.
 * - A process that is new cannot tell that the server's clock was set forward before its first
 *   command.
 * - With `"local"`, a process that alone lost its connection adds its share to the others' limit.
 *
 * **Why no window is ever too full.** Redis executes one command at a time, so that all grants have
 * an order. V is the server's clock, which never goes back.
 *
 * 1. A token counts from the grant at V(g) on, as *held*. After the start at V(s) the process tells
 *    the age of the start: the time from the start to the sending of the command. The command is
 *    executed after it was sent, so V − age is V(s) or later. From then on the token counts as
 *    *spent* until V − age + period. Starts that are told as one have the age of the latest, and
 *    starts that are told later are held until then. Spent tokens that came back may count for
 *    longer: the script looks them up if the rest does not suffice. So a token counts at least from
 *    V(g) to V(s) + period.
 * 2. A process uses a grant for at most half a lease after the sending of a command that was
 *    answered. A command renews a lease of which a tenth has passed. So a silent process is dead
 *    nine tenths of a lease after the execution of that command at the earliest, and the execution
 *    came after the sending. So no call of a process starts after Redis has taken it for dead, and
 *    the end of the lease is no earlier than any start.
 * 3. Say that `limit + 1` calls start between T and T + period, and that `j` was granted last of
 *    them. Then `j` was granted at V(g) < T + period. Every other one was granted before, and
 *    started at T or later, so each still counted. `limit` tokens counted, and `j` could not have
 *    been granted.
 *
 * For `"after-finish"` read "finish" for "start" in 1. A token then counts from before the call was
 * sent until one period after the answer. The venue looks at the call between the two, so the
 * argument of `Throttler` holds on the venue's clock. For `"steady"`, a bucket that is told the
 * starts late, or in another order, is never fuller than one that is told at once.
 *
 * **Why repetitions and losses charge nothing twice, or too little.** The commands of a process are
 * numbered, and the next one is sent after the answer to the last. Redis keeps the last answer of
 * each process and gives it again to a repetition. Each command names all that the process holds,
 * so that a grant that never arrived is given back with the next command.
 *
 * @example Calls are rejected while Redis cannot be reached
 * ```ts
 * import { RedisThrottler, ThrottlerError } from "@aio-trader/core/redis";
 * import { assertEquals, assertRejects } from "@std/assert";
 *
 * await using throttler = new RedisThrottler({
 *   send: () => Promise.reject(new Error("connect ECONNREFUSED")),
 *   key: "binance:orders",
 *   limits: { limit: 50, period: 10_000 },
 *   onUnavailable: "reject",
 *   onEvent: (event) => assertEquals(event.type, "unavailable"),
 * });
 *
 * await assertRejects(() => throttler.run(() => "sent"), ThrottlerError, "Redis cannot be asked");
 * ```
 */
export class RedisThrottler implements RateLimiter {
  readonly #agent: Agent;

  /**
   * Makes a throttler. Nothing is sent before the first call.
   *
   * @param options The client, the name of the count, the limits.
   * @throws {RangeError} If a number is out of its range, or no limit is given.
   * @throws {TypeError} If a value is of the wrong type.
   */
  constructor(options: RedisThrottlerOptions) {
    const { send, key, limits, onUnavailable = "wait", processes, onEvent } = options;
    const { lease = 5_000, timeout = 1_000, maxQueue = Infinity } = options;
    if (typeof send !== "function") refuse(TASK, "send", send, "a function");
    if (typeof key !== "string") refuse(TASK, "key", key, "a string");
    if (!/^[^{}]+$/.test(key)) {
      throw new RangeError(`${TASK}: key is ${JSON.stringify(key)}, wanted text without { and }`);
    }
    if (!["wait", "reject", "local"].includes(onUnavailable)) {
      refuse(TASK, "onUnavailable", onUnavailable, '"wait", "reject" or "local"');
    }
    if (onUnavailable === "local" || processes !== undefined) {
      checkNumber(TASK, "processes", processes, { min: 1, max: 1_000_000, integer: true });
    }
    checkNumber(TASK, "lease", lease, { min: 1_000, max: 3_600_000, unit: "milliseconds" });
    checkNumber(TASK, "timeout", timeout, { above: true, unit: "milliseconds" });
    checkNumber(TASK, "maxQueue", maxQueue);
    checkFunction(TASK, "onEvent", onEvent);
    this.#agent = new Agent({
      send,
      key,
      limits: new SharedLimits(limits),
      lease,
      timeout: Math.min(timeout, lease),
      maxQueue,
      onUnavailable,
      processes: processes ?? 1,
      onEvent(event) {
        try {
          onEvent?.(event);
        } catch {
          // The listener's own fault; calls wait for what comes after.
        }
      },
    });
  }

  /** Number of calls of this process that wait, those of `runAll` included, wherever these wait. */
  get size(): number {
    return this.#agent.guests.size;
  }

  /**
   * Calls `fn` as soon as every limit allows the call. The start is noted after `fn` has returned,
   * so that the work before the sending cannot bring two starts closer together.
   *
   * @param fn The call; it is charged even if it fails.
   * @param options Cost, signal and urgency.
   * @returns The result of `fn`.
   * @throws {RangeError} If the cost is above a limit.
   * @throws {ThrottlerError} If too many calls wait already, the throttler is closed, or Redis
   * cannot be asked and `onUnavailable` is `"reject"`.
   */
  run<T>(fn: () => T | PromiseLike<T>, options?: CallOptions): Promise<T> {
    return runAll([this], fn, options);
  }

  /**
   * Waits for leave to start one call. The start is noted as the permit is given. So start the call
   * at once, or take {@linkcode RedisThrottler.run}, which is exact however long the start takes.
   *
   * @param options Cost, signal and urgency.
   * @returns A permit, to be disposed of when the call has finished: an `"after-finish"` token that
   * is not disposed of never returns while the process lives.
   * @throws {RangeError} If the cost is above a limit.
   * @throws {ThrottlerError} As {@linkcode RedisThrottler.run}.
   */
  acquire(options?: CallOptions): Promise<Permit> {
    return new Promise((resolve, reject) => {
      const hold = () => new Promise<void>((done) => resolve({ [Symbol.dispose]: done }));
      this.run(hold, options).catch(reject);
    });
  }

  /**
   * Estimates how long a call that came now would wait, from the newest answer of Redis.
   *
   * @param cost Tokens that the call would spend.
   * @returns Milliseconds; `0` if tokens were left at the newest answer, or nothing is known yet.
   * @throws {RangeError} If the cost is above a limit.
   */
  waitTime(cost = 1): number {
    this.#checkCost(cost);
    const { wait, queued, limits } = this.#agent;
    return queued > 0 ? wait + queued / limits.rate : wait;
  }

  /**
   * Starts nothing for a while, as a venue's `Retry-After` asks: in this process at once, in all
   * others from the moment at which Redis hears of the pause. Of several pauses, the one that ends
   * last wins. Grants that are on their way to another process are still used.
   *
   * @param duration Milliseconds. `0` does nothing. `Infinity` stops this process for good, and the
   * others for a year.
   * @throws {RangeError} If the duration is below 0.
   */
  pause(duration: number): void {
    checkNumber("Cannot pause", "duration", duration, { unit: "milliseconds" });
    this.#agent.pause(duration);
  }

  /**
   * Makes a place for one call of `runAll`.
   *
   * @param options What the call costs, and whom it goes before.
   * @returns The place. Nothing is sent yet, and the call does not stand in line.
   * @throws {RangeError} If the cost is above a limit.
   * @throws {ThrottlerError} If the throttler is closed.
   */
  place(options: PlaceOptions): Place {
    if (this.#agent.closed) throw this.#agent.closed.reason;
    this.#checkCost(options.cost);
    return new RedisPlace(this.#agent, options);
  }

  /**
   * Rejects the calls that wait and all that come later, and gives their places up. Calls that have
   * started go on, and Redis is told of them. Repeats change nothing. The client stays open.
   *
   * @param reason What the calls are rejected with.
   * @default {ThrottlerError} of kind `"closed"`
   */
  close(
    reason: unknown = new ThrottlerError("closed", "Cannot start a call: the throttler is closed"),
  ): void {
    this.#agent.closed ??= { reason };
    this.#agent.refuse(this.#agent.closed.reason);
  }

  /** Closes the throttler. */
  [Symbol.asyncDispose](): Promise<void> {
    this.close();
    return Promise.resolve();
  }

  #checkCost(cost: number): void {
    const max = this.#agent.limits.capacity;
    checkNumber("Cannot start a call", "cost", cost, { max, integer: true });
  }
}
