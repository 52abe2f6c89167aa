/**
 * Reads refusals: their status, their request id, the venue's code. Internal to {@linkcode Session}.
 *
 * @module
 */

import { retryAfter } from "../common/retry_after.ts";
import { type Details, ReplyError } from "./reply_error.ts";
import { tryJson } from "./json.ts";
import { excerpt, type Secrets } from "./secrets.ts";

/** Makes the error of a status. A status of 2xx is a refusal if the venue's answer says so. */
export function refusal(status: number, text: string): ReplyError {
  const why = `the venue answered ${status}`;
  const outcome = "rejected";
  // A browser shows 0 for a redirect that must not be followed.
  if (status === 0) return new ReplyError("it is redirected", "redirect");
  if (status < 200) return new ReplyError(why, "network");
  if (status < 300) return new ReplyError("the venue refused it", "rejected", { outcome });
  if (status < 400) return new ReplyError(`it is redirected (${status})`, "redirect");
  if (status >= 500) return new ReplyError(why, "network", { worthwhile: status !== 501 }, text);
  if (status === 408) return new ReplyError(why, "timeout", { worthwhile: true }, text);
  if (isRateLimit(status)) {
    return new ReplyError(why, "rate-limited", { outcome, worthwhile: true }, text);
  }
  return new ReplyError(why, status === 401 ? "unauthorized" : "rejected", { outcome }, text);
}

/** Whether a status decides kind and outcome by itself, against any words of the venue. */
export function isDecisive(status = 0): boolean {
  return status === 401 || status === 408 || isRateLimit(status) || status >= 500;
}

/** Whether a status is a rate limit. Binance answers 418 to clients that went on after a 429. */
export function isRateLimit(status: number): boolean {
  return status === 429 || status === 418;
}

/** Under which names venues send the id of a request. */
const REQUEST_IDS = [
  "x-request-id",
  "request-id",
  "x-amzn-requestid",
  "x-correlation-id",
  "cf-ray",
];

/** Under which names venues send the code of an error. */
const CODES = ["code", "error_code", "errorCode", "error_type"];

/** Collects the parts of an answer that an error shows, without the values of the request. */
export function describe(
  { status, headers }: Response,
  cause: unknown,
  { keys, values }: Secrets,
): Details {
  const text = cause instanceof ReplyError ? cause.text : "";
  const data = Object(tryJson(text));
  const code = CODES.map((name) => data[name]).find((code) =>
    /^(?:string|number)$/.test(typeof code)
  );
  return {
    status,
    code: typeof code === "string" ? excerpt(code, keys) : code,
    requestId: excerpt(REQUEST_IDS.map((name) => headers.get(name)).find(Boolean), keys),
    retryAfter: retryAfter(headers.get("retry-after")),
    body: excerpt(text, values),
  };
}
