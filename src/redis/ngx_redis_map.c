
/*
 * Copyright (C) The Optcache authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_redis_map.h"


static ngx_int_t ngx_redis_map_range(redisReply *reply,
    ngx_redis_range_t *range);
static ngx_int_t ngx_redis_map_endpoint(redisReply *reply,
    ngx_redis_endpoint_t *e);
static ngx_int_t ngx_redis_map_metadata(redisReply *reply,
    ngx_redis_endpoint_t *e);
static ngx_int_t ngx_redis_map_claim(u_char *taken, ngx_redis_range_t *range);


ngx_int_t
ngx_redis_redirect_parse(redisReply *reply, ngx_redis_redirect_t *redirect)
{
    u_char                *p, *last, *colon;
    ngx_int_t              n;
    ngx_redis_endpoint_t  *e;

    ngx_memzero(redirect, sizeof(ngx_redis_redirect_t));

    if (ngx_redis_reply_error(reply, "MOVED")) {
        redirect->type = NGX_REDIS_REDIRECT_MOVED;

    } else if (ngx_redis_reply_error(reply, "ASK")) {
        redirect->type = NGX_REDIS_REDIRECT_ASK;

    } else {
        return NGX_DECLINED;
    }

    e = &redirect->endpoint;

    p = (u_char *) reply->str;
    last = p + reply->len;

    /* the code is the first word, unless a script wraps another error */

    p = ngx_strlchr(p, last, ' ');
    if (p == NULL) {
        return NGX_ERROR;
    }

    e->host.data = ++p;

    p = ngx_strlchr(p, last, ' ');
    if (p == NULL) {
        return NGX_ERROR;
    }

    n = ngx_atoi(e->host.data, p - e->host.data);
    if (n == NGX_ERROR || n >= NGX_REDIS_SLOTS) {
        return NGX_ERROR;
    }

    redirect->slot = n;

    /* the last colon: an IPv6 address is without brackets */

    e->host.data = ++p;
    colon = NULL;

    for ( /* void */ ; p < last; p++) {
        if (*p == ':') {
            colon = p;
        }
    }

    if (colon == NULL) {
        return NGX_ERROR;
    }

    e->host.len = colon - e->host.data;

    n = ngx_atoi(colon + 1, last - (colon + 1));
    if (n == NGX_ERROR || n < 1 || n > 65535) {
        return NGX_ERROR;
    }

    e->port = (in_port_t) n;

    return ngx_redis_map_host(&e->host);
}


ngx_int_t
ngx_redis_map_parse(redisReply *reply, ngx_array_t *ranges, const char **err)
{
    size_t              i;
    u_char              taken[NGX_REDIS_SLOTS / 8];
    ngx_redis_range_t  *range;

    *err = NULL;

    if (ngx_redis_reply_array_min(reply, 0) != NGX_OK) {
        *err = "no array";
        return NGX_ERROR;
    }

    ngx_memzero(taken, sizeof(taken));

    for (i = 0; i < reply->elements; i++) {

        range = ngx_array_push(ranges);
        if (range == NULL) {
            return NGX_ERROR;
        }

        if (ngx_redis_map_range(reply->element[i], range) != NGX_OK) {
            *err = "invalid range";
            return NGX_ERROR;
        }

        if (ngx_redis_map_endpoint(reply->element[i]->element[2],
                                   &range->endpoint)
            != NGX_OK)
        {
            *err = "invalid address";
            return NGX_ERROR;
        }

        if (ngx_redis_map_claim(taken, range) != NGX_OK) {
            *err = "ranges that overlap";
            return NGX_ERROR;
        }
    }

    return i ? NGX_OK : NGX_DECLINED;
}


/* first slot, last slot, master, replicas */

static ngx_int_t
ngx_redis_map_range(redisReply *reply, ngx_redis_range_t *range)
{
    int64_t  first, last;

    if (ngx_redis_reply_array_min(reply, 3) != NGX_OK
        || ngx_redis_reply_integer(reply->element[0], &first) != NGX_OK
        || ngx_redis_reply_integer(reply->element[1], &last) != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (first < 0 || first > last || last >= NGX_REDIS_SLOTS) {
        return NGX_ERROR;
    }

    range->first = (ngx_uint_t) first;
    range->last = (ngx_uint_t) last;

    return NGX_OK;
}


/* host, port; Redis 4: ID; Redis 7: metadata */

static ngx_int_t
ngx_redis_map_endpoint(redisReply *reply, ngx_redis_endpoint_t *e)
{
    int64_t  port;

    ngx_memzero(e, sizeof(ngx_redis_endpoint_t));

    if (ngx_redis_reply_array_min(reply, 2) != NGX_OK
        || ngx_redis_reply_integer(reply->element[1], &port) != NGX_OK
        || port < 1 || port > 65535)
    {
        return NGX_ERROR;
    }

    e->port = (in_port_t) port;

    if (!ngx_redis_reply_nil(reply->element[0])
        && (ngx_redis_reply_string(reply->element[0], &e->host) != NGX_OK
            || ngx_redis_map_host(&e->host) != NGX_OK))
    {
        return NGX_ERROR;
    }

    if (reply->elements > 3) {
        return ngx_redis_map_metadata(reply->element[3], e);
    }

    return NGX_OK;
}


/* names and values of what is not the preferred endpoint: "ip", "hostname" */

static ngx_int_t
ngx_redis_map_metadata(redisReply *reply, ngx_redis_endpoint_t *e)
{
    size_t     i;
    ngx_str_t  key, value;

    if (ngx_redis_reply_array_min(reply, 0) != NGX_OK) {
        return NGX_ERROR;
    }

    for (i = 0; i + 1 < reply->elements; i += 2) {

        if (ngx_redis_reply_string(reply->element[i], &key) != NGX_OK
            || ngx_redis_reply_string(reply->element[i + 1], &value)
               != NGX_OK)
        {
            return NGX_ERROR;
        }

        if (key.len == 2 && ngx_strncmp(key.data, "ip", 2) == 0) {

            if (ngx_redis_map_host(&value) != NGX_OK) {
                return NGX_ERROR;
            }

            if (ngx_redis_map_address(&value)) {

                if (!ngx_redis_map_address(&e->host)) {
                    e->name = e->host;
                }

                e->host = value;
            }

        } else if (key.len == 8 && ngx_strncmp(key.data, "hostname", 8) == 0) {

            if (ngx_redis_map_host(&value) != NGX_OK) {
                return NGX_ERROR;
            }

            e->name = value;
        }
    }

    return NGX_OK;
}


/* "?" is what Redis calls a name that it was not told */

ngx_int_t
ngx_redis_map_host(ngx_str_t *host)
{
    u_char  ch;
    size_t  i;

    if (host->len > NGX_REDIS_MAP_MAX_HOST) {
        return NGX_ERROR;
    }

    if (host->len == 1 && host->data[0] == '?') {
        host->len = 0;
    }

    for (i = 0; i < host->len; i++) {
        ch = host->data[i];

        if ((ch >= '0' && ch <= '9')
            || (ch >= 'a' && ch <= 'z')
            || (ch >= 'A' && ch <= 'Z')
            || ch == '.' || ch == '-' || ch == '_')
        {
            continue;
        }

        if (ch == ':' && ngx_redis_map_address(host)) {
            break;
        }

        return NGX_ERROR;
    }

    return NGX_OK;
}


ngx_uint_t
ngx_redis_map_address(ngx_str_t *host)
{
#if (NGX_HAVE_INET6)
    struct in6_addr  in6;
#endif

    if (ngx_inet_addr(host->data, host->len) != INADDR_NONE) {
        return 1;
    }

#if (NGX_HAVE_INET6)
    if (ngx_inet6_addr(host->data, host->len, in6.s6_addr) == NGX_OK) {
        return 1;
    }
#endif

    return 0;
}


static ngx_int_t
ngx_redis_map_claim(u_char *taken, ngx_redis_range_t *range)
{
    u_char      bit;
    ngx_uint_t  i;

    for (i = range->first; i <= range->last; i++) {
        bit = (u_char) (1 << i % 8);

        if (taken[i / 8] & bit) {
            return NGX_ERROR;
        }

        taken[i / 8] |= bit;
    }

    return NGX_OK;
}


ngx_uint_t
ngx_redis_map_unserved(redisReply *reply)
{
    static char  text[] = "CLUSTERDOWN Hash slot ";

    return reply->type == REDIS_REPLY_ERROR
           && reply->len >= sizeof(text) - 1
           && ngx_memcmp(reply->str, text, sizeof(text) - 1) == 0;
}
