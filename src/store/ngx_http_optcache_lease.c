
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
#include "ngx_http_wait.h"
#include "ngx_rare.h"
#include "ngx_redis_reply.h"


static ngx_rare ngx_int_t ngx_http_optcache_lease_again(ngx_http_request_t *r,
    ngx_http_optcache_ctx_t *ctx);
static ngx_uint_t ngx_http_optcache_lease_applies(ngx_http_request_t *r,
    ngx_http_optcache_ctx_t *ctx, ngx_msec_int_t *left);
static ngx_rare ngx_int_t ngx_http_optcache_lease_create(ngx_http_request_t *r,
    ngx_http_optcache_ctx_t *ctx, ngx_msec_int_t left);
static ngx_rare ngx_int_t ngx_http_optcache_lease_ask(ngx_http_request_t *r,
    ngx_http_optcache_ctx_t *ctx);
static ngx_rare ngx_int_t ngx_http_optcache_lease_stall(ngx_http_request_t *r,
    ngx_http_optcache_ctx_t *ctx);
static void ngx_http_optcache_lease_take_handler(void *data,
    ngx_redis_result_e result, redisReply *reply);
static void ngx_http_optcache_lease_answer(ngx_http_optcache_lease_t *ls,
    ngx_redis_result_e result, redisReply *reply);
static ngx_rare void ngx_http_optcache_lease_found(
    ngx_http_optcache_ctx_t *ctx);
static ngx_rare void ngx_http_optcache_lease_leave(
    ngx_http_optcache_lease_t *ls, ngx_msec_t uncacheable);
static void ngx_http_optcache_lease_renew_timer_handler(ngx_event_t *ev);
static void ngx_http_optcache_lease_renew_handler(void *data,
    ngx_redis_result_e result, redisReply *reply);


ngx_int_t
ngx_http_optcache_lease_init(ngx_conf_t *cf,
    ngx_http_optcache_main_conf_t *omcf)
{
    u_char     *p;
    ngx_str_t   prefix;

    if (omcf->redis == NULL || !omcf->leases) {
        return NGX_OK;
    }

    /* the name of an entry has no brace behind that of its zone */

    prefix.len = omcf->prefix.len + sizeof("l:{") - 1;
    prefix.data = ngx_pnalloc(cf->pool, prefix.len);

    if (prefix.data == NULL) {
        return NGX_ERROR;
    }

    p = ngx_cpymem(prefix.data, omcf->prefix.data, omcf->prefix.len);
    ngx_memcpy(p, "l:{", sizeof("l:{") - 1);

    omcf->watch = ngx_optcache_watch_create(cf, &prefix,
                                            &ngx_http_optcache_module);

    return omcf->watch ? NGX_OK : NGX_ERROR;
}


ngx_int_t
ngx_http_optcache_lease_init_process(ngx_cycle_t *cycle,
    ngx_http_optcache_main_conf_t *omcf)
{
    ngx_http_optcache_lease_wait_init();

    if (omcf->watch == NULL) {
        return NGX_OK;
    }

    return ngx_optcache_watch_open(omcf->watch, cycle, omcf->redis,
                                   ngx_http_optcache_lock_waker);
}


void
ngx_http_optcache_lease_exit_process(ngx_http_optcache_main_conf_t *omcf)
{
    if (omcf->watch) {
        ngx_optcache_watch_close(omcf->watch);
    }
}


ngx_int_t
ngx_http_optcache_lease(ngx_http_request_t *r, ngx_http_optcache_ctx_t *ctx)
{
    ngx_msec_int_t  left;

    if (ctx->lease) {
        return ngx_http_optcache_lease_again(r, ctx);
    }

    if (!ngx_http_optcache_lease_applies(r, ctx, &left)) {
        return NGX_OK;
    }

    if (ngx_http_optcache_lease_create(r, ctx, left) != NGX_OK) {
        return NGX_ERROR;
    }

    return ngx_http_optcache_lease_ask(r, ctx);
}


/* For who has asked, or waits. */

static ngx_int_t
ngx_http_optcache_lease_again(ngx_http_request_t *r,
    ngx_http_optcache_ctx_t *ctx)
{
    ngx_http_optcache_lease_t  *ls;

    ls = ctx->lease;

    if (ls->over) {
        return NGX_OK;
    }

    if (ls->state == NGX_HTTP_OPTCACHE_LEASE_ASKED) {
        return ngx_http_optcache_lease_stall(r, ctx);
    }

    if (ctx->found) {
        ngx_http_optcache_lease_found(ctx);
        return NGX_OK;
    }

    if (ls->identity != ctx->key.identity.data) {

        /* the lease is of what tells what the answers depend on */

        ngx_http_optcache_lease_leave(ls, 0);

        return ngx_http_optcache_lease_ask(r, ctx);
    }

    switch (ls->state) {

    case NGX_HTTP_OPTCACHE_LEASE_OTHER:

        if (ctx->background) {
            /* it is being updated, and who asks next looks for it in Redis */
            ctx->found = 1;

            /* the client whose pool this is of may be slow */
            ngx_http_optcache_unlock(ctx, NGX_OPTCACHE_LOCK_FAILED);

            return NGX_OK;
        }

        return ngx_http_optcache_lease_wait(r, ls);

    case NGX_HTTP_OPTCACHE_LEASE_TOLD:
        return ngx_http_optcache_lease_ask(r, ctx);

    case NGX_HTTP_OPTCACHE_LEASE_PASSED:
        /* nobody of this host is to wait for it, either */
        ngx_http_optcache_unlock(ctx, NGX_OPTCACHE_LOCK_PASSED);
        return NGX_OK;

    default: /* it leads, or does without */
        return NGX_OK;
    }
}


/*
 * Who leads on this host, if Redis has just said that it has nothing, or was
 * not asked, for something stale is there.
 */

static ngx_uint_t
ngx_http_optcache_lease_applies(ngx_http_request_t *r,
    ngx_http_optcache_ctx_t *ctx, ngx_msec_int_t *left)
{
    ngx_http_optcache_main_conf_t  *omcf;

    omcf = ngx_http_get_module_main_conf(r, ngx_http_optcache_module);

    return ngx_rarely(ctx->redis || (ctx->background && ctx->conf->redis))
           && omcf->watch
           && ngx_http_optcache_lock_leads(ctx, left)
           && ngx_optcache_watch_trusted(omcf->watch);
}


static ngx_int_t
ngx_http_optcache_lease_create(ngx_http_request_t *r,
    ngx_http_optcache_ctx_t *ctx, ngx_msec_int_t left)
{
    ngx_pool_cleanup_t             *cln;
    ngx_http_optcache_lease_t      *ls;
    ngx_http_optcache_main_conf_t  *omcf;

    cln = ngx_pool_cleanup_add(r->pool, sizeof(ngx_http_optcache_lease_t));
    if (cln == NULL) {
        return NGX_ERROR;
    }

    ls = cln->data;

    ngx_memzero(ls, sizeof(ngx_http_optcache_lease_t));

    if (ngx_http_optcache_lease_token(ls->token) != NGX_OK) {
        return NGX_ERROR;
    }

    omcf = ngx_http_get_module_main_conf(r, ngx_http_optcache_module);

    ls->request = r;
    ls->ctx = ctx;
    ls->client = omcf->client;
    ls->watch = omcf->watch;
    ls->deadline = ngx_current_msec + left;

    ls->timer.data = ls;
    ls->timer.log = r->connection->log;

    cln->handler = ngx_http_optcache_lease_cleanup;

    ctx->lease = ls;

    return NGX_OK;
}


static ngx_int_t
ngx_http_optcache_lease_ask(ngx_http_request_t *r,
    ngx_http_optcache_ctx_t *ctx)
{
    ngx_int_t                   rc;
    ngx_http_optcache_lease_t  *ls;

    ls = ctx->lease;

    ls->state = NGX_HTTP_OPTCACHE_LEASE_NONE;

    if (ls->identity != ctx->key.identity.data) {

        if (ngx_http_optcache_lease_name(r, ctx, &ls->name) != NGX_OK) {
            return NGX_ERROR;
        }

        ls->identity = ctx->key.identity.data;
        ls->hash = ngx_optcache_watch_hash(&ls->name);
    }

    ls->note = ngx_optcache_watch_note(ls->watch, ls->hash);
    ls->asked = ngx_current_msec;
    ls->times++;

    ls->command = ngx_http_optcache_lease_take(ls->client, &ls->name,
                                          ls->token,
                                          ngx_http_optcache_lease_take_handler,
                                          ls);
    if (ls->command == NULL) {
        return NGX_OK;
    }

    ls->state = NGX_HTTP_OPTCACHE_LEASE_ASKED;

    rc = ngx_http_optcache_lookup_l2(r, ctx);

    if (rc == NGX_AGAIN && ls->waited) {
        /* it may have been stored for everyone */
        ctx->sharing = 0;
        ctx->shared = 0;
    }

    return (rc == NGX_OK) ? ngx_http_optcache_lease_stall(r, ctx) : rc;
}


/* The entry was told of, or not asked for, and the lease was not told of. */

static ngx_int_t
ngx_http_optcache_lease_stall(ngx_http_request_t *r,
    ngx_http_optcache_ctx_t *ctx)
{
    if (ngx_http_wait_begin(r) != NGX_OK) {
        return NGX_ERROR;
    }

    ctx->lease->stalls = 1;
    ctx->waiting = 1;

    return NGX_AGAIN;
}


static void
ngx_http_optcache_lease_take_handler(void *data, ngx_redis_result_e result,
    redisReply *reply)
{
    ngx_http_optcache_lease_t *ls = data;

    ls->command = NULL;

    ngx_http_optcache_lease_answer(ls, result, reply);

    ngx_log_debug2(NGX_LOG_DEBUG_HTTP, ls->request->connection->log, 0,
                   "optcache lease state:%ui times:%ui",
                   (ngx_uint_t) ls->state, ls->times);

    if (ls->state == NGX_HTTP_OPTCACHE_LEASE_LEADS) {
        ngx_metrics_count(ls->ctx->zone->requests, NGX_HTTP_OPTCACHE_LEASES);

        ls->timer.handler = ngx_http_optcache_lease_renew_timer_handler;
        ngx_add_timer(&ls->timer, NGX_HTTP_OPTCACHE_LEASE_RENEW);
    }

    if (ls->stalls) {
        ls->stalls = 0;
        ls->ctx->waiting = 0;

        ngx_http_optcache_lease_resume(ls);
    }
}


static void
ngx_http_optcache_lease_answer(ngx_http_optcache_lease_t *ls,
    ngx_redis_result_e result, redisReply *reply)
{
    int64_t  value;

    ls->state = NGX_HTTP_OPTCACHE_LEASE_NONE;

    if (result == NGX_REDIS_TIMEOUT || result == NGX_REDIS_CLOSED) {
        /* it may have been taken all the same */
        ngx_http_optcache_lease_end(ls->client, &ls->name, ls->token, 0,
                                    0);
        return;
    }

    if (result != NGX_REDIS_REPLY
        || ngx_redis_reply_integer(reply, &value) != NGX_OK)
    {
        return;
    }

    if (value == NGX_HTTP_OPTCACHE_LEASE_TAKEN) {
        ls->state = NGX_HTTP_OPTCACHE_LEASE_LEADS;

    } else if (value == NGX_HTTP_OPTCACHE_LEASE_UNCACHEABLE) {
        ls->state = NGX_HTTP_OPTCACHE_LEASE_PASSED;

    } else if (value > 0) {
        value = ngx_min(value, NGX_HTTP_OPTCACHE_LEASE_TIME);

        ls->until = ngx_current_msec
                    + ngx_max(value, NGX_HTTP_OPTCACHE_LEASE_LEAST);
        ls->state = NGX_HTTP_OPTCACHE_LEASE_OTHER;
    }
}


/* Others of this host find it in its memory. */

static void
ngx_http_optcache_lease_found(ngx_http_optcache_ctx_t *ctx)
{
    if (ctx->lease->waited) {
        ctx->collapsed = 1;
        ngx_metrics_count(ctx->zone->requests, NGX_HTTP_OPTCACHE_WAITED_HOSTS);
    }

    ngx_http_optcache_unlock(ctx, NGX_OPTCACHE_LOCK_STORED);
}


static void
ngx_http_optcache_lease_renew_timer_handler(ngx_event_t *ev)
{
    ngx_http_optcache_lease_t  *ls;

    ls = ev->data;

    if (ls->command == NULL) {
        ls->command = ngx_http_optcache_lease_renew(ls->client, &ls->name,
                                         ls->token,
                                         ngx_http_optcache_lease_renew_handler,
                                         ls);
    }

    ngx_add_timer(&ls->timer, NGX_HTTP_OPTCACHE_LEASE_RENEW);
}


static void
ngx_http_optcache_lease_renew_handler(void *data, ngx_redis_result_e result,
    redisReply *reply)
{
    ngx_http_optcache_lease_t *ls = data;

    int64_t  value;

    ls->command = NULL;

    if (result == NGX_REDIS_REPLY
        && ngx_redis_reply_integer(reply, &value) == NGX_OK
        && value == 0)
    {
        /* it came too late, and another one may have it */

        ls->state = NGX_HTTP_OPTCACHE_LEASE_NONE;
        ngx_del_timer(&ls->timer);
    }
}


ngx_often void
ngx_http_optcache_lease_release(ngx_http_optcache_ctx_t *ctx,
    ngx_optcache_lock_outcome_e outcome)
{
    ngx_http_optcache_lease_t  *ls;

    ls = ctx->lease;

    if (ls == NULL || ls->over) {
        return;
    }

    ls->over = 1;

    if (ls->waits) {
        ngx_http_optcache_lease_end_wait(ls);
    }

    ngx_http_optcache_lease_leave(ls, (outcome == NGX_OPTCACHE_LOCK_PASSED)
                                      ? NGX_OPTCACHE_LOCK_UNCACHEABLE : 0);
}


/* Ends the lease if it has one, or may have. */

static void
ngx_http_optcache_lease_leave(ngx_http_optcache_lease_t *ls,
    ngx_msec_t uncacheable)
{
    if (ls->command) {
        ngx_redis_command_abandon(ls->command);
        ls->command = NULL;
    }

    if (ls->timer.timer_set) {
        ngx_del_timer(&ls->timer);
    }

    switch (ls->state) {

    case NGX_HTTP_OPTCACHE_LEASE_LEADS:
        ngx_http_optcache_lease_end(ls->client, &ls->name, ls->token,
                                    uncacheable, ls->ctx->large);
        break;

    case NGX_HTTP_OPTCACHE_LEASE_ASKED:
        ngx_http_optcache_lease_end(ls->client, &ls->name, ls->token, 0,
                                    0);
        break;

    default:
        break;
    }

    ls->state = NGX_HTTP_OPTCACHE_LEASE_NONE;
}


void
ngx_http_optcache_lease_cleanup(void *data)
{
    ngx_http_optcache_lease_t *ls = data;

    ngx_http_optcache_lease_release(ls->ctx, NGX_OPTCACHE_LOCK_FAILED);
}
