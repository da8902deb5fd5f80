
/*
 * Copyright (C) The Optcache authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_compat.h"
#include "ngx_http_optcache_count.h"
#include "ngx_http_optcache_invalidate.h"
#include "ngx_http_optcache_target.h"
#include "ngx_http_optcache_tell.h"
#include "ngx_text.h"


static ngx_int_t ngx_http_optcache_invalidate_all(ngx_http_request_t *r,
    ngx_http_optcache_ctx_t *ctx, ngx_list_t *headers);
static ngx_int_t ngx_http_optcache_invalidate_shared(ngx_http_request_t *r,
    ngx_http_optcache_ctx_t *ctx);
static ngx_int_t ngx_http_optcache_invalidate_uri(ngx_http_request_t *r,
    ngx_http_optcache_ctx_t *ctx, ngx_str_t *value);
static void ngx_http_optcache_invalidate_trim(ngx_str_t *value);
static ngx_int_t ngx_http_optcache_invalidate_target(ngx_http_request_t *r,
    ngx_str_t *value, ngx_str_t *target);
static ngx_uint_t ngx_http_optcache_invalidate_scheme(ngx_str_t *value);
static ngx_int_t ngx_http_optcache_invalidate_origin(ngx_http_request_t *r,
    ngx_str_t *value);
static void ngx_http_optcache_invalidate_port(ngx_str_t *host,
    ngx_str_t *port);
static void ngx_http_optcache_invalidate_dots(ngx_str_t *target);


ngx_int_t
ngx_http_optcache_invalidate(ngx_http_request_t *r,
    ngx_http_optcache_ctx_t *ctx)
{
    return ngx_http_optcache_invalidate_all(r, ctx, &r->headers_out.headers);
}


ngx_int_t
ngx_http_optcache_invalidate_left(ngx_http_request_t *r)
{
    ngx_int_t                 rc;
    ngx_http_upstream_t      *u;
    ngx_http_optcache_ctx_t  *ctx;

    if (ngx_http_get_module_ctx(r, ngx_http_optcache_module)) {
        return NGX_OK;
    }

    ctx = ngx_http_optcache_count_before(r);

    if (ctx == NULL || !ctx->invalidate || ctx->answered) {
        return NGX_OK;
    }

    /* an upstream that is asked later is asked for something else */

    ctx->invalidate = 0;

    u = r->upstream;

    if (u == NULL
        || u->headers_in.status_n < NGX_HTTP_OK
        || u->headers_in.status_n >= NGX_HTTP_BAD_REQUEST)
    {
        return NGX_OK;
    }

    /* keys are made of what it was */

    ngx_http_set_ctx(r, ctx, ngx_http_optcache_module);

    rc = ngx_http_optcache_invalidate_all(r, ctx, &u->headers_in.headers);

    ngx_http_set_ctx(r, NULL, ngx_http_optcache_module);

    return rc;
}


static ngx_int_t
ngx_http_optcache_invalidate_all(ngx_http_request_t *r,
    ngx_http_optcache_ctx_t *ctx, ngx_list_t *headers)
{
    ngx_uint_t        i;
    ngx_list_part_t  *part;
    ngx_table_elt_t  *h;

    if (ngx_http_optcache_tell_request(r, ctx) != NGX_OK
        || ngx_http_optcache_tell_groups(r) != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (ctx->base.len) {
        /* a key that is too long has none */

        ngx_http_optcache_remove(r, ctx);

        if (ngx_http_optcache_invalidate_shared(r, ctx) != NGX_OK) {
            return NGX_ERROR;
        }
    }

    for (part = &headers->part; part; part = part->next) {
        h = part->elts;

        for (i = 0; i < part->nelts; i++) {

            if (h[i].hash == 0
                || h[i].value.len == 0
                || !((h[i].key.len == sizeof("Location") - 1
                      && ngx_strncasecmp(h[i].key.data, (u_char *) "Location",
                                         sizeof("Location") - 1)
                         == 0)
                     || (h[i].key.len == sizeof("Content-Location") - 1
                         && ngx_strncasecmp(h[i].key.data,
                                            (u_char *) "Content-Location",
                                            sizeof("Content-Location") - 1)
                            == 0)))
            {
                continue;
            }

            if (ngx_http_optcache_invalidate_uri(r, ctx, &h[i].value)
                == NGX_ERROR)
            {
                return NGX_ERROR;
            }
        }
    }

    return NGX_OK;
}


/* What everybody gets may be what this user has changed. */

static ngx_int_t
ngx_http_optcache_invalidate_shared(ngx_http_request_t *r,
    ngx_http_optcache_ctx_t *ctx)
{
    size_t     skip;
    ngx_str_t  base;

    if (ctx->key.shared) {
        return NGX_OK;
    }

    skip = NGX_OPTCACHE_USER_LEN;
    base = ctx->base;

    ctx->base.len = base.len - skip;
    ctx->base.data = ngx_pnalloc(r->pool, ctx->base.len);

    if (ctx->base.data == NULL) {
        ctx->base = base;
        return NGX_ERROR;
    }

    ctx->base.data[0] = 's';
    ngx_memcpy(ctx->base.data + 1, base.data + 1 + skip, ctx->base.len - 1);

    ngx_http_optcache_remove(r, ctx);

    ctx->base = base;

    return NGX_OK;
}


static ngx_int_t
ngx_http_optcache_invalidate_uri(ngx_http_request_t *r,
    ngx_http_optcache_ctx_t *ctx, ngx_str_t *value)
{
    ngx_int_t           rc;
    ngx_str_t           base, target, uri;
    ngx_optcache_key_t  key;

    uri = *value;
    ngx_http_optcache_invalidate_trim(&uri);

    if (uri.len == 0) {
        return NGX_OK;
    }

    rc = ngx_http_optcache_invalidate_target(r, &uri, &target);

    if (rc != NGX_OK) {
        return rc;
    }

    ngx_log_debug1(NGX_LOG_DEBUG_HTTP, r->connection->log, 0,
                   "optcache invalidate \"%V\"", &target);

    if (target.len != ctx->path.len
        || ngx_memcmp(target.data, ctx->path.data, target.len) != 0)
    {
        ngx_http_optcache_tell_uri(r, ctx, &target);
    }

    rc = ngx_http_optcache_target_key(r, ctx->conf, &target, NULL, &key);

    if (rc != NGX_OK) {
        return rc;
    }

    base = ctx->base;
    ctx->base = key.identity;

    ngx_http_optcache_remove(r, ctx);

    rc = ngx_http_optcache_invalidate_shared(r, ctx);

    ctx->base = base;

    return rc;
}


/* Tabs, which nginx leaves in, are no part of a value (RFC 9110, 5.5). */

static void
ngx_http_optcache_invalidate_trim(ngx_str_t *value)
{
    while (value->len && (value->data[0] == ' ' || value->data[0] == '\t')) {
        value->data++;
        value->len--;
    }

    while (value->len && (value->data[value->len - 1] == ' '
                          || value->data[value->len - 1] == '\t'))
    {
        value->len--;
    }
}


/*
 * The path and query that a reference names, when it is of this origin
 * (RFC 9111, 4.4; RFC 3986, 5.2).
 */

static ngx_int_t
ngx_http_optcache_invalidate_target(ngx_http_request_t *r, ngx_str_t *value,
    ngx_str_t *target)
{
    u_char     *p, *last;
    ngx_str_t   base, rest;

    ngx_str_null(&base);

    rest = *value;

    last = ngx_strlchr(rest.data, rest.data + rest.len, '#');
    if (last) {
        rest.len = last - rest.data;
    }

    if (ngx_http_optcache_invalidate_scheme(&rest)
        || (rest.len > 1 && rest.data[0] == '/' && rest.data[1] == '/'))
    {
        if (ngx_http_optcache_invalidate_origin(r, &rest) != NGX_OK) {
            return NGX_DECLINED;
        }

        if (rest.len == 0 || rest.data[0] == '?') {
            ngx_str_set(&base, "/");
        }

    } else if (rest.len == 0 || rest.data[0] != '/') {

        /* relative to the path, or only another query */

        p = r->unparsed_uri.data;
        last = ngx_strlchr(p, p + r->unparsed_uri.len, '?');

        if (last == NULL || rest.len == 0) {
            last = p + r->unparsed_uri.len;
        }

        if (rest.len && rest.data[0] != '?') {
            while (last > p && last[-1] != '/') {
                last--;
            }
        }

        base.data = p;
        base.len = last - p;
    }

    target->len = base.len + rest.len;
    target->data = ngx_pnalloc(r->pool, target->len);

    if (target->data == NULL) {
        return NGX_ERROR;
    }

    p = ngx_text_copy(target->data, &base);
    (void) ngx_text_copy(p, &rest);

    if (target->len == 0 || target->data[0] != '/') {
        return NGX_DECLINED;
    }

    ngx_http_optcache_invalidate_dots(target);

    return NGX_OK;
}


static ngx_uint_t
ngx_http_optcache_invalidate_scheme(ngx_str_t *value)
{
    size_t  i;
    u_char  c, ch;

    for (i = 0; i < value->len; i++) {
        ch = value->data[i];

        if (ch == ':') {
            return 1;
        }

        c = (u_char) (ch | 0x20);

        if (!((c >= 'a' && c <= 'z') || (ch >= '0' && ch <= '9')
              || ch == '+' || ch == '-' || ch == '.'))
        {
            return 0;
        }
    }

    return 0;
}


/*
 * Leaves what follows "//host" or "http://host" of the host that was asked
 * for.
 */

static ngx_int_t
ngx_http_optcache_invalidate_origin(ngx_http_request_t *r, ngx_str_t *value)
{
    u_char     *p, *last;
    ngx_str_t   host, asked, scheme, port;

    ngx_str_set(&scheme, "http:");
    ngx_str_set(&port, ":80");

#if (NGX_HTTP_SSL)
    if (r->connection->ssl) {
        ngx_str_set(&scheme, "https:");
        ngx_str_set(&port, ":443");
    }
#endif

    p = value->data;
    last = p + value->len;

    if (value->len > scheme.len
        && ngx_strncasecmp(p, scheme.data, scheme.len) == 0)
    {
        p += scheme.len;
    }

    asked = ngx_http_compat_host(r);

    if (last - p < 2 || p[0] != '/' || p[1] != '/' || asked.len == 0) {
        return NGX_DECLINED;
    }

    p += 2;
    host.data = p;

    while (p < last && *p != '/' && *p != '?') {
        p++;
    }

    host.len = p - host.data;

    ngx_http_optcache_invalidate_port(&host, &port);
    ngx_http_optcache_invalidate_port(&asked, &port);

    if (host.len != asked.len
        || ngx_strncasecmp(host.data, asked.data, host.len) != 0)
    {
        return NGX_DECLINED;
    }

    value->data = p;
    value->len = last - p;

    return NGX_OK;
}


/* RFC 3986, 6.2.3: the port of the scheme is the same as none. */

static void
ngx_http_optcache_invalidate_port(ngx_str_t *host, ngx_str_t *port)
{
    if (host->len > port->len
        && ngx_memcmp(host->data + host->len - port->len, port->data,
                      port->len)
           == 0)
    {
        host->len -= port->len;
    }
}


/* RFC 3986, 5.2.4, of a path that begins with a slash. */

static void
ngx_http_optcache_invalidate_dots(ngx_str_t *target)
{
    u_char  *p, *dst, *src, *end, *last;
    size_t   n;

    last = target->data + target->len;
    end = ngx_strlchr(target->data, last, '?');

    if (end == NULL) {
        end = last;
    }

    dst = target->data;

    for (src = dst; src < end; src = p) {

        for (p = src + 1; p < end && *p != '/'; p++) { /* void */ }

        n = p - src;

        if (!(n == 2 && src[1] == '.')
            && !(n == 3 && src[1] == '.' && src[2] == '.'))
        {
            dst = ngx_movemem(dst, src, n);
            continue;
        }

        if (n == 3) {
            while (dst > target->data && *--dst != '/') { /* void */ }
        }

        if (p == end) {
            *dst++ = '/';
        }
    }

    dst = ngx_movemem(dst, end, last - end);

    target->len = dst - target->data;
}
