
/*
 * Copyright (C) The Optcache authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>

#include "ngx_redis_greeting.h"
#include "ngx_redis_master.h"
#include "ngx_redis_sentinel.h"


struct ngx_redis_sentinel_s {
    ngx_redis_conf_t         *conf;
    ngx_log_t                *log;

    ngx_redis_targets_t       targets;     /* the sentinels */
    ngx_redis_conn_t          conn;        /* to one of them */
    ngx_redis_stats_t         stats;       /* of that, not of the client */

    ngx_redis_target_t       *target;      /* the master */
    ngx_redis_server_t        server;
    ngx_redis_master_t        master;
    ngx_redis_master_addr_t   addr;
    ngx_uint_t                changes;

    ngx_redis_master_t        news;        /* what was told last */
    ngx_int_t                 rc;

    ngx_queue_t               rounds;      /* to be told */
    ngx_queue_t               conns;       /* all to the master */

    ngx_event_t               timer;       /* for an answer, or a question */
    ngx_event_t               tell;        /* posted */

    unsigned                  walking:1;   /* from one to the next */
    unsigned                  asked:1;     /* an answer is due */
    unsigned                  silent:1;    /* none of them tells, logged */
};


static void ngx_redis_sentinel_ask(ngx_redis_sentinel_t *s);
static void ngx_redis_sentinel_query(ngx_redis_sentinel_t *s);
static void ngx_redis_sentinel_next(ngx_redis_sentinel_t *s,
    const char *what);
static void ngx_redis_sentinel_done(ngx_redis_sentinel_t *s, ngx_int_t rc);
static void ngx_redis_sentinel_tell_handler(ngx_event_t *ev);
static void ngx_redis_sentinel_change(ngx_redis_sentinel_t *s);
static void ngx_redis_sentinel_move(ngx_redis_sentinel_t *s);
static void ngx_redis_sentinel_up_handler(void *data);
static ngx_int_t ngx_redis_sentinel_reply_handler(void *data,
    redisReply *reply);
static void ngx_redis_sentinel_quiet_handler(void *data);
static void ngx_redis_sentinel_writable_handler(void *data);
static void ngx_redis_sentinel_lost_handler(void *data, ngx_uint_t was_up);
static void ngx_redis_sentinel_timer_handler(ngx_event_t *ev);


static ngx_redis_conn_handlers_t  ngx_redis_sentinel_handlers = {
    ngx_redis_sentinel_up_handler,
    ngx_redis_sentinel_reply_handler,
    ngx_redis_sentinel_quiet_handler,
    ngx_redis_sentinel_writable_handler,
    ngx_redis_sentinel_lost_handler
};


ngx_redis_sentinel_t *
ngx_redis_sentinel_create(ngx_redis_conf_t *conf, ngx_redis_target_t *target,
    ngx_pool_t *pool, ngx_log_t *log)
{
    ngx_redis_server_t    *server;
    ngx_redis_sentinel_t  *s;

    s = ngx_pcalloc(pool, sizeof(ngx_redis_sentinel_t));
    if (s == NULL) {
        return NULL;
    }

    s->conf = conf;
    s->log = log;
    s->target = target;

    ngx_queue_init(&s->rounds);
    ngx_queue_init(&s->conns);

    if (ngx_redis_targets_urls(&s->targets, conf, pool, log) != NGX_OK
        || ngx_redis_conn_init(&s->conn, conf, &s->targets, pool, log)
           != NGX_OK)
    {
        return NULL;
    }

    s->conn.stats = &s->stats;
    s->conn.handlers = &ngx_redis_sentinel_handlers;
    s->conn.data = s;
    s->conn.sentinel = 1;

    s->timer.handler = ngx_redis_sentinel_timer_handler;
    s->timer.data = s;
    s->timer.log = &s->conn.log;
    s->timer.cancelable = 1;

    s->tell.handler = ngx_redis_sentinel_tell_handler;
    s->tell.data = s;
    s->tell.log = &s->conn.log;

    /* the URLs agree on all but the host and the port */

    server = conf->servers.elts;

    s->server = server[0];
    s->server.text.len = conf->sentinel.len + sizeof("sentinel=") - 1;
    s->server.text.data = ngx_pnalloc(pool, s->server.text.len);

    if (s->server.text.data == NULL) {
        return NULL;
    }

    ngx_sprintf(s->server.text.data, "sentinel=%V", &conf->sentinel);

    s->server.url.host.data = s->master.host;
    s->server.url.host.len = 0;

    target->server = &s->server;

    return s;
}


void
ngx_redis_sentinel_close(ngx_redis_sentinel_t *s)
{
    if (s->timer.timer_set) {
        ngx_del_timer(&s->timer);
    }

    if (s->tell.posted) {
        ngx_delete_posted_event(&s->tell);
    }

    ngx_redis_conn_close(&s->conn);
    ngx_redis_targets_free(&s->targets);
}


void
ngx_redis_sentinel_join(ngx_redis_sentinel_t *s, ngx_redis_conn_t *conn)
{
    ngx_queue_insert_tail(&s->conns, &conn->queue);
}


ngx_uint_t
ngx_redis_sentinel_count(ngx_redis_sentinel_t *s)
{
    return s->targets.nelts;
}


ngx_str_t *
ngx_redis_sentinel_reason(ngx_redis_sentinel_t *s)
{
    return &s->conn.reason;
}


ngx_uint_t
ngx_redis_sentinel_master(ngx_redis_sentinel_t *s)
{
    return s->changes;
}


void
ngx_redis_sentinel_wait(ngx_redis_sentinel_t *s, ngx_redis_round_t *round,
    ngx_uint_t doubt)
{
    ngx_queue_insert_tail(&s->rounds, &round->queue);
    round->waiting = 1;

    if (s->walking || s->asked || s->tell.posted) {
        return;
    }

    if (doubt) {
        (void) ngx_redis_round_leave(&s->conn.round);
        ngx_redis_conn_close(&s->conn);
    }

    ngx_redis_sentinel_ask(s);
}


static void
ngx_redis_sentinel_ask(ngx_redis_sentinel_t *s)
{
    if (s->timer.timer_set) {
        ngx_del_timer(&s->timer);
    }

    if (s->conn.state == NGX_REDIS_CONN_UP) {
        ngx_redis_sentinel_query(s);
        return;
    }

    s->walking = 1;

    ngx_redis_conn_open(&s->conn, 1);
}


static void
ngx_redis_sentinel_query(ngx_redis_sentinel_t *s)
{
    ngx_str_t          argv[3], command;
    ngx_redis_conn_t  *conn;

    conn = &s->conn;

    ngx_str_set(&argv[0], "SENTINEL");
    ngx_str_set(&argv[1], "GET-MASTER-ADDR-BY-NAME");
    argv[2] = s->conf->sentinel;

    if (ngx_redis_format(3, argv, NGX_REDIS_CONN_OUT, &command) != NGX_OK) {
        ngx_redis_sentinel_done(s, NGX_ERROR);
        return;
    }

    /* one question at a time: nothing else is in the buffer */

    conn->pos = conn->out;
    conn->last = ngx_cpymem(conn->out, command.data, command.len);

    ngx_redis_format_free(&command);

    s->asked = 1;
    ngx_add_timer(&s->timer, s->conf->connect_timeout);

    (void) ngx_redis_conn_write(conn);
}


/* this sentinel is of no use */

static void
ngx_redis_sentinel_next(ngx_redis_sentinel_t *s, const char *what)
{
    if (s->timer.timer_set) {
        ngx_del_timer(&s->timer);
    }

    s->asked = 0;

    if (s->walking) {
        ngx_redis_conn_skip(&s->conn, "sentinel %V %s", &s->conn.peer, what);
        return;
    }

    /* it was until now, so the others have not been asked yet */

    (void) ngx_redis_round_leave(&s->conn.round);
    ngx_redis_conn_close(&s->conn);

    ngx_redis_sentinel_ask(s);
}


/* the one end of a walk, or of a question */

static void
ngx_redis_sentinel_done(ngx_redis_sentinel_t *s, ngx_int_t rc)
{
    s->walking = 0;
    s->asked = 0;
    s->rc = rc;

    if (s->timer.timer_set) {
        ngx_del_timer(&s->timer);
    }

    if (!ngx_exiting) {
        ngx_add_timer(&s->timer, NGX_REDIS_SENTINEL_INTERVAL);
    }

    if (rc == NGX_OK && s->silent) {
        s->silent = 0;

        ngx_log_error(NGX_LOG_NOTICE, s->log, 0,
                      "redis \"%V\": sentinel %V tells of it again",
                      &s->server.text, &s->conn.peer);
    }

    if (rc != NGX_OK && s->changes && !s->silent) {
        s->silent = 1;

        ngx_log_error(NGX_LOG_WARN, s->log, 0,
                      "redis \"%V\": no sentinel tells of it: %V",
                      &s->server.text, &s->conn.reason);
    }

    ngx_post_event(&s->tell, &ngx_posted_events);
}


static void
ngx_redis_sentinel_tell_handler(ngx_event_t *ev)
{
    ngx_int_t              rc;
    ngx_queue_t            waiting, *q;
    ngx_redis_round_t     *round;
    ngx_redis_sentinel_t  *s;

    s = ev->data;
    rc = s->rc;

    if (rc == NGX_OK
        && (s->changes == 0 || !ngx_redis_master_equal(&s->news, &s->master)))
    {
        ngx_redis_sentinel_change(s);
        ngx_redis_sentinel_move(s);
    }

    /* some may ask again at once, and are not to be told the same */

    ngx_queue_init(&waiting);

    if (!ngx_queue_empty(&s->rounds)) {
        ngx_queue_add(&waiting, &s->rounds);
        ngx_queue_init(&s->rounds);
    }

    while (!ngx_queue_empty(&waiting)) {
        q = ngx_queue_head(&waiting);
        round = ngx_queue_data(q, ngx_redis_round_t, queue);

        ngx_queue_remove(q);
        round->waiting = 0;

        ngx_redis_round_told(round, rc);
    }

    ngx_redis_sentinel_quiet_handler(s);
}


static void
ngx_redis_sentinel_change(ngx_redis_sentinel_t *s)
{
    ngx_str_t   *host;
    ngx_uint_t   level;

    s->master = s->news;
    s->changes++;

    host = &s->server.url.host;

    host->data = s->master.host;
    host->len = s->master.len;

    s->server.url.port = s->master.port;
    s->server.named = s->master.named;

#if (NGX_SSL)

    if (s->conf->tls_name.len == 0) {
        s->server.tls_name = *host;
        s->server.tls_ip = !s->master.named;
    }

#endif

    ngx_redis_target_forget(s->target);

    if (!s->master.named) {
        ngx_redis_master_addr(&s->master, &s->addr);

        s->target->addrs = &s->addr.addr;
        s->target->naddrs = 1;
    }

    /* a move is news, where it is at start is not */

    level = (s->changes == 1) ? NGX_LOG_INFO : NGX_LOG_NOTICE;

    ngx_log_error(level, s->log, 0,
                  "redis \"%V\" is %V port %d, by sentinel %V",
                  &s->server.text, host, (int) s->master.port,
                  &s->conn.peer);
}


/* connections that wait to be told are going to be */

static void
ngx_redis_sentinel_move(ngx_redis_sentinel_t *s)
{
    ngx_queue_t       *q;
    ngx_redis_conn_t  *conn;

    for (q = ngx_queue_head(&s->conns);
         q != ngx_queue_sentinel(&s->conns);
         q = ngx_queue_next(q))
    {
        conn = ngx_queue_data(q, ngx_redis_conn_t, queue);

        if (!conn->round.waiting) {
            ngx_redis_conn_move(conn, "the master is %V port %d now",
                                &s->server.url.host, (int) s->master.port);
        }
    }
}


static void
ngx_redis_sentinel_up_handler(void *data)
{
    ngx_redis_sentinel_query(data);
}


static ngx_int_t
ngx_redis_sentinel_reply_handler(void *data, redisReply *reply)
{
    ngx_redis_sentinel_t *s = data;

    ngx_int_t    rc;
    const char  *err;

    if (!s->asked) {
        freeReplyObject(reply);
        return NGX_ERROR;
    }

    rc = ngx_redis_master_parse(reply, &s->news, &err);

    freeReplyObject(reply);

    if (rc == NGX_OK && s->news.named && s->conf->resolver == NULL) {
        err = "tells a name, and there is no resolver";
        rc = NGX_ERROR;
    }

    ngx_log_debug3(NGX_LOG_DEBUG_EVENT, &s->conn.log, 0,
                   "redis sentinel told:%i \"%s\" port:%d", rc, s->news.host,
                   (int) s->news.port);

    if (rc == NGX_OK) {
        ngx_redis_sentinel_done(s, NGX_OK);

    } else {
        ngx_redis_sentinel_next(s, err);
    }

    return NGX_OK;
}


/* a worker that leaves asks no more than it has to */

static void
ngx_redis_sentinel_quiet_handler(void *data)
{
    ngx_redis_sentinel_t *s = data;

    if (!ngx_exiting || !ngx_queue_empty(&s->rounds) || s->tell.posted) {
        return;
    }

    if (s->timer.timer_set) {
        ngx_del_timer(&s->timer);
    }

    s->walking = 0;
    s->asked = 0;

    ngx_redis_conn_close(&s->conn);
}


static void
ngx_redis_sentinel_writable_handler(void *data)
{
    ngx_redis_sentinel_t *s = data;

    (void) ngx_redis_conn_write(&s->conn);
}


static void
ngx_redis_sentinel_lost_handler(void *data, ngx_uint_t was_up)
{
    ngx_redis_sentinel_t *s = data;

    ngx_uint_t  asked;

    asked = s->asked;
    s->asked = 0;

    if (!was_up) {
        ngx_redis_sentinel_done(s, NGX_DECLINED);
        return;
    }

    if (s->walking) {

        if (s->timer.timer_set) {
            ngx_del_timer(&s->timer);
        }

        ngx_redis_conn_go_on(&s->conn);
        return;
    }

    (void) ngx_redis_round_leave(&s->conn.round);

    if (asked) {
        ngx_redis_sentinel_ask(s);
    }

    /* else nobody waits, and the next question finds another one */
}


static void
ngx_redis_sentinel_timer_handler(ngx_event_t *ev)
{
    ngx_redis_sentinel_t  *s;

    s = ev->data;

    if (s->asked) {
        ngx_redis_sentinel_next(s, "does not answer");
        return;
    }

    if (!ngx_exiting) {
        ngx_redis_sentinel_ask(s);
    }
}
