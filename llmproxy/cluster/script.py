"""Counts rate limits atomically in Redis or Valkey. Lua version of accounts/rate.py and limits.py, with exactly the same results.

KEYS: one for each step. ARGV: the time (empty: the server's), `take`, `add` or `keep`, the lease in seconds, and for each step
its kind, limit, count and member. Returns the number of the refused step (from 1; 0: none), the seconds to wait, and the state
of each step.
"""

SCRIPT = """
local now, mode, lease = tonumber(ARGV[1]), ARGV[2], tonumber(ARGV[3])
local forget = now and function() return 600000 end or function(seconds) return math.ceil(seconds * 1000) + 1 end
if not now then
  local time = redis.call('TIME')
  now = tonumber(time[1]) + tonumber(time[2]) / 1000000
end

local function step(i)
  local at = 4 * i
  return KEYS[i], ARGV[at], tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2]), ARGV[at + 3]
end

local function exact(number)
  return string.format('%.17g', number)
end

local refused, wait, standing = 0, 0, {}
for i = 1, #KEYS do
  local key, kind, limit, count = step(i)
  if kind == 'rate' then
    local full = tonumber(redis.call('GET', key) or 0)
    standing[i] = full
    local needed = math.min(count, limit) * 60 / limit
    local lacking = math.max(0, math.max(full, now) + needed - 60 - now)
    if refused == 0 and lacking > 0 then refused, wait = i, lacking end
  elseif kind == 'parallel' then
    redis.call('ZREMRANGEBYSCORE', key, '-inf', exact(now))
    standing[i] = redis.call('ZCARD', key)
    if refused == 0 and standing[i] >= limit then refused, wait = i, 1 end
  else
    standing[i] = 0
  end
end

if mode ~= 'take' then refused, wait = 0, 0 end
if refused == 0 then
  for i = 1, #KEYS do
    local key, kind, limit, count, member = step(i)
    if kind == 'rate' then
      local full = math.max(standing[i], now) + count * 60 / limit
      standing[i] = full
      if full > now then
        redis.call('SET', key, exact(full), 'PX', forget(full - now))
      else
        redis.call('DEL', key)
      end
    elseif kind == 'parallel' then
      redis.call('ZADD', key, exact(now + lease), member)
      redis.call('PEXPIRE', key, math.ceil(lease * 2000))
      if mode == 'take' then standing[i] = standing[i] + 1 end
    else
      redis.call('ZREM', key, member)
    end
  end
end

local told = { tostring(refused), exact(wait) }
for i = 1, #KEYS do
  local _, kind = step(i)
  told[#told + 1] = exact(kind == 'rate' and standing[i] - now or standing[i])
end
return told
"""
