import { assert, assertEquals, assertStrictEquals } from "@std/assert";
import fc from "fast-check";
import { BrokerError, type BrokerErrorKind, type Outcome } from "../../common/broker_error.ts";
import { Fate } from "../../session/fate.ts";
import { refusal } from "../../session/refusal.ts";
import { RequestError } from "../../session/request_error.ts";
import { NO_SECRETS } from "../../session/secrets.ts";
import { coded } from "./fake_venue.ts";

const ORDER = { method: "POST", url: "https://v.example/x", isSafe: false, isIdempotent: false };
const CANCEL = { ...ORDER, method: "PUT", isIdempotent: true };
const READ = { method: "GET", url: "https://v.example/x", isSafe: true, isIdempotent: true };

const { signal } = new AbortController();

function failed(outcome: Outcome): BrokerError {
  return new BrokerError("It failed", { kind: "network", outcome });
}

Deno.test("Fate: nothing that has not been handed to fetch was sent", () => {
  const fate = new Fate(ORDER);
  assertEquals([fate.isSent, fate.error("timeout", "late").outcome], [false, "not-sent"]);
  fate.send(false);
  const error = fate.error("timeout", "late");
  assertEquals([fate.isSent, error.outcome], [true, "unknown"]);
  assertEquals(error.message, "Cannot POST https://v.example/x: late; it may have been executed");
  fate.succeed();
  assertEquals(fate.isSent, false);
});

Deno.test("Fate: a request that a runtime may repeat in silence is unknown, whatever its failure says", () => {
  for (const refused of [coded("ECONNREFUSED"), refusal(400, "")]) {
    const fate = new Fate(CANCEL);
    fate.send(true);
    assertEquals(fate.explain(refused, signal).outcome, "unknown");
  }
});

Deno.test("Fate: once unknown, an order stays unknown; a GET may still be rejected, since it executes nothing", () => {
  const outcome = fc.constantFrom<Outcome>("not-sent", "rejected", "unknown");
  fc.assert(
    fc.property(fc.array(outcome, { maxLength: 6 }), outcome, fc.boolean(), (past, own, isSafe) => {
      const fate = new Fate(isSafe ? READ : CANCEL);
      for (const each of past) {
        fate.send(false);
        fate.fail(failed(each));
      }
      const wasUnknown = past.includes("unknown");
      const expected = wasUnknown && !(isSafe && own === "rejected") ? "unknown" : own;
      assertEquals(fate.error("network", "no", { outcome: own }).outcome, expected);
    }),
  );
});

Deno.test("Fate: a call that is ended between two attempts has the outcome of the last one", () => {
  for (const outcome of ["not-sent", "rejected", "unknown"] as const) {
    const fate = new Fate(CANCEL);
    fate.send(false);
    fate.hear({ status: 429 });
    fate.fail(failed(outcome));
    const { outcome: whole, status } = fate.error("closed", "the session was closed");
    assertEquals([whole, status], [outcome, undefined]);
  }
});

Deno.test("Fate.endedAt is the time at which the last request failed", () => {
  const fate = new Fate(ORDER);
  const before = performance.now();
  fate.send(false);
  fate.fail(failed("unknown"));
  assert(fate.endedAt >= before && fate.endedAt <= performance.now());
});

Deno.test("Fate: only what is worthwhile and harmless is retriable", () => {
  for (
    const [request, outcome, retriable] of [
      [ORDER, "not-sent", true],
      [ORDER, "unknown", false],
      [ORDER, "rejected", false],
      [CANCEL, "unknown", true],
      [READ, "unknown", true],
    ] as const
  ) {
    const error = new Fate(request).error("network", "no", { outcome, worthwhile: true });
    assertEquals(error.retriable, retriable);
    assertEquals(new Fate(request).error("network", "no", { outcome }).retriable, false);
  }
});

Deno.test("Fate.explain() quotes no text of a runtime, and knows network faults by their code", () => {
  const cases: [error: unknown, kind: BrokerErrorKind, outcome: Outcome, code?: string][] = [
    [coded("ECONNREFUSED"), "network", "not-sent", "ECONNREFUSED"],
    [coded("ECONNRESET"), "network", "unknown", "ECONNRESET"],
    [coded("DEPTH_ZERO_SELF_SIGNED_CERT"), "network", "not-sent", "DEPTH_ZERO_SELF_SIGNED_CERT"],
    ["a text ?key=secret", "network", "unknown"],
  ];
  for (const [thrown, kind, outcome, code] of cases) {
    const fate = new Fate(ORDER);
    fate.send(false);
    const error = fate.explain(thrown, signal);
    assertEquals([error.kind, error.outcome, error.code], [kind, outcome, code]);
    assert(!Deno.inspect(error).includes("secret"));
  }
});

Deno.test("Fate.explain() says invalid of all that fails before fetch, in words only if they are ours", () => {
  const own = new Fate(ORDER).explain(new RequestError("Cannot use the path: wanted /"), signal);
  assertEquals([own.kind, own.outcome, own.message], [
    "invalid",
    "not-sent",
    "Cannot use the path: wanted /",
  ]);
  const other = new Fate(ORDER).explain(new TypeError("?key=secret"), signal);
  assertEquals(other.message, "Cannot POST https://v.example/x: TypeError was thrown");
});

Deno.test("Fate.explain() takes an aborted request for what its signal says, unless the answer has said enough", () => {
  const fate = new Fate(ORDER);
  fate.send(false);
  const reason = failed("unknown");
  const { signal } = new AbortController();
  const aborted = AbortSignal.abort(reason);
  assertStrictEquals(fate.explain(coded("ECONNRESET"), aborted), reason);
  assertEquals(fate.explain(refusal(400, ""), aborted).kind, "rejected");
  assertEquals(fate.explain(refusal(400, ""), signal).kind, "rejected");
});

Deno.test("Fate.complete() never says not-sent, and unknown stays unknown", () => {
  for (
    const [past, own, outcome] of [
      [undefined, "not-sent", "rejected"],
      [undefined, "unknown", "unknown"],
      [undefined, "rejected", "rejected"],
      ["unknown", "rejected", "unknown"],
      ["unknown", "not-sent", "unknown"],
    ] as const
  ) {
    const fate = new Fate(CANCEL);
    if (past) {
      fate.send(false);
      fate.fail(failed(past));
    }
    fate.send(false);
    fate.hear({ status: 400 });
    const usual = fate.explain(refusal(400, ""), signal);
    const error = new BrokerError("No margin", { kind: "rejected", outcome: own });
    assertStrictEquals(fate.complete(error, usual, NO_SECRETS), error);
    assertEquals([error.outcome, error.status, error.message], [outcome, 400, "No margin"]);
  }
});
