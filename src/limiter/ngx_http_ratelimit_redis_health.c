
/*
 * Copyright (C) The Optcache authors
 */


/*
 * What one worker finds amiss and all are to tell, since any may be asked how
 * its host does: when Redis last refused something that it was asked.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_ratelimit_redis.h"


#define NGX_HTTP_RATELIMIT_REDIS_HEALTH_MAGIC    0x6f706864      /* "ophd" */
#define NGX_HTTP_RATELIMIT_REDIS_HEALTH_VERSION  2


/* in shared memory; words are read and written without a lock */

typedef struct {
    uint32_t                  magic;
    uint32_t                  version;
    ngx_atomic_t              script;    /* ms, ngx_current_msec; 0: never */
    ngx_atomic_t              tokens;
    ngx_atomic_t              revoking;
} ngx_http_ratelimit_redis_health_t;


static ngx_int_t ngx_http_ratelimit_redis_health_init(ngx_shm_zone_t *shm_zone,
    void *data);


char *
ngx_http_ratelimit_redis_health_conf(ngx_conf_t *cf,
    ngx_http_ratelimit_redis_main_conf_t *rmcf)
{
    ngx_str_t  name;

    if (rmcf->redis == NULL) {
        return NGX_CONF_OK;
    }

    /* no ratelimit_redis_zone has a colon in its name */

    ngx_str_set(&name, "ratelimit_redis:health");

    rmcf->health = ngx_shared_memory_add(cf, &name, 8 * ngx_pagesize,
                                         &ngx_http_ratelimit_redis_module);
    if (rmcf->health == NULL) {
        return NGX_CONF_ERROR;
    }

    rmcf->health->init = ngx_http_ratelimit_redis_health_init;
    rmcf->health->data = rmcf;

    return NGX_CONF_OK;
}


static ngx_int_t
ngx_http_ratelimit_redis_health_init(ngx_shm_zone_t *shm_zone, void *data)
{
    ngx_slab_pool_t                    *shpool;
    ngx_http_ratelimit_redis_health_t  *health;

    shpool = (ngx_slab_pool_t *) shm_zone->shm.addr;
    health = shpool->data;

    if (health) {

        if (health->magic == NGX_HTTP_RATELIMIT_REDIS_HEALTH_MAGIC
            && health->version == NGX_HTTP_RATELIMIT_REDIS_HEALTH_VERSION)
        {
            return NGX_OK;
        }

        ngx_log_error(NGX_LOG_EMERG, shm_zone->shm.log, 0,
                      "zone \"%V\" was laid out by another version of the "
                      "module, nginx must be restarted", &shm_zone->shm.name);
        return NGX_ERROR;
    }

    health = ngx_slab_calloc(shpool,
                             sizeof(ngx_http_ratelimit_redis_health_t));
    if (health == NULL) {
        return NGX_ERROR;
    }

    health->magic = NGX_HTTP_RATELIMIT_REDIS_HEALTH_MAGIC;
    health->version = NGX_HTTP_RATELIMIT_REDIS_HEALTH_VERSION;

    shpool->data = health;

    return NGX_OK;
}


void
ngx_http_ratelimit_redis_health_start(
    ngx_http_ratelimit_redis_main_conf_t *rmcf, ngx_limiter_redis_t *redis)
{
    ngx_slab_pool_t                    *shpool;
    ngx_http_ratelimit_redis_health_t  *health;

    shpool = (ngx_slab_pool_t *) rmcf->health->shm.addr;
    health = shpool->data;

    redis->script.shared = &health->script;
    redis->tokens.shared = &health->tokens;
    redis->revoking.shared = &health->revoking;
}
