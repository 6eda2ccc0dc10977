-- KEYS: one that nothing else uses. Refused where a session would be.
redis.call('SET', KEYS[1], '', 'PX', 1000)
redis.call('DEL', KEYS[1])
return 1
