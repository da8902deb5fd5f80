
/*
 * Copyright (C) The Optcache authors
 */


/*
 * When a server is tried again, and what is logged of that.
 *
 * Pauses grow until a connection has lasted: not because it answers at first,
 * as whatever fails after that would fail many times a second.  An outage is
 * over when the server does what it is there for; if it did so several times
 * in a row and was lost soon, only when it has gone on doing so.
 */


#ifndef _NGX_PGSQL_OUTAGE_H_INCLUDED_
#define _NGX_PGSQL_OUTAGE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


#define NGX_PGSQL_OUTAGE_MIN_WAIT  100    /* ms, before the next try */
#define NGX_PGSQL_OUTAGE_MAX_WAIT  5000   /* ms */
#define NGX_PGSQL_OUTAGE_LASTING   5000   /* ms, of a connection */
#define NGX_PGSQL_OUTAGE_BRIEF     3      /* of these in a row are odd */


/* What is all zero is ready for use but for the first two. */

typedef struct {
    ngx_str_t   *directive;
    ngx_log_t   *log;

    ngx_msec_t   wait;         /* at most, before the next try */
    ngx_msec_t   connected;    /* when it was */
    ngx_uint_t   brief;        /* connections in a row that were well */
    uint32_t     told;         /* of the last reason logged */
    ngx_msec_t   since;        /* ... and of the first one */
    unsigned     out:1;
    unsigned     well:1;       /* the connection has been */
} ngx_pgsql_outage_t;


void ngx_pgsql_outage_connected(ngx_pgsql_outage_t *outage);
void ngx_pgsql_outage_well(ngx_pgsql_outage_t *outage);

/* A reason is logged unless it was the last one logged of this outage. */

void ngx_pgsql_outage_tell(ngx_pgsql_outage_t *outage, const char *reason);

/* How long to wait, in ms; "up": there was a connection. */

ngx_msec_t ngx_pgsql_outage_pause(ngx_pgsql_outage_t *outage, ngx_uint_t up);


#endif /* _NGX_PGSQL_OUTAGE_H_INCLUDED_ */
