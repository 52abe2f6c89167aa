/**
 * The one error of a feed, and how a connection ended. Internal: `feeder.ts` exports both.
 *
 * @module
 */

/**
 * Facts that a {@linkcode FeedError} carries beside its message.
 *
 * @example An error that ends the feed
 * ```ts
 * import { FeedError, type FeedErrorOptions } from "@aio-trader/core/feeder";
 * import { assertEquals } from "@std/assert";
 *
 * const forGood: FeedErrorOptions = { fatal: true, cause: "the key was revoked" };
 * assertEquals(new FeedError("Cannot log in", forGood).retriable, false);
 * ```
 */
export interface FeedErrorOptions extends ErrorOptions {
  /**
   * Whether another attempt is pointless.
   *
   * @default {false}
   */
  fatal?: boolean;
  /**
   * How long the connection had been live, in milliseconds.
   *
   * @default {0}
   */
  uptime?: number;
  /** How the connection ended. */
  ending?: Ending;
}

/**
 * Says that something went wrong in a feed.
 *
 * - An error that ends the feed rejects `connect()`, and `closed` resolves to it.
 * - Any other error is told to the listeners of `error` only.
 * - `retry` repeats an attempt unless its error is fatal, and counts anew after a long `uptime`.
 *
 * @example A login that is refused for good
 * ```ts
 * import { FeedError } from "@aio-trader/core/feeder";
 * import { assertEquals } from "@std/assert";
 *
 * const expired = new FeedError("Cannot log in: the token has expired", { fatal: true });
 *
 * assertEquals(expired.retriable, false);
 * assertEquals(new FeedError("Cannot log in: no answer").retriable, true);
 * ```
 */
export class FeedError extends Error {
  /** Always `"FeedError"`. */
  override readonly name: string = "FeedError";
  /** Whether another attempt is pointless. */
  readonly fatal: boolean;
  /** How long the connection had been live, in milliseconds. */
  readonly uptime: number;
  /** How the connection ended, where one did. */
  readonly ending?: Ending;

  /**
   * Makes an error of a feed.
   *
   * @param message The fault, its state and the state that was wanted.
   * @param options The cause, and facts about the connection.
   */
  constructor(message: string, options: FeedErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.fatal = options.fatal ?? false;
    this.uptime = options.uptime ?? 0;
    this.ending = options.ending;
  }

  /** Whether `retry` may try again: the opposite of `fatal`. */
  get retriable(): boolean {
    return !this.fatal;
  }
}

/**
 * How a connection ended.
 *
 * @example A venue that says why it closes
 * ```ts
 * import type { Ending } from "@aio-trader/core/feeder";
 * import { SimulatedVenue, VirtualTime } from "@aio-trader/core/testing";
 * import { WebSocketFeeder } from "@aio-trader/core/websocket-feeder";
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
 * }
 *
 * const endings: Ending[] = [];
 * const feed = new Feed({ baseWait: 100 });
 * feed.on("retry", ({ ending }) => endings.push(ending));
 * void feed.connect();
 * await time.pass(500);
 * venue.feed.drop(1012, "Service restart");
 * await time.pass(500);
 *
 * assertEquals([endings[0].code, endings[0].reason], [1012, "Service restart"]);
 * await Promise.all([feed.close(), time.pass(5_000)]);
 * ```
 */
export interface Ending {
  /** The close code, 1006 where the runtime gave none. */
  code: number;
  /** The venue's reason. Where the feed itself ended the connection, the feed's reason. */
  reason: string;
  /** Whether both sides agreed to close. */
  clean: boolean;
  /** Whether the connection had been open. */
  opened: boolean;
  /** The HTTP status that refused the upgrade. Browsers do not tell it. */
  status?: number;
  /** How long the refusal of the upgrade asks to wait, in milliseconds. Only Node tells it. */
  retryAfter?: number;
  /** The error of the venue's class, where that error ended the connection. */
  cause?: unknown;
}
