
/*
 * Copyright (C) The Optcache authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>

#include "ngx_redis_conn.h"


#define NGX_REDIS_CONN_IN    65536

/* reads in one turn of the event loop */
#define NGX_REDIS_CONN_TURN  4


static ngx_int_t ngx_redis_conn_take(ngx_redis_conn_t *conn, u_char *pos,
    u_char *last);
static ngx_int_t ngx_redis_conn_replies(ngx_redis_conn_t *conn);
static ngx_int_t ngx_redis_conn_reply(ngx_redis_conn_t *conn,
    redisReply *reply);


void
ngx_redis_conn_read_handler(ngx_event_t *rev)
{
    ngx_connection_t  *c;
    ngx_redis_conn_t  *conn;

    c = rev->data;
    conn = c->data;

    if (conn->state == NGX_REDIS_CONN_UP
        || conn->state == NGX_REDIS_CONN_GREETING)
    {
        ngx_redis_conn_read(conn);
        return;
    }

    if (c->close) {
        /* the worker is leaving */
        conn->handlers->quiet(conn->data);
        return;
    }

    if (conn->state == NGX_REDIS_CONN_CONNECTING && c->read->ready) {
        ngx_redis_conn_connected(conn);
    }
}


/*
 * A server that sends as fast as it is read would have all the turns: what it
 * has left is read in the next one.
 */

void
ngx_redis_conn_read(ngx_redis_conn_t *conn)
{
    ssize_t            n;
    ngx_uint_t         i, generation;
    ngx_connection_t  *c;

    static u_char      buf[NGX_REDIS_CONN_IN];

    c = conn->connection;
    generation = conn->generation;

    if (c->read->posted) {
        /* there is more, too, of what was left */
        ngx_delete_posted_event(c->read);
    }

    for (i = 0; i < NGX_REDIS_CONN_TURN; i++) {
        n = c->recv(c, buf, NGX_REDIS_CONN_IN);

        if (n == NGX_AGAIN) {
            break;
        }

        if (n == 0 || n == NGX_ERROR) {
            ngx_redis_conn_fail(conn, 0, "%V %s", &conn->peer,
                                n ? "reset the connection"
                                  : "closed the connection");
            return;
        }

        conn->heard = ngx_current_msec;
        conn->clock = ngx_redis_metrics_clock();

        if (ngx_redis_conn_take(conn, buf, buf + n) != NGX_OK) {
            return;
        }

        if (!c->read->ready) {
            break;
        }
    }

    if (i == NGX_REDIS_CONN_TURN) {
        ngx_post_event(c->read, &ngx_posted_next_events);
    }

    if (ngx_handle_read_event(c->read, 0) != NGX_OK) {
        ngx_redis_conn_fail(conn, 0, "could not wait for %V", &conn->peer);
        return;
    }

    if (conn->generation == generation) {
        conn->handlers->quiet(conn->data);
    }
}


ngx_uint_t
ngx_redis_conn_reading(ngx_redis_conn_t *conn)
{
    return conn->state == NGX_REDIS_CONN_UP
           && conn->connection->read->posted;
}


/*
 * NGX_ERROR, also of the two that follow, if the connection is not what it was.
 * The bytes stay: none of the handlers reads another connection.
 */

static ngx_int_t
ngx_redis_conn_take(ngx_redis_conn_t *conn, u_char *pos, u_char *last)
{
    size_t      size;
    redisReply  view;

    while (pos < last) {

        if (ngx_redis_reader_view(&conn->reader, &pos, last, &view)
            == NGX_OK)
        {
            if (ngx_redis_conn_reply(conn, &view) != NGX_OK) {
                return NGX_ERROR;
            }

            continue;
        }

        size = ngx_redis_reader_share(&conn->reader, last - pos);

        if (ngx_redis_reader_feed(&conn->reader, pos, size) != NGX_OK) {
            ngx_redis_conn_fail(conn, 0, "%s", conn->reader.err);
            return NGX_ERROR;
        }

        pos += size;

        if (ngx_redis_conn_replies(conn) != NGX_OK) {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


static ngx_int_t
ngx_redis_conn_replies(ngx_redis_conn_t *conn)
{
    ngx_int_t    rc;
    redisReply  *reply;

    for ( ;; ) {
        rc = ngx_redis_reader_next(&conn->reader, &reply);

        if (rc == NGX_AGAIN) {
            return NGX_OK;
        }

        if (rc == NGX_ERROR) {
            ngx_redis_conn_fail(conn, 0, "%V sent what is not understood: %s",
                                &conn->peer, conn->reader.err);
            return NGX_ERROR;
        }

        rc = ngx_redis_conn_reply(conn, reply);

        freeReplyObject(reply);

        if (rc != NGX_OK) {
            return NGX_ERROR;
        }
    }
}


static ngx_int_t
ngx_redis_conn_reply(ngx_redis_conn_t *conn, redisReply *reply)
{
    ngx_int_t   rc;
    ngx_uint_t  generation;

    rc = NGX_OK;
    generation = conn->generation;

    if (conn->state == NGX_REDIS_CONN_GREETING) {
        ngx_redis_conn_greeted(conn, reply);

    } else {
        rc = conn->handlers->reply(conn->data, reply);
    }

    if (conn->generation != generation) {
        return NGX_ERROR;
    }

    if (rc == NGX_ERROR) {
        ngx_redis_conn_fail(conn, 0, "%V sent a reply to nothing",
                            &conn->peer);
    }

    return rc;
}


void
ngx_redis_conn_write_handler(ngx_event_t *wev)
{
    ngx_uint_t         generation;
    ngx_connection_t  *c;
    ngx_redis_conn_t  *conn;

    c = wev->data;
    conn = c->data;
    generation = conn->generation;

    switch (conn->state) {

    case NGX_REDIS_CONN_CONNECTING:
        ngx_redis_conn_connected(conn);
        break;

    case NGX_REDIS_CONN_GREETING:
        (void) ngx_redis_conn_write(conn);
        break;

    case NGX_REDIS_CONN_UP:
        conn->handlers->writable(conn->data);
        break;

    default:
        break;
    }

    if (conn->generation != generation) {
        return;
    }

    /* a level-triggered event must not stay when nothing is to be written */

    if (conn->state != NGX_REDIS_CONN_SECURING
        && ngx_handle_write_event(c->write, 0) != NGX_OK)
    {
        ngx_redis_conn_fail(conn, 0, "could not wait for %V", &conn->peer);
    }
}


ngx_int_t
ngx_redis_conn_write(ngx_redis_conn_t *conn)
{
    ssize_t            n;
    ngx_connection_t  *c;

    c = conn->connection;

    if (!c->write->ready) {
        return NGX_AGAIN;
    }

    while (conn->pos < conn->last) {

        n = c->send(c, conn->pos, conn->last - conn->pos);
        ngx_redis_metrics_count(conn->stats, NGX_REDIS_METRICS_WRITES);

        if (n == NGX_ERROR) {
            ngx_redis_conn_fail(conn, 0, "writing to %V failed", &conn->peer);
            return NGX_ERROR;
        }

        if (n == NGX_AGAIN) {
            if (ngx_handle_write_event(c->write, 0) != NGX_OK) {
                ngx_redis_conn_fail(conn, 0, "could not wait for %V",
                                    &conn->peer);
                return NGX_ERROR;
            }

            return NGX_AGAIN;
        }

        conn->pos += n;
    }

    conn->pos = conn->out;
    conn->last = conn->out;

    return NGX_OK;
}
