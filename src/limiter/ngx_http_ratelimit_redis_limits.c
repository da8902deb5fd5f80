
/*
 * Copyright (C) The Optcache authors
 */


/*
 * From the rules of a location to the items of a check, and from their
 * verdicts to that of the request.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_ratelimit_redis.h"


static ngx_int_t ngx_http_ratelimit_redis_limits_items(ngx_http_request_t *r,
    ngx_http_ratelimit_redis_ctx_t *ctx);
static ngx_uint_t ngx_http_ratelimit_redis_limits_charged(
    ngx_http_ratelimit_redis_ctx_t *ctx, ngx_limiter_zone_t *zone);
static ngx_int_t ngx_http_ratelimit_redis_limits_item(ngx_http_request_t *r,
    ngx_http_ratelimit_redis_ctx_t *ctx, ngx_uint_t rule);
static ngx_int_t ngx_http_ratelimit_redis_limits_passed(
    ngx_http_ratelimit_redis_ctx_t *ctx);
static ngx_int_t ngx_http_ratelimit_redis_limits_rejected(
    ngx_http_request_t *r, ngx_http_ratelimit_redis_ctx_t *ctx,
    ngx_str_t *body);
static ngx_int_t ngx_http_ratelimit_redis_limits_body(ngx_http_request_t *r,
    ngx_http_ratelimit_redis_ctx_t *ctx, ngx_str_t *body);
static void ngx_http_ratelimit_redis_limits_note(
    ngx_http_ratelimit_redis_ctx_t *ctx,
    ngx_http_ratelimit_redis_status_e status);
static void ngx_http_ratelimit_redis_limits_log(ngx_http_request_t *r,
    ngx_http_ratelimit_redis_ctx_t *ctx, ngx_limiter_item_t *item);


ngx_int_t
ngx_http_ratelimit_redis_limits_start(ngx_http_request_t *r,
    ngx_http_ratelimit_redis_ctx_t *ctx, ngx_limiter_check_pt handler)
{
    ngx_limiter_check_t  *check;

    check = &ctx->check;

    check->nitems = 0;
    check->result = NGX_LIMITER_CHECK_PASSED;

    /* one refusal is enough: an error_page must be able to tell of it */

    if (ctx->refused || ctx->conf->rules->nelts == 0) {
        return NGX_OK;
    }

    if (ngx_http_ratelimit_redis_limits_items(r, ctx) != NGX_OK) {
        return NGX_ERROR;
    }

    if (check->nitems == 0) {
        return NGX_OK;
    }

    check->redis = ngx_http_ratelimit_redis_worker();
    check->pool = r->pool;
    check->log = r->connection->log;
    check->handler = handler;
    check->data = ctx;

    return ngx_limiter_check_start(check);
}


static ngx_int_t
ngx_http_ratelimit_redis_limits_items(ngx_http_request_t *r,
    ngx_http_ratelimit_redis_ctx_t *ctx)
{
    ngx_str_t                        *name, *names[NGX_LIMITER_MAX_ZONES];
    ngx_uint_t                        i, k, n, order[NGX_LIMITER_MAX_ZONES];
    ngx_http_ratelimit_redis_rule_t  *rules;

    rules = ctx->conf->rules->elts;
    n = ctx->conf->rules->nelts;

    /*
     * Locks are taken in the order of the items, which is that of the names:
     * workers of two configurations lock the same zones, whichever of them
     * each defines first.
     */

    for (i = 0; i < n; i++) {
        name = &rules[i].shm_zone->shm.name;

        for (k = i; k > 0; k--) {
            if (ngx_memn2cmp(names[k - 1]->data, name->data,
                             names[k - 1]->len, name->len)
                < 0)
            {
                break;
            }

            names[k] = names[k - 1];
            order[k] = order[k - 1];
        }

        names[k] = name;
        order[k] = i;
    }

    ctx->check.items = ngx_pcalloc(r->pool, n * sizeof(ngx_limiter_item_t));
    if (ctx->check.items == NULL) {
        return NGX_ERROR;
    }

    for (i = 0; i < n; i++) {
        if (ngx_http_ratelimit_redis_limits_item(r, ctx, order[i]) != NGX_OK) {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


/* Adds the item of a rule, unless its key is empty or its zone has counted. */

static ngx_int_t
ngx_http_ratelimit_redis_limits_item(ngx_http_request_t *r,
    ngx_http_ratelimit_redis_ctx_t *ctx, ngx_uint_t rule)
{
    ngx_str_t                         key;
    ngx_limiter_item_t               *item;
    ngx_http_ratelimit_redis_rule_t  *rules;
    ngx_http_ratelimit_redis_zone_t  *rz;

    rules = ctx->conf->rules->elts;
    rz = rules[rule].shm_zone->data;

    if (ngx_http_ratelimit_redis_limits_charged(ctx, &rz->zone)) {
        return NGX_OK;
    }

    if (ngx_http_complex_value(r, &rz->key, &key) != NGX_OK) {
        return NGX_ERROR;
    }

    if (key.len == 0) {
        return NGX_OK;
    }

    item = &ctx->check.items[ctx->check.nitems];

    if (ngx_limiter_subject_init(&item->subject, &key, r->pool) != NGX_OK) {
        return NGX_ERROR;
    }

    item->zone = &rz->zone;
    item->policy = &rz->zone.policy;
    item->need = 1;
    item->take = 1;
    item->on_error = rules[rule].on_error;
    item->soft = (ctx->conf->dry_run || rules[rule].dry_run);
    item->local = 0;
    item->verdict = NGX_LIMITER_SKIPPED;

    if (rules[rule].on_error == NGX_CONF_UNSET_UINT) {
        item->on_error = ctx->conf->on_error;
    }

    ctx->rules[ctx->check.nitems++] = rule;

    return NGX_OK;
}


static ngx_uint_t
ngx_http_ratelimit_redis_limits_charged(ngx_http_ratelimit_redis_ctx_t *ctx,
    ngx_limiter_zone_t *zone)
{
    ngx_uint_t            i;
    ngx_limiter_zone_t  **zones;

    if (ctx->charged == NULL) {
        return 0;
    }

    zones = ctx->charged->elts;

    for (i = 0; i < ctx->charged->nelts; i++) {
        if (zones[i] == zone) {
            return 1;
        }
    }

    return 0;
}


ngx_int_t
ngx_http_ratelimit_redis_limits_verdict(ngx_http_request_t *r,
    ngx_http_ratelimit_redis_ctx_t *ctx, ngx_str_t *body)
{
    ngx_uint_t                             i;
    ngx_http_ratelimit_redis_main_conf_t  *rmcf;

    if (ctx->check.nitems == 0) {
        return NGX_DECLINED;
    }

    ctx->headers = (ctx->conf->headers == NGX_HTTP_RATELIMIT_REDIS_HEADERS_X);

    for (i = 0; i < ctx->check.nitems; i++) {
        if (ctx->check.items[i].verdict == NGX_LIMITER_REJECTED) {
            ngx_http_ratelimit_redis_limits_log(r, ctx, &ctx->check.items[i]);
        }
    }

    switch (ctx->check.result) {

    case NGX_LIMITER_CHECK_REJECTED:
        return ngx_http_ratelimit_redis_limits_rejected(r, ctx, body);

    case NGX_LIMITER_CHECK_UNAVAILABLE:
        rmcf = ngx_http_get_module_main_conf(r,
                                             ngx_http_ratelimit_redis_module);

        ngx_log_error(ctx->conf->log_level, r->connection->log, 0,
                      "limiting requests, redis does not answer");

        ctx->refused = 1;
        ctx->status = NGX_HTTP_RATELIMIT_REDIS_REJECTED;
        ctx->retry = ngx_limiter_local_now() + 1000;
        ctx->shown.zone = NULL;
        ctx->noted.zone = NULL;

        *body = rmcf->unavailable;

        return NGX_HTTP_SERVICE_UNAVAILABLE;

    default: /* NGX_LIMITER_CHECK_PASSED */
        return ngx_http_ratelimit_redis_limits_passed(ctx);
    }
}


static ngx_int_t
ngx_http_ratelimit_redis_limits_passed(ngx_http_ratelimit_redis_ctx_t *ctx)
{
    ngx_uint_t             i;
    ngx_limiter_item_t    *item;
    ngx_limiter_zone_t   **zone;
    ngx_limiter_report_t   dry;

    if (ctx->charged == NULL) {
        ctx->charged = ngx_array_create(ctx->request->pool,
                                        ctx->check.nitems,
                                        sizeof(ngx_limiter_zone_t *));
        if (ctx->charged == NULL) {
            return NGX_ERROR;
        }
    }

    dry.zone = NULL;

    for (i = 0; i < ctx->check.nitems; i++) {
        item = &ctx->check.items[i];

        switch (item->verdict) {

        case NGX_LIMITER_PASSED:
            zone = ngx_array_push(ctx->charged);
            if (zone == NULL) {
                return NGX_ERROR;
            }

            *zone = item->zone;

            ngx_http_ratelimit_redis_limits_note(ctx,
                        item->local ? NGX_HTTP_RATELIMIT_REDIS_LOCAL_PASSED
                                    : NGX_HTTP_RATELIMIT_REDIS_PASSED);

            if (ctx->status < NGX_HTTP_RATELIMIT_REDIS_REJECTED_DRY_RUN) {
                ngx_limiter_report_passed(&ctx->noted, item);
            }

            if (!item->soft) {
                ngx_limiter_report_passed(&ctx->shown, item);
            }

            break;

        case NGX_LIMITER_REJECTED:
            ngx_http_ratelimit_redis_limits_note(ctx, item->local
                            ? NGX_HTTP_RATELIMIT_REDIS_LOCAL_REJECTED_DRY_RUN
                            : NGX_HTTP_RATELIMIT_REDIS_REJECTED_DRY_RUN);

            ngx_limiter_report_rejected(&dry, item);
            break;

        default: /* NGX_LIMITER_SKIPPED */
            ngx_http_ratelimit_redis_limits_note(ctx,
                                             NGX_HTTP_RATELIMIT_REDIS_SKIPPED);
        }
    }

    if (dry.zone) {
        ctx->noted = dry;
    }

    return NGX_DECLINED;
}


static ngx_int_t
ngx_http_ratelimit_redis_limits_rejected(ngx_http_request_t *r,
    ngx_http_ratelimit_redis_ctx_t *ctx, ngx_str_t *body)
{
    ngx_uint_t           i;
    ngx_limiter_item_t  *item;

    ctx->refused = 1;
    ctx->shown.zone = NULL;

    for (i = 0; i < ctx->check.nitems; i++) {
        item = &ctx->check.items[i];

        if (item->soft || item->verdict != NGX_LIMITER_REJECTED) {
            continue;
        }

        ngx_http_ratelimit_redis_limits_note(ctx,
                        item->local ? NGX_HTTP_RATELIMIT_REDIS_LOCAL_REJECTED
                                    : NGX_HTTP_RATELIMIT_REDIS_REJECTED);

        ngx_limiter_report_rejected(&ctx->shown, item);
    }

    ctx->noted = ctx->shown;
    ctx->retry = ctx->shown.end;

    if (ngx_http_ratelimit_redis_limits_body(r, ctx, body) != NGX_OK) {
        return NGX_ERROR;
    }

    return ctx->conf->status;
}


/* One zone's refusal was written at start; several together are written now. */

static ngx_int_t
ngx_http_ratelimit_redis_limits_body(ngx_http_request_t *r,
    ngx_http_ratelimit_redis_ctx_t *ctx, ngx_str_t *body)
{
    ngx_str_t                zones[NGX_LIMITER_MAX_ZONES];
    ngx_uint_t               i, n;
    ngx_limiter_item_t      *item;
    ngx_http_api_problem_t   problem;

    n = 0;

    for (i = 0; i < ctx->check.nitems; i++) {
        item = &ctx->check.items[i];

        if (!item->soft && item->verdict == NGX_LIMITER_REJECTED) {
            zones[n++] = item->zone->name;
            *body = ctx->conf->bodies[ctx->rules[i]];
        }
    }

    if (n == 1) {
        return NGX_OK;
    }

    ngx_http_ratelimit_redis_problem(&problem, ctx->conf->status, zones, n);

    return ngx_http_api_problem_encode(&problem, r->pool, body);
}


/* of several things that happened, the one that matters most is told */

static void
ngx_http_ratelimit_redis_limits_note(ngx_http_ratelimit_redis_ctx_t *ctx,
    ngx_http_ratelimit_redis_status_e status)
{
    if (status > ctx->status) {
        ctx->status = status;
    }
}


static void
ngx_http_ratelimit_redis_limits_log(ngx_http_request_t *r,
    ngx_http_ratelimit_redis_ctx_t *ctx, ngx_limiter_item_t *item)
{
    ngx_limiter_report_t  report;

    report.zone = NULL;
    ngx_limiter_report_rejected(&report, item);

    ngx_log_error(ctx->conf->log_level, r->connection->log, 0,
                  "limiting requests%s%s, rate: %uLr/%uLs, retry: %uLs, "
                  "by zone \"%V\"",
                  item->soft ? ", dry run" : "",
                  item->local ? ", without redis" : "",
                  report.limit, report.period / 1000,
                  ngx_limiter_report_reset(&report, ngx_limiter_local_now()),
                  &item->zone->name);
}
