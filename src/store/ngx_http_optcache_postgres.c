
/*
 * Copyright (C) The Optcache authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_optcache.h"
#include "ngx_http_optcache_postgres.h"


static ngx_int_t ngx_http_optcache_postgres_zone(ngx_shm_zone_t *shm_zone,
    void *data);


/* of this worker */

static ngx_optcache_postgres_t  *ngx_http_optcache_postgres;


char *
ngx_http_optcache_postgres_conf(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_optcache_main_conf_t *omcf = conf;

    if (omcf->postgres) {
        return "is duplicate";
    }

    return ngx_pgsql_conf_parse(cf, &omcf->postgres);
}


ngx_int_t
ngx_http_optcache_postgres_init(ngx_conf_t *cf,
    ngx_http_optcache_main_conf_t *omcf)
{
    ngx_str_t  name;

    if (omcf->postgres == NULL) {
        return NGX_OK;
    }

    if (omcf->zones.nelts == 0) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"optcache_postgres\" needs \"optcache_zone\"");
        return NGX_ERROR;
    }

    ngx_str_set(&name, "optcache:postgres");

    omcf->postgres_zone = ngx_shared_memory_add(cf, &name,
                                                NGX_OPTCACHE_POSTGRES_ZONE,
                                                &ngx_http_optcache_module);
    if (omcf->postgres_zone == NULL) {
        return NGX_ERROR;
    }

    omcf->postgres_zone->init = ngx_http_optcache_postgres_zone;
    omcf->postgres_zone->data = omcf;

    return NGX_OK;
}


static ngx_int_t
ngx_http_optcache_postgres_zone(ngx_shm_zone_t *shm_zone, void *data)
{
    return ngx_optcache_postgres_init((ngx_slab_pool_t *) shm_zone->shm.addr,
                                      shm_zone->shm.log);
}


ngx_int_t
ngx_http_optcache_postgres_start(ngx_cycle_t *cycle,
    ngx_http_optcache_main_conf_t *omcf)
{
    ngx_http_optcache_postgres = NULL;

    if (omcf->postgres_zone == NULL) {
        return NGX_OK;
    }

    ngx_http_optcache_postgres = ngx_optcache_postgres_create(cycle,
                        (ngx_slab_pool_t *) omcf->postgres_zone->shm.addr,
                        omcf->postgres, omcf->teller);

    return ngx_http_optcache_postgres ? NGX_OK : NGX_ERROR;
}


void
ngx_http_optcache_postgres_stop(void)
{
    if (ngx_http_optcache_postgres) {
        ngx_optcache_postgres_close(ngx_http_optcache_postgres);
        ngx_http_optcache_postgres = NULL;
    }
}


ngx_optcache_postgres_shm_t *
ngx_http_optcache_postgres_shm(ngx_http_optcache_main_conf_t *omcf)
{
    ngx_slab_pool_t  *shpool;

    if (omcf->postgres_zone == NULL) {
        return NULL;
    }

    shpool = (ngx_slab_pool_t *) omcf->postgres_zone->shm.addr;

    return shpool->data;
}
