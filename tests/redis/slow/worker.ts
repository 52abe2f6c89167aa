/**
 * One process that shares limits: it calls the venue as often as the throttler allows, for a while.
 * What it is told comes as JSON in its first argument; what it did it says on its last line.
 *
 * @module
 */

import { delay } from "@std/async/delay";
import { Redis } from "npm:ioredis@5.8.2";
import { type Limit, RedisThrottler } from "../../../redis.ts";
import { connect, type RedisClient } from "../server.ts";

/** What a worker is told. Times are in milliseconds. */
export interface Orders {
  port: number;
  venue: number;
  name: string;
  limits: Limit[];
  /** How long it begins new calls, and how many it keeps going at once. */
  runFor: number;
  atOnce: number;
  /** How many workers begin at the same time. */
  together: number;
  /** Longest delay on each way to Redis. */
  delay: number;
  /** Whether npm:ioredis is the client, which repeats commands after a reconnect. */
  isIoredis: boolean;
  /** How wrong the wall clock of the process is. */
  clock: number;
  /** Whether the server's clock is off by the seconds in the key `skew`. */
  isSkewed: boolean;
}

function plain(port: number): (command: string[]) => Promise<unknown> {
  let client: Promise<RedisClient> | undefined;
  return async (command) => {
    client ??= connect(port);
    const mine = client;
    try {
      return await (await mine).send(command);
    } catch (error) {
      if (/connection|refused|reset|closed/i.test(String(error)) && client === mine) {
        client = undefined;
      }
      throw error;
    }
  };
}

const TIME = "redis.call('TIME')";
const SKEWED = `(function()
  local time = ${TIME}
  time[1] = time[1] + (redis.call('GET', 'skew') or 0)
  return time
end)()`;

if (import.meta.main) {
  const orders: Orders = JSON.parse(Deno.args[0]);
  const { port, venue, name, limits, runFor, atOnce, together } = orders;
  const now = Date.now;
  Date.now = () => now() + orders.clock;
  let send = plain(port);
  if (orders.isIoredis) {
    const client = new Redis({ port, retryStrategy: () => 20, maxRetriesPerRequest: null });
    client.on("error", () => {});
    send = ([command, ...rest]) => client.call(command, ...rest);
  }
  if (orders.isSkewed) {
    const straight = send;
    send = ([name, source, ...rest]) =>
      name === "EVALSHA"
        ? Promise.reject(new Error("NOSCRIPT wanted the source"))
        : straight([name, source.replace(TIME, SKEWED), ...rest]);
  }
  let commands = 0;
  const events: string[] = [];
  const throttler = new RedisThrottler({
    key: "shared",
    limits,
    async send(command) {
      commands++;
      await delay(Math.random() * orders.delay);
      const answer = await send(command);
      await delay(Math.random() * orders.delay);
      return answer;
    },
    onEvent: ({ type }) => events.push(type),
  });
  if (together > 1) {
    await (await fetch(`http://127.0.0.1:${venue}/ready?together=${together}`)).body?.cancel();
  }
  const end = performance.now() + runFor;
  let calls = 0;
  const loop = async () => {
    while (performance.now() < end) {
      await throttler.run(async () => {
        if (performance.now() >= end) return;
        calls++;
        // The same clock in all processes of a machine.
        const at = performance.timeOrigin + performance.now();
        const query = `name=${name}&at=${at}`;
        await (await fetch(`http://127.0.0.1:${venue}/?${query}`)).body?.cancel();
      }, { signal: AbortSignal.timeout(Math.max(1, end - performance.now())) }).catch(() => {});
    }
  };
  await Promise.all(Array.from({ length: atOnce }, loop));
  console.log(JSON.stringify({ commands, calls, events }));
  Deno.exit();
}
