
/*
 * Copyright (C) The Optcache authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_optcache_ledger.h"


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


void
ngx_http_optcache_ledger_exit_process(ngx_http_optcache_main_conf_t *omcf)
{
    if (omcf->reader) {
        ngx_optcache_reader_close(omcf->reader);
        omcf->reader = NULL;
    }
}
