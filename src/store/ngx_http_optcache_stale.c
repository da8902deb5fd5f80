
/*
 * Copyright (C) The Optcache authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_optcache_count.h"
#include "ngx_http_optcache_fetch.h"
#include "ngx_http_optcache_lock.h"
#include "ngx_http_optcache_marks.h"
#include "ngx_http_optcache_overtaken.h"
#include "ngx_http_optcache_stale.h"
#include "ngx_rare.h"


static ngx_uint_t ngx_http_optcache_stale_within(ngx_http_optcache_ctx_t *ctx,
    int64_t window);
static ngx_uint_t ngx_http_optcache_stale_mask(ngx_http_request_t *r,
    ngx_uint_t status);
static void ngx_http_optcache_stale_cleanup(void *data);


ngx_uint_t
ngx_http_optcache_stale_updating(ngx_http_request_t *r,
    ngx_http_optcache_ctx_t *ctx)
{
    int64_t  window;

    ngx_http_optcache_marks_forget(r, ctx);

    if (ngx_mostly(!ctx->held) || ctx->refused) {
        return 0;
    }

    if (ngx_rarely(ctx->asked != NULL) && ctx->asked->min_fresh != -1) {
        /* RFC 9111, 5.2.1.3: who wants it to last takes nothing stale */
        return 0;
    }

    if (ctx->entry.stale_while_revalidate
        && ngx_http_optcache_stale_within(ctx,
                                         ctx->entry.stale_while_revalidate))
    {
        return 1;
    }

    /* who says max-age=0 wants to be asked, and would never be waited for */

    if (!(ctx->conf->use_stale & NGX_HTTP_UPSTREAM_FT_UPDATING)
        || ctx->entry.lifetime == 0)
    {
        return 0;
    }

    window = NGX_HTTP_OPTCACHE_STALE_MAX;

    if (ctx->entry.lifetime < window
        && !ngx_http_optcache_overtakes(r, ctx))
    {
        /* to update it on his behalf may never change it */
        window = ctx->entry.lifetime;
    }

    return ngx_http_optcache_stale_within(ctx, window);
}


ngx_often ngx_uint_t
ngx_http_optcache_stale_error(ngx_http_request_t *r,
    ngx_http_optcache_ctx_t *ctx, ngx_uint_t status)
{
    int64_t  window;

    ngx_http_optcache_marks_forget(r, ctx);

    if (ngx_mostly(!ctx->held) || (ctx->asked && ctx->asked->no_cache)) {
        return 0;
    }

    switch (status) {

    case NGX_HTTP_INTERNAL_SERVER_ERROR:
    case NGX_HTTP_BAD_GATEWAY:
    case NGX_HTTP_SERVICE_UNAVAILABLE:
    case NGX_HTTP_GATEWAY_TIME_OUT:

        window = ctx->entry.stale_if_error;

        if (ctx->asked) {
            window = ngx_max(window, ctx->asked->stale_if_error);
        }

        if (window > 0 && ngx_http_optcache_stale_within(ctx, window)) {
            return 1;
        }

        break;

    default:
        break;
    }

    return (ctx->conf->use_stale & ngx_http_optcache_stale_mask(r, status))
           && ngx_http_optcache_stale_within(ctx,
                                             NGX_HTTP_OPTCACHE_STALE_MAX);
}


static ngx_uint_t
ngx_http_optcache_stale_within(ngx_http_optcache_ctx_t *ctx, int64_t window)
{
    int64_t  stale;

    stale = ngx_optcache_entry_staleness(&ctx->entry, ngx_time());

    return stale <= window && stale <= ctx->entry.max_stale
           && ctx->entry.max_stale;
}


/*
 * What optcache_use_stale calls it.  A 502 or 504 that no upstream has said is
 * nginx's own: nobody answered, not in time, or not in HTTP.
 */

static ngx_uint_t
ngx_http_optcache_stale_mask(ngx_http_request_t *r, ngx_uint_t status)
{
    ngx_uint_t            made;
    ngx_http_upstream_t  *u;

    u = r->upstream;

    made = u && u->headers_in.status_n != status;

    switch (status) {

    case NGX_HTTP_INTERNAL_SERVER_ERROR:
        return NGX_HTTP_UPSTREAM_FT_HTTP_500;

    case NGX_HTTP_BAD_GATEWAY:

        if (!made) {
            return NGX_HTTP_UPSTREAM_FT_HTTP_502;
        }

        return (u->state && u->state->bytes_received)
               ? NGX_HTTP_UPSTREAM_FT_INVALID_HEADER|NGX_HTTP_UPSTREAM_FT_ERROR
               : NGX_HTTP_UPSTREAM_FT_ERROR;

    case NGX_HTTP_SERVICE_UNAVAILABLE:
        return NGX_HTTP_UPSTREAM_FT_HTTP_503;

    case NGX_HTTP_GATEWAY_TIME_OUT:
        return made ? NGX_HTTP_UPSTREAM_FT_TIMEOUT
                    : NGX_HTTP_UPSTREAM_FT_HTTP_504;

    case NGX_HTTP_FORBIDDEN:
        return NGX_HTTP_UPSTREAM_FT_HTTP_403;

    case NGX_HTTP_NOT_FOUND:
        return NGX_HTTP_UPSTREAM_FT_HTTP_404;

    case NGX_HTTP_TOO_MANY_REQUESTS:
        return NGX_HTTP_UPSTREAM_FT_HTTP_429;

    default:
        return 0;
    }
}


ngx_int_t
ngx_http_optcache_stale_keep(ngx_http_request_t *r,
    ngx_http_optcache_ctx_t *ctx)
{
    ngx_pool_cleanup_t  *cln;

    cln = ngx_pool_cleanup_add(r->pool, 0);
    if (cln == NULL) {
        return NGX_ERROR;
    }

    cln->handler = ngx_http_optcache_stale_cleanup;
    cln->data = ctx;

    return NGX_OK;
}


/* Subrequests have the pool of their main request. */

ngx_http_optcache_ctx_t *
ngx_http_optcache_stale_kept(ngx_http_request_t *r)
{
    ngx_pool_cleanup_t       *cln;
    ngx_http_optcache_ctx_t  *ctx;

    for (cln = r->pool->cleanup; cln; cln = cln->next) {

        if (cln->handler != ngx_http_optcache_stale_cleanup) {
            continue;
        }

        ctx = cln->data;

        if (ctx == NULL || ctx->request != r) {
            continue;
        }

        /* once: what comes next is an answer of its own */

        cln->data = NULL;

        ngx_http_optcache_fetched(r, ctx);

        if (ctx->answered || !ctx->fetched) {
            return NULL;
        }

        if (ctx->background) {
            ctx->refusal = NGX_HTTP_OPTCACHE_REFUSED_ERROR;
            ngx_http_optcache_overtaken(r, ctx);

            return ctx;
        }

        return ngx_http_optcache_stale_error(r, ctx,
                                         ngx_http_optcache_stale_status(r))
               ? ctx : NULL;
    }

    return NULL;
}


ngx_int_t
ngx_http_optcache_stale_send(ngx_http_request_t *r, ngx_http_optcache_ctx_t *ctx)
{
    ngx_http_set_ctx(r, ctx, ngx_http_optcache_module);

    ngx_http_optcache_fetched(r, ctx);
    ngx_http_optcache_unlock(ctx, NGX_OPTCACHE_LOCK_FAILED);

    ctx->answered = 1;
    ctx->status = NGX_HTTP_OPTCACHE_STALE;

    r->err_status = 0;
    r->write_event_handler = ngx_http_request_empty_handler;

    ngx_http_finalize_request(r, ctx->background
                                 ? NGX_OK : ngx_http_optcache_send(r, ctx));
    return NGX_DONE;
}


ngx_uint_t
ngx_http_optcache_stale_status(ngx_http_request_t *r)
{
    ngx_http_upstream_state_t  *state;

    if (r->upstream_states && r->upstream_states->nelts) {
        state = r->upstream_states->elts;

        return state[r->upstream_states->nelts - 1].status;
    }

    return r->err_status;
}


/* It is there to be found. */

static void
ngx_http_optcache_stale_cleanup(void *data)
{
}
