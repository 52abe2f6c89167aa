/**
 * Sends the commands of one process: one at a time, numbered, each repeated until Redis answers.
 * Internal.
 *
 * @module
 */

import { type Answer, type Ask, MEMORY, SCRIPT, word } from "./script.ts";

/** Hands one command to the user's client: the whole contract between this library and a client. */
export type Send = (command: string[]) => Promise<unknown>;

/** Options of {@linkcode Wire}. */
export interface WireOptions {
  send: Send;
  /** The name of the shared count. */
  key: string;
  /** The limits, as the script reads them. */
  limits: string;
  /** How many sorted sets the limits need. */
  sets: number;
  /** Longest wait for an answer, in milliseconds. */
  timeout: number;
  /** Longest wait before a command is sent again, in milliseconds. */
  maxWait: number;
  /** Called with the moment at which `expire` is wanted. */
  alarm(at: number): void;
  /** Called after each failed attempt. Returns whether to send the command again. */
  onFailure(error: unknown): boolean;
}

/**
 * An answer. The server looked at its clock after the first sending, and before the answer came.
 */
export interface Reply {
  answer: Answer;
  sentAt: number;
  heardAt: number;
}

/** Redis refused the command, and would refuse it again. */
export class Refusal extends Error {}

/** Longest first wait before a command is sent again, in milliseconds. */
const FIRST_WAIT = 100;
/** Beginnings of answers that no repetition changes. `LIMITS` is the script's own. */
const FINAL = /^(?:\w*Error: )?(LIMITS|NOAUTH|WRONGPASS|NOPERM|WRONGTYPE|ERR) /;

/** The way to the shared count. */
export class Wire {
  /** The hash of the script, by which a server knows it. */
  static #sha: Promise<string> | undefined;
  readonly #options: WireOptions;
  readonly #keys: string[];
  #number = 0;
  /** The attempt that waits for an answer. */
  #attempt: { reject: (error: Error) => void; until: number } | undefined;
  /** The newest answer, by which the server's clock is known. */
  #last: Reply | undefined;

  /**
   * Makes a wire; nothing is sent yet.
   *
   * @param options The client and the names.
   */
  constructor(options: WireOptions) {
    const { key, sets } = options;
    this.#options = options;
    const names = ["", ":line", ":leases", ...Array.from({ length: sets }, (_, i) => `:${i + 1}`)];
    this.#keys = names.map((name) => `{${key}}${name}`); // one hash tag, so one slot of a cluster
  }

  /**
   * Sends one command and repeats it, byte for byte, until an answer comes. The script knows a
   * repetition by its number. The caller must wait for one command before it sends the next.
   *
   * @param body The command. Name and number of the count are filled in here.
   * @returns The answer, or `undefined` where `onFailure` gave up.
   * @throws {Refusal} If Redis refuses the command for good.
   */
  async ask(body: Omit<Ask, "n" | "epoch" | "seen">): Promise<Reply | undefined> {
    const { maxWait, onFailure } = this.#options;
    const sentAt = performance.now();
    const last = this.#last;
    const [epoch, seen = 0] = last?.answer ?? [];
    const isKnown = last !== undefined && sentAt - last.sentAt < MEMORY;
    const ask = { ...body, n: ++this.#number, seen, epoch: isKnown ? epoch : undefined };
    for (let wait = FIRST_WAIT;; wait = Math.min(2 * wait, maxWait)) {
      try {
        const answer = check(await this.#try(ask));
        return this.#last = { answer, sentAt, heardAt: performance.now() };
      } catch (error) {
        const [, code] = FINAL.exec(String(Object(error).message ?? error)) ?? [];
        if (code || error instanceof Refusal) throw new Refusal(inWords(code), { cause: error });
        if (!onFailure(error)) return undefined;
      }
      // Half of the wait is random, so that many processes do not come back together.
      await new Promise((resolve) => setTimeout(resolve, wait / 2 * (1 + Math.random())));
    }
  }

  /** One attempt: by the script's hash, or with its source where the server does not know it. */
  async #try(ask: Ask): Promise<unknown> {
    const sha = await (Wire.#sha ??= sha1(SCRIPT));
    const { limits } = this.#options;
    const words = word(ask, limits, this.#sure());
    const rest = [`${this.#keys.length}`, ...this.#keys, ...words];
    try {
      return await this.#send(["EVALSHA", sha, ...rest]);
    } catch (error) {
      if (!String(Object(error).message ?? error).includes("NOSCRIPT")) throw error;
      return await this.#send(["EVAL", SCRIPT, ...rest]);
    }
  }

  /** A time that the server's clock has passed for sure, in microseconds. */
  #sure(): number {
    if (!this.#last) return 0;
    const { answer, heardAt } = this.#last;
    return Math.floor(answer[1] + (performance.now() - heardAt) * 1_000);
  }

  async #send(command: string[]): Promise<unknown> {
    const { send, timeout, alarm } = this.#options;
    const until = performance.now() + timeout;
    try {
      return await new Promise((resolve, reject) => {
        this.#attempt = { reject, until };
        Promise.resolve(send(command)).then(resolve, reject);
        alarm(until);
      });
    } finally {
      this.#attempt = undefined;
    }
  }

  /** Ends the attempt that waits for an answer, if its time is over. */
  expire(): void {
    if (!this.#attempt || performance.now() < this.#attempt.until) return;
    const { timeout } = this.#options;
    const message = `Cannot ask Redis: no answer, wanted one within ${timeout} ms`;
    this.#attempt.reject(new Error(message));
  }
}

/** Says why Redis cannot be asked, and what was wanted. */
function inWords(code: string | undefined): string {
  if (code === undefined) return "send gives no answer of the script, wanted what Redis answered";
  if (code === "LIMITS") return "another process uses the key with other limits, wanted the same";
  return `Redis refuses with ${code}, wanted leave to run a script`;
}

/** Takes an answer as any client gives it: numbers may come as text or bigint, text as bytes. */
function check(value: unknown): Answer {
  if (!Array.isArray(value) || value.length < 4) {
    throw new Refusal("The answer is no array of the script, wanted what Redis answered");
  }
  const [epoch, now, wait, isLost, ...ids] = value.map((part) =>
    part instanceof Uint8Array ? new TextDecoder().decode(part) : String(part)
  );
  return [epoch, Number(now), Number(wait), Number(isLost), ...ids];
}

async function sha1(text: string): Promise<string> {
  const hash = await crypto.subtle.digest("SHA-1", new TextEncoder().encode(text));
  return Array.from(new Uint8Array(hash), (byte) => byte.toString(16).padStart(2, "0")).join("");
}
