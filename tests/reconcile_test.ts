import { assert, assertEquals, assertRejects, assertStrictEquals } from "@std/assert";
import { BrokerError, type BrokerErrorInit, type Outcome } from "../common/broker_error.ts";
import { isLookUp } from "../common/look_up.ts";
import { reconcile, type ReconcileContext, type ReconcileOptions } from "../reconcile.ts";
import { settle as drain, VirtualClock } from "./virtual_clock.ts";

const punctual = () => 0;

function lost(init: Partial<BrokerErrorInit> = {}): BrokerError {
  const message = "Cannot POST https://venue.example/orders: no answer; it may have been executed";
  return new BrokerError(message, {
    kind: "timeout",
    outcome: "unknown",
    method: "POST",
    url: "https://venue.example/orders",
    ...init,
  });
}

/** Reconciles an order whose answer is lost at once, and returns the verdict and the times of the look-ups. */
async function after<T>(
  find: ReconcileOptions<T>["find"],
  options: Partial<ReconcileOptions<T>> & { signal?: AbortSignal } = {},
  error = lost(),
): Promise<{ verdict: T | BrokerError; at: number[]; signals: AbortSignal[]; end: number }> {
  using clock = new VirtualClock(0, punctual);
  const at: number[] = [];
  const signals: AbortSignal[] = [];
  let end = NaN;
  const asked = (context: ReconcileContext) => {
    at.push(clock.now);
    signals.push(context.signal);
    assertStrictEquals(context.error, error);
    return find(context);
  };
  const result = reconcile<T>(() => Promise.reject(error), { ...options, find: asked })
    .catch((error) => error)
    .finally(() => end = clock.now);
  await drain();
  await clock.runTo();
  assertEquals(clock.live, 0, "a timer is left");
  return { verdict: await result, at, signals, end };
}

function outcomes(verdict: unknown): [unknown, unknown] {
  assert(verdict instanceof BrokerError, String(verdict));
  return [verdict.kind, verdict.outcome];
}

const never = () => new Promise<undefined>(() => {});

Deno.test("reconcile() passes through a result, and errors of any outcome but unknown", async () => {
  const find = () => {
    throw new Error("not asked");
  };
  assertEquals(await reconcile(() => Promise.resolve(7), { find }), 7);
  for (const outcome of ["not-sent", "rejected", "absent"] satisfies Outcome[]) {
    const error = lost({ outcome });
    assertStrictEquals(
      await assertRejects(() => reconcile(() => Promise.reject(error), { find })),
      error,
    );
  }
  for (
    const error of [new TypeError("a bug"), Object.assign(new Error(), { outcome: "unknown" })]
  ) {
    assertStrictEquals(
      await assertRejects(() => reconcile(() => Promise.reject(error), { find })),
      error,
    );
  }
  const thrown = new RangeError("thrown, not rejected");
  const fn = () => {
    throw thrown;
  };
  assertStrictEquals(await assertRejects(() => reconcile(fn, { find })), thrown);
});

Deno.test("reconcile() resolves to what find returns, null and other empty values too", async () => {
  for (const order of [{ id: 1 }, null, 0, "", false]) {
    const { verdict, at } = await after(() => order);
    assertEquals([verdict, at], [order, [0]]);
  }
});

Deno.test("reconcile() asks with doubling, jittered waits of at most 5 s, and once when horizon ends", async () => {
  const { random } = Math;
  try {
    Math.random = () => 0;
    const { verdict, at } = await after(() => undefined);
    assertEquals(at, [0, 500, 1_500, 3_500, 7_500, 10_000]);
    assertEquals(outcomes(verdict), ["timeout", "absent"]);
    Math.random = () => 1 - 2 ** -53;
    const { at: hurried } = await after(() => undefined);
    assertEquals(hurried, [0, 250, 750, 1_750, 3_750, 6_250, 8_750, 10_000]);
    Math.random = () => 0;
    const { at: failing } = await after(() => Promise.reject(new Error("?")), { timeout: 30_000 });
    assertEquals(failing, [0, 500, 1_500, 3_500, 7_500, 10_000, 15_000, 20_000, 25_000]);
  } finally {
    Math.random = random;
  }
});

Deno.test("reconcile() believes undefined only of a look-up that began horizon ms after the request had ended", async () => {
  using clock = new VirtualClock(0, punctual);
  const book: number[] = [];
  const fn = async () => {
    await new Promise((resolve) => setTimeout(resolve, 3_000));
    setTimeout(() => book.push(7), 9_990); // taken up late
    throw lost();
  };
  let slow = 20_000; // the first look-up sees an empty book and says so long after the horizon
  const find = async () => {
    const [order] = book;
    await new Promise((resolve) => setTimeout(resolve, slow));
    slow = 5;
    return order;
  };
  const order = reconcile(fn, { find, timeout: 120_000 });
  await drain();
  await clock.runTo();
  assertEquals(await order, 7);
});

Deno.test("reconcile() believes the first look-up with a horizon of 0", async () => {
  const { verdict, at } = await after(() => undefined, { horizon: 0 });
  assertEquals([...outcomes(verdict), at], ["timeout", "absent", [0]]);
});

Deno.test("reconcile() says absent in an error that keeps what is known, and is not retriable", async () => {
  const error = lost({ kind: "network", status: 503, code: "E1", requestId: "r", retriable: true });
  const { verdict } = await after(() => undefined, {}, error);
  assert(verdict instanceof BrokerError);
  const { kind, outcome, method, url, status, code, requestId, retriable, cause } = verdict;
  assertEquals([kind, outcome, retriable], ["network", "absent", false]);
  assertEquals([method, url, status], ["POST", "https://venue.example/orders", 503]);
  assertEquals([code, requestId], ["E1", "r"]);
  assertStrictEquals(cause, error);
  assertEquals(
    verdict.message,
    "Cannot POST https://venue.example/orders: no answer; the venue was asked and has no such order",
  );
});

Deno.test("reconcile() asks again after what find throws, and waits for its retryAfter", async () => {
  const faults = [
    new Error("one page of two"),
    lost({ kind: "rate-limited", retryAfter: 4_321 }),
    lost({ retryAfter: "5" as never }),
    "no Error",
  ];
  const { verdict, at } = await after(() => {
    if (faults.length > 0) throw faults.shift();
    return "order";
  });
  assertEquals(verdict, "order");
  assert(at[2] - at[1] >= 4_321);
  assert(at[3] - at[2] <= 4_000);
});

Deno.test("reconcile() throws the first error after timeout, its cause why the fate cannot be told", async () => {
  const why = new Error("one page of two");
  const error = lost({ cause: "before" });
  const { verdict, end, at } = await after(() => Promise.reject(why), {}, error);
  assertStrictEquals(verdict, error);
  assertEquals([error.outcome, end], ["unknown", 60_000]);
  assertStrictEquals(error.cause, why);
  assert(at.at(-1)! > 50_000);
  const hung = await after(never, { timeout: 10_000 });
  assert(((hung.verdict as BrokerError).cause as Error).message.includes("too long"));
  const early = await after(() => undefined, { horizon: 10_000, timeout: 10_001 });
  assertEquals(outcomes(early.verdict), ["timeout", "absent"], "asked when horizon ends");
});

Deno.test("reconcile() with a timeout above the longest timer does not give up at once", async () => {
  let asked = 0;
  const { verdict } = await after(() => ++asked < 4 ? undefined : "order", { timeout: 2 ** 40 });
  assertEquals(verdict, "order");
});

Deno.test("reconcile() shows no native text of the network, which may hold a key", async () => {
  const native = new TypeError("fetch failed", {
    cause: new Error(
      "error sending request for url (https://x/?key=secret): client error (Connect)",
    ),
  });
  const { verdict } = await after(() => Promise.reject(native));
  assert(!Deno.inspect(verdict, { depth: 9 }).includes("secret"));
  const own = lost({ kind: "network" });
  const { verdict: told } = await after(() => Promise.reject(own));
  assertStrictEquals((told as BrokerError | undefined)?.cause, own);
});

Deno.test("reconcile() aborts a look-up that hangs, asks again, and lets none outlive the timeout", async () => {
  let turn = 0;
  const { verdict, at, signals } = await after(() => ++turn < 3 ? never() : "order");
  assertEquals(verdict, "order");
  assert(at[1] > 20_000 && at[2] > 40_000, `${at}`);
  assertEquals(signals.map(({ aborted }) => aborted), [true, true, false]);
  const hung = await after(never, { timeout: 12_000 });
  assertEquals([...outcomes(hung.verdict), hung.end], ["timeout", "unknown", 12_000]);
  assert(hung.signals.every(({ aborted }) => aborted));
});

Deno.test("reconcile() takes an order that a look-up finds after it was given up", async () => {
  const deaf = () => new Promise<string>((resolve) => setTimeout(() => resolve("order"), 21_000));
  const { verdict, end } = await after(deaf);
  assertEquals([verdict, end], ["order", 21_000]);
});

Deno.test("reconcile() marks the signals that find is given as those of look-ups", async () => {
  let asked = 0;
  await after(({ signal }) => {
    asked++;
    assert(isLookUp(signal));
    return asked > 2 ? 1 : undefined;
  });
  assertEquals(asked, 3);
});

Deno.test("reconcile() rejects as aborted and unknown once its signal is aborted, and leaves no listener", async () => {
  const listeners = new Set<unknown>();
  for (const find of [() => undefined, never, () => Promise.reject(new Error())]) {
    const controller = new AbortController();
    const { signal } = controller;
    const { addEventListener, removeEventListener } = signal;
    signal.addEventListener = (...args: Parameters<typeof addEventListener>) => {
      listeners.add(args[1]);
      addEventListener.apply(signal, args);
    };
    signal.removeEventListener = (...args: Parameters<typeof removeEventListener>) => {
      listeners.delete(args[1]);
      removeEventListener.apply(signal, args);
    };
    const reason = { changed: "my mind" };
    let turn = 0;
    const { verdict, signals } = await after(() => {
      if (++turn === 1) setTimeout(() => controller.abort(reason), 700);
      return find();
    }, { signal });
    assertEquals(outcomes(verdict), ["aborted", "unknown"]);
    assertStrictEquals((verdict as BrokerError).cause, reason);
    assertEquals((verdict as BrokerError).method, "POST");
    assertEquals(listeners.size, 0);
    if (find === never) assertStrictEquals(signals.at(-1)!.reason, reason);
  }
});

Deno.test("reconcile() does not call fn if its signal is aborted already: not-sent", async () => {
  const signal = AbortSignal.abort("no");
  const error = await assertRejects(
    () => reconcile(() => Promise.reject(new Error("called")), { find: never, signal }),
    BrokerError,
  );
  assertEquals([error.kind, error.outcome, error.cause], ["aborted", "not-sent", "no"]);
});

Deno.test("reconcile() asks nothing if its signal was aborted while fn ran", async () => {
  const controller = new AbortController();
  const fn = () => {
    controller.abort();
    return Promise.reject(lost());
  };
  let asked = 0;
  const find = () => ++asked;
  const { signal } = controller;
  const error = await assertRejects(() => reconcile(fn, { find, signal }), BrokerError);
  assertEquals([error.kind, error.outcome, asked], ["aborted", "unknown", 0]);
});

Deno.test("reconcile() refuses bad options before it calls fn", async () => {
  const find = () => undefined;
  let calls = 0;
  const fn = () => Promise.resolve(++calls);
  for (
    const [options, Kind] of [
      [{ find, horizon: -1 }, RangeError],
      [{ find, horizon: NaN }, RangeError],
      [{ find, horizon: 5_000, timeout: 4_999 }, RangeError],
      [{ find, horizon: 60_001 }, RangeError],
      [{ find, timeout: 9_999 }, RangeError],
      [{ find, horizon: "1" }, TypeError],
      [{ find, timeout: null }, TypeError],
      [{ find: "x" }, TypeError],
      [{}, TypeError],
      [undefined, TypeError],
      [{ find, signal: {} }, TypeError],
    ] as [never, ErrorConstructor][]
  ) await assertRejects(() => reconcile(fn, options), Kind, "Cannot reconcile");
  await assertRejects(() => reconcile("x" as never, { find }), TypeError);
  assertEquals(calls, 0);
});
