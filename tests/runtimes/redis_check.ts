/**
 * redis.ts with the clients that people use: npm `redis`, npm `ioredis`, and Bun's own. The server is
 * a real one. Where none is installed, nothing is checked; in CI that is a failure.
 */

import assert from "node:assert/strict";
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { createServer } from "node:net";
import process from "node:process";
import { Redis } from "npm:ioredis@5.8.2";
import { createClient } from "npm:redis@5.10.0";
import { RedisThrottler } from "../../redis.ts";
import { check, run, runtime } from "./harness.ts";

type Send = (command: string[]) => Promise<unknown>;

/** Connects, and gives the one line that the documentation names, and a way to close. */
type Client = (port: number) => Promise<[send: Send, close: () => unknown]>;

const clients: Record<string, Client> = {
  async redis(port) {
    const socket = { port, host: "127.0.0.1", reconnectStrategy: 50 };
    const client = createClient({ socket });
    client.on("error", () => {});
    await client.connect();
    return [(command) => client.sendCommand(command), () => client.destroy()];
  },
  ioredis(port) {
    const client = new Redis({ port, host: "127.0.0.1", retryStrategy: () => 50 });
    client.on("error", () => {});
    return Promise.resolve([
      ([name, ...rest]) => client.call(name, ...rest),
      () => client.disconnect(),
    ]);
  },
};

interface BunRedis {
  send(name: string, rest: string[]): Promise<unknown>;
  close(): void;
}
if (runtime === "bun") {
  const { Bun } = globalThis as unknown as {
    Bun: { RedisClient: new (url: string) => BunRedis };
  };
  clients.Bun = (port) => {
    const client = new Bun.RedisClient(`redis://127.0.0.1:${port}`);
    return Promise.resolve([
      ([name, ...rest]) => client.send(name, rest),
      () => client.close(),
    ]);
  };
}

const pause = (duration: number) => new Promise((resolve) => setTimeout(resolve, duration));

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", () => resolve()));
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** Starts a server without a disk, and waits until it answers. */
async function start(port: number): Promise<ChildProcess> {
  const args = ["--port", `${port}`, "--bind", "127.0.0.1", "--save", "", "--dir", "/tmp"];
  const server = spawn("redis-server", args, { stdio: ["ignore", "pipe", "ignore"] });
  await new Promise<void>((resolve, reject) => {
    server.once("exit", () => reject(new Error("redis-server has ended")));
    server.stdout!.on("data", (bytes) => String(bytes).includes("Ready to accept") && resolve());
  });
  return server;
}

async function stop(server: ChildProcess): Promise<void> {
  const ended = new Promise((resolve) => server.once("exit", resolve));
  server.kill("SIGKILL");
  await ended;
}

function fullest(starts: number[], period: number): number {
  return Math.max(
    ...starts.map((start) =>
      starts.filter((other) => other >= start && other - start < period).length
    ),
  );
}

const hasServer = spawnSync("redis-server", ["--version"]).status === 0;
if (!hasServer) {
  check("redis-server is not installed: nothing was checked (in CI it must be)", () => {
    assert.notEqual(process.env.CI, "true");
  });
}

for (const [name, connect] of hasServer ? Object.entries(clients) : []) {
  check(
    `RedisThrottler keeps a shared limit, over a restart of the server, with ${name}`,
    async () => {
      const port = await freePort();
      let server = await start(port);
      const sides = [await connect(port), await connect(port)];
      const events: string[] = [];
      const throttlers = sides.map(([send]) =>
        new RedisThrottler({
          send,
          key: "k",
          limits: [{ limit: 5, period: 200 }, { limit: 8, period: 500, refill: "after-finish" }],
          lease: 1_000,
          timeout: 300,
          onEvent: ({ type }) => events.push(type),
        })
      );
      const starts: number[] = [];
      const round = () =>
        Promise.all(
          throttlers.flatMap((throttler) =>
            Array.from({ length: 10 }, () => throttler.run(() => starts.push(performance.now())))
          ),
        );
      try {
        await round();
        assert.equal(starts.length, 20);
        const calls = round();
        await stop(server);
        server = await start(port);
        await calls;
        assert.equal(starts.length, 40);
        assert.ok(fullest(starts, 200) <= 5, `${fullest(starts, 200)} in 200 ms`);
        assert.ok(fullest(starts, 500) <= 8, `${fullest(starts, 500)} in 500 ms`);
        assert.ok(events.includes("lost"), `${events}`);
        await pause(100); // the last starts are told
      } finally {
        for (const throttler of throttlers) {
          throttler.close();
        }
        for (const [, close] of sides) await close();
        await stop(server);
      }
    },
    { timeout: 30_000 },
  );
}

await run();
