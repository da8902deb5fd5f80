
/*
 * Copyright (C) The Optcache authors
 */


/*
 * The texts of the scripts.  In those for one zone a line with a "$" stands
 * for as many lines as there are rates, with their numbers in its place; in a
 * line with "@" what stands between two of them is repeated instead.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_sha1.h>

#include "ngx_limiter_script.h"


static u_char  ngx_limiter_lua_general[] =
    "local call, unpack_, pack_ = redis.call, struct.unpack, struct.pack\n"
    "local t = call('TIME')\n"
    "local now = t[1] * 1000 + (t[2] - t[2] % 1000) / 1000\n"
    "local MAX, EXACT = 281474976710655, 4503599627370496\n"
    "local counted, zones = 1, {}\n"
    "\n"
    "local function clamp(n, period, alg)\n"
    "  local max = MAX\n"
    "  if alg == 2 then max = math.floor(EXACT / period) end\n"
    "  return math.min(math.max(n, 0), max)\n"
    "end\n"
    "\n"
    "local function units(n, period, alg)\n"
    "  if alg ~= 3 then return n end\n"
    "  if n * period > MAX then return MAX end\n"
    "  return n * period\n"
    "end\n"
    "\n"
    "local function open(r, alg, limit)\n"
    "  local period = r.period\n"
    "  if alg == 3 then\n"
    "    local gone = now - r.time\n"
    "    r.time = now\n"
    "    if gone < 0 then return r.used > 0 end\n"
    "    if limit > 0 and gone > MAX / limit then\n"
    "      r.used = 0\n"
    "    else\n"
    "      r.used = math.max(r.used - gone * limit, 0)\n"
    "    end\n"
    "    return false\n"
    "  end\n"
    "  if r.time > now + period then\n"
    "    r.time = now + period\n"
    "    return true\n"
    "  end\n"
    "  if r.time > now then return false end\n"
    "  if alg == 2 and now - r.time < period then\n"
    "    r.time, r.prev = r.time + period, r.used\n"
    "  else\n"
    "    r.time, r.prev = now + period, 0\n"
    "  end\n"
    "  r.used = 0\n"
    "  return false\n"
    "end\n"
    "\n"
    "local function carry(r, alg, had, left, used, prev, own, own_prev, back)\n"
    "  local period = r.period\n"
    "  if left == 0 then return end\n"
    "  if alg == 3 then\n"
    "    r.used = clamp(clamp(math.max(r.used, used) + own, period, alg)\n"
    "                   - back, period, alg)\n"
    "    return\n"
    "  end\n"
    "  local fin = now + math.min(left, period)\n"
    "  if not had then\n"
    "    r.time, r.used, r.prev = fin, used, prev + own_prev\n"
    "  elseif alg == 1 then\n"
    "    if used > 0 then r.time = math.min(r.time, fin) end\n"
    "    r.used = math.max(r.used, used)\n"
    "  elseif math.abs(r.time - fin) < 1000 then\n"
    "    r.used = math.max(r.used, used)\n"
    "    r.prev = math.max(r.prev, prev) + own_prev\n"
    "  else\n"
    "    own = own + own_prev\n"
    "  end\n"
    "  r.used = clamp(clamp(r.used + own, period, alg) - back, period, alg)\n"
    "  r.prev = clamp(r.prev, period, alg)\n"
    "end\n"
    "\n"
    "local function back(r, alg, limit, sub, kept, at)\n"
    "  local period = r.period\n"
    "  if alg == 3 then\n"
    "    local left = units(sub + kept, period, alg)\n"
    "                 - math.max(now - at, 0) * limit\n"
    "    sub = math.min(units(sub, period, alg), math.max(left, 0))\n"
    "  end\n"
    "  if alg == 3 or at >= r.time - period then\n"
    "    r.used = clamp(r.used - sub, period, alg)\n"
    "  elseif at >= r.time - 2 * period then\n"
    "    r.prev = clamp(r.prev - sub, period, alg)\n"
    "  end\n"
    "end\n"
    "\n"
    "local function room(r, alg, limit, burst)\n"
    "  local period = r.period\n"
    "  if alg == 1 then return math.max(limit - r.used, 0) end\n"
    "  local all = limit * period\n"
    "  if alg == 2 then\n"
    "    all = all - r.used * period - r.prev * (r.time - now)\n"
    "  elseif limit == 0 then\n"
    "    return 0\n"
    "  else\n"
    "    all = (burst + 1) * period - r.used\n"
    "  end\n"
    "  if all < 0 then return 0 end\n"
    "  return (all - all % period) / period\n"
    "end\n"
    "\n"
    "for z = 1, #KEYS do\n"
    "  local arg, v = ARGV[z], call('GET', KEYS[z])\n"
    "  local alg, flags, n, burst, need, take, want, add, sub =\n"
    "    unpack_('>BBBI6I6I6I6I6I6', arg)\n"
    "  local width, old, records = alg == 2 and 22 or 16, {}, {}\n"
    "  local carries = flags % 4 >= 2\n"
    "  local zone = {alg = alg, soft = flags % 2 == 1, peek = flags >= 4,\n"
    "                room = MAX, need = need, take = take, want = want,\n"
    "                records = records, value = '', limits = {},\n"
    "                write = carries or add > 0 or v and sub > 0}\n"
    "\n"
    "  local kept, at, age\n"
    "  if sub > 0 then\n"
    "    kept, at, age = unpack_('>I6I6I6', arg,\n"
    "                            40 + (carries and 46 or 10) * n)\n"
    "    if at == 0 then at = now - age end\n"
    "  end\n"
    "\n"
    "  if v and (#v - 1) % width == 0 and #v <= 8 * width + 1\n"
    "     and string.byte(v) == alg\n"
    "  then\n"
    "    zone.value = v\n"
    "    for at = 2, #v, width do\n"
    "      local r = {prev = 0}\n"
    "      r.period, r.time, r.used = unpack_('>I4I6I6', v, at)\n"
    "      if alg == 2 then r.prev = unpack_('>I6', v, at + 16) end\n"
    "      old[#old + 1] = r\n"
    "    end\n"
    "  end\n"
    "\n"
    "  for i = 1, n do\n"
    "    local period, limit = unpack_('>I4I6', arg, 30 + 10 * i)\n"
    "    local r = {period = period, time = 0, used = 0, prev = 0}\n"
    "    local had = false\n"
    "\n"
    "    for k = 1, #old do\n"
    "      if old[k].period == period then\n"
    "        r = old[k]\n"
    "        had = alg == 3 or r.time > now\n"
    "              or alg == 2 and r.time + period > now\n"
    "        table.remove(old, k)\n"
    "        break\n"
    "      end\n"
    "    end\n"
    "\n"
    "    if open(r, alg, limit) then zone.write = true end\n"
    "\n"
    "    if carries then\n"
    "      carry(r, alg, had, unpack_('>I6I6I6I6I6I6', arg,\n"
    "                                 4 + 10 * n + 36 * i))\n"
    "    end\n"
    "\n"
    "    if add > 0 then\n"
    "      r.used = clamp(r.used + units(add, period, alg), period, alg)\n"
    "    end\n"
    "    if sub > 0 then back(r, alg, limit, sub, kept, at) end\n"
    "\n"
    "    zone.room = math.min(zone.room, room(r, alg, limit, burst))\n"
    "    zone.limits[i] = limit\n"
    "    records[i] = r\n"
    "  end\n"
    "\n"
    "  for k = 1, #old do\n"
    "    local fin = old[k].time\n"
    "    if alg ~= 1 then fin = fin + old[k].period end\n"
    "    if fin > now and #records < 8 then\n"
    "      records[#records + 1] = old[k]\n"
    "    end\n"
    "  end\n"
    "\n"
    "  zone.has = zone.room >= need\n"
    "  zones[z] = zone\n"
    "\n"
    "  if not zone.has and not zone.soft then counted = 0 end\n"
    "end\n"
    "\n"
    "local out = {pack_('>BI6', counted, now)}\n"
    "\n"
    "for z = 1, #KEYS do\n"
    "  local zone, granted, ttl = zones[z], 0, 1\n"
    "  local alg, value = zone.alg, {string.char(zone.alg)}\n"
    "\n"
    "  if counted == 1 and zone.has and not zone.peek then\n"
    "    granted = math.max(zone.take, math.min(zone.want, zone.room))\n"
    "  end\n"
    "\n"
    "  if granted > 0 or zone.write and not zone.peek then\n"
    "    for i = 1, #zone.records do\n"
    "      local r, left = zone.records[i], 0\n"
    "      local limit = zone.limits[i]\n"
    "\n"
    "      if limit then\n"
    "        r.used = clamp(r.used + units(granted, r.period, alg),\n"
    "                       r.period, alg)\n"
    "      end\n"
    "\n"
    "      if alg == 3 then\n"
    "        left = r.time + r.period - now\n"
    "        if limit and limit > 0 then left = math.ceil(r.used / limit) end\n"
    "      else\n"
    "        left = r.time - now\n"
    "        if alg == 2 then left = left + r.period end\n"
    "      end\n"
    "\n"
    "      ttl = math.max(ttl, left)\n"
    "      value[#value + 1] = pack_('>I4I6I6', r.period, r.time, r.used)\n"
    "      if alg == 2 then value[#value + 1] = pack_('>I6', r.prev) end\n"
    "    end\n"
    "\n"
    "    zone.value = table.concat(value)\n"
    "    call('SET', KEYS[z], zone.value, 'PX', string.format('%.0f', ttl))\n"
    "  end\n"
    "\n"
    "  out[#out + 1] = pack_('>BI6I2', zone.has and 1 or 0, granted,\n"
    "                        #zone.value) .. zone.value\n"
    "end\n"
    "\n"
    "return table.concat(out)\n";


/*
 * One zone's ordinary request: what it reads is what it wrote itself, or
 * nothing.  The key is written in place as long as its time to live is right,
 * which spares Redis the printing and parsing of a number.  The end of the
 * last window tells that; a level ends later with each request, so that its
 * key is given some seconds more than it needs.
 *
 * A quotient of two integers below 2^48 is never rounded to an integer that
 * it is not: comparing and rounding it up is exact.
 */

static u_char  ngx_limiter_lua_begin[] =
    "local c, a = redis.call, ARGV[1]\n"
    "local t, v = c('TIME'), c('GET', KEYS[1])\n"
    "local us = t[2] + 0\n"
    "local now = t[1] * 1000 + (us - us % 1000) / 1000\n"
    "local soft, burst, need, take, want, _, _@, p$, l$@ =\n"
    "  struct.unpack('>xBxI6I6I6I6I6I6@I4I6@', a)\n"
    "local last, fin = 0, 0\n"
    "local _@, q$, e$, u$@\n"
    "\n";

static u_char  ngx_limiter_lua_fixed[] =
    "if v then\n"
    "  if #v ~= 1@ + 16@ then return 0 end\n"
    "  _@, q$, e$, u$@ = struct.unpack('>B@I4I6I6@', v)\n"
    "  if _ ~= 1@ or q$ ~= p$ or e$ > now + p$@ then return 0 end\n"
    "  if e$ > last then last = e$ end\n"
    "  if e$ <= now then e$, u$ = now + p$, 0 end\n"
    "else\n"
    "  v = ''\n"
    "  e$, u$ = now + p$, 0\n"
    "end\n"
    "\n"
    "local room = l1 - u1\n"
    "if l$ - u$ < room then room = l$ - u$ end\n"
    "if room < 0 then room = 0 end\n"
    "if room < need then\n"
    "  return struct.pack('>BI6BI6I2', soft, now, 0, 0, #v) .. v\n"
    "end\n"
    "if want > room then want = room end\n"
    "if want < take then want = take end\n"
    "if want > 0 then\n"
    "  if e$ > fin then fin = e$ end\n"
    "  v = struct.pack('>B@I4I6I6@', 1@, p$, e$, u$ + want@)\n";

static u_char  ngx_limiter_lua_sliding[] =
    "local o1@, o$@\n"
    "if v then\n"
    "  if #v ~= 1@ + 22@ then return 0 end\n"
    "  _@, q$, e$, u$, o$@ = struct.unpack('>B@I4I6I6I6@', v)\n"
    "  if _ ~= 2@ or q$ ~= p$ or e$ > now + p$@ then return 0 end\n"
    "  if e$ + p$ > last then last = e$ + p$ end\n"
    "  if e$ <= now then if now - e$ < p$ then e$, o$ = e$ + p$, u$ else"
         " e$, o$ = now + p$, 0 end u$ = 0 end\n"
    "else\n"
    "  v = ''\n"
    "  e$, u$, o$ = now + p$, 0, 0\n"
    "end\n"
    "\n"
    "local room, r = l1\n"
    "r = l$ * p$ - u$ * p$ - o$ * (e$ - now); r = (r - r % p$) / p$;"
      " if r < room then room = r end\n"
    "if room < 0 then room = 0 end\n"
    "if room < need then\n"
    "  return struct.pack('>BI6BI6I2', soft, now, 0, 0, #v) .. v\n"
    "end\n"
    "if want > room then want = room end\n"
    "if want < take then want = take end\n"
    "if want > 0 then\n"
    "  if e$ + p$ > fin then fin = e$ + p$ end\n"
    "  v = struct.pack('>B@I4I6I6I6@', 2@, p$, e$, u$ + want, o$@)\n";

static u_char  ngx_limiter_lua_gcra[] =
    "local r\n"
    "if v then\n"
    "  if #v ~= 1@ + 16@ then return 0 end\n"
    "  _@, q$, e$, u$@ = struct.unpack('>B@I4I6I6@', v)\n"
    "  if _ ~= 3@ or q$ ~= p$ or e$ > now@ then return 0 end\n"
    "  r = now - e$;"
      " if r >= u$ / l$ then u$ = 0 else u$ = u$ - r * l$ end\n"
    "  last = now + c('PTTL', KEYS[1])\n"
    "else\n"
    "  v = ''\n"
    "  u$ = 0\n"
    "end\n"
    "\n"
    "local room = burst + 1\n"
    "r = (burst + 1) * p$ - u$; r = (r - r % p$) / p$;"
      " if r < room then room = r end\n"
    "if room < 0 then room = 0 end\n"
    "if room < need then\n"
    "  return struct.pack('>BI6BI6I2', soft, now, 0, 0, #v) .. v\n"
    "end\n"
    "if want > room then want = room end\n"
    "if want < take then want = take end\n"
    "if want > 0 then\n"
    "  u$ = u$ + want * p$\n"
    "  r = math.ceil(u$ / l$); if r > fin then fin = r end\n"
    "  fin = fin + now\n"
    "  if fin > last then fin = fin + 10000 end\n"
    "  v = struct.pack('>B@I4I6I6@', 3@, p$, now, u$@)\n";

static u_char  ngx_limiter_lua_end[] =
    "  if fin <= last then\n"
    "    c('SETRANGE', KEYS[1], '0', v)\n"
    "  else\n"
    "    c('SET', KEYS[1], v, 'PX', fin - now)\n"
    "  end\n"
    "end\n"
    "return struct.pack('>BI6BI6I2', 1, now, 1, want, #v) .. v\n";


static u_char *ngx_limiter_lua_expand(u_char *p, u_char *text, size_t len,
    ngx_uint_t rates);
static u_char *ngx_limiter_lua_line(u_char *p, u_char *line, u_char *end,
    ngx_uint_t rates);
static u_char *ngx_limiter_lua_numbered(u_char *p, u_char *from, u_char *to,
    ngx_uint_t i);
static ngx_int_t ngx_limiter_lua_single(ngx_limiter_script_t *script,
    ngx_str_t *body, ngx_uint_t rates, ngx_pool_t *pool);
static void ngx_limiter_lua_name(ngx_limiter_script_t *script);


ngx_int_t
ngx_limiter_scripts_init(ngx_limiter_scripts_t *scripts, ngx_pool_t *pool)
{
    ngx_uint_t        i, k;

    static ngx_str_t  bodies[] = {
        ngx_string(ngx_limiter_lua_fixed),
        ngx_string(ngx_limiter_lua_sliding),
        ngx_string(ngx_limiter_lua_gcra)
    };

    scripts->general.text.data = ngx_limiter_lua_general;
    scripts->general.text.len = sizeof(ngx_limiter_lua_general) - 1;

    ngx_limiter_lua_name(&scripts->general);

    for (i = 0; i < 3; i++) {
        for (k = 0; k < NGX_LIMITER_MAX_RATES; k++) {
            if (ngx_limiter_lua_single(&scripts->single[i][k], &bodies[i],
                                       k + 1, pool)
                != NGX_OK)
            {
                return NGX_ERROR;
            }
        }
    }

    return NGX_OK;
}


static ngx_int_t
ngx_limiter_lua_single(ngx_limiter_script_t *script, ngx_str_t *body,
    ngx_uint_t rates, ngx_pool_t *pool)
{
    size_t   len;
    u_char  *p;

    len = sizeof(ngx_limiter_lua_begin) + body->len
          + sizeof(ngx_limiter_lua_end);

    p = ngx_pnalloc(pool, len * rates);
    if (p == NULL) {
        return NGX_ERROR;
    }

    script->text.data = p;

    p = ngx_limiter_lua_expand(p, ngx_limiter_lua_begin,
                               sizeof(ngx_limiter_lua_begin) - 1, rates);
    p = ngx_limiter_lua_expand(p, body->data, body->len, rates);
    p = ngx_limiter_lua_expand(p, ngx_limiter_lua_end,
                               sizeof(ngx_limiter_lua_end) - 1, rates);

    script->text.len = p - script->text.data;

    ngx_limiter_lua_name(script);

    return NGX_OK;
}


static u_char *
ngx_limiter_lua_expand(u_char *p, u_char *text, size_t len, ngx_uint_t rates)
{
    u_char      *last, *end;
    ngx_uint_t   i;

    last = text + len;

    for ( /* void */ ; text < last; text = end) {

        end = ngx_strlchr(text, last, LF) + 1;

        if (ngx_strlchr(text, end, '@')) {
            p = ngx_limiter_lua_line(p, text, end, rates);
            continue;
        }

        if (ngx_strlchr(text, end, '$') == NULL) {
            p = ngx_cpymem(p, text, end - text);
            continue;
        }

        for (i = 1; i <= rates; i++) {
            p = ngx_limiter_lua_numbered(p, text, end, i);
        }
    }

    return p;
}


static u_char *
ngx_limiter_lua_line(u_char *p, u_char *line, u_char *end, ngx_uint_t rates)
{
    u_char      *from, *to;
    ngx_uint_t   i;

    for ( ;; ) {

        from = ngx_strlchr(line, end, '@');

        if (from == NULL) {
            return ngx_cpymem(p, line, end - line);
        }

        to = ngx_strlchr(from + 1, end, '@');

        p = ngx_cpymem(p, line, from - line);

        for (i = 1; i <= rates; i++) {
            p = ngx_limiter_lua_numbered(p, from + 1, to, i);
        }

        line = to + 1;
    }
}


static u_char *
ngx_limiter_lua_numbered(u_char *p, u_char *from, u_char *to, ngx_uint_t i)
{
    for ( /* void */ ; from < to; from++) {
        *p++ = (*from == '$') ? (u_char) ('0' + i) : *from;
    }

    return p;
}


static void
ngx_limiter_lua_name(ngx_limiter_script_t *script)
{
    u_char      digest[20];
    ngx_sha1_t  sha1;

    ngx_sha1_init(&sha1);
    ngx_sha1_update(&sha1, script->text.data, script->text.len);
    ngx_sha1_final(digest, &sha1);

    ngx_hex_dump(script->hex, digest, sizeof(digest));

    script->sha1.data = script->hex;
    script->sha1.len = NGX_LIMITER_SCRIPT_SHA1;
}
