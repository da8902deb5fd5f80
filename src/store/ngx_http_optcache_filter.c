
/*
 * Copyright (C) The Optcache authors
 */


/*
 * The filters, the first to see a response: before 304 and ranges are made of
 * it, so what is stored is what the content handler said.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_optcache.h"
#include "ngx_http_optcache_count.h"
#include "ngx_http_optcache_fetch.h"
#include "ngx_http_optcache_freshen.h"
#include "ngx_http_optcache_invalidate.h"
#include "ngx_http_optcache_lock.h"
#include "ngx_http_optcache_overtaken.h"
#include "ngx_http_optcache_stale.h"
#include "ngx_rare.h"


static ngx_often ngx_int_t ngx_http_optcache_header_filter(
    ngx_http_request_t *r);
static ngx_rare ngx_int_t ngx_http_optcache_left(ngx_http_request_t *r);
static ngx_int_t ngx_http_optcache_heed(ngx_http_request_t *r,
    ngx_http_optcache_ctx_t *ctx);
static ngx_int_t ngx_http_optcache_forward(ngx_http_request_t *r);
static ngx_rare ngx_uint_t ngx_http_optcache_hush(ngx_http_request_t *r);
static ngx_int_t ngx_http_optcache_answered(ngx_http_request_t *r,
    ngx_http_optcache_ctx_t *ctx);
static ngx_rare ngx_int_t ngx_http_optcache_replaced(ngx_http_request_t *r,
    ngx_http_optcache_ctx_t *ctx);
static ngx_rare ngx_int_t ngx_http_optcache_instead(ngx_http_request_t *r,
    ngx_http_optcache_ctx_t *ctx);
static ngx_rare ngx_int_t ngx_http_optcache_failed(
    ngx_http_optcache_ctx_t *ctx);
static ngx_rare void ngx_http_optcache_give_up(ngx_http_optcache_ctx_t *ctx,
    ngx_optcache_lock_outcome_e outcome);
static ngx_rare void ngx_http_optcache_part(ngx_http_request_t *r);
static ngx_uint_t ngx_http_optcache_parted(ngx_http_request_t *r,
    ngx_http_optcache_ctx_t *ctx);
static ngx_int_t ngx_http_optcache_pass(ngx_http_request_t *r,
    ngx_http_optcache_ctx_t *ctx, ngx_chain_t *in);
static ngx_often ngx_int_t ngx_http_optcache_body_filter(
    ngx_http_request_t *r, ngx_chain_t *in);


static ngx_http_output_header_filter_pt  ngx_http_next_header_filter;
static ngx_http_output_body_filter_pt    ngx_http_next_body_filter;


void
ngx_http_optcache_filter_init(void)
{
    ngx_http_next_header_filter = ngx_http_top_header_filter;
    ngx_http_top_header_filter = ngx_http_optcache_header_filter;

    ngx_http_next_body_filter = ngx_http_top_body_filter;
    ngx_http_top_body_filter = ngx_http_optcache_body_filter;
}


static ngx_int_t
ngx_http_optcache_header_filter(ngx_http_request_t *r)
{
    ngx_http_optcache_ctx_t  *ctx;

    if (ngx_rarely(r != r->main)) {
        ngx_http_optcache_part(r);
    }

    ctx = ngx_http_get_module_ctx(r, ngx_http_optcache_module);

    if (ctx == NULL && (r->internal || r->filter_finalize)) {
        return ngx_http_optcache_left(r);
    }

    if (ctx == NULL || ctx->sent) {
        return ngx_http_next_header_filter(r);
    }

    if (ngx_rarely(ctx->answered)) {
        return ngx_http_optcache_instead(r, ctx);
    }

    ngx_http_optcache_lock_expect(ctx);

    ngx_http_optcache_fetched(r, ctx);

    ctx->answered = 1;

    if (ngx_http_optcache_answered(r, ctx) != NGX_OK) {
        return ngx_http_optcache_failed(ctx);
    }

    ngx_http_optcache_count(ctx);

    if (ctx->replaced) {
        ngx_http_optcache_unlock(ctx, ctx->stored ? NGX_OPTCACHE_LOCK_STORED
                                                  : NGX_OPTCACHE_LOCK_FAILED);

        return ngx_http_optcache_replaced(r, ctx);
    }

    if (ngx_http_optcache_heed(r, ctx) != NGX_OK) {
        return ngx_http_optcache_failed(ctx);
    }

    if (ngx_rarely(ctx->background)) {
        /* nobody is to see it */
        ctx->silent = 1;
        ngx_http_optcache_capture_unfiltered(r, ctx);
        ngx_http_optcache_update_unbuffered(r);
        return NGX_OK;
    }

    return ngx_http_optcache_forward(r);
}


/* An error page, or so: what the request that it is for had begun is ended. */

static ngx_int_t
ngx_http_optcache_left(ngx_http_request_t *r)
{
    ngx_http_optcache_unlock_left(r);
    ngx_http_optcache_count_left(r);

    if (ngx_http_optcache_invalidate_left(r) != NGX_OK) {
        return NGX_ERROR;
    }

    if (r->background && ngx_http_optcache_hush(r)) {
        return NGX_OK;
    }

    return ngx_http_next_header_filter(r);
}


/* A response of upstream that takes the place of nothing. */

static ngx_int_t
ngx_http_optcache_heed(ngx_http_request_t *r, ngx_http_optcache_ctx_t *ctx)
{
    if (ctx->held) {
        ngx_http_optcache_freshen_head(r, ctx);
    }

    /* RFC 9111, 4.4: a non-error answer to an unsafe method invalidates */

    if (ctx->invalidate
        && r->headers_out.status >= NGX_HTTP_OK
        && r->headers_out.status < NGX_HTTP_BAD_REQUEST
        && ngx_http_optcache_invalidate(r, ctx) != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (ngx_http_optcache_capture_header(r, ctx) != NGX_OK
        || ngx_http_optcache_send_status(r, ctx) != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (ctx->capture == NULL) {

        if (ngx_rarely(ctx->background) && !ctx->stored) {
            ngx_http_optcache_overtaken(r, ctx);
        }

        if (ctx->lock) {
            ngx_http_optcache_unlock_header(r, ctx);
        }
    }

    return NGX_OK;
}


/* To the client; what the filters make of it may be stored as well. */

static ngx_int_t
ngx_http_optcache_forward(ngx_http_request_t *r)
{
    ngx_int_t                 rc;
    ngx_uint_t                header_only;
    ngx_http_optcache_ctx_t  *ctx;

    if (ngx_rarely(r->headers_in.if_range != NULL)) {
        ngx_http_optcache_send_dated_range(r);
    }

    header_only = r->header_only;

    rc = ngx_http_next_header_filter(r);

    /* a filter that answers in place of this response clears the contexts */

    ctx = ngx_http_get_module_ctx(r, ngx_http_optcache_module);

    if (ctx == NULL || ctx->capture == NULL) {
        return rc;
    }

    if (ngx_rarely(rc == NGX_ERROR || rc > NGX_OK)) {
        ngx_http_optcache_give_up(ctx, NGX_OPTCACHE_LOCK_FAILED);
        return rc;
    }

    ngx_http_optcache_capture_filtered(r, ctx);

    if (ngx_rarely(r->header_only && !header_only) && rc == NGX_OK) {
        /* a 304 was made of it, but all of it is to be stored */
        r->header_only = 0;
        ctx->silent = 1;
        ngx_http_optcache_capture_unfiltered(r, ctx);
    }

    return rc;
}


/*
 * An error page for an update that nobody waits for, from a location in which
 * the precontent phase is not reached.  It would wait for its turn for ever.
 */

static ngx_uint_t
ngx_http_optcache_hush(ngx_http_request_t *r)
{
    ngx_http_optcache_ctx_t  *ctx;

    ctx = ngx_http_optcache_stale_kept(r);

    if (ctx == NULL) {
        return 0;
    }

    ngx_http_set_ctx(r, ctx, ngx_http_optcache_module);

    ctx->answered = 1;
    ctx->silent = 1;

    return 1;
}


/* What upstream said of what is held. */

static ngx_int_t
ngx_http_optcache_answered(ngx_http_request_t *r,
    ngx_http_optcache_ctx_t *ctx)
{
    if (ctx->conditional && r->headers_out.status == NGX_HTTP_NOT_MODIFIED) {

        if (ngx_http_optcache_freshen(r, ctx) != NGX_OK) {
            return NGX_ERROR;
        }

        ctx->status = NGX_HTTP_OPTCACHE_REVALIDATED;

    } else if (ctx->fetched && !ctx->background
               && ngx_http_optcache_stale_error(r, ctx,
                                    r->err_status
                                    ? ngx_http_optcache_stale_status(r)
                                    : r->headers_out.status))
    {
        ctx->status = NGX_HTTP_OPTCACHE_STALE;

    } else {
        return NGX_OK;
    }

    if (ctx->background) {
        ctx->silent = 1;
        ctx->replaced = 1;
        return NGX_OK;
    }

    return ngx_http_optcache_replace(r, ctx);
}


/* All of it goes at once: what upstream says yet may never come. */

static ngx_int_t
ngx_http_optcache_replaced(ngx_http_request_t *r,
    ngx_http_optcache_ctx_t *ctx)
{
    ngx_int_t  rc;

    if (ctx->background) {
        return NGX_OK;
    }

    rc = ngx_http_next_header_filter(r);

    if (rc == NGX_ERROR || rc > NGX_OK || r->header_only) {
        ctx->body_sent = 1;
        return rc;
    }

    if (ngx_http_optcache_replace_body(r, ctx, NULL, ngx_http_optcache_pass)
        == NGX_ERROR)
    {
        return NGX_ERROR;
    }

    return rc;
}


/*
 * A second header: a filter did not let the first one pass, which may have been
 * of a stored response, and what comes now is the error page for that (a 416).
 * Its body is nothing to be stored, nor has it one of ours.
 */

static ngx_int_t
ngx_http_optcache_instead(ngx_http_request_t *r, ngx_http_optcache_ctx_t *ctx)
{
    if (ctx->background) {
        return NGX_OK;
    }

    if (ctx->capture) {
        ngx_http_optcache_give_up(ctx, NGX_OPTCACHE_LOCK_FAILED);
    }

    ctx->replaced = 0;
    ctx->silent = 0;

    return ngx_http_next_header_filter(r);
}


/* An update is given up: an error of it would end the client's response. */

static ngx_int_t
ngx_http_optcache_failed(ngx_http_optcache_ctx_t *ctx)
{
    if (!ctx->background) {
        return NGX_ERROR;
    }

    if (ctx->capture) {
        ngx_http_optcache_give_up(ctx, NGX_OPTCACHE_LOCK_FAILED);

    } else {
        ngx_http_optcache_unlock(ctx, NGX_OPTCACHE_LOCK_FAILED);
    }

    ctx->silent = 1;

    return NGX_OK;
}


/* The body will not come; that of another request for the same may, or not. */

static void
ngx_http_optcache_give_up(ngx_http_optcache_ctx_t *ctx,
    ngx_optcache_lock_outcome_e outcome)
{
    ctx->refusal = NGX_HTTP_OPTCACHE_REFUSED_INCOMPLETE;
    ngx_http_optcache_count_refused(ctx);

    ngx_http_optcache_unlock(ctx, outcome);
    ngx_http_optcache_capture_drop(ctx);
}


static ngx_int_t
ngx_http_optcache_body_filter(ngx_http_request_t *r, ngx_chain_t *in)
{
    ngx_http_optcache_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_optcache_module);

    if (ctx == NULL || ctx->sent || ctx->passing) {
        return ngx_http_next_body_filter(r, in);
    }

    if (ctx->capture) {

        if (ngx_rarely(r->postponed != NULL)
            && ngx_http_optcache_parted(r, ctx))
        {
            ngx_http_optcache_give_up(ctx, NGX_OPTCACHE_LOCK_PASSED);

        } else {
            ngx_http_optcache_capture_body(r, ctx, in);
        }
    }

    if (ctx->silent) {
        ngx_http_optcache_consume(in);
        return NGX_OK;
    }

    if (ctx->replaced) {
        return ngx_http_optcache_replace_body(r, ctx, in,
                                              ngx_http_optcache_pass);
    }

    if (ctx->capture) {
        return ngx_http_optcache_pass(r, ctx, in);
    }

    return ngx_http_next_body_filter(r, in);
}


/* A part that is about to be sent, in place of the body of the whole. */

static void
ngx_http_optcache_part(ngx_http_request_t *r)
{
    ngx_http_optcache_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r->parent, ngx_http_optcache_module);

    if (ctx && ctx->capture && ngx_http_optcache_parted(r->parent, ctx)) {
        ngx_http_optcache_give_up(ctx, NGX_OPTCACHE_LOCK_PASSED);
    }
}


/*
 * Whether a content handler has asked for parts of its response itself, as
 * fancyindex does for a header: they are not in the body that passes.  Those
 * that filters behind ask for, as SSI does, are put together anew on a hit.
 */

static ngx_uint_t
ngx_http_optcache_parted(ngx_http_request_t *r, ngx_http_optcache_ctx_t *ctx)
{
    ngx_uint_t                     parted;
    ngx_http_postponed_request_t  *pr;

    parted = 0;

    for (pr = r->postponed; pr; pr = pr->next) {

        /* what stays in memory is no part, but may be made one by who reads */

        if (pr->request && !pr->request->subrequest_in_memory) {
            parted = 1;
        }

        if (pr == ctx->capture->postponed) {
            parted = 0;
        }
    }

    return parted;
}


/*
 * A filter behind may send something through all of them itself, as addition
 * does to end a response: that is neither the body which is stored nor the one
 * in whose place another is sent.
 */

static ngx_int_t
ngx_http_optcache_pass(ngx_http_request_t *r, ngx_http_optcache_ctx_t *ctx,
    ngx_chain_t *in)
{
    ngx_int_t                      rc;
    ngx_http_postponed_request_t  *pr;

    ctx->passing = 1;

    rc = ngx_http_next_body_filter(r, in);

    ctx->passing = 0;

    if (ctx->capture) {

        /* up to here the parts are of filters */

        for (pr = r->postponed; pr; pr = pr->next) {
            ctx->capture->postponed = pr;
        }
    }

    return rc;
}
