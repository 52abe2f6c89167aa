/**
 * Tells a venue's time, never ahead of it: for the timestamps of signed requests.
 *
 * @module
 */

import { checkNumber, refuse } from "./common/check.ts";

/**
 * Options of a {@linkcode VenueClock}.
 *
 * @example A venue that tells whole seconds
 * ```ts
 * import { VenueClock, type VenueClockOptions } from "@aio-trader/core/venue-clock";
 * import { assert } from "@std/assert";
 *
 * const options: VenueClockOptions = { resolution: 1_000 };
 * const clock = new VenueClock(() => Math.floor(Date.now() / 1_000) * 1_000, options);
 * await clock.sync();
 *
 * assert(clock.error < 1_100); // milliseconds
 * ```
 */
export interface VenueClockOptions {
  /**
   * Step of the times that the venue tells, in milliseconds: `1_000` for a venue that tells whole
   * seconds.
   *
   * @default {1}
   */
  resolution?: number | undefined;
  /**
   * How fast the venue's clock and this computer's may drift apart, in parts per million. `200` is
   * more than the quartz of a bad computer does.
   *
   * @default {200}
   */
  drift?: number | undefined;
}

/** Bounds of the offset: the venue's time less `performance.now()`, at one moment. */
interface Bounds {
  /** The moment, of `performance.now()`. */
  at: number;
  least: number;
  most: number;
}

/**
 * 2001 and 2286, in epoch milliseconds: seconds and microseconds of our days are not between them.
 */
const PLAUSIBLE = { min: 1e12, max: 1e13, unit: "epoch milliseconds" };

/**
 * A clock that shows a venue's time, and never a time that the venue has not reached.
 *
 * Venues refuse a request whose timestamp lies ahead of their own clock, and tolerate one that lies
 * a little behind. Half of a slow round trip, the usual estimate, can be ahead. This clock works
 * with bounds:
 *
 * - The venue looks at its clock at some moment between the sending and the answer. So each reading
 *   bounds the offset of the two clocks from both sides, however unequal the two ways are.
 * - The bounds of all readings are intersected, so a slow reading never spoils a quick one. Between
 *   readings they widen by `drift`.
 * - {@linkcode now} is the lower bound: never ahead of the venue's own time by more than its
 *   `resolution`.
 * - The venue's own time lies between `now()` and `now()` + {@linkcode error}.
 * - A step of this computer's wall clock changes nothing: only `performance.now()` is read.
 *   {@linkcode at} alone reads `Date.now()`.
 *
 * If a reading contradicts the bounds, then the venue's clock has been set, or this computer has
 * slept: the reading counts and all earlier ones are forgotten. Until that reading the promise
 * cannot hold. A step back that is shorter than the round trip may stay unseen; `now()` is then
 * ahead by less than that round trip, until a quicker reading shows it.
 *
 * @example Timestamps of signed requests
 * ```ts
 * import { type Draft, Session } from "@aio-trader/core/session";
 * import { VenueClock } from "@aio-trader/core/venue-clock";
 * import { LoopbackVenue } from "@aio-trader/core/testing";
 * import { assertEquals } from "@std/assert";
 *
 * await using venue = await LoopbackVenue.listen();
 * venue.on("GET /time", () => ({ now: Date.now() - 3_000 })); // its clock is 3 s behind ours
 * venue.on("POST /orders", ({ headers }) => ({ at: Number(headers.get("x-timestamp")) }));
 *
 * const clock = new VenueClock(async () => {
 *   // `sign` makes this call, so it says `renew: false`. The order may hold the last token.
 *   const options = { renew: false, throttlers: [] };
 *   return (await session.get<{ now: number }>("time", options)).now;
 * });
 * const sign = async ({ url, headers }: Draft) => {
 *   if (url.pathname === "/time") return; // the clock's own call goes unsigned
 *   headers.set("x-timestamp", String(await clock.fresh(1_000)));
 * };
 * await using session: Session = new Session({ baseUrl: venue.httpUrl, sign });
 *
 * const { at } = await session.post<{ at: number }>("orders");
 * assertEquals(at <= Date.now() - 3_000, true); // never ahead of the venue
 * ```
 */
export class VenueClock {
  readonly #read: () => number | Promise<number>;
  readonly #resolution: number;
  /** Milliseconds per millisecond. */
  readonly #drift: number;
  #bounds: Bounds | undefined;
  #syncing: Promise<void> | undefined;
  /** Whether `read` runs now, as far as it runs before its first `await`. */
  #isAsking = false;

  /**
   * Creates a clock. The venue is not asked yet.
   *
   * @param read Asks the venue for its time, and returns it in epoch milliseconds.
   * @param options Resolution and drift.
   * @throws {TypeError} If `read` is no function or an option is no number.
   * @throws {RangeError} If an option is out of its range.
   */
  constructor(read: () => number | Promise<number>, options: VenueClockOptions = {}) {
    const task = "Cannot create a clock";
    const { resolution = 1, drift = 200 } = options;
    if (typeof read !== "function") refuse(task, "read", read, "a function");
    this.#read = read;
    this.#resolution = checkNumber(task, "resolution", resolution, {
      max: 86_400_000,
      unit: "milliseconds",
    });
    this.#drift = checkNumber(task, "drift", drift, { max: 100_000, unit: "parts per million" }) /
      1e6;
  }

  /**
   * The venue's time.
   *
   * @returns Whole epoch milliseconds, never ahead of the venue's own time by more than its
   *   resolution.
   * @throws {Error} Before the first reading.
   */
  now(): number {
    const { at, least } = this.#widened();
    return Math.floor(at + least);
  }

  /**
   * Tells the venue's time for a timestamp, and reads the time anew first if {@linkcode now} may lie
   * too far behind. Meant for the `sign` hook of a session.
   *
   * - The first call reads. Later calls seldom do: with a `drift` of 200 and `most` of 1,000, about
   *   every 40 minutes.
   * - If a reading fails and there are earlier ones, then the call goes on with those: their bounds
   *   still hold. The next call reads again.
   * - If no reading can be as exact as `most`, because the venue tells whole seconds or is far away,
   *   then every call reads.
   *
   * @param most How far the venue's own time may be ahead of the timestamp, in milliseconds: well
   *   below what the venue tolerates.
   * @returns The time that `now` tells.
   * @throws {TypeError} If `most` is no number.
   * @throws {RangeError} If `most` is negative.
   * @throws The error of {@linkcode sync}, if there is no earlier reading.
   *
   * @example Each order has a fresh timestamp
   * ```ts
   * import { VenueClock } from "@aio-trader/core/venue-clock";
   * import { assert, assertEquals } from "@std/assert";
   *
   * let readings = 0;
   * const clock = new VenueClock(() => {
   *   readings++;
   *   return Date.now(); // in truth, the venue's answer
   * });
   *
   * const timestamps = [await clock.fresh(1_000), await clock.fresh(1_000)];
   * assertEquals(readings, 1); // the second one is exact enough
   * assert(timestamps[1] <= Date.now() + 1);
   * ```
   */
  async fresh(most: number): Promise<number> {
    checkNumber("Cannot tell a fresh time", "most", most, { unit: "milliseconds" });
    if (this.error > most) {
      await this.sync().catch((error) => {
        if (!this.#bounds) throw error;
      });
    }
    return this.now();
  }

  /**
   * Tells the venue's time at a moment of this computer's clock: for a list of what has happened
   * since then. A step of this computer's clock since the moment shifts the result as much.
   *
   * @param moment The moment, of `Date.now()`: `since` of a gap, for example.
   * @returns Whole epoch milliseconds: the venue's own time at that moment, or less by up to
   *   {@linkcode error} and 2.
   * @throws {Error} Before the first reading.
   *
   * @example What was missed since a connection was lost
   * ```ts
   * import { VenueClock } from "@aio-trader/core/venue-clock";
   * import { assert } from "@std/assert";
   *
   * const clock = new VenueClock(() => Date.now() - 3_000); // the venue's clock is 3 s behind ours
   * await clock.sync();
   *
   * const since = Date.now() - 60_000;
   * const start = clock.at(since); // for the venue's list of trades
   * assert(start <= since - 3_000 && start > since - 4_000);
   * ```
   */
  at(moment: number): number {
    return this.now() - (Date.now() - moment) - 1; // both are cut to whole milliseconds
  }

  /**
   * How far the venue's own time may be ahead of {@linkcode now}, in milliseconds. `Infinity`
   * before the first reading.
   */
  get error(): number {
    if (!this.#bounds) return Infinity;
    const { at, least, most } = this.#widened();
    return at + most - Math.floor(at + least);
  }

  /**
   * Reads the venue's time. While a reading goes on, every call waits for that one.
   *
   * @throws {TypeError} If the reading is no number.
   * @throws {RangeError} If the reading is no plausible time: seconds or microseconds, perhaps.
   * @throws The error of `read`. The clock goes on with earlier readings.
   * @throws {Error} If `read` calls it before its first `await`. A later call waits for itself.
   */
  async sync(): Promise<void> {
    if (this.#isAsking) {
      throw new Error("Cannot sync the clock: read() calls sync(), wanted a request without it");
    }
    await (this.#syncing ??= this.#sync().finally(() => this.#syncing = undefined));
  }

  async #sync(): Promise<void> {
    const sent = performance.now();
    const reading = await this.#ask();
    const at = performance.now();
    checkNumber("Cannot sync the clock", "reading", reading, PLAUSIBLE);
    const most = reading + this.#resolution - sent + this.#drift * (at - sent);
    const fresh = { at, least: reading - at, most };
    const known = this.#bounds ? this.#widened(at) : fresh;
    const both = {
      at,
      least: Math.max(known.least, fresh.least),
      most: Math.min(known.most, fresh.most),
    };
    this.#bounds = both.least <= both.most ? both : fresh;
  }

  #ask(): number | Promise<number> {
    this.#isAsking = true;
    try {
      return this.#read();
    } finally {
      this.#isAsking = false;
    }
  }

  /** The bounds at this moment. */
  #widened(now = performance.now()): Bounds {
    if (!this.#bounds) {
      throw new Error("Cannot tell the venue's time: no reading yet, wanted sync() before now()");
    }
    const { at, least, most } = this.#bounds;
    const drifted = this.#drift * (now - at);
    return { at: now, least: least - drifted, most: most + drifted };
  }
}
