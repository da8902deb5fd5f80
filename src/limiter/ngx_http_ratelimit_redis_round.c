
/*
 * Copyright (C) The Optcache authors
 */


/*
 * One round: the questions of a phase leave, the request waits for the answers
 * and then, perhaps, for its turn, and goes on or is refused.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_captures.h"
#include "ngx_http_ratelimit_redis.h"
#include "ngx_http_wait.h"


static ngx_int_t ngx_http_ratelimit_redis_round_start(ngx_http_request_t *r,
    ngx_http_ratelimit_redis_ctx_t *ctx);
static ngx_int_t ngx_http_ratelimit_redis_round_wait(ngx_http_request_t *r,
    ngx_http_ratelimit_redis_ctx_t *ctx);
static ngx_int_t ngx_http_ratelimit_redis_round_again(ngx_http_request_t *r,
    ngx_http_ratelimit_redis_ctx_t *ctx);
static ngx_int_t ngx_http_ratelimit_redis_round_turn(ngx_http_request_t *r,
    ngx_http_ratelimit_redis_ctx_t *ctx);
static void ngx_http_ratelimit_redis_round_answer_handler(void *data);
static ngx_int_t ngx_http_ratelimit_redis_round_decide(ngx_http_request_t *r,
    ngx_http_ratelimit_redis_ctx_t *ctx);
static ngx_int_t ngx_http_ratelimit_redis_round_verdict(ngx_http_request_t *r,
    ngx_http_ratelimit_redis_ctx_t *ctx, ngx_str_t *body);
static void ngx_http_ratelimit_redis_round_cleanup(void *data);


ngx_int_t
ngx_http_ratelimit_redis_round(ngx_http_request_t *r,
    ngx_http_ratelimit_redis_loc_conf_t *rlcf, ngx_uint_t stage)
{
    ngx_int_t                        rc;
    ngx_http_ratelimit_redis_ctx_t  *ctx;

    if (r->post_action) {

        /* nobody's request: the client's has ended */

        return NGX_DECLINED;
    }

    ctx = ngx_http_ratelimit_redis_get_ctx(r, 1);
    if (ctx == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    switch (ctx->state) {

    case NGX_HTTP_RATELIMIT_REDIS_IDLE:
        ctx->conf = rlcf;
        ctx->stage = stage;

        rc = ngx_http_ratelimit_redis_round_start(r, ctx);

        if (rc == NGX_ERROR) {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }

        if (rc == NGX_AGAIN) {
            return NGX_AGAIN;
        }

        break;

    case NGX_HTTP_RATELIMIT_REDIS_WAITING:
        return NGX_AGAIN;

    case NGX_HTTP_RATELIMIT_REDIS_DELAYING:
        rc = ngx_http_ratelimit_redis_round_turn(r, ctx);

        if (rc == NGX_ERROR) {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }

        if (rc == NGX_AGAIN) {
            return NGX_AGAIN;
        }

        break;

    default: /* NGX_HTTP_RATELIMIT_REDIS_ANSWERED */
        rc = ngx_http_ratelimit_redis_round_again(r, ctx);

        if (rc == NGX_ERROR) {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }

        if (rc == NGX_AGAIN) {
            return NGX_AGAIN;
        }

        break;
    }

    ctx->state = NGX_HTTP_RATELIMIT_REDIS_IDLE;

    return ngx_http_ratelimit_redis_round_decide(r, ctx);
}


/*
 * All questions leave together.  A request that is refused by what is known
 * here asks none.
 */

static ngx_int_t
ngx_http_ratelimit_redis_round_start(ngx_http_request_t *r,
    ngx_http_ratelimit_redis_ctx_t *ctx)
{
    ngx_int_t  rc;

    ctx->pending = 0;
    ctx->again = 0;
    ctx->delayed = 0;

    rc = ngx_http_ratelimit_redis_limits_start(r, ctx,
                               ngx_http_ratelimit_redis_round_answer_handler);

    if (rc == NGX_ERROR) {
        return NGX_ERROR;
    }

    if (rc == NGX_AGAIN) {
        ctx->pending++;
    }

    if (ctx->check.result == NGX_LIMITER_CHECK_PASSED
        && ctx->stage == NGX_HTTP_RATELIMIT_REDIS_ACCESS)
    {
        rc = ngx_http_ratelimit_redis_token_start(r, ctx,
                               ngx_http_ratelimit_redis_round_answer_handler);

        if (rc == NGX_ERROR) {
            ngx_http_ratelimit_redis_round_cleanup(ctx);
            return NGX_ERROR;
        }

        if (rc == NGX_AGAIN) {
            ctx->pending++;
        }
    }

    return ctx->pending ? ngx_http_ratelimit_redis_round_wait(r, ctx) : NGX_OK;
}


static ngx_int_t
ngx_http_ratelimit_redis_round_wait(ngx_http_request_t *r,
    ngx_http_ratelimit_redis_ctx_t *ctx)
{
    if (ngx_http_wait_begin(r) != NGX_OK) {
        ngx_http_ratelimit_redis_round_cleanup(ctx);
        return NGX_ERROR;
    }

    ctx->state = NGX_HTTP_RATELIMIT_REDIS_WAITING;

    return NGX_AGAIN;
}


/*
 * Where many are answered at once some go on in a later turn, and who revokes a
 * token may have been answered before: so that is asked again, and goes on at
 * once then.
 */

static ngx_int_t
ngx_http_ratelimit_redis_round_again(ngx_http_request_t *r,
    ngx_http_ratelimit_redis_ctx_t *ctx)
{
    ngx_int_t  rc;

    if (ctx->again
        || !ngx_http_wait_late()
        || ctx->check.result != NGX_LIMITER_CHECK_PASSED
        || ctx->stage != NGX_HTTP_RATELIMIT_REDIS_ACCESS)
    {
        return NGX_OK;
    }

    rc = ngx_http_ratelimit_redis_token_again(ctx,
                               ngx_http_ratelimit_redis_round_answer_handler);

    if (rc != NGX_AGAIN) {
        return rc;
    }

    ctx->again = 1;
    ctx->pending = 1;

    return ngx_http_ratelimit_redis_round_wait(r, ctx);
}


/*
 * Its turn may have been long in coming: whether the token was revoked
 * meanwhile is asked again.
 */

static ngx_int_t
ngx_http_ratelimit_redis_round_turn(ngx_http_request_t *r,
    ngx_http_ratelimit_redis_ctx_t *ctx)
{
    ngx_int_t  rc;

    ctx->state = NGX_HTTP_RATELIMIT_REDIS_IDLE;
    ctx->delayed = 1;

    rc = ngx_http_ratelimit_redis_token_again(ctx,
                               ngx_http_ratelimit_redis_round_answer_handler);

    if (rc != NGX_AGAIN) {
        return rc;
    }

    ctx->again = 1;
    ctx->pending = 1;

    return ngx_http_ratelimit_redis_round_wait(r, ctx);
}


static void
ngx_http_ratelimit_redis_round_answer_handler(void *data)
{
    ngx_http_ratelimit_redis_ctx_t *ctx = data;

    ngx_int_t            rc;
    ngx_http_request_t  *r;

    if (--ctx->pending) {
        return;
    }

    r = ctx->request;

    rc = ngx_http_wait_end(r);

    if (rc == NGX_DECLINED) {
        ctx->state = NGX_HTTP_RATELIMIT_REDIS_IDLE;
        return;
    }

    ctx->state = NGX_HTTP_RATELIMIT_REDIS_ANSWERED;

    if (ctx->again) {
        ngx_http_wait_run_now(r, rc);
        return;
    }

    ngx_http_wait_run(r, rc);
}


/*
 * Never NGX_OK, which would end the phase for whoever comes after, or grant
 * access under "satisfy any".  A refusal is sent here, not returned, since
 * "satisfy any" would take a 401 or 403 for one opinion among others.
 */

static ngx_int_t
ngx_http_ratelimit_redis_round_decide(ngx_http_request_t *r,
    ngx_http_ratelimit_redis_ctx_t *ctx)
{
    ngx_int_t  rc;
    ngx_str_t  body;

    rc = ngx_http_ratelimit_redis_round_verdict(r, ctx, &body);

    if (rc == NGX_DECLINED) {

        if (ctx->delayed || ctx->check.nitems == 0 || ctx->delay == 0) {
            return NGX_DECLINED;
        }

        rc = ngx_http_ratelimit_redis_delay(r, ctx->delay);

        if (rc == NGX_AGAIN) {
            ctx->state = NGX_HTTP_RATELIMIT_REDIS_DELAYING;
            return NGX_AGAIN;
        }
    }

    if (rc == NGX_ERROR) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ngx_http_finalize_request(r, ngx_http_api_problem_send(r, rc, &body));

    return NGX_DONE;
}


/* The limits have counted who waits for its turn, and do so once. */

static ngx_int_t
ngx_http_ratelimit_redis_round_verdict(ngx_http_request_t *r,
    ngx_http_ratelimit_redis_ctx_t *ctx, ngx_str_t *body)
{
    ngx_int_t  rc;

    if (ctx->delayed) {
        return ngx_http_ratelimit_redis_token_changed(ctx)
               ? ngx_http_ratelimit_redis_token_verdict(r, ctx, body)
               : NGX_DECLINED;
    }

    rc = ngx_http_ratelimit_redis_limits_verdict(r, ctx, body);

    if (rc == NGX_DECLINED && ctx->stage == NGX_HTTP_RATELIMIT_REDIS_ACCESS) {
        rc = ngx_http_ratelimit_redis_token_verdict(r, ctx, body);
    }

    return rc;
}


ngx_http_ratelimit_redis_ctx_t *
ngx_http_ratelimit_redis_get_ctx(ngx_http_request_t *r, ngx_uint_t create)
{
    ngx_pool_cleanup_t              *cln;
    ngx_http_ratelimit_redis_ctx_t  *ctx;

    r = r->main;

    ctx = ngx_http_get_module_ctx(r, ngx_http_ratelimit_redis_module);

    if (ctx) {
        return ctx;
    }

    if (r->internal || r->filter_finalize) {

        /* r->ctx was wiped by an internal redirect */

        for (cln = r->pool->cleanup; cln; cln = cln->next) {
            if (cln->handler == ngx_http_ratelimit_redis_round_cleanup) {
                ngx_http_set_ctx(r, cln->data,
                                 ngx_http_ratelimit_redis_module);
                return cln->data;
            }
        }
    }

    if (!create) {
        return NULL;
    }

    cln = ngx_pool_cleanup_add(r->pool,
                               sizeof(ngx_http_ratelimit_redis_ctx_t));
    if (cln == NULL) {
        return NULL;
    }

    ctx = cln->data;
    ngx_memzero(ctx, sizeof(ngx_http_ratelimit_redis_ctx_t));
    ctx->request = r;
    ctx->token_failed = ngx_http_captures_lost(r);

    cln->handler = ngx_http_ratelimit_redis_round_cleanup;

    ngx_http_set_ctx(r, ctx, ngx_http_ratelimit_redis_module);

    return ctx;
}


/* Nobody waits any more: the request ends, now or with an error to come. */

static void
ngx_http_ratelimit_redis_round_cleanup(void *data)
{
    ngx_http_ratelimit_redis_ctx_t *ctx = data;

    ngx_limiter_check_abandon(&ctx->check);

    if (ctx->revocation) {
        ngx_token_revocation_abandon(ctx->revocation);
    }
}
