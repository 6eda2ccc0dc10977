-- KEYS: the record's. ARGV: the only generation to delete, or nothing for any.
-- 1: done, {1, value}: done, and whose it was is to be read there; 0: conflict, -1: gone,
-- a string: nothing was deleted, look at what is there.
local key, only = KEYS[1], ARGV[1]
local stored = redis.pcall('GETRANGE', key, 0, OWNER_AT + 9)
if type(stored) == 'table' then
  -- No string at all.
  if only ~= '' then
    return stored
  end
  redis.call('DEL', key)
  return 1
end
if stored == '' and redis.call('EXISTS', key) == 0 then
  return -1
end
local old = head_of(stored)
if only ~= '' then
  if not old then
    return redis.call('GET', key)
  end
  if old.generation ~= tonumber(only) then
    return 0
  end
end
if old and not old.owned then
  redis.call('DEL', key)
  return 1
end
local value = redis.call('GET', key)
redis.call('DEL', key)
return {1, value}
