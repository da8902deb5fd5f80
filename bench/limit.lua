-- What one writes by hand: a counter per minute, one round trip to Redis on
-- a connection from a pool.  One rate, not three.

local limit = 100000000
local minute = math.floor(ngx.time() / 60)
local key = "lua:" .. (ngx.var.arg_k or "") .. ":" .. minute

local sock = ngx.socket.tcp()
sock:settimeout(1000)

if not sock:connect("unix:" .. ngx.config.prefix() .. "redis.sock") then
    return ngx.exit(503)
end

sock:send("*2\r\n$4\r\nINCR\r\n$" .. #key .. "\r\n" .. key .. "\r\n")

local used = tonumber(string.match(sock:receive() or "", "^:(%d+)$"))

if not used then
    return ngx.exit(503)
end

if used == 1 then
    sock:send("*3\r\n$6\r\nEXPIRE\r\n$" .. #key .. "\r\n" .. key
              .. "\r\n$2\r\n60\r\n")
    sock:receive()
end

sock:setkeepalive(10000, 100)

ngx.header["X-RateLimit-Remaining"] = limit - used

if used > limit then
    return ngx.exit(429)
end
