import { assertEquals, assertGreaterOrEqual } from "@std/assert";
import { FakeTime } from "@std/testing/time";
import { describe, isDecisive, isRateLimit, refusal, retryAfter } from "../../session/refusal.ts";
import { ReplyError } from "../../session/reply_error.ts";
import { NO_SECRETS } from "../../session/secrets.ts";

const NOW = Date.UTC(2026, 0, 1);
const DAY = 86_400_000;

Deno.test("retryAfter() reads seconds, with fractions to the millisecond, rounded up", () => {
  using _time = new FakeTime(NOW);
  for (
    const [value, wait] of [
      ["0", 0],
      ["1", 1_000],
      ["120", 120_000],
      ["1.5", 1_500],
      ["0.001", 1],
      ["1.001", 1_001],
      ["0.0001", 1],
      ["2.0010000", 2_001],
      ["2.0010001", 2_002],
      ["59.9999", 60_000],
      ["3.", 3_000],
      ["  7 ", 7_000],
      ["31622399", 31_622_399_000],
    ] as const
  ) assertEquals(retryAfter(value), wait, value);
});

Deno.test("retryAfter() takes the longest of several headers", () => {
  using _time = new FakeTime(NOW);
  for (
    const [value, wait] of [
      ["1, 1", 1_000],
      ["1,2.5, 2", 2_500],
      ["3, Thu, 01 Jan 2026 00:00:10 GMT", 10_000],
      ["Thu, 01 Jan 2026 00:00:10 GMT, Thu, 01 Jan 2026 00:00:20 GMT", 20_000],
      ["soon, 4", 4_000],
      ["4, soon", 4_000],
    ] as const
  ) assertEquals(retryAfter(value), wait, value);
});

Deno.test("retryAfter() takes a plausible epoch, in seconds or milliseconds, for an instant", () => {
  using _time = new FakeTime(NOW);
  for (
    const [value, wait] of [
      [`${NOW / 1_000 + 90}`, 90_000],
      [`${NOW + 90_500}`, 90_500],
      [`${NOW / 1_000 + 0.25}`, 250],
      [`${NOW / 1_000 - 5}`, 0],
      [`${NOW - 5}`, 0],
      [`${(NOW + 400 * DAY) / 1_000}`, undefined],
      [`${NOW + 400 * DAY}`, undefined],
      [`${NOW * 1_000}`, undefined],
      ["40000000", undefined],
    ] as const
  ) assertEquals(retryAfter(value), wait, value);
});

Deno.test("retryAfter() reads dates in the three formats of HTTP", () => {
  using _time = new FakeTime(NOW);
  for (
    const value of [
      "Thu, 01 Jan 2026 00:00:10 GMT",
      "Thursday, 01-Jan-26 00:00:10 GMT",
      "Thu Jan  1 00:00:10 2026",
    ]
  ) assertEquals(retryAfter(value), 10_000, value);
  assertEquals(retryAfter("Wed, 31 Dec 2025 23:59:59 GMT"), 0, "it is past");
  assertEquals(retryAfter("Friday, 01-Jan-27 00:00:00 GMT"), 365 * DAY);
  assertEquals(retryAfter("Sunday, 01-Jan-77 00:00:00 GMT"), 0, "1977");
  assertGreaterOrEqual(retryAfter("Wednesday, 01-Jan-76 00:00:00 GMT")!, 49 * 365 * DAY);
});

Deno.test("retryAfter() ignores anything else", () => {
  for (
    const value of [
      null,
      "",
      "soon",
      "-1",
      "1e3",
      "+5",
      "0x10",
      "1.5.2",
      "10s",
      "Infinity",
      ",",
      "Thu, 01 Foo 2026 00:00:10 GMT",
      "2026-01-01T00:00:10Z",
    ]
  ) assertEquals(retryAfter(value), undefined, `${value}`);
});

Deno.test("refusal() says what each status means", () => {
  for (
    const [status, kind, outcome, worthwhile] of [
      [0, "redirect", undefined, undefined],
      [199, "network", undefined, undefined],
      [200, "rejected", "rejected", undefined],
      [302, "redirect", undefined, undefined],
      [400, "rejected", "rejected", undefined],
      [401, "unauthorized", "rejected", undefined],
      [403, "rejected", "rejected", undefined],
      [408, "timeout", undefined, true],
      [418, "rate-limited", "rejected", true],
      [421, "rejected", "rejected", undefined],
      [429, "rate-limited", "rejected", true],
      [500, "network", undefined, true],
      [501, "network", undefined, false],
      [503, "network", undefined, true],
    ] as const
  ) {
    const { kind: got, details } = refusal(status, "");
    assertEquals(
      [got, details.outcome, details.worthwhile],
      [kind, outcome, worthwhile],
      `${status}`,
    );
    const decisive = [401, 408, 418, 429].includes(status) || status >= 500;
    assertEquals(isDecisive(status), decisive, `${status}`);
    assertEquals(isRateLimit(status), status === 418 || status === 429);
  }
});

for (
  const name of ["x-request-id", "request-id", "x-amzn-requestid", "x-correlation-id", "cf-ray"]
) {
  Deno.test(`describe() finds the id of a request under ${name}`, () => {
    const { requestId } = describe(
      new Response("", { headers: { [name]: "r-1" } }),
      null,
      NO_SECRETS,
    );
    assertEquals(requestId, "r-1");
  });
}

for (const name of ["code", "error_code", "errorCode", "error_type"]) {
  Deno.test(`describe() finds the code of an error under ${name}`, () => {
    for (const code of ["E1", -1013, 0]) {
      const text = JSON.stringify({ [name]: code });
      const cause = new ReplyError("", "rejected", {}, text);
      const { code: found, body } = describe(new Response("", { status: 400 }), cause, NO_SECRETS);
      assertEquals([found, body], [code, text]);
    }
  });
}

Deno.test("describe() takes the first code that is a string or a number, and none of a list or a text", () => {
  const codeOf = (value: unknown) => {
    const cause = new ReplyError("", "rejected", {}, JSON.stringify(value));
    return describe(new Response(), cause, NO_SECRETS).code;
  };
  assertEquals(codeOf({ code: null, error_code: { a: 1 }, errorCode: "E2" }), "E2");
  assertEquals(codeOf([{ code: 1 }]), undefined);
  assertEquals(codeOf("code"), undefined);
  assertEquals(codeOf(null), undefined);
});

Deno.test("describe() reads status and Retry-After, and hides in code and id what was sent", () => {
  const headers = { "x-request-id": "r-hunter2-token", "retry-after": "1.5" };
  const response = new Response("", { status: 429, headers });
  const cause = new ReplyError("", "rate-limited", {}, '{"code":"BAD_HUNTER2-TOKEN"}');
  const sent = new Set(["hunter2-token"]);
  assertEquals(describe(response, cause, { values: sent, keys: sent }), {
    status: 429,
    code: "BAD_[redacted]",
    requestId: "r-[redacted]",
    retryAfter: 1_500,
    body: '{"code":"BAD_[redacted]"}',
  });
});
