-- KEYS: the record's. ARGV: the value that must be there; the new one, or nothing to delete;
-- until when it lives, or nothing; whether a full server takes it, or nothing.
-- 1: done, -1: gone, a string: nothing was written, something else is there.
local key = KEYS[1]
local stored = redis.call('GET', key)
if not stored then
  return -1
end
if stored ~= ARGV[1] then
  return stored
end
if ARGV[2] == '' then
  redis.call('DEL', key)
  return 1
end
if ARGV[4] ~= '' then
  -- As in `touch.lua`. The `SET` ends the expiry anyway.
  redis.call('PERSIST', key)
end
redis.call('SET', key, ARGV[2])
if ARGV[3] ~= '' then
  redis.call('PEXPIREAT', key, ARGV[3])
end
return 1
