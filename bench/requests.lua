-- What wrk sends: the lines of a file, `METHOD PATH BODY`, over and over, and what it found, as one
-- JSON line. UNIQUE in a body becomes a text that no other request of any run has.
--   wrk -s requests.lua URL -- FILE LABEL [PAUSE [statuses]]
-- PAUSE: each connection rests for a random time from 0 to twice as many milliseconds before its
-- next request. statuses: counts them.

local requests, label = {}, ""
local sent = 0
local threads = {}

function setup(thread)
  threads[#threads + 1] = thread
end

function init(args)
  label = args[2]
  for line in io.lines(args[1]) do
    local method, path, body = line:match("^(%S+) (%S+) ?(.*)$")
    local headers = {}
    -- Those that wrk was given with -H.
    for name, value in pairs(wrk.headers) do headers[name] = value end
    if body == "" then body = nil else headers["content-type"] = "application/json" end
    local fixed = not (body and body:find("UNIQUE", 1, true))
    requests[#requests + 1] = fixed and wrk.format(method, path, headers, body)
      or { method, path, headers, body }
  end
  -- wrk calls what it finds defined after this, and works less for what isn't.
  local pause = tonumber(args[3] or "0")
  if pause > 0 then
    local seed = 0
    for byte in label:gmatch(".") do seed = (seed * 31 + byte:byte()) % 2 ^ 31 end
    math.randomseed(seed)
    function delay() return math.random(0, 2 * pause) end
  end
  if args[4] == "statuses" then
    statuses = {}
    function response(status)
      local key = tostring(status)
      statuses[key] = (statuses[key] or 0) + 1
    end
  end
end

function request()
  sent = sent + 1
  local next = requests[(sent - 1) % #requests + 1]
  if type(next) == "string" then return next end
  local body = next[4]:gsub("UNIQUE", label .. "-" .. sent)
  return wrk.format(next[1], next[2], next[3], body)
end

local function counted()
  local sums, texts = {}, {}
  for _, thread in ipairs(threads) do
    for status, count in pairs(thread:get("statuses") or {}) do
      sums[status] = (sums[status] or 0) + count
    end
  end
  for status, count in pairs(sums) do texts[#texts + 1] = string.format('"%s":%d', status, count) end
  return "{" .. table.concat(texts, ",") .. "}"
end

function done(summary, latency)
  local errors = summary.errors
  io.write("\n", string.format(
    '{"requests":%d,"microseconds":%d,"p50":%d,"p99":%d,"refused":%d,"broken":%d,"statuses":%s}',
    summary.requests, summary.duration, latency:percentile(50), latency:percentile(99),
    errors.status, errors.connect + errors.read + errors.write + errors.timeout, counted()
  ), "\n")
end
