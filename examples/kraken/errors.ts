/**
 * Kraken's own error texts, as errors that tell the fate of an order.
 *
 * REST answers 200 with `{"error": ["EOrder:Insufficient funds"]}`; the private WebSocket answers
 * `{"success": false, "error": "EOrder:Insufficient funds"}`. The texts are the same.
 *
 * @module
 */

import { BrokerError, type BrokerErrorInit } from "@aio-trader/core";

/** One rule: which texts, and the facts of their error. The first that fits counts. */
interface Rule {
  readonly texts: RegExp;
  readonly init: Pick<BrokerErrorInit, "kind" | "outcome" | "retriable">;
}

/** Source: docs.kraken.com, guides "Spot errors" and "Spot rate limits". */
const RULES: readonly Rule[] = [
  {
    texts: /rate limit|too many requests|msg rate|:Throttled|lockout/i,
    init: { kind: "rate-limited", outcome: "rejected", retriable: true },
  },
  {
    texts: /^EAPI:Invalid (key|signature)|^ESession:|^EAuth:/,
    init: { kind: "unauthorized", outcome: "rejected" },
  },
  // The venue was asked and does not know: an order behind such a text may have been executed.
  {
    texts: /^EService:(Unavailable|Busy|Timeout)|^EGeneral:Internal error/,
    init: { kind: "network", outcome: "unknown", retriable: true },
  },
  // Another request of the same key arrived first. This one was refused.
  {
    texts: /^EAPI:Invalid nonce/,
    init: { kind: "rejected", outcome: "rejected", retriable: true },
  },
];

const REJECTED = { kind: "rejected", outcome: "rejected" } as const;

/**
 * Makes the error of a text of the venue's.
 *
 * @param code The text, `"EOrder:Insufficient funds"`.
 * @returns The error. Its `code` is the text; `retryAfter` is set where the text says how long.
 */
export function venueError(code: string): BrokerError {
  const { init } = RULES.find(({ texts }) => texts.test(code)) ?? { init: REJECTED };
  // "EService:Throttled: 1772000000": until then, in epoch seconds.
  const until = /:Throttled:? *(\d+)/.exec(code)?.[1];
  const retryAfter = until ? Math.max(0, Number(until) * 1_000 - Date.now()) : undefined;
  return new BrokerError(`Kraken says ${code}`, { ...init, code, retryAfter });
}
