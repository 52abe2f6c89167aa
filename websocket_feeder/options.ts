/**
 * The options of a feed, their defaults and their checks. Internal.
 *
 * @module
 */

import { checkFunction, checkNumber, checkSignal, refuse } from "../common/check.ts";
import type { RateLimiter } from "../throttler.ts";
import type { Frame } from "./connection.ts";

/** Where a feed dials: what {@linkcode WebSocketFeeder.endpoint} returns. */
export interface Endpoint {
  /** The address, `ws:` or `wss:`. */
  url: string | URL;
  /** The subprotocols to offer. */
  protocols?: string | string[];
  /** The headers of the upgrade request. Browsers cannot send any, Deno from 2.5 on. */
  headers?: Record<string, string>;
}

/** Options of {@linkcode WebSocketFeeder}. Every duration is in milliseconds. */
export interface WebSocketFeederOptions {
  /**
   * Longest time from the start of an attempt until it is live: endpoint, dial and handshake. The
   * wait for `dials` does not count. `Infinity` sets no limit.
   *
   * @default {10_000}
   */
  connectTimeout?: number;
  /**
   * Longest time that `close()` waits: for the answers that are due, then for the venue to answer
   * the close frame. `0` does not wait.
   *
   * @default {2_000}
   */
  closeTimeout?: number;
  /**
   * How long no frame at all may come before the connection is replaced, noticed at most an eighth
   * later. Choose more than the venue's own heartbeat: a quiet market is not silence. `0` is off.
   *
   * @default {0}
   */
  staleAfter?: number;
  /**
   * How often the frame of `ping()` is sent. A class with a `ping()` needs it, and none without may
   * have it. `0` is off, and turns off the ping of such a class.
   *
   * @default {0}
   */
  pingInterval?: number;
  /**
   * How long a connection may be live before it is replaced, for venues that end it after a while:
   * choose less than theirs. The new connection is live and subscribed before the old one is
   * dropped, so nothing is lost. Items that both deliver come twice, unless `identify` tells them
   * apart. `0` is off.
   *
   * @default {0}
   */
  maxLifetime?: number;
  /**
   * How long a replaced connection goes on beside its replacement, once that has asked for all
   * subscriptions: enough for the venue to begin. It goes on longer while it alone delivers. After
   * the swap it is heard for the same time again, for the answers that are due.
   *
   * @default {1_000}
   */
  overlap?: number;
  /**
   * How long the venue may take to confirm a subscription, with `confirm()`. A subscription that is
   * late is asked for again after one and two more of this time, doubled; then it is reported to
   * `error` and the connection is replaced. `0` is for venues that confirm nothing.
   *
   * @default {0}
   */
  confirmTimeout?: number;
  /**
   * How long a subscription may deliver nothing on a healthy connection before it is asked for again,
   * in milliseconds: a number, or a function of the subscription. The class must have `keyOf`.
   * Noticed at most an eighth later; a subscription that stays quiet is asked for again after two,
   * four … times as long. Choose more than a quiet market needs. `0` is off.
   *
   * @default {0}
   */
  quietAfter?: number | ((subscription: never) => number);
  /**
   * Longest time for all attempts of one `backfill`. Items that the new connection delivers wait
   * meanwhile. `Infinity` sets no limit.
   *
   * @default {30_000}
   */
  backfillTimeout?: number;
  /**
   * Repeats after the first attempt, counted anew once a connection has been live for
   * `resetRetryAfter`. `0` never repeats, `Infinity` never gives up.
   *
   * @default {Infinity}
   */
  maxRetries?: number;
  /**
   * Wait before the first repeat; it doubles with each one. `0` repeats at once.
   *
   * @default {500}
   */
  baseWait?: number;
  /**
   * Longest wait between two attempts, and between two repairs of one subscription. A `retryAfter`
   * of the venue may be longer. `Infinity` sets no limit.
   *
   * @default {30_000}
   */
  maxWait?: number;
  /**
   * How long a connection must have been live for its loss to start the count and the waits again,
   * and how long a subscription must have been left alone for its next repair to be the first.
   *
   * @default {30_000}
   */
  resetRetryAfter?: number;
  /**
   * How much of each wait between two attempts is left to chance, from `0` to `1`.
   *
   * @default {1}
   */
  jitter?: number;
  /**
   * Paces every frame that goes out, over all connections: subscriptions, pings, and the frames of
   * `send` and `ask`, which go first. Off unless given.
   *
   * It holds where frames leave us. On the way two may come closer together (Deno's sockets alone
   * make up to 40 ms of it, as they wait for an answer before a small second frame), so leave a
   * margin: for 5 per second, `{ limit: 5, period: 1_100 }`.
   */
  pace?: Pick<RateLimiter, "run">;
  /**
   * Paces attempts to connect, for venues that limit them: several feeds may share it. Off unless
   * given.
   */
  dials?: Pick<RateLimiter, "run">;
  /** Closes the feed when it aborts. */
  signal?: AbortSignal;
  /**
   * Told every frame that comes in, before `receive`, and every frame that goes out, and over which
   * connection, counted from 1.
   */
  tap?(direction: "in" | "out", data: Frame, attempt: number): void;
}

type Optional = "pace" | "dials" | "signal" | "tap" | "pingInterval";

/** The options of a feed, complete. */
export type FeedOptions =
  & Required<Omit<WebSocketFeederOptions, Optional>>
  & Pick<WebSocketFeederOptions, Optional>;

const TASK = "Cannot make a feed";

/**
 * Fills in the defaults and checks every option.
 *
 * @param options The options as they were given.
 * @returns The options, complete. `pingInterval` stays undefined where it was not given.
 * @throws {RangeError} If a number is out of its range.
 * @throws {TypeError} If an option is of the wrong type.
 */
export function complete(options: WebSocketFeederOptions = {}): FeedOptions {
  if (typeof options !== "object" || options === null) {
    refuse(TASK, "options", options, "an object");
  }
  const {
    connectTimeout = 10_000,
    closeTimeout = 2_000,
    staleAfter = 0,
    pingInterval,
    maxLifetime = 0,
    overlap = 1_000,
    confirmTimeout = 0,
    quietAfter = 0,
    backfillTimeout = 30_000,
    maxRetries = Infinity,
    baseWait = 500,
    maxWait = 30_000,
    resetRetryAfter = 30_000,
    jitter = 1,
    pace,
    dials,
    signal,
    tap,
  } = options;
  const durations = {
    closeTimeout,
    staleAfter,
    maxLifetime,
    overlap,
    confirmTimeout,
    backfillTimeout,
    baseWait,
    maxWait,
    resetRetryAfter,
  };
  checkNumber(TASK, "connectTimeout", connectTimeout, { above: true, unit: "milliseconds" });
  for (const [name, value] of Object.entries({ ...durations, pingInterval: pingInterval ?? 0 })) {
    checkNumber(TASK, name, value, { unit: "milliseconds" });
  }
  if (typeof quietAfter !== "function") {
    checkNumber(TASK, "quietAfter", quietAfter, { unit: "milliseconds" });
  }
  checkNumber(TASK, "maxRetries", maxRetries, { integer: true });
  checkNumber(TASK, "jitter", jitter, { max: 1 });
  for (const [name, value] of Object.entries({ pace, dials })) {
    if (value !== undefined && typeof value?.run !== "function") {
      refuse(TASK, name, value, "a RateLimiter");
    }
  }
  checkSignal(TASK, "signal", signal);
  checkFunction(TASK, "tap", tap);
  return {
    connectTimeout,
    ...durations,
    quietAfter,
    pingInterval,
    maxRetries,
    jitter,
    pace,
    dials,
    signal,
    tap,
  };
}
