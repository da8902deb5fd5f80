
/*
 * Copyright (C) The Optcache authors
 */


/*
 * What an API tells of a client of Redis, in JSON and to Prometheus.
 */


#ifndef _NGX_HTTP_API_REDIS_H_INCLUDED_
#define _NGX_HTTP_API_REDIS_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_api_json.h"
#include "ngx_http_api_prometheus.h"
#include "ngx_redis_client.h"


/*
 * Members of an object: "state", "breaker" and "servers", without what is
 * secret.
 */

void ngx_http_api_redis(ngx_http_api_json_t *json, ngx_redis_conf_t *conf,
    ngx_redis_client_t *client);

/* A member "worker": the counters of this one's client, since it started. */

void ngx_http_api_redis_worker(ngx_http_api_json_t *json,
    ngx_redis_client_t *client);

/*
 * A member "host": those of all workers, since nginx was started.  "block" is
 * what ngx_redis_client_metrics() was given.
 */

void ngx_http_api_redis_host(ngx_http_api_json_t *json,
    ngx_metrics_block_t *block);

/*
 * Families whose names begin with "prefix", as "optcache_", of a program, and
 * of 32 bytes at most: redis_up, redis_breaker, redis_commands_total, and so
 * on.  Counters are of the host, states of the worker that answers.
 */

void ngx_http_api_redis_metrics(ngx_http_api_prometheus_t *p,
    const char *prefix, ngx_redis_client_t *client,
    ngx_metrics_block_t *block);

/*
 * 1 if commands are not sent to Redis now, or on trial only, by this worker:
 * what is asked of it is answered without it.
 */

ngx_uint_t ngx_http_api_redis_degraded(ngx_redis_client_t *client);


#endif /* _NGX_HTTP_API_REDIS_H_INCLUDED_ */
