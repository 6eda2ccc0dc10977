-- KEYS: the record's. ARGV: the new value; how the expected one begins, to the end of its
-- version; what stands at OWNER_AT in the new value; the earliest time of access for which the
-- index speaks long enough; until when the record lives, or nothing.
-- 1: done, 0: conflict, -1: gone, a string: nothing was written, look at what is there.
local key, value, begin, owner = KEYS[1], ARGV[1], ARGV[2], ARGV[3]
local stored = redis.call('GETRANGE', key, 0, OWNER_AT + #owner - 1)
-- The version says that it is what the writer has read. The limits and the owner stay as they are,
-- so the index need not change while the access is in its step.
if sub(stored, 1, #begin) == begin
  and sub(stored, EXPIRES_AT + 16, ENDS_AT + 26) == sub(value, EXPIRES_AT + 16, ENDS_AT + 26)
  and sub(stored, OWNER_AT + 1) == owner then
  local accessed = time_at(stored, ACCESSED_AT + 1)
  -- A later one is that of a touch in between, which is kept.
  if accessed and accessed >= tonumber(ARGV[4]) and accessed <= time_at(value, ACCESSED_AT + 1) then
    redis.call('SET', key, value)
    if ARGV[5] ~= '' then
      redis.call('PEXPIREAT', key, ARGV[5])
    end
    return 1
  end
elseif has_version(stored) then
  local version = string.lower(sub(stored, 24, 56))
  if version == sub(value, 24, 56) then
    -- It was done before; its answer was lost.
    return 1
  end
  if version ~= sub(begin, 24) then
    return 0
  end
elseif stored == '' and redis.call('EXISTS', key) == 0 then
  return -1
end
return redis.call('GET', key)
