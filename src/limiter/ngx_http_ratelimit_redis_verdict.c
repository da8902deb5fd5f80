
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
static ngx_limiter_item_t **ngx_http_ratelimit_redis_limits_push(
    ngx_http_ratelimit_redis_ctx_t *ctx, ngx_array_t **array);
static ngx_int_t ngx_http_ratelimit_redis_limits_passed(ngx_http_request_t *r,
    ngx_http_ratelimit_redis_ctx_t *ctx);
static ngx_int_t ngx_http_ratelimit_redis_limits_counted(
    ngx_http_request_t *r, ngx_http_ratelimit_redis_ctx_t *ctx, ngx_uint_t i);
static void ngx_http_ratelimit_redis_limits_delay(ngx_http_request_t *r,
    ngx_http_ratelimit_redis_ctx_t *ctx, ngx_uint_t i);
static ngx_uint_t ngx_http_ratelimit_redis_limits_delay_level(
    ngx_http_ratelimit_redis_loc_conf_t *conf);
static void ngx_http_ratelimit_redis_limits_back(
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
ngx_http_ratelimit_redis_limits_verdict(ngx_http_request_t *r,
    ngx_http_ratelimit_redis_ctx_t *ctx, ngx_str_t *body)
{
    ngx_uint_t                             i;
    ngx_http_ratelimit_redis_main_conf_t  *rmcf;

    if (ctx->check.nitems == 0) {
        return NGX_DECLINED;
    }

    ctx->headers = ctx->conf->headers;
    ctx->delay = 0;

    if ((ctx->headers & NGX_HTTP_RATELIMIT_REDIS_HEADERS_IETF)
        && ngx_http_ratelimit_redis_limits_tell(ctx) != NGX_OK)
    {
        return NGX_ERROR;
    }

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

        ngx_http_ratelimit_redis_limits_back(ctx);

        ctx->refused = 1;
        ctx->status = NGX_HTTP_RATELIMIT_REDIS_REJECTED;
        ctx->retry = ngx_limiter_local_now() + 1000;
        ctx->shown.zone = NULL;
        ctx->noted.zone = NULL;

        *body = rmcf->unavailable;

        return NGX_HTTP_SERVICE_UNAVAILABLE;

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

    for (i = 0; i < ctx->check.nitems; i++) {
        item = &ctx->check.items[i];

        if (item->soft
            || item->verdict == NGX_LIMITER_SKIPPED
            || ngx_http_ratelimit_redis_limits_has(ctx->policies, item->zone))
        {
            continue;
        }

        told = ngx_http_ratelimit_redis_limits_push(ctx, &ctx->policies);
        if (told == NULL) {
            return NGX_ERROR;
        }

        *told = item;
    }

    return NGX_OK;
}


static ngx_limiter_item_t **
ngx_http_ratelimit_redis_limits_push(ngx_http_ratelimit_redis_ctx_t *ctx,
    ngx_array_t **array)
{
    if (*array == NULL) {
        *array = ngx_array_create(ctx->request->pool, ctx->check.nitems,
                                  sizeof(ngx_limiter_item_t *));
        if (*array == NULL) {
            return NULL;
        }
    }

    return ngx_array_push(*array);
}


static ngx_int_t
ngx_http_ratelimit_redis_limits_passed(ngx_http_request_t *r,
    ngx_http_ratelimit_redis_ctx_t *ctx)
{
    ngx_uint_t            i;
    ngx_limiter_item_t   *item;
    ngx_limiter_report_t  dry;

    dry.zone = NULL;

    for (i = 0; i < ctx->check.nitems; i++) {
        item = &ctx->check.items[i];

        switch (item->verdict) {

        case NGX_LIMITER_PASSED:
            if (ngx_http_ratelimit_redis_limits_counted(r, ctx, i) != NGX_OK) {
                return NGX_ERROR;
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
ngx_http_ratelimit_redis_limits_counted(ngx_http_request_t *r,
    ngx_http_ratelimit_redis_ctx_t *ctx, ngx_uint_t i)
{
    ngx_limiter_item_t  *item, **charged;

    item = &ctx->check.items[i];

    charged = ngx_http_ratelimit_redis_limits_push(ctx, &ctx->charged);
    if (charged == NULL) {
        return NGX_ERROR;
    }

    *charged = item;

    ngx_http_ratelimit_redis_limits_note(ctx,
                        item->local ? NGX_HTTP_RATELIMIT_REDIS_LOCAL_PASSED
                                    : NGX_HTTP_RATELIMIT_REDIS_PASSED);

    ngx_http_ratelimit_redis_limits_delay(r, ctx, i);

    if (ctx->status < NGX_HTTP_RATELIMIT_REDIS_REJECTED_DRY_RUN) {
        ngx_limiter_report_passed(&ctx->noted, item);
    }

    if (!item->soft) {
        ngx_limiter_report_passed(&ctx->shown, item);
    }

    return NGX_OK;
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
    ngx_uint_t            i;
    ngx_limiter_item_t  **items;

    if (ctx->charged == NULL) {
        return;
    }

    items = ctx->charged->elts;

    for (i = 0; i < ctx->charged->nelts; i++) {
        ngx_limiter_check_book(ngx_http_ratelimit_redis_worker(), items[i], 0,
                               items[i]->take);
    }

    ctx->charged->nelts = 0;
}


static ngx_int_t
ngx_http_ratelimit_redis_limits_rejected(ngx_http_request_t *r,
    ngx_http_ratelimit_redis_ctx_t *ctx, ngx_str_t *body)
{
    ngx_uint_t           i;
    ngx_limiter_item_t  *item;

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

        ngx_limiter_report_rejected(&ctx->shown, item);
    }

    ctx->noted = ctx->shown;
    ctx->retry = (ctx->shown.end == NGX_LIMITER_NEVER) ? 0 : ctx->shown.end;

    if (ngx_http_ratelimit_redis_limits_body(r, ctx, body) != NGX_OK) {
        return NGX_ERROR;
    }

    return ctx->conf->status;
}


/*
 * The refusal by one rate of one zone was written at start; others are written
 * now.
 */

static ngx_int_t
ngx_http_ratelimit_redis_limits_body(ngx_http_request_t *r,
    ngx_http_ratelimit_redis_ctx_t *ctx, ngx_str_t *body)
{
    ngx_str_t                names[NGX_LIMITER_MAX_ZONES
                                   * NGX_LIMITER_MAX_RATES];
    ngx_uint_t               i, k, n, bodies;
    ngx_limiter_item_t      *item;
    ngx_http_api_problem_t   problem;

    n = 0;
    bodies = 0;

    for (i = 0; i < ctx->check.nitems; i++) {
        item = &ctx->check.items[i];

        if (item->soft || item->verdict != NGX_LIMITER_REJECTED) {
            continue;
        }

        for (k = 0; k < item->policy->nrates; k++) {

            if (ngx_limiter_report_room(item, k) >= item->need) {
                continue;
            }

            if (!item->zone->variable) {
                *body = ctx->conf->bodies[ctx->rules[i] * NGX_LIMITER_MAX_RATES
                                          + k];
                bodies++;
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

    if (n == 1 && bodies == 1) {
        return NGX_OK;
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

    report.zone = NULL;
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
