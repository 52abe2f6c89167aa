/**
 * Ways to break reconciliation and the venue's clock.
 *
 * @module
 */

import { breaking, type Room } from "./mutant.ts";

const reconcile = breaking("reconcile.ts");
const inquiry = breaking("common/inquiry.ts");
const clock = breaking("venue_clock.ts");
const lookUp = breaking("common/look_up.ts");

/** The mutants of `reconcile.ts`, its look-ups, and `venue_clock.ts`. */
export const room: Room = {
  tests: [
    "tests/reconcile_test.ts",
    "tests/reconcile_property_test.ts",
    "tests/common/inquiry_test.ts",
    "tests/venue_clock_test.ts",
    "tests/common/look_up_test.ts",
  ],
  runs: 2_000,
  mutants: [
    reconcile("every outcome is looked up", [
      '!(error instanceof BrokerError) || error.outcome !== "unknown"',
      "!(error instanceof BrokerError)",
    ]),
    reconcile("an order is placed though its signal is aborted", [
      '  if (signal?.aborted) throw aborted(signal, "not-sent");\n',
      "",
    ]),
    inquiry("null is no order", ["if (found !== undefined) {", "if (found != null) {"]),
    inquiry("an order of value 0 is no order", ["if (found !== undefined) {", "if (found) {"]),
    inquiry("a look-up that ended after the horizon counts, whenever it began", [
      "else if (began - ended >= horizon)",
      "else if (performance.now() - ended >= horizon)",
    ]),
    reconcile("the horizon is counted from the first look-up", [
      "return await settle(error, { ...options, ended: performance.now() });",
      "return await settle(error, { ...options, ended: performance.now() + 1_000 });",
    ]),
    inquiry("the first undefined counts", [
      "else if (began - ended >= horizon)",
      "else if (true)",
    ]),
    inquiry("an absent order is worth repeating", [
      "    retriable: false,\n",
      "    retriable: true,\n",
    ]),
    inquiry("absent is called rejected", [
      '    outcome: "absent",\n',
      '    outcome: "rejected",\n',
    ]),
    inquiry("absent forgets the first error", ["    cause: error,\n", ""]),
    inquiry("absent still says that it may have been executed", [
      'error.message.replace("; it may have been executed", "")',
      "error.message",
    ]),
    inquiry("a throw of find ends the look-ups", [
      "if (!signal.aborted) this.#doubt = failure;",
      "this.end(failure);",
    ]),
    inquiry("what find threw is forgotten", ["if (!signal.aborted) this.#doubt = failure;", ""]),
    inquiry("the waits do not double", ["Math.min(2 * backoff, MAX_WAIT)", "backoff"]),
    inquiry("the waits grow without end", ["Math.min(2 * backoff, MAX_WAIT)", "2 * backoff"]),
    inquiry("the waits have no jitter", ["backoff * (1 - Math.random() / 2)", "backoff"]),
    inquiry("retryAfter of find is ignored", [
      'typeof retryAfter === "number" && retryAfter > 0 ? retryAfter : 0',
      "0",
    ]),
    inquiry("no look-up begins when the horizon ends", [
      "left > 0 ? Math.min(wait, left) : wait",
      "wait",
    ]),
    inquiry("a look-up that hangs is waited for", [
      "const timer = setTimeout(late, Math.min(timeout / 3, PATIENCE));",
      "const timer = setTimeout(() => {}, Math.min(timeout / 3, PATIENCE));",
    ]),
    inquiry("a look-up has the whole timeout", ["Math.min(timeout / 3, PATIENCE)", "timeout"]),
    inquiry("an order that was found late is dropped", [
      "      if (found !== undefined) {",
      "      if (signal.aborted) return;\n      if (found !== undefined) {",
    ]),
    inquiry("a look-up outlives the reconciliation", [
      '    over.addEventListener("abort", stop);\n',
      "",
    ]),
    inquiry("the look-up's signal is not marked", ["    markLookUp(look.signal);\n", ""]),
    inquiry("the timeout is not kept", [
      "const late = () => inquiry.giveUp();",
      "const late = () => {};",
    ]),
    inquiry("a timeout of more than 2^31 ms ends at once", [
      "Math.min(timeout, MAX_TIMER)) : undefined",
      "timeout) : undefined",
    ]),
    inquiry("the first error does not say why the fate cannot be told", [
      '    Object.defineProperty(this.#error, "cause", { value, configurable: true, writable: true });\n',
      "",
    ]),
    inquiry("a native text is shown", [
      "const value = shown(this.#doubt);",
      "const value = this.#doubt;",
    ]),
    inquiry("an abort is not heard", ['  signal?.addEventListener("abort", abort);\n', ""]),
    inquiry("a listener is left on the signal", [
      '    signal?.removeEventListener("abort", abort);\n',
      "",
    ]),
    inquiry("a timer is left", ["    clearTimeout(timer);\n    signal?.", "    signal?."]),
    reconcile("an abort says that the order was not sent", [
      'throw aborted(signal, "unknown", error);',
      'throw aborted(signal, "not-sent", error);',
    ]),
    reconcile("options are checked after the order has been placed", [
      "  checkReconcile(options);\n  const { signal }",
      "  const { signal }",
    ]),
    inquiry("a timeout below the horizon is let in", ["{ min: horizon, unit", "{ unit"]),

    clock("half a round trip is guessed", [
      "least: reading - at, most };",
      "least: reading - (sent + at) / 2, most };",
    ]),
    clock("the venue's resolution is not counted", [
      "reading + this.#resolution - sent",
      "reading - sent",
    ]),
    clock("a slow reading spoils a quick one", [
      "Math.max(known.least, fresh.least)",
      "fresh.least",
    ]),
    clock("the upper bound of earlier readings is forgotten", [
      "Math.min(known.most, fresh.most)",
      "fresh.most",
    ]),
    clock("the lower bound does not drift", ["least: least - drifted", "least"]),
    clock("the upper bound does not drift", ["most: most + drifted", "most"]),
    clock("the drift during a reading is not counted", [" + this.#drift * (at - sent);", ";"]),
    clock("a reading that contradicts the bounds is dropped", [
      "both.least <= both.most ? both : fresh",
      "both.least <= both.most ? both : known",
    ]),
    clock("bounds that cross are kept", ["both.least <= both.most ? both : fresh", "both"]),
    clock("the wall clock is read", [
      "const at = performance.now();",
      "const at = Date.now() - (performance.timeOrigin);",
    ]),
    clock("now() is rounded up", [
      "    return Math.floor(at + least);\n",
      "    return Math.ceil(at + least);\n",
    ]),
    clock("seconds are taken for milliseconds", ["min: 1e12", "min: 1e9"]),
    clock("microseconds are taken for milliseconds", ["max: 1e13", "max: 1e16"]),
    clock("each call reads", ["await (this.#syncing ??= this", "await (this.#syncing = this"]),
    clock("a reading that failed is joined for ever", [
      ".finally(() => this.#syncing = undefined)",
      "",
    ]),
    clock("fresh() never reads again", ["if (this.error > most) {", "if (!this.#bounds) {"]),
    clock("fresh() fails though there are earlier readings", [
      "        if (!this.#bounds) throw error;\n",
      "        throw error;\n",
    ]),
    clock("fresh() takes any bound", [
      '    checkNumber("Cannot tell a fresh time", "most", most, { unit: "milliseconds" });\n',
      "",
    ]),
    clock("at() is later than the venue was", [
      "(Date.now() - moment) - 1;",
      "(Date.now() - moment);",
    ]),
    clock("at() is now", ["this.now() - (Date.now() - moment) - 1;", "this.now() - 1;"]),
    clock("now() before the first reading is our own time", [
      "    if (!this.#bounds) {\n      throw",
      "    if (!this.#bounds) {\n      if (true) return { at: now, least: performance.timeOrigin, most: performance.timeOrigin };\n      throw",
    ]),

    lookUp("every signal is a look-up's", [
      "signal !== undefined && signals.has(signal)",
      "signal !== undefined",
    ]),
    lookUp("no signal is a look-up's", ["  signals.add(signal);\n", ""]),
  ],
};
