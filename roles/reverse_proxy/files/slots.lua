-- Which slot a request goes to: the one whose socket the link of its number leads to. One look at the file system for each request,
-- so a renamed link holds from the next request on.
local ffi = require("ffi")
local C = ffi.C
local M = {}

local LONGEST = 256
ffi.cdef("ssize_t readlink(const char *path, char *buffer, size_t size);")
local buffer = ffi.new("char[?]", LONGEST)
local links, slots, header
-- What a client may ask for, and the link that is there for it during a canary.
local asked = { always = "canary", never = "stable" }

-- The directory of the links, the slot of each socket, and the header by which clients ask for a side (as nginx names its variable).
function M.start(directory, slot_of, by)
    links, slots, header = directory, slot_of, by
end

local function slot_of(link)
    local length = tonumber(C.readlink(links .. link .. ".sock", buffer, LONGEST))
    return length > 0 and slots[ffi.string(buffer, length)]
end

-- For the access phase, which comes after all limits. Without a link no release has been given any requests yet.
function M.choose()
    local wish = header and ngx.var[header]
    local side = wish and asked[wish]
    local slot = side and slot_of(side)
    if slot then
        -- For those who compare the sides: whoever chooses one is no sample.
        ngx.var.hardened_forced = wish
    else
        slot = slot_of(ngx.var.hardened_slot_number)
    end
    if not slot then
        return ngx.exit(ngx.HTTP_SERVICE_UNAVAILABLE)
    end
    ngx.var.hardened_slot = slot
end

return M
