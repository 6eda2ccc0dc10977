-- Drives one route of a program with wrk. Argument: a file with a session's cookie in each line.
--
-- Each request takes the next session in turn. There are many times more sessions than
-- connections, so a session is never asked for twice at once: what is measured is the program
-- under load, and not a quarrel over one session.

local requests = {}
local turn = 0

function init(args)
   for cookie in io.lines(args[1]) do
      wrk.headers["Cookie"] = cookie
      requests[#requests + 1] = wrk.format("GET")
   end
   if #requests == 0 then
      requests[1] = wrk.format("GET")
   end
end

function request()
   turn = turn % #requests + 1
   return requests[turn]
end

function done(summary, latency)
   local errors = summary.errors
   io.write(string.format(
      '{"requests":%d,"micros":%d,"p50":%d,"p99":%d,"refused":%d,"broken":%d}\n',
      summary.requests, summary.duration, latency:percentile(50), latency:percentile(99),
      errors.status, errors.connect + errors.read + errors.write + errors.timeout))
end
