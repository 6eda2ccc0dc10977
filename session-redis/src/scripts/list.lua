-- KEYS: the owner's index. ARGV: the score to begin with; how many; the clocks' difference.
-- {before which score an entry's time is over, entries in the order of their scores, each
-- followed by its own}
local now = now_ms() - tonumber(ARGV[3])
return {now, redis.call('ZRANGEBYSCORE', KEYS[1], ARGV[1], '+inf', 'WITHSCORES', 'LIMIT', 0, ARGV[2])}
