/**
 * Makes up for the time between two connections of a feed. Internal.
 *
 * A loss opens a gap, from the last frame that was certainly heard. The gap ends once the next
 * connection is subscribed to everything: later items arrive by themselves, and the venue can be
 * asked for earlier ones. If another connection is lost meanwhile, the gap grows.
 *
 * Items of a new connection wait from the moment at which the connection is live, so that the items
 * of the backfill come first. Each waiting item is in the list, or in the span that the list has
 * dropped. So no item is lost without a word.
 *
 * @module
 */

import { FeedError, type FeedEvents } from "../feeder.ts";
import { MAX_TIMER } from "../platform/max_timer.ts";
import { retry } from "../retry.ts";

/** Most items that wait while a backfill runs. Another item drops the oldest. */
export const CAPACITY = 65_536;

/**
 * A time in which a feed may have missed items, in epoch milliseconds.
 *
 * @example A backfill by REST
 * ```ts
 * import { SimulatedVenue, VirtualTime } from "@aio-trader/core/testing";
 * import { type Gap, WebSocketFeeder } from "@aio-trader/core/websocket-feeder";
 * import { assertEquals } from "@std/assert";
 *
 * using time = new VirtualTime();
 * const venue = new SimulatedVenue();
 * class Feed extends WebSocketFeeder<string> {
 *   protected override endpoint() {
 *     return venue.wsUrl;
 *   }
 *   protected override createSocket(url: string) {
 *     return venue.createSocket(url);
 *   }
 *   protected override request(_: "subscribe" | "unsubscribe", [symbol]: string[]) {
 *     return symbol;
 *   }
 *   protected override receive(frame: string | ArrayBuffer) {
 *     this.emit(String(frame));
 *   }
 *   protected override backfill({ since, until }: Gap) {
 *     return [`what came from ${since} to ${until}`]; // asked for by REST, in truth
 *   }
 * }
 *
 * const feed = new Feed({ baseWait: 100, overlap: 0 });
 * const items: string[] = [];
 * feed.on("item", (item) => items.push(item));
 * void feed.connect();
 * await time.pass(1_000);
 * venue.feed.drop(1012);
 * await time.pass(1_000);
 *
 * assertEquals(items.length, 1);
 * await Promise.all([feed.close(), time.pass(5_000)]);
 * ```
 */
export interface Gap {
  /** The last moment at which the feed had certainly missed nothing. */
  since: number;
  /**
   * The moment at which the feed had asked for everything again, and the venue had confirmed
   * everything. For a venue that confirms nothing, a moment `overlap` after the last request. Where
   * the venue leaves a subscription unconfirmed after three requests: that moment, and another gap
   * begins there.
   */
  until: number;
}

/** What a recovery needs of its feed. */
export interface Recovering<T> {
  /** Asks the venue; nothing where the class cannot. */
  readonly backfill:
    | ((gap: Gap, signal: AbortSignal) => Iterable<T> | Promise<Iterable<T>>)
    | undefined;
  /** Delivers an item, unless it was delivered before. */
  deliver(item: T): void;
  /** Tells of a gap. */
  tell(event: FeedEvents<T>["gap"]): void;
}

/** How long a recovery may take, in milliseconds. */
export interface RecoveryOptions {
  /** Longest time for all attempts to fill one gap, those before another loss included. */
  backfillTimeout: number;
  /** Wait before the second attempt; it doubles with each one. */
  baseWait: number;
}

/** Items that wait, bounded. */
class Held<T> {
  #items: { item: T; at: number }[] = [];
  #head = 0;
  /** The time in which the dropped items came. */
  dropped: Gap | undefined;

  push(item: T, at: number = Date.now()): void {
    this.#items.push({ item, at });
    if (this.#items.length - this.#head <= CAPACITY) return;
    const { at: until } = this.#items[this.#head++];
    this.dropped = { since: this.dropped?.since ?? until, until };
    if (this.#head < CAPACITY) return;
    this.#items = this.#items.slice(this.#head);
    this.#head = 0;
  }

  shift(): { item: T; at: number } | undefined {
    return this.#items[this.#head++];
  }
}

/** Fills the gaps of a feed, or tells of them. */
export class Recovery<T> {
  readonly #host: Recovering<T>;
  readonly #options: RecoveryOptions;
  /** Since when something may be missing. */
  #since: number | undefined;
  /** Whether that began in the middle of a connection, so that nothing waits for it. */
  #isPart = false;
  /** Items that wait for the gap to be filled. */
  #held: Held<T> | undefined;
  /** Items behind those, before which a gap may open yet. */
  #doubted: Held<T> | undefined;
  #isReleasing = false;
  /** Ends the running backfill. */
  #filling: AbortController | undefined;
  /** The `performance.now()` at which that backfill began. */
  #began = 0;
  /** How long this gap was asked about before its last loss, in milliseconds. */
  #spent = 0;

  /**
   * Makes the recovery of a feed.
   *
   * @param host The feed.
   * @param options How long it may take.
   */
  constructor(host: Recovering<T>, options: RecoveryOptions) {
    this.#host = host;
    this.#options = options;
  }

  /**
   * Opens a gap, or makes the one that is open grow.
   *
   * @param since The last moment at which the lost connection was certainly heard, in epoch
   *   milliseconds.
   */
  lose(since: number): void {
    this.#since = Math.min(since, this.#since ?? Infinity);
    this.#isPart = false;
    this.#stop();
    this.#settle();
  }

  /** Has items wait, if there is a gap to fill before them. */
  resume(): void {
    if (this.#since !== undefined && this.#host.backfill) this.#held ??= new Held();
  }

  /** Has items wait, as a gap may open before them. */
  doubt(): void {
    if (this.#host.backfill) this.#doubted ??= new Held();
  }

  /** Ends the doubt: no gap opens. */
  trust(): void {
    if (!this.#doubted) return;
    this.#settle();
    if (this.#since === undefined || this.#isPart) this.#release();
  }

  /** Whether no item waits. */
  get isIdle(): boolean {
    return this.#doubted === undefined && this.#held === undefined;
  }

  /**
   * Decides about an item.
   *
   * @param item An item of a connection.
   * @returns Whether it waits.
   */
  holds(item: T): boolean {
    const queue = this.#doubted ?? this.#held;
    queue?.push(item);
    return queue !== undefined;
  }

  /**
   * Fills the gap, if there is one, and tells how the filling ended. Called when all is subscribed
   * again.
   *
   * @param isPart Whether the venue has left subscriptions unconfirmed. Another gap then opens where
   *   this one ends, and nothing waits for it.
   */
  async fill(isPart = false): Promise<void> {
    if (this.#since === undefined || this.#filling) return;
    this.resume();
    this.#isPart = false;
    const gap: Gap = { since: this.#since, until: Date.now() };
    const { backfill } = this.#host;
    if (!backfill) return this.#close({ ...gap, filled: false }, isPart);
    const filling = this.#filling = new AbortController();
    // Connections that are lost again and again must not make the items wait for ever.
    const left = Math.max(0, this.#options.backfillTimeout - this.#spent);
    const timer = left === Infinity
      ? undefined
      : setTimeout(() => filling.abort(), Math.min(left, MAX_TIMER));
    this.#began = performance.now();
    const { items, cause } = await this.#ask(backfill, gap, filling);
    clearTimeout(timer);
    if (this.#filling !== filling) return; // another loss: the gap has grown, the items still wait
    this.#filling = undefined;
    for (const item of items ?? []) this.#host.deliver(item);
    this.#close({ ...gap, filled: items !== undefined, ...(!items && { cause }) }, isPart);
  }

  /** Tells of a gap that is still open, as the feed has ended. */
  end(): void {
    this.#stop();
    this.#held = this.#doubted = undefined;
    if (this.#since !== undefined) {
      this.#close({ since: this.#since, until: Date.now(), filled: false });
    }
  }

  /** Puts the items in doubt behind those that wait. */
  #settle(): void {
    const doubted = this.#doubted;
    if (!doubted) return;
    this.#doubted = undefined;
    const held = this.#held ??= new Held();
    for (let next; (next = doubted.shift());) held.push(next.item, next.at);
    const { dropped } = doubted;
    if (dropped) {
      held.dropped = { since: held.dropped?.since ?? dropped.since, until: dropped.until };
    }
  }

  /** Ends the running backfill. Its answer is no longer wanted. */
  #stop(): void {
    if (this.#filling) this.#spent += performance.now() - this.#began;
    this.#filling?.abort();
    this.#filling = undefined;
  }

  #close(event: FeedEvents<T>["gap"], isPart = false): void {
    this.#since = isPart ? event.until : undefined;
    this.#isPart = isPart;
    this.#spent = 0;
    this.#host.tell(event);
    this.#release();
  }

  /** Delivers the items that have waited. An item that comes meanwhile waits behind them. */
  #release(): void {
    const held = this.#held;
    if (!held || this.#isReleasing) return;
    this.#isReleasing = true;
    if (held.dropped) this.#host.tell({ ...held.dropped, filled: false });
    for (let next; (next = held.shift());) this.#host.deliver(next.item);
    this.#isReleasing = false;
    this.#held = undefined;
  }

  /** Asks until the venue has answered, for `backfillTimeout` at most. */
  async #ask(
    backfill: NonNullable<Recovering<T>["backfill"]>,
    gap: Gap,
    { signal }: AbortController,
  ): Promise<{ items?: T[]; cause?: unknown }> {
    let cause: unknown = new FeedError("Cannot fill the gap: backfill() gave no answer in time");
    const { promise: stopped, reject } = Promise.withResolvers<never>();
    signal.addEventListener("abort", () => reject());
    const ask = retry(async () => [...await backfill(gap, signal)], {
      maxRetries: Infinity,
      baseWait: this.#options.baseWait,
      maxWait: Infinity,
      jitter: 0.5,
      signal,
      shouldRetry: () => true,
      onRetry: ({ error }) => cause = error,
      close: false,
    });
    try {
      return { items: await Promise.race([ask(), stopped]) };
    } catch {
      return { cause };
    }
  }
}
