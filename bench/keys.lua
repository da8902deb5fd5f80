-- wrk: a thousand subjects in turn, their requests formatted beforehand

local requests, turn = {}, 0

function init(args)
    for k = 1, 1000 do
        requests[k] = wrk.format("GET", wrk.path .. "?k=" .. k)
    end
end

function request()
    turn = turn % #requests + 1
    return requests[turn]
end
