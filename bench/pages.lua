-- wrk: ten thousand pages in turn

local requests, turn = {}, 0

function init(args)
    for k = 1, 10000 do
        requests[k] = wrk.format("GET", wrk.path .. "?n=" .. k)
    end
end

function request()
    turn = turn % #requests + 1
    return requests[turn]
end
