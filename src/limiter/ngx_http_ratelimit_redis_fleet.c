
/*
 * Copyright (C) The Optcache authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_ratelimit_redis.h"
#include "ngx_limiter_reconcile.h"


static ngx_int_t ngx_http_ratelimit_redis_fleet_init(ngx_shm_zone_t *shm_zone,
    void *data);


char *
ngx_http_ratelimit_redis_fleet_conf(ngx_conf_t *cf,
    ngx_http_ratelimit_redis_main_conf_t *rmcf)
{
    ngx_str_t  name;

    if (rmcf->redis == NULL || rmcf->zones.nelts == 0) {
        return NGX_CONF_OK;
    }

    /* no ratelimit_redis_zone has a colon in its name */

    ngx_str_set(&name, "ratelimit_redis:fleet");

    rmcf->fleet = ngx_shared_memory_add(cf, &name, 8 * ngx_pagesize,
                                        &ngx_http_ratelimit_redis_module);
    if (rmcf->fleet == NULL) {
        return NGX_CONF_ERROR;
    }

    rmcf->fleet->init = ngx_http_ratelimit_redis_fleet_init;
    rmcf->fleet->data = rmcf;

    return NGX_CONF_OK;
}


static ngx_int_t
ngx_http_ratelimit_redis_fleet_init(ngx_shm_zone_t *shm_zone, void *data)
{
    return ngx_limiter_fleet_init((ngx_slab_pool_t *) shm_zone->shm.addr,
                                  shm_zone->shm.log);
}


ngx_int_t
ngx_http_ratelimit_redis_fleet_start(ngx_cycle_t *cycle,
    ngx_http_ratelimit_redis_main_conf_t *rmcf, ngx_limiter_redis_t *redis)
{
    if (rmcf->fleet == NULL) {
        return NGX_OK;
    }

    redis->fleet = ngx_limiter_fleet_create(cycle,
                                 (ngx_slab_pool_t *) rmcf->fleet->shm.addr,
                                 redis->client, &redis->prefix);
    if (redis->fleet == NULL) {
        return NGX_ERROR;
    }

    return ngx_limiter_reconcile_init(cycle, redis, rmcf->zones.elts,
                                      rmcf->zones.nelts);
}


void
ngx_http_ratelimit_redis_fleet_stop(ngx_limiter_redis_t *redis)
{
    ngx_limiter_reconcile_close();

    if (redis->fleet) {
        ngx_limiter_fleet_close(redis->fleet);
    }
}
