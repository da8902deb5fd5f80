
/*
 * Copyright (C) The Optcache authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_optcache.h"
#include "ngx_http_optcache_marks.h"
#include "ngx_http_optcache_public.h"
#include "ngx_rare.h"


static ngx_int_t ngx_http_optcache_public_own(ngx_http_request_t *r,
    ngx_http_optcache_ctx_t *ctx);
static ngx_often ngx_uint_t ngx_http_optcache_public_wanted(
    ngx_http_request_t *r, ngx_http_optcache_loc_conf_t *olcf,
    ngx_http_optcache_ctx_t *ctx);
static ngx_rare ngx_int_t ngx_http_optcache_public_switch(
    ngx_http_request_t *r, ngx_http_optcache_ctx_t *ctx);
static ngx_uint_t ngx_http_optcache_public_targeted(ngx_optcache_entry_t *e,
    ngx_http_rfc9111_control_t *cc);
static ngx_uint_t ngx_http_optcache_public_said(
    ngx_http_rfc9111_control_t *cc);


ngx_int_t
ngx_http_optcache_public_lookup(ngx_http_request_t *r,
    ngx_http_optcache_loc_conf_t *olcf, ngx_http_optcache_ctx_t *ctx)
{
    ngx_int_t  rc;

    if (!ctx->sharing) {

        if (!ngx_http_optcache_public_wanted(r, olcf, ctx)) {
            return NGX_OK;
        }

        if (ngx_http_optcache_public_switch(r, ctx) != NGX_OK) {
            return NGX_ERROR;
        }

        ctx->sharing = 1;

        rc = ngx_http_optcache_lookup(r, ctx);

        if (rc != NGX_OK) {
            return rc;
        }
    }

    if (ctx->shared) {
        /* all this has been done before */
        return NGX_OK;
    }

    ctx->shared = 1;

    if (ctx->found && ngx_http_optcache_public_entry(&ctx->entry)) {
        return NGX_OK;
    }

    ngx_memzero(&ctx->entry, sizeof(ngx_optcache_entry_t));

    ctx->found = 0;
    ctx->held = 0;
    ctx->refused = 0;
    ctx->status = NGX_HTTP_OPTCACHE_NONE;

    return ngx_http_optcache_public_switch(r, ctx);
}


ngx_often ngx_int_t
ngx_http_optcache_public_again(ngx_http_request_t *r,
    ngx_http_optcache_loc_conf_t *olcf, ngx_http_optcache_ctx_t *ctx)
{
    ngx_http_optcache_ctx_t  before;

    /* mostly nothing was there, and nothing has been stored since */

    if ((ctx->held || !ngx_http_optcache_lookup_absent(ctx))
        && ngx_http_optcache_public_own(r, ctx) != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (ctx->found || !ngx_http_optcache_public_wanted(r, olcf, ctx)) {
        return NGX_OK;
    }

    before = *ctx;

    if (ngx_http_optcache_public_switch(r, ctx) != NGX_OK
        || ngx_http_optcache_lookup_again(r, ctx) == NGX_ERROR)
    {
        return NGX_ERROR;
    }

    if (!ctx->found || !ngx_http_optcache_public_entry(&ctx->entry)) {
        *ctx = before;
    }

    return NGX_OK;
}


/* In the partition of the request. */

static ngx_int_t
ngx_http_optcache_public_own(ngx_http_request_t *r,
    ngx_http_optcache_ctx_t *ctx)
{
    ngx_int_t                rc;
    ngx_http_optcache_ctx_t  before;

    before = *ctx;

    rc = ngx_http_optcache_lookup_again(r, ctx);

    if (rc == NGX_DECLINED && before.held) {

        /* what was stale is gone, but is still at hand */

        ngx_http_optcache_marks_forget(r, &before);

        if (before.held && !ctx->held) {
            *ctx = before;
        }
    }

    ngx_http_optcache_marks_forget(r, ctx);

    return (rc == NGX_ERROR) ? NGX_ERROR : NGX_OK;
}


/* An entry of his own, be it stale, may be newer than what all share. */

static ngx_uint_t
ngx_http_optcache_public_wanted(ngx_http_request_t *r,
    ngx_http_optcache_loc_conf_t *olcf, ngx_http_optcache_ctx_t *ctx)
{
    return ngx_rarely(olcf->share_public)
           && !ctx->key.shared
           && !ctx->found
           && !ctx->held
           && ctx->status == NGX_HTTP_OPTCACHE_NONE
           && ctx->entry.status == 0
           && !(olcf->ignore & NGX_HTTP_OPTCACHE_IGNORE_CACHE_CONTROL)
           && (r == r->main || !r->header_only);
}


/* Exchanges the user's partition for the shared one, or back. */

static ngx_int_t
ngx_http_optcache_public_switch(ngx_http_request_t *r,
    ngx_http_optcache_ctx_t *ctx)
{
    ngx_http_optcache_place_t  place;

    if (ctx->other.base.len == 0) {
        ctx->other.key.identity = ctx->base;
        ctx->other.key.shared = 0;

        if (ngx_optcache_key_share(r->pool, &ctx->other.key) != NGX_OK) {
            return NGX_ERROR;
        }

        ctx->other.base = ctx->other.key.identity;
    }

    place.key = ctx->key;
    place.base = ctx->base;
    place.vary = ctx->vary;
    ngx_memcpy(place.number, ctx->number, NGX_OPTCACHE_ENTRY_NUMBER);
    place.absent = ctx->absent;

    ctx->key = ctx->other.key;
    ctx->base = ctx->other.base;
    ctx->vary = ctx->other.vary;
    ngx_memcpy(ctx->number, ctx->other.number, NGX_OPTCACHE_ENTRY_NUMBER);
    ctx->absent = ctx->other.absent;

    ctx->other = place;

    return NGX_OK;
}


/*
 * What answers requests without a user need not be for everyone: it may tell
 * them to log in.  So the stored response has to say itself that it is public.
 */

ngx_uint_t
ngx_http_optcache_public_entry(ngx_optcache_entry_t *e)
{
    u_char                      *p, *last;
    ngx_optcache_field_t         field;
    ngx_http_rfc9111_vary_t      vary;
    ngx_http_rfc9111_control_t   cc;

    ngx_memzero(&vary, sizeof(ngx_http_rfc9111_vary_t));
    ngx_http_rfc9111_control_init(&cc);

    p = e->head.data;
    last = p + e->head.len;

    while (p < last) {
        p = ngx_optcache_field_read(p, last, &field);

        if (p == NULL) {
            return 0;
        }

        switch (field.id) {

        case NGX_OPTCACHE_FIELD_SET_COOKIE:
            return 0;

        case NGX_OPTCACHE_FIELD_CACHE_CONTROL:
            ngx_http_rfc9111_control_parse(&field.value, &cc);
            break;

        case NGX_OPTCACHE_FIELD_VARY:
            ngx_http_rfc9111_vary_parse(&field.value, &vary);
            break;

        default:
            break;
        }
    }

    return ngx_http_optcache_public_targeted(e, &cc)
           && ngx_http_optcache_public_said(&cc)
           && !ngx_http_optcache_public_varies(&vary);
}


/*
 * RFC 9213, 2.2: the first target that is valid goes before Cache-Control.
 * Zero: there are several lines, which nothing here joins.
 */

static ngx_uint_t
ngx_http_optcache_public_targeted(ngx_optcache_entry_t *e,
    ngx_http_rfc9111_control_t *cc)
{
    u_char                *p, *last;
    ngx_str_t              line;
    const char           **name;
    ngx_optcache_field_t   field;

    for (name = ngx_http_optcache_targets; *name; name++) {

        ngx_str_null(&line);

        p = e->head.data;
        last = p + e->head.len;

        while (p < last) {
            p = ngx_optcache_field_read(p, last, &field);

            if (p == NULL) {
                return 0;
            }

            if (field.name.len != ngx_strlen(*name)
                || ngx_strncasecmp(field.name.data, (u_char *) *name,
                                   field.name.len)
                   != 0)
            {
                continue;
            }

            if (line.data) {
                return 0;
            }

            line = field.value;
        }

        if (line.data
            && ngx_http_optcache_response_target(*name, &line, cc) == NGX_OK)
        {
            return 1;
        }
    }

    return 1;
}


ngx_uint_t
ngx_http_optcache_public_response(ngx_http_request_t *r,
    ngx_http_optcache_loc_conf_t *olcf, ngx_http_optcache_ctx_t *ctx,
    ngx_http_optcache_response_t *resp)
{
    return olcf->share_public
           && !ctx->key.shared
           && (r == r->main || !r->header_only)
           && !resp->set_cookie
           && !resp->marked
           && !resp->personal
           && !resp->hidden
           && ngx_http_optcache_public_said(&resp->freshness.cc);
}


/* RFC 9111, 3.5; with s-maxage=0 there is nothing to share. */

static ngx_uint_t
ngx_http_optcache_public_said(ngx_http_rfc9111_control_t *cc)
{
    return (cc->pub || cc->s_maxage > 0)
           && cc->s_maxage != 0
           && !cc->priv;
}


ngx_uint_t
ngx_http_optcache_public_varies(ngx_http_rfc9111_vary_t *vary)
{
    ngx_uint_t  i;

    static ngx_str_t  cookie = ngx_string("Cookie");
    static ngx_str_t  authorization = ngx_string("Authorization");

    for (i = 0; i < vary->n; i++) {

        if ((vary->names[i].len == cookie.len
             && ngx_strncasecmp(vary->names[i].data, cookie.data, cookie.len)
                == 0)
            || (vary->names[i].len == authorization.len
                && ngx_strncasecmp(vary->names[i].data, authorization.data,
                                   authorization.len)
                   == 0))
        {
            return 1;
        }
    }

    return vary->any;
}


ngx_int_t
ngx_http_optcache_public_store(ngx_http_request_t *r,
    ngx_http_optcache_ctx_t *ctx)
{
    if (ctx->entry.status || ctx->status == NGX_HTTP_OPTCACHE_BYPASS) {
        ngx_http_optcache_remove(r, ctx);
    }

    return ngx_http_optcache_public_switch(r, ctx);
}
