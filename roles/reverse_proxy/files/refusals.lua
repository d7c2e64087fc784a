-- Gives the firewall's refusals the JSON of all errors. Not by an error page: that is an internal redirect, after which the engine has
-- forgotten what it found and logs nothing.
local M = {}

local REFUSED = { [400] = true, [403] = true }

-- For the header filter of where the firewall looks: whatever no app host was asked about is nginx's own answer.
function M.head()
    if not REFUSED[ngx.status] or ngx.var.upstream_addr then
        return
    end
    local body = ngx.var.hardened_error_body
    ngx.header.content_type = "application/json"
    ngx.header.content_length = #body
    ngx.ctx.refusal = body
end

function M.body()
    if REFUSED[ngx.status] and ngx.ctx.refusal then
        ngx.arg[1], ngx.arg[2] = ngx.ctx.refusal, true
        ngx.ctx.refusal = ""
    end
end

return M
