
/*
 * Copyright (C) The Optcache authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_ratelimit_redis.h"


ngx_int_t
ngx_http_ratelimit_redis_metrics_conf(ngx_conf_t *cf,
    ngx_http_ratelimit_redis_main_conf_t *rmcf)
{
    ngx_http_ratelimit_redis_metrics_t  *metrics;

    static ngx_str_t  name = ngx_string("ratelimit_redis:metrics");
    static ngx_str_t  redis = ngx_string("redis");

    metrics = &rmcf->metrics;

    if (rmcf->redis == NULL) {
        return NGX_OK;
    }

    metrics->all = ngx_metrics_create(cf, &name,
                                      &ngx_http_ratelimit_redis_module);
    if (metrics->all == NULL) {
        return NGX_ERROR;
    }

    metrics->redis = ngx_metrics_add(cf, metrics->all, &redis,
                                     NGX_REDIS_METRICS);

    return metrics->redis ? NGX_OK : NGX_ERROR;
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
