/**
 * Binance's refusals as errors that tell the fate of an order.
 *
 * Source: binance-spot-api-docs, errors.md.
 *
 * @module
 */

import { BrokerError, type Reply } from "@aio-trader/core";

/** The venue knows no such order. */
export const NO_SUCH_ORDER = -2013;

/** The venue refuses a timestamp: nothing was executed, and the session reads the clock again. */
export const BAD_TIMESTAMP = -1021;

/** After these the venue itself does not know whether the request was executed. */
const UNSURE = new Set([-1000, -1001, -1006, -1007]);

/**
 * An order of which nobody knows what became: no answer came, and the venue could not be asked.
 * `cause` tells why. Do not place the order again before `order()` has told its fate.
 */
export class UnknownOrderError extends BrokerError {
  /** `"UnknownOrderError"`. */
  override readonly name: string = "UnknownOrderError";
  /** What is traded. */
  readonly symbol: string;
  /** The name to look it up by. */
  readonly clientOrderId: string;

  /**
   * Makes an error of the one that the order ended with.
   *
   * @param error Why the fate is unknown.
   * @param symbol What is traded.
   * @param clientOrderId The name of the order.
   */
  constructor(error: BrokerError, symbol: string, clientOrderId: string) {
    super(`${error.message}, as newClientOrderId ${clientOrderId}`, {
      ...error,
      cause: error.cause,
    });
    this.symbol = symbol;
    this.clientOrderId = clientOrderId;
  }
}

/**
 * Makes an error of what the venue says.
 *
 * @param reply The answer.
 * @returns The error. Nothing if the status says it all: after 5xx nobody knows, whatever the text.
 */
export function venueError({ data, status }: Reply): BrokerError | undefined {
  const { code, msg }: { code?: unknown; msg?: unknown } = Object(data);
  if (typeof code !== "number" || typeof msg !== "string") return undefined;
  if (status >= 500 || [401, 408, 418, 429].includes(status)) return undefined;
  return new BrokerError(`Binance says ${code}: ${msg}`, {
    kind: code === BAD_TIMESTAMP ? "unauthorized" : "rejected",
    outcome: UNSURE.has(code) ? "unknown" : "rejected",
    code,
  });
}

/** The venue knows no such order: none is found. */
export function ifUnknown(error: unknown): undefined {
  if (!(error instanceof BrokerError && error.code === NO_SUCH_ORDER)) throw error;
}

/** A call that needs a key has none: nothing was sent. */
export function noLogin(task: string): BrokerError {
  return new BrokerError(`Cannot ${task}: there is no login, wanted authorize() first`, {
    kind: "unauthorized",
    outcome: "not-sent",
  });
}
