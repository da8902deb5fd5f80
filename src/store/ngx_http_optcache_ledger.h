
/*
 * Copyright (C) The Optcache authors
 */


/*
 * What hears and tells of invalidations, as the module starts and ends it:
 * the ledger of this host for all zones, and in each worker who tells others
 * and, with Redis, who may be the one that reads what they tell.
 */


#ifndef _NGX_HTTP_OPTCACHE_LEDGER_H_INCLUDED_
#define _NGX_HTTP_OPTCACHE_LEDGER_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_optcache.h"


/* Adds the ledger if there is a zone (postconfiguration). */

ngx_int_t ngx_http_optcache_ledger_init(ngx_conf_t *cf,
    ngx_http_optcache_main_conf_t *omcf);

/* Begins in a worker, behind omcf->client; NGX_ERROR when out of memory. */

ngx_int_t ngx_http_optcache_ledger_init_process(ngx_cycle_t *cycle,
    ngx_http_optcache_main_conf_t *omcf);

/* Ends in a worker, or another process, ahead of omcf->client. */

void ngx_http_optcache_ledger_exit_process(
    ngx_http_optcache_main_conf_t *omcf);


#endif /* _NGX_HTTP_OPTCACHE_LEDGER_H_INCLUDED_ */
