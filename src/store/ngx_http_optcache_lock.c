
/*
 * Copyright (C) The Optcache authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_optcache.h"
#include "ngx_http_optcache_count.h"
#include "ngx_http_optcache_lease.h"
#include "ngx_http_optcache_lock.h"
#include "ngx_http_optcache_lock_wait.h"
#include "ngx_http_optcache_public.h"
#include "ngx_rare.h"
#include "ngx_waker.h"


static ngx_rare ngx_int_t ngx_http_optcache_lock_again(ngx_http_request_t *r,
    ngx_http_optcache_ctx_t *ctx);
static ngx_int_t ngx_http_optcache_lock_create(ngx_http_request_t *r,
    ngx_http_optcache_ctx_t *ctx);
static ngx_often ngx_int_t ngx_http_optcache_lock_take(ngx_http_request_t *r,
    ngx_http_optcache_ctx_t *ctx);
static ngx_int_t ngx_http_optcache_lock_look(ngx_http_request_t *r,
    ngx_http_optcache_ctx_t *ctx);
static ngx_rare ngx_uint_t ngx_http_optcache_lock_blocks(ngx_http_request_t *r,
    ngx_http_optcache_lock_t *lk);
static void ngx_http_optcache_lock_release(ngx_http_optcache_lock_t *lk,
    ngx_optcache_lock_outcome_e outcome);
static ngx_often void ngx_http_optcache_lock_cleanup(void *data);


ngx_int_t
ngx_http_optcache_lock(ngx_http_request_t *r, ngx_http_optcache_ctx_t *ctx)
{
    ngx_int_t  rc;

    if (ctx->lock) {
        return ngx_http_optcache_lock_again(r, ctx);
    }

    rc = ngx_http_optcache_lock_create(r, ctx);

    if (rc != NGX_OK) {
        return (rc == NGX_DECLINED) ? NGX_OK : rc;
    }

    return ngx_http_optcache_lock_take(r, ctx);
}


/* For who was woken, or has come back here for another reason. */

static ngx_int_t
ngx_http_optcache_lock_again(ngx_http_request_t *r,
    ngx_http_optcache_ctx_t *ctx)
{
    ngx_int_t                  rc;
    ngx_http_optcache_lock_t  *lk;

    lk = ctx->lock;

    if (lk->leads || lk->over) {
        return NGX_OK;
    }

    if (!ngx_http_optcache_lock_taken(lk)) {
        rc = ngx_http_optcache_lock_look(r, ctx);

        if (rc != NGX_OK || ctx->found || !ctx->store) {
            if (ctx->found) {
                ctx->collapsed = 1;
                ngx_metrics_count(lk->zone->requests,
                                  NGX_HTTP_OPTCACHE_WAITED_HOST);
            }

            return rc;
        }
    }

    if (ngx_http_optcache_lock_left(lk) <= 0) {
        ngx_log_error(NGX_LOG_INFO, r->connection->log, 0,
                      "optcache lock timed out");
        ngx_metrics_count(lk->zone->requests,
                          NGX_HTTP_OPTCACHE_WAITED_TIMEOUT);
        return NGX_OK;
    }

    return ngx_http_optcache_lock_take(r, ctx);
}


/* NGX_DECLINED: the request has no part in this. */

static ngx_int_t
ngx_http_optcache_lock_create(ngx_http_request_t *r,
    ngx_http_optcache_ctx_t *ctx)
{
    ngx_int_t                      rc;
    ngx_pool_cleanup_t            *cln;
    ngx_http_optcache_lock_t      *lk;
    ngx_http_optcache_loc_conf_t  *olcf;

    rc = ngx_http_optcache_lock_applies(r, ctx);

    if (rc != NGX_OK) {
        return rc;
    }

    if (r->internal) {
        ngx_http_optcache_unlock_left(r);
    }

    cln = ngx_pool_cleanup_add(r->pool, sizeof(ngx_http_optcache_lock_t));
    if (cln == NULL) {
        return NGX_ERROR;
    }

    lk = cln->data;

    ngx_memzero(lk, sizeof(ngx_http_optcache_lock_t));

    olcf = ngx_http_get_module_loc_conf(r, ngx_http_optcache_module);

    lk->request = r;
    lk->ctx = ctx;
    lk->zone = ctx->zone;
    lk->timeout = olcf->lock_timeout;
    lk->may_lead = ctx->background || ngx_http_optcache_lock_asks_whole(r);

    cln->handler = ngx_http_optcache_lock_cleanup;

    ctx->lock = lk;

    return NGX_OK;
}


static ngx_int_t
ngx_http_optcache_lock_take(ngx_http_request_t *r,
    ngx_http_optcache_ctx_t *ctx)
{
    ngx_int_t                       rc;
    ngx_http_optcache_lock_t       *lk;
    ngx_http_optcache_main_conf_t  *omcf;

    lk = ctx->lock;

    omcf = ngx_http_get_module_main_conf(r, ngx_http_optcache_module);

    if (ngx_rarely(ngx_optcache_ledger_past(omcf->ledger))) {
        /* its answer is not going to be stored */
        lk->may_lead = 0;
    }

    /* what it depends on may not have been known before */

    if (ctx->absent.key == ctx->key.identity.data) {
        ngx_optcache_lock_init_hash(&lk->lock, ctx->absent.hash);

    } else {
        ngx_optcache_lock_init(lk->zone, &ctx->key.identity, &lk->lock);
    }

    rc = ngx_optcache_lock_take(lk->zone, &lk->lock, lk->may_lead,
                                ngx_waker_number(ngx_http_optcache_lock_waker),
                                ngx_current_msec);

    ngx_log_debug2(NGX_LOG_DEBUG_HTTP, r->connection->log, 0,
                   "optcache lock: %i, hash:%xL", rc, lk->lock.hash);

    if (ngx_rarely(rc == NGX_AGAIN)) {

        if (ctx->background) {
            /* it is being updated */
            ctx->found = 1;
            return NGX_OK;
        }

        if (ngx_http_optcache_lock_blocks(r, lk)) {
            return NGX_OK;
        }

        return ngx_http_optcache_lock_wait(r, lk);
    }

    if (rc == NGX_DECLINED) {
        return NGX_OK;
    }

    /* rc == NGX_OK */

    lk->leads = 1;

    /* it may have been stored since this request has looked */

    rc = ngx_http_optcache_lock_look(r, ctx);

    if (rc == NGX_OK && ngx_rarely(ctx->found)) {
        ngx_http_optcache_unlock(ctx, NGX_OPTCACHE_LOCK_STORED);
    }

    return rc;
}


/* What has been stored is its user's, or everyone's, in this memory. */

static ngx_int_t
ngx_http_optcache_lock_look(ngx_http_request_t *r,
    ngx_http_optcache_ctx_t *ctx)
{
    ngx_http_optcache_loc_conf_t  *olcf;

    olcf = ngx_http_get_module_loc_conf(r, ngx_http_optcache_module);

    return ngx_http_optcache_public_again(r, olcf, ctx);
}


/*
 * Parts of a page are sent one after the other: one that waits holds up those
 * behind it, and must not wait for who waits for one of these.  Those that are
 * behind it began after it did, and cannot lead what was waited for before
 * that, unless it is a part of a part, or waits again.
 */

static ngx_uint_t
ngx_http_optcache_lock_blocks(ngx_http_request_t *r,
    ngx_http_optcache_lock_t *lk)
{
    ngx_pool_cleanup_t        *cln;
    ngx_http_optcache_lock_t  *other;

    if (r == r->main || (r->parent == r->main && !lk->waited)) {
        return 0;
    }

    for (cln = r->pool->cleanup; cln; cln = cln->next) {

        if (cln->handler != ngx_http_optcache_lock_cleanup) {
            continue;
        }

        other = cln->data;

        if (other->leads && !other->over) {
            return 1;
        }
    }

    return 0;
}


ngx_uint_t
ngx_http_optcache_lock_leads(ngx_http_optcache_ctx_t *ctx,
    ngx_msec_int_t *left)
{
    ngx_http_optcache_lock_t  *lk;

    lk = ctx->lock;

    if (lk == NULL || !lk->leads || lk->over) {
        return 0;
    }

    *left = lk->waited ? ngx_http_optcache_lock_left(lk)
                       : (ngx_msec_int_t) lk->timeout;
    return 1;
}


void
ngx_http_optcache_lock_expect(ngx_http_optcache_ctx_t *ctx)
{
    if (ctx->lock && ctx->lock->leads) {
        ngx_optcache_lock_prefetch(ctx->zone, ctx->lock->lock.hash);
    }
}


ngx_often void
ngx_http_optcache_unlock(ngx_http_optcache_ctx_t *ctx,
    ngx_optcache_lock_outcome_e outcome)
{
    if (ctx->lock) {
        ngx_http_optcache_lock_release(ctx->lock, outcome);
    }
}


void
ngx_http_optcache_unlock_header(ngx_http_request_t *r,
    ngx_http_optcache_ctx_t *ctx)
{
    ngx_optcache_lock_outcome_e  outcome;

    if (ctx->stored) {
        outcome = NGX_OPTCACHE_LOCK_STORED;

    } else if (ctx->background
               || ctx->miss == NGX_HTTP_OPTCACHE_MISS_BUSY
               || r->err_status >= NGX_HTTP_INTERNAL_SERVER_ERROR)
    {
        /*
         * An error that nginx made; an update that is tried again; or what is
         * not stored for want of room, and not for what it is.
         */
        outcome = NGX_OPTCACHE_LOCK_FAILED;

    } else {
        outcome = NGX_OPTCACHE_LOCK_PASSED;
    }

    ngx_http_optcache_unlock(ctx, outcome);
}


void
ngx_http_optcache_unlock_left(ngx_http_request_t *r)
{
    ngx_pool_cleanup_t        *cln;
    ngx_http_optcache_ctx_t   *ctx;
    ngx_http_optcache_lock_t  *lk;

    ctx = ngx_http_get_module_ctx(r, ngx_http_optcache_module);

    for (cln = r->pool->cleanup; cln; cln = cln->next) {

        if (cln->handler != ngx_http_optcache_lock_cleanup) {
            continue;
        }

        lk = cln->data;

        if (lk->request != r || lk->ctx == ctx) {
            continue;
        }

        if (r->post_action) {
            /* its client has left before there was an answer */
            ngx_http_optcache_unlock(lk->ctx, NGX_OPTCACHE_LOCK_FAILED);

        } else {
            ngx_http_optcache_unlock_header(r, lk->ctx);
        }
    }
}


static void
ngx_http_optcache_lock_release(ngx_http_optcache_lock_t *lk,
    ngx_optcache_lock_outcome_e outcome)
{
    ngx_optcache_lock_map_t  map;

    if (lk->over) {
        return;
    }

    lk->over = 1;

    ngx_http_optcache_lease_release(lk->ctx, outcome);

    if (!lk->leads
        && (outcome == NGX_OPTCACHE_LOCK_FAILED
            || (outcome == NGX_OPTCACHE_LOCK_PASSED && !lk->may_lead)))
    {
        return;
    }

    ngx_optcache_lock_release(lk->zone, &lk->lock, outcome, ngx_current_msec,
                              map);

    ngx_http_optcache_lock_wake(map,
                 (uint64_t) 1 << ngx_http_optcache_lock_list(lk->lock.hash));
}


static void
ngx_http_optcache_lock_cleanup(void *data)
{
    ngx_http_optcache_lock_t *lk = data;

    if (lk->waits) {
        ngx_http_optcache_lock_end_wait(lk);
    }

    ngx_http_optcache_lock_release(lk, NGX_OPTCACHE_LOCK_FAILED);
}
