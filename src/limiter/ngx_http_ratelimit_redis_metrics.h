
/*
 * Copyright (C) The Optcache authors
 */


/*
 * What the module counts on a host, besides what is in the memory of each zone
 * (ngx_limiter_local.h): in shared memory of its own, see ngx_metrics.h.
 */


#ifndef _NGX_HTTP_RATELIMIT_REDIS_METRICS_H_INCLUDED_
#define _NGX_HTTP_RATELIMIT_REDIS_METRICS_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_metrics.h"


struct ngx_http_ratelimit_redis_main_conf_s;


typedef struct {
    ngx_metrics_t              *all;       /* NULL: nothing is counted */
    ngx_metrics_block_t        *redis;     /* ngx_redis_metrics_e; or NULL */
} ngx_http_ratelimit_redis_metrics_t;


/*
 * Makes the counters for what is configured, when all of it was read.  NGX_OK,
 * or NGX_ERROR after logging.
 */

ngx_int_t ngx_http_ratelimit_redis_metrics_conf(ngx_conf_t *cf,
    struct ngx_http_ratelimit_redis_main_conf_s *rmcf);

/* The life of a worker: before anything is counted, and after all was. */

void ngx_http_ratelimit_redis_metrics_start(
    ngx_http_ratelimit_redis_metrics_t *metrics, ngx_log_t *log);
void ngx_http_ratelimit_redis_metrics_stop(
    ngx_http_ratelimit_redis_metrics_t *metrics);


#endif /* _NGX_HTTP_RATELIMIT_REDIS_METRICS_H_INCLUDED_ */
