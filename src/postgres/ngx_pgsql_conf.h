
/*
 * Copyright (C) The Optcache authors
 */


/*
 * How a PostgreSQL is reached, as a directive says it.
 */


#ifndef _NGX_PGSQL_CONF_H_INCLUDED_
#define _NGX_PGSQL_CONF_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


typedef struct {
    ngx_str_t         directive;
    const char      **keywords;         /* as PQconnectStartParams() takes */
    const char      **values;           /* them, ended by NULL */
    const char     ***turns;            /* values with each host as the first */
    ngx_uint_t        nturns;
    ngx_msec_t        connect_timeout;
} ngx_pgsql_conf_t;


/*
 * Parses the arguments of a directive, as its "set" handler does:
 *
 *     CONNINFO [password_file=PATH]
 *
 * CONNINFO is a connection string or URI of libpq.  Host names are resolved
 * here, for libpq would block to do so; and libpq is told not to look for
 * files in a home directory, nor for tickets of Kerberos.  Everything is
 * allocated from cf->pool.
 *
 * Returns NGX_CONF_OK, or NGX_CONF_ERROR after logging the directive and what
 * was expected, but no password; or what nginx is to say of the directive.
 */

char *ngx_pgsql_conf_parse(ngx_conf_t *cf, ngx_pgsql_conf_t **conf);


#endif /* _NGX_PGSQL_CONF_H_INCLUDED_ */
