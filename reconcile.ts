/**
 * Finds out the fate of an order that no answer came for: executed, absent, or still unknown.
 *
 * @module
 */

import { BrokerError, type Outcome } from "./common/broker_error.ts";
import { checkFunction, checkSignal } from "./common/check.ts";
import {
  checkReconcile,
  type ReconcileContext,
  type ReconcileOptions,
  settle,
} from "./common/inquiry.ts";

export type { ReconcileContext, ReconcileOptions };

/**
 * Places an order, and finds out its fate if no answer says so.
 *
 * - Calls `fn` once. A result, and an error of any outcome but `"unknown"`, pass through.
 * - After `"unknown"` it calls `find` again and again. The waits double from 500 ms to 5 s, and
 *   half of each is left to chance; `retryAfter` of the error that `find` throws makes its wait
 *   longer. One look-up begins when `horizon` ends. A look-up that takes longer than a third of
 *   `timeout` (20 s at most) is aborted.
 * - The call resolves to the order as soon as one look-up has found it.
 * - The call rejects with outcome `"absent"` if a look-up that began `horizon` or later after the
 *   end of `fn` finds nothing: the order may be placed again. The error is not `retriable`, so that
 *   no loop places it by itself.
 * - After `timeout` the error of `fn` is thrown, `"unknown"`; its `cause` says why.
 *
 * **When may "absent" be believed?** Let the request end at time 0; let the venue take the order
 * up, if ever, before time `horizon`, and let each look-up see every order taken up before the
 * look-up began. Suppose that the order was taken up and that a look-up says `undefined`. Then this
 * look-up began before the order was taken up, so before `horizon`, and its word does not count. So
 * a word that counts is true. The look-up may take as long as it likes, be asked in any order with
 * others, or be followed by failures: the argument needs only the time at which it began. That time
 * and the end of the request are read from a clock that never goes back.
 *
 * The argument stands on two assumptions about the venue, which only its documents can give you:
 *
 * 1. `horizon` is long enough. It must cover the queues of the venue, the lag of the replica that
 *    look-ups read, and a request that still lies in a send buffer when the network comes back. A
 *    signed timestamp with a receive window (`recvWindow`) ends all of that: then `horizon` is the
 *    window plus the lag.
 * 2. `find` looks everywhere. An order under a fresh id of your own (`clientOrderId`, `tag`) can be
 *    told from its twins; one without cannot.
 *
 * @typeParam T The order, as `fn` and `find` return it.
 * @param fn Places the order, and ends by itself. Only a {@linkcode BrokerError} says `"unknown"`.
 * @param options How to look the order up. `signal` ends the reconciliation; give it to `fn`'s
 *   calls too.
 * @returns The order.
 * @throws {BrokerError} With outcome `"absent"`, or the error of `fn`, or kind `"aborted"`:
 * `"not-sent"` if `signal` was aborted before `fn` was called, else `"unknown"`.
 * @throws {RangeError} If `horizon` is negative or `timeout` is below it. Nothing has been sent
 *   then.
 * @throws {TypeError} If an option is of the wrong type. Nothing has been sent then.
 *
 * @example An order whose answer is lost
 * ```ts
 * import { reconcile } from "@aio-trader/core/reconcile";
 * import { BrokerError, type Outcome } from "@aio-trader/core/session";
 * import { assertEquals } from "@std/assert";
 *
 * const book = new Map<string, { id: string }>();
 * const place = (id: string) => {
 *   book.set(id, { id }); // the venue has it, but its answer is lost
 *   return Promise.reject(new BrokerError("No answer", { kind: "timeout", outcome: "unknown" }));
 * };
 *
 * const order = await reconcile(() => place("my-1"), { find: () => book.get("my-1") });
 * assertEquals(order, { id: "my-1" });
 * ```
 */
export async function reconcile<T>(
  fn: () => Promise<T>,
  options: ReconcileOptions<T> & { signal?: AbortSignal | undefined },
): Promise<T> {
  checkFunction("Cannot reconcile", "fn", fn);
  checkReconcile(options);
  const { signal } = options;
  checkSignal("Cannot reconcile", "signal", signal);
  if (signal?.aborted) throw aborted(signal, "not-sent");
  try {
    return await fn();
  } catch (error) {
    if (!(error instanceof BrokerError) || error.outcome !== "unknown") throw error;
    try {
      return await settle(error, { ...options, ended: performance.now() });
    } catch (verdict) {
      if (signal?.aborted && verdict === signal.reason) throw aborted(signal, "unknown", error);
      throw verdict;
    }
  }
}

/** The error of a caller who does not want to know any more. */
function aborted(signal: AbortSignal, outcome: Outcome, error?: BrokerError): BrokerError {
  const { method, url } = error ?? {};
  const words = error ? "Cannot tell the fate of the order" : "Cannot place the order";
  const { reason: cause } = signal;
  return new BrokerError(`${words}: its signal was aborted`, {
    kind: "aborted",
    outcome,
    method,
    url,
    cause,
  });
}
