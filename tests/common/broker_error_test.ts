import { assert, assertEquals, assertStrictEquals } from "@std/assert";
import { BrokerError, type Outcome } from "../../common/broker_error.ts";

Deno.test("BrokerError holds its parts and nothing else", () => {
  const error = new BrokerError("No margin", { kind: "rejected", outcome: "rejected", code: 7 });
  assertEquals(JSON.parse(JSON.stringify(error)), {
    name: "BrokerError",
    kind: "rejected",
    outcome: "rejected",
    retriable: false,
    code: 7,
  });
  assert(!("cause" in error));
  const cause = new Error("why");
  const { cause: kept } = new BrokerError("", { kind: "network", outcome: "unknown", cause });
  assertStrictEquals(kept, cause);
});

Deno.test("BrokerError leaves out what is undefined", () => {
  const error = new BrokerError("", {
    kind: "network",
    outcome: "unknown",
    status: undefined,
    body: undefined,
  });
  assert(!("status" in error) && !("body" in error));
});

Deno.test("BrokerError is not retriable unless it says so, whatever its outcome", () => {
  for (const outcome of ["not-sent", "rejected", "absent", "unknown"] satisfies Outcome[]) {
    assertEquals(new BrokerError("", { kind: "timeout", outcome }).retriable, false);
  }
});
