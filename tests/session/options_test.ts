import { assertEquals, assertThrows } from "@std/assert";
import { checkOptions, type SessionOptions } from "../../session/options.ts";

const baseUrl = "https://api.venue.example";

Deno.test("checkOptions() fills in the defaults that the doc comments name", () => {
  assertEquals(checkOptions({ baseUrl }), {
    throttlers: [],
    pause: 1_000,
    timeout: 60_000,
    deadline: Infinity,
    closeTimeout: 5_000,
    maxBytes: 64 * 1024 * 1024,
    retry: {},
  });
});

Deno.test("checkOptions() refuses an option of the wrong type, and a number out of range", () => {
  const wrong: Record<string, unknown> = {
    timeout: "1",
    deadline: null,
    maxBytes: {},
    pause: "1000",
    closeTimeout: true,
    retry: 3,
    sign: "key",
    onUnauthorized: 1,
    failure: {},
    sync: [],
    fetch: "fetch",
    onEvent: null,
  };
  for (const [name, value] of Object.entries(wrong)) {
    const options = { baseUrl, [name]: value } as SessionOptions;
    assertThrows(() => checkOptions(options), TypeError, `Cannot create a session: ${name} is `);
  }
  for (
    const [name, value] of [
      ["timeout", 0],
      ["deadline", NaN],
      ["maxBytes", -1],
      ["pause", -1],
      ["pause", NaN],
      ["closeTimeout", -1],
    ] as const
  ) {
    assertThrows(() => checkOptions({ baseUrl, [name]: value }), RangeError, `${name} is ${value}`);
  }
  assertThrows(() => checkOptions(undefined as unknown as SessionOptions), TypeError);
});

Deno.test("checkOptions() takes undefined for a missing option", () => {
  const names = [
    "headers",
    "throttlers",
    "timeout",
    "pause",
    "closeTimeout",
    "retry",
    "sign",
    "onEvent",
  ];
  const options = Object.fromEntries(names.map((name) => [name, undefined]));
  assertEquals(checkOptions({ baseUrl, ...options }), checkOptions({ baseUrl }));
});
