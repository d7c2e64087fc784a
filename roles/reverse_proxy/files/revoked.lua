-- Refuses credentials that were taken away: each has a file in a directory, by the part of it that names it or by its SHA-256. One look at
-- the file system for a request as long as there are none, so that a new file holds from the next request on.
local ffi = require("ffi")
local C = ffi.C
local M = {}

ffi.cdef([[
int access(const char *path, int mode);
unsigned char *SHA256(const unsigned char *data, size_t length, unsigned char *digest);
]])
local digest = ffi.new("unsigned char[32]")
local directory, headers, pattern

-- The directory, the headers that credentials come in, and the expression whose group is the identifier of a key.
function M.start(of_revoked, of_credentials, of_key)
    directory, headers, pattern = of_revoked, of_credentials, of_key
end

local function there(name)
    return C.access(directory .. name, 0) == 0
end

local function hash_of(value)
    C.SHA256(value, #value, digest)
    return (ffi.string(digest, 32):gsub(".", function(byte)
        return string.format("%02x", byte:byte())
    end))
end

local function revoked(value)
    -- What an application may take away before it compares.
    value = value:match("^[^\33-\126]*(.-)[^\33-\126]*$")
    if value == "" then
        return false
    end
    if pattern then
        local match = ngx.re.match(value, pattern, "jo")
        if match and not match[1]:find("[^%w._~:-]") and there("id-" .. match[1]) then
            return true
        end
    end
    return there("sha256-" .. hash_of(value))
end

-- For the access phase, before anything else is asked.
function M.look()
    if not there("") then
        return
    end
    local given = ngx.req.get_headers(0)
    for _, name in ipairs(headers) do
        local values = given[name]
        for _, value in ipairs(type(values) == "table" and values or { values }) do
            -- Also behind the name of a scheme, as in "Bearer ...".
            local behind = value:match("^%S+%s+(.+)$")
            if revoked(value) or (behind and revoked(behind)) then
                ngx.var.hardened_refused = "revoked"
                ngx.header["WWW-Authenticate"] = 'Bearer error="invalid_token", error_description="revoked"'
                return ngx.exit(ngx.HTTP_UNAUTHORIZED)
            end
        end
    end
end

return M
