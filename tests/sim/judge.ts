/**
 * Holds the venue's log against what the user was told.
 *
 * @module
 */

import { type Exchange, type Item, SECRET } from "./exchange.ts";
import { ALWAYS } from "./history.ts";
import type { Told, Verdict } from "./told.ts";
import { CLOSE_TIMEOUT } from "./trader.ts";

/** A feed, as far as its subscriptions go. */
interface Subscribed {
  readonly state: string;
  readonly subscriptions: ReadonlyMap<unknown, unknown>;
}

/** How the venue's log must look for a verdict to be true. */
const TRUE: Record<string, (executions: number, hasArrived: boolean) => boolean> = {
  found: (executions) => executions === 1,
  rejected: (executions) => executions === 0,
  absent: (executions) => executions === 0,
  "not-sent": (executions, hasArrived) => executions === 0 && !hasArrived,
  unknown: () => true,
};

/** A feed may name a moment this much too late, in milliseconds: timers fire early and late. */
const BLUR = 5;

/** Looks for broken promises. */
export class Judge {
  /** What is wrong, in words. */
  readonly faults: string[] = [];
  readonly #exchange: Exchange;
  readonly #told: Told;
  readonly #limit: { limit: number; period: number };

  constructor(exchange: Exchange, told: Told, limit: { limit: number; period: number }) {
    this.#exchange = exchange;
    this.#told = told;
    this.#limit = limit;
  }

  /** Every call has settled by its own timeouts, with nothing closed for it. */
  settled(): void {
    for (const what of this.#told.pending) {
      this.faults.push(`${what} has not settled in the calm`);
    }
  }

  /**
   * What is subscribed is held by the venue, once for each feed, and nothing else is.
   *
   * @param feeds The feeds, by name, in a calm world in which no connection replaces another.
   * @returns What is wrong, in words.
   */
  held(feeds: Record<string, Subscribed>): string[] {
    const faults: string[] = [];
    const wanted: string[] = [];
    for (const [name, { state, subscriptions }] of Object.entries(feeds)) {
      if (state !== "live") faults.push(`${name} is ${state} in the calm, not live`);
      wanted.push(...subscriptions.values() as Iterable<string>);
    }
    // A connection that the venue keeps silent was left long ago: the venue does not see that.
    const clients = this.#exchange.venue.feed.clients.filter(({ isSilent }) => !isSilent);
    const held = clients.flatMap(({ held }) => [...held]);
    for (const symbol of new Set([...wanted, ...held])) {
      const times = (of: string[]) => of.filter((one) => one === symbol).length;
      if (times(held) === times(wanted)) continue;
      faults.push(`the venue holds ${symbol} ${times(held)} times, wanted ${times(wanted)}`);
    }
    return faults;
  }

  /** All that can be said once everything is closed. */
  all(timers: number): void {
    if (timers > 0) this.faults.push(`${timers} timers are left`);
    for (const what of this.#told.pending) this.faults.push(`${what} has not settled`);
    for (const what of this.#told.unhandled) this.faults.push(`unhandled: ${what}`);
    for (const verdict of this.#told.verdicts) this.#order(verdict);
    this.#starts();
    this.#items();
    this.#secrets();
  }

  #order({ name, outcome, error, broker, at }: Verdict): void {
    const executions = this.#exchange.book.get(name)?.executions ?? 0;
    if (executions > 1) this.faults.push(`${name} was executed ${executions} times`);
    if (outcome === undefined) return; // told as pending
    // An order that a 401 refused is sent again; its outcome is that of the last request.
    const { arrived, refused } = this.#exchange;
    const isTrue = TRUE[outcome]?.(executions, arrived.has(name) && !refused.has(name)) ?? false;
    if (!isTrue) this.faults.push(`${name} is told "${outcome}", executed ${executions} times`);
    const waited = at! - (this.#told.closedAt.get(broker ?? -1) ?? -Infinity);
    if (outcome === "unknown" && error?.kind === "closed" && waited < CLOSE_TIMEOUT - BLUR) {
      this.faults.push(`${name} is unknown ${waited} ms after close()`);
    }
    const isStopped = error?.kind === "aborted" || error?.kind === "closed";
    if (outcome === "unknown" && !isStopped && error?.cause === undefined) {
      this.faults.push(`${name} is unknown, and nothing says why`);
    }
  }

  /** No window holds more starts than the limit. */
  #starts(): void {
    const { starts } = this.#told;
    const { limit, period } = this.#limit;
    for (let i = limit; i < starts.length; i++) {
      const span = starts[i] - starts[i - limit];
      if (span < period) this.faults.push(`${limit + 1} starts within ${span} ms`);
    }
  }

  /** Each item of the lasting subscriptions came once and in order, or lies in a gap. */
  #items(): void {
    const { items, gaps } = this.#told;
    const open = gaps.filter(({ filled }) => !filled);
    const shifts = this.#shifts();
    const isTold = ({ at }: Item) =>
      open.some(({ since, until }) => since - shifts - BLUR <= at && at <= until + shifts + BLUR);
    const seen = new Set<number>();
    const latest = new Map<string, number>();
    for (const item of items) {
      const { seq, symbol } = item;
      if (seen.has(seq)) this.faults.push(`item ${seq} came twice`);
      seen.add(seq);
      // An item that was told as missing may come late, with a later backfill.
      if (!ALWAYS.includes(symbol) || isTold(item)) continue;
      const before = latest.get(symbol) ?? 0;
      if (seq < before) this.faults.push(`item ${seq} of ${symbol} came after ${before}`);
      latest.set(symbol, seq);
    }
    for (const item of this.#exchange.items) {
      if (!ALWAYS.includes(item.symbol) || seen.has(item.seq) || isTold(item)) continue;
      this.faults.push(`item ${item.seq} of ${item.symbol} is missing, and no gap tells of it`);
    }
  }

  /** By how much the wall clock was set in all: gaps are told by it. */
  #shifts(): number {
    const shifts = this.#told.trace.flatMap((line) =>
      /"shift","by":(-?[\d.]+)/.exec(line)?.[1] ?? []
    );
    return shifts.reduce((sum, by) => sum + Math.abs(Number(by)), 0);
  }

  #secrets(): void {
    for (const line of this.#told.trace) {
      if (line.includes(SECRET) || /token-\d+-of/.test(line)) {
        this.faults.push(`a secret is shown: ${line}`);
      }
    }
    for (const { error } of this.#told.verdicts) {
      const text = JSON.stringify([error, error?.body, error?.url, error?.code, error?.message]);
      if (text.includes(SECRET) || /token-\d+-of/.test(text)) {
        this.faults.push(`a secret is shown: ${text}`);
      }
    }
  }
}
