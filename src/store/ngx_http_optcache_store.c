
/*
 * Copyright (C) The Optcache authors
 */


/* What is stored, in both levels, and removed from them. */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_optcache.h"
#include "ngx_http_optcache_count.h"
#include "ngx_http_optcache_marks.h"
#include "ngx_http_optcache_refusal.h"
#include "ngx_rare.h"


static void ngx_http_optcache_store_remove(ngx_http_request_t *r,
    ngx_http_optcache_ctx_t *ctx, ngx_str_t *key);
static void ngx_http_optcache_store_refused(ngx_http_optcache_ctx_t *ctx,
    ngx_optcache_entry_t *e, ngx_uint_t why);
static ngx_redis_command_t *ngx_http_optcache_store_send(
    ngx_http_optcache_main_conf_t *omcf, ngx_optcache_l1_t *counted,
    ngx_str_t *argv, ngx_uint_t argc);
static void ngx_http_optcache_store_unstored(ngx_optcache_l1_t *counted,
    ngx_uint_t why);
static void ngx_http_optcache_store_handler(void *data,
    ngx_redis_result_e result, redisReply *reply);


void
ngx_http_optcache_remove(ngx_http_request_t *r, ngx_http_optcache_ctx_t *ctx)
{
    /* with what it depends on goes all that does */

    ngx_http_optcache_store_remove(r, ctx, &ctx->base);
}


void
ngx_http_optcache_remove_entry(ngx_http_request_t *r,
    ngx_http_optcache_ctx_t *ctx, ngx_optcache_entry_t *e)
{
    ngx_http_optcache_store_remove(r, ctx, &e->key);
}


static void
ngx_http_optcache_store_remove(ngx_http_request_t *r,
    ngx_http_optcache_ctx_t *ctx, ngx_str_t *key)
{
    ngx_str_t                       argv[2];
    ngx_http_optcache_main_conf_t  *omcf;

    ngx_optcache_l1_remove(ctx->zone, key);

    omcf = ngx_http_get_module_main_conf(r, ngx_http_optcache_module);

    if (omcf->client == NULL
        || ngx_http_optcache_store_name(omcf, ctx->zone, r->pool, key,
                                        &argv[1])
           != NGX_OK)
    {
        return;
    }

    ngx_str_set(&argv[0], "DEL");

    (void) ngx_redis_client_send(omcf->client, 2, argv, 1,
                                 ngx_http_optcache_store_handler, NULL);
}


ngx_often void
ngx_http_optcache_store(ngx_http_request_t *r, ngx_http_optcache_ctx_t *ctx,
    ngx_optcache_entry_t *e)
{
    ngx_http_optcache_main_conf_t  *omcf;

    if (!ngx_optcache_entry_fresh(e, ngx_time())
        && ngx_optcache_entry_use(e, ngx_time()) <= 0)
    {
        /* its body took longer than it is of use */
        ngx_http_optcache_store_refused(ctx, e,
                                        NGX_HTTP_OPTCACHE_REFUSED_FRESHNESS);
        return;
    }

    if (ngx_http_optcache_marks_check(r, ctx, e) != NGX_OPTCACHE_LEDGER_VALID)
    {
        ngx_log_debug0(NGX_LOG_DEBUG_HTTP, r->connection->log, 0,
                       "optcache response was invalidated under way");
        ctx->overtaken = 1;
        ngx_http_optcache_store_refused(ctx, e,
                                       NGX_HTTP_OPTCACHE_REFUSED_INVALIDATED);
        return;
    }

    if (ngx_optcache_l1_store_absent(ctx->zone, e, &ctx->absent) != NGX_OK) {
        ngx_http_optcache_store_refused(ctx, e,
                                        NGX_HTTP_OPTCACHE_REFUSED_MEMORY);

    } else if (e->status) {
        ctx->stored = 1;
        ngx_metrics_count(ctx->zone->answers, NGX_HTTP_OPTCACHE_STORED_L1);
    }

    omcf = ngx_http_get_module_main_conf(r, ngx_http_optcache_module);

    if (ctx->conf->redis) {
        ctx->large = ngx_http_optcache_store_l2(omcf, ctx->zone, r->pool, e,
                                                0);
    }
}


/* What tells what answers depend on is none itself. */

static void
ngx_http_optcache_store_refused(ngx_http_optcache_ctx_t *ctx,
    ngx_optcache_entry_t *e, ngx_uint_t why)
{
    if (e->status) {
        ctx->refusal = why;
        ngx_http_optcache_count_refused(ctx);
    }
}


ngx_often ngx_uint_t
ngx_http_optcache_store_l2(ngx_http_optcache_main_conf_t *omcf,
    ngx_optcache_l1_t *zone, ngx_pool_t *pool, ngx_optcache_entry_t *e,
    ngx_uint_t replace)
{
    u_char                ttl[NGX_INT64_LEN];
    int64_t               use;
    ngx_str_t             argv[6];
    ngx_optcache_l1_t    *counted;
    ngx_redis_command_t  *cmd;

    if (omcf->client == NULL
        || ngx_rarely(!ngx_optcache_ledger_follows(omcf->ledger)))
    {
        return 0;
    }

    use = ngx_optcache_entry_use(e, ngx_time());

    if (use <= 0) {
        /* Redis takes no EX 0 */
        return 0;
    }

    /* what a thread has compressed is of an answer that is counted already */

    counted = (replace || e->status == 0) ? NULL : zone;

    if (ngx_redis_client_state(omcf->client) == NGX_REDIS_DOWN) {
        ngx_http_optcache_store_unstored(counted,
                                         NGX_HTTP_OPTCACHE_UNSTORED_REJECTED);
        return 0;
    }

    if (ngx_optcache_entry_size(e) > NGX_REDIS_CLIENT_MAX) {
        ngx_http_optcache_store_unstored(counted,
                                         NGX_HTTP_OPTCACHE_UNSTORED_SIZE);
        return 0;
    }

    if (ngx_http_optcache_store_name(omcf, zone, pool, &e->key, &argv[1])
        != NGX_OK)
    {
        return 0;
    }

    ngx_str_set(&argv[0], "SET");

    if (ngx_optcache_entry_encode(pool, e, &argv[2]) != NGX_OK) {
        return 0;
    }

    ngx_str_set(&argv[3], "EX");
    argv[4].data = ttl;
    argv[4].len = ngx_sprintf(ttl, "%L", use) - ttl;

    ngx_str_set(&argv[5], "XX");

    cmd = ngx_http_optcache_store_send(omcf, counted, argv, replace ? 6 : 5);

    /* the client has its own copy; a large one need not stay till the end */

    (void) ngx_pfree(pool, argv[2].data);

    return cmd && argv[2].len >= NGX_HTTP_OPTCACHE_LARGE;
}


static ngx_redis_command_t *
ngx_http_optcache_store_send(ngx_http_optcache_main_conf_t *omcf,
    ngx_optcache_l1_t *counted, ngx_str_t *argv, ngx_uint_t argc)
{
    ngx_redis_command_t  *cmd;

    if (argv[2].len >= NGX_HTTP_OPTCACHE_LARGE) {
        cmd = ngx_redis_client_send_large(omcf->client, argc, argv, 1,
                                          ngx_http_optcache_store_handler,
                                          counted);

    } else {
        cmd = ngx_redis_client_send(omcf->client, argc, argv, 1,
                                    ngx_http_optcache_store_handler, counted);
    }

    if (cmd == NULL) {
        ngx_http_optcache_store_unstored(counted,
                                         NGX_HTTP_OPTCACHE_UNSTORED_REJECTED);
    }

    return cmd;
}


/* It is in L1, perhaps; elsewhere it is a miss. */

static void
ngx_http_optcache_store_unstored(ngx_optcache_l1_t *counted, ngx_uint_t why)
{
    if (counted) {
        ngx_metrics_count(counted->answers, why);
    }
}


ngx_int_t
ngx_http_optcache_store_name(ngx_http_optcache_main_conf_t *omcf,
    ngx_optcache_l1_t *zone, ngx_pool_t *pool, ngx_str_t *identity,
    ngx_str_t *name)
{
    ngx_optcache_key_t  key;

    key.identity = *identity;

    return ngx_optcache_key_name(pool, &omcf->prefix, &zone->name, &key,
                                 name);
}


static void
ngx_http_optcache_store_handler(void *data, ngx_redis_result_e result,
    redisReply *reply)
{
    ngx_optcache_l1_t *zone = data;

    ngx_http_optcache_refusal(NGX_HTTP_OPTCACHE_REFUSAL_SET, reply);

    /* nobody waits: what was not stored is a miss next time */

    if (zone && result == NGX_REDIS_REPLY) {
        ngx_metrics_count(zone->answers, NGX_HTTP_OPTCACHE_STORED_L2);

    } else {
        ngx_http_optcache_store_unstored(zone,
                                         NGX_HTTP_OPTCACHE_UNSTORED_FAILED);
    }
}
