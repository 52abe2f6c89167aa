/**
 * Reads how long a venue asks to wait. Internal.
 *
 * @module
 */

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
