
/*
 * Copyright (C) The Optcache authors
 */


/*
 * One connection to a PostgreSQL, which never blocks: libpq speaks, nginx
 * waits.  It is made again and again when that is in vain, or the server
 * leaves or says more than anybody wants to hear, with pauses that grow; one
 * query at a time is sent on it.
 *
 *     CLOSED --- open() ---> CONNECTING --- up() ---> IDLE <---> BUSY
 *                     ^             |                  |          |
 *                     +-- WAITING <-+------ down() ----+----------+
 */


#ifndef _NGX_PGSQL_CONN_H_INCLUDED_
#define _NGX_PGSQL_CONN_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>

#include <libpq-fe.h>

#include "ngx_pgsql_conf.h"
#include "ngx_pgsql_result.h"


#define NGX_PGSQL_CONN_QUERY_TIMEOUT  10000   /* ms */
#define NGX_PGSQL_CONN_MAX_PARAMS     8


typedef struct ngx_pgsql_conn_s  ngx_pgsql_conn_t;


typedef struct {
    /* a query may be sent */
    void                    (*up)(void *data);

    /* it is not there any more; also if the worker is to exit, and then it
       is not made again */
    void                    (*down)(void *data);

    /* something was told; both texts are gone when the handler returns */
    void                    (*notified)(void *data, const char *channel,
                                const char *payload);
} ngx_pgsql_handlers_t;


/*
 * What a query gave: an error, too.  NULL if the connection was lost, and
 * down() will be called after that.  Freed when the handler returns, which may
 * send the next query.
 */

typedef void (*ngx_pgsql_result_pt)(void *data, PGresult *result);


/*
 * Prepares a connection in cycle->pool; it does not connect yet.  NULL when
 * out of memory.
 */

ngx_pgsql_conn_t *ngx_pgsql_conn_create(ngx_cycle_t *cycle,
    ngx_pgsql_conf_t *conf, ngx_pgsql_handlers_t *handlers, void *data);

/* How long a query may take, in ms; else NGX_PGSQL_CONN_QUERY_TIMEOUT. */

void ngx_pgsql_conn_timeout(ngx_pgsql_conn_t *conn, ngx_msec_t timeout);

/* Connects, if it is CLOSED. */

void ngx_pgsql_conn_open(ngx_pgsql_conn_t *conn);

/* Closes; no handler is called any more. */

void ngx_pgsql_conn_close(ngx_pgsql_conn_t *conn);

/*
 * Sends a query of one statement, with parameters $1 .. in text, which are
 * copied and must not have a NUL in them.  The handler is called once, never
 * from within.
 *
 * Returns NGX_OK; NGX_BUSY if it is not IDLE; NGX_DECLINED if there is a NUL;
 * NGX_ERROR when out of memory.
 */

ngx_int_t ngx_pgsql_conn_query(ngx_pgsql_conn_t *conn, const char *text,
    ngx_uint_t n, ngx_str_t *params, ngx_pgsql_result_pt handler);

/*
 * The process that serves the connection, as it has said in the beginning: not
 * that which answers if somebody is in between.  0: it is not connected.
 */

ngx_uint_t ngx_pgsql_conn_pid(ngx_pgsql_conn_t *conn);

/* Whether a query would be taken. */

ngx_uint_t ngx_pgsql_conn_idle(ngx_pgsql_conn_t *conn);

/*
 * It does what it is there for, which is more than to answer: said whenever a
 * chain of queries has come to its end.
 */

void ngx_pgsql_conn_well(ngx_pgsql_conn_t *conn);

/*
 * It does not: it is closed, and made again after a pause.  The reason is
 * logged unless it was the last one logged of this outage.  down() is called,
 * which nothing may follow in the caller.
 */

void ngx_pgsql_conn_fail(ngx_pgsql_conn_t *conn, const char *reason);

/*
 * Whether a query did what it should: NGX_OK.  NGX_ERROR: it did not, and the
 * connection has failed for that reason, or was lost (result is NULL).
 */

ngx_int_t ngx_pgsql_conn_result(ngx_pgsql_conn_t *conn, PGresult *result);


#endif /* _NGX_PGSQL_CONN_H_INCLUDED_ */
