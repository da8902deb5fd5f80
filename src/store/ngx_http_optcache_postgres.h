
/*
 * Copyright (C) The Optcache authors
 */


/*
 * "optcache_postgres": the directive, and what it starts in each worker.
 */


#ifndef _NGX_HTTP_OPTCACHE_POSTGRES_H_INCLUDED_
#define _NGX_HTTP_OPTCACHE_POSTGRES_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_optcache.h"
#include "ngx_optcache_postgres.h"


/* The "set" handler: errors are logged with the directive, and no password. */

char *ngx_http_optcache_postgres_conf(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);

/*
 * Adds the shared memory, if the directive is there; in postconfiguration.
 * NGX_ERROR when out of memory, or if there is no zone to be invalidated.
 */

ngx_int_t ngx_http_optcache_postgres_init(ngx_conf_t *cf,
    ngx_http_optcache_main_conf_t *omcf);

/*
 * Begins and ends it in a worker: after the teller was created, before it is
 * closed.  NGX_ERROR when out of memory.
 */

ngx_int_t ngx_http_optcache_postgres_start(ngx_cycle_t *cycle,
    ngx_http_optcache_main_conf_t *omcf);
void ngx_http_optcache_postgres_stop(void);

/* For the status, words may be read; NULL without the directive. */

ngx_optcache_postgres_shm_t *ngx_http_optcache_postgres_shm(
    ngx_http_optcache_main_conf_t *omcf);


#endif /* _NGX_HTTP_OPTCACHE_POSTGRES_H_INCLUDED_ */
