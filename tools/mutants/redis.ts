/**
 * Ways to break the limit that many processes share.
 *
 * @module
 */

import { breaking, type Room } from "./mutant.ts";

const agent = breaking("redis/agent.ts");
const script = breaking("redis/script.ts");
const shared = breaking("redis/shared_limits.ts");
const tally = breaking("redis/tally.ts");
const throttler = breaking("redis.ts");
const wire = breaking("redis/wire.ts");

/** The mutants of `redis.ts` and its cupboards. Those of the script need a redis-server. */
export const room: Room = {
  tests: [
    "tests/redis_test.ts",
    ...["agent", "script", "shared_limits", "tally", "wire"].map(
      (name) => `tests/redis/${name}_test.ts`,
    ),
  ],
  mutants: [
    // The script: the window
    script("one call too many", ["  return need <= room\n", "  return need <= room + 1\n"]),
    script("a token returns a microsecond late", [
      "call('ZRANGEBYSCORE', KEYS[3 + i], '-inf', now)\n",
      "call('ZRANGEBYSCORE', KEYS[3 + i], '-inf', now - 1)\n",
    ]),
    script("tokens that came back are not looked up", [
      "if (need > room or now >= tidy) and",
      "if now >= tidy and",
    ]),
    script("a start counts from the telling, not from the start", [
      "spend('start', told[1], now - told[2])",
      "spend('start', told[1], now)",
    ]),
    script("a finish is not counted", [
      "spend('finish', told[1], now - told[2])",
      "spend('finish', 0, now - told[2])",
    ]),
    script("a bucket that was told late is fuller", [
      "full[i] = math.max(full[i], at) +",
      "full[i] = full[i] +",
    ]),
    script("held tokens are not counted", [
      "start, finish, granted = start + taken, finish + taken, now",
      "granted = now",
    ]),
    script("an agent's own grants are forgotten", [
      "  myStart, myFinish = myStart + taken, myFinish + taken\n",
      "",
    ]),

    // The script: repetitions, clocks, losses
    script("a repetition is charged again", [
      "if number == n then return { select(5, cmsgpack.unpack(packed[1])) } end\n",
      "",
    ], ["if number < n then", "if false then"]),
    script("a late repetition is executed", ["if number < n then return {} end\n", ""]),
    script("the clock goes back", ["if isForward or now < last then", "if isForward then"], [
      "now = math.max(now, last)\n",
      "",
    ]),
    script("a clock that is set forward is believed", [
      "local isForward = isKnown and now > sure + 250000",
      "local isForward = false",
    ]),
    script("an agent that heard the time before a step is believed", [
      "isForward and seen > step and sure or 0",
      "isForward and sure or 0",
    ]),
    script("a count that was lost is not noticed", [
      "elseif known ~= '' and not isKnown",
      "elseif false",
    ]),
    script("a loss stops nobody", [
      "if isLost then pause = math.max(pause, now + horizon) end\n",
      "",
    ]),
    script("a pause is forgotten", ["pause = math.max(pause, now + wish)\n", ""]),
    script("a shorter pause wins", [
      "pause = math.max(pause, now + wish)",
      "pause = wish ~= 0 and now + wish or pause",
    ]),
    script("no key has a time to live", [
      "for key in pairs(touched) do call('PEXPIRE', key, ttl) end\n",
      "",
    ]),
    script("a set that was emptied has no time to live", [
      "        if spent[i] == 0 then touched[KEYS[3 + i]] = true end\n",
      "",
    ]),

    // The script: leases and the line
    script("a lease never ends", ["if now >= dies then", "if false then"]),
    script("a lease is renewed too late", [
      "if ends < now + lease * 0.9",
      "if ends < now + lease * 0.4",
    ]),
    script("tokens of a dead agent come back at once", [
      "spend('start', itsStart, tonumber(dead[i + 1]))",
      "spend('start', 0, tonumber(dead[i + 1]))",
    ]),
    script("the places of a dead agent stay", [
      "if owner == agent or not isAlive[owner] then",
      "if owner == agent then",
    ]),
    script("urgent calls stand in the order of all", [
      "place:find('!') and order - 2 ^ 52 or order",
      "order",
    ]),
    script("the last come is the first", [
      "place:find('!') and order - 2 ^ 52 or order",
      "-order",
    ]),
    script("a place is taken by its repetition anew", [
      "call('ZADD', LINE, 'NX',",
      "call('ZADD', LINE,",
    ]),
    script("a newcomer passes the line", [
      "if isLined or blocked or not pass",
      "if blocked or not pass",
    ]),
    script("a line is forgotten", [
      "isLined = isLined or #joined > 0\n",
      "isLined = #joined > 0\n",
    ]),
    script("a line that was evicted is waited for", [
      "isLined = isLined and call('EXISTS', LINE) == 1\n",
      "",
    ]),
    script("an abort keeps its place", [
      "for _, place in ipairs(leave) do call('ZREM', LINE, agent .. ':' .. place) end\n",
      "",
    ]),
    script("the wait does not count those before", [
      "need = need + between + (mine",
      "need = need + (mine",
    ]),

    // The process
    agent("a grant is used however old", [
      "now < this.#times.fresh && now >= this.#times.pause;\n  }",
      "now >= this.#times.pause;\n  }",
    ], [
      "const isUsable = now < this.#times.fresh && now >= this.#times.pause;",
      "const isUsable = now >= this.#times.pause;",
    ]),
    agent("a grant is used in a pause", [
      "now < this.#times.fresh && now >= this.#times.pause;\n  }",
      "now < this.#times.fresh;\n  }",
    ]),
    agent("an abort keeps its place", [
      "if (isInLine && place.isTold) this.#leave.push(place.name);\n",
      "",
    ]),
    agent("events of a failed command are forgotten", ["        this.#tally.restore(told);\n", ""]),
    agent("urgent calls wait behind the others", [
      "this.order = urgent ? age - 2 ** 52 : age;",
      "this.order = age;",
    ]),
    agent("the local share is used at once", [
      "        this.local.pause(Math.max(this.#horizon, this.#times.pause - performance.now()));\n",
      "",
    ]),
    agent("the end of the local share is not told", [
      "isLost: this.#talk.hasStrayed && !this.local",
      "isLost: false",
    ]),
    agent("no sign of life is given", [
      "isBusy ? sent + this.#options.lease / 3 : Infinity",
      "Infinity",
    ]),
    agent("an idle process asks for ever", ["const beat = isBusy ?", "const beat = true ?"]),
    agent("maxQueue is not kept", ["if (this.guests.size < maxQueue) return;", "return;"]),
    shared("local is not divided", ["return Math.floor(tokens / processes);", "return tokens;"]),
    shared("a period is rounded down", ["Math.ceil(period * 1_000)", "Math.floor(period * 1_000)"]),
    tally("an age is rounded up", [
      "Math.floor((now - at) * 1_000)",
      "Math.ceil((now - at) * 1_000)",
    ]),
    tally("events that wait are not held", [
      "held: this.#open[kind] + granted + untold",
      "held: this.#open[kind] + granted",
    ]),
    tally("events wait though tokens are scarce", ["if (isEarly && !isScarce)", "if (isEarly)"]),
    tally("events are told as one at the time of the earliest", [
      "earlier + cost : cost, now]",
      "earlier + cost : cost, tick(at) === tick(now) ? at : now]",
    ]),
    tally("events are put back behind the newer", [
      ".unshift(...told[kind])",
      ".push(...told[kind])",
    ]),
    wire("a repetition has a number of its own", [
      "const words = word(ask, limits, this.#sure());",
      "const words = word({ ...ask, n: ++this.#number }, limits, this.#sure());",
    ]),
    wire("a script that the server does not know is not sent", [
      '!String(Object(error).message ?? error).includes("NOSCRIPT")',
      "error",
    ]),
    wire("a refusal is repeated for ever", [
      "if (code || error instanceof Refusal)",
      "if (error instanceof Refusal)",
    ]),
    wire("the name of the count is not told", [
      "epoch: isKnown ? epoch : undefined",
      "epoch: undefined",
    ]),
    wire("no time has passed since the last answer", [
      "answer[1] + (performance.now() - heardAt) * 1_000",
      "answer[1]",
    ]),
    wire("an attempt waits for ever", [
      "    this.#attempt.reject(new Error(message));\n",
      "    void message;\n",
    ]),
    throttler("close() leaves the calls that wait", [
      "    this.#agent.refuse(this.#agent.closed.reason);\n",
      "",
    ]),
    throttler("a cost above a limit is sent", ["    this.#checkCost(options.cost);\n", ""]),
    throttler("waitTime() forgets those in line", [
      "queued > 0 ? wait + queued / limits.rate : wait",
      "wait",
    ]),
  ],
};
