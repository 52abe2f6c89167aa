/**
 * Bybit's refusals as errors that tell the fate of an order.
 *
 * Source: bybit-exchange.github.io/docs/v5/error and rate-limit.
 *
 * @module
 */

import { BrokerError } from "@aio-trader/core";

/** The venue refuses a timestamp: nothing was executed, and the session reads the clock again. */
export const BAD_TIMESTAMP = 10002;

/** Too many requests of this account, of this address, or over this socket. */
const TOO_MANY = new Set([10006, 10018, 10429, 20003, 429]);

/** After these the venue itself does not know whether the request was executed. */
const UNSURE = new Set([10000, 10016]);

/** How long an address is banned that asked too often, in milliseconds. */
const BAN = 600_000;

/** The part of an answer that tells a failure. */
export interface Refusal {
  /** The status of HTTP. */
  readonly status?: number;
  /** The venue's code; `0` is success. */
  readonly retCode?: number;
  /** The venue's words. */
  readonly retMsg?: string;
}

/**
 * Makes an error of what the venue says.
 *
 * @param answer The answer.
 * @param headers Its headers, which may tell until when to wait.
 * @param now The venue's time, in epoch milliseconds.
 * @returns The error, or nothing for a success, and where the status says it all.
 */
export function venueError(
  { status = 200, retCode: code, retMsg }: Refusal,
  headers: Pick<Headers, "get">,
  now: number,
): BrokerError | undefined {
  if (status === 403 && code === undefined) {
    const words = "Bybit forbids this address: too many requests, or the wrong country";
    return new BrokerError(words, { kind: "rate-limited", outcome: "rejected", retryAfter: BAN });
  }
  if (!code) return undefined;
  const words = `Bybit says ${code}: ${retMsg}`;
  if (TOO_MANY.has(code)) {
    const wait = Number(headers.get("x-bapi-limit-reset-timestamp") ?? 0) - now;
    const retryAfter = wait > 0 ? wait : undefined;
    // The session repeats queries by itself, and no orders.
    const init = { outcome: "rejected", retriable: true, code, retryAfter } as const;
    return new BrokerError(words, { kind: "rate-limited", ...init });
  }
  const kind = code === BAD_TIMESTAMP ? "unauthorized" : "rejected";
  return new BrokerError(words, { kind, outcome: UNSURE.has(code) ? "unknown" : "rejected", code });
}

/** A call that needs a key has none: nothing was sent. */
export function noLogin(): never {
  const words = "Cannot sign: there is no login, wanted authorize() first";
  throw new BrokerError(words, { kind: "unauthorized", outcome: "not-sent" });
}
