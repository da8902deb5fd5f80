
/*
 * Copyright (C) The Optcache authors
 */


/*
 * What an API tells of the tokens of requests.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_ratelimit_redis.h"


static void ngx_http_ratelimit_redis_token_api_members(
    ngx_http_api_json_t *json, ngx_metrics_block_t *tokens,
    const char *name, const char **names, ngx_uint_t first, ngx_uint_t n);
static void ngx_http_ratelimit_redis_token_api_samples(
    ngx_http_api_prometheus_t *p, ngx_metrics_block_t *tokens,
    const char *label, const char **names, ngx_uint_t first, ngx_uint_t n);
static const char *ngx_http_ratelimit_redis_token_api_result(ngx_uint_t i);


/* ngx_http_token_metrics_e: after the results */

static const char  *ngx_http_ratelimit_redis_token_api_verified[] = {
    "worker",
    "host",
    "full"
};


static const char  *ngx_http_ratelimit_redis_token_api_blacklist[] = {
    "local",
    "redis",
    "failed_open",
    "failed_closed"
};


void
ngx_http_ratelimit_redis_token_api(ngx_http_api_json_t *json,
    ngx_http_ratelimit_redis_main_conf_t *rmcf)
{
    uint64_t              checked;
    ngx_uint_t            i;
    ngx_metrics_block_t  *tokens;

    tokens = rmcf->metrics.tokens;

    if (tokens == NULL) {
        ngx_http_api_json_null(json, "tokens");
        return;
    }

    checked = 0;

    for (i = 0; i < NGX_HTTP_TOKEN_METRICS_MISSING; i++) {
        checked += ngx_metrics_sum(tokens, i);
    }

    ngx_http_api_json_object(json, "tokens");
    ngx_http_api_json_number(json, "checked", checked);

    for (i = 0; i <= NGX_HTTP_TOKEN_METRICS_MISSING; i++) {
        ngx_http_api_json_number(json,
                                 ngx_http_ratelimit_redis_token_api_result(i),
                                 ngx_metrics_sum(tokens, i));
    }

    ngx_http_ratelimit_redis_token_api_members(json, tokens, "verified",
                                  ngx_http_ratelimit_redis_token_api_verified,
                                  NGX_HTTP_TOKEN_METRICS_WORKER, 3);
    ngx_http_ratelimit_redis_token_api_members(json, tokens, "blacklist",
                                 ngx_http_ratelimit_redis_token_api_blacklist,
                                 NGX_HTTP_TOKEN_METRICS_LOCAL, 4);

    ngx_http_api_json_end(json);
}


static void
ngx_http_ratelimit_redis_token_api_members(ngx_http_api_json_t *json,
    ngx_metrics_block_t *tokens, const char *name, const char **names,
    ngx_uint_t first, ngx_uint_t n)
{
    ngx_uint_t  i;

    ngx_http_api_json_object(json, name);

    for (i = 0; i < n; i++) {
        ngx_http_api_json_number(json, names[i],
                                 ngx_metrics_sum(tokens, first + i));
    }

    ngx_http_api_json_end(json);
}


void
ngx_http_ratelimit_redis_token_api_metrics(ngx_http_api_prometheus_t *p,
    ngx_http_ratelimit_redis_main_conf_t *rmcf)
{
    ngx_uint_t            i;
    ngx_metrics_block_t  *tokens;

    tokens = rmcf->metrics.tokens;

    if (tokens == NULL) {
        return;
    }

    ngx_http_api_prometheus_counter(p, "ratelimit_redis_tokens_total",
             "Requests by what became of their token.");

    for (i = 0; i <= NGX_HTTP_TOKEN_METRICS_MISSING; i++) {
        ngx_http_api_prometheus_text(p, "verdict",
                               ngx_http_ratelimit_redis_token_api_result(i));
        ngx_http_api_prometheus_number(p, ngx_metrics_sum(tokens, i));
    }

    ngx_http_api_prometheus_counter(p,
             "ratelimit_redis_token_verifications_total",
             "JSON Web Tokens by who knew that they are good: the worker, "
             "the host, or nobody.");
    ngx_http_ratelimit_redis_token_api_samples(p, tokens, "source",
                                  ngx_http_ratelimit_redis_token_api_verified,
                                  NGX_HTTP_TOKEN_METRICS_WORKER, 3);

    ngx_http_api_prometheus_counter(p,
             "ratelimit_redis_token_blacklist_checks_total",
             "Tokens by how it was known whether they are revoked.");
    ngx_http_ratelimit_redis_token_api_samples(p, tokens, "result",
                                 ngx_http_ratelimit_redis_token_api_blacklist,
                                 NGX_HTTP_TOKEN_METRICS_LOCAL, 4);
}


static void
ngx_http_ratelimit_redis_token_api_samples(ngx_http_api_prometheus_t *p,
    ngx_metrics_block_t *tokens, const char *label, const char **names,
    ngx_uint_t first, ngx_uint_t n)
{
    ngx_uint_t  i;

    for (i = 0; i < n; i++) {
        ngx_http_api_prometheus_text(p, label, names[i]);
        ngx_http_api_prometheus_number(p, ngx_metrics_sum(tokens, first + i));
    }
}


static const char *
ngx_http_ratelimit_redis_token_api_result(ngx_uint_t i)
{
    switch (i) {

    case NGX_HTTP_TOKEN_METRICS_REVOKED:
        return "revoked";

    case NGX_HTTP_TOKEN_METRICS_UNAVAILABLE:
        return "unavailable";

    case NGX_HTTP_TOKEN_METRICS_MISSING:
        return "missing";

    default:
        return (const char *) ngx_token_verdict_text(i)->data;
    }
}
