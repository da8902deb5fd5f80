
/*
 * Copyright (C) The Optcache authors
 */


/*
 * What the files of ngx_pgsql_conn.h share.
 *
 *     ngx_pgsql_conn.c    connect, ask, leave
 *     _read.c             whatever comes after the greeting
 */


#ifndef _NGX_PGSQL_CONN_READ_H_INCLUDED_
#define _NGX_PGSQL_CONN_READ_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>

#include "ngx_pgsql_conn.h"
#include "ngx_pgsql_meter.h"
#include "ngx_pgsql_outage.h"
#include "ngx_pgsql_result.h"


typedef enum {
    NGX_PGSQL_CONN_CLOSED = 0,
    NGX_PGSQL_CONN_WAITING,
    NGX_PGSQL_CONN_CONNECTING,
    NGX_PGSQL_CONN_IDLE,
    NGX_PGSQL_CONN_BUSY
} ngx_pgsql_conn_state_e;


struct ngx_pgsql_conn_s {
    ngx_pgsql_conn_state_e   state;
    ngx_pgsql_conf_t        *conf;
    ngx_pgsql_handlers_t    *handlers;
    void                    *data;
    ngx_log_t               *log;

    PGconn                  *pg;
    ngx_connection_t        *connection;  /* its socket is libpq's */
    ngx_uint_t               generation;  /* of it */
    ngx_uint_t               turn;        /* of hosts, the next time */
    ngx_event_t              timer;       /* a pause, or a deadline */
    ngx_msec_t               timeout;     /* of a query */
    ngx_pgsql_outage_t       outage;
    ngx_pgsql_meter_t        meter;

    ngx_pgsql_result_pt      handler;
    PGresult                *rows;        /* that have come */
    PGresult                *result;

    u_char                   parting[NGX_PGSQL_RESULT_REASON];

    unsigned                 late:1;      /* it has not answered in time */
};


/*
 * ngx_pgsql_conn.c: sends what has not been sent; the end of a connection for
 * the reason that libpq tells, which nothing may follow in the caller.
 */

ngx_int_t ngx_pgsql_conn_flush(ngx_pgsql_conn_t *conn);
void ngx_pgsql_conn_lost(ngx_pgsql_conn_t *conn);


/*
 * _read.c: reads what there is, calls handlers, and does not read forever;
 * drops what came of an answer; hears a notice, and what the server has to say
 * when it ends a connection that asks nothing: conn->parting.
 */

void ngx_pgsql_conn_read(ngx_pgsql_conn_t *conn);
void ngx_pgsql_conn_forget(ngx_pgsql_conn_t *conn);
void ngx_pgsql_conn_notice_handler(void *data, const PGresult *result);


#endif /* _NGX_PGSQL_CONN_READ_H_INCLUDED_ */
