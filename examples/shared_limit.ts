/**
 * Two processes that share one limit, and a venue on 127.0.0.1 that counts:
 *
 *     deno run -A examples/shared_limit.ts                          # starts a redis-server
 *     deno run -A examples/shared_limit.ts redis://localhost:6379   # uses yours
 *
 * Each process is a bot of its own: it knows the Redis, the name of the count and the limit, and
 * nothing of the other bot. The program ends with the fullest second that the venue has seen, and
 * with exit code 1 if the venue would have banned the bots.
 *
 * @module
 */

import { createClient } from "npm:redis@5.10.0";
import { RedisThrottler } from "../redis.ts";

/** What the venue allows: calls per second of an account. */
const LIMIT = 10;
/** How long the bots trade, in milliseconds. */
const RUN = 4_000;

/** One bot: it calls the venue as often as it may, four calls at a time. */
async function bot(name: string, redis: string, venue: string): Promise<void> {
  const client = createClient({ url: redis });
  client.on("error", (error) => console.error(`${name}: ${error.message}`));
  await client.connect();
  const throttler = new RedisThrottler({
    send: (command) => client.sendCommand(command),
    key: "example:account-1:orders",
    limits: { limit: LIMIT, period: 1_000, refill: "after-finish" },
    onEvent: (event) => console.error(`${name}: the count is ${event.type}`),
  });
  const signal = AbortSignal.timeout(RUN);
  const trade = async () => {
    while (!signal.aborted) {
      await throttler.run(() => fetch(`${venue}/?bot=${name}`).then((r) => r.text()), { signal });
    }
  };
  await Promise.allSettled([trade(), trade(), trade(), trade()]);
  throttler.close();
  await new Promise((resolve) => setTimeout(resolve, 100)); // Redis hears of the last calls
  client.destroy();
}

/** A Redis for the time of the example, where none is named. */
async function startRedis(): Promise<{ url: string; stop: () => void }> {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr as Deno.NetAddr;
  listener.close();
  const args = ["--port", `${port}`, "--bind", "127.0.0.1", "--save", ""];
  const child = new Deno.Command("redis-server", { args, stdout: "piped" }).spawn();
  const lines = child.stdout.pipeThrough(new TextDecoderStream());
  for await (const text of lines.values({ preventCancel: true })) {
    if (text.includes("Ready to accept")) break;
  }
  lines.cancel().catch(() => {});
  return { url: `redis://127.0.0.1:${port}`, stop: () => child.kill("SIGKILL") };
}

async function main(given?: string): Promise<boolean> {
  const calls: { bot: string; at: number }[] = [];
  const onListen = () => {};
  const venue = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen }, async ({ url }) => {
    await new Promise((resolve) => setTimeout(resolve, Math.random() * 30)); // the way to the venue
    calls.push({ bot: new URL(url).searchParams.get("bot")!, at: performance.now() });
    return new Response("filled");
  });
  const redis = given ? { url: given, stop() {} } : await startRedis();
  const bots = ["ann", "bob"].map((name) =>
    new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", import.meta.url, name, redis.url, `http://127.0.0.1:${venue.addr.port}`],
    }).spawn()
  );
  await Promise.all(bots.map(({ status }) => status));
  await venue.shutdown();
  redis.stop();

  const fullest = Math.max(
    ...calls.map(({ at }) => calls.filter((c) => c.at >= at && c.at < at + 1_000).length),
  );
  for (const name of ["ann", "bob"]) {
    console.log(`${name}: ${calls.filter(({ bot }) => bot === name).length} calls`);
  }
  console.log(`fullest second at the venue: ${fullest} calls, ${LIMIT} are allowed`);
  return calls.length > 2 * LIMIT && fullest <= LIMIT;
}

if (import.meta.main) {
  const [first, redis, venue] = Deno.args;
  if (venue) {
    await bot(first, redis, venue);
    Deno.exit();
  }
  Deno.exit(await main(first) ? 0 : 1);
}
