-- KEYS: the record's. ARGV: the generation; the time of access; the clocks' difference.
-- 1: done, 0: conflict, -1: gone, a string: nothing was written, look at what is there.
local key, at = KEYS[1], tonumber(ARGV[2])
local stored = redis.call('GETRANGE', key, 0, OWNER_AT + 9)
local generation, accessed, timeout, ends, owned = head_of(stored)
if not generation then
  if stored == '' and redis.call('EXISTS', key) == 0 then
    return -1
  end
  return redis.call('GET', key)
end
if generation ~= tonumber(ARGV[1]) then
  return 0
end
if at <= accessed then
  return 1
end
if owned and timeout then
  -- In another step the index has to speak for it longer: `owners.rs` says what a step is.
  local step = math.max(60000, math.min(timeout, 86400000))
  if math.floor(at / step) ~= math.floor(accessed / step) then
    return redis.call('GET', key)
  end
end
-- Not `..`, which rounds to 14 digits.
local expires, text = ends, '           null'
if timeout then
  expires = math.min(at + timeout, ends or 999999999999999, 999999999999999)
end
if expires then
  text = string.format('%15.0f', expires)
end
local moved = string.format('%15.0f', at) .. ',"expires":' .. text
if #moved ~= 41 then
  return redis.call('GET', key)
end
-- A full server refuses `SETRANGE`, which may take memory, but only as the first write of a script.
-- Here it takes none, so one that cannot take any comes first.
if expires then
  redis.call('PEXPIREAT', key, string.format('%.0f', math.max(1, expires + tonumber(ARGV[3]))))
  -- A time that is over has removed the key. `SETRANGE` would make another one, for ever.
  if redis.call('EXISTS', key) == 0 then
    return 1
  end
else
  redis.call('PERSIST', key)
end
redis.call('SETRANGE', key, ACCESSED_AT, moved)
return 1
