
/*
 * Copyright (C) The Optcache authors
 */


/* Whether anything is amiss. */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_optcache_api.h"
#include "ngx_http_optcache_postgres.h"


ngx_int_t
ngx_http_optcache_api_health(ngx_http_request_t *r, ngx_http_api_path_t *path)
{
    ngx_uint_t                      status;
    ngx_http_api_json_t            *json;
    ngx_http_optcache_loc_conf_t   *olcf;
    ngx_http_optcache_main_conf_t  *omcf;

    olcf = ngx_http_get_module_loc_conf(r, ngx_http_optcache_module);
    omcf = ngx_http_get_module_main_conf(r, ngx_http_optcache_module);

    json = ngx_http_api_json_create(r->pool);

    status = NGX_HTTP_OK;

    if (ngx_http_optcache_api_reasons(NULL, omcf)) {
        status = olcf->api_degraded;
        ngx_http_api_json_text(json, "status", "degraded");

    } else {
        ngx_http_api_json_text(json, "status", "healthy");
    }

    ngx_http_api_json_array(json, "reasons");
    (void) ngx_http_optcache_api_reasons(json, omcf);
    ngx_http_api_json_end(json);

    return ngx_http_optcache_api_send(r, status, json);
}


ngx_uint_t
ngx_http_optcache_api_reasons(ngx_http_api_json_t *json,
    ngx_http_optcache_main_conf_t *omcf)
{
    ngx_uint_t                     i, n;
    ngx_optcache_l1_t            **zones;
    ngx_optcache_postgres_shm_t   *postgres;

    n = 0;

    if (omcf->client
        && ngx_redis_client_state(omcf->client) == NGX_REDIS_DOWN)
    {
        ngx_http_api_json_text(json, NULL, "redis: it does not answer");
        n++;
    }

    if (omcf->redis && omcf->ledger
        && ngx_optcache_reader_cut(omcf->ledger))
    {
        ngx_http_api_json_text(json, NULL,
                               "stream: invalidations of other hosts are not "
                               "heard of");
        n++;
    }

    if (omcf->redis && omcf->ledger
        && ngx_optcache_ledger_refused(omcf->ledger))
    {
        ngx_http_api_json_text(json, NULL,
                               "stream: other hosts cannot be told of "
                               "invalidations");
        n++;
    }

    postgres = ngx_http_optcache_postgres_shm(omcf);

    if (postgres && ngx_optcache_postgres_cut(postgres)) {
        ngx_http_api_json_text(json, NULL,
                               "postgres: invalidations of transactions are "
                               "not heard of");
        n++;
    }

    if (omcf->watch && omcf->client
        && ngx_redis_client_state(omcf->client) == NGX_REDIS_UP
        && !ngx_optcache_watch_trusted(omcf->watch))
    {
        ngx_http_api_json_text(json, NULL,
                               "leases: hosts do not wait for each other");
        n++;
    }

    if (omcf->metrics && omcf->metrics->slot == -1) {
        ngx_http_api_json_text(json, NULL,
                               "metrics: this worker is not counted");
        n++;
    }

    zones = omcf->zones.elts;

    for (i = 0; i < omcf->zones.nelts; i++) {

        if (zones[i]->slot == NULL) {
            ngx_http_api_json_text(json, NULL,
                                   "zone: there is no place for this worker");
            n++;
        }
    }

    return n;
}
