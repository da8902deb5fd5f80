
/*
 * Copyright (C) The Optcache authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_optcache_invalidate.h"
#include "ngx_http_optcache_request.h"


static ngx_int_t ngx_http_optcache_invalidate_shared(ngx_http_request_t *r,
    ngx_http_optcache_ctx_t *ctx);
static ngx_int_t ngx_http_optcache_invalidate_uri(ngx_http_request_t *r,
    ngx_http_optcache_ctx_t *ctx, ngx_str_t *value);
static ngx_int_t ngx_http_optcache_invalidate_target(ngx_http_request_t *r,
    ngx_str_t *value, ngx_str_t *target);
static ngx_int_t ngx_http_optcache_invalidate_origin(ngx_http_request_t *r,
    ngx_str_t *value, ngx_str_t *rest);
static ngx_int_t ngx_http_optcache_invalidate_key(ngx_http_request_t *r,
    ngx_http_optcache_ctx_t *ctx, ngx_str_t *target,
    ngx_optcache_key_t *key);
static void ngx_http_optcache_invalidate_variables(ngx_http_request_t *r);


ngx_int_t
ngx_http_optcache_invalidate(ngx_http_request_t *r,
    ngx_http_optcache_ctx_t *ctx)
{
    ngx_uint_t        i;
    ngx_list_part_t  *part;
    ngx_table_elt_t  *h;

    ngx_http_optcache_remove(r, ctx);

    if (ngx_http_optcache_invalidate_shared(r, ctx) != NGX_OK) {
        return NGX_ERROR;
    }

    for (part = &r->headers_out.headers.part; part; part = part->next) {
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

    skip = NGX_OPTCACHE_DIGEST_LEN;
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
    ngx_str_t           base, target;
    ngx_optcache_key_t  key;

    rc = ngx_http_optcache_invalidate_target(r, value, &target);

    if (rc != NGX_OK) {
        return rc;
    }

    ngx_log_debug1(NGX_LOG_DEBUG_HTTP, r->connection->log, 0,
                   "optcache invalidate \"%V\"", &target);

    rc = ngx_http_optcache_invalidate_key(r, ctx, &target, &key);

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


/*
 * The path and query that a reference names, when it is of this origin
 * (RFC 9111, 4.4; RFC 3986, 5.2, but for dots).
 */

static ngx_int_t
ngx_http_optcache_invalidate_target(ngx_http_request_t *r, ngx_str_t *value,
    ngx_str_t *target)
{
    u_char     *p, *last;
    size_t      len;
    ngx_str_t   rest;

    rest = *value;

    last = ngx_strlchr(rest.data, rest.data + rest.len, '#');
    if (last) {
        rest.len = last - rest.data;
    }

    if (rest.len && rest.data[0] == '/'
        && (rest.len == 1 || rest.data[1] != '/'))
    {
        *target = rest;
        return NGX_OK;
    }

    if (ngx_strlchr(rest.data, rest.data + rest.len, ':')
        || (rest.len > 1 && rest.data[0] == '/'))
    {
        if (ngx_http_optcache_invalidate_origin(r, &rest, target) != NGX_OK) {
            return NGX_DECLINED;
        }

        return NGX_OK;
    }

    /* relative to the path */

    p = r->unparsed_uri.data;
    last = ngx_strlchr(p, p + r->unparsed_uri.len, '?');

    if (last == NULL) {
        last = p + r->unparsed_uri.len;
    }

    if (rest.len && rest.data[0] != '?') {
        while (last > p && last[-1] != '/') {
            last--;
        }
    }

    len = last - p;

    target->len = len + rest.len;
    target->data = ngx_pnalloc(r->pool, target->len);

    if (target->data == NULL) {
        return NGX_ERROR;
    }

    ngx_memcpy(ngx_cpymem(target->data, p, len), rest.data, rest.len);

    return (target->len && target->data[0] == '/') ? NGX_OK : NGX_DECLINED;
}


/* "//host/path" or "http://host/path" of the host that was asked for. */

static ngx_int_t
ngx_http_optcache_invalidate_origin(ngx_http_request_t *r, ngx_str_t *value,
    ngx_str_t *rest)
{
    u_char     *p, *last;
    ngx_str_t   host;

    static ngx_str_t  root = ngx_string("/");

    p = value->data;
    last = p + value->len;

#if (NGX_HTTP_SSL)
    if (r->connection->ssl) {
        if (last - p > 6 && ngx_strncasecmp(p, (u_char *) "https:", 6) == 0) {
            p += 6;
        }

    } else
#endif
    if (last - p > 5 && ngx_strncasecmp(p, (u_char *) "http:", 5) == 0) {
        p += 5;
    }

    if (last - p < 2 || p[0] != '/' || p[1] != '/'
        || r->headers_in.host == NULL)
    {
        return NGX_DECLINED;
    }

    p += 2;
    host = r->headers_in.host->value;

    if ((size_t) (last - p) < host.len
        || ngx_strncasecmp(p, host.data, host.len) != 0)
    {
        return NGX_DECLINED;
    }

    p += host.len;

    if (p == last) {
        *rest = root;
        return NGX_OK;
    }

    rest->data = p;
    rest->len = last - p;

    return (*p == '/') ? NGX_OK : NGX_DECLINED;
}


/* The key that a GET of another URI would have, as far as it is made of it. */

static ngx_int_t
ngx_http_optcache_invalidate_key(ngx_http_request_t *r,
    ngx_http_optcache_ctx_t *ctx, ngx_str_t *target, ngx_optcache_key_t *key)
{
    u_char                     *p, *dst, *src;
    size_t                      size;
    ngx_int_t                   rc;
    ngx_str_t                   unparsed, uri, args;
    ngx_http_core_main_conf_t  *cmcf;
    ngx_http_variable_value_t  *variables;

    cmcf = ngx_http_get_module_main_conf(r, ngx_http_core_module);

    size = cmcf->variables.nelts * sizeof(ngx_http_variable_value_t);

    variables = r->variables;
    unparsed = r->unparsed_uri;
    uri = r->uri;
    args = r->args;

    r->variables = ngx_palloc(r->pool, size);
    dst = ngx_pnalloc(r->pool, target->len);

    if (r->variables == NULL || dst == NULL) {
        r->variables = variables;
        return NGX_ERROR;
    }

    ngx_memcpy(r->variables, variables, size);
    ngx_http_optcache_invalidate_variables(r);

    r->unparsed_uri = *target;
    r->uri = *target;
    ngx_str_null(&r->args);

    p = ngx_strlchr(target->data, target->data + target->len, '?');

    if (p) {
        r->uri.len = p - target->data;
        r->args.data = p + 1;
        r->args.len = target->data + target->len - r->args.data;
    }

    src = r->uri.data;
    p = dst;
    ngx_unescape_uri(&dst, &src, r->uri.len, 0);

    r->uri.data = p;
    r->uri.len = dst - p;

    rc = ngx_http_optcache_request_key(r, ctx->conf, key);

    r->variables = variables;
    r->unparsed_uri = unparsed;
    r->uri = uri;
    r->args = args;

    return rc;
}


/* Lets those be evaluated again that are made of the URI. */

static void
ngx_http_optcache_invalidate_variables(ngx_http_request_t *r)
{
    ngx_str_t                  *name;
    ngx_uint_t                  i;
    ngx_http_variable_t        *v;
    ngx_http_core_main_conf_t  *cmcf;

    static ngx_str_t  names[] = {
        ngx_string("request_uri"),
        ngx_string("uri"),
        ngx_string("document_uri"),
        ngx_string("args"),
        ngx_string("query_string"),
        ngx_string("is_args"),
        ngx_null_string
    };

    cmcf = ngx_http_get_module_main_conf(r, ngx_http_core_module);

    v = cmcf->variables.elts;

    for (i = 0; i < cmcf->variables.nelts; i++) {

        if (v[i].name.len > 4 && ngx_strncmp(v[i].name.data, "arg_", 4) == 0) {
            r->variables[i].valid = 0;
            r->variables[i].not_found = 0;
            continue;
        }

        for (name = names; name->len; name++) {

            if (v[i].name.len == name->len
                && ngx_strncmp(v[i].name.data, name->data, name->len) == 0)
            {
                r->variables[i].valid = 0;
                r->variables[i].not_found = 0;
            }
        }
    }
}
