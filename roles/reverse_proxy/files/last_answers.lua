-- Lets clients go before a reload. With one, nginx closes the connections that are idle at that moment, and a request that is just on
-- its way over one is lost. So the unit's ExecReload gives notice first (let-clients-go), and from then on each answer by the
-- workers of that time says that it is the connection's last.
local M = {}

-- In case that the reload does not come, or is refused.
local NOTICE_SECONDS = 30
local notice = ngx.shared.hardened_notice
local own

-- Before the workers are there: those of the next configuration have another name and are not meant.
function M.start()
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
    if notice:get("to") == own then
        ngx.exec("@last_answer")
    end
end

return M
