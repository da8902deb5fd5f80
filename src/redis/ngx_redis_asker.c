
/*
 * Copyright (C) The Optcache authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>

#include "ngx_redis_asker.h"
#include "ngx_redis_format.h"
#include "ngx_redis_sentinel.h"


static void ngx_redis_asker_query(ngx_redis_asker_t *a);
static void ngx_redis_asker_next(ngx_redis_asker_t *a, const char *what);
static void ngx_redis_asker_done(ngx_redis_asker_t *a, ngx_int_t rc);
static void ngx_redis_asker_up_handler(void *data);
static ngx_int_t ngx_redis_asker_reply_handler(void *data,
    redisReply *reply);
static void ngx_redis_asker_quiet_handler(void *data);
static void ngx_redis_asker_writable_handler(void *data);
static void ngx_redis_asker_lost_handler(void *data, ngx_uint_t was_up);
static void ngx_redis_asker_timer_handler(ngx_event_t *ev);
static void ngx_redis_asker_stop(ngx_redis_asker_t *a);


static ngx_redis_conn_handlers_t  ngx_redis_asker_handlers = {
    ngx_redis_asker_up_handler,
    ngx_redis_asker_reply_handler,
    ngx_redis_asker_quiet_handler,
    ngx_redis_asker_writable_handler,
    ngx_redis_asker_lost_handler
};


ngx_int_t
ngx_redis_asker_init(ngx_redis_asker_t *a, ngx_redis_sentinel_t *sentinel,
    ngx_redis_conf_t *conf, ngx_redis_server_t *server, ngx_pool_t *pool,
    ngx_log_t *log)
{
    a->sentinel = sentinel;
    a->conf = conf;

    if (ngx_redis_targets_urls(&a->targets, server, 1, pool, log) != NGX_OK
        || ngx_redis_conn_init(&a->conn, conf, &a->targets, pool, log)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    a->conn.stats = &a->stats;
    a->conn.handlers = &ngx_redis_asker_handlers;
    a->conn.data = a;
    a->conn.sentinel = 1;

    a->timer.handler = ngx_redis_asker_timer_handler;
    a->timer.data = a;
    a->timer.log = &a->conn.log;
    a->timer.cancelable = 1;

    return NGX_OK;
}


void
ngx_redis_asker_close(ngx_redis_asker_t *a)
{
    ngx_redis_asker_stop(a);

    a->walking = 0;
    a->asked = 0;

    ngx_redis_conn_close(&a->conn);
}


void
ngx_redis_asker_free(ngx_redis_asker_t *a)
{
    ngx_redis_targets_free(&a->targets);
}


void
ngx_redis_asker_start(ngx_redis_asker_t *a)
{
    if (ngx_exiting || a->walking || a->asked || a->timer.timer_set) {
        return;
    }

    ngx_add_timer(&a->timer, NGX_REDIS_ASKER_INTERVAL);
}


void
ngx_redis_asker_ask(ngx_redis_asker_t *a)
{
    if (a->walking || a->asked) {
        return;
    }

    ngx_redis_asker_stop(a);

    if (a->conn.state == NGX_REDIS_CONN_UP) {
        ngx_redis_asker_query(a);
        return;
    }

    a->walking = 1;

    ngx_redis_conn_open(&a->conn, 1);
}


void
ngx_redis_asker_leave(ngx_redis_asker_t *a)
{
    if (a->walking || a->asked || ngx_redis_targets_addrs(&a->targets) < 2) {
        return;
    }

    (void) ngx_redis_round_leave(&a->conn.round);
    ngx_redis_conn_close(&a->conn);
}


static void
ngx_redis_asker_query(ngx_redis_asker_t *a)
{
    ngx_str_t          argv[3], command;
    ngx_redis_conn_t  *conn;

    conn = &a->conn;

    ngx_str_set(&argv[0], "SENTINEL");
    ngx_str_set(&argv[1], "GET-MASTER-ADDR-BY-NAME");
    argv[2] = a->conf->sentinel;

    a->asked = 1;
    ngx_add_timer(&a->timer, a->conf->connect_timeout);

    if (ngx_redis_format(3, argv, NGX_REDIS_CONN_OUT, &command) != NGX_OK) {
        ngx_redis_asker_next(a, "was not asked: out of memory");
        return;
    }

    /* one question at a time: nothing else is in the buffer */

    conn->pos = conn->out;
    conn->last = ngx_cpymem(conn->out, command.data, command.len);

    ngx_redis_format_free(&command);

    (void) ngx_redis_conn_write(conn);
}


/* what this address said is of no use */

static void
ngx_redis_asker_next(ngx_redis_asker_t *a, const char *what)
{
    ngx_redis_asker_stop(a);

    a->asked = 0;

    if (a->walking) {
        ngx_redis_conn_skip(&a->conn, "sentinel %V %s", &a->conn.peer, what);
        return;
    }

    /* it was until now, so the others have not been asked yet */

    (void) ngx_redis_round_leave(&a->conn.round);
    ngx_redis_conn_close(&a->conn);

    ngx_redis_asker_ask(a);
}


/* the one end of a question */

static void
ngx_redis_asker_done(ngx_redis_asker_t *a, ngx_int_t rc)
{
    ngx_redis_asker_stop(a);

    a->walking = 0;
    a->asked = 0;

    if (rc != NGX_OK) {
        a->master.len = 0;
    }

    ngx_redis_asker_start(a);

    ngx_redis_sentinel_answered(a->sentinel, a, rc);
}


static void
ngx_redis_asker_up_handler(void *data)
{
    ngx_redis_asker_query(data);
}


static ngx_int_t
ngx_redis_asker_reply_handler(void *data, redisReply *reply)
{
    ngx_redis_asker_t *a = data;

    ngx_int_t            rc;
    const char          *err;
    ngx_redis_master_t   master;

    if (!a->asked) {
        return NGX_ERROR;
    }

    rc = ngx_redis_master_parse(reply, &master, &err);

    if (rc == NGX_OK && master.named && a->conf->resolver == NULL) {
        err = "tells a name, and there is no resolver";
        rc = NGX_ERROR;
    }

    ngx_log_debug3(NGX_LOG_DEBUG_EVENT, &a->conn.log, 0,
                   "redis sentinel told:%i \"%s\" port:%d", rc, master.host,
                   (int) master.port);

    if (rc == NGX_OK) {
        a->master = master;
        ngx_redis_asker_done(a, NGX_OK);

    } else {
        ngx_redis_asker_next(a, err);
    }

    return NGX_OK;
}


/* a worker that leaves asks no more than it has to */

static void
ngx_redis_asker_quiet_handler(void *data)
{
    ngx_redis_asker_t *a = data;

    if (ngx_exiting && !ngx_redis_sentinel_awaited(a->sentinel)) {
        ngx_redis_asker_close(a);
    }
}


static void
ngx_redis_asker_writable_handler(void *data)
{
    ngx_redis_asker_t *a = data;

    (void) ngx_redis_conn_write(&a->conn);
}


static void
ngx_redis_asker_lost_handler(void *data, ngx_uint_t was_up)
{
    ngx_redis_asker_t *a = data;

    if (!was_up) {
        ngx_redis_asker_done(a, NGX_DECLINED);
        return;
    }

    if (!a->asked) {
        /* nobody waits, the next question finds it, or another one */
        return;
    }

    ngx_redis_asker_stop(a);

    a->asked = 0;

    if (a->walking) {
        ngx_redis_conn_go_on(&a->conn);
        return;
    }

    (void) ngx_redis_round_leave(&a->conn.round);

    ngx_redis_asker_ask(a);
}


static void
ngx_redis_asker_timer_handler(ngx_event_t *ev)
{
    ngx_redis_asker_t  *a;

    a = ev->data;

    if (a->asked) {
        ngx_redis_asker_next(a, "does not answer");
        return;
    }

    if (!ngx_exiting) {
        ngx_redis_asker_ask(a);
    }
}


static void
ngx_redis_asker_stop(ngx_redis_asker_t *a)
{
    if (a->timer.timer_set) {
        ngx_del_timer(&a->timer);
    }
}
