import { assertEquals } from "@std/assert";
import { BrokerError, type Outcome } from "../../common/broker_error.ts";
import { Call } from "../../session/call.ts";
import { checkOptions, type RequestOptions } from "../../session/options.ts";
import { prepare } from "../../session/prepared_request.ts";
import { Timeouts } from "../../session/timeouts.ts";
import { Throttler } from "../../throttler.ts";

const base = "https://api.venue.example/";

function call(method: string, options: RequestOptions = {}): Call {
  const wish = { method, path: "x", options, isLogin: false };
  const request = prepare(wish, base, checkOptions({ baseUrl: base }));
  return new Call(1, request, new Timeouts(Infinity));
}

function failed(outcome: Outcome): BrokerError {
  return new BrokerError("It failed", { kind: "network", outcome });
}

Deno.test("Call.mayRepeat() lets an order be repeated only while it is not-sent", () => {
  for (
    const [outcome, order, idempotent] of [
      ["not-sent", true, true],
      ["rejected", false, true],
      ["unknown", false, true],
      ["absent", false, true],
    ] as const
  ) {
    assertEquals(call("POST").mayRepeat(failed(outcome)), order);
    assertEquals(call("PUT", { idempotent: true }).mayRepeat(failed(outcome)), idempotent);
    assertEquals(call("GET").mayRepeat(failed(outcome)), idempotent);
  }
  assertEquals(call("GET").mayRepeat(new Error("not ours")), false);
  const final = call("GET");
  final.isFinal = true;
  assertEquals(final.mayRepeat(failed("not-sent")), false);
  const ended = call("GET");
  ended.end("closed", "the session was closed");
  assertEquals(ended.mayRepeat(failed("not-sent")), false);
});

Deno.test("Call.outlivesClose is true of an order in flight or being reconciled, and of a stream never", () => {
  const order = call("POST");
  assertEquals(order.outlivesClose, false);
  order.fate.send(false);
  assertEquals(order.outlivesClose, true);
  const end = order.stream(() => {});
  assertEquals(order.outlivesClose, false);
  end();
  order.fate.succeed();
  assertEquals(order.outlivesClose, false);
  order.reconcile();
  assertEquals(order.outlivesClose, true);
});

Deno.test("Call.reconcile() begins anew, whatever has ended the call before", () => {
  const order = call("POST");
  order.end("timeout", "not done within its deadline of 1 ms");
  const signal = order.reconcile();
  assertEquals(signal.aborted, false);
  order.end("closed", "the session was closed");
  assertEquals(signal.reason.kind, "closed");
});

Deno.test("Call.stream() tells its end once, and releases the call", () => {
  const read = call("GET");
  let released = 0;
  const ends: unknown[] = [];
  read.release = () => void released++;
  const end = read.stream((error) => void ends.push(error));
  const error = failed("unknown");
  end(error);
  end();
  assertEquals([ends, released, read.isStreaming], [[error], 1, false]);
});

Deno.test("Call.limiters names the throttlers without their costs", () => {
  const [a, b] = [1, 2].map((limit) => new Throttler({ limit, period: 1 }));
  assertEquals(call("GET", { throttlers: [a, { throttler: b, cost: 2 }] }).limiters, [a, b]);
});
