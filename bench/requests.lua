-- What wrk sends: the lines of a file, `METHOD PATH BODY`, over and over, and what it found, as one
-- JSON line. UNIQUE in a body becomes a text that no other request of any run has.
--   wrk -s requests.lua URL -- FILE LABEL

local requests, label = {}, ""
local sent = 0

function init(args)
  label = args[2]
  for line in io.lines(args[1]) do
    local method, path, body = line:match("^(%S+) (%S+) ?(.*)$")
    local headers = {}
    -- wrk's own, such as Host.
    for name, value in pairs(wrk.headers) do headers[name] = value end
    if body == "" then body = nil else headers["content-type"] = "application/json" end
    local fixed = not (body and body:find("UNIQUE", 1, true))
    requests[#requests + 1] = fixed and wrk.format(method, path, headers, body)
      or { method, path, headers, body }
  end
end

function request()
  sent = sent + 1
  local next = requests[(sent - 1) % #requests + 1]
  if type(next) == "string" then return next end
  local body = next[4]:gsub("UNIQUE", label .. "-" .. sent)
  return wrk.format(next[1], next[2], next[3], body)
end

function done(summary, latency)
  local errors = summary.errors
  io.write("\n", string.format(
    '{"requests":%d,"microseconds":%d,"p50":%d,"p99":%d,"refused":%d,"broken":%d}',
    summary.requests, summary.duration, latency:percentile(50), latency:percentile(99),
    errors.status, errors.connect + errors.read + errors.write + errors.timeout
  ), "\n")
end
