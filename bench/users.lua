-- wrk: a thousand users in turn, each with a token of the usual length

local requests, turn = {}, 0

function init(args)
    for k = 1, 1000 do
        wrk.headers["Authorization"] =
            string.format("Bearer %04d%s", k, string.rep("x", 250))
        requests[k] = wrk.format("GET", wrk.path)
    end
end

function request()
    turn = turn % #requests + 1
    return requests[turn]
end
