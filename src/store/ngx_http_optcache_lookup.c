
/*
 * Copyright (C) The Optcache authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_optcache.h"
#include "ngx_http_rfc9111_freshness.h"
#include "ngx_http_wait.h"


static void ngx_http_optcache_lookup_found(ngx_http_request_t *r,
    ngx_http_optcache_ctx_t *ctx, ngx_http_optcache_layer_e layer);
static ngx_uint_t ngx_http_optcache_lookup_usable(ngx_http_optcache_ctx_t *ctx,
    time_t now);
static ngx_int_t ngx_http_optcache_lookup_l2(ngx_http_request_t *r,
    ngx_http_optcache_ctx_t *ctx);
static void ngx_http_optcache_reply_handler(void *data,
    ngx_redis_result_e result, redisReply *reply);
static void ngx_http_optcache_lookup_reply(ngx_http_request_t *r,
    ngx_http_optcache_ctx_t *ctx, redisReply *reply);
static ngx_int_t ngx_http_optcache_lookup_keep(ngx_http_request_t *r,
    ngx_http_optcache_ctx_t *ctx, ngx_str_t *value);
static void ngx_http_optcache_lookup_cleanup(void *data);
static ngx_int_t ngx_http_optcache_lookup_name(ngx_http_request_t *r,
    ngx_http_optcache_ctx_t *ctx);
static void ngx_http_optcache_done_handler(void *data,
    ngx_redis_result_e result, redisReply *reply);


ngx_int_t
ngx_http_optcache_lookup(ngx_http_request_t *r, ngx_http_optcache_ctx_t *ctx)
{
    ngx_int_t  rc;

    rc = ngx_optcache_l1_lookup(ctx->zone, &ctx->key.identity, r->pool,
                                &ctx->entry);

    if (rc == NGX_ERROR) {
        return NGX_ERROR;
    }

    if (rc == NGX_OK) {
        ngx_http_optcache_lookup_found(r, ctx, NGX_HTTP_OPTCACHE_L1);

        if (ctx->found) {
            return NGX_OK;
        }
    }

    /* not here, or stale here: another host may have stored a newer one */

    return ngx_http_optcache_lookup_l2(r, ctx);
}


static void
ngx_http_optcache_lookup_found(ngx_http_request_t *r,
    ngx_http_optcache_ctx_t *ctx, ngx_http_optcache_layer_e layer)
{
    time_t  now;

    now = ngx_time();

    ngx_log_debug4(NGX_LOG_DEBUG_HTTP, r->connection->log, 0,
                   "optcache l%ui entry, status:%ui age:%T lifetime:%uD",
                   (ngx_uint_t) layer, ctx->entry.status,
                   ngx_optcache_entry_age(&ctx->entry, now),
                   ctx->entry.lifetime);

    if (!ngx_http_optcache_lookup_usable(ctx, now)) {
        ctx->status = NGX_HTTP_OPTCACHE_EXPIRED;
        return;
    }

    if (!ngx_http_optcache_acceptable(r, &ctx->entry)) {
        return;
    }

    ctx->status = NGX_HTTP_OPTCACHE_HIT;
    ctx->layer = layer;
    ctx->found = 1;
}


/* Fresh, and fresh enough for this client. */

static ngx_uint_t
ngx_http_optcache_lookup_usable(ngx_http_optcache_ctx_t *ctx, time_t now)
{
    if (ctx->asked == NULL) {
        return ngx_optcache_entry_fresh(&ctx->entry, now);
    }

    return ngx_http_rfc9111_reuse(ctx->asked, NULL, ctx->key.shared,
                                  ngx_optcache_entry_age(&ctx->entry, now),
                                  ctx->entry.lifetime)
           == NGX_HTTP_RFC9111_FRESH;
}


static ngx_int_t
ngx_http_optcache_lookup_l2(ngx_http_request_t *r,
    ngx_http_optcache_ctx_t *ctx)
{
    ngx_str_t                       argv[2];
    ngx_pool_cleanup_t             *cln;
    ngx_http_optcache_main_conf_t  *omcf;

    omcf = ngx_http_get_module_main_conf(r, ngx_http_optcache_module);

    if (omcf->client == NULL) {
        return NGX_OK;
    }

    if (ngx_http_optcache_lookup_name(r, ctx) != NGX_OK) {
        return NGX_ERROR;
    }

    cln = ngx_pool_cleanup_add(r->pool, 0);
    if (cln == NULL) {
        return NGX_ERROR;
    }

    ngx_str_set(&argv[0], "GET");
    argv[1] = ctx->name;

    ctx->command = ngx_redis_client_send(omcf->client, 2, argv, 1,
                                         ngx_http_optcache_reply_handler, ctx);
    if (ctx->command == NULL) {
        /* no second level now: the client has said so in the log */
        return NGX_OK;
    }

    cln->handler = ngx_http_optcache_lookup_cleanup;
    cln->data = ctx;

    if (ngx_http_wait_begin(r) != NGX_OK) {
        ngx_http_optcache_lookup_cleanup(ctx);
        return NGX_ERROR;
    }

    ctx->waiting = 1;

    return NGX_AGAIN;
}


static void
ngx_http_optcache_reply_handler(void *data, ngx_redis_result_e result,
    redisReply *reply)
{
    ngx_http_optcache_ctx_t *ctx = data;

    ngx_int_t            rc;
    ngx_connection_t    *c;
    ngx_http_request_t  *r;

    r = ctx->request;
    c = r->connection;

    ctx->command = NULL;
    ctx->waiting = 0;

    /* the request may wait for something else by now, as its post_action */

    if (ngx_http_get_module_ctx(r, ngx_http_optcache_module) != ctx) {
        return;
    }

    rc = ngx_http_wait_end(r);

    if (rc == NGX_DECLINED) {
        return;
    }

    ngx_log_debug2(NGX_LOG_DEBUG_HTTP, c->log, 0,
                   "optcache l2 reply, result:%ui type:%d",
                   (ngx_uint_t) result, reply ? reply->type : 0);

    if (result == NGX_REDIS_REPLY && reply->type == REDIS_REPLY_STRING) {
        ngx_http_optcache_lookup_reply(r, ctx, reply);
    }

    if (rc == NGX_OK) {
        r->write_event_handler = ngx_http_core_run_phases;
        ngx_http_core_run_phases(r);

    } else {
        ngx_http_finalize_request(r, NGX_HTTP_INTERNAL_SERVER_ERROR);
    }

    ngx_http_run_posted_requests(c);
}


/*
 * The entry goes to L1 and is served from there.  Only when L1 has no room is
 * the reply, which is freed when its handler returns, copied for the request.
 */

static void
ngx_http_optcache_lookup_reply(ngx_http_request_t *r,
    ngx_http_optcache_ctx_t *ctx, redisReply *reply)
{
    ngx_int_t             rc;
    ngx_str_t             value;
    ngx_optcache_entry_t  e;

    value.data = (u_char *) reply->str;
    value.len = reply->len;

    rc = ngx_optcache_entry_decode(r->pool, &value, &ctx->key.identity,
                                   ngx_time(), &e);
    if (rc == NGX_DECLINED) {
        ngx_log_error(NGX_LOG_WARN, r->connection->log, 0,
                      "optcache found no valid entry in the value of \"%V\"",
                      &ctx->name);
    }

    if (rc != NGX_OK || !ngx_optcache_entry_fresh(&e, ngx_time())) {
        return;
    }

    if (e.date <= ctx->entry.date) {
        /* what was found in L1, and would not do, is no older */
        return;
    }

    if (ngx_optcache_l1_store(ctx->zone, &e) == NGX_OK) {
        rc = ngx_optcache_l1_lookup(ctx->zone, &ctx->key.identity, r->pool,
                                    &ctx->entry);
    } else {
        rc = NGX_DECLINED;
    }

    if (rc == NGX_DECLINED) {
        rc = ngx_http_optcache_lookup_keep(r, ctx, &value);
    }

    if (rc == NGX_OK) {
        ngx_http_optcache_lookup_found(r, ctx, NGX_HTTP_OPTCACHE_L2);
    }
}


static ngx_int_t
ngx_http_optcache_lookup_keep(ngx_http_request_t *r,
    ngx_http_optcache_ctx_t *ctx, ngx_str_t *value)
{
    ngx_str_t  copy;

    copy.len = value->len;
    copy.data = ngx_pnalloc(r->pool, value->len);

    if (copy.data == NULL) {
        return NGX_ERROR;
    }

    ngx_memcpy(copy.data, value->data, value->len);

    return ngx_optcache_entry_decode(r->pool, &copy, &ctx->key.identity,
                                     ngx_time(), &ctx->entry);
}


static void
ngx_http_optcache_lookup_cleanup(void *data)
{
    ngx_http_optcache_ctx_t *ctx = data;

    if (ctx->command) {
        ngx_redis_command_abandon(ctx->command);
        ctx->command = NULL;
    }
}


void
ngx_http_optcache_remove(ngx_http_request_t *r, ngx_http_optcache_ctx_t *ctx)
{
    ngx_str_t                       argv[2];
    ngx_http_optcache_main_conf_t  *omcf;

    ngx_optcache_l1_remove(ctx->zone, &ctx->key.identity);

    omcf = ngx_http_get_module_main_conf(r, ngx_http_optcache_module);

    if (omcf->client == NULL
        || ngx_http_optcache_lookup_name(r, ctx) != NGX_OK)
    {
        return;
    }

    ngx_str_set(&argv[0], "DEL");
    argv[1] = ctx->name;

    (void) ngx_redis_client_send(omcf->client, 2, argv, 1,
                                 ngx_http_optcache_done_handler, NULL);
}


void
ngx_http_optcache_store(ngx_http_request_t *r, ngx_http_optcache_ctx_t *ctx,
    ngx_optcache_entry_t *e)
{
    time_t                          left;
    u_char                          ttl[NGX_TIME_T_LEN];
    ngx_str_t                       argv[5];
    ngx_http_optcache_main_conf_t  *omcf;

    left = (time_t) e->lifetime - ngx_optcache_entry_age(e, ngx_time());

    if (left <= 0) {
        /* its body took longer than it is fresh; Redis takes no EX 0 */
        return;
    }

    (void) ngx_optcache_l1_store(ctx->zone, e);

    omcf = ngx_http_get_module_main_conf(r, ngx_http_optcache_module);

    if (omcf->client == NULL
        || ngx_redis_client_state(omcf->client) == NGX_REDIS_DOWN
        || ngx_http_optcache_lookup_name(r, ctx) != NGX_OK)
    {
        return;
    }

    ngx_str_set(&argv[0], "SET");
    argv[1] = ctx->name;

    if (ngx_optcache_entry_encode(r->pool, e, &argv[2]) != NGX_OK) {
        return;
    }

    ngx_str_set(&argv[3], "EX");
    argv[4].data = ttl;
    argv[4].len = ngx_sprintf(ttl, "%T", left) - ttl;

    (void) ngx_redis_client_send(omcf->client, 5, argv, 1,
                                 ngx_http_optcache_done_handler, NULL);

    /* the client has its own copy; a large one need not stay till the end */

    (void) ngx_pfree(r->pool, argv[2].data);
}


static ngx_int_t
ngx_http_optcache_lookup_name(ngx_http_request_t *r,
    ngx_http_optcache_ctx_t *ctx)
{
    ngx_http_optcache_main_conf_t  *omcf;

    if (ctx->name.len) {
        return NGX_OK;
    }

    omcf = ngx_http_get_module_main_conf(r, ngx_http_optcache_module);

    return ngx_optcache_key_name(r->pool, &omcf->prefix, &ctx->zone->name,
                                 &ctx->key, &ctx->name);
}


static void
ngx_http_optcache_done_handler(void *data, ngx_redis_result_e result,
    redisReply *reply)
{
    /* nobody waits: what was not stored is a miss next time */
}
