-- What one writes: a page out of Redis, on a connection from a pool.

local redis = require("nginx.redis"):new()
redis:set_timeout(1000)

if not redis:connect("unix:" .. ngx.config.prefix() .. "redis.sock") then
    return ngx.exit(503)
end

local body = redis:get("page:" .. (ngx.var.arg_n or ""))

if not body or body == ngx.null then
    return ngx.exit(404)
end

redis:set_keepalive(10000, 100)

ngx.header["Content-Type"] = "application/json"
ngx.header["Content-Length"] = #body
ngx.header["X-Cache"] = "HIT"
ngx.print(body)
