-- KEYS: the record's. ARGV: its value; until when it lives, or nothing.
-- 1: done, 0: taken.
if not redis.call('SET', KEYS[1], ARGV[1], 'NX') then
  return 0
end
if ARGV[2] ~= '' then
  redis.call('PEXPIREAT', KEYS[1], ARGV[2])
end
return 1
