
/*
 * Copyright (C) The Optcache authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_redis_metrics.h"


static void ngx_redis_metrics_add(ngx_redis_stats_t *stats, ngx_uint_t i,
    uint64_t k);


const uint64_t  ngx_redis_metrics_bounds[NGX_REDIS_METRICS_BOUNDS] = {
    100, 250, 500, 1000, 2500, 5000, 10000, 25000, 50000, 100000, 250000,
    1000000
};


void
ngx_redis_metrics_count(ngx_redis_stats_t *stats, ngx_uint_t i)
{
    ngx_redis_metrics_add(stats, i, 1);
}


static void
ngx_redis_metrics_add(ngx_redis_stats_t *stats, ngx_uint_t i, uint64_t k)
{
    stats->counters[i] += k;

    if (stats->block) {
        ngx_metrics_add_to(stats->block, i, k);
    }
}


uint64_t
ngx_redis_metrics_clock(void)
{
    struct timespec  ts;

    (void) clock_gettime(CLOCK_MONOTONIC, &ts);

    return (uint64_t) ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}


void
ngx_redis_metrics_latency(ngx_redis_stats_t *stats, uint64_t sent,
    uint64_t answered)
{
    uint64_t    usec;
    ngx_uint_t  i;

    usec = (answered > sent) ? answered - sent : 0;

    for (i = 0; i < NGX_REDIS_METRICS_BOUNDS; i++) {
        if (usec <= ngx_redis_metrics_bounds[i]) {
            break;
        }
    }

    ngx_redis_metrics_count(stats, NGX_REDIS_METRICS_LATENCY + i);
    ngx_redis_metrics_add(stats, NGX_REDIS_METRICS_USEC, usec);
}
