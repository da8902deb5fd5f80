
/*
 * Copyright (C) The Optcache authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>

#include "ngx_pgsql_conn_read.h"
#include "ngx_pgsql_result.h"


/*
 * Bytes that libpq may read: for a query, of which the longest answer is a
 * page of 256 rows of 80 kB; and of what is not known to be an answer, a
 * notification or a notice, in all the life of a connection: with a row of
 * which some is there, and then with what libpq has read, but not looked at.
 */

#define NGX_PGSQL_CONN_ANSWER    (32 * 1024 * 1024)
#define NGX_PGSQL_CONN_UNKNOWN   (128 * 1024)
#define NGX_PGSQL_CONN_UNSEEN    (256 * 1024)

/* of an answer: ParseComplete, BindComplete, ReadyForQuery */
#define NGX_PGSQL_CONN_FRAME     (5 + 5 + 6)

/* of an encrypted one, at most */
#define NGX_PGSQL_CONN_RECORD    100


static const char *ngx_pgsql_conn_excess(ngx_pgsql_conn_t *conn);
static ngx_uint_t ngx_pgsql_conn_notified(ngx_pgsql_conn_t *conn);
static void ngx_pgsql_conn_known(ngx_pgsql_conn_t *conn, size_t bytes);
static ngx_int_t ngx_pgsql_conn_results(ngx_pgsql_conn_t *conn);
static ngx_int_t ngx_pgsql_conn_take(ngx_pgsql_conn_t *conn,
    PGresult *result);


/*
 * Reads once: if there is more, nginx tells of it again after its other
 * events.  What was read is not looked at by libpq before PQnotifies().
 */

void
ngx_pgsql_conn_read(ngx_pgsql_conn_t *conn)
{
    int          rc;
    const char  *excess;
    ngx_uint_t   generation;

    ngx_pgsql_meter_before(&conn->meter, PQsocket(conn->pg));

    rc = PQconsumeInput(conn->pg);

    if (rc == 0) {
        ngx_pgsql_conn_lost(conn);
        return;
    }

    ngx_pgsql_meter_after(&conn->meter, PQsocket(conn->pg));

    excess = ngx_pgsql_conn_excess(conn);

    if (excess) {
        ngx_pgsql_conn_fail(conn, excess);
        return;
    }

    generation = conn->generation;

    if (ngx_pgsql_conn_notified(conn)) {
        return;
    }

    if (PQstatus(conn->pg) == CONNECTION_BAD
        || ngx_pgsql_conn_flush(conn) != NGX_OK
        || ngx_pgsql_conn_results(conn) != NGX_OK)
    {
        ngx_pgsql_conn_lost(conn);
        return;
    }

    if (generation == conn->generation
        && ngx_pgsql_meter_unknown(&conn->meter) > NGX_PGSQL_CONN_UNKNOWN)
    {
        ngx_pgsql_conn_fail(conn, "it says more than it was asked for");
    }
}


/* Why no more is read; else NULL. */

static const char *
ngx_pgsql_conn_excess(ngx_pgsql_conn_t *conn)
{
    ngx_pgsql_meter_t  *meter;

    meter = &conn->meter;

    if (ngx_pgsql_meter_unknown(meter) > NGX_PGSQL_CONN_UNSEEN) {
        return "it says more than it was asked for";
    }

    if (conn->state == NGX_PGSQL_CONN_BUSY
        && meter->read - meter->began > NGX_PGSQL_CONN_ANSWER)
    {
        return "an answer is too long";
    }

    return NULL;
}


/* Whether the connection is not this one any more. */

static ngx_uint_t
ngx_pgsql_conn_notified(ngx_pgsql_conn_t *conn)
{
    PGnotify    *notify;
    ngx_uint_t   generation;

    generation = conn->generation;

    for ( ;; ) {
        notify = PQnotifies(conn->pg);
        if (notify == NULL) {
            return 0;
        }

        /* the type, the length, a process, and two texts with their NULs */

        ngx_pgsql_conn_known(conn, 11 + ngx_strlen(notify->relname)
                                   + ngx_strlen(notify->extra));

        conn->handlers->notified(conn->data, notify->relname, notify->extra);
        PQfreemem(notify);

        if (generation != conn->generation) {
            return 1;
        }
    }
}


/*
 * Encryption adds to that, in records which may be small: how much is not told
 * by anybody.
 */

static void
ngx_pgsql_conn_known(ngx_pgsql_conn_t *conn, size_t bytes)
{
    if (PQsslInUse(conn->pg) || PQgssEncInUse(conn->pg)) {
        bytes += NGX_PGSQL_CONN_RECORD;
    }

    conn->meter.known += bytes;
}


/* One statement has one result: of others nothing is expected. */

static ngx_int_t
ngx_pgsql_conn_results(ngx_pgsql_conn_t *conn)
{
    PGresult             *result;
    ngx_pgsql_result_pt   handler;

    while (conn->state == NGX_PGSQL_CONN_BUSY && !PQisBusy(conn->pg)) {

        result = PQgetResult(conn->pg);

        if (result) {

            if (ngx_pgsql_conn_take(conn, result) != NGX_OK) {
                return NGX_ERROR;
            }

            continue;
        }

        if (conn->result == NULL || PQstatus(conn->pg) == CONNECTION_BAD) {
            return NGX_ERROR;
        }

        ngx_pgsql_conn_known(conn, NGX_PGSQL_CONN_FRAME);

        ngx_log_debug2(NGX_LOG_DEBUG_CORE, conn->log, 0,
                       "pgsql answer, read:%uL known:%uL",
                       conn->meter.read, conn->meter.known);

        result = conn->result;
        handler = conn->handler;

        conn->result = NULL;
        conn->handler = NULL;
        conn->state = NGX_PGSQL_CONN_IDLE;

        ngx_del_timer(&conn->timer);

        handler(conn->data, result);

        PQclear(result);

        return NGX_OK;
    }

    return NGX_OK;
}


/* Rows come one by one, and then a result without rows. */

static ngx_int_t
ngx_pgsql_conn_take(ngx_pgsql_conn_t *conn, PGresult *result)
{
    size_t     size;
    ngx_int_t  rc;

    switch (PQresultStatus(result)) {

    case PGRES_COPY_IN:
    case PGRES_COPY_OUT:
    case PGRES_COPY_BOTH:
        PQclear(result);
        return NGX_ERROR;

    case PGRES_SINGLE_TUPLE:
        size = ngx_pgsql_result_size(result);
        conn->meter.known += size;

        if (PQsslInUse(conn->pg) || PQgssEncInUse(conn->pg)) {
            conn->meter.known += size / 32;
        }

        rc = ngx_pgsql_result_append(&conn->rows, result);
        PQclear(result);
        return rc;

    default:
        break;
    }

    ngx_pgsql_conn_known(conn, ngx_pgsql_result_size(result));

    PQclear(conn->result);
    conn->result = result;

    if (conn->rows && PQresultStatus(result) == PGRES_TUPLES_OK) {
        PQclear(result);
        conn->result = conn->rows;

    } else {
        PQclear(conn->rows);
    }

    conn->rows = NULL;

    return NGX_OK;
}


void
ngx_pgsql_conn_forget(ngx_pgsql_conn_t *conn)
{
    PQclear(conn->rows);
    PQclear(conn->result);

    conn->rows = NULL;
    conn->result = NULL;
}


/*
 * Not to stderr.  What libpq itself has to say has no code.  Of the others only
 * the last word is kept, which nobody but the server has: that it shuts down,
 * or who or what ends the connection.
 */

void
ngx_pgsql_conn_notice_handler(void *data, const PGresult *result)
{
    ngx_pgsql_conn_t *conn = data;

    const char  *severity;

    if (PQresultErrorField(result, PG_DIAG_SQLSTATE) == NULL) {
        return;
    }

    ngx_pgsql_conn_known(conn, ngx_pgsql_result_size(result));

    severity = PQresultErrorField(result, PG_DIAG_SEVERITY_NONLOCALIZED);

    if (severity && ngx_strcmp(severity, "FATAL") == 0) {
        ngx_pgsql_result_reason(result, conn->parting);
    }
}
