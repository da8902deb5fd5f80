
/*
 * Copyright (C) The Optcache authors
 */


/*
 * The ratelimit_redis_api directive, and what its locations answer:
 *
 *     GET     /status               this host, this worker, Redis, all zones
 *     GET     /metrics              what can be counted of that, for Prometheus
 *     GET     /health               whether anything is amiss
 *     GET     /zones                what zones are configured as, and totals
 *     GET     /zones/NAME
 *     GET     /subjects/ZONE/KEY    the state of one subject
 *     DELETE  /subjects/ZONE/KEY    forgets it, with write=on
 *     POST    /revocations          revokes tokens, with write=on
 *
 * docs/api.md has the documents.
 */


#ifndef _NGX_HTTP_RATELIMIT_REDIS_API_H_INCLUDED_
#define _NGX_HTTP_RATELIMIT_REDIS_API_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_api_json.h"
#include "ngx_http_api_path.h"
#include "ngx_http_api_prometheus.h"
#include "ngx_http_ratelimit_redis.h"


/* .._loc_conf_t.api; not inherited but by "if" and limit_except */

#define NGX_HTTP_RATELIMIT_REDIS_API_OFF    0
#define NGX_HTTP_RATELIMIT_REDIS_API_READ   1
#define NGX_HTTP_RATELIMIT_REDIS_API_WRITE  2


/* _api.c: the directive; merges .._loc_conf_t.api.. before token_.. are */

char *ngx_http_ratelimit_redis_api_conf(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
void ngx_http_ratelimit_redis_api_merge(ngx_conf_t *cf,
    ngx_http_ratelimit_redis_loc_conf_t *prev,
    ngx_http_ratelimit_redis_loc_conf_t *conf);

/* what a zone of .._main_conf_t.zones is in */

#define ngx_http_ratelimit_redis_api_owner(limiter_zone)                      \
    ((ngx_http_ratelimit_redis_zone_t *)                                      \
         ((u_char *) (limiter_zone)                                           \
          - offsetof(ngx_http_ratelimit_redis_zone_t, zone)))

/* the zone of that name; NULL if there is none, and 404 is to be answered */

ngx_http_ratelimit_redis_zone_t *ngx_http_ratelimit_redis_api_zone(
    ngx_http_request_t *r, ngx_str_t *name);

/* The answers that several handlers give; as content handlers return. */

ngx_int_t ngx_http_ratelimit_redis_api_unknown(ngx_http_request_t *r);
ngx_int_t ngx_http_ratelimit_redis_api_send(ngx_http_request_t *r,
    ngx_uint_t status, ngx_http_api_json_t *json);

/* the word for ngx_limiter_policy_t.algorithm */

const char *ngx_http_ratelimit_redis_api_algorithm(ngx_uint_t algorithm);


/* _api_zones.c: handlers of ngx_http_api_route() */

ngx_int_t ngx_http_ratelimit_redis_api_status(ngx_http_request_t *r,
    ngx_http_api_path_t *path);
ngx_int_t ngx_http_ratelimit_redis_api_zones(ngx_http_request_t *r,
    ngx_http_api_path_t *path);
ngx_int_t ngx_http_ratelimit_redis_api_one_zone(ngx_http_request_t *r,
    ngx_http_api_path_t *path);

/* what the memory of a zone holds */

typedef struct {
    uint32_t                    capacity;
    uint32_t                    used;
    uint64_t                    evicted;
} ngx_http_ratelimit_redis_api_slots_t;

void ngx_http_ratelimit_redis_api_slots(ngx_limiter_zone_t *zone,
    ngx_http_ratelimit_redis_api_slots_t *slots);


/* _api_metrics.c, _api_health.c: the same */

ngx_int_t ngx_http_ratelimit_redis_api_metrics(ngx_http_request_t *r,
    ngx_http_api_path_t *path);
ngx_int_t ngx_http_ratelimit_redis_api_health(ngx_http_request_t *r,
    ngx_http_api_path_t *path);

/* _api_health.c: families of metrics that tell the same */

void ngx_http_ratelimit_redis_api_health_metrics(
    ngx_http_api_prometheus_t *p,
    ngx_http_ratelimit_redis_main_conf_t *rmcf);


/* _api_subject.c, _api_reset.c, _api_revoke.c: the same */

ngx_int_t ngx_http_ratelimit_redis_api_subject(ngx_http_request_t *r,
    ngx_http_api_path_t *path);
ngx_int_t ngx_http_ratelimit_redis_api_reset(ngx_http_request_t *r,
    ngx_http_api_path_t *path);
ngx_int_t ngx_http_ratelimit_redis_api_revoke(ngx_http_request_t *r,
    ngx_http_api_path_t *path);

/*
 * _api.c: the zone that a path names, if it has a key, too.  Returns
 * NGX_DECLINED if so, else what the content handler is to return.
 */

ngx_int_t ngx_http_ratelimit_redis_api_named(ngx_http_request_t *r,
    ngx_http_api_path_t *path, ngx_http_ratelimit_redis_zone_t **rz);


#endif /* _NGX_HTTP_RATELIMIT_REDIS_API_H_INCLUDED_ */
