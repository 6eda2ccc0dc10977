-- ARGV: the cursor; the pattern; how many keys to look at.
-- {which run of the server this is, the next cursor, keys}
local run = string.match(redis.call('INFO', 'server'), 'run_id:(%w+)') or ''
local step = redis.call('SCAN', ARGV[1], 'MATCH', ARGV[2], 'COUNT', ARGV[3])
return {string.sub(run, 1, 16), step[1], step[2]}
