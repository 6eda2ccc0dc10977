-- KEYS: the record's. ARGV: the expected version; the new value; the clocks' difference; what
-- stands at OWNER_AT in the new value.
-- 1: done, 0: conflict, -1: gone, a string: nothing was written, look at what is there.
local key, value, owner = KEYS[1], ARGV[2], ARGV[4]
local stored = redis.call('GETRANGE', key, 0, OWNER_AT + #owner - 1)
if stored == '' and redis.call('EXISTS', key) == 0 then
  return -1
end
local old, new = head_of(stored), head_of(value)
if not old or not new then
  return redis.call('GET', key)
end
if old.version == new.version then
  -- It was done before; its answer was lost.
  return 1
end
if old.version ~= ARGV[1] then
  return 0
end
if string.sub(stored, OWNER_AT + 1) ~= owner then
  return redis.call('GET', key)
end
local accessed = math.max(old.accessed, new.accessed)
if new.owned and cover(accessed, new) > cover(old.accessed, old) then
  return redis.call('GET', key)
end
local expires = expiry(accessed, new)
if accessed > new.accessed then
  -- A touch in between is kept.
  value = string.sub(value, 1, ACCESSED_AT) .. time_text(accessed) .. ',"expires":'
    .. (expires and time_text(expires) or '           null')
    .. string.sub(value, EXPIRES_AT + 16)
end
redis.call('SET', key, value)
if expires then
  live_until(key, expires, ARGV[3])
end
return 1
