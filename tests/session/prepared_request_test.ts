import { assert, assertEquals, assertThrows } from "@std/assert";
import { BrokerError } from "../../common/broker_error.ts";
import { checkOptions, type RequestOptions } from "../../session/options.ts";
import { prepare, type PreparedRequest } from "../../session/prepared_request.ts";
import { Throttler } from "../../throttler.ts";

const BASE = "https://api.venue.example/v1/";
const DEFAULTS = checkOptions({ baseUrl: BASE });

function prepared(method: string, options: RequestOptions = {}, isLogin = false): PreparedRequest {
  return prepare({ method, path: "orders?a=1", options, isLogin }, BASE, DEFAULTS);
}

Deno.test("prepare() fills in the session's defaults", () => {
  const request = prepared("post");
  assertEquals(request, {
    method: "POST",
    target: `${BASE}orders?a=1`,
    url: `${BASE}orders`,
    payload: { body: undefined, type: undefined },
    headers: undefined,
    isSafe: false,
    isIdempotent: false,
    role: "order",
    throttlers: [],
    cost: undefined,
    isUrgent: false,
    signal: undefined,
    timeout: 60_000,
    deadline: Infinity,
    maxBytes: 64 * 1024 * 1024,
    retry: {},
    parse: undefined,
    reconcile: undefined,
  });
});

Deno.test("prepare() prefers the options of the call", () => {
  const throttlers = [new Throttler({ limit: 1, period: 1 })];
  const options = {
    throttlers,
    cost: 2,
    timeout: 1,
    deadline: 2,
    maxBytes: 3,
    retry: false,
  } as const;
  const request = prepared("GET", options);
  for (const [name, value] of Object.entries(options)) {
    assertEquals(request[name as keyof PreparedRequest] as unknown, value);
  }
});

Deno.test("prepare() lets a call say itself whether it is urgent", () => {
  assertEquals(prepared("DELETE", { urgent: true }).isUrgent, true);
  assertEquals(prepared("POST", { renew: false }).isUrgent, true);
  assertEquals(prepared("POST", { renew: false, urgent: false }).isUrgent, false);
  assertEquals(prepared("POST", {}, true).role, "login");
});

Deno.test("prepare() refuses an option of the wrong type or out of range: invalid, not-sent, and says why", () => {
  const cases: [options: unknown, words: string][] = [
    [{ timeout: "10" }, 'timeout is "10", a string; wanted milliseconds > 0'],
    [{ timeout: 0 }, "timeout is 0, wanted milliseconds > 0"],
    [{ timeout: NaN }, "timeout is NaN, wanted"],
    [{ deadline: -1 }, "deadline is -1, wanted"],
    [{ maxBytes: null }, "maxBytes is null; wanted bytes > 0"],
    [{ retry: { jitter: 2 } }, "retry.jitter is 2, wanted"],
    [{ retry: { onRetry: 1 } }, "retry.onRetry is 1, a number; wanted a function"],
    [{ signal: {} }, "signal is an object; wanted an AbortSignal"],
    [{ renew: 0 }, "renew is 0, a number; wanted true or false"],
    [{ urgent: "yes" }, 'urgent is "yes", a string; wanted true or false'],
    [{ idempotent: 1 }, "idempotent is 1, a number; wanted true or false"],
    [{ parse: "xml" }, 'parse is "xml", a string; wanted "json", "text", "bytes", "stream" or'],
    [{ parse: "JSON" }, 'parse is "JSON", a string; wanted'],
    [{ parse: 1 }, "parse is 1, a number; wanted"],
    [null, "options is null; wanted an object"],
  ];
  for (const [options, words] of cases) {
    const error = assertThrows(() => prepared("POST", options as RequestOptions), BrokerError);
    assertEquals([error.kind, error.outcome, error.retriable], ["invalid", "not-sent", false]);
    assert(error.message.includes(words), error.message);
    assertEquals(error.method, "POST");
  }
});

Deno.test("prepare() shows nothing that a caller's getter throws, whatever its type", () => {
  for (const thrown of [new TypeError("hunter2"), new RangeError("hunter2"), "hunter2"]) {
    const hostile = {
      get key(): string {
        throw thrown;
      },
    };
    for (const options of [{ form: hostile }, { query: hostile }, { json: hostile }]) {
      const error = assertThrows(() => prepared("POST", options), BrokerError);
      assert(!Deno.inspect(error).includes("hunter2"));
    }
  }
});
