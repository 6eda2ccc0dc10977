-- KEYS: the owner's index. ARGV: the id; until when the index is to speak for it; the clocks'
-- difference.
-- {the entry's score, 1 if it was there before, entries whose time is over}
local key, id, score = KEYS[1], ARGV[1], tonumber(ARGV[2])
local before = redis.call('ZSCORE', key, id)
-- Never the same score twice, also if the entry was gone in between: whoever read the one before
-- can tell that it is claimed anew. No two claims come within 32 us of each other, and nobody
-- waits for a minute between reading a score and releasing it.
local now = redis.call('TIME')
score = score + math.floor((tonumber(now[1]) * 1000000 + tonumber(now[2])) / 32) % 2097152
if before then
  score = math.max(score, tonumber(before) + 1)
end
local text = string.format('%.0f', score)
if before then
  -- Another score takes no memory: a full server is told so as in `touch.lua`.
  redis.call('PERSIST', key)
end
redis.call('ZADD', key, text, id)
live_with_last(key)
return {text, before and 1 or 0, passed(key, ARGV[3], 16)}
