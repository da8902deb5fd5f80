
/*
 * Copyright (C) The Optcache authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "ngx_optcache_mark.h"


static uint32_t ngx_optcache_mark_short(ngx_str_t *text);
static uint64_t ngx_optcache_mark_make(ngx_optcache_mark_e kind,
    ngx_uint_t soft, uint64_t a, uint64_t b, uint64_t c);


uint32_t
ngx_optcache_mark_host(ngx_str_t *host)
{
    return ngx_optcache_mark_short(host);
}


uint32_t
ngx_optcache_mark_uri(ngx_str_t *uri)
{
    return ngx_optcache_mark_short(uri);
}


static uint32_t
ngx_optcache_mark_short(ngx_str_t *text)
{
    uint32_t  hash;

    hash = (uint32_t) XXH3_64bits(text->data, text->len);

    return hash ? hash : 1;
}


uint64_t
ngx_optcache_mark_tag(ngx_str_t *tag)
{
    uint64_t  hash;

    hash = XXH3_64bits(tag->data, tag->len);

    return hash ? hash : 1;
}


uint64_t
ngx_optcache_mark_user(const u_char *digest)
{
    uint64_t    user;
    ngx_uint_t  i;

    user = 0;

    for (i = 0; i < 8; i++) {
        user = user << 8 | digest[i];
    }

    return user ? user : 1;
}


uint64_t
ngx_optcache_mark_all(ngx_uint_t soft)
{
    return ngx_optcache_mark_make(NGX_OPTCACHE_MARK_ALL, soft, 0, 0, 0);
}


uint64_t
ngx_optcache_mark_of_host(uint32_t host, ngx_uint_t soft)
{
    return ngx_optcache_mark_make(NGX_OPTCACHE_MARK_HOST, soft, host, 0, 0);
}


uint64_t
ngx_optcache_mark_of_user(uint64_t user, ngx_uint_t soft)
{
    return ngx_optcache_mark_make(NGX_OPTCACHE_MARK_USER, soft, 0, 0, user);
}


uint64_t
ngx_optcache_mark_of_uri(uint32_t uri, uint32_t host, uint64_t user,
    ngx_uint_t soft)
{
    ngx_optcache_mark_e  kind;

    if (host) {
        kind = user ? NGX_OPTCACHE_MARK_URI_HOST_USER
                    : NGX_OPTCACHE_MARK_URI_HOST;
    } else {
        kind = user ? NGX_OPTCACHE_MARK_URI_USER : NGX_OPTCACHE_MARK_URI;
    }

    return ngx_optcache_mark_make(kind, soft, host, uri, user);
}


uint64_t
ngx_optcache_mark_of_tag(uint64_t tag, uint32_t host, ngx_uint_t soft)
{
    return ngx_optcache_mark_make(host ? NGX_OPTCACHE_MARK_TAG_HOST
                                       : NGX_OPTCACHE_MARK_TAG,
                                  soft, host, tag, 0);
}


uint64_t
ngx_optcache_mark_of_prefix(ngx_str_t *prefix, uint32_t host, ngx_uint_t soft)
{
    return ngx_optcache_mark_make(host ? NGX_OPTCACHE_MARK_PREFIX_HOST
                                       : NGX_OPTCACHE_MARK_PREFIX,
                                  soft, host,
                                  XXH3_64bits(prefix->data, prefix->len),
                                  prefix->len);
}


/* Numbers are hashed as bytes of little-endian order: all hosts agree. */

static uint64_t
ngx_optcache_mark_make(ngx_optcache_mark_e kind, ngx_uint_t soft, uint64_t a,
    uint64_t b, uint64_t c)
{
    u_char      buf[3 * 8];
    uint64_t    top;
    ngx_uint_t  i;

    top = (uint64_t) (kind | (soft ? NGX_OPTCACHE_MARK_SOFT : 0)) << 56;

    if (kind == NGX_OPTCACHE_MARK_ALL) {
        return top;
    }

    for (i = 0; i < 8; i++) {
        buf[i] = (u_char) (a >> 8 * i);
        buf[8 + i] = (u_char) (b >> 8 * i);
        buf[16 + i] = (u_char) (c >> 8 * i);
    }

    return top | XXH3_64bits_withSeed(buf, sizeof(buf), kind) >> 8;
}


ngx_int_t
ngx_optcache_mark_read(uint64_t mark, uint32_t prefix,
    ngx_optcache_event_t *event)
{
    ngx_uint_t  kind;

    kind = ngx_optcache_mark_kind(mark);

    if (kind == 0 || kind >= NGX_OPTCACHE_MARK_KINDS) {
        return NGX_DECLINED;
    }

    if (kind == NGX_OPTCACHE_MARK_ALL
        && mark != ngx_optcache_mark_all(ngx_optcache_mark_soft(mark)))
    {
        return NGX_DECLINED;
    }

    if (kind == NGX_OPTCACHE_MARK_PREFIX
        || kind == NGX_OPTCACHE_MARK_PREFIX_HOST)
    {
        if (prefix == 0 || prefix > NGX_OPTCACHE_MARK_PREFIX_MAX) {
            return NGX_DECLINED;
        }

    } else if (prefix) {
        return NGX_DECLINED;
    }

    event->mark = mark;
    event->prefix = prefix;
    event->soft = ngx_optcache_mark_soft(mark);

    return NGX_OK;
}


ngx_int_t
ngx_optcache_mark_event(ngx_optcache_target_t *target,
    ngx_optcache_event_t *event)
{
    uint32_t    host;
    uint64_t    mark;
    ngx_uint_t  soft;

    soft = target->soft;
    host = target->host.len ? ngx_optcache_mark_host(&target->host) : 0;

    if (!!target->all + !!target->uri.len + !!target->tag.len
        + !!target->prefix.len
        > 1)
    {
        return NGX_DECLINED;
    }

    if (target->user && (target->all || target->tag.len || target->prefix.len))
    {
        return NGX_DECLINED;
    }

    if (target->all) {

        if (host) {
            return NGX_DECLINED;
        }

        mark = ngx_optcache_mark_all(soft);

    } else if (target->uri.len) {
        mark = ngx_optcache_mark_of_uri(ngx_optcache_mark_uri(&target->uri),
                                        host, target->user, soft);

    } else if (target->tag.len) {
        mark = ngx_optcache_mark_of_tag(ngx_optcache_mark_tag(&target->tag),
                                        host, soft);

    } else if (target->prefix.len) {

        if (target->prefix.len > NGX_OPTCACHE_MARK_PREFIX_MAX) {
            return NGX_DECLINED;
        }

        mark = ngx_optcache_mark_of_prefix(&target->prefix, host, soft);

    } else if (target->user) {

        if (host) {
            return NGX_DECLINED;
        }

        mark = ngx_optcache_mark_of_user(target->user, soft);

    } else if (host) {
        mark = ngx_optcache_mark_of_host(host, soft);

    } else {
        return NGX_DECLINED;
    }

    event->mark = mark;
    event->prefix = (uint32_t) target->prefix.len;
    event->soft = soft;

    return NGX_OK;
}
