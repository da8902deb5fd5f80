
/*
 * Copyright (C) The Optcache authors
 */


/*
 * From the verdicts of the zones to that of the request.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_ratelimit_redis.h"


static ngx_int_t ngx_http_ratelimit_redis_limits_tell(
    ngx_http_ratelimit_redis_ctx_t *ctx);
static ngx_uint_t ngx_http_ratelimit_redis_limits_told(
    ngx_http_ratelimit_redis_ctx_t *ctx, ngx_limiter_zone_t *zone);
static ngx_int_t ngx_http_ratelimit_redis_limits_passed(ngx_http_request_t *r,
    ngx_http_ratelimit_redis_ctx_t *ctx);
static void ngx_http_ratelimit_redis_limits_counted(ngx_http_request_t *r,
    ngx_http_ratelimit_redis_ctx_t *ctx, ngx_uint_t i);
static void ngx_http_ratelimit_redis_limits_delay(ngx_http_request_t *r,
    ngx_http_ratelimit_redis_ctx_t *ctx, ngx_uint_t i);
static ngx_uint_t ngx_http_ratelimit_redis_limits_delay_level(
    ngx_http_ratelimit_redis_loc_conf_t *conf);
static void ngx_http_ratelimit_redis_limits_back(
    ngx_http_ratelimit_redis_ctx_t *ctx);
static ngx_int_t ngx_http_ratelimit_redis_limits_unavailable(
    ngx_http_request_t *r, ngx_http_ratelimit_redis_ctx_t *ctx,
    ngx_str_t *body);
static ngx_int_t ngx_http_ratelimit_redis_limits_rejected(
    ngx_http_request_t *r, ngx_http_ratelimit_redis_ctx_t *ctx,
    ngx_str_t *body);
static ngx_int_t ngx_http_ratelimit_redis_limits_body(ngx_http_request_t *r,
    ngx_http_ratelimit_redis_ctx_t *ctx, ngx_str_t *body);
static ngx_int_t ngx_http_ratelimit_redis_limits_body_write(
    ngx_http_request_t *r, ngx_http_ratelimit_redis_ctx_t *ctx,
    ngx_str_t *body);
static void ngx_http_ratelimit_redis_limits_note(
    ngx_http_ratelimit_redis_ctx_t *ctx,
    ngx_http_ratelimit_redis_status_e status);
static void ngx_http_ratelimit_redis_limits_log(ngx_http_request_t *r,
    ngx_http_ratelimit_redis_ctx_t *ctx, ngx_limiter_item_t *item);


ngx_int_t
ngx_http_ratelimit_redis_limits_verdict(ngx_http_request_t *r,
    ngx_http_ratelimit_redis_ctx_t *ctx, ngx_str_t *body)
{
    ngx_uint_t           i;
    ngx_limiter_item_t  *item;

    if (ctx->check.nitems == 0) {
        return NGX_DECLINED;
    }

    ctx->headers = ctx->conf->headers;
    ctx->delay = 0;
    ctx->now = 0;
    ctx->msec = ngx_current_msec;

    if ((ctx->headers & NGX_HTTP_RATELIMIT_REDIS_HEADERS_IETF)
        && ngx_http_ratelimit_redis_limits_tell(ctx) != NGX_OK)
    {
        return NGX_ERROR;
    }

    for (i = 0; i < ctx->check.nitems; i++) {
        item = &ctx->check.items[i];

        ctx->now = ngx_max(ctx->now, item->now);

        if (item->verdict == NGX_LIMITER_REJECTED
            && r->connection->log->log_level >= ctx->conf->log_level)
        {
            ngx_http_ratelimit_redis_limits_log(r, ctx, item);
        }
    }

    switch (ctx->check.result) {

    case NGX_LIMITER_CHECK_REJECTED:
        return ngx_http_ratelimit_redis_limits_rejected(r, ctx, body);

    case NGX_LIMITER_CHECK_UNAVAILABLE:
        return ngx_http_ratelimit_redis_limits_unavailable(r, ctx, body);

    default: /* NGX_LIMITER_CHECK_PASSED */
        return ngx_http_ratelimit_redis_limits_passed(r, ctx);
    }
}


/* RateLimit-Policy has all that the request was checked against, once */

static ngx_int_t
ngx_http_ratelimit_redis_limits_tell(ngx_http_ratelimit_redis_ctx_t *ctx)
{
    ngx_uint_t            i;
    ngx_limiter_item_t  **told, *item;

    if (ctx->policies == NULL) {
        ctx->policies = ngx_array_create(ctx->request->pool, ctx->check.nitems,
                                         sizeof(ngx_limiter_item_t *));
        if (ctx->policies == NULL) {
            return NGX_ERROR;
        }
    }

    for (i = 0; i < ctx->check.nitems; i++) {
        item = &ctx->check.items[i];

        if (item->soft
            || item->verdict == NGX_LIMITER_SKIPPED
            || ngx_http_ratelimit_redis_limits_told(ctx, item->zone))
        {
            continue;
        }

        told = ngx_array_push(ctx->policies);
        if (told == NULL) {
            return NGX_ERROR;
        }

        *told = item;
    }

    return NGX_OK;
}


static ngx_uint_t
ngx_http_ratelimit_redis_limits_told(ngx_http_ratelimit_redis_ctx_t *ctx,
    ngx_limiter_zone_t *zone)
{
    ngx_uint_t            i;
    ngx_limiter_item_t  **items;

    items = ctx->policies->elts;

    for (i = 0; i < ctx->policies->nelts; i++) {
        if (items[i]->zone == zone) {
            return 1;
        }
    }

    return 0;
}


static ngx_int_t
ngx_http_ratelimit_redis_limits_passed(ngx_http_request_t *r,
    ngx_http_ratelimit_redis_ctx_t *ctx)
{
    ngx_uint_t            i;
    ngx_limiter_item_t   *item;
    ngx_limiter_report_t  dry, found;

    dry.zone = NULL;

    for (i = 0; i < ctx->check.nitems; i++) {
        item = &ctx->check.items[i];

        switch (item->verdict) {

        case NGX_LIMITER_PASSED:
            ngx_http_ratelimit_redis_limits_counted(r, ctx, i);
            break;

        case NGX_LIMITER_REJECTED:
            ngx_http_ratelimit_redis_limits_note(ctx, item->local
                            ? NGX_HTTP_RATELIMIT_REDIS_LOCAL_REJECTED_DRY_RUN
                            : NGX_HTTP_RATELIMIT_REDIS_REJECTED_DRY_RUN);

            ngx_limiter_report_rejected(&found, item);
            ngx_limiter_report_longer(&dry, &found);
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


static void
ngx_http_ratelimit_redis_limits_counted(ngx_http_request_t *r,
    ngx_http_ratelimit_redis_ctx_t *ctx, ngx_uint_t i)
{
    ngx_limiter_item_t    *item;
    ngx_limiter_report_t   found;

    item = &ctx->check.items[i];

    item->next = ctx->charged;
    ctx->charged = item;

    ngx_http_ratelimit_redis_limits_note(ctx,
                        item->local ? NGX_HTTP_RATELIMIT_REDIS_LOCAL_PASSED
                                    : NGX_HTTP_RATELIMIT_REDIS_PASSED);

    ngx_http_ratelimit_redis_limits_delay(r, ctx, i);

    ngx_limiter_report_passed(&found, item);

    if (ctx->status < NGX_HTTP_RATELIMIT_REDIS_REJECTED_DRY_RUN) {
        ngx_limiter_report_closer(&ctx->noted, &found);
    }

    if (!item->soft) {
        ngx_limiter_report_closer(&ctx->shown, &found);
    }
}


/* of several zones the longest wait is waited */

static void
ngx_http_ratelimit_redis_limits_delay(ngx_http_request_t *r,
    ngx_http_ratelimit_redis_ctx_t *ctx, ngx_uint_t i)
{
    uint64_t                          delay;
    ngx_limiter_item_t               *item;
    ngx_http_ratelimit_redis_rule_t  *rules;

    item = &ctx->check.items[i];
    rules = ctx->conf->rules->elts;

    if (item->policy->algorithm != NGX_LIMITER_GCRA || item->take == 0) {
        return;
    }

    delay = ngx_limiter_state_delay(&item->state, item->policy,
                                    rules[ctx->rules[i]].delay,
                                    item->local && item->share.hosts
                                    ? &item->share : NULL);
    if (delay == 0) {
        return;
    }

    ngx_log_error(ngx_http_ratelimit_redis_limits_delay_level(ctx->conf),
                  r->connection->log, 0,
                  "delaying request%s%s, delay: %uLms, by zone \"%V\"",
                  item->soft ? ", dry run" : "",
                  item->local ? ", without redis" : "", delay,
                  &item->zone->name);

    if (item->soft) {
        ngx_http_ratelimit_redis_limits_note(ctx, item->local
                            ? NGX_HTTP_RATELIMIT_REDIS_LOCAL_DELAYED_DRY_RUN
                            : NGX_HTTP_RATELIMIT_REDIS_DELAYED_DRY_RUN);
        return;
    }

    ngx_limiter_local_tally(item->zone, NGX_LIMITER_TALLY_DELAYED, 1);

    ngx_http_ratelimit_redis_limits_note(ctx, item->local
                                    ? NGX_HTTP_RATELIMIT_REDIS_LOCAL_DELAYED
                                    : NGX_HTTP_RATELIMIT_REDIS_DELAYED);

    ctx->delay = ngx_max(ctx->delay, (ngx_msec_t) delay);
}


/* one below that of refusals, as for limit_req */

static ngx_uint_t
ngx_http_ratelimit_redis_limits_delay_level(
    ngx_http_ratelimit_redis_loc_conf_t *conf)
{
    return (conf->log_level == NGX_LOG_INFO) ? NGX_LOG_INFO
                                             : conf->log_level + 1;
}


/* What zones have counted before, in another stage or location, is undone. */

static void
ngx_http_ratelimit_redis_limits_back(ngx_http_ratelimit_redis_ctx_t *ctx)
{
    ngx_limiter_item_t  *item;

    for (item = ctx->charged; item; item = item->next) {
        ngx_limiter_check_book(ngx_http_ratelimit_redis_worker(), item, 0,
                               item->take);
    }

    ctx->charged = NULL;
}


/* Some zone is to deny what Redis is not asked about. */

static ngx_int_t
ngx_http_ratelimit_redis_limits_unavailable(ngx_http_request_t *r,
    ngx_http_ratelimit_redis_ctx_t *ctx, ngx_str_t *body)
{
    ngx_uint_t                             i;
    ngx_limiter_item_t                    *item;
    ngx_http_ratelimit_redis_main_conf_t  *rmcf;

    rmcf = ngx_http_get_module_main_conf(r, ngx_http_ratelimit_redis_module);

    for (i = 0; i < ctx->check.nitems; i++) {
        item = &ctx->check.items[i];

        if (item->verdict == NGX_LIMITER_SKIPPED
            && item->on_error == NGX_LIMITER_ON_ERROR_DENY
            && !item->soft)
        {
            ngx_log_error(ctx->conf->log_level, r->connection->log, 0,
                          "limiting requests, redis has not decided, "
                          "by zone \"%V\"", &item->zone->name);
        }
    }

    ngx_http_ratelimit_redis_limits_back(ctx);

    ctx->refused = 1;
    ctx->status = NGX_HTTP_RATELIMIT_REDIS_REJECTED;
    ngx_http_ratelimit_redis_soon(ctx);
    ctx->shown.zone = NULL;
    ctx->noted.zone = NULL;

    *body = rmcf->unavailable;

    return NGX_HTTP_SERVICE_UNAVAILABLE;
}


/* Redis may have been waited for: what was asked was asked a while ago. */

void
ngx_http_ratelimit_redis_soon(ngx_http_ratelimit_redis_ctx_t *ctx)
{
    ctx->now = ngx_limiter_local_now();
    ctx->msec = ngx_current_msec;
    ctx->retry = ctx->now + 1000;
}


static ngx_int_t
ngx_http_ratelimit_redis_limits_rejected(ngx_http_request_t *r,
    ngx_http_ratelimit_redis_ctx_t *ctx, ngx_str_t *body)
{
    ngx_uint_t             i;
    ngx_limiter_item_t    *item;
    ngx_limiter_report_t   found;

    ngx_http_ratelimit_redis_limits_back(ctx);

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

        ngx_http_ratelimit_redis_metrics_refusal(item);

        ngx_limiter_report_rejected(&found, item);
        ngx_limiter_report_longer(&ctx->shown, &found);
    }

    ctx->noted = ctx->shown;
    ctx->retry = (ctx->shown.end == NGX_LIMITER_NEVER) ? 0 : ctx->shown.end;

    if (ngx_http_ratelimit_redis_limits_body(r, ctx, body) != NGX_OK) {
        return NGX_ERROR;
    }

    return ctx->conf->status;
}


/*
 * The refusals by one zone were written at start, for the first of its rates;
 * others are written now.
 */

static ngx_int_t
ngx_http_ratelimit_redis_limits_body(ngx_http_request_t *r,
    ngx_http_ratelimit_redis_ctx_t *ctx, ngx_str_t *body)
{
    ngx_uint_t           i, n, set;
    ngx_limiter_item_t  *item;

    n = 0;

    for (i = 0; i < ctx->check.nitems; i++) {
        item = &ctx->check.items[i];

        if (item->soft || item->verdict != NGX_LIMITER_REJECTED) {
            continue;
        }

        if (n++) {
            return ngx_http_ratelimit_redis_limits_body_write(r, ctx, body);
        }

        set = ngx_limiter_report_refused(item);

        if (set >= NGX_HTTP_RATELIMIT_REDIS_BODIES) {
            return ngx_http_ratelimit_redis_limits_body_write(r, ctx, body);
        }

        *body = ctx->conf->bodies[ctx->rules[i]
                                  * NGX_HTTP_RATELIMIT_REDIS_BODIES + set];
    }

    if (body->len == 0) {
        return ngx_http_ratelimit_redis_limits_body_write(r, ctx, body);
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_ratelimit_redis_limits_body_write(ngx_http_request_t *r,
    ngx_http_ratelimit_redis_ctx_t *ctx, ngx_str_t *body)
{
    ngx_str_t                names[NGX_LIMITER_MAX_ZONES
                                   * NGX_LIMITER_MAX_RATES];
    ngx_uint_t               i, k, n, set;
    ngx_limiter_item_t      *item;
    ngx_http_api_problem_t   problem;

    n = 0;

    for (i = 0; i < ctx->check.nitems; i++) {
        item = &ctx->check.items[i];

        if (item->soft || item->verdict != NGX_LIMITER_REJECTED) {
            continue;
        }

        set = ngx_limiter_report_refused(item);

        for (k = 0; set >> k; k++) {

            if ((set >> k & 1) == 0) {
                continue;
            }

            if (ngx_limiter_report_name(item->zone,
                                        item->policy->rates[k].period,
                                        r->pool, &names[n])
                != NGX_OK)
            {
                return NGX_ERROR;
            }

            n++;
        }
    }

    ngx_http_ratelimit_redis_problem(&problem, ctx->conf->status, names, n);

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
    u_char                *p, retry[NGX_INT64_LEN + 1];
    ngx_limiter_report_t   report;

    ngx_limiter_report_rejected(&report, item);

    if (report.end == NGX_LIMITER_NEVER) {
        p = ngx_cpymem(retry, "never", sizeof("never") - 1);

    } else {
        p = ngx_sprintf(retry, "%uLs",
                        ngx_limiter_report_reset(&report, item->now));
    }

    ngx_log_error(ctx->conf->log_level, r->connection->log, 0,
                  "limiting requests%s%s, rate: %uLr/%uLs, retry: %*s, "
                  "by zone \"%V\"",
                  item->soft ? ", dry run" : "",
                  item->local ? ", without redis" : "",
                  report.limit, report.period / 1000,
                  (size_t) (p - retry), retry,
                  &item->zone->name);
}
