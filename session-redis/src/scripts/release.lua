-- KEYS: the owner's index. ARGV: the id; the only score to remove, or nothing for any.
-- 1: removed, 0: not.
local key, id, seen = KEYS[1], ARGV[1], ARGV[2]
local score = redis.call('ZSCORE', key, id)
if not score or seen ~= '' and tonumber(score) ~= tonumber(seen) then
  return 0
end
redis.call('ZREM', key, id)
live_with_last(key)
return 1
