
/*
 * Copyright (C) The Optcache authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "ngx_http_optcache_ledger.h"


static uint64_t ngx_http_optcache_ledger_source(
    ngx_http_optcache_main_conf_t *omcf);


ngx_int_t
ngx_http_optcache_ledger_init(ngx_conf_t *cf,
    ngx_http_optcache_main_conf_t *omcf)
{
    if (omcf->zones.nelts == 0) {
        return NGX_OK;
    }

    omcf->ledger = ngx_optcache_ledger_create(cf, &ngx_http_optcache_module);

    return omcf->ledger ? NGX_OK : NGX_ERROR;
}


ngx_int_t
ngx_http_optcache_ledger_init_process(ngx_cycle_t *cycle,
    ngx_http_optcache_main_conf_t *omcf)
{
    if (omcf->ledger == NULL) {
        return NGX_OK;
    }

    ngx_optcache_ledger_enter(omcf->ledger,
                              ngx_http_optcache_ledger_source(omcf));

    omcf->teller = ngx_optcache_teller_create(cycle->pool, omcf->ledger,
                                              omcf->client, &omcf->prefix,
                                              cycle->log);
    if (omcf->teller == NULL) {
        return NGX_ERROR;
    }

    if (omcf->client == NULL) {
        return NGX_OK;
    }

    omcf->reader = ngx_optcache_reader_create(cycle, omcf->teller,
                                              omcf->redis);

    return omcf->reader ? NGX_OK : NGX_ERROR;
}


/* Where the stream is, and its name. */

static uint64_t
ngx_http_optcache_ledger_source(ngx_http_optcache_main_conf_t *omcf)
{
    uint64_t  source;

    if (omcf->client == NULL) {
        return 0;
    }

    source = XXH3_64bits_withSeed(omcf->prefix.data, omcf->prefix.len,
                                  ngx_redis_conf_servers(omcf->redis));

    return source ? source : 1;
}


void
ngx_http_optcache_ledger_exit_process(ngx_http_optcache_main_conf_t *omcf)
{
    if (omcf->reader) {
        ngx_optcache_reader_close(omcf->reader);
        omcf->reader = NULL;
    }
}
