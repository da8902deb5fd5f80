
/*
 * Copyright (C) The Optcache authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>
#include <ngx_event_connect.h>

#include "ngx_redis_conn.h"


#define NGX_REDIS_CONN_IN        16384

/* "*" or "$", a length, CRLF */
#define NGX_REDIS_FORMAT_HEADER  (1 + NGX_SIZE_T_LEN + 2)


static void ngx_redis_conn_target(ngx_redis_conn_t *conn);
static void ngx_redis_conn_next(ngx_redis_conn_t *conn);
static ngx_int_t ngx_redis_conn_connect(ngx_redis_conn_t *conn);
static void ngx_redis_conn_connected(ngx_redis_conn_t *conn);
static void ngx_redis_conn_greet(ngx_redis_conn_t *conn);
static void ngx_redis_conn_greeted(ngx_redis_conn_t *conn,
    redisReply *reply);
static void ngx_redis_conn_read_handler(ngx_event_t *rev);
static void ngx_redis_conn_write_handler(ngx_event_t *wev);
static void ngx_redis_conn_timer_handler(ngx_event_t *ev);
static ngx_int_t ngx_redis_conn_replies(ngx_redis_conn_t *conn);
static ngx_err_t ngx_redis_conn_test_connect(ngx_connection_t *c);
static void ngx_redis_conn_reason(ngx_redis_conn_t *conn, ngx_err_t err,
    const char *fmt, va_list args);
static void ngx_redis_conn_because(ngx_redis_conn_t *conn, ngx_err_t err,
    const char *fmt, ...);
static u_char *ngx_redis_conn_log_error(ngx_log_t *log, u_char *buf,
    size_t len);


ngx_int_t
ngx_redis_conn_init(ngx_redis_conn_t *conn, ngx_redis_conf_t *conf,
    ngx_redis_targets_t *targets, ngx_pool_t *pool, ngx_log_t *log)
{
    conn->conf = conf;
    conn->targets = targets;

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

    return NGX_OK;
}


void
ngx_redis_conn_open(ngx_redis_conn_t *conn, ngx_uint_t quiet)
{
    if (conn->state != NGX_REDIS_CONN_IDLE) {
        return;
    }

    conn->log.log_level = quiet ? NGX_LOG_ALERT : conn->log_level;

    conn->target = conn->targets->current;
    conn->targets_left = conn->targets->nelts;

    ngx_redis_conn_target(conn);
}


static void
ngx_redis_conn_target(ngx_redis_conn_t *conn)
{
    ngx_redis_target_t  *t;

    t = &conn->targets->elts[conn->target];

    conn->targets_left--;
    conn->addrs_left = t->naddrs;
    conn->addr = t->first;

    if (t->naddrs == 0) {
        ngx_redis_conn_because(conn, 0, "host not found in \"%V\"",
                               &t->server->text);
    }

    ngx_redis_conn_next(conn);
}


/* tries the next address; in a loop, since connect() may fail at once */

static void
ngx_redis_conn_next(ngx_redis_conn_t *conn)
{
    ngx_redis_target_t  *t;

    t = &conn->targets->elts[conn->target];

    while (conn->addrs_left) {
        conn->addrs_left--;
        conn->addr = conn->addr % t->naddrs;

        if (ngx_redis_conn_connect(conn) == NGX_OK) {
            return;
        }

        conn->addr++;
    }

    if (conn->targets_left) {
        conn->target = (conn->target + 1) % conn->targets->nelts;
        ngx_redis_conn_target(conn);
        return;
    }

    conn->handlers->lost(conn->data, 0);
}


static ngx_int_t
ngx_redis_conn_connect(ngx_redis_conn_t *conn)
{
    ngx_int_t               rc;
    ngx_addr_t             *addr;
    ngx_connection_t       *c;
    ngx_redis_target_t     *t;
    ngx_peer_connection_t   pc;

    t = &conn->targets->elts[conn->target];
    addr = &t->addrs[conn->addr];

    conn->peer.data = conn->peer_text;
    conn->peer.len = ngx_cpystrn(conn->peer_text, addr->name.data,
                                 ngx_min(addr->name.len + 1,
                                         NGX_SOCKADDR_STRLEN))
                     - conn->peer_text;
    conn->log.action = "connecting to Redis";

    ngx_memzero(&pc, sizeof(ngx_peer_connection_t));

    pc.sockaddr = addr->sockaddr;
    pc.socklen = addr->socklen;
    pc.name = &addr->name;
    pc.get = ngx_event_get_peer;
    pc.log = &conn->log;
    pc.log_error = NGX_ERROR_INFO;
    pc.so_keepalive = !t->server->url.local;

    rc = ngx_event_connect_peer(&pc);

    if (rc != NGX_OK && rc != NGX_AGAIN) {
        ngx_redis_conn_because(conn, ngx_socket_errno,
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

    ngx_add_timer(&conn->timer, conn->conf->connect_timeout);

    if (rc == NGX_OK) {
        /* a unix socket; not from within open() */
        ngx_post_event(c->write, &ngx_posted_events);
    }

    return NGX_OK;
}


static void
ngx_redis_conn_connected(ngx_redis_conn_t *conn)
{
    ngx_err_t          err;
    ngx_connection_t  *c;

    c = conn->connection;

    err = ngx_redis_conn_test_connect(c);

    if (err) {
        ngx_redis_conn_fail(conn, err, "connect() to %V failed", &conn->peer);
        return;
    }

    (void) ngx_tcp_nodelay(c);

    ngx_redis_conn_greet(conn);
}


/*
 * All in one write; commands wait until every word was accepted, so nothing
 * is ever executed as another user or in another database.
 */

static void
ngx_redis_conn_greet(ngx_redis_conn_t *conn)
{
    u_char              *p, buf[NGX_INT_T_LEN];
    ngx_str_t            argv[3];
    ngx_uint_t           n;
    ngx_redis_target_t  *t;

    t = &conn->targets->elts[conn->target];

    conn->state = NGX_REDIS_CONN_GREETING;
    conn->log.action = "greeting Redis";

    if (ngx_redis_reader_init(&conn->reader, conn->conf->max_reply)
        != NGX_OK)
    {
        ngx_redis_conn_fail(conn, 0, "out of memory");
        return;
    }

    p = conn->out;

    if (conn->conf->password.len) {
        n = 0;
        ngx_str_set(&argv[n++], "AUTH");

        if (t->server->url.user.len) {
            argv[n++] = t->server->url.user;
        }

        argv[n++] = conn->conf->password;

        p = ngx_redis_format(p, n, argv);
        conn->greetings++;
    }

    if (t->server->url.db) {
        ngx_str_set(&argv[0], "SELECT");
        argv[1].data = buf;
        argv[1].len = ngx_sprintf(buf, "%ui", t->server->url.db) - buf;

        p = ngx_redis_format(p, 2, argv);
        conn->greetings++;
    }

    ngx_str_set(&argv[0], "PING");

    conn->pos = conn->out;
    conn->last = ngx_redis_format(p, 1, argv);
    conn->greetings++;

    (void) ngx_redis_conn_write(conn);
}


static void
ngx_redis_conn_greeted(ngx_redis_conn_t *conn, redisReply *reply)
{
    ngx_str_t            code, text;
    const char          *what, *expected;
    ngx_redis_target_t  *t;

    t = &conn->targets->elts[conn->target];

    /* they are answered in order: AUTH, SELECT, PING */

    if (conn->greetings == 1) {
        what = "PING";

    } else if (conn->greetings == 2 && t->server->url.db) {
        what = "SELECT";

    } else {
        what = "AUTH";
    }

    if (reply->type == REDIS_REPLY_ERROR) {
        code = ngx_redis_reply_code(reply);
        freeReplyObject(reply);

        /* not the text: it may repeat the password */

        ngx_redis_conn_fail(conn, 0, "%s to \"%V\" refused: %V", what,
                            &t->server->text, &code);
        return;
    }

    expected = (conn->greetings == 1) ? "PONG" : "OK";

    if (ngx_redis_reply_string(reply, &text) != NGX_OK
        || ngx_strcmp(text.data, expected) != 0)
    {
        freeReplyObject(reply);
        ngx_redis_conn_fail(conn, 0, "%s to \"%V\" not understood", what,
                            &t->server->text);
        return;
    }

    freeReplyObject(reply);

    if (--conn->greetings) {
        return;
    }

    ngx_del_timer(&conn->timer);

    conn->state = NGX_REDIS_CONN_UP;
    conn->established = ngx_current_msec;
    conn->log.log_level = conn->log_level;
    conn->log.action = "talking to Redis";

    conn->targets->current = conn->target;
    t->first = conn->addr;

    conn->handlers->up(conn->data);
}


static void
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


void
ngx_redis_conn_read(ngx_redis_conn_t *conn)
{
    ssize_t            n;
    ngx_uint_t         generation;
    ngx_connection_t  *c;

    static u_char      buf[NGX_REDIS_CONN_IN];

    c = conn->connection;
    generation = conn->generation;

    for ( ;; ) {
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

        if (ngx_redis_reader_feed(&conn->reader, buf, n) != NGX_OK) {
            ngx_redis_conn_fail(conn, 0, "%s", conn->reader.err);
            return;
        }

        if (ngx_redis_conn_replies(conn) != NGX_OK) {
            return;
        }
    }

    if (ngx_handle_read_event(c->read, 0) != NGX_OK) {
        ngx_redis_conn_fail(conn, 0, "could not wait for %V", &conn->peer);
        return;
    }

    if (conn->generation == generation) {
        conn->handlers->quiet(conn->data);
    }
}


/* NGX_ERROR if the connection is not what it was */

static ngx_int_t
ngx_redis_conn_replies(ngx_redis_conn_t *conn)
{
    ngx_int_t    rc;
    ngx_uint_t   generation;
    redisReply  *reply;

    generation = conn->generation;

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

        if (conn->state == NGX_REDIS_CONN_GREETING) {
            ngx_redis_conn_greeted(conn, reply);

            if (conn->generation != generation) {
                return NGX_ERROR;
            }

            continue;
        }

        rc = conn->handlers->reply(conn->data, reply);

        if (conn->generation != generation) {
            return NGX_ERROR;
        }

        if (rc == NGX_ERROR) {
            ngx_redis_conn_fail(conn, 0, "%V sent a reply to nothing",
                                &conn->peer);
            return NGX_ERROR;
        }
    }
}


static void
ngx_redis_conn_write_handler(ngx_event_t *wev)
{
    ngx_connection_t  *c;
    ngx_redis_conn_t  *conn;

    c = wev->data;
    conn = c->data;

    switch (conn->state) {

    case NGX_REDIS_CONN_CONNECTING:
        ngx_redis_conn_connected(conn);
        return;

    case NGX_REDIS_CONN_GREETING:
        (void) ngx_redis_conn_write(conn);
        return;

    case NGX_REDIS_CONN_UP:
        conn->handlers->writable(conn->data);
        return;

    default:
        return;
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
        conn->stats->writes++;

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

    state = conn->state;

    ngx_redis_conn_close(conn);

    if (state == NGX_REDIS_CONN_UP) {
        conn->handlers->lost(conn->data, 1);
        return;
    }

    /* an attempt failed, the round goes on */

    conn->addr++;
    ngx_redis_conn_next(conn);
}


void
ngx_redis_conn_close(ngx_redis_conn_t *conn)
{
    ngx_connection_t  *c;

    conn->generation++;
    conn->state = NGX_REDIS_CONN_IDLE;
    conn->greetings = 0;
    conn->pos = conn->out;
    conn->last = conn->out;

    if (conn->timer.timer_set) {
        ngx_del_timer(&conn->timer);
    }

    ngx_redis_reader_free(&conn->reader);

    c = conn->connection;

    if (c == NULL) {
        return;
    }

    conn->connection = NULL;

    ngx_close_connection(c);
}


void
ngx_redis_conn_leave(ngx_redis_conn_t *conn)
{
    ngx_redis_target_t  *t;

    t = &conn->targets->elts[conn->target];

    t->first = conn->addr + 1;

    if (t->first >= t->naddrs) {
        t->first = 0;
        conn->targets->current = (conn->target + 1) % conn->targets->nelts;
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


size_t
ngx_redis_format_len(ngx_uint_t argc, ngx_str_t *argv, size_t max)
{
    size_t      len;
    ngx_uint_t  i;

    len = NGX_REDIS_FORMAT_HEADER;

    for (i = 0; i < argc; i++) {
        if (argv[i].len > max || len > max) {
            return 0;
        }

        len += NGX_REDIS_FORMAT_HEADER + argv[i].len + 2;
    }

    return len > max ? 0 : len;
}


u_char *
ngx_redis_format(u_char *p, ngx_uint_t argc, ngx_str_t *argv)
{
    ngx_uint_t  i;

    p = ngx_sprintf(p, "*%ui" CRLF, argc);

    for (i = 0; i < argc; i++) {
        p = ngx_sprintf(p, "$%uz" CRLF, argv[i].len);
        p = ngx_cpymem(p, argv[i].data, argv[i].len);
        *p++ = CR;
        *p++ = LF;
    }

    return p;
}
