
/*
 * Copyright (C) The Optcache authors
 */


/*
 * What libpq is told, while the directive is parsed.  Only ngx_pgsql_conf*.c
 * include it.
 */


#ifndef _NGX_PGSQL_CONF_PARAMS_H_INCLUDED_
#define _NGX_PGSQL_CONF_PARAMS_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_pgsql_conf.h"


typedef struct {
    ngx_pgsql_conf_t   *conf;
    ngx_conf_t         *cf;
    ngx_uint_t          n;               /* keywords */
} ngx_pgsql_conf_ctx_t;


/* The value of a keyword; NULL if it has none, or an empty one. */

const char *ngx_pgsql_conf_get(ngx_pgsql_conf_ctx_t *ctx,
    const char *keyword);

/*
 * Copies both, in place of the value that the keyword has.  NGX_ERROR when out
 * of memory, or if there are more keywords than libpq has.
 */

ngx_int_t ngx_pgsql_conf_set(ngx_pgsql_conf_ctx_t *ctx, const char *keyword,
    const char *value);

/*
 * Resolves the names in "host", unless there is a "hostaddr" already: each host
 * becomes as many as it has addresses.  NGX_CONF_ERROR after logging.
 */

char *ngx_pgsql_conf_hosts(ngx_pgsql_conf_ctx_t *ctx);

/*
 * Makes conf->turns, to be called last: for each host, the values with this one
 * as the first.  NGX_ERROR when out of memory.
 */

ngx_int_t ngx_pgsql_conf_turns(ngx_pgsql_conf_ctx_t *ctx);


#endif /* _NGX_PGSQL_CONF_PARAMS_H_INCLUDED_ */
