-- wrk: subjects one after another from the number given, none twice

local n

function init(args)
    n = tonumber(args[1])
end

function request()
    n = n + 1
    return "GET " .. wrk.path .. "?k=" .. n .. " HTTP/1.1\r\n"
           .. "Host: localhost\r\n\r\n"
end
