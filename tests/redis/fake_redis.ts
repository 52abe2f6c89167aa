/**
 * A server without a server: the plain count behind a `send`, on whatever clock `performance.now`
 * and `setTimeout` are, with a way that delays, loses and repeats.
 *
 * @module
 */

import type { Ask } from "../../redis/script.ts";
import { Wire } from "../../redis/wire.ts";
import { Model, type ModelLimit } from "./model.ts";

/** What happens to a command on its way. Delays are in milliseconds. */
export interface Way {
  /** To the server, and back. */
  delay?: () => number;
  /** `"lost"`: never executed. `"cut"`: executed, the answer lost. `"twice"`: executed once more later. */
  fault?: () => "" | "lost" | "cut" | "twice";
}

/** A server that many clients share. */
export class FakeRedis {
  readonly model: Model = new Model();
  /** The counts, by their first key. */
  readonly #models = new Map([["{k}", this.model]]);
  /** What the server's clock shows beyond `performance.now`, in milliseconds. */
  skew = 1_700_000_000_000;
  /** Whether it refuses connections. */
  isDown = false;
  /** Every command, as it was sent. */
  readonly commands: string[][] = [];

  /** Makes the `send` of one client. */
  client({ delay = () => 0, fault = () => "" }: Way = {}): (c: string[]) => Promise<unknown> {
    return async (command) => {
      this.commands.push(command);
      const what = fault();
      await pause(delay());
      if (this.isDown || what === "lost") throw new Error("Connection refused");
      const answer = this.execute(command);
      if (what === "twice") setTimeout(() => this.execute(command), delay() * 3);
      await pause(delay());
      if (what === "cut") throw new Error("Connection reset");
      return answer;
    };
  }

  /** Executes one command now. */
  execute(command: string[]): unknown {
    const keys = Number(command[2]);
    const [ask, limits, sure] = read(command.slice(3 + keys));
    const model = this.#models.get(command[3]) ?? new Model();
    this.#models.set(command[3], model);
    return model.execute(
      ask,
      sure,
      limits,
      Math.floor((performance.now() + this.skew) * 1_000),
    );
  }
}

/** Reads a command as the script does. */
export function read([limits, command]: string[]): [Ask, ModelLimit[], number] {
  const [agent, n, epoch, seen, sure, isLost, lease, pause, ...rest] = JSON.parse(command);
  const [held, told, finish, finished, leave, join] = rest;
  const ask: Ask = {
    agent,
    n,
    ...(epoch !== "" && { epoch }),
    seen,
    isLost,
    lease,
    start: { held, told },
    finish: { held: finish, told: finished },
    pause,
    leave,
    join,
  };
  return [ask, JSON.parse(limits), sure];
}

function pause(duration: number): Promise<void> | undefined {
  return duration > 0 ? new Promise((resolve) => setTimeout(resolve, duration)) : undefined;
}

/** Lets the script's hash be known, which is computed outside of any clock. */
export async function warmUp(): Promise<void> {
  const wire = new Wire({
    send: () => Promise.resolve(["epoch", 0, 0, 0]),
    key: "k",
    limits: "[]",
    sets: 0,
    timeout: 1_000,
    maxWait: 1,
    alarm: () => {},
    onFailure: () => false,
  });
  const none = { held: 0, told: [] };
  const rest = { isLost: false, lease: 1, pause: 0, leave: [], join: [] };
  await wire.ask({ agent: "a", start: none, finish: none, ...rest });
}
