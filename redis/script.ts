/**
 * The script that keeps the shared count. Redis runs one command at a time, and this script is one
 * command: a process ("agent") tells about its calls, asks for tokens, and is answered.
 * `RedisThrottler` has the proof. Internal.
 *
 * @module
 */

/** How many waiting calls of one process stand in the shared line at once. */
export const PLACES = 100;

/**
 * How long a count is kept beyond the time that its tokens need, in milliseconds: an hour. A process
 * that used a count within this time can tell that Redis has lost it.
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

local function load(name)
  local packed = redis.call('HGET', HASH, name)
  return packed and cmsgpack.unpack(packed)
end

local function save(name, value)
  redis.call('HSET', HASH, name, cmsgpack.pack(value))
end

-- A client library may send a command again. A repetition changes nothing and hears the same answer.
local me = load(ask.agent) or { n = 0, start = 0, finish = 0 }
if ask.n <= me.n then return ask.n == me.n and me.answer or {} end

local state = load('state')
if state and state.limits ~= ARGV[3] then
  return redis.error_reply('LIMITS the key is in use with the limits ' .. state.limits)
end
if not state then
  redis.call('DEL', unpack(KEYS))
  state = { limits = ARGV[3], epoch = ask.agent .. ask.n, offset = 0, last = 0, pause = 0, granted = 0,
    order = 0, stamps = 0, start = 0, finish = 0, spent = {}, full = {} }
  for i in ipairs(limits) do state.spent[i], state.full[i] = 0, 0 end
end

-- The clock is the server's, but never goes back. It is 'sure' at least, says the agent: the last time
-- that it heard, and the time since. A clock far beyond was set forward, or the command was held up.
local isKnown, isLost = ask.epoch == state.epoch, ask.isLost
local time = redis.call('TIME')
local raw = time[1] * 1000000 + time[2]
local now = raw + state.offset
if isKnown then
  if now > sure + 250000 then now = sure end
  if ask.seen > state.last then state.last, isLost = ask.seen, true end
elseif ask.epoch then
  isLost = true
end
now = math.max(now, state.last)
state.offset, state.last = now - raw, now

-- Tokens that are spent count until one period after the call's start or finish.
local function spend(kind, cost, at)
  for i, limit in ipairs(limits) do
    if limit.kind == kind and cost > 0 then
      if limit.burst then
        state.full[i] = math.max(state.full[i], at) + cost * limit.period / limit.limit
      elseif at + limit.period > now then
        state.spent[i], state.stamps = state.spent[i] + cost, state.stamps + 1
        redis.call('ZADD', KEYS[3 + i], at + limit.period, state.stamps .. ':' .. cost)
      end
    end
  end
end

local longest = 0
for i, limit in ipairs(limits) do
  longest = math.max(longest, limit.period * (limit.burst or limit.limit) / limit.limit)
  if not limit.burst then
    local key = KEYS[3 + i]
    if state.spent[i] > 0 and redis.call('EXISTS', key) == 0 then state.spent[i], isLost = 0, true end
    for _, stamp in ipairs(redis.call('ZRANGEBYSCORE', key, '-inf', now)) do
      state.spent[i] = state.spent[i] - stamp:match('%d+$')
    end
    redis.call('ZREMRANGEBYSCORE', key, '-inf', now)
  end
end

-- What the agent holds, and what it has spent since it told last.
for _, kind in ipairs({ 'start', 'finish' }) do
  state[kind] = state[kind] + ask[kind].held - me[kind]
  me[kind] = ask[kind].held
  for _, told in ipairs(ask[kind].told) do spend(kind, told[1], now - told[2]) end
end

-- An agent that was silent for a lease is dead: it spent what it held at the end of the lease.
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
if isLost then state.pause = math.max(state.pause, now + horizon) end
state.pause = math.max(state.pause, now + ask.pause)

-- The line: first come, first served; urgent calls stand before all others.
for _, place in ipairs(ask.leave) do redis.call('ZREM', LINE, ask.agent .. ':' .. place) end
for _, place in ipairs(ask.join) do
  state.order = state.order + 1
  local order = place:find('!') and state.order - 2 ^ 52 or state.order
  redis.call('ZADD', LINE, 'NX', order, ask.agent .. ':' .. place)
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

-- A call is granted if the tokens suffice for it and for all that stand before it. The tokens of
-- those before it stay where they are, until their agents ask.
local isAlive, granted, need, ahead, blocked = { [ask.agent] = true }, {}, 0, 0, nil
local first, size, taken, gone = 0, 100, 0, {}
while size == 100 and not blocked do
  local places = redis.call('ZRANGE', LINE, first, first + 99)
  first, size = first + 100, #places
  for _, place in ipairs(places) do
    local agent, id, cost = place:match('^(.*):(%d+):(%d+)')
    if isAlive[agent] == nil then isAlive[agent] = redis.call('ZSCORE', LEASES, agent) end
    if isAlive[agent] and need + cost > room then
      blocked = tonumber(cost)
      break
    end
    if isAlive[agent] then need = need + cost end
    if agent == ask.agent then
      granted[#granted + 1], taken = id, taken + cost
      gone[#gone + 1] = place
    elseif isAlive[agent] then
      ahead = ahead + 1
    else
      gone[#gone + 1] = place
    end
  end
end
for _, place in ipairs(gone) do redis.call('ZREM', LINE, place) end
if taken > 0 then
  for _, kind in ipairs({ 'start', 'finish' }) do
    state[kind], me[kind] = state[kind] + taken, me[kind] + taken
  end
  state.granted = now
end

-- When so many more tokens are back, at the earliest. A token that is held returns one period after
-- its call starts or finishes, which the agent that holds it will tell.
local function backAt(i, more)
  local key, period, limit = KEYS[3 + i], limits[i].period, limits[i].limit
  local rounds = math.max(0, math.ceil(more / limit) - 1)
  local left, back = more - rounds * limit, nil
  local stamps = redis.call('ZRANGE', key, 0, math.min(left, 1000) - 1, 'WITHSCORES')
  for j = 1, #stamps, 2 do
    left = left - stamps[j]:match('%d+$')
    if left <= 0 or j == 1999 then back = stamps[j + 1] break end
  end
  local held = math.max(state.granted + period, now + period / 20)
  if limits[i].kind == 'finish' then held = now + math.max(period, 20000) end
  return math.max(state.pause, tonumber(back) or held) + rounds * period
end

-- How long the first call that still waits has to wait; a newcomer, if none does.
local mine = ask.join[#granted + 1]
for _, place in ipairs(ask.join) do
  if redis.call('ZSCORE', LINE, ask.agent .. ':' .. place) then mine = place break end
end
local rank = mine and redis.call('ZRANK', LINE, ask.agent .. ':' .. mine) or redis.call('ZCARD', LINE)
local between = rank - ahead
need = need + between + (mine and mine:match(':(%d+)') or 1)
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
save(ask.agent, me)
save('state', state)
local ttl = math.ceil((2 * horizon + math.max(0, state.pause - now)) / 1000) + ${MEMORY}
for _, key in ipairs(KEYS) do redis.call('PEXPIRE', key, ttl) end
return me.answer
`;

/** One command, in the words of the script. Times are in microseconds. */
export interface Ask {
  /** The process's own name, and the number of the command, from 1. */
  agent: string;
  n: number;
  /** The count that the process knows, and the latest time that it heard from there. */
  epoch?: string;
  seen: number;
  /** Whether calls may have started that no count knows of. */
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

/** Tokens that a process holds, and those that it has spent: how many, and how long ago. */
export interface Tokens {
  held: number;
  told: [cost: number, age: number][];
}

/**
 * The answer: the name of the count, the server's time, how long the first waiting call (a newcomer,
 * if none waits) has to wait at least, whether the count was lost, and the ids of the granted calls.
 */
export type Answer = [epoch: string, now: number, wait: number, isLost: number, ...ids: string[]];
