-- KEYS: the record's. ARGV: what stands at OWNER_AT in a record of this owner's.
-- 1: it is this owner's, a string: look at what is there, nil: gone.
local key, owner = KEYS[1], ARGV[1]
local stored = redis.call('GETRANGE', key, 0, OWNER_AT + #owner - 1)
if head_of(stored) and sub(stored, OWNER_AT + 1) == owner then
  return 1
end
return redis.call('GET', key)
