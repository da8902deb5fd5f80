local seconds = { 60, 3600, 86400 }
local limits = { 60000000, 1000000000, 2000000000 }
local left = limits[3]

for i = 1, 3 do
    local used = redis.call("INCR", KEYS[i])

    if used == 1 then
        redis.call("EXPIRE", KEYS[i], seconds[i])
    end

    left = math.min(left, limits[i] - used)
end

return left
