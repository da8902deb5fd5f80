
/*
 * Copyright (C) The Optcache authors
 */


/*
 * The state of one subject: as Redis has it, or this host if Redis does not
 * answer; and what this host knows besides.  Looking counts nothing.
 *
 * Rates from variables are those of a request, and this one is another: of
 * such a zone what was used is told, by the periods it was counted for, but
 * not what is left of it.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_ratelimit_redis_api.h"
#include "ngx_http_wait.h"


typedef struct {
    ngx_http_request_t       *request;
    ngx_str_t                 key;
    ngx_limiter_policy_t      policy;    /* asked about */
    ngx_limiter_item_t        item;
    ngx_limiter_check_t       check;
} ngx_http_ratelimit_redis_api_ctx_t;


static ngx_http_ratelimit_redis_api_ctx_t *
    ngx_http_ratelimit_redis_api_create(ngx_http_request_t *r,
    ngx_http_ratelimit_redis_zone_t *rz, ngx_str_t *key);
static void ngx_http_ratelimit_redis_api_cleanup(void *data);
static void ngx_http_ratelimit_redis_api_answer_handler(void *data);
static ngx_int_t ngx_http_ratelimit_redis_api_answer(ngx_http_request_t *r,
    ngx_http_ratelimit_redis_api_ctx_t *ctx);
static ngx_int_t ngx_http_ratelimit_redis_api_key(ngx_http_request_t *r,
    ngx_http_api_json_t *json, ngx_str_t *key);
static void ngx_http_ratelimit_redis_api_found(ngx_limiter_policy_t *policy,
    ngx_limiter_state_t *state, uint64_t now);
static void ngx_http_ratelimit_redis_api_rate(ngx_http_api_json_t *json,
    ngx_http_ratelimit_redis_api_ctx_t *ctx, ngx_uint_t i,
    const ngx_limiter_share_t *share);
static void ngx_http_ratelimit_redis_api_host(ngx_http_api_json_t *json,
    ngx_http_ratelimit_redis_api_ctx_t *ctx);
static uint64_t ngx_http_ratelimit_redis_api_used(
    const ngx_limiter_policy_t *policy, const ngx_limiter_record_t *record,
    uint64_t now, ngx_uint_t hosts);
static uint64_t ngx_http_ratelimit_redis_api_own(
    const ngx_limiter_policy_t *policy, const ngx_limiter_record_t *record,
    ngx_uint_t hosts);
static void ngx_http_ratelimit_redis_api_seconds(ngx_http_api_json_t *json,
    const char *name, uint64_t ms);


ngx_int_t
ngx_http_ratelimit_redis_api_subject(ngx_http_request_t *r,
    ngx_http_api_path_t *path)
{
    ngx_int_t                            rc;
    ngx_http_ratelimit_redis_zone_t     *rz;
    ngx_http_ratelimit_redis_api_ctx_t  *ctx;

    rc = ngx_http_ratelimit_redis_api_named(r, path, &rz);

    if (rc != NGX_DECLINED) {
        return rc;
    }

    ctx = ngx_http_ratelimit_redis_api_create(r, rz, &path->tail);
    if (ctx == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    rc = ngx_limiter_check_start(&ctx->check);

    if (rc == NGX_OK) {
        return ngx_http_ratelimit_redis_api_answer(r, ctx);
    }

    if (rc == NGX_ERROR || ngx_http_wait_begin(r) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    r->main->count++;

    return NGX_DONE;
}


static ngx_http_ratelimit_redis_api_ctx_t *
ngx_http_ratelimit_redis_api_create(ngx_http_request_t *r,
    ngx_http_ratelimit_redis_zone_t *rz, ngx_str_t *key)
{
    ngx_limiter_item_t                  *item;
    ngx_pool_cleanup_t                  *cln;
    ngx_limiter_check_t                 *check;
    ngx_http_ratelimit_redis_api_ctx_t  *ctx;

    cln = ngx_pool_cleanup_add(r->pool,
                               sizeof(ngx_http_ratelimit_redis_api_ctx_t));
    if (cln == NULL) {
        return NULL;
    }

    ctx = cln->data;
    ngx_memzero(ctx, sizeof(ngx_http_ratelimit_redis_api_ctx_t));

    cln->handler = ngx_http_ratelimit_redis_api_cleanup;

    ctx->request = r;
    ctx->key = *key;
    ctx->policy = rz->zone.policy;

    if (rz->zone.variable) {
        ctx->policy.nrates = 0;
    }

    item = &ctx->item;

    if (ngx_limiter_subject_init(&item->subject, key, r->pool) != NGX_OK) {
        return NULL;
    }

    item->zone = &rz->zone;
    item->policy = &ctx->policy;
    item->need = 1;
    item->on_error = NGX_LIMITER_ON_ERROR_LOCAL;
    item->soft = 1;
    item->peek = 1;

    check = &ctx->check;

    check->items = item;
    check->nitems = 1;
    check->redis = ngx_http_ratelimit_redis_worker();
    check->pool = r->pool;
    check->log = r->connection->log;
    check->handler = ngx_http_ratelimit_redis_api_answer_handler;
    check->data = ctx;

    return ctx;
}


static void
ngx_http_ratelimit_redis_api_cleanup(void *data)
{
    ngx_http_ratelimit_redis_api_ctx_t *ctx = data;

    ngx_limiter_check_abandon(&ctx->check);
}


static void
ngx_http_ratelimit_redis_api_answer_handler(void *data)
{
    ngx_http_ratelimit_redis_api_ctx_t *ctx = data;

    ngx_int_t            rc;
    ngx_connection_t    *c;
    ngx_http_request_t  *r;

    r = ctx->request;
    c = r->connection;

    rc = ngx_http_wait_end(r);

    if (rc == NGX_DECLINED) {
        return;
    }

    rc = (rc == NGX_OK) ? ngx_http_ratelimit_redis_api_answer(r, ctx)
                        : NGX_HTTP_INTERNAL_SERVER_ERROR;

    ngx_http_finalize_request(r, rc);
    ngx_http_run_posted_requests(c);
}


static ngx_int_t
ngx_http_ratelimit_redis_api_answer(ngx_http_request_t *r,
    ngx_http_ratelimit_redis_api_ctx_t *ctx)
{
    ngx_uint_t            i, local;
    ngx_limiter_item_t   *item;
    ngx_limiter_share_t  *share;
    ngx_http_api_json_t  *json;

    item = &ctx->item;
    local = (item->local || ctx->check.redis->client == NULL);
    share = (item->local && item->share.hosts) ? &item->share : NULL;

    json = ngx_http_api_json_create(r->pool);

    ngx_http_api_json_string(json, "zone", &item->zone->name);

    if (ngx_http_ratelimit_redis_api_key(r, json, &ctx->key) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ngx_http_api_json_text(json, "algorithm",
                 ngx_http_ratelimit_redis_api_algorithm(ctx->policy.algorithm));
    ngx_http_api_json_number(json, "burst", ctx->policy.burst);
    ngx_http_api_json_flag(json, "variable", item->zone->variable);
    ngx_http_api_json_text(json, "source", local ? "local" : "redis");

    if (item->zone->variable) {
        ngx_http_ratelimit_redis_api_found(&ctx->policy, &item->state,
                                           item->now);
    }

    ngx_http_api_json_array(json, "rates");

    for (i = 0; i < ctx->policy.nrates; i++) {
        ngx_http_ratelimit_redis_api_rate(json, ctx, i, share);
    }

    ngx_http_api_json_end(json);

    ngx_http_ratelimit_redis_api_host(json, ctx);

    return ngx_http_ratelimit_redis_api_send(r, NGX_HTTP_OK, json);
}


/* what it is called, and as it is written in a URI: that is any bytes */

static ngx_int_t
ngx_http_ratelimit_redis_api_key(ngx_http_request_t *r,
    ngx_http_api_json_t *json, ngx_str_t *key)
{
    ngx_str_t  escaped;

    escaped.data = ngx_pnalloc(r->pool, key->len * 3);
    if (escaped.data == NULL) {
        return NGX_ERROR;
    }

    escaped.len = (u_char *) ngx_escape_uri(escaped.data, key->data, key->len,
                                            NGX_ESCAPE_URI_COMPONENT)
                  - escaped.data;

    ngx_http_api_json_string(json, "key", key);
    ngx_http_api_json_string(json, "escaped", &escaped);

    return NGX_OK;
}


/* Rates of no limit for all records of a state, which is then opened. */

static void
ngx_http_ratelimit_redis_api_found(ngx_limiter_policy_t *policy,
    ngx_limiter_state_t *state, uint64_t now)
{
    ngx_uint_t           i;
    ngx_limiter_state_t  from;

    from = *state;

    policy->nrates = from.n;

    for (i = 0; i < from.n; i++) {
        policy->rates[i].limit = 0;
        policy->rates[i].period = from.records[i].period;
    }

    (void) ngx_limiter_state_open(state, policy, &from, now);
}


static void
ngx_http_ratelimit_redis_api_rate(ngx_http_api_json_t *json,
    ngx_http_ratelimit_redis_api_ctx_t *ctx, ngx_uint_t i,
    const ngx_limiter_share_t *share)
{
    uint64_t               used, room, now, reset;
    ngx_uint_t             variable;
    ngx_limiter_rate_t    *rate;
    ngx_limiter_state_t   *state;
    ngx_limiter_policy_t  *policy;

    now = ctx->item.now;
    state = &ctx->item.state;
    policy = &ctx->policy;
    rate = &policy->rates[i];
    variable = ctx->item.zone->variable;

    used = ngx_http_ratelimit_redis_api_used(policy, &state->records[i], now,
                                             share ? share->hosts : 1);
    room = 0;

    ngx_http_api_json_object(json, NULL);

    if (!variable) {
        room = ngx_limiter_state_rate_room(state, policy, i, now, share);

        ngx_http_api_json_number(json, "limit", rate->limit);
    }

    ngx_http_api_json_number(json, "period", rate->period / 1000);
    ngx_http_api_json_number(json, "used", used);

    if (!variable) {
        ngx_http_api_json_number(json, "remaining", room);
    }

    /* a level leaks as fast as the limit says, which is not known then */

    reset = (variable && policy->algorithm == NGX_LIMITER_GCRA)
            ? NGX_LIMITER_NEVER
            : ngx_limiter_state_reset(state, policy, i, now);

    ngx_http_ratelimit_redis_api_seconds(json, "reset", used ? reset : 0);

    if (!variable && room == 0) {
        ngx_http_ratelimit_redis_api_seconds(json, "retry",
                 ngx_limiter_state_retry(state, policy, i, 1, now, share));
    }

    ngx_http_api_json_end(json);
}


/* what is known here, whoever has answered */

static void
ngx_http_ratelimit_redis_api_host(ngx_http_api_json_t *json,
    ngx_http_ratelimit_redis_api_ctx_t *ctx)
{
    uint64_t               now, own, untold;
    ngx_int_t              known;
    ngx_uint_t             i, hosts;
    ngx_limiter_zone_t    *zone;
    ngx_limiter_entry_t    entry;
    ngx_limiter_redis_t   *redis;
    ngx_limiter_policy_t   policy;

    zone = ctx->item.zone;
    redis = ctx->check.redis;
    hosts = redis->client ? ngx_limiter_fleet_hosts(redis->fleet) : 1;
    now = ngx_limiter_local_now();

    policy = zone->policy;

    if (zone->variable) {
        policy.nrates = 0;
    }

    ngx_limiter_local_lock(zone);

    known = ngx_limiter_local_load(zone, &ctx->item.subject.key, &policy,
                                   &entry, now);

    ngx_limiter_local_unlock(zone);

    if (zone->variable) {
        ngx_http_ratelimit_redis_api_found(&policy, &entry.state, now);
    }

    if ((int32_t) (entry.lease_end - (uint32_t) now) <= 0) {

        /* over: what is left of it is given back with the next question */

        entry.lease = 0;
    }

    untold = 0;

    for (i = 0; i < policy.nrates; i++) {
        own = ngx_http_ratelimit_redis_api_own(&policy,
                                               &entry.state.records[i], hosts);
        untold = ngx_max(untold, own);
    }

    ngx_http_api_json_object(json, "host");
    ngx_http_api_json_flag(json, "known", known == NGX_OK);
    ngx_http_api_json_number(json, "leased", entry.lease);
    ngx_http_api_json_number(json, "untold", untold);
    ngx_http_api_json_end(json);
}


/* units, rounded up: what has begun to be used cannot be had */

static uint64_t
ngx_http_ratelimit_redis_api_used(const ngx_limiter_policy_t *policy,
    const ngx_limiter_record_t *record, uint64_t now, ngx_uint_t hosts)
{
    uint64_t  used, prev, left, part, period;

    period = record->period;

    switch (policy->algorithm) {

    case NGX_LIMITER_FIXED_WINDOW:
        return record->used + record->own;

    case NGX_LIMITER_SLIDING_WINDOW:
        used = record->used + record->own;
        prev = record->prev + record->own_prev;
        left = (record->time > now) ? record->time - now : 0;

        /* prev * left / period, without a product beyond 64 bits */

        part = prev % period * left;

        return used + prev / period * left
               + part / period + (part % period ? 1 : 0);

    default: /* NGX_LIMITER_GCRA */
        used = record->used + record->own / hosts;

        return used / period + (used % period ? 1 : 0);
    }
}


static uint64_t
ngx_http_ratelimit_redis_api_own(const ngx_limiter_policy_t *policy,
    const ngx_limiter_record_t *record, ngx_uint_t hosts)
{
    uint64_t  own, unit;

    own = record->own - record->told;

    if (policy->algorithm != NGX_LIMITER_GCRA) {
        return own + (record->prev_told ? 0 : record->own_prev);
    }

    unit = record->period * hosts;

    return own / unit + (own % unit ? 1 : 0);
}


static void
ngx_http_ratelimit_redis_api_seconds(ngx_http_api_json_t *json,
    const char *name, uint64_t ms)
{
    if (ms == NGX_LIMITER_NEVER) {
        ngx_http_api_json_null(json, name);
        return;
    }

    ngx_http_api_json_number(json, name, ms / 1000 + (ms % 1000 ? 1 : 0));
}
