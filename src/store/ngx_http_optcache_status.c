
/*
 * Copyright (C) The Optcache authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_compat.h"
#include "ngx_http_optcache.h"
#include "ngx_http_optcache_response.h"
#include "ngx_http_optcache_stale.h"
#include "ngx_rare.h"


/* the longest of all parameters */

#define NGX_HTTP_OPTCACHE_STATUS_LEN                                          \
    (sizeof("Optcache; fwd=vary-miss; fwd-status=; stored; ttl=; detail=L1")   \
     + NGX_INT_T_LEN + NGX_INT64_LEN)


static ngx_int_t ngx_http_optcache_status_x(ngx_http_request_t *r,
    ngx_http_optcache_ctx_t *ctx);
static void ngx_http_optcache_status_field(ngx_table_elt_t *h, void *data);
static ngx_uint_t ngx_http_optcache_status_local(ngx_http_request_t *r,
    ngx_http_optcache_ctx_t *ctx);
static ngx_apart ngx_int_t ngx_http_optcache_status_ietf(
    ngx_http_request_t *r, ngx_http_optcache_ctx_t *ctx);
static u_char *ngx_http_optcache_status_hit(u_char *p,
    ngx_http_optcache_ctx_t *ctx);
static u_char *ngx_http_optcache_status_fwd(u_char *p, ngx_http_request_t *r,
    ngx_http_optcache_ctx_t *ctx);
static const char *ngx_http_optcache_status_reason(ngx_http_request_t *r,
    ngx_http_optcache_ctx_t *ctx);
static ngx_table_elt_t *ngx_http_optcache_status_last(ngx_http_request_t *r,
    ngx_str_t *name);


static ngx_str_t  ngx_http_optcache_status_names[] = {
    ngx_null_string,
    ngx_string("HIT"),
    ngx_string("MISS"),
    ngx_string("EXPIRED"),
    ngx_string("BYPASS"),
    ngx_string("STALE"),
    ngx_string("UPDATING"),
    ngx_string("REVALIDATED")
};


ngx_often ngx_int_t
ngx_http_optcache_send_status(ngx_http_request_t *r,
    ngx_http_optcache_ctx_t *ctx)
{
    ngx_http_optcache_loc_conf_t  *olcf;

    olcf = ngx_http_get_module_loc_conf(r, ngx_http_optcache_module);

    if (olcf->headers == NGX_HTTP_OPTCACHE_HEADERS_OFF
        || ctx->status == NGX_HTTP_OPTCACHE_NONE
        || r != r->main)
    {
        return NGX_OK;
    }

    if ((olcf->headers & NGX_HTTP_OPTCACHE_HEADERS_X)
        && ngx_http_optcache_status_x(r, ctx) != NGX_OK)
    {
        return NGX_ERROR;
    }

    return ((olcf->headers & NGX_HTTP_OPTCACHE_HEADERS_IETF)
            && !ngx_http_optcache_status_local(r, ctx))
           ? ngx_http_optcache_status_ietf(r, ctx) : NGX_OK;
}


/*
 * In place of what a cache before this one has said.  It is known that there
 * is nothing where the response was read to be stored; a hit has never any.
 */

static ngx_int_t
ngx_http_optcache_status_x(ngx_http_request_t *r, ngx_http_optcache_ctx_t *ctx)
{
    static ngx_str_t  x_cache = ngx_string("X-Cache");

    if (!ctx->sent && !ctx->unmarked) {
        ngx_http_optcache_response_each(&r->headers_out.headers,
                                        ngx_http_optcache_status_field, NULL);
    }

    return ngx_http_compat_push_header(r, &x_cache,
                                  &ngx_http_optcache_status_names[ctx->status])
           ? NGX_OK : NGX_ERROR;
}


static void
ngx_http_optcache_status_field(ngx_table_elt_t *h, void *data)
{
    if (ngx_http_optcache_response_is(h, "X-Cache")) {
        h->hash = 0;
    }
}


ngx_str_t *
ngx_http_optcache_status_name(ngx_http_optcache_status_e status)
{
    return &ngx_http_optcache_status_names[status];
}


/*
 * RFC 9211, 2: nothing is said of what an intermediary has made itself, of
 * nothing that is stored: an error page where the upstream has not said so.
 */

static ngx_uint_t
ngx_http_optcache_status_local(ngx_http_request_t *r,
    ngx_http_optcache_ctx_t *ctx)
{
    if (ctx->sent || ctx->status == NGX_HTTP_OPTCACHE_STALE) {
        return 0;
    }

    if (ctx->asked && ctx->asked->only_if_cached) {
        /* neither a hit nor sent on */
        return 1;
    }

    return r->err_status
           && r->upstream
           && r->upstream->headers_in.status_n != r->err_status;
}


/*
 * Adds this cache to Cache-Status (RFC 9211), behind those that the response
 * has passed before; "stored" says that it is about to be.  It is known by now
 * whether it is, and what is stored has been written: this is no part of it.
 */

static ngx_int_t
ngx_http_optcache_status_ietf(ngx_http_request_t *r,
    ngx_http_optcache_ctx_t *ctx)
{
    u_char           *p;
    ngx_str_t         value;
    ngx_table_elt_t  *h;

    static ngx_str_t  name = ngx_string("Cache-Status");

    h = ngx_http_optcache_status_last(r, &name);

    value.data = ngx_pnalloc(r->pool, (h ? h->value.len + 2 : 0)
                                      + NGX_HTTP_OPTCACHE_STATUS_LEN);
    if (value.data == NULL) {
        return NGX_ERROR;
    }

    p = value.data;

    if (h) {
        /* the list begins with who is closest to the origin */
        p = ngx_sprintf(p, "%V, ", &h->value);
    }

    p = ngx_cpymem(p, "Optcache", sizeof("Optcache") - 1);

    p = ctx->sent ? ngx_http_optcache_status_hit(p, ctx)
                  : ngx_http_optcache_status_fwd(p, r, ctx);

    value.len = p - value.data;

    if (h) {
        h->value = value;
        return NGX_OK;
    }

    return ngx_http_compat_push_header(r, &name, &value) ? NGX_OK : NGX_ERROR;
}


static u_char *
ngx_http_optcache_status_hit(u_char *p, ngx_http_optcache_ctx_t *ctx)
{
    int64_t  ttl;

    /* RFC 9211, 2.6: of a stale one it is negative */

    ttl = ctx->entry.lifetime
          - ngx_optcache_entry_age(&ctx->entry, ngx_time());

    /* RFC 9211, 2.5: answered by what another one was sent on for */

    return ngx_sprintf(p, "; %s; ttl=%L; detail=%s",
                       ctx->collapsed ? "fwd=miss; collapsed" : "hit", ttl,
                       (ctx->layer == NGX_HTTP_OPTCACHE_L1) ? "L1" : "L2");
}


static u_char *
ngx_http_optcache_status_fwd(u_char *p, ngx_http_request_t *r,
    ngx_http_optcache_ctx_t *ctx)
{
    ngx_uint_t  status;

    p = ngx_sprintf(p, "; fwd=%s", ngx_http_optcache_status_reason(r, ctx));

    /*
     * Of an upstream that has not answered, or said hints only, it is what
     * that would have made.
     */

    if (r->upstream && r->upstream->headers_in.status_n >= NGX_HTTP_OK) {
        status = r->upstream->headers_in.status_n;

    } else {
        status = (ctx->status == NGX_HTTP_OPTCACHE_STALE)
                 ? ngx_http_optcache_stale_status(r) : r->headers_out.status;
    }

    if (status >= 100 && status <= 999) {
        p = ngx_sprintf(p, "; fwd-status=%ui", status);
    }

    return (ctx->capture || ctx->stored) ? ngx_sprintf(p, "; stored") : p;
}


/* RFC 9211, 2.2 */

static const char *
ngx_http_optcache_status_reason(ngx_http_request_t *r,
    ngx_http_optcache_ctx_t *ctx)
{
    ngx_http_optcache_loc_conf_t  *olcf;

    switch (ctx->status) {

    case NGX_HTTP_OPTCACHE_EXPIRED:
    case NGX_HTTP_OPTCACHE_REVALIDATED:
    case NGX_HTTP_OPTCACHE_STALE:

        /* it may be fresh, but not fresh enough for this client */

        return ctx->refused ? "request" : "stale";

    case NGX_HTTP_OPTCACHE_BYPASS:

        if (ctx->asked && ctx->asked->no_cache) {
            return "request";
        }

        olcf = ngx_http_get_module_loc_conf(r, ngx_http_optcache_module);

        return (r->method & olcf->methods) ? "bypass" : "method";

    default:
        return ctx->varied ? "vary-miss" : "uri-miss";
    }
}


/* The last line of a field, or NULL. */

static ngx_table_elt_t *
ngx_http_optcache_status_last(ngx_http_request_t *r, ngx_str_t *name)
{
    ngx_uint_t        i;
    ngx_list_part_t  *part;
    ngx_table_elt_t  *h, *last;

    last = NULL;

    for (part = &r->headers_out.headers.part; part; part = part->next) {
        h = part->elts;

        for (i = 0; i < part->nelts; i++) {

            if (h[i].hash
                && h[i].value.len
                && h[i].key.len == name->len
                && ngx_strncasecmp(h[i].key.data, name->data, name->len) == 0)
            {
                last = &h[i];
            }
        }
    }

    return last;
}
