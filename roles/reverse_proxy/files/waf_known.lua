-- Lets a request past the firewall when the firewall knows all of it: its line and each of its headers were looked at before, by all
-- rules, and no rule was hit by any. The firewall's rules judge each part by itself, so it would find nothing now either.
--
-- A part that has been met twice is sent to a server of its own (waf.conf: "trial"), which refuses a request for the smallest hit,
-- tells nobody, and knows no exclusions. Requests with a body are never known. What is remembered are salted hashes, since
-- headers hold secrets, and it is forgotten with every reload.
local M = {}

local BODILESS = { GET = true, HEAD = true, DELETE = true }
-- Headers of requests that have a body, want an answer in part, or another protocol.
local NEVER = {
    ["content-encoding"] = true, ["content-length"] = true, ["content-type"] = true, ["expect"] = true, ["range"] = true,
    ["te"] = true, ["trailer"] = true, ["transfer-encoding"] = true, ["upgrade"] = true,
}
local MOST_HEADERS, LONGEST_LINE, LONGEST_HEADER = 40, 1024, 4096
-- Alike to every rule: numbers and identifiers, where a whole segment, argument or header is one.
local UUID = "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
local ALIKE_IN_LINE = "(?<=[/=])(?:[0-9]{1,20}|" .. UUID .. "|[0-9a-f]{16,64})(?=[/&?]|$)"
local ALIKE_AS_HEADER = "^(?:" .. UUID .. "|[0-9a-f]{16,64}|00-[0-9a-f]{32}-[0-9a-f]{16}-0[0-9a-f])$"
-- Trials at once, by one worker, and in a second, by all: nobody can keep the firewall busy by sending what is new.
local AT_ONCE, IN_A_SECOND = 4, 50
local SEEN_SECONDS, LOCK_SECONDS, REFUSED_SECONDS = 600, 5, 60

local known = ngx.shared.hardened_waf_known
local running = 0
local salt, trial

-- Before the workers are there, so that all have the same salt.
function M.start(socket)
    trial = "unix:" .. socket
    local random = assert(io.open("/dev/urandom", "rb"))
    salt = random:read(20)
    random:close()
    known:flush_all()
end

local function key_of(part)
    return ngx.sha1_bin(salt .. part)
end

local function alike(value)
    -- Hardly any header gets as far as the expression.
    return not value:find("[^0-9a-f-]") and ngx.re.find(value, ALIKE_AS_HEADER, "jo")
end

-- The keys of a request's line and headers, the line's first, and the request as it is to be tried; nil if it may not be known.
local function parts_of(method)
    local line = ngx.var.request_uri
    local headers, too_many = ngx.req.get_headers(MOST_HEADERS, true)
    if not BODILESS[method] or #line > LONGEST_LINE or too_many or ngx.req.http_version() < 1.1 then
        return nil
    end
    local keys = { key_of(method .. " " .. (ngx.re.gsub(line, ALIKE_IN_LINE, "0", "jo") or line)) }
    local text = { method .. " " .. line .. " HTTP/1.1" }
    -- Between the client and this server only: never passed on.
    headers.Connection, headers.connection = nil, nil
    for name, value in pairs(headers) do
        local lower = name:lower()
        if type(value) ~= "string" or value == "" or #value > LONGEST_HEADER or NEVER[lower] then
            return nil
        end
        text[#text + 1] = name .. ": " .. value
        keys[#keys + 1] = key_of(lower .. ":" .. (alike(value) and "0" or value))
    end
    return keys, text
end

local function passes(text)
    local connection = ngx.socket.tcp()
    connection:settimeout(2000)
    if not connection:connect(trial) then
        return false
    end
    local status
    if connection:send(text) then
        status = connection:receive("*l")
    end
    connection:close()
    return status ~= nil and status:find("^HTTP/1.1 200 ") ~= nil
end

local function try(_, text, keys, lock)
    if passes(text) then
        for _, key in ipairs(keys) do
            known:set(key, true)
        end
        known:delete(lock)
    else
        known:set(lock, true, REFUSED_SECONDS)
    end
    running = running - 1
end

local function learn(keys, text, line)
    local lock = line .. "trial"
    if running >= AT_ONCE or (known:incr("trials", 1, 0, 1) or 0) > IN_A_SECOND or not known:add(lock, true, LOCK_SECONDS) then
        return
    end
    text[#text + 1] = "Connection: close\r\n\r\n"
    if ngx.timer.at(0, try, table.concat(text, "\r\n"), keys, lock) then
        running = running + 1
    end
end

local function is_known()
    local keys, text = parts_of(ngx.req.get_method())
    if not keys then
        return false
    end
    local unknown, met = {}, true
    for _, key in ipairs(keys) do
        if known:get(key) ~= true then
            unknown[#unknown + 1] = key
            met = not known:add(key, false, SEEN_SECONDS) and met
        end
    end
    if #unknown > 0 and met then
        learn(unknown, text, keys[1])
    end
    return #unknown == 0
end

-- For the access phase, which comes after all limits. When in doubt, the firewall looks.
function M.look()
    local fine, answer = pcall(is_known)
    if not fine then
        ngx.log(ngx.ERR, "waf_known: ", answer)
    end
    if not fine or not answer then
        ngx.exec("@firewall")
    end
end

return M
