-- wrk: what was never asked for before, in this run or another

local turn, prefix = 0, ""

function init(args)
    local source = io.open("/dev/urandom", "rb")

    for byte in source:read(8):gmatch(".") do
        prefix = prefix .. string.format("%02x", byte:byte())
    end

    source:close()
end

function request()
    turn = turn + 1
    return wrk.format("GET", wrk.path .. "?n=" .. prefix .. turn)
end
