/**
 * Everything that the user of the simulation was told: verdicts, events, items.
 *
 * @module
 */

import type { AbstractFeeder, BrokerError, SessionEvent } from "../../mod.ts";
import type { Item, Order } from "./exchange.ts";

/** What became of an order, as the user was told. */
export interface Verdict {
  name: string;
  /** `"found"` or the outcome of the error; nothing while the promise is pending. */
  outcome?: "found" | BrokerError["outcome"];
  error?: BrokerError;
  /** The broker that sent it, if one did. */
  broker?: number | undefined;
  /** When the verdict came, by `performance.now`. */
  at?: number;
}

/** A gap, as a feed told it. */
export interface ToldGap {
  since: number;
  until: number;
  filled: boolean;
}

/** Takes down what is told. */
export class Told {
  readonly trace: string[] = [];
  readonly counts = new Map<string, number>();
  readonly verdicts: Verdict[] = [];
  readonly items: Item[] = [];
  readonly gaps: ToldGap[] = [];
  /** When the shared throttler let a request start, by `performance.now`. */
  readonly starts: number[] = [];
  /** When the user closed a broker, by its number. */
  readonly closedAt = new Map<number, number>();
  /** Promises that have not settled. */
  readonly pending = new Set<string>();
  readonly unhandled: string[] = [];
  #ids = 0;

  /** Adds a line to the trace. */
  say(...words: unknown[]): void {
    this.trace.push(`${Math.round(performance.now())} ${words.join(" ")}`);
  }

  count(what: string): void {
    this.counts.set(what, (this.counts.get(what) ?? 0) + 1);
  }

  /** The listener of a session. */
  ofSession(id: number): (event: SessionEvent) => void {
    return (event) => {
      const { type, call, method, url, attempt, ...rest } = event;
      if (type === "request") this.starts.push(performance.now());
      const words = "error" in rest ? `${rest.error.outcome} ${rest.error.message}` : "";
      this.say(`session ${id}`, type, `call ${call}.${attempt}`, method, url, words);
    };
  }

  /** Listens to a feed. */
  ofFeed(name: string, feed: AbstractFeeder<Item>): void {
    feed.on("error", ({ message }) => this.say(name, "error", message));
    feed.on("retry", ({ delay, ending }) => {
      this.count("reconnect");
      this.say(name, "retry", Math.round(delay), ending.code, ending.reason);
    });
    feed.on("subscribed", ({ count }) => this.say(name, "subscribed", count));
    if (name !== "feed") return;
    feed.on("gap", (gap) => {
      this.count(gap.filled ? "gap filled" : "gap not filled");
      this.gaps.push(gap);
      this.say(name, "gap", gap.filled, gap.cause ?? "");
    });
    feed.on("item", (item) => {
      this.items.push(item);
      this.say(name, "item", item.seq);
    });
  }

  /** Waits for the fate of an order. */
  order(name: string, promise: Promise<Order>, broker?: number): void {
    const verdict: Verdict = { name, broker };
    this.verdicts.push(verdict);
    const told = promise.then((order) => {
      verdict.outcome = "found";
      if (order.name !== name) this.say("WRONG ORDER", name, order.name);
    }, (error) => {
      verdict.outcome = error.outcome ?? "no outcome";
      verdict.error = error;
    }).then(() => {
      verdict.at = performance.now();
      this.count(`verdict ${verdict.outcome}`);
      this.say("order", name, verdict.outcome, verdict.error?.message ?? "");
    });
    this.promise(`order ${name}`, told);
  }

  /** Waits for a promise to settle, either way. */
  promise(what: string, promise: Promise<unknown>): void {
    const id = `${what} ${++this.#ids}`;
    this.pending.add(id);
    promise.then(() => "", (error) => `${error?.outcome ?? ""} ${error?.message}`).then((words) => {
      this.pending.delete(id);
      this.say(id, "settled", words);
    });
  }
}
