
/*
 * Copyright (C) The Optcache authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>

#include "ngx_pgsql_conn_read.h"
#include "ngx_pgsql_result.h"


/* bytes that libpq may read while connecting */
#define NGX_PGSQL_CONN_GREETING  (64 * 1024)
#define NGX_PGSQL_CONN_REASON    512      /* bytes of a log line */


static void ngx_pgsql_conn_start(ngx_pgsql_conn_t *conn);
static void ngx_pgsql_conn_poll(ngx_pgsql_conn_t *conn);
static void ngx_pgsql_conn_timer_handler(ngx_event_t *ev);
static void ngx_pgsql_conn_read_handler(ngx_event_t *rev);
static void ngx_pgsql_conn_write_handler(ngx_event_t *wev);
static ngx_int_t ngx_pgsql_conn_watch(ngx_pgsql_conn_t *conn,
    ngx_int_t event);
static void ngx_pgsql_conn_unwatch(ngx_pgsql_conn_t *conn, ngx_uint_t flags);
static void ngx_pgsql_conn_drop(ngx_pgsql_conn_t *conn);
static void ngx_pgsql_conn_turn(ngx_pgsql_conn_t *conn, ngx_uint_t up);


ngx_pgsql_conn_t *
ngx_pgsql_conn_create(ngx_cycle_t *cycle, ngx_pgsql_conf_t *conf,
    ngx_pgsql_handlers_t *handlers, void *data)
{
    ngx_pgsql_conn_t  *conn;

    conn = ngx_pcalloc(cycle->pool, sizeof(ngx_pgsql_conn_t));
    if (conn == NULL) {
        return NULL;
    }

    conn->conf = conf;
    conn->handlers = handlers;
    conn->data = data;
    conn->log = cycle->log;
    conn->outage.directive = &conf->directive;
    conn->outage.log = cycle->log;
    conn->timeout = NGX_PGSQL_CONN_QUERY_TIMEOUT;

    conn->timer.handler = ngx_pgsql_conn_timer_handler;
    conn->timer.data = conn;
    conn->timer.log = cycle->log;
    conn->timer.cancelable = 1;

    return conn;
}


void
ngx_pgsql_conn_timeout(ngx_pgsql_conn_t *conn, ngx_msec_t timeout)
{
    conn->timeout = timeout;
}


void
ngx_pgsql_conn_open(ngx_pgsql_conn_t *conn)
{
    if (conn->state == NGX_PGSQL_CONN_CLOSED && !ngx_exiting) {
        ngx_pgsql_conn_start(conn);
    }
}


static void
ngx_pgsql_conn_start(ngx_pgsql_conn_t *conn)
{
    conn->state = NGX_PGSQL_CONN_CONNECTING;
    conn->pg = PQconnectStartParams(conn->conf->keywords,
                                    conn->conf->turns[conn->turn], 0);

    if (conn->pg == NULL || PQstatus(conn->pg) == CONNECTION_BAD) {
        ngx_pgsql_conn_lost(conn);
        return;
    }

    conn->parting[0] = '\0';

    (void) PQsetNoticeReceiver(conn->pg, ngx_pgsql_conn_notice_handler, conn);

    ngx_memzero(&conn->meter, sizeof(ngx_pgsql_meter_t));

    ngx_add_timer(&conn->timer, conn->conf->connect_timeout);

    if (ngx_pgsql_conn_watch(conn, NGX_WRITE_EVENT) != NGX_OK) {
        ngx_pgsql_conn_lost(conn);
    }
}


/*
 * libpq may close the socket and open another one with the same number, so
 * that nginx has to leave it first.
 */

static void
ngx_pgsql_conn_poll(ngx_pgsql_conn_t *conn)
{
    ngx_int_t                  rc;
    PostgresPollingStatusType  status;

    ngx_pgsql_meter_before(&conn->meter, PQsocket(conn->pg));

    if (conn->meter.read + conn->meter.unread > NGX_PGSQL_CONN_GREETING) {
        ngx_pgsql_conn_fail(conn, "it says too much while connecting");
        return;
    }

    ngx_pgsql_conn_unwatch(conn, 0);

    status = PQconnectPoll(conn->pg);

    ngx_pgsql_meter_after(&conn->meter, PQsocket(conn->pg));

    switch (status) {

    case PGRES_POLLING_READING:
        rc = ngx_pgsql_conn_watch(conn, NGX_READ_EVENT);
        break;

    case PGRES_POLLING_WRITING:
        rc = ngx_pgsql_conn_watch(conn, NGX_WRITE_EVENT);
        break;

    case PGRES_POLLING_OK:

        if (PQsetnonblocking(conn->pg, 1) == 0
            && ngx_pgsql_conn_watch(conn, NGX_READ_EVENT) == NGX_OK)
        {
            conn->state = NGX_PGSQL_CONN_IDLE;
            conn->meter.known = conn->meter.read;
            ngx_del_timer(&conn->timer);
            ngx_pgsql_outage_connected(&conn->outage);
            conn->handlers->up(conn->data);
            return;
        }

        rc = NGX_ERROR;
        break;

    default:
        rc = NGX_ERROR;
        break;
    }

    if (rc != NGX_OK) {
        ngx_pgsql_conn_lost(conn);
    }
}


static void
ngx_pgsql_conn_timer_handler(ngx_event_t *ev)
{
    ngx_pgsql_conn_t  *conn;

    conn = ev->data;

    switch (conn->state) {

    case NGX_PGSQL_CONN_WAITING:

        if (ngx_exiting) {
            conn->state = NGX_PGSQL_CONN_CLOSED;
            return;
        }

        ngx_pgsql_conn_start(conn);
        break;

    case NGX_PGSQL_CONN_CONNECTING:
        conn->late = 1;
        ngx_pgsql_conn_fail(conn, "connecting timed out");
        break;

    case NGX_PGSQL_CONN_BUSY:
        conn->late = 1;
        ngx_pgsql_conn_fail(conn, "a query timed out");
        break;

    default:
        break;
    }
}


static void
ngx_pgsql_conn_read_handler(ngx_event_t *rev)
{
    ngx_connection_t  *c;
    ngx_pgsql_conn_t  *conn;

    c = rev->data;
    conn = c->data;

    if (c->close) {
        /* the worker is leaving */
        ngx_pgsql_conn_drop(conn);
        return;
    }

    if (conn->state == NGX_PGSQL_CONN_CONNECTING) {
        ngx_pgsql_conn_poll(conn);
        return;
    }

    ngx_pgsql_conn_read(conn);
}


static void
ngx_pgsql_conn_write_handler(ngx_event_t *wev)
{
    ngx_connection_t  *c;
    ngx_pgsql_conn_t  *conn;

    c = wev->data;
    conn = c->data;

    if (conn->state == NGX_PGSQL_CONN_CONNECTING) {
        ngx_pgsql_conn_poll(conn);
        return;
    }

    if (ngx_pgsql_conn_flush(conn) != NGX_OK) {
        ngx_pgsql_conn_lost(conn);
    }
}


ngx_int_t
ngx_pgsql_conn_flush(ngx_pgsql_conn_t *conn)
{
    ngx_event_t  *wev;

    wev = conn->connection->write;

    switch (PQflush(conn->pg)) {

    case 0:
        if (wev->active) {
            return ngx_del_event(wev, NGX_WRITE_EVENT, 0);
        }

        return NGX_OK;

    case 1:
        if (!wev->active) {
            return ngx_add_event(wev, NGX_WRITE_EVENT, NGX_LEVEL_EVENT);
        }

        return NGX_OK;

    default:
        return NGX_ERROR;
    }
}


/* Level triggered: libpq does not read until there is no more. */

static ngx_int_t
ngx_pgsql_conn_watch(ngx_pgsql_conn_t *conn, ngx_int_t event)
{
    int                fd;
    ngx_connection_t  *c;

    fd = PQsocket(conn->pg);

    if (fd < 0) {
        return NGX_ERROR;
    }

    c = ngx_get_connection(fd, conn->log);

    if (c == NULL) {
        return NGX_ERROR;
    }

    c->data = conn;
    c->idle = 1;
    c->read->log = conn->log;
    c->write->log = conn->log;
    c->read->handler = ngx_pgsql_conn_read_handler;
    c->write->handler = ngx_pgsql_conn_write_handler;

    conn->connection = c;

    return ngx_add_event(event == NGX_READ_EVENT ? c->read : c->write, event,
                         NGX_LEVEL_EVENT);
}


/* NGX_CLOSE_EVENT: libpq has closed the socket, or is about to. */

static void
ngx_pgsql_conn_unwatch(ngx_pgsql_conn_t *conn, ngx_uint_t flags)
{
    ngx_connection_t  *c;

    c = conn->connection;

    if (c == NULL) {
        return;
    }

    conn->connection = NULL;

    if (c->read->active) {
        (void) ngx_del_event(c->read, NGX_READ_EVENT, flags);
    }

    if (c->write->active) {
        (void) ngx_del_event(c->write, NGX_WRITE_EVENT, flags);
    }

    if (c->read->posted) {
        ngx_delete_posted_event(c->read);
    }

    if (c->write->posted) {
        ngx_delete_posted_event(c->write);
    }

    c->read->closed = 1;
    c->write->closed = 1;

    ngx_free_connection(c);

    c->fd = (ngx_socket_t) -1;
}


ngx_int_t
ngx_pgsql_conn_query(ngx_pgsql_conn_t *conn, const char *text, ngx_uint_t n,
    ngx_str_t *params, ngx_pgsql_result_pt handler)
{
    int          sent;
    size_t       size;
    u_char      *p, *buf;
    ngx_uint_t   i;
    const char  *values[NGX_PGSQL_CONN_MAX_PARAMS];

    if (conn->state != NGX_PGSQL_CONN_IDLE) {
        return NGX_BUSY;
    }

    size = 1;

    for (i = 0; i < n; i++) {
        if (ngx_strlchr(params[i].data, params[i].data + params[i].len, '\0'))
        {
            return NGX_DECLINED;
        }

        size += params[i].len + 1;
    }

    buf = ngx_alloc(size, conn->log);
    if (buf == NULL) {
        return NGX_ERROR;
    }

    p = buf;

    for (i = 0; i < n; i++) {
        values[i] = (char *) p;
        p = ngx_cpymem(p, params[i].data, params[i].len);
        *p++ = '\0';
    }

    sent = PQsendQueryParams(conn->pg, text, n, NULL, values, NULL, NULL, 0);

    ngx_free(buf);

    conn->state = NGX_PGSQL_CONN_BUSY;
    conn->handler = handler;
    conn->meter.began = conn->meter.read;

    /* the end of a connection is told of by the timer: not from within */

    if (sent == 1
        && PQsetSingleRowMode(conn->pg) == 1
        && ngx_pgsql_conn_flush(conn) == NGX_OK)
    {
        ngx_add_timer(&conn->timer, conn->timeout);

    } else {
        ngx_add_timer(&conn->timer, 1);
    }

    return NGX_OK;
}


ngx_uint_t
ngx_pgsql_conn_pid(ngx_pgsql_conn_t *conn)
{
    return conn->pg ? (ngx_uint_t) PQbackendPID(conn->pg) : 0;
}


ngx_uint_t
ngx_pgsql_conn_idle(ngx_pgsql_conn_t *conn)
{
    return conn->state == NGX_PGSQL_CONN_IDLE;
}


void
ngx_pgsql_conn_well(ngx_pgsql_conn_t *conn)
{
    ngx_pgsql_outage_well(&conn->outage);
}


void
ngx_pgsql_conn_lost(ngx_pgsql_conn_t *conn)
{
    u_char  reason[NGX_PGSQL_CONN_REASON];

    if (conn->pg && conn->parting[0]) {
        ngx_pgsql_conn_fail(conn, (char *) conn->parting);
        return;
    }

    (void) ngx_pgsql_result_lines(reason, reason + NGX_PGSQL_CONN_REASON,
                                  conn->pg ? PQerrorMessage(conn->pg)
                                           : "out of memory");

    ngx_pgsql_conn_fail(conn, reason[0] ? (char *) reason
                                        : "the connection was lost");
}


void
ngx_pgsql_conn_fail(ngx_pgsql_conn_t *conn, const char *reason)
{
    ngx_pgsql_outage_tell(&conn->outage, reason);
    ngx_pgsql_conn_drop(conn);
}


static void
ngx_pgsql_conn_drop(ngx_pgsql_conn_t *conn)
{
    ngx_uint_t            up, generation;
    ngx_pgsql_result_pt   handler;

    up = (conn->state == NGX_PGSQL_CONN_IDLE
          || conn->state == NGX_PGSQL_CONN_BUSY);
    handler = conn->handler;

    ngx_pgsql_conn_turn(conn, up);
    ngx_pgsql_conn_close(conn);

    generation = conn->generation;

    if (!ngx_exiting) {
        conn->state = NGX_PGSQL_CONN_WAITING;
        ngx_add_timer(&conn->timer,
                      ngx_pgsql_outage_pause(&conn->outage, up));
    }

    if (handler) {
        handler(conn->data, NULL);
    }

    if (up && generation == conn->generation) {
        conn->handlers->down(conn->data);
    }
}


/*
 * Which host comes first the next time: another one after one that says
 * nothing, until one does what it is there for.
 */

static void
ngx_pgsql_conn_turn(ngx_pgsql_conn_t *conn, ngx_uint_t up)
{
    if (conn->late || (conn->turn && !(up && conn->outage.well))) {
        conn->turn = (conn->turn + 1) % conn->conf->nturns;
    }

    conn->late = 0;
}


void
ngx_pgsql_conn_close(ngx_pgsql_conn_t *conn)
{
    conn->generation++;
    conn->state = NGX_PGSQL_CONN_CLOSED;
    conn->handler = NULL;

    if (conn->timer.timer_set) {
        ngx_del_timer(&conn->timer);
    }

    ngx_pgsql_conn_unwatch(conn, NGX_CLOSE_EVENT);

    ngx_pgsql_conn_forget(conn);

    if (conn->pg) {
        PQfinish(conn->pg);
        conn->pg = NULL;
    }
}


ngx_int_t
ngx_pgsql_conn_result(ngx_pgsql_conn_t *conn, PGresult *result)
{
    u_char          reason[NGX_PGSQL_RESULT_REASON];
    ExecStatusType  status;

    if (result == NULL) {
        return NGX_ERROR;
    }

    status = PQresultStatus(result);

    if (status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK) {
        return NGX_OK;
    }

    ngx_pgsql_result_reason(result, reason);
    ngx_pgsql_conn_fail(conn, (char *) reason);

    return NGX_ERROR;
}
