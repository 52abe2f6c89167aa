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
 * spent tokens of each limit (sorted sets). `ARGV`: what {@linkcode word} makes of an
 * {@linkcode Ask}. The answer is an {@linkcode Answer}.
 *
 * A grant while tokens are left takes three commands, which read the clock and the state, and write
 * the state. The state says whether leases end, tokens come back, and calls stand in line.
 */
export const SCRIPT: string = `
local call = redis.call
local HASH, LINE, LEASES = KEYS[1], KEYS[2], KEYS[3]
local agent, number, known, seen, sure, isLost, lease, wish, heldStart, toldStart, heldFinish,
  toldFinish, leave, join = unpack(cjson.decode(ARGV[2]))

-- A client library may send a command again. A repetition changes nothing and hears the same answer.
local packed = call('HMGET', HASH, agent, 'state')
local n, ends, myStart, myFinish = 0, 0, 0, 0
if packed[1] then n, ends, myStart, myFinish = cmsgpack.unpack(packed[1]) end
if number == n then return { select(5, cmsgpack.unpack(packed[1])) } end
if number < n then return {} end

-- The state. 'dies': no lease ends earlier. 'tidy': when to look for tokens that came back, even if
-- nobody needs them. 'start', 'finish': tokens that are held. One number for each limit: tokens that
-- are 'spent', and when the bucket is 'full'. 'isLined': calls may stand in line.
local limits, old, epoch, offset, last, step, pause, granted, keep, order, stamps, dies, tidy,
  start, finish, horizon, spent, full, isLined = cjson.decode(ARGV[1])
if packed[2] then
  old, epoch, offset, last, step, pause, granted, keep, order, stamps, dies, tidy,
    start, finish, horizon, spent, full, isLined = cmsgpack.unpack(packed[2])
end

-- Other limits wait until the agents with the old ones are gone, and all old tokens have come back.
local time = call('TIME')
local raw = time[1] * 1000000 + time[2]
if old ~= ARGV[1] then
  if old and call('ZCOUNT', LEASES, raw + offset, '+inf') > 0 then
    return redis.error_reply('LIMITS the key is in use with the limits ' .. old)
  end
  call('DEL', unpack(KEYS))
  epoch, offset, last, step, pause = agent .. number, 0, 0, -1, old and raw + horizon or 0
  granted, keep, order, stamps, dies, tidy = 0, 0, 0, 0, 0, 0
  start, finish, spent, full, isLined = 0, 0, {}, {}, false
  for i in ipairs(limits) do spent[i], full[i] = 0, 0 end
  ends, myStart, myFinish = 0, 0, 0
end

-- The clock is the server's, but never goes back. The agent says how late it is 'for sure': the last
-- time that the agent heard, and the time since. A clock far beyond was set forward, or the command
-- was held up. After a step the count's own time is late by an unknown span. So the word of an agent
-- that heard the time before the latest step says too much: then time stands still.
local isKnown = known == epoch
local now = raw + offset
local isForward = isKnown and now > sure + 250000
if isForward or now < last then
  step = math.max(isForward and seen > step and sure or 0, last)
  now = step + 1
end
if isKnown and seen > last then
  last, isLost = seen, true
elseif known ~= '' and not isKnown then
  isLost = true
end
now = math.max(now, last)
offset, last = now - raw, now

-- Keys that were written and want a new time to live.
local touched = {}

-- Tokens that are spent count until one period after the call's start or finish.
local function spend(kind, cost, at)
  for i, limit in ipairs(limits) do
    if limit.kind == kind and cost > 0 then
      if limit.burst then
        full[i] = math.max(full[i], at) + cost * limit.period / limit.limit
      elseif at + limit.period > now then
        if spent[i] == 0 then touched[KEYS[3 + i]] = true end
        spent[i], stamps = spent[i] + cost, stamps + 1
        call('ZADD', KEYS[3 + i], at + limit.period, stamps .. ':' .. cost)
      end
    end
  end
end

-- Tokens that the agent holds, and tokens that the agent has spent since the last command.
start, myStart = start + heldStart - myStart, heldStart
finish, myFinish = finish + heldFinish - myFinish, heldFinish
for _, told in ipairs(toldStart) do spend('start', told[1], now - told[2]) end
for _, told in ipairs(toldFinish) do spend('finish', told[1], now - told[2]) end

-- A lease is renewed once a tenth of it has passed. An agent whose lease has ended is dead. The tokens
-- that the agent held count as spent at the end of the lease.
if ends < now + lease * 0.9 then
  ends = now + lease
  dies = math.min(dies, ends)
  call('ZADD', LEASES, ends, agent)
end
if now >= dies then
  local dead = call('ZRANGEBYSCORE', LEASES, '-inf', now, 'WITHSCORES')
  for i = 1, #dead, 2 do
    local mind = call('HGET', HASH, dead[i])
    if mind then
      local _, _, itsStart, itsFinish = cmsgpack.unpack(mind)
      start, finish = start - itsStart, finish - itsFinish
      spend('start', itsStart, tonumber(dead[i + 1]))
      spend('finish', itsFinish, tonumber(dead[i + 1]))
    end
    call('HDEL', HASH, dead[i])
    call('ZREM', LEASES, dead[i])
  end
  dies = tonumber(call('ZRANGE', LEASES, 0, 0, 'WITHSCORES')[2] or ends)
end

local longest, shortest = 0, math.huge
for _, limit in ipairs(limits) do
  longest = math.max(longest, limit.period * (limit.burst or limit.limit) / limit.limit)
  shortest = math.min(shortest, limit.period)
end
horizon = longest + lease
if isLost then pause = math.max(pause, now + horizon) end
pause = math.max(pause, now + wish)
if now + horizon + math.max(0, pause - now) > keep then
  keep = now + 2 * horizon + math.max(0, pause - now)
  for _, key in ipairs(KEYS) do touched[key] = true end
end

local function free(i)
  local limit = limits[i]
  if not limit.burst then
    return limit.limit - spent[i] - (limit.kind == 'start' and start or finish)
  end
  local missing = math.max(0, full[i] - now) * limit.limit / limit.period
  return math.floor(limit.burst - missing) - start
end

local function tokens()
  local room = math.huge
  for i in ipairs(limits) do room = math.min(room, free(i)) end
  return now < pause and -1 or math.max(0, room)
end

-- Says whether so many tokens are free. Until the tokens that came back are looked up, fewer seem to
-- be free than there are.
local room, isTidy = tokens(), false
local function suffices(need)
  if (need > room or now >= tidy) and not isTidy then
    isTidy, tidy = true, now + shortest / 20
    for i, limit in ipairs(limits) do
      if not limit.burst then
        local back = call('ZRANGEBYSCORE', KEYS[3 + i], '-inf', now)
        for _, stamp in ipairs(back) do spent[i] = spent[i] - stamp:match('%d+$') end
        if #back > 0 then call('ZREMRANGEBYSCORE', KEYS[3 + i], '-inf', now) end
      end
    end
    room = tokens()
  end
  return need <= room
end

-- The line: first come, first served; urgent calls stand before all others. A call is granted if the
-- tokens suffice for the call and for all calls before it. Tokens for calls of other agents stay
-- reserved until these agents ask.
local ids, isGranted = {}, {}
local need, ahead, taken, blocked = 0, 0, 0, nil
local function pass(owner, id, cost)
  if not suffices(need + cost) then
    blocked = cost
    return false
  end
  need = need + cost
  if owner == agent then
    ids[#ids + 1], isGranted[id], taken = id, true, taken + cost
  else
    ahead = ahead + 1
  end
  return true
end

for _, place in ipairs(leave) do call('ZREM', LINE, agent .. ':' .. place) end
isLined = isLined and call('EXISTS', LINE) == 1
local joined = {}
for _, place in ipairs(join) do
  local id, cost = place:match('(%d+):(%d+)')
  if isLined or blocked or not pass(agent, id, tonumber(cost)) then
    local name = agent .. ':' .. place
    order = order + 1
    call('ZADD', LINE, 'NX', place:find('!') and order - 2 ^ 52 or order, name)
    touched[LINE], joined[#joined + 1] = true, { id = id, cost = cost, name = name }
  end
end
local isAlive = { [agent] = true }
local size = isLined and 100 or 0
isLined = isLined or #joined > 0
while size == 100 and not blocked do
  local places = call('ZRANGE', LINE, ahead, ahead + 99)
  size = #places
  for _, place in ipairs(places) do
    local owner, id, cost = place:match('^(.*):(%d+):(%d+)')
    if isAlive[owner] == nil then isAlive[owner] = call('ZSCORE', LEASES, owner) end
    if isAlive[owner] and not pass(owner, id, tonumber(cost)) then break end
    if owner == agent or not isAlive[owner] then call('ZREM', LINE, place) end
  end
end
if taken > 0 then
  start, finish, granted = start + taken, finish + taken, now
  myStart, myFinish = myStart + taken, myFinish + taken
end

-- When so many more tokens are back, at the earliest. A held token comes back one period after the
-- start or the finish of the call, which the agent is still to tell.
local function backAt(i, more)
  local key, period, limit = KEYS[3 + i], limits[i].period, limits[i].limit
  local rounds = math.max(0, math.ceil(more / limit) - 1)
  local left, back = more - rounds * limit, nil
  local stamps = call('ZRANGE', key, 0, math.min(left, 1000) - 1, 'WITHSCORES')
  if #stamps == 0 and spent[i] > 0 then -- evicted
    spent[i], isLost, pause = 0, true, math.max(pause, now + horizon)
  end
  for j = 1, #stamps, 2 do
    left = left - stamps[j]:match('%d+$')
    if left <= 0 or j == 1999 then back = stamps[j + 1] break end
  end
  local held = math.max(granted + period, now + period / 20)
  if limits[i].kind == 'finish' then held = now + math.max(period, 20000) end
  return math.max(pause, tonumber(back) or held) + rounds * period
end

-- How long the agent's first waiting call has to wait; without one, a newcomer.
local mine
for _, place in ipairs(joined) do
  if not isGranted[place.id] then mine = place break end
end
local rank = ahead
if mine then rank = call('ZRANK', LINE, mine.name) end
if blocked and not mine then rank = call('ZCARD', LINE) end
local between = rank - ahead
need = need + between + (mine and mine.cost or 1)
if blocked and between > 0 then need = need + blocked - 1 end
suffices(need)
local at = math.max(pause, now)
for i, limit in ipairs(limits) do
  if limit.burst then
    local each = limit.period / limit.limit
    local over = need - taken + start - limit.burst
    local base = over > 0 and math.max(pause, granted) or 0
    at = math.max(at, math.max(full[i], base) + over * each)
  elseif need > free(i) + taken then
    at = math.max(at, backAt(i, need - free(i) - taken))
  end
end

local wait = math.max(mine and 1 or 0, math.ceil(at - now))
local answer = { epoch, now, wait, isLost and 1 or 0, unpack(ids) }
call('HSET', HASH, agent, cmsgpack.pack(number, ends, myStart, myFinish, unpack(answer)),
  'state', cmsgpack.pack(ARGV[1], epoch, offset, last, step, pause, granted, keep, order, stamps,
    dies, tidy, start, finish, horizon, spent, full, isLined))
local ttl = math.ceil((keep - now) / 1000) + ${MEMORY}
for key in pairs(touched) do call('PEXPIRE', key, ttl) end
return answer
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

/**
 * Words a command for the script.
 *
 * @param ask The command.
 * @param limits The limits, as the script reads them.
 * @param sure A time that the server's clock has passed for sure, in microseconds.
 * @returns The arguments.
 */
export function word(ask: Ask, limits: string, sure: number): string[] {
  const { agent, n, epoch = "", seen, isLost, lease, pause, start, finish, leave, join } = ask;
  const tokens = [start.held, start.told, finish.held, finish.told];
  const command = [agent, n, epoch, seen, sure, isLost, lease, pause, ...tokens, leave, join];
  return [limits, JSON.stringify(command)];
}
