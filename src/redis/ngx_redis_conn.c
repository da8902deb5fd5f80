
/*
 * Copyright (C) The Optcache authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>
#include <ngx_event_connect.h>

#include "ngx_redis_conn.h"
#include "ngx_redis_greeting.h"
#include "ngx_redis_sentinel.h"
#include "ngx_redis_tls.h"


static void ngx_redis_conn_next(void *data);
static ngx_int_t ngx_redis_conn_connect(ngx_redis_conn_t *conn,
    ngx_addr_t *addr);
static void ngx_redis_conn_greet(ngx_redis_conn_t *conn);
static void ngx_redis_conn_say(ngx_redis_conn_t *conn,
    ngx_redis_server_t *server);
static void ngx_redis_conn_timer_handler(ngx_event_t *ev);
static ngx_err_t ngx_redis_conn_test_connect(ngx_connection_t *c);
static void ngx_redis_conn_reason(ngx_redis_conn_t *conn, ngx_err_t err,
    const char *fmt, va_list args);
static void ngx_redis_conn_because(ngx_redis_conn_t *conn, ngx_err_t err,
    const char *fmt, ...);
static void ngx_redis_conn_because_nowhere(ngx_redis_conn_t *conn);
static u_char *ngx_redis_conn_log_error(ngx_log_t *log, u_char *buf,
    size_t len);


ngx_int_t
ngx_redis_conn_init(ngx_redis_conn_t *conn, ngx_redis_conf_t *conf,
    ngx_redis_targets_t *targets, ngx_pool_t *pool, ngx_log_t *log)
{
    conn->conf = conf;

    ngx_redis_round_init(&conn->round, targets, conf, ngx_redis_conn_next,
                         conn);

    conn->out = ngx_pnalloc(pool, NGX_REDIS_CONN_OUT);
    if (conn->out == NULL) {
        return NGX_ERROR;
    }

    conn->pos = conn->out;
    conn->last = conn->out;

    conn->log = *log;
    conn->log.handler = ngx_redis_conn_log_error;
    conn->log.data = conn;
    conn->log_level = log->log_level;

    conn->timer.handler = ngx_redis_conn_timer_handler;
    conn->timer.data = conn;
    conn->timer.log = &conn->log;
    conn->timer.cancelable = 1;

    if (targets->sentinel) {
        ngx_redis_sentinel_join(targets->sentinel, conn);
    }

    return NGX_OK;
}


void
ngx_redis_conn_open(ngx_redis_conn_t *conn, ngx_uint_t quiet)
{
    if (conn->state != NGX_REDIS_CONN_IDLE) {
        return;
    }

    conn->log.log_level = quiet ? NGX_LOG_ALERT : conn->log_level;
    conn->reason.len = 0;
    conn->moved = 0;

    ngx_redis_round_start(&conn->round);

    ngx_redis_conn_next(conn);
}


/* in a loop, since connect() may fail at once */

static void
ngx_redis_conn_next(void *data)
{
    ngx_redis_conn_t *conn = data;

    ngx_int_t    rc;
    ngx_addr_t  *addr;

    do {
        conn->state = NGX_REDIS_CONN_RESOLVING;

        rc = ngx_redis_round_next(&conn->round, &addr);

        if (rc == NGX_AGAIN) {
            return;
        }

        conn->state = NGX_REDIS_CONN_IDLE;

        if (rc == NGX_DONE) {

            if (conn->reason.len == 0) {
                ngx_redis_conn_because_nowhere(conn);
            }

            conn->handlers->lost(conn->data, 0);
            return;
        }

    } while (ngx_redis_conn_connect(conn, addr) != NGX_OK);
}


static ngx_int_t
ngx_redis_conn_connect(ngx_redis_conn_t *conn, ngx_addr_t *addr)
{
    ngx_int_t               rc;
    ngx_connection_t       *c;
    ngx_peer_connection_t   pc;

    conn->peer.data = conn->peer_text;
    conn->peer.len = ngx_cpystrn(conn->peer_text, addr->name.data,
                                 ngx_min(addr->name.len + 1,
                                         NGX_SOCKADDR_STRLEN))
                     - conn->peer_text;
    conn->server = (uint64_t) ngx_murmur_hash2(conn->peer.data, conn->peer.len)
                   << 32
                   | ngx_crc32_long(conn->peer.data, conn->peer.len);
    conn->log.action = "connecting to Redis";

    ngx_memzero(&pc, sizeof(ngx_peer_connection_t));

    pc.sockaddr = addr->sockaddr;
    pc.socklen = addr->socklen;
    pc.name = &addr->name;
    pc.get = ngx_event_get_peer;
    pc.log = &conn->log;
    pc.log_error = NGX_ERROR_INFO;
    pc.so_keepalive = (addr->sockaddr->sa_family != AF_UNIX);

    rc = ngx_event_connect_peer(&pc);

    if (rc != NGX_OK && rc != NGX_AGAIN) {
        /* NGX_DECLINED is of connect(), NGX_ERROR is ours and was logged */

        ngx_redis_conn_because(conn, rc == NGX_DECLINED ? ngx_socket_errno : 0,
                               "connect() to %V failed", &conn->peer);
        return NGX_ERROR;
    }

    c = pc.connection;

    c->data = conn;
    c->log = &conn->log;
    c->idle = 1;
    c->read->handler = ngx_redis_conn_read_handler;
    c->write->handler = ngx_redis_conn_write_handler;

    conn->connection = c;
    conn->state = NGX_REDIS_CONN_CONNECTING;
    conn->log.connection = c->number;

    /* a worker that has just begun has the time before configuration */

    ngx_time_update();
    ngx_add_timer(&conn->timer, conn->conf->connect_timeout);

    if (rc == NGX_OK) {
        /* a unix socket; not from within open() */
        ngx_post_event(c->write, &ngx_posted_events);
    }

    return NGX_OK;
}


void
ngx_redis_conn_connected(ngx_redis_conn_t *conn)
{
    ngx_err_t            err;
    ngx_connection_t    *c;
#if (NGX_SSL)
    ngx_redis_server_t  *server;
#endif

    c = conn->connection;

    err = ngx_redis_conn_test_connect(c);

    if (err) {
        ngx_redis_conn_fail(conn, err, "connect() to %V failed", &conn->peer);
        return;
    }

    (void) ngx_tcp_nodelay(c);

#if (NGX_SSL)

    server = ngx_redis_round_server(&conn->round);

    if (server->url.tls) {
        conn->state = NGX_REDIS_CONN_SECURING;
        conn->log.action = "securing the connection to Redis";

        ngx_redis_tls_connect(conn, conn->conf, server);
        return;
    }

#endif

    ngx_redis_conn_greet(conn);
}


void
ngx_redis_conn_secured(ngx_redis_conn_t *conn)
{
    ngx_connection_t  *c;

    c = conn->connection;

    c->read->handler = ngx_redis_conn_read_handler;
    c->write->handler = ngx_redis_conn_write_handler;

    if (c->read->ready) {
        /* what came with the end of the handshake is not signalled again */
        ngx_post_event(c->read, &ngx_posted_events);
    }

    ngx_redis_conn_greet(conn);
}


static void
ngx_redis_conn_greet(ngx_redis_conn_t *conn)
{
    ngx_redis_server_t  *server;

    server = ngx_redis_round_server(&conn->round);

    conn->state = NGX_REDIS_CONN_GREETING;
    conn->log.action = "greeting Redis";
    conn->authed = 0;

    if (ngx_redis_reader_init(&conn->reader,
                              conn->sentinel ? NGX_REDIS_CONN_SENTINEL_REPLY
                                             : conn->conf->max_reply)
        != NGX_OK)
    {
        ngx_redis_conn_fail(conn, 0, "out of memory");
        return;
    }

    conn->reader.most = conn->conf->max_elements;
    conn->words = NGX_REDIS_GREETING_PING;

    if (!conn->sentinel) {

        if (conn->conf->password.len) {
            conn->words |= NGX_REDIS_GREETING_AUTH;
        }

        if (server->url.db) {
            conn->words |= NGX_REDIS_GREETING_SELECT;
        }

        if (conn->round.targets->sentinel) {
            conn->words |= NGX_REDIS_GREETING_ROLE;
        }
    }

    ngx_redis_conn_say(conn, server);
}


static void
ngx_redis_conn_say(ngx_redis_conn_t *conn, ngx_redis_server_t *server)
{
    conn->pos = conn->out;
    conn->last = ngx_redis_greeting_format(conn->out, conn->words,
                                           &server->url,
                                           &conn->conf->password);

    if (conn->last == NULL) {
        conn->last = conn->out;
        ngx_redis_conn_fail(conn, 0, "out of memory");
        return;
    }

    (void) ngx_redis_conn_write(conn);
}


void
ngx_redis_conn_greeted(ngx_redis_conn_t *conn, redisReply *reply)
{
    ngx_int_t            rc;
    ngx_str_t            code;
    const char          *what;
    ngx_redis_server_t  *server;

    rc = ngx_redis_greeting_check(reply, &conn->words, &what, &code);

    if (rc != NGX_OK) {

        if (conn->sentinel && !conn->authed && conn->conf->password.len
            && ngx_redis_reply_error(reply, "NOAUTH"))
        {
            conn->authed = 1;
            conn->words |= NGX_REDIS_GREETING_AUTH;

            server = ngx_redis_round_server(&conn->round);
            ngx_redis_conn_say(conn, server);

        } else {
            ngx_redis_conn_fail(conn, 0, "%s refused by %V: %V", what,
                                &conn->peer, &code);
        }

        return;
    }

    if (conn->words) {
        return;
    }

    ngx_del_timer(&conn->timer);

    conn->state = NGX_REDIS_CONN_UP;
    conn->established = ngx_current_msec;
    conn->log.log_level = conn->log_level;
    conn->log.action = "talking to Redis";

    ngx_redis_round_stay(&conn->round);

    conn->handlers->up(conn->data);
}


static void
ngx_redis_conn_timer_handler(ngx_event_t *ev)
{
    ngx_redis_conn_t  *conn;

    conn = ev->data;

    ngx_redis_conn_fail(conn, 0, "%V timed out while %s", &conn->peer,
                        conn->log.action);
}


void
ngx_redis_conn_fail(ngx_redis_conn_t *conn, ngx_err_t err, const char *fmt,
    ...)
{
    va_list                 args;
    ngx_redis_conn_state_e  state;

    va_start(args, fmt);
    ngx_redis_conn_reason(conn, err, fmt, args);
    va_end(args);

    ngx_log_debug2(NGX_LOG_DEBUG_EVENT, &conn->log, 0,
                   "redis connection failed in state %d: %V", conn->state,
                   &conn->reason);

    state = conn->state;

    ngx_redis_conn_close(conn);

    if (state == NGX_REDIS_CONN_UP) {
        conn->handlers->lost(conn->data, 1);
        return;
    }

    /* an attempt failed, the round goes on */

    ngx_redis_conn_next(conn);
}


void
ngx_redis_conn_skip(ngx_redis_conn_t *conn, const char *fmt, ...)
{
    va_list  args;

    va_start(args, fmt);
    ngx_redis_conn_reason(conn, 0, fmt, args);
    va_end(args);

    ngx_redis_conn_close(conn);

    ngx_redis_conn_next(conn);
}


void
ngx_redis_conn_go_on(ngx_redis_conn_t *conn)
{
    ngx_redis_conn_next(conn);
}


void
ngx_redis_conn_move(ngx_redis_conn_t *conn, const char *fmt, ...)
{
    va_list                 args;
    ngx_redis_conn_state_e  state;

    va_start(args, fmt);
    ngx_redis_conn_reason(conn, 0, fmt, args);
    va_end(args);

    state = conn->state;

    ngx_redis_conn_close(conn);

    if (state == NGX_REDIS_CONN_UP) {
        conn->moved = 1;
        conn->handlers->lost(conn->data, 1);
    }

    if (ngx_exiting
        && (state == NGX_REDIS_CONN_UP || state == NGX_REDIS_CONN_IDLE))
    {
        return;
    }

    ngx_redis_conn_open(conn, 1);
}


void
ngx_redis_conn_close(ngx_redis_conn_t *conn)
{
    ngx_pool_t        *pool;
    ngx_connection_t  *c;

    conn->generation++;
    conn->state = NGX_REDIS_CONN_IDLE;
    conn->words = 0;
    conn->pos = conn->out;
    conn->last = conn->out;

    if (conn->timer.timer_set) {
        ngx_del_timer(&conn->timer);
    }

    ngx_redis_round_cancel(&conn->round);

    ngx_redis_reader_free(&conn->reader);

    c = conn->connection;

    if (c == NULL) {
        return;
    }

    conn->connection = NULL;

#if (NGX_SSL)
    ngx_redis_tls_close(c);
#endif

    pool = c->pool;

    ngx_close_connection(c);

    if (pool) {
        ngx_destroy_pool(pool);
    }
}


/* what a non-blocking connect() came to */

static ngx_err_t
ngx_redis_conn_test_connect(ngx_connection_t *c)
{
    int        err;
    socklen_t  len;

    err = 0;
    len = sizeof(int);

    if (getsockopt(c->fd, SOL_SOCKET, SO_ERROR, (void *) &err, &len) == -1) {
        err = ngx_socket_errno;
    }

    return err;
}


static void
ngx_redis_conn_reason(ngx_redis_conn_t *conn, ngx_err_t err, const char *fmt,
    va_list args)
{
    u_char  *p, *last;

    last = conn->text + sizeof(conn->text);

    p = ngx_vslprintf(conn->text, last, fmt, args);

    if (err) {
        p = ngx_log_errno(p, last, err);
    }

    conn->reason.data = conn->text;
    conn->reason.len = p - conn->text;
}


static void
ngx_redis_conn_because(ngx_redis_conn_t *conn, ngx_err_t err, const char *fmt,
    ...)
{
    va_list  args;

    va_start(args, fmt);
    ngx_redis_conn_reason(conn, err, fmt, args);
    va_end(args);
}


/* there was no address to go to */

static void
ngx_redis_conn_because_nowhere(ngx_redis_conn_t *conn)
{
    ngx_redis_server_t    *server;
    ngx_redis_sentinel_t  *s;

    s = conn->round.targets->sentinel;

    if (s && conn->round.master == 0) {
        ngx_redis_conn_because(conn, 0, "no sentinel tells of it: %V",
                               ngx_redis_sentinel_reason(s));
        return;
    }

    server = ngx_redis_round_server(&conn->round);

    ngx_redis_conn_because(conn, 0, "host not found in \"%V\"",
                           s ? &server->url.host : &server->text);
}


static u_char *
ngx_redis_conn_log_error(ngx_log_t *log, u_char *buf, size_t len)
{
    u_char            *p;
    ngx_redis_conn_t  *conn;

    conn = log->data;

    p = buf;

    if (log->action) {
        p = ngx_snprintf(buf, len, " while %s", log->action);
        len -= p - buf;
        buf = p;
    }

    if (conn->peer.len) {
        p = ngx_snprintf(buf, len, ", redis: %V", &conn->peer);
    }

    return p;
}
