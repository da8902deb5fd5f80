
/*
 * Copyright (C) The Optcache authors
 */


/* Whether a response is to be stored, and what is known of it by its header. */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_captures.h"
#include "ngx_http_compat.h"
#include "ngx_http_optcache.h"
#include "ngx_http_optcache_compress.h"
#include "ngx_http_optcache_count.h"
#include "ngx_http_optcache_public.h"
#include "ngx_http_optcache_response.h"
#include "ngx_http_optcache_rules.h"
#include "ngx_http_optcache_search.h"
#include "ngx_http_optcache_tags.h"
#include "ngx_http_optcache_vary.h"
#include "ngx_http_optcache_whole.h"
#include "ngx_rare.h"


static ngx_often ngx_int_t ngx_http_optcache_capture_read(
    ngx_http_request_t *r, ngx_http_optcache_ctx_t *ctx);
static ngx_int_t ngx_http_optcache_capture_decide(ngx_http_request_t *r,
    ngx_http_optcache_ctx_t *ctx, ngx_http_optcache_response_t *resp);
#if (NGX_HTTP_GZIP)
static ngx_rare ngx_int_t ngx_http_optcache_capture_vary(
    ngx_http_request_t *r);
#endif
static ngx_int_t ngx_http_optcache_capture_begin(ngx_http_request_t *r,
    ngx_http_optcache_ctx_t *ctx, ngx_http_optcache_response_t *resp);
static ngx_http_optcache_capture_t *ngx_http_optcache_capture_create(
    ngx_http_request_t *r, ngx_http_optcache_ctx_t *ctx,
    ngx_http_optcache_loc_conf_t *olcf, ngx_http_optcache_response_t *resp);
static ngx_uint_t ngx_http_optcache_capture_compressible(
    ngx_http_request_t *r, ngx_http_optcache_loc_conf_t *olcf,
    ngx_http_optcache_response_t *resp);


ngx_int_t
ngx_http_optcache_capture_header(ngx_http_request_t *r,
    ngx_http_optcache_ctx_t *ctx)
{
    ngx_int_t  rc;

    if ((r->method != NGX_HTTP_GET && ctx->body.len == 0)
        || (r->header_only && r == r->main))
    {
        return NGX_OK;
    }

    rc = ctx->store ? ngx_http_optcache_capture_read(r, ctx) : NGX_DECLINED;

    if (rc == NGX_DECLINED) {
        ngx_http_optcache_count_refused(ctx);
        return NGX_OK;
    }

    return rc;
}


/* As it is decided, NGX_OK: it is captured. */

static ngx_int_t
ngx_http_optcache_capture_read(ngx_http_request_t *r,
    ngx_http_optcache_ctx_t *ctx)
{
    ngx_int_t                     rc;
    ngx_http_optcache_response_t  resp;

    rc = ngx_http_optcache_capture_decide(r, ctx, &resp);

    if (rc == NGX_OK) {
        rc = ngx_http_optcache_capture_begin(r, ctx, &resp);
    }

    return rc;
}


/* NGX_DECLINED: it is not stored, ctx->refusal says why. */

static ngx_int_t
ngx_http_optcache_capture_decide(ngx_http_request_t *r,
    ngx_http_optcache_ctx_t *ctx, ngx_http_optcache_response_t *resp)
{
    ngx_int_t                      rc;
    ngx_http_optcache_loc_conf_t  *olcf;

    if (r->err_status) {
        /*
         * said by nginx in place of an answer; what an upstream said of its
         * own, before it failed, is not about this
         */
        ctx->refusal = NGX_HTTP_OPTCACHE_REFUSED_ERROR;
        return NGX_DECLINED;
    }

    olcf = ngx_http_get_module_loc_conf(r, ngx_http_optcache_module);

    if (olcf->zone != ctx->zone) {
        /* redirected into a location that caches elsewhere, or not at all */
        ctx->refusal = NGX_HTTP_OPTCACHE_REFUSED_LOCATION;
        return NGX_DECLINED;
    }

    if (r->headers_out.content_length_n > (off_t) olcf->max_size) {
        ctx->refusal = NGX_HTTP_OPTCACHE_REFUSED_SIZE;
        return NGX_DECLINED;
    }

    rc = ngx_http_captures_predicates(r, olcf->no_store);

    if (rc != NGX_OK) {
        ctx->refusal = NGX_HTTP_OPTCACHE_REFUSED_CONFIGURED;
        return rc;
    }

#if (NGX_HTTP_GZIP)
    if (ngx_rarely(r->gzip_vary)
        && ngx_http_optcache_capture_vary(r) != NGX_OK)
    {
        return NGX_ERROR;
    }
#endif

    rc = ngx_http_optcache_response_read(r, ctx, resp, 0);

    if (rc != NGX_OK) {
        return rc;
    }

    if (!r->header_only
        && ngx_http_optcache_whole_never(r, olcf->close_delimited))
    {
        ctx->refusal = NGX_HTTP_OPTCACHE_REFUSED_INCOMPLETE;
        return NGX_DECLINED;
    }

    if (resp->public && ngx_http_optcache_public_store(r, ctx) != NGX_OK) {
        return NGX_ERROR;
    }

    if (!ngx_http_optcache_rules_used(ctx, olcf)) {
        ctx->refusal = NGX_HTTP_OPTCACHE_REFUSED_USES;
        return NGX_DECLINED;
    }

    ctx->capture = ngx_http_optcache_capture_create(r, ctx, olcf, resp);

    return ctx->capture ? NGX_OK : NGX_ERROR;
}


#if (NGX_HTTP_GZIP)

/* Of gzip_static: nginx would write the field behind us, and on no hit. */

static ngx_int_t
ngx_http_optcache_capture_vary(ngx_http_request_t *r)
{
    ngx_http_core_loc_conf_t  *clcf;

    static ngx_str_t  vary = ngx_string("Vary");
    static ngx_str_t  accept_encoding = ngx_string("Accept-Encoding");

    clcf = ngx_http_get_module_loc_conf(r, ngx_http_core_module);

    if (!clcf->gzip_vary) {
        return NGX_OK;
    }

    r->gzip_vary = 0;

    return ngx_http_compat_push_header(r, &vary, &accept_encoding)
           ? NGX_OK : NGX_ERROR;
}

#endif


static ngx_int_t
ngx_http_optcache_capture_begin(ngx_http_request_t *r,
    ngx_http_optcache_ctx_t *ctx, ngx_http_optcache_response_t *resp)
{
    ngx_int_t                      rc;
    ngx_http_optcache_loc_conf_t  *olcf;

    static ngx_str_t  vary = ngx_string("Vary");
    static ngx_str_t  accept_encoding = ngx_string("Accept-Encoding");

    rc = NGX_DECLINED;
    ctx->refusal = NGX_HTTP_OPTCACHE_REFUSED_SIZE;

    if (ctx->capture->entry.head.len <= NGX_OPTCACHE_HEAD_MAX) {
        ctx->refusal = NGX_HTTP_OPTCACHE_REFUSED_KEY;
        rc = ngx_rarely(ctx->begun != NULL)
             ? ngx_http_optcache_search_respond(r, ctx, 0)
             : NGX_OK;
    }

    olcf = ngx_http_get_module_loc_conf(r, ngx_http_optcache_module);

    if (rc == NGX_OK
        && ngx_rarely(resp->tagged || ctx->begun || olcf->tags))
    {
        ctx->refusal = NGX_HTTP_OPTCACHE_REFUSED_TAGS;
        rc = ngx_http_optcache_tags(r, resp, &ctx->capture->entry, NULL);
    }

    if (rc == NGX_OK) {
        ctx->refusal = NGX_HTTP_OPTCACHE_REFUSED_VARY;

        /* as mostly, there is one answer to all */

        rc = (ctx->vary.data || resp->varies)
             ? ngx_http_optcache_vary_respond(r, ctx, &resp->vary,
                                              &ctx->capture->entry)
             : NGX_OK;
    }

    if (rc == NGX_DECLINED) {
        ngx_http_optcache_capture_drop(ctx);
    }

    if (rc != NGX_OK) {
        return rc;
    }

    ctx->capture->entry.key = ctx->key.identity;

    if ((ctx->capture->gzip || ctx->capture->later) && !resp->vary.encoding) {
        /* who comes next may get the other form */

        if (ngx_http_compat_push_header(r, &vary, &accept_encoding) == NULL) {
            return NGX_ERROR;
        }
    }

    if (ngx_rarely(r->header_only)) {
        /* a subrequest that wants no body: what it wants is here */
        ngx_http_optcache_store(r, ctx, &ctx->capture->entry);
        ngx_http_optcache_capture_drop(ctx);
    }

    return NGX_OK;
}


static ngx_http_optcache_capture_t *
ngx_http_optcache_capture_create(ngx_http_request_t *r,
    ngx_http_optcache_ctx_t *ctx, ngx_http_optcache_loc_conf_t *olcf,
    ngx_http_optcache_response_t *resp)
{
    ngx_http_optcache_capture_t  *cap;

    cap = ngx_pcalloc(r->pool, sizeof(ngx_http_optcache_capture_t));
    if (cap == NULL) {
        return NULL;
    }

    cap->last = &cap->entry.body;
    cap->expected = r->headers_out.content_length_n;
    cap->limit = olcf->max_size;
    cap->close_delimited = olcf->close_delimited;

    if (ngx_http_optcache_response_entry(r, ctx, resp, &cap->entry)
        != NGX_OK)
    {
        return NULL;
    }

    if (ngx_http_optcache_capture_compressible(r, olcf, resp)) {
        cap->gzip_level = olcf->gzip_level;

        if (!ngx_http_optcache_compress_reserve(r, cap, cap->expected,
                                                cap->expected))
        {
            cap->gzip = ngx_optcache_gzip_create(r->pool, olcf->gzip_level,
                                                 cap->expected);
            if (cap->gzip == NULL) {
                return NULL;
            }
        }
    }

    return cap;
}


static ngx_uint_t
ngx_http_optcache_capture_compressible(ngx_http_request_t *r,
    ngx_http_optcache_loc_conf_t *olcf, ngx_http_optcache_response_t *resp)
{
    return ngx_rarely(olcf->gzip)
           && !r->header_only
           && !resp->no_transform
           && !resp->digest
           && (r->headers_out.content_encoding == NULL
               || r->headers_out.content_encoding->value.len == 0)
           && (r->headers_out.content_length_n == -1
               || r->headers_out.content_length_n
                  >= (off_t) olcf->gzip_min_length)
           && ngx_http_test_content_type(r, &olcf->gzip_types) != NULL;
}
