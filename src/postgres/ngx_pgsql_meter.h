
/*
 * Copyright (C) The Optcache authors
 */


/*
 * How much libpq has read from its socket, which it does not tell, and how
 * much of that is known to be what was asked for.  Each server's parameter is
 * kept by libpq in a list that is searched for each of the next, so that few
 * megabytes of them would take hours; and there is no other way to see that
 * they come.
 *
 * Linux counts what came through TCP.  Elsewhere, and of a unix socket, it is
 * known by what is there before libpq reads and after that: so it is at least
 * as much.
 */


#ifndef _NGX_PGSQL_METER_H_INCLUDED_
#define _NGX_PGSQL_METER_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


typedef struct {
    uint64_t   read;      /* bytes, of this socket */
    uint64_t   known;     /* of these */
    uint64_t   began;     /* read, when the query was sent */
    size_t     unread;
} ngx_pgsql_meter_t;


/* To be called before and after libpq reads. */

void ngx_pgsql_meter_before(ngx_pgsql_meter_t *meter, ngx_socket_t fd);
void ngx_pgsql_meter_after(ngx_pgsql_meter_t *meter, ngx_socket_t fd);

/* What was read, and nobody knows what it is. */

uint64_t ngx_pgsql_meter_unknown(ngx_pgsql_meter_t *meter);


#endif /* _NGX_PGSQL_METER_H_INCLUDED_ */
