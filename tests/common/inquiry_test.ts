import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import { BrokerError } from "../../common/broker_error.ts";
import { checkReconcile, settle } from "../../common/inquiry.ts";
import { settle as drain, VirtualClock } from "../virtual_clock.ts";

const lost = new BrokerError("Cannot POST: no answer", { kind: "timeout", outcome: "unknown" });

Deno.test("settle() counts horizon from the end of the request, and throws its signal's reason", async () => {
  using clock = new VirtualClock(50_000, () => 0);
  const verdict = settle(lost, { find: () => undefined, ended: 40_000 }).catch((error) => error);
  await drain();
  await clock.runTo();
  const { kind, outcome } = await verdict;
  assertEquals([kind, outcome, clock.now], ["timeout", "absent", 50_000]);
  const reason = new Error("closed");
  await assertRejects(
    () => settle(lost, { find: () => undefined, ended: 0, signal: AbortSignal.abort(reason) }),
    Error,
    "closed",
  );
});

Deno.test("checkReconcile() refuses options that cannot be kept", () => {
  const find = () => undefined;
  checkReconcile({ find });
  checkReconcile({ find, horizon: 0, timeout: Infinity });
  assertThrows(() => checkReconcile({ find, horizon: -1 }), RangeError, "horizon");
  assertThrows(() => checkReconcile({ find, timeout: 9_999 }), RangeError, "timeout");
  assertThrows(() => checkReconcile({ find: 1 as never }), TypeError, "find");
  assertThrows(() => checkReconcile(undefined as never), TypeError, "options");
});
