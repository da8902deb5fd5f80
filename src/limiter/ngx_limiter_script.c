
/*
 * Copyright (C) The Optcache authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_sha1.h>

#include "ngx_limiter_script.h"


static u_char  ngx_limiter_script_text[] =
    "local t = redis.call('TIME')\n"
    "local now = t[1] * 1000 + (t[2] - t[2] % 1000) / 1000\n"
    "local out, zones, a, o = {1}, {}, 1, 2\n"
    "\n"
    "for z = 1, #KEYS do\n"
    "  local n, cost = tonumber(ARGV[a]), tonumber(ARGV[a + 1])\n"
    "  local zone = {n = n, cost = cost, room = true, at = o, ttl = 0}\n"
    "  local soft = ARGV[a + 2] == '1'\n"
    "  local old, v = {}, redis.call('GET', KEYS[z])\n"
    "\n"
    "  if v and #v <= 129 and #v % 16 == 1 and string.byte(v) == 1 then\n"
    "    local f = '>' .. string.rep('I4I6I6', (#v - 1) / 16)\n"
    "    old = {struct.unpack(f, v, 2)}\n"
    "  end\n"
    "\n"
    "  a = a + 3\n"
    "\n"
    "  for i = 1, n do\n"
    "    local limit, period = tonumber(ARGV[a]), tonumber(ARGV[a + 1])\n"
    "    local fin, used = now + period, 0\n"
    "    a = a + 2\n"
    "\n"
    "    for k = 1, #old - 3, 3 do\n"
    "      if old[k] == period and old[k + 1] > now then\n"
    "        used, fin = old[k + 2], math.min(fin, old[k + 1])\n"
    "        break\n"
    "      end\n"
    "    end\n"
    "\n"
    "    if used + cost > limit then\n"
    "      zone.room = false\n"
    "    end\n"
    "\n"
    "    zone[#zone + 1] = period\n"
    "    zone[#zone + 1] = fin\n"
    "    zone[#zone + 1] = used + cost\n"
    "    zone.ttl = math.max(zone.ttl, fin - now)\n"
    "\n"
    "    out[o + i * 2 - 1] = used\n"
    "    out[o + i * 2] = fin - now\n"
    "  end\n"
    "\n"
    "  out[o] = zone.room and 1 or 0\n"
    "  o = o + 1 + n * 2\n"
    "  zones[z] = zone\n"
    "\n"
    "  if not zone.room and not soft then\n"
    "    out[1] = 0\n"
    "  end\n"
    "end\n"
    "\n"
    "if out[1] == 0 then\n"
    "  return out\n"
    "end\n"
    "\n"
    "for z = 1, #KEYS do\n"
    "  local zone = zones[z]\n"
    "\n"
    "  if zone.room then\n"
    "    local f = '>' .. string.rep('I4I6I6', zone.n)\n"
    "    redis.call('SET', KEYS[z],\n"
    "               '\\1' .. struct.pack(f, unpack(zone)), 'PX', zone.ttl)\n"
    "\n"
    "    for i = 1, zone.n do\n"
    "      local k = zone.at + i * 2 - 1\n"
    "      out[k] = out[k] + zone.cost\n"
    "    end\n"
    "  end\n"
    "end\n"
    "\n"
    "return out\n";


static ngx_int_t ngx_limiter_script_number(ngx_str_t *arg, uint64_t n,
    ngx_pool_t *pool);
static ngx_int_t ngx_limiter_script_key(ngx_str_t *arg,
    ngx_limiter_item_t *item, ngx_str_t *prefix, ngx_pool_t *pool);
static ngx_int_t ngx_limiter_script_integers(redisReply *reply, size_t n);
static ngx_int_t ngx_limiter_script_verdict(redisReply *reply,
    ngx_limiter_item_t **items, ngx_uint_t n);


void
ngx_limiter_script_init(ngx_limiter_script_t *script)
{
    u_char      digest[20];
    ngx_sha1_t  sha1;

    script->text.data = ngx_limiter_script_text;
    script->text.len = sizeof(ngx_limiter_script_text) - 1;

    ngx_sha1_init(&sha1);
    ngx_sha1_update(&sha1, script->text.data, script->text.len);
    ngx_sha1_final(digest, &sha1);

    ngx_hex_dump(script->hex, digest, sizeof(digest));

    script->sha1.data = script->hex;
    script->sha1.len = NGX_LIMITER_SCRIPT_SHA1;
}


ngx_uint_t
ngx_limiter_script_args(ngx_limiter_script_t *script,
    ngx_limiter_item_t **items, ngx_uint_t n, ngx_str_t *prefix,
    ngx_uint_t eval, ngx_str_t *argv, ngx_pool_t *pool)
{
    ngx_str_t           *arg;
    ngx_uint_t           i, k;
    ngx_limiter_zone_t  *zone;

    arg = argv;

    if (eval) {
        ngx_str_set(&arg[0], "EVAL");
        arg[1] = script->text;

    } else {
        ngx_str_set(&arg[0], "EVALSHA");
        arg[1] = script->sha1;
    }

    if (ngx_limiter_script_number(&arg[2], n, pool) != NGX_OK) {
        return 0;
    }

    arg += 3;

    for (i = 0; i < n; i++) {
        if (ngx_limiter_script_key(arg++, items[i], prefix, pool) != NGX_OK) {
            return 0;
        }
    }

    for (i = 0; i < n; i++) {
        zone = items[i]->zone;

        if (ngx_limiter_script_number(arg++, zone->nrates, pool) != NGX_OK
            || ngx_limiter_script_number(arg++, items[i]->cost, pool)
               != NGX_OK
            || ngx_limiter_script_number(arg++, items[i]->soft, pool)
               != NGX_OK)
        {
            return 0;
        }

        for (k = 0; k < zone->nrates * 2; k++) {
            *arg++ = zone->args[k];
        }
    }

    return arg - argv;
}


static ngx_int_t
ngx_limiter_script_number(ngx_str_t *arg, uint64_t n, ngx_pool_t *pool)
{
    static u_char  digits[] = "0123456789";

    if (n < 10) {
        arg->data = &digits[n];
        arg->len = 1;
        return NGX_OK;
    }

    arg->data = ngx_pnalloc(pool, NGX_INT64_LEN);
    if (arg->data == NULL) {
        return NGX_ERROR;
    }

    arg->len = ngx_sprintf(arg->data, "%uL", n) - arg->data;

    return NGX_OK;
}


static ngx_int_t
ngx_limiter_script_key(ngx_str_t *arg, ngx_limiter_item_t *item,
    ngx_str_t *prefix, ngx_pool_t *pool)
{
    u_char     *p;
    ngx_str_t  *name, *subject;

    name = &item->zone->name;
    subject = &item->subject.text;

    p = ngx_pnalloc(pool, prefix->len + name->len + 1 + subject->len);
    if (p == NULL) {
        return NGX_ERROR;
    }

    arg->data = p;

    p = ngx_cpymem(p, prefix->data, prefix->len);
    p = ngx_cpymem(p, name->data, name->len);
    *p++ = ':';
    p = ngx_cpymem(p, subject->data, subject->len);

    arg->len = p - arg->data;

    return NGX_OK;
}


ngx_int_t
ngx_limiter_script_reply(redisReply *reply, ngx_limiter_item_t **items,
    ngx_uint_t n, uint64_t now)
{
    size_t                 len;
    ngx_uint_t             i, k;
    redisReply           **e;
    ngx_limiter_window_t  *w;

    len = 1;

    for (i = 0; i < n; i++) {
        len += 1 + items[i]->zone->nrates * 2;
    }

    if (ngx_limiter_script_integers(reply, len) != NGX_OK
        || ngx_limiter_script_verdict(reply, items, n) != NGX_OK)
    {
        return NGX_ERROR;
    }

    e = reply->element + 1;

    for (i = 0; i < n; i++) {

        items[i]->verdict = (*e)->integer ? NGX_LIMITER_PASSED
                                          : NGX_LIMITER_REJECTED;
        items[i]->local = 0;

        e++;

        for (k = 0; k < items[i]->zone->nrates; k++) {
            w = &items[i]->windows[k];

            w->period = items[i]->zone->rates[k].period;
            w->used = (*e++)->integer;
            w->end = now + ngx_min((uint64_t) (*e)->integer, w->period);

            e++;
        }
    }

    return reply->element[0]->integer ? NGX_OK : NGX_BUSY;
}


/* what a window can hold: 48 bits, and not negative */

static ngx_int_t
ngx_limiter_script_integers(redisReply *reply, size_t n)
{
    size_t       i;
    redisReply  *e;

    if (reply->type != REDIS_REPLY_ARRAY || reply->elements != n) {
        return NGX_ERROR;
    }

    for (i = 0; i < n; i++) {
        e = reply->element[i];

        if (e->type != REDIS_REPLY_INTEGER
            || e->integer < 0
            || e->integer >= 1LL << 47)
        {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


/* all were counted if, and only if, each that is not soft had room */

static ngx_int_t
ngx_limiter_script_verdict(redisReply *reply, ngx_limiter_item_t **items,
    ngx_uint_t n)
{
    size_t      at;
    long long   counted;
    ngx_uint_t  i;

    at = 1;
    counted = 1;

    for (i = 0; i < n; i++) {

        if (!items[i]->soft && reply->element[at]->integer == 0) {
            counted = 0;
        }

        at += 1 + items[i]->zone->nrates * 2;
    }

    return (reply->element[0]->integer == counted) ? NGX_OK : NGX_ERROR;
}
