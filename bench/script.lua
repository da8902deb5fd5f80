-- The same with three rates, by a script in Redis; run.sh has loaded it, and
-- this file's name for it is filled in there.

local sha = "@SHA@"
local subject = ngx.var.arg_k or ""
local sock = ngx.socket.tcp()

local function bulk(s)
    return "$" .. #s .. "\r\n" .. s .. "\r\n"
end

sock:settimeout(1000)

if not sock:connect("unix:" .. ngx.config.prefix() .. "redis.sock") then
    return ngx.exit(503)
end

sock:send("*6\r\n" .. bulk("EVALSHA") .. bulk(sha) .. bulk("3")
          .. bulk("m:{" .. subject .. "}") .. bulk("h:{" .. subject .. "}")
          .. bulk("d:{" .. subject .. "}"))

local left = tonumber(string.match(sock:receive() or "", "^:(-?%d+)$"))

if not left then
    return ngx.exit(503)
end

sock:setkeepalive(10000, 100)

ngx.header["X-RateLimit-Remaining"] = left

if left < 0 then
    return ngx.exit(429)
end
