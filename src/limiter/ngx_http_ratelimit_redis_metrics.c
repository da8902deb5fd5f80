
/*
 * Copyright (C) The Optcache authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_ratelimit_redis.h"
#include "ngx_http_ratelimit_redis_api.h"


static ngx_int_t ngx_http_ratelimit_redis_metrics_zone(ngx_conf_t *cf,
    ngx_metrics_t *metrics, ngx_http_ratelimit_redis_zone_t *rz);
static ngx_uint_t ngx_http_ratelimit_redis_metrics_result(
    ngx_http_ratelimit_redis_ctx_t *ctx);
static ngx_uint_t ngx_http_ratelimit_redis_metrics_blacklist(
    ngx_http_ratelimit_redis_ctx_t *ctx);


ngx_int_t
ngx_http_ratelimit_redis_metrics_conf(ngx_conf_t *cf,
    ngx_http_ratelimit_redis_main_conf_t *rmcf)
{
    ngx_uint_t                            i;
    ngx_limiter_zone_t                  **zones;
    ngx_http_ratelimit_redis_metrics_t   *metrics;

    static ngx_str_t  name = ngx_string("ratelimit_redis:metrics");
    static ngx_str_t  redis = ngx_string("redis");
    static ngx_str_t  tokens = ngx_string("tokens");

    metrics = &rmcf->metrics;

    if (rmcf->redis == NULL && rmcf->zones.nelts == 0 && !rmcf->token_read) {
        return NGX_OK;
    }

    metrics->all = ngx_metrics_create(cf, &name,
                                      &ngx_http_ratelimit_redis_module);
    if (metrics->all == NULL) {
        return NGX_ERROR;
    }

    if (rmcf->redis) {
        metrics->redis = ngx_metrics_add(cf, metrics->all, &redis,
                                         NGX_REDIS_METRICS);
        if (metrics->redis == NULL) {
            return NGX_ERROR;
        }
    }

    if (rmcf->token_read) {
        metrics->tokens = ngx_metrics_add(cf, metrics->all, &tokens,
                                          NGX_HTTP_TOKEN_METRICS);
        if (metrics->tokens == NULL) {
            return NGX_ERROR;
        }
    }

    zones = rmcf->zones.elts;

    for (i = 0; i < rmcf->zones.nelts; i++) {
        if (ngx_http_ratelimit_redis_metrics_zone(cf, metrics->all,
                                ngx_http_ratelimit_redis_api_owner(zones[i]))
            != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


/* Other rates are counted anew: the name tells them, and the whole zone's. */

static ngx_int_t
ngx_http_ratelimit_redis_metrics_zone(ngx_conf_t *cf, ngx_metrics_t *metrics,
    ngx_http_ratelimit_redis_zone_t *rz)
{
    uint32_t    hash;
    ngx_str_t   name;
    ngx_uint_t  i;

    ngx_crc32_init(hash);
    ngx_crc32_update(&hash, rz->zone.name.data, rz->zone.name.len);

    for (i = 0; i < rz->nrates; i++) {
        ngx_crc32_update(&hash, (u_char *) " ", 1);
        ngx_crc32_update(&hash, rz->rates[i].text.data,
                         rz->rates[i].text.len);
    }

    ngx_crc32_final(hash);

    name.len = sizeof("rates 00000000 ") - 1 + rz->zone.name.len;
    name.data = ngx_pnalloc(cf->pool, name.len);
    if (name.data == NULL) {
        return NGX_ERROR;
    }

    ngx_sprintf(name.data, "rates %08xD %V", hash, &rz->zone.name);

    rz->refusals = ngx_metrics_add(cf, metrics, &name, rz->nrates);

    return rz->refusals ? NGX_OK : NGX_ERROR;
}


void
ngx_http_ratelimit_redis_metrics_start(
    ngx_http_ratelimit_redis_metrics_t *metrics, ngx_log_t *log)
{
    if (metrics->all) {
        ngx_metrics_start(metrics->all, log);
    }
}


void
ngx_http_ratelimit_redis_metrics_stop(
    ngx_http_ratelimit_redis_metrics_t *metrics)
{
    if (metrics->all) {
        ngx_metrics_stop(metrics->all);
    }
}


void
ngx_http_ratelimit_redis_metrics_refusal(const ngx_limiter_item_t *item)
{
    ngx_uint_t                        k, set;
    ngx_http_ratelimit_redis_zone_t  *rz;

    rz = ngx_http_ratelimit_redis_api_owner(item->zone);
    set = ngx_limiter_report_refused(item);

    for (k = 0; set >> k; k++) {
        if (set >> k & 1) {
            ngx_metrics_count(rz->refusals, item->policy->from[k]);
        }
    }
}


void
ngx_http_ratelimit_redis_metrics_token(ngx_http_request_t *r,
    ngx_http_ratelimit_redis_ctx_t *ctx)
{
    ngx_http_ratelimit_redis_metrics_count(r,
                                ngx_http_ratelimit_redis_metrics_result(ctx));

    if (!ctx->conf->token_blacklist) {
        return;
    }

    switch (ctx->token_status) {

    case NGX_HTTP_TOKEN_OK:
    case NGX_HTTP_TOKEN_REVOKED:
    case NGX_HTTP_TOKEN_UNAVAILABLE:
        ngx_http_ratelimit_redis_metrics_count(r,
                             ngx_http_ratelimit_redis_metrics_blacklist(ctx));
        break;

    default:
        break;
    }
}


static ngx_uint_t
ngx_http_ratelimit_redis_metrics_result(ngx_http_ratelimit_redis_ctx_t *ctx)
{
    switch (ctx->token_status) {

    case NGX_HTTP_TOKEN_NONE:
        return NGX_HTTP_TOKEN_METRICS_MISSING;

    case NGX_HTTP_TOKEN_MALFORMED:
        return NGX_TOKEN_VERDICT_MALFORMED;

    case NGX_HTTP_TOKEN_REVOKED:
        return NGX_HTTP_TOKEN_METRICS_REVOKED;

    case NGX_HTTP_TOKEN_UNAVAILABLE:
        return NGX_HTTP_TOKEN_METRICS_UNAVAILABLE;

    case NGX_HTTP_TOKEN_OK:
        return NGX_TOKEN_VERDICT_OK;

    default: /* NGX_HTTP_TOKEN_INVALID */
        return ctx->token_verdict;
    }
}


static ngx_uint_t
ngx_http_ratelimit_redis_metrics_blacklist(
    ngx_http_ratelimit_redis_ctx_t *ctx)
{
    if (ctx->token_status == NGX_HTTP_TOKEN_UNAVAILABLE) {
        return (ctx->conf->token_deny || ctx->token_hurried)
               ? NGX_HTTP_TOKEN_METRICS_CLOSED : NGX_HTTP_TOKEN_METRICS_OPEN;
    }

    return ctx->asked ? NGX_HTTP_TOKEN_METRICS_REDIS
                      : NGX_HTTP_TOKEN_METRICS_LOCAL;
}


void
ngx_http_ratelimit_redis_metrics_count(ngx_http_request_t *r, ngx_uint_t i)
{
    ngx_http_ratelimit_redis_main_conf_t  *rmcf;

    rmcf = ngx_http_get_module_main_conf(r, ngx_http_ratelimit_redis_module);

    if (rmcf->metrics.tokens) {
        ngx_metrics_count(rmcf->metrics.tokens, i);
    }
}
