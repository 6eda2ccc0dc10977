-- KEYS: the record's. ARGV: the generation; the time of access; the clocks' difference.
-- 1: done, 0: conflict, -1: gone, a string: nothing was written, look at what is there.
local key = KEYS[1]
local stored = redis.call('GETRANGE', key, 0, OWNER_AT + 9)
if stored == '' and redis.call('EXISTS', key) == 0 then
  return -1
end
local old = head_of(stored)
if not old then
  return redis.call('GET', key)
end
if old.generation ~= tonumber(ARGV[1]) then
  return 0
end
local accessed = tonumber(ARGV[2])
if accessed <= old.accessed then
  return 1
end
local expires = expiry(accessed, old)
local moved = time_text(accessed) .. ',"expires":'
  .. (expires and time_text(expires) or '           null')
if #moved ~= 41 or old.owned and cover(accessed, old) > cover(old.accessed, old) then
  return redis.call('GET', key)
end
redis.call('SETRANGE', key, ACCESSED_AT, moved)
live_until(key, expires, ARGV[3])
return 1
