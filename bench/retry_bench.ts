/**
 * What a retry wrapper adds to a call that succeeds, in nanoseconds, beside its peers.
 *
 *     deno task bench retry
 *
 * @module
 */

import { ConstantBackoff, handleAll, retry as cockatiel } from "npm:cockatiel@4.0.0";
import pRetry from "npm:p-retry@9.0.0";
import { retry } from "../retry.ts";

const CALLS = 100_000;
const ROUNDS = 15;

const call = () => Promise.resolve(1);

async function timed(fn: () => Promise<unknown>): Promise<number> {
  const start = performance.now();
  for (let i = 0; i < CALLS; i++) await fn();
  return (performance.now() - start) / CALLS * 1e6;
}

function median(values: number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1];
}

if (import.meta.main) {
  const policy = cockatiel(handleAll, { maxAttempts: 5, backoff: new ConstantBackoff(1) });
  const contenders: Record<string, () => Promise<unknown>> = {
    "no wrapper": call,
    "@aio-trader/core": retry(call),
    "p-retry": () => pRetry(call),
    "cockatiel": () => policy.execute(call),
  };
  // Only the real one is worth a comparison: it has no stand-in.
  const name: string = "@std/async/retry";
  const std = await import(name).catch(() => undefined);
  if (std) contenders["@std/async"] = () => std.retry(call);
  else console.log("@std/async: not bound here, left out");

  const samples = new Map(Object.keys(contenders).map((name) => [name, [] as number[]]));
  for (let round = -1; round < ROUNDS; round++) {
    for (const [name, fn] of Object.entries(contenders)) {
      const time = await timed(fn);
      if (round >= 0) samples.get(name)!.push(time); // the first round warms up
    }
  }
  const floor = median(samples.get("no wrapper")!);
  const ours = median(samples.get("@aio-trader/core")!) - floor;
  console.log(
    `retry, added to a call that succeeds (Deno ${Deno.version.deno}, median of ${ROUNDS})`,
  );
  console.log("| wrapper | ns added | ratio to ours |\n|---|---:|---:|");
  for (const [name, times] of samples) {
    if (name === "no wrapper") continue;
    const added = median(times) - floor;
    console.log(`| ${name} | ${added.toFixed(0)} | ${(added / ours).toFixed(2)} |`);
    if (name === "@std/async" && ours > added) Deno.exitCode = 1;
  }
}
