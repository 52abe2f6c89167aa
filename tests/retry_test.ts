import { runInNewContext } from "node:vm";
import { assert, assertEquals, assertRejects, assertStrictEquals, assertThrows } from "@std/assert";
import { FakeTime } from "@std/testing/time";
import fc from "fast-check";
import { isNetworkError, retry, type RetryEvent, type RetryOptions } from "../retry.ts";

/** What the network does when it fails, as every runtime would say it. */
class NetworkFault extends Error {
  retriable = true;
  constructor(fields: { uptime?: number; retryAfter?: unknown } = {}) {
    super("network fault");
    Object.assign(this, fields);
  }
}

/** A function that fails with each fault in turn, then succeeds; `at` are the times of its calls. */
function faulty(...faults: unknown[]) {
  const at: number[] = [];
  const start = Date.now();
  return {
    at,
    call: () => {
      at.push(Date.now() - start);
      const turn = at.length - 1;
      return turn < faults.length ? Promise.reject(faults[turn]) : Promise.resolve("done");
    },
  };
}

function faults(count: number): NetworkFault[] {
  return Array.from({ length: count }, () => new NetworkFault());
}

/** Runs every timer; bounded, so that a retry that never ends fails the test instead of hanging it. */
async function settle(time: FakeTime, result: Promise<unknown>) {
  const settled = Promise.allSettled([result]);
  for (let step = 0; step < 100 && await time.nextAsync(); step++) await time.runMicrotasks();
  const [outcome] = await settled;
  return outcome;
}

Deno.test("retry() returns the first success and waits for nothing", async () => {
  using _time = new FakeTime();
  const { call, at } = faulty();
  assertEquals(await retry(call)(), "done");
  assertEquals(at, [0]);
});

Deno.test("retry() waits 2, 4, 8, 16, 32 s, then throws the last error at once", async () => {
  using time = new FakeTime();
  const errors = faults(7);
  const { call, at } = faulty(...errors);
  const outcome = await settle(time, retry(call)());
  assertEquals(at, [0, 2_000, 6_000, 14_000, 30_000, 62_000]);
  assert(outcome.status === "rejected");
  assertStrictEquals(outcome.reason, errors[5]);
  assertEquals(Date.now() - time.start, 62_000);
});

Deno.test("retry() doubles the wait up to maxWait", async () => {
  using time = new FakeTime();
  const { call, at } = faulty(...faults(5));
  await settle(time, retry(call, { baseWait: 100, maxWait: 350 })());
  assertEquals(at, [0, 100, 300, 650, 1_000, 1_350]);
});

Deno.test("retry() never waits longer than 60 s unless told otherwise", async () => {
  using time = new FakeTime();
  const { call, at } = faulty(...faults(7));
  await settle(time, retry(call, { maxRetries: 7 })());
  assertEquals(at.slice(5), [62_000, 122_000, 182_000]);
});

Deno.test("retry() with maxWait below baseWait waits maxWait", async () => {
  using time = new FakeTime();
  const { call, at } = faulty(...faults(2));
  await settle(time, retry(call, { maxWait: 10 })());
  assertEquals(at, [0, 10, 20]);
});

Deno.test("retry() with maxRetries 0 never repeats", async () => {
  using _time = new FakeTime();
  const { call, at } = faulty(...faults(1));
  await assertRejects(() => retry(call, { maxRetries: 0 })(), NetworkFault);
  assertEquals(at, [0]);
});

Deno.test("retry() with maxRetries Infinity never gives up, nor does its wait overflow", async () => {
  const { call, at } = faulty(...faults(1_100));
  const waits = new Set<number>();
  const onRetry = ({ delay }: RetryEvent) => waits.add(delay);
  assertEquals(await retry(call, { maxRetries: Infinity, baseWait: 0, onRetry })(), "done");
  assertEquals(at.length, 1_101);
  assertEquals(waits, new Set([0]));
});

Deno.test("retry() counts anew for each call of the wrapper", async () => {
  using time = new FakeTime();
  const { call, at } = faulty(...faults(4));
  const wrapped = retry(call, { maxRetries: 2, baseWait: 10 });
  assertEquals((await settle(time, wrapped())).status, "rejected");
  assertEquals((await settle(time, wrapped())).status, "fulfilled");
  assertEquals(at, [0, 10, 30, 30, 40]);
});

Deno.test("retry() throws an error that is not worth repeating at once", async () => {
  using _time = new FakeTime();
  const { call, at } = faulty(new Error("insufficient funds"));
  await assertRejects(() => retry(call)(), Error, "insufficient funds");
  assertEquals(at, [0]);
});

Deno.test("retry() lets an error's own retriable decide", async () => {
  using _time = new FakeTime();
  const final = Object.assign(new DOMException("late", "TimeoutError"), { retriable: false });
  const { call, at } = faulty(final);
  await assertRejects(() => retry(call)(), DOMException);
  assertEquals(at, [0]);
});

Deno.test("retry() lets shouldRetry decide over everything else", async () => {
  using time = new FakeTime();
  const seen: unknown[] = [];
  const { call, at } = faulty("first", "second", new NetworkFault());
  const outcome = await settle(
    time,
    retry(call, {
      shouldRetry: (error) => seen.push(error) > 0 && typeof error === "string",
    })(),
  );
  assertEquals(outcome.status, "rejected");
  assertEquals(at, [0, 2_000, 6_000]);
  assertEquals(seen.length, 3);
});

Deno.test("retry() repeats a function that throws before it returns a promise", async () => {
  using time = new FakeTime();
  let calls = 0;
  const wrapped = retry((): number => {
    if (++calls === 1) throw new NetworkFault();
    return calls;
  });
  assertEquals(await settle(time, wrapped()), { status: "fulfilled", value: 2 });
});

Deno.test("retry() starts the count again after a connection that was up for resetRetryAfter", async () => {
  using time = new FakeTime();
  const stable = new NetworkFault({ uptime: 30_000 });
  const { call, at } = faulty(...faults(2), stable, ...faults(2));
  const outcome = await settle(time, retry(call, { maxRetries: 3 })());
  assertEquals(outcome.status, "fulfilled");
  assertEquals(at, [0, 2_000, 6_000, 8_000, 12_000, 20_000]);
});

Deno.test("retry() does not start the count again below resetRetryAfter", async () => {
  using time = new FakeTime();
  const short = new NetworkFault({ uptime: 29_999 });
  const { call, at } = faulty(...faults(2), short);
  await settle(time, retry(call, { maxRetries: 3 })());
  assertEquals(at, [0, 2_000, 6_000, 14_000]);
});

Deno.test("retry() does not start the count again because a call took long", async () => {
  using time = new FakeTime();
  let calls = 0;
  const outcome = await settle(
    time,
    retry(async () => {
      calls++;
      await new Promise((resolve) => setTimeout(resolve, 3_600_000));
      throw new NetworkFault();
    }, { maxRetries: 2 })(),
  );
  assertEquals(outcome.status, "rejected");
  assertEquals(calls, 3);
});

Deno.test("retry() with resetRetryAfter Infinity never starts the count again", async () => {
  using time = new FakeTime();
  const { call, at } = faulty(new NetworkFault({ uptime: 1e9 }), new NetworkFault({ uptime: 1e9 }));
  const wrapped = retry(call, { maxRetries: 1, resetRetryAfter: Infinity });
  assertEquals((await settle(time, wrapped())).status, "rejected");
  assertEquals(at, [0, 2_000]);
});

Deno.test("retry() with resetRetryAfter 0 still gives up on a venue that was never up", async () => {
  using time = new FakeTime();
  const never = () => new NetworkFault({ uptime: 0 });
  const { call, at } = faulty(never(), never(), never());
  const wrapped = retry(call, { maxRetries: 1, resetRetryAfter: 0 });
  assertEquals((await settle(time, wrapped())).status, "rejected");
  assertEquals(at, [0, 2_000]);
});

Deno.test("retry() waits an error's retryAfter when that is longer", async () => {
  using time = new FakeTime();
  const { call, at } = faulty(
    new NetworkFault({ retryAfter: 7_000 }),
    new NetworkFault({ retryAfter: 1_000 }),
    new NetworkFault({ retryAfter: 60_000 }),
  );
  await settle(time, retry(call)());
  assertEquals(at, [0, 7_000, 11_000, 71_000]);
});

Deno.test("retry() gives up now when an error's retryAfter is above maxWait", async () => {
  using _time = new FakeTime();
  const { call, at } = faulty(new NetworkFault({ retryAfter: 60_001 }));
  await assertRejects(() => retry(call)(), NetworkFault);
  assertEquals(at, [0]);
});

Deno.test("retry() ignores a retryAfter that is not a time", async () => {
  using time = new FakeTime();
  const junk = [NaN, -1, "9", null].map((retryAfter) => new NetworkFault({ retryAfter }));
  const { call, at } = faulty(...junk);
  await settle(time, retry(call, { baseWait: 1 })());
  assertEquals(at, [0, 1, 3, 7, 15]);
});

Deno.test("retry() never shortens a retryAfter by jitter", async () => {
  using time = new FakeTime();
  const { call, at } = faulty(new NetworkFault({ retryAfter: 2_000 }));
  await settle(time, retry(call, { jitter: 1 })());
  assertEquals(at, [0, 2_000]);
});

Deno.test("retry() multiplies each wait by 1 - jitter * random", async () => {
  using time = new FakeTime();
  const { random } = Math;
  try {
    Math.random = () => 0.5;
    const { call, at } = faulty(...faults(2));
    await settle(time, retry(call, { jitter: 0.5 })());
    assertEquals(at, [0, 1_500, 4_500]);
  } finally {
    Math.random = random;
  }
});

Deno.test("retry() never sets a timer that would fire at once for being too long", async () => {
  const month = 30 * 86_400_000;
  const delays: (number | undefined)[] = [];
  const { setTimeout } = globalThis;
  globalThis.setTimeout = ((fn: () => void, ms?: number) => {
    delays.push(ms);
    return setTimeout(fn, 0);
  }) as typeof setTimeout;
  try {
    const { call } = faulty(new NetworkFault({ retryAfter: month }));
    await retry(call, { maxWait: Infinity })();
  } finally {
    globalThis.setTimeout = setTimeout;
  }
  assertEquals(delays, [2 ** 31 - 1]);
});

Deno.test("retry() tells onRetry the attempt, the delay and the error before each wait", async () => {
  using time = new FakeTime();
  const errors = [...faults(2), new NetworkFault({ uptime: 60_000 })];
  const { call, at } = faulty(...errors);
  const events: (RetryEvent & { calls: number })[] = [];
  const onRetry = (event: RetryEvent) => events.push({ ...event, calls: at.length });
  await settle(time, retry(call, { onRetry })());
  assertEquals(events, [
    { attempt: 1, delay: 2_000, error: errors[0], calls: 1 },
    { attempt: 2, delay: 4_000, error: errors[1], calls: 2 },
    { attempt: 1, delay: 2_000, error: errors[2], calls: 3 },
  ]);
});

/** An AbortSignal that counts who listens to it. */
function watchedSignal() {
  const controller = new AbortController();
  const { signal } = controller;
  let listeners = 0;
  const { addEventListener, removeEventListener } = signal;
  signal.addEventListener = (...args: unknown[]) => {
    listeners++;
    addEventListener.apply(signal, args as Parameters<typeof addEventListener>);
  };
  signal.removeEventListener = (...args: unknown[]) => {
    listeners--;
    removeEventListener.apply(signal, args as Parameters<typeof removeEventListener>);
  };
  return { controller, signal, listeners: () => listeners };
}

Deno.test("retry() what onRetry throws ends the repeats, in place of the error", async () => {
  let calls = 0;
  const onRetry = () => {
    throw new RangeError("mine");
  };
  const call = retry(() => Promise.reject(new NetworkFault({ uptime: ++calls })), { onRetry });
  await assertRejects(() => call(), RangeError, "mine");
  assertEquals(calls, 1);
});

Deno.test("retry() rejects at once with the signal's reason on an abort during a wait", async () => {
  using time = new FakeTime();
  const { controller, signal } = watchedSignal();
  const { call, at } = faulty(...faults(1));
  const result = retry(call, { signal })();
  const settled = Promise.allSettled([result]);
  await time.tickAsync(1_999);
  const reason = new Error("enough");
  controller.abort(reason);
  const [outcome] = await settled;
  assert(outcome.status === "rejected");
  assertStrictEquals(outcome.reason, reason);
  assertEquals(at, [0]);
  assertEquals(await time.nextAsync(), false, "a timer is left");
});

Deno.test("retry() leaves no listener on its signal after a wait", async () => {
  using time = new FakeTime();
  const { signal, listeners } = watchedSignal();
  const { call } = faulty(...faults(3));
  await settle(time, retry(call, { signal })());
  assertEquals(listeners(), 0);
});

Deno.test("retry() starts no call once its signal is aborted", async () => {
  using _time = new FakeTime();
  const { call, at } = faulty();
  const signal = AbortSignal.abort(new Error("enough"));
  await assertRejects(() => retry(call, { signal })(), Error, "enough");
  assertEquals(at, []);
});

Deno.test("retry() starts no call when its signal is aborted just as a wait ends", async () => {
  using time = new FakeTime();
  const controller = new AbortController();
  const { call, at } = faulty(...faults(1));
  const result = retry(call, {
    signal: controller.signal,
    // Due at the same time as the wait, and set after it.
    onRetry: ({ delay }) => queueMicrotask(() => setTimeout(() => controller.abort(), delay)),
  })();
  assertEquals((await settle(time, result)).status, "rejected");
  assertEquals(at, [0]);
});

Deno.test("retry() throws the error of a call during which its signal was aborted, and waits no more", async () => {
  using _time = new FakeTime();
  const controller = new AbortController();
  const fault = new NetworkFault();
  const events: RetryEvent[] = [];
  const wrapped = retry(() => {
    controller.abort();
    return Promise.reject(fault);
  }, { signal: controller.signal, onRetry: (event) => events.push(event) });
  assertStrictEquals(await wrapped().catch((error) => error), fault);
  assertEquals(events, []);
});

/** Something that has a connection to close; its calls always fail. */
class Connection {
  calls = 0;
  closes = 0;
  closed?: Promise<void>;

  constructor(private readonly fault: unknown = new NetworkFault()) {}

  connect(): Promise<never> {
    this.calls++;
    return Promise.reject(this.fault);
  }

  close(): Promise<void> {
    this.closes++;
    return Promise.resolve();
  }
}

Deno.test("retry() closes this before giving up, once, and awaits that", async () => {
  using time = new FakeTime();
  const order: string[] = [];
  const owner = {
    connect: retry(function () {
      order.push("call");
      return Promise.reject(new NetworkFault());
    }, { maxRetries: 2 }),
    async close() {
      order.push("closing");
      await new Promise((resolve) => setTimeout(resolve, 5_000));
      order.push("closed");
    },
  };
  const result = owner.connect().catch(() => order.push("thrown"));
  await settle(time, result);
  assertEquals(order, ["call", "call", "call", "closing", "closed", "thrown"]);
});

Deno.test("retry() closes this before it throws an error that is not worth repeating", async () => {
  using _time = new FakeTime();
  const connection = new Connection(new Error("rejected"));
  const connect = retry(connection.connect);
  await assertRejects(() => connect.call(connection), Error, "rejected");
  assertEquals([connection.calls, connection.closes], [1, 1]);
});

Deno.test("retry() disposes this where it has no close()", async () => {
  using _time = new FakeTime();
  let disposed = 0;
  const owner = {
    connect: retry(() => Promise.reject(new NetworkFault()), { maxRetries: 0 }),
    [Symbol.asyncDispose]: () => Promise.resolve(void disposed++),
  };
  await assertRejects(() => owner.connect(), NetworkFault);
  assertEquals(disposed, 1);
});

Deno.test("retry() never hides the real error behind an error while closing", async () => {
  using _time = new FakeTime();
  for (
    const close of [() => Promise.reject(new Error("late")), () => {
      throw new Error("now");
    }]
  ) {
    const connect = retry(() => Promise.reject(new NetworkFault()), { maxRetries: 0 });
    await assertRejects(() => connect.call({ close }), NetworkFault);
  }
  const connect = retry(() => Promise.reject(new NetworkFault()), { maxRetries: 0 });
  const broken = {
    get close() {
      throw new Error("a getter");
    },
  };
  await assertRejects(() => connect.call(broken), NetworkFault);
});

Deno.test("retry() leaves this open with close: false", async () => {
  using _time = new FakeTime();
  const connection = new Connection();
  const connect = retry(connection.connect, { maxRetries: 0, close: false });
  await assertRejects(() => connect.call(connection), NetworkFault);
  assertEquals(connection.closes, 0);
});

Deno.test("retry() leaves this open after a success and after an abort", async () => {
  using time = new FakeTime();
  const controller = new AbortController();
  const connection = new Connection();
  const { call } = faulty(...faults(1));
  await settle(time, retry(call).call(connection));
  const connect = retry(connection.connect, { signal: controller.signal });
  const settled = Promise.allSettled([connect.call(connection)]);
  await time.tickAsync(1);
  controller.abort();
  await settled;
  assertEquals(connection.closes, 0);
});

Deno.test("retry() leaves this open when its signal is aborted during a call", async () => {
  const controller = new AbortController();
  const connection = new Connection();
  const connect = retry(function (this: Connection) {
    controller.abort();
    return this.connect();
  }, { signal: controller.signal });
  await assertRejects(() => connect.call(connection), NetworkFault);
  assertEquals([connection.calls, connection.closes], [1, 0]);
});

Deno.test("retry() around close() itself does not call itself for ever", async () => {
  using _time = new FakeTime();
  let calls = 0;
  const owner = {
    close: retry(() => {
      calls++;
      return Promise.reject(new NetworkFault());
    }, { maxRetries: 0 }),
  };
  await assertRejects(() => owner.close(), NetworkFault);
  assertEquals(calls, 1);
});

Deno.test("@retry() keeps this, name and length, and closes its instance", async () => {
  using time = new FakeTime();
  class Venue {
    calls = 0;
    closes = 0;

    @retry({ maxRetries: 1, baseWait: 10 })
    connect(host: string, port: number): Promise<string> {
      this.calls++;
      return Promise.reject(Object.assign(new NetworkFault(), { host, port }));
    }

    @retry()
    ping(): Promise<number> {
      return Promise.resolve(this.calls);
    }

    close(): void {
      this.closes++;
    }
  }
  const venue = new Venue();
  const outcome = await settle(time, venue.connect("venue", 443));
  assert(outcome.status === "rejected");
  assertEquals([outcome.reason.host, outcome.reason.port], ["venue", 443]);
  assertEquals([venue.calls, venue.closes], [2, 1]);
  assertEquals([venue.connect.name, venue.connect.length], ["connect", 2]);
  assertEquals(await venue.ping(), 2);
});

Deno.test("retry(options)(fn) is the same as retry(fn, options)", async () => {
  using time = new FakeTime();
  const { call, at } = faulty(...faults(3));
  await settle(time, retry({ maxRetries: 1 })(call)());
  assertEquals(at, [0, 2_000]);
});

Deno.test("retry() keeps the parameter types of its function", async () => {
  const add = retry((left: number, right?: number) => left + (right ?? 1));
  const sum: number = await add(1, 2);
  assertEquals(sum, 3);
  assertEquals(await add(1), 2);
  // @ts-expect-error: a string is not a number
  assertEquals(await add("1"), "11");
  // @ts-expect-error: the first parameter is needed
  assertEquals(await add(), NaN);
});

Deno.test("retry() wraps what retry(options) wraps: plain results, thenables, methods with a this of their own", async () => {
  const thenable = (): PromiseLike<number> => Promise.resolve(1);
  const plain = (n: number) => n + 1;
  class Venue {
    name = "venue";
    @retry()
    async greet(this: Venue, word: string): Promise<string> {
      return await `${word} ${this.name}`;
    }
  }
  const results: number[] = [
    await retry(thenable)(),
    await retry({})(thenable)(),
    await retry(plain)(1),
    await retry({})(plain)(1),
  ];
  assertEquals(results, [1, 1, 2, 2]);
  assertEquals(await new Venue().greet("hello"), "hello venue");
});

Deno.test("retry() refuses options when it is called, not when the function is", () => {
  const fn = () => Promise.resolve();
  const refused: [options: unknown, error: typeof Error, message: string][] = [
    [{ maxRetries: -1 }, RangeError, "Cannot retry: maxRetries is -1, wanted"],
    [{ jitter: "1" }, TypeError, `Cannot retry: jitter is "1", a string; wanted`],
    [{ close: "no" }, TypeError, `Cannot retry: close is "no", a string; wanted`],
    [null, TypeError, "Cannot retry: options is null; wanted an object"],
    ["fetch", TypeError, `Cannot retry: options is "fetch", a string; wanted an object`],
  ];
  for (const [options, error, message] of refused) {
    assertThrows(() => retry(fn, options as RetryOptions), error, message);
    assertThrows(() => retry(options as RetryOptions), error, message);
  }
});

Deno.test("retry(options) refuses to wrap anything but a function", () => {
  assertThrows(
    () => retry()("fetch" as never),
    TypeError,
    `Cannot retry: fn is "fetch", a string; wanted a function or a method`,
  );
});

Deno.test("retry() with shouldRetry: () => false repeats nothing, not even a network error", async () => {
  using _time = new FakeTime();
  const { call, at } = faulty(...faults(1));
  await assertRejects(() => retry(call, { shouldRetry: () => false })(), NetworkFault);
  assertEquals(at, [0]);
});

Deno.test("retry() with shouldRetry: () => true repeats everything, even what says not to", async () => {
  using time = new FakeTime();
  const final = Object.assign(new Error("no funds"), { retriable: false });
  const { call, at } = faulty(final, "a string", undefined);
  assertEquals(
    (await settle(time, retry(call, { shouldRetry: () => true })())).status,
    "fulfilled",
  );
  assertEquals(at, [0, 2_000, 6_000, 14_000]);
});

Deno.test("retry() never waits longer than maxWait, nor makes more than maxRetries repeats", async () => {
  await fc.assert(fc.asyncProperty(
    fc.array(
      fc.record({
        uptime: fc.constantFrom(undefined, 0, 999, 1_000, 5_000),
        retryAfter: fc.constantFrom(undefined, 0, 50, 3_000, 4_001),
      }, { requiredKeys: [] }),
      { maxLength: 30 },
    ),
    fc.record({
      maxRetries: fc.nat(6),
      baseWait: fc.nat(1_000),
      maxWait: fc.nat(4_000),
      jitter: fc.double({ min: 0, max: 1, noNaN: true }),
    }),
    async (fields, options) => {
      using time = new FakeTime();
      const errors = fields.map((each) => new NetworkFault(each));
      const { call, at } = faulty(...errors);
      const events: RetryEvent[] = [];
      const onRetry = (event: RetryEvent) => events.push(event);
      const outcome = await settle(
        time,
        retry(call, { ...options, resetRetryAfter: 1_000, onRetry })(),
      );
      let inARow = 0;
      for (const { attempt, delay, error } of events) {
        const { uptime = 0, retryAfter = 0 } = error as NetworkFault & RetryHints;
        inARow = uptime >= 1_000 ? 1 : inARow + 1;
        assertEquals(attempt, inARow);
        assert(attempt <= options.maxRetries);
        assert(delay <= options.maxWait && delay >= retryAfter);
      }
      assertEquals(events.length, at.length - 1);
      if (outcome.status === "rejected") assertStrictEquals(outcome.reason, errors[at.length - 1]);
      else assertEquals(at.length, errors.length + 1);
    },
  ));
});

interface RetryHints {
  uptime?: number;
  retryAfter?: number;
}

Deno.test("isNetworkError() knows what Node, Bun and Deno say of the network", () => {
  const coded = (code: string) => Object.assign(new Error("fetch failed"), { code });
  for (
    const error of [
      new DOMException("Signal timed out", "TimeoutError"),
      new TypeError("fetch failed", { cause: coded("ECONNREFUSED") }),
      new TypeError("terminated", { cause: coded("UND_ERR_SOCKET") }),
      coded("ECONNRESET"),
      coded("ENOTFOUND"),
      new TypeError("error reading a body from connection"),
      new Error("failed to lookup address information: Name or service not known"),
      runInNewContext("Object.assign(new Error('of another realm'), { code: 'ECONNRESET' })"),
      new TypeError("fetch failed", {
        cause: new Error(
          "client error (Connect): tcp connect error: Connection refused (os error 111)",
        ),
      }),
    ]
  ) assert(isNetworkError(error), String(error.cause ?? error));
});

Deno.test("isNetworkError() is false for TLS failures, aborts, bad arguments and values that are no errors", () => {
  const circle = new Error("circle");
  circle.cause = circle;
  for (
    const error of [
      new DOMException("Aborted", "AbortError"),
      new TypeError("Invalid URL"),
      new TypeError("fetch failed", { cause: new Error("bad port") }),
      new TypeError("fetch failed", {
        cause: Object.assign(new Error("self-signed certificate"), {
          code: "DEPTH_ZERO_SELF_SIGNED_CERT",
        }),
      }),
      new TypeError("fetch failed", {
        cause: new Error("client error (Connect): invalid peer certificate: UnknownIssuer"),
      }),
      circle,
      undefined,
      null,
      "ECONNRESET",
      { code: "ECONNRESET" },
    ]
  ) assert(!isNetworkError(error), String(error));
});

Deno.test("isNetworkError() is true for a refused port and false for an aborted fetch", async () => {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr as Deno.NetAddr;
  listener.close();
  assert(isNetworkError(await fetch(`http://127.0.0.1:${port}`).catch((error) => error)));
  const signal = AbortSignal.abort();
  assert(
    !isNetworkError(await fetch(`http://127.0.0.1:${port}`, { signal }).catch((error) => error)),
  );
});
