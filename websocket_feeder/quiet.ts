/**
 * Finds subscriptions that deliver nothing on a healthy connection. Internal.
 *
 * The watch counts ticks and compares no clocks, so that a process that was suspended finds nothing
 * quiet when it goes on.
 *
 * @module
 */

import { MAX_TIMER } from "../platform/max_timer.ts";

/** Ticks in one `quietAfter`: a quiet subscription is found at most one tick late. */
const TICKS = 8;

/** A subscription that stays quiet is told again after 2, 4, … times `quietAfter`, at most this. */
const MOST = 64;

/** Subscriptions with the same `quietAfter`, and the timer that they share. */
interface Group {
  readonly quietAfter: number;
  readonly keys: Set<unknown>;
  ticks: number;
  timer: ReturnType<typeof setInterval> | undefined;
}

/** A subscription that is watched. */
interface Watched {
  readonly group: Group;
  /** The tick of the group at which the subscription delivered last, or was asked for. */
  heard: number;
  /** By how much more silence is allowed than `quietAfter`. */
  factor: number;
}

/** Watches subscriptions, by key, while the feed is live. */
export class QuietWatch {
  readonly #found: (key: unknown, duration: number) => void;
  readonly #watched = new Map<unknown, Watched>();
  /** By `quietAfter`: one timer for each different value. */
  readonly #groups = new Map<number, Group>();
  #isRunning = false;

  /**
   * Makes a watch that watches nothing.
   *
   * @param found Called with the key of a quiet subscription, and how long it has been quiet at
   *   least.
   */
  constructor(found: (key: unknown, duration: number) => void) {
    this.#found = found;
  }

  /**
   * Watches a subscription from now on. One that is asked for again has been quiet as often as
   * before.
   *
   * @param key The key of the subscription.
   * @param quietAfter How long it may deliver nothing, in milliseconds; `0` and `Infinity` watch
   *   nothing.
   */
  watch(key: unknown, quietAfter: number): void {
    const { factor } = this.#watched.get(key) ?? { factor: 1 };
    this.forget(key);
    if (!(quietAfter > 0 && quietAfter < Infinity)) return;
    const group = this.#groups.get(quietAfter) ??
      { quietAfter, keys: new Set(), ticks: 0, timer: undefined };
    this.#groups.set(quietAfter, group);
    group.keys.add(key);
    this.#watched.set(key, { group, heard: group.ticks, factor });
    if (this.#isRunning) this.#wind(group);
  }

  /** Watches a subscription no more. */
  forget(key: unknown): void {
    const group = this.#watched.get(key)?.group;
    if (!group) return;
    this.#watched.delete(key);
    group.keys.delete(key);
    if (group.keys.size > 0) return;
    clearInterval(group.timer);
    this.#groups.delete(group.quietAfter);
  }

  /** Notes that a subscription has delivered. */
  hear(key: unknown): void {
    const watched = this.#watched.get(key);
    if (!watched) return;
    watched.heard = watched.group.ticks;
    watched.factor = 1;
  }

  /** Counts from now on: the feed is live. */
  start(): void {
    this.#isRunning = true;
    for (const watched of this.#watched.values()) watched.heard = watched.group.ticks;
    for (const group of this.#groups.values()) this.#wind(group);
  }

  /** Counts no more: the feed is not live. */
  stop(): void {
    this.#isRunning = false;
    for (const group of this.#groups.values()) {
      clearInterval(group.timer);
      group.timer = undefined;
    }
  }

  #wind(group: Group): void {
    const tick = Math.min(group.quietAfter / TICKS, MAX_TIMER);
    group.timer ??= setInterval(() => this.#count(group), tick);
  }

  #count(group: Group): void {
    group.ticks++;
    for (const key of group.keys) {
      const watched = this.#watched.get(key)!;
      if (group.ticks - watched.heard <= TICKS * watched.factor) continue;
      const duration = group.quietAfter * watched.factor;
      watched.heard = group.ticks;
      watched.factor = Math.min(watched.factor * 2, MOST);
      this.#found(key, duration);
    }
  }
}
