/**
 * Ways to break the throttler.
 *
 * @module
 */

import { breaking, type Room } from "./mutant.ts";

const bucket = breaking("throttler/bucket.ts");
const throttler = breaking("throttler.ts");

/** The mutants of `throttler.ts` and its cupboards. */
export const room: Room = {
  tests: ["tests/throttler_test.ts", "tests/throttler_property_test.ts"],
  mutants: [
    // Clocks and rounding
    bucket("the wall clock is used", [
      "return performance.now() * TICKS",
      "return Date.now() * TICKS",
    ]),
    bucket("the clock is read rounding up", ["Math.floor(clock())", "Math.ceil(clock())"]),
    bucket("stamps are rounded down", [
      "const back = Math.ceil(at) + this.#ticks;",
      "const back = Math.floor(at) + this.#ticks;",
    ]),
    bucket("the period is rounded down", [
      "this.#ticks = Math.ceil(period * TICKS)",
      "this.#ticks = Math.floor(period * TICKS)",
    ]),
    throttler("an early timer is trusted", [
      "if (!isPast(at)) break;",
      "if (!isPast(at - TICKS)) break;",
    ]),
    throttler("a timer of more than 2^31 ms is not clamped", ["Math.min(wait, MAX_TIMER)", "wait"]),
    throttler("the wait is rounded to 10 ms", [
      "Math.ceil(at / TICKS - performance.now())",
      "Math.ceil((at / TICKS - performance.now()) / 10) * 10",
    ]),
    throttler("a timer that is not needed any more is left", ["clearTimeout(this.#timer);", ""]),
    throttler("a timer that would come too late is left", [
      "if (at === this.#wakeAt) return;",
      "if (at <= this.#wakeAt && this.#wakeAt < Infinity) return;",
    ]),

    // The window
    bucket("a token returns a tick early", [
      "while (this.#spent[this.#head] <= now)",
      "while (this.#spent[this.#head] <= now + 1)",
    ]),
    bucket("a token returns a millisecond late", [
      "const back = Math.ceil(at) + this.#ticks;",
      "const back = Math.ceil(at) + this.#ticks + 2 * TICKS;",
    ]),
    bucket("one call too many", [
      "    if (cost <= this.#free) return 0;\n    const now",
      "    if (cost <= this.#free + 1) return 0;\n    const now",
    ]),
    bucket("the tick of a stamp is taken to have begun", [
      "this.available(Math.floor(at));",
      "this.available(Math.ceil(at));",
    ]),
    bucket("starts of one tick overwrite each other", [
      "this.#spent[last + 1] += cost",
      "this.#spent[last + 1] = cost",
    ]),
    bucket("the memory is cleared too far", [
      "this.#spent.slice(this.#head)",
      "this.#spent.slice(this.#head + 2)",
    ]),
    throttler("only the last of several limits counts", [
      "at = Math.max(at, bucket.allowedAt(need));",
      "at = bucket.allowedAt(need);",
    ]),

    // The steady bucket
    bucket("a steady token returns a tick early", [
      "Math.ceil(n * this.#ticks / this.limit)",
      "Math.floor(n * this.#ticks / this.limit)",
    ]),
    bucket("a steady bucket drifts", [
      "    this.#ticks = period * TICKS;",
      "    this.#ticks = Math.ceil(period * TICKS);",
    ]),
    bucket("a steady bucket saves up one more", [
      "return wanted <= this.#returned ? 0",
      "return wanted <= this.#returned + 1 ? 0",
    ]),
    bucket("a steady bucket saves up without end", ["    this.#base = at;\n", ""]),
    bucket("a steady bucket counts from the tick before", ["      this.#fill(up);\n", ""]),

    // Starting
    bucket("a steady bucket that fills up in a tick is full before it", [
      "      if (!isFull) this.#returned = -1;",
      "",
    ]),

    throttler("the start is stamped before fn", [
      "const result = attempt(fn);\n    const hasFinish = this.#stampStart(cost);",
      "const hasFinish = this.#stampStart(cost);\n    const result = attempt(fn);",
    ]),
    throttler("a call that throws is not charged", [
      "    const result = attempt(fn);\n    const hasFinish",
      `    let result;
    try {
      result = Promise.resolve(fn());
    } catch (error) {
      this.#starting -= cost;
      this.#running -= cost;
      return Promise.reject(error);
    }
    const hasFinish`,
    ]),
    throttler(
      "a call that is being started holds nothing",
      ["    this.#starting += cost;\n", ""],
      ["    this.#starting -= cost;\n", ""],
    ),
    throttler("a fractional cost is let in", [
      "Number.isInteger(cost) &&",
      "Number.isFinite(cost) &&",
    ]),
    throttler("a cost above the capacity waits for ever", [" && cost <= this.#capacity)", ")"]),

    // The line
    throttler("a newcomer passes those who wait", [
      "if (this.#closed || (oldest !== this.#line && oldest.age < age)) return false;",
      "if (this.#closed) return false;",
    ]),
    throttler("last come, first served", [
      "let before = this.#line.prev;",
      "let before = this.#line;",
    ]),
    throttler("a call that is started comes back into the pump", [
      "if (this.#isPumping) return; // a call that was started here has come back",
      "",
    ]),
    throttler("an aborted call is charged", [
      "        this.#leave(call);\n        reject(reason);",
      "        this.#leave(call);\n        this.#start(() => {}, cost);\n        reject(reason);",
    ]),
    throttler("an aborted call stays in line", [
      "        this.#leave(call);\n        reject(reason);",
      "        reject(reason);",
    ]),
    throttler("nobody moves up when the first leaves", ["    if (wasFirst) this.#pump();\n", ""]),
    throttler("the listener is left on the signal", ["    call.unlisten();\n", ""]),
    throttler("each call puts a listener on its signal", [
      "const all = waiting.get(signal) ?? new Set();",
      "const all = new Set<(reason: unknown) => void>();",
    ]),
    throttler("a signal's listener is left when its last call has left", [
      'if (all.size === 0) signal.removeEventListener("abort", tell);',
      "",
    ]),
    throttler("an aborted call starts in the place of another", [
      "[...waiting.get(signal)!].reverse()",
      "[...waiting.get(signal)!]",
    ]),
    throttler("maxQueue lets one more wait", [
      "if (this.size < this.#maxQueue)",
      "if (this.size <= this.#maxQueue)",
    ]),
    throttler("waitTime forgets those who wait", [
      "let need = this.#queued + cost;",
      "let need = cost;",
    ]),

    // after-finish
    throttler("a call that runs holds nothing", [
      "return bucket.isFinish ? this.#running : this.#starting;",
      "return this.#starting;",
    ]),
    bucket("a finish is not waited for", [
      'this.isFinish = refill === "after-finish"',
      "this.isFinish = false",
    ]),
    throttler("a call that fails never finishes", [
      "result.finally(() => this.#stampFinish(cost))",
      "result.then((value) => (this.#stampFinish(cost), value))",
    ]),
    throttler("nobody is woken by a finish", [
      "if (bucket.isFinish) bucket.spend(cost, now);\n    this.#pump();",
      "if (bucket.isFinish) bucket.spend(cost, now);",
    ]),

    // pause, sync, update, close
    throttler("the last pause wins", [
      "this.#caps = [...this.#caps.filter(matters), { left, until }];",
      "this.#caps = [{ left, until }];",
    ]),
    throttler("a shorter pause is forgotten with its count", [
      "cap.until > now && (cap.left < left || cap.until > until)",
      "cap.until > now && cap.until > until",
    ]),
    throttler("a pause lets calls of cost 0 go", [
      "this.#cap(-1, duration);",
      "this.#cap(0, duration);",
    ]),
    throttler("what is left until a reset is not counted down", [
      "cap.left -= cost;",
      "cap.left -= 0;",
    ]),
    throttler("sync loosens", ["if (excess > 0) bucket.spend", "bucket.spend"]),
    throttler("sync forgets the calls that run", [" - this.#held(bucket) - left;", " - left;"]),
    bucket("update forgets what was spent", [
      "for (const [at, cost] of spent.reverse()) bucket.spend(cost, at);",
      "",
    ]),
    bucket("update forgets the calls that run", [
      "if (other.isFinish && !isFinish) history.push",
      "if (false) history.push",
    ]),
    bucket("update remembers what one of the limits does", [
      "(kin.length > 0 ? kin : old).flatMap",
      "(kin.length > 0 ? kin : old.slice(0, 1)).flatMap",
    ]),
    bucket("update takes finishes for starts", ["(kin.length > 0 ? kin : old)", "old"]),
    bucket("update adds up what two limits remember", [
      "spent.push([at, sum - most])",
      "spent.push([at, cost])",
    ]),
    bucket("update loses the part of a steady token that is back", ["if (twin) return twin;", ""]),
    bucket("update takes a steady token in the tick of a start for two", [
      "Math.min(missing, this.#spent)",
      "missing",
    ]),
    throttler("update charges a call that is being started twice", [
      "const running = this.#running - this.#starting;",
      "const running = this.#running;",
    ]),
    throttler("update charges a limit that is named twice twice", [
      "[...new Set(heirs)]",
      "heirs",
    ]),
    throttler("update leaves calls in line that can never start", [
      "      if (call.cost <= this.#capacity) continue;\n",
      "      continue;\n",
    ]),
    throttler("close starts those who wait behind a dear call", [
      " && !this.#closed; at = Infinity)",
      "; at = Infinity)",
    ]),

    // runAll
    throttler("runAll charges the first throttler only", [
      "      signal?.throwIfAborted();\n      return Throttler.#startAll(all, fn, cost);",
      "      signal?.throwIfAborted();\n      return Throttler.#startAll(all.slice(0, 1), fn, cost);",
    ]),
    throttler("runAll stamps the start before fn", [
      `    const result = attempt(fn);
    const unfinished = all.filter((throttler) => throttler.#stampStart(cost));`,
      `    const unfinished = all.filter((throttler) => throttler.#stampStart(cost));
    const result = attempt(fn);`,
    ]),
    throttler("runAll starts an aborted call whose turn has come", [
      "      signal?.throwIfAborted();\n      return",
      "      return",
    ]),
    throttler("runAll never lets others pass", [
      "yielded.has(throttler) || !isBusy",
      "!isBusy || true",
    ]),
    throttler(
      "runAll lets others pass for ever",
      ["yielded.has(throttler) || !isBusy", "false"],
    ),
    throttler("runAll goes to the end of every line", [
      "places.get(next) ?? new Waiter(cost, age)",
      "places.get(next) ?? new Waiter(cost, ++Throttler.#arrivals)",
    ]),
    throttler("runAll stays in the lines that it leaves", [
      "      for (const [throttler, place] of places) throttler.#leave(place);\n",
      "",
    ]),
    throttler("runAll does not hear of a close elsewhere", [
      "    for (const reject of this.#shared.keys()) reject(this.#closed.reason);\n",
      "",
    ]),
  ],
};
