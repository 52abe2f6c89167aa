/**
 * What a status means, and what an answer says about waiting. Internal to {@linkcode Session}.
 *
 * @module
 */

import { type Details, ReplyError } from "./reply_error.ts";
import { tryJson } from "./json.ts";
import { excerpt, keysOf, type Secrets } from "./secrets.ts";

/** What a status means. That of a success is one if the venue says so in its answer. */
export function refusal(status: number, text: string): ReplyError {
  const why = `the venue answered ${status}`;
  const outcome = "rejected";
  // What a browser shows of a redirect that it was told not to follow.
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

/** Whether a status says by itself what became of the request, whatever the venue's words are. */
export function isDecisive(status = 0): boolean {
  return status === 401 || status === 408 || isRateLimit(status) || status >= 500;
}

/** 418 is what Binance answers to those who went on after a 429. */
export function isRateLimit(status: number): boolean {
  return status === 429 || status === 418;
}

const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const DATES = [
  /^\w{3}, (?<day>\d\d) (?<month>\w{3}) (?<year>\d{4}) (?<time>\d\d:\d\d:\d\d) GMT$/, // IMF-fixdate
  /^\w{6,9}, (?<day>\d\d)-(?<month>\w{3})-(?<year>\d\d) (?<time>\d\d:\d\d:\d\d) GMT$/, // RFC 850
  /^\w{3} (?<month>\w{3}) (?<day>[ \d]\d) (?<time>\d\d:\d\d:\d\d) (?<year>\d{4})$/, // asctime
];

/** More seconds than anybody is banned for, a year: an instant in place of a duration, perhaps. */
const MAX_SECONDS = 366 * 86_400;

/**
 * Reads a Retry-After header: seconds, or a date in one of the three formats of HTTP.
 *
 * @returns Milliseconds from now, 0 for a date that is past, undefined for anything else.
 */
export function retryAfter(value: string | null): number | undefined {
  if (value === null) return undefined;
  if (/^\d+$/.test(value)) return Number(value) < MAX_SECONDS ? Number(value) * 1_000 : undefined;
  const groups = DATES.map((format) => format.exec(value)?.groups).find(Boolean);
  if (!groups) return undefined;
  const now = Date.now();
  let year = Number(groups.year);
  if (groups.year.length === 2) { // a year that seems more than 50 ahead is one of the past
    year += 100 * Math.floor(new Date(now).getUTCFullYear() / 100);
    if (year > new Date(now).getUTCFullYear() + 50) year -= 100;
  }
  const [hour, minute, second] = groups.time.split(":").map(Number);
  const date = Date.UTC(
    year,
    MONTHS.indexOf(groups.month),
    Number(groups.day),
    hour,
    minute,
    second,
  );
  return MONTHS.includes(groups.month) ? Math.max(0, date - now) : undefined;
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

/** Collects what an error may show of an answer, given what was sent. */
export function describe(
  { status, headers }: Response,
  cause: unknown,
  secrets: Secrets,
): Details {
  const text = cause instanceof ReplyError ? cause.text : "";
  const data = Object(tryJson(text));
  const code = CODES.map((name) => data[name]).find((code) =>
    /^(?:string|number)$/.test(typeof code)
  );
  return {
    status,
    code: typeof code === "string" ? excerpt(code, keysOf(secrets)) : code,
    requestId: excerpt(
      REQUEST_IDS.map((name) => headers.get(name)).find(Boolean),
      keysOf(secrets),
    ),
    retryAfter: retryAfter(headers.get("retry-after")),
    body: excerpt(text, secrets),
  };
}
