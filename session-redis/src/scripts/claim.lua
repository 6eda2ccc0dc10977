-- KEYS: the owner's index. ARGV: the id; until when the index is to speak for it; the clocks'
-- difference.
-- {the entry's score, 1 if it was there before, entries whose time is over}
local key, id, score = KEYS[1], ARGV[1], tonumber(ARGV[2])
local before = redis.call('ZSCORE', key, id)
if before then
  -- Never the same score again: whoever read the one before can tell that it is claimed anew.
  score = math.max(score, tonumber(before) + 1)
end
local text = string.format('%.0f', score)
redis.call('ZADD', key, text, id)
live_with_last(key)
return {text, before and 1 or 0, passed(key, ARGV[3], 16)}
