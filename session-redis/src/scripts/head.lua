-- Until when the owner index speaks for a record that never expires: beyond every time of 15 digits.
local NEVER = 4503599627370496
local LATEST = 999999999999999

-- A time of 15 characters. Not `..`, which rounds to 14 digits.
local function time_text(ms)
  return string.format('%15.0f', ms)
end

-- What stands at the fixed offsets of a record in session-core's own spelling, of which `text` has
-- ten characters from OWNER_AT on; nil for all else.
local function head_of(text)
  local version, generation, accessed, expires, timeout, ends, at = string.match(text,
    '^{"format":1,"version":"(%x+%-%x+)","generation":([ %d]+),"accessed":([ %-%d]+)'
      .. ',"expires":([ %-%dnul]+),"timeout":([ %-%dnul]+),"ends":([ %-%dnul]+)'
      .. ',"data_at":[ %d]+,()"')
  if at ~= OWNER_AT + 1 or #version ~= 33 or #generation ~= 10 or #accessed ~= 15
    or #expires ~= 15 or #timeout ~= 15 then
    return nil
  end
  local owned = string.sub(text, at, at + 8) == '"owner":"'
  if not owned and string.sub(text, at, at + 9) ~= '"created":' then
    return nil
  end
  local head = {
    owned = owned,
    version = string.lower(version),
    generation = tonumber(generation),
    accessed = tonumber(accessed),
    timeout = tonumber(timeout),
    ends = tonumber(ends),
  }
  local null = '           null'
  if not head.generation or not head.accessed
    or not head.timeout and timeout ~= null or not head.ends and ends ~= null then
    return nil
  end
  return head
end

-- When a record with these limits expires if last accessed then; nil for never.
local function expiry(accessed, limits)
  local at = limits.timeout and math.min(accessed + limits.timeout, LATEST)
  if at and limits.ends then
    return math.min(at, limits.ends)
  end
  return at or limits.ends
end

-- Until when the index must speak for it. In steps, so that most accesses ask for no new entry;
-- `owners.rs` computes the same.
local function cover(accessed, limits)
  local at = limits.ends or NEVER
  if limits.timeout then
    local step = math.max(60000, math.min(limits.timeout, 86400000))
    local next_step = (math.floor(accessed / step) + 1) * step
    at = math.min(at, next_step + limits.timeout)
  end
  return at
end

-- The key lives until the record's expiry and the clocks' differences.
local function live_until(key, expires, skew)
  if expires then
    redis.call('PEXPIREAT', key, string.format('%.0f', math.max(1, expires + tonumber(skew))))
  else
    redis.call('PERSIST', key)
  end
end
