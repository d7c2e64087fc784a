-- Which slot a request goes to: the one whose socket the link of its number leads to. One look at the file system for each request,
-- so a renamed link holds from the next request on.
local ffi = require("ffi")
local C = ffi.C
local M = {}

local LONGEST = 256
ffi.cdef("ssize_t readlink(const char *path, char *buffer, size_t size);")
local buffer = ffi.new("char[?]", LONGEST)
local links, slots

-- The directory of the links, and the slot of each socket.
function M.start(directory, slot_of)
    links, slots = directory, slot_of
end

-- For the access phase, which comes after all limits. Without a link no release has been given any requests yet.
function M.choose()
    local length = tonumber(C.readlink(links .. ngx.var.hardened_slot_number .. ".sock", buffer, LONGEST))
    local slot = length > 0 and slots[ffi.string(buffer, length)]
    if not slot then
        return ngx.exit(ngx.HTTP_SERVICE_UNAVAILABLE)
    end
    ngx.var.hardened_slot = slot
end

return M
