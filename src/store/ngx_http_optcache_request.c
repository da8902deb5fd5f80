
/*
 * Copyright (C) The Optcache authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_optcache.h"
#include "ngx_http_optcache_body.h"
#include "ngx_http_optcache_count.h"
#include "ngx_http_optcache_request.h"
#include "ngx_http_rfc9111_freshness.h"
#include "ngx_rare.h"


static ngx_rare ngx_http_rfc9111_control_t *ngx_http_optcache_request_asked(
    ngx_http_request_t *r, ngx_http_optcache_ctx_t *ctx);
static ngx_rare ngx_int_t ngx_http_optcache_request_post(ngx_http_request_t *r,
    ngx_http_optcache_ctx_t *ctx, ngx_str_t *identity);
static ngx_rare ngx_int_t ngx_http_optcache_request_uri(ngx_http_request_t *r,
    ngx_str_t *uri);
#if (NGX_HTTP_GZIP || NGX_HTTP_HEADERS)
static ngx_uint_t ngx_http_optcache_request_lines(ngx_http_request_t *r,
    ngx_table_elt_t *first, ngx_str_t *joined);
#endif


ngx_uint_t
ngx_http_optcache_request_cacheable(ngx_http_request_t *r,
    ngx_http_optcache_loc_conf_t *olcf, ngx_http_optcache_ctx_t *ctx)
{
    static ngx_str_t  websocket = ngx_string("websocket");

    if (!(r->method & olcf->methods)) {
        ctx->bypass = NGX_HTTP_OPTCACHE_BYPASS_METHOD;
        return 0;
    }

    /*
     * nginx lets a host have a "?", and a URI in absolute form no path: what
     * follows the one looks in a key like what follows the other.
     */

    if (r->unparsed_uri.len && ngx_rarely(r->unparsed_uri.data[0] == '?')) {
        ctx->bypass = NGX_HTTP_OPTCACHE_BYPASS_URI;
        return 0;
    }

    /*
     * What auth_request is told depends on who asks, by means that only
     * optcache_user can name: the answer is nobody else's.
     */

    if (ngx_rarely(r != r->main) && r->header_only && olcf->user == NULL
        && ctx->key.shared)
    {
        ctx->bypass = NGX_HTTP_OPTCACHE_BYPASS_SUBREQUEST;
        return 0;
    }

    /*
     * RFC 9110, 9.3.1: the body of a GET means nothing, but may change much.
     * A subrequest is sent that of its parent, once it has been read, but by
     * auth_request, which hides it.
     */

    ctx->bypass = NGX_HTTP_OPTCACHE_BYPASS_BODY;

    if (ngx_rarely(r->method == NGX_HTTP_POST)) {
        if (ctx->body.len == 0) {
            return 0;
        }

    } else if (r == r->main) {
        if (r->headers_in.content_length_n > 0 || r->headers_in.chunked) {
            return 0;
        }

    } else if (r->request_body && r->request_body->bufs) {
        return 0;
    }

    ctx->bypass = NGX_HTTP_OPTCACHE_BYPASS_UPGRADE;

    return ngx_mostly(r->headers_in.upgrade == NULL)
           || r->headers_in.upgrade->value.len != websocket.len
           || ngx_strncasecmp(r->headers_in.upgrade->value.data,
                              websocket.data, websocket.len)
              != 0;
}


ngx_int_t
ngx_http_optcache_request_control(ngx_http_request_t *r,
    ngx_http_optcache_ctx_t *ctx)
{
    ngx_uint_t        i, pragma;
    ngx_list_part_t  *part;
    ngx_table_elt_t  *h;

    if (r != r->main && r->header_only) {
        return NGX_OK;
    }

    ctx->heard = 1;

    pragma = 0;

    for (part = &r->headers_in.headers.part; part; part = part->next) {
        h = part->elts;

        for (i = 0; i < part->nelts; i++) {

            if (ngx_rarely(h[i].key.len == sizeof("Pragma") - 1)
                && ngx_strncasecmp(h[i].key.data, (u_char *) "Pragma",
                                   sizeof("Pragma") - 1)
                   == 0)
            {
                pragma |= ngx_http_rfc9111_pragma(&h[i].value);
                continue;
            }

            if (ngx_mostly(h[i].key.len != sizeof("Cache-Control") - 1)
                || ngx_strncasecmp(h[i].key.data, (u_char *) "Cache-Control",
                                   sizeof("Cache-Control") - 1)
                   != 0)
            {
                continue;
            }

            if (ngx_http_optcache_request_asked(r, ctx) == NULL) {
                return NGX_ERROR;
            }

            ngx_http_rfc9111_control_parse(&h[i].value, ctx->asked);
        }
    }

    /* RFC 9111, 5.2.1.4: it has no argument; one does not make it less */

    if (ngx_rarely(ctx->asked != NULL)) {
        for (i = 0; i < ctx->asked->nfields; i++) {
            ctx->asked->no_cache |= !ctx->asked->fields[i].priv;
        }
    }

    if (pragma && ctx->asked == NULL) {

        if (ngx_http_optcache_request_asked(r, ctx) == NULL) {
            return NGX_ERROR;
        }

        ctx->asked->no_cache = 1;
    }

    return NGX_OK;
}


static ngx_http_rfc9111_control_t *
ngx_http_optcache_request_asked(ngx_http_request_t *r,
    ngx_http_optcache_ctx_t *ctx)
{
    if (ctx->asked == NULL) {
        ctx->asked = ngx_palloc(r->pool, sizeof(ngx_http_rfc9111_control_t));

        if (ctx->asked) {
            ngx_http_rfc9111_control_init(ctx->asked);
        }
    }

    return ctx->asked;
}


ngx_uint_t
ngx_http_optcache_request_for_origin(ngx_http_request_t *r)
{
    return r == r->main
           && ngx_rarely(r->headers_in.if_match
                         || r->headers_in.if_unmodified_since);
}


/*
 * RFC 9112, 3.2.2: when the request line has a host, Host means nothing.  But
 * upstream may be told it, and would answer for a host that is not in the key.
 */

ngx_uint_t
ngx_http_optcache_request_two_hosts(ngx_http_request_t *r)
{
    u_char     *p, *last;
    ngx_str_t  *server;

    if (r->headers_in.host == NULL) {
        return 0;
    }

    server = &r->headers_in.server;

    p = r->headers_in.host->value.data;
    last = p + r->headers_in.host->value.len;

    if ((size_t) (last - p) < server->len
        || (ngx_memcmp(p, server->data, server->len) != 0
            && ngx_strncasecmp(p, server->data, server->len) != 0))
    {
        return 1;
    }

    p += server->len;

    if (p < last && *p == '.') {
        p++;
    }

    return p < last && *p != ':';
}


/* RFC 9110, 9.2.1; what is not known to be safe is not. */

ngx_uint_t
ngx_http_optcache_request_unsafe(ngx_http_request_t *r)
{
    ngx_str_t  *name;

    /* those that nginx knows by their names only */

    static ngx_str_t  safe[] = {
        ngx_string("QUERY"),
        ngx_string("REPORT"),
        ngx_string("SEARCH"),
        ngx_null_string
    };

    if (r->method & (NGX_HTTP_GET|NGX_HTTP_HEAD|NGX_HTTP_OPTIONS
                     |NGX_HTTP_TRACE|NGX_HTTP_PROPFIND))
    {
        return 0;
    }

    for (name = safe; name->len; name++) {
        if (name->len == r->method_name.len
            && ngx_memcmp(name->data, r->method_name.data, name->len) == 0)
        {
            return 0;
        }
    }

    return 1;
}


ngx_often ngx_int_t
ngx_http_optcache_request_key(ngx_http_request_t *r,
    ngx_http_optcache_loc_conf_t *olcf, ngx_optcache_key_t *key)
{
    ngx_str_t                       uri;
    ngx_str_t                       parts[NGX_HTTP_OPTCACHE_VALUE_PARTS];
    ngx_uint_t                      n;
    ngx_optcache_user_t             user;
    ngx_http_optcache_ctx_t        *ctx;
    ngx_optcache_key_kind_e         kind;
    ngx_http_optcache_value_t      *value;
    ngx_http_optcache_main_conf_t  *omcf;

    omcf = ngx_http_get_module_main_conf(r, ngx_http_optcache_module);

    value = olcf->user ? olcf->user : &omcf->user;
    user.source = value->digest;

    if (ngx_http_optcache_value_user(r, value, &user.value) != NGX_OK
        || ngx_http_optcache_value_parts(r, olcf->key ? olcf->key : &omcf->key,
                                         parts, &n)
            != NGX_OK)
    {
        return NGX_ERROR;
    }

    ctx = ngx_http_get_module_ctx(r, ngx_http_optcache_module);

    ngx_str_null(&uri);

    if (ctx->body.len) {
        kind = NGX_OPTCACHE_KEY_POST;

        if (ngx_http_optcache_request_post(r, ctx, &uri) != NGX_OK) {
            return NGX_ERROR;
        }

    } else if (!ngx_http_optcache_request_moved(r, olcf)) {
        kind = NGX_OPTCACHE_KEY_MAIN;

    } else {

        if (r == r->main) {
            kind = NGX_OPTCACHE_KEY_INTERNAL;

        } else {
            kind = r->header_only ? NGX_OPTCACHE_KEY_HEADER
                                  : NGX_OPTCACHE_KEY_SUBREQUEST;
        }

        if (ngx_http_optcache_request_uri(r, &uri) != NGX_OK) {
            return NGX_ERROR;
        }
    }

    return ngx_optcache_key_join(r->pool, &user, kind, &uri, parts, n, key);
}


ngx_uint_t
ngx_http_optcache_request_moved(ngx_http_request_t *r,
    ngx_http_optcache_loc_conf_t *olcf)
{
    /* who sets $args says only this; try_files, which sets $uri, nothing */

    return r->internal
           || ngx_rarely(!r->valid_unparsed_uri)
           || ngx_rarely(olcf->tries)
           || ngx_rarely(olcf->location.len);
}


/* What tells one POST from another, in place of the URI. */

static ngx_int_t
ngx_http_optcache_request_post(ngx_http_request_t *r,
    ngx_http_optcache_ctx_t *ctx, ngx_str_t *identity)
{
    ngx_str_t  uri;

    ngx_str_null(&uri);

    if (ngx_http_optcache_request_moved(r, ctx->conf)
        && ngx_http_optcache_request_uri(r, &uri) != NGX_OK)
    {
        return NGX_ERROR;
    }

    return ngx_http_optcache_body_identity(r, ctx, &uri, identity);
}


static ngx_int_t
ngx_http_optcache_request_uri(ngx_http_request_t *r, ngx_str_t *uri)
{
    u_char                        *p;
    ngx_str_t                     *name;
    ngx_http_optcache_loc_conf_t  *olcf;

    olcf = ngx_http_get_module_loc_conf(r, ngx_http_optcache_module);
    name = &olcf->location;

    /* decoded, it may have any byte: its length says where arguments begin */

    uri->data = ngx_pnalloc(r->pool, name->len + 1 + NGX_SIZE_T_LEN + 1
                                     + r->uri.len + r->args.len);
    if (uri->data == NULL) {
        return NGX_ERROR;
    }

    p = ngx_sprintf(uri->data, "%V%Z%uz %V%V", name, r->uri.len, &r->uri,
                    &r->args);

    uri->len = p - uri->data;

    return NGX_OK;
}


/*
 * RFC 9110, 5.3: of several lines, all of which upstream is sent, nginx would
 * give the first.
 */

ngx_str_t *
ngx_http_optcache_accept_encoding(ngx_http_request_t *r)
{
#if (NGX_HTTP_GZIP || NGX_HTTP_HEADERS)

    ngx_str_t        *joined, count;
    ngx_table_elt_t  *h;

    h = r->headers_in.accept_encoding;

    if (h == NULL) {
        return NULL;
    }

    ngx_str_null(&count);

    if (ngx_mostly(ngx_http_optcache_request_lines(r, h, &count) < 2)) {
        return &h->value;
    }

    joined = ngx_palloc(r->pool, sizeof(ngx_str_t));

    if (joined) {
        joined->len = 0;
        joined->data = ngx_pnalloc(r->pool, count.len);

        if (joined->data) {
            (void) ngx_http_optcache_request_lines(r, h, joined);
            return joined;
        }
    }

    return &h->value;

#else

    return NULL;

#endif
}


#if (NGX_HTTP_GZIP || NGX_HTTP_HEADERS)

/* Counts the lines of a field and their bytes, and joins them if it may. */

static ngx_uint_t
ngx_http_optcache_request_lines(ngx_http_request_t *r, ngx_table_elt_t *first,
    ngx_str_t *joined)
{
    ngx_uint_t        i, n;
    ngx_list_part_t  *part;
    ngx_table_elt_t  *h;

    n = 0;

    for (part = &r->headers_in.headers.part; part; part = part->next) {
        h = part->elts;

        for (i = 0; i < part->nelts; i++) {

            if (h[i].hash != first->hash
                || h[i].key.len != first->key.len
                || ngx_strncasecmp(h[i].key.data, first->key.data,
                                   first->key.len)
                   != 0)
            {
                continue;
            }

            if (joined->data) {
                ngx_memcpy(joined->data + joined->len, h[i].value.data,
                           h[i].value.len);
                joined->data[joined->len + h[i].value.len] = ',';
            }

            joined->len += h[i].value.len + 1;
            n++;
        }
    }

    return n;
}

#endif
