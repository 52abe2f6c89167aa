import { assertEquals } from "@std/assert";
import { describe, isDecisive, isRateLimit, refusal } from "../../session/refusal.ts";
import { ReplyError } from "../../session/reply_error.ts";
import { NO_SECRETS } from "../../session/secrets.ts";

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
