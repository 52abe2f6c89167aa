/**
 * The script that keeps the shared count. Redis runs one command at a time, and each run of this
 * script is one command: a process ("agent") tells of its calls, asks for tokens, and hears the
 * answer. The proof stands in the comment of `RedisThrottler`. Internal.
 *
 * @module
 */

/** How many waiting calls of one process stand in the shared line at once. */
export const PLACES = 100;

/**
 * How long a count is kept beyond the time that its tokens need, in milliseconds: an hour. A
 * process that used a count within this time can tell that Redis has lost it.
 */
export const MEMORY = 3_600_000;

/**
 * The source. `KEYS`: the state and the agents (a hash), the line, the ends of the leases, then the
 * spent tokens of each limit (sorted sets). `ARGV`: the {@linkcode Ask}, a time that the
 * server's clock has passed for sure, the limits. The answer is an {@linkcode Answer}.
 */
export const SCRIPT: string = `
local HASH, LINE, LEASES = KEYS[1], KEYS[2], KEYS[3]
local ask, sure, limits = cjson.decode(ARGV[1]), tonumber(ARGV[2]), cjson.decode(ARGV[3])

local function load(...)
  local packed = redis.call('HMGET', HASH, ...)
  return packed[1] and cmsgpack.unpack(packed[1]), packed[2] and cmsgpack.unpack(packed[2])
end

-- A client library may send a command again. A repetition changes nothing and hears the same answer.
local me, state = load(ask.agent, 'state')
me = me or { n = 0, start = 0, finish = 0 }
if ask.n <= me.n then return ask.n == me.n and me.answer or {} end

-- Other limits wait until the agents with the old ones are gone, and all old tokens have come back.
local time = redis.call('TIME')
local raw = time[1] * 1000000 + time[2]
local pause = 0
if state and state.limits ~= ARGV[3] then
  if redis.call('ZCOUNT', LEASES, raw + state.offset, '+inf') > 0 then
    return redis.error_reply('LIMITS the key is in use with the limits ' .. state.limits)
  end
  state, pause = nil, raw + state.horizon
end
if not state then
  redis.call('DEL', unpack(KEYS))
  state = { limits = ARGV[3], epoch = ask.agent .. ask.n, offset = 0, last = 0, step = -1, pause = pause,
    granted = 0, keep = 0, order = 0, stamps = 0, start = 0, finish = 0, spent = {}, full = {} }
  for i in ipairs(limits) do state.spent[i], state.full[i] = 0, 0 end
end

-- The clock is the server's, but never goes back. The agent says how late it is 'for sure': the last
-- time that the agent heard, and the time since. A clock far beyond was set forward, or the command
-- was held up. After a step the count's own time is late by an unknown span. So the word of an agent
-- that heard the time before the latest step says too much: then time stands still.
local isKnown, isLost = ask.epoch == state.epoch, ask.isLost
local now = raw + state.offset
local isForward = isKnown and now > sure + 250000
if isForward or now < state.last then
  local known = isForward and ask.seen > state.step and sure or 0
  state.step = math.max(known, state.last)
  now = state.step + 1
end
if isKnown and ask.seen > state.last then
  state.last, isLost = ask.seen, true
elseif ask.epoch and not isKnown then
  isLost = true
end
now = math.max(now, state.last)
state.offset, state.last = now - raw, now

-- Keys that were written and want a new time to live.
local touched = {}

-- Tokens that are spent count until one period after the call's start or finish.
local function spend(kind, cost, at)
  for i, limit in ipairs(limits) do
    if limit.kind == kind and cost > 0 then
      if limit.burst then
        state.full[i] = math.max(state.full[i], at) + cost * limit.period / limit.limit
      elseif at + limit.period > now then
        state.spent[i], state.stamps = state.spent[i] + cost, state.stamps + 1
        redis.call('ZADD', KEYS[3 + i], at + limit.period, state.stamps .. ':' .. cost)
        touched[KEYS[3 + i]] = true
      end
    end
  end
end

local longest = 0
for i, limit in ipairs(limits) do
  longest = math.max(longest, limit.period * (limit.burst or limit.limit) / limit.limit)
  if not limit.burst then
    local key = KEYS[3 + i]
    local stamps = redis.call('ZRANGEBYSCORE', key, '-inf', now)
    for _, stamp in ipairs(stamps) do state.spent[i] = state.spent[i] - stamp:match('%d+$') end
    if #stamps > 0 then redis.call('ZREMRANGEBYSCORE', key, '-inf', now) end
  end
end

-- Tokens that the agent holds, and tokens that the agent has spent since the last command.
for _, kind in ipairs({ 'start', 'finish' }) do
  state[kind] = state[kind] + ask[kind].held - me[kind]
  me[kind] = ask[kind].held
  for _, told in ipairs(ask[kind].told) do spend(kind, told[1], now - told[2]) end
end

-- An agent that was silent for a lease is dead. The tokens that the agent held count as spent at the
-- end of the lease.
redis.call('ZADD', LEASES, now + ask.lease, ask.agent)
for _, name in ipairs(redis.call('ZRANGEBYSCORE', LEASES, '-inf', now)) do
  local dead, ended = load(name), redis.call('ZSCORE', LEASES, name)
  for _, kind in ipairs(dead and { 'start', 'finish' } or {}) do
    state[kind] = state[kind] - dead[kind]
    spend(kind, dead[kind], tonumber(ended))
  end
  redis.call('HDEL', HASH, name)
  redis.call('ZREM', LEASES, name)
end

local horizon = longest + ask.lease
state.horizon = horizon
if isLost then state.pause = math.max(state.pause, now + horizon) end
state.pause = math.max(state.pause, now + ask.pause)
if now + horizon + math.max(0, state.pause - now) > state.keep then
  state.keep = now + 2 * horizon + math.max(0, state.pause - now)
  for _, key in ipairs(KEYS) do touched[key] = true end
end

local function free(i)
  local limit = limits[i]
  if not limit.burst then return limit.limit - state.spent[i] - state[limit.kind] end
  local missing = math.max(0, state.full[i] - now) * limit.limit / limit.period
  return math.floor(limit.burst - missing) - state.start
end

local room = math.huge
for i in ipairs(limits) do room = math.min(room, free(i)) end
room = now < state.pause and -1 or math.max(0, room)

-- The line: first come, first served; urgent calls stand before all others. A call is granted if the
-- tokens suffice for the call and for all calls before it. Tokens for calls of other agents stay
-- reserved until these agents ask.
local isAlive, isGranted, granted = { [ask.agent] = true }, {}, {}
local need, ahead, taken, blocked = 0, 0, 0, nil
local function walk(places, isInLine)
  for _, place in ipairs(places) do
    local agent, id, cost = place:match('^(.*):(%d+):(%d+)')
    if isAlive[agent] == nil then isAlive[agent] = redis.call('ZSCORE', LEASES, agent) end
    if isAlive[agent] and need + cost > room then
      blocked = tonumber(cost)
      return
    end
    if isAlive[agent] then need = need + cost end
    if agent == ask.agent then
      granted[#granted + 1], isGranted[place], taken = id, true, taken + cost
    elseif isAlive[agent] then
      ahead = ahead + 1
    end
    if isInLine and (agent == ask.agent or not isAlive[agent]) then redis.call('ZREM', LINE, place) end
  end
end

for _, place in ipairs(ask.leave) do redis.call('ZREM', LINE, ask.agent .. ':' .. place) end
for i, place in ipairs(ask.join) do ask.join[i] = ask.agent .. ':' .. place end
local isEmpty = redis.call('EXISTS', LINE) == 0
if isEmpty then walk(ask.join, false) end
for _, place in ipairs(ask.join) do
  if not isGranted[place] then
    state.order = state.order + 1
    local order = place:find('!') and state.order - 2 ^ 52 or state.order
    redis.call('ZADD', LINE, 'NX', order, place)
    touched[LINE] = true
  end
end
local size = isEmpty and 0 or 100
while size == 100 and not blocked do
  local places = redis.call('ZRANGE', LINE, ahead, ahead + 99)
  size = #places
  walk(places, true)
end
if taken > 0 then
  for _, kind in ipairs({ 'start', 'finish' }) do
    state[kind], me[kind] = state[kind] + taken, me[kind] + taken
  end
  state.granted = now
end

-- When so many more tokens are back, at the earliest. A held token comes back one period after the
-- start or the finish of the call, which the agent is still to tell.
local function backAt(i, more)
  local key, period, limit = KEYS[3 + i], limits[i].period, limits[i].limit
  local rounds = math.max(0, math.ceil(more / limit) - 1)
  local left, back = more - rounds * limit, nil
  local stamps = redis.call('ZRANGE', key, 0, math.min(left, 1000) - 1, 'WITHSCORES')
  if #stamps == 0 and state.spent[i] > 0 then -- evicted
    state.spent[i], isLost, state.pause = 0, true, math.max(state.pause, now + horizon)
  end
  for j = 1, #stamps, 2 do
    left = left - stamps[j]:match('%d+$')
    if left <= 0 or j == 1999 then back = stamps[j + 1] break end
  end
  local held = math.max(state.granted + period, now + period / 20)
  if limits[i].kind == 'finish' then held = now + math.max(period, 20000) end
  return math.max(state.pause, tonumber(back) or held) + rounds * period
end

-- How long the agent's first waiting call has to wait; without one, a newcomer.
local mine
for _, place in ipairs(ask.join) do
  if not isGranted[place] then mine = place break end
end
local rank = ahead
if mine then rank = redis.call('ZRANK', LINE, mine) end
if blocked and not mine then rank = redis.call('ZCARD', LINE) end
local between = rank - ahead
need = need + between + (mine and mine:match('^.*:%d+:(%d+)') or 1)
if blocked and between > 0 then need = need + blocked - 1 end
local at = math.max(state.pause, now)
for i, limit in ipairs(limits) do
  if limit.burst then
    local each = limit.period / limit.limit
    local spent = need - taken + state.start - limit.burst
    local base = spent > 0 and math.max(state.pause, state.granted) or 0
    at = math.max(at, math.max(state.full[i], base) + spent * each)
  elseif need > free(i) + taken then
    at = math.max(at, backAt(i, need - free(i) - taken))
  end
end

me.n = ask.n
local wait = math.max(mine and 1 or 0, math.ceil(at - now))
me.answer = { state.epoch, now, wait, isLost and 1 or 0, unpack(granted) }
redis.call('HSET', HASH, ask.agent, cmsgpack.pack(me), 'state', cmsgpack.pack(state))
local ttl = math.ceil((state.keep - now) / 1000) + ${MEMORY}
for key in pairs(touched) do redis.call('PEXPIRE', key, ttl) end
return me.answer
`;

/** One command, in the words of the script. Times are in microseconds. */
export interface Ask {
  /** The process's own name, and the number of the command, from 1. */
  agent: string;
  n: number;
  /** The count that the process knows, and the time in the newest answer. */
  epoch?: string;
  seen: number;
  /** Whether calls may have started without a grant. */
  isLost: boolean;
  lease: number;
  /** Tokens of calls that are granted and have not started, and of those that have not finished. */
  start: Tokens;
  finish: Tokens;
  /** How long nothing may start. */
  pause: number;
  /** Places in line, `id:cost`, with a `!` where the call is urgent. */
  leave: string[];
  join: string[];
}

/** Tokens that a process holds, and tokens that the process has spent: how many, how long ago. */
export interface Tokens {
  held: number;
  told: [cost: number, age: number][];
}

/**
 * The answer: the name of the count, the time of the count, the least wait of the process's first
 * waiting call (or of a newcomer), whether the count was lost, and the ids of the granted calls.
 */
export type Answer = [epoch: string, now: number, wait: number, isLost: number, ...ids: string[]];
