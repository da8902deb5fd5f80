
/*
 * Copyright (C) The Optcache authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_optcache.h"
#include "ngx_http_optcache_count.h"
#include "ngx_http_optcache_marks.h"
#include "ngx_http_optcache_refusal.h"
#include "ngx_http_optcache_request.h"
#include "ngx_http_optcache_search.h"
#include "ngx_http_optcache_vary.h"
#include "ngx_http_rfc9111_freshness.h"
#include "ngx_http_seldom.h"
#include "ngx_http_wait.h"
#include "ngx_optcache_lock.h"
#include "ngx_rare.h"


/* a value that is copied rather than pinned: a part of a request's pool */

#define NGX_HTTP_OPTCACHE_LOOKUP_SHORT  3072

/* seconds between two warnings of a worker about what is in Redis */

#define NGX_HTTP_OPTCACHE_LOOKUP_WARN  10


static ngx_often ngx_int_t ngx_http_optcache_lookup_l1(ngx_http_request_t *r,
    ngx_http_optcache_ctx_t *ctx, ngx_http_optcache_layer_e layer);
static ngx_int_t ngx_http_optcache_lookup_entry(ngx_http_request_t *r,
    ngx_http_optcache_ctx_t *ctx, ngx_optcache_entry_t *e,
    ngx_http_optcache_layer_e layer);
static ngx_often void ngx_http_optcache_lookup_found(ngx_http_request_t *r,
    ngx_http_optcache_ctx_t *ctx, ngx_http_optcache_layer_e layer);
static ngx_int_t ngx_http_optcache_lookup_ask(ngx_http_request_t *r,
    ngx_http_optcache_ctx_t *ctx, ngx_http_optcache_main_conf_t *omcf);
static ngx_http_rfc9111_reuse_e ngx_http_optcache_lookup_reuse(
    ngx_http_request_t *r, ngx_http_optcache_ctx_t *ctx, time_t now);
static void ngx_http_optcache_reply_handler(void *data,
    ngx_redis_result_e result, redisReply *reply);
static ngx_int_t ngx_http_optcache_lookup_reply(ngx_http_request_t *r,
    ngx_http_optcache_ctx_t *ctx, redisReply *reply);
static ngx_int_t ngx_http_optcache_lookup_pin(ngx_http_request_t *r,
    ngx_http_optcache_ctx_t *ctx, ngx_str_t *value);
static ngx_int_t ngx_http_optcache_lookup_copy(ngx_http_request_t *r,
    ngx_http_optcache_ctx_t *ctx, ngx_str_t *value);
static void ngx_http_optcache_lookup_other(ngx_http_request_t *r,
    ngx_http_optcache_ctx_t *ctx, redisReply *reply);
static ngx_int_t ngx_http_optcache_lookup_value(ngx_http_request_t *r,
    ngx_http_optcache_ctx_t *ctx, ngx_str_t *value, ngx_optcache_entry_t *e);
static void ngx_http_optcache_lookup_refused(ngx_http_request_t *r,
    ngx_http_optcache_ctx_t *ctx, ngx_uint_t why);
static ngx_uint_t ngx_http_optcache_lookup_newer(ngx_optcache_entry_t *e,
    ngx_optcache_entry_t *held);
static void ngx_http_optcache_lookup_cleanup(void *data);


ngx_often ngx_int_t
ngx_http_optcache_lookup(ngx_http_request_t *r, ngx_http_optcache_ctx_t *ctx)
{
    ngx_int_t  rc;

    rc = ngx_http_optcache_lookup_l1(r, ctx, NGX_HTTP_OPTCACHE_L1);

    if (rc == NGX_ERROR) {
        return NGX_ERROR;
    }

    if (ctx->found || ctx->background || rc == NGX_BUSY
        || (ctx->asked && ctx->asked->no_cache))
    {
        return NGX_OK;
    }

    /* not here, or stale here: another host may have stored a newer one */

    return ngx_http_optcache_lookup_l2(r, ctx);
}


ngx_int_t
ngx_http_optcache_lookup_again(ngx_http_request_t *r,
    ngx_http_optcache_ctx_t *ctx)
{
    if (ngx_http_optcache_lookup_absent(ctx)) {
        return NGX_DECLINED;
    }

    if (ctx->begun && ctx->rule.len == 0
        && ngx_http_optcache_search_select(r, ctx) != NGX_OK)
    {
        return NGX_ERROR;
    }

    /* what the answers depend on may be known no longer */

    ctx->key.identity = ctx->base;
    ngx_str_null(&ctx->vary);

    return ngx_http_optcache_lookup_l1(r, ctx, NGX_HTTP_OPTCACHE_L1);
}


/*
 * What was looked up is what would be looked up: not one of several answers,
 * nor by a rule that may be another one by now.
 */

ngx_often ngx_uint_t
ngx_http_optcache_lookup_absent(ngx_http_optcache_ctx_t *ctx)
{
    return ctx->absent.key
           && ctx->absent.key == ctx->base.data
           && ctx->key.identity.data == ctx->base.data
           && ctx->vary.data == NULL
           && ctx->begun == NULL
           && ctx->zone->slot
           && !ngx_optcache_l1_changed(ctx->zone, &ctx->absent);
}


/*
 * Also what L2 gave is looked up here, once it has been stored.  NGX_BUSY: it
 * is there, but not for this request.
 */

static ngx_int_t
ngx_http_optcache_lookup_l1(ngx_http_request_t *r,
    ngx_http_optcache_ctx_t *ctx, ngx_http_optcache_layer_e layer)
{
    ngx_int_t             rc;
    ngx_optcache_entry_t  e;

    rc = ngx_optcache_l1_search(ctx->zone, &ctx->key.identity, r->pool, &e,
                                &ctx->absent);

    if (rc == NGX_DECLINED && ctx->absent.key) {
        ngx_optcache_lock_prefetch(ctx->zone, ctx->absent.hash);
    }

    if (ngx_rarely(rc == NGX_BUSY)) {
        /* it is there: to ask upstream is no reason to store it again */
        ctx->store = 0;
        ctx->miss = NGX_HTTP_OPTCACHE_MISS_BUSY;
        ctx->refusal = NGX_HTTP_OPTCACHE_REFUSED_MEMORY;
    }

    if (rc != NGX_OK) {
        return rc;
    }

    switch (ngx_http_optcache_marks_check(r, ctx, &e)) {

    case NGX_OPTCACHE_LEDGER_GONE:
        ctx->miss = NGX_HTTP_OPTCACHE_MISS_INVALIDATED;
        return NGX_DECLINED;

    case NGX_OPTCACHE_LEDGER_SOFT:
        ngx_optcache_entry_soften(&e, ngx_time());
        break;

    default: /* NGX_OPTCACHE_LEDGER_VALID */
        break;
    }

    return ngx_http_optcache_lookup_entry(r, ctx, &e, layer);
}


/* What was found: an answer, or what the answers depend on. */

static ngx_int_t
ngx_http_optcache_lookup_entry(ngx_http_request_t *r,
    ngx_http_optcache_ctx_t *ctx, ngx_optcache_entry_t *e,
    ngx_http_optcache_layer_e layer)
{
    ngx_int_t  rc;

    ctx->entry = *e;

    if (e->status) {
        ngx_http_optcache_lookup_found(r, ctx, layer);
        return NGX_OK;
    }

    ctx->held = 0;
    ctx->status = NGX_HTTP_OPTCACHE_NONE;

    rc = ngx_http_optcache_vary_select(r, ctx);

    if (rc == NGX_DECLINED) {
        /* no answer can be told from another */
        ctx->store = 0;
        ctx->miss = NGX_HTTP_OPTCACHE_MISS_VARY;
        ctx->refusal = NGX_HTTP_OPTCACHE_REFUSED_VARY;
    }

    if (rc != NGX_OK) {
        return rc;
    }

    return ngx_http_optcache_lookup_l1(r, ctx, layer);
}


static void
ngx_http_optcache_lookup_found(ngx_http_request_t *r,
    ngx_http_optcache_ctx_t *ctx, ngx_http_optcache_layer_e layer)
{
    time_t  now;

    now = ngx_time();

    ngx_log_debug4(NGX_LOG_DEBUG_HTTP, r->connection->log, 0,
                   "optcache l%ui entry, status:%ui age:%L lifetime:%uD",
                   (ngx_uint_t) layer, ctx->entry.status,
                   ngx_optcache_entry_age(&ctx->entry, now),
                   ctx->entry.lifetime);

    ctx->layer = layer;
    ctx->held = 0;
    ctx->refused = 0;

    if (!ngx_http_optcache_acceptable(r, ctx)) {
        ctx->status = NGX_HTTP_OPTCACHE_NONE;
        ctx->miss = NGX_HTTP_OPTCACHE_MISS_CODING;
        return;
    }

    switch (ngx_http_optcache_lookup_reuse(r, ctx, now)) {

    case NGX_HTTP_RFC9111_FRESH:
        ctx->status = NGX_HTTP_OPTCACHE_HIT;
        ctx->found = 1;
        return;

    case NGX_HTTP_RFC9111_STALE_ACCEPTED:
        ctx->status = NGX_HTTP_OPTCACHE_STALE;
        ctx->found = 1;
        return;

    case NGX_HTTP_RFC9111_REFUSED:
        ctx->refused = 1;
        break;

    default: /* NGX_HTTP_RFC9111_STALE */
        break;
    }

    ctx->status = NGX_HTTP_OPTCACHE_EXPIRED;
    ctx->held = 1;
}


/* Fresh, and fresh enough for this client, or as stale as it says. */

static ngx_http_rfc9111_reuse_e
ngx_http_optcache_lookup_reuse(ngx_http_request_t *r,
    ngx_http_optcache_ctx_t *ctx, time_t now)
{
    ngx_optcache_entry_t        *e;
    ngx_http_rfc9111_control_t   response;

    if (ngx_http_optcache_request_for_origin(r)) {
        return NGX_HTTP_RFC9111_REFUSED;
    }

    e = &ctx->entry;

    if (ctx->asked == NULL) {
        return ngx_optcache_entry_fresh(e, now) ? NGX_HTTP_RFC9111_FRESH
                                                : NGX_HTTP_RFC9111_STALE;
    }

    ngx_http_rfc9111_control_init(&response);

    response.must_revalidate =
                ngx_optcache_entry_staleness(e, now) > e->max_stale
                || e->max_stale == 0;

    return ngx_http_rfc9111_reuse(ctx->asked, &response, ctx->key.shared,
                                  ngx_optcache_entry_age(e, now),
                                  e->lifetime);
}


ngx_int_t
ngx_http_optcache_lookup_l2(ngx_http_request_t *r,
    ngx_http_optcache_ctx_t *ctx)
{
    ngx_http_optcache_main_conf_t  *omcf;

    omcf = ngx_http_get_module_main_conf(r, ngx_http_optcache_module);

    if (omcf->client == NULL || !ctx->conf->redis
        || ngx_rarely(!ngx_optcache_ledger_follows(omcf->ledger)))
    {
        return NGX_OK;
    }

    ctx->whole = 0;

    return ngx_http_optcache_lookup_ask(r, ctx, omcf);
}


/* For the first part of the value, or, "whole", for all of it. */

static ngx_int_t
ngx_http_optcache_lookup_ask(ngx_http_request_t *r,
    ngx_http_optcache_ctx_t *ctx, ngx_http_optcache_main_conf_t *omcf)
{
    ngx_str_t            argv[4];
    ngx_pool_cleanup_t  *cln;

    if (ngx_http_optcache_store_name(omcf, ctx->zone, r->pool,
                                     &ctx->key.identity, &argv[1])
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    cln = ngx_pool_cleanup_add(r->pool, 0);
    if (cln == NULL) {
        return NGX_ERROR;
    }

    if (ctx->whole) {
        ngx_str_set(&argv[0], "GET");

        ctx->command = ngx_redis_client_read_large(omcf->client, 2, argv, 1,
                                       ngx_http_optcache_reply_handler, ctx);

    } else {
        ngx_str_set(&argv[0], "GETRANGE");
        ngx_str_set(&argv[2], "0");
        ngx_str_set(&argv[3], NGX_HTTP_OPTCACHE_LARGE_LAST);

        ctx->command = ngx_redis_client_send(omcf->client, 4, argv, 1,
                                       ngx_http_optcache_reply_handler, ctx);
    }

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
    ngx_http_request_t  *r;

    r = ctx->request;

    ctx->command = NULL;
    ctx->waiting = 0;
    ctx->redis = (result == NGX_REDIS_REPLY);

    ngx_http_optcache_refusal(NGX_HTTP_OPTCACHE_REFUSAL_GET, reply);

    /* the request may wait for something else by now, as its post_action */

    if (ngx_http_get_module_ctx(r, ngx_http_optcache_module) != ctx) {
        return;
    }

    rc = ngx_http_wait_end(r);

    if (rc == NGX_DECLINED) {
        return;
    }

    ngx_log_debug2(NGX_LOG_DEBUG_HTTP, r->connection->log, 0,
                   "optcache l2 reply, result:%ui type:%d",
                   (ngx_uint_t) result, reply ? reply->type : 0);

    if (rc == NGX_OK && reply) {
        rc = ngx_http_optcache_lookup_reply(r, ctx, reply);
    }

    if (rc == NGX_AGAIN) {
        /* the next question is on its way */
        return;
    }

    if (ctx->found || ctx->held) {
        /* it was compared with what is invalidated, up to now */
        ngx_http_wait_run_now(r, rc);
        return;
    }

    ngx_http_wait_run(r, rc);
}


/*
 * The entry goes to L1, if it may.  NGX_AGAIN: Redis is asked for the answer
 * that this request selects.
 */

static ngx_int_t
ngx_http_optcache_lookup_reply(ngx_http_request_t *r,
    ngx_http_optcache_ctx_t *ctx, redisReply *reply)
{
    u_char     *base;
    ngx_int_t   rc;
    ngx_str_t   value;

    if (reply->type != REDIS_REPLY_STRING) {
        ngx_http_optcache_lookup_other(r, ctx, reply);
        return NGX_OK;
    }

    value.data = (u_char *) reply->str;
    value.len = reply->len;

    if (value.len == 0) {
        /* what GETRANGE tells of a key that is not there */
        return NGX_OK;
    }

    if (value.len >= NGX_HTTP_OPTCACHE_LARGE && !ctx->whole) {
        ctx->whole = 1;

        return ngx_http_optcache_lookup_ask(r, ctx,
              ngx_http_get_module_main_conf(r, ngx_http_optcache_module));
    }

    base = ctx->key.identity.data;

    rc = NGX_DECLINED;

    if (value.len > NGX_HTTP_OPTCACHE_LOOKUP_SHORT) {
        rc = ngx_http_optcache_lookup_pin(r, ctx, &value);
    }

    if ((rc == NGX_DECLINED || rc == NGX_BUSY)
        && ctx->key.identity.data == base)
    {
        rc = ngx_http_optcache_lookup_copy(r, ctx, &value);
    }

    if (rc == NGX_ERROR) {
        return NGX_ERROR;
    }

    if (!ctx->found && ctx->key.identity.data != base) {
        return ngx_http_optcache_lookup_l2(r, ctx);
    }

    return NGX_OK;
}


/* What goes to L1 is served from there; NGX_DECLINED: it does not go there. */

static ngx_int_t
ngx_http_optcache_lookup_pin(ngx_http_request_t *r,
    ngx_http_optcache_ctx_t *ctx, ngx_str_t *value)
{
    ngx_int_t             rc;
    ngx_optcache_entry_t  e;

    rc = ngx_http_optcache_lookup_value(r, ctx, value, &e);

    if (rc != NGX_OK) {
        return (rc == NGX_DECLINED) ? NGX_OK : rc;
    }

    if (ctx->apart || ngx_optcache_l1_store(ctx->zone, &e) != NGX_OK) {
        return NGX_DECLINED;
    }

    return ngx_http_optcache_lookup_l1(r, ctx, NGX_HTTP_OPTCACHE_L2);
}


/*
 * The reply is freed when its handler returns.  To copy a short one for the
 * request costs less than to find it in L1, to pin it, and to let go of it.
 */

static ngx_int_t
ngx_http_optcache_lookup_copy(ngx_http_request_t *r,
    ngx_http_optcache_ctx_t *ctx, ngx_str_t *value)
{
    ngx_int_t             rc;
    ngx_str_t             copy;
    ngx_optcache_entry_t  e;

    copy.len = value->len;
    copy.data = ngx_pnalloc(r->pool, value->len);

    if (copy.data == NULL) {
        return NGX_ERROR;
    }

    ngx_memcpy(copy.data, value->data, value->len);

    rc = ngx_http_optcache_lookup_value(r, ctx, &copy, &e);

    if (rc != NGX_OK) {
        return rc;
    }

    if (value->len <= NGX_HTTP_OPTCACHE_LOOKUP_SHORT && !ctx->apart) {
        (void) ngx_optcache_l1_store(ctx->zone, &e);
    }

    return ngx_http_optcache_lookup_entry(r, ctx, &e, NGX_HTTP_OPTCACHE_L2);
}


/* Mostly there is nothing.  An error that is about Redis is counted there. */

static void
ngx_http_optcache_lookup_other(ngx_http_request_t *r,
    ngx_http_optcache_ctx_t *ctx, redisReply *reply)
{
    if (reply->type == REDIS_REPLY_NIL
        || (reply->type == REDIS_REPLY_ERROR
            && ngx_strncmp(reply->str, "WRONGTYPE", sizeof("WRONGTYPE") - 1)
               != 0))
    {
        return;
    }

    ngx_http_optcache_lookup_refused(r, ctx, NGX_HTTP_OPTCACHE_VALUE_TYPE);
}


/* NGX_DECLINED: no use for it, invalidated, or no newer than what L1 has. */

static ngx_int_t
ngx_http_optcache_lookup_value(ngx_http_request_t *r,
    ngx_http_optcache_ctx_t *ctx, ngx_str_t *value, ngx_optcache_entry_t *e)
{
    time_t                    now;
    ngx_int_t                 rc;
    ngx_optcache_entry_bad_e  bad;

    now = ngx_time();

    ngx_memzero(e, sizeof(ngx_optcache_entry_t));

    rc = ngx_optcache_entry_decode(r->pool, value, &ctx->key.identity, now, e);

    if (rc == NGX_DECLINED) {
        bad = ngx_optcache_entry_bad(value, &ctx->key.identity);
        ngx_http_optcache_lookup_refused(r, ctx,
                                         NGX_HTTP_OPTCACHE_VALUE + bad);
    }

    if (rc != NGX_OK) {
        return rc;
    }

    switch (ngx_http_optcache_marks_check_l2(r, ctx, e)) {

    case NGX_OPTCACHE_LEDGER_GONE:
        ctx->miss = NGX_HTTP_OPTCACHE_MISS_INVALIDATED;
        return NGX_DECLINED;

    case NGX_OPTCACHE_LEDGER_SOFT:
        ngx_optcache_entry_soften(e, now);
        break;

    default: /* NGX_OPTCACHE_LEDGER_VALID */
        break;
    }

    if (!ngx_optcache_entry_fresh(e, now)
        && ngx_optcache_entry_use(e, now) <= 0)
    {
        return NGX_DECLINED;
    }

    if (ctx->held && !ngx_http_optcache_lookup_newer(e, &ctx->entry)) {
        return NGX_DECLINED;
    }

    return NGX_OK;
}


static void
ngx_http_optcache_lookup_refused(ngx_http_request_t *r,
    ngx_http_optcache_ctx_t *ctx, ngx_uint_t why)
{
    ngx_uint_t  level;

    static time_t  warned;

    ctx->miss = NGX_HTTP_OPTCACHE_MISS_REFUSED;

    ngx_metrics_count(ctx->zone->answers, why);

    /* of what is not stored anew, anybody can ask again and again */

    level = ngx_http_seldom(&warned, NGX_HTTP_OPTCACHE_LOOKUP_WARN,
                            NGX_LOG_WARN);

    ngx_log_error(level, r->connection->log, 0,
                  "optcache found no valid entry in Redis: it is \"%s\"",
                  ngx_http_optcache_count_value(why));
}


/*
 * Of two that were stored within a second, that which is fresh for longer.
 * What is held since a clock was ahead seems newer than all that came later.
 */

static ngx_uint_t
ngx_http_optcache_lookup_newer(ngx_optcache_entry_t *e,
    ngx_optcache_entry_t *held)
{
    time_t  now;

    now = ngx_time();

    if (ngx_optcache_entry_ahead(held, now)) {
        return 1;
    }

    if (e->date != held->date) {
        return e->date > held->date;
    }

    return ngx_optcache_entry_staleness(e, now)
           < ngx_optcache_entry_staleness(held, now);
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
