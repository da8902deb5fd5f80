-- What one writes by hand: a page out of Redis, on a connection from a pool.

local key = "page:" .. (ngx.var.arg_n or "")

local sock = ngx.socket.tcp()
sock:settimeout(1000)

if not sock:connect("unix:" .. ngx.config.prefix() .. "redis.sock") then
    return ngx.exit(503)
end

sock:send("*2\r\n$3\r\nGET\r\n$" .. #key .. "\r\n" .. key .. "\r\n")

local size = tonumber(string.match(sock:receive() or "", "^%$(%d+)$"))

if not size then
    return ngx.exit(404)
end

local body = sock:receive(size)

sock:receive(2)
sock:setkeepalive(10000, 100)

ngx.header["Content-Type"] = "application/json"
ngx.header["Content-Length"] = size
ngx.header["X-Cache"] = "HIT"
ngx.print(body)
