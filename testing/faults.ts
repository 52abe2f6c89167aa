/**
 * The faults of a venue, by name.
 *
 * @module
 */

/**
 * How an exchange over HTTP ends.
 *
 * @example The faults after which the connection is reset
 * ```ts
 * import { type Ending, HTTP_FAULTS } from "@aio-trader/core/testing";
 * import { assertEquals } from "@std/assert";
 *
 * const end: Ending = "reset";
 * const faults = Object.entries(HTTP_FAULTS).filter(([, { ends }]) => ends === end);
 * assertEquals(faults.map(([name]) => name)[0], "reset-before-executing");
 * ```
 */
export type Ending =
  | "answer"
  | "reset"
  | "finish"
  | "hang"
  | "half-head"
  | "garbage"
  | "raw"
  | "cut-body"
  | "cut-chunks"
  | "reset-body"
  | "stall-body"
  | "half-gzip";

/**
 * What a fault does: how often the handler runs, and how the exchange ends.
 *
 * @example What a fault does
 * ```ts
 * import { HTTP_FAULTS, type HttpFaultRow } from "@aio-trader/core/testing";
 * import { assertEquals } from "@std/assert";
 *
 * const row: HttpFaultRow = HTTP_FAULTS["reset-after-executing"];
 * assertEquals(row, { executes: 1, ends: "reset" });
 * ```
 */
export interface HttpFaultRow {
  /** How often the venue executes the request. */
  readonly executes: 0 | 1 | 2;
  /** How the exchange ends. */
  readonly ends: Ending;
}

/**
 * The name of a fault of a request; see {@linkcode HTTP_FAULTS}.
 *
 * @example One test for each fault
 * ```ts
 * import { HTTP_FAULTS, type HttpFault } from "@aio-trader/core/testing";
 * import { assertEquals } from "@std/assert";
 *
 * const faults = Object.keys(HTTP_FAULTS) as HttpFault[];
 * assertEquals(faults.includes("late-execution"), true); // Deno.test(`survives ${fault}`, …) for each
 * ```
 */
export type HttpFault =
  | "reset-before-executing"
  | "reset-after-executing"
  | "finish-before-executing"
  | "finish-after-executing"
  | "hang-before-executing"
  | "hang-after-executing"
  | "reset-and-execute-late"
  | "hang-and-execute-late"
  | "half-head"
  | "garbage"
  | "cut-body"
  | "cut-chunks"
  | "reset-body"
  | "stall-body"
  | "half-gzip"
  | "status"
  | "status-after-executing"
  | "late-answer"
  | "late-execution"
  | "executed-twice"
  | "swapped-answers"
  | "unasked-answer";

/**
 * Every fault of a request, by name: how often the venue executes the request, and how the exchange
 * ends. `finish` closes the connection in order, `reset` does not.
 *
 * @example The faults that execute an order twice
 * ```ts
 * import { HTTP_FAULTS } from "@aio-trader/core/testing";
 * import { assertEquals } from "@std/assert";
 *
 * const twice = Object.entries(HTTP_FAULTS).filter(([, { executes }]) => executes === 2);
 * assertEquals(twice.map(([name]) => name), ["executed-twice"]);
 * ```
 */
export const HTTP_FAULTS: Readonly<Record<HttpFault, HttpFaultRow>> = {
  "reset-before-executing": { executes: 0, ends: "reset" },
  "reset-after-executing": { executes: 1, ends: "reset" },
  "finish-before-executing": { executes: 0, ends: "finish" },
  "finish-after-executing": { executes: 1, ends: "finish" },
  /** No answer, ever. */
  "hang-before-executing": { executes: 0, ends: "hang" },
  "hang-after-executing": { executes: 1, ends: "hang" },
  /** The connection is reset at once, and the venue takes the request up after `delay`. */
  "reset-and-execute-late": { executes: 1, ends: "reset" },
  /** No answer, and the venue takes the request up after `delay`. */
  "hang-and-execute-late": { executes: 1, ends: "hang" },
  /** The answer ends in the middle of its headers. */
  "half-head": { executes: 1, ends: "half-head" },
  /** The answer is no HTTP. */
  garbage: { executes: 1, ends: "garbage" },
  /** The body is shorter than its content-length. */
  "cut-body": { executes: 1, ends: "cut-body" },
  /** The body ends without its last chunk. */
  "cut-chunks": { executes: 1, ends: "cut-chunks" },
  /** The connection is reset in the middle of the body. */
  "reset-body": { executes: 1, ends: "reset-body" },
  /** The body stops in the middle, and the connection stays open. */
  "stall-body": { executes: 1, ends: "stall-body" },
  /** Half of a compressed body, in good order. */
  "half-gzip": { executes: 1, ends: "half-gzip" },
  /** The answer of `status`, `headers` and `body`; the venue does not execute. */
  status: { executes: 0, ends: "answer" },
  /** The same answer, and the venue executes: a gateway that gave up. */
  "status-after-executing": { executes: 1, ends: "answer" },
  /** The venue executes at once, and answers after `delay`. */
  "late-answer": { executes: 1, ends: "answer" },
  /** The venue executes after `delay`, and answers then. */
  "late-execution": { executes: 1, ends: "answer" },
  /** The venue executes twice, and answers once. */
  "executed-twice": { executes: 2, ends: "answer" },
  /** The answer of the next such request comes for this one, and this one's for the next. */
  "swapped-answers": { executes: 1, ends: "answer" },
  /** After the answer, the venue writes another one unasked on the idle connection. */
  "unasked-answer": { executes: 1, ends: "answer" },
};

/**
 * When and how a fault of a request strikes.
 *
 * @example The second order is refused with a 429
 * ```ts
 * import { type HttpFaultOptions, SimulatedVenue, VirtualTime } from "@aio-trader/core/testing";
 * import { assertEquals } from "@std/assert";
 *
 * using time = new VirtualTime();
 * const venue = new SimulatedVenue();
 * const second: HttpFaultOptions = { nth: 2, status: 429, headers: { "retry-after": "2" } };
 * venue.on("POST /orders", { id: 1 }).fail("POST /orders", "status", second);
 *
 * const place = () => venue.fetch(`${venue.httpUrl}orders`, { method: "POST" });
 * const statuses = Promise.all([place(), place()].map(async (answer) => (await answer).status));
 * await time.pass(1_000);
 * assertEquals((await statuses).sort(), [200, 429]);
 * ```
 */
export interface HttpFaultOptions {
  /**
   * The first request that it strikes, counted from 1 among those of the route from now on.
   *
   * @default {1}
   */
  nth?: number | undefined;
  /**
   * How many requests in a row it strikes. `Infinity`: all.
   *
   * @default {1}
   */
  times?: number | undefined;
  /**
   * How late, in milliseconds, for the faults that are late.
   *
   * @default {1_000}
   */
  delay?: number | undefined;
  /**
   * The status of `status` and `status-after-executing`. With any other fault, this and the next two
   * make an answer that takes the place of the handler's.
   *
   * @default {503, or 200 with other faults}
   */
  status?: number | undefined;
  /** Headers of such an answer, such as Retry-After. */
  headers?: Record<string, string> | undefined;
  /** The body of such an answer: a text or bytes, or a value that becomes JSON. */
  body?: unknown;
}

/**
 * What can happen to a frame. `lose-request` strikes frames of clients, the others the venue's.
 *
 * @example A frame that is lost
 * ```ts
 * import { type FrameFault, SimulatedVenue, VirtualTime } from "@aio-trader/core/testing";
 * import { assertEquals } from "@std/assert";
 *
 * using time = new VirtualTime();
 * const venue = new SimulatedVenue();
 * const fault: FrameFault = "lose";
 * venue.feed.fail("ack", fault);
 * venue.feed.on((_frame, client) => client.send("ack"));
 *
 * const heard: unknown[] = [];
 * const socket = venue.createSocket(venue.wsUrl);
 * socket.onmessage = ({ data }) => heard.push(data);
 * socket.onopen = () => ["first", "second"].forEach((frame) => socket.send(frame));
 * await time.pass(1_000);
 * assertEquals(heard, ["ack"]); // the one of the second
 * socket.close();
 * await time.pass(1_000);
 * ```
 */
export type FrameFault = "lose" | "delay" | "repeat" | "swap" | "lose-request";

/**
 * When and how a fault of a frame strikes.
 *
 * @example The third acknowledgement comes late
 * ```ts
 * import { type FrameFaultOptions, SimulatedVenue } from "@aio-trader/core/testing";
 *
 * const third: FrameFaultOptions = { nth: 3, delay: 5_000 };
 * new SimulatedVenue().feed.fail("ack", "delay", third);
 * ```
 */
export interface FrameFaultOptions {
  /**
   * The first frame that it strikes, counted from 1 among those that match from now on.
   *
   * @default {1}
   */
  nth?: number | undefined;
  /**
   * How many frames in a row it strikes. `Infinity`: all.
   *
   * @default {1}
   */
  times?: number | undefined;
  /**
   * How late a delayed frame is, in milliseconds.
   *
   * @default {1_000}
   */
  delay?: number | undefined;
}

/** Counts the strikes of one fault. */
export class Strikes {
  #wait: number;
  #left: number;

  /**
   * Makes a count.
   *
   * @param options When the fault strikes.
   * @throws {RangeError} If a count is no integer from 1.
   */
  constructor({ nth = 1, times = 1 }: { nth?: number | undefined; times?: number | undefined }) {
    if (!(nth >= 1 && Number.isInteger(nth)) || !(times >= 1)) {
      throw new RangeError(`Cannot plan a fault: nth is ${nth}, times is ${times}, wanted from 1`);
    }
    this.#wait = nth - 1;
    this.#left = times;
  }

  /**
   * Counts one more, and tells whether the fault strikes it.
   *
   * @param isFree Whether no other fault has struck it. Otherwise this one waits for the next.
   */
  next(isFree = true): boolean {
    if (this.#wait > 0) {
      this.#wait--;
      return false;
    }
    return isFree && this.#left-- > 0;
  }
}
