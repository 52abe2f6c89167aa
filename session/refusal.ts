/**
 * Reads refusals: their status, their headers, the venue's code. Internal to {@linkcode Session}.
 *
 * @module
 */

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

const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const DATES = [
  /^\w{3}, (?<day>\d\d) (?<month>\w{3}) (?<year>\d{4}) (?<time>\d\d:\d\d:\d\d) GMT$/, // IMF-fixdate
  /^\w{6,9}, (?<day>\d\d)-(?<month>\w{3})-(?<year>\d\d) (?<time>\d\d:\d\d:\d\d) GMT$/, // RFC 850
  /^\w{3} (?<month>\w{3}) (?<day>[ \d]\d) (?<time>\d\d:\d\d:\d\d) (?<year>\d{4})$/, // asctime
];

/** No venue bans for longer, in seconds: a year. A greater number is an instant. */
const MAX_SECONDS = 366 * 86_400;

/**
 * Reads a Retry-After header. Venues send more than HTTP allows.
 *
 * - Seconds, with a fraction too: to the millisecond, rounded up.
 * - An instant: a date in one of the three formats of HTTP, or seconds or milliseconds since 1970
 *   that are less than a year away.
 * - Of several values, as two headers of that name make them, the longest wait counts.
 *
 * @returns Milliseconds from now, 0 for an instant that is past, undefined for anything else.
 */
export function retryAfter(value: string | null): number | undefined {
  if (value === null) return undefined;
  const now = Date.now();
  // A comma after the weekday of a date separates nothing.
  const waits = value.split(/(?<!day|Mon|Tue|Wed|Thu|Fri|Sat|Sun) *, */).map((part) =>
    waitOf(part.trim(), now)
  );
  return waits.reduce(
    (longest, wait) => wait === undefined ? longest : Math.max(longest ?? 0, wait),
    undefined,
  );
}

function waitOf(value: string, now: number): number | undefined {
  if (!/^\d+(?:\.\d*)?$/.test(value)) return untilDate(value, now);
  const seconds = Number(value);
  if (seconds < MAX_SECONDS) return upToMilliseconds(value);
  const waits = [seconds * 1_000 - now, seconds - now];
  const wait = waits.find((wait) => Math.abs(wait) < MAX_SECONDS * 1_000);
  return wait === undefined ? undefined : Math.max(0, Math.ceil(wait));
}

/**
 * Seconds in milliseconds, rounded up in decimal digits: 1.001 times 1,000 is 1000.9999999999999.
 */
function upToMilliseconds(seconds: string): number {
  const [whole, fraction = ""] = seconds.split(".");
  const rest = /[1-9]/.test(fraction.slice(3)) ? 1 : 0;
  return Number(whole) * 1_000 + Number(fraction.slice(0, 3).padEnd(3, "0")) + rest;
}

function untilDate(value: string, now: number): number | undefined {
  const groups = DATES.map((format) => format.exec(value)?.groups).find(Boolean);
  if (!groups || !MONTHS.includes(groups.month)) return undefined;
  let year = Number(groups.year);
  if (groups.year.length === 2) { // a year that seems more than 50 ahead is one of the past
    year += 100 * Math.floor(new Date(now).getUTCFullYear() / 100);
    if (year > new Date(now).getUTCFullYear() + 50) year -= 100;
  }
  const [hour, minute, second] = groups.time.split(":").map(Number);
  const month = MONTHS.indexOf(groups.month);
  return Math.max(0, Date.UTC(year, month, Number(groups.day), hour, minute, second) - now);
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
