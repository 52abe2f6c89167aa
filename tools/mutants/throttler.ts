/**
 * Ways to break the throttler.
 *
 * @module
 */

import { breaking, type Room } from "./mutant.ts";

const alarm = breaking("throttler/alarm.ts");
const bucket = breaking("throttler/bucket.ts");
const gate = breaking("throttler/gate.ts");
const limits = breaking("throttler/limits.ts");
const line = breaking("throttler/line.ts");
const runAll = breaking("throttler/run_all.ts");
const throttler = breaking("throttler.ts");

/** The mutants of `throttler.ts` and its cupboards. */
export const room: Room = {
  tests: ["tests/throttler_test.ts", "tests/throttler/", "tests/throttler_property_test.ts"],
  runs: 2_000,
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
    gate("an early timer is trusted", [
      "if (!isPast(at)) break;",
      "if (!isPast(at - TICKS)) break;",
    ]),
    alarm("a timer of more than 2^31 ms is not clamped", ["Math.min(wait, MAX_TIMER)", "wait"]),
    alarm("the wait is rounded to 10 ms", [
      "Math.ceil(at / TICKS - performance.now())",
      "Math.ceil((at / TICKS - performance.now()) / 10) * 10",
    ]),
    alarm("a timer may be set below 0", [
      "Math.max(0, Math.ceil(at / TICKS - performance.now()))",
      "Math.ceil(at / TICKS - performance.now())",
    ]),
    alarm("a timer that is not needed any more is left", ["clearTimeout(this.#timer);", ""]),
    alarm("a timer that would come too late is left", [
      "if (at === this.#at) return;",
      "if (at <= this.#at && this.#at < Infinity) return;",
    ]),
    alarm("an alarm that has rung cannot be set to the same tick", [
      "      this.#at = Infinity;\n",
      "",
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
    limits("only the last of several limits counts", [
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

    gate("the start is stamped before fn", [
      "const result = attempt(fn);\n    const hasFinish = this.limits.stampStart(cost);",
      "const hasFinish = this.limits.stampStart(cost);\n    const result = attempt(fn);",
    ]),
    gate("a call that throws is not charged", [
      "    const result = attempt(fn);\n    const hasFinish",
      `    let result;
    try {
      result = Promise.resolve(fn());
    } catch (error) {
      this.limits.stampStart(0);
      return Promise.reject(error);
    }
    const hasFinish`,
    ]),
    limits(
      "a call that is being started holds nothing",
      ["    this.#starting += cost;\n", ""],
      ["    this.#starting -= cost;\n", ""],
    ),
    limits("a fractional cost is let in", [
      "Number.isInteger(cost) &&",
      "Number.isFinite(cost) &&",
    ]),
    limits("a cost above the capacity waits for ever", [" && cost <= this.#capacity)", ")"]),
    limits("a cost that is refused does not name the limit", [
      "from 0 to ${capacity}, ${name}",
      "of at least 0",
    ]),

    // The line
    gate("a newcomer passes those who wait", [
      "if (this.closed || (first && first.order < order)) return false;",
      "if (this.closed) return false;",
    ]),
    line("last come, first served", [
      "(call.order < 0 ? this.#urgent : this.#others).prev;",
      "call.order < 0 ? this.#urgent : this.#others;",
    ]),
    gate("a call that is started comes back into the pump", [
      "if (this.#isPumping) return; // fn, called from here, has used the throttler again",
      "",
    ]),
    throttler("an aborted call is charged", [
      "        gate.leave(call);\n        reject(reason);",
      "        gate.leave(call);\n        gate.start(() => {}, cost);\n        reject(reason);",
    ]),
    throttler("an aborted call stays in line", [
      "        gate.leave(call);\n        reject(reason);",
      "        reject(reason);",
    ]),
    gate("nobody moves up when the first leaves", ["    if (wasFirst) this.pump();\n", ""]),
    gate("the listener is left on the signal", ["    call.unlisten();\n", ""]),
    line("each call puts a listener on its signal", [
      "const all = listeners.get(signal) ?? new Set();",
      "const all = new Set<(reason: unknown) => void>();",
    ]),
    line("a signal's listener is left when its last call has left", [
      'if (all.size === 0) signal.removeEventListener("abort", tell);',
      "",
    ]),
    line("an aborted call starts in the place of another", [
      "[...listeners.get(signal)!].reverse()",
      "[...listeners.get(signal)!]",
    ]),
    gate("maxQueue lets one more wait", [
      "if (this.size < this.#maxQueue)",
      "if (this.size <= this.#maxQueue)",
    ]),
    gate("waitTime forgets those who wait", [
      "const need = this.#line.costBefore(order) + cost;",
      "const need = cost;",
    ]),

    // Urgent calls
    line("urgent calls wait in the order of age", [
      "if (!urgent) return age;",
      "if (!urgent || age < Infinity) return age;",
    ]),
    line("an urgent newcomer waits behind all others", [
      "return age === Infinity ? 0 : age - URGENT;",
      "return age === Infinity ? age : age - URGENT;",
    ]),
    line("an urgent newcomer passes the urgent calls that wait", [
      "return age === Infinity ? 0 : age - URGENT;",
      "return age === Infinity ? -Infinity : age - URGENT;",
    ]),
    line("the last urgent call comes first", [
      "return age === Infinity ? 0 : age - URGENT;",
      "return age === Infinity ? 0 : -age;",
    ]),
    line("an urgent call that leaves keeps its tokens in the sum", [
      "    this.#cost -= call.cost;\n    return true;",
      "    if (call.order > 0) this.#cost -= call.cost;\n    return true;",
    ]),
    gate("an urgent call passes the limit", [
      "at = this.limits.allowedAt(call.cost);",
      "at = call.order < 0 ? 0 : this.limits.allowedAt(call.cost);",
    ]),
    gate("an urgent newcomer passes the limit", [
      "    return isPast(this.limits.allowedAt(cost));",
      "    return order === 0 || isPast(this.limits.allowedAt(cost));",
    ]),
    throttler("acquire forgets that it is urgent", [
      "this.run(hold, options)",
      "this.run(hold, { ...options, urgent: false })",
    ]),
    line("waitTime forgets the urgent calls that wait", [
      "    this.#cost += call.cost;",
      "    if (call.order > 0) this.#cost += call.cost;",
    ]),
    gate("available is there for those who pass the line", [
      "this.closed || this.#line.first ? 0",
      "this.closed ? 0",
    ]),
    gate("available forgets that it is closed", [
      "this.closed || this.#line.first ? 0",
      "this.#line.first ? 0",
    ]),
    limits("available counts tokens of calls that run", [
      "bucket.available(now) - this.#held(bucket));",
      "bucket.available(now));",
    ]),
    limits("available forgets pauses and counts", [
      "Math.max(0, Math.min(...inBuckets, ...inCaps))",
      "Math.max(0, Math.min(...inBuckets))",
    ]),
    limits("available counts pauses that are over", [
      "cap.until > now ? cap.left - this.#starting : Infinity",
      "cap.left - this.#starting",
    ]),
    limits("available falls below 0", [
      "Math.max(0, Math.min(...inBuckets, ...inCaps))",
      "Math.min(...inBuckets, ...inCaps)",
    ]),

    // after-finish
    limits("a call that runs holds nothing", [
      "return bucket.isFinish ? this.#running : this.#starting;",
      "return this.#starting;",
    ]),
    bucket("a finish is not waited for", [
      'this.isFinish = refill === "after-finish"',
      "this.isFinish = false",
    ]),
    gate("a call that fails never finishes", [
      "result.finally(() => this.#finish(cost))",
      "result.then((value) => (this.#finish(cost), value))",
    ]),
    gate("nobody is woken by a finish", [
      "this.limits.stampFinish(cost);\n    this.pump();",
      "this.limits.stampFinish(cost);",
    ]),

    // pause, sync, update, close
    limits("the last pause wins", [
      "this.#caps = [...this.#caps.filter(matters), { left, until }];",
      "this.#caps = [{ left, until }];",
    ]),
    limits("a shorter pause is forgotten with its count", [
      "cap.until > now && (cap.left < left || cap.until > until)",
      "cap.until > now && cap.until > until",
    ]),
    throttler("a pause lets calls of cost 0 go", [
      "this.#limits.cap(-Infinity, duration);",
      "this.#limits.cap(0, duration);",
    ]),
    limits("what is left until a reset is not counted down", [
      "cap.left -= cost;",
      "cap.left -= 0;",
    ]),
    limits("sync loosens", ["else if (missing > 0) bucket.spend", "else bucket.spend"]),
    limits("sync forgets the calls that run", [" - this.#held(bucket) - left;", " - left;"]),
    limits("sync tells the same excess again and again", [
      "Math.min(missing, ...caps.map((cap) => cap.left - this.#starting - left))",
      "missing",
    ]),
    limits("sync takes a pause for a count", [" && cap.left > -Infinity);", ");"]),
    limits("sync takes a count that is over for one that holds", [
      "this.#caps.filter((cap) => cap.until > now && cap.left",
      "this.#caps.filter((cap) => cap.left",
    ]),
    limits("sync charges only what no count caps", [
      "if (missing > 0) bucket.spend(missing, clock());",
      "if (excess > 0) bucket.spend(excess, clock());",
    ]),
    limits("sync tells a negative excess", ["return Math.max(0, excess);", "return excess;"]),
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
    limits("update charges a call that is being started twice", [
      "const running = this.#running - this.#starting;",
      "const running = this.#running;",
    ]),
    limits("update charges a limit that is named twice twice", [
      "[...new Set(heirs)]",
      "heirs",
    ]),
    throttler("update leaves calls in line that can never start", [
      "    this.#gate.refuse((cost) => this.#limits.refusalOf(cost));\n",
      "",
    ]),
    throttler("update leaves those in line whom the new limits allow", [
      "this.#limits.refusalOf(cost));\n    this.#gate.pump();",
      "this.#limits.refusalOf(cost));",
    ]),
    gate("close starts those who wait behind a dear call", [
      " && !this.closed; at = Infinity)",
      "; at = Infinity)",
    ]),
    throttler("close rejects with the last reason", [
      "const closed = this.#gate.closed ??= { reason };",
      "const closed = this.#gate.closed = { reason };",
    ]),

    // runAll
    runAll("runAll charges the last throttler only", [
      "places.reduceRight((next, place) => () => place.start(next), fn)",
      "places.reduceRight((_, place) => () => place.start(fn), fn)",
    ]),
    runAll("runAll starts an aborted call whose turn has come", [
      "    signal?.throwIfAborted();\n    return start",
      "    return start",
    ]),
    runAll("runAll never lets others pass", [
      "hasPassed.has(place) || !shouldPass(place, next)",
      "true",
    ]),
    runAll("runAll lets others pass for ever", [
      "hasPassed.has(place) || !shouldPass(place, next)",
      "false",
    ]),
    runAll("runAll holds back others while a slower limiter makes it wait", [
      "return place.rate > next.rate || next",
      "return next",
    ]),
    runAll("runAll holds back others while a long pause makes it wait", [
      "return place.rate > next.rate || next.wait > 2 * place.period;",
      "return place.rate > next.rate;",
    ]),
    runAll("runAll takes the turn with the shortest wait first", [
      "a.wait >= b.wait ? a : b",
      "a.wait <= b.wait ? a : b",
    ]),
    runAll("runAll goes to the end of every line", [
      "throttler.place({ cost: own, urgent, age })",
      "throttler.place({ cost: own, urgent, get age() { return nextAge() + 1e6; } })",
    ]),
    runAll("runAll forgets that it is urgent", [
      "throttler.place({ cost: own, urgent, age })",
      "throttler.place({ cost: own, urgent: false, age })",
    ]),
    runAll("runAll stays in the lines that it leaves", [
      "    for (const place of places) place.leave();\n",
      "",
    ]),
    runAll("runAll hears of no refusal but from the limiter that it waits for", [
      "await Promise.race([next.turn(), refused]);",
      "await next.turn();",
    ]),
    runAll("runAll starts when one turn has come, though a grant has expired", [
      "(next = slowestOf(places));)",
      "(next = inLine.size < places.length ? slowestOf(places) : undefined);)",
    ]),
    runAll("runAll charges the common cost only", [
      "place({ cost: own, urgent, age })",
      "place({ cost, urgent, age })",
    ]),
    runAll("runAll charges the last of several costs", [
      "Math.max(checkCost(cost), checkCost(other))",
      "checkCost(cost)",
    ]),
    runAll("runAll adds up the costs of a throttler that is named twice", [
      "Math.max(checkCost(cost), checkCost(other))",
      "checkCost(cost) + checkCost(other)",
    ]),
    gate("a place that starts lets the next one take its tokens", [
      "this.#remove(place); // no pump yet: the next call must not take the tokens of this one",
      "this.leave(place);",
    ]),
    gate("runAll does not hear of a close elsewhere", [
      "if (refusal) guest.refuse(refusal.reason);",
      "",
    ]),
  ],
};
