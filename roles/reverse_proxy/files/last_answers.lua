-- Lets clients go before a reload. With one, nginx closes the connections that are idle at that moment, and a request that is just on
-- its way over one is lost. So the unit's ExecReload gives notice first (let-clients-go), and from then on each answer by the
-- workers of that time says that it is the connection's last.
--
-- HTTP/3 has no connection to close: old and new workers read from the same sockets, so a packet may reach one that knows nothing of
-- it. From the notice on, until no old workers can be left, clients are told to use HTTP/2 instead.
local M = {}

-- In case that the reload does not come, or is refused.
local NOTICE_SECONDS = 30
local notice = ngx.shared.hardened_notice
local own, http3

-- Before the workers are there: those of the next configuration have another name and are not meant. Old workers go on for some
-- seconds. Whether clients may use HTTP/3 is the business of those who have it.
function M.start(seconds, with_http3)
    http3 = with_http3
    if not notice:add("started", true) then
        notice:set("old_workers", true, seconds)
    end
    local random = assert(io.open("/dev/urandom", "rb"))
    own = random:read(16)
    random:close()
end

-- Says how many connections would have been closed by a reload now.
function M.give_notice()
    notice:set("to", own, NOTICE_SECONDS)
    ngx.say(ngx.var.connections_waiting)
end

-- For the access phase, which comes after all limits.
function M.look()
    local last = notice:get("to") == own
    if http3 and (last or notice:get("old_workers")) then
        ngx.var.hardened_http3_rests = "1"
    end
    if last then
        ngx.exec("@last_answer")
    end
end

return M
