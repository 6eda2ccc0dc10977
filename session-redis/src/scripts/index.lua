local NEVER = 4503599627370496
local HOUR = 3600000

local function now_ms()
  local now = redis.call('TIME')
  return tonumber(now[1]) * 1000 + math.floor(tonumber(now[2]) / 1000)
end

-- The index lives an hour longer than the last of its entries, for ever if one is for ever. At
-- least an hour from now: an old entry may be that of a record nobody can read.
local function live_with_last(key)
  local last = redis.call('ZREVRANGE', key, 0, 0, 'WITHSCORES')[2]
  if not last then
    return
  end
  last = tonumber(last)
  if last >= NEVER then
    redis.call('PERSIST', key)
  else
    redis.call('PEXPIREAT', key, string.format('%.0f', math.max(last, now_ms()) + HOUR))
  end
end

-- Up to `most` entries whose time is over, each followed by it.
local function passed(key, skew, most)
  local before = string.format('%.0f', now_ms() - tonumber(skew))
  return redis.call('ZRANGEBYSCORE', key, '-inf', '(' .. before, 'WITHSCORES', 'LIMIT', 0, most)
end
