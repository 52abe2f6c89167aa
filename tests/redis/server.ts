/**
 * A real redis-server for tests: on a free port of loopback, in a folder of its own, with nothing
 * written to disk. And a client of a few lines, so that no library stands between test and server.
 *
 * @module
 */

import { delay } from "@std/async/delay";

/** Whether there is a redis-server. In CI there must be one. */
export const hasRedis: boolean = await answers("redis-server");

if (!hasRedis) {
  const words = "redis-server is not installed (Debian: apt-get install redis-server)";
  if (Deno.env.get("CI") === "true") throw new Error(`${words}, and CI must not skip its tests`);
  console.error(`${words}: the tests that need it are ignored`);
}

async function answers(program: string): Promise<boolean> {
  try {
    const args = ["--version"];
    return (await new Deno.Command(program, { args, stdout: "null", stderr: "null" }).output())
      .success;
  } catch {
    return false;
  }
}

/** A server that can be killed, stopped and started again on the same port. */
export class RedisServer implements AsyncDisposable {
  readonly port: number;
  readonly #env: Record<string, string>;
  #child: Deno.ChildProcess | undefined;

  private constructor(port: number, env: Record<string, string>) {
    this.port = port;
    this.#env = env;
  }

  /** Starts a server on a free port. */
  static async start(env: Record<string, string> = {}): Promise<RedisServer> {
    const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    const { port } = listener.addr as Deno.NetAddr;
    listener.close();
    const server = new RedisServer(port, env);
    await server.restart();
    return server;
  }

  get pid(): number {
    return this.#child!.pid;
  }

  /** Starts it again, without its data. */
  async restart(): Promise<void> {
    await this.kill();
    const args = ["--port", `${this.port}`, "--bind", "127.0.0.1", "--save", "", "--appendonly"];
    args.push("no", "--dir", "/tmp", "--loglevel", "warning", "--enable-debug-command", "yes");
    const options = {
      args,
      env: this.#env,
      stdin: "null",
      stdout: "null",
      stderr: "null",
    } as const;
    this.#child = new Deno.Command("redis-server", options).spawn();
    for (let tries = 0; tries < 400; tries++) {
      try {
        using client = await connect(this.port);
        if (await client.send(["PING"]) === "PONG") return;
      } catch {
        await delay(25);
      }
    }
    throw new Error("redis-server does not answer");
  }

  /** Sends it a signal: `"SIGSTOP"`, `"SIGCONT"`. */
  signal(name: Deno.Signal): void {
    this.#child?.kill(name);
  }

  /** Kills it; what it knew is gone. */
  async kill(): Promise<void> {
    const child = this.#child;
    this.#child = undefined;
    child?.kill("SIGKILL");
    await child?.status;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
  }
}

/** One connection. */
export interface RedisClient extends Disposable {
  send(command: string[]): Promise<unknown>;
}

type Reply = { value: unknown; next: number } | undefined;

/** Connects. An answer that is an error rejects; so does a connection that has ended. */
export async function connect(port: number): Promise<RedisClient> {
  const socket = await Deno.connect({ hostname: "127.0.0.1", port });
  socket.setNoDelay(true);
  const waiting: { resolve(value: unknown): void; reject(error: unknown): void }[] = [];
  let ended: Error | undefined;
  const end = (error: Error) => {
    ended ??= error;
    for (const { reject } of waiting.splice(0)) reject(ended);
  };
  const read = async () => {
    let bytes = new Uint8Array();
    for await (const chunk of socket.readable) {
      const all = new Uint8Array(bytes.length + chunk.length);
      all.set(bytes);
      all.set(chunk, bytes.length);
      bytes = all;
      for (let reply; (reply = parse(bytes, 0));) {
        bytes = bytes.slice(reply.next);
        const { resolve, reject } = waiting.shift()!;
        reply.value instanceof Error ? reject(reply.value) : resolve(reply.value);
      }
    }
  };
  read().catch(() => {}).finally(() => end(new Error("The connection has ended")));
  const writer = socket.writable.getWriter();
  const encoder = new TextEncoder();
  return {
    send(command) {
      if (ended) return Promise.reject(ended);
      return new Promise((resolve, reject) => {
        waiting.push({ resolve, reject });
        const parts = command.map((part) => `$${encoder.encode(part).length}\r\n${part}\r\n`);
        writer.write(encoder.encode(`*${command.length}\r\n${parts.join("")}`)).catch(end);
      });
    },
    [Symbol.dispose]() {
      end(new Error("The connection was closed"));
      try {
        socket.close();
      } catch {
        // The other side was first.
      }
    },
  };
}

function parse(bytes: Uint8Array, from: number): Reply {
  const end = bytes.indexOf(13, from);
  if (end < 0 || end + 1 >= bytes.length) return undefined;
  const text = new TextDecoder().decode(bytes.subarray(from + 1, end));
  const next = end + 2;
  switch (String.fromCharCode(bytes[from])) {
    case "+":
      return { value: text, next };
    case "-":
      return { value: new Error(text), next };
    case ":":
      return { value: Number(text), next };
    case "$": {
      const length = Number(text);
      if (length < 0) return { value: null, next };
      if (bytes.length < next + length + 2) return undefined;
      const value = new TextDecoder().decode(bytes.subarray(next, next + length));
      return { value, next: next + length + 2 };
    }
    case "*": {
      const value: unknown[] = [];
      let at = next;
      for (let i = 0; i < Number(text); i++) {
        const item = parse(bytes, at);
        if (!item) return undefined;
        value.push(item.value);
        at = item.next;
      }
      return { value, next: at };
    }
  }
  throw new Error(`The reply is not understood: ${text}`);
}
