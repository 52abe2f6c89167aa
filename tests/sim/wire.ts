/**
 * The way from the sessions to the venue: what was handed to `fetch`, and what came of it.
 *
 * @module
 */

import type { SimulatedVenue } from "../../testing.ts";
import type { Witness } from "./witness.ts";

/** A request that was handed to `fetch`. */
export interface Sent {
  /** Number of the request, from 1. */
  readonly number: number;
  /** Which call it belongs to. */
  readonly tag: string;
  /** Method and the first part of the path. */
  readonly route: string;
  /** The `performance.now()` at which it was handed over. */
  readonly at: number;
  /** When it arrived at the venue for the first time. */
  arrivedAt: number | undefined;
  /** The status of its answer. */
  status: number | undefined;
  /** When the headers of the answer came. */
  answeredAt: number | undefined;
  /** How long the answer asks to wait, in milliseconds. */
  wait: number;
  /** Ends the request. */
  readonly signal: AbortSignal | null | undefined;
  /** Whether the answer was not made for this request. */
  isLie: boolean;
}

/** What each request costs at the limit that all share, and at that of orders. */
export const COSTS: Readonly<Record<string, readonly [shared: number, orders: number]>> = {
  "POST orders": [1, 2],
  "DELETE orders": [1, 1],
  "PUT orders": [1, 1],
  "GET orders": [2, 0],
  "POST login": [1, 0],
  "GET items": [2, 0],
  "GET time": [1, 0],
};

/** Hands requests to the venue, and remembers them. */
export class Wire {
  /** All requests, in order. */
  readonly sent: Sent[] = [];
  /** Told of each request before it goes out. */
  onSend: (sent: Sent) => void = () => {};
  /** Of the request that has arrived at the venue last: its tag, and its token. */
  arrived = { tag: "", token: "" };
  /** Told of each answer before the session is. */
  onAnswer: (sent: Sent) => void = () => {};
  readonly #venue: SimulatedVenue;
  readonly #witness: Witness;

  /** Makes the way to a venue. */
  constructor(venue: SimulatedVenue, witness: Witness) {
    this.#venue = venue;
    this.#witness = witness;
    const { requests } = venue;
    requests.push = (...all) => {
      for (const { headers } of all) {
        const sent = this.sent[Number(headers.get("x-number")) - 1];
        sent.arrivedAt ??= performance.now();
        const [, token = ""] = headers.get("authorization")?.split(" ") ?? [];
        this.arrived = { tag: sent.tag, token };
      }
      return Array.prototype.push.apply(requests, all);
    };
  }

  /** Takes the place of `fetch`. */
  readonly fetch: typeof fetch = async (input, init = {}) => {
    const { method = "GET" } = init;
    const headers = new Headers(init.headers);
    const route = `${method} ${new URL(String(input)).pathname.split("/")[1]}`;
    const sent: Sent = {
      number: this.sent.length + 1,
      tag: headers.get("x-tag") ?? "",
      route,
      at: performance.now(),
      arrivedAt: undefined,
      status: undefined,
      answeredAt: undefined,
      wait: 0,
      signal: init.signal,
      isLie: false,
    };
    this.sent.push(sent);
    headers.set("x-number", `${sent.number}`);
    this.#witness.note(`#${sent.number} ${route} of ${sent.tag}`);
    this.onSend(sent);
    const response = await this.#venue.fetch(input, { ...init, headers });
    this.#hear(sent, response);
    return response;
  };

  #hear(sent: Sent, { status, headers }: Response): void {
    const meant = headers.get("x-for");
    sent.status = status;
    sent.answeredAt = performance.now();
    sent.isLie = meant !== sent.tag;
    const isLimited = status === 429 || status === 418;
    // Without a header the session waits for its own `pause`.
    if (isLimited) sent.wait = 1_000 * Number(headers.get("retry-after") ?? 1);
    this.onAnswer(sent);
    this.#witness.note(`#${sent.number} ${status}${sent.isLie ? " a lie" : ""}`);
    this.#witness.count(sent.isLie ? "lie" : `status ${status}`);
  }
}
